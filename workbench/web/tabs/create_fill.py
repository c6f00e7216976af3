"""Pictures and drawings that fill the form of the Create tab. Knows nothing about Gradio.

A picture of a run is filled in with its whole recipe; of another tool's, with what could be mapped.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipelines import foreign, listing, prompts
from pipelines.draft import Draft
from pipelines.errors import InputError
from pipelines.prompts import Light
from pipelines.store import Store
from workbench.queue import state_folder
from workbench.web import brief as meaning
from workbench.web.brief import NAMES, REFERENCE, START, Brief
from workbench.web.inside import known
from workbench.web.pictures import KEY, whole
from workbench.web.site import Site

UPLOADS = "uploads"
"""Folder in our state folder where Gradio keeps what is dropped, for a day."""


@dataclass(frozen=True)
class Read:
    """What a dropped picture gives the form, by field, and what is said of it."""

    changes: dict[str, Any]
    told: dict[str, Any]


def folders(site: Site) -> tuple[Path, ...]:
    """Where start images may lie: the runs, and what was dropped."""
    return (site.runs, state_folder() / UPLOADS)


def handed(target: str, site: Site, run: str, key: str) -> dict[str, Any]:
    """The fields that change when a picture of a run is handed to the form; raises InputError if it is not there."""
    folder = known(site.runs, run)
    if folder is None or not KEY.fullmatch(key) or whole(folder, key) is None:
        raise InputError(f"run {run[:60]} holds no whole picture {key[:20]}")
    path = Store(folder).path(key)
    if target == "reference":
        return {"start": str(path), "mask": "", "strength": REFERENCE, "width": "", "height": ""}
    changes = _recipe(folder, key, path)
    if target != "start":
        return changes
    if Store(folder).sidecar(key).recipe.crop:  # the values say the size of the part that was worked on
        changes |= {"width": "", "height": ""}
    return changes | {"start": str(path), "mask": "", "strength": START}


def _recipe(folder: Path, key: str, path: Path) -> dict[str, Any]:
    """Everything its sidecar says; the checkpoint by the name it had if models.txt lists it no more."""
    sidecar, found = Store(folder).sidecar(key), foreign.read(path)
    name = found.row or sidecar.recipe.checkpoint.name
    draft = Draft.read({"checkpoint": name, **found.values.model_dump(exclude_none=True)})
    return _changes(draft, sidecar.facts.light, sidecar.recipe.checkpoint.family)


def read(path: Path) -> Read:
    """What a picture of Sidelight or another tool says of itself; raises InputError if that is nothing."""
    found = foreign.read(path)
    try:
        draft = foreign.draft(found)
        changes = _changes(draft, None, listing.row_of(draft.checkpoint).family)
        lines = [f"checkpoint {draft.checkpoint}: {found.row_why}"]
    except InputError as error:
        values = found.values.model_dump(exclude_none=True)
        if not values:
            raise
        changes = _changes(Draft.read({"checkpoint": "", **values}), None, found.family)
        del changes["checkpoint"]
        why = str(error).partition(";")[0]  # what follows it is advice for the command line
        lines = [f"{why}: the checkpoint in the form stays; choose another, or add its own under Models"]
    tool = f"{found.tool} {found.version}".strip()
    unmapped = [[each.name, each.value, each.why] for each in found.unmapped]
    told = {
        "title": f"Settings read from a picture of {tool}",
        "lines": [*lines, *found.warnings],
        "unmapped": unmapped,
    }
    return Read(changes, told)


def _changes(draft: Draft, light: Light | None, family: Any) -> dict[str, Any]:
    filled = meaning.of_draft(draft, light, Brief(), family=family)
    changes = dict(zip(NAMES, filled.values, strict=True))
    if filled.light:  # what was written by hand comes back where the light is taken off again
        del changes["prompt"]
    return changes


def lit(sent: Any) -> tuple[str, str]:
    """Light and changed fields out of what the drawings sent; what is no light is none."""
    said = sent if isinstance(sent, dict) else {}
    name = str(said.get("light", ""))
    if name not in prompts.names():
        return "", ""
    fields = {str(field): str(text) for field, text in dict(said.get("fields") or {}).items()}
    return name, json.dumps(fields, ensure_ascii=False) if fields else ""


def address(path: str, site: Site) -> str:
    """Where the browser sees a start image; empty if it does not."""
    at, runs = Path(path).resolve(), site.runs.resolve()
    if at.is_relative_to(runs):
        parts = at.relative_to(runs).parts
        if len(parts) == 3 and parts[1] in ("pictures", "inputs"):
            name = f"{at.stem}.webp" if parts[1] == "pictures" else at.name
            return f"/{parts[1]}/{quote(parts[0], safe='')}/{quote(name, safe='')}"
        return ""
    return f"/gradio_api/file={quote(str(at))}"
