"""The words of a repair: what the picture said of person and light, and what its skin, eyes, mouth or neck should be.

Families are spoken to in their own style (`prompts.style_of`). What must not be, such as smooth skin, stands in the
negative prompt where a family has one and in positive words where it has none: a text encoder reads the word all the
same. Knows nothing about pixels.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipelines import prompts
from pipelines.light import Light, Side
from pipelines.mask_words import is_expression, regions_in
from pipelines.prompts import Style, Words
from pipelines.recipe import FamilyName

Task = Literal["skin", "eyes", "mouth", "neck"]


@dataclass(frozen=True)
class Strengths:
    """Denoising strengths of a task: what to begin with, and the range in which the face stays the same person's."""

    usual: float
    low: float
    high: float


STRENGTHS: Mapping[Task, Strengths] = {
    "skin": Strengths(0.45, 0.35, 0.5),
    "eyes": Strengths(0.35, 0.3, 0.4),
    "mouth": Strengths(0.35, 0.3, 0.4),
    "neck": Strengths(0.45, 0.35, 0.5),
}
TASKS: Mapping[str, Task] = {"eyes": "eyes", "brows": "eyes", "mouth": "mouth", "neck": "neck"}
"""Tasks of the regions that are not skin."""

_KEPT: Mapping[Task, str] = {
    "skin": "the shadow under the nose",
    "eyes": "the shadow of the brows",
    "mouth": "the shadow under the nose",
    "neck": "the shadow under the chin",
}
_WANTED: Mapping[Style, Mapping[Task, str]] = {
    "tags": {
        "skin": "suggested pore texture, fine uneven skin",
        "eyes": "sharp iris, separate lashes, fine lines around the eyes",
        "mouth": "fine lines in the lips, soft lip edge, suggested pore texture around the mouth",
        "neck": "neck in the tone of the face, suggested pore texture, fine lines of the neck",
    },
    "sentences": {
        "skin": "The skin shows a suggested pore texture, fine, uneven and unretouched.",
        "eyes": "The iris is sharp, the lashes are separate, and fine lines run around the eyes.",
        "mouth": "The lips show their fine lines and a soft edge, and the skin around them a suggested pore texture.",
        "neck": "The neck has the tone of the face, a suggested pore texture and its fine lines.",
    },
}
_UNWANTED: Mapping[Task, str] = {
    "skin": "smooth skin, plastic skin, airbrushed",
    "eyes": "glassy eyes, smooth skin, airbrushed",
    "mouth": "plastic lips, smooth skin, airbrushed",
    "neck": "smooth skin, plastic skin, airbrushed",
}
_FROM: Mapping[Style, str] = {
    "tags": "side light from the {side}",
    "sentences": "Side light from the {side} of the picture falls across the face.",
}
_OUTSIDE = (
    "margin_percent", "camera_height_cm", "camera_distance_m", "lens_mm", "film_format", "anamorphic", "source_cm",
    "source_distance_m", "tilt_deg", "background", "background_distance_m", "place", "hour", "feel",
)  # fmt: skip
"""Fields of a light that speak of what lies outside the crop."""
_SIDE = re.compile(r"\b(side[ -]?light|raking|rakes|rembrandt|split light|from the (left|right)|window)\b", re.I)
_ABOUT = re.compile(
    r"light|shadow|\blit\b|\bsun|window|lamp|neon|tungsten|candle|\d ?k\b|skin|pore|freckle|wrinkle|\blines?\b|texture|"
    r"beard|stubble|\bage\b|years|make-?up|\bscar|\bmoles?\b",
    re.IGNORECASE,
)
"""What of a prompt is kept for the crop: light, skin, age."""


def task_of(mask: str) -> Task:
    """What a mask is for, by the first region that its expression names; skin for a painted mask."""
    if not is_expression(mask):
        return "skin"
    _, region = regions_in(mask)[0]
    return TASKS.get(region, "skin")


def words(own: Words, task: Task, *, family: FamilyName, light: Light | None = None) -> Words:
    """The words to repair with, out of the picture's own; `light` is the filled template that wrote those, if one did.

    Words of an earlier repair are not said twice. Raises InputError for a family without wording.
    """
    style = prompts.style_of(family)
    if light:
        own = prompts.words(_of_the_crop(light), family)
    head, *rest = _parts(own.prompt, style) or [_bare(style)]
    ours = _parts(f"{_kept(own.prompt, task, style)}{_join(style)}{_WANTED[style][task]}", style)
    about = [part for part in rest if _ABOUT.search(part) and part not in _EARLIER[style]]
    if style == "sentences":
        return Words(" ".join(_once([head, *about, *ours])), own.negative)
    unwanted = _parts(own.negative or "", style) + _parts(_UNWANTED[task], style)
    early = [head, *about[:2], *ours, *about[2:]]  # CLIP reads 75 tokens: a long template would push ours out
    return Words(", ".join(_once(early)), ", ".join(_once(unwanted)))


def words_of_light(side: Side | None, family: FamilyName) -> Words:
    """Stands in for the words of a picture that has none: a portrait, and the side its light was measured to come from.

    Raises InputError for a family without wording.
    """
    style = prompts.style_of(family)
    light = _FROM[style].format(side=side) if side else ""
    return Words(_join(style).join(filter(None, (_bare(style), light))), None)


def _kept(own: str, task: Task, style: Style) -> str:
    """That light and shadow stay."""
    light = "side light" if _SIDE.search(own) else "light"
    if style == "tags":
        return f"same {light}, keep {_KEPT[task]}"
    return f"The {light} stays the same and {_KEPT[task]} is kept."


def _of_the_crop(light: Light) -> Light:
    return light.but(**dict.fromkeys(_OUTSIDE))


def _bare(style: Style) -> str:
    return str(prompts.wording()[style]["without_shot"]) + ("." if style == "sentences" else "")


def _join(style: Style) -> str:
    return ", " if style == "tags" else " "


def _parts(text: str, style: Style) -> list[str]:
    """Phrases between commas, or sentences with their stop."""
    if style == "tags":
        return [part for each in text.split(",") if (part := each.strip().rstrip("."))]
    found = [part.strip() for part in re.split(r"(?<=[.!?])\s+", text) if part.strip()]
    return [part if part[-1] in ".!?" else f"{part}." for part in found]


def _once(parts: Iterable[str]) -> list[str]:
    return list({part.casefold(): part for part in parts}.values())


def _said_before(style: Style) -> frozenset[str]:
    """Every phrase that this module ever adds."""
    kept = [_kept(own, task, style) for own in ("", "side light") for task in _KEPT]
    return frozenset(part for text in (*kept, *_WANTED[style].values()) for part in _parts(text, style))


_EARLIER: Mapping[Style, frozenset[str]] = {style: _said_before(style) for style in _WANTED}
