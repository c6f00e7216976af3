"""The page's addresses of measures: what is measured of a run, and measuring the rest. Knows nothing about grids.

GET  /api/runs/RUN/measures        every picture's figures, and what they mean; 304 while nothing changed
POST /api/runs/RUN/measures        {"again": false} measures what is missing (true: all) in the background; 202, or 409
                                   while another run is measured, or where this one is being made: its worker does it
POST /api/runs/RUN/measures/stop   ends it; what is measured is kept
"""

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import BusyError, SidelightError
from pipelines.frozen import Frozen
from sweeps import measure
from sweeps.measure import Done, Missed, measure_run
from workbench.measure_answers import answer
from workbench.web import uploads
from workbench.web.inside import known
from workbench.web.site import Site
from workbench.web.uploads import WORDS_BYTES

Measure = Callable[..., Generator[Done | Missed, None, None]]


class Wanted(Frozen):
    """What is to be measured: with `again` every picture, else those without current measures."""

    again: bool = False


def routes(site: Site, measuring: Measure = measure_run) -> list[BaseRoute]:
    """Reading and making the measures of a run; `measuring` makes them."""
    work = _Work(measuring, is_made=lambda run: _is_made(site, run))

    def read(request: Request) -> Response:
        run = _run(site.runs, request)
        tag = f'"{work.stamp(run)}"'
        headers = {"cache-control": "private, no-cache", "etag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return _answer(work, run, headers=headers)

    async def begin(request: Request) -> Response:
        run = _run(site.runs, request)
        body = await uploads.body(request.stream(), WORDS_BYTES)
        work.begin(run, Wanted.read(uploads.words(body) if body else {}))
        return await run_in_threadpool(_answer, work, run, status=202)

    def stop(request: Request) -> Response:
        run = _run(site.runs, request)
        work.stop(run)
        return _answer(work, run)

    path = "/api/runs/{run}/measures"
    return [
        Route(path, read),
        Route(path, begin, methods=["POST"]),
        Route(path + "/stop", stop, methods=["POST"]),
    ]


def _run(runs: Path, request: Request) -> Path:
    name = request.path_params["run"]
    folder = known(runs, name)
    if folder is None:
        raise HTTPException(404, f"there is no run {name[:60]!r} here; the Runs tab lists those there are")
    return folder


def _is_made(site: Site, run: Path) -> bool:
    job = site.queue.of(run)
    return job is not None and job.state == "running"


def _answer(work: "_Work", run: Path, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    is_measuring, fault = work.of(run)
    told = answer(run, is_measuring=is_measuring, fault=fault)
    headers = headers or {"cache-control": "no-store"}
    return Response(told.model_dump_json(), status, media_type="application/json", headers=headers)


class _Work:
    """The one run that is measured at a time, on a thread; its processes are other ones, and end with the server."""

    def __init__(self, measuring: Measure, *, is_made: Callable[[Path], bool]) -> None:
        self._measuring, self._is_made = measuring, is_made
        self._lock = threading.Lock()
        self._run: Path | None = None
        self._over = threading.Event()
        self._faults: dict[Path, str] = {}

    def begin(self, run: Path, wanted: Wanted) -> None:
        """Start, or go on with what is begun already; raises BusyError while another one is, or this is made."""
        if self._is_made(run):
            raise BusyError(f"{run.name} is being made, and its pictures are measured as they come")
        with self._lock:
            if self._run == run:
                return
            if self._run:
                raise BusyError(f"{self._run.name} is being measured; wait until it is done, or stop it there")
            self._run, self._over = run, threading.Event()
            self._faults.pop(run, None)
        threading.Thread(target=self._make, args=(run, wanted, self._over), name="measure-run", daemon=True).start()

    def stop(self, run: Path) -> None:
        """End it after the picture at hand; nothing happens for a run that is not measured."""
        with self._lock:
            if self._run == run:
                self._over.set()

    def of(self, run: Path) -> tuple[bool, str]:
        """Whether this run is measured now, here or by its worker, and why it ended early when it last was here."""
        is_made = self._is_made(run)
        with self._lock:
            return is_made or self._run == run, self._faults.get(run, "")

    def stamp(self, run: Path) -> str:
        """Changes whenever the answer about a run does: files of measures and pictures come by new names."""
        is_measuring, fault = self.of(run)
        seen = [_changed_ns(run / name) for name in (measure.FOLDER, "pictures")]
        return "-".join(map(str, [measure.edition(), *seen, int(is_measuring), len(fault)]))

    def _make(self, run: Path, wanted: Wanted, over: threading.Event) -> None:
        missed: list[str] = []
        try:
            with closing(self._measuring(run, again=wanted.again)) as happenings:
                for each in happenings:
                    missed += [f"{each.key}: {each.reason}"] if isinstance(each, Missed) else []
                    if over.is_set():
                        break
        except SidelightError as error:
            missed.append(str(error))
        finally:
            with self._lock:
                self._run = None
                if missed:
                    self._faults[run] = missed[-1] + (f" (and {len(missed) - 1} more)" if missed[1:] else "")


def _changed_ns(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
