"""The Create tab in a browser: a form that survives, makes pictures, and takes over what others say of theirs.

No worker runs: a job waits until the test itself makes it, with a small engine, in a real run folder.
"""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from pipelines.checkpoint import find
from pipelines.draft import settle
from pipelines.images import content_hash, open_image
from sweeps.inputs import Inputs
from sweeps.plan import cells, plan_of
from sweeps.prepare import SWEEP, Prepared, RunNumerics
from sweeps.run import run
from sweeps.sweep import read_toml
from tests import bare_page
from tests.bare_page import FAULTS
from tests.page_server import wait_for
from tests.small import SIDE, numerics, opener
from tests.test_guard import served
from workbench import notes
from workbench.jobs import INTERACTIVE, OVERNIGHT, Job
from workbench.notes import Note, Pair, Window
from workbench.queue import Queue
from workbench.web import brief as meaning
from workbench.web.brief import NAMES
from workbench.web.guard import Door
from workbench.web.serve import app
from workbench.web.site import Site

pytestmark = pytest.mark.browser
FORM = "JSON.parse(localStorage.getItem('sidelight.create') ?? '{}')"
DROP = """([data, name, place]) => {
    const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0)), files = new DataTransfer();
    files.items.add(new File([bytes], name, {type: "image/png"}));
    for (const kind of ["dragover", "drop"]) document.querySelector(place).dispatchEvent(
        new DragEvent(kind, {dataTransfer: files, bubbles: true, cancelable: true}));
}"""
SAID = (
    "a woman by a window, <b>not markup</b>\nNegative prompt: plastic skin\nSteps: 12, Sampler: DPM++ 2M Karras, "
    "CFG scale: 3.5, Seed: 18446744073709551615, Size: 208x312, Model: demo-sdxl, Hires upscale: 2"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("create")
    (folder / "runs").mkdir()
    return Site(folder / "runs", Queue(folder / "queue.sqlite"), start_worker=lambda _: None)


@pytest.fixture(scope="module")
def page(site: Site) -> Iterator[bare_page.Site]:
    with served(app(site, Door())) as port:
        yield bare_page.Site(url=f"http://127.0.0.1:{port}")


@pytest.fixture
def opened(browser: Any, page: bare_page.Site) -> Iterator[Callable[[], Any]]:
    """Opens the page afresh, as a browser that was never here."""
    with bare_page.tabs(browser, page) as open_page:

        def new_tab() -> Any:
            tab = open_page()
            ready(tab)
            return tab

        yield new_tab
    page.refused.clear()


def ready(tab: Any) -> None:
    """Wait until the form is filled, told and kept."""
    tab.wait_for_selector(".sl-head[aria-checked=true]")
    tab.wait_for_selector(".sl-making")
    tab.wait_for_function(f"({FORM}).checkpoint !== undefined")


def form(tab: Any, **wanted: Any) -> dict[str, Any]:
    """The form as it is kept, once these of its values are so."""
    tab.wait_for_function(
        f"(wanted) => Object.entries(wanted).every(([name, value]) => ({FORM})[name] === value)", arg=wanted
    )
    kept: dict[str, Any] = tab.evaluate(FORM)
    assert set(kept) == set(NAMES)
    return kept


def drop(tab: Any, path: Path, place: str) -> None:
    tab.evaluate(DROP, [base64.b64encode(path.read_bytes()).decode(), path.name, place])


def queued(tab: Any, site: Site) -> Job:
    """Press Make and wait for the job."""
    tab.click("#create-make")
    (job,) = wait_for(lambda: site.queue.jobs("waiting"), "no job is queued")
    tab.wait_for_function("document.querySelector('.sl-making-job').checkVisibility()")
    assert job.priority == INTERACTIVE
    return job


def make(site: Site) -> list[str]:
    """Do what a worker does with the job that waits; gives the keys of its pictures."""
    job = site.queue.claim()
    assert job

    sweep = read_toml(job.folder / SWEEP)
    wanted = cells(sweep, lambda draft: settle(draft, find(draft.checkpoint), Inputs()))
    kept = RunNumerics(planned=numerics(), now=numerics())
    checkpoint = find(sweep.base.checkpoint)
    plan = plan_of(wanted, lanes=kept.now.lanes, lane_width=kept.now.lane_width)
    ready = Prepared(job.folder, sweep, wanted, plan, kept, {checkpoint.weights.identity: checkpoint})
    list(run(ready, open_engine=opener([])))
    site.queue.end(job, "done")
    return [cell.recipe.key for cell in wanted.cells]


def shown(tab: Any, key: str) -> None:
    """Wait until the stage shows this picture."""
    tab.wait_for_function(
        "([key, side]) => { const image = document.querySelector('.sl-making-frame > img');"
        " return image.src.includes(key) && image.naturalWidth === side && image.checkVisibility(); }",
        arg=[key, SIDE],
    )


def test_the_demo_sweep_is_one_click_away_from_an_empty_page(opened: Callable[[], Any], site: Site) -> None:
    tab = opened()
    tab.click(".sl-making button:has-text('Start the demo sweep: 24 pictures, about')")
    (job,) = wait_for(lambda: site.queue.jobs("waiting"), "no sweep is queued")
    assert (job.name, job.cells, job.priority) == ("demo", 24, OVERNIGHT)
    tab.wait_for_selector(".sl-cell.sl-waiting")
    site.queue.wish(job.id, "cancel")


def test_the_first_picture_needs_one_key_and_survives_a_reload(opened: Callable[[], Any], site: Site) -> None:
    tab = opened()
    form(tab, light="window", seed="")
    tab.wait_for_function("document.querySelector('.sl-said-text')?.textContent.includes('side light from the left')")
    assert "tokens" in tab.inner_text(".sl-counts")
    tab.focus("#create-who textarea")
    tab.keyboard.press("Control+Enter")
    wait_for(lambda: site.queue.jobs("waiting"), "no job is queued")
    tab.wait_for_function("document.querySelector('.sl-making-job .sl-told').textContent.startsWith('waits')")
    (key,) = make(site)
    shown(tab, key)
    seed = form(tab)["seed"]
    assert seed in tab.inner_text(".sl-making-values")
    tab.reload()
    ready(tab)
    shown(tab, key)
    assert form(tab, seed=seed)["light"] == "window"
    assert tab.input_value("#create-seed input") == seed
    assert tab.evaluate(FAULTS) == []


def test_settings_of_a_picture_make_the_same_picture_and_can_be_undone(
    opened: Callable[[], Any], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = opened()
    tab.click(".sl-head[data-light=split]")
    tab.fill(".sl-light-main input", "right-90")
    tab.fill("#create-steps input", "9")
    form(tab, light="split", light_fields='{"direction": "right-90"}', steps="9")
    queued(tab, site)
    (key,) = make(site)
    shown(tab, key)
    tab.click(".sl-head[data-light='']")
    tab.fill("#create-prompt textarea", "something else")
    before = form(tab, light="", prompt="something else")
    monkeypatch.setattr(meaning, "BURST_SECONDS", 0.0)  # what comes now is a change of its own, however fast it follows
    tab.click("text=Use settings")
    after = form(tab, light="split", keep_seed=True, steps="9")
    assert (after["light_fields"], after["prompt"]) == ('{"direction": "right-90"}', "something else")
    queued(tab, site)
    assert make(site) == [key]
    undo = ".sl-said button:text-is('Undo')"  # offered at once; further steps back are the form's own button's
    while (now := tab.evaluate(FORM)) != before:
        tab.click(undo)
        tab.wait_for_function(f"(now) => JSON.stringify({FORM}) !== now", arg=json.dumps(now, separators=(",", ":")))
        undo = "#create-undo"


def test_a_picture_that_is_gone_gives_nothing_and_says_so(
    opened: Callable[[], Any], site: Site, page: bare_page.Site
) -> None:
    tab = opened()
    job = queued(tab, site)
    page.refused.add(job.folder.name)  # the page may ask for the run while it is away
    (key,) = make(site)
    shown(tab, key)
    job.folder.rename(site.runs.parent / "away")
    tab.click("text=Use settings")
    tab.wait_for_selector(".sl-said:has-text('That picture is gone')")
    assert form(tab)["keep_seed"] is False
    (site.runs.parent / "away").rename(job.folder)


def test_a_picture_of_another_tool_fills_the_form_and_says_what_it_left_out(
    opened: Callable[[], Any], tmp_path: Path
) -> None:
    said = PngImagePlugin.PngInfo()
    said.add_text("parameters", SAID)
    Image.new("RGB", (16, 16)).save(tmp_path / "foreign.png", pnginfo=said)
    tab = opened()
    drop(tab, tmp_path / "foreign.png", ".sl-making")
    kept = form(tab, prompt="a woman by a window, <b>not markup</b>", seed=str(2**64 - 1), light="", steps="12")
    assert (kept["negative"], kept["guidance"], kept["width"]) == ("plastic skin", "3.5", "208")
    assert kept["scheduler"].startswith("dpmpp-2m-karras")
    assert "a Recipe makes one pass" in tab.evaluate("document.querySelector('.sl-read').textContent")
    Image.new("RGB", (16, 16)).save(tmp_path / "silent.png")
    drop(tab, tmp_path / "silent.png", ".sl-making")
    tab.wait_for_function("document.querySelector('.sl-read').textContent.includes('silent.png says nothing')")
    assert form(tab, seed=str(2**64 - 1))["steps"] == "12"


def test_a_dropped_start_image_is_begun_from_and_cleared(opened: Callable[[], Any], site: Site, tmp_path: Path) -> None:
    Image.effect_noise((256, 256), 64).convert("RGB").save(tmp_path / "start.png")
    tab = opened()
    drop(tab, tmp_path / "start.png", ".sl-zone")
    tab.wait_for_function("document.querySelector('.sl-start-told').textContent.startsWith('256')")
    job = queued(tab, site)
    assert (job.folder / "inputs" / f"{content_hash(open_image(tmp_path / 'start.png'))}.png").is_file()
    make(site)
    tab.click(".sl-zone button:text-is('Clear')")
    form(tab, start="")
    (tmp_path / "none.png").write_bytes(b"no picture")
    drop(tab, tmp_path / "none.png", ".sl-zone")
    tab.wait_for_function("document.querySelector('.sl-zone').classList.contains('sl-fault')")
    assert form(tab)["start"] == ""


def test_what_cannot_be_is_said_in_one_line_and_queues_nothing(opened: Callable[[], Any], site: Site) -> None:
    tab = opened()
    jobs = len(site.queue.jobs())
    tab.fill("#create-steps input", "many")
    tab.wait_for_selector("#create-steps input[aria-invalid=true]")
    assert "steps 'many' is no number; write one" in tab.inner_text(".sl-make-foot")
    tab.fill("#create-steps input", "")
    tab.wait_for_function("!document.querySelector('[aria-invalid=true]')")
    tab.fill("#create-guidance input", "4,5")
    tab.wait_for_function("document.querySelector('.sl-make-foot').textContent.includes('means 2 values')")
    tab.click("#create-make")
    tab.wait_for_function("document.querySelector('.sl-one-line.sl-fault[role=alert]')")
    tab.fill("#create-guidance input", "4.5")
    tab.wait_for_function("!document.querySelector('.sl-make-foot').textContent.includes('means 2 values')")
    assert len(site.queue.jobs()) == jobs


def test_another_checkpoint_shows_its_own_fields(opened: Callable[[], Any]) -> None:
    tab = opened()
    tab.click("text=Advanced")
    tab.wait_for_selector("#create-clip-skip", state="visible")
    tab.wait_for_selector("#create-true-guidance", state="hidden")
    tab.click("#create-checkpoint input")
    tab.click("[role=option]:has-text('demo-flux')")
    tab.wait_for_selector("#create-true-guidance", state="visible")
    tab.wait_for_selector("#create-clip-skip", state="hidden")
    tab.wait_for_selector("#create-negative", state="hidden")
    tab.fill("#create-true-guidance input", "2")
    tab.wait_for_selector("#create-negative", state="visible")
    tab.click("#create-ratio input")
    tab.click("[role=option]:has-text('2:3')")
    assert form(tab, width="208")["height"] == "304"


def test_several_pictures_count_the_seed_up_in_one_run(opened: Callable[[], Any], site: Site) -> None:
    tab = opened()
    tab.fill("#create-seed input", "18446744073709551613")
    tab.click("#create-pictures input")
    tab.click("#create-pictures [role=option]:has-text('3'), [role=option]:text-is('3')")
    form(tab, pictures=3, keep_seed=True)
    job = queued(tab, site)
    seeds = [axis.values for axis in read_toml(job.folder / SWEEP).axes]
    assert seeds == [tuple((2**64 - 3 + at,) for at in range(3))]
    assert len(make(site)) == 3


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Notes of both demo checkpoints."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    digest = find("demo-sdxl").weights.digest
    pair = Pair(steps=24, guidance=3.5, scheduler="ddim")
    own = Note(checkpoint="demo-sdxl", family="sdxl", digest=digest, pairs=(pair,), forbid=("plastic skin",))
    notes.put(own.but(window=Window(low=3, high=6)))
    other = Note(checkpoint="demo-flux", family="flux", digest="0" * 64, pairs=(Pair(guidance=2.5),), plateau=12)
    notes.put(other)


def choose(tab: Any, name: str) -> None:
    tab.click("#create-checkpoint input")
    tab.click(f"[role=option]:has-text('{name}')")


def said_of_note(tab: Any, text: str) -> str:
    """What stands under the checkpoint, once it says this."""
    line = tab.locator("#create-note .sl-one-line", has_text=text)
    line.wait_for()
    return str(line.inner_text())


def test_the_first_form_starts_from_the_note_and_what_a_browser_kept_stays(
    noted: None, opened: Callable[[], Any]
) -> None:
    tab = opened()
    first = form(tab, steps="24", guidance="3.5", scheduler="ddim")
    assert "plastic skin" in json.loads(first["light_fields"])["forbidden"]
    line = said_of_note(tab, "24 steps, guidance 3.5, ddim, forbidden plastic skin")
    note = notes.read("demo-sdxl")
    assert note
    assert line.startswith(f"from the note of {note.day}: ")
    assert "demo" not in line
    tab.fill("#create-steps input", "30")
    tab.fill("#create-guidance input", "")
    form(tab, steps="30", guidance="")
    assert "your steps 30 stay; not taken: guidance 3.5" in said_of_note(tab, "your steps 30")
    tab.reload()
    ready(tab)
    said_of_note(tab, "your steps 30 stay")
    form(tab, steps="30", guidance="", scheduler="ddim")
    assert tab.evaluate(FAULTS) == []


def test_another_checkpoint_brings_its_own_note_and_undo_takes_it_back(noted: None, opened: Callable[[], Any]) -> None:
    tab = opened()
    form(tab, steps="24", guidance="3.5", scheduler="ddim")
    tab.fill("#create-guidance input", "5")
    form(tab, guidance="5")
    choose(tab, "demo-flux")
    form(tab, checkpoint="demo-flux", steps="12", guidance="5", scheduler="", light_fields="")
    line = said_of_note(tab, "12 steps; your guidance 5 stays")
    assert "other weights" in line
    tab.click("#create-undo")
    tab.wait_for_function(f"({FORM}).steps !== '12'")
    if tab.evaluate(FORM)["checkpoint"] == "demo-flux":  # slower than one burst: the choice is a change of its own
        tab.click("#create-undo")
    form(tab, checkpoint="demo-sdxl", steps="24", scheduler="ddim")


def test_a_picture_s_settings_are_not_those_of_a_note(noted: None, opened: Callable[[], Any], tmp_path: Path) -> None:
    tab = opened()
    form(tab, steps="24")
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", SAID.replace("Steps: 12", "Steps: 24"))
    Image.new("RGB", (208, 312)).save(tmp_path / "said.png", pnginfo=info)
    drop(tab, tmp_path / "said.png", ".sl-making")
    form(tab, seed="18446744073709551615", steps="24")
    choose(tab, "demo-flux")
    said_of_note(tab, "your steps 24")
    assert form(tab, checkpoint="demo-flux")["steps"] == "24"


def test_the_note_is_a_click_away_and_gives_a_sweep_its_examples(noted: None, opened: Callable[[], Any]) -> None:
    tab = opened()
    said_of_note(tab, "24 steps")
    tab.click("#create-note button")
    tab.locator(".sl-notebook h2", has_text="demo-sdxl").wait_for()
    tab.get_by_role("option", name="demo-flux").click()
    tab.get_by_role("button", name="Use in Create").click()
    form(tab, checkpoint="demo-flux", steps="12", guidance="2.5")
    choose(tab, "demo-sdxl")
    form(tab, checkpoint="demo-sdxl", guidance="3.5")
    tab.get_by_role("tab", name="Sweep").click()
    tab.wait_for_selector("textarea[placeholder='3..6:0.5, by the note']")
    tab.locator(".sl-sweep-left .sl-one-line", has_text="from the note of").wait_for()
