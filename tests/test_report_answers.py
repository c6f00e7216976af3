"""What a run's report says: every session with its end, what failed and where, marks and numerics, nothing invented."""

import shutil
from pathlib import Path

import pytest

from pipelines.errors import CheckpointError
from sweeps import marks
from sweeps.journal import (
    CellFailed,
    CellStarted,
    Journal,
    PictureDone,
    RunCancelled,
    RunFinished,
    RunPaused,
    RunStarted,
    Warned,
)
from sweeps.marks import Mark
from sweeps.prepare import NUMERICS, RunNumerics
from tests.crash import Quick
from tests.small import numerics
from tests.test_routes import MARKUP, NAME, made, prepared
from workbench.web.answers import GridAnswer
from workbench.web.report_answers import ReportAnswer, kept, report, sessions
from workbench.web.watched import Watched

OTHER_NUMERICS = "made with other numerics than the run was planned with; do not compare fine detail"


@pytest.fixture(scope="module")
def kept_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of six cells, one of which failed."""
    folder = tmp_path_factory.mktemp("told") / NAME
    ready = prepared(folder)
    made(ready, bad=frozenset({ready.cells.cells[3].recipe.key}))
    return folder


@pytest.fixture
def folder(kept_run: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    shutil.copytree(kept_run, tmp_path / "a run" / NAME, ignore=shutil.ignore_patterns(".reserve"))
    return tmp_path / "a run" / NAME


def told(folder: Path, job: str = "") -> ReportAnswer:
    return report(Watched(folder).grid(), kept(folder), job)


def test_report_tells_what_was_asked_for_and_how_far_it_is(folder: Path) -> None:
    said = told(folder, "waiting")
    assert (said.run, said.title, said.job) == (NAME, "window <b>", "waiting")
    assert [(axis.name, axis.labels) for axis in said.axes] == [("guidance", ("2", "4", "6")), ("seed", ("1", "2"))]
    assert dict(said.constants)["prompt"] == MARKUP
    assert (said.progress.cells, said.progress.done, said.progress.failed) == (6, 5, 1)
    assert said.command == f"sidelight sweep run '{folder}'"
    assert said.bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert [(cell.name, cell.reason) for cell in said.failed] == [("guidance 2 · seed 2", "asked to fail")]
    (session,) = said.sessions
    assert (session.how, session.wanted, session.made, session.failed) == ("finished", 6, 5, 1)


def test_every_session_is_told_with_how_it_ended() -> None:
    done = [PictureDone(key=key, lane=0, seconds=2.0) for key in "ab"]
    told = sessions(
        [
            RunStarted(cells=4, at="1"),
            CellStarted(key="a", lane=0),
            done[0],
            RunStarted(cells=3, at="2"),
            CellFailed(key="c", reason="no memory"),
            CellFailed(key="c", reason="no memory"),
            RunPaused(reason="disk full\nfree some", at="3"),
            RunStarted(cells=3, at="4"),
            RunCancelled(at="5"),
            RunStarted(cells=3, at="6"),
            done[1],
            RunFinished(made=1, failed=0, at="7"),
            RunStarted(cells=2, at="8"),
        ]
    )
    assert [(each.began, each.ended, each.how, each.wanted, each.made, each.failed) for each in told] == [
        ("1", "", "died", 4, 1, 0),
        ("2", "3", "paused", 3, 0, 1),
        ("4", "5", "cancelled", 3, 0, 0),
        ("6", "7", "finished", 3, 1, 0),
        ("8", "", "open", 2, 0, 0),
    ]
    assert told[1].reason == "disk full; free some"
    assert sessions([done[0]]) == ()


def test_time_is_the_sum_and_the_median_of_what_pictures_took(folder: Path) -> None:
    with Journal(folder, Quick(), reserve_bytes=0) as book:
        for seconds in (1.0, 2.0, 900.0, 3.0, 4.0, 5.0):
            book.append(PictureDone(key="0" * 16, lane=0, seconds=seconds))
    said = told(folder)
    assert said.seconds == 915.0
    assert said.each == 1.0  # five of no time at all were made before


def test_warnings_of_the_run_come_before_those_of_its_pictures(folder: Path) -> None:
    with Journal(folder, Quick(), reserve_bytes=0) as book:
        for _ in range(2):
            book.append(Warned(text="two rows a forward instead of three\n(out of memory)"))
        book.append(Warned(key="0" * 16, text="of one picture"))
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(b"[\n")
    (folder / "marks.jsonl").write_bytes(b"[\n{}\n")
    (folder / NUMERICS).write_text(
        RunNumerics(planned=numerics().but(dtype="float16"), now=numerics()).model_dump_json()
    )
    said = [(each.text, each.pictures, each.first) for each in told(folder).warnings]
    assert said == [
        ("two rows a forward instead of three; (out of memory)", 0, ""),
        ("1 line of journal.jsonl cannot be read; all else is whole", 0, ""),
        ("2 lines of marks.jsonl cannot be read; all else is whole", 0, ""),
        (OTHER_NUMERICS, 5, "guidance 2 · seed 1"),
    ]


def test_numerics_are_told_with_their_reasons_and_what_was_planned(folder: Path) -> None:
    planned = numerics(lanes=4)
    now = planned.because("memory ran out at four\nof them", lanes=3)
    (folder / NUMERICS).write_text(RunNumerics(planned=planned, now=now).model_dump_json())
    lines = {line.name: line for line in told(folder).numerics}
    assert (lines["lanes"].value, lines["lanes"].planned) == ("3", "4")
    assert lines["lanes"].reason == "memory ran out at four; of them"
    assert (lines["tiled"].value, lines["device"].value, lines["device"].planned) == ("no", "cpu", "")
    assert "reasons" not in lines
    (folder / NUMERICS).write_text('{"planned": 3')
    assert told(folder).numerics == ()


def test_marks_are_counted_and_the_best_pictures_shown_first(folder: Path) -> None:
    keys = [cell.key for cell in Watched(folder).grid().cells if cell.state == "done"]
    assert [picture.key for picture in told(folder).pictures] == keys
    assert not told(folder).is_rated
    for mark in (
        Mark(key=keys[0], stars=3, by="ann"),
        Mark(key=keys[1], stars=5, pick="reject", faults=("hands", "eyes"), by="ben"),
        Mark(key=keys[2], stars=5, remark="the cheek holds <b>"),
        Mark(key=keys[3], stars=3, pick="pick"),
        Mark(key=keys[4], faults=("eyes",)),
        Mark(key=keys[4], faults=()),
    ):
        marks.append(folder, mark, Quick())
    said = told(folder)
    assert said.is_rated
    assert [picture.key for picture in said.pictures] == [keys[2], keys[3], keys[0]]
    assert said.pictures[0].mark == "5 stars: the cheek holds <b>"
    assert all(picture.thumb.startswith(f"/pictures/{NAME}/{picture.key}.webp?v=") for picture in said.pictures)
    assert (said.marks.marked, said.marks.picked, said.marks.rejected, said.marks.stars) == (4, 1, 1, (0, 0, 2, 0, 2))
    assert said.marks.faults == (("hands", 1), ("eyes", 1))
    assert [(remark.key, remark.text) for remark in said.marks.remarks] == [(keys[2], "the cheek holds <b>")]
    assert said.marks.by == ("ann", "ben")


def test_a_run_that_was_only_asked_for_has_a_report(tmp_path: Path, folder: Path) -> None:
    asked = tmp_path / "asked"
    asked.mkdir()
    shutil.copy(folder / "sweep.toml", asked)
    said = told(asked)
    assert (said.progress.cells, said.sessions, said.numerics, said.pictures, said.each) == (6, (), (), (), None)


def test_a_run_whose_checkpoint_is_gone_is_told_in_the_order_of_its_plan(folder: Path) -> None:
    def gone(name: str) -> None:
        raise CheckpointError(f"there is no checkpoint {name}; pull it")

    grid: GridAnswer = Watched(folder, gone).grid()  # type: ignore[arg-type]  # it only ever raises
    said = report(grid, kept(folder))
    assert "there is no checkpoint demo-sdxl" in said.subtitle
    assert said.failed[0].name.startswith("picture ")
    assert len(said.pictures) == 5
