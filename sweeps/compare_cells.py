"""Measured pictures sorted into what is compared: equal settings, blocks of seed and scene, steps of an axis.

Knows nothing about statistics or sentences.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from pipelines.light import Light
from pipelines.recipe import Recipe
from pipelines.skin_measures import MEASURES
from sweeps.curves import Table
from sweeps.findings import Addition
from sweeps.ranges import Value, label

LEAST_SEEDS = 3
"""Below this no finding: with two seeds Student's interval is 12.7 standard errors wide on either side."""
GOOD_SEEDS = 6
"""What is asked for where there are fewer: Student's interval is then 2.6 standard errors wide on either side."""
RATIOS = frozenset(measure.name for measure in MEASURES if measure.compared == "ratio")
FACE = "face"
"""Not of the skin: 1 where the picture's skin could be measured, 0 where no face was found or it fell apart."""
CLIPPED = "clipped"
"""Per cent of the skin that is burnt out or black, together."""
NOISE = "noise"
"""1 where `pipelines.skin` says "noise, not skin" (pixel_share, where it may be trusted), else 0."""
SETTINGS = (
    "steps", "scheduler", "guidance", "true_guidance", "guidance_interval", "size", "spacing", "clip_skip",
    "text_tokens", "loras",
)  # fmt: skip
ALWAYS_SAID = ("steps", "scheduler", "guidance")


@dataclass(frozen=True)
class Seen:
    """One measured picture: what it was made of, how it began and what was measured in it (None: not measurable).

    `verdicts` are what the rules of `pipelines.skin` say of it, `why` the reasons of what has no value.
    """

    key: str
    recipe: Recipe
    light: Light | None
    first_sigma: float | None
    values: Mapping[str, float | None]
    evaluations: int | None = None
    verdicts: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_whole(self) -> bool:
        """Whether every measure that windows rest on has a value."""
        return all(self.values.get(name) is not None for name in ("texture", "slope", "halo"))

    @property
    def checkpoint(self) -> str:
        """Its name, or the beginning of its digest."""
        return self.recipe.checkpoint.name or self.recipe.checkpoint.digest[:12]


Told = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Group:
    """Pictures of one checkpoint that differ in `axis`, seed and scene alone. `held` is what is equal, for people."""

    checkpoint: str
    axis: str
    held: Told
    seen: tuple[Seen, ...]
    run: tuple[Seen, ...]
    """All pictures of the run: what varies there must be said when cells are added."""

    @property
    def told(self) -> Told:
        """What is held, for a sentence: beside `ALWAYS_SAID` only what the run has several of."""
        return said(self.held, self.run)

    @cached_property
    def steps(self) -> tuple[float, ...]:
        """The axis's values, rising."""
        return tuple(sorted({float(getattr(each.recipe, self.axis)) for each in self.seen}))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds, rising."""
        return tuple(sorted({each.recipe.seed for each in self.seen}))

    def at(self, step: float) -> tuple[Seen, ...]:
        """The pictures at one value of the axis."""
        return tuple(each for each in self.seen if float(getattr(each.recipe, self.axis)) == step)

    def table(self, measure: str) -> Table:
        """The measure over blocks and steps; ratios as log2, `FACE` as 0 and 1. The mean where a place holds two."""
        seeds, places = self._places
        found: dict[tuple[int, int], list[float]] = {}
        for each, place in zip(self.seen, places, strict=True):
            value = number(each, measure)
            if value is not None:
                found.setdefault(place, []).append(value)
        values = np.full((len(seeds), len(self.steps)), np.nan)
        for place, several in found.items():
            values[place] = sum(several) / len(several)
        return Table(values, seeds)

    @cached_property
    def _places(self) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
        """The seed of every block, and block and step of every picture."""
        own = [block_of(each) for each in self.seen]
        blocks = sorted(set(own))
        rows, columns = {block: at for at, block in enumerate(blocks)}, {step: at for at, step in enumerate(self.steps)}
        at = (columns[float(getattr(each.recipe, self.axis))] for each in self.seen)
        return tuple(block[0] for block in blocks), tuple(zip((rows[block] for block in own), at, strict=True))


def number(seen: Seen, measure: str) -> float | None:
    """A value as it is compared: log2 where ratios are, so that half and double lie equally far from the same."""
    if measure == FACE:
        return float(seen.values.get("texture") is not None)
    if measure == NOISE:
        return float(any(verdict.startswith("noise") for verdict in seen.verdicts))
    if measure == CLIPPED:
        ends = [seen.values.get(name) for name in ("clipped_high", "clipped_low")]
        return sum(end for end in ends if end is not None) if any(end is not None for end in ends) else None
    value = seen.values.get(measure)
    if value is None or measure not in RATIOS:
        return value
    return math.log2(value) if value > 0 else None


def block_of(seen: Seen) -> tuple[int, str]:
    """Seed and scene: what must be equal for two pictures to be a pair."""
    return seen.recipe.seed, scene_of(seen)


def scene_of(seen: Seen) -> str:
    """All that a recipe shows, whatever it is made with: words, start image, mask, references, passes, variation.

    Where a light template wrote the words it stands for them, since each family of models has its own wording.
    """
    recipe = seen.recipe
    words = seen.light.canonical() if seen.light else f"{recipe.prompt}\n{recipe.negative}"
    parts = [recipe.start, recipe.mask, recipe.crop, recipe.references, recipe.finish, recipe.variation]
    return "\n".join([words, *(repr(part) for part in parts if part)])


def setting(recipe: Recipe, name: str) -> str:
    """One setting as a person writes it; empty at its neutral value."""
    if name == "scheduler":
        return recipe.scheduler.text
    if name == "size":
        return "{} x {}".format(*recipe.size)
    if name == "loras":
        return "+".join(f"{lora.name or lora.file[:12]}:{label(lora.weight)}" for lora in recipe.loras)
    value = getattr(recipe, name)
    if name not in ALWAYS_SAID and value == type(recipe).model_fields[name].default:
        return ""
    return label(value)


def held_of(seen: Iterable[Seen], *, but: Sequence[str]) -> Told:
    """The settings that are equal in all of these pictures, as (name, text), without those in `but`."""
    recipes = [each.recipe for each in seen]
    told = [(name, {setting(recipe, name) for recipe in recipes}) for name in SETTINGS if name not in but]
    return tuple((name, texts.copy().pop()) for name, texts in told if len(texts) == 1 and "" not in texts)


def said(held: Told, run: Sequence[Seen]) -> Told:
    """What is held, without the rest that is the same in the whole run."""
    return tuple(
        (name, text)
        for name, text in held
        if name in ALWAYS_SAID or len({setting(each.recipe, name) for each in run}) > 1
    )


def groups(seen: Sequence[Seen], axis: str) -> tuple[Group, ...]:
    """The pictures sorted by checkpoint and settings, where the axis takes two values or more."""
    sorted_: dict[tuple[str, ...], list[Seen]] = {}
    for each in seen:
        others = tuple(setting(each.recipe, name) for name in SETTINGS if name != axis)
        sorted_.setdefault((each.checkpoint, each.recipe.checkpoint.identity, *others), []).append(each)
    told = [
        Group(part[0].checkpoint, axis, held_of(part, but=(axis,)), tuple(part), tuple(seen))
        for _, part in sorted(sorted_.items(), key=lambda item: item[0])
    ]
    return tuple(group for group in told if len(group.steps) > 1)


def addition(group: Group, *, steps: Sequence[float], seeds: Sequence[int], why: str) -> Addition | None:
    """These steps at these seeds, at the group's settings; None where all of them are in the run."""
    whole = group.axis == "steps"
    values: list[tuple[str, tuple[Value, ...]]] = [
        *fixed(group.seen[0].recipe, group.run, but=(group.axis, "seed")),
        (group.axis, tuple(int(step) if whole else float(step) for step in sorted(set(steps)))),
        ("seed", tuple(sorted(set(seeds)))),
    ]
    return counted(values, seen=group.seen, axes=(group.axis, "seed"), why=why)


def counted(
    values: Sequence[tuple[str, tuple[Value, ...]]], *, seen: Sequence[Seen], axes: Sequence[str], why: str
) -> Addition | None:
    """An addition of `values` with the number of its cells that are not among `seen`, by the fields in `axes`."""
    wanted = itertools.product(*(steps for name, steps in values if name in axes))
    names = [name for name, _ in values if name in axes]
    there = {tuple(_plain(each.recipe, name) for name in names) for each in seen}
    count = sum(1 for cell in wanted if cell not in there)
    return Addition(values=tuple(values), count=count, why=why) if count else None


def _plain(recipe: Recipe, name: str) -> Value:
    if name == "scheduler":
        return setting(recipe, name)
    if name == "checkpoint":
        return recipe.checkpoint.name or recipe.checkpoint.digest[:12]
    value: Value = getattr(recipe, name)
    return value


def fixed(recipe: Recipe, run: Sequence[Seen], *, but: Sequence[str]) -> list[tuple[str, tuple[Value, ...]]]:
    """The recipe's settings that must be said in an addition because the run holds others too."""
    told: list[tuple[str, tuple[Value, ...]]] = []
    for name in ("checkpoint", *SETTINGS):
        texts = {each.checkpoint if name == "checkpoint" else setting(each.recipe, name) for each in run}
        if name in but or len(texts) < 2:
            continue
        if name == "size":
            told += [("width", (recipe.width,)), ("height", (recipe.height,))]
        elif name == "loras":
            told.append((name, (setting(recipe, name) or "none",)))
        elif (value := _plain(recipe, name)) is not None:
            told.append((name, (value,)))
    return told


def more_seeds(seeds: Sequence[int], count: int) -> tuple[int, ...]:
    """So many seeds that are not there yet, going on from the highest."""
    return tuple(max(seeds) + 1 + at for at in range(count))


def nearest(seen: Sequence[Seen], worth: Mapping[str, float]) -> Seen | None:
    """The whole picture nearest to the median of these, each measure in units of its smallest difference that matters.

    Ties go to the lower seed, then the key.
    """
    whole = [each for each in seen if each.is_whole]
    if not whole:
        return None
    rows = np.array([[(number(each, name) or 0.0) / least for name, least in worth.items()] for each in whole])
    away = np.abs(rows - np.median(rows, axis=0)).sum(1).round(9)
    return min(zip(away, whole, strict=True), key=lambda pair: (pair[0], pair[1].recipe.seed, pair[1].key))[1]
