"""The same pictures by diffusers alone, one by one: what the engine's must equal. Knows nothing about merging.

Prompts go in as text and every argument is written out here, so that nothing of the package but the scheduler is used.
"""

from collections.abc import Callable, Sequence
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
def pipeline(folder: Path) -> Any:
    """The checkpoint as diffusers opens it."""
    return diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)


def class_of(opened: Any, recipe: Recipe) -> Any:
    """The pipeline class for the recipe's mode; FLUX.1-Fill and -Kontext have one each."""
    if isinstance(opened, diffusers.FluxFillPipeline | diffusers.FluxKontextPipeline):
        return type(opened)
    name = {"sdxl": "StableDiffusionXL", "flux": "Flux", "flux2": "Flux2Klein"}[recipe.checkpoint.family]
    return getattr(diffusers, f"{name}{SUFFIX[recipe.mode]}Pipeline")


def picture(
    folder: Path,
    recipe: Recipe,
    *,
    output: str = "latent",
    callback: Callable[..., Any] | None = None,
    files: Sequence[Path] = (),
    load: Callable[[Any], dict[str, Any]] | None = None,
) -> torch.Tensor:
    """Latents as the stock pipeline leaves them, or (output "pt") pixels (1, 3, height, width) in 0..1.

    `files` are those of the recipe's LoRAs, in its order; `load` changes the pipeline and gives more arguments.
    """
    family, opened = recipe.checkpoint.family, pipeline.__wrapped__(folder) if files or load else pipeline(folder)
    parts, cls = opened.components, class_of(opened, recipe)
    generator = torch.Generator("cpu").manual_seed(recipe.seed)
    parts["scheduler"] = solvers.build(
        recipe.scheduler,
        parts["scheduler"],
        family=family,
        spacing=recipe.spacing,
        seed=recipe.seed,
        generator=generator,
    )
    pipe = cls(**parts, **({"is_distilled": opened.config.is_distilled} if family == "flux2" else {}))
    pipe.set_progress_bar_config(disable=True)
    for lora, file in zip(recipe.loras, files, strict=True):
        pipe.load_lora_weights(file, adapter_name=lora.name)
    if files:
        pipe.set_adapters([lora.name for lora in recipe.loras], [lora.weight for lora in recipe.loras])
    loaded = load(pipe) if load else {}
    words: dict[str, Any] = {"prompt": recipe.prompt, "negative_prompt": recipe.negative}
    arguments: dict[str, Any] = {"num_inference_steps": recipe.steps, "guidance_scale": recipe.guidance}
    if family == "sdxl":
        arguments["clip_skip"] = recipe.clip_skip or None
    elif family == "flux2" or cls is diffusers.FluxFillPipeline:
        words = {"prompt": recipe.prompt}
        if recipe.negative:
            words["negative_prompt_embeds"] = pipe.encode_prompt(recipe.negative)[0]
    else:
        arguments["true_cfg_scale"] = recipe.true_guidance
    if cls is diffusers.FluxKontextPipeline:
        arguments["max_area"] = recipe.width * recipe.height
    if recipe.start:
        arguments |= {"image": START, "strength": recipe.start.strength}
    if recipe.mask:
        arguments["mask_image"] = MASK
    if family != "sdxl" or recipe.mode != "img2img":
        arguments |= {"width": recipe.width, "height": recipe.height}
    if callback:
        arguments |= {"callback_on_step_end": callback, "callback_on_step_end_tensor_inputs": list(WINDOW)}
    words |= loaded
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
