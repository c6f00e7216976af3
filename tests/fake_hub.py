"""A Hugging Face hub on 127.0.0.1 as far as `pipelines.downloads.hub` asks it, which misbehaves when told to.

Large files redirect to a second server on another port, as the real hub's do to its CDN. `faults` are done one a
request of that path, in order; then it behaves. Knows nothing about what fetches from it.
"""

import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c0ffee" * 6 + "0000"
LARGE = 1000  # bytes from which a file is kept apart and listed by SHA-256, as git-lfs does


class FakeHub:
    """What it holds, what it was asked, how many bytes of each file it sent."""

    def __init__(
        self, files: Mapping[str, bytes], *, repo: str = "owner/repo", listed: Mapping[str, bytes] | None = None
    ):
        self.repo = repo
        self.files = dict(files)
        self.listed = dict(listed or files)
        self.commit = COMMIT
        self.gated: tuple[int, str] | None = None
        self.token: str | None = None
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.sent: dict[str, int] = defaultdict(int)
        self.released = threading.Event()
        self.stalled = threading.Event()
        self.started: dict[str, threading.Event] = defaultdict(threading.Event)
        self.cdn = _Server(self, is_cdn=True)
        self.front = _Server(self, is_cdn=False)

    @property
    def url(self) -> str:
        return self.front.url

    def requests(self, path: str = "") -> list[str]:
        """Paths of files that were asked for on either server, in order."""
        return [asked for _, asked, _ in self.asked if path in asked]

    def info(self) -> dict[str, Any]:
        siblings = []
        for path, data in self.listed.items():
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            one: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": git}
            if len(data) >= LARGE:
                one["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(one)
        return {"id": self.repo, "sha": self.commit, "gated": bool(self.gated), "siblings": siblings}

    def close(self) -> None:
        self.released.set()
        for server in (self.front, self.cdn):
            server.shutdown()
            server.server_close()


@contextmanager
def serving(files: Mapping[str, bytes], **more: Any) -> Iterator[FakeHub]:
    hub = FakeHub(files, **more)
    try:
        yield hub
    finally:
        hub.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: FakeHub, *, is_cdn: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.is_cdn = hub, is_cdn
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        hub, path = self.server.hub, self.path.split("?")[0]
        hub.asked.append(
            ("cdn" if self.server.is_cdn else "hub", path, {k.lower(): v for k, v in self.headers.items()})
        )
        if self.server.is_cdn:
            return self._file(path.removeprefix("/cdn/"))
        if path.startswith("/api/models/"):
            fault = self._next("list")
            if fault:
                return self._plain(int(fault), b"")
            owner_repo, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            if owner_repo != hub.repo:
                return self._plain(401, b"{}", {"X-Error-Code": "RepoNotFound"})
            if revision not in ("main", hub.commit):
                return self._plain(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return self._plain(200, json.dumps(hub.info()).encode())
        file = path.removeprefix(f"/{hub.repo}/resolve/{hub.commit}/")
        if hub.gated and self.headers.get("Authorization") != f"Bearer {hub.token}":
            status, code = hub.gated
            return self._plain(status, b"", {"X-Error-Code": code})
        if file not in hub.files:
            return self._plain(404, b"", {"X-Error-Code": "EntryNotFound"})
        if len(hub.files[file]) >= LARGE:
            return self._plain(302, b"", {"Location": f"{hub.cdn.url}/cdn/{file}"})
        return self._file(file)

    def _next(self, path: str) -> str:
        faults = self.server.hub.faults[path]
        return faults.pop(0) if faults else ""

    def _plain(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, path: str) -> None:
        """Send it, in the way that is next in `faults`."""
        data, fault = self.server.hub.files[path], self._next(path)
        span = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(span[1]) if span else 0
        name, _, value = fault.partition(":")
        if name == "status":
            return self._plain(int(value), b"", {"Retry-After": "7"})
        if name == "416" or start >= max(len(data), 1):
            return self._plain(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        if name == "wrong":
            data = bytes(byte ^ 1 for byte in data)
        if name == "longer":
            data += b"and more"
        if name == "ignore":
            start = 0
        body = data[start:]
        self.send_response(206 if start else 200)
        if start:
            shift = int(value) if name == "shifted" else 0
            self.send_header("Content-Range", f"bytes {start + shift}-{len(data) - 1}/{len(data)}")
        if name in ("longer", "cut"):  # no length said: only the closing tells the end
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        stop = int(value) if name in ("drop", "stall", "cut", "ignore") and value else len(body)
        self._send(path, body[:stop])
        if name == "stall":
            self.server.hub.stalled.set()
            self.server.hub.released.wait()
        if stop < len(body):
            self.close_connection = True

    def _send(self, path: str, body: bytes) -> None:
        self.server.hub.sent[path] += len(body)  # first: once it came, the next request's thread counts too
        self.wfile.write(body)
        self.wfile.flush()
        self.server.hub.started[path].set()
