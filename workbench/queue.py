"""The queue: what is to be run, in which order, and how far it is. Knows nothing about pictures or pages.

Every start is a row behind what waits; a worker claims one job at a time. Command line and page only add jobs, write
wishes and read. What a wish does to a job that runs, its worker does at the next tick.
"""

import json
import os
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from platformdirs import user_state_path

from pipelines.errors import InputError
from workbench.jobs import ENDED, OPEN, Asked, Job, State, Wish
from workbench.queue_file import QueueFile

DIED = "the worker died in this job; it goes on where it was"
DIED_TWICE = "the worker died in this job twice without a new picture between; `sidelight queue log` says more"
WISHED: dict[Wish, State] = {"pause": "paused", "after this cell": "paused", "cancel": "cancelled"}
"""What becomes of a job that nobody runs when this is wished."""
_AS_WISHED = "CASE wish WHEN 'cancel' THEN 'cancelled' WHEN '' THEN {} ELSE 'paused' END"


def state_folder() -> Path:
    """Where this machine keeps the queue, the locks and the worker's log."""
    return user_state_path("sidelight", ensure_exists=True)


class Queue:
    """The jobs of this machine, in one file that several processes share."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_folder() / "queue.sqlite"
        self._file = QueueFile(self.path)
        self.warnings = self._file.warnings
        """Sentences about what was found on opening the file."""

    def add(self, asked: Asked) -> Job:
        """Put a run behind what waits at its priority; raises InputError if its folder is in the queue already."""
        folder = asked.folder.resolve()
        with self._file.writing() as database:
            _refuse_twice(database, folder)
            row = database.execute(
                "INSERT INTO jobs (folder, name, cells, priority, asked, new_numerics, keep_failed, asked_in, queued, "
                "state, place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', "
                "(SELECT coalesce(max(place), 0) + 1 FROM jobs)) RETURNING *",
                (
                    str(folder),
                    asked.name,
                    asked.cells,
                    asked.priority,
                    json.dumps({name: value for name, value in asked.numerics.items() if value is not None}),
                    asked.new_numerics,
                    asked.keep_failed,
                    str(Path.cwd()),
                    _now(),
                ),
            ).fetchone()
        return _job(row)

    def refuse_twice(self, folder: Path) -> None:
        """Raise InputError if the run in that folder is in the queue and not ended."""
        with self._file.reading() as database:
            _refuse_twice(database, folder.resolve())

    def jobs(self, *states: State, ended: int = -1) -> tuple[Job, ...]:
        """Jobs in these states (all if none is named): running, then waiting in order, paused, ended from the last.

        `ended` is how many of the last ended ones are given; all, if it is negative.
        """
        wanted = states or get_args(State)
        with self._file.reading() as database:
            rows = database.execute(
                f"SELECT * FROM jobs WHERE state IN ({', '.join('?' * len(wanted))}) "
                f"AND (state IN {OPEN} OR id IN (SELECT id FROM jobs WHERE state IN {ENDED} ORDER BY id DESC LIMIT ?)) "
                "ORDER BY CASE state WHEN 'running' THEN 0 WHEN 'waiting' THEN 1 WHEN 'paused' THEN 2 ELSE 3 END, "
                f"CASE WHEN state IN {ENDED} THEN -id ELSE -priority END, place",
                (*wanted, ended),
            ).fetchall()
        return tuple(map(_job, rows))

    def of(self, folder: Path) -> Job | None:
        """The open job of the run in that folder, else its last one; None if it was never queued."""
        query = f"SELECT * FROM jobs WHERE folder = ? ORDER BY state IN {OPEN} DESC, id DESC LIMIT 1"
        with self._file.reading() as database:
            row = database.execute(query, (str(folder.resolve()),)).fetchone()
        return _job(row) if row else None

    def has_waiting(self) -> bool:
        """Whether a job waits to be claimed; takes no lock."""
        with self._file.reading() as database:
            return database.execute("SELECT 1 FROM jobs WHERE state = 'waiting' LIMIT 1").fetchone() is not None

    def job(self, number: int) -> Job:
        """The job of that number; raises InputError."""
        with self._file.reading() as database:
            return _known(database, number)

    def claim(self, worker: int | None = None) -> Job | None:
        """The next waiting job, now running for this worker (a process id, ours if left out); None if nothing waits."""
        with self._file.writing() as database:
            row = database.execute(
                "UPDATE jobs SET state = 'running', wish = '', error = '', ended = '', worker = ? WHERE id = "
                "(SELECT id FROM jobs WHERE state = 'waiting' ORDER BY priority DESC, place LIMIT 1) RETURNING *",
                (worker or os.getpid(),),
            ).fetchone()
        return _job(row) if row else None

    def begun(self, job: Job, *, cells: int, done: int) -> None:
        """The run folder now holds the run's numerics and plan: what was asked for is settled."""
        with self._file.writing() as database:
            database.execute(
                "UPDATE jobs SET asked = '{}', new_numerics = 0, cells = ?, done = ?, failed = 0, "
                "deaths = CASE WHEN ? > done THEN 0 ELSE deaths END WHERE id = ?",
                (cells, done, done, job.id),
            )

    def tell(self, job: Job, *, done: int, failed: int, seconds_left: float | None) -> Wish:
        """Write how far a running job is, and read what a person wishes of it."""
        with self._file.writing() as database:
            row = database.execute(
                "UPDATE jobs SET deaths = CASE WHEN ? > done THEN 0 ELSE deaths END, done = ?, failed = ?, "
                "seconds_left = ? WHERE id = ? RETURNING wish",
                (done, done, failed, seconds_left, job.id),
            ).fetchone()
        wish: Wish = row["wish"]
        return wish

    def end(self, job: Job, state: State, error: str = "") -> Job:
        """The worker lets go of a job. One that is not over is paused or cancelled if that is wished by now."""
        becomes = _AS_WISHED.format(f"'{state}'") if state in OPEN else f"'{state}'"
        with self._file.writing() as database:
            row = database.execute(
                f"UPDATE jobs SET state = {becomes}, error = ?, wish = '', worker = NULL, seconds_left = NULL, "
                f"ended = CASE WHEN {becomes} IN {ENDED} THEN ? ELSE '' END WHERE id = ? RETURNING *",
                (error, _now(), job.id),
            ).fetchone()
        return _job(row)

    def is_overtaken(self, job: Job) -> bool:
        """Whether a job of higher priority waits."""
        with self._file.reading() as database:
            query = "SELECT 1 FROM jobs WHERE state = 'waiting' AND priority > ? LIMIT 1"
            return database.execute(query, (job.priority,)).fetchone() is not None

    def wish(self, number: int, wish: Wish) -> Job:
        """Ask a job to pause, be cancelled, or pause after this cell: at once if it waits, else its worker does it."""
        with self._file.writing() as database:
            job = _known(database, number)
            if job.state not in OPEN or (job.state == "paused" and wish != "cancel"):
                raise InputError(f"job {number} is {job.state} already; `sidelight queue ls` shows what waits and runs")
            if job.state == "running":
                return _changed(database, number, "wish = ?", wish)
            ended = _now() if WISHED[wish] in ENDED else ""
            return _changed(database, number, "state = ?, ended = ?", WISHED[wish], ended)

    def resume(self, number: int) -> Job:
        """Let a paused job wait again at its old place, or take back a wish that its worker has not met yet."""
        with self._file.writing() as database:
            job = _known(database, number)
            if job.state == "running" and job.wish:
                return _changed(database, number, "wish = ''")
            if job.state != "paused":
                hint = f"; `sidelight queue retry {number}` starts it again" if job.state in ENDED else ""
                raise InputError(f"job {number} is {job.state}, not paused{hint}")
            return _changed(database, number, "state = 'waiting', error = '', deaths = 0")

    def retry(self, number: int) -> Job:
        """Let an ended job wait again, behind the others: whole pictures stay, failed and missing cells are made."""
        with self._file.writing() as database:
            job = _known(database, number)
            if job.state not in ENDED:
                raise InputError(f"job {number} is {job.state}; only one that has ended can be tried again")
            if job.state == "done" and not job.failed:
                raise InputError(f"job {number} is done and no cell of it failed; there is nothing to try again")
            _refuse_twice(database, job.folder)
            return _changed(
                database,
                number,
                "state = 'waiting', error = '', deaths = 0, ended = '', keep_failed = 0, "
                "place = (SELECT max(place) + 1 FROM jobs)",
            )

    def top(self, number: int) -> Job:
        """Put a waiting or paused job before all others of its priority."""
        with self._file.writing() as database:
            _refuse_move(_known(database, number))
            return _changed(database, number, "place = (SELECT min(place) - 1 FROM jobs)")

    def move(self, number: int, before: int | None = None) -> Job:
        """Put a waiting or paused job before another one of its priority, or behind all of them."""
        with self._file.writing() as database:
            job = _known(database, number)
            _refuse_move(job)
            others = _in_line(database, job)
            at = len(others)
            if before is not None:
                if (other := _known(database, before)).id not in others:
                    raise InputError(_why_not_before(job, other))
                at = others.index(before)
            order = [*others[:at], number, *others[at:]]
            places = [row["place"] for row in database.execute(_places(order), order)]
            database.executemany("UPDATE jobs SET place = ? WHERE id = ?", zip(places, order, strict=True))
            return _known(database, number)

    def bury(self, worker: int | None = None) -> tuple[Job, ...]:
        """Take back the jobs of a worker that is dead, or of all: they wait once more, and fail the second time.

        Only for who knows it dead: its parent, or the holder of the worker's lock.
        """
        after = "CASE WHEN deaths >= 1 THEN 'failed' ELSE 'waiting' END"
        becomes = _AS_WISHED.format(after)
        with self._file.writing() as database:
            rows = database.execute(
                f"UPDATE jobs SET state = {becomes}, ended = CASE WHEN {becomes} IN {ENDED} THEN ? ELSE '' END, "
                "error = CASE WHEN deaths >= 1 THEN ? ELSE ? END, "
                "worker = NULL, wish = '', seconds_left = NULL, deaths = deaths + 1 "
                "WHERE state = 'running' AND worker = coalesce(?, worker) RETURNING *",
                (_now(), DIED_TWICE, DIED, worker),
            ).fetchall()
        return tuple(map(_job, rows))


def _refuse_twice(database: sqlite3.Connection, folder: Path) -> None:
    query = f"SELECT id, state FROM jobs WHERE folder = ? AND state IN {OPEN}"
    known = database.execute(query, (str(folder),)).fetchone()
    if known:
        raise InputError(
            f"{folder} is in the queue already, as job {known['id']} ({known['state']}), and a run is queued once; "
            "wait for it, or cancel it"
        )


def _refuse_move(job: Job) -> None:
    if job.state not in ("waiting", "paused"):
        raise InputError(f"job {job.id} is {job.state}; only one that waits or is paused can be moved")


def _in_line(database: sqlite3.Connection, job: Job) -> list[int]:
    """The other jobs that wait or are paused at this one's priority, in their order."""
    query = "SELECT id FROM jobs WHERE state IN ('waiting', 'paused') AND priority = ? AND id != ? ORDER BY place"
    return [row["id"] for row in database.execute(query, (job.priority, job.id))]


def _why_not_before(job: Job, other: Job) -> str:
    if job.id == other.id:
        return f"job {job.id} cannot stand before itself; name another one"
    if other.state not in ("waiting", "paused"):
        return f"job {other.id} is {other.state}; only before one that waits or is paused can another be put"
    return f"jobs {job.id} and {other.id} differ in priority; an interactive one goes ahead of a sweep by itself"


def _places(numbers: Sequence[int]) -> str:
    """The query for the places that these jobs have: the same ones are dealt out anew, so they never grow dense."""
    return f"SELECT place FROM jobs WHERE id IN ({', '.join('?' * len(numbers))}) ORDER BY place"


def _known(database: sqlite3.Connection, number: int) -> Job:
    row = database.execute("SELECT * FROM jobs WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise InputError(f"there is no job {number}; `sidelight queue ls` lists them")
    return _job(row)


def _changed(database: sqlite3.Connection, number: int, change: str, *values: str) -> Job:
    return _job(database.execute(f"UPDATE jobs SET {change} WHERE id = ? RETURNING *", (*values, number)).fetchone())


def _job(row: sqlite3.Row) -> Job:
    values = {name: row[name] for name in Job.__dataclass_fields__}
    values |= {name: Path(row[name]) for name in ("folder", "asked_in")}
    values |= {name: bool(row[name]) for name in ("new_numerics", "keep_failed")}
    return Job(**values | {"asked": json.loads(row["asked"])})


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
