"""Conditions: what they keep, and that everything outside the small grammar is refused where it stands."""

import itertools
import operator
import random

import pytest

from pipelines.draft import Draft, Settled
from pipelines.errors import SweepError
from pipelines.recipe import Recipe, SchedulerChoice, Start, Weights
from sweeps.where import condition, values_of

DRAFT = Draft(checkpoint="./models/skin", prompt="portrait, freckles", scheduler="DPM++ 2M Karras")
RECIPE = Recipe(
    checkpoint=Weights(digest="0" * 64, family="sdxl", name="skin"),
    prompt="portrait, freckles",
    seed=2**64 - 1,
    width=512,
    height=640,
    steps=20,
    guidance=3.5,
    guidance_interval=(0.0, 0.6),
    scheduler=SchedulerChoice(name="dpmpp-2m-karras"),
)


def holds(text, recipe=RECIPE):
    return condition(text).holds(values_of(DRAFT, recipe and Settled(recipe, (), None)))


@pytest.mark.parametrize(
    "text",
    [
        "guidance <= 4 or steps >= 30",
        "guidance == 3.5 and steps == 20",
        "guidance < 4 and not steps > 20",
        "3 < guidance < 4",
        "512 <= width < height",
        "width < 600 and (guidance > 9 or steps == 20)",
        "steps in (10, 20)",
        "steps in [10, 20]",
        "steps in (20)",
        "steps not in (10, 30)",
        "scheduler == 'dpmpp-2m-karras'",
        "scheduler == 'DPM++ 2M Karras'",
        "scheduler in ('euler', 'dpmpp_2m_karras')",
        "'karras' in scheduler",
        "'freckles' in prompt and 'scar' not in prompt",
        "checkpoint == './models/skin'",
        "guidance_interval == '0..0.6'",
        "guidance_interval == '0.0 .. 0.60'",
        "seed == 18446744073709551615",
        "seed != 18446744073709551614",
        "negative == none",
        "negative == None",
        "negative != ''",
        "strength != none and strength < 0.5 or steps == 20",
        "guidance > -1",
        "  steps == 20\n  and guidance < 4\n",
        "true_guidance == 1.0",
    ],
)
def test_condition_holds_and_its_opposite_does_not(text):
    assert holds(text) is True
    assert holds(f"not ({text.strip()})") is False


@pytest.mark.parametrize(
    ("text", "character", "told"),
    [
        ("steps = 20", 7, "write =="),
        ("cfg <= 4", 1, "cfg is no field"),
        ("steps >= 20 or euler == scheduler", 16, "put text in quotes"),
        ("prompt == 'ä' or x == 2", 18, "x is no field"),
        ("steps", 1, "steps alone is neither true nor false"),
        ("steps >= 20 and guidance", 17, "guidance alone"),
        ("1", 1, "alone"),
        ("steps == '20'", 10, "never equal"),
        ("prompt == 3", 11, "never equal"),
        ("prompt < 'b'", 1, "has no order"),
        ("steps < none", 9, "has no order"),
        ("scheduler == 'dpmpp-9x'", 14, "is not known"),
        ("scheduler == 'euler:x=1'", 14, "leave out its options"),
        ("guidance_interval == '0.6'", 22, "write '0..0.6'"),
        ("20 in steps", 7, "holds no list"),
        ("steps in (10, 'x')", 15, "never equal"),
        ("steps is 20", 10, "is not a comparison here"),
        ("guidance * 2 == 4", 1, "is not allowed here"),
        ("steps == True", 10, "true or false"),
        ("(steps == 1", 1, "ends making sense"),
        ("steps == 1 &&  guidance == 2", 13, "ends making sense"),
        ("steps == 1 # or so", 12, "means nothing"),
        ("start == 'C:\\new'", 13, "means nothing"),
    ],
)
def test_what_is_not_understood_is_pointed_at(text, character, told):
    with pytest.raises(SweepError) as refused:
        condition(text)
    assert f"character {character}: " in str(refused.value)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "(lambda: 1)() == 1",
        "prompt.upper() == 'A'",
        "prompt[0] == 'p'",
        "[steps for steps in (1,)] == 1",
        "f'{steps}' == prompt",
        "b'a' == prompt",
        "1j == steps",
        "steps == 9**9**9",
        "(x := 3) == steps",
        "steps if steps else steps",
        "...",
        "",
        "   ",
        "(" * 300 + "steps == 1" + ")" * 300,
        "not " * 450 + "steps == 1 and",
        "steps == 1 or " * 1000 + "steps == 1",
        "steps == 1\x00",
        "steps == " + "9" * 5000,
    ],
)
def test_nothing_but_the_grammar_is_read(text):
    with pytest.raises(SweepError):
        condition(text)


def test_a_field_without_value_cannot_be_ordered_and_the_error_says_how_to_ask():
    with pytest.raises(SweepError, match=r"strength != none and"):
        holds("strength < 0.5")
    img2img = RECIPE.but(start=Start(image="1" * 64, strength=0.4))
    assert holds("strength < 0.5", img2img)


def test_without_a_recipe_the_draft_speaks():
    values = values_of(DRAFT, None)
    assert (values["scheduler"], values["steps"], values["guidance_interval"]) == ("dpmpp-2m-karras", None, "0..1")
    assert values_of(DRAFT.but(scheduler="typo"), None)["scheduler"] == "typo"


def test_random_conditions_agree_with_plain_python():
    dice = random.Random(5)
    orders = {
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    }
    for _ in range(200):
        (a, one), (b, other) = dice.choices(list(orders.items()), k=2)
        x, y = dice.randrange(0, 80, 5), dice.randrange(0, 16) / 2
        word, is_not = dice.choice(["and", "or"]), dice.random() < 0.5
        read = condition(f"steps {a} {x} {word} {'not ' * is_not}guidance {b} {y}")
        for steps, guidance in itertools.product((5, 20, 50), (0.5, 3.5, 7.0)):
            right = other(guidance, y) != is_not
            wanted = one(steps, x) and right if word == "and" else one(steps, x) or right
            assert read.holds(values_of(DRAFT, Settled(RECIPE.but(steps=steps, guidance=guidance), (), None))) == wanted
