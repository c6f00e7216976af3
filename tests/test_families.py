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


KINDS = ("sdxl", "flux", "schnell", "inpaint", "fill", "kontext", "klein", "flux2")
UNGUIDED = {"schnell": 0.0, "klein": 1.0}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    folder = tmp_path_factory.mktemp("tiny")
    return {kind: tiny_checkpoint(kind, folder / kind) for kind in KINDS}


def recipe(checkpoint: Checkpoint, /, **changes: Any) -> Recipe:
    given: dict[str, Any] = {
        "checkpoint": checkpoint.weights,
        "prompt": "a portrait",
        "seed": 1,
        "width": 16,
        "height": 16,
        "steps": 4,
        "guidance": UNGUIDED.get(checkpoint.name, 3.0),
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
        ("fill", MASKED),
        ("kontext", {"negative": "", "true_guidance": 2.0}),
        ("klein", {}),
        ("klein", MASKED),
        ("flux2", {"width": 20, "text_tokens": 512}),
        ("flux2", MASKED | {"negative": "plastic", "guidance_interval": (0.2, 0.8)}),
        ("flux2", {"guidance": 0.0}),
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
        ("flux2", {"loras": [{"file": "2" * 64, "family": "flux"}]}, r"is for flux, flux2 is flux2; leave it out, or"),
        ("flux", {"references": [{"image": "2" * 64}]}, r"a reference names no mechanism; bands or redux can act on"),
        ("flux", {"finish": [{"name": "grain"}]}, r"finish are read but not applied by this version"),
        ("sdxl", {"variation": 1}, r"variation 1 is for models without a seed; sdxl has one, so change seed"),
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
        ("fill", {}, r"fill fills masks; give start and mask, or pick another checkpoint"),
        ("fill", START, r"fill fills masks; give start and mask"),
        ("fill", MASKED | {"negative": ""}, r"fill has no classifier-free guidance; leave negative, true_guidance and"),
        ("fill", MASKED | {"true_guidance": 2}, r"fill has no classifier-free guidance"),
        ("fill", MASKED | {"guidance_interval": (0, 0.5)}, r"fill has no classifier-free guidance"),
        ("fill", MASKED | {"scheduler": {"name": "heun"}}, r"scheduler heun cannot be used for flux inpaint: "),
        ("kontext", START, r"kontext reads pictures as references, not as start images; give it as reference, or pick"),
        ("kontext", MASKED, r"kontext reads pictures as references, not as start images"),
        (
            "klein",
            {"guidance": 4},
            r"guidance 4: klein is step-distilled and ignores it; leave it out \(1\), or pick",
        ),
        ("klein", {"guidance": 0}, r"guidance 0: klein is step-distilled and ignores it"),
        ("klein", {"negative": "plastic"}, r"a negative prompt does nothing on klein at guidance 1; say it positively"),
        ("flux2", {"negative": "plastic", "guidance": 1}, r"a negative prompt does nothing on flux2 at guidance 1"),
        ("flux2", {"negative": ""}, r"negative '' is what FLUX.2 is guided away from anyway; leave it out"),
        ("klein", {"guidance_interval": (0, 0.5)}, r"guidance 1 is off, so guidance_interval limits nothing"),
        ("flux2", {"true_guidance": 2}, r"true_guidance 2 is FLUX.1's name; on FLUX.2 classifier-free guidance is"),
        ("flux2", {"clip_skip": 1}, r"clip_skip 1: FLUX.2 has no CLIP encoder; leave it out"),
        ("flux2", {"width": 18}, r"width 18 is not a multiple of 4; take 16 or 20"),
        ("flux2", START, r"diffusers has no img2img for FLUX.2; give a mask too \(an all white one repaints all\)"),
        ("flux2", MASKED | {"width": 2048, "height": 1024}, r"inpainting 2048x1024 is more than 1048576 pixels, above"),
        ("flux2", MASKED | {"scheduler": {"name": "heun"}}, r"scheduler heun cannot be used for flux2 inpaint: "),
        ("flux2", {"scheduler": {"name": "ddim"}}, r"scheduler ddim cannot be used for flux2: .*; use one of euler"),
        ("flux2", {"spacing": "trailing"}, r"spacing trailing changes nothing with euler on flux2"),
        (
            "flux2",
            {"scheduler": {"name": "euler", "options": (("max_shift", 1.5),)}},
            r"scheduler euler on flux2 does not take 'max_shift'; allowed: shift, use_dynamic_shifting",
        ),
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
    distilled, base = found["klein"], found["flux2"]
    assert (distilled.width, distilled.steps, distilled.guidance) == (1024, 4, 1.0)
    assert (base.width, base.steps, base.guidance) == (1024, 50, 4.0)
    asked = Checkpoint("mine", "flux", checkpoints["flux"].folder, {"steps": "12", "scheduler": "unipc"})
    assert settings(family_of(asked), asked) == found["flux"].but(steps=12, scheduler="unipc")


def test_equal_words_share_an_encoding_whatever_else_differs(checkpoints: dict[str, Checkpoint]) -> None:
    for kind, changes in (("sdxl", {"clip_skip": 1}), ("flux", {"text_tokens": 128}), ("flux2", {"text_tokens": 128})):
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
    assert family_of(checkpoints["flux2"]).rows(recipe(checkpoints["flux2"], guidance=3)) == 1
    assert [family_of(sdxl).calls(recipe(sdxl, guidance=guidance)) for guidance in (1, 7)] == [1, 1]
    assert [family_of(flux).calls(recipe(flux, negative="", true_guidance=t)) for t in (1, 3)] == [1, 2]
    assert [FAMILIES["flux2"].calls(recipe(checkpoints["flux2"], guidance=guidance)) for guidance in (1, 3)] == [1, 2]
    assert [FAMILIES[name].lane_width for name in ("sdxl", "flux", "flux2")] == [2, 1, 1]
