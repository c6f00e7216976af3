"""A Job: a Run waiting for, or held by, the worker, and how one gets into the queue. Knows nothing about SQLite.

The run folder is written before the job: whatever becomes of the queue, `sidelight sweep run FOLDER` goes on with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipelines.files import DISK, put
from sweeps.inputs import Inputs
from sweeps.lock import Lock
from sweeps.prepare import SWEEP
from sweeps.sweep import Sweep, to_toml

State = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
Wish = Literal["", "pause", "cancel", "after this cell"]
"""What a person asks of a job that runs; its worker does it at the next tick.

Pause and cancel keep whole pictures and drop half-made ones, which are made again later with the same bytes. "after
this cell" is a pause as soon as one more picture is on the disk, or one more cell has failed; what is half made beside
it is dropped likewise.
"""
OPEN: tuple[State, ...] = ("waiting", "running", "paused")
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
INTERACTIVE, OVERNIGHT = 10, 0
"""Priorities: a higher one goes ahead, also of what is running."""


@dataclass(frozen=True)
class Asked:
    """A run that is to be queued. `numerics` override single fields, as in `sweeps.prepare.prepare`."""

    folder: Path
    name: str
    cells: int
    priority: int = OVERNIGHT
    numerics: Mapping[str, Any] = field(default_factory=dict)
    new_numerics: bool = False
    keep_failed: bool = False


@dataclass(frozen=True)
class Job:
    """A row of the queue. `seconds_left` None: unknown. `queued` and `ended` are UTC labels: nothing is sorted by them.

    `asked` and `new_numerics` hold until the run folder has its own numerics. `asked_in` is the folder in which
    relative paths of the sweep were meant. `deaths` counts workers that died in it since its last new picture.
    """

    id: int
    folder: Path
    name: str
    asked: Mapping[str, Any]
    new_numerics: bool
    keep_failed: bool
    asked_in: Path
    priority: int
    state: State
    wish: Wish
    cells: int
    done: int
    failed: int
    seconds_left: float | None
    error: str
    worker: int | None
    deaths: int
    queued: str
    ended: str


def lay_down(sweep: Sweep, folder: Path, images: Inputs) -> None:
    """Write what a run needs to be begun by somebody else: `sweep.toml`, and copies of `images` in `inputs/`.

    `sweep` names images by these copies already (`sweeps.prepare.self_contained`). Raises BusyError while another
    process holds the run, DiskFullError or DiskError.
    """
    DISK.mkdir(folder)
    with Lock(folder / ".lock", f"run {folder}"):
        images.keep(folder)
        put({folder / SWEEP: to_toml(sweep).encode()})
