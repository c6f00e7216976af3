"""How long this machine takes, learned from its own runs. Knows nothing about why; an estimate is never a promise."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_cache_path

from pipelines.events import Stepped
from sweeps.plan import Estimate, Plan, estimate
from sweeps.prepare import Prepared
from sweeps.run import BYTES_A_PIXEL, Finished, Happening, Kept

KEPT = "speeds.json"


class Stopwatch:
    """Wall time of the pictures made while it watches, against their work."""

    def __init__(self, work: dict[str, int]) -> None:
        self._work = work
        self._began: float | None = None
        self.seconds, self.rows = 0.0, 0

    def follow(self, happening: Happening) -> None:
        """Count a picture that was kept, from the first step on."""
        if isinstance(happening, Stepped) and self._began is None:
            self._began = time.monotonic()
        if isinstance(happening, Kept | Finished) and self._began is not None:
            self.seconds = time.monotonic() - self._began
            self.rows += self._work[happening.key] if isinstance(happening, Kept) else 0


def cost(prepared: Prepared, plan: Plan, folder: Path | None = None) -> Estimate:
    """What `plan` will take by this machine's earlier runs; seconds is None before the first one like it."""
    recipes = list(prepared.recipes.values())
    pixels = sum(recipe.width * recipe.height for recipe in recipes) / len(recipes)
    known = _read(folder).get(_kind(prepared))
    return estimate(plan, seconds_per_row_evaluation=known, bytes_per_picture=int(pixels * BYTES_A_PIXEL))


@contextlib.contextmanager
def remember(prepared: Prepared, folder: Path | None = None) -> Iterator[Stopwatch]:
    """Watch a run and keep its speed; a cache that cannot be written is no fault."""
    watch = Stopwatch({entry.key: entry.row_evaluations for entry in prepared.plan.entries})
    yield watch
    if watch.rows:
        path = _path(folder)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(f".{os.getpid()}.part")
            beside.write_text(json.dumps({**_read(folder), _kind(prepared): watch.seconds / watch.rows}))
            beside.replace(path)


def _kind(prepared: Prepared) -> str:
    """Runs of one kind take alike: checkpoints, size and numerics."""
    shapes = sorted({f"{phase.checkpoint} {phase.shape}" for phase in prepared.plan.only(prepared.keys).phases})
    return " + ".join([*shapes, prepared.numerics.now.digest])


def _path(folder: Path | None) -> Path:
    return (folder or user_cache_path("sidelight")) / KEPT


def _read(folder: Path | None) -> dict[str, float]:
    with contextlib.suppress(FileNotFoundError, ValueError):  # none yet, or torn: learned again
        return dict(json.loads(_path(folder).read_text()))
    return {}
