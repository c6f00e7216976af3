"""InvokeAI 3 and later: one JSON object. Knows nothing about the graphs and workflows that it keeps beside."""

from collections.abc import Mapping
from typing import Any

from pipelines.foreign.ledger import Ledger, number, whole
from pipelines.foreign.said import OTHER_VAE, ForeignLora, ForeignPass, Model, Told, Unmapped

BEFORE_3 = "InvokeAI before 3 made pictures with SD 1 and 2 only, which Sidelight does not open"
_STYLE = "a second text for SDXL's larger encoder; a Recipe has one text for both"
_NOTHING = "says nothing about the pixels"
_REASONS = {
    "app_version": _NOTHING, "created_by": _NOTHING, "canvas_v2_metadata": "the canvas; its images are not in the file",
    "controlnets": "ControlNets steered it; their images are not in the file",
    "ipadapters": "reference images steered it; they are not in the file",
    "ref_images": "reference images steered it; they are not in the file",
    "vae": OTHER_VAE,
    "init_image": "the image it began from is not in the file: give it with --start",
    "t5_encoder": "a part loaded beside the checkpoint", "clip_embed_model": "a part loaded beside the checkpoint",
}  # fmt: skip


def read(values: Mapping[str, Any]) -> Told:
    """What `invokeai_metadata` says; a refiner is a second pass with the same seed and texts."""
    said = Ledger(values.items())
    version, mode = said.text("app_version"), said.text("generation_mode")
    model, base_kind = _model(said.take("model"))
    base = ForeignPass.read(
        {
            "model": model,
            "prompt": said.text("positive_prompt") or None,
            "negative": _negative(said, base_kind),
            "seed": said.whole("seed"),
            "width": said.whole("width", low=1, high=10**6),
            "height": said.whole("height", low=1, high=10**6),
            "steps": said.whole("steps", low=1, high=1000),
            "cfg": said.number("cfg_scale", low=0, high=100),
            "distilled": said.number("guidance", low=0, high=100),
            "sampler": said.text("scheduler"),
            "spelling": "diffusers",
            "denoise": said.number("strength", low=0, high=1) if "txt2img" not in mode else None,
            "begins_from": "" if "txt2img" in mode or not mode else f"({mode})",
            "loras": _loras(said),
        }
    )
    for name in ("positive_style_prompt", "negative_style_prompt"):
        text = said.text(name)
        if text and text != (base.prompt if name.startswith("positive") else base.negative):
            said.unmapped.append(Unmapped.of(name, text, _STYLE))
    noise = said.text("rand_device")
    passes = (base, *_refiner(said, base))
    hints = tuple(filter(None, (f"model {model.name}" if model else "", f"base {base_kind}", f"mode {mode}")))
    neutral = ("cfg_rescale_multiplier", "seamless_x", "seamless_y", "hrf_enabled", "clip_skip")
    for name in neutral:  # as they stand where nothing was changed
        if name in said and (value := said.take(name)) not in (0, False, None):
            said.unmapped.append(Unmapped.of(name, value, "Sidelight has no such setting"))
    return Told(
        "InvokeAI",
        version,
        passes,
        base,
        hints,
        said.close(lambda name: _REASONS.get(name, "Sidelight has no such setting")),
        (_noise(noise),) if noise not in ("", "cpu") else (),
    )


def _noise(device: str) -> str:
    return f"InvokeAI drew its noise on {device}: the seed will not give the same picture here; the settings will hold"


def _model(value: Any) -> tuple[Model | None, str]:
    """Name and hash of a model, and the family InvokeAI files it under; names changed between versions 3 and 4."""
    if not isinstance(value, dict):
        return None, ""
    name = next((text for key in ("name", "model_name") if isinstance(text := value.get(key), str)), "")
    digest, base = value.get("hash"), next((value[key] for key in ("base", "base_model") if key in value), "")
    model = Model(name=name, hash=digest if isinstance(digest, str) else "") if name else None
    return model, base if isinstance(base, str) else ""


def _negative(said: Ledger, base_kind: str) -> str | None:
    """An empty negative is zeros on SDXL there (compel.py, zero_on_empty), as None is here."""
    return said.text("negative_prompt") or (None if base_kind.startswith("sdxl") else "")


def _loras(said: Ledger) -> tuple[ForeignLora, ...]:
    loras = []
    listed = said.take("loras")
    for each in listed if isinstance(listed, list) else []:
        inside = each if isinstance(each, dict) else {}
        model, _ = _model(inside.get("model", inside.get("lora")))
        weight = number(inside.get("weight", 1), -100, 100)
        if model and weight is not None:
            loras.append(ForeignLora(name=model.name, weight=weight))
        else:
            said.unmapped.append(Unmapped.of("lora", each, "is no name with a weight"))
    return tuple(loras)


def _refiner(said: Ledger, base: ForeignPass) -> tuple[ForeignPass, ...]:
    model, _ = _model(said.take("refiner_model"))
    start = said.number("refiner_start", low=0, high=1)
    steps = said.whole("refiner_steps", low=1, high=1000)
    cfg, sampler = said.number("refiner_cfg_scale", low=0, high=100), said.text("refiner_scheduler")
    if model is None:
        return ()
    first = round((steps or base.steps or 0) * start) if start is not None else None
    changes = {
        "steps": steps or base.steps,
        "cfg": base.cfg if cfg is None else cfg,
        "sampler": sampler or base.sampler,
    }
    return (base.but(role="refiner", model=model, first_step=whole(first), loras=(), **changes),)
