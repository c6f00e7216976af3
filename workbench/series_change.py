"""One change against the pilot -> the Draft that means it. Knows nothing about files, runs or pictures.

With a light template: pose and action go behind the subject ("a woman, looking up"), framing is the template's `shot`
with the camera moved so that the lens stays, age is `age_years` with the texture language of that age.
A pilot without a template is one prompt: pose, action and age go behind its first phrase, framing into its head.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from pipelines import prompts
from pipelines.draft import LIGHT, Draft
from pipelines.errors import InputError
from pipelines.light import KINDS as LIGHT_KINDS
from pipelines.light import Light, Shot, framed_cm, implied_focal_mm
from pipelines.recipe import FamilyName
from sweeps.axes import KINDS, Axis
from sweeps.ranges import Value
from workbench.series import CHANGED, Changed

ALLOWED = "subject, pose, framing or action"
SHOTS: tuple[Shot, ...] = get_args(Shot)
HEAD = re.compile(r"^(?:[\w-]+ ){0,3}?(?:portrait|photo|photograph|headshot)(?: photo| photograph)? of ", re.IGNORECASE)
OWN_AGE = re.compile(
    r"\b\d{1,3}[ -]years?\b|\bage[d]? \d|\b\d{2} years\b|\bin (?:her|his|their) [\w]+ties\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Change:
    """One thing that differs from the pilot, in a person's words ("" for a seed)."""

    what: Changed
    said: str = ""


def only_change(given: Mapping[Changed, Sequence[str]], further: Sequence[str]) -> tuple[Change, ...]:
    """What was asked for: one thing, in one or several wordings; a seed alone is another take of the pilot.

    `further` are words of the command line that mean nothing here. Raises InputError for two things, and for what is
    frozen.
    """
    if further:
        raise InputError(_refused(further[0]))
    said = [what for what in CHANGED if given.get(what)]
    if len(said) > 1:
        raise InputError(
            f"{' and '.join(said)} are given; a picture of a series changes one thing against the pilot: "
            f"{ALLOWED}; make one, then the other"
        )
    if not said:
        return (Change("seed"),)
    return tuple(Change(said[0], text) for text in dict.fromkeys(given[said[0]]))


def changed(base: Draft, change: Change, family: FamilyName) -> Draft:
    """The pilot's draft with one thing changed; raises InputError for what cannot be said."""
    if change.what == "seed":
        return base
    if not change.said.strip():
        raise InputError(f"{change.what} is empty; say it in words")
    if change.what == "framing" and change.said not in SHOTS:
        raise InputError(f"framing {change.said!r} is not known; allowed: {', '.join(SHOTS)}")
    if change.what == "age":
        _refuse_age(base, change.said)
    light = light_of(base)
    return _by_words(base, change, family) if light is None else _by_light(base, change, light)


def light_of(base: Draft) -> Light | None:
    """The filled template of a draft; None where its prompt is written by hand. Raises InputError."""
    return prompts.resolve(base.light, base.subject or "", dict(base.light_fields)) if base.light else None


def frozen_light(base: Draft, light: Light) -> Draft:
    """The draft with every field of a light said, so that editing the template does not change a series."""
    values = {name: getattr(light, name) for name in prompts.FIELDS}
    said = {f"{LIGHT}{name}": _said(value) for name, value in values.items() if value not in (None, ())}
    return base.but(prompt="", light=light.name, subject=light.subject).with_values(said)


def axis_of(drafts: Sequence[Draft], base: Draft) -> Axis | None:
    """Drafts that differ as one axis, along which all that differs walks together; None for one draft."""
    if len(drafts) < 2:
        return None
    fields = tuple(field for field in KINDS if any(draft.value(field) != base.value(field) for draft in drafts))
    return Axis(fields=fields, values=tuple(tuple(_value(draft, field) for field in fields) for draft in drafts))


def _by_light(base: Draft, change: Change, light: Light) -> Draft:
    if change.what == "subject":
        return base.but(subject=change.said)
    if change.what == "framing":
        return base.with_values({f"{LIGHT}shot": change.said, **_stepped_back(light, change.said)})
    if change.what == "age":
        return base.with_values({f"{LIGHT}age_years": change.said, **_texture_of(change.said)})
    return base.but(subject=f"{light.subject}, {change.said}")


def _stepped_back(light: Light, shot: str) -> dict[str, str]:
    """The camera moved so that the same lens frames another shot; empty where its place is not said."""
    wanted = next(each for each in SHOTS if each == shot)
    away = light.camera_distance_m
    if away is None:
        return {}
    cm = framed_cm(wanted, light.margin_percent)
    if light.shot:
        away *= cm / framed_cm(light.shot, light.margin_percent)
    elif focal := implied_focal_mm(light):
        away = focal * cm / 3600  # 36 mm upright, as `light.implied_focal_mm`
    return {f"{LIGHT}camera_distance_m": f"{away:.2g}"}


def _texture_of(years: str) -> dict[str, str]:
    """The texture language of an age, from the template `age-YEARS` where there is one; else the pilot's stays."""
    name = f"age-{years}"
    texture = prompts.resolve(name, "", {}).texture if name in prompts.names() else None
    return {f"{LIGHT}texture": texture} if texture else {}


def _by_words(base: Draft, change: Change, family: FamilyName) -> Draft:
    if change.what == "subject":
        raise InputError(
            "this pilot has no light template, so nothing tells its subject from its light; change pose, framing or "
            "action, or begin the series from a picture made with --light"
        )
    style = prompts.style_of(family)
    if change.what == "framing":
        return base.but(prompt=_framed(base.prompt, str(prompts.wording()["choices"]["shot"][change.said][style])))
    aged = f"age {change.said}" if style == "tags" else f"about {change.said} years of age"
    return base.but(prompt=_behind_head(base.prompt, aged if change.what == "age" else change.said))


def _framed(prompt: str, shot: str) -> str:
    for known in prompts.wording()["choices"]["shot"].values():
        for phrase in known.values():
            if prompt.lower().startswith(phrase.lower()):
                return shot + prompt[len(phrase) :]
    head = HEAD.match(prompt)
    return f"{shot} of {prompt[head.end() :]}" if head else _behind_head(prompt, shot)


def _behind_head(prompt: str, words: str) -> str:
    """Behind the first phrase, which says who it is."""
    end = found.start() if (found := re.search(r"[,.]", prompt)) else len(prompt)
    return f"{prompt[:end]}, {words}{prompt[end:]}"


def _refuse_age(base: Draft, years: str) -> None:
    if not years.isdecimal() or not 1 <= int(years) <= 110:
        raise InputError(f"age {years!r} must be whole years, 1 to 110")
    words = base.subject or base.prompt
    if OWN_AGE.search(words):
        raise InputError(
            f"the pilot's words say an age of their own ({words[:60]!r}); begin a series from a pilot without one"
        )


def _refused(word: str) -> str:
    field = word.lstrip("-").partition("=")[0].replace("-", "_")
    field = field if field in KINDS else f"{LIGHT}{field.partition('.')[2]}" if field.startswith("light.") else field
    if field in KINDS:
        return (
            f"{field} is frozen by the pilot; a picture of a series may change {ALLOWED}; begin another series for it"
        )
    return f"{word} is not known here; a picture of a series may change {ALLOWED}"


def _said(value: object) -> str:
    """A field of a light as a person writes it."""
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _value(draft: Draft, field: str) -> Value:
    """As an axis holds it: the fields of a light are text in a draft."""
    value = draft.value(field)
    is_number = field.startswith(LIGHT) and LIGHT_KINDS[field.removeprefix(LIGHT)] == "number"
    return float(value) if is_number else value
