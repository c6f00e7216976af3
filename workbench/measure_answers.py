"""What is said of a run's measures, to the page and as JSON: all figures by picture, and what each of them means.

Knows nothing about how measures are made or shown.
"""

from pathlib import Path

from pipelines.frozen import Frozen
from pipelines.skin_measures import MEASURES, Comparison, Measure
from sweeps import measure
from sweeps.measure import CellMeasures


class MeasureWords(Frozen):
    """One measure; `low` to `high` is where photographs lay, `compared` how B is set against A."""

    name: str
    unit: str
    low: float
    high: float
    meaning: str
    compared: Comparison
    formula: str


class CellAnswer(Frozen):
    """One picture's measures by name; where a value is None, `why` says why. No `face`: none was found."""

    values: dict[str, float | None]
    why: dict[str, str]
    verdicts: tuple[str, ...]
    cautions: tuple[str, ...]
    flat: str
    face: int | None
    eye_distance: float | None


class MeasuresAnswer(Frozen):
    """`measured` of the run's pictures have current measures; `is_measuring`: the rest is being measured here now."""

    edition: str
    measured: int
    of: int
    is_measuring: bool
    fault: str = ""
    """Why measuring ended before its time, when it last did."""
    measures: tuple[MeasureWords, ...]
    cells: dict[str, CellAnswer]


def answer(run: Path, *, is_measuring: bool = False, fault: str = "") -> MeasuresAnswer:
    """All that is measured of a run folder now."""
    read = measure.read(run)
    return MeasuresAnswer(
        edition=measure.edition(),
        measured=len(read),
        of=len(measure.pictures(run)),
        is_measuring=is_measuring,
        fault=fault,
        measures=tuple(_words(each) for each in MEASURES),
        cells={key: _cell(each) for key, each in read.items()},
    )


def number(each: Measure, value: float) -> str:
    """A value as people read it: two digits behind the point, a sign where both signs can be."""
    return f"{value:+.2f}" if each.low < 0 else f"{value:.2f}"


def _words(each: Measure) -> MeasureWords:
    return MeasureWords(**{name: getattr(each, name) for name in MeasureWords.model_fields})


def _cell(each: CellMeasures) -> CellAnswer:
    return CellAnswer(
        values=dict(each.values),
        why=dict(each.why),
        verdicts=each.verdicts,
        cautions=each.cautions,
        flat=each.flat,
        face=each.face,
        eye_distance=each.eye_distance,
    )
