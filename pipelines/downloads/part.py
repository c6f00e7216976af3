"""A file that is coming: bytes into `<hash>.part`, hashed as they come. Knows nothing about where they come from."""

import contextlib
import hashlib
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.downloads.lockfile import LockedFile
from pipelines.downloads.pulled import blocks, git_hash
from pipelines.files import Files, OpenFile, disk_faults


class Part:
    """A file that is coming: what is there of it, and the hashes of that."""

    def __init__(self, path: Path, file: LockedFile, files: Files) -> None:
        self.path = path
        self.file = file
        self.size = 0
        self._files = files
        self._open: OpenFile
        self._begin()

    def __enter__(self) -> Self:
        with self._faults():
            self._open = self._files.append(self.path)
        for block in blocks(self.path):
            self._take(block)
        if self.size > self.file.size:
            self.restart()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with self._faults():
            self._open.close()

    def write(self, block: bytes) -> None:
        """Add bytes; of those beyond the file's length only one, which is enough to be wrong. Raises DiskError."""
        block = block[: self.file.size + 1 - self.size]
        with self._faults():
            self._open.write(block)
        self._take(block)

    def restart(self) -> None:
        """Begin again at the first byte."""
        with self._faults():
            self._open.truncate(0)
        self._begin()

    def sync(self) -> None:
        """Return when the bytes are on the disk. If it refuses, they must not be trusted later, so they go."""
        try:
            with self._faults():
                self._open.fsync()
        except BaseException:
            with contextlib.suppress(OSError):
                self._files.unlink(self.path)
            raise

    @property
    def sha256(self) -> str:
        """Of the bytes so far."""
        return self._sha256.hexdigest()

    @property
    def fault(self) -> str:
        """What is wrong with it now that it should be whole; empty if nothing."""
        if self.size != self.file.size:
            return f"more than the {self.file.size} bytes that the hub lists"
        if self.file.sha256 not in ("", self.sha256) or self.file.git_sha1 not in ("", self._git.hexdigest()):
            return "its hash is not the one that the hub lists"
        return ""

    def _begin(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._git = git_hash(self.file.size)

    def _take(self, block: bytes) -> None:
        self._sha256.update(block)
        if self.file.git_sha1:
            self._git.update(block)
        self.size += len(block)

    def _faults(self) -> contextlib.AbstractContextManager[None]:
        return disk_faults(self.path.parent, needed=self.file.size - self.size, files=self._files)
