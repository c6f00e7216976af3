"""`sidelight measure`: a table a person reads, JSON with its reasons, and files that fail beside others that go on."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from skimage.data import astronaut
from typer.testing import CliRunner

from pipelines.skin_measures import MEASURES
from workbench.measure_command import measure

FACE = astronaut()[:300, 100:361]

app = typer.Typer(rich_markup_mode=None)
app.command()(measure)


def told(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "120"})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """large.png: a face with eyes some 86 px apart; small.png: half that; two.png: two; none.png: none; torn.png."""
    folder = tmp_path_factory.mktemp("pictures")
    small = Image.fromarray(FACE)
    small.save(folder / "small.png")
    small.resize((522, 600), Image.Resampling.LANCZOS).save(folder / "large.png")
    Image.fromarray(np.hstack([FACE, FACE[:, ::-1]])).save(folder / "two.png")
    Image.new("RGB", (200, 150), (90, 80, 70)).save(folder / "none.png")
    (folder / "torn.png").write_bytes((folder / "small.png").read_bytes()[:900])
    return folder


def test_the_table_shows_numbers_units_and_why_there_are_none(pictures: Path) -> None:
    shown = told(pictures / "large.png", pictures / "small.png")
    assert shown.exit_code == 0
    rows = {line.split()[0]: line.split() for line in shown.stdout.splitlines() if line.split()}
    assert all(each.name in rows for each in MEASURES)
    assert rows["texture"][2:] == ["(1)", "%", "contrast"]
    assert len(rows["side_ev"]) == 5  # both numbers, their difference, the unit
    assert float(rows["side_ev"][3]) == pytest.approx(float(rows["side_ev"][2]) - float(rows["side_ev"][1]), abs=0.011)
    assert rows["blood"][3] == "x"
    text = " ".join(shown.stdout.split())
    assert re.search(r"\(1\) not measurable: the eyes are 4\d px apart; it needs 50", text)
    assert re.search(r"large\.png, face 1: the eyes are 8\d px apart; texture is rough below 90", text)


def test_json_holds_every_face_with_null_and_its_reason(pictures: Path) -> None:
    (seen,) = json.loads(told(pictures / "two.png", "--json").stdout)
    first, second = seen["faces"]
    assert (first["face"], second["face"]) == (1, 2)
    readings = {each["name"]: each for each in first["readings"]}
    assert list(readings) == [each.name for each in MEASURES]
    assert readings["texture"]["value"] is None
    assert "px apart" in readings["texture"]["why"]
    mirrored = {each["name"]: each["value"] for each in second["readings"]}
    assert mirrored["side_ev"] == pytest.approx(-readings["side_ev"]["value"], abs=0.1)
    (seen,) = json.loads(told(pictures / "two.png", "--json", "--face", 2).stdout)
    assert [each["face"] for each in seen["faces"]] == [2]


def test_a_picture_without_a_face_is_no_error(pictures: Path) -> None:
    shown = told(pictures / "none.png")
    assert shown.exit_code == 0
    assert "(1) not measurable: no face was found" in shown.stdout
    (seen,) = json.loads(told(pictures / "none.png", "--json").stdout)
    assert seen["faces"][0]["face"] is None
    assert {each["value"] for each in seen["faces"][0]["readings"]} == {None}


def test_files_that_fail_are_named_while_others_go_on(pictures: Path) -> None:
    shown = told(pictures / "torn.png", pictures / "small.png", "--json")
    assert shown.exit_code == 1
    assert "torn.png" in shown.stderr
    torn, small = json.loads(shown.stdout)
    assert "error" in torn
    assert small["faces"]
    shown = told(pictures / "small.png", "--face", 3)
    assert shown.exit_code == 2
    assert "small.png: face3: there is 1 face; allowed: face1" in shown.stderr


def test_explain_says_what_every_number_means_without_a_picture() -> None:
    shown = told("--explain")
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split())
    for each in MEASURES:
        assert f"{each.name} ({each.unit})" in text
        assert each.formula in text
        assert each.meaning in text
    assert told().exit_code != 0


def test_measuring_loads_no_torch(pictures: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workbench.measure_command import measure; import typer\n"
        "assert 'cv2' not in sys.modules\n"
        f"measure([Path({str(pictures / 'small.png')!r})], face=None, as_json=True, explain=False)\n"
        "assert 'torch' not in sys.modules and 'diffusers' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent.parent
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["faces"]
