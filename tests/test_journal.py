"""What happened in a run survives torn lines, strange lines and clocks; one process at a time, whoever dies."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from pipelines.errors import BusyError, DiskError, DiskFullError
from sweeps import journal
from sweeps.journal import (
    CellFailed,
    CellStarted,
    Journal,
    Line,
    PictureDone,
    RunCancelled,
    RunFinished,
    RunPaused,
    RunStarted,
    Warned,
    deaths,
)
from sweeps.lock import Lock, share_warning
from tests.crash import FailingFiles, Quick, RecordingFiles, SmallDisk, crash_states, lay_out, tree

LINES: tuple[Line, ...] = (
    RunStarted(cells=3),
    CellStarted(key="a", lane=0),
    PictureDone(key="a", lane=0, seconds=1.5),
    CellFailed(key="b", reason='not finite "é"\nsecond line\u2028third'),
    Warned(text="guidance 12 is above 7"),
    RunPaused(reason="disk full"),
    RunCancelled(),
    RunFinished(made=1, failed=1),
)


def opened(folder: Path) -> Journal:
    return Journal(folder, Quick(), now=lambda: "now", reserve_bytes=10)


def written(folder: Path, lines: tuple[Line, ...] = LINES) -> bytes:
    with opened(folder) as log:
        for line in lines:
            log.append(line)
    return (folder / journal.NAME).read_bytes()


def stamped(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return tuple(line.but(at="now") for line in lines)


def test_every_kind_of_line_comes_back_as_it_was(tmp_path: Path) -> None:
    data = written(tmp_path)
    assert journal.read(tmp_path).lines == stamped(LINES)
    assert data.count(b"\n") == len(LINES)


def test_no_journal_is_no_lines(tmp_path: Path) -> None:
    assert journal.read(tmp_path).lines == ()


def test_truncated_at_every_byte_it_keeps_the_whole_lines_and_goes_on(tmp_path: Path) -> None:
    data = written(tmp_path)
    path = tmp_path / journal.NAME
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        kept = stamped(LINES)[: data[:size].count(b"\n")]
        assert journal.read(tmp_path).lines == kept
        with opened(tmp_path) as log:
            assert log.story.lines == kept
            log.append(RunCancelled())
            log.append(RunStarted(cells=1))
        assert journal.read(tmp_path).lines == (*kept, *stamped((RunCancelled(), RunStarted(cells=1)))), size
        assert journal.read(tmp_path).faults == ()


def test_unknown_kinds_and_new_fields_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / journal.NAME
    path.write_text('{"kind": "moon-phase", "at": "x", "phase": 3}\n{"kind": "run-started", "cells": 2, "host": 1}\n')
    assert journal.read(tmp_path).lines == (RunStarted(cells=2),)
    assert journal.read(tmp_path).faults == ()


BAD = {
    "no JSON": b"{half",
    "zeros": bytes(30),
    "no object": b"[1, 2]",
    "no kind": b'{"at": "x"}',
    "no UTF-8": b'{"kind": "warning", "text": "\xff"}',
    "a wrong value": b'{"kind": "run-started", "cells": "many"}',
    "deep": b"[" * 100_000,
    "empty": b"",
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_reported_kept_aside_and_skipped(tmp_path: Path, raw: bytes) -> None:
    first = written(tmp_path, LINES[:1])
    (tmp_path / journal.NAME).write_bytes(first + raw + b"\n" + first)
    with opened(tmp_path) as log:
        assert log.story.lines == stamped((LINES[0], LINES[0]))
        assert [fault.number for fault in log.story.faults] == [2]
        assert log.story.faults[0].reason.startswith("line 2 of journal.jsonl cannot be read")
    assert list(tree(tmp_path / "damaged").values()) == [raw]
    before = tree(tmp_path)
    files = RecordingFiles(tmp_path)
    Journal(tmp_path, files, reserve_bytes=10).close()
    assert tree(tmp_path) == before
    assert "create" not in [call.name for call in files.calls]


def test_a_line_is_one_write_and_one_fsync(tmp_path: Path) -> None:
    files = RecordingFiles(tmp_path)
    with Journal(tmp_path, files, reserve_bytes=10) as log:
        at = len(files.calls)
        log.append(LINES[0])
        log.append(LINES[1])
    assert [call.name for call in files.calls[at:]] == ["write", "fsync"] * 2
    assert all(call.data.endswith(b"\n") for call in files.calls[at::2])


def test_appended_lines_outlive_every_power_cut(tmp_path: Path) -> None:
    live = lay_out({}, tmp_path / "live")
    files = RecordingFiles(live)
    with Journal(live, files, now=lambda: "now", reserve_bytes=10) as log:
        for line in LINES:
            log.append(line)
            files.promise()
    for promised, state in crash_states(files):
        story = journal.read(lay_out(state, tmp_path / "crashed"))
        assert len(story.lines) >= promised
        assert story.lines == stamped(LINES)[: len(story.lines)]
        for path in (tmp_path / "crashed").iterdir():
            path.unlink()


@pytest.mark.parametrize("number", [5, 28], ids=["EIO", "ENOSPC"])
def test_a_line_whose_write_failed_is_written_anew_or_said_to_be_lost(tmp_path: Path, number: int) -> None:
    recovered = 0
    for n in range(1, 40):
        folder = lay_out({}, tmp_path / str(n))
        reported = []
        try:
            with Journal(folder, FailingFiles(n, number), now=lambda: "now", reserve_bytes=10) as log:
                for line in LINES[:4]:
                    log.append(line)
                    reported.append(line)
        except DiskError:
            pass
        else:
            recovered += 1
        kept = journal.read(folder)
        assert kept.faults == ()
        assert kept.lines[: len(reported)] == stamped(tuple(reported)), "a line that was reported as kept is gone"
        assert len(kept.lines) <= len(reported) + 1
    assert recovered >= 8  # each of four writes and four fsyncs


def test_the_reserve_lets_the_last_line_fit(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path, 1200)
    with Journal(tmp_path, disk, now=lambda: "now", reserve_bytes=500) as log:
        log.append(RunStarted(cells=3))
        (tmp_path / "picture").write_bytes(bytes(disk.free_bytes(tmp_path)))
        log.append(RunPaused(reason="disk full"))
    assert journal.read(tmp_path).lines == stamped((RunStarted(cells=3), RunPaused(reason="disk full")))
    assert not (tmp_path / ".reserve").exists()
    with pytest.raises(DiskFullError, match="MB needed"):
        Journal(tmp_path, disk, reserve_bytes=500)
    assert not (tmp_path / ".reserve").exists()
    (tmp_path / "picture").unlink()
    Journal(tmp_path, disk, reserve_bytes=500).close()
    assert (tmp_path / ".reserve").stat().st_size == 500


def test_order_is_line_order_whatever_the_clock_does(tmp_path: Path) -> None:
    clock = iter(["2026-11-21T12:00:00+00:00", "2026-11-21T11:00:00+00:00", "2026-11-22T12:00:00+00:00"])
    with Journal(tmp_path, Quick(), now=lambda: next(clock), reserve_bytes=10) as log:
        for line in LINES[:3]:
            log.append(line)
    assert [type(line) for line in journal.read(tmp_path).lines] == [type(line) for line in LINES[:3]]


def test_deaths_counts_cells_whose_process_died_without_a_word() -> None:
    start, cell = RunStarted(cells=2), CellStarted(key="a", lane=0)
    done = PictureDone(key="a", lane=0, seconds=1)
    assert deaths([start, cell]) == Counter(a=1)
    assert deaths([start, cell, start, cell]) == Counter(a=2)
    assert deaths([start, cell, RunCancelled(), start, cell, RunPaused(reason="disk full")]) == Counter()
    assert deaths([start, cell, start, cell, done]) == Counter()
    assert deaths([start, cell, CellFailed(key="a", reason="x"), Warned(text="x"), start]) == Counter()


def _contend(path: Path, barrier: Barrier, answers: "Queue[tuple[str, int]]", end: Event) -> None:
    barrier.wait()
    try:
        with Lock(path, "the run"):
            answers.put(("got it", os.getpid()))
            end.wait(30)
    except BusyError as error:
        answers.put((str(error), os.getpid()))


def test_of_eight_processes_at_once_one_gets_the_lock(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    barrier, end, answers = fork.Barrier(8), fork.Event(), fork.Queue()
    args = (tmp_path / ".lock", barrier, answers, end)
    children = [fork.Process(target=_contend, args=args) for _ in range(8)]
    for child in children:
        child.start()
    said = [answers.get(timeout=30) for _ in children]
    winners = [pid for text, pid in said if text == "got it"]
    assert len(winners) == 1
    with pytest.raises(BusyError, match=rf"^the run is held by process {winners[0]} since \d{{4}}-\d\d-\d\d .* UTC; "):
        Lock(tmp_path / ".lock", "the run").__enter__()
    end.set()
    for child in children:
        child.join(30)
    assert all("is held by" in text for text, pid in said if pid != winners[0])


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from sweeps.lock import Lock\n"
        "with Lock(pathlib.Path(sys.argv[1]), 'the run'):\n    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(BusyError, match=f"process {child.pid} "):
            Lock(tmp_path / ".lock", "the run").__enter__()
        child.send_signal(signal.SIGKILL)
        child.wait(30)
        with Lock(tmp_path / ".lock", "the run"):
            pass


def test_the_lock_is_free_after_with_even_if_it_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Lock(tmp_path / ".lock", "the run"):
        raise ZeroDivisionError
    with Lock(tmp_path / ".lock", "the run"):
        pass


def test_a_holder_that_has_not_written_its_name_is_still_respected(tmp_path: Path) -> None:
    with Lock(tmp_path / ".lock", "the device"):
        (tmp_path / ".lock").write_bytes(b"")
        with pytest.raises(BusyError, match="the device is held by another process, just started"):
            Lock(tmp_path / ".lock", "the device").__enter__()


def test_a_network_share_is_named(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    place = str(tmp_path).replace(" ", "\\040")
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {place}/far nfs4 rw 0 0\nC: {place}/my\\040disk 9p rw 0 0\n")
    assert share_warning(tmp_path, mounts) == ""
    assert "network share (nfs4)" in share_warning(tmp_path / "far" / "run", mounts)
    assert "(9p)" in share_warning(tmp_path / "my disk" / "run", mounts)
    assert share_warning(tmp_path, tmp_path / "none") == ""
