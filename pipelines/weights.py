"""Opens a checkpoint's components, one at a time. Knows nothing about prompts or pictures."""

import gc
import importlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import transformers

from pipelines import opening, quantisation
from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics, torch_device
from pipelines.errors import CheckpointError
from pipelines.events import Loading
from pipelines.families import family_of
from pipelines.memory import tile_px
from pipelines.places import Place

LIBRARIES = ("diffusers", "transformers")  # nothing else is imported on a model file's word
AUTOMATIC = re.compile("Auto[A-Z]")  # these take their code from where the folder says


class LoadedParts(dict[str, Any]):
    """A checkpoint's components by diffusers' names, and the flags of its pipeline; missing ones are None.

    Raises CheckpointError at once if its weights are quantised in a way that cannot be opened here.
    """

    def __init__(self, checkpoint: Checkpoint, numerics: Numerics) -> None:
        quantisation.check(checkpoint.quantisation, torch_device(numerics))
        index = checkpoint.index
        flags = {name: value for name, value in index.items() if name[0] != "_" and not isinstance(value, list)}
        self._classes = {name: tuple(kind) for name, kind in index.items() if isinstance(kind, list)}
        super().__init__(dict.fromkeys(self._classes), **flags)
        self._checkpoint, self._numerics = checkpoint, numerics
        self._bytes = 0

    def open(self, names: Iterable[str]) -> Iterator[Loading]:
        """Load what is not loaded yet, telling before each component; raises CheckpointError."""
        total = self._checkpoint.bytes()
        transformers.logging.disable_progress_bar()  # ours tells bytes of the whole checkpoint
        for name in names:
            if self[name] is None and self._classes[name][0] is not None:
                place = self._checkpoint.place(name)
                yield Loading(name, self._bytes, total)
                self[name] = self._load(name, place)
                self._bytes += place.bytes()

    def put_away(self, names: Iterable[str]) -> None:
        """Forget components and give their memory back."""
        for name in names:
            self[name] = None
        gc.collect()
        if torch_device(self._numerics) == "cuda":
            torch.cuda.empty_cache()

    def _load(self, name: str, place: Place) -> Any:
        library, class_name = self._classes[name]
        if library not in LIBRARIES:
            raise CheckpointError(
                f"checkpoint {self._checkpoint.name}: {name} asks for code of {library}, which is never run; "
                f"components come from {' or '.join(LIBRARIES)}"
            )
        cls = getattr(importlib.import_module(library), class_name, None)
        if not isinstance(cls, type) or AUTOMATIC.match(class_name):
            raise CheckpointError(
                f"checkpoint {self._checkpoint.name}: {name} asks for {class_name}, which is no class of "
                f"{library} that is opened; update it, or name another checkpoint"
            )
        if not issubclass(cls, torch.nn.Module):
            return self.read(cls, place, None)
        dtype = getattr(torch, self._numerics.vae_dtype if name == "vae" else self._numerics.dtype)
        return self._settle(name, self.read(cls, place, dtype))

    def read(self, cls: Any, place: Place, dtype: torch.dtype | None) -> Any:
        """One component of that class; dtype None: it holds no weights (a tokenizer or scheduler)."""
        if dtype is None:
            return cls.from_pretrained(place.folder, local_files_only=True, **place.changes)
        return opening.open_component(cls, place, dtype)

    def _settle(self, name: str, module: Any) -> Any:
        device, numerics = torch_device(self._numerics), self._numerics
        module.eval().requires_grad_(False)
        if name == family_of(self._checkpoint).denoiser:
            if numerics.attention == "xformers":
                module.enable_xformers_memory_efficient_attention()
            if numerics.offload == "group":
                module.enable_group_offload(
                    onload_device=torch.device(device), offload_device=torch.device("cpu"), offload_type="leaf_level"
                )
                return module
            if numerics.compile == "regional":
                module.compile_repeated_blocks()
        if name == "vae" and numerics.tiled:
            module.enable_tiling()
            module.tile_sample_min_size = tile_px(module.config)
            module.tile_latent_min_size = module.tile_sample_min_size // self._checkpoint.latent_factor
        return module.to(device)
