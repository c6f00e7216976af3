"""What is said of a run's findings, to the page and as JSON: the findings, and what to do next.

Knows nothing about how they are found or shown.
"""

from pathlib import Path

from pipelines.checkpoint import find
from pipelines.errors import InputError
from pipelines.frozen import Frozen
from sweeps import shelf
from sweeps.findings import Findings
from sweeps.plan import duration
from workbench import findings_next
from workbench.findings_next import BUDGET, Extension, Lookup


class MoreAnswer(Frozen):
    """Cells that would be added: in words, how many, why."""

    words: str
    count: int
    why: str


class FindingsAnswer(Frozen):
    """`command` looks again, or adds the cells that are asked for. `can_add` of `wanted` cells fit the budget.

    `missing` of the run's pictures are not there, `failed` of these because they could not be made.
    `why_not` says why none can be added though some are wanted; `time` is empty where this machine does not know it.
    """

    run: str
    findings: Findings
    command: str
    wanted: int = 0
    can_add: int = 0
    more: tuple[MoreAnswer, ...] = ()
    time: str = ""
    why_not: str = ""
    missing: int = 0
    failed: int = 0
    keep: tuple[str, ...] = ()
    """Commands that keep what was found as the notes of its checkpoints."""


def answer(run: Path, findings: Findings, *, budget: int = BUDGET, lookup: Lookup = find) -> FindingsAnswer:
    """All of it for one run folder."""
    seen = shelf.info(run)
    plain = FindingsAnswer(
        run=run.name,
        findings=findings,
        command=findings_next.command(run),
        missing=max(0, seen.planned - seen.done),
        failed=seen.failed,
        keep=tuple(findings_next.keeping(run, findings)),
    )
    if not findings.additions:
        return plain
    try:
        more = findings_next.extension(run, findings.additions, budget=budget, lookup=lookup)
    except InputError as error:
        wanted = sum(each.count for each in findings.additions)
        return plain.but(wanted=wanted, why_not=" ".join(str(error).split()))
    if not more.count:
        return plain
    return plain.but(
        command=findings_next.command(run, "--add"),
        wanted=more.asked,
        can_add=more.count,
        more=more_of(more),
        time=time_of(more),
    )


def more_of(more: Extension) -> tuple[MoreAnswer, ...]:
    """The additions of an extension in words."""
    return tuple(MoreAnswer(words=findings_next.words(each), count=each.count, why=each.why) for each in more.additions)


def time_of(more: Extension) -> str:
    """About how long its cells take; empty where this machine has not shown it."""
    seconds = more.cost().seconds
    return "" if seconds is None else f"about {duration(max(1.0, seconds))}"
