"""Tries the measures and the finder on photographs made worse in known ways, and tells where they hold and fail.

What comes out is a table, not a verdict: how many photographs moved as they should, and by how much. Knows nothing
about where the photographs come from, or about diffusion: it proves nothing of that.
"""

import itertools
import statistics
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.skin_measures import MEASURES
from sweeps.degraded import WAYS, Pixels, Way

if TYPE_CHECKING:
    from pipelines.skin import Measured

TOLERANCE = 0.02
"""How far a step may go the wrong way and still count as level: what another run of the face finder moves a measure."""
COMPARED = {each.name: each.compared for each in MEASURES}


@dataclass(frozen=True)
class Tried:
    """One measure under one way, over all photographs: `held` of `of` moved (or stayed) as they should.

    `medians` are B / A for measures compared by ratio, else B - A, level by level against the untouched photograph;
    `worst` is the largest of all where it should stay.
    """

    way: str
    unit: str
    measure: str
    expected: str
    levels: tuple[float, ...]
    medians: tuple[float, ...]
    held: int
    of: int
    worst: float | None = None


@dataclass(frozen=True)
class Looked:
    """A photograph was measured in one way; `number` of `of`."""

    number: int
    of: int


def try_measures(photographs: Sequence[Pixels]) -> Generator[Looked, None, tuple[Tried, ...]]:
    """Every way over every photograph (sRGB (H, W, 3) uint8, one face of 50 px between the eyes or more).

    A photograph whose measure is missing at some level is left out of that line: `of` counts the rest.
    """
    found: dict[str, list[list[Measured]]] = {way.name: [] for way in WAYS}
    for number, pixels in enumerate(photographs, 1):
        whole, eyes = looked_at(pixels)
        for at, way in enumerate(WAYS, 1):
            changed = [looked_at(way.change(pixels, level, eyes))[0] for level in way.levels]
            found[way.name].append([whole, *changed])
            yield Looked((number - 1) * len(WAYS) + at, len(photographs) * len(WAYS))
    return tuple(line for way in WAYS for line in _lines(way, found[way.name]))


def looked_at(pixels: Pixels) -> "tuple[Measured, float]":
    """The measures of the largest face, found anew, and its eye distance in px (0 without a face)."""
    from pipelines.regions import face_map
    from pipelines.skin import measure

    faces = face_map(pixels)
    largest = max(faces.faces, key=lambda face: face.eye_distance, default=None)
    number, eyes = (largest.number, largest.eye_distance) if largest else (1, 0.0)
    return measure(pixels, faces, number), eyes


def change(name: str, before: float, after: float) -> float:
    """How a measure is compared: after / before, or after - before."""
    return after / before if COMPARED[name] == "ratio" else after - before


def _lines(way: Way, photographs: "Sequence[Sequence[Measured]]") -> list[Tried]:
    lines = [_line(way, name, photographs) for name in (*way.moves, *way.stays)]
    return [line for line in lines if line]


def _line(way: Way, name: str, photographs: "Sequence[Sequence[Measured]]") -> Tried | None:
    rows = [[each.value(name) for each in series] for series in photographs]
    whole = [[value for value in row if value is not None] for row in rows]
    whole = [row for row in whole if len(row) == len(way.levels) + 1]
    if not whole:
        return None
    changes = [[change(name, row[0], value) for value in row[1:]] for row in whole]
    medians = tuple(statistics.median(column) for column in zip(*changes, strict=True))
    if name in way.moves:
        held = sum(is_monotone(row, falls=way.moves[name] == "falls", slack=_slack(name, row[0])) for row in whole)
        return Tried(way.name, way.unit, name, way.moves[name], way.levels, medians, held, len(whole))
    bound, far = way.stays[name], [max(_distance(name, each) for each in row) for row in changes]
    expected = f"stays within x{bound:g}" if COMPARED[name] == "ratio" else f"stays within {bound:g}"
    held = sum(each <= (bound if COMPARED[name] == "difference" else bound - 1) for each in far)
    return Tried(way.name, way.unit, name, expected, way.levels, medians, held, len(whole), max(far))


def _slack(name: str, value: float) -> float:
    return TOLERANCE * value if COMPARED[name] == "ratio" else TOLERANCE


def is_monotone(values: Sequence[float], *, falls: bool, slack: float) -> bool:
    """Whether no step goes the wrong way by more than `slack`, and the last value lies beyond the first."""
    sign = -1 if falls else 1
    steps = [sign * (after - before) for before, after in itertools.pairwise(values)]
    return all(step >= -slack for step in steps) and sign * (values[-1] - values[0]) > slack


def _distance(name: str, moved: float) -> float:
    """How far from no change: a factor of 0.8 is as far as one of 1.25."""
    return max(moved, 1 / moved) - 1 if COMPARED[name] == "ratio" else abs(moved)


def table(lines: Sequence[Tried]) -> str:
    """The lines as Markdown."""
    head = "| way | level | measure | should | median, level by level | photographs |\n|---|---|---|---|---|---|\n"
    return head + "".join(f"{_row(line)}\n" for line in lines)


def _row(line: Tried) -> str:
    is_ratio = COMPARED[line.measure] == "ratio"
    medians = ", ".join(f"x{each:.2f}" if is_ratio else f"{each:+.2f}" for each in line.medians)
    levels = ", ".join(f"{each:g}" for each in line.levels)
    worst = "" if line.worst is None else f" (worst {'x' if is_ratio else ''}{line.worst + is_ratio:.2f})"
    held = f"{line.held} of {line.of}{worst}"
    return f"| {line.way} | {levels} {line.unit} | {line.measure} | {line.expected} | {medians} | {held} |"
