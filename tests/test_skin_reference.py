"""A reference's texture goes into the skin, and only that; how far a picture was pulled is told apart from its face."""

import functools

import cv2
import matplotlib.cbook
import numpy as np
import pytest
from numpy.typing import NDArray
from photographs import collins
from PIL import Image

from pipelines.colour import linear, luminance
from pipelines.errors import InputError
from pipelines.faces import find_faces
from pipelines.regions import FaceMap, face_map
from pipelines.skin_bands import bands, log_light, shrunk
from pipelines.skin_laying import facing_the_light, side_light, to_bytes
from pipelines.skin_pull import aligned
from pipelines.skin_reference import MAPPINGS, Pull, pull, textured, weight_warning
from pipelines.skin_transfer import places, scaled_face

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@functools.cache
def sharp() -> Pixels:
    """A reference with its eyes 88 px apart, and spectacles."""
    with Image.open(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))) as image:
        return np.asarray(image.convert("RGB"))[80:400, 60:440]


@functools.cache
def plastic() -> tuple[Pixels, Floats]:
    """A face whose skin was smoothed, its eyes 64 px apart, and the mask of its skin."""
    photograph = cv2.resize(collins()[20:, 20:250], None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    skin = face_map(photograph).region(1, "skin")
    smooth = cv2.bilateralFilter(photograph, 0, 40, 2.0)
    pixels = np.where(skin[..., None] > 0.5, smooth, photograph).astype(np.uint8)
    return pixels, skin


@functools.cache
def laid(weight: float) -> Floats:
    pixels, skin = plastic()
    return textured(pixels.astype(np.float32) / 255, skin, sharp(), weight=weight)


def levels(picture: Floats) -> tuple[float, float]:
    """Texture and mottle of the skin, EV."""
    pixels, skin = plastic()
    found = face_map(pixels)
    eye = found.faces[0].eye_distance
    where = shrunk(skin > 0.6, 0.02 * eye) & np.any(list(places(found, 1).values()), axis=0)
    weight = (skin > 0.6).astype(np.float32)
    return bands(log_light(luminance(linear(picture)), weight > 0), eye, weight=weight).levels(where)


def test_weight_0_gives_the_same_bits() -> None:
    pixels, skin = plastic()
    start = pixels.astype(np.float32) / 255
    assert textured(start, skin, sharp(), weight=0).tobytes() == start.tobytes()
    assert textured(start, np.zeros_like(skin), sharp(), weight=0.5).tobytes() == start.tobytes()


def test_more_weight_gives_more_texture_and_little_mottle() -> None:
    found = [levels(plastic()[0].astype(np.float32) / 255), *(levels(laid(weight)) for weight in (0.5, 0.8))]
    textures = [texture for texture, _ in found]
    assert textures == sorted(textures)
    assert textures[1] > 1.3 * textures[0]
    assert found[1][1] < 1.15 * found[0][1]


def test_the_same_input_gives_the_same_bits() -> None:
    pixels, skin = plastic()
    again = textured(pixels.astype(np.float32) / 255, skin, sharp(), weight=0.5)
    assert again.tobytes() == laid(0.5).tobytes()


def test_nothing_moves_outside_the_mask_nor_in_eyes_and_mouth() -> None:
    pixels, skin = plastic()
    start = pixels.astype(np.float32) / 255
    everywhere = textured(start, np.ones_like(skin), sharp(), weight=0.5)
    found = face_map(pixels)
    for name in ("eyes", "brows", "mouth"):
        there = found.region(1, name) == 1
        assert np.array_equal(everywhere[there], start[there])
    assert not np.array_equal(everywhere, start)
    assert np.array_equal(laid(0.5)[skin == 0], start[skin == 0])


def test_low_frequencies_hue_and_white_stay() -> None:
    pixels, skin = plastic()
    start = linear(pixels.astype(np.float32) / 255)
    made = linear(laid(0.8))
    eye = find_faces(pixels)[0].eye_distance
    low = [cv2.GaussianBlur(luminance(light), (0, 0), 0.1 * eye) for light in (start, made)]
    inside = shrunk(skin > 0.6, 0.05 * eye)
    assert np.abs(np.log2(low[1] / low[0]))[inside].max() <= 0.01
    bright = inside & (start.min(2) > 0.02)
    steps = np.log2(made[bright] / start[bright])
    assert np.abs(steps - steps.mean(1, keepdims=True)).max() < 0.01
    assert made.max() <= max(1.0, start.max()) + 1e-6


def test_what_has_the_texture_keeps_its_own() -> None:
    skin = face_map(sharp()).region(1, "skin")
    start = sharp().astype(np.float32) / 255
    itself = textured(start, skin, sharp(), weight=0.5)
    assert np.abs(itself - start)[skin > 0.6].mean() < 0.25 * np.abs(laid(0.5) - laid(0))[plastic()[1] > 0.6].mean()


def test_spectacles_of_the_reference_do_not_come_along() -> None:
    """The rim is by far the strongest structure of the reference's skin region; no pixel moves as a rim would."""
    pixels, skin = plastic()
    before, after = (luminance(linear(each)) for each in (pixels.astype(np.float32) / 255, laid(0.5)))
    steps = np.log2((after + 1e-3) / (before + 1e-3))
    texture, _ = levels(laid(0.5))
    assert np.abs(steps[skin > 0.6]).max() < 6 * texture


def test_a_reference_lit_from_the_other_side_is_mirrored() -> None:
    ramp = np.linspace(0.4, 1, sharp().shape[1])[:, None]
    lit_right, lit_left = ((sharp() * light).astype(np.uint8) for light in (ramp, ramp[::-1]))
    target = FaceMap(lit_right, find_faces(lit_right))
    for reference, is_mirrored in ((lit_right, False), (lit_left, True)):
        laid_out = facing_the_light(reference, target)
        assert side_light(laid_out) > 0
        assert is_mirrored == bool(np.array_equal(laid_out.pixels[:, ::-1], cut(reference, target)))


def test_a_missing_face_is_one_line() -> None:
    pixels, skin = plastic()
    start = pixels.astype(np.float32) / 255
    blank = np.full((2, 2, 3), 128, np.uint8)
    with pytest.raises(InputError, match="no face was found in the skin reference"):
        textured(start, skin, blank, weight=0.5)
    with pytest.raises(InputError, match="give it more context"):
        textured(blank.astype(np.float32) / 255, np.ones((2, 2), np.float32), sharp(), weight=0.5)


def test_laid_texture_is_told_as_texture_and_not_as_face() -> None:
    pixels, _ = plastic()
    told = pull(pixels, to_bytes(laid(0.5)), sharp(), weight=0.5)
    assert told is not None
    assert told.texture.value is not None
    assert 0.1 < told.texture.value < 0.7
    assert told.geometry.value is not None
    assert abs(told.geometry.value) < 0.06
    assert told.shading.value is not None
    assert abs(told.shading.value) < 0.05
    assert told.verdict.startswith("texture +")
    assert "of the way to the reference, face" in told.verdict
    assert Pull.model_validate_json(told.model_dump_json()) == told


def test_a_morph_is_told_as_face_and_not_as_texture() -> None:
    pixels, _ = plastic()
    told = pull(pixels, _towards(pixels, sharp(), 0.4), sharp(), weight=0.5)
    assert told is not None
    assert told.geometry.value is not None
    assert told.geometry.value > 0.15
    assert told.texture.value is not None
    assert told.texture.value < 0.1


def test_a_blended_face_is_told_by_its_shading() -> None:
    pixels, _ = plastic()
    mine, theirs = find_faces(pixels)[0], find_faces(sharp())[0]
    ones = np.ones((468, 1), np.float32)
    there = np.linalg.lstsq(np.hstack([theirs.points, ones]), mine.points, rcond=None)[0].T
    laid_over = cv2.warpAffine(sharp(), there, pixels.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    told = pull(pixels, cv2.addWeighted(pixels, 0.6, laid_over, 0.4, 0), sharp(), weight=0.5)
    assert told is not None
    assert told.shading.value is not None
    assert told.shading.value > 0.15


def test_equal_pictures_have_no_pull_and_faceless_ones_say_why() -> None:
    pixels, _ = plastic()
    assert pull(pixels, pixels, sharp(), weight=0.5) is None
    other = pixels.copy()
    other[0, 0] ^= 1
    none_moved = pull(pixels, other, sharp(), weight=0.5)
    assert none_moved is not None
    assert abs(none_moved.geometry.value or 0) < 1e-3
    assert abs(none_moved.texture.value or 0) < 1e-3
    blank = np.full((2, 2, 3), 128, np.uint8)
    told = pull(pixels, other, blank, weight=0.5)
    assert told is not None
    assert told.geometry.value is None
    assert told.texture.why == "not measurable because no face was found in the reference"
    small = np.ascontiguousarray(cv2.resize(sharp(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    few = pull(pixels, other, small, weight=0.5)
    assert few is not None
    assert "px between the eyes, 50 are needed" in few.texture.why


@pytest.mark.parametrize(
    ("weight", "role", "said"),
    [
        (0.4, "skin", ""),
        (0.6, "start", ""),
        (0.39, "skin", "little"),
        (0.7, "skin", "as if copied"),
        (0.7, "start", "almost"),
    ],
)
def test_weights_outside_the_normal_range_are_warned_of(weight: float, role: str, said: str) -> None:
    warning = weight_warning(weight, role)
    assert said in warning
    assert bool(warning) == bool(said)


def test_every_mechanism_says_what_a_weight_is_to_it() -> None:
    told = {mapping.mechanism: mapping.sets for mapping in MAPPINGS}
    assert told["img2img"] == "strength = 1 - weight"
    assert {"bands", "ip-adapter", "redux", "kontext", "images"} < set(told)


def cut(reference: Pixels, target: FaceMap) -> Pixels:
    face = find_faces(reference)[0]
    return scaled_face(reference, face, target.faces[0].eye_distance)[0]


def _towards(pixels: Pixels, reference: Pixels, share: float) -> Pixels:
    """The face warped so that its points lie a share of the way to the reference's proportions."""
    mine, theirs = find_faces(pixels)[0], find_faces(reference)[0]
    moves = (aligned(theirs.points, mine.points) - mine.points) * share
    height, width = pixels.shape[:2]
    total, weight = np.zeros((height, width, 2), np.float32), np.zeros((height, width, 1), np.float32)
    for (x, y), move in zip(mine.points + moves, moves, strict=True):
        if 0 <= x < width and 0 <= y < height:
            total[int(y), int(x)] += move
            weight[int(y), int(x)] += 1
    sigma = 0.08 * mine.eye_distance
    field = cv2.GaussianBlur(total, (0, 0), sigma) / (cv2.GaussianBlur(weight, (0, 0), sigma)[..., None] + 1e-4)
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    return cv2.remap(pixels, across - field[..., 0], down - field[..., 1], cv2.INTER_CUBIC)
