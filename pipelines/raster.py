"""Pictures as arrays without loss, 8 and 16 bit, with alpha and profile; to and from files.

Knows nothing about recipes. Pillow reads 16-bit colour as 8 bit and cannot write it: opencv reads it, and a few lines
here write it.
"""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from pipelines.errors import InputError
from pipelines.images import FORMATS, identity, opened

COMPRESS_LEVEL = 4  # a 1024 px portrait: level 3 is 14 % larger in half the time, 6 and 9 gain nothing (Pillow 12.3)
LARGE_PIXELS = 2**24
"""Photographs, which no checkpoint makes: packed by Z_RLE, at 40 megapixels 3 s instead of 8 for the same size."""
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
"""Pillow's name of what has this many channels in 8 bit."""
PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}
UP = 2
"""PNG's filter that keeps the difference to the sample above: a tenth smaller than none for 16-bit photographs."""
PNG_DEEP = {"LA;16B": 2, "RGB;16B": 3, "RGBA;16B": 4}
"""Channels by Pillow's name of how the samples lie in the file."""
TURNED: Mapping[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda lying: lying,
    2: lambda lying: lying[:, ::-1],
    3: lambda lying: lying[::-1, ::-1],
    4: lambda lying: lying[::-1],
    5: lambda lying: lying.swapaxes(0, 1),
    6: lambda lying: lying[::-1].swapaxes(0, 1),
    7: lambda lying: lying[::-1, ::-1].swapaxes(0, 1),
    8: lambda lying: lying[:, ::-1].swapaxes(0, 1),
}
"""How EXIF's orientations are undone; TIFFs come upright from both readers."""


@dataclass(frozen=True, eq=False)
class Raster:
    """A picture's samples and colour space.

    `pixels` is (height, width, channels), uint8 or uint16 over its whole range; 1 to 4 channels are grey, grey and
    alpha, RGB, RGBA, in the colour space of the ICC profile `icc`, sRGB where that is empty; alpha is not multiplied
    into the colours.
    """

    pixels: NDArray[Any]
    icc: bytes

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in MODES or self.pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"no raster: {self.pixels.dtype} samples of shape {self.pixels.shape}")

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])

    @property
    def bits(self) -> int:
        """A sample's depth: 8 or 16."""
        return self.pixels.dtype.itemsize * 8

    @property
    def colours(self) -> int:
        """Channels without alpha: 1 (grey) or 3."""
        return 1 if self.pixels.shape[2] <= 2 else 3

    def words(self) -> str:
        """Size, channels and depth for a message: "1024x768 RGBA, 16 bit"."""
        return f"{self.width}x{self.height} {MODES[self.pixels.shape[2]]}, {self.bits} bit"


def open_raster(path: Path) -> Raster:
    """A PNG, JPEG, WebP or TIFF: upright, first frame, no palette; 16-bit grey, RGB and RGBA without loss.

    Raises InputError, one line, for what `images.open_image` refuses, and for 16-bit files that two readers do not read
    alike (channels in separate planes, colour multiplied by alpha).
    """
    image, orientation = opened(path)
    icc = image.info.get("icc_profile", b"")
    seen = np.asarray(image)
    seen = seen if seen.ndim == 3 else seen[..., None]
    channels = _deep_channels(path)
    if not channels:
        return Raster(seen, icc)
    deep = _read_deep(path, channels, orientation=orientation)
    if deep is None or deep.shape[:2] != seen.shape[:2] or not _is_alike(deep, seen):
        raise InputError(
            f"{path} keeps its 16 bits in a way that is not read; save it as a PNG, or as an ordinary TIFF"
        )
    return Raster(deep, icc)


def content(raster: Raster) -> str:
    """Hex SHA-256 of samples, channels, size, depth and profile: a picture's identity, whatever its file is.

    It is `images.content_hash` of the same picture for all that `images.open_image` keeps without loss.
    """
    mode = MODES[raster.pixels.shape[2]]
    if raster.bits == 16:
        mode = "I;16" if mode == "L" else f"{mode};16"
    samples = np.ascontiguousarray(raster.pixels, raster.pixels.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
    return identity(samples.data, (raster.width, raster.height), mode=mode, bits=raster.bits, profile=raster.icc)


def rgb8(raster: Raster) -> NDArray[np.uint8]:
    """The colours as (height, width, 3) bytes, 16 bit rounded to 8; grey three times, alpha dropped."""
    colours = _to_8_bit(raster.pixels[..., : raster.colours])
    return np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:2], 3)))


def box_of(raster: Raster) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what is not black, in pixels; None where all is."""
    is_white = grey8(raster) > 0
    rows, columns = np.flatnonzero(is_white.any(1)), np.flatnonzero(is_white.any(0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if rows.size else None


def grey8(raster: Raster) -> NDArray[np.uint8]:
    """Lightness as (height, width) bytes, for masks: colours weighted as Pillow's "L" does, alpha dropped."""
    if raster.colours == 1:
        return np.ascontiguousarray(_to_8_bit(raster.pixels[..., 0]))
    return np.asarray(Image.fromarray(rgb8(raster), "RGB").convert("L"))


def _to_8_bit(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Samples of either depth as bytes, rounded: 65535 is 255."""
    if samples.dtype == np.uint8:
        return samples
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_png(raster: Raster, *, text: Mapping[str, str] = MappingProxyType({}), parameters: str = "") -> bytes:
    """A PNG of the raster, its profile, `text` as iTXt chunks and the `parameters` that other tools read.

    Equal rasters and texts give equal bytes on one machine. What Pillow can write it writes.
    """
    info = PngInfo()
    for name, value in text.items():
        info.add_itxt(name, value)
    if parameters:
        info.add_text("parameters", parameters)
    if raster.bits == 16 and raster.pixels.shape[2] > 1:
        return _deep_png(raster, info)
    file = io.BytesIO()
    pixels = raster.pixels[..., 0] if raster.pixels.shape[2] == 1 else raster.pixels
    image = Image.fromarray(np.ascontiguousarray(pixels))
    how = {"compress_type": zlib.Z_RLE} if raster.width * raster.height > LARGE_PIXELS else {}
    image.save(file, "PNG", pnginfo=info, icc_profile=raster.icc or None, compress_level=COMPRESS_LEVEL, **how)
    return file.getvalue()


def check_mask(picture: Raster, mask: NDArray[np.uint8]) -> None:
    """Refuse a mask that is not the picture's size; raises InputError."""
    if mask.shape != picture.pixels.shape[:2]:
        high, wide = mask.shape
        raise InputError(
            f"the mask is {wide}x{high} but the picture is {picture.width}x{picture.height}; give a mask of its size"
        )


def _deep_png(raster: Raster, info: PngInfo) -> bytes:
    """A PNG of 16-bit colours, chunk by chunk; source of the format: PNG, third edition, W3C 2025.

    Low bytes are noise, in which longer repeats are not worth looking for: Z_RLE packs a 1024 px portrait as small as
    level 4 does, in a quarter of the time (55 ms for 5.2 MB).
    """
    high, wide, channels = raster.pixels.shape
    lines = np.ascontiguousarray(raster.pixels, ">u2").view(np.uint8).reshape(high, -1)
    filtered = np.full((high, lines.shape[1] + 1), UP, np.uint8)
    filtered[0, 1:] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", wide, high, 16, PNG_COLOUR[channels], 0, 0, 0))]
    if raster.icc:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(raster.icc)))
    chunks += [(kind, data) for kind, data, *_ in info.chunks]
    packer = zlib.compressobj(1, strategy=zlib.Z_RLE)
    chunks += [(b"IDAT", packer.compress(filtered.data) + packer.flush()), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _deep_channels(path: Path) -> int:
    """Channels of a file that keeps colours in 16 bit, which Pillow would read as 8; 0 for all other files."""
    with Image.open(path, formats=FORMATS) as image:
        if image.format == "PNG":
            return PNG_DEEP.get(str(image.tile[0][3]), 0)
        if image.format == "TIFF":
            depths = image.tag_v2.get(ExifTags.Base.BitsPerSample, ())  # type: ignore[attr-defined]  # of TIFF files
            return len(depths) if len(depths) in (3, 4) and 16 in depths else 0
    return 0


def _read_deep(path: Path, channels: int, *, orientation: int) -> NDArray[np.uint16] | None:
    import cv2

    try:
        read = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if read is None or read.dtype != np.uint16 or read.ndim != 3:
        return None
    if channels == 2:
        colours = read[..., [0, 3]]  # opencv gives grey three times and alpha
    else:
        colours = cv2.cvtColor(read, cv2.COLOR_BGR2RGB if read.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
    return np.ascontiguousarray(TURNED[orientation](colours))


def _is_alike(deep: NDArray[np.uint16], seen: NDArray[Any]) -> bool:
    """Whether the high bytes of the colours are what Pillow, which keeps those alone, read."""
    colours = 1 if deep.shape[2] == 2 else 3
    return np.array_equal(deep[..., :colours] >> 8, seen[..., :colours])
