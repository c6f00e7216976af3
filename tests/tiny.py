"""Tiny SDXL, FLUX.1 and FLUX.2 with random weights, in float32 and seeded, to run stock pipelines in milliseconds.

Knows nothing about what is tested with them: a function returns the components that a pipeline class takes, or saves
them as a checkpoint that is opened by the real path.
"""

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from safetensors.torch import save_file
from transformers.convert_slow_tokenizer import bytes_to_unicode

from pipelines.checkpoint import Checkpoint
from pipelines.places import Place
from pipelines.recipe import FamilyName
from pipelines.reference_images import REDUX_PARTS, Adapter

SIZE = 16
"""Pixels on a side that these models are made for; the autoencoder's factor is 2."""


def tiny_sdxl(seed: int = 0) -> dict[str, Any]:
    """Components of StableDiffusionXL{-,Img2Img,Inpaint}Pipeline; the scheduler is configured as SDXL ships it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = diffusers.UNet2DConditionModel(
            sample_size=SIZE // 2,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=(2, 2),
            transformer_layers_per_block=(1, 1),
            use_linear_projection=True,
            cross_attention_dim=32,
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=16 + 6 * 4,
        )
        return {
            "unet": unet.eval(),
            "vae": _vae().eval(),
            "text_encoder": transformers.CLIPTextModel(_clip()).eval(),
            "text_encoder_2": transformers.CLIPTextModelWithProjection(_clip()).eval(),
            "tokenizer": _clip_tokenizer(),
            "tokenizer_2": _clip_tokenizer(),
            "scheduler": diffusers.EulerDiscreteScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                steps_offset=1,
                timestep_spacing="leading",
            ),
        }


def tiny_flux(seed: int = 0, **changes: Any) -> dict[str, Any]:
    """Components of Flux{-,Img2Img,Inpaint}Pipeline, guidance-distilled like FLUX.1-dev, with its scheduler."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = diffusers.FluxTransformer2DModel(
            **{"in_channels": 16} | changes,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        )
        t5 = transformers.T5Config(
            vocab_size=128, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, feed_forward_proj="gated-gelu"
        )
        return {
            "transformer": transformer.eval(),
            "vae": _vae(shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False).eval(),
            "text_encoder": transformers.CLIPTextModel(_clip()).eval(),
            "text_encoder_2": transformers.T5EncoderModel(t5).eval(),
            "tokenizer": _clip_tokenizer(),
            "tokenizer_2": _t5_tokenizer(),
            "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        }


def tiny_flux_fill(seed: int = 0) -> dict[str, Any]:
    """Components of FluxFillPipeline: beside 16 channels of latents 16 of the masked picture and 16 of the mask."""
    return tiny_flux(seed, in_channels=16 + 16 + 16, out_channels=16)


def tiny_flux_kontext(seed: int = 0) -> dict[str, Any]:
    """Components of FluxKontextPipeline, which are those of FluxPipeline."""
    return tiny_flux(seed)


def tiny_flux2(seed: int = 0) -> dict[str, Any]:
    """Components of Flux2Klein{-,Inpaint}Pipeline: 27 layers of words, as its pipelines read three of them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = diffusers.AutoencoderKLFlux2(
            sample_size=SIZE,
            block_out_channels=(8, 8),
            layers_per_block=1,
            norm_num_groups=4,
            latent_channels=4,
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        )
        vae.bn.running_mean.normal_(0, 0.3)  # as trained ones differ from 0 and 1
        vae.bn.running_var.uniform_(0.3, 2)
        transformer = diffusers.Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=3 * 8,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        )
        qwen = transformers.Qwen3Config(
            vocab_size=300,
            hidden_size=8,
            intermediate_size=16,
            num_hidden_layers=27,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            initializer_range=0.2,
        )
        return {
            "transformer": transformer.eval(),
            "vae": vae.eval(),
            "text_encoder": transformers.Qwen3ForCausalLM(qwen).eval(),
            "tokenizer": _qwen_tokenizer(),
            "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0),
        }


def _vae(**changes: Any) -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        sample_size=SIZE,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        **changes,
    )


def _clip() -> transformers.CLIPTextConfig:
    return transformers.CLIPTextConfig(
        vocab_size=128,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=16,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
    )


def _clip_tokenizer() -> transformers.CLIPTokenizer:
    letters = string.ascii_lowercase + string.digits + ",.-"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    return transformers.CLIPTokenizer(vocab={word: at for at, word in enumerate(words)}, merges=[], model_max_length=77)


def _t5_tokenizer() -> transformers.T5TokenizerFast:
    letters = string.ascii_letters + string.digits + ",.-"
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -4.0) for letter in "\u2581" + letters)]
    return transformers.T5TokenizerFast(vocab=vocab, extra_ids=0, model_max_length=512)


def _qwen_tokenizer() -> transformers.Qwen2TokenizerFast:
    """One token a byte, with the chat template's two marks."""
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocab = {token: at for at, token in enumerate([*marks, *sorted(bytes_to_unicode().values())])}
    tokenizer = transformers.Qwen2TokenizerFast(vocab=vocab, merges=[], model_max_length=512)
    tokenizer.add_special_tokens({"additional_special_tokens": marks[1:]})
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return tokenizer


FAMILIES: dict[str, tuple[FamilyName, str, Callable[[], dict[str, Any]]]] = {
    "sdxl": ("sdxl", "StableDiffusionXLPipeline", tiny_sdxl),
    "inpaint": ("sdxl", "StableDiffusionXLInpaintPipeline", tiny_sdxl),
    "flux": ("flux", "FluxPipeline", tiny_flux),
    "schnell": ("flux", "FluxPipeline", tiny_flux),
    "fill": ("flux", "FluxFillPipeline", tiny_flux_fill),
    "kontext": ("flux", "FluxKontextPipeline", tiny_flux_kontext),
    "klein": ("flux2", "Flux2KleinPipeline", lambda: tiny_flux2() | {"is_distilled": True}),
    "flux2": ("flux2", "Flux2KleinPipeline", tiny_flux2),
}


def tiny_checkpoint(kind: str, folder: Path) -> Checkpoint:
    """A tiny checkpoint on disk, as diffusers saves one.

    "sdxl", "inpaint" (9 channels), "flux", "schnell" (no guidance input), "fill", "kontext", "klein" (distilled) or
    "flux2" (a base klein).
    """
    family, pipeline, components = FAMILIES[kind]
    parts = components()
    changed = {"schnell": ("transformer", {"guidance_embeds": False}), "inpaint": ("unet", {"in_channels": 9})}
    if kind in changed:
        name, changes = changed[kind]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            parts[name] = type(parts[name]).from_config(parts[name].config, **changes)
    getattr(diffusers, pipeline)(**parts).save_pretrained(folder)
    return Checkpoint(kind, family, folder, {"width": str(SIZE), "height": str(SIZE)})


def tiny_ip_adapter(folder: Path, unet: Any, *, plus: bool = True, seed: int = 0) -> Adapter:
    """An IP-Adapter (Plus, or the first kind, which reads one vector a picture) with the names of the real files."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                projection_dim=12,
                image_size=16,
                patch_size=8,
                initializer_factor=20.0,  # else it answers nearly the same to every picture
            )
        )
        width = unet.config.cross_attention_dim
        state = _resampler(width) if plus else _projection(width)
        crosses = [module for name, module in unet.named_modules() if name.endswith("attn2")]
        for at, module in enumerate(crosses):
            for kind in ("k", "v"):
                name = f"ip_adapter.{2 * at + 1}.to_{kind}_ip.weight"
                state[name] = torch.randn(module.inner_dim, width) * width**-0.5
        encoder.save_pretrained(folder / "image_encoder")
        save_file(state, folder / "adapter.safetensors")
    places = {"image_encoder": Place("image_encoder", folder / "image_encoder")}
    return Adapter("tiny-ip-adapter", "ip-adapter", folder / "adapter.safetensors", places)


def _resampler(width: int) -> dict[str, torch.Tensor]:
    """Tensors of `image_proj` in an IP-Adapter Plus file: 4 layers, heads of 64, 3 tokens."""
    inner, heads = 8, 64
    made = {
        "latents": torch.randn(1, 3, inner),
        "proj_in.weight": torch.randn(inner, 16) / 4,
        "proj_in.bias": torch.randn(inner),
        "proj_out.weight": torch.randn(width, inner),
        "proj_out.bias": torch.randn(width),
        "norm_out.weight": torch.ones(width),
        "norm_out.bias": torch.zeros(width),
    }
    for layer in range(4):
        norms = [f"layers.{layer}.0.norm1", f"layers.{layer}.0.norm2", f"layers.{layer}.1.0"]
        made |= {f"{norm}.weight": torch.ones(inner) for norm in norms}
        made |= {f"{norm}.bias": torch.zeros(inner) for norm in norms}
        made |= {
            f"layers.{layer}.0.to_q.weight": torch.randn(heads, inner),
            f"layers.{layer}.0.to_kv.weight": torch.randn(2 * heads, inner),
            f"layers.{layer}.0.to_out.weight": torch.randn(inner, heads) / 8,
            f"layers.{layer}.1.1.weight": torch.randn(4 * inner, inner),
            f"layers.{layer}.1.3.weight": torch.randn(inner, 4 * inner) / 4,
        }
    return {f"image_proj.{name}": tensor for name, tensor in made.items()}


def _projection(width: int) -> dict[str, torch.Tensor]:
    """Tensors of `image_proj` in a file of the first kind of IP-Adapter: 4 tokens of one vector."""
    made = {"proj.weight": torch.randn(4 * width, 12), "proj.bias": torch.randn(4 * width)}
    made |= {"norm.weight": torch.ones(width), "norm.bias": torch.zeros(width)}
    return {f"image_proj.{name}": tensor for name, tensor in made.items()}


def tiny_redux(folder: Path, *, words: int = 16, seed: int = 0) -> Adapter:
    """FLUX.1 Redux as its repository lays it out: SigLIP, and the embedder to tokens as wide as `words`."""
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = transformers.SiglipVisionModel(
            transformers.SiglipVisionConfig(
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                image_size=16,
                patch_size=8,
            )
        )
        encoder.save_pretrained(folder / "image_encoder")
        ReduxImageEncoder(redux_dim=16, txt_in_features=words).save_pretrained(folder / "image_embedder")
    size = {"height": 16, "width": 16}
    transformers.SiglipImageProcessorPil(size=size).save_pretrained(folder / "feature_extractor")
    return Adapter("tiny-redux", "redux", places={name: Place(name, folder / name) for name in REDUX_PARTS})
