"""`sidelight measure RUN`: the measures of a run's pictures, made where they are missing, as a table over its axes.

Knows nothing about pixels or statistics: means and spreads are for reading; what they say together is `findings`.
"""

import csv
import json
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

import typer

from pipelines.errors import Cancelled, InputError
from pipelines.skin_measures import MEASURES, Measure
from sweeps import measure
from sweeps.measure import CellMeasures, Missed
from sweeps.prepare import SWEEP
from workbench.interrupt import Interrupt
from workbench.measure_answers import answer, number
from workbench.read_command import shown

if TYPE_CHECKING:
    from rich.table import Table

    from sweeps.rows import Row

SHOWN = ("texture", "slope", "halo", "pixel_share", "skin_to_eyes", "blood", "side_ev", "shading")
"""Columns of the table, the first ones where the terminal is narrow; --csv and --json have all measures."""
SET = (
    "checkpoint",
    "light",
    "prompt",
    "negative",
    "width",
    "height",
    "steps",
    "guidance",
    "true_guidance",
    "guidance_interval",
    "scheduler",
    "spacing",
    "strength",
    "clip_skip",
    "text_tokens",
    "loras",
)
"""Columns of a run's rows along which means are taken, over seeds and all that is set otherwise."""
FIGURE = re.compile(r"[-+]?\d+(\.\d+)?")
LABEL_WIDE, FACES_WIDE, COLUMN_WIDE = 26, 11, 15
"""Characters of a value's label at most, of the count of faces, and of a measure's mean and spread."""


def measure_folder(run: Path, *, again: bool, as_json: bool, as_csv: bool) -> None:
    """Measure what is missing and print it. Raises InputError for what is no run folder, Cancelled on Ctrl-C."""
    if not (run / SWEEP).is_file():
        raise InputError(f"{run} is no run folder (it holds no {SWEEP}); give one that a sweep wrote, or picture files")
    missed = made(run, again=again)
    for each in missed:
        typer.echo(f"sidelight: {each.key} is not measured: {shown(each.reason)}", err=True)
    if as_json:
        told = answer(run).model_dump(mode="json")
        missing = {each.key: each.reason for each in missed}
        typer.echo(json.dumps({"run": str(run), **told, "missed": missing}))
    elif as_csv:
        _print_csv(run)
    else:
        _print(run)
    if missed:
        raise typer.Exit(1)


def made(run: Path, *, again: bool = False) -> list[Missed]:
    """Measure with a bar on stderr; gives what could not be measured. Raises Cancelled on Ctrl-C: the rest is kept."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    todo = len(measure.pictures(run) if again else measure.missing(run))
    if not todo:
        return []
    console = Console(file=sys.stderr)
    parts = (TextColumn("measuring"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*parts, console=console, transient=True, disable=not console.is_terminal)
    missed: list[Missed] = []
    with bar, Interrupt() as interrupt, closing(measure.measure_run(run, again=again)) as happenings:
        task = bar.add_task("", total=todo)
        for count, each in enumerate(happenings, 1):
            bar.update(task, completed=count)
            missed += [each] if isinstance(each, Missed) else []
            if interrupt.asked and count < todo:
                raise Cancelled(
                    f"stopped; {count} of {todo} are measured and kept. Go on with: sidelight measure {run}"
                )
    return missed


def _print_csv(run: Path) -> None:
    from sweeps.rows import rows

    table = rows(run)
    writer = csv.DictWriter(sys.stdout, list(table[0]) if table else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)


def _print(run: Path) -> None:
    from rich.console import Console

    from sweeps.rows import rows

    console = Console(highlight=False, markup=False, emoji=False)
    table, read = rows(run), measure.read(run)
    faces = sum(each.face is not None for each in read.values())
    console.print(f"{run}: {len(read)} of {len(table)} pictures measured, a face in {faces}\n", soft_wrap=True)
    for axis in _varying(table) or ["checkpoint"]:
        console.print(_table(table, axis, read, wide=console.width))
    console.print("Mean ± standard deviation over pictures that have the figure; all figures with --csv or --json.")
    for line in _said(list(read.values())):
        console.print(line, style="yellow")


def _varying(rows: "Sequence[Row]") -> list[str]:
    """Columns that were set to several values; of those that divide the pictures alike the first."""
    found: dict[tuple[int, ...], str] = {}
    for name in SET:
        values = [row[name] for row in rows]
        steps = list(dict.fromkeys(values))
        if len(steps) > 1:
            found.setdefault(tuple(map(steps.index, values)), name)
    return list(found.values())


def _table(rows: "Sequence[Row]", axis: str, read: Mapping[str, CellMeasures], *, wide: int) -> "Table":
    from rich import box
    from rich.table import Table

    labels = {row[axis]: _label(row[axis]) for row in rows}
    room = wide - min(LABEL_WIDE, max(map(len, [axis, *labels.values()]))) - FACES_WIDE
    chosen = [each for name in SHOWN for each in MEASURES if each.name == name][: max(1, room // COLUMN_WIDE)]
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column(axis.replace("_", " "), max_width=LABEL_WIDE, no_wrap=True)
    table.add_column("faces", justify="right", style="dim", no_wrap=True)
    for each in chosen:
        table.add_column(f"{each.name}\n{each.unit}", justify="right", no_wrap=True)
    for value, text in sorted(labels.items(), key=lambda each: (isinstance(each[0], str), each[0] or 0)):
        cells = [read[str(row["key"])] for row in rows if row[axis] == value and row["key"] in read]
        count = f"{sum(each.face is not None for each in cells)} of {len(cells)}"
        table.add_row(text, count, *(_mean(each, [cell.value(each.name) for cell in cells]) for each in chosen))
    return table


def _label(value: int | float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return shown(str(value)) if value not in (None, "") else "none"


def _mean(each: Measure, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "none"
    middle = number(each, mean(known))
    return f"{middle} ± {stdev(known):.2f}" if len(known) > 1 else middle


def _said(read: Sequence[CellMeasures]) -> list[str]:
    """Why texture is missing and what the trusted rules say; lines that differ by a figure are counted together."""
    told = [(f"no texture figure: {why}", each.key) for each in read if (why := dict(each.why).get("texture"))]
    told += [(verdict, each.key) for each in read for verdict in each.verdicts]
    alike: dict[str, list[tuple[str, str]]] = {}
    for text, key in told:
        alike.setdefault(FIGURE.sub("#", text), []).append((text, key))
    return [_counted(found) for found in sorted(alike.values(), key=len, reverse=True)]


def _counted(found: Sequence[tuple[str, str]]) -> str:
    text, key = found[0]
    if len(found) == 1:
        return f"{key}: {shown(text)}"
    return f"{len(found)} pictures{f', as {key}' if FIGURE.search(text) else ''}: {shown(text)}"
