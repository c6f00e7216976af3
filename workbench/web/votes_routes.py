"""The page's addresses of blind votes. Knows nothing about how pairs are shown.

GET  /api/votes/RUN                         what the votes come to (sweeps.votes_result.VotesResult); ?by= one person's
GET  /api/votes/RUN/next?by=WHO             the next pair, and how far the voting is. &ahead=KEY-KEY,... are pairs that
                                            were given and are not judged yet; &among=KEY,... only these settings
POST /api/votes/RUN                         {"left", "right", "said", "view", "by"}: cast a vote
POST /api/votes/RUN/undo                    {"by"}: take the last one back

Until the last two, nothing here says anything of a setting.
"""

import random
import secrets
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from sweeps import places, votes
from sweeps.places import Places, Rectangle
from sweeps.votes import View, Vote, Voter
from sweeps.votes_pairs import Ballot, Pair, Progress, ballot, next_pair, progress
from workbench.web import uploads
from workbench.web.inside import known
from workbench.web.pictures import whole
from workbench.web.shelf_routes import Inside
from workbench.web.site import Site
from workbench.web.uploads import WORDS_BYTES
from workbench.web.watched import VERSION

BALLOTS = 4  # runs whose pictures stay known
SEARCHED = 256  # pictures whose face stays known
MOST_AHEAD = 16
UNLIKE = 2.0
"""Times by which a face is larger than the other one from which the smaller is taken for a false find."""


class Shown(Frozen):
    """One side of a pair: its picture, and its cheek as shares of the picture if that is what is shown."""

    key: str
    picture: str
    cheek: Rectangle | None = None


class PairAnswer(Frozen):
    """What to show next. It says nothing of how the pictures were made."""

    left: Shown
    right: Shown
    view: View


class NextAnswer(Frozen):
    """`pair` is None when there is none left."""

    pair: PairAnswer | None
    progress: Progress


class CastAnswer(Frozen):
    """After a vote was cast or taken back; `pair` is the one whose vote was taken back, as it was shown."""

    progress: Progress
    pair: PairAnswer | None = None


class By(Frozen):
    """Who asks, and among the settings of which pictures."""

    by: Voter
    among: tuple[str, ...] = ()


def routes(site: Site) -> list[BaseRoute]:
    """These addresses over the runs of a site; errors are turned into lines by the app they are put into."""
    desk = _Desk(site.runs)
    return [
        Route("/api/votes/{run}", desk.result),
        Route("/api/votes/{run}/next", desk.next),
        Route("/api/votes/{run}", desk.cast, methods=["POST"]),
        Route("/api/votes/{run}/undo", desk.undo, methods=["POST"]),
    ]


class _Desk:
    """Every method answers a route. Those without `async` run on threads."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._secret = secrets.token_hex(16)
        self._lock = threading.Lock()
        self._ballots = lru_cache(BALLOTS)(lambda folder, _changed: ballot(folder, Inside(folder)))
        self._found = lru_cache(SEARCHED)(_found)

    def result(self, request: Request) -> Response:
        from sweeps.votes_result import measured, result  # numpy

        folder = self._folder(request)
        by = request.query_params.get("by", "")
        files = Inside(folder)
        cast = [vote for vote in votes.read(folder, files) if not by or vote.by == by]
        return _json(result(self._ballot(folder), cast, measured(folder, files)))

    def next(self, request: Request) -> Response:
        folder = self._folder(request)
        asked = By.read({"by": request.query_params.get("by", ""), "among": _listed(request, "among")})
        ahead = _pairs(request)
        cast = votes.read(folder, Inside(folder))
        pictures = self._ballot(folder).among(asked.among)
        turn = (self._secret, folder, asked.by, len(cast), sorted(map(sorted, ahead)))
        found = self._pair(folder, pictures, cast, by=asked.by, ahead=ahead, draw=random.Random(repr(turn)))
        return _json(NextAnswer(pair=found, progress=progress(pictures, cast, asked.by)))

    async def cast(self, request: Request) -> Response:
        folder = self._folder(request)
        said = uploads.words(await uploads.body(request.stream(), WORDS_BYTES))
        asked = By.read({"by": said.get("by", ""), "among": said.pop("among", ())})
        return await run_in_threadpool(self._cast, folder, Vote.read(said), asked)

    async def undo(self, request: Request) -> Response:
        folder = self._folder(request)
        asked = By.read(uploads.words(await uploads.body(request.stream(), WORDS_BYTES)))
        return await run_in_threadpool(self._undo, folder, asked)

    def _cast(self, folder: Path, vote: Vote, asked: By) -> Response:
        pictures = self._ballot(folder)
        if not pictures.is_pair(vote.left, vote.right):
            raise InputError(
                f"{vote.left} and {vote.right} are no two finished pictures of one scene and seed with other settings; "
                "ask for the next pair"
            )
        now = votes.append(folder, vote, Inside(folder))
        return _json(CastAnswer(progress=progress(pictures.among(asked.among), now, asked.by)))

    def _undo(self, folder: Path, asked: By) -> Response:
        back = votes.take_back(folder, asked.by, Inside(folder))
        pictures = self._ballot(folder).among(asked.among)
        now = progress(pictures, votes.read(folder, Inside(folder)), asked.by)
        pair = Pair(left=back.left, right=back.right, view=back.view) if back else None
        return _json(CastAnswer(progress=now, pair=pair and self._shown(folder, pair)))

    def _pair(
        self,
        folder: Path,
        pictures: Ballot,
        cast: Sequence[Vote],
        *,
        by: str,
        ahead: Sequence[frozenset[str]],
        draw: random.Random,
    ) -> PairAnswer | None:
        """The next pair whose two files are whole; one that is not takes no part."""
        while pair := next_pair(pictures, cast, by=by, draw=draw, ahead=ahead):
            if shown := self._shown(folder, pair):
                return shown
            damaged = {key for key in (pair.left, pair.right) if whole(folder, key) is None}
            pictures = Ballot(tuple(each for each in pictures.candidates if each.key not in damaged))
        return None

    def _shown(self, folder: Path, pair: Pair) -> PairAnswer | None:
        """None where a picture is not whole."""
        one, other = (whole(folder, key) for key in (pair.left, pair.right))
        if one is None or other is None:
            return None
        keys, digests = (pair.left, pair.right), (one.sha256, other.sha256)
        cheeks = self._cheeks(folder, keys, digests) if pair.view == "cheek" else (None, None)
        left, right = (
            Shown(key=key, picture=f"/pictures/{quote(folder.name)}/{key}.png?v={digest[:VERSION]}", cheek=cheek)
            for key, digest, cheek in zip(keys, digests, cheeks, strict=True)
        )
        return PairAnswer(left=left, right=right, view=pair.view if all(cheeks) else "whole")

    def _cheeks(
        self, folder: Path, keys: tuple[str, str], digests: tuple[str, str]
    ) -> tuple[Rectangle | None, Rectangle | None]:
        """What a person set for the run wins; else each picture's own, unless one face is a false find."""
        if chosen := places.read(folder, Inside(folder)).cheek:
            return chosen, chosen
        one, other = (
            self._found(folder / "pictures" / f"{key}.png", digest) for key, digest in zip(keys, digests, strict=True)
        )
        small, large = sorted((one, other), key=_area)
        if _area(small) * UNLIKE**2 < _area(large):
            return large.cheek, large.cheek
        return one.cheek, other.cheek

    def _ballot(self, folder: Path) -> Ballot:
        try:
            changed = (folder / "pictures").stat().st_mtime_ns
        except OSError:
            changed = 0
        with self._lock:
            return self._ballots(folder, changed)

    def _folder(self, request: Request) -> Path:
        name = request.path_params["run"]
        folder = known(self._runs, name)
        if folder is None:
            raise HTTPException(404, f"there is no run {name[:60]!r} here; the Runs tab lists those there are")
        return folder


def _found(path: Path, _sha256: str) -> Places:
    """Where the face of a picture lies; nowhere if it has none or cannot be opened."""
    from pipelines.raster import open_raster, rgb8
    from sweeps.found_places import places_in

    try:
        return places_in(rgb8(open_raster(path)))
    except InputError:
        return Places()


def _area(found: Places) -> float:
    return found.face[2] * found.face[3] if found.face and found.cheek else 0.0


def _listed(request: Request, name: str) -> tuple[str, ...]:
    return tuple(filter(None, request.query_params.get(name, "").split(",")))


def _pairs(request: Request) -> tuple[frozenset[str], ...]:
    told = _listed(request, "ahead")
    pairs = tuple(frozenset(pair.split("-")) for pair in told)
    if len(pairs) > MOST_AHEAD or any(len(pair) != 2 for pair in pairs):
        raise InputError(
            f"ahead {','.join(told)[:60]!r} is no list of pairs; give KEY-KEY,KEY-KEY, {MOST_AHEAD} at most"
        )
    return pairs


def _json(model: Frozen) -> Response:
    return Response(model.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})
