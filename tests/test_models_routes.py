"""Models over the page: what is here, downloads that are watched, stopped and gone on with, one's own list."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from starlette.testclient import TestClient

from pipelines import listing
from pipelines.downloads import lockfile
from pipelines.downloads.hub import Hub, login_token
from tests.fake_hub import FakeHub, serving
from tests.test_fetch import BIG, FOLDER, placed
from workbench.queue import Queue
from workbench.web.guard import Guard
from workbench.web.models_routes import routes
from workbench.web.pulls import OFFLINE, Pulls
from workbench.web.routes import api
from workbench.web.site import Site

FILM = "film.safetensors"
TOKEN = "hf_neverToBeSeenAnywhere"
STALL_SECONDS = 1000.0
"""Far beyond any deadline here: what a stalled download does, it does because it was told to."""


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One's own list, with rows that the hub of these tests holds."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SIDELIGHT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.delenv(OFFLINE, raising=False)
    own = listing.own_list()
    own.parent.mkdir(parents=True)
    own.write_text(
        "base  sdxl  hf:owner/repo@main  variant=fp16 licence=mine\n"
        "quick  sdxl  hf:owner/repo@main/film.safetensors  kind=lora base=base licence=mine\n"
        "twin  sdxl  hf:owner/repo@main  variant=fp16 quantisation=nf4\n"
        "shut  flux  hf:owner/repo@main  licence=theirs-NC gated=yes\n"
    )
    return own


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    configs = {"unet/config.json": b'{"sample_size": 32}', "vae/config.json": b'{"block_out_channels": [8, 16]}'}
    with serving({**FOLDER, **configs, FILM: BIG}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


class Page:
    """A browser in front of a page that was just started."""

    def __init__(self, folder: Path) -> None:
        pulls = Pulls(open_hub=lambda: Hub(token=login_token(), stall_seconds=STALL_SECONDS))
        site = Site(folder / "runs", Queue(folder / "queue.sqlite"))
        app = Guard(api(site.runs, more=routes(site, pulls)))
        self._client = TestClient(app, base_url="http://127.0.0.1:7860")

    def get(self, path: str) -> Any:
        answer = self._client.get(path)
        assert answer.status_code == 200, answer.text
        assert TOKEN not in answer.text
        return answer.json()

    def post(self, address: str, status: int = 200, **body: Any) -> Any:
        answer = self._client.post(address, json=body)
        assert answer.status_code == status, answer.text
        assert TOKEN not in answer.text
        told = answer.json()
        if status != 200:
            assert "\n" not in told["error"]
        return told if status == 200 else told["error"]

    def row(self, name: str) -> Any:
        (row,) = [row for row in self.get("/api/models")["rows"] if row["name"] == name]
        return row

    def doing(self, name: str) -> Any:
        return self.get("/api/pulls")["pulls"].get(name)

    def ended(self, name: str) -> Any:
        until(lambda: self.doing(name)["state"] != "running")
        return self.doing(name)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path)


def until(holds: Callable[[], object], seconds: float = 120) -> None:
    """Wait until it holds; however slow the machine is, not for ever."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_rows_say_what_is_here_and_ask_no_network(hub: FakeHub, page: Page) -> None:
    told = page.get("/api/models")
    rows = {row["name"]: row for row in told["rows"]}
    assert rows.keys() == listing.rows().keys()
    assert [row["name"] for row in told["rows"][:2]] == ["base", "quick"]
    demo, dev = rows["demo-sdxl"], rows["flux-dev-q4"]
    assert (demo["state"], demo["can"], demo["is_own"]) == ("here", ["use"], False)
    assert demo["bytes"] == demo["of_bytes"] > 1_000_000
    assert ["steps", "20"] in demo["defaults"]
    assert ["size", "256 × 256"] in demo["defaults"]
    assert (dev["state"], dev["bytes"], dev["of_bytes"], dev["gated"]) == ("gated", None, None, True)
    assert any("comes with it" in text for text in dev["about"])
    assert any("not for commercial use" in text for text in dev["asks"])
    assert any("accept the licence at https://huggingface.co/black-forest-labs/FLUX.1-dev" in t for t in dev["asks"])
    assert rows["sdxl-base"]["about"][0].startswith("SDXL: the base")
    assert rows["base"]["can"] == ["download", "remove"]
    assert hub.asked == []


def test_a_download_is_asked_about_first_then_comes_and_can_be_used(hub: FakeHub, page: Page, models: Path) -> None:
    asked = page.post("/api/models/quick/pull", agreed=False)
    assert not asked["started"]
    assert asked["agree"] == ["quick, base: mine, as the list says; the hub's own page is what counts."]
    assert asked["files"] > 5
    assert asked["bytes"] > len(BIG)
    assert asked["folder"] == str(models)
    assert hub.sent[FILM] == 0
    assert page.post("/api/models/quick/pull", agreed=True)["started"]
    told = page.ended("quick")
    assert (told["state"], told["what"], told["error"]) == ("done", "download", "")
    assert told["bytes"] == told["of_bytes"] == asked["bytes"]
    row = page.row("quick")
    assert (row["state"], row["where"]) == ("here", str(placed(models, FILM)))
    assert row["pull"]["state"] == "done"
    assert "nothing to download" in page.post("/api/models/demo-sdxl/pull", 422, agreed=True)
    assert "there is no model" in page.post("/api/models/nothing/pull", 404, agreed=True)


def test_a_stalled_download_is_cancelled_at_once_and_goes_on_where_it_was(
    hub: FakeHub, page: Page, models: Path, tmp_path: Path
) -> None:
    hub.faults[FILM] = ["stall:150000"]
    page.post("/api/models/quick/pull", agreed=True)
    until(lambda: (page.doing("quick") or {}).get("bytes", 0) >= 150_000)
    told = page.doing("quick")
    assert (told["state"], told["file"]) == ("running", FILM)
    assert "being downloaded" in page.post("/api/models/quick/pull", 409, agreed=True)
    assert "being downloaded" in page.post("/api/models/quick/remove", 409, files=False)
    page.post("/api/models/quick/cancel")
    assert page.doing("quick")["state"] == "cancelled"
    again = Page(tmp_path)  # the page was started anew
    row = again.row("quick")
    assert (row["state"], row["pull"]) == ("partly here", None)
    assert 150_000 <= row["bytes"] < len(BIG)
    page.post("/api/models/quick/pull", agreed=True)  # the stalled thread has let go of the lock
    assert page.ended("quick")["state"] == "done"
    assert hub.sent[FILM] == len(BIG)
    assert placed(models, FILM).read_bytes() == BIG


def test_wrong_bytes_are_told_in_one_line(hub: FakeHub, page: Page) -> None:
    hub.faults[FILM] = ["wrong"] * 3
    page.post("/api/models/quick/pull", agreed=True)
    told = page.ended("quick")
    assert told["state"] == "failed"
    assert "film.safetensors came wrong (its hash is not the one that the hub lists)" in told["error"]
    assert "try again" in told["error"]
    assert "\n" not in told["error"]
    assert page.row("quick")["state"] == "partly here"


def test_two_that_share_a_repository_come_one_after_the_other(hub: FakeHub, page: Page) -> None:
    stalled = "unet/diffusion_pytorch_model.fp16.safetensors"
    hub.faults[stalled] = ["stall:10"]
    page.post("/api/models/base/pull", agreed=True)
    assert hub.stalled.wait(120)
    page.post("/api/models/quick/pull", agreed=True)
    until(lambda: "is being fetched by another download" in page.doing("quick")["note"])
    hub.released.set()
    assert page.ended("base")["state"] == "done", page.doing("base")
    assert page.ended("quick")["state"] == "done", page.doing("quick")


def test_a_gated_model_says_where_to_accept(hub: FakeHub, page: Page) -> None:
    hub.gated, hub.token = (403, "GatedRepo"), "another"
    asked = page.post("/api/models/base/pull", 422, agreed=False)  # the list of parts is behind the gate
    assert "accept its licence at https://huggingface.co/owner/repo" in asked
    assert "try again" in asked
    page.post("/api/models/quick/pull", agreed=True)
    assert "is gated: accept its licence" in page.ended("quick")["error"]


def test_without_room_nothing_comes(hub: FakeHub, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.downloads.fetch.MARGIN_BYTES", 10**18)
    assert "not enough room" in page.post("/api/models/quick/pull", 507, agreed=False)
    page.post("/api/models/quick/pull", agreed=True)
    assert "not enough room" in page.ended("quick")["error"]
    assert hub.sent[FILM] == 0


def test_who_says_offline_is_offline(hub: FakeHub, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OFFLINE, "1")
    for agreed in (False, True):
        assert "HF_HUB_OFFLINE is set" in page.post("/api/models/base/pull", 422, agreed=agreed)
    assert hub.asked == []


def test_nobody_there_is_told(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "the hub does not answer now" in page.post("/api/models/base/pull", 422, agreed=False)


def test_a_check_finds_a_changed_byte_and_a_download_mends_it(hub: FakeHub, page: Page, models: Path) -> None:
    assert "was not pulled" in page.post("/api/models/base/verify", 422)
    page.post("/api/models/base/pull", agreed=True)
    assert page.ended("base")["state"] == "done"
    page.post("/api/models/base/verify")
    told = page.ended("base")
    assert (told["what"], told["state"]) == ("check", "done")
    assert told["bytes"] == told["of_bytes"]
    path = placed(models, "vae/diffusion_pytorch_model.safetensors")
    path.write_bytes(bytes(path.stat().st_size))
    page.post("/api/models/base/verify")
    told = page.ended("base")
    assert told["state"] == "failed"
    assert "vae/diffusion_pytorch_model.safetensors: damaged" in told["error"]
    assert page.row("base")["state"] == "damaged"
    assert "download" in page.row("base")["can"]
    hub.asked.clear()
    page.post("/api/models/base/pull", agreed=True)
    assert page.ended("base")["state"] == "done"
    assert len(hub.requests("resolve")) == 1
    assert page.row("base")["state"] == "here"


def test_files_go_after_a_question_and_the_row_stays(hub: FakeHub, page: Page, models: Path) -> None:
    assert "nothing was downloaded for base" in page.post("/api/models/base/remove", 422, files=True)
    page.post("/api/models/base/pull", agreed=True)
    assert page.ended("base")["state"] == "done"
    asked = page.post("/api/models/base/remove", files=True, agreed=False)
    assert (asked["removed"], asked["users"]) == (False, ["quick", "twin"])
    assert asked["bytes"] == page.row("base")["bytes"]
    assert page.post("/api/models/base/remove", files=True, agreed=True)["removed"]
    assert lockfile.read(models).entries == ()
    row = page.row("base")
    assert (row["state"], row["pull"]) == ("to be downloaded", None)


def test_a_row_of_ones_own_goes_and_comes_back(page: Page, own: Path) -> None:
    before = page.row("quick")
    assert page.post("/api/models/quick/remove", files=False)["removed"]
    assert "quick" not in listing.rows()
    page.post("/api/models/quick/restore")
    assert page.row("quick") == before
    assert "was not taken out" in page.post("/api/models/quick/restore", 404)
    assert "is a shipped row, which stays" in page.post("/api/models/sdxl-base/remove", 422)


def test_add_says_what_was_found_and_what_was_refused(page: Page, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    save_file({"decoder.conv_in.weight": np.zeros((8, 4, 3, 3), np.float16)}, shelf / "soft.safetensors")
    (shelf / "old.ckpt").write_bytes(b"never read")
    told = page.post("/api/models/add", path=str(shelf))
    assert told["added"] == {"soft": f"file:{shelf}/soft.safetensors"}
    assert "old.ckpt is a pickle" in told["refused"][0]
    assert list(page.post("/api/models/add", path=f" {shelf}/soft.safetensors ")["listed_before"]) == ["soft"]
    assert page.row("soft")["can"] == ["remove"]
    added = page.post("/api/models/add", repo="owner/film-lora@main/a.safetensors", family="sdxl", kind="lora")
    assert added["added"] == {"a": "hf:owner/film-lora@main/a.safetensors"}
    int8 = page.post("/api/models/add", path="flux-dev+quantisation=int8", name="flux-int8")
    assert list(int8["added"]) == ["flux-int8"]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({}, "give a folder or file"),
        ({"path": "here/and/there"}, "give the whole path"),
        ({"path": "/nowhere/at/all"}, "there is no folder or file"),
        ({"path": "no-such-model"}, "neither a name"),
        ({"repo": "owner/other@main"}, "needs its family"),
        ({"repo": "owner/other", "family": "sdxl"}, "names no revision"),
        ({"repo": "owner/other@main/a.ckpt", "family": "sdxl"}, "is a pickle"),
        ({"repo": "owner/other@main", "family": "sdxl", "kind": "x"}, "kind x is not known"),
        ({"path": "flux-dev+quantisation=int8", "name": "flux-dev"}, "is taken"),
        ({"pth": "x"}, "pth is not known here"),
    ],
)
def test_add_refuses_in_one_line(sent: dict[str, str], reason: str, page: Page, own: Path) -> None:
    before = own.read_text()
    assert reason in page.post("/api/models/add", 422, **sent)
    assert own.read_text() == before


def test_no_torch_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workbench.queue import Queue; from workbench.web.site import Site; "
        "from workbench.web import doctor_routes, models_routes, models_rows; "
        f"site = Site(Path({str(tmp_path)!r}), Queue(Path({str(tmp_path)!r}) / 'q.sqlite')); "
        "models_routes.routes(site); doctor_routes.routes(site); models_rows.all_rows({}, models_rows.Known()); "
        "print([name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert ended.stdout == "[]\n"
