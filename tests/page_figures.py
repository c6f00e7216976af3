"""Figures of the page, measured by a real browser on a real page and worker with the demo checkpoints.

Usage: python -m tests.page_figures [--out FILE.json] [--quick]. Prints a table: medians of this one run, with how many
values each is of. Takes up to 12 minutes on two cores, with --quick about three; meant for a machine with nothing else
to do. Knows nothing about how the page is built; what a tab shows is read off the screen.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from sweeps import journal
from sweeps.journal import PictureDone
from sweeps.run import Kept, run
from tests.bare_page import chromium
from tests.easel import Easel, grid_of_200
from tests.page_server import PageServer, wait_for

CONSOLE = Console(highlight=False)
BUDGET_SECONDS = 11.9 * 60
LEAST_SECONDS = 120.0  # that a sweep must take for its overhead to be worth a figure
PATIENCE_SECONDS = 400.0
LOOK_SECONDS = 0.02
VIEW = {"width": 1440, "height": 900}
GRID = "2026-01-01-grid-of-200"
PROMPT = "portrait of a woman, side light from the left, textured skin, pores"
MAKING = """() => {
    const made = window.figures = {};
    document.addEventListener("click", ({target}) => {
        const isMake = target.closest("#create-make");
        if (isMake) Object.assign(made, {click: performance.now(), preview: null, picture: null});
    }, true);
    new MutationObserver(() => {
        const image = document.querySelector(".sl-making-frame img:not([hidden])");
        if (!made.click || !image || image === made.before) return;
        if (image.matches(".sl-preview")) made.preview ??= performance.now() - made.click;
        else if (image.matches(".sl-picture")) made.picture ??= performance.now() - made.click;
    }).observe(document.querySelector(".sl-making"), {subtree: true, childList: true, attributes: true});
}"""
"""Milliseconds from the click to the first preview, and to the picture, in the page's own frame."""
UPDATES = """() => {
    const seen = window.figures = {updates: {}, shown: {}}, {mount} = SidelightGrid;
    SidelightGrid.mount = (element, options) => mount(element, {...options, onGrid(answer) {
        options.onGrid(answer);
        const [cell] = answer.cells;
        if (answer.axes || answer.cells.length !== 1 || cell.state !== "done" || !element.checkVisibility()) return;
        const begun = performance.now();
        queueMicrotask(() => { // the grid has changed its cell by then
            document.body.getBoundingClientRect();
            seen.updates[cell.key] = performance.now() - begun;
        });
    }});
    document.addEventListener("load", ({target}) => {
        const key = target.closest?.("#tab-sweep .sl-cell") && /([^/]+)\\.\\w+(?:\\?|$)/.exec(target.src)?.[1];
        if (key) requestAnimationFrame(() => requestAnimationFrame(() => { seen.shown[key] ??= Date.now(); }));
    }, true);
}"""
"""Script and layout of one changed cell, laid out at once to be timed, and when each picture was on the screen."""

ALL_DRAWN = """(count) => {
    const images = [...document.querySelectorAll("#tab-sweep .sl-cell.sl-done img")];
    return images.length === count && images.every((image) => image.complete && image.naturalWidth);
}"""


@dataclass
class Figures:
    """What was measured, in the order of the table."""

    begun: float = field(default_factory=time.monotonic)
    values: dict[str, list[float]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str = "s") -> None:
        """One more value of a figure, said at once."""
        self.values.setdefault(name, []).append(value)
        self.units[name] = unit
        self.say(f"{name}: {_number(value)} {unit}")

    def say(self, text: str) -> None:
        """A line of progress."""
        CONSOLE.print(f"[{self.seconds:5.0f} s] {text}", markup=False, soft_wrap=True)

    @property
    def seconds(self) -> float:
        """Since the start of this script."""
        return time.monotonic() - self.begun

    def median(self, name: str) -> float:
        """Of what was measured by that name."""
        return statistics.median(self.values[name])

    def draw(self) -> None:
        """The table, and what must be known to read it."""
        table = Table("Figure", "Median", "Unit", "n", "Least", "Most")
        for name, values in self.values.items():
            numbers = [_number(each) for each in (self.median(name), min(values), max(values))]
            table.add_row(name, numbers[0], self.units[name], str(len(values)), *numbers[1:])
        CONSOLE.print(table)
        for note in self.notes:
            CONSOLE.print(note, markup=False, soft_wrap=True)

    def as_dict(self) -> dict[str, Any]:
        """All values, for a file."""
        figures = [
            {"figure": name, "unit": self.units[name], "median": self.median(name), "n": len(values), "values": values}
            for name, values in self.values.items()
        ]
        return {"figures": figures, "notes": self.notes}


@dataclass(frozen=True)
class Size:
    """How often each thing is measured."""

    starts: int = 3
    cold: int = 2
    warm: int = 3
    cells: int = 20
    sweep_seconds: float = 128.0
    turns: str = "ABAB"


QUICK = Size(starts=1, cold=1, warm=1, cells=8, sweep_seconds=12.0, turns="AB")


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"


def measure_start(figures: Figures, server: PageServer, browser: Any, times: int) -> None:
    """From the start of the process to the page answering and to its first tab drawn; the last one stays up."""
    for number in range(times):
        if number:
            server.kill(15)
        begun = time.monotonic()
        server.start()
        wait_for(lambda: _answers(server.url), "the page answers")
        figures.add("start to the page answering", time.monotonic() - begun)
        with page(browser, server) as tab:
            tab.locator("#create-make:visible").wait_for()
            tab.locator(".sl-making .sl-words b:visible").wait_for()
            figures.add("start to the first tab drawn", time.monotonic() - begun)


def _answers(url: str) -> bool:
    with suppress(urllib.error.URLError), urllib.request.urlopen(url, timeout=60) as answer:
        return bool(answer.status == 200 and answer.read())
    return False


@contextmanager
def page(browser: Any, server: PageServer, query: str = "") -> Iterator[Any]:
    """A fresh browser on the page, once its header is drawn."""
    context = browser.new_context(viewport=VIEW)
    context.set_default_timeout(1000 * PATIENCE_SECONDS)
    tab = context.new_page()
    tab.goto(server.url + query)
    tab.locator("#tabs [role=tab]").first.wait_for()
    yield tab
    context.close()


def measure_memory(figures: Figures, server: PageServer, when: str) -> None:
    """The page's process with its children, but for the worker that it started and what that started."""
    mine = psutil.Process(server.pid)
    family = [mine, *(each for each in mine.children() if "workbench.watch" not in " ".join(each.cmdline()))]
    figures.add(f"memory of the page, {when}", sum(each.memory_info().rss for each in family) / 1e6, "MB")


def measure_picture(figures: Figures, server: PageServer, browser: Any, size: Size) -> None:
    """From the click on Make picture, with the worker not started and with the checkpoint loaded."""
    with page(browser, server) as tab:
        tab.locator(".sl-making .sl-words b").wait_for()
        tab.evaluate(MAKING)
        for kind in ["cold"] * size.cold + ["warm"] * size.warm:
            if kind == "cold":
                stop_worker(server)
            _make(figures, tab, kind)


def _make(figures: Figures, tab: Any, kind: str) -> None:
    tab.evaluate("() => { figures.before = document.querySelector('.sl-making-frame img'); }")
    tab.get_by_role("button", name="Make picture").click()
    made = tab.wait_for_function("() => figures.picture && figures").json_value()
    if made["preview"] is None:
        figures.say("no preview was seen before the picture")
    else:
        figures.add(f"click to the first preview, worker {kind}", made["preview"] / 1000)
    figures.add(f"click to the picture, worker {kind}", made["picture"] / 1000)


def stop_worker(server: PageServer) -> None:
    """End the worker, so that the next job starts a new one."""
    server.command("worker", "--stop", check=False)
    wait_for(lambda: not server.ask("/api/queue")["worker"], "the worker ends")


def measure_grid(figures: Figures, server: PageServer, browser: Any, size: Size) -> None:
    """A real run of 200 cells, most of them made, then cell after cell while the browser looks."""
    easel, ready = Easel(), grid_of_200(server.runs / GRID)
    happenings = run(ready, open_engine=lambda *_: easel)
    kept = (each.key for each in happenings if isinstance(each, Kept))
    for number, key in enumerate(kept, start=1):
        easel.kept.add(key)
        if number == len(ready.keys) - size.cells:
            break
    figures.say(f"{len(easel.kept)} cells of {len(ready.keys)} are made")
    with page(browser, server, "?tab=sweep") as tab:
        tab.locator(".sl-base span").first.wait_for()
        tab.evaluate(UPDATES)
        tab.evaluate("(run) => Sidelight.open(run, {tab: 'sweep'})", GRID)
        tab.get_by_role("button", name="Hide").click()
        tab.wait_for_function(ALL_DRAWN, arg=len(easel.kept))
        moments = np.random.default_rng(5)
        for key in kept:
            _update(figures, tab, key)
            easel.kept.add(key)
            time.sleep(moments.uniform())  # else each cell would begin just after a question, and wait longest
        measure_memory(figures, server, "after the grid of 200 cells")


def _update(figures: Figures, tab: Any, key: str) -> None:
    """The journal's line of this cell was written just now."""
    written = time.time()
    tab.wait_for_function("(key) => figures.shown[key]", arg=key)
    seen = tab.evaluate("(key) => [figures.updates[key], figures.shown[key]]", key)
    if seen[0] is not None:
        figures.add("one cell of 200: script and layout", seen[0], "ms")
    figures.add("one cell of 200: journal line to screen (asked for once a second)", seen[1] - 1000 * written, "ms")


@dataclass(frozen=True)
class Took:
    """Seconds of a sweep, from its command: to its first cell and to its last line in the journal, and to its end."""

    first: float
    last: float
    whole: float

    @property
    def inner(self) -> float:
        """From the first cell to the last line."""
        return self.last - self.first


def words_of(cells: int) -> list[str]:
    """The sweep that is measured: one axis of guidance, all else the same."""
    values = ",".join(f"{1.5 + number / 100:.2f}" for number in range(cells))
    base = ["--checkpoint", "demo-sdxl", "--prompt", PROMPT, "--seed", "7", "--steps", "20"]
    return ["sweep", "run", *base, "--guidance", values]


def by_command(server: PageServer, cells: int, folder: Path) -> Took:
    """On the command line, in a process that ends with it."""
    command = [sys.executable, "-m", "workbench", *words_of(cells), "--out", str(folder), "--quiet"]
    begun = time.monotonic()
    with subprocess.Popen(command, env=server.environment) as process:
        first, last = _watched(folder)
        code = process.wait(PATIENCE_SECONDS)
    assert code == 0, f"the sweep ended with {code}"
    return Took(first - begun, last - begun, time.monotonic() - begun)


def by_queue(server: PageServer, cells: int, folder: Path) -> Took:
    """Through the queue, by a worker that is started for it."""
    stop_worker(server)
    begun = time.monotonic()
    server.command(*words_of(cells), "--out", str(folder), "--queue")
    first, last = _watched(folder)
    wait_for(lambda: _state(server, folder) in ("done", "failed", "cancelled"), "the job ends")
    whole = time.monotonic() - begun
    assert _state(server, folder) == "done"
    stop_worker(server)
    return Took(first - begun, last - begun, whole)


def _state(server: PageServer, folder: Path) -> str:
    return next(str(job["state"]) for job in server.ask("/api/queue")["jobs"] if job["folder"] == str(folder.resolve()))


def _watched(folder: Path) -> tuple[float, float]:
    """When the journal's first cell-started and its run-finished appear on the disk; its own clock shows seconds."""
    return _appears(folder, b'"cell-started"'), _appears(folder, b'"run-finished"')


def _appears(folder: Path, words: bytes) -> float:
    path, until = folder / journal.NAME, time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if path.exists() and words in path.read_bytes():
            return time.monotonic()
        time.sleep(LOOK_SECONDS)
    raise SystemExit(f"{path} never said {words.decode()}")


def measure_overhead(figures: Figures, server: PageServer, size: Size) -> None:
    """The same sweep by turns on the command line and through the queue, each in a process that starts cold."""
    stop_worker(server)
    tried = server.home / "tried"
    by_command(server, 4, tried)
    cell = statistics.median(each.seconds for each in journal.read(tried).lines if isinstance(each, PictureDone))
    cells = max(2, math.ceil(size.sweep_seconds / cell))
    figures.say(f"{cell:.2f} s a cell, so the sweep that is measured has {cells}")
    longest = size.sweep_seconds
    for number, turn in enumerate(size.turns):
        if number >= 2 and figures.seconds + longest > BUDGET_SECONDS:
            figures.notes.append(f"Time was up after {number} turns of {len(size.turns)}.")
            break
        took = TURNS[turn](server, cells, server.runs / f"2026-01-02-turn-{number}")
        figures.add(f"{turn}, sweep of {cells} cells: start to first cell", took.first)
        figures.add(f"{turn}, sweep of {cells} cells: first cell to finished", took.inner)
        figures.add(f"{turn}, sweep of {cells} cells: start to end", took.whole)
        longest = max(longest, took.whole)
    for what in ("first cell to finished", "start to end"):
        command, queue = (figures.median(f"{turn}, sweep of {cells} cells: {what}") for turn in "AB")
        figures.add(f"overhead of the queue: {what}", 100 * (queue / command - 1), "%")
    if (seconds := figures.median(f"A, sweep of {cells} cells: first cell to finished")) < LEAST_SECONDS:
        figures.notes.append(f"The sweep took {seconds:.0f} s, not two minutes: its overhead is no figure to report.")


TURNS = {"A": by_command, "B": by_queue}


def measure(figures: Figures, size: Size) -> None:
    """Everything, over a state that is gone afterwards."""
    with tempfile.TemporaryDirectory() as home, chromium() as browser:
        server = PageServer(Path(home))
        measure_start(figures, server, browser, size.starts)
        try:
            measure_memory(figures, server, "idle")
            measure_picture(figures, server, browser, size)
            measure_memory(figures, server, "after pictures")
            measure_grid(figures, server, browser, size)
            measure_overhead(figures, server, size)
        finally:
            server.__exit__()


def noted() -> list[str]:
    """What must be known to read the figures."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, OMP_NUM_THREADS=1"
    load = os.getloadavg()[0]
    return [
        f"Medians of one run; n is how many values. {machine}; load {load:.1f} at the start. Demo SDXL, 256 x 256.",
        "Sweep: the same cells by turns, A on the command line, B through the queue, each cold, no browser open.",
        "Script and layout: of the grid's own change, laid out at once; decoding and painting come after it.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="where all values go, as JSON")
    parser.add_argument("--quick", action="store_true", help="a short sweep and few values: only to see that it works")
    given = parser.parse_args()
    os.environ["SIDELIGHT_REQUIRE_BROWSER"] = "1"
    size = QUICK if given.quick else Size()
    figures = Figures(notes=noted())
    try:
        measure(figures, size)
    finally:
        figures.draw()
        if given.out:
            given.out.write_text(json.dumps(figures.as_dict() | {"size": asdict(size)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
