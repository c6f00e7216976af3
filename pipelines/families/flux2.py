"""FLUX.2 klein: Qwen3 words, a flow-matching transformer over the autoencoder's patches. Knows nothing about FLUX.1.

`guidance` is classifier-free guidance, two calls a step, on the base checkpoints; the distilled ones have none.
"""

from collections.abc import Mapping
from typing import Any

from pipelines import attention, reference_images
from pipelines.checkpoint import Checkpoint
from pipelines.errors import RecipeError
from pipelines.families.base import Images, Parts, assembled, check_common, warn_trained
from pipelines.listing import Defaults
from pipelines.recipe import FamilyName, Recipe

INPAINT_PIXELS = 1024 * 1024  # above this many the stock inpainting pipeline scales the picture down


class Flux2:
    """FLUX.2 klein, distilled or base (told apart by the flag `is_distilled` of its pipeline)."""

    name: FamilyName = "flux2"
    denoiser = "transformer"
    lane_width = 1
    encoders = ("text_encoder", "tokenizer")

    def defaults(self, checkpoint: Checkpoint) -> Defaults:
        """1024 px; 4 steps (distilled) or 50 at guidance 4 (base), as github.com/black-forest-labs/flux2 says."""
        if _is_distilled(checkpoint):
            return Defaults(width=1024, height=1024, steps=4, guidance=1.0)
        return Defaults(width=1024, height=1024, steps=50, guidance=4.0)

    def check(self, recipe: Recipe, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Warnings; raises RecipeError."""
        if recipe.mode == "img2img":
            raise RecipeError("diffusers has no img2img for FLUX.2; give a mask too (an all white one repaints all)")
        check_common(self, recipe, grid=2 * checkpoint.latent_factor)
        if recipe.mode == "inpaint" and recipe.width * recipe.height > INPAINT_PIXELS:
            raise RecipeError(
                f"inpainting {recipe.width}x{recipe.height} is more than {INPAINT_PIXELS} pixels, above which FLUX.2's"
                " pipeline would scale the picture down; give a smaller one"
            )
        if recipe.clip_skip:
            raise RecipeError(f"clip_skip {recipe.clip_skip}: FLUX.2 has no CLIP encoder; leave it out")
        if recipe.true_guidance != 1:
            raise RecipeError(
                f"true_guidance {recipe.true_guidance:g} is FLUX.1's name; on FLUX.2 classifier-free guidance is"
                " `guidance`"
            )
        _check_guidance(recipe, checkpoint)
        return (
            *attention.check(recipe, checkpoint),
            *reference_images.check(recipe, checkpoint),
            *warn_trained(self, recipe, checkpoint),
        )

    def rows(self, recipe: Recipe) -> int:
        """Always 1: guidance makes two calls a step."""
        return 1

    def calls(self, recipe: Recipe) -> int:
        """2 with guidance, 1 without."""
        return 2 if recipe.guidance > 1 else 1

    def words(self, recipe: Recipe) -> tuple[Any, ...]:
        """Both texts and the padding length."""
        return recipe.prompt, recipe.negative, recipe.text_tokens

    def encode(self, parts: Parts, recipe: Recipe, checkpoint: Checkpoint) -> Mapping[str, Any]:
        """Prompt, and for a base checkpoint the negative ("" where none is given), as (1, tokens, width) tensors."""
        from diffusers import Flux2KleinPipeline

        pipe = assembled(Flux2KleinPipeline, {**parts, "transformer": None, "vae": None})

        def words(text: str) -> Any:
            device, tokens = parts["text_encoder"].device, recipe.text_tokens or attention.TOKENS
            return pipe.encode_prompt(text, device=device, max_sequence_length=tokens)[0]

        given = {"prompt_embeds": words(recipe.prompt)}
        if not _is_distilled(checkpoint):
            given["negative_prompt_embeds"] = words(recipe.negative or "")
        return given

    def pipeline(self, parts: Parts, recipe: Recipe) -> Any:
        """The stock pipeline of the recipe's mode."""
        import diffusers

        cls: Any = diffusers.Flux2KleinInpaintPipeline if recipe.mask else diffusers.Flux2KleinPipeline
        return assembled(cls, {**parts, **dict.fromkeys(self.encoders)})

    def arguments(self, recipe: Recipe, images: Images) -> Mapping[str, Any]:
        """Guidance always: the stock defaults differ between the modes."""
        given: dict[str, Any] = {
            "guidance_scale": recipe.guidance,
            "num_inference_steps": recipe.steps,
            "width": recipe.width,
            "height": recipe.height,
        }
        if recipe.start:
            given |= {"image": images.start, "strength": recipe.start.strength, "mask_image": images.mask}
            if images.references:
                given["image_reference"] = images.references[0]
        elif images.references:
            given["image"] = list(images.references)
        return given

    def latents(self, packed: Any, recipe: Recipe, checkpoint: Checkpoint) -> Any:
        """(1, h * w, c) of a step -> (1, c, h, w), a patch a position; what the pipeline ends with is unpacked."""
        if packed.ndim == 4:
            return packed
        rows, columns = (side // checkpoint.latent_factor // 2 for side in (recipe.height, recipe.width))
        return packed.permute(0, 2, 1).reshape(len(packed), -1, rows, columns)


def _is_distilled(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.index.get("is_distilled"))


def _check_guidance(recipe: Recipe, checkpoint: Checkpoint) -> None:
    if _is_distilled(checkpoint) and recipe.guidance != 1:
        raise RecipeError(
            f"guidance {recipe.guidance:g}: {checkpoint.name} is step-distilled and ignores it; leave it out (1), or"
            " pick a base checkpoint"
        )
    if recipe.negative is not None and recipe.guidance <= 1:
        raise RecipeError(
            f"a negative prompt does nothing on {checkpoint.name} at guidance {recipe.guidance:g}; say it positively"
            " in the prompt"
        )
    if recipe.negative == "":
        raise RecipeError("negative '' is what FLUX.2 is guided away from anyway; leave it out")
    if recipe.guidance <= 1 and recipe.guidance_interval != (0.0, 1.0):
        raise RecipeError(f"guidance {recipe.guidance:g} is off, so guidance_interval limits nothing; leave it out")
