"""`sidelight picture read` says what was read, what was not and why, and how to go on; one bad file hides nothing."""

import json
from pathlib import Path

import foreign_samples as samples
import pytest
import typer
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.testing import CliRunner, Result

from workbench import read_command


@pytest.fixture(autouse=True)
def _own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "sidelight").mkdir()
    (tmp_path / "sidelight" / "models.txt").write_text("own-jugger sdxl file:juggernautXL_v9.safetensors\n")


def picture(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", (16, 8)).save(path, pnginfo=info)
    return path


def run(*words: str) -> Result:
    app = typer.Typer()
    app.command()(read_command.read)
    return CliRunner().invoke(app, list(words))


def test_a_person_reads_values_passes_and_what_found_no_place(tmp_path: Path) -> None:
    path = picture(tmp_path / "my picture.png", parameters=samples.A1111_HIRES)
    done = run(str(path))
    assert done.exit_code == 0
    for line in (
        f"{path}: A1111 v1.9.4, from its parameters text",
        "  --seed              777",
        "  --scheduler         euler-ancestral",
        "  2 hires: realvisXL_v5, ",
        "  a face repair that ran after the picture:\n    ADetailer model: face_yolov8n.pt",
        "note: A1111 drew its noise on the GPU",
        f"sidelight sweep run --like '{path}'",
        "--guidance 2..6",
    ):
        assert line in done.output


def test_the_command_asks_for_a_checkpoint_only_where_none_is_matched(tmp_path: Path) -> None:
    known = run(str(picture(tmp_path / "a.png", prompt=json.dumps(samples.COMFY)))).output
    assert "own-jugger: by its name" in known
    assert "--checkpoint NAME --guidance" not in known
    unknown = run(str(picture(tmp_path / "a.png", parameters=samples.PACK_TEXT))).output
    assert "--checkpoint NAME --guidance" in unknown


def test_one_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    good = picture(tmp_path / "good.png", parameters=samples.A1111_NEW)
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:40])
    done = run(str(bad), str(good), str(tmp_path / "none.png"))
    assert done.exit_code == 2
    assert "--prompt            portrait, side light" in done.output
    assert done.stderr.count("\n") == 2
    assert done.stderr.count("sidelight: ") == 2


def test_json_holds_everything_with_exact_seeds(tmp_path: Path) -> None:
    good = picture(tmp_path / "good.png", parameters=samples.A1111_NEW)
    done = run(str(good), str(tmp_path / "none.png"), "--json")
    assert done.exit_code == 2
    first, second = json.loads(done.stdout)
    assert first["values"]["seed"] == 2**64 - 1
    assert (first["tool"], first["row"], first["family"]) == ("A1111", "own-jugger", "sdxl")
    assert first["command"].startswith("sidelight sweep run --like ")
    assert second["error"].endswith("is not there; give the path of a picture")


def test_signs_that_steer_a_terminal_are_shown_not_sent(tmp_path: Path) -> None:
    prompt = "portrait \x1b[2J\x9b31m\u202e\r gone"
    done = run(str(picture(tmp_path / "a.png", parameters=samples.A1111_NEW.replace("portrait", prompt))))
    assert done.exit_code == 0
    assert not {"\x1b", "\x9b", "\u202e", "\r"} & set(done.output)
    assert "\\u001b[2J" in done.output


def test_what_is_only_recognised_gives_no_command(tmp_path: Path) -> None:
    done = run(str(picture(tmp_path / "a.png", workflow=json.dumps(samples.EDITOR))))
    assert done.exit_code == 0
    assert "only the editor's graph" in done.output
    assert "sweep around it" not in done.output
