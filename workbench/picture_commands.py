"""`sidelight picture show|again|history`: what a picture says of itself, its ancestors, making it again.

Knows nothing about sweeps.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines import metadata
from pipelines.checkpoint import Checkpoint, find
from pipelines.device import honour
from pipelines.errors import CheckpointError, InputError
from pipelines.files import put
from pipelines.metadata import Embedded
from pipelines.recipe import Recipe, Weights
from sweeps.inputs import INPUTS
from workbench.history import as_dict, chain, drawn
from workbench.sweep_commands import RUNS

File = Annotated[Path, typer.Argument(help="A PNG made by Sidelight.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(file: File, as_json: AsJson = False) -> None:
    """Print the recipe of a picture: what made it, with which numerics, in which lane."""
    embedded = _embedded(file)
    if as_json:
        typer.echo(json.dumps({"key": embedded.recipe.key, **embedded.model_dump(mode="json")}))
        return
    numerics = embedded.numerics
    typer.echo(metadata.caption(embedded.recipe))
    typer.echo(
        f"made on {numerics.device} in {numerics.dtype}, lane {embedded.lane + 1} of {numerics.lanes}, "
        f"{numerics.lane_width} rows each (numerics {numerics.digest})"
    )


def again(
    file: File,
    out: Annotated[Path | None, typer.Option(help="Keep the new picture here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a picture again, with its own numerics and lane, and say whether the bytes are equal.

    A repair needs the inputs/ of its run beside the pictures/ it lies in.
    """
    if out and out.resolve() == file.resolve():
        raise InputError(f"--out {out} is the picture itself; give another file, so that both can be compared")
    embedded = _embedded(file)
    honour(embedded.numerics)
    png = _made_again(embedded, file)
    is_equal = png == file.read_bytes()
    if out:
        put({out: png})
    told = {"file": str(file), "key": embedded.recipe.key, "bytes_equal": is_equal}
    verdict = "every byte is equal" if is_equal else f"the bytes differ: {_difference(png, file)}"
    typer.echo(json.dumps(told) if as_json else f"{embedded.recipe.key}: made again, {verdict}")
    if not is_equal:
        raise typer.Exit(1)


def history(
    file: Annotated[Path, typer.Argument(help="A picture, Sidelight's or any other.")],
    runs: Annotated[Path, typer.Option(help="Where the run folders lie.")] = RUNS,
    as_json: AsJson = False,
) -> None:
    """Draw which picture was made from which: repairs back to the first one, with mask, strength and proof."""
    links = chain(file, runs.expanduser())
    typer.echo(json.dumps([as_dict(link) for link in links], ensure_ascii=False) if as_json else drawn(links))


def _embedded(file: Path) -> Embedded:
    embedded = metadata.read(file)
    if embedded is None:
        raise InputError(f"{file} holds no Sidelight recipe; give a picture from a run's pictures/ folder")
    return embedded


def _made_again(embedded: Embedded, file: Path) -> bytes:
    """The PNG of the same recipe, in the same slot of a forward of as many rows."""
    from pipelines.events import Failed, Made
    from pipelines.store import Store
    from sweeps.engines import device_lock, open_engine
    from sweeps.finished import finished

    recipe = embedded.recipe
    run = file.resolve().parent.parent
    if missing := [name for name in _images(recipe) if not (run / INPUTS / f"{name}.png").is_file()]:
        raise InputError(
            f"{file} was made from pictures that are not beside it ({missing[0][:12]}.png in {run / INPUTS}); "
            "give the picture in its own run folder"
        )
    lanes = [[recipe] if lane == embedded.lane else [] for lane in range(embedded.numerics.lanes)]
    store = Store(run)
    with device_lock(embedded.numerics):
        for event in open_engine(_checkpoint(embedded), embedded.numerics, store).run(lanes):
            if isinstance(event, Failed):
                raise InputError(f"{recipe.key} cannot be made again: {event.reason}")
            if isinstance(event, Made):
                return finished(event, recipe, store).png
    raise AssertionError("an engine ended without making or failing its one picture")


def _images(recipe: Recipe) -> tuple[str, ...]:
    """Content hashes of the pictures that a recipe names."""
    own = [each.image for each in (recipe.start, recipe.mask) if each]
    return (*own, *(reference.image for reference in recipe.references))


def _checkpoint(embedded: Embedded) -> Checkpoint:
    wanted = embedded.recipe.checkpoint
    checkpoint = find(wanted.name)
    if checkpoint.weights.identity != wanted.identity:
        raise CheckpointError(
            f"checkpoint {wanted.name} here is {_short(checkpoint.weights)}, the picture was made with "
            f"{_short(wanted)}; put those weights back to make it again"
        )
    return checkpoint


def _short(weights: Weights) -> str:
    return f"{weights.digest[:12]} {weights.quantisation}".strip()


def _difference(png: bytes, file: Path) -> str:
    import io

    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(png)) as new, Image.open(file) as old:
        gap = np.abs(np.asarray(new, dtype=np.int16) - np.asarray(old, dtype=np.int16))
    if not gap.any():
        return "every pixel is equal, the file around them is not (another Pillow or zlib packs it otherwise)"
    return f"{(gap > 0).mean():.2%} of the values, by up to {gap.max()} of 255 levels"
