"""A pass of another tool as fields of a Draft, for one family. Knows nothing about files or formats."""

import re
from collections.abc import Callable

from pipelines import schedulers
from pipelines.errors import RecipeError
from pipelines.foreign.said import ForeignLora, ForeignPass, Unmapped, Values
from pipelines.recipe import FamilyName, SchedulerChoice, Spacing

SIDES = (16, 16384)
_INVOKE = {
    "euler_a": "euler-ancestral", "kdpm_2": "dpm2", "kdpm_2_a": "dpm2-ancestral", "dpmpp_3m": "dpmpp-2m:solver_order=3",
    "dpmpp_3m_k": "dpmpp-2m-karras:solver_order=3",
}  # fmt: skip
"""InvokeAI's names that differ from ComfyUI's in meaning or spelling; _k at the end is karras."""
_MOST_WEIGHT = 4


def mapped(
    read: ForeignPass, family: FamilyName | None, *, lora_name: Callable[[str], str]
) -> tuple[Values, tuple[Unmapped, ...]]:
    """The fields that this pass gives a Draft of a checkpoint of that family, and what found no place in it.

    `lora_name` gives the name in models.txt of a LoRA as the tool names it. Without a family guidance, negative and
    scheduler stay open, as they mean another thing on each.
    """
    unmapped: list[Unmapped] = []
    values = Values(
        prompt=read.prompt,
        seed=read.seed,
        steps=read.steps,
        loras=_loras(read.loras, lora_name, unmapped),
        **_size(read, unmapped),
    )
    if family is None:
        open_fields = {
            "guidance": read.cfg,
            "distilled guidance": read.distilled,
            "guidance interval": read.guidance_interval,
            "negative": read.negative or None,
            "sampler": read.sampler or None,
            "clip skip": read.clip_skip,
        }
        unmapped += [
            Unmapped.of(name, value, "its meaning depends on the checkpoint's family, which is not known: --checkpoint")
            for name, value in open_fields.items()
            if value is not None
        ]
    else:
        values = values.but(**_guided(read, family, unmapped), **_scheduled(read, family, unmapped))
        if family == "sdxl":
            values = values.but(clip_skip=read.clip_skip or None)
        elif read.clip_skip:
            unmapped.append(Unmapped.of("clip skip", read.clip_skip, "does nothing outside SDXL"))
    return values, (*unmapped, *_beginning(read), *_embeddings(read))


def text_of(choice: SchedulerChoice) -> str:
    """A scheduler as `--scheduler` takes it: name:option=value."""
    return ":".join([choice.name, *(f"{name}={value}" for name, value in choice.options)])


def lora_text(loras: list[tuple[str, float]]) -> str:
    """LoRAs as `--loras` takes them: name:0.8+other:0.5."""
    return "+".join(f"{name}:{plain(weight)}" for name, weight in loras) or "none"


def plain(value: float) -> str:
    """A number as short as it can be written exactly."""
    return repr(value).removesuffix(".0")


def _size(read: ForeignPass, unmapped: list[Unmapped]) -> dict[str, int]:
    given = {name: value for name in ("width", "height") if (value := getattr(read, name)) is not None}
    if all(SIDES[0] <= value <= SIDES[1] for value in given.values()):
        return given
    unmapped.append(Unmapped.of("size", "x".join(map(str, given.values())), f"sides are {SIDES[0]} to {SIDES[1]} here"))
    return {}


def _guided(read: ForeignPass, family: FamilyName, unmapped: list[Unmapped]) -> dict[str, object]:
    """Guidance and negative: classifier-free on SDXL; on FLUX the network's input, and true guidance beside it."""
    cfg, distilled = read.cfg, read.distilled
    interval = read.guidance_interval
    if family == "flux" and distilled is None and read.spelling != "comfyui":
        cfg, distilled = None, cfg  # texts of one guidance mean the distilled one on FLUX
    if family != "flux":
        if family == "sdxl" and distilled is not None:
            unmapped.append(Unmapped.of("distilled guidance", plain(distilled), "SDXL has no such input"))
        guidance = distilled if family == "flux2" and distilled is not None else cfg
        is_heard = family == "sdxl" or (guidance or 0) > 1
        return {
            "guidance": guidance,
            "negative": _heard(read.negative, is_heard, unmapped),
            "guidance_interval": interval if family == "sdxl" and (guidance or 0) > 1 else None,
        }
    is_guided = (cfg or 0) > 1
    if interval and not is_guided:
        unmapped.append(Unmapped.of("guidance interval", interval, "limits classifier-free guidance, which is off"))
    if cfg is not None and cfg < 1:
        unmapped.append(Unmapped.of("cfg", plain(cfg), "true guidance is 1 (off) or more on FLUX"))
    return {
        "guidance": distilled,
        "true_guidance": cfg if is_guided else None,
        "negative": read.negative or "" if is_guided else _heard(read.negative, False, unmapped),
        "guidance_interval": interval if is_guided else None,
    }


def _heard(negative: str | None, is_heard: bool, unmapped: list[Unmapped]) -> str | None:
    if negative and not is_heard:
        unmapped.append(
            Unmapped.of("negative", negative, "does nothing without classifier-free guidance, as was there")
        )
    return negative if is_heard else None


def _scheduled(read: ForeignPass, family: FamilyName, unmapped: list[Unmapped]) -> dict[str, object]:
    said = " / ".join(filter(None, (read.sampler, read.schedule)))
    if not said:
        return {}
    if not read.sampler or read.sampler.casefold() in ("undefined", "default"):
        unmapped.append(Unmapped.of("sampler", said, "names no sampler; the checkpoint's own is used"))
        return {}
    try:
        choice, spacing = _paired(read, family)
        schedulers.check(choice, family=family, mode="text-to-image", spacing=spacing, steps=read.steps or 1)
    except RecipeError as error:
        unmapped.append(Unmapped.of("sampler", said, f"{error}; left to the checkpoint"))
        return {}
    return {"scheduler": text_of(choice), "spacing": spacing}


def _paired(read: ForeignPass, family: FamilyName) -> tuple[SchedulerChoice, Spacing | None]:
    if read.spelling == "comfyui":
        return schedulers.from_comfy(read.sampler, read.schedule or "", family=family)
    if read.spelling == "a1111":
        return schedulers.from_a1111(read.sampler, read.schedule, family=family)
    if read.sampler in _INVOKE:
        return schedulers.named(_INVOKE[read.sampler]), read.spacing
    karras = "_k" if read.sampler.endswith("_k") else ""
    name, schedule = read.sampler.removesuffix(karras), "karras" if karras else read.schedule
    return schedulers.from_a1111(name, schedule, family=family)[0], read.spacing


def _loras(loras: tuple[ForeignLora, ...], lora_name: Callable[[str], str], unmapped: list[Unmapped]) -> str | None:
    fitting: list[tuple[str, float]] = []
    for lora in loras:
        name, weight = lora_name(lora.name), plain(lora.weight)
        if lora.text_weight not in (None, lora.weight):
            why = f"its weight on the text encoders; one weight, {weight}, is for all here"
            unmapped.append(Unmapped.of(f"lora {lora.name}", plain(lora.text_weight or 0), why))
        if lora.weight == 0:
            unmapped.append(Unmapped.of(f"lora {lora.name}", weight, "weight 0 does nothing"))
        elif abs(lora.weight) > _MOST_WEIGHT:
            unmapped.append(
                Unmapped.of(f"lora {lora.name}", weight, f"weights are -{_MOST_WEIGHT} to {_MOST_WEIGHT} here")
            )
        elif not name or "+" in name:
            unmapped.append(
                Unmapped.of(f"lora {lora.name}", weight, "a name with + cannot be said in --loras; rename the file")
            )
        elif name in dict(fitting):
            unmapped.append(Unmapped.of(f"lora {lora.name}", weight, "is said twice; the first counts"))
        else:
            fitting.append((name, lora.weight))
    return lora_text(fitting) if fitting else None


def _embeddings(read: ForeignPass) -> list[Unmapped]:
    found = re.findall(r"\bembedding:([\w.-]{1,100})", f"{read.prompt or ''} {read.negative or ''}")
    why = "textual inversions are not loaded here: its name stays in the prompt as words"
    return [Unmapped.of("embedding", name, why) for name in dict.fromkeys(found)]


def _beginning(read: ForeignPass) -> list[Unmapped]:
    """What to give where the picture began from another, which is not in the file."""
    if (read.denoise is None or read.denoise >= 1) and not read.begins_from:
        return []
    share, steps = 1.0 if read.denoise is None else read.denoise, ""
    if read.first_step and read.steps:
        share = 1 - read.first_step / read.steps
    elif read.spelling == "comfyui" and read.steps and read.denoise:  # ComfyUI counts only the steps it walks
        steps = f" --steps {int(read.steps / read.denoise)}"
    strength = plain(round(share, 4))
    why = f"the image it began from is not in the file: give it with --start IMAGE --strength {strength}{steps}"
    return [Unmapped.of("denoising strength", f"{strength} {read.begins_from}".strip(), why)]
