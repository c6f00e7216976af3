"""The viewer of the page, alone on a page: the file's own pixels, all panes together, everything by keys."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.bare_page import FAULTS, MARKUP, REASON, ROOT, SIZE, Site, noise, png, press, served, tabs

MOUNT_VIEWER = """(pictures) => {
    window.heard = {walked: [], spots: []};
    window.viewer = SidelightViewer.mount(document.getElementById("place"), {
        onWalk: (step) => heard.walked.push(step),
        onSpot: (name, rectangle) => heard.spots.push([name, rectangle]),
    });
    viewer.show(pictures);
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as site:
        yield site


@pytest.fixture
def open_page(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    with tabs(browser, site) as open_page:
        yield open_page


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
    for zoom in (1, 2, 4):
        press(tab, f"Shift+Digit{zoom}")
        for pane in range(2):
            seen = seen_in(tab, pane)
            np.testing.assert_array_equal(seen, expected(noise(pane), seen.shape, zoom))


@pytest.mark.browser
def test_four_panes_move_together_by_wheel_drag_and_keys(view: Callable[..., Any]) -> None:
    tab = view(*(picture(f"coded{number}") for number in range(4)))
    press(tab, "Shift+Digit2")
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
    press(tab, "Shift+Digit4", *["Shift+ArrowUp"] * 2)
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
    press(tab, "Shift+Digit2", "w")
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
    press(tab, "z")
    for mode, panes in (("", 2), ("v", 1)):
        press(tab, *mode)
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
    press(tab, "z", "d")
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
    press(tab, "Shift+Digit4", "Shift+ArrowRight")
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
    press(tab, "Shift+Digit0", "z")
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
def test_keys_alone_set_a_place_to_what_is_seen(view: Callable[..., Any]) -> None:
    tab = view(picture("coded0"), picture("coded1"))
    press(tab, "Shift+Digit4", "Shift+ArrowRight", "Shift+H")
    ((name, rectangle),) = tab.evaluate("heard.spots")
    left, top, right, bottom = region_of(seen_in(tab))
    assert name == "hands"
    np.testing.assert_allclose(rectangle[:2], np.divide([left, top], SIZE), atol=2 / SIZE)
    np.testing.assert_allclose(rectangle[2:], np.divide([right - left, bottom - top], SIZE), atol=4 / SIZE)
    press(tab, "Shift+Digit0", "h")
    assert np.abs(np.subtract(region_of(seen_in(tab)), (left, top, right, bottom))).max() <= 1


@pytest.mark.browser
def test_zoom_place_and_mode_can_be_told_and_brought_back(view: Callable[..., Any]) -> None:
    tab = view(*(picture(f"coded{number}") for number in range(3)))
    press(tab, "w", "z", "Shift+Digit4", *["Shift+ArrowLeft"] * 2, "b", "e")
    tab.get_by_role("button", name="A, C").click()
    before, state = region_of(seen_in(tab)), tab.evaluate("viewer.state()")
    tab.evaluate("viewer.destroy()")
    tab.evaluate(MOUNT_VIEWER, [])
    tab.evaluate("(state) => viewer.restore(state)", state)
    tab.evaluate("(list) => viewer.show(list)", [picture(f"coded{number}") for number in range(3)])
    settle(tab)
    assert tab.evaluate("viewer.state()") == state
    assert region_of(seen_in(tab)) == before
    press(tab, "w")
    tab.evaluate("viewer.restore({mode: 'no such mode', gain: 3, view: {zoom: 'x'}, surround: 5})")
    assert tab.locator(".sl-frame").count() == 3


@pytest.mark.browser
def test_surround_is_a_neutral_grey_of_choice(view: Callable[..., Any]) -> None:
    tab = view(picture("noise0"), picture("noise1"))
    press(tab, "z")
    for grey in (0x1A, 0x77, 0xC8):
        assert (seen_in(tab)[2, 2] == grey).all()
        press(tab, "b")


@pytest.mark.browser
def test_what_cannot_be_shown_says_so_and_one_picture_is_enough(view: Callable[..., Any], site: Site) -> None:
    site.refused.add("/gone.png")
    tab = view(picture("noise0"))
    assert tab.locator(".sl-frame").count() == 1
    press(tab, "w", "o", "ArrowLeft", "z", " ")
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
    press(tab, "z", "?")
    assert tab.get_by_role("dialog").is_hidden()
    assert tab.locator(".sl-tools [aria-pressed=true]", has_text="Fit").count() == 1


@pytest.mark.browser
def test_all_text_has_contrast_and_nothing_is_coloured(open_page: Callable[..., Any]) -> None:
    tab = open_page()
    values = [[["guidance", "3"], ["seed", "1"]], [["guidance", "4"], ["seed", "1"]]]
    tab.evaluate(MOUNT_VIEWER, [picture("coded0", values=values[0]), picture("coded1", values=values[1])])
    settle(tab)
    for keys in ("e", "w", "bb", "w?"):
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
