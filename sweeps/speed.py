"""How long this machine takes, learned from its own runs. Knows nothing about why; an estimate is never a promise."""

import contextlib
import json
import os
import re
import statistics
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from platformdirs import user_cache_path

from pipelines.events import Stepped
from pipelines.recipe import Recipe
from sweeps.plan import Cells, Estimate, Phase, Plan, estimate, plan_of
from sweeps.prepare import Prepared
from sweeps.run import BYTES_A_PIXEL, Finished, Happening, Kept

KEPT = "speeds.json"
PLUS = " + "
SIZE = re.compile(r"\b(\d+)x(\d+)\b")


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
    known = _read(folder).get(_kind(prepared))
    bytes_per_picture = _bytes_per_picture(prepared.recipes.values())
    return estimate(plan, seconds_per_row_evaluation=known, bytes_per_picture=bytes_per_picture)


def roughly(wanted: Cells, folder: Path | None = None) -> Estimate:
    """What these cells will take, whatever numerics make them: nothing is asked of this machine but its earlier runs.

    By runs of the very same kind, else phase by phase by runs of the same checkpoint, in proportion to the pixels; of
    several the median. Seconds is None where there is nothing to go by.
    """
    plan = plan_of(wanted, lanes=1, lane_width=1)
    learned = [(kind.rpartition(PLUS)[0], speed) for kind, speed in _read(folder).items()]
    like = [speed for shapes, speed in learned if shapes == _shapes(plan)]
    parts = [_phase_seconds(phase, plan, learned) for phase in plan.phases]
    whole = [seconds for seconds in parts if seconds is not None]
    seconds = sum(whole) if len(whole) == len(parts) else None
    if like:
        seconds = statistics.median(like) * plan.slots
    recipes = [cell.recipe for cell in wanted.cells]
    return Estimate(seconds, len(recipes) * _bytes_per_picture(recipes))


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


def _bytes_per_picture(recipes: Collection[Recipe]) -> int:
    pixels = sum(recipe.width * recipe.height for recipe in recipes) / len(recipes)
    return int(pixels * BYTES_A_PIXEL)


def _kind(prepared: Prepared) -> str:
    """Runs of one kind take alike: checkpoints, size and numerics."""
    return _shapes(prepared.plan.only(prepared.keys)) + PLUS + prepared.numerics.now.digest


def _shapes(plan: Plan) -> str:
    return PLUS.join(sorted({f"{phase.checkpoint} {phase.shape}" for phase in plan.phases}))


def _phase_seconds(phase: Phase, plan: Plan, learned: Sequence[tuple[str, float]]) -> float | None:
    """By runs of this checkpoint alone, those of the nearest size."""
    pixels = _pixels(phase.shape)
    per_pixel: dict[int, list[float]] = {}  # by how far the size is away
    for shapes, speed in learned:
        if PLUS not in shapes and shapes.startswith(f"{phase.checkpoint} ") and (size := _pixels(shapes)):
            per_pixel.setdefault(abs(size - pixels), []).append(speed / size)
    if not per_pixel:
        return None
    keys = {key for lane in phase.lanes for key in lane}
    return statistics.median(per_pixel[min(per_pixel)]) * pixels * plan.only(keys).slots


def _pixels(shape: str) -> int:
    """Of `1024x768 512 tokens`, whatever stands before; 0 where no size does."""
    found = SIZE.search(shape)
    return int(found[1]) * int(found[2]) if found else 0


def _path(folder: Path | None) -> Path:
    return (folder or user_cache_path("sidelight")) / KEPT


def _read(folder: Path | None) -> dict[str, float]:
    with contextlib.suppress(FileNotFoundError, ValueError):  # none yet, or torn: learned again
        return dict(json.loads(_path(folder).read_text()))
    return {}
