"""Grid: what a person sees of a Run, ready to be drawn: axes, cells, pictures, values as text.

Knows nothing about recipes, engines or how a grid is drawn; every value here is already worded for people.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

State = Literal["done", "failed", "waiting", "skipped"]


@dataclass(frozen=True)
class GridAxis:
    """One thing that varies, with the label of every step along it."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class GridCell:
    """One place of the grid; several places may show one picture and then share its key.

    `place` holds an index per axis. `picture` is a path relative to the run folder, with forward slashes; None unless
    done. `reason` says why it failed or was skipped; `values` are the recipe's values as (label, text).
    """

    place: tuple[int, ...]
    key: str
    picture: str | None
    state: State
    reason: str = ""
    values: tuple[tuple[str, str], ...] = ()
    warning: str = ""

    def __post_init__(self) -> None:
        if (self.state == "done") != (self.picture is not None):
            raise ValueError(f"cell {self.key} is {self.state} with picture {self.picture}; only done cells have one")
        path = PurePosixPath(self.picture or "")
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"picture {self.picture} leaves the run folder; give a path inside it")


@dataclass(frozen=True)
class Grid:
    """All places of a Run along its axes. The first axis runs across, the second down, further ones make pages.

    Places may be missing (a condition left them out), never doubled. Raises ValueError where a place lies off the axes.
    """

    title: str
    subtitle: str
    axes: tuple[GridAxis, ...]
    cells: tuple[GridCell, ...]

    def __post_init__(self) -> None:
        lengths = tuple(len(axis.labels) for axis in self.axes)
        if 0 in lengths:
            raise ValueError(f"an axis of {[axis.name for axis in self.axes]} has no labels; give each at least one")
        for cell in self.cells:
            fits = len(cell.place) == len(lengths)
            if not fits or not all(0 <= at < n for at, n in zip(cell.place, lengths, strict=True)):
                raise ValueError(f"place {cell.place} of cell {cell.key} is off the axes of lengths {lengths}")
        if len({cell.place for cell in self.cells}) < len(self.cells):
            raise ValueError("two cells have the same place; every place holds one cell")

    @property
    def counts(self) -> tuple[tuple[State, int], ...]:
        """How many places are done, failed, waiting and skipped, in this order; states without any are left out."""
        found = Counter(cell.state for cell in self.cells)
        order: tuple[State, ...] = ("done", "failed", "waiting", "skipped")
        return tuple((state, found[state]) for state in order if found[state])

    @property
    def constants(self) -> tuple[tuple[str, str], ...]:
        """The values that all cells share, in the order of the first cell."""
        if not self.cells:
            return ()
        shared = set(self.cells[0].values).intersection(*(cell.values for cell in self.cells))
        return tuple(value for value in self.cells[0].values if value in shared)
