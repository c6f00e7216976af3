"""The Runs tab in a browser: found by words, walked by keys, put away and taken back, told and exported."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pipelines.store import Store
from sweeps import marks, shelf
from sweeps.marks import Mark
from sweeps.prepare import PLAN
from tests.bare_page import FAULTS, press
from tests.crash import Quick
from tests.test_guard import served
from tests.test_routes import MARKUP, made, prepared
from workbench.jobs import Asked
from workbench.queue import Queue
from workbench.web import queue_routes, shelf_routes
from workbench.web.guard import Guard
from workbench.web.routes import api
from workbench.web.site import Site

pytestmark = pytest.mark.browser

WEB = Path(__file__).parent.parent / "workbench/web"
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/components/tokens.css">
<link rel="stylesheet" href="/assets/components/shelf.css">
<link rel="stylesheet" href="/assets/components/report.css">
<style>html, body { height: 100%; margin: 0; background: #1a1a1a; color: #d4d4d4 } #place { height: 100% }</style>
<script type="module">
    import * as page from "/assets/page/page.js";
    import { mount } from "/assets/page/runs.js";
    page.mount(document.body, { send: {}, watch() {} });
    mount(document.getElementById("place"));
</script></head><body><div id="place"></div></body></html>"""
WINDOW, FAILED, STOPPED, SINGLE = "2026-01-04-window", "2026-01-03-failed", "2026-01-02-stopped", "2026-01-01-alone"
ROWS = ".sl-runs .sl-run"
SHOWN = f"[...document.querySelectorAll('{ROWS}')].map((row) => row.dataset.run)"


@pytest.fixture(scope="module")
def kept_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs: whole, with a failed cell, half made, and a picture that was made alone."""
    runs = tmp_path_factory.mktemp("runs")
    for name, guidance in ((WINDOW, (2, 4)), (FAILED, (3, 5)), (STOPPED, (6, 7)), (SINGLE, (8, 9))):
        ready = prepared(runs / name, guidance)
        bad = frozenset({ready.cells.cells[0].recipe.key} if name == FAILED else ())
        made(ready, bad=bad)
        text = (runs / name / "sweep.toml").read_text()
        (runs / name / "sweep.toml").write_text(text.replace("window <b>", name[11:]))
    first = Store(runs / SINGLE).keys()[0]
    plan = (runs / SINGLE / PLAN).read_text().splitlines(keepends=True)
    (runs / SINGLE / PLAN).write_text("".join(line for line in plan if first in line))
    pictures = runs / STOPPED / "pictures"
    for path in pictures.glob(f"{Store(runs / STOPPED).keys()[0]}.*"):
        path.unlink()
    return runs


@pytest.fixture
def site(kept_runs: Path, tmp_path: Path) -> Site:
    shutil.copytree(kept_runs, tmp_path / "runs")
    return Site(tmp_path / "runs", Queue(tmp_path / "queue.sqlite"), start_worker=lambda _: None)


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    """The page's routes and the tab, without Gradio, behind the guard."""

    def bare(_: Request) -> Response:
        return HTMLResponse(PAGE)

    parts = [*shelf_routes.routes(site), *queue_routes.routes(site), Route("/", bare)]
    assets = [Mount(f"/assets/{name}", StaticFiles(directory=WEB / name)) for name in ("components", "page")]
    with served(Guard(api(site.runs, more=[*parts, *assets]))) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Opens the tab; fails the test if it asked any other host, met an error or complained."""
    contexts, asked, complaints = [], [], []

    def opened(query: str = "?tab=runs") -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        contexts.append(context)
        context.set_default_timeout(60_000)
        tab = context.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(f"{address}/{query}")
        tab.wait_for_selector(f"{ROWS}, .sl-empty:not([hidden]) b")
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert all(url.startswith((address, "data:", "blob:")) for url in asked)
    assert [text for text in complaints if "status of 4" not in text] == []


def until(tab: Any, script: str, wanted: object = True) -> None:
    """Waits until a script gives a value."""
    tab.wait_for_function(
        f"(wanted) => JSON.stringify({script}) === wanted", arg=json.dumps(wanted, separators=(",", ":"))
    )


def chosen(tab: Any, run: str) -> None:
    until(tab, f"document.querySelector('{ROWS}[aria-selected=true]')?.dataset.run", run)


def test_runs_are_listed_newest_first_and_single_pictures_are_counted(opened: Callable[..., Any]) -> None:
    tab = opened()
    until(tab, SHOWN, [WINDOW, FAILED, STOPPED])
    status = tab.locator(".sl-shelf .sl-status")
    assert status.inner_text().startswith("3 runs, 10 pictures, ")
    texts = [row.inner_text() for row in tab.locator(ROWS).all()]
    assert "4 of 4" in texts[0]
    assert "1 failed" in texts[1]
    assert "3 of 4" in texts[2]
    tab.get_by_role("button", name="and 1 single picture").click()
    until(tab, SHOWN, [WINDOW, FAILED, STOPPED, SINGLE])
    assert status.inner_text().startswith("4 runs, 11 pictures, ")
    until(tab, f"document.querySelectorAll('{ROWS} img').length", 11)
    assert tab.evaluate("document.querySelector('.sl-strip img').src").startswith(tab.url.split("?")[0] + "pictures/")


def test_runs_are_found_sorted_and_filtered(opened: Callable[..., Any], site: Site) -> None:
    key = Store(site.runs / STOPPED).keys()[0]
    marks.append(site.runs / STOPPED, Mark(key=key, stars=4, remark="the cheek holds"), Quick())
    tab = opened()
    press(tab, "/")
    tab.keyboard.type("CHEEK hol")
    until(tab, SHOWN, [STOPPED])
    press(tab, "Escape")
    until(tab, SHOWN, [WINDOW, FAILED, STOPPED])
    tab.keyboard.type("alone")
    until(tab, SHOWN, [SINGLE])  # single pictures give way to other runs, not to an empty list
    tab.keyboard.type(" nowhere")
    until(tab, "document.querySelector('.sl-shelf .sl-empty').textContent", "No run fitsTake out a word or a filter.")
    tab.get_by_role("button", name="Clear").click()
    tab.get_by_label("Rating", exact=True).select_option("4")
    until(tab, SHOWN, [STOPPED])
    tab.get_by_label("Rating", exact=True).select_option("0")
    tab.get_by_label("State", exact=True).select_option("failed")
    until(tab, SHOWN, [FAILED])
    tab.get_by_label("State", exact=True).select_option("unfinished")
    until(tab, SHOWN, [FAILED, STOPPED])
    tab.get_by_label("To day").fill("2026-01-02")
    until(tab, SHOWN, [STOPPED])
    tab.get_by_role("button", name="Clear").click()
    tab.get_by_role("button", name="Sort by name").click()
    until(tab, SHOWN, [FAILED, STOPPED, WINDOW])
    tab.get_by_role("button", name="Sort by rating").click()
    until(tab, f"{SHOWN}[0]", STOPPED)


def test_keys_walk_and_open_and_the_report_follows(opened: Callable[..., Any]) -> None:
    tab = opened()
    press(tab, "ArrowDown")
    chosen(tab, WINDOW)
    press(tab, "ArrowDown")
    chosen(tab, FAILED)
    tab.get_by_text("asked to fail").wait_for()
    until(tab, "new URLSearchParams(location.search).get('run')", FAILED)
    press(tab, "End")
    chosen(tab, STOPPED)
    press(tab, "Home", "Enter")
    until(tab, "location.search", f"?tab=compare&run={WINDOW}")
    press(tab, "ArrowDown", "o")
    until(tab, "location.search", f"?tab=sweep&run={FAILED}")
    press(tab, "?")
    tab.get_by_role("dialog", name="All keys").wait_for()
    press(tab, "?", "ArrowDown")
    chosen(tab, STOPPED)
    tab.evaluate("document.body.prepend(Object.assign(document.createElement('button'), {role: 'tab', id: 'its'}))")
    tab.locator("#its").focus()
    press(tab, "e")
    tab.get_by_role("heading", name="Export pictures of").wait_for()  # as after choosing the tab
    press(tab, "Escape")
    tab.locator(".sl-report .sl-picture").first.click()
    until(tab, "new URLSearchParams(location.search).getAll('cell').length", 1)
    assert tab.evaluate("new URLSearchParams(location.search).get('tab')") == "compare"


def test_what_is_put_away_is_taken_back_by_undo_and_from_the_trash(opened: Callable[..., Any], site: Site) -> None:
    tab = opened()
    press(tab, "ArrowDown", "Delete")
    until(tab, SHOWN, [FAILED, STOPPED])
    chosen(tab, FAILED)
    assert not (site.runs / WINDOW).exists()
    tab.get_by_role("button", name="Undo").focus()
    press(tab, "Enter")
    until(tab, SHOWN, [WINDOW, FAILED, STOPPED])
    chosen(tab, WINDOW)
    until(tab, "document.activeElement.dataset.run", WINDOW)  # the button is gone; the keys go on in the list
    press(tab, "Delete")
    until(tab, SHOWN, [FAILED, STOPPED])
    press(tab, "Delete")
    until(tab, SHOWN, [STOPPED])
    tab.get_by_role("button", name="Trash (2)").click()
    tab.get_by_role("button", name=f"Restore {FAILED}").click()
    tab.get_by_text("1 run in the trash").wait_for()
    tab.get_by_role("button", name="Empty the trash").click()
    tab.get_by_text("Delete 1 run for good?").wait_for()
    tab.get_by_role("button", name="Keep them").click()
    assert len(shelf.trashed(site.runs)) == 1
    tab.get_by_role("button", name="Empty the trash").click()
    tab.get_by_role("button", name="Delete for good").click()
    tab.get_by_text("The trash is empty").wait_for()
    assert shelf.trashed(site.runs) == ()
    press(tab, "t")
    until(tab, SHOWN, [FAILED, STOPPED])


def test_a_run_in_the_queue_says_so_and_stays(opened: Callable[..., Any], site: Site) -> None:
    site.queue.add(Asked(site.runs / STOPPED, "stopped", cells=4))
    tab = opened(f"?tab=runs&run={STOPPED}")
    chosen(tab, STOPPED)
    assert "waits in the queue" in tab.locator(f"{ROWS}[aria-selected=true]").inner_text()
    tab.locator(ROWS).last.click()
    press(tab, "Delete")
    tab.get_by_text("cancel that job first").wait_for()
    assert (site.runs / STOPPED).is_dir()


def test_what_is_missing_is_queued_from_the_report(opened: Callable[..., Any], site: Site) -> None:
    tab = opened(f"?tab=runs&run={FAILED}")
    tab.get_by_role("button", name="Retry 1 picture").click()
    until(tab, f"document.querySelector('{ROWS}[aria-selected=true]').textContent.includes('waits in the queue')")
    tab.locator(ROWS).last.click()
    press(tab, "r")
    tab.get_by_text("stopped is in the queue as job 2").wait_for()
    assert [job.folder.name for job in site.queue.jobs("waiting")] == [FAILED, STOPPED]


def test_chosen_pictures_are_counted_and_downloaded(opened: Callable[..., Any], site: Site, tmp_path: Path) -> None:
    keys = Store(site.runs / WINDOW).keys()
    marks.append(site.runs / WINDOW, Mark(key=keys[0], pick="pick", stars=3), Quick())
    tab = opened(f"?tab=runs&run={WINDOW}")
    chosen(tab, WINDOW)
    tab.locator(ROWS).first.click()
    press(tab, "e")
    panel = tab.get_by_role("dialog", name="Export pictures")
    panel.get_by_text("1 picture with sidecars and captions").wait_for()
    panel.get_by_role("button", name="Rated").click()
    panel.get_by_label("Stars at least").select_option("4")
    panel.get_by_text("No picture has so many stars.").wait_for()
    assert panel.get_by_role("button", name="Download").is_disabled()
    panel.get_by_role("button", name="All").click()
    panel.get_by_text("4 pictures with sidecars and captions").wait_for()
    with tab.expect_download() as downloading:
        panel.get_by_role("button", name="Download").click()
    assert downloading.value.suggested_filename == f"{WINDOW}.zip"
    downloading.value.save_as(tmp_path / "got.zip")
    with zipfile.ZipFile(tmp_path / "got.zip") as archive:
        assert sum(name.endswith(".png") for name in archive.namelist()) == 4
    png = site.runs / WINDOW / "pictures" / f"{keys[1]}.png"
    png.write_bytes(b"torn")
    panel.get_by_role("button", name="Download").click()
    panel.get_by_text("is not the file that was committed").wait_for()


def test_links_select_what_cannot_be_read_is_told_and_nothing_from_a_file_is_run(
    opened: Callable[..., Any], site: Site
) -> None:
    newer = site.runs / "2026-02-01-newer"
    newer.mkdir()
    (newer / "sweep.toml").write_text('name = "later"\ncheckpoint = "demo-sdxl"\nprompt = "a"\nmood = "calm"\n')
    tab = opened(f"?tab=runs&run={newer.name}")
    chosen(tab, newer.name)
    tab.locator(".sl-fault", has_text="mood is not known").wait_for()
    tab.get_by_text("If a newer Sidelight made it, update this one").wait_for()
    press(tab, "Enter")
    assert tab.evaluate("new URLSearchParams(location.search).get('tab')") == "runs"
    tab.locator(ROWS, has_text="4 of 4").click()
    until(tab, "document.querySelector('.sl-report dl')?.textContent.includes('<script>')")
    assert MARKUP in tab.locator(".sl-report dl").first.inner_text()
    tab.goto(tab.url.split("?")[0] + "?tab=runs&run=2026-01-01-gone")
    tab.get_by_text("There is no run 2026-01-01-gone here any more").wait_for()


def test_everything_is_grey_and_can_be_read(opened: Callable[..., Any], site: Site) -> None:
    key = Store(site.runs / FAILED).keys()[0]
    marks.append(site.runs / FAILED, Mark(key=key, stars=4, faults=("eyes",), remark="wet", by="ann"), Quick())
    tab = opened(f"?tab=runs&run={FAILED}")
    tab.get_by_text("asked to fail").wait_for()
    assert tab.evaluate(FAULTS) == []
    press(tab, "t")
    tab.get_by_text("The trash is empty").wait_for()
    assert tab.evaluate(FAULTS) == []


def test_no_runs_say_what_to_do_first(opened: Callable[..., Any], site: Site) -> None:
    shutil.rmtree(site.runs)
    assert "Make one picture in Create" in opened().locator(".sl-shelf .sl-empty").inner_text()
