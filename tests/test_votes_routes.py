"""Blind votes over the page's addresses and on the command line: fair pairs, nothing told beforehand, plain words."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipelines.errors import InputError, SidelightError
from sweeps import votes
from sweeps.run import run
from sweeps.votes_pairs import ballot
from tests.photographs import collins
from tests.small import opener, prepared
from tests.test_places import show
from tests.test_votes import cast
from workbench.queue import Queue
from workbench.votes_command import votes as command
from workbench.web.guard import Guard
from workbench.web.routes import api
from workbench.web.site import Site
from workbench.web.votes_routes import routes

HERE = "http://127.0.0.1:7860"
NAME = "2026-01-02-window"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of three guidances by three seeds, that no test changes."""
    ready = prepared(tmp_path_factory.mktemp("made") / NAME)
    assert list(run(ready, open_engine=opener([])))
    return ready.folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "runs" / NAME, ignore=shutil.ignore_patterns(".reserve")))


@pytest.fixture
def page(folder: Path, tmp_path: Path) -> TestClient:
    site = Site(folder.parent, Queue(tmp_path / "queue.sqlite"))
    return TestClient(Guard(api(site.runs, more=routes(site))), base_url=HERE)


# ---- routes


def asked(page: TestClient, path: str = "next?by=ann") -> Any:
    answer = page.get(f"/api/votes/{NAME}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_vote_goes_from_pair_to_file_and_back(folder: Path, page: TestClient) -> None:
    told = asked(page)
    assert asked(page)["pair"] == told["pair"], "asking again draws no other pair"
    pair = told["pair"]
    ahead = f"{pair['left']['key']}-{pair['right']['key']}"
    later = asked(page, f"next?by=ann&ahead={ahead}")["pair"]
    assert {later["left"]["key"], later["right"]["key"]} != {pair["left"]["key"], pair["right"]["key"]}
    body = {"left": pair["left"]["key"], "right": pair["right"]["key"], "said": "left", "view": "whole", "by": "ann"}
    assert page.post(f"/api/votes/{NAME}", json=body).json()["progress"]["votes"] == 1
    assert votes.read(folder)[0].by == "ann"
    assert page.get(pair["left"]["picture"]).headers["cache-control"].startswith("private, max-age")
    back = page.post(f"/api/votes/{NAME}/undo", json={"by": "ann"}).json()
    assert back["progress"]["votes"] == 0
    assert [back["pair"][side]["key"] for side in ("left", "right")] == [body["left"], body["right"]]
    assert page.post(f"/api/votes/{NAME}/undo", json={"by": "ann"}).json()["pair"] is None


def test_nothing_tells_a_setting_before_the_result(folder: Path, page: TestClient) -> None:
    told = page.get(f"/api/votes/{NAME}/next?by=ann").text
    for word in ("guidance", "seed", "euler", "a face", "small", "setting", "prompt"):
        assert word not in told
    pair = json.loads(told)["pair"]
    for side in ("left", "right"):
        key = pair[side]["key"]
        assert pair[side]["picture"].startswith(f"/pictures/{NAME}/{key}.png?v=")
    cast(folder, pair["left"]["key"], pair["right"]["key"], "left")
    assert "guidance" in page.get(f"/api/votes/{NAME}").text


def test_the_cheek_is_shown_where_a_face_is_found_or_a_person_set_it(folder: Path, page: TestClient) -> None:
    assert asked(page)["pair"]["view"] == "whole", "noise has no face"
    for number in range(9):
        show(folder, number, collins())
    pair = asked(page)["pair"]
    assert pair["view"] == "cheek"
    left, right = pair["left"]["cheek"], pair["right"]["cheek"]
    assert left == right
    assert 0.02 < left[2] < 0.3
    (folder / "places.json").write_text('{"cheek": [0.1, 0.2, 0.3, 0.4]}')
    assert asked(page)["pair"]["left"]["cheek"] == [0.1, 0.2, 0.3, 0.4]


def test_only_the_asked_settings_and_whole_pictures_are_shown(folder: Path, page: TestClient) -> None:
    one, other, third = ballot(folder).scenes[0]
    among = {one.setting, other.setting}
    pair = asked(page, f"next?by=ann&among={one.key},{other.key}")["pair"]
    assert {ballot(folder).by_key[pair[side]["key"]].setting for side in ("left", "right")} == among
    for scene in ballot(folder).scenes:
        for each in scene:
            if each.setting == third.setting:
                (folder / "pictures" / f"{each.key}.png").write_bytes(b"damaged")
    for _ in range(9):
        pair = asked(page)["pair"]
        assert {ballot(folder).by_key[pair[side]["key"]].setting for side in ("left", "right")} == among
        cast(folder, pair["left"]["key"], pair["right"]["key"], "skip")
        if len(votes.read(folder)) == 3:
            break
    assert asked(page)["pair"] is None, "three seeds, one pair each"


def test_routes_refuse_in_one_line(folder: Path, page: TestClient) -> None:
    scenes = ballot(folder).scenes
    stranger = {"left": scenes[0][0].key, "right": scenes[1][0].key, "said": "left", "view": "whole", "by": "ann"}
    refused = [
        page.get("/api/votes/nowhere"),
        page.get("/api/votes/nowhere/next?by=ann"),
        page.get(f"/api/votes/{NAME}/next"),
        page.get(f"/api/votes/{NAME}/next?by=ann&ahead=x"),
        page.get(f"/api/votes/{NAME}/next?by=ann&among={'f' * 16}"),
        page.post(f"/api/votes/{NAME}", json=stranger),
        page.post(f"/api/votes/{NAME}", json={**stranger, "said": "maybe"}),
        page.post(f"/api/votes/{NAME}", content=b"[]"),
        page.post(f"/api/votes/{NAME}/undo", json={}),
    ]
    assert [answer.status_code for answer in refused] == [404, 404, 422, 422, 422, 422, 422, 422, 422]
    assert all(len(answer.json()["error"].splitlines()) == 1 for answer in refused)
    assert not (folder / votes.NAME).exists()


# ---- the command


def test_the_command_prints_ranking_voters_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(str(folder))
    assert "no votes on" in capsys.readouterr().out
    for scene in ballot(folder).scenes:
        low, middle, high = sorted(scene, key=lambda each: each.setting)
        for best, other in ((middle, low), (middle, high), (low, high)):
            cast(folder, best.key, other.key, "left", "ann")
            cast(folder, other.key, best.key, "right", "bo")
    command(str(folder))
    told = capsys.readouterr().out
    lines = [line for line in told.splitlines() if line.startswith("guidance")]
    assert lines[1].startswith("guidance 4")
    assert "bo alone:" in told
    assert "100 %" in told
    command(str(folder), by="ann", as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert (said["votes"], [each["by"] for each in said["voters"]]) == (9, ["ann"])
    with pytest.raises(SidelightError, match=r"cy has no votes on .*: ann, bo"):
        command(str(folder), by="cy")
    with pytest.raises(InputError, match="no run folder"):
        command(str(folder.parent))
