"""Rankings are recovered from simulated voters, and intervals cover the truth about as often as they say."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sweeps.ranking import Compared, Ranking, fit, preferred, rank, sides

Truth = NDArray[np.float64]


class Voter:
    """Answers by chance as the Bradley-Terry model with ties says; `leaning` to the left in logits."""

    def __init__(self, source: np.random.Generator, *, name: str = "ann", leaning: float = 0.0, ties: float = 0.35):
        self.source, self.name, self.leaning, self.ties = source, name, leaning, ties

    def say(self, left: float, right: float) -> Any:
        apart = (left - right + self.leaning) / 2
        weights = np.array([math.exp(apart), math.exp(-apart), self.ties])
        return ("left", "right", "equal")[self.source.choice(3, p=weights / weights.sum())]


def simulated(
    truth: Truth, count: int, *, seed: int, seeds: int = 6, spread: float = 0.5, **voter: Any
) -> tuple[Compared, ...]:
    """Votes on random pairs of settings; every picture lies by chance above or below its setting."""
    source = np.random.default_rng(seed)
    pictures = truth[:, None] + source.normal(0, spread, (len(truth), seeds))
    person, said = Voter(source, **voter), list[Compared]()
    for _ in range(count):
        left, right = source.choice(len(truth), 2, replace=False)
        at = source.integers(seeds)
        answer = person.say(pictures[left, at], pictures[right, at])
        said.append(Compared(name(left), name(right), f"{left} {at}", f"{right} {at}", answer, person.name))
    return tuple(said)


def name(number: int) -> str:
    return f"setting {number}"


def order(ranking: Ranking) -> list[int]:
    return [int(each.setting.split()[1]) for each in ranking.settings]


def shares(ranking: Ranking) -> Truth:
    """In the order of the settings' numbers."""
    return np.array([each.share for each in sorted(ranking.settings, key=lambda each: each.setting)])


def covered(truth: Truth, ranking: Ranking) -> list[bool]:
    true = preferred(truth[None])[0]
    return [each.low <= true[at] <= each.high for at, each in zip(order(ranking), ranking.settings, strict=True)]


def test_the_ranking_is_recovered_from_noisy_voters_with_ties() -> None:
    truth = np.array([0.0, 1.2, 2.4, 1.0, -0.6])
    best, correlations = 0, []
    for seed in range(20):
        found = rank(simulated(truth, 120, seed=seed))
        best += order(found)[0] == 2
        correlations.append(np.corrcoef(shares(found), preferred(truth[None])[0])[0, 1])
    assert best >= 18
    assert float(np.mean(correlations)) > 0.93


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    hits: list[bool] = []
    for seed in range(60):
        truth = np.random.default_rng(1000 + seed).normal(0, 1, 5)
        hits += covered(truth, rank(simulated(truth, 80, seed=seed, spread=(0.0, 0.5, 1.0)[seed % 3])))
    assert 0.92 <= float(np.mean(hits)) <= 0.99, "of 300 intervals that say 95 %"


def test_a_left_biased_voter_is_reported_and_moves_no_setting() -> None:
    truth = np.array([0.0, 0.8, 1.6, 0.6])
    straight, biased, hits = [], [], []
    for seed in range(20):
        votes = simulated(truth, 100, seed=seed, leaning=1.5)
        left = sides(votes)
        assert left.low > 0.5, "the bias is told"
        biased.append(shares(rank(votes)))
        straight.append(shares(rank(simulated(truth, 100, seed=seed))))
        hits += covered(truth, rank(votes))
    assert np.abs(np.mean(biased, 0) - np.mean(straight, 0)).max() < 0.06, "on average no setting gains or loses"
    assert float(np.mean(hits)) > 0.9


def test_a_bias_does_not_pass_for_a_setting_that_was_more_often_at_the_left() -> None:
    """Sides that came out unfair by chance: without a leaning in the model the first would win."""
    said = [Compared("a", "b", f"a{n}", f"b{n}", "left") for n in range(24)]
    said += [Compared("b", "a", f"b{n}", f"a{n}", "left") for n in range(24, 32)]
    found = rank(said)
    assert found.settings[0].low < 0.5 < found.settings[0].high
    assert found.settings[0].share < 0.7, "the raw share of a is 75 %"


def test_many_votes_on_one_seed_say_less_than_as_many_on_six() -> None:
    truth = np.array([0.0, 0.7, 1.4])

    def width(seeds: int) -> float:
        found = [rank(simulated(truth, 90, seed=seed, seeds=seeds, spread=0.6)) for seed in range(6)]
        return float(np.mean([each.high - each.low for ranking in found for each in ranking.settings]))

    assert width(1) > 1.3 * width(6), "what one seed does may be chance"


def test_more_votes_make_narrower_intervals_and_voters_may_lean_to_both_sides() -> None:
    truth = np.array([0.0, 0.5, 1.0])
    votes = simulated(truth, 60, seed=1, leaning=2) + simulated(truth, 60, seed=2, leaning=-2, name="bo")
    few, many = rank(votes[:30]), rank(votes)
    wide, narrow = (np.mean([each.high - each.low for each in found.settings]) for found in (few, many))
    assert narrow < wide
    assert many.votes == 120
    assert order(many)[0] == 2
    assert 0 <= many.first <= 1


def test_no_votes_rank_nothing_and_equal_ones_rank_all_alike() -> None:
    assert rank(()) == Ranking()
    assert rank(()).settings == ()
    said = [Compared("a", "b", f"a{n}", f"b{n}", "equal") for n in range(20)]
    found = rank(said)
    assert [each.share for each in found.settings] == pytest.approx([0.5, 0.5], abs=0.02)
    assert found.equal == 20


def test_equal_votes_give_equal_numbers_in_any_order() -> None:
    votes = simulated(np.array([0.0, 1.0, 2.0]), 40, seed=3)
    again = rank(tuple(reversed(votes)))
    for one, other in zip(rank(votes).settings, again.settings, strict=True):
        assert one.setting == other.setting
        assert (one.share, one.low, one.high) == pytest.approx((other.share, other.low, other.high), abs=2e-3)


def test_one_sided_votes_stay_finite() -> None:
    said = [Compared("a", "b", f"a{n % 3}", f"b{n % 3}", ("left", "right")[n % 2]) for n in range(0, 400, 2)]
    first, last = rank(said).settings
    assert (first.setting, first.votes, first.pictures) == ("a", 200, 3)
    assert 0.9 < first.share < 1
    assert last.high < 0.35


def test_the_fit_is_where_the_slope_is_nought() -> None:
    """Against the penalised likelihood written out anew, on a small case, moved a little in every direction."""
    votes = simulated(np.array([0.0, 1.0, 2.0]), 30, seed=4, seeds=2)
    from sweeps import ranking

    layout = ranking._Layout(votes, tuple(name(n) for n in range(3)))
    values, _, _ = ranking._most_probable(layout, layout.start(), 0.6)
    best = _written_out(votes, values, 0.6)
    for at in range(len(values)):
        for step in (-0.01, 0.01):
            moved = values.copy()
            moved[at] += step
            assert _written_out(votes, moved, 0.6) < best
    found = fit(votes, tuple(name(n) for n in range(3)))
    assert float(found.weights.sum()) == pytest.approx(1)


def _written_out(votes: Sequence[Compared], values: Truth, spread: float) -> float:
    pictures = sorted({each for vote in votes for each in (vote.left_picture, vote.right_picture)})
    strength = {name(n): values[n] for n in range(3)}
    chance = {each: values[3 + n] for n, each in enumerate(pictures)}
    leaning, tie = values[-2], values[-1]
    total = -sum(v**2 for v in values[:3]) / 8 - sum(v**2 for v in chance.values()) / (2 * spread**2)
    total -= leaning**2 / 2 + (tie + 1) ** 2 / (2 * 1.5**2)
    for vote in votes:
        left = math.exp((strength[vote.left] + chance[vote.left_picture] + leaning) / 2)
        right = math.exp((strength[vote.right] + chance[vote.right_picture]) / 2)
        odds = {"left": left / right, "right": right / left, "equal": math.exp(tie)}
        total += math.log(odds[vote.said] / sum(odds.values()))
    return float(total)
