"""Components open from wherever they lie, bit for bit what was stored, and make the same pictures."""

import hashlib
import json
import math
import shutil
import struct
from pathlib import Path
from types import FunctionType
from typing import Any

import diffusers
import pytest
import single_files
import torch
import transformers
from diffusers.loaders import single_file_utils
from making import engine, numerics, pictures, recipe
from safetensors.torch import load_file
from tiny import tiny_checkpoint, tiny_flux, tiny_flux2, tiny_sdxl

from pipelines import quantisation
from pipelines.checkpoint import Checkpoint, find, of_row
from pipelines.errors import CheckpointError
from pipelines.listing import read_list
from pipelines.places import CONFIGS
from pipelines.weights import LoadedParts

NETWORKS = {
    "sdxl": ("unet", "vae", "text_encoder", "text_encoder_2"),
    "flux": ("transformer", "vae", "text_encoder", "text_encoder_2"),
}
MAKERS: dict[str, Any] = {"sdxl": tiny_sdxl, "flux": tiny_flux}
CONVERT = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers
REAL_WIDTH = FunctionType(CONVERT.__code__, CONVERT.__globals__)
"""The same, for the width of FLUX.1 that it has as a number in its code."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    return {kind: tiny_checkpoint(kind, tmp_path_factory.mktemp(kind)) for kind in ("sdxl", "flux", "schnell")}


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same as whole single files."""
    folder = tmp_path_factory.mktemp("single")
    write = {"sdxl": single_files.sdxl, "flux": single_files.flux}
    return {
        family: single_files.write(folder / f"{family}.safetensors", write[family](MAKERS[family]()))
        for family in write
    }


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diffusers' converter with the tiny width in its code."""
    numbers = tuple(32 if constant == 3072 else constant for constant in CONVERT.__code__.co_consts)
    monkeypatch.setattr(CONVERT, "__code__", CONVERT.__code__.replace(co_consts=numbers))


def opened(checkpoint: Checkpoint, **asked: Any) -> LoadedParts:
    parts = LoadedParts(checkpoint, numerics(checkpoint, 1, **asked))
    assert list(parts.open(checkpoint.components))
    return parts


def picture(checkpoint: Checkpoint, mode: str = "text-to-image") -> torch.Tensor:
    (made,) = pictures(engine(checkpoint), [[recipe(checkpoint, mode)]]).values()
    return made


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def assert_equal_tensors(parts: LoadedParts, expected: dict[str, Any], family: str) -> None:
    for name in NETWORKS[family]:
        found, wanted = parts[name].state_dict(), expected[name].state_dict()
        assert found.keys() == wanted.keys()
        assert [key for key in wanted if not torch.equal(found[key], wanted[key])] == [], name


def with_base(file: Path, base: Checkpoint, *options: str) -> Checkpoint:
    return find("+".join([str(file), f"base={base.folder}", *options]))


# single files


@pytest.mark.parametrize("family", ["sdxl", "flux"])
def test_a_whole_single_file_is_what_it_was_made_from(
    family: str, base: dict[str, Checkpoint], single: dict[str, Path]
) -> None:
    checkpoint = with_base(single[family], base[family])
    assert (checkpoint.family, checkpoint.latent_factor) == (family, 2)
    assert_equal_tensors(opened(checkpoint), MAKERS[family](), family)
    assert distance(picture(checkpoint), picture(base[family])) < 1e-5


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_flux_transformer_alone_takes_the_rest_from_its_base(
    prefix: str, base: dict[str, Checkpoint], tmp_path: Path
) -> None:
    other = tiny_flux(seed=5)
    names = single_files.prefixed(prefix, single_files.bfl_transformer(other["transformer"]))
    file = single_files.write(tmp_path / "flux1.safetensors", names)
    with pytest.raises(CheckpointError, match=r"flux1 holds only its transformer; say where text_encoder comes from"):
        find(str(file))
    checkpoint = with_base(file, base["flux"])
    assert_equal_tensors(opened(checkpoint), tiny_flux() | {"transformer": other["transformer"]}, "flux")
    assert checkpoint.weights.digest not in {base["flux"].weights.digest, digest_of_bytes(file)}


def test_unets_alone_open_in_every_layout(base: dict[str, Checkpoint], tmp_path: Path) -> None:
    unet = tiny_sdxl(seed=5)["unet"]
    ldm = single_files.ldm_unet(unet)
    for names in (ldm, single_files.prefixed("model.diffusion_model.", ldm), unet.state_dict()):
        file = single_files.write(tmp_path / "unet.safetensors", names)
        parts = opened(with_base(file, base["sdxl"]))
        assert_equal_tensors(parts, tiny_sdxl() | {"unet": unet}, "sdxl")


def test_a_flux2_transformer_alone_opens_beside_its_base(tmp_path: Path) -> None:
    base, other = tiny_checkpoint("flux2", tmp_path / "klein"), tiny_flux2(seed=5)["transformer"]
    file = single_files.write(tmp_path / "other.safetensors", other.state_dict())
    with pytest.raises(CheckpointError, match=r"other holds only its transformer; give base=NAME of a whole FLUX.2"):
        find(str(file))
    found = opened(with_base(file, base))["transformer"].state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in other.state_dict().items())


def test_an_inpainting_file_has_its_nine_channels(base: dict[str, Checkpoint], tmp_path: Path) -> None:
    inpaint = tiny_checkpoint("inpaint", tmp_path / "inpaint")
    unet = diffusers.UNet2DConditionModel.from_pretrained(inpaint.folder / "unet")
    file = single_files.write(tmp_path / "nine.safetensors", single_files.sdxl(tiny_sdxl() | {"unet": unet}))
    checkpoint = with_base(file, base["sdxl"])
    assert checkpoint.config("unet")["in_channels"] == 9
    assert distance(picture(checkpoint, "inpaint"), picture(inpaint, "inpaint")) < 1e-5


def test_the_autoencoder_is_float32_and_the_rest_as_the_run_says(
    base: dict[str, Checkpoint], single: dict[str, Path]
) -> None:
    parts = opened(with_base(single["sdxl"], base["sdxl"]), dtype="bfloat16")
    assert {name: parts[name].dtype for name in NETWORKS["sdxl"]} == {
        "unet": torch.bfloat16,
        "vae": torch.float32,
        "text_encoder": torch.bfloat16,
        "text_encoder_2": torch.bfloat16,
    }


def test_eight_bit_floats_become_the_runs_floats(base: dict[str, Checkpoint], tmp_path: Path) -> None:
    narrow = {name: tensor.to(torch.float8_e4m3fn) for name, tensor in single_files.flux(tiny_flux()).items()}
    checkpoint = with_base(single_files.write(tmp_path / "fp8.safetensors", narrow), base["flux"])
    weight = opened(checkpoint)["transformer"].proj_out.weight
    stored = narrow["model.diffusion_model.final_layer.linear.weight"]
    assert torch.equal(weight, stored.float())


def test_the_name_of_a_single_file_is_no_part_of_its_identity(
    base: dict[str, Checkpoint], single: dict[str, Path], tmp_path: Path
) -> None:
    copy = shutil.copy(single["sdxl"], tmp_path / "juggernaut.safetensors")
    one, other = with_base(single["sdxl"], base["sdxl"]), with_base(Path(copy), base["sdxl"])
    assert one.weights.digest == other.weights.digest
    assert other.weights.name.startswith("juggernaut")


def test_what_a_file_holds_is_counted_once(base: dict[str, Checkpoint], single: dict[str, Path]) -> None:
    checkpoint = with_base(single["flux"], base["flux"])
    read = sum(checkpoint.place(name).bytes() for name in NETWORKS["flux"])
    assert single["flux"].stat().st_size * 0.9 < read <= single["flux"].stat().st_size + 4000
    assert checkpoint.bytes() > read


@pytest.mark.parametrize(
    ("family", "lost", "part"),
    [
        ("sdxl", "model.diffusion_model.out.2.weight", "unet"),
        ("sdxl", "first_stage_model.decoder.conv_out.bias", "vae"),
        ("sdxl", "conditioner.embedders.1.model.ln_final.weight", "text_encoder_2"),
        ("flux", "model.diffusion_model.double_blocks.0.txt_mlp.0.bias", "transformer"),
        ("flux", "text_encoders.t5xxl.transformer.encoder.final_layer_norm.weight", "text_encoder_2"),
    ],
)
def test_a_file_that_lacks_a_tensor_is_told_in_one_line(
    family: str, lost: str, part: str, base: dict[str, Checkpoint], single: dict[str, Path], tmp_path: Path
) -> None:
    kept = {name: tensor for name, tensor in load_file(single[family]).items() if name != lost}
    checkpoint = with_base(single_files.write(tmp_path / "cut.safetensors", kept), base[family])
    with pytest.raises(
        CheckpointError, match=rf"cut.safetensors: its {part} is not as .* \(.+\); copy it again"
    ) as told:
        opened(checkpoint)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("lost", ["shared.weight", "encoder.embed_tokens.weight"])
def test_the_words_of_t5_may_be_stored_once(
    lost: str, base: dict[str, Checkpoint], single: dict[str, Path], tmp_path: Path
) -> None:
    kept = {name: tensor for name, tensor in load_file(single["flux"]).items() if not name.endswith(f"r.{lost}")}
    checkpoint = with_base(single_files.write(tmp_path / "once.safetensors", kept), base["flux"])
    assert_equal_tensors(opened(checkpoint), tiny_flux(), "flux")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_file_of_another_size_than_its_settings_is_told(part: str, single: dict[str, Path]) -> None:
    checkpoint = find(str(single["sdxl"]))  # the shipped settings are those of the real SDXL
    assert checkpoint.config("unet")["block_out_channels"] == [320, 640, 1280]
    for place in checkpoint.places.values():
        assert place.folder.is_relative_to(CONFIGS)
    with pytest.raises(CheckpointError, match=rf"sdxl.safetensors: its {part} is not as .*base=NAME") as told:
        list(LoadedParts(checkpoint, numerics(checkpoint, 1)).open([part]))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("part", NETWORKS["flux"])
@pytest.mark.parametrize("fault", ["missing", "size"])
def test_a_folder_whose_tensors_are_not_those_of_its_settings_is_told(
    part: str, fault: str, base: dict[str, Checkpoint], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(base["flux"].folder, tmp_path / "spoilt"))
    (file,) = (folder / part).glob("*.safetensors")
    tensors = load_file(file)
    name = max(name for name in tensors if name.endswith("weight") and tensors[name].ndim == 1)
    tensors |= {name: torch.zeros(3)} if fault == "size" else {}
    kept = {key: tensor for key, tensor in tensors.items() if fault == "size" or key != name}
    single_files.write(file, kept, format="pt")
    with pytest.raises(CheckpointError, match=rf"{part}: its {part} is not as .*; copy it again") as told:
        opened(find(str(folder)))
    assert "\n" not in str(told.value)


def test_a_velocity_trained_file_gets_its_schedule(base: dict[str, Checkpoint], tmp_path: Path) -> None:
    marks = {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    file = single_files.write(tmp_path / "v.safetensors", single_files.sdxl(tiny_sdxl()) | marks)
    checkpoint = with_base(file, base["sdxl"])
    schedule = opened(checkpoint)["scheduler"].config
    assert (schedule.prediction_type, schedule.rescale_betas_zero_snr) == ("v_prediction", True)
    assert distance(picture(checkpoint), picture(base["sdxl"])) > 0.01


# settings that ship


def hollow(path: Path, tensors: dict[str, Any]) -> Path:
    """A file whose header is that of a real checkpoint in half precision, and whose weights take no disk."""
    end, entries = 0, {}
    for name, tensor in tensors.items():
        size = 2 * tensor.numel()
        entries[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


def at_real_size(folder: str) -> dict[str, Any]:
    """The networks of shipped settings, without memory."""
    found: dict[str, Any] = {}
    for name, kind in json.loads((CONFIGS / folder / "model_index.json").read_text()).items():
        if (CONFIGS / folder / name / "config.json").exists():
            cls = getattr(transformers if kind[0] == "transformers" else diffusers, kind[1])
            with torch.device("meta"):
                if kind[0] == "transformers":
                    found[name] = cls(cls.config_class.from_pretrained(CONFIGS / folder / name))
                else:
                    found[name] = cls.from_config(cls.load_config(CONFIGS / folder / name))
    return found


@pytest.mark.parametrize("folder", ["sdxl", "flux-dev", "flux-schnell"])
def test_a_real_single_file_needs_nothing_beside_it(folder: str, tmp_path: Path) -> None:
    parts = at_real_size(folder)
    whole = single_files.sdxl(parts) if folder == "sdxl" else single_files.flux(parts)
    checkpoint = find(str(hollow(tmp_path / "mine.safetensors", whole)))
    family = "sdxl" if folder == "sdxl" else "flux"
    assert checkpoint.family == family
    assert checkpoint.folder == CONFIGS / folder
    for name, part in parts.items():
        stored = {key: math.prod(shape) for key, (_, shape) in checkpoint.place(name).tensors().items()}
        own = sum(tensor.numel() for tensor in part.state_dict().values())
        assert (
            0
            <= own - sum(stored.values())
            <= (part.state_dict().get("encoder.embed_tokens.weight", torch.zeros(0)).numel())
        )
    assert len(list(checkpoint.files())) > 10
    assert checkpoint.bytes() > 6e9


def test_diffusers_turns_every_name_of_a_real_file_into_one_of_the_shipped_settings() -> None:
    sdxl, flux = at_real_size("sdxl"), at_real_size("flux-dev")
    unet = single_file_utils.convert_ldm_unet_checkpoint(
        single_files.prefixed("model.diffusion_model.", single_files.ldm_unet(sdxl["unet"])), dict(sdxl["unet"].config)
    )
    assert shapes(unet) == shapes(sdxl["unet"].state_dict())
    second = single_file_utils.convert_open_clip_checkpoint(
        sdxl["text_encoder_2"], single_files.open_clip(sdxl["text_encoder_2"]), prefix=""
    )
    assert shapes(second) == shapes(sdxl["text_encoder_2"].state_dict())
    transformer = REAL_WIDTH(single_files.bfl_transformer(flux["transformer"]))
    assert shapes(transformer) == shapes(flux["transformer"].state_dict())
    vae = single_file_utils.convert_ldm_vae_checkpoint(single_files.ldm_vae(flux["vae"]), dict(flux["vae"].config))
    assert shapes(vae) == shapes(flux["vae"].state_dict())


def shapes(tensors: dict[str, Any]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def test_shipped_vocabularies_cut_words_as_their_encoders_learned() -> None:
    first, second = (
        transformers.CLIPTokenizer.from_pretrained(CONFIGS / "sdxl" / name, local_files_only=True)
        for name in ("tokenizer", "tokenizer_2")
    )
    t5 = transformers.T5TokenizerFast.from_pretrained(CONFIGS / "flux-dev/tokenizer_2", local_files_only=True)
    assert first("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert first("a cat", padding="max_length").input_ids == [49406, 320, 2368] + [49407] * 74
    assert second("a cat", padding="max_length").input_ids == [49406, 320, 2368, 49407] + [0] * 73
    german = "translate English to German: The house is wonderful."
    assert t5(german).input_ids == [13959, 1566, 12, 2968, 10, 37, 629, 19, 1627, 5, 1]
    assert (first.model_max_length, second.model_max_length, t5.model_max_length) == (77, 77, 512)


def test_every_shipped_setting_stays_as_it_is() -> None:
    """Its hash is part of the key of every picture made with a single file."""
    lines = sorted(
        f"{path.relative_to(CONFIGS)} {digest_of_bytes(path)}\n" for path in CONFIGS.rglob("*.json") if path.is_file()
    )
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == GOLDEN_CONFIGS


GOLDEN_CONFIGS = "e8cf218d2c13060e05fed8c7f8dee97c22751da6308bac2e15a9278014ae0833"


def digest_of_bytes(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_schnell_transformer_keeps_its_own_schedule_beside_the_parts_of_dev(
    base: dict[str, Checkpoint], tmp_path: Path
) -> None:
    schnell = diffusers.FluxTransformer2DModel.from_pretrained(base["schnell"].folder / "transformer")
    file = single_files.write(tmp_path / "schnell.safetensors", single_files.bfl_transformer(schnell))
    mixed = with_base(file, base["flux"])
    assert mixed.config("transformer")["guidance_embeds"] is False
    assert mixed.place("scheduler").folder == CONFIGS / "flux-schnell" / "scheduler"
    assert mixed.place("text_encoder_2").folder == base["flux"].folder / "text_encoder_2"
    assert with_base(file, base["schnell"]).place("scheduler").folder == base["schnell"].folder / "scheduler"


def test_bases_that_lead_in_a_circle_or_to_another_family_are_told(
    base: dict[str, Checkpoint], single: dict[str, Path], own_rows: Any
) -> None:
    rows = own_rows(f"a flux file:{single['flux']} base=b\nb flux file:{single['flux']} base=a\n")
    with pytest.raises(CheckpointError, match=r"base of a leads back to a"):
        of_row(rows["a"])
    with pytest.raises(CheckpointError, match=r"is of family sdxl, not flux"):
        with_base(single["flux"], base["sdxl"])


@pytest.fixture
def own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the user's own list."""

    def write(text: str) -> Any:
        path = tmp_path / "config" / "sidelight" / "models.txt"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        return read_list(path)

    return write


# another autoencoder


@pytest.mark.parametrize("layout", ["folder", "diffusers", "ldm"])
def test_another_autoencoder_takes_the_place_of_the_own(
    layout: str, base: dict[str, Checkpoint], tmp_path: Path
) -> None:
    other, place = tiny_sdxl(seed=9)["vae"], tmp_path / "soft.safetensors"
    if layout == "folder":
        place = tmp_path / "soft"
        other.save_pretrained(place)
    else:
        single_files.write(place, other.state_dict() if layout == "diffusers" else single_files.ldm_vae(other))
    checkpoint = find(f"{base['sdxl'].folder}+vae={place}")
    assert_equal_tensors(opened(checkpoint), tiny_sdxl() | {"vae": other}, "sdxl")
    assert checkpoint.weights.digest != base["sdxl"].weights.digest
    assert distance(picture(checkpoint), picture(base["sdxl"])) > 0.01


def test_an_autoencoder_of_another_checkpoint_can_be_named(
    base: dict[str, Checkpoint], single: dict[str, Path]
) -> None:
    for place in (base["sdxl"].folder, single["sdxl"]):
        checkpoint = find(f"{base['sdxl'].folder}+vae={place}")
        assert_equal_tensors(opened(checkpoint), tiny_sdxl(), "sdxl")


def test_an_autoencoder_that_does_not_fit_is_refused(
    base: dict[str, Checkpoint], single: dict[str, Path], tmp_path: Path
) -> None:
    sizes: dict[str, Any] = {"block_out_channels": (8, 8), "norm_num_groups": 4, "layers_per_block": 1}
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    diffusers.AutoencoderKL(latent_channels=16, **sizes, **blocks).save_pretrained(tmp_path / "wide")
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 3, "up_block_types": ("UpDecoderBlock2D",) * 3}
    deep = diffusers.AutoencoderKL(latent_channels=4, **sizes | {"block_out_channels": (8, 8, 8)}, **blocks)
    single_files.write(tmp_path / "deep.safetensors", single_files.ldm_vae(deep))
    (tmp_path / "other").mkdir()
    config = json.loads((base["sdxl"].folder / "vae/config.json").read_text()) | {"_class_name": "AutoencoderTiny"}
    (tmp_path / "other/config.json").write_text(json.dumps(config))
    unet = single_files.write(tmp_path / "unet.safetensors", single_files.ldm_unet(tiny_sdxl()["unet"]))
    for place, reason in (
        (tmp_path / "wide", "has 16 latent channels and 2 blocks, .* needs 4 and 2"),
        (tmp_path / "deep.safetensors", "has 4 latent channels and 3 blocks"),
        (tmp_path / "other", "is a AutoencoderTiny, .* needs a AutoencoderKL"),
        (unet, "holds no autoencoder"),
    ):
        with pytest.raises(CheckpointError, match=reason) as told:
            find(f"{base['sdxl'].folder}+vae={place}")
        assert "\n" not in str(told.value)


# variants, parts, the refiner


@pytest.fixture
def variants(tmp_path: Path) -> Path:
    """A folder with plain weights of one seed and fp16 ones of another."""
    for seed, variant in ((0, None), (1, "fp16")):
        pipe = diffusers.StableDiffusionXLPipeline(**tiny_sdxl(seed))
        pipe.to(torch.float16 if variant else torch.float32).save_pretrained(tmp_path / "both", variant=variant)
    return tmp_path / "both"


def test_plain_weights_are_read_unless_a_variant_is_asked_for(variants: Path) -> None:
    plain, asked = find(str(variants)), find(f"{variants}+variant=fp16")
    assert_equal_tensors(opened(plain), tiny_sdxl(0), "sdxl")
    half = diffusers.StableDiffusionXLPipeline(**tiny_sdxl(1)).to(torch.float16).to(torch.float32)
    assert_equal_tensors(opened(asked), half.components, "sdxl")
    assert plain.weights.digest != asked.weights.digest


def test_a_folder_that_has_only_fp16_weights_opens_with_them(variants: Path) -> None:
    asked = find(f"{variants}+variant=fp16").weights.digest
    for path in variants.rglob("*.safetensors"):
        if ".fp16." not in path.name:
            path.unlink()
    checkpoint = find(str(variants))
    assert checkpoint.weights.digest == asked
    assert opened(checkpoint)["unet"].dtype == torch.float32
    with pytest.raises(CheckpointError, match=r"has no variant bf16 in .*; allowed: fp16, or leave it out"):
        find(f"{variants}+variant=bf16")
    for path in list(variants.rglob("*.safetensors")):
        shutil.copy(path, path.with_name(path.name.replace("fp16", "bf16")))
    with pytest.raises(CheckpointError, match=r"holds its weights as bf16 and fp16; say which: variant=bf16"):
        find(str(variants))


@pytest.fixture
def parted(tmp_path: Path) -> Path:
    """A folder whose UNet and second encoder come in several parts."""
    folder = tiny_checkpoint("sdxl", tmp_path / "parted").folder
    for path in (*(folder / "unet").glob("*.safetensors"), *(folder / "text_encoder_2").glob("*.safetensors")):
        path.unlink()
    tiny_sdxl()["unet"].save_pretrained(folder / "unet", max_shard_size="100KB")
    tiny_sdxl()["text_encoder_2"].save_pretrained(folder / "text_encoder_2", max_shard_size="10KB")
    assert len(list((folder / "unet").glob("*-of-*.safetensors"))) > 1
    assert len(list((folder / "text_encoder_2").glob("*-of-*.safetensors"))) > 1
    return folder


def test_weights_in_parts_open_and_count(parted: Path) -> None:
    checkpoint = find(str(parted))
    assert_equal_tensors(opened(checkpoint), tiny_sdxl(), "sdxl")
    before = checkpoint.weights.digest
    part = next(parted.glob("unet/*-00002-of-*.safetensors"))
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    assert find(str(parted)).weights.digest != before


def test_parts_that_are_missing_or_not_listed_are_told(parted: Path) -> None:
    listed = next(parted.glob("unet/*.index.json"))
    text = listed.read_text()
    listed.write_text(text.replace("-00002-of-", "-00001-of-"))
    with pytest.raises(CheckpointError, match=r"unet has no list that names its \d parts"):
        _ = find(str(parted)).weights
    listed.write_text(text)
    next(parted.glob("unet/*-00002-of-*.safetensors")).unlink()
    with pytest.raises(CheckpointError, match=r"unet lacks part 2 of \d of its weights; download it again"):
        _ = find(str(parted)).weights
    tiny_sdxl()["text_encoder_2"].save_pretrained(parted / "again")
    shutil.copy(parted / "again/model.safetensors", parted / "text_encoder_2")
    shutil.rmtree(parted / "unet")
    tiny_sdxl()["unet"].save_pretrained(parted / "unet")
    with pytest.raises(CheckpointError, match=r"text_encoder_2 holds its weights twice"):
        _ = find(str(parted)).weights


def test_the_refiner_is_refused_by_name(base: dict[str, Checkpoint], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base["sdxl"].folder, tmp_path / "refiner"))
    index = json.loads((folder / "model_index.json").read_text())
    index |= {
        "_class_name": "StableDiffusionXLImg2ImgPipeline",
        "text_encoder": [None, None],
        "tokenizer": [None, None],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"refiner is the SDXL refiner, which is not opened.*give the base"):
        find(str(folder))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (["my_unet", "MyUnet"], "unet asks for code of my_unet, which is never run"),
        (["os.path", "join"], "unet asks for code of os.path, which is never run"),
        (["transformers", "pipeline"], "unet asks for pipeline, which is no class of transformers that is opened"),
        (["transformers", "AutoModel"], "unet asks for AutoModel, which is no class of transformers that is opened"),
        (["diffusers", "NoSuchUnet"], "unet asks for NoSuchUnet, which is no class of diffusers that is opened"),
    ],
)
def test_no_code_of_a_checkpoint_is_run(
    kind: list[str], reason: str, base: dict[str, Checkpoint], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(base["sdxl"].folder, tmp_path / "coded"))
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"unet": kind}))
    (folder / "unet/my_unet.py").write_text("raise AssertionError('this ran')")
    with pytest.raises(CheckpointError, match=reason) as told:
        opened(find(str(folder)))
    assert "\n" not in str(told.value)


# quantised


@pytest.mark.parametrize(("family", "bound"), [("sdxl", 0.001), ("flux", 0.003)])
def test_a_gguf_denoiser_makes_nearly_the_same_picture(
    family: str, bound: float, base: dict[str, Checkpoint], tmp_path: Path
) -> None:
    """Q8_0, 8 bits and a scale for every 32 values: seen 0.0002 (SDXL, whose tiny rows are mostly
    too short to be quantised), 0.0007 (FLUX)."""
    denoiser = MAKERS[family]()[NETWORKS[family][0]]
    names = single_files.ldm_unet(denoiser) if family == "sdxl" else single_files.bfl_transformer(denoiser)
    file = single_files.write_gguf(tmp_path / "q8.gguf", names)
    with pytest.raises(CheckpointError, match=r"q8 holds only its (unet|transformer); say where"):
        find(str(file))
    checkpoint = with_base(file, base[family])
    assert recipe(checkpoint).checkpoint.quantisation == checkpoint.quantisation == "gguf"
    assert 0 < distance(picture(checkpoint), picture(base[family])) < bound
    parts = opened(checkpoint)
    kinds = {type(weights).__name__ for weights in parts[NETWORKS[family][0]].parameters()}
    assert "GGUFParameter" in kinds
    assert parts["vae"].dtype == torch.float32


@pytest.mark.parametrize(("family", "bound"), [("sdxl", 0.002), ("flux", 0.004)])
def test_int8_on_the_fly_makes_nearly_the_same_picture(family: str, bound: float, base: dict[str, Checkpoint]) -> None:
    """One scale for every output of a layer: seen 0.0005 (SDXL), 0.001 (FLUX)."""
    checkpoint = find(f"{base[family].folder}+quantisation=int8")
    assert recipe(checkpoint).checkpoint.quantisation == "int8"
    assert checkpoint.weights.digest == base[family].weights.digest
    assert recipe(checkpoint).key != recipe(base[family]).key
    assert 0 < distance(picture(checkpoint), picture(base[family])) < bound
    parts = opened(checkpoint)
    coarse = {name for name in NETWORKS[family] if "Int8" in repr([type(p.data) for p in parts[name].parameters()])}
    assert coarse == {"unet"} if family == "sdxl" else coarse == {"transformer", "text_encoder_2"}


def test_a_quantised_base_gives_its_encoders_and_not_its_quantisation_to_the_file(
    base: dict[str, Checkpoint], tmp_path: Path
) -> None:
    file = single_files.write_gguf(tmp_path / "q8.gguf", single_files.bfl_transformer(tiny_flux()["transformer"]))
    checkpoint = find(f"{base['flux'].folder}+quantisation=int8")
    (tmp_path / "models.txt").write_text(f"q8 flux file:{file} base={checkpoint.folder}+quantisation=int8")
    mixed = of_row(read_list(tmp_path / "models.txt")["q8"])
    assert {name: mixed.place(name).quantisation for name in NETWORKS["flux"]} == {
        "transformer": "gguf",
        "vae": "",
        "text_encoder": "",
        "text_encoder_2": "int8",
    }
    assert mixed.weights.quantisation == "gguf+int8"
    assert distance(picture(mixed), picture(base["flux"])) < 0.005


def test_int8_is_made_of_single_files_too(base: dict[str, Checkpoint], single: dict[str, Path]) -> None:
    whole = find(f"{base['flux'].folder}+quantisation=int8")
    checkpoint = with_base(single["flux"], base["flux"], "quantisation=int8")
    assert distance(picture(checkpoint), picture(whole)) < 1e-5


def test_nf4_without_a_gpu_is_refused_before_weights_are_read(
    base: dict[str, Checkpoint], single: dict[str, Path]
) -> None:
    checkpoint = find(f"{base['flux'].folder}+quantisation=nf4")
    assert checkpoint.quantisation == "nf4"
    with pytest.raises(CheckpointError, match=r"nf4 needs an NVIDIA GPU and this is cpu; take a .gguf file or .*int8"):
        LoadedParts(checkpoint, numerics(checkpoint, 1))
    with pytest.raises(CheckpointError, match=r"nf4 is made of diffusers folders only and its unet is a single file"):
        with_base(single["sdxl"], base["sdxl"], "quantisation=nf4")


@pytest.mark.parametrize(("kind", "package"), [("gguf", "gguf"), ("nf4", "bitsandbytes"), ("int8", "torchao")])
def test_a_missing_package_is_told(kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "find_spec", lambda name: name)
    quantisation.check(f"{kind}+{kind}", "cuda")
    monkeypatch.setattr(quantisation, "find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=rf"needs the package {package}; install sidelight\[quant\]"):
        quantisation.check(kind, "cuda")
    quantisation.check("", "cpu")


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "nf4"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "fp4"}, ""),
        ({"quant_method": "quanto"}, ""),
    ],
)
def test_a_folder_that_was_saved_quantised_says_so(
    config: dict[str, Any], kind: str, base: dict[str, Checkpoint], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(base["flux"].folder, tmp_path / "saved"))
    settings = json.loads((folder / "transformer/config.json").read_text())
    (folder / "transformer/config.json").write_text(json.dumps(settings | {"quantization_config": config}))
    if not kind:
        with pytest.raises(CheckpointError, match=r"is saved quantised as (fp4|quanto); opened are nf4"):
            _ = find(str(folder)).quantisation
        return
    assert find(str(folder)).weights.quantisation == kind
    with pytest.raises(CheckpointError, match="transformer is nf4 already, not int8; leave quantisation out"):
        find(f"{folder}+quantisation=int8")
