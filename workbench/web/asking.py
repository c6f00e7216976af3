"""From a Sweep that was put together on the page to a job in the queue. Knows nothing about forms, loads no torch.

Everything that can be refused is refused before a file is written.
"""

from collections.abc import Mapping
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

from sweeps.prepare import SWEEP, ask, run_folder, self_contained
from sweeps.sweep import Sweep, to_toml
from workbench.jobs import INTERACTIVE, OVERNIGHT, Asked, Job, lay_down
from workbench.web.site import Site


def begin(site: Site, sweep: Sweep, *, priority: int = OVERNIGHT, numerics: Mapping[str, Any] | None = None) -> Job:
    """Queue a sweep as a run of its own, or go on with the run that holds exactly this sweep; see that a worker lives.

    A picture that somebody waits for (INTERACTIVE) always begins a new run. Raises InputError, BusyError, DiskError.
    """
    asked_for = ask(sweep, site.lookup)
    contained = self_contained(sweep, asked_for.images)
    folder = _folder(site.runs, contained, is_new=priority >= INTERACTIVE)
    site.queue.refuse_twice(folder)
    lay_down(contained, folder, asked_for.images)
    cells = len({cell.recipe.key for cell in asked_for.cells.cells})
    job = site.queue.add(Asked(folder, sweep.name, cells=cells, priority=priority, numerics=numerics or {}))
    site.start_worker(site.queue)
    return job


def _folder(runs: Path, sweep: Sweep, *, is_new: bool) -> Path:
    """A folder that is free, or, unless the run is to be new, holds this very sweep."""
    first = run_folder(runs, sweep, str(date.today()))
    named = (first if number == 1 else first.with_name(f"{first.name}-{number}") for number in count(1))
    return next(path for path in named if not path.exists() or (not is_new and _holds(path, sweep)))


def _holds(folder: Path, sweep: Sweep) -> bool:
    try:
        return (folder / SWEEP).read_bytes() == to_toml(sweep).encode()
    except OSError:
        return False
