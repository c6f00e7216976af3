"""Light, clipping and colour over skin: how the two cheeks differ, what is burnt or black, how far blood shows.

Knows nothing about texture, or what a face is: it gets pixels and masks.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.colour import oklab
from pipelines.skin_bands import blur, blur_inside

Array = NDArray[Any]
BURNT, BLACK = 254, 8
"""Bytes from which, and up to which, the highest channel of a pixel counts as clipped."""


def clipped(pixels: NDArray[np.uint8], skin: Array) -> tuple[float, float]:
    """Per cent of the skin (bool (H, W)) that is burnt, and that is black."""
    highest = pixels[skin].max(1)
    return 100 * float((highest >= BURNT).mean()), 100 * float((highest <= BLACK).mean())


def brighter_by(luminance: Array, one: Array, *, than: Array) -> float:
    """How many EV the median luminance of one mask lies above that of the other; both hold light."""
    return float(np.log2(np.median(luminance[one]) / np.median(luminance[than])))


def span(luminance: Array, skin: Array, sigma_px: float) -> float:
    """EV between the darkest and the lightest tenth of the skin, texture smoothed away; inf where that is black."""
    smooth = blur_inside(luminance, skin.astype(np.float32), sigma_px)[skin]
    low, high = (float(each) for each in np.quantile(smooth, (0.1, 0.9)))
    return math.log2(high / low) if low > 0 else math.inf


def colour_spread(light: Array, skin: Array, sigma_px: float) -> float:
    """100 times the standard deviation of Oklab (a, b) / L over the skin, smoothed: fall-off of light is no colour."""
    lab, weight = oklab(light), skin.astype(np.float32)
    share = np.maximum(blur(weight, sigma_px), 1e-3)
    level, a, b = (blur(np.ascontiguousarray(lab[..., i]) * weight, sigma_px) / share for i in range(3))
    level = np.maximum(level, 0.05)
    return 100 * float(np.hypot(np.std((a / level)[skin]), np.std((b / level)[skin])))
