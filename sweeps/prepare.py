"""From a Sweep to a run that could start: cells, numerics, plan. Writes nothing, loads no weights.

Knows nothing about how pictures are made. What an existing run folder says (its numerics, its lanes) is kept.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_args

from pipelines import quantisation
from pipelines.checkpoint import Checkpoint, find
from pipelines.device import Numerics, decide, honour, torch_device
from pipelines.draft import Draft, Settled, settle
from pipelines.errors import InputError, NumericsError
from pipelines.families import family_of
from pipelines.files import DISK, Files
from pipelines.frozen import Frozen
from pipelines.memory import frames
from pipelines.recipe import FamilyName, Recipe
from pipelines.room import Kind, Room, room
from sweeps.axes import KINDS, Axis
from sweeps.inputs import INPUTS, Inputs
from sweeps.plan import Cells, Plan, cells, extend, from_lines
from sweeps.sweep import Sweep, read_toml

SWEEP, PLAN, NUMERICS = "sweep.toml", "plan.jsonl", "numerics.json"


class RunNumerics(Frozen):
    """`numerics.json`: what the run was planned with (its lanes are the plan's), and what it goes on with.

    They differ when memory ran out on the way: the same lanes are then laid together.
    """

    planned: Numerics
    now: Numerics


@dataclass(frozen=True)
class AskedFor:
    """What a sweep means: its cells, the checkpoints they need, and the images they name."""

    cells: Cells
    checkpoints: Mapping[str, Checkpoint]
    """By the identity of their weights."""
    images: Inputs


@dataclass(frozen=True)
class Prepared:
    """A run that could start. `images` are those that its drafts name."""

    folder: Path
    sweep: Sweep
    cells: Cells
    plan: Plan
    numerics: RunNumerics
    checkpoints: Mapping[str, Checkpoint]
    """By the identity of their weights."""
    images: Inputs = field(default_factory=Inputs)

    @property
    def keys(self) -> frozenset[str]:
        """Keys of the cells that the sweep asks for; the plan may hold more, from an earlier version of the sweep."""
        return frozenset(cell.recipe.key for cell in self.cells.cells)

    @property
    def recipes(self) -> Mapping[str, Recipe]:
        """The cells' recipes by key."""
        return {cell.recipe.key: cell.recipe for cell in self.cells.cells}


def prepare(
    sweep: Sweep,
    folder: Path,
    *,
    asked: Mapping[str, Any],
    new_numerics: bool = False,
    lookup: Callable[[str], Checkpoint] = find,
    files: Files = DISK,
    look: Callable[[Kind], Room] = room,
) -> Prepared:
    """Settle every cell and lay the plan; an existing run in `folder` keeps its numerics and every cell's lane.

    `asked` overrides numerics by field name; `look` tells what memory is free. Raises SweepError, CheckpointError,
    NumericsError.
    """
    asked_for = ask(sweep, lookup)
    wanted, checkpoints = asked_for.cells, asked_for.checkpoints
    width = max(family_of(checkpoints[cell.recipe.checkpoint.identity]).rows(cell.recipe) for cell in wanted.cells)
    numerics = None if new_numerics else _kept_numerics(folder, asked, files)
    if numerics is None:
        fresh = _decided(wanted, width, asked, checkpoints, look)
        numerics = RunNumerics(planned=fresh, now=fresh)
        plan = Plan(fresh.lanes, fresh.lane_width)
    elif width > numerics.planned.lane_width:
        raise NumericsError(
            "this run was planned without guidance, one row a picture, and now asks for two; start another run with "
            "--out, or give --new-numerics (new pictures are marked)"
        )
    else:
        plan = _kept_plan(folder, numerics.planned, files)
    for checkpoint in checkpoints.values():
        quantisation.check(checkpoint.quantisation, torch_device(numerics.now))
    return Prepared(folder, sweep, wanted, extend(plan, wanted), numerics, checkpoints, asked_for.images)


def ask(sweep: Sweep, lookup: Callable[[str], Checkpoint] = find) -> AskedFor:
    """Settle every cell of a sweep; asks nothing of this machine's devices. Raises SweepError, CheckpointError."""
    lookup = cache(lookup)
    checkpoints: dict[str, Checkpoint] = {}
    images = Inputs()

    def settled(draft: Draft) -> Settled:
        checkpoint = lookup(draft.checkpoint)
        checkpoints[checkpoint.weights.identity] = checkpoint
        return settle(draft, checkpoint, images)

    wanted = cells(sweep, settled)
    return AskedFor(wanted, checkpoints, images)


def self_contained(sweep: Sweep, images: Inputs) -> Sweep:
    """The sweep with its images called by their copies in the run folder, so that the folder is all that is needed."""
    copies = {str(path): f"{INPUTS}/{content}.png" for path, content in images.files.items()}

    def copied(field: str, value: Any) -> Any:
        return copies.get(value, value) if KINDS[field] in ("path", "mask") else value

    base = sweep.base
    axes = [
        axis.but(values=tuple(tuple(map(copied, axis.fields, step)) for step in axis.values))
        if isinstance(axis, Axis)
        else axis
        for axis in sweep.axes
    ]
    named = {field: copied(field, base.value(field)) for field, kind in KINDS.items() if kind in ("path", "mask")}
    return sweep.but(base=base.but(**named), axes=tuple(axes))


def run_folder(runs: Path, sweep: Sweep, today: str) -> Path:
    """Where this sweep's run lies in `runs`: the newest one of its name, else `<today>-<name>`; today as YYYY-MM-DD."""
    slug = re.sub(r"[^a-z0-9]+", "-", sweep.name.lower()).strip("-")[:60] or "sweep"
    named = re.compile(rf"\d{{4}}-\d\d-\d\d-{re.escape(slug)}")
    found = sorted(path for path in runs.glob(f"*-{slug}") if named.fullmatch(path.name) and path.is_dir())
    return found[-1] if found else runs / f"{today}-{slug}"


def reopen(folder: Path, *, lookup: Callable[[str], Checkpoint] = find) -> Prepared:
    """The run that lies in a folder, as it was last asked for; raises InputError if there is none."""
    if not (folder / SWEEP).is_file():
        raise InputError(f"{folder} is no run folder (it holds no {SWEEP}); give the folder that a sweep wrote")
    return prepare(read_toml(folder / SWEEP), folder, asked={}, lookup=lookup)


def _decided(
    wanted: Cells,
    lane_width: int,
    asked: Mapping[str, Any],
    checkpoints: Mapping[str, Checkpoint],
    look: Callable[[Kind], Room],
) -> Numerics:
    recipes = [cell.recipe for cell in wanted.cells]
    families = {recipe.checkpoint.family for recipe in recipes}
    return decide(
        family=next(name for name in get_args(FamilyName) if name in families),  # the one that gains by most lanes
        pixels=max(recipe.width * recipe.height for recipe in recipes),
        lane_width=lane_width,
        cells=len(recipes),
        forwards=sum(cell.work.evaluations for cell in wanted.cells),
        asked=asked,
        can_compile=not any(recipe.loras or recipe.checkpoint.quantisation for recipe in recipes),
        frames=frames(recipes, checkpoints),
        look=look,
    )


def _kept_numerics(folder: Path, asked: Mapping[str, Any], files: Files) -> RunNumerics | None:
    if files.size(folder / NUMERICS) is None:
        return None
    try:
        kept = RunNumerics.read(json.loads(files.read(folder / NUMERICS)))
    except (ValueError, TypeError):
        raise NumericsError(
            f"{folder / NUMERICS} cannot be read; give --new-numerics (new pictures are marked)"
        ) from None
    for name, value in asked.items():
        had = {"cpu": "cpu", "mps": "mps"}.get(kept.now.device, "cuda") if name == "device" else getattr(kept.now, name)
        if value is not None and had != value:
            raise NumericsError(
                f"this run was planned with {name} {had}, not {value}; leave it out, or give --new-numerics "
                "(new pictures are marked)"
            )
    honour(kept.now)
    return kept


def _kept_plan(folder: Path, numerics: Numerics, files: Files) -> Plan:
    lines: list[str] = []
    if files.size(folder / PLAN) is not None:
        lines = files.read(folder / PLAN).decode().splitlines()
    return from_lines(lines, lanes=numerics.lanes, lane_width=numerics.lane_width)
