"""Notes: one TOML file per checkpoint in the user's folder, its Markdown, and every earlier version of it.

Knows nothing about runs or commands. A file that cannot be read is never written over; what a person changed by hand
goes to history like any other version.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from platformdirs import user_config_path

from pipelines.downloads.lockfile import held
from pipelines.errors import BusyError, InputError
from pipelines.files import DISK, Files, disk_faults
from pipelines.files import put as write
from sweeps.journal import utc_now
from workbench.notes_compare import Difference, differences, merged
from workbench.notes_data import Note, NoteEvidence, Pair, Window
from workbench.notes_findings import from_findings
from workbench.notes_start import start_from
from workbench.notes_text import THUMBS, from_toml, to_markdown, to_toml
from workbench.notes_trust import trust

__all__ = [
    "Difference",
    "Note",
    "NoteEvidence",
    "Pair",
    "Version",
    "Window",
    "differences",
    "draw",
    "folder",
    "from_findings",
    "history",
    "merged",
    "names",
    "nearest",
    "path_of",
    "put",
    "read",
    "stamp",
    "start_from",
    "thumbs",
    "trust",
    "version",
]

HISTORY, LOCK = "history", ".lock"
LONGEST_NAME = 150  # bytes; file systems take 255, of which history's folder and suffixes need some
SAFE = "+=-_. "
"""Signs that stay as they are in a file's name, beside letters and digits."""


@dataclass(frozen=True)
class Version:
    """An earlier version of a note, counted from 1: it stood until the UTC time `until`."""

    number: int
    until: str
    path: Path


def folder() -> Path:
    """Where notes lie; it need not be there."""
    return user_config_path("sidelight") / "notes"


def thumbs() -> Path:
    """Where the small copies of pictures lie that notes rest on, as KEY.webp."""
    return folder() / THUMBS


def path_of(checkpoint: str) -> Path:
    """The TOML file of a checkpoint's note; its .md lies beside it. Any name can be one, also NAME+vae=/a/path."""
    return folder() / f"{_stem(checkpoint)}.toml"


def names(files: Files = DISK) -> tuple[str, ...]:
    """Checkpoints that have a note, in alphabetical order; a file that cannot be read counts by its own name."""
    stems = [name.removesuffix(".toml") for name in files.names(folder()) if name.endswith(".toml")]
    return tuple(sorted(_checkpoint_in(files.read(folder() / f"{stem}.toml")) or stem for stem in stems))


def read(checkpoint: str, files: Files = DISK) -> Note | None:
    """The note of a checkpoint, None if it has none; raises InputError: file, line, what is allowed there."""
    path = path_of(checkpoint)
    if (data := _bytes(path, files)) is None:
        return None
    note = _parsed(data, path)
    if note.checkpoint != checkpoint:
        raise InputError(
            f"{path}: is about {note.checkpoint!r}, not {checkpoint!r}; write its name there, or move the file away"
        )
    return note


def nearest(checkpoint: str, files: Files = DISK) -> Note | None:
    """The note of a checkpoint, or where it has none and is named with +option=value, that of the plain name."""
    plain = re.split(r"\+(?=[a-z_]+=)", checkpoint)[0]
    return read(checkpoint, files) or (read(plain, files) if plain != checkpoint else None)


def stamp(checkpoint: str, files: Files = DISK) -> str:
    """16 hex digits that stand for the note's file as it is now, "" without one: to see whether it changed since."""
    data = _bytes(path_of(checkpoint), files)
    return "" if data is None else _stamp(data)


def put(note: Note, files: Files = DISK, *, over: str | None = None, now: Callable[[], str] = utc_now) -> Note:
    """Keep a note, whole or not at all; what stood there goes to history, byte for byte. Gives it as it is kept.

    `over` is the stamp of the file that the change began from: raises BusyError if another process wrote since. A note
    that says what is there already changes nothing. Raises DiskFullError or DiskError.
    """
    path = path_of(note.checkpoint)
    with held(folder() / LOCK, files):
        before = _bytes(path, files)
        if over is not None and over != ("" if before is None else _stamp(before)):
            raise BusyError(
                f"the note of {note.checkpoint} was changed meanwhile; see `sidelight notes show` and try again"
            )
        if before is not None and (there := _same(before, note)):
            draw(there, files)
            return there
        note = note.but(kept=now())
        if before is not None:
            _put_away(path, before, files)
        write({path.with_suffix(".md"): to_markdown(note).encode(), path: to_toml(note).encode()}, files)
    return note


def draw(note: Note, files: Files = DISK) -> None:
    """Draw the Markdown anew where it is not that of the note any more, as after a change by hand."""
    path, text = path_of(note.checkpoint).with_suffix(".md"), to_markdown(note).encode()
    if _bytes(path, files) != text:
        write({path: text}, files)


def history(checkpoint: str, files: Files = DISK) -> tuple[Version, ...]:
    """Earlier versions, the oldest first; what stands now is not among them."""
    place = folder() / HISTORY / _stem(checkpoint)
    found = [re.fullmatch(r"(\d+)-(\d{8}T\d{6}Z)\.toml", name) for name in files.names(place)]
    versions = [Version(int(each[1]), _readable(each[2]), place / each[0]) for each in found if each]
    return tuple(sorted(versions, key=lambda each: each.number))


def version(checkpoint: str, number: int, files: Files = DISK) -> Note:
    """An earlier version as a note; raises InputError for a number that is not there and a file that was damaged."""
    found = {each.number: each for each in history(checkpoint, files)}
    if number not in found:
        there = f"1 to {max(found)}" if found else "none yet"
        raise InputError(f"version {number} of the note of {checkpoint} is not there; there are: {there}")
    return _parsed(files.read(found[number].path), found[number].path)


def _put_away(path: Path, data: bytes, files: Files) -> None:
    place = folder() / HISTORY / path.stem
    numbers = [int(name.partition("-")[0]) for name in files.names(place) if re.match(r"\d+-", name)]
    with disk_faults(place, needed=len(data), files=files):
        files.mkdir(place)  # `write` makes one folder and syncs the one above it
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    write({place / f"{max(numbers, default=0) + 1}-{moment}.toml": data}, files)


def _same(data: bytes, note: Note) -> Note | None:
    """What stands there, if it says the same and was drawn by us; None if it does not or cannot be read."""
    try:
        there = from_toml(data.decode(), name="")
    except (InputError, UnicodeDecodeError):
        return None
    return there if there.but(kept="") == note.but(kept="") else None


def _parsed(data: bytes, path: Path) -> Note:
    try:
        return from_toml(data.decode(), name=str(path))
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no UTF-8 text; save it as UTF-8") from None


def _bytes(path: Path, files: Files) -> bytes | None:
    return None if files.size(path) is None else files.read(path)


def _stamp(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _stem(checkpoint: str) -> str:
    """A file's name for any checkpoint's: signs that cannot be there as %XX, and long ones cut with a hash behind."""
    stem = quote(checkpoint, safe=SAFE)
    stem = f"%2E{stem[1:]}" if stem.startswith(".") else stem
    if len(stem) <= LONGEST_NAME:
        return stem
    return f"{stem[:LONGEST_NAME]}~{hashlib.sha256(checkpoint.encode()).hexdigest()[:12]}"


def _checkpoint_in(data: bytes) -> str:
    """The checkpoint that a file names, also where the rest of it cannot be read."""
    found = re.search(rb"""^checkpoint[ \t]*=[ \t]*(["'])(.+?)\1""", data, re.MULTILINE)
    return found[2].decode(errors="replace") if found else ""


def _readable(moment: str) -> str:
    return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).isoformat(timespec="seconds")
