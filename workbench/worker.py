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
from functools import partial
from pathlib import Path

from pipelines.device import Numerics
from pipelines.errors import BusyError, DiskError, SidelightError
from pipelines.events import Failed, Loading
from pipelines.room import Kind, Room, room
from sweeps.measure import Alongside
from sweeps.prepare import SWEEP, Prepared, prepare
from sweeps.run import Finished, Happening, Kept, Measuring, OpenEngine, Started, run
from sweeps.speed import remember
from sweeps.sweep import read_toml
from workbench.awake import Awake
from workbench.glimpse import Glimpse, NowAndThen
from workbench.interrupt import Interrupt
from workbench.jobs import Job, State, Wish
from workbench.queue import Queue
from workbench.slept import seconds_slept
from workbench.standing import Standing
from workbench.warm import Warm
from workbench.worker_log import open_log

TELL_SECONDS = 0.5
LOOK_SECONDS = 0.1  # between two looks at an empty queue: 0.3 ms each
BUSY_SECONDS = 5.0  # before a device that another process holds is asked for again
SLEPT_SECONDS = 60.0  # a GPU that was without power may have lost what it held; a driver may not say so
STOPPED, RENEWED = 130, 75
"""Exit codes: it was told to end; a fresh one is to go on."""
STOPPED_WORDS = "the worker was stopped; the job goes on with the next one"
SLEPT_WORDS = "the machine slept; the job goes on with a fresh worker"
OVERTAKEN = "a job of higher priority goes ahead"


@dataclass(frozen=True)
class Means:
    """What a worker makes runs with; tests give small ones.

    `give_back` frees what a job has left in memory, `measuring` measures the pictures of a run folder beside it.
    """

    reopen: Callable[[Job], Prepared]
    open_engine: OpenEngine
    device_lock: Callable[[Numerics], AbstractContextManager[object]]
    give_back: Callable[[], object] = gc.collect
    measuring: Callable[[Path], Measuring] | None = None


class Worker:
    """Takes and makes jobs. It looks at the queue at most every `tell_seconds`."""

    def __init__(
        self,
        queue: Queue,
        log: logging.Logger,
        *,
        means: Means,
        tell_seconds: float = TELL_SECONDS,
        slept: Callable[[], float] = seconds_slept,
    ) -> None:
        self._queue, self._log, self._means, self._tell_seconds = queue, log, means, tell_seconds
        self._slept, self._slept_before = slept, slept()
        self._awake = Awake(log)

    def serve(self, *, once: bool, idle_seconds: float) -> int:
        """Make jobs until nothing has waited for so long (with `once`: until nothing waits); gives the exit code."""
        with Interrupt() as interrupt:
            since = time.monotonic()
            while not interrupt.asked:
                if self._has_slept():
                    self._log.info("the worker ends, as the machine slept; a fresh one takes what waits")
                    return RENEWED
                job = self._queue.claim() if self._queue.has_waiting() else None
                if job is not None:
                    rest = 0.0 if self._take(job, interrupt) else BUSY_SECONDS
                    since = time.monotonic() + rest
                elif once or time.monotonic() - since > idle_seconds:
                    return 0
                else:
                    rest = min(self._tell_seconds, LOOK_SECONDS)
                _sleep(rest, interrupt)
        return STOPPED

    def _has_slept(self) -> bool:
        return self._slept() - self._slept_before > SLEPT_SECONDS

    def _take(self, job: Job, interrupt: Interrupt) -> bool:
        """Make a job's run until it ends or must wait; False if the device or the run is held by another process."""
        self._log.info("job %d started: %s in %s", job.id, job.name, job.folder)
        state, why, is_busy = self._tried(job, interrupt)
        ended = self._queue.end(job, state, why)
        told = f"{ended.done} of {ended.cells} pictures are whole" + (f"; {why}" if why else "")
        self._log.info("job %d %s: %s", job.id, "waits again" if ended.state == "waiting" else ended.state, told)
        self._means.give_back()  # takes a moment, for which nobody need wait
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
            measuring = means.measuring(prepared.folder) if means.measuring else None
            happenings = run(
                prepared, open_engine=means.open_engine, retry_failed=not job.keep_failed, measuring=measuring
            )
            standing = Standing(prepared, speed)
            watch = _Watch(self._queue, job, standing, self._tell_seconds)
            held.callback(watch.settle)
            with closing(happenings), Glimpse(prepared.folder) as glimpse:
                for happening in happenings:
                    standing.follow(happening)
                    glimpse.follow(happening)
                    interrupt.at_once = isinstance(happening, Loading)
                    if interrupt.asked:
                        return "waiting", STOPPED_WORDS
                    if self._has_slept():
                        return "waiting", SLEPT_WORDS
                    if not isinstance(happening, Finished) and (state := watch.seen(happening)):
                        return state, watch.why
            return "done", standing.worst()


class _Watch:
    """Tells the queue how far a job is, now and then, and hears what is wished of it."""

    def __init__(self, queue: Queue, job: Job, standing: Standing, tell_seconds: float) -> None:
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


def reopened(job: Job, *, look: Callable[[Kind], Room] = room) -> Prepared:
    """The run of a job as its folder has it, under the numerics that were asked for if it has none yet."""
    sweep = read_toml(job.folder / SWEEP)
    return prepare(sweep, job.folder, asked=job.asked, new_numerics=job.new_numerics, look=look)


def real_means() -> Means:
    """The real engine on the real device, kept from job to job; loads torch."""
    import torch

    from sweeps.engines import device_lock, shared_engine

    threads = torch.get_num_threads()

    def free() -> None:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()

    def give_back() -> None:
        """The next job's numerics are decided by torch's own count of threads."""
        free()
        torch.set_num_threads(threads)

    def held(kind: Kind) -> int:
        return torch.cuda.memory_reserved() if kind == "cuda" else 0

    warm = Warm(partial(shared_engine, previews=NowAndThen()), free=free, held=held)
    return Means(partial(reopened, look=warm.look), warm.lend, warm.cooling(device_lock), give_back, Alongside)


def serve(arguments: list[str], means: Callable[[], Means] = real_means, *, tell_seconds: float = TELL_SECONDS) -> int:
    """The worker process: the exit code is 0 when it ended by itself, else STOPPED, RENEWED or an error's."""
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
        return worker.serve(once=given.once, idle_seconds=given.idle_seconds)
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
