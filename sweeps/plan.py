"""Cells of a sweep, and the plan that puts them into phases and lanes. Knows nothing about files, devices or pictures.

A phase is one checkpoint at one size, so that its cells can share forwards and weights are opened once. (Modes and
guided or unguided cells share forwards too, so they do not part phases.) Within a phase a coarse grid comes first, so
that the whole field is seen early; each refinement is dealt longest first to the lane that has least to do, so that
lanes end together. A cell's lane decides its rounding: it is written down and never changes.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

from pydantic import Field

from pipelines import schedulers
from pipelines.draft import Draft, Settled
from pipelines.errors import InputError, SweepError
from pipelines.families import FAMILIES
from pipelines.frozen import Frozen
from pipelines.prompts import Light
from pipelines.recipe import Recipe
from sweeps.axes import Axis, Replace
from sweeps.ranges import many
from sweeps.sweep import Place, Sweep, expand
from sweeps.where import Condition, Values, condition, values_of

Settle = Callable[[Draft], Settled]
SHOWN = 5  # problems, and cells of one problem, that an error names
LONGEST_LABEL = 40  # characters of a value in an error


class Work(NamedTuple):
    """What a cell costs: calls of the network, one after the other, and the rows of all of them together."""

    evaluations: int
    row_evaluations: int


@dataclass(frozen=True)
class Cell:
    """One Recipe of a Sweep with its places in the grid: several where they mean the same picture."""

    recipe: Recipe
    places: tuple[tuple[int, ...], ...]
    warnings: tuple[str, ...]
    work: Work
    light: Light | None = None


@dataclass(frozen=True)
class Cells:
    """The cells of a sweep in reading order; `lengths` of its axes; how many places there are, and were dropped."""

    cells: tuple[Cell, ...]
    lengths: tuple[int, ...]
    places: int
    dropped: int

    @property
    def merged(self) -> int:
        """Places that show another place's picture."""
        return self.places - self.dropped - len(self.cells)


class PlannedCell(Frozen):
    """A line of `plan.jsonl`: where a cell runs. `checkpoint` and `shape` name its phase."""

    checkpoint: str
    shape: str
    lane: int = Field(ge=0)
    key: str = Field(pattern="^[0-9a-f]{16}$")
    evaluations: int = Field(ge=1)
    row_evaluations: int = Field(ge=1)


@dataclass(frozen=True)
class Phase:
    """Cells that can share forwards: their keys, lane by lane, in running order."""

    checkpoint: str
    shape: str
    lanes: tuple[tuple[str, ...], ...]
    forwards: int
    """Calls of the longest lane: how many forwards it takes if all lanes run side by side."""


@dataclass(frozen=True)
class Plan:
    """The cells in the order they were planned; `lanes` x `lane_width` rows a forward, as the Numerics say."""

    lanes: int
    lane_width: int
    entries: tuple[PlannedCell, ...] = ()

    @cached_property
    def phases(self) -> tuple[Phase, ...]:
        """In running order: all of one checkpoint, then all of the next; by first planned."""
        checkpoints = list(dict.fromkeys(entry.checkpoint for entry in self.entries))
        names = dict.fromkeys((entry.checkpoint, entry.shape) for entry in self.entries)
        return tuple(self._phase(*name) for name in sorted(names, key=lambda name: checkpoints.index(name[0])))

    @property
    def slots(self) -> int:
        """Rows that the device computes, padding included; with one lane a forward has just the call's own rows."""
        if self.lanes == 1:
            return sum(entry.row_evaluations for entry in self.entries)
        return sum(phase.forwards for phase in self.phases) * self.lanes * self.lane_width

    @property
    def fill(self) -> float:
        """Share of the slots that hold work, 0..1; 1 for an empty plan."""
        return sum(entry.row_evaluations for entry in self.entries) / self.slots if self.entries else 1.0

    def only(self, keys: Collection[str]) -> "Plan":
        """The part of the plan with these keys, lanes and order as they are."""
        return Plan(self.lanes, self.lane_width, tuple(entry for entry in self.entries if entry.key in keys))

    def to_lines(self) -> tuple[str, ...]:
        """One line of `plan.jsonl` a cell, without line end; an extended plan begins with the lines it had."""
        return tuple(entry.model_dump_json() for entry in self.entries)

    def _phase(self, checkpoint: str, shape: str) -> Phase:
        lanes: list[list[str]] = [[] for _ in range(self.lanes)]
        loads = [0] * self.lanes
        for entry in self.entries:
            if (entry.checkpoint, entry.shape) == (checkpoint, shape):
                lanes[entry.lane].append(entry.key)
                loads[entry.lane] += entry.evaluations
        return Phase(checkpoint, shape, tuple(map(tuple, lanes)), max(loads))


class Estimate(NamedTuple):
    """What a plan will take: seconds of the network (None if this machine has not shown its speed), bytes on disk."""

    seconds: float | None
    bytes: int


@dataclass(frozen=True)
class Outline:
    """A plan in numbers, for --dry-run; `phases` holds checkpoint, shape and cells of each."""

    places: int
    dropped: int
    merged: int
    cells: int
    warned: int
    evaluations: int
    lanes: int
    fill: float
    phases: tuple[tuple[str, str, int], ...]
    seconds: float | None
    bytes: int

    def as_dict(self) -> dict[str, object]:
        """For --json."""
        return asdict(self)

    def text(self) -> str:
        """For people: a few lines."""
        lines = [
            f"{many(self.cells, 'cell')} of {many(self.places, 'place')}: "
            f"{self.dropped} dropped by conditions, {self.merged} merged with equal ones, {self.warned} with warnings",
            f"{many(self.evaluations, 'network evaluation')} in {many(self.lanes, 'lane')}, {self.fill:.0%} filled",
            *(f"phase {at}: {name} {shape}, {many(n, 'cell')}" for at, (name, shape, n) in enumerate(self.phases, 1)),
            f"about {_size(self.bytes)} on disk",
            "time not known before the first run like it"
            if self.seconds is None
            else f"about {duration(self.seconds)}",
        ]
        return "\n".join(lines)


def cells(sweep: Sweep, settle: Settle) -> Cells:
    """The cells of a sweep: settled, conditions applied, equal recipes merged.

    A place that cannot be made is no fault if the conditions drop it. Raises one SweepError for all that are left, one
    line a problem: the axis values, or the first few cells, and what is allowed there.
    """
    keep, drop = (condition(text) if text else None for text in (sweep.where, sweep.skip))
    kept: list[tuple[int, ...]] = []
    found: dict[str, tuple[Settled, list[tuple[int, ...]]]] = {}
    problems: dict[str, list[tuple[int, ...]]] = {}
    places = expand(sweep)
    for place in places:
        settled, problem = _settled(place, settle)
        if keep or drop:
            values = values_of(place.draft, settled)
            if not _is_kept(values, keep, drop, is_certain=settled is not None):
                continue
        kept.append(place.indices)
        if settled:
            found.setdefault(settled.recipe.key, (settled, []))[1].append(place.indices)
        else:
            problems.setdefault(problem, []).append(place.indices)
    if problems:
        raise SweepError(_told(problems, kept, sweep.axes))
    if not kept:
        raise SweepError(f"the conditions leave none of {len(places)} cells; loosen where or skip")
    made = tuple(
        Cell(each.recipe, tuple(at), each.warnings, work_of(each.recipe), each.light) for each, at in found.values()
    )
    return Cells(made, tuple(len(axis.values) for axis in sweep.axes), len(places), len(places) - len(kept))


def work_of(recipe: Recipe) -> Work:
    """What this recipe costs: Heun kinds call the network twice a step, FLUX's own guidance twice an evaluation."""
    count = schedulers.evaluations_of(recipe)
    begin, end = recipe.guidance_interval
    guided = sum(begin <= at / count < end for at in range(count))
    family = FAMILIES[recipe.checkpoint.family]
    calls = count + guided * (family.calls(recipe) - 1)
    return Work(calls, calls + guided * (family.rows(recipe) - 1))


def plan_of(wanted: Cells, *, lanes: int, lane_width: int) -> Plan:
    """A new plan for these cells."""
    return extend(Plan(lanes, lane_width), wanted)


def extend(plan: Plan, wanted: Cells) -> Plan:
    """The plan with the cells it does not hold yet put at its end; those it holds keep their lane and order."""
    known = {entry.key for entry in plan.entries}
    levels = [_levels(length) for length in wanted.lengths]
    fresh = [(_stage(cell, levels), cell) for cell in wanted.cells if cell.recipe.key not in known]
    fresh.sort(key=lambda pair: (pair[0], -pair[1].work.evaluations, -pair[1].work.row_evaluations))
    loads: Counter[tuple[str, str, int]] = Counter()
    for entry in plan.entries:
        loads[entry.checkpoint, entry.shape, entry.lane] += entry.evaluations
    order = list(dict.fromkeys(_phase_of(cell.recipe) for cell in wanted.cells))
    entries: list[PlannedCell] = []
    for phase in order:
        for cell in (cell for _, cell in fresh if _phase_of(cell.recipe) == phase):
            lane = min(range(plan.lanes), key=lambda lane, phase=phase: loads[*phase, lane])  # type: ignore[misc]
            loads[*phase, lane] += cell.work.evaluations
            entries.append(
                PlannedCell(checkpoint=phase[0], shape=phase[1], lane=lane, key=cell.recipe.key, **cell.work._asdict())
            )
    return Plan(plan.lanes, plan.lane_width, (*plan.entries, *entries))


def from_lines(lines: Iterable[str], *, lanes: int, lane_width: int) -> Plan:
    """The plan that whole lines of `plan.jsonl` hold; raises SweepError with the number of a line that is no plan's."""
    entries: dict[str, PlannedCell] = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = PlannedCell.read(_object(line))
        except InputError as error:
            raise SweepError(f"plan.jsonl line {number}: {error}; put back the file as it was") from None
        if entry.key in entries or entry.lane >= lanes:
            reason = f"lane {entry.lane} of {lanes}" if entry.lane >= lanes else f"{entry.key} is planned twice"
            raise SweepError(f"plan.jsonl line {number}: {reason}; put back the file as it was")
        entries[entry.key] = entry
    return Plan(lanes, lane_width, tuple(entries.values()))


def estimate(plan: Plan, *, seconds_per_row_evaluation: float | None, bytes_per_picture: int) -> Estimate:
    """Time (padding included, encoding and decoding not; None if unknown) and disk that a plan takes."""
    seconds = None if seconds_per_row_evaluation is None else plan.slots * seconds_per_row_evaluation
    return Estimate(seconds, len(plan.entries) * bytes_per_picture)


def outline(wanted: Cells, plan: Plan, cost: Estimate) -> Outline:
    """What --dry-run tells of these cells and their plan."""
    names = {_phase_of(cell.recipe)[0]: cell.recipe.checkpoint.name for cell in wanted.cells}
    return Outline(
        places=wanted.places,
        dropped=wanted.dropped,
        merged=wanted.merged,
        cells=len(wanted.cells),
        warned=sum(bool(cell.warnings) for cell in wanted.cells),
        evaluations=sum(entry.evaluations for entry in plan.entries),
        lanes=plan.lanes,
        fill=plan.fill,
        phases=tuple(
            (names.get(phase.checkpoint) or phase.checkpoint, phase.shape, sum(map(len, phase.lanes)))
            for phase in plan.phases
        ),
        seconds=cost.seconds,
        bytes=cost.bytes,
    )


def _settled(place: Place, settle: Settle) -> tuple[Settled | None, str]:
    """(what is settled, "") or (None, what is wrong)."""
    try:
        return settle(place.draft), ""
    except InputError as error:
        return None, str(error)


def _is_kept(values: Values, keep: Condition | None, drop: Condition | None, *, is_certain: bool) -> bool:
    try:
        return (keep is None or keep.holds(values)) and not (drop and drop.holds(values))
    except SweepError:
        if is_certain:
            raise
        return True  # a cell that cannot be made has no value to ask for: its own fault is the better news


def _told(
    problems: dict[str, list[tuple[int, ...]]], kept: Sequence[tuple[int, ...]], axes: Sequence[Axis | Replace]
) -> str:
    """All problems, one a line, the widest first."""
    lines: list[str] = []
    for problem, bad in sorted(problems.items(), key=lambda item: -len(item[1]))[:SHOWN]:
        where = _where(bad, kept, axes)
        lines.append(f"{where}: {problem}" if where and not problem.startswith(where) else problem)
    if len(problems) > SHOWN:
        lines.append(f"and {many(len(problems) - SHOWN, 'more problem')}")
    count = sum(map(len, problems.values()))
    head = [f"{count} of {many(len(kept), 'cell')} cannot be made:"] if len(lines) > 1 else []
    return "\n".join(head + lines)


def _where(bad: Sequence[tuple[int, ...]], kept: Sequence[tuple[int, ...]], axes: Sequence[Axis | Replace]) -> str:
    """Nothing if all cells are bad; the values of an axis if all cells with these are; else the first few cells."""
    if len(bad) == len(kept):
        return ""
    for number, axis in enumerate(axes):
        at = {indices[number] for indices in bad}
        if sum(indices[number] in at for indices in kept) == len(bad):
            return f"{axis.name} {_some([axis.labels[index] for index in sorted(at)])}"
    named = [
        ", ".join(f"{axis.name} {_short(axis.labels[at])}" for axis, at in zip(axes, cell, strict=True)) for cell in bad
    ]
    return _some(named)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; ".join(map(_short, names[:SHOWN])) + more


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def _phase_of(recipe: Recipe) -> tuple[str, str]:
    """(checkpoint, shape): what all calls of a forward must have in common."""
    weights = " ".join(filter(None, (recipe.checkpoint.digest[:16], recipe.checkpoint.quantisation)))
    tokens = f" {recipe.text_tokens} tokens" if recipe.text_tokens else ""
    return weights, f"{recipe.width}x{recipe.height}{tokens}"


def _levels(length: int) -> tuple[int, ...]:
    """For every value of an axis, when it is seen: the ends at 0, the middle at 1, the quarters at 2, and so on."""
    levels, gaps, level = [0] * length, [(0, length - 1)], 0
    while gaps:
        level += 1
        halves = [(low, (low + high) // 2, high) for low, high in gaps if high - low > 1]
        for _, middle, _ in halves:
            levels[middle] = level
        gaps = [gap for low, middle, high in halves for gap in ((low, middle), (middle, high))]
    return tuple(levels)


def _stage(cell: Cell, levels: Sequence[Sequence[int]]) -> int:
    """The refinement of the grid that a cell belongs to: of its values, the one that is seen last."""
    return min(max((level[at] for level, at in zip(levels, place, strict=True)), default=0) for place in cell.places)


def _object(line: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    raise InputError(f"{line[:60]!r} is no JSON object")


def duration(seconds: float) -> str:
    """A time for people, as exact as an estimate may be: 42 s, 5 min, 7 h 12 min."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
