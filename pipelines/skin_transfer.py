"""The fine structure of skin in two bands of log light: reading it, and making more of its kind for another face.

Knows nothing about recipes, weights of a reference or files: linear light and masks in, exposure steps out.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.colour import light_of, luminance
from pipelines.errors import InputError
from pipelines.faces import Face
from pipelines.regions import FaceMap
from pipelines.skin_bands import Bands, bands, log_light, shrunk

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]
PLACES = ("left-cheek", "right-cheek", "forehead", "nose", "chin")
FINEST = 0.003  # finer than this is the reference's sensor and its JPEG, not its skin
PATCH = 0.22  # side of a patch in eye distances: wide enough for mottle, narrower than any feature of a face
OUTLIER = 3.5  # sigmas at which a band is soft-clipped: a mole or a scar stands out by 5 to 20
CALMEST = 0.35  # share of a place's patches that are used: those least like a wrinkle, a strand of hair or a mole
FEWEST = 12  # patches; a place with fewer takes them from the others
HIGHEST = 0.0895  # EV: 6.2 % contrast, the most that sharp photographs have in the texture band (docs of the measure)
STEEPEST = 0.7  # log2 mottle / texture: above it (slope below -0.7) it is wrinkles, not pores
AROUND = 1.6  # eye distances that are kept around a face that is cut out: its skin is told from what is there


def places(face_map: FaceMap, number: int) -> dict[str, NDArray[np.bool_]]:
    """Where cheeks, forehead, nose and chin of a face lie (h, w), hair and brows not yet left out."""
    return {name: face_map.region(number, name) > 0.5 for name in PLACES}


def nearness(where: dict[str, NDArray[np.bool_]], eye_distance: float) -> dict[str, Array]:
    """How much each place counts at each pixel (h, w): they sum to 1 and pass softly into each other."""
    far = {
        name: cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
        for name, mask in where.items()
        if mask.any()
    }
    pull = {name: np.exp(-np.minimum(distance / (0.1 * eye_distance), 60)) + 1e-30 for name, distance in far.items()}
    total = np.sum(list(pull.values()), axis=0)
    return {name: (value / total).astype(np.float32) for name, value in pull.items()}


@dataclass(frozen=True)
class Source:
    """A reference's skin at the size of the target's face.

    `unit` (h, w, 2): both bands, each place brought to sigma 1. `corners`: upper left corners of its clean patches by
    place. `levels`: sigma of both bands by place, EV.
    """

    unit: Array
    corners: dict[str, NDArray[np.int32]]
    levels: dict[str, tuple[float, float]]
    patch: int


def source(found: FaceMap) -> Source:
    """Read the skin of a reference whose face 1 was brought to the target's eye distance (`scaled_face`).

    Raises InputError if too little clean skin is to be seen.
    """
    eye_distance = found.faces[0].eye_distance
    skin = found.region(1, "skin") > 0.6
    light = light_of(found.pixels)
    weight = shrunk(skin, 0.005 * eye_distance).astype(np.float32)
    if weight.sum() < (0.5 * eye_distance) ** 2:
        raise InputError("the reference shows too little skin to take texture from; give one with bare cheeks")
    bright = luminance(light)
    log = log_light(bright, weight > 0)
    read = bands(log, eye_distance, weight=weight)
    fine = bands(log, eye_distance, weight=weight, finest=FINEST)
    lit = (light.max(2) < 0.98) & (bright > 0.1 * np.median(bright[weight > 0]))
    good = shrunk(skin & lit, 0.02 * eye_distance)
    where = {name: mask & good for name, mask in places(found, 1).items()}
    where = {name: mask for name, mask in where.items() if mask.sum() > (0.15 * eye_distance) ** 2}
    levels = {name: read.levels(mask) for name, mask in where.items()}
    unit = _unit(fine, where, eye_distance, levels)
    levels = {name: _limited(*level) for name, level in levels.items()}
    patch = max(8, 2 * round(PATCH * eye_distance / 2))
    corners = _corners(unit, good, where, patch)
    if not corners:
        raise InputError("the reference shows too little clean skin to take texture from; give one with bare cheeks")
    return Source(unit, corners, levels, patch)


def scaled_face(pixels: Pixels, face: Face, eye_distance: float) -> tuple[Pixels, Face]:
    """The face and what is around it, at another size; the face with it."""
    height, width = pixels.shape[:2]
    room = AROUND * face.eye_distance
    low = np.maximum(np.floor(face.points.min(0) - room), 0).astype(int)
    high = np.minimum(np.ceil(face.points.max(0) + room), (width, height)).astype(int)
    cut = pixels[low[1] : high[1], low[0] : high[0]]
    scale = eye_distance / face.eye_distance
    size = (max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    points = (face.points - low) * (np.array(size) / cut.shape[1::-1])
    scaled = np.asarray(cv2.resize(cut, size, interpolation=how), np.uint8)
    return scaled, Face(1, points.astype(np.float32), face.score, size)


def _unit(
    fine: Bands, where: dict[str, NDArray[np.bool_]], eye_distance: float, levels: dict[str, tuple[float, float]]
) -> Array:
    """Both bands over their place's sigma, soft-clipped: what stands out (a mole, a scar, a hair) does not get far."""
    near = nearness(where, eye_distance)
    out = []
    for number, band in enumerate(fine):
        sigma = np.sum([near[name] * max(levels[name][number], 1e-4) for name in near], axis=0)
        out.append(OUTLIER * np.tanh(band / sigma / OUTLIER))
    return np.dstack(out).astype(np.float32)


def _corners(
    unit: Array, good: NDArray[np.bool_], where: dict[str, NDArray[np.bool_]], patch: int
) -> dict[str, NDArray[np.int32]]:
    """Upper left corners of the patches that are all skin and hold nothing that stands out, by place."""
    unlikely = _unlikely(unit, patch)
    inside = _patch_mean(good.astype(np.float32), patch) > 0.98
    centred = {name: inside & np.roll(mask, (-patch // 2, -patch // 2), (0, 1)) for name, mask in where.items()}
    every = np.any(list(centred.values()), axis=0)
    if not every.any():
        return {}
    plain = unlikely <= np.quantile(unlikely[every], CALMEST)
    out = {name: np.argwhere(mask & plain).astype(np.int32) for name, mask in centred.items()}
    return {name: found for name, found in out.items() if len(found) >= FEWEST}


def _unlikely(unit: Array, patch: int) -> Array:
    """How little the patch below and right of each pixel looks like plain skin: outliers, one direction, loudness.

    A mole or a rim stands out, a wrinkle or a strand of hair has one direction (coherence of the structure tensor,
    0..1), a fold is louder than the skin about it.
    """
    wild = _patch_mean((np.abs(unit).max(2) > 0.85 * OUTLIER).astype(np.float32), patch)
    both = unit.sum(2)
    down, across = cv2.Sobel(both, cv2.CV_32F, 0, 1), cv2.Sobel(both, cv2.CV_32F, 1, 0)
    yy, xx, xy = (_patch_mean(product, patch) for product in (down * down, across * across, down * across))
    one_way = np.hypot(xx - yy, 2 * xy) / np.maximum(xx + yy, 1e-6)
    loud = np.abs(np.log2(np.maximum(_patch_mean((unit * unit).sum(2), patch), 1e-6) / 2))
    return np.asarray(10 * wild + one_way + 0.5 * loud, np.float32)


def _limited(texture: float, mottle: float) -> tuple[float, float]:
    texture = min(texture, HIGHEST)
    return texture, min(mottle, texture * 2**STEEPEST)


def _patch_mean(values: Array, patch: int) -> Array:
    """Mean over the patch whose upper left corner is the pixel; 0 where it would stick out."""
    mean = cv2.boxFilter(values, -1, (patch, patch), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(mean, np.float32)


def more_of(skin: Source, near: dict[str, Array], inside: NDArray[np.bool_], *, seed: int = 0) -> Array:
    """Both bands (h, w, 2), sigma 1, for another face: patches of the reference in random places of the same place.

    Neighbours overlap by half under windows whose squares sum to 1, which keeps the variance of unlike patches
    (Heitz and Neyret 2018, "High-performance by-example noise").
    """
    height, width = inside.shape
    patch, half = skin.patch, skin.patch // 2
    generator = np.random.default_rng(seed)
    bow = np.sin(np.pi * (np.arange(patch) + 0.5) / patch).astype(np.float32)
    window = (bow[:, None] * bow)[..., None]
    names = [name for name in near if name in skin.corners] or list(skin.corners)
    out = np.zeros((height + 2 * patch, width + 2 * patch, 2), np.float32)
    for top in range(-half, height, half):
        for left in range(-half, width, half):
            draw = generator.random(2)
            y, x = min(max(top + half, 0), height - 1), min(max(left + half, 0), width - 1)
            if not inside[max(top, 0) : top + patch, max(left, 0) : left + patch].any():
                continue
            share = np.array([near[name][y, x] if name in near else 1.0 for name in names])
            name = names[min(int(np.searchsorted(np.cumsum(share / share.sum()), draw[0])), len(names) - 1)]
            row, column = skin.corners[name][int(draw[1] * len(skin.corners[name]))]
            piece = skin.unit[row : row + patch, column : column + patch]
            out[top + patch : top + 2 * patch, left + patch : left + 2 * patch] += window * piece
    return out[patch : patch + height, patch : patch + width]
