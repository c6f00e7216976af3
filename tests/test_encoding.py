"""SDXL's words as tensors: bit-equal to stock where stock reads them, chunks and weights against sums made by hand."""

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from making import dealt, engine, pictures, recipe
from tiny import tiny_checkpoint

from pipelines import encoding
from pipelines.attention import count
from pipelines.checkpoint import Checkpoint
from pipelines.families import family_of

NAMES = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
LONG = "side light, " * 15  # 150 tokens of the tiny vocabulary, which reads letters


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return tiny_checkpoint("sdxl", tmp_path_factory.mktemp("sdxl"))


@pytest.fixture(scope="module")
def pipe(sdxl: Checkpoint) -> Any:
    return diffusers.StableDiffusionXLPipeline.from_pretrained(sdxl.folder, local_files_only=True)


@pytest.fixture(scope="module")
def demo_pipe() -> Any:
    folder = Path(__file__).parent.parent / "pipelines" / "demo" / "sidelight-demo-sdxl"
    return diffusers.StableDiffusionXLPipeline.from_pretrained(folder, local_files_only=True)


def stock(pipe: Any, prompt: str, negative: str | None = None, clip_skip: int | None = None) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return dict(zip(NAMES, pipe.encode_prompt(prompt, negative_prompt=negative, clip_skip=clip_skip), strict=True))


def ours(pipe: Any, prompt: str, negative: str | None = None, clip_skip: int = 0) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return dict(encoding.encode(pipe, prompt, negative, clip_skip=clip_skip))


def alike(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(left[name], right[name]) for name in NAMES)


@pytest.mark.parametrize("negative", [None, "", "flat light"])
@pytest.mark.parametrize("clip_skip", [0, 1])
def test_a_plain_short_text_is_encoded_as_stock_does_bit_for_bit(
    pipe: Any, negative: str | None, clip_skip: int
) -> None:
    for prompt in ("", "a portrait, side light", "a" * 75, "odd: 2 - 1, \u00e9!"):
        assert alike(ours(pipe, prompt, negative, clip_skip), stock(pipe, prompt, negative, clip_skip or None)), prompt


def test_weights_of_one_and_escapes_are_the_plain_text_bit_for_bit(pipe: Any, demo_pipe: Any) -> None:
    for one in (pipe, demo_pipe):
        plain = stock(one, "a portrait, side light", "flat light")
        assert alike(
            ours(one, "(a portrait:1.0), (((side)) light:1)".replace("(((side))", "(side"), "(flat:1) light"), plain
        )
        assert alike(ours(one, "[(a portrait, side:1.1)] light", "flat light"), plain)
    assert alike(ours(demo_pipe, r"a portrait \(side light\)"), stock(demo_pipe, "a portrait (side light)"))


def test_a_weight_scales_one_tokens_vector_and_keeps_the_mean(pipe: Any) -> None:
    plain = stock(pipe, "a b c")["prompt_embeds"]
    expected = []
    for half in plain.split(16, dim=-1):  # the two encoders, each by itself
        scaled = half.clone()
        scaled[0, 2] *= 1.3  # begin mark, a, b
        expected.append(scaled * half.mean() / scaled.mean())
    made = ours(pipe, "a (b:1.3) c")
    torch.testing.assert_close(made["prompt_embeds"], torch.cat(expected, dim=-1), rtol=1e-5, atol=1e-6)
    assert not torch.equal(made["prompt_embeds"], plain)
    for half in (slice(0, 16), slice(16, 32)):
        torch.testing.assert_close(made["prompt_embeds"][..., half].mean(), plain[..., half].mean())
    assert torch.equal(made["pooled_prompt_embeds"], stock(pipe, "a b c")["pooled_prompt_embeds"])


def test_more_weight_moves_a_token_further_the_same_way(demo_pipe: Any) -> None:
    plain = stock(demo_pipe, "a portrait, side light")["prompt_embeds"][0]
    shares = []
    for weight in (0.5, 0.8, 1.0, 1.3, 1.6):
        vectors = ours(demo_pipe, f"a portrait, (side:{weight}) light")["prompt_embeds"][0]
        ratio = vectors.norm(dim=-1) / plain.norm(dim=-1)  # of each token; "side" is the fifth after the begin mark
        shares.append(float(ratio[4] / ratio[0]))
        assert torch.cosine_similarity(vectors[4], plain[4], dim=0) > 0.99
    assert shares == pytest.approx([0.5, 0.8, 1.0, 1.3, 1.6], rel=0.05)
    assert shares == sorted(shares)


def test_a_long_text_is_its_chunks_by_stock_side_by_side(pipe: Any) -> None:
    chunks = ("side light, " * 7, "side light, " * 7, "side light, ")
    assert count_of(pipe, LONG) == [70, 70, 10]
    for clip_skip in (0, 1):
        parts = [stock(pipe, chunk, "", clip_skip or None) for chunk in chunks]
        made = ours(pipe, LONG, "", clip_skip)
        assert torch.equal(made["prompt_embeds"], torch.cat([part["prompt_embeds"] for part in parts], dim=1))
        assert torch.equal(made["pooled_prompt_embeds"], parts[0]["pooled_prompt_embeds"])
        empty = torch.cat([part["negative_prompt_embeds"] for part in parts], dim=1)
        assert torch.equal(made["negative_prompt_embeds"], empty)
        assert torch.equal(made["negative_pooled_prompt_embeds"], parts[0]["negative_pooled_prompt_embeds"])


def count_of(pipe: Any, text: str) -> list[int]:
    """Tokens of each chunk, counted by hand: a chunk is cut after the last comma of its first 75 tokens."""
    tokens = pipe.tokenizer.tokenize(text)
    found = []
    while tokens:
        end = 75 - tokens[:75][::-1].index(",</w>") if len(tokens) > 75 else len(tokens)
        found, tokens = [*found, end], tokens[end:]
    return found


def test_a_long_text_of_the_demo_checkpoint_is_cut_at_commas_or_full(demo_pipe: Any) -> None:
    for phrase, times, cut in (
        ("a portrait of a woman, side light from the left, ", 13, (6, 6, 1)),  # 12 tokens: 72 of 75 end with a comma
        ("a portrait of a woman ", 31, (15, 15, 1)),  # 5 tokens and no comma: all 75
    ):
        made = ours(demo_pipe, phrase * times)["prompt_embeds"]
        parts = [stock(demo_pipe, phrase * each)["prompt_embeds"] for each in cut]
        assert torch.equal(made, torch.cat(parts, dim=1))


def test_break_begins_a_chunk_and_the_shorter_text_is_filled_up(pipe: Any) -> None:
    made = ours(pipe, "a face BREAK side light", "flat")
    first, second, empty = stock(pipe, "a face", "flat"), stock(pipe, "side light"), stock(pipe, "")
    expected = torch.cat([first["prompt_embeds"], second["prompt_embeds"]], dim=1)
    assert torch.equal(made["prompt_embeds"], expected)
    filled = torch.cat([first["negative_prompt_embeds"], empty["prompt_embeds"]], dim=1)
    assert torch.equal(made["negative_prompt_embeds"], filled)
    assert torch.equal(made["negative_pooled_prompt_embeds"], first["negative_pooled_prompt_embeds"])

    made = ours(pipe, "a face", LONG, clip_skip=1)
    kept = torch.cat(
        [stock(pipe, "a face", None, 1)["prompt_embeds"], *[stock(pipe, "", None, 1)["prompt_embeds"]] * 2], 1
    )
    assert torch.equal(made["prompt_embeds"], kept)
    normal = stock(pipe, "", "side light, " * 7, 1)["negative_prompt_embeds"]
    assert torch.equal(made["negative_prompt_embeds"][:, :77], normal), (
        "clip_skip leaves the negative alone, as in stock"
    )


def test_no_negative_stays_zeros_and_an_empty_one_is_encoded_beside_a_long_prompt(pipe: Any) -> None:
    none, empty = ours(pipe, LONG, None), ours(pipe, LONG, "")
    assert none["negative_prompt_embeds"].shape == none["prompt_embeds"].shape == (1, 3 * 77, 32)
    assert not none["negative_prompt_embeds"].any()
    assert not none["negative_pooled_prompt_embeds"].any()
    assert empty["negative_prompt_embeds"].any()
    encoded = stock(pipe, "", "")["negative_prompt_embeds"]
    assert torch.equal(empty["negative_prompt_embeds"], encoded.repeat(1, 3, 1))


def test_a_checkpoint_that_does_not_zero_reads_no_negative_as_empty(pipe: Any) -> None:
    other = diffusers.StableDiffusionXLPipeline(**pipe.components, force_zeros_for_empty_prompt=False)
    for prompt in ("a face", LONG, "a (face:1.2)"):
        assert alike(ours(other, prompt, None), ours(other, prompt, ""))


def test_encoders_that_cut_words_differently_are_filled_up_alike(demo_pipe: Any) -> None:
    vocab = demo_pipe.tokenizer_2.get_vocab()
    letters = transformers.CLIPTokenizer(vocab=vocab, merges=[], model_max_length=77)  # one token a letter
    other = diffusers.StableDiffusionXLPipeline(**demo_pipe.components | {"tokenizer_2": letters})
    prompt = "a portrait, " * 12
    first, second = len(demo_pipe.tokenizer.tokenize(prompt)), len(letters.tokenize(prompt))
    assert first <= 75 < second
    made, plain = ours(other, prompt, "flat")["prompt_embeds"], stock(demo_pipe, prompt)["prompt_embeds"]
    width = demo_pipe.text_encoder.config.hidden_size
    assert made.shape[1] == ours(other, prompt, "flat")["negative_prompt_embeds"].shape[1] == 2 * 77
    assert torch.equal(made[:, :77, :width], plain[..., :width])
    assert torch.equal(made[:, 77:, :width], stock(demo_pipe, "")["prompt_embeds"][..., :width])


def demo_checkpoint() -> Checkpoint:
    return Checkpoint("demo", "sdxl", Path(__file__).parent.parent / "pipelines" / "demo" / "sidelight-demo-sdxl", {})


def test_counted_chunks_are_the_encoded_ones(sdxl: Checkpoint, pipe: Any, demo_pipe: Any) -> None:
    for checkpoint, one in ((sdxl, pipe), (demo_checkpoint(), demo_pipe)):
        for prompt in (LONG, "a (b:1.2) BREAK c", "a, " * 80, "(hello, world:1.1) " * 12, ""):
            chunks = max(each.chunks for each in count(checkpoint, "sdxl", prompt))
            assert ours(one, prompt)["prompt_embeds"].shape[1] == 77 * chunks


def test_half_precision_stays_half(pipe: Any) -> None:
    folder = pipe.config._name_or_path
    half = diffusers.StableDiffusionXLPipeline.from_pretrained(folder, local_files_only=True, dtype=torch.bfloat16)
    made = ours(half, "a (b:1.3) c " + LONG, "flat")
    assert {tensor.dtype for tensor in made.values()} == {torch.bfloat16}


def test_long_weighted_and_short_prompts_make_pictures_in_one_run(sdxl: Checkpoint) -> None:
    prompts = (LONG, "a face", "a (face:1.4)", "a face BREAK side light")
    cells = [recipe(sdxl, prompt=prompt, guidance=g, negative="flat") for prompt in prompts for g in (3.0, 6.0)]
    work = engine(sdxl, lanes=4)
    merged = pictures(work, dealt(cells, 4))
    assert len(merged) == len(cells)
    assert work.tally.forwards < work.tally.calls, "cells of equal length share forwards"
    for cell in cells:
        (alone,) = pictures(engine(sdxl), [[cell]]).values()
        torch.testing.assert_close(merged[cell.key], alone, rtol=0, atol=2e-5)
    plain, weighed = (merged[cells[at].key] for at in (2, 4))
    assert (plain - weighed).abs().max() > 4e-4, "a weight moves the picture"


def test_a_long_negative_does_nothing_where_guidance_is_off(sdxl: Checkpoint) -> None:
    words = family_of(sdxl).words
    quiet, long = (recipe(sdxl, guidance=1.0, negative=negative) for negative in (None, LONG))
    assert words(quiet) == words(long)
    (one,), (other,) = (pictures(engine(sdxl), [[cell]]).values() for cell in (quiet, long))
    assert torch.equal(one, other)
