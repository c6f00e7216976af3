"""Advice on real files, and its jobs: what is read of a picture, and that what is printed or prepared really runs."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient
from typer.testing import CliRunner

from pipelines.checkpoint import find
from pipelines.errors import InputError
from pipelines.events import Event, Made
from pipelines.raster import open_raster
from pipelines.recipe import Recipe
from pipelines.store import Store
from sweeps import engines, marks, measure
from sweeps.marks import Mark
from sweeps.prepare import prepare
from sweeps.run import run
from sweeps.sweep import Sweep, from_flags, parse_toml, to_toml
from tests.advice_page import opened
from tests.bare_page import FAULTS
from tests.foreign_samples import A1111_OLD
from tests.photographs import collins, hopper, side_by_side
from workbench import advice_jobs, notes
from workbench.advice import Advice, Step, first
from workbench.advice_facts import Facts
from workbench.advice_seen import advised, facts_of
from workbench.advise_command import advise
from workbench.notes_data import Note, Pair, Window
from workbench.queue import Queue
from workbench.web import advice_fill, advice_routes, face_routes
from workbench.web import brief as meaning
from workbench.web import offer as offering
from workbench.web.brief import NAMES, Brief
from workbench.web.routes import api
from workbench.web.site import Site

Pixels = NDArray[np.uint8]
SIDE = 256
NAME = "2026-01-02-plastic"
LIT = {"light": ["window"], "subject": ["a woman with freckles"], "light.fill_stops": ["1"]}
GIVEN = {"checkpoint": ["demo-sdxl"], "seed": ["7,8"], "steps": ["20"], "guidance": ["9"], **LIT}


def enlarged(pixels: Pixels, times: float = 2.2) -> Pixels:
    return np.asarray(cv2.resize(pixels, None, fx=times, fy=times, interpolation=cv2.INTER_LANCZOS4), np.uint8)


def smoothed(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.bilateralFilter(pixels, 15, 60, 8), np.uint8)


def saved(folder: Path, pixels: Pixels, name: str, text: str = "") -> Path:
    said = PngInfo()
    if text:
        said.add_text("parameters", text)
    Image.fromarray(pixels).save(folder / name, **({"pnginfo": said} if name.endswith("png") else {}))
    return folder / name


def the(file: Path) -> tuple[Facts, Step]:
    return chosen(advised(file))


def chosen(told: tuple[Facts, Note | None, Advice]) -> tuple[Facts, Step]:
    facts, _, advice = told
    step = first(advice)
    assert step, [each.problem for each in advice]
    return facts, step


class Painter:
    """An engine that paints one portrait, smoothed until no pore is left, whatever is asked for."""

    def __init__(self, _: object, numerics: Any, __: object) -> None:
        self.numerics = numerics

    def run(self, lanes: Sequence[Sequence[Recipe]]) -> Iterator[Event]:
        """One picture after the other."""
        face = smoothed(enlarged(collins()[20:220, 20:220], SIDE / 200))
        for recipe in (recipe for lane in lanes for recipe in lane):
            pixels = cv2.resize(face, (recipe.width, recipe.height)).astype(np.float32) / 255
            yield Made(recipe.key, pixels, 999.0, 14.6, 3, self.numerics, 0, 0.0)


def painted(sweep: Sweep, folder: Path) -> tuple[str, ...]:
    """Keys of the pictures of a sweep, painted."""
    list(run(prepare(sweep, folder, asked={"lanes": 1}), open_engine=Painter))
    return Store(folder).keys()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs, with one of two plastic pictures."""
    runs = tmp_path_factory.mktemp("runs")
    painted(from_flags("plastic", GIVEN), runs / NAME)
    return runs


@pytest.fixture
def picture(runs: Path) -> Path:
    """Its picture of seed 7."""
    store = Store(runs / NAME)
    keys = store.keys()
    return store.path(next(key for key in keys if store.sidecar(key).recipe.seed == 7))


@pytest.fixture(scope="module")
def told(runs: Path) -> tuple[Facts, Note | None, Advice]:
    """What is advised of it, looked at once."""
    store = Store(runs / NAME)
    return advised(store.path(next(key for key in store.keys() if store.sidecar(key).recipe.seed == 7)))  # noqa: SIM118  # a Store is no dict


@pytest.fixture
def note() -> Iterator[Note]:
    """A note of demo-sdxl that lies where the commands look."""
    note = Note(checkpoint="demo-sdxl", family="sdxl", digest="0" * 64, window=Window(low=2, high=5),
                pairs=(Pair(steps=20, guidance=4),), plateau=20)  # fmt: skip
    yield notes.put(note)
    notes.path_of("demo-sdxl").unlink()


# ---- what is read of real files


def test_smoothed_skin_is_found_in_a_photograph_and_repaired(tmp_path: Path) -> None:
    facts, step = the(saved(tmp_path, smoothed(enlarged(collins())), "smooth.png"))
    assert facts.draft is None
    assert "no texture" in facts.faults
    assert step.remedy == "inpaint"


def test_a_photograph_as_it_is_has_texture(tmp_path: Path) -> None:
    assert "no texture" not in facts_of(saved(tmp_path, enlarged(collins()), "plain.png")).faults


def test_frontal_light_of_a_jpeg_without_text_is_said_and_not_repaired(tmp_path: Path) -> None:
    facts, _, advice = advised(saved(tmp_path, enlarged(hopper()), "frontal.jpg"))
    assert "flat light" in facts.faults
    flat = next(step for step in advice if "flat or frontal" in step.problem)
    assert flat.remedy == "nothing"
    assert {"side_ev", "shading"} == {name for name, _ in flat.rests_on}


def test_noise_over_smoothed_skin_is_not_taken_for_pores(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 14, (*smoothed(enlarged(collins())).shape,))
    noisy = np.clip(smoothed(enlarged(collins())) + noise, 0, 255).astype(np.uint8)
    facts, step = the(saved(tmp_path, noisy, "noise.png"))
    assert "noise" in facts.faults
    assert step.remedy == "finish"
    assert step.job
    assert step.job.command[:3] == ("sidelight", "reference", "restore")


def test_a_face_too_small_and_none_at_all(tmp_path: Path) -> None:
    small = saved(tmp_path, enlarged(collins(), 0.6), "small.png")
    assert facts_of(small).faults == ("small",)
    blank = saved(tmp_path, np.full((200, 150, 3), 120, np.uint8), "blank.png")
    facts, _, advice = advised(blank)
    assert facts.faults == ("no face",)
    assert first(advice) is None


def test_of_two_faces_only_the_smoothed_one_is_repaired(tmp_path: Path) -> None:
    both = enlarged(side_by_side())
    both[:, : both.shape[1] // 2] = smoothed(np.ascontiguousarray(both[:, : both.shape[1] // 2]))
    facts, step = the(saved(tmp_path, both, "two.png"))
    assert [("no texture" in face.faults) for face in facts.faces] == [True, False]
    assert step.job
    assert step.job.masks == ("face1.skin; feather 0.06",)


def test_another_tools_words_are_mended_first(tmp_path: Path) -> None:
    text = A1111_OLD.replace("photo of a woman", "masterpiece, photo of a woman, airbrushed")
    facts, step = the(saved(tmp_path, smoothed(enlarged(collins())), "a1111.png", text))
    assert (facts.tool, facts.began, facts.family) == ("A1111", "noise", "sdxl")
    assert step.remedy == "wording"
    assert step.job
    sweep = advice_jobs.sweep_of(step.job, facts)
    assert "airbrushed" not in sweep.base.prompt
    assert (sweep.base.seed, sweep.base.guidance, sweep.base.checkpoint) == (2179987202, 6.5, "sdxl-base")


def test_another_tools_unknown_checkpoint_is_said(tmp_path: Path) -> None:
    text = A1111_OLD.replace("sd_xl_base_1.0", "someMix_v7").replace("31e35c80fc", "ffffffffff")
    facts, step = the(saved(tmp_path, smoothed(enlarged(collins())), "other.png", text))
    assert "someMix" in facts.unsaid
    assert step.remedy == "inpaint"
    assert step.job
    assert "NAME" in step.job.command


def test_a_picture_of_a_run_brings_its_light_mark_and_siblings(told: tuple[Facts, Note | None, Advice]) -> None:
    facts, _, _ = told
    assert facts.light
    assert (facts.light.name, facts.light.fill_stops) == ("window", 1)
    assert facts.run
    assert facts.run.varied == ("seed",)
    assert facts.usual
    assert not facts.kept_for


# ---- jobs


def test_a_search_that_is_prepared_makes_these_recipes(
    picture: Path, told: tuple[Facts, Note | None, Advice], tmp_path: Path
) -> None:
    facts, step = chosen(told)
    assert step.job
    sweep = advice_jobs.sweep_of(step.job, facts)
    assert parse_toml(to_toml(sweep)) == sweep
    own = Store(picture.parent.parent).sidecar(picture.stem).recipe
    made = [Store(tmp_path / "run").sidecar(key).recipe for key in painted(sweep, tmp_path / "run")]
    assert sorted({recipe.guidance for recipe in made}) == [1, 1.5, 2, 3, 4]
    assert {recipe.seed for recipe in made} == {7, 8, 9}
    assert {recipe.prompt for recipe in made} == {own.prompt}


def test_the_printed_command_means_the_prepared_sweep(told: tuple[Facts, Note | None, Advice], tmp_path: Path) -> None:
    from workbench.cli import app

    facts, _, advice = told
    for step in advice:
        if not (step.job and step.job.makes):
            continue
        words = [*step.job.command[1:], "--dry-run", "--json", "--out", str(tmp_path / "planned")]
        planned = json.loads(CliRunner().invoke(app, words).stdout.splitlines()[0])
        sweep = advice_jobs.sweep_of(step.job, facts)
        assert planned["cells"] == len(prepare(sweep, tmp_path / "here", asked={}).keys)


def test_a_new_light_keeps_the_seed_and_takes_the_person_along(picture: Path, tmp_path: Path) -> None:
    marks.append(picture.parent.parent, Mark(key=picture.stem, faults=("light",)))
    try:
        facts, step = the(picture)
        assert step.job
        sweep = advice_jobs.sweep_of(step.job, facts)
        store = Store(tmp_path / "run")
        made = [store.sidecar(key) for key in painted(sweep, store.path("x").parent.parent)]
        assert {each.facts.light and each.facts.light.name for each in made} == {"rembrandt", "raking"}
        assert all("a woman with freckles" in each.recipe.prompt and each.recipe.seed == 7 for each in made)
    finally:
        marks.append(picture.parent.parent, Mark(key=picture.stem, faults=()))


def command_of(*words: object, code: int = 0) -> str:
    """What `sidelight advise` prints; a SidelightError is raised."""
    app = typer.Typer()
    app.command()(advise)
    ended = CliRunner().invoke(app, list(map(str, words)))
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    assert ended.exit_code == code, ended.output
    return ended.stdout


def test_do_runs_the_guidance_of_the_note(
    picture: Path, note: Note, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "open_engine", Painter)
    told = command_of(picture, "--do", "--runs", tmp_path)
    assert f"guidance window: 2 to 5, note of {note.checkpoint}" in told
    (folder,) = tmp_path.iterdir()
    (key,) = Store(folder).keys()
    own = Store(picture.parent.parent).sidecar(picture.stem).recipe
    assert Store(folder).sidecar(key).recipe == own.but(guidance=4)


def test_do_repairs_the_skin_of_a_picked_picture(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "open_engine", Painter)
    marks.append(picture.parent.parent, Mark(key=picture.stem, pick="pick"))
    try:
        assert "> inpaint" in command_of(picture, "--do", "--runs", tmp_path)
    finally:
        marks.append(picture.parent.parent, Mark(key=picture.stem, pick="none"))
    (folder,) = tmp_path.iterdir()
    sidecars = [Store(folder).sidecar(key) for key in Store(folder).keys()]  # noqa: SIM118  # a Store is no dict
    assert {each.recipe.start and each.recipe.start.strength for each in sidecars} == {0.35, 0.4, 0.45, 0.5}
    assert all(each.facts.proof and each.facts.proof.changed_outside == 0 for each in sidecars)
    before, after = (open_raster(each).pixels for each in (picture, Store(folder).path(sidecars[0].key)))
    assert (before != after).any()


def test_do_refuses_what_a_person_must_put_in_first(tmp_path: Path) -> None:
    file = saved(tmp_path, smoothed(enlarged(collins())), "smooth.png")
    with pytest.raises(InputError, match="needs a checkpoint"):
        command_of(file, "--do")
    with pytest.raises(InputError, match="nothing to do"):
        command_of(saved(tmp_path, np.full((99, 99, 3), 9, np.uint8), "blank.png"), "--do")
    with pytest.raises(InputError, match="--queue is given without --do"):
        command_of(file, "--queue")


def test_json_and_text_say_the_same_steps(picture: Path) -> None:
    told = json.loads(command_of(picture, "--json"))
    text = " ".join(command_of(picture, "--all").split())
    assert told["steps"][told["first"]]["called"] == "generate again"
    for step in told["steps"]:
        assert step["problem"] in text
        assert all(f"{name}: {value}" in text for name, value in step["rests_on"])
    assert "--all shows them" in command_of(picture)


# ---- the page


@pytest.fixture
def desk(runs: Path, tmp_path: Path) -> TestClient:
    site = Site(runs, Queue(tmp_path / "queue.sqlite"), start_worker=lambda _: None)
    return TestClient(api(runs, more=[*advice_routes.routes(site), *face_routes.routes(site)]))


def test_the_page_is_told_the_steps_and_queues_one(desk: TestClient, picture: Path, runs: Path) -> None:
    path = f"/api/advice/runs/{NAME}/{picture.stem}"
    told = desk.get(path).json()
    job = told["steps"][told["first"]]["job"]
    assert (job["cells"], job["tab"]) == (15, "sweep")
    assert len(parse_toml(job["toml"]).axes) == 2
    problem = told["steps"][told["first"]]["problem"]
    other = desk.post(path, json={"step": told["first"], "problem": "something else"})
    assert (other.status_code, "another by now" in other.json()["error"]) == (422, True)
    begun = desk.post(path, json={"step": told["first"], "problem": problem}).json()
    assert begun["cells"] == 15
    assert (runs / begun["run"] / "sweep.toml").is_file()


def test_the_page_is_refused_in_one_line(desk: TestClient, picture: Path) -> None:
    path = f"/api/advice/runs/{NAME}/{picture.stem}"
    for body in ({"step": 99}, {"step": True}, {}):
        said = desk.post(path, json=body)
        assert (said.status_code, "step" in said.json()["error"]) == (422, True)
    for path in (f"/api/advice/runs/{NAME}/{'0' * 16}", "/api/advice/runs/none/x", "/api/advice/pictures/../x"):
        assert desk.get(path).status_code == 404


def test_a_picture_of_the_face_tab_is_advised_without_a_command(desk: TestClient, tmp_path: Path) -> None:
    file = saved(tmp_path, smoothed(enlarged(collins())), "smooth.png")
    number = desk.post("/api/face/pictures", content=file.read_bytes()).json()["id"]
    told = desk.get(f"/api/advice/pictures/{number}").json()
    job = told["steps"][told["first"]]["job"]
    assert (job["command"], job["masks"]) == ("", ["face1.skin; feather 0.06"])


def test_the_create_tab_is_filled_with_what_one_picture_asks_for() -> None:
    given = {"checkpoint": ["demo-sdxl"], "seed": ["7"], "guidance": ["4"], **LIT}
    for asked in (given, {"checkpoint": ["demo-sdxl"], "prompt": ["a face"], "negative": ["blur"], "steps": ["9"]}):
        sweep = from_flags("one", asked)
        fields = advice_fill.changes(to_toml(sweep))
        brief = Brief(**{name: fields[name] for name in NAMES if name in fields})
        assert meaning.sweep(brief, offering.of("demo-sdxl", find)).base == sweep.base
    with pytest.raises(InputError, match="several pictures"):
        advice_fill.changes(to_toml(from_flags("two", {**given, "seed": ["7,8"]})))


@pytest.mark.browser
def test_the_panel_shows_the_advice_its_buttons_do_it_and_a_refusal_is_said(
    browser: Any, desk: TestClient, picture: Path
) -> None:
    tab, complaints = opened(browser, desk)
    open_it = f"SidelightAdvice.open({{run: '{NAME}', key: '{picture.stem}'}})"
    tab.evaluate(open_it)
    chosen = tab.locator(".sl-advised.sl-first")
    chosen.wait_for()
    assert "no texture is resolved" in chosen.inner_text().lower()
    assert "slope" in chosen.locator("dt").all_inner_texts()
    assert tab.locator("details.sl-later").get_attribute("open") is None
    assert tab.evaluate(FAULTS) == [], "neutral greys, and every text with enough contrast"
    chosen.get_by_role("button", name="Open in Sweep").click()
    tab.locator("dialog").wait_for(state="hidden")
    (_, target, handed), *_ = tab.evaluate("heard")
    assert target == "sweep"
    assert parse_toml(handed["toml"]).base.seed == 7
    tab.evaluate(open_it)
    tab.locator("details.sl-later summary").click()
    tab.get_by_role("button", name="Open in Face").first.click()
    tab.locator("dialog").wait_for(state="hidden")
    _, target, handed = tab.evaluate("heard.at(-1)")
    assert (target, handed["mask"], handed["key"]) == ("face", "face1.skin; feather 0.06", picture.stem)
    assert handed["values"]["strength"] == "0.35, 0.4, 0.45, 0.5"
    tab.evaluate(open_it)
    tab.get_by_role("button", name="Make these 15 pictures").click()
    tab.wait_for_function("heard.at(-1)[0] === 'say'")
    assert tab.evaluate("heard.at(-1)[1]") == "15 pictures are queued."
    assert complaints == []
    tab.locator("dialog").wait_for(state="hidden")
    tab.evaluate("SidelightAdvice.open({run: 'none', key: '0123456789abcdef'})")
    tab.get_by_role("alert").wait_for()
    assert "holds no whole picture" in tab.get_by_role("alert").inner_text()
    tab.keyboard.press("Escape")
    tab.locator("dialog").wait_for(state="hidden")


def test_the_measures_of_a_run_say_how_common_a_fault_is(runs: Path, picture: Path) -> None:
    assert [each for each in measure.measure_run(runs / NAME, workers=1) if isinstance(each, measure.Done)]
    facts = facts_of(picture)
    assert facts.run
    assert facts.run.measured == 2
    assert facts.run.counts["no texture"] == 2
