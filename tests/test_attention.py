"""Attention syntax, refusals, chunks and counts, against hand-made cases and against transformers' own tokenizers."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from making import recipe
from sentencepiece import SentencePieceTrainer
from tiny import tiny_checkpoint

from pipelines import attention
from pipelines.attention import Run, chunked, count, parse, refuse
from pipelines.checkpoint import Checkpoint
from pipelines.errors import CheckpointError, RecipeError
from pipelines.families import family_of
from pipelines.recipe import FamilyName
from pipelines.vocabulary import Vocabulary

CONFIGS = Path(attention.__file__).with_name("configs")
ODD = [
    *"abcXYZ 09,.!?-'\"()_\n\t",
    "é",
    "ß",
    "日本",
    "👩🏽\u200d🦱",
    "🙂",
    "\u200b",
    "\u00a0",
    "İ",
    "ﬁ",
    "e\u0301",
    "'s",
    "!!",
]
ODD += ["<|endoftext|>", "</s>", "soft side light, ", "\u2581", "\x7f", "x" * 70]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("tiny")
    return {kind: tiny_checkpoint(kind, folder / kind) for kind in ("sdxl", "flux", "schnell", "flux2")}


def weights(text: str) -> list[tuple[str, float]]:
    (segment,) = parse(text)
    return [(run.text, round(run.weight, 6)) for run in segment]


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("plain words", [("plain words", 1)]),
        ("a (soft) key", [("a ", 1), ("soft", 1.1), (" key", 1)]),
        ("a [soft] key", [("a ", 1), ("soft", 0.909091), (" key", 1)]),
        ("(soft:1.3)", [("soft", 1.3)]),
        ("(soft : 1.3 ) light", [("soft ", 1.3), (" light", 1)]),
        ("((soft))", [("soft", 1.21)]),
        ("(a (b:1.2):1.5)", [("a ", 1.5), ("b", 1.8)]),
        ("a (((lamp:1.3)) [on] a (desk:0.5), (((rain)))!", None),
        ("(two)(words)", [("twowords", 1.1)]),
        ("(one:1.0) and [(two:1.1)]", [("one and two", 1)]),
        (r"portrait \(1921\), \[oil\]", [("portrait (1921), [oil]", 1)]),
        (r"back\\slash", [("back\\slash", 1)]),
        ("(open to the end", [("open to the end", 1.1)]),
        ("[open (twice", [("open ", 0.909091), ("twice", 1)]),
        ("stray) words] here:1.2)", [("stray) words] here:1.2)", 1)]),
        ("(ratio 3:2 of it:1.2)", [("ratio 3:2 of it", 1.2)]),
        ("(dim:0)", [("dim", 0)]),
        ("(away:-0.5)", [("away", -0.5)]),
        ("(half:.5)", [("half", 0.5)]),
        ("", []),
    ],
)
def test_weights_are_read_as_a1111_reads_them(text: str, runs: list[tuple[str, float]] | None) -> None:
    if runs is None:  # nesting that is left open on the way
        runs = [("a ", 1), ("lamp", 1.573), (" ", 1.1), ("on", 1), (" a ", 1.1), ("desk", 0.55), (", ", 1.1)]
        runs += [("rain", 1.4641), ("!", 1.1)]
    assert weights(text) == runs


def test_break_cuts_segments_and_does_nothing_at_the_end() -> None:
    assert parse("a BREAK b") == ((Run("a", 1.0),), (Run("b", 1.0),))
    assert parse("a \n BREAK  BREAK\tb") == ((Run("a", 1.0),), (), (Run("b", 1.0),))
    assert parse("a, BREAK") == ((Run("a,", 1.0),),)
    assert parse("BREAK a") == ((), (Run("a", 1.0),))
    assert parse("a BREAKfast, break") == ((Run("a BREAKfast, break", 1.0),),)
    (first,), (second,) = parse("(a BREAK b:1.2)")
    assert (first.weight, second.weight) == (1.2, 1.2)


def test_a_weight_that_is_no_number_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"1\.2\.3.*no number.*word:1\.2"):
        parse("(soft:1.2.3)")


def test_brackets_nest_as_deep_as_anyone_means_and_hostile_ones_are_refused_at_once() -> None:
    (run,) = parse("(" * 32 + "a" + ")" * 32)[0]
    assert run.weight == pytest.approx(1.1**32)
    for text in ("(" * 33 + "a", "[(a" * 20_000, "(" * 10**5 + ")" * 10**5):
        with pytest.raises(RecipeError, match="more than 32 brackets are open"):
            parse(text)


@given(st.text(alphabet="ab :.1,|()[]\\"))
def test_any_text_is_read_and_an_escaped_one_stays_as_it_is(text: str) -> None:
    escaped = "".join("\\" + letter if letter in "()[]\\" else letter for letter in text)
    assert "".join(run.text for segment in parse(escaped) for run in segment) == text
    if not re.search(r":\s*[+-]?[\d.]+\s*\)", text):
        assert all(run.text for segment in parse(text) for run in segment)


OTHER_TOOLS = [
    ("a face <lora:film:0.8>", r"<lora:film:0\.8>.*loras"),
    ("a face <LyCO:film>", "loras"),
    ("a face <hypernet:old:1>", "hypernetwork"),
    ("embedding:easynegative, a face", "textual inversion"),
    ("a __hair/colour__ woman", "__hair/colour__.*wildcard.*sweep"),
    ("a {red|blue} wall", "sweep"),
    ("a [red|blue] wall", "alternates"),
    ("a [red:blue:0.5] wall", r"changes words on the way.*\(word:0\.8\)"),
    ("a [red:0.8] wall", "changes words on the way"),
    ("a [red::12] wall", "changes words on the way"),
    ("a [[red:blue:0.5] wall:3]", "changes words on the way"),
    ("a [(red) wall|[blue]]", "alternates"),
    ("a face AND a hat", "write 'and'"),
]


@pytest.mark.parametrize("family", ["sdxl", "flux", "flux2"])
@pytest.mark.parametrize(("text", "reason"), OTHER_TOOLS)
def test_syntax_of_other_tools_is_refused_in_one_line(family: FamilyName, text: str, reason: str) -> None:
    with pytest.raises(RecipeError, match=f"^negative: .*{reason}") as caught:
        refuse(text, family, "negative")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(soft light:1.2)", r"\(soft light:1\.2\).*attention weight.*flux.*take it off"),
        ("a (soft (warm) light:1.2)", "attention weight"),
        ("((soft)) light", "attention weight"),
        ("[[soft]] light", "attention weight"),
        (r"portrait \(1921\)", "escapes a bracket"),
        ("a face BREAK a hat", "BREAK.*SDXL"),
    ],
)
def test_weights_are_refused_on_flux_which_would_read_them_as_words(text: str, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        refuse(text, "flux")
    refuse(text, "sdxl")


@pytest.mark.parametrize(
    "text",
    [
        "a woman (about forty) by a window",
        "a frame (16:9), a clock (5:30)",
        'a sign that says "SALT AND PEPPER" and "BREAK"',
        "notes [sic], a | b, __ , {one}, a < b > c, lens: 85mm",
        "",
    ],
)
def test_ordinary_brackets_are_text_on_flux(text: str) -> None:
    refuse(text, "flux")


def test_a_comma_in_a_weight_is_refused_and_escaped_brackets_are_text_on_sdxl() -> None:
    with pytest.raises(RecipeError, match=r"point: 1\.2"):
        refuse("(soft:1,2)", "sdxl")
    refuse(r"\[a|b\], \[a:b:0.5\], a lens at 1:2,5", "sdxl")


def test_chunks_end_at_a_comma_within_the_last_twenty() -> None:
    def cut(numbers: list[int]) -> list[int]:
        chunks = chunked(((Run("words", 1.0),),), lambda _: numbers, 0)
        assert [token.number for chunk in chunks for token in chunk] == numbers
        return [len(chunk) for chunk in chunks]

    word = 7
    assert cut([]) == [0]
    assert cut([word] * 75) == [75]
    assert cut([word] * 76) == [75, 1]
    assert cut([word] * 60 + [0] + [word] * 30) == [61, 30]
    assert cut([word] * 55 + [0] + [word] * 20) == [56, 20]
    assert cut([word] * 54 + [0] + [word] * 21) == [75, 1], "a comma further back is left alone"
    assert cut([word] * 74 + [0] + [word]) == [75, 1]
    assert cut([word] * 60 + [0] + [word] * 14 + [0] + [word]) == [75, 2], "the next token is a comma: no word is cut"
    assert cut([word] * 60 + [0] + [word] * 14) == [75], "what fits is not cut"
    assert cut([word] * 200) == [75, 75, 50]


def test_every_segment_begins_a_chunk_and_weights_go_along() -> None:
    segments = parse("a (b:1.5) BREAK BREAK c")
    chunks = chunked(segments, lambda text: [ord(letter) for letter in text.strip()], None)
    assert [[(chr(number), weight) for number, weight in chunk] for chunk in chunks] == [
        [("a", 1.0), ("b", 1.5)],
        [],
        [("c", 1.0)],
    ]


def from_sentencepiece(folder: Path) -> Path:
    """A folder with a spiece.model alone, trained on the README."""
    lines = (Path(__file__).parent.parent / "README.md").read_text().splitlines()
    with (folder / "spiece.model").open("wb") as file:
        SentencePieceTrainer.train(
            sentence_iterator=iter([line for line in lines if line.strip()]),
            model_writer=file,
            vocab_size=300,
            hard_vocab_limit=False,
            minloglevel=2,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
        )
    return folder


def from_merges(folder: Path, other: Path) -> Path:
    """A folder with vocab.json and merges.txt, as SDXL ships them, out of one with a tokenizer.json."""
    transformers.CLIPTokenizer.from_pretrained(other).backend_tokenizer.model.save(str(folder))
    (folder / "tokenizer_config.json").write_text((other / "tokenizer_config.json").read_text())
    return folder


def test_tokens_are_those_of_transformers_for_odd_texts(demo: Path, tmp_path: Path) -> None:
    chance = random.Random(4)
    texts = ["", " ", "!", "wow!!! a!b"] + ["".join(chance.choices(ODD, k=chance.randint(1, 40))) for _ in range(200)]
    sdxl, flux = demo / "sidelight-demo-sdxl", demo / "sidelight-demo-flux"
    (tmp_path / "t5").mkdir()
    (tmp_path / "clip").mkdir()
    clips = [from_merges(tmp_path / "clip", sdxl / "tokenizer_2"), sdxl / "tokenizer", flux / "tokenizer"]
    clips += [CONFIGS / "sdxl/tokenizer", CONFIGS / "sdxl/tokenizer_2"]
    t5s = [from_sentencepiece(tmp_path / "t5"), flux / "tokenizer_2", CONFIGS / "flux-dev/tokenizer_2"]
    classes = dict.fromkeys(clips, transformers.CLIPTokenizer) | dict.fromkeys(t5s, transformers.T5TokenizerFast)
    for folder, cls in classes.items():
        theirs, ours = cls.from_pretrained(folder, local_files_only=True), Vocabulary(folder)
        for text in texts:
            expected = theirs(text, add_special_tokens=False, truncation=False, padding=False, verbose=False).input_ids
            assert [token.number for token in ours.tokens(text)] == expected, (folder, text)


def test_counting_loads_neither_torch_nor_transformers(demo: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from pipelines.attention import count; from pipelines.checkpoint import Checkpoint\n"
        f"count(Checkpoint('demo', 'flux', Path({str(demo / 'sidelight-demo-flux')!r}), {{}}), 'flux', 'side light')\n"
        "count(None, 'sdxl', '(side) light'); count(None, 'flux', 'side light')\n"
        "heavy = {'torch', 'transformers', 'diffusers', 'compel'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_counts_without_a_checkpoint_use_the_shipped_vocabulary() -> None:
    clip_l, clip_g = count(None, "sdxl", "a portrait, side light")
    assert (clip_l.encoder, clip_l.used, clip_l.most, clip_l.chunks, clip_l.dropped) == ("CLIP-L", 5, 75, 1, "")
    assert (clip_g.encoder, clip_g.used) == ("CLIP-G", 5)
    clip, t5 = count(None, "flux", "a portrait, side light")
    assert (clip.used, clip.most, t5.encoder, t5.most) == (5, 75, "T5", 511)
    with pytest.raises(CheckpointError, match="flux2 is not shipped; name a checkpoint"):
        count(None, "flux2", "a portrait")


def test_marks_of_attention_do_not_count_on_sdxl() -> None:
    plain = count(None, "sdxl", "a portrait, side light")
    assert count(None, "sdxl", "a (portrait:1.3), [[side light]]") == plain
    assert [each.chunks for each in count(None, "sdxl", "a portrait BREAK side light")] == [2, 2]


T5 = transformers.T5TokenizerFast.from_pretrained(CONFIGS / "flux-dev" / "tokenizer_2", local_files_only=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(ODD), max_size=120).map("".join), st.integers(8, 64))
def test_what_falls_off_is_exactly_what_the_encoder_does_not_get(text: str, positions: int) -> None:
    t5 = count(None, "flux", text, text_tokens=positions)[1]
    starts = [start for start, _ in T5(text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping]
    assert (t5.used, t5.most) == (len(starts), positions - 1)
    expected = text[starts[positions - 1] :] if len(starts) > positions - 1 else ""
    assert t5.dropped == expected


def test_flux_tells_what_falls_off_and_schnell_reads_half(checkpoints: dict[str, Checkpoint]) -> None:
    for kind, most in (("flux", 511), ("schnell", 255)):
        checkpoint = checkpoints[kind]
        cell = recipe(checkpoint, prompt="abcd " * 110, guidance=0.0 if kind == "schnell" else 3.0)
        (warning,) = family_of(checkpoint).check(cell, checkpoint)
        assert f"550 tokens are more than the {most} that T5 reads" in warning  # the tiny one reads letters and blanks
        assert warning.endswith("falls off: " + ("abcd " * (110 - most // 5)).strip())
        assert not family_of(checkpoint).check(cell.but(prompt="abcd"), checkpoint)
    flux = checkpoints["flux"]
    cell = recipe(flux, prompt="a", negative="abcd " * 13, true_guidance=2.0, text_tokens=64)
    (told,) = family_of(flux).check(cell, flux)
    assert told.startswith("negative: 65 tokens are more than the 63")


def test_flux2_counts_what_stands_before_the_text(checkpoints: dict[str, Checkpoint]) -> None:
    flux2 = checkpoints["flux2"]
    (qwen,) = count(flux2, "flux2", "side light")
    assert (qwen.encoder, qwen.used, qwen.dropped) == ("Qwen3", 10, "")
    (qwen,) = count(flux2, "flux2", "side light", text_tokens=12)
    tokenizer = transformers.Qwen2TokenizerFast.from_pretrained(flux2.folder / "tokenizer", local_files_only=True)
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "side light"}], tokenize=False)
    read = tokenizer.decode(tokenizer(chat, truncation=True, max_length=12).input_ids)
    assert read.removeprefix("<|im_start|>user\n") + qwen.dropped == "side light"
    assert len(qwen.dropped) == qwen.used - qwen.most > 0  # one token a letter


def test_sdxl_reads_long_texts_whole_and_tells_brackets_left_open(checkpoints: dict[str, Checkpoint]) -> None:
    sdxl = checkpoints["sdxl"]
    check = family_of(sdxl).check
    assert check(recipe(sdxl, prompt="(side light:1.2)", negative="[flat]"), sdxl) == ()
    assert check(recipe(sdxl, prompt="a", negative="side light, " * 20), sdxl) == ()
    (left,) = check(recipe(sdxl, prompt="a (soft light"), sdxl)
    assert left.startswith("prompt: a ( is never closed")
    with pytest.raises(RecipeError, match=r"^negative: .*loras"):
        check(recipe(sdxl, negative="<lora:a:1>"), sdxl)


@pytest.mark.parametrize("content", ["", "{}", "[1, 2", '{"model": {"type": "Sorcery"}}'])
def test_a_damaged_vocabulary_is_told_in_one_line(content: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no tokenizer\.json"):
        Vocabulary(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"damaged.*copy the folder again") as caught:
        Vocabulary(tmp_path)
    assert "\n" not in str(caught.value)
