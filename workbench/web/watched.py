"""A run folder that is looked at again and again: opened once, then followed by its journal.

Knows nothing about who looks. What is done is read from the pictures' sidecars, never from the journal, which only says
when to look; its number of lines is the revision, so it means the same after a restart.
"""

import hashlib
import json
import threading
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from pipelines.checkpoint import find
from pipelines.errors import InputError
from pipelines.store import Sidecar, Store
from sweeps import journal
from sweeps.grid import Grid
from sweeps.journal import CellFailed, CellStarted, Line, PictureDone, RunCancelled, RunFinished, RunPaused, RunStarted
from sweeps.prepare import NUMERICS, PLAN, SWEEP
from workbench.web.answers import (
    AxisAnswer,
    CellAnswer,
    ChangesAnswer,
    GridAnswer,
    Progress,
    Session,
    cell_answer,
)
from workbench.web.layout import InARow, Layout, Lookup, layout_of, planned_numerics

VERSION = 12
"""Hex digits of a PNG's hash in its address."""


class _Stamp(NamedTuple):
    """What tells that a file is another, without reading it; zeros if there is none."""

    inode: int
    bytes: int
    nanoseconds: int


class Watched:
    """One run folder; for several threads at once."""

    def __init__(self, folder: Path, lookup: Lookup = find) -> None:
        self._folder, self._lookup = folder, lookup
        self._store = Store(folder)
        self._lock = threading.Lock()
        self._stamps: tuple[_Stamp, ...] = ()
        self._said = self._edition = ""
        self._layout: Layout = InARow("", (), "it was not looked at yet")
        self._forget()

    def grid(self) -> GridAnswer:
        """All of it; raises InputError if the folder cannot be read."""
        with self._lock:
            self._look(again=isinstance(self._layout, InARow))  # what was missing may have come
            grid = self._layout.grid(self._layout.sizes.keys(), self._done, self._reasons)
            return GridAnswer(
                run=self._folder.name,
                title=grid.title,
                subtitle=grid.subtitle,
                edition=self._edition,
                revision=self._revision,
                axes=tuple(AxisAnswer(name=axis.name, labels=axis.labels) for axis in grid.axes),
                constants=grid.constants,
                cells=self._cells(grid),
                progress=self._progress(),
            )

    def changes(self, after: int, edition: str = "") -> ChangesAnswer:
        """The cells that changed after that revision, all if the journal is shorter; none if the edition is another."""
        with self._lock:
            self._look()
            changed: Collection[str] = ()
            if edition in ("", self._edition):
                is_known = after <= self._revision
                changed = {key for key, at in self._changed.items() if at > after} if is_known else self._layout.sizes
            return ChangesAnswer(
                run=self._folder.name,
                edition=self._edition,
                revision=self._revision,
                cells=self._cells(self._layout.grid(changed, self._done, self._reasons)) if changed else (),
                progress=self._progress(),
            )

    def _cells(self, grid: Grid) -> tuple[CellAnswer, ...]:
        run = quote(self._folder.name, safe="")
        return tuple(
            cell_answer(
                cell,
                run,
                version=self._done[cell.key].png_sha256[:VERSION] if cell.key in self._done else "",
                size=self._size(cell.key),
                is_live=cell.key in self._live,
                revision=self._changed.get(cell.key, 0),
            )
            for cell in grid.cells
        )

    def _size(self, key: str) -> tuple[int, int]:
        if key in self._done:
            return self._done[key].recipe.size
        return self._layout.sizes[key]

    def _progress(self) -> Progress:
        keys = self._layout.sizes.keys()
        return Progress(
            cells=len(keys),
            done=len(self._done),
            failed=len(keys & self._reasons.keys()),
            session=self._session,
            reason=self._session_reason,
        )

    @property
    def _reasons(self) -> dict[str, str]:
        """Why cells are not there, by key, of those that are not."""
        return {key: why for key, why in (self._failed | self._broken).items() if key not in self._done}

    def _forget(self) -> None:
        self._read_to, self._revision, self._journal = 0, 0, _Stamp(0, 0, 0)
        self._done: dict[str, Sidecar] = {}
        self._failed: dict[str, str] = {}
        self._broken: dict[str, str] = {}
        self._live: set[str] = set()
        self._told: set[str] = set()  # keys of pictures that the journal says are done
        self._changed: dict[str, int] = {}
        self._session: Session = "none"
        self._session_reason = ""

    def _look(self, *, again: bool = False) -> None:
        """Open the folder if it says something else than last time (or again), then read what its journal has new."""
        stamps = tuple(_stamp(self._folder / name) for name in (SWEEP, NUMERICS, PLAN))
        now = _stamp(self._folder / journal.NAME)
        is_begun = self._revision > 0
        is_other = (
            now.inode != self._journal.inode or now.bytes < self._read_to or (now != self._journal and not is_begun)
        )
        if stamps != self._stamps or is_other or again:
            said = _said_by(self._folder)
            if said != self._said or again:
                self._layout = layout_of(self._folder, self._lookup)
                self._edition = f"{said}-row" if isinstance(self._layout, InARow) else said
                is_other = True
            self._stamps, self._said = stamps, said
        if is_other:
            self._forget()
        if is_other or now != self._journal:
            self._journal = now
            self._follow(is_other)

    def _follow(self, is_first: bool) -> None:
        fresh: set[str] = set()
        session_at = 0
        for line in self._new_lines():
            self._revision += 1
            match line:
                case CellStarted() | CellFailed() | PictureDone():
                    self._changed[line.key] = self._revision
                    fresh |= self._hear(line)
                case RunStarted() | RunFinished() | RunPaused() | RunCancelled():
                    self._changed |= dict.fromkeys(self._live, self._revision)
                    self._live.clear()
                    self._session, self._session_reason = said_at_the_end(line)
                    session_at = self._revision
                case _:
                    pass
        if is_first or session_at:
            self._look_at_all(session_at)
        else:
            self._take(fresh)

    def _hear(self, line: CellStarted | CellFailed | PictureDone) -> set[str]:
        """Note what is said of a cell; its key if there is a picture to look at."""
        if isinstance(line, CellStarted):
            self._live.add(line.key)
            return set()
        self._live.discard(line.key)
        if isinstance(line, CellFailed):
            self._failed[line.key] = line.reason
            return set()
        self._failed.pop(line.key, None)
        self._told.add(line.key)
        return {line.key}

    def _look_at_all(self, revision: int) -> None:
        """What lies in the folder, line or no line: a process may have ended between a picture and its line."""
        told = {key for key in self._told if key in self._layout.sizes}
        there = set(self._store.keys())
        self._done = {key: sidecar for key, sidecar in self._done.items() if key in there}
        self._broken = {}
        self._take(there)
        self._changed |= {key: max(revision, self._changed.get(key, 0)) for key in told ^ self._done.keys()}

    def _take(self, keys: Collection[str]) -> None:
        for key in self._layout.sizes.keys() & keys:
            self._broken.pop(key, None)
            self._done.pop(key, None)
            try:
                self._done[key] = self._store.sidecar(key)
            except InputError as error:
                self._broken[key] = str(error)

    def _new_lines(self) -> Iterable[Line | None]:
        """Whole lines that were not read yet; None for one that cannot be read or is of a later version."""
        if self._journal.inode == 0:
            return ()
        try:
            with open(self._folder / journal.NAME, "rb") as file:
                file.seek(self._read_to)
                data = file.read()
        except OSError:  # it went away just now: the next look sees that
            return ()
        whole = data[: data.rfind(b"\n") + 1]
        self._read_to += len(whole)
        return map(_line, whole.split(b"\n")[:-1])


def _line(raw: bytes) -> Line | None:
    try:
        values = json.loads(raw)
        return journal.KINDS[values["kind"]].read(values)
    except (ValueError, TypeError, KeyError, RecursionError, InputError):
        return None


def said_at_the_end(line: RunStarted | RunFinished | RunPaused | RunCancelled) -> tuple[Session, str]:
    """How a process on a run stands or ended, and why."""
    match line:
        case RunStarted():
            return "started", ""
        case RunFinished():
            return "finished", ""
        case RunPaused():
            return "paused", line.reason
        case RunCancelled():
            return "cancelled", ""


def _stamp(path: Path) -> _Stamp:
    try:
        seen = path.stat()
    except OSError:
        return _Stamp(0, 0, 0)
    return _Stamp(seen.st_ino, seen.st_size, seen.st_mtime_ns)


def _said_by(folder: Path) -> str:
    """Equal as long as the same cells are at the same places and the journal is the same; a restart changes nothing."""
    digest = hashlib.sha256()
    for name in (SWEEP, PLAN):
        digest.update(_bytes(folder / name) + b"\0")
    numerics = planned_numerics(folder)
    digest.update(numerics.digest.encode() if numerics else b"")
    first, end, _ = _bytes(folder / journal.NAME).partition(b"\n")
    digest.update(first + end if end else b"")
    return digest.hexdigest()[:16]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
