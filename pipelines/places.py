"""Place: where one component of a checkpoint lies, and which of its files are read. Knows nothing about opening them.

`pipelines/configs` holds the settings and vocabularies of SDXL and FLUX.1, so that a weights file alone is enough.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.downloads.needed import TEXTS, WEIGHT
from pipelines.errors import CheckpointError
from pipelines.weight_files import BITS, header, own_tensors

CONFIGS = Path(__file__).with_name("configs")
SHARED: Mapping[str, str] = {
    "flux-dev/tokenizer": "sdxl/tokenizer",
    "flux-schnell/tokenizer": "sdxl/tokenizer",
    "flux-schnell/tokenizer_2": "flux-dev/tokenizer_2",
}
"""Vocabularies that lie once in `configs` and belong to several of its folders."""


SHARD_LIST = ".safetensors.index{}.json"


@dataclass(frozen=True)
class Place:
    """Where one component lies: a folder as diffusers saves it, or its settings in one and its weights in `file`.

    `variant` says which of the folder's weights (fp16); where it is empty those without one are read, and only where
    there are none the others. `changes` replace settings that the file's own tensors contradict. `quantise` (nf4, int8)
    is what becomes of the weights when they are opened.
    """

    component: str
    folder: Path
    file: Path | None = None
    variant: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    quantise: str = ""

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """config.json with the changes; raises CheckpointError if it is missing or no JSON."""
        return {**read_json(self.folder / "config.json"), **self.changes}

    @property
    def is_saved_quantised(self) -> bool:
        """Whether the weights on the disk are quantised by diffusers or transformers."""
        return self.file is None and (self.folder / "config.json").is_file() and "quantization_config" in self.config

    @property
    def quantisation(self) -> str:
        """How coarse its weights are when open: gguf, nf4, int8, or "" for floats. Raises CheckpointError."""
        if self.file and self.file.suffix.lower() == ".gguf":
            return "gguf"
        return _saved(self.config["quantization_config"], self.folder) if self.is_saved_quantised else self.quantise

    def texts(self) -> tuple[Path, ...]:
        """Settings and vocabularies that are read, by name; raises CheckpointError."""
        if self.file:
            read_json(self.folder / "config.json")
            return (self.folder / "config.json",)
        shards = SHARD_LIST.format(f".{self.chosen_variant}" if self.chosen_variant else "")
        found = sorted(path for path in self.folder.glob("*") if path.suffix in TEXTS)
        return tuple(path for path in found if ".index." not in path.name or path.name.endswith(shards))

    def weights(self) -> tuple[Path, ...]:
        """The files that hold its weights, by name; empty for a vocabulary or scheduler."""
        if self.file:
            return (self.file,)
        return tuple(sorted(path for path, variant in self._found.items() if variant == self.chosen_variant))

    @property
    def chosen_variant(self) -> str:
        """Which of the folder's weights are read; raises CheckpointError where that is left open."""
        there = set(self._found.values())
        if self.variant in there or "" in there or len(there) < 2:
            return self.variant if self.variant in there else min(there, default="")
        raise CheckpointError(
            f"{self.folder} holds its weights as {' and '.join(sorted(there))}; say which: variant={min(there)}"
        )

    def check_parts(self) -> None:
        """Raise CheckpointError unless weights that come in several files are all there, and once."""
        names = [WEIGHT.fullmatch(path.name) for path in self.weights() if not self.file]
        parts = {int(name["part"]) for name in names if name and name["part"]}
        if not parts:
            return
        wanted = max(int(name["of"]) for name in names if name and name["of"])
        if len(parts) != len(names):
            raise CheckpointError(f"{self.folder} holds its weights twice, whole and in parts; take one away")
        if lacking := sorted(set(range(1, wanted + 1)) - parts):
            raise CheckpointError(
                f"{self.folder} lacks part {lacking[0]} of {wanted} of its weights; download it again"
            )
        lists = [path for path in self.texts() if ".index." in path.name]
        named = {file for path in lists for file in read_json(path).get("weight_map", {}).values()}
        if named != {path.name for path in self.weights()}:
            raise CheckpointError(f"{self.folder} has no list that names its {wanted} parts; download it again")

    def tensors(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
        """Its tensors by name with type and shape, as the files' headers say; raises CheckpointError."""
        found: dict[str, tuple[str, tuple[int, ...]]] = {}
        for path in self.weights():
            seen = header(path)
            own = own_tensors(seen, self.component) if self.file else {name: name for name in seen.tensors}
            found |= {name: seen.tensors[inside] for name, inside in own.items()}
        return found

    def bytes(self) -> int:
        """What is read of the disk to open it."""
        texts = sum(path.stat().st_size for path in self.texts())
        if self.file is None or self.file.suffix.lower() == ".gguf":
            return texts + sum(path.stat().st_size for path in self.weights())
        tensors = self.tensors().values()
        return texts + sum(math.prod(shape) * BITS[dtype] // 8 for dtype, shape in tensors)

    @cached_property
    def _found(self) -> dict[Path, str]:
        """Weights in the folder by diffusers' names, with their variant."""
        names = {path: WEIGHT.fullmatch(path.name) for path in self.folder.glob("*.safetensors")}
        return {path: name["variant"] or name["late_variant"] or "" for path, name in names.items() if name}


def shared(folder: str) -> Mapping[str, Place]:
    """Where the vocabularies lie that a folder of `configs` (sdxl, flux-dev, flux-schnell) does not hold itself."""
    found = {tuple(name.split("/")): place for name, place in SHARED.items()}
    return {part: Place(part, CONFIGS / place) for (of, part), place in found.items() if of == folder}


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object; raises CheckpointError if the file is missing or holds something else."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; copy the whole folder again") from None
    except (ValueError, TypeError, RecursionError):
        raise CheckpointError(f"{path} is no JSON object; copy the whole folder again") from None


def _saved(config: Mapping[str, Any], folder: Path) -> str:
    """The quantisation that a repository was saved with, by its quantization_config."""
    if config.get("quant_method") == "bitsandbytes" and config.get("bnb_4bit_quant_type") == "nf4":
        return "nf4"
    kind = config.get("bnb_4bit_quant_type") or config.get("quant_method")
    raise CheckpointError(
        f"{folder} is saved quantised as {kind}; opened are nf4, .gguf files, and plain weights with quantisation=int8"
    )
