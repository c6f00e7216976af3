"""The grid of the page, alone on a page: only changed cells, marks in order, everything by keys."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.bare_page import FAULTS, MARKUP, REASON, SIZE, Site, noise, press, served, tabs

MOUNT_GRID = """(options) => {
    window.heard = {selected: [], opened: [], retried: [], saved: 0};
    const ask = async (path, more) => {
        const answer = await fetch(path, more);
        if (!answer.ok) throw new Error(`the server said ${answer.status}`);
        return answer.json();
    };
    window.grid = SidelightGrid.mount(document.getElementById("place"), {
        source: {grid: () => ask("/grid"),
            changes: (after, edition) => ask(`/cells?after=${after}&edition=${edition}`)},
        onSelect: (cells) => heard.selected.push(cells.map((cell) => cell.key)),
        onOpen: (cell) => heard.opened.push(cell.key),
        onRetry: (cell) => heard.retried.push(cell.key),
        onMark: async (key, change) => {
            const kept = await ask("/marks", {method: "POST", body: JSON.stringify({key, ...change})});
            heard.saved++;
            return kept;
        },
        seconds: 0.05, ...options,
    });
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as site:
        yield site


@pytest.fixture
def open_page(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    with tabs(browser, site) as open_page:
        yield open_page


def fill(site: Site, across: int = 3, down: int = 2, layers: int = 2) -> None:
    counts = {"guidance": across, "steps": down, "seed": layers}
    site.axes = [{"name": name, "labels": [str(10 + at) for at in range(n)]} for name, n in counts.items()]
    for number, place in enumerate(np.ndindex(across, down, layers)):
        url = f"/coded{number % 4}.png"
        cell = {"place": list(place), "key": f"key{number}", "revision": number + 1, "state": "done"}
        site.cells.append(cell | {"picture": url, "thumb": url, "width": SIZE, "height": SIZE})


@pytest.fixture
def grid(open_page: Callable[..., Any], site: Site) -> Callable[..., Any]:
    def grid(**options: Any) -> Any:
        tab = open_page()
        tab.evaluate(MOUNT_GRID, options)
        tab.locator(".sl-cell").first.wait_for()
        tab.locator("[tabindex='0'].sl-cell").focus()
        return tab

    return grid


def cell_at(tab: Any, place: str) -> Any:
    return tab.locator(f"[data-place='{place}']")


def focused(tab: Any) -> str:
    return str(tab.evaluate("document.activeElement.getAttribute('aria-label') ?? ''"))


@pytest.mark.browser
def test_cells_say_their_state_in_words(grid: Callable[..., Any], site: Site) -> None:
    fill(site)
    site.change(0, warning="made in another numerics")
    site.change(2, state="waiting", is_live=True, picture=None, thumb=None)
    site.change(4, state="failed", reason=f"{REASON} {MARKUP}", picture=None, thumb=None)
    site.change(6, state="waiting", picture=None, thumb=None)
    tab = grid()
    assert cell_at(tab, "0,1,0").inner_text() == "waiting", "begun, but nobody works on it now"
    tab.evaluate("grid.setMarks({key0: {key: 'key0', pick: 'pick', stars: 4, faults: []}})")
    assert focused(tab) == "guidance 10, steps 10, seed 10, done, 4 stars, picked, warning: made in another numerics"
    live = {"is_running": True, "cells": {"key2": {"step": 7, "steps": 28}}, "preview": None}
    tab.evaluate("(live) => grid.setLive(live)", live)
    assert "step 7 of 28" in cell_at(tab, "0,1,0").get_attribute("aria-label")
    assert tab.evaluate("document.querySelector('.sl-progress i').style.transform") == "scaleX(0.25)"
    tab.evaluate("(live) => grid.setLive(live)", live | {"preview": {"key": "key2", "url": "/coded2.png"}})
    assert cell_at(tab, "0,1,0").locator("img").get_attribute("src") == "/coded2.png", "a preview of the live cell"
    assert REASON in cell_at(tab, "1,0,0").inner_text()
    assert cell_at(tab, "1,1,0").inner_text() == "waiting"
    assert tab.locator(".sl-status").inner_text().split("\n")[0].startswith("9 of 12 done, 1 being made, 1 waiting")
    assert tab.evaluate("window.ran") is None
    press(tab, "?")
    assert tab.get_by_role("dialog").is_visible()
    press(tab, "?", "n", "r")
    assert focused(tab).startswith("guidance 11, steps 10")
    assert tab.evaluate("heard.retried") == ["key4"]
    tab.evaluate("(live) => grid.setLive(live)", live | {"is_running": False})
    assert cell_at(tab, "0,1,0").inner_text() == "waiting"
    for state, word in (("paused", "paused"), ("cancelled", "cancelled"), ("failed", "not made")):
        tab.evaluate("(live) => grid.setLive(live)", live | {"is_running": False, "job": {"state": state}})
        assert cell_at(tab, "1,1,0").inner_text() == word
        assert word in cell_at(tab, "1,1,0").get_attribute("aria-label")
        assert f"2 {word}" in tab.locator(".sl-status").inner_text()


@pytest.mark.browser
def test_only_changed_cells_are_drawn_again(grid: Callable[..., Any], site: Site) -> None:
    fill(site, 20, 10, 1)
    tab = grid()
    tab.evaluate("""() => {
        window.touched = new Set();
        window.images = [...document.querySelectorAll(".sl-cell img")];
        new MutationObserver((list) => list.forEach(({target}) => {
            const box = target.closest(".sl-cell");
            touched.add(box ? box.dataset.place : target.className);
        })).observe(document.querySelector(".sl-table"),
            {subtree: true, childList: true, attributes: true, characterData: true});
    }""")
    site.change(17, warning="new", thumb="/coded3.png")
    site.change(111, warning="new")
    cell_at(tab, "11,1,0").locator(".sl-warning").wait_for(state="attached")
    cell_at(tab, "1,7,0").locator(".sl-warning").wait_for(state="attached")
    tab.evaluate("grid.setMarks({key40: {pick: 'none', stars: 2}, key41: {pick: 'none', stars: 0}})")
    tab.evaluate("grid.setLive({is_running: true, cells: {key50: {step: 1, steps: 2}}, preview: null})")
    assert set(tab.evaluate("[...touched]")) == {"1,7,0", "11,1,0", "4,0,0"}, "a done cell is never live"
    assert tab.evaluate("images.every((image) => image.isConnected)"), "pictures stay, so that nothing flashes"
    for at in range(200):
        site.change(at, warning="again")
    tab.wait_for_function("document.querySelectorAll(\".sl-warning[title='again']\").length === 200")
    assert len(tab.evaluate("[...touched]")) == 200


@pytest.mark.browser
def test_one_picture_at_two_places_is_marked_and_counted_once(grid: Callable[..., Any], site: Site) -> None:
    fill(site, 2, 1, 1)
    site.change(1, key="key0")
    tab = grid()
    press(tab, "4")
    assert tab.locator(".sl-marks.sl-full").all_inner_texts() == ["★★★★", "★★★★"]
    assert tab.locator(".sl-status b").inner_text() == "1 of 1"


@pytest.mark.browser
def test_another_edition_of_the_run_is_drawn_anew(grid: Callable[..., Any], site: Site) -> None:
    fill(site, 2, 2, 1)
    tab = grid()
    press(tab, "ArrowRight", "Enter")
    site.axes[0]["labels"].append("12")
    site.cells.append(site.cells[0] | {"place": [2, 0, 0], "key": "more"})
    site.edition = "second"
    cell_at(tab, "2,0,0").locator("img").wait_for(state="attached")
    assert cell_at(tab, "2,1,0").get_attribute("aria-label").endswith("not part of this sweep")


@pytest.mark.browser
@pytest.mark.parametrize("density", [1, 2])
def test_a_cut_out_shows_the_files_own_pixels(open_page: Callable[..., Any], site: Site, density: float) -> None:
    fill(site, 2, 1, 1)
    for at in range(2):
        site.change(at, picture=f"/noise{at}.png")
    tab = open_page(density)
    tab.evaluate(MOUNT_GRID, {})
    tab.locator(".sl-cell").first.wait_for()
    assert tab.get_by_role("group", name="Crop").is_hidden(), "nobody knows where anything is"
    tab.get_by_label("Size").fill("180")
    assert cell_at(tab, "0,0,0").locator("img").get_attribute("src") == "/coded0.png", "small cells show the thumb"
    tab.get_by_label("Size").fill("400")
    assert cell_at(tab, "0,0,0").locator("img").get_attribute("src") == "/noise0.png"
    tab.evaluate("grid.setSpots({cheek: [0.5, 0.25, 0.125, 0.25]})")
    tab.get_by_label("Size").fill("100")
    tab.get_by_role("button", name="Cheek 1:1").click()
    assert tab.get_by_role("button", name="Face").is_disabled()
    image = cell_at(tab, "1,0,0").locator("img[src='/noise1.png']")
    image.wait_for(state="attached")
    image.evaluate("(image) => image.decode()")
    shot = np.asarray(Image.open(io.BytesIO(cell_at(tab, "1,0,0").screenshot())).convert("RGB"))
    side, middle = round(100 * density), (round(0.5625 * SIZE), round(0.375 * SIZE))
    left, top = (min(max(0, at - side // 2), SIZE - side) for at in middle)
    np.testing.assert_array_equal(shot, noise(1)[top : top + side, left : left + side])


@pytest.mark.browser
def test_nothing_is_asked_while_nobody_looks(open_page: Callable[..., Any], site: Site) -> None:
    fill(site)
    tab = open_page(is_clock_mine=True)
    tab.evaluate("""(cells) => {
        window.asks = 0;
        SidelightGrid.mount(document.getElementById("place"), {seconds: 2,
            source: {grid: async () => cells, changes: async () => { asks++; return {...cells, cells: []}; }}});
    }""", site.told(site.cells) | {"axes": site.axes})  # fmt: skip
    tab.wait_for_function("asks === 1")
    tab.clock.run_for(2100)
    assert tab.evaluate("asks") == 2
    tab.evaluate("document.getElementById('place').style.display = 'none'")
    tab.clock.run_for(20_000)
    assert tab.evaluate("asks") == 2
    tab.evaluate("document.getElementById('place').style.display = ''")
    tab.clock.run_for(2100)
    assert tab.evaluate("asks") == 3


@pytest.mark.browser
def test_keys_walk_select_and_open(grid: Callable[..., Any], site: Site) -> None:
    fill(site)
    tab = grid()
    press(tab, "ArrowRight", "ArrowDown", "Enter")
    assert focused(tab) == "guidance 11, steps 11, seed 10, done, selected as A"
    press(tab, "Home", " ", "End", " ", "Control+Home", " ", "ArrowRight", " ")
    assert tab.evaluate("heard.selected.at(-1)") == ["key6", "key2", "key10", "key4"]
    letters = [cell_at(tab, place).locator(".sl-letter").inner_text() for place in ("1,1,0", "0,1,0", "2,1,0", "1,0,0")]
    assert letters == ["A", "B", "C", "D"], "the fifth cell replaces the last"
    press(tab, "c")
    assert tab.evaluate("heard.opened") == ["key4"]
    assert tab.locator("[aria-selected=true]").count() == 4
    press(tab, "Escape")
    assert tab.evaluate("heard.selected.at(-1)") == []
    assert tab.locator("[tabindex='0'].sl-cell").count() == 1, "one stop of the Tab key"


@pytest.mark.browser
def test_layers_turn_and_axes_swap_without_asking_the_server(grid: Callable[..., Any], site: Site) -> None:
    fill(site)
    tab = grid(seconds=3600)

    def shown() -> list[list[str]]:
        rows: list[list[str]] = tab.evaluate("""[...document.querySelectorAll(".sl-row:not(.sl-head)")].map((row) =>
            [...row.querySelectorAll(".sl-cell")].map((each) => each.dataset.place.replaceAll(",", "")))""")
        return rows

    asked = len([path for path in site.asked if not path.endswith("png")])
    assert shown() == [["000", "100", "200"], ["010", "110", "210"]]
    press(tab, "]")
    assert shown() == [["001", "101", "201"], ["011", "111", "211"]]
    press(tab, "s")
    assert shown() == [["001", "011"], ["101", "111"], ["201", "211"]]
    tab.get_by_role("combobox", name="seed").select_option("10")
    assert shown() == [["000", "010"], ["100", "110"], ["200", "210"]]
    tab.get_by_role("combobox", name="Rows").select_option("seed")
    assert shown() == [["000", "010"], ["001", "011"]]
    tab.get_by_label("Size").fill("200")
    assert cell_at(tab, "0,0,0").bounding_box()["width"] == 200
    assert len([path for path in site.asked if not path.endswith("png")]) == asked


@pytest.mark.browser
def test_marks_are_shown_at_once_and_saved_in_the_order_of_the_keys(grid: Callable[..., Any], site: Site) -> None:
    fill(site)
    tab = grid()
    tab.evaluate("""() => { for (const key of "12345p1x234") document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true})); }""")
    assert focused(tab).endswith("4 stars, rejected")
    tab.wait_for_function("heard.saved === 11")
    said = [{**mark} for mark in site.marks]
    assert {mark.pop("key") for mark in said} == {"key0"}
    assert said == [
        *({"stars": stars} for stars in (1, 2, 3, 4, 5)),
        *({"pick": "pick"}, {"stars": 1}, {"pick": "reject"}, {"stars": 2}, {"stars": 3}, {"stars": 4}),
    ], "only what changed is said"
    site.refused.add("/marks")
    press(tab, "5")
    tab.get_by_text("The mark was not saved").wait_for()
    tab.wait_for_function("document.activeElement.ariaLabel.endsWith('4 stars, rejected')")


@pytest.mark.browser
def test_labels_stay_in_sight_while_the_grid_scrolls(grid: Callable[..., Any], site: Site) -> None:
    fill(site)
    tab = grid()
    tab.get_by_label("Size").fill("500")
    area = tab.locator(".sl-area").bounding_box()
    tab.locator(".sl-area").evaluate("area => area.scrollTo(5000, 5000)")
    tab.wait_for_function("document.querySelector('.sl-area').scrollTop > 0")
    assert tab.locator(".sl-label").last.bounding_box()["x"] == area["x"]
    assert tab.locator(".sl-column").last.bounding_box()["y"] == area["y"]


@pytest.mark.browser
def test_an_empty_grid_says_what_to_do_and_a_lost_server_what_is_wrong(
    open_page: Callable[..., Any], site: Site
) -> None:
    site.refused.add("/grid")
    tab = open_page()
    tab.evaluate(MOUNT_GRID, {})
    tab.get_by_text("The grid cannot be read").wait_for()
    site.axes = [{"name": "guidance", "labels": ["2", "3"]}]
    site.refused.clear()
    tab.get_by_role("button", name="Try again").click()
    tab.get_by_text("Choose what to vary").wait_for()
    site.cells.append({"place": [1], "key": "first", "revision": 1, "state": "waiting", "width": 8, "height": 8})
    site.edition = "planned"
    tab.locator(".sl-cell").first.wait_for()
    assert cell_at(tab, "0").get_attribute("aria-label") == "guidance 2, not part of this sweep"
    site.refused.add("/cells")
    tab.get_by_text("No news of this run: the server said 500. Asking again.").wait_for()
    site.refused.discard("/cells")
    tab.wait_for_function("document.querySelector('.sl-problem').textContent === ''")
    site.refused.add("all that was refused on purpose above")


@pytest.mark.browser
def test_all_text_has_contrast_and_nothing_is_coloured(grid: Callable[..., Any], site: Site) -> None:
    fill(site)
    site.change(0, warning="odd")
    site.change(2, state="waiting")
    site.change(4, state="failed", reason=REASON)
    site.change(6, state="waiting")
    tab = grid()
    tab.evaluate("""() => {
        grid.setMarks({key0: {pick: "reject", stars: 1}});
        grid.setSpots({cheek: [0, 0, 1, 1]});
        grid.setLive({is_running: true, cells: {key6: {step: 1, steps: 3}}, preview: null});
    }""")
    press(tab, "Enter")
    assert tab.evaluate(FAULTS) == []
