"""Where face, cheek and mouth lie in a run's pictures, found by the face map where nobody set them.

Faces move little within a sweep, so the first picture with a face speaks for all. Knows nothing about who asks.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import InputError
from pipelines.store import Store
from sweeps import journal
from sweeps.places import Places, Rectangle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIED = 3
"""Pictures that are searched before a run counts as one without faces: one may be spoilt by its settings."""
LEAST_SIDE = 128
"""Pixels of a picture's shorter side from which it is searched: what the face detector itself takes in."""
GROWN = {"face": 0.1, "cheek": 0.0, "mouth": 0.4}
"""By how much of its size a place is larger than what was found: a mouth is judged with the skin around it."""


@dataclass(frozen=True)
class _Search:
    """The pictures that were searched, and what came of it."""

    keys: tuple[str, ...]
    places: Places


class FoundPlaces:
    """What was found in run folders, kept in memory; for several threads at once."""

    def __init__(self) -> None:
        self._kept: dict[Path, _Search] = {}
        self._lock = threading.Lock()

    def of(self, run: Path) -> Places:
        """The places of a run folder's largest face; none as long as there is no picture with one.

        The first answer takes some tenths of a second, the next ones a look at the folder.
        """
        with self._lock:
            kept = self._kept.get(run)
            if kept and kept.places != Places() and Store(run).path(kept.keys[-1]).is_file():
                return kept.places
            keys = _first_pictures(run)
            if not kept or kept.keys != keys:
                kept = self._kept[run] = _search(run, keys)
            return kept.places


def places_in(pixels: "NDArray[np.uint8]") -> Places:
    """Face, the wider cheek and mouth of the largest face of sRGB pixels (H, W, 3); none without a face."""
    from pipelines.face_shapes import LEFT_CHEEK, LIPS, RIGHT_CHEEK
    from pipelines.faces import OVAL, find_faces

    if min(pixels.shape[:2]) < LEAST_SIDE:
        return Places()
    face = max(find_faces(pixels), key=lambda each: each.eye_distance, default=None)
    if face is None:
        return Places()
    outlines = {name: face.points[list(parts)] for name, parts in (("face", OVAL), ("mouth", LIPS))}
    cheeks = [face.points[list(parts)] for parts in (LEFT_CHEEK, RIGHT_CHEEK)]
    outlines["cheek"] = max(cheeks, key=lambda points: float(points[:, 0].max() - points[:, 0].min()))
    height, width = pixels.shape[:2]
    found = {name: _around(points / (width, height), GROWN[name]) for name, points in outlines.items()}
    return Places(**found)


def _around(points: "NDArray[np.floating]", grown: float) -> Rectangle | None:
    """The rectangle of points (n, 2) given as shares of a picture, cut to it; None where it lies outside."""
    low, high = points.min(0), points.max(0)
    more = (high - low) * grown / 2
    left, top = (max(0.0, round(float(each), 4)) for each in low - more)
    right, bottom = (min(1.0, round(float(each), 4)) for each in high + more)
    if right <= left or bottom <= top:
        return None
    return left, top, round(right - left, 4), round(bottom - top, 4)


def _first_pictures(run: Path) -> tuple[str, ...]:
    """Keys of the pictures that were done first and are there, at most `TRIED`."""
    done = dict.fromkeys(line.key for line in journal.read(run).lines if isinstance(line, journal.PictureDone))
    store = Store(run)
    return tuple([key for key in done if store.path(key).is_file()][:TRIED])


def _search(run: Path, keys: tuple[str, ...]) -> _Search:
    from pipelines.raster import open_raster, rgb8

    store = Store(run)
    for count, key in enumerate(keys, 1):
        if not store.whole(key):
            continue
        try:
            places = places_in(rgb8(open_raster(store.path(key))))
        except InputError:  # larger than we open: a run without places, not one that cannot be looked at
            continue
        if places != Places():
            return _Search(keys[:count], places)
    return _Search(keys, Places())
