"""`--from-note`: a sweep whose unsaid settings come from its checkpoints' notes, and the lines that say so.

Knows nothing about how the sweep was asked for. A note is never used unasked on the command line.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import typer

from pipelines.draft import Draft
from pipelines.errors import InputError
from sweeps.sweep import Sweep
from workbench import notes, notes_told
from workbench.notes import Note
from workbench.notes_start import checkpoints_of, start_numbers, start_sweep
from workbench.notes_trust import differs
from workbench.read_command import shown

HELP = "Take what is not said from the checkpoint's note; `sidelight notes show` tells it."


def from_notes(sweep: Sweep, *, run: Path | None = None, quiet: bool = False) -> Sweep:
    """The sweep with what it does not say taken from notes; prints what, of which date, and what is different here.

    Raises InputError for a checkpoint without a note, and for a `run` that is already begun.
    """
    if run:
        raise InputError(f"--from-note is for a new run; {run} goes on with what it was begun with: leave it out")
    found = {checkpoint: _note(checkpoint) for checkpoint in checkpoints_of(sweep)}
    started, told = start_sweep(sweep, found)
    _tell(found, told, quiet=quiet)
    return started


def numbers_from_note(draft: Draft, given: Collection[str], *, quiet: bool = False) -> Draft:
    """The draft with steps, guidance and scheduler from its checkpoint's note where neither it nor `given` says them.

    Raises InputError for a checkpoint without a note.
    """
    note = _note(draft.checkpoint)
    started, told = start_numbers(note, draft, varied=given)
    _tell({draft.checkpoint: note}, told, quiet=quiet)
    return started


def _tell(found: Mapping[str, Note], told: Sequence[str], *, quiet: bool) -> None:
    differing = [line for name, note in found.items() for line in differs(note, notes_told.here(name))]
    for line in () if quiet else (*told, *(f"note: {each}" for each in dict.fromkeys(differing))):
        typer.echo(shown(line), err=True)


def _note(checkpoint: str) -> Note:
    name = notes_told.canonical(checkpoint)
    if note := notes.nearest(name):
        return note
    raise InputError(
        f"--from-note: there is no note of {name}; keep one (sidelight notes set {name} --from-run RUN) or leave it out"
    )
