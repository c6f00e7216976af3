"""The morning report as Markdown, with relative links to the pictures. Knows nothing about files or HTML.

What a person or a checkpoint is called may hold any sign: signs that Markdown reads are escaped.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

from sweeps.charts import interval, number, title
from sweeps.crops import Crop
from sweeps.findings import Curve, Finding, Findings
from sweeps.ranges import many
from sweeps.report_words import KINDS, STATES, Card, Told, about, effect


def text(findings: Findings, told: Told, crops: Mapping[str, Crop]) -> str:
    """The whole report, ending in a line break."""
    lines = [f"# {plain(told.title)}", "", *_sentences(told), *_commands(told)]
    for card in told.cards:
        lines += _card(card, crops)
    for finding in findings.findings:
        lines += _finding(finding)
    if told.failed:
        rows = [(each.name or "the cell", each.reason) for each in told.failed]
        lines += [f"## Failed, {len(told.failed)}", "", *_table(("cell", "reason"), rows), ""]
    lines += ["## This run", "", *_table(("what", "told"), told.facts), ""]
    if told.spent:
        lines += ["## Time and energy", "", *_table(("what", "told"), told.spent), ""]
    lines += ["The grid is in [report.html](report.html) and [contact-sheet.png](contact-sheet.png).", ""]
    return "\n".join(lines)


def plain(words: str) -> str:
    """One line that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(words.split()))


def _sentences(told: Told) -> Iterator[str]:
    for at, each in enumerate(told.sentences, 1):
        head = f"**{plain(each.kind)}, {STATES[each.state]}** ({plain(each.about)}): " if each.kind else ""
        more = "".join(f" *{plain(words)}*" for words in (each.more, each.care) if words)
        yield f"{at}. {head}{plain(each.text)}{more}"
    yield ""
    if told.validated:
        yield from (f"*{plain(told.validated)}*", "")


def _commands(told: Told) -> Iterator[str]:
    if told.commands:
        yield from ("## Run next", "")
    for each in told.commands:
        yield from (plain(each.words), "", "```sh", each.text, "```", "")


def _card(card: Card, crops: Mapping[str, Crop]) -> Iterator[str]:
    yield from (f"## {plain(card.title)}", "")
    for shot in card.shots:
        yield from (plain(": ".join(filter(None, (shot.name, shot.words)))), "")
        links = [f"![{plain(shot.role)}]({quote(shot.picture)})"]
        if crop := crops.get(shot.key):
            links.append(f"![{plain(shot.role)}, the cheek]({quote(crop.path)})")
        yield from (" ".join(links), "")


def _finding(finding: Finding) -> Iterator[str]:
    yield from (f"## {KINDS[finding.kind]}: {STATES[finding.state]}", "", plain(about(finding)), "")
    yield from (plain(finding.sentence) + (f" (n {finding.n})" if finding.n else ""), "")
    for curve in finding.curves:
        yield from (*_curve(curve), "")
    if finding.evidence:
        rows = [
            (
                each.measure.replace("_", " "),
                "for" if each.is_for else "against",
                each.sentence,
                effect(each.measure, each.effect) if each.effect else "",
                str(each.effect.n) if each.effect else "",
            )
            for each in finding.evidence
        ]
        yield from (*_table(("measure", "speaks", "what it says", "by how much (95 %)", "n"), rows), "")
    yield from _list("Take care", finding.cautions)
    yield from _list("What would settle it", (f"{each.why} ({many(each.count, 'cell')})" for each in finding.additions))


def _curve(curve: Curve) -> Iterator[str]:
    yield from (f"{plain(title(curve))} along {plain(curve.axis)}:", "")
    rows = [
        (point.label, number(point.estimate.value), interval(point.estimate), str(point.estimate.n))
        for point in curve.points
    ]
    yield from _table((curve.axis, curve.measure.replace("_", " "), "95 %", "n"), rows)


def _list(heading: str, items: Iterable[str]) -> Iterator[str]:
    lines = [f"- {plain(each)}" for each in items]
    if lines:
        yield from (f"{heading}:", "", *lines, "")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(plain, heads))} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(map(plain, row))} |"
