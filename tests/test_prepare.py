"""Preparing a run: an existing folder's word is kept, what cannot be honoured is refused, nothing is written."""

import json
from pathlib import Path

import pytest
from PIL import Image

from pipelines.draft import Draft
from pipelines.errors import InputError, NumericsError
from pipelines.store import Store
from sweeps.axes import Axis
from sweeps.overview import grid_of
from sweeps.prepare import NUMERICS, prepare, reopen, run_folder
from sweeps.run import run
from sweeps.speed import cost, remember
from sweeps.sweep import Sweep
from tests.small import opener


def sweep(*guidance: float, **fields: object) -> Sweep:
    base = Draft.read({"checkpoint": "demo-sdxl", "prompt": "a face", "steps": 3, **fields})
    return Sweep.over("window", base, axes=[Axis(fields=("guidance",), values=tuple((g,) for g in guidance))])


def made(folder: Path, asked: Sweep) -> None:
    for _ in run(prepare(asked, folder, asked={"lanes": 2}), open_engine=opener([])):
        pass


def test_preparing_writes_nothing(tmp_path: Path) -> None:
    ready = prepare(sweep(2, 4), tmp_path / "run", asked={})
    assert len(ready.keys) == 2
    assert not list(tmp_path.iterdir())


def test_existing_run_keeps_numerics_and_lanes(tmp_path: Path) -> None:
    made(tmp_path, sweep(2, 4, 6))
    before = {entry.key: entry.lane for entry in reopen(tmp_path).plan.entries}
    wider = prepare(sweep(1.5, 2, 4, 6, 8), tmp_path, asked={})
    assert wider.numerics.planned.lanes == 2
    after = {entry.key: entry.lane for entry in wider.plan.entries}
    assert {key: after[key] for key in before} == before
    assert len(after) == 5


def test_other_numerics_are_refused_unless_new_ones_are_wanted(tmp_path: Path) -> None:
    made(tmp_path, sweep(2, 4))
    with pytest.raises(NumericsError, match="planned with lanes 2, not 4"):
        prepare(sweep(2, 4), tmp_path, asked={"lanes": 4})
    assert prepare(sweep(2, 4), tmp_path, asked={"lanes": 1}, new_numerics=True).numerics.planned.lanes == 1


def test_run_of_another_torch_is_refused_with_both_versions(tmp_path: Path) -> None:
    made(tmp_path, sweep(2, 4))
    kept = json.loads((tmp_path / NUMERICS).read_text())
    kept["now"]["torch"] = "1.2.3"
    (tmp_path / NUMERICS).write_text(json.dumps(kept))
    with pytest.raises(NumericsError, match=r"made with torch 1\.2\.3, here is .*--new-numerics"):
        prepare(sweep(2, 4), tmp_path, asked={})
    (tmp_path / NUMERICS).write_text("{")
    with pytest.raises(NumericsError, match="cannot be read"):
        prepare(sweep(2, 4), tmp_path, asked={})


def test_unguided_run_does_not_take_guided_cells(tmp_path: Path) -> None:
    made(tmp_path, sweep(0, 1))
    with pytest.raises(NumericsError, match="one row a picture"):
        prepare(sweep(0, 1, 4), tmp_path, asked={})


def test_pictures_of_other_numerics_are_marked_in_the_grid(tmp_path: Path) -> None:
    made(tmp_path, sweep(2, 4))
    ready = prepare(sweep(2, 4), tmp_path, asked={"lanes": 1}, new_numerics=True)
    store = Store(tmp_path)
    grid = grid_of(ready, {key: store.sidecar(key) for key in ready.keys}, {})
    assert all("other numerics" in cell.warning for cell in grid.cells)


def test_start_image_gives_size_and_is_kept_by_content(tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((64, 96)).convert("RGB").save(tmp_path / "start.png")
    asked = sweep(2, 4, start=str(tmp_path / "start.png"), strength=0.5)
    ready = prepare(asked, tmp_path / "run", asked={})
    recipe = next(iter(ready.recipes.values()))
    assert (recipe.width, recipe.height, recipe.mode) == (64, 96, "img2img")
    for _ in run(ready, open_engine=opener([])):
        pass
    assert [path.stem for path in (tmp_path / "run/inputs").iterdir()] == [recipe.start.image if recipe.start else ""]
    (tmp_path / "start.png").unlink()
    assert reopen(tmp_path / "run").keys == ready.keys


def test_start_image_of_another_size_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (64, 96)).save(tmp_path / "start.png")
    with pytest.raises(InputError, match="start is 64x96 but the picture is 64x64"):
        prepare(sweep(2, 4, start=str(tmp_path / "start.png"), strength=0.5, height=64), tmp_path / "run", asked={})
    with pytest.raises(InputError, match="start is given without strength"):
        prepare(sweep(2, 4, start=str(tmp_path / "start.png")), tmp_path / "run", asked={})


def test_newest_run_of_the_name_goes_on(tmp_path: Path) -> None:
    assert run_folder(tmp_path, sweep(2, 4), "2026-11-21") == tmp_path / "2026-11-21-window"
    for name in ("2026-11-02-window", "2026-11-19-window", "2026-11-20-other-window", "notes-window"):
        (tmp_path / name).mkdir()
    assert run_folder(tmp_path, sweep(2, 4), "2026-11-21") == tmp_path / "2026-11-19-window"


def test_folder_without_a_sweep_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no run folder .* give the folder"):
        reopen(tmp_path)


def test_time_is_unknown_until_a_run_was_watched(tmp_path: Path) -> None:
    ready = prepare(sweep(2, 4), tmp_path / "run", asked={})
    assert cost(ready, ready.plan, tmp_path / "cache").seconds is None
    with remember(ready, tmp_path / "cache") as watch:
        for happening in run(ready, open_engine=opener([], seconds=0.01)):
            watch.follow(happening)
    seconds = cost(ready, ready.plan, tmp_path / "cache").seconds
    assert seconds is not None
    assert 0.005 < seconds < 60
