"""`sidelight serve` as a process: who is let in, what is refused, how it ends; no torch, no look at the network."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page_server import PageServer

WATCHED = """
import socket, sys
asked = []
looked_up = socket.getaddrinfo
def watched(host, *rest, **more):
    if host not in ("127.0.0.1", "localhost", None):
        asked.append(host)
    return looked_up(host, *rest, **more)
socket.getaddrinfo = watched
from pathlib import Path
from workbench.queue import Queue
from workbench.web.guard import Door
from workbench.web.serve import app
from workbench.web.site import Site
app(Site(Path(sys.argv[1]), Queue()), Door())
heavy = {"torch", "diffusers", "transformers", "peft", "accelerate"} & sys.modules.keys()
print(sorted(heavy), asked)
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    with PageServer(tmp_path_factory.mktemp("serve")) as server:
        yield server


def test_page_loads_no_torch_and_asks_nobody_on_the_network(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[] []", done.stdout + done.stderr


def test_page_answers_and_its_assets_are_plain_files(page: PageServer) -> None:
    assert page.ask("/api/runs") == {"runs": []}
    assert page.ask("/assets/page/..%2fserve.py")["status"] == 404
    assert page.ask("/assets/page/nothing.js")["status"] == 404


def test_foreign_host_and_origin_are_refused(page: PageServer) -> None:
    assert page.ask("/api/runs", Host="rebound.example")["status"] == 421
    assert page.ask("/", Host="rebound.example")["status"] == 421
    assert page.ask("/api/runs", Origin="http://other.example")["status"] == 403
    assert page.ask("/gradio_api/file=http://example.org/x.png")["status"] == 403


def test_page_serves_no_file_of_the_machine(page: PageServer) -> None:
    for path in ("/etc/passwd", str(Path(__file__).parent.parent / "pyproject.toml")):
        assert page.ask(f"/gradio_api/file={path}")["status"] in (403, 404)


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = _serve("--port", str(taken.getsockname()[1]))
    assert done.returncode == 3
    assert "not free" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_another_address_needs_a_password() -> None:
    done = _serve("--listen", "0.0.0.0")
    assert done.returncode == 2
    assert "--password-file" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_runs_folder_that_cannot_be_is_said_in_one_line() -> None:
    done = _serve("--runs", "/dev/null/runs")
    assert done.returncode == 2
    assert "--runs" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    server = PageServer(tmp_path)
    server.start()
    assert server.kill(signal.SIGINT) == 0
    with socket.create_server(("127.0.0.1", server.port)):
        pass  # the port is free again


def _serve(*words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "workbench", "serve", "--no-open", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
