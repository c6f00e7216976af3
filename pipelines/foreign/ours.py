"""Our own pictures, whose recipe is whole. Knows nothing about other tools.

A repair's recipe holds the crop, a draft the context around the mask: the one that gives this very crop is looked for.
"""

import itertools
from pathlib import Path
from typing import Any

from pipelines.draft import CROP_GRID
from pipelines.foreign.mapping import lora_text, text_of
from pipelines.foreign.said import Told, Unmapped, Values
from pipelines.framing import crop_around
from pipelines.metadata import Embedded
from pipelines.raster import box_of, open_raster
from pipelines.recipe import Recipe

CONTEXTS = tuple(hundredth / 100 for hundredth in (35, *range(401)))
"""What people write, the usual one first."""


def read(path: Path, embedded: Embedded) -> tuple[Told, Values]:
    """The recipe as values of a Draft; start image and mask are taken from the run's `inputs` beside the picture."""
    recipe = embedded.recipe
    unmapped: list[Unmapped] = []
    start = _input(path, recipe.start.image, "start", unmapped) if recipe.start else None
    mask = _input(path, recipe.mask.image, "mask", unmapped) if recipe.mask else None
    if recipe.finish:
        passes = ", ".join(each.name for each in recipe.finish)
        unmapped.append(Unmapped.of("finish", passes, "pixel passes after decoding are no part of a draft"))
    values = Values(
        **recipe.model_dump(
            include={
                "prompt", "negative", "seed", "width", "height", "steps", "guidance", "true_guidance",
                "guidance_interval", "spacing", "clip_skip", "text_tokens", "variation",
            }
        ),
        scheduler=text_of(recipe.scheduler),
        start=start,
        strength=recipe.start.strength if recipe.start and start else None,
        mask=mask if start else None,
        loras=lora_text([(lora.name or lora.file, lora.weight) for lora in recipe.loras]),
    )  # fmt: skip
    values = values.but(**_referred(path, recipe, unmapped), **_framed(recipe, values, unmapped))
    return Told("Sidelight", "", (), None, (), tuple(unmapped), ()), values


def _referred(path: Path, recipe: Recipe, unmapped: list[Unmapped]) -> dict[str, Any]:
    """The reference of role skin; a draft has room for one."""
    if not recipe.references:
        return {}
    first, *others = recipe.references
    unmapped += [Unmapped.of("reference", each.image, "a draft names one; the first counts") for each in others]
    image = _input(path, first.image, "reference", unmapped)
    return {"reference": image, "reference_weight": first.weight, "reference_by": first.mechanism} if image else {}


def _framed(recipe: Recipe, values: Values, unmapped: list[Unmapped]) -> dict[str, Any]:
    """The context and working size that give a repair's very crop; without them start and mask mean nothing."""
    if recipe.crop is None:
        return {}
    of = recipe.crop.of_width, recipe.crop.of_height
    if values.start and values.mask and (box := box_of(open_raster(Path(values.mask)))):
        for (width, height), context in itertools.product(_sizes(recipe), CONTEXTS):
            found = crop_around(box, of, context=context, pixels=width * height, grid=CROP_GRID)
            if found == (recipe.crop, (recipe.width, recipe.height)):
                return {"context": context, "width": width, "height": height}
        unmapped.append(Unmapped.of("crop", "x".join(map(str, of)), "no context gives this crop: repair it anew"))
    return dict.fromkeys(("start", "strength", "mask", "width", "height"))


def _sizes(recipe: Recipe) -> list[tuple[int, int]]:
    """Areas that people work at: the recipe's own, and squares that checkpoints were trained on."""
    return [(recipe.width, recipe.height), *((side, side) for side in (1024, 512, 256, 768, 1280, 1536))]


def _input(path: Path, image: str, flag: str, unmapped: list[Unmapped]) -> str | None:
    kept = path.resolve().parent.parent / "inputs" / f"{image}.png"
    if kept.is_file():
        return str(kept)
    unmapped.append(Unmapped.of(flag, image, f"its file is not beside this picture's run: give it with --{flag}"))
    return None
