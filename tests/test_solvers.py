"""Schedulers as built: the table against the installed diffusers, and every kind run in the stock pipelines."""

import inspect
import math
from functools import cache
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from tiny import SIZE, tiny_flux, tiny_flux2, tiny_sdxl

from pipelines.errors import CheckpointError, RecipeError
from pipelines.recipe import SchedulerChoice
from pipelines.schedulers import check, evaluations, named, walked
from pipelines.solver_table import KINDS, LEFT_OUT, MODES, OPTIONS
from pipelines.solvers import begins_at, build

pytestmark = [
    pytest.mark.filterwarnings("ignore:Should have t:UserWarning"),  # torchsde rounds its ends to float32
    pytest.mark.filterwarnings("ignore:The `scale_model_input`:UserWarning"),  # steps alone, without their pipeline
]
PIPELINES = {"text-to-image": "", "img2img": "Img2Img", "inpaint": "Inpaint"}
PAIRS = [(name, family) for name, kind in KINDS.items() for family in kind.classes]
BASES = [pair for pair in PAIRS if not pair[0].endswith(("-karras", "-exponential", "-beta"))]
ON_SDXL = [name for name, family in PAIRS if family == "sdxl"]
MEASURED = [name for name in ON_SDXL if not name.endswith("-exponential") and not name.startswith("dpm2")]
MEASURED += ["dpm2", "dpm2-ancestral-karras"]  # making their tables is slow
REPEATED = [(name, family, mode) for name, family in BASES for mode in MODES[family] if mode != "text-to-image"]
REPEATED += [(name, family, "text-to-image") for name, family in BASES if KINDS[name].draws_noise]
STEPS, STRENGTH = 4, 0.7


@cache
def components(family: str) -> dict[str, Any]:
    return {"sdxl": tiny_sdxl, "flux": tiny_flux, "flux2": tiny_flux2}[family]()


@cache
def encoded(family: str) -> dict[str, torch.Tensor]:
    """The arguments that stand for a prompt, and on SDXL for the empty negative one."""
    parts = components(family)
    if family == "flux2":
        pipeline = diffusers.Flux2KleinPipeline(**parts)
        words = [pipeline.encode_prompt(text, max_sequence_length=32)[0] for text in ("a portrait, side light", "")]
        return dict(zip(("prompt_embeds", "negative_prompt_embeds"), words, strict=True))
    if family == "flux":
        pipeline = diffusers.FluxPipeline(**parts)
        words = pipeline.encode_prompt("a portrait, side light", None, max_sequence_length=32)
        return dict(zip(("prompt_embeds", "pooled_prompt_embeds"), words[:2], strict=True))
    words = diffusers.StableDiffusionXLPipeline(**parts).encode_prompt("a portrait, side light", device="cpu")
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
    return dict(zip(names, words, strict=True))


def made(choice: SchedulerChoice, family: str, **changes: Any) -> Any:
    """`build` with a seeded generator and the family's own scheduler, where not said otherwise."""
    seed = changes.pop("seed", 3)
    shipped = changes.pop("shipped", components(family)["scheduler"])
    given = {"spacing": None, "generator": torch.Generator().manual_seed(seed)} | changes
    return build(choice, shipped, family=family, seed=seed, **given)


def run(choice: SchedulerChoice, family: str, mode: str, steps: int = STEPS) -> tuple[torch.Tensor, int, Any, Any]:
    """Latents, network calls, the scheduler and the first timestep of the stock pipeline."""
    parts = components(family)
    generator = torch.Generator().manual_seed(3)
    scheduler = made(choice, family, generator=generator)
    name = {"sdxl": "StableDiffusionXL", "flux": "Flux", "flux2": "Flux2Klein"}[family]
    name += f"{PIPELINES[mode]}Pipeline"
    pipeline = getattr(diffusers, name)(**parts | {"scheduler": scheduler})
    pipeline.set_progress_bar_config(disable=True)
    arguments: dict[str, Any] = {**encoded(family), "num_inference_steps": steps}
    if mode != "text-to-image":
        arguments |= {"image": Image.new("RGB", (SIZE, SIZE), (150, 90, 60)), "strength": STRENGTH}
    if mode == "inpaint":
        arguments["mask_image"] = Image.linear_gradient("L").resize((SIZE, SIZE))
    if name != "StableDiffusionXLImg2ImgPipeline":
        arguments |= {"width": SIZE, "height": SIZE}
    if family != "sdxl":
        arguments["guidance_scale"] = 3.5 if family == "flux" else 1.0
    timesteps: list[Any] = []

    def watched(pipe: Any, at: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        timesteps.append(timestep)
        return values

    calls: list[int] = []
    network = parts["unet" if family == "sdxl" else "transformer"]
    counting = network.register_forward_hook(lambda *_: calls.append(1))
    arguments |= {"generator": generator, "output_type": "latent", "callback_on_step_end": watched}
    latents = pipeline(**arguments).images
    counting.remove()
    return latents, len(calls), scheduler, timesteps[0]


def passed_by_sdxl(scheduler: Any, generator: torch.Generator) -> dict[str, Any]:
    """What the SDXL pipelines hand to a step that takes it."""
    taken = inspect.signature(scheduler.step).parameters
    return {name: value for name, value in {"generator": generator, "eta": 0.0}.items() if name in taken}


# the table against the installed diffusers


@pytest.mark.parametrize(("name", "family"), PAIRS)
def test_every_option_in_the_table_is_known_to_its_class(name: str, family: str) -> None:
    kind = KINDS[name]
    known = {f: set(inspect.signature(getattr(diffusers, c).__init__).parameters) for f, c in kind.classes.items()}
    for flow in known.keys() - {"sdxl"}:
        known[flow] |= set(inspect.signature(diffusers.FlowMatchEulerDiscreteScheduler.__init__).parameters)
    assert set(dict(kind.accepts)[family]) <= known[family]
    assert {option for option, _ in kind.own} <= set().union(*known.values())
    assert {option for option, _ in kind.own} | set(dict(kind.accepts)[family]) <= OPTIONS.keys()
    assert (family in kind.spacing) <= ("timestep_spacing" in known[family])


@pytest.mark.parametrize("name", MEASURED)
def test_spacing_changes_the_grid_exactly_where_the_table_says_so(name: str) -> None:
    grids = []
    for spacing in ("leading", "trailing"):
        scheduler = made(named(name), "sdxl", spacing=spacing)
        scheduler.set_timesteps(3)
        grids.append(scheduler.timesteps.tolist())
    assert (grids[0] != grids[1]) == ("sdxl" in KINDS[name].spacing)


def test_a_kind_missing_from_a_family_says_why() -> None:
    for kind in KINDS.values():
        for family in MODES:
            assert (family in kind.classes) != (family in dict(kind.left_out)), (kind.name, family)


@pytest.mark.parametrize(("name", "family"), BASES)
def test_steps_use_the_generator_exactly_where_the_table_says_so(name: str, family: str) -> None:
    drawn = []
    for seed in (3, 4):
        scheduler = made(named(name), family, seed=seed)
        scheduler.set_timesteps(4, **({"mu": 0.8} if family != "sdxl" else {}))
        extra = passed_by_sdxl(scheduler, torch.Generator().manual_seed(seed)) if family == "sdxl" else {}
        sample = torch.full((1, 4, 2, 2), 0.5)
        for timestep in scheduler.timesteps[:3]:
            sample = scheduler.step(sample * 0.3, timestep, sample, return_dict=False, **extra)[0]
        drawn.append(sample)
    assert torch.equal(*drawn) != KINDS[name].draws_noise


# every kind in the stock pipelines


@pytest.mark.parametrize(("name", "family"), PAIRS)
def test_every_kind_runs_text_to_image_and_evaluations_are_as_announced(name: str, family: str) -> None:
    choice = named(name)
    check(choice, family=family, mode="text-to-image", spacing=None, steps=STEPS)
    latents, calls, scheduler, first = run(choice, family, "text-to-image")
    assert latents.isfinite().all()
    assert latents.std() > 0.1
    assert calls == evaluations(choice, STEPS)
    assert begins_at(scheduler, first).timestep == float(scheduler.timesteps[0])


@pytest.mark.parametrize(("name", "family", "mode"), REPEATED)
def test_equal_runs_are_bit_equal_whatever_the_global_random_state(name: str, family: str, mode: str) -> None:
    choice = named(name)
    if f"{family} {mode}" in dict(KINDS[name].left_out):
        with pytest.raises(RecipeError, match=f"{name} cannot be used for {family} {mode}"):
            check(choice, family=family, mode=mode, spacing=None, steps=STEPS)
        return
    check(choice, family=family, mode=mode, spacing=None, steps=STEPS)
    results = []
    for state in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(state)
            results.append(run(choice, family, mode))
    (one, calls, _, _), (two, _, _, _) = results
    assert one.isfinite().all()
    assert torch.equal(one, two)
    steps = STEPS if mode == "text-to-image" else walked(STEPS, STRENGTH, family=family)
    assert calls == evaluations(choice, steps)


APPROACHED = [("flux", "text-to-image"), ("flux", "img2img"), ("flux2", "text-to-image"), ("flux2", "inpaint")]


@pytest.mark.parametrize(("family", "mode"), APPROACHED)
def test_flow_solvers_approach_the_200_step_euler_solution(family: str, mode: str) -> None:
    grid = ":use_dynamic_shifting=false:shift=2" if family == "flux2" else ""  # FLUX.2's own grid moves with the steps
    truth, *_ = run(named("euler" + grid), family, mode, steps=200)
    bounds = {"euler": 0.021, "dpmpp-2m": 0.012, "dpmpp-2s": 0.016, "unipc": 0.012, "heun": 0.012}
    for name, bound in bounds.items():
        if f"{family} {mode}" not in dict(KINDS[name].left_out):
            latents, *_ = run(named(name + grid), family, mode, steps=10)
            assert (latents - truth).norm() / truth.norm() < bound, name


@pytest.mark.parametrize("family", ["flux", "flux2"])
def test_heun_is_left_out_of_inpainting_as_it_starts_too_late(family: str) -> None:
    grid = ":use_dynamic_shifting=false:shift=2"
    truth, *_ = run(named("euler" + grid), family, "inpaint", steps=200)
    latents, *_ = run(named("heun" + grid), family, "inpaint", steps=10)
    assert (latents - truth).norm() / truth.norm() > 0.15
    with pytest.raises(RecipeError, match="starts too late"):
        check(named("heun"), family=family, mode="inpaint", spacing=None, steps=10)


# an exact denoiser: pixels are -1 or 1 with a spread of 0.3, so the best answer is known in closed form


def exact_noise(sample: torch.Tensor, timestep: float, log_sigmas: np.ndarray) -> torch.Tensor:
    sigma = math.exp(np.interp(float(timestep), np.arange(1000), log_sigmas))
    signal = 1 / math.sqrt(1 + sigma**2)
    noise, x = sigma * signal, sample.double()
    spread = (0.3 * signal) ** 2 + noise**2
    picture = (0.09 * signal * x + noise**2 * torch.tanh(signal * x / spread)) / spread
    return ((x - signal * picture) / noise).float()


def denoised(scheduler: Any, steps: int) -> torch.Tensor:
    log_sigmas = tiny_log_sigmas()
    scheduler.set_timesteps(steps)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(1, 4, 32, 32, generator=generator) * scheduler.init_noise_sigma
    extra = passed_by_sdxl(scheduler, generator)
    for timestep in scheduler.timesteps:
        noise = exact_noise(scheduler.scale_model_input(sample, timestep), timestep, log_sigmas)
        sample = scheduler.step(noise, timestep, sample, return_dict=False, **extra)[0]
    return sample


@cache
def tiny_log_sigmas() -> np.ndarray:
    alphas = components("sdxl")["scheduler"].alphas_cumprod.double().numpy()
    return np.log(np.sqrt((1 - alphas) / alphas))


@cache
def exact_picture() -> torch.Tensor:
    return denoised(made(named("heun-karras"), "sdxl", spacing="linspace"), 150)


@pytest.mark.parametrize("name", [name for name in MEASURED if not KINDS[name].draws_noise])
def test_deterministic_kinds_come_near_the_exact_picture(name: str) -> None:
    spacing = "linspace" if "sdxl" in KINDS[name].spacing else None
    latents = denoised(made(named(name), "sdxl", spacing=spacing), 40)
    assert (latents - exact_picture()).norm() / exact_picture().norm() < 0.06


@pytest.mark.parametrize("name", [name for name in MEASURED if KINDS[name].draws_noise])
def test_stochastic_kinds_draw_from_the_right_distribution(name: str) -> None:
    spacing = "linspace" if "sdxl" in KINDS[name].spacing else None
    sizes = denoised(made(named(name), "sdxl", spacing=spacing), 40).abs()
    assert abs(sizes.mean() - 1) < 0.12
    assert 0.15 < sizes.std() < 0.45


OVERSHOOTING = {
    "sa-solver-beta": ("SASolver", {}),
    "dpmpp-2m-sde-heun-beta": ("DPMSolverMultistep", {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"}),
    "unipc-bh1-beta": ("UniPCMultistep", {"solver_type": "bh1", "final_sigmas_type": "sigma_min"}),
}


@pytest.mark.parametrize("name", OVERSHOOTING)
def test_what_is_left_out_for_overshooting_does_overshoot(name: str) -> None:
    cls, options = OVERSHOOTING[name]
    shipped = components("sdxl")["scheduler"].config
    scheduler = getattr(diffusers, f"{cls}Scheduler").from_config(shipped, use_beta_sigmas=True, **options)
    assert denoised(scheduler, 20).abs().mean() > 1.25
    with pytest.raises(RecipeError, match="overshoots"):
        named(name)


def test_what_is_left_out_for_other_reasons_is_still_wrong() -> None:
    shipped = components("sdxl")["scheduler"].config
    error = denoised(diffusers.IPNDMScheduler.from_config(shipped), 80) - exact_picture()
    assert error.norm() / exact_picture().norm() > 0.1
    assert denoised(diffusers.UniPCMultistepScheduler.from_config(shipped, solver_type="bh1"), 10).isnan().any()
    third = {"algorithm_type": "sde-dpmsolver++", "solver_order": 3}
    spreads = [denoised(diffusers.DPMSolverMultistepScheduler.from_config(shipped, **third), n).std() for n in (20, 80)]
    assert spreads[1] > 1.4 * spreads[0]
    assert set(LEFT_OUT) == {"ipndm", "dpmpp-3m-sde", *OVERSHOOTING}


# building


def test_build_makes_a_new_object_and_leaves_the_shipped_one_alone() -> None:
    for family in MODES:
        shipped = components(family)["scheduler"]
        before = dict(shipped.config)
        one, two = made(named("euler-karras"), family), made(named("euler-karras"), family)
        assert len({id(shipped), id(one), id(two)}) == 3
        assert dict(shipped.config) == before
        assert one.config.use_karras_sigmas
        assert "step" not in vars(shipped)


def test_what_a_checkpoint_ships_does_not_leak_into_a_name() -> None:
    shipped = diffusers.DPMSolverMultistepScheduler.from_config(
        components("sdxl")["scheduler"].config, use_karras_sigmas=True, algorithm_type="sde-dpmsolver++", solver_order=3
    )
    for name in ("euler", "dpmpp-2m", "unipc"):
        plain, leaking = made(named(name), "sdxl"), made(named(name), "sdxl", shipped=shipped)
        for scheduler in (plain, leaking):
            scheduler.set_timesteps(8)
        assert plain.timesteps.tolist() == leaking.timesteps.tolist()
        assert torch.equal(denoised(plain, 8), denoised(leaking, 8))


def test_latents_are_never_clipped_though_the_classes_would() -> None:
    assert not made(named("ddim"), "sdxl").config.clip_sample
    assert diffusers.DDIMScheduler().config.clip_sample


def test_prediction_type_comes_from_the_checkpoint() -> None:
    shipped = diffusers.EulerDiscreteScheduler.from_config(
        components("sdxl")["scheduler"].config, prediction_type="v_prediction"
    )
    assert made(named("dpmpp-2m-karras"), "sdxl", shipped=shipped).config.prediction_type == "v_prediction"


def test_a_checkpoint_with_a_foreign_scheduler_is_refused() -> None:
    for family, shipped in (("sdxl", components("flux")), ("flux", components("sdxl"))):
        with pytest.raises(CheckpointError, match="ships"):
            made(named("euler"), family, shipped=shipped["scheduler"])
    with pytest.raises(CheckpointError, match="EDMEuler"):
        made(named("euler"), "sdxl", shipped=diffusers.EDMEulerScheduler())


def test_flow_solvers_walk_the_grid_of_euler() -> None:
    grids = {}
    for name in ("euler", "unipc", "dpmpp-2m", "dpmpp-2s", "dpmpp-2m-sde", "heun"):
        grids[name] = made(named(name), "flux")
        grids[name].set_timesteps(sigmas=np.linspace(1, 1 / 6, 6), device="cpu", mu=0.8)
    euler = grids.pop("euler")
    heun = grids.pop("heun")
    assert heun.timesteps.unique().tolist() == sorted(euler.timesteps.tolist())
    for solver in grids.values():
        assert torch.equal(solver.timesteps, euler.timesteps)
        assert torch.allclose(solver.sigmas, euler.sigmas, atol=2e-6)


def test_options_reach_the_scheduler_and_its_grid() -> None:
    assert made(named("dpmpp-2m:solver_order=3"), "sdxl").config.solver_order == 3
    solver = made(named("unipc:max_shift=2"), "flux")
    assert solver.config.max_shift == 2.0
    assert made(named("dpmpp-2s:shift=5:use_dynamic_shifting=false"), "flux").grid.config.shift == 5.0


def test_shift_options_that_change_nothing_are_refused() -> None:
    with pytest.raises(RecipeError, match="shift changes nothing while use_dynamic_shifting is true"):
        made(named("euler:shift=5"), "flux")
    with pytest.raises(RecipeError, match="max_shift changes nothing while use_dynamic_shifting is false"):
        made(named("unipc:max_shift=2:use_dynamic_shifting=false"), "flux")


@pytest.mark.parametrize(("steps", "first"), [(15, 925), (20, 951), (30, 958), (40, 976)])
def test_the_beginning_tells_where_leading_spacing_starts(steps: int, first: int) -> None:
    scheduler = made(named("euler"), "sdxl")
    scheduler.set_timesteps(steps)
    beginning = begins_at(scheduler, scheduler.timesteps[0])
    assert beginning.timestep == first
    assert beginning.scale == "noise over signal"
    assert beginning.sigma == pytest.approx(math.exp(tiny_log_sigmas()[first]), rel=1e-5)


def test_the_beginning_is_told_alike_by_classes_with_and_without_sigmas() -> None:
    told = []
    for name in ("euler", "ddim", "ddpm", "heun", "lms"):
        scheduler = made(named(name), "sdxl", spacing="trailing")
        scheduler.set_timesteps(20)
        told.append(begins_at(scheduler, 499.0))
        assert begins_at(scheduler, 999.0).sigma == pytest.approx(14.61, abs=0.01)
    assert {round(one.sigma, 4) for one in told} == {round(told[0].sigma, 4)}


@pytest.mark.parametrize("name", ["euler", "unipc", "dpmpp-2m-karras"])
def test_the_beginning_of_img2img_on_flux_is_in_the_middle(name: str) -> None:
    _, _, scheduler, first = run(named(name), "flux", "img2img")
    beginning = begins_at(scheduler, first)
    assert beginning.scale == "share of noise"
    assert beginning.timestep == pytest.approx(1000 * beginning.sigma, rel=1e-5)
    assert 0.1 < beginning.sigma < 0.95


def test_a_timestep_off_the_grid_is_our_bug() -> None:
    scheduler = made(named("euler"), "sdxl")
    scheduler.set_timesteps(20)
    with pytest.raises(ValueError, match="not on the grid"):
        begins_at(scheduler, 950.5)
