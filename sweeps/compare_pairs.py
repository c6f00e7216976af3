"""Two schedulers, or two checkpoints, at equal settings, seeds and scenes: which reads better, pair by pair.

Knows nothing about files or pages. One difference a pair, averaged over the pairs of a seed; an interval over seeds.
Nothing is won where the measures contradict each other.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sweeps import compare_words as words
from sweeps import curves
from sweeps.compare_cells import (
    ALWAYS_SAID,
    GOOD_SEEDS,
    LEAST_SEEDS,
    SETTINGS,
    Seen,
    block_of,
    counted,
    fixed,
    held_of,
    more_seeds,
    number,
    said,
    setting,
)
from sweeps.compare_worth import BENEFITS, NO_TEXTURE, SEEN, SKIN
from sweeps.curves import Array
from sweeps.findings import Addition, Estimate, Evidence, Finding, Kind, Shown
from sweeps.ranges import Value

FALSE = 0.05
"""How likely, at most, anything is said to differ in a run in which nothing does: all pairs and measures together."""
FAMILY_OWN = ("text_tokens", "clip_skip", "spacing")
"""Settings that each family of models has its own normal of."""
ACROSS = tuple(name for name in SEEN if name != "halo")
"""What two checkpoints are judged by: they draw other people in another light, and halo compares at one exposure."""
MOST_PAIRS = 10
"""Of one checkpoint; those with most pictures are told."""
CALLS = 1.05
"""Times: schedulers whose network calls differ by more do not take the same time."""
SIGMAS = 1.01
"""Times: first noise levels that differ by more begin another picture."""


@dataclass(frozen=True)
class Pairing:
    """Pictures of `names[0]` and `names[1]` that are equal in all else. `tests` is how many comparisons a run makes."""

    kind: Kind
    names: tuple[str, str]
    pairs: tuple[tuple[Seen, Seen], ...]
    run: tuple[Seen, ...]
    tests: int

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds that both have, rising."""
        return tuple(sorted({first.recipe.seed for first, _ in self.pairs}))

    @property
    def both(self) -> tuple[Seen, ...]:
        """All pictures of the pairs."""
        return tuple(each for pair in self.pairs for each in pair)

    @property
    def varied(self) -> str:
        """The field that differs."""
        return "checkpoint" if self.kind == "engine" else "scheduler"

    @cached_property
    def effects(self) -> Mapping[str, tuple[Estimate, bool]]:
        """Second - first of every measure with values: the effect at 95 %, and whether it is sure and seen."""
        told = {}
        for name in SEEN if self.kind == "scheduler" else ACROSS:
            apart = [(number(b, name), number(a, name), a.recipe.seed) for a, b in self.pairs]
            whole = [(b - a, seed) for b, a, seed in apart if a is not None and b is not None]
            if not whole:
                continue
            values, seeds = np.array([each for each, _ in whole]), [seed for _, seed in whole]
            effect = steady(values, seeds)
            judged = steady(values, seeds, level=1 - FALSE / self.tests)
            sure = effect.n >= LEAST_SEEDS and words.is_certain(judged) and abs(effect.value) >= SEEN[name]
            told[name] = effect, sure
        return told

    def agreeing(self, measure: str) -> tuple[int, int]:
        """In how many seeds the difference goes the way of the mean, of how many."""
        each: dict[int, list[float]] = {}
        for a, b in self.pairs:
            first, second = number(a, measure), number(b, measure)
            if first is not None and second is not None:
                each.setdefault(a.recipe.seed, []).append(second - first)
        way = np.sign(self.effects[measure][0].value)
        return sum(bool(np.sign(np.mean(several)) == way) for several in each.values()), len(each)


def steady(values: Array, seeds: Sequence[int], *, level: float = curves.CONFIDENCE) -> Estimate:
    """Mean over seeds of what each pair differs by, wild pairs pulled in, with an interval that pays for each of them.

    A pair that was pulled in takes its share of its seed from the seeds that count (Tukey and McLaughlin 1963): without
    that the 95 % interval of three seeds held the truth in 85 %, with it in 94 to 97 % of normal and of heavy-tailed
    pairs, 3 to 8 seeds, 1 to 4 pairs each. As wide as can be written where fewer than two seeds are left.
    """
    from scipy.special import stdtrit

    pulled, owners = curves.pulled_in(values), np.asarray(seeds)
    own = [owners == seed for seed in sorted(set(seeds))]
    means = np.array([pulled[each].mean() for each in own])
    mean, n = float(means.mean()), len(own)
    left = n - sum(float((pulled != values)[each].mean()) for each in own)
    if left < 2:
        return Estimate(value=mean, low=-curves.WIDEST, high=curves.WIDEST, n=n)
    error = float(means.std(ddof=1)) * (n - 1) / (left - 1) / math.sqrt(n)
    half = float(stdtrit(left - 1, 0.5 + level / 2)) * error
    return Estimate(value=mean, low=mean - half, high=mean + half, n=n)


def schedulers(seen: Sequence[Seen]) -> tuple[Finding, ...]:
    """Every two schedulers of a checkpoint that made pictures of equal settings, seed and scene."""
    told: list[Pairing] = []
    for checkpoint in sorted({each.recipe.checkpoint.identity for each in seen}):
        part = [each for each in seen if each.recipe.checkpoint.identity == checkpoint]
        told += _paired("scheduler", part, seen, lambda each: setting(each.recipe, "scheduler"), but=("scheduler",))
    return _compared(told)


def engines(seen: Sequence[Seen]) -> tuple[Finding, ...]:
    """Every two checkpoints that made pictures of one scene and seed; at equal settings where there are such pairs."""
    told = _paired("engine", seen, seen, lambda each: each.checkpoint, but=FAMILY_OWN)
    loosely = (*FAMILY_OWN, *ALWAYS_SAID)
    return _compared(told or _paired("engine", seen, seen, lambda each: each.checkpoint, but=loosely))


def _paired(
    kind: Kind, part: Sequence[Seen], run: Sequence[Seen], name_of: Callable[[Seen], str], *, but: Sequence[str]
) -> list[Pairing]:
    """All pairings of two names; `but` are the settings that may differ within a pair, beside what is compared."""
    places: dict[str, dict[tuple[object, ...], Seen]] = {}
    for each in part:
        equal = tuple(setting(each.recipe, name) for name in SETTINGS if name not in but)
        places.setdefault(name_of(each), {}).setdefault((*block_of(each), *equal), each)
    told = []
    for first, second in itertools.combinations(sorted(places), 2):
        common = sorted(places[first].keys() & places[second].keys(), key=repr)
        pairs = tuple((places[first][place], places[second][place]) for place in common)
        if pairs:
            told.append(Pairing(kind, (first, second), pairs, tuple(run), 1))
    return sorted(told, key=lambda pairing: (-len(pairing.pairs), pairing.names))[:MOST_PAIRS]


def _compared(pairings: Sequence[Pairing]) -> tuple[Finding, ...]:
    tests = len(pairings) * len(SEEN)
    return tuple(_compare(Pairing(each.kind, each.names, each.pairs, each.run, tests)) for each in pairings)


def _compare(pairing: Pairing) -> Finding:
    effects = pairing.effects
    if not set(SKIN) & set(effects):
        return _none(pairing, "nothing could be measured in both", ())
    if len(pairing.seeds) < LEAST_SEEDS:
        count = LEAST_SEEDS + 1 - len(pairing.seeds)
        more = _more(pairing, count, "nothing is found from fewer than 3 seeds")
        return _none(pairing, f"{words.seeds(len(pairing.seeds))} cannot tell them apart from chance", (more,))
    sure = {name: effect for name, (effect, is_sure) in effects.items() if is_sure}
    sides = {_is_second_better(name, effect) for name, effect in sure.items()}
    if len(sides) == 2:
        evidence = _evidence(pairing, is_second=_is_second_better(*next(iter(sure.items()))))
        reason = f"the measures contradict each other: {_said(pairing, sure)}"
        return _none(pairing, f"{reason}; vote blind to settle it", (), evidence=evidence)
    if not sides:
        return _alike(pairing)
    return _won(pairing, sure, is_second=sides.pop())


def _finding(pairing: Pairing, **more: object) -> Finding:
    basis = {
        "kind": pairing.kind,
        "checkpoint": pairing.pairs[0][0].checkpoint,
        "held": held_of(pairing.both, but=(pairing.varied,)),
        "between": pairing.names,
        "n": len(pairing.seeds),
        "evidence": _evidence(pairing),
        "pictures": _pictures(pairing),
        "cautions": _cautions(pairing),
    }
    return Finding.read(basis | more)


def _subject(pairing: Pairing) -> str:
    """Where they were compared, in brackets, with the checkpoint where the schedulers are what differs."""
    both = pairing.both
    held = said(held_of(both, but=(pairing.varied,)), pairing.run)
    others = tuple(
        (name, words.values(sorted({float(getattr(each.recipe, name)) for each in both})))
        for name in ("steps", "guidance")
        if name not in dict(held)
    )
    where = words.settings((*others, *held))
    return where if pairing.kind == "engine" else f" with {pairing.pairs[0][0].checkpoint}{where}"


def _none(pairing: Pairing, reason: str, more: Sequence[Addition | None], **told: object) -> Finding:
    first, second = pairing.names
    sentence = f"Neither {first} nor {second} reads better{_subject(pairing)}: {reason}."
    return _finding(pairing, state="none", sentence=sentence, additions=tuple(each for each in more if each), **told)


def _said(pairing: Pairing, effects: Mapping[str, Estimate]) -> str:
    """`with heun texture is 14 % higher (95 %: 9 to 19, 8 seeds), halo is .12 higher (.08 to .15)`."""
    told = [words.change(name, effect, first=not at) for at, (name, effect) in enumerate(effects.items())]
    return f"with {pairing.names[1]} {', '.join(told)}"


def _alike(pairing: Pairing) -> Finding:
    """No sure difference: either so small that it is settled, or more seeds are needed."""
    effects = {name: effect for name, (effect, _) in pairing.effects.items() if name in SKIN}
    open_ = [name for name, effect in effects.items() if max(-effect.low, effect.high) >= SEEN[name]]
    told = ", ".join(words.within(name, effect) for name, effect in effects.items())
    if not open_:
        return _none(pairing, f"they are the same to the eye ({told}; 95 %, {words.seeds(len(pairing.seeds))})", ())
    more = _more(pairing, max(2, GOOD_SEEDS - len(pairing.seeds)), f"{' and '.join(open_)} vary too much between seeds")
    return _none(pairing, f"what differs may be chance ({told}; 95 %, {words.seeds(len(pairing.seeds))})", (more,))


def _won(pairing: Pairing, sure: Mapping[str, Estimate], *, is_second: bool) -> Finding:
    winner, other = pairing.names[::-1] if is_second else pairing.names
    lead = sure if is_second else {name: _turned(effect) for name, effect in sure.items()}
    told = [words.change(name, effect, first=not at) for at, (name, effect) in enumerate(lead.items())]
    name = next(iter(sure))
    agree, of = pairing.agreeing(name)
    return _finding(
        pairing,
        state="found",
        evidence=_evidence(pairing, is_second=is_second),
        winner=winner,
        n=min(effect.n for effect in sure.values()),
        sentence=f"{winner} reads better than {other}{_subject(pairing)}: {', '.join(told)}; "
        f"so in {agree} of {of} seeds.",
    )


def _turned(effect: Estimate) -> Estimate:
    return Estimate(value=-effect.value, low=-effect.high, high=-effect.low, n=effect.n)


def _evidence(pairing: Pairing, *, is_second: bool | None = None) -> tuple[Evidence, ...]:
    """What differs surely, second against first, for and against the winner; where nothing does, what is alike."""
    sure = {name: effect for name, (effect, is_sure) in pairing.effects.items() if is_sure}
    told = sure or {name: effect for name, (effect, _) in pairing.effects.items() if name in SKIN}
    return tuple(
        Evidence(
            measure=name,
            sentence=f"with {pairing.names[1]} {words.change(name, effect)}",
            effect=effect,
            is_for=not sure or is_second is None or is_second == _is_second_better(name, effect),
        )
        for name, effect in told.items()
    )


def _is_second_better(measure: str, effect: Estimate) -> bool:
    return (effect.value > 0) == (measure in BENEFITS)


def _pictures(pairing: Pairing) -> tuple[Shown, ...]:
    """The pair whose difference is nearest to the median difference."""
    whole = [pair for pair in pairing.pairs if pair[0].is_whole and pair[1].is_whole]
    if not whole:
        return ()
    rows = np.array([[_apart(pair, name) / least for name, least in SKIN.items()] for pair in whole])
    away = np.abs(rows - np.median(rows, axis=0)).sum(1).round(9)
    ranked = sorted(zip(away, whole, strict=True), key=lambda each: (each[0], each[1][0].recipe.seed, each[1][0].key))
    first, second = ranked[0][1]
    return (
        Shown(role="a", key=first.key, words=f"{pairing.names[0]}, seed {first.recipe.seed}"),
        Shown(role="b", key=second.key, words=f"{pairing.names[1]}, seed {second.recipe.seed}"),
    )


def _apart(pair: tuple[Seen, Seen], measure: str) -> float:
    return (number(pair[1], measure) or 0.0) - (number(pair[0], measure) or 0.0)


def _cautions(pairing: Pairing) -> tuple[str, ...]:
    """What differs beside what is compared: the first noise level, network calls, people and framing."""
    told = [*_calls(pairing), *(_sigmas(pairing) if pairing.kind == "scheduler" else ())]
    if pairing.kind == "engine":
        told.append("each engine draws other people and framings; the measures compare best within one framing")
        told.append("guidance and steps do not mean the same to both; compare each inside its own window")
    sides = [[slope for pair in pairing.pairs if (slope := pair[at].values.get("slope")) is not None] for at in (0, 1)]
    flat = {
        name: f"{name} {np.median(slopes):.1f}"
        for name, slopes in zip(pairing.names, sides, strict=True)
        if slopes and np.median(slopes) < NO_TEXTURE
    }
    if flat:
        told.append(f"no texture is resolved: slope below {NO_TEXTURE} ({', '.join(flat.values())})")
    return tuple(told)


def _calls(pairing: Pairing) -> tuple[str, ...]:
    both = [(a.evaluations, b.evaluations) for a, b in pairing.pairs if a.evaluations and b.evaluations]
    if not both:
        return ()
    first, second = (float(np.median(side)) for side in zip(*both, strict=True))
    if max(first, second) <= CALLS * min(first, second):
        return ()
    more, less = (0, 1) if first > second else (1, 0)
    calls = first, second
    return (
        f"{pairing.names[more]} makes {calls[more]:.0f} network calls where {pairing.names[less]} makes "
        f"{calls[less]:.0f}: at equal time {pairing.names[less]} has {calls[more] / calls[less]:.1f} times the steps",
    )


def _sigmas(pairing: Pairing) -> tuple[str, ...]:
    both = [(a.first_sigma, b.first_sigma) for a, b in pairing.pairs if a.first_sigma and b.first_sigma]
    apart = [(a, b) for a, b in both if max(a, b) > SIGMAS * min(a, b)]
    if not apart:
        return ()
    first, second = (float(np.median(side)) for side in zip(*apart, strict=True))
    return (
        f"{pairing.names[0]} begins at sigma {first:.1f}, {pairing.names[1]} at {second:.1f}: the pictures differ "
        "by their first noise too, not by the solver alone",
    )


def _more(pairing: Pairing, count: int, why: str) -> Addition | None:
    """Both at so many more seeds, at the settings that were compared."""
    recipe = pairing.pairs[0][0].recipe
    seeds = more_seeds(pairing.seeds, count)
    steps: list[tuple[str, tuple[Value, ...]]] = []
    axes = ["seed", pairing.varied]
    for name in ("steps", "guidance"):
        values = {getattr(each.recipe, name) for each in pairing.both}
        if len(values) > 1:
            steps.append((name, tuple(sorted(values))))
            axes.append(name)
    cells = [*fixed(recipe, pairing.run, but=("seed", *axes)), *steps, (pairing.varied, pairing.names), ("seed", seeds)]
    return counted(cells, seen=pairing.run, axes=axes, why=why)
