"""From a pilot picture to a series, and from one change to a sweep and its members. Knows nothing about commands.

Every picture goes the way of all pictures: a sweep, a run folder, one journal. Before a run starts, each of its recipes
is held against the pilot's: apart from words, seed and reference nothing may differ.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines import foreign, metadata, reference_images
from pipelines.checkpoint import find
from pipelines.draft import Draft
from pipelines.errors import InputError, RecipeError
from pipelines.files import put
from pipelines.light import Light
from pipelines.prompts import words
from pipelines.raster import content, open_raster
from pipelines.recipe import Mechanism, Recipe
from pipelines.skin_reference import CONSENT
from pipelines.store import Store
from sweeps.axes import Axis
from sweeps.inputs import INPUTS
from sweeps.plan import Cell
from sweeps.prepare import Prepared, ask
from sweeps.sweep import Sweep
from workbench import face_passes
from workbench.series import FILE, PILOT, Member, Pilot, Series, SeriesReference, held
from workbench.series_change import Change, axis_of, changed, frozen_light

REPAIRED = "face1.skin; feather 0.06"
"""What the second pass of a reference by bands works on: the skin of the first face, as the face commands' examples."""


class Photo(NamedTuple):
    """A reference photograph as asked for."""

    file: Path
    weight: float
    by: Mechanism | None
    title: str = ""
    """What people call it, where the file is a copy named by its content."""


@dataclass(frozen=True)
class Begun:
    """A series not written yet: its pilot's bytes, and what a person should know."""

    series: Series
    pilot: Path
    photo: Path | None
    told: tuple[str, ...]


def begun(file: Path, name: str, *, today: str, photo: Photo | None) -> Begun:
    """A series out of a picture of ours, called after its words where `name` is empty.

    Raises InputError for a picture without a recipe, or begun from another picture.
    """
    read = foreign.read(file)
    recipe = read.recipe
    if recipe is None:
        raise InputError(
            f"{file} was made by {read.tool}, whose values are no whole recipe; a pilot is made by Sidelight"
        )
    if recipe.start:
        raise InputError(
            f"{file} began from another picture, which would freeze pose and framing too; take that one as pilot "
            f"(`sidelight picture history {file}`), and its photograph with --reference"
        )
    base = foreign.draft(read)
    light = _light(file, recipe)
    told = [*read.warnings] if photo or not recipe.references else []
    if light:
        base = frozen_light(base, light)
    else:
        told.append("no light template is known of it: pose, framing, action and age go into its prompt as words")
    reference, kept, more = _reference(base.checkpoint, photo or _own_photo(file, recipe), is_own=photo is None)
    pilot = Pilot(key=recipe.key, content=content(open_raster(file)), run=str(file.resolve().parent.parent))
    name = name or _name(base)
    series = Series.read({"name": name, "made": today, "base": base, "pilot": pilot, "reference": reference})
    check_frozen([cell.recipe for cell in ask(Sweep.over(name, base, axes=())).cells.cells], recipe)
    return Begun(series, file, kept, (*told, *more))


def lay_down(begun: Begun, folder: Path) -> None:
    """Write a series: the pilot's copy, the reference's, and its file last. Raises InputError, BusyError, DiskError."""
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder):
        if (folder / FILE).exists():
            raise InputError(f"the series {folder.name} is there already; give another --name")
        put({folder / PILOT: begun.pilot.read_bytes()})
        if begun.photo:
            Store(folder).add_input(open_raster(begun.photo))
        begun.series.keep(folder)


def carried_by(checkpoint: str, asked: Mechanism | None) -> tuple[Mechanism, str]:
    """What carries a reference in pictures of a new composition, and why: the network, or bands in a second pass.

    Raises RecipeError for an `asked` mechanism that cannot be.
    """
    try:
        if asked != "bands":
            chosen = reference_images.mechanism_for(find(checkpoint), has_start=False, asked=asked)
            return chosen.mechanism, chosen.reason
    except RecipeError as error:
        if asked:
            raise
        reason = f"{str(error).partition(', or give start')[0]}; without it "
    else:
        reason = ""
    return "bands", (
        f"{reason}the reference acts in a second pass: each picture is made by words, then its face's skin is repaired "
        "with the reference's bands"
    )


def keep_photo(folder: Path, photo: Path) -> str:
    """Copy a bracket's reference into a series by content hash, which is returned. Raises InputError, BusyError."""
    with held(folder):
        return Store(folder).add_input(open_raster(photo))


class Planned(NamedTuple):
    """A sweep of one change in several wordings, and the change of every step."""

    sweep: Sweep
    changes: tuple[Change, ...]


def planned(
    series: Series, changes: Sequence[Change], seeds: Sequence[int], *, photos: Sequence[Photo | None]
) -> Planned:
    """The sweep of these changes and seeds; `photos` are the references of the changes.

    A reference by bands is left out here: it comes in the second pass. Raises InputError.
    """
    family = find(series.base.checkpoint).family
    drafts = [
        _with_photo(changed(series.base, change, family).but(seed=seeds[0]), photo)
        for change, photo in zip(changes, photos, strict=True)
    ]
    axes = [axis for axis in (axis_of(drafts, drafts[0]), _seed_axis(seeds)) if axis]
    said = " ".join(change.said for change in changes) or ",".join(map(str, seeds))
    return Planned(Sweep.over(f"{series.name} {changes[0].what} {said}", drafts[0], axes=axes), tuple(changes))


def members(plan: Planned, prepared: Prepared, references: Sequence[str] = ()) -> tuple[Member, ...]:
    """What the run of a plan adds to its series, made or not; `references` are content hashes by change."""
    return tuple(_member(plan, prepared, cell, references) for cell in prepared.cells.cells)


def pilot_recipe(folder: Path) -> Recipe:
    """The recipe inside the series' copy of its pilot; raises InputError if that is not there any more."""
    if embedded := metadata.read(folder / PILOT):
        return embedded.recipe
    raise InputError(f"{folder / PILOT} holds no recipe any more; put the pilot's own file back")


def check_frozen(recipes: Sequence[Recipe], pilot: Recipe) -> None:
    """Raise InputError if anything but words, seed and reference of a recipe differs from the pilot's."""
    for recipe in recipes:
        alike = recipe.but(prompt=pilot.prompt, seed=pilot.seed, references=pilot.references)
        for field in type(pilot).model_fields:
            if pilot.but(**{field: getattr(alike, field)}).key != pilot.key:
                raise InputError(
                    f"{field} would be {_brief(getattr(alike, field))}, in the pilot it was "
                    f"{_brief(getattr(pilot, field))}; "
                    "models or templates of this machine changed since: put back what changed, or begin another series"
                )


def repair_sweep(member: Member, photo: Photo, name: str) -> Sweep:
    """The second pass of a picture whose reference acts by bands; raises InputError."""
    source = face_passes.source(member.path)
    given = {"reference": [str(photo.file)], "reference_weight": [str(photo.weight)], "reference_by": ["bands"]}
    title = f"{name} skin {member.key}"
    return face_passes.repair_sweep(source, [REPAIRED], start=member.path, given=given, name=title)


def _member(plan: Planned, prepared: Prepared, cell: Cell, references: Sequence[str]) -> Member:
    at = cell.places[0][0] if len(plan.changes) > 1 else 0
    change = plan.changes[at]
    return Member(
        changed=change.what,
        said=change.said,
        seed=cell.recipe.seed,
        key=cell.recipe.key,
        run=str(prepared.folder.resolve()),
        reference=references[at] if references else "",
    )


def _name(base: Draft) -> str:
    words = re.findall(r"[a-z0-9]+", (base.subject or base.prompt).lower())
    return "-".join([word for word in words if word not in ("a", "an", "the", "of")][:4]) or "series"


def _light(file: Path, recipe: Recipe) -> Light | None:
    """The template of the picture's sidecar, if it still writes the same words."""
    path = file.with_suffix(".json")
    if not path.is_file():
        return None
    light = Store(file.resolve().parent.parent).sidecar(file.stem).facts.light
    return light if light and words(light, recipe.checkpoint.family).prompt == recipe.prompt else None


def _own_photo(file: Path, recipe: Recipe) -> Photo | None:
    """The reference of the pilot itself, from the inputs beside it."""
    if not recipe.references:
        return None
    reference = recipe.references[0]
    copy = file.resolve().parent.parent / INPUTS / f"{reference.image}.png"
    if not copy.is_file():
        raise InputError(f"the reference of {file} is not beside its run; give the photograph with --reference")
    return Photo(copy, reference.weight, reference.mechanism)


def _reference(
    checkpoint: str, photo: Photo | None, *, is_own: bool
) -> tuple[SeriesReference | None, Path | None, tuple[str, ...]]:
    if photo is None:
        return None, None, ()
    by, reason = carried_by(checkpoint, photo.by)
    image = content(open_raster(photo.file))
    told = [reason, CONSENT] if not is_own else [reason]
    if not is_own:
        told.append("the pilot itself was made without it: `check` measures pictures with it against one without")
    return SeriesReference(image=image, weight=photo.weight, by=by, photo=photo.file.name), photo.file, tuple(told)


def photo_of(series: Series, folder: Path) -> Photo | None:
    """The series' own reference, its copy; None without one."""
    file = series.reference_file(folder)
    kept = series.reference
    return Photo(file, kept.weight, kept.by, kept.photo) if file and kept else None


def _with_photo(draft: Draft, photo: Photo | None) -> Draft:
    if photo is None or photo.by == "bands":
        return draft
    return draft.but(reference=str(photo.file), reference_weight=photo.weight, reference_by=photo.by)


def _seed_axis(seeds: Sequence[int]) -> Axis | None:
    return Axis(fields=("seed",), values=tuple((seed,) for seed in seeds)) if len(seeds) > 1 else None


def _brief(value: object) -> str:
    text = value.canonical() if hasattr(value, "canonical") else repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
