"""Pictures and painted masks that the page works on: kept in the state folder for a day, their faces found once.

Whatever a run needs of them it copies into itself. Knows nothing about HTTP, or about what a face is for.
"""

import hashlib
import re
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines import files, masks, metadata
from pipelines.errors import InputError
from pipelines.mask_words import Painted, parse, terms
from pipelines.raster import Raster, grey8, open_raster, rgb8
from pipelines.recipe import Recipe
from pipelines.regions import FaceMap, face_map
from workbench.queue import state_folder

ID = re.compile("[0-9a-f]{32}")
PICTURE = "picture"
KEPT_SECONDS = 24 * 3600.0
KEPT_BYTES = 400_000_000
"""Pixels of pictures that stay in memory with their faces: three of 40 megapixels, or dozens of ordinary ones."""
_PAINTED = re.compile('@"?([0-9a-f]{32})"?')


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture as it was opened, in words ("512x512 RGB, 8 bit"), and the map of its faces."""

    words: str
    found: FaceMap

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.found.pixels.shape[:2]
        return width, height


def desk_folder() -> Path:
    """Where pictures that are worked on lie; nobody else may look in."""
    folder = state_folder() / "faces"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def picture_path(picture: str) -> Path:
    """The file of a picture that is kept, by its number; raises InputError where there is none."""
    path = desk_folder() / picture / PICTURE
    if not ID.fullmatch(picture) or path.parent.is_symlink() or not path.is_file():
        raise InputError(f"picture {picture[:40]!r} is not kept here any more; open it again")
    return path


def mask_path(picture: str, mask: str) -> Path:
    """The file of a painted mask of a picture, by its number; raises InputError where there is none."""
    path = picture_path(picture).parent / f"{mask}.png"
    if not ID.fullmatch(mask) or not path.is_file():
        raise InputError(f"{mask[:40]!r} is no painted mask of this picture; paint it again")
    return path


def own_recipe(picture: str) -> Recipe | None:
    """The recipe inside a picture that we made; None for any other."""
    try:
        embedded = metadata.read(picture_path(picture))
    except InputError:  # no PNG, or one that was changed after we wrote it: a picture all the same
        return None
    return embedded.recipe if embedded else None


def with_painted(picture: str, expression: str, written: Callable[[Path], str]) -> str:
    """An expression with every `@NUMBER` of a painted mask of this picture as `@"..."` of what `written` makes of it.

    Raises InputError for words that cannot be read, and for any other file: what a page says names none.
    """
    painted = [term.file for term in terms(parse(expression).joined) if isinstance(term, Painted)]
    paths = {number: mask_path(picture, number) for number in painted}
    return _PAINTED.sub(lambda found: f'@"{written(paths[found[1]])}"', expression)


class Desk:
    """Takes pictures and masks in, and keeps the last maps of faces in memory; for several threads at once."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, data: bytes) -> str:
        """Keep a picture, byte for byte, and answer its number; raises InputError for what is none."""
        if not data:
            raise InputError("nothing was sent; send the bytes of a PNG, JPEG, WebP or TIFF")
        self._forget()
        picture = _number(data)
        folder = desk_folder() / picture
        path = folder / PICTURE
        if not path.is_file():
            folder.mkdir(mode=0o700, exist_ok=True)
            files.put({path: data})
        try:
            self.seen(picture)
        except InputError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise InputError(str(error).replace(str(path), "this picture")) from None
        return picture

    def seen(self, picture: str) -> Seen:
        """A kept picture with the map of its faces; the first time it is read and searched. Raises InputError."""
        path = picture_path(picture)
        with suppress(OSError):  # it is in use, so its day begins anew
            path.touch()
        with self._lock:
            found = self._seen.pop(picture, None) or _looked_at(path)
            self._seen[picture] = found
            while len(self._seen) > 1 and sum(each.found.pixels.nbytes for each in self._seen.values()) > KEPT_BYTES:
                self._seen.popitem(last=False)
        return found

    def mask(self, picture: str, expression: str) -> NDArray[np.uint8]:
        """The mask (H, W), 0..255, that an expression means in a picture; raises InputError with the parser's line."""
        text = with_painted(picture, expression, lambda path: path.name)
        return masks.paint(text, self.seen(picture).found, beside=picture_path(picture).parent)

    def take_mask(self, picture: str, data: bytes) -> tuple[str, float]:
        """Keep a painted mask; its number and the share (0..1) of the picture that it covers. Raises InputError."""
        width, height = self.seen(picture).size
        folder = picture_path(picture).parent
        mask = _number(data)
        path = folder / f"{mask}.png"
        is_new = not path.is_file()
        if is_new:
            files.put({path: data})
        try:
            painted = _mask_of(path)
            if painted.shape != (height, width):
                given = f"{painted.shape[1]}x{painted.shape[0]}"
                raise InputError(f"the mask is {given} and the picture {width}x{height}; give one of the same size")
            if not painted.any():
                raise InputError("the mask is empty; paint where the picture may change")
        except InputError as error:
            if is_new:
                path.unlink(missing_ok=True)
            raise InputError(str(error).replace(str(path), "this mask")) from None
        return mask, float(painted.mean() / 255)

    def _forget(self) -> None:
        """Delete what nobody looked at for a day."""
        for folder in desk_folder().iterdir():
            with suppress(OSError):
                if ID.fullmatch(folder.name) and time.time() - (folder / PICTURE).stat().st_mtime > KEPT_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


def _number(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _looked_at(path: Path) -> Seen:
    raster = open_raster(path)
    return Seen(raster.words(), face_map(rgb8(raster)))


def _mask_of(path: Path) -> NDArray[np.uint8]:
    """A painted mask as (H, W); raises InputError for a picture with colours or more than 8 bits."""
    raster: Raster = open_raster(path)
    if raster.pixels.shape[2] != 1 or raster.bits != 8:
        raise InputError(
            f"{path} is {raster.words()}; a mask is a grey PNG of 8 bit: white where the picture may change"
        )
    return grey8(raster)
