"""Where face, cheek, mouth and hands lie in a run's pictures: set once by a person, kept in `places.json`.

One rectangle a name for all pictures of the run. Knows nothing about how a place is drawn or found in pixels.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipelines.errors import InputError
from pipelines.files import DISK, Files, disk_faults, put
from pipelines.frozen import Frozen
from sweeps.lock import Lock
from sweeps.prepare import SWEEP

NAME = "places.json"
LOCK = ".places.lock"
ROUNDING = 1e-6
"""How far a rectangle may reach past the edge: what a sum of shares loses."""

Name = Literal["face", "cheek", "mouth", "hands"]
Share = Annotated[float, Field(ge=0, le=1)]
Extent = Annotated[float, Field(gt=0, le=1)]


def _inside(rectangle: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, width, height = rectangle
    if max(x + width, y + height) > 1 + ROUNDING:
        raise ValueError("reaches out of the picture; give x, y, width, height as shares of it, from 0 to 1")
    return rectangle


Rectangle = Annotated[tuple[Share, Share, Extent, Extent], AfterValidator(_inside)]
"""x, y, width, height as shares of a picture's width and height, from its top left corner."""


class Place(Frozen):
    """One named part of a run's pictures."""

    name: Name
    rectangle: Rectangle


class Places(Frozen):
    """The places of a run; None where nobody set one."""

    face: Rectangle | None = None
    cheek: Rectangle | None = None
    mouth: Rectangle | None = None
    hands: Rectangle | None = None


def read(run: Path, files: Files = DISK) -> Places:
    """The places of a run folder; none without a file. Raises InputError for a file that says none."""
    path = run / NAME
    try:
        return Places.read(json.loads(files.read(path))) if files.size(path) is not None else Places()
    except (ValueError, TypeError, RecursionError, InputError) as error:
        raise InputError(f"{path} cannot be read ({error}); put it back as it was, or delete it") from None


def put_place(run: Path, place: Place, files: Files = DISK) -> Places:
    """Set one place, the others stay; on the disk on return. Gives all places.

    Raises InputError for what is no run folder or a file that cannot be read, BusyError, DiskFullError, DiskError.
    """
    if files.size(run / SWEEP) is None:
        raise InputError(f"{run} is no run folder (it holds no {SWEEP}); give the folder that a sweep wrote")
    with disk_faults(run, needed=0, files=files), Lock(run / LOCK, f"the places of {run}"):
        now = read(run, files).but(**{place.name: place.rectangle})
        put({run / NAME: json.dumps(now.model_dump(exclude_none=True), indent=1).encode() + b"\n"}, files)
    return now
