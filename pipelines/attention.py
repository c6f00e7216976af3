r"""A1111's attention syntax, chunks of 75 tokens, and counts of tokens. Knows nothing about tensors.

On SDXL `(word)` weighs 1.1, `(word:1.3)` 1.3, `[word]` 1 / 1.1, nesting multiplies, `\(` is a plain bracket and `BREAK`
begins a chunk, as in A1111. FLUX reads such marks as words, so there they are refused; single brackets are text.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines.checkpoint import Checkpoint
from pipelines.errors import CheckpointError, RecipeError
from pipelines.recipe import FamilyName, Recipe
from pipelines.vocabulary import Vocabulary, vocabulary

CHUNK = 75  # tokens between the begin and end marks of CLIP's 77 positions
NEAR = 20  # how many tokens A1111 goes back to end a chunk at a comma
COMMA = ",</w>"
DEEPEST = 32  # brackets within brackets; nobody means more, and each one costs a walk over all that it holds
WEIGHTED = 1.1  # what one pair of brackets multiplies or divides by
CONFIGS = Path(__file__).with_name("configs")


class Run(NamedTuple):
    """Words of one weight; 1 = as written."""

    text: str
    weight: float


Segment = tuple[Run, ...]
"""Runs that share chunks: the text between two BREAKs."""


class Weighted(NamedTuple):
    """One token's number with the weight of its run."""

    number: int
    weight: float


@dataclass(frozen=True)
class Count:
    """How much of a text an encoder reads.

    `used` and `most` are tokens without the marks around them; on SDXL `most` is one chunk's, and there are `chunks`.
    `dropped` is the end of the text that is not read, "" if all is.
    """

    encoder: str
    used: int
    most: int
    chunks: int
    dropped: str


class Reader(NamedTuple):
    """An encoder; its tokenizer in a checkpoint and in `configs`, its positions, what its marks take, its prefix."""

    encoder: str
    folder: str
    shipped: str
    positions: int
    marks: int
    before: str = ""


TOKENS, SCHNELL_TOKENS = 512, 256  # padding of the words in FLUX.1-dev and FLUX.2, and in FLUX.1-schnell
_CLIP_L = Reader("CLIP-L", "tokenizer", "sdxl/tokenizer", 77, 2)
READERS: Mapping[FamilyName, tuple[Reader, ...]] = {
    "sdxl": (_CLIP_L, Reader("CLIP-G", "tokenizer_2", "sdxl/tokenizer_2", 77, 2)),
    "flux": (_CLIP_L, Reader("T5", "tokenizer_2", "flux-dev/tokenizer_2", TOKENS, 1)),
    # Qwen3 reads a chat, of which the end falls off first where it is too long
    "flux2": (Reader("Qwen3", "tokenizer", "", TOKENS, 0, before="<|im_start|>user\n"),),
}

_MARK = re.compile(
    r"\\(?P<literal>[()\[\]\\])|(?P<lone>\\)"
    r"|(?P<weight>:\s*(?P<number>[+-]?[\d.]+)\s*\))"
    r"|(?P<bracket>[()\[\]])"
    r"|(?P<break>(?:(?<!\s)\s+)?\bBREAK\b\s*)"
)
_ESCAPE = re.compile(r"\\.")
_RATIO = re.compile(r"\(\s*\d+\s*:\s*\d+\s*\)")
_QUOTED = re.compile(r'"[^"]*"')
_EVERYWHERE = (
    (
        re.compile(r"<(?:lora|lyco):[^<>]*>", re.I),
        "is A1111's way to load a LoRA and would be read as words; take it out and give --loras film:0.8",
    ),
    (re.compile(r"<hypernet:[^<>]*>", re.I), "asks for a hypernetwork, which is not applied; take it out"),
    (re.compile(r"\bembedding:\S+"), "asks for a textual inversion, which is not applied; take it out or use words"),
    (
        re.compile(r"(?<!_)__(?=[^\s_])[^\s,]{1,100}?__"),
        "is a wildcard; write the words out, or make the prompt an axis of a sweep",
    ),
    (
        re.compile(r"\{[^{}]*\|[^{}]*\}"),
        "is a choice of words; write one of them, or make the prompt an axis of a sweep",
    ),
)
_AND = (re.compile(r"\bAND\b"), "joins prompts in A1111, which is not done here; write 'and', or a comma")
_BREAK = (re.compile(r"\bBREAK\b"), "begins a chunk on SDXL; this family reads one text: take it out")
_DECIMAL = (re.compile(r"\([^()]*:\s*\d+,\d+\s*\)"), "has a comma in its weight; write a point: 1.2")
_ESCAPED = (re.compile(r"\\[()\[\]]"), "escapes a bracket, which this family reads as text; write it without \\")
_WEIGHT = re.compile(r"\(?[^()]{0,40}:\s*[+-]?[\d.]+\s*\)|\(\s*\([^()]*|\[\s*\[[^\[\]]*")


def parse(text: str) -> tuple[Segment, ...]:
    """The runs of a text in A1111's syntax, and where BREAK cuts it; neighbours of equal weight are one run.

    As in A1111 a bracket that is never closed acts to the end, one that was never opened is text, a backslash alone
    is dropped, and a BREAK at the very end does nothing. Raises RecipeError for a weight that is no number and for more
    than 32 open brackets.
    """
    runs: list[Run | None] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def weigh(begin: int, factor: float) -> None:
        runs[begin:] = [run and Run(run.text, run.weight * factor) for run in runs[begin:]]

    done = 0
    for mark in _MARK.finditer(text):
        runs.append(Run(text[done : mark.start()], 1.0))
        done = mark.end()
        match mark.lastgroup, mark.group():
            case "literal", literal:
                runs.append(Run(literal[1:], 1.0))
            case "weight", _ if opened["("]:
                weigh(opened["("].pop(), _number(mark["number"], text))
            case "bracket", ("(" | "[") as bracket:
                if sum(map(len, opened.values())) == DEEPEST:
                    raise RecipeError(
                        f"more than {DEEPEST} brackets are open at {_short(text[mark.start() :])}; close them"
                    )
                opened[bracket].append(len(runs))
            case "bracket", ")" if opened["("]:
                weigh(opened["("].pop(), WEIGHTED)
            case "bracket", "]" if opened["["]:
                weigh(opened["["].pop(), 1 / WEIGHTED)
            case "break", _:
                runs.append(None)
            case (("weight" | "bracket"), stray):
                runs.append(Run(stray, 1.0))
    runs.append(Run(text[done:], 1.0))
    for bracket, factor in (("(", WEIGHTED), ("[", 1 / WEIGHTED)):
        for begin in opened[bracket]:
            weigh(begin, factor)
    return _segments(runs)


def _segments(runs: Iterable[Run | None]) -> tuple[Segment, ...]:
    segments: list[list[Run]] = [[]]
    for run in runs:
        if run is None:
            segments.append([])
        elif segments[-1] and segments[-1][-1].weight == run.weight:
            segments[-1][-1] = Run(segments[-1][-1].text + run.text, run.weight)
        elif run.text:
            segments[-1].append(run)
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    return tuple(map(tuple, segments))


def _number(written: str, text: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise RecipeError(f"weight {written!r} in {_short(text)} is no number; write it as in (word:1.2)") from None


def chunked(
    segments: Sequence[Segment], numbers: Callable[[str], Sequence[int]], comma: int | None
) -> tuple[tuple[Weighted, ...], ...]:
    """The tokens of each chunk: at most 75, ended at a comma if one lies within the last 20 and words would be cut.

    `numbers` cuts a run's text into token numbers, `comma` is the number of a comma that ends a word. A segment begins
    a chunk; there is at least one chunk.
    """
    chunks: list[tuple[Weighted, ...]] = []
    for segment in segments:
        tokens = [Weighted(number, run.weight) for run in segment for number in numbers(run.text)]
        while len(tokens) > CHUNK:
            commas = [place for place in range(CHUNK - NEAR, CHUNK) if tokens[place].number == comma]
            ends = commas[-1] + 1 if commas and tokens[CHUNK].number != comma else CHUNK
            chunks.append(tuple(tokens[:ends]))
            tokens = tokens[ends:]
        chunks.append(tuple(tokens))
    return tuple(chunks)


def count(checkpoint: Checkpoint | None, family: FamilyName, text: str, *, text_tokens: int = 0) -> tuple[Count, ...]:
    """How many tokens of a text each encoder reads, and what falls off; the marks of attention syntax do not count.

    Without a checkpoint the family's shipped vocabulary counts. `text_tokens` is FLUX's padding length, 0 = the
    checkpoint's normal. On FLUX.1 CLIP reads the beginning only, for the overall impression; T5 carries the words.
    Raises CheckpointError for tokenizer files that cannot be read, RecipeError for a weight that is no number.
    """
    return tuple(
        _count(reader, vocabulary(_folder(reader, checkpoint, family)), family, text)
        for reader in _readers(checkpoint, family, text_tokens)
    )


def _readers(checkpoint: Checkpoint | None, family: FamilyName, text_tokens: int = 0) -> tuple[Reader, ...]:
    *others, last = READERS[family]
    if family == "sdxl":
        return (*others, last)
    return (*others, last._replace(positions=text_tokens or most_tokens(checkpoint)))


def most_tokens(checkpoint: Checkpoint | None) -> int:
    """Positions of FLUX's words: 512, 256 for FLUX.1-schnell (told by its transformer, which takes no guidance)."""
    if checkpoint and checkpoint.family == "flux" and not checkpoint.config("transformer").get("guidance_embeds"):
        return SCHNELL_TOKENS
    return TOKENS


def _count(reader: Reader, words: Vocabulary, family: FamilyName, text: str) -> Count:
    most = reader.positions - reader.marks
    if family == "sdxl":
        chunks = chunked(parse(text), lambda run: [token.number for token in words.tokens(run)], words.number(COMMA))
        return Count(reader.encoder, sum(map(len, chunks)), most, len(chunks), "")
    starts = [token.start - len(reader.before) for token in words.tokens(reader.before + text)]
    most -= sum(start < 0 for start in starts)
    starts = [start for start in starts if start >= 0]
    return Count(reader.encoder, len(starts), most, 1, text[starts[most] :] if len(starts) > most else "")


def _folder(reader: Reader, checkpoint: Checkpoint | None, family: FamilyName) -> Path:
    if checkpoint:
        return checkpoint.place(reader.folder).folder
    if not reader.shipped:
        raise CheckpointError(f"the vocabulary of {family} is not shipped; name a checkpoint to count its tokens")
    return CONFIGS / reader.shipped


def check(recipe: Recipe, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Warnings about both texts: words that fall off, brackets left open.

    Raises RecipeError for syntax of other tools that this family would read as words.
    """
    texts = {"prompt": recipe.prompt} | ({} if recipe.negative is None else {"negative": recipe.negative})
    warnings: list[str] = []
    for name, text in texts.items():
        refuse(text, checkpoint.family, name)
        counts = count(checkpoint, checkpoint.family, text, text_tokens=recipe.text_tokens)
        warnings += _long(name, counts)
        if checkpoint.family == "sdxl" and (bracket := _unclosed(text)):
            warnings.append(f"{name}: a {bracket} is never closed, so it weighs everything after it, as in A1111")
    return tuple(warnings)


def refuse(text: str, family: FamilyName, name: str = "prompt") -> None:
    """Raise RecipeError for syntax that `family` would read as words, or that stands for something not done here."""
    for pattern, reason in _EVERYWHERE:
        _refuse(pattern, reason, text, name)
    if family == "sdxl":
        _refuse(*_AND, text, name)
        _refuse(*_DECIMAL, text, name)
        _refuse_scheduled(_ESCAPE.sub("  ", text), name)
        return
    said = _QUOTED.sub("", text)  # FLUX paints what stands in quotes
    _refuse(*_AND, said, name)
    _refuse(*_BREAK, said, name)
    _refuse(*_ESCAPED, text, name)
    _refuse_scheduled(text, name)
    advice = f"is an attention weight, which {family} would read as words; take it off, and say what matters first"
    _refuse(_WEIGHT, advice, _RATIO.sub("", text), name)


def _refuse(pattern: re.Pattern[str], reason: str, text: str, name: str) -> None:
    if found := pattern.search(text):
        raise RecipeError(f"{name}: {_short(found.group())} {reason}")


def _refuse_scheduled(text: str, name: str) -> None:
    """Refuse [a|b] and [a:b:0.5] at any depth of square brackets."""
    opened: list[int] = []
    for place, letter in enumerate(text):
        if letter == "[":
            opened.append(place)
        elif letter == "|" and opened:
            found = _short(text[opened[-1] :].partition("]")[0] + "]")
            raise RecipeError(f"{name}: {found} alternates words between steps, which is not done; write one of them")
        elif letter == "]" and opened:
            found = text[opened.pop() : place + 1]
            if re.search(r":\s*[\d.]+\s*\]$", found):
                raise RecipeError(
                    f"{name}: {_short(found)} changes words on the way, which is not done; write one of them "
                    "(a weight stands in round brackets: (word:0.8))"
                )


def _long(name: str, counts: Sequence[Count]) -> list[str]:
    """A warning for what the last encoder does not read (FLUX.1's CLIP is only asked for the gist)."""
    last = counts[-1]
    if last.dropped:
        return [
            f"{name}: {last.used} tokens are more than the {last.most} that {last.encoder} reads; this falls off: "
            f"{last.dropped.strip()}"
        ]
    return []


def _unclosed(text: str) -> str:
    """The first kind of bracket that is opened and never closed, "" if none."""
    for bracket, closing in ("()", "[]"):
        depth = 0
        for letter in _ESCAPE.sub("  ", text):
            depth = max(0, depth + (letter == bracket) - (letter == closing))
        if depth:
            return bracket
    return ""


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
