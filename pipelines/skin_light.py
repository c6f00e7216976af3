"""Light, clipping and colour over skin: how the two cheeks differ, what is burnt or black, how far blood shows.

Knows nothing about texture, or what a face is: it gets pixels and masks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.skin_bands import blur, blur_inside

Array = NDArray[Any]
BURNT, BLACK = 254, 8
"""Bytes from which, and up to which, the highest channel of a pixel counts as clipped."""
LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)  # Björn Ottosson, "A perceptual color space for image processing", 2020: linear sRGB to cones, cones to Lab
LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(light: Array) -> Array:
    """Oklab (..., 3) float32 of linear sRGB (..., 3), 0..1."""
    lab: Array = (np.cbrt(np.maximum(light @ LMS.T, 0)) @ LAB.T).astype(np.float32)
    return lab


def clipped(pixels: NDArray[np.uint8], skin: Array) -> tuple[float, float]:
    """Per cent of the skin (bool (H, W)) that is burnt, and that is black."""
    highest = pixels[skin].max(1)
    return 100 * float((highest >= BURNT).mean()), 100 * float((highest <= BLACK).mean())


def brighter_by(luminance: Array, one: Array, *, than: Array) -> float:
    """How many EV the median luminance of one mask lies above that of the other; both hold light."""
    return float(np.log2(np.median(luminance[one]) / np.median(luminance[than])))


def span(luminance: Array, skin: Array, sigma_px: float) -> float:
    """EV between the darkest and the lightest tenth of the skin, texture smoothed away."""
    smooth = blur_inside(luminance, skin.astype(np.float32), sigma_px)[skin]
    low, high = np.quantile(smooth, (0.1, 0.9))
    return float(np.log2(high / low))


def colour_spread(light: Array, skin: Array, sigma_px: float) -> float:
    """100 times the standard deviation of Oklab (a, b) / L over the skin, smoothed: fall-off of light is no colour."""
    lab, weight = oklab(light), skin.astype(np.float32)
    share = np.maximum(blur(weight, sigma_px), 1e-3)
    level, a, b = (blur(np.ascontiguousarray(lab[..., i]) * weight, sigma_px) / share for i in range(3))
    level = np.maximum(level, 0.05)
    return 100 * float(np.hypot(np.std((a / level)[skin]), np.std((b / level)[skin])))
