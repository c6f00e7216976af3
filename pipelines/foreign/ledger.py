"""Values of other tools as numbers and texts, and a ledger of what was used. Knows nothing about their meaning.

Numbers go from text to int or Decimal, never through a float: seeds reach 2^64 - 1.
"""

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from pipelines.errors import InputError
from pipelines.foreign.said import Unmapped

LONGEST_TEXT = 16 * 2**20  # characters; a ComfyUI graph with pictures pasted into it has a few million
SEED_END = 2**64
T = TypeVar("T")
DIGITS = 20  # of a whole number that is looked at, as 2^64 has; more are no value of any field


def parse(text: str) -> Any:
    """The JSON value of a text, fractions as Decimal; raises InputError for what is none, or made to hurt.

    NaN and Infinity, which ComfyUI writes, become their names. Refused: NUL and half characters, which no picture of
    ours could carry, deep nesting, and numbers of thousands of digits.
    """
    try:
        value = json.loads(text, parse_float=_fraction, parse_constant=str)
        plain = json.dumps(value, ensure_ascii=False, default=str)
        plain.encode()
    except UnicodeEncodeError:
        raise InputError("its JSON holds half of a character, which is no text") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"its text is no JSON that can be read ({str(error)[:80]})") from None
    if "\\u0000" in plain:
        raise InputError("its JSON holds a NUL character, which is no text")
    return value


def whole(value: object, low: int = 0, high: int = SEED_END - 1) -> int | None:
    """The whole number that a value is, None if it is none from `low` to `high`; 20.0 and "20" are 20."""
    found = _decimal(value)
    if found is None or found.adjusted() >= DIGITS or found != found.to_integral_value():
        return None
    return int(found) if low <= found <= high else None


def number(value: object, low: float, high: float) -> float | None:
    """The number that a value is, None if it is none from `low` to `high`."""
    found = _decimal(value)
    return float(found) if found is not None and low <= found <= high else None


def _fraction(text: str) -> Decimal | str:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond what Decimal counts
        return text


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value) if abs(value) < 10**DIGITS else None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{0,30}\.?[0-9]{0,30}\s*", value, re.ASCII):
        try:
            return Decimal(value.strip())
        except InvalidOperation:
            return None
    return None


class Ledger:
    """Named values of which each is taken once, or is unmapped in the end. Names are the same in any case."""

    def __init__(self, values: Iterable[tuple[str, Any]]) -> None:
        self._left: dict[str, tuple[str, Any]] = {}
        self.unmapped: list[Unmapped] = []
        for name, value in values:
            if self._left.setdefault(name.casefold(), (name, value))[1] != value:
                self.unmapped.append(Unmapped.of(name, value, "is said twice; the first counts"))

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def take(self, *names: str) -> Any:
        """The value of the first of these names that is there; None if none is."""
        for name in names:
            if name in self._left:
                return self._left.pop(name)[1]
        return None

    def text(self, *names: str) -> str:
        """The value as text without blanks at its ends; "" if there is none. What is no text stays, unmapped."""
        for name in names:
            if isinstance(value := self._left.get(name, ("", None))[1], str):
                self.take(name)
                return value.strip()
        return ""

    def whole(self, *names: str, low: int = 0, high: int = SEED_END - 1) -> int | None:
        """The value as a whole number; one that is none, or out of range, is unmapped."""
        return self._checked(names, lambda value: whole(value, low, high), f"is no whole number from {low} to {high}")

    def number(self, *names: str, low: float, high: float) -> float | None:
        """The value as a number; one that is none, or out of range, is unmapped."""
        return self._checked(names, lambda value: number(value, low, high), f"is no number from {low:g} to {high:g}")

    def set_aside(self, name: str, why: str) -> None:
        """Unmapped, with the reason, if it is there."""
        if name in self._left:
            self.unmapped.append(Unmapped.of(*self._left.pop(name), why))

    def close(self, why: Callable[[str], str]) -> tuple[Unmapped, ...]:
        """All that is unmapped; `why` gives the reason for each name that nobody took."""
        for name in list(self._left):
            self.set_aside(name, why(name))
        return tuple(self.unmapped)

    def _checked(self, names: tuple[str, ...], read: Callable[[Any], T | None], why: str) -> T | None:
        name = next((name for name in names if name in self._left), "")
        if not name:
            return None
        spelled, value = self._left.pop(name)
        found = read(value)
        if found is None and value not in (None, ""):
            self.unmapped.append(Unmapped.of(spelled, value, why))
        return found
