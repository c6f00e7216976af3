"""The control grid: thumbnails of a series with their figures, the pilot first, what drifts in a frame.

Planned as boxes like a contact sheet and drawn by the same hand. Knows nothing about how figures are made.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from sweeps.lettering import Style, letter
from sweeps.sheet import GAP, LABEL, MARGIN, PLAIN, QUIET, SMALL, TITLE, Box, Frame, Page, Shown, Size, Text
from sweeps.sheet_drawing import draw, picture_sizes

CELL_PX = 256
COLUMNS = 6
SWATCH_PX = 22
FLAGGED = Style(14, 245, "SemiBold")
BRIGHT = Style(12, 245, "SemiBold")
EDGE, EDGE_PX = (236, 236, 236), 3


@dataclass(frozen=True)
class Shot:
    """One picture as it is shown: a title, lines of figures, the mean colour of its skin (sRGB), what drifts.

    `picture` None where there is nothing to show; `flag` "" where nothing drifts; `bright` numbers those lines
    that drift.
    """

    title: str
    said: str
    picture: Path | None
    lines: tuple[str, ...]
    colour: tuple[int, int, int] | None
    flag: str
    bright: frozenset[int] = frozenset()


def control_grid(title: str, about: Sequence[str], shots: Sequence[Shot]) -> bytes:
    """PNG, 8 bit sRGB, of all shots in rows of six; the first is the pilot."""
    planned = _Plan(title, about, shots)
    with Image.open(io.BytesIO(draw(planned.page, Path()))) as page:
        sheet = page.convert("RGB")
    pen = ImageDraw.Draw(sheet)
    for shot, (x, y) in zip(shots, planned.places, strict=True):
        if shot.flag:
            out = EDGE_PX + 1
            pen.rectangle((x - out, y - out, x + CELL_PX + out - 1, y + CELL_PX + out - 1), outline=EDGE, width=EDGE_PX)
        _swatches(pen, shots[0].colour, shot.colour, x + CELL_PX, y + CELL_PX + 10)
    png = io.BytesIO()
    sheet.save(png, "PNG")
    return png.getvalue()


def _swatches(
    pen: ImageDraw.ImageDraw, pilot: tuple[int, int, int] | None, own: tuple[int, int, int] | None, right: int, top: int
) -> None:
    """The pilot's colour and a picture's own, edge to edge, where a difference shows best."""
    for at, colour in enumerate((own, pilot)):
        left = right - (at + 1) * SWATCH_PX
        if colour and own:
            pen.rectangle((left, top, left + SWATCH_PX - 1, top + SWATCH_PX - 1), fill=colour)


class _Plan:
    """Where everything lies; `places` are the top left corners of the thumbnails."""

    def __init__(self, title: str, about: Sequence[str], shots: Sequence[Shot]) -> None:
        self._shots = shots
        paths = {str(shot.picture) for shot in shots if shot.picture}
        self._sizes = picture_sizes(sorted(paths), Path())
        columns = min(COLUMNS, len(shots))
        width = max(2 * MARGIN + columns * (CELL_PX + 4 * GAP) - 4 * GAP, 900)
        head = list(self._head(title, about, width - 2 * MARGIN))
        self.places: list[tuple[int, int]] = []
        boxes: list[Box] = [*head]
        y = head[-1].y + head[-1].height + 24
        for first in range(0, len(shots), columns):
            row = shots[first : first + columns]
            heads = [self._title(shot) for shot in row]
            top = y + max(sum(text.height for text in texts) for texts in heads) + 8
            bottom = top
            for at, (shot, texts) in enumerate(zip(row, heads, strict=True)):
                x = MARGIN + at * (CELL_PX + 4 * GAP)
                self.places.append((x, top))
                cell = [
                    *_above(texts, x, top - 8),
                    *self._thumbnail(shot, x, top),
                    *_below(shot, x, top + CELL_PX + 10),
                ]
                bottom = max(bottom, *(box.y + box.height for box in cell))
                boxes += cell
            y = bottom + 28
        self.page = Page(width, y - 28 + MARGIN, tuple(boxes))

    def _head(self, title: str, about: Sequence[str], width: int) -> Iterator[Text]:
        y = MARGIN
        for text, style in ((title, TITLE), *((line, PLAIN if at == 0 else QUIET) for at, line in enumerate(about))):
            lettering = letter(text, style, width=width)
            yield Text(MARGIN, y, width, lettering)
            y += lettering.height + 4

    def _title(self, shot: Shot) -> list[Text]:
        title = letter(shot.title, LABEL, width=CELL_PX, lines=1)
        said = [letter(shot.said, SMALL, width=CELL_PX, lines=2)] if shot.said else []
        return [Text(0, 0, CELL_PX, each) for each in (title, *said)]

    def _thumbnail(self, shot: Shot, x: int, y: int) -> Iterator[Box]:
        size = self._sizes.get(str(shot.picture)) if shot.picture else None
        if size is None:
            yield Frame(x, y, CELL_PX, CELL_PX, is_dashed=True)
            return
        wide, high = _fitted(size)
        yield Shown(x + (CELL_PX - wide) // 2, y + (CELL_PX - high) // 2, wide, high, str(shot.picture))


def _fitted(size: Size) -> Size:
    """Inside the cell, never larger than it is."""
    scale = min(1.0, CELL_PX / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _above(texts: Sequence[Text], x: int, bottom: int) -> Iterator[Text]:
    y = bottom - sum(text.height for text in texts)
    for text in texts:
        yield Text(x, y, CELL_PX, text.lettering)
        y += text.height


def _below(shot: Shot, x: int, top: int) -> Iterator[Text]:
    y = top
    styles = [BRIGHT if at in shot.bright else SMALL for at in range(len(shot.lines))]
    for text, style in ((shot.flag, FLAGGED), *zip(shot.lines, styles, strict=True)):
        if text:
            wide = CELL_PX - 2 * SWATCH_PX - 8 if y < top + SWATCH_PX else CELL_PX
            lettering = letter(text, style, width=wide)
            yield Text(x, y, wide, lettering)
            y += lettering.height
