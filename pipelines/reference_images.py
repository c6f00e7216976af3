"""Skin references: which mechanism carries one, with which adapter of this disk, and what is refused.

Imports no torch and reads no pictures: what becomes of a reference inside a network is `pipelines.reference_inputs`.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipelines import listing
from pipelines.checkpoint import Checkpoint
from pipelines.errors import CheckpointError, RecipeError
from pipelines.hashes import FileHashes
from pipelines.places import Place
from pipelines.recipe import FamilyName, Mechanism, Recipe, Reference
from pipelines.skin_reference import weight_warning
from pipelines.weight_files import look

FIXED_WEIGHT = 0.5
"""The only weight of a mechanism without a dial: the default, which a draft gets that says nothing."""
ADAPTED: Mapping[Mechanism, FamilyName] = {"ip-adapter": "sdxl", "redux": "flux"}
"""Mechanisms that need files of their own, and the family that those are made for."""
REDUX_PARTS = ("feature_extractor", "image_embedder", "image_encoder")
NETWORKS: Mapping[Mechanism, str] = {
    "ip-adapter": "SDXL with an IP-Adapter",
    "redux": "FLUX.1-dev, -schnell and -Fill with FLUX.1 Redux",
    "kontext": "FLUX.1 Kontext",
    "images": "FLUX.2",
}


class Chosen(NamedTuple):
    """What carries a reference, the digest of its adapter's weights where it has any, and why it is that one."""

    mechanism: Mechanism
    adapter: str | None
    reason: str


@dataclass(frozen=True)
class Adapter:
    """An image adapter on this disk: `file` holds an IP-Adapter; `places` are folders, by diffusers' names of parts."""

    name: str
    mechanism: Mechanism
    file: Path | None = None
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Hex SHA-256 over every file that is opened, the encoder's too; hashed once, then only looked at."""
        hashes = FileHashes()
        lines = [f"adapter {hashes.of(self.file.resolve())}\n"] if self.file else []
        for name, place in sorted(self.places.items()):
            lines += [f"{name}/{path.name} {hashes.of(path)}\n" for path in place.texts() + place.weights()]
        hashes.save()
        return hashlib.sha256("".join(lines).encode()).hexdigest()


Offered = Callable[[Mechanism], Sequence[Adapter]]


def here(mechanism: Mechanism) -> tuple[Adapter, ...]:
    """The adapters of models.txt for a mechanism whose files are all on this disk, in the list's order."""
    return tuple(found for row in _listed(mechanism) if (found := _opened(row, mechanism)))


def adapter_of(reference: Reference, *, offered: Offered = here) -> Adapter:
    """The adapter that a recipe names by digest; raises CheckpointError if this disk does not hold it."""
    assert reference.mechanism, "a reference without a mechanism is refused before it is made"
    for adapter in offered(reference.mechanism):
        if adapter.digest == reference.adapter:
            return adapter
    digest, fetch = (reference.adapter or "")[:12], _how_to_get(reference.mechanism)
    raise CheckpointError(f"the {reference.mechanism} of this recipe (sha256 {digest}) is not on this disk; {fetch}")


def takes(checkpoint: Checkpoint) -> Mechanism:
    """How a reference becomes an input of this checkpoint's network."""
    if checkpoint.family == "flux2":
        return "images"
    if checkpoint.family == "sdxl":
        return "ip-adapter"
    return "kontext" if checkpoint.index["_class_name"] == "FluxKontextPipeline" else "redux"


def mechanism_for(
    checkpoint: Checkpoint, *, has_start: bool, asked: Mechanism | None = None, offered: Offered = here
) -> Chosen:
    """What carries a reference of role skin; `has_start`: a start image is repaired under a mask.

    Bands where there is something to repair (they keep its face), else the network's own way. Raises RecipeError for
    an `asked` one that cannot be, and where an adapter is not on this disk, with the command that fetches it.
    """
    own = takes(checkpoint)
    if asked == "bands" and not has_start:
        raise RecipeError("reference_by bands lays texture into a start image; give start, strength and mask with it")
    if asked == "bands" or (asked is None and has_start):
        return Chosen("bands", None, "the reference acts by bands: its skin texture is laid into the start image")
    if asked and asked != own:
        raise RecipeError(_other_network(asked, checkpoint))
    if own not in ADAPTED:
        network = NETWORKS[own]
        reason = f"the reference acts as {own}: {network} reads patches of its skin as a picture beside the prompt"
        return Chosen(own, None, f"{reason}; its weight has no dial there")
    if not (found := offered(own)):
        raise RecipeError(
            f"a reference needs {own} on {checkpoint.name}, which is not on this disk; {_how_to_get(own)}, or give "
            "start, strength and mask, where its skin's bands need no adapter"
        )
    reason = f"the reference acts by {own} ({found[0].name}): patches of its cheeks and forehead pull beside the prompt"
    return Chosen(own, found[0].digest, reason)


def check(recipe: Recipe, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Warnings of weights outside the normal range; raises RecipeError for references that cannot act here."""
    for reference in recipe.references:
        _check_one(reference, recipe, checkpoint)
    bands = [reference for reference in recipe.references if reference.mechanism == "bands"]
    if len(bands) > 1:
        raise RecipeError(f"{len(bands)} references act by bands; one texture can be laid into a start image: give one")
    inputs = carried(recipe)
    if len(inputs) > 1 and not (inputs[0].mechanism == "images" and recipe.start is None):
        raise RecipeError(f"{len(inputs)} references by {inputs[0].mechanism}; this network takes one a picture")
    said = (weight_warning(each.weight, each.role, mechanism=each.mechanism or "") for each in recipe.references)
    return tuple(filter(None, said))


def carried(recipe: Recipe) -> tuple[Reference, ...]:
    """The references that are inputs of the network, in the recipe's order."""
    return tuple(reference for reference in recipe.references if reference.mechanism != "bands")


def _check_one(reference: Reference, recipe: Recipe, checkpoint: Checkpoint) -> None:
    if reference.role == "start":
        raise RecipeError("a reference of role start is the recipe's start image, with strength 1 - weight; say it so")
    if reference.mechanism is None:
        raise RecipeError(f"a reference names no mechanism; bands or {takes(checkpoint)} can act on {checkpoint.name}")
    if (reference.mechanism in ADAPTED) != (reference.adapter is not None):
        needs = "needs the digest of its adapter" if reference.adapter is None else "has no adapter; leave it out"
        raise RecipeError(f"a reference by {reference.mechanism} {needs}")
    if reference.mechanism == "bands":
        if not (recipe.start and recipe.mask):
            raise RecipeError("a reference by bands is laid into a start image under a mask; give start and mask")
    elif reference.mechanism != takes(checkpoint):
        raise RecipeError(_other_network(reference.mechanism, checkpoint))
    elif reference.mechanism not in ADAPTED and reference.weight != FIXED_WEIGHT:
        raise RecipeError(
            f"reference weight {reference.weight:g}: {NETWORKS[reference.mechanism]} reads a reference whole and has no"
            f" dial for it; leave the weight out ({FIXED_WEIGHT:g}), or say in the prompt how much"
        )


def _other_network(asked: Mechanism, checkpoint: Checkpoint) -> str:
    return (
        f"a reference by {asked} is for {NETWORKS[asked]}; {checkpoint.name} takes it by {takes(checkpoint)}, "
        "or by bands with start and mask"
    )


def _how_to_get(mechanism: Mechanism) -> str:
    names = [row.name for row in _listed(mechanism)]
    return f"run `sidelight models pull {names[0]}`" if names else "list one with `sidelight models add`"


def _listed(mechanism: Mechanism) -> Iterator[listing.Row]:
    """IP-Adapters are single files, FLUX.1 Redux is a folder; what else is of kind adapter is an encoder."""
    for row in listing.rows().values():
        is_asked = row.source.is_file == (mechanism == "ip-adapter") and row.family == ADAPTED[mechanism]
        if row.kind == "adapter" and is_asked:
            yield row


def _opened(row: listing.Row, mechanism: Mechanism) -> Adapter | None:
    """The adapter of a row; None if it, or the encoder that it names, is not on this disk. Raises CheckpointError."""
    place = row.place()
    if place is None or not place.exists():
        return None
    if mechanism == "redux":
        return Adapter(row.name, mechanism, places={name: Place(name, place / name) for name in REDUX_PARTS})
    if (seen := look(place)).kind != "adapter" or seen.family != row.family:
        raise CheckpointError(
            f"{row.name} is listed as an adapter of {row.family}, but {place} is none; correct the row"
        )
    if "base" not in row.options:
        raise CheckpointError(f"{row.name} does not say which image encoder reads for it; give base=NAME in its row")
    encoder = listing.row_of(row.options["base"]).place()
    if encoder is None or not encoder.exists():
        return None
    return Adapter(row.name, mechanism, place, {"image_encoder": Place("image_encoder", encoder)})
