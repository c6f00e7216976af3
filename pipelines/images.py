"""Opening images safely, and the hash that is their identity. Knows nothing about what is in them."""

import hashlib
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pipelines.errors import CellError, InputError

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
MAX_PIXELS = 89_478_485  # where Pillow begins to warn of decompression bombs; here it is an error
BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, OverflowError, KeyError, IndexError)
"""What Pillow raises for files that are cut off, bent or made to hurt."""
UPRIGHT = 1
"""EXIF's orientation of what needs no turning."""
DEPTH = {"L": 8, "LA": 8, "RGB": 8, "RGBA": 8, "I;16": 16}
"""Modes that `open_image` returns, with bits a channel. All are kept without loss in a PNG."""


def load(path: Path, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """The decoded image as Pillow gives it, with its text chunks in `info`; raises InputError with one line."""
    try:
        with Image.open(path, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(_too_large(path, f"{image.width} x {image.height} pixels"))
            image.load()
            return image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(_too_large(path, "far more pixels")) from None
    except FileNotFoundError:
        raise InputError(f"{path} is not there; give the path of an image") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give the path of an image") from None
    except UnidentifiedImageError:
        raise InputError(f"{path} is not a picture of a known kind; allowed: {', '.join(formats)}") from None
    except BROKEN as error:
        raise InputError(f"{path} cannot be read ({_first_line(error)}); it is damaged, give another copy") from None


def open_image(path: Path) -> Image.Image:
    """An image to work on: upright, first frame, mode of `DEPTH`, its ICC profile in `info`, all else dropped.

    Channels are 0..255 (0..65535 for I;16) in the colour space of the profile, sRGB if there is none. Palettes become
    RGB or RGBA, 1 bit becomes L. Raises InputError for other modes (CMYK, 32 bit), damaged and too large files.
    """
    return opened(path)[0]


def opened(path: Path) -> tuple[Image.Image, int]:
    """As `open_image`, and the EXIF orientation it was turned by, 1..8; 1 where it lay upright."""
    loaded = load(path)
    try:
        image, orientation = _plain(loaded)
    except BROKEN as error:
        raise InputError(f"{path} cannot be read ({_first_line(error)}); it is damaged, give another copy") from None
    if image.mode not in DEPTH:
        raise InputError(
            f"{path} has colour mode {image.mode}; allowed: {', '.join(DEPTH)}: save it as RGB or grey, 8 or 16 bit"
        )
    return image, orientation


def content_hash(image: Image.Image) -> str:
    """Hex SHA-256 of decoded pixels, mode, size, depth and ICC profile: equal for equal images whatever the file is.

    `image` is of a mode in `DEPTH`, as `open_image` returns it; KeyError otherwise.
    """
    return identity(image.tobytes(), image.size, mode=image.mode, bits=DEPTH[image.mode], profile=_profile(image))


def identity(samples: bytes | memoryview, size: tuple[int, int], *, mode: str, bits: int, profile: bytes) -> str:
    """Hex SHA-256 that pictures are known by. 16-bit samples are little endian; `size` is width and height."""
    head = f"{mode} {size[0]}x{size[1]} {bits} bit, {len(profile)} bytes of profile\n"
    digest = hashlib.sha256(head.encode() + profile)
    digest.update(samples)
    return digest.hexdigest()


def to_uint8(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Decoded float pixels (H, W, 3), 0..1, to bytes, rounded as diffusers' VaeImageProcessor does.

    Raises CellError if a value is not finite (in bytes it would be black or noise, and look like success).
    """
    if not np.isfinite(pixels).all():
        share = 1 - float(np.isfinite(pixels).mean())
        raise CellError(f"{share:.0%} of the decoded values are not finite; the picture would be black or noise")
    return (pixels * 255).round().astype(np.uint8)


def _plain(image: Image.Image) -> tuple[Image.Image, int]:
    """Upright, without palette, and with nothing in `info` but what we know to be what it should be; how it lay."""
    kinds: dict[str, tuple[type, ...]] = {
        "icc_profile": (bytes,),
        "exif": (bytes,),
        "transparency": (bytes, int, tuple),
    }
    # A PNG text chunk may be called "transparency" or "icc_profile" and would be taken for it.
    image.info = {name: value for name, value in image.info.items() if isinstance(value, kinds.get(str(name), ()))}
    profile = _profile(image)
    orientation = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    image = ImageOps.exif_transpose(image)
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("P", "PA") or "transparency" in image.info:
        has_alpha = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if has_alpha else "RGB")
    plain = image.copy()
    plain.info = {"icc_profile": profile} if profile else {}
    return plain, orientation


def _profile(image: Image.Image) -> bytes:
    profile: Any = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else b""


def _too_large(path: Path, given: str) -> str:
    return f"{path} has {given}; allowed: {MAX_PIXELS}: make it smaller"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
