"""The Face tab in a browser: a skin is repaired at four strengths, compared, one accepted, and gone back from.

No worker runs: a job waits until the test itself makes it, in a real run folder, with an engine that paints one tone.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.cbook
import numpy as np
import pytest
import skimage.data
from PIL import Image

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.errors import SweepError
from pipelines.events import Event, Made, Stepped, Ticked
from pipelines.recipe import Recipe
from pipelines.store import Store
from sweeps import marks, places
from sweeps.prepare import SWEEP, prepare
from sweeps.run import run
from sweeps.sweep import read_toml
from tests import bare_page
from tests.bare_page import FAULTS
from tests.page_server import wait_for
from tests.test_guard import served
from workbench.jobs import INTERACTIVE, Job
from workbench.queue import Queue
from workbench.web.guard import Door
from workbench.web.serve import app
from workbench.web.site import Site
from workbench.web.tabs import face_brief
from workbench.web.tabs.face_brief import Brief, Files

pytestmark = pytest.mark.browser
STRENGTHS = ("0.35", "0.4", "0.45", "0.5")
TILES = ".sl-face-tile[data-state=done] img:not([hidden])"
PORTRAIT = ".sl-face-form > section input[type=file]"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("face")
    (folder / "runs").mkdir()
    return Site(folder / "runs", Queue(folder / "queue.sqlite"), start_worker=lambda _: None)


@pytest.fixture(scope="module")
def page(site: Site) -> Iterator[bare_page.Site]:
    with served(app(site, Door())) as port:
        yield bare_page.Site(url=f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people beside each other, 512 x 256: an astronaut at the left, an admiral at the right."""
    admiral = Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg")).convert("RGB")
    path = tmp_path_factory.mktemp("portraits") / "two.png"
    both = Image.new("RGB", (512, 256))
    both.paste(Image.fromarray(skimage.data.astronaut()[0:256, 96:352]), (0, 0))
    both.paste(admiral.crop((90, 20, 430, 360)).resize((256, 256)), (256, 0))
    both.save(path)
    return path


@pytest.fixture
def opened(browser: Any, page: bare_page.Site) -> Iterator[Callable[[], Any]]:
    """Opens the page at the Face tab, as a browser that was never here."""
    with bare_page.tabs(browser, page) as open_page:

        def new_tab() -> Any:
            tab = open_page()
            tab.set_viewport_size({"width": 1280, "height": 800})
            tab.click("#tab-face-button")
            tab.wait_for_function("document.querySelector('.sl-face [name=checkpoint]')?.value")
            return tab

        yield new_tab
    page.refused.clear()


class Painter:
    """Stands for an engine: every picture is one tone, darker the stronger it is repaired."""

    def __init__(self, kept: Numerics) -> None:
        self.numerics = kept

    def run(self, lanes: Sequence[Sequence[Recipe]]) -> Iterator[Event]:
        """Lane after lane."""
        for number, lane in enumerate(lanes):
            for recipe in lane:
                strength = recipe.start.strength if recipe.start else 1.0
                pixels = np.full((recipe.height, recipe.width, 3), 0.8 - strength / 2, np.float32)
                yield Stepped(recipe.key, 1, 1)
                yield Made(recipe.key, pixels, 999.0, 14.6, 3, self.numerics, number, 0.1)
                yield Ticked()


def make(site: Site) -> list[str]:
    """Do what a worker does with the job that waits; gives the keys of its pictures in their order."""
    job = site.queue.claim()
    assert job
    ready = prepare(read_toml(job.folder / SWEEP), job.folder, asked={"device": "cpu", "lanes": 1})

    def open_engine(_: Checkpoint, kept: Numerics, __: Store) -> Painter:
        return Painter(kept)

    list(run(ready, open_engine=open_engine))
    site.queue.end(job, "done")
    return [cell.recipe.key for cell in ready.cells.cells]


def open_portrait(tab: Any, path: Path) -> None:
    tab.set_input_files(PORTRAIT, path)
    tab.wait_for_function(
        "(name) => document.querySelector('.sl-face .sl-zone').textContent.match(name + '.*faces?')", arg=path.name
    )


def mask(tab: Any, text: str) -> None:
    """Wait until the field says this mask, and the editor shows it."""
    tab.wait_for_function("(text) => document.querySelector('.sl-face [name=mask]').value === text", arg=text)
    tab.wait_for_function("document.querySelector('.sl-face-editor').textContent.includes('from its regions')")


def queued(tab: Any, site: Site) -> Job:
    """Press Repair and wait for the job."""
    tab.click(".sl-face-foot button:text-is('Repair')")
    (job,) = wait_for(lambda: site.queue.jobs("waiting"), "no job is queued")
    tab.wait_for_selector(".sl-face-tile")
    return job


def test_four_strengths_of_one_skin_are_made_compared_on_the_cheek_and_one_is_accepted(
    opened: Callable[[], Any], site: Site, two: Path
) -> None:
    tab = opened()
    open_portrait(tab, two)
    tab.click(".sl-face button:text-is('Face 2')")
    mask(tab, "face2.skin; feather 0.06")
    tab.wait_for_selector(".sl-face-foot .sl-quiet:has-text('4 pictures')")
    job = queued(tab, site)
    sweep = read_toml(job.folder / SWEEP)
    (axis,) = sweep.axes
    assert (job.priority, job.cells, axis.name, axis.labels) == (INTERACTIVE, 4, "strength", STRENGTHS)
    assert (sweep.base.mask, sweep.base.context) == ("face2.skin; feather 0.06", 0.35)
    assert "pore texture" in sweep.base.prompt
    assert Path(sweep.base.start or "").suffix == ".png"
    keys = make(site)
    tab.wait_for_function("(tiles) => document.querySelectorAll(tiles).length === 5", arg=TILES)
    assert tab.locator(".sl-tile-label").all_inner_texts() == ["before", *STRENGTHS]

    tab.click(".sl-face-tile:has-text('0.45')")
    proof = wait_for(lambda: Store(job.folder).sidecar(keys[2]).facts.proof, "no proof")
    told = f"0 of {proof.outside:,} samples outside the mask changed".replace(",", " ")
    tab.wait_for_selector(f".sl-face-proof:has-text('{told}')")
    clip = "document.querySelectorAll('.sl-result-layer')[1].style.clipPath"
    tab.keyboard.down("b")
    tab.wait_for_function(f"{clip} === 'inset(0px 0px 0px 100%)'")
    tab.keyboard.up("b")
    tab.wait_for_function(f"{clip} === 'none'")
    assert tab.evaluate(FAULTS) == []

    wait_for(lambda: places.read(job.folder).cheek, "no cheek")
    tab.click("button:text-is('Compare on the cheek')")
    tab.wait_for_function(
        "[...document.querySelectorAll('.sl-compare .sl-scale')].some((e) => e.textContent === '200 %')"
    )
    tab.click("#tab-face-button")

    tab.keyboard.press("a")
    tab.wait_for_selector(".sl-face-chain li:nth-child(2):has-text('skin 0.45 · now')")
    assert marks.read(job.folder)[keys[2]].pick == "pick"
    tab.click(".sl-face-chain button:text-is('Next: eyes, face 2')")
    mask(tab, "face2.eyes; grow 0.08; feather 0.06")
    tab.reload()
    tab.wait_for_selector(".sl-face-chain li:nth-child(2):has-text('skin 0.45 · now')")
    mask(tab, "face2.eyes; grow 0.08; feather 0.06")
    second = queued(tab, site)
    (kept,) = [path for path in (second.folder / "inputs").glob("*.png") if path.stem in (sweep_start(second) or "")]
    assert Image.open(kept).tobytes() == Image.open(Store(job.folder).path(keys[2])).tobytes()
    site.queue.wish(second.id, "cancel")
    tab.click(".sl-face-chain button:has-text('original')")
    tab.wait_for_selector(".sl-face-chain li:nth-child(1):has-text('original · now')")

    tab.click("#tab-create-button")
    tab.wait_for_function("document.querySelector('.sl-making-frame > img')?.src.includes('/pictures/')")
    key = tab.evaluate("document.querySelector('.sl-making-frame > img').src.match(/([0-9a-f]{16}).png/)[1]")
    assert key in keys
    tab.click(".sl-making button:text-is('Repair face')")
    tab.wait_for_selector(f".sl-face .sl-zone:has-text('{job.folder.name}')")
    tab.wait_for_selector(".sl-face-chain li:nth-child(2):has-text('now')")
    assert tab.get_attribute(".sl-face .sl-as-button", "href").endswith(f"/{key}.png")


def sweep_start(job: Job) -> str | None:
    return read_toml(job.folder / SWEEP).base.start


def test_what_cannot_be_is_said_beside_its_field_and_without_a_face_the_mask_is_painted(
    opened: Callable[[], Any], site: Site, two: Path, tmp_path: Path
) -> None:
    tab = opened()
    jobs = len(site.queue.jobs())
    tab.click(".sl-face-foot button:text-is('Repair')")
    assert "open a portrait first" in tab.inner_text(".sl-refusal")
    tab.fill(".sl-face [name=strength]", "much")
    open_portrait(tab, two)
    tab.wait_for_selector(".sl-face [name=strength][aria-invalid=true]")
    tab.fill(".sl-face [name=strength]", "0.4")
    tab.wait_for_selector(".sl-face [name=strength]:not([aria-invalid])")
    tab.fill(".sl-face [name=mask]", "face9.skin")
    tab.wait_for_selector(".sl-refusal:has-text('mask names face 9, and there are faces 1 to 2')")
    tab.fill(".sl-face [name=mask]", "face2.skin; feather 0.06")
    tab.wait_for_selector(".sl-face button[aria-pressed=true]:text-is('Face 2')")
    tab.click(".sl-face summary:has-text('Skin from a photograph')")
    tab.set_input_files(".sl-face details input[type=file]", two)
    tab.fill(".sl-face [name=reference_weight]", "0.9")
    tab.wait_for_selector(".sl-face-form .sl-note:has-text('Above 0.6')")
    assert len(site.queue.jobs()) == jobs

    Image.effect_noise((256, 192), 64).convert("RGB").save(tmp_path / "wall.png")
    tab.click(".sl-face details button:text-is('Clear')")
    tab.set_input_files(PORTRAIT, tmp_path / "wall.png")
    tab.wait_for_selector(".sl-face-form .sl-note:has-text('No face was found')")
    tab.click(".sl-face-foot button:text-is('Repair')")
    assert "paint what may change first" in tab.inner_text(".sl-refusal")
    tab.click(".sl-face-form button:text-is('Paint a mask')")
    area = tab.locator(".sl-face-editor canvas").first.bounding_box()
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 30, y + 10, steps=4)
    tab.mouse.up()
    tab.wait_for_selector(".sl-face-form .sl-note:has-text('Painted mask')")
    tab.wait_for_selector(".sl-face-foot .sl-quiet:has-text('1 picture')")
    job = queued(tab, site)
    painted = Image.open(job.folder / str(read_toml(job.folder / SWEEP).base.mask))
    assert (painted.size, painted.mode, painted.getextrema()) == ((256, 192), "L", (0, 255))
    site.queue.wish(job.id, "cancel")


def test_several_values_make_a_grid_and_too_many_are_refused(two: Path) -> None:
    files = Files(two, "face1.skin", two)
    source = face_brief.source_of(two, "", [("the demo", "demo-sdxl")])
    brief = Brief(picture="x", name="two.png", strength="0.4, 0.5", guidance="3, 4", reference_weight="0.4")
    made = face_brief.sweep(brief, source, files)
    assert [axis.name for axis in made.axes] == ["strength", "guidance"]
    assert (made.name, made.base.reference, made.base.reference_weight) == ("two face1.skin", str(two), 0.4)
    with pytest.raises(SweepError, match="make 70 pictures; here up to 64"):
        face_brief.sweep(brief.but(strength="0.30..0.64:0.01"), source, files)
    with pytest.raises(SweepError, match="mask is empty"):
        face_brief.sweep(brief, source, files._replace(mask=" "))
