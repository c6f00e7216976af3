"""Draws a planned contact sheet, two pages and a few pictures in memory at a time. Knows nothing of axes or labels."""

import io
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageDraw

from pipelines.errors import InputError
from pipelines.images import BROKEN, load
from sweeps.lettering import Style, letter
from sweeps.sheet import Frame, Page, Shown, Size, Text

GROUND, PANEL, EDGE, ALARM = (26, 26, 26), (31, 31, 31), (64, 64, 64), (150, 150, 150)
DASH_PX = 5
BASELINE = 0.77
"""Where letters stand in their line, as a share of its height: Inter's ascent 0.97 em, centred in 1.35 em."""
DAMAGED = Style(14, 228)
THREADS, AHEAD = 8, 8
Item = TypeVar("Item")
Result = TypeVar("Result")


def picture_sizes(pictures: Iterable[str], folder: Path) -> dict[str, Size]:
    """Width and height of every picture that has a readable head; nothing is decoded, the others are left out."""
    sizes = {}
    for picture in pictures:
        try:
            with Image.open(folder / picture, formats=("PNG",)) as image:
                sizes[picture] = image.size
        except (*BROKEN, Image.DecompressionBombError):  # shown as damaged by whoever draws the grid
            continue
    return sizes


def draw(page: Page, folder: Path) -> bytes:
    """The page as PNG bytes, 8 bit sRGB; pictures are read from the folder and scaled down with Lanczos."""
    (png,) = drawn([page], folder)
    return png


def drawn(pages: Iterable[Page], folder: Path) -> Iterator[bytes]:
    """All pages, each as by `draw`; pictures are opened on as many threads as there are processors, at most THREADS.

    While a page is pressed into its PNG, the pictures of the next are opened.
    """
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1), thread_name_prefix="sheet") as pool:
        sheets = (_drawn(page, folder, pool) for page in pages)
        pressed: Future[bytes] | None = None
        for sheet in sheets:
            if pressed:
                yield pressed.result()
            pressed = pool.submit(_png, sheet)
        if pressed:
            yield pressed.result()


def _drawn(page: Page, folder: Path, pool: Executor) -> Image.Image:
    sheet = Image.new("RGB", (page.width, page.height), GROUND)
    pen = ImageDraw.Draw(sheet)
    shown = [box for box in page.boxes if isinstance(box, Shown)]
    for box in page.boxes:
        if isinstance(box, Text):
            _write(pen, box)
        elif isinstance(box, Frame):
            _frame(pen, box)
    opened = _ahead(pool, lambda box: _scaled(box, folder), shown)
    for box, image in zip(shown, opened, strict=True):
        _paste(sheet, pen, box, image)
    return sheet


def _png(sheet: Image.Image) -> bytes:
    """Run lengths alone: of 12 portraits of 512 px the file is 1 % smaller than at zlib's level 4, in a third of it."""
    png = io.BytesIO()
    sheet.save(png, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return png.getvalue()


def _ahead(pool: Executor, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in order, with at most AHEAD of them waiting: a picture of 40 megapixels takes 120 MB."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _write(pen: ImageDraw.ImageDraw, text: Text) -> None:
    style, font = text.lettering.style, text.lettering.font
    share, anchor = {"left": (0.0, "ls"), "centre": (0.5, "ms"), "right": (1.0, "rs")}[text.align]
    for number, line in enumerate(text.lettering.lines):
        y = text.y + round((number + BASELINE) * style.line_height)
        pen.text((text.x + share * text.width, y), line, fill=(style.grey,) * 3, font=font, anchor=anchor)


def _frame(pen: ImageDraw.ImageDraw, frame: Frame) -> None:
    right, bottom = frame.x + frame.width - 1, frame.y + frame.height - 1
    pen.rectangle((frame.x, frame.y, right, bottom), fill=PANEL, outline=None if frame.is_dashed else EDGE)
    if frame.is_dashed:
        for x in range(frame.x, right, 2 * DASH_PX):
            for y in (frame.y, bottom):
                pen.line((x, y, min(x + DASH_PX, right), y), fill=ALARM)
        for y in range(frame.y, bottom, 2 * DASH_PX):
            for x in (frame.x, right):
                pen.line((x, y, x, min(y + DASH_PX, bottom)), fill=ALARM)


def _scaled(shown: Shown, folder: Path) -> Image.Image | None:
    """The picture at the size at which it is shown; None where it cannot be read."""
    try:
        image = load(folder / shown.picture, ("PNG",)).convert("RGB")
    except InputError:
        return None
    size = shown.width, shown.height
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _paste(sheet: Image.Image, pen: ImageDraw.ImageDraw, shown: Shown, image: Image.Image | None) -> None:
    if image is not None:
        sheet.paste(image, (shown.x, shown.y))
        return
    _frame(pen, Frame(shown.x, shown.y, shown.width, shown.height, is_dashed=True))
    words = letter("picture cannot be read", DAMAGED, width=shown.width - 16)
    top = shown.y + (shown.height - words.height) // 2
    _write(pen, Text(shown.x + 8, top, shown.width - 16, words, "centre"))
