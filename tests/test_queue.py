"""The queue: each job is taken once, in order, and survives kills, damage and other versions."""

import fcntl
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from pipelines.errors import BusyError, DiskError, InputError
from workbench import queue_commands, queue_file
from workbench.jobs import INTERACTIVE, Asked, Job, State
from workbench.queue import DIED, DIED_TWICE, Queue, state_folder
from workbench.queue_file import MIGRATIONS

ROOT = Path(__file__).parent.parent
VERSION_1 = Path(__file__).parent / "queue-version-1.sqlite"
JOBS, CLAIMERS, KILLS, DEADLINE = 160, 4, 12, 120.0


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue.sqlite")


def added(queue: Queue, name: str = "a", **changes: Any) -> Job:
    return queue.add(Asked(queue.path.parent / "runs" / name, name, **{"cells": 9, **changes}))


def in_state(queue: Queue, state: State) -> Job:
    """A job that came into this state."""
    job = added(queue, state)
    match state:
        case "waiting":
            return job
        case "paused":
            return queue.wish(job.id, "pause")
    claimed = queue.claim()
    assert claimed is not None
    assert claimed.id == job.id
    return claimed if state == "running" else queue.end(claimed, state, "why")


def names(queue: Queue, *states: State) -> list[str]:
    return [job.name for job in queue.jobs(*states)]


def test_jobs_are_claimed_by_priority_then_in_order(queue: Queue) -> None:
    for name in ("first", "second"):
        added(queue, name)
    added(queue, "click", priority=INTERACTIVE)
    assert names(queue) == ["click", "first", "second"]
    queue.top(queue.jobs()[-1].id)
    taken = [queue.claim(), queue.claim(), queue.claim()]
    assert [job.name for job in taken if job] == ["click", "second", "first"]
    assert all(job and job.worker == os.getpid() and job.state == "running" for job in taken)
    assert queue.claim() is None


def test_what_was_asked_is_kept_until_the_run_has_begun(queue: Queue) -> None:
    added(queue, numerics={"lanes": 1, "dtype": None}, new_numerics=True, keep_failed=True)
    job = queue.claim()
    assert job is not None
    assert (job.asked, job.new_numerics, job.keep_failed, job.asked_in) == ({"lanes": 1}, True, True, Path.cwd())
    queue.begun(job, cells=12, done=3)
    begun = queue.job(job.id)
    assert (begun.asked, begun.new_numerics, begun.cells, begun.done) == ({}, False, 12, 3)


def test_a_folder_is_queued_once_while_its_job_is_open(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    job = added(queue)
    monkeypatch.chdir(queue.path.parent)
    with pytest.raises(InputError, match=f"in the queue already, as job {job.id} \\(waiting\\)"):
        queue.add(Asked(Path("runs/../runs/a"), "other name", cells=1))
    queue.wish(job.id, "pause")
    with pytest.raises(InputError, match=r"\(paused\)"):
        queue.refuse_twice(job.folder)
    queue.wish(job.id, "cancel")
    other = added(queue)
    with pytest.raises(InputError, match=f"job {other.id}"):
        queue.retry(job.id)


def test_wishes_act_at_once_on_what_waits_and_reach_the_worker_of_what_runs(queue: Queue) -> None:
    assert queue.wish(in_state(queue, "waiting").id, "after this cell").state == "paused"
    job = in_state(queue, "running")
    assert queue.wish(job.id, "pause").state == "running"
    assert queue.tell(job, done=4, failed=1, seconds_left=9.5) == "pause"
    now = queue.job(job.id)
    assert (now.done, now.failed, now.seconds_left, now.wish) == (4, 1, 9.5, "pause")
    assert queue.resume(job.id).wish == ""
    assert queue.tell(job, done=4, failed=1, seconds_left=None) == ""


def test_a_cancel_that_comes_while_a_job_is_being_paused_cancels_it(queue: Queue) -> None:
    running = in_state(queue, "running")
    queue.wish(running.id, "after this cell")
    queue.wish(running.id, "cancel")
    assert queue.end(running, "paused").state == "cancelled"


def test_a_wish_that_comes_while_the_worker_lets_go_is_not_lost(queue: Queue) -> None:
    job = in_state(queue, "running")
    queue.wish(job.id, "pause")
    assert queue.end(job, "waiting", "overtaken").state == "paused"
    queue.resume(job.id)
    claimed = queue.claim(4711)
    assert claimed is not None
    queue.wish(job.id, "cancel")
    (buried,) = queue.bury(4711)
    assert (buried.state, bool(buried.ended)) == ("cancelled", True)


@pytest.mark.parametrize(
    ("state", "call", "told"),
    [
        ("running", "resume", "running, not paused"),
        ("done", "resume", "queue retry"),
        ("done", "pause", "done already"),
        ("paused", "pause", "paused already"),
        ("failed", "top", "only one that waits"),
        ("waiting", "retry", "only one that has ended"),
        ("done", "retry", "nothing to try again"),
    ],
)
def test_what_cannot_be_wished_is_refused_in_a_sentence(queue: Queue, state: State, call: str, told: str) -> None:
    job = in_state(queue, state)
    with pytest.raises(InputError, match=told):
        queue.wish(job.id, "pause") if call == "pause" else getattr(queue, call)(job.id)
    with pytest.raises(InputError, match="there is no job 99"):
        queue.job(99)


def test_a_job_is_moved_before_another_one_of_its_priority_or_behind_all(queue: Queue) -> None:
    one, two, three, four = (added(queue, name) for name in ("one", "two", "three", "four"))
    click = added(queue, "click", priority=INTERACTIVE)
    queue.wish(two.id, "pause")
    assert queue.move(four.id, one.id).id == four.id
    assert names(queue, "waiting") == ["click", "four", "one", "three"]
    queue.move(three.id, two.id)
    queue.resume(two.id)
    assert names(queue, "waiting") == ["click", "four", "one", "three", "two"]
    queue.move(four.id)
    queue.move(click.id)
    assert names(queue, "waiting") == ["click", "one", "three", "two", "four"]
    for _ in range(200):  # places never grow dense
        queue.move(four.id, three.id), queue.move(three.id, four.id)
    assert names(queue, "waiting") == ["click", "one", "three", "four", "two"]


def test_a_job_that_was_overtaken_keeps_its_place_among_those_that_are_moved(queue: Queue) -> None:
    added(queue, "sweep")
    running = queue.claim()
    assert running
    first, second = added(queue, "first"), added(queue, "second")
    queue.move(second.id, first.id)
    queue.end(running, "waiting")
    assert names(queue) == ["sweep", "second", "first"]


def test_what_cannot_be_moved_there_is_refused_in_a_sentence(queue: Queue) -> None:
    done, running = in_state(queue, "done"), in_state(queue, "running")
    job, click = added(queue), added(queue, "click", priority=INTERACTIVE)
    for number, before, told in (
        (running.id, job.id, "running; only one that waits"),
        (job.id, done.id, "done; only before one that waits"),
        (job.id, running.id, "running; only before one that waits"),
        (job.id, click.id, "differ in priority"),
        (job.id, job.id, "before itself"),
        (job.id, 99, "there is no job 99"),
        (99, None, "there is no job 99"),
    ):
        with pytest.raises(InputError, match=told):
            queue.move(number, before)


def test_the_job_of_a_folder_is_the_open_one_else_the_last(queue: Queue) -> None:
    assert queue.of(queue.path.parent / "runs" / "a") is None
    assert not queue.has_waiting()
    jobs = [added(queue, "a")]
    assert queue.has_waiting()
    queue.wish(jobs[0].id, "cancel")
    jobs.append(added(queue, "a"))
    queue.wish(jobs[1].id, "cancel")
    for expected in (jobs[1], jobs[0]):
        found = queue.of(jobs[0].folder)
        assert found
        assert found.id == expected.id
        if expected is jobs[1]:
            queue.retry(jobs[0].id)


def test_an_ended_job_is_tried_again_behind_the_others(queue: Queue) -> None:
    job = in_state(queue, "failed")
    assert job.ended
    added(queue, "later")
    again = queue.retry(job.id)
    assert (again.state, again.error, again.ended) == ("waiting", "", "")
    assert names(queue, "waiting") == ["later", "failed"]


def test_a_dead_workers_job_waits_once_more_and_fails_the_second_time(queue: Queue) -> None:
    job, other = added(queue), added(queue, "b")
    assert queue.claim(11)
    assert queue.claim(12)
    (buried,) = queue.bury(11)
    assert (buried.id, buried.state, buried.error, buried.deaths, buried.worker) == (job.id, "waiting", DIED, 1, None)
    assert queue.job(other.id).state == "running"
    assert queue.claim(13)
    (buried,) = queue.bury(13)
    assert (buried.state, buried.error) == ("failed", DIED_TWICE)
    assert queue.retry(job.id).deaths == 0


def test_a_new_picture_between_two_deaths_lets_the_job_go_on(queue: Queue) -> None:
    added(queue)
    for done in (1, 2, 3):
        job = queue.claim(20 + done)
        assert job is not None
        queue.begun(job, cells=9, done=done - 1)
        queue.tell(job, done=done, failed=0, seconds_left=None)
        assert [job.state for job in queue.bury()] == ["waiting"]
    assert queue.claim(30)
    assert [job.state for job in queue.bury()] == ["failed"]


def claims(path: Path, seed: int) -> None:
    """Take jobs until none waits or runs; a lock a job shows whether two living processes ever have the same one."""
    queue, rng = Queue(path), random.Random(seed)
    while queue.jobs("waiting", "running"):
        if (job := queue.claim()) is None:
            time.sleep(0.01)
            continue
        number = os.open(path.parent / f"job-{job.id}", os.O_RDWR | os.O_CREAT)
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if another one is at it
        os.write(number, b"begun\n")
        time.sleep(rng.uniform(0, 0.004))
        queue.end(job, "done")
        os.close(number)


def test_four_processes_with_kills_do_each_job_once(tmp_path: Path, queue: Queue) -> None:
    for number in range(JOBS):
        added(queue, f"run-{number}")
    fork, rng = multiprocessing.get_context("fork"), random.Random(5)
    start = lambda: fork.Process(target=claims, args=(queue.path, rng.randrange(1000)))  # noqa: E731  # said once
    living = [start() for _ in range(CLAIMERS)]
    for process in living:
        process.start()
    kills, deaths, deadline = 0, Counter[int](), time.monotonic() + DEADLINE
    while queue.jobs("waiting", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.03)
        if kills == KILLS:
            continue
        victim = living.pop(0)
        if victim.is_alive():
            victim.kill()
            kills += 1
        victim.join()
        assert victim.exitcode in (0, -signal.SIGKILL)
        for job in queue.bury(victim.pid):
            deaths[job.id] += 1
            if job.state == "failed":
                queue.retry(job.id)
        living.append(start())
        living[-1].start()
    for process in living:
        process.join(DEADLINE)
        assert process.exitcode == 0  # nobody ever met a job that another one had
    assert kills
    ended = queue.jobs()
    assert [job.state for job in ended] == ["done"] * JOBS
    for job in ended:
        begun = (tmp_path / f"job-{job.id}").read_text().count("begun")
        assert 1 <= begun <= 1 + deaths[job.id]


def opens(path: Path, name: str) -> None:
    added(Queue(path), name)


def test_processes_that_begin_at_once_make_one_queue(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    starts = [fork.Process(target=opens, args=(tmp_path / "queue.sqlite", f"run-{n}")) for n in range(6)]
    for process in starts:
        process.start()
    for process in starts:
        process.join(DEADLINE)
    assert [process.exitcode for process in starts] == [0] * 6
    assert len(Queue(tmp_path / "queue.sqlite").jobs()) == 6


def test_a_queue_of_version_1_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    path.write_bytes(VERSION_1.read_bytes())
    queue = Queue(path)
    assert not queue.warnings
    assert [(job.name, job.state, job.done, job.cells, job.failed) for job in queue.jobs()] == [
        ("click", "running", 1, 4, 0),
        ("overnight", "waiting", 120, 200, 2),
        ("old", "done", 9, 9, 0),
    ]
    assert queue.jobs("waiting")[0].asked == {"lanes": 1}


def test_every_released_step_of_the_file_is_unchanged() -> None:
    """A step that was released leads to the same tables for ever; a change is a further step."""
    with sqlite3.connect(VERSION_1) as old, sqlite3.connect(":memory:") as new:
        for statement in MIGRATIONS[0]:
            new.execute(statement)
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
        assert list(old.execute(query)) == list(new.execute(query))


def test_a_newer_queue_is_refused_and_stays(queue: Queue) -> None:
    added(queue)
    with sqlite3.connect(queue.path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match=r"newer Sidelight \(version 99, this one knows 1\)"):
        Queue(queue.path)
    assert len(queue.jobs()) == 1


@pytest.mark.parametrize("kind", ["noise", "torn", "page"])
def test_a_damaged_queue_is_set_aside_and_said(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "queue.sqlite"
    path.write_bytes(VERSION_1.read_bytes())
    whole = bytearray(path.read_bytes())
    damaged = {
        "noise": random.Random(1).randbytes(5000),
        "torn": bytes(whole[:5000]),
        "page": bytes(whole[:100]) + random.Random(2).randbytes(4000) + bytes(whole[4100:]),
    }[kind]
    path.write_bytes(damaged)
    queue = Queue(path)
    (warning,) = queue.warnings
    assert "queue-damaged-1.sqlite" in warning
    assert "sidelight sweep run FOLDER --queue" in warning
    assert (tmp_path / "queue-damaged-1.sqlite").read_bytes() == damaged
    assert queue.jobs() == ()
    added(queue)
    assert not Queue(path).warnings


def test_a_queue_that_cannot_be_read_is_one_line_and_no_damage(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite").mkdir()
    with pytest.raises(DiskError, match="cannot be read or written"):
        Queue(tmp_path / "queue.sqlite")
    assert (tmp_path / "queue.sqlite").is_dir()


def test_a_queue_that_is_held_too_long_is_busy(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_file, "BUSY_SECONDS", 0.01)
    with sqlite3.connect(queue.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError, match="held by another process"):
            added(queue)
        assert queue.jobs() == ()  # readers are not in anybody's way


def test_a_share_gets_no_shared_memory_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_file, "share_warning", lambda folder: f"{folder} is on a network share (nfs)")
    queue = Queue(tmp_path / "queue.sqlite")
    added(queue)
    assert "network share" in queue.warnings[0]
    assert not list(tmp_path.glob("*-wal"))
    with sqlite3.connect(queue.path) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.fixture
def commands() -> typer.Typer:
    app = typer.Typer()
    for command in ("ls", "pause", "resume", "cancel", "top", "move", "retry", "log"):
        app.command(command)(getattr(queue_commands, command))
    return app


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    """The queue that the commands open; no worker is started."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    started: list[Queue] = []
    monkeypatch.setattr(queue_commands, "ensure_worker", started.append)
    return Queue()


def invoked(app: typer.Typer, *words: str) -> Result:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result


def test_list_fits_into_80_columns_and_into_json(own: Queue, commands: typer.Typer) -> None:
    assert "no jobs" in invoked(commands, "ls").output
    failed = in_state(own, "failed")
    long = added(own, "a window of guidance at which the skin of a demo checkpoint turns to plastic")
    job = own.claim()
    assert job is not None
    own.tell(job, done=4, failed=2, seconds_left=8000)
    own.wish(job.id, "after this cell")
    lines = invoked(commands, "ls").output.splitlines()
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    assert "4 of 9" in text
    assert "133 min" in text or "2 h 13 min" in text
    assert "asked to pause after this cell" in text
    assert "worker: none; it died" in text
    told = json.loads(invoked(commands, "ls", "--json").output)
    assert [row["id"] for row in told["jobs"]] == [long.id, failed.id]
    assert told["worker"] is None


def test_commands_steer_jobs(own: Queue, commands: typer.Typer) -> None:
    first, second = added(own, "first"), added(own, "second")
    assert "paused" in invoked(commands, "pause", str(first.id)).output
    invoked(commands, "top", str(second.id))
    invoked(commands, "resume", str(first.id))
    assert names(own) == ["second", "first"]
    assert "first" in invoked(commands, "move", str(first.id), "--before", str(second.id)).output
    assert names(own) == ["first", "second"]
    invoked(commands, "move", str(first.id))
    assert names(own) == ["second", "first"]
    told = json.loads(invoked(commands, "cancel", str(first.id), str(second.id), "--json").output)
    assert [job["state"] for job in told["jobs"]] == ["cancelled", "cancelled"]
    invoked(commands, "retry", str(first.id))
    assert names(own, "waiting") == ["first"]


def test_log_says_where_it_lies(own: Queue, commands: typer.Typer) -> None:
    assert "no worker has run yet" in invoked(commands, "log").output
    (state_folder() / "worker.log").write_text("one\ntwo\nthree\n")
    assert json.loads(invoked(commands, "log", "--lines", "2", "--json").output)["lines"] == ["two", "three"]


def test_the_queue_loads_nothing_heavy() -> None:
    code = (
        "import sys, workbench.queue_commands, workbench.watch, workbench.worker\n"
        "print([name for name in ('torch', 'diffusers', 'transformers', 'scipy') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout == "[]\n"
