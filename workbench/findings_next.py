"""What a run's findings lead to: report and `findings.json` anew, and the cells they ask for, laid into the run.

Knows nothing about terminals or pages; loads no torch.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.checkpoint import Checkpoint, find
from pipelines.errors import BusyError, InputError, SweepError
from pipelines.files import DISK, disk_faults
from pipelines.store import Sidecar, Store
from sweeps import compare, journal, marks, report, votes
from sweeps.findings import Addition, Findings
from sweeps.grid import Grid
from sweeps.lock import Lock
from sweeps.plan import Cells, Estimate, cells
from sweeps.prepare import SWEEP, AskedFor, ask, self_contained
from sweeps.ranges import Value, label
from sweeps.refine import added, missing_in, settling, within
from sweeps.run import failures
from sweeps.speed import roughly
from sweeps.sweep import Sweep, read_toml
from workbench.jobs import OPEN, Asked, Job, lay_down
from workbench.queue import Queue
from workbench.web.layout import layout_of

BUDGET = 24
"""Cells that are added at once unless somebody says otherwise: a minute of an H200, half an hour of a small card."""
LISTED = 6  # values of a field that are named; more are told by their ends and their number
LONGEST_VALUE = 40  # characters; longer ones, such as prompts, are what the run's cells have anyway

Lookup = Callable[[str], Checkpoint]


@dataclass(frozen=True)
class Extension:
    """A run's sweep with the cells that its findings ask for. `fresh` are those that it did not have.

    `asked` is more than `additions` where the budget did not allow all of them. Nothing is `fresh` if the run has all.
    """

    sweep: Sweep
    additions: tuple[Addition, ...]
    asked: int
    fresh: Cells
    whole: AskedFor
    """Of the extended sweep."""

    @property
    def count(self) -> int:
        """Cells that are new."""
        return len(self.fresh.cells)

    def cost(self) -> Estimate:
        """What the new cells will take, by this machine's earlier runs."""
        return roughly(self.fresh)


def found(run: Path) -> Findings:
    """What the run says now, by its measures and votes."""
    return compare.of_run(run, votes=votes.answered(run))


def refuse_other(run: Path) -> None:
    """Raise InputError for what is no run folder."""
    if not (run / SWEEP).is_file():
        raise InputError(f"{run} is no run folder (it holds no {SWEEP}); give the folder that a sweep wrote")


def drawn(run: Path, findings: Findings, lookup: Lookup = find) -> tuple[Path, ...]:
    """Write report and findings anew; raises BusyError while the run is being made, DiskError."""
    with disk_faults(run, needed=0, files=DISK), Lock(run / ".lock", f"run {run}"):
        return report.tell(_grid(run, lookup), run, findings=findings)


def extension(run: Path, additions: Sequence[Addition], *, budget: int = BUDGET, lookup: Lookup = find) -> Extension:
    """The run's sweep with as many of these cells as `budget` allows; needs the checkpoints, and writes nothing.

    Raises SweepError for cells that the sweep's grammar cannot tell apart, CheckpointError.
    """
    sweep, settle = read_toml(run / SWEEP), settling(lookup)
    missing = missing_in(sweep, settle=settle)
    chosen = within(additions, budget, missing=missing)
    wide = added(sweep, chosen, settle=settle)
    before = {cell.recipe.key for cell in cells(sweep, settle).cells}
    whole = ask(wide, lookup)
    fresh = tuple(cell for cell in whole.cells.cells if cell.recipe.key not in before)
    if not before <= {cell.recipe.key for cell in whole.cells.cells}:
        raise SweepError(f"{run / SWEEP} changed while it was read; run the same command again")
    asked = sum(map(missing, additions))
    return Extension(wide, chosen, asked, replace(whole.cells, cells=fresh), whole)


def queued(queue: Queue, run: Path, more: Extension, *, new_numerics: bool = False) -> Job:
    """Lay the extended sweep into the run and put it behind what waits. Raises BusyError where it is on its way."""
    refuse_open(queue, run)
    lay_down(self_contained(more.sweep, more.whole.images), run, more.whole.images)
    return queue.add(Asked(run, more.sweep.name, cells=len(more.whole.cells.cells), new_numerics=new_numerics))


def refuse_open(queue: Queue, run: Path) -> None:
    """Raise BusyError for a run that waits or is being made: its findings will be others when it is done."""
    job = queue.of(run)
    if job is not None and job.state in OPEN:
        raise BusyError(f"run {run.name} is job {job.id} ({job.state}); cells can be added when it has ended")


def words(addition: Addition) -> str:
    """An addition as a person reads it: guidance 3, 5 x seed 1 to 6."""
    named = [(field, values) for field, values in addition.values if len(label(values[0])) <= LONGEST_VALUE]
    return " x ".join(f"{field} {_values(values)}" for field, values in named)


def command(run: Path, *flags: str) -> str:
    """The line for the terminal that looks at this run again."""
    return shlex.join(["sidelight", "findings", str(run), *flags])


def keeping(run: Path, findings: Findings) -> Iterator[str]:
    """A line for every checkpoint of which something was found: it becomes the note that Create starts from."""
    for name in dict.fromkeys(each.checkpoint for each in findings.findings if each.state == "found"):
        yield shlex.join(["sidelight", "notes", "set", name, "--from-run", str(run)])


def _values(values: Sequence[Value]) -> str:
    whole = [value for value in values if isinstance(value, int)]
    if len(whole) == len(values) > 2 and whole == list(range(whole[0], whole[0] + len(whole))):
        return f"{values[0]} to {values[-1]}"
    if len(values) > LISTED:
        return f"{label(values[0])} to {label(values[-1])} ({len(values)} values)"
    return ", ".join(map(label, values))


def _grid(run: Path, lookup: Lookup) -> Grid:
    """The run's grid as its session draws it; in a row where a checkpoint that it needs is gone."""
    layout = layout_of(run, lookup)
    keys = layout.sizes.keys()
    done = _done(run, keys & set(Store(run).keys()))
    grid = layout.grid(keys, done, failures(journal.read(run).lines))
    said = {key: mark.text for key, mark in marks.read(run).items() if mark.text}
    marked = (
        replace(cell, values=(*cell.values, ("mark", said[cell.key]))) if cell.key in said else cell
        for cell in grid.cells
    )
    return replace(grid, cells=tuple(marked))


def _done(run: Path, keys: set[str]) -> dict[str, Sidecar]:
    store, done = Store(run), dict[str, Sidecar]()
    for key in keys:
        try:
            done[key] = store.sidecar(key)
        except InputError:  # damaged: `sidelight check` says so, and the next run makes it again
            continue
    return done
