"""A run as flat rows, one a picture: recipe, facts, marks and measures side by side, for pandas, CSV and plots.

Knows nothing about who reads them; `pandas.DataFrame(rows(run))` is a frame.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipelines.errors import InputError
from pipelines.files import DISK, Files
from pipelines.skin_measures import MEASURES
from pipelines.store import Sidecar, Store
from sweeps import marks, measure
from sweeps.marks import Mark
from sweeps.measure import CellMeasures
from sweeps.ranges import label

Row = dict[str, int | float | str | None]
RECIPE = (
    "prompt", "negative", "seed", "width", "height", "steps", "guidance", "true_guidance", "clip_skip", "text_tokens",
    "variation",
)  # fmt: skip
"""Fields that are a column as they stand."""


def rows(run: Path | str, files: Files = DISK) -> tuple[Row, ...]:
    """Every picture of a run folder that has its sidecar, in the order of their keys; what was not measured is None.

    A column a field of the recipe (img2img: `strength`), `first_sigma`, `evaluations`, `seconds`, `device`, `date`,
    `stars`, `pick`, `eye_distance` in pixels, and one a measure, in the units of `pipelines.skin_measures.MEASURES`.
    """
    folder = Path(run).expanduser()
    store = Store(folder, files)
    measured, marked = measure.read(folder, files), marks.read(folder, files)
    return tuple(_row(each, marked.get(each.key), measured.get(each.key)) for each in _sidecars(store))


def _sidecars(store: Store) -> Iterator[Sidecar]:
    """What is known of every picture; one whose sidecar is damaged is made again by the next run."""
    keys = store.keys()
    for key in keys:
        with suppress(InputError):
            yield store.sidecar(key)


def _row(sidecar: Sidecar, mark: Mark | None, measures: CellMeasures | None) -> Row:
    recipe, facts, circumstances = sidecar.recipe, sidecar.facts, sidecar.circumstances
    return {
        "key": sidecar.key,
        "checkpoint": recipe.checkpoint.name,
        "family": recipe.checkpoint.family,
        **{name: getattr(recipe, name) for name in RECIPE},
        "guidance_interval": label(recipe.guidance_interval),
        "scheduler": recipe.scheduler.name,
        "spacing": recipe.spacing,
        "strength": recipe.start.strength if recipe.start else None,
        "loras": "+".join(f"{lora.name or lora.file[:12]}:{label(lora.weight)}" for lora in recipe.loras),
        "light": facts.light.name if facts.light else "",
        "first_sigma": facts.first_sigma,
        "evaluations": facts.evaluations,
        "seconds": circumstances.seconds.get("made"),
        "device": circumstances.device,
        "date": circumstances.date,
        "stars": mark.stars if mark else 0,
        "pick": mark.pick if mark else "none",
        "eye_distance": measures.eye_distance if measures else None,
        **{each.name: measures.value(each.name) if measures else None for each in MEASURES},
    }
