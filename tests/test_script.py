"""`from sweeps import Sweep, run`: a sweep in a script, and its rows."""

import subprocess
import sys
from pathlib import Path

import pytest

import sweeps
from pipelines.errors import NumericsError, SweepError
from pipelines.events import Stepped
from sweeps import Sweep, run
from sweeps.rows import rows
from sweeps.run import Finished, Kept, Started
from sweeps.sweep import from_flags


def test_run_is_a_function_whatever_else_was_imported() -> None:
    code = (
        "import sweeps.run, sweeps.marks\n"
        "from sweeps.run import Finished\n"
        "from sweeps import run, Sweep\n"
        "import sys\n"
        "print(run.__module__, Sweep.__name__, 'torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "sweeps.script Sweep False\n"


def test_fields_of_a_sweep_read_as_flags_do() -> None:
    sweep = Sweep.of("x", checkpoint="demo-sdxl", prompt="a face", guidance="2..4:1", seed=[7, 2**64 - 1], steps=4)
    flags = {
        "checkpoint": ["demo-sdxl"], "prompt": ["a face"], "guidance": ["2..4:1"], "seed": ["7,18446744073709551615"],
        "steps": ["4"],
    }  # fmt: skip
    assert sweep == from_flags("x", flags)


def test_a_list_holds_texts_as_they_stand() -> None:
    sweep = Sweep.of("x", checkpoint="demo-sdxl", prompt=["@home, 2..9", "b"], scheduler=["euler", "heun"])
    assert [axis.labels for axis in sweep.axes] == [("@home, 2..9", "b"), ("euler", "heun")]


def test_conditions_and_light_fields_are_taken() -> None:
    fields = {"light": "window", "subject": "a man", "light.direction": ["left-45", "front"]}
    sweep = Sweep.of("x", checkpoint="demo-sdxl", seed=[1, 2], where="seed == 1", **fields)
    assert sweep.where == "seed == 1"
    assert sweep.axes[-1].name == "light.direction"


def test_an_unknown_field_is_refused_in_one_line() -> None:
    with pytest.raises(SweepError, match="cfg is no field of a recipe; allowed: checkpoint, "):
        Sweep.of("x", checkpoint="demo-sdxl", cfg=4)


def test_numerics_of_another_name_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    sweep = Sweep.of("x", checkpoint="demo-sdxl", prompt="a face", steps=2)
    with pytest.raises(NumericsError, match="precision is no part of the numerics; allowed: device, dtype, "):
        next(run(sweep, tmp_path / "run", precision="half"))
    assert not (tmp_path / "run").exists()


def test_a_script_makes_pictures_and_goes_on(tmp_path: Path) -> None:
    sweep = Sweep.of("x", checkpoint="demo-sdxl", prompt="portrait of a woman", guidance=[2, 4], seed=7, steps=2)
    events = list(run(sweep, tmp_path / "run", device="cpu"))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert {type(event) for event in events} >= {Stepped, Kept}
    again = list(run(sweep, str(tmp_path / "run")))
    assert again[0].done == 2
    assert not [event for event in again if isinstance(event, Kept)]
    told = rows(tmp_path / "run")
    assert sorted(row["guidance"] for row in told) == [2.0, 4.0]
    assert {row["checkpoint"] for row in told} == {"demo-sdxl"}
    assert all(row["seconds"] and row["evaluations"] == 2 for row in told)
    assert set(told[0]) >= {"texture", "slope", "halo", "eye_distance", "stars"}
    (tmp_path / "run/pictures" / f"{told[0]['key']}.json").write_text("{")
    assert rows(tmp_path / "run") == told[1:]


def test_closing_a_run_keeps_what_is_whole(tmp_path: Path) -> None:
    sweep = Sweep.of("x", checkpoint="demo-sdxl", prompt="portrait of a woman", seed=[1, 2, 3], steps=2)
    events = run(sweep, tmp_path / "run", lanes=1)
    kept = next(event for event in events if isinstance(event, Kept))
    events.close()
    assert kept.path.is_file()
    assert len(rows(tmp_path / "run")) < 3


def test_wrong_numerics_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    sweep = Sweep.of("x", checkpoint="demo-sdxl", prompt="a face")
    with pytest.raises(Exception, match="device"):
        next(run(sweep, tmp_path / "run", device="abacus"))
    assert not (tmp_path / "run").exists()


def test_the_package_says_how() -> None:
    example = sweeps.__doc__
    assert example
    lines = [line for line in example.splitlines() if line.startswith("    ")]
    assert len(lines) < 10
    compile("\n".join(line[4:] for line in lines), "example", "exec")
