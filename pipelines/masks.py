"""Paints the mask that an expression means over the faces of a picture. Knows nothing about what will be done under it.

Masks are bytes: 0 = stays, 255 = may change. They are joined as fuzzy sets: `+` is the sum to at most 255, so that two
regions with a soft border in common leave no seam, `*` the lesser, `-` the lesser of the first and the second's rest.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.errors import InputError
from pipelines.mask_words import Change, Expression, Joined, Painted, Region, Term, parse, terms
from pipelines.mask_words import canonical as canonical
from pipelines.mask_words import is_expression as is_expression
from pipelines.mask_words import regions_in as regions_in
from pipelines.raster import grey8, open_raster
from pipelines.regions import BY_COLOUR, NO_FACE, FaceMap, Patch

Mask = NDArray[np.uint8]
HALF = 128


def paint(text: str, found: FaceMap, *, beside: Path = Path()) -> Mask:
    """The mask (H, W) of an expression over a picture's faces; `beside` is the folder of painted files.

    Grow, shrink and feather are round. Shares are of the eye distance of the faces named (their mean). Feather eats
    inward: where the mask was 0 before it, it is exactly 0. The picture's border is no edge of a mask. The same bytes
    and words give the same mask. Raises InputError for words, faces, files that cannot be, and for an empty mask.
    """
    expression = parse(text)
    height, width = found.pixels.shape[:2]
    patches = {term: _patch(term, found, beside) for term in terms(expression.joined)}
    left, top, right, bottom = _box(list(patches.values()))
    whole = np.zeros((height, width), np.uint8)
    part = _joined(expression.joined, patches, (left, top, right, bottom))
    whole[top:bottom, left:right] = part
    for change in expression.changes:
        _changed(whole, change.name, _pixels(change, expression, found))
    if not whole.any():
        _refuse_grey(expression, found)
    refuse_empty(whole, text)
    return whole


def refuse_empty(mask: Mask, given: str) -> None:
    """Raises InputError if nothing in a mask is above 0; `given` names it, a path or an expression."""
    if not mask.any():
        raise InputError(
            f"the mask {given} is empty: no pixel may change; name a region that is seen, shrink it less, or paint one"
        )


def _refuse_grey(expression: Expression, found: FaceMap) -> None:
    """Raises InputError if a region is named that only colour can tell, of a face that has none."""
    for term in terms(expression.joined):
        if isinstance(term, Region) and term.name in BY_COLOUR:
            numbers = [face.number for face in found.faces if term.face in (None, face.number)]
            if all(found.is_grey(number) for number in numbers):
                raise InputError(
                    f"the {term.name} cannot be told in a grey picture, only by the skin's colour; paint it"
                )


def _patch(term: Region | Painted, found: FaceMap, beside: Path) -> Patch:
    """The part of the picture in which a region or a painted mask is not 0."""
    if isinstance(term, Painted):
        return _painted(beside / term.file, found.pixels.shape[:2])
    if term.face is not None:
        return found.patch(term.face, term.name)
    if not found.faces:
        raise InputError(f"faces.{term.name}: {NO_FACE}")
    patches = [found.patch(face.number, term.name) for face in found.faces]
    left, top, right, bottom = box = _box(patches)
    together = np.zeros((bottom - top, right - left), np.uint8)
    for patch in patches:
        together = cv2.add(together, _laid(patch, box))
    return Patch(left, top, together)


def _painted(path: Path, size: tuple[int, ...]) -> Patch:
    """A painted mask: its lightness; raises InputError for another size than the picture's (height, width)."""
    mask = grey8(open_raster(path))
    if mask.shape != size:
        raise InputError(
            f"the mask {path} has {mask.shape[1]} x {mask.shape[0]} pixels, the picture {size[1]} x {size[0]}; "
            "paint it on the picture as it is"
        )
    return Patch(0, 0, mask)


def _joined(term: Term, patches: dict[Region | Painted, Patch], box: tuple[int, int, int, int]) -> Mask:
    """What a term means within a box of the picture."""
    if not isinstance(term, Joined):
        return _laid(patches[term], box)
    mask = _joined(term.first, patches, box)
    for sign, other in term.rest:
        values = _joined(other, patches, box)
        mask = cv2.add(mask, values) if sign == "+" else np.minimum(mask, 255 - values if sign == "-" else values)
    return mask


def _laid(patch: Patch, box: tuple[int, int, int, int]) -> Mask:
    """A patch laid into an empty mask of a box that holds it."""
    left, top, right, bottom = box
    mask = np.zeros((bottom - top, right - left), np.uint8)
    height, width = patch.values.shape
    mask[patch.top - top : patch.top - top + height, patch.left - left : patch.left - left + width] = patch.values
    return mask


def _box(patches: list[Patch]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of all patches together."""
    lefts, tops = [patch.left for patch in patches], [patch.top for patch in patches]
    rights = [patch.left + patch.values.shape[1] for patch in patches]
    return min(lefts), min(tops), max(rights), max(patch.top + patch.values.shape[0] for patch in patches)


def _pixels(change: Change, expression: Expression, found: FaceMap) -> float:
    """The amount of a change in pixels; raises InputError for a share where no face is named."""
    amount = float(change.amount)
    if change.in_pixels or not amount:
        return amount
    named = [term.face for term in terms(expression.joined) if isinstance(term, Region)]
    if not named:
        raise InputError(
            f"{change.name} {change.amount} is a share of the eye distance, and the mask names no face; "
            f"write pixels, as {change.name} 12px"
        )
    faces = [face for face in found.faces if None in named or face.number in named]
    return amount * float(np.mean([face.eye_distance for face in faces]))


def _changed(mask: Mask, name: str, pixels: float) -> None:
    """Grow, shrink or feather a mask in place, only where it can change."""
    if pixels == 0 or not mask.any():
        return
    reach = int(np.ceil(pixels)) + 2 if name == "grow" else 2
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    part = mask[
        max(0, rows[0] - reach) : rows[-1] + 1 + reach,
        max(0, columns[0] - reach) : columns[-1] + 1 + reach,
    ]
    part[:] = CHANGED[name](part, pixels)


def _grown(mask: Mask, pixels: float) -> Mask:
    """All within so many pixels of where the mask is at least half, with an edge one pixel soft."""
    if not (mask >= HALF).any():
        return mask
    ramp = np.clip(pixels + 0.5 + 0.5 - _distance(mask < HALF), 0, 1)
    return np.maximum(mask, _bytes(ramp))


def _shrunk(mask: Mask, pixels: float) -> Mask:
    """Without what is within so many pixels of where the mask is less than half."""
    if not (mask < HALF).any():
        return mask
    return np.minimum(mask, _bytes(np.clip(_distance(mask >= HALF) - pixels, 0, 1)))


def _feathered(mask: Mask, pixels: float) -> Mask:
    """Fading to 0 at the edge from full so many pixels within: 3t^2 - 2t^3, smooth at both ends."""
    if not (mask < HALF).any():
        return mask
    depth = np.clip((_distance(mask >= HALF) - np.float32(0.5)) / np.float32(pixels), 0, 1)
    return _bytes(depth * depth * (3 - 2 * depth) * (mask / np.float32(255)))


CHANGED = {"grow": _grown, "shrink": _shrunk, "feather": _feathered}


def _distance(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Pixels from each pixel inside to the nearest outside, 0 outside."""
    distance: NDArray[np.float32] = cv2.distanceTransform(
        inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dstType=cv2.CV_32F
    )
    return distance


def _bytes(values: NDArray[np.float32]) -> Mask:
    return np.round(values * 255).astype(np.uint8)
