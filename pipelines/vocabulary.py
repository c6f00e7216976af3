"""Opens the tokenizer files of a checkpoint and cuts text into tokens. Knows nothing about encoders or torch.

It reads what transformers reads (tokenizer.json, vocab.json with merges.txt, spiece.model) and gives the same numbers,
but with the `tokenizers` package alone, so that counting words loads nothing heavy.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.errors import CheckpointError

# as CLIP was trained
CLIP_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


class Token(NamedTuple):
    """One token: its number, and where it begins in the text (characters)."""

    number: int
    start: int


class Vocabulary:
    """The tokenizer that lies in a folder. Raises CheckpointError for files that are missing or damaged."""

    def __init__(self, folder: Path) -> None:
        try:
            self._tokenizer = _opened(folder)
        except CheckpointError:
            raise
        except Exception as error:  # noqa: BLE001  # the tokenizers package raises bare Exception for files that it cannot read
            raise CheckpointError(f"the tokenizer in {folder} is damaged ({error}); copy the folder again") from None

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text, without the marks that an encoder puts around it."""
        cut = self._tokenizer.encode(text, add_special_tokens=False)
        return [Token(number, start) for number, (start, _) in zip(cut.ids, cut.offsets, strict=True)]

    def number(self, token: str) -> int | None:
        """The number of a token, None if the vocabulary lacks it."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found


@lru_cache(maxsize=16)
def vocabulary(folder: Path) -> Vocabulary:
    """The vocabulary of a folder, read once a process."""
    return Vocabulary(folder)


def _opened(folder: Path) -> Any:
    from tokenizers import Tokenizer

    if (folder / "tokenizer.json").is_file():
        tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        _as_transformers_does(tokenizer)
        tokenizer.no_truncation()
        tokenizer.no_padding()
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        tokenizer = _from_merges(folder)
        _add_special(tokenizer, ["<|startoftext|>", "<|endoftext|>"])
    elif (folder / "spiece.model").is_file():
        tokenizer = _from_sentencepiece(folder / "spiece.model")
        _add_special(tokenizer, ["<pad>", "</s>", "<unk>"])
    else:
        raise CheckpointError(
            f"{folder} holds no tokenizer.json, vocab.json with merges.txt, or spiece.model; copy the folder again"
        )
    _add_special(tokenizer, _named_special(folder))
    return tokenizer


def _from_merges(folder: Path) -> Any:
    """CLIP's byte-level BPE."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    model = models.BPE.from_file(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        continuing_subword_prefix="",
        end_of_word_suffix="</w>",
        unk_token=_text(_described(folder).get("unk_token", "<|endoftext|>")),
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return tokenizer


def _from_sentencepiece(path: Path) -> Any:
    """T5's unigram model, put together as transformers does."""
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import Tokenizer, models, normalizers

    model = sentencepiece_model_pb2.ModelProto.FromString(path.read_bytes())  # type: ignore[attr-defined]  # made at import
    scores = [(piece.piece, piece.score) for piece in model.pieces]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=model.trainer_spec.unk_id, byte_fallback=False))
    if model.normalizer_spec.precompiled_charsmap:
        tokenizer.normalizer = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    tokenizer.pre_tokenizer = _blanks()
    return tokenizer


def _as_transformers_does(tokenizer: Any) -> None:
    """Of a T5 file transformers takes the words and the table of letters, and cuts blanks in its own way."""
    from tokenizers import models, normalizers

    if isinstance(tokenizer.model, models.Unigram):
        tokenizer.pre_tokenizer = _blanks()
        given = tokenizer.normalizer
        steps = [given[at] for at in range(len(given))] if isinstance(given, normalizers.Sequence) else [given]
        tokenizer.normalizer = next((step for step in steps if isinstance(step, normalizers.Precompiled)), None)


def _blanks() -> Any:
    """T5's blanks: each run of them is one, and belongs to the word that follows."""
    from tokenizers import pre_tokenizers

    metaspace = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace])


def _named_special(folder: Path) -> list[Any]:
    """The marks that tokenizer_config.json names, as text or with flags."""
    described = _described(folder)
    listed = described.get("added_tokens_decoder", {})
    return [listed[number] for number in sorted(listed, key=int)] + [described[n] for n in SPECIAL if described.get(n)]


def _add_special(tokenizer: Any, marks: Iterable[Any]) -> None:
    """Make these be cut out whole, wherever they stand ("!" pads SDXL's second encoder)."""
    from tokenizers import AddedToken

    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for mark in marks:
        if _text(mark) not in known:
            known.add(_text(mark))
            given = mark if isinstance(mark, dict) else {}
            flags = {name: given[name] for name in ("single_word", "lstrip", "rstrip", "normalized") if name in given}
            tokenizer.add_special_tokens([AddedToken(_text(mark), **flags)])


def _described(folder: Path) -> Mapping[str, Any]:
    path = folder / "tokenizer_config.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _text(mark: Any) -> str:
    return str(mark["content"] if isinstance(mark, dict) else mark)
