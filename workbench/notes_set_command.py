"""`sidelight notes set`: keep what a run found, set values by hand, bring an earlier version back.

Knows nothing about how runs are measured. Whatever it changes is told, and the version before stays in history.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines import prompts, schedulers
from pipelines.checkpoint import find
from pipelines.errors import InputError
from pipelines.light import Light
from sweeps import findings as finding
from workbench import notes, notes_thumbs, notes_told
from workbench.notes import Note, Pair, Window
from workbench.notes_compare import differences, listed, merged
from workbench.notes_told import canonical

OLD, NEW = "old", "new"
SPAN = re.compile(r"(\d*\.?\d+)?\s*\.\.\s*(\d*\.?\d+)?")
CLEARED: dict[str, Any] = {
    "pairs": (), "window": None, "plateau": None, "lights": (), "forbid": (), "remarks": "", "evidence": ()
}  # fmt: skip
"""Fields that can be emptied."""


def set_note(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The checkpoint, as in `sidelight models list`.")],
    from_run: Annotated[Path | None, typer.Option(help="Keep what this run folder found.")] = None,
    take: Annotated[
        str,
        typer.Option(metavar="WHICH", help="Where run and note say something else: new, old, or fields of the new."),
    ] = "",
    number: Annotated[int | None, typer.Option("--from", min=1, help="Bring that version back; see `history`.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, max=1000, help="What to start from.")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, max=100, help="What to start from.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Any tool's name of it.")] = None,
    also: Annotated[bool, typer.Option("--also", help="These settings as a further pair, not the first.")] = False,
    window: Annotated[str, typer.Option(metavar="LOW..HIGH", help="Guidance window: 3..6, 3.. or ..6.")] = "",
    plateau: Annotated[int | None, typer.Option(min=1, max=1000, help="Step count to stop at.")] = None,
    light: Annotated[list[str] | None, typer.Option(help="One more light template that works.")] = None,
    forbid: Annotated[list[str] | None, typer.Option(help="One more thing to say no to; FLUX: 'this => that'.")] = None,
    remark: Annotated[list[str] | None, typer.Option(help="One more line of your own words.")] = None,
    clear: Annotated[list[str] | None, typer.Option(metavar="FIELD", help="Empty a field first.")] = None,
    by: Annotated[str | None, typer.Option(metavar="WHO", help="Who keeps it; nobody if left out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change, keep nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Keep what is worth keeping for a checkpoint: from a run, by hand, or an earlier version again.

    --light, --forbid and --remark add to what is there; --clear lights (or another field) empties it first. Nothing is
    lost: `sidelight notes history NAME` has every version.

    Example: sidelight notes set realvis-xl-v5 --from-run ~/Sidelight/runs/2026-11-22-window --take new
    """
    said = dict(locals())
    name = canonical(name)
    over, before = notes.stamp(name), _before(name, is_left=number is not None)
    if not any(said[flag] is not None and said[flag] != "" and said[flag] is not False for flag in SAYING):
        raise InputError("nothing is said; give --from-run RUN, --steps, --guidance, --remark ... (see --help)")
    note = notes.version(name, number) if number else before
    note = cleared(note, clear or []) if note else None
    if from_run:
        found = found_in(from_run, name)
        note = merged(note, found, listed(take), names=(OLD, NEW)) if note else found
    elif take:
        raise InputError("--take is given without --from-run; it says whose values hold where a run contradicts a note")
    note = by_hand(note or empty(name), said)
    if not dry_run:
        note = notes.put(note, over=over)
        if from_run:
            notes_thumbs.keep(note.pictures, from_run, notes.thumbs())
    _tell(before, note, dry_run=dry_run, as_json=as_json)


SAYING = (
    "from_run", "number", "steps", "guidance", "scheduler", "window", "plateau", "light", "forbid", "remark", "clear",
    "by", "also", "take",
)  # fmt: skip
"""Flags that change something, or say how."""


def _before(name: str, *, is_left: bool) -> Note | None:
    """What stands there; a file that cannot be read is no hindrance where an earlier version takes its place."""
    try:
        return notes.read(name)
    except InputError:
        if is_left:
            return None
        raise


def found_in(run: Path, name: str) -> Note:
    """What a run found about a checkpoint as a note; raises InputError where it found nothing, saying what it did."""
    told = finding.read(run)
    if told is None:
        raise InputError(f"{run} has no {finding.NAME} yet; `sidelight findings {run} --measure` looks at it")
    found = {note.checkpoint: note for note in notes.from_findings(told, run)}
    if name in found:
        return found[name]
    if found:
        raise InputError(f"{run} says nothing about {name}, but about {', '.join(found)}; name one of these")
    raise InputError(f"{run} has no finding to keep; `sidelight findings {run}` says which cells to add")


def empty(name: str) -> Note:
    """A note that says nothing yet, about the weights that are on this disk; raises CheckpointError."""
    weights = find(name).weights
    return Note(checkpoint=name, family=weights.family, digest=weights.digest, quantisation=weights.quantisation)


def cleared(note: Note, fields: list[str]) -> Note:
    """The note with these fields emptied; raises InputError for what cannot be."""
    names = [each for field in fields for each in listed(field)]
    if strange := [each for each in names if each not in CLEARED]:
        raise InputError(f"--clear {strange[0]!r} is no field; allowed: {', '.join(CLEARED)}")
    return note.but(**{each: CLEARED[each] for each in names})


def by_hand(note: Note, said: dict[str, Any]) -> Note:
    """The note with what the flags say; raises InputError for what the checkpoint's family cannot do."""
    changes: dict[str, Any] = {}
    if pair := _pair(note, said):
        changes["pairs"] = (*note.pairs, pair) if said["also"] else (pair, *note.pairs[1:])
    elif said["also"]:
        raise InputError("--also is given without settings; give --steps, --guidance or --scheduler")
    if said["window"]:
        changes["window"] = span(said["window"])
    if said["plateau"]:
        changes["plateau"] = said["plateau"]
    if said["light"]:
        _check_lights(said["light"])
        changes["lights"] = (*note.lights, *said["light"])
    if said["forbid"]:
        _check_forbidden(said["forbid"], note)
        changes["forbid"] = (*note.forbid, *said["forbid"])
    if said["remark"]:
        changes["remarks"] = "\n".join(filter(None, [note.remarks, *said["remark"]]))
    if said["by"] is not None:
        changes["by"] = said["by"]
    if changes and not note.evidence and (checkpoint := notes_told.here(note.checkpoint)):
        weights = checkpoint.weights  # set by hand speaks of the weights that are here
        changes |= {"family": weights.family, "digest": weights.digest, "quantisation": weights.quantisation}
    return note.but(**changes)


def span(text: str) -> Window:
    """`3..6`, `3..` or `..6`; raises InputError."""
    if found := SPAN.fullmatch(text.strip()):
        return Window.read({"low": found[1] or None, "high": found[2] or None})
    raise InputError(f"--window {text!r}: is no window; write LOW..HIGH, as in 3..6, 3.. or ..6")


def _pair(note: Note, said: dict[str, Any]) -> Pair | None:
    """The first pair (or with --also none) with what is said; its picture shows it no more once something changed."""
    given = {field: said[field] for field in ("steps", "guidance", "scheduler") if said[field] is not None}
    if not given:
        return None
    first = note.pairs[0].model_dump() if note.pairs and not said["also"] else {}
    pair = Pair.read({**first, **given})
    if pair.scheduler:
        choice = schedulers.named(pair.scheduler)
        schedulers.check(
            choice, family=note.family, mode="text-to-image", spacing=None, steps=pair.steps or note.plateau or 30
        )
    is_same = bool(first) and pair.settings == note.pairs[0].settings
    return pair if is_same else pair.but(key="")


def _check_lights(names: list[str]) -> None:
    if strange := [each for each in names if each not in prompts.names()]:
        raise InputError(f"--light {strange[0]!r} is no template; `sidelight prompt list` shows all")


def _check_forbidden(things: list[str], note: Note) -> None:
    """FLUX has no negative prompt: what is forbidden must have words for what is there instead."""
    prompts.words(Light.read({"forbidden": tuple(things)}), note.family)


def _tell(before: Note | None, note: Note, *, dry_run: bool, as_json: bool) -> None:
    changed = differences(before, note) if before else ()
    if as_json:
        told = {**notes_told.as_dict(note), "changed": notes_told.changes(changed), "kept_now": not dry_run}
        typer.echo(json.dumps(told))
        return
    if before is None:
        notes_told.tell(note)
    elif changed:
        notes_told.tell_differences(changed, ("before", "now"))
        notes_told.tell_trust(note)
    else:
        typer.echo(f"the note of {note.checkpoint} says that already")
    for line in outside(note):
        typer.echo(f"note: {line}", err=True)
    typer.echo("nothing was kept: --dry-run" if dry_run else f"  kept as {notes.path_of(note.checkpoint)}")


def outside(note: Note) -> tuple[str, ...]:
    """Settings that the note's own window or plateau speaks against."""
    lines: list[str] = []
    window = note.window or Window(low=0)
    for pair in note.pairs:
        if pair.guidance is not None and window.low is not None and pair.guidance < window.low:
            lines.append(f"guidance {pair.guidance:g} lies below the window {window.text}")
        if pair.guidance is not None and window.high is not None and pair.guidance > window.high:
            lines.append(f"guidance {pair.guidance:g} lies above the window {window.text}")
    return tuple(lines)
