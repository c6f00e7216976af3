"""`sidelight validate`: tries measures and finder on your own photographs, degraded in known ways, and on your votes.

Knows nothing about formulas. It writes a table that shows where they fail as well as where they hold.
"""

import json
from collections.abc import Generator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pipelines.errors import InputError
from sweeps.validated import Trial, Voted, keep
from workbench.read_command import shown

if TYPE_CHECKING:
    from rich.progress import Progress

    from sweeps.degraded import Pixels
    from sweeps.staged import Judged, Play
    from sweeps.validation import Looked, Tried

KINDS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
LEAST_EYES_PX = 60
"""Below it scaling down leaves too few pixels to measure."""
FEWEST = 3
"""Photographs: the finder compares nothing with fewer seeds."""
LONGEST_SIDE = 2000
"""Pixels that a photograph is scaled down to: measures are of pores, which a larger one shows no better."""
Result = TypeVar("Result")

Folder = Annotated[Path, typer.Argument(help="A folder of portrait photographs: sharp, unretouched, one face each.")]
Votes = Annotated[list[Path] | None, typer.Option("--votes", help="A run folder that was voted on; give several.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write the tables into this Markdown file too.")]
Keep = Annotated[bool, typer.Option("--keep", help="Let findings and reports say that it was tried here, and on what.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def validate(
    folder: Folder, votes: Votes = None, out: Out = None, keep_it: Keep = False, as_json: AsJson = False
) -> None:
    """Try the measures and the finder on photographs made worse in known ways, and against blind votes on runs.

    About half a minute a photograph. Nothing is changed; with --keep reports say what was tried.
    """
    from sweeps.staged import PLAYS, judged, played
    from sweeps.validation import table, try_measures

    names, photographs = _photographs(folder)
    voted = [_voted(run) for run in votes or ()]
    with _progress() as bar:
        lines = _followed(bar, "measures", try_measures(photographs))
        plays = [judged(play, _followed(bar, play.name, played(play, photographs))) for play in PLAYS]
    trial = Trial(
        date=str(date.today()),
        photographs=len(photographs),
        held=sum(line.held == line.of for line in lines),
        lines=len(lines),
        right=sum(each.is_right for each in plays),
        plays=len(plays),
        voted=tuple(voted),
    )
    text = "\n\n".join([_head(trial, names), table(lines).rstrip(), _plays(plays), *map(_votes, voted)]) + "\n"
    if out:
        out.write_text(text, encoding="utf-8")
    if keep_it:
        typer.echo(f"kept in {keep(trial)}", err=True)
    typer.echo(json.dumps(trial.model_dump(mode="json") | {"table": _as_dicts(lines)}) if as_json else text, nl=False)


def _photographs(folder: Path) -> "tuple[list[str], list[Pixels]]":
    """Those of a folder that can be used, in the order of their names; says which cannot and why."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give one with portrait photographs ({', '.join(KINDS)})")
    names: list[str] = []
    photographs: list[Pixels] = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in KINDS):
        try:
            photographs.append(_photograph(path))
            names.append(path.name)
        except InputError as error:
            typer.echo(f"left out: {shown(str(error))}", err=True)
    if len(photographs) < FEWEST:
        raise InputError(
            f"{folder} holds {len(photographs)} usable portraits; {FEWEST} or more are needed, sharp and unretouched, "
            f"eyes {LEAST_EYES_PX} px apart or more"
        )
    return names, photographs


def _photograph(path: Path) -> "Pixels":
    import numpy as np
    from PIL import Image

    from pipelines.raster import open_raster, rgb8
    from sweeps.validation import looked_at

    pixels = rgb8(open_raster(path))
    if max(pixels.shape) > LONGEST_SIDE:
        image = Image.fromarray(pixels)
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
    measured, eyes = looked_at(pixels)
    if measured.value("texture") is None:
        raise InputError(f"{path.name}: {measured.reading('texture').why}")
    if eyes < LEAST_EYES_PX:
        raise InputError(f"{path.name}: the eyes are {eyes:.0f} px apart; {LEAST_EYES_PX} are needed")
    return pixels


def _voted(run: Path) -> Voted:
    from sweeps.rows import rows
    from sweeps.votes_result import of_run

    result = of_run(run)
    if not result.votes:
        raise InputError(f"{run} holds no votes; vote on it first (on the page: Runs, Vote blind)")
    return Voted(
        run=run.resolve().name,
        checkpoints=tuple(sorted({str(row["checkpoint"]) for row in rows(run)})),
        votes=result.votes,
        voters=tuple(voter.by for voter in result.voters),
        sentences=result.sentences,
    )


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _followed(bar: "Progress", what: str, work: "Generator[Looked, None, Result]") -> Result:
    """What a generator returns, with its progress shown."""
    task = bar.add_task(what, total=None)
    while True:
        try:
            looked = next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
        bar.update(task, total=looked.of, completed=looked.number)


def _head(trial: Trial, names: Sequence[str]) -> str:
    return (
        f"# Measures and finder on degraded photographs\n\n{trial.photographs} photographs, {trial.date}: "
        f"{', '.join(names)}. {trial.held} of {trial.lines} lines held on every photograph, {trial.right} of "
        f"{trial.plays} staged sweeps were read right. None of this is diffusion output."
    )


def _plays(plays: "Sequence[Judged]") -> str:
    head = "| staged sweep | truth | what the finder said | right within a step |\n|---|---|---|---|\n"
    rows = [
        f"| {each.play.name} | {_truth(each.play)} | {each.said} | {'yes' if each.is_right else '**no**'} |"
        for each in plays
    ]
    return head + "\n".join(rows)


def _truth(play: "Play") -> str:
    if not play.truth:
        return "nothing"
    low, high = play.truth
    return " ".join([*([f"from {low:g}"] if low else []), *([f"to {high:g}"] if high else [])])


def _votes(voted: Voted) -> str:
    head = f"Votes on {voted.run} ({', '.join(voted.checkpoints)}), {voted.votes} by {', '.join(voted.voters)}:"
    return "\n".join([head, *(f"- {sentence}" for sentence in voted.sentences)])


def _as_dicts(lines: "Sequence[Tried]") -> list[dict[str, object]]:
    from dataclasses import asdict

    return [asdict(line) for line in lines]
