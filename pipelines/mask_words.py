"""Reads mask expressions: `face1.skin - face1.eyes + face1.neck; grow 0.02; feather 0.06`.

Regions of faces (`faces.skin` is that of all) and painted files (`@hand.png`) are joined by `+` (either), `-` (without)
and `*` (both, binds closest), with parentheses; then follow changes in the order written, in eye distances or pixels
(`feather 12px`). Knows nothing about pictures.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pipelines.errors import InputError

REGIONS = (
    *("oval", "skin", "cheeks", "left-cheek", "right-cheek", "forehead", "nose", "chin", "eyes", "brows", "mouth"),
    *("neck", "ears"),
)
"""Left and right are the picture's."""
CHANGES = ("grow", "shrink", "feather")
MOST_SHARE, MOST_PIXELS = 2, 10_000
"""Of a change, in eye distances (twice that of the eyes is wider than a face) and in pixels."""
MOST_CHARACTERS, MOST_PARENTHESES = 2000, 40
SIGNS = "+-*()"

_FACE = re.compile(r"face(\d{1,4}|s)\.")
_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")
_FILE = re.compile(r'@(?:"([^"]+)"|([^\s;()+*"]+))')
_BARE_FILE = re.compile(r'[^\s;()+*"]+')
_CHANGE = re.compile(r"\s*([A-Za-z]*)\s*(.*?)\s*")
_AMOUNT = re.compile(r"(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(px)?")
_BEGINS = re.compile(r"[\s(]*face(?:\d+|s)\.([a-z]+(?:-[a-z]+)*)(?=[\s)+*;-]|$)")
_BLANKS = str.maketrans("\t\r\n", "   ")
_FILE_KINDS = ("png", "jpg", "jpeg", "webp", "tif", "tiff")


@dataclass(frozen=True)
class Region:
    """A region of one face, or of all faces (None)."""

    face: int | None
    name: str


@dataclass(frozen=True)
class Painted:
    """A mask painted by hand: the path as written."""

    file: str


@dataclass(frozen=True)
class Joined:
    """Masks taken together from left to right: with `*`, or with `+` and `-`."""

    first: "Term"
    rest: "tuple[tuple[Sign, Term], ...]"


Term = Region | Painted | Joined
Sign = Literal["+", "-", "*"]


@dataclass(frozen=True)
class Change:
    """One change of the joined mask, in eye distances or in pixels."""

    name: str
    amount: Decimal
    in_pixels: bool


@dataclass(frozen=True)
class Expression:
    """A mask in words: what is joined, and what is done to it in this order."""

    joined: Term
    changes: tuple[Change, ...]


def is_expression(text: str) -> bool:
    """Whether a text is a mask expression and no path: it begins with a face and a region, or with `@`."""
    begins = _BEGINS.match(text)
    return (begins is not None and begins[1] not in _FILE_KINDS) or text.lstrip(" (").startswith("@")


def canonical(text: str, *, beside: Path = Path()) -> str:
    """The expression with blanks, parentheses and numbers in one way of writing them; raises InputError.

    Painted files are written as seen from the folder `beside`.
    """
    expression = parse(text)
    changes = [f"{each.name} {_number(each.amount)}{'px' * each.in_pixels}" for each in expression.changes]
    return "; ".join([_written(expression.joined, beside), *changes])


def regions_in(text: str) -> tuple[tuple[int | None, str], ...]:
    """Face (None: all) and name of every region named, each once, in the order written; raises InputError."""
    regions = [term for term in terms(parse(text).joined) if isinstance(term, Region)]
    return tuple(dict.fromkeys((region.face, region.name) for region in regions))


def terms(term: Term) -> Iterator[Region | Painted]:
    """The regions and files in a term, from left to right."""
    if isinstance(term, Joined):
        for each in (term.first, *(other for _, other in term.rest)):
            yield from terms(each)
    else:
        yield term


def parse(text: str) -> Expression:
    """The meaning of a mask expression; raises InputError: one line with what was given and what is allowed."""
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"a mask of {len(text)} characters; allowed: {MOST_CHARACTERS}: paint it instead")
    text = text.translate(_BLANKS)
    if not text.isprintable():
        raise InputError(f"the mask {text[:80]!r} holds signs that cannot be printed; write it without them")
    joined, *changes = _parts(text)
    reader = _Reader(joined)
    return Expression(reader.whole(), tuple(_change(each) for each in changes))


def _parts(text: str) -> list[str]:
    """What stands between semicolons, except in quoted file names."""
    return re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', text)


class _Reader:
    """Reads the joined part from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0

    def whole(self) -> Term:
        if not self._next():
            raise InputError("the mask says nothing; write a face and a region, as face1.skin")
        term = self._sum()
        if self._next():
            raise self._fault("here +, -, * or ; is allowed")
        return term

    def _sum(self) -> Term:
        first, rest = self._product(), list[tuple[Sign, Term]]()
        while (sign := self._next()) in ("+", "-"):
            self._at += 1
            rest.append(("+" if sign == "+" else "-", self._product()))
        return _joined(first, rest)

    def _product(self) -> Term:
        first, rest = self._term(), list[tuple[Sign, Term]]()
        while self._next() == "*":
            self._at += 1
            rest.append(("*", self._term()))
        return _joined(first, rest)

    def _term(self) -> Term:
        sign = self._next()
        if sign == "(":
            return self._enclosed()
        if sign == "@":
            return self._file()
        if face := _FACE.match(self._text, self._at):
            return self._region(face)
        raise self._fault("a region of a face is allowed, as face1.skin or faces.skin, or a painted file, as @hand.png")

    def _enclosed(self) -> Term:
        self._at, self._depth = self._at + 1, self._depth + 1
        if self._depth > MOST_PARENTHESES:
            raise InputError(f"more than {MOST_PARENTHESES} parentheses within each other in a mask; leave some out")
        term = self._sum()
        if self._next() != ")":
            raise self._fault("a ) is missing")
        self._at, self._depth = self._at + 1, self._depth - 1
        return term

    def _file(self) -> Painted:
        found = _FILE.match(self._text, self._at)
        if not found:
            raise self._fault("after @ the name of a painted file is allowed, in quotes if it holds blanks or ;()+*")
        self._at = found.end()
        return Painted(found[1] or found[2])

    def _region(self, face: re.Match[str]) -> Region:
        word = _WORD.match(self._text, face.end())
        given = word[0] if word else ""
        known = [name for name in REGIONS if re.match(rf"{name}(?![A-Za-z0-9_])", given)]
        if not known:
            raise InputError(f"{given or 'nothing'} is no region; allowed: {', '.join(REGIONS)}")
        if face[1] != "s" and int(face[1]) < 1:
            raise InputError(f"{face[0]}{known[0]}: faces are numbered from 1, from left to right")
        name = max(known, key=len)
        self._at = face.end() + len(name)
        return Region(None if face[1] == "s" else int(face[1]), name)

    def _next(self) -> str:
        """The next sign that is no blank; empty at the end."""
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _fault(self, allowed: str) -> InputError:
        rest = self._text[self._at :].strip()
        where = f'at "{rest[:40]}"' if rest else "at its end"
        return InputError(f'the mask "{self._text.strip()[:80]}" cannot be read {where}: {allowed}')


def _joined(first: Term, rest: list[tuple[Sign, Term]]) -> Term:
    """Terms side by side, without the parentheses that change nothing."""
    if not rest:
        return first
    is_product = rest[0][0] == "*"
    flat: list[tuple[Sign, Term]] = []
    if isinstance(first, Joined) and (first.rest[0][0] == "*") == is_product:
        flat, first = list(first.rest), first.first
    for sign, term in rest:
        if isinstance(term, Joined) and sign != "-" and all(inner == sign for inner, _ in term.rest):
            flat += [(sign, term.first), *term.rest]
        else:
            flat.append((sign, term))
    return Joined(first, tuple(flat))


def _change(text: str) -> Change:
    """`grow 0.02` or `feather 12px`; raises InputError."""
    name, amount = _CHANGE.fullmatch(text).groups()  # type: ignore[union-attr]  # it matches every text
    if name not in CHANGES:
        raise InputError(f'"{text.strip()}" is no change of a mask; allowed: {", ".join(CHANGES)}, as feather 0.06')
    number = _AMOUNT.fullmatch(amount)
    if not number:
        raise InputError(
            f'{name} "{amount}" is no amount; allowed: a share of the eye distance, as {name} 0.06, or pixels, '
            f"as {name} 12px"
        )
    change = Change(name, Decimal(number[1]), number[2] is not None)
    if change.amount > (MOST_PIXELS if change.in_pixels else MOST_SHARE):
        raise InputError(
            f"{name} {amount} is too much; allowed: to {MOST_SHARE} eye distances, or to {MOST_PIXELS}px in pixels"
        )
    return change


def _written(term: Term, beside: Path) -> str:
    if isinstance(term, Region):
        return f"{'faces' if term.face is None else f'face{term.face}'}.{term.name}"
    if isinstance(term, Painted):
        return _named(term.file if beside == Path() else (beside / term.file).as_posix())
    return " ".join([_within(term.first, beside), *(f"{sign} {_within(other, beside)}" for sign, other in term.rest)])


def _named(file: str) -> str:
    """A painted file; raises InputError for a name that no quotes can hold."""
    if '"' in file or not file.isprintable():
        raise InputError(f"{file!r} cannot stand in a mask for its quotes or signs; give it another name or folder")
    return f"@{file}" if _BARE_FILE.fullmatch(file) else f'@"{file}"'


def _within(term: Term, beside: Path) -> str:
    """A part of joined terms: sums in parentheses, for those that changed nothing are gone."""
    written = _written(term, beside)
    return f"({written})" if isinstance(term, Joined) and term.rest[0][0] != "*" else written


def _number(amount: Decimal) -> str:
    return format(amount.normalize() + 0, "f")
