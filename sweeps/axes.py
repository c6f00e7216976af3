"""Axes: what a person writes to vary a field -> exact values. Knows nothing about sweeps, checkpoints or pictures.

One grammar for command line, file and page; `grammar()` is its only description. Values are fractions until the end,
so that what was asked is what is run: nothing is rounded, no range goes past its end.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from pipelines.draft import Draft
from pipelines.errors import InputError, SweepError
from pipelines.frozen import Frozen

Kind = Literal["whole", "number", "name", "path", "text", "span"]
Value = int | float | str | tuple[float, float]

KINDS: Mapping[str, Kind] = {
    "checkpoint": "name",
    "prompt": "text",
    "negative": "text",
    "seed": "whole",
    "width": "whole",
    "height": "whole",
    "steps": "whole",
    "guidance": "number",
    "true_guidance": "number",
    "guidance_interval": "span",
    "scheduler": "name",
    "spacing": "name",
    "clip_skip": "whole",
    "text_tokens": "whole",
    "variation": "whole",
    "start": "path",
    "strength": "number",
    "mask": "path",
}
"""What every field of a Draft takes."""

MOST_VALUES = 10_000  # of one axis: more is a slip of the finger, found before memory is full
LARGEST = 10**100  # of a number: far beyond every field, well inside what a float holds
FORMS: tuple[tuple[str, str], ...] = (
    ("2,3.5,5", "these values; numbers and names"),
    ('euler,"a name, with comma"', "quotes keep a comma; a quote inside is doubled"),
    ("2..9:1", "from 2 to 9 in steps of 1; stops before 9 where the step does not land on it"),
    ("9..2:1", "downwards"),
    ("2..9", "steps of 1"),
    ("2..9/8", "8 values from 2 to 9"),
    ("1-5", "A1111: steps of 1"),
    ("1-5 (+2)", "A1111: steps of 2"),
    ("1-10 [4]", "A1111: 4 values"),
    ("1,2,..,10", "SwarmUI: goes on as it began"),
    ("2..4:1,7", "mixtures"),
    ("2,SKIP:3,4", "left out for now"),
)
"""How values are written, and what each form means."""

NUMBER = r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?"
PLAIN = re.compile(rf"{NUMBER}|[+-]?\.[0-9]{{1,40}}")
RANGE = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})(?:\s*:\s*({NUMBER})|\s*/\s*([0-9]{{1,9}}))?")
A1111_RANGE = re.compile(rf"({NUMBER})\s*-\s*({NUMBER})(?:\s*\(\s*({NUMBER})\s*\)|\s*\[\s*([0-9]{{1,9}})\s*\])?")
SDNEXT_RANGE = re.compile(rf"({NUMBER})\s*-\s*({NUMBER})\s*:\s*({NUMBER})")
SPAN = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})")
ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]*?))\s*(,|\Z)')


class Axis(Frozen):
    """A field that varies, or several that walk together: one tuple of values a step, one value a field."""

    fields: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]

    @model_validator(mode="after")
    def _makes_sense(self) -> "Axis":
        for field in self.fields:
            kind_of(field)
        if len(set(self.fields)) < max(1, len(self.fields)):
            raise SweepError(f"axis {self.name or 'without field'}: an axis needs fields, each of them once")
        if any(len(step) != len(self.fields) for step in self.values):
            raise SweepError(f"axis {self.name}: every step needs {len(self.fields)} values, one for each field")
        if len(self.values) < 2:
            raise SweepError(f"axis {self.name} has {len(self.values)} values; an axis needs two, one value is no axis")
        if len(set(self.values)) < len(self.values):
            twice = next(at for at, step in enumerate(self.values) if step in self.values[:at])
            raise SweepError(f"{self.name} {self.labels[twice]} stands there twice; leave one out")
        return self

    @property
    def name(self) -> str:
        """The field, or the fields joined by commas."""
        return ", ".join(self.fields)

    @property
    def labels(self) -> tuple[str, ...]:
        """Every step as a person writes it."""
        return tuple(", ".join(map(label, step)) for step in self.values)


class Replace(Frozen):
    """Words of prompt and negative that vary: `old` as it stands first, then each of `new` in its place."""

    old: str
    new: tuple[str, ...]

    @model_validator(mode="after")
    def _makes_sense(self) -> "Replace":
        if not self.old or not self.new:
            raise SweepError(f"replace {self.old!r}: needs words to find and words to put there, as in {REPLACE_FORM}")
        words = (self.old, *self.new)
        for at, word in enumerate(words):
            if word in words[:at]:
                raise SweepError(
                    f"replace {self.old!r}: {word!r} stands there twice (the old words always run); leave one out"
                )
        return self

    @property
    def name(self) -> str:
        """The words that are replaced, in quotes."""
        return f"replace {self.old!r}"

    @property
    def values(self) -> tuple[tuple[str], ...]:
        """What stands in place of the old words, step by step."""
        return tuple((word,) for word in (self.old, *self.new))

    @property
    def labels(self) -> tuple[str, ...]:
        """The words of every step."""
        return tuple(label(word) for (word,) in self.values)


REPLACE_FORM = "'freckles => scar | moles'"


def grammar() -> str:
    """The grammar of values as a person reads it in --help, README and the page."""
    width = max(len(form) for form, _ in FORMS) + 2
    lines = [f"  {form:<{width}}{meaning}" for form, meaning in FORMS]
    return "\n".join(
        [
            "Values of an axis:",
            *lines,
            "A flag with one value sets it for all pictures, with more it becomes an axis; given again it adds values.",
            "prompt, negative: a text a flag, or @FILE with one a line (blank lines and # lines are skipped; @@ is @).",
            "guidance_interval: begin..end, as in 0..1,0.2..0.8.",
            f"--replace {REPLACE_FORM}: these words of prompt and negative vary; the old ones run first.",
            '--zip "width, height": these axes walk together.',
        ]
    )


def kind_of(field: str) -> Kind:
    """What a field takes; raises SweepError for an unknown one."""
    if field not in KINDS:
        raise SweepError(f"{field} is no field of a recipe; allowed: {', '.join(KINDS)}")
    return KINDS[field]


def read_values(field: str, texts: Sequence[str], *, beside: Path = Path()) -> tuple[Value, ...]:
    """The values that `texts` (one for each time a flag is given) mean for this field, in order.

    `@FILE` and relative paths are looked for in `beside`. Raises SweepError: what was given, where, and what to write.
    """
    kind, values = kind_of(field), list[Value]()
    for text in texts:
        if kind == "text":
            values += _texts(field, text, beside)
        elif kind in ("whole", "number"):
            values += [_exact(field, kind, value, text) for value in _numbers(field, kind, text)]
        elif kind == "path":
            values += [str(beside / Path(item).expanduser()) for item in _items(field, text)]
        else:
            values += [_span(field, item) if kind == "span" else item for item in _items(field, text)]
    if not values:
        raise SweepError(f"{field} {', '.join(texts)!r} leaves no value; give at least one")
    for value in values:
        _check(field, value)
    return tuple(values)


def write_values(field: str, values: Sequence[Value]) -> list[str]:
    """Texts that `read_values` reads as exactly these values: a range where five or more of them make one."""
    kind = kind_of(field)
    if kind == "text":
        return [f"@{value}" if str(value).startswith("@") else str(value) for value in values]
    written = [_quoted(str(value)) if kind in ("name", "path") else label(value) for value in values]
    if kind in ("whole", "number") and len(values) >= 5:
        first, second, last = (Fraction(written[at]) for at in (0, 1, -1))
        as_range = f"{written[0]}..{written[-1]}:{_decimal(abs(second - first))}"
        steps = [first + at * (second - first) for at in range(len(values))]
        if steps == list(map(Fraction, written)) and second != first and steps[-1] == last:
            return [as_range]
    return written


def read_replace(text: str) -> Replace:
    """`old => new1 | new2`; raises SweepError."""
    old, arrow, new = text.partition("=>")
    if not arrow:
        raise SweepError(f"replace {text!r}: => is missing; write {REPLACE_FORM}")
    return Replace(old=old.strip(), new=tuple(word.strip() for word in new.split("|")))


def zipped(values: Mapping[str, Sequence[Value]], fields: Sequence[str]) -> Axis:
    """One axis of several fields that walk together; `values` holds what was read for each; raises SweepError."""
    given = ", ".join(fields)
    several = [field for field in values if len(values[field]) > 1]
    if len(fields) < 2 or len(set(fields)) < len(fields) or not set(fields) <= set(several):
        there = ", ".join(several) or "none"
        raise SweepError(f"zip '{given}': needs two or more fields with several values, each once; there are: {there}")
    if len({len(values[field]) for field in fields}) > 1:
        lengths = ", ".join(f"{field} {len(values[field])}" for field in fields)
        raise SweepError(f"zip '{given}': the fields must have equally many values, but have: {lengths}")
    return Axis(fields=tuple(fields), values=tuple(zip(*(values[field] for field in fields), strict=True)))


def label(value: Value) -> str:
    """A value as a person writes it: 2 for 2.0, 0..0.6 for a span."""
    if isinstance(value, tuple):
        return f"{label(value[0])}..{label(value[1])}"
    if isinstance(value, float):
        exact = Decimal(repr(value)).normalize() + 0  # + 0 turns -0 into 0
        return f"{exact:f}" if exact.adjusted() > -7 else str(exact)
    return str(value) or "(empty)"


def _texts(field: str, text: str, beside: Path) -> list[str]:
    if text.startswith("@@") or not text.startswith("@"):
        return [text.removeprefix("@")]
    path = beside / Path(text[1:]).expanduser()
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise SweepError(
            f"{field} {text}: cannot be read ({error.strerror}); give a file with one {field} a line"
        ) from None
    except UnicodeDecodeError:
        raise SweepError(f"{field} {text}: is no UTF-8 text; save it as UTF-8, one {field} a line") from None
    stripped = [line.strip() for line in lines]
    if found := [line for line in stripped if line and not line.startswith("#")]:
        return found
    raise SweepError(f"{field} {text}: holds no line with text; write one {field} a line")


def _items(field: str, text: str) -> list[str]:
    """The values between the commas, without those marked SKIP:."""
    found, at, more = list[str](), 0, True
    while more:
        match = ITEM.match(text, at)
        if match is None:
            raise SweepError(f'{field} {text!r}: a quote is not closed or stands inside a value; write "a ""b"", c"')
        quoted, plain = match.group(1), match.group(2)
        item = plain if quoted is None else quoted.replace('""', '"')
        if not item:
            raise SweepError(f"{field} {text!r}: a value is empty; take out the comma too much or write the value")
        if quoted is not None or not item.startswith("SKIP:"):
            found.append(item)
        at, more = match.end(), match.group(3) == ","
    return found


def _quoted(name: str) -> str:
    plain = name == name.strip() and not name.startswith("SKIP:") and not set(name) & set(',"')
    return name if plain else '"' + name.replace('"', '""') + '"'


def _span(field: str, item: str) -> tuple[float, float]:
    match = SPAN.fullmatch(item)
    if match is None:
        raise SweepError(f"{field} {item!r}: is no span; write begin..end, as in 0..0.6")
    low, high = (_exact(field, "number", Fraction(end), item) for end in match.groups())
    return float(low), float(high)


def _numbers(field: str, kind: Kind, text: str) -> list[Fraction]:
    items, found = _items(field, text), list[Fraction]()
    rest = iter(items)
    for item in rest:
        if item in ("..", "..."):
            end = next(rest, "")
            if len(found) < 2 or not PLAIN.fullmatch(end):
                raise SweepError(f"{field} {text!r}: '..' needs two values before it and one after, as in 1,2,..,10")
            step = found[-1] - found[-2]
            found += _by_step(field, found[-1], Fraction(end), step, True, text)[1:]
        elif PLAIN.fullmatch(item):
            found.append(Fraction(item))
        else:
            found += _range(field, kind, item)
        if len(found) > MOST_VALUES:
            raise _too_many(field, text)
    return found


def _range(field: str, kind: Kind, item: str) -> list[Fraction]:
    if match := SDNEXT_RANGE.fullmatch(item):
        low, high, by = match.groups()
        raise SweepError(
            f"{field} {item!r} means different things in different tools; "
            f"write {low}..{high}:{by} for steps of {by}, or {low}..{high}/{by} for {by} values"
        )
    match = RANGE.fullmatch(item) or A1111_RANGE.fullmatch(item)
    if match is None:
        raise SweepError(
            f"{field} {item!r}: is no number or range; write 2,3.5 or 2..9:1 (in ones) or 2..9/8 (8 values)"
        )
    first, last, step, count = match.groups()
    if count is not None:
        return _by_count(field, kind, Fraction(first), Fraction(last), int(count), item)
    step = step or "1"
    return _by_step(field, Fraction(first), Fraction(last), Fraction(step), step[0] in "+-", item)


def _by_step(field: str, first: Fraction, last: Fraction, step: Fraction, signed: bool, item: str) -> list[Fraction]:
    """From first towards last, never past it; a step with a sign must point that way."""
    if step == 0:
        raise SweepError(f"{field} {item!r}: a step of 0 gets nowhere; take another one")
    if signed and (last - first) * step < 0:
        raise SweepError(f"{field} {item!r}: the step leads away from the end; turn its sign or swap the ends")
    if first == last:
        return [first]
    count = abs(last - first) // abs(step) + 1
    if count < 2:
        raise SweepError(
            f"{field} {item!r}: the step {_decimal(abs(step))} is larger than the range; "
            f"write {_decimal(first)},{_decimal(last)} or take a smaller step"
        )
    if count > MOST_VALUES:
        raise _too_many(field, item)
    towards = abs(step) if last > first else -abs(step)
    return [first + at * towards for at in range(count)]


def _by_count(field: str, kind: Kind, first: Fraction, last: Fraction, count: int, item: str) -> list[Fraction]:
    if count < 2 or first == last:
        raise SweepError(f"{field} {item!r}: a range by count needs two ends and two values or more; write the value")
    if count > MOST_VALUES:
        raise _too_many(field, item)
    values = _evenly(first, last, count)
    if all(_fits(kind, value) for value in values):
        return values
    lower = (n for n in range(count - 1, 1, -1) if all(_fits(kind, v) for v in _evenly(first, last, n)))
    upper = (n for n in range(count + 1, count + 100) if all(_fits(kind, v) for v in _evenly(first, last, n)))
    fine = [f"{_decimal(first)}..{_decimal(last)}/{n}" for n in (next(lower, None), next(upper, None)) if n]
    what = "whole numbers" if kind == "whole" else "decimals that end"
    raise SweepError(f"{field} {item!r}: {count} values would not be {what}; write {' or '.join(fine) or 'the values'}")


def _evenly(first: Fraction, last: Fraction, count: int) -> list[Fraction]:
    return [first + (last - first) * at / (count - 1) for at in range(count)]


def _fits(kind: Kind, value: Fraction) -> bool:
    """Whether the value can be kept as it is: a whole number, or a decimal whose digits a float gives back."""
    if kind == "whole":
        return value.denominator == 1
    return abs(value) < LARGEST and Fraction(repr(float(value))) == value


def _exact(field: str, kind: Kind, value: Fraction, text: str) -> int | float:
    if _fits(kind, value):
        return int(value) if kind == "whole" else float(value)
    if kind == "whole":
        raise SweepError(f"{field} {text!r}: {_decimal(value)} is no whole number, but {field} takes only these")
    if abs(value) >= LARGEST:
        raise SweepError(f"{field} {text!r}: is larger than anything here; write a smaller number")
    raise SweepError(f"{field} {text!r}: has more digits than can be kept; write {float(value)!r}")


def _decimal(value: Fraction) -> str:
    return label(float(value)) if value.denominator > 1 else str(value)


def _check(field: str, value: Value) -> None:
    """Refuse what no Draft holds, before thousands of them are made."""
    if field == "seed" and isinstance(value, int) and value < 0:
        raise SweepError(f"seed {value}: random seeds cannot be made again; give numbers from 0 to {2**64 - 1}")
    try:
        Draft.read({"checkpoint": "any", field: value})
    except InputError as error:
        raise SweepError(str(error)) from None


def _too_many(field: str, text: str) -> SweepError:
    return SweepError(f"{field} {text!r} makes more than {MOST_VALUES} values; take a larger step")
