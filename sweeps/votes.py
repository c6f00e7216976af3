"""Blind votes on pairs of a run's pictures, one JSON object a line in `votes.jsonl`, append-only, by many writers.

A vote is taken back by a line that says so. Knows nothing about how pairs are chosen, shown or counted.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.errors import InputError
from pipelines.files import DISK, Files
from pipelines.frozen import Frozen
from sweeps.journal import Fault, LineFile, json_line, utc_now, whole_lines
from sweeps.lock import waited_for
from sweeps.marks import Remark
from sweeps.prepare import PLAN

NAME = "votes.jsonl"
LOCK = ".votes.lock"
"""The votes' own: two people may vote while pictures are made and marked."""
LONGEST_NAME = 60  # characters

Key = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
Said = Literal["left", "right", "equal", "skip"]
View = Literal["cheek", "whole"]
Voter = Annotated[Remark, Field(min_length=1, max_length=LONGEST_NAME)]


class Vote(Frozen):
    """What a person said of two pictures side by side without knowing their settings.

    `left` and `right` are where they were shown; `skip`: no answer, so that the pair is not asked again. `view` is what
    was seen of them. `by` is who, `at` the UTC time as a label.
    """

    left: Key
    right: Key
    said: Said
    view: View
    by: Voter
    at: str = ""

    @model_validator(mode="after")
    def _two_pictures(self) -> "Vote":
        if self.left == self.right:
            raise ValueError(f"{self.left} is on both sides; give two pictures")
        return self

    @property
    def pair(self) -> frozenset[str]:
        """The two pictures, whichever side they were on."""
        return frozenset((self.left, self.right))


class TakenBack(Frozen):
    """The last vote of a person that stands is taken back."""

    taken_back: Literal[True]
    by: Voter
    at: str = ""


def read(run: Path, files: Files = DISK) -> tuple[Vote, ...]:
    """The votes of a run folder that stand, in the order they were cast; lines that cannot be read are left out."""
    return _told(_bytes(run, files))[0]


def answered(run: Path, files: Files = DISK) -> tuple[Vote, ...]:
    """Those that say something: all but the skipped pairs."""
    return tuple(vote for vote in read(run, files) if vote.said != "skip")


def unreadable(run: Path, files: Files = DISK) -> tuple[Fault, ...]:
    """The whole lines that say no vote; they stay in the file."""
    return _told(_bytes(run, files))[1]


def append(run: Path, vote: Vote, files: Files = DISK, *, now: Callable[[], str] = utc_now) -> tuple[Vote, ...]:
    """Cast a vote, on the disk on return; gives all that stand.

    Raises InputError for a picture that the run's plan does not hold, BusyError if others write for half a minute,
    DiskFullError or DiskError.
    """
    planned = _planned(run, files)
    for key in (vote.left, vote.right):
        if key not in planned:
            raise InputError(f"{key} is no picture of {run}; give the keys of two that its plan holds")
    with waited_for(run / LOCK, f"the votes of {run}", files), LineFile(run / NAME, files) as lines:
        line = json_line(vote.but(at=now()).model_dump(mode="json"))
        lines.append(line)
        return _told(lines.before + line)[0]


def take_back(run: Path, by: str, files: Files = DISK, *, now: Callable[[], str] = utc_now) -> Vote | None:
    """Take back the last vote of a person that stands, and give it; None if there is none. Raises as `append`."""
    said = TakenBack.read({"taken_back": True, "by": by, "at": now()})
    _planned(run, files)
    with waited_for(run / LOCK, f"the votes of {run}", files), LineFile(run / NAME, files) as lines:
        last = next((vote for vote in reversed(_told(lines.before)[0]) if vote.by == said.by), None)
        if last:
            lines.append(json_line(said.model_dump(mode="json")))
        return last


def _planned(run: Path, files: Files) -> frozenset[str]:
    try:
        return frozenset(json.loads(line)["key"] for line in files.read(run / PLAN).splitlines())
    except OSError:
        raise InputError(f"{run} is no run folder (it holds no {PLAN}); give the folder that a sweep wrote") from None
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{run / PLAN} cannot be read; put back the file as it was") from None


def _bytes(run: Path, files: Files) -> bytes:
    path = run / NAME
    return files.read(path) if files.size(path) is not None else b""


def _told(data: bytes) -> tuple[tuple[Vote, ...], tuple[Fault, ...]]:
    votes: list[Vote] = []
    faults: list[Fault] = []
    for number, raw in enumerate(whole_lines(data), start=1):
        try:
            line = json.loads(raw)
            kind = TakenBack if "taken_back" in line else Vote
            said = kind.read({name: value for name, value in line.items() if name in kind.model_fields})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, InputError) as error:
            faults.append(Fault(number, f"line {number} of {NAME} cannot be read: {str(error)[:120]}", raw))
            continue
        if isinstance(said, Vote):
            votes.append(said)
        elif (last := max((at for at, vote in enumerate(votes) if vote.by == said.by), default=-1)) >= 0:
            del votes[last]
    return tuple(votes), tuple(faults)
