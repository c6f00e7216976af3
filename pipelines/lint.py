"""Lint: what a prompt says that no camera can do, where, and a text that says it in photographic words.

The rules are data (`lint.toml`, the user's own beside the own lights). Knows nothing about Lights or tokens.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_config_path
from pydantic import AfterValidator, model_validator

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from pipelines.prompts import Style, Words, style_of, wording
from pipelines.recipe import FamilyName

SHIPPED = Path(__file__).with_name("lint.toml")
BEFORE, AFTER = r"(?<![\w-])(?:(?:very|so|truly|really|extremely|absolutely)\s+)?", r"(?![\w-])"
ROUNDS = 4  # words that go bring others together: `airbrushed [skin] smoothing`; an own rule may never be content
MOST = 20_000  # characters: far beyond every encoder, and quickly read
EMPTY_BRACKETS = re.compile(r"[(\[]\s*(?::\s*[\d.]+)?\s*[)\]]")
# Words that stand before what was taken out and hang in the air without it.
HANGING = re.compile(r"(?:\s+|^)(?:and|or|in|with|of|by|under|at|for)\s*$", re.IGNORECASE)
AND_BEFORE, AND_AFTER = re.compile(r"\s+and\s+$", re.IGNORECASE), re.compile(r"^\s*(?:and\s+|,\s*)", re.IGNORECASE)
OPENS = re.compile(r"(?:^|[,.;]|\b(?:an?|the))\s*$", re.IGNORECASE)
ARTICLE = re.compile(r"\b([Aa])n?\s+$")
DOUBLED = re.compile(r"\b(\w+)\s+\1\b", re.IGNORECASE)
TAG = re.compile(r"[^,]+")
# What taking words out leaves behind, and what it becomes.
SWEEP: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[ \t]{2,}"), " "),
    (re.compile(r"\s+([,.;])"), r"\1"),
    (re.compile(r"([,;])(?:\s*[,;])+"), r"\1"),
    (re.compile(r"[,;]\s*\."), "."),
    (re.compile(r"\.(?:\s*[,.])+(?=\s|$)"), "."),
    (re.compile(r"^[\s,;.]+|[\s,;]+$"), ""),
)


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class Offer(Frozen):
    """Photographic words that are added once; `unless` finds that the text says it already."""

    unless: Pattern
    tags: str = ""
    sentences: str = ""
    negative: str = ""


class Rule(Frozen):
    """One thing a prompt should not say; lint.toml describes the keys."""

    name: str
    kind: Literal["words", "pattern", "clash", "doubled", "negation"] = "words"
    why: str = ""
    words: tuple[str, ...] = ()
    pattern: Pattern = ""
    groups: tuple[tuple[str, ...], ...] = ()
    styles: tuple[Style, ...] = ("tags", "sentences")
    unless: Pattern = ""
    keep: Pattern = ""
    instead: str = ""
    offers: tuple[str, ...] = ()
    tags: str = ""
    sentences: str = ""
    off: bool = False

    @model_validator(mode="after")
    def _has_what_it_looks_for(self) -> "Rule":
        needed = {"words": self.words, "clash": self.groups, "pattern": self.pattern, "negation": self.pattern}
        if not self.off and not needed.get(self.kind, True):
            key = {"clash": "groups", "words": "words"}.get(self.kind, "pattern")
            raise ValueError(f"a rule of kind {self.kind} needs {key}")
        if self.kind == "clash" and not self.off and len(self.groups) != 2:
            raise ValueError(f"a clash is between two groups, {len(self.groups)} are given")
        groups = re.compile(self.pattern).groups
        if self.kind == "negation" and not self.off and not groups:
            raise ValueError("a rule of kind negation needs a group in its pattern: the thing that is forbidden")
        if wrong := [number for number in re.findall(r"\\(\d+)", self.instead) if int(number) > groups]:
            raise ValueError(f"instead speaks of group {wrong[0]}, the pattern has {groups}")
        return self

    @cached_property
    def looked_for(self) -> tuple[re.Pattern[str], ...]:
        """One expression; of a clash two."""
        if self.kind == "clash":
            return tuple(_any_of(group) for group in self.groups)
        return (_any_of(self.words) if self.kind == "words" else re.compile(self.pattern, re.IGNORECASE),)


class Example(Frozen):
    """A prompt to show what lint does."""

    title: str
    family: FamilyName
    prompt: str
    negative: str | None = None


class Rules(Frozen):
    """All of a lint.toml."""

    rule: tuple[Rule, ...] = ()
    offers: Mapping[str, Offer] = {}
    example: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A fault: where it stands (code points, `end` excluded), why it is one, what the rule puts or adds instead."""

    rule: str
    field: Literal["prompt", "negative"]
    start: int
    end: int
    text: str
    why: str
    instead: str
    offered: tuple[str, ...]


@dataclass(frozen=True)
class Linted:
    """The findings in the order of the text, and the text with them mended; without findings it is the text itself."""

    family: FamilyName
    findings: tuple[Finding, ...]
    after: Words


@dataclass(frozen=True)
class _Hit:
    rule: Rule
    start: int
    end: int
    instead: str
    forbids: str = ""


def lint(prompt: str, family: FamilyName, negative: str | None = None) -> Linted:
    """What to say otherwise in a prompt for this family. Raises InputError for a wrong lint.toml of the user's own."""
    if len(prompt) > MOST or len(negative or "") > MOST:
        raise InputError(f"the text has {max(len(prompt), len(negative or ''))} characters; lint reads up to {MOST}")
    style, rules = style_of(family), load()
    hits = _all_hits(rules, prompt, style)
    findings = [
        Finding(
            hit.rule.name, "prompt", hit.start, hit.end, prompt[hit.start : hit.end], hit.rule.why, hit.instead,
            _offered(hit.rule, rules, style),
        )
        for hit in hits
    ]  # fmt: skip
    mended, rounds = _mended(prompt, hits), ROUNDS
    while rounds and (more := _all_hits(rules, mended, style)) and (again := _mended(mended, more)) != mended:
        mended, hits, rounds = again, [*hits, *more], rounds - 1
    positives: list[str] = [hit.forbids for hit in hits if hit.forbids]
    if negative and style == "sentences":
        findings.append(_no_negative(negative))
        positives += [item.strip() for item in negative.split(",") if item.strip()]
    return Linted(family, tuple(findings), _after(Words(mended, negative), hits, rules, style, forbidden=positives))


def load() -> Rules:
    """The shipped rules, then the user's own over them by name."""
    shipped, path = _read(SHIPPED), own_rules()
    if not path.is_file():
        return shipped
    own = _read(path)
    for rule in own.rule:
        for offer in rule.offers:
            if offer not in {**shipped.offers, **own.offers}:
                raise InputError(f"{path}: rule {rule.name!r} offers {offer!r}, which is not in [offers]")
    rules = {rule.name: rule for rule in (*shipped.rule, *own.rule)}
    return Rules(
        rule=tuple(rule for rule in rules.values() if not rule.off),
        offers={**shipped.offers, **own.offers},
        example=own.example or shipped.example,
    )


def own_rules() -> Path:
    """The user's own lint.toml; it need not be there."""
    return user_config_path("sidelight") / "lint.toml"


def _read(path: Path) -> Rules:
    stat = path.stat()
    return _parsed(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _parsed(path: Path, _changed_ns: int, _bytes: int) -> Rules:
    """Read again only if the file changed: a page lints at every key press."""
    try:
        return Rules.read(tomllib.loads(path.read_text(encoding="utf-8")))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no TOML ({error}); mend it or move it away") from None


def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Whole words in any case; the longest first, so that `8k uhd` is one finding."""
    each = (r"[\s_-]+".join(map(re.escape, word.split())) for word in sorted(words, key=len, reverse=True))
    return re.compile(f"{BEFORE}(?:{'|'.join(each)}){AFTER}", re.IGNORECASE)


def _all_hits(rules: Rules, text: str, style: Style) -> list[_Hit]:
    return _apart([hit for rule in rules.rule if style in rule.styles for hit in _hits(rule, text, style)])


def _hits(rule: Rule, text: str, style: Style) -> Iterator[_Hit]:
    if rule.unless and re.search(rule.unless, text, re.IGNORECASE):
        return
    if rule.kind == "clash":
        yield from _clashing(rule, text)
    elif rule.kind == "doubled":
        yield from _twice(rule, text)
    else:
        for found in rule.looked_for[0].finditer(text):
            yield _forbidding(rule, found, style) if rule.kind == "negation" else _found(rule, found)


def _found(rule: Rule, found: re.Match[str]) -> _Hit:
    kept = re.search(rule.keep, found[0], re.IGNORECASE) if rule.keep else None
    return _Hit(rule, *found.span(), kept[0] if kept else _filled(rule.instead, found))


def _filled(instead: str, found: re.Match[str]) -> str:
    return re.sub(r"\\(\d+)", lambda number: found[int(number[1])] or "", instead)


def _forbidding(rule: Rule, found: re.Match[str], style: Style) -> _Hit:
    """Moved to the negative prompt, or said positively; where nobody knows how, it stays for the writer."""
    if style == "tags" or found[1].lower() in wording()["instead"]:
        return _Hit(rule, *found.span(), "", forbids=found[1])
    return _Hit(rule, *found.span(), found[0])


def _clashing(rule: Rule, text: str) -> Iterator[_Hit]:
    """What comes second of two that exclude each other; which of them stays is for the writer to say."""
    first, second = (pattern.search(text) for pattern in rule.looked_for)
    if first and second:
        later = max(first, second, key=lambda found: found.start())
        yield _Hit(rule, *later.span(), later[0])


def _twice(rule: Rule, text: str) -> Iterator[_Hit]:
    for found in DOUBLED.finditer(text):
        if not found[1].isdigit():
            yield _Hit(rule, *found.span(), found[1])
    seen: set[str] = set()
    for tag in TAG.finditer(text):
        said = " ".join(tag[0].lower().strip(" .").split())
        if said and said in seen:
            start = tag.start() + len(tag[0]) - len(tag[0].lstrip())
            yield _Hit(rule, start, start + len(tag[0].strip(" .\n\t")), "")
        seen.add(said)


def _apart(hits: list[_Hit]) -> list[_Hit]:
    """Hits that do not overlap, in the order of the text: the longer one stays, of equals the first rule's."""
    kept: list[_Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
        elif _matters(hit) > _matters(kept[-1]):
            kept[-1] = hit
    return kept


def _matters(hit: _Hit) -> tuple[bool, int]:
    """Words said twice matter less than what is wrong with them once."""
    return hit.rule.kind != "doubled", hit.end - hit.start


def _mended(text: str, hits: list[_Hit]) -> str:
    if not hits:
        return text
    for hit in reversed(hits):
        text = _replaced(text, hit)
    while (emptied := EMPTY_BRACKETS.sub("", text)) != text:
        text = emptied
    for pattern, becomes in SWEEP:
        text = pattern.sub(becomes, text)
    return text


def _replaced(text: str, hit: _Hit) -> str:
    before, gone, after = text[: hit.start], text[hit.start : hit.end], text[hit.end :]
    if hit.instead == gone:
        return text
    if not hit.instead:
        before, after = _without_joints(before, after)
    rest = hit.instead + after
    if gone[:1].isupper():
        rest = rest[:1].upper() + rest[1:]
    if (article := ARTICLE.search(before[-8:])) and rest[:1].isalpha():
        before = before[: len(before) - len(article[0])] + article[1]
        before += "n " if rest[0].lower() in "aeiou" else " "
    return before + rest


def _without_joints(before: str, after: str) -> tuple[str, str]:
    """Both sides of words that go, without the and, of or with that would be left over."""
    tail, end = before[:-12], before[-12:]
    end = AND_BEFORE.sub(" ", end)
    if OPENS.search(end or tail[-12:]):
        after = AND_AFTER.sub("", after)
    after = after.lstrip(" ")
    if not after or after[0] in ",.;":
        end = HANGING.sub("", end)
    return tail + end, after if end[-1:].isspace() or not after or not (tail + end) else _spaced(after)


def _spaced(after: str) -> str:
    return f" {after}" if after[0].isalnum() else after


def _offered(rule: Rule, rules: Rules, style: Style) -> tuple[str, ...]:
    told = [rule.tags if style == "tags" else rule.sentences]
    for name in rule.offers:
        offer = rules.offers[name]
        told += (
            [offer.tags, f"negative: {offer.negative}" if offer.negative else ""]
            if style == "tags"
            else [offer.sentences]
        )
    return tuple(text for text in told if text)


def _after(words: Words, hits: list[_Hit], rules: Rules, style: Style, *, forbidden: list[str]) -> Words:
    """The mended text with what the rules offer, each once, and what was forbidden where it belongs."""
    adds = [hit.rule.tags if style == "tags" else hit.rule.sentences for hit in hits]
    negatives = [words.negative or ""] + (forbidden if style == "tags" else [])
    for offer in (rules.offers[name] for name in dict.fromkeys(name for hit in hits for name in hit.rule.offers)):
        if not re.search(offer.unless, words.prompt, re.IGNORECASE):
            adds.append(offer.tags if style == "tags" else offer.sentences)
        if style == "tags" and not re.search(offer.unless, words.negative or "", re.IGNORECASE):
            negatives.append(offer.negative)
    if style == "tags":
        without = ", ".join(dict.fromkeys(text for text in negatives if text))
        text = words.prompt.rstrip(" .") if any(adds) else words.prompt
        return Words(", ".join(_said([text, *adds])), without or words.negative)
    known: Mapping[str, str] = wording()["instead"]
    shown = [known[thing.lower()] for thing in dict.fromkeys(forbidden) if thing.lower() in known]
    adds += [f"The photograph shows {', '.join(dict.fromkeys(shown))}."] if shown else []
    prompt = words.prompt
    for text in _said(adds):
        prompt = f"{prompt.rstrip()}{'' if prompt.rstrip().endswith(('.', '!', '?')) else '.'} {text}".lstrip(". ")
    return Words(prompt, None)


def _said(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _no_negative(negative: str) -> Finding:
    known: Mapping[str, Any] = wording()["instead"]
    lost = [item for item in map(str.strip, negative.split(",")) if item and item.lower() not in known]
    left = f"; say yourself what is there instead of: {', '.join(lost)}" if lost else ""
    return Finding(
        "negative on FLUX",
        "negative",
        0,
        len(negative),
        negative,
        f"FLUX has no negative prompt (true guidance 1): say what is there{left}",
        "",
        (),
    )
