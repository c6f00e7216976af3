"""SwarmUI: one JSON object with lower-case names. Knows nothing about the ComfyUI graphs it runs."""

import re
from collections.abc import Mapping
from typing import Any

from pipelines.foreign.a1111 import without_tags
from pipelines.foreign.ledger import Ledger, number
from pipelines.foreign.said import OTHER_VAE, ForeignLora, ForeignPass, Model, Told, Unmapped

_NOTHING = "says nothing about the pixels"
_REASONS = {
    "swarm_version": _NOTHING, "images": _NOTHING, "aspectratio": "the size says it", "sidelength": "the size says it",
    "automaticvae": "the checkpoint's own VAE is used",
    "vae": OTHER_VAE,
    "variationseed": "mixes a second noise into the seed's: the picture will differ",
    "variationseedstrength": "mixes a second noise into the seed's: the picture will differ",
    "initimage": "the image it began from is not in the file: give it with --start",
    "maskimage": "a mask was repainted; it is not in the file: give it with --mask",
}  # fmt: skip
_TAG = re.compile(r"<(?:segment|object|region|refiner|video|clear|base|extend)\b[^<>]{0,200}>", re.IGNORECASE)


def read(values: Mapping[str, Any]) -> Told:
    """What `sui_image_params` says, with the hashes of `sui_models`; numbers may be written as texts."""
    inside = values.get("sui_image_params")
    said = Ledger(inside.items() if isinstance(inside, dict) else ())
    version = said.text("swarm_version")
    unmapped: list[Unmapped] = []
    prompt, tags = without_tags(said.text("prompt"), unmapped)
    if parts := _TAG.split(prompt, maxsplit=1)[1:]:
        unmapped.append(Unmapped.of("prompt", parts[0], "the part behind a tag acts on a region or a later pass"))
        prompt = _TAG.split(prompt, maxsplit=1)[0].strip()
    layer = said.whole("clipstopatlayer", low=-24, high=-1)
    model = said.text("model")
    begins = "initimagecreativity" in said or "initimage" in said
    is_zero = str(said.take("zeronegative")).casefold() == "true"
    negative = said.text("negativeprompt")
    base = ForeignPass.read(
        {
            "model": Model(name=model, hash=_hash(values, "model")) if model else None,
            "prompt": prompt,
            "negative": None if is_zero and not negative else negative,
            "seed": said.whole("seed"),
            "width": said.whole("width", low=1, high=10**6),
            "height": said.whole("height", low=1, high=10**6),
            "steps": said.whole("steps", low=1, high=1000),
            "cfg": said.number("cfgscale", low=0, high=100),
            "distilled": said.number("fluxguidancescale", low=0, high=100),
            "sampler": said.text("sampler", "comfyuisampler"),
            "schedule": said.text("scheduler", "comfyuischeduler") or None,
            "spelling": "comfyui",
            "denoise": said.number("initimagecreativity", low=0, high=1),
            "begins_from": "(init image)" if begins else "",
            "clip_skip": -2 - layer if layer is not None and layer < -2 else None,
            "loras": tags or _loras(said),
        }
    )
    passes = (base, *_refiner(said, base))
    hints = (f"model {model}",) if model else ()
    extra = values.get("sui_extra_data")
    if isinstance(extra, dict):
        unmapped += [Unmapped.of(f"extra {name}", value, _NOTHING) for name, value in extra.items()]
    unmapped += said.close(lambda name: _REASONS.get(name, "Sidelight has no such setting"))
    return Told("SwarmUI", version, passes, base, hints, tuple(unmapped), ())


def _hash(values: Mapping[str, Any], role: str) -> str:
    models = values.get("sui_models")
    for each in models if isinstance(models, list) else []:
        if isinstance(each, dict) and each.get("param") == role and isinstance(each.get("hash"), str):
            return str(each["hash"])
    return ""


def _loras(said: Ledger) -> tuple[ForeignLora, ...]:
    names, weights = _list(said.take("loras")), _list(said.take("loraweights"))
    loras = []
    for at, name in enumerate(names):
        weight = number(weights[at], -100, 100) if at < len(weights) else 1.0
        if weight is None:
            said.unmapped.append(Unmapped.of(f"lora {name}", weights[at], "is no weight"))
        else:
            loras.append(ForeignLora(name=name, weight=weight))
    return tuple(loras)


def _list(value: Any) -> list[str]:
    """Lists are lists, or texts with commas."""
    if isinstance(value, str):
        value = value.split(",")
    return [str(each).strip() for each in value if str(each).strip()] if isinstance(value, list) else []


def _refiner(said: Ledger, base: ForeignPass) -> tuple[ForeignPass, ...]:
    share = said.number("refinercontrolpercentage", "refinercontrol", low=0, high=1)
    method, model = said.text("refinermethod"), said.text("refinermodel")
    scale = said.number("refinerupscale", low=0.1, high=16)
    steps, cfg = said.whole("refinersteps", low=1, high=1000), said.number("refinercfgscale", low=0, high=100)
    if share is None and not method and not model and scale is None:
        return ()
    if method:
        said.unmapped.append(Unmapped.of("refinermethod", method, "belongs to the second pass"))
    is_named = model and model != "(Use Base)"
    size = (
        {"width": int(base.width * scale), "height": int(base.height * scale)}
        if scale and base.width and base.height
        else {}
    )
    changes = {"steps": steps or base.steps, "cfg": base.cfg if cfg is None else cfg, "denoise": share}
    changed_model = Model(name=model) if is_named else base.model
    return (base.but(role="refiner", model=changed_model, begins_from="", **size, **changes),)
