"""Trains an autoencoder's decoder alone, on slightly wrong latents, and swaps it into a checkpoint.

The latents stay what they were, so the denoiser need not be trained again. Here the amount of fine detail weighs more
than its exact place: that is what gives skin back its grain. Whole pictures, because group norms see another mean in
a crop. Knows nothing about captions.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from pipelines.demo.training.compiling import repair
from pipelines.demo.training.loop import Learner, clock
from pipelines.demo.training.pictures import crops, load

WRONG = 0.12  # at most this share of a latent's spread is replaced by noise: what a denoiser leaves


def loss_of(made: Tensor, x: Tensor) -> Tensor:
    """As in train_vae, but the local amount of detail at two scales outweighs its place."""
    total = F.l1_loss(made, x)
    for dim in (2, 3):
        a, b = made.diff(dim=dim), x.diff(dim=dim)
        total = total + 0.25 * F.l1_loss(a, b)
        for size in (4, 8):
            total = total + 0.6 * F.l1_loss(
                F.avg_pool2d(a.abs(), size, size // 2), F.avg_pool2d(b.abs(), size, size // 2)
            )
    low, low_x = F.avg_pool2d(made, 4), F.avg_pool2d(x, 4)
    hue, hue_x = low - low.mean(1, keepdim=True), low_x - low_x.mean(1, keepdim=True)
    return total + F.l1_loss(low, low_x) + 5 * F.l1_loss(hue, hue_x)


class Decode(nn.Module):
    """Decodes latents given in the autoencoder's own scale."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.vae.decode(z, return_dict=False)[0]
        return made


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("data", type=Path)
    p.add_argument("vae", type=Path)
    p.add_argument("out", type=Path)
    p.add_argument("--minutes", type=float, default=8)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--crop", type=int, default=256)
    p.add_argument("--rate", type=float, default=6e-4)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    o = p.parse_args()
    repair()
    torch.set_num_threads(1)
    torch.manual_seed(o.seed)
    rng = np.random.default_rng(o.seed)
    pictures = load(o.data)
    vae = AutoencoderKL.from_pretrained(o.vae, torch_dtype=torch.float32).to(memory_format=torch.channels_last)
    run = torch.compile(Decode(vae), dynamic=False) if o.compile else Decode(vae)
    learner = Learner(
        [q for n, q in vae.named_parameters() if n.startswith(("decoder", "post_quant"))], keep=0.995, decay=1e-3
    )
    for tick in clock(o.minutes, rate=o.rate, warmup=50):
        x = crops(pictures, rng, batch=o.batch, size=o.crop)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                z = vae.encode(x).latent_dist.mean.float()
                z = z + torch.rand(o.batch, 1, 1, 1) * WRONG / vae.config.scaling_factor * torch.randn_like(z)
            made = run(z)
        learner.learn(loss_of(made.float().contiguous(), x.contiguous()), rate=tick.rate)
        learner.report(tick, every=50)
    learner.install()
    vae.eval().to(torch.float16).save_pretrained(o.out)
    print("steps", learner.steps, flush=True)


if __name__ == "__main__":
    main()
