"""Draft: a Recipe as a person asks for it; `settle` makes the Recipe. Knows nothing about how pictures are made.

In a draft the checkpoint is a name or folder, images are paths, LoRAs are names, the scheduler is any tool's spelling,
a light template stands for the prompt, and what is missing is left to the checkpoint.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from pipelines import loras, prompts, schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.errors import RecipeError
from pipelines.families import family_of
from pipelines.families.base import settings
from pipelines.frozen import Frozen
from pipelines.prompts import Light, Words
from pipelines.recipe import SHA256, Recipe, Spacing

LIGHT = "light."
"""Begins the name of a field of the light template, as in `light.direction`."""


class Draft(Frozen):
    """A Recipe as asked for; every field is named like the Recipe's, None means "as the checkpoint likes it".

    `light` is a template that writes the prompt (and what is forbidden) around `subject`; `light_fields` are those of
    its fields that are said otherwise, by name. `loras` is text: "film:0.8+skin:0.5", or "none".
    """

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
    loras: str | None = None
    light: str | None = None
    subject: str | None = None
    light_fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def said(cls, values: Mapping[str, Any]) -> "Draft":
        """A draft of values by name, `light.NAME` among them; raises InputError."""
        return cls.read(_gathered(values, ()))

    def with_values(self, values: Mapping[str, Any]) -> "Draft":
        """A copy with some values changed, `light.NAME` among them; raises InputError."""
        return self.but(**_gathered(values, self.light_fields))

    def value(self, field: str) -> Any:
        """What is said of a field or of `light.NAME`; None where nothing is."""
        if field.startswith(LIGHT):
            return dict(self.light_fields).get(field.removeprefix(LIGHT))
        return getattr(self, field)


def _gathered(values: Mapping[str, Any], before: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """The values with all of `light.NAME` laid into one field, over those there were before."""
    said = {name.removeprefix(LIGHT): _text(value) for name, value in values.items() if name.startswith(LIGHT)}
    plain = {name: value for name, value in values.items() if not name.startswith(LIGHT)}
    return plain | {"light_fields": tuple(sorted((dict(before) | said).items()))}


def _text(value: Any) -> str:
    """A number of an axis as a person writes it, exactly."""
    return repr(value).removesuffix(".0") if isinstance(value, int | float) else str(value)


class Taken(NamedTuple):
    """An image that was read and kept: its content hash and size in pixels."""

    image: SHA256
    width: int
    height: int


class Settled(NamedTuple):
    """The Recipe that a draft means, warnings to be recorded beside the picture, and the light it was asked with."""

    recipe: Recipe
    warnings: tuple[str, ...]
    light: Light | None


def settle(draft: Draft, checkpoint: Checkpoint, take: Callable[[Path], Taken]) -> Settled:
    """What `draft` means for this checkpoint.

    `take` reads an image file, keeps a copy and says what it is. A start image gives the size unless the draft does.
    Raises RecipeError (or InputError) for what the family or checkpoint cannot do.
    """
    if (draft.start is None) != (draft.strength is None):
        missing, given = ("strength", "start") if draft.start else ("start", "strength")
        raise RecipeError(f"{given} is given without {missing}; img2img needs both (strength 0.4-0.6 keeps the face)")
    family = family_of(checkpoint)
    defaults = settings(family, checkpoint)
    light = _light(draft)
    words = prompts.words(light, checkpoint.family) if light else Words(draft.prompt, None)
    start = take(Path(draft.start)) if draft.start else None
    mask = take(Path(draft.mask)) if draft.mask else None
    recipe = Recipe.read(
        {
            **draft.model_dump(exclude={"start", "strength", "mask", "light", "subject", "light_fields"}),
            "checkpoint": checkpoint.weights,
            "prompt": words.prompt,
            "negative": words.negative if draft.negative is None else draft.negative,
            "loras": loras.chosen(draft.loras or "none", checkpoint),
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
    return Settled(recipe, family.check(recipe, checkpoint), light)


def _light(draft: Draft) -> Light | None:
    """The filled template, or None where the prompt is written by hand; raises RecipeError for half of either."""
    if draft.light is None:
        without = [*(LIGHT + name for name, _ in draft.light_fields), *(["subject"] if draft.subject else [])]
        if without:
            raise RecipeError(f"{without[0]} is given without light; name a template (`sidelight prompt list`)")
        return None
    if draft.prompt:
        raise RecipeError("prompt and light are both given; a light writes the prompt around its subject: say subject")
    return prompts.resolve(draft.light, draft.subject or "", dict(draft.light_fields))
