"""The worker: takes jobs from the queue and makes their runs, one at a time. Knows nothing about commands or pages.

`python -m workbench.worker` is the process that loads torch; `workbench.watch` starts it and sees it die. A job that
is let go of, for whatever reason, keeps its whole pictures, and the rest is made later with the same bytes.
"""

import contextlib
import faulthandler
import gc
import logging
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

from pipelines.device import Numerics
from pipelines.errors import BusyError, DiskError, SidelightError
from pipelines.events import Failed, Loading
from pipelines.store import Store
from sweeps.prepare import SWEEP, Prepared, prepare
from sweeps.run import Finished, Happening, Kept, OpenEngine, Started, run
from sweeps.speed import Stopwatch, cost, remember
from sweeps.sweep import read_toml
from workbench.awake import Awake
from workbench.interrupt import Interrupt
from workbench.jobs import Job, State, Wish
from workbench.queue import Queue
from workbench.worker_log import open_log

TELL_SECONDS = 0.5
BUSY_SECONDS = 5.0  # before a device that another process holds is asked for again
STOPPED = 130
STOPPED_WORDS = "the worker was stopped; the job goes on with the next one"
OVERTAKEN = "a job of higher priority goes ahead"


@dataclass(frozen=True)
class Means:
    """What a worker makes runs with; tests give small ones. `give_back` frees what a job has left in memory."""

    reopen: Callable[[Job], Prepared]
    open_engine: OpenEngine
    device_lock: Callable[[Numerics], AbstractContextManager[object]]
    give_back: Callable[[], object] = gc.collect


class Worker:
    """Takes and makes jobs. It looks at the queue at most every `tell_seconds`."""

    def __init__(self, queue: Queue, log: logging.Logger, *, means: Means, tell_seconds: float = TELL_SECONDS) -> None:
        self._queue, self._log, self._means, self._tell_seconds = queue, log, means, tell_seconds
        self._awake = Awake(log)

    def serve(self, *, once: bool, idle_seconds: float) -> bool:
        """Make jobs until nothing has waited for so long (with `once`: until nothing waits); False if told to stop."""
        with Interrupt() as interrupt:
            since = time.monotonic()
            while not interrupt.asked:
                job = self._queue.claim()
                if job is not None:
                    rest = 0.0 if self._take(job, interrupt) else BUSY_SECONDS
                    since = time.monotonic() + rest
                elif once or time.monotonic() - since > idle_seconds:
                    return True
                else:
                    rest = self._tell_seconds
                _sleep(rest, interrupt)
        return False

    def _take(self, job: Job, interrupt: Interrupt) -> bool:
        """Make a job's run until it ends or must wait; False if the device or the run is held by another process."""
        self._log.info("job %d started: %s in %s", job.id, job.name, job.folder)
        state, why, is_busy = self._tried(job, interrupt)
        self._means.give_back()
        ended = self._queue.end(job, state, why)
        told = f"{ended.done} of {ended.cells} pictures are whole" + (f"; {why}" if why else "")
        self._log.info("job %d %s: %s", job.id, "waits again" if ended.state == "waiting" else ended.state, told)
        return not is_busy

    def _tried(self, job: Job, interrupt: Interrupt) -> tuple[State, str, bool]:
        """(what becomes of the job, why, whether another process is in the way)."""
        try:
            return *self._made(job, interrupt), False
        except KeyboardInterrupt:
            return "waiting", STOPPED_WORDS, False
        except BusyError as error:
            return "waiting", str(error), True
        except DiskError as error:
            return "paused", str(error), False
        except SidelightError as error:
            return "failed", str(error), False

    def _made(self, job: Job, interrupt: Interrupt) -> tuple[State, str]:
        """(what becomes of the job, why)."""
        means = self._means
        with contextlib.ExitStack() as held:
            if job.asked_in.is_dir():
                held.enter_context(contextlib.chdir(job.asked_in))
            prepared = means.reopen(job)
            held.enter_context(means.device_lock(prepared.numerics.now))
            held.enter_context(self._awake)
            speed = held.enter_context(remember(prepared))
            happenings = run(prepared, open_engine=means.open_engine, retry_failed=not job.keep_failed)
            standing = _Standing(prepared, speed)
            watch = _Watch(self._queue, job, standing, self._tell_seconds)
            held.callback(watch.settle)
            with closing(happenings):
                for happening in happenings:
                    standing.follow(happening)
                    interrupt.at_once = isinstance(happening, Loading)
                    if interrupt.asked:
                        return "waiting", STOPPED_WORDS
                    if not isinstance(happening, Finished) and (state := watch.seen(happening)):
                        return state, watch.why
            return "done", standing.worst()


class _Standing:
    """How far a run is, in cells and in work."""

    def __init__(self, prepared: Prepared, speed: Stopwatch) -> None:
        self._prepared, self._speed = prepared, speed
        self._work = {entry.key: entry.row_evaluations for entry in prepared.plan.entries}
        self._left: set[str] = set()
        self._estimate: float | None = None
        self._reason = ""
        self.cells, self.done, self.failed = len(prepared.keys), 0, 0

    def follow(self, happening: Happening) -> None:
        """Count what has happened."""
        self._speed.follow(happening)
        match happening:
            case Started():
                self.count()
                self._estimate = cost(self._prepared, self._prepared.plan.only(frozenset(self._left))).seconds
            case Kept(key, _, _):
                self._left.discard(key)
                self.done += 1
            case Failed(key, reason):
                self._left.discard(key)
                self.failed, self._reason = self.failed + 1, reason
            case Finished(_, failed, _, _):
                self.failed = failed
            case _:
                pass

    def count(self) -> None:
        """Look at the disk, which is the truth."""
        whole = self._prepared.keys.intersection(Store(self._prepared.folder).keys())
        self._left = set(self._prepared.keys - whole)
        self.done = len(whole)

    def seconds_left(self) -> float | None:
        """By this run's own speed, before its first picture by that of earlier ones; None where there are none."""
        if not self._speed.rows:
            return self._estimate
        return sum(self._work[key] for key in self._left) * self._speed.seconds / self._speed.rows

    def worst(self) -> str:
        """What went wrong in cells, as a sentence; empty if nothing did."""
        if not self.failed:
            return ""
        reason = f"; the last one: {self._reason}" if self._reason else ""
        return f"{self.failed} of {self.cells} cells failed{reason}"


class _Watch:
    """Tells the queue how far a job is, now and then, and hears what is wished of it."""

    def __init__(self, queue: Queue, job: Job, standing: _Standing, tell_seconds: float) -> None:
        self._queue, self._job, self._standing, self._tell_seconds = queue, job, standing, tell_seconds
        self._told = float("-inf")
        self._wish: Wish = ""
        self._is_overtaken = False
        self.why = ""

    def tell(self) -> None:
        """Write how far the job is, and look."""
        standing = self._standing
        left = standing.seconds_left()
        self._wish = self._queue.tell(self._job, done=standing.done, failed=standing.failed, seconds_left=left)
        self._is_overtaken = self._queue.is_overtaken(self._job)
        self._told = time.monotonic()

    def settle(self) -> None:
        """The run is over, however it ended: what is on the disk counts."""
        self._standing.count()
        self.tell()

    def seen(self, happening: Happening) -> State | None:
        """What must become of the job now; None if it goes on."""
        before = self._wish
        if isinstance(happening, Started):
            self._queue.begun(self._job, cells=self._standing.cells, done=self._standing.done)
        if time.monotonic() - self._told >= self._tell_seconds:
            self.tell()
        if self._wish == "cancel":
            return "cancelled"
        is_cell_over = before == "after this cell" and isinstance(happening, Kept | Failed)
        if self._wish == "pause" or (is_cell_over and self._wish):
            return "paused"
        if self._is_overtaken:
            self.why = OVERTAKEN
            return "waiting"
        return None


def _sleep(seconds: float, interrupt: Interrupt) -> None:
    until = time.monotonic() + seconds
    while not interrupt.asked and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, TELL_SECONDS))


def reopened(job: Job) -> Prepared:
    """The run of a job as its folder has it, under the numerics that were asked for if it has none yet."""
    return prepare(read_toml(job.folder / SWEEP), job.folder, asked=job.asked, new_numerics=job.new_numerics)


def real_means() -> Means:
    """The real engine on the real device; loads torch."""
    import torch

    from workbench.engines import device_lock, open_engine

    threads = torch.get_num_threads()

    def give_back() -> None:
        """The next job's numerics are decided by what is free, and by torch's own count of threads."""
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        torch.set_num_threads(threads)

    return Means(reopened, open_engine, device_lock, give_back)


def serve(arguments: list[str], means: Callable[[], Means] = real_means, *, tell_seconds: float = TELL_SECONDS) -> int:
    """The worker process: the exit code is 0 when it ended by itself, 130 when it was told to."""
    parser = ArgumentParser("workbench.worker")
    parser.add_argument("queue", type=Path)
    parser.add_argument("--idle-seconds", type=float, required=True)
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--shown", action="store_true")
    given = parser.parse_args(arguments)
    faulthandler.enable()
    log = open_log(given.queue.parent, is_shown=given.shown)
    try:
        worker = Worker(Queue(given.queue), log, means=means(), tell_seconds=tell_seconds)
        return 0 if worker.serve(once=given.once, idle_seconds=given.idle_seconds) else STOPPED
    except SidelightError as error:
        log.error("the worker ends: %s", error)
        return error.exit_code
    except KeyboardInterrupt:  # before the first job, while libraries are read
        return STOPPED
    except Exception:
        log.exception("the worker ends by a fault of ours; the job it held goes on with the next one")
        raise


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
