"""Guidance in a part of the steps, with a network that only counts."""

from typing import Any

import pytest
import torch

from pipelines.guidance import within


class Counting:
    """Answers every row with its mean times the number of the call; remembers widths."""

    def __init__(self) -> None:
        self.widths: list[int] = []

    def __call__(self, sample: torch.Tensor, timestep: Any, *, added: dict[str, torch.Tensor] | None = None) -> Any:
        self.widths.append(len(sample))
        assert added is None or len(added["text"]) == len(sample)
        return (sample * len(self.widths),)


def pair() -> torch.Tensor:
    return torch.stack([torch.zeros(3), torch.ones(3)])


@pytest.mark.parametrize(
    ("interval", "widths"),
    [
        ((0.0, 1.0), [2, 2, 2, 2]),
        ((0.0, 0.5), [2, 2, 1, 1]),
        ((0.5, 1.0), [1, 1, 2, 2]),
        ((0.25, 0.75), [1, 2, 2, 1]),
        ((0.0, 0.1), [2, 1, 1, 1]),
        ((0.3, 0.45), [1, 1, 1, 1]),
    ],
)
def test_the_unconditional_row_is_computed_only_inside(interval: tuple[float, float], widths: list[int]) -> None:
    network = Counting()
    forward = within(interval, network, evaluations=4, rows=2)
    for _ in widths:
        answer = forward(pair(), torch.tensor(5.0), added={"text": torch.zeros(2, 4)})[0]
        assert answer.shape == (2, 3)
    assert network.widths == widths


def test_outside_both_halves_are_the_conditional_answer_so_that_guidance_does_nothing() -> None:
    forward = within((0.0, 0.5), Counting(), evaluations=2, rows=2)
    inside, outside = (forward(pair(), torch.tensor(5.0))[0] for _ in range(2))
    assert torch.equal(inside, pair())
    unconditional, conditional = outside
    assert torch.equal(unconditional + 7.5 * (conditional - unconditional), torch.full((3,), 2.0))


def test_a_tensor_without_rows_is_passed_as_it_is() -> None:
    seen: list[Any] = []

    def network(sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        seen.append((len(sample), timestep))
        return sample

    within((0.0, 0.5), network, evaluations=1, rows=2)(pair(), torch.tensor(5.0))
    within((0.5, 1.0), network, evaluations=1, rows=2)(pair(), torch.tensor(5.0))
    assert seen == [(2, torch.tensor(5.0)), (1, torch.tensor(5.0))]


@pytest.mark.parametrize(
    ("interval", "calls"), [((0.0, 1.0), 8), ((0.0, 0.5), 6), ((0.5, 1.0), 6), ((0.25, 0.5), 5), ((0.3, 0.45), 4)]
)
def test_with_two_calls_an_evaluation_the_second_is_left_out_outside(interval: tuple[float, float], calls: int) -> None:
    network = Counting()
    forward = within(interval, network, evaluations=4, rows=1)
    for at in range(4):
        conditional = forward(torch.ones(1, 3), 5)[0]
        negative = forward(torch.full((1, 3), 100.0), 5)[0]
        is_inside = interval[0] <= at / 4 < interval[1]
        assert torch.equal(conditional, negative) != is_inside
    assert len(network.widths) == calls
