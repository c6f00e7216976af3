"""The images that a sweep names: read once, hashed, masks painted, copied into its run folder.

Knows nothing about cells. A mask that an expression gave is noted beside the copy of its start image, so that a run
that goes on finds it there and never looks for faces again.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.draft import Taken
from pipelines.errors import InputError
from pipelines.files import DISK, Files, put
from pipelines.frozen import Frozen
from pipelines.raster import Raster, box_of, content, open_raster, rgb8
from pipelines.store import Store

INPUTS = "inputs"


class Noted(Frozen):
    """`<start>.masks.json`: the masks that expressions gave over this start image, by content hash."""

    masks: dict[str, str]


class Inputs:
    """Reads the images of one sweep; answers `draft.Pictures`. Not for several threads at once."""

    def __init__(self) -> None:
        self._taken: dict[Path, Taken] = {}
        self._painted: dict[tuple[Path, str], tuple[Taken, Raster]] = {}

    def take(self, path: Path) -> Taken:
        """Read an image file once; raises InputError."""
        if path not in self._taken:
            self._taken[path] = _told(open_raster(path))
        return self._taken[path]

    def paint(self, start: Path, expression: str) -> Taken:
        """The mask of an expression over a picture: noted beside it, or painted now. Raises InputError."""
        if (start, expression) not in self._painted:
            mask = _noted(start, expression) or _painted(start, expression)
            self._painted[start, expression] = _told(mask), mask
        return self._painted[start, expression][0]

    @property
    def files(self) -> Mapping[Path, str]:
        """The files that were read, with their content hash."""
        return {path: taken.image for path, taken in self._taken.items()}

    def keep(self, run: Path, files: Files = DISK) -> None:
        """Copy all into a run folder; for who holds its lock. Raises DiskFullError or DiskError."""
        store = Store(run, files)
        for path in self._taken:
            store.add_input(open_raster(path))
        notes: dict[str, dict[str, str]] = {}
        for (start, expression), (taken, mask) in self._painted.items():
            store.add_input(mask)
            notes.setdefault(self.take(start).image, {})[expression] = taken.image
        for image, masks in notes.items():
            path = run / INPUTS / f"{image}.png"
            noted = Noted(masks=dict(sorted((_notes(path, files).masks | masks).items())))
            put({_notes_path(path): json.dumps(noted.model_dump(), indent=1).encode()}, files)


def masks_beside(start: Path, files: Files = DISK) -> Mapping[str, str]:
    """The masks noted beside a copy of a start image: content hash by expression. Raises InputError."""
    return _notes(start, files).masks


def _told(raster: Raster) -> Taken:
    return Taken(content(raster), raster.width, raster.height, box_of(raster))


def _painted(start: Path, expression: str) -> Raster:
    from pipelines import masks
    from pipelines.regions import face_map

    found = face_map(rgb8(open_raster(start)))
    return Raster(masks.paint(expression, found)[..., None], b"")


def _noted(start: Path, expression: str) -> Raster | None:
    name = _notes(start, DISK).masks.get(expression)
    return open_raster(start.with_name(f"{name}.png")) if name else None


def _notes_path(start: Path) -> Path:
    return start.with_suffix(".masks.json")


def _notes(start: Path, files: Files) -> Noted:
    """What is noted beside a start image; nothing beside most. Raises InputError for notes that cannot be read."""
    path = _notes_path(start)
    if files.size(path) is None:
        return Noted(masks={})
    try:
        values: Any = json.loads(files.read(path))
        return Noted.read(values)
    except (OSError, ValueError, TypeError, InputError) as error:
        raise InputError(f"{path} cannot be read ({error}); put it back as it was, or begin another run") from None
