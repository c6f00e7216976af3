"""What a row of models.txt is on this disk, and what adding, checking or deleting it takes. Shared by command and page.

Knows nothing about terminals, browsers or networks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from pipelines import listing, own_list
from pipelines.downloads import pulled
from pipelines.downloads.lockfile import Entry, Lock
from pipelines.downloads.pulled import Need
from pipelines.errors import CheckpointError, InputError
from pipelines.listing import Row
from pipelines.own_list import Candidate
from pipelines.recipe import FamilyName


@dataclass(frozen=True)
class Deletion:
    """What deleting a row's pulled files takes away: the files with their bytes, and other rows that need them."""

    entries: tuple[Entry, ...]
    files: Mapping[Path, int]
    users: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Room that it makes on the disk."""
        return sum(self.files.values())


def is_gated(row: Row, listed: Mapping[str, Row] | None = None) -> bool:
    """Whether a licence must be accepted on the hub before all that the row needs can be fetched."""
    return row.is_gated or any(need.row.is_gated for need in pulled.needs(row, listed))


def own_entries(row: Row, lock: Lock) -> tuple[Entry, ...]:
    """What was pulled from the row's own source, whole or without the parts that another gives."""
    return tuple(entry for entry in lock.entries if entry.source == str(row.source) and entry.variant == row.variant)


def all_needs(rows: Iterable[Row]) -> list[Need]:
    """Every need once; what one row needs whole serves another that needs less of it."""
    found: dict[tuple[str, str, tuple[str, ...]], Need] = {}
    for need in (need for row in rows for need in pulled.needs(row)):
        found.setdefault((str(need.row.source), need.row.variant, need.without), need)
    return [
        need for (source, variant, _), need in found.items() if not need.without or (source, variant, ()) not in found
    ]


def entries_of(names: Iterable[str], lock: Lock) -> list[Entry]:
    """What was pulled for these rows, each once; raises InputError for one that nothing was pulled for."""
    found: dict[object, Entry] = {}
    for row in map(listing.row_of, names):
        mine = [entry for need in pulled.needs(row) if (entry := need.entry(lock))]
        if not mine:
            raise InputError(f"{row.name} was not pulled, so there is nothing to verify; `sidelight models pull` does")
        found |= {entry.key: entry for entry in mine}
    return list(found.values())


def deletion(row: Row, lock: Lock) -> Deletion:
    """What deleting the row's own pulled files would take away; without entries if none were pulled for it."""
    entries, listed = own_entries(row, lock), listing.rows()
    users = [
        other.name
        for other in listed.values()
        if other.name != row.name and any(need.entry(lock) in entries for need in pulled.needs(other, listed))
    ]
    return Deletion(entries, pulled.only_of(entries, lock, listing.models_folder()), tuple(users) if entries else ())


def candidates(one: str, *, family: str | None, kind: str) -> tuple[list[Candidate], dict[str, str]]:
    """What a folder, a weights file, an hf: source or NAME+option=value stands for, and what of it is refused.

    Raises InputError for what is none of these.
    """
    if one.startswith("hf:"):
        return [_from_hub(one, family=family, kind=kind)], {}
    path = Path(one).expanduser()
    if path.is_dir():
        found, refused = own_list.look_through(path)
        if not found and not refused:
            raise InputError(f"{one} holds no diffusers folder and no .safetensors or .gguf file")
        return found, refused
    if path.is_file():
        try:
            candidate = own_list.look_at(path)
        except CheckpointError as error:
            return [], {one: str(error)}
        return ([candidate], {}) if candidate else ([], {one: f"{one} is no .safetensors or .gguf file"})
    row = listing.row_of(one)
    return [Candidate(row.name.replace("+", "-").replace("=", "-"), row.family, row.kind, row.source, row.options)], {}


def named(found: list[Candidate], name: str) -> list[Candidate]:
    """The one thing that was found under the name wanted for it; raises InputError."""
    if len(found) != 1:
        raise InputError(f"--name is for one thing, and {len(found)} were found; leave it out or give one file")
    if name in listing.rows():
        raise InputError(f"name {name} is taken; give another --name, or remove that row first")
    return [replace(found[0], name=name)]


def allowed(what: str, given: str | None, values: tuple[str, ...]) -> None:
    """Raise InputError unless it is one of the values, or nothing was given."""
    if given is not None and given not in values:
        raise InputError(f"{what} {given} is not known; allowed: {', '.join(values)}")


def _from_hub(text: str, *, family: str | None, kind: Any) -> Candidate:
    if family is None:
        raise InputError(f"{text} needs its family; add --family {' or --family '.join(get_args(FamilyName))}")
    allowed("family", family, get_args(FamilyName))
    source = listing.parse_source(text, beside=Path.cwd())
    name = own_list.readable(Path(source.path or source.place.rpartition("/")[2]))
    return Candidate(name, family, kind, source, {})  # type: ignore[arg-type]  # checked above
