"""Runs on disk: all are listed, none is read in vain, nothing that is put away is lost, a zip is whole or not there."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pipelines.errors import BusyError, Cancelled, DiskError, InputError, SidelightError
from pipelines.store import Store
from sweeps import marks, shelf
from sweeps.lock import Lock
from sweeps.marks import Mark
from sweeps.run import run
from sweeps.shelf import chosen, empty_trash, export, find, info, restore, runs, trash, trashed
from tests.crash import FailingFiles, Quick, tree
from tests.small import opener, prepared
from workbench import shelf_commands

NAME = "2026-11-20-small"
PLANNED = '{{"key": "{:016x}", "lane": 0}}\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six cells, one of which failed."""
    folder = tmp_path_factory.mktemp("made") / NAME
    ready = prepared(folder, guidance=(2, 4.5), seeds=(1, 2, 3))
    bad = frozenset([ready.cells.cells[0].recipe.key])
    assert list(run(ready, open_engine=opener([], bad=bad), files=Quick()))
    return folder


@pytest.fixture
def shelved(tmp_path: Path, made: Path) -> Path:
    """A folder with a copy of that run."""
    shutil.copytree(made, tmp_path / "runs" / NAME, ignore=shutil.ignore_patterns(".reserve"))
    return tmp_path / "runs"


def laid(runs: Path, name: str, text: str = "") -> Path:
    """A run folder with a sweep and a plan, where nothing is made yet."""
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / "sweep.toml").write_text(text or 'name = "window"\ncheckpoint = "demo-sdxl"\nprompt = "a face"\n')
    (folder / "plan.jsonl").write_text("".join(PLANNED.format(number) for number in range(2)))
    return folder


def keys_of(folder: Path) -> tuple[str, ...]:
    return Store(folder).keys()


def test_a_run_is_told_at_a_glance(shelved: Path) -> None:
    folder = shelved / NAME
    first = keys_of(folder)[0]
    marks.append(folder, Mark(key=first, stars=4, remark="the cheek holds"), Quick())
    (told,) = runs(shelved)
    assert told.bytes == sum(map(len, tree(folder).values()))
    assert (told.folder, told.name, told.date, told.checkpoints) == (folder, "small", "2026-11-20", ("small",))
    assert (told.planned, told.done, told.failed, told.stars) == (6, 5, 1, 4)
    assert (told.texts, told.remarks, told.reason) == (("a face",), ("the cheek holds",), "")


def test_listing_opens_no_picture(shelved: Path) -> None:
    for path in (shelved / NAME / "pictures").glob("*.png"):
        path.unlink()
        path.symlink_to("nowhere")
    assert runs(shelved)[0].done == 5


def test_a_picture_without_sidecar_is_not_done(shelved: Path) -> None:
    folder = shelved / NAME
    (folder / "pictures" / f"{keys_of(folder)[0]}.json").unlink()
    assert runs(shelved)[0].done == 4


def test_runs_come_newest_first_and_links_and_hidden_folders_are_left_alone(tmp_path: Path) -> None:
    for name in ("2026-11-19-b", "2026-11-21-a", "2026-10-01-c", ".trash"):
        laid(tmp_path, name)
    (tmp_path / "note.txt").write_text("mine")
    (tmp_path / "2026-12-01-link").symlink_to(tmp_path / "2026-11-19-b")
    found = runs(tmp_path)
    assert [each.folder.name[:10] for each in found] == ["2026-12-01", "2026-11-21", "2026-11-19", "2026-10-01"]
    assert "is a link" in found[0].reason
    assert runs(tmp_path / "nowhere") == ()


DAMAGE = {
    "foreign": {"sweep.toml": None, "plan.jsonl": None},
    "no sweep": {"sweep.toml": None},
    "a torn sweep": {"sweep.toml": b'name = "win'},
    "an unknown field": {"sweep.toml": b'checkpoint = "a"\nmood = "calm"\n'},
    "no text": {"sweep.toml": b"\xff\xfe\x00"},
    "deep": {"sweep.toml": b"a = " + b"[" * 100_000},
    "a torn plan": {"plan.jsonl": b'{"key": "0'},
    "a plan of lists": {"plan.jsonl": b"[1]\n"},
    "a plan without keys": {"plan.jsonl": b"{}\n"},
}


def test_a_run_that_is_queued_and_not_begun_has_no_cells_yet(tmp_path: Path) -> None:
    (laid(tmp_path, "2026-11-21-queued") / "plan.jsonl").unlink()
    (queued,) = runs(tmp_path)
    assert (queued.planned, queued.done, queued.reason) == (0, 0, "")


@pytest.mark.parametrize("contents", DAMAGE.values(), ids=DAMAGE.keys())
def test_what_is_damaged_or_no_run_is_listed_with_the_reason(tmp_path: Path, contents: dict[str, bytes | None]) -> None:
    laid(tmp_path, "2026-11-20-good")
    folder = laid(tmp_path, "2026-11-21-bad")
    for name, data in contents.items():
        if data is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(data)
    bad, good = runs(tmp_path)
    assert (bad.folder, bad.name, bad.date, bad.planned) == (folder, "2026-11-21-bad", "2026-11-21", 0)
    assert bad.reason
    assert len(bad.reason.splitlines()) == 1
    assert good.reason == ""


def test_torn_journals_and_marks_are_no_damage(tmp_path: Path) -> None:
    folder = laid(tmp_path, "2026-11-21-torn")
    (folder / "journal.jsonl").write_bytes(b'{"kind": "cell-failed", "key": "0000000000000001", "reason": "x"}\n{"ki')
    (folder / "marks.jsonl").write_bytes(b'{"key": "0000000000000000", "stars": 3}\n[\n{"key": "00')
    told = info(folder)
    assert (told.reason, told.failed, told.stars) == ("", 1, 3)


def test_runs_are_found_by_words_checkpoint_date_and_stars(tmp_path: Path) -> None:
    laid(tmp_path, "2026-11-21-a", 'name = "Hard light"\ncheckpoint = ["demo-sdxl", "demo-flux"]\nprompt = "a man"\n')
    words = 'checkpoint = "juggernaut"\nlight = ["window", "raking"]\nsubject = "a woman"\nreplace = "woman => Girl"\n'
    marked = laid(tmp_path, "2026-10-31-b", words)
    marks.append(marked, Mark(key=f"{1:016x}", stars=4, remark="wax on the neck"), Quick())
    laid(tmp_path, "odd")
    (tmp_path / "2025-01-01-foreign").mkdir()

    def names(**wanted: object) -> list[str]:
        return [each.folder.name for each in find(runs(tmp_path), **wanted)]  # type: ignore[arg-type]  # of find

    assert len(names()) == 4
    assert names(text="HARD man") == ["2026-11-21-a"]
    assert names(text="raking") == names(text="girl") == names(text="NECK wax") == ["2026-10-31-b"]
    assert names(text="hard raking") == []
    assert names(checkpoint="FLUX") == ["2026-11-21-a"]
    assert names(checkpoint="demo") == ["2026-11-21-a", "odd"]
    assert names(since="2026-11") == ["2026-11-21-a"]
    assert names(until="2026-10") == ["2026-10-31-b", "2025-01-01-foreign"]
    assert names(since="2026-10-31", until="2026-11-20") == ["2026-10-31-b"]
    assert names(stars=4) == ["2026-10-31-b"]
    assert names(stars=5) == []
    with pytest.raises(InputError, match="date 'yesterday' is none"):
        names(since="yesterday")


def test_a_run_comes_back_from_the_trash_as_it_was(shelved: Path) -> None:
    before = tree(shelved / NAME)
    gone = trash(shelved / NAME, Quick(), now=datetime(2026, 11, 21, 17, 30, tzinfo=UTC))
    assert runs(shelved) == ()
    assert gone.folder == shelved / ".trash" / f"{NAME}-20261121T173000Z"
    assert (gone.name, gone.when, gone.bytes) == (NAME, "20261121T173000Z", sum(map(len, before.values())))
    assert trashed(shelved) == (gone,)
    assert restore(gone, Quick()) == shelved / NAME
    after = tree(shelved / NAME)
    assert {**after, ".lock": b""} == {**before, ".lock": b""}
    assert trashed(shelved) == ()


def test_runs_of_one_name_lie_side_by_side_in_the_trash(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for _ in range(3):
        trash(laid(tmp_path, NAME), Quick(), now=now)
    lying = trashed(tmp_path)
    assert [each.name for each in lying] == [NAME] * 3
    restore(lying[0], Quick())
    with pytest.raises(InputError, match="is there already"):
        restore(lying[1], Quick())
    assert len(trashed(tmp_path)) == 2


def test_a_run_in_work_stays_where_it_is(shelved: Path) -> None:
    code = (
        "import sys, pathlib; from sweeps.lock import Lock\n"
        "with Lock(pathlib.Path(sys.argv[1]), 'the run'):\n    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(shelved / NAME / ".lock")]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as child:
        assert child.stdout
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(BusyError, match=f"process {child.pid} "):
            trash(shelved / NAME, Quick())
        child.kill()
    assert (shelved / NAME / "sweep.toml").exists()
    assert trash(shelved / NAME, Quick()).name == NAME


def test_only_runs_go_into_the_trash(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (tmp_path / "link").symlink_to(laid(tmp_path, NAME))
    for path, reason in ((photos, "no run folder"), (tmp_path / "link", "is a link"), (tmp_path / "no", "no run")):
        with pytest.raises(InputError, match=reason):
            trash(path, Quick())
    (tmp_path / ".trash").symlink_to(photos)
    with pytest.raises(InputError, match="stays on the disk"):
        trash(tmp_path / NAME, Quick())
    assert info(tmp_path / NAME).reason == ""


def test_a_disk_that_refuses_loses_no_run(tmp_path: Path) -> None:
    for n in range(1, 6):
        folder = laid(tmp_path / str(n), NAME)
        before = tree(folder)
        with contextlib.suppress(DiskError):
            trash(folder, FailingFiles(n, 5))
        found = [*tmp_path.glob(f"{n}/{NAME}"), *tmp_path.glob(f"{n}/.trash/*")]
        assert [tree(each) | {".lock": b""} for each in found] == [before | {".lock": b""}]


def test_emptying_deletes_what_was_trashed_and_nothing_else(tmp_path: Path) -> None:
    other = laid(tmp_path, "2026-11-22-other")
    sizes = [trash(laid(tmp_path, name), Quick()).bytes for name in (NAME, "2026-11-21-b")]
    (tmp_path / ".trash" / "mine").mkdir()
    (tmp_path / ".trash" / "link-20261121T173000Z").symlink_to(other)
    with Lock(trashed(tmp_path)[0].folder / ".lock", "the run"), pytest.raises(BusyError):
        empty_trash(tmp_path, Quick())
    sizes = [each.bytes for each in trashed(tmp_path)]
    assert len(sizes) == 2
    assert empty_trash(tmp_path, Quick()) == sum(sizes)
    assert sorted(os.listdir(tmp_path / ".trash")) == ["link-20261121T173000Z", "mine"]
    assert (other / "sweep.toml").exists()
    assert empty_trash(tmp_path, Quick()) == 0


def test_a_zip_holds_the_chosen_pictures_as_they_are(shelved: Path) -> None:
    folder = shelved / NAME
    keys = keys_of(folder)[:2]
    target = shelved / "out" / "two.zip"
    assert export(folder, [*keys, keys[0]], target, Quick()) == target.stat().st_size
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        kept = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    for key in keys:
        recipe = Store(folder).sidecar(key).recipe
        name = f"small-guidance{recipe.guidance:g}-steps3-seed{recipe.seed}-{key}"
        for suffix in (".png", ".json", ".txt"):
            assert kept.pop(name + suffix) == (folder / "pictures" / f"{key}{suffix}").read_bytes()
    assert not kept
    export(folder, keys, shelved / "again.zip", Quick())
    assert (shelved / "again.zip").read_bytes() == target.read_bytes()


def test_a_lost_caption_is_written_anew(shelved: Path) -> None:
    folder, key = shelved / NAME, keys_of(shelved / NAME)[0]
    caption = folder / "pictures" / f"{key}.txt"
    text = caption.read_bytes()
    caption.unlink()
    export(folder, [key], shelved / "one.zip", Quick())
    with zipfile.ZipFile(shelved / "one.zip") as archive:
        assert archive.read(archive.namelist()[2]) == text


def test_a_zip_is_whole_or_not_there(shelved: Path) -> None:
    folder = shelved / NAME
    keys = keys_of(folder)
    png = folder / "pictures" / f"{keys[-1]}.png"
    data = png.read_bytes()
    png.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(InputError, match="is not the file that was committed"):
        export(folder, keys, shelved / "all.zip", Quick())
    with pytest.raises(InputError, match=r"0000000000000000\.json cannot be read"):
        export(folder, [keys[0], "0" * 16], shelved / "all.zip", Quick())
    with pytest.raises(InputError, match=r"no picture .* is chosen"):
        export(folder, [], shelved / "all.zip", Quick())
    for n in range(1, 8):
        with pytest.raises(SidelightError):
            export(folder, keys[:2], shelved / "all.zip", FailingFiles(n, 28, forever=True))
    (shelved / "mine.zip").write_bytes(b"mine")
    with pytest.raises(InputError, match="is there already"):
        export(folder, keys[:2], shelved / "mine.zip", Quick())
    assert sorted(os.listdir(shelved)) == [NAME, "mine.zip"]
    assert (shelved / "mine.zip").read_bytes() == b"mine"


def test_a_checkpoint_named_like_a_path_stays_inside_the_zip(shelved: Path) -> None:
    recipe = Store(shelved / NAME).sidecar(keys_of(shelved / NAME)[0]).recipe
    for name, told in (("../../etc/passwd", "etc-passwd"), ("ß x", "x"), ("..", "checkpoint"), ("a" * 99, "a" * 60)):
        odd = recipe.but(checkpoint=recipe.checkpoint.but(name=name))
        assert shelf.readable_name(odd).startswith(f"{told}-guidance")


def test_pictures_are_chosen_by_their_marks(shelved: Path) -> None:
    folder = shelved / NAME
    first, second, third, *_ = keys = keys_of(folder)
    marks.append(folder, Mark(key=first, pick="pick", stars=2), Quick())
    marks.append(folder, Mark(key=second, pick="pick", stars=4), Quick())
    marks.append(folder, Mark(key=third, stars=5), Quick())
    assert chosen(folder) == keys
    assert chosen(folder, picked=True) == (first, second)
    assert chosen(folder, stars=4) == (second, third)
    assert chosen(folder, picked=True, stars=3) == (second,)


@pytest.fixture
def app() -> typer.Typer:
    """The commands as the command line holds them."""
    app, on_runs = typer.Typer(), typer.Typer()
    for name in ("ls", "find", "trash", "restore", "empty-trash", "export"):
        on_runs.command(name)(getattr(shelf_commands, f"runs_{name.replace('-', '_')}"))
    app.command("mark")(shelf_commands.mark)
    app.command("marks")(shelf_commands.marks)
    app.add_typer(on_runs, name="runs")
    return app


def test_a_run_is_marked_found_exported_and_put_away_by_commands(
    app: typer.Typer, shelved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shelved.parent)
    monkeypatch.setenv("USER", "ann")
    key, at = keys_of(shelved / NAME)[0], ["--runs", str(shelved)]

    def said(*words: str) -> str:
        ended = CliRunner().invoke(app, [*words, *at])
        assert ended.exit_code == 0, (ended.output, ended.exception)
        return ended.stdout

    text = said("mark", NAME, key, "--pick", "--stars", "4", "--fault", "eyes", "--fault", "hands", "--remark", "wet")
    assert text == f"{key}: pick, 4 stars, hands, eyes: wet\n"
    assert json.loads(said("mark", NAME, key, "--reject", "--json"))["by"] == "ann"
    assert said("marks", NAME) == f"{key}  reject, 4 stars, hands, eyes: wet\n"
    assert said("mark", NAME, key, "--clear", "--stars", "3") == f"{key}: 3 stars\n"
    assert [each["stars"] for each in json.loads(said("marks", NAME, "--json"))] == [3]
    assert [each["stars"] for each in json.loads(said("runs", "find", "face", "--stars", "3", "--json"))] == [3]
    assert json.loads(said("runs", "find", "--stars", "4", "--json")) == []
    assert json.loads(said("runs", "ls", "--json"))[0]["folder"] == str(shelved / NAME)
    assert NAME in said("runs", "ls")
    assert json.loads(said("runs", "export", NAME, "--stars", "3", "--json"))["pictures"] == 1
    assert (shelved.parent / f"{NAME}.zip").is_file()
    assert "is in the trash" in said("runs", "trash", NAME)
    assert "1 run in the trash" in said("runs", "ls", "--trash")
    assert "is back" in said("runs", "restore", NAME)
    said("runs", "trash", str(shelved / NAME))
    lying = trashed(shelved)[0].bytes
    refused = CliRunner().invoke(app, ["runs", "empty-trash", *at], input="n\n")
    assert isinstance(refused.exception, Cancelled)
    assert f"delete 1 run for good ({lying / 1e6:.1f} MB): {NAME}?" in refused.stderr
    assert len(trashed(shelved)) == 1
    assert json.loads(said("runs", "empty-trash", "--yes", "--json"))["runs"] == 1
    assert trashed(shelved) == ()


def test_commands_refuse_with_one_line(app: typer.Typer, shelved: Path) -> None:
    key = keys_of(shelved / NAME)[0]
    wrong = {
        ("mark", NAME, key, "--pick", "--reject"): "say one",
        ("mark", NAME, key, "--stars", "6"): "stars 6",
        ("mark", NAME, key, "--fault", "elbows"): "elbows",
        ("mark", NAME, key): "nothing is said",
        ("mark", "no-run", key, "--pick"): "no run folder",
        ("runs", "restore", NAME): f"no {NAME} is in the trash",
        ("runs", "trash", "no-run"): "no run folder",
        ("runs", "export", NAME, "--picked"): "no picture",
    }
    for words, reason in wrong.items():
        ended = CliRunner().invoke(app, [*words, "--runs", str(shelved)])
        assert isinstance(ended.exception, InputError), words
        assert reason in str(ended.exception)
        assert len(str(ended.exception).splitlines()) == 1


def test_what_vanishes_during_the_count_hides_nothing_else(shelved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shelved / NAME
    (folder / "a.part").write_bytes(b"x" * 1000)
    whole, scandir = info(folder).bytes, os.scandir

    def losing(place: Path) -> Any:
        entries = sorted(scandir(place), key=lambda entry: entry.name)
        (folder / "a.part").unlink(missing_ok=True)
        return contextlib.nullcontext(entries)

    monkeypatch.setattr(os, "scandir", losing)
    assert info(folder).bytes == whole - 1000
