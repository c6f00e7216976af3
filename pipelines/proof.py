"""Proof that outside a mask no sample changed: counted and hashed. Knows nothing about how the picture was changed."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from pipelines.raster import Raster, check_mask, content
from pipelines.recipe import SHA256

ROWS = 64
"""Looked at together, so that a picture of 40 megapixels needs no copy of itself."""


class Proof(Frozen):
    """What changed outside and inside a mask: counts of samples, one a channel and pixel, alpha among them.

    `before` and `after` are SHA-256 over the samples where the mask is 0, line by line, channels together, 16 bit
    little endian: equal where nothing changed there. `mask` is the mask's content hash.
    """

    outside: int
    changed_outside: int
    inside: int
    changed_inside: int
    before: SHA256
    after: SHA256
    mask: SHA256


def prove(before: Raster, after: Raster, mask: NDArray[np.uint8]) -> Proof:
    """Compare every sample of two pictures; `mask` is (height, width), 0 = outside.

    Raises InputError for pictures of other sizes, depths, channels or profiles, and for a mask of another size.
    """
    _check(before, after, mask)
    digests = hashlib.sha256(), hashlib.sha256()
    outside = changed = changed_outside = 0
    for row in range(0, before.height, ROWS):
        rows = slice(row, row + ROWS)
        pair = before.pixels[rows], after.pixels[rows]
        is_outside = mask[rows] == 0
        is_changed = pair[0] != pair[1]
        outside += int(np.count_nonzero(is_outside)) * before.pixels.shape[2]
        changed += int(np.count_nonzero(is_changed))
        changed_outside += int(np.count_nonzero(is_changed & is_outside[..., None]))
        for digest, pixels in zip(digests, pair, strict=True):
            kept = pixels if is_outside.all() else pixels[is_outside]
            digest.update(np.ascontiguousarray(kept, kept.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)
    return Proof(
        outside=outside,
        changed_outside=changed_outside,
        inside=before.pixels.size - outside,
        changed_inside=changed - changed_outside,
        before=digests[0].hexdigest(),
        after=digests[1].hexdigest(),
        mask=content(Raster(mask[..., None], b"")),
    )


def _check(before: Raster, after: Raster, mask: NDArray[np.uint8]) -> None:
    if before.words() != after.words():
        raise InputError(f"before is {before.words()} and after {after.words()}; only like pictures can be compared")
    if before.icc != after.icc:
        raise InputError(
            "before and after have different colour profiles, so equal samples are not equal colours; "
            "keep the profile when saving"
        )
    check_mask(before, mask)
