"""The bytes of one picture, whole or not at all, and a small version of it. Knows nothing about grids or HTTP.

A browser may keep what is served here for ever, so a PNG whose hash is not the one its sidecar names is not served.
"""

import hashlib
import io
import json
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipelines.images import BROKEN, MAX_PIXELS
from workbench.web.inside import read_inside

KEY = re.compile("[0-9a-f]{16}")
CONTENT = re.compile("[0-9a-f]{64}")
THUMB_SIDE = 384
"""Pixels of the longer side of a small version; what is smaller stays as it is."""
THUMB_QUALITY = 88
KEPT_BYTES = 64_000_000


@dataclass(frozen=True)
class Whole:
    """A picture as it was committed: PNG and sidecar, byte for byte, and the PNG's SHA-256."""

    png: bytes
    sidecar: bytes
    sha256: str


def whole(folder: Path, key: str) -> Whole | None:
    """The picture of a run folder with this key; None if there is none or it is not whole."""
    if not KEY.fullmatch(key):
        return None
    sidecar = read_inside(folder, "pictures", f"{key}.json")
    png = read_inside(folder, "pictures", f"{key}.png") if sidecar else None
    if not sidecar or not png:
        return None
    digest = hashlib.sha256(png).hexdigest()
    try:
        said = json.loads(sidecar)
        is_whole = said["png_sha256"] == digest and said["key"] == key
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return Whole(png, sidecar, digest) if is_whole else None


def input_image(folder: Path, content: str) -> bytes | None:
    """The copy of a mask, reference or start image that has this content hash; None if the run has none."""
    if not CONTENT.fullmatch(content):
        return None
    png = read_inside(folder, "inputs", f"{content}.png")
    return png if png and png.startswith(b"\x89PNG\r\n\x1a\n") else None


class Thumbs:
    """Small versions of pictures, the last ones kept in memory; for several threads at once."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._kept_bytes, self._bytes = kept_bytes, 0

    def of(self, picture: Whole) -> bytes | None:
        """As WebP with the picture's ICC profile; None if it cannot be decoded."""
        with self._lock:
            if picture.sha256 in self._kept:
                self._kept.move_to_end(picture.sha256)
                return self._kept[picture.sha256]
        made = thumb(picture.png)
        if made:
            self._keep(picture.sha256, made)
        return made

    def _keep(self, name: str, made: bytes) -> None:
        with self._lock:
            self._bytes += len(made) - len(self._kept.pop(name, b""))
            self._kept[name] = made
            while self._bytes > self._kept_bytes:
                self._bytes -= len(self._kept.popitem(last=False)[1])


def thumb(png: bytes) -> bytes | None:
    """A small WebP of a PNG, for finding one's way, not for judging skin; None if it cannot be decoded."""
    file = io.BytesIO()
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            small = image.convert("RGB")
            small.thumbnail((THUMB_SIDE, THUMB_SIDE), Image.Resampling.LANCZOS)
            profile = image.info.get("icc_profile")
            kept = {"icc_profile": profile} if isinstance(profile, bytes) else {}
            small.save(file, "WEBP", quality=THUMB_QUALITY, **kept)
    except (*BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    return file.getvalue()
