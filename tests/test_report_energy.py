"""Joules and seconds of a run's phases: counted through a seam, told in the journal, never guessed."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import DiskFullError
from sweeps import journal, power
from sweeps.journal import Journal, Spent
from sweeps.power import Power, Reading, counted, meter_of

GPU = "NVIDIA H100 80GB HBM3"


class Scripted:
    """A meter that says what it is told to, then the last again."""

    def __init__(self, *readings: Reading) -> None:
        self._readings = list(readings)

    def read(self) -> Reading:
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]


def test_a_counter_of_the_device_is_read_at_both_ends() -> None:
    with Power(Scripted(Reading(joules=1000.0, watts=300.0), Reading(joules=1450.5, watts=5.0))) as counting:
        pass
    assert counting.joules == 450.5


def test_watts_are_summed_over_time_where_there_is_no_counter() -> None:
    seconds = iter([0.0, 10.0, 20.0, 24.0, 24.0])
    looked: Iterator[bool] = iter([False, False, True])
    done = threading.Event()

    def wait(_: threading.Event) -> bool:
        is_over = next(looked)
        if is_over:
            done.set()
        return is_over

    meter = Scripted(*(Reading(watts=watts) for watts in (100.0, 200.0, 400.0, 400.0)))
    with Power(meter, now=lambda: next(seconds), wait=wait) as counting:
        assert done.wait(60)
    assert counting.joules == 150 * 10 + 300 * 10 + 400 * 4
    assert counting.seconds == 24


@pytest.mark.parametrize(
    "readings",
    [
        [Reading()],
        [Reading(watts=100.0), Reading()],
        [Reading(joules=1000.0), Reading()],
        [Reading(joules=1000.0), Reading(joules=3.0)],
    ],
    ids=["tells nothing", "stops telling watts", "stops counting", "counts from zero again"],
)
def test_what_a_device_does_not_tell_is_not_guessed(readings: list[Reading]) -> None:
    with Power(Scripted(*readings)) as counting:
        pass
    assert counting.joules is None


def test_cpu_seconds_are_counted_without_a_meter() -> None:
    with Power(None) as counting:
        while counting._cpu == power._cpu_seconds():
            sum(range(10_000))
    assert counting.cpu_seconds > 0
    assert counting.joules is None


def lines(folder: Path) -> list[Spent]:
    return [line for line in journal.read(folder).lines if isinstance(line, Spent)]


def test_a_phase_is_told_in_the_journal_also_when_it_is_cancelled(tmp_path: Path) -> None:
    meter = Scripted(Reading(joules=10.0), Reading(joules=12.25), Reading(joules=20.0), Reading(joules=21.0))
    with Journal(tmp_path, reserve_bytes=0) as book:
        with counted(book.append, "making", device=GPU, meter=meter):
            pass
        with pytest.raises(GeneratorExit), counted(book.append, "making", device=GPU, meter=meter):
            raise GeneratorExit
    assert [(line.phase, line.joules, line.device) for line in lines(tmp_path)] == [
        ("making", 2.2, GPU),
        ("making", 1.0, GPU),
    ]


def test_a_run_that_pauses_on_a_full_disk_keeps_its_last_room_for_the_reason(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, reserve_bytes=0) as book,
        pytest.raises(DiskFullError),
        counted(book.append, "making", device=GPU),
    ):
        raise DiskFullError("full")
    assert not lines(tmp_path)


def test_spent_lines_change_nothing_that_is_read_from_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path, reserve_bytes=0) as book:
        book.append(journal.CellStarted(key="a", lane=0))
        book.append(Spent(phase="making", seconds=1, cpu_seconds=1))
        book.append(journal.RunStarted(cells=1))
    assert journal.deaths(journal.read(tmp_path).lines) == {"a": 1}


class Nvml:
    """The library, with boards by name; a board is its number."""

    class NVMLError(Exception):
        """As the real one's."""

    def __init__(self, *names: str, counts: bool = True) -> None:
        self._names, self._counts = names, counts

    def nvmlInit(self) -> None:
        if not self._names:
            raise self.NVMLError("no driver")

    def nvmlDeviceGetCount(self) -> int:
        return len(self._names)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return number

    def nvmlDeviceGetName(self, board: int) -> bytes:
        return self._names[board].encode()

    def nvmlDeviceGetUUID(self, board: int) -> str:
        return f"GPU-{board}{board}{board}-beef"

    def nvmlDeviceGetTotalEnergyConsumption(self, board: int) -> int:
        if not self._counts:
            raise self.NVMLError("not supported")
        return 5000 + board

    def nvmlDeviceGetPowerUsage(self, board: int) -> int:
        return 70_000 + board


def of(library: Nvml) -> Reading | None:
    meter = meter_of(GPU, lambda: library)
    return meter.read() if meter else None


def test_the_board_that_cuda_uses_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert of(Nvml("GeForce", GPU)) == Reading(joules=5.001, watts=70.001)
    assert of(Nvml(GPU, counts=False)) == Reading(joules=None, watts=70.0)
    assert of(Nvml(GPU, GPU)) == Reading(joules=5.0, watts=70.0)


@pytest.mark.parametrize(("asked", "board"), [("1", 1), ("GPU-222", 2), ("1,0", 1)])
def test_among_equal_boards_the_one_that_is_visible_counts(
    monkeypatch: pytest.MonkeyPatch, asked: str, board: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    assert of(Nvml(GPU, GPU, GPU)) == Reading(joules=5 + board / 1000, watts=70 + board / 1000)


def test_no_board_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert of(Nvml("GeForce", GPU, GPU)) is None
    assert of(Nvml("GeForce")) is None
    assert of(Nvml()) is None

    def missing() -> Any:
        raise ModuleNotFoundError("pynvml")

    assert meter_of(GPU, missing) is None
    assert meter_of("cpu", missing) is None
