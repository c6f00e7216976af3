"""The stage of the Create tab alone on a page: progress in words, the file's own pixels, everything by keys."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import bare_page
from tests.bare_page import FAULTS, MARKUP, SIZE, noise, press

pytestmark = pytest.mark.browser
MOUNT = """async (first) => {
    const { mount } = await import("/making.js");
    document.head.append(Object.assign(document.createElement("link"), {rel: "stylesheet", href: "/making.css"}));
    window.now = {live: {cells: {}, preview: null}, ...first};
    window.heard = {acts: [], steered: [], made: 0, asked: 0, first: 0};
    const actions = [["create", "Use settings", "u", "Take over"], ["start", "img2img", "i", "Begin from it"]];
    window.making = mount(document.getElementById("place"), {actions, onMade: () => heard.made++,
        emptyActions: [["First", () => heard.first++]],
        onAct: (name, {key}) => heard.acts.push([name, key]),
        source: {live: async () => now.live,
            last: async () => { heard.asked++; if (now.fault) throw new Error(now.fault); return now; },
            cancel: async (job) => heard.steered.push(["cancel", job.id]),
            retry: async (job) => heard.steered.push(["retry", job.id])}});
}"""


def picture(number: int) -> dict[str, Any]:
    url = f"/noise{number}.png"
    values = [["checkpoint", "demo"], ["prompt", MARKUP], ["seed", str(2**64 - 1 - number)], ["size", "256 x 256"]]
    return {"run": "one", "key": f"key{number}", "picture": url, "thumb": url, "width": SIZE, "height": SIZE,
            "values": values, "warning": "", "seconds": 7.3}  # fmt: skip


def job(**said: Any) -> dict[str, Any]:
    whole = {"id": 7, "run": "two", "name": "x", "state": "running", "wish": "", "cells": 2, "done": 0}
    return {**whole, "seconds_left": None, "error": "", **said}


@pytest.fixture(scope="module")
def site() -> Iterator[bare_page.Site]:
    with bare_page.served() as served:
        yield served


@pytest.fixture
def stage(browser: Any, site: bare_page.Site) -> Iterator[Callable[..., Any]]:
    with bare_page.tabs(browser, site) as open_page:

        def opened(pictures: int, jobs: list[dict[str, Any]], density: float = 1) -> Any:
            tab = open_page(density)
            tab.evaluate(MOUNT, {"pictures": [picture(number) for number in range(pictures)], "jobs": jobs})
            tab.wait_for_selector(".sl-making")
            return tab

        yield opened


def told(tab: Any, text: str) -> None:
    tab.wait_for_function("(text) => document.querySelector('.sl-making-job .sl-told').textContent === text", arg=text)


def shown(tab: Any, url: str) -> None:
    tab.wait_for_function("(url) => document.querySelector('.sl-making-frame > img').src.endsWith(url)", arg=url)


def test_progress_is_told_in_words_until_the_picture_is_there(stage: Callable[..., Any]) -> None:
    tab = stage(1, [job(state="waiting")])
    told(tab, "waits for the worker, which begins in a moment")
    tab.evaluate("(jobs) => { now.jobs = jobs; }", [job()])
    told(tab, "the checkpoint is being opened")
    preview = {"key": "a", "step": 3, "url": "/coded1.png"}
    live = {"cells": {"a": {"step": 3, "steps": 12}}, "preview": preview}
    tab.evaluate("([jobs, live]) => Object.assign(now, {jobs, live})", [[job(done=1, seconds_left=80.0)], live])
    told(tab, "picture 2 of 2, step 3 of 12, about 80 s left")
    shown(tab, "/coded1.png")
    assert not tab.is_visible(".sl-acts")
    tab.click("text=Cancel")
    assert tab.evaluate("heard.steered") == [["cancel", 7]]
    tab.evaluate("(pictures) => Object.assign(now, {jobs: [], pictures})", [picture(2), picture(0)])
    shown(tab, "/noise2.png")
    assert tab.evaluate("heard.made") == 1
    assert not tab.is_visible(".sl-making-job")
    assert tab.evaluate(FAULTS) == []


def test_what_was_shown_comes_back_when_its_successor_is_cancelled(stage: Callable[..., Any]) -> None:
    tab = stage(1, [])
    shown(tab, "/noise0.png")
    tab.evaluate("(jobs) => { now.jobs = jobs; }", [job(state="waiting")])
    told(tab, "waits for the worker, which begins in a moment")
    tab.evaluate("now.jobs = []")
    tab.wait_for_function("document.querySelector('.sl-making-frame > img').checkVisibility()")
    shown(tab, "/noise0.png")
    assert not tab.is_visible(".sl-making-frame > .sl-words")


def test_an_empty_stage_offers_what_to_do_first_and_a_press_is_not_lost(stage: Callable[..., Any]) -> None:
    tab = stage(0, [])
    first = tab.get_by_role("button", name="First")
    first.focus()
    asked = tab.evaluate("heard.asked")
    tab.wait_for_function("(asked) => heard.asked >= asked + 2", arg=asked)  # drawn again, and still the same button
    assert first.evaluate("(button) => button === document.activeElement")
    first.click()
    tab.keyboard.press("Enter")
    assert tab.evaluate("heard.first") == 2


def test_a_failed_job_says_why_and_can_be_tried_again(stage: Callable[..., Any]) -> None:
    tab = stage(0, [job(state="failed", error=MARKUP)])
    told(tab, f"The last one was not made: {MARKUP}")
    tab.click("text=Try again")
    assert tab.evaluate("heard.steered") == [["retry", 7]]
    assert "No picture yet" in tab.inner_text(".sl-making-frame")
    tab.evaluate("now.fault = 'the server is gone'")
    tab.wait_for_function("document.querySelector('.sl-problem').textContent.startsWith('the server is gone')")
    tab.evaluate("now.fault = ''")
    tab.wait_for_function("!document.querySelector('.sl-problem').textContent")
    assert tab.evaluate("window.ran") is None


def test_pictures_are_walked_used_and_zoomed_by_keys(stage: Callable[..., Any]) -> None:
    tab = stage(3, [])
    shown(tab, "/noise0.png")
    press(tab, "ArrowRight", "u", "End", "i", "Home", "?")
    assert tab.evaluate("heard.acts") == [["create", "key1"], ["start", "key2"]]
    assert tab.is_visible("dialog")
    press(tab, "Escape")
    tab.wait_for_selector("dialog", state="hidden")
    press(tab, "z")
    shown(tab, "/noise0.png")
    tab.wait_for_function("document.querySelector('.sl-choice [value=\"1\"]').ariaPressed === 'true'")
    assert str(2**64 - 1) in tab.inner_text(".sl-making-values")


@pytest.mark.parametrize("density", [1, 1.25, 2])
def test_at_100_percent_the_screen_shows_the_files_own_pixels(stage: Callable[..., Any], density: float) -> None:
    tab = stage(1, [], density)
    shown(tab, "/noise0.png")
    press(tab, "z")
    tab.wait_for_function("document.querySelector('.sl-making-frame > img').style.transform.includes('scale')")
    box = tab.evaluate("(() => { const b = document.querySelector('.sl-making-frame > img').getBoundingClientRect();"
                       " return [b.left, b.top].map((px) => Math.round(px * devicePixelRatio)); })()")  # fmt: skip
    seen = np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB"))
    left, top = box
    assert np.array_equal(seen[top : top + SIZE, left : left + SIZE], noise(0))
