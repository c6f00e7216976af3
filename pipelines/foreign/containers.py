"""Where tools keep their texts in PNG, JPEG and WebP. Knows nothing about what the texts mean.

Nothing is executed or fetched, and pixels are decoded only where a PNG may hold text behind them.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from pipelines.errors import InputError
from pipelines.foreign.ledger import LONGEST_TEXT
from pipelines.images import BROKEN, MAX_PIXELS

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 256 * 2**20  # four times the largest portrait seen (16 bit, 45 megapixels)
COMMENT = "UserComment"
MAKER = "MakerNote"
CHUNKS = (
    "sidelight", "parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata", "Dream", "fooocus_scheme",
    "Software", "Comment", "Description",
)  # fmt: skip
"""Keywords of PNG text chunks that are looked at."""
TELLING = {"sidelight", "parameters", "prompt", "workflow", "invokeai_metadata"}
_SUB, _COMMENT_TAG, _MAKER_TAG, _SOFTWARE_TAG = 0x8769, 0x9286, 0x927C, 0x0131
_BROKEN = (*BROKEN, TypeError, AttributeError, RecursionError, MemoryError)
"""What Pillow's EXIF reader raises beside: for tags of a type that nobody writes there."""


def texts(path: Path) -> Mapping[str, str]:
    """The texts of a picture by the keyword or tag they are kept under; empty if there is none.

    ComfyUI's EXIF texts come under `prompt` and `workflow`, as in a PNG. Raises InputError with one line for files that
    are damaged, too large, of another kind, or made to hurt.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(
                f"{path} has {size:,} bytes; allowed: {MAX_BYTES:,}: give a smaller copy, untouched inside"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of too many pixels, and of EXIF that is cut off
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                found = _texts(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{path} has more than {MAX_PIXELS:,} pixels; make it smaller") from None
    except FileNotFoundError:
        raise InputError(f"{path} is not there; give the path of a picture") from None
    except UnidentifiedImageError:
        raise InputError(f"{path} is not a picture of a known kind; allowed: {', '.join(FORMATS)}") from None
    except (*_BROKEN, UserWarning) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"{path} cannot be read ({reason}); it is damaged, give another copy") from None
    if too_long := [name for name, text in found.items() if len(text) > LONGEST_TEXT]:
        raise InputError(f"{path}: its text {too_long[0]} is longer than {LONGEST_TEXT:,} characters")
    if nul := [name for name, text in found.items() if "\0" in text]:
        raise InputError(f"{path}: its text {nul[0]} holds a NUL character, which is no text")
    return {name: text for name, text in found.items() if text.strip()}


def _texts(image: Image.Image) -> dict[str, str]:
    found = _chunks(image)
    if image.format == "PNG" and not TELLING & found.keys():
        image.load()  # text may follow the pixels
        found = _chunks(image)
    exif = image.info.get("exif")
    return _exif(exif) | found if isinstance(exif, bytes) and not TELLING & found.keys() else found


def _chunks(image: Image.Image) -> dict[str, str]:
    if image.format != "PNG":
        return {}
    return {name: str(image.info[name]) for name in CHUNKS if isinstance(image.info.get(name), str)}


def _exif(data: bytes) -> dict[str, str]:
    exif = Image.Exif()
    exif.load(data)
    sub = exif.get_ifd(_SUB)
    found = {
        COMMENT: _comment(sub.get(_COMMENT_TAG) or exif.get(_COMMENT_TAG)),  # Fooocus writes it into the first folder
        MAKER: _plain(sub.get(_MAKER_TAG) or exif.get(_MAKER_TAG)),
        "Software": _plain(exif.get(_SOFTWARE_TAG)),
    }
    for value in exif.values():
        head, colon, rest = _plain(value).partition(":")
        if colon and head.casefold() in ("prompt", "workflow") and rest.lstrip().startswith("{"):
            found[head.casefold()] = rest.strip()
    return {name: text for name, text in found.items() if text}


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value.strip("\0 ") if isinstance(value, str) else ""


def _comment(value: Any) -> str:
    """A UserComment by the eight bytes that name its alphabet; UTF-16 in either order, as both are written."""
    if not isinstance(value, bytes):
        return _plain(value)
    head, body = value[:8], value[8:]
    if head == b"UNICODE\0":
        return _utf16(body)
    if head in (b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(8)):
        return _plain(body)
    return _plain(value)


def _utf16(body: bytes) -> str:
    """The order of bytes shows in where the zeros are: high bytes of the plain letters every such text has."""
    zeros = [body[side::2].count(0) for side in (0, 1)]
    if not any(zeros):
        return _plain(body)  # some write UTF-8 under this name
    order = "utf-16-be" if zeros[0] >= zeros[1] else "utf-16-le"
    return body[: len(body) // 2 * 2].decode(order, "replace").strip("\0\ufeff ")
