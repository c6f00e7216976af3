"""Our own pictures, whose recipe is whole. Knows nothing about other tools."""

from pathlib import Path

from pipelines.foreign.mapping import lora_text, text_of
from pipelines.foreign.said import Told, Unmapped, Values
from pipelines.metadata import Embedded


def read(path: Path, embedded: Embedded) -> tuple[Told, Values]:
    """The recipe as values of a Draft; start image and mask are taken from the run's `inputs` beside the picture."""
    recipe = embedded.recipe
    unmapped: list[Unmapped] = []
    start = _input(path, recipe.start.image, "start", unmapped) if recipe.start else None
    mask = _input(path, recipe.mask.image, "mask", unmapped) if recipe.mask else None
    if recipe.finish:
        passes = ", ".join(each.name for each in recipe.finish)
        unmapped.append(Unmapped.of("finish", passes, "pixel passes after decoding are no part of a draft"))
    unmapped += [
        Unmapped.of("reference", each.image, "a reference image is no part of a draft") for each in recipe.references
    ]
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
    return Told("Sidelight", "", (), None, (), tuple(unmapped), ()), values


def _input(path: Path, image: str, flag: str, unmapped: list[Unmapped]) -> str | None:
    kept = path.resolve().parent.parent / "inputs" / f"{image}.png"
    if kept.is_file():
        return str(kept)
    unmapped.append(Unmapped.of(flag, image, f"its file is not beside this picture's run: give it with --{flag}"))
    return None
