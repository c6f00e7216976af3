"""The list of all runs in a folder; a run that did not change since the last look is not read again.

Knows nothing about grids; what a run folder says at a glance is `sweeps.shelf`'s.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

from sweeps import journal, marks, shelf
from sweeps.journal import RunCancelled, RunFinished, RunPaused, RunStarted
from sweeps.prepare import PLAN, SWEEP
from workbench.web.answers import Progress, RunRow, RunRows, one_line
from workbench.web.inside import known
from workbench.web.watched import said_at_the_end

Stamps = tuple[tuple[int, int], ...]


class Runs:
    """The run folders in one folder; for several threads at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[Stamps, RunRow]] = {}

    def rows(self) -> RunRows:
        """All of them, newest first; no folder is no runs."""
        with self._lock:
            self._seen = {path.name: self._row(path) for path in folders(self._folder)}
            rows = [row for _, row in self._seen.values()]
        return RunRows(runs=tuple(sorted(rows, key=_age, reverse=True)))

    def _row(self, folder: Path) -> tuple[Stamps, RunRow]:
        stamps = tuple(_stamp(folder / name) for name in (SWEEP, PLAN, journal.NAME, marks.NAME, "pictures"))
        before = self._seen.get(folder.name)
        return before if before and before[0] == stamps else (stamps, row(folder))


def folders(runs: Path) -> Iterator[Path]:
    """All run folders in no order, also those that lost their sweep; links and what is hidden are left out."""
    if runs.is_dir():
        yield from (path for path in runs.iterdir() if _is_run(path))


def named(runs: Path, name: str) -> Path | None:
    """The one of `folders` that goes by this name; no name leads out, because it is only compared."""
    return next((path for path in folders(runs) if path.name == name), None)


def row(folder: Path) -> RunRow:
    """One run folder in words and numbers; `fault` says so if it cannot be read. Nothing is hashed or decoded."""
    seen = shelf.info(folder)
    lines = () if seen.reason else journal.read(folder).lines  # what cannot be read must not hide the other runs
    sessions = [line for line in lines if isinstance(line, RunStarted | RunFinished | RunPaused | RunCancelled)]
    session, reason = said_at_the_end(sessions[-1]) if sessions else ("none", "")
    return RunRow(
        run=folder.name,
        name=seen.name,
        date=seen.date,
        last=lines[-1].at if lines else "",
        checkpoints=seen.checkpoints,
        progress=Progress(
            cells=seen.planned, done=seen.done, failed=seen.failed, session=session, reason=one_line(reason)
        ),
        bytes=seen.bytes,
        stars=seen.stars,
        texts=seen.texts,
        remarks=seen.remarks,
        fault=one_line(seen.reason),
    )


def _age(row: RunRow) -> tuple[str, str, str]:
    """Of one day the one that last did something comes first, and before it what is still to begin."""
    return row.date, row.last or ("" if row.fault else "~"), row.run


def _is_run(path: Path) -> bool:
    if known(path.parent, path.name):
        return True
    is_shown = path.name.isprintable() and not path.name.startswith(".") and not path.is_symlink()
    return is_shown and any((path / sign).is_file() for sign in shelf.SIGNS)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        seen = path.stat()
    except OSError:
        return 0, 0
    return seen.st_size, seen.st_mtime_ns
