"""A run of 200 cells that is made cell by cell as its user asks, without weights: for figures of a grid.

Knows nothing about what is measured.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.draft import Draft
from pipelines.events import Event, Made, Stepped, Ticked
from pipelines.recipe import Recipe
from sweeps.axes import Axis
from sweeps.plan import plan_of
from sweeps.prepare import Prepared, RunNumerics, ask
from sweeps.sweep import Sweep
from tests.small import numerics


class Easel:
    """Stands for an engine: a picture at once, and no next one before this one is kept."""

    def __init__(self) -> None:
        self.numerics = numerics()
        self.kept: set[str] = set()

    def run(self, lanes: Any) -> Iterator[Event]:
        """Cell after cell, each as the real engine tells it."""
        for recipe in (each for lane in lanes for each in lane):
            yield Stepped(recipe.key, 1, 1)
            yield Made(recipe.key, _pixels(recipe), 999.0, 14.6, 3, self.numerics, 0, 0.1)
            while recipe.key not in self.kept:
                time.sleep(0.001)
                yield Ticked()


def _pixels(recipe: Recipe) -> np.ndarray:
    down, across = np.mgrid[: recipe.height, : recipe.width]
    light = (0.3 * recipe.guidance * across / recipe.width + recipe.steps / 40 * down / recipe.height) % 1.0
    grain = np.random.default_rng(recipe.steps).normal(0, 0.02, light.shape)
    return np.repeat(np.clip(light + grain, 0, 1)[..., None], 3, axis=2).astype(np.float32)


def grid_of_200(folder: Path) -> Prepared:
    """A run of guidance x steps of the demo checkpoint, to be made by the easel."""
    sweep = Sweep.over(
        "grid of 200",
        Draft(checkpoint="demo-sdxl", prompt="a portrait, side light"),
        axes=[
            Axis(fields=("guidance",), values=tuple((1 + number / 10,) for number in range(1, 21))),
            Axis(fields=("steps",), values=tuple((steps,) for steps in range(6, 16))),
        ],
    )
    asked, kept = ask(sweep), numerics(lanes=1)
    plan = plan_of(asked.cells, lanes=kept.lanes, lane_width=kept.lane_width)
    return Prepared(folder, sweep, asked.cells, plan, RunNumerics(planned=kept, now=kept), asked.checkpoints)
