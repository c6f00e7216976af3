"""Draft: a Recipe as a person asks for it; `settle` makes the Recipe. Knows nothing about how pictures are made.

In a draft the checkpoint is a name or folder, images are paths, LoRAs are names, the scheduler is any tool's spelling,
a light template stands for the prompt, and what is missing is left to the checkpoint.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import Field

from pipelines import loras, prompts, reference_images, schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.errors import RecipeError
from pipelines.families import family_of
from pipelines.families.base import settings
from pipelines.framing import crop_around
from pipelines.frozen import Frozen
from pipelines.listing import Defaults
from pipelines.mask_words import is_expression
from pipelines.prompts import Light, Words
from pipelines.recipe import SHA256, Crop, Mechanism, Recipe, Reference, Share, Spacing

LIGHT = "light."
"""Begins the name of a field of the light template, as in `light.direction`."""
MUCH_COARSER = 1.15
"""Times the working size: a tenth is what fitting it to a crop's ratio may cost."""
CROP_GRID = 16  # pixels: what SDXL's UNet and FLUX's patches can take
OWN_NAMES = {
    "start", "strength", "mask", "context", "reference", "reference_weight", "reference_role", "reference_by",
    "light", "subject", "light_fields",
}  # fmt: skip
"""Fields of a Draft that a Recipe says otherwise."""


class Draft(Frozen):
    """A Recipe as asked for; every field is named like the Recipe's, None means "as the checkpoint likes it".

    `mask` is a path, or a mask expression over the faces of `start`. With `context` only the mask's surroundings are
    worked on, that much of its longer side more on every side, and pasted back; width x height is then the area worked
    at, whose shape follows the mask. `reference` is a photograph whose skin pulls the picture; role None = skin,
    weight None = 0.5, by None = chosen.
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
    context: Annotated[float, Field(ge=0, le=4)] | None = None
    reference: str | None = None
    reference_weight: Share | None = None
    reference_role: Literal["skin", "start"] | None = None
    reference_by: Mechanism | None = None
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
    """An image that was read and kept: its content hash, its size and the box of what is not black, in pixels."""

    image: SHA256
    width: int
    height: int
    box: tuple[int, int, int, int] | None = None
    """Left, top, right, bottom; None where it was not looked for, or all is black."""


class Settled(NamedTuple):
    """The Recipe that a draft means, warnings to be recorded beside the picture, and the light it was asked with."""

    recipe: Recipe
    warnings: tuple[str, ...]
    light: Light | None


class Pictures(Protocol):
    """Where the images of a draft come from."""

    def take(self, path: Path) -> Taken:
        """Read an image file, keep a copy, say what it is; raises InputError."""

    def paint(self, start: Path, expression: str) -> Taken:
        """The mask that an expression means over the faces of a picture; raises InputError."""


class _Named(NamedTuple):
    """The images of a draft, read."""

    start: Taken | None
    strength: float | None
    mask: Taken | None
    reference: Taken | None


def settle(draft: Draft, checkpoint: Checkpoint, pictures: Pictures) -> Settled:
    """What `draft` means for this checkpoint. A start image gives the size unless the draft does.

    Raises RecipeError (or InputError) for what the family or checkpoint cannot do.
    """
    family = family_of(checkpoint)
    defaults = settings(family, checkpoint)
    light = _light(draft)
    words = prompts.words(light, checkpoint.family) if light else Words(draft.prompt, None)
    named = _named(draft, pictures)
    crop, (width, height) = _worked_on(draft, named, defaults)
    references, warnings = _references(draft, named, checkpoint)
    recipe = Recipe.read(
        {
            **draft.model_dump(exclude=OWN_NAMES),
            "checkpoint": checkpoint.weights,
            "prompt": words.prompt,
            "negative": words.negative if draft.negative is None else draft.negative,
            "loras": loras.chosen(draft.loras or "none", checkpoint),
            "width": width,
            "height": height,
            "steps": defaults.steps if draft.steps is None else draft.steps,
            "guidance": defaults.guidance if draft.guidance is None else draft.guidance,
            "text_tokens": defaults.text_tokens if draft.text_tokens is None else draft.text_tokens,
            "scheduler": schedulers.named(draft.scheduler or defaults.scheduler),
            "start": named.start and {"image": named.start.image, "strength": named.strength},
            "mask": named.mask and {"image": named.mask.image},
            "crop": crop,
            "references": references,
        }
    )
    _check_sizes(recipe, named)
    return Settled(recipe, (*warnings, *_coarser(recipe), *family.check(recipe, checkpoint)), light)


def _named(draft: Draft, pictures: Pictures) -> _Named:
    """Read the images; a reference of role start is the start image, its weight says the strength."""
    _refuse_halves(draft)
    start, strength, reference = draft.start, draft.strength, None
    if draft.reference and draft.reference_role == "start":
        start, strength = draft.reference, 1 - _weight(draft)
    elif draft.reference:
        reference = pictures.take(Path(draft.reference))
    if draft.mask is None:
        mask = None
    elif start and is_expression(draft.mask):
        mask = pictures.paint(Path(start), draft.mask)
    else:
        mask = pictures.take(Path(draft.mask))
    return _Named(pictures.take(Path(start)) if start else None, strength, mask, reference)


def _refuse_halves(draft: Draft) -> None:
    if (draft.start is None) != (draft.strength is None):
        missing, given = ("strength", "start") if draft.start else ("start", "strength")
        raise RecipeError(f"{given} is given without {missing}; img2img needs both (strength 0.4-0.6 keeps the face)")
    if not draft.reference:
        for name in ("reference_weight", "reference_role", "reference_by"):
            if getattr(draft, name) is not None:
                raise RecipeError(f"{name} is given without reference; give the photograph that pulls, or leave it out")
    elif draft.reference_role == "start":
        if draft.start:
            raise RecipeError("start and a reference of role start are both given; one picture begins, give one")
        if _weight(draft) == 1:
            raise RecipeError("reference_weight 1 would leave the start image as it is; take 0.4 to 0.6")
        if draft.reference_by:
            raise RecipeError(f"reference_by {draft.reference_by}: a reference of role start is img2img; leave it out")
    if draft.context is not None and not (draft.mask and (draft.start or draft.reference_role == "start")):
        raise RecipeError("context is given without start and mask; it says how much around the mask is worked on")


def _weight(draft: Draft) -> float:
    return 0.5 if draft.reference_weight is None else draft.reference_weight


def _worked_on(draft: Draft, named: _Named, defaults: Defaults) -> tuple[Crop | None, tuple[int, int]]:
    """The crop of a repair and the size it is worked on at; without one, no crop and the picture's own size."""
    start, mask = named.start, named.mask
    if draft.context is None or start is None or mask is None:
        own = start or defaults
        return None, (draft.width or own.width, draft.height or own.height)
    if mask.box is None:
        raise RecipeError("the mask is empty: nothing in it is white; paint what may change, or name another region")
    if (draft.width is None) != (draft.height is None):
        raise RecipeError("width and height together give the area a crop is worked on at; give both, or neither")
    area = (draft.width or defaults.width) * (draft.height or defaults.height)
    return crop_around(mask.box, (start.width, start.height), context=draft.context, pixels=area, grid=CROP_GRID)


def _coarser(recipe: Recipe) -> tuple[str, ...]:
    """A warning where a repair is worked on at fewer pixels than it takes in the picture."""
    crop = recipe.crop
    if crop is None or crop.width <= recipe.width * MUCH_COARSER:
        return ()
    return (
        f"the part around the mask is {crop.width}x{crop.height} and is worked on at {recipe.width}x{recipe.height}: "
        "finer detail under the mask is lost; name a smaller region, or give width and height",
    )


def _references(draft: Draft, named: _Named, checkpoint: Checkpoint) -> tuple[tuple[Reference, ...], tuple[str, ...]]:
    """The reference of role skin with the mechanism that carries it, and why it is that one."""
    if named.reference is None:
        return (), ()
    chosen = reference_images.mechanism_for(
        checkpoint, has_start=named.start is not None and named.mask is not None, asked=draft.reference_by
    )
    reference = Reference(
        image=named.reference.image, weight=_weight(draft), mechanism=chosen.mechanism, adapter=chosen.adapter
    )
    return (reference,), (chosen.reason,)


def _check_sizes(recipe: Recipe, named: _Named) -> None:
    """The start image has the picture's size, and the mask the start image's."""
    for what, image in (("start", named.start), ("mask", named.mask)):
        if image and (image.width, image.height) != recipe.size:
            wide, high = recipe.size
            raise RecipeError(
                f"{what} is {image.width}x{image.height} but the picture is {wide}x{high}; "
                "leave out width and height, or give an image of that size"
            )


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
