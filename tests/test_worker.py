"""The worker: what becomes of a job that is paused, overtaken or killed; its pictures never differ."""

import contextlib
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.errors import BusyError, DiskFullError, InputError
from pipelines.events import Event, Failed, Made
from pipelines.store import Store
from sweeps import journal
from sweeps.prepare import Prepared, self_contained
from sweeps.run import run
from tests.small import SmallEngine, prepared
from tests.small_worker import SEEDS, SMALL_WATCH, guidance, means, reopened, small_command
from tests.test_run import contents
from workbench import queue_commands, sweep_commands, watch
from workbench.awake import Awake
from workbench.jobs import INTERACTIVE, Asked, Job, Wish, lay_down
from workbench.queue import DIED, DIED_TWICE, Queue
from workbench.slept import seconds_slept
from workbench.watch import Post, ensure_worker, living, stop_worker
from workbench.worker import RENEWED, SLEPT_WORDS, Means, Worker
from workbench.worker_log import LOG_FILES, NAME, open_log

ROOT = Path(__file__).parent.parent
DEADLINE = 120.0


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    queue = Queue(tmp_path / "queue.sqlite")
    yield queue
    stop_worker(queue)


def added(queue: Queue, name: str = "run", *, cells: int = 9, **changes: Any) -> Job:
    return queue.add(Asked(queue.path.parent / name, name, cells=cells, **changes))


def calm(folder: Path, cells: int = 9) -> dict[str, tuple[bytes, str, bytes]]:
    """What an undisturbed run of so many cells leaves."""
    ready = prepared(folder, guidance=guidance(cells), seeds=SEEDS)
    for _ in run(ready, open_engine=lambda _, kept, __: SmallEngine(kept)):
        pass
    return contents(folder)


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Steered(SmallEngine):
    """Does something in the middle of a run: after so many cells have ended."""

    def __init__(self, kept: Numerics, after: int, does: Callable[[], object], bad: frozenset[str]) -> None:
        super().__init__(kept, bad=bad)
        self._after, self._does = after, does

    def run(self, lanes: Any) -> Iterator[Event]:
        ended = 0
        for event in super().run(lanes):
            yield event
            ended += isinstance(event, Made | Failed)
            if ended == self._after:
                self._after = -1
                self._does()


def work(
    queue: Queue, does: Callable[[], object] = lambda: None, *, after: int = -1, bad: int = 0, once: bool = True
) -> str:
    """Let a worker in this process make all that waits, doing something after so many pictures; gives its log."""
    acts = [does]

    def open_engine(_: Checkpoint, kept: Numerics, store: Store) -> SmallEngine:
        keys = sorted(prepared(Path(), guidance=guidance(9), seeds=SEEDS).keys)
        return Steered(kept, after if acts else -1, lambda: acts.pop()() if acts else None, frozenset(keys[:bad]))

    log = open_log(queue.path.parent)
    small = Means(reopened, open_engine, lambda _: contextlib.nullcontext())
    Worker(queue, log, means=small, tell_seconds=0.0).serve(once=once, idle_seconds=0.1)
    return told_by(queue.path.parent)


def test_worker_makes_what_waits_and_tells_how_it_ended(queue: Queue, tmp_path: Path) -> None:
    first, second = added(queue, "first"), added(queue, "second", cells=6)
    log = work(queue)
    ended = [queue.job(job.id) for job in (first, second)]
    assert [(job.state, job.done, job.failed, job.error, job.worker) for job in ended] == [
        ("done", 9, 0, "", None),
        ("done", 6, 0, "", None),
    ]
    assert contents(tmp_path / "first") == calm(tmp_path / "calm")
    assert "job 1 started: first in" in log
    assert "job 2 done: 6 of 6 pictures are whole" in log


def test_failed_cells_are_counted_and_the_job_is_done(queue: Queue) -> None:
    job = added(queue)
    work(queue, bad=2)
    ended = queue.job(job.id)
    assert (ended.state, ended.done, ended.failed) == ("done", 7, 2)
    assert ended.error == "2 of 9 cells failed; the last one: asked to fail"
    queue.retry(job.id)
    work(queue)
    ended = queue.job(job.id)
    assert (ended.state, ended.done, ended.failed, ended.error) == ("done", 9, 0, "")


@pytest.mark.parametrize(
    ("wish", "state"), [("pause", "paused"), ("cancel", "cancelled"), ("after this cell", "paused")]
)
def test_a_wish_is_met_at_the_next_tick_and_whole_pictures_stay(
    queue: Queue, tmp_path: Path, wish: Wish, state: str
) -> None:
    job = added(queue)
    work(queue, lambda: queue.wish(job.id, wish), after=4)
    ended = queue.job(job.id)
    assert (ended.state, ended.wish) == (state, "")
    assert 4 <= ended.done < 9
    assert ended.done == len(Store(job.folder).keys())
    assert isinstance(journal.read(job.folder).lines[-1], journal.RunCancelled)
    work(queue)
    assert queue.job(job.id).done == ended.done  # it waits for a person
    queue.resume(job.id) if state == "paused" else queue.retry(job.id)
    work(queue)
    assert queue.job(job.id).state == "done"
    assert contents(job.folder) == calm(tmp_path / "calm")


def test_after_this_cell_lets_one_more_cell_end_and_pause_none(queue: Queue) -> None:
    """Cells that fail end at once, while pictures are on the disk a little later."""
    wishes: dict[Wish, int] = {"pause": 4, "after this cell": 5}
    for wish, failed in wishes.items():
        job = added(queue, wish[:5])
        work(queue, partial(queue.wish, job.id, wish), after=4, bad=9)
        assert queue.job(job.id).failed == failed


def test_an_interactive_job_goes_ahead_and_the_sweep_goes_on_with_equal_bytes(queue: Queue, tmp_path: Path) -> None:
    sweep, other = added(queue, "sweep"), added(queue, "other", cells=6)
    work(queue, lambda: added(queue, "click", cells=6, priority=INTERACTIVE), after=4)
    lines = [line[20:] for line in (queue.path.parent / NAME).read_text().splitlines() if line[20:].startswith("job")]
    told = [" ".join(line.split()[:3]).rstrip(":") for line in lines]
    assert told == [
        f"job {sweep.id} started",
        f"job {sweep.id} waits",
        "job 3 started",
        "job 3 done",
        f"job {sweep.id} started",  # at its old place, before the other sweep
        f"job {sweep.id} done",
        f"job {other.id} started",
        f"job {other.id} done",
    ]
    assert "a job of higher priority goes ahead" in lines[1]
    assert contents(sweep.folder) == calm(tmp_path / "calm")
    assert queue.job(3).done == 6


def test_a_run_that_cannot_go_on_fails_its_job_with_the_reason(queue: Queue) -> None:
    job = added(queue)

    def refuses(_: Job) -> Prepared:
        raise InputError("the checkpoint is gone; give another")

    refusing = Means(refuses, lambda *_: SmallEngine(None), lambda _: contextlib.nullcontext())  # type: ignore[arg-type]
    Worker(queue, open_log(queue.path.parent), means=refusing).serve(once=True, idle_seconds=0)
    assert (queue.job(job.id).state, queue.job(job.id).error) == ("failed", "the checkpoint is gone; give another")


def test_a_full_disk_pauses_the_job_with_the_reason(queue: Queue) -> None:
    job = added(queue)

    def full() -> None:
        raise DiskFullError("disk full: 20 MB needed")

    work(queue, full, after=3)
    assert (queue.job(job.id).state, queue.job(job.id).error) == ("paused", "disk full: 20 MB needed")
    assert queue.job(job.id).done == 3


def test_a_device_that_another_process_holds_is_waited_for(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    job = added(queue)
    tries: list[str] = []

    @contextlib.contextmanager
    def device_lock(_: Numerics) -> Iterator[None]:
        tries.append(queue.job(job.id).state)
        if len(tries) < 3:
            raise BusyError("the device (cpu) is held by process 7")
        yield

    monkeypatch.setattr("workbench.worker.BUSY_SECONDS", 0.0)
    small = means(0.0)
    Worker(queue, open_log(queue.path.parent), means=Means(small.reopen, small.open_engine, device_lock)).serve(
        once=True, idle_seconds=0
    )
    assert len(tries) == 3
    assert queue.job(job.id).state == "done"
    assert "waits again: 0 of 9 pictures are whole; the device (cpu) is held" in (queue.path.parent / NAME).read_text()


def test_what_a_job_left_in_memory_is_given_back_before_the_next_one_is_opened(queue: Queue) -> None:
    added(queue, "first"), added(queue, "second")
    engines: list[weakref.ref[SmallEngine]] = []
    alive: list[int] = []

    def open_engine(_: Checkpoint, kept: Numerics, __: Store) -> SmallEngine:
        engine = SmallEngine(kept)
        engines.append(weakref.ref(engine))
        return engine

    def reopen(job: Job) -> Prepared:
        alive.append(sum(engine() is not None for engine in engines))
        return reopened(job)

    small = Means(reopen, open_engine, lambda _: contextlib.nullcontext())
    Worker(queue, open_log(queue.path.parent), means=small).serve(once=True, idle_seconds=0)
    assert alive == [0, 0]
    assert len(engines) == 2


def test_idle_worker_ends_by_itself_and_a_told_one_lets_its_job_wait(queue: Queue, tmp_path: Path) -> None:
    work(queue, once=False)
    job = added(queue)
    work(queue, lambda: os.kill(os.getpid(), signal.SIGTERM), after=2)
    assert queue.job(job.id).state == "waiting"
    assert "the worker was stopped" in queue.job(job.id).error
    work(queue)
    assert contents(job.folder) == calm(tmp_path / "calm")


@pytest.mark.parametrize(
    ("system", "clocks"),
    [
        ("linux", {"CLOCK_BOOTTIME": 1000.0, "CLOCK_MONOTONIC": 400.0}),
        ("darwin", {"CLOCK_MONOTONIC": 1000.0, "CLOCK_UPTIME_RAW": 400.0}),
    ],
)
def test_sleep_is_what_one_clock_counts_and_the_other_does_not(system: str, clocks: dict[str, float]) -> None:
    assert seconds_slept(clocks.__getitem__, system=system) == 600
    assert abs(seconds_slept() - seconds_slept()) < 1  # this machine's own: it does not sleep just now


def test_after_a_suspend_the_worker_lets_go_of_its_job_and_asks_for_a_fresh_one(queue: Queue, tmp_path: Path) -> None:
    job = added(queue)
    slept = [3000.0]  # of an earlier night: nothing to it

    def suspend() -> None:
        slept[0] += 4000

    small = Means(
        reopened, lambda _, kept, __: Steered(kept, 4, suspend, frozenset()), lambda _: contextlib.nullcontext()
    )
    log = open_log(queue.path.parent)
    worker = Worker(queue, log, means=small, tell_seconds=0.0, slept=lambda: slept[0])
    assert worker.serve(once=True, idle_seconds=0) == RENEWED
    waiting = queue.job(job.id)
    assert (waiting.state, waiting.deaths) == ("waiting", 0)
    assert 4 <= waiting.done < 9
    told = told_by(queue.path.parent)
    assert SLEPT_WORDS in told
    assert "the worker ends, as the machine slept" in told
    assert worker.serve(once=False, idle_seconds=600) == RENEWED  # also where nothing waits, at once
    work(queue)
    assert contents(job.folder) == calm(tmp_path / "calm")


def test_a_short_nap_changes_nothing(queue: Queue) -> None:
    job, times = added(queue), iter(range(0, 10**6))
    small = Means(reopened, lambda _, kept, __: SmallEngine(kept), lambda _: contextlib.nullcontext())
    log = open_log(queue.path.parent)
    worker = Worker(queue, log, means=small, tell_seconds=0.0, slept=lambda: 30.0 if next(times) else 0.0)
    assert worker.serve(once=True, idle_seconds=0) == 0
    assert queue.job(job.id).state == "done"


def test_the_watch_starts_a_fresh_worker_after_a_suspend_and_says_no_word_of_death(queue: Queue) -> None:
    job = added(queue)
    post = Post.taken(queue)
    assert post is not None
    code = (
        "import sys; from pathlib import Path; from workbench.queue import Queue\n"
        "queue, seen = Queue(Path(sys.argv[1])), Path(sys.argv[1]).with_name('seen')\n"
        "if seen.exists(): queue.end(queue.claim(), 'done'); sys.exit(0)\n"
        f"seen.touch(); sys.exit({RENEWED})"
    )
    assert watch.watch(post, [sys.executable, "-c", code, str(queue.path)], open_log(queue.path.parent)) == 0
    assert (queue.job(job.id).state, queue.job(job.id).deaths) == ("done", 0)
    assert told_by(queue.path.parent) == ""


def watched(queue: Queue, seconds: float = 0.02) -> int:
    """Be the watch over small workers until nothing waits."""
    post = Post.taken(queue)
    assert post is not None
    return watch.watch(post, small_command(queue.path, seconds), open_log(queue.path.parent))


def test_a_killed_worker_is_seen_its_job_goes_on_and_bytes_are_equal(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    job = added(queue)
    job.folder.mkdir()
    (job.folder / "dies").write_text("once\n")
    assert watched(queue, seconds=0.0) == 0
    assert (queue.job(job.id).state, queue.job(job.id).error) == ("done", "")
    assert contents(job.folder) == calm(tmp_path / "calm")
    log = (queue.path.parent / NAME).read_text()
    assert "the worker was killed by signal 9" in log
    assert f"job {job.id} waits again" in log
    assert DIED in log
    assert log.count(f"job {job.id} started") == 2


def test_a_job_in_which_workers_die_twice_fails_and_the_next_one_is_made(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    deadly, next_one = added(queue, "deadly", cells=6), added(queue, "next", cells=6)
    deadly.folder.mkdir()
    (deadly.folder / "dies").write_text("once\ntwice\n")
    assert watched(queue, seconds=0.0) == 0
    assert (queue.job(deadly.id).state, queue.job(deadly.id).error) == ("failed", DIED_TWICE)
    assert queue.job(next_one.id).state == "done"


def test_a_worker_that_cannot_begin_is_not_started_again(queue: Queue) -> None:
    added(queue)
    post = Post.taken(queue)
    assert post is not None
    code = watch.watch(post, [sys.executable, "-c", "raise SystemExit(7)"], open_log(queue.path.parent))
    assert code == 7
    assert "ended with code 7" in (queue.path.parent / NAME).read_text()
    assert living(queue) is None
    assert len(queue.jobs("waiting")) == 1


def test_one_worker_a_queue_the_second_is_told(queue: Queue) -> None:
    post = Post.taken(queue)
    assert post is not None
    post.sign()
    with pytest.raises(BusyError, match=f"a worker runs already \\(process {os.getpid()} since 20"):
        watch.work_here(queue, once=True, idle_minutes=1, log=logging.Logger("unused"))
    assert post.leave()
    assert living(queue) is None


def test_a_post_is_not_left_while_a_job_waits(queue: Queue) -> None:
    post = Post.taken(queue)
    assert post is not None
    job = added(queue)
    assert not post.leave()
    queue.wish(job.id, "cancel")
    assert post.leave()


def test_two_callers_at_once_start_one_worker_which_outlives_them(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert ensure_worker(queue) is None  # nothing waits
    job = added(queue)
    caller = (
        "import sys; from pathlib import Path; from workbench.queue import Queue\n"
        "from tests.small_worker import SMALL_WATCH; from workbench.watch import ensure_worker\n"
        "sys.stdin.readline(); queue = Queue(Path(sys.argv[1]))\n"
        "process = ensure_worker(queue, idle_minutes=0, command=SMALL_WATCH); "
        "print(process.pid if process else 0)"
    )
    callers = [
        subprocess.Popen(
            [sys.executable, "-c", caller, str(queue.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in callers:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    pids = [int(process.communicate(timeout=DEADLINE)[0]) for process in callers]
    assert sorted(map(bool, pids)) == [False, True]
    until(lambda: queue.job(job.id).state == "done" and living(queue) is None)
    assert contents(job.folder) == calm(tmp_path / "calm")
    assert (queue.path.parent / NAME).read_text().count("started") == 1


def test_a_worker_is_asked_to_end_and_what_waits_finds_the_place_free(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    job = added(queue, cells=900)
    process = ensure_worker(queue, command=SMALL_WATCH)
    assert process is not None
    until(lambda: queue.job(job.id).done)
    who = living(queue)
    assert who is not None
    assert who.pid == process.pid
    assert stop_worker(queue) == who
    assert process.wait(DEADLINE) == 130
    assert living(queue) is None
    assert (queue.job(job.id).state, queue.job(job.id).deaths) == ("waiting", 0)
    assert stop_worker(queue) is None


def test_a_worker_whose_watch_was_killed_is_asked_to_end_all_the_same(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    job = added(queue, cells=900)
    process = ensure_worker(queue, command=SMALL_WATCH)
    assert process is not None
    until(lambda: queue.job(job.id).done)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(DEADLINE)
    assert stop_worker(queue) is not None
    until(lambda: living(queue) is None)
    assert queue.job(job.id).state == "waiting"


def test_watch_and_worker_killed_together_are_buried_by_the_next_one(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    job = added(queue)
    process = ensure_worker(queue, command=SMALL_WATCH)
    assert process is not None
    until(lambda: queue.job(job.id).done)
    worker = queue.job(job.id).worker
    os.kill(process.pid, signal.SIGKILL)
    process.wait(DEADLINE)
    if worker is not None:  # its worker lives on with the lock, as nobody may make the same run beside it
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    until(lambda: living(queue) is None)
    assert watched(queue, seconds=0.0) == 0
    assert queue.job(job.id).state == "done"
    assert contents(job.folder) == calm(tmp_path / "calm")


def test_log_rotates_and_can_be_written_by_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.worker_log.LOG_BYTES", 2000)
    logs = [open_log(tmp_path), open_log(tmp_path)]
    for number in range(400):
        logs[number % 2].info("line %d", number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [NAME, *(f"{NAME}.{n}" for n in range(1, LOG_FILES + 1))]
    assert (tmp_path / NAME).read_text().endswith("line 399\n")
    lines = [line.split()[-1] for name in reversed(files) for line in (tmp_path / name).read_text().splitlines()]
    assert lines == [str(number) for number in range(400 - len(lines), 400)]


def told_by(log_folder: Path) -> str:
    path = log_folder / NAME
    return path.read_text() if path.exists() else ""


def test_the_machine_is_held_awake_and_let_go_of(tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "systemd-inhibit"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/held\nread line\nrm {tmp_path}/held\n')
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    held = tmp_path / "held"
    with Awake(open_log(tmp_path), path=str(tool.parent)):
        until(lambda: held.exists() and "--what=idle" in held.read_text())
    assert not told_by(tmp_path)


def test_where_nothing_holds_the_machine_awake_it_is_said_once(tmp_path: Path) -> None:
    awake = Awake(open_log(tmp_path), path=str(tmp_path / "nowhere"))
    for _ in range(2):
        with awake:
            pass
    assert told_by(tmp_path).count("not kept from idle sleep") == 1


def test_sweep_run_queue_writes_the_run_and_a_real_worker_killed_in_it_makes_equal_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo checkpoint, the command line, and SIGKILL of the worker process in the middle of the sweep."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(ROOT)
    app = typer.Typer()
    app.command("run")(sweep_commands.sweep_run)
    app.command("ls")(queue_commands.ls)
    words = [
        "--checkpoint",
        "demo-sdxl",
        "--prompt",
        "side light",
        "--steps",
        "2",
        "--guidance",
        "2,3,4",
        "--lanes",
        "1",
    ]
    calm_run = CliRunner().invoke(app, ["run", *words, "--out", str(tmp_path / "calm"), "--json"])
    assert calm_run.exit_code == 0, calm_run.output
    monkeypatch.setattr(sweep_commands, "ensure_worker", lambda _: None)
    asked = CliRunner().invoke(app, ["run", *words, "--out", str(tmp_path / "run"), "--queue", "--json"])
    assert asked.exit_code == 0, asked.output
    number = json.loads(asked.stdout)["id"]
    assert (tmp_path / "run/sweep.toml").is_file()
    again = CliRunner().invoke(app, ["run", *words, "--out", str(tmp_path / "run"), "--queue"])
    assert isinstance(again.exception, InputError)
    queue = Queue()
    process = ensure_worker(queue, idle_minutes=0)
    assert process is not None
    until(lambda: list((tmp_path / "run/pictures").glob("*.json")))
    worker = queue.job(number).worker
    if worker is not None:  # else this process slept through the whole sweep
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    process.wait(DEADLINE)
    job, log = queue.job(number), told_by(queue.path.parent)
    assert (job.state, job.done, job.failed) == ("done", 3, 0), log
    assert log.count(f"job {number} started") == 1 + log.count(DIED)
    assert contents(tmp_path / "run") == contents(tmp_path / "calm")


def test_lay_down_writes_what_another_process_needs(tmp_path: Path) -> None:
    ready = prepared(tmp_path / "run")
    lay_down(self_contained(ready.sweep, ready.images), ready.folder, ready.images)
    assert 'checkpoint = "small"' in (tmp_path / "run/sweep.toml").read_text()
