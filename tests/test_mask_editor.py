"""The mask editor alone on a page: painted bytes are exact at any zoom, every step is undone, regions make words."""

import base64
import io
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests import bare_page
from tests.bare_page import FAULTS, SIZE, press

pytestmark = pytest.mark.browser
MOUNT = """async (faces) => {
    const { MaskEditor } = await import("/mask_editor.js");
    if (!window.editor) {
        const style = document.createElement("link");
        const styled = new Promise((done) => { style.onload = done; });
        document.head.append(Object.assign(style, {rel: "stylesheet", href: "/mask_editor.css"}));
        await styled;
    }
    window.editor?.destroy();
    window.heard = {expressions: [], changes: [], said: [], faces: []};
    window.editor = new MaskEditor(document.getElementById("place"), {on: {
        expression: (text) => heard.expressions.push(text), change: (state) => heard.changes.push(state),
        say: (line) => heard.said.push(line), face: (number) => heard.faces.push(number)}});
    await editor.open({url: "/noise0.png", width: 256, height: 256, faces, no_face: "No face was found."});
}"""
BYTES = """async () => {
    const bytes = new Uint8Array(await (await editor.mask()).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""
PUT = """async ([text, how]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return editor[how](new Blob([bytes]));
}"""


def square(left: int, top: int, side: int) -> list[list[int]]:
    return [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]


def face(number: int, left: int) -> dict[str, Any]:
    regions = {
        "skin": {"polygons": [square(left, 60, 80)], "url": "/skin.png"},
        "cheeks": {"polygons": [square(left + 10, 90, 20), square(left + 50, 90, 20)], "url": "/cheeks.png"},
        "left-cheek": {"polygons": [square(left + 10, 90, 20)], "url": "/cheeks.png"},
    }
    return {"number": number, "box": [left, 60, left + 80, 140], "eye_distance": 40, "note": "", "regions": regions}


def grey_png(pixels: NDArray[np.uint8], mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def site() -> Iterator[bare_page.Site]:
    with bare_page.served() as served:
        skin = np.zeros((SIZE, SIZE), np.uint8)
        skin[60:140, 20:100] = 200
        served.files |= {"/skin.png": grey_png(skin), "/cheeks.png": grey_png(skin // 2)}
        yield served


@pytest.fixture(scope="module")
def editor(browser: Any, site: bare_page.Site) -> Iterator[Callable[..., Any]]:
    """Mounts a fresh editor; the page under it is opened once for each pixel density."""
    with bare_page.tabs(browser, site) as open_page:
        opened: dict[float, Any] = {}

        def mounted(density: float = 1, faces: int = 2) -> Any:
            tab = opened[density] = opened.get(density) or open_page(density)
            tab.evaluate(MOUNT, [face(number + 1, 20 + 120 * number) for number in range(faces)])
            return tab

        yield mounted


def mask_of(tab: Any) -> NDArray[np.uint8]:
    """The exported mask as any other program reads it."""
    image = Image.open(io.BytesIO(base64.b64decode(tab.evaluate(BYTES))))
    assert (image.mode, image.size) == ("L", (SIZE, SIZE))
    return np.asarray(image)


def put(tab: Any, png: bytes, how: str = "loadMask") -> bool:
    return bool(tab.evaluate(PUT, [base64.b64encode(png).decode(), how]))


def client(tab: Any, x: float, y: float) -> tuple[float, float]:
    """Where a point of the picture is in the window."""
    place = """([x, y]) => {
        const {left, top} = editor.frame.getBoundingClientRect(), {shift, corner, scale} = editor;
        return [left + shift[0] + (corner[0] + x * scale) / devicePixelRatio,
            top + shift[1] + (corner[1] + y * scale) / devicePixelRatio];
    }"""
    across, down = tab.evaluate(place, [x, y])
    return across, down


def drag(tab: Any, *points: tuple[float, float], button: Any = "left") -> None:
    for at, point in enumerate(points):
        tab.mouse.move(*client(tab, *point))
        if at == 0:
            tab.mouse.down(button=button)
    tab.mouse.up(button=button)


def stroke(points: list[tuple[float, float]], radius: float, hardness: float) -> NDArray[np.float64]:
    """What a brush covers on its way, 0..1: written anew from what the brush promises."""
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    inner = min(radius * hardness, radius - 0.5)
    outer = max(radius, inner + 1)
    covered = np.zeros((SIZE, SIZE))
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        share = np.clip((np.hypot(x - x0 - along * dx, y - y0 - along * dy) - inner) / (outer - inner), 0, 1)
        covered = np.maximum(covered, 1 - share**2 * (3 - 2 * share))
    return covered


@pytest.mark.parametrize("density", [1, 1.25, 2])
def test_what_is_painted_is_the_same_bytes_at_every_zoom(editor: Callable[..., Any], density: float) -> None:
    tab = editor(density)
    path = [(100.0, 120.0), (140.0, 100.0), (132.0, 148.0)]
    tab.evaluate("editor.setBrush({size: 18, hardness: 0.3})")
    wanted = stroke(path, 9, 0.3) * 255
    for zoom in (0, 1, 2, 4):
        tab.evaluate("(zoom) => { editor.setTool('brush'); editor.clear(); editor.zoomTo(zoom); }", zoom)
        drag(tab, *path)
        found = mask_of(tab)
        np.testing.assert_array_less(np.abs(found - wanted), 20, "half a pixel of the screen at most")
        if density == 1 and zoom:
            np.testing.assert_array_less(np.abs(found - wanted), 1.01)
    assert tab.evaluate("editor.isPainted")


def test_the_tint_lies_on_the_painted_pixels(editor: Callable[..., Any]) -> None:
    tab = editor()
    press(tab, "b", "Shift+Digit1")
    tab.evaluate("editor.setBrush({size: 12, hardness: 1})")
    drag(tab, (60, 60), (90, 70))
    seen = """async () => {
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        const {data} = editor.context.getImageData(...editor.corner, 256, 256);
        return Array.from({length: 256 * 256}, (_, at) => data[4 * at + 3]);
    }"""
    tint, mask = np.array(tab.evaluate(seen)).reshape(SIZE, SIZE), mask_of(tab)
    assert (tint[mask >= 128] > 0).all()
    beside = np.pad(mask, 1)[1:-1, :-2] | np.pad(mask, 1)[:-2, 1:-1]  # the line of the edge lies on these
    assert not tint[(mask == 0) & (beside == 0)].any()
    press(tab, "h")
    assert not tab.is_visible(".sl-mask-layers > canvas")


def test_every_level_comes_back_and_files_of_other_programs_are_read(editor: Callable[..., Any]) -> None:
    tab = editor()
    levels = np.random.default_rng(1).permutation(np.arange(SIZE * SIZE) % 256).reshape(SIZE, SIZE).astype(np.uint8)
    ramp = np.add.outer(np.arange(SIZE), np.arange(SIZE)).astype(np.uint8)  # Pillow filters its rows
    for pixels in (levels, ramp):
        for mode in ("L", "RGB"):
            tab.evaluate("editor.clear()")
            assert put(tab, grey_png(pixels, mode))
            np.testing.assert_array_equal(mask_of(tab), pixels)
    assert put(tab, grey_png(levels), "setMask")
    assert not tab.evaluate("editor.isPainted"), "a mask that the page gives is its own, not painted"


def test_a_mask_of_another_size_or_no_picture_is_refused_in_one_line(editor: Callable[..., Any]) -> None:
    tab = editor()
    kept = np.full((SIZE, SIZE), 7, np.uint8)
    put(tab, grey_png(kept))
    assert not put(tab, grey_png(kept[:100]))
    assert not put(tab, b"no picture")
    assert not put(tab, grey_png(kept)[:60])
    size, *others = tab.evaluate("heard.said")
    assert size == "this mask is 256 x 100 pixels and the picture 256 x 256; give one of the picture's own size"
    assert others == ["this mask cannot be read; give a grey PNG of the picture's own size"] * 2
    np.testing.assert_array_equal(mask_of(tab), kept)
    tab.evaluate("Promise.all([editor.setMask('/skin.png'), editor.setMask(null)])")
    assert not mask_of(tab).any(), "what was asked for last is what is shown, whichever comes first"


def test_every_step_is_undone_and_done_again_to_the_byte(editor: Callable[..., Any]) -> None:
    tab = editor()
    seen = [mask_of(tab)]

    def step(act: Callable[[], object]) -> None:
        act()
        seen.append(mask_of(tab))
        assert (seen[-1] != seen[-2]).any()
        assert tab.evaluate("editor.state().share") == pytest.approx(seen[-1].mean() / 255)

    tab.evaluate("editor.setExpression('face1.skin')")
    step(lambda: tab.evaluate("editor.setMask('/skin.png')"))
    press(tab, "b", "Shift+Digit2")
    step(lambda: drag(tab, (120, 120), (140, 130)))
    press(tab, "e")
    step(lambda: drag(tab, (90, 100), (110, 125)))
    step(lambda: press(tab, "i"))
    step(lambda: press(tab, "Delete"))
    step(lambda: put(tab, grey_png(np.eye(SIZE, dtype=np.uint8) * 255)))
    for at in range(len(seen) - 2, -1, -1):
        press(tab, "Control+z")
        np.testing.assert_array_equal(mask_of(tab), seen[at])
    assert tab.evaluate("[editor.state().canUndo, editor.state().expression, editor.state().isPainted]") == [
        *(False, "", False)
    ]
    for at in range(1, len(seen)):
        press(tab, "Control+Shift+Z")
        np.testing.assert_array_equal(mask_of(tab), seen[at])
    press(tab, *["Control+z"] * 5)
    assert tab.evaluate("editor.state().expression") == "face1.skin", "the words of a mask come back with it"
    drag_without_end = """() => {
        editor.sheet.begin({isErasing: false, hardness: 1});
        editor.sheet.line({x: 9, y: 9, radius: 5}, {x: 40, y: 40, radius: 5});
    }"""
    tab.evaluate(drag_without_end)
    press(tab, "Escape")
    np.testing.assert_array_equal(mask_of(tab), seen[1])


def test_undo_of_a_large_picture_keeps_numbers_not_copies(editor: Callable[..., Any]) -> None:
    kept = """async () => {
        const { MaskSheet } = await import("/mask_sheet.js");
        const sheet = new MaskSheet(6000, 4000);
        sheet.fill(255);
        sheet.begin({isErasing: true, hardness: 1});
        sheet.line({x: 3000, y: 2000, radius: 100}, {x: 3010, y: 2000, radius: 100});
        sheet.end();
        const bytes = (step) => [...step.tiles.values()].filter((tile) => typeof tile !== "number").length;
        return [sheet.past.map(bytes), sheet.past[1].tiles.size, sheet.share];
    }"""
    copies, tiles, share = editor().evaluate(kept)
    assert copies == [0, 0]
    assert tiles <= 9
    assert share == pytest.approx(1 - (np.pi * 100**2 + 2000) / 24e6, abs=1e-5)


def test_a_shift_click_draws_a_straight_line_and_alt_erases(editor: Callable[..., Any]) -> None:
    tab = editor()
    press(tab, "b", "Shift+Digit1")
    tab.evaluate("editor.setBrush({size: 10, hardness: 1})")
    tab.mouse.click(*client(tab, 40, 40))
    tab.keyboard.down("Shift")
    tab.mouse.click(*client(tab, 200, 80))
    tab.keyboard.up("Shift")
    dot, line = stroke([(40, 40), (40, 40.001)], 5, 1), stroke([(40, 40), (200, 80)], 5, 1)
    np.testing.assert_array_less(np.abs(mask_of(tab) - 255 * (1 - (1 - dot) * (1 - line))), 1.51, "two strokes")
    tab.keyboard.down("Alt")
    drag(tab, (120, 40), (120, 80))
    tab.keyboard.up("Alt")
    assert mask_of(tab)[55:65, 118:122].max() == 0
    radius = "(pressure) => editor.painter.pointOf({clientX: 0, clientY: 0, pointerType: 'pen', pressure}).radius"
    assert [tab.evaluate(radius, pressure) for pressure in (0.2, 1)] == [pytest.approx(2), 5]


def test_regions_are_named_added_taken_away_and_taken_out(editor: Callable[..., Any]) -> None:
    tab = editor()
    tab.mouse.move(*client(tab, 160, 100))
    assert tab.inner_text(".sl-mask-foot .sl-told") == "face 2: cheeks"
    tab.mouse.click(*client(tab, 30, 70))
    assert tab.evaluate("editor.state().face") == 1
    tab.keyboard.down("Alt")
    tab.mouse.click(*client(tab, 40, 100))
    tab.keyboard.up("Alt")
    press(tab, "2")
    tab.get_by_role("button", name="left-cheek").focus()
    press(tab, "Enter", "ArrowUp", "-", "-", "ArrowUp", " ")
    assert tab.evaluate("heard.expressions") == [
        "face1.skin",
        "face1.skin - face1.cheeks",
        "face1.skin - face1.cheeks + face2.left-cheek",
        "face1.skin - face1.cheeks + face2.left-cheek - face2.cheeks",
        "face1.skin - face1.cheeks + face2.left-cheek",
        "face1.skin - face1.cheeks + face2.left-cheek + face2.skin",
    ]
    assert tab.evaluate("heard.faces") == [2], "face 1 was picked from the beginning"
    pressed = tab.locator(".sl-mask-regions button").evaluate_all("(all) => all.map((each) => each.ariaPressed)")
    assert pressed == ["true", "false", "true"]
    assert not mask_of(tab).any(), "the page makes the mask of the words"
    assert tab.evaluate(FAULTS) == []


def test_a_region_is_painted_into_a_painted_mask(editor: Callable[..., Any]) -> None:
    tab = editor()
    press(tab, "b")
    drag(tab, (200, 200), (220, 200))
    painted = mask_of(tab)
    press(tab, "v", "1")
    changes = tab.evaluate("heard.changes.length")
    tab.get_by_role("button", name="skin").click()
    tab.wait_for_function("(before) => heard.changes.length > before", arg=changes)
    skin = np.zeros_like(painted)
    skin[60:140, 20:100] = 200
    np.testing.assert_array_equal(mask_of(tab), np.maximum(painted, skin))
    tab.get_by_role("button", name="cheeks").first.click(modifiers=["Alt"])
    tab.wait_for_function("(before) => heard.changes.length > before + 1", arg=changes)
    np.testing.assert_array_equal(mask_of(tab), np.minimum(np.maximum(painted, skin), 255 - skin // 2))
    assert tab.evaluate("heard.expressions") == []


def test_the_words_keep_what_the_editor_does_not_know(editor: Callable[..., Any]) -> None:
    turned = """async (cases) => {
        const { turned } = await import("/mask_expression.js");
        return cases.map(([text, name, sign]) => turned(text, name, sign));
    }"""
    cases = {
        ("", "face1.skin", "+"): "face1.skin",
        ("", "face1.skin", "-"): "",
        ("face1.skin; feather 0.06", "face1.eyes", "-"): "face1.skin - face1.eyes; feather 0.06",
        ("face1.skin-face1.eyes+faces.left-cheek", "face1.skin", "+"): "faces.left-cheek - face1.eyes",
        ("face1.skin - face1.eyes", "face1.eyes", "+"): "face1.skin + face1.eyes",
        ("face1.skin", "face1.skin", "+"): "",
        ("face1.skin * (face1.nose + @a.png); grow 2px", "face2.chin", "+"): "face1.skin * (face1.nose + @a.png) "
        "+ face2.chin; grow 2px",
    }
    assert editor(faces=0).evaluate(turned, [list(case) for case in cases]) == list(cases.values())


def test_everything_has_a_key_and_typed_text_stays_text(editor: Callable[..., Any]) -> None:
    tab = editor()
    state = "[editor.tool, editor.face, editor.view.zoom, editor.brush.size, editor.brush.hardness, editor.isShown]"
    assert tab.evaluate(state) == ["regions", 1, 0, 10, 0.5, True]
    press(tab, "b", "]", "}", "}", "2", "Shift+Digit4", "\\")
    assert tab.evaluate(state) == ["brush", 2, 4, pytest.approx(11.5), 0.7, False]
    press(tab, "e", "[", "{", "1", "z", "h", "-", "+", "Shift+Digit0", "+")
    assert tab.evaluate(state)[:3] == ["eraser", 1, 4]
    press(tab, "f")
    assert tab.evaluate("editor.scale") == 4
    place = tab.evaluate("editor.view.x")
    tab.keyboard.down(" ")
    drag(tab, (60, 100), (50, 100))
    tab.keyboard.up(" ")
    assert tab.evaluate("editor.view.x") == pytest.approx(place + 10 / SIZE)
    drag(tab, (60, 100), (70, 100), button="middle")
    assert tab.evaluate("editor.view.x") == pytest.approx(place)
    assert not mask_of(tab).any()
    press(tab, "Shift+Digit0")
    under = client(tab, 120, 120)
    tab.mouse.move(*under)
    tab.mouse.wheel(0, -100)
    tab.wait_for_function("editor.view.zoom === 4")
    assert client(tab, 120, 120) == pytest.approx(under, abs=2)  # the pointer lies on whole pixels
    press(tab, "?")
    assert tab.is_visible("dialog")
    press(tab, "Escape")
    tab.evaluate("document.body.append(Object.assign(document.createElement('input'), {id: 'field'}))")
    tab.locator("#field").focus()
    press(tab, "b", "i")
    assert (tab.input_value("#field"), tab.evaluate("editor.tool")) == ("bi", "eraser")
    tab.evaluate("document.getElementById('field').remove()")
    tab.evaluate("editor.destroy()")
    assert tab.inner_html("#place") == ""


def test_one_finger_paints_and_two_move_and_zoom(editor: Callable[..., Any]) -> None:
    tab = editor()
    press(tab, "b", "Shift+Digit1")
    wire = tab.context.new_cdp_session(tab)
    wire.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(points)]
        wire.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    x, y = client(tab, 128, 128)
    touch("touchStart", (x, y))
    touch("touchMove", (x + 20, y))
    touch("touchEnd")
    painted = mask_of(tab)
    assert painted[128, 130:145].min() == 255
    touch("touchStart", (x - 30, y))
    touch("touchStart", (x - 30, y), (x + 30, y))
    touch("touchMove", (x - 30, y), (x + 150, y))
    touch("touchEnd")
    assert tab.evaluate("editor.scale") == pytest.approx(3, rel=0.05)
    np.testing.assert_array_equal(mask_of(tab), painted, "what the first finger began to paint is taken back")
    wire.send("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_picture_without_a_face_is_painted_by_hand(editor: Callable[..., Any]) -> None:
    tab = editor(faces=0)
    assert "No face was found." in tab.inner_text(".sl-mask-side")
    press(tab, "b")
    drag(tab, (100, 100), (120, 100))
    assert tab.evaluate("heard.changes.at(-1).isPainted")
    assert "painted by hand" in tab.inner_text(".sl-mask-foot")
