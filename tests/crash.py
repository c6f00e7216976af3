"""What a crash or a failing disk can do to files, played through in Python. Knows nothing about what the files mean.

`RecordingFiles` logs the calls of the `Files` seam; `crash_states` builds every folder that a power cut could leave:
after each call, un-fsynced data gone, torn, zeroed or whole, un-synced names each lost or done (after ALICE, 2014).
`FailingFiles` fails the n-th call, `SmallDisk` has room for so many bytes.
"""

import errno
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.files import Disk, OpenFile

State = dict[str, bytes]
"""Files of a folder after a crash: path in the folder -> bytes."""


class Quick(Disk):
    """The real disk without waiting for it: for tests that do not cut the power."""

    def create(self, path: Path) -> OpenFile:
        return _Quick(super().create(path))

    def append(self, path: Path) -> OpenFile:
        return _Quick(super().append(path))

    def fsync_folder(self, folder: Path) -> None:
        assert folder.is_dir()


class _Quick:
    def __init__(self, file: OpenFile) -> None:
        self.write, self.truncate, self.close = file.write, file.truncate, file.close

    def fsync(self) -> None:
        pass


@dataclass(frozen=True)
class Call:
    """One call that changes something; `inode` numbers the files, as names change."""

    name: str
    path: str = ""
    new: str = ""
    inode: int = -1
    data: bytes = b""
    size: int = 0


class RecordingFiles(Quick):
    """Does everything in `root` and logs it. `forgets` names calls that are left out of the log, as if never made."""

    def __init__(self, root: Path, *, forgets: tuple[str, ...] = ()) -> None:
        self.root = root
        self.before = tree(root)
        self.calls: list[Call] = []
        self._forgets = forgets
        self._inodes = {path: number for number, path in enumerate(self.before)}
        self._count = len(self._inodes)

    def promise(self) -> None:
        """From here on what was written so far is promised to outlive every crash."""
        self.log(Call("promise"))

    def log(self, call: Call) -> None:
        if call.name not in self._forgets:
            self.calls.append(call)

    def create(self, path: Path) -> OpenFile:
        return self._open(path, super().create(path), is_new=True)

    def append(self, path: Path) -> OpenFile:
        is_new = self._relative(path) not in self._inodes
        return self._open(path, super().append(path), is_new=is_new)

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._inodes[self._relative(new)] = self._inodes.pop(self._relative(old))
        self.log(Call("rename", self._relative(old), self._relative(new)))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        del self._inodes[self._relative(path)]
        self.log(Call("unlink", self._relative(path)))

    def fsync_folder(self, folder: Path) -> None:
        super().fsync_folder(folder)
        self.log(Call("fsync_folder", self._relative(folder)))

    def _open(self, path: Path, file: OpenFile, *, is_new: bool) -> OpenFile:
        name = self._relative(path)
        if is_new:  # O_TRUNC on an old file would keep its inode; a new one is the same to whoever reads the name
            self._inodes[name] = self._count
            self._count += 1
            self.log(Call("create", name, inode=self._inodes[name]))
        return _Recorded(file, self, self._inodes[name])

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


class _Recorded:
    def __init__(self, file: OpenFile, files: RecordingFiles, inode: int) -> None:
        self._file, self._files, self._inode = file, files, inode
        self.close = file.close

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._files.log(Call("write", inode=self._inode, data=data))

    def truncate(self, size: int) -> None:
        self._file.truncate(size)
        self._files.log(Call("truncate", inode=self._inode, size=size))

    def fsync(self) -> None:
        self._file.fsync()
        self._files.log(Call("fsync", inode=self._inode))


@dataclass
class _Name:
    """A change of names that is not yet on the disk; it is when all its folders are."""

    folders: set[str]
    changes: list[tuple[str, int | None]]


@dataclass
class _Machine:
    """A file system as it is in memory (`now`, `names`) and on the disk (`kept`, `kept_names`)."""

    now: dict[int, bytes]
    kept: dict[int, bytes]
    names: dict[str, int]
    kept_names: dict[str, int]
    pending: list[_Name] = field(default_factory=list)

    def do(self, call: Call) -> None:
        match call.name:
            case "create":
                self.now[call.inode] = self.kept[call.inode] = b""
                self._name([(call.path, call.inode)])
            case "write":
                self.now[call.inode] += call.data
            case "truncate":
                self.now[call.inode] = self.now[call.inode][: call.size]
            case "fsync":
                self.kept[call.inode] = self.now[call.inode]
            case "rename":
                self._name([(call.new, self.names[call.path]), (call.path, None)])
            case "unlink":
                self._name([(call.path, None)])
            case "fsync_folder":
                for change in self.pending:
                    change.folders.discard(call.path)
                for change in [change for change in self.pending if not change.folders]:
                    _apply(self.kept_names, change)
                    self.pending.remove(change)

    def _name(self, changes: list[tuple[str, int | None]]) -> None:
        change = _Name({Path(path).parent.as_posix() for path, _ in changes}, changes)
        _apply(self.names, change)
        self.pending.append(change)

    def after_power_cut(self) -> Iterator[State]:
        for done in itertools.product((False, True), repeat=len(self.pending)):
            names = dict(self.kept_names)
            for change in itertools.compress(self.pending, done):
                _apply(names, change)
            inodes = sorted(set(names.values()))
            for contents in itertools.product(*(self._contents(inode) for inode in inodes)):
                held = dict(zip(inodes, contents, strict=True))
                yield {name: held[inode] for name, inode in names.items()}

    def _contents(self, inode: int) -> tuple[bytes, ...]:
        now, kept = self.now[inode], self.kept[inode]
        if now == kept:
            return (now,)
        if not now.startswith(kept):
            return (kept, now[: len(now) // 2], now)
        rest = now[len(kept) :]
        return (kept, kept + rest[: len(rest) // 2], kept + bytes(len(rest)), now)


def _apply(names: dict[str, int], change: _Name) -> None:
    for path, inode in change.changes:
        if inode is None:
            names.pop(path, None)
        else:
            names[path] = inode


def crash_states(files: RecordingFiles) -> Iterator[tuple[int, State]]:
    """Every different folder that a power cut can leave, with the number of promises that were made before it."""
    inodes = dict(enumerate(files.before.values()))
    names = {name: number for number, name in enumerate(files.before)}
    machine = _Machine(dict(inodes), dict(inodes), dict(names), dict(names))
    seen: set[tuple[int, frozenset[tuple[str, bytes]]]] = set()
    promises = 0
    for call in (Call("start"), *files.calls):
        promises += call.name == "promise"
        machine.do(call)
        for state in machine.after_power_cut():
            mark = (promises, frozenset(state.items()))
            if mark not in seen:
                seen.add(mark)
                yield promises, state


def lay_out(state: State, folder: Path) -> Path:
    """Make the folder that the crash left."""
    for name, data in state.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    folder.mkdir(exist_ok=True)
    return folder


def tree(folder: Path) -> State:
    """All files of a folder with their bytes."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class FailingFiles(Quick):
    """Fails the `n`-th call (from 1), and all after it if `forever`. A write fails half done; a failed fsync has lost
    half of what was not yet safe and, as kernels do, reports success when asked again."""

    def __init__(self, n: int, number: int, *, forever: bool = False) -> None:
        self.calls = 0
        self._n, self._number, self._forever = n, number, forever

    def fails(self) -> bool:
        self.calls += 1
        return self.calls == self._n or (self._forever and self.calls > self._n)

    def may_fail(self) -> None:
        if self.fails():
            raise self.error()

    def error(self) -> OSError:
        return OSError(self._number, os.strerror(self._number))

    def create(self, path: Path) -> OpenFile:
        self.may_fail()
        return _Failing(super().create(path), self, path)

    def append(self, path: Path) -> OpenFile:
        self.may_fail()
        return _Failing(super().append(path), self, path)

    def rename(self, old: Path, new: Path) -> None:
        self.may_fail()
        super().rename(old, new)

    def unlink(self, path: Path) -> None:
        self.may_fail()
        super().unlink(path)

    def mkdir(self, folder: Path) -> bool:
        self.may_fail()
        return super().mkdir(folder)

    def fsync_folder(self, folder: Path) -> None:
        self.may_fail()

    def read(self, path: Path) -> bytes:
        self.may_fail()
        return super().read(path)


class _Failing:
    def __init__(self, file: OpenFile, files: FailingFiles, path: Path) -> None:
        self._file, self._files, self._path = file, files, path
        self._safe = path.stat().st_size

    def write(self, data: bytes) -> None:
        if self._files.fails():
            self._file.write(data[: len(data) // 2])
            raise self._files.error()
        self._file.write(data)

    def truncate(self, size: int) -> None:
        self._files.may_fail()
        self._file.truncate(size)

    def fsync(self) -> None:
        size = self._path.stat().st_size
        if self._files.fails():
            os.truncate(self._path, (self._safe + size) // 2)
            raise self._files.error()
        self._safe = size

    def close(self) -> None:
        self._file.close()
        self._files.may_fail()


class SmallDisk(Quick):
    """A disk with room for `room` bytes in `root`; writes what fits and then says that it is full."""

    def __init__(self, root: Path, room: int) -> None:
        self.root, self.room = root, room

    def free_bytes(self, folder: Path) -> int:
        return self.room - sum(map(len, tree(self.root).values()))

    def create(self, path: Path) -> OpenFile:
        return _Small(super().create(path), self)

    def append(self, path: Path) -> OpenFile:
        return _Small(super().append(path), self)


class _Small:
    def __init__(self, file: OpenFile, disk: SmallDisk) -> None:
        self._file, self._disk = file, disk
        self.truncate, self.fsync, self.close = file.truncate, file.fsync, file.close

    def write(self, data: bytes) -> None:
        fits = max(0, self._disk.free_bytes(self._disk.root))
        self._file.write(data[:fits])
        if fits < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
