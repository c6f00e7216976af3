"""The cells of a run folder with their places, for looking only. Knows nothing about what is done already.

Unlike `sweeps.prepare`, it asks nothing of this machine: a run made elsewhere, or with another torch, can be looked at.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.errors import InputError
from pipelines.store import Sidecar
from sweeps.grid import Grid, GridAxis, GridCell
from sweeps.overview import grid_of, values_of
from sweeps.plan import Plan
from sweeps.prepare import NUMERICS, PLAN, SWEEP, Prepared, RunNumerics, ask
from sweeps.sweep import read_toml

Lookup = Callable[[str], Checkpoint]
_NOT_SAID = Numerics(
    torch="", diffusers="", transformers="", device="", threads=0, dtype="float32", lanes=1, lane_width=1
)


class Layout(Protocol):
    """Cells in places."""

    @property
    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Width and height in pixels by key, of all cells; (0, 0) where not known."""

    def grid(self, keys: Collection[str], done: Mapping[str, Sidecar], failed: Mapping[str, str]) -> Grid:
        """The places of these cells."""


class Placed:
    """Every cell at its place along the sweep's axes."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._cells = {cell.recipe.key: cell for cell in prepared.cells.cells}
        self.sizes = {key: cell.recipe.size for key, cell in self._cells.items()}

    def grid(self, keys: Collection[str], done: Mapping[str, Sidecar], failed: Mapping[str, str]) -> Grid:
        """The places of these cells."""
        some = tuple(cell for key, cell in self._cells.items() if key in keys)
        return grid_of(replace(self._prepared, cells=replace(self._prepared.cells, cells=some)), done, failed)


@dataclass(frozen=True)
class InARow:
    """The planned cells one after the other, where their places cannot be told; `why` says so."""

    name: str
    keys: tuple[str, ...]
    why: str

    @property
    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Not known before a picture is there."""
        return dict.fromkeys(self.keys, (0, 0))

    def grid(self, keys: Collection[str], done: Mapping[str, Sidecar], failed: Mapping[str, str]) -> Grid:
        """The places of these cells."""
        axes = (
            (GridAxis("picture", tuple(str(number) for number in range(1, len(self.keys) + 1))),) if self.keys else ()
        )
        some = [self._cell(at, key, done.get(key), failed) for at, key in enumerate(self.keys) if key in keys]
        return Grid(self.name, f"in the order they were planned, because {self.why}", axes, tuple(some))

    def _cell(self, at: int, key: str, sidecar: Sidecar | None, failed: Mapping[str, str]) -> GridCell:
        if sidecar is None:
            return GridCell((at,), key, None, "failed" if key in failed else "waiting", failed.get(key, ""))
        values = values_of(sidecar.recipe, sidecar.facts.light)
        warning = "; ".join(sidecar.facts.warnings)
        return GridCell((at,), key, f"pictures/{key}.png", "done", values=values, warning=warning)


def layout_of(folder: Path, lookup: Lookup) -> Layout:
    """The cells of a run folder; in a row if a checkpoint, LoRA or image they need is gone. Raises InputError."""
    sweep = read_toml(folder / SWEEP)
    try:
        wanted = ask(sweep, lookup).cells
    except InputError as error:
        keys = planned_keys(folder)
        if not keys:
            raise
        return InARow(sweep.name, keys, str(error))
    planned = planned_numerics(folder) or _NOT_SAID
    numerics = RunNumerics(planned=planned, now=planned)
    return Placed(Prepared(folder, sweep, wanted, Plan(planned.lanes, planned.lane_width), numerics, {}))


def planned_numerics(folder: Path) -> Numerics | None:
    """What the run was planned with; None before it was, or if it cannot be read."""
    try:
        return RunNumerics.read(json.loads((folder / NUMERICS).read_bytes())).planned
    except (OSError, ValueError, TypeError, InputError):
        return None


def planned_keys(folder: Path) -> tuple[str, ...]:
    """Keys of `plan.jsonl`, in its order; a line that is no plan's is left out, no plan is no keys."""
    try:
        lines = (folder / PLAN).read_bytes().splitlines()
    except OSError:
        return ()
    return tuple(dict.fromkeys(key for line in lines if (key := _key(line))))


def _key(line: bytes) -> str:
    try:
        key = json.loads(line)["key"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return key if isinstance(key, str) and len(key) == 16 else ""
