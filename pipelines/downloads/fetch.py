"""Fetching models: what is missing comes, broken-off files go on where they stopped, every byte is checked.

Bytes go to `<hash>.part` beside the model and are hashed as they come; only a file with the right hash gets its name.
Knows nothing about terminals: what happens is told as events.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pipelines.downloads import lockfile
from pipelines.downloads.hub import Hub, NothingThere, Repository, Unsteady
from pipelines.downloads.lockfile import Entry, LockedFile
from pipelines.downloads.needed import INDEX, needed, needs_index
from pipelines.downloads.part import Part
from pipelines.downloads.pulled import DAMAGED, HELD, Need, blocks, fault_of, git_hash, part_path
from pipelines.errors import DiskFullError, HubError
from pipelines.files import DISK, Files, disk_faults
from pipelines.listing import Source

T = TypeVar("T")

MARGIN_BYTES = 1_000_000_000
"""Left free on the disk after all that is fetched, for the system and for pictures."""
TRIES = 5
"""Faults in a row, without a byte more, after which a download gives up; waits double from one second."""


@dataclass(frozen=True)
class Fetching:
    """Bytes of a file that are here, of how many."""

    file: LockedFile
    done: int


@dataclass(frozen=True)
class Waiting:
    """A fault that may pass; the next try is in so many seconds."""

    file: LockedFile
    reason: str
    seconds: float


@dataclass(frozen=True)
class SetAside:
    """What came was wrong; it lies at `path` and can be deleted."""

    file: LockedFile
    path: Path
    reason: str


@dataclass(frozen=True)
class Fetched:
    """All files of an entry are here and checked."""

    entry: Entry


Event = Fetching | Waiting | SetAside | Fetched


@dataclass(frozen=True)
class Pull:
    """What one need takes: its entry, the files not here yet, and how many of their bytes are."""

    entry: Entry
    missing: tuple[LockedFile, ...]
    received: int

    @property
    def to_come(self) -> int:
        """Bytes still to be fetched."""
        return sum(file.size for file in self.missing) - self.received


class Fetcher:
    """Fetches from one hub into one models folder.

    `cache` is huggingface_hub's folder of what other programs fetched; `wait` is how it waits between tries.
    """

    def __init__(
        self,
        hub: Hub,
        models: Path,
        *,
        files: Files = DISK,
        cache: Path | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hub = hub
        self._models = models
        self._files = files
        self._cache = cache
        self._wait = wait

    def look_up(self, need: Need) -> Pull:
        """What a need takes: as pinned in the lock, else as the hub lists it now; no weights are fetched yet.

        Raises CheckpointError (gated, not there, pickles only) and HubError.
        """
        entry = need.entry(lockfile.read(self._models)) or self._listed(need)
        folder = entry.folder(self._models)
        missing = tuple(file for file in entry.files if self._files.size(folder / file.path) != file.size)
        return Pull(entry, missing, sum(self._received(entry, file) for file in missing))

    def refuse_without_room(self, pulls: list[Pull]) -> None:
        """Raise DiskFullError unless the disk takes all that is to come, and a margin."""
        need, free = sum(pull.to_come for pull in pulls) + MARGIN_BYTES, self._files.free_bytes(self._models)
        if need > free and any(pull.missing for pull in pulls):
            raise DiskFullError(
                f"not enough room: {need / 1e9:.1f} GB needed with a margin, {free / 1e9:.1f} GB free in "
                f"{self._models}: free space, or set SIDELIGHT_MODELS to a folder on another disk"
            )

    def fetch(self, pull: Pull) -> Iterator[Event]:
        """Fetch what is missing, check it and complete the lock.

        Raises HubError if the hub gives up or gives wrong bytes, CheckpointError, BusyError, DiskError, DiskFullError;
        what came is kept, and the same call goes on from there.
        """
        entry, lock = pull.entry, self._home(pull.entry) / HELD
        with lockfile.held(lock, self._files, busy=f"{entry.repo} is being pulled by another process; wait for it"):
            if entry.complete and not pull.missing:
                yield Fetched(entry)
                return
            self._set_aside_unvouched(entry)
            lockfile.change(self._models, entry.but(complete=False), files=self._files)
            known = {}
            for file in entry.files:
                known[file.path] = yield from self._file(entry, file)
            whole = tuple(file.but(sha256=known[file.path]) for file in entry.files)
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            entry = entry.but(files=whole, complete=True, fetched=now)
            lockfile.change(self._models, entry, files=self._files)
        yield Fetched(entry)

    def _set_aside_unvouched(self, entry: Entry) -> None:
        """Read files that lie there though no lock vouches for them (it was lost); rename those that are wrong."""
        lock, folder = lockfile.read(self._models), entry.folder(self._models)
        if lock.find(entry.source, variant=entry.variant, without=entry.without):
            return
        vouched = {file.path for other in lock.entries if other.folder(self._models) == folder for file in other.files}
        for file in entry.files:
            path = folder / file.path
            if file.path not in vouched and path.exists() and fault_of(path, file):
                with disk_faults(path.parent, needed=0, files=self._files):
                    self._files.rename(path, path.with_name(path.name + DAMAGED))

    def _listed(self, need: Need) -> Entry:
        source, kind, variant = need.row.source, need.row.kind, need.row.variant
        there = self._patiently(lambda: self._hub.repository(source.place, source.revision))
        index = self._patiently(lambda: self._index(source, there))
        chosen = needed(source, there.files, kind=kind, index=index, variant=variant, without=need.without)
        return Entry(
            source=str(source),
            variant=variant,
            without=need.without,
            repo=there.repo,
            revision=there.commit,
            files=chosen,
        )

    def _index(self, source: Source, there: Repository) -> bytes | None:
        if not needs_index(source, there.files):
            return None
        path = "/".join(part for part in (source.path, INDEX) if part)
        file = next(file for file in there.files if file.path == path)
        text = self._hub.small(there.repo, there.commit, file)
        made = git_hash(file.size)
        made.update(text)
        if file.git_sha1 not in ("", made.hexdigest()):
            raise Unsteady(f"{path} came wrong")
        return text

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask something small, again if the fault may pass."""
        for tries in range(TRIES):
            try:
                return ask()
            except Unsteady as fault:
                self._wait(max(fault.seconds, 2**tries))
        try:
            return ask()
        except Unsteady as fault:
            raise HubError(
                f"the hub does not answer ({fault}); look at the network and run the same command again"
            ) from None

    def _file(self, entry: Entry, file: LockedFile) -> Generator[Event, None, str]:
        """Have one file in its place; its SHA-256."""
        place = entry.folder(self._models) / file.path
        if self._files.size(place) == file.size:
            return file.sha256 or self._hash_in_place(place)
        with disk_faults(place.parent, needed=file.size, files=self._files):
            self._files.mkdir(place.parent)
            if self._files.size(place) is not None:
                self._files.rename(place, place.with_name(place.name + DAMAGED))
        path = self._part(entry, file)
        for is_again in (False, True):
            found = None if is_again or path.exists() else self._cached(entry, file)
            if found:
                self._adopt(found, path)
            with Part(path, file, self._files) as part:
                if found and not part.size:
                    yield from self._copy(found, part)
                is_resumed = part.size > 0
                yield from self._receive(entry, part)
                if not part.fault:
                    part.sync()
                    break
            aside = path.with_suffix(DAMAGED)
            self._files.rename(path, aside)
            yield SetAside(file, aside, part.fault)
            if is_again or not is_resumed:
                raise HubError(
                    f"{entry.repo}: {file.path} came wrong ({part.fault}); it was set aside as {aside}: "
                    "run the same command again, and if it stays so tell the owner of the repository or of HF_ENDPOINT"
                )
        self._into_place(path, place)
        return part.sha256

    def _receive(self, entry: Entry, part: Part) -> Iterator[Event]:
        """Bytes until the file is as long as it should be; gives up after TRIES faults without a byte more."""
        most, faults = part.size, 0
        while part.size < part.file.size:
            try:
                yield from self._one_answer(entry, part)
            except Unsteady as fault:
                faults = 1 if part.size > most else faults + 1
                most = max(most, part.size)
                if faults > TRIES:
                    raise HubError(
                        f"{entry.repo}: {part.file.path} does not come ({fault}); {part.size / 1e6:.0f} MB are here "
                        "and kept: look at the network and run the same command again"
                    ) from None
                if isinstance(fault, NothingThere):
                    part.restart()
                seconds = max(fault.seconds, 2 ** (faults - 1))
                yield Waiting(part.file, str(fault), seconds)
                self._wait(seconds)

    def _one_answer(self, entry: Entry, part: Part) -> Iterator[Event]:
        """What one request gives, from where the part ends, or all of it from a server that ignores Range."""
        file = part.file
        with self._hub.answer(entry.repo, entry.revision, file.path, start=part.size) as answer:
            if answer.size not in (None, file.size):
                raise HubError(
                    f"{entry.repo}: {file.path} is {answer.size} bytes at the server and {file.size} in the hub's "
                    "list; not fetched: try again later, or tell the owner of the repository or of HF_ENDPOINT"
                )
            if answer.start == 0 and part.size:
                part.restart()
            elif answer.start != part.size:
                raise Unsteady("the server sends another part than was asked for")
            for block in answer.blocks:
                part.write(block)
                yield Fetching(file, part.size)
                if part.size > file.size:
                    return
        if part.size < file.size:
            raise Unsteady("the connection ended early")

    def _cached(self, entry: Entry, file: LockedFile) -> Path | None:
        """The same file where other programs fetched it into huggingface_hub's cache, by its length."""
        if not self._cache:
            return None
        folder = self._cache / f"models--{entry.repo.replace('/', '--')}" / "snapshots" / entry.revision
        return folder / file.path if self._files.size(folder / file.path) == file.size else None

    def _adopt(self, found: Path, part: Path) -> None:
        """Take it by a second name for the same bytes, where disk and rights allow that."""
        with contextlib.suppress(OSError):  # another disk: `_copy` does it
            os.link(found.resolve(), part)

    def _received(self, entry: Entry, file: LockedFile) -> int:
        """Bytes of a missing file that are on the disk and need no more room on it."""
        part, found = self._files.size(self._part(entry, file)), self._cached(entry, file)
        if not part and found and found.stat().st_dev == _nearest(self._models).stat().st_dev:
            return file.size
        return min(part or 0, file.size)

    def _copy(self, found: Path, part: Part) -> Iterator[Event]:
        for block in blocks(found):
            part.write(block)
            yield Fetching(part.file, part.size)

    def _into_place(self, path: Path, place: Path) -> None:
        with disk_faults(place.parent, needed=0, files=self._files):
            self._files.rename(path, place)
            for folder in dict.fromkeys((path.parent, place.parent, place.parent.parent)):
                self._files.fsync_folder(folder)

    def _hash_in_place(self, place: Path) -> str:
        sha256 = hashlib.sha256()
        for block in blocks(place):
            sha256.update(block)
        return sha256.hexdigest()

    def _home(self, entry: Entry) -> Path:
        return entry.folder(self._models).parent

    def _part(self, entry: Entry, file: LockedFile) -> Path:
        return part_path(entry, file, self._models)


def _nearest(folder: Path) -> Path:
    return next(above for above in (folder, *folder.parents) if above.exists())
