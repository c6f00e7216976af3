"""What an engine tells while it works, as a generator of events. Knows nothing about who listens."""

from dataclasses import dataclass
from typing import Any

from pipelines.device import Numerics


@dataclass(frozen=True)
class Loading:
    """A component is being read: bytes so far and in all, of this checkpoint."""

    component: str
    bytes: int
    of_bytes: int


@dataclass(frozen=True)
class Encoding:
    """A distinct prompt is being turned into tensors."""

    done: int
    of: int


@dataclass(frozen=True)
class Stepped:
    """A picture has taken step `step` (from 1) of `steps`."""

    key: str
    step: int
    steps: int


@dataclass(frozen=True)
class Preview:
    """A rough picture of the latents as they stand: (h, w, 3) uint8, one pixel a latent; not what will come out."""

    key: str
    step: int
    pixels: Any


@dataclass(frozen=True)
class Made:
    """A picture is done. pixels: (height, width, 3) float32 in 0..1, sRGB, finite."""

    key: str
    pixels: Any
    first_timestep: float
    first_sigma: float
    evaluations: int
    numerics: Numerics
    lane: int
    seconds: float
    """From its first call of the network to decoded pixels; it may have shared the device with others."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """A picture could not be made; the others go on."""

    key: str
    reason: str


@dataclass(frozen=True)
class Shrunk:
    """Memory ran out: from here on pictures are made with these numerics."""

    numerics: Numerics
    reason: str


@dataclass(frozen=True)
class Ticked:
    """Every live picture has advanced by one network call: the moment to stop without losing anything."""


Event = Loading | Encoding | Stepped | Preview | Made | Failed | Shrunk | Ticked
