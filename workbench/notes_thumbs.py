"""Small copies of the pictures that a note rests on, beside it. Knows nothing about what they show.

They outlive the run: a note without its run still shows what it is about.
"""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from pipelines.files import DISK, Files, put

LONGEST_SIDE = 256  # pixels: a face is told from plastic at that, and a note of ten pictures stays under 200 kB
QUALITY = 82
ENDING = ".webp"


def keep(keys: Iterable[str], run: Path, thumbs: Path, files: Files = DISK) -> tuple[str, ...]:
    """Make what is missing in `thumbs` from the pictures of a run; the keys whose picture is not there are left out.

    Gives the keys that have a thumbnail now. Raises DiskFullError or DiskError.
    """
    made = {}
    for key in keys:
        path = thumbs / f"{key}{ENDING}"
        picture = run / "pictures" / f"{key}.png"
        if files.size(path) is None and picture.is_file():
            made[path] = thumbnail(picture.read_bytes())
    if made:
        put(made, files)
    return there(keys, thumbs, files)


def there(keys: Iterable[str], thumbs: Path, files: Files = DISK) -> tuple[str, ...]:
    """Of these keys those that have a thumbnail."""
    return tuple(key for key in keys if files.size(thumbs / f"{key}{ENDING}") is not None)


def thumbnail(picture: bytes) -> bytes:
    """A small WebP of an image file, without anything that is written in it."""
    from PIL import Image

    with Image.open(BytesIO(picture)) as opened:
        small = opened.convert("RGB")
    small.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    stream = BytesIO()
    small.save(stream, "WEBP", quality=QUALITY, method=4)
    return stream.getvalue()
