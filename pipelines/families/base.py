"""What every model family answers, and the checks they share. Knows nothing about any one family."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pipelines import loras, schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.errors import RecipeError
from pipelines.listing import Defaults
from pipelines.recipe import FamilyName, Recipe

Parts = Mapping[str, Any]
"""Loaded components of a checkpoint by diffusers' names ("unet", "vae", "tokenizer_2", ...) and its pipeline flags."""


@dataclass(frozen=True)
class Images:
    """The pictures a recipe names, as Pillow RGB (start) and L (mask) images of the recipe's size.

    `references` are those that are inputs of the network (`reference_images.carried`), in the recipe's order: RGB, of
    their own size.
    """

    start: Any = None
    mask: Any = None
    references: tuple[Any, ...] = ()


class Family(Protocol):
    """One model family: what it allows, and how its stock diffusers pipeline is built and called."""

    name: FamilyName

    @property
    def denoiser(self) -> str:
        """Component whose forward is merged."""

    @property
    def encoders(self) -> tuple[str, ...]:
        """Components that turn words into tensors; put away before denoising."""

    @property
    def lane_width(self) -> int:
        """Rows of the widest call of the denoiser that any recipe makes."""

    def defaults(self, checkpoint: Checkpoint) -> Defaults:
        """What a draft that says nothing gets."""

    def check(self, recipe: Recipe, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Warnings to record; raises RecipeError for what this checkpoint cannot make."""

    def rows(self, recipe: Recipe) -> int:
        """Rows of one call of the denoiser for this recipe."""

    def calls(self, recipe: Recipe) -> int:
        """Calls of the denoiser in an evaluation in which guidance acts."""

    def words(self, recipe: Recipe) -> tuple[Any, ...]:
        """What `encode` depends on: recipes with equal words share one encoding."""

    def encode(self, parts: Parts, recipe: Recipe, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """The prompt as tensors, named as the pipeline's arguments; one prompt at a time, as stock pipelines do."""

    def pipeline(self, parts: Parts, recipe: Recipe) -> Any:
        """A stock pipeline object for this recipe's mode, without text encoders."""

    def arguments(self, recipe: Recipe, images: Images) -> Mapping[str, Any]:
        """Arguments of the pipeline's call beside words, generator and output type."""

    def latents(self, packed: Any, recipe: Recipe, checkpoint: Checkpoint) -> Any:
        """Latents (1, channels, height, width) out of what the pipeline carries between steps."""


def assembled(cls: Any, parts: Parts) -> Any:
    """A stock pipeline of those parts that its class takes: a checkpoint's flags may be another mode's."""
    taken = inspect.signature(cls.__init__).parameters
    return cls(**{name: part for name, part in parts.items() if name in taken})


def check_common(family: Family, recipe: Recipe, *, grid: int) -> None:
    """Refuse what no family makes yet, sizes off `grid` (pixels), schedulers that do not fit; raises RecipeError."""
    if recipe.finish:
        raise RecipeError("finish are read but not applied by this version; leave them out, so that nothing is ignored")
    loras.check(recipe.loras, family=family.name, checkpoint=recipe.checkpoint.name)
    if recipe.variation:
        raise RecipeError(
            f"variation {recipe.variation} is for models without a seed; {family.name} has one, so change seed"
        )
    for side, pixels in (("width", recipe.width), ("height", recipe.height)):
        if pixels % grid:
            low = pixels // grid * grid
            raise RecipeError(f"{side} {pixels} is not a multiple of {grid}; take {low or grid} or {low + grid}")
    schedulers.check(recipe.scheduler, family=family.name, mode=recipe.mode, spacing=recipe.spacing, steps=recipe.steps)
    if recipe.start:
        schedulers.walked(recipe.steps, recipe.start.strength, family=family.name)


def settings(family: Family, checkpoint: Checkpoint) -> Defaults:
    """Default settings: the family's for this checkpoint, then what models.txt says; raises InputError."""
    return family.defaults(checkpoint).but(**checkpoint.asked)


def warn_trained(family: Family, recipe: Recipe, checkpoint: Checkpoint) -> tuple[str, ...]:
    """A warning if guidance lies outside what models.txt says the checkpoint was trained for."""
    trained = settings(family, checkpoint).trained_guidance
    if trained is None or trained[0] <= recipe.guidance <= trained[1]:
        return ()
    low, high = trained
    return (f"guidance {recipe.guidance:g} is outside {low:g} to {high:g}, which {checkpoint.name} was trained for",)
