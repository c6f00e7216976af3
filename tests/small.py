"""A small engine behind the real seam, and a prepared sweep without weights: for tests around pictures."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.draft import Draft, Settled
from pipelines.events import Event, Failed, Made, Stepped, Ticked
from pipelines.recipe import Recipe, SchedulerChoice, Weights
from pipelines.store import Store
from sweeps.axes import Axis
from sweeps.plan import cells, plan_of
from sweeps.prepare import Prepared, RunNumerics
from sweeps.sweep import Sweep

SIDE = 32


def numerics(lanes: int = 3) -> Numerics:
    """Numerics of no real device."""
    return Numerics(
        torch="0", diffusers="0", transformers="0", device="cpu", threads=1, dtype="float32", lanes=lanes, lane_width=2
    )


def settle(draft: Draft) -> Settled:
    """A recipe without looking at any checkpoint."""
    recipe = Recipe(
        checkpoint=Weights(digest="0" * 64, family="sdxl", name="small"),
        prompt=draft.prompt,
        seed=draft.seed,
        width=SIDE,
        height=SIDE,
        steps=draft.steps or 3,
        guidance=draft.guidance or 4,
        scheduler=SchedulerChoice(name="euler"),
    )
    return Settled(recipe, (), None)


def prepared(folder: Path, *, guidance: Sequence[float] = (2, 4, 6), seeds: Sequence[int] = (1, 2, 3)) -> Prepared:
    """A run of guidance x seed cells."""
    sweep = Sweep.over(
        "small",
        Draft(checkpoint="small", prompt="a face"),
        axes=[
            Axis(fields=("guidance",), values=tuple((float(g),) for g in guidance)),
            Axis(fields=("seed",), values=tuple((s,) for s in seeds)),
        ],
    )
    wanted = cells(sweep, settle)
    kept = numerics()
    checkpoint = Checkpoint("small", "sdxl", Path(), {})
    plan = plan_of(wanted, lanes=kept.lanes, lane_width=kept.lane_width)
    return Prepared(folder, sweep, wanted, plan, RunNumerics(planned=kept, now=kept), {"0" * 64: checkpoint})


def pixels_of(key: str) -> np.ndarray:
    """A picture that only its key decides: (SIDE, SIDE, 3) float32 in 0..1."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).random((SIDE, SIDE, 3), dtype=np.float32)


class SmallEngine:
    """Makes pictures out of keys, `seconds` each; counts what it made; fails the keys in `bad`."""

    def __init__(self, kept: Numerics, *, seconds: float = 0.0, bad: frozenset[str] = frozenset()) -> None:
        self.numerics = kept
        self.made: list[str] = []
        self._seconds, self._bad = seconds, bad

    def run(self, lanes: Sequence[Sequence[Recipe]]) -> Iterator[Event]:
        """Round by round over the lanes, as the real engine does."""
        waiting = [list(lane) for lane in lanes]
        while any(waiting):
            for number, lane in enumerate(waiting):
                if not lane:
                    continue
                recipe = lane.pop(0)
                yield Stepped(recipe.key, 1, 1)
                time.sleep(self._seconds)
                if recipe.key in self._bad:
                    yield Failed(recipe.key, "asked to fail")
                    continue
                self.made.append(recipe.key)
                yield Made(recipe.key, pixels_of(recipe.key), 999.0, 14.6, 3, self.numerics, number, self._seconds)
            yield Ticked()


def opener(engines: list[SmallEngine], **options: object) -> Callable[[Checkpoint, Numerics, Store], SmallEngine]:
    """`open_engine` for `sweeps.run`; every engine it opens is put into `engines`."""

    def open_engine(_: Checkpoint, kept: Numerics, __: Store) -> SmallEngine:
        engines.append(SmallEngine(kept, **options))  # type: ignore[arg-type]  # options of SmallEngine
        return engines[-1]

    return open_engine
