"""How far a note is to be trusted here: other weights, another machine or version, few seeds, only the demo.

Knows nothing about files. Every line says what is different and what would settle it; no line means nothing speaks
against it, not that it is true.
"""

from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version

from pipelines import listing
from pipelines.checkpoint import Checkpoint
from workbench.notes_data import Note, NoteEvidence

FEW = 4
"""Seeds below which an interval over them is wider than most differences that matter (a t interval of 3 is 4.3 times
its standard error)."""
EVERYWHERE = ("cpu",)
"""Devices that every machine has."""


def trust(note: Note, checkpoint: Checkpoint | None, *, devices: Collection[str] | None = None) -> tuple[str, ...]:
    """What speaks against taking a note as it is, one line each; () if nothing does.

    `checkpoint` is the one that it would be used for (its weights are hashed once), None where it is not on this disk.
    `devices` are those of this machine; asked of the driver where they matter and are not given.
    """
    if not note.evidence:
        return (*differs(note, checkpoint), "set by hand: no run stands behind it; a small guidance sweep would")
    rests = (*_put_together(note), *_few_seeds(note), *_not_validated(note))
    return (*differs(note, checkpoint, devices=devices), *rests)


def differs(note: Note, checkpoint: Checkpoint | None, *, devices: Collection[str] | None = None) -> tuple[str, ...]:
    """Of `trust` what is not here as it was there: weights, machine, versions."""
    if checkpoint is None:
        weights = [f"{note.checkpoint} is not on this disk: nothing says whether its weights are those of the note"]
    else:
        weights = [*_other_weights(note, checkpoint), *_only_the_demo(checkpoint)]
    return (*weights, *_older_evidence(note), *_elsewhere(note, devices), *_other_versions(note))


def _other_weights(note: Note, checkpoint: Checkpoint) -> list[str]:
    here = checkpoint.weights
    if here.family != note.family:
        return [f"other family: the note is about {note.family}, {checkpoint.name} is {here.family}; make one anew"]
    if here.identity == f"{note.digest} {note.quantisation}".strip():
        return []
    if checkpoint.name != note.checkpoint:
        return [f"other parts: the note is about {note.checkpoint}, this is {checkpoint.name}; textures may differ"]
    if here.digest == note.digest:
        was, now = note.quantisation or "whole", here.quantisation or "whole"
        return [f"other quantisation: the note is about {was} weights, these are {now}; a few cells would tell"]
    return [
        f"other weights: {note.checkpoint} was {note.digest[:12]} then and is {here.digest[:12]} now; "
        "sweep guidance again"
    ]


def _only_the_demo(checkpoint: Checkpoint) -> list[str]:
    if not checkpoint.folder.is_relative_to(listing.DEMO):
        return []
    return ["only the demo: it knows one kind of rendered portrait; its values mean nothing for other checkpoints"]


def _older_evidence(note: Note) -> list[str]:
    old = [each for each in note.evidence if each.digest != note.digest]
    return [f"{len(old)} of {len(note.evidence)} findings are about other weights of that name"] if old else []


def _elsewhere(note: Note, devices: Collection[str] | None) -> list[str]:
    far = [each for each in note.evidence if each.imported]
    lines = [f"from another machine: {', '.join(dict.fromkeys(each.imported for each in far))}"] if far else []
    seen = {device for each in note.evidence for device in each.devices} - set(EVERYWHERE)
    if other := sorted(seen - set(_devices() if devices is None else devices)) if seen else []:
        lines.append(f"seen on {', '.join(other)}, which is not here: rounding differs; a few cells would tell")
    return lines


def _devices() -> list[str]:
    """GPU names as the driver and torch say them; loads no torch."""
    from workbench.doctor_machine import cards

    return [card["name"] for card in cards()]


def _other_versions(note: Note) -> list[str]:
    """Only the packages that decide pixels or measures, and only what comes before the last point of their number."""
    then: dict[str, set[str]] = {}
    for each in note.evidence:
        for name, number in each.versions:
            then.setdefault(name, set()).add(number)
    here = versions_here(then)
    differ = [
        f"{name} {', '.join(sorted(numbers))} (here {here[name] or 'none'})"
        for name, numbers in then.items()
        if any(_coarse(number) != _coarse(here[name]) for number in numbers)
    ]
    return [f"seen with other versions: {'; '.join(differ)}"] if differ else []


def versions_here(names: Collection[str]) -> Mapping[str, str]:
    """Installed versions by package, "" for what is not."""
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _coarse(number: str) -> str:
    """2.13.0+cpu and 2.13.1+cu130 draw alike: the same up to the second number."""
    return ".".join(number.partition("+")[0].split(".")[:2])


def _put_together(note: Note) -> list[str]:
    if not note.pairs or note.pairs[0].key:
        return []
    return [f"no picture was made with {note.pairs[0].text} together: put together, or by hand; a few cells would tell"]


def _few_seeds(note: Note) -> list[str]:
    few = [each for each in note.evidence if 0 < each.n < FEW]
    return [f"few seeds: {_named(each)} rests on {each.n}; add seeds ({FEW} or more) to its run" for each in few]


def _not_validated(note: Note) -> list[str]:
    lines = list(dict.fromkeys(each.validated for each in note.evidence if each.validated))
    if not any(each.votes for each in note.evidence):
        lines.append("no blind votes: measured, but nobody's eyes have decided")
    return lines


def _named(each: NoteEvidence) -> str:
    return f"the {each.kind.replace('-', ' ')} of run {each.run}"
