"""What the page stands on: where runs lie, the queue, how a checkpoint is found. Knows nothing about tabs or routes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.checkpoint import find
from workbench.queue import Queue
from workbench.watch import ensure_worker
from workbench.web.layout import Lookup


@dataclass(frozen=True)
class Site:
    """Handed to every route and tab. `start_worker` starts one if a job waits and none lives."""

    runs: Path
    queue: Queue
    lookup: Lookup = find
    start_worker: Callable[[Queue], object] = ensure_worker
