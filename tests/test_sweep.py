"""Sweeps: flags and sweep.toml say the same, nothing is lost on the way to disk, places come in reading order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.draft import Draft
from pipelines.errors import SweepError
from sweeps import sweep as module
from sweeps.axes import Axis, Replace
from sweeps.sweep import MOST_PLACES, Sweep, expand, from_flags, parse_toml, read_toml, to_toml

GOLDEN = """\
name = "guidance-window"
checkpoint = "demo-sdxl"
prompt = "portrait, freckles, side light"
guidance_interval = "0..0.6"
seed = [7, "18446744073709551615"]
guidance = "2..4:0.5"
steps = [10, 20, 30]
replace = [{old = "freckles", new = ["scar", "moles"]}, {old = "side light", new = [""]}]
width = [512, 640]
height = [640, 512]
zip = "width, height"
where = "guidance <= 4 or steps >= 20"
skip = "seed == 8 and steps == 30"
"""


def toml_of(**keys):
    return "\n".join(f"{key} = {value}" for key, value in ({"checkpoint": '"demo"'} | keys).items())


def test_golden_file_is_read_and_written_byte_for_byte():
    sweep = parse_toml(GOLDEN)
    assert sweep.base == Draft(
        checkpoint="demo-sdxl",
        prompt="portrait, freckles, side light",
        guidance_interval=(0.0, 0.6),
        seed=7,
        guidance=2,
        steps=10,
        width=512,
        height=640,
    )
    assert [axis.name for axis in sweep.axes] == [
        *("seed", "guidance", "steps", "replace 'freckles'", "replace 'side light'", "width, height")
    ]
    assert sweep.axes[0].values == ((7,), (2**64 - 1,))
    assert to_toml(sweep) == GOLDEN


def test_the_example_in_the_module_is_a_sweep_and_survives():
    lines = (module.__doc__ or "").split("\n")
    sweep = parse_toml("\n".join(line[4:] for line in lines if line.startswith("    ")))
    assert [len(axis.values) for axis in sweep.axes] == [2, 8, 3, 2, 2, 3]
    assert parse_toml(to_toml(sweep)) == sweep


def test_flags_and_file_say_the_same():
    flags = from_flags(
        "window",
        {
            "checkpoint": ["demo-sdxl"],
            "prompt": ["red hair, freckles"],
            "guidance": ["2..9:1"],
            "steps": ["10", "20"],
            "scheduler": ["euler,heun"],
            "seed": [],
        },
        replace=["freckles => scar | moles"],
        zips=["steps, scheduler"],
        where=["guidance <= 4"],
        skip=["steps == 20", "seed == 3"],
    )
    file = parse_toml(
        toml_of(
            name='"window"',
            checkpoint='"demo-sdxl"',
            prompt='"red hair, freckles"',
            guidance='"2..9:1"',
            steps="[10, 20]",
            scheduler='"euler,heun"',
            replace='"freckles => scar | moles"',
            zip='["steps, scheduler"]',
            where='"guidance <= 4"',
            skip='["steps == 20", "seed == 3"]',
        )
    )
    assert flags == file
    assert flags.skip == "(steps == 20) or (seed == 3)"


def test_zipped_fields_may_repeat_values_and_keep_the_place_of_the_first():
    flags = {"checkpoint": ["demo"], "seed": ["1,2"], "steps": ["10,10,20"], "spacing": ["leading,trailing"]}
    sweep = from_flags("x", flags | {"guidance": ["2,3,2"]}, zips=["guidance, steps"])
    assert [axis.name for axis in sweep.axes] == ["seed", "guidance, steps", "spacing"]
    assert sweep.axes[1].labels == ("2, 10", "3, 10", "2, 20")
    assert parse_toml(to_toml(sweep)) == sweep
    with pytest.raises(SweepError, match="seed is named twice"):
        from_flags("x", flags, zips=["seed, spacing", "steps, seed"])


def test_first_axis_runs_fastest():
    sweep = from_flags("x", {"checkpoint": ["demo"], "guidance": ["2,3,4"], "steps": ["10,20"]})
    places = expand(sweep)
    assert [place.indices for place in places] == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    assert [(place.draft.guidance, place.draft.steps) for place in places][:4] == [(2, 10), (3, 10), (4, 10), (2, 20)]


def test_without_axes_there_is_one_place():
    (place,) = expand(from_flags("x", {"checkpoint": ["demo"], "steps": ["10"]}))
    assert place == ((), Draft(checkpoint="demo", steps=10))


def test_checkpoints_seeds_and_whole_prompts_are_axes():
    given = {"checkpoint": ["a,b"], "seed": [f"{2**64 - 2}..{2**64 - 1}"], "prompt": ["old man, 50", "woman"]}
    drafts = [place.draft for place in expand(from_flags("x", given))]
    assert len(drafts) == 8
    assert {draft.checkpoint for draft in drafts} == {"a", "b"}
    assert {draft.seed for draft in drafts} == {2**64 - 2, 2**64 - 1}
    assert {draft.prompt for draft in drafts} == {"old man, 50", "woman"}


def test_like_gives_what_is_not_said():
    like = Draft(checkpoint="demo", prompt="portrait", steps=12, guidance=3.0, start="face.png", strength=0.5)
    sweep = from_flags("x", {"guidance": ["2,4"], "steps": ["30"]}, like=like)
    assert sweep.base == like.but(steps=30, guidance=2)


def test_every_occurrence_is_replaced_in_prompt_and_negative_and_never_twice():
    sweep = from_flags(
        "x",
        {"checkpoint": ["demo"], "prompt": ["red hair, red lips, blue eyes"], "negative": ["red"]},
        replace=["red => blue", "blue => green"],
    )
    assert [(place.draft.prompt, place.draft.negative) for place in expand(sweep)] == [
        ("red hair, red lips, blue eyes", "red"),
        ("blue hair, blue lips, blue eyes", "blue"),
        ("red hair, red lips, green eyes", "red"),
        ("blue hair, blue lips, green eyes", "blue"),  # what was put in is not replaced again
    ]


def test_longer_words_are_found_before_shorter_ones_inside_them():
    flags = {"checkpoint": ["demo"], "prompt": ["red hair, red lips"]}
    places = expand(from_flags("x", flags, replace=["red => blue", "red hair => bald"]))
    assert [place.draft.prompt for place in places] == [
        *("red hair, red lips", "red hair, blue lips", "bald, red lips", "bald, blue lips")
    ]
    with pytest.raises(SweepError, match="replace 'red': not found"):  # every red belongs to red hair
        expand(from_flags("x", flags | {"prompt": ["red hair"]}, replace=["red => blue", "red hair => bald"]))


def test_words_may_be_missing_in_one_of_the_two_texts_but_not_in_both():
    flags = {"checkpoint": ["demo"], "prompt": ["red hair"], "negative": ["plastic"]}
    drafts = [place.draft for place in expand(from_flags("x", flags, replace=["plastic => wax"]))]
    assert [(draft.prompt, draft.negative) for draft in drafts] == [("red hair", "plastic"), ("red hair", "wax")]
    with pytest.raises(SweepError, match="replace 'Red': not found in prompt 'red hair' and negative 'plastic'"):
        expand(from_flags("x", flags, replace=["Red => blue"]))


def test_words_must_be_found_at_every_value_of_a_prompt_axis():
    flags = {"checkpoint": ["demo"], "prompt": ["red hair", "brown hair"]}
    with pytest.raises(SweepError, match="not found in prompt 'brown hair'"):
        expand(from_flags("x", flags, replace=["red => blue"]))
    assert len(expand(from_flags("x", flags, replace=["hair => beard"]))) == 4


def test_prompts_from_a_file_beside_the_sweep(tmp_path):
    (tmp_path / "prompts.txt").write_text("# two\nold man\n\nwoman, 50\n")
    (tmp_path / "faces.toml").write_text('checkpoint = "demo"\nprompt = "@prompts.txt"\n')
    sweep = read_toml(tmp_path / "faces.toml")
    assert sweep.name == "faces"
    assert sweep.axes == (Axis(fields=("prompt",), values=(("old man",), ("woman, 50",))),)
    assert parse_toml(to_toml(sweep), name="elsewhere.toml") == sweep  # holds the prompts themselves


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("checkpont = 'a'", "line 1: checkpont is not known; did you mean checkpoint?"),
        ("checkpoint = 'a'\n[base]\nsteps = 3", "line 2: base is not known; allowed: name"),
        ("checkpoint = 'a'\n\nguidance = '2..'", "line 3: guidance '2..': is no number or range"),
        ("checkpoint = 'a'\nsteps = true", "line 2: steps True: is no value here"),
        ("checkpoint = 'a'\nsteps = [[1, 2]]", "line 2: steps [1, 2]: is no value here"),
        ("checkpoint = 'a'\nsteps = [10, 10.5]", "line 2: steps '10.5': 10.5 is no whole number"),
        ("checkpoint = 'a'\nsteps = []", "line 2: steps '' leaves no value"),
        ("checkpoint = 'a'\nguidance = nan", "line 2: guidance 'NaN': is no number"),
        ("checkpoint = 'a'\nwhere = 'steps = 2'", "line 2: condition 'steps = 2', character 7: one = compares nothing"),
        ("checkpoint = 'a'\nwhere = ['steps == 2', '1) or (2']", "line 2: condition '1) or (2'"),
        ("checkpoint = 'a'\nsteps = [1, 2]\nzip = 'steps, guidance'", "line 3: zip 'steps, guidance': needs two"),
        ("checkpoint = 'a'\nsteps = [1, 1]", "line 2: steps 1 stands there twice"),
        ("checkpoint = 'a'\nreplace = {old = 'x'}", "line 2: replace {'old': 'x'}: new is missing"),
        ("checkpoint = 'a'\nreplace = {old = 'x', new = 'x'}", "line 2: replace 'x': 'x' stands there twice"),
        ("checkpoint = 'a'\nreplace = 'x'", "line 2: replace 'x': => is missing"),
        ("prompt = 'x'\nwidth = [16, 32]\nsteps = [1, 2]\nzip = 'width, steps'", "night.toml: checkpoint is missing"),
        ("checkpoint = a", "invalid value (at line 1"),
        ("checkpoint = 'a'\ncheckpoint = 'b'", "cannot overwrite a value"),
    ],
)
def test_faults_of_a_file_name_file_line_and_key(text, told):
    with pytest.raises(SweepError) as refused:
        parse_toml(text, name="night.toml")
    assert str(refused.value).startswith("night.toml")
    assert told in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SweepError, match=r"missing\.toml: cannot be read"):
        read_toml(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b"name = 'caf\xe9'")
    with pytest.raises(SweepError, match="UTF-8"):
        read_toml(tmp_path / "latin.toml")


def test_too_many_places_are_refused_before_they_are_made():
    sweep = from_flags("x", {"checkpoint": ["demo"], "guidance": ["0..9:0.01"], "steps": ["1..900"]})
    with pytest.raises(SweepError, match=f"901 x 900 = 810900 places are more than {MOST_PLACES}"):
        expand(sweep)


def test_axes_that_contradict_each_other_are_refused():
    steps, more = (Axis(fields=("steps",), values=values) for values in (((1,), (2,)), ((3,), (4,))))
    hair, lips = Replace(old="hair", new=("beard",)), Replace(old="lips", new=("teeth",))
    with pytest.raises(SweepError, match="steps varies on two axes"):
        Sweep.over("x", Draft(checkpoint="demo"), axes=(steps, more))
    with pytest.raises(SweepError, match="replace 'hair' varies on two axes"):
        Sweep.over("x", Draft(checkpoint="demo"), axes=(hair, hair))
    with pytest.raises(SweepError, match="must follow each other"):
        Sweep.over("x", Draft(checkpoint="demo"), axes=(hair, steps, lips))
    with pytest.raises(SweepError, match="first value of every axis"):
        Sweep(name="x", base=Draft(checkpoint="demo", steps=9), axes=(steps,))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@st.composite
def sweeps(draw):
    base = Draft(
        checkpoint=draw(NAME),
        prompt=draw(TEXT),
        negative=draw(st.none() | TEXT),
        seed=draw(st.integers(0, 2**64 - 1)),
        guidance=draw(st.none() | st.floats(0, 50)),
        guidance_interval=(draw(st.floats(0, 0.5)), 1.0),
        scheduler=draw(st.none() | NAME),
        start=draw(st.none() | NAME),
    )
    values = {
        "steps": st.integers(1, 99),
        "true_guidance": st.integers(100, 900).map(lambda n: n / 100),
        "prompt": TEXT,
        "mask": NAME,
        "seed": st.integers(0, 2**64 - 1),
        "width": st.integers(16, 2000),
    }
    fields = draw(st.lists(st.sampled_from(list(values)), unique=True, max_size=4))
    axes = []
    while fields:
        together = [fields.pop() for _ in range(min(len(fields), draw(st.integers(1, 2))))]
        steps = st.tuples(*(values[field] for field in together))
        axes.append(
            Axis(fields=tuple(together), values=tuple(draw(st.lists(steps, unique=True, min_size=2, max_size=7))))
        )
    at = draw(st.integers(0, len(axes)))
    old_words = draw(st.lists(TEXT.filter(bool), unique=True, max_size=2))
    words = st.lists(TEXT, unique=True, min_size=1, max_size=3)
    replaced = [
        Replace(old=old, new=tuple(draw(words.filter(lambda new, old=old: old not in new)))) for old in old_words
    ]
    where = draw(st.sampled_from(["", "steps > 3", "prompt != 'ä'"]))
    return Sweep.over(draw(NAME), base, axes=[*axes[:at], *replaced, *axes[at:]], where=where)


@settings(derandomize=True, database=None, max_examples=200, deadline=None)
@given(sweeps())
def test_any_sweep_survives_its_file(sweep):
    assert parse_toml(to_toml(sweep)) == sweep
