"""How much work a picture is, and how long a demo checkpoint takes for it. Knows nothing about earlier runs.

What was measured stands in `sweeps.speed` and in the sidecars; this is for before the first one.
"""

from collections.abc import Collection

from pipelines import listing, schedulers
from pipelines.families import FAMILIES
from pipelines.recipe import Recipe

DEMO_SECONDS = 0.1
"""Of one row's evaluation at 256 x 256 by a demo checkpoint on two CPU cores, by which a guess is made."""
DEMO_PIXELS = 256 * 256
WHERE = "on two CPU cores"


def work(recipe: Recipe) -> float:
    """Rows that are evaluated for it, over all steps."""
    family = FAMILIES[recipe.checkpoint.family]
    return schedulers.evaluations_of(recipe) * family.rows(recipe) * family.calls(recipe)


def demo_seconds(recipes: Collection[Recipe]) -> float | None:
    """A guess for demo checkpoints, which run the same everywhere; None if there is any other."""
    demos = {name for name, row in listing.rows().items() if row.source.kind == "demo"}
    if not {recipe.checkpoint.name for recipe in recipes} <= demos:
        return None
    return sum(work(recipe) * recipe.width * recipe.height for recipe in recipes) / DEMO_PIXELS * DEMO_SECONDS
