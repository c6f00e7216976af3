"""`sidelight votes`: what blind votes on a run come to, in words and tables. Knows nothing about how votes are cast."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import InputError
from workbench.shelf_commands import AsJson, Run, Runs
from workbench.sweep_commands import RUNS

if TYPE_CHECKING:
    from rich.console import Console

    from sweeps.ranking import Ranking
    from sweeps.votes_result import VotesResult

BAR = 24  # characters from never to always preferred


def votes(
    run: Run,
    by: Annotated[str, typer.Option(help="Only the votes of this person.")] = "",
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Print which settings people prefer without knowing them, how sure that is, and which measures it follows."""
    from sweeps import votes as cast
    from sweeps.prepare import PLAN
    from sweeps.votes_result import of_run

    named = runs.expanduser() / run
    folder = named if not Path(run).is_dir() and named.is_dir() else Path(run)
    if not (folder / PLAN).is_file():
        raise InputError(f"{folder} is no run folder (it holds no {PLAN}); give the folder that a sweep wrote")
    people = dict.fromkeys(vote.by for vote in cast.read(folder))
    if by and by not in people:
        raise InputError(f"{by} has no votes on {folder}; there are votes by: {', '.join(people) or 'nobody'}")
    for line in cast.unreadable(folder):
        typer.echo(f"{folder}: {line.reason}; the other votes are whole", err=True)
    told = of_run(folder, by=by)
    if as_json:
        typer.echo(told.model_dump_json())
    else:
        _print(told, folder)


def _print(told: "VotesResult", folder: Path) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not told.votes:
        console.print(f"no votes on {folder}; on the page (`sidelight serve`) open the run and choose Vote blind")
        return
    for sentence in told.sentences:
        console.print(sentence)
    _print_ranking(told.ranking, console)
    if len(told.voters) > 1:
        for voter in told.voters:
            console.print(f"\n{voter.by} alone:")
            _print_ranking(voter.ranking, console)
    _print_measures(told, console)
    _print_voters(told, console)
    for caution in told.cautions:
        console.print(caution, style="yellow")


def _print_ranking(ranking: "Ranking", console: "Console") -> None:
    from rich.table import Table

    table = Table("setting", "preferred", "95 %", "", "votes", "pictures", box=None, pad_edge=False)
    for each in ranking.settings:
        low, high = (round(100 * share) for share in (each.low, each.high))
        share = f"{100 * each.share:.0f} %"
        bar = _bar(each.low, each.share, each.high)
        table.add_row(each.setting, share, f"{low} to {high}", bar, str(each.votes), str(each.pictures))
    console.print(table)


def _bar(low: float, share: float, high: float) -> str:
    """The interval from 0 to 100 %, the value in it; a bar at one half."""
    first, at, last = (min(BAR - 1, int(each * BAR)) for each in (low, share, high))
    signs = ["─" if first <= place <= last else "│" if place == BAR // 2 else " " for place in range(BAR)]
    signs[at] = "●"
    return "".join(signs)


def _print_measures(told: "VotesResult", console: "Console") -> None:
    from rich.table import Table

    if not told.follows:
        return
    table = Table("measure", "higher preferred", "95 %", "votes", "wanted", box=None, pad_edge=False)
    for each in told.follows:
        share = each.share
        interval = f"{100 * share.low:.0f} to {100 * share.high:.0f}"
        table.add_row(each.measure, f"{100 * share.value:.0f} %", interval, str(share.n), each.wanted)
    console.print()
    console.print(table)


def _print_voters(told: "VotesResult", console: "Console") -> None:
    from rich.table import Table

    table = Table("who", "votes", "skipped", "took the left", "first", "last", box=None, pad_edge=False)
    for each in told.voters:
        left = f"{100 * each.left.value:.0f} % ({100 * each.left.low:.0f} to {100 * each.left.high:.0f})"
        days = [at[:16].replace("T", " ") for at in (each.first, each.last)]
        table.add_row(each.by, str(each.votes), str(each.skipped), left, *days)
    console.print()
    console.print(table)
