"""A reference photograph before it is used: how good its skin is, and a small or damaged one restored.

Knows nothing about recipes, targets or what is done with the reference afterwards. The original is never touched.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.errors import InputError
from pipelines.faces import Face
from pipelines.images import MAX_PIXELS
from pipelines.raster import Raster, rgb8
from pipelines.regions import FaceMap, face_map
from pipelines.skin import Measured, Reading, measure

Pixels = NDArray[np.uint8]
SIGMA_COLOUR, SIGMA_PX, DIAMETER_PX = 60.0, 2.0, 7
"""OpenCV's bilateral filter at amount 1. Of ten filters at amount 0.5 it gave most for the texture that it took: on
four photographs +0.4 to +0.65 dB after JPEG 20, +5.4 to +7.0 dB after noise of sigma 10, and it kept more texture than
non-local means of similar gain."""
LARGEST = 4.0  # times; beyond it a reference is all interpolation
NO_PORES_PX = 50  # eye distance below which no texture of skin is resolved
NEARLY = 0.8  # share of the eye distance wanted from which a reference has all that is asked of it
UPSCALED = 0.6  # pixel share below which a picture was enlarged or smoothed (Lanczos 2x halves it, from 0.9 at least)


@dataclass(frozen=True)
class Seen:
    """A reference's size, its face with the widest eyes (None if there is none) and what was measured there."""

    width: int
    height: int
    face: Face | None
    measured: Measured

    @property
    def eye_distance(self) -> float:
        """Pixels between the eyes; 0 without a face."""
        return self.face.eye_distance if self.face else 0.0

    def reading(self, name: str) -> Reading:
        """A reading of `pipelines.skin` by its name."""
        return self.measured.reading(name)


@dataclass(frozen=True)
class Restored:
    """A restored photograph, upright, with what was measured before and after and what a person should know."""

    picture: Raster
    before: Seen
    after: Seen
    notes: tuple[str, ...]


def look(pixels: Pixels) -> Seen:
    """Find and measure the face with the widest eyes in sRGB pixels (H, W, 3)."""
    found = face_map(pixels)
    height, width = pixels.shape[:2]
    if not found.faces:
        return Seen(width, height, None, measure(pixels, found))
    face = max(found.faces, key=lambda each: each.eye_distance)
    return Seen(width, height, face, measure(pixels, FaceMap(pixels, found.faces), face.number))


def restore(picture: Raster, *, amount: float, enlarge: float = 1.0) -> Restored:
    """Take JPEG blocks and noise away by an amount 0..1, then enlarge (1..4 times) by Lanczos; 8-bit RGB comes out.

    Amount 0 without enlarging gives the same pixels. Raises InputError for other amounts and for a picture that would
    be too large.
    """
    _refuse(picture, amount, enlarge)
    pixels = rgb8(picture)
    made = pixels
    if amount > 0:
        made = np.asarray(cv2.bilateralFilter(made, DIAMETER_PX, SIGMA_COLOUR * amount, SIGMA_PX), np.uint8)
    if enlarge > 1:
        size = round(picture.width * enlarge), round(picture.height * enlarge)
        made = np.asarray(Image.fromarray(made).resize(size, Image.Resampling.LANCZOS))
    before = look(pixels)
    after = before if made is pixels else look(made)
    icc = picture.icc if picture.colours == 3 else b""  # a profile of a grey picture does not fit an RGB one
    return Restored(Raster(made, icc), before, after, _notes(before, after, enlarge))


def enough(eye_distance: float, *, wanted: float | None = None) -> str:
    """One line where a face has too few pixels between the eyes for texture, else "".

    `wanted`: eye distance in the target's working crop, in px.
    """
    if eye_distance < NO_PORES_PX:
        return (
            f"{eye_distance:.0f} px between the eyes are below {NO_PORES_PX}: no pores can be promised from it, "
            "only its broad mottle; find a larger copy"
        )
    if wanted and eye_distance < NEARLY * wanted:
        return (
            f"{eye_distance:.0f} px between the eyes, the target is worked on at {wanted:.0f}: its texture is enlarged "
            f"{wanted / eye_distance:.1f} times and coarser than skin; find one with about {wanted:.0f}"
        )
    return ""


def side_by_side(before: Pixels, after: Pixels) -> Pixels:
    """Both at the size of the larger, before on the left, a white line of 4 px between."""
    height, width = after.shape[:2]
    left = before
    if before.shape != after.shape:  # whole pixels as they were, so that what enlarging did can be seen
        left = np.asarray(Image.fromarray(before).resize((width, height), Image.Resampling.NEAREST))
    return np.hstack([left, np.full((height, 4, 3), 255, np.uint8), after])


def _refuse(picture: Raster, amount: float, enlarge: float) -> None:
    if not 0 <= amount <= 1:
        raise InputError(f"amount {amount:g} is outside 0..1; 0.5 is a good beginning")
    if not 1 <= enlarge <= LARGEST:
        raise InputError(f"enlarge {enlarge:g} is outside 1..{LARGEST:g}; pixels beyond that hold nothing of the skin")
    if picture.width * picture.height * enlarge**2 > MAX_PIXELS:
        raise InputError(f"enlarged {enlarge:g} times it has more than {MAX_PIXELS} pixels; enlarge it less")


def _notes(before: Seen, after: Seen, enlarge: float) -> tuple[str, ...]:
    notes = [] if after.face else ["no face was found in it: nothing could be measured"]
    if before.face and (few := enough(before.eye_distance)):
        notes.append(few)
    if enlarge > 1:
        notes.append(
            f"enlarged {enlarge:g} times: pixels are not texture, it holds no pore that it did not hold before"
        )
    was, now = (seen.reading("texture").value for seen in (before, after))
    if was and now and now < 0.9 * was:
        notes.append(
            f"the amount took {1 - now / was:.0%} of the texture, noise first; lower it to keep more".replace("%", " %")
        )
    return tuple(notes)
