"""Latents to pixels and back through a checkpoint's autoencoder. Knows nothing about prompts or denoising.

Latents here are (1, channels, h, w) as the denoiser leaves them, scaled to about unit variance; pixels are sRGB.
FLUX.2's denoiser leaves patches of 2 x 2 latents, (1, 4 channels, h/2, w/2), but its pipelines end with unscaled ones.
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
    """(channels + 1, 3): the linear map from unscaled latents (and 1) to sRGB in 0..1 that fits this autoencoder best.

    Fitted by least squares on smooth random latents, so it holds for any autoencoder; seeded.
    """
    generator = torch.Generator("cpu").manual_seed(0)
    channels, side = (vae.bn.num_features, 4) if _is_patched(vae) else (vae.config.latent_channels, 8)
    flat = torch.randn(PROBES, channels, 1, 1, generator=generator)
    latents = flat.expand(-1, -1, side, side) + 0.3 * torch.randn(PROBES, channels, side, side, generator=generator)
    rows, colours = [], []
    for one in torch.split(latents, 8):
        unscaled = _unscaled(vae, one.to(vae.device, vae.dtype))
        shown = vae.decode(unscaled, return_dict=False)[0].float() * 0.5 + 0.5
        rows.append(_rows(unscaled))
        colours.append(_rows(torch.nn.functional.adaptive_avg_pool2d(shown, (8, 8))))
    fitted: torch.Tensor = torch.linalg.lstsq(_with_one(torch.cat(rows)), torch.cat(colours)).solution
    return fitted


def preview(vae: Any, colours: torch.Tensor, latents: torch.Tensor) -> NDArray[np.uint8]:
    """(h, w, 3) bytes, one pixel a latent: rough colours only, never to judge skin by."""
    unscaled = _unscaled(vae, latents)
    shown = (_with_one(_rows(unscaled)) @ colours).clamp(0, 1).reshape(*unscaled.shape[2:], 3)
    pixels: NDArray[np.uint8] = (shown.numpy() * 255).round().astype(np.uint8)
    return pixels


def _rows(pictures: torch.Tensor) -> torch.Tensor:
    """(n, channels, h, w) -> (n * h * w, channels), as float32 on the CPU."""
    return pictures.float().cpu().permute(0, 2, 3, 1).reshape(-1, pictures.shape[1])


def _with_one(rows: torch.Tensor) -> torch.Tensor:
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)


def _is_patched(vae: Any) -> bool:
    """FLUX.2's autoencoder keeps mean and variance of every place in a patch, as a batch norm."""
    return hasattr(vae, "bn")


def _unscaled(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Undo the scaling that gives latents unit variance, as the stock pipelines do (by what the config holds)."""
    config = vae.config
    if _is_patched(vae):
        return latents if latents.shape[1] == config.latent_channels else _unpatched(vae, latents)
    mean, spread = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
    if mean is not None and spread is not None:
        shape = (1, -1, 1, 1)
        mean, spread = (torch.tensor(v).view(shape).to(latents.device, latents.dtype) for v in (mean, spread))
        restored: torch.Tensor = latents * spread / config.scaling_factor + mean
        return restored
    scaled: torch.Tensor = latents / config.scaling_factor
    shift = getattr(config, "shift_factor", None)
    return scaled + shift if shift else scaled


def _unpatched(vae: Any, patches: torch.Tensor) -> torch.Tensor:
    """(n, 4 c, h, w) of unit variance -> (n, c, 2 h, 2 w) as the decoder takes them."""
    n, channels, h, w = patches.shape
    mean, variance = (v.view(1, -1, 1, 1).to(patches) for v in (vae.bn.running_mean, vae.bn.running_var))
    restored: torch.Tensor = patches * torch.sqrt(variance + vae.config.batch_norm_eps) + mean
    places = restored.reshape(n, channels // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
    return places.reshape(n, channels // 4, 2 * h, 2 * w)
