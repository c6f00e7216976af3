"""The Notes tab over the page's own routes: seen, changed in place, undone, brought back, read from a file, by keys."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pipelines.checkpoint import find
from sweeps.prepare import SWEEP
from tests import noting
from tests.bare_page import FAULTS, MARKUP
from tests.test_guard import served
from workbench import notes, notes_thumbs
from workbench.notes import Note, Pair, Window, from_findings
from workbench.queue import Queue
from workbench.web.guard import Guard
from workbench.web.notes_routes import routes
from workbench.web.routes import api
from workbench.web.site import Site

pytestmark = pytest.mark.browser
WEB = Path(__file__).parent.parent / "workbench/web"
PATIENCE_SECONDS = 120.0
NAME, RUN = "demo-sdxl", "2026-11-22-window"
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/components/tokens.css"><link rel="stylesheet" href="/assets/components/notes.css">
<style>html, body { height: 100%; margin: 0 } #place { height: 100% }</style>
<script type="module">
    import { mount as mountBridge } from "/assets/page/page.js";
    import { keepNote } from "/assets/components/note_keep.js";
    import { mount } from "/assets/page/notes.js";
    Object.assign(window, { used: [], opened: [], keepNote });
    mountBridge(document.createElement("div"), { send: {}, watch: () => {} });
    window.Sidelight.open = (run, more) => opened.push([run, more.cells, more.tab]);
    mount(document.getElementById("place"), { send: { use: (said) => used.push(said.name) } });
</script></head><body><div id="place"></div></body></html>"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def open_tab(browser: Any, runs: Path, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Opens the tab; fails if it met an error or asked any other host."""

    def page(_: Request) -> Response:
        return HTMLResponse(PAGE)

    assets = [Mount(f"/assets/{name}", StaticFiles(directory=WEB / name)) for name in ("components", "page")]
    site = Site(runs, Queue(tmp_path / "queue.sqlite"))
    faults: list[str] = []
    contexts: list[Any] = []
    with served(Guard(api(runs, more=[*routes(site), *assets, Route("/", page)]))) as port:
        here = f"http://127.0.0.1:{port}/"

        def new_tab() -> Any:
            contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}))
            contexts[-1].set_default_timeout(1000 * PATIENCE_SECONDS)
            tab = contexts[-1].new_page()
            tab.on("pageerror", lambda error: faults.append(str(error)))
            tab.on("request", lambda asked: None if asked.url.startswith((here, "data:")) else faults.append(asked.url))
            tab.goto(here)
            tab.wait_for_function("window.keepNote && document.querySelector('.sl-notebook')")
            return tab

        yield new_tab
        for context in contexts:
            context.close()
    assert faults == []


def plain(**changes: Any) -> Note:
    return Note(checkpoint=NAME, family="sdxl", digest=find(NAME).weights.digest).but(**changes)


def noted(runs: Path) -> Note:
    """A note that a run of three pictures stands behind."""
    run = runs / RUN
    told = noting.window_run(run)
    (run / SWEEP).write_text("# a sweep\n")
    (note,) = from_findings(told, run)
    notes_thumbs.keep(note.pictures, run, notes.thumbs())
    return notes.put(note)


def now() -> Note:
    note = notes.read(NAME)
    assert note
    return note


def kept(tab: Any, version: int) -> None:
    """Wait until the change after this version is told."""
    tab.get_by_text(f"Version {version}", exact=True).wait_for()


def field(tab: Any, name: str) -> Any:
    return tab.get_by_role("textbox", name=name, exact=True)


def test_without_notes_it_says_how_one_comes_to_be(open_tab: Callable[[], Any]) -> None:
    tab = open_tab()
    tab.get_by_text("Keep as note").wait_for()
    assert not tab.locator(".sl-notebook-left").is_visible()
    assert tab.evaluate(FAULTS) == []


def test_a_note_shows_its_grounds_and_opens_them_in_compare(open_tab: Callable[[], Any], runs: Path) -> None:
    note = noted(runs)
    tab = open_tab()
    tab.locator(".sl-note-thumb img").first.wait_for()
    tab.wait_for_function(
        "[...document.querySelectorAll('.sl-note-thumb img')].filter((each) => each.naturalWidth).length === 3"
    )
    assert field(tab, "Steps").input_value() == "20"
    assert (field(tab, "Guidance from").input_value(), field(tab, "Guidance to").input_value()) == ("3", "6")
    assert tab.locator(".sl-scale-open").count() == 0
    assert "nobody's eyes" in tab.locator(".sl-note-trust").inner_text()
    assert tab.locator(".sl-note-path").inner_text().endswith("demo-sdxl.toml")
    tab.get_by_role("button", name="best: open in Compare").click()
    tab.get_by_role("button", name="Compare", exact=True).click()
    keys = list(note.evidence[0].keys)
    assert tab.evaluate("opened") == [[RUN, [keys[0]], "compare"], [RUN, keys, "compare"]]
    tab.get_by_role("button", name="Use in Create").click()
    assert tab.evaluate("used") == [NAME]
    assert tab.evaluate(FAULTS) == []


def test_pictures_of_a_run_that_is_gone_are_still_seen_and_open_nothing(
    open_tab: Callable[[], Any], runs: Path
) -> None:
    noted(runs)
    (runs / RUN / SWEEP).unlink()
    tab = open_tab()
    tab.wait_for_function("document.querySelector('.sl-note-thumb img')?.naturalWidth > 0")
    assert tab.get_by_role("button", name="Compare", exact=True).is_disabled()
    assert tab.locator(".sl-note-thumb").first.is_disabled()


def test_fields_are_saved_where_they_are_left_and_undone_in_turn(open_tab: Callable[[], Any]) -> None:
    notes.put(plain(plateau=20, window=Window(low=3)))
    tab = open_tab()
    field(tab, "Guidance to").fill("7")
    tab.keyboard.press("Tab")  # out of the window: the other end is in the same field
    kept(tab, 1)
    assert now().window == Window(low=3, high=7)
    field(tab, "Remarks").fill("soft light\nfrom the left")
    tab.keyboard.press("Control+Enter")
    kept(tab, 2)
    assert now().remarks == "soft light\nfrom the left"
    tab.get_by_role("button", name="Undo").click()
    kept(tab, 3)
    tab.get_by_role("listbox").focus()
    tab.keyboard.press("Control+z")
    kept(tab, 4)
    assert (now().remarks, now().window) == ("", Window(low=3))
    assert field(tab, "Guidance to").input_value() == ""
    assert tab.get_by_role("button", name="Undo").is_disabled()


def test_settings_are_added_and_taken_away(open_tab: Callable[[], Any]) -> None:
    notes.put(plain(pairs=(Pair(steps=20, guidance=4, scheduler="euler"),)))
    tab = open_tab()
    tab.get_by_role("button", name="Add settings").click()
    row = tab.get_by_role("group", name="Or")
    row.get_by_label("Guidance").fill("5.5")
    row.get_by_label("Scheduler").fill("DPM++ 2M Karras")
    tab.keyboard.press("Enter")
    kept(tab, 1)
    assert [pair.guidance for pair in now().pairs] == [4, 5.5]
    tab.get_by_role("button", name="Take these settings away").first.click()
    kept(tab, 2)
    assert [pair.guidance for pair in now().pairs] == [5.5]


def test_a_refused_text_stays_with_its_reason_until_escape(open_tab: Callable[[], Any]) -> None:
    notes.put(plain(lights=("window",)))
    tab = open_tab()
    lights = field(tab, "Lights that work")
    lights.fill(MARKUP.splitlines()[0])
    tab.keyboard.press("Control+Enter")
    tab.get_by_text("is no template").wait_for()
    assert lights.get_attribute("aria-invalid") == "true"
    assert tab.evaluate("window.ran") is None
    tab.keyboard.press("Escape")
    assert lights.input_value() == "window"
    assert now().lights == ("window",)
    assert not notes.history(NAME)


def test_an_earlier_version_is_brought_back(open_tab: Callable[[], Any]) -> None:
    for plateau in (20, 30):
        notes.put(plain(plateau=plateau))
    tab = open_tab()
    tab.get_by_text("20 → 30").wait_for()
    tab.get_by_role("button", name="Bring version 1 back").click()
    kept(tab, 2)
    assert (now().plateau, field(tab, "Step plateau").input_value()) == (20, "20")


def test_the_list_is_walked_by_keys_and_tells_what_cannot_be_read(open_tab: Callable[[], Any]) -> None:
    notes.put(plain(plateau=20))
    notes.put(plain(checkpoint="elsewhere", remarks="not on this disk"))
    notes.put(plain(checkpoint="torn"))
    notes.path_of("torn").write_text("checkpoint = 'torn'\nplateau = many\n")
    tab = open_tab()
    tab.locator("h2", has_text=NAME).wait_for()
    tab.get_by_role("listbox").focus()
    tab.keyboard.press("ArrowDown")
    tab.locator("h2", has_text="elsewhere").wait_for()
    assert tab.get_by_role("option", selected=True).inner_text().startswith("elsewhere")
    assert tab.get_by_role("button", name="Use in Create").is_disabled()
    tab.keyboard.press("End")
    tab.get_by_text("This note cannot be read").wait_for()
    assert not tab.locator(".sl-note-settings").is_visible()


def test_a_note_that_was_sent_tells_its_conflicts_and_keeps_what_is_chosen(
    open_tab: Callable[[], Any], tmp_path: Path
) -> None:
    notes.put(plain(plateau=20, forbid=("halo",)))
    sent = tmp_path / "sent.toml"
    sent.write_bytes(notes.path_of(NAME).read_bytes())
    notes.put(plain(plateau=30))
    tab = open_tab()
    tab.set_input_files("input[type=file]", sent)
    dialog = tab.get_by_role("dialog")
    dialog.get_by_text("halo").first.wait_for()
    keep = dialog.get_by_role("button", name="Keep it")
    assert keep.is_disabled()
    assert tab.locator("dialog :checked").count() == 0
    assert tab.evaluate(FAULTS) == []
    tab.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert now().plateau == 30
    tab.set_input_files("input[type=file]", sent)
    dialog.get_by_label("Step plateau: 20 (This file says)").check()
    keep.click()
    kept(tab, 2)
    assert (now().plateau, now().forbid) == (20, ("halo",))


def test_a_note_that_was_sent_can_be_of_another_name_here(open_tab: Callable[[], Any], tmp_path: Path) -> None:
    notes.put(plain(plateau=20))
    tab = open_tab()
    tab.set_input_files("input[type=file]", notes.path_of(NAME))
    tab.get_by_label("Checkpoint here").fill("theirs")
    tab.get_by_role("button", name="Keep it").click()
    tab.get_by_text("You have no note of this checkpoint").wait_for()
    tab.get_by_role("button", name="Keep it").click()
    tab.locator("h2", has_text="theirs").wait_for()
    assert notes.names() == (NAME, "theirs")


def test_keeping_asks_where_the_note_says_otherwise(open_tab: Callable[[], Any]) -> None:
    notes.put(plain(plateau=20))
    tab = open_tab()
    asked: list[Any] = []
    clash = {"error": "x", "stamp": "s1", "conflicts": [{"field": "plateau", "ours": "20", "theirs": "24"}]}

    def answer(route: Any) -> None:
        asked.append(route.request.post_data_json)
        said = {"checkpoint": NAME, "rows": [["step plateau", "stop at 24"]]}
        route.fulfill(status=200 if asked[-1]["take"] else 409, json=said if asked[-1]["take"] else clash)

    tab.route("**/api/notes/keep", answer)
    ask = f"() => {{ window.told = keepNote({{run: '{RUN}', checkpoint: '{NAME}', say: Sidelight.say}}); }}"
    tab.evaluate(ask)
    dialog = tab.get_by_role("dialog")
    dialog.wait_for()
    tab.keyboard.press("Escape")
    assert tab.evaluate("told") is False
    tab.evaluate(ask)
    dialog.get_by_label("Step plateau: 24 (This run found)").check()
    dialog.get_by_role("button", name="Keep these").click()
    assert tab.evaluate("told") is True
    assert asked[-1] == {"run": RUN, "checkpoint": NAME, "take": ["plateau"], "stamp": "s1"}
    tab.get_by_text("Create and Sweep start from it").wait_for()
