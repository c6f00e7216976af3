"""Colour and light of a patch matched to the picture around it. Knows nothing about masks of faces, files or models.

What differs at the rim, in log light, is spread over the inside as a soap film takes its height from its frame.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.colour import encoded, linear

FLOOR = 0.004
"""Added to linear light before the logarithm: differences below it are noise, not light (skin.md, section 2)."""
DIM = 0.1
"""Linear light of a rim that counts a quarter: what is black tells little of the light that falls there."""
CELLS = 128
"""The film is smooth: it is computed on about so many cells a side, the mean of the pixels in each."""
TENSION = 1.0
"""How stiff the film is against its frame: differences over fewer cells than its root are texture, not light."""
STRAY_EV = 0.25
"""Where the rim differs by more from its surroundings it shows other things (a strand of hair), and counts little."""


def matched(made: NDArray[np.float32], source: NDArray[np.float32], rim: NDArray[np.float32]) -> NDArray[np.float32]:
    """`made` in the light of `source`, as far as they differ where `rim` is not 0.

    Pictures (height, width, 3), sRGB-encoded 0..1; `rim` (height, width) 0..1: how much a pixel is to be trusted to
    show the same thing in both. Minimises the sum of rim * (film - difference)^2 + TENSION * |gradient of film|^2 over
    differences in log2 of linear light, twice: what strays counts less the second time. Unchanged without a rim.
    """
    if not rim.any():
        return made
    light = linear(made)
    weights, difference = _differences(light, linear(source), rim)
    film = _film(difference, weights)
    stray = np.abs(difference - film).max(axis=2) / STRAY_EV
    film = _film(difference, weights / (1 + stray**2))
    return encoded(np.clip((light + FLOOR) * np.exp2(_enlarged(film, made.shape)) - FLOOR, 0, 1))


def _differences(
    made: NDArray[np.float32], source: NDArray[np.float32], rim: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight of every cell (rows, columns), and its log2 of mean light in `source` by that in `made` (…, 3)."""
    side = max(1, round(max(rim.shape) / CELLS))
    weights = _sums(rim, side)
    seen = np.maximum(weights, 1e-6)[..., None]
    means = [_sums(light * rim[..., None], side) / seen for light in (source, made)]
    ratio = np.log2(means[0] + FLOOR) - np.log2(means[1] + FLOOR)
    darkest = np.minimum(*means).mean(axis=2)
    return weights / side**2 * ((darkest + FLOOR) / (darkest + DIM)) ** 2, ratio


def _sums(values: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """Sums over squares of so many pixels; those at the right and lower edge are filled up with 0."""
    rows, columns = (np.arange(0, length, side) for length in values.shape[:2])
    return np.add.reduceat(np.add.reduceat(values, rows, axis=0, dtype=np.float64), columns, axis=1)


def _film(height: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The film (rows, columns, 3) over a frame of this height where there is weight: a sparse linear system."""
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import splu

    rows, columns = weights.shape
    down = np.full((rows, columns), TENSION)
    down[-1] = 0
    right = np.full((rows, columns), TENSION)
    right[:, -1] = 0
    pulls = down + right
    pulls[1:] += down[:-1]
    pulls[:, 1:] += right[:, :-1]
    # by how far the neighbour is in a row of all cells; of a single column the one below is the next
    sides = {1: -right.ravel()[:-1], columns: -down.ravel()[:-columns]}
    system = diags_array(
        [(weights + pulls).ravel(), *sides.values(), *sides.values()],
        offsets=[0, *sides, *(-away for away in sides)],
        format="csc",
    )
    frame = (height * weights[..., None]).reshape(-1, 3)
    return np.asarray(splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(frame)).reshape(
        height.shape
    )


def _enlarged(film: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The film at the picture's size."""
    import cv2

    return np.asarray(cv2.resize(film.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))
