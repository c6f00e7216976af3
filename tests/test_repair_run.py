"""A repair is a picture like any other: swept, resumed, made again, and outside its mask every byte is the source's.

The whole path with a demo checkpoint and real photographs; knows nothing about how crops are cut and pasted.
"""

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import typer
from skimage.data import astronaut
from tiny import tiny_checkpoint

from pipelines import foreign, metadata
from pipelines.draft import Draft
from pipelines.errors import InputError
from pipelines.given import images_of
from pipelines.raster import Raster, content, grey8, open_raster, to_png
from pipelines.recipe import Recipe, Start
from pipelines.store import Sidecar, Store
from sweeps import inputs
from sweeps.engines import open_engine
from sweeps.inputs import masks_beside
from sweeps.prepare import SWEEP, Prepared, ask, prepare, reopen
from sweeps.run import Kept, run
from sweeps.sweep import Sweep, from_flags, read_toml
from workbench.picture_commands import again
from workbench.run_commands import check

SKIN = "face1.skin; feather 0.08"
SIZE = {"width": ["64"], "height": ["64"]}


def photograph(depth: int = 8, *, alpha: bool = False) -> Raster:
    """A face near the left border of a picture whose sides are no multiples of anything."""
    pixels = astronaut()[3:304, 155:412]
    if alpha:
        pixels = np.dstack([pixels, np.arange(pixels[..., 0].size).reshape(pixels.shape[:2]) % 251])
    if depth == 16:
        pixels = pixels.astype(np.uint16) * 257 + np.uint16(3)
    return Raster(np.ascontiguousarray(pixels.astype(np.uint16 if depth == 16 else np.uint8)), b"")


def saved(folder: Path, raster: Raster, name: str = "portrait.png") -> Path:
    path = folder / name
    path.write_bytes(to_png(raster))
    return path


def repair(
    start: Path, *, mask: Sequence[str] = (SKIN,), strength: Sequence[str] = ("0.5",), **more: list[str]
) -> Sweep:
    given = {"checkpoint": ["demo-sdxl"], "prompt": ["textured skin, pores"], "steps": ["4"], "start": [str(start)]}
    return from_flags(
        "repair", given | SIZE | {"mask": list(mask), "strength": list(strength), "context": ["0.3"]} | more
    )


def made(prepared: Prepared) -> dict[str, Sidecar]:
    with closing(run(prepared, open_engine=open_engine)) as happenings:
        keys = [each.key for each in happenings if isinstance(each, Kept)]
    store = Store(prepared.folder)
    return {key: store.sidecar(key) for key in keys}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("repair")
    start = saved(folder, photograph())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        ready = prepare(repair(start, strength=("0.4,0.6",)), folder / "run", asked={"device": "cpu", "lanes": 2})
        made(ready)
    return ready


def test_outside_the_mask_every_sample_is_the_sources_and_the_sidecar_proves_it(swept: Prepared) -> None:
    store, source = Store(swept.folder), photograph()
    assert len(swept.keys) == len(store.keys()) == 2
    for key in swept.keys:
        sidecar, picture = store.sidecar(key), open_raster(store.path(key))
        assert sidecar.recipe.mask
        assert sidecar.recipe.start
        assert sidecar.recipe.start.image == content(source)
        mask = grey8(store.input(sidecar.recipe.mask.image))
        assert picture.pixels.shape == source.pixels.shape
        assert np.array_equal(picture.pixels[mask == 0], source.pixels[mask == 0])
        assert (picture.pixels[mask > 128] != source.pixels[mask > 128]).mean() > 0.5, "the skin is worked on"
        proof = sidecar.facts.proof
        assert proof
        assert (proof.changed_outside, proof.before == proof.after) == (0, True)
        assert proof.outside == int((mask == 0).sum()) * 3
        assert sidecar.facts.content == content(picture), "a repair of this one names it so"


def test_the_run_folder_says_the_expression_and_goes_on_without_looking_for_faces(
    swept: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(swept.folder, folder)
    assert read_toml(folder / SWEEP).base.mask is not None
    assert 'mask = "face1.skin; feather 0.08"' in (folder / SWEEP).read_text()
    start = next(path for path in (folder / "inputs").glob("*.json")).name.removesuffix(".masks.json")
    assert set(masks_beside(folder / "inputs" / f"{start}.png")) == {SKIN}

    def no_faces(*_: object) -> None:
        raise AssertionError("faces were looked for again")

    monkeypatch.setattr(inputs, "_painted", no_faces)
    for path in (folder / "pictures").glob("*.png"):
        path.unlink()
    before = {path.name: path.read_bytes() for path in (swept.folder / "pictures").glob("*.png")}
    assert set(made(reopen(folder))) == swept.keys
    assert {path.name: path.read_bytes() for path in (folder / "pictures").glob("*.png")} == before


@pytest.mark.parametrize("kind", ["inpaint", "flux", "fill", "flux2"])
def test_every_kind_of_checkpoint_repairs_and_changes_nothing_outside(tmp_path: Path, kind: str) -> None:
    start, checkpoint = saved(tmp_path, photograph()), tiny_checkpoint(kind, tmp_path / kind)
    sweep = repair(start, checkpoint=[kind], width=["32"], height=["32"], steps=["2"], guidance=["3"])
    ready = prepare(sweep, tmp_path / "run", asked={"device": "cpu"}, lookup=lambda _: checkpoint)
    ((key, sidecar),) = made(ready).items()
    picture, mask = open_raster(Store(ready.folder).path(key)), sidecar.recipe.mask
    assert mask
    outside = grey8(Store(ready.folder).input(mask.image)) == 0
    assert np.array_equal(picture.pixels[outside], photograph().pixels[outside])
    assert not np.array_equal(picture.pixels, photograph().pixels)


@pytest.mark.gpu
def test_a_repair_on_the_gpu_changes_nothing_outside(tmp_path: Path) -> None:
    sweep = repair(saved(tmp_path, photograph()), strength=("0.4,0.6",))
    sidecars = made(prepare(sweep, tmp_path / "run", asked={"device": "cuda", "lanes": 2}))
    assert [each.facts.proof.changed_outside for each in sidecars.values() if each.facts.proof] == [0, 0]


def test_a_repair_read_from_its_file_asks_for_the_very_same_recipe(swept: Prepared) -> None:
    for key in swept.keys:
        read = foreign.read(swept.folder / "pictures" / f"{key}.png")
        assert not read.unmapped
        (cell,) = ask(Sweep.over("again", foreign.draft(read, None), axes=[])).cells.cells
        assert cell.recipe.key == key


def test_a_repair_is_made_again_with_equal_bytes(swept: Prepared, capsys: pytest.CaptureFixture[str]) -> None:
    key = sorted(swept.keys)[0]
    again(swept.folder / "pictures" / f"{key}.png")
    assert "every byte is equal" in capsys.readouterr().out


def test_a_repair_away_from_its_inputs_says_that_they_are_missing(swept: Prepared, tmp_path: Path) -> None:
    picture = shutil.copy(swept.folder / "pictures" / f"{sorted(swept.keys)[0]}.png", tmp_path / "alone.png")
    with pytest.raises(InputError, match=r"alone\.png was made from pictures that are not beside it .*own run folder"):
        again(Path(picture))
    with pytest.raises(InputError, match="is the picture itself; give another file"):
        again(Path(picture), out=Path(picture))


def test_check_reads_the_noted_masks_too(swept: Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(swept.folder, tmp_path / "run")
    check(folder)
    (notes,) = (folder / "inputs").glob("*.masks.json")
    notes.write_text(notes.read_text()[:-9])
    capsys.readouterr()
    with pytest.raises(typer.Exit):
        check(folder)
    assert f"{notes.name}" in capsys.readouterr().out


def test_inputs_are_read_once_for_many_cells(swept: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    store, reads = Store(swept.folder), list[Path]()
    monkeypatch.setattr("pipelines.store.open_raster", lambda path: reads.append(path) or open_raster(path))
    recipes = [store.sidecar(key).recipe for key in sorted(swept.keys)]
    seen = [images_of(recipe, store) for recipe in recipes]
    assert len(reads) == 2, "source and mask"
    assert seen[0].start.tobytes() == seen[1].start.tobytes()
    assert not store.input(content(photograph())).pixels.flags.writeable


@pytest.mark.parametrize(("depth", "alpha"), [(16, False), (8, True), (16, True)])
def test_depth_alpha_and_profile_of_the_source_are_kept(tmp_path: Path, depth: int, alpha: bool) -> None:
    profile = b"\0\0\0\x0cnot a profile"
    source = Raster(photograph(depth, alpha=alpha).pixels, profile)
    ready = prepare(repair(saved(tmp_path, source)), tmp_path / "run", asked={"device": "cpu"})
    ((key, sidecar),) = made(ready).items()
    picture = open_raster(tmp_path / "run" / "pictures" / f"{key}.png")
    assert (picture.pixels.dtype, picture.pixels.shape, picture.icc) == (
        source.pixels.dtype,
        source.pixels.shape,
        profile,
    )
    assert sidecar.facts.proof
    assert sidecar.facts.proof.changed_outside == 0
    if alpha:
        assert np.array_equal(picture.pixels[..., 3], source.pixels[..., 3])
    embedded = metadata.read(tmp_path / "run" / "pictures" / f"{key}.png")
    assert embedded
    assert embedded.recipe == sidecar.recipe


def test_masks_sweep_like_anything_else_painted_ones_too(tmp_path: Path) -> None:
    start = saved(tmp_path, photograph())
    hand = np.zeros((*photograph().pixels.shape[:2], 1), np.uint8)
    hand[120:180, 20:90] = 255
    painted = saved(tmp_path, Raster(hand, b""), "hand.png")
    sweep = repair(start, mask=(SKIN, "face1.eyes; grow 3px", str(painted)))
    ready = prepare(sweep, tmp_path / "run", asked={"device": "cpu", "lanes": 3})
    sidecars = made(ready)
    assert len(sidecars) == 3
    assert all(each.facts.proof and each.facts.proof.changed_outside == 0 for each in sidecars.values())
    crops = {each.recipe.crop for each in sidecars.values()}
    assert len(crops) == 3, "every mask is worked on in a crop of its own"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"mask": ("face2.skin",)}, "face2"),
        ({"mask": ("face1.hair",)}, "hair"),
        ({"width": ["64"], "height": []}, "give both, or neither"),
        ({"reference_weight": ["0.5"]}, "without reference"),
        ({"context": ["0.3"], "mask": ()}, "without start and mask"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_before_anything_is_written(
    tmp_path: Path, asked: dict[str, list[str]], said: str
) -> None:
    start = saved(tmp_path, photograph())
    with pytest.raises(InputError, match=said) as refused:
        prepare(repair(start, **asked), tmp_path / "run", asked={})
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_an_empty_mask_a_mask_of_another_size_and_a_picture_without_a_face_are_refused(tmp_path: Path) -> None:
    start = saved(tmp_path, photograph())
    black = saved(tmp_path, Raster(np.zeros((301, 257, 1), np.uint8), b""), "black.png")
    small = saved(tmp_path, Raster(np.full((30, 25, 1), 255, np.uint8), b""), "small.png")
    wall = saved(tmp_path, Raster(np.full((301, 257, 3), 127, np.uint8), b""), "wall.png")
    for mask, first, said in ((black, start, "empty"), (small, start, "25x30"), (SKIN, wall, "no face")):
        with pytest.raises(InputError, match=said):
            ask(repair(first, mask=(str(mask),)))


def test_a_reference_that_is_the_start_says_its_strength(tmp_path: Path) -> None:
    start = saved(tmp_path, Raster(photograph().pixels[:296, :256], b""))
    base = Draft(checkpoint="demo-sdxl", prompt="x", reference=str(start), reference_role="start")

    def settled(draft: Draft) -> Recipe:
        return ask(Sweep.over("x", draft, axes=[])).cells.cells[0].recipe

    recipe = settled(base.but(reference_weight=0.4))
    assert recipe.start == Start(image=content(open_raster(start)), strength=0.6)
    assert recipe.references == ()
    with pytest.raises(InputError, match="both given"):
        settled(base.but(start=str(start), strength=0.5))
