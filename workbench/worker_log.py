"""The worker's log, for people: what it took up, how it ended, what went wrong. Knows nothing about jobs."""

import logging
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path

from workbench.queue import state_folder

NAME, RAW = "worker.log", "worker-output.txt"
"""The log, and what libraries or a crash print into the void of a process without a terminal."""
LOG_BYTES, LOG_FILES = 1_000_000, 3


class _Shared(RotatingFileHandler):
    """Opens the file for each line, because another process may have rotated it since the last one."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        self.close()


def open_log(folder: Path | None = None, *, is_shown: bool = False) -> logging.Logger:
    """A log that rotates in `folder` (the state folder if left out), with `is_shown` on stderr as well."""
    log = logging.Logger("worker", logging.INFO)
    form = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
    path = (folder or state_folder()) / NAME
    handlers: list[logging.Handler] = [_Shared(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, delay=True)]
    handlers += [logging.StreamHandler()] if is_shown else []
    for handler in handlers:
        handler.setFormatter(form)
        log.addHandler(handler)
    return log


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a text file; nothing if there is none."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", errors="replace") as lines:
        return [line.rstrip("\n") for line in deque(lines, maxlen=count)]
