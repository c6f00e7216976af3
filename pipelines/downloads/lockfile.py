"""The lock file: which exact files of which exact revision were fetched. Knows nothing about networks or rows.

`models.lock.json` lies in the models folder beside what it describes; it pins a revision before the first byte comes,
so that a broken-off download goes on with the same files, and calls an entry complete when every file was checked.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from pipelines.errors import BusyError, CheckpointError
from pipelines.files import DISK, Files, disk_faults, put
from pipelines.frozen import LABEL, Frozen

NAME = "models.lock.json"
Commit = Annotated[str, Field(pattern="^[0-9a-f]{40}$")]


class LockedFile(Frozen):
    """A file of a repository: size in bytes; sha256 "" until a small file (known only by its git hash) was fetched."""

    path: str
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    git_sha1: Annotated[str, Field(pattern="^([0-9a-f]{40})?$")] = ""


class Entry(Frozen):
    """What one source needs. `without` names components whose weights are not wanted, as another file gives them."""

    source: str
    variant: str = ""
    without: tuple[str, ...] = ()
    repo: Annotated[str, Field(pattern=r"^[\w-][\w.-]*/[\w-][\w.-]*$")]
    revision: Commit
    files: tuple[LockedFile, ...]
    complete: bool = False
    fetched: str = Field("", json_schema_extra=LABEL)

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """What tells entries apart."""
        return self.source, self.variant, self.without

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def folder(self, models: Path) -> Path:
        """Where its files lie below the models folder, each under its path in the repository."""
        return models / self.repo.replace("/", "--") / self.revision


class Lock(Frozen):
    """All entries, in the order in which they were first pulled."""

    version: Literal[1] = 1
    entries: tuple[Entry, ...] = ()

    def find(self, source: str, *, variant: str = "", without: tuple[str, ...] = ()) -> Entry | None:
        """The entry of a source with that variant, which lacks exactly the weights of `without`."""
        return next((entry for entry in self.entries if entry.key == (source, variant, without)), None)

    def having(self, entry: Entry) -> "Lock":
        """This lock with the entry in the place of the one of its key, or at the end."""
        keys = [other.key for other in self.entries]
        if entry.key not in keys:
            return self.but(entries=(*self.entries, entry))
        return self.but(entries=tuple(entry if other.key == entry.key else other for other in self.entries))

    def lacking(self, entry: Entry) -> "Lock":
        """This lock without the entry of that key."""
        return self.but(entries=tuple(other for other in self.entries if other.key != entry.key))


def read(models: Path) -> Lock:
    """The lock of a models folder, empty if nothing was pulled yet; raises CheckpointError if it is no lock file."""
    path = models / NAME
    try:
        return Lock.model_validate(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return Lock()
    except (ValueError, ValidationError):
        raise CheckpointError(
            f"{path} is no lock file of this version; move it away and run `sidelight models pull` again: "
            "files that are here are checked, not fetched again"
        ) from None


def change(models: Path, entry: Entry, *, is_out: bool = False, files: Files = DISK) -> Lock:
    """Write the lock with this entry in it, or without it, whole or not at all; raises DiskError."""
    with held(models / f".{NAME}.held", files):
        lock = read(models)
        lock = lock.lacking(entry) if is_out else lock.having(entry)
        text = json.dumps(lock.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
        put({models / NAME: text.encode()}, files)
    return lock


@contextlib.contextmanager
def held(path: Path, files: Files = DISK, *, busy: str = "") -> Iterator[None]:
    """Hold a lock that the kernel frees when its holder dies: wait for it, or with `busy` raise BusyError saying so."""
    with disk_faults(path.parent, needed=0, files=files):
        files.mkdir(path.parent)
        number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        yield
    except BlockingIOError:
        raise BusyError(busy) from None
    finally:
        os.close(number)
