"""What the page is told of notes: the list, one note with all around it, what contradicts. Knows nothing about HTTP.

Every text is meant to be shown as text. A name is only ever a name here: files are found by `workbench.notes` alone.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from pipelines.checkpoint import Checkpoint
from pipelines.errors import InputError
from pipelines.frozen import Frozen
from sweeps.findings import Role
from workbench import notes, notes_text, notes_thumbs
from workbench.doctor import private
from workbench.notes import Difference, Note, NoteEvidence
from workbench.notes_set_command import outside
from workbench.web.inside import known
from workbench.web.layout import Lookup
from workbench.web.pictures import whole
from workbench.web.site import Site

Pairs = tuple[tuple[str, str], ...]


class NoteRow(Frozen):
    """A note in the list. `line` is what to start from; `is_here`: the checkpoint is on this disk; `fault`: no note."""

    checkpoint: str
    day: str = ""
    line: str = ""
    is_here: bool = False
    fault: str = ""


class NoteRows(Frozen):
    """All notes by name, and the folder they lie in."""

    notes: tuple[NoteRow, ...]
    folder: str


class Change(Frozen):
    """A field that differs; texts as a person reads them, "" where one side says nothing."""

    field: str
    ours: str
    theirs: str


class VersionAnswer(Frozen):
    """An earlier version: until when it stood, and what was changed then. `fault`: it cannot be read any more."""

    version: int
    until: str
    changes: tuple[Change, ...] = ()
    fault: str = ""


class ShownAnswer(Frozen):
    """A picture of a piece of evidence; `thumb` is an address or "", `is_here`: the run still holds it."""

    key: str
    role: Role
    words: str
    thumb: str
    is_here: bool


class EvidenceAnswer(Frozen):
    """A finding that the note rests on; `is_here`: its run is one of the page's."""

    run: str
    kind: str
    sentence: str
    circumstances: str
    held: str
    is_here: bool
    pictures: tuple[ShownAnswer, ...]


class NoteAnswer(Frozen):
    """A note: in rows for people, as data, as texts to change (by field), and what speaks against it here.

    `stamp` stands for its file as it is now; `path` is that file; `warnings` are settings that its own window refuses.
    `fault`: the file cannot be read, and nothing but `history` and `path` is told.
    """

    checkpoint: str
    stamp: str
    path: str
    day: str = ""
    by: str = ""
    is_here: bool = False
    rows: Pairs = ()
    texts: Mapping[str, str] = {}
    note: Note | None = None
    trust: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    evidence: tuple[EvidenceAnswer, ...] = ()
    history: tuple[VersionAnswer, ...] = ()
    fault: str = ""


class Conflict(Frozen):
    """Both say something and both cannot hold: nothing is kept before a person says which."""

    error: str
    checkpoint: str
    stamp: str
    conflicts: tuple[Change, ...]


class ImportAnswer(Frozen):
    """What a file holds, what it would change, how far to trust it. `is_kept`: it was kept."""

    checkpoint: str
    is_kept: bool
    is_new: bool
    stamp: str
    rows: Pairs
    differences: tuple[Change, ...]
    conflicts: tuple[Change, ...]
    trust: tuple[str, ...]


def listed(lookup: Lookup) -> NoteRows:
    """Every note, whether it can be read or not."""
    return NoteRows(notes=tuple(_row(name, lookup) for name in notes.names()), folder=private(str(notes.folder())))


def _row(name: str, lookup: Lookup) -> NoteRow:
    is_here = here(name, lookup) is not None
    try:
        note = notes.read(name)
    except InputError as error:
        return NoteRow(checkpoint=name, is_here=is_here, fault=str(error))
    rows = dict(notes_text.summary(note)) if note else {}
    line = rows.get("start from") or rows.get("guidance window") or "no settings yet"
    return NoteRow(checkpoint=name, day=note.day if note else "", line=line, is_here=is_here)


def here(name: str, lookup: Lookup) -> Checkpoint | None:
    """The checkpoint of that name, None where it is not on this disk or damaged."""
    try:
        return lookup(name)
    except (InputError, KeyError, TypeError, ValueError):  # settings that no diffusers ever wrote
        return None


def told(name: str, site: Site) -> NoteAnswer:
    """All of one note; a file that cannot be read is told with its history. Raises InputError where there is none."""
    plain = NoteAnswer(checkpoint=name, stamp=notes.stamp(name), path=private(str(notes.path_of(name))))
    try:
        note = notes.read(name)
    except InputError as error:
        return plain.but(fault=str(error), history=_history(name, None))
    if note is None:
        raise InputError(f"there is no note of {name}; 'Keep as note' under a run's findings makes one")
    checkpoint = here(name, site.lookup)
    return plain.but(
        day=note.day,
        by=note.by,
        is_here=checkpoint is not None,
        rows=notes_text.summary(note),
        texts=texts(note),
        note=note.but(evidence=tuple(each.but(folder="") for each in note.evidence)),
        trust=notes.trust(note, checkpoint),
        warnings=outside(note),
        evidence=tuple(_evidence(each, site.runs) for each in note.evidence),
        history=_history(name, note),
    )


def texts(note: Note) -> dict[str, str]:
    """What can be changed by hand, as text: pairs, lights and forbidden things one a line, the window as LOW..HIGH."""
    low, high = (note.window.low, note.window.high) if note.window else (None, None)
    return {
        "pairs": "\n".join(pair.text for pair in note.pairs),
        "window": f"{_number(low)}..{_number(high)}" if note.window else "",
        "plateau": str(note.plateau or ""),
        "lights": "\n".join(note.lights),
        "forbid": "\n".join(note.forbid),
        "remarks": note.remarks,
    }


def changes(found: Sequence[Difference]) -> tuple[Change, ...]:
    """Differences as they are told."""
    return tuple(Change(field=each.field, ours=each.ours, theirs=each.theirs) for each in found)


def conflict(ours: Note, theirs: Note, stamp: str, *, what: str) -> Conflict | None:
    """What a person has to decide before `theirs` is kept, if anything; `what` is theirs in words."""
    found = tuple(each for each in notes.differences(ours, theirs) if each.is_conflict)
    if not found:
        return None
    fields = ", ".join(each.field for each in found)
    error = f"the note of {ours.checkpoint} and {what} say something else of {fields}; say which holds"
    return Conflict(error=error, checkpoint=ours.checkpoint, stamp=stamp, conflicts=changes(found))


def file_name(checkpoint: str) -> str:
    """What an exported note is called."""
    stem = re.sub(r"[^A-Za-z0-9_.=+-]+", "-", checkpoint).strip("-.")
    return f"{stem or 'checkpoint'}-note.zip"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _evidence(each: NoteEvidence, runs: Path) -> EvidenceAnswer:
    run = known(runs, each.run)
    there = set(notes_thumbs.there(each.keys, notes.thumbs()))
    shown = tuple(
        ShownAnswer(
            key=one.key,
            role=one.role,
            words=one.words,
            thumb=_thumb(each.run, one.key, is_kept=one.key in there, is_here=run is not None),
            is_here=run is not None and whole(run, one.key) is not None,
        )
        for one in each.pictures
    )
    return EvidenceAnswer(
        run=each.run,
        kind=each.kind,
        sentence=each.sentence,
        circumstances=notes_text.circumstances(each),
        held=", ".join(f"{name} {text}" for name, text in each.held),
        is_here=run is not None,
        pictures=shown,
    )


def _thumb(run: str, key: str, *, is_kept: bool, is_here: bool) -> str:
    """Where the small picture is: beside the note, or in the run where none was kept."""
    if is_kept:
        return f"/api/notes/thumb?{urlencode({'key': key})}"
    return f"/pictures/{quote(run, safe='')}/{key}.webp" if is_here else ""


def _history(name: str, now: Note | None) -> tuple[VersionAnswer, ...]:
    """Earlier versions, the last one first, each with what the change after it was."""
    versions = notes.history(name)
    read = [_readable(name, each.number) for each in versions]
    after = [*(note for note, _ in read), now][1:]
    found = [
        VersionAnswer(
            version=each.number,
            until=each.until,
            changes=changes(notes.differences(note, then)) if note and then else (),
            fault=fault,
        )
        for each, (note, fault), then in zip(versions, read, after, strict=True)
    ]
    return tuple(reversed(found))


def _readable(name: str, number: int) -> tuple[Note | None, str]:
    try:
        return notes.version(name, number), ""
    except InputError as error:
        return None, str(error)
