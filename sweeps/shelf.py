"""All runs on disk: what there is, finding one, putting it into the trash and back, taking pictures out as a zip.

Listing reads names and small files only: no picture is opened or hashed. Knows nothing about how runs are made.
"""

import hashlib
import itertools
import os
import re
import shutil
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pipelines import metadata
from pipelines.errors import InputError, SidelightError
from pipelines.files import DISK, PART, Files, disk_faults
from pipelines.recipe import Recipe
from pipelines.store import Store
from sweeps import journal, marks
from sweeps.axes import Axis, Replace
from sweeps.lock import Lock
from sweeps.prepare import PLAN, SWEEP
from sweeps.run import failures
from sweeps.sweep import Sweep, read_toml

TRASH = ".trash"
TRASHED = re.compile(r"(.+)-(\d{8}T\d{6}Z)(?:-\d+)?")
PLANNED = re.compile(r'"key": ?"([0-9a-f]{16})"')
DAY = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
SIGNS = (SWEEP, PLAN, journal.NAME)
"""Files that tell a run folder, damaged or not, from somebody's other folder."""
WORDED = ("prompt", "light", "subject")


@dataclass(frozen=True)
class RunInfo:
    """A run folder at a glance. `reason` says why it cannot be read; then only folder and date are sure, and the bytes
    if it is a damaged run; somebody's other folder is not walked through.

    `date` is YYYY-MM-DD, empty if unknown; `planned` counts the plan's cells, also those of an earlier version of the
    sweep; `done` those with picture and sidecar; `stars` is the best mark, 0 if there is none.
    """

    folder: Path
    name: str
    date: str
    bytes: int
    checkpoints: tuple[str, ...] = ()
    planned: int = 0
    done: int = 0
    failed: int = 0
    stars: int = 0
    texts: tuple[str, ...] = ()
    """Prompts, lights, subjects and words that replace others, each once."""
    remarks: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Trashed:
    """A run in the trash: where it lies, the folder name it had, when it was put there (UTC), its size."""

    folder: Path
    name: str
    when: str
    bytes: int


def runs(folder: Path) -> tuple[RunInfo, ...]:
    """Every folder in `folder`, newest first; what is no run or cannot be read is there with the reason."""
    if not folder.is_dir():
        return ()
    found = [info(path) for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return tuple(sorted(found, key=lambda each: (each.date, each.folder.name), reverse=True))


def info(run: Path) -> RunInfo:
    """One folder at a glance; never raises for what lies in it."""
    date = match[0] if (match := re.match(r"\d{4}-\d\d-\d\d(?=-)", run.name)) else ""
    try:
        _check_is_run(run)
    except InputError as error:
        return RunInfo(run, run.name, date, 0, reason=str(error))
    try:
        return _read(run, date)
    except (SidelightError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = str(error) if isinstance(error, SidelightError) else f"{run} cannot be read ({error})"
        return RunInfo(run, run.name, date, _size(run), reason=reason)


def find(
    found: Iterable[RunInfo], *, text: str = "", checkpoint: str = "", since: str = "", until: str = "", stars: int = 0
) -> tuple[RunInfo, ...]:
    """Those of `found` that hold every word of `text`, use the checkpoint and have a picture of so many stars.

    Words are looked for in names, prompts and remarks, parts of words too, in any case. `since` and `until` are days,
    months or years (2026-11-21, 2026-11, 2026), both included. Raises InputError for anything else.
    """
    for day in filter(None, (since, until)):
        if not DAY.fullmatch(day):
            raise InputError(f"date {day!r} is none; write a day, a month or a year: 2026-11-21, 2026-11, 2026")
    return tuple(
        run
        for run in found
        if all(word in _searched(run) for word in text.casefold().split())
        and (not checkpoint or any(checkpoint.casefold() in name.casefold() for name in run.checkpoints))
        and (not since or run.date[: len(since)] >= since)
        and (not until or (run.date and run.date[: len(until)] <= until))
        and run.stars >= stars
    )


def trash(run: Path, files: Files = DISK, *, now: datetime | None = None) -> Trashed:
    """Move a run to `.trash` beside it, on the same disk; nothing of it is deleted.

    Raises InputError for what is no run, BusyError while a process works in it, DiskError.
    """
    run = Path(os.path.abspath(run))
    _check_is_run(run)
    place = _trash_of(run.parent)
    when = f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with disk_faults(run.parent, needed=0, files=files), _held(run):
        names = (f"{run.name}-{when}{f'-{number}' if number else ''}" for number in itertools.count())
        target = next(place / name for name in names if not os.path.lexists(place / name))
        if files.mkdir(place):
            files.fsync_folder(place.parent)
        _move(run, target, files)
    return _trashed(target)


def trashed(folder: Path) -> tuple[Trashed, ...]:
    """The runs in the trash of `folder`, last one first; other things that lie there are left out."""
    place = _trash_of(folder)
    found = [_trashed(path) for path in place.iterdir() if _is_trashed(path)] if place.is_dir() else []
    return tuple(sorted(found, key=lambda each: (each.when, each.folder.name), reverse=True))


def restore(run: Trashed, files: Files = DISK) -> Path:
    """Put a run back where it was; gives its folder. Raises InputError if a folder of its name is there, DiskError."""
    target = run.folder.parent.parent / run.name
    if os.path.lexists(target):
        raise InputError(f"{target} is there already; put that one away first, then restore {run.folder.name}")
    with disk_faults(target.parent, needed=0, files=files), _held(run.folder):
        _move(run.folder, target, files)
    return target


def empty_trash(folder: Path, files: Files = DISK) -> int:
    """Delete what `trashed` lists, for good; gives the bytes. Raises BusyError (and deletes no more), DiskError."""
    gone = 0
    for run in trashed(folder):
        with disk_faults(folder, needed=0, files=files), _held(run.folder):
            shutil.rmtree(run.folder)
        gone += run.bytes
    return gone


def chosen(run: Path, *, picked: bool = False, stars: int = 0) -> tuple[str, ...]:
    """Keys of the pictures that are picked, if asked, and have at least so many stars; all without a wish."""
    keys, said = Store(run).keys(), marks.read(run)
    wanted = {key for key, mark in said.items() if mark.stars >= stars and (mark.pick == "pick" or not picked)}
    return tuple(key for key in keys if key in wanted or not (picked or stars))


def export(run: Path, keys: Sequence[str], target: Path, files: Files = DISK) -> int:
    """Write the zip of `pack` into a file, whole or not at all; gives its bytes.

    Raises InputError as `pack` does and for a file that is there already, DiskFullError, DiskError.
    """
    if os.path.lexists(target):
        raise InputError(f"{target} is there already; give another name, or move it away")
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:8]}{PART}")
    with disk_faults(target.parent, needed=0, files=files):
        files.mkdir(target.parent)
        try:
            with part.open("xb") as stream:
                pack(run, keys, stream, files)
                stream.flush()
                os.fsync(stream.fileno())
            files.rename(part, target)
        finally:
            part.unlink(missing_ok=True)
        files.fsync_folder(target.parent)
    return target.stat().st_size


def pack(run: Path, keys: Sequence[str], stream: IO[bytes], files: Files = DISK) -> None:
    """Write pictures with sidecars and captions as a zip into an open file; equal pictures give equal bytes.

    Raises InputError for no keys or a picture that is not whole, and OSError.
    """
    if not keys:
        raise InputError(f"no picture of {run} is chosen; give keys, or marks that pictures have")
    store = Store(run, files)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for key in dict.fromkeys(keys):
            for name, data in _contents(store, key, files):
                archive.writestr(_entry(name), data)


def readable_name(recipe: Recipe) -> str:
    """A file name for people, without suffix: checkpoint, guidance, steps, seed and key."""
    checkpoint = re.sub(r"[^\w.-]+", "-", recipe.checkpoint.name, flags=re.ASCII).strip("-.")[:60] or "checkpoint"
    return f"{checkpoint}-guidance{recipe.guidance:g}-steps{recipe.steps}-seed{recipe.seed}-{recipe.key}"


def _read(run: Path, date: str) -> RunInfo:
    sweep = read_toml(run / SWEEP)
    planned, lines = _planned(run), _lines(run, is_dated=bool(date))
    names = set(os.listdir(run / "pictures")) if (run / "pictures").is_dir() else set()
    done = {key for key in planned if f"{key}.json" in names and f"{key}.png" in names}
    said = marks.read(run).values()
    return RunInfo(
        folder=run,
        name=sweep.name,
        date=date or (lines[0].at[:10] if lines else ""),
        bytes=_size(run),
        checkpoints=_said(sweep, "checkpoint"),
        planned=len(planned),
        done=len(done),
        failed=len(failures(lines).keys() & planned - done),
        stars=max((mark.stars for mark in said), default=0),
        texts=tuple(dict.fromkeys([*(text for field in WORDED for text in _said(sweep, field)), *_replaced(sweep)])),
        remarks=tuple(mark.remark for mark in said if mark.remark),
    )


def _planned(run: Path) -> set[str]:
    """Keys of the plan; its lines hold no other field of that name, so that they need not be parsed."""
    if not (run / PLAN).is_file():
        return set()  # queued, and not begun
    data = (run / PLAN).read_text(encoding="utf-8")
    keys = PLANNED.findall(data)
    if len(keys) != len(data.splitlines()):
        raise InputError(f"{run / PLAN} has {len(data.splitlines())} lines but {len(keys)} keys; put it back as it was")
    return set(keys)


def _lines(run: Path, *, is_dated: bool) -> tuple[journal.Line, ...]:
    """The journal's lines, if they can tell what is not known yet: most runs fail nowhere and have a date."""
    path = run / journal.NAME
    is_needed = path.is_file() and (not is_dated or b'"cell-failed"' in path.read_bytes())
    return journal.read(run).lines if is_needed else ()


def _said(sweep: Sweep, field: str) -> tuple[str, ...]:
    """Every value that a field has in a sweep, once."""
    steps = [(axis.fields, step) for axis in sweep.axes if isinstance(axis, Axis) for step in axis.values]
    values = [sweep.base.value(field), *(step[fields.index(field)] for fields, step in steps if field in fields)]
    return tuple(dict.fromkeys(str(value) for value in values if value))


def _replaced(sweep: Sweep) -> Iterator[str]:
    for axis in sweep.axes:
        if isinstance(axis, Replace):
            yield from axis.new


def _searched(run: RunInfo) -> str:
    return "\n".join([run.name, run.folder.name, *run.texts, *run.remarks]).casefold()


def _check_is_run(run: Path) -> None:
    if run.is_symlink():
        raise InputError(f"{run} is a link; give the folder itself")
    if not any((run / sign).is_file() for sign in SIGNS):
        raise InputError(f"{run} is no run folder (it holds no {SWEEP}); give the folder that a sweep wrote")


def _size(folder: Path) -> int:
    """Bytes of all files in a folder; links are not followed, what vanishes meanwhile is not counted."""
    try:
        with os.scandir(folder) as entries:
            return sum(_size_of(entry) for entry in entries)
    except OSError:
        return 0


def _size_of(entry: os.DirEntry[str]) -> int:
    try:
        is_folder = entry.is_dir(follow_symlinks=False)
        return _size(Path(entry.path)) if is_folder else entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def _held(run: Path) -> Lock:
    return Lock(run / ".lock", f"run {run}")


def _trash_of(folder: Path) -> Path:
    place = Path(os.path.abspath(folder)) / TRASH
    if place.is_symlink():
        raise InputError(f"{place} is a link; the trash stays on the disk of the runs: make it a folder")
    return place


def _is_trashed(path: Path) -> bool:
    return bool(TRASHED.fullmatch(path.name)) and path.is_dir() and not path.is_symlink()


def _trashed(path: Path) -> Trashed:
    match = TRASHED.fullmatch(path.name)
    assert match, f"{path} was named by trash()"
    return Trashed(path, match[1], match[2], _size(path))


def _move(old: Path, new: Path, files: Files) -> None:
    files.rename(old, new)
    for folder in (new.parent, old.parent):
        files.fsync_folder(folder)


def _contents(store: Store, key: str, files: Files) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of a picture's files; raises InputError if the picture is not the one that was committed."""
    sidecar = store.sidecar(key)
    path, name = store.path(key), readable_name(sidecar.recipe)
    png = files.read(path) if files.size(path) is not None else b""
    if hashlib.sha256(png).hexdigest() != sidecar.png_sha256:
        raise InputError(f"{path} is not the file that was committed; run `sidelight check`, then the sweep again")
    beside = path.with_suffix(".txt")
    caption = metadata.caption(sidecar.recipe, sidecar.facts.light).encode()
    yield f"{name}.png", png
    yield f"{name}.json", files.read(path.with_suffix(".json"))
    yield f"{name}.txt", files.read(beside) if files.size(beside) is not None else caption


def _entry(name: str) -> zipfile.ZipInfo:
    """Stored as it is and without a time, so that equal pictures give equal zips."""
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, 0o644 << 16
    return entry
