"""Keeps the last engine for the next job, so that weights are not loaded for each. Knows nothing about torch or queues.

It goes where it could make a difference to a fresh one: for other weights or numerics, after LoRAs that the next run
does not name, after a failed cell, a shortage of memory or an escaped error. Where memory runs out beside what it holds
from earlier jobs, a fresh engine is tried before the run's numerics become smaller.
"""

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.errors import BusyError
from pipelines.events import Event, Failed, Made, Shrunk
from pipelines.recipe import Recipe
from pipelines.room import Kind, Room, room
from pipelines.store import Store
from sweeps.run import EngineLike

Lanes = Sequence[Sequence[Recipe]]
Opens = Callable[[Checkpoint, Numerics, Callable[[], Store]], EngineLike]
"""Opens an engine that asks, whenever it needs an input, for the store of the run whose turn it is."""


@dataclass
class _Kept:
    """An engine, whose weights it holds, and the files of the LoRAs that were loaded into them."""

    engine: EngineLike
    identity: str
    loras: set[str] = field(default_factory=set)
    is_sound: bool = True


class Warm:
    """The one engine of a worker, lent to one run at a time.

    `free` gives back what nothing refers to any more; `held` tells the bytes that this process holds on a device.
    """

    def __init__(
        self,
        open_engine: Opens,
        *,
        free: Callable[[], object] = gc.collect,
        held: Callable[[Kind], int] = lambda _: 0,
        look: Callable[[Kind], Room] = room,
    ) -> None:
        self._open, self._free, self._held, self._look = open_engine, free, held, look
        self._kept: _Kept | None = None
        self._store: Store | None = None

    def lend(self, checkpoint: Checkpoint, numerics: Numerics, store: Store) -> "Lent":
        """The engine for a run; it is opened, or found fit to be used again, when the run makes its first picture."""
        return Lent(self, checkpoint, numerics, store)

    def cool(self) -> None:
        """Let go of the engine."""
        self._kept = None
        self._free()

    def cooling(
        self, lock: Callable[[Numerics], AbstractContextManager[object]]
    ) -> Callable[[Numerics], AbstractContextManager[None]]:
        """The lock on a device; where another process has it, the engine goes and leaves its room to that one."""

        @contextmanager
        def locked(numerics: Numerics) -> Iterator[None]:
            with ExitStack() as held:
                try:
                    held.enter_context(lock(numerics))
                except BusyError:
                    self.cool()
                    raise
                yield

        return locked

    def look(self, kind: Kind) -> Room:
        """What would be free if no engine were kept: a run's numerics are those it would get from a fresh worker.

        What an engine keeps in main memory (with an offload) cannot be told from the disk's cache, so it goes first.
        """
        if self._kept and self._kept.engine.numerics.offload != "none":
            self.cool()
        told = self._look(kind)
        return replace(told, device=told.device + self._held(kind)) if self._kept else told

    def ready(self, checkpoint: Checkpoint, numerics: Numerics, store: Store, *, loras: set[str]) -> bool:
        """Have an engine for this run; whether it is one that was used before."""
        kept, self._store = self._kept, store
        is_fit = (
            kept is not None
            and kept.is_sound
            and kept.identity == checkpoint.weights.identity
            and kept.engine.numerics.digest == numerics.digest
            and kept.loras <= loras
        )
        if kept and is_fit:
            kept.engine.numerics = numerics  # equal, but the reasons that pictures carry may be others
            return True
        if kept:
            del kept
            self.cool()
        self._kept = _Kept(self._open(checkpoint, numerics, self._turn), checkpoint.weights.identity)
        return False

    def events(self, lanes: Lanes, *, loras: set[str]) -> Generator[Event, None, None]:
        """What the engine tells; it stays if this is closed, which happens between two steps."""
        assert self._kept, "an engine that is not ready"
        self._kept.loras |= loras
        try:
            with closing(self._kept.engine.run(lanes)) as events:  # type: ignore[type-var]  # a generator
                for event in events:
                    if isinstance(event, Failed | Shrunk):  # which may be remembered, the device's fault, or half done
                        self._kept.is_sound = False
                    yield event
        except GeneratorExit:
            raise
        except BaseException:
            self.cool()
            raise

    def _turn(self) -> Store:
        assert self._store, "no run has had its turn"
        return self._store


class Lent:
    """A worker's engine in the hands of one run."""

    def __init__(self, warm: Warm, checkpoint: Checkpoint, numerics: Numerics, store: Store) -> None:
        self._warm, self._checkpoint, self._store = warm, checkpoint, store
        self.numerics = numerics
        self._is_ready = self._is_used = False

    def run(self, lanes: Lanes) -> Generator[Event, None, None]:
        """Make every recipe's picture; each ends in `Made` or `Failed`."""
        left = {recipe.key for lane in lanes for recipe in lane}
        loras = {lora.file for lane in lanes for recipe in lane for lora in recipe.loras}
        if not self._is_ready:
            self._is_used = self._warm.ready(self._checkpoint, self.numerics, self._store, loras=loras)
            self._is_ready = True
        is_short = False
        with closing(self._warm.events(lanes, loras=loras)) as events:
            for event in events:
                is_short = self._is_used and isinstance(event, Shrunk)
                if is_short:
                    break
                if isinstance(event, Made | Failed):
                    left.discard(event.key)
                yield event
        if is_short:
            self._warm.cool()
            self._is_ready = False
            yield from self.run([[recipe for recipe in lane if recipe.key in left] for lane in lanes])
