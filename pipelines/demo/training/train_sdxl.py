"""Trains the tiny SDXL UNet on cached latents and captions, and saves a stock StableDiffusionXLPipeline folder.

Knows nothing about how pictures or embeddings came about; the autoencoder and the text encoders are frozen by now.
"""

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from pipelines.demo.training.captions import COPIES, captions_of
from pipelines.demo.training.compiling import dead_parameters, repair
from pipelines.demo.training.loop import Learner, clock
from pipelines.demo.training.widen import widen

SIZE = 256.0
SAVE_MINUTES = 5
WHOLE, AREAS = 0.1, 0.1  # standard deviation of the noise that the whole picture, and a sixteenth of it, share
COARSE = 0.002  # weight of each coarse error beside the plain one


def build(*, pooled: bool = False) -> UNet2DConditionModel:
    """SDXL's shape in small: attention only at the lower resolutions, text_time conditioning, linear projections.

    64 x 64 latents cost most where they are widest, so that level has 32 channels and one block. `pooled` leaves that
    level out, for latents of 32 x 32.
    """
    widths, heads = (32, 32, 96, 96), (1, 1, 3, 3)
    down = ("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D")
    up = ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D")
    first, last = (1, -1) if pooled else (0, None)
    return UNet2DConditionModel(
        sample_size=32 if pooled else 64,
        down_block_types=down[first:],
        mid_block_type="UNetMidBlock2D",
        up_block_types=up[:last],
        block_out_channels=widths[first:],
        layers_per_block=1,
        attention_head_dim=heads[first:],
        cross_attention_dim=160,
        transformer_layers_per_block=1,
        addition_embed_type="text_time",
        addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=6 * 32 + 96,
        use_linear_projection=True,
        norm_num_groups=8,
    )


def scheduler() -> EulerDiscreteScheduler:
    """The scheduler file that SDXL base 1.0 ships, word for word."""
    return EulerDiscreteScheduler(
        beta_end=0.012,
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        interpolation_type="linear",
        num_train_timesteps=1000,
        prediction_type="epsilon",
        steps_offset=1,
        timestep_spacing="leading",
        use_karras_sigmas=False,
    )


class Words:
    """The two SDXL text encoders, giving what the pipeline does: second-last states side by side, and pooled text."""

    def __init__(self, folder: Path) -> None:
        self.tokenizers = [CLIPTokenizer.from_pretrained(folder / n) for n in ("tokenizer", "tokenizer_2")]
        self.encoders = (
            CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval(),
            CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2", dtype=torch.float32).eval(),
        )

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Token states (b, 77, 160) and pooled text (b, 96)."""
        got = []
        for tokenizer, encoder in zip(self.tokenizers, self.encoders, strict=True):
            ids = tokenizer(texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
            got.append(encoder(ids, output_hidden_states=True))
        return torch.cat([g.hidden_states[-2] for g in got], -1), got[1].text_embeds


@dataclass(frozen=True)
class Material:
    """All that is trained on: latents (n, 4, h, w), COPIES encoded captions for each, and the empty caption."""

    latents: Tensor
    tokens: Tensor
    pooled: Tensor
    empty: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Batch:
    """One step's input: noisy latents at times t, the noise to be told, and the conditioning."""

    noisy: Tensor
    times: Tensor
    noise: Tensor
    tokens: Tensor
    pooled: Tensor
    sizes: Tensor


def gather(latents: Path, data: Path, words: Words, rng: np.random.Generator) -> Material:
    """Reads the latents and encodes the captions."""
    z = load_file(latents)["latents"]
    texts = [text for texts in captions_of(data, rng)[: len(z)] for text in texts]
    got = [words(texts[i : i + 64]) for i in range(0, len(texts), 64)]
    return Material(z, torch.cat([t.half() for t, _ in got]), torch.cat([p.half() for _, p in got]), words([""]))


def alphas() -> Tensor:
    """Share of signal variance left at each of the 1000 times, from the scheduler."""
    left: Tensor = scheduler().alphas_cumprod.float()
    return left


def tone_noise(x: Tensor) -> Tensor:
    """Noise (b, c, h, w) that whole areas share, at two scales: offset noise (N. Guttenberg, 2023).

    White noise leaves the tone of 64 x 64 latents readable even at the last time, so that the network learns to read it
    there instead of in the prompt, and pictures made from pure noise come out grey.
    """
    whole = WHOLE * torch.randn(*x.shape[:2], 1, 1)
    areas = AREAS * torch.randn(*x.shape[:2], 4, 4)
    return whole + areas.repeat_interleave(x.shape[2] // 4, 2).repeat_interleave(x.shape[3] // 4, 3)


def draw(material: Material, alpha: Tensor, rng: np.random.Generator, *, batch: int, coarse: bool) -> Batch:
    """A random batch; 7 % of captions become zeros (what the pipeline sends for no prompt), 3 % empty."""
    i = torch.from_numpy(rng.integers(0, len(material.latents), batch))
    j = COPIES * i + torch.randint(0, COPIES, (batch,))
    tokens, pooled, u = material.tokens[j].float(), material.pooled[j].float(), torch.rand(batch)
    tokens[u < 0.07], pooled[u < 0.07] = 0.0, 0.0
    empty = (u >= 0.07) & (u < 0.10)
    tokens[empty], pooled[empty] = material.empty[0][0], material.empty[1][0]
    sizes, odd = torch.tensor([SIZE, SIZE, 0, 0, SIZE, SIZE]).repeat(batch, 1), torch.rand(batch) < 0.3
    asked = [torch.randint(96, 1025, (batch, 2)), torch.randint(0, 64, (batch, 2)), torch.randint(96, 1025, (batch, 2))]
    sizes[odd] = torch.cat(asked, 1).float()[odd]  # any size a person asks for must not be news to the network
    x, times = material.latents[i].float(), torch.randint(0, 1000, (batch,))
    noise, a = torch.randn_like(x) + tone_noise(x), alpha[times][:, None, None, None]
    noisy = a.sqrt() * x + (1 - a).sqrt() * noise
    if coarse:  # the same noise seen coarsely; x2 brings its variance back to 1
        noisy, noise = 2 * F.avg_pool2d(noisy, 2), 2 * F.avg_pool2d(noise, 2)
    noisy = noisy.contiguous(memory_format=torch.channels_last)
    return Batch(noisy, times, noise, tokens, pooled, sizes)


def save(out: Path, unet: UNet2DConditionModel, vae: Path, words: Words) -> None:
    """The whole pipeline folder in float16. Copies, because .to(float16) must not touch what is being trained."""
    first, second = copy.deepcopy(words.encoders)
    plain = build()
    plain.load_state_dict(unet.state_dict())
    pipe = StableDiffusionXLPipeline(
        vae=AutoencoderKL.from_pretrained(vae),
        text_encoder=first,
        text_encoder_2=second,
        tokenizer=words.tokenizers[0],
        tokenizer_2=words.tokenizers[1],
        unet=plain.eval(),
        scheduler=scheduler(),
        add_watermarker=False,
    )
    pipe.to(dtype=torch.float16).save_pretrained(out, safe_serialization=True)


def coarse_error(wrong: Tensor) -> Tensor:
    """Mean square error (b,) of what blocks of 4, 16 and 64 px have in common, on the noise's own scale.

    Tone and colour of whole areas are a thousandth of the plain error at 64 x 64 latents, and stayed grey without this.
    The best answer is the same: only the weight of low frequencies changes.
    """
    sides = [side for side in (4, 16, 64) if side <= wrong.shape[-1]]
    coarse = [(side * F.avg_pool2d(wrong, side)).square().mean((1, 2, 3)) for side in sides]
    return COARSE * torch.stack(coarse).sum(0)


def keep(o: argparse.Namespace, unet: UNet2DConditionModel, words: Words) -> None:
    """The pipeline folder, or only the UNet of the pooled stage."""
    if o.pooled:
        unet.save_pretrained(o.out / "unet")
    else:
        save(o.out, unet, o.vae, words)


def start(o: argparse.Namespace) -> UNet2DConditionModel:
    """A new UNet, a whole one to go on from (--init), or a new one around that of the pooled stage (--inner)."""
    if o.init:
        return UNet2DConditionModel.from_pretrained(o.init / "unet", torch_dtype=torch.float32)
    unet = build(pooled=o.pooled)
    if o.inner:
        print("new weights", len(widen(UNet2DConditionModel.from_pretrained(o.inner / "unet"), unet)), flush=True)
    return unet


def train(unet: UNet2DConditionModel, material: Material, words: Words, o: argparse.Namespace) -> None:
    """Trains in place with the min-SNR-5 loss (arXiv 2303.09556), saving the averaged weights every few minutes."""
    rng = np.random.default_rng(o.seed)
    run = torch.compile(unet, dynamic=False) if o.compile else unet
    alpha = alphas()
    weight = ((1 - alpha) / alpha * 5).clamp(max=1)
    learner = Learner(unet.parameters(), keep=0.996, beta2=0.99)
    saved = 0
    for tick in clock(o.minutes, rate=o.rate, warmup=150):
        b = draw(material, alpha, rng, batch=o.batch, coarse=o.pooled)
        with torch.autocast("cpu", torch.bfloat16):
            out = run(
                b.noisy,
                b.times,
                encoder_hidden_states=b.tokens,
                added_cond_kwargs={"text_embeds": b.pooled, "time_ids": b.sizes},
                return_dict=False,
            )[0]
        wrong = out.float() - b.noise
        loss = (weight[b.times] * (wrong.square().mean((1, 2, 3)) + coarse_error(wrong))).mean()
        learner.learn(loss, rate=tick.rate)
        if tick.step == 0 and (dead := dead_parameters(unet)):
            raise RuntimeError(f"no gradient reaches {dead[:5]}; train with --no-compile")
        learner.report(tick, every=100)
        if tick.seconds > (saved + 1) * SAVE_MINUTES * 60:
            saved += 1
            with learner.averaged():
                keep(o, unet, words)
    learner.install()
    keep(o, unet, words)
    print("steps", learner.steps, flush=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("data", type=Path)
    p.add_argument("latents", type=Path, help="file from make_latents")
    p.add_argument("vae", type=Path)
    p.add_argument(
        "text", type=Path, help="folder with tokenizers and text encoders: from train_text, or a whole checkpoint"
    )
    p.add_argument("out", type=Path)
    p.add_argument("--init", type=Path, help="checkpoint folder to go on from")
    p.add_argument(
        "--pooled", action="store_true", help="first stage: without the finest level, on latents pooled by 2"
    )
    p.add_argument("--inner", type=Path, help="folder of the pooled stage to build around")
    p.add_argument("--minutes", type=float, default=60)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rate", type=float, default=1.2e-3)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    o = p.parse_args()
    repair()
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    words = Words(o.text)
    unet = start(o)
    unet.to(memory_format=torch.channels_last).train()
    unet.set_attn_processor(AttnProcessor())  # plain matmuls: the fused attention's bf16 backward is slow on CPU
    print("parameters", sum(q.numel() for q in unet.parameters()), flush=True)
    train(unet, gather(o.latents, o.data, words, np.random.default_rng(o.seed + 1)), words, o)


if __name__ == "__main__":
    main()
