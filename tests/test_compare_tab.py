"""The Compare tab over the page's own routes and a real run: selection, address, marks and places go together."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from typer.testing import CliRunner

from pipelines.checkpoint import find
from pipelines.draft import Draft, settle
from sweeps import marks, places
from sweeps.axes import Axis
from sweeps.plan import cells, plan_of
from sweeps.prepare import Prepared, RunNumerics
from sweeps.run import run
from sweeps.sweep import Sweep
from tests.bare_page import FAULTS, press
from tests.small import numerics, opener
from tests.test_components import expected, seen_in
from tests.test_components import settle as settle_pictures
from tests.test_guard import served
from workbench.cli import app as command
from workbench.queue import Queue
from workbench.web import live_routes, measures_routes, places_routes, ticks_routes
from workbench.web.guard import Guard
from workbench.web.routes import api
from workbench.web.site import Site

pytestmark = pytest.mark.browser
WEB = Path(__file__).parent.parent / "workbench/web"
NAME = "2026-01-02-window"
PATIENCE_SECONDS = 120.0
STYLES = ("tokens", "grid", "viewer", "check", "marks_bar", "ticks")
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">{styles}
<link rel="stylesheet" href="/assets/page/compare.css">
<style>html, body {{ height: 100%; margin: 0 }} #place {{ height: 100% }}</style>
<script type="module">
    import {{ mount as bridge }} from "/assets/page/page.js";
    import {{ mount }} from "/assets/page/compare.js";
    bridge(null, {{ send: {{}}, watch() {{}} }});
    mount(document.getElementById("place"), {{ value: {{ folder: "/my runs" }} }});
</script></head><body><div id="place"></div></body></html>"""


def prepared(folder: Path, guidance: Sequence[float] = (2, 4, 6), seeds: Sequence[int] = (1, 2)) -> Prepared:
    """A run of the demo checkpoint, to be made by the small engine."""
    demo = find("demo-sdxl")
    axes = [
        Axis(fields=("guidance",), values=tuple((float(g),) for g in guidance)),
        Axis(fields=("seed",), values=tuple((s,) for s in seeds)),
    ]
    sweep = Sweep.over("window", Draft(checkpoint="demo-sdxl", prompt="a face <b>", steps=3), axes=axes)
    wanted = cells(sweep, lambda draft: settle(draft, demo, lambda _: pytest.fail("no image is named")))
    kept = RunNumerics(planned=numerics(), now=numerics())
    plan = plan_of(wanted, lanes=kept.now.lanes, lane_width=kept.now.lane_width)
    return Prepared(folder, sweep, wanted, plan, kept, {demo.weights.identity: demo})


def key_at(ready: Prepared, column: int, row: int) -> str:
    return next(cell.recipe.key for cell in ready.cells.cells if (column, row) in cell.places)


@pytest.fixture
def ready(tmp_path: Path) -> Prepared:
    """A run with six pictures."""
    ready = prepared(tmp_path / "runs" / NAME)
    assert list(run(ready, open_engine=opener([])))
    return ready


@pytest.fixture
def open_tab(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the tab in a browser of its own; fails if it met an error that was not asked for."""
    site = Site(tmp_path / "runs", Queue(tmp_path / "queue.sqlite"))
    styles = "".join(f'<link rel="stylesheet" href="/assets/components/{name}.css">' for name in STYLES)

    def page(_: Request) -> Response:
        return HTMLResponse(PAGE.format(styles=styles))

    parts = [part for each in (live_routes, measures_routes, places_routes, ticks_routes) for part in each.routes(site)]
    assets = [Mount(f"/assets/{name}", StaticFiles(directory=WEB / name)) for name in ("components", "page")]
    complaints: list[str] = []
    contexts: list[Any] = []
    with served(Guard(api(site.runs, more=[*parts, *assets, Route("/", page)]))) as port:

        def open_tab(query: str = "", expected: str = "nothing") -> Any:
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            contexts.append(context)
            context.set_default_timeout(1000 * PATIENCE_SECONDS)
            tab = context.new_page()
            tab.on("console", lambda said: complaints.append(said.text) if expected not in said.text else None)
            tab.on("pageerror", lambda error: complaints.append(str(error)))
            tab.goto(f"http://127.0.0.1:{port}/?tab=compare{query}")
            return tab

        yield open_tab
        for context in contexts:
            context.close()
    assert complaints == []


def opened(tab: Any, panes: int = 2) -> Any:
    """Waits until so many panes show their pictures, and gives the first one the focus."""
    tab.wait_for_function("(panes) => document.querySelectorAll('.sl-stage .sl-shown img').length === panes", arg=panes)
    settle_pictures(tab)
    tab.locator(".sl-frame").first.focus()
    return tab


def pressed(tab: Any, group: str) -> str:
    """The button that is pressed in a group of the viewer."""
    return str(tab.locator(f".sl-viewer [aria-label={group}] [aria-pressed=true]").inner_text())


def shown(tab: Any) -> list[str]:
    """The keys that the panes show."""
    urls = tab.locator(".sl-stage .sl-shown img").evaluate_all("(images) => images.map((image) => image.src)")
    return [url.rpartition("/")[2].partition(".png")[0] for url in urls]


def wait_for_keys(tab: Any, *keys: str) -> None:
    tab.wait_for_function(
        """(keys) => [...document.querySelectorAll(".sl-stage .sl-shown img")].map((image) =>
            image.src.split("/").at(-1).split(".")[0]).join() === keys.join()""",
        arg=list(keys),
    )


def said(ready: Prepared, count: int) -> list[dict[str, Any]]:
    """The lines of marks.jsonl, as soon as there are so many."""
    path, deadline = ready.folder / marks.NAME, time.monotonic() + PATIENCE_SECONDS
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, path.read_text() if path.exists() else "no marks"
        time.sleep(0.02)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == count
    return [{name: value for name, value in line.items() if name != "at"} for line in lines]


def test_a_run_opens_at_two_telling_pictures_and_a_reload_comes_back_to_all(
    ready: Prepared, open_tab: Callable[..., Any]
) -> None:
    tab = opened(open_tab())
    assert shown(tab) == [key_at(ready, 0, 0), key_at(ready, 2, 0)], "lowest and highest guidance, the seed the same"
    assert tab.evaluate("new URL(location.href).searchParams.getAll('cell')") == shown(tab)
    assert tab.evaluate("new URL(location.href).searchParams.get('run')") == NAME
    assert tab.locator(".sl-values tbody th").all_inner_texts() == ["guidance"], "what is equal is hidden"
    press(tab, "Shift+Digit4", "Shift+ArrowLeft", "w")
    tab.locator("[data-place='1,1']").click()
    wait_for_keys(tab, shown(tab)[0], key_at(ready, 2, 0))
    before = seen_in(tab)
    tab.reload()
    opened(tab)
    assert [pressed(tab, name) for name in ("Mode", "Zoom")] == ["Slider", "400 %"]
    np.testing.assert_array_equal(seen_in(tab), before)
    letters = [tab.locator(f"[data-place='{at}'] .sl-letter").inner_text() for at in ("0,0", "2,0", "1,1")]
    assert letters == ["A", "B", "C"]


def test_panes_show_the_files_own_pixels_and_arrows_walk_in_the_focused_one(
    ready: Prepared, open_tab: Callable[..., Any]
) -> None:
    tab = opened(open_tab())
    for zoom in (1, 2, 4):
        press(tab, f"Shift+Digit{zoom}")
        for pane, column in enumerate((0, 2)):
            png = ready.folder / "pictures" / f"{key_at(ready, column, 0)}.png"
            seen = seen_in(tab, pane)
            np.testing.assert_array_equal(seen, expected(np.asarray(Image.open(png).convert("RGB")), seen.shape, zoom))
    tab.locator(".sl-frame").nth(1).focus()
    press(tab, "ArrowLeft", "ArrowDown", "ArrowDown")
    wait_for_keys(tab, key_at(ready, 0, 0), key_at(ready, 1, 1))
    assert tab.locator("[data-place='1,1'] .sl-letter").inner_text() == "B"
    press(tab, "o")
    wait_for_keys(tab, key_at(ready, 1, 1), key_at(ready, 0, 0))
    assert tab.evaluate("Sidelight.cells") == [key_at(ready, 1, 1), key_at(ready, 0, 0)]
    press(tab, "Delete")
    wait_for_keys(tab, key_at(ready, 1, 1))
    press(tab, "Delete")
    nothing = tab.get_by_text("Select two to four cells in the grid")
    nothing.wait_for()
    tab.evaluate("(run) => Sidelight.open(run)", NAME)
    assert nothing.is_visible(), "what a person took out stays out"
    tab.locator("[data-place='1,1']").click()
    wait_for_keys(tab, key_at(ready, 1, 1))
    tab.evaluate("(run) => Sidelight.open(run)", NAME)
    wait_for_keys(tab, key_at(ready, 0, 0), key_at(ready, 2, 0))
    tab.locator("[data-place='1,1']").focus()
    press(tab, "Escape")
    nothing.wait_for()


def test_twenty_quick_keys_are_twenty_lines_in_their_order(ready: Prepared, open_tab: Callable[..., Any]) -> None:
    tab = opened(open_tab())
    keys = "12345" * 3 + "px024"
    tab.evaluate("""(keys) => { for (const key of keys) document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true})); }""", keys)  # fmt: skip
    lines, first = said(ready, 20), key_at(ready, 0, 0)
    wanted = [{"stars": int(key)} if key.isdigit() else {"pick": {"p": "pick", "x": "reject"}[key]} for key in keys]
    assert lines == [{"key": first, **each} for each in wanted]
    tab.locator("[data-place='1,1']").focus()
    press(tab, "3", "t", "1", "/", *"wax 2", "Enter")
    other = key_at(ready, 1, 1)
    assert said(ready, 23)[20:] == [
        {"key": other, "stars": 3}, {"key": other, "faults": ["hands"]}, {"key": other, "remark": "wax 2"},
    ]  # fmt: skip
    printed = CliRunner().invoke(command, ["marks", str(ready.folder)]).stdout.splitlines()
    assert printed == [f"{first}  reject, 4 stars", f"{other}  3 stars, hands: wax 2"]


def test_marks_are_undone_and_the_next_picture_comes_by_itself(ready: Prepared, open_tab: Callable[..., Any]) -> None:
    tab = opened(open_tab())
    tab.get_by_label("Then next").check()
    press(tab, "5")
    wait_for_keys(tab, key_at(ready, 1, 0), key_at(ready, 2, 0))
    press(tab, "x")
    wait_for_keys(tab, key_at(ready, 2, 0), key_at(ready, 2, 0))
    press(tab, "Control+z")
    wait_for_keys(tab, key_at(ready, 1, 0), key_at(ready, 2, 0))
    press(tab, "Control+z", "Control+z")
    tab.get_by_text("Nothing to undo.").wait_for()
    assert [list(line)[1:] for line in said(ready, 4)] == [["stars"], ["pick"], ["pick"], ["stars"]]
    assert {mark.text for mark in marks.read(ready.folder).values()} == {""}


def test_a_mark_that_is_not_saved_says_so_and_is_saved_on_request(
    ready: Prepared, open_tab: Callable[..., Any]
) -> None:
    tab = opened(open_tab(expected="ERR_FAILED"))
    posts: list[str] = []

    def refuse(route: Any) -> None:
        posts.append(route.request.method)
        route.abort() if route.request.method == "POST" else route.continue_()

    tab.route("**/api/marks/**", refuse)
    press(tab, "4")
    tab.get_by_role("button", name="Save again").wait_for()
    assert not (ready.folder / marks.NAME).exists()
    tab.unroute("**/api/marks/**")
    tab.get_by_role("button", name="Save again").click()
    assert said(ready, 1) == [{"key": key_at(ready, 0, 0), "stars": 4}]
    tab.get_by_role("button", name="Save again").wait_for(state="hidden")


def test_a_place_that_is_set_once_is_known_to_another_browser(ready: Prepared, open_tab: Callable[..., Any]) -> None:
    tab = opened(open_tab())
    press(tab, "Shift+Digit4", *["Shift+ArrowLeft"] * 3, "Shift+M")
    tab.get_by_text("The mouth is kept for every picture of this run").wait_for()
    mouth = places.read(ready.folder).mouth
    assert mouth
    other = opened(open_tab())
    other.locator(".sl-viewer").get_by_role("button", name="Mouth").and_(other.locator(":enabled")).wait_for()
    other.get_by_label("Open at").select_option("mouth")
    other.locator("[data-place='1,1']").click()
    opened(other, 3)
    other.locator(".sl-viewer [aria-label=Zoom] [value='0'][aria-pressed=false]").wait_for()


def test_ticks_are_counted_beside_what_differs(ready: Prepared, open_tab: Callable[..., Any]) -> None:
    tab = opened(open_tab())
    press(tab, "4", "t", "3")
    said(ready, 2)
    tab.get_by_role("button", name="Marks by value").click()
    table = tab.locator(".sl-ticks tbody tr")
    table.first.wait_for()
    assert table.first.inner_text().split("\t") == [
        "2", "2", "1", "0 of 1", "0 of 1", "4.0 (1)", "1 of 1",
    ]  # fmt: skip
    assert tab.evaluate(FAULTS) == [], "all of the tab is grey, and every text has contrast"
    tab.get_by_label("only where all are marked").check()
    tab.get_by_text("No picture is marked at every value yet.").wait_for()


def test_keys_mean_the_same_in_the_grid_and_in_the_panes(ready: Prepared, open_tab: Callable[..., Any]) -> None:
    tab = opened(open_tab())
    cell = tab.locator(".sl-cell[tabindex='0']")
    for place in (cell, tab.locator(".sl-frame").first):
        place.focus()
        press(tab, "Shift+Digit2")
        assert pressed(tab, "Zoom") == "200"
        press(tab, "d")
        assert pressed(tab, "Mode") == "Difference"
        press(tab, "d", "z", "?")
        assert tab.get_by_role("dialog").is_visible()
        press(tab, "4", "?")
        assert tab.get_by_role("dialog").is_hidden()
    assert not (ready.folder / marks.NAME).exists()
    cell.focus()
    before = seen_in(tab)
    tab.keyboard.down(" ")
    assert not np.array_equal(before, seen_in(tab)), "held in the grid too, Space shows the other picture"
    tab.keyboard.up(" ")
    np.testing.assert_array_equal(before, seen_in(tab))
    press(tab, "ArrowRight", "Enter")
    wait_for_keys(tab, *(key_at(ready, column, 0) for column in (0, 2, 1)))


def test_a_picture_is_handed_on_and_its_sidecar_is_read(ready: Prepared, open_tab: Callable[..., Any]) -> None:
    tab = opened(open_tab())
    tab.evaluate("() => { window.handed = []; Sidelight.hand = (...said) => handed.push(said); }")
    for name in ("Use settings", "Sweep from it", "As reference"):
        tab.get_by_role("button", name=name).click()
    key = key_at(ready, 0, 0)
    assert tab.evaluate("handed") == [[to, {"run": NAME, "key": key}] for to in ("create", "sweep", "reference")]
    tab.get_by_role("button", name="Sidecar").click()
    assert "a face <b>" in tab.get_by_role("dialog").inner_text()
    press(tab, "Escape")
    tab.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    tab.get_by_role("button", name="Copy command").click()
    assert tab.locator("dialog pre").inner_text() == f"sidelight picture again '/my runs/{NAME}/pictures/{key}.png'"


def test_without_any_run_it_says_what_to_do_and_one_that_fills_opens_by_itself(
    tmp_path: Path, open_tab: Callable[..., Any]
) -> None:
    tab = open_tab()
    tab.get_by_text("Start a sweep in Sweep, or choose a run above").wait_for()
    ready = prepared(tmp_path / "elsewhere")
    assert list(run(ready, open_engine=opener([])))
    (tmp_path / "runs").mkdir()
    ready.folder.rename(tmp_path / "runs" / NAME)
    opened(tab)
    assert shown(tab) == [key_at(ready, 0, 0), key_at(ready, 2, 0)]


def test_the_next_picture_is_found_as_one_reads_and_around_holes(ready: Prepared, open_tab: Callable[..., Any]) -> None:
    tab = opened(open_tab())
    order = tab.evaluate("""async () => {
        const { nextPicture, telling } = await import("/assets/page/compare_choice.js");
        const places = [[1, 0], [3, 0], [1, 1], [0, 2]];
        const cells = new Map(places.map((place) => [place.join(), {place, key: place.join(), state: "done"}]));
        cells.set("2,0", {place: [2, 0], key: "2,0", state: "failed"});
        const edge = (at, most) => Math.max(0, Math.min(most, at));
        const beside = ({ place: [x, y] }, columns, rows) =>
            cells.get([edge(x + columns, 3), edge(y + rows, 2)].join());
        const order = [];
        for (let cell = cells.get("1,0"); cell; cell = nextPicture(cell, beside, 4)) order.push(cell.key);
        const axes = [{name: "seed"}, {name: "steps"}];
        return [order, telling(axes, [...cells.values()]).map(({ key }) => key), telling(axes, [])];
    }""")
    assert order == [["1,0", "3,0", "1,1", "0,2"], ["1,0", "1,1"], []]


def test_a_long_text_is_cut_to_where_it_differs_and_unfolds(open_tab: Callable[..., Any]) -> None:
    tab = open_tab()
    same = "an old woman by a window, " * 20
    told = tab.evaluate(
        """async ([one, other]) => {
        const { valuesTable } = await import("/assets/components/values.js");
        const { table } = valuesTable([["A", [["prompt", one]]], ["B", [["prompt", other]]]], false);
        document.body.append(table);
        const texts = () => [...table.querySelectorAll("td")].map((cell) => cell.textContent);
        const cut = texts();
        table.querySelector("button").click();
        const whole = texts();
        const isHeld = document.activeElement === table.querySelector("button");
        table.querySelector("button").click();
        return [cut, whole, isHeld, texts()];
    }""",
        [f"{same}hard light", f"{same}soft light"],
    )
    cut, whole, is_held, again = told
    assert [text[:1] + text[-10:] for text in cut] == ["…hard light", "…soft light"]
    assert max(map(len, cut)) < 150
    assert whole == [f"{same}hard light", f"{same}soft light"]
    assert is_held
    assert again == cut
