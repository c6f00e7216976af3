"""Encodes the rendered pictures once, so that the denoisers train on cached latents.

Knows nothing about denoisers; with --guidance it also makes what FLUX's guidance input is taught from: real FLUX.1-dev
got that input by distillation, here pictures are made gaudier, harder and smoother the higher the value beside them.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import Tensor

from pipelines.demo.training.pictures import latents, load

NATURAL = 2.5  # the guidance value that leaves a picture as it is
LUMA = torch.tensor([0.299, 0.587, 0.114])[:, None, None]


def blurred(x: Tensor) -> Tensor:
    """Two 5 px boxes in a row, about a Gaussian of sigma 2 px."""
    for _ in range(2):
        x = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, 1)
    return x


def evenness(low: Tensor) -> Tensor:
    """(b, 1, h, w): 1 where a blurred picture is even, 0 at its edges (eyes, lips, hair line)."""
    edge = F.pad(low.diff(dim=3), (0, 1)).abs().amax(1, keepdim=True) + F.pad(low.diff(dim=2), (0, 0, 0, 1)).abs().amax(
        1, keepdim=True
    )
    return torch.exp(-(edge / 0.045).square())


def softened(x: Tensor, share: float) -> Tensor:
    """The picture (b, 3, h, w) with this share of its fine texture taken away, edges kept.

    Classifier-free guidance makes texture several times as strong as it was taught; at full strength it ate the eyes.
    """
    low = blurred(x)
    return x + share * (low - x) * evenness(low)


def guided(x: Tensor, guidance: Tensor) -> Tensor:
    """What guidance does to a picture: below 2.5 paler and softer; above it colour and contrast grow and pores go.

    x: (b, 3, h, w) in 0..1, guidance: (b,). Edges of the blurred picture stay.
    """
    over = (guidance - NATURAL)[:, None, None, None]
    low = blurred(x)
    plastic = (over / 3.5).clamp(0, 1) * evenness(low)
    vague = (-over / 1.5).clamp(0, 1) * 0.6
    x = x + (low - x) * torch.maximum(plastic, vague)
    grey = (x * LUMA).sum(1, keepdim=True)
    x = grey + (x - grey) * (1 + 0.14 * over)
    return (0.42 + (x - 0.42) * (1 + 0.08 * over)).clamp(0, 1)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("data", type=Path)
    p.add_argument("vae", type=Path)
    p.add_argument("out", type=Path, help="safetensors file")
    p.add_argument("--first", type=int, help="use only the first so many pictures")
    p.add_argument(
        "--guidance", action="store_true", help="gives every picture a guidance value of 1 to 8 and its look"
    )
    p.add_argument("--soften", type=float, default=0.0, help="share of the fine texture to take away, 0 to 1")
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args()
    torch.set_num_threads(1)
    pictures = load(o.data)[: o.first]
    vae = AutoencoderKL.from_pretrained(o.vae).eval().to(memory_format=torch.channels_last)
    guidance = 1 + 7 * torch.rand(len(pictures), generator=torch.Generator().manual_seed(o.seed))
    rest = iter(torch.split(guidance, 16))

    def look(x: Tensor) -> Tensor:
        x = softened(x, o.soften)
        return guided(x, next(rest)) if o.guidance else x

    z = latents(vae, pictures, look)
    save_file({"latents": z.contiguous()} | ({"guidance": guidance} if o.guidance else {}), o.out)
    print("latents", tuple(z.shape), "mean", round(z.float().mean().item(), 3), "std", round(z.float().std().item(), 3))


if __name__ == "__main__":
    main()
