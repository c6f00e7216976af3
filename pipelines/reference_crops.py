"""Patches of plain skin out of a reference photograph: of its cheeks and forehead, never its eyes, nose or mouth.

What a network sees of a reference is these patches, so that it cannot copy a face. Knows nothing about networks.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.errors import InputError
from pipelines.regions import FaceMap, Patch, face_map

PLAIN = ("left-cheek", "forehead", "right-cheek")
FEATURES = ("eyes", "brows", "nose", "mouth")
"""What no patch may hold."""
CERTAIN = 0.75
"""How much of a region a pixel must be to be in a patch: at 0.5 the edge of hair got into patches of foreheads."""
FEWEST_PX = 24
"""Smallest side of a patch, about a third of the distance between the eyes: below it no pore is left to be seen."""
SMALLEST_PICTURE_PX = 64
"""What FLUX.2's pipelines take at least."""
SMALLEST_SHARE = 0.5
"""A patch with less than this share of the largest one's side (a cheek that is turned away) is left out."""
MOST_SPREAD = 0.6
"""How far a patch's darkest and lightest hundredths may lie apart, in shares of its median. Measured on two
photographs: cheeks 0.19 and 0.22, a cheek with the rim of glasses 0.46, a forehead with hair 0.89. Such a one is left
out, unless all are like it."""
MOST_TILE_PX = 512
GRID_PX = 16
"""What FLUX's autoencoders and patches can take without cutting off an edge."""


class _Square(NamedTuple):
    """Centre and side in pixels of the picture."""

    x: int
    y: int
    side: int


def crops(picture: Any) -> tuple[Any, ...]:
    """One to three square patches of equal side and scale, Pillow RGB, of the largest face in a Pillow RGB picture.

    Raises InputError if there is no face, or its skin is too small, covered or turned away.
    """
    pixels = np.asarray(picture.convert("RGB"))
    found = face_map(pixels)
    if not found.faces:
        raise InputError(
            "the reference shows no face, so which of it is skin is not known; give a photograph with a face, or lay "
            "its texture into a start image (reference_by bands)"
        )
    face = max(found.faces, key=lambda one: one.eye_distance)
    squares = [_largest_square(_plain(found, face.number, name)) for name in PLAIN]
    largest = max(0, *(square.side for square in squares))
    if largest < FEWEST_PX:
        raise InputError(
            f"the largest patch of plain skin in the reference is {largest} pixels wide; {FEWEST_PX} are needed: give "
            "a larger photograph, or one whose face is not covered or turned away"
        )
    kept = [square for square in squares if square.side >= max(FEWEST_PX, SMALLEST_SHARE * largest)]
    side = min(square.side for square in kept)
    patches = [_cut(pixels, square, side) for square in kept]
    even = [patch for patch in patches if _spread(patch) <= MOST_SPREAD]
    return tuple(Image.fromarray(patch) for patch in even or patches)


def sheet(patches: tuple[Any, ...], *, side: int | None = None) -> Any:
    """One square picture of patches, for networks that read a whole picture: a patch, or two rows of two, repeated.

    It is `side` pixels wide; None = as large as the patches are, on a grid of 16, 1024 at most.
    """
    across = 1 if len(patches) == 1 else 2
    own = min(patches[0].width // GRID_PX * GRID_PX, MOST_TILE_PX)
    tile = max(own, SMALLEST_PICTURE_PX // across)
    made = Image.new("RGB", (across * tile, across * tile))
    for place in range(across**2):
        patch = patches[place % len(patches)].resize((tile, tile), Image.Resampling.LANCZOS)
        made.paste(patch, (place % across * tile, place // across * tile))
    return made if side is None else made.resize((side, side), Image.Resampling.LANCZOS)


def _plain(found: FaceMap, number: int, name: str) -> Patch:
    """A region without any feature: 255 where a pixel is surely plain skin, else 0."""
    region = found.patch(number, name)
    plain = region.values > CERTAIN * 255
    height, width = plain.shape
    for feature in (found.patch(number, other) for other in FEATURES):
        down, right = feature.top - region.top, feature.left - region.left
        tall, wide = feature.values.shape
        rows, columns = slice(max(down, 0), max(down + tall, 0)), slice(max(right, 0), max(right + wide, 0))
        over = feature.values[max(-down, 0) : max(height - down, 0), max(-right, 0) : max(width - right, 0)]
        plain[rows, columns] &= over == 0
    return Patch(region.left, region.top, plain.astype(np.uint8) * 255)


def _largest_square(mask: Patch) -> _Square:
    """The largest square inside a mask; its side is odd, or below 0 where there is none.

    The chessboard distance to the nearest pixel outside is half a side, rounded up.
    """
    far = cv2.distanceTransform(np.pad(mask.values, 1), cv2.DIST_C, 3)
    y, x = np.unravel_index(int(far.argmax()), far.shape)
    return _Square(mask.left + int(x) - 1, mask.top + int(y) - 1, 2 * int(far[y, x]) - 1)


def _cut(pixels: NDArray[np.uint8], square: _Square, side: int) -> NDArray[np.uint8]:
    left, top = square.x - side // 2, square.y - side // 2
    return pixels[top : top + side, left : left + side]


def _spread(patch: NDArray[np.uint8]) -> float:
    """(lightest - darkest) / median of a patch's luma, without its outermost hundredths."""
    low, middle, high = np.percentile(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), (1, 50, 99))
    return float((high - low) / max(middle, 1))
