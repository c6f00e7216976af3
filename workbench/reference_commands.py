"""`sidelight reference check|restore`: what a skin reference is good for, and a damaged one restored.

Knows nothing about pixels. What loads the face models is imported where it is used, so that help stays quick.
"""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.errors import InputError
from pipelines.skin_reference import CONSENT, MAPPINGS, NORMAL, weight_warning
from workbench.read_command import shown

if TYPE_CHECKING:
    from pipelines.raster import Raster
    from pipelines.reference_photo import Seen

MEASURED = {
    "texture": "texture",
    "slope": "slope",
    "pixel_share": "pixel share",
    "side_ev": "right cheek to left",
    "clipped_high": "burnt",
    "clipped_low": "black",
}
RESTORED = ("texture", "slope", "pixel_share")
"""Readings of `pipelines.skin` that tell of a reference, and of what a restoration does to it."""
WORKING_PIXELS = 1024 * 1024
CONTEXT = 0.35
"""How a face of the target is worked on by default: `sidelight face repair` on an SDXL or FLUX checkpoint."""
SIDE_EV = 0.3
MOST_LOST = 2.0  # per cent
Photo = Annotated[Path, typer.Argument(metavar="REF", help="The reference photograph: PNG, JPEG, WebP or TIFF.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check(
    photo: Photo,
    target: Annotated[Path | None, typer.Option("--for", help="The picture whose skin it shall pull.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a photograph's skin can be a reference: size of its face, light, texture, and what weight means.

    Example: sidelight reference check cheek.jpg --for portrait.png
    """
    from pipelines.reference_photo import look

    seen = look(_pixels(_open(photo)))
    if seen.face is None:
        raise InputError(f"{photo}: no face was found; give a photograph in which one is seen from the front")
    other = look(_pixels(_open(target))) if target else None
    if other is not None and other.face is None:
        raise InputError(f"{target}: no face was found; a target needs one for --for")
    notes = _notes(seen, other)
    typer.echo(json.dumps(_told(photo, seen, other, notes)) if as_json else _text(photo, seen, other, notes))


def restore(
    photo: Photo,
    out: Annotated[Path, typer.Option(help="Write the restored photograph here (PNG).")],
    amount: Annotated[float, typer.Option(help="How much of JPEG blocks and noise is taken away, 0 to 1.")] = 0.5,
    enlarge: Annotated[float, typer.Option(help="Enlarge so many times, 1 to 4, by Lanczos.")] = 1.0,
    before_after: Annotated[Path | None, typer.Option(help="Write both side by side here (PNG).")] = None,
    as_json: AsJson = False,
) -> None:
    """Restore a small or damaged reference: upright, deblocked, denoised; the original stays as it is.

    Example: sidelight reference restore old.jpg --out old-restored.png --amount 0.4 --before-after both.png
    """
    from pipelines import reference_photo
    from pipelines.files import put
    from pipelines.raster import to_png

    for path in (out, before_after):
        if path and (path.suffix.lower() != ".png" or path.resolve() == photo.resolve()):
            raise InputError(f"{path} must be another file than {photo}, and end in .png")
    if before_after and before_after.resolve() == out.resolve():
        raise InputError(f"--out and --before-after are both {out}; give two files")
    picture = _open(photo)
    made = reference_photo.restore(picture, amount=amount, enlarge=enlarge)
    put({out: to_png(made.picture)})
    if before_after:
        both = reference_photo.side_by_side(_pixels(picture), _pixels(made.picture))
        put({before_after: _png(both)})
    if as_json:
        told = {"before": _figures(made.before), "after": _figures(made.after), "notes": made.notes}
        typer.echo(json.dumps({"file": str(photo), "out": str(out), **told}))
        return
    rows = [f"{photo} -> {out}", _line("", f"{'before':<16}after"), _both("size, px", *_sizes(made.before, made.after))]
    rows.append(_both("between the eyes, px", f"{made.before.eye_distance:.0f}", f"{made.after.eye_distance:.0f}"))
    rows += [_both(_named(made.before, n), _value(made.before, n), _value(made.after, n)) for n in RESTORED]
    typer.echo(shown("\n".join([*rows, *(f"note: {note}" for note in made.notes)])))


def _open(path: Path) -> "Raster":
    from pipelines.raster import open_raster

    return open_raster(path)


def _pixels(picture: "Raster") -> Any:
    from pipelines.raster import rgb8

    return rgb8(picture)


def _png(pixels: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _working_eyes(target: "Seen") -> float:
    """Eye distance of the target's face where it is worked on, px."""
    from pipelines.framing import crop_around

    assert target.face, "refused before"
    size = (target.width, target.height)
    crop, (width, _) = crop_around(target.face.box, size, context=CONTEXT, pixels=WORKING_PIXELS, grid=8)
    return target.eye_distance * width / crop.width


def _notes(seen: "Seen", target: "Seen | None") -> tuple[str, ...]:
    from pipelines.reference_photo import UPSCALED, enough

    notes = [enough(seen.eye_distance, wanted=_working_eyes(target) if target else None), *seen.measured.verdicts]
    share = seen.reading("pixel_share").value
    lost = sum(seen.reading(name).value or 0 for name in ("clipped_high", "clipped_low"))
    if share is not None and share < UPSCALED:
        notes.append("it was enlarged or smoothed: it has fewer details than pixels; find the original")
    if lost > MOST_LOST:
        notes.append(f"{lost:.0f} % of its skin is burnt or black, where there is no texture")
    if target:
        notes.append(_light(seen, target))
    return tuple(note for note in notes if note)


def _light(seen: "Seen", target: "Seen") -> str:
    here, there = (each.reading("side_ev").value for each in (seen, target))
    if here is None or there is None or min(abs(here), abs(there)) < SIDE_EV or here * there > 0:
        return ""
    return "its light comes from the other side than the target's: by bands it is mirrored, else mirror it yourself"


def _text(photo: Path, seen: "Seen", target: "Seen | None", notes: tuple[str, ...]) -> str:
    lines = [f"{photo}: {seen.width} x {seen.height}", _line("between the eyes", f"{seen.eye_distance:.0f} px")]
    lines += [_line(words, _value(seen, name, unit=True)) for name, words in MEASURED.items()]
    if target:
        lines.append(_line("target", f"worked on with {_working_eyes(target):.0f} px between the eyes"))
        lines.append(_line("right cheek to left there", _value(target, "side_ev", unit=True)))
    lines += ["", f"what its weight (normal: {NORMAL[0]:g} to {NORMAL[1]:g}) is to each mechanism:"]
    lines += [_line(each.mechanism, f"{each.sets}: {each.meaning}") for each in MAPPINGS]
    lines += [f"  {weight_warning(weight, 'skin')}" for weight in (0.2, 0.8)]
    return shown("\n".join([*lines, "", *(f"note: {note}" for note in notes), f"note: {CONSENT}"]))


def _told(photo: Path, seen: "Seen", target: "Seen | None", notes: tuple[str, ...]) -> dict[str, Any]:
    told: dict[str, Any] = {"file": str(photo), **_figures(seen), "notes": notes, "consent": CONSENT}
    if target:
        told["target"] = {**_figures(target), "working_eye_distance_px": round(_working_eyes(target), 1)}
    return told | {"weights": [each._asdict() for each in MAPPINGS]}


def _figures(seen: "Seen") -> dict[str, Any]:
    readings = {name: seen.reading(name) for name in MEASURED}
    values = {name: {"value": each.value, "unit": each.unit, "why": each.why} for name, each in readings.items()}
    size = {"width": seen.width, "height": seen.height}
    return {**size, "eye_distance_px": round(seen.eye_distance, 1) or None, "readings": values}


def _sizes(before: "Seen", after: "Seen") -> tuple[str, str]:
    return f"{before.width} x {before.height}", f"{after.width} x {after.height}"


def _named(seen: "Seen", name: str) -> str:
    return f"{MEASURED[name]}, {seen.reading(name).unit}"


def _value(seen: "Seen", name: str, *, unit: bool = False) -> str:
    reading = seen.reading(name)
    if reading.value is None:
        return f"not measurable because {reading.why}" if unit else "-"
    return f"{reading.value:.2f} {reading.unit}" if unit else f"{reading.value:.2f}"


def _line(name: str, value: str) -> str:
    return f"  {name:<28}{value}"


def _both(name: str, before: str, after: str) -> str:
    return _line(name, f"{before:<16}{after}")
