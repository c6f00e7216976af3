"""What the measures say along an axis, step by step: what is real, what is kept, where harm begins, where it ends.

Knows nothing about sentences, pictures to show or cells to add.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sweeps import compare_words as words
from sweeps import curves
from sweeps.compare_cells import CLIPPED, FACE, LEAST_SEEDS, NOISE, RATIOS, Group
from sweeps.compare_worth import BENEFITS, ENDS, HARMS, SKIN, SLOPE_SEEN
from sweeps.curves import Array, Table
from sweeps.findings import Curve, Estimate, Point
from sweeps.ranges import label

CHANCE = 0.02
"""How likely, at most, a run in which guidance does nothing shows a difference; all measures together."""
EDGE_LEVEL = 0.975
"""Of the interval that must leave out nought at either edge: 95 % for both together (Bonferroni)."""


@dataclass(frozen=True)
class Edge:
    """One end of the window: the measure that ends it and by how much the steps outside differ from those inside."""

    measure: str
    outside: tuple[int, ...]
    effect: Estimate
    is_sure: bool


class Look:
    """What the measures of a group say, step by step; each part is made when it is first asked for.

    `chances` are those of a larger group that this one is a part of.
    """

    def __init__(self, group: Group, chances: Mapping[str, float] | None = None) -> None:
        self.group = group
        self.steps = group.steps
        if chances is not None:
            self.chances = chances

    @cached_property
    def _drawn(self) -> Mapping[str, Table]:
        """Of the measures that windows rest on, those that have values, as they were measured."""
        others = {name: self.group.table(name) for name in (CLIPPED, NOISE, FACE)}
        return measured(self.group) | {name: each for name, each in others.items() if np.isfinite(each.values).any()}

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The same with wild values tamed; what is counted (faces, noise) or clipped has no wild ones."""
        return {name: curves.tamed(table) if name in SKIN else table for name, table in self._drawn.items()}

    @cached_property
    def chances(self) -> Mapping[str, float]:
        """How likely each would differ so by chance."""
        return curves.chances(self._drawn)

    def is_real(self, measure: str) -> bool:
        """Whether the measure differs along the axis by more than chance."""
        return self.chances.get(measure, 1.0) <= CHANCE

    @cached_property
    def harms(self) -> Mapping[str, Array]:
        """Every harm that differs by more than chance, above its calm level, as a curve that never falls; 1 ends."""
        told = {}
        for name in HARMS:
            if name not in self.tables or not self.is_real(name):
                continue
            table = self.tables[name]
            fitted = _filled(curves.rising(table.effects, table.counts.astype(float))) / ENDS[name]
            first = self.in_focus if name == "halo" else 0
            calm = fitted[first:]
            told[name] = fitted - calm[calm < calm[0] + 0.5].mean()
        return told

    @cached_property
    def in_focus(self) -> int:
        """The step from which halo counts as harm: where slope, having risen, comes to rest; 0 where it does not.

        Edges that come out of a blur overshoot more, too: in photographs put out of focus by .05 to 0 eye distances
        halo rises by .13 while slope rises by .8. Where slope is level at first, what rises later is no coming into
        focus; where it never rests, nobody can tell, and the measures contradict each other.
        """
        if "slope" not in self.tables or not self.is_real("slope"):
            return 0
        table = self.tables["slope"]
        fitted = _filled(curves.humped(table.effects, table.counts.astype(float)))
        rests = np.diff(fitted) < SLOPE_SEEN / 2
        if len(rests) < 3 or rests[:2].all():
            return 0
        arrived = np.flatnonzero(rests & (fitted[:-1] - fitted[0] >= SLOPE_SEEN))
        return int(arrived[0]) if len(arrived) else 0

    @cached_property
    def _harm(self) -> Array:
        """The greatest harm at every step; nought where nothing harms."""
        return np.asarray(np.max([np.zeros(len(self.steps)), *self.harms.values()], axis=0))

    @cached_property
    def calm(self) -> int:
        """The last step before any harm has risen by half of what matters."""
        return int(np.flatnonzero(self._harm < 0.5)[-1])

    @cached_property
    def _unharmed(self) -> int:
        """The last step before any harm has risen by what matters."""
        return int(np.flatnonzero(self._harm < 1)[-1])

    @cached_property
    def has_no_calm(self) -> bool:
        """Whether all that ends the window above changes in a straight line from the first value on.

        Then no step is known to be free of it, and where the window ends is only where we drew the limit.
        """
        high = self.window[1]
        names = [name for name, (_, last) in self.ends.items() if last == high < len(self.steps) - 1]
        names = [name for name in names if name != FACE]
        return bool(names) and all(self._is_line(name) for name in names)

    def _is_line(self, measure: str) -> bool:
        """Whether it changes in a straight line from where it counts."""
        first, table = self.in_focus if measure == "halo" else 0, self.tables[measure]
        return curves.is_line(table.effects[first:], table.counts[first:].astype(float), self.steps[first:])

    def _at_onset(self, fitted: Array) -> float:
        """A fitted benefit where harm has risen by half of what matters, between the last calm step and the next."""
        at = self.calm
        if at + 1 >= len(fitted) or not np.isfinite(fitted[at : at + 2]).all():
            return -math.inf
        share = (0.5 - self._harm[at]) / (self._harm[at + 1] - self._harm[at])
        return float(fitted[at] + share * (fitted[at + 1] - fitted[at]))

    def _kept(self, measure: str) -> tuple[int, int]:
        """First and last step at which a benefit is less than what matters below its level where harm is calm."""
        last = self._unharmed
        if not self.is_real(measure):
            return 0, len(self.steps) - 1
        table = self.tables[measure]
        found, weights = table.effects, table.counts.astype(float)
        if measure != FACE and not np.isfinite(found).all():
            last = min(last, int(np.flatnonzero(np.isfinite(found))[-1]))
        part = curves.humped(found[: last + 1], weights[: last + 1])
        fitted = np.where(np.isfinite(part), part, -np.inf)
        worth = ENDS[measure]
        calm = fitted[: min(self.calm, last) + 1]
        near = np.flatnonzero(calm >= calm.max() - worth / 4)
        level = max(float(np.average(found[near], weights=weights[near])), self._at_onset(fitted))
        inside = np.flatnonzero(fitted > level - worth)
        high = int(inside[-1])
        return int(inside[0]), len(self.steps) - 1 if high == self._unharmed and high == last else high

    @cached_property
    def ends(self) -> Mapping[str, tuple[int, int]]:
        """First and last step that each measure lets in."""
        kept = {name: self._kept(name) for name in self.tables if name in BENEFITS}
        harmed = {name: (0, int(np.flatnonzero(harm < 1)[-1])) for name, harm in self.harms.items()}
        return kept | harmed

    @cached_property
    def window(self) -> tuple[int, int]:
        """First and last step that all measures let in; the first is above the last where they contradict."""
        return max(low for low, _ in self.ends.values()), min(high for _, high in self.ends.values())

    @cached_property
    def spans(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """From where to where the lower and the upper end lie as one seed after the other is left out (the jackknife).

        Source: Tukey 1958. Where both agree with the window, no single seed made it.
        """
        lows, highs = {self.steps[self.window[0]]}, {self.steps[self.window[1]]}
        for seed in self.group.seeds:
            seen = tuple(each for each in self.group.seen if each.recipe.seed != seed)
            others = Look(replace(self.group, seen=seen), self.chances)
            low, high = others.window
            lows.add(others.steps[low])
            highs.add(others.steps[high])
        return (min(lows), max(lows)), (min(highs), max(highs))

    def is_shaky(self, side: int) -> bool:
        """Whether leaving out one seed moves this end by more than one step."""
        low, high = (self.steps.index(end) for end in self.spans[side])
        return high - low > 1

    def edge(self, side: int) -> Edge | None:
        """The end below (0) or above (1); None where the last value is still inside. The surest measure that ends it.

        A measure that ends the window one step further out speaks too: between neighbours it is chance which is first.
        """
        low, high = self.window
        outside = tuple(range(low)) if side == 0 else tuple(range(high + 1, len(self.steps)))
        if not outside:
            return None
        at = self.window[side]
        names = [name for name, ends in self.ends.items() if ends[side] != (0, len(self.steps) - 1)[side]]
        edges = [self._edge(name, outside) for name in names if abs(self.ends[name][side] - at) <= 1]
        return max(edges, key=lambda edge: (edge.is_sure, edge.measure in SKIN, _strength(edge)))

    def _edge(self, measure: str, outside: tuple[int, ...]) -> Edge:
        low, high = self.window
        inside, table = range(low, high + 1), self.tables[measure]
        effect = curves.contrast(table, outside, against=inside)
        judged = curves.contrast(table, outside, against=inside, level=EDGE_LEVEL)
        is_enough = effect.n >= LEAST_SEEDS and abs(effect.value) >= ENDS[measure] / 2
        return Edge(measure, outside, effect, is_enough and words.is_certain(judged))

    def curve(self, measure: str) -> Curve | None:
        """The measure along the axis in its own unit."""
        return curve_of(self.group, measure, self.tables.get(measure))


def _strength(edge: Edge) -> float:
    return abs(edge.effect.value) / ENDS[edge.measure]


def _filled(fitted: Array) -> Array:
    """Steps without a value take that of the step before; those before the first, the first's."""
    told, last = fitted.copy(), fitted[np.isfinite(fitted)][0]
    for at, value in enumerate(fitted):
        told[at] = last = value if math.isfinite(value) else last
    return told


def measured(group: Group) -> dict[str, Table]:
    """The group's tables of texture, slope and halo, those that have values."""
    tables = {name: group.table(name) for name in SKIN}
    return {name: table for name, table in tables.items() if np.isfinite(table.values).any()}


def curve_of(group: Group, measure: str, table: Table | None) -> Curve | None:
    """A measure along a group's axis, in its own unit, with the pictures that each point was averaged from."""
    if table is None:
        return None
    points = [
        Point(
            at=step,
            label=label(step),
            estimate=_in_unit(measure, estimate),
            keys=tuple(each.key for each in group.at(step) if each.values.get(measure) is not None),
        )
        for step, estimate in zip(group.steps, curves.points(table), strict=True)
        if estimate is not None
    ]
    return Curve(measure=measure, axis=group.axis, points=tuple(points)) if len(points) > 1 else None


def _in_unit(measure: str, estimate: Estimate) -> Estimate:
    if measure not in RATIOS:
        return estimate
    value, low, high = (float(2.0 ** min(end, 60.0)) for end in (estimate.value, estimate.low, estimate.high))
    return Estimate(value=value, low=low, high=high, n=estimate.n)
