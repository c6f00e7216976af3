"""`sidelight face repair`: passes over a face, each a run like any other. Knows nothing about masks or pixels.

Every pass goes through the same functions as `sidelight sweep run`, so that it resumes, queues and reports alike.
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.errors import InputError
from pipelines.store import Sidecar, Store
from sweeps import prepare as preparing
from sweeps.axes import KINDS, read_values
from sweeps.plan import Cell
from sweeps.prepare import Prepared
from sweeps.sweep import Sweep
from workbench import face_passes, notes_flag
from workbench.face_passes import Source
from workbench.sweep_commands import RUNS, Given, asked_numerics, follow, into_queue, print_plan, summary


def _values(text: str) -> Any:
    return typer.Option(metavar="VALUES", help=text)


def repair(
    file: Annotated[Path, typer.Argument(help="The picture; it stays as it is.")],
    mask: Annotated[list[str], typer.Option(help="Regions ('face1.skin; feather 0.06') or a PNG; more are an axis.")],
    then: Annotated[list[str] | None, typer.Option(help="Mask of a further pass, from the one before.")] = None,
    each: Annotated[bool, typer.Option("--each", help="'faces.' in a mask: every face in a pass of its own.")] = False,
    strength: Annotated[
        Given, _values("One by the task if left out (skin, neck 0.45; eyes, mouth 0.35); several make a grid.")
    ] = None,
    context: Annotated[Given, _values("How much around the mask is seen, in shares of its longer side; 0.35.")] = None,
    checkpoint: Annotated[Given, _values("What repairs; the picture's own if left out.")] = None,
    prompt: Annotated[Given, _values("Instead of the words made from the picture's own; @FILE has one a line.")] = None,
    negative: Annotated[Given, _values("What is not wanted; SDXL.")] = None,
    seed: Annotated[Given, _values("0 to 2^64-1.")] = None,
    steps: Annotated[Given, _values("Steps of the scheduler; strength is the share that is walked.")] = None,
    guidance: Annotated[Given, _values("As for a picture.")] = None,
    scheduler: Annotated[Given, _values("Any tool's name of it.")] = None,
    width: Annotated[Given, _values("Pixels; with height the area that is worked at, in the mask's shape.")] = None,
    height: Annotated[Given, _values("Pixels.")] = None,
    reference: Annotated[Given, _values("Photograph whose skin pulls.")] = None,
    reference_weight: Annotated[Given, _values("How strongly: 0.4 to 0.6, 0.5 if left out.")] = None,
    reference_role: Annotated[Given, _values("skin, the one that a repair knows.")] = None,
    reference_by: Annotated[Given, _values("bands, ip-adapter, redux, kontext or images; chosen if left out.")] = None,
    from_note: Annotated[bool, typer.Option("--from-note", help=notes_flag.HELP)] = False,
    name: Annotated[str, typer.Option(help="Name of the sweep; its run folder is called after it.")] = "",
    out: Annotated[Path | None, typer.Option(help="Run folder; further passes get -2, -3 behind it.")] = None,
    runs: Annotated[Path, typer.Option(help="Where run folders are made.")] = RUNS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print words and plan, make nothing.")] = False,
    queue: Annotated[bool, typer.Option("--queue", help="Leave it to the worker; one pass only.")] = False,
    exact: Annotated[bool, typer.Option("--exact", help="One cell at a time.")] = False,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    attention: Annotated[str | None, typer.Option(help="sdpa or xformers.")] = None,
    lanes: Annotated[int | None, typer.Option(help="Pictures side by side.")] = None,
    offload: Annotated[str | None, typer.Option(help="none, model or group.")] = None,
    compiled: Annotated[str | None, typer.Option("--compile", help="off or regional.")] = None,
    new_numerics: Annotated[bool, typer.Option("--new-numerics", help="Decide device and rows anew; marked.")] = False,
    keep_failed: Annotated[bool, typer.Option("--keep-failed", help="Do not try failed cells again.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan or the result as JSON.")] = False,
) -> None:
    """Repaint only what a mask covers; every sample outside it stays, and that is checked and said.

    Checkpoint, scheduler and words come from the picture's own recipe where it has one. Values are written as in
    `sweep run`: --strength 0.35..0.5:0.05 makes four pictures. Passes of --then begin from the picture before them.
    The same command again finishes what was cut short.

    Example: sidelight face repair group.jpg --mask 'face2.skin; feather 0.06' --strength 0.35..0.5:0.05 --checkpoint
    realvis-xl-v5

    One after the other: sidelight face repair portrait.png --mask 'face1.skin; feather 0.06' --then face1.eyes
    """
    said = dict(locals())
    source = face_passes.source(file, _first_checkpoint(checkpoint))
    if from_note:
        source = _from_note(source, said)
    found = _faces(file) if each else None
    asked = face_passes.passes(mask, then or [], faces=found)
    sweeps = [_sweep(source, masks, said, start=file, several=len(asked) > 1) for masks in asked]
    face_passes.refuse_grids(sweeps)
    if queue and len(asked) > 1:
        raise InputError(f"--queue takes one pass, {len(asked)} are asked for; leave it out, or queue them in turn")
    first = _prepared(sweeps[0], said, 0)
    notes = face_passes.references_told(first.cells.cells, first.images.files)
    for sweep in sweeps[1:]:
        preparing.ask(sweep)  # what is wrong with a later pass is said before the first is made
    if not (quiet or as_json):
        _tell_before(source, asked, sweeps)
        for note in notes:
            typer.echo(f"note: {note}", err=True)
    if dry_run or queue:
        into_queue(first, said) if queue else print_plan(first, as_json)
        if further := len(asked) - 1:
            typer.echo(f"{further} further {'pass' if further == 1 else 'passes'}, each from the one before", err=True)
        return
    told = _made(source, asked, said, first=first)
    if as_json:
        typer.echo(json.dumps({"file": str(file), "passes": told}, ensure_ascii=False))
    if any(one["failed"] for one in told):
        raise typer.Exit(1)


def _from_note(source: Source, said: dict[str, Any]) -> Source:
    """With the settings that neither the picture nor a flag says; its words stay those of the repair."""
    if len(given := read_values("checkpoint", said["checkpoint"] or [source.base.checkpoint])) > 1:
        raise InputError(
            f"--from-note takes one checkpoint, not {', '.join(map(str, given))}; repair with each in turn"
        )
    flags = [field for field in KINDS if said.get(field)]
    return replace(source, base=notes_flag.numbers_from_note(source.base, flags, quiet=said["quiet"]))


def _made(
    source: Source, asked: Sequence[tuple[str, ...]], said: dict[str, Any], *, first: Prepared
) -> list[dict[str, Any]]:
    """Run the passes in turn, each from the picture of the one before; stops after one that failed."""
    told: list[dict[str, Any]] = []
    start, prepared = source.file, first
    is_silent = said["quiet"] or said["as_json"]
    for number, masks in enumerate(asked):
        if number:
            prepared = _prepared(_sweep(source, masks, said, start=start, several=True), said, number)
        finished = follow(prepared, quiet=is_silent, retry_failed=not said["keep_failed"])
        store = Store(prepared.folder)
        kept = [(cell, store.sidecar(cell.recipe.key)) for cell in _done(prepared, store)]
        pictures = [_as_dict(cell, sidecar, prepared, store) for cell, sidecar in kept]
        told.append({**summary(prepared, finished), "mask": list(masks), "pictures": pictures})
        if pictures and not is_silent:
            typer.echo("\n".join(_proven(pictures)))
        if finished.failed:
            break
        if number + 1 == len(asked) and pictures and not is_silent:
            typer.echo(_way_on(pictures[0], start, prepared.folder))
        start = store.path(kept[0][1].key)
    return told


def _sweep(source: Source, masks: tuple[str, ...], said: dict[str, Any], *, start: Path, several: bool) -> Sweep:
    given = {field: said[field] for field in KINDS if said.get(field) and field != "mask"}
    if "start" in given.get("reference_role", ()):
        raise InputError(
            f"--reference-role start: a repair begins from {source.file} itself; leave the role out for the "
            "reference's skin, or repair the reference: sidelight face repair REF --mask ..."
        )
    title = face_passes.titled(source.file, masks)
    if said["name"]:
        title = f"{said['name']} {masks[0].partition(';')[0].strip()}" if several else said["name"]
    return face_passes.repair_sweep(source, masks, start=start, given=given, name=title)


def _prepared(sweep: Sweep, said: dict[str, Any], number: int) -> Prepared:
    out: Path | None = said["out"]
    if out and number:
        out = out.with_name(f"{out.name}-{number + 1}")
    folder = out or face_passes.folder(said["runs"].expanduser(), sweep, str(date.today()))
    return preparing.prepare(sweep, folder, asked=asked_numerics(said), new_numerics=said["new_numerics"])


def _first_checkpoint(given: list[str] | None) -> str | None:
    return str(read_values("checkpoint", given)[0]) if given else None


def _faces(file: Path) -> int:
    from pipelines.raster import open_raster, rgb8
    from pipelines.regions import face_map
    from workbench.face_told import none_found

    found = len(face_map(rgb8(open_raster(file))).faces)
    if not found:
        raise InputError(none_found(file, everywhere=False))
    return found


def _tell_before(source: Source, asked: Sequence[tuple[str, ...]], sweeps: Sequence[Sweep]) -> None:
    """Words of every pass, and whether a new picture would be the better way."""
    for line in source.told:
        typer.echo(f"{source.file.name}: {line}", err=True)
    for masks, sweep in zip(asked, sweeps, strict=True):
        typer.echo(f"{' | '.join(masks)}: {sweep.base.prompt}", err=True)
        if sweep.base.negative:
            typer.echo(f"  without: {sweep.base.negative}", err=True)
    if flat := face_passes.light_is_flat(source, asked[0][0]):
        typer.echo(f"note: {flat}", err=True)


def _done(prepared: Prepared, store: Store) -> list[Cell]:
    there = set(store.keys())
    return [cell for cell in prepared.cells.cells if cell.recipe.key in there]


def _as_dict(cell: Cell, sidecar: Sidecar, prepared: Prepared, store: Store) -> dict[str, Any]:
    steps = zip(prepared.sweep.axes, cell.places[0], strict=True)
    mask = sidecar.recipe.mask
    return {
        "key": sidecar.key,
        "values": {axis.name: axis.labels[at] for axis, at in steps},
        "picture": str(store.path(sidecar.key)),
        "mask": str(prepared.folder / "inputs" / f"{mask.image}.png") if mask else "",
        "proof": sidecar.facts.proof.model_dump() if sidecar.facts.proof else None,
        "pull": [{**pull.model_dump(), "verdict": pull.verdict} for pull in sidecar.facts.pull],
        "warnings": list(sidecar.facts.warnings),
    }


def _proven(pictures: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of every picture: what the proof says, where it lies, how far a reference pulled it."""
    from workbench.history import grouped

    lines = []
    for each in pictures:
        values = ", ".join(f"{name} {value}" for name, value in each["values"].items())
        proof = each["proof"]
        proved = f"{grouped(proof['changed_outside'])} of {grouped(proof['outside'])} samples outside the mask changed"
        lines += [f"{values}: {proved}" if values else proved, f"  {each['picture']}"]
        lines += [f"  reference: {pull['verdict']}" for pull in each["pull"]]
    return lines


def _way_on(picture: dict[str, Any], start: Path, folder: Path) -> str:
    """How to compare, accept, prove and undo, with the first picture's commands."""
    file, key = shlex.quote(picture["picture"]), picture["key"]
    verify = shlex.join(["sidelight", "face", "verify", str(start), picture["picture"], picture["mask"]])
    return (
        "compare:  sidelight serve, tabs Face and Compare; or the contact sheet\n"
        f"accept:   sidelight mark {shlex.quote(str(folder))} {key} --pick\n"
        f"verify:   {verify}\n"
        f"undo:     what it began from stays as it is: sidelight picture history {file}"
    )
