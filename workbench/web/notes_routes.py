"""The page's addresses of notes. Knows nothing about how a note is drawn, or about files but by `workbench.notes`.

    GET  /api/notes                        every note: checkpoint, day, one line (NoteRows)
    GET  /api/notes/note?checkpoint=NAME   one note with history, trust and evidence (NoteAnswer)
    GET  /api/notes/thumb?key=KEY          a small picture that a note rests on
    POST /api/notes/keep                   {run, checkpoint, take, stamp}: what the run found becomes the note
    POST /api/notes/note                   {checkpoint, stamp, changes}: texts by field, as they are to be
    POST /api/notes/restore                {checkpoint, stamp, version}: an earlier version stands again
    GET  /api/notes/export?checkpoint=NAME a zip to send
    POST /api/notes/import?take=&as=       such a file; without `take` nothing is kept, and what it would change is told

Where a note says something else, `keep` answers 409 {error, conflicts} until `take` says "ours", "theirs" or the fields
to take of theirs. A note that was changed meanwhile is 409 too.
"""

import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import InputError
from pipelines.files import DISK, put
from pipelines.frozen import Frozen
from workbench import findings_next, notes, notes_parcel, notes_text, notes_thumbs
from workbench.notes import Note
from workbench.notes_compare import listed
from workbench.notes_parcel import LARGEST_NOTE, LARGEST_THUMB, MOST_THUMBS, Parcel
from workbench.notes_set_command import empty
from workbench.notes_told import canonical
from workbench.web import notes_answers, notes_hand, uploads
from workbench.web.inside import known
from workbench.web.notes_answers import Conflict, ImportAnswer, NoteAnswer
from workbench.web.pictures import KEY
from workbench.web.site import Site
from workbench.web.uploads import WORDS_BYTES

PARCEL_BYTES = LARGEST_NOTE + MOST_THUMBS * LARGEST_THUMB
LONGEST_NAME = 1000  # characters; NAME+vae=/a/path has a path in it
ANY = "*"
"""A stamp that is every note's: whoever sends none has seen no version."""
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class OfRun(Frozen):
    """Keep what a run found of a checkpoint; `take` as in `workbench.notes.merged`, `stamp` of the note it is about."""

    run: str
    checkpoint: Name
    take: tuple[str, ...] = ()
    stamp: str = ANY


class ByHand(Frozen):
    """Texts by field, over the version with this stamp ("": there is none yet)."""

    checkpoint: Name
    stamp: str
    changes: dict[str, str]


class OfVersion(Frozen):
    """The version that is to stand again, in the place of the one with this stamp."""

    checkpoint: Name
    stamp: str
    version: Annotated[int, Field(ge=1)]


def routes(site: Site) -> list[BaseRoute]:
    """The routes; notes are the user's, whatever runs the site shows."""
    desk = _Desk(site)
    return [
        Route("/api/notes", desk.rows),
        Route("/api/notes/note", desk.note),
        Route("/api/notes/thumb", desk.thumb),
        Route("/api/notes/export", desk.export),
        Route("/api/notes/keep", _posted(desk.keep), methods=["POST"]),
        Route("/api/notes/note", _posted(desk.change), methods=["POST"]),
        Route("/api/notes/restore", _posted(desk.restore), methods=["POST"]),
        Route("/api/notes/import", desk.take_in, methods=["POST"]),
    ]


class _Desk:
    """Every public method answers a route; those without `async` run on threads."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def rows(self, _: Request) -> Response:
        return _json(notes_answers.listed(self._site.lookup))

    def note(self, request: Request) -> Response:
        return _json(self._told(_named(request)))

    def thumb(self, request: Request) -> Response:
        key = request.query_params.get("key", "")
        path = notes.thumbs() / f"{key}{notes_thumbs.ENDING}"
        if not KEY.fullmatch(key) or DISK.size(path) is None:
            raise HTTPException(404, f"no note has a picture {key[:20]!r}")
        headers = {"cache-control": "private, max-age=31536000, immutable"}  # the key stands for its content
        return Response(DISK.read(path), media_type="image/webp", headers=headers)

    def export(self, request: Request) -> Response:
        name = _named(request)
        if (note := notes.read(name)) is None:
            raise HTTPException(404, f"there is no note of {name[:60]}")
        sent = notes_parcel.anonymous(note)
        headers = {
            "content-disposition": f'attachment; filename="{notes_answers.file_name(sent.checkpoint)}"',
            "cache-control": "no-store",
        }
        return Response(notes_parcel.packed(sent, notes.thumbs()), media_type="application/zip", headers=headers)

    def keep(self, sent: dict[str, Any]) -> Frozen:
        said = OfRun.read(sent)
        run = known(self._site.runs, said.run)
        if run is None:
            raise HTTPException(404, f"there is no run {said.run[:60]!r} here; the Runs tab lists those there are")
        found = _found(run, said.checkpoint)
        stamp, ours = notes.stamp(said.checkpoint), notes.read(said.checkpoint)
        is_seen = said.stamp in (ANY, stamp)
        if ours and not (said.take and is_seen):
            clash = notes_answers.conflict(ours, found, stamp, what=f"run {run.name}")
            if clash:
                return clash
        note = notes.merged(ours, found, said.take) if ours else found
        notes_thumbs.keep(note.pictures, run, notes.thumbs())
        notes.put(note, over=stamp)
        return self._told(said.checkpoint)

    def change(self, sent: dict[str, Any]) -> Frozen:
        said = ByHand.read(sent)
        before = notes.read(said.checkpoint) or empty(said.checkpoint)
        notes.put(notes_hand.changed(before, said.changes), over=said.stamp)
        return self._told(said.checkpoint)

    def restore(self, sent: dict[str, Any]) -> Frozen:
        said = OfVersion.read(sent)
        notes.put(notes.version(said.checkpoint, said.version), over=said.stamp)
        return self._told(said.checkpoint)

    async def take_in(self, request: Request) -> Response:
        data = await uploads.body(request.stream(), PARCEL_BYTES)
        take, name = request.query_params.get("take", ""), request.query_params.get("as", "").strip()
        return _json(await run_in_threadpool(self._take_in, data, listed(take), name[:LONGEST_NAME]))

    def _take_in(self, data: bytes, take: tuple[str, ...], name: str) -> Frozen:
        parcel = _unpacked(data)
        sent = parcel.note.but(checkpoint=canonical(name or parcel.note.checkpoint))
        checkpoint = notes_answers.here(sent.checkpoint, self._site.lookup)
        if take and checkpoint and checkpoint.family != sent.family:
            raise InputError(
                f"the note is about a {sent.family} checkpoint and {sent.checkpoint} is {checkpoint.family} here; say "
                "what its checkpoint is called here"
            )
        stamp, ours = notes.stamp(sent.checkpoint), notes.read(sent.checkpoint)
        if take:
            note = notes.merged(ours, sent, take) if ours else sent
            if parcel.thumbs:
                put({notes.thumbs() / f"{key}{notes_thumbs.ENDING}": each for key, each in parcel.thumbs.items()})
            notes.put(note, over=stamp)
        found = notes.differences(ours, sent) if ours else ()
        return ImportAnswer(
            checkpoint=sent.checkpoint,
            is_kept=bool(take),
            is_new=ours is None,
            stamp=stamp,
            rows=notes_text.summary(sent),
            differences=notes_answers.changes(found),
            conflicts=notes_answers.changes([each for each in found if each.is_conflict]),
            trust=notes.trust(sent, checkpoint),
        )

    def _told(self, name: str) -> NoteAnswer:
        if not notes.stamp(name):
            raise HTTPException(404, f"there is no note of {name[:60]}; the Notes tab lists those there are")
        return notes_answers.told(name, self._site)


def _found(run: Path, checkpoint: str) -> Note:
    """What the run says now of a checkpoint, as a note; raises InputError where that is nothing."""
    told = {note.checkpoint: note for note in notes.from_findings(findings_next.found(run), run)}
    if checkpoint in told:
        return told[checkpoint]
    about = f"; it says something of {', '.join(told)}" if told else "; 'Add cells' makes what it wants to see"
    raise InputError(f"run {run.name} has found nothing of {checkpoint} to keep{about}")


def _unpacked(data: bytes) -> Parcel:
    """What an exported file holds; raises InputError without a path of this machine."""
    with tempfile.TemporaryDirectory(prefix="sidelight-") as folder:
        path = Path(folder) / "parcel"
        path.write_bytes(data)
        try:
            return notes_parcel.unpacked(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), "this file")) from None


def _named(request: Request) -> str:
    name = request.query_params.get("checkpoint", "")
    if not 0 < len(name) <= LONGEST_NAME:
        raise InputError("no checkpoint is named; add ?checkpoint=NAME")
    return name


def _posted(answer: Callable[[dict[str, Any]], Frozen]) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        sent = uploads.words(await uploads.body(request.stream(), WORDS_BYTES))
        said = await run_in_threadpool(answer, sent)
        return _json(said, 409 if isinstance(said, Conflict) else 200)

    return route


def _json(model: Frozen, status: int = 200) -> Response:
    return Response(
        model.model_dump_json(), status, media_type="application/json", headers={"cache-control": "no-store"}
    )
