"""What a checkpoint offers to a form: whether it is here, its fields, defaults, sizes and schedulers.

Loads no torch and hashes no weights. Knows nothing about forms or pictures.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from pipelines import listing, schedulers
from pipelines.checkpoint import Checkpoint
from pipelines.downloads import lockfile, pulled
from pipelines.errors import InputError
from pipelines.families import FAMILIES
from pipelines.families.base import settings
from pipelines.listing import Defaults, Row
from pipelines.recipe import FamilyName, Weights
from pipelines.solver_table import Mode
from workbench.asking import size_text
from workbench.web.layout import Lookup

COMMON = frozenset({"steps", "scheduler", "loras", "start", "strength", "mask"})
FIELDS: Mapping[FamilyName, frozenset[str]] = {
    "sdxl": COMMON | {"guidance", "negative", "guidance_interval", "clip_skip", "spacing"},
    "flux": COMMON | {"guidance", "true_guidance", "negative", "guidance_interval", "text_tokens"},
    "flux2": COMMON | {"guidance", "negative", "guidance_interval", "text_tokens"},
}
"""Fields that a family has and another may lack."""
GUIDED = frozenset({"guidance", "negative", "guidance_interval"})
RATIOS = ("9:16", "2:3", "3:4", "4:5", "1:1", "5:4", "4:3", "3:2", "16:9", "21:9")
SMALLEST_SHARE = 0.85  # of the pixels that a checkpoint likes, so that a ratio is met well
SIDES_IN_STEPS = 32  # a preset's sides go in steps of a 32nd of the side that the checkpoint likes: 32 px of 1024
FAMILY_GRID: Mapping[FamilyName, tuple[int, int]] = {"sdxl": (8, 1), "flux": (1, 2), "flux2": (1, 2)}
"""Sides are multiples of this many pixels at least, and of so many latents (the families' own checks)."""


class Unread(Checkpoint):
    """A checkpoint whose weights are not hashed, for checking what it can make: its recipes are never made or kept."""

    @property
    def weights(self) -> Weights:
        """Weights of no digest."""
        return Weights(digest="0" * 64, family=self.family, quantisation=self.quantisation, name=self.name)


@dataclass(frozen=True)
class Offer:
    """A checkpoint by name or path. `checkpoint` and `defaults` are None where it is not here; `state` says so.

    `can_pull`: it comes from a hub and is not whole here. `fault` is what keeps it from making a picture.
    """

    name: str
    state: str
    family: FamilyName | None = None
    can_pull: bool = False
    checkpoint: Checkpoint | None = None
    defaults: Defaults | None = None
    fields: frozenset[str] = COMMON
    fault: str = ""

    @property
    def grid(self) -> int:
        """Both sides of a picture are multiples of this many pixels."""
        if self.checkpoint is None or self.family is None:
            return FAMILY_GRID["sdxl"][0]
        pixels, latents = FAMILY_GRID[self.family]
        return max(pixels, latents * self.checkpoint.latent_factor)

    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Width and height of each ratio, with about as many pixels as this checkpoint likes, never more."""
        budget = self.defaults.width * self.defaults.height if self.defaults else 1024 * 1024
        side = math.isqrt(budget)
        step = self.grid * max(1, side // SIDES_IN_STEPS // self.grid)
        return {ratio: _nearest(ratio, budget, step) for ratio in RATIOS}

    def schedulers(self, mode: Mode) -> tuple[str, ...]:
        """Names that work for this family in this mode; all that work anywhere where the family is not known."""
        rows = [row for row in schedulers.rows() if row.modes]
        return tuple(row.name for row in rows if self.family is None or mode in dict(row.modes).get(self.family, ()))


def of(name: str, lookup: Lookup) -> Offer:
    """What the checkpoint of that name or path offers; never raises for one that cannot be opened."""
    if not name.strip():
        return Offer("", "no checkpoint", fault="no checkpoint is chosen; pick one above")
    row, checkpoint, fault = None, None, ""
    try:
        row = listing.row_of(name)
    except InputError as error:
        fault = str(error)
    try:
        checkpoint = _unread(lookup(name))
        family = FAMILIES[checkpoint.family]
        own, defaults = family.defaults(checkpoint), settings(family, checkpoint)
    except (InputError, KeyError, TypeError) as error:
        fault = fault or (str(error) if isinstance(error, InputError) else f"{name} is damaged ({error!r})")
        known = FIELDS[row.family] if row else COMMON
        state, can_pull = _told(row) if row else ("unknown", False)
        return Offer(name, state, row.family if row else None, can_pull=can_pull, fields=known, fault=fault)
    has_guidance = own.guidance > 1  # a family whose own default is "off" gives this checkpoint no guidance at all
    without = set() if has_guidance else {"guidance"} if checkpoint.family == "flux" else GUIDED
    state = _told(row)[0] if row else "here"
    return Offer(
        name, state, checkpoint.family, checkpoint=checkpoint, defaults=defaults,
        fields=FIELDS[checkpoint.family] - without,
    )  # fmt: skip


def choices() -> list[tuple[str, str]]:
    """Every checkpoint as (label with its state, name): what is here first, one's own before the shipped."""
    lock = lockfile.read(listing.models_folder())
    rows = [(row, *pulled.state(row, lock)) for row in listing.rows().values() if row.kind == "checkpoint"]
    rows.sort(key=lambda one: (one[1] != "here", one[0].listed_in == listing.SHIPPED))
    return [(f"{row.name}  ·  {_state(row, state, size)}", row.name) for row, state, size in rows]


def _told(row: Row) -> tuple[str, bool]:
    """The state in words, and whether a download would mend it."""
    state, size = pulled.state(row, lockfile.read(listing.models_folder()))
    can_pull = bool(pulled.needs(row)) and state != "here"
    licence = f", {row.licence}" if row.licence else ""
    return f"{row.family}, {_state(row, state, size)}{licence}", can_pull


def _state(row: Row, state: pulled.State, size: int | None) -> str:
    said = {"incomplete": "download broke off", "damaged": "damaged: download it again"}.get(state, state)
    if state in ("to be downloaded", "incomplete") and row.is_gated:
        said = f"gated, {said}"
    if row.source.kind == "demo":
        said = "here, a small demo"
    return f"{said}, {size_text(size)}" if size and row.source.kind != "demo" else said


def _unread(checkpoint: Checkpoint) -> Checkpoint:
    return Unread(**{each.name: getattr(checkpoint, each.name) for each in fields(checkpoint)})


@lru_cache(maxsize=256)
def _nearest(ratio: str, budget: int, step: int) -> tuple[int, int]:
    """The size that meets the ratio best, of those a little under the budget; of equally good ones the largest."""
    across, down = map(int, ratio.split(":"))
    sides = range(step, math.isqrt(budget) * 4, step)
    found = [(wide, high) for wide in sides for high in sides if SMALLEST_SHARE * budget <= wide * high <= budget]

    def off(size: tuple[int, int]) -> tuple[float, int]:
        return round(abs(math.log(size[0] * down / (size[1] * across))), 3), -size[0] * size[1]

    return min(found, key=off, default=(step, step))


def exists(path: str) -> bool:
    """Whether a file lies there."""
    try:
        return bool(path) and Path(path).is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
