"""From what an engine made to the picture that is kept: a repair is pasted back and proven, a pull is measured.

Knows nothing about folders: what a recipe names comes from its run's inputs.
"""

from dataclasses import dataclass

from pipelines import metadata, proof, repair, schedulers, skin_reference
from pipelines.events import Made
from pipelines.images import to_uint8
from pipelines.metadata import Embedded
from pipelines.proof import Proof
from pipelines.raster import Raster, content, grey8, rgb8, to_png
from pipelines.recipe import Recipe
from pipelines.skin_reference import Pull
from pipelines.store import Store


@dataclass(frozen=True)
class Picture:
    """An encoded picture with its recipe inside, and what was found while it was finished."""

    png: bytes
    content: str
    proof: Proof | None
    pull: tuple[Pull, ...]


def finished(made: Made, recipe: Recipe, inputs: Store) -> Picture:
    """The PNG of a picture; equal pictures give equal bytes. Raises CellError, InputError."""
    raster, proven = Raster(to_uint8(made.pixels), b""), None
    if recipe.crop and recipe.start and recipe.mask:
        source, mask = inputs.input(recipe.start.image), grey8(inputs.input(recipe.mask.image))
        raster = repair.paste(source, mask, recipe.crop, made.pixels)
        proven = proof.prove(source, raster, mask)
    png = to_png(
        raster,
        text={metadata.CHUNK: Embedded(recipe=recipe, numerics=made.numerics, lane=made.lane).text()},
        parameters=_parameters(recipe),
    )
    return Picture(png, content(raster), proven, _pulls(raster, recipe, inputs))


def _parameters(recipe: Recipe) -> str:
    sampler, schedule = schedulers.to_a1111(recipe.scheduler)
    return metadata.a1111(recipe, sampler=sampler, schedule_type=schedule)


def _pulls(made: Raster, recipe: Recipe, inputs: Store) -> tuple[Pull, ...]:
    """How far the picture went toward each skin reference, from its start image; none without one."""
    if recipe.start is None:
        return ()
    before, after = rgb8(inputs.input(recipe.start.image)), rgb8(made)
    found: list[Pull] = []
    for reference in recipe.references:
        photograph = rgb8(inputs.input(reference.image))
        if pull := skin_reference.pull(before, after, photograph, weight=reference.weight):
            found.append(pull)
    return tuple(found)
