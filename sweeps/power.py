"""What a phase of a run took: wall and CPU seconds, and the device's joules where it tells them. A line in the journal.

Knows nothing about pictures. NVML is asked through `nvidia-ml-py` where that is installed; `torch.cuda.power_draw` asks
the same library, but tells watts alone and needs torch. Joules are those of the whole board, others' work included.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, Self

from pipelines.errors import SidelightError
from sweeps.journal import Spent

EVERY_SECONDS = 1.0
"""Between two looks at the watts; NVML itself renews them about ten times a second."""


@dataclass(frozen=True)
class Reading:
    """What a device tells at one moment: joules counted since some moment of its own, watts now. None: not told."""

    joules: float | None = None
    watts: float | None = None


class Meter(Protocol):
    """Asks one device; must not raise."""

    def read(self) -> Reading:
        """What it tells now."""


class Power:
    """Counts from entering to leaving: a counter of the device's own where there is one, else its watts over time.

    `wait` is the pause between two looks, given the thread's event; it returns True when counting is over.
    """

    def __init__(
        self,
        meter: Meter | None,
        *,
        now: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event], bool] = lambda over: over.wait(EVERY_SECONDS),
    ) -> None:
        self._meter, self._now, self._wait = meter, now, wait
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._summed: float | None = None
        self.seconds, self.cpu_seconds = 0.0, 0.0
        self.joules: float | None = None

    def __enter__(self) -> Self:
        self._began, self._cpu = self._now(), _cpu_seconds()
        self._first = self._last = self._meter.read() if self._meter else Reading()
        self._at = self._began
        if self._meter and self._first.joules is None and self._first.watts is not None:
            self._summed = 0.0
            self._thread = threading.Thread(target=self._watch, name="power", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
        if self._meter:
            self._look()
        counted = self._first.joules, self._last.joules
        self.joules = self._summed if None in counted else counted[1] - counted[0]  # type: ignore[operator]
        if self.joules is not None and self.joules < 0:  # the driver was loaded anew on the way: its counter too
            self.joules = None
        self.seconds, self.cpu_seconds = self._now() - self._began, _cpu_seconds() - self._cpu

    def _watch(self) -> None:
        while not self._wait(self._over):
            self._look()

    def _look(self) -> None:
        """Add the mean of two looks, times what lies between them; a look that tells nothing ends the sum."""
        assert self._meter is not None, "only looked at with a meter"
        reading, at = self._meter.read(), self._now()
        if self._summed is not None and self._last.watts is not None and reading.watts is not None:
            self._summed += (self._last.watts + reading.watts) / 2 * (at - self._at)
        else:
            self._summed = None
        self._last, self._at = reading, at


@contextmanager
def counted(append: Callable[[Spent], None], phase: str, *, device: str, meter: Meter | None = None) -> Iterator[None]:
    """Tell the journal what the block took, also when it is cancelled.

    Not when it is paused by an error: on a full disk the last room is for saying why.
    """
    is_told = True
    power = Power(meter)
    try:
        with power:
            yield
    except SidelightError:
        is_told = False
        raise
    finally:
        if is_told:
            joules = None if power.joules is None else round(power.joules, 1)
            seconds, cpu_seconds = round(power.seconds, 1), round(power.cpu_seconds, 1)
            append(Spent(phase=phase, seconds=seconds, cpu_seconds=cpu_seconds, joules=joules, device=device))


def meter_of(device: str, library: Callable[[], Any] = lambda: import_module("pynvml")) -> Meter | None:
    """The meter of the GPU with this name (as `Numerics.device` has it); None where nothing tells, never an error.

    NVML numbers boards by bus, CUDA by speed: where several have this name, the number in CUDA_VISIBLE_DEVICES decides,
    and where that one has another name no board is guessed.
    """
    if device in ("cpu", "mps"):
        return None
    try:
        nvml = library()
        nvml.nvmlInit()
    except Exception:  # noqa: BLE001  # not installed, no driver, a driver of another age: nvidia-ml-py has no base error
        return None
    with suppress(nvml.NVMLError):
        boards = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
        named = [board for board in boards if _text(nvml.nvmlDeviceGetName(board)) == device]
        asked = _asked(nvml, boards)
        if asked in named or len(named) == 1:
            return _Board(nvml, asked if asked in named else named[0])
    return None


class _Board:
    """One GPU through NVML."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    def read(self) -> Reading:
        """Joules since the driver was loaded (Volta and later), and watts."""
        joules = watts = None
        with suppress(self._nvml.NVMLError):
            joules = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1000
        with suppress(self._nvml.NVMLError):
            watts = self._nvml.nvmlDeviceGetPowerUsage(self._handle) / 1000
        return Reading(joules, watts)


def _asked(nvml: Any, boards: list[Any]) -> Any:
    """The board that CUDA sees first: an index, or a UUID; None where it is neither."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip() or "0"
    if first.isdigit():
        return boards[int(first)] if int(first) < len(boards) else None
    return next((board for board in boards if _text(nvml.nvmlDeviceGetUUID(board)).startswith(first)), None)


def _text(told: str | bytes) -> str:
    return told.decode() if isinstance(told, bytes) else told


def _cpu_seconds() -> float:
    """Of this process and the children that ended: user and system."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
