"""A note changed by hand on the page: texts by field, read as the command line reads its flags.

Knows nothing about HTTP or files.
"""

import re
from collections.abc import Mapping
from typing import Any

from pipelines import schedulers
from pipelines.errors import InputError
from workbench.notes import Note, Pair
from workbench.notes_set_command import SAYING, by_hand, cleared

FIELDS = ("pairs", "window", "plateau", "lights", "forbid", "remarks")
"""What can be changed by hand; evidence and weights come from runs."""
FLAGS = {"lights": "light", "forbid": "forbid", "remarks": "remark"}
USUAL_STEPS = 30  # for asking whether a scheduler can go, where the pair leaves the steps to the checkpoint


def changed(note: Note, texts: Mapping[str, str]) -> Note:
    """The note with these fields as their texts say; an empty text empties the field.

    Raises InputError: the field, what was given, what is allowed.
    """
    if strange := [name for name in texts if name not in FIELDS]:
        raise InputError(f"{strange[0]} cannot be changed by hand; allowed: {', '.join(FIELDS)}")
    for name in FIELDS:
        if name in texts:
            note = _with(note, name, texts[name].strip())
    return note


def _with(note: Note, name: str, text: str) -> Note:
    emptied = cleared(note, [name])
    if not text.strip(" .\n"):
        return emptied
    match name:
        case "pairs":
            lines = filter(None, map(str.strip, text.splitlines()))
            return note.but(pairs=tuple(_pair(note, line) for line in lines))
        case "plateau":
            return note.but(plateau=text)
        case "window":
            return _said(emptied, window=text)
        case _:
            return _said(emptied, **{FLAGS[name]: [line for line in text.splitlines() if line.strip()]})


def _said(note: Note, **said: Any) -> Note:
    """As `sidelight notes set` does it, whose refusals begin with the flag."""
    try:
        return by_hand(note, {**dict.fromkeys(SAYING), **said})
    except InputError as error:
        raise InputError(str(error).removeprefix("--")) from None


def _pair(note: Note, line: str) -> Pair:
    """`24 steps, guidance 4.5, euler`, in any order, what is not said left out; keeps the picture of equal settings."""
    said: dict[str, str] = {}
    for part in filter(None, map(str.strip, line.split(","))):
        name, value = _setting(part)
        if name in said:
            raise InputError(f"pairs {line!r}: says {name} twice; write one line for each pair")
        said[name] = value
    pair = Pair.read(said)
    if there := next((each for each in note.pairs if each.settings == pair.settings), None):
        return there
    if pair.scheduler:
        choice = schedulers.named(pair.scheduler)
        steps = pair.steps or note.plateau or USUAL_STEPS
        schedulers.check(choice, family=note.family, mode="text-to-image", spacing=None, steps=steps)
    return pair


def _setting(part: str) -> tuple[str, str]:
    if found := re.fullmatch(r"(.+?)\s+steps?", part):
        return "steps", found[1]
    if found := re.fullmatch(r"guidance\s+(.+)", part):
        return "guidance", found[1]
    return "scheduler", part
