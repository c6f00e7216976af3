"""The guidance window: between which values a checkpoint keeps skin, mud below, plastic or engraved above.

Knows nothing about files or pages. Everything is relative within one framing, by the smallest differences that matter;
nothing is found from fewer than three seeds, and what cannot be said names the cells that would let it be said.
"""

from collections.abc import Sequence

import numpy as np

from sweeps import compare_words as words
from sweeps import curves
from sweeps.compare_cells import (
    CLIPPED,
    FACE,
    GOOD_SEEDS,
    LEAST_SEEDS,
    NOISE,
    Group,
    Seen,
    addition,
    block_of,
    more_seeds,
    nearest,
)
from sweeps.compare_look import Edge, Look
from sweeps.compare_worth import ENDS, HARMS, NO_TEXTURE, SKIN, TEXTURE_LOST
from sweeps.findings import Addition, Estimate, Evidence, Finding, Shown
from sweeps.ranges import label

LEAST_STEPS = 3
COARSE = 5
"""So many values are asked for at first."""
FINE = 0.25
"""Of a value: an edge that is known closer than this is not looked at again."""
LOWEST, HIGHEST = 1.0, 30.0
"""Guidance is off at 1, and no checkpoint of a family we know is made for more than 30."""


def window(group: Group) -> Finding:
    """What a group of pictures says of its guidance (or true guidance) window."""
    look = Look(group)
    told = _refused(look) or _judged(look)
    return told.but(curves=tuple(filter(None, (look.curve(name) for name in SKIN))))


def _finding(look: Look, **said: object) -> Finding:
    group = look.group
    basis = {"kind": "guidance-window", "checkpoint": group.checkpoint, "held": group.held, "n": len(group.seeds)}
    return Finding.read(basis | said)


def _subject(look: Look) -> str:
    return f"{look.group.checkpoint}{words.settings(look.group.told)}"


def _none(look: Look, reason: str, more: Sequence[Addition | None], **said: object) -> Finding:
    what = look.group.axis.replace("_", " ")
    additions = tuple(each for each in more if each)
    return _finding(
        look, state="none", sentence=f"No {what} window for {_subject(look)}: {reason}.", additions=additions, **said
    )


def _refused(look: Look) -> Finding | None:
    """What forbids any finding: too few seeds, too few values, nothing measured."""
    group = look.group
    if not set(look.tables) & set(SKIN):
        reasons = [reason for each in group.seen for reason in each.why.values()]
        why = max(set(reasons), key=lambda reason: (reasons.count(reason), reason)) if reasons else "no face was found"
        return _none(look, f"nothing could be measured ({why})", ())
    if len(group.seeds) < LEAST_SEEDS:
        wanted = LEAST_SEEDS + 1 - len(group.seeds)
        seeds = (*group.seeds, *more_seeds(group.seeds, wanted))
        more = addition(group, steps=_coarse(look.steps), seeds=seeds, why="nothing is found from fewer than 3 seeds")
        return _none(look, f"{words.seeds(len(group.seeds))} cannot tell what guidance does from chance", (more,))
    if len(look.steps) < LEAST_STEPS:
        values = ", ".join(map(label, look.steps))
        more = addition(group, steps=_beyond(look), seeds=group.seeds, why="a window lies between values outside it")
        return _none(look, f"{values} are too few values to have one between", (more,))
    return None


def _judged(look: Look) -> Finding:
    if not any(look.is_real(name) for name in look.tables):
        return _flat(look)
    low, high = look.window
    if low > high or (look.has_no_calm and (low or _gains(look))) or _comes_into_focus(look):
        return _contradicting(look)
    edges = look.edge(0), look.edge(1)
    if not any(edge and edge.is_sure for edge in edges):
        return _unsure(look, [edge for edge in edges if edge])
    return _told(look, edges)


def _comes_into_focus(look: Look) -> bool:
    """Whether slope rises with the halo that ends the window, from values that are level: sharper, or sharpened?"""
    low, high = look.window
    above = look.edge(1)
    if above is None or above.measure != "halo" or look.in_focus or "slope" not in look.tables:
        return False
    gained = curves.contrast(look.tables["slope"], above.outside, against=range(low, high + 1))
    return gained.low > 0 and gained.value >= ENDS["slope"]


def _gains(look: Look) -> bool:
    """Whether texture rises where halo does, and was not seen to be lost below."""
    _low, high = look.window
    if "texture" not in look.tables:
        return False
    effect = curves.contrast(look.tables["texture"], range(high + 1, len(look.steps)), against=range(high + 1))
    return effect.low > 0


def _contradicting(look: Look) -> Finding:
    """Texture and halo rise together: more texture, or only more contrast at edges? Eyes decide."""
    whole, first = range(len(look.steps) // 2, len(look.steps)), range(len(look.steps) // 2)
    told = [
        (name, curves.contrast(look.tables[name], whole, against=first)) for name in SKIN
        if name in look.tables and look.is_real(name)
    ]  # fmt: skip
    said = ", ".join(words.change(name, effect, first=not at) for at, (name, effect) in enumerate(told))
    reason = f"the measures contradict each other: in the upper half of the values {said}; vote blind to settle it"
    evidence = tuple(
        Evidence(measure=name, sentence=words.change(name, effect), effect=effect, is_for=name == "texture")
        for name, effect in told
    )
    steps = _below(look)
    more = (
        addition(look.group, steps=steps, seeds=look.group.seeds, why="where it is calm was not seen")
        if steps
        else None
    )
    return _none(look, reason, (more,), evidence=evidence)


def _flat(look: Look) -> Finding:
    group = look.group
    missing = max(0, GOOD_SEEDS - len(group.seeds))
    more = [addition(group, steps=_beyond(look), seeds=group.seeds, why="further values, where something may change")]
    if missing:
        seeds = (*group.seeds, *more_seeds(group.seeds, missing))
        more.append(addition(group, steps=_coarse(look.steps), seeds=seeds, why="more seeds, to see smaller changes"))
    span = words.values(look.steps)
    reason = f"from {span} nothing changes by more than chance ({words.seeds(len(group.seeds))})"
    return _none(look, reason, more)


def _unsure(look: Look, edges: Sequence[Edge]) -> Finding:
    """Something changes, and too little or too unevenly to say where."""
    if not edges:
        span = words.values(look.steps)
        more = addition(look.group, steps=_beyond(look), seeds=look.group.seeds, why="further values")
        return _none(look, f"what changes from {span} is less than what matters", (more,))
    said = "; ".join(words.change(edge.measure, edge.effect) for edge in edges)
    return _none(look, f"the ends are not certain: {said}", _surer(look, edges))


def _told(look: Look, edges: tuple[Edge | None, Edge | None]) -> Finding:
    low, high = look.window
    below, above = (edge if edge and edge.is_sure else None for edge in edges)
    state = "found" if below and above else "open"
    ends = {"low": look.steps[low] if below else None, "high": look.steps[high] if above else None}
    doubtful = [edge for edge in edges if edge and not edge.is_sure]
    shaky = [edge for side, edge in enumerate((below, above)) if edge and look.is_shaky(side)]
    more = [*_surer(look, [*doubtful, *shaky]), *_further(look, edges), *_finer(look, below, above)]
    return _finding(
        look,
        state=state,
        sentence=_sentence(look, below, above),
        evidence=_evidence(look, edges),
        pictures=_pictures(look, below, above),
        cautions=(*_shaky(look, below, above), *_cautions(look, doubtful)),
        additions=tuple(each for each in more if each),
        n=min(edge.effect.n for edge in (below, above) if edge),
        **ends,
    )


def _sentence(look: Look, below: Edge | None, above: Edge | None) -> str:
    low, high = look.window
    axis = look.group.axis.replace("_", " ").capitalize()
    first, last = label(look.steps[0]), label(look.steps[-1])
    ends = label(look.steps[low]), label(look.steps[high])
    span = (
        words.values((look.steps[low], look.steps[high])) if below and above and low < high
        else ends[0] if below and above else f"from {ends[0]}" if below else f"up to {ends[1]}"
    )  # fmt: skip
    told = []
    if below:
        told.append(words.beyond(f"below {ends[0]}", words.change(below.measure, below.effect)))
    if above:
        told.append(words.beyond(f"above {ends[1]}", words.change(above.measure, above.effect, first=not below)))
    if not below:
        told.append(f"down to {first}, the lowest tried, none is seen to be lost")
    if not above:
        told.append(f"up to {last}, the highest tried, none is seen to be lost{_rising(look)}")
    kept = "what texture there is in" if _unresolved(look) is not None else "the skin of"
    return f"{axis} {span} keeps {kept} {_subject(look)}: {', '.join(told)}."


def _rising(look: Look) -> str:
    """Said where texture has not come to rest at the last value."""
    if "texture" not in look.tables or not look.is_real("texture"):
        return ""
    table = look.tables["texture"]
    fitted = curves.rising(table.effects, table.counts.astype(float))
    return ", and texture still rises there" if fitted[-1] - fitted[-2] >= TEXTURE_LOST / 4 else ""


def _evidence(look: Look, edges: tuple[Edge | None, Edge | None]) -> tuple[Evidence, ...]:
    """What each real measure does at either end, for and against."""
    told: list[Evidence] = []
    low, high = look.window
    for side, edge in enumerate(edges):
        if edge is None:
            continue
        where = f"below {label(look.steps[low])}" if side == 0 else f"above {label(look.steps[high])}"
        for name, table in look.tables.items():
            effect = curves.contrast(table, edge.outside, against=range(low, high + 1))
            if not look.is_real(name) or abs(effect.value) < ENDS[name] / 2 or not words.is_certain(effect):
                continue
            worse = (effect.value > 0) == (name in HARMS)
            told.append(
                Evidence(
                    measure=name,
                    sentence=words.beyond(where, words.change(name, effect)) + _meaning(look, side, name, effect),
                    effect=effect,
                    is_for=worse,
                )
            )
    return tuple(told)


def _meaning(look: Look, side: int, name: str, effect: Estimate) -> str:
    """What a measure that goes on rising above the window, or halo that falls below it, means."""
    if side == 1 and name == "texture" and effect.value > 0 and look.harms.get("halo", np.zeros(1))[-1] >= 1:
        return ": engraved rather than resolved, as halo rises with it"
    return ""


def _pictures(look: Look, below: Edge | None, above: Edge | None) -> tuple[Shown, ...]:
    """Best: at the middle values, whole, nearest to the median there. Edges: its seed and scene, first value outside.

    Where that one was not made, the nearest to the median of those at that value.
    """
    low, high = look.window
    middle = look.steps[(low + high) // 2 : (low + high + 1) // 2 + 1]
    best = nearest([each for step in middle for each in look.group.at(step)], SKIN)
    if best is None:
        return ()
    axis = look.group.axis
    told = [Shown(role="best", key=best.key, words=_at(best, axis, "in the middle of the window"))]
    for edge, at, role, what in (
        (below, low - 1, "mud", "below the window: mud"),
        (above, high + 1, "plastic", f"above the window: {_kind_above(look, above)}"),
    ):
        if edge and (shown := beside(look.group, best, look.steps[at])):
            told.append(Shown.read({"role": role, "key": shown.key, "words": _at(shown, axis, what)}))
    return tuple(told)


def _kind_above(look: Look, above: Edge | None) -> str:
    kinds = {"halo": "engraved", FACE: "the face falls apart", CLIPPED: "burnt out or sunk into black", NOISE: "noise"}
    return kinds.get(above.measure, "plastic") if above else ""


def _at(seen: Seen, axis: str, what: str) -> str:
    return f"{axis.replace('_', ' ')} {label(getattr(seen.recipe, axis))}, seed {seen.recipe.seed}: {what}"


def beside(group: Group, best: Seen, step: float) -> Seen | None:
    """The picture at another step to set beside this one: its seed and scene, else the nearest to the median there."""
    there = group.at(step)
    same = [each for each in there if block_of(each) == block_of(best)]
    return same[0] if same else nearest(there, SKIN) or next(iter(there), None)


def _unresolved(look: Look) -> float | None:
    """The best slope inside, where even that resolves no texture."""
    low, high = look.window
    if "slope" not in look.tables:
        return None
    best = float(np.nanmax(curves.levels(look.tables["slope"])[low : high + 1]))
    return best if best < NO_TEXTURE else None


def _shaky(look: Look, below: Edge | None, above: Edge | None) -> tuple[str, ...]:
    """What is said of an end that hangs on a single seed."""
    told = []
    for side, (edge, which) in enumerate(((below, "lower"), (above, "upper"))):
        if edge and look.is_shaky(side):
            span = words.values(look.spans[side])
            told.append(f"the {which} end hangs on single seeds: as one after the other is left out it lies at {span}")
    return tuple(told)


def _cautions(look: Look, doubtful: Sequence[Edge]) -> tuple[str, ...]:
    told = [f"{words.change(edge.measure, edge.effect)} beyond it, which is not certain" for edge in doubtful]
    if (slope := _unresolved(look)) is not None:
        told.append(
            f"slope is {slope:.1f} at best inside, below {NO_TEXTURE}: no pores are resolved at this size; the window "
            "is where most of what there is remains, so make a few pictures larger"
        )
    scenes = {each.recipe.prompt for each in look.group.seen}
    if len(scenes) > 1:
        told.append(f"averaged over {len(scenes)} prompts")
    return tuple(told)


def _coarse(steps: Sequence[float]) -> tuple[float, ...]:
    """Up to `COARSE` of the values, both ends among them, evenly by place."""
    places = np.unique(np.linspace(0, len(steps) - 1, COARSE).round().astype(int))
    return tuple(steps[at] for at in places)


def _above(look: Look) -> tuple[float, ...]:
    """Two values beyond the last, as far apart as the last two."""
    last, gap = look.steps[-1], look.steps[-1] - look.steps[-2]
    return tuple(step for step in (last + gap, last + 2 * gap) if step <= HIGHEST)


def _below(look: Look) -> tuple[float, ...]:
    """Two values between guidance 1, where it is off, and the first."""
    first = look.steps[0]
    return tuple(sorted({round((first + LOWEST) / 2 * 2) / 2, LOWEST})) if first > LOWEST else ()


def _beyond(look: Look) -> tuple[float, ...]:
    return (*_below(look), *_above(look))


def _further(look: Look, edges: tuple[Edge | None, Edge | None]) -> list[Addition | None]:
    """Further values where an end was not reached."""
    told: list[Addition | None] = []
    for edge, steps, which in ((edges[0], _below(look), "lower"), (edges[1], _above(look), "upper")):
        if edge is None and steps:
            told.append(
                addition(look.group, steps=steps, seeds=look.group.seeds, why=f"the {which} end was not reached")
            )
    return told


def _finer(look: Look, below: Edge | None, above: Edge | None) -> list[Addition | None]:
    """A value between an edge and its neighbour outside, where they lie further apart than `FINE`."""
    low, high = look.window
    told: list[Addition | None] = []
    for edge, inner, outer in ((below, low, low - 1), (above, high, high + 1)):
        if edge and abs(look.steps[outer] - look.steps[inner]) > max(1.0, FINE * look.steps[inner]):
            between = round(look.steps[outer] + look.steps[inner]) / 2
            ends = sorted((look.steps[inner], look.steps[outer]))
            why = f"to know the end between {label(ends[0])} and {label(ends[1])}"
            told.append(addition(look.group, steps=(between,), seeds=look.group.seeds, why=why))
    return told


def _surer(look: Look, edges: Sequence[Edge]) -> list[Addition | None]:
    """More seeds at the edge and on both sides of it, where its interval is too wide."""
    group = look.group
    low, high = look.window
    more = max(2, GOOD_SEEDS - len(group.seeds))
    told: list[Addition | None] = []
    for edge in edges:
        at = low if max(edge.outside) < low else high
        around = look.steps[max(0, at - 2) : at + 3]
        seeds = more_seeds(group.seeds, more)
        told.append(addition(group, steps=around, seeds=seeds, why=f"{edge.measure} varies too much from seed to seed"))
    return told
