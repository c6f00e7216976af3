"""The table of schedulers: which diffusers class a name stands for, with what options, and what is left out and why.

Knows nothing about spelling, recipes or scheduler objects. Errors quoted here were measured against an exact denoiser
with diffusers 0.42.1; the tests repeat them.
"""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.errors import RecipeError
from pipelines.recipe import FamilyName

Mode = Literal["text-to-image", "img2img", "inpaint"]
Value = str | int | float | bool
Own = tuple[tuple[str, Value], ...]

MODES: dict[FamilyName, tuple[Mode, ...]] = {
    "sdxl": ("text-to-image", "img2img", "inpaint"),
    "flux": ("text-to-image", "img2img", "inpaint"),
    "flux2": ("text-to-image", "inpaint"),
}


@dataclass(frozen=True)
class Option:
    """What one option of a scheduler class may be: one of `words`, true or false, or a number from `low` to `high`."""

    words: tuple[str, ...] = ()
    number: type[int] | type[float] | None = None
    low: float = 0
    high: float = 0

    def read(self, name: str, text: str) -> Value:
        """The value that the text means, in its one type (14 and 14.0 are the same); raises RecipeError."""
        if self.number:
            try:
                value = self.number(float(text))
            except (ValueError, OverflowError):
                value = self.number(self.low) - 1
            if not self.low <= value <= self.high or value != float(text):
                raise RecipeError(f"scheduler option {name}={text} must be from {self.low:g} to {self.high:g}")
            return value
        words = self.words or ("true", "false")
        if text.lower() not in words:
            raise RecipeError(f"scheduler option {name}={text} must be one of {', '.join(words)}")
        return text.lower() if self.words else text.lower() == "true"


OPTIONS = {
    "algorithm_type": Option(words=("dpmsolver++", "sde-dpmsolver++")),
    "base_shift": Option(number=float, low=-10, high=10),
    "clip_sample": Option(),
    "corrector_order": Option(number=int, low=1, high=4),
    "euler_at_final": Option(),
    "final_sigmas_type": Option(words=("zero", "sigma_min")),
    "lower_order_final": Option(),
    "max_shift": Option(number=float, low=-10, high=10),
    "original_inference_steps": Option(number=int, low=1, high=1000),
    "predictor_order": Option(number=int, low=1, high=4),
    "shift": Option(number=float, low=0.01, high=100),
    "sigma_max": Option(number=float, low=0.001, high=1000),
    "sigma_min": Option(number=float, low=0.001, high=1000),
    "skip_prk_steps": Option(),
    "solver_order": Option(number=int, low=1, high=3),
    "solver_type": Option(words=("midpoint", "heun")),
    "stochastic_sampling": Option(),
    "timestep_scaling": Option(number=float, low=0.1, high=100),
    "use_beta_sigmas": Option(),
    "use_dynamic_shifting": Option(),
    "use_exponential_sigmas": Option(),
    "use_karras_sigmas": Option(),
    "use_lu_lambdas": Option(),
}
"""Every option that a kind pins or accepts. What is not here stays as the checkpoint ships it."""

_SOLVER_TYPES = {
    "UniPCMultistepScheduler": Option(words=("bh1", "bh2")),
    "DEISMultistepScheduler": Option(words=("logrho",)),
}


@dataclass(frozen=True)
class Kind:
    """One name: its diffusers class per family and what goes with it.

    `own` are the options the name stands for: pinned, so that nothing a checkpoint ships leaks in. `accepts`: options a
    person may set. `spacing`: the families in which timestep spacing changes its grid; `unspaced`: why not on SDXL.
    `draws_noise`: its steps use the generator. `left_out` pairs a family, or a family and a mode, with the reason.
    """

    name: str
    classes: dict[FamilyName, str]
    own: Own
    accepts: tuple[tuple[FamilyName, tuple[str, ...]], ...] = ()
    evaluations: Literal["N", "2N-1", "N+1"] = "N"
    draws_noise: bool = False
    spacing: tuple[FamilyName, ...] = ("sdxl",)
    unspaced: str = ""
    aliases: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    note: str = ""

    def option(self, name: str) -> Option:
        """What this option may be for this kind's class."""
        is_own = name == "solver_type"
        return _SOLVER_TYPES.get(self.classes.get("sdxl", ""), OPTIONS[name]) if is_own else OPTIONS[name]


@dataclass(frozen=True)
class _Base:
    """A Kind before its variants by noise schedule (karras, exponential, beta) are made."""

    name: str
    sdxl: str = ""
    flux: str = ""
    own: Own = ()
    takes: tuple[str, ...] = ()
    flow_takes: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("karras", "exponential", "beta")
    range: tuple[str, ...] = ()
    evaluations: Literal["N", "2N-1", "N+1"] = "N"
    draws_noise: bool = False
    spaced: Literal["always", "plain", "never"] = "always"
    unspaced: str = ""
    aliases: tuple[str, ...] = ()
    out: dict[str, str] = field(default_factory=dict)
    note: str = ""


_FLOW = ("base_shift", "max_shift", "shift", "use_dynamic_shifting")
_FLOW_2 = ("shift", "use_dynamic_shifting")  # FLUX.2's pipelines move the grid by a formula of their own
_WHOLE_RANGE = "it spans the whole training range"
_NO_FLOW = "its class knows no flow matching"
_ONLY_FLOW = "its class is for flow models only"
_DISTILLED = "only with the LoRA or the distilled weights made for it"
_DPM: Own = (
    ("algorithm_type", "dpmsolver++"),
    ("euler_at_final", False),
    ("final_sigmas_type", "zero"),
    ("lower_order_final", True),
    ("solver_order", 2),
    ("solver_type", "midpoint"),
    ("use_lu_lambdas", False),
)


def _dpm(**changes: Value) -> Own:
    return tuple((dict(_DPM) | changes).items())


_BASES = (
    _Base(
        "euler", "EulerDiscrete", "FlowMatchEulerDiscrete",
        own=(("final_sigmas_type", "zero"), ("stochastic_sampling", False)),
        takes=("final_sigmas_type",), flow_takes=_FLOW, range=("sigma_max", "sigma_min"), aliases=("Euler",),
    ),
    _Base(
        "euler-ancestral", "EulerAncestralDiscrete", variants=(), draws_noise=True,
        aliases=("Euler a",), out={"flux": _NO_FLOW + "; euler-stochastic is near"},
    ),
    _Base(
        "euler-stochastic", flux="FlowMatchEulerDiscrete", variants=(), draws_noise=True, flow_takes=_FLOW,
        own=(("stochastic_sampling", True),), out={"sdxl": _ONLY_FLOW},
    ),
    _Base(
        "heun", "HeunDiscrete", "FlowMatchHeunDiscrete", evaluations="2N-1", flow_takes=_FLOW, aliases=("Heun",),
        out=dict.fromkeys(
            ("flux img2img", "flux inpaint"),
            "the stock pipeline takes its 2N-1 evaluations for steps and starts too late (relative error 0.2 to 0.6)",
        ),
    ),
    _Base("dpm2", "KDPM2Discrete", evaluations="2N-1", aliases=("DPM2", "dpm_2"), out={"flux": _NO_FLOW}),
    _Base(
        "dpm2-ancestral", "KDPM2AncestralDiscrete", evaluations="2N-1", draws_noise=True,
        aliases=("DPM2 a", "dpm_2_ancestral"), out={"flux": _NO_FLOW},
    ),
    _Base(
        "dpmpp-2m", "DPMSolverMultistep", "DPMSolverMultistep", own=_DPM, spaced="plain",
        takes=("euler_at_final", "final_sigmas_type", "solver_order", "solver_type"),
        flow_takes=("solver_order", "solver_type", *_FLOW), aliases=("DPM++ 2M",),
    ),
    _Base(
        "dpmpp-2m-sde", "DPMSolverMultistep", "DPMSolverMultistep", own=_dpm(algorithm_type="sde-dpmsolver++"),
        takes=("euler_at_final", "final_sigmas_type"), flow_takes=_FLOW, draws_noise=True, spaced="plain",
        aliases=("DPM++ 2M SDE", "dpmpp_2m_sde_gpu"),
    ),
    _Base(
        "dpmpp-2m-sde-heun", "DPMSolverMultistep", "DPMSolverMultistep", draws_noise=True, spaced="plain",
        own=_dpm(algorithm_type="sde-dpmsolver++", solver_type="heun"),
        takes=("euler_at_final", "final_sigmas_type"), flow_takes=_FLOW,
        aliases=("DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun_gpu"),
    ),
    _Base(
        "dpmpp-sde", "DPMSolverSDE", evaluations="2N-1", draws_noise=True,
        aliases=("DPM++ SDE", "dpmpp_sde_gpu"), out={"flux": _NO_FLOW},
    ),
    _Base(
        "dpmpp-2s", "DPMSolverSinglestep", "DPMSolverSinglestep", spaced="never", unspaced="its class has no spacing",
        own=tuple((name, value) for name, value in _DPM if name not in ("euler_at_final", "use_lu_lambdas")),
        takes=("final_sigmas_type", "solver_order", "solver_type"), flow_takes=("solver_order", "solver_type", *_FLOW),
        note="not ancestral, unlike A1111's DPM++ 2S a",
    ),
    _Base("lms", "LMSDiscrete", aliases=("LMS",), out={"flux": _NO_FLOW}),
    _Base(
        "unipc", "UniPCMultistep", "UniPCMultistep", spaced="plain",
        own=(("final_sigmas_type", "zero"), ("lower_order_final", True), ("solver_order", 2), ("solver_type", "bh2")),
        takes=("final_sigmas_type", "solver_order"), flow_takes=("solver_order", *_FLOW),
        range=("sigma_max", "sigma_min"), aliases=("UniPC", "uni_pc_bh2"),
        note="bh2; A1111's UniPC is bh1 unless changed",
    ),
    _Base(
        "unipc-bh1", "UniPCMultistep", spaced="plain", takes=("solver_order",),
        own=(
            ("final_sigmas_type", "sigma_min"), ("lower_order_final", True),
            ("solver_order", 2), ("solver_type", "bh1"),
        ),
        range=("sigma_max", "sigma_min"), aliases=("uni_pc",), out={"flux": "bh1 is NaN on a grid that ends at zero"},
        note="ends at the smallest sigma: bh1 is NaN on a grid that ends at zero",
    ),
    _Base(
        "ddim", "DDIM", own=(("clip_sample", False),), variants=(), aliases=("DDIM",), out={"flux": _NO_FLOW},
    ),
    _Base("ddpm", "DDPM", own=(("clip_sample", False),), variants=(), draws_noise=True, out={"flux": _NO_FLOW}),
    _Base(
        "pndm", "PNDM", own=(("skip_prk_steps", True),), variants=(), evaluations="N+1", aliases=("PLMS",),
        out={"flux": _NO_FLOW},
    ),
    _Base(
        "deis", "DEISMultistep", own=(("lower_order_final", True), ("solver_order", 2), ("solver_type", "logrho")),
        takes=("solver_order",), spaced="plain",
        out={"flux": "it ends at its last sigma above zero, so noise stays (relative error 0.08)"},
    ),
    _Base(
        "sa-solver", "SASolver", own=(("corrector_order", 2), ("lower_order_final", True), ("predictor_order", 2)),
        takes=("corrector_order", "predictor_order"), draws_noise=True,
        spaced="plain", out={"flux": "it is NaN on flow models"},
    ),
    _Base(
        "lcm", "LCM", "FlowMatchLCM", own=(("clip_sample", False), ("original_inference_steps", 50)), variants=(),
        takes=("original_inference_steps", "timestep_scaling"), flow_takes=_FLOW, draws_noise=True,
        spaced="never", unspaced="it walks the grid it was distilled on", aliases=("LCM",), note=_DISTILLED,
    ),
    _Base(
        "tcd", "TCD", own=(("clip_sample", False), ("original_inference_steps", 50)), variants=(),
        takes=("original_inference_steps", "timestep_scaling"), spaced="never",
        unspaced="it walks the grid it was distilled on", aliases=("TCD",), out={"flux": _NO_FLOW}, note=_DISTILLED,
    ),
)  # fmt: skip

LEFT_OUT = {
    "ipndm": "diffusers' iPNDM walks timesteps from 0 to 1 of its own, wrong at any step count (relative error 0.14)",
    "dpmpp-3m-sde": "diffusers' third-order SDE has a wrong sign, so noise grows with the steps; say dpmpp-2m-sde",
    "sa-solver-beta": "on this grid it overshoots (values come out 2.3 times too large at 20 steps)",
    "dpmpp-2m-sde-heun-beta": "on this grid it overshoots (values come out 1.5 times too large at 20 steps)",
    "unipc-bh1-beta": "on this grid it overshoots (values come out 1.3 times too large at 20 steps)",
}
"""Names that would be in the table but give wrong pictures with diffusers, everywhere, and why."""


def _kinds(base: _Base) -> list[Kind]:
    return [_kind(base, variant) for variant in ("", *base.variants) if f"{base.name}-{variant}" not in LEFT_OUT]


def _kind(base: _Base, variant: str) -> Kind:
    flags: Own = ()
    if base.variants or base.flux.startswith("FlowMatch"):
        flags = tuple((f"use_{name}_sigmas", name == variant) for name in ("karras", "exponential", "beta"))
    classes: dict[FamilyName, str] = {"sdxl": base.sdxl, "flux": base.flux, "flux2": base.flux}
    is_spaced = base.spaced == "always" or (base.spaced == "plain" and not variant)
    takes = tuple(sorted(base.takes + (base.range if variant else ())))
    flow_2_takes = tuple(option for option in base.flow_takes if option not in _FLOW or option in _FLOW_2)
    return Kind(
        name=f"{base.name}-{variant}" if variant else base.name,
        classes={family: f"{name}Scheduler" for family, name in classes.items() if name},
        own=base.own + flags,
        accepts=(("sdxl", takes), ("flux", base.flow_takes), ("flux2", flow_2_takes)),
        evaluations=base.evaluations,
        draws_noise=base.draws_noise,
        spacing=("sdxl",) if is_spaced and base.sdxl else (),
        unspaced=base.unspaced or _WHOLE_RANGE,
        aliases=tuple(_with_variant(alias, variant) for alias in base.aliases),
        left_out=tuple(_for_both_flows(base.out).items()),
        note=base.note,
    )


def _for_both_flows(out: dict[str, str]) -> dict[str, str]:
    """What FLUX.1 cannot use FLUX.2 cannot either."""
    flow_2 = {place.replace("flux", "flux2"): reason for place, reason in out.items() if place.startswith("flux")}
    return out | {place: reason for place, reason in flow_2.items() if place != "flux2 img2img"}


def _with_variant(alias: str, variant: str) -> str:
    """A1111 writes "DPM++ 2M Karras"; ComfyUI's names are lower case."""
    return f"{alias} {variant.title() if alias[0].isupper() else variant}".strip()


KINDS = {kind.name: kind for base in _BASES for kind in _kinds(base)}
"""Every name that works somewhere, in the order of the printed table."""
