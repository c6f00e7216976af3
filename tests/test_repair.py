"""A repair: the crop that is worked on, what the model is given, and pasting back, byte for byte and without a seam."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.colour import encoded, linear
from pipelines.errors import CellError, InputError
from pipelines.proof import prove
from pipelines.raster import Raster, rgb8
from pipelines.recipe import Crop, Mask, Recipe, SchedulerChoice, Start, Weights
from pipelines.repair import crop_around, cut, paste

RASTERS = list(itertools.product((np.uint8, np.uint16), (1, 2, 3, 4)))
Pixels = NDArray[Any]


def recipe(crop: Crop, width: int, height: int, family: str = "sdxl") -> Recipe:
    return Recipe(
        checkpoint=Weights(digest="c" * 64, family=family),
        prompt="skin",
        seed=1,
        width=width,
        height=height,
        steps=4,
        guidance=3,
        scheduler=SchedulerChoice(name="euler"),
        start=Start(image="a" * 64, strength=0.4),
        mask=Mask(image="b" * 64),
        crop=crop,
    )


def picture(wide: int, high: int, *, channels: int = 3, depth: Any = np.uint8, icc: bytes = b"") -> Raster:
    """Something like a photograph: soft light, an edge and grain, with every sample in use."""
    chance = np.random.default_rng(wide)
    y, x = np.mgrid[:high, :wide]
    light = 0.3 + 0.3 * np.sin(x / 17 + np.arange(channels)[:, None, None]) + 0.2 * (y > high // 2)
    light = np.moveaxis(light, 0, -1) + chance.normal(0, 0.03, (high, wide, channels))
    return Raster((light.clip(0, 1) * np.iinfo(depth).max).round().astype(depth), icc)


def soft_mask(wide: int, high: int, box: tuple[int, int, int, int], *, feather: int = 0) -> NDArray[np.uint8]:
    """White inside the box, rising over the feather from its border."""
    left, top, right, bottom = box
    y, x = np.mgrid[:high, :wide]
    inside = np.minimum.reduce([x - left + 1, right - x, y - top + 1, bottom - y])
    return ((inside / (feather + 1)).clip(0, 1) * 255).round().astype(np.uint8)


def box_of(mask: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def framed(source: Raster, mask: NDArray[np.uint8], *, pixels: int = 128 * 128, grid: int = 8) -> Recipe:
    size = (source.width, source.height)
    crop, (width, height) = crop_around(box_of(mask), size, context=0.3, pixels=pixels, grid=grid)
    return recipe(crop, width, height)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    size = draw(st.integers(1, 9000)), draw(st.integers(1, 9000))
    left, top = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
    right, bottom = draw(st.integers(left + 1, size[0])), draw(st.integers(top + 1, size[1]))
    return (left, top, right, bottom), size


@settings(derandomize=True, database=None, max_examples=150, deadline=None)
@given(boxes(), st.floats(0, 3), st.sampled_from([64, 512, 1024]), st.sampled_from([8, 16]))
def test_a_crop_holds_the_mask_and_lies_in_the_picture(
    given_box: tuple[tuple[int, int, int, int], tuple[int, int]], context: float, side: int, grid: int
) -> None:
    (left, top, right, bottom), size = given_box
    crop, working = crop_around((left, top, right, bottom), size, context=context, pixels=side**2, grid=grid)
    assert 0 <= crop.left <= left < right <= crop.left + crop.width <= size[0]
    assert 0 <= crop.top <= top < bottom <= crop.top + crop.height <= size[1]
    assert (crop.of_width, crop.of_height) == size
    assert all(length % grid == 0 and length >= 16 for length in working)
    slack = 3 * grid / side  # of the coarse sizes that small checkpoints know
    if 0.4 < working[0] / working[1] < 2.5:
        assert abs(working[0] * working[1] / side**2 - 1) <= slack
    least = max(right - left, bottom - top) * (1 + 2 * context)
    if crop.width < size[0] and crop.height < size[1]:  # the picture has room for what was asked
        assert max(crop.width, crop.height) >= least - 1
        assert 0.4 < crop.width / crop.height < 2.5
        assert abs(crop.width - crop.height * working[0] / working[1]) <= 1.5 * max(1, working[0] / working[1])


def test_a_crop_is_shifted_at_the_border_and_smaller_only_where_the_picture_is() -> None:
    def around(*box: int, size: tuple[int, int] = (1000, 800)) -> tuple[Crop, tuple[int, int]]:
        return crop_around((box[0], box[1], box[2], box[3]), size, context=0.5, pixels=512**2, grid=8)

    inside, working = around(400, 300, 500, 400)
    assert (inside.left, inside.top, inside.width, inside.height) == (350, 250, 200, 200)
    assert working == (512, 512)
    corner, _ = around(0, 700, 100, 800)
    assert (corner.left, corner.top, corner.width, corner.height) == (0, 600, 200, 200)
    whole, working = around(0, 0, 1000, 800)
    assert (whole.left, whole.top, whole.width, whole.height) == (0, 0, 1000, 800)
    assert working == (568, 456)
    tiny, _ = around(500, 400, 502, 402)
    assert (tiny.width, tiny.height) == (64, 64)  # an eighth of 512: it is not enlarged further
    brow, working = around(300, 300, 500, 310)
    assert (brow.width, brow.height) == (402, 210)  # twice as wide as high, to the ratio of the working size
    strip, working = around(0, 0, 9000, 90, size=(9000, 90))
    assert (strip.width, strip.height) == (9000, 90)
    assert working == (2048, 128)


def test_frames_that_cannot_be_are_refused() -> None:
    for box in ((5, 5, 5, 9), (0, 0, 11, 9), (-1, 0, 4, 4)):
        with pytest.raises(InputError, match="does not lie in a picture of 10x9"):
            crop_around(box, (10, 9), context=0.3, pixels=64**2, grid=8)
    with pytest.raises(InputError, match=r"context -0\.1 is below 0"):
        crop_around((0, 0, 5, 5), (10, 9), context=-0.1, pixels=64**2, grid=8)


@pytest.mark.parametrize(("depth", "channels"), RASTERS)
def test_the_model_is_given_8_bit_rgb_and_a_hard_mask_of_the_recipes_size(depth: Any, channels: int) -> None:
    source, mask = picture(203, 151, channels=channels, depth=depth), soft_mask(203, 151, (60, 40, 101, 77), feather=9)
    asked = framed(source, mask)
    start, hard = cut(source, mask, asked)
    assert (start.mode, hard.mode) == ("RGB", "L")
    assert start.size == hard.size == (asked.width, asked.height)
    assert set(np.unique(np.asarray(hard))) == {0, 255}


def test_at_its_own_size_the_crop_is_given_as_it_is() -> None:
    source, mask = picture(200, 160, depth=np.uint16), soft_mask(200, 160, (60, 40, 70, 50))
    start, hard = cut(
        source, mask, recipe(Crop(left=8, top=9, width=96, height=64, of_width=200, of_height=160), 96, 64)
    )
    assert np.array_equal(np.asarray(start), rgb8(source)[9:73, 8:104])
    grown = np.asarray(hard)
    assert grown[40 - 9 - 8 : 50 - 9 + 8, 60 - 8 - 8 : 70 - 8 + 8].all()
    assert np.array_equal(grown, grown.reshape(8, 8, 12, 8)[:, :1, :, :1].repeat(8, 1).repeat(8, 3).reshape(64, 96))
    assert not grown.all()


@settings(derandomize=True, database=None, max_examples=30, deadline=None)
@given(st.data(), st.sampled_from(["sdxl", "flux"]), st.integers(20, 300), st.integers(20, 300))
def test_what_the_model_does_outside_the_hard_mask_never_reaches_the_picture(
    data: st.DataObject, family: str, wide: int, high: int
) -> None:
    source = picture(wide, high)
    left, top = data.draw(st.integers(0, wide - 2)), data.draw(st.integers(0, high - 2))
    box = (left, top, data.draw(st.integers(left + 1, wide)), data.draw(st.integers(top + 1, high)))
    mask = soft_mask(wide, high, box, feather=data.draw(st.integers(0, 12)))
    asked = framed(source, mask, pixels=96 * 96).but(checkpoint=Weights(digest="c" * 64, family=family))
    start, hard = cut(source, mask, asked)
    made = np.asarray(start, np.float32) / 255
    other = np.where(np.asarray(hard)[..., None] > 0, made, 1 - made)
    assert asked.crop is not None
    one, two = (paste(source, mask, asked.crop, each).pixels for each in (made, other))
    assert np.array_equal(one, two)


MASKS = {
    "a feather": ((203, 151), (60, 40, 101, 77), 9),
    "no feather": ((203, 151), (60, 40, 101, 77), 0),
    "all feather": ((203, 151), (20, 20, 141, 127), 200),
    "in a corner": ((203, 151), (162, 120, 203, 151), 5),
    "over a border": ((131, 257), (0, 100, 131, 190), 5),
    "one pixel": ((97, 89), (50, 50, 51, 51), 0),
    "the whole picture": ((101, 75), (0, 0, 101, 75), 0),
}


@pytest.mark.parametrize(("depth", "channels"), RASTERS)
@pytest.mark.parametrize(("size", "box", "feather"), MASKS.values(), ids=MASKS.keys())
def test_outside_the_mask_no_sample_changes(
    depth: Any, channels: int, size: tuple[int, int], box: tuple[int, int, int, int], feather: int
) -> None:
    source = picture(*size, channels=channels, depth=depth, icc=b"a profile")
    mask = soft_mask(*size, box, feather=feather)
    before = source.pixels.copy()
    asked = framed(source, mask)
    made = np.random.default_rng(0).random((asked.height, asked.width, 3), np.float32)
    assert asked.crop is not None
    after = paste(source, mask, asked.crop, made)
    assert np.array_equal(source.pixels, before)
    assert (after.pixels.dtype, after.pixels.shape, after.icc) == (before.dtype, before.shape, b"a profile")
    assert after.pixels[mask == 0].tobytes() == before[mask == 0].tobytes()
    if channels in (2, 4):
        assert np.array_equal(after.pixels[..., -1], before[..., -1])
    proof = prove(source, after, mask)
    assert (proof.changed_outside, proof.before) == (0, proof.after)
    assert proof.changed_inside > 0


def whole(source: Raster) -> Crop:
    wide, high = source.width, source.height
    return Crop(left=0, top=0, width=wide, height=high, of_width=wide, of_height=high)


@pytest.mark.parametrize(("depth", "channels"), RASTERS)
def test_what_comes_back_unchanged_changes_nothing(depth: Any, channels: int) -> None:
    source, mask = picture(96, 64, channels=channels, depth=depth), soft_mask(96, 64, (20, 20, 60, 50), feather=8)
    colours = np.broadcast_to(source.pixels[..., : source.colours] / np.iinfo(depth).max, (64, 96, 3))
    after = paste(source, mask, whole(source), colours.astype(np.float32))
    assert np.array_equal(after.pixels, source.pixels)


def test_all_of_a_picture_may_be_repainted() -> None:
    source, made = picture(96, 64, depth=np.uint16), np.random.default_rng(1).random((64, 96, 3), np.float32)
    after = paste(source, np.full((64, 96), 255, np.uint8), whole(source), made)
    assert np.array_equal(after.pixels, np.rint(made * np.float64(65535)).astype(np.uint16))


def test_a_16_bit_picture_is_blended_in_16_bit() -> None:
    source = Raster(np.full((64, 96, 3), 20_000, np.uint16), b"")
    mask = soft_mask(96, 64, (8, 8, 88, 56), feather=20)
    y, x = np.mgrid[:64, :96]
    spot = 0.305 + 0.02 * np.exp(-(((x - 48) / 15) ** 2) - ((y - 32) / 10) ** 2)
    after = paste(source, mask, whole(source), np.stack([spot] * 3, axis=-1).astype(np.float32))
    assert len(np.unique(after.pixels[mask > 0] // 257)) < 8
    assert len(np.unique(after.pixels[mask > 0])) > 300


def test_a_repaint_of_another_size_is_scaled_without_leaving_its_range() -> None:
    source, mask = picture(90, 90), soft_mask(90, 90, (30, 30, 60, 60))
    for side in (48, 160):
        made = np.zeros((side, side, 3), np.float32)
        made[:, side // 2 :] = 1  # an edge, at which Lanczos would ring
        all_white = paste(source, np.full((90, 90), 255, np.uint8), whole(source), made).pixels
        assert all_white[:, :40].max() <= 20
        assert all_white[:, 50:].min() >= 235
        assert paste(source, mask, whole(source), made).pixels[mask > 0].any()


def face_patch(feather: int) -> tuple[Raster, NDArray[np.uint8], Crop, Pixels]:
    """A cheek of a real photograph, and what an unchanging model would make of its crop."""
    pixels = pytest.importorskip("skimage.data").astronaut()
    y, x = np.mgrid[:512, :512]
    away = 1 - np.hypot((x - 200) / 30, (y - 130) / 25)
    mask = ((away * 25 / max(feather, 1)).clip(0, 1) if feather else away >= 0) * 255.0
    source, rounded = Raster(pixels, b""), mask.round().astype(np.uint8)
    asked = framed(source, rounded, pixels=256 * 256)
    assert asked.crop is not None
    return source, rounded, asked.crop, np.asarray(cut(source, rounded, asked)[0], np.float32) / 255


def lit(made: Pixels, ev: Any) -> Pixels:
    return encoded((linear(made) * np.exp2(ev)).clip(0, 1).astype(np.float32))


def seam(source: Raster, mask: NDArray[np.uint8], crop: Crop, made: Pixels, as_it_was: Pixels) -> float:
    """Mean CIE dE inside the mask against pasting what nobody altered."""
    colour = pytest.importorskip("skimage.color")
    pair = [colour.rgb2lab(paste(source, mask, crop, each).pixels)[mask > 0] for each in (made, as_it_was)]
    return float(np.linalg.norm(pair[0] - pair[1], axis=1).mean())


@pytest.mark.parametrize("feather", [0, 8])
def test_colour_and_light_are_matched_at_the_seam(feather: int) -> None:
    source, mask, crop, made = face_patch(feather)
    wide = np.linspace(-0.4, 0.4, made.shape[1], dtype=np.float32)[None, :, None]
    assert seam(source, mask, crop, lit(made, [-0.1, -0.25, -0.4]), made) < 0.3  # 5 to 6 as it was made
    assert seam(source, mask, crop, lit(made, wide), made) < 0.5  # a light from another side


def test_new_light_inside_the_mask_stays_and_other_things_at_the_rim_cast_no_shadow() -> None:
    source, mask, crop, made = face_patch(0)
    high, wide = made.shape[:2]
    y, x = np.mgrid[:high, :wide]
    spot = np.exp(-(((x - wide / 2) / (0.06 * wide)) ** 2) - ((y - high / 2) / (0.06 * high)) ** 2)[..., None]
    brighter = paste(source, mask, crop, lit(made, -0.8 * spot)).pixels
    plain = paste(source, mask, crop, made).pixels
    assert brighter[130, 200].mean() < 0.85 * plain[130, 200].mean()
    strand = np.abs(x - 0.5 * wide) < 0.012 * wide
    crossed = paste(source, mask, crop, np.where(strand[..., None], 0.2 * made, made)).pixels
    beside = np.s_[110:150, 206:218]
    assert np.abs(crossed[beside].astype(int) - plain[beside]).mean() < 3


@pytest.mark.parametrize(("around", "inside"), [(0, 0), (0, 1), (1, 0)])
def test_black_and_white_rims_are_matched_too(around: int, inside: int) -> None:
    source = Raster(np.full((64, 96, 3), 255 * around, np.uint8), b"")
    mask = soft_mask(96, 64, (20, 20, 60, 50), feather=3)
    after = paste(source, mask, whole(source), np.full((64, 96, 3), inside, np.float32))
    assert np.abs(after.pixels.astype(int) - 255 * around).max() <= 40  # a flat patch is taken for flat light


@pytest.mark.parametrize("size", [(5, 2000), (2000, 5), (1, 40), (40, 1)])
def test_a_picture_however_narrow_is_repaired(size: tuple[int, int]) -> None:
    source, mask = picture(*size), np.zeros(size[::-1], np.uint8)
    mask[mask.shape[0] // 2 :, mask.shape[1] // 2 :] = 255
    after = paste(source, mask, whole(source), np.full((64, 64, 3), 0.5, np.float32))
    assert np.array_equal(after.pixels[mask == 0], source.pixels[mask == 0])
    assert not np.array_equal(after.pixels, source.pixels)


def test_masks_and_crops_that_do_not_fit_are_refused() -> None:
    source, mask = picture(96, 64), soft_mask(96, 64, (20, 20, 60, 50))
    made, crop = np.zeros((64, 96, 3), np.float32), whole(source)
    for wrong, words in (
        (np.zeros((64, 96), np.uint8), "the mask is empty: nothing in it is white"),
        (mask[:-1], "the mask is 96x63 but the picture is 96x64"),
    ):
        with pytest.raises(InputError, match=words):
            paste(source, wrong, crop, made)
        with pytest.raises(InputError, match=words):
            cut(source, wrong, recipe(crop, 96, 64))
    with pytest.raises(InputError, match="the mask reaches out of the crop"):
        paste(source, mask, crop.but(width=40), made)
    with pytest.raises(InputError, match="the crop is of a picture of 97x64, not 96x64"):
        paste(source, mask, crop.but(of_width=97), made)
    made[3, 4, 1] = np.nan
    with pytest.raises(CellError, match="not finite"):
        paste(source, mask, crop, made)
