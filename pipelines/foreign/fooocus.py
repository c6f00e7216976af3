"""Fooocus' own JSON scheme (its other one is A1111's text). Knows nothing about its styles.

Names are those of its modules/meta_parser.py; all its checkpoints are SDXL, run by ComfyUI's samplers.
"""

import re
from collections.abc import Mapping
from typing import Any

from pipelines.foreign.a1111 import size
from pipelines.foreign.ledger import Ledger, number
from pipelines.foreign.said import OTHER_VAE, OWN_VAE, ForeignLora, ForeignPass, Model, Told, Unmapped

_NOTHING = "says nothing about the pixels"
_STYLES = "what its styles made of the prompt: say it with --prompt to come nearer to the picture"
_REASONS = {
    "full_prompt": _STYLES, "full_negative_prompt": _STYLES, "prompt_expansion": _STYLES,
    "styles": "Fooocus adds words of its own for these; see full_prompt",
    "performance": "steps says it, apart from the LoRA that the fast ones add",
    "sharpness": "Fooocus filters while it samples; Sidelight does not",
    "adm_guidance": "Fooocus scales the size SDXL is told; Sidelight does not",
    "adaptive_cfg": "Fooocus lowers guidance where it is high; Sidelight does not",
    "metadata_scheme": _NOTHING, "created_by": _NOTHING, "image_number": _NOTHING,
    "refiner_swap_method": "belongs to the second pass", "overwrite_switch": "belongs to the second pass",
}  # fmt: skip


def read(values: Mapping[str, Any]) -> Told:
    """What the JSON says: `prompt` is the person's text; what the styles made of it is unmapped."""
    said = Ledger(values.items())
    version = said.text("version")
    model = said.text("base_model")
    width, height = _resolution(said)
    layers = said.whole("clip_skip", low=1, high=12)
    if (vae := said.text("vae")).casefold() not in OWN_VAE:
        said.unmapped.append(Unmapped.of("vae", vae, OTHER_VAE))
    base = ForeignPass.read(
        {
            "model": Model(name=model, hash=said.text("base_model_hash")) if model else None,
            "prompt": said.text("prompt"),
            "negative": said.text("negative_prompt"),
            "seed": said.whole("seed"),
            "width": width,
            "height": height,
            "steps": said.whole("steps", low=1, high=1000),
            "cfg": said.number("guidance_scale", low=0, high=100),
            "sampler": said.text("sampler"),
            "schedule": said.text("scheduler") or None,
            "spelling": "comfyui",
            "clip_skip": layers - 2 if layers and layers > 2 else None,  # its 2 is SDXL's normal
            "loras": _loras(said),
        }
    )
    refiner, digest = said.text("refiner_model"), said.text("refiner_model_hash")
    switch = said.number("refiner_switch", low=0, high=1)
    passes = [base]
    if refiner and refiner != "None":
        first = round(base.steps * switch) if base.steps and switch is not None else None
        passes.append(base.but(role="refiner", model=Model(name=refiner, hash=digest), first_step=first, loras=()))
    unmapped = said.close(lambda name: _REASONS.get(name, "Sidelight has no such setting"))
    return Told("Fooocus", version, tuple(passes), base, ("tool Fooocus",), unmapped, ())


def _resolution(said: Ledger) -> tuple[int | None, int | None]:
    """As "(832, 1216)"."""
    text = said.text("resolution")
    found = size(re.sub(r"[()\s']", "", text).replace(",", "x"))
    if text and not found:
        said.unmapped.append(Unmapped.of("resolution", text, "is no size as in (832, 1216)"))
    return found or (None, None)


def _loras(said: Ledger) -> tuple[ForeignLora, ...]:
    """`loras` as [name, weight, hash], or lora_combined_1 as "name : weight" (newer: "True : name : weight")."""
    listed = said.take("loras")
    rows = (
        [each[:2] for each in listed if isinstance(each, list) and len(each) >= 2] if isinstance(listed, list) else []
    )
    for at in range(1, 21):
        parts = said.text(f"lora_combined_{at}").split(" : ")
        if len(parts) == 3 and parts[0] in ("True", "False"):
            parts = parts[1:] if parts[0] == "True" else []
        if len(parts) == 2 and not any(name == parts[0] for name, _ in rows):
            rows.append(parts)
    loras = []
    for name, weight in rows:
        value = number(weight, -100, 100)
        if value is None or not isinstance(name, str):
            said.unmapped.append(Unmapped.of("lora", [name, weight], "is no name with a weight"))
        elif name != "None":
            loras.append(ForeignLora(name=name, weight=value))
    return tuple(loras)
