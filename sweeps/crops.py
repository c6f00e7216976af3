"""The cheek of a picture at its own pixels, as a lossless file in `crops/`: what a finding is judged by.

Knows nothing about findings. Where there is no face in any picture there is no crop: a centre is never guessed.
"""

import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import InputError
from pipelines.files import DISK, Files, put
from sweeps import places
from sweeps.found_places import LEAST_SIDE, light_of
from sweeps.places import Rectangle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

FOLDER = "crops"
WIDE, HIGH = 600, 480
"""Pixels of a crop at most: a card of the report is 240 to 330 px wide, twice that on a fine display."""
EVEN = 60
"""Sides are multiples of it where they can be: whole numbers of CSS pixels at 1.25, 1.5, 2, 2.5 and 3 of the display's
to one, so that browsers have nothing to round, and show one pixel on one."""
SMALL = 640
"""Pictures far smaller on their shorter side are enlarged by a whole number, said so: a cheek of 40 px is a stamp."""


@dataclass(frozen=True)
class Crop:
    """A crop: its path relative to the run folder, its pixels, and by how much it is to be enlarged (1: not at all).

    `is_found` is False where no face was found in this picture and the place is that of the other pictures.
    """

    path: str
    width: int
    height: int
    zoom: int
    is_found: bool


def cheeks(folder: Path, pictures: Mapping[str, str], files: Files = DISK) -> dict[str, Crop]:
    """Crops by key for pictures (key -> path relative to the run folder), written into `crops/`.

    The place that a person set goes before the one that is found. All show the same side of the face: the cheek of the
    first that is wider and better lit. Faces move little within a sweep, so a picture in which none is found is cut
    where the first is; where there is none at all there are no crops. Raises DiskFullError or DiskError.
    """
    opened = {key: _opened(folder / picture) for key, picture in pictures.items()}
    pixels = {key: each for key, each in opened.items() if each is not None}
    asked = _asked(folder, files)
    found = dict.fromkeys(pixels, asked) if asked else _found(pixels)
    first = next((place for place in found.values() if place), None)
    if first is None:
        return {}
    crops: dict[str, Crop] = {}
    contents: dict[Path, bytes] = {}
    for key, each in pixels.items():
        place = found[key]
        (left, top, right, bottom), zoom = window((each.shape[1], each.shape[0]), place or first)
        name = f"{FOLDER}/{key}-cheek.png"
        contents[folder / name] = _png(each[top:bottom, left:right])
        crops[key] = Crop(name, right - left, bottom - top, zoom, place is not None)
    put(contents, files)
    return crops


def window(size: tuple[int, int], cheek: Rectangle) -> tuple[tuple[int, int, int, int], int]:
    """Left, top, right, bottom of the crop in a picture of this size, about the middle of the cheek; and its zoom."""
    zoom = max(1, math.floor(SMALL / min(size) + 0.5))
    x, y, wide, high = cheek
    left, width = _span(x + wide / 2, size[0], WIDE // zoom)
    top, height = _span(y + high / 2, size[1], HIGH // zoom)
    return (left, top, left + width, top + height), zoom


def _span(middle: float, length: int, wanted: int) -> tuple[int, int]:
    """Where so many pixels about a middle (a share) begin, and how many there are; the middle stays the middle."""
    at = middle * length
    half = max(0.5, min(wanted / 2, at, length - at))
    count = max(1, min(int(2 * half), length))
    count -= count % EVEN if count > EVEN else 0
    return min(max(0, round(at - count / 2)), length - count), count


def _asked(folder: Path, files: Files) -> Rectangle | None:
    try:
        return places.read(folder, files).cheek
    except InputError:  # the page, where places are set, says so; the report of a night does without
        return None


def _opened(path: Path) -> "Pixels | None":
    from pipelines.raster import open_raster, rgb8

    try:
        return rgb8(open_raster(path))
    except InputError:  # the grid shows it as damaged
        return None


def _found(pictures: Mapping[str, "Pixels"]) -> dict[str, Rectangle | None]:
    """The same cheek in each picture, as shares of it; None where no face is found."""
    both = {key: _both_cheeks(pixels) for key, pixels in pictures.items()}
    first = next(((key, each) for key, each in both.items() if each), None)
    if first is None:
        return dict.fromkeys(pictures)
    key, cheeks_of_first = first
    side = max((0, 1), key=lambda at: light_of(pictures[key], cheeks_of_first[at]))
    return {key: each[side] if each else None for key, each in both.items()}


def _both_cheeks(pixels: "Pixels") -> tuple[Rectangle, Rectangle] | None:
    """Both cheeks of the largest face; None without one."""
    from pipelines.face_shapes import LEFT_CHEEK, RIGHT_CHEEK
    from pipelines.faces import find_faces

    if min(pixels.shape[:2]) < LEAST_SIDE:
        return None
    face = max(find_faces(pixels), key=lambda each: each.eye_distance, default=None)
    if face is None:
        return None
    size = pixels.shape[1], pixels.shape[0]
    left, right = (face.points[list(parts)] / size for parts in (LEFT_CHEEK, RIGHT_CHEEK))
    return _rectangle(left), _rectangle(right)


def _rectangle(points: "NDArray[np.floating]") -> Rectangle:
    """What holds points (n, 2), cut to the picture: all are shares of it."""
    (left, top), (right, bottom) = points.clip(0, 1).min(0).tolist(), points.clip(0, 1).max(0).tolist()
    return left, top, right - left, bottom - top


def _png(pixels: "Pixels") -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", compress_level=4)
    return data.getvalue()


def remove_others(folder: Path, kept: Iterable[Crop], files: Files = DISK) -> None:
    """Take away cheeks of an earlier report that no finding shows any more; other crops stay."""
    names = {Path(crop.path).name for crop in kept}
    for name in files.names(folder / FOLDER):
        if name.endswith("-cheek.png") and name not in names:
            files.unlink(folder / FOLDER / name)
