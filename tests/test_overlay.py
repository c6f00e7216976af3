"""Measures over the grid, brackets on its axes and the panel of findings, alone on a page: readable, said in words."""

import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import workbench.web.site
from pipelines.store import Store
from tests import test_guard
from tests.bare_page import FAULTS, MARKUP, ROOT, SIZE, Site, png, press, served, tabs
from tests.test_routes import made, prepared
from workbench.queue import Queue
from workbench.web import queue_routes, shelf_routes, votes_routes
from workbench.web.guard import Guard
from workbench.web.routes import api

pytestmark = pytest.mark.browser

MOUNT = """async (options) => {
    for (const name of ["overlay", "findings"]) {
        const link = Object.assign(document.createElement("link"), {rel: "stylesheet", href: `/${name}.css`});
        await new Promise((done) => { link.onload = done; document.head.append(link); });
    }
    const ask = async (path) => (await fetch(path)).json();
    window.heard = {overlays: [], measured: 0};
    window.grid = SidelightGrid.mount(document.getElementById("place"), {
        source: {grid: () => ask("/grid"),
            changes: (after, edition) => ask(`/cells?after=${after}&edition=${edition}`)},
        onOverlay: (overlay) => heard.overlays.push(overlay), onMeasure: () => { heard.measured++; },
        seconds: 3600, ...options,
    });
}"""
PANEL = """async (told) => {
    await import("/findings.js");
    for (const name of ["findings"]) {
        const link = Object.assign(document.createElement("link"), {rel: "stylesheet", href: `/${name}.css`});
        await new Promise((done) => { link.onload = done; document.head.append(link); });
    }
    window.heard = [];
    const on = (name) => (...given) => { heard.push([name, ...given]); };
    const names = told.handlers ?? ["onOpen", "onMeasure", "onKeep", "onAdd", "onVote", "onAdvice", "onCopy"];
    const pictureOf = () => ({url: "/coded1.png", thumb: "/coded1.png"});
    window.show = (more) => panel.show({...told, ...more, pictureOf});
    window.panel = SidelightFindings.mount(document.getElementById("place"),
        {...Object.fromEntries(names.map((name) => [name, on(name)])), ...told.options});
    show({});
}"""
GUIDANCE, STEPS, SEEDS = ["2", "4", "6"], ["10", "20"], ["1", "2"]
TEXTURE = {"name": "texture", "unit": "% contrast", "low": 2.1, "high": 7.0, "meaning": "pores", "compared": "ratio"}
SLOPE = {"name": "slope", "unit": "stops", "low": -0.7, "high": 0.5, "meaning": "pores to mottling"}
SKIN = {"name": "skin_to_eyes", "unit": "stops", "low": -3.1, "high": -1.0, "meaning": "plastic or out of focus"}
NOT_RESOLVED = "no texture resolved: slope -1.4 is below -1.2"


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as site:
        site.files["/white.png"] = png(np.full((SIZE, SIZE, 3), 255, np.uint8))
        yield site


@pytest.fixture
def open_page(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    with tabs(browser, site) as open_page:
        yield open_page


def key_of(*place: int) -> str:
    return "".join(map(str, place))


def fill(site: Site) -> None:
    axes = {"guidance": GUIDANCE, "steps": STEPS, "seed": SEEDS}
    site.axes = [{"name": name, "labels": labels} for name, labels in axes.items()]
    for number, place in enumerate(np.ndindex(3, 2, 2)):
        cell = {"place": list(place), "key": key_of(*place), "revision": number + 1, "state": "done"}
        site.cells.append(cell | {"picture": "/white.png", "thumb": "/white.png", "width": SIZE, "height": SIZE})


def measured(values: Mapping[str, float | None], **more: Any) -> dict[str, Any]:
    """An answer in which these keys have this texture; the slope is half of it, less 2."""
    cells = {
        key: {
            "values": {"texture": value, "slope": None if value is None else value / 2 - 2, "skin_to_eyes": -2.0},
            "why": {} if value is not None else {"texture": f"no face was found {MARKUP}"},
            "verdicts": [NOT_RESOLVED] if value is not None and value < 1.2 else [],
            "cautions": ["the eyes are 60 px apart"],
            "flat": "",
        }
        for key, value in values.items()
    }
    counts = {"edition": "e", "measured": len(values), "of": 12, "is_measuring": False}
    return counts | {"measures": [TEXTURE, SLOPE, SKIN], "cells": cells} | more


def everywhere(texture: Callable[[int, int, int], float | None]) -> dict[str, float | None]:
    return {key_of(*place): texture(*place) for place in np.ndindex(3, 2, 2)}


@pytest.fixture
def grid(open_page: Callable[..., Any], site: Site) -> Callable[..., Any]:
    def grid(**options: Any) -> Any:
        fill(site)
        tab = open_page()
        tab.evaluate(MOUNT, options)
        tab.locator(".sl-cell").first.wait_for()
        tab.locator("[tabindex='0'].sl-cell").focus()
        return tab

    return grid


def cell_at(tab: Any, place: str) -> Any:
    return tab.locator(f"[data-place='{place}']")


def numbers(tab: Any) -> list[str]:
    return list(tab.locator(".sl-measure").all_inner_texts())


def show(tab: Any, answer: dict[str, Any], name: str = "texture") -> None:
    tab.evaluate("(answer) => grid.setMeasures(answer)", answer)
    if name:
        tab.get_by_role("combobox", name="Show").select_option(name)
        tab.locator("[tabindex='0'].sl-cell").focus()


def test_every_cell_says_its_number_its_unit_and_why_there_is_none(grid: Callable[..., Any]) -> None:
    tab = grid()
    values = everywhere(lambda guidance, steps, seed: 1 + guidance + 0.5 * steps)
    del values["200"]
    show(tab, measured(values | {"110": None}))
    assert numbers(tab) == ["1.00", "2.00", "–", "1.50", "–", "3.50"]
    assert (
        cell_at(tab, "0,1,0")
        .get_attribute("aria-label")
        .endswith("done, texture 1.50 % contrast, caution: the eyes are 60 px apart")
    )
    assert "texture: not measured yet" in cell_at(tab, "2,0,0").get_attribute("aria-label")
    missing = cell_at(tab, "1,1,0").locator(".sl-measure")
    assert missing.get_attribute("title") == f"no texture: no face was found {MARKUP}"
    assert tab.evaluate("window.ran") is None
    assert cell_at(tab, "1,1,0").locator(".sl-heat").count() == 0, "no number has no colour"
    legend = tab.get_by_role("group", name="Measure")
    for text in ("% contrast", "photographs 2.1 to 7", "11 of 12 measured"):
        assert text in legend.inner_text()
    tab.get_by_role("combobox", name="Show").select_option("slope")
    assert NOT_RESOLVED in cell_at(tab, "0,0,0").locator(".sl-measure").get_attribute("title")
    assert numbers(tab)[0].startswith("▲"), "a rule that speaks of this measure is marked on it"
    assert numbers(tab)[0].endswith("−1.50")


def test_numbers_can_be_read_over_any_picture_and_colour_stays_at_the_foot(grid: Callable[..., Any]) -> None:
    tab = grid()
    show(tab, measured(everywhere(lambda guidance, steps, seed: 1.0 + guidance)))
    press(tab, "l")
    images = tab.locator(".sl-cell img")
    images.evaluate_all("(images) => Promise.all(images.map((image) => image.decode()))")

    def shot() -> Any:
        return np.asarray(Image.open(io.BytesIO(cell_at(tab, "2,0,0").screenshot())).convert("RGB")).astype(int)

    pixels, box = shot(), cell_at(tab, "2,0,0").bounding_box()
    pill = cell_at(tab, "2,0,0").locator(".sl-measure").bounding_box()
    left, top = round(pill["x"] - box["x"]), round(pill["y"] - box["y"])
    ground = pixels[top + 2 : top + 4, left + 6 : left + 12]
    assert ground.max() <= 100, "white on #646464 has 5.9:1"
    above = pixels[4 : top - 2, 4:-4]
    assert above.min() >= 250, "the picture itself is as it was"
    assert np.ptp(pixels[-3, 20:-20], axis=1).max() > 60, "the scale's colour lies at the foot"
    press(tab, "k")
    assert np.ptp(shot()[10, 20:-20], axis=1).max() > 60, "filled when asked for"
    press(tab, "k", "i")
    assert shot()[4:-4, 4:-4].min() >= 250
    assert numbers(tab) == []


def test_keys_show_hide_and_walk_the_measures_and_what_was_shown_comes_back(grid: Callable[..., Any]) -> None:
    tab = grid(overlay={"measure": "slope", "hasLines": False, "isFilled": False})
    show(tab, measured(everywhere(lambda guidance, steps, seed: 4.0)), name="")
    assert set(numbers(tab)) == {"0.00"}
    press(tab, "i")
    assert numbers(tab) == []
    assert tab.get_by_role("group", name="Measure").is_hidden()
    press(tab, "i", ".", ".", ".", "l", ",")
    shown = [each["measure"] for each in tab.evaluate("heard.overlays")]
    assert shown == ["", "slope", "skin_to_eyes", "", "texture", "texture", ""]
    assert tab.evaluate("heard.overlays.at(-2).hasLines") is True
    assert tab.evaluate("document.activeElement.className").startswith("sl-cell"), "the keys stay in the grid"
    assert "sl-measure" not in tab.locator(".sl-table").inner_html()


def test_without_measures_nothing_is_offered_and_what_is_missing_can_be_measured(grid: Callable[..., Any]) -> None:
    tab = grid()
    assert tab.get_by_role("combobox", name="Show").is_hidden()
    press(tab, "i", ".")
    assert tab.evaluate("heard.overlays") == []
    show(tab, measured({}))
    assert set(numbers(tab)) == {"–"}
    tab.get_by_role("button", name="Measure").click()
    assert tab.evaluate("heard.measured") == 1
    show(tab, measured({"000": 2.0}, is_measuring=True))
    assert tab.get_by_role("group", name="Measure").get_by_text("measuring: 1 of 12 so far").is_visible()
    assert tab.get_by_role("button", name="Measure").is_hidden()
    assert cell_at(tab, "1,0,0").locator(".sl-measure").get_attribute("title") == "texture: is being measured"


def test_lines_lie_in_the_gaps_between_neighbours_on_either_side_of_a_level(grid: Callable[..., Any]) -> None:
    tab = grid()
    show(tab, measured(everywhere(lambda guidance, steps, seed: [1.0, 1.1, 5.0][guidance])))
    lines = tab.locator(".sl-iso g:nth-child(2) line")
    assert lines.count() == 2, "one a row, where the texture steps"
    line = lines.first.bounding_box()
    left, right = (cell_at(tab, place).bounding_box() for place in ("1,0,0", "2,0,0"))
    assert left["x"] + left["width"] <= line["x"] + line["width"] / 2 <= right["x"]
    press(tab, "s")
    down, below = (cell_at(tab, place).bounding_box() for place in ("1,0,0", "2,0,0"))
    line = lines.first.bounding_box()
    assert down["y"] + down["height"] <= line["y"] + line["height"] / 2 <= below["y"], "turned with the axes"
    press(tab, "l")
    assert lines.count() == 0
    assert tab.locator(".sl-measure").count() == 6


def test_the_scale_is_round_and_not_ruled_by_one_odd_picture(open_page: Callable[..., Any]) -> None:
    tab = open_page()
    scale = "async (values) => (await import('/overlay_scale.js')).scaleOf(values)"
    assert tab.evaluate(scale, [1.0, 3.0])["levels"] == [1.5, 2, 2.5]
    assert tab.evaluate(scale, [-2.13, -1.48])["levels"] == [-2, -1.8, -1.6]
    assert tab.evaluate(scale, [2.0, 2.0]) == {"low": 2, "high": 2, "isTrimmed": [False, False], "levels": []}
    least = "async (values) => (await import('/overlay_scale.js')).scaleOf(values, {low: 2, high: 7})"
    noise = tab.evaluate(least, [3.0, 3.1])
    assert (noise["low"], noise["high"]) == pytest.approx((2.8, 3.3)), "noise of measuring fills no scale"
    odd = tab.evaluate(scale, [*np.linspace(1, 2, 99), 50.0])
    assert (odd["low"] > 1, odd["high"] <= 2, odd["isTrimmed"]) == (True, True, [True, True])
    light = """async () => { const {colourOf} = await import('/overlay_scale.js');
        return [0, .25, .5, .75, 1].map((share) => colourOf(share).match(/\\d+/g).map(Number)); }"""
    weights = np.array([0.2126, 0.7152, 0.0722])
    linear = [float(weights @ (np.array(each) / 255) ** 2.2) for each in tab.evaluate(light)]
    assert all(after > 1.25 * before for before, after in itertools.pairwise(linear)), "told apart in grey"


def finding(**more: Any) -> dict[str, Any]:
    window = {"kind": "guidance-window", "state": "found", "checkpoint": "demo-sdxl", "held": [], "low": 4, "high": 6}
    rest = {"sentence": "Guidance 4 to 6 keeps skin.", "between": [], "winner": "", "n": 6}
    lists: dict[str, Any] = {name: [] for name in ("evidence", "curves", "pictures", "cautions", "additions")}
    return window | rest | lists | more


def bracketed(tab: Any, heads: str) -> list[str]:
    """By heading: a for an end with a tick, o for an open one, - between, . outside; a dashed line in capitals."""
    return list(
        tab.locator(heads).evaluate_all("""(heads) => heads.map((head) => {
        const found = head.querySelector(".sl-bracket"), has = (name) => found.classList.contains(`sl-${name}`);
        if (!found) return ".";
        const sign = has("loose") ? "o" : has("first") || has("last") ? "a" : "-";
        return has("dashed") ? sign.toUpperCase() : sign; })""")
    )


def test_brackets_stand_on_the_axis_they_speak_of_solid_when_found_dashed_when_open(grid: Callable[..., Any]) -> None:
    tab = grid()
    plateau = finding(kind="step-plateau", low=20, high=None, sentence="Stop at 20.")
    tab.evaluate("(findings) => grid.setFindings(findings)", [finding(), plateau, finding(state="none", low=2)])
    assert bracketed(tab, ".sl-column") == [".", "a", "a"]
    assert bracketed(tab, ".sl-label") == [".", "a"]
    assert tab.locator(".sl-column .sl-bracket b").inner_text() == "window"
    assert tab.locator(".sl-column .sl-bracket").first.get_attribute("title") == "Guidance 4 to 6 keeps skin."
    press(tab, "s")
    assert bracketed(tab, ".sl-label") == [".", "a", "a"], "turned with the axes"
    assert bracketed(tab, ".sl-column") == [".", "a"]
    press(tab, "s")
    tab.evaluate("(findings) => grid.setFindings(findings)", [finding(state="open", low=None, high=4)])
    assert bracketed(tab, ".sl-column") == ["O", "A", "."]
    assert tab.locator(".sl-column .sl-bracket b").inner_text() == "window, open"
    other = [finding(held=[["seed", "2"]]), finding(held=[["steps", "20.0"]], low=2, high=2)]
    tab.evaluate("(findings) => grid.setFindings(findings)", other)
    assert bracketed(tab, ".sl-column") == ["a", ".", "."], "what is held in another layer is not shown here"
    assert tab.locator(".sl-column .sl-bracket b").inner_text() == "window · steps 20.0", "one row alone: it is named"
    press(tab, "]")
    assert tab.locator(".sl-column .sl-bracket").count() == 3


# ---- the panel


def estimate(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high, "n": 6}


def told(*findings: dict[str, Any], **more: Any) -> dict[str, Any]:
    whole = {"title": "t", "pictures": 12, "measured": 12, "votes": 14, "validated": "validated on photographs"}
    counts = {"progress": {"measured": 12, "of": 12, "is_measuring": False}, "measures": [TEXTURE, SLOPE, SKIN]}
    said = {"findings": whole | {"findings": list(findings)}, "command": "sidelight findings here", "can_add": 6}
    return said | counts | {"cheek": [0.25, 0.25, 0.5, 0.5]} | more


def curve() -> dict[str, Any]:
    values = ((2, 3.0), (4, 4.0), (6, 2.0))
    points = [
        {"at": at, "label": str(at), "estimate": estimate(value, value - 0.5, value + 0.5), "keys": [f"{at}" * 16]}
        for at, value in values
    ]
    return {"measure": "texture", "axis": "guidance", "points": points}


def full() -> dict[str, Any]:
    evidence = [
        {"measure": "texture", "sentence": f"falls {MARKUP}", "effect": estimate(-0.32, -0.51, -0.14), "is_for": True},
        {"measure": "slope", "sentence": "does not move", "effect": estimate(0.02, -0.2, 0.22), "is_for": False},
        {"measure": "halo", "sentence": "is not told", "effect": None, "is_for": True},
    ]
    pictures = [{"role": "mud", "key": "a" * 16, "words": "guidance 2, seed 1"}]
    additions = [{"values": [["guidance", [5, 5.5]], ["seed", [7, 8]]], "count": 4, "why": "The edge lies there."}]
    cautions = ["One light only.", "Rough."]
    held = [["steps", "20"]]
    parts = {"evidence": evidence, "curves": [curve()], "pictures": pictures, "cautions": cautions}
    return finding(held=held, additions=additions, **parts)


def test_a_finding_is_said_in_words_with_its_intervals(open_page: Callable[..., Any], site: Site) -> None:
    tab = open_page()
    nothing = finding(kind="scheduler", state="none", sentence="Too few seeds.", low=None, high=None)
    tab.evaluate(PANEL, told(full(), nothing, finding(kind="engine", state="open")))
    cards = tab.locator(".sl-finding")
    assert tab.locator(".sl-state").all_inner_texts() == ["Found", "Open", "No finding"]
    assert "demo-sdxl · steps 20" in cards.first.inner_text()
    evidence = tab.locator(".sl-evidence li").all_inner_texts()
    assert re.sub(r"\s+", " ", evidence[0]).startswith(f"for falls {MARKUP[:20]}")
    assert [text.split("\n")[-1] for text in evidence] == [
        "−20 % (−30 to −9), n 6", "+0.02 stops (−0.20 to +0.22), n 6", "is not told"
    ]  # fmt: skip
    assert tab.evaluate("window.ran") is None
    chart = tab.get_by_role("img", name="texture in % contrast, at 2: 3.00, 2.50 to 3.50 (n 6); at 4: 4.00")
    assert chart.locator(".sl-edge").count() == 2, "both ends of the window were reached"
    counted = "1 found · 1 open · 1 without a finding · 12 of 12 measured · 14 blind votes"
    assert counted in tab.locator("header").first.inner_text()
    folded = tab.get_by_text("One light only.")
    assert folded.is_hidden()
    tab.get_by_text("2 cautions").click()
    folded.wait_for()
    tab.evaluate("show({can_add: 7})")
    assert folded.is_visible(), "what was opened stays open when something else is told"
    sides = tab.locator(".sl-evidence li > b").all_inner_texts()
    assert sides == ["for", "neither", "for"], "an interval on both sides of nothing speaks for nothing"
    tab.get_by_text("What would settle it: 4 more cells").click()
    tab.get_by_text("guidance 5, 5.5 × seed 7, 8").wait_for()
    assert tab.evaluate(FAULTS) == []
    none = [finding(state="none", between=[str(at), "b"], sentence=f"Nothing in {at}.") for at in range(3)]
    tab.evaluate("(findings) => show({findings})", told(full(), *none)["findings"])
    tab.get_by_text("3 without a finding", exact=True).wait_for()
    assert tab.get_by_text("Nothing in 2.").is_hidden()


def test_buttons_do_what_they_are_given_and_are_missing_otherwise(open_page: Callable[..., Any], site: Site) -> None:
    tab = open_page()
    left = {"progress": {"measured": 9, "of": 12, "is_measuring": False}}
    tab.evaluate(PANEL, told(full(), **left))
    names = ["Measure 3 pictures", "Keep as note", "Add these 6 cells", "Vote blind", "Copy command", "Advice"]
    for name in names:
        tab.get_by_role("button", name=name, exact=True).click()
    tab.get_by_role("button", name="edge of mud: guidance 2, seed 1, open in Compare").click()
    tab.locator(".sl-dot").nth(1).click()
    assert tab.evaluate("heard") == [
        ["onMeasure"], ["onKeep", "demo-sdxl"], ["onAdd"], ["onVote"], ["onCopy", "sidelight findings here"],
        ["onAdvice", "a" * 16], ["onOpen", ["a" * 16]], ["onOpen", ["4" * 16]],
    ]  # fmt: skip
    image = tab.locator(".sl-crop img")
    assert image.evaluate("(image) => image.style.width") == f"{SIZE}px", "the cheek, a pixel for a pixel"
    tab.evaluate("show({progress: {measured: 9, of: 12, is_measuring: true}})")
    assert tab.get_by_text("measuring: 9 of 12 so far").is_visible()
    assert tab.get_by_role("button", name="Measure").count() == 0
    for name in ("Keep as note", "Add these 6 cells"):
        assert tab.get_by_role("button", name=name).count() == 0, "what is still being measured may say something else"
    tab.evaluate(PANEL, told(full(), finding(kind="engine", between=["demo-flux", "demo-sdxl"]), **left))
    tab.get_by_role("button", name="Keep for demo-flux").click()
    assert tab.evaluate("heard") == [["onKeep", "demo-flux"]], "a comparison of engines is about both"
    tab.evaluate(PANEL, told(full(), handlers=["onOpen"], **left))
    assert tab.get_by_role("button").all_inner_texts() == ["edge of mud"]


def test_a_panel_folds_to_one_line_and_says_what_is_missing(open_page: Callable[..., Any], site: Site) -> None:
    tab = open_page()
    tab.evaluate(PANEL, told(full(), options={"canFold": True, "isFolded": True}))
    assert tab.locator(".sl-finding").is_hidden()
    assert tab.locator(".sl-headline").inner_text() == "Guidance 4 to 6 keeps skin."
    tab.get_by_role("button", name="Show the findings").click()
    assert tab.locator(".sl-finding").is_visible()
    tab.evaluate("show({findings: null, progress: {measured: 0, of: 12, is_measuring: false}})")
    assert tab.get_by_text("Nothing of this run is measured yet").is_visible()
    tab.evaluate("show({findings: {findings: [], measured: 12, votes: 0, validated: 'v'}})")
    assert tab.get_by_text("A finding is made of guidance, steps").is_visible()
    tab.evaluate("show({findings: null, progress: {measured: 0, of: 0, is_measuring: false}})")
    assert tab.locator(".sl-findings").is_hidden(), "a run without pictures has nothing to say"


# ---- on the page

RUNS_PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<style>html, body {{ height: 100%; margin: 0 }} #place {{ height: 100% }}</style>{styles}
<script type="module">
    import * as page from "/assets/page/page.js";
    import {{ mount }} from "/assets/page/runs.js";
    page.mount(document.body, {{ send: {{}}, watch() {{}} }});
    mount(document.getElementById("place"));
</script></head><body><div id="place"></div></body></html>"""


class Desk:
    """Answers what is known of a run, and keeps what is asked of it."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys, self.measured, self.posted = keys, 0, list[Any]()

    def measures(self, _: Request) -> Response:
        values = dict.fromkeys(self.keys[: self.measured], 2.0)
        return JSONResponse(measured(values, of=len(self.keys)))

    async def measure(self, request: Request) -> Response:
        self.posted.append((request.url.path, await request.json()))
        self.measured = len(self.keys)
        return JSONResponse({}, 202)

    def findings(self, _: Request) -> Response:
        shown = {"role": "best", "key": self.keys[0], "words": "guidance 2"}
        return JSONResponse(
            {name: told(finding(pictures=[shown]))[name] for name in ("findings", "command", "can_add")}
        )

    async def add(self, request: Request) -> Response:
        self.posted.append((request.url.path, await request.json()))
        return JSONResponse({"job": 7, "cells": 6}, 202)


def test_a_runs_report_opens_with_what_was_found_and_its_buttons_reach_the_server(browser: Any, tmp_path: Path) -> None:
    made(prepared(tmp_path / "runs/2026-01-01-window", (2, 4), (1, 2)))
    desk = Desk(tuple(Store(tmp_path / "runs/2026-01-01-window").keys()))
    site = workbench.web.site.Site(tmp_path / "runs", Queue(tmp_path / "queue.sqlite"), start_worker=lambda _: None)
    names = ("tokens", "shelf", "report", "findings")
    styles = "".join(f'<link rel="stylesheet" href="/assets/components/{name}.css">' for name in names)

    def page(_: Request) -> Response:
        return HTMLResponse(RUNS_PAGE.format(styles=styles))

    at = "/api/runs/{run}"
    parts = [part for each in (queue_routes, shelf_routes, votes_routes) for part in each.routes(site)]
    parts += [Route(f"{at}/measures", desk.measures), Route(f"{at}/measures", desk.measure, methods=["POST"])]
    parts += [Route(f"{at}/findings", desk.findings), Route(f"{at}/cells", desk.add, methods=["POST"])]
    assets = [Mount(f"/assets/{each.name}", StaticFiles(directory=each)) for each in (ROOT, ROOT.parent / "page")]
    with test_guard.served(Guard(api(site.runs, more=[*parts, *assets, Route("/", page)]))) as port:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(60_000)
        tab = context.new_page()
        tab.goto(f"http://127.0.0.1:{port}/?tab=runs&run=2026-01-01-window")
        tab.get_by_text("Nothing of this run is measured yet").wait_for()
        tab.get_by_role("button", name="Measure 4 pictures").click()
        tab.locator(".sl-finding").wait_for()
        tab.get_by_role("button", name="Add these 6 cells").click()
        tab.get_by_text("6 cells are added to this run, in the queue as job 7.").wait_for()
        assert desk.posted == [
            ("/api/runs/2026-01-01-window/measures", {"again": False}),
            ("/api/runs/2026-01-01-window/cells", {"budget": 24}),
        ]
        tab.get_by_role("button", name="best: guidance 2, open in Compare").click()
        tab.wait_for_url(lambda url: f"tab=compare&run=2026-01-01-window&cell={desk.keys[0]}" in url)
        context.close()
