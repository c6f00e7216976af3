"""`sidelight findings`: what a run says of its checkpoint, and the cells that would say more.

Knows nothing about statistics, which are `sweeps.compare`'s, or about how cells are made.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.errors import BusyError, DiskError, InputError
from sweeps.findings import Findings
from sweeps.prepare import prepare
from sweeps.ranges import many
from workbench import findings_next
from workbench.findings_answers import answer, more_of, time_of
from workbench.findings_next import BUDGET, Extension
from workbench.findings_words import head, print_changes, print_findings, print_more
from workbench.measure_run import made
from workbench.queue_commands import opened
from workbench.read_command import shown
from workbench.sweep_commands import follow
from workbench.watch import ensure_worker

if TYPE_CHECKING:
    from rich.console import Console

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: the findings, and what to do next.")]
Measure = Annotated[
    bool, typer.Option("--measure/--no-measure", help="First measure the pictures that are not measured yet.")
]
Add = Annotated[bool, typer.Option("--add", help="Make the cells that would say more, and look again.")]
Budget = Annotated[int, typer.Option(metavar="CELLS", min=1, help="How many cells --add may add.")]
ToQueue = Annotated[bool, typer.Option("--queue", help="With --add: leave them to the worker.")]
Rounds = Annotated[
    int, typer.Option(min=1, help="With --add: look and add so often, while more is asked for and --budget lasts.")
]
NewNumerics = Annotated[bool, typer.Option("--new-numerics", help="With --add: decide device and rows anew; marked.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="With --add: say which cells, make none.")]


def findings(
    run: Run,
    as_json: AsJson = False,
    measure: Measure = True,
    add: Add = False,
    budget: Budget = BUDGET,
    rounds: Rounds = 1,
    queue: ToQueue = False,
    dry_run: DryRun = False,
    new_numerics: NewNumerics = False,
) -> None:
    """Say what a run shows of its checkpoint: guidance window, step plateau, which scheduler or engine reads better.

    Every value comes with its 95 % interval and the seeds behind it. What cannot be said names the cells that would let
    it be said; --add makes exactly these, and nothing when nothing is open. Report and findings.json are written anew.
    """
    given = {"--queue": queue, "--dry-run": dry_run, "--rounds": rounds > 1, "--new-numerics": new_numerics}
    for flag in (flag for flag, is_given in given.items() if is_given and not add):
        raise InputError(f"{flag} is given without --add, and then nothing is made; give both")
    if rounds > 1 and (queue or dry_run):
        raise InputError("--rounds needs what the cells of a round show; leave out --queue and --dry-run")
    if add and not dry_run:
        findings_next.refuse_open(opened(), run)
    told = _looked(run, measure=measure, is_kept=not dry_run)
    if not add:
        _print(run, told, as_json=as_json, budget=budget)
        return
    more = findings_next.extension(run, told.additions, budget=budget)
    if not more.count or dry_run:
        _print_added(run, told, more, as_json=as_json, done={})
    elif queue:
        _into_queue(run, told, more, new_numerics=new_numerics, as_json=as_json)
    else:
        _make(run, told, more, rounds=rounds, budget=budget, new_numerics=new_numerics, as_json=as_json)


def _looked(run: Path, *, measure: bool, is_kept: bool = True) -> Findings:
    """What the run says, by all its pictures if `measure`; written into its folder if `is_kept`."""
    findings_next.refuse_other(run)
    for missed in made(run) if measure else ():
        typer.echo(f"sidelight: {missed.key} is not measured: {shown(missed.reason)}", err=True)
    told = findings_next.found(run)
    try:
        if is_kept:
            findings_next.drawn(run, told)
    except (BusyError, DiskError) as error:
        typer.echo(f"sidelight: report and findings.json stay as they are: {error}", err=True)
    return told


def _make(
    run: Path, told: Findings, more: Extension, *, rounds: int, budget: int, new_numerics: bool, as_json: bool
) -> None:
    """Here and in sight, then look again, and again while a round is left."""
    first, made_, failed = told, 0, 0
    while True:
        prepared = prepare(more.sweep, run, asked={}, new_numerics=new_numerics and not made_)
        if not as_json:
            _print_asked(told, more)
        finished = follow(prepared, quiet=as_json, retry_failed=True)
        made_, failed, rounds, budget = made_ + finished.made, failed + finished.failed, rounds - 1, budget - more.count
        told = _looked(run, measure=True)
        again = _another(run, told, budget) if rounds else None
        if again is None:
            break
        more = again
    if as_json:
        _print_added(run, told, more, as_json=True, done={"made": made_, "failed": failed})
    else:
        _print(run, told, as_json=False, budget=BUDGET)
        print_changes(_console(), first, told)
    if failed:
        raise typer.Exit(1)


def _another(run: Path, told: Findings, budget: int) -> Extension | None:
    """The next round's cells; None where none are asked for, allowed or possible: what was made is told in any case."""
    try:
        more = findings_next.extension(run, told.additions, budget=budget)
    except InputError as error:
        typer.echo(f"sidelight: no further round: {error}", err=True)
        return None
    return more if more.count else None


def _into_queue(run: Path, told: Findings, more: Extension, *, new_numerics: bool, as_json: bool) -> None:
    line = opened()
    job = findings_next.queued(line, run, more, new_numerics=new_numerics)
    ensure_worker(line)
    if as_json:
        _print_added(run, told, more, as_json=True, done={"job": job.id})
    else:
        _print_asked(told, more)
        typer.echo(f"job {job.id}: {job.cells} pictures in {job.folder}; `sidelight queue ls` shows how far it is")


def _print(run: Path, told: Findings, *, as_json: bool, budget: int) -> None:
    said = answer(run, told, budget=budget)
    if as_json:
        typer.echo(said.model_dump_json())
    else:
        print_findings(_console(), said)


def _print_added(run: Path, told: Findings, more: Extension, *, as_json: bool, done: dict[str, Any]) -> None:
    """What was or would be added; that there is nothing to add is no fault."""
    if as_json:
        entries = {"cells": more.count, "wanted": more.asked, "time": time_of(more), "where": more.sweep.where}
        parts = [each.model_dump(mode="json") for each in more_of(more)]
        keys = [cell.recipe.key for cell in more.fresh.cells]
        said = {
            "run": run.name,
            "findings": told.model_dump(mode="json"),
            "added": {**entries, "more": parts, "keys": keys, **done},
        }
        typer.echo(json.dumps(said))
    elif more.count:
        _print_asked(told, more)
    else:
        console = _console()
        console.print(shown(head(told)))
        console.print(_nothing(told))


def _print_asked(told: Findings, more: Extension) -> None:
    console = _console()
    console.print(shown(head(told)))
    rest = f" of {more.asked} that are asked for" if more.asked > more.count else ""
    time = time_of(more)
    console.print(f"{many(more.count, 'cell')} to add{rest}{', ' + time if time else ''}:")
    print_more(console, more_of(more))
    if more.sweep.where:
        console.print(f"  the sweep's where: {shown(more.sweep.where)}", soft_wrap=True, style="dim")


def _nothing(told: Findings) -> str:
    if told.additions:
        return (
            "nothing to add: the run has every cell that is asked for (those without a picture or a face say nothing)"
        )
    return "nothing to add: no finding asks for more cells"


def _console() -> "Console":
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
