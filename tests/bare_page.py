"""A bare page over a small server, for tests of components alone. Knows nothing about what is mounted on it."""

import io
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parent.parent / "workbench/web/components"
SIZE = 256
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb"]
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; connect-src 'self'; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
MARKUP = '</script><script>window.ran = 1</script><img src=x onerror="window.ran = 1">${1+1} {{x}} "quoted"'
REASON = "latents are not finite after step 3 of 28"
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/tokens.css"><link rel="stylesheet" href="/grid.css">
<link rel="stylesheet" href="/viewer.css">
<style>html, body { height: 100%; margin: 0 } #place { height: 100% }</style>
<script type="module" src="/grid.js"></script><script type="module" src="/viewer.js"></script>
</head><body><div id="place"></div></body></html>"""
FAULTS = """() => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r]) => { const s = r / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; };
    const ground = (e) => { const c = parts(getComputedStyle(e).backgroundColor);
        return (c[3] ?? 1) > 0.5 || !e.parentElement ? c : ground(e.parentElement); };
    const faults = [];
    for (const e of document.querySelectorAll("body *:not(option)")) {
        const style = getComputedStyle(e), [r, g, b] = parts(style.color), under = ground(e);
        if (r !== g || g !== b || under[0] !== under[1] || under[1] !== under[2]) faults.push([e.tagName, e.className]);
        const hasText = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!hasText || !e.checkVisibility()) continue;
        const [dark, bright] = [light([r]), light(under)].sort((x, y) => x - y);
        if ((bright + 0.05) / (dark + 0.05) < 4.5) faults.push([e.className, e.textContent, style.color, under]);
    }
    return faults;
}"""


def noise(number: int, size: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (size, size, 3), np.uint8)


def coded(number: int, size: int = SIZE) -> NDArray[np.uint8]:
    """Every pixel tells where it lies (red = x, green = y) as a share of 255, and which picture it is from (blue)."""
    y, x = np.mgrid[:size, :size] * 256 // size
    return np.dstack([x, y, np.full_like(x, number)]).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", compress_level=1)
    return file.getvalue()


@dataclass
class Site:
    """What the small server answers; a test changes it while the page looks at it."""

    files: dict[str, bytes] = field(default_factory=dict)
    edition: str = "first"
    axes: list[dict[str, Any]] = field(default_factory=list)
    cells: list[dict[str, Any]] = field(default_factory=list)
    marks: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    url: str = ""

    @property
    def revision(self) -> int:
        return max((cell["revision"] for cell in self.cells), default=0)

    def change(self, at: int, **changes: Any) -> None:
        self.cells[at] = {**self.cells[at], **changes, "revision": self.revision + 1}

    def kept(self) -> dict[str, Any]:
        """The mark that the last change was of, as a whole."""
        key = self.marks[-1]["key"]
        return {name: value for said in self.marks if said["key"] == key for name, value in said.items()}

    def told(self, cells: list[dict[str, Any]]) -> dict[str, Any]:
        return {"title": "window", "edition": self.edition, "revision": self.revision, "cells": cells}

    def answer(self, path: str) -> tuple[str, bytes] | None:
        name, _, after = path.partition("?after=")
        if name in self.refused:
            return None
        if name == "/":
            return "text/html", PAGE.encode()
        if name == "/grid":
            return "application/json", json.dumps(self.told(self.cells) | {"axes": self.axes}).encode()
        if name == "/cells":
            since = int(after.partition("&")[0])
            return "application/json", json.dumps(
                self.told([cell for cell in self.cells if cell["revision"] > since])
            ).encode()
        if name in self.files:
            return "image/png", self.files[name]
        if re.fullmatch(r"/\w+\.(js|css)", name) and (ROOT / name[1:]).exists():
            return {"js": "text/javascript", "css": "text/css"}[name.rpartition(".")[2]], (ROOT / name[1:]).read_bytes()
        return None


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            self.send(site.answer(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_refused = self.path in site.refused
            if not is_refused:
                site.marks.append(json.loads(body))
            self.send(None if is_refused else ("application/json", json.dumps(site.kept()).encode()))

        def send(self, found: tuple[str, bytes] | None) -> None:
            kind, body = found or ("text/plain", b"")
            self.send_response(200 if found else 500)
            for name, value in (("Content-Type", kind), ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler


@contextmanager
def served() -> Iterator[Site]:
    """The small server, with a few pictures."""
    site = Site()
    for number in range(4):
        site.files[f"/noise{number}.png"] = png(noise(number))
        site.files[f"/coded{number}.png"] = png(coded(number))
    site.files["/large.png"] = png(coded(9, 2 * SIZE))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none, unless browser tests must run."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        assert not os.environ.get("SIDELIGHT_REQUIRE_BROWSER"), "no chromium found, and the browser tests must run here"
        pytest.skip("no chromium found: install one to run the browser tests")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def tabs(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    """Opens the page in a tab; fails the test if a page asked any other host, met an error or complained."""
    contexts: list[Any] = []
    asked: list[str] = []
    complaints: list[str] = []

    def open_page(density: float = 1, *, is_clock_mine: bool = False) -> Any:
        context = browser.new_context(viewport={"width": 1000, "height": 640}, device_scale_factor=density)
        contexts.append(context)
        context.set_default_timeout(60_000)
        tab = context.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        if is_clock_mine:
            tab.clock.install(time=0)
        tab.goto(site.url)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert all(url.startswith((site.url, "data:")) for url in asked)
    expected = [text for text in complaints if site.refused and ("500" in text or "404" in text)]
    assert complaints == expected


def press(tab: Any, *keys: str) -> None:
    for key in keys:
        tab.keyboard.press(key)
