"""A1111's text and its dialects: Forge, SD.Next, Civitai, Fooocus' second scheme, ComfyUI packs. Knows no containers.

Facts about what each value means to its tool are from A1111's and Forge's modules/ and SD.Next's processing_info.py.
"""

import re
from typing import Any, get_args

from pipelines.errors import InputError
from pipelines.foreign import infotext
from pipelines.foreign.ledger import Ledger, number, parse, whole
from pipelines.foreign.said import OTHER_VAE, OWN_VAE, ForeignLora, ForeignPass, Model, Told, Unmapped
from pipelines.recipe import Spacing

HIRES = "hires"
NOISE = (
    "{tool} drew its noise on the GPU{why}: the seed will not give the same picture here, where noise is drawn on the"
    " CPU; the settings will hold"
)
_TAG = re.compile(r"<(\w+):([^<>\n]{1,300})>")
_SIZE = re.compile(r"\s*([0-9]{1,5})\s*x\s*([0-9]{1,5})\s*", re.ASCII)
_NOTHING = "says nothing about the pixels"
_REASONS = (
    ("adetailer", "a face repair that ran after the picture"),
    ("detailer", "a face repair that ran after the picture"),
    ("controlnet", "a ControlNet steered it; its image is not in the file"),
    ("ip-adapter", "a reference image steered it; it is not in the file"),
    ("hires", "belongs to the second pass"),
    ("refiner", "belongs to the second pass"),
    ("refine", "belongs to the second pass"),
    ("variation", "mixes a second noise into the seed's: the picture will differ"),
    ("seed resize", "the noise was drawn at another size: the picture will differ"),
    ("ensd", "moves the seed of ancestral samplers' noise: the picture will differ"),
    ("eta", "another amount of ancestral noise: the picture will differ"),
    ("mask", "a mask was repainted; it is not in the file: give it with --mask"),
    ("inpaint", "a mask was repainted; it is not in the file: give it with --mask"),
    ("masked", "a mask was repainted; it is not in the file: give it with --mask"),
    ("init image", "the image it began from is not in the file: give it with --start"),
    ("vae", OTHER_VAE),
    ("module", "parts that were loaded beside the checkpoint; models.txt says which are loaded here"),
    ("ti hashes", "textual inversions are not loaded here: their names stay in the prompt as words"),
    ("embed", "textual inversions are not loaded here: their names stay in the prompt as words"),
    ("lora networks", "the tags in the prompt say them"),
    ("template", "the prompt before wildcards were filled in"),
    ("negative template", "the negative before wildcards were filled in"),
    ("lora", "a hash of the LoRA without its header, which is no file's SHA-256"),
    ("batch", _NOTHING + ": the seed is this picture's own"),
    ("index", _NOTHING),
    ("version", _NOTHING),
    ("user", _NOTHING),
    ("app", _NOTHING),
    ("created date", _NOTHING),
    ("civitai metadata", _NOTHING),
    ("backend", _NOTHING),
    ("operations", _NOTHING),
)
_OTHER = "Sidelight has no such setting"


def read(text: str, *, scheme: str = "") -> Told:
    """What such a text says; `scheme` is what Fooocus writes beside it. Raises InputError for hostile texts."""
    found = infotext.split(text)
    said = Ledger(found.pairs)
    tool, version = _tool(said, scheme)
    unmapped: list[Unmapped] = []
    prompt, tags = without_tags(_raw(said, "raw prompt", found.prompt, unmapped), unmapped)
    negative = _raw(said, "raw negative prompt", found.negative, unmapped)
    resources = _resources(said)
    base = _base(said, tool, prompt, negative, tags or _named_loras(said, resources))
    base = base.but(model=_model(said, resources))
    hints = _hints(said, base, resources)
    base = _civitai_flux(base, hints) if tool == "Civitai" else base
    second = _second(said, base)
    if any(each.role == HIRES for each in second):  # the strength is that pass's
        base = base.but(denoise=None)
    if found.behind:
        unmapped.append(Unmapped.of("text behind the values", found.behind, "the prompt before wildcards, or a remark"))
    warnings = _warnings(said, tool, has_values=bool(found.pairs))
    unmapped += said.close(_why)
    passes = (base, *second)
    return Told(tool, version, passes, base, hints, tuple(unmapped), warnings)


def without_tags(prompt: str, unmapped: list[Unmapped]) -> tuple[str, tuple[ForeignLora, ...]]:
    """The prompt without <lora:NAME:W> and the LoRAs in it; other tags that are no text are unmapped."""
    loras: list[ForeignLora] = []

    def taken(tag: re.Match[str]) -> str:
        kind, inside = tag[1].casefold(), tag[2]
        if kind in ("lora", "lyco"):
            loras.append(_lora(tag[0], inside, unmapped))
        elif kind == "hypernet":
            unmapped.append(Unmapped.of(tag[0], inside, "hypernetworks are not loaded here"))
        else:
            return tag[0]
        return ""

    return _TAG.sub(taken, prompt).strip(), tuple(loras)


def size(text: str) -> tuple[int, int] | None:
    """Width and height of "832x1216"; None if it is none."""
    found = _SIZE.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def _lora(tag: str, inside: str, unmapped: list[Unmapped]) -> ForeignLora:
    """NAME, NAME:W, NAME:TEXT:UNET, or named weights as in te=0.2:unet=0.7."""
    name, *rest = inside.split(":")
    plain = [text for text in rest if "=" not in text]
    named = dict(text.split("=", 1) for text in rest if "=" in text)
    given = [named.pop("te", None) or (plain[0] if plain else None)]
    given.append(named.pop("unet", None) or (plain[1] if len(plain) > 1 else given[0]))
    text, weight = (1.0 if each is None else number(each, -100, 100) for each in given)
    if text is None or weight is None or named or len(plain) > 2:
        unmapped.append(Unmapped.of(tag, inside, "its weights are not read; weight 1 is taken where one is missing"))
    weight = 1.0 if weight is None else weight
    return ForeignLora(name=name.strip(), weight=weight, text_weight=weight if text is None else text)


def _raw(said: Ledger, name: str, resolved: Any, unmapped: list[Unmapped]) -> Any:
    """Fooocus keeps what the person wrote beside what its styles made of it; the person's counts."""
    if name not in said:
        return resolved
    raw = said.text(name)
    if raw != resolved:
        unmapped.append(Unmapped.of(name.removeprefix("raw "), resolved, "what Fooocus' styles made of it"))
    return raw


def _tool(said: Ledger, scheme: str) -> tuple[str, str]:
    version, app = said.text("version"), said.text("app")
    if app.casefold() == "sd.next" or "vlad" in version.casefold():
        return "SD.Next", version
    if scheme == "a1111" or version.startswith("Fooocus"):
        return "Fooocus", version
    if re.match(r"f[0-9]|forge|neo", version, re.IGNORECASE):
        return "Forge", version
    if version == "ComfyUI":
        return "ComfyUI, as A1111 text", ""
    if not version and "model" not in said and "civitai resources" in said:
        return "Civitai", ""
    return "A1111", version


def _base(said: Ledger, tool: str, prompt: str, negative: str | None, loras: tuple[ForeignLora, ...]) -> ForeignPass:
    width, height = _sized(said, "size") or (None, None)
    end = said.number("cfg end", low=0.0001, high=1) if tool == "SD.Next" else None
    is_diffusers = tool == "SD.Next"
    sampler = said.text("sampler")
    schedule = said.text("sampler sigma") if is_diffusers else said.text("schedule type", "scheduler")
    if sampler.casefold().endswith(f" {schedule.casefold()}"):  # Fooocus says it in both
        schedule = ""
    if (vae := said.text("vae")).casefold() not in OWN_VAE:
        said.unmapped.append(Unmapped.of("VAE", vae, OTHER_VAE))
    return ForeignPass.read(
        {
            "prompt": prompt,
            "negative": _negative(tool, negative),
            "seed": said.whole("seed"),
            "width": width,
            "height": height,
            "steps": said.whole("steps", low=1, high=1000),
            "cfg": said.number("cfg scale", low=0, high=100),
            "distilled": said.number("distilled cfg scale", low=0, high=100),
            "guidance_interval": (0.0, end) if end is not None and end < 1 else None,
            "sampler": sampler,
            "schedule": schedule or None,
            "spelling": "diffusers" if is_diffusers else "a1111",
            "spacing": _spacing(said) if is_diffusers else None,
            "denoise": said.number("denoising strength", low=0, high=1),
            "clip_skip": _clip_skip(said, tool),
            "loras": loras,
        }
    )


def _spacing(said: Ledger) -> str | None:
    """SD.Next writes diffusers' own words."""
    if (text := said.text("sampler spacing")) and text not in get_args(Spacing):
        said.unmapped.append(Unmapped.of("Sampler spacing", text, f"is none of {', '.join(get_args(Spacing))}"))
        return None
    return text or None


def _negative(tool: str, negative: str | None) -> str | None:
    """A1111 and Forge put zeros in the place of an empty negative on SDXL (sd_models_xl.py), as None does here."""
    return None if tool in ("A1111", "Forge") and not negative else negative or ""


def _clip_skip(said: Ledger, tool: str) -> int | None:
    """Counted as in a Recipe, which begins at SDXL's normal layer, the last but one.

    A1111 ignores it on SDXL unless told otherwise in its settings (sd_hijack_clip.py, sdxl_clip_l_skip); Forge counts
    from the last layer but never below 2; SD.Next's 1 is the normal.
    """
    layers = said.whole("clip skip", low=1, high=12)
    if layers is None or layers == 1:
        return None
    if tool == "Forge":
        return layers - 2
    if tool == "SD.Next":
        return layers - 1
    said.unmapped.append(
        Unmapped.of("Clip skip", layers, "A1111 and Civitai ignore it on SDXL unless set to; on FLUX it means nothing")
    )
    return None


def _sized(said: Ledger, name: str) -> tuple[int, int] | None:
    if not (text := said.text(name)):
        return None
    if found := size(text):
        return found
    said.unmapped.append(Unmapped.of(name, text, "is no size as in 832x1216"))
    return None


def _model(said: Ledger, resources: list[dict[str, Any]]) -> Model | None:
    hashes = said.take("hashes")
    table = _json(hashes)
    model = said.text("model")
    digest = said.text("model hash")
    if isinstance(table, dict):
        digest = digest or _word(table.get("model"))
        said.unmapped += [
            Unmapped.of(f"Hashes {name}", value, _why(name.partition(":")[0]))
            for name, value in table.items()
            if name != "model"
        ]
    elif hashes:
        said.unmapped.append(Unmapped.of("Hashes", hashes, "is no JSON"))
    for resource in resources:
        if not model and resource.get("type") in ("checkpoint", "model"):
            model = " ".join(filter(None, map(_word, (resource.get("modelName"), resource.get("modelVersionName")))))
    return Model(name=model, hash=digest) if model or digest else None


def _resources(said: Ledger) -> list[dict[str, Any]]:
    text = said.take("civitai resources")
    found = _json(text)
    if text and not isinstance(found, list):
        said.unmapped.append(Unmapped.of("Civitai resources", text, "is no JSON"))
    listed = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    for each in listed:
        if each.get("type") not in ("checkpoint", "model", "lora", "lycoris", "locon", "dora"):
            said.unmapped.append(Unmapped.of("Civitai resource", each, "is loaded here neither by name nor by number"))
    return listed


def _named_loras(said: Ledger, resources: list[dict[str, Any]]) -> tuple[ForeignLora, ...]:
    """LoRAs where no tag in the prompt gives them: Fooocus' list of weights, Civitai's resources."""
    found: list[ForeignLora] = []
    for part in filter(None, said.text("lora weights").split(", ")):
        name, _, weight = part.rpartition(": ")
        value = number(weight, -100, 100)
        if name and value is not None:
            found.append(ForeignLora(name=name, weight=value))
        else:
            said.unmapped.append(Unmapped.of("Lora weights", part, "is no name with a weight"))
    for each in resources:
        if each.get("type") in ("lora", "lycoris", "locon", "dora"):
            value = number(each.get("weight", 1), -100, 100)
            name = _word(each.get("modelName")) or f"Civitai version {each.get('modelVersionId')}"
            if value is None:
                said.unmapped.append(Unmapped.of(f"weight of {name}", each.get("weight"), "is no weight; 1 is taken"))
            found.append(ForeignLora(name=name, weight=1.0 if value is None else value))
    if not found and "lora networks" in said:
        said.set_aside("lora networks", "LoRAs without their weights")
    return tuple(found)


def _hints(said: Ledger, base: ForeignPass, resources: list[dict[str, Any]]) -> tuple[str, ...]:
    """Words that tell the family; those of the parts loaded beside it are looked at, and stay to be unmapped."""
    hints = [f"model {base.model.name}"] if base.model and base.model.name else []
    if base.distilled is not None:
        hints.append("Distilled CFG Scale")
    if pipeline := said.text("pipeline"):
        hints.append(f"pipeline {pipeline}")
    return (*hints, *(f"resource {air}" for each in resources if (air := _word(each.get("air")))))


def _civitai_flux(base: ForeignPass, hints: tuple[str, ...]) -> ForeignPass:
    """Civitai writes FLUX's distilled guidance as CFG scale and no sampler."""
    is_flux = base.sampler == "Undefined" and any("flux" in hint.casefold() for hint in hints)
    return base.but(cfg=None, distilled=base.cfg) if is_flux and base.distilled is None else base


def _second(said: Ledger, base: ForeignPass) -> tuple[ForeignPass, ...]:
    """The pass after the base: an upscale (Hires) or a refiner checkpoint; values not said are the base's."""
    passes = []
    if any(name in said for name in ("hires upscale", "hires upscaler", "hires resize", "hires strength")):
        passes.append(_hires(said, base))
    if refiner := said.text("refiner"):
        switch = said.number("refiner switch at", "refiner start", low=0, high=1)
        first = round(base.steps * switch) if base.steps and switch is not None else None
        passes.append(base.but(role="refiner", model=named_model(refiner), first_step=first, denoise=None))
    return tuple(passes)


def _hires(said: Ledger, base: ForeignPass) -> ForeignPass:
    width, height = _sized(said, "hires size") or _sized(said, "hires resize") or (None, None)
    scale = said.number("hires upscale", "hires scale", low=0.1, high=16)
    if scale and not width and base.width and base.height:
        width, height = int(base.width * scale), int(base.height * scale)
    checkpoint = said.text("hires checkpoint")
    strength = said.number("hires strength", low=0, high=1)
    cfg = said.number("hires cfg scale", low=0, high=100)
    distilled = said.number("hires distilled cfg scale", low=0, high=100)
    return base.but(
        role=HIRES,
        model=named_model(checkpoint) if checkpoint else base.model,
        prompt=said.text("hires prompt") or base.prompt,
        negative=said.text("hires negative prompt") or base.negative,
        width=width,
        height=height,
        steps=said.whole("hires steps", low=0, high=1000) or base.steps,
        sampler=said.text("hires sampler") or base.sampler,
        schedule=said.text("hires schedule type") or base.schedule,
        cfg=base.cfg if cfg is None else cfg,
        distilled=base.distilled if distilled is None else distilled,
        denoise=base.denoise if strength is None else strength,
    )


def named_model(text: str) -> Model:
    """A model written as `name [hash]`."""
    found = re.fullmatch(r"(.*?)\s*\[([0-9a-fA-F]{8,64})\]", text.strip())
    return Model(name=found[1], hash=found[2]) if found else Model(name=text.strip())


def _warnings(said: Ledger, tool: str, *, has_values: bool) -> tuple[str, ...]:
    if not has_values:
        return ("the text holds no line of values (Steps, Sampler, Seed ...): all of it was read as prompt",)
    source = said.text("rng", "generator").casefold()
    if tool not in ("A1111", "Forge", "SD.Next") or source == "cpu":
        return ()
    why = f" (RNG {source})" if source else ", as it says nothing else (RNG)"
    return (NOISE.format(tool=tool, why=why),)


def _why(name: str) -> str:
    lower = name.casefold()
    return next((why for begin, why in _REASONS if lower.startswith(begin)), _OTHER)


def _json(text: Any) -> Any:
    if not isinstance(text, str) or not text.startswith(("{", "[")):
        return None
    try:
        return parse(text)
    except InputError:
        return None


def _word(value: Any) -> str:
    """A text or number of other tools' JSON as text, "" for anything else."""
    return value if isinstance(value, str) else str(value) if whole(value) is not None else ""
