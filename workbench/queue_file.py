"""The queue's SQLite file: opened, brought to this version, set aside when damaged. Knows nothing about workers.

Several processes share it on one machine. Opening it anew goes one process at a time, so two that begin at once make
one file; after that SQLite's own locks hold.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from pipelines.downloads.lockfile import held
from pipelines.errors import BusyError, DiskError, DiskFullError, InputError, SidelightError
from sweeps.lock import share_warning

BUSY_SECONDS = 60.0  # a commit takes milliseconds; a backup that copies the file, or a machine that swaps, takes longer
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            folder TEXT NOT NULL,
            name TEXT NOT NULL,
            asked TEXT NOT NULL,
            new_numerics INTEGER NOT NULL,
            keep_failed INTEGER NOT NULL,
            asked_in TEXT NOT NULL,
            priority INTEGER NOT NULL,
            place REAL NOT NULL,
            state TEXT NOT NULL,
            wish TEXT NOT NULL DEFAULT '',
            cells INTEGER NOT NULL,
            done INTEGER NOT NULL DEFAULT 0,
            failed INTEGER NOT NULL DEFAULT 0,
            seconds_left REAL,
            error TEXT NOT NULL DEFAULT '',
            worker INTEGER,
            deaths INTEGER NOT NULL DEFAULT 0,
            queued TEXT NOT NULL,
            ended TEXT NOT NULL DEFAULT ''
        ) STRICT
        """,
        "CREATE INDEX jobs_in_order ON jobs (state, priority DESC, place)",
        "CREATE UNIQUE INDEX one_open_job_a_folder ON jobs (folder) WHERE state IN ('waiting', 'running', 'paused')",
    ),
)
"""What leads to version 1, to version 2, and so on; what was released once never changes."""


class QueueFile:
    """The database in its file. `warnings` are sentences about what was found on opening it.

    Raises InputError for a file of a newer version; what the disk refuses comes as DiskError or DiskFullError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        warnings = [f"the queue: {warning}"] if (warning := share_warning(path.parent)) else []
        self._journal = "DELETE" if warnings else "WAL"  # WAL needs shared memory, which a network share has not
        with held(path.with_name(f".{path.name}.held")), _in_words(path):
            try:
                self._prepare()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                warnings.append(_set_aside(path))
                self._prepare()
        self.warnings = tuple(warnings)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for one statement that only looks."""
        with _in_words(self.path), self._connected() as database:
            yield database

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start, so that no read is upgraded and refused."""
        with _in_words(self.path), self._connected() as database, _transaction(database):
            yield database

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)) as database:
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA synchronous = FULL")
            yield database

    def _prepare(self) -> None:
        with self._connected() as database:
            database.execute(f"PRAGMA journal_mode = {self._journal}")
            (told,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if told != "ok":
                error = sqlite3.DatabaseError(told)
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
            with _transaction(database):
                self._migrate(database)

    def _migrate(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise InputError(
                f"{self.path} was written by a newer Sidelight (version {version}, this one knows {len(MIGRATIONS)}); "
                "update this one, or move the file away: run folders stay as they are"
            )
        for step in MIGRATIONS[version:]:
            for statement in step:
                database.execute(statement)
        if version < len(MIGRATIONS):
            database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """What SQLite refuses and a person can mend, as one line; anything else stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise (_told(error, path) or error) from error


def _told(error: sqlite3.DatabaseError, path: Path) -> SidelightError | None:
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return DiskFullError(f"the disk is full, the queue in {path} cannot be written; free space and try again")
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY:
            return DiskError(f"{path} cannot be read or written ({error}); check the disk and its rights")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return BusyError(f"{path} has been held by another process for {BUSY_SECONDS:.0f} s; end it and try again")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return DiskError(f"{path} is damaged ({error}); start the command again: it is set aside then")
    return None


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's primary result code: the extended one says more in its higher bits."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _set_aside(path: Path) -> str:
    """Move a damaged file and SQLite's own files beside it away; gives the sentence that says so."""
    aside = next(name for n in count(1) if not (name := path.with_name(f"{path.stem}-damaged-{n}.sqlite")).exists())
    for suffix in ("", "-wal", "-shm", "-journal"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.rename(aside.with_name(aside.name + suffix))
    return (
        f"the queue in {path} was damaged; it is kept as {aside.name} and a new, empty one is begun. "
        "No picture is lost: queue unfinished run folders again with `sidelight sweep run FOLDER --queue`"
    )
