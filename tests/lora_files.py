"""LoRA files of tiny networks in every form, and the same change laid into the weights by hand. Knows no loader."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from pipelines.recipe import FamilyName, Lora

RANK = 2
BLOCK = "transformer_blocks.0"
SINGLE = "single_transformer_blocks.0"
LAYERS: Mapping[str, tuple[str, ...]] = {
    "unet": tuple(
        f"{block}.{layer}"
        for block in (
            f"down_blocks.1.attentions.0.{BLOCK}",
            f"mid_block.attentions.0.{BLOCK}",
            f"up_blocks.0.attentions.1.{BLOCK}",
        )
        for layer in ("attn1.to_q", "attn2.to_k", "attn2.to_out.0", "ff.net.0.proj")
    ),
    "transformer": (
        *(f"{BLOCK}.attn.{layer}" for layer in ("to_q", "to_k", "to_v", "to_out.0")),
        *(f"{BLOCK}.attn.{layer}" for layer in ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")),
    ),
    "text_encoder": tuple(
        f"layers.{n}.{layer}" for n in (0, 1) for layer in ("self_attn.q_proj", "self_attn.out_proj", "mlp.fc1")
    ),
}
"""What the LoRAs of these tests change, by component."""
FLUX2 = (f"{SINGLE}.attn.to_qkv_mlp_proj",)
MLP = (f"{BLOCK}.ff.net.0.proj", f"{SINGLE}.proj_out", "norm_out.linear")

Change = dict[tuple[str, str], tuple[torch.Tensor, torch.Tensor]]
"""(component, layer) -> (down, up): W becomes W + weight * alpha / rank * up @ down."""


def change(parts: Mapping[str, Any], *components: str, seed: int = 0, layers: tuple[str, ...] = ()) -> Change:
    """Random matrices for those components' layers; what one file joins (query, key, value) shares its down matrix."""
    generator = torch.Generator().manual_seed(seed)
    made: Change = {}
    for component in components:
        network, shared = parts[component], dict[str, torch.Tensor]()
        for layer in (*LAYERS[component.removesuffix("_2")], *(layers if component == "transformer" else ())):
            where = layer if component in ("unet", "transformer") else f"{_root(network)}encoder.{layer}"
            rows, columns = network.get_submodule(where).weight.shape
            joined = layer.rpartition(".")[0] + ("add" if "add_" in layer and "proj" in layer else "")
            key = joined if layer.split(".")[-1] in JOINED else layer
            down = shared.setdefault(key, torch.randn(RANK, columns, generator=generator) * 0.5)
            made[component, layer] = (down, torch.randn(rows, RANK, generator=generator) * 0.5)
    return made


JOINED = ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj")


def _root(encoder: Any) -> str:
    return "text_model." if hasattr(encoder, "text_model") else ""


def laid_in(folder: Path, changes: Change, scale: float) -> None:
    """Change the weights of a saved checkpoint by hand."""
    for component in {component for component, _ in changes}:
        (file,) = (folder / component).glob("*.safetensors")
        tensors = load_file(file)
        for (_, layer), (down, up) in ((key, pair) for key, pair in changes.items() if key[0] == component):
            (name,) = (
                name
                for name in tensors
                if name.removeprefix("text_model.").removeprefix("encoder.") == f"{layer}.weight"
            )
            tensors[name] = tensors[name] + scale * up @ down
        save_file(tensors, file, metadata={"format": "pt"})


def lora(path: Path, family: FamilyName, weight: float = 1.0) -> Lora:
    """A file as a recipe names it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Lora(file=digest, family=family, weight=weight, name=path.stem)


def write(path: Path, form: str, changes: Change, *, alpha: float | None = None, alphas: Sequence[float] = ()) -> Path:
    """A LoRA file in that form; alpha None leaves it out, as every form may; `alphas` gives every layer its own."""
    tensors: dict[str, torch.Tensor] = {}
    for at, (names, (down, up)) in enumerate(_named(form, changes)):
        tensors |= {names[0]: down.contiguous(), names[1]: up.contiguous()}
        if alpha is not None or alphas:
            tensors[names[2]] = torch.tensor(alphas[at] if alphas else alpha)
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)
    return path


def _named(form: str, changes: Change) -> list[tuple[tuple[str, str, str], tuple[torch.Tensor, torch.Tensor]]]:
    if form in ("kohya", "comfy", "comfy-peft", "fal", "xlabs"):
        changes = _joined(changes)
    found = []
    for (component, layer), pair in changes.items():
        encoder = component.startswith("text_encoder")
        full = f"text_model.encoder.{layer}" if encoder else layer
        flat = full.replace(".", "_")
        te = f"lora_te{2 if component.endswith('2') else 1}_{flat}"
        match form:
            case "peft":
                start = f"{component}.{full}"
                names = (f"{start}.lora_A.weight", f"{start}.lora_B.weight", f"{start}.alpha")
            case "peft-down":
                start = f"{component}.{full}"
                names = (f"{start}.lora_down.weight", f"{start}.lora_up.weight", f"{start}.alpha")
            case "kohya" | "kohya-diffusers":
                unet = flat if form == "kohya-diffusers" else SGM.get(layer, flat)
                start = te if encoder else f"lora_unet_{unet}"
                names = (f"{start}.lora_down.weight", f"{start}.lora_up.weight", f"{start}.alpha")
            case "mixture":
                start = te if encoder else f"lora_transformer_{flat}"
                names = (f"{start}.lora_down.weight", f"{start}.lora_up.weight", f"{start}.alpha")
            case "comfy":
                start = f"text_encoders.clip_l.transformer.{full}" if encoder else f"diffusion_model.{layer}"
                names = (f"{start}.lora_down.weight", f"{start}.lora_up.weight", f"{start}.alpha")
            case "comfy-peft":
                start = f"diffusion_model.{layer}"
                names = (f"{start}.lora_A.weight", f"{start}.lora_B.weight", "")
            case "fal":
                start = f"base_model.model.{layer}"
                names = (f"{start}.lora_A.weight", f"{start}.lora_B.weight", "")
            case "xlabs":
                start = f"double_blocks.0.processor.{XLABS[layer]}"
                names = (f"{start}.down.weight", f"{start}.up.weight", "")
            case "old":
                start = f"{component}.{layer}".replace("attn1.", "attn1.processor.").replace(
                    "attn2.", "attn2.processor."
                )
                start = start.removesuffix(".0") if "to_out" in start else start
                mid = ".lora" if "ff" in start else "_lora"
                names = (f"{start}{mid}.down.weight", f"{start}{mid}.up.weight", "")
        found.append((names, pair))
    return found


def _joined(changes: Change) -> Change:
    """FLUX.1's own names, in which query, key and value are one layer."""
    made: Change = {}
    for (component, layer), (down, up) in changes.items():
        own = BFL.get(layer, layer) if component == "transformer" else layer
        before = made.get((component, own))
        if layer == "norm_out.linear":
            up = torch.cat([*up.chunk(2)][::-1])  # FLUX.1 itself has shift before scale
        made[component, own] = (down, torch.cat([before[1], up]) if before else up)
    return made


BFL = {
    **dict.fromkeys((f"{BLOCK}.attn.to_q", f"{BLOCK}.attn.to_k", f"{BLOCK}.attn.to_v"), "double_blocks.0.img_attn.qkv"),
    **dict.fromkeys((f"{BLOCK}.attn.add_{x}_proj" for x in "qkv"), "double_blocks.0.txt_attn.qkv"),
    f"{BLOCK}.attn.to_out.0": "double_blocks.0.img_attn.proj",
    f"{BLOCK}.attn.to_add_out": "double_blocks.0.txt_attn.proj",
    f"{BLOCK}.ff.net.0.proj": "double_blocks.0.img_mlp.0",
    f"{SINGLE}.attn.to_qkv_mlp_proj": "single_blocks.0.linear1",
    f"{SINGLE}.proj_out": "single_blocks.0.linear2",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
}
XLABS = {
    "double_blocks.0.img_attn.qkv": "qkv_lora1",
    "double_blocks.0.txt_attn.qkv": "qkv_lora2",
    "double_blocks.0.img_attn.proj": "proj_lora1",
    "double_blocks.0.txt_attn.proj": "proj_lora2",
}
SGM = {
    f"{diffusers}.{layer}": f"{sgm}_{BLOCK}_{layer}".replace(".", "_")
    for diffusers, sgm in (
        (f"down_blocks.1.attentions.0.{BLOCK}", "input_blocks_3_1"),
        (f"mid_block.attentions.0.{BLOCK}", "middle_block_1"),
        (f"up_blocks.0.attentions.1.{BLOCK}", "output_blocks_1_1"),
    )
    for layer in ("attn1.to_q", "attn2.to_k", "attn2.to_out.0", "ff.net.0.proj")
}
