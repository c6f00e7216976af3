"""Two real photographs that come with Python packages, small, and in other lights. Knows nothing about faces."""

import functools
from typing import Any

import cv2
import matplotlib.cbook
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from pipelines.colour import encoded, light_of

Pixels = NDArray[np.uint8]


@functools.cache
def collins() -> Pixels:
    """A smiling woman, her eyes 43 px apart, 3 degrees tilted: (256, 256, 3)."""
    return np.ascontiguousarray(skimage.data.astronaut()[:256, 96:352])


@functools.cache
def hopper() -> Pixels:
    """A woman with spectacles and a cap, her eyes 44 px apart: (300, 256, 3)."""
    path = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    with Image.open(str(path)) as image:
        return np.asarray(image.convert("RGB").resize((256, 300), Image.Resampling.LANCZOS))


@functools.cache
def side_by_side() -> Pixels:
    return np.hstack([hopper()[:256], collins()])


def lit(pixels: Pixels, *colour: float) -> Pixels:
    """The picture under a light of this colour and strength (linear light)."""
    light = np.clip(light_of(pixels) * np.array(colour, np.float32), 0, 1)
    return np.asarray(np.round(encoded(light) * 255), np.uint8)


def turned(pixels: Pixels, degrees: float) -> tuple[Pixels, NDArray[Any]]:
    affine = cv2.getRotationMatrix2D((pixels.shape[1] / 2, pixels.shape[0] / 2), degrees, 1)
    return cv2.warpAffine(pixels, affine, pixels.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101), affine


PHOTOGRAPHS = pytest.mark.parametrize("photograph", [collins, hopper])
