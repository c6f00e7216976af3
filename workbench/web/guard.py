"""Stands in front of the whole page: refuses strangers before anything is read. Knows nothing about what is behind it.

Gradio answers any Host and takes POSTs from any Origin, so a website could reach a page on 127.0.0.1 through the
visitor's own browser. The rules here need no list of ports, so they also hold behind an SSH port forward.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.errors import InputError
from workbench.web.password import Password

LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
BODY_BYTES = 96 * 2**20
"""Longest request: an 80 MB upload, and what surrounds it."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; connect-src 'self'; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing is fetched from or sent to elsewhere. Gradio's `gr.HTML` needs 'unsafe-eval' (it calls `new Function`)."""
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_HOST = re.compile(rb"(?i)(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_ELSEWHERE = re.compile(r"(?i)/file[=/]+\s*[a-z][a-z0-9+.-]*:|/file[=/]\s*//|/proxy[=/]")
"""Gradio's routes that fetch an address for whoever asks."""
_HEARTBEAT = "/gradio_api/heartbeat/"

Status = Literal[204, 401, 403, 413, 421]
WORDS: dict[Status, str] = {
    204: "",
    401: "this page asks for a password (any user name)",
    403: "refused: this did not come from the page itself",
    413: "refused: the request is too large",
    421: "refused: the page does not go by this name; open it by the address that `sidelight serve` printed",
}


@dataclass(frozen=True)
class Door:
    """Who may come in: the names the page goes by, whether any IP address will do, and the password if one is asked.

    A rebinding attack needs a name of its own, so an IP address in its place is no danger where a password is asked.
    """

    names: frozenset[str] = LOCAL
    any_address: bool = False
    password: Password | None = None


def door(address: str, password: Password | None) -> Door:
    """The door of a page that binds to `address`; raises InputError for one that others can reach without password."""
    try:
        number = ipaddress.ip_address(address)
        is_local, name = number.is_loopback, f"[{address}]" if number.version == 6 else address
    except ValueError:
        is_local, name = address == "localhost", address
    if not is_local and password is None:
        raise InputError(
            f"{address} can be reached from other machines; give --password-file FILE with it, or leave out --listen "
            "and use an SSH port forward"
        )
    return Door(LOCAL | {name.lower()}, not is_local, password)


class Guard:
    """The app behind it, for those who may. Every answer carries `HEADERS`, none an Access-Control header."""

    def __init__(self, app: ASGIApp, who: Door | None = None, *, body_bytes: int = BODY_BYTES) -> None:
        self._app, self._door, self._body_bytes = app, who or Door(), body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        status = self._status(scope)
        if status is None and scope["type"] == "http":
            visit = _Visit(receive, send, self._body_bytes)
            await visit.of(self._app, scope)
        elif status is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _answer(_guarded(send), status)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _status(self, scope: Scope) -> Status | None:
        """What to answer without asking the app; None if it may be asked."""
        headers = _Headers(scope)
        host = _HOST.fullmatch(headers.only(b"host") or b"")
        if host is None or not self._goes_by(host["name"].decode().lower()):
            return 421
        if not _same_origin(headers, host[0]) or not _same_site(scope, headers):
            return 403
        if self._door.password and not self._door.password.opens(headers.only(b"authorization") or b""):
            return 401
        if _ELSEWHERE.search(scope["path"]):
            return 403
        if scope["path"].startswith(_HEARTBEAT):
            return 204  # else every tab holds a connection, of which browsers allow six
        length = headers.only(b"content-length") or b"0"
        return 413 if not length.isdigit() or int(length[:20]) > self._body_bytes else None

    def _goes_by(self, name: str) -> bool:
        if name in self._door.names:
            return True
        if not self._door.any_address:
            return False
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True


class _Headers:
    """A request's headers by name."""

    def __init__(self, scope: Scope) -> None:
        self._pairs: list[tuple[bytes, bytes]] = [(name.lower(), value) for name, value in scope["headers"]]

    def only(self, name: bytes) -> bytes | None:
        """The value, None if it is not there; of a doubled header both, with a comma that no rule here lets pass."""
        values = [value for each, value in self._pairs if each == name]
        return b",".join(values) if values else None


def _same_origin(headers: _Headers, host: bytes) -> bool:
    """A browser says where a request comes from; then it must be the very page, port included."""
    origin = headers.only(b"origin")
    return origin is None or origin.lower() in (b"http://" + host.lower(), b"https://" + host.lower())


def _same_site(scope: Scope, headers: _Headers) -> bool:
    """From elsewhere only a link may lead here, as a page of its own; no picture, script, frame, fetch or form."""
    if headers.only(b"sec-fetch-site") in (None, b"same-origin", b"none"):
        return True
    is_link = headers.only(b"sec-fetch-mode") == b"navigate" and headers.only(b"sec-fetch-dest") == b"document"
    return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and is_link


def _guarded(send: Send) -> Send:
    """`send` with our headers in place of the app's of these names, and none that opens the page to other origins."""
    ours = {name for name, _ in HEADERS}

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", ())
                if name.lower() not in ours and not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": [*kept, *HEADERS]}
        await send(message)

    return guarded


async def _answer(send: Send, status: Status) -> None:
    text = WORDS[status].encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if status != 204:
        headers.append((b"content-length", str(len(text)).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="Sidelight", charset="UTF-8"'))
    if status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not worth reading
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


class _Visit:
    """One request whose body is counted while it comes in: its length may be unsaid, or a lie."""

    def __init__(self, receive: Receive, send: Send, body_bytes: int) -> None:
        self._receive, self._send = receive, _guarded(send)
        self._left = body_bytes
        self._is_refused = self._is_begun = False

    async def of(self, app: ASGIApp, scope: Scope) -> None:
        """Let the app answer; 413 in its place once the body is too long."""
        try:
            await app(scope, self._counted, self._passed)
        except Exception:
            if not self._is_refused:
                raise

    async def _counted(self) -> Message:
        if self._is_refused:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left >= 0:
            return message
        self._is_refused = True
        if not self._is_begun:
            await _answer(self._send, 413)
        return {"type": "http.disconnect"}

    async def _passed(self, message: Message) -> None:
        if not self._is_refused:
            self._is_begun = True
            await self._send(message)
