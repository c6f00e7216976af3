"""Opens the real engine for a run; the one module of this package that loads torch. Knows nothing about who runs it."""

from collections.abc import Callable

from platformdirs import user_state_path

from pipelines.checkpoint import Checkpoint
from pipelines.device import Numerics
from pipelines.engine import Engine
from pipelines.given import images_of
from pipelines.store import Store
from sweeps.lock import Lock


def open_engine(checkpoint: Checkpoint, numerics: Numerics, store: Store) -> Engine:
    """An engine for one run, whose start images and masks come from the run's inputs."""
    return shared_engine(checkpoint, numerics, lambda: store, previews=False)


def shared_engine(
    checkpoint: Checkpoint, numerics: Numerics, turn: Callable[[], Store], *, previews: bool | Callable[[], bool]
) -> Engine:
    """An engine for several runs; `turn` gives the store of the one that it works for now."""

    return Engine(checkpoint, numerics, images=lambda recipe: images_of(recipe, turn()), previews=previews)


def device_lock(numerics: Numerics) -> Lock:
    """The lock on a run's device: one process makes pictures on it at a time. Entering it raises BusyError."""
    folder = user_state_path("sidelight", ensure_exists=True)
    name = "".join(sign if sign.isalnum() else "-" for sign in numerics.device)
    return Lock(folder / f"{name}.lock", f"the device ({numerics.device})")
