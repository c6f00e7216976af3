"""What can be seen of a run while it is made: it is there in time, gone in the end, and never part of the run."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import typer
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.errors import DiskFullError
from pipelines.events import Encoding, Event, Failed, Loading, Made, Preview, Shrunk, Stepped, Ticked
from pipelines.store import Store
from sweeps import shelf
from sweeps.prepare import SWEEP
from sweeps.run import Kept, Started
from tests.small import SmallEngine, numerics
from tests.small_worker import reopened
from tests.test_run import contents
from tests.test_worker import added, calm
from workbench import run_commands
from workbench.glimpse import LIVE, PREVIEW, Glimpse, NowAndThen
from workbench.jobs import INTERACTIVE, Job
from workbench.queue import Queue
from workbench.web.live_routes import routes
from workbench.web.routes import api
from workbench.web.site import Site
from workbench.worker import Means, Worker
from workbench.worker_log import open_log

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue.sqlite")


class Seen(SmallEngine):
    """Shows a rough picture of its first step; `look` is called after the first tick, `end` after some cells."""

    def __init__(self, kept: Numerics, look: Callable[[], object], end: Callable[[], object], after: int) -> None:
        super().__init__(kept)
        self._look, self._end, self._after = look, end, after

    def run(self, lanes: Any) -> Iterator[Event]:
        first = lanes[0][0].key
        yield Stepped(first, 1, 28)
        yield Preview(first, 1, PIXELS)
        yield Ticked()
        self._look()
        ended = 0
        for event in super().run(lanes):
            yield event
            ended += isinstance(event, Made | Failed)
            if ended == self._after:
                self._end()


def work(queue: Queue, look: Callable[[], object], end: Callable[[], object] = lambda: None, *, after: int = 2) -> None:
    """Let a worker in this process make what waits; only the first run is looked at and ended."""
    first = [True]

    def open_engine(_: Checkpoint, kept: Numerics, __: Store) -> SmallEngine:
        if first:
            first.clear()
            return Seen(kept, look, end, after)
        return SmallEngine(kept)

    means = Means(reopened, open_engine, lambda _: nullcontext())
    Worker(queue, open_log(queue.path.parent), means=means, tell_seconds=0.0).serve(once=True, idle_seconds=0)


def left(folder: Path) -> list[str]:
    """What of the two files, whole or half, lies in a run folder."""
    return sorted(path.name for path in folder.iterdir() if path.name.startswith((LIVE, PREVIEW)))


def test_steps_and_a_rough_picture_are_seen_while_a_run_is_made_and_gone_when_it_is(
    queue: Queue, tmp_path: Path
) -> None:
    job = added(queue)
    seen: list[tuple[Any, bytes, list[str]]] = []

    def look() -> None:
        live, png = (job.folder / LIVE).read_bytes(), (job.folder / PREVIEW).read_bytes()
        seen.append((json.loads(live), png, left(job.folder)))

    work(queue, look)
    ((live, png, names),) = seen
    assert names == [LIVE, PREVIEW]
    ((key, step),) = live["cells"].items()
    assert (step, live["preview"]) == ({"step": 1, "steps": 28}, {"key": key, "step": 1})
    assert live["at"].startswith("20")
    with Image.open(io.BytesIO(png)) as image:
        assert (np.asarray(image) == PIXELS).all()
    assert queue.job(job.id).state == "done"
    assert left(job.folder) == []
    assert contents(job.folder) == calm(tmp_path / "calm")


@pytest.mark.parametrize("state", ["paused", "cancelled", "failed", "waiting", "full"])
def test_however_a_run_ends_nothing_of_it_is_left(queue: Queue, state: str) -> None:
    job = added(queue)
    seen: list[list[str]] = []

    def end() -> None:
        match state:
            case "full":
                raise DiskFullError("disk full: 20 MB needed")
            case "failed":
                raise RuntimeError("a bug of ours")
            case "waiting":
                added(queue, "click", cells=3, priority=INTERACTIVE)
            case _:
                queue.wish(job.id, "pause" if state == "paused" else "cancel")
        seen.append(left(job.folder))

    with pytest.raises(RuntimeError) if state == "failed" else nullcontext():
        work(queue, lambda: seen.append(left(job.folder)), end)
    assert seen[0] == [LIVE, PREVIEW]
    assert left(job.folder) == []


def test_files_of_a_killed_worker_go_when_the_run_goes_on(queue: Queue) -> None:
    job = added(queue)
    job.folder.mkdir()
    for name in (LIVE, PREVIEW, f"{LIVE}.part"):
        (job.folder / name).write_bytes(b"old")
    seen: list[bytes] = []
    work(queue, lambda: seen.append((job.folder / PREVIEW).read_bytes()))
    assert seen[0].startswith(b"\x89PNG")
    assert left(job.folder) == []


def test_they_are_no_part_of_the_run(queue: Queue) -> None:
    job = added(queue)
    work(queue, lambda: None)
    before, store = shelf.info(job.folder), Store(job.folder)
    pack = io.BytesIO()
    shelf.pack(job.folder, store.keys(), pack)
    for name in (LIVE, PREVIEW):
        (job.folder / name).write_bytes(b"{" * 99)
    now = shelf.info(job.folder)
    assert (now.done, now.failed, now.reason) == (before.done, 0, "")
    packed = io.BytesIO()
    shelf.pack(job.folder, store.keys(), packed)
    assert packed.getvalue() == pack.getvalue()
    app = typer.Typer()
    app.command("check")(run_commands.check)
    app.command("other")(run_commands.schedulers)
    told = CliRunner().invoke(app, ["check", str(job.folder)])
    assert (told.exit_code, told.output.count("\n")) == (0, 1), told.output


def test_writing_is_now_and_then_and_a_cell_that_ended_is_not_shown(tmp_path: Path) -> None:
    due = [True, True, False, True]
    with Glimpse(tmp_path, is_due=lambda: due.pop(0)) as glimpse:
        for happening in (Started(tmp_path, 2, 0, ()), Stepped("a", 1, 4), Stepped("b", 1, 4)):
            glimpse.follow(happening)
        assert left(tmp_path) == []
        glimpse.follow(Ticked())
        assert left(tmp_path) == [LIVE]
        glimpse.follow(Preview("a", 2, PIXELS))
        glimpse.follow(Ticked())
        assert json.loads((tmp_path / LIVE).read_text())["preview"] == {"key": "a", "step": 2}
        glimpse.follow(Kept("a", tmp_path, 1.0))
        assert "a" in json.loads((tmp_path / LIVE).read_text())["cells"]
        glimpse.follow(Ticked())
        told = json.loads((tmp_path / LIVE).read_text())
        assert (list(told["cells"]), told["preview"]) == (["b"], None)
        assert not due
    assert left(tmp_path) == []


def test_cells_that_begin_anew_with_less_memory_are_not_shown_on_their_old_step(tmp_path: Path) -> None:
    with Glimpse(tmp_path, is_due=lambda: True) as glimpse:
        for happening in (
            Started(tmp_path, 2, 0, ()),
            Stepped("a", 3, 4),
            Shrunk(numerics(1), "out of memory"),
            Ticked(),
        ):
            glimpse.follow(happening)
        assert json.loads((tmp_path / LIVE).read_text())["cells"] == {}


def test_what_goes_on_before_the_first_step_is_said_at_once(tmp_path: Path) -> None:
    with Glimpse(tmp_path) as glimpse:
        for happening, told in (
            (Loading("unet", 0, 9), "loading unet"),
            (Encoding(1, 3), "reading prompts, 1 of 3"),
            (Loading("vae", 5, 9), "loading vae"),
        ):
            glimpse.follow(Started(tmp_path, 2, 0, ()))
            glimpse.follow(happening)
            assert json.loads((tmp_path / LIVE).read_text())["doing"] == told
        glimpse.follow(Stepped("a", 1, 4))
        glimpse.follow(Ticked())
        assert json.loads((tmp_path / LIVE).read_text())["doing"] == ""


def test_a_folder_that_takes_no_files_stops_nothing(tmp_path: Path) -> None:
    with Glimpse(tmp_path / "gone", is_due=lambda: True) as glimpse:
        for happening in (Started(tmp_path, 2, 0, ()), Stepped("a", 1, 4), Ticked()):
            glimpse.follow(happening)


def test_a_preview_is_due_now_and_then() -> None:
    times = iter([0.0, 0.2, 0.5, 0.9, 1.1])
    is_due = NowAndThen(0.5, clock=lambda: next(times))
    assert [is_due() for _ in range(5)] == [True, False, True, False, True]


def asked(runs: Path, queue: Queue, run: str) -> Any:
    """What the page is told."""
    page = TestClient(api(runs, more=routes(Site(runs, queue, start_worker=lambda _: None))))
    answer = page.get(f"/api/runs/{run}/live")
    assert answer.headers.get("cache-control") == "no-store" or answer.status_code == 404
    told = answer.json()
    if preview := told.get("preview"):
        told["preview"]["bytes"] = page.get(preview["url"]).content
    return told


def test_the_page_is_told_what_is_made_and_by_which_job(queue: Queue, tmp_path: Path) -> None:
    job = added(queue)
    seen: list[Any] = []

    def look() -> None:
        (job.folder / SWEEP).touch()
        seen.append(asked(tmp_path, queue, "run"))

    work(queue, look)
    (told,) = seen
    ((key, step),) = told["cells"].items()
    assert step == {"step": 1, "steps": 28}
    preview = told["preview"]
    assert (preview["key"], preview["step"], preview["bytes"][:4]) == (key, 1, b"\x89PNG")
    assert preview["url"].startswith("/api/runs/run/preview?v=")
    assert told["is_running"]
    assert told["job"] | {"seconds_left": None} == {
        "id": job.id, "state": "running", "wish": "", "done": 0, "cells": 9, "failed": 0, "seconds_left": None,
        "error": "",
    }  # fmt: skip
    after = asked(tmp_path, queue, "run")
    assert (after["cells"], after["preview"], after["is_running"]) == ({}, None, False)
    assert (after["job"]["state"], after["job"]["done"]) == ("done", 9)


def stale(folder: Path) -> None:
    """What a killed worker leaves."""
    folder.mkdir(exist_ok=True)
    (folder / SWEEP).touch()
    (folder / LIVE).write_text('{"cells": {"a": {"step": 1, "steps": 2}}, "preview": null, "doing": "", "at": "then"}')


def dead(job: Job) -> int:
    """The number of a process that is not there."""
    number = 4_000_000 + job.id
    assert not psutil.pid_exists(number)
    return number


def test_what_a_killed_worker_left_is_not_told(queue: Queue, tmp_path: Path) -> None:
    job = added(queue)
    stale(job.folder)
    assert asked(tmp_path, queue, "run")["cells"] == {}
    assert queue.claim(dead(job))
    told = asked(tmp_path, queue, "run")
    assert (told["cells"], told["is_running"], told["job"]["state"]) == ({}, False, "running")
    queue.bury()
    assert queue.claim()
    assert asked(tmp_path, queue, "run")["cells"] == {"a": {"step": 1, "steps": 2}}
    (job.folder / LIVE).write_text("[" * 5000)
    assert asked(tmp_path, queue, "run")["cells"] == {}
    assert asked(tmp_path, queue, "run")["is_running"]


def test_the_open_job_of_a_run_is_told_before_later_ones_that_ended(queue: Queue, tmp_path: Path) -> None:
    first = added(queue)
    stale(first.folder)
    queue.wish(first.id, "cancel")
    second = added(queue)
    queue.wish(second.id, "cancel")
    assert asked(tmp_path, queue, "run")["job"]["id"] == second.id
    queue.retry(first.id)
    assert asked(tmp_path, queue, "run")["job"]["id"] == first.id
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / SWEEP).touch()
    assert asked(tmp_path, queue, "alone") == {
        "cells": {},
        "preview": None,
        "doing": "",
        "is_running": False,
        "job": None,
    }
    assert "there is no run" in asked(tmp_path, queue, "nowhere")["error"]
