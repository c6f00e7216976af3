"""How long the machine has slept, told by two of its clocks. Knows nothing about who asks, or about wall time.

Linux: CLOCK_BOOTTIME goes on in a suspend, CLOCK_MONOTONIC stands still. macOS: CLOCK_MONOTONIC goes on,
CLOCK_UPTIME_RAW stands still. Neither is moved by whoever sets the date.
"""

import sys
import time
from collections.abc import Callable


def seconds_slept(read: Callable[[str], float] | None = None, *, system: str = sys.platform) -> float:
    """Seconds spent asleep since the machine was started; `read` gives a clock's seconds by its name."""
    going_on, standing_still = (
        ("CLOCK_MONOTONIC", "CLOCK_UPTIME_RAW") if system == "darwin" else ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC")
    )
    read = read or _read
    return read(going_on) - read(standing_still)


def _read(name: str) -> float:
    return time.clock_gettime(getattr(time, name))
