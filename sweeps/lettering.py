"""Text measured, wrapped and drawn in pixels, so that nothing is cut off unseen. Knows nothing about grids.

The letters are Inter (Latin, Greek, Cyrillic), shipped beside this file, because the one font inside Pillow lacks even
umlauts. Other scripts use a font of the system where one has them; what no font has is written as its number: [1F600].
"""

import math
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from PIL import ImageFont

Weight = Literal["Regular", "SemiBold"]
SHIPPED = Path(__file__).parent / "report"
SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "SourceHanSans-Regular.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "DejaVuSans.ttf",
    "Arial Unicode.ttf",
    "msyh.ttc",
)
"""Looked for by Pillow in the system's font folders, in this order."""
NO_SUCH_LETTER = "\U0010ffff"
ELLIPSIS = "…"
LEADING = 1.35


@dataclass(frozen=True)
class Style:
    """How text looks: size in pixels, grey level 0 to 255."""

    size: int
    grey: int
    weight: Weight = "Regular"

    @property
    def line_height(self) -> int:
        """Pixels from one line to the next."""
        return round(self.size * LEADING)


@dataclass(frozen=True)
class Lettering:
    """Wrapped text ready to be drawn; `is_cut` if not all of it is there, `has_numbers` if letters were replaced."""

    lines: tuple[str, ...]
    style: Style
    font: ImageFont.FreeTypeFont
    is_cut: bool
    has_numbers: bool

    @property
    def width(self) -> int:
        """Pixels of the widest line."""
        return max((_width(line, self.font) for line in self.lines), default=0)

    @property
    def height(self) -> int:
        """Pixels of all lines."""
        return len(self.lines) * self.style.line_height


def letter(text: str, style: Style, *, width: int, lines: int = 10_000, mark: str = "") -> Lettering:
    """Wrap text to a width in pixels and at most so many lines.

    What does not fit ends in an ellipsis followed by `mark`, which tells where the whole text stands. Line breaks and
    runs of blanks become one blank.
    """
    font, legible = _legible(" ".join(text.split()), style)
    wrapped = _wrap(legible, font, width)
    is_cut = len(wrapped) > lines
    if is_cut:
        wrapped = [*wrapped[: lines - 1], _shortened(wrapped[lines - 1], font, width, ELLIPSIS + mark)]
    return Lettering(tuple(wrapped), style, font, is_cut, legible != " ".join(text.split()))


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if _width(joined, font) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for sign in word:  # a word wider than the line (a file name, or a script without blanks) breaks anywhere
            if lines[-1] and _width(lines[-1] + sign, font) > width:
                lines.append("")
            lines[-1] += sign
    return [line for line in lines if line]


def _shortened(line: str, font: ImageFont.FreeTypeFont, width: int, end: str) -> str:
    while line and _width(line + end, font) > width:
        line = line[:-1]
    return line.rstrip() + end


def _width(text: str, font: ImageFont.FreeTypeFont) -> int:
    left, _, right, _ = font.getbbox(text)
    return math.ceil(right - min(left, 0))


def _legible(text: str, style: Style) -> tuple[ImageFont.FreeTypeFont, str]:
    """The first font that has every letter, or the shipped one with numbers in place of letters it lacks."""
    text = unicodedata.normalize("NFC", text)
    shipped = str(SHIPPED / f"Inter-{style.weight}.otf")
    for name in (shipped, *SYSTEM_FONTS):
        font = _font(name, style.size)
        if font and all(_has(name, sign) for sign in text):
            return font, text
    font = _font(shipped, style.size)
    assert font is not None, "the shipped font is part of the package"
    return font, "".join(sign if _has(shipped, sign) else f"[{ord(sign):04X}]" for sign in text)


@lru_cache(maxsize=256)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:  # not installed on this system
        return None


@lru_cache(maxsize=16_384)
def _has(name: str, sign: str) -> bool:
    font = _font(name, 20)
    if font is None or unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cs", "Cn"):
        return False
    return sign == " " or bytes(font.getmask(sign)) != bytes(font.getmask(NO_SUCH_LETTER))
