"""What the report of a run says, as data for the page to draw: how it was made, by how many sessions, what went wrong.

Knows nothing about how it is drawn; `report.html` in the run folder is another drawing of the same run.
"""

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from sweeps import journal, marks, shelf
from sweeps.journal import CellFailed, Line, PictureDone, RunCancelled, RunFinished, RunPaused, RunStarted, Warned
from sweeps.marks import FAULTS, MOST_STARS, Mark
from sweeps.prepare import NUMERICS, RunNumerics
from workbench.web.answers import AxisAnswer, CellAnswer, GridAnswer, Progress, one_line
from workbench.web.inside import read_inside
from workbench.web.shelf_answers import best, spread

SHOWN = 12
"""Pictures of a run that its report shows."""
UNTOLD = ("reasons", "lane_width")
"""Fields of numerics that are no lines of their own."""

Ended = Literal["finished", "paused", "cancelled", "died", "open"]
"""How a session ended. `died`: without a word (killed, power lost); `open`: it is the last one and has not said."""


class SessionAnswer(Frozen):
    """One process's work on the run. `began` and `ended` are UTC labels; `wanted`: the pictures it had before it."""

    began: str
    ended: str
    how: Ended
    reason: str
    wanted: int
    made: int
    failed: int


class NumericsLine(Frozen):
    """One thing that fixes the rounding, and why it was chosen; `planned` is what was planned, if something else."""

    name: str
    value: str
    reason: str
    planned: str = ""


class FailedCell(Frozen):
    """A picture that is not there, and why; `name` is its place along the axes."""

    key: str
    name: str
    reason: str


class WarningLine(Frozen):
    """A sentence, how many pictures it is about (0: the whole run), and the name of the first."""

    text: str
    pictures: int
    first: str = ""


class ReportPicture(Frozen):
    """A picture that is shown, with its mark in words."""

    key: str
    name: str
    thumb: str
    stars: int
    mark: str


class Remark(Frozen):
    """What was said of a picture in words."""

    key: str
    name: str
    text: str


class MarksAnswer(Frozen):
    """What was thought of the pictures: `stars` counts those with 1, 2, up to 5; `faults` those with each fault."""

    marked: int
    picked: int
    rejected: int
    stars: tuple[int, ...]
    faults: tuple[tuple[str, int], ...]
    remarks: tuple[Remark, ...]
    by: tuple[str, ...]


class ReportAnswer(Frozen):
    """A run as it is told in the morning. `seconds` are all that pictures took, `each` the median picture's."""

    run: str
    title: str
    subtitle: str
    folder: str
    command: str
    bytes: int
    axes: tuple[AxisAnswer, ...]
    constants: tuple[tuple[str, str], ...]
    progress: Progress
    seconds: float
    each: float | None
    sessions: tuple[SessionAnswer, ...]
    numerics: tuple[NumericsLine, ...]
    failed: tuple[FailedCell, ...]
    warnings: tuple[WarningLine, ...]
    marks: MarksAnswer
    pictures: tuple[ReportPicture, ...]
    is_rated: bool
    job: str = ""
    """State of its job, if the run is in the queue and not ended."""


@dataclass(frozen=True)
class Kept:
    """What lies in a run folder beside its pictures."""

    folder: Path
    bytes: int
    story: journal.Story
    numerics: RunNumerics | None
    marks: Mapping[str, Mark]
    unreadable: int
    """Lines of the marks that say no mark."""


def kept(folder: Path) -> Kept:
    """Read it; a file that is not there or cannot be read says nothing."""
    return Kept(
        folder=folder,
        bytes=shelf.info(folder).bytes,
        story=journal.read(folder),
        numerics=_numerics(folder),
        marks=marks.read(folder),
        unreadable=len(marks.unreadable(folder)),
    )


def report(grid: GridAnswer, kept: Kept, job: str = "") -> ReportAnswer:
    """All that is told of a run whose grid this is."""
    cells = {cell.key: cell for cell in reversed(grid.cells)}  # of several places of a picture the first
    names = {key: _name(cell, grid.axes) for key, cell in cells.items()}
    took = [line.seconds for line in kept.story.lines if isinstance(line, PictureDone)]
    whole = [key for key in dict.fromkeys(cell.key for cell in grid.cells) if cells[key].thumb]
    rated = best(whole, kept.marks, SHOWN)
    return ReportAnswer(
        run=grid.run,
        title=grid.title,
        subtitle=grid.subtitle,
        folder=str(kept.folder),
        command=f"sidelight sweep run {shlex.quote(str(kept.folder))}",
        bytes=kept.bytes,
        axes=grid.axes,
        constants=grid.constants,
        progress=grid.progress,
        seconds=round(sum(took), 1),
        each=round(median(took), 1) if took else None,
        sessions=sessions(kept.story.lines),
        numerics=_numerics_lines(kept.numerics),
        failed=tuple(
            FailedCell(key=key, name=names[key], reason=one_line(cells[key].reason))
            for key in dict.fromkeys(cell.key for cell in grid.cells if cell.state == "failed")
        ),
        warnings=(*_run_warnings(kept), *_picture_warnings(grid.cells, names)),
        marks=marks_answer(kept.marks, names),
        pictures=tuple(
            _picture(cells[key], names[key], kept.marks.get(key)) for key in rated or spread(whole, kept.marks, SHOWN)
        ),
        is_rated=bool(rated),
        job=job,
    )


def sessions(lines: Iterable[Line]) -> tuple[SessionAnswer, ...]:
    """Every process that worked on the run, in order, with how it ended."""
    told: list[SessionAnswer] = []
    made: set[str] = set()
    failed: set[str] = set()
    began: RunStarted | None = None

    def end(how: Ended, at: str = "", reason: str = "") -> None:
        if began:
            counts = {"wanted": began.cells, "made": len(made), "failed": len(failed)}
            told.append(SessionAnswer(began=began.at, ended=at, how=how, reason=one_line(reason), **counts))

    for line in lines:
        match line:
            case RunStarted():
                end("died")
                began, made, failed = line, set(), set()
            case PictureDone():
                made.add(line.key)
            case CellFailed():
                failed.add(line.key)
            case RunFinished() | RunPaused() | RunCancelled():
                end(*_ended(line))
                began = None
            case _:
                pass
    end("open")
    return tuple(told)


def marks_answer(said: Mapping[str, Mark], names: Mapping[str, str]) -> MarksAnswer:
    """The marks of a run's pictures together; what is said of a picture that the run no longer asks for is left out."""
    there = [mark for key, mark in said.items() if key in names and mark.text]
    faults = Counter(fault for mark in there for fault in mark.faults)
    return MarksAnswer(
        marked=len(there),
        picked=sum(mark.pick == "pick" for mark in there),
        rejected=sum(mark.pick == "reject" for mark in there),
        stars=tuple(sum(mark.stars == stars for mark in there) for stars in range(1, MOST_STARS + 1)),
        faults=tuple((fault, faults[fault]) for fault in FAULTS if faults[fault]),
        remarks=tuple(Remark(key=mark.key, name=names[mark.key], text=mark.remark) for mark in there if mark.remark),
        by=tuple(sorted({mark.by for mark in there if mark.by})),
    )


def _ended(line: RunFinished | RunPaused | RunCancelled) -> tuple[Ended, str, str]:
    match line:
        case RunFinished():
            return "finished", line.at, ""
        case RunPaused():
            return "paused", line.at, line.reason
        case RunCancelled():
            return "cancelled", line.at, ""


def _name(cell: CellAnswer, axes: Sequence[AxisAnswer]) -> str:
    """The cell's place in words, as `guidance 3 · seed 4`."""
    return " · ".join(f"{axis.name} {axis.labels[at]}" for axis, at in zip(axes, cell.place, strict=True))


def _picture(cell: CellAnswer, name: str, mark: Mark | None) -> ReportPicture:
    stars, text = (mark.stars, mark.text) if mark else (0, "")
    return ReportPicture(key=cell.key, name=name, thumb=cell.thumb or "", stars=stars, mark=text)


def _run_warnings(kept: Kept) -> list[WarningLine]:
    texts = [line.text for line in kept.story.lines if isinstance(line, Warned) and not line.key]
    for count, name in ((len(kept.story.faults), journal.NAME), (kept.unreadable, marks.NAME)):
        if count:
            texts.append(f"{count} {'line' if count == 1 else 'lines'} of {name} cannot be read; all else is whole")
    return [WarningLine(text=one_line(text), pictures=0) for text in dict.fromkeys(texts)]


def _picture_warnings(cells: Iterable[CellAnswer], names: Mapping[str, str]) -> list[WarningLine]:
    """Each sentence once, the one about most pictures first."""
    about: dict[str, list[str]] = {}
    for key, text in dict.fromkeys((cell.key, cell.warning) for cell in cells if cell.warning):
        about.setdefault(text, []).append(names[key])
    return [
        WarningLine(text=text, pictures=len(where), first=where[0])
        for text, where in sorted(about.items(), key=lambda each: -len(each[1]))
    ]


def _numerics(folder: Path) -> RunNumerics | None:
    try:
        return RunNumerics.read(json.loads(read_inside(folder, NUMERICS) or b""))
    except (ValueError, TypeError, RecursionError, InputError):
        return None


def _numerics_lines(numerics: RunNumerics | None) -> tuple[NumericsLine, ...]:
    if numerics is None:
        return ()
    reasons = dict(numerics.now.reasons)
    lines = []
    for name in type(numerics.now).model_fields:
        value, planned = _said(getattr(numerics.now, name)), _said(getattr(numerics.planned, name))
        if name not in UNTOLD and value:
            other = planned if planned != value else ""
            lines.append(NumericsLine(name=name, value=value, reason=one_line(reasons.get(name, "")), planned=other))
    return tuple(lines)


def _said(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
