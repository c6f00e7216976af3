"""The estimate against counted tensors and known sizes, the order of ways, and what is chosen on which card."""

import importlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import activations, memory
from pipelines.checkpoint import Checkpoint, find
from pipelines.memory import Frame, Need, Way
from pipelines.places import CONFIGS
from tests.counting import hollow, no_scores, peak
from tests.pictures import NO_IMAGE
from tests.tiny import tiny_checkpoint, tiny_flux, tiny_sdxl

GB = 10**9
DEMO = find("demo-sdxl")
FULL_SIZE = {"sdxl": CONFIGS / "sdxl", "flux": CONFIGS / "flux-dev"}
"""Configurations of the public checkpoints, without weights."""
FLUX2_KLEIN_4B = {
    "in_channels": 128, "num_layers": 5, "num_single_layers": 20, "attention_head_dim": 128,
    "num_attention_heads": 24, "joint_attention_dim": 7680, "guidance_embeds": False,
}  # fmt: skip


def on_meta(library: str, name: str, config: Any, dtype: torch.dtype) -> torch.nn.Module:
    """A network of that size without memory."""
    cls = getattr(importlib.import_module(library), name)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            if issubclass(cls, transformers.PreTrainedModel):
                given = {key: value for key, value in config.items() if key != "dtype"}
                return cls(cls.config_class(**given)).eval()
            return cls.from_config(config).eval()
    finally:
        torch.set_default_dtype(before)


def full_size(family: str, component: str, dtype: torch.dtype) -> Any:
    """A component of SDXL or FLUX.1-dev at its real size, without memory."""
    index = json.loads((FULL_SIZE[family] / "model_index.json").read_text())
    config = json.loads((FULL_SIZE[family] / component / "config.json").read_text())
    return on_meta(*index[component], config, dtype)


def unet_call(unet: Any, rows: int, height: int, width: int) -> Callable[[], Any]:
    config, like = unet.config, {"device": unet.device, "dtype": unet.dtype}
    pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
    given = (
        torch.zeros(rows, config.in_channels, height, width, **like),
        torch.zeros(rows, device=unet.device),
        torch.zeros(rows, 77, config.cross_attention_dim, **like),
    )
    added = {"text_embeds": torch.zeros(rows, pooled, **like), "time_ids": torch.zeros(rows, 6, **like)}
    return lambda: unet(*given, added_cond_kwargs=added)


def flux_call(transformer: Any, rows: int, picture: int, text: int) -> Callable[[], Any]:
    config, device = transformer.config, transformer.device
    like = {"device": device, "dtype": transformer.dtype}
    is_flux2 = not hasattr(config, "pooled_projection_dim")
    axes = 4 if is_flux2 else 3
    given: dict[str, Any] = {
        "hidden_states": torch.zeros(rows, picture, config.in_channels, **like),
        "encoder_hidden_states": torch.zeros(rows, text, config.joint_attention_dim, **like),
        "timestep": torch.zeros(rows, device=device),
        "img_ids": torch.zeros(picture, axes, device=device),
        "txt_ids": torch.zeros(text, axes, device=device),
        "guidance": torch.zeros(rows, device=device) if config.guidance_embeds else None,
    }
    if not is_flux2:
        given["pooled_projections"] = torch.zeros(rows, config.pooled_projection_dim, **like)
    return lambda: transformer(**given)


# the formulas against tensors counted in real forwards


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("which", ["demo", "tiny"])
def test_a_unets_forward_holds_what_the_formula_says(which: str, side: int, rows: int, demo: Path) -> None:
    folder = demo / "sidelight-demo-sdxl/unet"
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder).float() if which == "demo" else tiny_sdxl()["unet"]
    counted = peak(unet, unet_call(unet, rows, side, side))
    said = rows * activations.unet(unet.config, side, side, value_bytes=4)
    assert 0.93 < said / counted < 1.05


@pytest.mark.parametrize(("rows", "picture", "text"), [(1, 256, 64), (2, 1024, 64), (1, 256, 512)])
@pytest.mark.parametrize("which", ["demo", "tiny"])
def test_a_flux_transformers_forward_holds_what_the_formula_says(
    which: str, rows: int, picture: int, text: int, demo: Path
) -> None:
    folder = demo / "sidelight-demo-flux/transformer"
    is_demo = which == "demo"
    network = diffusers.FluxTransformer2DModel.from_pretrained(folder) if is_demo else tiny_flux()["transformer"]
    network = network.float()
    counted = peak(network, flux_call(network, rows, picture, text))
    said = rows * activations.flux(network.config, picture + text, value_bytes=4)
    assert 0.85 < said / counted < 1.05


@pytest.mark.parametrize("side", [64, 256])
@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_an_autoencoder_holds_what_the_formula_says(family: str, side: int, demo: Path) -> None:
    vae = diffusers.AutoencoderKL.from_pretrained(demo / f"sidelight-demo-{family}/vae").float()
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    latents = torch.zeros(1, vae.config.latent_channels, side // factor, side // factor)
    decoding = activations.decoding(vae.config, side**2, value_bytes=4) / peak(vae, lambda: vae.decode(latents))
    assert 0.93 < decoding < 1.05
    pixels = torch.zeros(1, 3, side, side)
    encoding = activations.encoding(vae.config, side**2, value_bytes=4) / peak(vae, lambda: vae.encode(pixels))
    assert 0.95 < encoding < 1.3  # this one has one block a level where real ones have two


@pytest.mark.parametrize(
    ("family", "name", "tokens"),
    [("sdxl", "text_encoder", 77), ("flux", "text_encoder_2", 64), ("flux", "text_encoder_2", 512)],
)
def test_a_text_encoder_holds_no_more_than_the_formula_says(family: str, name: str, tokens: int, demo: Path) -> None:
    cls: Any = transformers.CLIPTextModel if name == "text_encoder" else transformers.T5EncoderModel
    encoder = cls.from_pretrained(demo / f"sidelight-demo-{family}/{name}").float()
    counted = peak(encoder, lambda: encoder(torch.zeros(1, tokens, dtype=torch.long), output_hidden_states=True))
    assert 1 <= activations.words(encoder.config.to_dict(), tokens, value_bytes=4) / counted < 3


def test_full_size_networks_hold_what_the_formulas_say() -> None:
    dtype = torch.bfloat16
    unet: Any = full_size("sdxl", "unet", dtype)
    flux: Any = full_size("flux", "transformer", dtype)
    flux2: Any = on_meta("diffusers", "Flux2Transformer2DModel", FLUX2_KLEIN_4B, dtype)
    vae: Any = full_size("sdxl", "vae", dtype)
    assert [sum(one.numel() for one in net.parameters()) for net in (unet, flux, flux2)] == [
        2_567_463_684,
        11_901_408_320,
        3_875_544_576,
    ]
    with no_scores():
        for rows, height, width in ((2, 128, 128), (8, 104, 152)):
            counted = peak(unet, unet_call(unet, rows, height, width))
            assert 0.98 < rows * activations.unet(unet.config, height, width, value_bytes=2) / counted < 1.02
        counted = peak(flux, flux_call(flux, 1, 4096, 512))
        assert 0.96 < activations.flux(flux.config, 4608, value_bytes=2) / counted < 1.04
        counted = peak(flux2, flux_call(flux2, 2, 1024, 512))
        assert 0.98 < 2 * activations.flux2(flux2.config, 1536, value_bytes=2) / counted < 1.08
        counted = peak(flux.float(), flux_call(flux, 1, 4096, 512))
        assert 0.96 < activations.flux(flux.config, 4608, value_bytes=4) / counted < 1.04
        latents = torch.zeros(1, 4, 128, 128, dtype=dtype, device="meta")
        counted = peak(vae, lambda: vae.decode(latents))
        assert 0.99 < activations.decoding(vae.config, 1024**2, value_bytes=2) / counted < 1.01


# checkpoints of real size: folders whose weight files have a true header and nothing written behind it


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    return {family: _hollow(family, tmp_path_factory.mktemp(family)) for family in ("sdxl", "flux")}


def _hollow(family: Any, folder: Path) -> Checkpoint:
    shutil.copytree(FULL_SIZE[family], folder, dirs_exist_ok=True)
    for component in (path.parent.name for path in FULL_SIZE[family].glob("*/config.json")):
        network = full_size(family, component, torch.float16)
        shapes = {key: tuple(tensor.shape) for key, tensor in network.named_parameters()}
        name = "diffusion_pytorch_model" if component in ("unet", "transformer", "vae") else "model"
        hollow(folder / component / f"{name}.safetensors", {key: ("F16", shape) for key, shape in shapes.items()})
    return Checkpoint(f"full-{family}", family, folder, {})


def need(checkpoint: Checkpoint, *, kind: Any = "cuda", side: int = 1024, **changes: Any) -> Need:
    asked = {"value_bytes": 2, "vae_bytes": 4, "rows_a_lane": 2 if checkpoint.family == "sdxl" else 1} | changes
    return memory.need(Frame(checkpoint, side, side), kind=kind, **asked)


def test_weights_are_counted_from_headers_in_the_dtype_they_will_have(full: dict[str, Checkpoint]) -> None:
    sdxl, flux = need(full["sdxl"]).weights, need(full["flux"]).weights
    assert sdxl["unet"] == 2 * 2_567_463_684
    assert flux["transformer"] == 2 * 11_901_408_320
    assert sdxl["vae"] == 4 * 83_653_863  # the autoencoder keeps float32
    assert flux["text_encoder_2"] == pytest.approx(9.52 * GB, rel=0.01)
    assert need(full["sdxl"], kind="cpu", value_bytes=4).weights["unet"] == 4 * 2_567_463_684


def test_what_is_stored_quantised_is_counted_as_stored(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint("flux", tmp_path)
    (path,) = (tmp_path / "transformer").glob("*.safetensors")
    hollow(path, {"a.weight": ("U8", (1000, 50)), "b.weight": ("F32", (10, 10))})
    assert need(checkpoint, side=64).weights["transformer"] == 1000 * 50 + 100 * 2


def test_phases_are_those_of_the_engine(full: dict[str, Checkpoint]) -> None:
    sdxl = need(full["sdxl"])
    stays, away, group = (sdxl.peaks(Way(offload, lanes=4)) for offload in ("none", "model", "group"))
    assert set(stays) == {"words", "denoise", "decode"}
    assert stays["words"] < 3 * GB, "the denoiser is not loaded yet"
    assert stays["decode"] - away["decode"] == sdxl.weights["unet"]
    assert stays["denoise"] == away["denoise"], "model offload helps decoding alone"
    assert group["denoise"] < 5 * GB < stays["denoise"]
    on_cpu = need(full["sdxl"], kind="cpu", value_bytes=4)
    assert on_cpu.peaks(Way())["denoise"] > on_cpu.whole, "a CPU puts no encoder away"
    assert "start" in memory.need(Frame(full["sdxl"], 512, 512, has_start=True), kind="cuda", value_bytes=2,
                                  vae_bytes=4, rows_a_lane=2).peaks(Way())  # fmt: skip


def test_the_estimate_lies_where_others_measured(full: dict[str, Checkpoint]) -> None:
    decoding = need(full["sdxl"], vae_bytes=2).adds["decode"]
    assert decoding == pytest.approx(4.6 * GB, rel=0.02)  # InvokeAI: 2200 values a pixel
    tensors = decoding / memory.SURPLUS["decode"]
    assert tensors == pytest.approx(1.65 * GB, rel=0.05)
    # diffusers-torchao, H100, FLUX.1-dev: 33.85 GB with one picture, 1.95 more with each further one it decodes with it
    assert 0.8 < tensors / (1.95 * GB) < 1.1
    assert need(full["flux"], vae_bytes=2).whole == pytest.approx(33.7 * GB, rel=0.02)


def test_a_reference_read_as_tokens_doubles_the_picture(tmp_path: Path) -> None:
    kontext = tiny_checkpoint("flux", tmp_path)
    plain, reading = (
        memory.need(Frame(kontext, 256, 256, 64, has_start), kind="cpu", value_bytes=4, vae_bytes=4, rows_a_lane=1).row
        for has_start in (False, True)
    )
    assert plain == reading
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps(index | {"_class_name": "FluxKontextPipeline"}))
    kontext = Checkpoint("kontext", "flux", tmp_path, {})
    doubled = memory.need(Frame(kontext, 256, 256, 64, True), kind="cpu", value_bytes=4, vae_bytes=4, rows_a_lane=1)
    picture = (256 // 2 // 2) ** 2
    assert doubled.row / plain == pytest.approx((2 * picture + 64) / (picture + 64), rel=0.01)


def test_tiles_are_of_the_side_that_is_estimated(tmp_path: Path) -> None:
    from pipelines.weights import LoadedParts
    from tests.small import numerics

    tiny_checkpoint("sdxl", tmp_path)
    config = json.loads((tmp_path / "vae/config.json").read_text())
    (tmp_path / "vae/config.json").write_text(json.dumps(config | {"sample_size": 1024}))
    parts = LoadedParts(Checkpoint("mine", "sdxl", tmp_path, {}), numerics().but(tiled=True))
    list(parts.open(["vae"]))
    assert memory.tile_px({"sample_size": 1024}) == parts["vae"].tile_sample_min_size == 512
    assert parts["vae"].tile_latent_min_size == 512 // 2


# the order of ways, and what is chosen


def test_ways_come_fastest_first_and_never_need_more_than_the_first(full: dict[str, Checkpoint]) -> None:
    every = list(memory.ways(4))
    assert every[:4] == [Way(lanes=4), Way(lanes=2), Way(lanes=1), Way("model", lanes=4)]
    assert every[-1] == Way("group", tiled=True, lanes=1)
    for family in ("sdxl", "flux"):
        one = need(full[family], side=2048)
        assert all(one.peak(way) <= one.peak(every[0]) for way in every)
        assert one.peak(every[-1]) == min(map(one.peak, every))


@pytest.mark.parametrize(
    ("family", "free", "way"),
    [
        ("sdxl", 78, Way(lanes=4)),
        ("sdxl", 22, Way(lanes=4)),
        ("sdxl", 11.5, Way("model", lanes=4)),
        ("sdxl", 7.5, Way("model", tiled=True, lanes=2)),
        ("sdxl", 3.6, Way("group", tiled=True, lanes=4)),
        ("flux", 78, Way()),
        ("flux", 31, Way("model")),
        ("flux", 23, Way("group")),
        ("flux", 11, Way("group")),
        ("flux", 9, None),
    ],
)
def test_a_card_gets_the_fastest_way_that_fits(
    full: dict[str, Checkpoint], family: str, free: float, way: Way | None
) -> None:
    lanes = 4 if family == "sdxl" else 1
    assert memory.choose([need(full[family])], memory.ways(lanes), free=int(free * GB), ram=64 * GB) == way


def test_what_is_put_away_must_fit_into_main_memory(full: dict[str, Checkpoint]) -> None:
    chosen = memory.choose([need(full["flux"])], memory.ways(1), free=23 * GB, ram=16 * GB)
    assert chosen is None


def test_the_largest_frame_decides(full: dict[str, Checkpoint]) -> None:
    needs = [need(full["sdxl"], side=512), need(full["sdxl"], side=1024)]
    assert memory.most(needs, Way()) == needs[1].peak(Way()) > needs[0].peak(Way())
    assert memory.choose(needs, memory.ways(1), free=needs[1].peak(Way()) - 1, ram=64 * GB) == Way("model")


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 8))
def test_more_pixels_or_lanes_never_need_less(width: int, height: int, lanes: int) -> None:
    smaller, larger = (
        memory.need(Frame(DEMO, 8 * wide, 8 * height), kind="cuda", value_bytes=2, vae_bytes=4, rows_a_lane=2)
        for wide in (width, width + 1)
    )
    for way in memory.ways(lanes):
        assert smaller.peak(way) <= larger.peak(way)
        assert smaller.peak(way) <= smaller.peak(Way(way.offload, way.tiled, lanes))


def test_quantised_weights_are_counted_as_they_will_be_held(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint("flux", tmp_path)
    place = checkpoint.place("transformer")
    matrices = sum(math.prod(shape) for _, shape in place.tensors().values() if len(shape) == 2)
    rest = sum(math.prod(shape) for _, shape in place.tensors().values() if len(shape) != 2)
    held = {
        kind: need(replace(checkpoint, places={"transformer": replace(place, quantise=kind)}), side=64).weights
        for kind in ("", "nf4", "int8")
    }
    assert held[""]["transformer"] == 2 * (matrices + rest)
    assert held["int8"]["transformer"] == matrices + 2 * rest
    assert held["nf4"]["transformer"] == int(matrices * 0.5625) + 2 * rest
    assert held["nf4"]["vae"] == held[""]["vae"]
    plain, packed = (
        need(replace(checkpoint, places={"transformer": replace(place, quantise=kind)}), side=64)
        for kind in ("", "int8")
    )
    smaller = plain.peaks(Way())["denoise"] - packed.peaks(Way())["denoise"]
    assert smaller == matrices - packed.layer, "a layer is unpacked while it is computed with"


def test_coarser_weights_of_the_same_model_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pipelines.listing.own_list", lambda: tmp_path / "models.txt")
    (tmp_path / "models.txt").write_text(
        "demo-flux-q8 flux file:/m/q8.gguf quantisation=gguf base=demo-flux\n"
        "demo-flux-int8 flux demo:sidelight-demo-flux quantisation=int8\n"
        "demo-flux-plain flux file:/m/plain.safetensors base=demo-flux\n"
        "another sdxl demo:sidelight-demo-sdxl quantisation=int8\n"
    )
    names = ("demo-flux-q8", "demo-flux-int8", "demo-flux+quantisation=nf4")
    assert memory.lighter(find("demo-flux")) == names
    assert memory.lighter(find("demo-flux-int8")) == ()


def test_frames_are_the_distinct_ones(tmp_path: Path) -> None:
    from pipelines.draft import Draft, settle

    checkpoint = tiny_checkpoint("sdxl", tmp_path)
    recipes = [
        settle(Draft(checkpoint="x", prompt="a", seed=seed, width=side, height=16), checkpoint, NO_IMAGE).recipe
        for seed in (1, 2)
        for side in (16, 32)
    ]
    found = memory.frames(recipes, {checkpoint.weights.digest: checkpoint})
    assert [(frame.width, frame.height) for frame in found] == [(16, 16), (32, 16)]


def test_bytes_are_said_as_people_say_them() -> None:
    assert [memory.gigabytes(n) for n in (13_240_000_000, 999_000_000, 44_400_000)] == ["13.2 GB", "999 MB", "44 MB"]


@pytest.fixture
def card() -> Iterator[None]:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    yield
    torch.cuda.empty_cache()


@pytest.mark.gpu
@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_a_real_gpu_allocates_about_what_is_estimated(family: Any, card: None) -> None:
    from pipelines.device import decide, needs_of
    from pipelines.weights import LoadedParts

    checkpoint = find(f"demo-{family}")
    frame = Frame(checkpoint, 512, 512, text_tokens=64)
    numerics = decide(
        family=family, pixels=512**2, lane_width=1, cells=1, forwards=9, asked={"lanes": 1}, frames=[frame]
    )
    (said,) = needs_of([frame], numerics)
    parts = LoadedParts(checkpoint, numerics)
    list(parts.open(["vae"]))
    vae = parts["vae"]
    factor = checkpoint.latent_factor
    latents = torch.zeros(1, vae.config.latent_channels, 512 // factor, 512 // factor, device="cuda", dtype=vae.dtype)
    before = torch.cuda.memory_allocated()
    with torch.no_grad():
        vae.decode(latents)
    counted = torch.cuda.max_memory_allocated() - before
    tensors = said.adds["decode"] / memory.SURPLUS["decode"]
    assert 0.9 * tensors < counted < 1.1 * said.adds["decode"]


@pytest.mark.gpu
@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_a_run_on_a_real_gpu_stays_within_the_estimate(family: str, card: None) -> None:
    from pipelines.device import decide, needs_of
    from pipelines.draft import Draft, settle
    from pipelines.engine import Engine
    from pipelines.events import Made

    checkpoint = find(f"demo-{family}")
    draft = Draft(checkpoint=checkpoint.name, prompt="a face", seed=1, width=512, height=512, steps=2)
    recipe = settle(draft, checkpoint, NO_IMAGE).recipe
    frames = memory.frames([recipe], {checkpoint.weights.digest: checkpoint})
    given: Any = {"family": family, "pixels": 512**2, "lane_width": 2, "cells": 1, "forwards": 2, "asked": {}}
    numerics = decide(**given, frames=frames)
    (said,) = needs_of(frames, numerics)
    before = torch.cuda.memory_allocated()
    assert any(isinstance(event, Made) for event in Engine(checkpoint, numerics).run([[recipe]]))
    assert torch.cuda.max_memory_allocated() - before < said.peak(Way(numerics.offload, numerics.tiled, numerics.lanes))
