"""`sidelight check` and `sidelight schedulers`: looking, never changing. Knows nothing about engines."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipelines import schedulers as known
from pipelines.errors import InputError
from pipelines.solver_table import MODES
from pipelines.store import Store
from sweeps import journal
from sweeps.inputs import INPUTS, masks_beside
from sweeps.prepare import PLAN, SWEEP

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check(folder: Annotated[Path, typer.Argument(help="A run folder.")], as_json: AsJson = False) -> None:
    """Read every picture of a run again and compare its hash; exit code 1 if one is damaged or missing."""
    if not (folder / SWEEP).is_file():
        raise InputError(f"{folder} is no run folder (it holds no {SWEEP}); give the folder that a sweep wrote")
    store = Store(folder)
    keys = store.keys()
    faults = {key: fault for key in keys if (fault := store.fault(key))}
    faults |= {
        path.stem: fault for path in sorted((folder / INPUTS).glob("*.png")) if (fault := _input_fault(store, path))
    }
    faults |= {
        path.name: fault for path in sorted((folder / INPUTS).glob("*.masks.json")) if (fault := _notes_fault(path))
    }
    lines = [fault.reason for fault in journal.read(folder).faults]
    planned = {json.loads(line)["key"] for line in (folder / PLAN).read_text().splitlines()}
    missing = sorted(planned - set(keys))
    told = {"folder": str(folder), "pictures": len(keys), "damaged": faults, "missing": missing, "journal": lines}
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo(f"{folder}: {len(keys)} pictures read, {len(faults)} damaged, {len(missing)} not made yet")
        for reason in [*faults.values(), *lines]:
            typer.echo(f"  {reason}")
        if faults:
            typer.echo(f"run `sidelight sweep run {folder}`: damaged pictures are set aside and made again")
    if faults or lines:
        raise typer.Exit(1)


def schedulers(as_json: AsJson = False) -> None:
    """Print every scheduler: our name, other tools' names, where it works, its options, what is left out and why."""
    rows = known.rows()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows]))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "other tools say", "works for", "network calls", "options", box=None, pad_edge=False)
    for row in (row for row in rows if row.modes):
        works = "; ".join(
            f"{family} {'all' if modes == MODES[family] else ', '.join(modes)}" for family, modes in row.modes
        )
        options = ", ".join(sorted({option for _, names in row.options for option in names}))
        table.add_row(row.name, ", ".join(row.aliases), works, row.evaluations, options)
    console = Console()
    console.print(table)
    console.print("\nleft out:")
    for row in rows:
        for place, reason in row.left_out:
            console.print(f"  {row.name} ({place}): {reason}", highlight=False)


def _notes_fault(path: Path) -> str:
    """What is wrong with the masks noted beside a start image; empty if nothing is."""
    try:
        noted = masks_beside(path.with_name(path.name.removesuffix(".masks.json") + ".png"))
    except InputError as error:
        return str(error)
    gone = [expression for expression, mask in noted.items() if not path.with_name(f"{mask}.png").is_file()]
    return f"the mask of {gone[0]!r} is not there; repair the picture again into another run" if gone else ""


def _input_fault(store: Store, path: Path) -> str:
    try:
        store.input(path.stem)
    except InputError as error:
        return str(error)
    return ""
