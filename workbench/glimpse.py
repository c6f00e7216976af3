"""What a run looks like while it is made: steps and a rough picture. Knows nothing about engines or pages.

`live.json` and `preview.png` in the run folder appear whole but are not synced: they are for whoever looks now, never
part of the run, and go when it ends. A SIGKILL leaves them, so believe them only while a living worker has the job.
"""

import contextlib
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from PIL import Image

from pipelines.events import Encoding, Failed, Loading, Preview, Shrunk, Stepped, Ticked
from pipelines.files import PART
from pipelines.frozen import Frozen
from sweeps.journal import utc_now
from sweeps.run import Happening, Kept, Started

LIVE, PREVIEW = "live.json", "preview.png"
EVERY_SECONDS = 0.5


class Step(Frozen):
    """A live cell has taken step `step` of `steps`."""

    step: int
    steps: int


class Shown(Frozen):
    """Whose rough picture lies in `preview.png`, after which step."""

    key: str
    step: int


class Live(Frozen):
    """`live.json`: cells that are being made, by key; `doing` is what goes on before the first step, in words.

    `at` is a UTC label.
    """

    cells: dict[str, Step]
    preview: Shown | None
    doing: str
    at: str


class NowAndThen:
    """Called, it says whether the last time that it said so is long enough ago."""

    def __init__(self, seconds: float = EVERY_SECONDS, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._last = float("-inf")

    def __call__(self) -> bool:
        now = self._clock()
        is_due = now - self._last >= self._seconds
        if is_due:
            self._last = now
        return is_due


class Glimpse:
    """Follows a run and writes both files, now and then; after the `with` block they are gone."""

    def __init__(self, folder: Path, *, is_due: Callable[[], bool] | None = None) -> None:
        self._folder, self._is_due = folder, is_due or NowAndThen()
        self._cells: dict[str, Step] = {}
        self._next: Preview | None = None
        self._shown: Shown | None = None
        self._doing = ""
        self._is_ours = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            self._remove()

    def follow(self, happening: Happening) -> None:
        """Note what has happened, and write it after a tick, when a cell ends, and before something that takes long."""
        match happening:
            case Started():
                self._is_ours = True  # the run's lock is held
                self._remove()
            case Loading(component, _, _):
                self._doing = f"loading {component}"
            case Encoding(done, of):
                self._doing = f"reading prompts, {done} of {of}"
            case Stepped(key, step, steps):
                self._cells[key], self._doing = Step(step=step, steps=steps), ""
            case Preview():
                self._next = happening
            case Kept(key, _, _) | Failed(key, _):
                self._forget(key)
            case Shrunk():
                for key in list(self._cells):
                    self._forget(key)
            case _:
                pass
        is_rare = isinstance(happening, Loading | Encoding)
        if is_rare or (isinstance(happening, Ticked | Kept | Failed) and self._is_due()):
            self._write()

    def _forget(self, key: str) -> None:
        self._cells.pop(key, None)
        if self._next and self._next.key == key:
            self._next = None
        if self._shown and self._shown.key == key:
            self._shown = None

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a full disk ends the run by its pictures, never by what is shown of them
            if self._next:
                self._put(PREVIEW, _png(self._next))
                self._shown, self._next = Shown(key=self._next.key, step=self._next.step), None
            live = Live(cells=self._cells, preview=self._shown, doing=self._doing, at=utc_now())
            self._put(LIVE, live.model_dump_json().encode())

    def _put(self, name: str, data: bytes) -> None:
        part = self._folder / f"{name}{PART}"
        part.write_bytes(data)
        os.replace(part, self._folder / name)

    def _remove(self) -> None:
        for name in (LIVE, PREVIEW, f"{LIVE}{PART}", f"{PREVIEW}{PART}"):
            with contextlib.suppress(OSError):  # nothing there, or a folder that went away: nobody is shown it then
                (self._folder / name).unlink()


def _png(preview: Preview) -> bytes:
    file = io.BytesIO()
    Image.fromarray(preview.pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
