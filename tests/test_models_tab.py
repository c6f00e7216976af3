"""The Models tab over the page's own routes and a small hub: the table, a download watched to its end, one's own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pipelines import listing
from tests.bare_page import FAULTS, MARKUP
from tests.fake_hub import FakeHub, serving
from tests.test_fetch import BIG, FOLDER, placed
from tests.test_guard import served
from workbench.queue import Queue
from workbench.web.guard import Guard
from workbench.web.models_routes import routes
from workbench.web.pulls import OFFLINE
from workbench.web.routes import api
from workbench.web.site import Site

pytestmark = pytest.mark.browser
WEB = Path(__file__).parent.parent / "workbench/web"
PATIENCE_SECONDS = 120.0
FILM = "film.safetensors"
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/components/tokens.css"><link rel="stylesheet" href="/assets/components/models.css">
<style>html, body { height: 100%; margin: 0 } #place { height: 100% }</style>
<script type="module">
    import { mount as mountBridge } from "/assets/page/page.js";
    import { mount } from "/assets/page/models.js";
    window.used = [];
    mountBridge(document.createElement("div"), { send: {}, watch: () => {} });
    mount(document.getElementById("place"), { send: { use: (said) => used.push(said.name) } });
</script></head><body><div id="place"></div></body></html>"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One's own list with a row that the small hub holds, and one whose licence is hostile; where downloads go."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SIDELIGHT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_TOKEN", OFFLINE):
        monkeypatch.delenv(name, raising=False)
    listing.own_list().parent.mkdir(parents=True)
    hostile = MARKUP.replace("'", "")
    listing.own_list().write_text(
        f"film  sdxl  hf:owner/repo@main/{FILM}  kind=lora licence=mine\n"
        f"odd  flux  hf:owner/odd@main  'licence={hostile}'\n"
    )
    return tmp_path / "models"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with serving({**FOLDER, FILM: BIG}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def open_tab(browser: Any, hub: FakeHub, models: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens the tab; fails if it met an error or asked any other host."""
    site = Site(tmp_path / "runs", Queue(tmp_path / "queue.sqlite"))

    def page(_: Request) -> Response:
        return HTMLResponse(PAGE)

    assets = [Mount(f"/assets/{name}", StaticFiles(directory=WEB / name)) for name in ("components", "page")]
    faults: list[str] = []
    contexts: list[Any] = []
    with served(Guard(api(site.runs, more=[*routes(site), *assets, Route("/", page)]))) as port:
        here = f"http://127.0.0.1:{port}/"

        def open_tab(expected: str = "nothing") -> Any:
            context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
            contexts.append(context)
            context.set_default_timeout(1000 * PATIENCE_SECONDS)
            tab = context.new_page()
            tab.on("console", lambda said: faults.append(said.text) if expected not in said.text else None)
            tab.on("pageerror", lambda error: faults.append(str(error)))
            tab.on("request", lambda asked: None if asked.url.startswith((here, "data:")) else faults.append(asked.url))
            tab.goto(here)
            tab.locator(".sl-model-detail h2").wait_for()
            return tab

        yield open_tab
        for context in contexts:
            context.close()
    assert faults == []


def row(tab: Any, name: str) -> Any:
    return tab.locator(f'.sl-model[aria-label^="{name}, "]')


def says(tab: Any, text: str) -> None:
    """Wait until the pane of the selected model says so."""
    tab.locator(".sl-model-detail", has_text=text).wait_for()


def test_the_table_says_what_is_here_in_words_and_walks_by_keys(open_tab: Callable[..., Any]) -> None:
    tab = open_tab()
    assert tab.locator(".sl-model[role=row]:not(.sl-model-head)").count() == len(listing.rows())
    assert row(tab, "demo-sdxl").inner_text().split("\n")[:3] == ["demo-sdxl", "checkpoint", "here"]
    assert "gated" in row(tab, "flux-dev").inner_text()
    assert tab.locator(".sl-model-detail h2").inner_text() == "demo-sdxl"
    row(tab, "demo-sdxl").focus()
    tab.keyboard.press("u")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("document.activeElement.ariaSelected") == "true"
    assert tab.locator(".sl-model-detail h2").inner_text() == "sdxl-base"
    tab.keyboard.press("End")
    assert tab.locator(".sl-model-detail h2").inner_text() == "flux2-klein-9b"
    assert tab.evaluate("used") == ["demo-sdxl"]
    tab.keyboard.press("?")
    assert tab.locator("dialog[open]").inner_text().startswith("All keys")
    tab.keyboard.press("Escape")
    assert tab.evaluate(FAULTS) == []


def test_filters_find_and_an_empty_table_says_what_to_do(open_tab: Callable[..., Any]) -> None:
    tab = open_tab()
    tab.keyboard.press("/")
    tab.keyboard.type("gguf kontext")
    assert tab.locator(".sl-model-name").all_inner_texts() == ["flux-kontext-dev-q4"]
    tab.get_by_role("button", name="SDXL").click()
    says(tab, "Select a model")
    tab.get_by_role("button", name="Show all").click()
    tab.get_by_role("button", name="Only what is here").click()
    assert tab.locator(".sl-model-name").all_inner_texts() == ["demo-sdxl", "demo-flux"]


def test_a_download_is_agreed_to_watched_stopped_and_gone_on_with(
    open_tab: Callable[..., Any], hub: FakeHub, models: Path
) -> None:
    hub.faults[FILM] = ["stall:150000"]
    tab = open_tab()
    row(tab, "film").click()
    tab.get_by_role("button", name="Download …").click()
    says(tab, "film: mine, as the list says")
    says(tab, f"in 1 file, into {models}")
    assert hub.sent[FILM] == 0
    tab.keyboard.press("Enter")  # the answer has the focus
    says(tab, "waiting for bytes")
    assert tab.get_by_role("progressbar").get_attribute("aria-valuenow") == "75"
    assert "75 %\n0.1 of 0.2 MB" in row(tab, "film").inner_text()
    other = open_tab()  # a second browser sees the same
    row(other, "film").click()
    says(other, FILM)
    other.keyboard.press("x")
    says(tab, "Download stopped: what came is kept")
    assert "partly here" in row(tab, "film").inner_text()
    row(tab, "film").focus()
    tab.keyboard.press("d")
    says(tab, "every byte checked")
    assert placed(models, FILM).read_bytes() == BIG
    assert hub.sent[FILM] == len(BIG)
    tab.get_by_role("button", name="Verify").click()
    says(tab, "Check passed: 1 file read")
    tab.get_by_role("button", name="Delete files …").click()
    tab.get_by_role("button", name="Delete 0.2 MB").click()
    says(tab, "to be downloaded")
    assert not placed(models, FILM).exists()


def test_wrong_bytes_and_hostile_text_are_shown_as_text(open_tab: Callable[..., Any], hub: FakeHub) -> None:
    hub.faults[FILM] = ["wrong"] * 3
    tab = open_tab()
    row(tab, "film").click()
    tab.keyboard.press("d")
    tab.get_by_role("button", name="Agree and download").click()
    says(tab, "Download failed: owner/repo: film.safetensors came wrong (its hash is not the one that the hub lists)")
    row(tab, "odd").click()
    says(tab, "</script><script>window.ran = 1</script>")
    assert tab.evaluate("window.ran") is None
    assert tab.evaluate(FAULTS) == []


def test_ones_own_come_go_and_come_back(open_tab: Callable[..., Any], tmp_path: Path) -> None:
    tab = open_tab(expected="422")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    save_file({"decoder.conv_in.weight": np.zeros((8, 4, 3, 3), np.float16)}, shelf / "soft.safetensors")
    (shelf / "old.ckpt").write_bytes(b"never read")
    tab.keyboard.press("a")
    tab.keyboard.type("owner/some-lora")
    tab.keyboard.press("Enter")
    tab.get_by_role("alert").filter(has_text="needs its family").wait_for()
    tab.get_by_label("Folder, file or repository").fill(str(shelf))
    tab.keyboard.press("Enter")
    says(tab, "1 added to")
    says(tab, "old.ckpt is a pickle")
    tab.get_by_role("button", name="soft", exact=True).click()
    tab.locator(".sl-model-detail h2", has_text="soft").wait_for()
    tab.get_by_role("button", name="Take out of your list").click()
    row(tab, "soft").wait_for(state="detached")
    tab.get_by_role("button", name="Undo").click()
    row(tab, "soft").wait_for()
    assert "soft" in listing.rows()
