"""`sidelight notes list|show|diff|history|export|import`. Knows nothing about runs; `set` is a module of its own."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.errors import InputError
from pipelines.files import put
from workbench import notes, notes_parcel, notes_text, notes_thumbs, notes_told
from workbench.notes import Note
from workbench.notes_compare import differences, listed, merged
from workbench.notes_told import canonical
from workbench.read_command import shown

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The checkpoint; `sidelight notes list` shows which have one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Take = Annotated[
    str, typer.Option(metavar="WHICH", help="Where both say something: theirs, ours, or fields of theirs.")
]


def list_notes(as_json: AsJson = False) -> None:
    """Every checkpoint with a note: what to start from, its window and plateau, when it was kept."""
    told: list[dict[str, Any]] = []
    lines: list[str] = []
    broken = 0
    for name in notes.names():
        try:
            note = existing(name)
        except InputError as error:
            broken += 1
            told.append({"checkpoint": name, "error": str(error)})
            typer.echo(f"sidelight: {shown(str(error))}", err=True)
            continue
        rows = dict(notes_text.summary(note))
        told.append({"checkpoint": name, "kept": note.kept, "findings": len(note.evidence), **rows})
        window = f"; window {rows['guidance window']}" if "guidance window" in rows else ""
        stop = f"; {rows['step plateau']}" if "step plateau" in rows else ""
        lines.append(f"{name:<24} {note.day}  {rows.get('start from', 'no settings')}{window}{stop}")
    if as_json:
        typer.echo(json.dumps(told))
    elif not told:
        typer.echo(f"no notes in {notes.folder()} yet; keep one: sidelight notes set CHECKPOINT --from-run RUN")
    for line in () if as_json else lines:
        typer.echo(shown(line))
    if broken:
        raise typer.Exit(1)


def show(
    name: Name,
    number: Annotated[int | None, typer.Option("--version", min=1, help="An earlier version; see `history`.")] = None,
    as_json: AsJson = False,
) -> None:
    """All that the note of a checkpoint says, on what it rests, and how far it is to be trusted here."""
    name = canonical(name)
    note = notes.version(name, number) if number else existing(name)
    if not number:
        notes.draw(note)
    if as_json:
        typer.echo(json.dumps(notes_told.as_dict(note)))
        return
    notes_told.tell(note)
    files = {each.number: each.path for each in notes.history(name)} if number else {}
    typer.echo(f"  {files[number] if number else notes.path_of(name)}")


def diff(
    name: Name,
    other: Annotated[
        str | None, typer.Argument(help="A version's number, an exported file or another checkpoint; the last version.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What differs between a note and its last version, an earlier one, a note that was sent, or another's."""
    name = canonical(name)
    note = existing(name)
    label, than = _other(name, other)
    found = differences(than, note)
    if as_json:
        typer.echo(json.dumps({"than": label, "differences": notes_told.changes(found)}))
    elif not found:
        typer.echo(f"{name} says what {label} says")
    else:
        notes_told.tell_differences(found, (label, "now" if than.checkpoint == name else name))


def history(name: Name, as_json: AsJson = False) -> None:
    """Earlier versions of a note, with what each change was; `notes set NAME --from NUMBER` brings one back."""
    name = canonical(name)
    now = existing(name)
    versions = notes.history(name)
    told: list[dict[str, Any]] = []
    for at, each in enumerate(versions):
        try:
            note = notes.version(name, each.number)
            then = notes.version(name, versions[at + 1].number) if at + 1 < len(versions) else now
            changed: list[str] = [one.field for one in differences(note, then)]
        except InputError as error:  # a version that a person broke by hand is still theirs to read
            changed = [str(error)]
        told.append({"version": each.number, "until": each.until, "changed": changed, "file": str(each.path)})
    if as_json:
        typer.echo(json.dumps({"kept": now.kept, "versions": told}))
        return
    for one in told:
        fields = ", ".join(one["changed"]) or "nothing but its text"
        typer.echo(shown(f"{one['version']:>4}  until {one['until']}, then changed: {fields}"))
    typer.echo(f" now  since {now.kept or 'it was written by hand'}")


def export(
    name: Name,
    out: Annotated[Path | None, typer.Option(help="The file; NAME-note.zip, or NAME-note.toml with --toml.")] = None,
    by: Annotated[str, typer.Option(metavar="WHO", help="Say who keeps it; nobody if left out.")] = "",
    toml: Annotated[bool, typer.Option("--toml", help="The text alone, without thumbnails.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a note into one file to send: no path of this machine, no name of a person but --by."""
    note = existing(canonical(name))
    sent = notes_parcel.anonymous(note, by=by)
    stem = re.sub(r"[^\w.=+-]+", "-", sent.checkpoint).strip("-.") or "checkpoint"
    path = out or Path(f"{stem}-note{'.toml' if toml else '.zip'}")
    if path.exists():
        raise InputError(f"{path} is there already; give another --out, or move it away")
    data = notes_text.to_toml(sent).encode() if toml else notes_parcel.packed(sent, notes.thumbs())
    put({path: data})
    if as_json:
        typer.echo(json.dumps({"file": str(path), "bytes": len(data), "checkpoint": sent.checkpoint}))
    else:
        typer.echo(f"{path}: {len(data)} bytes; to read it: sidelight notes import {path.name}")


def import_note(
    file: Annotated[Path, typer.Argument(help="What `sidelight notes export` wrote.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="What the checkpoint is called here.")] = "",
    take: Take = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change, keep nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep a note that somebody sent, say what it changes and how far it is to be trusted here.

    Where a note of that checkpoint says something else, nothing is kept until --take says which.
    """
    parcel = notes_parcel.unpacked(file)
    sent = parcel.note.but(checkpoint=canonical(name or parcel.note.checkpoint))
    if (here := notes_told.here(sent.checkpoint)) and here.family != sent.family:
        raise InputError(f"{file} is about {sent.family}, {here.name} is {here.family}; give its name with --as")
    over = notes.stamp(sent.checkpoint)
    ours = notes.read(sent.checkpoint)
    note = merged(ours, sent, listed(take)) if ours else sent
    found = differences(ours, note) if ours else ()
    if not dry_run:
        if parcel.thumbs:
            folder = notes.thumbs()
            put({folder / f"{key}{notes_thumbs.ENDING}": data for key, data in parcel.thumbs.items()})
        note = notes.put(note, over=over)
    if as_json:
        typer.echo(
            json.dumps({**notes_told.as_dict(note), "changed": notes_told.changes(found), "kept_now": not dry_run})
        )
        return
    if ours:
        notes_told.tell_differences(found, ("before", "now"))
        typer.echo("" if found else f"the note of {note.checkpoint} says all of it already", nl=not found)
        notes_told.tell_trust(note)
    else:
        notes_told.tell(note)
    typer.echo("nothing was kept: --dry-run" if dry_run else f"  kept as {notes.path_of(note.checkpoint)}")


def existing(name: str) -> Note:
    """The note of a checkpoint; raises InputError with the names of those that have one."""
    if note := notes.read(name):
        return note
    there = ", ".join(notes.names())
    known = f"there are notes of {there}" if there else "there is none of any checkpoint yet"
    raise InputError(f"there is no note of {name} ({known}); keep one: sidelight notes set {name} --from-run RUN")


def _other(name: str, other: str | None) -> tuple[str, Note]:
    """What a note is held against, and how that is called."""
    if other is None:
        versions = notes.history(name)
        if not versions:
            raise InputError(f"the note of {name} has no earlier version; name a file or another checkpoint")
        other = str(versions[-1].number)
    if other.isdecimal():
        return f"version {other}", notes.version(name, int(other))
    if Path(other).is_file():
        return Path(other).name, notes_parcel.unpacked(Path(other)).note
    return canonical(other), existing(canonical(other))
