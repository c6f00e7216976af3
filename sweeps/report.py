"""What a Run looks like in the morning: `report.html`, `report.md` and `contact-sheet.png` in its folder.

Knows nothing about recipes or engines, nor how things are found; it draws a `Grid` and `Findings`. The page is one file
that needs no server and asks for nothing but the pictures beside it.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipelines.files import DISK, Files, put
from sweeps import journal, report_page, report_text, report_words
from sweeps.crops import cheeks, remove_others
from sweeps.findings import NAME as FINDINGS
from sweeps.findings import Findings
from sweeps.grid import Grid, GridCell
from sweeps.sheet import Limit, Size, plan
from sweeps.sheet_drawing import drawn, picture_sizes

REPORT = "report.html"
MARKDOWN = "report.md"
SHEET = "contact-sheet"
SCRIPTS = ("grid.js", "compare.js", "report.js")
STYLES = ("report.css", "told.css")
POLICY = (
    "default-src 'none'; img-src 'self' file:; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "base-uri 'none'; form-action 'none'"
)
"""Only this one script and style run, whatever a prompt says; nothing is fetched but pictures beside the page."""


def write(
    grid: Grid, folder: Path, files: Files = DISK, *, limit: Limit | None = None, findings: Findings | None = None
) -> tuple[Path, ...]:
    """Write the report and the contact sheet's pages into the run folder, each whole or not at all; returns the paths.

    With findings the report opens with them, and `report.md`, `findings.json` and the cheeks in `crops/` are written
    too. Equal grids, findings, journals and pictures give equal bytes. Pages of an earlier, larger sheet are removed.
    Raises DiskFullError or DiskError.
    """
    sizes = _sizes(grid, folder)
    report, *more = _tell(grid, folder, files, sizes, findings)
    sheets = []
    for number, png in enumerate(drawn(plan(grid, sizes, limit=limit), folder), 1):
        path = folder / (f"{SHEET}.png" if number == 1 else f"{SHEET}-{number}.png")
        put({path: png}, files)
        sheets.append(path)
    kept = {path.name for path in sheets}
    for name in files.names(folder):
        if re.fullmatch(rf"{SHEET}-\d+\.png", name) and name not in kept:
            files.unlink(folder / name)
    return (report, *sheets, *more)


def tell(grid: Grid, folder: Path, files: Files = DISK, *, findings: Findings) -> tuple[Path, ...]:
    """As `write`, but for the contact sheet, which findings do not change and which takes most of the time."""
    return _tell(grid, folder, files, _sizes(grid, folder), findings)


@dataclass(frozen=True)
class Top:
    """What the page says beside its grid: HTML above and below it."""

    above: str
    below: str


def page(grid: Grid, sizes: Mapping[str, Size], top: Top | None = None) -> str:
    """The report as one HTML text; pictures that are not in `sizes` are shown as damaged."""
    style, script = "\n".join(map(_asset, STYLES)), "\n".join(map(_asset, SCRIPTS))
    parts = {
        "POLICY": POLICY.format(script=_digest(script), style=_digest(style)),
        "TITLE": html.escape(f"{grid.title} · Sidelight"),
        "HEADING": html.escape(grid.title),
        "KIND": ' class="with-findings"' if top else "",
        "ABOVE": f"{top.above}\n" if top else "",
        "BELOW": f"{top.below}\n" if top else "",
        "STYLE": style,
        "DATA": _data(grid, sizes),
        "SCRIPT": script,
    }
    return re.sub("@([A-Z]+)@", lambda match: parts[match[1]], _asset("report.html"))


def _sizes(grid: Grid, folder: Path) -> dict[str, Size]:
    return picture_sizes(sorted({cell.picture for cell in grid.cells if cell.picture}), folder)


def _tell(
    grid: Grid, folder: Path, files: Files, sizes: Mapping[str, Size], findings: Findings | None
) -> tuple[Path, ...]:
    report, markdown, data = folder / REPORT, folder / MARKDOWN, folder / FINDINGS
    if findings is None:
        put({report: _bytes(page(grid, sizes))}, files)
        return (report,)
    told = report_words.told(findings, grid, journal.read(folder, files).lines, folder)
    shots = {shot.key: shot.picture for card in told.cards for shot in card.shots if shot.picture in sizes}
    crops = cheeks(folder, shots, files)
    top = Top(report_page.above(findings, told, sizes, crops), report_page.below(told))
    contents = {
        report: _bytes(page(grid, sizes, top)),
        markdown: _bytes(report_text.text(findings, told, crops)),
        data: json.dumps(findings.model_dump(mode="json"), ensure_ascii=False, indent=1).encode() + b"\n",
    }
    put(contents, files)
    remove_others(folder, crops.values(), files)
    return tuple(contents)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


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
