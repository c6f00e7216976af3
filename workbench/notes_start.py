"""A draft or a sweep that starts from a note: what is not said is taken from it, and told. Knows nothing about pixels.

What a person said always stays. The date of the note is part of what is told, as a note may be older than its weights.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipelines import prompts
from pipelines.draft import LIGHT, Draft
from sweeps.axes import Axis
from sweeps.ranges import Value, label
from sweeps.sweep import Sweep
from workbench.notes_data import Note

FORBIDDEN = f"{LIGHT}forbidden"
NUMBERS = ("steps", "guidance", "scheduler")
"""Fields of a draft that a note's first pair says."""
SAID = "nothing: all that it says is said already"
ALONE = "nothing: steps, guidance and scheduler are said already, or not by the notes of all these checkpoints"


def start_from(note: Note, draft: Draft, *, varied: Collection[str] = ()) -> tuple[Draft, tuple[str, ...]]:
    """The draft with what it does not say taken from the note, and one line that tells what and of which date.

    Steps, guidance and scheduler are those of the first pair. The first light is taken where neither prompt nor light
    is said; what the note forbids is added to what a light forbids, and is SDXL's negative prompt beside own words.
    `varied` are the fields that an axis will change.
    """
    taken: dict[str, Any] = dict(_numbers(note, draft))
    if note.lights and not draft.light and not draft.prompt:
        taken["light"] = note.lights[0]
    told = [f"{name} {label(value)}" for name, value in taken.items()]
    forbidden, words = _forbidden(note, draft.with_values(taken), varied)
    return draft.with_values(taken | forbidden), (_line(note, [*told, words]),)


def start_numbers(note: Note, draft: Draft, *, varied: Collection[str] = ()) -> tuple[Draft, tuple[str, ...]]:
    """As `start_from`, steps, guidance and scheduler alone: for a draft whose words are not its own."""
    taken = {name: value for name, value in _numbers(note, draft).items() if name not in varied}
    return draft.but(**taken), (_line(note, [f"{name} {label(value)}" for name, value in taken.items()]),)


def start_sweep(sweep: Sweep, notes: Mapping[str, Note]) -> tuple[Sweep, tuple[str, ...]]:
    """A sweep with what it does not say taken from the notes of its checkpoints, by their names; a line for each note.

    Where the checkpoint is an axis, each walks with the values of its own note: those that all of them say.
    """
    axes = [axis for axis in sweep.axes if isinstance(axis, Axis)]
    walking = next((axis for axis in axes if "checkpoint" in axis.fields), None)
    if walking is None:
        varied = [field for axis in axes for field in axis.fields]
        base, told = start_from(notes[sweep.base.checkpoint], sweep.base, varied=varied)
        return _over(sweep, base, sweep.axes), told
    at = walking.fields.index("checkpoint")
    own = [notes[str(step[at])] for step in walking.values]
    numbers = [_numbers(note, sweep.base) for note in own]
    fields = [name for name in NUMBERS if all(name in each for each in numbers)]
    values = tuple(
        (*step, *(each[name] for name in fields)) for step, each in zip(walking.values, numbers, strict=True)
    )
    wider = Axis(fields=(*walking.fields, *fields), values=values)
    told = tuple(
        _line(note, [f"{name} {label(each[name])}" for name in fields], nothing=ALONE)
        for note, each in zip(own, numbers, strict=True)
    )
    return _over(sweep, sweep.base, [wider if axis is walking else axis for axis in sweep.axes]), told


def checkpoints_of(sweep: Sweep) -> tuple[str, ...]:
    """The checkpoints of a sweep as they were said, each once."""
    axes = [axis for axis in sweep.axes if isinstance(axis, Axis) and "checkpoint" in axis.fields]
    walking = [str(step[axis.fields.index("checkpoint")]) for axis in axes for step in axis.values]
    return tuple(dict.fromkeys(walking)) or (sweep.base.checkpoint,)


def _line(note: Note, told: Sequence[str], *, nothing: str = SAID) -> str:
    said = ", ".join(filter(None, told)) or nothing
    return f"from the note of {note.checkpoint} ({note.day}): {said}"


def _over(sweep: Sweep, base: Draft, axes: Sequence[Any]) -> Sweep:
    return Sweep.over(sweep.name, base, axes=axes, where=sweep.where, skip=sweep.skip)


def _numbers(note: Note, draft: Draft) -> Mapping[str, Value]:
    """What the first pair says and the draft does not."""
    if not note.pairs:
        return {"steps": note.plateau} if note.plateau and draft.steps is None else {}
    pair = note.pairs[0]
    said = {"steps": pair.steps or note.plateau, "guidance": pair.guidance, "scheduler": pair.scheduler}
    return {name: value for name, value in said.items() if value not in (None, "") and draft.value(name) is None}


def _forbidden(note: Note, draft: Draft, varied: Collection[str]) -> tuple[dict[str, Any], str]:
    """What to change so that nothing forbidden happens, and how that is told."""
    words = "; ".join(note.forbid)
    if not words or draft.negative is not None or draft.value(FORBIDDEN) is not None:
        return {}, ""
    if "light" in varied:
        return {}, f"not added: forbidden {words} (the light varies, and each forbids its own)"
    if draft.light:
        own = prompts.templates()[draft.light].forbidden if draft.light in prompts.names() else ()
        return {FORBIDDEN: "; ".join(dict.fromkeys((*own, *note.forbid)))}, f"forbidden {words}"
    if note.family != "sdxl":
        return (
            {},
            f"not sent: forbidden {words} ({note.family} has no negative prompt; a light says it in positive words)",
        )
    things = ", ".join(each.partition("=>")[0].strip() for each in note.forbid)
    return {"negative": things}, f"negative {things}"
