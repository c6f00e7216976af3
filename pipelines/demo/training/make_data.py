"""Renders the training pictures into one array on disk, with a caption and the attributes a line.

Pictures are kept as bytes, so that the autoencoders can be trained and changed without drawing again. Knows nothing
about models.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipelines.demo.portraits import SIZE, portrait

BLOCK = 250  # pictures drawn by a worker at a time


@dataclass(frozen=True)
class Block:
    """Pictures `start` to `stop` of a data folder, to be drawn from the seeds that begin at `seed`."""

    folder: Path
    start: int
    stop: int
    seed: int


def render(block: Block) -> list[str]:
    """Draws the block into its place and returns its lines for captions.jsonl."""
    cv2.setNumThreads(1)
    pictures = np.lib.format.open_memmap(block.folder / "pictures.npy", mode="r+")
    lines = []
    for i in range(block.start, block.stop):
        drawn = portrait(block.seed + i)
        pictures[i] = drawn.picture
        lines.append(json.dumps({"caption": drawn.caption, **drawn.attributes.row()}))
    return lines


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("folder", type=Path)
    p.add_argument("--count", type=int, default=7000)
    p.add_argument("--seed", type=int, default=1_000_000, help="seed of the first picture; the next ones count up")
    p.add_argument("--workers", type=int, default=2)
    o = p.parse_args()
    o.folder.mkdir(parents=True, exist_ok=True)
    shape = (o.count, SIZE, SIZE, 3)
    np.lib.format.open_memmap(o.folder / "pictures.npy", mode="w+", dtype=np.uint8, shape=shape).flush()
    blocks = [Block(o.folder, start, min(start + BLOCK, o.count), o.seed) for start in range(0, o.count, BLOCK)]
    with ProcessPoolExecutor(o.workers) as pool, open(o.folder / "captions.jsonl", "w") as out:
        for number, lines in enumerate(pool.map(render, blocks), 1):
            out.write("\n".join(lines) + "\n")
            out.flush()
            print("blocks", number, "of", len(blocks), flush=True)


if __name__ == "__main__":
    main()
