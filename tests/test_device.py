"""Device and numerics: what is decided with which reason, what overrides it, what a machine refuses to honour."""

import sys
from typing import Any

import pytest
import torch

from pipelines.device import Numerics, decide, device_name, honour, less_memory, probe_xformers, torch_device
from pipelines.errors import InputError, NumericsError

WORK: dict[str, Any] = {"family": "sdxl", "pixels": 1024**2, "lane_width": 2, "cells": 100, "forwards": 3000}


def decided(asked: dict[str, Any] | None = None, **changes: Any) -> Numerics:
    return decide(**WORK | changes, asked={"device": "cpu"} | (asked or {}))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine that says it has a CUDA device; nothing is run on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA X1")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    return "NVIDIA X1"


def test_every_decision_has_a_reason_in_words() -> None:
    numerics = decided()
    assert {name for name, _ in numerics.reasons} == {"dtype", "vae_dtype", "attention", "lanes"}
    assert all(len(reason) > 10 for _, reason in numerics.reasons)


def test_a_cpu_takes_one_lane_of_float32_and_records_its_threads() -> None:
    numerics = decided()
    assert (numerics.device, numerics.lanes, numerics.dtype, numerics.compile) == ("cpu", 1, "float32", "off")
    assert numerics.threads == torch.get_num_threads()
    assert dict(numerics.reasons)["lanes"] == "a CPU is busy with one picture; more rows cost their full price"


@pytest.mark.parametrize(
    ("changes", "lanes", "compiled"),
    [
        ({}, 4, "off"),
        ({"pixels": 512**2}, 8, "off"),
        ({"pixels": 512**2, "cells": 3}, 3, "off"),
        ({"cells": 0}, 1, "off"),
        ({"family": "flux", "lane_width": 1}, 1, "regional"),
        ({"family": "flux", "lane_width": 1, "forwards": 28}, 1, "off"),
    ],
)
def test_a_gpu_takes_the_rows_that_pay_and_compiles_where_that_pays(
    cuda: str, changes: dict[str, Any], lanes: int, compiled: str
) -> None:
    numerics = decide(**WORK | changes, asked={})
    assert (numerics.device, numerics.threads, numerics.dtype) == (cuda, 0, "bfloat16")
    assert (numerics.lanes, numerics.compile) == (lanes, compiled)
    assert torch_device(numerics) == "cuda"


def test_a_gpu_without_bfloat16_takes_float16(cuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert decide(**WORK, asked={}).dtype == "float16"


def test_what_is_asked_overrides_by_name_and_says_so() -> None:
    numerics = decided({"lanes": 6, "vae_dtype": "bfloat16", "offload": None})
    assert (numerics.lanes, numerics.vae_dtype, numerics.offload) == (6, "bfloat16", "none")
    assert [name for name, reason in numerics.reasons if reason == "asked for"] == ["lanes", "vae_dtype"]


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"lanes": 0}, "lanes 0: input should be greater than or equal to 1"),
        ({"dtype": "int8"}, "dtype 'int8': input should be 'float32', 'bfloat16' or 'float16'"),
        ({"offload": "disk"}, "offload 'disk'"),
        ({"speed": 9}, "speed is not known here"),
        ({"device": "tpu"}, "device tpu is not there; this machine has .*cpu"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        decided(asked)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(InputError, match=r"device cuda is not there; this machine has (mps, )?cpu"):
        decided({"device": "cuda"})


@pytest.mark.parametrize("loaded", [None, "kernel"])
def test_xformers_that_does_not_run_here_is_one_line(loaded: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        @staticmethod
        def memory_efficient_attention(*_: Any) -> None:
            raise NotImplementedError("No operator found for this input\nand a long table of kernels")

    monkeypatch.setitem(sys.modules, "xformers", Broken if loaded else None)
    monkeypatch.setitem(sys.modules, "xformers.ops", Broken if loaded else None)
    with pytest.raises(
        InputError, match=r"attention xformers does not run on cpu \(.*\); leave it out for sdpa"
    ) as told:
        decided({"attention": "xformers"})
    assert "\n" not in str(told.value)


def test_xformers_that_runs_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Works:
        @staticmethod
        def memory_efficient_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    monkeypatch.setitem(sys.modules, "xformers", Works)
    monkeypatch.setitem(sys.modules, "xformers.ops", Works)
    probe_xformers("cpu", "float32")
    assert decided({"attention": "xformers"}).attention == "xformers"


# honouring a run's numerics


@pytest.mark.parametrize("field", ["torch", "diffusers", "transformers"])
def test_another_version_is_refused_with_both_versions(field: str) -> None:
    with pytest.raises(NumericsError, match=rf"made with {field} 0\.0\.1, here is .*--new-numerics"):
        honour(decided().but(**{field: "0.0.1"}))


def test_another_device_is_refused(cuda: str) -> None:
    with pytest.raises(NumericsError, match="made with device NVIDIA Z9, here is NVIDIA X1"):
        honour(decide(**WORK, asked={}).but(device="NVIDIA Z9"))


def test_a_kernel_that_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xformers.ops", None)
    with pytest.raises(InputError, match="attention xformers does not run on cpu"):
        honour(decided().but(attention="xformers"))


def test_honouring_sets_the_threads_that_the_run_was_planned_with() -> None:
    before = torch.get_num_threads()
    try:
        honour(decided().but(threads=2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_numerics_written_and_read_back_are_equal_and_reasons_take_no_part_in_the_digest() -> None:
    numerics = decided()
    assert Numerics.read(numerics.model_dump(mode="json")) == numerics
    assert numerics.but(reasons=()).digest == numerics.digest
    assert numerics.but(lanes=2).digest != numerics.digest


# the memory ladder


def test_the_memory_ladder_goes_down_in_this_order_and_ends_in_one_line() -> None:
    numerics = decided({"lanes": 8})
    rungs = []
    for _ in range(6):
        numerics = less_memory(numerics)
        rungs.append((numerics.lanes, numerics.tiled, numerics.offload))
    halves = [(4, False, "none"), (2, False, "none"), (1, False, "none")]
    assert rungs == [*halves, (1, True, "none"), (1, True, "model"), (1, True, "group")]
    with pytest.raises(InputError, match=r"cpu has too little memory even with one row.*ask for smaller pictures"):
        less_memory(numerics)


def test_every_rung_is_another_numerics_with_its_reason() -> None:
    numerics = decided({"lanes": 2})
    lower = less_memory(numerics)
    assert lower.digest != numerics.digest
    assert lower.reasons[-1] == ("lanes", "out of memory: half the rows")


@pytest.mark.gpu
def test_a_real_gpu_is_found_and_named() -> None:
    numerics = decide(**WORK, asked={})
    assert numerics.device == device_name("cuda") == torch.cuda.get_device_name()
    honour(numerics)
