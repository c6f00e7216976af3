"""The page's address of ticks: what marks say along an axis of a run. Knows nothing about how counts are shown.

GET /api/ticks/RUN?axis=NAME&paired=1    counts by value of an axis: the checkpoint, where it varies, if none is named
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from sweeps import marks
from sweeps.ticks import Ticked, ticks
from workbench.web.answers import AxisAnswer
from workbench.web.inside import known
from workbench.web.layout import Lookup
from workbench.web.site import Site
from workbench.web.watched import Watched

CHOSEN = "checkpoint"


class TicksAnswer(Frozen):
    """Counts along `axis`, one row a value; `axes` are those that can be asked for."""

    axis: str
    axes: tuple[str, ...]
    is_paired: bool
    rows: tuple[Ticked, ...]


def routes(site: Site) -> list[BaseRoute]:
    """Counting the marks of a run."""
    return [Route("/api/ticks/{run}", _Counted(site.runs, site.lookup).ticks)]


class _Counted:
    """The run that was counted last, kept open because its marks are counted again after every press."""

    def __init__(self, runs: Path, lookup: Lookup) -> None:
        self._runs, self._lookup = runs, lookup
        self._folder, self._watched = Path(), Watched(Path(), lookup)
        self._lock = threading.Lock()

    def ticks(self, request: Request) -> Response:
        name, wanted = request.path_params["run"], request.query_params.get("axis", "")
        folder = known(self._runs, name)
        if folder is None:
            raise HTTPException(404, f"there is no run {name[:60]!r} here; the Runs tab lists those there are")
        grid = self._watch(folder).grid()
        axes = tuple(axis.name for axis in grid.axes)
        is_paired = request.query_params.get("paired") == "1"
        answer = TicksAnswer(axis="", axes=axes, is_paired=is_paired, rows=())
        if axes:
            at = _index(wanted, grid.axes)
            done = [cell for cell in grid.cells if cell.state == "done"]
            rows = ticks(at, grid.axes[at].labels, done, marks.read(folder), is_paired=is_paired)
            answer = answer.but(axis=axes[at], rows=rows)
        return Response(answer.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})

    def _watch(self, folder: Path) -> Watched:
        with self._lock:
            if folder != self._folder:
                self._folder, self._watched = folder, Watched(folder, self._lookup)
            return self._watched


def _index(wanted: str, axes: Sequence[AxisAnswer]) -> int:
    names = [axis.name for axis in axes]
    if not wanted:
        return next((at for at, name in enumerate(names) if CHOSEN in name), 0)
    if wanted not in names:
        raise InputError(f"axis {wanted[:40]!r} does not vary in this run; these do: {', '.join(names)}")
    return names.index(wanted)
