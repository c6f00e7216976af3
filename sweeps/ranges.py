"""Numbers and lists as a person writes them -> exact values. Knows nothing about fields, sweeps or recipes.

Values are fractions until the end, so that what was asked is what is run: nothing is rounded, no range goes past its
end.
"""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from pipelines.errors import SweepError

NumberKind = Literal["whole", "number"]
Value = int | float | str | tuple[float, float]

MOST_VALUES = 10_000  # of one axis: more is a slip of the finger, found before memory is full
LARGEST = 10**100  # of a number: far beyond every field, well inside what a float holds

NUMBER = r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?"
PLAIN = re.compile(rf"{NUMBER}|[+-]?\.[0-9]{{1,40}}")
RANGE = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})(?:\s*:\s*({NUMBER})|\s*/\s*([0-9]{{1,9}}))?")
A1111_RANGE = re.compile(rf"({NUMBER})\s*-\s*({NUMBER})(?:\s*\(\s*({NUMBER})\s*\)|\s*\[\s*([0-9]{{1,9}})\s*\])?")
SDNEXT_RANGE = re.compile(rf"({NUMBER})\s*-\s*({NUMBER})\s*:\s*({NUMBER})")
SPAN = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})")
ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,"]*?))\s*(,|\Z)')


def label(value: Value) -> str:
    """A value as a person writes it: 2 for 2.0, 0..0.6 for a span."""
    if isinstance(value, tuple):
        return f"{label(value[0])}..{label(value[1])}"
    if isinstance(value, float):
        plain = Decimal(repr(value)).normalize() + 0  # + 0 turns -0 into 0
        return f"{plain:f}" if plain.adjusted() > -7 else str(plain)
    return str(value) or "(empty)"


def many(count: int, noun: str) -> str:
    """A count as a person writes it: 1 cell, 18 cells."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def items(field: str, text: str) -> list[str]:
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


def numbers(field: str, kind: NumberKind, text: str) -> list[Fraction]:
    """The numbers of a list with ranges, exactly; raises SweepError."""
    rest, found = iter(items(field, text)), list[Fraction]()
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


def _range(field: str, kind: NumberKind, item: str) -> list[Fraction]:
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
            f"{field} {item!r}: the step {decimal(abs(step))} is larger than the range; "
            f"write {decimal(first)},{decimal(last)} or take a smaller step"
        )
    if count > MOST_VALUES:
        raise _too_many(field, item)
    towards = abs(step) if last > first else -abs(step)
    return [first + at * towards for at in range(count)]


def _by_count(field: str, kind: NumberKind, first: Fraction, last: Fraction, count: int, item: str) -> list[Fraction]:
    if count < 2 or first == last:
        raise SweepError(f"{field} {item!r}: a range by count needs two ends and two values or more; write the value")
    if count > MOST_VALUES:
        raise _too_many(field, item)
    values = _evenly(first, last, count)
    if all(_fits(kind, value) for value in values):
        return values
    lower = (n for n in range(count - 1, 1, -1) if all(_fits(kind, v) for v in _evenly(first, last, n)))
    upper = (n for n in range(count + 1, count + 100) if all(_fits(kind, v) for v in _evenly(first, last, n)))
    fine = [f"{decimal(first)}..{decimal(last)}/{n}" for n in (next(lower, None), next(upper, None)) if n]
    what = "whole numbers" if kind == "whole" else "decimals that end"
    raise SweepError(f"{field} {item!r}: {count} values would not be {what}; write {' or '.join(fine) or 'the values'}")


def _evenly(first: Fraction, last: Fraction, count: int) -> list[Fraction]:
    return [first + (last - first) * at / (count - 1) for at in range(count)]


def _fits(kind: NumberKind, value: Fraction) -> bool:
    """Whether the value can be kept as it is: a whole number, or a decimal whose digits a float gives back."""
    if kind == "whole":
        return value.denominator == 1
    return abs(value) < LARGEST and Fraction(repr(float(value))) == value


def exact(field: str, kind: NumberKind, value: Fraction, text: str) -> int | float:
    """The value as it is kept; raises SweepError where that would round it."""
    if _fits(kind, value):
        return int(value) if kind == "whole" else float(value)
    if kind == "whole":
        raise SweepError(f"{field} {text!r}: {decimal(value)} is no whole number, but {field} takes only these")
    if abs(value) >= LARGEST:
        raise SweepError(f"{field} {text!r}: is larger than anything here; write a smaller number")
    raise SweepError(f"{field} {text!r}: has more digits than can be kept; write {float(value)!r}")


def decimal(value: Fraction) -> str:
    """A number as a person writes it."""
    return label(float(value)) if value.denominator > 1 else str(value)


def _too_many(field: str, text: str) -> SweepError:
    return SweepError(f"{field} {text!r} makes more than {MOST_VALUES} values; take a larger step")
