"""The statistics of findings: a table of blocks (seeds) x steps of an axis in, effects with their intervals out.

Knows nothing about pictures, measures or what a difference is worth. Pure and deterministic.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sweeps.findings import Estimate

Array = NDArray[np.float64]

CONFIDENCE = 0.95
PERMUTATIONS = 1999
"""Enough for p = .001 at one seed of the random numbers; the smallest p-value is 1 / (PERMUTATIONS + 1)."""
HUBER = 2.5
"""Residuals beyond so many standard deviations are pulled back to them; 1.2 % of normal ones are."""
LEAST_BLOCKS = 5
"""Among fewer, a wild value cannot be told from the others: medians of three pass through one of them."""
MADS = 1.4826


@dataclass(frozen=True)
class Table:
    """One measure: `values` (blocks, steps), NaN where there is none; `seeds` says which seed each block belongs to.

    A block is a seed in one scene: what its rows share (a person, a light) is taken out before steps are compared.
    """

    values: Array
    seeds: tuple[int, ...]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many blocks have a value, step by step."""
        return np.asarray(np.isfinite(self.values).sum(0))

    @functools.cached_property
    def effects(self) -> Array:
        """`effects` of its values."""
        return effects(self.values)

    def only(self, steps: Sequence[int]) -> "Table":
        """The table with these steps alone."""
        return replace(self, values=self.values[:, list(steps)])


def effects(values: Array) -> Array:
    """Mean of every step with the blocks' own levels taken out, by least squares of block + step; their mean is 0.

    With whole rows these are the plain means; with missing cells no step gains because its blocks are high ones. NaN
    for a step without any value. Source: two-way additive model, solved by alternating means (backfitting).
    """
    seen = np.isfinite(values)
    filled = np.where(seen, values, 0.0)
    down, across = np.maximum(seen.sum(0), 1), np.maximum(seen.sum(1), 1)
    columns = np.zeros(values.shape[1])
    for _ in range(200):
        rows = ((filled - columns) * seen).sum(1) / across
        fresh = ((filled - rows[:, None]) * seen).sum(0) / down
        fresh -= fresh[seen.any(0)].mean() if seen.any() else 0.0
        is_still = np.abs(fresh - columns).max(initial=0.0) < 1e-9
        columns = fresh
        if is_still:
            break
    return np.where(seen.any(0), columns, np.nan)


def levels(table: Table) -> Array:
    """The effects about the table's own level, so that they read as the measure: mean of block levels + effect."""
    rows = _means(table.values - table.effects)[np.isfinite(table.values).any(1)]
    return np.asarray(table.effects + rows.mean())


def tamed(table: Table) -> Table:
    """The table with wild values pulled in to `HUBER` standard deviations of where block and step put them.

    The place comes from a median polish, the deviation from the residuals' median: one picture in ten that came out
    otherwise moves nothing. Fewer than `LEAST_BLOCKS` of more than one value are left as they are.
    Source: Tukey 1977 (median polish), Huber 1981 (pseudo-values).
    """
    values = table.values
    crossed = _crossed(values)
    if crossed.any(1).sum() < LEAST_BLOCKS:
        return table
    columns = np.zeros(values.shape[1])
    rows = np.zeros(values.shape[0])
    for _ in range(10):
        rows, before = _medians(values - columns, axis=1), columns
        columns = _medians(values - rows[:, None], axis=0)
        if np.array_equal(columns, before):
            break
    fit = rows[:, None] + columns
    rest = values - fit
    free = max(1, crossed.sum() - crossed.any(0).sum() - crossed.any(1).sum() + 1)
    width = MADS * float(np.median(np.abs(rest[crossed]))) * math.sqrt(crossed.sum() / free)
    return replace(table, values=fit + np.clip(rest, -HUBER * width, HUBER * width)) if width else table


def _crossed(values: Array) -> NDArray[np.bool_]:
    """Which values can lie away from block + step: one that is alone in its block or its step fits itself, and says
    nothing of how far others lie away.
    """
    seen = np.isfinite(values)
    while True:
        fewer = seen & (seen.sum(0) > 1) & (seen.sum(1, keepdims=True) > 1)
        if (fewer == seen).all():
            return seen
        seen = fewer


def _medians(values: Array, *, axis: int) -> Array:
    """Medians of what is there; 0 where nothing is."""
    counts = np.isfinite(values).sum(axis, keepdims=True)
    ordered = np.sort(np.where(np.isfinite(values), values, np.inf), axis)
    ordered, there = (ordered if axis == 0 else ordered.T), counts.ravel()
    lanes = np.arange(len(there))
    halves = [ordered[np.maximum(at, 0), lanes] for at in ((there - 1) // 2, np.minimum(there // 2, len(ordered) - 1))]
    return np.asarray(np.where(there > 0, (halves[0] + halves[1]) / 2, 0.0))


def chances(tables: Mapping[str, Table]) -> Mapping[str, float]:
    """How likely each measure would differ so much between steps by chance alone, all measures together accounted for.

    The steps are shuffled within every seed (the same way for all of its blocks and all measures), so nothing is
    assumed of the noise but that steps are exchangeable when the axis does nothing. Statistic: the sum of squares
    between steps of the ranks within blocks, standardised over the shuffles; against the largest of all measures.
    Source: Friedman 1937 (ranks within blocks); Westfall and Young 1993 (max-T). A measure that does not vary has 1.
    """
    if not tables:
        return {}
    first = next(iter(tables.values()))
    orders = _shuffles(first.seeds, first.values.shape[1])
    scores = {name: _between(_ranks(table.values), orders) for name, table in tables.items()}
    told = dict.fromkeys(tables, 1.0)
    varied = {name: _standardised(score) for name, score in scores.items() if score.std() > 1e-12 * abs(score.mean())}
    if varied:
        highest = np.max(list(varied.values()), axis=0)
        told |= {name: float(np.mean(highest >= score[0] - 1e-9)) for name, score in varied.items()}
    return told


@functools.lru_cache(8)
def _shuffles(seeds: tuple[int, ...], steps: int) -> NDArray[np.int64]:
    """(1 + PERMUTATIONS, blocks, steps); the first is the order as it is."""
    random = np.random.default_rng(20260)
    names = sorted(set(seeds))
    drawn = random.random((PERMUTATIONS, len(names), steps)).argsort(axis=2)
    plain = np.broadcast_to(np.arange(steps), (1, len(names), steps))
    return np.concatenate([plain, drawn])[:, [names.index(seed) for seed in seeds]]


def _ranks(values: Array) -> Array:
    """Ranks within each block, equal values sharing theirs, about the block's mean rank; NaN stays."""
    lower = (values[:, None, :] < values[:, :, None]).sum(2)
    equal = (values[:, None, :] == values[:, :, None]).sum(2)
    ranks = np.where(np.isfinite(values), lower + (equal + 1) / 2, np.nan)
    return np.asarray(ranks - _means(ranks))


def _between(ranks: Array, orders: NDArray[np.int64]) -> Array:
    """Sum of squares between steps for every order."""
    seen = np.isfinite(ranks)
    if not np.nan_to_num(ranks).any():
        return np.zeros(len(orders))
    blocks = np.arange(len(ranks))[None, :, None]
    sums = np.where(seen, ranks, 0.0)[blocks, orders].sum(1)
    counts = len(ranks) if seen.all() else np.maximum(seen[blocks, orders].sum(1), 1)
    return np.asarray((sums**2 / counts).sum(1), np.float64)


def _means(values: Array) -> Array:
    seen = np.isfinite(values)
    return np.asarray(np.where(seen, values, 0.0).sum(1, keepdims=True) / np.maximum(seen.sum(1, keepdims=True), 1))


def _standardised(scores: Array) -> Array:
    return np.asarray((scores - scores.mean()) / scores.std())


def is_line(values: Array, weights: Array, steps: Sequence[float]) -> bool:
    """Whether a straight line, over the steps' places or their values, fits about as well as one that rests first.

    Against it: a level up to any of the third to last steps and from there a line, or another level. It is a line
    unless one of these leaves at most half of the squares that the straight line leaves, or that leaves most of them.
    """
    there = np.isfinite(values)
    found, heavy = values[there], np.sqrt(weights[there])
    count = len(found)
    if count < 4:
        return True
    places, scale = np.arange(count, dtype=float), np.asarray(steps, np.float64)[there]
    lines = [_left(found, heavy, at) for at in (places, scale)]
    bent = [np.maximum(at - at[bend], 0.0) for at in (places, scale) for bend in range(2, count - 1)]
    stepped = [(places > bend).astype(float) for bend in range(1, count - 1)]
    if min(lines) > 0.5 * _left(found, heavy, np.zeros(count)):
        return False
    return bool(min(lines) <= 2 * min(_left(found, heavy, shape) for shape in (*bent, *stepped)))


def _left(values: Array, heavy: Array, shape: Array) -> float:
    """Squares that the best level + multiple of a shape leaves."""
    design = np.column_stack([np.ones(len(values)), shape]) * heavy[:, None]
    solved, *_ = np.linalg.lstsq(design, values * heavy, rcond=None)
    return float(np.sum((values * heavy - design @ solved) ** 2))


def rising(values: Array, weights: Array) -> Array:
    """The nearest curve that never falls (pool adjacent violators); NaN stays NaN. Source: Barlow et al. 1972."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    there = np.isfinite(values)
    for value, weight in zip(values[there], weights[there], strict=True):
        pool = float(value), float(weight), 1
        while pools and pools[-1][0] > pool[0]:
            mean, more, count = pools.pop()
            heavy = more + pool[1]
            pool = (mean * more + pool[0] * pool[1]) / heavy, heavy, count + pool[2]
        pools.append(pool)
    fitted = np.full(len(values), np.nan)
    fitted[there] = [mean for mean, _, count in pools for _ in range(count)]
    return fitted


def humped(values: Array, weights: Array) -> Array:
    """The nearest curve that rises to one top and falls after it, also one that only rises or only falls."""
    best, least = values, math.inf
    for top in range(len(values) + 1):
        fitted = np.concatenate(
            [rising(values[:top], weights[:top]), -rising(-values[top:], weights[top:])],
        )
        away = float(np.nansum(weights * (fitted - values) ** 2))
        if away < least - 1e-12:
            best, least = fitted, away
    return best


def contrast(table: Table, steps: Sequence[int], *, against: Sequence[int], level: float = CONFIDENCE) -> Estimate:
    """Mean of `steps` - mean of `against`, with its interval over seeds (Student's t on one difference a seed).

    Only seeds with values on both sides count; a missing cell is made up for by its step's effect. With fewer than two
    such seeds the interval is as wide as can be written. Source: Student 1908, paired; heavy tails make it wider, not
    narrower.
    """
    columns = table.effects
    rest = table.values - columns
    out, inside = rest[:, list(steps)], rest[:, list(against)]
    both = np.isfinite(out).any(1) & np.isfinite(inside).any(1)
    if not both.any():
        return Estimate(value=0.0, low=-WIDEST, high=WIDEST, n=0)
    shift = float(np.nanmean(columns[list(steps)]) - np.nanmean(columns[list(against)]))
    each = _means(out)[both, 0] - _means(inside)[both, 0] + shift
    return over_seeds(each, [table.seeds[at] for at in np.flatnonzero(both)], level=level)


WIDEST = 1e6
"""Stands for an interval without end: JSON knows no infinity."""


def over_seeds(values: Array, seeds: Sequence[int], *, level: float = CONFIDENCE) -> Estimate:
    """Mean over seeds, blocks of one seed averaged first, with Student's interval."""
    owners = np.asarray(seeds)
    means = np.array([values[owners == seed].mean() for seed in sorted(set(seeds))])
    mean, n = float(means.mean()), len(means)
    if n < 2:
        return Estimate(value=mean, low=-WIDEST, high=WIDEST, n=n)
    half = float(_student(0.5 + level / 2, n - 1) * means.std(ddof=1) / math.sqrt(n))
    return Estimate(value=mean, low=mean - half, high=mean + half, n=n)


def pulled_in(values: Array) -> Array:
    """Wild values pulled in to `HUBER` standard deviations of the median; as they are where half are equal."""
    middle = float(np.median(values))
    width = MADS * float(np.median(np.abs(values - middle)))
    return np.clip(values, middle - HUBER * width, middle + HUBER * width) if width else values


def _student(share: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


def points(table: Table) -> tuple[Estimate | None, ...]:
    """Every step's level with its interval over seeds; None without a value.

    The blocks' own levels are taken out of the interval (Cousineau 2005), since pictures are compared within a seed.
    From a single seed low and high are the value itself: `n` says that there is no interval.
    """
    rest = table.values - table.effects
    owners = np.asarray(table.seeds)
    own = rest - _means(rest)
    by_seed = [own[owners == seed] for seed in sorted(set(table.seeds))]
    means = np.array([np.where(np.isfinite(part).any(0), _means(part.T)[:, 0], np.nan) for part in by_seed])
    told: list[Estimate | None] = []
    for at, level in enumerate(levels(table)):
        there = means[np.isfinite(means[:, at]), at]
        n = len(there)
        half = _student(0.5 + CONFIDENCE / 2, n - 1) * float(there.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
        told.append(Estimate(value=level, low=level - half, high=level + half, n=n) if n else None)
    return tuple(told)
