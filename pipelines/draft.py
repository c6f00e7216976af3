"""Draft: a Recipe as a person asks for it; `settle` makes the Recipe. Knows nothing about how pictures are made.

In a draft the checkpoint is a name or folder, images are paths, the scheduler is any tool's spelling, and what is
missing is left to the checkpoint.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from pipelines import schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.errors import RecipeError
from pipelines.families import family_of
from pipelines.families.base import settings
from pipelines.frozen import Frozen
from pipelines.recipe import SHA256, Recipe, Spacing


class Draft(Frozen):
    """A Recipe as asked for; every field is named like the Recipe's, None means "as the checkpoint likes it"."""

    checkpoint: str
    prompt: str = ""
    negative: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)] = 0
    width: Annotated[int, Field(ge=16)] | None = None
    height: Annotated[int, Field(ge=16)] | None = None
    steps: int | None = None
    guidance: float | None = None
    true_guidance: float = 1.0
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    scheduler: str | None = None
    spacing: Spacing | None = None
    clip_skip: int = 0
    text_tokens: int | None = None
    variation: int = 0
    start: str | None = None
    strength: float | None = None
    mask: str | None = None


class Taken(NamedTuple):
    """An image that was read and kept: its content hash and size in pixels."""

    image: SHA256
    width: int
    height: int


def settle(draft: Draft, checkpoint: Checkpoint, take: Callable[[Path], Taken]) -> tuple[Recipe, tuple[str, ...]]:
    """The Recipe that `draft` means for this checkpoint, and warnings to be recorded beside the picture.

    `take` reads an image file, keeps a copy and says what it is. A start image gives the size unless the draft does.
    Raises RecipeError (or InputError) for what the family or checkpoint cannot do.
    """
    if (draft.start is None) != (draft.strength is None):
        missing, given = ("strength", "start") if draft.start else ("start", "strength")
        raise RecipeError(f"{given} is given without {missing}; img2img needs both (strength 0.4-0.6 keeps the face)")
    family = family_of(checkpoint)
    defaults = settings(family, checkpoint)
    start = take(Path(draft.start)) if draft.start else None
    mask = take(Path(draft.mask)) if draft.mask else None
    recipe = Recipe.read(
        {
            **draft.model_dump(exclude={"start", "strength", "mask"}),
            "checkpoint": checkpoint.weights,
            "width": draft.width or (start.width if start else defaults.width),
            "height": draft.height or (start.height if start else defaults.height),
            "steps": defaults.steps if draft.steps is None else draft.steps,
            "guidance": defaults.guidance if draft.guidance is None else draft.guidance,
            "text_tokens": defaults.text_tokens if draft.text_tokens is None else draft.text_tokens,
            "scheduler": schedulers.named(draft.scheduler or defaults.scheduler),
            "start": start and {"image": start.image, "strength": draft.strength},
            "mask": mask and {"image": mask.image},
        }
    )
    for what, image in (("start", start), ("mask", mask)):
        if image and (image.width, image.height) != (recipe.width, recipe.height):
            raise RecipeError(
                f"{what} is {image.width}x{image.height} but the picture is {recipe.width}x{recipe.height}; "
                "leave out width and height, or give an image of that size"
            )
    return recipe, family.check(recipe, checkpoint)
