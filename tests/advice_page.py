"""The advice panel on a bare page whose addresses are answered in this process. Knows nothing about what it advises."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tests.bare_page import POLICY

WEB = Path(__file__).parent.parent / "workbench" / "web"
HOME = "http://sidelight.test"
PAGE = """<!doctype html><html><head><meta charset="utf-8"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/assets/components/tokens.css"><link rel="stylesheet" href="/assets/components/advice.css">
<style>html, body { height: 100%; margin: 0; background: #1a1a1a }</style>
<script>
  window.heard = [];
  window.Sidelight = {
    async json(path, { method = "GET", body } = {}) {
      const answer = await fetch(path, { method, body: body && JSON.stringify(body) });
      const said = await answer.json();
      if (!answer.ok) throw new Error(said.error);
      return said;
    },
    open: (run, more) => heard.push(["open", run, more]),
    hand: (target, picture) => heard.push(["hand", target, picture]),
    say: (text, more) => heard.push(["say", text, more?.label ?? ""]),
  };
</script>
<script type="module" src="/assets/components/advice.js"></script></head><body></body></html>"""
KINDS = {"js": "text/javascript", "css": "text/css"}


def opened(browser: Any, client: TestClient, *, size: tuple[int, int] = (1280, 800)) -> tuple[Any, list[str]]:
    """The page in a tab, and what it complained of so far."""
    tab = browser.new_page(viewport={"width": size[0], "height": size[1]})
    tab.set_default_timeout(60_000)
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text))
    tab.route("**/*", _answering(client))
    tab.goto(HOME)
    tab.wait_for_function("window.SidelightAdvice")
    return tab, complaints


def _answering(client: TestClient) -> Callable[[Any], None]:
    def answer(route: Any) -> None:
        request = route.request
        path = request.url.removeprefix(HOME)
        if path == "/":
            policy = POLICY.replace("connect-src 'self'", f"connect-src {HOME}")
            route.fulfill(body=PAGE, headers={"content-type": "text/html", "content-security-policy": policy})
        elif path.startswith("/assets/"):
            file = WEB / path.removeprefix("/assets/")
            route.fulfill(body=file.read_text(), headers={"content-type": KINDS[file.suffix[1:]]})
        else:
            body = json.loads(request.post_data) if request.post_data else None
            said = client.request(request.method, path, json=body)
            route.fulfill(status=said.status_code, body=said.content, headers={"content-type": "application/json"})

    return answer
