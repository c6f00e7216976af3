"""The queue as the page shows it: its jobs, and what may be wished of each. Knows nothing about HTTP."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pipelines.frozen import Frozen
from sweeps.prepare import SWEEP
from workbench.jobs import ENDED, INTERACTIVE, OPEN, Job, State, Wish
from workbench.watch import IDLE_MINUTES, Living
from workbench.web.inside import known
from workbench.worker import OVERTAKEN, STOPPED_WORDS

PageWish = Literal["pause", "resume", "cancel", "after this cell", "top", "up", "down", "retry"]
"""What the page can ask of a job; `resume` also takes back a wish that the worker has not met yet."""
LAST_ENDED = 50
_WAITS_AGAIN = (STOPPED_WORDS, OVERTAKEN)
"""Why a job that ran waits again; of one that is paused it would say the wrong thing."""
_OF_RUNNING: dict[Wish, tuple[PageWish, ...]] = {
    "": ("pause", "after this cell", "cancel"),
    "after this cell": ("resume", "pause", "cancel"),
    "pause": ("resume", "cancel"),
    "cancel": ("resume",),
}
"""What is allowed while the worker has not met a wish: another one that ends the job sooner, or taking it back."""


class JobAnswer(Frozen):
    """A job. `run` is its folder's name if it lies among the page's runs; `seconds_left` None: unknown.

    `cells` 0: not counted yet. `queued` and `ended` are UTC labels, `ended` is empty for a job that has not ended.
    """

    id: int
    run: str | None
    folder: str
    name: str
    kind: Literal["picture", "sweep"]
    state: State
    wish: Wish
    done: int
    cells: int
    failed: int
    seconds_left: float | None
    error: str
    queued: str
    ended: str
    can: tuple[PageWish, ...]


class WorkerAnswer(Frozen):
    """Who works; pid 0: it is only just starting."""

    pid: int
    since: str


class QueueAnswer(Frozen):
    """Running first, then waiting in order, paused, and the last that ended."""

    jobs: tuple[JobAnswer, ...]
    worker: WorkerAnswer | None
    idle_minutes: float = IDLE_MINUTES
    warnings: tuple[str, ...] = ()


class StopAnswer(Frozen):
    """What became of the worker, as a sentence, and the jobs that are paused now because of it."""

    said: str
    paused: tuple[int, ...] = ()


class PageJobs:
    """All jobs of a queue, as they were at one moment, for a page over the runs in `runs`."""

    def __init__(self, jobs: Sequence[Job], runs: Path) -> None:
        self._jobs, self._runs, self._resolved, self._home = jobs, runs, runs.resolve(), Path.home()
        self._lines: dict[int, list[int]] = defaultdict(list)
        self._newest: dict[Path, int] = {}
        self._open = {job.folder for job in jobs if job.state in OPEN}
        for job in jobs:
            if job.state == "waiting":
                self._lines[job.priority].append(job.id)
            self._newest[job.folder] = max(job.id, self._newest.get(job.folder, 0))

    def answer(self, worker: Living | None, warnings: Sequence[str]) -> QueueAnswer:
        """The whole queue."""
        ended = [job for job in self._jobs if job.state in ENDED]
        shown = [*(job for job in self._jobs if job.state in OPEN), *ended[:LAST_ENDED]]
        return QueueAnswer(
            jobs=tuple(map(self.job, shown)),
            worker=WorkerAnswer(pid=worker.pid, since=worker.since) if worker else None,
            warnings=tuple(warnings),
        )

    def job(self, job: Job) -> JobAnswer:
        """One of the jobs."""
        is_ours = job.folder.parent == self._resolved and known(self._runs, job.folder.name) is not None
        return JobAnswer(
            id=job.id,
            run=job.folder.name if is_ours else None,
            folder=_with_tilde(job.folder, self._home),
            name=job.name,
            kind="picture" if job.priority >= INTERACTIVE else "sweep",
            state=job.state,
            wish=job.wish,
            done=job.done,
            cells=job.cells,
            failed=job.failed,
            seconds_left=job.seconds_left,
            error="" if job.state == "paused" and job.error in _WAITS_AGAIN else job.error,
            queued=job.queued,
            ended=job.ended,
            can=self._can(job),
        )

    def _can(self, job: Job) -> tuple[PageWish, ...]:
        match job.state:
            case "running":
                return _OF_RUNNING[job.wish]
            case "waiting":
                return ("pause", *self._moves(job), "cancel")
            case "paused":
                return ("resume", "cancel")
        return ("retry",) if self._can_be_retried(job) else ()

    def _moves(self, job: Job) -> tuple[PageWish, ...]:
        line = self._lines[job.priority]
        earlier: tuple[PageWish, ...] = ("top", "up") if job.id != line[0] else ()
        return (*earlier, "down") if job.id != line[-1] else earlier

    def _can_be_retried(self, job: Job) -> bool:
        """Only the last job of a folder, and only while the run is there."""
        is_whole = job.state == "done" and not job.failed
        if is_whole or job.folder in self._open or self._newest[job.folder] != job.id:
            return False
        return (job.folder / SWEEP).is_file()


def _with_tilde(folder: Path, home: Path) -> str:
    return str("~" / folder.relative_to(home)) if folder.is_relative_to(home) else str(folder)
