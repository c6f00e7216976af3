"""`sidelight doctor`: the first thing to ask a user for. Knows nothing about how anything is probed."""

import json
import textwrap
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from workbench import doctor_kernels as kernels
from workbench import doctor_machine as machine
from workbench import doctor_models as checkpoints
from workbench.doctor import Report, Section, examined, private
from workbench.sweep_commands import RUNS

WIDTH, NAMES = 80, 16  # columns of a terminal and of an issue's text, and of the names


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what takes seconds: quantisation, timing.")] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Read every byte of every checkpoint and really compile something.")
    ] = False,
    runs: Annotated[Path, typer.Option("--runs", help="Where run folders are made.")] = RUNS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is here, what works, what fits, how fast, and what to change; exit code 1 if something is broken.

    Nothing private is printed: it can be pasted into an issue as it is.
    """
    report = Report(examine(quick=quick, thorough=thorough, runs=runs))
    typer.echo(json.dumps(report.as_dict()) if as_json else shown(report))
    if report.broken:
        raise typer.Exit(1)


def examine(*, quick: bool, thorough: bool, runs: Path = RUNS) -> tuple[Section, ...]:
    """Every section, in the order in which they are read."""
    quantisation = {} if quick else {"quantisation": kernels.quantisation}
    compiling = {"compile": kernels.compiling} if thorough else {}
    timing = {} if quick else {"timing": checkpoints.measured}
    return (
        examined("system", {"system": machine.system, "torch build": machine.torch_build}),
        examined("hardware", {"GPU": machine.gpus, "processor": machine.processor, "memory": machine.memory}),
        examined("kernels", {"attention": kernels.attention, **quantisation, **compiling}),
        examined("disk", {"disk": partial(machine.disk, machine.places(runs))}),
        examined("models", {"models": partial(checkpoints.models, thorough=thorough)}),
        examined("what fits", {"what fits": checkpoints.fits}),
        examined("speed", {"speed": checkpoints.remembered, **timing}),
    )


def shown(report: Report) -> str:
    """The report for people: the verdict first, 80 columns, what to change last."""
    lines = textwrap.wrap(private(report.verdict), WIDTH)
    marks = {"fine": "", "remark": "! ", "broken": "BROKEN: "}
    for section in report.sections:
        lines += ["", section.title.upper()]
        for one in section.findings:
            lines += _entry(private(one.name), private(marks[one.state] + one.text))
    if report.advice:
        lines += ["", "WHAT TO CHANGE"]
        for advice in report.advice:
            lines += textwrap.wrap(private(advice), WIDTH, initial_indent="- ", subsequent_indent="  ")
    return "\n".join(lines)


def _entry(name: str, text: str) -> list[str]:
    """A name and its text beside it; a long name has a line of its own."""
    first = f"  {name:<{NAMES}}" if len(name) < NAMES else ""
    wrapped = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first or " " * (NAMES + 2),
        subsequent_indent=" " * (NAMES + 2),
        break_on_hyphens=False,
    )
    return wrapped if first else [f"  {name}", *wrapped]
