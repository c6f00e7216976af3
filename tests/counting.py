"""Counts bytes of tensors alive while a network runs, also on the meta device; makes weight files of any size.

Knows nothing about formulas.
"""

import contextlib
import json
import math
import struct
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Alive(TorchDispatchMode):
    """While entered, follows every storage that an operation makes; the module's own weights are not counted."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet(
            tensor.untyped_storage() for tensor in [*module.parameters(), *module.buffers()]
        )

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage()) not in self._seen:
                self._seen.add(storage)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._gone, storage.nbytes())
                self.peak = max(self.peak, self.now)
        return made

    def _gone(self, size: int) -> None:
        self.now -= size


def peak(module: torch.nn.Module, call: Any) -> int:
    """Most bytes alive during `call()`, without weights and without what was there before."""
    with torch.no_grad(), Alive(module) as alive:
        call()
    return alive.peak


@contextlib.contextmanager
def no_scores() -> Iterator[None]:
    """On the meta device attention would be counted with its scores written out, which no GPU kernel does."""
    real = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = lambda query, key, value, *_, **__: torch.empty_like(query)
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = real


def hollow(path: Path, tensors: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    """A safetensors file with a true header and a hole for the weights, which takes no room on the disk."""
    bytes_of = {"F16": 2, "BF16": 2, "F32": 4, "U8": 1}
    entries, end = {}, 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + math.prod(shape) * bytes_of[dtype]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
