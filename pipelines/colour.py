"""Light and colour of sRGB: encoded to linear and back, luminance, Oklab. Knows nothing about skin, masks or files.

Arrays of any shape whose last axis is red, green, blue where a colour is meant; 0 is black, 1 is full light.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Float = TypeVar("Float", bound=np.floating[Any])
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Share of each channel of linear light in luminance: Rec. 709, whose primaries sRGB has."""
LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
"""Linear sRGB to cones: Björn Ottosson, "A perceptual color space for image processing", 2020."""
LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
"""Cube roots of cones to L, a, b; of the same source."""


def linear(encoded: NDArray[Float]) -> NDArray[Float]:
    """Linear light 0..1 of sRGB-encoded values 0..1, in their precision (IEC 61966-2-1)."""
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return light.astype(encoded.dtype, copy=False)


def encoded(light: NDArray[Float]) -> NDArray[Float]:
    """sRGB-encoded values 0..1 of linear light 0..1, in its precision (IEC 61966-2-1)."""
    high = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, high).astype(light.dtype, copy=False)


LIGHT = linear(np.arange(256) / 255)
"""Linear light of the 256 bytes."""


def light_of(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Linear light 0..1 of sRGB bytes, in their shape."""
    return LIGHT.astype(np.float32)[pixels]


def luminance(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Luminance (...) 0..1 of linear light (..., 3)."""
    return np.asarray(light @ LUMA)


def oklab(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Oklab (..., 3) of linear light (..., 3): L 0..1, a and b about -0.4..0.4."""
    cones = np.cbrt(np.maximum(light @ LMS.T.astype(np.float32), 0))
    return np.asarray(cones @ LAB.T.astype(np.float32))
