"""The Doctor tab: doctor runs beside the page, its last report is kept and shown, and it ends with the page."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from tests.bare_page import FAULTS, MARKUP
from tests.test_guard import served
from workbench.doctor import Finding, Report, Section
from workbench.doctor_command import shown
from workbench.queue import Queue
from workbench.web.doctor_routes import COMMAND, KEPT, routes
from workbench.web.guard import Guard
from workbench.web.routes import api
from workbench.web.site import Site

WEB = Path(__file__).parent.parent / "workbench/web"
PATIENCE_SECONDS = 120.0
REPORT = Report(
    (
        Section("system", (Finding("Python", "3.11"), Finding("torch build", "CPU", "remark", "take the other build"))),
        Section(
            "models",
            (
                Finding("demo-sdxl", "sdxl checkpoint, whole", values={"state": "here"}),
                Finding("lamp", f"file:{MARKUP} is not there", "broken", "bring it back", {"state": "missing"}),
            ),
        ),
        Section("what fits", (Finding("lamp", "on cpu", values={"fits": True, "numerics": {"device": "cpu"}}),)),
    )
)
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/components/tokens.css"><link rel="stylesheet" href="/assets/components/doctor.css">
<style>html, body { height: 100%; margin: 0 } #place { height: 100% }</style>
<script type="module">
    import { mount as mountBridge } from "/assets/page/page.js";
    import { mount } from "/assets/page/doctor.js";
    mountBridge(document.createElement("div"), { send: {}, watch: () => {} });
    mount(document.getElementById("place"));
</script></head><body><div id="place"></div></body></html>"""


def command(folder: Path, report: Report = REPORT) -> tuple[str, ...]:
    """Answers as doctor does, as soon as the file `go` is there; leaves its words in `words`."""
    (folder / "answer.json").write_text(json.dumps(report.as_dict()))
    code = (
        "import sys, time; from pathlib import Path; here = Path(sys.argv[1])\n"
        "(here / 'words').write_text(' '.join(sys.argv[2:]))\n"
        "while not (here / 'go').exists(): time.sleep(0.02)\n"
        "print((here / 'answer.json').read_text()); sys.exit(1)"
    )
    return (sys.executable, "-c", code, str(folder), "doctor", "--json")


def page(folder: Path, words: Sequence[str]) -> TestClient:
    """A browser in front of a page that was just started."""
    return TestClient(Guard(_app(folder, words)), base_url="http://127.0.0.1:7860")


def _app(folder: Path, words: Sequence[str]) -> Any:
    def bare(_: Request) -> Response:
        return HTMLResponse(PAGE)

    site = Site(folder / "runs", Queue(folder / "queue.sqlite"))
    assets = [Mount(f"/assets/{name}", StaticFiles(directory=WEB / name)) for name in ("components", "page")]
    return api(site.runs, more=[*routes(site, command=words), *assets, Route("/", bare)])


def ended(client: TestClient) -> Any:
    until(lambda: client.get("/api/doctor").json()["state"] != "running")
    return client.get("/api/doctor").json()


def until(holds: Callable[[], object]) -> None:
    """Wait until it holds; however slow the machine is, not for ever."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_one_at_a_time_and_the_last_report_outlives_the_page(tmp_path: Path) -> None:
    words = command(tmp_path)
    client = page(tmp_path, words)
    assert client.get("/api/doctor").json() == {
        "state": "none", "started": "", "seconds": 0, "error": "", "report": None,
    }  # fmt: skip
    told = client.post("/api/doctor", json={"quick": True}).json()
    assert told["state"] == "running"
    assert told["started"].endswith(" UTC")
    refused = client.post("/api/doctor", json={"quick": False})
    assert refused.status_code == 409
    assert "is running" in refused.json()["error"]
    (tmp_path / "go").touch()
    told = ended(client)
    assert (told["state"], told["error"]) == ("done", "")
    assert (tmp_path / "words").read_text() == f"doctor --json --runs {tmp_path / 'runs'} --quick"
    report = told["report"]
    assert (report["verdict"], report["is_broken"], report["is_quick"]) == (REPORT.verdict, True, True)
    assert report["advice"] == ["bring it back", "take the other build"]
    states = {(s["title"], one["name"]): one["state"] for s in report["sections"] for one in s["findings"]}
    assert states["system", "torch build"] == "remark"
    assert states["models", "demo-sdxl"] == "fine"
    assert states["models", "lamp"] == "broken"
    assert states["what fits", "lamp"] == "fine"
    assert report["text"] == shown(REPORT)
    again = page(tmp_path, words).get("/api/doctor").json()
    assert again["state"] == "none"
    assert again["report"]["text"] == report["text"]
    (tmp_path / KEPT).write_text((tmp_path / KEPT).read_text().replace('"sections"', '"parts"'))
    assert page(tmp_path, words).get("/api/doctor").json()["report"] is None


def test_a_doctor_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    client = page(tmp_path, (sys.executable, "-c", "raise SystemExit('torch is half installed')"))
    client.post("/api/doctor", json={})
    told = ended(client)
    assert told["state"] == "failed"
    assert "doctor ended without a report: torch is half installed; run `sidelight doctor`" in told["error"]
    assert client.post("/api/doctor", json={"quik": True}).status_code == 422


def test_the_real_doctor_reports(tmp_path: Path) -> None:
    client = page(tmp_path, COMMAND)
    client.post("/api/doctor", json={"quick": True})
    told = ended(client)
    assert told["state"] == "done", told["error"]
    assert told["report"]["verdict"].startswith("Sidelight works here")
    assert told["report"]["text"].startswith("Sidelight works here")


def test_doctor_ends_with_the_page_however_that_ends(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    endless = f"import os, time; open({str(marker)!r}, 'w').write(str(os.getpid())); time.sleep(1000)"
    words = (*COMMAND[:2], COMMAND[2].replace("from workbench.cli import main; main()", endless))
    code = (
        "import sys, time; from pathlib import Path; from workbench.web.doctor_routes import Examination\n"
        f"Examination(Path({str(tmp_path / KEPT)!r}), command={words!r}).begin(is_quick=True); time.sleep(1000)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: marker.exists() and marker.read_text())
    child = int(marker.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_SECONDS)
    until(lambda: not _lives(child))


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{number}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.browser
def test_the_tab_runs_it_by_itself_at_first_and_shows_what_was_found(browser: Any, tmp_path: Path) -> None:
    faults: list[str] = []
    with served(Guard(_app(tmp_path, command(tmp_path)))) as port:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        context.set_default_timeout(1000 * PATIENCE_SECONDS)
        tab = context.new_page()
        tab.on("console", lambda said: faults.append(said.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto(f"http://127.0.0.1:{port}/")
        tab.get_by_text("Looking at this machine").wait_for()
        assert tab.get_by_role("button", name="Run again, quick").is_disabled()
        (tmp_path / "go").touch()
        tab.locator("h2", has_text="Something is broken").wait_for()
        states = tab.locator(".sl-finding-state").all_inner_texts()
        assert states[:4] == ["fine", "could be better", "fine", "broken"]
        assert "bring it back" in tab.locator(".sl-finding", has_text="lamp").first.inner_text()
        assert tab.evaluate("window.ran") is None
        assert tab.get_by_text("Examined just now, quick").is_visible()
        assert tab.evaluate(FAULTS) == []
        tab.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        tab.keyboard.press("c")
        tab.get_by_text("The report is copied").wait_for()
        assert tab.evaluate("copied") == shown(REPORT)
        (tmp_path / "answer.json").write_text(json.dumps(Report(REPORT.sections[:1]).as_dict()))
        tab.keyboard.press("w")
        tab.locator("h2", has_text="Sidelight works here").wait_for()
        assert (tmp_path / "words").read_text() == f"doctor --json --runs {tmp_path / 'runs'}"
        context.close()
    assert faults == []
