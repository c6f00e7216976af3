"""The images that a recipe names, as its pipeline takes them. Knows nothing about how pictures are made.

Of a repair the pipeline sees the crop alone, scaled to the recipe's size; the texture of a skin reference that acts by
bands is laid into it here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines import repair, skin_reference
from pipelines.families.base import Images
from pipelines.raster import Raster, grey8, rgb8
from pipelines.recipe import Recipe
from pipelines.store import Store


def images_of(recipe: Recipe, store: Store) -> Images:
    """Start, mask and references out of a run's inputs; raises InputError for what is not there or has no face."""
    if recipe.start is None:
        return Images(references=_references(recipe, store))
    source = store.input(recipe.start.image)
    mask = grey8(store.input(recipe.mask.image)) if recipe.mask else None
    start, hard = _seen(source, mask, recipe)
    for reference in recipe.references:
        if reference.mechanism == "bands" and hard is not None:
            pulling = rgb8(store.input(reference.image))
            start = _textured(start, hard, pulling, weight=reference.weight)
    return Images(start, hard, references=_references(recipe, store))


def _seen(source: Raster, mask: NDArray[np.uint8] | None, recipe: Recipe) -> tuple[Any, Any]:
    if recipe.crop and mask is not None:
        return repair.cut(source, mask, recipe)
    return Image.fromarray(rgb8(source), "RGB"), None if mask is None else Image.fromarray(mask, "L")


def _textured(start: Any, hard: Any, reference: NDArray[np.uint8], *, weight: float) -> Any:
    pixels = np.asarray(start, np.float32) / np.float32(255)
    where = np.asarray(hard, np.float32) / np.float32(255)
    made = skin_reference.textured(pixels, where, reference, weight=weight)
    return Image.fromarray((made.clip(0, 1) * 255).round().astype(np.uint8), "RGB")


def _references(recipe: Recipe, store: Store) -> tuple[Any, ...]:
    carried = [reference for reference in recipe.references if reference.mechanism != "bands"]
    return tuple(Image.fromarray(rgb8(store.input(reference.image)), "RGB") for reference in carried)
