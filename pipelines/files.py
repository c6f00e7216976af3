"""Files that appear whole or not at all, and room kept free for last words. Knows nothing about pictures or journals.

`Files` is the seam: all that is durable goes through it, so that a test can replay every crash and fail every call.
"""

import contextlib
import errno
import math
import os
import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from pipelines.errors import DiskError, DiskFullError

RESERVE_BYTES = 16_000_000
RESERVE = ".reserve"
PART = ".part"
"""Suffix of a file that is still being written; whoever finds one at start may delete it."""
FULL = (errno.ENOSPC, errno.EDQUOT)


class OpenFile(Protocol):
    """A file open for writing; kept open until fsync, because only this descriptor is sure to hear of a lost write."""

    def write(self, data: bytes) -> None:
        """All of `data`, in one system call where the disk has room; raises OSError."""

    def truncate(self, size: int) -> None:
        """Cut to `size` bytes."""

    def fsync(self) -> None:
        """Return when the bytes are on the disk; raises OSError, and then the file must not be trusted again."""

    def close(self) -> None:
        """Let go of it."""


class Files(Protocol):
    """The calls that a crash can interrupt, and the few that look."""

    def create(self, path: Path) -> OpenFile:
        """An empty file to write into."""

    def append(self, path: Path) -> OpenFile:
        """A file whose writes all go to its end; made if missing."""

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name, at once, replacing what had it."""

    def unlink(self, path: Path) -> None:
        """Delete a file."""

    def mkdir(self, folder: Path) -> bool:
        """Make a folder and those above it; False if it was there."""

    def fsync_folder(self, folder: Path) -> None:
        """Return when the names in the folder are on the disk."""

    def read(self, path: Path) -> bytes:
        """The whole file."""

    def size(self, path: Path) -> int | None:
        """Bytes of a file; None if there is none."""

    def names(self, folder: Path) -> tuple[str, ...]:
        """Sorted names of the files in a folder; none if there is no folder."""

    def free_bytes(self, folder: Path) -> int:
        """Room left on the disk that holds (or would hold) the folder."""


class DiskFile:
    """A real file open for writing."""

    def __init__(self, path: Path, flags: int) -> None:
        self._number = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o666)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._number, rest) :]

    def truncate(self, size: int) -> None:
        os.ftruncate(self._number, size)

    def fsync(self) -> None:
        os.fsync(self._number)

    def close(self) -> None:
        os.close(self._number)


class Disk:
    """The real file system."""

    def create(self, path: Path) -> OpenFile:
        return DiskFile(path, os.O_TRUNC)

    def append(self, path: Path) -> OpenFile:
        return DiskFile(path, os.O_APPEND)

    def rename(self, old: Path, new: Path) -> None:
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def mkdir(self, folder: Path) -> bool:
        is_new = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        return is_new

    def fsync_folder(self, folder: Path) -> None:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def size(self, path: Path) -> int | None:
        return path.stat().st_size if path.is_file() else None

    def names(self, folder: Path) -> tuple[str, ...]:
        return tuple(sorted(path.name for path in folder.iterdir() if path.is_file())) if folder.is_dir() else ()

    def free_bytes(self, folder: Path) -> int:
        return shutil.disk_usage(next(above for above in (folder, *folder.parents) if above.exists())).free


DISK = Disk()


def put(contents: Mapping[Path, bytes], files: Files = DISK) -> None:
    """Write files of ONE folder so that each is whole or absent, in the order given, and on the disk on return.

    Raises DiskFullError or DiskError; then no `.part` is left and older files of these names are whole.
    """
    folder = next(iter(contents)).parent
    with disk_faults(folder, needed=sum(map(len, contents.values())), files=files):
        if files.mkdir(folder):
            files.fsync_folder(folder.parent)
        with _removed_on_failure([_part(path) for path in contents], files):
            for path, data in contents.items():
                _write_synced(_part(path), data, files)
            for path in contents:
                files.rename(_part(path), path)
        files.fsync_folder(folder)


def _part(path: Path) -> Path:
    return path.with_name(path.name + PART)


@contextlib.contextmanager
def _removed_on_failure(paths: list[Path], files: Files) -> Iterator[None]:
    try:
        yield
    except OSError:
        for path in paths:
            with contextlib.suppress(OSError):  # not there, or the disk is past taking it: the next start removes it
                files.unlink(path)
        raise


def _write_synced(path: Path, data: bytes, files: Files) -> None:
    """Bytes on the disk. After a failed fsync the kernel may drop them and report success, so: a new file, once."""
    try:
        _write_once(path, data, files)
    except OSError as error:
        if error.errno in FULL:
            raise
        with contextlib.suppress(FileNotFoundError):
            files.unlink(path)
        _write_once(path, data, files)


def _write_once(path: Path, data: bytes, files: Files) -> None:
    file = files.create(path)
    try:
        file.write(data)
        file.fsync()
    finally:
        file.close()


@contextlib.contextmanager
def disk_faults(folder: Path, *, needed: int, files: Files) -> Iterator[None]:
    """Turn what the disk refuses into one line: DiskFullError with the MB needed and free, or DiskError."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            reason = error.strerror or str(error)
            raise DiskError(
                f"the disk does not take what is written to {folder} ({reason}); what is whole is kept: "
                "check the disk and its rights, then run the same command again"
            ) from error
        need, free = math.ceil((needed + RESERVE_BYTES) / 1e6), files.free_bytes(folder) // 1_000_000
        raise DiskFullError(
            f"disk full: {need} MB needed for the next file in {folder}, {free} MB free; "
            "nothing is torn: free space and run the same command again"
        ) from error


def keep_reserve(folder: Path, files: Files = DISK, *, size: int = RESERVE_BYTES) -> None:
    """Keep room for last words: a file of `size` bytes in the folder. Raises DiskFullError or DiskError."""
    path = folder / RESERVE
    if files.size(path) == size:
        return
    with disk_faults(folder, needed=size, files=files), _removed_on_failure([path], files):
        _write_synced(path, random.Random(0).randbytes(size), files)  # noise: zeros take no room where disks compress


def release_reserve(folder: Path, files: Files = DISK) -> None:
    """Give the room up: all is said, or the disk is full and something must still be said. Raises DiskError."""
    with disk_faults(folder, needed=0, files=files):
        if files.size(folder / RESERVE) is not None:
            files.unlink(folder / RESERVE)
