"""Finding faces in real photographs: astronaut Eileen Collins (scikit-image) and Grace Hopper (Matplotlib)."""

import functools
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from pipelines import faces
from pipelines.errors import InputError
from pipelines.faces import Face, find_faces
from tests.photographs import PHOTOGRAPHS, collins, hopper, lit, side_by_side, turned


@functools.cache
def found(photograph: Any) -> Face:
    """The face of a photograph as it is."""
    (face,) = find_faces(photograph())
    return face


def shift(found: Face, points: NDArray[Any]) -> float:
    """Median distance of mesh points from where they should be, in eye distances."""
    return float(np.median(np.linalg.norm(found.points - points, axis=1))) / found.eye_distance


@PHOTOGRAPHS
def test_the_face_of_a_photograph_is_found(photograph: Any) -> None:
    pixels, face = photograph(), found(photograph)
    left, top, right, bottom = face.box
    assert (face.number, face.size, face.points.shape, face.points.dtype) == (
        *(1, pixels.shape[1::-1], (468, 2)),
        np.float32,
    )
    assert 42 < face.eye_distance < 46
    assert abs(face.tilt_degrees) < 5
    assert abs(face.turn) < 0.1
    assert face.score > 0.99
    assert 80 < right - left < 110
    assert 95 < bottom - top < 125


@PHOTOGRAPHS
@pytest.mark.parametrize(
    "colour",
    [(1 / 16,) * 3, (2.8,) * 3, (1.1, 0.15, 0.9), (0.12, 0.3, 1.2)],
    ids=["four stops under", "overexposed", "magenta neon", "blue neon"],
)
def test_points_stay_under_other_light(photograph: Any, colour: tuple[float, ...]) -> None:
    (after,) = find_faces(lit(photograph(), *colour))
    assert shift(after, found(photograph).points) < 0.03


@PHOTOGRAPHS
def test_points_stay_in_grey(photograph: Any) -> None:
    grey = cv2.cvtColor(photograph(), cv2.COLOR_RGB2GRAY)
    (after,) = find_faces(np.repeat(grey[..., None], 3, 2))
    assert shift(after, found(photograph).points) < 0.03


@PHOTOGRAPHS
@pytest.mark.parametrize("degrees", [-30, 15, 30, 90, 180])
def test_points_turn_with_the_picture(photograph: Any, degrees: int) -> None:
    pixels, affine = turned(photograph(), degrees)
    before, (after,) = found(photograph), find_faces(pixels)
    assert shift(after, before.points @ affine[:, :2].T + affine[:, 2]) < 0.04
    assert abs((after.tilt_degrees - before.tilt_degrees + degrees + 180) % 360 - 180) < 4


def test_points_stay_on_darker_skin() -> None:
    (after,) = find_faces(lit(hopper(), 0.22, 0.13, 0.09))
    assert shift(after, found(hopper).points) < 0.03


def test_a_larger_picture_gives_the_same_points() -> None:
    (large,) = find_faces(cv2.resize(collins(), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC))
    assert shift(large, (found(collins).points + 0.5) * 4 - 0.5) < 0.03


def test_faces_are_numbered_from_left_to_right() -> None:
    first, second = find_faces(side_by_side())
    assert (first.number, second.number) == (1, 2)
    assert first.box[2] < second.box[0]
    assert shift(second, found(collins).points + np.array((hopper().shape[1], 0))) < 0.04


def test_a_face_at_the_border_is_found_and_its_box_stays_inside() -> None:
    whole = found(collins)
    cut = whole.box[0] + (whole.box[2] - whole.box[0]) // 5
    (face,) = find_faces(np.ascontiguousarray(collins()[:, cut:]))
    assert shift(face, whole.points - (cut, 0)) < 0.05
    assert face.box[0] == 0
    assert face.points[:, 0].min() < 0


def test_no_face_is_found_where_there_is_none() -> None:
    board = np.kron(np.indices((12, 12)).sum(0) % 2, np.ones((16, 16)))[..., None] * (255, 240, 225)
    coffee = skimage.data.coffee()[::2, ::2]
    for pixels in (board + np.random.default_rng(0).integers(-120, 1, board.shape), coffee):
        assert find_faces(np.ascontiguousarray(np.clip(pixels, 0, 255), np.uint8)) == ()


@pytest.mark.parametrize(("size", "level"), [((1, 1), 0), ((16, 1000), 255)])
def test_a_picture_too_small_or_narrow_for_a_face_has_none(size: tuple[int, int], level: int) -> None:
    assert find_faces(np.full((*size, 3), level, np.uint8)) == ()


def test_a_small_face_is_found_in_a_large_picture() -> None:
    small = cv2.resize(hopper(), None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA)
    pixels = np.full((900, 1000, 3), 90, np.uint8)
    pixels[300 : 300 + small.shape[0], 600 : 600 + small.shape[1]] = small
    (face,) = find_faces(pixels)
    assert shift(face, found(hopper).points * 0.35 + (600, 300)) < 0.1


def test_searching_everywhere_adds_no_face_twice() -> None:
    assert len(find_faces(side_by_side(), everywhere=True)) == 2


def test_the_same_bytes_give_the_same_points_with_any_number_of_threads() -> None:
    threads, seen = cv2.getNumThreads(), []
    try:
        for count in (1, 2):
            cv2.setNumThreads(count)
            seen.append(b"".join(face.points.tobytes() for face in find_faces(side_by_side())))
    finally:
        cv2.setNumThreads(threads)
    assert seen[0] == seen[1]


def test_many_may_search_at_once() -> None:
    wanted = {photograph: found(photograph).points.tobytes() for photograph in (collins, hopper)}
    seen: list[bool] = []

    def search(photograph: Any) -> None:
        seen.append(find_faces(photograph())[0].points.tobytes() == wanted[photograph])

    searches = [threading.Thread(target=search, args=(photograph,)) for photograph in (collins, hopper) * 2]
    for each in searches:
        each.start()
    for each in searches:
        each.join()
    assert seen == [True] * 4


def test_a_damaged_or_missing_model_is_one_line(tmp_path: Path) -> None:
    name, digest = faces.MESH
    with pytest.raises(InputError, match=rf"^.*{name} is not there; .*install sidelight again$"):
        faces._opened(tmp_path, name, digest)
    (tmp_path / name).write_bytes((faces.MODELS / name).read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match=rf"^.*{name} is damaged .*install sidelight again$"):
        faces._opened(tmp_path, name, digest)
