"""Every scheduler of every family, merged in four lanes, against the stock pipelines one by one, in float32."""

from typing import Any

import pytest
import stock
import torch
from making import dealt, engine, recipe, told
from tiny import tiny_checkpoint

from pipelines import schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.events import Failed, Made
from pipelines.recipe import Recipe

pytestmark = pytest.mark.filterwarnings("ignore:Should have t:UserWarning")  # torchsde rounds its ends to float32
BOUND = 2e-5  # of the widest pixel; the worst seen is 3e-6, from sums in another order
VARIANTS = ("-karras", "-exponential", "-beta")
PROMPTS = ("a portrait, side light", "skin, 85mm", "a face")


def places(family: str) -> list[tuple[str, str]]:
    """(scheduler, mode): every one there is, but a scheduler's noise schedules take turns at the modes."""
    found = []
    for at, row in enumerate(schedulers.rows()):
        modes = dict(row.modes).get(family, ())
        if row.name.endswith(VARIANTS):
            modes = modes[at % 3 :][:1] or modes[:1]
        found += [(row.name, mode) for mode in modes]
    return sorted(found, key=lambda place: place[1])  # on FLUX.2 inpainting has more tokens and never shares a forward


def mixed(checkpoint: Checkpoint) -> list[Recipe]:
    """Cells that differ in everything that can differ within one run."""
    cells = []
    for at, (scheduler, mode) in enumerate(places(checkpoint.family)):
        values: dict[str, Any] = {"prompt": PROMPTS[at % 3], "seed": at, "steps": 3 + at % 2}
        if mode != "text-to-image":
            values["strength"] = (0.7, 0.9)[at % 2]
        if checkpoint.family == "sdxl":
            values |= {"guidance": (1.0, 4.0, 7.5)[at % 3], "negative": (None, "plastic")[at % 2]}
        elif checkpoint.family == "flux2":
            values |= {"guidance": (1.0, 4.0, 2.5)[at % 3]} | ({"negative": "plastic"} if at % 3 == 1 else {})
        else:
            values |= {"guidance": float(at % 4)} | ({"negative": "", "true_guidance": 2.5} if at % 3 == 0 else {})
        cells.append(recipe(checkpoint, mode, scheduler, **values))
    return cells


@pytest.mark.parametrize("family", ["sdxl", "flux", "flux2"])
def test_merged_equals_stock_cell_by_cell_for_every_scheduler_and_mode(family: str, tmp_path: Any) -> None:
    checkpoint = tiny_checkpoint(family, tmp_path)
    cells = mixed(checkpoint)
    work = engine(checkpoint, lanes=4)
    events = told(work, dealt(cells, 4))
    assert not [event for event in events if isinstance(event, Failed)]
    made = {event.key: event for event in events if isinstance(event, Made)}
    far: dict[str, float] = {}
    for cell in cells:
        expected = stock.picture(checkpoint.folder, cell, output="pt")[0].permute(1, 2, 0)
        assert expected.std() > 0.01, "a flat picture proves nothing"
        difference = (torch.from_numpy(made[cell.key].pixels) - expected).abs().max() / expected.abs().max()
        far[f"{cell.scheduler.name} {cell.mode}"] = float(difference)
    assert max(far.values()) < BOUND, max(far, key=far.__getitem__)
    assert work.tally.calls == sum(event.evaluations for event in made.values())
    assert work.tally.forwards < 0.35 * work.tally.calls
