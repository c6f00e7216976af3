"""The addresses of the Runs tab: nothing is lost by a click, no zip is torn, nothing outside a run gets out."""

import errno
import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines.store import Store
from sweeps import marks, shelf
from sweeps.lock import Lock
from sweeps.marks import Mark
from tests.crash import Quick
from tests.test_routes import NAME, made, prepared
from workbench.jobs import Asked
from workbench.queue import Queue
from workbench.web.guard import Guard
from workbench.web.routes import api
from workbench.web.shelf_routes import routes
from workbench.web.site import Site

HERE = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def kept_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run, one cell of it failed, that no test changes."""
    runs = tmp_path_factory.mktemp("runs")
    ready = prepared(runs / NAME)
    made(ready, bad=frozenset({ready.cells.cells[3].recipe.key}))
    return runs


@pytest.fixture
def site(kept_runs: Path, tmp_path: Path) -> Site:
    """A copy of it, and a queue that nobody works on."""
    shutil.copytree(kept_runs, tmp_path / "runs", ignore=shutil.ignore_patterns(".reserve"))
    return Site(tmp_path / "runs", Queue(tmp_path / "queue.sqlite"))


@pytest.fixture
def page(site: Site) -> TestClient:
    return TestClient(Guard(api(site.runs, more=routes(site))), base_url=HERE)


def keys_of(site: Site) -> tuple[str, ...]:
    return Store(site.runs / NAME).keys()


def error(answer: Any, status: int) -> str:
    """The one line of a refusal."""
    assert answer.status_code == status, answer.text
    (text,) = answer.json().values()
    assert len(text.splitlines()) == 1
    return str(text)


def test_a_run_goes_into_the_trash_and_comes_back(site: Site, page: TestClient) -> None:
    gone = page.post(f"/api/runs/{NAME}/trash").json()
    assert gone["name"] == NAME
    assert page.get("/api/runs").json() == {"runs": []}
    lying = page.get("/api/trash").json()
    (run,) = lying["runs"]
    assert (run["id"], run["name"], run["bytes"]) == (gone["trashed"], NAME, lying["bytes"])
    assert run["when"][10:20:9] == "TZ"
    assert error(page.get(f"/api/runs/{NAME}/report"), 404).startswith(f"there is no '{NAME}'")
    assert page.post(f"/api/trash/{gone['trashed']}/restore").json() == {"run": NAME}
    assert page.get("/api/trash").json() == {"runs": [], "bytes": 0}
    assert page.get(f"/api/runs/{NAME}/report").json()["progress"]["done"] == 5
    assert error(page.post(f"/api/trash/{gone['trashed']}/restore"), 404)


def test_a_run_is_not_put_back_over_another(site: Site, page: TestClient) -> None:
    gone = page.post(f"/api/runs/{NAME}/trash").json()["trashed"]
    (site.runs / NAME).mkdir()
    assert "is there again" in error(page.post(f"/api/trash/{gone}/restore"), 422)


@pytest.mark.parametrize("name", ["nothing", "..", "%2e%2e", "..%2f..", ".trash", "%00"])
def test_what_is_no_run_is_neither_moved_nor_told(site: Site, page: TestClient, name: str) -> None:
    shelf.trash(site.runs / NAME)
    assert page.post(f"/api/runs/{name}/trash").status_code in (404, 405)
    assert page.post(f"/api/trash/{name}/restore").status_code in (404, 405)
    for what in ("report", "strip", "export", "export.zip"):
        assert page.get(f"/api/runs/{name}/{what}").status_code in (404, 405)
    assert len(shelf.trashed(site.runs)) == 1


def test_a_run_that_is_being_made_stays_where_it_is(site: Site, page: TestClient) -> None:
    with Lock(site.runs / NAME / ".lock", "the run"):
        assert "stop it or wait" in error(page.post(f"/api/runs/{NAME}/trash"), 409)
    job = site.queue.add(Asked(site.runs / NAME, "window", cells=6))
    assert f"is in the queue (waiting) as job {job.id}; cancel" in error(page.post(f"/api/runs/{NAME}/trash"), 409)
    site.queue.claim()
    assert f"is being made as job {job.id}; cancel" in error(page.post(f"/api/runs/{NAME}/trash"), 409)
    assert page.get(f"/api/runs/{NAME}/report").json()["job"] == "running"
    site.queue.end(job, "cancelled")
    assert page.post(f"/api/runs/{NAME}/trash").status_code == 200


def test_only_what_was_seen_in_the_trash_is_deleted(site: Site, page: TestClient) -> None:
    shutil.copytree(site.runs / NAME, site.runs / "2026-01-03-other")
    first = page.post(f"/api/runs/{NAME}/trash").json()["trashed"]
    second = page.post("/api/runs/2026-01-03-other/trash").json()["trashed"]
    for ids in ([first], [], [first, second, second], None, "all", [1]):
        said = error(page.post("/api/trash/empty", content=json.dumps({"ids": ids})), 409)
        assert "nothing is deleted" in said
    assert error(page.post("/api/trash/empty", content=b"x"), 422)
    assert len(page.get("/api/trash").json()["runs"]) == 2
    lying = page.get("/api/trash").json()["bytes"]
    emptied = page.post("/api/trash/empty", content=json.dumps({"ids": [first, second]})).json()
    assert (emptied["runs"], emptied["bytes"]) == (2, lying)
    assert os.listdir(site.runs / ".trash") == []


def test_other_pages_can_delete_nothing(site: Site, page: TestClient) -> None:
    for path in (f"/api/runs/{NAME}/trash", "/api/trash/empty"):
        assert page.post(path, headers={"origin": "http://evil.test"}).status_code == 403
    assert (site.runs / NAME).is_dir()


def zipped(page: TestClient, query: str = "") -> zipfile.ZipFile:
    answer = page.get(f"/api/runs/{NAME}/export.zip{query}")
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{NAME}.zip"
    return zipfile.ZipFile(io.BytesIO(answer.content))


def keys_in(archive: zipfile.ZipFile) -> set[str]:
    return {name[-20:-4] for name in archive.namelist() if name.endswith(".png")}


def test_pictures_leave_with_their_sidecars_and_captions(site: Site, page: TestClient) -> None:
    keys = keys_of(site)
    archive = zipped(page)
    assert archive.testzip() is None
    assert keys_in(archive) == set(keys)
    assert (
        sorted(name[name.rindex(".") :] for name in archive.namelist()) == [".json"] * 5 + [".png"] * 5 + [".txt"] * 5
    )
    png = next(name for name in archive.namelist() if name.endswith(f"{keys[0]}.png"))
    assert archive.read(png) == (site.runs / NAME / "pictures" / f"{keys[0]}.png").read_bytes()
    assert sorted(os.listdir(site.runs)) == [NAME]  # and nothing is left behind


def test_pictures_are_chosen_by_keys_picks_and_stars(site: Site, page: TestClient) -> None:
    keys = keys_of(site)
    marks.append(site.runs / NAME, Mark(key=keys[0], pick="pick", stars=2), Quick())
    marks.append(site.runs / NAME, Mark(key=keys[1], stars=4), Quick())
    assert keys_in(zipped(page, f"?keys={keys[2]},{keys[3]}")) == {keys[2], keys[3]}
    assert keys_in(zipped(page, "?picked=1")) == {keys[0]}
    assert keys_in(zipped(page, "?stars=2")) == {keys[0], keys[1]}
    choices = page.get(f"/api/runs/{NAME}/export").json()
    assert (choices["all"]["pictures"], choices["picked"]["pictures"]) == (5, 1)
    assert [each["pictures"] for each in choices["stars"]] == [2, 2, 1, 1, 0]
    files = [path for path in (site.runs / NAME / "pictures").iterdir() if path.is_file()]
    assert choices["all"]["bytes"] == sum(path.stat().st_size for path in files)
    assert "is marked so" in error(page.get(f"/api/runs/{NAME}/export.zip?picked=1&stars=3"), 422)


@pytest.mark.parametrize(
    "query", ["keys=../../x", "keys=..%2fx", "keys=ABCDEF0123456789", "stars=6", "stars=-1", "stars="]
)
def test_what_is_no_choice_is_refused(page: TestClient, query: str) -> None:
    assert error(page.get(f"/api/runs/{NAME}/export.zip?{query}"), 422)


def test_no_zip_is_sent_that_is_not_whole(site: Site, page: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = keys_of(site)
    assert "cannot be read" in error(page.get(f"/api/runs/{NAME}/export.zip?keys={keys[0]},{'0' * 16}"), 422)
    png = site.runs / NAME / "pictures" / f"{keys[-1]}.png"
    png.write_bytes(png.read_bytes()[:-1])
    assert "is not the file that was committed" in error(page.get(f"/api/runs/{NAME}/export.zip"), 422)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(shelf, "pack", full)
    assert "disk full" in error(page.get(f"/api/runs/{NAME}/export.zip"), 507)
    assert sorted(os.listdir(site.runs)) == [NAME]


def test_links_lead_nothing_out_of_a_run(site: Site, page: TestClient, tmp_path: Path) -> None:
    keys = keys_of(site)
    secret = tmp_path / "secret"
    secret.write_text("nobody may read this")
    pictures = site.runs / NAME / "pictures"
    (pictures / f"{keys[0]}.txt").unlink()
    (pictures / f"{keys[0]}.txt").symlink_to(secret)
    archive = zipped(page, f"?keys={keys[0]}")
    assert not any(b"nobody" in archive.read(name) for name in archive.namelist())
    for suffix in ("png", "json"):
        (pictures / f"{keys[1]}.{suffix}").rename(tmp_path / f"moved.{suffix}")
        (pictures / f"{keys[1]}.{suffix}").symlink_to(tmp_path / f"moved.{suffix}")
        assert error(page.get(f"/api/runs/{NAME}/export.zip?keys={keys[1]}"), 422)
    (site.runs / "linked").symlink_to(site.runs / NAME)
    assert error(page.post("/api/runs/linked/trash"), 404)


def test_a_strip_shows_the_best_first_and_then_some_of_all(site: Site, page: TestClient) -> None:
    def strip() -> list[str]:
        return [thumb.split("/")[-1][:16] for thumb in page.get(f"/api/runs/{NAME}/strip").json()["thumbs"]]

    keys = strip()
    assert sorted(keys) == sorted(keys_of(site))
    marks.append(site.runs / NAME, Mark(key=keys[3], stars=4), Quick())
    marks.append(site.runs / NAME, Mark(key=keys[0], stars=5, pick="reject"), Quick())
    assert strip() == [keys[3], keys[1], keys[2], keys[4]]
    for thumb in page.get(f"/api/runs/{NAME}/strip").json()["thumbs"]:
        shown = page.get(thumb)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
        assert "immutable" in shown.headers["cache-control"]
    (site.runs / NAME / "pictures" / f"{keys[1]}.json").write_text("{}")
    assert strip() == [keys[3], keys[2], keys[4]]


def test_damaged_runs_are_listed_told_and_can_be_put_away(site: Site, page: TestClient) -> None:
    newer = site.runs / "2026-02-01-newer"
    newer.mkdir()
    (newer / "sweep.toml").write_text('name = "later"\ncheckpoint = "demo-sdxl"\nprompt = "a"\nmood = "calm"\n')
    (newer / "plan.jsonl").write_text('{"key": "0000000000000001", "lane": 0}\n')
    lost = site.runs / "2026-02-02-lost"
    lost.mkdir()
    (lost / "plan.jsonl").write_text("")
    (site.runs / "somebody's").mkdir()
    rows = {row["run"]: row for row in page.get("/api/runs").json()["runs"]}
    assert set(rows) == {NAME, newer.name, lost.name}
    assert "mood is not known" in rows[newer.name]["fault"]
    assert "sweep.toml" in rows[lost.name]["fault"]
    assert "sweep.toml" in error(page.get(f"/api/runs/{lost.name}/report"), 422)
    for folder in (newer, lost):
        assert page.post(f"/api/runs/{folder.name}/trash").status_code == 200
    assert error(page.post("/api/runs/somebody's/trash"), 404)


def test_the_report_file_itself_is_never_served(page: TestClient) -> None:
    for path in (f"/api/runs/{NAME}/report.html", f"/pictures/{NAME}/report.html", f"/{NAME}/report.html"):
        assert page.get(path).status_code == 404
