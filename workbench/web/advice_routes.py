"""The page's addresses of advice: what is wrong with a picture, and its prepared job queued. Knows no rule.

GET  /api/advice/runs/RUN/KEY      steps for a picture of a run; "first" is the place of the one to take
GET  /api/advice/pictures/ID       the same for a picture that is open in the Face tab
POST either, {"step": N, "problem": its words}   queue that step's job: {"run", "job", "cells"}; 422 where it says
                                   something else by now, as after measuring
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pipelines.errors import InputError
from pipelines.foreign.mapping import plain
from pipelines.store import Store
from sweeps.sweep import Sweep, expand, to_toml
from workbench import advice_jobs
from workbench.advice import Step
from workbench.advice_facts import Facts
from workbench.advice_seen import advised
from workbench.advise_command import as_dict
from workbench.jobs import INTERACTIVE
from workbench.web import asking, uploads
from workbench.web.face_desk import picture_path
from workbench.web.inside import known
from workbench.web.pictures import whole
from workbench.web.site import Site
from workbench.web.uploads import WORDS_BYTES

ROUTE = "/api/advice"
REFERENCE = "there, choose a photograph of skin with pores as the reference"


def routes(site: Site) -> list[BaseRoute]:
    """Advice on pictures of this site's runs, and on those that are open in the Face tab."""

    def of_run(request: Request) -> Path:
        name, key = request.path_params["run"], request.path_params["key"]
        folder = known(site.runs, name)
        if folder is None or whole(folder, key) is None:
            raise HTTPException(404, f"run {name[:60]} holds no whole picture {key[:20]}")
        return Store(folder).path(key)

    def of_face(request: Request) -> Path:
        try:
            return picture_path(request.path_params["picture"])
        except InputError as error:
            raise HTTPException(404, str(error)) from None

    places: dict[str, Callable[[Request], Path]] = {
        ROUTE + "/runs/{run}/{key}": of_run,
        ROUTE + "/pictures/{picture}": of_face,
    }
    made: list[BaseRoute] = []
    for path, where in places.items():
        made += [Route(path, _told(where)), Route(path, _begun(where, site), methods=["POST"])]
    return made


def _told(where: Callable[[Request], Path]) -> Callable[[Request], Response]:
    def told(request: Request) -> Response:
        facts, note, advice = advised(where(request))
        said = as_dict(facts, note, advice)
        for step, answer in zip(advice, said["steps"], strict=True):
            if answer["job"]:
                answer["job"] |= _made(step, facts)
                if facts.run is None:  # its file is a copy of ours, which no command should name
                    answer["job"]["command"] = ""
        return _json({**said, "file": facts.file.name, "name": _place(facts)})

    return told


def _begun(where: Callable[[Request], Path], site: Site) -> Callable[[Request], Any]:
    async def begun(request: Request) -> Response:
        said = uploads.words(await uploads.body(request.stream(), WORDS_BYTES))
        return _json(await run_in_threadpool(_begin, site, where(request), said))

    return begun


def _begin(site: Site, file: Path, said: dict[str, Any]) -> dict[str, Any]:
    facts, _, advice = advised(file)
    number = said.get("step")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(advice):
        raise InputError(f"step {str(number)[:20]} is none of this advice; there are 0 to {len(advice) - 1}")
    if advice[number].problem != said.get("problem"):
        raise InputError(f"step {number} of this advice is another by now; open the advice again")
    job = advice[number].job
    if job is None:
        raise InputError(f"step {number} has nothing to do; read what it says")
    queued = asking.begin(site, advice_jobs.sweep_of(job, facts), priority=INTERACTIVE)
    return {"run": queued.folder.name, "job": queued.id, "cells": queued.cells}


def _made(step: Step, facts: Facts) -> dict[str, Any]:
    """How many pictures a job makes, its sweep.toml where the builder can hold it, and what refuses it, if so."""
    job = step.job
    none = {"cells": 0, "toml": "", "fault": "", "needs_here": REFERENCE if step.remedy == "reference" else ""}
    if job is None or not job.makes:
        return none
    try:
        sweep: Sweep = advice_jobs.sweep_of(job, facts)
    except InputError as error:
        return {**none, "fault": str(error)}
    return {**none, "cells": len(expand(sweep)), "toml": "" if job.masks else to_toml(sweep)}


def _place(facts: Facts) -> str:
    """What the picture is called for a person."""
    draft = facts.draft
    if draft is None:
        return f"{facts.width} x {facts.height}"
    values = [("guidance", draft.guidance), ("steps", draft.steps), ("seed", draft.seed)]
    return " · ".join([draft.checkpoint, *(f"{name} {plain(value)}" for name, value in values if value is not None)])


def _json(value: dict[str, Any]) -> Response:
    return JSONResponse(value, headers={"cache-control": "no-store"})
