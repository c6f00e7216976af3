"""Addresses of the Models tab: rows, downloads, checks, one's own list. Knows nothing about how the page looks.

    GET  /api/models                  every row
    GET  /api/pulls                   how far downloads and checks are, by name; cheap enough to be asked often
    POST /api/models/NAME/pull        {"agreed": false}: what it takes and what is agreed to; true: begin, or go on
    POST /api/models/NAME/cancel      end a download or check; what came is kept
    POST /api/models/NAME/verify      read every byte again, in the background
    POST /api/models/NAME/remove      {"files": false}: out of one's own list; {"files": true, "agreed"}: off the disk
    POST /api/models/NAME/restore     a row back into one's own list
    POST /api/models/add              {"path": ...} or {"repo": ..., "family", "kind"}, {"name"}

The login token stays where it is: no answer holds it.
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, get_args

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines import listing, own_list
from pipelines.downloads import lockfile, pulled
from pipelines.errors import InputError, SidelightError
from pipelines.frozen import Frozen
from pipelines.listing import Row
from pipelines.own_list import Candidate
from pipelines.recipe import FamilyName
from workbench.doctor import private
from workbench.model_rows import allowed, candidates, deletion, named
from workbench.web import uploads
from workbench.web.models_rows import Known, agreements, all_rows
from workbench.web.pulls import Doing, Pulls, for_page
from workbench.web.site import Site
from workbench.web.uploads import WORDS_BYTES

MOST_REFUSED = 50  # reasons that are told; a whole disk of pickles is not read through by anyone


class Agreement(Frozen):
    """Whether a person said yes to what was asked."""

    agreed: bool = False


class Removal(Frozen):
    """`files`: what was pulled goes off the disk, and the row stays; else the row goes and files stay."""

    files: bool = False
    agreed: bool = False


class Adding(Frozen):
    """What is added to one's own list: a path (or NAME+option=value), or a repository with its family and kind."""

    path: str = ""
    repo: str = ""
    family: str = ""
    kind: str = "checkpoint"
    name: str = ""


class PullAnswer(Frozen):
    """Begun, or what is asked first: sentences to agree to, bytes and files to come, room on the disk."""

    started: bool
    agree: tuple[str, ...] = ()
    bytes: int = 0
    files: int = 0
    free_bytes: int = 0
    folder: str = ""


class RemoveAnswer(Frozen):
    """Done, or what would go: files and bytes, and other rows that need them."""

    removed: bool
    bytes: int = 0
    files: int = 0
    users: tuple[str, ...] = ()


class AddAnswer(Frozen):
    """Rows by name that are new and that were listed before, and what was refused, each with its reason."""

    added: dict[str, str]
    listed_before: dict[str, str]
    refused: tuple[str, ...]
    more_refused: int
    own_list: str


class Doings(Frozen):
    """How far downloads and checks are, by name."""

    pulls: dict[str, Doing]


def routes(site: Site, pulls: Pulls | None = None) -> list[BaseRoute]:
    """The routes; models are the machine's, whatever runs the site shows."""
    models = _Models(pulls or Pulls())
    acts = ("pull", "cancel", "verify", "remove", "restore")
    return [
        Route("/api/models", models.rows),
        Route("/api/pulls", models.pulls),
        Route("/api/models/add", _posted(models.add), methods=["POST"]),
        *(Route(f"/api/models/{{name}}/{act}", _posted(getattr(models, act)), methods=["POST"]) for act in acts),
    ]


Answer = Callable[[str, dict[str, Any]], Frozen]
"""What answers a POST, on a thread: the model's name in the address, what was sent."""


class _Models:
    """Every public method answers a route."""

    def __init__(self, pulls: Pulls) -> None:
        self._pulls, self._known = pulls, Known()
        self._removed: dict[str, Row] = {}

    def rows(self, _: Request) -> Response:
        return _json(all_rows(self._pulls.doing(), self._known))

    def pulls(self, _: Request) -> Response:
        return _json(self._doings())

    def pull(self, name: str, sent: dict[str, Any]) -> Frozen:
        row, said = _row(name), Agreement.read(sent)
        if not pulled.needs(row):
            raise InputError(f"{name} lies on this disk; there is nothing to download")
        self._pulls.refuse_busy(name)
        if said.agreed:
            self._pulls.download(row)
            return PullAnswer(started=True)
        try:
            plan = self._pulls.plan(row)
        except SidelightError as error:
            raise type(error)(for_page(error)) from None
        return PullAnswer(started=False, agree=agreements(pulled.needs(row)), **plan.model_dump())

    def cancel(self, name: str, _: dict[str, Any]) -> Frozen:
        self._pulls.cancel(name)
        return self._doings()

    def verify(self, name: str, _: dict[str, Any]) -> Frozen:
        self._pulls.check(_row(name))
        return self._doings()

    def remove(self, name: str, sent: dict[str, Any]) -> Frozen:
        said, row = Removal.read(sent), _row(name)
        self._pulls.refuse_busy(name)
        if not said.files:
            self._removed[name] = own_list.remove(name)
            return RemoveAnswer(removed=True)
        gone = deletion(row, lockfile.read(listing.models_folder()))
        if not gone.entries:
            raise InputError(f"nothing was downloaded for {name}; files of {row.source} stay")
        if said.agreed:
            pulled.delete(gone.entries, listing.models_folder())
            self._pulls.forget(name)
        return RemoveAnswer(removed=said.agreed, bytes=gone.bytes, files=len(gone.files), users=gone.users)

    def restore(self, name: str, _: dict[str, Any]) -> Frozen:
        row = self._removed.pop(name, None)
        if row is None:
            raise HTTPException(404, f"{name[:60]} was not taken out of your list since the page was started")
        return _added([Candidate(row.name, row.family, row.kind, row.source, row.options)], {})

    def add(self, _: str, sent: dict[str, Any]) -> Frozen:
        said = Adding.read(sent)
        found, refused = _found(said)
        return _added(named(found, said.name) if said.name else found, refused)

    def _doings(self) -> Doings:
        return Doings(pulls=self._pulls.doing())


def _posted(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        data = await uploads.body(request.stream(), WORDS_BYTES)
        sent = uploads.words(data) if data else {}
        return _json(await run_in_threadpool(answer, request.path_params.get("name", ""), sent))

    return route


def _row(name: str) -> Row:
    row = listing.rows().get(name)
    if row is None:
        raise HTTPException(404, f"there is no model {name[:60]!r} in the lists; /api/models shows those there are")
    return row


def _found(said: Adding) -> tuple[list[Candidate], dict[str, str]]:
    allowed("kind", said.kind, get_args(listing.Kind))
    path, repo = said.path.strip(), said.repo.strip()
    if bool(path) == bool(repo):
        raise InputError("give a folder or file of this machine, or a repository as OWNER/REPO@REVISION; one of them")
    if repo and not said.family:
        raise InputError(f"{repo} needs its family, which is not asked of the hub; choose {_choice()}")
    if repo:
        return candidates(f"hf:{repo.removeprefix('hf:')}", family=said.family, kind=said.kind)
    if "/" in path and path[0] not in "/~":
        raise InputError(f"{path} could lie anywhere; give the whole path, beginning with / or ~")
    if path[0] in "/~" and not Path(path).expanduser().exists():
        raise InputError(f"there is no folder or file {path} on this machine; look at its spelling")
    return candidates(path, family=None, kind=said.kind)


def _choice() -> str:
    return " or ".join(get_args(FamilyName))


def _added(found: list[Candidate], refused: dict[str, str]) -> AddAnswer:
    new, known = own_list.add(found)
    return AddAnswer(
        added={name: str(source) for name, source in new.items()},
        listed_before={name: str(source) for name, source in known.items()},
        refused=tuple(refused.values())[:MOST_REFUSED],
        more_refused=max(0, len(refused) - MOST_REFUSED),
        own_list=str(listing.own_list()),
    )


def _json(model: Frozen) -> Response:
    """Without the home folder's name, and without what looks like a secret of the environment."""
    text = json.dumps(private(model.model_dump(mode="json")))
    return Response(text, media_type="application/json", headers={"cache-control": "no-store"})
