"""Blind votes on a bare page: exact pixels, nothing that tells a setting, every answer by a key and taken back."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.bare_page import FAULTS, MARKUP, Site, coded, png, press, served, tabs

SIDE = 256
KEYS = [f"{number:016x}" for number in range(8)]
CHEEK = [0.25, 0.5, 0.25, 0.25]
RESULT: dict[str, Any] = {
    "votes": 24,
    "skipped": 1,
    "lost": 0,
    "left": {"value": 0.5, "low": 0.3, "high": 0.7, "n": 20},
    "ranking": {
        "settings": [
            {"setting": "guidance 4", "share": 0.8, "low": 0.6, "high": 0.9, "votes": 12, "pictures": 6},
            {"setting": MARKUP, "share": 0.2, "low": 0.1, "high": 0.4, "votes": 12, "pictures": 6},
        ],
        "votes": 24,
        "equal": 4,
        "first": 0.98,
        "chance": 0.4,
    },
    "follows": [
        {
            "measure": "texture",
            "unit": "%",
            "share": {"value": 0.78, "low": 0.65, "high": 0.88, "n": 20},
            "wanted": "more",
        },
        {"measure": "blood", "unit": "%", "share": {"value": 0.52, "low": 0.39, "high": 0.65, "n": 20}, "wanted": ""},
    ],
    "between": [{"one": "ann", "other": "bo", "same": {"value": 0.75, "low": 0.5, "high": 0.9, "n": 12}}],
    "sentences": ["guidance 4 is preferred to all others.", "The votes follow more texture."],
    "cautions": ["no picture is measured; `sidelight measure` measures the run"],
}
RESULT["voters"] = [
    {
        "by": by,
        "votes": 12,
        "skipped": 0,
        "left": RESULT["left"],
        "follows": RESULT["follows"][:at],
        "ranking": {**RESULT["ranking"], "settings": RESULT["ranking"]["settings"][:at]},
        "first": "2026-11-22T02:00:00+00:00",
        "last": "2026-11-22T02:10:00+00:00",
    }
    for at, by in enumerate(("ann", "bo"), 1)
]
STYLE = """() => new Promise((done) => {
    const link = document.createElement("link");
    document.head.append(Object.assign(link, {rel: "stylesheet", href: "/vote.css", onload: done}));
})"""
OPEN = """async ({result, pairs, narrow, by}) => {
    if (by) localStorage.setItem("sidelight:voter", by);
    await import("/vote.js");
    window.heard = {posted: [], asked: [], closed: []};
    window.cast = [];
    window.refuse = "";
    const next = [...pairs];
    const progress = () => ({votes: cast.length, about: 60, yours: cast.length, half_width: 0.3,
        is_narrow: cast.length >= narrow});
    const json = async (path, {method = "GET", body} = {}) => {
        if (window.refuse) throw new Error(window.refuse);
        if (path.includes("/next")) {
            heard.asked.push(path);
            return {pair: next.shift() ?? null, progress: progress()};
        }
        if (path.endsWith("/undo")) {
            heard.posted.push("undo");
            const back = cast.pop();
            return {progress: progress(), pair: back ? pairs.find((each) => each.left.key === back.left) : null};
        }
        if (method === "POST") {
            heard.posted.push(body.said);
            cast.push(body);
            return {progress: progress(), pair: null};
        }
        return result;
    };
    SidelightVote.open({run: "2026 guidance steps", json, onClose: (isChanged) => heard.closed.push(isChanged)});
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as site:
        for number, key in enumerate(KEYS):
            site.files[f"/{key}.png"] = png(coded(10 * number, SIDE))
        yield site


@pytest.fixture
def vote(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    with tabs(browser, site) as open_page:

        def vote(*, by: str = "ann", density: float = 1, pairs: int = 4, narrow: int = 50) -> Any:
            tab = open_page(density)
            tab.evaluate(STYLE)
            told = {"result": RESULT, "pairs": [pair(at) for at in range(pairs)], "narrow": narrow, "by": by}
            tab.evaluate(OPEN, told)
            return tab

        yield vote


def pair(at: int) -> dict[str, Any]:
    is_cheek = at % 2 == 0
    cheek = CHEEK if is_cheek else None
    left, right = ({"key": key, "picture": f"/{key}.png", "cheek": cheek} for key in KEYS[2 * at : 2 * at + 2])
    return {"left": left, "right": right, "view": "cheek" if is_cheek else "whole"}


def shown(tab: Any, at: int) -> None:
    """Waits until the pair `at` is shown."""
    tab.locator(f".sl-shown img[src*='{KEYS[2 * at]}']").wait_for()


def answered(tab: Any, *said: str) -> None:
    tab.wait_for_function("(said) => heard.posted.join() === said", arg=",".join(said))


@pytest.mark.browser
@pytest.mark.parametrize("density", [1, 1.25])
def test_the_cheek_is_shown_pixel_for_pixel_on_both_sides(vote: Callable[..., Any], density: float) -> None:
    tab = vote(density=density)
    shown(tab, 0)
    for side in (0, 1):
        box = tab.locator(".sl-shown").nth(side).bounding_box()
        left, top, width, height = (round(box[name] * density) for name in ("x", "y", "width", "height"))
        pixels = screen(tab)[top : top + height, left : left + width]
        assert width == height == {1: 128, 1.25: 130}[density], "twice the cheek, up to a whole CSS pixel"
        top, left = 160 - height // 2, 96 - width // 2
        picture = coded(10 * side, SIDE)[top : top + height, left : left + width]
        assert np.array_equal(pixels, picture), "red tells x, green y, blue which one"


def screen(tab: Any) -> Any:
    """The device pixels of the page: (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB"))


@pytest.mark.browser
def test_nothing_on_the_page_tells_a_setting_while_one_votes(vote: Callable[..., Any]) -> None:
    tab = vote()
    for at, key in enumerate(("1", "2", "=")):
        shown(tab, at)
        html = tab.evaluate("document.querySelector('dialog.sl-vote').outerHTML")
        for word in ("guidance", "steps", "seed", "2026", "scheduler", 'alt="a'):
            assert word not in html, "neither labels nor the run's name"
        images = tab.locator(".sl-vote img").all()
        addresses = [f"/{each}.png" for each in KEYS[2 * at : 2 * at + 2]]
        assert [image.get_attribute("src") for image in images] == addresses, "they hold keys alone"
        titles = tab.evaluate("[...document.querySelectorAll('.sl-sides, .sl-sides *')].map((each) => each.title)")
        assert not any(titles)
        press(tab, key)
    assert tab.title() == ""
    assert "window" not in tab.evaluate("document.querySelector('dialog.sl-vote').innerText")


@pytest.mark.browser
def test_every_answer_has_a_key_and_the_next_pair_is_there_before_it_is_needed(vote: Callable[..., Any]) -> None:
    tab = vote()
    shown(tab, 0)
    tab.wait_for_function("heard.asked.length === 3")
    assert re.search(rf"ahead={KEYS[0]}-{KEYS[1]}%2C{KEYS[2]}-{KEYS[3]}", tab.evaluate("heard.asked[2]"))
    press(tab, "1")
    assert KEYS[2] in tab.locator(".sl-shown img").first.get_attribute("src"), "decoded already: it changes at once"
    for at, key in enumerate(("2", "0", "s"), 1):
        shown(tab, at)
        press(tab, key)
    answered(tab, "left", "right", "equal", "skip")
    posted = tab.evaluate("cast.map(({left, right, view, by}) => [left, right, view, by])")
    assert posted == [[*KEYS[2 * at : 2 * at + 2], "whole" if at % 2 else "cheek", "ann"] for at in range(4)]
    tab.locator(".sl-result").wait_for()


@pytest.mark.browser
def test_undo_brings_the_last_pair_back_on_its_sides(vote: Callable[..., Any]) -> None:
    tab = vote()
    shown(tab, 0)
    press(tab, "1")
    shown(tab, 1)
    press(tab, "u")
    shown(tab, 0)
    assert KEYS[1] in tab.locator(".sl-shown img").nth(1).get_attribute("src")
    assert tab.evaluate("cast.length") == 0
    press(tab, "ArrowRight")
    shown(tab, 1)
    answered(tab, "left", "undo", "right")
    press(tab, "Control+z", "u")
    tab.get_by_text("There is nothing to take back.").wait_for()
    shown(tab, 0)


@pytest.mark.browser
def test_a_vote_that_is_not_saved_comes_back_and_is_said(vote: Callable[..., Any]) -> None:
    tab = vote()
    shown(tab, 0)
    tab.wait_for_function("heard.asked.length === 3")
    tab.evaluate("window.refuse = 'the disk is full'")
    press(tab, "1")
    tab.get_by_text("Not saved: the disk is full").wait_for()
    shown(tab, 0)
    tab.evaluate("window.refuse = ''")
    press(tab, "2")
    answered(tab, "right")
    shown(tab, 1)
    assert not tab.get_by_text("Not saved").is_visible()


@pytest.mark.browser
def test_who_votes_is_asked_once_and_kept(vote: Callable[..., Any]) -> None:
    tab = vote(by="")
    name = tab.get_by_label("Your name")
    name.wait_for()
    press(tab, "Enter")
    assert name.is_visible(), "a vote has a name"
    tab.keyboard.type("Zoë s1")
    press(tab, "Enter")
    shown(tab, 0)
    assert tab.evaluate("localStorage.getItem('sidelight:voter')") == "Zoë s1"
    assert "by=Zo%C3%AB+s1" in tab.evaluate("heard.asked[0]")
    assert tab.evaluate("heard.posted") == [], "what was typed as a name is no answer"
    tab.get_by_role("button", name="Zoë s1").click()
    name.wait_for()
    press(tab, "Escape")
    tab.wait_for_function("heard.closed.length === 1")
    assert tab.evaluate("heard.closed") == [False]


@pytest.mark.browser
def test_progress_and_enlarging_and_the_whole_picture(vote: Callable[..., Any]) -> None:
    tab = vote(narrow=1)
    shown(tab, 0)
    assert tab.locator(".sl-far").inner_text().startswith("0 of about 60 votes")
    press(tab, "z")
    assert tab.get_by_role("button", name="Cheek 200 %").is_visible()
    assert tab.locator(".sl-shown").first.bounding_box()["width"] == 256
    press(tab, "z", "z")
    assert tab.locator(".sl-shown").first.bounding_box()["width"] == 128
    press(tab, "1")
    shown(tab, 1)
    answered(tab, "left")
    tab.get_by_text("the intervals are narrow; more").wait_for()
    box = tab.locator(".sl-shown").first.bounding_box()
    assert (box["width"], box["height"]) == (256, 256), "whole, as many whole times as fit"
    assert not tab.get_by_role("button", name="Cheek").is_visible()


@pytest.mark.browser
def test_the_result_shows_ranking_intervals_agreement_and_who_voted(vote: Callable[..., Any]) -> None:
    tab = vote()
    shown(tab, 0)
    press(tab, "1")
    answered(tab, "left")
    press(tab, "Escape")
    tab.locator(".sl-result").wait_for()
    text = tab.locator(".sl-result").inner_text()
    for told in ("guidance 4 is preferred to all others.", "60 to 90", MARKUP, "20 votes: more", "ann and bo"):
        assert told in text
    line = tab.locator(".sl-ranked .sl-interval").first
    whole, drawn = line.bounding_box(), line.locator("u").bounding_box()
    assert drawn["x"] - whole["x"] == pytest.approx(0.6 * whole["width"], abs=2)
    assert drawn["width"] == pytest.approx(0.3 * whole["width"], abs=2)
    tab.get_by_role("button", name="ann", exact=True).first.click()
    assert tab.evaluate("window.ran") is None
    assert tab.evaluate(FAULTS) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    press(tab, "Escape")
    tab.locator("dialog.sl-vote").wait_for(state="detached")
    assert tab.evaluate("heard.closed") == [True]


@pytest.mark.browser
def test_a_run_without_pairs_says_what_would_make_some(vote: Callable[..., Any]) -> None:
    tab = vote(pairs=0)
    tab.wait_for_function("heard.asked.length === 1")
    tab.locator(".sl-result, .sl-nothing").first.wait_for()
    press(tab, "1", "s")
    assert tab.evaluate("heard.posted") == []
