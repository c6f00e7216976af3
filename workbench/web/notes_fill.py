"""A form that starts from its checkpoint's note: what is filled in, what gives way, what is said of it.

Knows nothing about Gradio or about where notes lie. What a person typed, and what a picture brought, always stays.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from pydantic import JsonValue

from pipelines.draft import Draft
from pipelines.errors import InputError
from pipelines.foreign.mapping import plain
from workbench import notes
from workbench.notes import Note
from workbench.notes_told import canonical
from workbench.notes_trust import EVERYWHERE, differs
from workbench.web import brief as meaning
from workbench.web.answers import one_line
from workbench.web.brief import Brief
from workbench.web.layout import Lookup
from workbench.web.notes_answers import here
from workbench.web.offer import Offer

FORBIDDEN = "light.forbidden"
FILLED = ("light", "steps", "guidance", "scheduler", "negative", FORBIDDEN)
"""What a note can fill in, in the order in which it is told."""
DEMO = "only the demo"
"""Begins what is said of the demo's own checkpoints, whose names say it in the form already."""
AROUND_PLATEAU, PLATEAU_STEP = 8, 4  # steps: wide enough to see both sides of a plateau in five values
FINE, FINE_SPAN = 0.5, 3.0  # guidance: half steps in a narrow window, so that an axis has about seven values


@dataclass(frozen=True)
class Given:
    """What notes have filled in since a person or a picture last said it, as (field, text): it gives way to another."""

    values: frozenset[tuple[str, str]] = frozenset()


def filled(brief: Brief, given: Given, offer: Offer) -> tuple[Brief, Given]:
    """The form as a person means it who has just chosen its checkpoint, and what the note gave.

    What came from another checkpoint's note gives way; what is not said is taken from this one's. A note that cannot be
    read fills in nothing.
    """
    bare = brief
    for name in FILLED:
        if (name, _value(brief, name)) in given.values:
            bare = _with(bare, {name: ""})
    try:
        note = _note(brief.checkpoint)
    except InputError:
        note = None
    taken = _taken(note, bare, offer) if note else {}
    return _with(bare, taken), Given(given.values | frozenset(taken.items()))


def line(brief: Brief, offer: Offer, lookup: Lookup) -> dict[str, JsonValue]:
    """What is said under the checkpoint, as `page/line.js` draws it; {} where there is no note."""
    try:
        note = _note(brief.checkpoint)
    except InputError as error:
        fault = f"its note is left out: {one_line(str(error))}"
        return {"text": fault, "is_fault": True, "label": "Notes", "tab": "notes"}
    if note is None:
        return {}
    is_its_light = not brief.prompt.strip() and brief.light in note.lights[:1]
    said = _taken(note, _with(brief, dict.fromkeys(FILLED if is_its_light else FILLED[1:], "")), offer)
    taken = [_words(name, text, note) for name, text in said.items() if _value(brief, name) == text]
    typed = [f"{_name(name)} {now}" for name in said if (now := _value(brief, name)) not in ("", said[name])]
    left = [_words(name, text, note) for name, text in said.items() if not _value(brief, name)]
    stay = "stay" if len(typed) > 1 or typed[:1] == [f"steps {brief.steps.strip()}"] else "stays"
    told = [f"from the note of {note.day}: {', '.join(taken)}" if taken else f"there is a note of {note.day}"]
    told += [f"your {' and '.join(typed)} {stay}"] if typed else []
    told += [f"not taken: {', '.join(left)}"] if left else []
    more: list[JsonValue] = [*_differs(note, brief, lookup)]
    return {"text": "; ".join(told), "label": "Note", "note": note.checkpoint, "more": more}


def examples(checkpoint: str) -> Mapping[str, str]:
    """Values of axes that the note makes worth trying: its window, and what lies around its plateau."""
    try:
        note = _note(checkpoint)
    except InputError:
        return {}
    found: dict[str, str] = {}
    if note and note.window and note.window.low is not None and note.window.high is not None:
        low, high = note.window.low, note.window.high
        step = FINE if high - low <= FINE_SPAN else 1
        found["guidance"] = f"{low:g}..{high:g}:{step:g}"
    if note and note.plateau:
        first = max(PLATEAU_STEP, note.plateau - AROUND_PLATEAU)
        found["steps"] = f"{first}..{note.plateau + AROUND_PLATEAU}:{PLATEAU_STEP}"
    return found


def _note(checkpoint: str) -> Note | None:
    return notes.nearest(canonical(checkpoint.strip())) if checkpoint.strip() else None


def _taken(note: Note, brief: Brief, offer: Offer) -> dict[str, str]:
    """What the note says and the form does not, by field, as text; only what this checkpoint hears."""
    draft, _ = notes.start_from(note, _draft(brief))
    said = {
        "light": draft.light if not brief.light else None,
        "steps": draft.steps if not brief.steps.strip() else None,
        "guidance": draft.guidance if not brief.guidance.strip() else None,
        "scheduler": draft.scheduler if not brief.scheduler.strip() else None,
        "negative": draft.negative if not brief.negative.strip() else None,
        FORBIDDEN: draft.value(FORBIDDEN) if not _value(brief, FORBIDDEN) else None,
    }
    return {
        name: value if isinstance(value, str) else plain(value)
        for name, value in said.items()
        if value not in (None, "") and meaning.is_heard(name, brief, offer)
    }


def _draft(brief: Brief) -> Draft:
    """What the form says, as far as a note asks: a field that says anything is said, whatever it is."""
    said = {name: 1 for name in ("steps", "guidance") if getattr(brief, name).strip()}
    words = {name: text for name in ("scheduler", "negative") if (text := getattr(brief, name).strip())}
    fields = {FORBIDDEN: text} if (text := _value(brief, FORBIDDEN)) else {}
    prompt = {"light": brief.light} if brief.light else {"prompt": brief.prompt.strip()}
    return Draft.said({"checkpoint": brief.checkpoint, **said, **words, **prompt, **fields})


def _value(brief: Brief, name: str) -> str:
    return brief.said_of_light.get("forbidden", "") if name == FORBIDDEN else str(getattr(brief, name)).strip()


def _with(brief: Brief, changes: Mapping[str, str]) -> Brief:
    plain_fields = {name: text for name, text in changes.items() if name != FORBIDDEN}
    if FORBIDDEN not in changes or changes[FORBIDDEN] == _value(brief, FORBIDDEN):
        return replace(brief, **plain_fields)  # type: ignore[arg-type]  # all of them are texts
    kept = {name: text for name, text in brief.said_of_light.items() if name != "forbidden"}
    fields = kept | ({"forbidden": changes[FORBIDDEN]} if changes[FORBIDDEN] else {})
    text = json.dumps(fields, ensure_ascii=False) if fields else ""
    return replace(brief, light_fields=text, **plain_fields)  # type: ignore[arg-type]


def _words(name: str, text: str, note: Note) -> str:
    """A value as it is told; of what is forbidden the note's own words, beside which a light has its own."""
    if name == FORBIDDEN:
        return f"forbidden {'; '.join(note.forbid)}"
    return f"{text} steps" if name == "steps" else text if name == "scheduler" else f"{_name(name)} {text}"


def _name(name: str) -> str:
    return "forbidden" if name == FORBIDDEN else name


def _differs(note: Note, brief: Brief, lookup: Lookup) -> Sequence[str]:
    """What is not here as it was there, but that it is the demo."""
    is_afar = any(set(each.devices) - set(EVERYWHERE) for each in note.evidence)
    lines = differs(note, here(brief.checkpoint.strip(), lookup), devices=_cards() if is_afar else ())
    return [each for each in lines if not each.startswith(DEMO)]


@cache
def _cards() -> tuple[str, ...]:
    """GPUs of this machine, asked once: the form is told at every key."""
    from workbench.doctor_machine import cards

    return tuple(card["name"] for card in cards())
