"""The command `sidelight`. Knows nothing about tensors: it turns words into nouns, and errors into one line.

Exit codes: 0 done, 1 some cells failed, 2 wrong input, 3 busy, 4 paused by the disk, 130 cancelled.
"""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from pipelines.errors import SidelightError
from pipelines.quiet import local_and_quiet
from workbench import (
    advise_command,
    bench_command,
    doctor_command,
    face_commands,
    face_repair,
    findings_command,
    measure_command,
    models_commands,
    notes_commands,
    notes_set_command,
    picture_commands,
    prompt_commands,
    queue_commands,
    read_command,
    reference_commands,
    run_commands,
    series_commands,
    shelf_commands,
    sweep_commands,
    validate_command,
    votes_command,
)
from workbench.web import serve_command

app = typer.Typer(
    name="sidelight",
    help="Find the settings at which a checkpoint's skin stops looking like plastic, on your own GPU.",
    epilog="Exit codes: 0 done, 1 some cells failed, 2 wrong input, 3 busy, 4 paused by the disk, 130 cancelled.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
sweeps_app = typer.Typer(help="Make grids of pictures.", no_args_is_help=True, rich_markup_mode=None)
picture_app = typer.Typer(
    help="Look at one picture, Sidelight's or another tool's, or make it again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
prompt_app = typer.Typer(
    help="Light templates, what is really sent, and what is vague in it.", no_args_is_help=True, rich_markup_mode=None
)
models_app = typer.Typer(
    help="Checkpoints and LoRAs: what is here, fetching and checking it.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(sweeps_app, name="sweep")
app.add_typer(picture_app, name="picture")
app.add_typer(prompt_app, name="prompt")
app.add_typer(models_app, name="models")
queue_app = typer.Typer(
    help="Runs that wait for the worker, or are made by it.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(queue_app, name="queue")
runs_app = typer.Typer(
    help="Runs on disk: find, put away, bring back, hand out.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(runs_app, name="runs")

face_app = typer.Typer(
    help="Faces of a picture: find, mask, repair one region, prove that nothing else moved.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(face_app, name="face")
face_app.command("find")(face_commands.find)
face_app.command("mask")(face_commands.mask)
face_app.command("repair")(face_repair.repair)
face_app.command("verify")(face_commands.verify)

reference_app = typer.Typer(
    help="A photograph whose skin pulls a picture: what it is good for, and a damaged one restored.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(reference_app, name="reference")
reference_app.command("check")(reference_commands.check)
reference_app.command("restore")(reference_commands.restore)

series_app = typer.Typer(
    help="Keep the skin across pictures: one pilot freezes light, texture, reference and checkpoint.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(series_app, name="series")
series_app.command("new")(series_commands.new)
series_app.command("add", context_settings=series_commands.FURTHER)(series_commands.add)
series_app.command("ages", context_settings=series_commands.FURTHER)(series_commands.ages)
series_app.command("check")(series_commands.check)
series_app.command("list")(series_commands.list_series)
series_app.command("show")(series_commands.show)

notes_app = typer.Typer(
    help="What is worth keeping for each checkpoint, with its evidence.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(notes_app, name="notes")
notes_app.command("list")(notes_commands.list_notes)
notes_app.command("show")(notes_commands.show)
notes_app.command("set")(notes_set_command.set_note)
notes_app.command("diff")(notes_commands.diff)
notes_app.command("history")(notes_commands.history)
notes_app.command("export")(notes_commands.export)
notes_app.command("import")(notes_commands.import_note)

sweeps_app.command("run")(sweep_commands.sweep_run)
picture_app.command("show")(picture_commands.show)
picture_app.command("again")(picture_commands.again)
picture_app.command("history")(picture_commands.history)
picture_app.command("read")(read_command.read)
prompt_app.command("list")(prompt_commands.prompt_list)
prompt_app.command("show")(prompt_commands.prompt_show)
prompt_app.command("lint")(prompt_commands.prompt_lint)
models_app.command("list")(models_commands.list_models)
models_app.command("pull")(models_commands.pull)
models_app.command("verify")(models_commands.verify)
models_app.command("add")(models_commands.add)
models_app.command("remove")(models_commands.remove)
queue_app.command("ls")(queue_commands.ls)
queue_app.command("pause")(queue_commands.pause)
queue_app.command("resume")(queue_commands.resume)
queue_app.command("cancel")(queue_commands.cancel)
queue_app.command("top")(queue_commands.top)
queue_app.command("move")(queue_commands.move)
queue_app.command("retry")(queue_commands.retry)
queue_app.command("log")(queue_commands.log)
app.command("worker")(queue_commands.worker)
runs_app.command("ls")(shelf_commands.runs_ls)
runs_app.command("find")(shelf_commands.runs_find)
runs_app.command("trash")(shelf_commands.runs_trash)
runs_app.command("restore")(shelf_commands.runs_restore)
runs_app.command("empty-trash")(shelf_commands.runs_empty_trash)
runs_app.command("export")(shelf_commands.runs_export)
app.command("mark")(shelf_commands.mark)
app.command("marks")(shelf_commands.marks)
app.command("serve")(serve_command.serve)
app.command("advise")(advise_command.advise)
app.command("measure")(measure_command.measure)
app.command("findings")(findings_command.findings)
app.command("votes")(votes_command.votes)
app.command("validate")(validate_command.validate)
app.command("check")(run_commands.check)
app.command("schedulers")(run_commands.schedulers)
app.command("bench")(bench_command.bench)
app.command("doctor")(doctor_command.doctor)


@sweeps_app.callback()
def _sweep() -> None:
    """Make grids of pictures."""


@app.callback(invoke_without_command=True)
def _root(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if show_version:
        typer.echo(f"sidelight {version('sidelight')}")
        raise typer.Exit


def main() -> None:
    """Entry point: errors a person can fix become one line on stderr and their exit code."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        os.environ["SIDELIGHT_OFFLINE"] = "1"  # a person's own wish, which the next line would hide
    local_and_quiet()
    try:
        app()
    except SidelightError as error:
        typer.echo(f"sidelight: {error}", err=True)
        sys.exit(error.exit_code)
