"""Recipes of tiny checkpoints and what the engine answers. Knows nothing about what is expected of the answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import stock
import torch
from tiny import SIZE

from pipelines import schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics, decide
from pipelines.engine import Engine, Lanes
from pipelines.events import Event, Failed, Made
from pipelines.families import family_of
from pipelines.recipe import Recipe

DENOISERS = (diffusers.UNet2DConditionModel, diffusers.FluxTransformer2DModel)


def recipe(checkpoint: Checkpoint, mode: str = "text-to-image", scheduler: str = "euler", **changes: Any) -> Recipe:
    """A recipe that this checkpoint can make, three steps of Euler where not said otherwise."""
    given: dict[str, Any] = {
        "checkpoint": checkpoint.weights,
        "prompt": "a portrait, side light",
        "seed": 1,
        "width": SIZE,
        "height": SIZE,
        "steps": 3,
        "guidance": 4.0,
        "scheduler": schedulers.named(scheduler),
    }
    if mode != "text-to-image":
        given["start"] = {"image": "0" * 64, "strength": changes.pop("strength", 0.7)}
    if mode == "inpaint":
        given["mask"] = {"image": "1" * 64}
    made = Recipe.read(given | changes)
    family_of(checkpoint).check(made, checkpoint)
    return made


def numerics(checkpoint: Checkpoint, lanes: int, **asked: Any) -> Numerics:
    """As decided for a CPU, with so many lanes."""
    width = 2 if checkpoint.family == "sdxl" else 1
    asked = {"device": "cpu", "lanes": lanes} | asked
    return decide(family=checkpoint.family, pixels=SIZE**2, lane_width=width, cells=9, forwards=9, asked=asked)


def engine(checkpoint: Checkpoint, lanes: int = 1, *, previews: bool = False, **asked: Any) -> Engine:
    """An engine that gives every recipe the same start image and mask."""
    return Engine(checkpoint, numerics(checkpoint, lanes, **asked), images=stock.images, previews=previews)


def dealt(recipes: list[Recipe], lanes: int) -> Lanes:
    """Recipes dealt to the lanes in turn."""
    return [recipes[lane::lanes] for lane in range(lanes)]


def told(work: Engine, lanes: Lanes) -> list[Event]:
    """All events, with the rule that every cell ends exactly once."""
    events = list(work.run(lanes))
    ended = [event.key for event in events if isinstance(event, Made | Failed)]
    assert sorted(ended) == sorted(recipe.key for lane in lanes for recipe in lane)
    return events


def pictures(work: Engine, lanes: Lanes) -> dict[str, torch.Tensor]:
    """Pixels (height, width, 3) by key of the cells that did not fail."""
    return {event.key: torch.from_numpy(event.pixels) for event in told(work, lanes) if isinstance(event, Made)}


def reasons(events: list[Event]) -> dict[str, str]:
    """Why cells failed, by key."""
    return {event.key: event.reason for event in events if isinstance(event, Failed)}


@contextmanager
def answers(kinds: Any, change: Callable[[torch.Tensor, dict[str, Any]], torch.Tensor | None]) -> Iterator[None]:
    """Hand every answer of the networks of these classes, with the call's arguments, to `change`, which may replace it.

    Twins, which only stand in for a network, are left out.
    """

    def hook(module: Any, _: Any, arguments: dict[str, Any], output: Any) -> Any:
        if not isinstance(module, kinds) or "forward" in vars(module):
            return None
        first = output[0] if isinstance(output, tuple) else output
        other = change(first, arguments)
        if other is None:
            return None
        return (other, *output[1:]) if isinstance(output, tuple) else other

    handle = torch.nn.modules.module.register_module_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
