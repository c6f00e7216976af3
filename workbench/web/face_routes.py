"""The page's addresses of faces: a picture, its faces, masks and measures. Knows nothing about tabs or repairs.

POST /api/face/pictures                     a picture's bytes, or {"run", "key"}: kept for a day, its faces found
GET  /api/face/pictures/ID                  the picture, for a browser to show
GET  /api/face/pictures/ID/faces/N          outlines of one face's regions
GET  /api/face/pictures/ID/mask?expression= the mask that an expression means, as 8-bit grey PNG
POST /api/face/pictures/ID/mask             a painted mask, 8-bit grey PNG of the picture's size: kept with the picture
GET  /api/face/pictures/ID/masks/MASK       a painted mask
GET  /api/face/pictures/ID/measures?face=1  numbers of one face's skin and light
"""

import io
from pathlib import Path

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from pipelines.raster import Raster, open_raster, rgb8, to_png
from workbench.web import face_answers, uploads
from workbench.web.face_answers import ROUTE, MaskAnswer
from workbench.web.face_desk import Desk, Seen, mask_path, picture_path
from workbench.web.inside import known
from workbench.web.pictures import whole
from workbench.web.site import Site
from workbench.web.uploads import PICTURE_BYTES, WORDS_BYTES

FOR_EVER = {"cache-control": "private, max-age=31536000, immutable"}
"""A picture's number is the hash of its bytes, a mask's too."""
FRESH = {"cache-control": "no-store"}
LONGEST = 2000  # characters of an expression
SHOWN_BY_BROWSERS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
_ORIENTATION = 0x0112  # of EXIF


def routes(site: Site) -> list[BaseRoute]:
    """These addresses; pictures of the site's runs can be named."""
    desk = _Routes(site.runs)
    return [
        Route(ROUTE, desk.take, methods=["POST"]),
        Route(ROUTE + "/{picture}", desk.picture),
        Route(ROUTE + "/{picture}/faces/{face}", desk.regions),
        Route(ROUTE + "/{picture}/mask", desk.mask),
        Route(ROUTE + "/{picture}/mask", desk.take_mask, methods=["POST"]),
        Route(ROUTE + "/{picture}/masks/{mask}", desk.painted),
        Route(ROUTE + "/{picture}/measures", desk.measures),
    ]


class _Routes:
    """One desk; every method answers a route. Those without `async` run on threads."""

    def __init__(self, runs: Path) -> None:
        self._runs, self._desk = runs, Desk()

    async def take(self, request: Request) -> Response:
        if request.headers.get("content-type", "").startswith("application/json"):
            said = uploads.words(await uploads.body(request.stream(), WORDS_BYTES))
            data = await run_in_threadpool(_made, self._runs, str(said.get("run", "")), str(said.get("key", "")))
        else:
            data = await uploads.body(request.stream(), PICTURE_BYTES)
        return _answer(await run_in_threadpool(self._taken, data))

    def picture(self, request: Request) -> Response:
        path = _kept(request)
        kind = _shown_as_it_is(path)
        if kind:
            return Response(path.read_bytes(), media_type=kind, headers=FOR_EVER)
        raster = open_raster(path)
        png = to_png(Raster(rgb8(raster), raster.icc if raster.colours == 3 else b""))
        return Response(png, media_type="image/png", headers=FOR_EVER)

    def regions(self, request: Request) -> Response:
        picture, number = request.path_params["picture"], _number(request.path_params["face"])
        return _answer(face_answers.regions_answer(picture, self._seen(request).found, number))

    def mask(self, request: Request) -> Response:
        expression = request.query_params.get("expression", "")
        if len(expression) > LONGEST:
            raise InputError(f"the expression has {len(expression)} characters; allowed: {LONGEST}")
        _kept(request)
        mask = self._desk.mask(request.path_params["picture"], expression)
        return Response(to_png(Raster(mask[..., None], b"")), media_type="image/png", headers=FRESH)

    async def take_mask(self, request: Request) -> Response:
        picture = request.path_params["picture"]
        _kept(request)
        data = await uploads.body(request.stream(), PICTURE_BYTES)
        mask, share = await run_in_threadpool(self._desk.take_mask, picture, data)
        return _answer(MaskAnswer(mask=mask, share=share, url=f"{ROUTE}/{picture}/masks/{mask}"))

    def painted(self, request: Request) -> Response:
        _kept(request)
        try:
            path = mask_path(request.path_params["picture"], request.path_params["mask"])
        except InputError as error:
            raise HTTPException(404, str(error)) from None
        return Response(path.read_bytes(), media_type="image/png", headers=FOR_EVER)

    def measures(self, request: Request) -> Response:
        number = _number(request.query_params.get("face", "1"))
        return _answer(face_answers.measures_answer(self._seen(request), number))

    def _taken(self, data: bytes) -> Frozen:
        picture = self._desk.take(data)
        return face_answers.picture_answer(picture, self._desk.seen(picture))

    def _seen(self, request: Request) -> Seen:
        _kept(request)
        return self._desk.seen(request.path_params["picture"])


def _made(runs: Path, run: str, key: str) -> bytes:
    """The PNG of a picture of a run."""
    folder = known(runs, run)
    found = whole(folder, key) if folder else None
    if found is None:
        raise HTTPException(404, f"there is no whole picture {key[:20]!r} in a run {run[:60]!r} here")
    return found.png


def _kept(request: Request) -> Path:
    try:
        return picture_path(request.path_params["picture"])
    except InputError as error:
        raise HTTPException(404, str(error)) from None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise InputError(f"face {text[:20]!r} is no number; faces are numbered from 1")
    return int(text)


def _shown_as_it_is(path: Path) -> str:
    """The media type of a file that every browser shows like `open_raster` reads it; else ""."""
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        is_turned = image.format != "JPEG" and image.getexif().get(_ORIENTATION, 1) != 1
        is_plain = getattr(image, "n_frames", 1) == 1 and image.mode != "CMYK" and not is_turned
        return SHOWN_BY_BROWSERS.get(image.format or "", "") if is_plain else ""


def _answer(model: Frozen) -> Response:
    return Response(model.model_dump_json(), media_type="application/json", headers=FRESH)
