"""The contact sheet: every label inside the page, pages kept small, nothing dropped unseen."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweeps.grid import Grid, GridAxis, GridCell
from sweeps.lettering import Style, letter
from sweeps.sheet import Box, Frame, Limit, Page, Shown, Text, plan, shown_size
from sweeps.sheet_drawing import draw, picture_sizes

LONG = "portrait of an old fisherman, raking key light from the left, 85 mm lens at two metres, wool sweater, grain"


def grid_of(*axes: GridAxis, **changes: GridCell) -> Grid:
    """A full grid; `changes` replace cells by place, as in at_0_1=..."""
    cells = []
    for place in np.ndindex(*(len(axis.labels) for axis in axes)):
        name = "_".join(map(str, place))
        done = GridCell(
            place, f"key{name}", f"pictures/{name}.png", "done", values=(("prompt", "a face"), ("place", name))
        )
        cells.append(changes.get(f"at_{name}", done))
    return Grid("window light", "demo-sdxl", axes, tuple(cells))


def sizes_of(grid: Grid, size: tuple[int, int] = (200, 240)) -> dict[str, tuple[int, int]]:
    return {cell.picture: size for cell in grid.cells if cell.picture}


def texts_of(page: Page) -> list[Text]:
    return [box for box in page.boxes if isinstance(box, Text)]


def words_of(page: Page) -> str:
    return "\n".join(" ".join(text.lettering.lines) for text in texts_of(page))


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def save_pictures(grid: Grid, folder: Path, size: tuple[int, int]) -> None:
    (folder / "pictures").mkdir()
    for grey, cell in enumerate(grid.cells):
        if cell.picture:
            Image.new("RGB", size, (40 + grey, 90, 200)).save(folder / cell.picture)


@pytest.fixture
def long_labels() -> Grid:
    prompts = tuple(f"{LONG} number {number} {LONG * number}" for number in range(1, 5))
    schedulers = ("euler", "dpmpp-2m-sde-karras-with-a-name-that-is-far-too-long-for-one-line", "Größe Ж λ")
    return grid_of(
        GridAxis("scheduler", schedulers), GridAxis("prompt", prompts), GridAxis("seed", ("7", str(2**64 - 1)))
    )


def test_every_box_lies_inside_its_page_and_over_no_other(long_labels: Grid) -> None:
    for page in plan(long_labels, sizes_of(long_labels), limit=Limit(2400, 6_000_000)):
        for box in page.boxes:
            assert box.x >= 0
            assert box.y >= 0
            assert box.x + box.width <= page.width
            assert box.y + box.height <= page.height
        for at, box in enumerate(page.boxes):
            assert not any(overlap(box, other) for other in page.boxes[at + 1 :])
        for text in texts_of(page):
            assert text.lettering.width <= text.width


def test_letters_stay_inside_their_boxes_when_drawn(long_labels: Grid, tmp_path: Path) -> None:
    (page,) = plan(long_labels, {})
    ink = np.asarray(Image.open(_drawn(page, tmp_path)).convert("L")).astype(int) > 70
    for box in page.boxes:
        ink[max(0, box.y - 1) : box.y + box.height + 1, max(0, box.x - 1) : box.x + box.width + 1] = False
    assert not ink.any()


def _drawn(page: Page, folder: Path) -> Path:
    path = folder / "page.png"
    path.write_bytes(draw(page, folder))
    return path


def test_a_label_that_is_cut_stands_whole_at_the_foot_of_the_same_page(long_labels: Grid) -> None:
    pages = plan(long_labels, sizes_of(long_labels, (128, 128)), limit=Limit(2000, 1_000_000))
    assert len(pages) > 1
    cut = [(page, text) for page in pages for text in texts_of(page) if text.lettering.is_cut]
    assert cut
    for page, text in cut:
        assert text.lettering.lines[-1].endswith(f"… ({text.note})")
        shown = "".join(text.lettering.lines).split("…")[0].replace(" ", "")
        assert any(words.replace(" ", "").startswith(f"({text.note}){shown}") for words in words_of(page).split("\n"))
    everything = "".join(words_of(page) for page in pages).replace(" ", "").replace("\n", "")
    assert all(label.replace(" ", "") in everything for axis in long_labels.axes for label in axis.labels)


def test_a_large_grid_is_divided_into_pages_that_repeat_the_labels() -> None:
    columns, rows = tuple(f"g{n}" for n in range(40)), tuple(f"s{n}" for n in range(30))
    grid, limit = grid_of(GridAxis("guidance", columns), GridAxis("steps", rows)), Limit(4000, 9_000_000)
    pages = plan(grid, sizes_of(grid), limit=limit)
    assert all(max(page.width, page.height) <= limit.side_px for page in pages)
    assert all(page.width * page.height <= limit.pixels for page in pages)
    shown = [box.picture for page in pages for box in page.boxes if isinstance(box, Shown)]
    assert sorted(shown) == sorted(cell.picture for cell in grid.cells if cell.picture)
    for number, page in enumerate(pages, 1):
        words = words_of(page)
        assert f"page {number} of {len(pages)}" in words
        for box in page.boxes:
            if isinstance(box, Shown):
                column, row = box.picture.removeprefix("pictures/").removesuffix(".png").split("_")
                assert {f"g{column}", f"s{row}"} <= set(words.split("\n"))


def test_a_small_grid_is_one_page_with_title_counts_and_what_all_cells_share() -> None:
    grid = grid_of(GridAxis("guidance", ("2", "3")), GridAxis("steps", ("10",)))
    (page,) = plan(grid, sizes_of(grid))
    lines = words_of(page).split("\n")
    assert lines[:4] == ["window light", "demo-sdxl", "2 done", "prompt a face"]
    assert "guidance →" in lines
    assert "steps ↓" in lines
    assert not any(line.startswith("page") for line in lines)


@pytest.mark.parametrize("axes", [(), (GridAxis("seed", ("1", "2", "3")),)])
def test_fewer_than_two_axes_make_a_sheet_too(axes: tuple[GridAxis, ...]) -> None:
    grid = grid_of(*axes)
    (page,) = plan(grid, sizes_of(grid))
    assert sum(isinstance(box, Shown) for box in page.boxes) == len(grid.cells)


def test_failed_waiting_and_unreadable_cells_are_frames_that_say_why() -> None:
    failed = GridCell((0, 0), "a", None, "failed", "latents are not finite after step 3 of 28")
    waiting = GridCell((1, 0), "b", None, "waiting")
    grid = grid_of(GridAxis("guidance", ("2", "3", "4")), GridAxis("steps", ("10",)), at_0_0=failed, at_1_0=waiting)
    (page,) = plan(grid, {})
    frames = [box for box in page.boxes if isinstance(box, Frame)]
    assert [frame.is_dashed for frame in frames] == [True, False, True]
    lines = words_of(page).split("\n")
    assert "latents are not finite after step 3 of 28" in lines
    assert lines.count("waiting") == 1
    assert "picture cannot be read" in lines


def test_a_warning_stands_under_its_picture_and_in_words_at_the_foot() -> None:
    warned = GridCell((1,), "b", "pictures/1.png", "done", warning="guidance 9 is above 7")
    (page,) = plan(grid_of(GridAxis("guidance", ("2", "9")), at_1=warned), {"pictures/1.png": (64, 64)})
    assert "warning (1)" in words_of(page)
    assert "(1) guidance 9 is above 7" in words_of(page)


def test_pictures_keep_their_pixels_up_to_512_wide_and_are_scaled_beyond(tmp_path: Path) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    grid = grid_of(GridAxis("seed", ("1",)))
    (tmp_path / "pictures").mkdir()
    Image.fromarray(noise).save(tmp_path / "pictures/0.png")
    (page,) = plan(grid, picture_sizes(["pictures/0.png"], tmp_path))
    (box,) = (box for box in page.boxes if isinstance(box, Shown))
    sheet = np.asarray(Image.open(_drawn(page, tmp_path)))
    np.testing.assert_array_equal(sheet[box.y : box.y + 96, box.x : box.x + 160], noise)
    assert shown_size((1024, 1536)) == (512, 768)
    assert shown_size((64, 80)) == (64, 80)


def test_equal_grids_give_equal_bytes(tmp_path: Path) -> None:
    grid = grid_of(GridAxis("guidance", ("2", "3")), GridAxis("steps", ("10", "20")))
    save_pictures(grid, tmp_path, (600, 500))
    sizes = picture_sizes([cell.picture for cell in grid.cells if cell.picture], tmp_path)
    once, again = ([draw(page, tmp_path) for page in plan(grid, sizes)] for _ in range(2))
    assert once == again


def test_a_picture_that_breaks_off_does_not_stop_the_sheet(tmp_path: Path) -> None:
    grid = grid_of(GridAxis("seed", ("1", "2")))
    save_pictures(grid, tmp_path, (200, 200))
    torn = tmp_path / "pictures/0.png"
    torn.write_bytes(torn.read_bytes()[:100])
    (page,) = plan(grid, picture_sizes(["pictures/0.png", "pictures/1.png"], tmp_path))
    sheet = np.asarray(Image.open(_drawn(page, tmp_path)))
    whole = [box for box in page.boxes if isinstance(box, Shown)][1]
    assert tuple(sheet[whole.y + 100, whole.x + 100]) == (41, 90, 200)


@pytest.mark.parametrize("text", ["Größe", "Łódź", "Ж λ é", "2 × 3 ≤ 6 → 7"])
def test_european_letters_are_in_the_shipped_font(text: str) -> None:
    lettering = letter(text, Style(15, 255), width=400)
    assert lettering.font.getname()[0] == "Inter"
    assert lettering.lines == (text,)


def test_a_letter_that_no_font_has_is_written_as_its_number_and_explained() -> None:
    lettering = letter("a \U000f0000 \x07", Style(15, 255), width=400)
    assert lettering.lines == ("a [F0000] [0007]",)
    (page,) = plan(grid_of(GridAxis("prompt", ("a \U000f0000",))), {})
    assert "stand for letters that no font here has" in words_of(page)


@pytest.mark.parametrize("picture", ["../secret.png", "/etc/passwd.png"])
def test_a_picture_outside_the_run_folder_is_refused(picture: str) -> None:
    with pytest.raises(ValueError, match="leaves the run folder"):
        GridCell((0,), "key", picture, "done")
