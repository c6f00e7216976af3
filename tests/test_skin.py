"""Measures of skin: pictures altered in known ways move the numbers that should move, and leave the others."""

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines import skin
from pipelines.colour import encoded, light_of
from pipelines.demo.portraits import portrait
from pipelines.errors import InputError
from pipelines.regions import FaceMap, face_map
from pipelines.skin import MEASURES, Measured, is_flat, measure

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels], Any]
LEFT, FRONT, RIGHT = (12,), (14,), (6,)
"""Seeds of drawn portraits with light from there: dark and medium skin, soft light."""


def grace_hopper() -> Pixels:
    """The photograph that comes with matplotlib: eyes 88 px apart, flash from the front, public domain."""
    found = importlib.util.find_spec("matplotlib")
    assert found
    assert found.origin
    return np.asarray(Image.open(Path(found.origin).parent / "mpl-data/sample_data/grace_hopper.jpg").convert("RGB"))


@pytest.fixture(scope="module")
def photo() -> FaceMap:
    return face_map(grace_hopper())


@pytest.fixture(scope="module")
def plain(photo: FaceMap) -> Measured:
    return measure(photo.pixels, photo)


def rounded(values: Any) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def exposed(pixels: Pixels, factor: Any) -> Pixels:
    return rounded(255 * encoded(np.clip(light_of(pixels) * factor, 0, 1)))


def soft(pixels: Pixels, sigma_px: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma_px), np.uint8)


def smoothed(pixels: Pixels, strength: float, where: NDArray[np.float32]) -> Pixels:
    flat = cv2.bilateralFilter(pixels, 0, strength, 2.6).astype(float)
    return rounded(pixels + (flat - pixels) * where[..., None])


def noisy(pixels: Pixels, sigma: float) -> Pixels:
    return rounded(pixels + np.random.default_rng(0).normal(0, sigma, pixels.shape[:2])[..., None])


def sharpened(pixels: Pixels, amount: float) -> Pixels:
    return rounded(pixels + amount * (pixels.astype(float) - soft(pixels, 1.0)))


def again(photo: FaceMap, pixels: Pixels) -> Measured:
    """The altered picture under the masks of the photograph, so that only the pixels differ."""
    other = FaceMap(pixels, photo.faces)
    other.patch = photo.patch  # type: ignore[method-assign]
    return measure(pixels, other)


def series(photo: FaceMap, name: str, changed: Iterator[Pixels]) -> list[float]:
    values = [again(photo, pixels).value(name) for pixels in changed]
    assert None not in values
    return [value for value in values if value is not None]


def test_a_photograph_is_measured_and_lies_in_the_ranges_that_are_told(plain: Measured) -> None:
    assert plain.face == 1
    for each in MEASURES:
        value = plain.value(each.name)
        assert value is not None, each.name
        assert each.low <= value <= each.high, (each.name, value)
    assert plain.verdicts == ()
    assert "rough below 90" in plain.cautions[0]


def test_every_measure_says_what_it_is() -> None:
    assert [each.name for each in MEASURES] == list(skin.FORMULAS)
    assert all(each.unit and each.formula and each.source and each.meaning.endswith(".") for each in MEASURES)


def test_blur_lowers_texture_step_by_step(photo: FaceMap, plain: Measured) -> None:
    values = series(photo, "texture", (soft(photo.pixels, sigma) for sigma in (0.4, 0.8, 1.4, 2.2)))
    assert np.all(np.diff([plain.value("texture"), *values]) < 0)
    assert values[-1] < 0.4 * plain.value("texture")  # type: ignore[operator]


def test_smoothed_skin_is_told_from_a_picture_out_of_focus(photo: FaceMap, plain: Measured) -> None:
    where = photo.region(1, "skin")
    smooth = [again(photo, smoothed(photo.pixels, strength, where)) for strength in (15, 60)]
    for name in ("slope", "skin_to_eyes"):
        values = [each.value(name) for each in (plain, *smooth)]
        assert np.all(np.diff(values) < -0.2), (name, values)
    blurred = again(photo, soft(photo.pixels, 1.4))
    assert blurred.value("slope") == pytest.approx(smooth[1].value("slope"), abs=1)
    assert blurred.value("skin_to_eyes") > smooth[1].value("skin_to_eyes") + 1
    assert "no texture resolved" in smooth[1].verdicts[0]


def test_noise_is_no_skin(photo: FaceMap, plain: Measured) -> None:
    values = series(photo, "pixel_share", (noisy(photo.pixels, sigma) for sigma in (3, 6, 9)))
    assert np.all(np.diff([plain.value("pixel_share"), *values]) > 0)
    larger = face_map(np.asarray(Image.fromarray(photo.pixels).resize((760, 891))))
    assert larger.faces[0].eye_distance > 90
    plastic = smoothed(larger.pixels, 60, larger.region(1, "skin"))
    assert ["no texture resolved" in each for each in again(larger, plastic).verdicts] == [True]
    assert "noise, not skin" in again(larger, noisy(plastic, 12)).verdicts[-1]
    assert measure(larger.pixels, larger).verdicts == ()


def test_sharpening_leaves_halos(photo: FaceMap, plain: Measured) -> None:
    values = series(photo, "halo", (sharpened(photo.pixels, amount) for amount in (0.7, 2.0)))
    assert np.all(np.diff([plain.value("halo"), *values]) > 0.05)


def test_exposure_and_jpeg_change_next_to_nothing(photo: FaceMap, plain: Measured) -> None:
    darker = again(photo, exposed(photo.pixels, 0.25))
    for name in ("texture", "slope", "skin_to_eyes", "pixel_share", "triangle", "side_ev", "shading", "blood"):
        assert darker.value(name) == pytest.approx(plain.value(name), rel=0.05, abs=0.03), name
    packed = cv2.imdecode(cv2.imencode(".jpg", photo.pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])[1], 1)
    assert again(photo, packed).value("texture") == pytest.approx(plain.value("texture"), rel=0.2)


def test_light_from_the_side_moves_the_side_light_ratio(photo: FaceMap, plain: Measured) -> None:
    left, _, right, _ = photo.faces[0].box
    across = np.clip((np.arange(photo.pixels.shape[1]) - left) / (right - left), 0, 1)
    lit = again(photo, exposed(photo.pixels, 2.0 ** (-2 * across)[None, :, None]))
    change = lit.value("side_ev") - plain.value("side_ev")  # type: ignore[operator]
    assert -1.6 < change < -1  # the cheeks' middles lie about .64 of the face apart
    assert lit.value("texture") == pytest.approx(plain.value("texture"), rel=0.05)
    assert "flat or frontal" in is_flat(plain)
    assert is_flat(lit) == ""


@pytest.mark.parametrize(("part", "other"), [("mouth", "nose"), ("nose", "mouth")])
def test_a_soft_mouth_or_nose_is_found_beside_sharp_eyes(
    photo: FaceMap, plain: Measured, part: str, other: str
) -> None:
    where = cv2.dilate(photo.region(1, part), np.ones((9, 9)))[..., None]
    changed = again(photo, rounded(photo.pixels + (soft(photo.pixels, 1.8) - photo.pixels.astype(float)) * where))
    name = f"{part}_to_eyes"
    assert changed.value(name) < plain.value(name) - 0.5  # type: ignore[operator]
    assert changed.value(f"{other}_to_eyes") == pytest.approx(plain.value(f"{other}_to_eyes"), abs=0.15)
    assert changed.value("triangle") > plain.value("triangle") + 0.3  # type: ignore[operator]
    whole = again(photo, soft(photo.pixels, 1.2))
    assert whole.value(name) == pytest.approx(plain.value(name), abs=0.3)


def test_no_face_gives_reasons_and_a_face_that_is_not_there_is_refused(photo: FaceMap) -> None:
    empty = np.full((200, 200, 3), 90, np.uint8)
    none = measure(empty, FaceMap(empty, ()))
    assert none.face is None
    assert {each.why for each in none.readings} == {"no face was found"}
    assert is_flat(none) == ""
    with pytest.raises(InputError, match="face2"):
        measure(photo.pixels, photo, 2)


def test_a_small_face_keeps_its_light_and_loses_its_texture(plain: Measured) -> None:
    small = face_map(np.asarray(Image.fromarray(grace_hopper()).resize((234, 274), Image.Resampling.BOX)))
    seen = measure(small.pixels, small)
    assert seen.reading("texture").why == "the eyes are 40 px apart; it needs 50"
    assert seen.value("side_ev") == pytest.approx(plain.value("side_ev"), abs=0.1)


def test_grey_has_no_blood_burnt_skin_no_texture_and_hidden_skin_nothing(photo: FaceMap) -> None:
    grey = np.repeat(cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert again(photo, grey).reading("blood").why == "the picture is grey"
    assert again(photo, grey).value("texture") is not None
    burnt = again(photo, exposed(photo.pixels, 6))
    assert "of the skin is burnt out" in burnt.reading("texture").why
    assert burnt.value("clipped_high") > 50  # type: ignore[operator]
    flat = again(photo, np.full_like(photo.pixels, 128))
    assert flat.reading("texture").why == skin.SAME
    black = again(photo, np.zeros_like(photo.pixels))
    assert (black.value("clipped_low"), black.reading("shading").why) == (100, "a tenth of the skin is black")
    assert black.reading("side_ev").why == "the right cheek is black"
    hidden = FaceMap(photo.pixels, photo.faces)
    none = dataclasses.replace(photo.patch(1, "skin"), values=np.zeros((4, 4), np.uint8))
    hidden.patch = lambda number, name: none  # type: ignore[method-assign]
    assert "too little skin is seen" in measure(photo.pixels, hidden).reading("shading").why


def test_a_turned_face_is_not_compared_cheek_by_cheek(photo: FaceMap) -> None:
    face = photo.faces[0]
    for share, names in ((0.5, ["side_ev"]), (0.9, [each.name for each in MEASURES])):
        points = face.points.copy()
        points[1, 0] = points[234, 0] + (points[454, 0] - points[234, 0]) * (1 + share) / 2
        turned = FaceMap(photo.pixels, (dataclasses.replace(face, points=points),))
        turned.patch = photo.patch  # type: ignore[method-assign]
        seen = measure(photo.pixels, turned)
        assert [each.name for each in seen.readings if each.value is None] == names
        assert "turned too far" in seen.reading("side_ev").why


def test_drawn_portraits_say_from_where_their_light_comes() -> None:
    lights: dict[str, list[Measured]] = {"side left": [], "front": [], "side right": []}
    for seed in (*LEFT, *FRONT, *RIGHT):
        drawn = portrait(seed)
        lights[drawn.attributes.light].append(measure(drawn.picture, face_map(drawn.picture)))
    assert all(each.value("side_ev") < -0.5 for each in lights["side left"])  # type: ignore[operator]
    assert all(each.value("side_ev") > 0.5 for each in lights["side right"])  # type: ignore[operator]
    assert all(is_flat(each) == "" for each in (*lights["side left"], *lights["side right"]))
    assert all(abs(each.value("side_ev")) < 0.5 for each in lights["front"])  # type: ignore[arg-type]
