"""Runs: only what is missing is made, nothing is lost or torn, and what goes wrong is said."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.errors import BusyError, DiskFullError
from pipelines.events import Failed
from pipelines.files import Disk
from pipelines.store import Store
from sweeps import journal
from sweeps.lock import Lock
from sweeps.prepare import Prepared
from sweeps.run import Finished, Happening, Kept, Started, run
from tests import killer
from tests.small import SmallEngine, opener, prepared

KILLS = 200


def make(ready: Prepared, **options: object) -> tuple[list[Happening], list[SmallEngine]]:
    """Run to the end."""
    engines: list[SmallEngine] = []
    retry = bool(options.pop("retry_failed", True))
    return list(run(ready, open_engine=opener(engines, **options), retry_failed=retry)), engines


def contents(folder: Path) -> dict[str, tuple[bytes, str, bytes]]:
    """PNG bytes, the recipe part of the sidecar and the caption of every picture."""
    store = Store(folder)
    keys = store.keys()
    return {
        key: (
            store.path(key).read_bytes(),
            store.sidecar(key).recipe_part(),
            store.path(key).with_suffix(".txt").read_bytes(),
        )
        for key in keys
    }


def made(engines: Sequence[SmallEngine]) -> list[str]:
    return [key for engine in engines for key in engine.made]


def test_run_makes_every_cell_and_a_second_run_none(tmp_path: Path) -> None:
    happenings, engines = make(prepared(tmp_path))
    assert sorted(made(engines)) == sorted(prepared(tmp_path).keys)
    assert happenings[-1] == Finished(9, 0, tmp_path / "report.html", tmp_path / "contact-sheet.png")
    before = contents(tmp_path)
    again, engines = make(prepared(tmp_path))
    assert not made(engines)
    assert isinstance(again[0], Started)
    assert again[0].done == 9
    assert contents(tmp_path) == before


def test_changed_axis_makes_only_the_new_cells(tmp_path: Path) -> None:
    make(prepared(tmp_path, guidance=(2, 4)))
    before = contents(tmp_path)
    _, engines = make(prepared(tmp_path, guidance=(2, 4, 6)))
    assert len(made(engines)) == 3
    assert {key: contents(tmp_path)[key] for key in before} == before


def test_damaged_picture_is_set_aside_and_made_again(tmp_path: Path) -> None:
    make(prepared(tmp_path))
    before = contents(tmp_path)
    key = min(before)
    Store(tmp_path).path(key).write_bytes(before[key][0][:-40])
    happenings, engines = make(prepared(tmp_path))
    assert made(engines) == [key]
    assert contents(tmp_path) == before
    assert isinstance(happenings[0], Started)
    assert key in happenings[0].warnings[0]
    assert (tmp_path / "damaged" / f"{key}.png").exists()


def test_failed_cell_is_recorded_and_the_run_goes_on(tmp_path: Path) -> None:
    bad = min(prepared(tmp_path).keys)
    happenings, engines = make(prepared(tmp_path), bad=frozenset({bad}))
    assert Failed(bad, "asked to fail") in happenings
    assert len(made(engines)) == 8
    assert isinstance(happenings[-1], Finished)
    assert happenings[-1].failed == 1
    assert "asked to fail" in (tmp_path / "report.html").read_text()
    _, engines = make(prepared(tmp_path), retry_failed=False)
    assert not made(engines)
    _, engines = make(prepared(tmp_path))
    assert made(engines) == [bad]


def test_closing_cancels_keeps_what_is_made_and_says_so(tmp_path: Path) -> None:
    with closing(run(prepared(tmp_path), open_engine=opener([]))) as happenings:
        for happening in happenings:
            if isinstance(happening, Kept):
                break
    kept = Store(tmp_path).keys()
    assert 0 < len(kept) < 9
    assert isinstance(journal.read(tmp_path).lines[-1], journal.RunCancelled)
    assert (tmp_path / "contact-sheet.png").exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("writer")]
    _, engines = make(prepared(tmp_path))
    assert len(made(engines)) == 9 - len(kept)


def test_second_process_is_told_who_holds_the_run(tmp_path: Path) -> None:
    with Lock(tmp_path / ".lock", "this"), pytest.raises(BusyError, match=r"held by process \d+ since 20\d\d-"):
        make(prepared(tmp_path))


class FullDisk(Disk):
    """A disk that is full once so many files were made."""

    def __init__(self, files: int) -> None:
        self._left = files

    def rename(self, old: Path, new: Path) -> None:
        self._left -= new.suffix == ".png"
        if self._left < 0:
            raise OSError(28, "No space left on device")
        super().rename(old, new)


def test_full_disk_pauses_without_failing_a_cell_and_goes_on_later(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"disk full: \d+ MB needed"):
        list(run(prepared(tmp_path), open_engine=opener([]), files=FullDisk(4)))
    kinds = [type(line) for line in journal.read(tmp_path).lines]
    assert kinds[-1] is journal.RunPaused
    assert journal.CellFailed not in kinds
    assert len(Store(tmp_path).keys()) == 4
    _, engines = make(prepared(tmp_path))
    assert len(made(engines)) == 5


class NoRoom(Disk):
    """A disk with a megabyte left."""

    def free_bytes(self, folder: Path) -> int:
        return 1_000_000


def test_run_does_not_start_without_room(tmp_path: Path) -> None:
    engines: list[SmallEngine] = []
    with pytest.raises(DiskFullError, match="1 MB free"):
        list(run(prepared(tmp_path), open_engine=opener(engines), files=NoRoom()))
    assert not engines


def test_cell_that_the_process_died_in_twice_goes_last_and_bytes_stay(tmp_path: Path) -> None:
    make(prepared(tmp_path / "calm"))
    ready = prepared(tmp_path / "unlucky")
    first = ready.plan.phases[0].lanes[0][0]
    ready.folder.mkdir()
    with journal.Journal(ready.folder) as book:
        for _ in range(2):
            book.append(journal.RunStarted(cells=9))
            book.append(journal.CellStarted(key=first, lane=0))
    _, engines = make(ready)
    assert [key for key in made(engines) if key in ready.plan.phases[0].lanes[0]][-1] == first
    assert contents(tmp_path / "unlucky") == contents(tmp_path / "calm")


def test_two_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    """SIGKILL at random moments: in the end every PNG, caption and recipe part is that of an undisturbed run."""
    calm = prepared(tmp_path / "calm", guidance=killer.GUIDANCE, seeds=killer.SEEDS)
    make(calm)
    told = subprocess.run(
        [sys.executable, "-m", "tests.killer", str(tmp_path / "runs"), str(KILLS), "7"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert int(told.stdout) == KILLS
    runs = sorted((tmp_path / "runs").iterdir())
    assert len(runs) == KILLS // 4
    for folder in runs:
        assert contents(folder) == contents(calm.folder)
        assert not list(folder.rglob("*.part"))
