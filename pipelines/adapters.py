"""LoRA files inside a checkpoint's networks, and which of them act now. Knows nothing about steps, lanes or pixels.

A file is loaded once into each component that it changes, by diffusers and peft, under a name made of its hash. peft
keeps the components' own weights as they are, so that with no LoRA acting every bit is that of a run without any.
"""

import json
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import diffusers
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.error import NoMatchingPeftModuleError
from safetensors import SafetensorError
from safetensors.torch import load_file

from pipelines import loras
from pipelines.coalesce import twin
from pipelines.errors import CheckpointError
from pipelines.families.base import Family, Parts, assembled
from pipelines.recipe import FamilyName, Lora, Recipe

LOADERS: Mapping[FamilyName, str] = {
    "sdxl": "StableDiffusionXLPipeline",
    "flux": "FluxPipeline",
    "flux2": "Flux2KleinPipeline",
}
"""The pipeline class that knows a family's LoRA files."""
State = tuple[tuple[str, float], ...]
"""Adapter names and weights that act, in the order they are summed in; () = none."""
FAULTS = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    RuntimeError,
    OSError,
    SafetensorError,
)
"""What diffusers and peft raise on files that they cannot make sense of."""
REMARKS = ("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "lora_bias")
"""What a file may say of its own scale. Its other remarks are unread: they could name code to import."""

BFL = tuple(
    f"{prefix}.{block}_" for prefix in ("base_model.model", "diffusion_model") for block in ("double", "single")
)
"""FLUX.1's own names, as ai-toolkit and fal write them; diffusers reads them with kohya's endings."""


class Adapters:
    """The LoRAs of one checkpoint's loaded parts. `lora_file` says where a recipe's LoRA lies."""

    def __init__(self, parts: Parts, family: Family, lora_file: Callable[[Lora], Path]) -> None:
        self._parts, self._family, self._lora_file = parts, family, lora_file
        self._networks: dict[State, torch.nn.Module] = {}
        self._held: WeakKeyDictionary[torch.nn.Module, set[str]] = WeakKeyDictionary()
        """Hashes of the files loaded into each component."""
        self._acting: WeakKeyDictionary[torch.nn.Module, State | None] = WeakKeyDictionary()
        """What acts in each component; None = unknown, as peft sets the newest active."""
        self._layers: WeakKeyDictionary[torch.nn.Module, Sequence[Any]] = WeakKeyDictionary()
        """Each component's layers that peft has wrapped."""
        self._lost: dict[tuple[str, str], int] = {}
        """Tensors left out, by file and component."""
        self._failed: dict[str, str] = {}
        """Why a file cannot be loaded."""
        self._speaks: dict[str, bool] = {}
        """Whether a file changes text encoders."""

    def network(self, recipe: Recipe) -> torch.nn.Module:
        """The denoiser with this recipe's LoRAs: another module for each state, so that no two share a forward.

        Raises CheckpointError for a LoRA that cannot be loaded.
        """
        state = _state(recipe.loras)
        self._load(recipe, [self._family.denoiser])
        if state not in self._networks:
            denoiser = self._parts[self._family.denoiser]
            self._networks[state] = twin(denoiser, partial(self._forward, denoiser, state))
        return self._networks[state]

    def speak(self, recipe: Recipe) -> None:
        """Set the text encoders for this recipe's words; raises CheckpointError."""
        state = self.words(recipe)
        encoders = [name for name in self._family.encoders if isinstance(self._parts[name], torch.nn.Module)]
        if state:
            self._load(recipe, encoders)
        for name in encoders:
            self._set(self._parts[name], state)

    def words(self, recipe: Recipe) -> State:
        """The LoRAs that change how this recipe's words are encoded."""
        return _state([lora for lora in recipe.loras if self._changes_words(lora)])

    def warnings(self, recipe: Recipe) -> tuple[str, ...]:
        """What of this recipe's LoRAs was left out."""
        lost = [(lora, sum(n for (file, _), n in self._lost.items() if file == lora.file)) for lora in recipe.loras]
        return tuple(
            f"{loras.named(lora)}: {n} of its tensors fit nothing here and were left out" for lora, n in lost if n
        )

    def _changes_words(self, lora: Lora) -> bool:
        if lora.file not in self._speaks:
            try:
                self._speaks[lora.file] = loras.changes_words(self._lora_file(lora))
            except CheckpointError:
                return False  # told when the denoiser takes it
        return self._speaks[lora.file]

    def _forward(self, module: torch.nn.Module, state: State, *args: Any, **kwargs: Any) -> Any:
        self._set(module, state)
        return module(*args, **kwargs)

    def _set(self, module: torch.nn.Module, state: State) -> None:
        """Let exactly these adapters act; only what differs from before, as a network has hundreds of layers."""
        before = self._acting.get(module, ())
        if before == state:
            return
        if before is None:
            self._layers[module] = [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]
        for layer in self._layers.get(module, ()):
            if before is None or [name for name, _ in before] != [name for name, _ in state]:
                layer.set_adapter([name for name, _ in state], inference_mode=True)
            for name, weight in state:
                layer.set_scale(name, weight)
        self._acting[module] = state

    def _load(self, recipe: Recipe, names: Sequence[str]) -> None:
        """Load this recipe's LoRAs into components of these names, where they are not there yet."""
        for lora in loras.in_order(recipe.loras):
            missing = [name for name in names if lora.file not in self._held.setdefault(self._parts[name], set())]
            if missing and lora.file not in self._failed:
                try:
                    with _quiet():
                        self._read(lora, missing)
                except torch.OutOfMemoryError:
                    raise
                except CheckpointError as error:
                    self._failed[lora.file] = str(error)
                except FAULTS as error:
                    self._failed[lora.file] = _fault(lora, error)
            if lora.file in self._failed:
                raise CheckpointError(self._failed[lora.file])

    def _read(self, lora: Lora, names: Sequence[str]) -> None:
        """Convert a file to diffusers' names and load it into components, counting what finds no place."""
        path, denoiser = self._lora_file(lora), self._family.denoiser
        loader = getattr(diffusers, LOADERS[self._family.name])
        unet = self._parts.get("unet")
        found = loader.lora_state_dict(
            _tensors(path, self._family.name),
            unet_config=unet.config if unet else None,
            return_lora_metadata=True,  # without it FLUX answers with no tuple
        )[0]
        components = loader._lora_loadable_modules
        tensors: dict[str, dict[str, torch.Tensor]] = {name: {} for name in components}
        for key, tensor in found.items():
            full = key if key.partition(".")[0] in components else f"{denoiser}.{key}"  # forgotten by some converters
            tensors[full.partition(".")[0]][full] = tensor
        self._lost[lora.file, ""] = loras.left_out(path, self._family.name)
        for name in names:
            if mine := tensors.get(name):
                self._put(lora, name, loader, mine, _remarks(path, name, mine))
            self._held[self._parts[name]].add(lora.file)
        if not any(tensors.values()):
            raise CheckpointError(f"{loras.named(lora)} holds nothing that diffusers reads; leave it out")

    def _put(
        self, lora: Lora, name: str, loader: Any, tensors: dict[str, torch.Tensor], remarks: Mapping[str, Any] | None
    ) -> None:
        module, adapter = self._parts[name], _adapter(lora)
        self._acting[module] = None
        if name == self._family.denoiser:
            pipe = assembled(loader, {**self._parts, **dict.fromkeys(self._family.encoders)})  # puts offload hooks back
            module.load_lora_adapter(
                tensors, prefix=name, adapter_name=adapter, metadata=remarks, _pipeline=pipe, low_cpu_mem_usage=True
            )
        else:
            loader.load_lora_into_text_encoder(
                tensors, None, text_encoder=module, prefix=name, adapter_name=adapter, metadata=remarks
            )
        placed = [weights for parameter, weights in module.named_parameters() if f".{adapter}." in parameter]
        if any(weights.is_meta for weights in placed):
            module.delete_adapters(adapter)  # empty ones could not be moved between devices
            raise CheckpointError(f"{loras.named(lora)} lacks weights for layers that it names; download it again")
        self._lost[lora.file, name] = len(tensors) - len(placed)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks of peft, diffusers and transformers: what matters is told with the LoRA's name."""
    loggers = [logging.getLogger(name) for name in ("diffusers.loaders", "transformers")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _fault(lora: Lora, error: Exception) -> str:
    if isinstance(error, NoMatchingPeftModuleError):
        return f"{loras.named(lora)} fits no layer of this checkpoint; leave it out"
    reason = (str(error) or type(error).__name__).strip().splitlines()[0][:200]
    return f"{loras.named(lora)} cannot be loaded ({reason}); leave it out"


def _adapter(lora: Lora) -> str:
    return lora.file[:16]


def _state(wanted: Sequence[Lora]) -> State:
    return tuple((_adapter(lora), lora.weight) for lora in loras.in_order(wanted))


def _remarks(path: Path, name: str, mine: Iterable[str]) -> dict[str, Any] | None:
    """What the file says of this component's ranks and scales (alpha); None leaves that to its tensors."""
    said = json.loads(loras.remarks(path).get("lora_adapter_metadata", "{}"))
    kept = {key: said[f"{name}.{key}"] for key in REMARKS if f"{name}.{key}" in said}
    if not kept:
        return None
    if any(key.endswith(".alpha") for key in loras.tensors(path)):
        raise ValueError("it tells its scale twice, in its remarks and as alpha")
    for pattern in (*kept.get("rank_pattern", ()), *kept.get("alpha_pattern", ())):
        if not re.fullmatch(r"\^?[\w.]+", pattern):  # peft takes them for regular expressions
            raise ValueError(f"{pattern!r} in its remarks names no layer")
    layers = {key.removeprefix(f"{name}.").removeprefix("text_model.").split(".lora")[0] for key in mine}
    return {f"{name}.{key}": value for key, value in (kept | {"target_modules": sorted(layers)}).items()}


def _tensors(path: Path, family: FamilyName) -> dict[str, torch.Tensor]:
    """A file's tensors with every alpha laid into its matrix, as diffusers' converters lose some that differ."""
    tensors = load_file(path)
    is_mixture = any(name.startswith("lora_transformer_") for name in tensors)
    for layer in [name.removesuffix(".alpha") for name in tensors if name.endswith(".alpha")]:
        for name in (f"{layer}.lora_down.weight", f"{layer}.lora_A.weight"):
            if (down := tensors.get(name)) is not None:
                alpha = tensors.pop(f"{layer}.alpha")
                tensors[name] = down.float() * (alpha.item() / len(down))
                if is_mixture:  # its converter wants to see one
                    tensors[f"{layer}.alpha"] = torch.tensor(float(len(down)))
    if family == "flux" and any(name.startswith(BFL) for name in tensors):
        return {_kohya_ending(name): tensor for name, tensor in tensors.items()}
    return tensors


def _kohya_ending(name: str) -> str:
    name = name.replace("base_model.model.", "diffusion_model.")
    return name.replace(".lora_A.", ".lora_down.").replace(".lora_B.", ".lora_up.")
