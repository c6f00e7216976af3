"""Checkpoint: put together from rows and paths, refused before it is opened, and an identity that follows the bytes."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_checkpoint

from pipelines.checkpoint import Checkpoint, find, of_row
from pipelines.errors import CheckpointError
from pipelines.families import family_of
from pipelines.families.base import settings
from pipelines.hashes import FileHashes
from pipelines.listing import read_list, rows

ROOT = Path(__file__).parent.parent
DEMO_DIGESTS = {
    "demo-sdxl": "2cfaf05c808c2295bebbabaeda94797b459331668e7a533c8237915d18af0c4c",
    "demo-flux": "dea36547892d34f3b6f1749a1e87bac6bdbeba2f5391ffcd78a87cf6708bf79d",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint("sdxl", tmp_path_factory.mktemp("saved")).folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A checkpoint's folder to spoil."""
    return Path(shutil.copytree(saved, tmp_path / "mine"))


def opened(folder: Path) -> Checkpoint:
    """The checkpoint that lies there, as if never looked at before."""
    return find(str(folder))


def listed(folder: Path, text: str) -> dict[str, Checkpoint]:
    (folder / "models.txt").write_text(text)
    return {name: of_row(row) for name, row in read_list(folder / "models.txt").items()}


# rows


def test_a_line_gives_name_family_place_and_default_settings(saved: Path, tmp_path: Path) -> None:
    text = f"# mine\n\nreal  sdxl  dir:{saved}  steps=12 guidance=3.5 trained_guidance=1..7 licence=mine  # good skin\n"
    entry = listed(tmp_path, text)["real"]
    assert (entry.name, entry.family, entry.folder, entry.licence) == ("real", "sdxl", saved, "mine")
    defaults = settings(family_of(entry), entry)
    assert (defaults.steps, defaults.guidance, defaults.trained_guidance) == (12, 3.5, (1.0, 7.0))
    assert (defaults.width, defaults.scheduler) == (16, "euler")


def test_a_place_is_relative_to_the_list(folder: Path) -> None:
    assert listed(folder.parent, "mine sdxl dir:mine")["mine"].weights == opened(folder).weights


@pytest.mark.parametrize("name", ["demo-sdxl", "demo-flux"])
def test_the_shipped_demo_checkpoints_are_whole_and_their_identity_never_changes(name: str) -> None:
    checkpoint = of_row(rows()[name])
    assert checkpoint.weights.digest == DEMO_DIGESTS[name]
    assert list(checkpoint.files())
    assert settings(family_of(checkpoint), checkpoint).steps > 0


def test_finding_and_hashing_a_checkpoint_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom pipelines.checkpoint import find\nfind('demo-flux').weights\n"
        "print([name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout == "[]\n"


def test_a_row_that_was_not_pulled_says_how(tmp_path: Path) -> None:
    (tmp_path / "models.txt").write_text("mine sdxl hf:owner/repo@main")
    with pytest.raises(CheckpointError, match=r"mine is not on this disk yet; run `sidelight models pull mine` first"):
        of_row(read_list(tmp_path / "models.txt")["mine"])


def test_a_row_of_another_kind_or_family_is_told(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"soft is of kind vae and makes no pictures alone"):
        listed(tmp_path, f"soft sdxl dir:{saved} kind=vae")
    with pytest.raises(CheckpointError, match=r"mine is listed as flux, but dir:.* is sdxl; correct the row"):
        listed(tmp_path, f"mine flux dir:{saved}")


def test_a_name_that_is_neither_listed_nor_a_folder_is_told() -> None:
    with pytest.raises(CheckpointError, match=r"'tmp/none'.* neither a name in models.txt nor a diffusers folder"):
        find("tmp/none")


# what is refused before it is opened


@pytest.mark.parametrize("kept", [-1, 4, 7, 100])
def test_a_download_that_broke_off_is_damaged(folder: Path, kept: int) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"diffusion_pytorch_model.safetensors is damaged .* copy or download"):
        _ = opened(folder).weights


@pytest.mark.parametrize(
    "start",
    [
        b"\xff" * 16,
        b"",
        (2).to_bytes(8, "little") + b"[]",
        (9).to_bytes(8, "little") + b'{"a": 1 }',
        (8).to_bytes(8, "little") + b'{"a":{}}',
    ],
)
def test_what_only_carries_the_name_safetensors_is_damaged(folder: Path, start: bytes) -> None:
    (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(start)
    with pytest.raises(CheckpointError, match="is damaged"):
        _ = opened(folder).weights


@pytest.mark.parametrize("start", [b"PK\x03\x04\x14\x00\x08\x08" + b"\0" * 40, pickle.dumps({"a": 1})])
def test_a_pickle_that_only_carries_the_name_safetensors_is_refused(folder: Path, start: bytes) -> None:
    (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(start)
    with pytest.raises(CheckpointError, match=r"vae/\S+ is a pickle, which can run code.*save_pretrained"):
        _ = opened(folder).weights


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.ckpt", "model.pt", "model.pth"])
def test_a_pickle_is_refused_unread_with_how_to_convert(folder: Path, name: str) -> None:
    (folder / "text_encoder" / "model.safetensors").unlink()
    (folder / "text_encoder" / name).write_bytes(b"never read")
    with pytest.raises(CheckpointError, match=rf"text_encoder/{name} is a pickle, which can run code.*save_pretrained"):
        _ = opened(folder).weights


def test_missing_parts_are_named(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"unet holds no .safetensors file by diffusers' names; copy the whole"):
        _ = opened(folder).weights
    shutil.rmtree(folder / "scheduler")
    with pytest.raises(CheckpointError, match="mine: scheduler is missing; copy the whole folder again"):
        _ = opened(folder).weights
    (folder / "vae" / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"vae/config.json is no JSON object; copy"):
        _ = opened(folder).latent_factor
    (folder / "vae" / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"vae/config.json is missing"):
        _ = opened(folder).latent_factor


@pytest.mark.parametrize("kind", ["StableDiffusionPipeline", "MyPipeline", ""])
def test_a_pipeline_of_another_kind_is_refused_with_what_is_opened(folder: Path, kind: str) -> None:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    with pytest.raises(CheckpointError, match=rf"is a {kind or 'folder of an unknown kind'}; opened: .*FluxPipeline"):
        opened(folder)


@pytest.mark.parametrize("entry", [[], ["diffusers"], ["diffusers", "UNet2DConditionModel", "more"]])
def test_a_component_without_library_and_class_is_told(folder: Path, entry: list[str]) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"unet": entry}))
    with pytest.raises(CheckpointError, match=r"model_index.json: unet is no pair of library and class"):
        opened(folder)


# identity


def digest(folder: Path) -> str:
    return opened(folder).weights.digest


def test_identity_follows_bytes_not_path_name_or_time(folder: Path) -> None:
    before = digest(folder)
    for path in folder.rglob("*.safetensors"):
        os.utime(path, (1, 1))
    (folder / "README.md").write_text("notes")
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"another copy that is not loaded")
    assert digest(folder) == before
    assert digest(folder.rename(folder.with_name("moved"))) == before


@pytest.mark.parametrize(
    "file",
    [
        "unet/diffusion_pytorch_model.safetensors",
        "unet/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder_2/model.safetensors",
        "tokenizer/tokenizer.json",
        "scheduler/scheduler_config.json",
    ],
)
def test_one_byte_makes_another_checkpoint(folder: Path, file: str) -> None:
    before = digest(folder)
    content = bytearray((folder / file).read_bytes())
    content[-2:] = b" }\n" if file.endswith(".json") else bytes([content[-2] ^ 1, content[-1]])
    (folder / file).write_bytes(content)
    assert digest(folder) != before


def test_a_flag_that_changes_pictures_makes_another_checkpoint(folder: Path) -> None:
    before, index = digest(folder), json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_diffusers_version": "0.1"}))
    assert digest(folder) == before
    (folder / "model_index.json").write_text(json.dumps(index | {"force_zeros_for_empty_prompt": False}))
    assert digest(folder) != before


def test_the_label_is_the_name_and_the_family_is_read_from_the_folder(folder: Path) -> None:
    weights = opened(folder).weights
    assert (weights.name, weights.family, weights.quantisation) == ("mine", "sdxl", "")


# hashes


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    return path


def remembered(cache: Path, file: Path) -> str:
    hashes = FileHashes(cache)
    value = hashes.of(file)
    hashes.save()
    return value


def test_a_file_that_did_not_change_is_not_read_again(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache" / "hashes.json"
    first = remembered(cache, file)
    (known,) = json.loads(cache.read_text()).values()
    cache.write_text(json.dumps({str(file): [*known[:3], "remembered"]}))
    assert remembered(cache, file) == "remembered"
    os.utime(file, ns=(5, 5))
    assert remembered(cache, file) == first


@pytest.mark.parametrize("change", ["bytes", "inode"])
def test_a_file_that_changed_is_read_again(change: str, file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hashes.json"
    first = remembered(cache, file)
    stat = file.stat()
    other = file.with_suffix(".new")
    other.write_bytes(b"WEIGHTS" if change == "inode" else b"weights, longer")
    other.replace(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert remembered(cache, file) != first


@pytest.mark.parametrize("content", ["", "{", '{"x": [1'])
def test_a_torn_or_missing_cache_only_costs_time(content: str, file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "hashes.json"
    first = remembered(cache, file)
    cache.write_text(content)
    assert remembered(cache, file) == first
    assert json.loads(cache.read_text())[str(file)][3] == first


def test_a_cache_that_cannot_be_read_or_written_is_no_fault(file: Path, tmp_path: Path) -> None:
    blocked: Any = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    assert remembered(blocked / "hashes.json", file) == remembered(tmp_path / "hashes.json", file)
