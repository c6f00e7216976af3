"""What the page's routes answer, as data: every text is meant to be shown as text. Knows nothing about HTTP.

Nothing here is a number that JavaScript would round: seeds and the like come as words.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import JsonValue

from pipelines.frozen import Frozen
from sweeps.grid import GridCell, State

EXACT = 2**53
"""Up to here a number means the same in JavaScript."""

Session = Literal["none", "started", "finished", "paused", "cancelled"]
"""How the last process on a run ended; `started`: it has not said so (it may be running, or dead)."""


class Progress(Frozen):
    """Where a run is: distinct pictures, and what its last process said."""

    cells: int
    done: int
    failed: int
    session: Session = "none"
    reason: str = ""


class RunRow(Frozen):
    """A run in the list of all. `fault` says why it cannot be read, if so.

    `date` (YYYY-MM-DD) and `last` (UTC) are labels; `stars` is the best mark's; `texts` and `remarks` are for search.
    """

    run: str
    name: str
    date: str
    last: str
    checkpoints: tuple[str, ...]
    progress: Progress
    bytes: int
    stars: int = 0
    texts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    fault: str = ""


class RunRows(Frozen):
    """All runs, newest first."""

    runs: tuple[RunRow, ...]


class AxisAnswer(Frozen):
    """One thing that varies, with the label of every step."""

    name: str
    labels: tuple[str, ...]


class CellAnswer(Frozen):
    """One place of the grid. `picture` and `thumb` are addresses that mean these bytes for ever; sizes in pixels.

    `is_live`: its making was begun and has not ended. `revision`: the line of the journal that it last changed by.
    """

    place: tuple[int, ...]
    key: str
    state: State
    is_live: bool
    revision: int
    picture: str | None
    thumb: str | None
    width: int
    height: int
    values: tuple[tuple[str, str], ...]
    reason: str = ""
    warning: str = ""


class GridAnswer(Frozen):
    """A whole run. `edition` changes when cells or axes do: then all of it is to be fetched again.

    The first axis runs across, the second down, further ones make pages. `constants` are the values all cells share.
    """

    run: str
    title: str
    subtitle: str
    edition: str
    revision: int
    axes: tuple[AxisAnswer, ...]
    constants: tuple[tuple[str, str], ...]
    cells: tuple[CellAnswer, ...]
    progress: Progress


class ChangesAnswer(Frozen):
    """The cells that changed after the revision that was asked for; none where the edition is another."""

    run: str
    edition: str
    revision: int
    cells: tuple[CellAnswer, ...]
    progress: Progress


class Fault(Frozen):
    """Why a request was refused, in one line."""

    error: str


def one_line(text: str) -> str:
    """Lines joined to one."""
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def cell_answer(
    cell: GridCell, run: str, *, version: str, size: tuple[int, int], is_live: bool, revision: int
) -> CellAnswer:
    """A cell of the grid for the page; `run` is quoted for an address, `version` begins the hash of the PNG."""
    stem = f"/pictures/{run}/{cell.key}"
    is_done = cell.state == "done"
    return CellAnswer(
        place=cell.place,
        key=cell.key,
        state=cell.state,
        is_live=is_live,
        revision=revision,
        picture=f"{stem}.png?v={version}" if is_done else None,
        thumb=f"{stem}.webp?v={version}" if is_done else None,
        width=size[0],
        height=size[1],
        values=cell.values,
        reason=cell.reason,
        warning=cell.warning,
    )


def for_javascript(value: JsonValue) -> JsonValue:
    """The same JSON with whole numbers that JavaScript cannot hold, such as large seeds, as text."""
    if isinstance(value, dict):
        return {name: for_javascript(each) for name, each in value.items()}
    if isinstance(value, list):
        return [for_javascript(each) for each in value]
    return str(value) if isinstance(value, int) and abs(value) > EXACT else value


def as_json(models: Mapping[str, Frozen]) -> dict[str, Any]:
    """Values by key, each as JSON that JavaScript can hold."""
    return {key: for_javascript(model.model_dump(mode="json")) for key, model in models.items()}
