"""Measures of one face's skin in one picture: named numbers with units, or the reason why there is none.

Knows nothing about where a picture came from, and makes no single score of realism: blur and smoothing share one
texture, and evenly spread noise gives smoothed skin its texture back while it looks worse.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines import colour, skin_bands, skin_light
from pipelines.regions import FaceMap
from pipelines.skin_colour import is_grey
from pipelines.skin_measures import MEASURES, Measure

__all__ = ["MEASURES", "Measure", "Measured", "Reading", "is_flat", "measure"]

Array = NDArray[Any]
ZONES = ("cheeks", "forehead", "nose", "chin")
SKIN = 0.6  # of the soft mask, then eroded by .02 eye distances: no hair, no lash, no edge of the face
EYES_PX, FEW_EYES_PX = 50, 90
"""Eye distance below which pores are smaller than pixels, and below which their figures are rough."""
LIGHT_EYES_PX = 30
"""The same for light and colour of cheeks: in photographs made so small side_ev moves by .08 EV, shading by .2."""
TURNED, FAR_TURNED = 0.45, 0.8
"""Of `Face.turn`: from where the far cheek is too narrow to be compared, and the mesh is not to be trusted."""
LEAST_SKIN = 0.12  # square eye distances of measured skin
LEAST_CHEEK = 0.02
LEAST_PX = 60
MOST_CLIPPED = 20.0
"""Per cent. Photographs exposed until 12 % burn out read texture x.95, blood x1.02-1.07; until 33-42 %: x.87, x1.3."""
NO_TEXTURE = -1.2
NOISE, NOISE_FROM_PX, NOISE_TO_PX = 1.8, 90, 185
"""Verdicts: slope below the first on 5 of 5 smoothed and 0 of 7 sharp photographs, pixel_share above the second on 5
of 5 noisy and 0 of 8 clean ones with eyes so far apart."""
FLAT_SIDE, FLAT_SHADING = 0.35, 1.2
"""EV. In 66 pictures of the demo SDXL checkpoint nine tenths of those with frontal light differ by less than .24 and
span less than 1.33, of those with side light by more than 1.3 and more than 2.4. Four of six photographs lie below
both (official portraits, a flash); skimage's astronaut, soft light from one side, has .38 and 1.1."""


@dataclass(frozen=True)
class Reading:
    """One number, or None and why it is "not measurable because ..."."""

    name: str
    value: float | None
    unit: str
    why: str = ""


@dataclass(frozen=True)
class Measured:
    """All readings of one face; face None where the picture holds none.

    `verdicts` are what the trusted rules say, `cautions` what makes the figures rough.
    """

    face: int | None
    readings: tuple[Reading, ...]
    verdicts: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()

    def reading(self, name: str) -> Reading:
        """A reading by its measure's name; KeyError for another."""
        return {reading.name: reading for reading in self.readings}[name]

    def value(self, name: str) -> float | None:
        """A reading's number."""
        return self.reading(name).value


NO_FACE = "no face was found"
SAME = "the pixels there are all the same"


class Unmeasurable(Exception):
    """There is no such number here; its text is the reason."""


def measure(pixels: NDArray[np.uint8], found: FaceMap, face: int = 1) -> Measured:
    """Measure one face of sRGB pixels (H, W, 3) at their own size. Raises InputError for a face that is not there.

    Without any face every reading says so. The formulas stand in `MEASURES`.
    """
    if not found.faces:
        return Measured(None, tuple(Reading(each.name, None, each.unit, NO_FACE) for each in MEASURES))
    site = _Site(pixels, found, face)
    readings = tuple(_read(each, site) for each in MEASURES)
    return _judged(Measured(face, readings), site.eye_distance)


def is_flat(measured: Measured) -> str:
    """One line when the light itself is flat or frontal, else "".

    Both must hold: the cheeks differ by less than `FLAT_SIDE` and the skin spans less than `FLAT_SHADING` from its
    darkest to its lightest tenth. A soft light from the front and a flash on the camera both do.
    """
    side, shading = measured.value("side_ev"), measured.value("shading")
    if side is None or shading is None or abs(side) >= FLAT_SIDE or shading >= FLAT_SHADING:
        return ""
    return (
        f"the light is flat or frontal: the cheeks differ by {abs(side):.2f} EV (side light: from {FLAT_SIDE}) and the "
        f"skin spans {shading:.1f} EV (from {FLAT_SHADING}); a repair keeps this light, a new picture can have another"
    )


class _Site:
    """What the formulas read, around one face; each part is made when it is first asked for."""

    def __init__(self, pixels: NDArray[np.uint8], found: FaceMap, number: int) -> None:
        self._found, self._number = found, number
        self.face = found.face(number)
        self.eye_distance = self.face.eye_distance
        self._low, high = _around(self.face.points, 0.6 * self.eye_distance, pixels.shape)
        self.pixels = pixels[self._low[1] : high[1], self._low[0] : high[0]]

    def region(self, name: str, *, above: float = 0.5) -> Array:
        """Bool mask of a region, around the face only."""
        patch = self._found.patch(self._number, name)
        left, top = patch.left - self._low[0], patch.top - self._low[1]
        values = patch.values[max(-top, 0) :, max(-left, 0) :]
        mask = np.zeros(self.pixels.shape[:2], bool)
        part = mask[max(top, 0) :, max(left, 0) :][: values.shape[0], : values.shape[1]]
        part[:] = values[: part.shape[0], : part.shape[1]] > 255 * above
        return mask

    def eroded(self, share: float) -> Array:
        """The skin without a rim of so many eye distances."""
        return skin_bands.shrunk(self.region("skin", above=SKIN), share * self.eye_distance)

    @cached_property
    def skin(self) -> Array:
        """All skin of the face."""
        return self.eroded(0.02)

    @cached_property
    def zone(self) -> Array:
        """The skin of cheeks, forehead, nose and chin."""
        zones: Array = np.any([self.region(name) for name in ZONES], axis=0)
        return self.skin & zones

    @cached_property
    def light(self) -> Array:
        """Linear light."""
        return colour.light_of(self.pixels)

    @cached_property
    def luminance(self) -> Array:
        """Linear luminance."""
        return colour.luminance(self.light)

    @cached_property
    def log(self) -> Array:
        """Luminance in EV."""
        return skin_bands.log_light(self.luminance, self.skin)

    @cached_property
    def bands(self) -> skin_bands.Bands:
        """Pore and mottling band of the skin."""
        return skin_bands.bands(self.log, self.eye_distance, weight=self.eroded(0.005).astype(np.float32))

    @cached_property
    def open_bands(self) -> skin_bands.Bands:
        """The same over all pixels, for eyes, brows and mouth."""
        return skin_bands.bands(self.log, self.eye_distance)

    @cached_property
    def clipped(self) -> tuple[float, float]:
        """Per cent burnt and black."""
        return skin_light.clipped(self.pixels, self.eroded(0.005))


def _around(points: Array, margin_px: float, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Left, top and right, bottom of the part of a picture that the points and a margin take."""
    low = np.floor(points.min(0) - margin_px).astype(int)
    high = np.ceil(points.max(0) + margin_px).astype(int)
    return np.clip(low, 0, shape[1::-1]), np.clip(high, 0, shape[1::-1])


def _read(each: Measure, site: _Site) -> Reading:
    """The number of one measure; in the order of the causes, the first reason that forbids it."""
    try:
        _refuse(each, site)
        value = FORMULAS[each.name](site)
    except Unmeasurable as reason:
        return Reading(each.name, None, each.unit, str(reason))
    return Reading(each.name, value, each.unit)


def _refuse(each: Measure, site: _Site) -> None:
    least = LIGHT_EYES_PX if each.name in LIGHT else EYES_PX
    if site.eye_distance < least:
        raise Unmeasurable(f"the eyes are {int(site.eye_distance)} px apart; it needs {least}")
    turned = TURNED if each.name == "side_ev" else FAR_TURNED
    if abs(site.face.turn) > turned:
        raise Unmeasurable(f"the face is turned too far ({abs(site.face.turn):.2f} of 1; up to {turned} is measured)")
    size = site.zone.sum() / site.eye_distance**2
    if size < LEAST_SKIN or site.zone.sum() < LEAST_PX:
        raise Unmeasurable(
            f"too little skin is seen ({size:.2f} square eye distances, of {LEAST_SKIN}): hidden, cut off or too dark"
        )
    burnt, black = site.clipped
    if each.name not in EVER and burnt + black > MOST_CLIPPED:
        raise Unmeasurable(
            f"{burnt:.0f} % of the skin is burnt out and {black:.0f} % black; up to {MOST_CLIPPED:.0f} % is measured"
        )
    if each.name == "blood" and is_grey(site.pixels, site.skin):
        raise Unmeasurable("the picture is grey")


def _spread(values: Array) -> float:
    found = skin_bands.spread(values)
    if not found:
        raise Unmeasurable(SAME)
    return found


def _texture(site: _Site) -> float:
    return skin_bands.contrast(_spread(site.bands.texture[site.zone]))


def _slope(site: _Site) -> float:
    return math.log2(_spread(site.bands.texture[site.zone]) / _spread(site.bands.mottle[site.zone]))


def _skin_to_eyes(site: _Site) -> float:
    eyes = site.region("eyes") | site.region("brows")
    if eyes.sum() < LEAST_PX:
        raise Unmeasurable("the eyes are out of the picture")
    return math.log2(_spread(site.bands.texture[site.zone]) / _spread(site.open_bands.texture[eyes]))


def _pixel_share(site: _Site) -> float:
    return skin_bands.spread(skin_bands.single_pixels(site.log)[site.zone]) / _spread(site.bands.texture[site.zone])


def _halo(site: _Site) -> float:
    outside = (~site.region("oval")).astype(np.uint8)
    around = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= 0.15 * site.eye_distance
    found = skin_bands.overshoot(site.luminance, around, site.eye_distance)
    if found is None:
        raise Unmeasurable("there are too few strong edges in and around the face")
    return found


def _cheek(site: _Site, side: str) -> Array:
    cheek = site.skin & site.region(f"{side}-cheek")
    if cheek.sum() < max(LEAST_PX / 2, LEAST_CHEEK * site.eye_distance**2):
        raise Unmeasurable(f"too little skin is seen on the {side} cheek")
    if not np.median(site.luminance[cheek]):
        raise Unmeasurable(f"the {side} cheek is black")
    return cheek


def _side_ev(site: _Site) -> float:
    return skin_light.brighter_by(site.luminance, _cheek(site, "right"), than=_cheek(site, "left"))


def _shading(site: _Site) -> float:
    span = skin_light.span(site.luminance, site.zone, 0.05 * site.eye_distance)
    if math.isinf(span):
        raise Unmeasurable("a tenth of the skin is black")
    return span


def _blood(site: _Site) -> float:
    return skin_light.colour_spread(site.light, site.skin, 0.03 * site.eye_distance)


def _resolved(site: _Site, name: str) -> float:
    """log2 of pores against mottling in a region: whatever lies there, a blur takes the first and leaves the second.

    Root mean squares, since in eyes and mouth few pixels (the edges) say how sharp they are.
    """
    where = site.region(name)
    if where.sum() < LEAST_PX:
        raise Unmeasurable(f"the {name} is out of the picture" if name != "eyes" else "the eyes are out of the picture")
    fine, coarse = (float(np.square(band[where]).mean()) for band in site.open_bands)
    if not fine or not coarse:
        raise Unmeasurable(SAME)
    return math.log2(fine / coarse) / 2


def _triangle(site: _Site) -> float:
    sharp = [_resolved(site, name) for name in ("eyes", "nose", "mouth")]
    return max(sharp) - min(sharp)


FORMULAS: Mapping[str, Callable[[_Site], float]] = {
    "texture": _texture,
    "slope": _slope,
    "skin_to_eyes": _skin_to_eyes,
    "pixel_share": _pixel_share,
    "halo": _halo,
    "nose_to_eyes": lambda site: _resolved(site, "nose") - _resolved(site, "eyes"),
    "mouth_to_eyes": lambda site: _resolved(site, "mouth") - _resolved(site, "eyes"),
    "triangle": _triangle,
    "side_ev": _side_ev,
    "shading": _shading,
    "clipped_high": lambda site: site.clipped[0],
    "clipped_low": lambda site: site.clipped[1],
    "blood": _blood,
}
LIGHT = ("side_ev", "shading", "clipped_high", "clipped_low", "blood")
"""Measures of whole areas, which need fewer pixels."""
EVER = ("side_ev", "shading", "clipped_high", "clipped_low", "halo")
"""Measures that clipping does not forbid."""


def _judged(measured: Measured, eye_distance: float) -> Measured:
    slope, noise = measured.value("slope"), measured.value("pixel_share")
    burnt = measured.value("clipped_high")
    verdicts, cautions = [], []
    if slope is not None and slope < NO_TEXTURE:
        verdicts.append(f"no texture resolved: slope {slope:.1f} is below {NO_TEXTURE} (smoothed, or out of focus)")
    if noise is not None and noise > NOISE and NOISE_FROM_PX <= eye_distance <= NOISE_TO_PX:
        verdicts.append(f"noise, not skin: pixel_share {noise:.1f} is above {NOISE}")
    if EYES_PX <= eye_distance < FEW_EYES_PX:
        cautions.append(f"the eyes are {eye_distance:.0f} px apart; texture is rough below {FEW_EYES_PX}")
    if burnt is not None and 1 < burnt <= MOST_CLIPPED:
        cautions.append(f"{burnt:.0f} % of the skin is burnt out: texture reads too low, blood too high")
    return Measured(measured.face, measured.readings, tuple(verdicts), tuple(cautions))
