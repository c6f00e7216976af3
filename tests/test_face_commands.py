"""`sidelight face`: two faces side by side, of which one is repaired and the other keeps every byte."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image
from typer.testing import CliRunner

from pipelines.draft import Draft
from pipelines.errors import InputError, SweepError
from pipelines.events import Event, Made
from pipelines.raster import open_raster
from pipelines.recipe import Recipe
from pipelines.store import Store
from sweeps import engines
from sweeps.sweep import Sweep
from workbench import face_passes
from workbench.cli import app

SKIN = "face2.skin; feather 0.06"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph of a face beside its mirror image, of a size that no checkpoint takes."""
    face = skimage.data.astronaut()[:300, 100:361]
    path = tmp_path_factory.mktemp("photos") / "two.png"
    Image.fromarray(np.concatenate([face, face[:, ::-1]], axis=1)).save(path)
    return path


@pytest.fixture(scope="module")
def blank(two: Path) -> Path:
    """A picture without a face."""
    path = two.with_name("blank.png")
    Image.new("RGB", (200, 150), (90, 120, 140)).save(path)
    return path


def face(*words: object, code: int = 0) -> Any:
    """Run `sidelight face`; its exit code must be `code`, a SidelightError is raised."""
    ended = CliRunner().invoke(app, ["face", *map(str, words)])
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    assert ended.exit_code == code, ended.output
    return ended


@contextmanager
def own_state(folder: Path) -> Iterator[None]:
    """For fixtures that outlive a test: locks and caches of their own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME"):
            patch.setenv(name, str(folder / name))
        yield


class Painter:
    """An engine that paints every picture grey."""

    def __init__(self, _: object, numerics: Any, __: object) -> None:
        self.numerics = numerics

    def run(self, lanes: Sequence[Sequence[Recipe]]) -> Iterator[Event]:
        """One picture after the other."""
        for recipe in (recipe for lane in lanes for recipe in lane):
            pixels = np.full((recipe.height, recipe.width, 3), 0.5, np.float32)
            yield Made(recipe.key, pixels, 999.0, 14.6, 3, self.numerics, 0, 0.0)


@pytest.fixture(scope="module")
def repaired(two: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `face repair` says of face 2's skin, made by the demo checkpoint at two strengths."""
    folder = tmp_path_factory.mktemp("repaired")
    numbers = ["--strength", "0.4,0.5", "--steps", "3", "--seed", "3"]
    with own_state(folder):
        ended = face("repair", two, "--mask", SKIN, "--checkpoint", "demo-sdxl", *numbers, "--runs", folder, "--json")
    told: dict[str, Any] = json.loads(ended.stdout)["passes"][0]
    return told


def test_faces_are_numbered_left_to_right_and_drawn(two: Path, tmp_path: Path) -> None:
    lines = face("find", two, "--out", tmp_path / "found.png").stdout.splitlines()
    assert lines[0].endswith("2 faces, numbered left to right")
    assert re.match(r"face 1: 4\d px between the eyes, .*, box \d+ x \d+ at ", lines[1])
    (told,) = json.loads(face("find", two, "--json").stdout)
    first, second = told["faces"]
    assert (first["number"], second["number"]) == (1, 2)
    assert first["box"][2] < 261 < second["box"][0]
    assert first["turn"] * second["turn"] < 0 or abs(first["turn"] - second["turn"]) < 0.1  # mirrored
    drawn = np.asarray(Image.open(tmp_path / "found.png")).astype(int)
    apart = np.abs(drawn - np.asarray(Image.open(two))).sum(axis=2) > 0
    assert 0.005 < apart.mean() < 0.1


def test_a_picture_without_a_face_names_the_way_on(blank: Path, two: Path) -> None:
    told = face("find", two, blank, code=1).stdout
    assert f"{blank}: no face found; look harder with --everywhere, or paint the mask by hand" in told
    assert f"sidelight face repair {blank} --mask MASK.png" in told


def test_the_mask_is_a_grey_png_over_one_face(two: Path, tmp_path: Path) -> None:
    written = ["--out", tmp_path / "m.png", "--overlay", tmp_path / "over.png"]
    told = json.loads(face("mask", two, SKIN, *written, "--json").stdout)
    with Image.open(tmp_path / "m.png") as image:
        assert (image.mode, image.size) == ("L", (522, 300))
        mask = np.asarray(image)
    assert not mask[:, :261].any()
    assert mask.max() == 255
    assert told["share"] == pytest.approx(mask.mean() / 255)
    left, top, right, bottom = told["box"]
    assert mask[top:bottom, left:right].any(axis=0).all()
    apart = (np.asarray(Image.open(tmp_path / "over.png")) != np.asarray(Image.open(two))).any(axis=2)
    assert apart[mask > 127].all()
    assert not apart[:, :255].any()


def test_the_picture_itself_is_never_written_over(two: Path, tmp_path: Path) -> None:
    before = two.read_bytes()
    for words in (["find", two], ["mask", two, SKIN]):
        for out in (two, tmp_path / "faces.jpg"):
            with pytest.raises(InputError, match=r"another file than the picture's, that ends in \.png"):
                face(*words, "--out", out)
    with pytest.raises(InputError, match="another file"):
        face("mask", two, SKIN, "--out", tmp_path / "m.png", "--overlay", tmp_path / "m.png")
    assert two.read_bytes() == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("expression", "told"),
    [("face3.skin", "there are 2 faces"), ("the skin", "is no mask expression.*Regions: oval, skin")],
)
def test_a_mask_that_cannot_be_is_refused(two: Path, expression: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        face("mask", two, expression)


def test_verify_counts_and_finds_what_changed_outside(two: Path, tmp_path: Path) -> None:
    mask, after = tmp_path / "m.png", tmp_path / "after.png"
    inside = Image.new("L", (522, 300))
    inside.paste(255, (100, 100, 120, 120))
    inside.save(mask)
    with Image.open(two) as picture:
        picture.putpixel((110, 110), (0, 0, 0))
        picture.save(after)
        told = face("verify", two, after, mask).stdout
        assert told.startswith("0 of 468 600 samples outside the mask changed\n3 of 1 200 inside it changed\n")
        picture.putpixel((30, 40), (0, 0, 0))
        picture.putpixel((33, 50), (0, 0, 0))
        picture.save(after)
    told = face("verify", two, after, mask, code=1).stdout
    assert "6 of 468 600 samples outside the mask changed, within 4 x 11 px at 30, 40" in told
    other = json.loads(face("verify", two, after, mask, "--json", code=1).stdout)
    assert (other["changed_outside"], other["box_changed_outside"]) == (6, [30, 40, 34, 51])
    Image.new("RGB", (10, 10)).save(after)
    with pytest.raises(InputError, match="522x300"):
        face("verify", two, after, mask)


def test_only_the_chosen_face_of_a_group_changes(two: Path, repaired: dict[str, Any]) -> None:
    before = np.asarray(Image.open(two))
    assert [each["values"] for each in repaired["pictures"]] == [{"strength": "0.4"}, {"strength": "0.5"}]
    for each in repaired["pictures"]:
        after, mask = np.asarray(Image.open(each["picture"])), np.asarray(Image.open(each["mask"]))
        assert (each["proof"]["changed_outside"], each["proof"]["outside"]) == (0, 3 * int((mask == 0).sum()))
        assert after[:, :261].tobytes() == before[:, :261].tobytes()
        assert (after != before)[mask == 255].mean() > 0.5
        assert face("verify", two, each["picture"], each["mask"]).stdout.startswith("0 of ")


def test_history_of_a_repair_begins_with_the_photograph(repaired: dict[str, Any]) -> None:
    picture = Path(repaired["pictures"][0]["picture"])
    lines = CliRunner().invoke(app, ["picture", "history", str(picture)]).stdout.splitlines()
    assert "the copy in the run's inputs" in lines[0]
    assert f"{picture.stem} · {SKIN} · strength 0.4 · demo-sdxl · 0 of " in lines[1]


def test_passes_follow_each_other(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "open_engine", Painter)
    words = ["repair", two, "--mask", "face1.skin", "--then", "face2.mouth", "--checkpoint", "demo-sdxl"]
    ended = face(*words, "--runs", tmp_path, "--steps", 3)
    assert ended.stdout.count("0 of ") == 2
    assert "accept:   sidelight mark " in ended.stdout
    assert "note: " not in ended.stderr  # the light of this photograph is no flat one
    last = next(tmp_path.glob("*-two-face2-mouth/pictures/*.png"))
    drawn = CliRunner().invoke(app, ["picture", "history", str(last), "--runs", str(tmp_path)]).stdout.splitlines()
    told = [line.split(" · ")[1:3] for line in drawn[1:]]
    assert told == [["face1.skin", "strength 0.45"], ["face2.mouth", "strength 0.35"]]


def test_a_run_of_another_picture_is_never_gone_on_with(two: Path, blank: Path, tmp_path: Path) -> None:
    def folder_of(start: Path, name: str = "man face1.skin") -> str:
        sweep = Sweep(name=name, base=Draft(checkpoint="demo-sdxl", start=str(start)))
        folder = face_passes.folder(tmp_path, sweep, "2026-11-22")
        Store(folder).add_input(open_raster(start))
        (folder / "sweep.toml").touch()
        return folder.name

    assert [folder_of(two), folder_of(two), folder_of(blank), folder_of(blank), folder_of(two)] == [
        f"2026-11-22-man-face1-skin{number}" for number in ("", "", "-2", "-2", "")
    ]
    assert folder_of(two, "x" * 90) != folder_of(blank, "x" * 90)


def test_a_later_pass_that_cannot_be_is_refused_before_anything_is_made(two: Path, tmp_path: Path) -> None:
    words = ["repair", two, "--mask", "face1.skin", "--then", "face3.eyes", "--checkpoint", "demo-sdxl"]
    with pytest.raises(InputError, match=r"face3\.eyes: there are 2 faces; allowed: face1, face2"):
        face(*words, "--runs", tmp_path / "runs")
    with pytest.raises(InputError, match=r"a repair begins from .*two\.png itself"):
        face(*words[:4], *words[6:], "--reference", two, "--reference-role", "start", "--runs", tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_a_reference_without_a_face_is_refused_before_anything_is_made(blank: Path, tmp_path: Path) -> None:
    mask = tmp_path / "spot.png"
    Image.new("L", (200, 150), 255).save(mask)
    words = ["repair", blank, "--mask", mask, "--checkpoint", "demo-sdxl", "--reference", blank]
    with pytest.raises(InputError, match=r"reference .*blank\.png: no face was found"):
        face(*words, "--runs", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_flat_light_is_said_before_with_the_command_for_a_new_picture(two: Path, tmp_path: Path) -> None:
    half = np.asarray(Image.open(two))[:, 5:256].astype(np.float32)
    flat = 170 + ((half + half[:, ::-1]) / 2 - 170) * 0.5  # both cheeks alike, and little between light and dark
    file = tmp_path / "flat.png"
    Image.fromarray(flat.clip(0, 255).astype(np.uint8)).save(file)
    words = ["repair", file, "--mask", "faces.skin", "--each", "--checkpoint", "demo-sdxl", "--runs", tmp_path]
    told = face(*words, "--dry-run")
    assert told.stderr.startswith("face1.skin: portrait photo, same light, keep the shadow under the nose, suggested")
    assert "note: the light is flat or frontal" in told.stderr
    assert "sidelight sweep run --checkpoint demo-sdxl --light window" in told.stderr
    assert not list(tmp_path.glob("*-flat-*"))


def test_a_photograph_without_words_is_said_to_have_the_light_that_was_measured(two: Path, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(two))[:, :261].astype(np.float32)
    file = tmp_path / "lit.png"
    Image.fromarray((pixels * np.linspace(0.3, 1, 261)[:, None]).astype(np.uint8)).save(file)
    said = face_passes.source(file, "demo-sdxl").words("face1.skin")
    assert said.prompt.startswith("portrait photo, side light from the right, same side light, keep the shadow under")


def test_a_photograph_needs_a_checkpoint(two: Path) -> None:
    with pytest.raises(InputError, match=r"does not say what made it.*--checkpoint NAME"):
        face("repair", two, "--mask", SKIN)


def asked(**given: list[str]) -> Sweep:
    """The sweep of a pass over a picture whose words are known."""
    masks = given.pop("mask")
    draft = Draft(checkpoint="demo-sdxl", prompt="portrait of a man, window light", steps=20, start="man.png")
    source = face_passes.Source(Path("man.png"), draft, None, (), is_ours=True)
    return face_passes.repair_sweep(source, masks, start=Path("man.png"), given=given, name="man")


def test_flags_and_masks_are_values_like_any() -> None:
    sweep = asked(mask=["man-mask.png", "face1.eyes;feather .08"], strength=["0.3..0.4/2"], prompt=["eyes"])
    assert [(axis.name, axis.labels) for axis in sweep.axes] == [
        ("strength", ("0.3", "0.4")),
        ("mask", ("man-mask.png", "face1.eyes; feather 0.08")),
    ]
    assert (sweep.base.prompt, sweep.base.context, sweep.base.steps) == ("eyes", 0.35, 20)


def test_strength_and_words_follow_the_region_where_nothing_is_said() -> None:
    skin, eyes = asked(mask=["face1.skin"]).base, asked(mask=["face1.eyes"]).base
    assert (skin.strength, eyes.strength) == (0.45, 0.35)
    assert skin.prompt.startswith("portrait of a man, window light, same side light, keep the shadow under the nose")
    assert "iris" in eyes.prompt
    assert asked(mask=["face1.skin"], strength=["0.5"], context=["1"]).base.but(strength=None).context == 1


def test_a_pass_that_others_follow_makes_one_picture() -> None:
    face_passes.refuse_grids([asked(mask=["face1.skin"], strength=["0.3,0.4"])])  # alone it may be a grid
    with pytest.raises(SweepError, match=r"makes one picture, this one 2 \(strength 0.3, 0.4\)"):
        face_passes.refuse_grids([asked(mask=["face1.skin"], strength=["0.3,0.4"]), asked(mask=["face1.eyes"])])


def test_every_face_gets_a_pass_of_its_own() -> None:
    asked = face_passes.passes(["faces.skin; feather 0.03", "faces.skin; feather 0.08"], ["face2.eyes"], faces=2)
    assert asked == (
        ("face1.skin; feather 0.03", "face1.skin; feather 0.08"),
        ("face2.skin; feather 0.03", "face2.skin; feather 0.08"),
        ("face2.eyes",),
    )
    assert face_passes.passes(["faces.skin"], [], faces=None) == (("faces.skin",),)
    with pytest.raises(SweepError, match="no mask names all faces"):
        face_passes.passes(["face1.skin"], [], faces=2)
