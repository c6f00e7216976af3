"""Starts the worker, sees it die, and starts the next one. Knows nothing about pictures, and loads no torch.

One watch a machine, held by a lock that its worker inherits: the kernel frees it when both are dead, and only then may
their jobs be taken back. A second death in one job ends the job, so no fault can turn in a circle.
"""

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Self

from pipelines.downloads.lockfile import held
from pipelines.errors import BusyError
from workbench.jobs import Job
from workbench.queue import Queue
from workbench.worker import RENEWED, STOPPED
from workbench.worker_log import RAW, open_log

IDLE_MINUTES = 5.0
LOCK = "worker.lock"
WORKER = (sys.executable, "-m", "workbench.worker")
WATCH = (sys.executable, "-m", "workbench.watch")
QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"}


@dataclass(frozen=True)
class Living:
    """The process that watches over the worker, and the UTC label of its start; pid 0: it is only just starting."""

    pid: int
    since: str


class Post:
    """The one place that a worker of this queue can have, held until `leave`; `number` is the lock's file number."""

    def __init__(self, queue: Queue, number: int) -> None:
        self.queue, self.number = queue, number

    @classmethod
    def taken(cls, queue: Queue) -> Self | None:
        """The place, or None if a worker lives."""
        with _turn(queue):
            number = _locked(queue)
        return cls(queue, number) if number is not None else None

    def sign(self) -> None:
        """Write down who holds it."""
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        os.ftruncate(self.number, 0)
        os.pwrite(self.number, json.dumps({"pid": os.getpid(), "since": since}).encode() + b"\n", 0)

    def leave(self) -> bool:
        """Give it up, unless a job waits: whoever queues one either finds the place free or is seen here."""
        with _turn(self.queue):
            if self.queue.jobs("waiting"):
                return False
            self.quit()
        return True

    def quit(self) -> None:
        """Give it up whatever waits."""
        os.close(self.number)


def living(queue: Queue) -> Living | None:
    """Who works for this queue; None if nobody does."""
    with _turn(queue):
        number = _locked(queue)
        if number is not None:
            os.close(number)
            return None
    try:
        who = json.loads((queue.path.parent / LOCK).read_text())
        return Living(who["pid"], who["since"])
    except (ValueError, KeyError, TypeError):  # it has not signed yet
        return Living(0, "a moment ago")


def ensure_worker(
    queue: Queue, *, idle_minutes: float = IDLE_MINUTES, command: Sequence[str] = WATCH
) -> subprocess.Popen[bytes] | None:
    """Start a worker of its own, which outlives us, if a job waits and none lives; gives it if it was started."""
    if not queue.jobs("waiting", "running") or (post := Post.taken(queue)) is None:
        return None
    raw = queue.path.parent / RAW
    if raw.exists():
        raw.replace(raw.with_name(raw.name + ".1"))
    words = [*command, str(queue.path), "--post", str(post.number), "--idle-minutes", str(idle_minutes)]
    with raw.open("wb") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(post.number,),
        )
    post.quit()  # ours alone: the process has its own hold on it
    return process


def stop_worker(queue: Queue) -> Living | None:
    """Ask the worker to end, giving its memory back; its job waits again. None if nobody works, or is only starting."""
    who = living(queue)
    if who is None or not who.pid:
        return None
    try:
        os.kill(who.pid, signal.SIGTERM)
    except ProcessLookupError:  # the watch was killed, the worker under it was not
        for worker in (job.worker for job in queue.jobs("running") if job.worker):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGTERM)
    return who


def work_here(queue: Queue, *, once: bool, idle_minutes: float, log: logging.Logger) -> int:
    """Be the watch, in this process; raises BusyError if a worker lives. Gives the exit code."""
    post = Post.taken(queue)
    if post is None:
        who = living(queue)
        name = f"process {who.pid} since {who.since}" if who else "another process that ends just now"
        raise BusyError(
            f"a worker runs already ({name}) and takes what is queued; stop it with `sidelight worker --stop`"
        )
    words = ["--idle-seconds", str(idle_minutes * 60), "--shown", *(["--once"] if once else [])]
    return watch(post, [*WORKER, str(queue.path), *words], log)


def watch(post: Post, command: Sequence[str], log: logging.Logger) -> int:
    """Run workers one after another until nothing waits or one is told to stop; gives the exit code."""
    os.set_inheritable(post.number, False)
    post.sign()
    _report(post.queue.bury(), log)
    with _Passing() as passing:
        while True:
            process = subprocess.Popen(command, pass_fds=(post.number,), env=_quiet(os.environ))
            code = passing.wait(process)
            code = 0 if code == RENEWED else code  # it has said why, and let go of its job
            buried = post.queue.bury(process.pid)
            if code not in (0, STOPPED) and not passing.asked:
                log.error("the worker %s", f"was killed by signal {-code}" if code < 0 else f"ended with code {code}")
            _report(buried, log)
            if passing.asked or code == STOPPED or (code and not buried):
                post.quit()
                return code if code > 0 else STOPPED if passing.asked else 1
            if post.leave():
                return 0


class _Passing:
    """Within `with`: a request to end is handed on to the worker, which knows how to; Ctrl-C reaches it by itself."""

    def __init__(self) -> None:
        self.asked = False
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code; negative for a signal."""
        self._process = process
        if self.asked:
            process.terminate()
        return process.wait()

    def _on(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if number == signal.SIGTERM and self._process is not None:
            self._process.terminate()


def _report(buried: Sequence[Job], log: logging.Logger) -> None:
    for job in buried:
        what = "waits again" if job.state == "waiting" else job.state
        log.warning("job %d %s, %d of %d pictures were whole: %s", job.id, what, job.done, job.cells, job.error)


def _turn(queue: Queue) -> AbstractContextManager[None]:
    return held(queue.path.parent / f".{LOCK}.held")


def _locked(queue: Queue) -> int | None:
    """The lock's file number, None if another process has it. Asked one at a time, so that nobody sees a mere look."""
    number = os.open(queue.path.parent / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        return None
    return number


def _quiet(environment: Mapping[str, str]) -> dict[str, str]:
    """No look-ups on the network, no chatter of libraries, unless somebody wants it."""
    return {**QUIET, **environment}


def main(arguments: list[str]) -> int:
    """The watch that `ensure_worker` starts."""
    parser = ArgumentParser("workbench.watch")
    parser.add_argument("queue", type=Path)
    parser.add_argument("--post", type=int, required=True)
    parser.add_argument("--idle-minutes", type=float, required=True)
    given = parser.parse_args(arguments)
    queue = Queue(given.queue)
    command = [*WORKER, str(queue.path), "--idle-seconds", str(given.idle_minutes * 60)]
    return watch(Post(queue, given.post), command, open_log(queue.path.parent))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
