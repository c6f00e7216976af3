"""The page's addresses for the queue: what waits and runs, and steering it. Knows nothing about engines or tabs.

GET  /api/queue              jobs, worker, warnings; starts a worker where jobs wait and none lives
POST /api/queue/ID           {"wish": ...} of a job: gives the job as it is now
POST /api/queue/worker       {"wish": "stop"}: give the GPU's memory back now
POST /api/queue/run/RUN      {"wish": "retry" or "resume"}: what is missing in a run is made
GET  /api/queue/log          the end of the worker's log, as text
"""

from contextlib import suppress
from pathlib import Path
from typing import Literal

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import BusyError, InputError
from pipelines.frozen import Frozen
from sweeps import shelf
from workbench.jobs import ENDED, Asked, Job
from workbench.queue import Queue
from workbench.watch import living, stop_worker
from workbench.web import uploads
from workbench.web.answers import one_line
from workbench.web.inside import known
from workbench.web.queue_answers import LAST_ENDED, PageJobs, PageWish, StopAnswer
from workbench.web.site import Site
from workbench.web.starter import Starter
from workbench.web.uploads import WORDS_BYTES
from workbench.worker_log import NAME, RAW, last_lines

LOG_LINES, RAW_LINES = 200, 40
MOST_DIGITS = 15  # of a job's number; SQLite holds 18


class OfJob(Frozen):
    """What is wished of one job."""

    wish: PageWish


class OfRun(Frozen):
    """What is wished of a run, whatever the queue knows of it."""

    wish: Literal["retry", "resume"]


class OfWorker(Frozen):
    """What is wished of the worker."""

    wish: Literal["stop"]


def routes(site: Site) -> list[BaseRoute]:
    """The routes over this site's queue."""
    desk = _Desk(site)
    return [
        Route("/api/queue", desk.queue),
        Route("/api/queue/log", desk.log),
        Route("/api/queue/worker", desk.worker, methods=["POST"]),
        Route("/api/queue/run/{run}", desk.run, methods=["POST"]),
        Route("/api/queue/{number:int}", desk.job, methods=["POST"]),
    ]


class _Desk:
    """Answers the routes, from several threads at once."""

    def __init__(self, site: Site) -> None:
        self._site, self._starter = site, Starter(site)

    def queue(self, _: Request) -> Response:
        queue = self._site.queue
        jobs, worker = queue.jobs(ended=LAST_ENDED), living(queue)
        if worker is None and any(job.state in ("waiting", "running") for job in jobs):
            self._starter.start()
            worker = living(queue)
        warnings = [*queue.warnings, *self._starter.faults]
        return _model(PageJobs(jobs, self._site.runs).answer(worker, [one_line(warning) for warning in warnings]))

    async def job(self, request: Request) -> Response:
        said = OfJob.read(await _words(request))
        number: int = request.path_params["number"]
        if len(str(number)) > MOST_DIGITS:
            raise HTTPException(404, "there is no job of such a number; the Runs tab shows the queue")
        return _model(await run_in_threadpool(self._steered, number, said.wish))

    async def run(self, request: Request) -> Response:
        said = OfRun.read(await _words(request))
        name = request.path_params["run"]
        folder = known(self._site.runs, name)
        if folder is None:
            raise HTTPException(404, f"there is no run {name[:60]!r} here; the Runs tab lists those there are")
        return _model(await run_in_threadpool(self._gone_on, folder, said.wish))

    async def worker(self, request: Request) -> Response:
        OfWorker.read(await _words(request))
        return _model(await run_in_threadpool(stopped, self._site.queue))

    def log(self, _: Request) -> Response:
        folder = self._site.queue.path.parent
        lines, printed = last_lines(folder / NAME, LOG_LINES), last_lines(folder / RAW, RAW_LINES)
        if printed:
            lines += ["", "printed by the last worker, beside its log:", *printed]
        return PlainTextResponse("\n".join(lines), headers={"cache-control": "no-store"})

    def _steered(self, number: int, wish: PageWish) -> Frozen:
        return self._told(steered(self._site.queue, number, wish))

    def _gone_on(self, folder: Path, wish: Literal["retry", "resume"]) -> Frozen:
        return self._told(gone_on(self._site.queue, folder, wish))

    def _told(self, job: Job) -> Frozen:
        """The job for the page; somebody who has just let one wait need not wait for the next look at the queue."""
        if job.state == "waiting":
            self._starter.start(at_once=True)
        return PageJobs([*self._site.queue.jobs(ended=LAST_ENDED), job], self._site.runs).job(job)


def steered(queue: Queue, number: int, wish: PageWish) -> Job:
    """The job after a wish of the page; raises InputError where the queue does not allow it."""
    match wish:
        case "pause" | "cancel" | "after this cell":
            return queue.wish(number, wish)
        case "resume":
            return queue.resume(number)
        case "retry":
            return queue.retry(number)
        case "top":
            return queue.top(number)
        case "up" | "down":
            return _moved(queue, number, 1 if wish == "down" else -1)


def _moved(queue: Queue, number: int, step: int) -> Job:
    """One place down (1) or up (-1) among what waits at the same priority."""
    job = queue.job(number)
    line = [other.id for other in queue.jobs("waiting") if other.priority == job.priority]
    if number not in line:
        raise InputError(f"job {number} is {job.state}; only one that waits can be moved")
    rest = [other for other in line if other != number]
    after = rest[max(line.index(number) + step, 0) :]
    return queue.move(number, after[0] if after else None)


def gone_on(queue: Queue, folder: Path, wish: Literal["retry", "resume"]) -> Job:
    """The job in which what is missing of a run is made: the one that is open, an ended one again, or a new one."""
    job = queue.of(folder)
    if job is None or (job.state == "done" and not job.failed):
        return queue.add(_asked(folder))
    if job.state in ENDED:
        return queue.retry(job.id)
    if job.state == "running" and wish == "retry":
        raise InputError(f"job {job.id} runs in this run; its failed cells can be tried again when it has ended")
    is_held = job.state == "paused" or job.wish
    return queue.resume(job.id) if is_held else job


def _asked(folder: Path) -> Asked:
    seen = shelf.info(folder)
    if seen.reason:
        raise InputError(seen.reason)
    if seen.planned and seen.done == seen.planned:
        raise InputError(f"every picture of run {folder.name} is whole; there is nothing to make")
    return Asked(folder, seen.name, cells=seen.planned)


def stopped(queue: Queue) -> StopAnswer:
    """End the worker now; what runs and waits is paused, else the next look at the queue would start another."""
    who = living(queue)
    if who is None:
        return StopAnswer(said="no worker runs; the GPU's memory is free already")
    if not who.pid:
        raise BusyError("the worker is only just starting; ask again in a few seconds")
    paused: list[int] = []
    for job in queue.jobs("waiting", "running"):
        if job.wish not in ("pause", "cancel"):
            with suppress(InputError):  # it has ended meanwhile
                paused.append(queue.wish(job.id, "pause").id)
    stop_worker(queue)
    return StopAnswer(
        said=f"{_held(paused)}the worker ends after this step and gives its memory back", paused=tuple(paused)
    )


def _held(paused: list[int]) -> str:
    if not paused:
        return ""
    if len(paused) == 1:
        return f"job {paused[0]} is paused until it is resumed; "
    return f"{len(paused)} jobs are paused until they are resumed; "


async def _words(request: Request) -> dict[str, object]:
    return uploads.words(await uploads.body(request.stream(), WORDS_BYTES))


def _model(model: Frozen) -> Response:
    return Response(model.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})
