"""Small functions over pictures as arrays of numbers: steps, bumps, noise, mixing, and the plane they live on.

Knows nothing about faces.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]  # (size, size) of float32, or (size, size, 3) where it says colour

ZOOM = 0.56  # half the picture's width in scene units: a head is about .72 wide
CENTRE = 0.04  # height of the picture's centre in scene units


def step(x: Field, edge0: float, edge1: float) -> Field:
    """0 before edge0, 1 after edge1, smooth between; falling if edge1 < edge0."""
    t = np.clip((x - edge0) / (edge1 - edge0), 0, 1)
    rising: Field = t * t * (3 - 2 * t)
    return rising


def bump(x: Field, y: Field, x0: Field | float, y0: float, width: float, height: float) -> Field:
    """A Gaussian hill of height 1."""
    hill: Field = np.exp(-(((x - x0) / width) ** 2) - ((y - y0) / height) ** 2)
    return hill


def noise(rng: np.random.Generator, size: int, cells: int, cells_y: int | None = None) -> Field:
    """Smooth noise of about unit variance with `cells` across the picture (`cells_y` down it)."""
    grid = rng.standard_normal((cells_y or cells, cells), dtype=np.float32)
    out = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    unit: Field = out / (out.std() + 1e-6)
    return unit


def mix(a: Any, b: Any, share: Any) -> Field:
    """a where `share` is 0, b where it is 1; a 2-D share serves all three colours."""
    mixed: Field = a + (b - a) * (share[..., None] if getattr(share, "ndim", 0) == 2 else share)
    return mixed


@dataclass(frozen=True)
class Plane:
    """The picture plane: x to the right, y up, in scene units; `px` is the side of a pixel."""

    size: int
    px: float
    x: Field
    y: Field

    @classmethod
    def of(cls, size: int) -> "Plane":
        px = 2.0 * ZOOM / size
        axis = ((np.arange(size) + 0.5) * px - ZOOM).astype(np.float32)
        x, y = np.meshgrid(axis, CENTRE - axis)
        return cls(size, px, x, y)

    def inside(self, distance: Field) -> Field:
        """1 inside, 0 outside, antialiased; `distance` is signed, negative inside."""
        return step(-distance, -1.3 * self.px, 1.3 * self.px)
