"""A damaged reference comes closer to what it was, the original stays, and nobody is promised pores."""

import functools
import io

import matplotlib.cbook
import numpy as np
import pytest
from numpy.typing import NDArray
from photographs import collins
from PIL import Image

from pipelines.errors import InputError
from pipelines.raster import Raster
from pipelines.reference_photo import enough, restore, side_by_side

Pixels = NDArray[np.uint8]


@functools.cache
def photograph() -> Pixels:
    """Eyes 88 px apart."""
    with Image.open(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))) as image:
        return np.asarray(image.convert("RGB"))[80:400, 60:440]


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def noisy(pixels: Pixels, sigma: float) -> Pixels:
    noise = np.random.default_rng(0).normal(0, sigma, pixels.shape)
    return np.asarray((pixels + noise).round().clip(0, 255), np.uint8)


def psnr(pixels: Pixels, other: Pixels) -> float:
    """Decibels."""
    return float(10 * np.log10(255**2 / np.mean((pixels.astype(float) - other) ** 2)))


def test_jpeg_20_and_noise_are_partly_undone() -> None:
    original = collins()
    for damaged, gain in ((jpeg(original, 20), 0.2), (noisy(original, 10), 3.0)):
        untouched = damaged.copy()
        made = restore(Raster(damaged, b""), amount=0.5)
        assert np.array_equal(damaged, untouched)
        assert psnr(original, made.picture.pixels) > psnr(original, damaged) + gain


def test_more_amount_takes_more_and_says_what_it_took() -> None:
    textures = []
    for amount in (0.0, 0.6):
        made = restore(Raster(photograph(), b""), amount=amount)
        textures.append(made.after.reading("texture").value or 0)
    assert textures == sorted(textures, reverse=True)
    assert made.before.reading("texture").value == textures[0]
    assert any("of the texture" in note for note in made.notes)


def test_amount_0_keeps_every_byte_and_the_profile() -> None:
    picture = Raster(collins().copy(), b"a profile")
    made = restore(picture, amount=0)
    assert np.array_equal(made.picture.pixels, collins())
    assert made.picture.icc == b"a profile"


def test_grey_and_deep_photographs_become_8_bit_rgb_without_a_grey_profile() -> None:
    deep = collins()[..., :1].astype(np.uint16) * 257
    made = restore(Raster(deep, b"of grey"), amount=0)
    assert made.picture.pixels.shape == (256, 256, 3)
    assert made.picture.pixels.dtype == np.uint8
    assert made.picture.icc == b""


def test_enlarging_is_called_what_it_is() -> None:
    made = restore(Raster(collins(), b""), amount=0, enlarge=2)
    assert made.picture.pixels.shape == (512, 512, 3)
    assert made.after.eye_distance == pytest.approx(2 * made.before.eye_distance, rel=0.05)
    assert any("pixels are not texture" in note for note in made.notes)
    assert any("no pores can be promised" in note for note in made.notes)
    assert side_by_side(collins(), made.picture.pixels).shape == (512, 1028, 3)


def test_a_photograph_without_a_face_is_restored_and_says_so() -> None:
    made = restore(Raster(np.full((2, 2, 3), 90, np.uint8), b""), amount=0.5)
    assert made.notes == ("no face was found in it: nothing could be measured",)
    assert made.after.eye_distance == 0


@pytest.mark.parametrize(
    ("amount", "enlarge", "said"), [(1.1, 1, "amount 1.1"), (0.5, 5, "enlarge 5"), (0.5, 0.5, "0.5")]
)
def test_what_cannot_be_is_refused(amount: float, enlarge: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        restore(Raster(collins(), b""), amount=amount, enlarge=enlarge)


def test_a_reference_needs_about_as_many_pixels_as_its_target() -> None:
    assert "no pores" in enough(49)
    assert enough(60) == ""
    assert "enlarged 2.0 times" in enough(100, wanted=200)
    assert enough(170, wanted=200) == ""
