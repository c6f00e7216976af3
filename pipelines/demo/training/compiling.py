"""Repairs one fault of torch.compile on a CPU, and finds parameters that no gradient reaches.

Knows nothing about what is trained.
"""

from typing import Any

import torch
from torch import Tensor, nn


def double(x: Tensor, scale_factor: float | None = None, mode: str = "nearest", **_: Any) -> Tensor:
    """Nearest-neighbour doubling of (b, c, h, w) by expand.

    With torch 2.13 on a CPU (bfloat16, channels_last) the compiled gradient of F.interpolate came out as all zeros, so
    that nothing before an upsampler learned. Found by comparing with eager.
    """
    if mode != "nearest" or scale_factor != 2.0:
        raise ValueError(f"only nearest x2 is replaced here, not {mode} x{scale_factor}")
    b, c, h, w = x.shape
    return x[:, :, :, None, :, None].expand(b, c, h, 2, w, 2).reshape(b, c, 2 * h, 2 * w)


def repair() -> None:
    """Replaces F.interpolate for this process: training needs nothing of it but doubling."""
    torch.nn.functional.interpolate = double  # type: ignore[assignment]  # the whole point


def dead_parameters(model: nn.Module) -> list[str]:
    """Names of the trainable parameters whose gradient is missing or all zero after a backward pass."""
    return [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or p.grad.abs().max().item() == 0)
    ]
