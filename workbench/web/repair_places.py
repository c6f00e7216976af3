"""Where face, cheek and mouth lie in the pictures of a repair: looked up once and kept with its run.

Knows nothing about queues or HTTP. Rectangles are shares of the picture.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.raster import open_raster, rgb8
from pipelines.regions import face_map
from sweeps.places import Place, put_place
from workbench import face_passes

CLEAR = 0.5
"""A region is where its soft mask is above this."""
CHEEKS = ("left-cheek", "right-cheek")


def keep(run: Path, picture: Path, mask: str) -> None:
    """Put the places of the face that the mask is about into the run; raises InputError where there is no such face."""
    found = face_map(rgb8(open_raster(picture)))
    number = face_passes.first_face(mask)
    cheeks = [found.region(number, name) for name in CHEEKS]
    cheek = max(cheeks, key=lambda region: float(region.sum()))  # of a turned head the one that is seen
    regions = {"face": found.region(number, "oval"), "cheek": cheek, "mouth": found.region(number, "mouth")}
    for name, region in regions.items():
        if (rectangle := _box(region)) is not None:
            put_place(run, Place.read({"name": name, "rectangle": rectangle}))


def _box(region: NDArray[np.float32]) -> tuple[float, float, float, float] | None:
    """x, y, width, height of what is clear of a region (H, W), as shares; None where nothing is."""
    high, wide = region.shape
    rows, columns = np.flatnonzero((region > CLEAR).any(1)), np.flatnonzero((region > CLEAR).any(0))
    if not rows.size:
        return None
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return float(left / wide), float(top / high), float((right - left) / wide), float((bottom - top) / high)
