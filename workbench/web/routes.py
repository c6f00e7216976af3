"""The page's own addresses: pictures, runs, cells, marks. Knows nothing about tabs, or about how pictures are made.

    GET  /pictures/RUN/KEY.png|.webp|.json   a whole picture, a small version of it, its sidecar
    GET  /inputs/RUN/HASH.png                a start image or mask of a run
    GET  /api/runs                           all runs
    GET  /api/runs/RUN/grid                  one run
    GET  /api/runs/RUN/cells?after=N&edition=E   what changed in it
    GET  /api/runs/RUN/preview               the last preview of a live cell, 204 if there is none
    GET, POST /api/marks/RUN                 what was thought of its pictures
    POST /api/read                           what another picture says of how it was made; the body is the file

Errors are {"error": "one line"} with a status of 4xx (507 for a disk that is full).
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import JsonValue
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.checkpoint import find
from pipelines.errors import BusyError, DiskError, SidelightError
from pipelines.frozen import Frozen
from sweeps import marks
from sweeps.marks import Mark
from workbench.glimpse import PREVIEW
from workbench.web import uploads
from workbench.web.answers import Fault, as_json, one_line
from workbench.web.inside import known, read_inside
from workbench.web.layout import Lookup
from workbench.web.pictures import Thumbs, Whole, input_image, whole
from workbench.web.runs import Runs
from workbench.web.uploads import PICTURE_BYTES, WORDS_BYTES, TooLargeError
from workbench.web.watched import VERSION, Watched

WATCHED = 12  # runs that stay open, with their sidecars in memory: about 2 MB for 200 cells
FOR_EVER = "private, max-age=31536000, immutable"
ASK_AGAIN = "private, no-cache"


def api(runs: Path, *, lookup: Lookup = find, more: Sequence[BaseRoute] = ()) -> FastAPI:
    """The app with these routes over the run folders in `runs`, and `more`; to be put behind `guard.Guard`."""
    seen = _Open(runs, lookup)
    routes: list[BaseRoute] = [
        Route("/pictures/{run}/{name}", seen.picture),
        Route("/inputs/{run}/{name}", seen.input),
        Route("/api/runs", seen.runs),
        Route("/api/runs/{run}/grid", seen.grid),
        Route("/api/runs/{run}/cells", seen.cells),
        Route("/api/runs/{run}/preview", seen.preview),
        Route("/api/marks/{run}", seen.marks),
        Route("/api/marks/{run}", seen.mark, methods=["POST"]),
        Route("/api/read", _read, methods=["POST"]),
        *more,
    ]
    handlers: dict[Any, Any] = {SidelightError: _refused, HTTPException: _not_found}
    return FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        routes=routes,
        exception_handlers=handlers,
        telemetry={"auto_configure": False},  # whatever the environment says, nothing is sent away
    )


class _Open:
    """The runs that are looked at; every method answers a route. Those without `async` run on threads."""

    def __init__(self, runs: Path, lookup: Lookup) -> None:
        self._folder, self._lookup = runs, lookup
        self._runs, self._thumbs = Runs(runs), Thumbs()
        self._watched: OrderedDict[Path, Watched] = OrderedDict()
        self._lock = threading.Lock()

    def picture(self, request: Request) -> Response:
        folder, name = self._run(request), request.path_params["name"]
        key, _, kind = name.partition(".")
        found = whole(folder, key) if kind in ("png", "webp", "json") else None
        if found is None:
            raise HTTPException(404, f"run {folder.name} holds no whole picture {name[:60]}")
        return _picture(request, found, kind, self._thumbs)

    def input(self, request: Request) -> Response:
        folder, name = self._run(request), request.path_params["name"]
        content, _, kind = name.partition(".")
        png = input_image(folder, content) if kind == "png" else None
        if png is None:
            raise HTTPException(404, f"run {folder.name} holds no input {name[:80]}")
        return _bytes(request, png, "image/png", content, FOR_EVER)

    def runs(self, _: Request) -> Response:
        return _model(self._runs.rows())

    def grid(self, request: Request) -> Response:
        return _model(self._watch(request).grid())

    def cells(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isascii() or not after.isdigit() or len(after) > 15:
            raise HTTPException(422, f"after {after[:40]!r} is no revision; give the number that the last answer had")
        return _model(self._watch(request).changes(int(after), request.query_params.get("edition", "")))

    def preview(self, request: Request) -> Response:
        png = read_inside(self._run(request), PREVIEW)
        if png is None:
            return Response(status_code=204, headers={"cache-control": "no-store"})
        return _bytes(request, png, "image/png", hashlib.sha256(png).hexdigest(), ASK_AGAIN)

    def marks(self, request: Request) -> Response:
        return _json(as_json(marks.read(self._run(request))))

    async def mark(self, request: Request) -> Response:
        folder = self._run(request)
        said = Mark.read(uploads.words(await uploads.body(request.stream(), WORDS_BYTES)))
        now = await run_in_threadpool(marks.append, folder, said)
        return _json(as_json({now.key: now}))

    def _run(self, request: Request) -> Path:
        name = request.path_params["run"]
        folder = known(self._folder, name)
        if folder is None:
            raise HTTPException(404, f"there is no run {name[:60]!r} here; the Runs tab lists those there are")
        return folder

    def _watch(self, request: Request) -> Watched:
        folder = self._run(request)
        with self._lock:
            watched = self._watched.pop(folder, None) or Watched(folder, self._lookup)
            self._watched[folder] = watched
            while len(self._watched) > WATCHED:
                self._watched.popitem(last=False)
        return watched


async def _read(request: Request) -> Response:
    data = await uploads.body(request.stream(), PICTURE_BYTES)
    return _json(await run_in_threadpool(uploads.read_picture, data))


def _picture(request: Request, found: Whole, kind: str, thumbs: Thumbs) -> Response:
    """For ever only where the address names these bytes: a picture of this key may be made anew on another machine."""
    keep = FOR_EVER if request.query_params.get("v") == found.sha256[:VERSION] else ASK_AGAIN
    if kind == "json":
        tag = hashlib.sha256(found.sidecar).hexdigest()
        return _bytes(request, found.sidecar, "application/json", tag, ASK_AGAIN)
    if kind == "png":
        return _bytes(request, found.png, "image/png", found.sha256, keep)
    small = thumbs.of(found)
    if small is None:
        raise HTTPException(404, "this picture cannot be decoded; run `sidelight check` on its folder")
    return _bytes(request, small, "image/webp", f"{found.sha256}-small", keep)


def _bytes(request: Request, data: bytes, kind: str, tag: str, keep: str) -> Response:
    headers = {"cache-control": keep, "etag": f'"{tag}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)


def _model(model: Frozen) -> Response:
    return Response(model.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})


def _json(value: JsonValue | Mapping[str, Any], status: int = 200) -> Response:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return Response(text, status, media_type="application/json", headers={"cache-control": "no-store"})


def _refused(_: Request, error: SidelightError) -> Response:
    return _fault(_status_of(error), str(error))


def _not_found(_: Request, error: HTTPException) -> Response:
    return _fault(error.status_code, str(error.detail))


def _fault(status: int, text: str) -> Response:
    return _json(Fault(error=one_line(text)).model_dump(), status)


def _status_of(error: SidelightError) -> int:
    match error:
        case TooLargeError():
            return 413
        case BusyError():
            return 409
        case DiskError():
            return 507
        case _:
            return 422
