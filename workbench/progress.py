"""What a person sees while a run goes on: cells done, rate, time left, the cell at hand. Knows no engines."""

import sys
import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from pipelines.events import Encoding, Failed, Loading, Shrunk, Stepped
from sweeps.plan import duration
from sweeps.run import Finished, Happening, Kept, Measured, Started

QUIET_SECONDS = 30  # between lines where there is no terminal to draw on


class ProgressLine:
    """One line that follows a run, on stderr; plain lines now and then where stderr is no terminal.

    `work` is the cost of every cell in row evaluations, by key, so that the time left counts long cells as long.
    """

    def __init__(self, work: Mapping[str, int], *, quiet: bool) -> None:
        self._console = Console(file=sys.stderr, quiet=quiet)
        self._work = work
        self._bar = Progress(
            TextColumn("{task.fields[what]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, what="starting", rest="")
        self._began: float | None = None
        self._spoken = time.monotonic()
        self._cells = self._whole = self._done = self._done_work = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def follow(self, happening: Happening) -> None:
        """Show what has happened."""
        match happening:
            case Started(folder, cells, done, warnings):
                self._cells, self._whole = cells, done
                self._console.print(f"{folder}: {cells - done} of {cells} pictures to make", highlight=False)
                for warning in warnings:
                    self._console.print(f"warning: {warning}", highlight=False, markup=False)
                self._bar.update(self._task, total=cells, completed=done)
            case Loading(component, read, of):
                self._say(f"loading {component} ({read / 1e6:.0f} of {of / 1e6:.0f} MB)")
            case Encoding(done, of):
                self._say(f"reading prompts {done} of {of}")
            case Stepped(key, step, steps):
                self._began = self._began or time.monotonic()
                self._say(f"{key} step {step} of {steps}")
            case Kept(key, _, _):
                self._done += 1
                self._done_work += self._work[key]
                self._bar.update(self._task, completed=self._whole + self._done, rest=self._rest())
                self._line_now_and_then()
            case Measured(key) if self._whole + self._done == self._cells:
                self._say(f"{key} measured")
            case Failed(key, reason):
                self._console.print(f"{key} failed: {reason}", highlight=False, markup=False)
            case Shrunk(numerics, _):
                self._console.print(f"{numerics.reasons[-1][1]}; going on", highlight=False)
            case Finished(made, failed, report, sheet):
                self._end(made, failed)
                self._console.print(f"report: {report}\nsheet:  {sheet}", highlight=False, soft_wrap=True)
            case _:
                pass

    def _say(self, what: str) -> None:
        self._bar.update(self._task, what=what)

    def _seconds(self) -> float:
        return time.monotonic() - (self._began or time.monotonic())

    def _rest(self) -> str:
        seconds = max(self._seconds(), 1e-6)
        left = (sum(self._work.values()) - self._done_work) / max(self._done_work, 1) * seconds
        return f"{self._done / seconds * 60:.1f} a minute, about {duration(left)} left"

    def _line_now_and_then(self) -> None:
        if not self._console.is_terminal and time.monotonic() - self._spoken > QUIET_SECONDS:
            self._spoken = time.monotonic()
            self._console.print(
                f"{self._whole + self._done} of {self._cells} pictures, {self._rest()}", highlight=False
            )

    def _end(self, made: int, failed: int) -> None:
        count = f"{made} picture" if made == 1 else f"{made} pictures"
        text = f"made {count} in {duration(self._seconds())}" if made else "nothing to make"
        self._console.print(f"{text}, {failed} failed" if failed else text, highlight=False)
