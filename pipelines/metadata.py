"""The recipe inside a PNG, for us and for other tools, and the caption for people. Knows nothing about folders.

A PNG holds recipe, numerics and lane but no times, so that equal work gives equal bytes.
"""

import json
from pathlib import Path
from typing import Literal

from pipelines.device import Numerics
from pipelines.errors import InputError
from pipelines.frozen import Frozen
from pipelines.images import load
from pipelines.prompts import Light, described
from pipelines.recipe import Recipe

CHUNK = "sidelight"
"""Keyword of our iTXt chunk."""


class Embedded(Frozen):
    """What a picture says about itself: enough to make it again."""

    version: Literal[1] = 1
    recipe: Recipe
    numerics: Numerics
    lane: int

    def text(self) -> str:
        """JSON on one line, in one order: equal values give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, allow_nan=False)


def read(path: Path) -> Embedded | None:
    """What a PNG says about itself; None if it is not one of ours. Raises InputError if it is damaged or no PNG."""
    text = load(path, formats=("PNG",)).info.get(CHUNK)
    if not isinstance(text, str):
        return None
    try:
        return Embedded.read(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: its recipe is no JSON ({str(error)[:80]}): changed after we wrote it") from None
    except InputError as error:
        raise InputError(f"{path}: its recipe cannot be read: {error}") from None


def a1111(recipe: Recipe, *, sampler: str, schedule_type: str = "") -> str:
    """The text that A1111, Forge, Civitai and most viewers read, with their names of sampler and schedule type."""
    tags = "".join(f" <lora:{lora.name or lora.file[:12]}:{_number(lora.weight)}>" for lora in recipe.loras)
    lines = [recipe.prompt + tags]
    if recipe.negative:
        lines.append(f"Negative prompt: {recipe.negative}")
    is_flux = recipe.checkpoint.family == "flux"
    values = {
        "Steps": str(recipe.steps),
        "Sampler": sampler,
        "Schedule type": schedule_type,
        "CFG scale": _number(recipe.true_guidance if is_flux else recipe.guidance),
        "Distilled CFG Scale": _number(recipe.guidance) if is_flux else "",
        "Seed": str(recipe.seed),
        "RNG": "CPU",
        "Size": "{}x{}".format(*recipe.size),
        "Model": recipe.checkpoint.name,
        "Denoising strength": _number(recipe.start.strength) if recipe.start else "",
    }
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in values.items() if value))
    return "\n".join(lines)


def _quoted(value: str) -> str:
    """As A1111 does: JSON if a reader would stumble over it."""
    return json.dumps(value, ensure_ascii=False) if any(sign in value for sign in ',:\n"') else value


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


def caption(recipe: Recipe, light: Light | None = None) -> str:
    """A few lines for a person: checkpoint, values, light, prompt; what is at its neutral value is not mentioned."""
    values = [f"guidance {_number(recipe.guidance)}", f"{recipe.steps} steps", recipe.scheduler.name]
    values += [f"{name} {value}" for name, value in recipe.scheduler.options]
    if recipe.true_guidance != 1:
        values.append(f"true guidance {_number(recipe.true_guidance)}")
    if recipe.guidance_interval != (0.0, 1.0):
        values.append("guidance interval {}..{}".format(*map(_number, recipe.guidance_interval)))
    if recipe.spacing:
        values.append(f"{recipe.spacing} spacing")
    if recipe.clip_skip:
        values.append(f"clip skip {recipe.clip_skip}")
    if recipe.start:
        values.append(f"{recipe.mode} strength {_number(recipe.start.strength)}")
    values += [f"LoRA {lora.name or lora.file[:10]} {_number(lora.weight)}" for lora in recipe.loras]
    name = recipe.checkpoint.name or recipe.checkpoint.digest[:10]
    lines = [
        f"{name} ({recipe.checkpoint.family}), {recipe.size[0]} x {recipe.size[1]}, seed {recipe.seed}",
        ", ".join(values),
        *(["", f"light: {described(light)}"] if light else []),
        "",
        recipe.prompt,
    ]
    if recipe.negative is not None:
        lines += ["", f"without: {recipe.negative or '(empty text)'}"]
    return "\n".join([*lines, "", f"key {recipe.key}", ""])
