"""How much detail of which size skin holds, from its log light. Knows nothing about faces, regions or files.

Sizes are shares of the eye distance, so that a face measures the same near and far; log light makes exposure drop out.
"""

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
FINE, MIDDLE, COARSE = 0.006, 0.018, 0.05
"""Sigmas of the Gaussians, in eye distances: pores lie between the first two, mottling between the others."""
FLOOR = 0.02  # share of the median added before the logarithm: black pixels stay finite, noise in them small
DARKEST = 5e-5  # the least that counts as a median: skin that is all black stays finite too
MAD = 1.4826  # median absolute deviation of a normal distribution to its sigma
LEAST_SIGMA_PX = 0.3  # a narrower Gaussian than this changes nothing on a grid of pixels
WIDE_PX = 12  # a wider Gaussian is taken on a smaller picture: the same to 1 %, and a close-up does not take seconds
MOST_EDGES = 20_000  # pixels of edges looked at; OpenCV's remap takes no more than 32 767 rows
REACH = 12  # half steps of max(1 px, .012 eye distances) to either side of an edge


class Bands(NamedTuple):
    """Pore and mottling band of log light, (H, W) each, in EV; 0 where they were not read."""

    texture: Array
    mottle: Array

    def levels(self, where: Array) -> tuple[float, float]:
        """Robust sigma of both over the pixels of a bool mask (H, W), in EV."""
        return spread(self.texture[where]), spread(self.mottle[where])


def log_light(luminance: Array, skin: Array) -> Array:
    """log2 (H, W) of linear luminance, with 2 % of its median over the skin (bool mask) added: 1 EV more light adds 1.

    So it is the same for any exposure, but for a constant.
    """
    middle = max(float(np.median(luminance[skin])), DARKEST)
    return np.asarray(np.log2(luminance + np.float32(FLOOR * middle)), np.float32)


def spread(values: Array) -> float:
    """Median absolute deviation as a normal distribution's sigma, which a few odd pixels do not move; 0 for none."""
    return float(MAD * np.median(np.abs(values - np.median(values)))) if values.size else 0.0


def shrunk(mask: Array, radius_px: float) -> Array:
    """Bool mask without a rim of whole pixels. Beyond the picture's edge nothing is skin.

    By distance, not by erosion: a disc of 16 px, as in a close-up of 40 megapixels, would take seconds.
    """
    framed = np.pad(mask.astype(np.uint8), 1)
    away: Array = cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return mask & (away > round(radius_px))


def blur(values: Array, sigma_px: float) -> Array:
    """Gaussian of an image (H, W) float32."""
    if sigma_px <= LEAST_SIGMA_PX:
        return values
    wide: Array
    if sigma_px <= WIDE_PX:
        wide = cv2.GaussianBlur(values, (0, 0), sigma_px)
        return wide
    shrink = sigma_px / (WIDE_PX / 2)
    size = tuple(max(1, round(side / shrink)) for side in values.shape[1::-1])
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), WIDE_PX / 2)
    wide = cv2.resize(small, values.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return wide


def blur_inside(values: Array, weight: Array, sigma_px: float) -> Array:
    """Gaussian of (H, W) that takes only pixels of weight 1 into account; nothing outside leaks in."""
    mean: Array = blur(values * weight, sigma_px) / np.maximum(blur(weight, sigma_px), 1e-3)
    return mean


def bands(log: Array, eye_distance: float, *, weight: Array | None = None, finest: float = FINE) -> Bands:
    """The two bands of log light (H, W) where `weight` (float, 0 or 1) is, or everywhere.

    `finest` is the narrower sigma of the pore band in eye distances.
    """
    one = np.ones_like(log) if weight is None else weight
    fine, middle, coarse = (blur_inside(log, one, share * eye_distance) for share in (finest, MIDDLE, COARSE))
    return Bands((fine - middle) * one, (middle - coarse) * one)


def contrast(ev: float) -> float:
    """Per cent contrast of a small difference in EV."""
    return 100 * math.log(2) * ev


def single_pixels(log: Array) -> Array:
    """What a Gaussian of 1 px takes away: the grain of the pixel grid itself."""
    grain: Array = log - cv2.GaussianBlur(log, (0, 0), 1.0)
    return grain


def overshoot(luminance: Array, where: Array, eye_distance: float) -> float | None:
    """Median overshoot of the strongest 3 % of edges as a share of their step; None with too few edges.

    `luminance` linear (H, W) 0..1, `where` bool (H, W). The profile across an edge is read on the cube root of light
    (about equal steps to the eye); sharpening leaves a bright and a dark rim beside it.
    """
    light = np.cbrt(luminance).astype(np.float32)
    soft = cv2.GaussianBlur(light, (0, 0), 0.7)
    across, down = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    steep = np.hypot(across, down)
    if not where.any():
        return None
    is_crest = steep >= cv2.dilate(steep, np.ones((3, 3), np.uint8)) - 1e-9
    ys, xs = np.nonzero(where & (steep > np.quantile(steep[where], 0.97)) & is_crest)
    if len(ys) > MOST_EDGES:
        kept = np.linspace(0, len(ys) - 1, MOST_EDGES).astype(int)
        ys, xs = ys[kept], xs[kept]
    if not len(ys):
        return None
    steps = np.arange(-REACH, REACH + 1) * max(1.0, 0.012 * eye_distance) / 2
    dx, dy = across[ys, xs] / steep[ys, xs], down[ys, xs] / steep[ys, xs]
    return _rims(
        cv2.remap(
            light,
            (xs[:, None] + dx[:, None] * steps).astype(np.float32),
            (ys[:, None] + dy[:, None] * steps).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _rims(profiles: Array) -> float | None:
    """Rims of profiles (n, 25) that run from dark to light, against the level further out."""
    low, high = np.median(profiles[:, :5], 1), np.median(profiles[:, 20:], 1)
    rims = profiles[:, 13:19].max(1) - high + low - profiles[:, 6:12].min(1)
    is_edge = high - low > 0.08
    return float(np.median(rims[is_edge] / (high - low)[is_edge])) if is_edge.sum() > 10 else None
