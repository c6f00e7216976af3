"""A measure along an axis as one small SVG and as a table: points with intervals, what was found, photographs' range.

Knows nothing about reports or files; its look (dark, print) is in `report/told.css`. Nothing rests on colour alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pipelines.skin_measures import MEASURES, Measure
from sweeps.findings import Curve, Estimate, Finding, Point

WIDTH, HEIGHT = 420, 236
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 26, 42
LABEL_PX = 6.4
"""Room for a sign at the size of the labels: digits of system fonts at 11 px are 6 to 6.3 px wide."""
CAP_PX = 3.5
NEAR = 0.6
"""Photographs' range is drawn to scale where it lies within this many times the data's height; else told in words."""
BY_NAME = {measure.name: measure for measure in MEASURES}


@dataclass(frozen=True)
class Marked:
    """What is marked along the axis: from low to high, None where that end was not reached.

    `is_from`: low is a value to stop at, and nothing is sought beyond.
    """

    low: float | None
    high: float | None
    is_from: bool = False

    @property
    def words(self) -> str:
        """As it is written above the plot: 2 to 5, 2 to …, stop at 24."""
        low, high = ("…" if each is None else number(each) for each in (self.low, self.high))
        return f"stop at {low}" if self.is_from else f"{low} to {high}"


def marked(finding: Finding, curve: Curve) -> Marked | None:
    """What of a finding is drawn into one of its curves; None where nothing was found along that axis."""
    if finding.state == "none" or is_named(curve) or (finding.low is None and finding.high is None):
        return None
    return Marked(finding.low, finding.high, finding.kind == "step-plateau")


def photographs(curve: Curve) -> str:
    """Where photographs of faces lie in this measure, in words, and whether that is off the plot."""
    measure = BY_NAME.get(curve.measure)
    if measure is None or not curve.points:
        return ""
    low = min(point.estimate.low for point in curve.points)
    high = max(point.estimate.high for point in curve.points)
    where = "" if _is_near(measure, low, high) else ", all above this plot" if measure.low > high else ", all below"
    return f"photographs {number(measure.low)} to {number(measure.high)}{where}"


def is_named(curve: Curve) -> bool:
    """Whether the steps of the axis are names (schedulers, checkpoints), which have no distance between them."""
    return any(not _is_number(point.label) for point in curve.points)


def number(value: float) -> str:
    """Three figures, with a true minus: 0.128, 24, −1.35."""
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return ("0" if float(text) == 0 else text).replace("-", "\u2212")


def interval(estimate: Estimate) -> str:
    """Its 95 % interval in words: 1.2 to 1.6. One seed has none."""
    return f"{number(estimate.low)} to {number(estimate.high)}" if estimate.n > 1 else "one seed"


def counts(points: Sequence[Point]) -> str:
    """How many seeds stand behind the points: n 6, or n 4 to 6."""
    found = sorted({point.estimate.n for point in points})
    return f"n {found[0]}" if len(found) == 1 else f"n {found[0]} to {found[-1]}"


def title(curve: Curve) -> str:
    """The measure with its unit: texture, % contrast."""
    unit = BY_NAME[curve.measure].unit if curve.measure in BY_NAME else ""
    return f"{curve.measure.replace('_', ' ')}{f', {unit}' if unit else ''}"


def svg(curve: Curve, mark: Marked | None = None) -> str:
    """The curve as one SVG element of WIDTH x HEIGHT, to be scaled by the page; it needs at least one point."""
    plot = _Plot(curve)
    words = "; ".join(
        f"{point.label}: {number(point.estimate.value)} ({interval(point.estimate)})" for point in curve.points
    )
    label = escape(f"{title(curve)} along {curve.axis}, {counts(curve.points)}, 95 % intervals. {words}", quote=True)
    parts = [*plot.photographs(), *plot.grid(), *(plot.found(mark) if mark else ()), *plot.axis(), *plot.points()]
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def table(curve: Curve) -> str:
    """The same numbers as an HTML table."""
    rows = "".join(
        f'<tr><th scope="row">{escape(point.label)}</th><td>{number(point.estimate.value)}</td>'
        f"<td>{interval(point.estimate)}</td><td>{point.estimate.n}</td></tr>"
        for point in curve.points
    )
    heads = "".join(f'<th scope="col">{escape(text)}</th>' for text in (curve.axis, curve.measure, "95 %", "n"))
    caption = escape(f"{title(curve)}, along {curve.axis}")
    return f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


class _Plot:
    """Scales of one curve, and its parts as SVG text. Pixels run from the top left of the viewBox."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve
        self._is_named = is_named(curve)
        self._measure: Measure | None = BY_NAME.get(curve.measure)
        self._at = [float(index) if self._is_named else point.at for index, point in enumerate(curve.points)]
        pad = 0.5 if self._is_named else (max(self._at) - min(self._at)) * 0.04 or 1.0
        self._first, self._last = min(self._at) - pad, max(self._at) + pad
        low = min(point.estimate.low for point in curve.points)
        high = max(point.estimate.high for point in curve.points)
        self._has_band = self._measure is not None and _is_near(self._measure, low, high)
        if self._measure and self._has_band:
            low, high = (
                min(low, max(self._measure.low, low - NEAR * (high - low))),
                max(high, min(self._measure.high, high + NEAR * (high - low))),
            )
        room = (high - low or abs(high) or 1.0) * 0.08
        self._low, self._high = low - room, high + room

    def x(self, at: float) -> float:
        """Where a value of the axis lies."""
        return round(LEFT + (at - self._first) / (self._last - self._first) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """Where a value of the measure lies, cut to the plot."""
        share = min(1.0, max(0.0, (value - self._low) / (self._high - self._low)))
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def photographs(self) -> list[str]:
        """The range of photographs as a band, where it lies near enough; `photographs` says it in words."""
        if self._measure is None or not self._has_band:
            return []
        top, bottom = self.y(self._measure.high), self.y(self._measure.low)
        return [_box(LEFT, top, WIDTH - RIGHT - LEFT, bottom - top, "photographs")]

    def grid(self) -> list[str]:
        """Lines across at round values, with their numbers."""
        parts = []
        for value, words in ticks(self._low, self._high):
            y = self.y(value)
            parts += [_line(LEFT, y, WIDTH - RIGHT, y, "rule"), _text(words, LEFT - 6, y + 4, "end")]
        return parts

    def found(self, mark: Marked) -> list[str]:
        """The window or the plateau: shaded, its ends as lines (dashed where one was not reached), named above."""
        left = LEFT if mark.low is None else self.x(mark.low)
        right = WIDTH - RIGHT if mark.high is None else self.x(mark.high)
        parts = [_box(left, TOP, max(2.0, right - left), HEIGHT - TOP - BOTTOM, "window")]
        ends = [(left, mark.low), (right, mark.high)][: 1 if mark.is_from else 2]
        for at, value in ends:
            parts.append(_line(at, TOP, at, HEIGHT - BOTTOM, "edge" if value is not None else "edge open"))
        half = len(mark.words) * LABEL_PX / 2
        middle = min(max((left + right) / 2, LEFT + half), WIDTH - RIGHT - half)
        return [*parts, _text(mark.words, middle, TOP - 8, "name middle")]

    def axis(self) -> list[str]:
        """The line below with as many labels as find room, and the axis's name."""
        parts = [_line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "base")]
        room = (WIDTH - LEFT - RIGHT) / len(self._at) if self._is_named else math.inf
        free = -math.inf
        for at, point in zip(self._at, self._curve.points, strict=True):
            words = _cut(point.label, int(room / LABEL_PX) if room < math.inf else 12)
            half = len(words) * LABEL_PX / 2
            if self.x(at) - half > free:
                parts.append(_text(words, self.x(at), HEIGHT - BOTTOM + 16, "middle"))
                free = self.x(at) + half + 3
        name = f"{self._curve.axis} · {counts(self._curve.points)}"
        return [*parts, _text(name, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "name middle")]

    def points(self) -> list[str]:
        """The estimates with their intervals, joined where the axis has distances."""
        places = [(self.x(at), point.estimate) for at, point in zip(self._at, self._curve.points, strict=True)]
        parts = []
        if not self._is_named and len(places) > 1:
            path = " ".join(f"{x},{self.y(estimate.value)}" for x, estimate in places)
            parts.append(f'<polyline class="curve" points="{path}"/>')
        for x, estimate in places:
            top, bottom = self.y(estimate.high), self.y(estimate.low)
            if estimate.n > 1:  # one seed has no interval, and a cap on its point would look like a narrow one
                parts.append(
                    f'<path class="interval" d="M{x} {top}V{bottom}M{x - CAP_PX:.1f} {top}h{2 * CAP_PX}'
                    f'M{x - CAP_PX:.1f} {bottom}h{2 * CAP_PX}"/>'
                )
            parts.append(f'<circle class="point" cx="{x}" cy="{self.y(estimate.value)}" r="3.2"/>')
        return parts


def ticks(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """Round values between two, at most `most`, each with its text; steps are 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    found = [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [(value, f"{value:.{places}f}".replace("-", "\u2212")) for value in found]


def _is_near(measure: Measure, low: float, high: float) -> bool:
    reach = NEAR * (high - low)
    return measure.low <= high + reach and measure.high >= low - reach


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: max(1, most - 1)]}…"


def _text(text: str, x: float, y: float, kind: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'


def _line(x: float, y: float, to_x: float, to_y: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x:g} {y:g}L{to_x:g} {to_y:g}"/>'


def _box(x: float, y: float, width: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>'
