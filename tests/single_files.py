"""Diffusers' tensors by the names of single files: LDM (A1111, ComfyUI) for SDXL, Black Forest Labs' for FLUX.1.

The inverse of what diffusers' loaders do, written from the layouts, so that both can be compared tensor by tensor.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]
RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
UNET = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2", "conv_norm_out": "out.0",
    "conv_out": "out.2",
}  # fmt: skip
MIDDLE = {"resnets.0": "middle_block.0", "attentions.0": "middle_block.1", "resnets.1": "middle_block.2"}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip
FLUX = {
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "context_embedder": "txt_in", "x_embedder": "img_in", "proj_out": "final_layer.linear",
}  # fmt: skip
DOUBLE = {
    "norm1.linear": "img_mod.lin", "norm1_context.linear": "txt_mod.lin", "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2", "ff_context.net.0.proj": "txt_mlp.0", "ff_context.net.2": "txt_mlp.2",
    "attn.to_out.0": "img_attn.proj", "attn.to_add_out": "txt_attn.proj",
}  # fmt: skip
NORMS = {
    "attn.norm_q.weight": "img_attn.norm.query_norm.scale", "attn.norm_k.weight": "img_attn.norm.key_norm.scale",
    "attn.norm_added_q.weight": "txt_attn.norm.query_norm.scale",
    "attn.norm_added_k.weight": "txt_attn.norm.key_norm.scale",
}  # fmt: skip


def sdxl(parts: Mapping[str, Any]) -> Tensors:
    """A whole SDXL checkpoint as one file holds it."""
    first = {name.removeprefix("text_model."): tensor for name, tensor in parts["text_encoder"].state_dict().items()}
    return {
        **prefixed("model.diffusion_model.", ldm_unet(parts["unet"])),
        **prefixed("first_stage_model.", ldm_vae(parts["vae"])),
        **prefixed("conditioner.embedders.0.transformer.text_model.", first),
        **prefixed("conditioner.embedders.1.model.", open_clip(parts["text_encoder_2"])),
    }


def flux(parts: Mapping[str, Any]) -> Tensors:
    """A whole FLUX.1 checkpoint as ComfyUI saves it in one file."""
    first = {name.removeprefix("text_model."): tensor for name, tensor in parts["text_encoder"].state_dict().items()}
    return {
        **prefixed("model.diffusion_model.", bfl_transformer(parts["transformer"])),
        **prefixed("vae.", ldm_vae(parts["vae"])),
        **prefixed("text_encoders.clip_l.transformer.text_model.", first),
        **prefixed("text_encoders.t5xxl.transformer.", parts["text_encoder_2"].state_dict()),
        "text_encoders.clip_l.logit_scale": torch.tensor(4.6),
    }


def write(path: Path, tensors: Mapping[str, torch.Tensor], **metadata: str) -> Path:
    """A .safetensors file of them, without shared memory."""
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, path, metadata or None)
    return path


def write_gguf(path: Path, tensors: Mapping[str, torch.Tensor]) -> Path:
    """A GGUF file with every matrix whose rows fit in Q8_0, all else in float32."""
    import gguf

    writer = gguf.GGUFWriter(path, "flux")
    for name, tensor in tensors.items():
        values = tensor.detach().float().numpy()
        kind = gguf.GGMLQuantizationType.F32
        if values.ndim == 2 and values.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def prefixed(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The same with every name begun so."""
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def ldm_unet(unet: Any) -> Tensors:
    """By the names of Stability's own code."""
    layers = unet.config.layers_per_block
    return _settled({_ldm_unet_name(name, layers): tensor for name, tensor in unet.state_dict().items()})


def _ldm_unet_name(name: str, layers: int) -> str:
    stem, _, kind = name.rpartition(".")
    if stem in UNET:
        return f"{UNET[stem]}.{kind}"
    side, number, part, index, rest = _block(name)
    if side == "mid_block":
        return _in_resnet(f"{MIDDLE[f'{part}.{index}']}.{rest}", part)
    if side == "down_blocks":
        at = 1 + number * (layers + 1) + (layers if part == "downsamplers" else index)
        block = f"input_blocks.{at}"
        return f"{block}.0.op.{kind}" if part == "downsamplers" else _in_block(block, part, rest)
    if part == "upsamplers":
        return f"output_blocks.{number * (layers + 1) + layers}.UP.conv.{kind}"
    return _in_block(f"output_blocks.{number * (layers + 1) + index}", part, rest)


def _block(name: str) -> tuple[str, int, str, int, str]:
    found = re.fullmatch(r"(mid_block|down_blocks|up_blocks)\.(?:(\d+)\.)?(\w+)\.(\d+)\.(.+)", name)
    assert found, name
    return found[1], int(found[2] or 0), found[3], int(found[4]), found[5]


def _in_block(block: str, part: str, rest: str) -> str:
    return _in_resnet(f"{block}.{0 if part == 'resnets' else 1}.{rest}", part)


def _in_resnet(name: str, part: str) -> str:
    if part != "resnets":
        return name
    start, layer, kind = name.rsplit(".", 2)
    return f"{start}.{RESNET[layer]}.{kind}"


def _settled(tensors: Tensors) -> Tensors:
    """An upsampler is the third thing in a block with attention, the second in one without."""
    found: Tensors = {}
    for name, tensor in tensors.items():
        block = name.partition(".UP.")[0]
        third = any(other.startswith(f"{block}.1.") for other in tensors)
        found[name.replace(".UP.", ".2." if third else ".1.")] = tensor
    return found


def ldm_vae(vae: Any) -> Tensors:
    """By the names of the autoencoder in LDM, whose attention is made of 1 x 1 convolutions."""
    blocks = len(vae.config.block_out_channels)
    found: Tensors = {}
    for name, tensor in vae.state_dict().items():
        new = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        new = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", new)
        new = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", new)
        new = re.sub(r"up_blocks\.(\d+)\.resnets", lambda m: f"up.{blocks - 1 - int(m[1])}.block", new)
        new = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{blocks - 1 - int(m[1])}.upsample", new)
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", new)
        if attention := re.fullmatch(r"(.*)mid_block\.attentions\.0\.(.+)\.(\w+)", new):
            new = f"{attention[1]}mid.attn_1.{VAE_ATTENTION[attention[2]]}.{attention[3]}"
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        found[new] = tensor
    return found


def open_clip(encoder: Any) -> Tensors:
    """A CLIP text encoder by OpenCLIP's names: query, key and value in one, the projection turned round."""
    found: Tensors = {}
    state = encoder.state_dict()
    for name, tensor in state.items():
        short = name.removeprefix("text_model.")
        if layer := re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", short):
            block = f"transformer.resblocks.{layer[1]}"
            if layer[2] == "self_attn.q_proj":
                own = [state[name.replace("q_proj", f"{one}_proj")] for one in "qkv"]
                found[f"{block}.attn.in_proj_{layer[3]}"] = torch.cat(own)
            elif layer[2] in OPEN_CLIP:
                found[f"{block}.{OPEN_CLIP[layer[2]]}.{layer[3]}"] = tensor
        elif name == "text_projection.weight":
            found["text_projection"] = tensor.T
        else:
            new = short.replace("embeddings.token_embedding", "token_embedding").replace("final_layer_norm", "ln_final")
            found[new.replace("embeddings.position_embedding.weight", "positional_embedding")] = tensor
    return found


def bfl_transformer(transformer: Any) -> Tensors:
    """By the names of Black Forest Labs' own code: query, key and value in one, shift before scale."""
    state = transformer.state_dict()
    found: Tensors = {}
    for name, tensor in state.items():
        stem, _, kind = name.rpartition(".")
        if stem in FLUX:
            found[f"{FLUX[stem]}.{kind}"] = tensor
        elif stem == "norm_out.linear":
            found[f"final_layer.adaLN_modulation.1.{kind}"] = torch.cat(tensor.chunk(2)[::-1])
        elif block := re.fullmatch(r"transformer_blocks\.(\d+)\.(.+)", name):
            found |= _double(state, int(block[1]), block[2], tensor)
        else:
            block = re.fullmatch(r"single_transformer_blocks\.(\d+)\.(.+)", name)
            assert block, name
            found |= _single(state, int(block[1]), block[2], tensor)
    return found


def _double(state: Tensors, number: int, rest: str, tensor: torch.Tensor) -> Tensors:
    at, (stem, _, kind) = f"double_blocks.{number}", rest.rpartition(".")
    if rest in NORMS:
        return {f"{at}.{NORMS[rest]}": tensor}
    if stem in DOUBLE:
        return {f"{at}.{DOUBLE[stem]}.{kind}": tensor}
    for first, new, others in (
        ("attn.to_q", "img_attn.qkv", ("attn.to_q", "attn.to_k", "attn.to_v")),
        ("attn.add_q_proj", "txt_attn.qkv", ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj")),
    ):
        if stem == first:
            return {f"{at}.{new}.{kind}": _joined(state, f"transformer_blocks.{number}", others, kind)}
    return {}


def _single(state: Tensors, number: int, rest: str, tensor: torch.Tensor) -> Tensors:
    at, (stem, _, kind) = f"single_blocks.{number}", rest.rpartition(".")
    plain = {"norm.linear": "modulation.lin", "proj_out": "linear2"}
    norms = {"attn.norm_q": "norm.query_norm.scale", "attn.norm_k": "norm.key_norm.scale"}
    if stem in plain:
        return {f"{at}.{plain[stem]}.{kind}": tensor}
    if stem in norms:
        return {f"{at}.{norms[stem]}": tensor}
    if stem == "proj_mlp":
        parts = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
        return {f"{at}.linear1.{kind}": _joined(state, f"single_transformer_blocks.{number}", parts, kind)}
    return {}


def _joined(state: Tensors, block: str, parts: Iterable[str], kind: str) -> torch.Tensor:
    return torch.cat([state[f"{block}.{part}.{kind}"] for part in parts])
