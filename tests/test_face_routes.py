"""The addresses of faces: pictures in; faces, masks and numbers out; no other file, and errors in one line."""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from starlette.testclient import TestClient

from pipelines.errors import InputError
from pipelines.masks import paint
from pipelines.raster import open_raster
from pipelines.regions import REGIONS, Patch, face_map
from sweeps.run import run
from tests.small import opener, prepared
from workbench.queue import Queue
from workbench.web import face_answers, face_desk, face_routes
from workbench.web.routes import api
from workbench.web.site import Site

ROUTE = "/api/face/pictures"
NAME = "2026-01-02-window"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder for the whole module, so that the photograph is looked at once."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(folder))
        yield folder


@pytest.fixture
def own_state(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says the module's folder again, after each test was given one of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(state))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs, one finished."""
    runs = tmp_path_factory.mktemp("runs")
    ready = prepared(runs / NAME, guidance=(2, 4))
    assert list(run(ready, open_engine=opener([])))
    return runs


@pytest.fixture(scope="module")
def desk(runs: Path, state: Path) -> TestClient:
    site = Site(runs, Queue(runs.parent / "queue.sqlite"))
    return TestClient(api(runs, more=face_routes.routes(site)))


@pytest.fixture
def page(desk: TestClient, own_state: None) -> TestClient:
    return desk


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.uint8]:
    """A woman's face and, to its right, the same face at half the size; sRGB."""
    found = data.astronaut()
    smaller = cv2.resize(found[:320], (256, 160), interpolation=cv2.INTER_AREA)
    picture = np.full((512, 800, 3), 90, np.uint8)
    picture[:, :512] = found
    picture[100:260, 530:786] = smaller
    return picture


def file_of(pixels: NDArray[Any], kind: str = "PNG", **more: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **more)
    return file.getvalue()


def error_of(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    line: str = answer.json()["error"]
    assert "\n" not in line
    return line


@pytest.fixture
def picture(page: TestClient, photograph: NDArray[np.uint8]) -> dict[str, Any]:
    """What is answered to the photograph."""
    answer = page.post(ROUTE, content=file_of(photograph))
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_picture_is_kept_shown_and_its_faces_are_numbered(
    page: TestClient, picture: dict[str, Any], photograph: NDArray[np.uint8]
) -> None:
    assert (picture["width"], picture["height"], picture["mode"]) == (800, 512, "800x512 RGB, 8 bit")
    assert (picture["no_face"], picture["recipe"]) == ("", None)
    assert [face["number"] for face in picture["faces"]] == list(range(1, len(picture["faces"]) + 1))
    left, top, right, bottom = picture["faces"][0]["box"]
    assert 150 < left < 200 < right < 300
    assert 40 < top < 100 < bottom < 200
    assert "eyes 43 px apart" in picture["faces"][0]["note"]
    shown = page.get(picture["url"])
    assert (shown.content, shown.headers["content-type"]) == (file_of(photograph), "image/png")
    assert page.post(ROUTE, content=file_of(photograph)).json()["id"] == picture["id"]


def test_regions_have_outlines_that_enclose_their_masks(page: TestClient, picture: dict[str, Any]) -> None:
    regions = page.get(picture["faces"][0]["regions_url"]).json()["regions"]
    assert set(regions) <= set(REGIONS)
    assert len(regions["cheeks"]["polygons"]) == 2
    assert len(regions["skin"]["polygons"]) > 2, "eyes, brows and mouth are holes"
    for name in ("skin", "mouth", "oval"):
        answer = page.get(regions[name]["url"])
        mask = np.asarray(Image.open(io.BytesIO(answer.content)))
        drawn = np.zeros_like(mask)
        cv2.fillPoly(
            drawn,
            [np.round((np.array(line) - 0.5) * 16).astype(int) for line in regions[name]["polygons"]],
            255,
            shift=4,
        )
        half = mask > 127
        assert np.mean(half != (drawn > 0)) < 0.05 * half.mean(), name


def test_an_outline_lies_where_the_mask_is_half() -> None:
    y, x = np.mgrid[:80, :100] + 0.5
    soft = np.clip(127.5 + 40 * (30 - np.hypot(x - 50, y - 40)), 0, 255).astype(np.uint8)
    (circle,) = face_answers.outlines(Patch(1000, 2000, soft), smallest=10)
    away = np.hypot(*(np.array(circle) - (1050, 2040)).T)
    assert np.abs(away - 30).max() < 0.5
    assert len(circle) < 80
    assert face_answers.outlines(Patch(0, 0, soft), smallest=4000) == ()


def test_the_mask_of_words_is_that_of_the_command_line(
    page: TestClient, picture: dict[str, Any], photograph: NDArray[np.uint8]
) -> None:
    words = "face1.oval - face1.eyes; feather 0.1"
    answer = page.get(f"{picture['url']}/mask", params={"expression": words})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    image = Image.open(io.BytesIO(answer.content))
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), paint(words, face_map(photograph)))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "the mask says nothing"),
        ("face1.tail", "tail is no region"),
        ("face9.skin", "there are 2 faces"),
        ("face1.skin +", "cannot be read"),
        ("face1.skin + @/etc/hostname", "no painted mask of this picture"),
        ('@"../../secret.png"', "no painted mask of this picture"),
        ("@" + "0" * 32, "no painted mask of this picture"),
        ("face1.skin" * 300, "characters"),
    ],
)
def test_words_that_mean_no_mask_are_refused_in_one_line(
    page: TestClient, picture: dict[str, Any], words: str, reason: str
) -> None:
    assert reason in error_of(page.get(f"{picture['url']}/mask", params={"expression": words}), 422)


def test_a_painted_mask_is_kept_to_the_byte_and_can_be_named(page: TestClient, picture: dict[str, Any]) -> None:
    painted = np.zeros((512, 800), np.uint8)
    painted[300:400, 100:356] = np.arange(256)
    told = page.post(f"{picture['url']}/mask", content=file_of(painted)).json()
    assert told["share"] == pytest.approx(painted.mean() / 255)
    assert page.get(told["url"]).content == file_of(painted)
    answer = page.get(f"{picture['url']}/mask", params={"expression": f"face1.mouth + @{told['mask']}"})
    both = np.asarray(Image.open(io.BytesIO(answer.content)))
    np.testing.assert_array_equal(both[300:400], painted[300:400])
    assert both[:200].any()
    start, mask = face_answers.start_path(picture["id"]), face_answers.mask_text(picture["id"], told["mask"])
    assert open_raster(Path(start)).width == 800
    np.testing.assert_array_equal(np.asarray(Image.open(mask)), painted)
    assert face_answers.mask_text(picture["id"], f"face1.skin - @{told['mask']}; grow 2px") == (
        f'face1.skin - @"{mask}"; grow 2px'
    )
    with pytest.raises(InputError, match="no painted mask"):
        face_answers.mask_text(picture["id"], "1" * 32)


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (file_of(np.full((512, 799), 255, np.uint8)), "the mask is 799x512 and the picture 800x512"),
        (file_of(np.zeros((512, 800), np.uint8)), "the mask is empty"),
        (file_of(np.zeros((512, 800, 3), np.uint8)), "this mask is 800x512 RGB, 8 bit; a mask is a grey PNG"),
        (b"no picture", "this mask is not a picture of a known kind"),
    ],
)
def test_what_is_no_mask_of_the_picture_is_refused_and_not_kept(
    page: TestClient, picture: dict[str, Any], mask: bytes, reason: str
) -> None:
    folder = face_desk.picture_path(picture["id"]).parent
    before = sorted(folder.iterdir())
    assert reason in error_of(page.post(f"{picture['url']}/mask", content=mask), 422)
    assert sorted(folder.iterdir()) == before


def test_measures_come_with_reasons(page: TestClient, picture: dict[str, Any]) -> None:
    told = page.get(f"{picture['url']}/measures", params={"face": 1}).json()
    readings = {reading["name"]: reading for reading in told["readings"]}
    assert told["face"] == 1
    assert readings["texture"]["value"] is None
    assert "43 px apart" in readings["texture"]["why"]
    assert isinstance(readings["side_ev"]["value"], float)
    assert readings["side_ev"]["meaning"]
    assert "no number" in error_of(page.get(f"{picture['url']}/measures", params={"face": "x"}), 422)
    assert "face7: there" in error_of(page.get(f"{picture['url']}/faces/7"), 422)


def test_a_picture_of_a_run_brings_its_recipe_and_a_faceless_one_says_so(page: TestClient, runs: Path) -> None:
    key = min((runs / NAME / "pictures").glob("*.png")).stem
    told = page.post(ROUTE, json={"run": NAME, "key": key}).json()
    assert (told["faces"], told["no_face"]) == ([], face_answers.NO_FACE)
    assert told["recipe"]["checkpoint"] == "small"
    assert "guidance" in dict(told["recipe"]["values"])
    assert page.get(told["url"]).content == (runs / NAME / "pictures" / f"{key}.png").read_bytes()
    assert page.get(f"{told['url']}/measures").json()["face"] is None
    for run_name, each in ((NAME, "0" * 16), ("..", key), (NAME, "../sweep")):
        assert "no whole picture" in error_of(page.post(ROUTE, json={"run": run_name, "key": each}), 404)


def test_what_a_browser_would_show_otherwise_is_shown_as_it_is_worked_on(page: TestClient) -> None:
    ramp = np.zeros((40, 60, 3), np.uint8)
    ramp[..., 0] = np.arange(60)
    exif = Image.Exif()
    exif[0x0112] = 6
    tiff = page.post(ROUTE, content=file_of(ramp, "TIFF")).json()
    turned = page.post(ROUTE, content=file_of(ramp, exif=exif)).json()
    assert (turned["width"], turned["height"]) == (40, 60)
    for told, wanted in ((tiff, ramp), (turned, ramp.transpose(1, 0, 2)[:, ::-1])):
        shown = page.get(told["url"])
        assert shown.headers["content-type"] == "image/png"
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(shown.content))), wanted)


def test_what_is_no_picture_and_what_is_not_kept_is_refused(page: TestClient) -> None:
    folder = face_desk.desk_folder()
    before = sorted(folder.iterdir())
    assert "nothing was sent" in error_of(page.post(ROUTE, content=b""), 422)
    assert "this picture is not a picture of a known kind" in error_of(page.post(ROUTE, content=b"text"), 422)
    assert sorted(folder.iterdir()) == before
    for number in ("0" * 32, "..", "x"):
        for path in ("", "/mask?expression=face1.skin", "/faces/1", "/measures", "/masks/" + "0" * 32):
            assert page.get(f"{ROUTE}/{number}{path}").status_code == 404
    assert "not kept here any more" in error_of(page.get(f"{ROUTE}/{'0' * 32}"), 404)
    assert "not kept here any more" in error_of(page.post(f"{ROUTE}/{'0' * 32}/mask", content=b"x"), 404)


def test_what_nobody_looked_at_for_a_day_is_forgotten(page: TestClient) -> None:
    first, second = (file_of(np.full((20, 20, 3), grey, np.uint8)) for grey in (1, 2))
    path = face_desk.picture_path(page.post(ROUTE, content=first).json()["id"])
    os.utime(path, (time.time() - face_desk.KEPT_SECONDS - 60,) * 2)
    kept = page.post(ROUTE, content=second).json()["id"]
    assert not path.parent.exists()
    assert face_desk.picture_path(kept).is_file()
