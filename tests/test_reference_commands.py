"""`sidelight reference check` and `restore`, as a person calls them."""

import json
from pathlib import Path

import matplotlib.cbook
import numpy as np
import pytest
from photographs import collins
from PIL import Image
from typer.testing import CliRunner

from pipelines.errors import InputError
from workbench.cli import app

RUNNER = CliRunner()


@pytest.fixture
def photograph() -> Path:
    return Path(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target.png"
    Image.fromarray(collins()).resize((384, 384)).save(path)
    return path


def test_check_says_size_light_weights_and_consent(photograph: Path, target: Path) -> None:
    result = RUNNER.invoke(app, ["reference", "check", str(photograph), "--for", str(target)])
    assert result.exit_code == 0, result.output
    for said in ("88 px", "right cheek to left there", "strength = 1 - weight", "below 0.4", "above 0.6"):
        assert said in result.output
    assert "no likeness of a person without their consent" in result.output
    assert "find one with about" in result.output


def test_check_as_json_gives_the_same_figures(photograph: Path, target: Path) -> None:
    result = RUNNER.invoke(app, ["reference", "check", str(photograph), "--for", str(target), "--json"])
    told = json.loads(result.output)
    assert told["eye_distance_px"] == pytest.approx(88, abs=2)
    assert told["readings"]["texture"]["value"] > 2
    assert told["target"]["working_eye_distance_px"] > 150
    assert {each["mechanism"] for each in told["weights"]} >= {"bands", "ip-adapter", "redux"}


def test_check_refuses_a_picture_without_a_face(tmp_path: Path) -> None:
    Image.new("RGB", (80, 80), (90, 90, 90)).save(tmp_path / "wall.png")
    result = RUNNER.invoke(app, ["reference", "check", str(tmp_path / "wall.png")])
    assert isinstance(result.exception, InputError)
    assert "no face was found" in str(result.exception)


def test_restore_turns_upright_and_keeps_the_original(tmp_path: Path) -> None:
    lying = tmp_path / "lying.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(collins())).save(lying, quality=30, exif=exif)
    original = lying.read_bytes()
    out, both = tmp_path / "out.png", tmp_path / "both.png"
    words = ["reference", "restore", str(lying), "--amount", "0.5", "--out", str(out), "--before-after", str(both)]
    result = RUNNER.invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "between the eyes, px" in result.output
    assert "no pores can be promised" in result.output
    upright = np.asarray(Image.open(out)).astype(float)
    assert np.abs(upright - collins()).mean() < 6
    assert Image.open(both).size == (516, 256)
    assert lying.read_bytes() == original


def test_restore_never_writes_over_the_original(photograph: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.png"
    Image.fromarray(collins()).save(mine)
    for out in (mine, tmp_path / "out.jpg"):
        result = RUNNER.invoke(app, ["reference", "restore", str(mine), "--out", str(out)])
        assert isinstance(result.exception, InputError)
        assert "must be another file" in str(result.exception)
    both = ["--out", str(tmp_path / "a.png"), "--before-after", str(tmp_path / "a.png")]
    assert "give two files" in str(RUNNER.invoke(app, ["reference", "restore", str(mine), *both]).exception)
    assert np.array_equal(np.asarray(Image.open(mine)), collins())
