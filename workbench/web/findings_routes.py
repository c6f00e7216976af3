"""The page's addresses of a run's findings. Knows nothing about statistics, or about how findings are shown.

GET  /api/runs/RUN/findings   what it says by the measures and votes there are now (FindingsAnswer); 304 by ETag
POST /api/runs/RUN/cells      {"budget": n}: the cells its findings ask for, laid into the run and queued: {job, cells}

A run that waits or is being made takes no cells: 409. One that wants none: 422 with one line.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Annotated

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from sweeps import journal, measure, votes
from sweeps.prepare import SWEEP
from workbench import findings_next
from workbench.findings_answers import answer
from workbench.findings_next import BUDGET
from workbench.web import uploads
from workbench.web.answers import for_javascript
from workbench.web.inside import known
from workbench.web.site import Site
from workbench.web.starter import Starter
from workbench.web.uploads import WORDS_BYTES

KEPT = 8  # answers, of runs that are looked at again and again
MOST_CELLS = 10_000


class OfCells(Frozen):
    """How many cells may be added at once."""

    budget: Annotated[int, Field(ge=1, le=MOST_CELLS)] = BUDGET


class Added(Frozen):
    """The job that makes the new cells, and how many there are."""

    job: int
    cells: int


def routes(site: Site) -> list[BaseRoute]:
    """The routes over this site's runs and queue."""
    desk = _Desk(site)
    return [
        Route("/api/runs/{run}/findings", desk.findings),
        Route("/api/runs/{run}/cells", desk.add, methods=["POST"]),
    ]


class _Desk:
    """Answers the routes, from several threads at once; findings are worked out again only when something changed."""

    def __init__(self, site: Site) -> None:
        self._site, self._starter = site, Starter(site)
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[str, bytes]] = OrderedDict()

    def findings(self, request: Request) -> Response:
        run = self._run(request)
        with self._lock:
            stamp = _stamp(run)
            before = self._kept.pop(run.name, None)
            now = before if before and before[0] == stamp else (stamp, self._answer(run))
            self._kept[run.name] = now
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        headers = {"cache-control": "private, no-cache", "etag": f'"{hashlib.sha256(now[1]).hexdigest()}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(now[1], media_type="application/json", headers=headers)

    async def add(self, request: Request) -> Response:
        run = self._run(request)
        said = OfCells.read(uploads.words(await uploads.body(request.stream(), WORDS_BYTES)))
        added = await run_in_threadpool(self._add, run, said.budget)
        return Response(
            added.model_dump_json(), 202, media_type="application/json", headers={"cache-control": "no-store"}
        )

    def _answer(self, run: Path) -> bytes:
        said = answer(run, findings_next.found(run), lookup=self._site.lookup)
        return json.dumps(for_javascript(said.model_dump(mode="json")), allow_nan=False).encode()

    def _add(self, run: Path, budget: int) -> Added:
        findings_next.refuse_open(self._site.queue, run)
        asked = findings_next.found(run).additions
        more = findings_next.extension(run, asked, budget=budget, lookup=self._site.lookup)
        if not more.count:
            raise InputError(f"nothing to add to {run.name}: no finding asks for cells that it has not")
        job = findings_next.queued(self._site.queue, run, more)
        self._starter.start(at_once=True)
        return Added(job=job.id, cells=more.count)

    def _run(self, request: Request) -> Path:
        name = request.path_params["run"]
        folder = known(self._site.runs, name)
        if folder is None:
            raise HTTPException(404, f"there is no run {name[:60]!r} here; the Runs tab lists those there are")
        return folder


def _stamp(run: Path) -> str:
    """Changes when pictures, measures, votes, the sweep or what failed do; reads no file."""
    seen = []
    for name in (SWEEP, journal.NAME, votes.NAME, "pictures", measure.FOLDER):
        try:
            told = (run / name).stat()
        except OSError:
            continue
        seen.append((name, told.st_size, told.st_mtime_ns, told.st_ino))
    return repr(seen)
