"""On what the rules of findings were tried: as shipped, and as far as somebody went here with `sidelight validate`.

Knows nothing about how it is tried. The file lies with the user's settings and says nothing of any picture.
"""

import json
from pathlib import Path

from platformdirs import user_config_path

from pipelines.errors import InputError
from pipelines.files import DISK, Files, put
from pipelines.frozen import Frozen
from sweeps.ranges import many

NAME = "validated.json"
SHIPPED = "validated on degraded photographs, not on diffusion output"
"""`notebooks/validation.md` has the figures."""
ENOUGH_VOTES = 60
"""Blind votes from which it counts as tried on diffusion output: a share's 95 % interval is then 25 points wide."""


class Voted(Frozen):
    """A run of diffusion output that was voted on: its name, checkpoints, and how the measures fared."""

    run: str
    checkpoints: tuple[str, ...]
    votes: int
    voters: tuple[str, ...]
    sentences: tuple[str, ...]


class Trial(Frozen):
    """What was tried here: own photographs with the lines of the table that held on all of them, and voted runs."""

    date: str
    photographs: int
    held: int
    lines: int
    right: int
    plays: int
    voted: tuple[Voted, ...] = ()


def kept(files: Files = DISK) -> Trial | None:
    """What was kept here last; None without a file. Raises InputError for a damaged one."""
    path = _path()
    if files.size(path) is None:
        return None
    try:
        return Trial.read(json.loads(files.read(path)))
    except (ValueError, TypeError, RecursionError, InputError) as error:
        raise InputError(f"{path} cannot be read ({error}); delete it, or `sidelight validate --keep` anew") from None


def keep(trial: Trial, files: Files = DISK) -> Path:
    """Keep it in place of the last one; gives the path. Raises DiskFullError, DiskError."""
    path = _path()
    files.mkdir(path.parent)
    put({path: json.dumps(trial.model_dump(mode="json"), indent=1).encode() + b"\n"}, files)
    return path


def said(files: Files = DISK) -> str:
    """The sentence that findings, reports and notes carry."""
    try:
        trial = kept(files)
    except InputError:  # no path of this machine: the sentence goes into reports and notes that are passed on
        return f"{SHIPPED} (what was tried here cannot be read: {NAME})"
    if trial is None:
        return SHIPPED
    votes = sum(each.votes for each in trial.voted)
    photographs = f"{trial.photographs} of your photographs ({trial.date}: {trial.held} of {trial.lines} lines held)"
    if votes < ENOUGH_VOTES:
        return f"validated on degraded photographs, {photographs} among them, not on diffusion output"
    names = ", ".join(sorted({name for each in trial.voted for name in each.checkpoints}))
    eyes = f"{votes} blind votes on {many(len(trial.voted), 'run')} of {names}"
    return f"validated on degraded photographs, {photographs} among them, and by {eyes}"


def _path() -> Path:
    return user_config_path("sidelight") / NAME
