"""Reads files inside known run folders, and nothing else on the machine. Knows nothing about what is in them.

No name leads out: names with a slash, a dot in front or a sign that steers are no names here, and links are not
followed, neither to a folder nor to a file.
"""

import os
import re
import stat
from pathlib import Path

from sweeps.prepare import SWEEP

_NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f\ud800-\udfff]{1,200}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe without writer would wait for ever


def known(runs: Path, name: str) -> Path | None:
    """The run folder of this name in `runs`; None if there is none."""
    if not _NAME.fullmatch(name):
        return None
    folder = runs / name
    try:
        found = not folder.is_symlink() and (folder / SWEEP).is_file()
    except (OSError, ValueError):  # a name that the file system cannot hold
        return None
    return folder if found else None


def read_inside(folder: Path, *names: str) -> bytes | None:
    """The file at `names` inside a folder: plain names, the last one the file's. None if it is not there or a link."""
    if not all(_NAME.fullmatch(name) for name in names):
        return None
    numbers: list[int] = []
    try:
        numbers.append(os.open(folder, _FOLDER))
        for name in names[:-1]:
            numbers.append(os.open(name, _FOLDER, dir_fd=numbers[-1]))
        numbers.append(os.open(names[-1], _FILE, dir_fd=numbers[-1]))
        return _content(numbers[-1])
    except OSError:
        return None
    finally:
        for number in numbers:
            os.close(number)


def _content(number: int) -> bytes | None:
    if not stat.S_ISREG(os.fstat(number).st_mode):
        return None
    with open(number, "rb", closefd=False) as file:
        return file.read()
