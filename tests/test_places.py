"""Places of a run's pictures: set once, seen by everybody, whole or as before, and no part of the run itself."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from skimage.data import astronaut
from starlette.testclient import TestClient

from pipelines.errors import BusyError, DiskError, InputError
from sweeps import journal, places, shelf
from sweeps.found_places import FoundPlaces, places_in
from sweeps.lock import Lock
from sweeps.places import Place, Places
from sweeps.run import run
from tests.crash import FailingFiles, Quick
from tests.small import opener, prepared
from workbench.queue import Queue
from workbench.run_commands import check
from workbench.web.places_routes import routes
from workbench.web.routes import api
from workbench.web.site import Site

MOUTH = (0.4, 0.6, 0.2, 0.1)
NAME = "2026-01-02-window"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run in a folder of runs."""
    ready = prepared(tmp_path / "runs" / NAME, guidance=(2, 4))
    assert list(run(ready, open_engine=opener([])))
    return ready.folder


@pytest.fixture
def page(folder: Path, tmp_path: Path) -> Iterator[TestClient]:
    app: FastAPI = api(folder.parent)
    app.router.routes.extend(routes(Site(folder.parent, Queue(tmp_path / "queue.sqlite"))))
    with TestClient(app) as client:
        yield client


def put(folder: Path, name: str = "mouth", rectangle: Any = MOUTH) -> Places:
    return places.put_place(folder, Place.read({"name": name, "rectangle": rectangle}), Quick())


def show(folder: Path, number: int, pixels: Any) -> None:
    """Another picture in the place of the run's first, second ... picture, committed as a run does."""
    keys = [line.key for line in journal.read(folder).lines if isinstance(line, journal.PictureDone)]
    path = folder / "pictures" / f"{keys[number]}.png"
    Image.fromarray(pixels).save(path)
    sidecar = json.loads(path.with_suffix(".json").read_bytes())
    sidecar["png_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(sidecar))


def middle(rectangle: Any) -> tuple[float, float]:
    x, y, width, height = rectangle
    return x + width / 2, y + height / 2


def test_a_place_is_set_and_the_others_stay(folder: Path) -> None:
    assert places.read(folder) == Places()
    put(folder)
    put(folder, "hands", (0, 0.5, 1, 0.5))
    assert put(folder, "mouth", (0.1, 0.1, 0.2, 0.2)) == places.read(folder)
    assert places.read(folder) == Places(mouth=(0.1, 0.1, 0.2, 0.2), hands=(0, 0.5, 1, 0.5))
    assert json.loads((folder / places.NAME).read_bytes()) == {"mouth": [0.1, 0.1, 0.2, 0.2], "hands": [0, 0.5, 1, 0.5]}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"rectangle": (0.9, 0, 0.2, 0.1)}, "reaches out of the picture"),
        ({"rectangle": (-0.1, 0, 0.2, 0.1)}, "greater than or equal to 0"),
        ({"rectangle": (0, 0, 0, 0.1)}, "greater than 0"),
        ({"rectangle": (0, 0, float("nan"), 0.1)}, "finite"),
        ({"rectangle": (0, 0, 0.1)}, "missing"),
        ({"name": "ear"}, "name 'ear'"),
        ({"key": "x"}, "key is not known"),
    ],
)
def test_what_is_no_place_is_refused_with_its_reason(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Place.read({"name": "mouth", "rectangle": MOUTH} | values)


def test_a_disk_that_fails_leaves_the_places_of_before(folder: Path) -> None:
    put(folder)
    for n in range(1, 6):
        with pytest.raises(DiskError):
            places.put_place(folder, Place(name="face", rectangle=MOUTH), FailingFiles(n, 5, forever=True))
        assert places.read(folder).mouth == MOUTH


def test_two_at_once_are_told_and_a_torn_file_is_named(folder: Path) -> None:
    with Lock(folder / places.LOCK, "the places"), pytest.raises(BusyError):
        put(folder)
    (folder / places.NAME).write_text('{"mouth": [0,')
    with pytest.raises(InputError, match=r"places\.json cannot be read"):
        put(folder)
    with pytest.raises(InputError, match="no run folder"):
        put(folder.parent)


def test_places_are_no_part_of_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = shelf.info(folder)
    put(folder)
    check(folder)
    assert "0 damaged" in capsys.readouterr().out
    seen = shelf.info(folder)
    assert (seen.done, seen.reason, seen.planned) == (before.done, before.reason, before.planned)
    zipped = folder.parent / "out.zip"
    shelf.export(folder, shelf.chosen(folder), zipped)
    assert b"places.json" not in zipped.read_bytes()


def test_another_browser_sees_the_place(folder: Path, page: TestClient) -> None:
    assert page.get(f"/api/places/{NAME}").json() == {}
    said = page.post(f"/api/places/{NAME}", json={"name": "mouth", "rectangle": MOUTH})
    assert (said.status_code, said.json()) == (200, {"mouth": list(MOUTH)})
    assert page.get(f"/api/places/{NAME}").json() == {"mouth": list(MOUTH)}
    assert places.read(folder).mouth == MOUTH


def test_routes_refuse_in_one_line(folder: Path, page: TestClient) -> None:
    for path in ("nowhere", "..%2fx"):
        assert page.get(f"/api/places/{path}").status_code == 404
    assert page.post("/api/places/nowhere", json={}).status_code == 404
    answer = page.post(f"/api/places/{NAME}", json={"name": "mouth", "rectangle": [0, 0, 2, 2]})
    assert answer.status_code == 422
    assert "\n" not in answer.json()["error"]
    assert page.post(f"/api/places/{NAME}", content=b"[]").status_code == 422
    assert page.post(f"/api/places/{NAME}", content=b"x" * 70_000).status_code == 413
    assert not (folder / places.NAME).exists()


def test_face_cheek_and_mouth_are_found_in_a_picture() -> None:
    found = places_in(astronaut()[:300, 100:361])
    assert found.hands is None
    assert middle(found.face) == pytest.approx((0.48, 0.41), abs=0.03)
    assert middle(found.mouth) == pytest.approx((0.47, 0.49), abs=0.03)
    face, cheek = found.face, found.cheek
    assert face
    assert cheek
    assert face[0] < cheek[0] < cheek[0] + cheek[2] < face[0] + face[2]
    assert face[1] < middle(cheek)[1] < middle(found.mouth)[1]
    assert middle(cheek)[0] < middle(face)[0], "the lit one"
    assert places_in(np.full((300, 200, 3), 80, np.uint8)) == Places()


def test_a_face_half_out_of_the_picture_has_its_place_inside() -> None:
    cut = places_in(astronaut()[100:300, 100:250])
    for rectangle in (cut.face, cut.cheek, cut.mouth):
        assert rectangle is None or Place(name="face", rectangle=rectangle)


def test_what_nobody_set_is_found_and_what_a_person_set_wins(folder: Path, page: TestClient) -> None:
    show(folder, 1, astronaut()[:300, 100:361])  # the first picture has no face
    found = page.get(f"/api/places/{NAME}").json()
    assert found.keys() == {"face", "cheek", "mouth", "found"}
    assert sorted(found["found"]) == ["cheek", "face", "mouth"]
    said = page.post(f"/api/places/{NAME}", json={"name": "mouth", "rectangle": MOUTH}).json()
    assert said == found | {"mouth": list(MOUTH), "found": ["face", "cheek"]}
    assert page.get(f"/api/places/{NAME}").json() == said
    assert places.read(folder) == Places(mouth=MOUTH)


def test_places_are_searched_once_and_again_when_there_is_more_to_search(folder: Path) -> None:
    found = FoundPlaces()
    assert found.of(folder) == Places()
    show(folder, 0, astronaut()[:300, 100:361])
    assert found.of(folder) == Places()  # the same pictures: not searched again
    assert FoundPlaces().of(folder).face
    first = FoundPlaces()
    assert first.of(folder) is first.of(folder)
    for path in (folder / "pictures").glob("*.png"):
        path.unlink()
    assert first.of(folder) == Places()


def test_a_small_face_that_is_none_does_not_speak_for_the_run(folder: Path) -> None:
    face = astronaut()[:300, 100:361]
    small = np.zeros_like(face)
    small[:150, :130] = face[::2, ::2][:150, :130]
    show(folder, 0, small)
    found = FoundPlaces()
    assert found.of(folder).face, "as long as there is no other"
    show(folder, 1, face)
    other = FoundPlaces().of(folder).face
    assert other == places_in(face).face
    assert other


def test_a_picture_that_is_not_whole_is_not_searched(folder: Path) -> None:
    show(folder, 0, astronaut()[:300, 100:361])
    for sidecar in (folder / "pictures").glob("*.json"):
        sidecar.write_text(sidecar.read_text().replace('"png_sha256": "', '"png_sha256": "0')[:-1])
    assert FoundPlaces().of(folder) == Places()
