"""`sidelight runs`, `mark`, `marks`: what lies on the disk and what was thought of it. Knows nothing about engines."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.errors import Cancelled, InputError
from sweeps import marks as marking
from sweeps import shelf
from sweeps.marks import FAULTS, Mark
from sweeps.ranges import many
from sweeps.shelf import RunInfo, Trashed
from workbench.sweep_commands import RUNS

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Runs = Annotated[Path, typer.Option(help="Where the run folders lie.")]
Run = Annotated[str, typer.Argument(help="A run folder, or its name in --runs.")]


def runs_ls(
    trash: Annotated[bool, typer.Option("--trash", help="List what is in the trash instead.")] = False,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Print every run on the disk, newest first, and what cannot be read with the reason."""
    if trash:
        _print_trash(shelf.trashed(runs.expanduser()), as_json)
    else:
        _print_runs(shelf.runs(runs.expanduser()), as_json)


def runs_find(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words in name, prompt or remarks; all must be there.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="Name of the checkpoint, or a part of it.")] = "",
    since: Annotated[str, typer.Option(help="First day, month or year: 2026-11-21, 2026-11.")] = "",
    until: Annotated[str, typer.Option(help="Last day, month or year.")] = "",
    stars: Annotated[int, typer.Option(min=0, max=marking.MOST_STARS, help="At least one picture of so many.")] = 0,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Print the runs that fit, newest first."""
    text = " ".join(words or [])
    found = shelf.runs(runs.expanduser())
    fitting = shelf.find(found, text=text, checkpoint=checkpoint, since=since, until=until, stars=stars)
    _print_runs(fitting, as_json)


def runs_trash(run: Run, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Move a run to the trash beside it; `runs restore` brings it back."""
    gone = shelf.trash(_folder(run, runs))
    _tell(asdict(gone), f"{gone.name} is in the trash ({_megabytes(gone.bytes)}); back with: {_again(gone)}", as_json)


def runs_restore(
    name: Annotated[str, typer.Argument(help="Name of the run, or of its folder in the trash.")],
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Put a run from the trash back where it was."""
    lying = shelf.trashed(runs.expanduser())
    found = [each for each in lying if name in (each.name, each.folder.name, str(each.folder))]
    if len(found) != 1:
        what = f"{len(found)} runs of that name are" if found else f"no {name} is"
        told = ", ".join(each.folder.name for each in found or lying) or "nothing"
        raise InputError(f"{what} in the trash of {runs}; there is: {told}")
    folder = shelf.restore(found[0])
    _tell({"folder": str(folder)}, f"{folder} is back", as_json)


def runs_empty_trash(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, runs: Runs = RUNS, as_json: AsJson = False
) -> None:
    """Delete the runs in the trash for good, after asking."""
    lying = shelf.trashed(runs.expanduser())
    size = _megabytes(sum(each.bytes for each in lying))
    if lying and not yes:
        named = ", ".join(each.name for each in lying)
        if not typer.confirm(f"delete {many(len(lying), 'run')} for good ({size}): {named}?", err=True):
            raise Cancelled("nothing is deleted; the runs stay in the trash")
    gone = shelf.empty_trash(runs.expanduser())
    _tell({"runs": len(lying), "bytes": gone}, f"{many(len(lying), 'run')} deleted, {_megabytes(gone)} freed", as_json)


def runs_export(
    run: Run,
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of pictures; all that are left by the flags.")] = None,
    picked: Annotated[bool, typer.Option("--picked", help="Only pictures marked as picks.")] = False,
    stars: Annotated[int, typer.Option(min=0, max=marking.MOST_STARS, help="Only with at least so many stars.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The zip; the run's name in this folder if left out.")] = None,
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Put pictures with their sidecars and captions into a zip, under names that tell their settings."""
    folder = _folder(run, runs)
    chosen = shelf.chosen(folder, picked=picked, stars=stars)
    if keys and (picked or stars):
        chosen = tuple(key for key in keys if key in chosen)
    elif keys:
        chosen = tuple(keys)
    target = out or Path(f"{folder.resolve().name}.zip")
    size = shelf.export(folder, chosen, target)
    told = {"file": str(target), "pictures": len(set(chosen)), "bytes": size}
    _tell(told, f"{target}: pictures {len(set(chosen))}, {_megabytes(size)}", as_json)


def mark(
    run: Run,
    key: Annotated[str, typer.Argument(help="Key of the picture: its file name without .png.")],
    pick: Annotated[bool, typer.Option("--pick", help="One to keep.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="One to drop.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Take back all that was said before.")] = False,
    stars: Annotated[int | None, typer.Option(help="0 to 5; 0 takes them back.")] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help=f"What is wrong; again for more: {', '.join(FAULTS)}.")
    ] = None,
    remark: Annotated[str | None, typer.Option(help="One line; '' takes it back.")] = None,
    by: Annotated[str, typer.Option(help="Who says so.", envvar="USER")] = "",
    runs: Runs = RUNS,
    as_json: AsJson = False,
) -> None:
    """Write down what you think of a picture; what is not given stays as it was."""
    if pick and reject:
        raise InputError("--pick and --reject are both given; say one")
    values: dict[str, Any] = marking.unmarked(key).model_dump() if clear else {"key": key}
    values |= {"pick": "pick"} if pick else {"pick": "reject"} if reject else {}
    given = {"stars": stars, "faults": fault and tuple(fault), "remark": remark, "by": by or None}
    said = Mark.read(values | {name: value for name, value in given.items() if value is not None})
    now = marking.append(_folder(run, runs), said)
    _tell(now.model_dump(mode="json"), f"{key}: {now.text or 'no mark'}", as_json)


def marks(run: Run, runs: Runs = RUNS, as_json: AsJson = False) -> None:
    """Print what was thought of a run's pictures, in the order it was first said."""
    folder = _folder(run, runs)
    found = marking.read(folder).values()
    for line in marking.unreadable(folder):
        typer.echo(f"{folder}: {line.reason}; the other marks are whole", err=True)
    if as_json:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in found], ensure_ascii=False))
        return
    for each in found:
        if each.text:
            typer.echo(f"{each.key}  {each.text}")


def _folder(run: str, runs: Path) -> Path:
    named = runs.expanduser() / run
    return named if not Path(run).is_dir() and named.is_dir() else Path(run)


def _print_runs(found: Sequence[RunInfo], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], default=str, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("date", "run", "checkpoints", "pictures", "stars", "size", box=None, pad_edge=False)
    for each in (each for each in found if not each.reason):
        failed = f", {each.failed} failed" if each.failed else ""
        names = escape(", ".join(each.checkpoints))
        stars, size = str(each.stars or ""), _megabytes(each.bytes)
        table.add_row(each.date, escape(each.folder.name), names, f"{each.done}/{each.planned}{failed}", stars, size)
    Console().print(table)
    for each in (each for each in found if each.reason):
        typer.echo(f"cannot be read: {each.reason}")


def _print_trash(lying: Sequence[Trashed], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in lying], default=str))
        return
    for each in lying:
        typer.echo(f"{each.folder.name}  {_megabytes(each.bytes)}")
    typer.echo(f"{many(len(lying), 'run')} in the trash, {_megabytes(sum(each.bytes for each in lying))}")


def _again(gone: Trashed) -> str:
    return f"sidelight runs restore {gone.folder.name} --runs {gone.folder.parent.parent}"


def _tell(values: dict[str, Any], text: str, as_json: bool) -> None:
    typer.echo(json.dumps(values, default=str, ensure_ascii=False) if as_json else text)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
