"""The page's own addresses: only whole pictures of known runs, what changed and no more, and never any torch."""

import asyncio
import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from starlette.testclient import TestClient

from pipelines.checkpoint import Checkpoint, find
from pipelines.draft import Draft, settle
from pipelines.errors import BusyError, CheckpointError, DiskFullError, InputError
from pipelines.raster import Raster
from pipelines.store import Store
from sweeps import journal
from sweeps.axes import Axis
from sweeps.journal import Journal, Line, PictureDone, RunCancelled, RunPaused, RunStarted
from sweeps.overview import grid_of
from sweeps.plan import cells, plan_of
from sweeps.prepare import NUMERICS, PLAN, SWEEP, Prepared, RunNumerics
from sweeps.run import Happening, Kept, failures, run
from sweeps.sweep import Sweep, to_toml
from tests.pictures import NO_IMAGE
from tests.small import numerics, opener
from tests.test_guard import served
from workbench.web import uploads
from workbench.web.answers import EXACT, for_javascript, one_line
from workbench.web.guard import Guard
from workbench.web.inside import known, read_inside
from workbench.web.layout import Lookup
from workbench.web.pictures import THUMB_SIDE, Thumbs, Whole, thumb, whole
from workbench.web.routes import api
from workbench.web.watched import Watched

ROOT = Path(__file__).parent.parent
NAME = "2026-01-02-window"
MARKUP = "a face <script>alert(1)</script> {{x}} ${1+1} \" ' & \u202e"
SECRET = b"nobody may read this"


def prepared(folder: Path, guidance: Sequence[float] = (2, 4, 6), seeds: Sequence[int] = (1, 2)) -> Prepared:
    """A run of the demo checkpoint that could start, without asking which device it is for."""
    demo = find("demo-sdxl")
    sweep = Sweep.over(
        "window <b>",
        Draft(checkpoint="demo-sdxl", prompt=MARKUP, steps=3),
        axes=[
            Axis(fields=("guidance",), values=tuple((float(g),) for g in guidance)),
            Axis(fields=("seed",), values=tuple((s,) for s in seeds)),
        ],
    )
    wanted = cells(sweep, lambda draft: settle(draft, demo, NO_IMAGE))
    kept = RunNumerics(planned=numerics(), now=numerics())
    plan = plan_of(wanted, lanes=kept.now.lanes, lane_width=kept.now.lane_width)
    return Prepared(folder, sweep, wanted, plan, kept, {demo.weights.identity: demo})


def made(ready: Prepared, **options: Any) -> list[Happening]:
    """Run it to the end."""
    return list(run(ready, open_engine=opener([], **options)))


@pytest.fixture(scope="module")
def kept_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run, one cell of it failed, that no test changes."""
    runs = tmp_path_factory.mktemp("runs")
    ready = prepared(runs / NAME)
    made(ready, bad=frozenset({min(ready.keys)}))
    return runs


@pytest.fixture
def runs(kept_runs: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    shutil.copytree(kept_runs, tmp_path / "runs")
    return tmp_path / "runs"


def client(runs: Path, lookup: Lookup = find) -> TestClient:
    """A browser in front of the guard."""
    return TestClient(Guard(api(runs, lookup=lookup)), base_url="http://127.0.0.1:7860")


def done_cells(page: TestClient) -> list[dict[str, Any]]:
    """The cells of the run that are done."""
    return [cell for cell in page.get(f"/api/runs/{NAME}/grid").json()["cells"] if cell["state"] == "done"]


def test_runs_are_listed_with_what_was_done(runs: Path) -> None:
    (runs / "no run").mkdir()
    (runs / "broken").mkdir()
    (runs / "broken" / SWEEP).write_text("= 3")
    (runs / "asked").mkdir()
    (runs / "asked" / SWEEP).write_text(to_toml(prepared(runs / "asked").sweep))
    rows = {row["run"]: row for row in client(runs).get("/api/runs").json()["runs"]}
    assert set(rows) == {NAME, "broken", "asked"}
    ours = rows[NAME]
    assert (ours["name"], ours["checkpoints"], ours["date"]) == ("window <b>", ["demo-sdxl"], "2026-01-02")
    assert ours["progress"] == {"cells": 6, "done": 5, "failed": 1, "session": "finished", "reason": ""}
    assert ours["bytes"] == sum(path.stat().st_size for path in (runs / NAME).rglob("*") if path.is_file())
    assert ours["texts"] == [MARKUP]
    assert "sweep.toml" in rows["broken"]["fault"]
    assert (rows["asked"]["progress"]["cells"], rows["asked"]["fault"]) == (0, "")
    assert client(runs / "absent").get("/api/runs").json() == {"runs": []}


def test_of_one_day_the_run_that_did_something_last_comes_first(runs: Path) -> None:
    for name, year in (("later", "2027"), ("a-early", "2025")):
        shutil.copytree(runs / NAME, runs / f"2026-01-02-{name}")
        book = runs / f"2026-01-02-{name}" / journal.NAME
        book.write_text(re.sub(r'"at": ?"\d{4}', f'"at":"{year}', book.read_text()))
    (runs / "2026-01-02-asked").mkdir()
    shutil.copy(runs / NAME / SWEEP, runs / "2026-01-02-asked" / SWEEP)
    rows = client(runs).get("/api/runs").json()["runs"]
    assert [row["run"][11:] for row in rows] == ["asked", "later", "window", "a-early"]


def test_list_follows_a_run_and_forgets_one_that_went(runs: Path) -> None:
    page = client(runs)
    assert page.get("/api/runs").json()["runs"][0]["progress"]["failed"] == 1
    made(prepared(runs / NAME))
    assert page.get("/api/runs").json()["runs"][0]["progress"]["done"] == 6
    book = runs / NAME / journal.NAME
    lines = book.read_bytes().splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if b"picture-done" in line)
    book.write_bytes(b"".join(lines[:last]))  # as after a kill: the picture is there, the line is not
    assert page.get("/api/runs").json()["runs"][0]["progress"] | {"session": ""} == {
        "cells": 6, "done": 6, "failed": 0, "session": "", "reason": ""
    }  # fmt: skip
    shutil.rmtree(runs / NAME)
    assert page.get("/api/runs").json()["runs"] == []


def test_grid_is_the_overviews(runs: Path) -> None:
    ready, store = prepared(runs / NAME), Store(runs / NAME)
    done = {key: store.sidecar(key) for key in Store.keys(store)}
    wanted = grid_of(ready, done, failures(journal.read(runs / NAME).lines))
    got = client(runs).get(f"/api/runs/{NAME}/grid").json()
    assert [(axis["name"], tuple(axis["labels"])) for axis in got["axes"]] == [
        (axis.name, axis.labels) for axis in wanted.axes
    ]
    assert (got["title"], got["subtitle"]) == (wanted.title, wanted.subtitle)
    for cell, mine in zip(wanted.cells, got["cells"], strict=True):
        assert tuple(mine["place"]) == cell.place
        assert (mine["key"], mine["state"], mine["reason"]) == (cell.key, cell.state, cell.reason)
        assert tuple(map(tuple, mine["values"])) == cell.values
        assert (mine["width"], mine["height"]) == (ready.recipes[cell.key].width, ready.recipes[cell.key].height)
        assert (mine["picture"] is not None) == (cell.state == "done")
    assert ("prompt", MARKUP) in [tuple(value) for value in got["constants"]]
    assert got["progress"]["failed"] == 1


def test_markup_in_texts_stays_text(runs: Path) -> None:
    answer = client(runs).get(f"/api/runs/{NAME}/grid")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    cell = answer.json()["cells"][0]
    assert ["prompt", MARKUP] in cell["values"]
    assert json.loads(client(runs).get("/api/runs/<img src=x>/grid").text)["error"].startswith("there is no run")


class Mirror:
    """What a page shows that fetched the grid once and then only what changed."""

    def __init__(self, page: TestClient, name: str = NAME) -> None:
        self._page, self._at = page, f"/api/runs/{name}"
        self.fetched = 0
        self.fetch()

    def fetch(self) -> None:
        """All of it."""
        self.fetched += 1
        self.grid = self._page.get(f"{self._at}/grid").json()
        self.cells = {tuple(cell["place"]): cell for cell in self.grid["cells"]}

    def poll(self, page: TestClient | None = None) -> int:
        """What changed; gives how many cells."""
        at = f"{self._at}/cells?after={self.grid['revision']}&edition={self.grid['edition']}"
        got = (page or self._page).get(at).json()
        if got["edition"] != self.grid["edition"]:
            self.fetch()
            return len(self.cells)
        self.cells |= {tuple(cell["place"]): cell for cell in got["cells"]}
        self.grid |= {"revision": got["revision"], "progress": got["progress"]}
        return len(got["cells"])


def assert_shows_what_is_true(mirror: Mirror, page: TestClient) -> None:
    """What a page opened now shows, but for pictures that are on the disk and not in the journal yet."""
    fresh = Mirror(page)
    assert mirror.cells.keys() == fresh.cells.keys()
    for place, cell in mirror.cells.items():
        if not (cell["is_live"] and fresh.cells[place]["state"] == "done"):
            assert cell | {"revision": 0} == fresh.cells[place] | {"revision": 0}


def test_polling_shows_what_a_fresh_page_shows_at_any_moment(tmp_path: Path) -> None:
    """Through two sessions with failures, a cancelled one and a restart of the page's process in between."""
    ready = prepared(tmp_path / NAME, guidance=(2, 3, 4), seeds=(1, 2, 3))
    tmp_path.joinpath(NAME).mkdir()
    (tmp_path / NAME / SWEEP).write_text(to_toml(ready.sweep))
    page = client(tmp_path)
    mirror = Mirror(page)
    assert {cell["state"] for cell in mirror.cells.values()} == {"waiting"}
    bad = frozenset(sorted(ready.keys)[:4])
    for session, stop_after in ((bad, 6), (bad, 99), (frozenset[str](), 99)):
        with closing(run(ready, open_engine=opener([], bad=session))) as happenings:
            for number, _ in enumerate(happenings):
                if number == stop_after:
                    break
                restarted = client(tmp_path)
                mirror.poll(restarted if number % 3 == 0 else page)
                assert_shows_what_is_true(mirror, restarted)
        mirror.poll()
        assert not any(cell["is_live"] for cell in mirror.cells.values())
        assert_shows_what_is_true(mirror, client(tmp_path))
    assert mirror.grid["progress"] == {"cells": 9, "done": 9, "failed": 0, "session": "finished", "reason": ""}
    assert mirror.poll() == 0
    assert mirror.fetched <= 4  # at first, and when plan, numerics and journal came


def test_only_changed_cells_are_sent_and_nothing_is_settled_again(runs: Path) -> None:
    asked: list[str] = []

    def lookup(name: str) -> Checkpoint:
        asked.append(name)
        return find(name)

    mirror = Mirror(client(runs, lookup))
    (key,) = (cell["key"] for cell in mirror.cells.values() if cell["state"] == "failed")
    assert mirror.poll() == 0
    made(prepared(runs / NAME))  # retries the one that failed, and writes sweep.toml and plan.jsonl again
    assert mirror.poll() == 1
    (cell,) = (cell for cell in mirror.cells.values() if cell["key"] == key)
    assert cell["state"] == "done"
    assert not cell["is_live"]
    (runs / NAME / "pictures" / f"{key}.json").unlink()
    with Journal(runs / NAME) as book:
        book.append(RunStarted(cells=1))
    mirror.poll()
    assert [cell["state"] for cell in mirror.cells.values()].count("waiting") == 1  # what failed once is forgiven
    assert len(asked) == 1
    assert mirror.fetched == 1


@pytest.mark.parametrize("line", [RunStarted(cells=1), RunCancelled(), RunPaused(reason="full")])
def test_a_picture_whose_line_was_lost_is_seen_with_the_next_session_line(runs: Path, line: Line) -> None:
    """Stopped between picture and journal line; and one that somebody deleted."""
    book, pictures = runs / NAME / journal.NAME, runs / NAME / "pictures"
    lines = book.read_bytes().splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if b"picture-done" in line)
    lost, gone = json.loads(lines[last])["key"], done_cells(client(runs))[0]["key"]
    gone = gone if gone != lost else done_cells(client(runs))[1]["key"]
    sidecar = (pictures / f"{lost}.json").read_bytes()
    (pictures / f"{lost}.json").unlink()
    book.write_bytes(b"".join(lines[:last]))
    page = client(runs)
    mirror = Mirror(page)
    (pictures / f"{lost}.json").write_bytes(sidecar)
    (pictures / f"{gone}.json").unlink()
    with Journal(runs / NAME) as going_on:
        going_on.append(line)
    mirror.poll()
    states = {cell["key"]: cell["state"] for cell in mirror.cells.values()}
    assert (states[lost], states[gone]) == ("done", "waiting")
    assert_shows_what_is_true(mirror, client(runs))


def test_live_cells_are_told_until_their_session_ends(runs: Path) -> None:
    ready = prepared(runs / "2026-01-03-other", guidance=(7, 8))
    with closing(run(ready, open_engine=opener([]))) as happenings:
        next(happenings)
        next(happenings)
        page = client(runs)
        mirror = Mirror(page, "2026-01-03-other")
        assert [cell["is_live"] for cell in mirror.cells.values()].count(True) == 1
    mirror.poll()
    assert not any(cell["is_live"] for cell in mirror.cells.values())
    assert mirror.grid["progress"]["session"] == "cancelled"


def test_pause_is_told_with_its_reason(runs: Path) -> None:
    mirror = Mirror(client(runs))
    with Journal(runs / NAME) as book:
        book.append(RunPaused(reason="the disk is full"))
    mirror.poll()
    assert mirror.grid["progress"]["session"] == "paused"
    assert mirror.grid["progress"]["reason"] == "the disk is full"
    assert client(runs).get("/api/runs").json()["runs"][0]["progress"]["reason"] == "the disk is full"


def test_other_axes_or_another_journal_are_another_edition(runs: Path) -> None:
    mirror = Mirror(client(runs))
    made(prepared(runs / NAME, guidance=(2, 4, 6, 7)))
    assert mirror.poll() == 8
    assert len(mirror.grid["axes"][0]["labels"]) == 4
    before = mirror.grid["edition"]
    shutil.rmtree(runs / NAME)
    ready = prepared(runs / NAME, guidance=(2, 4, 6, 7))
    with closing(run(ready, open_engine=opener([]))) as happenings:
        next(happenings)
        book = runs / NAME / journal.NAME
        book.write_bytes(book.read_bytes().replace(b'"at": "', b'"at": "later '))
        mirror.poll()
        assert mirror.grid["edition"] != before
        assert {cell["state"] for cell in mirror.cells.values()} == {"waiting"}


def test_a_revision_from_nowhere_gets_all_cells_and_no_number_is_refused(runs: Path) -> None:
    page = client(runs)
    grid = page.get(f"/api/runs/{NAME}/grid").json()
    at = f"/api/runs/{NAME}/cells?edition={grid['edition']}&after="
    assert page.get(f"{at}999").json()["cells"] == grid["cells"]
    assert page.get(f"/api/runs/{NAME}/cells?after={grid['revision'] - 1}").json()["cells"] == []  # its end, no cell's
    assert page.get(f"{at.replace(grid['edition'], 'other')}0").json()["cells"] == []
    assert len(page.get(f"/api/runs/{NAME}/cells").json()["cells"]) == 6
    for after in ("-1", "x", "1.5", "٣", "9" * 99, "<b>"):
        answer = page.get(at + quote(after))
        assert answer.status_code == 422
        assert "is no revision" in answer.json()["error"]


def test_journal_cut_anywhere_or_with_rubbish_in_it_is_shown(runs: Path) -> None:
    book = runs / NAME / journal.NAME
    data = book.read_bytes()
    watched = Watched(runs / NAME)
    rng = random.Random(5)
    for size in [0, 1, *rng.sample(range(len(data)), 20), len(data)]:
        book.write_bytes(data[:size])
        assert watched.grid() == Watched(runs / NAME).grid()
        assert watched.grid().revision == data[:size].count(b"\n")
    book.write_bytes(data + b'\xff\n[1]\n{"kind": "later"}\n' + b"[" * 9999 + b"\n{}\n")
    assert watched.grid().revision == data.count(b"\n") + 5
    assert watched.grid().progress.done == 5


def test_damaged_sidecar_is_a_failed_cell_with_its_reason(runs: Path) -> None:
    key = done_cells(client(runs))[0]["key"]
    (runs / NAME / "pictures" / f"{key}.json").write_text("{")
    (cell,) = (cell for cell in client(runs).get(f"/api/runs/{NAME}/grid").json()["cells"] if cell["key"] == key)
    assert cell["state"] == "failed"
    assert "no JSON object" in cell["reason"]


def test_run_whose_checkpoint_is_gone_is_shown_in_a_row_until_it_is_back(runs: Path) -> None:
    here: list[bool] = []

    def lookup(name: str) -> Checkpoint:
        if not here:
            raise CheckpointError(f"{name} is not on this disk yet")
        return find(name)

    page = client(runs, lookup)
    mirror = Mirror(page)
    assert mirror.grid["axes"] == [{"name": "picture", "labels": ["1", "2", "3", "4", "5", "6"]}]
    assert "not on this disk" in mirror.grid["subtitle"]
    assert sorted(cell["state"] for cell in mirror.cells.values()) == ["done"] * 5 + ["failed"]
    (cell, *_) = [cell for cell in mirror.cells.values() if cell["state"] == "done"]
    assert ["prompt", MARKUP] in cell["values"]
    here.append(True)
    assert [axis["name"] for axis in page.get(f"/api/runs/{NAME}/grid").json()["axes"]] == ["guidance", "seed"]
    mirror.poll()
    assert mirror.fetched == 2
    (runs / NAME / PLAN).unlink()
    here.clear()
    answer = client(runs, lookup).get(f"/api/runs/{NAME}/grid")
    assert answer.status_code == 422
    assert "not on this disk" in answer.json()["error"]


def test_unreadable_numerics_hide_nothing(runs: Path) -> None:
    (runs / NAME / NUMERICS).write_text("[")
    assert len(done_cells(client(runs))) == 5


def test_pictures_come_byte_for_byte_and_stay_with_the_browser(runs: Path) -> None:
    page = client(runs)
    for cell in done_cells(page):
        answer = page.get(cell["picture"])
        assert answer.content == (runs / NAME / "pictures" / f"{cell['key']}.png").read_bytes()
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    sidecar = page.get(f"/pictures/{NAME}/{cell['key']}.json")
    assert sidecar.content == (runs / NAME / "pictures" / f"{cell['key']}.json").read_bytes()


def test_address_without_the_right_version_is_asked_again(runs: Path) -> None:
    page = client(runs)
    at = done_cells(page)[0]["picture"].partition("?")[0]
    for version in ("", "?v=", "?v=000000000000"):
        answer = page.get(at + version)
        assert answer.headers["cache-control"] == "private, no-cache"
        again = page.get(at + version, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_picture_that_is_not_whole_is_not_served(runs: Path) -> None:
    page = client(runs)
    first, second, third, fourth, fifth = (cell["picture"] for cell in done_cells(page))
    folder = runs / NAME / "pictures"

    def file(at: str, kind: str) -> Path:
        return folder / Path(at.partition("?")[0]).with_suffix(kind).name

    file(first, ".png").write_bytes(file(first, ".png").read_bytes()[:-1])
    file(second, ".json").unlink()
    file(third, ".json").write_bytes(file(fifth, ".json").read_bytes())
    for kind in (".json", ".png"):  # whole, but another picture
        file(fourth, kind).write_bytes(file(fifth, kind).read_bytes())
    assert page.get(fifth).status_code == 200
    for at in (first, second, third, fourth):
        answer = page.get(at)
        assert answer.status_code == 404
        assert "no whole picture" in answer.json()["error"]


def test_small_versions_are_small_and_made_once() -> None:
    png = io.BytesIO()
    Image.linear_gradient("L").resize((900, 600)).convert("RGB").save(png, "PNG", icc_profile=b"profile")
    picture = Whole(png.getvalue(), b"", hashlib.sha256(png.getvalue()).hexdigest())
    thumbs = Thumbs()
    small = thumbs.of(picture)
    assert small is not None
    with Image.open(io.BytesIO(small)) as image:
        assert (image.format, image.size, image.info["icc_profile"]) == ("WEBP", (THUMB_SIDE, 256), b"profile")
    assert thumbs.of(picture) is small
    crowded = Thumbs(kept_bytes=len(small))
    assert crowded.of(picture) == crowded.of(Whole(picture.png, b"", "other")) == crowded.of(picture)
    assert thumb(b"no picture") is None
    assert thumb(picture.png[:200]) is None


def test_small_version_is_served_beside_the_picture(runs: Path) -> None:
    page = client(runs)
    answer = page.get(done_cells(page)[0]["thumb"])
    assert (answer.headers["content-type"], answer.content[8:12]) == ("image/webp", b"WEBP")
    assert "immutable" in answer.headers["cache-control"]


def test_input_images_are_served_by_content(runs: Path) -> None:
    name = Store(runs / NAME).add_input(Raster(np.zeros((8, 8, 3), np.uint8), b""))
    (runs / NAME / "inputs" / f"{'0' * 64}.png").write_bytes(b"<script>")
    page = client(runs)
    assert page.get(f"/inputs/{NAME}/{name}.png").content.startswith(b"\x89PNG")
    for wrong in (f"{'0' * 64}.png", f"{name}.svg", f"{name[:-1]}.png", "x.png"):
        assert page.get(f"/inputs/{NAME}/{wrong}").status_code == 404


def raw(app: Any, path: str, method: str = "GET") -> tuple[int, bytes]:
    """One request with a path as a server has decoded it, which no client would send."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [(b"host", b"127.0.0.1")]}
    asyncio.run(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    return next(message["status"] for message in sent if message["type"] == "http.response.start"), body


@pytest.fixture
def trap(runs: Path) -> Path:
    """Runs with secrets all around them, and links that lead there."""
    key, other = "0" * 16, "1" * 16
    (runs.parent / "secret.png").write_bytes(SECRET)
    outside = runs.parent / "outside"
    shutil.copytree(runs / NAME, outside)
    (outside / "pictures" / f"{key}.png").write_bytes(SECRET)
    said = json.dumps({"key": key, "png_sha256": hashlib.sha256(SECRET).hexdigest()})
    (outside / "pictures" / f"{key}.json").write_text(said)
    (runs / NAME / "secret.png").write_bytes(SECRET)
    (runs / "linked").symlink_to(outside)
    for name in (f"{key}.png", f"{key}.json"):
        (runs / NAME / "pictures" / name).symlink_to(outside / "pictures" / name)
    os.mkfifo(runs / NAME / "pictures" / f"{other}.png")
    os.mkfifo(runs / NAME / "pictures" / f"{other}.json")
    shutil.copytree(runs / NAME, runs / "half", symlinks=True, ignore=shutil.ignore_patterns("pictures"))
    (runs / "half" / "pictures").symlink_to(outside / "pictures")
    (runs / ".hidden").mkdir()
    (runs / ".hidden" / SWEEP).write_text("")
    return runs


HOSTILE = [
    "/pictures/../secret.png", f"/pictures/{NAME}/../secret.png", f"/pictures/{NAME}/../../secret.png",
    "/pictures/..", "/pictures/../..", "/pictures/./secret.png", "/pictures//secret.png", "/pictures/%2e%2e/secret.png",
    f"/pictures/{NAME}/%2e%2e%2fsecret.png", f"/pictures/{NAME}/..%2f..%2fsecret.png", "/pictures/..\\secret.png",
    f"/pictures/{NAME}//etc/passwd", "/pictures//etc/passwd", f"/pictures/{NAME}/{'0' * 16}.png\0.json",
    f"/pictures/{NAME}\0/{'0' * 16}.png", f"/pictures/{NAME}/{'0' * 16}.png", f"/pictures/{NAME}/{'0' * 16}.json",
    f"/pictures/{NAME}/{'0' * 16}.webp", f"/pictures/{NAME}/{'1' * 16}.png", f"/pictures/linked/{'0' * 16}.png",
    f"/pictures/half/{'0' * 16}.png", f"/pictures/{'x' * 5000}/{'0' * 16}.png", f"/pictures/{NAME}/{'0' * 5000}.png",
    f"/pictures/{NAME}/{'0' * 16}.PNG", f"/pictures/{NAME}/{'0' * 16}.txt", f"/pictures/{NAME}/{'0' * 16}",
    f"/pictures/{NAME}/secret.png", f"/pictures/{NAME}/{SWEEP}", f"/pictures/.hidden/{'0' * 16}.png",
    "/inputs/../secret.png", f"/inputs/{NAME}/../secret.png", "/api/runs/../grid", "/api/runs/linked/grid",
    "/api/runs/.hidden/grid", "/api/runs/\ud800/grid", f"/api/runs/{NAME}\n/grid", "/api/marks/..",
    "/api/runs/linked/preview", "/api/runs/../preview", f"/pictures/{NAME}/" + "\uff10" * 16 + ".png", "/docs",
    "/openapi.json", "/redoc",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_no_hostile_path_leads_out(trap: Path, path: str) -> None:
    status, body = raw(Guard(api(trap)), path)
    assert status == 404
    assert SECRET not in body
    assert b"root:" not in body


def test_linked_runs_are_not_listed_and_links_in_a_run_not_counted(trap: Path) -> None:
    assert {row["run"] for row in client(trap).get("/api/runs").json()["runs"]} == {NAME, "half"}


def test_encoded_paths_lead_nowhere_through_a_real_server(trap: Path) -> None:
    paths = ["%2e%2e/secret.png", "..%2fsecret.png", "%2e%2e%2fsecret.png", f"{NAME}/..%2f..%2fsecret.png", "%00"]
    paths += [
        f"{NAME}/{'0' * 16}.png%00.json",
        f"{NAME}/%ff",
        f"..%5csecret.png?v={'x' * 9000}",
        f"linked/{'0' * 16}.png",
    ]
    with served(Guard(api(trap))) as port:
        for path in [f"/pictures/{path}" for path in paths] + ["/pictures/../secret.png", "/../../etc/passwd"]:
            line = HTTPConnection("127.0.0.1", port, timeout=120)
            line.request("GET", path)
            answer = line.getresponse()
            assert (answer.status, SECRET in answer.read()) == (404, False), path
            assert answer.getheader("x-content-type-options") == "nosniff"
            line.close()


PIECES = [
    "..", ".", "/", "//", "\\", "%2e%2e", "%2f", "\0", "secret.png", NAME, "linked", "half", "pictures", "etc/passwd",
    "0" * 16, ".png", ".json", ".webp", "~", "\n", "é", "grid", "preview",
]  # fmt: skip


def test_no_path_made_of_hostile_pieces_tells_a_secret(trap: Path) -> None:
    app = Guard(api(trap))

    @given(
        st.sampled_from(["/pictures/", "/inputs/", "/api/runs/", "/api/marks/", "/"]),
        st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=7).map("".join),
    )
    def check(start: str, rest: str) -> None:
        status, body = raw(app, start + rest)
        assert SECRET not in body
        assert b"root:" not in body
        assert status in (200, 204, 307, 404, 405, 422)

    check()


@given(st.lists(st.text(max_size=6) | st.sampled_from(["..", "/etc/passwd", "", "."]), min_size=1, max_size=3))
def test_only_plain_names_are_read(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inside = Path(folder) / "a" / "b"
        inside.mkdir(parents=True)
        (Path(folder) / "secret").write_bytes(SECRET)
        assert read_inside(inside, *names) is None
        assert known(inside, names[0]) is None


def test_preview_is_there_while_somebody_leaves_one(runs: Path) -> None:
    page = client(runs)
    at = f"/api/runs/{NAME}/preview"
    assert page.get(at).status_code == 204
    (runs / NAME / "preview.png").write_bytes(b"\x89PNG first")
    answer = page.get(at)
    assert (answer.content, answer.headers["cache-control"]) == (b"\x89PNG first", "private, no-cache")
    assert page.get(at, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    (runs / NAME / "preview.png").write_bytes(b"\x89PNG next.")
    assert page.get(at, headers={"if-none-match": answer.headers["etag"]}).content == b"\x89PNG next."


def test_marks_are_kept_at_once_and_in_order(runs: Path) -> None:
    page = client(runs)
    at, key = f"/api/marks/{NAME}", done_cells(page)[0]["key"]
    assert page.get(at).json() == {}
    for stars in (3, 5, 1, 4):
        assert page.post(at, json={"key": key, "stars": stars}).json()[key]["stars"] == stars
    answer = page.post(at, json={"key": key, "pick": "pick", "faults": ["neck", "hands"], "remark": MARKUP})
    assert answer.status_code == 200
    mark = client(runs).get(at).json()[key]
    assert (mark["stars"], mark["pick"], mark["faults"], mark["remark"]) == (4, "pick", ["hands", "neck"], MARKUP)
    (row,) = page.get("/api/runs").json()["runs"]
    assert (row["stars"], row["remarks"]) == (4, [MARKUP])


@pytest.mark.parametrize(
    "said", [b"", b"{", b"[]", b"\xff", b"[" * 9999, b'{"key": "x", "stars": 3}', b'{"stars": 3}',
             b'{"key": "0123456789abcdef", "stars": 3}', b'{"key": "0123456789abcdef", "stars": 99}',
             b'{"key": "0123456789abcdef", "path": "/etc"}', b'{"key": "0123456789abcdef"}'],
)  # fmt: skip
def test_marks_that_make_no_sense_are_refused_in_one_line(runs: Path, said: bytes) -> None:
    answer = client(runs).post(f"/api/marks/{NAME}", content=said)
    assert answer.status_code == 422
    assert list(answer.json()) == ["error"]
    assert "\n" not in answer.json()["error"]
    assert not (runs / NAME / "marks.jsonl").exists()


def test_longer_words_than_any_mark_are_refused(runs: Path) -> None:
    at = f"/api/marks/{NAME}"
    assert client(runs).post(at, content=b" " * (uploads.WORDS_BYTES + 1)).status_code == 413
    assert client(runs).post(at, json={"key": "0" * 16}, headers={"origin": "https://evil.test"}).status_code == 403
    assert client(runs).post("/api/marks/absent", json={"key": "0" * 16}).status_code == 404
    assert client(runs).delete(at).status_code == 405


@pytest.mark.parametrize(("error", "status"), [(BusyError, 409), (DiskFullError, 507), (InputError, 422)])
def test_what_goes_wrong_is_told_in_one_line(
    runs: Path, monkeypatch: pytest.MonkeyPatch, error: type[InputError], status: int
) -> None:
    def fail(*_: object) -> None:
        raise error("first\n second")

    monkeypatch.setattr("sweeps.marks.append", fail)
    answer = client(runs).post(f"/api/marks/{NAME}", json={"key": "0" * 16, "stars": 1})
    assert (answer.status_code, answer.json()) == (status, {"error": "first; second"})


@pytest.fixture
def own_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files are made; nothing may be left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir())


def picture_saying(parameters: str) -> bytes:
    """A PNG of another tool."""
    text, file = PngImagePlugin.PngInfo(), io.BytesIO()
    text.add_text("parameters", parameters)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=text)
    return file.getvalue()


def test_an_uploaded_picture_is_read_and_not_kept(runs: Path, own_temporary: Path) -> None:
    said = f"{MARKUP}\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 18446744073709551615, Size: 512x512"
    found = client(runs).post("/api/read", content=picture_saying(said)).json()
    assert found["values"]["prompt"] == MARKUP
    assert found["values"]["seed"] == "18446744073709551615"  # a number would be rounded in a browser
    assert found["values"]["steps"] == 20


def test_our_own_picture_is_read_whole(runs: Path, own_temporary: Path) -> None:
    page = client(runs)
    cell = done_cells(page)[0]
    found = page.post("/api/read", content=page.get(cell["picture"]).content).json()
    assert (found["tool"], found["recipe"]["prompt"]) == ("Sidelight", MARKUP)


def test_pictures_that_cannot_be_read_are_refused_in_one_line(runs: Path, own_temporary: Path) -> None:
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"
    for data in (b"", b"rubbish", svg, bomb, picture_saying("x")[:60], picture_saying(" ")):
        answer = client(runs).post("/api/read", content=data)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("this picture")
        assert str(own_temporary) not in answer.text


def test_reading_stops_at_the_limit() -> None:
    taken: list[int] = []

    async def stream() -> Any:
        for _ in range(9):
            taken.append(1)
            yield b"1234"

    with pytest.raises(uploads.TooLargeError, match="more than 10 bytes"):
        asyncio.run(uploads.body(stream(), 10))
    assert len(taken) == 3


def test_numbers_stay_what_they_are_in_a_browser() -> None:
    values = {"a": [EXACT, EXACT + 1, -EXACT - 1], "b": True, "c": 1.5, "d": None, "e": "x"}
    assert for_javascript(values) == values | {"a": [EXACT, str(EXACT + 1), str(-EXACT - 1)]}


def test_errors_become_one_line() -> None:
    assert one_line("a:\n  b\r\n\n c") == "a:; b; c"


def test_whole_wants_key_and_hash_to_agree(runs: Path) -> None:
    (key, *_) = Store(runs / NAME).keys()
    assert whole(runs / NAME, key)
    assert whole(runs / NAME, f"../pictures/{key}") is None


TOUR = """
import sys
from pathlib import Path
from starlette.testclient import TestClient
from workbench.web.guard import Guard
from workbench.web.routes import api

runs = Path(sys.argv[1])
page = TestClient(Guard(api(runs)), base_url="http://127.0.0.1")
rows = page.get("/api/runs").json()["runs"]
at = f"/api/runs/{rows[0]['run']}"
grid = page.get(f"{at}/grid").json()
assert len(grid["axes"]) == 2, grid
cell = next(cell for cell in grid["cells"] if cell["state"] == "done")
answers = [page.get(f"{at}/cells?after=0&edition={grid['edition']}"), page.get(f"{at}/preview")]
answers += [page.get(cell["picture"]), page.get(cell["thumb"])]
answers.append(page.get(cell["picture"].partition("?")[0].replace("png", "json")))
marks = f"/api/marks/{rows[0]['run']}"
answers += [page.get(marks), page.post(marks, json={"key": cell["key"], "stars": 2})]
answers.append(page.post("/api/read", content=answers[2].content))
assert {answer.status_code for answer in answers} == {200, 204}, answers
heavy = ("torch", "diffusers", "transformers", "accelerate", "scipy", "gradio")
print("loaded", [name for name in heavy if name in sys.modules])
"""


def test_the_page_loads_no_torch_whatever_is_asked(runs: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", TOUR, str(runs)], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert told.stdout == "loaded []\n", told.stderr


def test_two_hundred_cells_are_followed_by_what_changed(tmp_path: Path) -> None:
    """A poll hears one line and sends one cell, however many there are."""
    ready = prepared(tmp_path / NAME, guidance=[1 + g / 4 for g in range(20)], seeds=range(10))
    happenings = run(ready, open_engine=opener([]))
    with closing(happenings):
        for happening in happenings:
            if isinstance(happening, Kept):
                break
        watched = Watched(tmp_path / NAME)
        grid = watched.grid()
        assert len(grid.cells) == 200
        with open(tmp_path / NAME / journal.NAME, "a") as book:
            line = PictureDone(key=happening.key, lane=0, seconds=0)
            book.write(json.dumps(line.model_dump()) + "\n")
        (cell,) = watched.changes(grid.revision, grid.edition).cells
        assert (cell.key, cell.revision) == (happening.key, grid.revision + 1)
