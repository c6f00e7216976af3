"""The words of a Brief as they will be sent: tokens, what falls off, what lint would say otherwise, what is refused.

Pieces of text are cut here, because a browser counts letters otherwise. Knows nothing about Gradio or HTML.
"""

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipelines import attention
from pipelines import lint as linting
from pipelines.attention import Count
from pipelines.draft import Draft, Pictures, Settled, settle
from pipelines.errors import InputError
from pipelines.lint import Finding
from pipelines.prompts import Words
from workbench.web import brief as meaning
from workbench.web.answers import one_line
from workbench.web.brief import EMPTY, Brief
from workbench.web.offer import Offer

LONGEST = 20_000  # characters; lint reads no more, and no encoder reads a tenth of it


@dataclass(frozen=True)
class Piece:
    """A part of a text: `finding` is the number of the remark it belongs to, -1 for none; `is_read` by the encoder."""

    text: str
    finding: int = -1
    is_read: bool = True


@dataclass(frozen=True)
class Told:
    """A text in pieces, with how much of it each encoder reads."""

    pieces: tuple[Piece, ...]
    counts: tuple[Count, ...]


@dataclass(frozen=True)
class Remark:
    """What lint would say otherwise: the words, why, and what is offered in their place."""

    field: str
    text: str
    why: str
    offered: tuple[str, ...]


@dataclass(frozen=True)
class Readout:
    """All of it. `fault` is what keeps the picture from being made; `mended` is the text with the remarks heeded."""

    prompt: Told | None = None
    negative: Told | None = None
    remarks: tuple[Remark, ...] = ()
    warnings: tuple[str, ...] = ()
    fault: str = ""
    mended: Words | None = None

    def as_json(self) -> dict[str, Any]:
        """For the browser."""
        return asdict(self)


def read(brief: Brief, offer: Offer, pictures: Pictures) -> Readout:
    """The readout of a brief; never raises for what a person can mend."""
    settled, fault = _settled(brief, offer, pictures)
    family = offer.family
    if family is None:
        return Readout(fault=fault)
    try:
        words = meaning.words_of(brief, offer, family)
    except InputError as error:
        return Readout(fault=one_line(str(error)))
    if max(len(words.prompt), len(words.negative or "")) > LONGEST:
        return Readout(fault=f"the prompt is longer than {LONGEST} characters; no model reads a tenth of that")
    linted = linting.lint(words.prompt, family, words.negative)
    remarks = tuple(Remark(each.field, each.text, each.why, _offered(each)) for each in linted.findings)
    numbered = tuple(enumerate(linted.findings))
    tokens = settled.recipe.text_tokens if settled else 0
    return Readout(
        prompt=_told(words.prompt, "prompt", numbered, offer, tokens),
        negative=None if words.negative is None else _told(words.negative, "negative", numbered, offer, tokens),
        remarks=remarks,
        warnings=settled.warnings if settled else (),
        fault=fault,
        mended=linted.after if remarks and not brief.light else None,
    )


def settled_draft(brief: Brief, offer: Offer, pictures: Pictures) -> Settled:
    """The first picture that Make would ask for, with weights that were not hashed; raises InputError."""
    if offer.checkpoint is None:
        raise InputError(offer.fault)
    base: Draft = meaning.sweep(brief, offer).base
    return settle(base, offer.checkpoint, pictures)


def mended(brief: Brief, words: Words) -> Brief:
    """The brief with these words in place of its own; what is forbidden only where there is something."""
    negative = words.negative if words.negative is not None else brief.negative
    return replace(brief, prompt=words.prompt, negative=negative or (EMPTY if brief.negative == EMPTY else ""))


def _settled(brief: Brief, offer: Offer, pictures: Pictures) -> tuple[Settled | None, str]:
    try:
        return settled_draft(brief, offer, pictures), ""
    except InputError as error:
        return None, one_line(str(error))


def _offered(finding: Finding) -> tuple[str, ...]:
    return ((finding.instead,) if finding.instead else ()) + finding.offered


def _told(text: str, field: str, numbered: Iterable[tuple[int, Finding]], offer: Offer, text_tokens: int) -> Told:
    counts: tuple[Count, ...] = ()
    if offer.family:
        try:
            counts = attention.count(offer.checkpoint, offer.family, text, text_tokens=text_tokens)
        except InputError:  # told as the fault already, or a family whose vocabulary is not shipped
            counts = ()
    ends = len(text) - len(counts[-1].dropped) if counts else len(text)
    marked = [(each.start, each.end, number) for number, each in numbered if each.field == field]
    return Told(tuple(_pieces(text, marked, ends)), counts)


def _pieces(text: str, marked: Iterable[tuple[int, int, int]], ends: int) -> Iterable[Piece]:
    """The text cut where remarks begin and end, and where the encoder stops reading."""
    spans = sorted(marked)
    cuts = sorted({0, len(text), ends, *(at for start, end, _ in spans for at in (start, end) if 0 <= at <= len(text))})
    for start, end in itertools.pairwise(cuts):
        number = next((each for begin, stop, each in spans if begin <= start and end <= stop), -1)
        yield Piece(text[start:end], number, is_read=start < ends)
