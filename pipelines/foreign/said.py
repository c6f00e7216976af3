"""What another tool's picture says, as data: passes, models, and what found no place. Knows nothing about formats."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from pipelines.frozen import Frozen
from pipelines.recipe import FamilyName, Mechanism, Recipe, Share, Spacing

Spelling = Literal["a1111", "comfyui", "diffusers"]
"""Whose names a sampler and a schedule have; diffusers: InvokeAI and SD.Next, which leave the spacing as shipped."""
OTHER_VAE = "another VAE than the checkpoint's own: say --checkpoint NAME+vae=NAME if models.txt lists it"
OWN_VAE = ("", "none", "automatic", "default (model)", "baked vae")
"""How tools say that the checkpoint's own VAE was used."""
LONGEST = 2000
"""Characters of a value shown among the unmapped; a longer one is cut, and says so."""


class Unmapped(Frozen):
    """Something the picture says that has no place in a Draft, and why, in words."""

    name: str
    value: str
    why: str

    @classmethod
    def of(cls, name: str, value: object, why: str) -> "Unmapped":
        """With the value as text, cut if it is very long."""
        text = str(value)
        cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
        return cls(name=name[:LONGEST], value=cut, why=why)


class Model(Frozen):
    """A checkpoint as the other tool names it; hash as it writes it, empty if it does not."""

    name: str = ""
    hash: str = ""


class ForeignLora(Frozen):
    """A LoRA as the other tool names it; text_weight where the text encoders have another weight."""

    name: str
    weight: float
    text_weight: float | None = None


class ForeignPass(Frozen):
    """One run of a sampler as the other tool says it; None where it says nothing.

    `cfg` is classifier-free guidance, `distilled` the guidance input of FLUX. `negative` None: none, or zeros in its
    place; "": the empty text, encoded. `denoise` is below 1 where the pass began from a picture, then `begins_from`
    says which. `clip_skip` is counted as in a Recipe. Steps from `first_step` to `last_step` were walked.
    """

    role: str = "base"
    model: Model | None = None
    prompt: str | None = None
    negative: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    cfg: float | None = None
    distilled: float | None = None
    guidance_interval: tuple[Share, Share] | None = None
    sampler: str = ""
    schedule: str | None = None
    spelling: Spelling = "a1111"
    spacing: Spacing | None = None
    first_step: int | None = None
    last_step: int | None = None
    denoise: float | None = None
    begins_from: str = ""
    clip_skip: int | None = None
    loras: tuple[ForeignLora, ...] = ()


class Values(Frozen):
    """The fields of a Draft that could be mapped, by their names there; None where nothing could."""

    prompt: str | None = None
    negative: str | None = None
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    true_guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    scheduler: str | None = None
    spacing: Spacing | None = None
    clip_skip: int | None = None
    text_tokens: int | None = None
    variation: int | None = None
    start: str | None = None
    strength: float | None = None
    mask: str | None = None
    context: float | None = None
    reference: str | None = None
    reference_weight: float | None = None
    reference_by: Mechanism | None = None
    loras: str | None = None


class Foreign(Frozen):
    """All that was read of one picture.

    `passes` in the order in which they ran; `base` is the one that `values` are made of, None if none could be told.
    `row` names the matched row of models.txt, empty if none; `recipe` is whole for our own pictures only.
    """

    tool: str
    version: str = ""
    kept_in: str
    passes: tuple[ForeignPass, ...] = ()
    base: ForeignPass | None = None
    values: Values = Values()
    checkpoint: Model | None = None
    row: str = ""
    row_why: str = ""
    family: FamilyName | None = None
    family_why: str = ""
    recipe: Recipe | None = None
    unmapped: tuple[Unmapped, ...] = ()
    warnings: tuple[str, ...] = ()


class Told(NamedTuple):
    """What one tool's reader found, before checkpoints are looked up. `hints`: words that may tell the family."""

    tool: str
    version: str
    passes: tuple[ForeignPass, ...]
    base: ForeignPass | None
    hints: tuple[str, ...]
    unmapped: tuple[Unmapped, ...]
    warnings: tuple[str, ...]
