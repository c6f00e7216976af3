"""`sidelight face find|mask|verify`: faces, masks, and the proof that nothing else moved. Knows nothing about repairs.

What loads the face models and OpenCV is imported where it is used, so that asking for help stays quick.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.errors import InputError
from pipelines.mask_words import REGIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.proof import Proof
    from pipelines.raster import Raster

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Everywhere = Annotated[bool, typer.Option("--everywhere", help="Look for small, turned and hidden faces too.")]
EXPRESSION = (
    f"'face1.skin - face1.eyes; feather 0.06'. Regions: {', '.join(REGIONS)}; left and right are the picture's."
)
ALLOWED = f"write regions of a face, as in {EXPRESSION}"

EVERYWHERE_COUNTS = (
    "these are the numbers of --everywhere; for one that is found only so, write its mask with sidelight face mask "
    "--everywhere --out MASK.png and repair with --mask MASK.png"
)


def find(
    files: Annotated[list[Path], typer.Argument(help="Pictures.")],
    everywhere: Everywhere = False,
    out: Annotated[Path | None, typer.Option(help="Write the picture with outlines and numbers here (PNG).")] = None,
    as_json: AsJson = False,
) -> None:
    """Number the faces of pictures, left to right; exit code 1 if one of them shows none.

    Example: sidelight face find group.jpg --out faces.png
    """
    from pipelines.regions import face_map
    from workbench import face_told

    if out and len(files) > 1:
        raise InputError(f"--out {out} is one picture, {len(files)} are given; give one at a time")
    _refuse_over(files, out)
    told: list[dict[str, Any]] = []
    for file in files:
        pixels = _pixels(file)
        found = face_map(pixels, everywhere=everywhere)
        told.append({"file": str(file), "faces": [face_told.as_dict(face) for face in found.faces]})
        lines = [face_told.described(face) for face in found.faces]
        if not as_json:
            typer.echo("\n".join([f"{file}: {_counted(len(lines))}", *lines]) if lines else _none(file, everywhere))
        if out and found.faces:
            ovals = [found.region(face.number, "oval") for face in found.faces]
            _write(out, face_told.outlined(pixels, found.faces, ovals))
    if as_json:
        typer.echo(json.dumps(told))
    elif everywhere:
        typer.echo(EVERYWHERE_COUNTS, err=True)
    if not all(each["faces"] for each in told):
        raise typer.Exit(1)


def mask(
    file: Annotated[Path, typer.Argument(help="The picture.")],
    expression: Annotated[str, typer.Argument(help=EXPRESSION)],
    out: Annotated[Path | None, typer.Option(help="Write the mask here (8-bit grey PNG, white is repainted).")] = None,
    overlay: Annotated[Path | None, typer.Option(help="Write the picture with the mask tinted here (PNG).")] = None,
    everywhere: Everywhere = False,
    as_json: AsJson = False,
) -> None:
    """Paint the soft mask that an expression means over a picture, and say how much of it that is.

    Regions are joined by + (either), - (without), * (both) and parentheses; @FILE.png is a painted mask; faces. is all
    faces. After ; follow grow, shrink, feather in eye distances (0.06) or pixels (12px), done in the order written.
    Nothing outside the grown regions ever changes: feathers eat inward.

    Example: sidelight face mask group.jpg 'face2.skin + face2.neck; feather 0.06' --out skin.png --overlay look.png
    """
    from pipelines import masks
    from pipelines.regions import face_map
    from workbench import face_told

    if not masks.is_expression(expression):
        raise InputError(f"{expression!r} is no mask expression; {ALLOWED}")
    _refuse_over([file], out, overlay)
    pixels = _pixels(file)
    found = face_map(pixels, everywhere=everywhere)
    if not found.faces:
        raise InputError(_none(file, everywhere))
    painted = masks.paint(expression, found)
    if out:
        _write(out, painted)
    if overlay:
        _write(overlay, face_told.tinted(pixels, painted))
    text = masks.canonical(expression)
    if as_json:
        share, box = face_told.share_of(painted), list(face_told.box_of(painted))
        size = {"width": painted.shape[1], "height": painted.shape[0]}
        typer.echo(json.dumps({"file": str(file), "mask": text, **size, "share": share, "box": box}))
        return
    typer.echo(f"{text}: {face_told.mask_line(painted)}")


def verify(
    before: Annotated[Path, typer.Argument(help="The picture as it was.")],
    after: Annotated[Path, typer.Argument(help="The repaired picture.")],
    mask: Annotated[Path, typer.Argument(help="The mask: where it is black, nothing may have changed.")],
    as_json: AsJson = False,
) -> None:
    """Compare two pictures sample by sample: exit code 0 if nothing outside the mask changed, 1 if something did.

    Example: sidelight face verify before.png after.png mask.png
    """
    from pipelines.proof import prove
    from pipelines.raster import grey8, open_raster

    old, new, where = open_raster(before), open_raster(after), grey8(open_raster(mask))
    proof = prove(old, new, where)
    box = _changed_box(old, new, where) if proof.changed_outside else None
    if as_json:
        told = {**proof.model_dump(), "box_changed_outside": box}
        typer.echo(json.dumps({"before_file": str(before), "after_file": str(after), "mask_file": str(mask), **told}))
    else:
        typer.echo(_verdict(proof, box))
    if proof.changed_outside:
        raise typer.Exit(1)


def _verdict(proof: "Proof", box: tuple[int, int, int, int] | None) -> str:
    from workbench.history import counted, grouped

    lines = [counted(proof)]
    if box:
        left, top, right, bottom = box
        lines[0] += f", within {right - left} x {bottom - top} px at {left}, {top}"
    lines.append(f"{grouped(proof.changed_inside)} of {grouped(proof.inside)} inside it changed")
    same = f"{proof.before} before and after"
    hashes = same if proof.before == proof.after else f"{proof.before} before, {proof.after} after"
    return "\n".join([*lines, f"SHA-256 of the samples outside: {hashes}", f"mask: {proof.mask}"])


def _changed_box(before: "Raster", after: "Raster", mask: "NDArray[Any]") -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what changed where the mask is 0."""
    from workbench.face_told import box_of

    changed = (before.pixels != after.pixels).any(axis=2) & (mask == 0)
    return box_of(changed.astype("uint8"))


def _pixels(file: Path) -> "NDArray[Any]":
    from pipelines.raster import open_raster, rgb8

    return rgb8(open_raster(file))


def _refuse_over(given: Sequence[Path], *written: Path | None) -> None:
    """Raise InputError for a file to be written that is no PNG, is written twice, or is one of the given."""
    paths = [path for path in written if path]
    taken = {path.resolve() for path in given}
    for path in paths:
        if path.suffix.lower() != ".png" or path.resolve() in taken:
            raise InputError(f"{path} cannot be written: give another file than the picture's, that ends in .png")
        taken.add(path.resolve())


def _write(path: Path, pixels: "NDArray[Any]") -> None:
    """A PNG file, grey or RGB; appears whole. Raises DiskError."""
    import io

    from PIL import Image

    from pipelines.files import put

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    put({path: file.getvalue()})


def _none(file: Path, everywhere: bool) -> str:
    from workbench.face_told import none_found

    return none_found(file, everywhere=everywhere)


def _counted(faces: int) -> str:
    return "1 face" if faces == 1 else f"{faces} faces, numbered left to right"
