"""A small drawing of a Light as SVG: the set seen from above, and the face with the shadow that this light makes.

Pure: the same Light gives the same text. Knows nothing about pages, templates' files or how a light is said in words.
All is drawn for a key on the left; a key on the right is the same drawing mirrored.
"""

import html
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.light import Hardness, Light
from pipelines.prompts import described

Field = NDArray[np.float64]
Point = tuple[float, float]
Side = tuple[tuple[int, int], tuple[int, int]]
"""Of a square of the grid: from one corner to the next, as (row, column)."""

HALF = 48  # units from the middle of either half to its border; the drawing is 192 x 96 of them
HEAD = (0.0, -5.0)  # in the set seen from above: x to the right, y towards the camera
HEAD_WIDE, HEAD_DEEP = 7.5, 9.0
NEAREST, FURTHEST = 17.0, 41.0  # units from the head that stand for 0 m and for far away
HALFWAY_M = 1.2
NARROWEST, WIDEST = 1.6, 17.0  # half of the drawn source
PANEL, LINE, QUIET, KEY = "#242424", "#8c8c8c", "#5c5c5c", "#f2f2f2"

SOURCE_DEGREES: dict[Hardness | None, float] = {
    "hard": 3,
    "hard with soft roll-off": 13,
    "medium": 21,
    "soft": 48,
    "very soft": 80,
    None: 30,
}
"""How wide a source looks from the face where its size is not said; as in the templates that say it."""
EDGE: dict[Hardness | None, tuple[int, float]] = {
    "hard": (1, 0.0),
    "hard with soft roll-off": (2, 1.5),
    "medium": (3, 2.5),
    "soft": (5, 4.5),
    "very soft": (7, 6.5),
    None: (3, 2.5),
}
"""Layers of the beam's edge, and how far they reach, in units."""
ASSUMED_HEIGHT_DEG = 15.0  # of a key whose height is not said
ASSUMED_FILL_STOPS = 3.0
BANDS = 9
DARKEST, LIGHTEST = 14, 236
STEP = 0.04  # of the grid on the face, whose cheekbones are at -1 and 1
FACE_UNITS = 31.0
UNSEEN, LONGEST = 0.1, 4.0  # units that a line may lie off, and that a straight piece of it may be long


def svg(light: Light, *, size_px: int) -> str:
    """The drawing, `size_px` high and twice as wide: left the set from above, right the face. Greys only."""
    turn = ' transform="scale(-1 1)"' if light.side == "right" else ""
    title = _text(light.title or light.name or "light")
    halves = "".join(
        f'<g class="{name}" transform="translate({middle} {HALF})"><g{turn}>{"".join(parts)}</g></g>'
        for name, middle, parts in (("set", HALF, _set(light)), ("face", 3 * HALF, _face(light)))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * size_px}" height="{size_px}" '
        f'viewBox="0 0 {4 * HALF} {2 * HALF}" role="img" aria-label="{title}">'
        f"<title>{title}</title><desc>{_text(_told(light))}</desc>"
        f'<rect width="{4 * HALF}" height="{2 * HALF}" rx="3" fill="{PANEL}"/>{halves}</svg>'
    )


def _text(text: str) -> str:
    """Text as XML can hold it: markup escaped, signs that XML forbids replaced."""
    return html.escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))


def _told(light: Light) -> str:
    if light.direction is None:
        return "the light's direction is not said"
    parts = [described(light).partition(",")[0], f"key from {light.direction}"]
    parts += [light.hardness] if light.hardness else []
    parts += [f"{light.key_height_deg:g} degrees from the eyes up"] if light.key_height_deg is not None else []
    parts += [f"{light.pattern} pattern"] if light.pattern else []
    parts += [f"shadow side {light.fill_stops:g} stops under the lit side"] if light.fill_stops is not None else []
    return ", ".join(parts)


# The set from above.


def _set(light: Light) -> Iterator[str]:
    behind = HEAD[1] - _away(light.background_distance_m, unsaid=2.5)
    yield _bar((0, max(behind, 3 - HALF)), (1, 0), 37, 1.3, f'class="background" fill="{QUIET}"')
    if light.degrees is None:
        yield f'<circle class="unsaid" cy="{HEAD[1]}" r="30" fill="none" stroke="{LINE}" stroke-dasharray="2 3"/>'
    else:
        yield from _beam(light, math.radians(light.degrees))
    yield from _fill(light)
    yield _head()
    if light.degrees is not None:
        yield _key(light, math.radians(light.degrees))
    yield _camera(_camera_y(light))


def _camera_y(light: Light) -> float:
    return min(HEAD[1] + _away(light.camera_distance_m, unsaid=1.2), HALF - 6.0)


def _away(metres: float | None, *, unsaid: float) -> float:
    """Units from the head: true to scale nearby, ever closer together far away."""
    share = 1 - math.exp2(-(unsaid if metres is None else metres) / HALFWAY_M)
    return NEAREST + (FURTHEST - NEAREST) * share


def _source(light: Light, angle: float) -> tuple[Point, Point, float]:
    """Middle of the source, the direction along it, and half its width, which looks from the head as wide as it is."""
    away = _away(light.source_distance_m, unsaid=1.6)
    if math.sin(angle) < 0.35 and math.cos(angle) > 0:  # over the camera: drawn before it, so that both are seen
        away = min(away, _camera_y(light) - HEAD[1] - 9)
    half = away * math.tan(math.radians(min(_degrees_wide(light), 110) / 2))
    middle = (HEAD[0] - away * math.sin(angle), HEAD[1] + away * math.cos(angle))
    return middle, (math.cos(angle), math.sin(angle)), min(max(half, NARROWEST), WIDEST)


def _degrees_wide(light: Light) -> float:
    return light.source_degrees or SOURCE_DEGREES[light.hardness]


def _key(light: Light, angle: float) -> str:
    middle, along, half = _source(light, angle)
    deep = 1.1 + half * math.sin(math.radians(light.tilt_deg or 0)) * 0.6  # a tipped source shows its face from above
    lamp = _bar(middle, along, half, deep, f'class="key" fill="{KEY}"')
    back = (middle[0] - (deep + 1.5) * math.sin(angle), middle[1] + (deep + 1.5) * math.cos(angle))
    return lamp + _bar(back, along, min(half, 2.2), 1.2, f'class="lamp" fill="{LINE}"')


def _beam(light: Light, angle: float) -> Iterator[str]:
    """Light between source and head, then the head's shadow: one crisp edge if hard, many faint ones if soft."""
    middle, along, half = _source(light, angle)
    layers, reach = EDGE[light.hardness]
    away = (math.sin(angle), -math.cos(angle))
    end = (HEAD[0] + 27 * away[0], HEAD[1] + 27 * away[1])
    for layer in range(layers):
        aside = reach * (2 * (layer + 0.5) / layers - 1)
        lit = _across(middle, along, max(half + aside * 0.5, 0.8)), _across(HEAD, along, HEAD_WIDE + aside)
        yield _polygon((*lit[0], *lit[1][::-1]), f'class="beam" fill="{KEY}" fill-opacity="{0.34 / layers:.3f}"')
        dark = _across(HEAD, along, HEAD_WIDE + aside * 0.2), _across(end, along, max(HEAD_WIDE + 1.6 * aside, 0.3))
        yield _polygon((*dark[0], *dark[1][::-1]), f'class="shadow" fill="#000" fill-opacity="{0.62 / layers:.3f}"')
    if layers == 1:
        for near, far in zip(_across(middle, along, half), _across(HEAD, along, HEAD_WIDE), strict=True):
            yield f'<path class="edge" d="{_line((near, far))}" stroke="{KEY}" stroke-width="0.7"/>'


def _fill(light: Light) -> Iterator[str]:
    """What lifts the shadows, opposite the key and always before the face; brighter the more it gives."""
    if light.degrees is None or (light.fill_stops is None and light.fill is None):
        return
    stops = ASSUMED_FILL_STOPS if light.fill_stops is None else light.fill_stops
    angle = -math.radians(min(max(min(light.degrees, 180 - light.degrees), 35), 80))
    middle = (HEAD[0] - 27 * math.sin(angle), HEAD[1] + 27 * math.cos(angle))
    look = f'class="fill" fill="{LINE}" fill-opacity="{0.12 + 0.75 * 2 ** (-stops / 2):.2f}" stroke="{LINE}"'
    yield _bar(middle, (math.cos(angle), math.sin(angle)), 8, 1.4, f'{look} stroke-width="0.6"')


def _head() -> str:
    x, y = HEAD
    nose = f"M{x - 2} {y + HEAD_DEEP - 0.8}L{x} {y + HEAD_DEEP + 3.4}L{x + 2} {y + HEAD_DEEP - 0.8}Z"
    look = f'fill="#4a4a4a" stroke="{LINE}" stroke-width="1" stroke-linejoin="round"'
    ears = "".join(f'<ellipse cx="{x + side * HEAD_WIDE}" cy="{y + 1}" rx="1.4" ry="2.2"/>' for side in (-1, 1))
    skull = f'<ellipse cx="{x}" cy="{y}" rx="{HEAD_WIDE}" ry="{HEAD_DEEP}"/>'
    return f'<g class="head" {look}><path d="{nose}"/>{ears}{skull}</g>'


def _camera(y: float) -> str:
    lens = f"M-2.2 {y - 2.5}L-3 {y - 5.6}L3 {y - 5.6}L2.2 {y - 2.5}Z"
    body = f'<rect x="-5.5" y="{y - 2.5:.1f}" width="11" height="6.5" rx="1.2"/>'
    look = f'fill="{PANEL}" stroke="#bdbdbd" stroke-width="1.1" stroke-linejoin="round"'
    return f'<g class="camera" {look}><path d="{lens}"/>{body}</g>'


def _across(middle: Point, along: Point, half: float) -> tuple[Point, Point]:
    return (
        (middle[0] - half * along[0], middle[1] - half * along[1]),
        (middle[0] + half * along[0], middle[1] + half * along[1]),
    )


def _bar(middle: Point, along: Point, half: float, deep: float, look: str) -> str:
    """A rectangle of 2 half x 2 deep, long side `along`."""
    across = (-along[1], along[0])
    ends = [_across(end, along, half) for end in _across(middle, across, deep)]
    return _polygon((*ends[0], *ends[1][::-1]), look)


def _polygon(points: Iterable[Point], look: str) -> str:
    return f'<path {look} d="{_line(points)}Z"/>'


def _plainer(loop: list[Point]) -> list[Point]:
    """The loop without points that lie on the way from the last one kept to the next, as nearly as one could see."""
    kept = loop[:1]
    for at, after in itertools.pairwise([*loop[1:], loop[0]]):
        (x, y), (right, down) = kept[-1], (after[0] - kept[-1][0], after[1] - kept[-1][1])
        beside = abs(right * (at[1] - y) - down * (at[0] - x)) / max(math.hypot(right, down), 1e-9)
        if beside > UNSEEN or math.hypot(at[0] - x, at[1] - y) > LONGEST:
            kept.append(at)
    return kept


def _line(points: Iterable[Point]) -> str:
    """Path data; plus zero keeps -0.0 out."""
    return "M" + "L".join(f"{round(x, 1) + 0:g} {round(y, 1) + 0:g}" for x, y in points)


# The face.


class _Relief(NamedTuple):
    """A face as a grid: places, height towards the camera, unit normals (x, y, z), and how far inside the outline."""

    x: Field
    y: Field
    height: Field
    normal: tuple[Field, Field, Field]
    inside: Field


def _face(light: Light) -> Iterator[str]:
    relief = _relief()
    yield _bands(np.ones_like(relief.inside), 0.5, _grey(0 if light.degrees is not None else 2))
    if light.degrees is not None:
        seen = _seen(light)
        for band in range(1, BANDS):
            yield _bands(seen, band / BANDS, _grey(band))
    yield _features()
    is_behind = (light.degrees or 0) > 150  # then only the rim is lit, too thin for any band
    yield _outline(f'stroke="{KEY}" stroke-width="1.8"' if is_behind else f'stroke="{LINE}" stroke-width="1"')


def _seen(light: Light) -> Field:
    """Lightness of the face, 0..1, as the eye sees it: 1 is lit skin straight under the key."""
    height = ASSUMED_HEIGHT_DEG if light.key_height_deg is None else light.key_height_deg
    stops = ASSUMED_FILL_STOPS if light.fill_stops is None else light.fill_stops
    key = _lit(light.degrees or 0, round(height, 1), round(min(_degrees_wide(light), 110), 1))
    facing = 0.45 + 0.55 * _relief().normal[2]
    grazing = 1 + 2 * max(0, -math.cos(math.radians(light.degrees or 0)))  # skin throws back more of what comes flat
    linear = (key * grazing + 0.55 * 2**-stops * facing) * 2 ** (0.5 * (light.skin_stops or 0))
    return np.clip(linear, 0, 1) ** (1 / 2.2)


@lru_cache(maxsize=64)
def _lit(degrees: int, height: float, wide: float) -> Field:
    """Light of a key on the left on every place of the face: Lambert's cosine, own shadows, over the source's width."""
    nx, ny, nz = _relief().normal
    spots = np.linspace(-0.5, 0.5, 5 if wide < 6 else 9)
    total = np.zeros_like(nx)
    for aside in spots:
        for above in (-0.35, 0.0, 0.35):
            azimuth, rise = math.radians(degrees + aside * wide), math.radians(height + above * wide)
            x, y, z = -math.sin(azimuth) * math.cos(rise), math.sin(rise), math.cos(azimuth) * math.cos(rise)
            total += np.maximum(0, nx * x + ny * y + nz * z) * ~_shaded(x, y, z)
    return total / (3 * len(spots))


def _shaded(x: float, y: float, z: float) -> NDArray[np.bool_]:
    """Where the face itself stands between a place and the light in direction (x, y, z)."""
    height = _relief().height
    rows, columns = height.shape
    row, column = np.mgrid[:rows, :columns]
    dark = np.zeros(height.shape, dtype=bool)
    for far in np.arange(0.06, 1.0, STEP):  # the longest shadow, of the nose, is shorter
        at = np.rint(row - y * far / STEP).astype(int), np.rint(column + x * far / STEP).astype(int)
        on_grid = (at[0] >= 0) & (at[0] < rows) & (at[1] >= 0) & (at[1] < columns)
        other = height[np.clip(at[0], 0, rows - 1), np.clip(at[1], 0, columns - 1)]
        dark |= on_grid & (other > height + z * far + 0.02)
    return dark


@lru_cache(maxsize=1)
def _relief() -> _Relief:
    """An egg with a narrower jaw, and on it brow, sockets, nose, cheekbones, lips and chin."""
    y, x = np.meshgrid(np.arange(1.48, -1.49, -STEP), np.arange(-27, 28) * STEP, indexing="ij")
    jaw = np.clip(-y / 1.4, 0, 1)
    egg = (np.abs(x / (0.97 - 0.25 * jaw**1.4)) ** 2.15 + np.abs(y / 1.4) ** 2.25) ** 1.15
    ridge = np.clip((0.42 - y) / 0.72, 0, 1) * (y > -0.34) * (y < 0.42)  # from the brow to the tip of the nose
    nose = 0.40 * ridge**1.15 * np.exp(-((x / (0.10 + 0.09 * ridge)) ** 2))
    detail = nose + sum(
        depth * np.exp(-(((np.abs(x) - aside) / wide) ** 2) - ((y - up) / tall) ** 2)
        for depth, aside, up, wide, tall in (
            (0.06, 0.36, 0.40, 0.30, 0.12),  # brow
            (-0.13, 0.38, 0.17, 0.20, 0.13),  # eye sockets
            (0.05, 0.38, 0.16, 0.11, 0.07),  # eyeballs
            (0.07, 0.56, -0.10, 0.24, 0.24),  # cheekbones
            (0.08, 0.00, -0.68, 0.24, 0.07),  # lips
            (-0.05, 0.00, -0.86, 0.26, 0.06),  # under them
            (0.10, 0.00, -1.08, 0.26, 0.15),  # chin
        )
    )
    flat = np.sqrt(np.maximum(1 - egg, 0))
    height = np.where(egg < 1, 0.95 * flat + detail, -9.0)
    eggs, details = np.gradient(egg, -STEP, STEP), np.gradient(detail, -STEP, STEP)
    down, right = (0.475 * e - flat * d for e, d in zip(eggs, details, strict=True))
    length = np.sqrt(right**2 + down**2 + flat**2)
    return _Relief(x, y, height, (right / length, down / length, flat / length), 1 - egg)


def _grey(band: int) -> str:
    level = round(DARKEST + (LIGHTEST - DARKEST) * band / (BANDS - 1))
    return f"#{level:02x}{level:02x}{level:02x}"


def _bands(seen: Field, level: float, grey: str) -> str:
    """The part of the face that is at least so light."""
    outline = np.pad(np.minimum(seen - level, 2 * _relief().inside), 1, constant_values=-1.0)
    loops = "".join(f"{_line(_plainer(loop))}Z" for loop in _contours(outline))
    return f'<path class="band" fill="{grey}" fill-rule="evenodd" d="{loops}"/>' if loops else ""


# Where a contour enters and leaves a square, by which corners lie inside (1 above left, 2 above right, 4 below right,
# 8 below left); what is inside stays on one hand, so that neighbours join.
TURNS: dict[int, tuple[tuple[str, str], ...]] = {
    1: (("left", "above"),),
    2: (("above", "right"),),
    3: (("left", "right"),),
    4: (("right", "below"),),
    5: (("left", "above"), ("right", "below")),
    6: (("above", "below"),),
    7: (("left", "below"),),
    8: (("below", "left"),),
    9: (("below", "above"),),
    10: (("above", "right"), ("below", "left")),
    11: (("below", "right"),),
    12: (("right", "left"),),
    13: (("right", "above"),),
    14: (("above", "left"),),
}


def _contours(field: Field) -> Iterator[list[Point]]:
    """Closed lines around what is at least 0, in units: marching squares."""
    inside = (field >= 0).astype(int)
    kinds = inside[:-1, :-1] + 2 * inside[:-1, 1:] + 4 * inside[1:, 1:] + 8 * inside[1:, :-1]
    follows: dict[Side, Side] = {}
    for row, column in np.argwhere((kinds > 0) & (kinds < 15)).tolist():
        corners = {
            "above": ((row, column), (row, column + 1)),
            "right": ((row, column + 1), (row + 1, column + 1)),
            "below": ((row + 1, column), (row + 1, column + 1)),
            "left": ((row, column), (row + 1, column)),
        }
        for enters, leaves in TURNS[int(kinds[row, column])]:
            follows[corners[enters]] = corners[leaves]
    while follows:
        first, side = follows.popitem()
        loop = [_crossing(field, *first)]
        while side != first:
            loop.append(_crossing(field, *side))
            side = follows.pop(side)
        yield loop


def _crossing(field: Field, one: tuple[int, int], other: tuple[int, int]) -> Point:
    """Where the field is 0 between two neighbours of the padded grid."""
    share = field[one] / (field[one] - field[other])
    row, column = (a + share * (b - a) for a, b in zip(one, other, strict=True))
    middle = ((field.shape[0] - 1) / 2, (field.shape[1] - 1) / 2)
    return (float(column - middle[1]) * STEP * FACE_UNITS, float(row - middle[0]) * STEP * FACE_UNITS)


def _features() -> str:
    """Lines that a face needs to be one, in a grey that is seen on light and dark."""
    lines = []
    for side in (-1, 1):
        lines.append(f"M{side * 7.5} -5Q{side * 11.5} -8 {side * 16} -4.6Q{side * 11.5} -2.6 {side * 7.5} -5")
        lines.append(f"M{side * 6.5} -11.5Q{side * 12} -15 {side * 18} -11")
    lines += ["M-4.5 9.6Q-2.5 11.6 0 10.6Q2.5 11.6 4.5 9.6", "M-8 20.6Q-3 19.4 0 20.2Q3 19.4 8 20.6"]
    return f'<path class="features" d="{"".join(lines)}" fill="none" stroke="#777" stroke-width="1.1"/>'


def _outline(look: str) -> str:
    edge = np.pad(_relief().inside, 1, constant_values=-1.0)
    loops = "".join(f"{_line(_plainer(loop))}Z" for loop in _contours(edge))
    return f'<path class="outline" d="{loops}" fill="none" {look}/>'
