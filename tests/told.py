"""Findings made by hand, and a small run folder that they are about. Knows nothing about how findings are found."""

from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from sweeps.findings import Addition, Curve, Estimate, Evidence, Finding, Findings, Point, Role, Shown
from sweeps.grid import Grid, GridAxis, GridCell
from sweeps.journal import Journal, PictureDone, RunFinished, RunStarted, Spent
from tests.photographs import Pixels, collins

GUIDANCE = (1.0, 2.0, 4.0, 6.0)
REASON = "latents are not finite after step 3 of 28"
VALIDATED = "validated on simulated curves, not on diffusion output"


def key(number: int) -> str:
    return f"{number:016x}"


def grid(folder: Path, pixels: Pixels | None = None, *, failed: int = 0, faceless: tuple[int, ...] = ()) -> Grid:
    """guidance x one seed, each a photograph a little darker than the one before; the last `failed` are not there."""
    (folder / "pictures").mkdir(exist_ok=True)
    cells = []
    for number in range(len(GUIDANCE)):
        values = (("guidance", f"{GUIDANCE[number]:g}"), ("seed", "7"))
        if number >= len(GUIDANCE) - failed:
            cells.append(GridCell((number, 0), key(number), None, "failed", REASON, values))
            continue
        name = f"pictures/{key(number)}.png"
        shown = np.full_like(collins(), 90) if number in faceless else (collins() if pixels is None else pixels)
        Image.fromarray((shown * (1 - number / 50)).astype(np.uint8)).save(folder / name)
        cells.append(GridCell((number, 0), key(number), name, "done", values=values))
    axes = (GridAxis("guidance", tuple(f"{value:g}" for value in GUIDANCE)), GridAxis("seed", ("7",)))
    return Grid("window light", "demo-sdxl · 4 pictures", axes, tuple(cells))


def portrait() -> Pixels:
    """512 x 512, shown at its own pixels."""
    return np.ascontiguousarray(skimage.data.astronaut())


def estimate(value: float, spread: float = 0.1, n: int = 6) -> Estimate:
    return Estimate(value=value, low=value - spread, high=value + spread, n=n)


def curve(measure: str = "texture", values: tuple[float, ...] = (1.8, 3.0, 3.2, 5.5), n: int = 6) -> Curve:
    points = tuple(
        Point(at=at, label=f"{at:g}", estimate=estimate(value, n=n), keys=(key(number),))
        for number, (at, value) in enumerate(zip(GUIDANCE, values, strict=True))
    )
    return Curve(measure=measure, axis="guidance", points=points)


def shown(role: Role, number: int, words: str = "") -> Shown:
    return Shown(role=role, key=key(number), words=words)


def window(**changes: object) -> Finding:
    """Guidance 2 to 4, with pictures, a curve and evidence on both sides."""
    finding = Finding(
        kind="guidance-window",
        state="found",
        checkpoint="demo-sdxl",
        held=(("steps", "20"),),
        sentence="Guidance 2 to 4 keeps the skin.",
        low=2.0,
        high=4.0,
        n=6,
        evidence=(
            Evidence(measure="texture", sentence="below 2 texture falls", effect=estimate(-1.0)),
            Evidence(measure="blood", sentence="colour says nothing", is_for=False),
        ),
        curves=(curve(),),
        pictures=(shown("best", 1, "in the middle"), shown("mud", 0), shown("plastic", 3)),
        cautions=("eyes are 43 px apart",),
    )
    return finding.but(**changes) if changes else finding


def nothing(sentence: str = "No finding: two seeds are too few.") -> Finding:
    more = Addition(values=(("guidance", (2, 4)), ("seed", (8, 9))), count=4, why="Two more seeds would tell.")
    return Finding(
        kind="step-plateau", state="none", checkpoint="demo-flux", held=(), sentence=sentence, additions=(more,)
    )


def findings(*found: Finding, measured: int = 4, votes: int = 0) -> Findings:
    return Findings(
        title="window light", pictures=4, measured=measured, votes=votes, validated=VALIDATED, findings=found
    )


def journal(folder: Path, *spent: Spent) -> None:
    """A run that made its pictures in two seconds each, one after the other."""
    with Journal(folder, now=lambda: "2026-11-22T01:50:04+00:00", reserve_bytes=0) as book:
        book.append(RunStarted(cells=4))
        for number in range(4):
            book.append(PictureDone(key=key(number), lane=0, seconds=2.0))
        for line in spent:
            book.append(line)
        book.append(RunFinished(made=4, failed=0))
