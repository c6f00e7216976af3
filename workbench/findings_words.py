"""A run's findings on a terminal: sentences, intervals, curves as small tables, what to do next.

Knows nothing about how they are found; the same words stand in `report.md`.
"""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from sweeps.charts import interval, number, title
from sweeps.findings import Curve, Estimate, Finding, Findings
from sweeps.ranges import many
from sweeps.report_words import KINDS, ROLES, STATES, about
from workbench.findings_answers import FindingsAnswer, MoreAnswer
from workbench.read_command import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

COLOURS = {"found": "green", "open": "yellow", "none": "dim"}
MOST_WIDE = 110
AXIS_WIDE, COLUMN_WIDE = 12, 26
"""Characters of an axis's labels and of one measure with its interval."""


def print_findings(console: "Console", told: FindingsAnswer) -> None:
    """All of it."""
    findings = told.findings
    console.print(shown(head(findings)), style="bold")
    for finding in findings.findings:
        console.print()
        _print(console, finding)
    if not findings.findings:
        console.print(
            "Nothing to compare: a finding needs guidance, steps, schedulers or engines that vary, over seeds."
        )
    console.print()
    for line in _wrapped(findings.validated, console):
        console.print(line, style="dim")
    _print_next(console, told)


def head(findings: Findings) -> str:
    """The run and what it is judged by."""
    votes = f", {findings.votes} blind votes" if findings.votes else ""
    return f"{findings.title}: {findings.measured} of {findings.pictures} pictures measured{votes}"


def print_more(console: "Console", more: Sequence[MoreAnswer]) -> None:
    """The cells that are added, and why."""
    for each in more:
        for line in _wrapped(f"{many(each.count, 'cell')}, {each.words}: {each.why}", console, "  ", "    "):
            console.print(line)


def print_changes(console: "Console", before: Findings, now: Findings) -> None:
    """What the cells that came between have changed."""
    known = {each.id: each for each in before.findings}
    console.print("\nwhat the new cells changed:")
    changes = [line for each in now.findings if (line := _change(known.get(each.id), each))]
    for line in changes or ["no finding; its intervals are what they changed"]:
        for part in _wrapped(line, console, "  ", "    "):
            console.print(part)


def _change(before: Finding | None, now: Finding) -> str:
    was = (before.state, before.low, before.high, before.winner) if before else None
    if was == (now.state, now.low, now.high, now.winner):
        return ""
    what = f"{KINDS[now.kind]}, {about(now)}: {_short(now)}"
    return f"{what} (before: {_short(before)})" if before else f"{what} (new)"


def _short(finding: Finding) -> str:
    ends = [
        f"from {finding.low:g}" if finding.low is not None else "",
        f"to {finding.high:g}" if finding.high is not None else "",
    ]
    more = " ".join(filter(None, ends)) or finding.winner
    return " ".join(filter(None, [STATES[finding.state], more]))


def _print(console: "Console", finding: Finding) -> None:
    console.print(f"{KINDS[finding.kind]}, {STATES[finding.state]}", style=COLOURS[finding.state], end="")
    console.print(f"  {shown(about(finding))}" + (f"  n {finding.n}" if finding.n else ""), style="dim")
    for line in _wrapped(finding.sentence, console, "  ", "  "):
        console.print(line)
    for evidence in finding.evidence:
        sign, name = "+" if evidence.is_for else "-", evidence.measure.replace("_", " ")
        for line in _wrapped(f"{sign} {name}: {evidence.sentence}", console, "  ", "    "):
            console.print(line)
    for caution in finding.cautions:
        for line in _wrapped(f"! {caution}", console, "  ", "    "):
            console.print(line, style="yellow")
    for table in _tables(finding, console.width):
        console.print(table)
    for each in finding.pictures:
        for line in _wrapped(
            f"{ROLES[each.role].lower()}: pictures/{each.key}.png  {each.words}", console, "  ", "    "
        ):
            console.print(line)


def _tables(finding: Finding, wide: int) -> "Iterator[Table]":
    """The curves along each axis side by side, as many as the terminal takes."""
    side_by_side = max(1, (min(wide, MOST_WIDE) - AXIS_WIDE) // COLUMN_WIDE)
    for axis, group in groupby(finding.curves, key=lambda curve: curve.axis):
        curves = list(group)
        for start in range(0, len(curves), side_by_side):
            yield _table(axis, curves[start : start + side_by_side], finding)


def _table(axis: str, curves: Sequence[Curve], finding: Finding) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column(axis, justify="right", no_wrap=True)
    for curve in curves:
        table.add_column(title(curve), justify="right", no_wrap=True)
    labels = {point.at: point.label for curve in curves for point in curve.points}
    for at in sorted(labels):
        found = [next((point.estimate for point in curve.points if point.at == at), None) for curve in curves]
        values = [_interval(estimate) if estimate else "" for estimate in found]
        table.add_row(_place(finding, at), labels[at], *values)
    return table


def _interval(estimate: Estimate) -> str:
    return f"{number(estimate.value)} ({interval(estimate)})"


def _place(finding: Finding, at: float) -> str:
    """What a step of the axis is: in the window, or where to stop."""
    if finding.state == "none" or finding.low == finding.high is None:
        return ""
    if finding.kind == "step-plateau":
        return "stop" if at == finding.low else ""
    low = finding.low if finding.low is not None else float("-inf")
    high = finding.high if finding.high is not None else float("inf")
    return "in" if finding.kind == "guidance-window" and low <= at <= high else ""


def _print_next(console: "Console", told: FindingsAnswer) -> None:
    if told.why_not:
        wanted = many(told.wanted, "cell")
        for line in _wrapped(f"{wanted} would say more, but cannot be added: {told.why_not}", console):
            console.print(line, style="yellow")
    if told.missing:
        failed = f", {told.failed} failed" if told.failed else ""
        pictures = (
            f"{many(told.missing, 'picture')} of this run {'is' if told.missing == 1 else 'are'} not there{failed}"
        )
        console.print(f"{pictures}: `sidelight sweep run` on the folder goes on with it")
    if told.can_add:
        rest = f" of {told.wanted}" if told.wanted > told.can_add else ""
        time = f", {told.time}" if told.time else ""
        console.print(f"\nnext, {many(told.can_add, 'cell')}{rest} that would say more{time}:")
        print_more(console, told.more)
        console.print(f"  {told.command}", soft_wrap=True, style="bold")
    if told.keep:
        console.print("\nto keep what was found, for --from-note and for Create:")
    for line in told.keep:
        console.print(f"  {line}", soft_wrap=True, style="bold")


def _wrapped(text: str, console: "Console", first: str = "", rest: str = "") -> list[str]:
    wide = min(console.width, MOST_WIDE)
    return textwrap.wrap(shown(" ".join(text.split())), wide, initial_indent=first, subsequent_indent=rest)
