"""SDXL and FLUX.1-dev at their real size with random weights, for `sidelight bench`. Knows nothing about timing.

Speed does not depend on what the weights are, so nothing is downloaded. Sizes are those of the public checkpoints
(stabilityai/stable-diffusion-xl-base-1.0, black-forest-labs/FLUX.1-dev), as their config.json files give them. The
tokenizers are stand-ins that know letters only: they pad to the same length, so the text encoders work as hard.
"""

import hashlib
import json
import string
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers

from pipelines.checkpoint import Checkpoint
from pipelines.device import torch_device
from pipelines.recipe import FamilyName, Weights
from pipelines.weights import LoadedParts

Config = Mapping[str, Any]
_CLIP_L: Config = {
    "model_type": "clip_text_model", "vocab_size": 49408, "hidden_size": 768, "intermediate_size": 3072,
    "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_act": "quick_gelu", "projection_dim": 768,
}  # fmt: skip
_CLIP_G: Config = {
    "model_type": "clip_text_model", "vocab_size": 49408, "hidden_size": 1280, "intermediate_size": 5120,
    "num_hidden_layers": 32, "num_attention_heads": 20, "hidden_act": "gelu", "projection_dim": 1280,
}  # fmt: skip
_T5_XXL: Config = {
    "model_type": "t5", "vocab_size": 32128, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24,
    "num_heads": 64, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
}  # fmt: skip
_VAE: Config = {
    "sample_size": 1024, "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
}  # fmt: skip

FULL_SIZE: Mapping[FamilyName, Mapping[str, tuple[str, str, Config]]] = {
    "sdxl": {
        "scheduler": ("diffusers", "EulerDiscreteScheduler", {
            "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1,
            "timestep_spacing": "leading", "prediction_type": "epsilon",
        }),
        "tokenizer": ("transformers", "CLIPTokenizer", {}),
        "tokenizer_2": ("transformers", "CLIPTokenizer", {}),
        "text_encoder": ("transformers", "CLIPTextModel", _CLIP_L),
        "text_encoder_2": ("transformers", "CLIPTextModelWithProjection", _CLIP_G),
        "unet": ("diffusers", "UNet2DConditionModel", {
            "sample_size": 128, "block_out_channels": [320, 640, 1280], "layers_per_block": 2,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "cross_attention_dim": 2048, "transformer_layers_per_block": [1, 2, 10], "attention_head_dim": [5, 10, 20],
            "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816, "use_linear_projection": True,
        }),
        "vae": ("diffusers", "AutoencoderKL", {**_VAE, "latent_channels": 4, "scaling_factor": 0.13025}),
    },
    "flux": {
        "scheduler": ("diffusers", "FlowMatchEulerDiscreteScheduler", {
            "shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15,
        }),
        "tokenizer": ("transformers", "CLIPTokenizer", {}),
        "tokenizer_2": ("transformers", "T5TokenizerFast", {}),
        "text_encoder": ("transformers", "CLIPTextModel", _CLIP_L),
        "text_encoder_2": ("transformers", "T5EncoderModel", _T5_XXL),
        "transformer": ("diffusers", "FluxTransformer2DModel", {
            "in_channels": 64, "num_layers": 19, "num_single_layers": 38, "attention_head_dim": 128,
            "num_attention_heads": 24, "joint_attention_dim": 4096, "pooled_projection_dim": 768,
            "guidance_embeds": True, "axes_dims_rope": [16, 56, 56],
        }),
        "vae": ("diffusers", "AutoencoderKL", {
            **_VAE, "latent_channels": 16, "scaling_factor": 0.3611, "shift_factor": 0.1159,
            "use_quant_conv": False, "use_post_quant_conv": False,
        }),
    },
}  # fmt: skip
PIPELINES: Mapping[FamilyName, str] = {"sdxl": "StableDiffusionXLPipeline", "flux": "FluxPipeline"}


class Unweighted(Checkpoint):
    """A checkpoint folder that holds configurations and no weights; to be opened as `RandomParts`."""

    @cached_property
    def weights(self) -> Weights:
        """Stands for the sizes alone."""
        configs = sorted(path for path in self.folder.rglob("*.json"))
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in configs)).hexdigest()
        return Weights(digest=digest, family=self.family, name=self.name)

    def bytes(self) -> int:
        """Nothing is read."""
        return 0


class ResidentParts(LoadedParts):
    """A checkpoint's components that stay on the device, so that a plain loop and any number of engines share them."""

    def put_away(self, names: Iterable[str]) -> None:
        """Keep them: the plain loop encodes every prompt anew."""


class RandomParts(ResidentParts):
    """Components of an `Unweighted` checkpoint, made on the device from a fixed seed."""

    def read(self, cls: Any, folder: Path, dtype: torch.dtype | None) -> Any:
        """One component of that class and of the size that its folder says; tokenizers are stand-ins."""
        if dtype is None:
            is_tokenizer = issubclass(cls, transformers.PreTrainedTokenizerBase)
            return _tokenizer(cls) if is_tokenizer else super().read(cls, folder, dtype)
        with torch.random.fork_rng(), torch.device(torch_device(self._numerics)), _default(dtype):
            torch.manual_seed(0)
            if issubclass(cls, transformers.PreTrainedModel):
                return cls(cls.config_class.from_pretrained(folder))
            return cls.from_config(cls.load_config(folder))


@contextmanager
def full_size(family: FamilyName) -> Iterator[Checkpoint]:
    """A checkpoint of that family's real size; its folder of configurations lives as long as the context."""
    with TemporaryDirectory() as folder:
        write_configs(FULL_SIZE[family], Path(folder), pipeline=PIPELINES[family])
        yield Unweighted(f"full-size-{family}", family, Path(folder), {})


def write_configs(components: Mapping[str, tuple[str, str, Config]], folder: Path, *, pipeline: str) -> None:
    """A diffusers folder without weights: each component's library, class and configuration."""
    index = {name: [library, kind] for name, (library, kind, _) in components.items()}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline, **index}))
    for name, (_, kind, config) in components.items():
        (folder / name).mkdir()
        file = "scheduler_config.json" if name == "scheduler" else "config.json"
        (folder / name / file).write_text(json.dumps({"_class_name": kind, **config}))


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _tokenizer(cls: Any) -> Any:
    if issubclass(cls, transformers.CLIPTokenizer):
        letters = string.ascii_lowercase + string.digits + ",.-"
        words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
        return cls(vocab={word: at for at, word in enumerate(words)}, merges=[], model_max_length=77)
    letters = "\u2581" + string.ascii_letters + string.digits + ",.-"
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -4.0) for letter in letters)]
    return cls(vocab=vocab, extra_ids=0, model_max_length=512)
