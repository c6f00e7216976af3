"""SHA-256 of large files, remembered by size, time and inode. Knows nothing about what is in the files."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_cache_path


class FileHashes:
    """A cache of file digests in one JSON file; losing it costs only time."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or user_cache_path("sidelight") / "hashes.json"
        self._known: dict[str, list[int | str]] = {}
        with contextlib.suppress(OSError, ValueError):  # none yet, not ours to read, or torn: hash again
            self._known = json.loads(self._path.read_text())
        self._read = dict(self._known)

    def of(self, path: Path) -> str:
        """Hex SHA-256 of the file; read again only if size, modification time or inode changed."""
        stat = path.stat()
        mark: list[int | str] = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        known = self._known.get(str(path))
        if known is None or known[:3] != mark:
            with path.open("rb") as file:
                known = [*mark, hashlib.file_digest(file, "sha256").hexdigest()]
            self._known[str(path)] = known
        return str(known[3])

    def known(self, path: Path) -> str | None:
        """Hex SHA-256 if the file was hashed before and has not changed since; nothing is read but its marks."""
        known = self._known.get(str(path))
        try:
            stat = path.stat()
        except OSError:
            return None
        return str(known[3]) if known and known[:3] == [stat.st_size, stat.st_mtime_ns, stat.st_ino] else None

    def files(self, digest: str) -> Iterator[Path]:
        """Files that had this hash when last read; they may be gone or changed since."""
        return (Path(name) for name, known in self._known.items() if known[3] == digest)

    def save(self) -> None:
        """Write what is new; a cache folder that cannot be written is no fault (it is only slower next time)."""
        if self._known == self._read:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside = self._path.with_suffix(f".{os.getpid()}.part")
            beside.write_text(json.dumps(self._known))
            beside.replace(self._path)
