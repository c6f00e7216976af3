"""Contact sheet: a grid as one labelled picture, or several pages where one would be too large to open.

Here every page is planned as boxes: where each text, picture and frame lies. Knows nothing about pixels or files;
`sweeps.sheet_drawing` draws what was planned.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from sweeps.grid import Grid, GridAxis, GridCell
from sweeps.lettering import Lettering, Style, letter

Size = tuple[int, int]

MAX_PICTURE_PX = 512
MIN_CELL_PX = 128
EMPTY_CELL: Size = (256, 256)
MARGIN, GAP, SPACE = 32, 6, 24
MIN_PAGE_PX, MAX_TEXT_PX = 800, 1400
MAX_ROW_LABEL_PX = 240
LONG_VALUE = 48
TITLE, SECTION, LABEL = Style(24, 240, "SemiBold"), Style(16, 240, "SemiBold"), Style(15, 228)
PLAIN, QUIET, SMALL = Style(14, 200), Style(13, 158), Style(12, 170)
REPLACED = "Numbers in square brackets, as in [1F600], stand for letters that no font here has; report.html shows them."


@dataclass(frozen=True)
class Limit:
    """The largest page: pixels along a side, and in all (60 megapixels are 180 MB while it is drawn)."""

    side_px: int = 12_000
    pixels: int = 60_000_000


@dataclass(frozen=True)
class Text:
    """Lettering in a column of the page; `note` is the number under which its whole text stands at the foot."""

    x: int
    y: int
    width: int
    lettering: Lettering
    align: Literal["left", "centre", "right"] = "left"
    note: int | None = None

    @property
    def height(self) -> int:
        """Pixels of all lines."""
        return self.lettering.height


@dataclass(frozen=True)
class Shown:
    """A picture, scaled to width and height."""

    x: int
    y: int
    width: int
    height: int
    picture: str


@dataclass(frozen=True)
class Frame:
    """An empty place: dashed where something went wrong."""

    x: int
    y: int
    width: int
    height: int
    is_dashed: bool


Box = Text | Shown | Frame


@dataclass(frozen=True)
class Block:
    """Boxes that stay together, measured from their own top."""

    boxes: tuple[Box, ...]
    height: int


@dataclass(frozen=True)
class Page:
    """One sheet, ready to be drawn; all boxes lie inside it."""

    width: int
    height: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Shape:
    """The measures that all pages share, in pixels."""

    cell: Size
    caption: int
    row_label: int
    columns: int
    width: int
    height: int

    def column_x(self, column: int) -> int:
        """Where a column of cells begins."""
        return MARGIN + self.row_label + SPACE // 2 + column * (self.cell[0] + GAP)


class Notes:
    """Texts too long for their place, numbered in the order in which they came up."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The text's number, the same each time."""
        return self._numbers.setdefault(text, len(self._numbers) + 1)

    def fit(self, text: str, style: Style, *, width: int, lines: int) -> tuple[Lettering, int | None]:
        """The text in its place, and the number of its note if it had to be cut."""
        number = self._numbers.get(text, len(self._numbers) + 1)
        lettering = letter(text, style, width=width, lines=max(1, lines), mark=f" ({number})")
        return lettering, self.number(text) if lettering.is_cut else None

    def text(self, number: int) -> str:
        """The whole text of a note."""
        return list(self._numbers)[number - 1]


def plan(grid: Grid, sizes: Mapping[str, Size], *, limit: Limit | None = None) -> tuple[Page, ...]:
    """Lay a grid out on as few pages as the limit allows; labels, title and constants are on every page.

    `sizes` holds width and height of every picture that can be read; cells whose picture is not in it are drawn as
    damaged. Nothing is drawn yet. A single row of cells is never divided, however tall.
    """
    shape = _shape(grid, sizes, limit or Limit())
    sheet = _Sheet(grid, sizes, shape, Notes(), _head(grid, shape))
    pages: list[list[Block]] = []
    for block in sheet.blocks():
        if pages and sheet.fits([*pages[-1], block]):
            pages[-1].append(block)
        else:
            pages.append([block])
    return tuple(sheet.page(blocks, number, of=len(pages)) for number, blocks in enumerate(pages, 1))


def shown_size(size: Size) -> Size:
    """Width and height at which a picture is shown: its own, or scaled to 512 px width."""
    width = min(size[0], MAX_PICTURE_PX)
    return width, max(1, round(size[1] * width / size[0]))


def _shape(grid: Grid, sizes: Mapping[str, Size], limit: Limit) -> Shape:
    shown = [shown_size(size) for size in sizes.values()] or [EMPTY_CELL]
    cell = (max(MIN_CELL_PX, *(w for w, _ in shown)), max(MIN_CELL_PX // 2, *(h for _, h in shown)))
    across, down = _main_axes(grid)
    texts = [text for text in (*down.labels, *_corner(across, down)) if text]
    widest = max((letter(text, LABEL, width=MAX_ROW_LABEL_PX).width for text in texts), default=0)
    most_px = min(limit.side_px, limit.pixels // (2 * cell[1]))  # as much height again for head, labels and foot
    room = most_px - 2 * MARGIN - widest - SPACE // 2
    most = max(1, room // (cell[0] + GAP))
    columns = math.ceil(len(across.labels) / math.ceil(len(across.labels) / most))
    width = max(MIN_PAGE_PX, 2 * MARGIN + widest + SPACE // 2 + columns * (cell[0] + GAP) - GAP)
    caption = SMALL.line_height + 4 if any(cell.warning for cell in grid.cells) else 0
    return Shape(cell, caption, widest, columns, width, min(limit.side_px, limit.pixels // width))


def _main_axes(grid: Grid) -> tuple[GridAxis, GridAxis]:
    across, down, *_ = (*grid.axes, GridAxis("", ("",)), GridAxis("", ("",)))
    return across, down


def _corner(across: GridAxis, down: GridAxis) -> tuple[str, ...]:
    return tuple(f"{axis.name} {arrow}" for axis, arrow in ((across, "→"), (down, "↓")) if axis.name)


def _head(grid: Grid, shape: Shape) -> Block:
    width = min(MAX_TEXT_PX, shape.width - 2 * MARGIN)
    counts = " · ".join(f"{count} {state}" for state, count in grid.counts)
    texts = (
        letter(grid.title, TITLE, width=width - 120),
        letter(grid.subtitle, PLAIN, width=width),
        letter(counts, PLAIN, width=width),
        *(letter(text, QUIET, width=width) for text in _constants(grid)),
    )
    return _stack(texts, top=MARGIN)


def _constants(grid: Grid) -> Iterator[str]:
    """What all cells share: short values in one line, each long one (a prompt) on its own."""
    values = [f"{label} {text or 'empty'}" for label, text in grid.constants]
    yield " · ".join(value for value in values if len(value) <= LONG_VALUE)
    yield from (value for value in values if len(value) > LONG_VALUE)


def _stack(texts: Iterable[Lettering], *, top: int) -> Block:
    boxes, y = [], top
    for lettering in texts:
        boxes.append(Text(MARGIN, y, lettering.width, lettering))
        y += lettering.height + 4
    return Block(tuple(boxes), y)


@dataclass(frozen=True)
class _Section:
    """The cells of one combination of all further axes."""

    heading: str
    cells: Mapping[tuple[int, ...], GridCell]


@dataclass(frozen=True)
class _Sheet:
    grid: Grid
    sizes: Mapping[str, Size]
    shape: Shape
    notes: Notes
    head: Block

    def blocks(self) -> Iterator[Block]:
        """Every section, divided by columns and then by rows where it is larger than a page."""
        across, down = _main_axes(self.grid)
        step = self.shape.columns
        for section in self._sections():
            for left in range(0, len(across.labels), step):
                columns = range(len(across.labels))[left : left + step]
                rows = range(len(down.labels))
                while rows:
                    taken, block = rows, self._block(section, columns, rows)
                    while len(taken) > 1 and not self.fits([block]):
                        taken = taken[: -self._rows_over(block)] or taken[:1]
                        block = self._block(section, columns, taken)
                    yield block
                    rows = rows[len(taken) :]

    def fits(self, blocks: Sequence[Block]) -> bool:
        """Whether a page with these blocks keeps the limit."""
        return self._stacked(blocks).height <= self.shape.height

    def page(self, blocks: Sequence[Block], number: int, *, of: int) -> Page:
        """One page with its number."""
        stacked = self._stacked(blocks)
        count = letter(f"page {number} of {of}", QUIET, width=120)
        place = Text(self.shape.width - MARGIN - 120, MARGIN + 8, 120, count, "right")
        return Page(self.shape.width, stacked.height, (*stacked.boxes, *((place,) if of > 1 else ())))

    def _sections(self) -> Iterator[_Section]:
        further = self.grid.axes[2:]
        for at in product(*(range(len(axis.labels)) for axis in further)):
            heading = " · ".join(f"{axis.name} {axis.labels[i]}" for axis, i in zip(further, at, strict=True))
            cells = {(*cell.place[:2], 0, 0)[:2]: cell for cell in self.grid.cells if cell.place[2:] == at}
            yield _Section(heading, cells)

    def _rows_over(self, block: Block) -> int:
        over = self._stacked([block]).height - self.shape.height
        return max(1, over // (self.shape.cell[1] + self.shape.caption + GAP))

    def _stacked(self, blocks: Sequence[Block]) -> Block:
        """Head, blocks and the foot with all notes that the blocks refer to, one below the other."""
        boxes, y = list(self.head.boxes), self.head.height
        for block in blocks:
            boxes += [replace(box, y=box.y + y + SPACE) for box in block.boxes]
            y += SPACE + block.height
        foot = self._foot([box for box in boxes if isinstance(box, Text)], top=y + SPACE)
        return Block((*boxes, *foot.boxes), foot.height + MARGIN - 4)

    def _foot(self, texts: Sequence[Text], *, top: int) -> Block:
        width = min(MAX_TEXT_PX, self.shape.width - 2 * MARGIN)
        numbers = sorted({text.note for text in texts if text.note is not None})
        notes = [letter(f"({number}) {self.notes.text(number)}", QUIET, width=width) for number in numbers]
        if any(lettering.has_numbers for lettering in (*notes, *(text.lettering for text in texts))):
            notes.append(letter(REPLACED, QUIET, width=width))
        return _stack(notes, top=top) if notes else Block((), top - SPACE + 4)

    def _block(self, section: _Section, columns: range, rows: range) -> Block:
        across, down = _main_axes(self.grid)
        cell_height = self.shape.cell[1]
        boxes: list[Box] = list(self._labels(section.heading, across, down, columns))
        y = max((box.y + box.height for box in boxes), default=-8) + 8
        for row in rows:
            label, note = self.notes.fit(
                down.labels[row], LABEL, width=self.shape.row_label, lines=cell_height // LABEL.line_height
            )
            middle = y + (cell_height - label.height) // 2
            boxes.append(Text(MARGIN, middle, self.shape.row_label, label, "right", note))
            for at, column in enumerate(columns):
                if cell := section.cells.get((column, row)):
                    boxes += self._cell(cell, self.shape.column_x(at), y)
            y += cell_height + self.shape.caption + GAP
        return Block(tuple(boxes), y - GAP)

    def _labels(self, heading: str, across: GridAxis, down: GridAxis, columns: range) -> Iterator[Text]:
        """Heading, names of the axes, and the labels of the columns with their last lines level."""
        y = 0
        if heading:
            lettering, note = self.notes.fit(heading, SECTION, width=self.shape.width - 2 * MARGIN, lines=2)
            yield Text(MARGIN, 0, self.shape.width - 2 * MARGIN, lettering, "left", note)
            y = lettering.height + 8
        corner = [letter(text, QUIET, width=self.shape.row_label) for text in _corner(across, down)]
        labels = [
            self.notes.fit(across.labels[column], LABEL, width=self.shape.cell[0] - 8, lines=3) for column in columns
        ]
        bottom = y + max(sum(text.height for text in corner), *(label.height for label, _ in labels))
        at = bottom
        for text in reversed(corner):
            at -= text.height
            yield Text(MARGIN, at, self.shape.row_label, text, "right")
        for column, (label, note) in enumerate(labels):
            x = self.shape.column_x(column) + 4
            yield Text(x, bottom - label.height, self.shape.cell[0] - 8, label, "centre", note)

    def _cell(self, cell: GridCell, x: int, y: int) -> Iterator[Box]:
        width, height = self.shape.cell
        if cell.picture and cell.picture in self.sizes:
            w, h = shown_size(self.sizes[cell.picture])
            yield Shown(x + (width - w) // 2, y + (height - h) // 2, w, h, cell.picture)
        else:
            is_damaged = cell.state == "done"
            yield Frame(x, y, width, height, is_dashed=cell.state == "failed" or is_damaged)
            yield from self._words(cell, x, y)
        if cell.warning:
            caption = letter(f"warning ({self.notes.number(cell.warning)})", SMALL, width=width)
            yield Text(x, y + height + 2, width, caption, "left", self.notes.number(cell.warning))

    def _words(self, cell: GridCell, x: int, y: int) -> Iterator[Text]:
        width, height = self.shape.cell[0] - 24, self.shape.cell[1]
        state = letter("picture cannot be read" if cell.state == "done" else cell.state, PLAIN, width=width)
        text = cell.picture if cell.state == "done" else cell.reason
        lines = (height - state.height - 16) // SMALL.line_height
        reason, note = self.notes.fit(text or "", SMALL, width=width, lines=lines)
        top = y + max(0, height - state.height - 4 - reason.height) // 2
        yield Text(x + 12, top, width, state, "centre")
        yield Text(x + 12, top + state.height + 4, width, reason, "centre", note)
