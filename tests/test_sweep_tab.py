"""The Sweep tab on a page: put together, started, filled while one looks, steered; a reload loses nothing."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from sweeps import marks
from sweeps.plan import plan_of
from sweeps.prepare import SWEEP, Prepared, RunNumerics, ask
from sweeps.run import run
from sweeps.sweep import read_toml
from tests.bare_page import FAULTS, MARKUP, press
from tests.page_server import wait_for
from tests.small import SmallEngine, numerics
from tests.test_guard import served
from workbench.jobs import OVERNIGHT, Job
from workbench.queue import Queue
from workbench.web import live_routes, measures_routes, places_routes, queue_routes
from workbench.web.guard import Guard
from workbench.web.routes import api
from workbench.web.site import Site
from workbench.web.tabs import sweep as tab_sweep

pytestmark = pytest.mark.browser
ASSETS = Path(queue_routes.__file__).parent
STYLES = ("tokens", "grid", "outlook")
HEAD = "".join(f'<link rel="stylesheet" href="/assets/components/{name}.css">' for name in STYLES)
HEAD += "<style>.gradio-container main { max-width: none; padding: 0 } #sweep { height: 760px }</style>"
HEAD += '<script type="module" src="/assets/page/page.js"></script>'


@dataclass(frozen=True)
class Form:
    """Stands for the Create tab: two fields."""

    inputs: tuple[Any, ...]

    def given(self, *values: Any) -> dict[str, list[str]]:
        """What stands in it, as flags."""
        prompt, seed = values
        return {"checkpoint": ["demo-sdxl"], "prompt": [prompt], "seed": [seed], "steps": ["4"]}

    def noted(self, *_: Any) -> dict[str, Any]:
        """No note gave it anything."""
        return {}


@dataclass
class Desk:
    """The page over a queue whose worker is the test."""

    queue: Queue
    runs: Path
    starts: list[int] = field(default_factory=list)
    url: str = ""

    @property
    def folder(self) -> Path:
        """Of the only run."""
        (folder,) = self.runs.iterdir()
        return folder

    def work(self, *, bad: Callable[[str], bool] = lambda _: False) -> Job:
        """Make all of the next job's pictures without weights; those that are bad fail."""
        job = self.queue.claim(1)
        assert job is not None
        asked = ask(read_toml(job.folder / SWEEP))
        kept = numerics()
        plan = plan_of(asked.cells, lanes=kept.lanes, lane_width=kept.lane_width)
        both = RunNumerics(planned=kept, now=kept)
        ready = Prepared(job.folder, read_toml(job.folder / SWEEP), asked.cells, plan, both, asked.checkpoints)
        failing = frozenset(filter(bad, ready.keys))
        for _ in run(ready, open_engine=lambda _, kept, __: SmallEngine(kept, bad=failing)):
            pass
        self.queue.tell(job, done=len(ready.keys) - len(failing), failed=len(failing), seconds_left=None)
        return self.queue.end(job, "done")


def app(site: Site) -> Any:
    """The tab beside a small form, on Gradio, over our routes."""
    gr = pytest.importorskip("gradio", reason="gradio is not installed")
    with gr.Blocks(analytics_enabled=False) as blocks, gr.Tabs():
        with gr.Tab("Create", id="create", elem_id="tab-create"):
            inputs = (gr.Textbox("a portrait, side light", label="Prompt"), gr.Textbox("7", label="Seed"))
        with gr.Tab("Sweep", id="sweep", elem_id="tab-sweep"):
            tab_sweep.build(site, Form(inputs))
    parts: list[BaseRoute] = [
        *queue_routes.routes(site),
        *live_routes.routes(site),
        *places_routes.routes(site),
        *measures_routes.routes(site),
        *(Mount(f"/assets/{name}", StaticFiles(directory=ASSETS / name)) for name in ("components", "page")),
    ]
    routed = api(site.runs, lookup=site.lookup, more=parts)
    gr.mount_gradio_app(routed, blocks.queue(), path="/", ssr_mode=False, run_history=False, head=HEAD)
    return Guard(routed)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "runs").mkdir()
    desk = Desk(Queue(tmp_path / "queue.sqlite"), tmp_path / "runs")
    site = Site(desk.runs, desk.queue, start_worker=lambda _: desk.starts.append(threading.get_ident()))
    with served(app(site)) as port:
        desk.url = f"http://127.0.0.1:{port}/"
        yield desk


@pytest.fixture
def tab(desk: Desk, browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(90_000)
    tab = context.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto(desk.url)
    shown(tab)
    yield tab
    context.close()
    assert faults == []


def shown(tab: Any) -> None:
    """Opens the tab, and waits until Python has said what the builder means."""
    tab.get_by_role("tab", name="Sweep").click()
    tab.locator(".sl-base span").first.wait_for()


def rows(tab: Any) -> Any:
    return tab.get_by_role("textbox", name="Values")


def figures(tab: Any, text: str) -> None:
    tab.locator(".sl-figures", has_text=text).wait_for()


def test_a_sweep_is_put_together_started_and_watched(tab: Any, desk: Desk) -> None:
    rows(tab).nth(0).fill("2,3,4")
    rows(tab).nth(1).fill("2..x")
    tab.locator(".sl-understood.sl-problem", has_text="steps '2..x': is no number or range").wait_for()
    assert rows(tab).nth(1).get_attribute("aria-invalid") == "true"
    rows(tab).nth(1).fill("2,3")
    figures(tab, "6pictures")
    assert tab.locator(".sl-understood").first.inner_text() == "2, 3, 4: 3 values"
    assert "portrait, side light" in tab.locator(".sl-base").inner_text()
    tab.get_by_text("Command").click()
    assert "--guidance=2,3,4 --steps=2,3" in tab.get_by_label("Command", exact=True).inner_text()
    tab.get_by_label("Copy Command").click()
    tab.locator("summary button", has_text=re.compile("Copied|Selected")).wait_for()
    tab.evaluate("document.activeElement.blur()")  # the button that copies stands in the form too
    press(tab, "Control+Enter")
    assert desk.queue.jobs() == (), "keys outside the form start nothing"
    rows(tab).nth(1).focus()
    press(tab, "Control+Enter")
    tab.locator(".sl-run-line", has_text="0 of 6 · waiting in the queue").wait_for()
    (job,) = desk.queue.jobs()
    assert (job.priority, job.cells, job.name) == (OVERNIGHT, 6, "guidance and steps")
    assert desk.starts
    assert f"run={desk.folder.name}" in tab.url
    assert tab.locator(".sl-cell.sl-waiting").count() == 6
    bad = min(cell.recipe.key for cell in ask(read_toml(desk.folder / SWEEP)).cells.cells)
    desk.work(bad=lambda key: key == bad)
    tab.locator(".sl-run-line", has_text="5 of 6 · 1 failed").wait_for()
    tab.wait_for_function("document.querySelectorAll('.sl-cell.sl-done img').length === 5")
    assert "asked to fail" in tab.locator(".sl-cell.sl-failed").inner_text()
    tab.get_by_role("button", name="Retry failed").click()
    tab.locator(".sl-run-line", has_text="waiting in the queue").wait_for()
    assert [each.state for each in desk.queue.jobs()] == ["waiting"]


def test_a_reload_and_a_second_browser_show_the_same(tab: Any, desk: Desk, browser: Any) -> None:
    rows(tab).nth(0).fill("2,3")
    tab.get_by_role("button", name="4 seeds").click()
    figures(tab, "8pictures")
    tab.get_by_role("button", name="Start sweep").click()
    tab.locator(".sl-cell.sl-waiting").nth(7).wait_for(state="attached")
    desk.work()
    tab.locator(".sl-run-line", has_text="8 of 8 · done").wait_for()
    tab.locator("[tabindex='0'].sl-cell").focus()
    press(tab, "4", "Enter", "ArrowRight", "x", "Enter")
    wait_for(lambda: sorted(mark.text for mark in marks.read(desk.folder).values()) == ["4 stars", "reject"], "marks")
    address = tab.url
    assert address.count("cell=") == 2
    tab.get_by_role("button", name="Hide").press("Enter")
    assert rows(tab).count() == 0
    tab.get_by_role("button", name="New sweep").press("Enter")
    assert tab.get_by_role("button", name="Hide").evaluate("(button) => button === document.activeElement")
    tab.reload()
    shown(tab)
    figures(tab, "8pictures")
    assert [rows(tab).nth(at).input_value() for at in range(2)] == ["2,3", "7..10:1"]
    other = browser.new_context(viewport={"width": 1280, "height": 800})
    second = other.new_page()
    second.set_default_timeout(90_000)
    second.goto(address)
    shown(second)
    for page in (tab, second):
        page.locator(".sl-letter", has_text="B").wait_for(state="attached")
        page.locator(".sl-cell.sl-rejected").wait_for(state="attached")
        page.locator(".sl-marks.sl-full", has_text="★★★★").wait_for(state="attached")
        assert page.locator(".sl-cell.sl-done").count() == 8
    other.close()


def test_a_job_is_steered_from_the_line_above_the_grid(tab: Any, desk: Desk) -> None:
    rows(tab).nth(0).fill("2,3")
    figures(tab, "2pictures")
    tab.get_by_role("button", name="Start sweep").click()
    steps = [("Pause", "paused"), ("Resume", "waiting in the queue")]
    for name, state in steps:
        tab.get_by_role("button", name=name, exact=True).click()
        tab.locator(".sl-run-line", has_text=state).wait_for()
    job = desk.queue.claim(1)
    assert job is not None
    desk.queue.tell(job, done=0, failed=0, seconds_left=95)
    tab.locator(".sl-run-line", has_text="running · 2 min left").wait_for()
    tab.get_by_role("button", name="Stop after this cell").click()
    tab.locator(".sl-run-line", has_text="stops after this cell").wait_for()
    assert desk.queue.job(job.id).wish == "after this cell"
    tab.get_by_role("button", name="Cancel").click()
    tab.locator(".sl-run-line", has_text="cancelling").wait_for()
    desk.queue.end(job, "cancelled")
    tab.get_by_role("button", name="Resume").click()
    tab.locator(".sl-run-line", has_text="waiting in the queue").wait_for()


def test_files_fill_the_builder_and_bring_their_own_base(tab: Any, desk: Desk) -> None:
    upload = tab.locator("input[type=file]")

    def give(text: str) -> None:
        upload.set_input_files({"name": "mine.toml", "mimeType": "text/plain", "buffer": text.encode()})

    give("guidance = [2,")
    tab.locator(".sl-sweep-foot .sl-problem", has_text="mine.toml").wait_for()
    give(f'checkpoint = "demo-flux"\nprompt = \'{MARKUP}\'\nguidance = [2, 3]\nwhere = "guidance < 3"\n')
    tab.locator(".sl-more", has_text="2 places: 1 left out by conditions").wait_for()
    base = tab.locator(".sl-base").inner_text()
    assert base.startswith("From mine.toml")
    assert MARKUP in base
    assert tab.evaluate("window.ran") is None
    assert tab.get_by_label("Keep where").input_value() == "guidance < 3"
    tab.evaluate("document.dispatchEvent(new CustomEvent('sidelight:hand', {detail: {target: 'sweep'}}))")
    tab.locator(".sl-base", has_text="portrait, side light").wait_for()
    tab.get_by_role("button", name="Clear").click()
    figures(tab, "1picture")


def test_the_demo_sweep_is_one_click_away(tab: Any, desk: Desk) -> None:
    tab.get_by_role("button", name="Start the demo sweep: 24 pictures, about").click()
    tab.get_by_role("combobox", name="checkpoint").wait_for()
    assert [(job.cells, job.state) for job in desk.queue.jobs()] == [(24, "waiting")]
    assert tab.locator(".sl-cell.sl-waiting").count() == 12, "one page a checkpoint"


def test_all_keys_are_told_from_anywhere_but_a_field(tab: Any) -> None:
    tab.get_by_role("button", name="Start the demo sweep").click()
    tab.locator(".sl-cell.sl-waiting").first.wait_for()
    tab.get_by_label("Name").focus()
    press(tab, "?")
    assert not tab.get_by_role("dialog").is_visible()
    tab.get_by_role("button", name="Clear").focus()
    press(tab, "?")
    assert tab.get_by_role("dialog").is_visible()


def test_axes_are_added_moved_and_taken_away_by_keys(tab: Any) -> None:
    rows(tab).nth(0).fill("2,3")
    rows(tab).nth(1).fill("4,5")
    tab.get_by_role("button", name="Add an axis").press("Enter")
    assert rows(tab).nth(2).evaluate("(row) => row === document.activeElement")
    tab.get_by_role("combobox", name="What varies").nth(2).select_option("seed")
    rows(tab).nth(2).fill("1,2,3")
    figures(tab, "12pictures")
    tab.get_by_role("button", name="Move this axis up").nth(2).press("Enter")
    press(tab, "Enter")
    assert [rows(tab).nth(at).input_value() for at in range(3)] == ["1,2,3", "2,3", "4,5"]
    tab.locator(".sl-axis").nth(1).get_by_role("button", name="Take this axis away").press("Enter")
    figures(tab, "6pictures")


def test_all_text_has_contrast_and_nothing_is_coloured(tab: Any) -> None:
    rows(tab).nth(0).fill("2,3")
    rows(tab).nth(1).fill("x")
    tab.locator(".sl-understood.sl-problem").wait_for()
    tab.evaluate("document.querySelectorAll('.sl-sweep details').forEach((each) => { each.open = true; })")
    ours = FAULTS.replace("body *:not(option)", ".sl-sweep *:not(option)")
    assert tab.evaluate(ours) == []
