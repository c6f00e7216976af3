"""What the morning report says, in order: sentences, pictures, what to run next, what failed, time and energy.

Knows nothing about HTML or Markdown: `report_page` and `report_text` say the same thing in their own signs.
"""

import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pipelines.skin_measures import MEASURES
from sweeps.charts import number
from sweeps.findings import Estimate, Finding, Findings, Kind, Role, Shown, State
from sweeps.grid import Grid, GridCell
from sweeps.journal import Line, PictureDone, RunCancelled, RunFinished, RunPaused, RunStarted, Spent
from sweeps.ranges import many

MOST_SENTENCES = 5
MOST_CARDS = 5
LONG = 40
"""Signs from which a value that was held equal (a prompt) is left to the grid."""
KINDS: Mapping[Kind, str] = {
    "guidance-window": "Guidance window",
    "step-plateau": "Step plateau",
    "scheduler": "Scheduler",
    "engine": "Engines",
}
STATES: Mapping[State, str] = {"found": "found", "open": "one end open", "none": "no finding"}
ROLES: Mapping[Role, str] = {
    "best": "Best",
    "mud": "Edge of mud",
    "plastic": "Edge of plastic",
    "plateau": "Plateau",
    "engraved": "Engraved",
    "a": "A",
    "b": "B",
}
ORDER: tuple[Role, ...] = ("best", "mud", "plastic", "plateau", "engraved")
KEPT: tuple[Kind, ...] = ("guidance-window", "step-plateau", "scheduler")
"""What a checkpoint's note keeps."""
RATIOS = frozenset(measure.name for measure in MEASURES if measure.compared == "ratio")


@dataclass(frozen=True)
class Sentence:
    """One thing that was found, or was not. `anchor` is the finding's own section, empty for the line on the rest.

    `more` says what would settle it, where anything would; `care` is the first caution.
    """

    state: State
    kind: str
    about: str
    text: str
    more: str = ""
    anchor: str = ""
    care: str = ""


@dataclass(frozen=True)
class Shot:
    """A picture of a card: as what, its key and path, and what it shows.

    `name` is its place along the axes; empty where the words tell it already.
    """

    role: str
    key: str
    picture: str
    name: str
    words: str


@dataclass(frozen=True)
class Card:
    """One of the five pictures; A and B share one."""

    title: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Command:
    """A line for the terminal and what it does."""

    text: str
    words: str


@dataclass(frozen=True)
class Failure:
    """A cell without a picture, by its place along the axes, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Told:
    """The whole report but grid and curves. `facts` and `spent` are (name, text)."""

    title: str
    sentences: tuple[Sentence, ...]
    cards: tuple[Card, ...]
    validated: str
    facts: tuple[tuple[str, str], ...]
    commands: tuple[Command, ...]
    failed: tuple[Failure, ...]
    spent: tuple[tuple[str, str], ...]


def told(findings: Findings, grid: Grid, lines: Sequence[Line], folder: Path) -> Told:
    """All that is said of a run whose journal has these lines."""
    cells = {cell.key: cell for cell in reversed(grid.cells)}  # of several places of a picture the first
    names = {key: name_of(cell, grid) for key, cell in cells.items()}
    done = {key: cell for key, cell in cells.items() if cell.picture}
    failed = tuple(Failure(names[key], cell.reason) for key, cell in reversed(cells.items()) if cell.state == "failed")
    return Told(
        title=findings.title,
        sentences=sentences(findings.findings),
        cards=cards(findings.findings, done, names),
        validated=findings.validated,
        facts=_facts(findings, grid, lines),
        commands=commands(
            findings,
            folder,
            waiting=sum(cell.state == "waiting" for cell in cells.values()),
            failed=len(failed),
            unmeasured=max(0, len(done) - findings.measured),
            each=each(lines),
        ),
        failed=failed,
        spent=spent(lines),
    )


def sentences(findings: Sequence[Finding]) -> tuple[Sentence, ...]:
    """At most five, what was found before what is not known; the rest is counted."""
    order = sorted(enumerate(findings), key=lambda each: each[1].state == "none")
    is_cut = len(order) > MOST_SENTENCES
    said = [_sentence(finding, index) for index, finding in order[: MOST_SENTENCES - 1 if is_cut else MOST_SENTENCES]]
    if not order:
        text = "There is nothing to compare yet: no axis of this run was measured over several seeds."
        return (Sentence("none", "", "", text),)
    if is_cut:
        rest = Counter(STATES[finding.state] for _, finding in order[MOST_SENTENCES - 1 :])
        what = ", ".join(f"{count} {state}" for state, count in rest.items())
        said.append(
            Sentence(order[MOST_SENTENCES - 1][1].state, "", "", f"{sum(rest.values())} more below: {what}.", "")
        )
    return tuple(said)


def anchor(index: int) -> str:
    """The id of a finding's section."""
    return f"finding-{index + 1}"


def about(finding: Finding) -> str:
    """What a finding is about: the checkpoint, or the engines against each other, and what was held equal."""
    held = [f"{name} {text}" for name, text in finding.held if len(text) <= LONG]
    who = " against ".join(finding.between) if finding.kind == "engine" else finding.checkpoint
    return " · ".join([who or finding.checkpoint, *held])


def cards(findings: Sequence[Finding], done: Mapping[str, GridCell], names: Mapping[str, str]) -> tuple[Card, ...]:
    """Best, edges, plateau, then A and B together: the first of each whose picture is there, five at most."""
    found: list[Card] = []
    for role in ORDER:
        shown = next((each for finding in findings for each in finding.pictures if each.role == role), None)
        if shown and shown.key in done:
            found.append(Card(ROLES[role], (_shot(shown, done, names),)))
    for finding in findings:
        pair = [next((each for each in finding.pictures if each.role == role), None) for role in ("a", "b")]
        shots = tuple(_shot(each, done, names) for each in pair if each and each.key in done)
        if len(shots) == 2:
            title = " / ".join(finding.between) or "A / B"
            found = [*found[: MOST_CARDS - 1], Card(title, shots)]
            break
    return tuple(found[:MOST_CARDS])


def name_of(cell: GridCell, grid: Grid) -> str:
    """A cell's place in words, as `guidance 3 · seed 4`."""
    return " · ".join(f"{axis.name} {axis.labels[at]}" for axis, at in zip(grid.axes, cell.place, strict=True))


def effect(measure: str, estimate: Estimate) -> str:
    """By how much a measure differs: a factor where it is compared as a ratio (the estimate is log2), else a sum."""
    if measure in RATIOS:
        value, low, high = (number(2**each) for each in (estimate.value, estimate.low, estimate.high))
        return f"× {value} ({low} to {high})"
    sign = "+" if estimate.value > 0 else ""
    return f"{sign}{number(estimate.value)} ({number(estimate.low)} to {number(estimate.high)})"


def commands(
    findings: Findings, folder: Path, *, waiting: int, failed: int, unmeasured: int, each: float | None
) -> tuple[Command, ...]:
    """What to run next: make what is missing, measure it, add what is open, keep what was found. The order saves work:
    a later line says more once the ones before it have run."""
    run = _quoted(folder)
    told = []
    if waiting or failed:
        parts = [(waiting, f"Make the {waiting} that wait"), (failed, f"Try the {failed} that failed again")]
        told.append(Command(f"sidelight sweep run {run}", ", then ".join(text for count, text in parts if count)))
    if unmeasured:
        words = f"Measure the {many(unmeasured, 'picture')} that were not, then look again"
        told.append(Command(f"sidelight findings {run} --measure", words))
    if more := sum(addition.count for addition in findings.additions):
        time = f", about {duration(more * each)}" if each else ""
        words = f"Add the {many(more, 'picture')} that would settle what is open{time}"
        told.append(Command(f"sidelight findings {run} --add --budget {more}", words))
    kept = dict.fromkeys(each.checkpoint for each in findings.findings if each.state != "none" and each.kind in KEPT)
    for checkpoint in kept:
        words = f"Keep what was found as the note of {checkpoint}; --from-note starts from it"
        told.append(Command(f"sidelight notes set {shlex.quote(checkpoint)} --from-run {run}", words))
    return tuple(told)


def each(lines: Iterable[Line]) -> float | None:
    """Seconds of the median picture."""
    took = [line.seconds for line in lines if isinstance(line, PictureDone)]
    return median(took) if took else None


def spent(lines: Sequence[Line]) -> tuple[tuple[str, str], ...]:
    """Time and energy by phase; what the device does not tell is said so, never guessed."""
    told = []
    took = [line.seconds for line in lines if isinstance(line, PictureDone)]
    if took:
        made = f"{many(len(took), 'picture')} made in {duration(sum(took))}"
        told.append(("pictures", f"{made}, the median one in {duration(median(took))}"))
    if wall := _wall(lines):
        told.append(("from start to end", wall))
    phases = [line for line in lines if isinstance(line, Spent)]
    told += [(name, _spent_in([line for line in phases if line.phase == name])) for name in _names(phases)]
    if took and not any(line.joules is not None for line in phases):
        told.append(("energy", "the device does not tell; only seconds are counted"))
    return tuple(told)


def duration(seconds: float) -> str:
    """Seconds as people say them: 1.3 s, 4 min 10 s, 7 h 5 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, hours = whole // 60, whole // 3600
    if whole < 60:
        return f"{whole} s"
    return f"{minutes} min {whole % 60} s" if not hours else f"{hours} h {minutes % 60} min"


def energy(joules: float) -> str:
    """Joules as people pay them: 812 J, 14.2 Wh, 1.31 kWh."""
    hours = joules / 3600
    return f"{joules:.0f} J" if hours < 1 else f"{hours:.3g} Wh" if hours < 1000 else f"{hours / 1000:.3g} kWh"


def _sentence(finding: Finding, index: int) -> Sentence:
    first = finding.additions[0] if finding.additions else None
    more = f"{first.why} ({many(sum(each.count for each in finding.additions), 'cell')})" if first else ""
    care = finding.cautions[0] if finding.cautions else ""
    return Sentence(finding.state, KINDS[finding.kind], about(finding), finding.sentence, more, anchor(index), care)


def _shot(shown: Shown, done: Mapping[str, GridCell], names: Mapping[str, str]) -> Shot:
    name = names[shown.key]
    said = {word.strip(".") for word in re.findall(r"[\w.+-]+", shown.words)}
    is_told = all(part.split()[-1] in said for part in name.split(" · ") if part)
    return Shot(ROLES[shown.role], shown.key, done[shown.key].picture or "", "" if is_told else name, shown.words)


def _facts(findings: Findings, grid: Grid, lines: Sequence[Line]) -> tuple[tuple[str, str], ...]:
    facts = [("pictures", f"{findings.pictures}, {findings.measured} measured")]
    if findings.votes:
        facts.append(("blind votes", str(findings.votes)))
    facts += [(axis.name, _labels(axis.labels)) for axis in grid.axes]
    took = [line.seconds for line in lines if isinstance(line, PictureDone)]
    if took:
        facts.append(("time", duration(sum(took))))
    joules = [line.joules for line in lines if isinstance(line, Spent) and line.joules is not None]
    if joules:
        facts.append(("energy", energy(sum(joules))))
    return tuple(facts)


def _labels(labels: Sequence[str]) -> str:
    """The steps of an axis: all of a few short ones, else the first, the last and how many."""
    text = ", ".join(labels)
    return (
        text
        if len(text) <= 44
        else f"{len(labels)} values"
        if len(labels[0]) > 16
        else f"{labels[0]} to {labels[-1]}, {len(labels)} values"
    )


def _wall(lines: Sequence[Line]) -> str:
    """From the first start to the last end, as the wall clock had it; with how many sessions."""
    starts = [line.at for line in lines if isinstance(line, RunStarted)]
    ends = [line.at for line in lines if isinstance(line, RunFinished | RunPaused | RunCancelled)]
    if not starts or not starts[0] or not ends:
        return ""
    count = len(starts)
    return f"{_clock(starts[0])} to {_clock(ends[-1])} UTC{f', {count} sessions' if count > 1 else ''}"


def _clock(at: str) -> str:
    return at[:16].replace("T", " ")


def _names(phases: Iterable[Spent]) -> list[str]:
    return list(dict.fromkeys(line.phase for line in phases))


def _spent_in(lines: Sequence[Spent]) -> str:
    texts = [
        duration(sum(line.seconds for line in lines)),
        f"{duration(sum(line.cpu_seconds for line in lines))} of CPU",
    ]
    joules = [line.joules for line in lines if line.joules is not None]
    if joules:
        least = "" if len(joules) == len(lines) else "at least "
        texts.append(f"{least}{energy(math.fsum(joules))} on {lines[-1].device}, the whole board")
    return ", ".join(texts)


def _quoted(folder: Path) -> str:
    """The folder for a shell; a home folder is written as ~, so that the report can be passed on without a name."""
    path = folder.absolute()
    if path.is_relative_to(Path.home()) and path != Path.home():
        return f"~/{shlex.quote(str(path.relative_to(Path.home())))}"
    return shlex.quote(str(path))
