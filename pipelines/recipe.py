"""Recipe: everything that decides the pixels of one picture, and nothing else.

Knows nothing about files, devices, model families or how a picture is made: pictures and weights are content hashes
here. What a family can do with a recipe is checked in `pipelines.families`.
"""

import hashlib
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pipelines.frozen import LABEL, Frozen

FamilyName = Literal["sdxl", "flux", "flux2"]
Spacing = Literal["leading", "trailing", "linspace"]
Share = Annotated[float, Field(ge=0, le=1)]
SHA256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
"""Hex digest. Images: of the decoded pixels + mode + depth + ICC profile. Weights: see `checkpoint.digest`."""


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character, which no picture file can carry; take it out")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]


class Weights(Frozen):
    """Which checkpoint: identity is the digest over all its weight files, never its name or path."""

    digest: SHA256
    family: FamilyName
    quantisation: str = ""
    name: str = Field("", json_schema_extra=LABEL)

    @property
    def identity(self) -> str:
        """What tells opened weights apart: one file at two precisions is two."""
        return f"{self.digest} {self.quantisation}".strip()


class SchedulerChoice(Frozen):
    """A scheduler by our name (`sidelight schedulers`), and options of its class that differ from that name's."""

    name: str
    options: tuple[tuple[str, str | int | float | bool], ...] = ()

    @model_validator(mode="after")
    def _options_in_one_order(self) -> "SchedulerChoice":
        names = [name for name, _ in self.options]
        if names != sorted(set(names)):
            raise ValueError("scheduler options must be given once each, in alphabetical order")
        return self

    @property
    def text(self) -> str:
        """As people write it, and `pipelines.schedulers.named` reads it: name:option=value, with true and false."""
        values = ((name, str(value).lower() if isinstance(value, bool) else value) for name, value in self.options)
        return ":".join([self.name, *(f"{name}={value}" for name, value in values)])


class Lora(Frozen):
    """An adapter file and how strongly it acts. weight 1 = as trained; negative pushes away."""

    file: SHA256
    weight: Annotated[float, Field(ge=-4, le=4)] = 1.0
    family: FamilyName
    name: str = Field("", json_schema_extra=LABEL)


Mechanism = Literal["bands", "ip-adapter", "redux", "kontext", "images"]
"""How a reference acts. bands: its skin texture is laid into the start image; the others are inputs of the network."""


class Reference(Frozen):
    """An image whose skin pulls the picture. weight 0 = not at all, 1 = fully; 0.4-0.6 is the normal range.

    A reference of role start becomes the recipe's Start, with strength 1 - weight. `adapter` is the digest of the
    adapter's weights, where the mechanism has any.
    """

    image: SHA256
    role: Literal["skin", "start"] = "skin"
    weight: Share = 0.5
    mechanism: Mechanism | None = None
    adapter: SHA256 | None = None


class Start(Frozen):
    """The image that img2img and inpainting begin from; strength is diffusers' own (1 = nothing kept)."""

    image: SHA256
    strength: Annotated[float, Field(gt=0, le=1)]


class Mask(Frozen):
    """Where inpainting may act: white (1) is repainted, black (0) kept."""

    image: SHA256


class Crop(Frozen):
    """The part of the start image that is worked on, scaled to the recipe's size, then pasted back under the mask.

    Pixels of the start image, which is `of_width` x `of_height`, from its top left corner. With a crop the mask may be
    soft: where it is 0, every byte of the picture stays the start image's.
    """

    left: Annotated[int, Field(ge=0)]
    top: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    of_width: Annotated[int, Field(ge=1)]
    of_height: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _lies_inside(self) -> "Crop":
        if self.left + self.width > self.of_width or self.top + self.height > self.of_height:
            raise ValueError(
                f"{self.width}x{self.height} at {self.left}, {self.top} reaches out of {self.of_width}x{self.of_height}"
            )
        return self


class Pass(Frozen):
    """One pixel pass after decoding, by name, with its values."""

    name: str
    values: tuple[tuple[str, float], ...] = ()


class Recipe(Frozen):
    """Everything that decides the pixels of one picture.

    Sizes are pixels; with a `crop`, width and height are those it is worked on at. `steps` is what is given to the
    scheduler (2nd-order kinds evaluate the network 2N-1 times).
    `guidance` is classifier-free guidance on SDXL and FLUX.2 and the distilled guidance input on FLUX.1, where
    `true_guidance` is classifier-free guidance (1 = off). `guidance_interval` is the share of network evaluations in
    which classifier-free guidance acts. `negative` None and "" are different pictures on SDXL. `spacing` None = as the
    checkpoint ships it. `clip_skip` 0 = the family's normal. `text_tokens` 0 = the family's normal padding length.
    `variation` tells apart equal requests to a model without a seed. Raises pydantic's ValidationError; use
    `Recipe.read` for data from outside.
    """

    version: Literal[1] = 1
    checkpoint: Weights
    prompt: Text
    negative: Text | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    width: Annotated[int, Field(ge=16, le=16384)]
    height: Annotated[int, Field(ge=16, le=16384)]
    steps: Annotated[int, Field(ge=1, le=1000)]
    guidance: Annotated[float, Field(ge=0, le=100)]
    true_guidance: Annotated[float, Field(ge=1, le=100)] = 1.0
    guidance_interval: tuple[Share, Share] = (0.0, 1.0)
    scheduler: SchedulerChoice
    spacing: Spacing | None = None
    clip_skip: Annotated[int, Field(ge=0, le=12)] = 0
    text_tokens: Annotated[int, Field(ge=0, le=512)] = 0
    variation: Annotated[int, Field(ge=0)] = 0
    loras: tuple[Lora, ...] = ()
    references: tuple[Reference, ...] = ()
    start: Start | None = None
    mask: Mask | None = None
    crop: Crop | None = None
    finish: tuple[Pass, ...] = ()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "Recipe":
        if self.mask and not self.start:
            raise ValueError("a mask needs a start image to repaint; give start too")
        if self.crop and not self.mask:
            raise ValueError("a crop is pasted back under a mask; give mask too")
        if self.guidance_interval[0] >= self.guidance_interval[1]:
            raise ValueError("guidance_interval must begin before it ends, as in (0.0, 0.6)")
        return self

    @cached_property
    def key(self) -> str:
        """16 hex digits that stand for this picture: file name, cache key, resume test and identity in reports."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the finished picture in pixels."""
        return (self.crop.of_width, self.crop.of_height) if self.crop else (self.width, self.height)

    @property
    def mode(self) -> Literal["text-to-image", "img2img", "inpaint"]:
        """What the pipeline does with this recipe."""
        if self.start is None:
            return "text-to-image"
        return "inpaint" if self.mask else "img2img"
