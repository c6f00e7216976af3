"""`sidelight measure`: the skin, light and sharpness of pictures in named numbers. Knows nothing about pixels or runs.

A number that cannot be had is never left blank: the reason stands under the table.
"""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.errors import InputError
from pipelines.skin_measures import MEASURES, WHERE, Measure
from workbench.measure_answers import number
from workbench.read_command import shown

if TYPE_CHECKING:
    from rich.table import Table

    from pipelines.faces import Face
    from pipelines.skin import Measured

Files = Annotated[
    list[Path] | None, typer.Argument(help="PNG, JPEG, WebP or TIFF pictures of faces; or one run folder.")
]
FaceNumber = Annotated[int | None, typer.Option("--face", min=1, help="Only this face, counted from the left.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: one entry a file, null with its reason.")]
Again = Annotated[bool, typer.Option("--again", help="Of a run: measure every picture anew.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Of a run: one row a picture, recipe and measures side by side.")]
Explain = Annotated[bool, typer.Option("--explain", help="Print formula, range and meaning of every measure.")]
NAMES_WIDE, COLUMN_WIDE, PAGE_WIDE = 30, 17, 100
"""Characters of a table's names and units, of a picture's column, and of a line of text."""


@dataclass(frozen=True)
class Seen:
    """One face of one file as measured; no face where the picture holds none."""

    file: Path
    face: "Face | None"
    measured: "Measured"
    flat: str

    @property
    def title(self) -> str:
        """The file's name and the face's number."""
        return f"{shown(self.file.name)}\n" + (f"face {self.face.number}" if self.face else "no face")


def measure(
    files: Files = None,
    face: FaceNumber = None,
    as_json: AsJson = False,
    explain: Explain = False,
    again: Again = False,
    as_csv: AsCsv = False,
) -> None:
    """Measure skin, light and sharpness of the faces in pictures, a column each; two are set against each other.

    Where a number cannot be had the reason stands under the table. There is no score: compare A with B, and look at
    both at 1:1. Of a run folder what is missing is measured and kept; the table shows means along its axes.
    """
    if not files and not explain:
        raise InputError("no picture is given; give one or more files, or --explain for what the measures mean")
    if files and any(file.is_dir() for file in files):
        return _of_run(files, face=face, again=again, as_json=as_json, as_csv=as_csv)
    if again or as_csv:
        raise InputError(f"--{'again' if again else 'csv'} is for a run; give a run folder, or leave it out")
    told: list[dict[str, Any]] = []
    seen: list[Seen] = []
    broken = 0
    for file in files or ():
        try:
            faces = look(file, face)
        except InputError as error:
            broken += 1
            told.append({"file": str(file), "error": str(error)})
            typer.echo(f"sidelight: {shown(_named(file, str(error)))}", err=True)
            continue
        seen += faces
        told.append({"file": str(file), "faces": [_entry(each) for each in faces]})
    if as_json:
        typer.echo(json.dumps({"pictures": told, "measures": [_words(each) for each in MEASURES]} if explain else told))
    else:
        _print(seen, explain=explain)
    if broken:
        raise typer.Exit(2 if broken == len(told) else 1)


def _of_run(files: Sequence[Path], *, face: int | None, again: bool, as_json: bool, as_csv: bool) -> None:
    from workbench.measure_run import measure_folder

    if len(files) > 1:
        raise InputError(f"{len(files)} files and folders are given; give one run folder alone, or only picture files")
    if face:
        raise InputError(f"--face {face} is given beside a run folder, where the largest face counts; leave it out")
    if as_json and as_csv:
        raise InputError("--json and --csv are given; give one of them")
    measure_folder(files[0], again=again, as_json=as_json, as_csv=as_csv)


def look(file: Path, number: int | None) -> list[Seen]:
    """Every face of a file, or the one asked for, measured; one without a face where there is none.

    Raises InputError for a file that cannot be read and a number that is not there.
    """
    from pipelines.raster import open_raster, rgb8
    from pipelines.regions import face_map
    from pipelines.skin import is_flat, measure

    pixels = rgb8(open_raster(file))
    found = face_map(pixels)
    numbers = [number] if number and found.faces else [each.number for each in found.faces] or [1]
    readings = [(each, measure(pixels, found, each)) for each in numbers]
    return [Seen(file, found.face(n) if found.faces else None, each, is_flat(each)) for n, each in readings]


def _named(file: Path, error: str) -> str:
    return error if str(file) in error else f"{file}: {error}"


def _entry(seen: Seen) -> dict[str, Any]:
    face, measured = seen.face, seen.measured
    place = {
        "face": face and face.number,
        "eye_distance": face and round(face.eye_distance, 2),
        "turn": face and round(face.turn, 3),
        "box": face and list(face.box),
    }
    readings = [
        {"name": each.name, "value": each.value, "unit": each.unit, "why": each.why} for each in measured.readings
    ]
    return {
        **place,
        "readings": readings,
        "verdicts": list(measured.verdicts),
        "cautions": list(measured.cautions),
        "flat": seen.flat,
    }


def _print(seen: Sequence[Seen], *, explain: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    many = max(1, (console.width - NAMES_WIDE) // COLUMN_WIDE)
    for start in range(0, len(seen), many):
        reasons: list[str] = []
        console.print(_table(seen[start : start + many], reasons, is_pair=len(seen) == 2 <= many))
        for count, reason in enumerate(reasons, 1):
            console.print(f"  ({count}) not measurable: {reason}")
    for each in seen:
        for line in each.measured.verdicts:
            console.print(f"{_whose(each, seen)}{line}", style="red")
        for line in (*each.measured.cautions, *([each.flat] if each.flat else [])):
            console.print(f"{_whose(each, seen)}{line}", style="yellow")
    if explain:
        console.print(_explained(min(console.width, PAGE_WIDE)))


def _whose(each: Seen, seen: Sequence[Seen]) -> str:
    return f"{each.title.replace(chr(10), ', ')}: " if len(seen) > 1 else ""


def _table(seen: Sequence[Seen], reasons: list[str], *, is_pair: bool) -> "Table":
    """A row a measure; reasons why one could not be had are added to `reasons`, each once."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("measure", no_wrap=True)
    for one in seen:
        table.add_column(one.title, justify="right", overflow="fold")
    if is_pair:
        table.add_column("second\nagainst first", justify="right")
    table.add_column("unit", style="dim")
    eyes = [f"{one.face.eye_distance:.0f}" if one.face else "" for one in seen]
    table.add_row("eye distance", *eyes, *([""] if is_pair else []), "px")
    for each in MEASURES:
        values = [one.measured.value(each.name) for one in seen]
        cells = [_cell(each, one, reasons) for one in seen]
        table.add_row(each.name, *cells, *([_against(each, values[0], values[-1])] if is_pair else []), each.unit)
    return table


def _cell(each: Measure, seen: Seen, reasons: list[str]) -> str:
    reading = seen.measured.reading(each.name)
    if reading.value is not None:
        return number(each, reading.value)
    if reading.why not in reasons:
        reasons.append(reading.why)
    return f"({reasons.index(reading.why) + 1})"


def _against(each: Measure, first: float | None, second: float | None) -> str:
    if first is None or second is None:
        return ""
    if each.compared == "ratio":
        return f"x {second / first:.2f}"
    return f"{second - first:+.2f}"


def _words(each: Measure) -> dict[str, str | float]:
    return {
        name: getattr(each, name)
        for name in ("name", "unit", "formula", "source", "low", "high", "meaning", "compared")
    }


def _explained(wide: int) -> str:
    def filled(text: str, first: str = "  ", rest: str = "  ") -> str:
        return textwrap.fill(text, wide, initial_indent=first, subsequent_indent=rest)

    parts = [
        f"{each.name} ({each.unit}), photographs: {each.low:g} to {each.high:g}\n"
        + filled(each.formula, "  = ", "    ")
        + "\n"
        + filled(each.meaning)
        for each in MEASURES
    ]
    return "\n\n".join([*parts, filled(WHERE, "", "")])
