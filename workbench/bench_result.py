"""What a bench found, as numbers and as a table to paste. Knows nothing about how it was measured."""

import platform
import resource
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.device import Numerics

KIB = 1024


@dataclass(frozen=True)
class Warmed:
    """Both sides have made a few cells: kernels are chosen, blocks compiled. Nothing of it is timed."""

    seconds: float


@dataclass(frozen=True)
class Round:
    """Both sides have made all cells once more; seconds of each."""

    number: int
    of: int
    plain: float
    ours: float


@dataclass(frozen=True)
class Split:
    """Seconds of one further, instrumented repeat: all of it, and inside the denoiser, text encoders and decoder."""

    total: float
    forward: float
    encode: float
    decode: float

    @property
    def outside(self) -> float:
        """Share of the time that is none of the three, 0..1."""
        return 1 - (self.forward + self.encode + self.decode) / self.total


@dataclass(frozen=True)
class Side:
    """One side's repeats: wall and CPU seconds of each, and the most memory the device held (None: not a GPU)."""

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    peak_bytes: int | None
    split: Split

    @property
    def median(self) -> float:
        """Of the wall seconds."""
        return statistics.median(self.seconds)

    @property
    def cpu_median(self) -> float:
        """Of the CPU seconds."""
        return statistics.median(self.cpu_seconds)


@dataclass(frozen=True)
class Agreement:
    """How far pictures of equal cells are apart: how many are byte for byte equal, and differences in 0..255."""

    pictures: int
    equal: int
    largest: int
    mean: float


@dataclass(frozen=True)
class Outcome:
    """One checkpoint's comparison. `evaluations`: network evaluations of all cells; rows, slots, forwards are ours."""

    checkpoint: str
    cells: int
    pixels: tuple[int, int]
    evaluations: int
    numerics: Numerics
    plain: Side
    ours: Side
    forwards: int
    rows: int
    slots: int
    flops_per_row: float
    peak_flops: float
    agreement: Agreement
    process_peak_bytes: int

    @property
    def speedup(self) -> float:
        """Plain seconds over our seconds, by their medians."""
        return self.plain.median / self.ours.median

    @property
    def spread(self) -> tuple[float, float]:
        """Lowest and highest ratio of one repeat."""
        ratios = [plain / ours for plain, ours in zip(self.plain.seconds, self.ours.seconds, strict=True)]
        return min(ratios), max(ratios)

    @property
    def cpu_speedup(self) -> float:
        """The same of CPU seconds, which other work on the machine disturbs less."""
        return self.plain.cpu_median / self.ours.cpu_median

    @property
    def fill(self) -> float:
        """Share of the computed rows that hold work, 0..1."""
        return self.rows / self.slots

    def peak_share(self, side: Side) -> float:
        """Share of the device's matmul peak that a side's useful rows come to, end to end, 0..1."""
        return self.flops_per_row * self.rows / side.median / self.peak_flops


def as_dict(outcome: Outcome, date: str) -> dict[str, Any]:
    """For --json: everything measured, and the ratios that follow from it."""
    sides = {
        name: {
            **asdict(side),
            "median_seconds": side.median,
            "outside": side.split.outside,
            "peak_share": outcome.peak_share(side),
        }
        for name, side in (("plain", outcome.plain), ("ours", outcome.ours))
    }
    return {
        **asdict(outcome),
        "date": date,
        "speedup": outcome.speedup,
        "speedup_spread": outcome.spread,
        "cpu_speedup": outcome.cpu_speedup,
        "fill": outcome.fill,
        "numerics": outcome.numerics.model_dump(mode="json"),
        "numerics_digest": outcome.numerics.digest,
        "python": platform.python_version(),
        **sides,
    }


def as_text(outcome: Outcome, date: str) -> str:
    """A Markdown table with what is needed to judge it: date, device, versions, how far the pictures agree."""
    plain, ours, agreed = outcome.plain, outcome.ours, outcome.agreement
    rows = [
        ("seconds for all cells", _seconds(plain.seconds), _seconds(ours.seconds)),
        ("seconds a picture", f"{plain.median / outcome.cells:.2f}", f"{ours.median / outcome.cells:.2f}"),
        ("CPU seconds", _seconds(plain.cpu_seconds), _seconds(ours.cpu_seconds)),
        ("time outside forward, encode and decode", f"{plain.split.outside:.1%}", f"{ours.split.outside:.1%}"),
        ("share of the matmul peak", f"{outcome.peak_share(plain):.1%}", f"{outcome.peak_share(ours):.1%}"),
    ]
    if plain.peak_bytes and ours.peak_bytes:
        rows.append(("peak memory of the device", _size(plain.peak_bytes), _size(ours.peak_bytes)))
    return "\n".join(
        [
            _headline(outcome, date),
            "",
            _circumstances(outcome),
            "",
            "| median (lowest to highest) | plain diffusers loop | Sidelight |",
            "|---|---:|---:|",
            *(f"| {' | '.join(row)} |" for row in rows),
            "",
            f"Lanes {outcome.numerics.lanes}: {outcome.forwards} forwards, {outcome.rows} rows in {outcome.slots} "
            f"slots (fill {outcome.fill:.0%}), {outcome.flops_per_row / 1e9:.1f} GFLOP a row. "
            f"Matmul peak {outcome.peak_flops / 1e12:.2f} TFLOP/s, measured in this run. "
            f"The process held {_size(outcome.process_peak_bytes)} at most.",
            f"Pictures: {agreed.equal} of {agreed.pictures} byte for byte equal, "
            f"largest difference {agreed.largest} of 255, mean {agreed.mean:.3f}.",
        ]
    )


def _headline(outcome: Outcome, date: str) -> str:
    low, high = outcome.spread
    repeats = f"{low:.2f} to {high:.2f} in {len(outcome.ours.seconds)} repeats"
    cpu = f"; {outcome.cpu_speedup:.2f}x in CPU seconds" if outcome.numerics.device == "cpu" else ""
    return f"**{outcome.checkpoint}: {outcome.speedup:.2f}x** ({repeats}{cpu}), {date}"


def _circumstances(outcome: Outcome) -> str:
    numerics = outcome.numerics
    width, height = outcome.pixels
    threads = f", threads {numerics.threads}" if numerics.threads else ""
    return (
        f"{outcome.cells} cells of {width} x {height} px, {outcome.evaluations} network evaluations; "
        f"{numerics.device}{threads}, {numerics.dtype}, autoencoder {numerics.vae_dtype}, "
        f"attention {numerics.attention}, compile {numerics.compile}; "
        f"torch {numerics.torch}, diffusers {numerics.diffusers}, transformers {numerics.transformers}, "
        f"Python {platform.python_version()}; numerics {numerics.digest}"
    )


def process_peak_bytes() -> int:
    """The most memory this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * KIB


def _seconds(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
