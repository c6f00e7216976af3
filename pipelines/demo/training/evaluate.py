"""Measures a demo checkpoint over a small grid: faces, eye distance, side light, skin texture, seconds a picture.

The README's figures come from here. Knows nothing about training.
"""

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import DiffusionPipeline
from numpy.typing import NDArray

from pipelines.regions import face_map
from pipelines.skin import Measured, measure

LIGHTS = {"left": "side light from the left", "right": "side light from the right", "front": "frontal light"}
SKINS = {"textured": "textured skin, pores", "smooth": "smooth skin"}
WHO = (
    "portrait of a woman, light skin, brown hair, grey background",
    "portrait of a man, dark skin, short black hair, blue background",
)
SIZE = 256


@dataclass(frozen=True)
class Cell:
    """One picture of the grid."""

    light: str
    skin: str
    prompt: str
    guidance: float
    steps: int
    seed: int


@dataclass(frozen=True)
class Result:
    """A cell with the measures of its face; eye distance in pixels, None where no face was found."""

    cell: Cell
    eye_distance: float | None
    measured: Measured

    @property
    def is_whole(self) -> bool:
        """Whether every measure has a number."""
        return all(reading.value is not None for reading in self.measured.readings)


def grid(guidances: Iterable[float], steps: Iterable[int], seeds: int) -> list[Cell]:
    """Every person, light and skin with every guidance, number of steps and seed."""
    return [
        Cell(light, skin, f"{who}, {said}, {looks}", guidance, count, seed)
        for seed in range(seeds)
        for who in WHO
        for light, said in LIGHTS.items()
        for skin, looks in SKINS.items()
        for guidance in guidances
        for count in steps
    ]


def make(pipe: Any, cell: Cell) -> NDArray[np.uint8]:
    """The cell's picture; FLUX gets 64 text tokens, for speed."""
    short = {"max_sequence_length": 64} if "Flux" in type(pipe).__name__ else {}
    made = pipe(
        cell.prompt,
        height=SIZE,
        width=SIZE,
        num_inference_steps=cell.steps,
        guidance_scale=cell.guidance,
        generator=torch.Generator().manual_seed(cell.seed),
        **short,
    )
    return np.asarray(made.images[0])


def read(picture: NDArray[np.uint8], cell: Cell) -> Result:
    """The measures of the largest face found: a demo portrait is meant to hold one."""
    found = face_map(picture)
    face = max(found.faces, key=lambda each: each.eye_distance, default=None)
    if face is None:
        return Result(cell, None, measure(picture, found))
    return Result(cell, face.eye_distance, measure(picture, found, face.number))


def middle(results: Iterable[Result], name: str) -> str:
    """Median of a measure over those that have it."""
    values = [value for result in results if (value := result.measured.value(name)) is not None]
    return f"{np.median(values):{'+' if min(values) < 0 else ''}.2f}" if values else "not measurable"


def table(results: list[Result], seconds: float) -> str:
    """The figures as Markdown."""
    found = [result for result in results if result.eye_distance is not None]
    eyes = np.array([result.eye_distance for result in found])
    rows = [
        ("faces found", _share(len(found), len(results))),
        ("every measure has a number", _share(sum(result.is_whole for result in results), len(results))),
        ("eye distance, median; share from 60 px", f"{np.median(eyes):.0f} px; {100 * (eyes >= 60).mean():.0f} %"),
    ]
    for light, said in LIGHTS.items():
        rows.append((f"side_ev (EV), {said}", middle((each for each in found if each.cell.light == light), "side_ev")))
    for skin, said in SKINS.items():
        rows.append((f"texture (%), {said}", middle((each for each in found if each.cell.skin == skin), "texture")))
    rows.append(("seconds a picture", f"{seconds:.1f}"))
    return "\n".join(["| measure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _share(count: int, of: int) -> str:
    return f"{count} of {of} ({100 * count / of:.0f} %)"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--guidance", type=float, nargs="+", default=[2, 4, 6, 8])
    p.add_argument("--steps", type=int, nargs="+", default=[10, 20, 30])
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--pictures", type=Path, help="contact sheet to write")
    o = p.parse_args()
    torch.set_num_threads(1)
    pipe = DiffusionPipeline.from_pretrained(o.checkpoint, local_files_only=True, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    cells = grid(o.guidance, o.steps, o.seeds)
    start = time.monotonic()
    pictures = [make(pipe, cell) for cell in cells]
    seconds = (time.monotonic() - start) / len(cells)
    print(table([read(picture, cell) for picture, cell in zip(pictures, cells, strict=True)], seconds))
    if o.pictures:
        wide = len(o.guidance) * len(o.steps)
        sheet = np.vstack([np.hstack(pictures[i : i + wide]) for i in range(0, len(pictures), wide)])
        cv2.imwrite(str(o.pictures), sheet[..., ::-1])


if __name__ == "__main__":
    main()
