"""`sidelight advise`: what is wrong with a picture, in the order that saves work, and the job that mends it.

Knows no rule: it prints what `workbench.advice` says, and runs exactly the command that it prints.
"""

import json
import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.errors import InputError
from workbench.read_command import shown

if TYPE_CHECKING:
    from workbench.advice import Advice, Step
    from workbench.advice_facts import Facts
    from workbench.notes_data import Note

MOST_WIDE = 100


def advise(
    file: Annotated[Path, typer.Argument(help="A picture: Sidelight's, another tool's, or a photograph.")],
    do: Annotated[bool, typer.Option("--do", help="Run the command of the advice, or put it into the queue.")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="With --do: leave it to the worker.")] = False,
    runs: Annotated[Path | None, typer.Option(help="With --do: where run folders are made.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Print every step, not only the first that can work.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is wrong with a picture, in the order that saves work, and what would mend it.

    Light comes before guidance, guidance before steps and words, and finishing last. Every sentence names the measure
    or the recipe field that it rests on. It stops at the first that works; --all shows what comes after.

    Example: sidelight advise portrait.png --all
    """
    from workbench.advice import first
    from workbench.advice_seen import advised

    if not do and (queue or runs):
        raise InputError(f"--{'queue' if queue else 'runs'} is given without --do, and then nothing is made; give both")
    facts, note, advice = advised(file)
    chosen = first(advice)
    if as_json:
        typer.echo(json.dumps(as_dict(facts, note, advice), ensure_ascii=False))
    else:
        typer.echo(shown(text(advice, every=every, note=note)))
    if do:
        _do(chosen, runs, is_queued=queue)


def as_dict(facts: "Facts", note: "Note | None", advice: "Advice") -> dict[str, Any]:
    """For --json and the page: `first` is the place of the advice among the steps, None where nothing can work."""
    from workbench.advice import first

    chosen = first(advice)
    return {
        "file": str(facts.file),
        "faces": len(facts.faces),
        "note": note.checkpoint if note else None,
        "first": advice.index(chosen) if chosen else None,
        "steps": [_step(each) for each in advice],
    }


def text(advice: "Advice", *, every: bool, note: "Note | None") -> str:
    """What there is to know, the advice, and how many steps come after it."""
    from workbench.advice import first

    chosen = first(advice)
    before = advice if chosen is None else advice[: advice.index(chosen)]
    after = () if chosen is None else advice[advice.index(chosen) + 1 :]
    parts = [_lines(each, "  ") for each in before]
    if chosen:
        parts.append(_lines(chosen, "> "))
    if every and after:
        parts += ["only if that did not help:", *(_lines(each, "  ") for each in after)]
    elif after:
        parts.append(f"{len(after)} more, only if that did not help: --all shows them")
    if note:
        parts.append(f"the note of {note.checkpoint} ({note.day}) was read: sidelight notes show {note.checkpoint}")
    return "\n\n".join(parts)


def _step(step: "Step") -> dict[str, Any]:
    job = step.job
    return {
        "problem": step.problem,
        "rests_on": [list(pair) for pair in step.rests_on],
        "remedy": step.remedy,
        "called": step.called,
        "why": step.why,
        "job": job
        and {
            "command": job.text,
            "tab": job.tab,
            "given": {field: list(texts) for field, texts in job.given},
            "masks": list(job.masks),
            "needs": job.needs,
            "keys": list(job.keys),
            "makes": job.makes,
        },
    }


def _lines(step: "Step", mark: str) -> str:
    said = [f"{step.called}: {step.problem}"]
    body = [f"{name}: {value}" for name, value in step.rests_on] + [step.why]
    wide = min(MOST_WIDE, shutil.get_terminal_size().columns)
    lines = [textwrap.fill(said[0], wide, initial_indent=mark, subsequent_indent="  ")]
    lines += [textwrap.fill(each, wide, initial_indent="    ", subsequent_indent="      ") for each in body]
    if step.job:
        lines.append(f"    $ {step.job.text}")
        lines += [f"    needs {step.job.needs}"] if step.job.needs else []
    return "\n".join(lines)


def _do(step: "Step | None", runs: Path | None, *, is_queued: bool) -> None:
    """Run the printed command in this process; its exit code is ours. Raises InputError where there is none to run."""
    if step is None or step.job is None:
        raise InputError("there is nothing to do: no step has a command that mends the picture; see what is said above")
    job = step.job
    if job.needs:
        raise InputError(f"this command needs {job.needs}; run it by hand: {job.text}")
    from workbench.cli import app

    more = [*(["--queue"] if is_queued and job.makes else []), *(["--runs", str(runs)] if runs and job.makes else [])]
    if code := app([*job.command[1:], *more], standalone_mode=False):
        raise typer.Exit(code)
