"""A repair as sweeps: the base out of the picture's own recipe, and one sweep a pass. Knows nothing about commands.

Page and command line ask here for the same repair, so that both mean the same recipes.
"""

import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import foreign, listing
from pipelines.draft import Draft
from pipelines.errors import InputError, SweepError
from pipelines.foreign import Foreign
from pipelines.light import Light, Side
from pipelines.mask_words import is_expression, regions_in
from pipelines.prompts import Words
from pipelines.repair_words import STRENGTHS, task_of, words, words_of_light
from pipelines.store import Store
from sweeps.inputs import INPUTS
from sweeps.plan import Cell
from sweeps.prepare import SWEEP, run_folder
from sweeps.sweep import Sweep, expand, from_flags

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.regions import FaceMap
    from pipelines.skin import Measured

CONTEXT = 0.35
"""Share of the mask's longer side that is worked on around it: for a face's skin this takes in hair, ears and the
begin of the neck, so that the light is read from more than the mask, and leaves two thirds of the pixels to the face.
"""
NAME_LONG, STEM_LONG = 50, 30
"""Letters of a sweep's and a file's name that stay before what is told apart behind them: folders keep 60."""
EVERY_FACE = re.compile(r"\bfaces\.")
NEW_LIGHT = "window"
"""The light that is offered where a picture's own is flat: a soft side light that every family knows."""


@dataclass(frozen=True)
class Source:
    """A picture to repair. `base`: what it was made with, as a Draft that begins from it; `light` what wrote its words.

    `told` are warnings of who read it. `is_ours` if it holds a recipe that a new generation can begin from.
    """

    file: Path
    base: Draft
    light: Light | None
    told: tuple[str, ...]
    is_ours: bool

    @property
    def own(self) -> Words:
        """The picture's own words."""
        return Words(self.base.prompt, self.base.negative)

    def words(self, mask: str) -> Words:
        """What the repair under this mask says to the checkpoint; raises InputError."""
        family = listing.row_of(self.base.checkpoint).family
        own = self.own if self.base.prompt else words_of_light(self._side(first_face(mask)), family)
        return words(own, task_of(mask), family=family, light=self.light)

    def measured(self, face: int) -> "Measured | None":
        """The measures of a face; None if the picture has no such face."""
        from pipelines.skin import measure

        pixels, found = self._found
        return measure(pixels, found, face) if face <= len(found.faces) else None

    def _side(self, face: int) -> Side | None:
        """Side of the picture from which the light comes, where the cheeks differ enough to tell."""
        from pipelines.skin import FLAT_SIDE

        measured = self.measured(face)
        ev = measured.value("side_ev") if measured else None
        if ev is None or abs(ev) < FLAT_SIDE:
            return None
        return "right" if ev > 0 else "left"

    @cached_property
    def _found(self) -> "tuple[NDArray[Any], FaceMap]":
        from pipelines.raster import open_raster, rgb8
        from pipelines.regions import face_map

        pixels = rgb8(open_raster(self.file))
        return pixels, face_map(pixels)


def source(file: Path, checkpoint: str | None = None) -> Source:
    """Read what a picture says of itself; `checkpoint` (a name of models.txt) stands in for the picture's own.

    Raises InputError for a file that cannot be read, and for one that names no checkpoint where none is given.
    """
    try:
        read = foreign.read(file)
    except InputError:
        read = None  # a photograph, or another tool's picture whose text was stripped
    if read is None or not (read.base or read.recipe):
        if not checkpoint:
            raise InputError(
                f"{file} does not say what made it, so nothing says what can repair it; give --checkpoint NAME"
            )
        return Source(file, Draft(checkpoint=checkpoint, start=str(file)), None, (), is_ours=False)
    draft = foreign.draft(read, checkpoint)
    alone = dict.fromkeys(("width", "height", "strength", "mask", "context", "reference", "reference_weight"))
    alone |= dict.fromkeys(("reference_role", "reference_by"))
    return Source(file, draft.but(**alone, start=str(file)), _light(file), read.warnings, is_ours=_is_new(read))


def passes(masks: Sequence[str], then: Sequence[str], *, faces: int | None) -> tuple[tuple[str, ...], ...]:
    """The masks of every pass in order: `masks` (several are an axis), then each of `then`.

    With `faces`, the number of faces found, `faces.` in a mask means one pass for each of them. Raises SweepError.
    """
    asked = [tuple(masks), *((mask,) for mask in then)]
    if faces is None:
        return tuple(asked)
    if not any(EVERY_FACE.search(mask) for each in asked for mask in each):
        raise SweepError(f"--each is given, but no mask names all faces: {masks[0]!r}; write faces. as in faces.skin")
    return tuple(
        tuple(EVERY_FACE.sub(f"face{number}.", mask) for mask in each)
        for each in asked
        for number in range(1, faces + 1 if any(map(EVERY_FACE.search, each)) else 2)
    )


def repair_sweep(
    source: Source, masks: Sequence[str], *, start: Path, given: Mapping[str, Sequence[str]], name: str
) -> Sweep:
    """The sweep of one pass from `start`: strength by task and words of repair, where `given` does not say otherwise.

    `given` holds the texts of flags by field. Raises SweepError, InputError.
    """
    said = source.words(masks[0])
    base = source.base.but(
        start=str(start),
        strength=STRENGTHS[task_of(masks[0])].usual,
        context=CONTEXT,
        prompt=said.prompt,
        negative=said.negative,
    )
    asked = {field: texts for field, texts in given.items() if texts}
    return from_flags(name, {**asked, "mask": masks}, like=base)


def refuse_grids(sweeps: Sequence[Sweep]) -> None:
    """Raise SweepError if one of several passes makes more than one picture: the next could not know its start."""
    for sweep in sweeps if len(sweeps) > 1 else ():
        if (count := len(expand(sweep))) > 1:
            several = ", ".join(f"{axis.name} {', '.join(axis.labels)}" for axis in sweep.axes)
            raise SweepError(
                f"a pass that others follow makes one picture, this one {count} ({several}); make them first, choose "
                "one, and repair that one further"
            )


def references_told(cells: Sequence[Cell], files: Mapping[Path, str]) -> tuple[str, ...]:
    """What is said of references before the start: a face too small to give pores. `files`: content hash by path.

    Raises InputError if one shows no face: every cell would fail by it.
    """
    from pipelines.faces import find_faces
    from pipelines.raster import open_raster, rgb8
    from pipelines.reference_photo import enough

    notes: list[str] = []
    wanted = {reference.image for cell in cells for reference in cell.recipe.references if reference.role == "skin"}
    for path, image in files.items():
        if image not in wanted:
            continue
        if not (faces := find_faces(rgb8(open_raster(path)))):
            raise InputError(
                f"reference {path}: no face was found, so there is no skin to take; give a photograph of a face seen "
                "from the front (sidelight reference check says what one is good for)"
            )
        if few := enough(max(face.eye_distance for face in faces)):
            notes.append(f"reference {path.name}: {few}")
    return tuple(notes)


def folder(runs: Path, sweep: Sweep, today: str) -> Path:
    """The run folder of a pass: as for any sweep, but with a number behind it where another picture's run lies.

    So a second pass over the same region, and a file of the same name, get folders of their own. Raises InputError.
    """
    from pipelines.raster import content, open_raster

    picture = ""
    for number in itertools.count(1):
        named = sweep if number == 1 else sweep.but(name=f"{sweep.name[:NAME_LONG]} {number}")
        found = run_folder(runs, named, today)
        if not (found / SWEEP).is_file():
            return found
        picture = picture or content(open_raster(Path(sweep.base.start or "")))
        if (found / INPUTS / f"{picture}.png").is_file():
            return found
    raise AssertionError("counting ended")


def titled(file: Path, masks: Sequence[str]) -> str:
    """Name of a pass for people and its folder: the file and what of the face."""
    of = masks[0].partition(";")[0].strip() if is_expression(masks[0]) else Path(masks[0]).stem
    return f"{file.stem[:STEM_LONG]} {of}"


def first_face(mask: str) -> int:
    """Number of the face that a mask is about; the first one for all faces, and for a painted mask."""
    return (regions_in(mask)[0][0] or 1) if is_expression(mask) else 1


def light_is_flat(source: Source, mask: str) -> str:
    """Where the measures say that the light itself is flat or frontal: one line with the way on; else empty.

    Looks for faces, which takes a second. Empty too where nothing can be measured: this is advice, never a refusal.
    """
    from pipelines.skin import is_flat

    measured = source.measured(first_face(mask))
    flat = is_flat(measured) if measured else ""
    return f"{flat.rstrip('.')}: {again(source)}" if flat else ""


def again(source: Source) -> str:
    """The command that makes the picture anew with a side light."""
    subject = source.light.subject if source.light else subject_of(source.base.prompt)
    words = ["--light", NEW_LIGHT, *(["--subject", subject] if subject else [])]
    begin = ["--like", str(source.file)] if source.is_ours else ["--checkpoint", source.base.checkpoint]
    return shlex.join(["sidelight", "sweep", "run", *begin, *words])


def _is_new(read: Foreign) -> bool:
    """Made from noise by us: its recipe alone makes a new picture."""
    return read.recipe is not None and read.recipe.start is None


def _light(file: Path) -> Light | None:
    """The template that wrote the picture's words, which its sidecar alone tells."""
    with suppress(InputError):
        if file.with_suffix(".json").is_file():
            return Store(file.resolve().parent.parent).sidecar(file.stem).facts.light
    return None


def subject_of(prompt: str) -> str:
    """Who or what a prompt is of: `portrait of a woman, ...` is of a woman."""
    head = re.split(r"[,.]", prompt)[0].strip()
    return match[1] if (match := re.search(r"(?:portrait|photo(?:graph)?) of (.+)", head)) else head
