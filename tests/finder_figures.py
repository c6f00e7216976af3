"""How often the finder is right on simulated curves whose truth is known, by shape and noise: a table for the docs.

`python -m tests.finder_figures [RUNS]`, 200 runs a line: about five minutes. Knows nothing about photographs.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from sweeps.compare_cells import Group, groups
from sweeps.compare_pairs import schedulers
from sweeps.compare_steps import plateau
from sweeps.compare_window import window
from sweeps.findings import Finding
from tests.simulated import STEPS, Curve, World, both, hard, line, pairs, pictures, saturating, soft

RUNS = 200
SEEDS = 6
LOW, HIGH, STOP = 3, 6, 4
"""Places of the true ends on their axes, `simulated.GUIDANCE` and `simulated.STEPS`."""
CALM = 0.5
"""Times the noise of guidance: step counts differ less from picture to picture."""


@dataclass(frozen=True)
class Case:
    """A world, and the ends that are true of it: none where nothing is to be found."""

    name: str
    world: World
    ends: tuple[int, ...] = ()
    seeds: int = SEEDS

    @property
    def asked(self) -> str:
        """What should be said of it."""
        return "found, each end within one step" if self.ends else "not found"


@dataclass(frozen=True)
class Counted:
    """Of a case's runs: those that were right, and what state was told how often."""

    case: Case
    runs: int
    right: int
    states: Mapping[str, int]

    @property
    def row(self) -> str:
        """A line of the table."""
        told = ", ".join(f"{state} {self.states[state]}" for state in ("found", "open", "none") if self.states[state])
        share = f"{100 * self.right / self.runs:.1f} %"
        return f"| {self.case.name} | {self.case.seeds} | {self.case.asked} | {share} | {told} |"


def windows() -> Iterator[Case]:
    """Mud below, plastic or engraving above, in cleaner and dirtier worlds; the last is all that is bad at once."""
    engraved: dict[str, Curve] = {"texture": hard(LOW, HIGH, below=-0.7, above=0.3), "halo": hard(LOW, HIGH, above=0.2)}
    plastic: dict[str, Curve] = {
        "texture": hard(LOW, HIGH, below=-0.7, above=-0.7),
        "slope": hard(LOW, HIGH, above=-0.7),
    }
    rounded: dict[str, Curve] = {
        "texture": soft(LOW, HIGH, below=-0.9, above=0.3),
        "halo": soft(LOW, HIGH, above=0.25),
    }
    waxen: dict[str, Curve] = {"texture": soft(LOW, HIGH, below=-0.9, above=-0.9), "slope": soft(LOW, HIGH, above=-0.8)}
    told = {
        "engraved above, sharp ends": World(curves=engraved),
        "plastic above, sharp ends": World(curves=plastic),
        "engraved above, rounded ends": World(curves=rounded),
        "plastic above, rounded ends": World(curves=waxen),
        "engraved, all measures slope": World(curves=sloping(engraved, texture=0.03, halo=0.004)),
        "plastic, all measures slope": World(curves=sloping(waxen, texture=0.03, slope=-0.02)),
        "engraved, a fifth of the cells missing": World(curves=engraved, missing=0.2),
        "plastic, a fifth of the cells missing": World(curves=waxen, missing=0.2),
        "engraved, half of the seeds at every other value": World(curves=rounded, is_uneven=True),
        "plastic, half of the seeds at every other value": World(curves=waxen, is_uneven=True),
        "engraved, heavy tails": World(curves=engraved, is_heavy=True),
        "plastic, heavy tails": World(curves=waxen, is_heavy=True),
        "plastic, noise x 1.5": World(curves=waxen, noise=1.5),
        "plastic, noise x 2": World(curves=waxen, noise=2),
        "plastic, noise x 3": World(curves=waxen, noise=3),
        "faces lost above": World(curves={"texture": hard(LOW, HIGH, below=-0.7)}, faces=hard(LOW, HIGH, above=0.9)),
        "everything bad at once: sloping, rounded, heavy tails, missing and uneven cells": World(
            curves=sloping(rounded, texture=0.02, halo=0.002), missing=0.1, is_heavy=True, is_uneven=True
        ),
    }
    yield from (Case(name, world, (LOW, HIGH)) for name, world in told.items())


def no_windows() -> Iterator[Case]:
    """Nothing changes, or measures only rise or fall: no window has two ends there."""
    flat = {
        "nothing changes": World(),
        "nothing changes, heavy tails": World(is_heavy=True),
        "nothing changes, cells missing": World(missing=0.3),
        "nothing changes, noise x 3": World(noise=3),
    }
    lines: Mapping[str, Mapping[str, float]] = {
        "texture rises": {"texture": 0.12},
        "texture falls": {"texture": -0.12},
        "halo rises": {"halo": 0.04},
        "slope falls": {"slope": -0.15},
        "texture and halo rise": {"texture": 0.3, "halo": 0.03},
        "all fall": {"texture": -0.15, "slope": -0.1, "halo": -0.03},
        "texture and halo rise, slope falls": {"texture": 0.15, "slope": -0.1, "halo": 0.03},
    }
    told = flat | {name: World(curves=sloping({}, **rates)) for name, rates in lines.items()}
    yield from (Case(name, world, seeds=seeds) for name, world in told.items() for seeds in (SEEDS, 3))


def plateaus() -> Iterator[Case]:
    """Texture, or texture and slope, come to rest."""
    lost = saturating(STOP, lost=1.0)
    world = World("steps", STEPS, {"texture": lost}, noise=CALM)
    told = {
        "rises, then rests": world,
        "one step up": replace(world, curves={"texture": hard(STOP, 99, below=-0.5)}),
        "one rounded step up": replace(world, curves={"texture": soft(STOP, 99, below=-0.6)}),
        "texture and slope": replace(world, curves={"texture": lost, "slope": saturating(STOP, lost=0.8)}),
        "still rises by 1.4 % a value": replace(world, curves={"texture": both(lost, line(0.02))}),
        "a fifth of the cells missing": replace(world, missing=0.2),
        "half of the seeds at every other value": replace(world, is_uneven=True),
        "heavy tails": replace(world, is_heavy=True),
        "three times the noise": replace(world, noise=3 * CALM),
    }
    yield from (Case(name, each, (STOP,)) for name, each in told.items())


def no_plateaus() -> Iterator[Case]:
    """Nothing changes, or texture never rests; the slow rise is within what counts as the same."""
    steps = np.array(STEPS)
    world = World("steps", STEPS, noise=CALM)
    shapes: Mapping[str, Curve] = {
        "rises by 11 % a value": line(0.15),
        "rises slowly, by 5 % a value": line(0.07),
        "rises with the step count, 2.1 % a step": lambda at: 0.03 * steps,
        "rises with the step count, 1 % a step": lambda at: 0.015 * steps,
        "falls by 10 % a value": line(-0.15),
        "falls with the step count": lambda at: -0.03 * steps,
    }
    told = {
        "nothing changes": world,
        "nothing changes, heavy tails": replace(world, is_heavy=True),
        "nothing changes, noise x 3": replace(world, noise=3),
        **{name: replace(world, curves={"texture": shape}) for name, shape in shapes.items()},
        "slope falls": replace(world, curves={"slope": line(-0.2)}),
    }
    yield from (Case(name, each, seeds=seeds) for name, each in told.items() for seeds in (SEEDS, 3))


def sloping(curves: Mapping[str, Curve], **rates: float) -> dict[str, Curve]:
    """The curves with so much a place added to each measure that is named."""
    return {**curves, **{name: both(curves[name], line(rate)) if name in curves else line(rate)
                         for name, rate in rates.items()}}  # fmt: skip


def counted(case: Case, runs: int, find: Callable[[Group], Finding]) -> Counted:
    """Every run is another draw of the same world."""
    right, states = 0, Counter[str]()
    for seed in range(runs):
        (group,) = groups(pictures(case.world, seed=seed, seeds=case.seeds), case.world.axis)
        told = find(group)
        states[told.state] += 1
        right += is_right(case, told)
    return Counted(case, runs, right, states)


def is_right(case: Case, told: Finding) -> bool:
    """Found with each end within one step of the truth; where there is none, not found."""
    if not case.ends or told.state != "found":
        return not case.ends and told.state != "found"
    steps = list(case.world.steps)
    ends = (told.low, told.high)[: len(case.ends)]
    return all(end is not None and abs(steps.index(end) - true) <= 1 for end, true in zip(ends, case.ends, strict=True))


def compared(runs: int) -> Iterator[str]:
    """Lines about two schedulers: of other texture, and equal ones in ever more noise."""
    better = ((f"texture 32 % higher, {seeds} seeds", {"texture": 0.4}, World(), seeds) for seeds in (4, 6, 8))
    heavy = (("texture 32 % higher, heavy tails", {"texture": 0.4}, World(is_heavy=True), 8),)
    equal: Iterator[tuple[str, dict[str, float], World, int]] = (
        (f"equal, noise x {noise}, {seeds} seeds", {}, World(noise=noise), seeds)
        for noise in (1, 3)
        for seeds in (3, 6)
    )
    for name, effects, world, seeds in (*better, *heavy, *equal):
        told = Counter(schedulers(pairs(effects, world, seed=seed, seeds=seeds))[0].winner for seed in range(runs))
        right, wanted = (told["heun"], "heun") if effects else (told[""], "neither")
        said = ", ".join(f"{winner or 'neither'} {count}" for winner, count in told.most_common())
        yield f"| {name} | {seeds} | {wanted} | {100 * right / runs:.1f} % | {said} |"


def main(runs: int) -> None:
    """Print the tables as Markdown, line by line."""
    for title, cases, find in (
        ("Guidance window: there is one", windows, window),
        ("Guidance window: there is none", no_windows, window),
        ("Step plateau: there is one", plateaus, plateau),
        ("Step plateau: there is none", no_plateaus, plateau),
    ):
        _print(f"{title} ({runs} runs a line)", (counted(case, runs, find).row for case in cases()))
    _print(f"Two schedulers ({runs} runs a line)", compared(runs))


def _print(title: str, rows: Iterable[str]) -> None:
    head = f"\n**{title}**\n\n| simulated run | seeds | should be | right | told |\n|---|---|---|---|---|"
    for text in chain([head], rows):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
