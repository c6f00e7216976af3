"""What a Run looks like in the morning: `report.html` and `contact-sheet.png` in its folder.

Knows nothing about recipes or engines; it draws a `Grid`. The page is one file that needs no server and asks for
nothing but the pictures beside it.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipelines.files import DISK, Files, put
from sweeps.grid import Grid, GridCell
from sweeps.sheet import Limit, Size, plan
from sweeps.sheet_drawing import draw, picture_sizes

REPORT = "report.html"
SHEET = "contact-sheet"
SCRIPTS = ("grid.js", "compare.js", "report.js")
POLICY = (
    "default-src 'none'; img-src 'self' file:; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "base-uri 'none'; form-action 'none'"
)
"""Only this one script and style run, whatever a prompt says; nothing is fetched but pictures beside the page."""


def write(grid: Grid, folder: Path, files: Files = DISK, *, limit: Limit | None = None) -> tuple[Path, ...]:
    """Write the report and the contact sheet's pages into the run folder, each whole or not at all; returns the paths.

    Equal grids and pictures give equal bytes. Pages of an earlier, larger sheet are removed. Raises DiskFullError or
    DiskError.
    """
    sizes = picture_sizes(sorted({cell.picture for cell in grid.cells if cell.picture}), folder)
    report = folder / REPORT
    put({report: page(grid, sizes).encode("utf-8", "replace")}, files)
    sheets = []
    for number, sheet in enumerate(plan(grid, sizes, limit=limit), 1):
        path = folder / (f"{SHEET}.png" if number == 1 else f"{SHEET}-{number}.png")
        put({path: draw(sheet, folder)}, files)
        sheets.append(path)
    kept = {path.name for path in sheets}
    for name in files.names(folder):
        if re.fullmatch(rf"{SHEET}-\d+\.png", name) and name not in kept:
            files.unlink(folder / name)
    return (report, *sheets)


def page(grid: Grid, sizes: Mapping[str, Size]) -> str:
    """The report as one HTML text; pictures that are not in `sizes` are shown as damaged."""
    style, script = _asset("report.css"), "\n".join(_asset(name) for name in SCRIPTS)
    parts = {
        "POLICY": POLICY.format(script=_digest(script), style=_digest(style)),
        "TITLE": html.escape(f"{grid.title} · Sidelight"),
        "STYLE": style,
        "DATA": _data(grid, sizes),
        "SCRIPT": script,
    }
    return re.sub("@([A-Z]+)@", lambda match: parts[match[1]], _asset("report.html"))


def _data(grid: Grid, sizes: Mapping[str, Size]) -> str:
    """JSON that may stand inside a script element: `<` is escaped, so no text can end the element or open another."""
    data = {
        "title": grid.title,
        "subtitle": grid.subtitle,
        "axes": [{"name": axis.name, "labels": axis.labels} for axis in grid.axes],
        "cells": [_cell(cell, sizes) for cell in grid.cells],
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _cell(cell: GridCell, sizes: Mapping[str, Size]) -> dict[str, Any]:
    return {
        "place": cell.place,
        "key": cell.key,
        "picture": quote(cell.picture) if cell.picture else None,
        "size": sizes.get(cell.picture) if cell.picture else None,
        "state": cell.state,
        "reason": cell.reason,
        "values": cell.values,
        "warning": cell.warning,
    }


def _asset(name: str) -> str:
    return (package_files("sweeps") / "report" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
