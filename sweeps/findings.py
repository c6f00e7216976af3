"""Findings: what a run says about its checkpoint, in words with their evidence, ready to be shown, kept or acted on.

Knows nothing about how they are found (`sweeps.compare`), drawn or kept as a note. Uncertainty is never left out: every
estimate comes with its interval and its n, and what cannot be said names the cells that would let it be said.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipelines.errors import InputError
from pipelines.files import DISK, Files
from pipelines.frozen import Frozen
from sweeps.ranges import Value

NAME = "findings.json"
Key = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]

Kind = Literal["guidance-window", "step-plateau", "scheduler", "engine"]
State = Literal["found", "open", "none"]
"""`open`: one end was not reached, what was seen holds; `none`: no finding, with the reason and the cells to add."""
Role = Literal["best", "mud", "plastic", "plateau", "engraved", "a", "b"]


class Estimate(Frozen):
    """A value with its 95 % interval over `n` seeds (or pairs)."""

    value: float
    low: float
    high: float
    n: int


class Point(Frozen):
    """One step of an axis on a curve: `at` is the value there, `keys` are the pictures that were averaged."""

    at: float
    label: str
    estimate: Estimate
    keys: tuple[Key, ...]


class Curve(Frozen):
    """A measure along an axis. Its unit and meaning stand in `pipelines.skin_measures.MEASURES`."""

    measure: str
    axis: str
    points: tuple[Point, ...]


class Evidence(Frozen):
    """One measure that speaks for (or against) a finding; `effect` is in the measure's unit or, for ratios, log2."""

    measure: str
    sentence: str
    effect: Estimate | None = None
    is_for: bool = True


class Shown(Frozen):
    """A picture that shows the finding, and as what."""

    role: Role
    key: Key
    words: str


class Addition(Frozen):
    """Cells that would answer what is open: every combination of these values, all else as in the sweep's base.

    `count` of them are not in the run yet. The fields are those of `sweeps.axes.KINDS`.
    """

    values: tuple[tuple[str, tuple[Value, ...]], ...]
    count: int
    why: str


class Finding(Frozen):
    """One thing that a run says. `held` are the values that are equal in all of its cells, as (name, text).

    `low` to `high` is the guidance window (None: that end was not reached); of a step plateau `low` is the step
    count to stop at; of a comparison `winner` is one of `between` when one reads better.
    """

    kind: Kind
    state: State
    checkpoint: str
    held: tuple[tuple[str, str], ...]
    sentence: str
    low: float | None = None
    high: float | None = None
    between: tuple[str, ...] = ()
    winner: str = ""
    n: int = 0
    evidence: tuple[Evidence, ...] = ()
    curves: tuple[Curve, ...] = ()
    pictures: tuple[Shown, ...] = ()
    cautions: tuple[str, ...] = ()
    additions: tuple[Addition, ...] = ()

    @property
    def id(self) -> str:
        """Tells a run's findings apart, also when cells are added: kind, checkpoint, what was held and compared."""
        held = (f"{name} {text}" for name, text in self.held)
        return " · ".join([self.kind, self.checkpoint, *held, *self.between])


class Findings(Frozen):
    """All that a run says. `measured` of `pictures` have the measures that are compared; `validated` says on what the
    rules were tried. `votes` counts the blind votes that were cast."""

    version: Literal[1] = 1
    title: str
    pictures: int
    measured: int
    votes: int = 0
    validated: str
    findings: tuple[Finding, ...]

    def of(self, checkpoint: str) -> tuple[Finding, ...]:
        """Those about one checkpoint."""
        return tuple(each for each in self.findings if each.checkpoint == checkpoint)

    @property
    def additions(self) -> tuple[Addition, ...]:
        """What to add, each once."""
        return tuple(dict.fromkeys(more for each in self.findings for more in each.additions))


def read(run: Path, files: Files = DISK) -> Findings | None:
    """What was found when the run was last looked at; None without a file. Raises InputError for a damaged one."""
    path = run / NAME
    if files.size(path) is None:
        return None
    try:
        told: Mapping[str, object] = json.loads(files.read(path))
        return Findings.read(told)
    except (ValueError, TypeError, RecursionError, InputError) as error:
        raise InputError(f"{path} cannot be read ({error}); `sidelight findings {run}` writes it anew") from None
