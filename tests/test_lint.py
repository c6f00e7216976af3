"""Lint: what it finds and where, what it leaves alone, and that its own advice is sound."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import lint as linting
from pipelines.errors import InputError
from pipelines.lint import MOST, lint, load
from pipelines.prompts import templates, words
from pipelines.recipe import FamilyName


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own lint.toml, not there at first."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = linting.own_rules()
    assert tmp_path in path.parents
    path.parent.mkdir(parents=True)
    return path


def found(text: str, family: FamilyName = "sdxl", negative: str | None = None) -> list[str]:
    return [finding.text for finding in lint(text, family, negative).findings]


def after(text: str, family: FamilyName = "sdxl") -> str:
    return lint(text, family).after.prompt


@pytest.mark.parametrize(
    "word",
    ["professional", "Beautiful", "STUNNING", "masterpiece", "8k", "best quality", "best_quality", "flawless",
     "cinematic", "very beautiful", "ultra-detailed"],
)  # fmt: skip
@pytest.mark.parametrize("family", ["sdxl", "flux", "flux2"])
def test_vague_words_are_named_with_their_place(word: str, family: FamilyName) -> None:
    text = f"portrait of a {word} woman, soft light"
    (finding,) = lint(text, family).findings
    assert (finding.field, finding.start, finding.end) == ("prompt", 14, 14 + len(word))
    assert text[finding.start : finding.end] == finding.text == word
    assert finding.why
    assert word not in lint(text, family).after.prompt


@pytest.mark.parametrize(
    "text",
    [
        "unretouched portrait, 85mm lens, visible skin texture, natural pores",
        "an old wooden table in the old town, pretty dark", "non-professional actor", "the unprofessional look of it",
        "cinematic, 85mm lens", "cinematic, side light from the left", "cinematic portrait at f/2.8",
        "cinematic, 3200 K",
        "no one else in the room", "a nose, a knot, normal", "hard light, a soft pillow", "light from the left, 2 2",
        "dramatic lighting from the left", "unflawlessly", "",
    ],
)  # fmt: skip
def test_photographic_and_harmless_words_are_left_alone(text: str) -> None:
    for family in ("sdxl", "flux"):
        linted = lint(text, family)  # type: ignore[arg-type]  # family names
        assert linted.findings == ()
        assert linted.after.prompt == text


def test_cinematic_is_no_fault_beside_a_control_only() -> None:
    assert found("cinematic portrait, 8k") == ["cinematic", "8k"], "8k is no colour temperature"
    assert found("cinematic portrait, 4000K") == []


def test_advice_is_photographic_and_said_once_in_the_manner_of_the_family() -> None:
    text = "a beautiful, professional photo, masterpiece, 8k"
    assert after(text) == (
        "a photo, unretouched, visible skin texture, natural pores, 85mm lens, side light from the left, soft light"
    )
    assert after(text, "flux") == (
        "a photo. The photograph is unretouched. The skin shows visible texture and natural pores. Photographed with "
        "an 85mm lens. Side light from the left of the picture falls across the face, soft and gradual."
    )
    assert after("beautiful, 50mm, pores, unretouched, window light") == "50mm, pores, unretouched, window light"


def test_plastic_is_answered_with_the_contrary_for_each_family() -> None:
    sdxl, flux = lint("woman, flawless skin", "sdxl"), lint("woman, flawless skin", "flux")
    for linted in (sdxl, flux):
        assert "no smoothing, no beauty retouch, no airbrushing" in linted.findings[0].why
    assert sdxl.after.negative == "smoothing, beauty retouch, airbrushing"
    assert flux.after.negative is None
    assert "Every line and blemish stays in its place." in flux.after.prompt
    assert (
        lint("woman, flawless skin", "sdxl", "lowres").after.negative
        == "lowres, smoothing, beauty retouch, airbrushing"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A beautiful and stunning actress in a coat", "An actress in a coat"),
        ("a beautiful and clever actor", "a clever actor"),
        ("a stunning, elegant man", "an elegant man"),
        ("an amazing woman", "a woman"),
        ("(beautiful:1.3) woman, ((masterpiece)), [8k], coat", "woman, coat"),
        ("Beautiful woman. Epic.", "Woman."),
        ("a woman in a coat, in dramatic lighting", "a woman in a coat"),
        ("a woman with flawless skin by a window", "a woman with unretouched skin by a window"),
        ("a perfect face", "a face"),
        ("portrait, portrait, tall", "portrait, tall"),
        ("the the coat", "the coat"),
        ("an 82-year-old woman", "a woman of 82"),
        ("a 30 year old actor", "an actor of 30"),
        ("she is 72 years old", "she is aged 72"),
        ("an old man", "a man"),
    ],
)
def test_text_reads_well_after_words_went(text: str, said: str) -> None:
    assert re.fullmatch(rf"{re.escape(said.rstrip('.'))}(, .*)?", after(text)), after(text)
    assert re.fullmatch(rf"{re.escape(said.rstrip('.'))}(\..*)?", after(text, "flux")), after(text, "flux")


def test_old_is_answered_with_a_number_and_what_it_left_on_the_skin() -> None:
    assert after("portrait of an old fisherman") == "portrait of a fisherman, age 70, lines around eyes and mouth"
    assert "About 70 years of age" in after("portrait of an elderly lady", "flux")
    assert found("old fisherman") == ["old fisherman"]


def test_negation_moves_to_the_negative_on_sdxl_and_turns_positive_on_flux() -> None:
    text = "portrait, no plastic skin, without any glasses, coat"
    sdxl, flux = lint(text, "sdxl", "lowres"), lint(text, "flux")
    assert [finding.text for finding in sdxl.findings] == ["no plastic skin", "without any glasses"]
    assert (sdxl.after.prompt, sdxl.after.negative) == ("portrait, coat", "lowres, plastic skin, glasses")
    assert flux.after.prompt == (
        "portrait, without any glasses, coat. The photograph shows natural skin texture with visible pores."
    ), "what nobody can say positively stays for the writer"


def test_negative_prompt_on_flux_is_a_finding_and_becomes_positive() -> None:
    linted = lint("portrait of a man", "flux", "ring light, hats")
    (finding,) = linted.findings
    assert (finding.field, finding.start, finding.end, finding.text) == ("negative", 0, 16, "ring light, hats")
    assert "instead of: hats" in finding.why
    assert linted.after.negative is None
    assert linted.after.prompt.endswith("The photograph shows one catchlight from one source.")
    assert lint("portrait of a man", "sdxl", "ring light, hats").findings == ()


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("hard light, softbox, coat", "softbox"), ("soft light and hard shadows", "hard shadows"),
        ("frontal light, side light from the left", "side light"),
        ("light from the left, window light from the right", "light from the right"),
        ("direct sun at midnight", "midnight"), ("high-key portrait, low key", "low key"),
    ],
)  # fmt: skip
def test_contradictory_light_is_named_and_left_to_the_writer(text: str, second: str) -> None:
    linted = lint(text, "sdxl")
    assert [finding.text for finding in linted.findings] == [second]
    assert linted.after.prompt == text


def test_beauty_loras_are_named_and_others_sent_to_their_flag() -> None:
    linted = lint("man, <lora:Perfect_Beauty_v3:0.8>, <lora:film-grain:0.4>", "sdxl")
    beauty, other = linted.findings
    assert (beauty.rule, beauty.text) == ("beauty LoRA", "<lora:Perfect_Beauty_v3:0.8>")
    assert "--loras" in other.why
    assert linted.after.prompt == "man, unretouched, visible skin texture, natural pores"


def test_findings_stand_in_order_and_apart() -> None:
    text = "8k uhd, professional lighting, beautiful face, flawless skin, porcelain skin, 60-year-old woman"
    findings = lint(text, "sdxl").findings
    assert [finding.text for finding in findings] == text.split(", ")
    assert all(first.end <= second.start for first, second in pairwise(findings))


def test_shipped_lights_need_no_advice() -> None:
    for light in templates().values():
        for family in ("sdxl", "flux", "flux2"):
            said = words(light, family)  # type: ignore[arg-type]  # family names
            assert lint(said.prompt, family, said.negative).findings == ()  # type: ignore[arg-type]


def test_there_are_three_examples_and_their_after_is_clean() -> None:
    examples = load().example
    assert len(examples) == 3
    for example in examples:
        linted = lint(example.prompt, example.family, example.negative)
        assert len(linted.findings) >= 3
        again = lint(linted.after.prompt, example.family, linted.after.negative).findings
        assert {finding.rule for finding in again} <= {"hard and soft light"}


VOCABULARY = [word for rule in load().rule for word in rule.words] + [
    "portrait", "of", "a", "woman", "old man", "72 years old", "no hat", "no plastic skin", "soft light", "hard light",
    "and", "in", ",", ".", "(", ")", "[8k]", "<lora:cute:1>", "pores", "85mm", "A", "É", "«", "\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(VOCABULARY), max_size=12), st.sampled_from(["sdxl", "flux"]))
@settings(max_examples=150, deadline=None)
def test_any_text_keeps_its_spans_and_its_mended_form_is_clean(parts: list[str], family: FamilyName) -> None:
    text = " ".join(parts)
    linted = lint(text, family)
    assert all(text[finding.start : finding.end] == finding.text for finding in linted.findings)
    if not linted.findings:
        assert linted.after.prompt == text
    kinds = {rule.name: rule.kind for rule in load().rule}
    left = {kinds[finding.rule] for finding in lint(linted.after.prompt, family).findings}
    assert not left & {"words", "pattern"}, (text, linted.after.prompt)


@pytest.mark.parametrize(
    "text",
    [
        "beautiful " * 2000,
        "(" * MOST,
        " " * (MOST - 1) + "a",
        "no " * 6000,
        ", " * 9999,
        "<lora:" * 3000,
        "very " * 4000,
    ],
)
def test_hostile_texts_are_read_and_longer_ones_refused(text: str) -> None:
    lint(text, "sdxl")
    with pytest.raises(InputError, match=f"{MOST + 1} characters"):
        lint("a" * (MOST + 1), "sdxl")


def test_own_rules_are_added_replaced_and_silenced(own: Path) -> None:
    own.write_text(
        '[[rule]]\nname = "said twice"\noff = true\n'
        '[[rule]]\nname = "beauty"\nwords = ["lovely"]\nwhy = "mine"\noffers = ["grain"]\n'
        '[offers.grain]\nunless = "grain"\ntags = "fine grain"\n',
        encoding="utf-8",
    )
    linted = lint("a lovely, beautiful day, day", "sdxl")
    assert [(finding.text, finding.why) for finding in linted.findings] == [("lovely", "mine")]
    assert linted.after.prompt == "a beautiful day, day, fine grain"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[rule]]\nname = "x"\nwhy = "y"', "needs words"),
        ('[[rule]]\nname = "x"\nwhy = "y"\nkind = "pattern"\npattern = "("', "no regular expression"),
        ('[[rule]]\nname = "x"\nwhy = "y"\nwords = ["a"]\noffers = ["nothing"]', "offers 'nothing'"),
        ('[[rule]]\nname = "x"\nkind = "clash"\ngroups = [["a"]]', "two groups, 1"),
        ('[[rule]]\nname = "x"\nword = ["a"]', "word is not known"),
        ('[[rule]]\nname = "x"\nkind = "negation"\npattern = "never"', "needs a group"),
        ('[[rule]]\nname = "x"\nwords = ["a"]\ninstead = "\\\\1"', "speaks of group 1, the pattern has 0"),
        ("rule = 3", "rule"),
        ("[[rule", "no TOML"),
    ],
)
def test_wrong_own_file_is_one_line_with_file_and_key(own: Path, text: str, said: str) -> None:
    own.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        lint("a", "sdxl")
    assert str(own) in str(error.value)
    assert "\n" not in str(error.value)
    assert said in str(error.value)


def test_every_shipped_rule_offers_what_there_is_and_can_fire() -> None:
    rules = load()
    for rule in rules.rule:
        assert set(rule.offers) <= rules.offers.keys()
        assert rule.why and not rule.why.endswith(".")  # noqa: PT018  # one thing: a reason as a clause
        firing: dict[str, Any] = {"words": rule.words, "clash": [" ".join(group[0] for group in rule.groups)]}
        for text in firing.get(rule.kind, ()):
            assert rule.name in {finding.rule for finding in lint(text, "sdxl").findings}, (rule.name, text)
