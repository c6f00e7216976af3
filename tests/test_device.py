"""Device and numerics: what is decided with which reason, what overrides it, what a machine refuses to honour."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.device import (
    Numerics,
    decide,
    device_name,
    honour,
    less_memory,
    memory_line,
    needs_of,
    probe_xformers,
    torch_device,
)
from pipelines.errors import InputError, NumericsError
from pipelines.memory import Frame, Way
from pipelines.room import Room, container_limit, room
from tests.counting import hollow
from tests.tiny import tiny_checkpoint

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


# memory: what fits is decided before anything is loaded


@pytest.fixture
def frame(tmp_path: Path) -> Frame:
    """A tiny checkpoint at a size whose activations, not its weights, need room: about 330 MB in all."""
    return Frame(tiny_checkpoint("sdxl", tmp_path), 512, 512)


def with_free(device: int, ram: int = 10**12, in_all: int = 10**12) -> Callable[[Any], Room]:
    return lambda kind: Room(device, ram, in_all)


def fitted(frame: Frame, free: int, asked: dict[str, Any] | None = None, **changes: Any) -> Numerics:
    return decide(**WORK | changes, asked=asked or {}, frames=[frame], look=with_free(free))


def test_a_card_with_room_keeps_everything_and_says_how_much_that_is(cuda: str, frame: Frame) -> None:
    numerics = fitted(frame, 10**10)
    assert (numerics.offload, numerics.tiled, numerics.lanes) == ("none", False, 4)
    assert re.fullmatch(
        r"all but the text encoders stays, 4 lanes: \d+ MB fit, by estimate", dict(numerics.reasons)["offload"]
    )


def test_a_small_card_gets_less_with_what_does_not_fit_as_the_reason(cuda: str, frame: Frame) -> None:
    whole = needs_of([frame], decide(**WORK, asked={}))[0].peak(Way(lanes=4))
    numerics = fitted(frame, whole - 1)
    assert (numerics.offload, numerics.tiled, numerics.lanes) != ("none", False, 4)
    reason = dict(numerics.reasons)["offload"]
    assert re.fullmatch(r"\d+ MB do not fit, by estimate; \d+ MB do: .*", reason)
    assert dict(numerics.reasons)["lanes"] in (reason, "8 rows take 142 ms, 2 take 58; 16 would cost 274")


def test_free_memory_stands_in_no_reason_so_that_equal_runs_give_equal_bytes(cuda: str, frame: Frame) -> None:
    assert fitted(frame, 10**10) == fitted(frame, 10**11)


def test_what_was_asked_stays_asked_and_the_rest_is_fitted(cuda: str, frame: Frame) -> None:
    numerics = fitted(frame, 10**10, {"offload": "model", "lanes": 3})
    assert (numerics.offload, numerics.lanes) == ("model", 3)
    assert dict(numerics.reasons)["offload"] == dict(numerics.reasons)["lanes"] == "asked for"


def test_where_nothing_fits_one_line_says_what_is_needed_free_and_to_do(cuda: str, frame: Frame) -> None:
    with pytest.raises(InputError) as told:
        fitted(frame, 10**7)
    assert re.fullmatch(
        r"sdxl at 512x512 needs \d+ MB .* even with group offload, tiles and one lane, and 10 MB are free on "
        r"NVIDIA X1 \(with 1000\.0 GB of main memory\); take a smaller or quantised checkpoint.*--offload group.*",
        str(told.value),
    )


def test_where_nothing_fits_coarser_weights_that_do_are_named_with_what_they_need(
    cuda: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    checkpoint = replace(tiny_checkpoint("flux", folder), name="mine")
    (weights,) = (folder / "text_encoder_2").glob("*.safetensors")
    hollow(weights, {"large.weight": ("F16", (10**5, 5000))})  # 1 GB, a quarter of it in NF4
    monkeypatch.setattr("pipelines.listing.own_list", lambda: tmp_path / "models.txt")
    (tmp_path / "models.txt").write_text(f"mine flux dir:{folder}\n")
    frame = Frame(checkpoint, 64, 64)
    with pytest.raises(
        InputError, match=r"mine at 64x64 needs 1\.3 GB for its text encoders .* are free on NVIDIA X1"
    ) as told:
        fitted(frame, 7 * 10**8, family="flux", lane_width=1)
    assert re.search(r"; take mine\+quantisation=nf4 \(\d+ MB\), or say", str(told.value))


def test_asking_for_a_way_tries_it_where_the_estimate_says_no(cuda: str, frame: Frame) -> None:
    numerics = fitted(frame, 10**7, {"offload": "group"})
    assert (numerics.offload, numerics.tiled, numerics.lanes) == ("group", True, 1)
    assert dict(numerics.reasons)["lanes"].startswith("tried because it was asked for:")


def test_group_offload_is_not_compiled_as_its_layers_come_and_go(cuda: str, tmp_path: Path) -> None:
    frame = Frame(tiny_checkpoint("flux", tmp_path), 256, 256)
    work = {"family": "flux", "lane_width": 1, "pixels": 256**2}
    assert fitted(frame, 10**10, **work).compile == "regional"
    assert fitted(frame, 10**10, {"offload": "group"}, **work).compile == "off"


def test_a_cpu_is_refused_only_what_clearly_cannot_be(frame: Frame) -> None:
    asked = {"device": "cpu"}
    plain = decide(**WORK, asked=asked)
    assert decide(**WORK, asked=asked, frames=[frame], look=with_free(1, 1, 10**9)) == plain
    with pytest.raises(InputError, match=r"sdxl at 512x512 needs \d+ MB for its weights in float32 on cpu, and this "):
        decide(**WORK, asked=asked, frames=[frame], look=with_free(1, 1, 10**4))


def test_the_line_for_a_plan_names_the_largest_frame_each_phase_and_what_is_free(frame: Frame) -> None:
    small = replace(frame, width=64)
    line = memory_line([small, frame], decided(), look=with_free(2 * 10**9))
    assert re.fullmatch(
        r"sdxl at 512x512 needs about \d+ MB, 2\.0 GB are free of main memory "
        r"\(words \d+ MB, denoise \d+ MB, decode \d+ MB; estimated\)",
        line,
    )


def test_a_containers_limit_counts_where_there_is_one(tmp_path: Path) -> None:
    assert container_limit(tmp_path)[0] > 2**60
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert container_limit(tmp_path)[0] > 2**60
    (tmp_path / "memory.max").write_text("5000\n")
    assert container_limit(tmp_path) == (5000, 1000)


def test_free_memory_is_read_from_this_machine() -> None:
    free = room("cpu")
    assert 0 < free.device == free.ram <= free.ram_in_all


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
