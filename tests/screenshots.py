"""Screenshots of every tab, for the README and for looking: a real page and worker, the demo checkpoints, no mock-up.

Usage: python -m tests.screenshots OUT. Everything that is seen is made by the page itself, over a state of its own that
is gone afterwards. Knows nothing about how a tab is built. Writes NAME.png, and NAME.webp of at most 300 KB, into OUT.
"""

import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.cbook
import skimage.data
from PIL import Image
from rich.console import Console

from tests.bare_page import chromium, press
from tests.page_server import PageServer

WIDTH, HEIGHT = 1440, 900
FACE_SIZE = {"width": 1760, "height": 1090}
PORTRAIT_SIDE = 500
MOST_BYTES = 300_000
QUALITIES = (95, 92, 88, 84, 80, 75, 70, 60, 50)
PATIENCE_SECONDS = 300.0
"""For a sweep, on a machine that has other work."""
CONSOLE = Console(highlight=False)
PROMPT = "portrait of a woman, side light from the left, soft light, textured skin, pores, short black hair"
BY = {"guidance": "1.5, 3, 5", "steps": "8, 20", "seed": "7, 8"}
SHIPPED_RUN = Path(__file__).parent.parent / "notebooks" / "runs" / "guidance-window"
FACE_STRENGTHS = "0.2, 0.25, 0.3, 0.35"
CHEEK = (0.3, 0.46, 0.5, 0.66)
"""Of the demo sweep's face, which is lit from the left."""
SETTLED = """async () => {
    const seen = () => [...document.images].filter((image) => image.checkVisibility() && image.getAttribute("src"));
    await document.fonts.ready;
    while (!seen().every((image) => image.complete)) await new Promise(requestAnimationFrame);
    await Promise.all(seen().map((image) => image.decode().catch(() => null)));
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
}"""
HALF_MADE = """(count) => {
    if (document.querySelectorAll(".sl-tile").length >= count) return "over";
    const share = Number(/[0-9.]+/.exec(document.querySelector(".sl-making-job .sl-progress i").style.transform) ?? 0);
    return document.querySelector(".sl-making-frame img.sl-preview") && share > 0.65 ? "preview" : "";
}"""


class Camera:
    """A browser's tab on the page, and the folder that its screenshots go to."""

    def __init__(self, tab: Any, server: PageServer, folder: Path) -> None:
        self.tab, self._server, self._folder = tab, server, folder

    def open(self, query: str) -> None:
        """The page at that address, once its header is drawn."""
        self.tab.goto(self._server.url + query)
        self.tab.locator("#tabs [role=tab]").first.wait_for()

    def go(self, name: str) -> None:
        """Another tab of the page."""
        self.tab.get_by_role("tab", name=name).click()

    def until(self, condition: str, argument: Any = None) -> Any:
        """What the condition, a function of the page, answers once it is true."""
        return self.tab.wait_for_function(condition, arg=argument).json_value()

    def take(self, name: str) -> None:
        """The page as it is now, once all pictures on it are drawn."""
        self.tab.mouse.move(WIDTH / 2, HEIGHT - 1)
        self.tab.evaluate(SETTLED)
        png = self._folder / f"{name}.png"
        self.tab.screenshot(path=png)
        small, quality = fitted(png)
        png.with_suffix(".webp").write_bytes(small)
        said = f"WebP {len(small) / 1000:.0f} KB at quality {quality}"
        CONSOLE.print(f"{png.name}: PNG {png.stat().st_size / 1000:.0f} KB, {said}")


def fitted(png: Path) -> tuple[bytes, int]:
    """The picture as WebP of at most MOST_BYTES, at the best quality that fits, and that quality."""
    image = Image.open(png).convert("RGB")
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "webp", quality=quality, method=6)
        if file.tell() <= MOST_BYTES:
            return file.getvalue(), quality
    raise SystemExit(f"{png.name} does not fit into {MOST_BYTES} bytes at any quality")


def start_demo(camera: Camera) -> str:
    """The demo sweep by one click; its run."""
    camera.open("?tab=sweep")
    camera.tab.get_by_role("button", name="Start the demo sweep").click()
    return opened_run(camera)


def start_sweep(camera: Camera, name: str) -> str:
    """A small sweep of demo-sdxl, put together in the builder; its run."""
    camera.open("?tab=sweep")
    camera.tab.locator(".sl-base span").first.wait_for()
    camera.tab.get_by_role("button", name="Clear").click()  # what stands there is the demo sweep
    camera.tab.locator(".sl-base", has_text="From the demo sweep").wait_for(state="detached")
    camera.tab.get_by_role("textbox", name="Name").fill(name)
    chosen, values = camera.tab.get_by_role("combobox", name="What varies"), camera.tab.locator(".sl-axis textarea")
    while values.count() < len(BY):
        camera.tab.get_by_role("button", name="Add an axis").click()
    for at, (field, text) in enumerate(BY.items()):
        chosen.nth(at).select_option(field)
        values.nth(at).fill(text)
    camera.tab.locator(".sl-figures", has_text="12").wait_for()
    camera.tab.get_by_role("button", name="Start sweep").click()
    return opened_run(camera)


def opened_run(camera: Camera) -> str:
    """The run that the page opens next."""
    return str(camera.until("() => new URL(location.href).searchParams.get('run')"))


def wait_for_all(camera: Camera) -> None:
    """Until the run that is open in the Sweep tab is done."""
    camera.tab.locator(".sl-run-line", has_text="· done").wait_for()


def shoot_sweep(camera: Camera, cells: int) -> None:
    """The grid while it fills: so many cells of the layer that is seen are done, and one is being made."""
    camera.until("(count) => document.querySelectorAll('#tab-sweep .sl-cell.sl-done img').length >= count", cells)
    camera.until("() => document.querySelector('#tab-sweep .sl-cell.sl-live') !== null")
    camera.take("sweep")


def shoot_create(camera: Camera) -> None:
    """A picture in a template's light, then one of a prompt: while its preview shows, and as it is."""
    camera.go("Create")
    camera.tab.get_by_role("checkbox", name="Keep").check()  # else each picture would have a seed of its own
    lights = camera.tab.locator(".sl-heads [role=radio]")
    lights.nth(1).click()
    make_picture(camera, seed=7, number=1)
    lights.first.click()
    camera.tab.get_by_role("textbox", name="Prompt").fill(PROMPT)
    for number, seed in enumerate((3, 7, 8), start=2):
        make_picture(camera, seed=seed, number=number)
    camera.until("() => !document.querySelector('#head').innerText.includes('Picture')")
    camera.take("create")


def make_picture(camera: Camera, *, seed: int, number: int) -> None:
    """Make one picture, and wait until it is shown as the last of so many; the second one is taken half made, too."""
    camera.tab.get_by_role("textbox", name="Seed").fill(str(seed))
    camera.tab.get_by_role("button", name="Make picture").click()
    camera.tab.locator("#create-checkpoint").scroll_into_view_if_needed()
    if camera.until(HALF_MADE, number) == "preview" and number == 2:
        camera.take("create-preview")
    camera.until("(count) => document.querySelectorAll('.sl-tile').length >= count", number)
    camera.tab.locator(".sl-making-frame img.sl-picture").wait_for()


def keys_at(server: PageServer, run: str, *wanted: dict[str, str]) -> list[str]:
    """The pictures whose labels on the run's axes are these."""
    grid = server.ask(f"/api/runs/{run}/grid")
    labels = [
        {axis["name"]: axis["labels"][at] for axis, at in zip(grid["axes"], cell["place"], strict=True)}
        for cell in grid["cells"]
    ]
    cells = list(zip(grid["cells"], labels, strict=True))
    return [next(cell["key"] for cell, label in cells if want.items() <= label.items()) for want in wanted]


def shoot_compare(camera: Camera, run: str, keys: Sequence[str]) -> None:
    """Two panes on the cheek at 200 %, with what is thought of them said by keys."""
    camera.open(f"?tab=compare&run={run}" + "".join(f"&cell={key}" for key in keys))
    camera.until("(count) => document.querySelectorAll('.sl-stage .sl-shown img').length === count", len(keys))
    camera.tab.locator(".sl-frame").nth(1).focus()
    press(camera.tab, "2", "x", "t", "7", "/")
    camera.tab.keyboard.type("closes up: wax on the cheek and the nose")
    press(camera.tab, "Enter")
    camera.tab.locator("#tab-compare .sl-grid .sl-cell.sl-done").nth(5).focus()
    press(camera.tab, "3", "p", "ArrowLeft", "2", "ArrowUp", "ArrowRight", "1")
    camera.tab.locator(".sl-frame").first.focus()
    press(camera.tab, "4", "p", "/")
    camera.tab.keyboard.type("pores stay, light is right")
    press(camera.tab, "Enter")
    camera.until("() => document.querySelectorAll('#tab-compare .sl-grid .sl-marks.sl-full').length >= 5")
    name_place(camera, "Cheek", CHEEK)
    press(camera.tab, "c", "Shift+Digit2")
    camera.take("compare")
    press(camera.tab, "Shift+Digit4")
    camera.take("compare-cheek")


def name_place(camera: Camera, name: str, rectangle: tuple[float, float, float, float]) -> None:
    """Draw around a place in the first picture, and name it; left, top, right and bottom are shares of the picture."""
    press(camera.tab, "Shift+Digit0")
    frame = camera.tab.locator(".sl-frame").first
    box = frame.bounding_box()
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    corners = [(left + side * rectangle[at], top + side * rectangle[at + 1]) for at in (0, 2)]
    camera.tab.keyboard.down("Shift")
    camera.tab.mouse.move(*corners[0])
    camera.tab.mouse.down()
    camera.tab.mouse.move(*corners[1], steps=4)
    camera.tab.mouse.up()
    camera.tab.keyboard.up("Shift")
    camera.tab.locator(".sl-naming").get_by_role("button", name=name).click()
    camera.until("(name) => !document.querySelector(`.sl-viewer button[value=${name}]`).disabled", name.lower())
    camera.tab.locator(".sl-said").get_by_role("button", name="Close").click()
    frame.focus()


def portrait(path: Path) -> Path:
    """An astronaut and an admiral beside each other, 1000 x 500."""
    admiral = Image.open(str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))).convert("RGB")
    square = (0, 0, admiral.width, admiral.width)
    both = Image.new("RGB", (2 * PORTRAIT_SIDE, PORTRAIT_SIDE))
    for at, one in enumerate((Image.fromarray(skimage.data.astronaut()), admiral.crop(square))):
        both.paste(one.resize((PORTRAIT_SIDE, PORTRAIT_SIDE), Image.Resampling.LANCZOS), (at * PORTRAIT_SIDE, 0))
    both.save(path)
    return path


def shoot_face(camera: Camera, path: Path) -> None:
    """The mask of the skin of one of two faces; then what four strengths made of it, wiped against before."""
    camera.tab.set_viewport_size(FACE_SIZE)
    camera.open("?tab=face")
    camera.tab.set_input_files(".sl-face-form > section input[type=file]", path)
    camera.tab.click(".sl-face-form button:text-is('Face 2')")
    camera.tab.fill(".sl-face [name=strength]", FACE_STRENGTHS)
    camera.tab.locator(".sl-face-editor", has_text="from its regions").wait_for()
    camera.tab.locator(".sl-face-foot .sl-quiet", has_text="4 pictures").wait_for()
    camera.tab.locator(".sl-face-form .sl-note", has_text="The light is flat").wait_for()
    camera.tab.evaluate("document.activeElement.blur()")
    camera.take("face")
    camera.tab.click(".sl-face-foot button:text-is('Repair')")
    camera.tab.locator(".sl-face-tile[data-state=done]").nth(4).wait_for()
    camera.tab.locator(".sl-face .sl-making-job").wait_for(state="hidden")
    camera.tab.locator(".sl-face-tile").nth(1).click()
    camera.tab.locator(".sl-face-proof b").wait_for()
    camera.tab.locator(".sl-result-frame").focus()
    press(camera.tab, "w")
    camera.take("face-result")
    camera.tab.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def shoot_lists(camera: Camera, run: str) -> None:
    """Runs with a report, models and doctor."""
    camera.open(f"?tab=runs&run={run}")
    camera.tab.locator(".sl-report-body section").first.wait_for()
    camera.take("runs")
    camera.open("?tab=models")
    camera.tab.locator(".sl-models-table .sl-model", has_text="flux-kontext-dev").first.click()
    camera.tab.locator("h2:visible, h3:visible, b:visible", has_text="flux-kontext-dev").first.wait_for()
    camera.take("models")
    camera.open("?tab=doctor")
    camera.tab.locator(".sl-doctor-body .sl-finding").first.wait_for()
    camera.take("doctor")


def shoot_findings(camera: Camera, server: PageServer) -> None:
    """A run with its findings, and the grid under a measure: the small run beside the notebooks."""
    name = "2026-11-22-guidance-window"
    shutil.copytree(SHIPPED_RUN, server.runs / name)
    camera.open(f"?tab=runs&run={name}")
    camera.tab.locator("#tab-runs .sl-finding", has_text="Guidance window").wait_for()
    camera.take("findings")
    camera.open(f"?tab=sweep&run={name}")
    camera.tab.locator("#tab-sweep .sl-cell.sl-done").first.click()
    press(camera.tab, "i")
    camera.take("overlay")


@contextmanager
def opened(folder: Path) -> Iterator[tuple[Camera, PageServer]]:
    """A page over a new state, in a browser of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="sidelight-") as home,
        PageServer(Path(home)) as server,
        chromium() as browser,
    ):
        tab = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}).new_page()
        tab.set_default_timeout(1000 * PATIENCE_SECONDS)
        yield Camera(tab, server, folder), server


def main(words: Sequence[str]) -> None:
    if len(words) != 1:
        raise SystemExit(__doc__)
    folder = Path(words[0])
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["SIDELIGHT_REQUIRE_BROWSER"] = "1"
    with opened(folder) as (camera, server):
        demo = start_demo(camera)
        shoot_sweep(camera, 6)
        shoot_create(camera)
        camera.open(f"?tab=sweep&run={demo}")
        wait_for_all(camera)
        start_sweep(camera, "two seeds")
        wait_for_all(camera)
        same = {"steps": "20", "checkpoint": "demo-sdxl"}
        shoot_compare(camera, demo, keys_at(server, demo, {"guidance": "1.5"} | same, {"guidance": "5"} | same))
        shoot_lists(camera, demo)
        shoot_findings(camera, server)
        shoot_face(camera, portrait(server.home / "portraits.png"))


if __name__ == "__main__":
    main(sys.argv[1:])
