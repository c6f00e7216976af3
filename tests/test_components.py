"""Grid and viewer of the page, each alone on a page: the file's own pixels, only changed cells, everything by keys."""

import io
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parent.parent / "workbench/web/components"
SIZE = 256
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb"]
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; connect-src 'self'; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
MARKUP = '</script><script>window.ran = 1</script><img src=x onerror="window.ran = 1">${1+1} {{x}} "quoted"'
REASON = "latents are not finite after step 3 of 28"
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/tokens.css"><link rel="stylesheet" href="/grid.css">
<link rel="stylesheet" href="/viewer.css">
<style>html, body { height: 100%; margin: 0 } #place { height: 100% }</style>
<script type="module" src="/grid.js"></script><script type="module" src="/viewer.js"></script>
</head><body><div id="place"></div></body></html>"""
MOUNT_GRID = """(options) => {
    window.heard = {selected: [], opened: [], retried: [], saved: 0};
    const ask = async (path, more) => {
        const answer = await fetch(path, more);
        if (!answer.ok) throw new Error(`the server said ${answer.status}`);
        return answer.json();
    };
    window.grid = SidelightGrid.mount(document.getElementById("place"), {
        source: {grid: () => ask("/grid"), changes: (after) => ask(`/cells?after=${after}`)},
        onSelect: (cells) => heard.selected.push(cells.map((cell) => cell.key)),
        onOpen: (cell) => heard.opened.push(cell.key),
        onRetry: (cell) => heard.retried.push(cell.key),
        onMark: async (cell, mark) => {
            await ask("/marks", {method: "POST", body: JSON.stringify([cell.key, mark])});
            heard.saved++;
        },
        seconds: 0.05, ...options,
    });
}"""
MOUNT_VIEWER = """(pictures) => {
    window.heard = {walked: [], spots: []};
    window.viewer = SidelightViewer.mount(document.getElementById("place"), {
        onWalk: (step) => heard.walked.push(step),
        onSpot: (name, rectangle) => heard.spots.push([name, rectangle]),
    });
    viewer.show(pictures);
}"""


def noise(number: int, size: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (size, size, 3), np.uint8)


def coded(number: int, size: int = SIZE) -> NDArray[np.uint8]:
    """Every pixel tells where it lies (red = x, green = y) as a share of 255, and which picture it is from (blue)."""
    y, x = np.mgrid[:size, :size] * 256 // size
    return np.dstack([x, y, np.full_like(x, number)]).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    return file.getvalue()


@dataclass
class Site:
    """What the small server answers; a test changes it while the page looks at it."""

    files: dict[str, bytes] = field(default_factory=dict)
    axes: list[dict[str, Any]] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)
    marks: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    url: str = ""

    def change(self, at: int, **changes: Any) -> None:
        self.cells[at] = {**self.cells[at], **changes, "rev": max(cell["rev"] for cell in self.cells) + 1}

    def answer(self, path: str) -> tuple[str, bytes] | None:
        name, _, after = path.partition("?after=")
        if name in self.refused:
            return None
        if name == "/":
            return "text/html", PAGE.encode()
        if name == "/grid":
            return "application/json", json.dumps({"title": "window", "axes": self.axes, "cells": self.cells}).encode()
        if name == "/cells":
            return "application/json", json.dumps([cell for cell in self.cells if cell["rev"] > int(after)]).encode()
        if name in self.files:
            return "image/png", self.files[name]
        if re.fullmatch(r"/\w+\.(js|css)", name) and (ROOT / name[1:]).exists():
            return {"js": "text/javascript", "css": "text/css"}[name.rpartition(".")[2]], (ROOT / name[1:]).read_bytes()
        return None


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            self.send(site.answer(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_refused = self.path in site.refused
            if not is_refused:
                site.marks.append(json.loads(body))
            self.send(None if is_refused else ("application/json", b"null"))

        def send(self, found: tuple[str, bytes] | None) -> None:
            kind, body = found or ("text/plain", b"")
            self.send_response(200 if found else 500)
            for name, value in (("Content-Type", kind), ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    for number in range(4):
        site.files[f"/noise{number}.png"] = png(noise(number))
        site.files[f"/coded{number}.png"] = png(coded(number))
    site.files["/large.png"] = png(coded(9, 2 * SIZE))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        assert not os.environ.get("SIDELIGHT_REQUIRE_BROWSER"), "no chromium found, and the browser tests must run here"
        pytest.skip("no chromium found: install one to run the browser tests")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    """Opens the page in a tab; fails the test if a page asked any other host, met an error or complained."""
    contexts: list[Any] = []
    asked: list[str] = []
    complaints: list[str] = []

    def open_page(density: float = 1, *, is_clock_mine: bool = False) -> Any:
        context = browser.new_context(viewport={"width": 1000, "height": 640}, device_scale_factor=density)
        contexts.append(context)
        context.set_default_timeout(60_000)
        tab = context.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        if is_clock_mine:
            tab.clock.install(time=0)
        tab.goto(site.url)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert all(url.startswith((site.url, "data:")) for url in asked)
    expected = [text for text in complaints if site.refused and "500" in text]
    assert complaints == expected


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


# ---- the viewer


def picture(url: str, name: str = "", **more: Any) -> dict[str, Any]:
    return {"url": f"/{url}.png", "name": name or url, **more}


def settle(tab: Any) -> None:
    """Waits until every picture that is wanted is shown and painted."""
    tab.evaluate("""async () => {
        const images = () => [...document.querySelectorAll(".sl-layer img")];
        while (!images().length || !images().every((image) => image.complete)) await new Promise(requestAnimationFrame);
        await Promise.all(images().map((image) => image.decode()));
        for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    }""")


@pytest.fixture
def view(open_page: Callable[..., Any]) -> Callable[..., Any]:
    def view(*pictures: dict[str, Any], density: float = 1) -> Any:
        tab = open_page(density)
        tab.evaluate(MOUNT_VIEWER, list(pictures))
        settle(tab)
        tab.locator(".sl-frame").first.focus()
        return tab

    return view


def seen_in(tab: Any, pane: int = 0) -> NDArray[np.uint8]:
    """What the screen shows inside a pane, in device pixels, without map, slider and focus ring."""
    box = tab.evaluate(
        """async (pane) => {
            const noRing = ".sl-frame::after { display: none }";
            document.head.append(Object.assign(document.createElement("style"), {textContent: noRing}));
            for (const over of document.querySelectorAll(".sl-map, .sl-split")) over.style.visibility = "hidden";
            for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
            const frame = document.querySelectorAll(".sl-frame")[pane], box = frame.getBoundingClientRect();
            return [box.left, box.top, box.right, box.bottom].map((px) => Math.round(px * devicePixelRatio));
        }""",
        pane,
    )
    shot = np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB").crop(box))
    tab.evaluate("document.querySelectorAll('.sl-map, .sl-split').forEach((over) => { over.style.visibility = ''; })")
    return shot


def expected(pixels: NDArray[np.uint8], shape: tuple[int, ...], zoom: int, ground: int = 0x1A) -> NDArray[np.uint8]:
    """The middle of a picture at whole zoom, nearest neighbour, on the surround."""
    size = len(pixels)
    y, x = ((np.arange(n) - int(np.floor((n - size * zoom) / 2 + 0.5))) // zoom for n in shape[:2])
    seen = np.full(shape, ground, np.uint8)
    inside = np.ix_((y >= 0) & (y < size), (x >= 0) & (x < size))
    seen[inside] = pixels[np.ix_(y[(y >= 0) & (y < size)], x[(x >= 0) & (x < size)])]
    return seen


def region_of(seen: NDArray[np.uint8]) -> tuple[int, ...]:
    """Left, top, right, bottom of the picture that a pane shows, read from its pixels."""
    return int(seen[4, 4, 0]), int(seen[4, 4, 1]), int(seen[-5, -5, 0]), int(seen[-5, -5, 1])


@pytest.mark.browser
@pytest.mark.parametrize("density", [1, 1.5, 2])
def test_every_pane_shows_the_files_own_pixels(view: Callable[..., Any], density: float) -> None:
    tab = view(picture("noise0"), picture("noise1"), density=density)
    for key, zoom in (("2", 1), ("3", 2), ("4", 4)):
        press(tab, key)
        for pane in range(2):
            seen = seen_in(tab, pane)
            np.testing.assert_array_equal(seen, expected(noise(pane), seen.shape, zoom))


@pytest.mark.browser
def test_four_panes_move_together_by_wheel_drag_and_keys(view: Callable[..., Any]) -> None:
    tab = view(*(picture(f"coded{number}") for number in range(4)))
    press(tab, "3")
    box = tab.locator(".sl-frame").nth(1).bounding_box()
    under = seen_in(tab, 1)[60, 100]
    tab.mouse.move(box["x"] + 100, box["y"] + 60)
    tab.mouse.wheel(0, -100)
    tab.locator(".sl-tools [aria-pressed=true]", has_text="400 %").wait_for()
    assert np.abs(seen_in(tab, 1)[60, 100].astype(int) - under).max() <= 1
    zoomed = [region_of(seen_in(tab, pane)) for pane in range(4)]
    tab.mouse.down()
    tab.mouse.move(box["x"] + 60, box["y"] + 40, steps=3)
    tab.mouse.up()
    dragged = [region_of(seen_in(tab, pane)) for pane in range(4)]
    press(tab, *["Shift+ArrowRight", "Shift+ArrowDown"] * 20)
    last = [region_of(seen_in(tab, pane)) for pane in range(4)]
    for regions in (zoomed, dragged, last):
        assert regions == [regions[0]] * 4
    assert (dragged[0][0] - zoomed[0][0], dragged[0][1] - zoomed[0][1]) == (10, 5)
    assert last[0][2:] == (SIZE - 2, SIZE - 2), "the picture never leaves its pane"


@pytest.mark.browser
def test_pictures_of_different_size_show_the_same_part(view: Callable[..., Any]) -> None:
    tab = view(picture("coded0"), picture("large"))
    press(tab, "4", *["Shift+ArrowUp"] * 2)
    small, large = seen_in(tab, 0), seen_in(tab, 1)
    height = small[small.shape[0] // 2, 10, 1]
    assert height < 120
    assert abs(int(large[small.shape[0] // 2, 10, 1]) - height) <= 1
    assert tab.locator(".sl-scale").all_inner_texts() == ["400 %", "400 %"], "each has its own pixels"
    press(tab, "w")
    seen = seen_in(tab)
    step = np.abs(seen[10, 1:, 0].astype(int) - seen[10, :-1, 0])
    assert step.max() <= 1, "under the slider both fill one outline"
    assert set(seen[10, :, 2]) == {0, 9}


@pytest.mark.browser
def test_the_slider_parts_two_pictures_at_a_whole_pixel(view: Callable[..., Any]) -> None:
    tab = view(picture("noise0"), picture("noise1"))
    press(tab, "3", "w")
    tab.locator(".sl-split").focus()
    press(tab, *["ArrowLeft"] * 5)
    assert tab.locator(".sl-split").get_attribute("aria-valuenow") == "40"
    seen = seen_in(tab)
    at = round(seen.shape[1] * 0.4)
    np.testing.assert_array_equal(seen[:, :at], expected(noise(0), seen.shape, 2)[:, :at])
    np.testing.assert_array_equal(seen[:, at:], expected(noise(1), seen.shape, 2)[:, at:])


@pytest.mark.browser
def test_holding_space_swaps_pictures_in_place_and_letting_go_brings_them_back(view: Callable[..., Any]) -> None:
    tab = view(picture("noise0"), picture("noise1"))
    press(tab, "2")
    for mode, panes in (("s", 2), ("v", 1)):
        press(tab, mode)
        tab.locator(".sl-frame").nth(panes - 1).wait_for()
        before = seen_in(tab)
        np.testing.assert_array_equal(before, expected(noise(0), before.shape, 1))
        tab.keyboard.down(" ")
        np.testing.assert_array_equal(seen_in(tab), expected(noise(1), before.shape, 1))
        tab.keyboard.up(" ")
        np.testing.assert_array_equal(seen_in(tab), before)


@pytest.mark.browser
def test_the_difference_is_shown_amplified_and_in_numbers(view: Callable[..., Any], site: Site) -> None:
    first = noise(0) // 2
    second = first.copy()
    second[:64] += 3
    site.files.update({"/first.png": png(first), "/second.png": png(second)})
    tab = view(picture("first"), picture("second"))
    press(tab, "2", "d")
    told = tab.locator(".sl-what").inner_text()
    assert told == "largest 3 of 255, mean 0.75, 25.0 % of pixels"
    tab.get_by_role("button", name="×8").click()
    seen = seen_in(tab)
    np.testing.assert_array_equal(seen, expected((second - first) * 8, seen.shape, 1))
    tab.evaluate("viewer.show([{url: '/first.png', name: 'one'}, {url: '/first.png', name: 'other'}])")
    tab.get_by_text("not one pixel differs").wait_for()


@pytest.mark.browser
def test_arrow_keys_ask_for_the_next_picture_and_zoom_and_place_stay(view: Callable[..., Any]) -> None:
    tab = view(picture("coded0"), picture("coded1"))
    press(tab, "4", "Shift+ArrowRight")
    before = region_of(seen_in(tab, 1))
    tab.locator(".sl-frame").nth(1).focus()
    press(tab, "ArrowRight", "ArrowUp")
    assert tab.evaluate("heard.walked") == [{"pane": 1, "columns": 1, "rows": 0}, {"pane": 1, "columns": 0, "rows": -1}]
    tab.evaluate("viewer.show([{url: '/coded0.png', name: 'one'}, {url: '/coded3.png', name: 'next'}])")
    tab.locator(".sl-frame").nth(1).locator("img[src$='coded3.png']").first.wait_for(state="attached")
    settle(tab)
    seen = seen_in(tab, 1)
    assert region_of(seen) == before
    assert seen[4, 4, 2] == 3


@pytest.mark.browser
def test_settings_that_differ_are_listed_and_equal_ones_on_request(view: Callable[..., Any]) -> None:
    values = [[["guidance", str(at)], ["prompt", MARKUP], ["negative", ""]] for at in (3, 6)]
    tab = view(picture("noise0", MARKUP, values=values[0]), picture("noise1", values=values[1]))
    assert [re.split(r"\s+", row) for row in tab.locator("tbody tr").all_inner_texts()] == [["guidance", "3", "6"]]
    press(tab, "e")
    assert tab.locator("tbody th").all_inner_texts() == ["guidance", "prompt", "negative"]
    assert tab.locator("tbody td").nth(2).inner_text() == MARKUP
    tab.get_by_role("button", name="Hide equal").click()
    assert tab.locator("tbody tr").count() == 1
    assert tab.evaluate("window.ran") is None


@pytest.mark.browser
def test_spots_are_drawn_named_and_found_in_every_picture(view: Callable[..., Any]) -> None:
    own = {"face": [0.5, 0.5, 0.25, 0.25]}
    tab = view(picture("coded0", spots={"face": [0.25, 0.25, 0.25, 0.25]}), picture("coded1", spots=own))
    press(tab, "f")
    middle = [seen[seen.shape[0] // 2, seen.shape[1] // 2, :2] for seen in (seen_in(tab, 0), seen_in(tab, 1))]
    assert np.abs(np.subtract(middle, [[96, 96], [160, 160]])).max() <= 1
    assert tab.get_by_role("button", name="Mouth").is_disabled()
    press(tab, "1", "2")
    box = tab.locator(".sl-frame").first.bounding_box()
    centre = box["x"] + round(box["width"] / 2), box["y"] + round(box["height"] / 2)
    tab.keyboard.down("Shift")
    tab.mouse.move(centre[0] - 64, centre[1])
    tab.mouse.down()
    tab.mouse.move(centre[0], centre[1] + 32, steps=2)
    tab.mouse.up()
    tab.keyboard.up("Shift")
    tab.locator(".sl-naming").get_by_role("button", name="Mouth").click()
    ((name, rectangle),) = tab.evaluate("heard.spots")
    assert name == "mouth"
    np.testing.assert_allclose(rectangle, [0.25, 0.5, 0.25, 0.125], atol=1.5 / SIZE)
    press(tab, "m")
    seen = seen_in(tab, 0)
    assert np.abs(seen[seen.shape[0] // 2, seen.shape[1] // 2, :2].astype(int) - [96, 144]).max() <= 2


@pytest.mark.browser
def test_surround_is_a_neutral_grey_of_choice(view: Callable[..., Any]) -> None:
    tab = view(picture("noise0"), picture("noise1"))
    press(tab, "2")
    for grey in (0x1A, 0x77, 0xC8):
        assert (seen_in(tab)[2, 2] == grey).all()
        press(tab, "b")


@pytest.mark.browser
def test_what_cannot_be_shown_says_so_and_one_picture_is_enough(view: Callable[..., Any], site: Site) -> None:
    site.refused.add("/gone.png")
    tab = view(picture("noise0"))
    assert tab.locator(".sl-frame").count() == 1
    press(tab, "w", "x", "ArrowLeft", "2", " ")
    failed = {"url": "", "name": "", "state": "failed", "reason": REASON}
    tab.evaluate("(list) => viewer.show(list)", [picture("noise0"), failed, picture("gone")])
    tab.locator(".sl-shown").get_by_text("picture cannot be read").wait_for()
    assert REASON in tab.locator(".sl-frame").nth(1).inner_text()
    press(tab, "d")
    tab.get_by_text("A and B must both have a picture.").wait_for()
    tab.get_by_role("button", name="A, C").click()
    tab.get_by_text("A and C must both have a picture.").wait_for()
    tab.evaluate("viewer.show([])")
    tab.get_by_text("Select two to four cells").wait_for()


@pytest.mark.browser
def test_help_lists_all_keys_and_keeps_them_from_the_pictures(view: Callable[..., Any]) -> None:
    tab = view(picture("noise0"), picture("noise1"))
    press(tab, "?")
    assert tab.get_by_role("dialog").is_visible()
    press(tab, "4", "?")
    assert tab.get_by_role("dialog").is_hidden()
    assert tab.locator(".sl-tools [aria-pressed=true]", has_text="Fit").count() == 1


# ---- the grid


def fill(site: Site, across: int = 3, down: int = 2, layers: int = 2) -> None:
    counts = {"guidance": across, "steps": down, "seed": layers}
    site.axes = [{"name": name, "labels": [str(10 + at) for at in range(n)]} for name, n in counts.items()]
    for number, place in enumerate(np.ndindex(across, down, layers)):
        url = f"/coded{number % 4}.png"
        cell = {
            "place": list(place),
            "key": f"key{number}",
            "rev": number + 1,
            "state": "done",
            "url": url,
            "thumb": url,
        }
        site.cells.append({**cell, "label": f"0.{number:02}"})


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
    site.change(0, mark={"pick": "pick", "stars": 4}, warning="made in another numerics")
    site.change(2, state="live", step=7, steps=28, label="", url="")
    site.change(4, state="failed", reason=f"{REASON} {MARKUP}", url="", thumb="", label="")
    site.change(6, state="waiting", url="", thumb="", label="")
    tab = grid()
    assert focused(tab) == (
        "guidance 10, steps 10, seed 10, done, 0.00, 4 stars, picked, warning: made in another numerics"
    )
    assert "step 7 of 28" in cell_at(tab, "0,1,0").get_attribute("aria-label")
    assert tab.evaluate("document.querySelector('.sl-progress i').style.transform") == "scaleX(0.25)"
    assert cell_at(tab, "0,1,0").locator("img").count() == 1, "a live cell shows its preview"
    assert REASON in cell_at(tab, "1,0,0").inner_text()
    assert cell_at(tab, "1,1,0").inner_text() == "waiting"
    assert tab.locator(".sl-status").inner_text().split("\n")[0].startswith("9 of 12 done, 1 live, 1 waiting")
    assert tab.evaluate("window.ran") is None
    press(tab, "?")
    assert tab.get_by_role("dialog").is_visible()
    press(tab, "?", "n", "r")
    assert focused(tab).startswith("guidance 11, steps 10")
    assert tab.evaluate("heard.retried") == ["key4"]


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
    site.change(17, label="new", thumb="/coded3.png")
    site.change(111, label="new", mark={"pick": "", "stars": 2})
    cell_at(tab, "11,1,0").get_by_text("new").wait_for(state="attached")
    cell_at(tab, "1,7,0").get_by_text("new").wait_for(state="attached")
    assert set(tab.evaluate("[...touched]")) == {"1,7,0", "11,1,0"}
    assert tab.evaluate("images.every((image) => image.isConnected)"), "pictures stay, so that nothing flashes"
    for at in range(200):
        site.change(at, label="again")
    tab.wait_for_function(
        "document.querySelectorAll('.sl-number').length === 200"
        " && [...document.querySelectorAll('.sl-number')].every((each) => each.textContent === 'again')"
    )
    assert len(tab.evaluate("[...touched]")) == 200


@pytest.mark.browser
def test_nothing_is_asked_while_nobody_looks(open_page: Callable[..., Any], site: Site) -> None:
    fill(site)
    tab = open_page(is_clock_mine=True)
    tab.evaluate("""(cells) => {
        window.asks = 0;
        SidelightGrid.mount(document.getElementById("place"), {seconds: 2,
            source: {grid: async () => cells, changes: async () => { asks++; return []; }}});
    }""", {"axes": site.axes, "cells": site.cells})  # fmt: skip
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
    assert focused(tab) == "guidance 11, steps 11, seed 10, done, 0.06, selected as A"
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
            [...row.querySelectorAll(".sl-number")].map((each) => each.textContent))""")
        return rows

    asked = len([path for path in site.asked if not path.endswith("png")])
    assert shown() == [["0.00", "0.04", "0.08"], ["0.02", "0.06", "0.10"]]
    press(tab, "]")
    assert shown() == [["0.01", "0.05", "0.09"], ["0.03", "0.07", "0.11"]]
    press(tab, "s")
    assert shown() == [["0.01", "0.03"], ["0.05", "0.07"], ["0.09", "0.11"]]
    tab.get_by_role("combobox", name="seed").select_option("10")
    assert shown() == [["0.00", "0.02"], ["0.04", "0.06"], ["0.08", "0.10"]]
    tab.get_by_role("combobox", name="Rows").select_option("seed")
    assert shown() == [["0.00", "0.02"], ["0.01", "0.03"]]
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
    assert [mark["stars"] for _, mark in site.marks] == [1, 2, 3, 4, 5, 5, 1, 1, 2, 3, 4]
    assert [mark["pick"] for _, mark in site.marks][5:8] == ["pick", "pick", "reject"]
    site.refused.add("/marks")
    press(tab, "5")
    tab.get_by_text("The mark was not saved").wait_for()
    assert focused(tab).endswith("4 stars, rejected")


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
    site.cells.append({"place": [1], "key": "first", "rev": 1, "state": "waiting"})
    tab.locator(".sl-cell").first.wait_for()
    assert cell_at(tab, "0").get_attribute("aria-label") == "guidance 2, not part of this sweep"
    site.refused.add("/cells")
    tab.get_by_text("No news of this run: the server said 500. Asking again.").wait_for()
    site.refused.discard("/cells")
    tab.wait_for_function("document.querySelector('.sl-problem').textContent === ''")
    site.refused.add("all that was refused on purpose above")


FAULTS = """() => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r]) => { const s = r / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; };
    const ground = (e) => { const c = parts(getComputedStyle(e).backgroundColor);
        return (c[3] ?? 1) > 0.5 || !e.parentElement ? c : ground(e.parentElement); };
    const faults = [];
    for (const e of document.querySelectorAll("body *:not(option)")) {
        const style = getComputedStyle(e), [r, g, b] = parts(style.color), under = ground(e);
        if (r !== g || g !== b || under[0] !== under[1] || under[1] !== under[2]) faults.push([e.tagName, e.className]);
        const hasText = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!hasText || !e.checkVisibility()) continue;
        const [dark, bright] = [light([r]), light(under)].sort((x, y) => x - y);
        if ((bright + 0.05) / (dark + 0.05) < 4.5) faults.push([e.className, e.textContent, style.color, under]);
    }
    return faults;
}"""


@pytest.mark.browser
def test_all_text_has_contrast_and_nothing_is_coloured(
    grid: Callable[..., Any], open_page: Callable[..., Any], site: Site
) -> None:
    fill(site)
    site.change(0, mark={"pick": "reject", "stars": 1}, warning="odd")
    site.change(2, state="waiting", url="", thumb="", label="")
    site.change(4, state="failed", reason=REASON, url="", thumb="", label="")
    tab = grid()
    press(tab, "Enter")
    assert tab.evaluate(FAULTS) == []
    tab = open_page()
    values = [[["guidance", "3"], ["seed", "1"]], [["guidance", "4"], ["seed", "1"]]]
    tab.evaluate(MOUNT_VIEWER, [picture("coded0", values=values[0]), picture("coded1", values=values[1])])
    settle(tab)
    for keys in ("e", "w", "bb", "s?"):
        press(tab, *keys)
        assert tab.evaluate(FAULTS) == []


def test_no_component_writes_markup_or_knows_another_host() -> None:
    files = [path for path in ROOT.iterdir() if path.suffix in (".js", ".css")]
    assert len(files) > 5
    for path in files:
        text = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\{\{", text)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
        assert len(text.splitlines()) <= 400, f"{path.name} is two files"
