"""Skin figures of one picture, how far two pictures differ, and when that is drift. Knows nothing about series files.

Skin colour is the mean Oklab of all skin of the largest face. Light moves its three numbers together (linear light
times k moves each by the cube root of k), so lightness is told apart from colour, which is compared at the pilot's
lightness. Numbers are 100 times Oklab's: a delta E OK of 2 is just seen.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pipelines.errors import InputError

if TYPE_CHECKING:
    from pipelines.faces import Face
    from pipelines.regions import FaceMap

Lab = tuple[float, float, float]
Name = Literal["lightness", "colour", "texture", "slope", "side_ev"]
NAMES: tuple[Name, ...] = get_args(Name)
UNITS: Mapping[Name, str] = {
    "lightness": "delta L",
    "colour": "delta E OK at the pilot's lightness",
    "texture": "times",
    "slope": "log2",
    "side_ev": "EV",
}
LIMITS: Mapping[Name, float] = {"lightness": 5.5, "colour": 0.42, "texture": 0.44, "slope": 0.32, "side_ev": 0.96}
"""What 95 of 100 pairs of pictures with the same settings and other seeds stay below: demo-sdxl, three prompts (light,
medium and dark skin, lit from left and right, hard and soft), nine seeds each, 108 pairs; texture is log2 of the ratio
(x1.36). The largest pairs: 7.5, .69, x1.47, .50, 1.27. Pose and action as words at the pilot's seed, 12 pictures, stay
far below: at most 1.2, .06, x1.10, .05, .20."""
FIGURES = ("lab", "texture", "slope", "side_ev")
LEAST_TAKES = 3
"""Other seeds of the pilot's own settings in a series from which its own spread is the limit: with the pilot that is
six pairs."""
LEAST_EYES_PX = 30  # as skin.LIGHT_EYES_PX: colour needs fewer pixels than texture
SKIN = 0.6  # as skin.SKIN
LEAST_SKIN_PX = 60  # as skin.LEAST_PX


@dataclass(frozen=True)
class Figures:
    """Mean Oklab of the skin (L, a, b; 0..1), texture, slope and side_ev of `pipelines.skin`; None and why."""

    lab: Lab | None
    texture: float | None
    slope: float | None
    side_ev: float | None
    why: Mapping[str, str]
    """Reasons by figure, for those that are None."""


def polar(lab: Lab) -> tuple[float, float]:
    """Chroma (100 times the distance from grey) and hue in degrees: 0 pink, 90 yellow; light skin is near 50."""
    return 100 * math.hypot(*lab[1:]), math.degrees(math.atan2(lab[2], lab[1]))


@dataclass(frozen=True)
class Drift:
    """A picture against the pilot. `by` holds signed differences by name, `beyond` those that pass their limit.

    `delta_e` is the whole distance in Oklab, lightness too, `chroma` and `hue` (degrees) its parts; texture is log2.
    """

    by: Mapping[Name, float]
    beyond: tuple[Name, ...]
    delta_e: float | None
    chroma: float | None
    hue: float | None


@dataclass(frozen=True)
class Limits:
    """The largest difference by figure that is no drift, and where the numbers come from."""

    by: Mapping[Name, float]
    source: str


def figures(file: Path) -> Figures:
    """Measure the largest face of a picture; what cannot be measured says why. Raises InputError for no picture."""
    from pipelines import skin
    from pipelines.raster import open_raster, rgb8
    from pipelines.regions import face_map

    pixels = rgb8(open_raster(file))
    found = face_map(pixels)
    if not found.faces:
        return Figures(None, None, None, None, dict.fromkeys(FIGURES, skin.NO_FACE))
    face = max(found.faces, key=lambda each: each.eye_distance)
    measured = skin.measure(pixels, found, face.number)
    why = {each.name: each.why for each in measured.readings if each.value is None}
    lab, reason = _colour(pixels, found, face)
    why |= {"lab": reason} if reason else {}
    texture, slope, side_ev = (measured.value(name) for name in ("texture", "slope", "side_ev"))
    return Figures(lab, texture, slope, side_ev, {name: why[name] for name in FIGURES if name in why})


def differences(pilot: Figures, other: Figures) -> dict[Name, float]:
    """Every difference that both pictures have a number for; texture as log2 of the ratio."""
    found: dict[Name, float] = {}
    if pilot.lab and other.lab:
        level = pilot.lab[0] / other.lab[0]
        found["lightness"] = 100 * (other.lab[0] - pilot.lab[0])
        found["colour"] = 100 * math.dist([level * each for each in other.lab[1:]], pilot.lab[1:])
    if pilot.texture and other.texture:
        found["texture"] = math.log2(other.texture / pilot.texture)
    if pilot.slope is not None and other.slope is not None:
        found["slope"] = other.slope - pilot.slope
    if pilot.side_ev is not None and other.side_ev is not None:
        found["side_ev"] = other.side_ev - pilot.side_ev
    return found


def drift(pilot: Figures, other: Figures, limits: Limits, *, meant: Collection[Name] = ()) -> Drift:
    """What differs, and which of it passes its limit; `meant` figures differ on purpose and never drift."""
    by = differences(pilot, other)
    beyond = tuple(name for name in NAMES if name not in meant and abs(by.get(name, 0)) > limits.by[name])
    if not (pilot.lab and other.lab):
        return Drift(by, beyond, None, None, None)
    chroma, hue = polar(pilot.lab)
    other_chroma, other_hue = polar(other.lab)
    turn = (other_hue - hue + 180) % 360 - 180
    return Drift(by, beyond, 100 * math.dist(pilot.lab, other.lab), other_chroma - chroma, turn)


def limits(takes: Sequence[Figures]) -> Limits:
    """The limits of a series: the largest difference among the pilot and its takes (other seeds, nothing else).

    With fewer than `LEAST_TAKES` takes those of the demo checkpoint, `LIMITS`.
    """
    if len(takes) <= LEAST_TAKES:
        return Limits(LIMITS, "the spread of other seeds on the demo SDXL checkpoint")
    pairs = [differences(one, other) for one, other in combinations(takes, 2)]
    own = {name: max((abs(pair[name]) for pair in pairs if name in pair), default=LIMITS[name]) for name in NAMES}
    return Limits(own, f"the spread of this series' own {len(takes) - 1} takes (other seeds) and its pilot")


def srgb(lab: Lab) -> tuple[int, int, int]:
    """Bytes of an Oklab colour, clipped to sRGB."""
    import numpy as np

    from pipelines.colour import LAB, LMS, encoded

    light = np.linalg.inv(LMS) @ (np.linalg.inv(LAB) @ np.array(lab)) ** 3
    red, green, blue = (round(255 * float(each)) for each in encoded(np.clip(light, 0, 1)))
    return red, green, blue


def shown(name: Name, value: float) -> str:
    """A difference as people read it."""
    if name == "texture":
        return f"x{2**value:.2f}"
    digits = 1 if name == "lightness" else 2
    value = round(value, digits) + 0.0  # no minus before what rounds to nothing
    return f"{value:.2f}" if name == "colour" else f"{value:+.{digits}f}"


def _colour(pixels: Any, found: "FaceMap", face: "Face") -> tuple[Lab | None, str]:
    """Mean Oklab of a face's skin, or why there is none."""
    region = found.patch(face.number, "skin")
    is_skin = region.values > 255 * SKIN
    if face.eye_distance < LEAST_EYES_PX:
        return None, f"the eyes are {int(face.eye_distance)} px apart; it needs {LEAST_EYES_PX}"
    if found.is_grey(face.number):
        return None, "the picture is grey"
    if is_skin.sum() < LEAST_SKIN_PX:
        return None, "too little skin is seen: hidden, cut off or too dark"
    here = pixels[region.top :, region.left :][: is_skin.shape[0], : is_skin.shape[1]]
    return _mean_lab(here[is_skin]), ""


def _mean_lab(skin: Any) -> Lab:
    from pipelines.colour import light_of, oklab

    level, a, b = (float(each) for each in oklab(light_of(skin)).mean(0))
    return level, a, b


def look(file: Path) -> "Figures | str":
    """The figures of a picture, or why there are none."""
    if not file.is_file():
        return "the picture is not there: not made yet, or its run was moved"
    try:
        return figures(file)
    except InputError as error:
        return str(error)
