"""The same pictures by diffusers alone, one by one: what the engine's must equal. Knows nothing about merging.

Prompts go in as text and every argument is written out here, so that nothing of the package but the scheduler is used.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import diffusers
import torch
from PIL import Image
from tiny import SIZE

from pipelines import solvers
from pipelines.families.base import Images
from pipelines.recipe import Recipe

START = Image.linear_gradient("L").resize((SIZE, SIZE)).convert("RGB")
MASK = Image.radial_gradient("L").resize((SIZE, SIZE)).point(lambda level: 255 * (level > 90))
SUFFIX = {"text-to-image": "", "img2img": "Img2Img", "inpaint": "Inpaint"}


def images(recipe: Recipe) -> Images:
    """The pictures that every recipe of these tests names."""
    return Images(START if recipe.start else None, MASK if recipe.mask else None)


@cache
def pipeline(folder: Path, family: str) -> Any:
    """The checkpoint as diffusers opens it."""
    cls = diffusers.StableDiffusionXLPipeline if family == "sdxl" else diffusers.FluxPipeline
    return cls.from_pretrained(folder, local_files_only=True)


def picture(
    folder: Path, recipe: Recipe, *, output: str = "latent", callback: Callable[..., Any] | None = None
) -> torch.Tensor:
    """Latents as the stock pipeline leaves them, or (output "pt") pixels (1, 3, height, width) in 0..1."""
    family = recipe.checkpoint.family
    parts = pipeline(folder, family).components
    generator = torch.Generator("cpu").manual_seed(recipe.seed)
    parts["scheduler"] = solvers.build(
        recipe.scheduler,
        parts["scheduler"],
        family=family,
        spacing=recipe.spacing,
        seed=recipe.seed,
        generator=generator,
    )
    name = "StableDiffusionXL" if family == "sdxl" else "Flux"
    pipe = getattr(diffusers, f"{name}{SUFFIX[recipe.mode]}Pipeline")(**parts)
    pipe.set_progress_bar_config(disable=True)
    arguments: dict[str, Any] = {"num_inference_steps": recipe.steps, "guidance_scale": recipe.guidance}
    if family == "flux":
        arguments["true_cfg_scale"] = recipe.true_guidance
    else:
        arguments["clip_skip"] = recipe.clip_skip or None
    if recipe.start:
        arguments |= {"image": START, "strength": recipe.start.strength}
    if recipe.mask:
        arguments["mask_image"] = MASK
    if family == "flux" or recipe.mode != "img2img":
        arguments |= {"width": recipe.width, "height": recipe.height}
    if callback:
        arguments |= {"callback_on_step_end": callback, "callback_on_step_end_tensor_inputs": list(WINDOW)}
    words = {"prompt": recipe.prompt, "negative_prompt": recipe.negative}
    return torch.as_tensor(pipe(**words, **arguments, generator=generator, output_type=output).images)


WINDOW = ("latents", "prompt_embeds", "add_text_embeds", "add_time_ids")


def window_until(steps: int) -> Callable[..., Any]:
    """diffusers' own way to a guidance window on SDXL: after so many steps the callback takes guidance away."""

    def callback(pipe: Any, index: int, _: Any, values: dict[str, Any]) -> dict[str, Any]:
        if index + 1 == steps:
            pipe._guidance_scale = 1.0
            values |= {name: values[name].chunk(2)[-1] for name in WINDOW[1:]}
        return values

    return callback
