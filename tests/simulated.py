"""Measured pictures whose truth is known: curves with a window or plateau, seeds, noise, gaps. Knows no pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.recipe import Recipe, SchedulerChoice, Weights
from sweeps.compare_cells import Seen

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
GUIDANCE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 13.0)
STEPS = (4.0, 6.0, 8.0, 12.0, 16.0, 20.0, 28.0, 40.0)
LEVELS = {"texture": 1.6, "slope": -0.3, "halo": 0.2}  # log2 % contrast, stops, share
NOISE = {"texture": 0.10, "slope": 0.08, "halo": 0.03}
"""Standard deviation from picture to picture; of 60 pictures of the demo checkpoint .09, .03 and .04."""
SEEDS = {"texture": 0.25, "slope": 0.15, "halo": 0.04}
"""Standard deviation between seeds; there .12, .05 and .03."""


def flat(places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.zeros_like(places)


@dataclass(frozen=True)
class World:
    """What is true of a checkpoint along an axis: how far each measure lies from its level, by the value's place.

    `noise` multiplies `NOISE`; heavy tails are Student's with 2 degrees of freedom, of the same quartiles.
    """

    axis: str = "guidance"
    steps: Sequence[float] = GUIDANCE
    curves: Mapping[str, Curve] = field(default_factory=dict)
    noise: float = 1.0
    is_heavy: bool = False
    missing: float = 0.0
    is_uneven: bool = False
    faces: Curve | None = None
    """The share of pictures without a measurable face."""


def pictures(world: World, *, seed: int, seeds: int = 6) -> tuple[Seen, ...]:
    """One run in that world; uneven ones have half of the seeds at every other value only."""
    random = np.random.default_rng(seed)
    places = np.arange(len(world.steps), dtype=float)
    means = {name: LEVELS[name] + world.curves.get(name, flat)(places) for name in LEVELS}
    lost = world.faces(places) if world.faces else np.zeros(len(places))
    told = []
    for number in range(1, seeds + 1):
        own = {name: random.normal(0, SEEDS[name]) for name in LEVELS}
        for at, step in enumerate(world.steps):
            drawn = {name: own[name] + means[name][at] + _noise(random, name, world) for name in LEVELS}
            chances = random.random(2)
            if chances[0] < world.missing or (world.is_uneven and number > seeds / 2 and at % 2):
                continue
            told.append(seen({world.axis: step, "seed": number}, drawn if chances[1] >= lost[at] else {}))
    return tuple(told)


def _noise(random: np.random.Generator, name: str, world: World) -> float:
    drawn = random.standard_t(2) * 0.826 if world.is_heavy else random.normal()
    return float(NOISE[name] * world.noise * drawn)


def pairs(effects: Mapping[str, float], world: World = World(), *, seed: int, seeds: int = 8) -> tuple[Seen, ...]:
    """A run of euler and heun at two step counts; heun differs by `effects` and calls the network twice a step."""
    random = np.random.default_rng(seed)
    told = []
    for number in range(seeds):
        own = {name: random.normal(0, spread) for name, spread in SEEDS.items()}
        for steps in (12, 20):
            for name in ("euler", "heun"):
                gained = effects if name == "heun" else {}
                drawn = {
                    each: level + own[each] + gained.get(each, 0.0) + _noise(random, each, world)
                    for each, level in LEVELS.items()
                }
                calls = 2 * steps - 1 if name == "heun" else steps
                told.append(seen({"steps": steps, "seed": number, "scheduler": name}, drawn, evaluations=calls))
    return tuple(told)


def seen(asked: Mapping[str, object], drawn: Mapping[str, float], **more: object) -> Seen:
    """One measured picture; `drawn` as compared (log2 texture), none where no face was found."""
    values: dict[str, float | None] = {name: drawn.get(name) for name in LEVELS}
    if values["texture"] is not None:
        values["texture"] = 2.0 ** values["texture"]
    recipe = recipe_of(**asked)
    return Seen(key=recipe.key, recipe=recipe, light=None, first_sigma=14.6, values=values, **more)  # type: ignore[arg-type]  # tests say what they give


def recipe_of(**asked: object) -> Recipe:
    scheduler = SchedulerChoice(name=str(asked.pop("scheduler", "euler")))
    name = str(asked.pop("checkpoint", "made-up"))
    basis: dict[str, object] = {
        "checkpoint": Weights(digest=f"{len(name):064x}", family="sdxl", name=name), "prompt": "a woman",
        "seed": 1, "width": 512, "height": 512, "steps": 20, "guidance": 4.0, "scheduler": scheduler,
    }  # fmt: skip
    steps = {"steps": int(asked["steps"])} if "steps" in asked else {}  # type: ignore[call-overload]  # a float
    return Recipe.read(basis | asked | steps)


def hard(low: float, high: float, *, below: float = 0.0, above: float = 0.0) -> Curve:
    """`below` before place `low`, `above` after place `high`, nought between."""
    return lambda at: np.where(at < low, below, 0.0) + np.where(at > high, above, 0.0)


def soft(low: float, high: float, *, below: float = 0.0, above: float = 0.0, width: float = 0.35) -> Curve:
    """The same with rounded edges: half of the difference is reached half a place outside."""
    return lambda at: below / (1 + np.exp((at - low + 0.5) / width)) + above / (1 + np.exp((high + 0.5 - at) / width))


def line(per_place: float) -> Curve:
    return lambda at: per_place * at


def both(first: Curve, second: Curve) -> Curve:
    return lambda at: first(at) + second(at)


def saturating(stop: int, *, lost: float) -> Curve:
    """Rises by `lost` in equal parts up to place `stop`, then rests."""
    return lambda at: -lost * np.clip((stop - at) / stop, 0, 1)
