"""Scheduler objects of diffusers, made as the table says from what a checkpoint ships; loads torch and diffusers.

Knows nothing about pipelines, prompts or how often it is called: every call makes a new object and changes none.
"""

import functools
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import diffusers
import numpy as np
import torch

from pipelines.errors import CheckpointError, RecipeError
from pipelines.recipe import FamilyName, SchedulerChoice, Spacing
from pipelines.solver_table import KINDS, Value

_SHIFTS = ("base_shift", "max_shift", "shift", "use_dynamic_shifting")
_BY_SIZE = ("base_image_seq_len", "base_shift", "max_image_seq_len", "max_shift")
_FLAGS = ("use_beta_sigmas", "use_exponential_sigmas", "use_karras_sigmas")


@dataclass(frozen=True)
class Beginning:
    """Where a picture's denoising begins.

    `timestep`: what the network is told, 0 to 999 on SDXL and 0 to 1000 on FLUX. `sigma`, by `scale`: "noise over
    signal" (SDXL: standard deviation of the noise on a picture of unit scale, 14.6 at the most) or "share of noise"
    (FLUX: 0 = picture, 1 = noise).
    """

    timestep: float
    sigma: float
    scale: Literal["noise over signal", "share of noise"]


def build(
    choice: SchedulerChoice,
    shipped: Any,
    *,
    family: FamilyName,
    spacing: Spacing | None,
    seed: int,
    generator: torch.Generator,
) -> Any:
    """A new scheduler for one picture, from the checkpoint's own one; `schedulers.check` must have passed.

    On FLUX the generator is bound to its steps, since the stock pipelines do not pass one; DPM++ SDE takes the seed,
    since its class ignores generators. Raises CheckpointError where the checkpoint ships a scheduler that these classes
    cannot be made from, RecipeError for shift options that change nothing.
    """
    kind, config = KINDS[choice.name], dict(shipped.config)
    options = dict(kind.own) | dict(choice.options) | ({"timestep_spacing": spacing} if spacing else {})
    if family != "sdxl":
        return _bound(_flow(kind.classes[family], config, options), generator)
    if "beta_schedule" not in config or config.get("prediction_type") not in ("epsilon", "v_prediction"):
        raise CheckpointError(
            f"the checkpoint ships {type(shipped).__name__}, which no SDXL scheduler here can be made from; use a"
            " checkpoint with epsilon or v prediction and a beta schedule"
        )
    if kind.classes["sdxl"] == "DPMSolverSDEScheduler":
        options["noise_sampler_seed"] = seed
    return _made(getattr(diffusers, kind.classes["sdxl"]), config, options)


def begins_at(scheduler: Any, timestep: float | torch.Tensor) -> Beginning:
    """Where a picture begins whose first denoising step is at `timestep`, one of the scheduler's after set_timesteps.

    Holds for img2img and inpainting too, which begin in the middle. Raises ValueError for a timestep not on the grid.
    """
    first = float(timestep)
    found = [at for at, t in enumerate(scheduler.timesteps.tolist()) if t == first]
    if not found:
        raise ValueError(f"timestep {first} is not on the grid of {type(scheduler).__name__}")
    if hasattr(scheduler, "sigmas"):
        # a rounded grid may hold a timestep twice
        at = scheduler.begin_index if scheduler.begin_index in found else found[0]
        is_flow = isinstance(scheduler, _FLOW_CLASSES)
        return Beginning(first, float(scheduler.sigmas[at]), "share of noise" if is_flow else "noise over signal")
    signal = float(scheduler.alphas_cumprod[int(first)])
    return Beginning(first, ((1 - signal) / signal) ** 0.5, "noise over signal")


class _OnGrid:
    """A solver that walks the grid of FlowMatchEuler, FLUX's own, in place of the one it makes.

    Stock solvers round flow timesteps to whole numbers and begin at another sigma, so their pictures are not comparable
    with Euler's; they also take no `sigmas`, which img2img and inpainting pass.
    """

    grid: Any
    timesteps: torch.Tensor
    sigmas: torch.Tensor

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """Take the grid's timesteps and sigmas; the solver's own are made only to clear its history."""
        if sigmas is None:
            assert num_inference_steps is not None
            sigmas = np.linspace(1.0, 1 / num_inference_steps, num_inference_steps).tolist()
        self.grid.set_timesteps(sigmas=sigmas, device=device, mu=mu)
        super().set_timesteps(len(sigmas), device=device)  # type: ignore[misc]  # the solver, next in the order of bases
        self.timesteps, self.sigmas = self._laid(self.grid.timesteps, self.grid.sigmas.cpu())

    def _laid(self, timesteps: torch.Tensor, sigmas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return timesteps, sigmas.clamp(max=1 - 1e-6)  # log of the signal, 1 - sigma, must be finite


class _AnyMode(_OnGrid):
    """A solver on the grid that img2img and inpainting can use too."""

    def scale_noise(self, sample: torch.Tensor, timestep: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The name under which FLUX pipelines add noise."""
        noisy: torch.Tensor = self.add_noise(sample, noise, timestep)  # type: ignore[attr-defined]  # the solver's
        return noisy


class FlowUniPC(_AnyMode, diffusers.UniPCMultistepScheduler):  # type: ignore[misc]  # diffusers is untyped here
    """UniPC on FLUX's grid."""


class FlowDPMMultistep(_AnyMode, diffusers.DPMSolverMultistepScheduler):  # type: ignore[misc]  # as above
    """DPM++ 2M and its SDE relatives on FLUX's grid."""


class FlowDPMSinglestep(_AnyMode, diffusers.DPMSolverSinglestepScheduler):  # type: ignore[misc]  # as above
    """DPM++ 2S on FLUX's grid."""


class FlowHeun(_OnGrid, diffusers.FlowMatchHeunDiscreteScheduler):  # type: ignore[misc]  # as above
    """Heun on FLUX's grid: its tables hold every inner point twice, once per evaluation; text-to-image only."""

    def _laid(self, timesteps: torch.Tensor, sigmas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        paired = sigmas[1:-1].repeat_interleave(2)
        timesteps = torch.cat([timesteps[:1], timesteps[1:].repeat_interleave(2)])
        return timesteps, torch.cat([sigmas[:1], paired, sigmas[-1:]])


_ON_GRID: dict[str, Any] = {
    "UniPCMultistepScheduler": FlowUniPC,
    "DPMSolverMultistepScheduler": FlowDPMMultistep,
    "DPMSolverSinglestepScheduler": FlowDPMSinglestep,
    "FlowMatchHeunDiscreteScheduler": FlowHeun,
}
_FLOW_CLASSES = (_OnGrid, diffusers.FlowMatchEulerDiscreteScheduler, diffusers.FlowMatchLCMScheduler)


def _flow(name: str, config: dict[str, Any], options: dict[str, Value]) -> Any:
    if "base_shift" not in config:
        raise CheckpointError("the checkpoint ships no flow matching scheduler, so it is no FLUX one; check its family")
    _check_shift(config, options)
    if name not in _ON_GRID:
        return _made(getattr(diffusers, name), config, options)
    grid = _made(diffusers.FlowMatchEulerDiscreteScheduler, config, options)
    plain = {option: value for option, value in options.items() if option not in (*_FLAGS, *_SHIFTS)}
    flow = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    solver = _ON_GRID[name](**_known(_ON_GRID[name], plain | flow))
    solver.grid = grid
    # the pipelines read from the scheduler's config how far the grid moves with the picture's size
    solver.register_to_config(**{entry: grid.config[entry] for entry in _BY_SIZE})
    return solver


def _check_shift(config: dict[str, Any], options: dict[str, Value]) -> None:
    """FLUX's grid is moved either by `shift` or, dynamically, between `base_shift` and `max_shift` by picture size."""
    is_dynamic = options.get("use_dynamic_shifting", config["use_dynamic_shifting"])
    idle = [name for name in (("shift",) if is_dynamic else ("base_shift", "max_shift")) if name in options]
    if idle:
        now, other = ("true", "false") if is_dynamic else ("false", "true")
        raise RecipeError(
            f"scheduler option {idle[0]} changes nothing while use_dynamic_shifting is {now};"
            f" add use_dynamic_shifting={other} or leave {idle[0]} out"
        )


def _made(cls: Any, config: dict[str, Any], options: dict[str, Any]) -> Any:
    return cls.from_config(config, **_known(cls, options))


def _known(cls: Any, options: dict[str, Any]) -> dict[str, Any]:
    names = inspect.signature(cls.__init__).parameters
    return {option: value for option, value in options.items() if option in names}


def _bound(scheduler: Any, generator: torch.Generator) -> Any:
    if "generator" in inspect.signature(scheduler.step).parameters:
        scheduler.step = functools.partial(scheduler.step, generator=generator)
    return scheduler
