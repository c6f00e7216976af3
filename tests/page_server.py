"""The page as a process of its own, with its own state: started, killed, started again.

For tests, screenshots and figures; knows nothing about what is on the page.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

PATIENCE_SECONDS = 120.0
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--force-color-profile=srgb"]


class PageServer:
    """`sidelight serve` over folders in `home`; within `with` it runs, and its worker ends with it."""

    def __init__(self, home: Path) -> None:
        self.home, self.runs = home, home / "runs"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process: subprocess.Popen[str] | None = None
        names = ("STATE", "CONFIG", "CACHE", "DATA")
        self.environment = {**os.environ, **{f"XDG_{name}_HOME": str(home / name.lower()) for name in names}}
        self.environment |= {"OMP_NUM_THREADS": "1"}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.command("worker", "--stop", check=False)
        self.kill(signal.SIGTERM)

    def start(self) -> float:
        """Start the process; seconds until the page answers."""
        begun = time.monotonic()
        words = [sys.executable, "-m", "workbench", "serve", "--no-open", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*words, "--runs", str(self.runs)], env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        said = self._process.stdout.readline()
        assert "is open" in said, f"the page did not start: {said}"
        return time.monotonic() - begun

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End the process by a signal; its exit code."""
        assert self._process
        self._process.send_signal(number)
        code = self._process.wait(PATIENCE_SECONDS)
        if self._process.stdout:
            self._process.stdout.close()
        return code

    @property
    def pid(self) -> int:
        """The page's process."""
        assert self._process
        return self._process.pid

    def command(self, *words: str, check: bool = True) -> str:
        """What `sidelight WORDS` prints, over the same state."""
        done = subprocess.run(
            [sys.executable, "-m", "workbench", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON that a route of the page answers; a dict with `status` where it refuses."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path.lstrip("/"), data, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return {"status": error.code, "said": error.read().decode()}


def wait_for(what: Callable[[], Any], why: str) -> Any:
    """The first true answer of `what`; fails with `why` after PATIENCE_SECONDS."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if answer := what():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE_SECONDS:.0f} s in vain: {why}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
