"""`sidelight queue ...` and `sidelight worker`: seeing what waits and runs, and steering it. Knows no engines."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.errors import InputError
from sweeps.plan import duration
from workbench.jobs import ENDED, OPEN, Job
from workbench.queue import Queue, state_folder
from workbench.watch import IDLE_MINUTES, Living, ensure_worker, living, stop_worker, work_here
from workbench.worker_log import NAME, RAW, last_lines, open_log

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Numbers = Annotated[list[int], typer.Argument(help="Numbers of jobs, as `sidelight queue ls` shows them.")]
SHOWN_ENDED = 5
WIDTH = 80
SIGNS = {"waiting": "waits", "running": "runs"}


def ls(
    every: Annotated[bool, typer.Option("--all", help="Also what ended long ago.")] = False, as_json: AsJson = False
) -> None:
    """List the jobs: what runs, what waits in which order, what is paused, and the last that ended."""
    queue = opened()
    ended = queue.jobs(*ENDED)
    jobs = [*queue.jobs(*OPEN), *(ended if every else ended[:SHOWN_ENDED])]
    who = living(queue)
    if as_json:
        told = {"jobs": list(map(as_dict, jobs)), "worker": asdict(who) if who else None}
        typer.echo(json.dumps(told))
        return
    typer.echo("\n".join(table(jobs)) if jobs else "no jobs; `sidelight sweep run ... --queue` queues a sweep")
    typer.echo(_worker_line(who, jobs))


def pause(
    numbers: Numbers,
    after_cell: Annotated[bool, typer.Option("--after-cell", help="Not before the next picture is whole.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pause jobs; half-made pictures are made again later, with the same bytes."""
    queue = opened()
    _tell([queue.wish(number, "after this cell" if after_cell else "pause") for number in numbers], as_json)


def resume(numbers: Numbers, as_json: AsJson = False) -> None:
    """Let paused jobs wait again, at their old place."""
    queue = opened()
    _tell([queue.resume(number) for number in numbers], as_json)
    ensure_worker(queue)


def cancel(numbers: Numbers, as_json: AsJson = False) -> None:
    """Cancel jobs; their folders and whole pictures stay."""
    queue = opened()
    _tell([queue.wish(number, "cancel") for number in numbers], as_json)


def top(numbers: Numbers, as_json: AsJson = False) -> None:
    """Put waiting jobs before all others, in the order given."""
    queue = opened()
    for number in reversed(numbers):
        queue.top(number)
    _tell([queue.job(number) for number in numbers], as_json)


def move(
    number: Annotated[int, typer.Argument(metavar="JOB", help="A job that waits or is paused.")],
    before: Annotated[int | None, typer.Option(metavar="JOB", help="Put it before this one; else behind all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put a job before another one of its priority, or behind all of them."""
    _tell([opened().move(number, before)], as_json)


def retry(numbers: Numbers, as_json: AsJson = False) -> None:
    """Queue ended jobs again: whole pictures stay, failed and missing cells are made."""
    queue = opened()
    _tell([queue.retry(number) for number in numbers], as_json)
    ensure_worker(queue)


def log(
    lines: Annotated[int, typer.Option(min=0, help="How many of the last lines.")] = 20, as_json: AsJson = False
) -> None:
    """Print where the worker's log lies, and its last lines."""
    path = state_folder() / NAME
    last = last_lines(path, lines)
    if as_json:
        typer.echo(json.dumps({"path": str(path), "output": str(path.with_name(RAW)), "lines": last}))
        return
    typer.echo(f"{path}\n" + ("\n".join(last) if path.is_file() else "nothing is in it: no worker has run yet"))


def worker(
    once: Annotated[bool, typer.Option("--once", help="End when nothing waits.")] = False,
    idle_minutes: Annotated[float, typer.Option(min=0, help="End after so long without a job.")] = IDLE_MINUTES,
    stop: Annotated[bool, typer.Option("--stop", help="End the one that runs; its job waits again.")] = False,
) -> None:
    """Make what is queued, here and in sight. One is started by itself whenever a job is queued and none runs."""
    queue = opened()
    if stop:
        who = stop_worker(queue)
        typer.echo(f"the worker (process {who.pid}) ends after this step" if who else "no worker runs")
        return
    raise typer.Exit(work_here(queue, once=once, idle_minutes=idle_minutes, log=open_log(is_shown=True)))


def opened() -> Queue:
    """This machine's queue; what was found on opening it is said on stderr."""
    queue = Queue()
    for warning in queue.warnings:
        typer.echo(f"warning: {warning}", err=True)
    return queue


def table(jobs: list[Job]) -> list[str]:
    """Lines of at most 80 columns."""
    lines = [f"{'job':>4}  {'state':<9}  {'pictures':>11}  {'failed':>6}  {'left':>10}  name"]
    for job in jobs:
        left = duration(job.seconds_left) if job.seconds_left is not None else ""
        counts = f"{job.done} of {job.cells}"
        state = SIGNS.get(job.state, job.state)
        start = f"{job.id:>4}  {state:<9}  {counts:>11}  {job.failed or '':>6}  {left:>10}  "
        lines.append(start + _cut(job.name, WIDTH - len(start)))
        if remark := (f"asked to {_asked(job)}" if job.wish else job.error):
            lines.append("      " + _cut(remark, WIDTH - 6))
    return lines


def as_dict(job: Job) -> dict[str, Any]:
    """A job for JSON."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(job).items()}


def _asked(job: Job) -> str:
    return "pause after this cell" if job.wish == "after this cell" else job.wish


def _tell(jobs: list[Job], as_json: bool) -> None:
    if not jobs:
        raise InputError("no job is named; `sidelight queue ls` lists them")
    typer.echo(json.dumps({"jobs": list(map(as_dict, jobs))}) if as_json else "\n".join(table(jobs)))


def _worker_line(who: Living | None, jobs: list[Job]) -> str:
    if who:
        return f"worker: process {who.pid} since {who.since}" if who.pid else "worker: just starting"
    if any(job.state == "running" for job in jobs):
        return "worker: none; it died, and its job goes on where it was with `sidelight worker`"
    if any(job.state == "waiting" for job in jobs):
        return "worker: none; start one with `sidelight worker`"
    return "worker: none; one is started when a job is queued"


def _cut(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
