"""Cells in words: the shortest condition that keeps exactly these places of a sweep. Knows nothing about findings.

Places are covered by boxes (so many values of every axis, all combinations of them), and each box is said by the axes
that it does not fill: `seed == 7 or guidance in (3, 5)`.
"""

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from pipelines.errors import SweepError
from pipelines.mask_words import is_expression
from sweeps.axes import KINDS, Axis, Replace
from sweeps.ranges import label
from sweeps.where import LONGEST, Values

Indices = tuple[int, ...]
Box = tuple[frozenset[int], ...]
"""One set of steps an axis."""
MOST_ORDERS = 24  # in which a box is grown, 4 axes' worth: more axes than that have only boxes that are found early
LISTED = 4  # numbers of a list; more that follow each other on their axis are said as a range
PLAIN_WORDS = 40  # characters of a text that is compared whole; a longer one is told by words that only it has


def in_words(wanted: Collection[Indices], seen: Mapping[Indices, Values], axes: Sequence[Axis | Replace]) -> str:
    """A condition that should hold at `wanted` and at no other place of `seen`; empty if these are all places.

    `seen` holds what conditions see at every place. Raises SweepError where a value cannot be written in a condition.
    """
    words = [_Words(axis, number, seen) for number, axis in enumerate(axes)]
    cover = boxes(wanted, [len(axis.values) for axis in axes])
    for number in range(len(cover)):
        cover[number] = min(_alike(number, cover, words), key=lambda box: sum(map(len, _limits(box, words))))
    parts = [_limits(box, words) for box in cover]
    if [] in parts:
        return ""
    return " or ".join(limits[0] if len(limits) == 1 else _all_of(limits, len(parts) > 1) for limits in parts)


def _limits(box: Box, words: Sequence["_Words"]) -> list[str]:
    """What is said of a box: a condition for every axis that it does not fill."""
    return [word.of(steps) for word, steps in zip(words, box, strict=True) if len(steps) < len(word.axis.values)]


def _alike(number: int, cover: Sequence[Box], words: Sequence["_Words"]) -> Iterator[Box]:
    """Boxes that do instead of one of the cover: itself, and without the steps that only other boxes need."""
    box, others = cover[number], [each for at, each in enumerate(cover) if at != number]
    yield box
    alone = [place for place in itertools.product(*box) if not any(_holds(each, place) for each in others)]
    if alone:
        trimmed = tuple(map(frozenset, zip(*alone, strict=True)))
        yield trimmed
        is_full = [len(steps) == len(word.axis.values) for word, steps in zip(words, box, strict=True)]
        yield tuple(old if full else new for full, old, new in zip(is_full, box, trimmed, strict=True))


def _holds(box: Box, place: Indices) -> bool:
    return all(at in steps for at, steps in zip(place, box, strict=True))


def boxes(wanted: Collection[Indices], lengths: Sequence[int]) -> list[Box]:
    """Few boxes that cover these places and no others; they may overlap. The largest first, then what is left.

    The fewest would take exponential time (a set cover); taking the box that covers most comes within a few of it.
    """
    inside, left, found = set(wanted), set(wanted), list[Box]()
    orders = list(itertools.islice(itertools.permutations(range(len(lengths))), MOST_ORDERS))
    while left:
        grown = {_grown(min(left), inside, lengths, order) for order in orders}
        best = max(sorted(grown, key=_sorting), key=lambda box: _gain(box, left, lengths))
        found.append(best)
        left -= set(itertools.product(*best))
    return [box for number, box in enumerate(found) if not _is_covered(box, found[number + 1 :])]


def _is_covered(box: Box, later: Sequence[Box]) -> bool:
    """Whether those that were found later hold all of it; an earlier one never does, or it would not have been left."""
    return all(any(_holds(each, place) for each in later) for place in itertools.product(*box))


def _sorting(box: Box) -> list[list[int]]:
    return [sorted(steps) for steps in box]


def _gain(box: Box, left: set[Indices], lengths: Sequence[int]) -> tuple[int, int]:
    """What it covers anew, then how many axes need not be named."""
    covered = sum(place in left for place in itertools.product(*box))
    return covered, sum(len(steps) == length for steps, length in zip(box, lengths, strict=True))


def _grown(place: Indices, inside: set[Indices], lengths: Sequence[int], order: Sequence[int]) -> Box:
    """The box around a place that is widened along one axis after the other as far as all of it lies inside."""
    box = [{at} for at in place]
    for axis in order:
        across = [steps if number != axis else {0} for number, steps in enumerate(box)]
        for step in range(lengths[axis]):
            slab = ((*each[:axis], step, *each[axis + 1 :]) for each in itertools.product(*across))
            if all(each in inside for each in slab):
                box[axis].add(step)
    return tuple(map(frozenset, box))


def _all_of(limits: Sequence[str], is_part: bool) -> str:
    text = " and ".join(f"({limit})" if " or " in limit and limit[0] != "(" else limit for limit in limits)
    return f"({text})" if is_part else text


class _Words:
    """Says some steps of one axis, by what conditions see of them."""

    def __init__(self, axis: Axis | Replace, number: int, seen: Mapping[Indices, Values]) -> None:
        self.axis = axis
        first = {place[number]: values for place, values in reversed(list(seen.items()))}
        fields = axis.fields if isinstance(axis, Axis) else ()
        self._columns = {field: [first[step][field] for step in range(len(axis.values))] for field in fields}

    def of(self, steps: Collection[int]) -> str:
        """The condition for these steps."""
        chosen = sorted(steps)
        if isinstance(self.axis, Replace):
            return " or ".join(f"{_quoted(self.axis.values[step][0])} in prompt" for step in chosen)
        for field, column in self._columns.items():
            if not {column[step] for step in chosen} & {column[at] for at in range(len(column)) if at not in steps}:
                return _compared(field, column, chosen)
        pairs = [
            " and ".join(_compared(field, column, [step]) for field, column in self._columns.items()) for step in chosen
        ]
        return " or ".join(f"({pair})" for pair in pairs)


def _compared(field: str, column: Sequence[int | float | str | None], steps: Sequence[int]) -> str:
    """One field against its values at these steps: the shortest of the forms."""
    values = list(dict.fromkeys(column[step] for step in steps))
    if KINDS[field] in ("whole", "number"):
        if len(values) > LISTED and (span := _span(field, column, values)):
            return span
        others = [value for value in dict.fromkeys(column) if value not in values]
        told, without = (_listed(field, each, is_in=each is values) for each in (values, others))
        return told if len(told) <= 2 * len(without) else without
    texts = [str(value) for value in values]
    if KINDS[field] not in ("path", "mask", "text") or all(_is_plain(text) for text in texts):
        return _listed(field, texts)
    rest = [str(other) for other in column if other not in values]
    return " or ".join(f"{_quoted(_telling(text, rest))} in {field}" for text in texts)


def _listed(field: str, values: Sequence[int | float | str | None], *, is_in: bool = True) -> str:
    texts = [label(value) if isinstance(value, int | float) else _quoted(str(value)) for value in values]
    if None in values:
        raise SweepError(f"{field} has no value in some cells; say it in the sweep, then add cells")
    if len(texts) == 1:
        return f"{field} {'==' if is_in else '!='} {texts[0]}"
    return f"{field} {'in' if is_in else 'not in'} ({', '.join(texts)})"


def _span(field: str, column: Sequence[int | float | str | None], values: Sequence[int | float | str | None]) -> str:
    """The values as a range, if no other value of the axis lies in it; else empty."""
    numbers = [value for value in column if isinstance(value, int | float)]
    mine = [value for value in values if isinstance(value, int | float)]
    low, high = min(mine), max(mine)
    if {number for number in numbers if low <= number <= high} != set(mine):
        return ""
    if low == min(numbers):
        return f"{field} <= {label(high)}"
    return f"{field} >= {label(low)}" if high == max(numbers) else f"{label(low)} <= {field} <= {label(high)}"


def _telling(text: str, others: Sequence[str]) -> str:
    """The fewest words in a row that stand in this text and in none of the others; of a file, the end of its path."""
    if not is_expression(text) and "/" in text:
        return text.rsplit("/", 2)[-1]
    words = text.split(" ")
    for length in range(1, len(words) + 1):
        for start in range(len(words) - length + 1):
            part = " ".join(words[start : start + length]).strip(",.;: ")
            if (
                part
                and not re.search(r"[\\#\s'\"]", part.replace(" ", ""))
                and not any(part in each for each in others)
            ):
                return part
    return text


def _is_plain(text: str) -> bool:
    return len(text) <= PLAIN_WORDS and "/" not in text


def _quoted(text: str) -> str:
    """A text as a condition writes it; raises SweepError for one that it cannot hold."""
    mark = '"' if "'" in text else "'"
    if mark in text or re.search(r"[\\#\n\r\t]", text) or len(text) > LONGEST:
        raise SweepError(f"{text[:60]!r} cannot stand in a condition; sweep it in a run of its own")
    return f"{mark}{text}{mark}"
