"""SDXL's words as tensors: stock where a text is plain and short, else weighted chunks. Knows nothing about denoising.

Weights act as A1111's default emphasis does, so that its pictures can be made again: after the encoder, every token's
vector is multiplied by its weight, then the whole chunk by what restores its mean; each encoder and chunk by itself.
compel 2.5.1, the kept library for this, was judged and left out: it sends the marks as words into the pooled vector,
has no clip_skip, another syntax, and scales from the empty prompt (as ComfyUI does).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from pipelines.attention import COMMA, Segment, Weighted, chunked, parse

Chunk = tuple[Weighted, ...]


def encode(pipe: Any, prompt: str, negative: str | None, *, clip_skip: int) -> Mapping[str, torch.Tensor]:
    """Prompt and negative as (1, 77 * chunks, width) and pooled (1, width) tensors, by the pipeline's argument names.

    `pipe` is a StableDiffusionXLPipeline with its encoders. The shorter text is filled up with chunks of the empty
    text; a missing negative is zeros, as stock. The pooled vector is that of the first chunk, without weights.
    clip_skip acts on the prompt alone, as in the stock pipeline.
    """
    texts = (prompt,) if negative is None else (prompt, negative)
    parsed = [parse(text) for text in texts]
    chunks = [[_chunks(segments, tokenizer) for tokenizer in (pipe.tokenizer, pipe.tokenizer_2)] for segments in parsed]
    if all(_is_plain(of_encoder) for of_text in chunks for of_encoder in of_text):
        return _stock(pipe, [_words(segments) for segments in parsed], clip_skip)
    length = max(len(of_encoder) for of_text in chunks for of_encoder in of_text)
    embeds, pooled = _read(pipe, chunks[0], length, clip_skip)
    if negative is None and pipe.config.force_zeros_for_empty_prompt:
        others = torch.zeros_like(embeds), torch.zeros_like(pooled)
    else:
        others = _read(pipe, chunks[1] if len(chunks) > 1 else [[()], [()]], length, 0)
    return _named(embeds, others[0], pooled, others[1])


def _stock(pipe: Any, texts: Sequence[str], clip_skip: int) -> Mapping[str, torch.Tensor]:
    prompt, negative = texts if len(texts) > 1 else (texts[0], None)
    return _named(
        *pipe.encode_prompt(
            prompt,
            negative_prompt=negative,
            clip_skip=clip_skip or None,
            device=pipe.text_encoder.device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=True,
        )
    )


def _named(embeds: Any, negative: Any, pooled: Any, negative_pooled: Any) -> Mapping[str, torch.Tensor]:
    return {
        "prompt_embeds": embeds,
        "negative_prompt_embeds": negative,
        "pooled_prompt_embeds": pooled,
        "negative_pooled_prompt_embeds": negative_pooled,
    }


def _chunks(segments: Sequence[Segment], tokenizer: Any) -> list[Chunk]:
    def numbers(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, truncation=False, padding=False, verbose=False).input_ids)

    return list(chunked(segments, numbers, tokenizer.get_vocab().get(COMMA)))


def _is_plain(chunks: Sequence[Chunk]) -> bool:
    """Whether the stock pipeline reads it all: one chunk, no weights."""
    return len(chunks) == 1 and all(token.weight == 1 for token in chunks[0])


def _words(segments: Sequence[Segment]) -> str:
    return "".join(run.text for run in segments[0])


def _read(
    pipe: Any, chunks: Sequence[Sequence[Chunk]], length: int, clip_skip: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(embeds, pooled) of one text, its chunks given per encoder and filled up to `length` of them."""
    encoders = (pipe.tokenizer, pipe.text_encoder), (pipe.tokenizer_2, pipe.text_encoder_2)
    first, second = (
        [_read_chunk(*encoder, chunk, clip_skip) for chunk in [*own, *[()] * (length - len(own))]]
        for encoder, own in zip(encoders, chunks, strict=True)
    )
    halves = [torch.cat([vectors for vectors, _ in read], dim=1) for read in (first, second)]
    return torch.cat(halves, dim=-1).to(pipe.text_encoder_2.dtype), second[0][1]


def _read_chunk(tokenizer: Any, encoder: Any, chunk: Chunk, clip_skip: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One chunk as stock reads a text of that many tokens, then weighted; and what the encoder gives first."""
    numbers = [tokenizer.bos_token_id, *(token.number for token in chunk), tokenizer.eos_token_id]
    numbers += [tokenizer.pad_token_id] * (tokenizer.model_max_length - len(numbers))
    answer = encoder(torch.tensor([numbers], device=encoder.device), output_hidden_states=True)
    return weighted(answer.hidden_states[-(clip_skip + 2)], [token.weight for token in chunk]), answer[0]


def weighted(vectors: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """The vectors (1, 77, width) of a chunk with the weights of the tokens after the begin mark; its mean is kept."""
    if all(weight == 1 for weight in weights):
        return vectors
    factors = torch.ones(vectors.shape[1], device=vectors.device)
    factors[1 : 1 + len(weights)] = torch.tensor(weights, device=vectors.device)
    wide = vectors.float()
    scaled = wide * factors[:, None]
    return (scaled * (wide.mean() / scaled.mean())).to(vectors.dtype)
