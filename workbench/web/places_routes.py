"""The page's addresses of places: where face, cheek, mouth and hands lie. Knows nothing about how they are got.

GET, POST /api/places/RUN    all places of the run; POST {"name", "rectangle"} sets one and answers all. What nobody
                             set is what the face map finds, if it does; "found" names those
"""

from collections.abc import Mapping
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sweeps import places
from sweeps.found_places import FoundPlaces
from sweeps.places import Place, Places
from workbench.web import uploads
from workbench.web.inside import known
from workbench.web.site import Site
from workbench.web.uploads import WORDS_BYTES

FRESH: Mapping[str, str] = {"cache-control": "no-store"}


def routes(site: Site) -> list[BaseRoute]:
    """Reading and setting the places of a run."""
    found = FoundPlaces()

    def read(request: Request) -> Response:
        folder = _run(site.runs, request)
        return _answer(places.read(folder), found.of(folder))

    async def put(request: Request) -> Response:
        folder = _run(site.runs, request)
        place = Place.read(uploads.words(await uploads.body(request.stream(), WORDS_BYTES)))
        now = await run_in_threadpool(places.put_place, folder, place)
        return _answer(now, await run_in_threadpool(found.of, folder))

    return [Route("/api/places/{run}", read), Route("/api/places/{run}", put, methods=["POST"])]


def _run(runs: Path, request: Request) -> Path:
    name = request.path_params["run"]
    folder = known(runs, name)
    if folder is None:
        raise HTTPException(404, f"there is no run {name[:60]!r} here; the Runs tab lists those there are")
    return folder


def _answer(chosen: Places, found: Places) -> Response:
    """What a person set wins over what was found."""
    said, seen = (each.model_dump(mode="json", exclude_none=True) for each in (chosen, found))
    guessed = [name for name in seen if name not in said]
    return JSONResponse({**seen, **said, **({"found": guessed} if guessed else {})}, headers=FRESH)
