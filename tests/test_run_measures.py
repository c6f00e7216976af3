"""Measures of a run: current or missing, never torn or mixed; no process outlives who started it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
import typer
from fastapi import FastAPI
from starlette.testclient import TestClient
from typer.testing import CliRunner

from pipelines.files import Disk
from pipelines.regions import face_map
from pipelines.skin import measure as measured_skin
from pipelines.skin_measures import MEASURES
from sweeps import journal, measure
from sweeps.measure import Alongside, CellMeasures, Done, Missed, measure_run, read
from sweeps.run import Finished, Kept, Measured, Started, run
from tests import small
from tests.photographs import collins
from tests.small import opener, prepared
from tests.test_places import show
from workbench.jobs import Asked
from workbench.measure_command import measure as command
from workbench.measure_run import SHOWN
from workbench.queue import Queue
from workbench.web.measures_routes import Measure, routes
from workbench.web.routes import api
from workbench.web.site import Site

NAME = "2026-01-02-window"
PATIENCE_SECONDS = 90.0
LARGE = cv2.resize(collins(), (512, 512), interpolation=cv2.INTER_LANCZOS4)
"""The photograph with its eyes some 86 px apart, so that all is measured."""

app = typer.Typer(rich_markup_mode=None)
app.command()(command)


def told(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "150"})


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def measuring() -> list[psutil.Process]:
    """The processes that measure for this one."""
    return [child for child in psutil.Process().children() if measure.LOOK in " ".join(child.cmdline())]


def show_deep(folder: Path, number: int, pixels: np.ndarray) -> None:
    """The same picture in 16 bit, in the place of one of the run's."""
    show(folder, number, pixels)
    path = picture(folder, number)
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR).astype(np.uint16) * 257)
    sidecar = json.loads(path.with_suffix(".json").read_bytes())
    sidecar["png_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(sidecar))


def picture(folder: Path, number: int) -> Path:
    keys = [line.key for line in journal.read(folder).lines if isinstance(line, journal.PictureDone)]
    return folder / "pictures" / f"{keys[number]}.png"


def forgotten(folder: Path, number: int) -> Path:
    """A picture whose measures are thrown away."""
    path = picture(folder, number)
    (folder / measure.FOLDER / f"{path.stem}.json").unlink()
    return path


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured run: 0 a face, 1 the same in 16 bit, 2 two faces, 3 none, 4 and 5 of 32 px."""
    ready = prepared(tmp_path_factory.mktemp("runs") / NAME, guidance=(2, 4), seeds=(1, 2, 3))
    assert list(run(ready, open_engine=opener([])))
    show(ready.folder, 0, LARGE)
    show_deep(ready.folder, 1, LARGE)
    show(ready.folder, 2, np.hstack([LARGE, np.pad(collins(), ((128, 128), (0, 0), (0, 0)))]))
    show(ready.folder, 3, np.full((100, 120, 3), 90, np.uint8))
    assert {type(each) for each in measure_run(ready.folder, workers=2)} == {Done}
    return ready.folder


@pytest.fixture
def folder(gallery: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    return shutil.copytree(gallery, tmp_path / "runs" / NAME)


def of(folder: Path, number: int) -> CellMeasures:
    return read(folder)[picture(folder, number).stem]


# --- what is measured


def test_the_measures_are_those_of_the_picture(gallery: Path) -> None:
    one, found = of(gallery, 0), face_map(LARGE)
    expected = measured_skin(LARGE, found)
    assert [name for name, _ in one.values] == [each.name for each in MEASURES]
    for each in expected.readings:
        assert one.value(each.name) == pytest.approx(each.value, rel=1e-5)
    assert (one.face, one.faces) == (1, 1)
    assert one.eye_distance == pytest.approx(found.face(1).eye_distance, abs=0.01)
    assert one.cautions == expected.cautions
    assert one.sha256 == hashlib.sha256(picture(gallery, 0).read_bytes()).hexdigest()


def test_figures_of_this_edition_do_not_change() -> None:
    """If they do, raise `measure.REVISION`: figures of two formulas must not stand side by side."""
    seen = measured_skin(LARGE, face_map(LARGE))
    figures = {"texture": 2.196, "slope": -0.958, "skin_to_eyes": -1.616, "pixel_share": 0.741, "halo": 0.214}
    figures |= {"triangle": 0.312, "side_ev": -0.355, "shading": 1.02, "blood": 1.724}
    assert {name: seen.value(name) for name in figures} == pytest.approx(figures, abs=0.005)


def test_sixteen_bits_measure_as_eight(gallery: Path) -> None:
    deep, plain = of(gallery, 1), of(gallery, 0)
    assert deep.sha256 != plain.sha256
    assert deep.values == plain.values


def test_the_largest_face_is_measured(gallery: Path) -> None:
    two = of(gallery, 2)
    assert (two.face, two.faces) == (1, 2)
    assert two.eye_distance == pytest.approx(of(gallery, 0).eye_distance or 0, rel=0.02)


def test_pictures_without_a_face_are_measured_and_say_so(gallery: Path) -> None:
    for number, why in ((3, "no face was found"), (4, "the picture is 32 px")):
        none = of(gallery, number)
        assert (none.face, none.faces, none.eye_distance) == (None, 0, None)
        assert {value for _, value in none.values} == {None}
        assert why in dict(none.why)["texture"]
        assert none.verdicts == ()


# --- what counts as measured


def test_what_is_not_current_is_missing_and_measured_again(folder: Path) -> None:
    before = read(folder)
    assert len(before) == 6
    keys = [picture(folder, number).stem for number in range(6)]
    files = [folder / measure.FOLDER / f"{key}.json" for key in keys]
    show(folder, 5, np.zeros((40, 40, 3), np.uint8))  # another picture by the same name
    files[4].write_bytes(files[4].read_bytes()[:60])
    files[3].write_text(files[3].read_text().replace(measure.edition(), "0" * 8))
    shutil.copy(files[0], files[2])
    files[1].unlink()
    assert set(read(folder)) == {keys[0]}
    assert set(measure.missing(folder)) == set(keys[1:])
    assert [each.key for each in measure_run(folder, workers=1)] == sorted(keys[1:])
    again = read(folder)
    assert {key: again[key] for key in keys[:5]} == {key: before[key] for key in keys[:5]}
    assert "40 px" in dict(again[keys[5]].why)["texture"]
    assert not list(measure_run(folder))


def test_a_process_that_dies_costs_its_picture_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LOOK", "tests.dying_look")
    happened = list(measure_run(folder, workers=1, again=True))
    missed = [each for each in happened if isinstance(each, Missed)]
    assert {each.key for each in missed} == {picture(folder, number).stem for number in range(4)}
    assert all("signal 9" in each.reason for each in missed)
    assert len(happened) == 6


def test_reading_measures_opens_no_picture(gallery: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sweeps import measure\n"
        f"assert len(measure.read(Path({str(gallery)!r}))) == 6\n"
        "assert not {'cv2', 'scipy', 'torch'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_folder_without_measures_has_none(tmp_path: Path) -> None:
    assert read(tmp_path) == {}
    assert not list(measure_run(tmp_path))


# --- processes


def test_closing_ends_the_processes_at_once(folder: Path) -> None:
    with closing(measure_run(folder, workers=1, again=True)) as happened:
        next(happened)
        wait_for(measuring)
        (process, *_) = measuring()
        wait_for(lambda: process.nice() >= 10)
    assert not measuring()


def test_a_killed_parent_leaves_no_process_and_nothing_torn(folder: Path) -> None:
    for path in (folder / measure.FOLDER).iterdir():
        path.unlink()
    code = (
        f"from pathlib import Path; from sweeps.measure import *; list(measure_run(Path({str(folder)!r}), workers=1))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        wait_for(lambda: psutil.Process(parent.pid).children())
        children = psutil.Process(parent.pid).children()
        wait_for(lambda: read(folder))
        parent.kill()
    wait_for(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))
    kept = read(folder)
    names = {path.name for path in (folder / measure.FOLDER).iterdir() if not path.name.endswith(".part")}
    assert names == {f"{key}.json" for key in kept}
    assert len(measure.missing(folder)) == 6 - len(kept)


# --- beside a run


def faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small engine's pictures become portraits."""
    monkeypatch.setattr(small, "pixels_of", lambda _: LARGE.astype(np.float32) / 255)


def test_a_run_is_measured_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces(monkeypatch)
    ready = prepared(tmp_path, guidance=(2, 4), seeds=(1, 2))
    happened = list(run(ready, open_engine=opener([]), measuring=Alongside(tmp_path)))
    assert isinstance(happened[-1], Finished)
    measured = {each.key: each.measures for each in happened if isinstance(each, Measured)}
    assert measured.keys() == ready.keys
    assert measured == read(tmp_path)
    assert all(each.value("texture") for each in measured.values())
    assert not measuring()
    (spent,) = (
        line for line in journal.read(tmp_path).lines if isinstance(line, journal.Spent) and line.phase == "measuring"
    )
    assert spent.cpu_seconds > 0.1, "what the processes took is counted"


def test_small_pictures_start_no_process_and_a_second_run_measures_nothing(tmp_path: Path) -> None:
    class Starting(Disk):
        """Sees whether a process is there whenever something is written."""

        def create(self, path: Path) -> Any:
            assert not measuring()
            return super().create(path)

    ready = prepared(tmp_path)
    happened = list(run(ready, open_engine=opener([]), files=Starting(), measuring=Alongside(tmp_path)))
    assert sum(isinstance(each, Measured) for each in happened) == 9
    again = list(run(ready, open_engine=opener([]), measuring=Alongside(tmp_path)))
    assert [type(each) for each in again] == [Started, Finished]


def test_resuming_measures_what_an_earlier_session_left(tmp_path: Path) -> None:
    ready = prepared(tmp_path)
    assert list(run(ready, open_engine=opener([])))
    happened = list(run(ready, open_engine=opener([]), measuring=Alongside(tmp_path)))
    assert not [each for each in happened if isinstance(each, Kept)]
    assert len(read(tmp_path)) == 9


class Endless:
    """Measures nothing, and never ends waiting."""

    def __init__(self) -> None:
        self.added: list[str] = []
        self.is_left = False

    def __enter__(self) -> "Endless":
        return self

    def __exit__(self, *_: object) -> None:
        self.is_left = True

    def add(self, key: str) -> None:
        self.added.append(key)

    def done(self) -> Iterator[CellMeasures]:
        return iter(())

    def rest(self) -> Iterator[CellMeasures]:
        while True:
            yield measure._none(self.added[0], "", "endless")


def test_a_cancelled_run_does_not_wait_for_measures(tmp_path: Path) -> None:
    endless = Endless()
    with closing(run(prepared(tmp_path), open_engine=opener([]), measuring=endless)) as happened:
        assert any(isinstance(each, Measured) for each in happened)
    assert endless.is_left
    assert len(endless.added) == 9
    assert isinstance(journal.read(tmp_path).lines[-1], journal.RunCancelled)


# --- the command


def test_the_command_shows_means_along_what_varies(gallery: Path) -> None:
    shown = told(gallery)
    assert shown.exit_code == 0
    rows = {line.split()[0]: line for line in shown.stdout.splitlines() if line.split()}
    assert rows["guidance"].split()[1] == "faces"
    assert all(name in shown.stdout for name in SHOWN)
    texture = [each.value("texture") for each in read(gallery).values() if each.face]
    assert any(f"{value:.2f}" in shown.stdout for value in texture if value)
    assert "6 of 6 pictures measured, a face in 3" in shown.stdout
    assert "no face was found" in shown.stdout


def test_the_command_prints_json_and_csv(gallery: Path) -> None:
    said = json.loads(told(gallery, "--json").stdout)
    assert (said["measured"], said["of"], said["missed"]) == (6, 6, {})
    assert said["cells"][picture(gallery, 0).stem]["values"]["texture"] == of(gallery, 0).value("texture")
    head, *rows = told(gallery, "--csv").stdout.splitlines()
    assert {"key", "guidance", "texture"} <= set(head.split(","))
    assert len(rows) == 6


def test_a_picture_that_cannot_be_read_is_named_and_the_others_go_on(folder: Path) -> None:
    torn = forgotten(folder, 0)
    forgotten(folder, 3)
    torn.write_bytes(torn.read_bytes()[:2000])
    shown = told(folder, "--json")
    assert shown.exit_code == 1
    assert f"{torn.stem} is not measured" in shown.stderr
    said = json.loads(shown.stdout)
    assert (said["measured"], list(said["missed"])) == (5, [torn.stem])
    assert "not the file that was committed" in said["missed"][torn.stem]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["{runs}"], "no run folder"),
        (["{run}", "{run}"], "give one run folder alone"),
        (["{run}", "--face", "2"], "--face 2 is given beside a run folder"),
        (["{run}", "--json", "--csv"], "give one of them"),
        (["{run}/sweep.toml", "--csv"], "--csv is for a run"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(gallery: Path, words: list[str], reason: str) -> None:
    shown = told(*(word.format(run=gallery, runs=gallery.parent) for word in words))
    assert shown.exit_code != 0
    assert reason in str(shown.exception)


def test_ctrl_c_keeps_what_is_measured(folder: Path) -> None:
    for path in (folder / measure.FOLDER).iterdir():
        path.unlink()
    words = [sys.executable, "-m", "workbench", "measure", str(folder)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "300"}) as process:
        wait_for(lambda: read(folder))
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate()
    kept = len(read(folder))
    if process.returncode == 130:
        assert f"Go on with: sidelight measure {folder}" in complaint.replace("\n", " ")
        assert 1 <= kept < 6
    else:  # it was done before the signal came
        assert kept == 6


# --- the page


def page(folder: Path, tmp_path: Path, measuring: Measure = measure_run) -> TestClient:
    served: FastAPI = api(folder.parent)
    served.router.routes.extend(routes(Site(folder.parent, Queue(tmp_path / "queue.sqlite")), measuring))
    return TestClient(served)


ADDRESS = f"/api/runs/{NAME}/measures"


def test_the_page_gets_every_figure_and_what_it_means_once(folder: Path, tmp_path: Path) -> None:
    with page(folder, tmp_path) as client:
        answer = client.get(ADDRESS)
        told = answer.json()
        assert (told["measured"], told["of"], told["is_measuring"], told["fault"]) == (6, 6, False, "")
        assert [each["name"] for each in told["measures"]] == [each.name for each in MEASURES]
        one = told["cells"][picture(folder, 0).stem]
        assert one["values"]["texture"] == of(folder, 0).value("texture")
        assert one["face"] == 1
        assert told["cells"][picture(folder, 3).stem]["why"]["texture"] == "no face was found"
        tag = {"if-none-match": answer.headers["etag"]}
        assert client.get(ADDRESS, headers=tag).status_code == 304
        forgotten(folder, 0)
        assert client.get(ADDRESS, headers=tag).json()["measured"] == 5
        assert client.get("/api/runs/none/measures").status_code == 404


def test_the_page_measures_in_the_background(folder: Path, tmp_path: Path) -> None:
    forgotten(folder, 4)
    with page(folder, tmp_path) as client:
        assert client.post(ADDRESS, json={"again": False}).status_code == 202
        wait_for(lambda: not client.get(ADDRESS).json()["is_measuring"])
        assert client.get(ADDRESS).json()["measured"] == 6
        assert client.post(ADDRESS, json={"again": "perhaps"}).status_code == 422


def test_one_run_is_measured_at_a_time_and_can_be_stopped(folder: Path, tmp_path: Path) -> None:
    begun: list[Path] = []

    def endless(run: Path, *, again: bool) -> Iterator[Missed]:
        begun.append(run)
        while True:
            time.sleep(0.005)
            yield Missed("0" * 16, "asked to")

    other = shutil.copytree(folder, folder.with_name("2026-01-03-other"))
    with page(folder, tmp_path, endless) as client:
        client.post(ADDRESS)
        assert client.post(ADDRESS).json()["is_measuring"]
        refused = client.post(f"/api/runs/{other.name}/measures")
        assert (refused.status_code, NAME in refused.json()["error"]) == (409, True)
        assert client.post(f"{ADDRESS}/stop").status_code == 200
        wait_for(lambda: not client.get(ADDRESS).json()["is_measuring"])
        assert "asked to" in client.get(ADDRESS).json()["fault"]
        assert begun == [folder]


def test_a_run_that_is_made_is_measured_by_its_worker_alone(folder: Path, tmp_path: Path) -> None:
    queue = Queue(tmp_path / "queue.sqlite")
    queue.add(Asked(folder, "portraits", cells=6))
    with page(folder, tmp_path) as client:
        assert not client.get(ADDRESS).json()["is_measuring"], "it waits"
        queue.claim()
        assert client.get(ADDRESS).json()["is_measuring"]
        refused = client.post(ADDRESS)
        assert (refused.status_code, "is being made" in refused.json()["error"]) == (409, True)
