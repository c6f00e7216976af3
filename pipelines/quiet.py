"""What the libraries below us are told before they are read: fetch nothing, keep remarks that no user can act on.

Knows nothing about what is done with them. `sidelight models pull` fetches by its own means, and only what it is asked.
"""

import logging
import os

CHATTY = ("torchao", "torch.utils._pytree", "bitsandbytes")  # kernels they lack, told at every import


def local_and_quiet() -> None:
    """Set the environment of this process; what a person has set stays. May be called again."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    for library in CHATTY:
        logging.getLogger(library).setLevel(logging.ERROR)
