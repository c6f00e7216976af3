"""One process at a time on a run folder or a device. Knows nothing about what is done under the lock.

The kernel frees the lock when its holder dies, however it dies; the file stays and is never a lock by itself.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pipelines.errors import BusyError
from pipelines.files import DISK, Files, disk_faults

SHARES = ("nfs", "cifs", "smb", "lustre", "gpfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs")
"""Kinds of file system that may grant the same lock to everybody."""
PATIENCE_SECONDS = 30.0
"""How long a writer waits for others: each holds the lock for milliseconds, a stopped process for ever."""
ASKING_SECONDS = 0.005


class Lock:
    """A lock on a file, taken with `with`; `what` names in words what it protects."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._number = -1

    def __enter__(self) -> Self:
        """Take it or raise BusyError at once, naming who holds it since when."""
        number = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(os.pread(number, 200, 0))
            os.close(number)
            raise BusyError(
                f"{self._what} is held by {holder}; wait for it or stop it, then run the same command again"
            ) from None
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        os.ftruncate(number, 0)
        os.pwrite(number, json.dumps({"pid": os.getpid(), "since": since}).encode() + b"\n", 0)
        self._number = number
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._number)


@contextmanager
def waited_for(path: Path, what: str, files: Files = DISK) -> Iterator[None]:
    """A lock that many writers take for milliseconds each, in their turn.

    Raises BusyError if others hold it for half a minute, DiskFullError or DiskError.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    with ExitStack() as held:
        while True:
            try:
                with disk_faults(path.parent, needed=0, files=files):
                    held.enter_context(Lock(path, what))
                break
            except BusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(ASKING_SECONDS)
        yield


def _holder(text: bytes) -> str:
    try:
        who = json.loads(text)
        return f"process {who['pid']} since {who['since']}"
    except (ValueError, KeyError, TypeError):  # it has the lock but has not written its name yet
        return "another process, just started"


def share_warning(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """A sentence if the folder lies on a network share, where locks may not hold; else empty."""
    if not mounts.exists():
        return ""
    place = folder.resolve()
    rows = [line.split() for line in mounts.read_text().splitlines()]
    above = [(Path(row[1].replace("\\040", " ")), row[2]) for row in rows]
    kind = max(((len(point.parts), kind) for point, kind in above if place.is_relative_to(point)), default=(0, ""))[1]
    if not kind.startswith(SHARES):
        return ""
    return f"{place} is on a network share ({kind}), where two machines may both get the lock: start one at a time"
