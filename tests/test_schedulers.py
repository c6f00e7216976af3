"""Schedulers by name: other tools' spelling, what is refused and why, how steps are counted, the printed table."""

import subprocess
import sys
from typing import Any

import pytest

from pipelines.errors import RecipeError
from pipelines.recipe import SchedulerChoice
from pipelines.schedulers import check, from_a1111, from_comfy, named, rows, to_a1111, walked
from pipelines.solver_table import KINDS, MODES

# names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("euler", "euler"),
        ("Euler a", "euler-ancestral"),
        ("DPM++ 2M Karras", "dpmpp-2m-karras"),
        ("dpm++ 2m karras", "dpmpp-2m-karras"),
        ("dpmpp_2m_karras", "dpmpp-2m-karras"),
        ("DPM++ 2M SDE Exponential", "dpmpp-2m-sde-exponential"),
        ("DPM++ SDE Karras", "dpmpp-sde-karras"),
        ("dpmpp_2m_sde_gpu", "dpmpp-2m-sde"),
        ("DPM2 a Karras", "dpm2-ancestral-karras"),
        ("dpm_2", "dpm2"),
        ("uni_pc", "unipc-bh1"),
        ("uni_pc_bh2", "unipc"),
        ("PLMS", "pndm"),
        ("LMS Karras", "lms-karras"),
    ],
)
def test_other_tools_names_mean_ours(text: str, name: str) -> None:
    assert named(text) == SchedulerChoice(name=name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DPM++ 2M Karras", "dpmpp-2m:use_karras_sigmas=true"),
        ("dpmpp-2m-karras", "dpmpp-2m-karras:use_karras_sigmas=true:solver_order=2"),
        ("dpmpp-2m-sde-heun", "dpmpp-2m-sde:solver_type=heun"),
        ("dpmpp-2m-sde-karras", "dpmpp-2m:algorithm_type=sde-dpmsolver++:use_karras_sigmas=True"),
        ("euler", "euler-karras:use_karras_sigmas=false"),
        ("euler-stochastic", "euler:stochastic_sampling=true"),
        ("euler-karras:sigma_max=14", "euler-karras:sigma_max=14.0"),
        ("unipc:max_shift=2:base_shift=1", "unipc:base_shift=1.0:max_shift=2"),
    ],
)
def test_equal_meaning_gives_the_equal_choice(one: str, other: str) -> None:
    assert named(one) == named(other)
    assert named(one).canonical() == named(other).canonical()


def test_different_meaning_gives_different_choices() -> None:
    assert len({named(name) for name in KINDS}) == len(KINDS)
    assert named("dpmpp-2m:solver_order=3") != named("dpmpp-2m")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dpmpp-2m-karas", "nearest: dpmpp-2m-karras"),
        ("", "is not known; nearest"),
        ("euler_cfg_pp", "no CFG\\+\\+"),
        ("dpm_adaptive", "chooses its own steps"),
        ("res_multistep_ancestral", "no RES"),
        ("er_sde", "no ER-SDE"),
        ("DPM++ 2S a Karras", "say dpmpp-2s"),
        ("ipndm", "timesteps from 0 to 1"),
        ("ipndm_v", "variable-step"),
        ("DPM++ 3M SDE Exponential", "wrong sign"),
        ("dpmpp-2m-sde:solver_order=3", "solver_order of scheduler dpmpp-2m-sde cannot be so"),
        ("euler-ancestral:use_karras_sigmas=true", "does not take 'use_karras_sigmas'; allowed: none"),
        ("euler:solver_order=3", "does not take 'solver_order'; allowed: .*final_sigmas_type"),
        ("dpmpp-2m:solver_order=4", "solver_order=4 must be from 1 to 3"),
        ("dpmpp-2m:solver_order=2.5", "must be from 1 to 3"),
        ("dpmpp-2m:solver_order=nan", "must be from 1 to 3"),
        ("dpmpp-2m:solver_order=x", "must be from 1 to 3"),
        ("dpmpp-2m:solver_type=fast", "must be one of midpoint, heun"),
        ("dpmpp-2m:solver_type=bh1", "must be one of midpoint, heun"),
        ("deis:solver_type=bh1", "must be one of logrho"),
        ("dpmpp-2m:euler_at_final=perhaps", "must be one of true, false"),
        ("unipc:solver_type=bh1", "solver_type of scheduler unipc cannot be so"),
        ("dpmpp-2m:solver_order", "must be given once, as in solver_order=3"),
        ("dpmpp-2m:solver_order=1:solver_order=3", "must be given once"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        named(text)


@pytest.mark.parametrize(
    ("label", "schedule", "name", "spacing"),
    [
        ("DPM++ 2M", "Karras", "dpmpp-2m-karras", None),
        ("DPM++ 2M", "Automatic", "dpmpp-2m-karras", None),
        ("DPM++ 2M Karras", None, "dpmpp-2m-karras", None),
        ("DPM++ 2M", None, "dpmpp-2m", "linspace"),
        ("DPM++ 2M SDE", "Automatic", "dpmpp-2m-sde-exponential", None),
        ("Euler", "SGM Uniform", "euler", "trailing"),
        ("Euler", "Karras", "euler-karras", "linspace"),
        ("Euler a", "Automatic", "euler-ancestral", "linspace"),
        ("DDIM", "Automatic", "ddim", "leading"),
        ("LCM", "Automatic", "lcm", None),
    ],
)
def test_a1111_pairs_carry_their_spacing(label: str, schedule: str | None, name: str, spacing: str | None) -> None:
    assert from_a1111(label, schedule, family="sdxl") == (SchedulerChoice(name=name), spacing)


def test_what_is_written_for_a1111_is_read_back_as_the_same() -> None:
    assert to_a1111(named("dpmpp-2m-sde-karras")) == ("DPM++ 2M SDE", "Karras")
    assert to_a1111(named("euler-ancestral")) == ("Euler a", "")
    for name in KINDS:
        label, schedule = to_a1111(named(name))
        assert from_a1111(label, schedule or None, family="sdxl")[0] == named(name)


def test_comfy_pairs_carry_their_spacing_where_the_family_has_one() -> None:
    assert from_comfy("dpmpp_2m", "karras", family="sdxl") == (named("dpmpp-2m-karras"), None)
    assert from_comfy("euler", "normal", family="sdxl") == (named("euler"), "linspace")
    assert from_comfy("uni_pc_bh2", "simple", family="sdxl") == (named("unipc"), "trailing")
    assert from_comfy("euler", "simple", family="flux") == (named("euler"), None)
    assert from_comfy("euler", "simple", family="flux2") == (named("euler"), None)
    assert from_comfy("dpmpp_2m", "beta", family="flux") == (named("dpmpp-2m-beta"), None)
    for family, schedule, reason in (
        ("sdxl", "kl_optimal", "no such grid"),
        ("sdxl", "ddim_uniform", "more steps than asked"),
        ("sdxl", "moon", "it is not known"),
        ("flux", "normal", "say simple"),
        ("flux2", "normal", "counterpart on flux2, whose own grid is 'simple'; say simple"),
    ):
        with pytest.raises(RecipeError, match=reason):
            from_comfy("euler", schedule, family=family)
    with pytest.raises(RecipeError, match="euler-ancestral-karras"):
        from_comfy("euler_ancestral", "karras", family="sdxl")


# checks


@pytest.mark.parametrize(
    ("text", "family", "mode", "spacing", "steps", "reason"),
    [
        ("ddim", "flux", "text-to-image", None, 20, "knows no flow matching; use one of euler, "),
        ("euler-stochastic", "sdxl", "text-to-image", None, 20, "for flow models only"),
        ("sa-solver", "flux", "text-to-image", None, 20, "NaN"),
        ("deis-karras", "flux", "img2img", None, 20, "noise stays"),
        ("heun", "flux", "inpaint", None, 20, "starts too late"),
        ("heun", "flux2", "inpaint", None, 20, "starts too late"),
        ("ddim", "flux2", "text-to-image", None, 20, "knows no flow matching; use one of euler, "),
        ("deis", "flux2", "text-to-image", None, 20, "noise stays"),
        ("sa-solver", "flux2", "inpaint", None, 20, "NaN"),
        ("euler", "flux2", "text-to-image", "leading", 20, "changes nothing with euler on flux2: flow models have one"),
        ("euler:base_shift=1", "flux2", "text-to-image", None, 20, "flux2 does not take 'base_shift'; allowed: shift,"),
        ("euler", "flux", "text-to-image", "trailing", 20, "changes nothing with euler on flux"),
        ("dpmpp-2s", "sdxl", "text-to-image", "trailing", 20, "its class has no spacing"),
        ("dpmpp-2m-karras", "sdxl", "text-to-image", "leading", 20, "spans the whole training range"),
        ("lcm", "sdxl", "text-to-image", None, 51, "steps 51 is above 50"),
        ("lcm:original_inference_steps=20", "sdxl", "text-to-image", None, 21, "steps 21 is above 20"),
        ("unipc:final_sigmas_type=sigma_min", "flux", "text-to-image", None, 20, "does not take 'final_sigmas_type'"),
        ("euler:shift=3", "sdxl", "text-to-image", None, 20, "on sdxl does not take 'shift'"),
    ],
)
def test_check_refuses_what_the_family_cannot_do(
    text: str, family: Any, mode: Any, spacing: Any, steps: int, reason: str
) -> None:
    with pytest.raises(RecipeError, match=reason):
        check(named(text), family=family, mode=mode, spacing=spacing, steps=steps)


@pytest.mark.parametrize(
    "choice",
    [
        SchedulerChoice(name="DPM++ 2M Karras"),
        SchedulerChoice(name="dpmpp-2m", options=(("solver_order", 2),)),
        SchedulerChoice(name="euler-karras", options=(("sigma_max", 14),)),
        SchedulerChoice(name="dpmpp-2m", options=(("solver_order", "3"),)),
        SchedulerChoice(name="no-such"),
    ],
)
def test_check_refuses_choices_whose_key_would_not_be_the_one_of_their_meaning(choice: SchedulerChoice) -> None:
    with pytest.raises(RecipeError):
        check(choice, family="sdxl", mode="text-to-image", spacing=None, steps=20)


def test_walked_steps_are_counted_as_the_pipelines_do() -> None:
    assert walked(10, 0.55, family="sdxl") == 5
    assert walked(10, 0.55, family="flux") == walked(10, 0.55, family="flux2") == 6
    assert walked(10, 1.0, family="sdxl") == walked(10, 1.0, family="flux") == 10
    with pytest.raises(RecipeError, match="leaves none of 10 steps"):
        walked(10, 0.05, family="sdxl")


# the table as printed


def test_rows_name_everything_and_give_a_reason_for_what_is_left_out() -> None:
    table = {row.name: row for row in rows()}
    assert KINDS.keys() <= table.keys()
    assert {"ipndm", "dpm-adaptive", "unipc-bh1-beta"} <= table.keys()
    only = ("text-to-image",)
    assert dict(table["heun"].modes) == {"sdxl": MODES["sdxl"], "flux": only, "flux2": only}
    assert dict(table["unipc"].modes) == MODES
    assert "DPM++ 2M Karras" in table["dpmpp-2m-karras"].aliases
    for row in table.values():
        assert row.modes or all(reason for _, reason in row.left_out)
        for alias in row.aliases:
            assert named(alias).name == row.name


def test_names_and_checks_load_no_torch() -> None:
    code = "import sys, pipelines.schedulers as s; s.named('DPM++ 2M Karras'); s.rows(); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
