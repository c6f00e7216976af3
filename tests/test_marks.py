"""What people think of pictures is kept: whatever is cut, whoever writes at the same time, in the order it was said."""

import errno
import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from pipelines.errors import BusyError, DiskError, InputError
from sweeps import lock, marks
from sweeps.lock import Lock
from sweeps.marks import Mark
from sweeps.overview import grid_of
from sweeps.prepare import PLAN, Prepared
from sweeps.run import run
from tests.crash import FailingFiles, Quick, RecordingFiles, crash_states, lay_out, tree
from tests.small import opener, prepared

A, B = "a" * 16, "b" * 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder whose plan holds A, B and nothing else."""
    return planned(tmp_path / "run")


def planned(folder: Path, keys: tuple[str, ...] = (A, B)) -> Path:
    folder.mkdir()
    (folder / PLAN).write_text("".join(f'{{"key": "{key}", "lane": 0}}\n' for key in keys))
    return folder


def append(folder: Path, mark: Mark) -> Mark:
    return marks.append(folder, mark, Quick(), now=lambda: "now")


def test_for_each_field_the_last_line_that_says_it_wins(folder: Path) -> None:
    append(folder, Mark(key=A, pick="pick", by="ann"))
    append(folder, Mark(key=A, stars=3, faults=("eyes", "hands")))
    append(folder, Mark(key=B, remark="the neck is wax"))
    last = append(folder, Mark(key=A, stars=4))
    assert last == Mark(key=A, pick="pick", stars=4, faults=("hands", "eyes"), by="ann", at="now")
    assert marks.read(folder) == {A: last, B: Mark(key=B, remark="the neck is wax", at="now")}


def test_a_run_without_marks_has_none(folder: Path) -> None:
    assert marks.read(folder) == {}
    assert marks.read(folder.parent / "nowhere") == {}


def test_undo_is_appending_the_earlier_mark(folder: Path) -> None:
    first = append(folder, Mark(key=A, stars=2))
    append(folder, Mark(key=A, pick="reject", stars=5, remark="no"))
    assert append(folder, first) == first
    assert append(folder, marks.unmarked(A)) == marks.unmarked(A).but(at="now")
    assert (folder / marks.NAME).read_bytes().count(b"\n") == 4


def test_a_mark_is_told_in_words() -> None:
    assert Mark(key=A, pick="pick", stars=4, faults=("eyes",), remark="wet").text == "pick, 4 stars, eyes: wet"
    assert Mark(key=A, stars=1).text == "1 star"
    assert Mark(key=A, remark="only this").text == "only this"
    assert Mark(key=A).text == ""


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"stars": 6}, "stars 6"),
        ({"stars": -1}, "stars -1"),
        ({"stars": True}, "stars True"),
        ({"pick": "maybe"}, "pick 'maybe'"),
        ({"faults": ["elbows"]}, "faults"),
        ({"remark": "two\nlines"}, "one line"),
        ({"remark": "x" * 501}, "remark"),
        ({"remark": "\ud800"}, "unicode"),
        ({"key": "../../etc/passwd"}, "key"),
        ({"starz": 3}, "starz is not known"),
    ],
)
def test_what_is_no_mark_is_refused_with_its_reason(values: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Mark.read({"key": A} | values)


def test_a_picture_that_is_not_planned_cannot_be_marked(folder: Path) -> None:
    before = tree(folder)
    with pytest.raises(InputError, match="cccccccccccccccc is no picture of"):
        append(folder, Mark(key="c" * 16, stars=3))
    with pytest.raises(InputError, match="nothing is said"):
        append(folder, Mark(key=A, by="ann"))
    with pytest.raises(InputError, match="no run folder"):
        append(folder.parent, Mark(key=A, stars=3))
    assert tree(folder) == before


def test_truncated_at_every_byte_it_keeps_the_whole_lines_and_goes_on(folder: Path) -> None:
    for stars, remark in enumerate(("first", 'quoted "é"', "third\u2028"), start=1):
        append(folder, Mark.read({"key": A, "stars": stars, "remark": remark.strip("\u2028")}))
    path = folder / marks.NAME
    data = path.read_bytes()
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        lines = data[:size].count(b"\n")
        assert marks.read(folder).get(A, Mark(key=A)).stars == lines
        append(folder, Mark(key=B, pick="pick"))
        assert marks.read(folder)[B].pick == "pick", size
        assert marks.read(folder).get(A, Mark(key=A)).stars == lines
        assert marks.unreadable(folder) == ()


BAD = (b"{half", bytes(30), b"[1]", b'{"stars": 3}', b'{"key": 7}', b'{"key": "\xff"}', b"[" * 100_000, b"", b"3")


@pytest.mark.parametrize("raw", BAD, ids=range(len(BAD)))
def test_a_line_that_is_no_mark_is_told_and_stays(folder: Path, raw: bytes) -> None:
    append(folder, Mark(key=A, stars=3))
    path = folder / marks.NAME
    path.write_bytes(path.read_bytes() + raw + b"\n")
    append(folder, Mark(key=B, stars=2))
    assert {key: mark.stars for key, mark in marks.read(folder).items()} == {A: 3, B: 2}
    assert [fault.number for fault in marks.unreadable(folder)] == [2]
    assert raw in path.read_bytes()


def test_fields_of_a_later_version_are_no_fault(folder: Path) -> None:
    (folder / marks.NAME).write_text(f'{{"key": "{A}", "stars": 3, "mood": "calm"}}\n')
    assert marks.read(folder)[A].stars == 3
    assert marks.unreadable(folder) == ()


def test_marks_outlive_every_power_cut(tmp_path: Path) -> None:
    live = planned(tmp_path / "live")
    files = RecordingFiles(live)
    for stars in (1, 2, 3):
        marks.append(live, Mark(key=A, stars=stars), files)
        files.promise()
    states = 0
    for states, (promised, state) in enumerate(crash_states(files), start=1):
        crashed = lay_out(state, tmp_path / str(states))
        assert marks.read(crashed).get(A, Mark(key=A)).stars >= promised
        assert marks.unreadable(crashed) == ()
    assert states > 8


def test_a_mark_whose_write_failed_is_kept_or_said_to_be_lost(tmp_path: Path) -> None:
    kept = 0
    for n in range(1, 16):
        folder = planned(tmp_path / str(n))
        append(folder, Mark(key=A, pick="pick"))
        try:
            marks.append(folder, Mark(key=A, stars=3), FailingFiles(n, errno.EIO))
        except (DiskError, InputError):  # the plan could not be read
            assert marks.read(folder)[A].pick == "pick"
        else:
            kept += 1
            assert (marks.read(folder)[A].pick, marks.read(folder)[A].stars) == ("pick", 3)
        assert marks.unreadable(folder) == ()
    assert kept >= 8


def _write_many(folder: Path, by: str, key: str, barrier: Barrier) -> None:
    barrier.wait()
    for number in range(60):
        marks.append(folder, Mark(key=key, remark=f"{by} {number}", by=by), Quick())


def test_processes_that_mark_at_once_lose_nothing_and_keep_their_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 300.0)  # a busy machine is no fault of the code
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(3)
    people = (("ann", A), ("ben", B), ("cat", A))
    children = [fork.Process(target=_write_many, args=(folder, by, key, barrier)) for by, key in people]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert marks.unreadable(folder) == ()
    lines = (folder / marks.NAME).read_text().splitlines()
    said = [json.loads(line)["remark"] for line in lines]
    for by, _ in people:
        assert [remark for remark in said if remark.startswith(by)] == [f"{by} {number}" for number in range(60)]
    assert marks.read(folder)[B].remark == "ben 59"


def test_threads_that_mark_at_once_lose_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 300.0)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: append(folder, Mark(key=A, remark=str(number))), range(40)))
    lines = (folder / marks.NAME).read_text().splitlines()
    assert sorted(int(json.loads(line)["remark"]) for line in lines) == list(range(40))


def test_whoever_holds_the_marks_for_too_long_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.0)
    with Lock(folder / marks.LOCK, "the marks"), pytest.raises(BusyError, match=r"the marks of .* held by process"):
        append(folder, Mark(key=A, stars=3))
    assert marks.read(folder) == {}


def test_a_picture_is_marked_while_the_run_is_held(folder: Path) -> None:
    with Lock(folder / ".lock", "the run"):
        assert append(folder, Mark(key=A, stars=3)).stars == 3


def made(folder: Path) -> Prepared:
    ready = prepared(folder)
    assert list(run(ready, open_engine=opener([]), files=Quick()))
    return ready


def test_grid_and_report_show_the_marks(tmp_path: Path) -> None:
    ready = made(tmp_path / "run")
    key = ready.cells.cells[0].recipe.key
    append(ready.folder, Mark(key=key, pick="pick", stars=4, faults=("eyes",), remark='<b>"wet"</b>'))
    grid = grid_of(ready, {}, {}, marks.read(ready.folder))
    told = [dict(cell.values).get("mark") for cell in grid.cells]
    assert told == ['pick, 4 stars, eyes: <b>"wet"</b>', *[None] * 8]
    made(ready.folder)
    report = (ready.folder / "report.html").read_text()
    assert 'pick, 4 stars, eyes: \\u003cb>\\"wet\\"\\u003c/b>' in report
