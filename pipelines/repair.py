"""Cutting out what a model repaints, and pasting back what it made, so that outside the mask no sample changes.

Knows nothing about models or faces. What a model sees and makes is sRGB-encoded; a source with another profile is
handed over, and pasted back, by its own numbers.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines import membrane
from pipelines.colour import encoded, linear, luminance
from pipelines.errors import CellError, InputError
from pipelines.framing import crop_around as crop_around
from pipelines.raster import Raster, check_mask
from pipelines.recipe import Crop, Recipe

CELL = {"sdxl": 8, "flux": 16, "flux2": 16}
"""Pixels a side of what the denoiser keeps or repaints as one: a latent, or FLUX's patches of 2 x 2."""
REACH_PX = 3  # of the Lanczos filter: what is pasted takes its samples from so far around
RIM_PX = 8
"""Pixels of the working size outside the mask that were repainted too, at the least: the colour is matched there."""


def cut(source: Raster, mask: NDArray[np.uint8], recipe: Recipe) -> tuple[Image.Image, Image.Image]:
    """What a stock pipeline is given: the crop as RGB and a hard mask as L, both of the recipe's size.

    `mask` is (height, width) of the whole source, 0 = kept. White in the hard mask is every latent that a sample of the
    paste under mask > 0 depends on. Alpha is dropped, 16 bit rounded to 8 here. Raises InputError for a mask that is
    empty, of another size or larger than the crop.
    """
    if recipe.crop is None:
        raise ValueError("a recipe without a crop has nothing to be cut out")
    soft = _under(source, mask, recipe.crop)
    size = (recipe.width, recipe.height)
    seen = _resized(_colours(source, recipe.crop), size)
    start = Image.fromarray((seen * 255).round().astype(np.uint8), "RGB")
    return start, Image.fromarray(_hard(soft, size, cell=CELL[recipe.checkpoint.family]), "L")


def paste(source: Raster, mask: NDArray[np.uint8], crop: Crop, made: NDArray[np.float32]) -> Raster:
    """The source with what was made laid under the soft mask: colour and light matched at the rim, then blended.

    `made` is (height, width, 3), sRGB-encoded 0..1, of the size the crop was worked on at. Every sample where the mask
    is 0, the alpha channel and the profile are the source's. Blended as encoded: equal steps of the mask then look
    equal, and the source's own samples need no conversion. Raises CellError for values that are not finite, InputError
    as `cut`.
    """
    if not np.isfinite(made).all():
        raise CellError("decoded values are not finite; the repair would be black or noise")
    soft, scale = _under(source, mask, crop), crop.width / made.shape[1]
    near = _around(soft, reach=math.ceil(RIM_PX * scale) + 1)
    soft, before = soft[near], _colours(source, crop)[near]
    patch = _resized(made.clip(0, 1), (crop.width, crop.height))[near]
    patch = membrane.matched(patch, before, _rim(soft, scale=scale))
    blend = before * (1 - soft[..., None]) + patch * soft[..., None]
    pixels = source.pixels.copy()
    part = pixels[_rows(crop), _columns(crop), : source.colours][near]
    full = np.iinfo(pixels.dtype).max
    finished = np.rint((_grey(blend) if source.colours == 1 else blend) * np.float64(full)).astype(pixels.dtype)
    part[soft > 0] = finished[soft > 0]
    return Raster(pixels, source.icc)


def _under(source: Raster, mask: NDArray[np.uint8], crop: Crop) -> NDArray[np.float32]:
    """The mask over the crop, 0..1."""
    check_mask(source, mask)
    if (crop.of_width, crop.of_height) != (source.width, source.height):
        raise InputError(
            f"the crop is of a picture of {crop.of_width}x{crop.of_height}, not {source.width}x{source.height}; "
            "frame it anew"
        )
    soft = mask[_rows(crop), _columns(crop)]
    if not mask.any():
        raise InputError("the mask is empty: nothing in it is white; paint what may change, or name another region")
    if np.count_nonzero(soft) != np.count_nonzero(mask):
        raise InputError("the mask reaches out of the crop; frame it anew, or make the mask smaller")
    return soft.astype(np.float32) / np.float32(255)


def _colours(source: Raster, crop: Crop) -> NDArray[np.float32]:
    """The crop's colours (height, width, 3) 0..1 as encoded; grey three times."""
    part = source.pixels[_rows(crop), _columns(crop), : source.colours]
    colours = part.astype(np.float32) / np.float32(np.iinfo(part.dtype).max)
    return np.broadcast_to(colours, (*colours.shape[:2], 3))


def _rows(crop: Crop) -> slice:
    return slice(crop.top, crop.top + crop.height)


def _columns(crop: Crop) -> slice:
    return slice(crop.left, crop.left + crop.width)


def _resized(pixels: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Channels (height, width, n) 0..1 at another width and height: Lanczos, wide enough not to alias, kept in 0..1."""
    if pixels.shape[1::-1] == size:
        return pixels
    channels = [
        np.asarray(Image.fromarray(np.ascontiguousarray(pixels[..., n])).resize(size, Image.Resampling.LANCZOS))
        for n in range(pixels.shape[2])
    ]
    return np.stack(channels, axis=-1).clip(0, 1)


def _hard(soft: NDArray[np.float32], size: tuple[int, int], *, cell: int) -> NDArray[np.uint8]:
    """White over the cells that the mask touches and those around them, as far as decoder and filter reach."""
    import cv2

    wide, high = -(-size[0] // cell), -(-size[1] // cell)
    touched = np.zeros((high, wide), np.uint8)
    rows, columns = np.nonzero(soft)
    for past in (0, 1):  # a pixel of the crop covers what lies between its two edges
        y = ((rows + past) * size[1] - past) // soft.shape[0] // cell
        x = ((columns + past) * size[0] - past) // soft.shape[1] // cell
        touched[y, x] = 255
    reach = 1 + math.ceil(REACH_PX * max(1.0, size[0] / soft.shape[1]) / cell)
    grown = cv2.dilate(touched, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    return np.ascontiguousarray(grown.repeat(cell, axis=0).repeat(cell, axis=1)[: size[1], : size[0]])


def _around(soft: NDArray[np.float32], *, reach: int) -> tuple[slice, slice]:
    """Rows and columns of the mask and so many pixels around it: the rest of the crop is context for the model."""
    ends = [np.flatnonzero(soft.any(axis))[[0, -1]] for axis in (1, 0)]
    rows, columns = (slice(max(0, int(first) - reach), int(last) + reach + 1) for first, last in ends)
    return rows, columns


def _rim(soft: NDArray[np.float32], *, scale: float) -> NDArray[np.float32]:
    """Where source and patch show the same: just outside the mask, and in the outer half of its feather, less and less.

    `scale` is pixels of the crop a pixel of the working size.
    """
    import cv2

    away: Any = cv2.distanceTransform((soft == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    is_near = (soft == 0) & (away <= max(1.0, RIM_PX * scale))
    return np.where(soft > 0, np.clip(1 - 2 * soft, 0, 1), is_near).astype(np.float32)


def _grey(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """Encoded luminance (height, width, 1) of encoded colours; grey stays what it is."""
    return encoded(luminance(linear(colours)))[..., None]
