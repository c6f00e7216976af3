"""What stands in the form of the Create tab, and which Draft, Sweep or flags it means. Knows nothing about Gradio.

A Brief is text as a person typed it; "" means "as the checkpoint likes it".
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pipelines import prompts
from pipelines.draft import LIGHT, Draft
from pipelines.errors import InputError, SweepError
from pipelines.foreign.mapping import plain
from pipelines.prompts import Light, Words
from pipelines.recipe import FamilyName
from sweeps import axes as grammar
from sweeps.ranges import label
from sweeps.sweep import Sweep, from_flags
from workbench.web.offer import Offer, exists

MOST_UNDONE = 30
BURST_SECONDS = 1.0
EMPTY = '""'
"""How the empty negative is written, which on SDXL is another picture than none."""
MOST_PICTURES = 8
SEED_BITS = 32  # a seed that people can read out to each other; larger ones are taken as they are
AS_TYPED = ("width", "height", "steps", "guidance", "true_guidance", "guidance_interval", "clip_skip", "text_tokens")
"""Numbers, given to the grammar of axes as they were typed."""
ONE_NUMBER = ("width", "height", "steps", "guidance", "true_guidance", "clip_skip", "text_tokens", "strength")
START, REFERENCE = "0.6", "0.5"
"""Strength with which a picture is handed on: made again on its own base, or only pulled towards its texture."""


@dataclass(frozen=True)
class Brief:
    """The form's values in its own order. `light_fields` is a JSON object; `start` and `mask` are paths on this disk.

    With a light, `subject` is said and `prompt` is not; `keep_seed` is whether the next picture has this seed too.
    """

    checkpoint: str = ""
    light: str = ""
    light_fields: str = ""
    subject: str = ""
    prompt: str = ""
    negative: str = ""
    width: str = ""
    height: str = ""
    seed: str = ""
    keep_seed: bool = False
    pictures: int = 1
    steps: str = ""
    guidance: str = ""
    scheduler: str = ""
    loras: str = ""
    true_guidance: str = ""
    guidance_interval: str = ""
    clip_skip: str = ""
    spacing: str = ""
    text_tokens: str = ""
    start: str = ""
    strength: str = REFERENCE
    mask: str = ""

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Brief":
        """A Brief of the form's values, whatever a browser sends in their place."""
        said = {each.name: _typed(each.default, value) for each, value in zip(fields(cls), values, strict=True)}
        return cls(**said)

    @classmethod
    def kept(cls, values: Any) -> "Brief":
        """What a browser kept of a form; what is of another kind, or names a file that is gone, is left out."""
        known = values if isinstance(values, dict) else {}
        said = {each.name: _typed(each.default, known.get(each.name)) for each in fields(cls)}
        brief = cls(**said)
        return brief if exists(brief.start) else replace(brief, start="", mask="")

    @property
    def values(self) -> tuple[Any, ...]:
        """In the form's order."""
        return tuple(getattr(self, each.name) for each in fields(self))

    @property
    def said_of_light(self) -> dict[str, str]:
        """The fields of the light that are said otherwise than in its template."""
        try:
            said = json.loads(self.light_fields or "{}")
        except (ValueError, RecursionError):
            return {}
        if not isinstance(said, dict):
            return {}
        return {str(name): text.strip() for name, text in said.items() if isinstance(text, str) and text.strip()}


FIRST = Brief(light="window", subject="a woman with short grey hair")
"""What stands in the form the first time, so that Make makes a picture at once."""
NAMES = tuple(each.name for each in fields(Brief))


def _typed(default: Any, value: Any) -> Any:
    if isinstance(default, bool):
        return value is True
    if isinstance(default, int):
        is_count = isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= MOST_PICTURES
        return int(value) if is_count else default
    return default if value is None else str(value)


def given(brief: Brief, offer: Offer) -> dict[str, list[str]]:
    """The text of every flag, by field; what the checkpoint's family lacks and what is left to it is not there."""
    said = {"checkpoint": brief.checkpoint.strip(), **_words(brief, offer)}
    said |= {name: getattr(brief, name).strip() for name in AS_TYPED}
    said |= {name: getattr(brief, name).strip() for name in ("seed", "scheduler", "spacing")}
    if brief.start:
        said |= {"start": brief.start, "strength": brief.strength.strip(), "mask": brief.mask}
    heard = {name: text for name, text in said.items() if text.strip() and is_heard(name, brief, offer)}
    flags = {name: [text] if name in (*AS_TYPED, "seed", "strength") else _exact(name, text)
             for name, text in heard.items()}  # fmt: skip
    if loras := brief.loras.strip():
        flags["loras"] = [loras]
    return flags


def is_heard(name: str, brief: Brief, offer: Offer) -> bool:
    """Whether a field does anything for this checkpoint: on FLUX.1 a negative does only beside true guidance."""
    if offer.family == "flux" and name in ("negative", "guidance_interval"):
        return name in offer.fields and brief.true_guidance.strip() not in ("", "1", "1.0")
    return name in offer.fields or name not in _OF_A_FAMILY


_OF_A_FAMILY = frozenset({"guidance", "true_guidance", "negative", "guidance_interval", "clip_skip", "spacing",
                          "text_tokens", "strength", "start", "mask"})  # fmt: skip


def _words(brief: Brief, offer: Offer) -> dict[str, str]:
    """Prompt, or light with subject; and the negative, which takes the place of what the light forbids."""
    said = {"prompt": brief.prompt}
    if brief.light:
        said = {"light": brief.light, "subject": brief.subject.strip()}
        said |= {LIGHT + name: text for name, text in brief.said_of_light.items()}
    return said | {"negative": brief.negative}


def _exact(name: str, text: str) -> list[str]:
    """The text as one value of the grammar: commas, quotes and @ in it mean themselves."""
    if name.startswith(LIGHT) and grammar.KINDS.get(name) == "number":
        return [text]
    return grammar.write_values(name, ["" if name == "negative" and text.strip() == EMPTY else text])


def sweep(brief: Brief, offer: Offer) -> Sweep:
    """What Make asks for: one picture, or several with the seeds counted up. Raises InputError."""
    asked = given(brief, offer)
    _refuse_words(asked)
    if brief.pictures > 1:
        asked["seed"] = [_counted(brief.seed.strip() or "0", brief.pictures)]
    made = from_flags(name_of(brief), asked)
    for axis in made.axes:
        if axis.name != "seed":
            text = ", ".join(asked.get(axis.name, [axis.name]))
            raise SweepError(
                f"{axis.name} {text!r} means {len(axis.values)} values, and here one is set; write a point in a "
                "decimal number, and vary values in the Sweep tab"
            )
    return made


def _refuse_words(asked: Mapping[str, Sequence[str]]) -> None:
    """Raise SweepError for a number without a digit; the grammar's own advice would be a range."""
    for name in (*ONE_NUMBER, "seed"):
        for text in asked.get(name, ()):
            if not any(map(str.isdigit, text)):
                raise SweepError(f"{name} {text!r} is no number; write one, or nothing for what is usual")


def _counted(first: str, pictures: int) -> str:
    if not (first.isascii() and first.isdigit()):
        raise SweepError(f"seed {first!r} is no whole number; give one from 0 to {2**64 - 1}")
    last = int(first) + pictures - 1
    if last >= 2**64:
        raise SweepError(f"seed {first} and {pictures - 1} after it go beyond {2**64 - 1}; give a smaller one")
    return f"{int(first)}..{last}"


def name_of(brief: Brief) -> str:
    """What the run is called: the light and who is lit, or how the prompt begins."""
    words = [brief.light, *brief.subject.split()] if brief.light else brief.prompt.split()
    return " ".join(" ".join(words).split()[:7])[:60].strip() or "picture"


def new_seed() -> str:
    """A seed by chance."""
    return str(secrets.randbits(SEED_BITS))


def words_of(brief: Brief, offer: Offer, family: FamilyName) -> Words:
    """Prompt and negative exactly as they are sent to this family; raises InputError."""
    negative = brief.negative if is_heard("negative", brief, offer) else ""
    said = ("" if negative.strip() == EMPTY else negative) if negative.strip() else None
    if not brief.light:
        return Words(brief.prompt, said)
    light = prompts.resolve(brief.light, brief.subject.strip(), brief.said_of_light)
    words = prompts.words(light, family)
    return words if said is None else Words(words.prompt, said)


def of_draft(draft: Draft, light: Light | None, brief: Brief, *, family: FamilyName | None) -> Brief:
    """The form that asks for this draft. `light` is what its prompt was written with, and stays so where it can."""
    said = _lit(light, draft, family) if light and family else {"light": "", "light_fields": "", "prompt": draft.prompt}
    numbers = {name: "" if (value := getattr(draft, name)) is None else plain(value) for name in
               ("width", "height", "steps", "guidance", "strength")}  # fmt: skip
    others = {name: _unless_neutral(draft, name) for name in ("true_guidance", "clip_skip", "text_tokens")}
    low, high = draft.guidance_interval
    return replace(
        brief,
        **{"negative": "" if draft.negative is None else draft.negative or EMPTY, "subject": "", **said},
        **numbers | others | {"strength": numbers["strength"] or REFERENCE},
        checkpoint=draft.checkpoint,
        seed=str(draft.seed),
        keep_seed=True,
        pictures=1,
        scheduler=draft.scheduler or "",
        loras="" if draft.loras in (None, "none") else str(draft.loras),
        guidance_interval="" if (low, high) == (0.0, 1.0) else label((low, high)),
        spacing=draft.spacing or "",
        start=draft.start or "",
        mask=draft.mask or "",
    )


def _unless_neutral(draft: Draft, name: str) -> str:
    value = getattr(draft, name)
    return "" if value in (None, Draft.model_fields[name].default, 0) else plain(value)


def _lit(light: Light, draft: Draft, family: FamilyName) -> dict[str, str]:
    """Light, subject and changed fields where these still write the same prompt; else the prompt as text."""
    plain_text = {"light": "", "light_fields": "", "prompt": draft.prompt}
    template = prompts.templates().get(light.name)
    if template is None:
        return plain_text
    changed = {
        name: _field_text(value)
        for name in prompts.FIELDS
        if (value := getattr(light, name)) != getattr(template, name)
    }
    try:
        words = prompts.words(prompts.resolve(light.name, light.subject, changed), family)
    except InputError:
        return plain_text
    if words.prompt != draft.prompt:
        return plain_text
    said = {"light": light.name, "subject": light.subject, "light_fields": json.dumps(changed) if changed else ""}
    return said | ({"negative": ""} if words.negative == draft.negative else {})


def _field_text(value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return plain(value) if isinstance(value, int | float) else str(value)


def refuse_elsewhere(path: str, folders: Sequence[Path]) -> None:
    """Raise InputError for a start image that is neither one of a run here nor one that was dropped on the page."""
    if path and not any(Path(path).resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise InputError("the start image is neither a picture of a run here nor one that was dropped; drop it again")


@dataclass(frozen=True)
class Past:
    """The form as it was after every change, the last one as it is now; `at` is when that was looked at (seconds).

    What changes within BURST_SECONDS is one change: a word that is typed, or the fields that one picture fills.
    """

    forms: tuple[tuple[Any, ...], ...] = ()
    at: float = float("-inf")

    def with_now(self, form: tuple[Any, ...], at: float) -> "Past":
        """The past with the form as it is at that time."""
        if self.forms[-1:] == (form,):
            return replace(self, at=at)
        is_burst = len(self.forms) > 1 and at - self.at < BURST_SECONDS
        before = self.forms[:-1] if is_burst else self.forms
        return Past((*before, form)[-MOST_UNDONE:], at)
