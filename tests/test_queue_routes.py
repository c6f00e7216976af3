"""The queue's addresses: what is shown and allowed in every state, one worker however many look, memory given back."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines.errors import DiskError
from sweeps.run import run
from sweeps.sweep import to_toml
from tests.small import SmallEngine, prepared
from tests.small_worker import SMALL_WATCH
from workbench.jobs import INTERACTIVE, Asked, Job, State
from workbench.queue import Queue
from workbench.watch import Post, ensure_worker, living, stop_worker
from workbench.web import queue_routes
from workbench.web.queue_answers import LAST_ENDED
from workbench.web.routes import api
from workbench.web.site import Site
from workbench.web.starter import AGAIN_SECONDS
from workbench.worker_log import NAME, RAW

DEADLINE = 120.0
HERE = {"host": "127.0.0.1:7860"}


class Desk:
    """A queue, its routes, and how often a worker was started; nobody works but the test."""

    def __init__(self, folder: Path, start: Callable[[Queue], object] | None = None) -> None:
        (folder / "state").mkdir()
        self.queue, self.runs = Queue(folder / "state" / "queue.sqlite"), folder / "runs"
        self.starts: list[int] = []
        site = Site(self.runs, self.queue, start_worker=start or (lambda _: self.starts.append(1)))
        app = api(self.runs)
        app.router.routes[:0] = queue_routes.routes(site)
        self.web = TestClient(app, headers=HERE)

    def seen(self) -> Any:
        answer = self.web.get("/api/queue")
        assert answer.status_code == 200
        return answer.json()

    def jobs(self) -> list[Any]:
        return list(self.seen()["jobs"])

    def wish(self, wish: object, where: object) -> tuple[int, Any]:
        answer = self.web.post(f"/api/queue/{where}", json={"wish": wish})
        return answer.status_code, answer.json()

    def can(self, job: Job) -> list[str]:
        return next(list(each["can"]) for each in self.jobs() if each["id"] == job.id)

    def folder(self, name: str) -> Path:
        folder = self.runs / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sweep.toml").touch()
        return folder

    def added(self, name: str, **changes: Any) -> Job:
        return self.queue.add(Asked(self.folder(name), name, **{"cells": 9, **changes}))

    def ended(self, name: str, state: State, *, failed: int = 0) -> Job:
        self.added(name)
        job = self.queue.claim(1)
        assert job is not None
        self.queue.tell(job, done=9 - failed, failed=failed, seconds_left=None)
        return self.queue.end(job, state, "why" if failed or state == "failed" else "")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    with desk.web:
        yield desk


def test_jobs_come_in_order_with_what_is_allowed(desk: Desk) -> None:
    for state in ("done", "failed", "cancelled"):
        desk.ended(state, state)  # type: ignore[arg-type]  # each is a State
    desk.ended("worst", "done", failed=2)
    desk.added("now")
    running = desk.queue.claim(1)
    assert running is not None
    desk.queue.tell(running, done=4, failed=1, seconds_left=80.5)
    for name in ("a", "b", "c"):
        desk.added(name)
    desk.added("face", cells=1, priority=INTERACTIVE)
    desk.queue.wish(desk.added("held").id, "pause")
    jobs = {job["name"]: job for job in desk.jobs()}
    assert list(jobs) == ["now", "face", "a", "b", "c", "held", "worst", "cancelled", "failed", "done"]
    assert {name: job["can"] for name, job in jobs.items()} == {
        "now": ["pause", "after this cell", "cancel"],
        "face": ["pause", "cancel"],
        "a": ["pause", "down", "cancel"],
        "b": ["pause", "top", "up", "down", "cancel"],
        "c": ["pause", "top", "up", "cancel"],
        "held": ["resume", "cancel"],
        "worst": ["retry"],
        "cancelled": ["retry"],
        "failed": ["retry"],
        "done": [],
    }
    now = jobs["now"]
    assert (now["run"], now["kind"], now["done"], now["cells"], now["failed"]) == ("now", "sweep", 4, 9, 1)
    assert (now["seconds_left"], now["error"], now["ended"], now["wish"]) == (80.5, "", "", "")
    assert jobs["face"]["kind"] == "picture"
    assert jobs["failed"]["error"] == "why"
    assert jobs["failed"]["ended"] >= jobs["failed"]["queued"]


def test_a_run_elsewhere_has_no_name_here_and_its_folder_is_told_with_a_tilde(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    inside = desk.added("inside").id
    outside = desk.queue.add(Asked(tmp_path / "other" / "inside", "outside", cells=1)).id
    jobs = {job["id"]: job for job in desk.jobs()}
    assert (jobs[inside]["run"], jobs[inside]["folder"]) == ("inside", "~/runs/inside")
    assert (jobs[outside]["run"], jobs[outside]["folder"]) == (None, "~/other/inside")


def test_only_the_last_that_ended_are_told_and_only_the_last_of_a_run_can_be_retried(desk: Desk) -> None:
    old = desk.ended("twice", "failed")
    new = desk.ended("twice", "failed")
    gone = desk.ended("gone", "failed")
    (gone.folder / "sweep.toml").unlink()
    assert [desk.can(job) for job in (old, new, gone)] == [[], ["retry"], []]
    assert desk.jobs()[0]["run"] is None
    for number in range(LAST_ENDED):
        desk.ended(f"{number}", "done")
    assert [job["name"] for job in desk.jobs()] == [f"{number}" for number in reversed(range(LAST_ENDED))]


def test_a_wish_that_the_worker_has_not_met_can_be_taken_back_or_made_stronger(desk: Desk) -> None:
    desk.added("now")
    job = desk.queue.claim(1)
    assert job is not None
    for wish, can in (
        ("after this cell", ["resume", "pause", "cancel"]),
        ("pause", ["resume", "cancel"]),
        ("cancel", ["resume"]),
    ):
        status, told = desk.wish(wish, job.id)
        assert (status, told["state"], told["wish"], told["can"]) == (200, "running", wish, can)
    assert desk.wish("resume", job.id)[1]["wish"] == ""


def test_jobs_are_moved_among_those_that_wait_at_their_priority(desk: Desk) -> None:
    face = desk.added("face", priority=INTERACTIVE)
    jobs = [desk.added(name) for name in ("a", "b", "c")]

    def order() -> str:
        return "".join(job["name"] for job in desk.jobs() if job["kind"] == "sweep")

    for job, wish, after in (
        (2, "up", "acb"),
        (2, "up", "cab"),
        (2, "up", "cab"),
        (0, "down", "cba"),
        (0, "top", "acb"),
    ):
        assert desk.wish(wish, jobs[job].id)[0] == 200
        assert order() == after
    assert desk.wish("down", face.id)[1]["can"] == ["pause", "cancel"]
    desk.queue.claim(1)
    status, told = desk.wish("up", face.id)
    assert (status, told["error"]) == (422, f"job {face.id} is running; only one that waits can be moved")


@pytest.mark.parametrize(
    ("where", "body", "status", "told"),
    [
        ("1", b'{"wish": "explode"}', 422, "wish 'explode'"),
        ("1", b'{"wish": ""}', 422, "wish ''"),
        ("1", b'{"wish": "pause", "at": "once"}', 422, "at is not known here"),
        ("1", b"pause", 422, "no JSON object"),
        ("1", b"{}", 422, "wish is missing"),
        ("1", b'{"wish": "retry"}', 422, "only one that has ended can be tried again"),
        ("77", b'{"wish": "pause"}', 422, "there is no job 77"),
        ("9" * 40, b'{"wish": "pause"}', 404, "there is no job of such a number"),
        ("-1", b'{"wish": "pause"}', 404, "Not Found"),
        ("worker", b'{"wish": "start"}', 422, "wish 'start'"),
        ("run/nothing", b'{"wish": "retry"}', 404, "there is no run 'nothing' here"),
        ("run/..%2fstate", b'{"wish": "retry"}', 404, "Not Found"),
        ("run/waits", b'{"wish": "cancel"}', 422, "wish 'cancel'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    desk: Desk, where: str, body: bytes, status: int, told: str
) -> None:
    desk.added("waits")
    answer = desk.web.post(f"/api/queue/{where}", content=body)
    assert answer.status_code == status
    assert told in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert desk.jobs()[0]["state"] == "waiting"


def test_an_ended_run_is_retried_and_a_held_one_goes_on(desk: Desk) -> None:
    failed = desk.ended("failed", "done", failed=2)
    status, told = desk.wish("retry", "run/failed")
    assert (status, told["id"], told["state"]) == (200, failed.id, "waiting")
    assert desk.wish("retry", "run/failed")[1]["id"] == failed.id
    desk.queue.wish(failed.id, "pause")
    assert desk.wish("resume", "run/failed")[1]["state"] == "waiting"
    desk.queue.claim(1)
    assert desk.wish("resume", "run/failed")[1]["state"] == "running"
    desk.queue.wish(failed.id, "cancel")
    assert desk.wish("resume", "run/failed")[1]["wish"] == ""
    assert "can be tried again when it has ended" in desk.wish("retry", "run/failed")[1]["error"]


def test_a_run_that_the_queue_does_not_know_is_queued_with_what_its_plan_holds(desk: Desk) -> None:
    ready = prepared(desk.folder("known"))
    bad = frozenset(list(ready.keys)[:2])
    for _ in run(ready, open_engine=lambda _, kept, __: SmallEngine(kept, bad=bad)):
        pass
    (desk.runs / "known" / "sweep.toml").write_text(to_toml(ready.sweep))
    status, told = desk.wish("retry", "run/known")
    assert (status, told["state"], told["cells"], told["name"], told["run"]) == (200, "waiting", 9, "small", "known")
    job = desk.queue.claim(1)
    assert job is not None
    for _ in run(ready, open_engine=lambda _, kept, __: SmallEngine(kept), retry_failed=True):
        pass
    desk.queue.end(job, "done")
    status, told = desk.wish("retry", "run/known")
    assert (status, told["error"]) == (422, "every picture of run known is whole; there is nothing to make")
    next((desk.runs / "known" / "pictures").glob("*.png")).unlink()
    assert desk.wish("retry", "run/known")[1]["id"] > job.id


def test_a_run_that_cannot_be_read_is_not_queued(desk: Desk) -> None:
    (desk.folder("broken") / "sweep.toml").write_text("[")
    status, told = desk.wish("retry", "run/broken")
    assert status == 422
    assert "sweep.toml" in told["error"]
    assert desk.jobs() == []


def test_a_worker_is_started_where_jobs_wait_and_none_lives(desk: Desk) -> None:
    job = desk.ended("failed", "failed")
    assert desk.seen()["worker"] is None
    assert desk.starts == []
    desk.added("a")
    for _ in range(5):
        desk.seen()
    assert len(desk.starts) == 1, f"a worker that dies at once is started again, but not before {AGAIN_SECONDS} s"
    desk.wish("retry", job.id)
    assert len(desk.starts) == 2, "somebody asked"
    post = Post.taken(desk.queue)
    assert post is not None
    assert desk.seen()["worker"] == {"pid": 0, "since": "a moment ago"}
    post.sign()
    worker = desk.seen()["worker"]
    assert worker["pid"] > 0
    assert worker["since"].endswith("UTC")
    post.quit()


def test_why_no_worker_could_be_started_is_told(tmp_path: Path) -> None:
    def start(_: Queue) -> None:
        raise DiskError("the disk is gone\nreally")

    desk = Desk(tmp_path, start)
    with desk.web:
        desk.added("a")
        (warning,) = desk.seen()["warnings"]
    assert warning.startswith("no worker could be started (the disk is gone; really)")


def test_threads_see_every_job_once_and_start_one_worker_at_a_time(tmp_path: Path) -> None:
    inside, most = [0], [0]
    gate = threading.Lock()

    def start(_: Queue) -> None:
        with gate:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        with gate:
            inside[0] -= 1

    desk = Desk(tmp_path, start)
    with desk.web:
        numbers = [desk.added(f"{number}").id for number in range(8)]

        def work(at: int) -> None:
            for turn in range(6):
                wish = ("top", "up", "down", "pause", "resume", "up")[(at + turn) % 6]
                assert desk.wish(wish, numbers[at])[0] in (200, 422)
                assert sorted(job["id"] for job in desk.jobs()) == numbers

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(8)))
    assert most[0] == 1


def test_memory_is_given_back_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    desk = Desk(tmp_path, partial(ensure_worker, command=SMALL_WATCH))
    try:
        with desk.web:
            first, second = desk.added("first", cells=600), desk.added("second", cells=6)
            until(lambda: desk.jobs()[0]["done"] > 0)
            status, told = desk.wish("stop", "worker")
            assert (status, told["paused"]) == (200, [first.id, second.id])
            assert told["said"] == (
                "2 jobs are paused until they are resumed; the worker ends after this step and gives its memory back"
            )
            until(lambda: living(desk.queue) is None)
            assert [(job["state"], job["wish"], job["error"]) for job in desk.jobs()] == [("paused", "", "")] * 2
            assert desk.seen()["worker"] is None
            assert desk.wish("stop", "worker")[1]["said"] == "no worker runs; the GPU's memory is free already"
            made = desk.queue.job(first.id).done
            desk.wish("cancel", first.id)
            desk.wish("resume", second.id)
            until(lambda: desk.queue.job(second.id).state == "done")
            assert desk.queue.job(first.id).done == made
    finally:
        stop_worker(desk.queue)


def test_a_worker_that_is_only_just_starting_is_not_stopped(desk: Desk) -> None:
    job = desk.added("a")
    post = Post.taken(desk.queue)
    assert post is not None
    status, told = desk.wish("stop", "worker")
    assert (status, told["error"]) == (409, "the worker is only just starting; ask again in a few seconds")
    assert desk.queue.job(job.id).state == "waiting"
    post.quit()


def test_the_end_of_the_log_is_told_as_text(desk: Desk) -> None:
    assert desk.web.get("/api/queue/log").text == ""
    folder = desk.queue.path.parent
    (folder / NAME).write_text("".join(f"line {number} <b>\n" for number in range(500)))
    (folder / RAW).write_text("a traceback\n")
    answer = desk.web.get("/api/queue/log")
    lines = answer.text.splitlines()
    assert answer.headers["content-type"].startswith("text/plain")
    assert (lines[0], lines[199]) == ("line 300 <b>", "line 499 <b>")
    assert lines[-1] == "a traceback"


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
