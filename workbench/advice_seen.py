"""Gathers what advice rests on: a picture's recipe, faces, marks, and the run it lies in. Knows no rule.

What cannot be read is left out and never an end: a photograph has faces and no recipe, a grid of noise the reverse.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines import foreign, listing, skin
from pipelines.checkpoint import find
from pipelines.draft import Draft
from pipelines.errors import InputError
from pipelines.families import family_of
from pipelines.families.base import settings
from pipelines.foreign import Foreign
from pipelines.light import Light
from pipelines.listing import Defaults
from pipelines.raster import open_raster, rgb8
from pipelines.regions import FaceMap, face_map
from pipelines.store import Store
from sweeps import compare, findings, marks, measure
from sweeps.axes import Axis
from sweeps.measure import CellMeasures
from sweeps.overview import values_of
from sweeps.prepare import SWEEP
from sweeps.sweep import read_toml
from workbench import notes
from workbench.advice import Advice, advise
from workbench.advice_facts import Began, FaceFacts, Facts, Fault, RunFacts, Sibling
from workbench.notes import Note, Window

MOST_FACES = 6
"""Faces that are measured, the largest first: half a second each at 1024 px."""
MOST_SIBLINGS = 12


def advised(file: Path) -> tuple[Facts, Note | None, Advice]:
    """What is known of a picture, its checkpoint's note, and the advice; raises InputError."""
    facts = facts_of(file)
    checkpoint = facts.draft.checkpoint if facts.draft else ""
    note = notes.nearest(checkpoint) if checkpoint else None
    return facts, note, advise(facts, note=note)


def facts_of(file: Path) -> Facts:
    """All that is known of a picture in a file; raises InputError for one that cannot be opened."""
    pixels = rgb8(open_raster(file))
    read = _read(file)
    draft, unsaid = _draft(read, file)
    height, width = pixels.shape[:2]
    run, key = file.resolve().parent.parent, file.stem
    is_of_run = file.resolve().parent.name == "pictures" and (run / SWEEP).is_file()
    return Facts(
        file=file,
        width=width,
        height=height,
        faces=faces_of(face_map(pixels)),
        draft=draft,
        unsaid=unsaid,
        tool=read.tool if read else "",
        family=_family(read, draft),
        light=_light(file) if is_of_run else None,
        began=_began(read),
        usual=_usual(draft),
        mark=marks.read(run).get(key) if is_of_run else None,
        run=run_facts(run, key, draft.checkpoint if draft else "") if is_of_run else None,
    )


def faces_of(found: FaceMap) -> tuple[FaceFacts, ...]:
    """The faces of a picture in numbers, from the left."""
    largest = sorted(found.faces, key=lambda face: -face.eye_distance)[:MOST_FACES]
    return tuple(_face(found, face.number, face.eye_distance) for face in sorted(largest, key=lambda face: face.number))


def run_facts(run: Path, key: str, checkpoint: str) -> RunFacts:
    """What findings and measures of a run's pictures say around one of them; nothing where they were not measured."""
    measured = measure.read(run)
    faults = {each.key: faults_of(each) for each in measured.values()}
    counts = Counter(fault for found in faults.values() for fault in found)
    return RunFacts(
        name=run.name,
        measured=len(measured),
        **_found(run, checkpoint, is_measured=len(measured) == len(measure.pictures(run)) > 0),
        counts=counts,
        varied=_varied(run),
        siblings=tuple(_siblings(run, key, measured, faults)),
    )


def faults_of(measured: CellMeasures) -> tuple[Fault, ...]:
    """The faults of a picture whose measures are kept."""
    if measured.face is None:
        return ("no face",)
    return FaceFacts(measured.face, measured.eye_distance or 0.0, dict(measured.values), flat=measured.flat).faults


def _face(found: FaceMap, number: int, eye_distance: float) -> FaceFacts:
    read = skin.measure(found.pixels, found, number)
    values = {each.name: each.value for each in read.readings}
    why = {each.name: each.why for each in read.readings if each.why}
    return FaceFacts(number, eye_distance, values, why, skin.is_flat(read))


def _read(file: Path) -> Foreign | None:
    with suppress(InputError):  # a photograph, or a picture whose text was stripped
        return foreign.read(file)
    return None


def _draft(read: Foreign | None, file: Path) -> tuple[Draft | None, str]:
    """What asks for the picture again, and why there is none, or none that a checkpoint here can make."""
    if read is None or not (read.base or read.recipe):
        return None, "the file holds no text of any tool"
    try:
        return foreign.draft(read), ""
    except InputError as error:
        values = {**read.values.model_dump(exclude_none=True), "checkpoint": ""}
        return Draft.read(values), str(error)


def _family(read: Foreign | None, draft: Draft | None) -> Any:
    if draft and draft.checkpoint:
        return listing.row_of(draft.checkpoint).family
    return read.family if read else None


def _began(read: Foreign | None) -> Began:
    if read is None or read.recipe is None:
        began = read.base.begins_from if read and read.base else ""
        denoise = read.base.denoise if read and read.base else None
        return "picture" if began or (denoise is not None and denoise < 1) else "noise"
    return {"text-to-image": "noise", "img2img": "picture", "inpaint": "mask"}[read.recipe.mode]  # type: ignore[return-value]


def _usual(draft: Draft | None) -> Defaults | None:
    with suppress(InputError):  # listed, and not on this disk
        if draft and draft.checkpoint:
            checkpoint = find(draft.checkpoint)
            return settings(family_of(checkpoint), checkpoint)
    return None


def _light(file: Path) -> Light | None:
    with suppress(InputError):  # the picture came from elsewhere, or its sidecar is damaged
        return Store(file.resolve().parent.parent).sidecar(file.stem).facts.light
    return None


def _found(run: Path, checkpoint: str, *, is_measured: bool) -> dict[str, Any]:
    """What the run says of a checkpoint: as it was found last, else as its measures say now."""
    told = None
    with suppress(InputError):  # a damaged file says nothing
        told = findings.read(run) or (compare.of_run(run) if is_measured else None)
    about = {each.kind: each for each in told.of(checkpoint) if each.state != "none"} if told else {}
    ends, steps = about.get("guidance-window"), about.get("step-plateau")
    has_ends = ends is not None and (ends.low is not None or ends.high is not None)
    return {
        "has_findings": told is not None,
        "window": Window(low=ends.low, high=ends.high) if ends and has_ends else None,
        "plateau": round(steps.low) if steps and steps.low else None,
    }


def _varied(run: Path) -> tuple[str, ...]:
    with suppress(InputError):
        sweep = read_toml(run / SWEEP)
        return tuple(field for axis in sweep.axes for field in (axis.fields if isinstance(axis, Axis) else ("prompt",)))
    return ()


def _siblings(
    run: Path, key: str, measured: Mapping[str, CellMeasures], faults: Mapping[str, Sequence[Fault]]
) -> Iterator[Sibling]:
    """Pictures of the same seed that differ in few values, those with the fewest faults first."""
    store = Store(run)
    own = _values(store, key)
    found = []
    for other in measured:
        values = _values(store, other) if other != key else {}
        if values.get("seed") != own.get("seed") or not own:
            continue
        otherwise = tuple((name, text) for name, text in values.items() if own.get(name) != text)
        found.append(Sibling(other, otherwise, tuple(faults[other]), measured[other].value("slope")))
    yield from sorted(found, key=lambda each: (len(each.faults), len(each.otherwise)))[:MOST_SIBLINGS]


def _values(store: Store, key: str) -> dict[str, str]:
    with suppress(InputError):
        return dict(values_of(store.sidecar(key).recipe))
    return {}
