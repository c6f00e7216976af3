"""A worker process that makes runs of `tests.small`, without weights, as `workbench.worker` makes real ones.

Usage: python -m tests.small_worker CELL_SECONDS DIES QUEUE [...]. Each cell takes so long; the process kills itself in
its first cell while a file named DIES exists in the run folder, and takes one line off that file.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.events import Event, Made
from pipelines.recipe import Recipe
from pipelines.store import Store
from sweeps.prepare import Prepared
from tests.small import SmallEngine, prepared
from workbench import worker
from workbench.jobs import Job

SEEDS = (1, 2, 3)
SMALL_WATCH = (
    sys.executable,
    "-c",
    "import sys; from pathlib import Path; from tests.small_worker import small_command; from workbench import watch\n"
    "watch.WORKER = tuple(small_command(Path(sys.argv[1]), 0.1)[:5])\n"
    "sys.exit(watch.main(sys.argv[1:]))",
)
"""`python -m workbench.watch` with small workers under it."""


def small_command(queue: Path, seconds: float) -> list[str]:
    """The worker process that a watch starts; each cell takes so many seconds."""
    words = [str(seconds), "dies", str(queue), "--idle-seconds", "0.2"]
    return [sys.executable, "-m", "tests.small_worker", *words]


class DyingEngine(SmallEngine):
    """Dies as a process does when memory runs out: without a word, after its first picture is told."""

    def __init__(self, kept: Numerics, dies: Path, seconds: float) -> None:
        super().__init__(kept, seconds=seconds)
        self._dies = dies

    def run(self, lanes: Sequence[Sequence[Recipe]]) -> Iterator[Event]:
        for event in super().run(lanes):
            if isinstance(event, Made) and self._dies.exists() and (left := self._dies.read_text().splitlines()):
                self._dies.write_text("".join(f"{line}\n" for line in left[1:]))
                os.kill(os.getpid(), signal.SIGKILL)
            yield event


def guidance(cells: int) -> list[float]:
    """As many values as make so many cells."""
    return [1 + number / 10 for number in range(cells // len(SEEDS))]


def reopened(job: Job) -> Prepared:
    """A small run of as many cells as the job has."""
    return prepared(job.folder, guidance=guidance(job.cells), seeds=SEEDS)


def means(seconds: float, dies: str = "dies") -> worker.Means:
    """Small means; no device is held."""

    def open_engine(_: Checkpoint, kept: Numerics, store: Store) -> SmallEngine:
        return DyingEngine(kept, store.path("x").parent.parent / dies, seconds)

    return worker.Means(reopened, open_engine, lambda _: contextlib.nullcontext())


if __name__ == "__main__":
    sys.exit(worker.serve(sys.argv[3:], partial(means, float(sys.argv[1]), sys.argv[2]), tell_seconds=0.0))
