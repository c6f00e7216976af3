"""A sweep run by a script: what `sidelight sweep run` does, as a generator. Knows nothing about command lines or pages.

`from sweeps import Sweep, run` is this function; `sweeps.run.run` is the one below it, for who brings an engine.
"""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

from pipelines import quiet
from pipelines.errors import NumericsError
from sweeps.measure import Alongside
from sweeps.prepare import prepare
from sweeps.run import Happening
from sweeps.run import run as run_prepared
from sweeps.speed import remember
from sweeps.sweep import Sweep

NUMERICS = ("device", "dtype", "attention", "lanes", "offload", "compile")
"""What can be asked for by name."""


def run(
    sweep: Sweep, folder: str | Path, *, retry_failed: bool = True, **numerics: Any
) -> Generator[Happening, None, None]:
    """Make what is missing of a sweep in a run folder, measure it and say what it shows; the same again goes on.

    Yields `Started`, then what happens (`Stepped`, `Kept`, `Failed`, `Measured` ...), last `Finished`. Closing the
    generator stops at once; what was made is kept. `numerics` are device, dtype, attention, lanes, offload or compile.
    What was found is then in `sweeps.findings.read(folder)`. Raises SweepError, CheckpointError, NumericsError before
    anything is written, BusyError while another process uses the device or the folder, DiskFullError.
    """
    if strange := [name for name in numerics if name not in NUMERICS]:
        raise NumericsError(f"{strange[0]} is no part of the numerics; allowed: {', '.join(NUMERICS)}")
    quiet.local_and_quiet()
    from sweeps.engines import device_lock, open_engine  # loads torch

    prepared = prepare(sweep, Path(folder).expanduser(), asked=numerics)
    measuring = Alongside(prepared.folder)
    happenings = run_prepared(prepared, open_engine=open_engine, retry_failed=retry_failed, measuring=measuring)
    with device_lock(prepared.numerics.now), remember(prepared) as speed, closing(happenings):
        for happening in happenings:
            speed.follow(happening)
            yield happening
