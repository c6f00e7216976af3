"""Trying measures and finder on degraded photographs: the ways do what they say, the table tells failures too."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipelines.errors import InputError
from sweeps import compare, validated
from sweeps.degraded import WAYS, Way, smaller
from sweeps.staged import HIGH, LOW, PLAYS
from sweeps.validated import SHIPPED, Trial, Voted, keep, said
from sweeps.validation import is_monotone, looked_at, table, try_measures
from tests.photographs import hopper
from workbench.cli import app

TRIAL = Trial(date="2026-11-22", photographs=9, held=20, lines=21, right=4, plays=5)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_way_changes_more_from_level_to_level_and_nothing_but_pixels(way: Way) -> None:
    pixels = hopper()
    changed = [way.change(pixels, level, 100.0) for level in way.levels]
    assert all(each.dtype == np.uint8 for each in changed)
    if way.change is smaller:
        assert [each.shape[0] for each in changed] == [270, 225, 180]
        return
    assert {each.shape for each in changed} == {pixels.shape}
    away = [np.abs(each.astype(int) - pixels).mean() for each in changed]
    assert away == sorted(away)
    assert 0 < away[0] < away[-1]


@pytest.mark.parametrize(
    ("values", "is_so"),
    [([4, 3, 2, 1], True), ([4, 3, 3.01, 1], True), ([4, 3, 3.5, 1], False), ([4, 4, 4, 4], False), ([1, 2], False)],
)
def test_a_fall_is_level_by_level_and_real(values: list[float], is_so: bool) -> None:
    assert is_monotone(values, falls=True, slack=0.02) == is_so


def test_a_photograph_falls_and_stays_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.asarray(Image.fromarray(hopper()).resize((512, 600), Image.Resampling.LANCZOS))
    ways = [way for way in WAYS if way.name in ("median filter", "exposure")]
    monkeypatch.setattr("sweeps.validation.WAYS", tuple(ways))
    work, looks = try_measures([large]), 0
    while True:
        try:
            looks += next(work).of == 2
        except StopIteration as end:
            lines = end.value
            break
    assert looks == 2
    by = {(line.way, line.measure): line for line in lines}
    fall = by["median filter", "texture"]
    assert (fall.held, fall.of) == (1, 1)
    assert fall.medians[-1] < fall.medians[0] < 0.9
    stay = by["exposure", "side_ev"]
    assert stay.worst is not None
    assert stay.worst < 0.1
    assert "| median filter | 0.03, 0.05, 0.08, 0.12 eye distances | texture | falls | x0." in table(lines)


def test_plays_are_the_photograph_within_the_window_and_worse_outside() -> None:
    pixels = np.asarray(Image.fromarray(hopper()).resize((512, 600), Image.Resampling.LANCZOS))
    _, eyes = looked_at(pixels)
    play = PLAYS[0]
    assert all(np.array_equal(play.change(pixels, at, eyes), pixels) for at in play.steps if LOW <= at <= HIGH)
    texture = {at: looked_at(play.change(pixels, at, eyes))[0].value("texture") for at in (2.0, 5.0, 8.0)}
    assert texture[2.0] is not None
    assert texture[8.0] is not None
    assert texture[2.0] < 0.7 * (texture[5.0] or 0)
    assert texture[8.0] < 0.7 * (texture[5.0] or 0)


def test_findings_say_on_what_they_were_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert said() == SHIPPED
    path = keep(TRIAL)
    assert "9 of your photographs (2026-11-22: 20 of 21 lines held) among them, not on diffusion output" in said()
    assert compare.of_run(tmp_path / "run").validated == said()
    voted = Voted(run="r", checkpoints=("mine",), votes=80, voters=("Ada",), sentences=())
    keep(TRIAL.but(voted=(voted,)))
    assert said().endswith("and by 80 blind votes on 1 run of mine")
    assert validated.kept() == TRIAL.but(voted=(voted,))
    path.write_text("{")
    assert said().startswith(f"{SHIPPED} (")
    assert str(tmp_path) not in said()
    with pytest.raises(InputError, match="cannot be read"):
        validated.kept()


def test_a_folder_without_portraits_is_refused_with_the_reasons(tmp_path: Path) -> None:
    Image.fromarray(hopper()).save(tmp_path / "small.png")  # eyes 44 px apart
    Image.new("RGB", (300, 300)).save(tmp_path / "none.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    ended = CliRunner().invoke(app, ["validate", str(tmp_path)])
    assert ended.exit_code != 0
    assert isinstance(ended.exception, InputError)
    assert "holds 0 usable portraits; 3 or more are needed" in str(ended.exception)
    assert ended.output.count("left out: ") == 3
    with pytest.raises(InputError, match="is no folder"):
        CliRunner().invoke(app, ["validate", str(tmp_path / "nowhere")], catch_exceptions=False)


def test_the_shipped_figures_are_of_these_ways() -> None:
    text = (Path(__file__).parent.parent / "notebooks" / "validation.md").read_text()
    for way in WAYS:
        assert f"| {way.name} | " in text
    for play in PLAYS:
        assert f"| {play.name} | " in text
