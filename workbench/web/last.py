"""The pictures that somebody waited for: made one at a time, newest first, out of the queue and the run folders.

Nothing of this is kept anywhere else, so a reload or a restart shows the same. Knows nothing about forms.
"""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from pipelines.recipe import Recipe
from pipelines.store import Sidecar, Store
from sweeps.overview import values_of
from workbench.jobs import INTERACTIVE, OPEN, Job
from workbench.web.answers import one_line
from workbench.web.inside import known
from workbench.web.pace import work
from workbench.web.site import Site
from workbench.web.watched import VERSION

MOST = 96
LOOKED_AT = 200  # jobs, newest first; one job may hold several pictures, or none that is whole


class LastPicture(Frozen):
    """A whole picture with its addresses, its values as a person reads them, and how long it took."""

    run: str
    key: str
    picture: str
    thumb: str
    width: int
    height: int
    values: tuple[tuple[str, str], ...]
    warning: str
    seconds: float


class LastJob(Frozen):
    """A job that somebody waits for, or that ended with a fault; `error` is one line."""

    id: int
    run: str
    name: str
    state: str
    wish: str
    cells: int
    done: int
    seconds_left: float | None
    error: str


class LastAnswer(Frozen):
    """The pictures, newest first, and the jobs: what runs and waits in its order, then the last one if it failed."""

    pictures: tuple[LastPicture, ...]
    jobs: tuple[LastJob, ...]


class Last:
    """The last pictures of a site; for several threads at once. A sidecar is read once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._read: dict[tuple[str, str, int], Sidecar | None] = {}

    def answer(self, most: int) -> LastAnswer:
        """The last `most` pictures, with the jobs of the same kind."""
        jobs = self._jobs()
        pictures: list[LastPicture] = []
        for run, sidecar in self._sidecars(jobs):
            pictures.append(_picture(run, sidecar))
            if len(pictures) == most:
                break
        newest = max(jobs, key=lambda job: job.id, default=None)
        shown = [job for job in jobs if job.state in OPEN]
        if newest and newest.state == "failed":
            shown.append(newest)
        return LastAnswer(pictures=tuple(pictures), jobs=tuple(map(_job, shown)))

    def seconds(self, recipe: Recipe) -> float | None:
        """How long a picture like this took here, by the last one of its checkpoint and size; None before the first."""
        for _, sidecar in self._sidecars(self._jobs()):
            made, seconds = sidecar.recipe, sidecar.circumstances.seconds.get("made", 0.0)
            is_like = (made.checkpoint.name, made.width, made.height, made.checkpoint.family) == (
                recipe.checkpoint.name, recipe.width, recipe.height, recipe.checkpoint.family,
            )  # fmt: skip
            if is_like and seconds > 0:
                return seconds * work(recipe) / work(made)
        return None

    def _jobs(self) -> list[Job]:
        """Jobs that somebody waited for, of this site's runs, in the queue's order."""
        runs = self._site.runs.resolve()
        return [job for job in self._site.queue.jobs() if job.priority >= INTERACTIVE and job.folder.parent == runs]

    def _sidecars(self, jobs: Iterable[Job]) -> Iterator[tuple[str, Sidecar]]:
        """Newest first; of one run those that were made last."""
        for job in sorted(jobs, key=lambda job: -job.id)[:LOOKED_AT]:
            if folder := known(self._site.runs, job.folder.name):
                keys = Store(folder).keys()
                found = [sidecar for key in keys if (sidecar := self._sidecar(folder, key))]
                found.sort(key=lambda each: (each.circumstances.date, each.recipe.seed), reverse=True)
                yield from ((folder.name, sidecar) for sidecar in found)

    def _sidecar(self, folder: Path, key: str) -> Sidecar | None:
        path = Store(folder).path(key).with_suffix(".json")
        try:
            at = (folder.name, key, path.stat().st_mtime_ns)
        except OSError:
            return None
        with self._lock:
            if at not in self._read:
                self._read[at] = _sidecar(folder, key)
            return self._read[at]


def _sidecar(folder: Path, key: str) -> Sidecar | None:
    try:
        return Store(folder).sidecar(key)
    except InputError:  # damaged: the Runs tab and `sidelight check` say so
        return None


def _picture(run: str, sidecar: Sidecar) -> LastPicture:
    stem, version = f"/pictures/{quote(run, safe='')}/{sidecar.key}", sidecar.png_sha256[:VERSION]
    return LastPicture(
        run=run,
        key=sidecar.key,
        picture=f"{stem}.png?v={version}",
        thumb=f"{stem}.webp?v={version}",
        width=sidecar.recipe.size[0],
        height=sidecar.recipe.size[1],
        values=values_of(sidecar.recipe, sidecar.facts.light),
        warning=one_line("; ".join(sidecar.facts.warnings)),
        seconds=sidecar.circumstances.seconds.get("made", 0.0),
    )


def _job(job: Job) -> LastJob:
    return LastJob(
        id=job.id,
        run=job.folder.name,
        name=job.name,
        state=job.state,
        wish=job.wish,
        cells=job.cells,
        done=job.done,
        seconds_left=job.seconds_left,
        error=one_line(job.error),
    )
