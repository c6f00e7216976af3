"""Measures a demo checkpoint over a small grid: faces, eye distance, cheek light, skin texture, seconds a picture.

The README's figures come from here. Knows nothing about training.
"""

import argparse
import math
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

from pipelines.demo.training.facemesh import FaceFinder, FoundFace

LIGHTS = {"left": "side light from the left", "right": "side light from the right", "front": "frontal light"}
SKINS = {"textured": "textured skin, pores", "smooth": "smooth skin"}
WHO = (
    "portrait of a woman, light skin, brown hair, grey background",
    "portrait of a man, dark skin, short black hair, blue background",
)
CHEEKS = (
    [116, 117, 118, 119, 100, 142, 203, 206, 207, 187, 147, 123],  # the picture's left, then right
    [345, 346, 347, 348, 329, 371, 423, 426, 427, 411, 376, 352],
)
FOREHEAD = [103, 67, 109, 10, 338, 297, 332, 333, 299, 337, 151, 108, 69, 104]
LUMA = np.array([0.299, 0.587, 0.114])
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
class Reading:
    """Measures of a cell whose face was found. cheeks: left minus right, luma 0 to 1; texture: % contrast."""

    cell: Cell
    eye_distance: float
    cheeks: float
    texture: float


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


def texture(picture: NDArray[np.uint8], face: FoundFace) -> float:
    """Spread of the band from .006 to .018 eye distances of log light, on lit cheeks and forehead, in % contrast."""
    light = (picture / 255.0) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])
    skin = np.any([face.hull(points, len(picture)) for points in (*CHEEKS, FOREHEAD)], axis=0)
    skin = cv2.erode(skin.astype(np.uint8), np.ones((3, 3))) > 0
    middle = np.median(light[skin])
    log = np.log2(light + 0.02 * middle).astype(np.float32)
    eyes = face.eye_distance()
    band = cv2.GaussianBlur(log, (0, 0), 0.006 * eyes) - cv2.GaussianBlur(log, (0, 0), 0.018 * eyes)
    band = band[skin & (light > 0.5 * middle)]
    return float(100 * math.log(2) * 1.4826 * np.median(np.abs(band - np.median(band))))


def read(picture: NDArray[np.uint8], cell: Cell, finder: FaceFinder) -> Reading | None:
    """None where no face is found."""
    face = finder.find(picture)
    if face is None:
        return None
    grey = picture @ LUMA / 255
    left, right = (float(grey[face.hull(points, len(picture))].mean()) for points in CHEEKS)
    return Reading(cell, face.eye_distance(), left - right, texture(picture, face))


def table(cells: list[Cell], readings: list[Reading], seconds: float) -> str:
    """The figures as Markdown."""
    eyes = np.array([r.eye_distance for r in readings])
    rows = [
        ("faces found", f"{len(readings)} of {len(cells)} ({100 * len(readings) / len(cells):.0f} %)"),
        ("eye distance, median; share from 60 px", f"{np.median(eyes):.0f} px; {100 * (eyes >= 60).mean():.0f} %"),
    ]
    cheeks = {light: np.mean([r.cheeks for r in readings if r.cell.light == light]) for light in LIGHTS}
    rows += [(f"left minus right cheek, light from the {light}", f"{value:+.2f}") for light, value in cheeks.items()]
    spread = {skin: np.median([r.texture for r in readings if r.cell.skin == skin]) for skin in SKINS}
    rows += [(f"texture, {skin} skin", f"{value:.2f} %") for skin, value in spread.items()]
    rows += [
        ("texture, textured : smooth", f"{spread['textured'] / spread['smooth']:.1f}"),
        ("seconds a picture", f"{seconds:.1f}"),
    ]
    return "\n".join(["| measure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--face-models", type=Path, required=True, help="folder with the two MediaPipe .tflite files")
    p.add_argument("--guidance", type=float, nargs="+", default=[2, 4, 6, 8])
    p.add_argument("--steps", type=int, nargs="+", default=[10, 20, 30])
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--pictures", type=Path, help="contact sheet to write")
    o = p.parse_args()
    torch.set_num_threads(1)
    pipe = DiffusionPipeline.from_pretrained(o.checkpoint, local_files_only=True, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    finder, cells = FaceFinder(o.face_models), grid(o.guidance, o.steps, o.seeds)
    start = time.monotonic()
    pictures = [make(pipe, cell) for cell in cells]
    seconds = (time.monotonic() - start) / len(cells)
    readings = [r for picture, cell in zip(pictures, cells, strict=True) if (r := read(picture, cell, finder))]
    print(table(cells, readings, seconds))
    if o.pictures:
        wide = len(o.guidance) * len(o.steps)
        sheet = np.vstack([np.hstack(pictures[i : i + wide]) for i in range(0, len(pictures), wide)])
        cv2.imwrite(str(o.pictures), sheet[..., ::-1])


if __name__ == "__main__":
    main()
