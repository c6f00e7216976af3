"""The queue and the pill alone on a page, over a real queue: what is drawn, what keys do, and that the focus stays."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from tests.bare_page import FAULTS, MARKUP, press
from tests.test_guard import served
from workbench.jobs import INTERACTIVE, Asked, Job
from workbench.queue import Queue
from workbench.watch import Post
from workbench.web import queue_routes
from workbench.web.guard import Guard
from workbench.web.routes import api
from workbench.web.site import Site
from workbench.worker_log import NAME

pytestmark = pytest.mark.browser
ASSETS = Path(queue_routes.__file__).parent
RUN = "2026-11-20-window-light"
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/components/tokens.css"><link rel="stylesheet" href="/assets/components/queue.css">
<link rel="stylesheet" href="/assets/components/pill.css">
<style>html, body { height: 100%; margin: 0; background: #1a1a1a } body { display: flex; flex-direction: column }
#head { padding: 8px 12px } #place { flex: 1; min-height: 0 }</style>
<script type="module" src="/assets/page/page.js"></script>
<script type="module">
import { mount as mountQueue } from "/assets/components/queue.js";
import { mount as mountPill } from "/assets/components/pill.js";
import { source } from "/assets/page/queue.js";
window.heard = { opened: [], more: 0, wished: [], problems: [] };
const onOpen = (run) => heard.opened.push(run);
window.mountQueue = () => {
    window.panel = mountQueue(document.getElementById("place"), { source, onOpen });
    return panel.refresh();
};
window.mountPill = () => {
    const onWished = (job, wish) => heard.wished.push([job.id, wish]), onMore = () => { heard.more++; };
    const onProblem = (text) => heard.problems.push(text);
    const place = document.getElementById("head");
    window.pill = mountPill(place, { source, onOpen, onMore, onWished, onProblem });
    return pill.refresh();
};
window.drawn = () => {
    const rows = new Set();
    new MutationObserver((changes) => {
        const boxes = changes.map(({ target }) => (target.nodeType === 1 ? target : target.parentElement));
        for (const box of boxes) rows.add(box.closest(".sl-job")?.dataset.job);
    }).observe(document.querySelector(".sl-jobs"), { childList: true, subtree: true, characterData: true });
    return window.changedRows = rows;
};
window.isReady = true;
</script></head><body><div id="head"></div><div id="place"></div></body></html>"""
TEXT_OF_ROWS = "[...document.querySelectorAll('.sl-job')].map((row) => row.innerText.replace(/\\s+/g, ' '))"


@dataclass
class Desk:
    """A queue whose worker is the test, and the page's server over it."""

    queue: Queue
    runs: Path
    starts: list[int] = field(default_factory=list)
    is_refusing: bool = False
    url: str = ""

    def added(self, name: str = "window light", *, run: str = RUN, cells: int = 320, **changes: Any) -> Job:
        folder = self.runs / run
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sweep.toml").touch()
        return self.queue.add(Asked(folder, name, cells=cells, **changes))

    def running(self, *, done: int = 0, seconds_left: float | None = None, **changes: Any) -> Job:
        self.added(**changes)
        job = self.queue.claim(1)
        assert job is not None
        self.queue.tell(job, done=done, failed=0, seconds_left=seconds_left)
        return job


class Refusing:
    """The app, or 500 while the desk refuses."""

    def __init__(self, app: Any, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        is_refused = self._desk.is_refusing and scope["path"].startswith("/api/")
        await (Response(status_code=500) if is_refused else self._app)(scope, receive, send)


@contextmanager
def site_over(desk: Desk) -> Iterator[None]:
    """Serve page, components and routes; sets the desk's url."""

    async def page(_: Request) -> Response:
        return HTMLResponse(PAGE)

    app = api(desk.runs)
    ours: list[BaseRoute] = [Route("/", page), Mount("/assets", StaticFiles(directory=ASSETS))]
    start = Site(desk.runs, desk.queue, start_worker=lambda _: desk.starts.append(threading.get_ident()))
    app.router.routes[:0] = [*queue_routes.routes(start), *ours]
    with served(Guard(Refusing(app, desk))) as port:
        desk.url = f"http://127.0.0.1:{port}"
        yield


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "state").mkdir()
    desk = Desk(Queue(tmp_path / "state" / "queue.sqlite"), tmp_path / "runs")
    with site_over(desk):
        yield desk


@pytest.fixture
def open_page(browser: Any, desk: Desk) -> Iterator[Callable[..., Any]]:
    """Opens the page; fails the test if it asked any other host, met an error or complained."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(60_000)
    asked: list[str] = []
    complaints: list[str] = []

    def open_page(mount: str = "mountQueue()") -> Any:
        tab = context.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(desk.url)
        tab.wait_for_function("window.isReady")
        tab.evaluate(mount)
        return tab

    yield open_page
    context.close()
    assert all(url.startswith((desk.url, "data:")) for url in asked)
    assert [text for text in complaints if "Failed to load resource" not in text] == []


def refresh(tab: Any, part: str = "panel") -> bool:
    is_busy: bool = tab.evaluate(f"{part}.refresh()")
    return is_busy


def focused(tab: Any) -> str:
    """The job whose row holds the focus, and the button, if it is on one."""
    said: str = tab.evaluate(
        "document.activeElement.closest('.sl-job')?.dataset.job + ' ' + (document.activeElement.value ?? 'row')"
    )
    return said


def pill(tab: Any) -> str:
    """What can be read in it."""
    parts: list[str] = tab.evaluate(
        "[...document.querySelector('.sl-now').children].filter((e) => !e.hidden && e.className !== 'sl-spoken')"
        ".map((e) => e.innerText.trim()).filter(Boolean)"
    )
    return " ".join(parts)


def walk_to(tab: Any, job: Job) -> None:
    tab.locator(f"[data-job='{job.id}']").evaluate("(row) => row.focus()")


def press_and_settle(tab: Any, key: str) -> None:
    """Press a key and wait until what it wished is done and drawn."""
    asked = tab.evaluate("panel.asked")
    press(tab, key)
    tab.wait_for_function(f"panel.asked > {asked}")
    refresh(tab)


def test_an_empty_queue_says_what_to_do_first(open_page: Any) -> None:
    tab = open_page("Promise.all([mountQueue(), mountPill()])")
    assert "Nothing is queued" in tab.inner_text(".sl-empty")
    assert "Create" in tab.inner_text(".sl-empty")
    assert tab.inner_text(".sl-queue-worker") == "No worker: one starts with the next job"
    assert pill(tab) == ""
    assert refresh(tab) is False


def test_every_state_is_told_in_words_and_shape_in_grey(desk: Desk, open_page: Any) -> None:
    for state in ("done", "failed", "cancelled"):
        desk.queue.end(desk.running(name=state, run=state, done=300), state, "latents are not finite")  # type: ignore[arg-type]
    desk.queue.wish(desk.added("later", run="later").id, "pause")
    desk.running(name=MARKUP, done=312, seconds_left=80.2)
    desk.added("a face", run="face", cells=1, priority=INTERACTIVE)
    desk.added("next", run="next")
    tab = open_page("Promise.all([mountQueue(), mountPill()])")
    rows = tab.evaluate(TEXT_OF_ROWS)
    assert [row.split()[0] for row in rows] == ["runs", "waits", "waits", "paused", "cancelled", "failed", "done"]
    assert MARKUP.replace("  ", " ") in rows[0]
    assert "312 of 320 1 min 20 s left Pause After this cell Cancel" in rows[0]
    assert "picture" in rows[1]
    assert "latents are not finite" in rows[5]
    shapes = "[...document.querySelectorAll('.sl-shape')].map((e) => getComputedStyle(e).cssText + e.dataset.state)"
    assert len(set(tab.evaluate(shapes))) == 6
    assert tab.locator(".sl-job").first.get_attribute("aria-label").endswith("runs, 312 of 320, 1 min 20 s left")
    assert tab.evaluate("window.ran") is None
    assert tab.evaluate(FAULTS) == []


def test_only_changed_rows_are_drawn_and_the_focus_stays(desk: Desk, open_page: Any) -> None:
    job = desk.running(run="first", cells=9)
    for number in range(12):
        desk.added(f"other {number}", run=f"other-{number}")
    tab = open_page()
    row = f"[data-job='{job.id}']"
    tab.focus(f"{row} button[value='pause']")
    tab.evaluate("drawn() && null")
    desk.queue.tell(job, done=4, failed=0, seconds_left=20)
    assert refresh(tab) is True
    assert tab.evaluate("[...changedRows]") == [str(job.id)]
    assert focused(tab) == f"{job.id} pause"
    press_and_settle(tab, "Enter")
    assert desk.queue.job(job.id).wish == "pause"
    assert "pauses at the next step" in tab.inner_text(row)
    assert focused(tab) == f"{job.id} resume"
    desk.queue.end(job, "paused")
    refresh(tab)
    assert tab.inner_text(".sl-job:last-child .sl-job-state") == "paused"
    assert focused(tab) == f"{job.id} resume"


def test_everything_is_done_by_keys(desk: Desk, open_page: Any) -> None:
    running = desk.running(run="first")
    waiting = [desk.added(f"other {number}", run=f"other-{number}") for number in range(3)]
    tab = open_page()
    walk_to(tab, running)
    press(tab, "ArrowDown", "ArrowDown", "Enter")
    assert tab.evaluate("heard.opened") == ["other-1"]
    press_and_settle(tab, "t")
    assert [job.id for job in desk.queue.jobs("waiting")] == [waiting[at].id for at in (1, 0, 2)]
    press_and_settle(tab, "d")
    press_and_settle(tab, "d")
    assert [job.id for job in desk.queue.jobs("waiting")] == [waiting[at].id for at in (0, 2, 1)]
    press_and_settle(tab, "u")
    assert [job.id for job in desk.queue.jobs("waiting")] == [waiting[at].id for at in (0, 1, 2)]
    assert focused(tab) == f"{waiting[1].id} row"
    press_and_settle(tab, "p")
    assert desk.queue.job(waiting[1].id).state == "paused"
    press_and_settle(tab, "p")
    assert desk.queue.job(waiting[1].id).state == "waiting"
    press_and_settle(tab, "x")
    assert desk.queue.job(waiting[1].id).state == "cancelled"
    assert "whole pictures stay; Retry makes the rest" in tab.inner_text(f"[data-job='{waiting[1].id}']")
    press_and_settle(tab, "r")
    assert desk.queue.job(waiting[1].id).state == "waiting"
    walk_to(tab, running)
    press_and_settle(tab, "a")
    assert desk.queue.job(running.id).wish == "after this cell"
    press(tab, "?")
    assert "Whole pictures stay".lower() in tab.inner_text("dialog[open]")


def test_a_wish_that_is_refused_is_told_in_its_row(desk: Desk, open_page: Any) -> None:
    job = desk.running(done=9, cells=9)
    tab = open_page()
    desk.queue.end(job, "done")
    tab.click("button[value='pause']")
    tab.wait_for_selector(".sl-job [role=alert]")
    assert f"job {job.id} is done already" in tab.inner_text(".sl-job [role=alert]")


def test_a_server_that_does_not_answer_is_told_and_what_was_known_stays(desk: Desk, open_page: Any) -> None:
    desk.running(done=3)
    tab = open_page("Promise.all([mountQueue(), mountPill()])")
    desk.is_refusing = True
    assert refresh(tab) is True
    refresh(tab, "pill")
    assert tab.inner_text(".sl-queue [role=alert]").startswith("No news of the queue")
    assert "no answer" in tab.inner_text(".sl-now-count")
    assert "3 of 320" in tab.inner_text(".sl-job")
    desk.is_refusing = False
    refresh(tab)
    assert not tab.is_visible(".sl-queue [role=alert]")


def test_giving_memory_back_says_what_is_paused(desk: Desk, open_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    post = Post.taken(desk.queue)
    assert post is not None
    post.sign()
    stops: list[Queue] = []
    monkeypatch.setattr(queue_routes, "stop_worker", stops.append)
    job = desk.running()
    desk.added("later", run="later")
    tab = open_page()
    assert "gives its memory back after 5 idle minutes" in tab.inner_text(".sl-queue-worker")
    tab.get_by_role("button", name="Give memory back").click()
    tab.wait_for_function("document.querySelector('.sl-queue [role=status]').innerText")
    assert tab.inner_text(".sl-queue [role=status]").startswith("2 jobs are paused until they are resumed; the worker")
    assert stops == [desk.queue]
    desk.queue.end(job, "waiting")
    post.quit()
    refresh(tab)
    assert not tab.is_visible("text=Give memory back")
    tab.get_by_role("button", name="Resume all").click()
    tab.wait_for_function("!document.querySelector(\"[data-state='paused']\")")
    assert len(desk.queue.jobs("waiting")) == 2
    assert desk.starts


def test_log_and_what_ended_long_ago_unfold(desk: Desk, open_page: Any) -> None:
    for number in range(10):
        desk.queue.end(desk.running(name=f"run {number}", run=f"run-{number}"), "done")
    (desk.queue.path.parent / NAME).write_text("12:00:00 job 1 started: <b>window</b>\n")
    tab = open_page()
    assert len(tab.evaluate(TEXT_OF_ROWS)) == 8
    tab.get_by_role("button", name="Show 2 more that ended").click()
    assert len(tab.evaluate(TEXT_OF_ROWS)) == 10
    tab.click("summary")
    tab.wait_for_function("document.querySelector('pre').textContent")
    assert "<b>window</b>" in tab.inner_text("pre")


def test_pill_shows_the_job_that_runs_and_steers_it(desk: Desk, open_page: Any) -> None:
    job = desk.running(name="window light " * 12, done=312, seconds_left=80)
    desk.added("next", run="next")
    tab = open_page("mountPill()")
    assert pill(tab).startswith("Run 11-20 window light")
    assert pill(tab).endswith("312 of 320 · 1 min 20 s left Pause Cancel +1 waiting")
    assert tab.locator(".sl-now").bounding_box()["width"] <= 560
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1280
    tab.click(".sl-now-name")
    tab.click("text=+1 waiting")
    assert tab.evaluate("[heard.opened, heard.more]") == [[RUN], 1]
    tab.get_by_role("button", name="Pause").click()
    tab.get_by_role("button", name="Resume").wait_for()
    assert desk.queue.job(job.id).wish == "pause"
    assert "is pausing" in pill(tab)
    tab.get_by_role("button", name="Cancel").click()
    tab.wait_for_function("heard.wished.length === 2")
    assert desk.queue.job(job.id).wish == "cancel"
    assert tab.evaluate(FAULTS) == []


def test_pill_speaks_at_most_every_ten_seconds(desk: Desk, open_page: Any) -> None:
    job = desk.running(done=1)
    tab = open_page("window.performance.now = () => window.clock ?? 0; mountPill()")
    for done, clock, told in ((2, 9_000, "1 of 320"), (3, 10_001, "3 of 320"), (4, 20_000, "3 of 320")):
        desk.queue.tell(job, done=done, failed=0, seconds_left=None)
        tab.evaluate(f"window.clock = {clock}")
        refresh(tab, "pill")
        assert tab.text_content(".sl-now [role=status]") == told


def test_pill_tells_what_waits_is_paused_or_has_failed_until_it_was_seen(desk: Desk, open_page: Any) -> None:
    for name in ("one", "two"):
        desk.queue.end(desk.running(name=name, run=name), "failed", "why")
    waiting = [desk.added(name, run=name) for name in ("a", "b")]
    tab = open_page("mountPill()")
    assert pill(tab) == "2 waiting, the worker is starting"
    for job in waiting:
        desk.queue.wish(job.id, "pause")
    refresh(tab, "pill")
    assert pill(tab) == "2 paused"
    for job in waiting:
        desk.queue.wish(job.id, "cancel")
    refresh(tab, "pill")
    assert pill(tab) == "2 failed"
    tab.click("text=2 failed")
    again = open_page("mountPill()")
    assert [pill(page) for page in (tab, again)] == ["", ""]


def test_on_the_page_both_follow_the_queue_by_themselves(desk: Desk, open_page: Any) -> None:
    tab = open_page(
        """Promise.all(["pill", "queue"].map((name) => import(`/assets/page/${name}.js`))).then(([pill, queue]) => {
            Sidelight.say = (text, { action } = {}) => { window.said = { text, action }; };
            pill.mount(document.getElementById("head"));
            queue.mount(document.getElementById("place"));
        })"""
    )
    job = desk.running(done=7)
    tab.wait_for_function("document.querySelector('.sl-now-count').textContent.startsWith('7 of 320')")
    tab.wait_for_function("document.querySelector('.sl-job')?.innerText.includes('7 of 320')")
    tab.click(".sl-now-name")
    assert f"run={RUN}" in tab.url
    tab.locator(".sl-now").get_by_role("button", name="Cancel").click()
    tab.wait_for_function("window.said?.text === 'window light is cancelled; its whole pictures stay.'")
    assert desk.queue.job(job.id).wish == "cancel"
    desk.queue.end(job, "cancelled")
    tab.evaluate("said.action()")
    tab.wait_for_function("document.querySelector('.sl-job-state').innerText === 'waits'")
    assert desk.queue.job(job.id).state == "waiting"


@pytest.mark.parametrize("width", [380, 440, 700])
def test_in_a_narrow_place_every_button_stays_inside(desk: Desk, open_page: Any, width: int) -> None:
    desk.running(name="a long name of a run that nobody would give to one", run="first", seconds_left=6000)
    desk.added("later", run="later")
    desk.added("last", run="last")
    tab = open_page()
    tab.locator(".sl-queue").evaluate(f"(queue) => {{ queue.parentElement.style.width = '{width}px'; }}")
    outside = tab.locator(".sl-queue button:visible").evaluate_all(
        "(buttons) => buttons.filter((one) => one.getBoundingClientRect().right"
        " > one.closest('.sl-queue').getBoundingClientRect().right).map((one) => one.textContent)"
    )
    assert outside == []
