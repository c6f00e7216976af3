"""Marks bar and ticks of the page, each alone on a page: every mark has a key, text is text, counts have their n."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bare_page import Site, press, served, tabs

MOUNT_BAR = """async (target) => {
    await import("/marks_bar.js");
    window.heard = {marks: [], ids: []};
    window.bar = SidelightMarksBar.mount(document.getElementById("place"), {
        onUndo: () => heard.marks.push("undo"),
        onMark: (change, id) => {
            heard.marks.push(change);
            heard.ids.push(id);
            if (id === shown.id) show({...shown, mark: {...shown.mark, ...change}});
        },
    });
    window.show = (target) => { window.shown = target; bar.show(target); };
    show(target);
    document.addEventListener("keydown", (event) => bar.onKey(event));
}"""
MOUNT_TICKS = """async () => {
    const { Ticks } = await import("/ticks.js");
    window.heard = [];
    const none = {picked: 0, rejected: 0, starred: 0, mean_stars: null, faults: []};
    const rows = [
        {label: "one", pictures: 12, marked: 4, picked: 1, rejected: 0, starred: 2, mean_stars: 3.5,
            faults: [{fault: "eyes", pictures: 3}]},
        {label: "other", pictures: 12, marked: 0, ...none},
    ];
    const ticks = new Ticks(async (axis, isPaired) => {
        heard.push([axis, isPaired]);
        return {axis: axis || "checkpoint", axes: ["checkpoint", "steps"], rows: axis === "steps" ? [] : rows};
    });
    document.getElementById("place").append(ticks.button, ticks.panel);
}"""


@pytest.fixture
def site() -> Iterator[Site]:
    with served() as site:
        yield site


@pytest.fixture
def open_page(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    with tabs(browser, site) as open_page:
        yield open_page


@pytest.fixture
def bar(open_page: Callable[..., Any]) -> Callable[..., Any]:
    def bar(**target: Any) -> Any:
        tab = open_page()
        tab.evaluate(MOUNT_BAR, {"id": "a", "letters": ["A", "B"], "at": 0, "isMarkable": True, **target})
        return tab

    return bar


@pytest.mark.browser
def test_every_mark_has_a_key_and_a_button(bar: Callable[..., Any]) -> None:
    tab = bar()
    press(tab, "4", "p", "p", "x", "t", "3", "3", "t", "Escape", "t", "1", "u", "Control+z")
    assert tab.evaluate("heard.marks") == [
        {"stars": 4}, {"pick": "pick"}, {"pick": "none"}, {"pick": "reject"}, {"faults": ["eyes"]}, {"stars": 3},
        {"faults": ["eyes", "hands"]}, {"pick": "none", "stars": 0, "faults": [], "remark": ""}, "undo",
    ]  # fmt: skip
    tab.evaluate("heard.marks.length = 0")
    for name in ("3 stars", "3 stars", "Pick", "neck"):
        tab.get_by_role("button", name=name, exact=True).click()
    assert tab.evaluate("heard.marks") == [{"stars": 3}, {"stars": 0}, {"pick": "pick"}, {"faults": ["neck"]}]


@pytest.mark.browser
def test_a_remark_is_kept_where_it_was_written(bar: Callable[..., Any]) -> None:
    tab = bar(mark={"remark": "before"})
    press(tab, "/", "Control+a", *"wax 5", "Escape", "/", "Control+a", *"p4 x", "Enter")
    assert tab.evaluate("heard.marks") == [{"remark": "p4 x"}], "keys in the field are text"
    tab.locator("input[type=text]").fill("half a rem")
    tab.evaluate("show({id: 'b', letters: ['A', 'B'], at: 1, isMarkable: true})")
    assert tab.evaluate("heard.ids") == ["a", "a"]
    assert tab.locator("input[type=text]").input_value() == ""


@pytest.mark.browser
def test_what_holds_no_picture_cannot_be_marked(bar: Callable[..., Any]) -> None:
    tab = bar(isMarkable=False)
    press(tab, "4", "p", "t", "1", "x")
    assert tab.evaluate("heard.marks") == []
    assert tab.get_by_role("button", name="Pick", exact=True).is_disabled()


@pytest.mark.browser
def test_counts_say_what_they_are_out_of(open_page: Callable[..., Any]) -> None:
    tab = open_page()
    tab.evaluate(MOUNT_TICKS)
    tab.get_by_role("button", name="Marks by value").click()
    rows = tab.locator("tbody tr").all_inner_texts()
    assert [re.split(r"\t", row) for row in rows] == [
        ["one", "12", "4", "1 of 4", "0 of 4", "3.5 (2)", "3 of 4"],
        ["other", "12", "0", "–", "–", "–", "–"],
    ]
    tab.get_by_role("checkbox").check()
    tab.get_by_role("combobox").select_option("steps")
    tab.get_by_text("No picture is marked at every value yet.").wait_for()
    assert tab.evaluate("heard") == [["", False], ["checkpoint", True], ["steps", True]]
