"""The whole page as a person meets it: a real server and worker, the demo checkpoints, a real browser, and kills."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines.store import Store
from sweeps import marks, votes
from tests.bare_page import FAULTS, press
from tests.foreign_samples import A1111_NEW
from tests.page_server import PATIENCE_SECONDS, PageServer, wait_for
from tests.photographs import side_by_side
from tests.test_components import expected, seen_in

pytestmark = pytest.mark.browser
TABS = ("Create", "Face", "Sweep", "Compare", "Runs", "Notes", "Models", "Doctor")
PROMPT = "portrait of a woman, side light from the left, textured skin, pores"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    with PageServer(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture
def tab(server: PageServer, browser: Any) -> Iterator[Any]:
    """A fresh browser; whatever a test does, nothing may be asked of another host and no script may fail."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(1000 * PATIENCE_SECONDS)
    tab = context.new_page()
    faults: list[str] = []
    elsewhere: list[str] = []
    ours = (server.url, "data:", "blob:")
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("request", lambda asked: None if asked.url.startswith(ours) else elsewhere.append(asked.url))
    yield tab
    context.close()
    assert faults == []
    assert elsewhere == []


def opened(tab: Any, server: PageServer, query: str = "") -> Any:
    tab.goto(server.url + query)
    tab.locator("#tabs [role=tab]").first.wait_for()
    return tab


def sweep(tab: Any, server: PageServer, name: str, **values: str) -> str:
    """Start a sweep in the builder as a person would; the name of its run."""
    opened(tab, server, "?tab=sweep")
    tab.locator(".sl-base span").first.wait_for()
    tab.get_by_role("textbox", name="Name").fill(name)
    boxes = tab.get_by_role("textbox", name="Values")
    for at, (field, text) in enumerate(values.items()):
        if at == boxes.count():
            tab.get_by_role("button", name="Add an axis").click()
        tab.get_by_role("combobox", name="What varies").nth(at).select_option(field)
        boxes.nth(at).fill(text)
    tab.get_by_role("button", name="Start sweep").click()
    tab.wait_for_url("**run=*")
    (run,) = (path.name for path in server.runs.iterdir() if path.name.endswith(name))
    return run


def pictures(server: PageServer, run: str) -> list[Path]:
    return sorted((server.runs / run / "pictures").glob("*.png"))


def done(tab: Any) -> int:
    return int(tab.locator("#tab-sweep .sl-cell.sl-done").count())


def job_of(server: PageServer, run: str) -> dict[str, Any]:
    """The run's job as the queue has it."""
    return next((job for job in server.ask("/api/queue")["jobs"] if job["run"] == run), {})


def _worker(server: PageServer) -> int:
    """The process that makes pictures, which is the child of the one that watches over it."""
    watch = server.ask("/api/queue")["worker"]["pid"]
    children = Path(f"/proc/{watch}/task/{watch}/children").read_text().split()
    return int(children[0])


def test_first_start_then_one_picture_with_live_previews(tab: Any, server: PageServer) -> None:
    opened(tab, server)
    assert [each.inner_text() for each in tab.get_by_role("tab").all()] == list(TABS)
    tab.locator(".sl-making .sl-words").wait_for()
    tab.get_by_role("button", name="Make picture").click()
    tab.locator(".sl-making img.sl-preview").wait_for()
    whole = tab.locator(".sl-making img.sl-picture")
    whole.wait_for()
    assert tab.evaluate("(image) => [image.naturalWidth, image.naturalHeight]", whole.element_handle()) == [256, 256]
    (run,) = server.runs.iterdir()
    assert len(pictures(server, run.name)) == 1
    tab.reload()
    tab.locator(".sl-tile").first.wait_for()
    assert tab.locator(".sl-tile").count() == 1, "the last pictures stay"


def test_sweep_fills_while_one_looks_and_a_reload_in_the_middle_loses_nothing(tab: Any, server: PageServer) -> None:
    run = sweep(tab, server, "fills", guidance="1.5..3:0.5", steps="4, 8, 12")
    wait_for(lambda: tab.locator("#tab-sweep .sl-cell").count() == 12, "the grid is there before its pictures")
    seen = {wait_for(lambda: done(tab), "a first cell shows")}
    tab.reload()
    tab.locator("#tab-sweep .sl-cell").first.wait_for()
    assert wait_for(lambda: done(tab), "what is done shows again after a reload") >= min(seen)
    wait_for(lambda: seen.add(done(tab)) or done(tab) == 12, "all cells are shown")
    assert len(seen) > 1, "cells appeared one after another"
    assert len(pictures(server, run)) == 12
    other = tab.context.new_page()
    opened(other, server, f"?tab=sweep&run={run}")
    wait_for(lambda: done(other) == 12, "a second browser shows the same")


def test_page_killed_and_started_again_in_the_middle(tab: Any, server: PageServer) -> None:
    run = sweep(tab, server, "page-dies", guidance="1.5..3:0.5", steps="10, 14, 18")
    wait_for(lambda: done(tab), "a first cell shows")
    before = server.ask("/api/queue")["worker"]
    server.kill(signal.SIGKILL)
    tab.get_by_text("does not answer").first.wait_for()
    server.start()
    assert server.ask("/api/queue")["worker"] == before, "the worker went on by itself"
    wait_for(lambda: done(tab) == 12, "the open page goes on by itself")
    assert job_of(server, run)["state"] == "done"


def test_worker_killed_in_the_middle(tab: Any, server: PageServer) -> None:
    run = sweep(tab, server, "worker-dies", guidance="1.5..3:0.5", steps="10, 14, 19")
    wait_for(lambda: done(tab), "a first cell shows")
    os.kill(_worker(server), signal.SIGKILL)
    wait_for(lambda: done(tab) == 12, "every cell is made all the same")
    wait_for(lambda: job_of(server, run)["state"] == "done", "the job ends")
    log = server.command("queue", "log")
    assert "died in this job" in log
    assert "Traceback" not in log


def test_a_picture_overtakes_a_sweep_and_the_sweep_goes_on(tab: Any, server: PageServer) -> None:
    run = sweep(tab, server, "overtaken", guidance="1.5..3:0.5", steps="11, 15, 20")
    wait_for(lambda: done(tab), "a first cell shows")
    tab.get_by_role("tab", name="Create").click()
    tab.get_by_role("button", name="Make picture").click()
    wait_for(
        lambda: any(job["kind"] == "picture" and job["state"] == "running" for job in server.ask("/api/queue")["jobs"]),
        "the picture goes ahead",
    )
    assert job_of(server, run)["state"] == "waiting"
    wait_for(lambda: job_of(server, run)["state"] == "done", "the sweep goes on and ends")
    assert len(pictures(server, run)) == 12


def test_compare_shows_the_files_pixels_and_marks_reach_the_run(tab: Any, server: PageServer) -> None:
    run = sweep(tab, server, "compared", guidance="2, 4", seed="1, 2")
    wait_for(lambda: done(tab) == 4, "four pictures")
    keys = [path.stem for path in pictures(server, run)]
    opened(tab, server, f"?tab=compare&run={run}&cell={keys[0]}&cell={keys[1]}")
    tab.locator("#tab-compare .sl-frame img:visible").nth(1).wait_for()
    tab.locator("#tab-compare .sl-frame").first.click()
    press(tab, "Shift+Digit2")
    for pane, key in enumerate(keys[:2]):
        pixels = np.asarray(Image.open(server.runs / run / "pictures" / f"{key}.png").convert("RGB"))
        seen = seen_in(tab, pane)
        np.testing.assert_array_equal(seen, expected(pixels, seen.shape, 2))
    press(tab, "4", "p")
    wait_for(
        lambda: [mark.pick for mark in marks.read(server.runs / run).values()] == ["pick"], "marks are on the disk"
    )
    (mark,) = marks.read(server.runs / run).values()
    assert (mark.key, mark.stars) == (keys[0], 4)
    assert keys[0] in server.command("marks", str(server.runs / run))


def test_a_sweep_says_what_it_found_is_voted_on_blind_and_gives_advice(tab: Any, server: PageServer) -> None:
    said: list[str] = []
    tab.on("console", lambda told: said.append(told.text) if told.type in ("error", "warning") else None)
    run = sweep(tab, server, "morning", guidance="1, 3, 9", seed="1, 2, 3", steps="4")
    panel = tab.locator("#tab-sweep .sl-findings")
    panel.get_by_text("9 of 9 measured", exact=False).wait_for()
    panel.get_by_role("button", name="Show the findings").click()
    panel.locator(".sl-finding", has_text="Guidance window").wait_for()
    tab.locator("#tab-sweep .sl-cell.sl-done").first.click()
    tab.locator("#tab-sweep .sl-run-line").get_by_role("button", name="Compare").click()
    tab.locator("#tab-compare .sl-frame img:visible").first.wait_for()

    tab.locator("#tab-compare").get_by_role("button", name="Vote blind").click()
    ballot = tab.locator("dialog.sl-vote")
    ballot.get_by_role("textbox", name="Your name").fill("Ada")
    press(tab, "Enter")
    for told, key in (("0 of about", "1"), ("1 of about", "2")):
        ballot.locator(".sl-shown img").nth(1).wait_for()
        ballot.get_by_text(told).wait_for()
        press(tab, key)
    wait_for(lambda: len(votes.read(server.runs / run)) == 2, "both votes are on the disk")
    press(tab, "Escape")
    ballot.get_by_text("What the votes say").wait_for()
    press(tab, "Escape")
    ballot.wait_for(state="detached")

    tab.locator("#tab-compare").get_by_role("button", name="Advice").click()
    advice = tab.get_by_role("dialog")
    advice.get_by_text("demo-sdxl · guidance").wait_for()
    advice.locator(".sl-advised dt").first.wait_for()  # what its first sentence rests on
    press(tab, "Escape")
    advice.wait_for(state="hidden")
    assert said == []


def test_a_face_is_repaired_accepted_and_its_settings_are_taken_again(
    tab: Any, server: PageServer, tmp_path: Path
) -> None:
    before = side_by_side()
    Image.fromarray(before).save(tmp_path / "two.png")
    opened(tab, server, "?tab=face")
    tab.locator(".sl-face-empty").wait_for()
    tab.set_input_files(".sl-face-form > section input[type=file]", tmp_path / "two.png")
    tab.click(".sl-face-form button:text-is('Face 2')")
    tab.fill(".sl-face [name=strength]", "0.4, 0.5")
    tab.fill(".sl-face [name=steps]", "4")
    tab.locator(".sl-face-foot .sl-quiet", has_text="2 pictures").wait_for()
    tab.click(".sl-face-foot button:text-is('Repair')")
    tab.locator(".sl-face-tile[data-state=done]").nth(2).wait_for()
    tab.click(".sl-face-tile:has-text('0.5')")
    tab.locator(".sl-face-proof b", has_text="0 of ").wait_for()
    tab.keyboard.press("a")
    tab.locator(".sl-face-chain li:nth-child(2)", has_text="skin 0.5 · now").wait_for()
    (run,) = (path for path in server.runs.iterdir() if path.name.endswith("two-face2-skin"))
    ((key, _),) = marks.read(run).items()
    after = np.asarray(Image.open(run / f"pictures/{key}.png").convert("RGB"))
    painted = Store(run).sidecar(key).recipe.mask
    assert painted
    mask = np.asarray(Image.open(run / f"inputs/{painted.image}.png"))
    np.testing.assert_array_equal(after[mask == 0], before[mask == 0])
    assert (after != before)[mask == 255].any()

    opened(tab, server, f"?tab=compare&run={run.name}&cell={key}")
    tab.click("#tab-compare button:text-is('Use settings')")
    tab.locator(".sl-face-chain li:nth-child(1)", has_text="original · now").wait_for()
    wait_for(lambda: tab.input_value(".sl-face [name=strength]") == "0.5", "the repair's strength is in the form")
    assert [tab.input_value(f".sl-face [name={name}]") for name in ("steps", "mask")] == [
        "4",
        "face2.skin; feather 0.06",
    ]


def test_another_tools_picture_that_is_dropped_fills_the_form(tab: Any, server: PageServer, tmp_path: Path) -> None:
    opened(tab, server)
    said = PngInfo()
    said.add_text("parameters", A1111_NEW)
    Image.new("RGB", (64, 64)).save(tmp_path / "last-year.png", pnginfo=said)
    data = list((tmp_path / "last-year.png").read_bytes())
    tab.locator(".sl-making .sl-words, .sl-making img").first.wait_for()
    tab.evaluate(
        """(bytes) => {
            const file = new File([new Uint8Array(bytes)], "last-year.png", { type: "image/png" });
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(file);
            for (const kind of ["dragenter", "dragover", "drop"])
                document.querySelector("#tab-create .sl-making")
                    .dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        data,
    )
    wait_for(lambda: tab.get_by_role("textbox", name="Seed").input_value() == str(2**64 - 1), "its seed, exactly")


def test_address_leads_back_to_tab_run_and_cells(tab: Any, server: PageServer) -> None:
    for name in TABS:
        opened(tab, server, f"?tab={name.lower()}")
        tab.locator(f"#tab-{name.lower()}-button[aria-selected=true]").wait_for()
        assert f"tab={name.lower()}" in tab.url


def test_every_tab_is_neutral_grey_and_readable(tab: Any, server: PageServer) -> None:
    for name in TABS:
        opened(tab, server, f"?tab={name.lower()}")
        tab.locator(f"#tab-{name.lower()} .sidelight:visible").first.wait_for()
        assert tab.evaluate(FAULTS) == [], name


def test_a_grid_of_200_cells_answers_while_a_sweep_is_made(tab: Any, server: PageServer) -> None:
    run = sweep(tab, server, "large", guidance="1.1..3:0.1", steps="6..15:1")
    wait_for(lambda: tab.locator("#tab-sweep .sl-cell").count() == 200, "the grid is there before its pictures")
    wait_for(lambda: done(tab), "a first cell shows")
    tab.locator("#tab-sweep .sl-cell").first.focus()
    press(tab, "ArrowRight", "ArrowDown", "End", "s")
    tab.get_by_role("button", name="Stop after this cell").click()
    wait_for(lambda: job_of(server, run)["state"] == "paused", "it stops after a cell")
    assert tab.locator("#tab-sweep .sl-cell").count() == 200
    job = job_of(server, run)
    server.ask(f"/api/queue/{job['id']}", {"wish": "cancel"})


def test_deep_link_to_a_run_that_is_gone_says_so(tab: Any, server: PageServer) -> None:
    opened(tab, server, "?tab=compare&run=2020-01-01-gone")
    tab.locator("#tab-compare").get_by_text("there is no run '2020-01-01-gone'").first.wait_for()
