"""The axis grammar: every form, every trap of the tools it comes from, and exactness over many random ranges."""

import itertools
import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import prompts
from pipelines.draft import Draft
from pipelines.errors import SweepError
from sweeps.axes import FORMS, KINDS, Axis, Replace, grammar, read_replace, read_values, write_values, zipped
from sweeps.ranges import label

LARGEST_SEED = 2**64 - 1


def read(field, *texts):
    return read_values(field, texts)


def axis(field, *values):
    return Axis(fields=(field,), values=tuple((value,) for value in values))


def test_every_field_of_a_draft_has_a_kind():
    fields = [field for field in Draft.model_fields if field != "light_fields"]
    assert list(KINDS) == [*fields, *(f"light.{name}" for name in prompts.KINDS)]


@pytest.mark.parametrize(
    ("field", "text", "values"),
    [
        ("guidance", "2,3.5,5", (2, 3.5, 5)),
        ("guidance", " 2 , 3.50 ", (2, 3.5)),
        ("guidance", "2..9:1", (2, 3, 4, 5, 6, 7, 8, 9)),
        ("guidance", "1..2:0.3", (1, 1.3, 1.6, 1.9)),  # the step does not land on 2
        ("guidance", "0.1..0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),  # 0.1 + 0.2 is 0.3 here
        ("guidance", "3..1:0.5", (3, 2.5, 2, 1.5, 1)),
        ("guidance", "3..1:-1", (3, 2, 1)),
        ("guidance", "2..9/8", (2, 3, 4, 5, 6, 7, 8, 9)),
        ("guidance", "1..2/5", (1, 1.25, 1.5, 1.75, 2)),
        ("guidance", "5..5:1", (5,)),
        ("guidance", "2..4:1,7", (2, 3, 4, 7)),
        ("guidance", "2.005,2.015", (2.005, 2.015)),  # SD.Next rounds to two decimals
        ("guidance", "1e-3", (0.001,)),
        ("guidance", ".5", (0.5,)),
        ("guidance", "2,SKIP:3,SKIP:4..9:1,5", (2, 5)),
        ("steps", "1-5", (1, 2, 3, 4, 5)),
        ("steps", "1-5 (+2)", (1, 3, 5)),
        ("steps", "1-5 (2)", (1, 3, 5)),  # A1111 needs the sign
        ("steps", "5-1 (-2)", (5, 3, 1)),
        ("steps", "1-10 [4]", (1, 4, 7, 10)),
        ("guidance", "1-2 (+0.3)", (1, 1.3, 1.6, 1.9)),  # A1111 runs 2.2 as well
        ("steps", "10..30/5", (10, 15, 20, 25, 30)),
        ("steps", "20.0,30", (20, 30)),
        ("steps", "1,2,..,5,10", (1, 2, 3, 4, 5, 10)),
        ("steps", "30, 20, ..., 1", (30, 20, 10)),
        ("scheduler", "euler,dpmpp-2m-karras", ("euler", "dpmpp-2m-karras")),
        ("scheduler", "DPM++ 2M Karras, Euler a", ("DPM++ 2M Karras", "Euler a")),
        ("checkpoint", '"a, b","say ""hi"""," c "', ("a, b", 'say "hi"', " c ")),
        ("checkpoint", '"SKIP:me",SKIP:this', ("SKIP:me",)),
        ("checkpoint", "1-5", ("1-5",)),
        ("seed", f"{LARGEST_SEED - 1},{LARGEST_SEED}", (LARGEST_SEED - 1, LARGEST_SEED)),
        ("seed", f"{LARGEST_SEED - 2}..{LARGEST_SEED}", (LARGEST_SEED - 2, LARGEST_SEED - 1, LARGEST_SEED)),
        ("guidance_interval", "0..1,0.2..0.8", ((0.0, 1.0), (0.2, 0.8))),
        ("prompt", "one, two, 1-5", ("one, two, 1-5",)),
        ("prompt", "@@home", ("@home",)),
        ("negative", "", ("",)),
    ],
)
def test_text_means_exactly_these_values(field, text, values):
    found = read(field, text)
    assert found == values
    if KINDS[field] == "whole":
        assert all(type(value) is int for value in found)


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("guidance", "2..9:0", "step of 0"),
        ("guidance", "2..9:-1", "away from the end"),
        ("guidance", "5-1 (+2)", "away from the end"),
        ("steps", "3,2,..,9", "away from the end"),
        ("guidance", "2..2.5", "write 2,2.5"),
        ("guidance", "2..9:20", "larger than the range"),
        ("guidance", "0..1/4", "write 0..1/3 or 0..1/5"),
        ("steps", "10..30/8", "write 10..30/6 or 10..30/11"),
        ("steps", "1-10 [5]", "write 1..10/4 or 1..10/10"),  # A1111 cuts 3.25 down to 3
        ("steps", "1..2/9", "write 1..2/2"),
        ("steps", "1..9/1", "two values or more"),
        ("steps", "10.5", "10.5 is no whole number"),
        ("steps", "1..3:0.5", "1.5 is no whole number"),
        ("steps", "1-9:2", "write 1..9:2 for steps of 2, or 1..9/2 for 2 values"),
        ("steps", "2...9", "no number or range"),
        ("steps", "1,..,9", "two values before"),
        ("steps", "1,2,..", "one after"),
        ("steps", "twenty", "no number or range"),
        ("steps", "1x5", "no number or range"),  # any character is A1111's decimal point
        ("guidance", "nan", "no number or range"),
        ("guidance", "1e999", "larger than anything here"),
        ("guidance", "0.12345678901234567890", "write 0.12345678901234568"),
        ("steps", "1..100000", "more than 10000"),
        ("guidance", "0..1/1000000", "more than 10000"),
        ("seed", "-1", "random seeds cannot be made again"),
        ("seed", str(2**64), "less than 18446744073709551616"),
        ("width", "3", "greater than or equal to 16"),
        ("steps", "1,,2", "a value is empty"),
        ("steps", "1,2,", "a value is empty"),
        ("steps", "", "a value is empty"),
        ("steps", "SKIP:1", "leaves no value"),
        ("checkpoint", '"a', "quote is not closed"),
        ("checkpoint", 'a "b" c', "stands inside a value"),
        ("spacing", "wide", "'leading', 'trailing' or 'linspace'"),
        ("guidance_interval", "0.5", "write begin..end"),
        ("cfg", "3", "allowed: checkpoint, prompt"),
        ("prompt", "@nowhere.txt", "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_write(field, text, told):
    with pytest.raises(SweepError) as refused:
        read(field, text)
    assert told in str(refused.value)
    assert field in str(refused.value)
    assert "\n" not in str(refused.value)


def test_random_step_ranges_are_exact_and_never_pass_their_end():
    dice = random.Random(3)
    for _ in range(500):
        places = dice.randrange(4)
        first, last = (Decimal(dice.randrange(0, 20_000)).scaleb(-places) for _ in range(2))
        step = Decimal(dice.randrange(1, 3000)).scaleb(-places)
        if abs(last - first) < step:
            continue
        values = read("guidance", f"{first}..{last}:{step}")
        towards = step if last > first else -step
        assert [Fraction(repr(value)) for value in values] == [
            Fraction(first + at * towards) for at in range(len(values))
        ]
        assert abs(Fraction(last) - Fraction(repr(values[-1]))) < Fraction(step)
        assert min(first, last) <= min(map(Decimal, map(repr, values)))
        assert max(map(Decimal, map(repr, values))) <= max(first, last)


def test_count_ranges_hit_both_ends_and_suggestions_are_accepted():
    dice = random.Random(4)
    for _ in range(100):
        first, last = dice.sample(range(1, 200), 2)
        count = dice.randrange(2, 12)
        try:
            values = read("steps", f"{first}..{last}/{count}")
        except SweepError as refused:
            better = str(refused).split("write ")[1].split(" or ")
            values = read("steps", better[0])
        assert (values[0], values[-1]) == (first, last)
        assert len({b - a for a, b in itertools.pairwise(values)}) == 1


def test_a_flag_given_again_adds_values():
    assert read("guidance", "2,3", "7..8") == (2, 3, 7, 8)
    assert read("prompt", "a, b", "c") == ("a, b", "c")


def test_a_file_gives_one_text_a_line(tmp_path):
    (tmp_path / "list.txt").write_bytes(
        b"\xef\xbb\xbf# heading\r\nold man, side light\r\n\r\n  sm\xc3\xb6rg\xc3\xa5s  \r\n#x\r\n"
    )
    assert read_values("prompt", ["@list.txt", "last"], beside=tmp_path) == ("old man, side light", "smörgås", "last")
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    with pytest.raises(SweepError, match="holds no line with text"):
        read_values("prompt", ["@empty.txt"], beside=tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(SweepError, match="UTF-8"):
        read_values("prompt", ["@latin.txt"], beside=tmp_path)


NUMBERS = st.lists(st.floats(0, 100).map(lambda x: round(x, 3) + 0.0), min_size=1, max_size=8)
SEEDS = st.lists(st.integers(0, LARGEST_SEED), min_size=1, max_size=8)
NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12), min_size=1, max_size=5
)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=4)


@settings(derandomize=True, database=None, max_examples=150, deadline=None)
@given(st.one_of(*(st.tuples(st.just(f), s) for f, s in [("guidance", NUMBERS), ("seed", SEEDS), ("prompt", TEXTS)])))
def test_what_is_written_is_read_as_the_same_values(field_and_values):
    field, values = field_and_values
    assert read_values(field, write_values(field, values)) == tuple(values)


@settings(derandomize=True, database=None, max_examples=150, deadline=None)
@given(NAMES)
def test_names_of_any_spelling_survive_writing(names):
    assert read_values("checkpoint", [",".join(write_values("checkpoint", names))]) == tuple(names)


def test_even_values_are_written_as_a_range():
    assert write_values("guidance", (2.0, 2.5, 3.0, 3.5, 4.0)) == ["2..4:0.5"]
    assert write_values("steps", (50, 40, 30, 20, 10)) == ["50..10:10"]
    assert write_values("steps", (10, 20, 30)) == ["10", "20", "30"]
    assert write_values("steps", (10, 20, 30, 40, 51)) == ["10", "20", "30", "40", "51"]


def test_labels_are_what_a_person_writes():
    assert [label(value) for value in (2.0, 2.50, 20, 100.0, (0.0, 0.6), "", "x")] == [
        *("2", "2.5", "20", "100", "0..0.6", "(empty)", "x")
    ]


def test_the_help_text_shows_every_form_and_every_form_works():
    for form, meaning in FORMS:
        assert meaning in grammar()
        read("scheduler" if "euler" in form else "steps" if "3.5" not in form else "guidance", form)


def test_a_value_twice_on_an_axis_is_refused_but_not_within_zipped_ones():
    with pytest.raises(SweepError, match="guidance 3 stands there twice"):
        axis("guidance", 2.0, 3.0, 3.0)
    Axis(fields=("guidance", "steps"), values=((2.0, 10), (2.0, 20)))
    with pytest.raises(SweepError, match="guidance, steps 2, 10 stands there twice"):
        Axis(fields=("guidance", "steps"), values=((2.0, 10), (2.0, 10)))


VALUES = {"guidance": (2.0, 3.0), "steps": (10, 20, 30), "width": (512, 512), "seed": (7,)}


def test_zipped_fields_walk_together_and_may_repeat_themselves():
    one = zipped(VALUES, ["width", "guidance"])
    assert (one.name, one.labels) == ("width, guidance", ("512, 2", "512, 3"))
    assert one.values == ((512, 2.0), (512, 3.0))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (["guidance", "steps"], "guidance 2, steps 3"),
        (["guidance"], "needs two or more"),
        (["guidance", "guidance"], "needs two or more"),
        (["guidance", "seed"], "there are: guidance, steps, width"),
        (["guidance", "height"], "there are: guidance, steps, width"),
    ],
)
def test_fields_that_cannot_be_zipped_are_named(fields, told):
    with pytest.raises(SweepError, match=told):
        zipped(VALUES, fields)


def test_replaced_words_keep_the_old_ones_first():
    assert read_replace("red hair => black hair | ") == Replace(old="red hair", new=("black hair", ""))
    assert read_replace("a => b => c").new == ("b => c",)
    assert read_replace("red=>blue|green").labels == ("red", "blue", "green")


@pytest.mark.parametrize(
    ("text", "told"), [("red", "=> is missing"), (" => b", "words to find"), ("a => b | a", "'a' stands")]
)
def test_a_replacement_that_says_nothing_is_refused(text, told):
    with pytest.raises(SweepError, match=told):
        read_replace(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("none,film:0.8", ("none", "film:0.8")),
        ("film", ("film",)),
        ("film:0.4..1:0.2", ("film:0.4", "film:0.6", "film:0.8", "film:1")),
        ("film:0..1/3+skin:.5", ("film:0+skin:0.5", "film:0.5+skin:0.5", "film:1+skin:0.5")),
        ("a:1..2+b:3..4", ("a:1+b:3", "a:1+b:4", "a:2+b:3", "a:2+b:4")),
        ("film:-0.5", ("film:-0.5",)),
    ],
)
def test_loras_take_weights_and_ranges_of_weights(text: str, values: tuple[str, ...]) -> None:
    assert read("loras", text) == values
    assert read("loras", ",".join(write_values("loras", values))) == values


def test_a_lora_file_is_looked_for_beside_the_sweep_file(tmp_path) -> None:
    assert read_values("loras", ["in/film.safetensors:0.5"], beside=tmp_path) == (
        f"{tmp_path}/in/film.safetensors:0.5",
    )


@pytest.mark.parametrize("text", ["film:", "film:+skin", "film:x", "film:1..2:0", "film:0..1/4"])
def test_a_weight_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(SweepError, match="loras"):
        read("loras", text)
