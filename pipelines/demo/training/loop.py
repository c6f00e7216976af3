"""What the training scripts share: a clock that anneals the rate, AdamW, and a moving average of the weights.

Knows nothing about what is trained or on what.
"""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Tick:
    """One training step: its number from 0, the share of the time that is over (0 to 1), and the learning rate."""

    step: int
    done: float
    rate: float
    seconds: float


def clock(minutes: float, *, rate: float, warmup: int) -> Iterator[Tick]:
    """Ticks until `minutes` are over; the rate warms up by steps and falls by cosine with the time, to 2 %.

    The first step, which may compile, is not counted. Training by the clock ends when it should on any machine.
    """
    start: float | None = None
    step = 0
    while True:
        seconds = 0.0 if start is None else time.monotonic() - start
        done = seconds / 60 / minutes
        if done >= 1:
            return
        now = rate * min(1.0, (step + 1) / warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        yield Tick(step=step, done=done, rate=now, seconds=seconds)
        start = start or time.monotonic()
        step += 1


class Learner:
    """Holds an AdamW optimiser over some parameters and the moving average of their values."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, keep: float, beta2: float = 0.98, decay: float = 0.01
    ) -> None:
        self.parameters = list(parameters)
        self.keep = keep
        self.optimiser = torch.optim.AdamW(self.parameters, lr=0.0, betas=(0.9, beta2), weight_decay=decay, fused=True)
        self.average = [p.detach().clone() for p in self.parameters]
        self.steps = 0
        self.loss = 0.0

    def learn(self, loss: Tensor, *, rate: float) -> None:
        """One step down the gradient of `loss`, clipped to norm 1."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.steps += 1
        keep = min(self.keep, self.steps / (self.steps + 20))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - keep)
        self.loss = loss.item() if self.steps == 1 else 0.98 * self.loss + 0.02 * loss.item()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside the block the parameters hold their moving averages, after it their own values again."""
        own = [p.detach().clone() for p in self.parameters]
        self._set(self.average)
        try:
            yield
        finally:
            self._set(own)

    def install(self) -> None:
        """Puts the moving averages in place for good."""
        self._set(self.average)

    def _set(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)

    def report(self, tick: Tick, *, every: int) -> None:
        """Prints the running loss and the mean seconds a step."""
        if self.steps % every == 0:
            print(
                f"{self.steps} {tick.done:.2f} loss {self.loss:.4f} {tick.seconds / max(1, tick.step):.3f} s",
                flush=True,
            )
