"""Builds the three tokenizers from the captions' own words: two for CLIP, one for T5.

Knows nothing about what the words mean.
"""

import json
from dataclasses import dataclass

from tokenizers import pre_tokenizers, trainers
from transformers import CLIPTokenizer, T5Tokenizer


@dataclass(frozen=True)
class Tokenizers:
    """CLIP's, CLIP's padded with "!" as SDXL's second, and T5's; each knows every word of the corpus as one token."""

    first: CLIPTokenizer
    second: CLIPTokenizer
    t5: T5Tokenizer


def build(corpus: list[str]) -> Tokenizers:
    vocab, merges = _byte_pairs(corpus)
    first, second = (
        CLIPTokenizer(vocab=vocab, merges=merges, pad_token=pad, model_max_length=77) for pad in ("<|endoftext|>", "!")
    )
    return Tokenizers(first, second, T5Tokenizer(vocab=_pieces(corpus), extra_ids=0, model_max_length=512))


def _byte_pairs(corpus: list[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """CLIP's vocabulary in its own order (bytes, bytes that end a word, merges, two marks) and the merges."""
    base = CLIPTokenizer()._tokenizer
    printable = [chr(c) for c in (*range(33, 127), *range(161, 173), *range(174, 256))]
    alphabet = list(dict.fromkeys(printable + sorted(pre_tokenizers.ByteLevel.alphabet())))
    trainer = trainers.BpeTrainer(vocab_size=6000, min_frequency=1, end_of_word_suffix="</w>", show_progress=False)
    base.train_from_iterator(corpus, trainer)
    merges = [(left, right) for left, right in json.loads(base.to_str())["model"]["merges"]]
    words = alphabet + [c + "</w>" for c in alphabet]
    known = set(words)
    words += [word for word in dict.fromkeys(left + right for left, right in merges) if word not in known]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return {word: i for i, word in enumerate(words)}, merges


def _pieces(corpus: list[str]) -> list[tuple[str, float]]:
    """T5's unigram pieces with log-probabilities: whole words beat letters."""
    found = sorted({word.strip(".,") for text in corpus for word in text.split()} - {""})
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -4.0)] + [(chr(c), -9.0) for c in range(33, 127)]
    return pieces + [(f"▁{w}", -6.0) for w in dict.fromkeys(x for word in found for x in (word, word.capitalize()))]
