"""Families: every refusal with its message, recorded warnings, defaults, and what shares an encoding."""

from typing import Any

import pytest
import torch
from tiny import tiny_checkpoint

from pipelines import schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.errors import RecipeError
from pipelines.families import FAMILIES, family_of
from pipelines.families.base import settings
from pipelines.recipe import Recipe

START = {"start": {"image": "0" * 64, "strength": 0.5}}
MASKED = START | {"mask": {"image": "1" * 64}}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("tiny")
    return {kind: tiny_checkpoint(kind, folder / kind) for kind in ("sdxl", "flux", "schnell", "inpaint")}


def recipe(checkpoint: Checkpoint, /, **changes: Any) -> Recipe:
    given: dict[str, Any] = {
        "checkpoint": checkpoint.weights,
        "prompt": "a portrait",
        "seed": 1,
        "width": 16,
        "height": 16,
        "steps": 4,
        "guidance": 0.0 if checkpoint.name == "schnell" else 3.0,
        "scheduler": schedulers.named("euler"),
    }
    return Recipe.read(given | changes)


def check(checkpoint: Checkpoint, /, **changes: Any) -> tuple[str, ...]:
    return family_of(checkpoint).check(recipe(checkpoint, **changes), checkpoint)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("sdxl", {}),
        ("sdxl", {"negative": "plastic", "clip_skip": 1, "text_tokens": 77, "guidance_interval": (0.0, 0.5)}),
        ("sdxl", START),
        ("sdxl", MASKED),
        ("inpaint", MASKED),
        ("flux", {"width": 20, "text_tokens": 512}),
        ("flux", {"negative": "", "true_guidance": 2.0, "guidance_interval": (0.2, 0.8)}),
        ("flux", MASKED),
        ("schnell", {"text_tokens": 256}),
    ],
)
def test_what_a_checkpoint_can_make_passes_without_a_warning(
    checkpoints: dict[str, Checkpoint], kind: str, changes: dict[str, Any]
) -> None:
    assert check(checkpoints[kind], **changes) == ()


@pytest.mark.parametrize(
    ("kind", "changes", "line"),
    [
        ("sdxl", {"width": 20}, r"width 20 is not a multiple of 8; take 16 or 24"),
        ("sdxl", {"height": 17}, r"height 17 is not a multiple of 8; take 16 or 24"),
        ("flux", {"width": 18}, r"width 18 is not a multiple of 4; take 16 or 20"),
        ("sdxl", {"loras": [{"file": "2" * 64, "family": "sdxl"}]}, r"loras are read but not applied by this version"),
        ("flux", {"references": [{"image": "2" * 64}]}, r"references are read but not applied by this version"),
        ("flux", {"finish": [{"name": "grain"}]}, r"finish are read but not applied by this version"),
        ("sdxl", {"variation": 1}, r"variation 1 is for models without a seed; sdxl has one, so change seed"),
        (
            "sdxl",
            {"checkpoint": {"digest": "3" * 64, "family": "sdxl", "quantisation": "nf4"}},
            r"quantisation nf4 is not applied by this version; leave it out",
        ),
        (
            "sdxl",
            {"true_guidance": 2},
            r"true_guidance 2 is FLUX's name; on SDXL classifier-free guidance is `guidance`",
        ),
        ("sdxl", {"text_tokens": 128}, r"text_tokens 128: SDXL's encoders read 77; leave it out"),
        (
            "sdxl",
            {"guidance": 1, "guidance_interval": (0, 0.5)},
            r"guidance 1 is off, so guidance_interval has nothing",
        ),
        ("sdxl", {"clip_skip": 2}, r"clip_skip 2 is more than 1, the layers this text encoder can spare"),
        ("inpaint", {}, r"inpaint is an inpainting checkpoint; give start and mask, or pick another one"),
        ("inpaint", START, r"inpaint is an inpainting checkpoint; give start and mask"),
        ("flux", {"negative": "plastic"}, r"a negative prompt does nothing on guidance-distilled FLUX"),
        ("schnell", {"negative": ""}, r"a negative prompt does nothing"),
        ("flux", {"true_guidance": 2}, r"true_guidance 2 needs a negative prompt to guide away from: give one"),
        ("flux", {"guidance_interval": (0, 0.5)}, r"guidance_interval limits classifier-free guidance; on FLUX give"),
        ("flux", {"clip_skip": 1}, r"clip_skip 1 does nothing on FLUX"),
        ("schnell", {"text_tokens": 512}, r"text_tokens 512 is more than 256, the most schnell reads"),
        ("schnell", {"guidance": 3.5}, r"guidance 3.5: schnell has no guidance input; leave it out \(0\)"),
        ("sdxl", {"start": {"image": "0" * 64, "strength": 0.2}}, r"strength 0.2 leaves none of 4 steps; raise one"),
        ("flux", {"spacing": "trailing"}, r"spacing trailing changes nothing with euler on flux"),
        ("flux", {"scheduler": {"name": "ddim"}}, r"scheduler ddim cannot be used for flux: .*; use one of euler"),
        ("flux", START | {"scheduler": {"name": "heun"}}, r"scheduler heun cannot be used for flux img2img: "),
        ("sdxl", {"scheduler": {"name": "dpm-fast"}}, r"'dpm-fast' has no counterpart here: diffusers has no DPM fast"),
        (
            "sdxl",
            {"scheduler": {"name": "euler-ancestral", "options": (("use_karras_sigmas", True),)}},
            r"scheduler euler-ancestral on sdxl does not take 'use_karras_sigmas'; allowed: ",
        ),
    ],
)
def test_what_a_checkpoint_cannot_make_is_refused_in_one_line(
    checkpoints: dict[str, Checkpoint], kind: str, changes: dict[str, Any], line: str
) -> None:
    with pytest.raises(RecipeError, match=line) as told:
        check(checkpoints[kind], **changes)
    assert "\n" not in str(told.value)


def test_guidance_outside_what_was_trained_is_a_warning(checkpoints: dict[str, Checkpoint]) -> None:
    sdxl = checkpoints["sdxl"]
    trained = Checkpoint("mine", "sdxl", sdxl.folder, {"trained_guidance": "2..7"})
    assert check(trained, guidance=7) == ()
    assert check(trained, guidance=9) == ("guidance 9 is outside 2 to 7, which mine was trained for",)
    assert len(check(trained, guidance=1.5)) == 1


def test_defaults_come_from_the_checkpoint_and_its_line_in_the_list(checkpoints: dict[str, Checkpoint]) -> None:
    found = {kind: FAMILIES[one.family].defaults(one) for kind, one in checkpoints.items()}
    assert (found["sdxl"].width, found["sdxl"].steps, found["sdxl"].guidance) == (16, 30, 5.0)
    assert (found["flux"].width, found["flux"].steps, found["flux"].guidance) == (1024, 28, 3.5)
    assert (found["schnell"].steps, found["schnell"].guidance) == (4, 0.0)
    asked = Checkpoint("mine", "flux", checkpoints["flux"].folder, {"steps": "12", "scheduler": "unipc"})
    assert settings(family_of(asked), asked) == found["flux"].but(steps=12, scheduler="unipc")


def test_equal_words_share_an_encoding_whatever_else_differs(checkpoints: dict[str, Checkpoint]) -> None:
    for kind, changes in (("sdxl", {"clip_skip": 1}), ("flux", {"text_tokens": 128})):
        checkpoint = checkpoints[kind]
        words, base = family_of(checkpoint).words, recipe(checkpoint)
        assert words(base) == words(base.but(seed=2, steps=9, width=32, guidance=7))
        for other in (changes, {"prompt": "a face"}, {"negative": ""}, {"negative": "plastic"}):
            assert words(base) != words(base.but(**other))


def test_packed_latents_are_laid_out_as_stock_does_for_any_shape(checkpoints: dict[str, Checkpoint]) -> None:
    from diffusers import FluxPipeline

    flux = checkpoints["flux"]
    wanted = torch.arange(4 * 8 * 12.0).view(1, 4, 8, 12)
    packed = FluxPipeline._pack_latents(wanted, 1, 4, 8, 12)
    cell = recipe(flux, height=16, width=24)
    assert torch.equal(family_of(flux).latents(packed, cell, flux), wanted)


def test_rows_say_how_wide_a_call_is(checkpoints: dict[str, Checkpoint]) -> None:
    sdxl, flux = checkpoints["sdxl"], checkpoints["flux"]
    assert [family_of(sdxl).rows(recipe(sdxl, guidance=guidance)) for guidance in (0, 1, 1.1, 7)] == [1, 1, 2, 2]
    assert family_of(flux).rows(recipe(flux, negative="", true_guidance=3)) == 1
    assert (family_of(sdxl).lane_width, family_of(flux).lane_width) == (2, 1)
