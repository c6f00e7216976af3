"""The guard: strangers are refused before anything is read, those who may come in are served."""

import asyncio
import base64
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.errors import InputError
from workbench.web.guard import HEADERS, LOCAL, Door, Guard, door
from workbench.web.password import Password

SECRET = "correct horse battery"
HERE = "127.0.0.1:7860"


class Behind:
    """An app that counts who gets to it, reads the whole body, and is as careless with headers as Gradio."""

    def __init__(self) -> None:
        self.asked, self.read, self.ended_badly = 0, 0, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        try:
            async for chunk in Request(scope, receive).stream():
                self.read += len(chunk)
        except ClientDisconnect:
            self.ended_badly = True
            raise
        careless = {"access-control-allow-origin": "https://evil.test", "Content-Security-Policy": "default-src *"}
        await PlainTextResponse("inside", headers=careless)(scope, receive, send)


Answer = tuple[int, dict[str, str], bytes]


def ask(app: ASGIApp, path: str = "/", method: str = "GET", body: tuple[bytes, ...] = (b"",), **headers: str) -> Answer:
    """One request as a server hands it over, `_` in a header's name for `-`; host ours where not said otherwise."""
    given_headers = {"host": HERE} | {name.replace("_", "-"): value for name, value in headers.items()}
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in given_headers.items() if value]
    sent = asked(app, {"type": "http", "method": method, "path": path, "headers": pairs, "query_string": b""}, body)
    start = next(message for message in sent if message["type"] == "http.response.start")
    told = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], told, b"".join(message.get("body", b"") for message in sent)


def asked(app: ASGIApp, scope: Scope, body: tuple[bytes, ...]) -> list[Message]:
    """All that the app sends."""
    sent: list[Message] = []
    parts = [{"type": "http.request", "body": part, "more_body": at < len(body) - 1} for at, part in enumerate(body)]

    async def receive() -> Message:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "localhost:54321", "LOCALHOST", "[::1]:7860"])
def test_our_own_names_are_let_in_on_any_port(host: str) -> None:
    assert ask(Guard(Behind()), host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.test", "evil.test:7860", "127.0.0.1.evil.test", "127.0.0.2", "localhost.", "127.0.0.1@evil.test",
     "127.0.0.1:7860,evil.test", "127.0.0.1:x", " 127.0.0.1", "127.0.0.1\n", "[::1", "0.0.0.0", "2130706433"],
)  # fmt: skip
def test_foreign_host_is_refused_before_the_app_is_asked(host: str) -> None:
    behind = Behind()
    assert ask(Guard(behind), host=host)[0] == 421
    assert not behind.asked


def test_two_hosts_are_none() -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"127.0.0.1"), (b"Host", b"evil")]}
    assert asked(Guard(Behind()), scope, (b"",))[0]["status"] == 421


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_made_up_host_gets_in(host: str) -> None:
    ours = re.fullmatch(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", host.lower())
    assert (ask(Guard(Behind()), host=host)[0] == 200) == bool(ours)


@pytest.mark.parametrize(
    "origin", ["https://evil.test", "null", "http://127.0.0.1", "http://127.0.0.1:7861", "http://localhost:7860",
               "http://127.0.0.1:7860.evil.test", "http://127.0.0.1:7860/", "file://", "x"],
)  # fmt: skip
def test_foreign_origin_is_refused_whatever_the_method(origin: str) -> None:
    behind = Behind()
    assert {ask(Guard(behind), method=method, origin=origin)[0] for method in ("GET", "POST", "OPTIONS")} == {403}
    assert not behind.asked


@pytest.mark.parametrize("origin", ["http://127.0.0.1:7860", "https://127.0.0.1:7860", ""])
def test_page_itself_may_post(origin: str) -> None:
    assert ask(Guard(Behind()), method="POST", origin=origin, sec_fetch_site="same-origin")[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "x", "same-origin,cross-site"])
def test_other_sites_may_only_link_here(site: str) -> None:
    app = Guard(Behind())
    link = {"sec_fetch_site": site, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert ask(app, **link)[0] == 200
    assert ask(app, method="POST", **link)[0] == 403
    assert ask(app, **(link | {"sec_fetch_dest": "iframe"}))[0] == 403
    assert ask(app, **(link | {"sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}))[0] == 403


def test_typed_addresses_and_tools_without_such_headers_are_let_in() -> None:
    assert ask(Guard(Behind()), sec_fetch_site="none")[0] == 200
    assert ask(Guard(Behind()), method="POST")[0] == 200


def test_every_answer_has_our_headers_and_none_opens_to_other_origins() -> None:
    app = Guard(Behind(), body_bytes=10)
    answers = [ask(app), ask(app, host="evil.test"), ask(app, origin="null"), ask(app, "/gradio_api/heartbeat/x")]
    answers.append(ask(app, method="POST", body=(b"x" * 11,)))
    assert [status for status, _, _ in answers] == [200, 421, 403, 204, 413]
    for status, headers, _ in answers:
        assert not [name for name in headers if name.startswith("access-control")]
        assert status != 200 or {name.decode(): value.decode() for name, value in HEADERS}.items() <= headers.items()
    assert "'unsafe-eval'" in answers[0][1]["content-security-policy"]
    assert "*" not in answers[0][1]["content-security-policy"]
    assert answers[-1][1]["x-content-type-options"] == "nosniff"
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    names = [name.lower() for name, _ in asked(app, scope, (b"",))[0]["headers"]]
    assert names.count(b"content-security-policy") == 1  # of two, a browser would take what both allow; the app's goes


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/file=http://evil.test/x", "/gradio_api/file=HTTPS://evil.test", "/gradio_api/file/https://evil.test",
     "/gradio_api/proxy=http://evil.test", "/proxy=x", "/gradio_api/file=//evil.test", "/file=ftp://evil.test",
     "//gradio_api//file=http://evil.test", "/gradio_api/file= http://evil.test"],
)  # fmt: skip
def test_gradios_fetching_routes_are_refused(path: str) -> None:
    behind = Behind()
    assert ask(Guard(behind), path)[0] == 403
    assert not behind.asked


def test_gradios_own_files_are_served_and_its_heartbeat_is_answered_at_once() -> None:
    behind = Behind()
    assert ask(Guard(behind), "/gradio_api/file=/tmp/upload/x.png")[0] == 200
    assert ask(Guard(behind), "/gradio_api/heartbeat/abc")[::2] == (204, b"")
    assert behind.asked == 1


def test_a_body_that_says_it_is_too_long_is_not_read() -> None:
    behind = Behind()
    assert ask(Guard(behind, body_bytes=10), method="POST", content_length="11")[0] == 413
    assert ask(Guard(behind, body_bytes=10), method="POST", content_length="1e9")[0] == 413
    assert ask(Guard(behind, body_bytes=10), method="POST", content_length="9" * 99)[0] == 413
    assert not behind.asked


def test_a_body_that_lies_about_its_length_is_cut_off() -> None:
    behind = Behind()
    status, _, body = ask(Guard(behind, body_bytes=10), method="POST", body=(b"1234", b"5678", b"9abc", b"d" * 99))
    assert status == 413
    assert b"too large" in body
    assert behind.read == 8
    assert behind.ended_badly
    assert ask(Guard(behind, body_bytes=10), method="POST", body=(b"12345", b"67890"))[0] == 200


def test_an_app_that_reads_on_is_answered_for_once() -> None:
    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(5):
            await receive()
        await PlainTextResponse("read it all")(scope, receive, send)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")]}
    sent = asked(Guard(stubborn, body_bytes=10), scope, (b"x" * 9,) * 5)
    assert [message.get("status") for message in sent] == [413, None]


def test_our_own_bugs_keep_their_traceback() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        ask(Guard(broken))


@pytest.mark.parametrize(
    ("headers", "first"),
    [({}, "accept"), ({"origin": f"http://{HERE}"}, "accept"), ({"host": "evil.test"}, "close"),
     ({"origin": "https://evil.test"}, "close"), ({"sec-fetch-site": "cross-site"}, "close")],
)  # fmt: skip
def test_websockets_are_guarded_too(headers: dict[str, str], first: str) -> None:
    pairs = [(name.encode(), value.encode()) for name, value in ({"host": HERE} | headers).items()]
    sent = asked(Guard(Behind()), {"type": "websocket", "path": "/ws", "headers": pairs}, ())
    assert sent[0]["type"] == f"websocket.{first}"


def basic(said: str, user: str = "me") -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{said}".encode()).decode()


def test_with_a_password_nothing_is_answered_without_it() -> None:
    behind = Behind()
    app = Guard(behind, door("192.168.1.5", Password(SECRET)))
    wrong = ["", "Basic", "Basic !!!", basic("wrong"), basic(SECRET + " "), basic(""), basic(SECRET).replace("c", "k")]
    wrong += ["Bearer " + basic(SECRET).split()[1], SECRET, f"Basic {SECRET}"]
    for header in wrong:
        for path in ("/", "/gradio_api/heartbeat/x", "/pictures/a/b.png"):
            status, headers, _ = ask(app, path, authorization=header)
            assert status == 401
            assert headers["www-authenticate"].startswith("Basic ")
    assert not behind.asked
    assert ask(app, authorization=basic(SECRET))[0] == 200
    assert ask(app, authorization=basic(SECRET, user="").replace("Basic", "basic"))[0] == 200
    assert asked(app, {"type": "websocket", "path": "/", "headers": [(b"host", b"localhost")]}, ())[0]["code"] == 1008


def test_listening_elsewhere_takes_addresses_but_no_foreign_names() -> None:
    app = Guard(Behind(), door("0.0.0.0", Password(SECRET)))
    hosts = {"192.168.1.5:7860": 200, "[fe80::1]:7860": 200, "localhost": 200, "evil.test": 421, "1.2.3": 421}
    assert {host: ask(app, host=host, authorization=basic(SECRET))[0] for host in hosts} == hosts
    named = Guard(Behind(), door("studio.local", Password(SECRET)))
    assert ask(named, host="Studio.local:7860", authorization=basic(SECRET))[0] == 200


def test_other_addresses_want_a_password_and_our_own_do_not() -> None:
    for address in ("127.0.0.1", "localhost", "::1", "127.0.0.9"):
        assert door(address, None).names >= LOCAL
        assert not door(address, None).any_address
    for address in ("0.0.0.0", "::", "192.168.1.5", "studio.local", ""):
        with pytest.raises(InputError, match="--password-file"):
            door(address, None)


def password_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    """A file with this text and mode."""
    path = folder / "password"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_password_is_read_from_a_file_that_is_ours_alone(tmp_path: Path) -> None:
    assert Password.read(password_file(tmp_path, f"{SECRET}\nnotes\n")).opens(basic(SECRET).encode())
    for mode in (0o640, 0o604, 0o620, 0o644):
        with pytest.raises(InputError, match=f"mode {mode:04o}.*chmod 600"):
            Password.read(password_file(tmp_path, SECRET, mode))


def test_password_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, me = password_file(tmp_path, SECRET), os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    with pytest.raises(InputError, match=f"owner {me}"):
        Password.read(path)


@pytest.mark.parametrize("text", ["", "short", "\n" + SECRET, "x" * 1025])
def test_password_that_can_be_guessed_is_refused_without_telling_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="allowed: 12 to 1024") as told:
        Password.read(password_file(tmp_path, text))
    assert not text.strip() or text.strip() not in str(told.value)


def test_password_file_that_is_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        with pytest.raises(InputError, match="password file"):
            Password.read(path)


def test_password_is_shown_nowhere() -> None:
    kept = Password(SECRET)
    who = Door(password=kept)
    for text in (repr(kept), str(kept), repr(who), repr(vars(kept))):
        assert SECRET not in text


@contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    """The app behind a real server on 127.0.0.1; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(120)
            assert not thread.is_alive()


def test_real_server_refuses_and_serves_the_same() -> None:
    behind = Behind()
    with served(Guard(behind, body_bytes=1000)) as port:

        def status(method: str = "GET", path: str = "/", body: bytes | None = None, **headers: str) -> int:
            line = HTTPConnection("127.0.0.1", port, timeout=120)
            try:
                line.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
                return line.getresponse().status
            finally:
                line.close()

        assert status() == 200
        assert status(Host="evil.test") == 421
        assert status("POST", origin="https://evil.test") == 403
        assert status("POST", sec_fetch_site="cross-site") == 403
        assert status("POST", body=b"x" * 1000, origin=f"http://127.0.0.1:{port}") == 200
        assert status("POST", body=b"x" * 1001) == 413
        assert status(path="/gradio_api/file%3Dhttp://evil.test") == 403
        assert status(path="/gradio_api/%66ile=http:%2f%2fevil.test") == 403
        assert behind.asked == 2
