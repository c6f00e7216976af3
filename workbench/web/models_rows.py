"""The rows of the Models tab: what is here, how large, under which licence, what can be done. Knows nothing about HTTP.

Nothing is asked of the network: what the list and this disk say is all there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines import listing
from pipelines.checkpoint import of_row
from pipelines.downloads import lockfile, pulled
from pipelines.downloads.lockfile import Entry, Lock
from pipelines.downloads.pulled import DAMAGED, Need
from pipelines.errors import InputError
from pipelines.families import family_of
from pipelines.families.base import settings
from pipelines.files import DISK
from pipelines.frozen import Frozen
from pipelines.listing import DENOISERS, Defaults, Row
from pipelines.recipe import FamilyName
from workbench.model_rows import is_gated, own_entries
from workbench.web.pulls import Doing

State = Literal["here", "to be downloaded", "partly here", "damaged", "gated", "missing"]
TITLES: Mapping[FamilyName, str] = {"sdxl": "SDXL", "flux": "FLUX.1", "flux2": "FLUX.2"}
HUB = "https://huggingface.co"
SHOWN = ("base", "vae", "variant", "quantisation")

Pairs = tuple[tuple[str, str], ...]


class ModelRow(Frozen):
    """One model. `bytes` are on this disk, `of_bytes` all of it, None where only the hub knows.

    `asks` are sentences on licence and gating, `can` what may be done with it now, `fault` why it cannot be used.
    """

    name: str
    family: FamilyName
    kind: str
    state: State
    bytes: int | None
    of_bytes: int | None
    licence: str
    gated: bool
    asks: tuple[str, ...]
    about: tuple[str, ...]
    source: str
    where: str
    page: str
    defaults: Pairs
    options: Pairs
    is_own: bool
    can: tuple[str, ...]
    fault: str = ""
    pull: Doing | None = None


class ModelRows(Frozen):
    """All models in the list's order, one's own first; families with their titles; room on the models' disk."""

    rows: tuple[ModelRow, ...]
    families: Pairs
    kinds: tuple[str, ...]
    folder: str
    own_list: str
    free_bytes: int


def all_rows(doing: Mapping[str, Doing], known: "Known") -> ModelRows:
    """Every row as it is now; raises CheckpointError if a list or the lock cannot be read."""
    models = listing.models_folder()
    disk = _Disk(listing.rows(), lockfile.read(models), models)
    rows = [_row(row, disk, doing.get(row.name), known) for row in disk.listed.values()]
    return ModelRows(
        rows=tuple(sorted(rows, key=lambda row: not row.is_own)),
        families=tuple(TITLES.items()),
        kinds=tuple(dict.fromkeys(row.kind for row in rows)),
        folder=str(models),
        own_list=str(listing.own_list()),
        free_bytes=DISK.free_bytes(models),
    )


@dataclass(frozen=True)
class _Disk:
    """The lists and the lock, read once for all rows."""

    listed: Mapping[str, Row]
    lock: Lock
    models: Path

    def needs(self, row: Row) -> tuple[Need, ...]:
        """The row and those that give what it lacks, as far as they come from a hub."""
        return pulled.needs(row, self.listed)

    def entries(self, row: Row) -> list[Entry]:
        """What was pulled of all it needs."""
        return [entry for need in self.needs(row) if (entry := need.entry(self.lock))]

    def came(self, row: Row) -> int | None:
        """Bytes that came of all it needs, None if nothing was ever fetched."""
        entries = self.entries(row)
        return sum(pulled.came(entry, self.models) for entry in entries) if entries else None

    def has_set_aside(self, row: Row) -> bool:
        """Whether a check found a file to be damaged, which did not come anew since."""
        open_entries = [entry for entry in self.entries(row) if not entry.complete]
        paths = [entry.folder(self.models) / file.path for entry in open_entries for file in entry.files]
        return any(path.with_name(path.name + DAMAGED).exists() and not path.exists() for path in paths)


class Known:
    """Default settings that were read from checkpoints: reading them may take a second each."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], tuple[Pairs, str]] = {}

    def defaults(self, row: Row) -> tuple[Pairs, str]:
        """Of a checkpoint that is here, and why it cannot be used if it cannot."""
        key = (row.name, str(row.source), *(f"{name}={value}" for name, value in row.options.items()))
        if key not in self._found:
            try:
                checkpoint = of_row(row)
                self._found[key] = (_words(settings(family_of(checkpoint), checkpoint)), "")
            except InputError as error:
                return _asked(row), str(error)
            except (KeyError, TypeError, ValueError) as error:  # settings that no diffusers ever wrote
                return _asked(row), f"its settings cannot be read ({error}): download or copy it again"
        return self._found[key]


def agreements(needs: Sequence[Need]) -> tuple[str, ...]:
    """What a person agrees to by fetching these: the licence of all that comes, and what is gated."""
    licences: dict[str, list[str]] = {}
    for need in needs:
        licences.setdefault(need.row.licence, []).append(need.row.name)
    told = [_licence(licence, names) for licence, names in licences.items()]
    gated = [f"{HUB}/{need.row.source.place}" for need in needs if need.row.is_gated]
    if gated:
        told.append(
            f"Gated: accept the licence at {' and at '.join(dict.fromkeys(gated))} first, then run `hf auth login` as "
            "the account that accepted it (or set HF_TOKEN before the page is started)."
        )
    return tuple(told)


def _licence(licence: str, names: list[str]) -> str:
    of = ", ".join(names)
    if not licence:
        return f"{of}: the list names no licence; its page on the hub says which it has."
    limit = ", not for commercial use without another licence" if "NC" in licence.split("-") else ""
    return f"{of}: {licence}{limit}, as the list says; the hub's own page is what counts."


def _row(row: Row, disk: _Disk, doing: Doing | None, known: Known) -> ModelRow:
    state, size = _state(row, disk)
    entries, place, needs = own_entries(row, disk.lock), row.place(), disk.needs(row)
    is_own = row.listed_in != listing.SHIPPED
    defaults, fault = (_asked(row), "")
    if row.kind == "checkpoint" and state == "here":
        defaults, fault = known.defaults(row)
        state = "damaged" if fault else state
    if state == "missing":
        fault = f"{row.source} is not there: bring it back, or take the row out of your list"
    return ModelRow(
        name=row.name,
        family=row.family,
        kind=row.kind,
        state=state,
        bytes=size if state == "here" else disk.came(row),
        of_bytes=size,
        licence=row.licence,
        gated=is_gated(row, disk.listed),
        asks=agreements(needs),
        about=_about(row, disk.listed),
        source=str(row.source),
        where=str(place or (entries[0].folder(disk.models) if entries else "")),
        page=f"{HUB}/{row.source.place}" if row.source.kind == "hf" else "",
        defaults=defaults,
        options=tuple((name, row.options[name]) for name in SHOWN if name in row.options),
        is_own=is_own,
        can=_can(row, state, is_own=is_own, is_pulled=bool(entries), comes=bool(needs)),
        fault=fault,
        pull=doing,
    )


def _can(row: Row, state: State, *, is_own: bool, is_pulled: bool, comes: bool) -> tuple[str, ...]:
    told = {
        "use": state == "here" and row.kind == "checkpoint",
        "download": comes and state in ("to be downloaded", "gated", "partly here", "damaged"),
        "verify": comes and state in ("here", "damaged"),
        "delete": is_pulled,
        "remove": is_own,
    }
    return tuple(name for name, holds in told.items() if holds)


def _state(row: Row, disk: _Disk) -> tuple[State, int | None]:
    """The list's own word, and which of the unfinished ones were whole once; its bytes as far as they are known."""
    state, size = pulled.state(row, disk.lock, disk.listed)
    if state == "incomplete":
        return ("damaged" if disk.has_set_aside(row) else "partly here"), size
    return ("gated" if state == "to be downloaded" and is_gated(row, disk.listed) else state), size


def _about(row: Row, listed: Mapping[str, Row]) -> tuple[str, ...]:
    told = [remark] if (remark := _remark(row)) else []
    base, part = row.options.get("base"), DENOISERS[row.family]
    if base and row.kind == "checkpoint":
        told.append(f"This file holds the {part} alone; {base} gives the rest, and comes with it.")
    elif base:
        told.append(f"It needs {base}, which comes with it.")
    if quantisation := row.options.get("quantisation", ""):
        told.append(f"Its weights are opened as {quantisation}: less memory, a little less exact.")
    users = [each.name for each in listed.values() if row.name in (each.options.get("base"), each.options.get("vae"))]
    if users:
        told.append(f"Needed by {', '.join(users)}.")
    return tuple(told)


def _remark(row: Row) -> str:
    """What the shipped list says above the lines among which a row stands; one's own list begins with other words."""
    if row.listed_in != listing.SHIPPED:
        return ""
    above = row.listed_in.read_text(encoding="utf-8").splitlines()[: row.line - 1]
    said: list[str] = []
    for line in reversed(above):
        if not line.strip():
            break
        if line.startswith("#"):
            said.insert(0, line.lstrip("# "))
        elif said:
            break
    text = " ".join(said).replace("`", "")
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _asked(row: Row) -> Pairs:
    """What the list alone says of its defaults."""
    return tuple((name.replace("_", " "), value.replace("..", " to ")) for name, value in row.asked.items())


def _words(defaults: Defaults) -> Pairs:
    told = {
        "size": f"{defaults.width} × {defaults.height}",
        "steps": str(defaults.steps),
        "guidance": f"{defaults.guidance:g}",
        "scheduler": defaults.scheduler,
    }
    if defaults.text_tokens:
        told["text tokens"] = str(defaults.text_tokens)
    if defaults.trained_guidance:
        low, high = defaults.trained_guidance
        told["trained guidance"] = f"{low:g} to {high:g}"
    return tuple(told.items())
