"""What is known of one picture before anything is advised: recipe, faces in numbers, marks, the run around it.

Knows nothing about files or pixels: `workbench.advice_seen` gathers it, tests write it down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pipelines import skin
from pipelines.draft import Draft
from pipelines.light import Light
from pipelines.listing import Defaults
from pipelines.recipe import FamilyName
from pipelines.skin_measures import MEASURES, Measure
from sweeps.marks import Mark
from workbench.notes_data import Window

Fault = Literal[
    "no face", "small", "flat light", "burnt", "black", "no texture", "noise", "halo", "soft", "enlarged", "slip"
]
"""What can be wrong with a face, worst first. `slip`: a person ticked eyes, teeth, neck and the like."""
Began = Literal["noise", "picture", "mask"]
KNOWN: Mapping[str, Measure] = {measure.name: measure for measure in MEASURES}
ENLARGED = 0.6
"""pixel_share of a picture that was enlarged (Lanczos 2x halves it, from 0.9 at least) or smoothed."""
WIDESPREAD, FEWEST = 0.5, 3
"""Share of a run's measured pictures that show a fault, and how few they may be, for it to be the sweep's own."""
GOOD_STARS = 4
RULES: Mapping[str, str] = {
    "slope": f"; below {skin.NO_TEXTURE} no texture",
    "pixel_share": f"; above {skin.NOISE} noise",
    "side_ev": f"; side light from {skin.FLAT_SIDE}",
    "shading": f"; side light from {skin.FLAT_SHADING}",
}
"""What is said of a measure beside where photographs lay."""


@dataclass(frozen=True)
class FaceFacts:
    """One face in numbers. `values` by measure, None where it cannot be had, then `why` says so; `flat` as is_flat."""

    number: int
    eye_distance: float
    values: Mapping[str, float | None]
    why: Mapping[str, str] = field(default_factory=dict)
    flat: str = ""

    def value(self, name: str) -> float | None:
        """A measure's number; None where there is none."""
        return self.values.get(name)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What the rules that skin measures are trusted with say of this face, worst first."""
        slope, halo = self.value("slope"), self.value("halo")
        found: dict[Fault, bool] = {
            "small": self.eye_distance < skin.EYES_PX,
            "flat light": bool(self.flat),
            "burnt": (self.value("clipped_high") or 0) > KNOWN["clipped_high"].high,
            "black": (self.value("clipped_low") or 0) > KNOWN["clipped_low"].high,
            "no texture": slope is not None and slope < skin.NO_TEXTURE,
            "noise": self._is_noise,
            "halo": halo is not None and halo > KNOWN["halo"].high,
            "soft": slope is not None and skin.NO_TEXTURE <= slope < KNOWN["slope"].low,
            "enlarged": self._is_enlarged,
        }
        return tuple(fault for fault, is_so in found.items() if is_so)

    @property
    def _is_noise(self) -> bool:
        share = self.value("pixel_share")
        return share is not None and share > skin.NOISE and skin.NOISE_FROM_PX <= self.eye_distance <= skin.NOISE_TO_PX

    @property
    def _is_enlarged(self) -> bool:
        share, slope = self.value("pixel_share"), self.value("slope")
        return share is not None and share < ENLARGED and slope is not None and slope >= skin.NO_TEXTURE


@dataclass(frozen=True)
class Sibling:
    """Another picture of the run, of the same seed, and what was set otherwise there, as (name, text)."""

    key: str
    otherwise: tuple[tuple[str, str], ...]
    faults: tuple[Fault, ...]
    slope: float | None = None


@dataclass(frozen=True)
class RunFacts:
    """The run a picture is of: how many of its `measured` pictures show each fault, and what varies in it.

    `window` and `plateau` are what its findings say of this picture's checkpoint, None where they do not.
    """

    name: str
    measured: int = 0
    has_findings: bool = False
    window: Window | None = None
    plateau: int | None = None
    counts: Mapping[Fault, int] = field(default_factory=dict)
    varied: tuple[str, ...] = ()
    siblings: tuple[Sibling, ...] = ()

    def is_widespread(self, fault: Fault) -> bool:
        """Whether it is the sweep that should change, not one picture."""
        many = self.counts.get(fault, 0)
        return many >= FEWEST and many >= WIDESPREAD * self.measured


@dataclass(frozen=True)
class Facts:
    """All of one picture. `draft` asks for it again, None where it does not say what made it, and `unsaid` is why.

    `draft.checkpoint` is "" where none here is matched. `light` is the filled template that wrote its words. `usual` is
    what its checkpoint likes, None where that is not known.
    """

    file: Path
    width: int
    height: int
    faces: tuple[FaceFacts, ...]
    draft: Draft | None = None
    unsaid: str = ""
    tool: str = ""
    family: FamilyName | None = None
    light: Light | None = None
    began: Began = "noise"
    usual: Defaults | None = None
    mark: Mark | None = None
    run: RunFacts | None = None

    @property
    def largest(self) -> FaceFacts | None:
        """The face with the widest eyes; None without any."""
        return max(self.faces, key=lambda face: face.eye_distance, default=None)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Those of all faces, worst first; `no face` where there is none."""
        if not self.faces:
            return ("no face",)
        found = {fault for face in self.faces for fault in face.faults}
        if self.mark and set(self.mark.faults) - {"light"}:
            found.add("slip")
        return tuple(fault for fault in get_args(Fault) if fault in found)

    def faces_with(self, *faults: Fault) -> tuple[FaceFacts, ...]:
        """The faces that show one of these."""
        return tuple(face for face in self.faces if set(faults).intersection(face.faults))

    @property
    def is_again(self) -> bool:
        """Whether its recipe alone makes a picture: made from noise, with a checkpoint that is known here."""
        return self.draft is not None and self.began == "noise" and bool(self.draft.checkpoint)

    @property
    def kept_for(self) -> tuple[tuple[str, str], ...]:
        """Why its composition is worth keeping, as (mark or field, text); empty where nothing says so."""
        reasons = []
        if self.mark and self.mark.pick == "pick":
            reasons.append(("mark", "pick"))
        if self.mark and self.mark.stars >= GOOD_STARS:
            reasons.append(("stars", str(self.mark.stars)))
        if self.began == "mask":
            reasons.append(("mask", "a repair of another picture"))
        elif self.began == "picture":
            reasons.append(("start", "it began from another picture"))
        return tuple(reasons)


def told(name: str, value: float) -> str:
    """A measure's number for people, with its unit and where photographs lay."""
    measure = KNOWN[name]
    number = f"{value:+.2f}" if measure.low < 0 else f"{value:.2f}"
    return f"{number} {measure.unit} (photographs {measure.low:g} to {measure.high:g}{RULES.get(name, '')})"
