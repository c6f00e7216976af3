"""The text that A1111 began and many write: prompt, negative, one line of values. Knows nothing about their meaning.

A1111's own expression splits 8 of 13 texts of public test suites wrongly, as later writers put bare JSON into the line
of values or lines behind it. Here that line is looked for upward from the end, and JSON is read as JSON.
"""

import json
import re
from typing import NamedTuple

from pipelines.errors import InputError

NEGATIVE = "Negative prompt:"
LONGEST = 1_000_000  # characters of a text, and of its line of values: what is longer is no honest prompt, and slow
LONGEST_LINE = 50_000
_BETWEEN = re.compile(r"[\s,]*")
_KEY = re.compile(r"([^\W\d_][\w \-/().+]{0,59}?) ?:(?!//)[ \t]*")
_QUOTED_END = re.compile(r'"\s*(?:,|$)')
_INLINE = re.compile(r"(?<![^\s.,])Steps: ?[0-9]+, ?(?=[A-Z])")
_SIGNS = ("Steps", "Sampler")
_KNOWN = {"cfg scale", "seed", "size", "model", "model hash", "sampler", "schedule type", "steps"}
_DECODER = json.JSONDecoder()


class Infotext(NamedTuple):
    """The parts of such a text; negative None if there is no such line. JSON stays text in `pairs`."""

    prompt: str
    negative: str | None
    pairs: tuple[tuple[str, str], ...]
    behind: str


def split(text: str) -> Infotext:
    """The parts of a text; without a line of values all of it is prompt and negative. Raises InputError if too long."""
    if len(text) > LONGEST:
        raise InputError(f"its text has {len(text):,} characters; allowed: {LONGEST:,}")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for at in reversed(range(len(lines))):
        found = _values(lines[at])
        if found:
            before, values = found
            head = [*lines[:at], before] if before else lines[:at]
            prompt, negative = _texts(head, is_one_line=bool(before))
            return Infotext(prompt, negative, values, "\n".join(lines[at + 1 :]).strip())
    return Infotext(*_texts(lines, is_one_line=False), (), "")


def pairs(line: str) -> tuple[tuple[str, str], ...]:
    """The `key: value` pairs of a line; a piece without a key belongs to the value before it."""
    found: list[tuple[str, str]] = []
    at = 0
    while (at := _next(line, at)) < len(line):
        if key := _KEY.match(line, at):
            value, at = _value(line, key.end())
            found.append((key[1], value))
        else:
            end = _comma(line, at)
            if found and (piece := line[at:end].strip()):
                found[-1] = (found[-1][0], f"{found[-1][1]}, {piece}")
            at = end + 1
    return tuple(found)


def _values(line: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """What stands before the values in their line (Civitai writes all in one), and the values; None if it has none."""
    if len(line) > LONGEST_LINE or not any(f"{sign}:" in line for sign in _SIGNS):
        return None
    begins = [found.start() for found in _INLINE.finditer(line)]
    if begins and line[: begins[-1]].strip() and not _is_values(pairs(line[: begins[-1]])):
        before, line = line[: begins[-1]], line[begins[-1] :]
    else:
        before = ""
    found = pairs(line)
    return (before, found) if len(found) >= 3 and any(name in _SIGNS for name, _ in found) else None


def _is_values(found: tuple[tuple[str, str], ...]) -> bool:
    return any(name.casefold() in _KNOWN for name, _ in found)


def _value(line: str, at: int) -> tuple[str, int]:
    """The value that begins at a place, and where the next pair may begin."""
    if line[at : at + 1] in ('"', "{", "["):
        try:
            value, end = _DECODER.raw_decode(line, at)
        except (ValueError, RecursionError):
            end = at
        if end > at and not line[end : _comma(line, end)].strip():
            return (value if isinstance(value, str) else line[at:end]), _comma(line, end) + 1
        if line[at] == '"' and (closing := _QUOTED_END.search(line, at + 1)):
            return line[at + 1 : closing.start()], closing.end()
    end = _comma(line, at)
    return line[at:end].strip(), end + 1


def _next(line: str, at: int) -> int:
    """Behind the blanks and commas at a place."""
    between = _BETWEEN.match(line, at)
    return between.end() if between else at


def _comma(line: str, at: int) -> int:
    found = line.find(",", at)
    return len(line) if found < 0 else found


def _texts(lines: list[str], *, is_one_line: bool) -> tuple[str, str | None]:
    """Prompt and negative; `is_one_line`: the negative may begin inside the last line."""
    at = next((n for n, line in enumerate(lines) if line.startswith(NEGATIVE)), None)
    if at is not None:
        negative = "\n".join([lines[at].removeprefix(NEGATIVE), *lines[at + 1 :]])
        return "\n".join(lines[:at]).strip(), negative.strip()
    whole = "\n".join(lines)
    if is_one_line and NEGATIVE in lines[-1]:
        prompt, _, negative = whole.rpartition(NEGATIVE)
        return prompt.strip(), negative.strip()
    return whole.strip(), None
