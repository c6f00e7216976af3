"""Which two pictures to show next: of one scene and seed, made with other settings, where the answer tells most.

Knows nothing about how they are shown. A setting is all of a recipe but what makes the scene: prompt or light, seed,
size, start image and mask.
"""

import hashlib
import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.errors import InputError
from pipelines.files import DISK, Files
from pipelines.frozen import Frozen
from pipelines.light import Light
from pipelines.recipe import Recipe
from sweeps.overview import values_of
from sweeps.ranking import Compared, Fit, fit, preferred
from sweeps.votes import View, Vote

NO_SCENE = {"prompt": "", "seed": 0, "variation": 0, "width": 16, "height": 16, "mask": None, "crop": None}
SCENE_NAMES = frozenset({"prompt", "light", "seed", "variation", "size", "mode", "repaired"})
"""Values of an overview that belong to the scene."""
SHARED_EVERY = 4
"""Every so many of a person's pairs is one that others judged, so that it can be told how far they agree."""
AT_ONCE = 60_000
"""Pairs that are weighed for one choice; of a larger run some scenes, drawn anew each time."""
LOOSE = 0.25
"""How far chance may lift one pair over another: what comes next shall not be guessed from what came."""
RESTED = 2
"""Pairs for which a setting rests after it was shown, where others tell about as much: eyes tire of one look."""
NARROW = 0.2
"""Half of an interval, as a share of pairs won, from which a ranking says something; the mean over all settings."""
FIRST_GUESS = (20, 9)
"""Votes until intervals are narrow: 20 and 9 for every setting (simulated voters: 45 for 2, 65 for 5, 110 for 10)."""


@dataclass(frozen=True)
class Candidate:
    """A picture that may be shown: its scene and seed, and its setting by name."""

    key: str
    scene: str
    setting: str


class Pair(Frozen):
    """Two pictures to judge, at their sides, and what of them is shown."""

    left: str
    right: str
    view: View


class Progress(Frozen):
    """How far the voting is: `votes` of all people of `about` so many (0: no pair is left that would help), `yours`
    among them. `half_width` is half of the mean interval, as a share."""

    votes: int
    about: int
    yours: int
    half_width: float
    is_narrow: bool


@dataclass(frozen=True)
class Ballot:
    """The pictures of a run that can be voted on."""

    candidates: tuple[Candidate, ...]

    @cached_property
    def by_key(self) -> Mapping[str, Candidate]:
        """Every picture."""
        return {each.key: each for each in self.candidates}

    @cached_property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings that have a picture to be compared with, in the order they were found."""
        return tuple(dict.fromkeys(each.setting for scene in self.scenes for each in scene))

    @cached_property
    def scenes(self) -> tuple[tuple[Candidate, ...], ...]:
        """The pictures of every scene and seed that has two or more."""
        found: dict[str, list[Candidate]] = {}
        for each in self.candidates:
            found.setdefault(each.scene, []).append(each)
        return tuple(tuple(scene) for scene in found.values() if len(scene) > 1)

    def among(self, keys: Collection[str]) -> "Ballot":
        """Only the settings of these pictures, in all scenes; everything without keys. Raises InputError."""
        if not keys:
            return self
        if lost := sorted(set(keys) - set(self.by_key)):
            raise InputError(f"{lost[0][:40]} is no finished picture of this run; give keys of pictures that are there")
        wanted = {self.by_key[key].setting for key in keys}
        return Ballot(tuple(each for each in self.candidates if each.setting in wanted))

    def is_pair(self, one: str, other: str) -> bool:
        """Whether two keys are pictures of one scene and seed with other settings."""
        first, second = self.by_key.get(one), self.by_key.get(other)
        return bool(first and second and first.scene == second.scene and first.setting != second.setting)

    def compared(self, votes: Iterable[Vote]) -> tuple[Compared, ...]:
        """What the votes say of settings; skipped pairs and pictures that are not there say nothing."""
        found: list[Compared] = []
        for vote in votes:
            if vote.said != "skip" and self.is_pair(vote.left, vote.right):
                left, right = self.by_key[vote.left], self.by_key[vote.right]
                found.append(Compared(left.setting, right.setting, vote.left, vote.right, vote.said, vote.by))
        return tuple(found)


def ballot(run: Path, files: Files = DISK) -> Ballot:
    """The pictures of a run folder; sidecars that cannot be read are left out."""
    folder = run / "pictures"
    read = [_read(folder / name, files) for name in files.names(folder) if name.endswith(".json")]
    return ballot_of([each for each in read if each])


def ballot_of(pictures: Sequence[tuple[Recipe, Light | None]]) -> Ballot:
    """The same of recipes and the lights that wrote their prompts."""
    values = [dict(values_of(recipe, light)) for recipe, light in pictures]
    varying = [
        name
        for name in dict.fromkeys(name for told in values for name in told)
        if name not in SCENE_NAMES and len({told.get(name, "") for told in values}) > 1
    ]
    found = [
        (recipe.key, *_parts(recipe, light), _name(told, varying))
        for (recipe, light), told in zip(pictures, values, strict=True)
    ]
    settings: dict[str, set[str]] = {}
    for _, _, setting, name in found:
        settings.setdefault(name, set()).add(setting)
    return Ballot(
        tuple(
            Candidate(key, scene, name if len(settings[name]) == 1 else f"{name} ({setting[:6]})")
            for key, scene, setting, name in found
        )
    )


def next_pair(
    pictures: Ballot, votes: Sequence[Vote], *, by: str, draw: random.Random, ahead: Sequence[frozenset[str]] = ()
) -> Pair | None:
    """The next pair for a person, on random sides; None if there is none left. `ahead` were given but not judged yet.

    It is the one whose answer is expected to narrow the intervals most, give or take LOOSE; of its scenes the one that
    was judged least. Cheek and whole picture take turns.
    """
    own = [vote for vote in votes if vote.by == by]
    asked = {vote.pair for vote in own} | set(ahead)
    turn = len(own) + len(ahead)
    pair = _shared(pictures, votes, by, asked, draw) if turn % SHARED_EVERY == SHARED_EVERY - 1 else None
    pair = pair or _telling(pictures, votes, [*(vote.pair for vote in own), *ahead], draw)
    if pair is None:
        return None
    left, right = draw.sample(sorted(pair), 2)
    return Pair(left=left, right=right, view="whole" if turn % 2 else "cheek")


def progress(pictures: Ballot, votes: Sequence[Vote], by: str) -> Progress:
    """How many votes there are, and about how many will do."""
    compared = pictures.compared(votes)
    settings = pictures.settings
    pairs = sum(math.comb(len(scene), 2) for scene in pictures.scenes)
    yours, n = sum(vote.by == by for vote in compared), len(compared)
    if len(settings) < 2:
        return Progress(votes=n, about=0, yours=yours, half_width=0.5, is_narrow=False)
    half = half_width(fit(compared, settings))
    guess = FIRST_GUESS[0] + FIRST_GUESS[1] * len(settings)
    trust = n / (n + 3 * len(settings))
    about = trust * n * (half / NARROW) ** 2 + (1 - trust) * guess
    is_narrow = half <= NARROW
    return Progress(
        votes=n,
        about=min(max(5 * math.ceil(about / 5), n), max(pairs, n)),
        yours=yours,
        half_width=round(half, 4),
        is_narrow=is_narrow,
    )


def half_width(found: Fit) -> float:
    """Half of the settings' mean 95 % interval, as a share of pairs won."""
    import numpy as np

    low, high = np.quantile(preferred(found.draws()), (0.025, 0.975), axis=0)
    return float((high - low).mean() / 2)


def _read(path: Path, files: Files) -> tuple[Recipe, Light | None] | None:
    try:
        said = json.loads(files.read(path))
        light = said["facts"].get("light")
        recipe = Recipe.read(said["recipe"])
        return (recipe, Light.read(light) if light else None) if recipe.key == path.stem else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, InputError):
        return None


def _parts(recipe: Recipe, light: Light | None) -> tuple[str, str]:
    """What tells scenes apart, and what tells settings apart."""
    start = recipe.start
    words = light.canonical() if light else recipe.prompt
    scene = [
        words,
        recipe.seed,
        recipe.variation,
        recipe.size,
        start and start.image,
        recipe.mask and recipe.mask.image,
    ]
    setting = recipe.but(**NO_SCENE, start=start and start.but(image="0" * 64)).canonical()
    return json.dumps(scene), hashlib.sha256(setting.encode()).hexdigest()


def _name(told: Mapping[str, str], varying: Sequence[str]) -> str:
    plain = {"checkpoint", "scheduler"}
    parts = [told[name] if name in plain else f"{name} {told[name]}" for name in varying if told.get(name)]
    return " · ".join(parts) or "as it is"


def _shared(
    pictures: Ballot, votes: Sequence[Vote], by: str, asked: Collection[frozenset[str]], draw: random.Random
) -> frozenset[str] | None:
    """A pair that others judged and this person did not."""
    found = {vote.pair for vote in votes if vote.by != by and vote.said != "skip" and pictures.is_pair(*vote.pair)}
    rest = sorted(sorted(pair) for pair in found - set(asked))
    return frozenset(draw.choice(rest)) if rest else None


def _telling(
    pictures: Ballot, votes: Sequence[Vote], own: Sequence[frozenset[str]], draw: random.Random
) -> frozenset[str] | None:
    rest = _open(pictures, set(own), draw)
    if not rest:
        return None
    gains = _gains(pictures, votes)
    tired = {pictures.by_key[key].setting for pair in own[-RESTED:] for key in pair if key in pictures.by_key}

    def worth(names: frozenset[str]) -> float:
        return gains[names] * draw.uniform(1 - LOOSE, 1) * 0.8 ** len(names & tired)

    names = max(sorted(rest, key=sorted), key=worth)
    seen = Counter(key for vote in votes for key in vote.pair)
    seen.update(key for pair in own for key in pair)
    return min(rest[names], key=lambda pair: (sum(seen[key] for key in pair), draw.random()))


def _open(
    pictures: Ballot, asked: Collection[frozenset[str]], draw: random.Random
) -> dict[frozenset[str], list[frozenset[str]]]:
    """By the names of two settings: their pairs of pictures that this person has not judged."""
    found: dict[frozenset[str], list[frozenset[str]]] = {}
    seen = 0
    for scene in draw.sample(pictures.scenes, len(pictures.scenes)):
        for one, other in itertools.combinations(scene, 2):
            pair = frozenset((one.key, other.key))
            if pair not in asked:
                found.setdefault(frozenset((one.setting, other.setting)), []).append(pair)
                seen += 1
        if seen > AT_ONCE:
            break
    return found


def _gains(pictures: Ballot, votes: Sequence[Vote]) -> Mapping[frozenset[str], float]:
    """What an answer on two settings is expected to tell: log(1 + its information x the variance of their difference).

    The chance in pictures takes from the information of any one pair.
    """
    import numpy as np

    found = fit(pictures.compared(votes), pictures.settings)
    mean, covariance = found.mean, found.covariance
    apart = mean[:, None] - mean
    variance = np.diag(covariance)[:, None] + np.diag(covariance) - 2 * covariance
    information = 1 / (2 + 2 * np.cosh(np.clip(apart, -30, 30)))
    worth = np.log1p(information * variance / (1 + information * 2 * found.chance**2))
    names = pictures.settings
    return {
        frozenset((names[one], names[other])): float(worth[one, other])
        for one, other in itertools.combinations(range(len(names)), 2)
    }
