"""How much memory is free right now, on the device and beside it. Knows nothing about what it is for."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["cuda", "mps", "cpu"]


@dataclass(frozen=True)
class Room:
    """Bytes free on the device and in main memory (without a GPU they are one), and all main memory with its swap."""

    device: int
    ram: int
    ram_in_all: int


def room(kind: Kind) -> Room:
    """What is free now on a device of that kind; a container's own limit counts where Linux tells it."""
    import psutil

    told = psutil.virtual_memory()
    limit, used = container_limit()
    available = min(told.available, max(limit - used, 0))
    in_all = min(told.total, limit) + psutil.swap_memory().total
    if kind != "cuda":
        return Room(available, available, in_all)
    import torch

    return Room(torch.cuda.mem_get_info()[0], available, in_all)


def container_limit(folder: Path = Path("/sys/fs/cgroup")) -> tuple[int, int]:
    """(limit, used) bytes of the control group that this process runs in; a huge limit where none is set."""
    with contextlib.suppress(OSError, ValueError):  # no such files outside a container, or "max": no limit
        return int((folder / "memory.max").read_text()), int((folder / "memory.current").read_text())
    return 2**62, 0
