"""Measures of a run's pictures, one small file each in its folder, made beside the run or when asked for.

Derived: they can be thrown away and made again, and a run without them is as good. Knows nothing about pixels, which
are looked at in processes of their own (`sweeps.measure_look`), nor about what the figures say together.
"""

import functools
import hashlib
import json
import os
import queue
import struct
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

import pipelines
from pipelines.errors import BusyError, InputError
from pipelines.files import DISK, Files, put
from pipelines.frozen import Frozen
from pipelines.skin_measures import MEASURES, WHERE
from sweeps.lock import waited_for
from sweeps.measure_process import Gone, Process

FOLDER = "measures"
LOCK = ".measures.lock"
LOOK = "sweeps.measure_look"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
REVISION = 1
"""To be raised when the figures change though no formula, as it is worded, does."""
LEAST_SIDE = 64
"""Pixels of a picture's shorter side; in smaller ones the eyes of a whole face are less than 30 px apart, too near for
any figure."""
MOST_PROCESSES = 16
"""90 MB each."""
WORTH_A_PROCESS = 4
"""Pictures for which it pays to start another one: it takes as long to begin as three portraits take."""


class CellMeasures(Frozen):
    """The measures of one picture: of its largest face, or the reasons why there are none.

    `sha256` is that of the PNG they were taken from, `edition` says by which formulas and models. `face` counts from
    the left, `eye_distance` is in pixels; both are None without a face. `values` are named as in `MEASURES`, in their
    units; where one is None `why` has its reason. `flat` is one line where the light itself is flat or frontal.
    """

    key: str
    sha256: str
    edition: str
    face: int | None
    faces: int
    eye_distance: float | None
    values: tuple[tuple[str, float | None], ...]
    why: tuple[tuple[str, str], ...] = ()
    verdicts: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    flat: str = ""

    def value(self, name: str) -> float | None:
        """A measure's number; KeyError for a name that is none of `MEASURES`."""
        return dict(self.values)[name]


@dataclass(frozen=True)
class Done:
    """A picture was measured, and its measures are kept."""

    key: str
    measures: CellMeasures


@dataclass(frozen=True)
class Missed:
    """A picture could not be measured, and why."""

    key: str
    reason: str


@functools.cache
def edition() -> str:
    """Eight hex digits for the measures' names and formulas and the bytes of the face models.

    Figures of another edition are never set beside ours.
    """
    parts = [str(REVISION), WHERE, *(text for each in MEASURES for text in (each.name, each.unit, each.formula))]
    models = (Path(pipelines.__file__).parent / "face_models").glob("*.tflite")
    parts += [hashlib.sha256(model.read_bytes()).hexdigest() for model in sorted(models)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


def read(run: Path, files: Files = DISK) -> Mapping[str, CellMeasures]:
    """The current measures of a run folder by key: of the picture as it is now, by our formulas.

    A damaged file counts as missing. Opens no picture: 0.1 ms each.
    """
    names = files.names(run / FOLDER)
    found = (of(run, name.removesuffix(".json"), files) for name in names if name.endswith(".json"))
    return MappingProxyType({each.key: each for each in found if each})


def of(run: Path, key: str, files: Files = DISK) -> CellMeasures | None:
    """The current measures of one picture, None if there are none."""
    try:
        measures = CellMeasures.read(json.loads(files.read(_path(run, key))))
    except (OSError, ValueError, TypeError, RecursionError, InputError):
        return None
    is_ours = measures.key == key and measures.edition == edition()
    return measures if is_ours and _committed(run, key, files) == measures.sha256 else None


def pictures(run: Path, files: Files = DISK) -> tuple[str, ...]:
    """Keys of the run's pictures, in alphabetical order."""
    names = files.names(run / "pictures")
    return tuple(name.removesuffix(".json") for name in names if name.endswith(".json"))


def missing(run: Path, files: Files = DISK) -> tuple[str, ...]:
    """Keys of the pictures without current measures, in alphabetical order."""
    measured = read(run, files)
    return tuple(key for key in pictures(run, files) if key not in measured)


def measure_run(run: Path, *, workers: int | None = None, again: bool = False) -> Generator[Done | Missed, None, None]:
    """Measure what is missing, or with `again` every picture, in `workers` processes (as many as pay if None).

    Closing the generator ends them at once; what was measured is kept. Raises DiskFullError, DiskError.
    """
    keys = pictures(run) if again else missing(run)
    with _Pool(run, DISK, again=again) as pool:
        for key in keys:
            pool.add(key)
        pool.grow(workers or _worth(len(keys)))
        yield from pool.rest()


class Alongside:
    """Measures a run's pictures while it goes on, in one process of low priority that the first `add` starts.

    A picture that could not be measured is left out; `measure_run` says why. Leaving the `with` ends it at once.
    """

    def __init__(self, run: Path, files: Files = DISK) -> None:
        self._pool = _Pool(run, files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    def add(self, key: str) -> None:
        """Measure this picture, which is whole, when its turn comes."""
        self._pool.add(key)
        self._pool.grow(1)

    def done(self) -> Iterator[CellMeasures]:
        """What is ready now; raises DiskFullError or DiskError if the disk did not take it."""
        return _measured(self._pool.ready())

    def rest(self) -> Iterator[CellMeasures]:
        """All that was added, waiting for each, with as many processes as pay: the engine needs them no more.

        The processes have ended then, and count among what this one spent (`sweeps.power`); nothing is added any more.
        """
        self._pool.grow(_worth(self._pool.waiting))
        yield from _measured(self._pool.rest())
        self._pool.close()


def _measured(done: Iterable[Done | Missed]) -> Iterator[CellMeasures]:
    return (each.measures for each in done if isinstance(each, Done))


def _worth(count: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, MOST_PROCESSES, count // WORTH_A_PROCESS))


class _Pool:
    """Threads that each hold one process; they write what it answers and hand it on."""

    def __init__(self, run: Path, files: Files, *, again: bool = False) -> None:
        self._run, self._files, self._again = run.absolute(), files, again
        self._wanted: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[Done | Missed | BaseException] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._processes: list[Process] = []
        self._is_over = False
        self.waiting = 0
        """Pictures that were added and not handed out."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, key: str) -> None:
        self.waiting += 1
        self._wanted.put(key)

    def grow(self, processes: int) -> None:
        """See that there are so many, if there is anything to do."""
        while self.waiting and len(self._threads) < processes:
            process = Process(LOOK)
            thread = threading.Thread(target=self._work, args=(process,), name="measuring", daemon=True)
            self._processes.append(process)
            self._threads.append(thread)
            thread.start()

    def ready(self) -> Iterator[Done | Missed]:
        while not self._ready.empty():
            yield self._next()

    def rest(self) -> Iterator[Done | Missed]:
        while self.waiting:
            yield self._next()

    def close(self) -> None:
        """End the processes and wait until the last file that is being written is whole."""
        self._is_over = True
        for process in self._processes:
            process.kill()
            self._wanted.put(None)
        for thread in self._threads:
            thread.join()

    def _next(self) -> Done | Missed:
        one = self._ready.get()
        self.waiting -= 1
        if isinstance(one, BaseException):
            raise one
        return one

    def _work(self, process: Process) -> None:
        """On a thread: whatever goes wrong there comes out where the results are taken."""
        try:
            while (key := self._wanted.get()) is not None and not self._is_over:
                try:
                    self._ready.put(self._looked_at(process, key))
                except BaseException as error:  # noqa: BLE001  # raised again by `_next`
                    self._ready.put(error)
        finally:
            process.close()

    def _looked_at(self, process: Process, key: str) -> Done | Missed:
        if not self._again and (measures := of(self._run, key, self._files)):
            return Done(key, measures)  # another process was faster
        measures = self._unseen(key)
        if measures is None:
            try:
                answer = json.loads(process.ask(json.dumps([str(self._run), key])))
            except Gone as error:
                return Missed(key, f"{error}; `sidelight measure {self._run}` tries again")
            if "reason" in answer:
                return Missed(key, answer["reason"])
            measures = CellMeasures.read(answer["measures"])
        try:
            _keep(self._run, measures, self._files)
        except BusyError as error:
            return Missed(key, str(error))
        return Done(key, measures)

    def _unseen(self, key: str) -> CellMeasures | None:
        """Measures of a picture that is too small for any, without starting a process for it; None for others."""
        with suppress(OSError):
            png = self._files.read(self._run / "pictures" / f"{key}.png")
            sha256 = hashlib.sha256(png).hexdigest()
            side = min(struct.unpack(">II", png[16:24])) if png.startswith(PNG) else LEAST_SIDE
            if side < LEAST_SIDE and sha256 == _committed(self._run, key, self._files):
                return _none(
                    key, sha256, f"the picture is {side} px high or wide; a face is looked for from {LEAST_SIDE}"
                )
        return None


def _none(key: str, sha256: str, why: str) -> CellMeasures:
    return CellMeasures(
        key=key,
        sha256=sha256,
        edition=edition(),
        face=None,
        faces=0,
        eye_distance=None,
        values=tuple((each.name, None) for each in MEASURES),
        why=tuple((each.name, why) for each in MEASURES),
    )


def _committed(run: Path, key: str, files: Files) -> str | None:
    """The hash of the PNG that the sidecar names; None if it names none. Nothing else of the sidecar matters here."""
    try:
        return str(json.loads(files.read(run / "pictures" / f"{key}.json"))["png_sha256"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _path(run: Path, key: str) -> Path:
    return run / FOLDER / f"{key}.json"


def _keep(run: Path, measures: CellMeasures, files: Files) -> None:
    """Write one file, alone: two that measure one run at once must not write into one `.part`."""
    with waited_for(run / LOCK, f"the measures of {run}", files):
        put({_path(run, measures.key): measures.model_dump_json().encode() + b"\n"}, files)
