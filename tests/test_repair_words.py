"""The words of a repair keep person and light, ask for the region's own texture, and never pile up."""

import pytest

from pipelines import prompts
from pipelines.prompts import Words
from pipelines.recipe import FamilyName
from pipelines.repair_words import STRENGTHS, Task, task_of, words, words_of_light

OWN = Words("portrait of a woman, 85mm lens, side light from the left, freckles, in a narrow kitchen", "plastic skin")
TASKS: tuple[Task, ...] = ("skin", "eyes", "mouth", "neck")


@pytest.mark.parametrize(
    ("mask", "task"),
    [
        ("face1.skin - face1.eyes; feather 0.06", "skin"),
        ("face2.left-cheek", "skin"),
        ("faces.eyes", "eyes"),
        ("face1.brows + face1.skin", "eyes"),
        ("face1.mouth", "mouth"),
        ("face1.neck; grow 0.02", "neck"),
        ("painted.png", "skin"),
    ],
)
def test_the_first_region_says_what_a_mask_is_for(mask: str, task: Task) -> None:
    assert task_of(mask) == task


@pytest.mark.parametrize("task", TASKS)
def test_strengths_lie_where_the_face_stays_the_same(task: Task) -> None:
    low, high = (0.3, 0.4) if task in ("eyes", "mouth") else (0.35, 0.5)
    assert (STRENGTHS[task].low, STRENGTHS[task].high) == (low, high)
    assert low <= STRENGTHS[task].usual <= high


def test_sdxl_keeps_person_and_light_and_forbids_smoothness_in_the_negative() -> None:
    said = words(OWN, "skin", family="sdxl")
    assert said.prompt == (
        "portrait of a woman, side light from the left, freckles, same side light, keep the shadow under the nose, "
        "suggested pore texture, fine uneven skin"
    )
    assert said.negative == "plastic skin, smooth skin, airbrushed"
    assert "smooth" not in said.prompt  # an encoder reads the word, with or without "not" before it


@pytest.mark.parametrize("family", ["flux", "flux2"])
def test_flux_says_it_in_sentences_and_positive_words(family: FamilyName) -> None:
    own = Words("A portrait of a man. Side light from the left falls across the face. Behind him is a kitchen.", None)
    said = words(own, "skin", family=family)
    assert said.prompt.startswith("A portrait of a man. Side light from the left falls across the face. The side light")
    assert "kitchen" not in said.prompt
    assert "suggested pore texture" in said.prompt
    assert said.negative is None
    assert not {"not", "no", "without", "smooth"} & set(said.prompt.lower().replace(".", "").split())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_a_repair_of_a_repair_says_nothing_twice(family: FamilyName, task: Task) -> None:
    once = words(OWN if family == "sdxl" else Words("A portrait. Window light.", None), task, family=family)
    assert words(once, task, family=family) == once
    other = words(words(OWN, "skin", family=family), "eyes", family=family)
    assert "under the nose" not in other.prompt
    assert "iris" in other.prompt


def test_a_template_is_said_again_without_what_lies_outside_the_crop() -> None:
    light = prompts.resolve("window", "a woman with freckles", {})
    own = prompts.words(light, "sdxl")
    said = words(own, "skin", family="sdxl", light=light)
    assert "a woman with freckles" in said.prompt
    assert "side light from the left at 60 degrees" in said.prompt
    assert "keep the shadow under the nose" in said.prompt
    for outside in ("dark background", "quiet flat", "late morning", "85mm"):
        assert outside in own.prompt
        assert outside not in said.prompt
    assert said.negative is not None
    assert said.negative.startswith("smooth skin, plastic skin, beauty retouch, flat light")
    assert said.negative.count("smooth skin") == 1


def test_a_photograph_without_words_gets_a_prompt_all_the_same() -> None:
    assert words(Words("", None), "eyes", family="sdxl").prompt.startswith("portrait photo, same light, keep the")
    assert words(Words("", None), "eyes", family="flux").prompt.startswith("A portrait photograph. The light stays")


def test_a_measured_side_stands_in_for_words() -> None:
    assert words_of_light("left", "sdxl").prompt == "portrait photo, side light from the left"
    assert words(words_of_light("left", "sdxl"), "skin", family="sdxl").prompt.count("side light") == 2
    assert words_of_light(None, "flux").prompt == "A portrait photograph."
