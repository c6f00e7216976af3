"""How far a run is, in cells, in work and in words. Knows nothing about queues or workers."""

from pipelines.events import Failed
from pipelines.store import Store
from sweeps.prepare import Prepared
from sweeps.run import Finished, Happening, Kept, Started
from sweeps.speed import Stopwatch, cost


class Standing:
    """Follows a run; `speed` is the stopwatch that runs beside it."""

    def __init__(self, prepared: Prepared, speed: Stopwatch) -> None:
        self._prepared, self._speed = prepared, speed
        self._work = {entry.key: entry.row_evaluations for entry in prepared.plan.entries}
        self._left: set[str] = set()
        self._estimate: float | None = None
        self._reason = ""
        self.cells, self.done, self.failed = len(prepared.keys), 0, 0

    def follow(self, happening: Happening) -> None:
        """Count what has happened."""
        self._speed.follow(happening)
        match happening:
            case Started():
                self.count()
                self._estimate = cost(self._prepared, self._prepared.plan.only(frozenset(self._left))).seconds
            case Kept(key, _, _):
                self._left.discard(key)
                self.done += 1
            case Failed(key, reason):
                self._left.discard(key)
                self.failed, self._reason = self.failed + 1, reason
            case Finished(_, failed, _, _):
                self.failed = failed
            case _:
                pass

    def count(self) -> None:
        """Look at the disk, which is the truth."""
        whole = self._prepared.keys.intersection(Store(self._prepared.folder).keys())
        self._left = set(self._prepared.keys - whole)
        self.done = len(whole)

    def seconds_left(self) -> float | None:
        """By this run's own speed, before its first picture by that of earlier ones; None where there are none."""
        if not self._speed.rows:
            return self._estimate
        return sum(self._work[key] for key in self._left) * self._speed.seconds / self._speed.rows

    def worst(self) -> str:
        """What went wrong in cells, as a sentence; empty if nothing did."""
        if not self.failed:
            return ""
        reason = f"; the last one: {self._reason}" if self._reason else ""
        return f"{self.failed} of {self.cells} cells failed{reason}"
