"""What happened in a run, one JSON object a line, append-only. Knows nothing about pictures: a log, not a proof.

Order is line order. `at` is UTC and only a label: nothing is sorted, locked or decided by it.
"""

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import ConfigDict

from pipelines.errors import DiskFullError, InputError
from pipelines.files import DISK, RESERVE_BYTES, Files, disk_faults, keep_reserve, put, release_reserve
from pipelines.frozen import Frozen

NAME = "journal.jsonl"


class Entry(Frozen):
    """Base of all lines. A field that a newer version added is not held against it."""

    model_config = ConfigDict(extra="ignore")
    at: str = ""


class RunStarted(Entry):
    """A process began (or went on with) the run; `cells` are those still to do."""

    kind: Literal["run-started"] = "run-started"
    cells: int


class RunFinished(Entry):
    """Nothing is left to do."""

    kind: Literal["run-finished"] = "run-finished"
    made: int
    failed: int


class RunPaused(Entry):
    """The run stopped by itself and goes on when the reason is gone."""

    kind: Literal["run-paused"] = "run-paused"
    reason: str


class RunCancelled(Entry):
    """The user stopped it."""

    kind: Literal["run-cancelled"] = "run-cancelled"


class CellStarted(Entry):
    """A cell is being made; written before, so that a death in it can be seen."""

    kind: Literal["cell-started"] = "cell-started"
    key: str
    lane: int


class PictureDone(Entry):
    """A picture is committed."""

    kind: Literal["picture-done"] = "picture-done"
    key: str
    lane: int
    seconds: float


class CellFailed(Entry):
    """A cell could not be made, and why."""

    kind: Literal["cell-failed"] = "cell-failed"
    key: str
    reason: str


class Warned(Entry):
    """Something a person should know; `key` is empty where it concerns the whole run."""

    kind: Literal["warning"] = "warning"
    key: str = ""
    text: str


class Spent(Entry):
    """What a phase (making, measuring) took; `joules` of the whole board, None where the device does not tell."""

    kind: Literal["spent"] = "spent"
    phase: str
    seconds: float
    cpu_seconds: float
    joules: float | None = None
    device: str = ""


Line = RunStarted | RunFinished | RunPaused | RunCancelled | CellStarted | PictureDone | CellFailed | Warned | Spent
KINDS: dict[str, type[Line]] = {kind.model_fields["kind"].default: kind for kind in get_args(Line)}


@dataclass(frozen=True)
class Fault:
    """A line that cannot be read: its number from 1, why, and its bytes."""

    number: int
    reason: str
    raw: bytes


@dataclass(frozen=True)
class Story:
    """What a journal tells: the lines of kinds we know, in order, and what could not be read."""

    lines: tuple[Line, ...] = ()
    faults: tuple[Fault, ...] = ()


def utc_now() -> str:
    """The wall clock as a label."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read(run: Path, files: Files = DISK) -> Story:
    """The journal of a run folder, also while it is written; a torn last line is left out, no journal is no lines."""
    path = run / NAME
    return _told(files.read(path)) if files.size(path) is not None else Story()


def deaths(lines: Iterable[Line]) -> Counter[str]:
    """How often each key was being made when its process died without a word (out of memory, power).

    A key that was later done or failed properly is not in it.
    """
    died: Counter[str] = Counter()
    live: set[str] = set()
    for line in lines:
        match line:
            case CellStarted():
                live.add(line.key)
            case PictureDone() | CellFailed():
                live.discard(line.key)
                del died[line.key]
            case RunStarted():
                died.update(live)
                live.clear()
            case RunFinished() | RunPaused() | RunCancelled():
                live.clear()
            case Warned() | Spent():
                pass
    died.update(live)
    return died


class LineFile:
    """A file of whole lines, open for appending; for one process at a time. Opening cuts a torn tail.

    `before` holds its whole lines as they were then. Raises DiskFullError or DiskError.
    """

    def __init__(self, path: Path, files: Files = DISK) -> None:
        self._path, self._files = path, files
        with disk_faults(path.parent, needed=0, files=files):
            data = files.read(path) if files.size(path) is not None else b""
            self.before = data[: data.rfind(b"\n") + 1]
            self._size = len(self.before)
            self._file = files.append(path)
            self._file.truncate(self._size)
            self._file.fsync()
            files.fsync_folder(path.parent)
        self._is_whole = True

    def append(self, line: bytes) -> None:
        """Add a line, on the disk on return. Raises DiskFullError or DiskError; it may be tried again then."""
        if self._is_whole:
            try:
                self._file.write(line)
                self._file.fsync()
            except OSError:
                self._is_whole = False
        if not self._is_whole:
            self._write_anew(line)
        self._size += len(line)

    def close(self) -> None:
        """Let go of the file; nothing is left to write."""
        with contextlib.suppress(OSError):  # every line is on the disk already
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_anew(self, line: bytes) -> None:
        """A file whose write or fsync failed is final: what was good of it and the new line go into a new one."""
        with disk_faults(self._path.parent, needed=0, files=self._files):
            good = self._files.read(self._path)[: self._size]
        put({self._path: good + line}, self._files)
        self.close()
        with disk_faults(self._path.parent, needed=0, files=self._files):
            self._file = self._files.append(self._path)
        self._is_whole = True


class Journal:
    """The journal of a run, open for appending; for the one process that holds the run's lock.

    Opening cuts a torn tail, copies unreadable lines to `damaged/` and keeps room for the last line. Raises
    DiskFullError or DiskError.
    """

    def __init__(
        self, run: Path, files: Files = DISK, *, now: Callable[[], str] = utc_now, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        self._run, self._files, self._now = run, files, now
        keep_reserve(run, files, size=reserve_bytes)
        self._lines = LineFile(run / NAME, files)
        self.story = _told(self._lines.before)
        """What was in it when it was opened."""
        self._keep_faults()

    def append(self, line: Line) -> None:
        """Add a line, on the disk on return. Uses up the reserve if it must; raises DiskFullError or DiskError."""
        data = json_line(line.model_dump(mode="json") | {"at": self._now()})
        try:
            self._lines.append(data)
        except DiskFullError:
            release_reserve(self._run, self._files)
            self._lines.append(data)

    def close(self) -> None:
        """Let go of the file; nothing is left to write."""
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep_faults(self) -> None:
        for fault in self.story.faults:
            name = f"journal-{hashlib.sha256(fault.raw).hexdigest()[:16]}.txt"
            path = self._run / "damaged" / name
            if self._files.size(path) is None:
                put({path: fault.raw}, self._files)


def json_line(values: Mapping[str, Any]) -> bytes:
    """An object as one line of a file."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def whole_lines(data: bytes) -> list[bytes]:
    """The lines of a file without their ends; a torn last one is left out."""
    return data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]


def _told(data: bytes) -> Story:
    lines: list[Line] = []
    faults: list[Fault] = []
    for number, raw in enumerate(whole_lines(data), start=1):
        try:
            values: Any = json.loads(raw)
            kind = values["kind"]
            if kind in KINDS:
                lines.append(KINDS[kind].read(values))
        except (ValueError, TypeError, KeyError, RecursionError, InputError) as error:
            faults.append(Fault(number, f"line {number} of {NAME} cannot be read: {str(error)[:120]}", raw))
    return Story(tuple(lines), tuple(faults))
