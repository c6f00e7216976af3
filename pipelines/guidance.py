"""Guidance that acts in a part of the steps only. Knows nothing about families: it sees calls of a denoiser.

Outside its interval classifier-free guidance is off when the unconditional answer equals the conditional one, as
u + g (c - u) = c. So the stock pipeline goes on as it is, and here the unconditional half is simply not computed.
(Kynkäänniemi et al. 2024, "Applying Guidance in a Limited Interval", arXiv 2404.07724.)
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_map_only

Forward = Callable[..., Any]


def within(interval: tuple[float, float], forward: Forward, *, evaluations: int, rows: int) -> Forward:
    """`forward` with guidance only where (evaluation / evaluations) lies in [begin, end).

    rows 2: both halves come in one call, unconditional first (SDXL). rows 1: two calls an evaluation, conditional first
    (FLUX's true guidance); the second is answered by the first's reply.
    """
    step = _halves(forward) if rows == 2 else _pairs(forward)
    calls = 0

    def limited(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        evaluation = calls if rows == 2 else calls // 2
        calls += 1
        return step(interval[0] <= evaluation / evaluations < interval[1], *args, **kwargs)

    return limited


def _halves(forward: Forward) -> Forward:
    def step(guided: bool, *args: Any, **kwargs: Any) -> Any:
        if guided:
            return forward(*args, **kwargs)
        answer = forward(*tree_map_only(torch.Tensor, _last, args), **tree_map_only(torch.Tensor, _last, kwargs))
        return tree_map_only(torch.Tensor, _twice, answer)

    return step


def _last(x: torch.Tensor) -> torch.Tensor:
    return x[1:] if x.ndim and len(x) == 2 else x


def _twice(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, x])


def _pairs(forward: Forward) -> Forward:
    calls, answer = 0, None

    def step(guided: bool, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls, answer
        is_conditional = calls % 2 == 0
        calls += 1
        if is_conditional or guided:
            answer = forward(*args, **kwargs)
        return answer

    return step
