"""A note as one file that a person can send, and back. Knows nothing about the folder where notes lie.

What leaves this machine holds no path of it and no person's name but the one that is said. What comes in is read as a
stranger's: nothing is unpacked by name, nothing is opened that is not a note or a small picture.
"""

import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from pipelines.errors import InputError
from pipelines.files import DISK, Files
from workbench import notes_thumbs
from workbench.notes_data import Note, NoteEvidence
from workbench.notes_text import THUMBS, from_toml, to_markdown, to_toml

TOML, MARKDOWN = "note.toml", "note.md"
LARGEST_NOTE, LARGEST_THUMB, MOST_THUMBS = 2_000_000, 200_000, 200
"""Bytes and files that are taken from a parcel; ours are a hundredth of that."""
NO_TIME = (1980, 1, 1, 0, 0, 0)
ROOT = re.compile(r"(?:~|[A-Za-z]:)?[/\\]")
IN_TEXT = re.compile(r"(?<![\w.])(?:~|[A-Za-z]:)?[/\\](?:[^;,+'\"\n]*[/\\])?[^\s;,+'\"]+")
"""Paths: a whole value, and in a sentence up to the blank behind the last slash: rather a word too many goes."""
WEBP = re.compile(rb"RIFF.{4}WEBP", re.DOTALL)


@dataclass(frozen=True)
class Parcel:
    """A note as it was sent, and its thumbnails by key."""

    note: Note
    thumbs: dict[str, bytes]


def anonymous(note: Note, *, by: str = "") -> Note:
    """The note without anything of this machine: folders go, paths become file names, `by` is the name that is said."""
    checkpoint = "+".join(map(_option, note.checkpoint.split("+")))

    def clean(text: str) -> str:
        return _without_paths(text.replace(note.checkpoint, checkpoint).replace(str(Path.home()), "~"))

    def evidence(each: NoteEvidence) -> NoteEvidence:
        held = {text: _last(text) if _is_path(text) else clean(text) for _, text in each.held}

        def told(text: str) -> str:
            for before, after in held.items():
                text = text.replace(before, after)
            return clean(text)

        return each.but(
            folder="",
            id=told(each.id),
            sentence=told(each.sentence),
            validated=clean(each.validated),
            held=tuple((name, held[text]) for name, text in each.held),
            pictures=tuple(one.but(words=told(one.words)) for one in each.pictures),
        )

    return note.but(
        checkpoint=checkpoint, remarks=clean(note.remarks), evidence=tuple(map(evidence, note.evidence)), by=by
    )


def packed(note: Note, thumbs: Path, files: Files = DISK) -> bytes:
    """A zip with the note, its Markdown and the thumbnails that are there; equal notes give equal bytes."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in ((TOML, to_toml(note)), (MARKDOWN, to_markdown(note))):
            archive.writestr(zipfile.ZipInfo(name, NO_TIME), text, zipfile.ZIP_DEFLATED)
        for key in notes_thumbs.there(note.pictures, thumbs, files):
            name = f"{key}{notes_thumbs.ENDING}"
            archive.writestr(zipfile.ZipInfo(f"{THUMBS}/{name}", NO_TIME), files.read(thumbs / name))
    return stream.getvalue()


def unpacked(path: Path, files: Files = DISK) -> Parcel:
    """The note in a zip of ours, or in a TOML file alone; its evidence is marked as another machine's.

    Raises InputError for anything else: what was given, what is wrong with it.
    """
    try:
        data = files.read(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a file of `sidelight notes export`") from None
    if not data.startswith(b"PK"):
        return Parcel(_stranger(_note(data, str(path))), {})
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            note = _note(_entry(archive, TOML, LARGEST_NOTE), f"{path}/{TOML}")
            wanted = {key: f"{THUMBS}/{key}{notes_thumbs.ENDING}" for key in note.pictures[:MOST_THUMBS]}
            held = {key: name for key, name in wanted.items() if name in archive.namelist()}
            thumbs = {key: _entry(archive, name, LARGEST_THUMB) for key, name in held.items()}
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(f"{path} is no note that was exported ({error}); ask for it again") from None
    if broken := [key for key, picture in thumbs.items() if not WEBP.match(picture)]:
        raise InputError(f"{path}: {held[broken[0]]} is no WebP picture; ask for the note again")
    return Parcel(_stranger(note), thumbs)


def _entry(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """An entry, without ever unpacking more than it may hold."""
    with archive.open(name) as entry:
        data = entry.read(largest + 1)
    if len(data) > largest:
        raise InputError(f"{archive.filename or 'the parcel'}: {name} is larger than {largest // 1000} kB; no note is")
    return data


def _note(data: bytes, name: str) -> Note:
    try:
        return from_toml(data.decode(), name=name)
    except UnicodeDecodeError:
        raise InputError(f"{name}: is no UTF-8 text; give a file of `sidelight notes export`") from None


def _stranger(note: Note) -> Note:
    """With the day and the sender on every piece of evidence that did not come from further away already."""
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    imported = f"imported {today}{f' from {note.by}' if note.by else ''}"
    evidence = tuple(each.but(imported=each.imported or imported, folder="") for each in note.evidence)
    return note.but(evidence=evidence)


def _option(part: str) -> str:
    """`vae=/home/a b/c.safetensors` with the file's name alone."""
    name, equals, value = part.rpartition("=")
    return f"{name}{equals}{_last(value) if _is_path(value) else value}"


def _is_path(text: str) -> bool:
    return bool(ROOT.match(text))


def _last(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _without_paths(text: str) -> str:
    """Absolute paths, ~ and Windows' drives in a sentence, cut to their last part."""
    return IN_TEXT.sub(lambda found: _last(found[0]), text)
