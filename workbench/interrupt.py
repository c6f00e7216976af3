"""Ctrl-C, once and twice. Knows nothing about what is interrupted."""

import os
import signal
import sys
from types import FrameType
from typing import Any, Self


class Interrupt:
    """Within `with`: the first Ctrl-C (or SIGTERM) sets `asked`, the second ends the process at once.

    What is on the disk is whole at any moment, so ending at once tears nothing. With `at_once` set (weights are being
    read) the first one raises KeyboardInterrupt where it is.
    """

    def __init__(self) -> None:
        self.asked = False
        self.at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(130)
        self.asked = True
        print("\nstopping after this step; once more to stop at once", file=sys.stderr, flush=True)  # noqa: T201
        if self.at_once:
            raise KeyboardInterrupt
