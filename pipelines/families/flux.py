"""FLUX.1: T5 and CLIP words, a flow-matching transformer over 2 x 2 latent patches. Knows nothing about SDXL.

`guidance` is an input of the network (distilled); `true_guidance` is classifier-free guidance, two calls a step.
"""

from collections.abc import Mapping
from typing import Any

from pipelines import attention, reference_images
from pipelines.checkpoint import Checkpoint
from pipelines.errors import RecipeError
from pipelines.families.base import Images, Parts, assembled, check_common, warn_trained
from pipelines.listing import Defaults
from pipelines.recipe import FamilyName, Recipe


class Flux:
    """FLUX.1-dev, -schnell, -Fill-dev (told apart by the transformer's inputs), and -Kontext-dev."""

    name: FamilyName = "flux"
    denoiser = "transformer"
    lane_width = 1
    encoders = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")

    def defaults(self, checkpoint: Checkpoint) -> Defaults:
        """1024 px; steps and guidance as their makers and diffusers' examples give them."""
        if _is_fill(checkpoint):
            return Defaults(width=1024, height=1024, steps=50, guidance=30.0)
        if _is_kontext(checkpoint):
            return Defaults(width=1024, height=1024, steps=28, guidance=2.5)
        if _distilled_guidance(checkpoint):
            return Defaults(width=1024, height=1024, steps=28, guidance=3.5)
        return Defaults(width=1024, height=1024, steps=4, guidance=0.0)

    def check(self, recipe: Recipe, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Warnings; raises RecipeError."""
        _check_pictures(recipe, checkpoint)
        check_common(self, recipe, grid=2 * checkpoint.latent_factor)
        _check_guidance(recipe, checkpoint)
        most = attention.most_tokens(checkpoint)
        if recipe.text_tokens > most:
            raise RecipeError(f"text_tokens {recipe.text_tokens} is more than {most}, the most {checkpoint.name} reads")
        if recipe.clip_skip:
            raise RecipeError(
                f"clip_skip {recipe.clip_skip} does nothing on FLUX (it reads CLIP's pooled output); leave it out"
            )
        return (
            *attention.check(recipe, checkpoint),
            *reference_images.check(recipe, checkpoint),
            *warn_trained(self, recipe, checkpoint),
        )

    def rows(self, recipe: Recipe) -> int:
        """Always 1: true guidance makes two calls a step."""
        return 1

    def calls(self, recipe: Recipe) -> int:
        """2 with true guidance, 1 without."""
        return 2 if recipe.true_guidance > 1 else 1

    def words(self, recipe: Recipe) -> tuple[Any, ...]:
        """Both texts and the padding length."""
        return recipe.prompt, recipe.negative, recipe.text_tokens

    def encode(self, parts: Parts, recipe: Recipe, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """Prompt (and negative) as (1, tokens, width) and pooled (1, width) tensors."""
        from diffusers import FluxPipeline

        pipe = assembled(FluxPipeline, {**parts, "transformer": None, "vae": None})

        def words(text: str) -> tuple[Any, Any]:
            embeds, pooled, _ = pipe.encode_prompt(
                text,
                None,
                device=parts["text_encoder"].device,
                num_images_per_prompt=1,
                max_sequence_length=recipe.text_tokens or attention.most_tokens(checkpoint),
            )
            return embeds, pooled

        embeds, pooled = words(recipe.prompt)
        given = {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}
        if recipe.negative is not None:
            given["negative_prompt_embeds"], given["negative_pooled_prompt_embeds"] = words(recipe.negative)
        return given

    def pipeline(self, parts: Parts, recipe: Recipe) -> Any:
        """The stock pipeline of the recipe's mode."""
        import diffusers

        cls: Any = {
            "text-to-image": diffusers.FluxPipeline,
            "img2img": diffusers.FluxImg2ImgPipeline,
            "inpaint": diffusers.FluxInpaintPipeline,
        }[recipe.mode]
        if parts["transformer"].config.in_channels != parts["transformer"].out_channels:
            cls = diffusers.FluxFillPipeline
        if _reads_picture(recipe):
            cls = diffusers.FluxKontextPipeline
        return assembled(cls, {**parts, **dict.fromkeys(self.encoders)})

    def arguments(self, recipe: Recipe, images: Images) -> Mapping[str, Any]:
        """Guidance always: the stock defaults differ between the modes; true guidance where on, as Fill has none."""
        given: dict[str, Any] = {
            "guidance_scale": recipe.guidance,
            "num_inference_steps": recipe.steps,
            "width": recipe.width,
            "height": recipe.height,
        }
        if recipe.true_guidance != 1:
            given["true_cfg_scale"] = recipe.true_guidance
        if recipe.start:
            given |= {"image": images.start, "strength": recipe.start.strength}
        if recipe.mask:
            given["mask_image"] = images.mask
        if _reads_picture(recipe):  # at the sizes given here: stock would scale picture and reference to about 1 MP
            given |= {"image": images.references[0], "max_area": recipe.width * recipe.height, "_auto_resize": False}
        return given

    def latents(self, packed: Any, recipe: Recipe, checkpoint: Checkpoint) -> Any:
        """Undo the 2 x 2 packing: (1, h/2 * w/2, 4 c) -> (1, c, h, w)."""
        rows, columns = (side // checkpoint.latent_factor // 2 for side in (recipe.height, recipe.width))
        batch, _, width = packed.shape
        patches = packed.view(batch, rows, columns, width // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return patches.reshape(batch, width // 4, 2 * rows, 2 * columns)


def _distilled_guidance(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.config("transformer").get("guidance_embeds"))


def _is_fill(checkpoint: Checkpoint) -> bool:
    """Whether the transformer takes a masked picture and its mask beside the latents."""
    config = checkpoint.config("transformer")
    return bool(config["in_channels"] != (config.get("out_channels") or config["in_channels"]))


def _is_kontext(checkpoint: Checkpoint) -> bool:
    return reference_images.takes(checkpoint) == "kontext"


def _reads_picture(recipe: Recipe) -> bool:
    return any(reference.mechanism == "kontext" for reference in recipe.references)


def _check_pictures(recipe: Recipe, checkpoint: Checkpoint) -> None:
    if _is_kontext(checkpoint) and recipe.start:
        raise RecipeError(
            f"{checkpoint.name} reads pictures as references, not as start images; give it as reference, or pick a"
            " FLUX.1-dev or -Fill checkpoint for start and mask"
        )
    if not _is_fill(checkpoint):
        return
    if recipe.mode != "inpaint":
        raise RecipeError(f"{checkpoint.name} fills masks; give start and mask, or pick another checkpoint")
    if recipe.negative is not None or recipe.true_guidance != 1 or recipe.guidance_interval != (0.0, 1.0):
        raise RecipeError(
            f"{checkpoint.name} has no classifier-free guidance; leave negative, true_guidance and guidance_interval"
            " out and say it positively in the prompt"
        )


def _check_guidance(recipe: Recipe, checkpoint: Checkpoint) -> None:
    if not _distilled_guidance(checkpoint) and recipe.guidance:
        raise RecipeError(f"guidance {recipe.guidance:g}: {checkpoint.name} has no guidance input; leave it out (0)")
    if recipe.negative is not None and recipe.true_guidance == 1:
        raise RecipeError(
            "a negative prompt does nothing on guidance-distilled FLUX; say it positively in the prompt, "
            "or give true_guidance above 1 (twice the time)"
        )
    if recipe.negative is None and recipe.true_guidance > 1:
        raise RecipeError(
            f"true_guidance {recipe.true_guidance:g} needs a negative prompt to guide away from: give one ('' is one)"
        )
    if recipe.true_guidance == 1 and recipe.guidance_interval != (0.0, 1.0):
        raise RecipeError(
            "guidance_interval limits classifier-free guidance; on FLUX give true_guidance above 1 with it"
        )
