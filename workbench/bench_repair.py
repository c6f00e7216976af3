"""A face pass against making the whole picture again: seconds of both, in turn. Knows nothing about commands.

Both sides are runs as a person starts them, from the prepared sweep to the file on the disk, with one set of weights
that stays in memory: the pass also finds the face, paints the mask, pastes back and proves. Loads torch.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.draft import Draft
from pipelines.engine import Engine
from pipelines.errors import CellError, InputError
from pipelines.events import Failed
from pipelines.given import images_of
from pipelines.store import Store
from sweeps.prepare import Prepared, prepare
from sweeps.run import run
from sweeps.sweep import Sweep
from workbench.bench_result import Warmed
from workbench.bench_weights import ResidentParts

OpenParts = Callable[[Checkpoint, Numerics], ResidentParts]
STRENGTH = 0.4
EXPRESSION = "face1.skin; feather 0.06"


@dataclass(frozen=True)
class Repaired:
    """Both sides have made their picture once more; what each took."""

    number: int
    of: int
    whole: "Spent"
    face: "Spent"


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of the CPU, which other work on the machine disturbs less."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class FacePass:
    """What was found: seconds of every repeat, and what was made. `mask`: the expression, or that it was painted.

    `pixels` of the whole picture; `worked` the size that the crop was scaled to.
    """

    checkpoint: str
    pixels: tuple[int, int]
    worked: tuple[int, int]
    steps: int
    strength: float
    mask: str
    whole: tuple[Spent, ...]
    face: tuple[Spent, ...]
    numerics: Numerics

    @property
    def ratio(self) -> float:
        """Seconds of a face pass over those of the whole picture, by their medians."""
        return _median(self.face) / _median(self.whole)

    @property
    def spread(self) -> tuple[float, float]:
        """Lowest and highest ratio of one repeat."""
        ratios = [face.seconds / whole.seconds for face, whole in zip(self.face, self.whole, strict=True)]
        return min(ratios), max(ratios)

    @property
    def cpu_ratio(self) -> float:
        """The same of CPU seconds."""
        both = (statistics.median(each.cpu_seconds for each in side) for side in (self.face, self.whole))
        return next(both) / next(both)


def compare(
    checkpoint: Checkpoint,
    draft: Draft,
    *,
    repeats: int,
    asked: Mapping[str, Any],
    open_parts: OpenParts = ResidentParts,
) -> Iterator[Warmed | Repaired | FacePass]:
    """Make the picture of `draft` and repair its first face, in turn, `repeats` times; one round before is not timed.

    Raises CellError if a picture fails.
    """
    with TemporaryDirectory() as folder:
        side = _Side(checkpoint, Path(folder), asked, open_parts)
        began = time.perf_counter()
        picture, _ = side.make(draft)
        repair = _repair_of(draft, picture, side)
        side.make(repair)
        yield Warmed(time.perf_counter() - began)
        rounds: list[Repaired] = []
        for number in range(1, repeats + 1):
            seconds = {one: side.make(one)[1] for one in ((draft, repair) if number % 2 else (repair, draft))}
            rounds.append(Repaired(number, repeats, seconds[draft], seconds[repair]))
            yield rounds[-1]
        prepared = side.prepared(repair)
        (recipe,) = prepared.recipes.values()
        yield FacePass(
            checkpoint=checkpoint.name,
            pixels=recipe.size,
            worked=(recipe.width, recipe.height),
            steps=recipe.steps,
            strength=STRENGTH,
            mask=EXPRESSION if repair.mask == EXPRESSION else "painted, as no face was found",
            whole=tuple(one.whole for one in rounds),
            face=tuple(one.face for one in rounds),
            numerics=prepared.numerics.now,
        )


class _Side:
    """Makes one picture a call, each in a run folder of its own, with weights that stay."""

    def __init__(self, checkpoint: Checkpoint, folder: Path, asked: Mapping[str, Any], open_parts: OpenParts) -> None:
        self._checkpoint, self._folder, self._asked, self._open_parts = checkpoint, folder, asked, open_parts
        self._parts: ResidentParts | None = None
        self._made = 0

    def prepared(self, draft: Draft) -> Prepared:
        """A run of this one picture, in a folder that no run had."""
        self._made += 1
        sweep = Sweep.over("bench", draft, axes=())
        return prepare(sweep, self._folder / str(self._made), asked=self._asked, lookup=lambda _: self._checkpoint)

    def make(self, draft: Draft) -> tuple[Path, Spent]:
        """The picture's file, and what it took from the draft to the file."""
        began, busy = time.perf_counter(), time.process_time()
        prepared = self.prepared(draft)
        with closing(run(prepared, open_engine=self._engine)) as happenings:
            for happening in happenings:
                if isinstance(happening, Failed):
                    raise CellError(f"a picture of the bench failed, so nothing can be compared: {happening.reason}")
        spent = Spent(time.perf_counter() - began, time.process_time() - busy)
        (key,) = prepared.keys
        return Store(prepared.folder).path(key), spent

    def _engine(self, checkpoint: Checkpoint, numerics: Numerics, store: Store) -> Engine:
        self._parts = self._parts or self._open_parts(checkpoint, numerics)
        parts = self._parts
        return Engine(checkpoint, numerics, images=lambda recipe: images_of(recipe, store), open_parts=lambda *_: parts)


def _repair_of(draft: Draft, picture: Path, side: _Side) -> Draft:
    """A pass over the first face; over an ellipse in the middle where none is found, as small checkpoints may draw."""
    repair = draft.but(start=str(picture), strength=STRENGTH, context=0.35, mask=EXPRESSION, width=None, height=None)
    try:
        side.prepared(repair)
    except InputError:
        return repair.but(mask=str(_ellipse(picture)))
    return repair


def _ellipse(picture: Path) -> Path:
    """A mask as a face in a portrait lies: half as wide and 0.6 times as high as the picture."""
    from PIL import Image, ImageDraw

    with Image.open(picture) as image:
        wide, high = image.size
    mask = Image.new("L", (wide, high))
    ImageDraw.Draw(mask).ellipse((wide // 4, high // 5, wide * 3 // 4, high * 4 // 5), fill=255)
    path = picture.with_name("ellipse.png")
    mask.save(path)
    return path


def as_dict(found: FacePass, date: str) -> dict[str, Any]:
    """For --json."""
    numerics = {"numerics": found.numerics.model_dump(mode="json"), "numerics_digest": found.numerics.digest}
    ratios = {"ratio": found.ratio, "ratio_spread": found.spread, "cpu_ratio": found.cpu_ratio}
    return {**asdict(found), **numerics, **ratios, "date": date}


def as_text(found: FacePass, date: str) -> str:
    """One paragraph to paste: ratio, seconds, and what was made on what."""
    low, high = found.spread
    numerics = found.numerics
    cpu = f"; {found.cpu_ratio:.2f} of its CPU seconds" if numerics.device == "cpu" else ""
    return (
        f"**{found.checkpoint}: a face pass takes {found.ratio:.2f} of the whole picture's time** ({low:.2f} to "
        f"{high:.2f} in {len(found.face)} repeats{cpu}), {date}\n\n"
        f"Face pass {_median(found.face):.2f} s (mask: {found.mask}; crop worked at {found.worked[0]} x "
        f"{found.worked[1]} px, strength {found.strength}; with finding the face, pasting back and the proof), whole "
        f"picture {_median(found.whole):.2f} s ({found.pixels[0]} x {found.pixels[1]} px), {found.steps} "
        f"steps; {numerics.device}, {numerics.dtype}, weights in memory; torch {numerics.torch}, diffusers "
        f"{numerics.diffusers}; numerics {numerics.digest}\n"
    )


def _median(side: Sequence[Spent]) -> float:
    return statistics.median(each.seconds for each in side)
