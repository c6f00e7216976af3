"""Which kinds of quantised weights can be opened here, told before any are. Knows nothing about checkpoints."""

from collections.abc import Mapping
from importlib.util import find_spec

from pipelines.errors import CheckpointError

PACKAGES: Mapping[str, str] = {"gguf": "gguf", "nf4": "bitsandbytes", "int8": "torchao"}
"""What opens each kind; all are in the extra `quant`."""


def check(quantisation: str, device: str) -> None:
    """Raise CheckpointError if such weights cannot be opened on "cuda", "mps" or "cpu", naming what can.

    `quantisation` as a checkpoint says it: several joined by +, "" for none.
    """
    for kind in filter(None, quantisation.split("+")):
        if kind == "nf4" and device != "cuda":
            raise CheckpointError(
                f"quantisation nf4 needs an NVIDIA GPU and this is {device}; take a .gguf file or quantisation=int8"
            )
        if find_spec(PACKAGES[kind]) is None:
            raise CheckpointError(
                f"quantisation {kind} needs the package {PACKAGES[kind]}; install sidelight[quant], or leave it out"
            )
