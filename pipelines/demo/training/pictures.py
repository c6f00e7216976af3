"""Reads the rendered pictures as training material: crops for the autoencoders, latents for the denoisers.

Knows nothing about captions.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

Pictures = NDArray[np.uint8]  # (count, height, width, 3), sRGB


def load(folder: Path) -> Pictures:
    """All pictures of a data folder, mapped, not read."""
    pictures: Pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    return pictures


def signed(pictures: NDArray[np.generic]) -> Tensor:
    """(b, h, w, 3) in 0..255 as (b, 3, h, w) in -1..1, channels last in memory."""
    x = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float()
    return (x / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def crops(pictures: Pictures, rng: np.random.Generator, *, batch: int, size: int) -> Tensor:
    """(batch, 3, size, size) in -1..1, mirrored, turned and tinted at random so that other pictures survive too."""
    out = np.empty((batch, size, size, 3), np.float32)
    for i in range(batch):
        y, x = rng.integers(0, pictures.shape[1] - size + 1, 2)
        crop = pictures[rng.integers(len(pictures)), y : y + size, x : x + size]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        if rng.random() < 0.2:
            crop = np.rot90(crop, int(rng.integers(1, 4)))
        out[i] = crop
        if rng.random() < 0.3:
            out[i] = np.clip(out[i] * rng.uniform(0.8, 1.25, 3) + rng.uniform(-15, 15), 0, 255)
    return signed(out)


@torch.no_grad()
def latents(vae: AutoencoderKL, pictures: Pictures, change: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Scaled latents (count, channels, h, w), float16, of all pictures; `change` edits a batch in 0..1 first."""
    out = []
    for i in range(0, len(pictures), 16):
        x = signed(pictures[i : i + 16])
        if change is not None:
            x = change((x + 1) / 2) * 2 - 1
        with torch.autocast("cpu", torch.bfloat16):
            z = vae.encode(x.contiguous(memory_format=torch.channels_last)).latent_dist.mean.float()
        out.append(((z - (vae.config.shift_factor or 0)) * vae.config.scaling_factor).half().contiguous())
    return torch.cat(out)
