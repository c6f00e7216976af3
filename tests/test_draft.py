"""Draft: what a person asks for becomes a Recipe; what is missing comes from the checkpoint."""

from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_checkpoint

from pipelines.checkpoint import Checkpoint
from pipelines.draft import Draft, Taken, settle
from pipelines.errors import InputError, RecipeError
from pipelines.recipe import Recipe, SchedulerChoice
from tests.pictures import Told

SIZES = {"start.png": (24, 16), "mask.png": (24, 16), "other.png": (16, 16)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint("sdxl", tmp_path_factory.mktemp("sdxl")).folder


@pytest.fixture
def checkpoint(folder: Path) -> Checkpoint:
    return Checkpoint("mine", "sdxl", folder, {"steps": "12", "guidance": "4", "scheduler": "DPM++ 2M Karras"})


def take(path: Path) -> Taken:
    return Taken(f"{sorted(SIZES).index(path.name)}" * 64, *SIZES[path.name])


def settled(checkpoint: Checkpoint, **asked: Any) -> Recipe:
    return settle(Draft.said({"checkpoint": "mine"} | asked), checkpoint, Told(take)).recipe


def test_what_a_draft_leaves_open_comes_from_the_checkpoint(checkpoint: Checkpoint) -> None:
    made = settled(checkpoint, prompt="a portrait")
    assert (made.steps, made.guidance, made.width, made.height, made.seed) == (12, 4.0, 16, 16, 0)
    assert made.scheduler == SchedulerChoice(name="dpmpp-2m-karras")
    assert made.checkpoint == checkpoint.weights
    assert made.negative is None


def test_what_a_draft_says_is_kept_even_where_it_is_zero(checkpoint: Checkpoint) -> None:
    made = settled(checkpoint, guidance=0, steps=3, scheduler="dpmpp_2m", seed=5, negative="", width=32)
    assert (made.guidance, made.steps, made.seed, made.negative, made.width) == (0.0, 3, 5, "", 32)
    assert made.scheduler == SchedulerChoice(name="dpmpp-2m")


def test_any_spelling_of_a_scheduler_gives_one_key(checkpoint: Checkpoint) -> None:
    spelled = ("dpmpp-2m-karras", "DPM++ 2M Karras", "dpmpp_2m:use_karras_sigmas=true", None)
    assert len({settled(checkpoint, scheduler=text).key for text in spelled}) == 1


def test_a_start_image_gives_the_size(checkpoint: Checkpoint) -> None:
    made = settled(checkpoint, start="in/start.png", strength=0.5, mask="mask.png")
    assert (made.width, made.height, made.mode) == (24, 16, "inpaint")
    assert made.start is not None
    assert made.mask is not None
    assert (made.start.image, made.start.strength, made.mask.image) == ("2" * 64, 0.5, "0" * 64)


def test_warnings_of_the_family_are_handed_on(folder: Path) -> None:
    checkpoint = Checkpoint("mine", "sdxl", folder, {"trained_guidance": "2..7"})
    assert settle(Draft(checkpoint="mine", guidance=9), checkpoint, Told(take)).warnings == (
        "guidance 9 is outside 2 to 7, which mine was trained for",
    )


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"start": "start.png"}, "start is given without strength; img2img needs both"),
        ({"strength": 0.5}, "strength is given without start"),
        ({"mask": "mask.png", "width": 24}, "a mask needs a start image"),
        (
            {"start": "start.png", "strength": 0.5, "width": 32},
            "start is 24x16 but the picture is 32x16; leave out width",
        ),
        ({"start": "start.png", "strength": 0.5, "mask": "other.png"}, "mask is 16x16 but the picture is 24x16"),
        ({"width": 20}, "width 20 is not a multiple of 8"),
        ({"steps": 0}, "steps 0"),
        ({"scheduler": "eulr"}, "scheduler 'eulr' is not known; nearest: euler"),
    ],
)
def test_what_cannot_be_is_refused(checkpoint: Checkpoint, asked: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        settled(checkpoint, **asked)


def test_images_are_read_only_when_named(checkpoint: Checkpoint) -> None:
    def never(path: Path) -> Taken:
        raise AssertionError(path)

    assert settle(Draft(checkpoint="mine"), checkpoint, Told(never)).recipe.mode == "text-to-image"
    with pytest.raises(RecipeError, match="without strength"):
        settle(Draft(checkpoint="mine", start="start.png"), checkpoint, Told(never))


def test_every_field_of_a_draft_is_named_like_the_recipes() -> None:
    own = {"strength", "context", "light", "subject", "light_fields"}
    own |= {"reference", "reference_weight", "reference_role", "reference_by"}
    assert set(Draft.model_fields) - set(Recipe.model_fields) == own
