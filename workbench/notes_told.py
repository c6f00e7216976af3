"""A note as the command line tells it: rows, evidence, how far to trust it. Knows nothing about what changes it."""

import itertools
import shutil
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from pipelines.checkpoint import Checkpoint, find
from pipelines.errors import CheckpointError
from pipelines.listing import row_of
from workbench import notes, notes_text
from workbench.notes import Difference, Note
from workbench.read_command import shown

LABEL, MOST_WIDE = 18, 110
"""Columns before a value, and of a line of text at most."""


def canonical(name: str) -> str:
    """The name that a note of this checkpoint has: a folder or file is called as its row would be; else as given."""
    try:
        return row_of(name).name
    except CheckpointError:
        return name


def here(name: str) -> Checkpoint | None:
    """The checkpoint, None where it is not on this disk."""
    try:
        return find(name)
    except CheckpointError:
        return None


def tell(note: Note) -> None:
    """Print all of a note and what speaks against it here."""
    by = f" by {note.by}" if note.by else ""
    _print(f"{note.checkpoint}, kept {note.day}{by}")
    for name, text in notes_text.summary(note):
        _print(_row(name, text))
    for line in note.remarks.splitlines():
        _print(_row("remark", line))
    for each in note.evidence:
        _print(_row("evidence", each.sentence))
        _print(_row("", f"({notes_text.circumstances(each)})"))
    tell_trust(note)


def tell_trust(note: Note) -> None:
    """Print what speaks against a note, one line each."""
    for line in notes.trust(note, here(note.checkpoint)):
        _print(_row("but", line))


def tell_differences(found: Iterable[Difference], names: tuple[str, str]) -> None:
    """Print what differs: the field, what one says, what the other says."""
    for each in found:
        _print(f"{each.field}\n{_row(names[0], each.ours or '-')}\n{_row(names[1], each.theirs or '-')}")


def as_dict(note: Note) -> dict[str, Any]:
    """A note as JSON: its fields, where it lies, what speaks against it here."""
    return {
        **note.model_dump(mode="json"),
        "file": str(notes.path_of(note.checkpoint)),
        "trust": list(notes.trust(note, here(note.checkpoint))),
    }


def changes(found: Sequence[Difference]) -> list[dict[str, Any]]:
    """Differences as JSON."""
    return [
        {"field": each.field, "ours": each.ours, "theirs": each.theirs, "is_conflict": each.is_conflict}
        for each in found
    ]


def _row(name: str, text: str) -> str:
    wide = max(LABEL, min(MOST_WIDE, shutil.get_terminal_size().columns) - LABEL - 2)
    wrapped = (textwrap.wrap(line, wide, break_long_words=False, break_on_hyphens=False) for line in text.splitlines())
    lines = list(itertools.chain(*wrapped)) or [""]
    if len(name) >= LABEL:  # a file's name
        return "\n".join([f"  {name}", *(f"  {'':<{LABEL}}{line}" for line in lines)])
    return "\n".join(f"  {name if at == 0 else '':<{LABEL}}{line}" for at, line in enumerate(lines))


def _print(text: str) -> None:
    typer.echo(shown(text))
