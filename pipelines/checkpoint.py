"""Checkpoint: a model that can be opened, wherever its parts lie, and whether they are whole. Knows nothing of tensors.

A checkpoint is put together from a row of models.txt (or a path): a diffusers folder, or weights files with the folder
that gives what they lack. What opens it is `pipelines.weights`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.errors import CheckpointError
from pipelines.hashes import FileHashes
from pipelines.listing import DENOISERS, PICKLES, Row, family_of_folder, pickle_refusal, row_of
from pipelines.places import CONFIGS, Place, read_json, shared
from pipelines.recipe import FamilyName, Weights
from pipelines.weight_files import REFINER, Look, header, look


@dataclass(frozen=True)
class Checkpoint:
    """A local checkpoint. `asked` are the default settings that models.txt gives it.

    `folder` is laid out as diffusers saves a pipeline; its model_index.json names the components, which lie in it
    unless `places` says otherwise. `variant` says which weights are read (fp16); where it is empty, those without
    a variant in their name, and only where a component has none, the others.
    """

    name: str
    family: FamilyName
    folder: Path
    asked: Mapping[str, str]
    licence: str = ""
    variant: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)

    @cached_property
    def index(self) -> Mapping[str, Any]:
        """model_index.json: the stock pipeline's class (`_class_name`), its flags, and every component's class."""
        found = read_json(self.folder / "model_index.json")
        if wrong := [name for name, kind in found.items() if isinstance(kind, list) and len(kind) != 2]:
            raise CheckpointError(f"{self.folder}/model_index.json: {wrong[0]} is no pair of library and class")
        return found

    @property
    def components(self) -> tuple[str, ...]:
        """Names of all that is loaded, in a fixed order."""
        return tuple(sorted(name for name, kind in self.index.items() if isinstance(kind, list) and kind[0]))

    def place(self, component: str) -> Place:
        """Where that component lies."""
        return self.places.get(component) or Place(component, self.folder / component, variant=self.variant)

    def config(self, component: str) -> Mapping[str, Any]:
        """A component's settings; raises CheckpointError if they are missing or no JSON."""
        if component not in self._configs:
            self._configs[component] = self.place(component).config
        return self._configs[component]

    @cached_property
    def _configs(self) -> dict[str, Mapping[str, Any]]:
        return {}

    @cached_property
    def latent_factor(self) -> int:
        """Pixels per latent along one side (8 on real SDXL and FLUX)."""
        return int(2 ** (len(self.config("vae")["block_out_channels"]) - 1))

    @cached_property
    def weights(self) -> Weights:
        """This checkpoint in a Recipe. Reads and hashes every file once, then only looks at size, time and inode."""
        return Weights(digest=self._digest(), family=self.family, quantisation=self.quantisation, name=self.name)

    @cached_property
    def quantisation(self) -> str:
        """How coarse its weights are when open: gguf, nf4, int8 (several joined by +), "" for floats."""
        return "+".join(sorted({self.place(name).quantisation for name in self.components} - {""}))

    def files(self) -> Iterator[tuple[str, Path]]:
        """(component, file) of all that is loaded, in a fixed order; raises CheckpointError for a damaged one."""
        for component in self.components:
            place = self.place(component)
            texts, weights = place.texts(), place.weights()
            if (place.folder / "config.json").exists() and not weights:
                raise CheckpointError(self._no_weights(place))
            if not texts and not weights:
                raise CheckpointError(f"checkpoint {self.name}: {component} is missing; copy the whole folder again")
            for path in weights:
                header(path)
            place.check_parts()
            yield from ((component, path) for path in texts + weights)

    def bytes(self) -> int:
        """Size on disk of what is loaded."""
        return sum(self.place(name).bytes() for name in self.components)

    def _digest(self) -> str:
        hashes = FileHashes()
        flags = {name: value for name, value in self.index.items() if name[0] != "_" and not isinstance(value, list)}
        lines = [f"{name} {flags[name]}\n" for name in sorted(flags)]
        for component, path in self.files():
            place = self.place(component)
            label = component if path == place.file else f"{component}/{path.name}"
            lines.append(f"{label} {hashes.of(path)}\n")
        for component in self.components:
            lines += [f"{component} {name}={value}\n" for name, value in sorted(self.place(component).changes.items())]
        hashes.save()
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def _no_weights(self, place: Place) -> str:
        pickled = sorted(path.name for path in place.folder.glob("*") if path.suffix in PICKLES)
        if pickled:
            return f"checkpoint {self.name}: {pickle_refusal(f'{place.component}/{pickled[0]}')}"
        return (
            f"checkpoint {self.name}: {place.component} holds no .safetensors file by diffusers' names; "
            "copy the whole diffusers folder again"
        )


def find(wanted: str) -> Checkpoint:
    """The checkpoint of a name in models.txt or a path, also with +option=value behind it; raises CheckpointError."""
    return of_row(row_of(wanted))


def of_row(row: Row) -> Checkpoint:
    """The checkpoint of a row. Raises CheckpointError if a part of it is missing, not pulled or of another kind."""
    return _of_row(row, ())


def _of_row(row: Row, asking: tuple[str, ...]) -> Checkpoint:
    """`asking` are the names of the rows that take parts of this one."""
    if row.name in asking:
        raise CheckpointError(f"base of {asking[0]} leads back to {row.name}; name a row that is whole by itself")
    if row.kind != "checkpoint":
        raise CheckpointError(f"{row.name} is of kind {row.kind} and makes no pictures alone; name a checkpoint")
    place = _on_disk(row, row.place_beside() if asking else row.place())
    made = _of_file(row, place, asking) if row.source.is_file else _of_folder(row, place)
    if "vae" in row.options:
        made = _with_vae(made, row.options["vae"])
    quantise = row.options.get("quantisation", "")
    return _quantised(made, quantise) if quantise in ("nf4", "int8") else made


def _on_disk(row: Row, place: Path | None) -> Path:
    if place is None:
        name = row.name.partition("+")[0]
        raise CheckpointError(f"{name} is not on this disk yet; run `sidelight models pull {name}` first")
    return place


def _of_folder(row: Row, folder: Path) -> Checkpoint:
    made = Checkpoint(row.name, row.family, folder, row.asked, row.licence, row.variant)
    first_encoder = made.index.get("text_encoder")
    _check_family(row, family_of_folder(folder))
    if row.family == "sdxl" and isinstance(first_encoder, list) and first_encoder[:1] == [None]:
        raise CheckpointError(f"{row.name} is {REFINER}")
    variants = {made.place(name).chosen_variant for name in made.components}
    if row.variant and row.variant not in variants:
        has = ", ".join(sorted(variants - {""})) or "none"
        raise CheckpointError(f"{row.name} has no variant {row.variant} in {folder}; allowed: {has}, or leave it out")
    return made


def _of_file(row: Row, file: Path, asking: tuple[str, ...]) -> Checkpoint:
    """Weights out of the file, the rest out of `base` where one is given, settings out of what is shipped where not."""
    seen = look(file)
    if seen.kind != "checkpoint":
        raise CheckpointError(f"{file} is of kind {seen.kind} and makes no pictures alone; name a checkpoint")
    _check_family(row, seen.family)
    held = seen.parts if file.suffix.lower() == ".safetensors" else seen.parts[:1]
    base = _of_row(row_of(row.options["base"]), (*asking, row.name)) if "base" in row.options else None
    if base and base.family != row.family:
        raise CheckpointError(f"base {base.name} of {row.name} is of family {base.family}, not {row.family}")
    settings = base if base and _fits(base, seen) else _shipped(row, seen)
    places = {}
    for name in settings.components:
        own = settings.place(name)
        if name in held:
            bare = Place(name, own.folder, file)
            places[name] = replace(bare, changes=_changes(bare.config, seen.settings)) if name == held[0] else bare
        elif name == "scheduler":
            places[name] = replace(own, changes=seen.schedule)
        elif base:
            places[name] = base.place(name)
        elif (own.folder / "config.json").exists():
            raise CheckpointError(
                f"{row.name} holds only its {', '.join(held)}; say where {name} comes from with base=NAME of a whole "
                f"{row.family} checkpoint (`sidelight models list` shows them)"
            )
        else:
            places[name] = own
    return Checkpoint(row.name, row.family, settings.folder, row.asked, row.licence, places=places)


def _shipped(row: Row, seen: Look) -> Checkpoint:
    """Settings that belong to the file's own tensors, where there is no base or it is of another kind."""
    if row.family == "flux2":
        raise CheckpointError(f"{row.name} holds only its transformer; give base=NAME of a whole FLUX.2 checkpoint")
    folder = "sdxl" if row.family == "sdxl" else "flux-dev" if seen.settings["guidance_embeds"] else "flux-schnell"
    return Checkpoint(row.name, row.family, CONFIGS / folder, {}, places=shared(folder))


def _fits(base: Checkpoint, seen: Look) -> bool:
    """Whether the base's settings are those of the file's denoiser; the number of channels can be changed in them."""
    config = base.config(DENOISERS[base.family])
    return "quantization_config" not in config and all(
        bool(config.get(name)) == value for name, value in seen.settings.items() if isinstance(value, bool)
    )


def _changes(config: Mapping[str, Any], seen: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the tensors say and the settings do not; `out_channels` may be left out where it equals `in_channels`."""
    has = {**config, "out_channels": config.get("out_channels") or config.get("in_channels")}
    return {name: value for name, value in seen.items() if has.get(name) != value}


def _check_family(row: Row, found: FamilyName) -> None:
    if found != row.family:
        raise CheckpointError(f"{row.name} is listed as {row.family}, but {row.source} is {found}; correct the row")


def _with_vae(made: Checkpoint, wanted: str) -> Checkpoint:
    """The checkpoint with another autoencoder: a diffusers folder, a weights file, a row, or another checkpoint's."""
    place = _vae_place(wanted, made.place("vae"))
    own, other = (_latents(place) for place in (made.place("vae"), place))
    if own != other:
        raise CheckpointError(
            f"vae {wanted} has {other[0]} latent channels and {other[1]} blocks, "
            f"{made.name} needs {own[0]} and {own[1]}; name one made for it"
        )
    kind = place.config.get("_class_name", made.index["vae"][1])
    if kind != made.index["vae"][1]:
        raise CheckpointError(f"vae {wanted} is a {kind}, {made.name} needs a {made.index['vae'][1]}")
    return replace(made, places={**made.places, "vae": place})


def _vae_place(wanted: str, own: Place) -> Place:
    path = Path(wanted).expanduser()
    if "/" not in wanted or not (path / "config.json").is_file():
        row = row_of(wanted)
        path = _on_disk(row, row.place())
        if row.source.is_file:
            if "vae" not in look(path).parts:
                raise CheckpointError(f"vae {wanted} holds no autoencoder; name a file or folder that does")
            return Place("vae", own.folder, path)
    return Place("vae", path if (path / "config.json").is_file() else path / "vae")


def _latents(place: Place) -> tuple[int, int]:
    """Latent channels and blocks (each halves the side) of an autoencoder."""
    if not place.file:
        return place.config["latent_channels"], len(place.config["block_out_channels"])
    tensors = place.tensors()
    blocks = {name.split(".")[2] for name in tensors if name.startswith("decoder.up")}
    return tensors["decoder.conv_in.weight"][1][1], len(blocks)


def _quantised(made: Checkpoint, wanted: str) -> Checkpoint:
    """With the denoiser and every large text encoder so quantised on opening; CLIP is small and stays as it is."""
    large = [
        name
        for name in made.components
        if name.startswith("text_encoder") and not str(made.index[name][1]).startswith("CLIP")
    ]
    places = {name: made.place(name) for name in (DENOISERS[made.family], *large)}
    for name, place in places.items():
        if wanted == "nf4" and place.file:
            raise CheckpointError(
                f"{made.name}: nf4 is made of diffusers folders only and its {name} is a single file; "
                "take quantisation=int8, a .gguf file or a folder"
            )
        if place.quantisation not in ("", wanted):
            raise CheckpointError(
                f"{made.name}: {name} is {place.quantisation} already, not {wanted}; leave quantisation out"
            )
    fresh = {name: replace(place, quantise=wanted) for name, place in places.items() if not place.quantisation}
    return replace(made, places={**made.places, **fresh})
