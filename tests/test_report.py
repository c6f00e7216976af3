"""The morning report: one file that needs nothing else, shows the file's own pixels, and obeys the keyboard."""

import errno
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.errors import DiskFullError
from pipelines.files import Disk, OpenFile
from sweeps.grid import Grid, GridAxis, GridCell
from sweeps.report import page, write
from sweeps.sheet import Limit

MARKUP = '</script><script>window.ran = 1</script><img src=x onerror="window.ran = 1">&amp; "quoted" \u2028'
REASON = "latents are not finite after step 3 of 28"
SIZE = 256


def picture(number: int) -> NDArray[np.uint8]:
    """Every pixel tells where it lies (red = x, green = y) and which picture it is from (blue)."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.dstack([x, y, np.full_like(x, number)]).astype(np.uint8)


def make_grid(folder: Path) -> Grid:
    """guidance x steps x seed; one cell failed, one waiting, prompts hold markup."""
    (folder / "pictures").mkdir()
    axes = (GridAxis("guidance", ("2", "3", "4")), GridAxis("steps", ("10", "20")), GridAxis("seed", ("7", "8")))
    cells = []
    for number, place in enumerate(np.ndindex(3, 2, 2)):
        values = tuple((axis.name, axis.labels[at]) for axis, at in zip(axes, place, strict=True))
        values = (("prompt", MARKUP), ("negative", ""), *values)
        if place in ((2, 1, 0), (2, 1, 1)):
            state = "failed" if place[2] == 0 else "waiting"
            cells.append(GridCell(place, f"key{number}", None, state, REASON if state == "failed" else "", values))
            continue
        name = f"pictures/{number}.png"
        Image.fromarray(picture(number)).save(folder / name)
        cells.append(GridCell(place, f"key{number}", name, "done", values=values))
    return Grid(f"window light {MARKUP}", "demo-sdxl", axes, tuple(cells))


def data_of(report: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', report, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_report_holds_every_text_exactly_and_none_as_markup(tmp_path: Path) -> None:
    grid = make_grid(tmp_path)
    report = page(grid, {})
    assert "<img" not in report
    assert report.count("<script") == 2
    data = data_of(report)
    assert data["title"] == grid.title
    assert [dict(cell["values"])["prompt"] for cell in data["cells"]] == [MARKUP] * 12


def test_equal_grids_give_equal_files(tmp_path: Path) -> None:
    grid = make_grid(tmp_path)
    first = [path.read_bytes() for path in write(grid, tmp_path)]
    assert [path.read_bytes() for path in write(grid, tmp_path)] == first


def test_pages_of_an_earlier_larger_sheet_go_away(tmp_path: Path) -> None:
    grid = make_grid(tmp_path)
    written = write(grid, tmp_path, limit=Limit(1000, 1_000_000))
    assert (tmp_path / "contact-sheet-2.png") in written
    assert [path.name for path in write(grid, tmp_path)] == ["report.html", "contact-sheet.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["contact-sheet.png", "pictures", "report.html"]


class FullDisk(Disk):
    """A real folder on a disk that is full from the n-th new file on."""

    def __init__(self, room: int) -> None:
        self.room = room

    def create(self, path: Path) -> OpenFile:
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(path)


@pytest.mark.parametrize("room", [0, 1])
def test_a_full_disk_leaves_the_earlier_files_whole(tmp_path: Path, room: int) -> None:
    grid = make_grid(tmp_path)
    before = {path: path.read_bytes() for path in write(grid, tmp_path)}
    with pytest.raises(DiskFullError):
        write(Grid("another", "", grid.axes, grid.cells), tmp_path, FullDisk(room))
    sheet, report = tmp_path / "contact-sheet.png", tmp_path / "report.html"
    assert sheet.read_bytes() == before[sheet]
    assert (report.read_bytes() == before[report]) == (room == 0)
    assert report.read_text().rstrip().endswith("</html>")
    assert not list(tmp_path.glob("*.part"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run with blanks & signs")
    write(make_grid(folder), folder)
    return folder


@pytest.fixture
def tab(browser: Any, folder: Path) -> Iterator[Any]:
    """The report in a tab; fails the test if the page asked for anything but files or complained."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    tab = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto((folder / "report.html").as_uri())
    yield tab
    assert not complaints
    assert all(url.startswith("file:") for url in asked)
    context.close()


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)


def view_of(tab: Any, pane: int) -> NDArray[np.uint8]:
    """What the screen shows inside a pane, in device pixels, without the small map in the corner of the first."""
    box = tab.evaluate(
        """async (pane) => {
            await Promise.all([...document.querySelectorAll('.view img')].map((image) => image.decode()));
            for (const map of document.querySelectorAll('.map')) map.hidden = true;
            for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
            const box = document.querySelector(`.view[data-pane='${pane}']`).getBoundingClientRect();
            return [box.left, box.top, box.right, box.bottom].map((px) => Math.round(px * devicePixelRatio));
        }""",
        pane,
    )
    return np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB").crop(box))


def expected(number: int, shape: tuple[int, ...], zoom: int) -> NDArray[np.uint8]:
    """The middle of a picture at whole zoom, nearest neighbour, on the pane's dark ground."""
    y, x = ((np.arange(n) - int(np.floor((n - SIZE * zoom) / 2 + 0.5))) // zoom for n in shape[:2])
    seen = np.full(shape, 0x14, np.uint8)
    inside = np.ix_((y >= 0) & (y < SIZE), (x >= 0) & (x < SIZE))
    seen[inside] = picture(number)[np.ix_(y[(y >= 0) & (y < SIZE)], x[(x >= 0) & (x < SIZE)])]
    return seen


def region_of(seen: NDArray[np.uint8]) -> tuple[int, ...]:
    """Left, top, right, bottom of the picture that a pane shows, read from its pixels."""
    return int(seen[4, 4, 0]), int(seen[4, 4, 1]), int(seen[-5, -5, 0]), int(seen[-5, -5, 1])


def focused(tab: Any) -> str:
    return str(tab.evaluate("document.activeElement.getAttribute('aria-label') ?? ''"))


@pytest.mark.browser
def test_markup_in_a_prompt_is_shown_and_does_not_run(tab: Any) -> None:
    press(tab, "Space", "c")
    assert MARKUP.replace("\u2028", "") in tab.locator("#values").text_content().replace("\u2028", "")
    assert tab.locator("h1").text_content() == f"window light {MARKUP}"
    assert tab.evaluate("window.ran") is None


@pytest.mark.browser
def test_injected_script_is_refused_by_the_pages_own_policy(browser: Any, folder: Path) -> None:
    forged = (folder / "report.html").read_text().replace("<header>", "<script>window.ran = 1</script><header>", 1)
    (folder / "forged.html").write_text(forged)
    tab = browser.new_page()
    tab.goto((folder / "forged.html").as_uri())
    assert tab.evaluate("window.ran") is None
    assert tab.locator("#grid tbody tr").count() == 2
    tab.close()


@pytest.mark.browser
@pytest.mark.parametrize(("presses", "zoom"), [(1, 1), (2, 2), (3, 4)])
def test_every_pane_shows_the_files_own_pixels_of_the_same_region(tab: Any, presses: int, zoom: int) -> None:
    press(tab, "1", "ArrowRight", "2", "c", *["+"] * presses)
    for pane, number in ((0, 0), (1, 4)):
        seen = view_of(tab, pane)
        np.testing.assert_array_equal(seen, expected(number, seen.shape, zoom))


@pytest.mark.browser
@pytest.mark.parametrize("density", [1.25, 1.5, 2])
def test_pixels_stay_exact_on_scaled_displays(browser: Any, folder: Path, density: float) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, device_scale_factor=density)
    tab = context.new_page()
    tab.goto((folder / "report.html").as_uri())
    press(tab, "1", "ArrowRight", "2", "c", "+", "+")
    for pane, number in ((0, 0), (1, 4)):
        seen = view_of(tab, pane)
        np.testing.assert_array_equal(seen, expected(number, seen.shape, 2))
    context.close()


@pytest.mark.browser
def test_wheel_and_dragging_in_one_pane_move_all_panes(tab: Any) -> None:
    press(tab, "1", "ArrowRight", "2", "ArrowDown", "3", "c", "+", "+")
    box = tab.locator(".view[data-pane='1']").bounding_box()
    under = view_of(tab, 1)[60, 100]
    tab.mouse.move(box["x"] + 100, box["y"] + 60)
    tab.mouse.wheel(0, -100)
    tab.locator("#zooms [aria-pressed=true]", has_text="400 %").wait_for()
    assert np.abs(view_of(tab, 1)[60, 100].astype(int) - under).max() <= 1
    zoomed = [region_of(view_of(tab, pane)) for pane in range(3)]
    assert zoomed[0] == zoomed[1] == zoomed[2]
    tab.mouse.down()
    tab.mouse.move(box["x"] + 60, box["y"] + 40, steps=3)
    tab.mouse.up()
    dragged = [region_of(view_of(tab, pane)) for pane in range(3)]
    assert dragged[0] == dragged[1] == dragged[2]
    assert (dragged[0][0] - zoomed[0][0], dragged[0][1] - zoomed[0][1]) == (10, 5)


@pytest.mark.browser
def test_the_picture_never_leaves_its_pane(tab: Any) -> None:
    press(tab, "1", "ArrowRight", "2", "c", "w", "+", "+", "+")
    tab.locator(".view[data-pane='1']").focus()
    press(tab, *["ArrowRight", "ArrowDown"] * 40)
    assert region_of(view_of(tab, 0))[2:] == (SIZE - 1 - 1, SIZE - 1 - 1)
    press(tab, *["ArrowLeft", "ArrowUp"] * 40)
    assert region_of(view_of(tab, 0))[:2] == (1, 1)


@pytest.mark.browser
def test_holding_f_swaps_the_two_pictures_in_place(tab: Any) -> None:
    press(tab, "1", "ArrowRight", "2", "c", "+")
    left, right = view_of(tab, 0), view_of(tab, 1)
    tab.keyboard.down("f")
    np.testing.assert_array_equal(view_of(tab, 0), right)
    np.testing.assert_array_equal(view_of(tab, 1), left)
    tab.keyboard.up("f")
    np.testing.assert_array_equal(view_of(tab, 0), left)


@pytest.mark.browser
def test_fit_shows_the_whole_picture_and_zoom_survives_another_cell(tab: Any) -> None:
    press(tab, "1", "c")
    assert tab.locator("#zooms [aria-pressed=true]").text_content() == "Fit"
    seen = view_of(tab, 0)
    middle = seen[:, seen.shape[1] // 2, 1]
    assert middle.min() <= 2
    assert middle.max() >= SIZE - 3
    press(tab, "+", "+", "ArrowRight", "1")
    assert tab.locator("#zooms [aria-pressed=true]").text_content() == "200"
    np.testing.assert_array_equal(view_of(tab, 0), expected(4, view_of(tab, 0).shape, 2))


@pytest.mark.browser
def test_keys_walk_select_compare_and_leave(tab: Any) -> None:
    assert focused(tab).startswith("guidance 2 · steps 10 · seed 7, done")
    press(tab, "ArrowRight", "ArrowDown", "Enter", "ArrowLeft", "Space")
    assert focused(tab).startswith("guidance 2 · steps 20 · seed 7")
    assert tab.locator("#grid .letter").all_text_contents() == ["B", "A"]
    press(tab, "c")
    assert tab.locator(".pane .what").all_text_contents() == ["guidance 3", "guidance 2"]
    press(tab, "Escape")
    assert tab.locator("#compare").is_hidden()
    press(tab, "Escape")
    assert tab.locator("#grid .letter").count() == 0
    press(tab, "?")
    assert tab.locator("#help").is_visible()
    press(tab, "Escape")
    assert tab.locator("#help").is_hidden()


@pytest.mark.browser
def test_a_fifth_cell_replaces_the_last_and_says_so(tab: Any) -> None:
    for place in ("0,0,0", "1,0,0", "2,0,0", "0,1,0", "1,1,0"):
        tab.locator(f"[data-place='{place}']").click()
    assert tab.locator("[data-place='1,1,0'] .letter").text_content() == "D"
    assert tab.locator("#grid .letter").count() == 4
    assert "D is now this cell" in tab.locator("#said").text_content()


@pytest.mark.browser
def test_layers_turn_and_axes_swap_with_the_right_pictures(tab: Any) -> None:
    def shown() -> list[list[str]]:
        return tab.evaluate("""[...document.querySelectorAll('#grid tbody tr')].map((row) =>
            [...row.querySelectorAll('[role=gridcell]')].map((cell) => cell.querySelector('img')?.getAttribute('src')
                ?? cell.innerText.split('\\n')[0]))""")

    def names(*numbers: int) -> list[str]:
        return [f"pictures/{number}.png" for number in numbers]

    assert shown() == [names(0, 4, 8), [*names(2, 6), "failed"]]
    press(tab, "]")
    assert shown() == [names(1, 5, 9), [*names(3, 7), "waiting"]]
    press(tab, "x")
    assert shown() == [names(1, 3), names(5, 7), [*names(9), "waiting"]]
    assert tab.locator("#grid thead th").all_inner_texts()[1:] == ["10", "20"]
    tab.locator("#rows").select_option(label="seed")
    assert shown() == [names(0, 2), names(1, 3)]


@pytest.mark.browser
def test_failed_cells_tell_their_reason_and_can_be_found(tab: Any) -> None:
    assert tab.locator("#counts li").all_inner_texts() == ["10 done", "1 failed", "1 waiting"]
    press(tab, "]", "n")
    assert focused(tab) == f"guidance 4 · steps 20 · seed 7, failed: {REASON}"
    press(tab, "1", "c")
    assert REASON in tab.locator(".view").inner_text()


@pytest.mark.browser
def test_values_that_differ_are_listed_and_equal_ones_folded_away(tab: Any) -> None:
    press(tab, "1", "ArrowRight", "2", "c")
    rows = tab.locator("#values > table tbody tr").all_inner_texts()
    assert [re.split(r"\s+", row) for row in rows] == [["guidance", "2", "3"], ["key", "key0", "key4"]]
    assert tab.locator("#values summary").inner_text() == "6 equal values"
    assert not tab.get_by_text("negative").is_visible()


@pytest.mark.browser
def test_v_copies_all_values_of_the_cell(tab: Any) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    press(tab, "ArrowRight", "v")
    tab.get_by_text("Copied the values of guidance 3").wait_for()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied == f"prompt: {MARKUP}\nnegative: \nguidance: 3\nsteps: 10\nseed: 7\nkey: key4"


@pytest.mark.browser
def test_labels_stay_in_sight_while_the_grid_scrolls(tab: Any) -> None:
    tab.evaluate("view.isSizeChosen = true; setSize(512)")
    tab.locator("#grid-area").evaluate("area => area.scrollTo(5000, 5000)")
    area = tab.locator("#grid-area").bounding_box()
    for at in ("thead th:last-child", "tbody tr:last-child th"):
        box = tab.locator(f"#grid {at}").bounding_box()
        assert box["x"] >= area["x"] - 1
        assert box["y"] >= area["y"] - 1
    assert tab.locator("#grid tbody tr:last-child th").bounding_box()["x"] == area["x"]
    assert tab.locator("#grid thead th").last.bounding_box()["y"] == area["y"]


@pytest.mark.browser
def test_all_text_has_contrast_and_nothing_is_coloured(tab: Any) -> None:
    press(tab, "1", "ArrowRight", "2", "c")
    faults = tab.evaluate("""() => {
        const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
        const light = ([r]) => { const s = r / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; };
        const ground = (e) => { const c = parts(getComputedStyle(e).backgroundColor);
            return (c[3] ?? 1) > 0.5 || !e.parentElement ? c : ground(e.parentElement); };
        const faults = [];
        for (const e of document.querySelectorAll('body *')) {
            const style = getComputedStyle(e), [r, g, b] = parts(style.color), under = ground(e);
            if (r !== g || g !== b || under[0] !== under[1] || under[1] !== under[2]) faults.push([e.tagName]);
            if (!e.innerText?.trim() || !e.checkVisibility()) continue;
            const [dark, bright] = [light([r]), light(under)].sort((x, y) => x - y);
            if ((bright + 0.05) / (dark + 0.05) < 4.5) faults.push([e.tagName, e.className, style.color, under]);
        }
        return faults;
    }""")
    assert faults == []


@pytest.mark.browser
def test_a_picture_deleted_since_is_shown_as_unreadable(browser: Any, tmp_path: Path) -> None:
    write(make_grid(tmp_path), tmp_path)
    (tmp_path / "pictures/4.png").unlink()
    tab = browser.new_page()
    tab.goto((tmp_path / "report.html").as_uri())
    tab.wait_for_selector(".damaged")
    assert tab.locator("[data-place='1,0,0']").inner_text() == "picture cannot be read\npictures/4.png"
    tab.close()


@pytest.mark.browser
@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_axes_open_too(browser: Any, tmp_path: Path, count: int) -> None:
    cells = [GridCell((0,) * count, "key", None, "failed", REASON)]
    write(Grid("one", "", (GridAxis("seed", ("7",)),)[:count], tuple(cells)), tmp_path)
    tab = browser.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.goto((tmp_path / "report.html").as_uri())
    press(tab, "ArrowRight", "]", "x", "Space", "c")
    assert REASON in tab.locator("#grid").inner_text()
    assert tab.locator(".view").count() == 1
    assert not faults
    tab.close()
