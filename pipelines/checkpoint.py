"""Checkpoint: a model that can be opened, where it lies and whether it is whole. Knows nothing about tensors.

`models.txt` names checkpoints, one a line: name, family, source, then options as key=value. Sources: `demo:FOLDER`
(shipped with the package) and `dir:PATH` (a diffusers folder).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from pydantic import field_validator

from pipelines.errors import CheckpointError, InputError
from pipelines.frozen import Frozen
from pipelines.hashes import FileHashes
from pipelines.recipe import FamilyName, Weights

SHIPPED = Path(__file__).with_name("models.txt")
DEMO = Path(__file__).with_name("demo")
PIPELINES: Mapping[str, FamilyName] = {
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusionXLImg2ImgPipeline": "sdxl",
    "StableDiffusionXLInpaintPipeline": "sdxl",
    "FluxPipeline": "flux",
}
PICKLES = (".bin", ".ckpt", ".pt", ".pth")


class Defaults(Frozen):
    """What is used where a draft says nothing.

    text_tokens 0 = the family's normal; trained_guidance is the lowest and highest, as text 1..7.
    """

    width: int
    height: int
    steps: int
    guidance: float
    scheduler: str = "euler"
    text_tokens: int = 0
    trained_guidance: tuple[float, float] | None = None

    @field_validator("trained_guidance", mode="before")
    @classmethod
    def _span(cls, value: Any) -> Any:
        return tuple(value.split("..")) if isinstance(value, str) else value


@dataclass(frozen=True)
class Checkpoint:
    """A local checkpoint as a diffusers folder. `asked` are the default settings that models.txt gives it."""

    name: str
    family: FamilyName
    folder: Path
    asked: Mapping[str, str]
    licence: str = ""

    def config(self, component: str) -> Mapping[str, Any]:
        """A component's config.json; raises CheckpointError if it is missing or no JSON."""
        if component not in self._configs:
            self._configs[component] = _json(self.folder / component / "config.json", self.name)
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
        return Weights(digest=self._digest(), family=self.family, name=self.name)

    def files(self) -> Iterator[tuple[str, Path]]:
        """(component, file) of all that is loaded, in a fixed order; raises CheckpointError for a damaged one."""
        index = _json(self.folder / "model_index.json", self.name)
        for component in sorted(name for name, kind in index.items() if isinstance(kind, list) and kind[0]):
            found = sorted(p for p in (self.folder / component).glob("*") if p.suffix in (".json", ".txt", ".model"))
            weights = sorted(p for p in (self.folder / component).glob("*.safetensors") if ".fp16." not in p.name)
            if (self.folder / component / "config.json").exists() and not weights:
                raise CheckpointError(self._no_weights(component))
            if not found and not weights:
                raise CheckpointError(f"checkpoint {self.name}: {component} is missing; copy the whole folder again")
            for path in weights:
                _whole(path)
            yield from ((component, path) for path in found + weights)

    def bytes(self) -> int:
        """Size on disk of what is loaded."""
        return sum(path.stat().st_size for _, path in self.files())

    def _digest(self) -> str:
        hashes = FileHashes()
        index = _json(self.folder / "model_index.json", self.name)
        flags = {name: value for name, value in index.items() if name[0] != "_" and not isinstance(value, list)}
        lines = [f"{name} {flags[name]}\n" for name in sorted(flags)]
        lines += [f"{component}/{path.name} {hashes.of(path)}\n" for component, path in self.files()]
        hashes.save()
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def _no_weights(self, component: str) -> str:
        pickled = [p.name for p in (self.folder / component).glob("*") if p.suffix in PICKLES]
        if pickled:
            return (
                f"checkpoint {self.name}: {component}/{pickled[0]} is a pickle, which can run code and is not opened; "
                "convert it to safetensors (diffusers' save_pretrained does) and try again"
            )
        return f"checkpoint {self.name}: {component} holds no .safetensors file; copy the whole diffusers folder again"


def find(wanted: str, listed: Path = SHIPPED) -> Checkpoint:
    """The checkpoint of that name in `listed`, or the diffusers folder at that path; raises CheckpointError."""
    entries = read_list(listed)
    if wanted in entries:
        return entries[wanted]
    folder = Path(wanted).expanduser()
    if (folder / "model_index.json").is_file():
        return Checkpoint(folder.resolve().name, _family(folder, wanted), folder.resolve(), {})
    names = ", ".join(sorted(entries))
    raise CheckpointError(f"checkpoint {wanted!r} is neither a name in models.txt ({names}) nor a diffusers folder")


def read_list(path: Path) -> dict[str, Checkpoint]:
    """The checkpoints of a models.txt by name; raises CheckpointError with the line number."""
    entries: dict[str, Checkpoint] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if words := line.split("#", 1)[0].split():
            try:
                entry = _entry(words, path.parent)
                if entry.name in entries:
                    raise InputError(f"name {entry.name} stands here twice; rename one")
            except InputError as error:
                raise CheckpointError(f"{path.name} line {number}: {error}") from None
            entries[entry.name] = entry
    return entries


def _entry(words: list[str], beside: Path) -> Checkpoint:
    if len(words) < 3 or ":" not in words[2]:
        raise InputError("expected: name family source [option=value ...], with source as demo:FOLDER or dir:PATH")
    name, family, source = words[:3]
    options = dict(word.partition("=")[::2] for word in words[3:])
    if family not in get_args(FamilyName):
        raise InputError(f"family {family} is not known; allowed: {', '.join(get_args(FamilyName))}")
    unknown = options.keys() - Defaults.model_fields.keys() - {"licence"}
    if unknown:
        allowed = ", ".join(sorted([*Defaults.model_fields, "licence"]))
        raise InputError(f"option {min(unknown)} is not known; allowed: {allowed}")
    kind, _, place = source.partition(":")
    if kind not in ("demo", "dir"):
        raise InputError(f"source {kind}: is not known; allowed: demo:FOLDER, dir:PATH")
    folder = DEMO / place if kind == "demo" else (beside / Path(place).expanduser()).resolve()
    licence = options.pop("licence", "")
    Defaults(width=1, height=1, steps=1, guidance=0).but(**options)  # a wrong value is told here, with its line
    return Checkpoint(name, family, folder, options, licence)  # type: ignore[arg-type]  # checked against FamilyName above


def _family(folder: Path, wanted: str) -> FamilyName:
    kind = _json(folder / "model_index.json", wanted).get("_class_name", "")
    if kind not in PIPELINES:
        raise CheckpointError(
            f"checkpoint {wanted} is a {kind or 'folder of an unknown kind'}; opened: {', '.join(PIPELINES)}"
        )
    return PIPELINES[kind]


def _json(path: Path, name: str) -> Mapping[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(
            f"checkpoint {name}: {path.parent.name}/{path.name} is missing; copy the whole folder again"
        ) from None
    except ValueError:
        raise CheckpointError(
            f"checkpoint {name}: {path.parent.name}/{path.name} is no JSON; copy the whole folder again"
        ) from None


def _whole(path: Path) -> None:
    """Compare a safetensors file's length with what its header says: finds a download that broke off, at once."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(head) if head < size else b"")
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            ends = [-1]
    if size != 8 + head + max(ends, default=0):
        raise CheckpointError(f"{path} is damaged (its length is not what its header says); copy or download it again")
