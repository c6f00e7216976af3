"""Series: exactly one thing changes, all else is the pilot's, and the picture that drifts is flagged."""

import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from photographs import Pixels, collins, hopper, lit
from PIL import Image
from typer.testing import CliRunner

from pipelines.colour import light_of, oklab
from pipelines.draft import Draft
from pipelines.errors import BusyError, InputError
from pipelines.events import Event, Made
from pipelines.light import Light, implied_focal_mm
from pipelines.recipe import Recipe
from pipelines.store import Store
from sweeps import engines
from workbench import series_change
from workbench.cli import app
from workbench.series import Member, Pilot, Series, add_members, held
from workbench.series_change import Change, axis_of, changed, frozen_light, only_change
from workbench.series_figures import LIMITS, Figures, drift, figures, limits, srgb

SIDE = 320
PROMPT = Draft(checkpoint="demo-sdxl", prompt="portrait of a woman, side light from the left, hard light", seed=7)


def by_light() -> Draft:
    """A pilot's draft with the light template `window` frozen into it."""
    draft = Draft(checkpoint="demo-sdxl", light="window", subject="a woman", seed=7)
    light = series_change.light_of(draft)
    assert light
    return frozen_light(draft, light)


def differs(one: Draft, other: Draft) -> set[str]:
    """Names of the fields of two drafts and their lights that differ."""
    fields = {name for name in Draft.model_fields if getattr(one, name) != getattr(other, name)} - {"light_fields"}
    lights = series_change.light_of(one), series_change.light_of(other)
    return fields | {name for name in Light.model_fields if len({getattr(light, name) for light in lights}) > 1}


# ---- Exactly one thing.


def test_two_things_at_once_are_refused_with_both_named() -> None:
    with pytest.raises(InputError, match=r"pose and action are given.*one thing.*subject, pose, framing or action"):
        only_change({"pose": ["looking up"], "action": ["pouring tea"]}, [])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--guidance", "3"], "guidance is frozen by the pilot.*may change subject, pose"),
        (["--light.direction=left-10"], "light.direction is frozen"),
        (["--checkpoint", "demo-flux"], "checkpoint is frozen"),
        (["--guidnace", "3"], "--guidnace is not known here.*may change"),
    ],
)
def test_what_is_frozen_is_refused_with_what_is_allowed(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        only_change({"pose": ["looking up"]}, words)


def test_one_thing_in_several_wordings_is_one_change_each_and_nothing_is_another_take() -> None:
    assert only_change({"pose": ["up", "down", "up"]}, []) == (Change("pose", "up"), Change("pose", "down"))
    assert only_change({}, []) == (Change("seed"),)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (Change("pose", "looking up"), {"subject"}),
        (Change("action", "pouring tea"), {"subject"}),
        (Change("subject", "a man"), {"subject"}),
        (Change("framing", "half-length"), {"shot", "camera_distance_m"}),
        (Change("age", "75"), {"age_years", "texture"}),
        (Change("seed"), set[str]()),
    ],
)
def test_a_change_leaves_every_other_field_of_the_light_as_it_was(change: Change, fields: set[str]) -> None:
    made = changed(by_light(), change, "sdxl")
    assert differs(by_light(), made) == fields


def test_pose_stands_behind_who_and_framing_steps_back_with_the_same_lens() -> None:
    posed = series_change.light_of(changed(by_light(), Change("pose", "looking up"), "sdxl"))
    framed = series_change.light_of(changed(by_light(), Change("framing", "half-length"), "sdxl"))
    assert posed
    assert posed.subject == "a woman, looking up"
    assert framed
    assert framed.camera_distance_m == pytest.approx(0.9 * 90 / 32, rel=0.02)
    assert implied_focal_mm(framed) == 85


def test_a_pilot_of_one_prompt_takes_the_change_behind_its_first_phrase() -> None:
    assert changed(PROMPT, Change("pose", "looking up"), "sdxl").prompt == (
        "portrait of a woman, looking up, side light from the left, hard light"
    )
    framed = changed(PROMPT, Change("framing", "half-length"), "sdxl").prompt
    assert framed == "half-length portrait photo of a woman, side light from the left, hard light"
    again = changed(PROMPT.but(prompt=framed), Change("framing", "close-up"), "sdxl").prompt
    assert again == "close-up portrait photo of a woman, side light from the left, hard light"
    with pytest.raises(InputError, match="no light template"):
        changed(PROMPT, Change("subject", "a man"), "sdxl")


@pytest.mark.parametrize(("change", "said"), [
    (Change("framing", "wide"), "framing 'wide' is not known; allowed: extreme close-up"),
    (Change("age", "old"), "age 'old' must be whole years"),
    (Change("pose", " "), "pose is empty"),
])  # fmt: skip
def test_a_change_that_cannot_be_said_is_refused(change: Change, said: str) -> None:
    with pytest.raises(InputError, match=said):
        changed(by_light(), change, "sdxl")


def test_an_age_in_the_pilots_own_words_would_contradict_and_is_refused() -> None:
    with pytest.raises(InputError, match="an age of their own"):
        changed(by_light().but(subject="a 30-year-old woman"), Change("age", "75"), "sdxl")


def test_several_wordings_walk_along_one_axis() -> None:
    drafts = [changed(by_light(), Change("framing", shot), "sdxl") for shot in ("half-length", "full length")]
    axis = axis_of(drafts, drafts[0])
    assert axis
    assert axis.fields == ("light.shot", "light.camera_distance_m")
    assert axis_of(drafts[:1], drafts[0]) is None


# ---- What drifts.


def seen(pixels: Pixels, folder: Path) -> Figures:
    """Figures of pixels."""
    path = folder / "seen.png"
    Image.fromarray(pixels).save(path)
    return figures(path)


@functools.cache
def portrait() -> Pixels:
    """A photograph whose eyes are far enough apart for every figure."""
    return np.asarray(cv2.resize(collins(), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


@functools.cache
def of_collins() -> Figures:
    """What is measured in it."""
    with tempfile.TemporaryDirectory() as folder:
        return seen(portrait(), Path(folder))


def smoothed(pixels: Pixels) -> Pixels:
    """Skin without its pores."""
    return np.asarray(cv2.bilateralFilter(np.ascontiguousarray(pixels), 9, 60, 4), np.uint8)


@pytest.mark.parametrize(
    ("made", "drifting"),
    [
        (lambda pixels: pixels[2:, 1:], ()),
        (lambda pixels: lit(pixels, 0.93, 0.93, 0.93), ()),
        (lambda pixels: lit(pixels, 0.55, 0.55, 0.55), ("lightness",)),
        (lambda pixels: lit(pixels, 1.06, 0.98, 0.86), ("colour",)),
        (smoothed, ("texture", "slope")),
    ],
)
def test_a_known_shift_of_light_colour_or_texture_is_flagged_and_no_other(
    made: Callable[[Pixels], Pixels], drifting: tuple[str, ...], tmp_path: Path
) -> None:
    found = drift(of_collins(), seen(made(portrait()), tmp_path), limits([]))
    assert set(found.beyond) == set(drifting), found


def test_what_cannot_be_measured_is_no_drift_and_says_why(tmp_path: Path) -> None:
    nobody = seen(np.full((64, 64, 3), 90, np.uint8), tmp_path)
    assert nobody.lab is None
    assert nobody.why["lab"] == "no face was found"
    assert drift(nobody, nobody, limits([])).beyond == ()


def test_three_takes_give_a_series_limits_of_its_own() -> None:
    takes = [Figures((level, 0.03, 0.04), 2.0, -1.3, 1.0, {}) for level in (0.5, 0.51, 0.52)]
    assert limits(takes).by == LIMITS
    own = limits([*takes, Figures((0.53, 0.03, 0.04), 2.0, -1.3, 1.0, {})])
    assert own.by["lightness"] == pytest.approx(3)
    assert "3 takes" in own.source


def test_the_swatch_has_the_colour_that_was_measured() -> None:
    level, a, b = (float(each) for each in oklab(light_of(np.array([[200, 150, 120]], np.uint8)))[0])
    assert srgb((level, a, b)) == (200, 150, 120)


# ---- The file.


def a_series(**further: Any) -> Series:
    """A series of a light."""
    pilot = Pilot(key="0" * 16, content="1" * 64, run="/runs/a")
    return Series(name="kitchen", made="2026-01-01", base=by_light(), pilot=pilot, **further)


def a_member(number: int, **further: Any) -> Member:
    """A member of it."""
    return Member.read({"changed": "seed", "seed": number, "key": f"{number:016x}", "run": "/runs/b"} | further)


def test_a_series_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "kitchen"
    written = a_series(members=(a_member(1), a_member(2, changed="pose", said='looking "up"', note="n")))
    written.keep(folder)
    assert Series.open(folder) == written
    assert '"light.direction" = "left-60"' in (folder / "series.toml").read_text()


def test_members_are_added_under_a_lock_and_never_twice(tmp_path: Path) -> None:
    folder = tmp_path / "kitchen"
    a_series().keep(folder)
    add_members(folder, [a_member(1), a_member(2)])
    repaired = a_member(2, key="f" * 16)
    assert [each.key[-1] for each in add_members(folder, [repaired, a_member(3)]).members] == ["1", "f", "3"]
    with held(folder), pytest.raises(BusyError, match="the series kitchen is held"):
        add_members(folder, [a_member(4)])
    assert len(Series.open(folder).members) == 3


@pytest.mark.parametrize("text", ["", "name = ", "name = 'x'\n[frozen]\ncheckpoint = 3\nfoo = 1", "frozen = 3"])
def test_a_damaged_file_is_one_line_with_its_path(text: str, tmp_path: Path) -> None:
    (tmp_path / "series.toml").write_text(text)
    with pytest.raises(InputError, match=r"series\.toml"):
        Series.open(tmp_path)


def test_a_series_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    a_series().keep(tmp_path / "kitchen")
    with pytest.raises(InputError, match=r"garden is no series.*there are kitchen"):
        Series.open(tmp_path / "garden")


# ---- The commands, with an engine that shows a photograph, redder or smoother where the words say so.


class Photographer:
    """An engine whose every picture is one photograph."""

    def __init__(self, _: object, numerics: Any, __: object) -> None:
        self.numerics = numerics

    def run(self, lanes: Sequence[Sequence[Recipe]]) -> Iterator[Event]:
        """One picture after the other."""
        for recipe in (recipe for lane in lanes for recipe in lane):
            pixels = lit(portrait(), 1.06, 0.98, 0.86) if "sunburnt" in recipe.prompt else portrait()
            pixels = cv2.resize(pixels, (recipe.width, recipe.height), interpolation=cv2.INTER_AREA)
            yield Made(recipe.key, (pixels / 255).astype(np.float32), 999.0, 14.6, 3, self.numerics, 0, 0.0)


class Studio:
    """The command line over folders of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.series, self.runs = folder, folder / "series", folder / "runs"

    def __call__(self, *words: object, code: int = 0) -> Any:
        """Run `sidelight series`; its exit code must be `code`, a SidelightError is raised."""
        where = ["--series", str(self.series)]
        runs = ["--runs", str(self.runs)] if words[0] in ("add", "ages") else []
        return self.plain("series", *words, *where, *runs, code=code)

    def plain(self, *words: object, code: int = 0) -> Any:
        """Run `sidelight`."""
        ended = CliRunner().invoke(app, [str(word) for word in words])
        if ended.exception and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        assert ended.exit_code == code, ended.output
        return ended

    def pilot(self) -> Path:
        """A picture made with a light."""
        return next(self.runs.glob("*-pilot/pictures/*.png"))

    def opened(self, name: str) -> Series:
        """The series as it is on the disk."""
        return Series.open(self.series / name)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with the pilot's run, made once."""
    folder = tmp_path_factory.mktemp("shot")
    words = ["--checkpoint", "demo-sdxl", "--light", "window", "--subject", "a woman", "--width", SIDE]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "open_engine", Photographer)
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            patch.setenv(name, str(folder / name))
        where = ["--name", "pilot", "--runs", folder / "runs", "-q"]
        Studio(folder).plain("sweep", "run", *words, "--height", SIDE, "--seed", "3", *where)
    return folder / "runs"


@pytest.fixture
def studio(shot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """Folders with a pilot, and no series yet; nobody's list of models."""
    monkeypatch.setattr(engines, "open_engine", Photographer)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    shutil.copytree(shot, tmp_path / "runs")
    return Studio(tmp_path)


def test_a_series_inherits_all_but_one_thing_and_check_flags_the_one_that_drifts(studio: Studio) -> None:
    pilot = studio.pilot()
    told = studio("new", pilot, "--name", "kitchen").output
    assert "light window" in told
    assert "direction left-60" in told

    studio("add", "kitchen", "--pose", "looking up", "--pose", "sunburnt", "-q")
    studio("add", "kitchen", "--framing", "half-length", "-q")
    studio("add", "kitchen", "--framing", "half-length", "-q")  # again: nothing is made twice
    series = studio.opened("kitchen")
    assert [each.title for each in series.members] == ["pose: looking up", "pose: sunburnt", "framing: half-length"]

    first = Store(pilot.parent.parent).sidecar(pilot.stem).recipe
    for member in series.members:
        recipe = Store(Path(member.run)).sidecar(member.key).recipe
        assert recipe.but(prompt=first.prompt) == first
        assert recipe.prompt != first.prompt

    checked = json.loads(studio("check", "kitchen", "--json").output)
    assert [each["drifts"] for each in checked["pictures"]] == [[], [], ["colour"], []]
    with Image.open(studio.series / "kitchen" / "control.png") as grid:
        assert grid.size[0] > 4 * 256

    shutil.rmtree(series.members[2].run)
    series.members[0].path.unlink()
    shown = studio("check", "kitchen").output
    assert shown.count("drifts: skin") == 1
    assert shown.count("the picture is not there") == 2
    assert "3 pictures" in studio("list").output


def test_a_dry_run_and_a_refusal_write_nothing(studio: Studio) -> None:
    pilot = studio.pilot()
    studio("new", pilot, "--name", "kitchen")
    before = (studio.series / "kitchen" / "series.toml").read_bytes()
    assert "1 cell" in studio("add", "kitchen", "--action", "pouring tea", "--dry-run").output
    with pytest.raises(InputError, match="guidance is frozen"):
        studio("add", "kitchen", "--pose", "looking up", "--guidance", "3")
    assert (studio.series / "kitchen" / "series.toml").read_bytes() == before
    assert len(list(studio.runs.iterdir())) == 1
    with pytest.raises(InputError, match="kitchen is there already"):
        studio("new", pilot, "--name", "kitchen")


def test_a_series_whose_checkpoint_or_words_changed_since_is_refused(studio: Studio) -> None:
    studio("new", studio.pilot(), "--name", "kitchen")
    path = studio.series / "kitchen" / "series.toml"
    path.write_text(path.read_text().replace("guidance = 2", "guidance = 3"))
    with pytest.raises(InputError, match=r"guidance would be 3\.0, in the pilot it was 2\.0"):
        studio("add", "kitchen", "--pose", "looking up")


def test_ages_change_words_and_reference_together_by_a_second_pass_where_no_adapter_is(studio: Studio) -> None:
    old = studio.folder / "old.png"
    Image.fromarray(hopper()).save(old)
    studio("new", studio.pilot(), "--name", "kitchen")
    told = studio("ages", "kitchen", "--age", "25,75", "--reference", f"75={old}").output
    assert "second pass" in told
    assert "age 25: words alone" in told

    young, aged = studio.opened("kitchen").members
    recipe = Store(Path(young.run)).sidecar(young.key).recipe
    assert "age 25" in recipe.prompt
    assert not recipe.references
    recipe = Store(Path(aged.run)).sidecar(aged.key).recipe
    assert [(each.image, each.mechanism) for each in recipe.references] == [(aged.reference, "bands")]
    words = Store(studio.series / "kitchen").input(aged.reference)
    assert words.pixels.shape[:2] == (300, 256)
    assert "old.png" in aged.note
    with pytest.raises(InputError, match="for no bracket"):
        studio("ages", "kitchen", "--age", "25", "--reference", f"75={old}")


def test_a_picture_without_a_recipe_or_begun_from_another_is_no_pilot(studio: Studio) -> None:
    photo = studio.folder / "photo.png"
    Image.fromarray(collins()).save(photo)
    with pytest.raises(InputError, match="says nothing of how it was made"):
        studio("new", photo)
    words = ["--checkpoint", "demo-sdxl", "--prompt", "a face", "--start", photo, "--strength", "0.5"]
    studio.plain("sweep", "run", *words, "--name", "again", "--runs", studio.runs, "-q")
    again = next(studio.runs.glob("*-again/pictures/*.png"))
    with pytest.raises(InputError, match="began from another picture"):
        studio("new", again)
    assert not studio.series.exists()
