"""Adds cells to a sweep: exactly those that its findings ask for, in the grammar there is. Knows nothing about pixels.

Axes get the new values, a field that was constant becomes an axis, and `where` keeps the old cells and the new ones.
What is asked of an old cell stays as it was, so its key does too.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from pipelines import draft as drafts
from pipelines import schedulers
from pipelines.checkpoint import Checkpoint, find
from pipelines.draft import LIGHT, Draft, Settled
from pipelines.errors import InputError, SweepError
from sweeps.axes import KINDS, Axis, Replace, read_values, write_values
from sweeps.findings import Addition
from sweeps.inputs import Inputs
from sweeps.plan import Settle
from sweeps.ranges import Value
from sweeps.refine_words import Indices, in_words
from sweeps.sweep import Place, Sweep, expand
from sweeps.where import LONGEST, Values, condition, values_of

WORDED = ("prompt", "negative", "subject", "light")
"""Fields that an axis of words varies, beside `light.NAME`."""
Asked = dict[str, tuple[Value, ...]]
"""Values by field, or by the name of an axis that replaces words."""
Step = tuple[Value, ...]
Point = tuple[Step, ...]
"""A cell: its step on every axis."""


class _Kept(NamedTuple):
    """A place of the sweep that its conditions keep, with what conditions see there."""

    place: Place
    values: Values
    settled: Settled | None


def within(
    additions: Sequence[Addition], budget: int, *, missing: Callable[[Addition], int] | None = None
) -> tuple[Addition, ...]:
    """As many of the additions as `budget` cells allow, in their order; the one that does not fit whole is cut.

    Coarse first: of numbers the ends stay longest and what lies evenly between them; seeds are cut last, because
    nothing is found from one. `missing` tells how many cells of an addition are not there; without it, a part of one
    counts as if none of it were.
    """
    chosen: list[Addition] = []
    left = budget
    for addition in additions:
        part = _cut(addition, left, missing or _at_most(addition))
        if part is not None:
            chosen.append(part)
            left -= part.count
    return tuple(chosen)


def added(sweep: Sweep, additions: Sequence[Addition], *, settle: Settle | None = None) -> Sweep:
    """The sweep with these cells and no others beside its own; itself if it holds them all.

    A field that an addition does not name is taken from the sweep's base. `settle` tells what the base leaves to the
    checkpoint, or what words a light writes. Raises SweepError for cells that the sweep's grammar cannot tell apart.
    """
    if not additions:
        return sweep
    fresh, before, asked = _compared(sweep, additions, _kept(sweep, settle), settle)
    if asked.keys() <= before.keys():
        return sweep
    points = [*before, *asked]
    axes = _widened(sweep, fresh, points)
    wide = Sweep.over(sweep.name, sweep.base, axes=[axis for axis in axes if axis is not None])
    places = [{step: at for at, step in enumerate(axis.values)} if axis else None for axis in axes]
    wanted = {tuple(at[step] for at, step in zip(places, point, strict=True) if at is not None) for point in points}
    return _conditioned(wide, wanted, settle, before=sweep)


def missing_in(sweep: Sweep, *, settle: Settle | None = None) -> Callable[[Addition], int]:
    """Counts the cells of an addition that the sweep does not hold, for `within`; raises what `added` raises."""
    old = _kept(sweep, settle)

    def missing(addition: Addition) -> int:
        _, before, asked = _compared(sweep, [addition], old, settle)
        return len(asked.keys() - before.keys())

    return missing


def settling(lookup: Callable[[str], Checkpoint] = find) -> Settle:
    """What a draft means, for `added`: each checkpoint is looked up, each image read, each draft settled once."""
    known, images = cache(lookup), Inputs()
    return cache(lambda draft: drafts.settle(draft, known(draft.checkpoint), images))


# ---- what is asked


def _asked(sweep: Sweep, addition: Addition, old: Sequence[_Kept]) -> list[Asked]:
    """An addition as this sweep writes it: once for each prompt, where axes of words make the prompts."""
    asked: Asked = {}
    scenes: list[Asked] = [{}]
    for field, values in addition.values:
        if field not in KINDS or not values:
            raise SweepError(f"{field} is no field with values to add; allowed: {', '.join(KINDS)}")
        if field == "prompt" and _is_written_otherwise(sweep):
            scenes = [_scene(sweep, value, old) for value in values]
        else:
            asked[field] = tuple(dict.fromkeys(_as_written(sweep, field, value, old) for value in values))
    return [asked | scene for scene in scenes]


def _is_written_otherwise(sweep: Sweep) -> bool:
    return sweep.base.light is not None or any(isinstance(axis, Replace) for axis in sweep.axes)


def _scene(sweep: Sweep, prompt: Value, old: Sequence[_Kept]) -> Asked:
    """The values of light, subject and replaced words under which a cell of the sweep had this prompt."""
    place = next((each.place for each in old if each.values["prompt"] == prompt), None)
    if place is None:
        raise SweepError(f"no cell of this sweep has the prompt {str(prompt)[:60]!r}; add words by hand")
    scene: Asked = {}
    for axis, at in zip(sweep.axes, place.indices, strict=True):
        fields = (axis.name,) if isinstance(axis, Replace) else axis.fields
        if isinstance(axis, Replace) or any(field in WORDED or field.startswith(LIGHT) for field in fields):
            scene |= {field: (value,) for field, value in zip(fields, axis.values[at], strict=True)}
    return scene


def _as_written(sweep: Sweep, field: str, value: Value, old: Sequence[_Kept]) -> Value:
    """The sweep's own spelling of a value where it has one that means the same."""
    if field == "checkpoint":
        named = {each.settled.recipe.checkpoint.name: each.place.draft.checkpoint for each in old if each.settled}
        return named.get(str(value), value)
    (read,) = read_values(field, write_values(field, [value]))
    if field == "scheduler":
        written = {schedulers.named(each): each for each in map(str, _column(sweep, field))}
        return written.get(schedulers.named(str(read)), read)
    return read


def _column(sweep: Sweep, field: str) -> list[Value]:
    """What the sweep says of a field, without what is left to the checkpoint."""
    for axis in sweep.axes:
        if isinstance(axis, Axis) and field in axis.fields:
            at = axis.fields.index(field)
            return [step[at] for step in axis.values]
    value = sweep.base.value(field)
    return [] if value is None else [value]


# ---- cells


def _compared(
    sweep: Sweep, additions: Sequence[Addition], old: Sequence[_Kept], settle: Settle | None
) -> tuple[list[str], dict[Point, None], dict[Point, None]]:
    """The fields that are no axis yet, the sweep's own cells in their order, and those that are asked for."""
    asked = [each for addition in additions for each in _asked(sweep, addition, old)]
    fresh = _fresh_fields(sweep, asked)
    before = dict.fromkeys(_point(sweep, each, fresh, settle) for each in old)
    return fresh, before, dict.fromkeys(point for each in asked for point in _points(sweep, each, fresh, settle))


def _kept(sweep: Sweep, settle: Settle | None) -> list[_Kept]:
    keep, drop = (condition(text) if text else None for text in (sweep.where, sweep.skip))
    seen = [_seen(place, settle) for place in expand(sweep)]
    return [
        each for each in seen if (keep is None or keep.holds(each.values)) and not (drop and drop.holds(each.values))
    ]


def _seen(place: Place, settle: Settle | None) -> _Kept:
    settled = None
    if settle is not None:
        try:
            settled = settle(place.draft)
        except InputError:  # it cannot be made; conditions see what its draft says, as in `sweeps.plan`
            settled = None
    return _Kept(place, values_of(place.draft, settled), settled)


def _fresh_fields(sweep: Sweep, asked: Sequence[Asked]) -> list[str]:
    """The constant fields that the additions name; the seed is the last of them, so that it runs down."""
    varied = {field for axis in sweep.axes for field in ([axis.name] if isinstance(axis, Replace) else axis.fields)}
    named = dict.fromkeys(field for each in asked for field in each if field not in varied)
    return sorted(named, key=lambda field: field == "seed")


def _point(sweep: Sweep, kept: _Kept, fresh: Sequence[str], settle: Settle | None) -> Point:
    steps = [axis.values[at] for axis, at in zip(sweep.axes, kept.place.indices, strict=True)]
    return (*steps, *((_said(kept.place.draft, field, settle),) for field in fresh))


def _points(sweep: Sweep, asked: Asked, fresh: Sequence[str], settle: Settle | None) -> Iterator[Point]:
    """Every cell that an addition means."""
    columns: list[list[Step]] = []
    for axis in sweep.axes:
        fields = (axis.name,) if isinstance(axis, Replace) else axis.fields
        each = [asked.get(field, (axis.values[0][at],)) for at, field in enumerate(fields)]
        columns.append(list(itertools.product(*each)))
    for steps in itertools.product(*columns):
        draft = sweep.base.with_values(_changes(sweep.axes, steps))
        for values in itertools.product(*(asked.get(field) or (_said(draft, field, settle),) for field in fresh)):
            yield (*steps, *((value,) for value in values))


def _changes(axes: Sequence[Axis | Replace], steps: Sequence[Step]) -> dict[str, Value]:
    return {
        field: value
        for axis, step in zip(axes, steps, strict=True)
        if isinstance(axis, Axis)
        for field, value in zip(axis.fields, step, strict=True)
    }


def _said(draft: Draft, field: str, settle: Settle | None) -> Value:
    """What a draft says of a field, or what its checkpoint makes of it; raises SweepError where nothing can be said."""
    value = draft.value(field)
    if value is None and settle is not None:
        settled = settle(draft)
        value = values_of(draft, settled)[field]
        if field == "scheduler":
            value = settled.recipe.scheduler.text
        if field == "loras" and value is None:
            value = "none"
    if value is None:
        raise SweepError(f"{field} is left to the checkpoint in this sweep; say it there, then add cells to it")
    (read,) = read_values(field, write_values(field, [value]))
    return read


# ---- axes and conditions


def _widened(sweep: Sweep, fresh: Sequence[str], points: Sequence[Point]) -> list[Axis | Replace | None]:
    """The sweep's axes with the steps that are new; None for a field that turns out to have one value only."""
    columns = [tuple(dict.fromkeys(column)) for column in zip(*points, strict=True)]
    axes: list[Axis | Replace | None] = []
    for axis, column in zip(sweep.axes, columns, strict=False):
        new = [step for step in column if step not in axis.values]
        if isinstance(axis, Replace) and new:
            raise SweepError(f"{axis.name} has no {new[0][0]!r}; add words by hand")
        axes.append(axis.but(values=_in_order(axis.values, new)) if new else axis)
    for field, column in zip(fresh, columns[len(sweep.axes) :], strict=True):
        axes.append(Axis(fields=(field,), values=_in_order(column[:1], column[1:])) if len(column) > 1 else None)
    return axes


def _in_order(steps: Sequence[Step], new: Sequence[Step]) -> tuple[Step, ...]:
    """Numbers of one field in the direction that they had; everything else behind what was there."""
    everything = [*steps, *new]
    is_number = all(len(step) == 1 and isinstance(step[0], int | float) for step in everything)
    for is_down in (False, True):
        if is_number and list(steps) == sorted(steps, reverse=is_down):
            return tuple(sorted(everything, reverse=is_down))
    return tuple(everything)


def _conditioned(wide: Sweep, wanted: set[Indices], settle: Settle | None, *, before: Sweep) -> Sweep:
    """The sweep of these axes that keeps exactly `wanted`: under the words it had, if they do, else under new ones."""
    seen = {each.place.indices: each.values for each in _kept(wide, settle)}
    if len(wanted) == len(seen):
        return wide
    if _keeps(before.where, before.skip, seen) == wanted:
        return wide.but(where=before.where, skip=before.skip)
    where = in_words(wanted, seen, wide.axes)
    without = in_words(seen.keys() - wanted, seen, wide.axes)
    told = (where, "") if len(where) <= min(2 * len(without), LONGEST) else ("", without)
    if len("".join(told)) > LONGEST:
        raise SweepError(
            f"the cells would need a condition of {len(told[0] or told[1])} characters, and {LONGEST} are allowed; "
            "add fewer (--budget), or sweep them in a run of their own"
        )
    if _keeps(*told, seen) != wanted:
        names = ", ".join(axis.name for axis in wide.axes)
        raise SweepError(
            f"conditions cannot tell these cells apart by {names} (a scheduler is compared without its options); "
            "sweep them in a run of their own"
        )
    return wide.but(where=told[0], skip=told[1])


def _keeps(where: str, skip: str, seen: Mapping[Indices, Values]) -> set[Indices]:
    keep, drop = (condition(text) if text else None for text in (where, skip))
    return {
        place
        for place, values in seen.items()
        if (keep is None or keep.holds(values)) and not (drop and drop.holds(values))
    }


# ---- a budget


def _cut(addition: Addition, budget: int, missing: Callable[[Addition], int]) -> Addition | None:
    """The largest coarse part of an addition that fits; None if not even one of its cells does."""
    ranked = {field: _coarse_first(field, values) for field, values in addition.values}
    kept = {field: len(values) for field, values in addition.values}
    part, count = addition, missing(addition)
    while count > budget:
        several = [field for field in kept if kept[field] > 1]
        if not several:
            return None
        field = max(several, key=lambda field: (field != "seed", _is_numbers(ranked[field]), kept[field]))
        kept[field] -= 1
        part = addition.but(
            values=tuple(
                (field, tuple(value for value in values if value in ranked[field][: kept[field]]))
                for field, values in addition.values
            )
        )
        count = missing(part)
    return part.but(count=count) if count else None


def _at_most(whole: Addition) -> Callable[[Addition], int]:
    return lambda part: min(whole.count, math.prod(len(values) for _, values in part.values))


def _is_numbers(values: Sequence[Value]) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _coarse_first(field: str, values: Sequence[Value]) -> Sequence[Value]:
    """Numbers: the ends, then always the one farthest from those before it; seeds and names as they stand."""
    if field == "seed" or not _is_numbers(values):
        return values
    order = [0, len(values) - 1]
    while len(order) < len(values):
        rest = (at for at in range(len(values)) if at not in order)
        order.append(max(rest, key=lambda at: min(abs(at - other) for other in order)))
    return [values[at] for at in dict.fromkeys(order)]
