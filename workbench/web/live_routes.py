"""The page's address for a run that is being made: steps, rough picture, its job. Knows nothing about engines.

    GET  /api/runs/RUN/live      what is being made of it now, and its job in the queue

The rough picture itself is served at /api/runs/RUN/preview. What a killed worker left behind is not told.
"""

import hashlib
import json
from pathlib import Path
from urllib.parse import quote

import psutil
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from workbench.glimpse import LIVE, PREVIEW, Live, Step
from workbench.jobs import Job, State, Wish
from workbench.web.answers import one_line
from workbench.web.inside import known, read_inside
from workbench.web.site import Site

NOTHING = Live(cells={}, preview=None, doing="", at="")
HASH_DIGITS = 12


class PreviewAnswer(Frozen):
    """A rough picture, one pixel a latent, of a cell after a step; `url` is another for other bytes."""

    key: str
    step: int
    url: str


class LiveJob(Frozen):
    """The run's open job, else its last one. `seconds_left` None: unknown."""

    id: int
    state: State
    wish: Wish
    done: int
    cells: int
    failed: int
    seconds_left: float | None
    error: str


class LiveAnswer(Frozen):
    """Cells that are being made, by key; none unless a living worker has the run's job.

    `doing` is what goes on before the first step (weights are loaded, prompts are read), in words.
    """

    cells: dict[str, Step]
    preview: PreviewAnswer | None
    doing: str
    is_running: bool
    job: LiveJob | None


def routes(site: Site) -> list[BaseRoute]:
    """The route over this site's runs and queue."""

    def live(request: Request) -> Response:
        name = request.path_params["run"]
        folder = known(site.runs, name)
        if folder is None:
            raise HTTPException(404, f"there is no run {name[:60]!r} here; the Runs tab lists those there are")
        answer = answer_of(folder, site.queue.of(folder))
        return Response(answer.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})

    return [Route("/api/runs/{run}/live", live)]


def answer_of(folder: Path, job: Job | None) -> LiveAnswer:
    """What a run folder and its job say together."""
    is_running = job is not None and job.worker is not None and psutil.pid_exists(job.worker)
    live = _live(folder) if is_running else NOTHING
    return LiveAnswer(
        cells=live.cells,
        preview=_preview(folder, live),
        doing=live.doing,
        is_running=is_running,
        job=_told(job),
    )


def _live(folder: Path) -> Live:
    try:
        return Live.read(json.loads(read_inside(folder, LIVE) or b""))
    except (ValueError, TypeError, RecursionError, InputError):  # not begun, just ended, or not ours
        return NOTHING


def _preview(folder: Path, live: Live) -> PreviewAnswer | None:
    png = read_inside(folder, PREVIEW) if live.preview else None
    if not live.preview or not png:
        return None
    version = hashlib.sha256(png).hexdigest()[:HASH_DIGITS]
    url = f"/api/runs/{quote(folder.name, safe='')}/preview?v={version}"
    return PreviewAnswer(key=live.preview.key, step=live.preview.step, url=url)


def _told(job: Job | None) -> LiveJob | None:
    if job is None:
        return None
    values = {name: getattr(job, name) for name in LiveJob.model_fields}
    return LiveJob(**values | {"error": one_line(job.error)})
