"""Where face, cheek and mouth lie in a run's pictures, found by the face map where nobody set them.

Faces move little within a sweep: the largest of the first pictures speaks for all. Knows nothing about who asks.
"""

import math
import threading
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import InputError
from pipelines.store import Store
from sweeps import journal
from sweeps.places import Places, Rectangle

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIED = 6
"""Pictures that are searched unless two agree before: settings may spoil some, or show a face where there is none."""
AGREED = 0.5
"""Share of the area that two faces cover of which both cover it, from which they are in the same place."""
LEAST_SIDE = 128
"""Pixels of a picture's shorter side from which it is searched: what the face detector itself takes in."""
GROWN = {"face": 0.1, "cheek": 0.0, "mouth": 0.4}
"""By how much of its size a place is larger than what was found: a mouth is judged with the skin around it."""


class FoundPlaces:
    """What was found in run folders, kept in memory; for several threads at once."""

    def __init__(self) -> None:
        self._kept: dict[Path, dict[str, Places]] = {}
        self._lock = threading.Lock()

    def of(self, run: Path) -> Places:
        """The places of a run folder's largest face; none as long as there is no picture with one.

        The first answer takes some tenths of a second a picture, the next ones a look at the folder.
        """
        with self._lock:
            seen, store = self._kept.setdefault(run, {}), Store(run)
            if not _is_settled(seen) or not store.path(next(reversed(seen))).is_file():
                keys = _first_pictures(run)
                if not seen.keys() <= set(keys):
                    seen.clear()
                _search(store, [key for key in keys if key not in seen], seen)
            return max(seen.values(), key=_area, default=Places())


def places_in(pixels: "NDArray[np.uint8]") -> Places:
    """Face, the lit cheek and mouth of the largest face of sRGB pixels (H, W, 3); none without a face."""
    from pipelines.face_shapes import LEFT_CHEEK, LIPS, RIGHT_CHEEK
    from pipelines.faces import OVAL, find_faces

    if min(pixels.shape[:2]) < LEAST_SIDE:
        return Places()
    face = max(find_faces(pixels), key=lambda each: each.eye_distance, default=None)
    if face is None:
        return Places()
    outlines = {name: face.points[list(parts)] for name, parts in (("face", OVAL), ("mouth", LIPS))}
    height, width = pixels.shape[:2]
    found = {name: _around(points / (width, height), GROWN[name]) for name, points in outlines.items()}
    cheeks = [
        _around(face.points[list(parts)] / (width, height), GROWN["cheek"]) for parts in (LEFT_CHEEK, RIGHT_CHEEK)
    ]
    inside = [each for each in cheeks if each]
    return Places(**found, cheek=max(inside, key=lambda each: light_of(pixels, each), default=None))


def light_of(pixels: "NDArray[np.uint8]", cheek: Rectangle) -> float:
    """How much light a cheek shows: its width times its brightness. In side light texture is on the lit one."""
    (left, top), (wide, high) = cheek[:2], cheek[2:]
    height, width = pixels.shape[:2]
    part = pixels[
        int(top * height) : math.ceil((top + high) * height), int(left * width) : math.ceil((left + wide) * width)
    ]
    return wide * float(part.mean()) if part.size else 0.0


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


def _search(store: Store, keys: Iterable[str], seen: dict[str, Places]) -> None:
    """Add what these pictures show, until it is enough."""
    for key in keys:
        if _is_settled(seen):
            return
        seen[key] = _searched(store, key)


def _searched(store: Store, key: str) -> Places:
    from pipelines.raster import open_raster, rgb8

    if not store.whole(key):
        return Places()
    try:
        return places_in(rgb8(open_raster(store.path(key))))
    except InputError:  # larger than we open: a picture without places, not one that cannot be looked at
        return Places()


def _is_settled(seen: dict[str, Places]) -> bool:
    faces = [each.face for each in seen.values() if each.face]
    return len(seen) >= TRIED or any(_overlap(one, other) >= AGREED for one, other in combinations(faces, 2))


def _overlap(one: Rectangle, other: Rectangle) -> float:
    """Intersection over union of two rectangles."""
    sides = [min(one[at] + one[at + 2], other[at] + other[at + 2]) - max(one[at], other[at]) for at in (0, 1)]
    shared = max(0.0, sides[0]) * max(0.0, sides[1])
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def _area(places: Places) -> float:
    return places.face[2] * places.face[3] if places.face else 0.0
