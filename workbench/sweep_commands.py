"""`sidelight sweep run`: words of the command line to a Sweep, a Sweep to a run. Knows nothing about how it is made."""

import json
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines import foreign
from pipelines.device import memory_line
from pipelines.draft import LIGHT, Draft
from pipelines.errors import Cancelled, SweepError
from pipelines.events import Loading
from pipelines.memory import frames
from sweeps import prepare as preparing
from sweeps.axes import KINDS, grammar, read_values
from sweeps.measure import Alongside
from sweeps.plan import outline
from sweeps.prepare import Prepared
from sweeps.run import Finished, run
from sweeps.speed import cost, remember
from sweeps.sweep import Sweep, from_flags, read_toml
from workbench import notes_flag
from workbench.interrupt import Interrupt
from workbench.jobs import Asked, lay_down
from workbench.light_flags import light_fields, with_light_flags
from workbench.progress import ProgressLine
from workbench.queue_commands import as_dict, opened
from workbench.watch import ensure_worker

RUNS = Path("~/Sidelight/runs")
Given = list[str] | None


def _values(text: str) -> Any:
    return typer.Option(metavar="VALUES", help=text)


def sweep_run(
    file: Annotated[Path | None, typer.Argument(help="A sweep.toml, or a run folder to go on with.")] = None,
    checkpoint: Annotated[Given, _values("Name in models.txt, or a diffusers folder.")] = None,
    prompt: Annotated[Given, _values("Text, or @FILE with one a line.")] = None,
    negative: Annotated[Given, _values("What is not wanted; on FLUX only with --true-guidance.")] = None,
    seed: Annotated[Given, _values("0 to 2^64-1.")] = None,
    width: Annotated[Given, _values("Pixels.")] = None,
    height: Annotated[Given, _values("Pixels.")] = None,
    steps: Annotated[Given, _values("Steps of the scheduler.")] = None,
    guidance: Annotated[Given, _values("Classifier-free guidance (SDXL), distilled guidance (FLUX).")] = None,
    true_guidance: Annotated[Given, _values("Classifier-free guidance on FLUX; 1 is off.")] = None,
    guidance_interval: Annotated[Given, _values("Share of the steps in which guidance acts: 0..0.6.")] = None,
    scheduler: Annotated[Given, _values("Any tool's name of it; `sidelight schedulers` lists them.")] = None,
    spacing: Annotated[Given, _values("leading, trailing or linspace; as shipped if left out.")] = None,
    clip_skip: Annotated[Given, _values("Last layers of SDXL's text encoders to skip.")] = None,
    text_tokens: Annotated[Given, _values("Padding of FLUX's prompt, up to 512.")] = None,
    variation: Annotated[Given, _values("Tells equal requests to a model without a seed apart.")] = None,
    start: Annotated[Given, _values("Image file that img2img and inpainting begin from.")] = None,
    strength: Annotated[Given, _values("Denoising strength, 0 to 1; 0.4 to 0.6 keeps the face.")] = None,
    mask: Annotated[Given, _values("Image file (white is repainted), or 'face1.skin; feather 0.06'.")] = None,
    context: Annotated[
        Given, _values("Work on the mask's surroundings alone: this share of it more on each side.")
    ] = None,
    reference: Annotated[Given, _values("Photograph whose skin pulls the picture: texture, not the face.")] = None,
    reference_weight: Annotated[Given, _values("How strongly, 0 to 1; 0.4 to 0.6 is the normal range.")] = None,
    reference_role: Annotated[Given, _values("skin (texture) or start (img2img from it).")] = None,
    reference_by: Annotated[Given, _values("bands, ip-adapter, redux, kontext or images; chosen if left out.")] = None,
    loras: Annotated[Given, _values("Names or files with weights: none,film:0.4..1:0.2,film:0.8+skin:0.5.")] = None,
    light: Annotated[Given, _values("Light template that writes the prompt; `sidelight prompt list`.")] = None,
    subject: Annotated[Given, _values("Who is lit, with --light.")] = None,
    like: Annotated[
        Path | None, typer.Option(help="Start from this picture's recipe, Sidelight's or another tool's.")
    ] = None,
    replace: Annotated[list[str] | None, typer.Option(help="Vary words: 'old => new | other'.")] = None,
    zips: Annotated[list[str] | None, typer.Option("--zip", help="Axes that walk together: 'width, height'.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Keep cells: 'guidance <= 4 or steps >= 20'.")] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Drop cells, same grammar.")] = None,
    from_note: Annotated[bool, typer.Option("--from-note", help=notes_flag.HELP)] = False,
    name: Annotated[str, typer.Option(help="Name of the sweep; its run folder is called after it.")] = "",
    out: Annotated[Path | None, typer.Option(help="Run folder; the same folder again goes on there.")] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders are made.")] = RUNS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, make nothing.")] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Leave it to the worker: print the job's number and return.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="One cell at a time, bit-equal to the stock pipeline.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu; the best one there is if left out.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    attention: Annotated[str | None, typer.Option(help="sdpa or xformers.")] = None,
    lanes: Annotated[int | None, typer.Option(help="Pictures side by side.")] = None,
    offload: Annotated[
        str | None, typer.Option(help="none, model or group: what leaves the GPU to save memory.")
    ] = None,
    compiled: Annotated[str | None, typer.Option("--compile", help="off or regional.")] = None,
    new_numerics: Annotated[bool, typer.Option("--new-numerics", help="Decide device and rows anew; marked.")] = False,
    keep_failed: Annotated[bool, typer.Option("--keep-failed", help="Do not try failed cells again.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan or the result as JSON.")] = False,
    **fields: Given,
) -> None:
    """Make a grid of pictures; the same command again goes on where it stopped."""
    said = dict(locals()) | {LIGHT + name: values for name, values in light_fields(fields).items()}
    prepared = _prepared(said)
    if dry_run:
        print_plan(prepared, as_json)
    elif queue:
        into_queue(prepared, said)
    else:
        _make(prepared, quiet=quiet, retry_failed=not keep_failed, as_json=as_json)


with_light_flags(sweep_run, Given, metavar="VALUES")
sweep_run.__doc__ = f"{sweep_run.__doc__}\n\n\b\n{grammar()}"  # \b: click keeps its lines


def _prepared(said: dict[str, Any]) -> Prepared:
    """What the flags ask for, by the names of `sweep_run`'s arguments."""
    file: Path | None = said["file"]
    sweep = _sweep(file, said)
    if said["from_note"]:
        sweep = notes_flag.from_notes(sweep, run=file if file and file.is_dir() else None, quiet=said["quiet"])
    if file and file.is_dir():
        folder = file
    else:
        folder = said["out"] or preparing.run_folder(said["runs"].expanduser(), sweep, str(date.today()))
    return preparing.prepare(sweep, folder, asked=asked_numerics(said), new_numerics=said["new_numerics"])


def asked_numerics(said: dict[str, Any]) -> dict[str, Any]:
    """The numerics that the flags ask for, by field name; None where they do not."""
    asked = {name: said[name] for name in ("device", "dtype", "attention", "lanes", "offload")}
    return asked | {"compile": said["compiled"]} | ({"lanes": 1} if said["exact"] else {})


def _sweep(file: Path | None, said: dict[str, Any]) -> Sweep:
    given = {field: value for field, value in said.items() if field in KINDS and value}
    replace, zips, where, skip = (said[name] or [] for name in ("replace", "zips", "where", "skip"))
    if file is None:
        like = _like(said["like"], given)
        if not given.get("checkpoint") and like is None:
            raise SweepError("no checkpoint is given; say --checkpoint demo-sdxl, or give a sweep.toml")
        name = said["name"] or _name(given, like)
        return from_flags(name, given, replace=replace, zips=zips, where=where, skip=skip, like=like)
    if flags := [*given, *(name for name in ("replace", "zips", "where", "skip", "like") if said[name])]:
        raise SweepError(f"--{flags[0].replace('_', '-')} is given beside {file}; change the file, or give flags alone")
    sweep = read_toml(file / preparing.SWEEP if file.is_dir() else file)
    return sweep.but(name=said["name"]) if said["name"] else sweep


def _like(file: Path | None, given: dict[str, list[str]]) -> Draft | None:
    """What the picture says of itself, for the checkpoint that is named beside it, if one is."""
    if file is None:
        return None
    read = foreign.read(file)
    told = [*read.warnings]
    if read.unmapped:
        told.append(f"{len(read.unmapped)} of its values have no place here: `sidelight picture read {file}`")
    for line in told:
        typer.echo(f"{file.name}: {line}", err=True)
    named = read_values("checkpoint", given["checkpoint"]) if given.get("checkpoint") else ()
    draft = foreign.draft(read, next(map(str, named), None))
    return draft.but(prompt="", negative=None) if given.get("light") else draft  # the light writes them anew


def _name(given: dict[str, list[str]], like: Draft | None) -> str:
    texts = [*given.get("light", []), *given.get("subject", []), *given.get("prompt", [])]
    words = " ".join(texts or ([like.prompt] if like else [])).split()[:6]
    return " ".join(words) or "untitled"


def _make(prepared: Prepared, *, quiet: bool, retry_failed: bool, as_json: bool) -> None:
    finished = follow(prepared, quiet=quiet or as_json, retry_failed=retry_failed)
    if as_json:
        typer.echo(json.dumps(summary(prepared, finished)))
    if finished.failed:
        raise typer.Exit(1)


def follow(prepared: Prepared, *, quiet: bool, retry_failed: bool) -> Finished:
    from sweeps.engines import device_lock, open_engine  # loads torch

    work = {entry.key: entry.row_evaluations for entry in prepared.plan.entries if entry.key in prepared.keys}
    line = ProgressLine(work, quiet=quiet)
    again = f"sidelight sweep run {prepared.folder}"
    finished: Finished | None = None
    made = run(prepared, open_engine=open_engine, retry_failed=retry_failed, measuring=Alongside(prepared.folder))
    with device_lock(prepared.numerics.now), Interrupt() as interrupt, line, remember(prepared) as speed:
        try:
            with closing(made) as happenings:
                for happening in happenings:
                    line.follow(happening)
                    speed.follow(happening)
                    interrupt.at_once = isinstance(happening, Loading)
                    if isinstance(happening, Finished):
                        finished = happening
                    elif interrupt.asked:
                        break
        except KeyboardInterrupt:
            finished = None
    if finished is None:
        raise Cancelled(f"stopped; what is whole is kept. Go on with: {again}")
    return finished


def into_queue(prepared: Prepared, said: dict[str, Any]) -> None:
    """Write the run's sweep, put the run into the queue, and see that a worker lives."""
    queue = opened()
    asked = Asked(
        prepared.folder,
        prepared.sweep.name,
        cells=len(prepared.keys),
        numerics=asked_numerics(said),
        new_numerics=said["new_numerics"],
        keep_failed=said["keep_failed"],
    )
    queue.refuse_twice(asked.folder)
    lay_down(preparing.self_contained(prepared.sweep, prepared.images), asked.folder, prepared.images)
    job = queue.add(asked)
    ensure_worker(queue)
    if said["as_json"]:
        typer.echo(json.dumps(as_dict(job)))
    elif not said["quiet"]:
        typer.echo(f"job {job.id}: {job.cells} pictures in {job.folder}; `sidelight queue ls` shows how far it is")


def print_plan(prepared: Prepared, as_json: bool) -> None:
    plan = prepared.plan.only(prepared.keys)
    told = outline(prepared.cells, plan, cost(prepared, plan))
    numerics = prepared.numerics.now
    if as_json:
        typer.echo(json.dumps({**told.as_dict(), "folder": str(prepared.folder), "numerics": numerics.model_dump()}))
        return
    typer.echo(f"{prepared.folder}\n{told.text()}")
    typer.echo(memory_line(frames(prepared.recipes.values(), prepared.checkpoints), numerics))
    for name, reason in dict(numerics.reasons).items():
        typer.echo(f"{name} {getattr(numerics, name)}: {reason}")


def summary(prepared: Prepared, finished: Finished) -> dict[str, Any]:
    return {
        "folder": str(prepared.folder),
        "cells": len(prepared.keys),
        "made": finished.made,
        "failed": finished.failed,
        "report": str(finished.report),
        "contact_sheet": str(finished.sheet),
    }
