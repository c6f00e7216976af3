"""What people thought of a run's pictures, one JSON object a line in `marks.jsonl`, append-only, by many writers.

A line says only the fields that changed; for each field the last line that says it wins. Order is line order, `at` is
only a label. Knows nothing about how marks are given or shown.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from pipelines.errors import InputError
from pipelines.files import DISK, Files
from pipelines.frozen import Frozen
from sweeps.journal import Fault, LineFile, json_line, utc_now, whole_lines
from sweeps.lock import waited_for
from sweeps.prepare import PLAN

NAME = "marks.jsonl"
LOCK = ".marks.lock"
"""Apart from the run's: a picture may be marked while others are made."""
LONGEST_REMARK = 500  # characters; more is a note
MOST_STARS = 5

Pick = Literal["pick", "reject", "none"]
Flaw = Literal["hands", "teeth", "eyes", "ears", "neck", "hair", "skin", "fabric", "light"]
FAULTS: tuple[Flaw, ...] = get_args(Flaw)
"""What can be ticked as wrong with a picture, in the order it is told."""


def _one_line(text: str) -> str:
    if len(text.splitlines()) > 1 or any(ord(sign) < 32 for sign in text):
        raise ValueError("must be one line of text; take out line ends and control characters")
    return text


Remark = Annotated[str, Field(max_length=LONGEST_REMARK), AfterValidator(_one_line)]


def _in_order(faults: tuple[Flaw, ...]) -> tuple[Flaw, ...]:
    return tuple(fault for fault in FAULTS if fault in faults)


class Mark(Frozen):
    """What a person thought of a picture. To `append`, a field that is not given is not said: what was said stays.

    `stars` 0 = none given. `faults` come in the order of FAULTS. `by` is who, `at` the UTC time as a label.
    """

    key: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    pick: Pick = "none"
    stars: Annotated[int, Field(ge=0, le=MOST_STARS, strict=True)] = 0
    faults: Annotated[tuple[Flaw, ...], AfterValidator(_in_order)] = ()
    remark: Remark = ""
    by: Remark = ""
    at: str = ""

    @property
    def text(self) -> str:
        """For people, as `pick, 4 stars, eyes: the left one looks away`; empty if nothing is said."""
        stars = f"{self.stars} star{'s' if self.stars > 1 else ''}" if self.stars else ""
        told = ", ".join(filter(None, ["" if self.pick == "none" else self.pick, stars, *self.faults]))
        return ": ".join(filter(None, [told, self.remark]))


def read(run: Path, files: Files = DISK) -> Mapping[str, Mark]:
    """The marks of a run folder by key, also while they are written; lines that cannot be read are left out."""
    return _told(_bytes(run, files))[0]


def unreadable(run: Path, files: Files = DISK) -> tuple[Fault, ...]:
    """The whole lines that say no mark; they stay in the file."""
    return _told(_bytes(run, files))[1]


def append(run: Path, mark: Mark, files: Files = DISK, *, now: Callable[[], str] = utc_now) -> Mark:
    """Write down the fields that `mark` was given, on the disk on return; gives all that now holds of the picture.

    To undo, append the earlier mark (`unmarked` if there was none). Raises InputError for a mark that says nothing or
    a key that the run's plan does not hold, BusyError if others write for half a minute, DiskFullError or DiskError.
    """
    if mark.model_fields_set <= {"key", "by", "at"}:
        raise InputError(f"nothing is said of {mark.key}; give pick, stars, faults or a remark")
    _check_planned(run, mark.key, files)
    said = mark.model_dump(mode="json", exclude_unset=True) | {"at": now()}
    with waited_for(run / LOCK, f"the marks of {run}", files), LineFile(run / NAME, files) as lines:
        lines.append(json_line(said))
        return _told(lines.before + json_line(said))[0][mark.key]


def unmarked(key: str) -> Mark:
    """The mark that takes back all that was said of a picture."""
    return Mark.read(Mark(key=key).model_dump())


def _check_planned(run: Path, key: str, files: Files) -> None:
    try:
        lines = files.read(run / PLAN).splitlines()
    except OSError:
        raise InputError(f"{run} is no run folder (it holds no {PLAN}); give the folder that a sweep wrote") from None
    planned = [line for line in lines if key.encode() in line]
    try:
        if any(json.loads(line)["key"] == key for line in planned):
            return
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{run / PLAN} cannot be read; put back the file as it was") from None
    raise InputError(f"{key} is no picture of {run}; give the key of one that its plan holds (pictures/KEY.png)")


def _bytes(run: Path, files: Files) -> bytes:
    path = run / NAME
    return files.read(path) if files.size(path) is not None else b""


def _told(data: bytes) -> tuple[Mapping[str, Mark], tuple[Fault, ...]]:
    marks: dict[str, Mark] = {}
    faults: list[Fault] = []
    for number, raw in enumerate(whole_lines(data), start=1):
        try:
            line = json.loads(raw)
            said = {name: value for name, value in line.items() if name in Mark.model_fields}  # a later version's go
            before = marks.get(said["key"]) or Mark(key=said["key"])
            marks[said["key"]] = Mark.read(before.model_dump() | said)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, InputError) as error:
            faults.append(Fault(number, f"line {number} of {NAME} cannot be read: {str(error)[:120]}", raw))
    return MappingProxyType(marks), tuple(faults)
