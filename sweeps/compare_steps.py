"""The step plateau: the smallest step count after which texture and slope stay the same, within a stated margin.

Knows nothing about files or pages. "The same" is an argument of equivalence: the whole interval of what more steps
bring must lie inside the margin. That a difference is not significant says nothing (Schuirmann 1987).
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from sweeps import compare_words as words
from sweeps import curves
from sweeps.compare_cells import GOOD_SEEDS, LEAST_SEEDS, Group, addition, more_seeds, nearest
from sweeps.compare_look import CHANCE, curve_of, measured
from sweeps.compare_window import beside
from sweeps.compare_worth import ENDS, SEEN, SKIN
from sweeps.curves import Table
from sweeps.findings import Addition, Estimate, Evidence, Finding, Shown
from sweeps.ranges import label

RESTING = ("texture", "slope")
HARM = "halo"
BEYOND = 2
"""So many values must lie on the plateau beyond the stop: with one, a curve that still rises looks like one."""
SLOWER = 0.5
"""A plateau brings at most so much a step of what the steps before it brought."""
MOST_STEPS = 150
"""More are not asked for: no scheduler we know is recommended with so many."""
FINE = 1.5
"""Times: neighbours further apart than this are worth a value between them."""


class Look:
    """What the measures of a group say of its step counts; each part is made when it is first asked for."""

    def __init__(self, group: Group) -> None:
        self.group, self.steps = group, group.steps

    @cached_property
    def _drawn(self) -> Mapping[str, Table]:
        """Of texture, slope and halo, those with values, as they were measured."""
        return measured(self.group)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The same with wild values tamed."""
        return {name: curves.tamed(table) for name, table in self._drawn.items()}

    @cached_property
    def is_real(self) -> bool:
        """Whether texture or slope differ between step counts by more than chance."""
        chances = curves.chances({name: table for name, table in self._drawn.items() if name in RESTING})
        return any(chance <= CHANCE for chance in chances.values())

    def gain(self, measure: str, stop: int) -> Estimate:
        """What the steps beyond `stop` bring."""
        return curves.contrast(self.tables[measure], range(stop + 1, len(self.steps)), against=[stop])

    def _is_level(self, stop: int, *, surely: bool) -> bool:
        """Whether texture and slope stay within the margin beyond, every value and (surely) their mean's interval."""
        for name in RESTING:
            levels = self.tables[name].effects
            rest = levels[stop + 1 :] - levels[stop]
            if not np.isfinite(rest).all() or np.abs(rest).max() >= SEEN[name]:
                return False
            effect = self.gain(name, stop)
            if surely and (effect.n < LEAST_SEEDS or max(-effect.low, effect.high) >= SEEN[name]):
                return False
        return True

    def stop(self, *, surely: bool) -> int | None:
        """The first step count that is level beyond and slower than before; None where there is none."""
        places = range(1, len(self.steps) - BEYOND)
        return next((at for at in places if self._is_level(at, surely=surely) and self._slows(at)), None)

    def _slows(self, stop: int) -> bool:
        """Whether a step beyond brings at most half of what one before brought, in the measure that moved most."""
        before, after = self.lost(stop), 0.0
        if before is None:
            return True
        name, at, effect = before
        levels = self.tables[name].effects
        after = abs(levels[-1] - levels[stop]) / (self.steps[-1] - self.steps[stop])
        return bool(after <= SLOWER * abs(effect.value) / (self.steps[stop] - self.steps[at]))

    def lost(self, stop: int) -> tuple[str, int, Estimate] | None:
        """The nearest earlier step count that surely and visibly differs from the plateau: measure, place, effect."""
        plateau = range(stop, len(self.steps))
        level = 1 - 0.05 / (len(RESTING) * max(1, stop))  # Bonferroni over measures and earlier values
        for at in range(stop - 1, -1, -1):
            for name in RESTING:
                effect = curves.contrast(self.tables[name], [at], against=plateau)
                judged = curves.contrast(self.tables[name], [at], against=plateau, level=level)
                if abs(effect.value) >= SEEN[name] and words.is_certain(judged) and effect.n >= LEAST_SEEDS:
                    return name, at, effect
        return None


def plateau(group: Group) -> Finding:
    """What a group of pictures says of its step count."""
    look = Look(group)
    told = _refused(look) or _judged(look)
    shown = (curve_of(group, name, look.tables.get(name)) for name in SKIN)
    return told.but(curves=tuple(filter(None, shown)))


def _finding(look: Look, **said: object) -> Finding:
    group = look.group
    basis = {"kind": "step-plateau", "checkpoint": group.checkpoint, "held": group.held, "n": len(group.seeds)}
    return Finding.read(basis | said)


def _none(look: Look, reason: str, more: Sequence[Addition | None]) -> Finding:
    sentence = f"No step plateau for {_subject(look)}: {reason}."
    return _finding(look, state="none", sentence=sentence, additions=tuple(each for each in more if each))


def _subject(look: Look) -> str:
    return f"{look.group.checkpoint}{words.settings(look.group.told)}"


def _refused(look: Look) -> Finding | None:
    group, count = look.group, len(look.group.seeds)
    if not set(RESTING) <= set(look.tables):
        return _none(look, "nothing could be measured", ())
    if count < LEAST_SEEDS:
        seeds = (*group.seeds, *more_seeds(group.seeds, LEAST_SEEDS + 1 - count))
        more = addition(group, steps=look.steps, seeds=seeds, why="nothing is found from fewer than 3 seeds")
        return _none(look, f"{words.seeds(count)} cannot tell what steps do from chance", (more,))
    if len(look.steps) < 2 + BEYOND:
        values = ", ".join(map(label, look.steps))
        more = addition(group, steps=_around(look), seeds=group.seeds, why="a plateau is seen from four values on")
        return _none(look, f"{values} are too few values to see one", (more,))
    return None


def _judged(look: Look) -> Finding:
    group = look.group
    stop = look.stop(surely=True)
    if look.is_real and stop is not None and (before := look.lost(stop)):
        return _told(look, stop, before)
    if not look.is_real or stop is not None:
        more = [addition(group, steps=_fewer(look), seeds=group.seeds, why="fewer steps, where texture may be lost")]
        more.append(_seeds(look, look.steps) if len(group.seeds) < GOOD_SEEDS else None)
        span = words.values(look.steps)
        return _none(look, f"from {span} steps nothing changes by more than chance or than is seen", more)
    near = look.stop(surely=False)
    if near is not None:
        effect = look.gain("texture", near)
        reason = f"from {label(look.steps[near])} on it looks level, but is not certain"
        return _none(look, f"{reason} ({words.gain('texture', effect)})", (_seeds(look, look.steps[near - 1 :]),))
    return _open(look)


def _open(look: Look) -> Finding:
    """Texture or slope still move at the last value."""
    last, before = label(look.steps[-1]), label(look.steps[-2])
    moves = [
        (name, curves.contrast(look.tables[name], [len(look.steps) - 1], against=[len(look.steps) - 2]))
        for name in RESTING
    ]
    name, effect = max(moves, key=lambda each: abs(each[1].value) / SEEN[each[0]])
    more = addition(look.group, steps=_more(look), seeds=look.group.seeds, why="the plateau was not reached")
    return _finding(
        look,
        state="open",
        sentence=f"No stop yet for {_subject(look)}: from {before} to {last} steps, the most tried, "
        f"{words.gain(name, effect)} (95 %, {words.seeds(effect.n)}).",
        evidence=(Evidence(measure=name, sentence=words.gain(name, effect), effect=effect, is_for=False),),
        additions=tuple(each for each in (more,) if each),
    )


def _told(look: Look, stop: int, before: tuple[str, int, Estimate]) -> Finding:
    steps = label(look.steps[stop])
    gains = {name: look.gain(name, stop) for name in RESTING}
    name, at, effect = before
    lost = f"with {label(look.steps[at])} {words.change(name, effect)}"
    told = " and ".join(words.gain(each, gain) for each, gain in gains.items())
    evidence = [
        Evidence(measure=each, sentence=f"beyond {steps} {words.gain(each, gain)}", effect=gain)
        for each, gain in gains.items()
    ]
    evidence.append(Evidence(measure=name, sentence=lost, effect=effect))
    engraved = _engraved(look, stop)
    extra = f"; beyond it {words.change(HARM, engraved, first=False)}: engraved" if engraved else ""
    n = min(gain.n for gain in gains.values())
    return _finding(
        look,
        state="found",
        low=look.steps[stop],
        n=n,
        sentence=f"Stop at {steps} steps with {_subject(look)}: beyond it {told} (95 %, {words.seeds(n)}); "
        f"{lost}{extra}.",
        evidence=(*evidence, *([_harm(engraved, steps)] if engraved else [])),
        pictures=_pictures(look, stop, is_engraved=engraved is not None),
        cautions=_cautions(look),
        additions=tuple(each for each in (_finer(look, stop),) if each),
    )


def _harm(effect: Estimate, steps: str) -> Evidence:
    return Evidence(measure=HARM, sentence=f"beyond {steps} {words.change(HARM, effect)}: engraved", effect=effect)


def _engraved(look: Look, stop: int) -> Estimate | None:
    """How much halo rises beyond the stop, where it surely does by what matters."""
    if HARM not in look.tables:
        return None
    effect = look.gain(HARM, stop)
    return effect if effect.n >= LEAST_SEEDS and effect.low > 0 and effect.value >= ENDS[HARM] else None


def _cautions(look: Look) -> tuple[str, ...]:
    percent = abs(words.percent(-SEEN["texture"]))
    margin = f"the same means within {percent:.0f} % of texture and {words.short(SEEN['slope'])} of slope"
    lost = []
    for step in look.steps:
        there = [each.values.get("texture") is not None for each in look.group.at(step)]
        lost += [] if all(there) else [f"{label(step)} ({there.count(False)} of {len(there)})"]
    return (margin, *([f"pictures without a face that can be measured: at {', '.join(lost)}"] if lost else []))


def _pictures(look: Look, stop: int, *, is_engraved: bool) -> tuple[Shown, ...]:
    """At the stop, whole, nearest to the median there; the engraved one is the same seed at the most steps."""
    group = look.group
    best = nearest(group.at(look.steps[stop]), SKIN)
    if best is None:
        return ()
    told = [
        Shown(role="plateau", key=best.key, words=f"{label(look.steps[stop])} steps, seed {best.recipe.seed}: enough")
    ]
    last = beside(group, best, look.steps[-1])
    if is_engraved and last:
        words_ = f"{label(look.steps[-1])} steps, seed {last.recipe.seed}: engraved"
        told.append(Shown(role="engraved", key=last.key, words=words_))
    return tuple(told)


def _seeds(look: Look, steps: Sequence[float]) -> Addition | None:
    group = look.group
    seeds = more_seeds(group.seeds, max(2, GOOD_SEEDS - len(group.seeds)))
    return addition(group, steps=steps, seeds=seeds, why="more seeds, to make the interval smaller")


def _fewer(look: Look) -> tuple[float, ...]:
    first = look.steps[0]
    return tuple(sorted({float(step) for step in (round(first / 2), round(first * 3 / 4)) if 1 <= step < first}))


def _more(look: Look) -> tuple[float, ...]:
    last = look.steps[-1]
    return tuple(float(step) for step in (math.ceil(last * 1.5), math.ceil(last * 2)) if step <= MOST_STEPS)


def _around(look: Look) -> tuple[float, ...]:
    return (*_fewer(look), *_more(look))


def _finer(look: Look, stop: int) -> Addition | None:
    """A value between the stop and the one before, where they lie far apart."""
    before, at = look.steps[stop - 1], look.steps[stop]
    if at <= FINE * before:
        return None
    why = f"to know the stop between {label(before)} and {label(at)}"
    return addition(look.group, steps=(float(round((before + at) / 2)),), seeds=look.group.seeds, why=why)
