"""A folder of checkpoints and LoRAs, last year's ComfyUI picture, a sweep around it under two lights: all together."""

import json
from pathlib import Path
from typing import Any

import pytest
from lora_files import change, write
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file
from tiny import tiny_checkpoint, tiny_sdxl
from torch import zeros
from typer.testing import CliRunner

from workbench.cli import app

SEED = 2**64 - 1
GRAPH: dict[str, Any] = {
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "mine/portrait-xl.safetensors"}},
    "10": {
        "class_type": "LoraLoader",
        "inputs": {"model": ["4", 0], "clip": ["4", 1], "lora_name": "film.safetensors", "strength_model": 0.7},
    },
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 16, "height": 16, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a face, side light", "clip": ["10", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["10", 1]}},
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "seed": SEED, "steps": 3, "cfg": 4.5, "sampler_name": "dpmpp_2m", "scheduler": "karras", "denoise": 1.0,
            "model": ["10", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0],
        },
    },
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "x"}},
}  # fmt: skip


def told(*words: str, code: int = 0) -> Any:
    """What the command prints with --json; its exit code must be `code`."""
    ended = CliRunner().invoke(app, [*words, "--json"])
    assert ended.exit_code == code, f"{ended.output}\n{ended.exception!r}"
    return json.loads(ended.stdout)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as people have it: a checkpoint, a LoRA, a pickle, something else."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "models"
    tiny_checkpoint("sdxl", folder / "portrait-xl")
    write(folder / "film.safetensors", "kohya", change(tiny_sdxl(), "unet"), alpha=2.0)
    (folder / "old.ckpt").write_bytes(b"\x80\x02}q\x00.")
    save_file({"foo": zeros(3)}, folder / "strange.safetensors")
    return folder


def test_a_sweep_around_last_years_picture_under_two_lights(models: Path, tmp_path: Path) -> None:
    added = told("models", "add", str(models))
    assert sorted(added["added"]) == ["film", "portrait-xl"]
    assert len(added["refused"]) == 2
    chunk = PngInfo()
    chunk.add_text("prompt", json.dumps(GRAPH))
    Image.new("RGB", (16, 16)).save(tmp_path / "last-year.png", pnginfo=chunk)

    (read,) = told("picture", "read", str(tmp_path / "last-year.png"))
    assert (read["row"], read["values"]["seed"], read["values"]["loras"]) == ("portrait-xl", SEED, "film:0.7")

    out = tmp_path / "run"
    words = ["sweep", "run", "--like", str(tmp_path / "last-year.png"), "--out", str(out)]
    words += ["--guidance", "3..4:1", "--light", "raking,window", "--subject", "a woman", "--loras", "none,film:0.7"]
    assert told(*words)["made"] == 8
    sidecars = [json.loads(path.read_text()) for path in (out / "pictures").glob("*.json")]
    recipes = [sidecar["recipe"] for sidecar in sidecars]
    assert {recipe["seed"] for recipe in recipes} == {SEED}
    assert {recipe["scheduler"]["name"] for recipe in recipes} == {"dpmpp-2m-karras"}
    assert {recipe["guidance"] for recipe in recipes} == {3.0, 4.0}
    assert {tuple(lora["name"] for lora in recipe["loras"]) for recipe in recipes} == {(), ("film",)}
    assert {sidecar["facts"]["light"]["name"] for sidecar in sidecars} == {"raking", "window"}
    assert all("a woman" in recipe["prompt"] and recipe["negative"] != "blurry" for recipe in recipes)
    captions = [path.read_text() for path in (out / "pictures").glob("*.txt")]
    assert all("implied focal length" in text for text in captions)
    assert sum("LoRA film 0.7" in text for text in captions) == 4
    pixels = {Image.open(path).tobytes() for path in (out / "pictures").glob("*.png")}
    assert len(pixels) == 8
    assert told("sweep", "run", str(out))["made"] == 0

    picture = next(path for path in (out / "pictures").glob("*.png") if "LoRA" in path.with_suffix(".txt").read_text())
    assert told("picture", "again", str(picture))["bytes_equal"]
    (models / "film.safetensors").unlink()
    gone = CliRunner().invoke(app, ["picture", "again", str(picture)])
    assert "film" in str(gone.exception)
    assert "put the file back" in str(gone.exception)
