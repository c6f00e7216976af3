"""Notes over the page's routes: kept from a run, changed by hand, brought back, sent; never written over unasked."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipelines.checkpoint import find
from sweeps import compare, votes
from sweeps.findings import Findings
from sweeps.prepare import SWEEP
from tests import noting
from workbench import notes
from workbench.notes import Note, Pair, Window
from workbench.queue import Queue
from workbench.web import notes_fill
from workbench.web import offer as offering
from workbench.web.brief import Brief
from workbench.web.guard import Guard
from workbench.web.notes_fill import Given
from workbench.web.notes_routes import routes
from workbench.web.routes import api
from workbench.web.site import Site

RUN, NAME = "2026-11-22-window", "demo-sdxl"
NOTHING = Given()


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs, one of which has found a window: what is found is read, as nothing can be measured in grey pictures."""
    folder = tmp_path / "runs" / RUN
    noting.window_run(folder)
    (folder / SWEEP).write_text("# a sweep\n")

    def of_run(run: Path, **_: Any) -> Findings:
        return Findings.read(json.loads((run / "findings.json").read_text()))

    monkeypatch.setattr(compare, "of_run", of_run)
    monkeypatch.setattr(votes, "read", lambda *_: ())
    return folder.parent


@pytest.fixture
def page(runs: Path, tmp_path: Path) -> Iterator[TestClient]:
    site = Site(runs, Queue(tmp_path / "queue.sqlite"))
    with TestClient(Guard(api(runs, more=routes(site))), base_url="http://127.0.0.1") as client:
        yield client


def note(**changes: Any) -> Note:
    weights = find(NAME).weights
    plain = Note(checkpoint=NAME, family="sdxl", digest=weights.digest, kept="2026-11-01T10:00:00+00:00")
    return plain.but(**changes)


def keep(page: TestClient, **more: Any) -> Any:
    return page.post("/api/notes/keep", json={"run": RUN, "checkpoint": NAME, **more})


def change(page: TestClient, stamp: str | None = None, **changes: str) -> Any:
    said = {"checkpoint": NAME, "stamp": notes.stamp(NAME) if stamp is None else stamp, "changes": changes}
    return page.post("/api/notes/note", json=said)


def told(page: TestClient) -> Any:
    answer = page.get("/api/notes/note", params={"checkpoint": NAME})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusal(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    text = answer.json()["error"]
    assert isinstance(text, str)
    assert "\n" not in text
    return text


def test_what_a_run_found_becomes_the_note_with_its_pictures(page: TestClient, runs: Path) -> None:
    assert page.get("/api/notes").json()["notes"] == []
    answer = keep(page).json()
    assert dict(answer["rows"])["start from"] == "20 steps, guidance 4, euler"
    assert answer["texts"]["window"] == "3..6"
    (evidence,) = answer["evidence"]
    assert (evidence["run"], evidence["is_here"]) == (RUN, True)
    assert {shown["role"] for shown in evidence["pictures"]} == {"best", "mud", "plastic"}
    assert all(shown["is_here"] for shown in evidence["pictures"])
    thumb = page.get(evidence["pictures"][0]["thumb"])
    assert Image.open(io.BytesIO(thumb.content)).format == "WEBP"
    assert any("demo" in line for line in answer["trust"])
    (row,) = page.get("/api/notes").json()["notes"]
    assert (row["checkpoint"], row["is_here"], row["fault"]) == (NAME, True, "")
    assert str(runs) not in json.dumps(answer)


def test_an_earlier_note_is_not_written_over_before_a_person_says_which_holds(page: TestClient) -> None:
    notes.put(note(pairs=(Pair(steps=30, guidance=7, scheduler="ddim"),), window=Window(low=5, high=9)))
    before = notes.stamp(NAME)
    clash = keep(page)
    assert "pairs, window" in refusal(clash, 409)
    assert clash.json()["conflicts"] == [
        {"field": "pairs", "ours": "30 steps, guidance 7, ddim", "theirs": "20 steps, guidance 4, euler"},
        {"field": "window", "ours": "5 to 9", "theirs": "3 to 6"},
    ]
    assert notes.stamp(NAME) == before
    settled = keep(page, take=["window"], stamp=clash.json()["stamp"]).json()
    assert settled["texts"]["window"] == "3..6"
    assert settled["texts"]["pairs"] == "30 steps, guidance 7, ddim"
    assert len(settled["evidence"]) == 1


def test_a_choice_about_a_note_that_changed_meanwhile_is_asked_again(page: TestClient) -> None:
    notes.put(note(window=Window(low=5, high=9)))
    stamp = keep(page).json()["stamp"]
    notes.put(note(window=Window(low=1, high=2)))
    again = keep(page, take=["theirs"], stamp=stamp)
    assert again.status_code == 409
    assert again.json()["conflicts"][0]["ours"] == "1 to 2"


def test_a_run_that_says_nothing_and_one_that_is_not_there_are_refused(page: TestClient, runs: Path) -> None:
    assert "demo-flux" in refusal(keep(page, checkpoint="demo-flux"), 422)
    assert "Runs tab" in refusal(keep(page, run="../elsewhere"), 404)
    assert notes.names() == ()


def test_fields_are_changed_as_texts_and_can_be_emptied(page: TestClient) -> None:
    notes.put(note(window=Window(low=5, high=9)))
    answer = change(
        page,
        pairs="24 steps, guidance 4.5, Euler a\n30 steps",
        window="3..",
        plateau="24",
        lights="window",
        forbid="plastic skin\nhalo",
        remarks="a line\nand one more",
    ).json()
    kept = notes.read(NAME)
    assert kept
    assert [pair.settings for pair in kept.pairs] == [(24, 4.5, "euler-ancestral"), (30, None, "")]
    assert kept.window == Window(low=3)
    assert (kept.plateau, kept.lights, kept.forbid) == (24, ("window",), ("plastic skin", "halo"))
    assert answer["texts"]["remarks"] == kept.remarks == "a line\nand one more"
    emptied = change(page, pairs="", window="", plateau="", lights="", forbid="", remarks="").json()
    assert set(emptied["texts"].values()) == {""}
    assert emptied["history"][0]["changes"][0]["field"] == "pairs"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"window": "9..3"}, "low 9 is above high 3"),
        ({"plateau": "many"}, "plateau 'many'"),
        ({"pairs": "many steps"}, "steps 'many'"),
        ({"pairs": "20 steps, euler, ddim"}, "scheduler twice"),
        ({"pairs": "nobody's sampler"}, "nobody's sampler"),
        ({"lights": "moonlight"}, "light 'moonlight' is no template"),
        ({"evidence": "mine"}, "cannot be changed by hand"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_kept(
    page: TestClient, changes: dict[str, str], said: str
) -> None:
    notes.put(note(plateau=20))
    before = notes.stamp(NAME)
    assert said in refusal(change(page, **changes), 422)
    assert notes.stamp(NAME) == before


def test_a_change_over_another_version_is_refused(page: TestClient) -> None:
    notes.put(note(plateau=20))
    stamp = notes.stamp(NAME)
    notes.put(note(plateau=30))
    assert "changed meanwhile" in refusal(change(page, stamp, plateau="40"), 409)
    kept = notes.read(NAME)
    assert kept
    assert kept.plateau == 30


def test_history_says_what_changed_and_brings_a_version_back(page: TestClient) -> None:
    for plateau in (20, 30, 40):
        notes.put(note(plateau=plateau))
    history = told(page)["history"]
    assert [each["version"] for each in history] == [2, 1]
    assert history[0]["changes"] == [{"field": "plateau", "ours": "30", "theirs": "40"}]
    back = {"checkpoint": NAME, "stamp": notes.stamp(NAME), "version": 1}
    answer = page.post("/api/notes/restore", json=back).json()
    assert answer["texts"]["plateau"] == "20"
    assert [each["version"] for each in answer["history"]] == [3, 2, 1]


def test_a_damaged_note_is_told_and_an_earlier_version_takes_its_place(page: TestClient) -> None:
    notes.put(note(plateau=20))
    notes.put(note(plateau=30))
    path = notes.path_of(NAME)
    path.write_text(path.read_text().replace("plateau = 30", "plateau = thirty"))
    (row,) = page.get("/api/notes").json()["notes"]
    assert "demo-sdxl.toml" in row["fault"]
    answer = told(page)
    assert answer["fault"]
    assert answer["note"] is None
    assert answer["history"][0]["version"] == 1
    back = {"checkpoint": NAME, "stamp": answer["stamp"], "version": 1}
    assert page.post("/api/notes/restore", json=back).json()["texts"]["plateau"] == "20"
    assert any("thirty" in each.path.read_text() for each in notes.history(NAME))


def test_an_exported_note_tells_what_it_would_change_before_it_is_kept(page: TestClient, runs: Path) -> None:
    keep(page)
    sent = page.get("/api/notes/export", params={"checkpoint": NAME})
    assert sent.headers["content-disposition"] == 'attachment; filename="demo-sdxl-note.zip"'
    assert str(runs).encode() not in sent.content
    assert "note.toml" in zipfile.ZipFile(io.BytesIO(sent.content)).namelist()
    change(page, window="5..9")
    before = notes.stamp(NAME)
    asked = page.post("/api/notes/import", content=sent.content).json()
    assert (asked["is_kept"], asked["is_new"]) == (False, False)
    assert asked["conflicts"] == [{"field": "window", "ours": "5 to 9", "theirs": "3 to 6"}]
    assert any("another machine" in line for line in asked["trust"])
    assert notes.stamp(NAME) == before
    kept = page.post("/api/notes/import", params={"take": "window"}, content=sent.content).json()
    assert kept["is_kept"]
    assert told(page)["texts"]["window"] == "3..6"


def test_a_note_of_a_checkpoint_that_is_called_otherwise_here(page: TestClient) -> None:
    keep(page)
    sent = page.get("/api/notes/export", params={"checkpoint": NAME}).content
    asked = page.post("/api/notes/import", params={"as": "demo-flux"}, content=sent).json()
    assert any("other family" in line for line in asked["trust"])
    other = page.post("/api/notes/import", params={"as": "demo-flux", "take": "theirs"}, content=sent)
    assert "flux" in refusal(other, 422)
    kept = page.post("/api/notes/import", params={"as": "theirs", "take": "theirs"}, content=sent).json()
    assert (kept["checkpoint"], kept["is_new"]) == ("theirs", True)
    assert notes.names() == (NAME, "theirs")


@pytest.mark.parametrize("content", [b"", b"PK nothing", b"\xff\xfe", b"<html>"])
def test_what_is_no_note_is_refused_without_a_path_of_this_machine(page: TestClient, content: bytes) -> None:
    said = refusal(page.post("/api/notes/import", content=content), 422)
    assert "this file" in said
    assert "/tmp" not in said
    assert "sidelight-" not in said


def test_names_lead_nowhere(page: TestClient, tmp_path: Path) -> None:
    secret = tmp_path / "config/secret.toml"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text("checkpoint = 'x'\n")
    for name in ("../../secret", "../secret", "/etc/passwd", "a\x00b", "."):
        assert page.get("/api/notes/note", params={"checkpoint": name}).status_code == 404
        assert page.get("/api/notes/export", params={"checkpoint": name}).status_code == 404
    assert page.get("/api/notes/thumb", params={"key": "../../../secret"}).status_code == 404
    assert page.get("/api/notes/thumb", params={"key": "0" * 16}).status_code == 404
    assert page.get("/api/notes/note").status_code == 422


def test_long_bodies_and_other_json_are_refused(page: TestClient) -> None:
    assert page.post("/api/notes/note", content=b"[" + b" " * 70_000 + b"]").status_code == 413
    assert page.post("/api/notes/keep", content=b"[]").status_code == 422
    assert page.post("/api/notes/restore", json={"checkpoint": NAME, "stamp": "", "version": 0}).status_code == 422


def test_a_note_can_be_begun_by_hand(page: TestClient) -> None:
    answer = change(page, "", remarks="soft light only").json()
    assert answer["note"]["digest"] == find(NAME).weights.digest
    assert any("set by hand" in line for line in answer["trust"])


def filled(brief: Brief, given: Given = NOTHING) -> tuple[Brief, Given]:
    return notes_fill.filled(brief, given, offering.of(brief.checkpoint, find))


def line(brief: Brief) -> Any:
    return notes_fill.line(brief, offering.of(brief.checkpoint, find), find)


def test_a_form_takes_what_it_does_not_say_and_gives_it_back_to_another_checkpoint() -> None:
    pair = Pair(steps=24, guidance=3.5, scheduler="ddim")
    notes.put(note(pairs=(pair,), lights=("window",), forbid=("plastic skin",)))
    prompted, given = filled(Brief(checkpoint=NAME, prompt="a face", guidance="5"))
    assert (prompted.steps, prompted.guidance, prompted.scheduler) == ("24", "5", "ddim")
    assert (prompted.light, prompted.negative) == ("", "plastic skin")
    assert "your guidance 5 stays" in line(prompted)["text"]
    other, _ = filled(replace(prompted, checkpoint="demo-flux"), given)
    assert other == Brief(checkpoint="demo-flux", prompt="a face", guidance="5")
    assert line(other) == {}
    typed, _ = filled(replace(prompted, checkpoint="demo-flux"))  # the same values, said by a person
    assert typed.steps == "24"


def test_a_light_is_taken_where_neither_prompt_nor_light_is_said_and_own_fields_stay() -> None:
    notes.put(note(lights=("window",), forbid=("plastic skin",)))
    lit, given = filled(Brief(checkpoint=NAME))
    assert lit.light == "window"
    assert "plastic skin" in lit.said_of_light["forbidden"]
    assert "light window, forbidden plastic skin" in line(lit)["text"]
    own = replace(lit, light_fields=json.dumps({**lit.said_of_light, "hardness": "hard"}))
    other, _ = filled(replace(own, checkpoint="demo-flux"), given)
    assert other.said_of_light == {"hardness": "hard"}


def test_a_note_that_cannot_be_read_fills_in_nothing_and_says_so() -> None:
    notes.put(note(plateau=20))
    notes.path_of(NAME).write_text("checkpoint = 'demo-sdxl'\nplateau = many\n")
    plain = Brief(checkpoint=NAME, prompt="a face")
    assert filled(plain) == (plain, Given())
    assert line(plain)["is_fault"]
    assert "line 2" in line(plain)["text"]


def test_axes_are_given_the_window_and_what_lies_around_the_plateau() -> None:
    notes.put(note(window=Window(low=2, high=8), plateau=16))
    assert notes_fill.examples(NAME) == {"guidance": "2..8:1", "steps": "8..24:4"}
    notes.put(note(window=Window(low=2)))
    assert notes_fill.examples(NAME) == {}
