"""What a sweep would be while it is put together: the very cells that the command line and the file mean."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.checkpoint import find
from pipelines.errors import InputError, SweepError
from sweeps.prepare import ask
from sweeps.speed import KEPT, roughly
from sweeps.sweep import from_flags, parse_toml
from workbench.cli import app
from workbench.web.outlook import COUNTED, Built, Outlook, Row, built_of, command, outlook, sweep_of
from workbench.web.pace import WHERE, demo_seconds

GIVEN = {"checkpoint": ["demo-sdxl"], "prompt": ["a portrait, side light"], "seed": ["7"], "steps": ["4"]}
TRICKY = Built(
    rows=(
        Row(field="prompt", text='-- a "quoted" face, it\'s lit\n  $HOME `ls` \\ face, hard light\n\n'),
        Row(field="guidance", text="2..4:1"),
        Row(field="replace", text="face => profile | bust"),
        Row(field="seed", text="1,2,3"),
    ),
    zip="guidance, seed",
    where="guidance <= 3",
    is_exact=True,
)
LIT = Built(
    rows=(Row(field="light", text="window, raking"), Row(field="light.direction", text="left-45, front")),
    name="Two lights; $(date)",
    skip="light == 'raking' and light.direction == 'front'",
    lanes="2",
)
WALKING = Built(
    rows=(
        Row(field="width", text="64,128"),
        Row(field="height", text="128,64"),
        Row(field="guidance_interval", text="0..1, 0..0.5"),
        Row(field="true_guidance", text="1"),
        Row(field="steps", text="3,4"),
    ),
    zip="width, height; guidance_interval, steps",
)


def told(*rows: tuple[str, str], **more: str) -> Outlook:
    return outlook(Built(rows=tuple(Row(field=field, text=text) for field, text in rows), **more), GIVEN, find)


def keys(built: Built) -> list[str]:
    return [cell.recipe.key for cell in ask(sweep_of(built, GIVEN)).cells.cells]


def test_cells_duplicates_and_what_conditions_drop_are_counted() -> None:
    seen = told(
        ("guidance", "2..5:1"), ("scheduler", "euler, Euler, heun"), where="guidance <= 4", skip="guidance == 2"
    )
    assert (seen.error, seen.places, seen.dropped, seen.merged, seen.cells) == ("", 12, 6, 2, 4)
    assert seen.rows[0].values == ("2", "3", "4", "5")
    assert seen.name == "guidance and scheduler"
    assert seen.disk.startswith("about ")
    base = dict(seen.base)
    assert {name: base[name] for name in GIVEN} == {name: texts[0] for name, texts in GIVEN.items()}
    assert not {"guidance", "scheduler"} & base.keys(), "what varies"
    assert [name for name, _ in seen.base][-1] == "prompt", "long texts come last"
    assert "heun" in seen.schedulers
    assert not {name for name in seen.schedulers if name.endswith("-karras")}


def test_long_lists_are_told_by_their_ends() -> None:
    (row,) = told(("seed", "1..40:1")).rows
    assert (row.count, len(row.values), row.values[:2], row.values[-2:]) == (40, 13, ("1", "2"), ("...", "40"))


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("steps", "4..x", "is no number or range"),
        ("guidance", "3,3", "stands there twice"),
        ("replace", "a face", "=> is missing"),
        ("nothing", "3", "is no field"),
        ("start", "/etc/passwd", "choose the image in Create"),
        ("prompt", "a face\n@/etc/passwd", "reads no file"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_beside_it_in_one_line(field: str, text: str, said: str) -> None:
    seen = told(("seed", "1,2"), (field, text))
    assert said in seen.rows[1].error
    assert "\n" not in seen.rows[1].error
    assert (seen.rows[0].error, seen.error, seen.cells) == ("", "", None)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"where": "guidance >"}, "guidance"),
        ({"where": "guidance > 9"}, "leave none of 2 cells"),
        ({"zip": "guidance, seed"}, "zip"),
        ({"lanes": "many"}, "lanes 'many'"),
    ],
)
def test_what_is_wrong_with_the_whole_is_said_in_one_line(more: dict[str, str], said: str) -> None:
    seen = told(("guidance", "2,3"), **more)
    assert said in seen.error
    assert "\n" not in seen.error
    assert seen.cells is None


def test_a_field_in_two_rows_is_refused() -> None:
    assert "stands in two rows" in told(("seed", "1,2"), ("seed", "3")).error


def test_more_places_than_are_counted_are_only_multiplied() -> None:
    seen = told(("seed", f"1..{COUNTED}:1"), ("guidance", "2,3"))
    assert (seen.error, seen.places, seen.cells) == ("", 2 * COUNTED, None)
    assert seen.command


def test_before_a_first_run_demo_checkpoints_are_guessed_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # no other test's speeds
    seen = told(("guidance", "2,3"), ("width", "256"), ("height", "256"))
    assert (seen.time, seen.time_by) == ("about 2 s", WHERE)  # 2 pictures, 4 steps, 2 rows: 0.1 s each
    recipe = ask(sweep_of(Built(rows=(Row(field="steps", text="10"),)), GIVEN)).cells.cells[0].recipe
    other = recipe.but(checkpoint=recipe.checkpoint.but(name="somebody's"))
    assert demo_seconds([recipe]) == pytest.approx(2.0)
    assert demo_seconds([recipe, other]) is None


def test_warnings_are_told_with_how_many_cells_have_them() -> None:
    seen = told(("guidance", "3,30"), ("checkpoint", "demo-flux"))
    assert seen.warnings == ("1 of 2: guidance 30 is outside 1 to 8, which demo-flux was trained for",)


@pytest.mark.parametrize("built", [TRICKY, LIT, WALKING], ids=["tricky", "lit", "walking"])
def test_file_and_builder_mean_the_same_cells(built: Built) -> None:
    seen = outlook(built, GIVEN, find)
    assert seen.error == ""
    sweep = sweep_of(built, GIVEN)
    assert parse_toml(seen.toml) == sweep
    again = built_of(sweep, base_name="sweep.toml")
    assert sweep_of(again, {}) == sweep


@pytest.mark.parametrize("built", [TRICKY, LIT], ids=["tricky", "lit"])
def test_the_command_means_the_same_cells(built: Built, tmp_path: Path) -> None:
    words = shlex.split(command(built, GIVEN))
    assert words[:3] == ["sidelight", "sweep", "run"]
    done = CliRunner().invoke(app, [*words[1:], "--runs", str(tmp_path), "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    plan = json.loads(done.stdout)
    seen = outlook(built, GIVEN, find)
    assert (plan["cells"], plan["dropped"], plan["merged"]) == (seen.cells, seen.dropped, seen.merged)
    assert plan["lanes"] == (1 if built.is_exact else 2)


def test_the_command_makes_the_builders_recipes(tmp_path: Path) -> None:
    """The flags, read again as the command line does, give the very keys."""
    for built in (TRICKY, LIT, WALKING):
        flags: dict[str, list[str]] = {}
        for word in shlex.split(command(built, GIVEN))[3:]:
            found = re.fullmatch(r"--([a-z_.-]+)(?:=(.*))?", word, re.DOTALL)
            assert found
            flags.setdefault(found[1] if found[1].startswith("light.") else found[1].replace("-", "_"), []).append(
                found[2]
            )
        said = {name: flags.pop(name, []) for name in ("replace", "zip", "where", "skip", "name", "exact", "lanes")}
        sweep = from_flags(
            said["name"][0], flags, replace=said["replace"], zips=said["zip"], where=said["where"], skip=said["skip"]
        )
        assert [cell.recipe.key for cell in ask(sweep).cells.cells] == keys(built)


def test_a_light_takes_the_place_of_the_prompt_and_a_prompt_of_the_light() -> None:
    assert "prompt" not in dict(told(("light", "window, raking")).base)
    assert told(("light", "window")).error == ""
    lit = {"checkpoint": ["demo-sdxl"], "light": ["window"], "subject": ["a man"], "light.hardness": ["hard"]}
    built = Built(rows=(Row(field="prompt", text="a face\na hand"),))
    seen = outlook(built, lit, find)
    assert (seen.error, seen.cells) == ("", 2)
    assert not {"light", "prompt"} & dict(seen.base).keys()


def test_a_file_brings_its_own_base_but_opens_no_file_of_this_machine() -> None:
    text = 'checkpoint = "demo-flux"\nprompt = "a face"\nguidance = [2, 3]\n'
    built = built_of(parse_toml(text, name="mine.toml"), base_name="mine.toml")
    assert built.rows == (Row(field="guidance", text="2, 3"),)
    seen = outlook(built, GIVEN, find)
    assert (seen.cells, seen.base_name, dict(seen.base)["checkpoint"]) == (2, "mine.toml", "demo-flux")
    base = {"checkpoint": ("demo-sdxl",), "start": ("/etc/passwd",), "strength": ("0.5",)}
    with pytest.raises(SweepError, match="opens no file"):
        sweep_of(built.but(base=base), {})


def test_what_a_browser_sends_is_validated() -> None:
    with pytest.raises(InputError):
        Built.read({"rows": [{"field": "seed", "text": "1", "more": "?"}]})


def test_time_is_told_by_earlier_runs_of_this_machine(tmp_path: Path) -> None:
    flags = {**GIVEN, "guidance": ["2,3"], "steps": ["4"]}
    wanted = ask(from_flags("x", flags)).cells
    assert roughly(wanted, tmp_path).seconds is None
    (cell, _) = wanted.cells
    digest, size = cell.recipe.checkpoint.digest[:16], f"{cell.recipe.width}x{cell.recipe.height}"
    rows = sum(cell.work.row_evaluations for cell in wanted.cells)

    def seconds(**speeds: float) -> float | None:
        (tmp_path / KEPT).write_text(json.dumps(speeds))
        return roughly(wanted, tmp_path).seconds

    alike = {f"{digest} {size} + {numerics}": speed for numerics, speed in (("n1", 1.0), ("n2", 3.0), ("n3", 0.5))}
    assert seconds(**alike) == rows, "the median, whatever the numerics"
    double = f"{digest} {2 * cell.recipe.width}x{cell.recipe.height}"
    assert seconds(**{f"{double} + n1": 4.0}) == 2 * rows, "in proportion to the pixels"
    assert seconds(**{f"{double} + {digest} {size} + n1": 4.0, f"{'0' * 16} {size} + n1": 1.0}) is None
    two = ask(from_flags("x", {**flags, "checkpoint": ["demo-sdxl,demo-flux"]})).cells
    assert roughly(two, tmp_path).seconds is None, "a phase that nothing is known of"


def test_no_torch_is_loaded() -> None:
    code = "import sys, workbench.web.outlook; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
