"""Every test runs alone: own folders, one CPU thread, no network. Knows nothing about what is tested."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; tiny models lose time with more
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["DIFFUSERS_VERBOSITY"] = "error"

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.bare_page import chromium

settings.register_profile("steady", deadline=None, derandomize=True)  # a busy machine is no fault of the code
settings.load_profile("steady")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, once a module: its engine runs an event loop, which other tests must not find running."""
    with chromium() as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home for each file of tests: nobody's own models or lights, and nothing that another file left."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "HF_HOME"):
            patch.setenv(name, str(home / name.lower()))
        patch.delenv("SIDELIGHT_MODELS", raising=False)
        patch.setenv("GRADIO_TEMP_DIR", str(home / "uploads"))  # the page sets its own
        yield


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if host not in ("", "127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached for {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """GPU tests skip without a CUDA device, and say so; a browser that a busy machine starves gets one second try."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))  # counted as "rerun" in the summary
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            for item in items:
                if item.get_closest_marker("gpu"):
                    item.add_marker(pytest.mark.skip(reason="no CUDA device here; run on a machine with one"))


@pytest.fixture
def demo() -> Path:
    """The folder of the demo checkpoints."""
    return Path(__file__).parent.parent / "pipelines" / "demo"
