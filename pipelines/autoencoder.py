"""Latents to pixels and back through a checkpoint's autoencoder. Knows nothing about prompts or denoising.

Latents here are (1, channels, h, w) as the denoiser leaves them, scaled to about unit variance; pixels are sRGB.
"""

from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKLOutput
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from numpy.typing import NDArray

from pipelines.errors import CellError

PROBES = 64  # random latents that the preview's colours are fitted on: many times the unknowns of 16 channels


@torch.no_grad()
def decode(vae: Any, latents: torch.Tensor) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """(height, width, 3) float32 in 0..1, and warnings; equal to the stock pipelines' pixels before they become bytes.

    Values that are no numbers are decoded once more in float32; raises CellError if that does not help.
    """
    if not torch.isfinite(latents).all():
        raise CellError("the latents are not finite (NaN, infinity); try another scheduler, more steps, less guidance")
    scaled = _unscaled(vae, latents.to(vae.dtype))
    warnings: tuple[str, ...] = ()
    decoded = vae.decode(scaled, return_dict=False)[0]
    if not torch.isfinite(decoded).all() and vae.dtype != torch.float32:
        dtype = vae.dtype
        decoded = vae.float().decode(_unscaled(vae, latents.float()), return_dict=False)[0]
        vae.to(dtype)
        warnings = (f"decoded in float32, as {dtype} gave values that are no numbers",)
    if not torch.isfinite(decoded).all():
        raise CellError("the decoded picture is not finite (NaN, infinity); the autoencoder does not fit these latents")
    shown = (decoded * 0.5 + 0.5).clamp(0, 1)
    pixels: NDArray[np.float32] = shown[0].permute(1, 2, 0).cpu().float().numpy()
    return pixels, warnings


@torch.no_grad()
def posterior(vae: Any, x: torch.Tensor) -> torch.Tensor:
    """Mean and log-variance (1, 2 channels, h, w) of pixels x (1, 3, height, width) in -1..1."""
    moments: torch.Tensor = vae.encode(x.to(vae.dtype)).latent_dist.parameters
    return moments


def as_encoded(moments: torch.Tensor, dtype: torch.dtype) -> AutoencoderKLOutput:
    """What `vae.encode` would have answered, in the asker's dtype; every asker draws its own sample from it."""
    return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(moments.to(dtype)))


@torch.no_grad()
def preview_colours(vae: Any) -> torch.Tensor:
    """(channels + 1, 3): the linear map from latents (and 1) to sRGB in 0..1 that fits this autoencoder best.

    Fitted by least squares on smooth random latents, so it holds for any autoencoder; seeded.
    """
    generator = torch.Generator("cpu").manual_seed(0)
    channels = vae.config.latent_channels
    flat = torch.randn(PROBES, channels, 1, 1, generator=generator)
    latents = flat.expand(-1, -1, 8, 8) + 0.3 * torch.randn(PROBES, channels, 8, 8, generator=generator)
    seen = []
    for one in torch.split(latents, 8):
        shown = vae.decode(_unscaled(vae, one.to(vae.device, vae.dtype)), return_dict=False)[0].float() * 0.5 + 0.5
        seen.append(torch.nn.functional.adaptive_avg_pool2d(shown, (8, 8)).cpu())
    rows = latents.permute(0, 2, 3, 1).reshape(-1, channels)
    colours = torch.cat(seen).permute(0, 2, 3, 1).reshape(-1, 3)
    fitted: torch.Tensor = torch.linalg.lstsq(_with_one(rows), colours).solution
    return fitted


def preview(colours: torch.Tensor, latents: torch.Tensor) -> NDArray[np.uint8]:
    """(h, w, 3) bytes, one pixel a latent: rough colours only, never to judge skin by."""
    _, channels, height, width = latents.shape
    rows = latents[0].float().cpu().permute(1, 2, 0).reshape(-1, channels)
    shown: NDArray[np.float32] = (_with_one(rows) @ colours).clamp(0, 1).reshape(height, width, 3).numpy()
    return (shown * 255).round().astype(np.uint8)


def _with_one(rows: torch.Tensor) -> torch.Tensor:
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)


def _unscaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Undo the scaling that gives latents unit variance, as the stock pipelines do (by what the config holds)."""
    config = vae.config
    mean, spread = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is not None and spread is not None:
        shape = (1, -1, 1, 1)
        mean, spread = (torch.tensor(v).view(shape).to(latents.device, latents.dtype) for v in (mean, spread))
        restored: torch.Tensor = latents * spread / config.scaling_factor + mean
        return restored
    scaled: torch.Tensor = latents / config.scaling_factor
    shift = getattr(config, "shift_factor", None)
    return scaled + shift if shift else scaled
