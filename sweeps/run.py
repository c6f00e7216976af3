"""Makes the pictures of a prepared sweep and keeps them, as a generator of events. Knows nothing about who watches.

A run folder is the truth: a cell is done when its PNG holds the hash that its sidecar names. So running again is
resuming, after any end. Closing the generator stops at once; what was made is kept. The layout of the folder is
README's "What you get".
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pipelines import metadata
from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.errors import DiskFullError, SidelightError
from pipelines.events import Event, Failed, Made, Shrunk
from pipelines.files import DISK, Files, disk_faults, put, release_reserve
from pipelines.metadata import Embedded
from pipelines.recipe import Recipe
from pipelines.store import Circumstances, Facts, Saved, Sidecar, Store
from sweeps import journal, marks, measure, power, report, votes
from sweeps.findings import Findings
from sweeps.finished import finished
from sweeps.journal import (
    CellFailed,
    CellStarted,
    Journal,
    PictureDone,
    RunCancelled,
    RunFinished,
    RunPaused,
    RunStarted,
    Warned,
)
from sweeps.lock import Lock, share_warning
from sweeps.measure import CellMeasures
from sweeps.overview import grid_of
from sweeps.plan import Phase
from sweeps.prepare import NUMERICS, PLAN, SWEEP, Prepared, RunNumerics, self_contained
from sweeps.sweep import to_toml

ROOM_BYTES = 256_000_000
"""Free room that a run wants beside what its pictures are estimated to take."""
BYTES_A_PIXEL = 2.0  # of a PNG: portraits came out at 1.2 to 1.9
WRITING = 4  # pictures that may wait for the disk before the engine has to


class EngineLike(Protocol):
    """What makes pictures: the real engine, or a small one in tests."""

    numerics: Numerics

    def run(self, lanes: Sequence[Sequence[Recipe]]) -> Iterator[Event]:
        """Make every recipe's picture; each ends in `Made` or `Failed`."""


OpenEngine = Callable[[Checkpoint, Numerics, Store], EngineLike]


class Measuring(AbstractContextManager[object], Protocol):
    """What measures pictures while others are made: `sweeps.measure.Alongside`. Leaving it ends it at once."""

    def add(self, key: str) -> None:
        """Measure this picture, which is on the disk, when its turn comes."""

    def done(self) -> Iterator[CellMeasures]:
        """What is ready now."""

    def rest(self) -> Iterator[CellMeasures]:
        """All that was added, waiting for each."""


@dataclass(frozen=True)
class Started:
    """The run is open: cells in all, and those that are whole already."""

    folder: Path
    cells: int
    done: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """A picture is on the disk, whole."""

    key: str
    path: Path
    seconds: float


@dataclass(frozen=True)
class Measured:
    """A picture was measured, some time after it was kept."""

    key: str
    measures: CellMeasures


@dataclass(frozen=True)
class Finished:
    """Nothing is left to do: `made` and `failed` count this run's pictures, `report` and `sheet` show them all."""

    made: int
    failed: int
    report: Path
    sheet: Path


Happening = Event | Started | Kept | Measured | Finished


def run(
    prepared: Prepared,
    *,
    open_engine: OpenEngine,
    files: Files = DISK,
    retry_failed: bool = True,
    measuring: Measuring | None = None,
) -> Generator[Happening, None, None]:
    """Make what is missing. Raises BusyError if another process holds the folder, DiskFullError when paused,
    DiskError where the folder cannot be written.

    Report and contact sheet are drawn anew whenever it ends, however it ends. With `measuring` every whole picture that
    lacks its measures gets them; only a run that comes to its end waits for them.
    """
    folder = prepared.folder
    with ExitStack() as held:
        with disk_faults(folder, needed=0, files=files):
            files.mkdir(folder)
            held.enter_context(Lock(folder / ".lock", f"run {folder}"))
            book = held.enter_context(Journal(folder, files))
        if measuring:
            held.enter_context(measuring)
        session = _Session(prepared, Store(folder, files), book, files=files, measuring=measuring)
        try:
            yield from session.work(open_engine, retry_failed)
        except (GeneratorExit, KeyboardInterrupt):
            book.append(RunCancelled())
            session.draw()
            raise
        except SidelightError as error:
            with suppress(SidelightError):  # a full disk takes the reserve's last line, perhaps no picture
                book.append(RunPaused(reason=str(error)))
                session.draw()
            raise
        yield session.finish()


class _Session:
    """One process's work on a run, under its lock."""

    def __init__(
        self, prepared: Prepared, store: Store, book: Journal, *, files: Files, measuring: Measuring | None
    ) -> None:
        self._prepared, self._store, self._book, self._files = prepared, store, book, files
        self._measuring = measuring
        self._numerics = prepared.numerics
        self._lanes = {entry.key: entry.lane for entry in prepared.plan.entries}
        self._cells = {cell.recipe.key: cell for cell in prepared.cells.cells}
        self._made, self._failed = 0, dict[str, str]()

    def work(self, open_engine: OpenEngine, retry_failed: bool) -> Iterator[Happening]:
        prepared = self._prepared
        warnings = [f"picture {key} was damaged and is set aside; it is made again" for key in self._store.repair()]
        warnings += filter(None, [share_warning(prepared.folder)])
        self._write_plan()
        whole = prepared.keys.intersection(self._store.keys())
        todo = prepared.keys - whole
        if not retry_failed:
            self._failed = {key: why for key, why in failures(self._book.story.lines).items() if key in todo}
            todo -= self._failed.keys()
        _check_room(prepared, todo, self._files)
        self._book.append(RunStarted(cells=len(todo)))
        for warning in warnings:
            self._book.append(Warned(text=warning))
        yield Started(prepared.folder, len(prepared.keys), len(whole), tuple(warnings))
        if self._measuring:
            for key in whole.intersection(measure.missing(prepared.folder, self._files)):
                self._measuring.add(key)
        device = self._numerics.now.device
        if todo:
            with power.counted(self._book.append, "making", device=device, meter=power.meter_of(device)):
                yield from self._phases(todo, open_engine)
        if self._measuring:
            with power.counted(self._book.append, "measuring", device="cpu"):
                yield from self._measured(is_over=True)

    def finish(self) -> Finished:
        self._book.append(RunFinished(made=self._made, failed=len(self._failed)))
        paths = self.draw()
        release_reserve(self._prepared.folder, self._files)
        return Finished(self._made, len(self._failed), paths[0], paths[1])

    def draw(self) -> tuple[Path, ...]:
        """Report and contact sheet of what is on the disk now, and what was found where pictures were measured."""
        store = self._store
        done = {key: store.sidecar(key) for key in self._prepared.keys.intersection(store.keys())}
        folder, files = self._prepared.folder, self._files
        grid = grid_of(self._prepared, done, self._failed, marks.read(folder, files))
        return report.write(grid, folder, files, findings=self._findings())

    def _findings(self) -> Findings | None:
        folder, files = self._prepared.folder, self._files
        if not measure.read(folder, files):
            return None
        from sweeps import compare  # reads scipy

        return compare.of_run(folder, files, votes=votes.answered(folder, files))

    def _write_plan(self) -> None:
        prepared = self._prepared
        prepared.images.keep(prepared.folder, self._files)
        put({prepared.folder / SWEEP: to_toml(self_contained(prepared.sweep, prepared.images)).encode()}, self._files)
        put({prepared.folder / PLAN: "".join(f"{line}\n" for line in prepared.plan.to_lines()).encode()}, self._files)
        self._write_numerics()

    def _write_numerics(self) -> None:
        text = json.dumps(self._numerics.model_dump(mode="json"), indent=1)
        put({self._prepared.folder / NUMERICS: text.encode()}, self._files)

    def _checkpoint(self, phase: Phase) -> Checkpoint:
        key = next(key for lane in phase.lanes for key in lane)
        return self._prepared.checkpoints[self._prepared.recipes[key].checkpoint.identity]

    def _phases(self, todo: frozenset[str], open_engine: OpenEngine) -> Iterator[Happening]:
        deaths = journal.deaths(self._book.story.lines)
        engine, opened = None, ""
        for phase in self._prepared.plan.only(todo).phases:
            if engine is None or phase.checkpoint != opened:
                opened = phase.checkpoint
                engine = open_engine(self._checkpoint(phase), self._numerics.now, self._store)
            yield from self._phase(phase, engine, deaths)

    def _phase(self, phase: Phase, engine: EngineLike, deaths: Counter[str]) -> Iterator[Happening]:
        """Run one phase's lanes; a cell that the process died in twice goes last, which changes no bytes."""
        recipes = self._prepared.recipes
        lanes = [[recipes[key] for key in sorted(lane, key=lambda key: deaths[key] > 1)] for lane in phase.lanes]
        begun: set[str] = set()
        with _Writer() as writer, closing(engine.run(lanes)) as events:  # type: ignore[type-var]  # a generator
            for event in events:
                if (key := getattr(event, "key", "")) and key not in begun:
                    begun.add(key)
                    self._book.append(CellStarted(key=key, lane=self._lane(key)))
                match event:
                    case Made():
                        writer.write(self._keep, event, recipes[event.key])
                    case Failed(key, reason):
                        self._failed[key] = reason
                        self._book.append(CellFailed(key=key, reason=reason))
                        yield event
                    case Shrunk(numerics, reason):
                        self._numerics = RunNumerics(planned=self._numerics.planned, now=numerics)
                        self._write_numerics()
                        self._book.append(Warned(text=f"{numerics.reasons[-1][1]} ({reason})"))
                        yield event
                    case _:
                        yield event
                yield from self._kept(writer.written())
                yield from self._measured(is_over=False)
            yield from self._kept(writer.rest())

    def _kept(self, written: Iterator[tuple[Sidecar, float]]) -> Iterator[Kept]:
        for sidecar, seconds in written:
            self._made += 1
            self._book.append(PictureDone(key=sidecar.key, lane=sidecar.lane, seconds=round(seconds, 3)))
            if self._measuring:
                self._measuring.add(sidecar.key)
            yield Kept(sidecar.key, self._store.path(sidecar.key), seconds)

    def _measured(self, *, is_over: bool) -> Iterator[Measured]:
        """What is measured by now; when nothing else is left to do, all of it."""
        if self._measuring:
            for measures in self._measuring.rest() if is_over else self._measuring.done():
                yield Measured(measures.key, measures)

    def _keep(self, made: Made, recipe: Recipe) -> tuple[Sidecar, float]:
        """On the writer's thread: finish, encode and commit one picture."""
        cell = self._cells[made.key]
        picture = finished(made, recipe, self._store)
        facts = Facts(
            first_timestep=made.first_timestep,
            first_sigma=made.first_sigma,
            evaluations=made.evaluations,
            warnings=(*cell.warnings, *made.warnings),
            light=cell.light,
            content=picture.content,
            proof=picture.proof,
            pull=picture.pull,
        )
        circumstances = Circumstances(
            seconds={"made": round(made.seconds, 3)}, device=made.numerics.device, date=journal.utc_now()
        )
        embedded = Embedded(recipe=recipe, numerics=made.numerics, lane=made.lane)
        caption = metadata.caption(recipe, cell.light)
        sidecar = self._store.save(Saved(picture.png, embedded, facts, circumstances, caption))
        return sidecar, made.seconds

    def _lane(self, key: str) -> int:
        return self._lanes[key] % self._numerics.now.lanes


class _Writer:
    """Writes pictures on another thread while the device goes on; the disk's errors come out of `written`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        self._waiting: list[Future[Any]] = []

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True)

    def write(self, work: Callable[..., Any], *args: Any) -> None:
        """Queue one piece of work; waits while WRITING pieces are queued already."""
        if len(self._waiting) >= WRITING:
            self._waiting[0].exception()  # only waits; `written` raises it
        self._waiting.append(self._pool.submit(work, *args))

    def written(self) -> Iterator[Any]:
        """Results that are ready, in order; raises what the work raised."""
        while self._waiting and self._waiting[0].done():
            yield self._waiting.pop(0).result()

    def rest(self) -> Iterator[Any]:
        """All results, waiting for each."""
        while self._waiting:
            yield self._waiting.pop(0).result()


def failures(lines: Sequence[journal.Line]) -> dict[str, str]:
    """Key -> reason of the cells that failed last time they were tried."""
    failed: dict[str, str] = {}
    for line in lines:
        match line:
            case CellFailed():
                failed[line.key] = line.reason
            case PictureDone():
                failed.pop(line.key, None)
            case _:
                pass
    return failed


def _check_room(prepared: Prepared, todo: frozenset[str], files: Files) -> None:
    recipes = prepared.recipes
    need = sum(math.prod(recipes[key].size) for key in todo) * BYTES_A_PIXEL + (ROOM_BYTES if todo else 0)
    free = files.free_bytes(prepared.folder)
    if free < need:
        raise DiskFullError(
            f"{prepared.folder} has {free / 1e6:.0f} MB free, {need / 1e6:.0f} MB are needed for {len(todo)} pictures; "
            "free space or give another folder with --out"
        )
