"""The command line as a person meets it: demo checkpoints, real processes, one helpful line when it goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
PROMPT = "portrait of a woman, side light from the left"
SMALL = ["--checkpoint", "demo-sdxl", "--prompt", PROMPT, "--seed", "7", "--steps", "2"]


def sidelight(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command; its exit code must be `code`."""
    told = subprocess.run([sys.executable, "-m", "workbench", *words], capture_output=True, text=True, cwd=ROOT)
    assert told.returncode == code, f"{told.returncode}\n{told.stdout}\n{told.stderr}"
    return told


def test_sweep_makes_pictures_then_only_new_ones(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "run"), "--json"]
    first = json.loads(sidelight("sweep", "run", *SMALL, "--guidance", "2,4", *out).stdout)
    assert (first["cells"], first["made"], first["failed"]) == (2, 2, 0)
    files = {path: path.read_bytes() for path in (tmp_path / "run/pictures").iterdir()}
    second = json.loads(sidelight("sweep", "run", *SMALL, "--guidance", "2,4,6", *out).stdout)
    assert (second["cells"], second["made"]) == (3, 1)
    assert {path: path.read_bytes() for path in files} == files
    with Image.open(second["contact_sheet"]) as sheet:
        assert min(sheet.size) > 256
    picture = next((tmp_path / "run/pictures").glob("*.png"))
    shown = json.loads(sidelight("picture", "show", str(picture), "--json").stdout)
    assert shown["key"] == picture.stem
    again = sidelight("picture", "again", str(picture), "--json")
    assert json.loads(again.stdout)["bytes_equal"]
    assert again.stderr == ""  # no library's chatter beside ours
    checked = json.loads(sidelight("check", str(tmp_path / "run"), "--json").stdout)
    assert (checked["pictures"], checked["damaged"], checked["missing"]) == (3, {}, [])
    picture.write_bytes(picture.read_bytes()[:-100])
    assert picture.stem in sidelight("check", str(tmp_path / "run"), code=1).stdout


def test_ctrl_c_keeps_what_is_whole_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = ["sweep", "run", *SMALL, "--guidance", "1.5..8:0.5", "--out", str(tmp_path / "run")]
    process = subprocess.Popen([sys.executable, "-m", "workbench", *words], stderr=subprocess.PIPE, text=True, cwd=ROOT)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run").glob("pictures/*.json")) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert f"sidelight sweep run {tmp_path / 'run'}" in told
    whole = json.loads(sidelight("check", str(tmp_path / "run"), "--json").stdout)
    assert 0 < whole["pictures"] < 14
    assert not whole["damaged"]
    assert json.loads(sidelight("sweep", "run", str(tmp_path / "run"), "--json").stdout)["failed"] == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sweep", "run"], "no checkpoint is given"),
        (["sweep", "run", "nowhere.toml"], "nowhere.toml"),
        (["sweep", "run", *SMALL, "--width", "250"], "width 250 is not a multiple of 8; take 248 or 256"),
        (["sweep", "run", *SMALL, "--guidance", "2..9:-1"], "guidance"),
        (["sweep", "run", *SMALL, "--scheduler", "restart"], "diffusers has no Restart"),
        (["sweep", "run", *SMALL, "--scheduler", "eulr"], "euler"),
        (["sweep", "run", *SMALL, "--device", "cuda:7"], "this machine has"),
        (["sweep", "run", *SMALL, "--device", "cpu", "--offload", "model"], "on a CPU leave it out"),
        (["sweep", "run", "--checkpoint", "demo-flux", "--negative", "plastic"], "negative prompt does nothing"),
        (["sweep", "run", "--checkpoint", "nobody"], "neither a name in models.txt"),
        (["picture", "show", "LICENSE"], "LICENSE"),
        (["check", "."], "is no run folder"),
    ],
)
def test_wrong_input_gets_one_line_and_exit_code_2(tmp_path: Path, words: list[str], told: str) -> None:
    where = ["--runs", str(tmp_path)] if words[0] == "sweep" else []
    ended = sidelight(*words, *where, code=2)
    assert told in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_dry_run_makes_nothing(tmp_path: Path) -> None:
    words = ["sweep", "run", *SMALL, "--guidance", "2..8:1", "--runs", str(tmp_path), "--dry-run"]
    plan = json.loads(sidelight(*words, "--json").stdout)
    assert plan["cells"] == 7
    assert "7 cells" in sidelight(*words).stdout
    assert not list(tmp_path.iterdir())
