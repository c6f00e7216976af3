"""Opens the real engine for a run; the one module of the workbench that loads torch. Knows nothing about commands."""

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.engine import Engine
from pipelines.families.base import Images
from pipelines.recipe import Recipe
from pipelines.store import Store


def open_engine(checkpoint: Checkpoint, numerics: Numerics, store: Store) -> Engine:
    """An engine whose start images and masks come from the run's inputs."""

    def images(recipe: Recipe) -> Images:
        start = store.input(recipe.start.image).convert("RGB") if recipe.start else None
        mask = store.input(recipe.mask.image).convert("L") if recipe.mask else None
        return Images(start, mask)

    return Engine(checkpoint, numerics, images=images)
