"""Ranks settings from blind votes on pairs of their pictures, with intervals. Pure; knows nothing about runs or files.

The model: a setting has a strength, each of its pictures lies by chance somewhat above or below it, each voter has a
leaning to one side and a readiness to say "equal". The chance part is what makes intervals speak of new seeds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pipelines.frozen import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

STRENGTH_SD = 2.0
"""What is believed of strengths beforehand, in logits: 19 of 20 settings win 2 to 98 % against an average one."""
SIDE_SD = 1.0
"""A voter's leaning, in logits: 19 of 20 voters take equal pictures on one side 12 to 88 % of the time."""
EQUAL = (-1.0, 1.5)
"""Mean and standard deviation of log nu of ties: about 1 in 6 equal pairs is called equal, from almost none to most."""
CHANCE = (0.05, 0.3, 0.6, 1.0, 1.5, 2.2)
"""Spreads of pictures within a setting that are tried, in logits; each counts as far as the votes speak for it."""
CHANCE_SD = 1.0
"""Half-normal belief about that spread, before any vote."""
DRAWS = 4000
SEED = 7
"""Of the draws behind intervals: equal votes give equal numbers."""
NEWTON_STEPS = 40
Z95 = 1.959964

Outcome = Literal["left", "right", "equal"]


@dataclass(frozen=True)
class Compared:
    """One vote: settings and pictures at the left and at the right by name, what was said, and by whom."""

    left: str
    right: str
    left_picture: str
    right_picture: str
    said: Outcome
    by: str = ""


class Share(Frozen):
    """A share of `n` from 0 to 1 with its 95 % interval (Wilson 1927)."""

    value: float
    low: float
    high: float
    n: int


class Ranked(Frozen):
    """A setting and how often it is preferred to the others (0 to 1, pairs called equal left out), with 95 % interval.

    `votes` were on its pictures, of which there were `pictures`.
    """

    setting: str
    share: float
    low: float
    high: float
    votes: int
    pictures: int


class Ranking(Frozen):
    """Settings from the most to the least preferred. `first` is the chance of the first one to be the best of them;
    `chance` is how far pictures of one setting lie apart (logits)."""

    settings: tuple[Ranked, ...] = ()
    votes: int = 0
    equal: int = 0
    first: float = 0.0
    chance: float = 0.0


@dataclass(frozen=True)
class Fit:
    """Strengths as a mixture of normal distributions, one for every tried spread of pictures."""

    settings: tuple[str, ...]
    weights: "Array"
    """(spreads,), sum 1."""
    means: "Array"
    """(spreads, settings), logits."""
    covariances: "Array"
    """(spreads, settings, settings)."""

    @property
    def mean(self) -> "Array":
        """Of the strengths (settings,)."""
        found: Array = self.weights @ self.means
        return found

    @cached_property
    def covariance(self) -> "Array":
        """Of the strengths (settings, settings)."""
        import numpy as np

        apart = self.means - self.mean
        found: Array = np.einsum("s,sij->ij", self.weights, self.covariances) + (apart.T * self.weights) @ apart
        return found

    @property
    def chance(self) -> float:
        """How far pictures of one setting lie apart, in logits."""
        return float(self.weights @ CHANCE)

    def draws(self) -> "Array":
        """Strengths that the votes allow: (DRAWS, settings), always the same ones."""
        import numpy as np

        source = np.random.default_rng(SEED)
        which = np.sort(source.choice(len(self.weights), DRAWS, p=self.weights))
        normal = source.standard_normal((DRAWS, len(self.settings)))
        roots = np.linalg.cholesky(self.covariances + 1e-9 * np.eye(len(self.settings)))
        for at in range(len(self.weights)):
            normal[which == at] = self.means[at] + normal[which == at] @ roots[at].T
        return normal


def rank(votes: Sequence[Compared]) -> Ranking:
    """The ranking that these votes give; of settings that nobody voted on it says nothing."""
    import numpy as np

    settings = tuple(sorted({name for vote in votes for name in (vote.left, vote.right)}))
    if len(settings) < 2:
        return Ranking()
    found = fit(votes, settings)
    draws = found.draws()
    shares = preferred(draws)
    low, high = np.quantile(shares, (0.025, 0.975), axis=0)
    middle = shares.mean(0)
    order = sorted(range(len(settings)), key=lambda at: -middle[at])
    best = np.bincount(draws.argmax(1), minlength=len(settings)) / DRAWS
    ranked = tuple(
        Ranked(
            setting=settings[at],
            share=round(float(middle[at]), 4),
            low=round(float(low[at]), 4),
            high=round(float(high[at]), 4),
            votes=sum(settings[at] in (vote.left, vote.right) for vote in votes),
            pictures=len(_pictures_of(settings[at], votes)),
        )
        for at in order
    )
    equal = sum(vote.said == "equal" for vote in votes)
    first = round(float(best[order[0]]), 4)
    return Ranking(settings=ranked, votes=len(votes), equal=equal, first=first, chance=round(found.chance, 3))


def preferred(strengths: "Array") -> "Array":
    """Strengths (draws, settings) in logits -> the mean chance of each to be preferred to one of the others."""
    import numpy as np

    count = strengths.shape[1]
    found = np.zeros_like(strengths)
    for other in range(count):  # one other at a time: draws x settings x settings may not fit into memory
        found += 1 / (1 + np.exp(strengths[:, other : other + 1] - strengths))
    result: Array = (found - 0.5) / (count - 1)
    return result


def fit(votes: Sequence[Compared], settings: Sequence[str]) -> Fit:
    """Strengths of these settings given the votes, by Laplace's approximation around the most probable values.

    Bradley-Terry with ties (Davidson 1970, doi 10.1080/01621459.1970.10481082) and a side effect (Davidson and Beaver
    1977, doi 10.2307/2529467), normal beliefs about all of them, and a normal effect of every picture whose spread is
    averaged over CHANCE by how well each explains the votes.
    """
    import numpy as np

    layout = _Layout(votes, settings)
    evidence, means, covariances = [], [], []
    values = layout.start()
    for spread in CHANCE:
        values, precision, logarithm = _most_probable(layout, values, spread)
        inverse = np.linalg.inv(precision)
        count = len(settings)
        means.append(values[:count].copy())
        covariances.append(inverse[:count, :count])
        evidence.append(logarithm - spread**2 / (2 * CHANCE_SD**2) + math.log(_width(spread)))
    weights = np.exp(np.array(evidence) - max(evidence))
    return Fit(tuple(settings), weights / weights.sum(), np.array(means), np.array(covariances))


def wilson(hits: int, n: int, *, z: float = Z95, alike: float = 1.0) -> Share:
    """A share with its score interval (Wilson 1927, doi 10.1080/01621459.1927.10502953); of nothing: 0 to 1.

    `alike`: how many answers tell as much as one independent one.
    """
    if not n:
        return Share(value=0.5, low=0.0, high=1.0, n=0)
    share, count = hits / n, n / alike
    more = z * z / count
    middle, half = share + more / 2, z * math.sqrt((share * (1 - share) + more / 4) / count)
    low, high = (middle - half) / (1 + more), (middle + half) / (1 + more)
    return Share(value=share, low=min(max(0.0, low), share), high=max(min(1.0, high), share), n=n)


class _Layout:
    """Which numbers a vote depends on, in this order: strengths, pictures, leanings and log nu of the voters."""

    def __init__(self, votes: Sequence[Compared], settings: Sequence[str]) -> None:
        import numpy as np

        at = {name: number for number, name in enumerate(settings)}
        pictures = sorted({name for vote in votes for name in (vote.left_picture, vote.right_picture)})
        picture = {name: number for number, name in enumerate(pictures)}
        voter = {name: number for number, name in enumerate(sorted({vote.by for vote in votes}))}
        self.settings, self.pictures, self.voters = len(settings), len(pictures), len(voter)
        side, equal = self.settings + self.pictures, self.settings + self.pictures + self.voters
        rows = [
            (
                at[vote.left],
                at[vote.right],
                self.settings + picture[vote.left_picture],
                self.settings + picture[vote.right_picture],
                side + voter[vote.by],
                equal + voter[vote.by],
            )
            for vote in votes
        ]
        self.rows = np.array(rows, np.int64).reshape(-1, 6)
        self.said = np.array([{"left": 1, "right": -1, "equal": 0}[vote.said] for vote in votes], np.float64)

    @property
    def size(self) -> int:
        return self.settings + self.pictures + 2 * self.voters

    def start(self) -> "Array":
        import numpy as np

        values = np.zeros(self.size)
        values[self.size - self.voters :] = EQUAL[0]
        return values

    def belief(self, spread: float) -> tuple["Array", "Array"]:
        """Mean and precision of every number before any vote."""
        import numpy as np

        widths = (STRENGTH_SD, spread, SIDE_SD, EQUAL[1])
        counts = (self.settings, self.pictures, self.voters, self.voters)
        return self.start(), np.repeat([width**-2 for width in widths], counts)


SIGNS = (1.0, -1.0, 1.0, -1.0, 1.0)
"""How strengths, pictures and leaning enter the difference between left and right."""


def _most_probable(layout: _Layout, values: "Array", spread: float) -> tuple["Array", "Array", float]:
    """Newton's method: the values, the precision around them, and the log evidence. The function is concave."""
    import numpy as np

    mean, belief = layout.belief(spread)
    height = _height(layout, values, mean, belief)
    for _ in range(NEWTON_STEPS):
        slope, precision = _slope(layout, values, mean, belief)
        step = np.linalg.solve(precision, slope)
        while (next_height := _height(layout, values + step, mean, belief)) < height - 1e-9:
            step = step / 2
        values, height = values + step, next_height
        if np.abs(step).max() < 1e-6:
            break
    _, precision = _slope(layout, values, mean, belief)
    logarithm = np.linalg.slogdet(precision)[1]
    return values, precision, height + 0.5 * (float(np.log(belief).sum()) - float(logarithm))


def _parts(layout: _Layout, values: "Array") -> tuple["Array", "Array", "Array"]:
    """Difference left - right, log nu, and the logarithm of what all three answers sum to, for every vote."""
    import numpy as np

    difference = values[layout.rows[:, :5]] @ np.array(SIGNS)
    equal = values[layout.rows[:, 5]]
    return difference, equal, np.logaddexp(np.logaddexp(difference / 2, -difference / 2), equal)


def _height(layout: _Layout, values: "Array", mean: "Array", belief: "Array") -> float:
    import numpy as np

    difference, equal, total = _parts(layout, values)
    said = np.where(layout.said == 0, equal, layout.said * difference / 2)
    return float((said - total).sum() - 0.5 * (belief * (values - mean) ** 2).sum())


def _slope(layout: _Layout, values: "Array", mean: "Array", belief: "Array") -> tuple["Array", "Array"]:
    """Gradient (size,) and minus the second derivatives (size, size)."""
    import numpy as np

    difference, equal, total = _parts(layout, values)
    left, right, tied = np.exp(difference / 2 - total), np.exp(-difference / 2 - total), np.exp(equal - total)
    signs = np.array(SIGNS)
    slope = belief * (mean - values)
    by_vote = np.column_stack([np.outer((layout.said - left + right) / 2, signs), (layout.said == 0) - tied])
    np.add.at(slope, layout.rows, by_vote)
    each = np.empty((len(layout.rows), 6, 6))
    each[:, :5, :5] = ((left + right - (left - right) ** 2) / 4)[:, None, None] * np.outer(signs, signs)
    each[:, :5, 5] = each[:, 5, :5] = np.outer(-(left - right) * tied / 2, signs)
    each[:, 5, 5] = tied * (1 - tied)
    precision = np.diag(belief)
    np.add.at(precision, (layout.rows[:, :, None], layout.rows[:, None, :]), each)
    return slope, precision


def _width(spread: float) -> float:
    """How much of the line of spreads a tried one stands for."""
    at = CHANCE.index(spread)
    low = CHANCE[at - 1] if at else 0.0
    high = CHANCE[at + 1] if at + 1 < len(CHANCE) else 2 * spread - low
    return (high - low) / 2


def _pictures_of(setting: str, votes: Sequence[Compared]) -> frozenset[str]:
    left = {vote.left_picture for vote in votes if vote.left == setting}
    return frozenset(left | {vote.right_picture for vote in votes if vote.right == setting})


def sides(votes: Sequence[Compared]) -> Share:
    """How often the left one was preferred, where one was. Sides are random, so it is about the voter."""
    decided = [vote for vote in votes if vote.said != "equal"]
    return wilson(sum(vote.said == "left" for vote in decided), len(decided))


def followed(votes: Sequence[Compared], values: Mapping[str, float | None], *, z: float = Z95) -> Share:
    """How often the picture with the higher value was preferred; `values` by picture, None where there is none.

    Pairs called equal, pairs of equal values and pairs that lack one are left out. The interval allows for pictures
    that were judged several times: with numbers that mean nothing, 95 % intervals missed one half in 4 to 6 % of 900
    simulated runs each of 3 to 10 settings, without that in 5 to 7 %.
    """
    decided: list[tuple[bool, Compared]] = []
    for vote in votes:
        left, right = values.get(vote.left_picture), values.get(vote.right_picture)
        if vote.said != "equal" and left is not None and right is not None and left != right:
            decided.append(((left > right) == (vote.said == "left"), vote))
    hits = sum(hit for hit, _ in decided)
    return wilson(hits, len(decided), z=z, alike=_alike(decided, hits))


def _alike(decided: Sequence[tuple[bool, Compared]], hits: int) -> float:
    """How much larger the variance is because answers share pictures (dyadic clusters, Aronow, Samii and Assenova 2015,
    doi 10.1093/pan/mpv018), at least 1."""
    if hits in (0, len(decided)):
        return 1.0
    share = hits / len(decided)
    off: dict[str, float] = {}
    for hit, vote in decided:
        for picture in (vote.left_picture, vote.right_picture):
            off[picture] = off.get(picture, 0.0) + hit - share
    alone = len(decided) * share * (1 - share)
    return max(1.0, sum(each**2 for each in off.values()) / alone - 1)
