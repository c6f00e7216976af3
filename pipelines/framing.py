"""Which part of a picture is worked on around a mask, and at what size. Knows nothing about pixels or models."""

import math

from pipelines.errors import InputError
from pipelines.recipe import Crop

WIDEST = 2.0
"""A crop is at most twice as long as wide, as far as the picture lets it: checkpoints know no longer pictures."""
MOST_ENLARGED = 8
"""Less of the picture than an eighth of the working size a side holds nothing that a checkpoint could recognise."""
LONGEST = 16.0
"""Ratio of a working size at the most; what is longer (a panorama, all of it masked) is squeezed."""
ROUNDING = 1e-6  # what a float may be too much, which is no pixel
SMALLEST = 16
"""Sides that a Recipe allows begin here."""


def crop_around(
    box: tuple[int, int, int, int], size: tuple[int, int], *, context: float, pixels: int, grid: int
) -> tuple[Crop, tuple[int, int]]:
    """The crop around a mask's box, and the width and height it is worked on at.

    `box` is left, top, right, bottom of what is not black in the mask, in pixels of the picture, whose width and height
    are `size`. `context` is how much of the box's longer side is added on every side; the crop is shifted at the
    picture's border, and smaller than asked only where the picture is. The working size is about `pixels` in area, both
    sides multiples of `grid`. The crop's ratio is the working size's to half a pixel where the picture has room for it.
    Raises InputError for a box that is empty or reaches out, and for context below 0.
    """
    left, top, right, bottom = box
    if not (0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]):
        raise InputError(f"the mask's box {box} does not lie in a picture of {size[0]}x{size[1]}; paint the mask anew")
    if context < 0:
        raise InputError(f"context {context:g} is below 0; give the share of the mask that is added around it, as 0.3")
    wanted = _wanted(right - left, bottom - top, context=context, least=math.sqrt(pixels) / MOST_ENLARGED)
    inside = min(wanted[0], size[0]), min(wanted[1], size[1])
    working = _working(min(max(inside[0] / inside[1], 1 / LONGEST), LONGEST), pixels=pixels, grid=grid)
    width, height = _like(working, inside, size=size)
    crop = Crop(
        left=_begin(left, right, length=width, available=size[0]),
        top=_begin(top, bottom, length=height, available=size[1]),
        width=width,
        height=height,
        of_width=size[0],
        of_height=size[1],
    )
    return crop, working


def _wanted(width: int, height: int, *, context: float, least: float) -> tuple[float, float]:
    """Sides of the crop as asked for, wherever the picture ends."""
    added = 2 * context * max(width, height)
    wide, high = max(width + added, least), max(height + added, least)
    return max(wide, high / WIDEST), max(high, wide / WIDEST)


def _working(ratio: float, *, pixels: int, grid: int) -> tuple[int, int]:
    """Multiples of the grid near the ratio and the area; a ratio that is off counts four times an area that is."""
    least = math.ceil(SMALLEST / grid)
    middle = max(least, round(math.sqrt(pixels / ratio) / grid))
    sizes = [
        (max(least, round(high * ratio)) * grid, high * grid) for high in range(max(least, middle - 2), middle + 3)
    ]

    def fault(size: tuple[int, int]) -> float:
        return abs(math.log(size[0] * size[1] / pixels)) + 4 * abs(math.log(size[0] / size[1] / ratio))

    return min(sizes, key=fault)


def _like(working: tuple[int, int], inside: tuple[float, float], *, size: tuple[int, int]) -> tuple[int, int]:
    """The crop's sides, one of them enlarged to the working size's ratio as far as the picture goes."""
    ratio = working[0] / working[1]
    width = min(size[0], math.ceil(max(inside[0], inside[1] * ratio) - ROUNDING))
    height = min(size[1], max(math.ceil(inside[1] - ROUNDING), round(width / ratio)))
    return width, height


def _begin(low: int, high: int, *, length: int, available: int) -> int:
    """Where a stretch of `length` begins that has low..high in its middle, or is shifted to lie inside."""
    return min(max(0, (low + high - length) // 2), available - length)
