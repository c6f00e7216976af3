"""What stands in the form of the Face tab, and which Sweep it means. Knows nothing about HTTP, faces or pixels.

Values are text as a person typed it; "" means "as usual for a repair". What a repair is stands in `face_passes`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.draft import Draft, Settled, Taken, settle
from pipelines.errors import InputError, SweepError
from pipelines.frozen import Frozen
from pipelines.mask_words import is_expression
from sweeps import axes as grammar
from sweeps.sweep import Sweep, expand
from workbench import face_passes
from workbench.face_passes import Source
from workbench.web import offer as offering
from workbench.web.offer import Offer

NUMBERS = ("strength", "steps", "guidance", "seed", "context", "reference_weight")
"""Fields that may have several values, which then make an axis."""
EXACT = ("checkpoint", "prompt", "negative", "scheduler", "reference_by")
"""Fields of one value: commas, quotes and @ in it mean themselves."""
MOST_PICTURES = 64
"""That are made while somebody waits; more are for the Sweep tab."""
LONGEST_TITLE = 60
PAINTED = "painted.png"
"""Stands for a painted mask that was not sent yet: its pixels are asked for when it is queued."""


class Brief(Frozen):
    """A repair as it stands in the form. `picture`, `painted`, `reference` are names that the page's server gave.

    `run` and `key` say where the picture lies, if it is one of a run. `painted` is a mask painted by hand and stands
    for `mask`, an expression; `is_painted` says that there will be one. `name` is what the picture is called.
    """

    picture: str = ""
    run: str = ""
    key: str = ""
    name: str = ""
    face: str = ""
    mask: str = ""
    painted: str = ""
    is_painted: bool = False
    strength: str = ""
    checkpoint: str = ""
    prompt: str = ""
    negative: str = ""
    steps: str = ""
    guidance: str = ""
    seed: str = ""
    context: str = ""
    scheduler: str = ""
    loras: str = ""
    reference: str = ""
    reference_weight: str = ""
    reference_by: str = ""


class Files(NamedTuple):
    """The files that a brief names: the picture, the mask (a path, or an expression), the reference photograph."""

    picture: Path
    mask: str
    reference: Path | None


def source_of(picture: Path, checkpoint: str, choices: Sequence[tuple[str, str]]) -> Source:
    """What the picture says of itself, with a checkpoint: the one that is asked for, its own, or the first there is.

    Raises InputError for a file that cannot be read.
    """
    if checkpoint.strip():
        return face_passes.source(picture, checkpoint.strip())
    try:
        return face_passes.source(picture)
    except InputError:
        first = next((name for _, name in choices), "")
        if not first:
            raise
        return face_passes.source(picture, first)


def sweep(brief: Brief, source: Source, files: Files) -> Sweep:
    """The sweep that Repair asks for. Raises InputError, or SweepError whose text begins with its field."""
    mask = files.mask
    if not mask.strip():
        raise SweepError("mask is empty; choose what changes, or paint a mask")
    flags = given(brief, files.reference)
    written = mask if is_expression(mask) else grammar.write_values("mask", [mask])[0]
    made = face_passes.repair_sweep(source, [written], start=files.picture, given=flags, name=title(brief, mask))
    if (count := len(expand(made))) > MOST_PICTURES:
        raise SweepError(
            f"{made.axes[0].name} and the other values make {count} pictures; here up to {MOST_PICTURES} are made: "
            "take fewer values"
        )
    return made


def given(brief: Brief, reference: Path | None) -> Mapping[str, Sequence[str]]:
    """The text of every flag that was said, by field."""
    flags = {name: [text] for name in NUMBERS if (text := getattr(brief, name).strip())}
    flags |= {name: grammar.write_values(name, [text]) for name in EXACT if (text := getattr(brief, name).strip())}
    if brief.loras.strip():
        flags["loras"] = [brief.loras.strip()]
    if reference is None:
        return {name: texts for name, texts in flags.items() if not name.startswith("reference")}
    return flags | {"reference": grammar.write_values("reference", [str(reference)])}


def title(brief: Brief, mask: str) -> str:
    """What the run is called: the picture and what of it changes."""
    what = mask.partition(";")[0].strip() if is_expression(mask) else "painted mask"
    name = Path(brief.name).stem or "portrait"
    return f"{name[: LONGEST_TITLE - len(what[:30])]} {what[:30]}".strip()


class _Standing(NamedTuple):
    """Answers `draft.Pictures` with a picture of no pixels: for settling what does not depend on them."""

    width: int
    height: int

    def take(self, _: Path) -> Taken:
        return Taken("0" * 64, self.width, self.height)

    def paint(self, _: Path, __: str) -> Taken:
        return Taken("0" * 64, self.width, self.height)


def settled(made: Sweep, offer: Offer) -> tuple[Settled, ...]:
    """Every picture of the sweep as img2img at the size that the checkpoint likes: for its time and what it refuses.

    Looks at no image. Raises InputError.
    """
    if offer.checkpoint is None or offer.defaults is None:
        raise InputError(offer.fault)
    stand = _Standing(offer.defaults.width, offer.defaults.height)
    alone = dict.fromkeys(("mask", "context", "reference", "reference_weight", "reference_by", "width", "height"))
    drafts: list[Draft] = [place.draft.but(**alone) for place in expand(made)]
    return tuple(settle(draft, offer.checkpoint, stand) for draft in drafts)


def usual(source: Source, offer: Offer) -> dict[str, str]:
    """What an empty field means, by field."""
    likes, base = offer.defaults, source.base
    numbers = {
        name: f"{getattr(base, name) or getattr(likes, name):g}" if likes else "its own"
        for name in ("steps", "guidance")
    }
    return numbers | {"context": f"{face_passes.CONTEXT:g}", "loras": base.loras or "none"}


def choices() -> list[tuple[str, str]]:
    """The checkpoints as (label with its state, name)."""
    return offering.choices()
