"""Trains the tiny FLUX transformer by flow matching on cached latents, and saves a stock FluxPipeline folder.

Knows nothing of a teacher: the guidance input is learned from the value that make_latents wrote beside each picture.
"""

import argparse
import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from pipelines.demo.training.captions import COPIES, captions_of
from pipelines.demo.training.compiling import dead_parameters
from pipelines.demo.training.loop import Learner, clock

SAVE_MINUTES = 5
TOKENS = 64  # of T5 in most steps
SHIFT = math.exp(0.5)  # what the scheduler applies to the times at 256 image tokens (256 x 256 px)
LONG = 14  # every so many steps the text is padded to 128, 256 or 512, as the pipeline does by default


def build() -> FluxTransformer2DModel:
    """FLUX's shape in small: two double and four single blocks, guidance input, rotary positions."""
    return FluxTransformer2DModel(
        in_channels=64,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=48,
        num_attention_heads=4,
        joint_attention_dim=96,
        pooled_projection_dim=96,
        guidance_embeds=True,
        axes_dims_rope=(8, 20, 20),
    )


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The scheduler file that FLUX.1-dev ships."""
    return FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256,
        base_shift=0.5,
        max_image_seq_len=4096,
        max_shift=1.15,
        num_train_timesteps=1000,
        shift=3.0,
        use_dynamic_shifting=True,
    )


class Words:
    """CLIP (pooled only) and T5 (all tokens, padding included, as the pipeline passes them)."""

    def __init__(self, folder: Path) -> None:
        self.clip_tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        self.t5_tokenizer = T5Tokenizer.from_pretrained(folder / "tokenizer_2")
        self.clip = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval()
        self.t5 = T5EncoderModel.from_pretrained(folder / "text_encoder_2", dtype=torch.float32).eval()

    @torch.no_grad()
    def __call__(self, texts: list[str], length: int = TOKENS) -> tuple[Tensor, Tensor]:
        """Token states (b, length, 96) and pooled text (b, 96)."""
        fill = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
        ids = self.clip_tokenizer(texts, max_length=77, **fill).input_ids
        ids_t5 = self.t5_tokenizer(texts, max_length=length, **fill).input_ids
        return self.t5(ids_t5)[0], self.clip(ids).pooler_output


def pack(z: Tensor) -> Tensor:
    """(b, 16, h, w) to (b, h/2 * w/2, 64), as FluxPipeline._pack_latents."""
    b, c, h, w = z.shape
    return z.view(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(b, h * w // 4, c * 4)


def positions(side: int) -> Tensor:
    """(side * side, 3) rotary ids of a square of image tokens, as the pipeline makes them."""
    ys, xs = torch.meshgrid(torch.arange(side).float(), torch.arange(side).float(), indexing="ij")
    return torch.stack([torch.zeros_like(ys), ys, xs], -1).view(-1, 3)


@dataclass(frozen=True)
class Material:
    """All that is trained on: packed latents (n, tokens, 64), the guidance and COPIES encoded captions of each."""

    latents: Tensor
    guidance: Tensor
    texts: list[str]
    tokens: Tensor
    pooled: Tensor


@dataclass(frozen=True)
class Batch:
    """One step's input, and the velocity to be told."""

    noisy: Tensor
    times: Tensor
    guidance: Tensor
    tokens: Tensor
    pooled: Tensor
    velocity: Tensor


def gather(latents: Path, data: Path, words: Words, rng: np.random.Generator) -> Material:
    """Reads the latents and encodes the captions."""
    kept = load_file(latents)
    z = pack(kept["latents"])
    texts = [text for texts in captions_of(data, rng)[: len(z)] for text in texts]
    got = [words(texts[i : i + 64]) for i in range(0, len(texts), 64)]
    return Material(
        z, kept["guidance"], texts, torch.cat([t.half() for t, _ in got]), torch.cat([p.half() for _, p in got])
    )


def draw(material: Material, words: Words, rng: np.random.Generator, *, batch: int, length: int) -> Batch:
    """A random batch: logit-normal times, 8 % empty captions; texts longer than TOKENS are encoded on the spot."""
    i = torch.from_numpy(rng.integers(0, len(material.latents), batch))
    j, none = COPIES * i + torch.randint(0, COPIES, (batch,)), torch.rand(batch) < 0.08
    if length > TOKENS:
        said = ["" if n else material.texts[k] for k, n in zip(j.tolist(), none.tolist(), strict=True)]
        tokens, pooled = words(said, length)
    else:
        tokens, pooled = material.tokens[j].float(), material.pooled[j].float()
        if none.any():
            tokens[none], pooled[none] = words([""] * int(none.sum()))
    t = torch.sigmoid(torch.randn(batch))
    t = SHIFT * t / (1 + (SHIFT - 1) * t)
    x = material.latents[i].float()
    noise, part = torch.randn_like(x), t[:, None, None]
    return Batch((1 - part) * x + part * noise, t, material.guidance[i], tokens, pooled, noise - x)


def forward(run: Callable[..., Any], b: Batch, image_ids: Tensor) -> Tensor:
    """The velocity the model tells, float32."""
    with torch.autocast("cpu", torch.bfloat16):
        out: Tensor = run(
            hidden_states=b.noisy,
            timestep=b.times,
            guidance=b.guidance,
            pooled_projections=b.pooled,
            encoder_hidden_states=b.tokens,
            txt_ids=torch.zeros(b.tokens.shape[1], 3),
            img_ids=image_ids,
            return_dict=False,
        )[0]
    return out.float()


def save(out: Path, model: FluxTransformer2DModel, vae: Path, words: Words) -> None:
    """The whole pipeline folder in float16. Copies, because .to(float16) must not touch what is being trained."""
    plain = build()
    plain.load_state_dict(model.state_dict())
    pipe = FluxPipeline(
        scheduler=scheduler(),
        vae=AutoencoderKL.from_pretrained(vae),
        text_encoder=copy.deepcopy(words.clip),
        tokenizer=words.clip_tokenizer,
        text_encoder_2=copy.deepcopy(words.t5),
        tokenizer_2=words.t5_tokenizer,
        transformer=plain.eval(),
    )
    pipe.to(dtype=torch.float16).save_pretrained(out, safe_serialization=True)


def train(model: FluxTransformer2DModel, material: Material, words: Words, o: argparse.Namespace) -> None:
    """Trains in place, saving the averaged weights every few minutes."""
    rng = np.random.default_rng(o.seed)
    run = torch.compile(model, dynamic=False) if o.compile else model
    image_ids = positions(math.isqrt(material.latents.shape[1]))
    learner = Learner(model.parameters(), keep=0.998)
    saved = 0
    for tick in clock(o.minutes, rate=o.rate, warmup=100):
        long = tick.step % LONG == LONG - 1
        length = int(rng.choice([128, 256, 512])) if long else TOKENS
        b = draw(material, words, rng, batch=4 if long else o.batch, length=length)
        loss = (forward(model if long else run, b, image_ids) - b.velocity).square().mean()
        learner.learn(loss, rate=tick.rate * (0.5 if long else 1))
        if tick.step == 0 and (dead := dead_parameters(model)):
            raise RuntimeError(f"no gradient reaches {dead[:5]}; train with --no-compile")
        learner.report(tick, every=100)
        if tick.seconds > (saved + 1) * SAVE_MINUTES * 60:
            saved += 1
            with learner.averaged():
                save(o.out, model, o.vae, words)
    learner.install()
    save(o.out, model, o.vae, words)
    print("steps", learner.steps, flush=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("data", type=Path)
    p.add_argument("latents", type=Path, help="file from make_latents --guidance")
    p.add_argument("vae", type=Path)
    p.add_argument(
        "text", type=Path, help="folder with tokenizers and text encoders: from train_text, or a whole checkpoint"
    )
    p.add_argument("out", type=Path)
    p.add_argument("--init", type=Path, help="checkpoint folder to go on from")
    p.add_argument("--minutes", type=float, default=60)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    o = p.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    words = Words(o.text)
    model = (
        FluxTransformer2DModel.from_pretrained(o.init / "transformer", torch_dtype=torch.float32) if o.init else build()
    )
    model.set_attention_backend("_native_math")  # the fused attention's bf16 backward is slow on CPU
    model.train()
    print("parameters", sum(q.numel() for q in model.parameters()), flush=True)
    train(model, gather(o.latents, o.data, words, np.random.default_rng(o.seed + 1)), words, o)


if __name__ == "__main__":
    main()
