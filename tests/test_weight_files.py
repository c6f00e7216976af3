"""Headers of weights files: read alone, believed only where they agree with the file; kinds told apart."""

import json
import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
import single_files
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from tiny import tiny_flux, tiny_flux2, tiny_sdxl

from pipelines.errors import CheckpointError
from pipelines.weight_files import header, look, own_tensors

PAIR = {"a": torch.zeros(2, 3), "b": torch.ones(4, dtype=torch.float16)}


def written(path: Path, entries: Any, body: bytes = b"", *, length: int | None = None) -> Path:
    """A safetensors file of that header, whatever it says."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def one(start: int, stop: int, shape: list[Any], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


# safetensors


def test_names_types_shapes_and_remarks_are_read(tmp_path: Path) -> None:
    save_file(PAIR, tmp_path / "x.safetensors", {"format": "pt"})
    read = header(tmp_path / "x.safetensors")
    assert read.tensors == {"a": ("F32", (2, 3)), "b": ("F16", (4,))}
    assert read.metadata == {"format": "pt"}


def test_every_type_that_torch_stores_is_known(tmp_path: Path) -> None:
    kinds = [torch.bool, torch.uint8, torch.int8, torch.float8_e4m3fn, torch.float8_e5m2, torch.int16, torch.float16]
    kinds += [torch.bfloat16, torch.int32, torch.float32, torch.int64, torch.float64]
    save_file({str(kind): torch.zeros(3, dtype=kind) for kind in kinds}, tmp_path / "x.safetensors")
    assert len(header(tmp_path / "x.safetensors").tensors) == len(kinds)


@given(st.data())
def test_every_cut_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.safetensors"
    save_file(PAIR, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(CheckpointError, match=r"cut.safetensors is damaged .* copy or download it again") as told:
        header(path)
    assert "\n" not in str(told.value)


HOSTILE: dict[str, Any] = {
    "overlap": ({"a": one(0, 8, [2]), "b": one(4, 12, [2])}, b"\0" * 12),
    "gap": ({"a": one(0, 8, [2]), "b": one(12, 20, [2])}, b"\0" * 20),
    "another size than its shape": ({"a": one(0, 8, [3])}, b"\0" * 8),
    "a negative side": ({"a": one(0, 8, [-1, -2])}, b"\0" * 8),
    "a side that is no whole number": ({"a": one(0, 8, [2.0])}, b"\0" * 8),
    "an unknown type": ({"a": one(0, 8, [2], "F32X")}, b"\0" * 8),
    "an offset that is text": ({"a": {"dtype": "F32", "shape": [2], "data_offsets": ["0", "8"]}}, b"\0" * 8),
    "no offsets": ({"a": {"dtype": "F32", "shape": [2]}}, b"\0" * 8),
    "remarks that are a list": ({"__metadata__": [1]}, b""),
    "no object": ([1, 2], b""),
    "a name twice": (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],'
                     b'"data_offsets":[0,8]}}', b"\0" * 8),
    "deep nesting": (b"[" * 100_000, b""),
    "no text": (b"\xff" * 64, b""),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_header_that_cannot_be_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.safetensors", *HOSTILE[case])
    with pytest.raises(CheckpointError, match="is damaged") as told:
        header(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("length", [0, 1, 10**6, 2**63, 2**64 - 1])
def test_a_header_length_that_cannot_be_reads_nothing(length: int, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is damaged"):
        header(written(tmp_path / "x.safetensors", {}, length=length))


def test_a_header_of_a_gigabyte_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**30) + b"{")
        file.truncate(2**31)  # sparse: takes no disk
    with pytest.raises(CheckpointError, match="is damaged"):
        header(path)


@pytest.mark.parametrize("name", ["x.ckpt", "x.pt", "x.pth", "x.bin", "X.CKPT"])
def test_pickles_are_refused_by_name_unread(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is a pickle, which can run code and is not opened; convert"):
        header(tmp_path / name)  # it does not even exist


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("suffix", [".safetensors", ".gguf"])
def test_pickles_are_refused_by_their_first_bytes(protocol: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(pickle.dumps({"state_dict": [1, 2, 3]}, protocol))
    with pytest.raises(CheckpointError, match="is a pickle"):
        header(path)
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="is a pickle"):
        header(path)


def test_other_files_and_missing_ones_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    with pytest.raises(CheckpointError, match=r"x.png is no weights file; .safetensors and .gguf files are opened"):
        header(tmp_path / "x.png")
    with pytest.raises(CheckpointError, match=r"none.safetensors cannot be read \(No such file"):
        header(tmp_path / "none.safetensors")


# GGUF


def test_a_gguf_file_is_read_in_the_order_of_torch(tmp_path: Path) -> None:
    path = single_files.write_gguf(tmp_path / "x.gguf", {"a": torch.zeros(4, 32), "b": torch.zeros(3)})
    read = header(path)
    assert read.tensors == {"a": ("Q8_0", (4, 32)), "b": ("F32", (3,))}
    assert read.metadata == {"general.architecture": "flux"}


def test_a_gguf_file_that_breaks_off_anywhere_is_damaged(tmp_path: Path) -> None:
    path = single_files.write_gguf(tmp_path / "x.gguf", {"a": torch.zeros(4, 32), "b": torch.zeros(3)})
    whole = path.read_bytes()
    data = sum((4 * 34, 3 * 4))
    for kept in [*range(0, 200, 7), len(whole) - data, len(whole) - 32]:
        path.write_bytes(whole[:kept])
        with pytest.raises(CheckpointError, match=r"x.gguf is damaged"):
            header(path)


@pytest.mark.parametrize(
    "body",
    [
        struct.pack("<QQ", 2**40, 0),  # tensors without end
        struct.pack("<QQ", 0, 2**40),  # values without end
        struct.pack("<QQ", 0, 1) + struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 0, 2**60),  # a list without end
        struct.pack("<QQ", 0, 1) + struct.pack("<Q", 2**62) + b"a",  # a name without end
        struct.pack("<QQ", 1, 0) + struct.pack("<Q", 1) + b"a" + struct.pack("<I", 2**31),  # sides without end
    ],
)
def test_counts_that_cannot_be_end_at_once(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + struct.pack("<I", 3) + body)
    with pytest.raises(CheckpointError, match="is damaged"):
        header(tmp_path / "x.gguf")


def test_without_the_package_gguf_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = single_files.write_gguf(tmp_path / "x.gguf", {"a": torch.zeros(4, 32)})
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(CheckpointError, match=r"needs the package gguf to be opened; install sidelight\[quant\]"):
        header(path)


# what a file is


@pytest.fixture(scope="module")
def sdxl() -> dict[str, torch.Tensor]:
    return single_files.sdxl(tiny_sdxl())


@pytest.fixture(scope="module")
def flux() -> dict[str, torch.Tensor]:
    return single_files.flux(tiny_flux())


def seen(tmp_path: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> Any:
    return look(single_files.write(tmp_path / "x.safetensors", tensors, **metadata))


def test_a_whole_sdxl_file_is_known_by_its_parts(tmp_path: Path, sdxl: dict[str, torch.Tensor]) -> None:
    found = seen(tmp_path, sdxl)
    assert (found.kind, found.family, found.inpainting) == ("checkpoint", "sdxl", False)
    assert found.parts == ("unet", "vae", "text_encoder", "text_encoder_2")
    unet = single_files.prefixed("", {k: v for k, v in sdxl.items() if k.startswith("model.diffusion_model.")})
    assert seen(tmp_path, unet).parts == ("unet",)
    bare = {name.removeprefix("model.diffusion_model."): tensor for name, tensor in unet.items()}
    assert seen(tmp_path, bare).parts == ("unet",)
    assert seen(tmp_path, tiny_sdxl()["unet"].state_dict()).parts == ("unet",)


def test_channels_tell_inpainting_checkpoints(tmp_path: Path, sdxl: dict[str, torch.Tensor]) -> None:
    first = "model.diffusion_model.input_blocks.0.0.weight"
    found = seen(tmp_path, sdxl | {first: torch.zeros(8, 9, 3, 3)})
    assert (found.inpainting, found.settings) == (True, {"in_channels": 9})
    with pytest.raises(CheckpointError, match="an SDXL checkpoint with 8 input channels"):
        seen(tmp_path, sdxl | {first: torch.zeros(8, 8, 3, 3)})


def test_a_checkpoint_trained_for_velocity_says_so(tmp_path: Path, sdxl: dict[str, torch.Tensor]) -> None:
    assert seen(tmp_path, sdxl).schedule == {}
    assert seen(tmp_path, sdxl, **{"modelspec.prediction_type": "v"}).schedule == {"prediction_type": "v_prediction"}
    zero = seen(tmp_path, sdxl | {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}).schedule
    assert zero["rescale_betas_zero_snr"]


def test_flux_files_are_known_whole_or_as_a_transformer(tmp_path: Path, flux: dict[str, torch.Tensor]) -> None:
    whole = seen(tmp_path, flux)
    assert (whole.kind, whole.family, whole.inpainting) == ("checkpoint", "flux", False)
    assert whole.parts == ("transformer", "vae", "text_encoder", "text_encoder_2")
    assert whole.settings == {"in_channels": 16, "out_channels": 16, "guidance_embeds": True}
    alone = single_files.bfl_transformer(tiny_flux()["transformer"])
    assert seen(tmp_path, alone).parts == ("transformer",)
    assert seen(tmp_path, single_files.prefixed("model.diffusion_model.", alone)).parts == ("transformer",)
    assert seen(tmp_path, tiny_flux()["transformer"].state_dict()).parts == ("transformer",)
    schnell = {name: tensor for name, tensor in alone.items() if not name.startswith("guidance_in.")}
    assert seen(tmp_path, schnell).settings["guidance_embeds"] is False
    fill = tiny_flux(in_channels=48, out_channels=16)["transformer"]
    assert seen(tmp_path, single_files.bfl_transformer(fill)).inpainting
    with pytest.raises(CheckpointError, match="a FLUX control model"):
        seen(tmp_path, single_files.bfl_transformer(tiny_flux(in_channels=32, out_channels=16)["transformer"]))
    assert seen(tmp_path, tiny_flux2()["transformer"].state_dict()).family == "flux2"


def test_autoencoders_and_adapters_are_known(tmp_path: Path, flux: dict[str, torch.Tensor]) -> None:
    vae = tiny_sdxl()["vae"]
    for tensors in (vae.state_dict(), single_files.ldm_vae(vae)):
        found = seen(tmp_path, tensors)
        assert (found.kind, found.family, found.parts) == ("vae", "sdxl", ("vae",))
    plus = {"image_proj.latents": torch.zeros(1, 4, 8), "ip_adapter.1.to_k_ip.weight": torch.zeros(64, 2048)}
    assert (seen(tmp_path, plus).kind, seen(tmp_path, plus).family) == ("adapter", "sdxl")
    assert (
        seen(tmp_path, {"redux_up.weight": torch.zeros(2, 2), "redux_down.weight": torch.zeros(2, 2)}).family == "flux"
    )
    with pytest.raises(CheckpointError, match="an IP-Adapter of Stable Diffusion 1 or 2"):
        seen(tmp_path, plus | {"ip_adapter.1.to_k_ip.weight": torch.zeros(64, 768)})


REFUSED = {
    "conditioner.embedders.0.model.ln_final.weight": "the SDXL refiner",
    "cond_stage_model.transformer.text_model.final_layer_norm.weight": "a Stable Diffusion 1 or 2 checkpoint",
    "model.diffusion_model.joint_blocks.0.context_block.adaLN_modulation.1.bias": "a Stable Diffusion 3 checkpoint",
    "distilled_guidance_layer.in_proj.bias": "a Chroma checkpoint",
    "control_model.time_embed.0.weight": "a ControlNet",
    "encoder.block.0.layer.0.SelfAttention.k.weight": "a text encoder alone",
    "vision_model.encoder.layers.0.mlp.fc1.weight": "an image encoder alone",
    "something.else": "is of no kind that is opened \\(1 tensors: something.else",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_opened_is_called_by_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=REFUSED[name]) as told:
        seen(tmp_path, {name: torch.zeros(2)})
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ("conditioner.embedders.0.model.ln_final.weight", "the SDXL refiner, which is not opened"),
        ("edm_mean", "a Playground checkpoint"),
        ("scaled_fp8", "stored as scaled 8-bit floats"),
        ("model.diffusion_model.out.2.weight.quant_state.bitsandbytes__nf4", "quantised by bitsandbytes in one file"),
    ],
)
def test_what_would_open_and_be_wrong_is_refused(
    extra: str, reason: str, tmp_path: Path, sdxl: dict[str, torch.Tensor]
) -> None:
    with pytest.raises(CheckpointError, match=reason):
        seen(tmp_path, sdxl | {extra: torch.zeros(2)})


def test_relatives_of_sdxl_are_told_apart_by_their_shapes(tmp_path: Path, sdxl: dict[str, torch.Tensor]) -> None:
    unet = {name: tensor for name, tensor in sdxl.items() if name.startswith("model.diffusion_model.")}
    with pytest.raises(CheckpointError, match="the SDXL refiner"):
        seen(tmp_path, unet | {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(384, 4, 3, 3)})
    other = {name: torch.zeros(16, 1024) for name in unet if name.endswith("attn2.to_k.weight")}
    with pytest.raises(CheckpointError, match=r"a relative of SDXL \(its words are 1024 wide\)"):
        seen(tmp_path, unet | other)


def test_a_component_is_found_in_a_file_that_holds_several(tmp_path: Path, flux: dict[str, torch.Tensor]) -> None:
    read = header(single_files.write(tmp_path / "x.safetensors", flux))
    vae = own_tensors(read, "vae")
    assert vae["decoder.conv_in.weight"] == "vae.decoder.conv_in.weight"
    names = [
        inside
        for part in ("transformer", "vae", "text_encoder", "text_encoder_2")
        for inside in own_tensors(read, part).values()
    ]
    assert sorted(names) == sorted(flux.keys() - {"text_encoders.clip_l.logit_scale"})
