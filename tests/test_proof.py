"""Proof of a repair: every changed sample outside the mask is counted, and the hashes are anyone's to repeat."""

import hashlib
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from pipelines.errors import InputError
from pipelines.images import content_hash
from pipelines.proof import Proof, prove
from pipelines.raster import Raster

WIDE, HIGH = 131, 207  # not a multiple of the rows that are looked at together
MASK = np.zeros((HIGH, WIDE), np.uint8)
MASK[50:100, 30:70] = 128
MASK[60:90, 40:60] = 255


def pictures(depth: Any = np.uint8, channels: int = 3) -> tuple[Raster, Raster]:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(depth).max, (HIGH, WIDE, channels), dtype=depth)
    return Raster(pixels, b"p"), Raster(pixels.copy(), b"p")


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_changed_sample_is_counted(depth: Any, channels: int) -> None:
    before, after = pictures(depth, channels)
    for row, column in ((0, 0), (63, 29), (64, 70), (HIGH - 1, WIDE - 1)):
        after.pixels[row, column, channels - 1] += 1
    after.pixels[75, 50] += 1
    proof = prove(before, after, MASK)
    assert (proof.outside, proof.inside) == ((HIGH * WIDE - 2000) * channels, 2000 * channels)
    assert (proof.changed_outside, proof.changed_inside) == (4, channels)
    assert proof.before != proof.after


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_hashes_are_of_the_samples_outside_and_of_the_mask(depth: Any) -> None:
    from PIL import Image

    before, after = pictures(depth, 4)
    after.pixels[50:100, 30:70] = 7
    proof = prove(before, after, MASK)
    assert proof.changed_outside == 0
    assert proof.changed_inside > 7000
    little = before.pixels.astype(np.dtype(depth).newbyteorder("<"))
    assert proof.before == proof.after == hashlib.sha256(little[MASK == 0].tobytes()).hexdigest()
    assert proof.mask == content_hash(Image.fromarray(MASK))
    assert Proof.read(json.loads(proof.model_dump_json())) == proof


def test_unlike_pictures_are_refused() -> None:
    before, after = pictures()
    for other, words in (
        (Raster(after.pixels[1:], b"p"), r"before is 131x207 RGB, 8 bit and after 131x206 RGB, 8 bit; only like"),
        (Raster(after.pixels.astype(np.uint16), b"p"), "and after 131x207 RGB, 16 bit"),
        (Raster(after.pixels[..., :1], b"p"), "and after 131x207 L, 8 bit"),
        (Raster(after.pixels, b"q"), "before and after have different colour profiles"),
    ):
        with pytest.raises(InputError, match=words):
            prove(before, other, MASK)
    with pytest.raises(InputError, match="the mask is 131x206 but the picture is 131x207"):
        prove(before, after, MASK[1:])


def test_a_large_picture_needs_no_copy_of_itself() -> None:
    pixels = np.zeros((4000, 3000, 3), np.uint8)
    mask = np.zeros((4000, 3000), np.uint8)
    mask[1000:1400, 900:1500] = 255
    after = pixels.copy()
    after[1000:1400, 900:1500] = 9
    tracemalloc.start()
    try:
        proof = prove(Raster(pixels, b""), Raster(after, b""), mask)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (proof.changed_outside, proof.changed_inside) == (0, 400 * 600 * 3)
    assert peak < pixels.nbytes / 5
