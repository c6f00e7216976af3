"""`sidelight bench`: how much faster than a plain diffusers loop, here and now. Knows nothing about how it is timed."""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.checkpoint import Checkpoint, find
from pipelines.draft import Draft
from pipelines.errors import InputError
from pipelines.recipe import FamilyName
from sweeps.prepare import Prepared, prepare
from sweeps.sweep import from_flags

if TYPE_CHECKING:
    from workbench.bench_repair import FacePass
    from workbench.bench_result import Outcome

DEMOS: Mapping[FamilyName, str] = {"sdxl": "demo-sdxl", "flux": "demo-flux"}
SCHEDULERS: Mapping[FamilyName, str] = {"sdxl": "euler, dpmpp-2m-karras", "flux": "euler, dpmpp-2m"}
CELLS: Mapping[str, Mapping[str, str]] = {
    "small": {"guidance": "3, 6", "steps": "4, 6"},
    "g8": {"guidance": "3, 6", "steps": "24, 32"},
    "g50": {"guidance": "2..8/5", "steps": "20..40:5"},
}
FACE_STEPS = 28
"""Of the picture and its repair with --face-pass: what people use; strength 0.4 walks 11 of them."""
PROMPT = "portrait of a woman, side light from the left, textured skin, pores"
WITHOUT_WEIGHTS = (
    "Random weights of the real size (speed does not depend on them); the pictures are noise and say nothing about "
    "quality."
)


def bench(
    family: Annotated[str | None, typer.Option(help="sdxl or flux; both if left out.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="A checkpoint; the demo ones if left out.")] = None,
    full_size: Annotated[bool, typer.Option("--full-size", help="Real size, random weights.")] = False,
    size: Annotated[int | None, typer.Option(help="Pixels on a side; the checkpoint's own if left out.")] = None,
    cells: Annotated[str, typer.Option(help="small (8 cells, 4 and 6 steps), g8 (24 and 32 steps) or g50.")] = "small",
    face_pass: Annotated[
        bool, typer.Option("--face-pass", help="Instead: repairing one face against making the picture again.")
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, help="How often each side makes all cells.")] = 3,
    lanes: Annotated[int | None, typer.Option(help="Pictures side by side.")] = None,
    compiled: Annotated[str | None, typer.Option("--compile", help="off or regional; the plain loop never is.")] = None,
    device: Annotated[str | None, typer.Option(help="cuda, mps or cpu; the best one there is if left out.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16, of both sides.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time a plain diffusers loop against Sidelight on the same cells, in turn, and print the ratio.

    \f
    Raises SidelightError, which `main` prints.
    """
    if cells not in CELLS:
        raise InputError(f"cells {cells} are not known; allowed: {', '.join(CELLS)}")
    asked = {"lanes": lanes, "compile": compiled, "device": device, "dtype": dtype}
    today, told = str(date.today()), []
    for one in _contestants(family, checkpoint, full_size, device):
        if face_pass:
            found = _face_pass(one, size, repeats=repeats, asked=asked, quiet=as_json, random=full_size)
            told.append(_told_of_pass(found, today, as_json))
            continue
        outcome = _outcome(_prepared(one, cells, size, asked), repeats=repeats, quiet=as_json, random=full_size)
        told.append(_told(outcome, today, full_size, as_json))
    if as_json:
        typer.echo(json.dumps(told))


def _face_pass(
    checkpoint: Checkpoint, size: int | None, *, repeats: int, asked: Mapping[str, Any], quiet: bool, random: bool
) -> "FacePass":
    from workbench.bench_repair import FacePass, Repaired, compare  # loads torch
    from workbench.bench_weights import RandomParts, ResidentParts

    draft = Draft(checkpoint=checkpoint.name, prompt=PROMPT, seed=7, steps=FACE_STEPS, width=size, height=size)
    open_parts = RandomParts if random else ResidentParts
    for found in compare(checkpoint, draft, repeats=repeats, asked=asked, open_parts=open_parts):
        match found:
            case FacePass():
                return found
            case Repaired(number, of, whole, face) if not quiet:
                told = f"whole picture {whole.seconds:.2f} s, face pass {face.seconds:.2f} s"
                typer.echo(f"repeat {number} of {of}: {told}", err=True)
    raise AssertionError("a comparison ends in what it found")


def _told_of_pass(found: "FacePass", today: str, as_json: bool) -> dict[str, Any]:
    from workbench.bench_repair import as_dict, as_text

    if not as_json:
        typer.echo(as_text(found, today))
    return as_dict(found, today)


def _contestants(family: str | None, name: str | None, full_size: bool, device: str | None) -> list[Checkpoint]:
    """The checkpoints to time; raises InputError for what does not go together."""
    families = [known for known in DEMOS if family in (None, known)]
    if not families:
        raise InputError(f"family {family} is not known; allowed: {', '.join(DEMOS)}")
    if name and (family or full_size):
        other = "--family" if family else "--full-size"
        raise InputError(f"--checkpoint {name} is given beside {other}; give one of them")
    if not full_size:
        return [find(name)] if name else [find(DEMOS[known]) for known in families]
    if len(families) > 1:
        raise InputError("--full-size needs --family sdxl or --family flux: both do not fit one GPU")
    import torch

    if device == "cpu" or not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        raise InputError("--full-size needs a GPU, a CPU would take hours; leave it out for the demo checkpoints")
    from workbench.bench_weights import full_size as opened

    return [opened(families[0])]


def _prepared(checkpoint: Checkpoint, cells: str, size: int | None, asked: Mapping[str, Any]) -> Prepared:
    """The cells as a sweep would run them: same checks, same numerics, same lanes."""
    given = {
        "checkpoint": [checkpoint.name],
        "prompt": [PROMPT],
        "seed": ["7"],
        **{field: [values] for field, values in CELLS[cells].items()},
        "scheduler": [SCHEDULERS[checkpoint.family]],
        **({"width": [str(size)], "height": [str(size)]} if size else {}),
    }
    with TemporaryDirectory() as nowhere:
        return prepare(from_flags("bench", given), Path(nowhere), asked=asked, lookup=lambda _: checkpoint)


def _outcome(prepared: Prepared, *, repeats: int, quiet: bool, random: bool) -> "Outcome":
    from workbench.bench import compare  # loads torch
    from workbench.bench_result import Outcome, Round, Warmed
    from workbench.bench_weights import RandomParts, ResidentParts

    for found in compare(prepared, repeats=repeats, open_parts=RandomParts if random else ResidentParts):
        match found:
            case Outcome():
                return found
            case Warmed(seconds) if not quiet:
                typer.echo(f"warmed up in {seconds:.1f} s", err=True)
            case Round(number, of, plain, ours) if not quiet:
                typer.echo(f"repeat {number} of {of}: plain loop {plain:.2f} s, Sidelight {ours:.2f} s", err=True)
    raise AssertionError("a comparison ends in its outcome")


def _told(outcome: "Outcome", today: str, random: bool, as_json: bool) -> dict[str, Any]:
    from workbench.bench_result import as_dict, as_text

    if not as_json:
        typer.echo(f"{as_text(outcome, today)}\n" + (f"{WITHOUT_WEIGHTS}\n" if random else ""))
    return {**as_dict(outcome, today), "random_weights": random}
