"""Recipe: keys that outlive versions, what takes part in them, and what is refused."""

import json
from typing import Any

import pytest

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from pipelines.recipe import Recipe

A, B, C = "a" * 64, "b" * 64, "c" * 64
BASE: dict[str, Any] = {
    "checkpoint": {"digest": A, "family": "sdxl"},
    "prompt": "a portrait, side light",
    "seed": 7,
    "width": 1024,
    "height": 1024,
    "steps": 30,
    "guidance": 5.0,
    "scheduler": {"name": "euler"},
}
START = {"start": {"image": B, "strength": 0.5}}
GOLDEN: dict[str, tuple[dict[str, Any], str]] = {
    "base": ({}, "0e984e2a9545cbe1"),
    "checkpoint digest": ({"checkpoint": {"digest": B, "family": "sdxl"}}, "44bb5db1adeb444e"),
    "checkpoint family": ({"checkpoint": {"digest": A, "family": "flux"}}, "3784cfa3854a3269"),
    "checkpoint quantisation": (
        {"checkpoint": {"digest": A, "family": "sdxl", "quantisation": "nf4"}},
        "36da2b315a824f2b",
    ),
    "prompt": ({"prompt": "porträt, 側光"}, "fe844a4c1849c2ef"),
    "negative": ({"negative": "plastic"}, "1a24e06c447819ea"),
    "negative empty": ({"negative": ""}, "2c6f092d950c0a95"),
    "seed": ({"seed": 2**64 - 1}, "294c87fbb67c8af6"),
    "width": ({"width": 832}, "4d8554a4657f92ad"),
    "height": ({"height": 1216}, "200020209c2adcb9"),
    "steps": ({"steps": 20}, "e11a5097c7f3497b"),
    "guidance": ({"guidance": 4.5}, "0e752bf1b72943c2"),
    "true_guidance": ({"true_guidance": 2.5}, "e62532a3771fff2b"),
    "guidance_interval": ({"guidance_interval": (0.0, 0.6)}, "21516817789f5d76"),
    "scheduler": ({"scheduler": {"name": "unipc"}}, "5efc2cac2a013426"),
    "scheduler options": (
        {"scheduler": {"name": "dpmpp-2m", "options": (("euler_at_final", True), ("solver_order", 3))}},
        "1baa2f3b37beb47e",
    ),
    "spacing": ({"spacing": "trailing"}, "2758478806c0ee2e"),
    "clip_skip": ({"clip_skip": 1}, "2c117427582d362a"),
    "text_tokens": ({"text_tokens": 256}, "348e0f6444f57211"),
    "variation": ({"variation": 2}, "86e77a66e8086938"),
    "loras": (
        {"loras": ({"file": C, "family": "sdxl"}, {"file": B, "weight": -0.5, "family": "sdxl"})},
        "6c717bb85048a605",
    ),
    "references": ({"references": ({"image": C}, {"image": B, "role": "start", "weight": 0.4})}, "8fe81917dd47f46f"),
    "reference mechanism": (
        {"references": ({"image": C, "mechanism": "ip-adapter", "adapter": B},)},
        "b9d97ba153164d28",
    ),
    "crop": (
        START
        | {"mask": {"image": C}}
        | {"crop": {"left": 8, "top": 0, "width": 300, "height": 400, "of_width": 800, "of_height": 600}},
        "5b2808af31f1b881",
    ),
    "start": (START, "79254d2578933cfc"),
    "mask": (START | {"mask": {"image": C}}, "e02f87c5813106db"),
    "finish": ({"finish": ({"name": "grain", "values": (("amount", 0.2),)}, {"name": "texture"})}, "8981e2b9ecaa74a8"),
}
"""Keys that were released: a picture's name for ever. A line is never changed, only added."""


def recipe(**changes: Any) -> Recipe:
    return Recipe.read(BASE | changes)


@pytest.mark.parametrize("name", GOLDEN)
def test_every_key_ever_released_stays(name: str) -> None:
    changes, key = GOLDEN[name]
    assert recipe(**changes).key == key


def test_every_field_has_a_golden_key_of_its_own() -> None:
    fields = {field for changes, _ in GOLDEN.values() for field in changes}
    assert set(Recipe.model_fields) - fields == {"version"}
    assert len({key for _, key in GOLDEN.values()}) == len(GOLDEN)


def test_canonical_json_is_this_text() -> None:
    assert recipe().canonical() == (
        '{"checkpoint":{"digest":"' + A + '","family":"sdxl"},"guidance":5.0,"height":1024,'
        '"prompt":"a portrait, side light","scheduler":{"name":"euler"},"seed":7,"steps":30,"width":1024}'
    )


@pytest.mark.parametrize(
    "neutral",
    [
        {"negative": None},
        {"true_guidance": 1},
        {"guidance_interval": [0, 1]},
        {"spacing": None},
        {"clip_skip": 0},
        {"text_tokens": 0},
        {"variation": 0},
        {"loras": []},
        {"references": ()},
        {"crop": None},
        {"start": None, "mask": None},
        {"finish": []},
        {"version": 1},
        {"guidance": 5, "scheduler": {"name": "euler", "options": []}},
    ],
)
def test_a_field_at_its_neutral_default_is_left_out(neutral: dict[str, Any]) -> None:
    assert recipe(**neutral) == recipe()
    assert recipe(**neutral).canonical() == recipe().canonical()


def test_negative_none_and_empty_are_different_pictures() -> None:
    assert recipe(negative=None).key != recipe(negative="").key


def test_names_for_people_take_no_part_in_the_key() -> None:
    lora = {"file": C, "family": "sdxl"}
    named = recipe(checkpoint=BASE["checkpoint"] | {"name": "mine"}, loras=[lora | {"name": "skin"}])
    assert named.key == recipe(loras=[lora]).key
    assert named.checkpoint.name == "mine"
    assert "mine" not in named.canonical()


def test_a_field_added_later_with_a_neutral_default_changes_no_key() -> None:
    class Later(Recipe):
        film: str = ""

    later = Later.read(BASE | START)
    assert later.key == recipe(**START).key
    assert later.but(film="hp5").key != later.key


def test_a_recipe_read_back_from_its_json_has_the_same_key() -> None:
    for changes, key in GOLDEN.values():
        made = recipe(**changes)
        assert Recipe.read(json.loads(made.model_dump_json())) == made
        assert Recipe.read(json.loads(made.canonical())).key == key


def test_but_gives_another_recipe_validated_again() -> None:
    made = recipe()
    assert made.but(steps=20).steps == 20
    assert made.steps == 30
    assert made.but(steps=20).key == GOLDEN["steps"][1]
    with pytest.raises(InputError, match=r"steps 0: input should be greater than or equal to 1"):
        made.but(steps=0)
    with pytest.raises(InputError, match=r"step is not known here; allowed: .*steps"):
        made.but(step=3)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"prompt": "side\0light"}, "NUL character"),
        ({"seed": -1}, "seed -1: input should be greater than or equal to 0"),
        ({"seed": 2**64}, f"seed {2**64}: input should be less than {2**64}"),
        ({"width": 8}, "width 8"),
        ({"steps": 30.5}, "steps 30.5"),
        ({"guidance": float("nan")}, "guidance nan"),
        ({"guidance": float("inf")}, "guidance inf"),
        ({"guidance": -1}, "guidance -1"),
        ({"true_guidance": 0.5}, "true_guidance 0.5"),
        ({"guidance_interval": (0.6, 0.6)}, "guidance_interval must begin before it ends"),
        ({"guidance_interval": (0.0, 1.2)}, "guidance_interval.1 1.2"),
        ({"scheduler": {"name": "euler", "options": (("b", 1), ("a", 2))}}, "in alphabetical order"),
        ({"spacing": "wide"}, "spacing 'wide'"),
        ({"mask": {"image": C}}, "a mask needs a start image"),
        ({"start": {"image": B, "strength": 0}}, "start.strength 0"),
        ({"start": {"image": "portrait.png", "strength": 0.5}}, "start.image 'portrait.png'"),
        ({"checkpoint": {"digest": A, "family": "sd15"}}, "checkpoint.family 'sd15'"),
        ({"loras": [{"file": C, "family": "sdxl", "weight": 9}]}, "loras.0.weight 9"),
        ({"colour": "warm"}, "colour is not known here; allowed: .*prompt"),
        ({"version": 2}, "version 2"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_with_field_and_value(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line) as told:
        recipe(**changes)
    assert "\n" not in str(told.value)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InputError, match="prompt is missing; give it a value"):
        Recipe.read({name: value for name, value in BASE.items() if name != "prompt"})


def test_a_recipe_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        recipe().steps = 5  # type: ignore[misc]  # what is tested


def test_the_mode_follows_from_the_images() -> None:
    assert recipe().mode == "text-to-image"
    assert recipe(**START).mode == "img2img"
    assert recipe(**START, mask={"image": C}).mode == "inpaint"


def test_labels_are_left_out_at_every_depth() -> None:
    class Outer(Frozen):
        inner: tuple[Recipe, ...] = ()

    assert 'name":"mine' not in Outer(inner=(recipe(checkpoint=BASE["checkpoint"] | {"name": "mine"}),)).canonical()
