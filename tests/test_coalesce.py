"""The coalescer with a small network and hand-written bodies: slots, kinds, company, failures, stopping."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from pipelines.coalesce import Call, CellThread, Coalescer, Ended, Reported, twin

Body = Callable[[CellThread], Any]


class Network(torch.nn.Module):
    """Called like a denoiser; remembers the rows it was given."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.mix = torch.nn.Conv2d(3, 3, 3, padding=1)
        self.seen: list[torch.Tensor] = []
        self.times: list[torch.Tensor] = []

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        img_ids: torch.Tensor | None = None,
        added: dict[str, torch.Tensor] | None = None,
        scale: float = 1.0,
    ) -> tuple[torch.Tensor]:
        self.seen.append(sample)
        self.times.append(timestep)
        answer = self.mix(sample) * scale + timestep.view(-1, 1, 1, 1) / 1000
        if img_ids is not None:
            answer = answer + img_ids.sum()
        return (answer + added["text"].view(-1, 1, 1, 1) if added else answer,)


@pytest.fixture
def network() -> Network:
    return Network().requires_grad_(False)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("cell-")] == []


def noise(seed: int, width: int = 1, side: int = 5) -> torch.Tensor:
    return torch.randn(width, 3, side, side, generator=torch.Generator().manual_seed(seed))


def walk(network: Network, seed: int, *, steps: int = 3, width: int = 1, side: int = 5, **given: Any) -> Body:
    """A body like a pipeline: some calls of the network, each fed with the last answer."""

    def body(cell: CellThread) -> torch.Tensor:
        x = noise(seed, width, side)
        stand_in = twin(network, lambda *a, **k: cell.park(network, *a, **k))
        for step in range(steps):
            cell.events.append(step)
            x = torch.tanh(stand_in(x, torch.tensor(step * 10 + seed), **given)[0])
        return x

    return body


def run(lanes: list[list[tuple[str, Body]]], lane_width: int = 1) -> tuple[dict[str, Ended], Coalescer]:
    coalescer = Coalescer(lane_width)
    threads = [[CellThread(name, body) for name, body in lane] for lane in lanes]
    ended = {happening.name: happening for happening in coalescer.run(threads) if isinstance(happening, Ended)}
    assert ended.keys() == {name for lane in lanes for name, _ in lane}
    return ended, coalescer


def results(lanes: list[list[tuple[str, Body]]], lane_width: int = 1) -> dict[str, torch.Tensor]:
    ended, _ = run(lanes, lane_width)
    assert not [end.error for end in ended.values() if end.error]
    return {name: end.result for name, end in ended.items()}


def raises(text: str) -> Body:
    def body(_: CellThread) -> None:
        raise ValueError(text)

    return body


# slots


def test_calls_lie_in_the_last_slots_of_their_lane_and_empty_slots_repeat_a_live_row(network: Network) -> None:
    run([[("a", walk(network, 2, steps=1, width=2))], [], [("b", walk(network, 1, steps=1))]], lane_width=2)
    (rows,) = network.seen
    assert torch.equal(rows[:2], noise(2, 2))
    assert torch.equal(rows[5:], noise(1))
    assert all(torch.equal(rows[at], noise(2, 2)[0]) for at in (2, 3, 4))


def test_one_lane_passes_the_calls_own_rows_untouched(network: Network) -> None:
    ended, coalescer = run(
        [[("a", walk(network, 1, steps=2)), ("b", walk(network, 2, steps=1, width=2))]], lane_width=2
    )
    assert [len(rows) for rows in network.seen] == [1, 1, 2]
    assert (coalescer.tally.slots, coalescer.tally.rows) == (4, 4)
    x = noise(1)
    for time in (1, 11):
        x = torch.tanh(network(x, torch.tensor([float(time)]))[0])
    assert torch.equal(ended["a"].result, x)


def test_a_call_wider_than_its_lane_is_refused_and_never_laid_over_a_neighbour(network: Network) -> None:
    ended, _ = run([[("wide", walk(network, 1, width=2))], [("other", walk(network, 2))]], lane_width=1)
    assert str(ended["wide"].error) == "a call is wider than its lane"
    assert torch.equal(ended["other"].result, results([[], [("other", walk(network, 2))]])["other"])


def test_forwards_have_the_same_number_of_rows_to_the_end(network: Network) -> None:
    run(
        [[("a", walk(network, 1, steps=5))], [("b", walk(network, 2, steps=2))], [("c", walk(network, 3))]],
        lane_width=2,
    )
    assert {len(rows) for rows in network.seen} == {6}


# company


def test_company_order_and_restarts_change_no_byte(network: Network) -> None:
    def cells(*seeds: int) -> list[tuple[str, Body]]:
        return [(str(seed), walk(network, seed, steps=2 + seed % 3)) for seed in seeds]

    whole = results([cells(1, 2, 3), cells(4, 5), cells(6)])
    for lanes in ([cells(3, 1, 2), cells(5, 4), cells(6)], [cells(3), [], []], [[], cells(5), cells(6)]):
        assert all(torch.equal(whole[name], value) for name, value in results(lanes).items())


def test_a_rows_memory_layout_in_another_lane_changes_no_byte(network: Network) -> None:
    def strided(cell: CellThread) -> torch.Tensor:
        x = noise(1).to(memory_format=torch.channels_last)
        return cell.park(network, x, 5)[0]

    alone = results([[("a", strided)], []])["a"]
    assert torch.equal(alone, results([[("a", strided)], [("b", walk(network, 2))]])["a"])
    assert all(rows.is_contiguous() for rows in network.seen)


def test_other_kinds_of_calls_live_beside_and_change_no_byte(network: Network) -> None:
    alone = results([[("a", walk(network, 1))], [], []])["a"]
    other = Network().requires_grad_(False)
    lanes = [[("a", walk(network, 1))], [("b", walk(network, 2, side=7))], [("c", walk(other, 3))]]
    ended, coalescer = run(lanes)
    assert torch.equal(ended["a"].result, alone)
    assert (coalescer.tally.forwards, coalescer.tally.calls) == (9, 9)


# kinds


@pytest.mark.parametrize(
    ("one", "other", "forwards"),
    [
        ({"timestep": 5}, {"timestep": torch.tensor(7.0)}, 1),
        ({"timestep": torch.tensor(5)}, {"timestep": torch.tensor([7.0], dtype=torch.float64)}, 1),
        ({"scale": 1.0}, {"scale": 2.0}, 2),
        ({"added": {"text": torch.ones(1)}}, {"added": {"text": torch.zeros(1)}}, 1),
        ({"added": {"text": torch.ones(1)}}, {}, 2),
        ({"img_ids": torch.ones(4, 3)}, {"img_ids": torch.ones(4, 3)}, 1),
        ({"img_ids": torch.ones(4, 3)}, {"img_ids": torch.zeros(4, 3)}, 2),
        ({"img_ids": torch.ones(1, 3)}, {"img_ids": torch.zeros(1, 3)}, 2),
        ({"img_ids": torch.ones(4, 3)}, {"img_ids": torch.ones(5, 3)}, 2),
        ({"sample": noise(1)}, {"sample": noise(1).double().float()}, 1),
        ({"sample": noise(1)}, {"sample": noise(1, side=6)}, 2),
    ],
)
def test_calls_merge_exactly_when_they_are_of_one_kind(
    network: Network, one: dict[str, Any], other: dict[str, Any], forwards: int
) -> None:
    def once(given: dict[str, Any]) -> Body:
        return lambda cell: cell.park(network, **{"sample": noise(1), "timestep": 5} | given)[0]

    ended, coalescer = run([[("a", once(one))], [("b", once(other))]])
    assert coalescer.tally.forwards == forwards
    for name, given in (("a", one), ("b", other)):
        values = {"sample": noise(1), "timestep": 5} | given
        values["timestep"] = torch.as_tensor(values["timestep"]).float().reshape(1)
        assert torch.allclose(ended[name].result, network(**values)[0], atol=1e-6)


def test_positional_and_keyword_arguments_are_one_kind(network: Network) -> None:
    one = Call.read(network, [noise(1), 5], {})
    other = Call.read(network, [], {"timestep": torch.tensor(5), "sample": noise(1)})
    assert one.kind == other.kind
    assert one.width == other.width == 1


def test_timesteps_become_exact_float32_one_a_row() -> None:
    call = Call.read(Network(), [noise(1, width=2), torch.tensor(999, dtype=torch.int64)], {})
    (timestep,) = (leaf for leaf in call.leaves if torch.is_tensor(leaf) and leaf.ndim == 1)
    assert timestep.tolist() == [999.0, 999.0]
    assert timestep.dtype == torch.float32


def test_a_twin_shares_weights_and_class_but_no_hooks(network: Network) -> None:
    fired: list[int] = []
    network.register_forward_hook(lambda *_: fired.append(1))
    other = twin(network, lambda x: x + 1)
    assert isinstance(other, Network)
    assert other.mix.weight is network.mix.weight
    assert other(1) == 2
    assert fired == []
    network(noise(1), torch.zeros(1))
    assert fired == [1]


def test_a_merged_forward_fires_hooks_once_and_keeps_no_graph(network: Network) -> None:
    network.requires_grad_(True)
    fired: list[int] = []
    network.register_forward_hook(lambda *_: fired.append(1))
    answers: list[torch.Tensor] = []

    def body(cell: CellThread) -> None:
        answers.append(cell.park(network, noise(1), 0)[0])
        answers.append(cell.park(network, answers[0] * network.mix.weight.sum(), 1)[0])

    run([[("a", body)], [("b", body)]])
    assert len(fired) == 2
    assert [answer.requires_grad for answer in (*answers, *network.seen)] == [False] * 6


# order


def test_reports_come_in_order_before_the_end_and_ticks_between(network: Network) -> None:
    coalescer = Coalescer(1)
    happenings = list(coalescer.run([[CellThread("a", walk(network, 1, steps=2))]]))
    told = [h.event if isinstance(h, Reported) else type(h).__name__ for h in happenings]
    assert told == [0, 1, "NoneType", "Ended", "NoneType"]


def test_a_cell_that_never_calls_ends_and_its_lane_goes_on(network: Network) -> None:
    made = results([[("nothing", lambda _: 7), ("a", walk(network, 1))], [("also", lambda _: 8)]])
    assert (made["nothing"], made["also"]) == (7, 8)
    assert torch.equal(made["a"], results([[("a", walk(network, 1))], []])["a"])


def test_lanes_are_read_only_as_far_as_needed(network: Network) -> None:
    begun: list[int] = []

    def lane() -> Iterator[CellThread]:
        for seed in range(3):
            begun.append(seed)
            yield CellThread(str(seed), walk(network, seed, steps=1))

    happenings = Coalescer(1).run([lane()])
    next(happenings)
    assert begun == [0]
    happenings.close()


# failures


def late(network: Network, given: dict[str, Any]) -> Body:
    """One good call, then one as given."""

    def body(cell: CellThread) -> Any:
        cell.park(network, noise(9), 0)
        return cell.park(network, **{"sample": noise(9), "timestep": 0} | given)

    return body


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (lambda _: raises("callback is broken"), "callback is broken"),
        (lambda network: late(network, {"sample": torch.ones(1, 4, 5, 5)}), "to have 3 channels"),
        (lambda network: late(network, {"sample": torch.ones(1, 3)}), "Expected 3D"),
        (lambda network: late(network, {"added": {"words": torch.ones(1)}}), "'text'"),
        (lambda network: late(network, {"sample": 5}), "has no len"),
    ],
)
def test_a_cell_that_raises_fails_alone_and_the_others_bytes_are_unchanged(
    network: Network, bad: Callable[[Network], Body], reason: str
) -> None:
    def lanes(*broken: tuple[str, Body]) -> list[list[tuple[str, Body]]]:
        return [[("a", walk(network, 1, steps=4))], [*broken, ("b", walk(network, 2))], [("c", walk(network, 3))]]

    whole = results(lanes())
    ended, _ = run(lanes(("bad", bad(network))))
    assert reason in str(ended["bad"].error)
    assert ended["bad"].result is None
    assert all(torch.equal(whole[name], ended[name].result) for name in whole)


@pytest.mark.parametrize("culprits", [{2}, {0, 3}, {0, 1, 2, 3, 4}])
def test_culprits_of_a_broken_forward_are_found_by_halves(network: Network, culprits: set[int]) -> None:
    def lanes() -> list[list[tuple[str, Body]]]:
        return [[(str(seed), walk(network, seed, steps=2))] for seed in range(5)]

    whole = results(lanes())

    def breaks(_: Any, given: Any) -> None:
        if any(torch.equal(row, noise(seed)[0]) for row in given[0] for seed in culprits):
            raise RuntimeError("this row cannot be computed")

    network.register_forward_pre_hook(lambda module, _, given: breaks(module, [given["sample"]]), with_kwargs=True)
    ended, _ = run(lanes())
    assert {int(name) for name, end in ended.items() if end.error} == culprits
    assert all(torch.equal(whole[name], end.result) for name, end in ended.items() if not end.error)


def test_a_pipeline_may_catch_what_its_call_raises(network: Network) -> None:
    def patient(cell: CellThread) -> str:
        try:
            cell.park(network, torch.ones(1, 9, 5, 5), 0)
        except RuntimeError:
            return "went on"
        return "no error"

    assert results([[("a", patient)]])["a"] == "went on"


def test_out_of_memory_ends_the_run_and_every_cell(network: Network) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("9 GiB")

    network.register_forward_pre_hook(full)
    threads = [[CellThread(str(seed), walk(network, seed))] for seed in range(3)]
    with pytest.raises(torch.OutOfMemoryError, match="9 GiB"):
        list(Coalescer(1).run(threads))
    assert [lane[0].error for lane in threads] == [None] * 3


# stopping


def test_closing_ends_every_live_cell_even_one_that_catches_errors(network: Network) -> None:
    closed: list[str] = []

    def stubborn(cell: CellThread) -> None:
        try:
            while True:
                try:
                    cell.park(network, noise(1), 0)
                except Exception:  # noqa: BLE001  # as a careless pipeline would
                    continue
        finally:
            closed.append(cell.name)

    threads = [[CellThread(str(seed), stubborn)] for seed in range(3)]
    happenings = Coalescer(1).run(threads)
    for _ in range(3):
        next(happenings)
    happenings.close()
    assert sorted(closed) == ["0", "1", "2"]
    assert [lane[0].result for lane in threads] == [None] * 3


def test_an_exception_of_the_consumer_ends_every_live_cell(network: Network) -> None:
    def consume() -> None:
        for _ in Coalescer(1).run([[CellThread("a", walk(network, 1, steps=50))]]):
            raise KeyError("disk")

    with pytest.raises(KeyError):
        consume()


def test_nothing_is_held_after_the_run(network: Network) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def body(cell: CellThread) -> None:
        large = torch.ones(1, 3, 5, 5)
        held.append(weakref.ref(large))
        cell.park(network, large, 0, img_ids=large[0, 0])

    lanes = [[CellThread(str(seed), body)] for seed in range(3)]
    list(Coalescer(1).run(lanes))
    del lanes
    network.seen.clear()
    gc.collect()
    assert [reference() for reference in held] == [None] * 3
