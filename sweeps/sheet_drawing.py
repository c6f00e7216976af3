"""Draws a planned contact sheet, one page and one picture in memory at a time. Knows nothing about axes or labels."""

import io
from collections.abc import Iterable
from pathlib import Path

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
    sheet = Image.new("RGB", (page.width, page.height), GROUND)
    pen = ImageDraw.Draw(sheet)
    for box in page.boxes:
        if isinstance(box, Text):
            _write(pen, box)
        elif isinstance(box, Frame):
            _frame(pen, box)
        else:
            _paste(sheet, pen, box, folder)
    png = io.BytesIO()
    sheet.save(png, "PNG", compress_level=4)  # 6 takes twice as long for 4 % less (24 portraits of 512 px)
    return png.getvalue()


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


def _paste(sheet: Image.Image, pen: ImageDraw.ImageDraw, shown: Shown, folder: Path) -> None:
    try:
        image = load(folder / shown.picture, ("PNG",)).convert("RGB")
    except InputError:
        _frame(pen, Frame(shown.x, shown.y, shown.width, shown.height, is_dashed=True))
        words = letter("picture cannot be read", DAMAGED, width=shown.width - 16)
        _write(pen, Text(shown.x + 8, shown.y + (shown.height - words.height) // 2, shown.width - 16, words, "centre"))
        return
    if image.size != (shown.width, shown.height):
        image = image.resize((shown.width, shown.height), Image.Resampling.LANCZOS)
    sheet.paste(image, (shown.x, shown.y))
