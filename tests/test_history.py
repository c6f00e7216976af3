"""A chain of repairs is found by the pictures' own content, whatever was moved, and says plainly what is missing."""

import json
from pathlib import Path

import numpy as np
import pytest
from small import numerics
from typer.testing import CliRunner

from pipelines import metadata
from pipelines.errors import InputError
from pipelines.metadata import Embedded
from pipelines.proof import prove
from pipelines.raster import Raster, content, open_raster, to_png
from pipelines.recipe import Crop, Mask, Recipe, SchedulerChoice, Start, Weights
from pipelines.store import Circumstances, Facts, Saved, Store
from workbench.cli import app
from workbench.history import chain, counted, drawn

SIDE = 24
WHERE = np.zeros((SIDE, SIDE), np.uint8)
WHERE[4:12, 4:12] = 255


def pixels(number: int) -> Raster:
    """Grey everywhere, `number` inside the mask."""
    picture = np.full((SIDE, SIDE, 3), 90, np.uint8)
    picture[WHERE > 0] = number
    return Raster(picture, b"")


def kept(run: Path, made: Raster, start: Raster | None = None, *, strength: float = 0.4) -> Path:
    """Commit a picture into a run, as a repair of `start` where one is given; its file."""
    store = Store(run)
    parts = {}
    if start:
        begin, mask = store.add_input(start), store.add_input(Raster(WHERE[..., None], b""))
        crop = Crop(left=0, top=0, width=16, height=16, of_width=SIDE, of_height=SIDE)
        parts = {"start": Start(image=begin, strength=strength), "mask": Mask(image=mask), "crop": crop}
        note = {"masks": {"face1.skin; feather 0.06": mask}}
        (run / "inputs" / f"{begin}.masks.json").write_text(json.dumps(note))
    recipe = Recipe(
        checkpoint=Weights(digest="0" * 64, family="sdxl", name="demo-sdxl"),
        prompt="a face",
        seed=int(made.pixels[5, 5, 0]),
        width=SIDE,
        height=SIDE,
        steps=3,
        guidance=4,
        scheduler=SchedulerChoice(name="euler"),
        **parts,
    )
    embedded = Embedded(recipe=recipe, numerics=numerics(), lane=0)
    facts = Facts(
        first_timestep=None,
        first_sigma=None,
        evaluations=1,
        content=content(made),
        proof=prove(start, made, WHERE) if start else None,
    )
    png = to_png(made, text={metadata.CHUNK: embedded.text()})
    store.save(Saved(png, embedded, facts, Circumstances(seconds={}, device="cpu", date=""), ""))
    return store.path(recipe.key)


def test_a_chain_runs_from_noise_over_repairs_in_other_runs(tmp_path: Path) -> None:
    first = kept(tmp_path / "a", pixels(10))
    second = kept(tmp_path / "b", pixels(20), pixels(10), strength=0.45)
    third = kept(tmp_path / "c", pixels(30), pixels(20))
    links = chain(third, tmp_path)
    assert [link.path for link in links] == [first, second, third]
    assert [link.key for link in links] == [first.stem, second.stem, third.stem]
    assert links[0].changed == ("made from noise", "demo-sdxl")
    assert links[1].changed == ("face1.skin; feather 0.06", "strength 0.45", "demo-sdxl")
    assert links[1].proof is not None
    assert counted(links[1].proof) == "0 of 1 536 samples outside the mask changed"
    assert not any(link.note for link in links)
    assert chain(content(pixels(30)), tmp_path) == links
    lines = drawn(links).splitlines()
    assert lines[0].startswith(first.stem)
    assert lines[2].startswith(f"   └─ {third.stem} · face1.skin; feather 0.06 · strength 0.4 · demo-sdxl · 0 of 1 536")


def test_a_picture_that_was_carried_away_is_known_by_its_pixels(tmp_path: Path) -> None:
    kept(tmp_path / "runs/a", pixels(10))
    second = kept(tmp_path / "runs/b", pixels(20), pixels(10))
    away = tmp_path / "client.png"
    away.write_bytes(to_png(open_raster(second)))  # without any text inside
    assert [link.key for link in chain(away, tmp_path / "runs")][-1] == second.stem


def test_a_missing_parent_is_the_copy_in_the_inputs_and_then_said_to_be_missing(tmp_path: Path) -> None:
    second = kept(tmp_path / "b", pixels(20), pixels(10))
    copy, _ = chain(second, tmp_path)
    assert copy.recipe is None
    assert copy.path == tmp_path / "b/inputs" / f"{content(pixels(10))}.png"
    assert "the copy in the run's inputs" in copy.note
    copy.path.unlink()
    missing, link = chain(second, tmp_path)
    assert (missing.path, link.key) == (None, second.stem)
    assert "missing: neither among the runs nor" in drawn((missing, link))


def test_a_circle_ends_and_is_said(tmp_path: Path) -> None:
    first = kept(tmp_path / "a", pixels(10), pixels(20))
    second = kept(tmp_path / "b", pixels(20), pixels(10))
    links = chain(second, tmp_path)
    assert [link.key for link in links] == ["", first.stem, second.stem]
    assert "a circle" in links[0].note


def test_a_repair_that_changed_nothing_still_shows_its_parent(tmp_path: Path) -> None:
    first = kept(tmp_path / "a", pixels(10))
    same = kept(tmp_path / "b", pixels(10), pixels(10))
    assert [link.key for link in chain(same, tmp_path)] == [first.stem, same.stem]


def test_a_photograph_is_a_chain_of_one_and_an_unknown_content_is_refused(tmp_path: Path) -> None:
    photograph = tmp_path / "photo.png"
    photograph.write_bytes(to_png(pixels(50)))
    (link,) = chain(photograph, tmp_path)
    assert (link.key, link.path, link.note) == ("", photograph, "")
    with pytest.raises(InputError, match="no picture with the content"):
        chain("0" * 64, tmp_path)


def test_the_command_draws_the_tree_and_prints_json(tmp_path: Path) -> None:
    kept(tmp_path / "a", pixels(10))
    second = kept(tmp_path / "b", pixels(20), pixels(10))
    words = ["picture", "history", str(second), "--runs", str(tmp_path)]
    drawn_lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert len(drawn_lines) == 2
    first, told = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert told["parent"] == first["content"]
    assert (told["key"], told["proof"]["changed_outside"]) == (second.stem, 0)
