"""Photographs made worse in known ways, none of which is a step of the measures that are tried on them.

sRGB pixels (H, W, 3) uint8 in and out. Lengths are shares of the eye distance, so that faces of any size are treated
alike. Knows nothing about measures, but for what each way should do to them.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.colour import encoded, light_of

Pixels = NDArray[np.uint8]
Move = Literal["falls", "rises"]


@dataclass(frozen=True)
class Way:
    """One way to make a photograph worse, from mild to strong.

    `moves` are measures that should fall or rise from level to level, `stays` those that should not move by more than
    so much: a factor for measures that are compared by ratio, else a difference in their unit.
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    change: Callable[[Pixels, float, float], Pixels]
    """(pixels, level, eye distance in px) -> pixels"""
    moves: Mapping[str, Move]
    stays: Mapping[str, float]


def median(pixels: Pixels, level: float, eyes: float) -> Pixels:
    """A median filter: what "remove noise" and "smooth skin" tools do to pores first."""
    return np.asarray(cv2.medianBlur(pixels, 2 * max(1, round(level * eyes / 2)) + 1), np.uint8)


def bilateral(pixels: Pixels, level: float, eyes: float) -> Pixels:
    """A bilateral filter: skin smoothed, edges kept."""
    return np.asarray(cv2.bilateralFilter(pixels, 0, level, 0.03 * eyes), np.uint8)


def denoised(pixels: Pixels, level: float, eyes: float) -> Pixels:
    """Non-local means (Buades et al. 2005), as a denoising upscaler leaves skin."""
    return np.asarray(cv2.fastNlMeansDenoisingColored(pixels, None, level, level, 5, 15), np.uint8)


def out_of_focus(pixels: Pixels, level: float, eyes: float) -> Pixels:
    """A disc, as a lens out of focus draws every point, in linear light."""
    radius = level * eyes
    side = 2 * int(np.ceil(radius)) + 1
    y, x = np.mgrid[:side, :side] - side // 2
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return _bytes(cv2.filter2D(light_of(pixels), -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT))


def sharpened(pixels: Pixels, level: float, eyes: float) -> Pixels:
    """Minus so much of the Laplacian, as a sharpening slider of single pixels adds it."""
    values = pixels.astype(np.float32)
    return np.asarray(np.clip(np.round(values - level * cv2.Laplacian(values, cv2.CV_32F)), 0, 255), np.uint8)


def grainy(pixels: Pixels, level: float, eyes: float) -> Pixels:
    """Shot noise of so many thousand photons at white (Poisson), every pixel and channel alone."""
    photons = 1000 * level
    counted = np.random.default_rng(0).poisson(light_of(pixels) * photons)
    return _bytes(np.clip(counted / photons, 0, 1).astype(np.float32))


def jpeg(pixels: Pixels, level: float, eyes: float) -> Pixels:
    """Saved as JPEG of this quality."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=int(level))
    return np.asarray(Image.open(file).convert("RGB"))


def darker(pixels: Pixels, level: float, eyes: float) -> Pixels:
    """Exposed by so many EV less."""
    return _bytes(light_of(pixels) * 2.0**level)


def smaller(pixels: Pixels, level: float, eyes: float) -> Pixels:
    """Scaled down by Lanczos."""
    size = (round(pixels.shape[1] * level), round(pixels.shape[0] * level))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _bytes(light: NDArray[Any]) -> Pixels:
    return np.asarray(np.round(255 * encoded(np.clip(light, 0, 1))), np.uint8)


SOFTER: Mapping[str, Move] = {"texture": "falls", "slope": "falls"}
WAYS: tuple[Way, ...] = (
    Way("median filter", "eye distances", (0.03, 0.05, 0.08, 0.12), median, SOFTER, {}),
    Way("bilateral filter", "levels of 255", (10, 20, 40, 80), bilateral, SOFTER, {}),
    Way("non-local means", "strength", (3, 6, 10, 16), denoised, SOFTER, {}),
    Way("out of focus", "eye distances", (0.01, 0.02, 0.03, 0.05), out_of_focus, SOFTER, {}),
    Way("sharpening", "of the Laplacian", (0.1, 0.2, 0.4, 0.8), sharpened, {"halo": "rises", "texture": "rises"}, {}),
    Way("shot noise", "thousand photons", (20, 5, 1.5, 0.5), grainy, {"pixel_share": "rises", "texture": "rises"}, {}),
    Way("JPEG", "quality", (95, 85, 70, 50), jpeg, {}, {"texture": 1.15, "slope": 0.2, "halo": 0.1}),
    Way("exposure", "EV", (-1, -2, -3, -4), darker, {}, {"texture": 1.1, "slope": 0.15, "side_ev": 0.1}),
    Way("scaled down", "of the size", (0.9, 0.75, 0.6), smaller, {}, {"texture": 1.2, "slope": 0.3, "side_ev": 0.1}),
)
