"""SDXL and FLUX.1-dev at their real size with random weights, for `sidelight bench`. Knows nothing about timing.

Speed does not depend on what the weights are, so nothing is downloaded: settings and vocabularies are those that ship
for single-file checkpoints.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
import transformers

from pipelines.checkpoint import Checkpoint
from pipelines.device import torch_device
from pipelines.places import CONFIGS, Place, shared
from pipelines.recipe import FamilyName, Weights
from pipelines.weights import LoadedParts

FOLDERS: Mapping[FamilyName, str] = {"sdxl": "sdxl", "flux": "flux-dev"}
PIPELINES: Mapping[FamilyName, str] = {"sdxl": "StableDiffusionXLPipeline", "flux": "FluxPipeline"}


class Unweighted(Checkpoint):
    """A checkpoint folder that holds configurations and no weights; to be opened as `RandomParts`."""

    @cached_property
    def weights(self) -> Weights:
        """Stands for the sizes alone."""
        configs = sorted(path for path in self.folder.rglob("*.json"))
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in configs)).hexdigest()
        return Weights(digest=digest, family=self.family, name=self.name)

    def bytes(self) -> int:
        """Nothing is read."""
        return 0


class ResidentParts(LoadedParts):
    """A checkpoint's components that stay on the device, so that a plain loop and any number of engines share them."""

    def put_away(self, names: Iterable[str]) -> None:
        """Keep them: the plain loop encodes every prompt anew."""


class RandomParts(ResidentParts):
    """Components of an `Unweighted` checkpoint, made on the device from a fixed seed."""

    def read(self, cls: Any, place: Place, dtype: torch.dtype | None) -> Any:
        """One component of that class and of the size that its settings say; vocabularies and schedulers are real."""
        if dtype is None:
            return super().read(cls, place, dtype)
        with torch.random.fork_rng(), torch.device(torch_device(self._numerics)), _default(dtype):
            torch.manual_seed(0)
            if issubclass(cls, transformers.PreTrainedModel):
                return cls(cls.config_class.from_pretrained(place.folder)).to(dtype)  # a saved config names its own
            return cls.from_config(cls.load_config(place.folder))


def full_size(family: FamilyName) -> Checkpoint:
    """A checkpoint of that family's real size, without weights."""
    folder = FOLDERS[family]
    return Unweighted(f"full-size-{family}", family, CONFIGS / folder, {}, places=shared(folder))


def full_size_parts(family: FamilyName) -> Mapping[str, tuple[str, str, Mapping[str, Any]]]:
    """Library, class and settings of each component, by diffusers' names; only networks have settings here."""
    checkpoint = full_size(family)
    return {name: (*checkpoint.index[name], _settings(checkpoint.place(name))) for name in checkpoint.components}


def _settings(place: Place) -> Mapping[str, Any]:
    return place.config if (place.folder / "config.json").exists() else {}


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
