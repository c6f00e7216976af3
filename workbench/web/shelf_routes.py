"""Addresses of the Runs tab: a run's report and strip, its pictures as a zip, the trash. Knows nothing about tabs.

GET  /api/runs/RUN/report        what its report says (the file report.html is never served)
GET  /api/runs/RUN/strip         addresses of a few small pictures of it
GET  /api/runs/RUN/export        what a zip could hold: pictures and bytes by choice
GET  /api/runs/RUN/export.zip    ?keys=A,B or ?picked=1&stars=4, all without either; pictures with sidecars
POST /api/runs/RUN/trash         put the run into the trash
GET  /api/trash                  what lies there
POST /api/trash/ID/restore       put it back where it was
POST /api/trash/empty            {"ids": [...]}: delete for good what was seen in the trash, and only that
"""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import IO
from urllib.parse import quote

from pydantic import JsonValue
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from pipelines.errors import BusyError, InputError
from pipelines.files import DISK, Disk, disk_faults
from pipelines.frozen import Frozen
from sweeps import shelf
from sweeps.marks import MOST_STARS
from sweeps.shelf import Trashed
from workbench.jobs import OPEN, Job
from workbench.web import report_answers, shelf_answers, uploads
from workbench.web.inside import known, read_inside
from workbench.web.pictures import KEY
from workbench.web.runs import named
from workbench.web.shelf_answers import Emptied, PutAway, Restored
from workbench.web.site import Site
from workbench.web.uploads import WORDS_BYTES
from workbench.web.watched import Watched

CHUNK_BYTES = 2**20
FOLLOWED = 4  # runs whose reports are looked at, kept open


def routes(site: Site) -> list[BaseRoute]:
    """These addresses over the runs of a site; errors are turned into lines by the app they are put into."""
    desk = _Desk(site)
    return [
        Route("/api/runs/{run}/report", desk.report),
        Route("/api/runs/{run}/strip", desk.strip),
        Route("/api/runs/{run}/export", desk.choices),
        Route("/api/runs/{run}/export.zip", desk.export),
        Route("/api/runs/{run}/trash", desk.put_away, methods=["POST"]),
        Route("/api/trash", desk.trash),
        Route("/api/trash/empty", desk.empty, methods=["POST"]),
        Route("/api/trash/{id}/restore", desk.restore, methods=["POST"]),
    ]


class Inside(Disk):
    """The disk as far as one run folder goes: a link in it is as good as not there."""

    def __init__(self, run: Path) -> None:
        self._run = run

    def read(self, path: Path) -> bytes:
        """The whole file; raises FileNotFoundError, also for a link."""
        data = read_inside(self._run, *path.relative_to(self._run).parts)
        if data is None:
            raise FileNotFoundError(2, "no file, or a link", str(path))
        return data

    def size(self, path: Path) -> int | None:
        """Bytes of a file; None if there is none or it is a link."""
        try:
            seen = path.lstat()
        except OSError:
            return None
        return seen.st_size if stat.S_ISREG(seen.st_mode) else None


class _Desk:
    """Every method answers a route. Those without `async` run on threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._watched = lru_cache(FOLLOWED)(lambda folder: Watched(folder, site.lookup))

    def report(self, request: Request) -> Response:
        folder = self._readable(request)
        grid = self._watched(folder).grid()
        job = self._job(folder)
        return _json(report_answers.report(grid, report_answers.kept(folder), job.state if job else ""))

    def strip(self, request: Request) -> Response:
        return _json(shelf_answers.strip(self._readable(request)))

    def choices(self, request: Request) -> Response:
        return _json(shelf_answers.choices(self._readable(request)))

    def export(self, request: Request) -> Response:
        folder = self._readable(request)
        file = packed(folder, _wanted(folder, request))
        headers = {
            "content-length": str(os.fstat(file.fileno()).st_size),
            "content-disposition": f"attachment; filename*=UTF-8''{quote(folder.name, safe='')}.zip",
            "cache-control": "no-store",
        }
        return StreamingResponse(_parts(file), media_type="application/zip", headers=headers)

    def put_away(self, request: Request) -> Response:
        folder = named(self._site.runs, request.path_params["run"])
        if folder is None:
            raise _no(request.path_params["run"])
        self._refuse_if_queued(folder)
        try:
            gone = shelf.trash(folder)
        except BusyError:
            raise BusyError(
                f"another process makes pictures in {folder.name}; stop it or wait for it, then move the run to the "
                "trash"
            ) from None
        return _json(PutAway(trashed=gone.folder.name, name=gone.name))

    def trash(self, _: Request) -> Response:
        return _json(shelf_answers.trash(self._site.runs))

    def restore(self, request: Request) -> Response:
        name = request.path_params["id"]
        lying = {each.folder.name: each for each in shelf.trashed(self._site.runs)}
        if name not in lying:
            raise _no(name)
        return _json(Restored(run=_restored(lying[name]).name))

    async def empty(self, request: Request) -> Response:
        asked = uploads.words(await uploads.body(request.stream(), WORDS_BYTES)).get("ids")
        return _json(await run_in_threadpool(self._empty, asked))

    def _empty(self, asked: JsonValue) -> Emptied:
        lying = [each.folder.name for each in shelf.trashed(self._site.runs)]
        if not isinstance(asked, list) or sorted(map(str, asked)) != sorted(lying):
            raise BusyError("the trash holds other runs than were shown, so nothing is deleted; look at it again")
        return Emptied(runs=len(lying), bytes=shelf.empty_trash(self._site.runs))

    def _readable(self, request: Request) -> Path:
        """The run that the address names; raises HTTPException, or InputError for one that lost its sweep."""
        name = request.path_params["run"]
        folder = known(self._site.runs, name)
        if folder is None:
            broken = named(self._site.runs, name)
            raise InputError(shelf.info(broken).reason) if broken else _no(name)
        return folder

    def _job(self, folder: Path) -> Job | None:
        """The job of the queue that is not ended and has this folder."""
        place = folder.resolve()
        return next((job for job in self._site.queue.jobs(*OPEN) if job.folder == place), None)

    def _refuse_if_queued(self, folder: Path) -> None:
        job = self._job(folder)
        if job:
            how = "is being made" if job.state == "running" else f"is in the queue ({job.state})"
            raise BusyError(
                f"{folder.name} {how} as job {job.id}; cancel that job first (whole pictures are kept), then move the "
                "run to the trash"
            )


def packed(folder: Path, keys: tuple[str, ...]) -> IO[bytes]:
    """A zip of these pictures in a file without a name, which is gone as soon as it is closed, however that happens.

    Raises InputError for a picture that is not whole, DiskFullError, DiskError.
    """
    with disk_faults(folder.parent, needed=0, files=DISK), ExitStack() as opened:
        # beside the runs: /tmp is memory on many machines
        file = opened.enter_context(tempfile.TemporaryFile(dir=folder.parent))
        shelf.pack(folder, keys, file, Inside(folder))
        file.seek(0)
        opened.pop_all()
    return file


def _wanted(folder: Path, request: Request) -> tuple[str, ...]:
    """The keys that an address asks for, and no sign in them that leads out of the folder."""
    query = request.query_params
    if "keys" in query:
        keys = tuple(filter(None, query["keys"].split(",")))
        for key in keys:
            if not KEY.fullmatch(key):
                raise InputError(f"{key[:40]!r} is no key of a picture; give 16 hex digits each, with commas between")
        return keys
    stars = query.get("stars", "0")
    if stars not in map(str, range(MOST_STARS + 1)):
        raise InputError(f"stars {stars[:40]!r} is none; give a number from 0 to {MOST_STARS}")
    chosen = shelf.chosen(folder, picked=query.get("picked") == "1", stars=int(stars))
    if not chosen:
        raise InputError(f"no picture of {folder.name} is marked so; pick some, or give them stars, in Compare")
    return chosen


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while part := file.read(CHUNK_BYTES):
            yield part


def _restored(run: Trashed) -> Path:
    try:
        return shelf.restore(run)
    except InputError:
        raise InputError(
            f"a run named {run.name} is there again; rename or trash that one first, then restore this one"
        ) from None


def _no(name: str) -> HTTPException:
    return HTTPException(404, f"there is no {name[:80]!r} here any more; the list shows what there is")


def _json(model: Frozen) -> Response:
    return Response(model.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})
