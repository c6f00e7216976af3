"""The morning report's words, pictures and curves as HTML: what stands above the grid, and what stands below it.

Knows nothing about files or the grid itself. Every text is escaped here; there is no inline style, which the page's
policy forbids, and no script is needed to read it.
"""

from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

from sweeps.charts import counts, marked, photographs, svg, table, title
from sweeps.crops import Crop
from sweeps.findings import Curve, Evidence, Finding, Findings, State
from sweeps.ranges import many
from sweeps.report_words import KINDS, STATES, Card, Shot, Told, about, anchor, effect
from sweeps.sheet import Size

DENSITIES = (1, 1.25, 1.5, 1.75, 2, 2.5, 3)
"""The same file for displays of so many pixels: each then shows one pixel of the picture on one of its own."""


def above(findings: Findings, told: Told, sizes: Mapping[str, Size], crops: Mapping[str, Crop]) -> str:
    """What was found: sentences, facts, what to run, five pictures, then every finding with its curves."""
    aside = f"{_facts(told.facts, 'facts')}{_commands(told)}"
    lead = f'<div class="lead"><div>{_sentences(told)}</div><aside aria-label="This run">{aside}</aside></div>'
    cards = "".join(_card(card, sizes, crops) for card in told.cards)
    shown = f'<ul class="cards" aria-label="Pictures that show it">{cards}</ul>' if cards else ""
    sections = "".join(_finding(finding, index) for index, finding in enumerate(findings.findings))
    return f'<section id="told" aria-label="What was found">{lead}{shown}{sections}</section>'


def below(told: Told) -> str:
    """Failed cells with reasons; time and energy."""
    parts = []
    if told.failed:
        rows = "".join(
            f'<tr><th scope="row">{escape(each.name or "the cell")}</th><td>{escape(each.reason)}</td></tr>'
            for each in told.failed
        )
        head = '<thead><tr><th scope="col">cell</th><th scope="col">reason</th></tr></thead>'
        parts.append(f"<h2>Failed, {len(told.failed)}</h2><table>{head}<tbody>{rows}</tbody></table>")
    if told.spent:
        parts.append(f"<h2>Time and energy</h2>{_facts(told.spent, 'spent')}")
    return f'<section id="rest" aria-label="What failed, time and energy">{"".join(parts)}</section>' if parts else ""


def _sentences(told: Told) -> str:
    items = []
    for each in told.sentences:
        kind = f'<a href="#{each.anchor}">{escape(each.kind)}</a>' if each.anchor else escape(each.kind)
        head = f'<p class="kind">{kind} {_state(each.state)} <span>{escape(each.about)}</span></p>' if each.kind else ""
        more = f'<p class="more">{escape(each.more)}</p>' if each.more else ""
        more += f'<p class="care">{escape(each.care)}</p>' if each.care else ""
        items.append(f'<li class="{each.state}">{head}<p class="said">{escape(each.text)}</p>{more}</li>')
    validated = f'<p class="validated">{escape(told.validated)}</p>' if told.validated else ""
    return f'<h2 class="hidden">What was found</h2><ol class="sentences">{"".join(items)}</ol>{validated}'


def _state(state: State) -> str:
    return f'<b class="state {state}">{STATES[state]}</b>'


def _facts(facts: Iterable[tuple[str, str]], kind: str) -> str:
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts)
    return f'<dl class="{kind}">{rows}</dl>' if rows else ""


def _commands(told: Told) -> str:
    items = "".join(
        f'<li><p>{escape(each.words)}</p><div class="command"><code>{_code(each.text)}</code>'
        f'<button type="button" class="copy" hidden>Copy</button></div></li>'
        for each in told.commands
    )
    return f'<div class="next"><h2>Run next</h2><ul>{items}</ul></div>' if items else ""


def _code(command: str) -> str:
    """A command whose flags stay whole where the line breaks; copied, it is the same text."""
    words = (escape(word) for word in command.split(" "))
    return " ".join(f"<span>{word}</span>" if word.startswith("--") else word for word in words)


def _card(card: Card, sizes: Mapping[str, Size], crops: Mapping[str, Crop]) -> str:
    keys = " ".join(shot.key for shot in card.shots)
    shots = "".join(_shot(shot, sizes, crops) for shot in card.shots)
    kind = "pair" if len(card.shots) > 1 else "one"
    return (
        f'<li class="card {kind}"><h3>{escape(card.title)}'
        f'<button type="button" class="compare plain" data-keys="{escape(keys)}" hidden>Compare</button></h3>'
        f'<div class="shots">{shots}</div></li>'
    )


def _shot(shot: Shot, sizes: Mapping[str, Size], crops: Mapping[str, Crop]) -> str:
    size, url = sizes.get(shot.picture), escape(quote(shot.picture))
    if size is None:
        return f'<figure><div class="missing">picture cannot be read<br>{escape(shot.picture)}</div></figure>'
    alt = escape(f"{shot.role}: {shot.name or shot.words}", quote=True)
    whole = f'<a href="{url}"><img class="whole" src="{url}" width="{size[0]}" height="{size[1]}" alt="{alt}"></a>'
    name = f"<b>{escape(shot.name)}</b>" if shot.name else ""
    caption = f"<figcaption>{name}{escape(shot.words)}</figcaption>"
    return f"<figure>{whole}{_cheek(crops.get(shot.key), alt)}{caption}</figure>"


def _cheek(crop: Crop | None, alt: str) -> str:
    """The cheek at one pixel a pixel of the display; a small picture enlarged by a whole number."""
    if crop is None:
        return '<div class="cheek"><span class="none">no face found, so no cheek is shown</span></div>'
    url = escape(quote(crop.path))
    words = f"cheek, {crop.zoom * 100} %{'' if crop.is_found else ', where the others have it: no face found'}"
    if crop.zoom == 1:
        source = ", ".join(f"{url} {density:g}x" for density in DENSITIES)
        image = f'<img src="{url}" srcset="{source}" alt="{alt}, cheek">'
    else:
        wide, high = crop.width * crop.zoom, crop.height * crop.zoom
        image = f'<img class="enlarged" src="{url}" width="{wide}" height="{high}" alt="{alt}, cheek">'
    return f'<div class="cheek">{image}<span>{words}</span></div>'


def _finding(finding: Finding, index: int) -> str:
    curves = "".join(_curve(finding, curve) for curve in finding.curves if curve.points)
    legend = f'<p class="legend">{_legend(finding)}</p>' if curves else ""
    cautions = "".join(f"<li>{escape(text)}</li>" for text in finding.cautions)
    more = "".join(f"<li>{escape(each.why)} <b>{many(each.count, 'cell')}</b></li>" for each in finding.additions)
    parts = [
        f"<h2>{escape(KINDS[finding.kind])} {_state(finding.state)} <span>{escape(about(finding))}</span></h2>",
        f'<p class="said">{escape(finding.sentence)}{f" <span>n {finding.n}</span>" if finding.n else ""}</p>',
        f'{legend}<div class="curves">{curves}</div>' if curves else "",
        _evidence(finding.evidence),
        f'<h3>Take care</h3><ul class="cautions">{cautions}</ul>' if cautions else "",
        f'<h3>What would settle it</h3><ul class="additions">{more}</ul>' if more else "",
    ]
    return f'<section class="finding" id="{anchor(index)}">{"".join(parts)}</section>'


def _curve(finding: Finding, curve: Curve) -> str:
    caption = f"<figcaption>{escape(title(curve))} <span>{escape(photographs(curve))}</span></figcaption>"
    numbers = f"<details><summary>Numbers</summary>{table(curve)}</details>"
    return f"<figure>{caption}{svg(curve, marked(finding, curve))}{numbers}</figure>"


def _legend(finding: Finding) -> str:
    points = [point for curve in finding.curves for point in curve.points]
    texts = [f"points: means over seeds, {counts(points)}, bars: 95 % intervals"]
    if any(marked(finding, curve) for curve in finding.curves):
        texts.append("blue: the plateau" if finding.kind == "step-plateau" else "blue: the window")
        if finding.state == "open":
            texts[-1] += ", dashed where its end was not reached"
    if any(photographs(curve) for curve in finding.curves):
        texts.append("grey: where photographs of faces lay, not what is good")
    return escape(" · ".join(texts))


def _evidence(evidence: Iterable[Evidence]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(each.measure.replace("_", " "))}</th>'
        f"<td>{'for' if each.is_for else 'against'}</td><td>{escape(each.sentence)}</td>"
        f"<td>{effect(each.measure, each.effect) if each.effect else ''}</td>"
        f"<td>{each.effect.n if each.effect else ''}</td></tr>"
        for each in evidence
    )
    heads = "".join(
        f'<th scope="col">{text}</th>' for text in ("measure", "speaks", "what it says", "by how much (95 %)", "n")
    )
    return f'<table class="evidence"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>' if rows else ""
