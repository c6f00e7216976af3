"""What of a model is on this disk, and whether it is what was fetched. Knows nothing about networks."""

import hashlib
import shutil
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.downloads import lockfile
from pipelines.downloads.lockfile import Entry, Lock, LockedFile
from pipelines.files import DISK, PART, Files, disk_faults
from pipelines.listing import DENOISERS, Row, models_folder, rows

DAMAGED = ".damaged"
HELD = ".held"
"""Lock file in a repository's folder, held by whoever fetches into it or deletes from it."""
State = Literal["here", "to be downloaded", "incomplete", "damaged", "missing"]
"""missing: a path on this disk that is not there; the others are told by the lock file and the files' lengths."""
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Need:
    """A row and the components whose weights another row gives."""

    row: Row
    without: tuple[str, ...] = ()

    def entry(self, lock: Lock) -> Entry | None:
        """Its entry in the lock; what was pulled whole serves where less is needed."""
        source = str(self.row.source)
        found = [lock.find(source, variant=self.row.variant, without=without) for without in ((), self.without)]
        return next((entry for entry in found if entry and entry.complete), found[0] if found[0] else found[1])


@dataclass(frozen=True)
class Fault:
    """A file that is not what was fetched: `reason` is missing, damaged or of another length."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Checking:
    """Bytes of a file that were read so far."""

    file: LockedFile
    done: int


@dataclass(frozen=True)
class Checked:
    """A file was read to its end."""

    file: LockedFile
    fault: Fault | None


def needs(row: Row, listed: Mapping[str, Row] | None = None) -> tuple[Need, ...]:
    """The row, and the rows that give the parts it lacks (base, vae), as far as they come from a hub.

    `listed` are all rows, where many are asked about: reading the lists takes a hundredth of a second.
    """
    listed = rows() if listed is None else listed
    without = (DENOISERS[row.family],) if row.kind == "checkpoint" else ()
    found = [Need(row)]
    if base := listed.get(row.options.get("base", "")):
        found.append(Need(base, without))
    if vae := listed.get(row.options.get("vae", "")):
        found.append(Need(vae))
    return tuple(need for need in found if need.row.source.kind == "hf")


def state(row: Row, lock: Lock, listed: Mapping[str, Row] | None = None) -> tuple[State, int | None]:
    """Whether a row and all it needs is here, by files' lengths, and its bytes as far as they are known."""
    place = row.place() if row.source.kind != "hf" else None
    if place and not place.exists():
        return "missing", None
    found = [need.entry(lock) for need in needs(row, listed)]
    entries = [entry for entry in found if entry]
    size = sum(entry.size for entry in entries) if len(entries) == len(found) else None
    if not found and place:
        return "here", _size(place)
    if not entries:
        return "to be downloaded", size
    if not all(entry and entry.complete for entry in found):
        return "incomplete", size
    models = models_folder()
    whole = all(DISK.size(entry.folder(models) / file.path) == file.size for entry in entries for file in entry.files)
    return ("here" if whole else "damaged"), size


def verify(entry: Entry, models: Path, *, files: Files = DISK) -> Iterator[tuple[LockedFile, Fault | None]]:
    """Read every file of an entry again and compare; what is damaged is set aside, so that `pull` fetches just it."""
    for event in verifying(entry, models, files=files):
        if isinstance(event, Checked):
            yield event.file, event.fault


def verifying(entry: Entry, models: Path, *, files: Files = DISK) -> Iterator[Checking | Checked]:
    """The same as `verify`, told block by block."""
    for file in entry.files:
        path = entry.folder(models) / file.path
        fault = yield from _compared(path, file)
        if fault:
            with disk_faults(path.parent, needed=0, files=files):
                if path.exists():
                    files.rename(path, path.with_name(path.name + DAMAGED))
            entry = entry.but(complete=False)
            lockfile.change(models, entry, files=files)
        yield Checked(file, fault)


def fault_of(path: Path, file: LockedFile) -> Fault | None:
    """What is wrong with a file, by reading all of it; None if nothing is."""
    reading = _compared(path, file)
    try:
        while True:
            next(reading)
    except StopIteration as end:
        fault: Fault | None = end.value
        return fault


def part_path(entry: Entry, file: LockedFile, models: Path) -> Path:
    """Where a file of an entry lies while it comes."""
    return entry.folder(models).parent / f"{file.sha256 or file.git_sha1}{PART}"


def came(entry: Entry, models: Path) -> int:
    """Bytes of an entry that are on this disk, whole files and parts, by their lengths."""
    return sum(came_of(entry, file, models) for file in entry.files)


def came_of(entry: Entry, file: LockedFile, models: Path) -> int:
    """Bytes of one file of it that are on this disk."""
    if DISK.size(entry.folder(models) / file.path) == file.size:
        return file.size
    return min(DISK.size(part_path(entry, file, models)) or 0, file.size)


def _compared(path: Path, file: LockedFile) -> Generator[Checking, None, Fault | None]:
    """Read a file and tell how far; what is wrong with it in the end."""
    if not path.is_file():
        return Fault(path, "missing")
    if (size := path.stat().st_size) != file.size:
        return Fault(path, f"damaged: {size} bytes instead of {file.size}")
    hashes = [(hashlib.sha256(), file.sha256), (git_hash(file.size), file.git_sha1)]
    hashes = [(made, wanted) for made, wanted in hashes if wanted]
    done = 0
    try:
        for block in blocks(path):
            for made, _ in hashes:
                made.update(block)
            done += len(block)
            yield Checking(file, done)
    except OSError as error:
        return Fault(path, f"damaged: it cannot be read ({error.strerror})")
    right = all(made.hexdigest() == wanted for made, wanted in hashes)
    return None if right else Fault(path, "damaged: its bytes are not those that were fetched")


def git_hash(size: int) -> "hashlib._Hash":
    """Git's hash of a file of that many bytes, to be fed with them."""
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def blocks(path: Path) -> Iterator[bytes]:
    """A file in pieces that fit into memory."""
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def only_of(entries: Collection[Entry], lock: Lock, models: Path) -> dict[Path, int]:
    """Files on this disk that these entries need and no other does, with their bytes."""
    keys = {entry.key for entry in entries}
    kept = {entry.folder(models) / file.path for entry in lock.entries if entry.key not in keys for file in entry.files}
    mine = {entry.folder(models) / file.path for entry in entries for file in entry.files}
    return {path: path.stat().st_size for path in sorted(mine - kept) if path.is_file()}


def delete(entries: Collection[Entry], models: Path, *, files: Files = DISK) -> None:
    """Delete what only these entries need, and their lines in the lock. Raises BusyError while one is being pulled."""
    for entry in entries:
        home = entry.folder(models).parent
        with lockfile.held(home / HELD, files, busy=f"{entry.repo} is being pulled by another process; wait for it"):
            unneeded = only_of([entry], lockfile.read(models), models)
            lock = lockfile.change(
                models, entry, is_out=True, files=files
            )  # first: what is left over is trusted by none
            for path in unneeded:
                files.unlink(path)
            if not any(other.repo == entry.repo for other in lock.entries):
                shutil.rmtree(home)


def _size(place: Path) -> int:
    return sum(path.stat().st_size for path in ([place] if place.is_file() else place.rglob("*")) if path.is_file())
