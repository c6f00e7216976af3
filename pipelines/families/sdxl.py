"""SDXL: two CLIP encoders, a UNet, classifier-free guidance as two rows of one call. Knows nothing about FLUX."""

from collections.abc import Mapping
from typing import Any

from pipelines import attention, reference_images
from pipelines.checkpoint import Checkpoint
from pipelines.errors import RecipeError
from pipelines.families.base import Images, Parts, assembled, check_common, warn_trained
from pipelines.listing import Defaults
from pipelines.recipe import FamilyName, Recipe

TOKENS = 77  # what both CLIP encoders read


class Sdxl:
    """Stable Diffusion XL, also as an inpainting checkpoint (9 input channels)."""

    name: FamilyName = "sdxl"
    denoiser = "unet"
    lane_width = 2
    encoders = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")

    def defaults(self, checkpoint: Checkpoint) -> Defaults:
        """The checkpoint's own size; 30 steps of Euler at guidance 5, diffusers' own default."""
        side = int(checkpoint.config("unet")["sample_size"]) * checkpoint.latent_factor
        return Defaults(width=side, height=side, steps=30, guidance=5.0)

    def check(self, recipe: Recipe, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Warnings; raises RecipeError."""
        check_common(self, recipe, grid=max(8, checkpoint.latent_factor))
        if recipe.true_guidance != 1:
            raise RecipeError(
                f"true_guidance {recipe.true_guidance:g} is FLUX's name; on SDXL classifier-free guidance is `guidance`"
            )
        if recipe.text_tokens not in (0, TOKENS):
            raise RecipeError(f"text_tokens {recipe.text_tokens}: SDXL's encoders read {TOKENS}; leave it out")
        if recipe.guidance <= 1 and recipe.guidance_interval != (0.0, 1.0):
            raise RecipeError(
                f"guidance {recipe.guidance:g} is off, so guidance_interval has nothing to limit; leave it out"
            )
        layers = int(checkpoint.config("text_encoder")["num_hidden_layers"])
        if recipe.clip_skip > layers - 1:
            raise RecipeError(
                f"clip_skip {recipe.clip_skip} is more than {layers - 1}, the layers this text encoder can spare"
            )
        channels = checkpoint.config("unet")["in_channels"]
        if channels == 9 and recipe.mode != "inpaint":
            raise RecipeError(
                f"{checkpoint.name} is an inpainting checkpoint; give start and mask, or pick another one"
            )
        return (
            *attention.check(recipe, checkpoint),
            *reference_images.check(recipe, checkpoint),
            *warn_trained(self, recipe, checkpoint),
        )

    def rows(self, recipe: Recipe) -> int:
        """2 with guidance (unconditional and conditional), 1 without."""
        return 2 if recipe.guidance > 1 else 1

    def calls(self, recipe: Recipe) -> int:
        """Always 1: guidance makes two rows."""
        return 1

    def words(self, recipe: Recipe) -> tuple[Any, ...]:
        """Both texts and clip_skip; the negative only where guidance reads it, as a long one lengthens the prompt."""
        return recipe.prompt, _negative(recipe), recipe.clip_skip

    def encode(self, parts: Parts, recipe: Recipe, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """Prompt and negative as (1, 77 * chunks, width) and pooled (1, width) tensors."""
        from diffusers import StableDiffusionXLPipeline

        from pipelines import encoding

        pipe = assembled(StableDiffusionXLPipeline, {**parts, "unet": None, "vae": None, "add_watermarker": False})
        return encoding.encode(pipe, recipe.prompt, _negative(recipe), clip_skip=recipe.clip_skip)

    def pipeline(self, parts: Parts, recipe: Recipe) -> Any:
        """The stock pipeline of the recipe's mode."""
        import diffusers

        cls: Any = {
            "text-to-image": diffusers.StableDiffusionXLPipeline,
            "img2img": diffusers.StableDiffusionXLImg2ImgPipeline,
            "inpaint": diffusers.StableDiffusionXLInpaintPipeline,
        }[recipe.mode]
        return assembled(cls, {**parts, **dict.fromkeys(self.encoders), "add_watermarker": False})

    def arguments(self, recipe: Recipe, images: Images) -> Mapping[str, Any]:
        """Guidance, steps, and sizes or images; img2img takes its size from the image."""
        given: dict[str, Any] = {"guidance_scale": recipe.guidance, "num_inference_steps": recipe.steps}
        if recipe.mode != "img2img":
            given |= {"width": recipe.width, "height": recipe.height}
        if recipe.start:
            given |= {"image": images.start, "strength": recipe.start.strength}
        if recipe.mask:
            given["mask_image"] = images.mask
        return given

    def latents(self, packed: Any, recipe: Recipe, checkpoint: Checkpoint) -> Any:
        """SDXL carries its latents as they are."""
        return packed


def _negative(recipe: Recipe) -> str | None:
    return recipe.negative if recipe.guidance > 1 else None
