"""Measures one picture of a run, and is the process that does so while others wait. Knows nothing about who asks.

`python -m sweeps.measure_look` reads lines of JSON, [run folder, key], and answers each with a line.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipelines.errors import SidelightError
from sweeps.measure import CellMeasures, edition

NICENESS = 10
"""Below whatever makes pictures: it gets what the engine leaves."""
DIGITS = 6
"""Behind the point: finer than any measure repeats on another machine."""


def look(run: Path, key: str) -> CellMeasures:
    """The measures of a picture's largest face, by the distance of its eyes as crops of cheeks are chosen too.

    Raises InputError for a picture that is not whole or cannot be opened.
    """
    from pipelines.errors import InputError
    from pipelines.raster import open_raster, rgb8
    from pipelines.regions import face_map
    from pipelines.skin import is_flat, measure
    from pipelines.store import Store

    store = Store(run)
    sidecar = store.sidecar(key)
    if fault := store.fault(key):
        raise InputError(f"{fault}; run the sweep again to make the picture anew")
    pixels = rgb8(open_raster(store.path(key)))
    found = face_map(pixels)
    face = max(found.faces, key=lambda each: each.eye_distance, default=None)
    measured = measure(pixels, found, face.number if face else 1)
    return CellMeasures(
        key=key,
        sha256=sidecar.png_sha256,
        edition=edition(),
        face=measured.face,
        faces=len(found.faces),
        eye_distance=round(face.eye_distance, 2) if face else None,
        values=tuple((each.name, _rounded(each.value)) for each in measured.readings),
        why=tuple((each.name, each.why) for each in measured.readings if each.why),
        verdicts=measured.verdicts,
        cautions=measured.cautions,
        flat=is_flat(measured),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def answered(line: str) -> dict[str, Any]:
    """What is said to a line: {"measures": ...} or {"reason": ...}; no picture ends the process."""
    run, key = json.loads(line)
    try:
        return {"measures": look(Path(run), key).model_dump(mode="json")}
    except SidelightError as error:
        return {"reason": str(error)}
    except Exception as error:  # noqa: BLE001  # as a cell of a run: it fails alone, and says why
        return {"reason": f"a fault of Sidelight's own ({type(error).__name__}: {error}); please report it"}


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not come between the answers
    import cv2

    cv2.setNumThreads(1)
    with suppress(BrokenPipeError):  # who asked is gone
        for line in sys.stdin:
            print(json.dumps(answered(line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
