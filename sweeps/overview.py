"""A run as a grid for people: which cell is done, failed or waiting, with its values in words.

Knows nothing about how it is drawn (`sweeps.report`) or made (`sweeps.run`).
"""

from collections.abc import Mapping
from types import MappingProxyType

from pipelines.prompts import Light, described
from pipelines.recipe import Recipe
from pipelines.store import Sidecar
from sweeps.grid import Grid, GridAxis, GridCell, State
from sweeps.marks import Mark
from sweeps.plan import Cell
from sweeps.prepare import Prepared
from sweeps.ranges import label

NO_MARKS: Mapping[str, Mark] = MappingProxyType({})


def grid_of(
    prepared: Prepared, done: Mapping[str, Sidecar], failed: Mapping[str, str], marks: Mapping[str, Mark] = NO_MARKS
) -> Grid:
    """The grid of a run: `done` holds the sidecars of whole pictures, `failed` the reasons, `marks` by key too."""
    axes = tuple(GridAxis(axis.name, axis.labels) for axis in prepared.sweep.axes)
    cells = [
        _cell(cell, place, prepared, done, failed, marks.get(cell.recipe.key))
        for cell in prepared.cells.cells
        for place in cell.places
    ]
    names = ", ".join(sorted({cell.recipe.checkpoint.name for cell in prepared.cells.cells}))
    count = f"{len(prepared.keys)} pictures"
    return Grid(
        prepared.sweep.name, f"{names} · {count}", axes, tuple(sorted(cells, key=lambda cell: cell.place[::-1]))
    )


def _cell(
    cell: Cell,
    place: tuple[int, ...],
    prepared: Prepared,
    done: Mapping[str, Sidecar],
    failed: Mapping[str, str],
    mark: Mark | None,
) -> GridCell:
    key = cell.recipe.key
    sidecar = done.get(key)
    state: State = "done" if sidecar else "failed" if key in failed else "waiting"
    warnings = list(sidecar.facts.warnings if sidecar else cell.warnings)
    if sidecar and sidecar.numerics.digest != prepared.numerics.planned.digest:
        warnings.append("made with other numerics than the run was planned with; do not compare fine detail")
    return GridCell(
        place=place,
        key=key,
        picture=f"pictures/{key}.png" if sidecar else None,
        state=state,
        reason=failed.get(key, "") if state == "failed" else "",
        values=(*values_of(cell.recipe, cell.light), *_facts(sidecar), *_marked(mark)),
        warning="; ".join(warnings),
    )


def values_of(recipe: Recipe, light: Light | None = None) -> tuple[tuple[str, str], ...]:
    """A recipe's values as (name, text) for people; what is at its neutral value is left out."""
    values: list[tuple[str, str]] = [
        ("checkpoint", recipe.checkpoint.name or recipe.checkpoint.digest[:12]),
        *([("light", described(light))] if light else []),
        ("prompt", recipe.prompt),
    ]
    if recipe.negative is not None:
        values.append(("negative", recipe.negative or "(empty text)"))
    options = "".join(f" {name}={value}" for name, value in recipe.scheduler.options)
    values += [
        ("guidance", label(recipe.guidance)),
        ("steps", str(recipe.steps)),
        ("scheduler", recipe.scheduler.name + options),
        ("seed", str(recipe.seed)),
        ("size", "{} x {}".format(*recipe.size)),
    ]
    for name in ("true_guidance", "guidance_interval", "spacing", "clip_skip", "text_tokens", "variation"):
        value = getattr(recipe, name)
        if value != type(recipe).model_fields[name].default:
            values.append((name, label(value)))
    if recipe.checkpoint.quantisation:
        values.append(("quantisation", recipe.checkpoint.quantisation))
    values += [("LoRA", f"{lora.name or lora.file[:12]} {label(lora.weight)}") for lora in recipe.loras]
    if recipe.start:
        values += [("mode", recipe.mode), ("strength", label(recipe.start.strength))]
    if crop := recipe.crop:
        where = f"{crop.width} x {crop.height} at {crop.left}, {crop.top}"
        values.append(("repaired", f"{where}, worked on at {recipe.width} x {recipe.height}"))
    values += [
        ("reference", f"{reference.role} by {reference.mechanism}, weight {label(reference.weight)}")
        for reference in recipe.references
    ]
    return tuple(values)


def _facts(sidecar: Sidecar | None) -> tuple[tuple[str, str], ...]:
    if sidecar is None:
        return ()
    facts = sidecar.facts
    begins = "" if facts.first_timestep is None else f"{facts.first_timestep:.1f}, sigma {facts.first_sigma:.3f}"
    told = [("network calls", str(facts.evaluations)), ("first timestep", begins)]
    if proof := facts.proof:
        told.append(("outside the mask", f"{proof.changed_outside} of {proof.outside} samples changed"))
    told += [("reference", pull.verdict) for pull in facts.pull]
    return tuple(told)


def _marked(mark: Mark | None) -> tuple[tuple[str, str], ...]:
    return (("mark", mark.text),) if mark and mark.text else ()
