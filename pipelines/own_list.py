"""Changing the user's own models.txt: rows in, rows out, remarks and order kept. Knows nothing about the shipped list's
file, which is never written.
"""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines import listing
from pipelines.downloads.lockfile import held
from pipelines.errors import CheckpointError, InputError
from pipelines.files import DISK, Files, put
from pipelines.listing import PICKLES, WEIGHTS, Kind, Row, Source
from pipelines.recipe import FamilyName

HEADER = (
    "# Your models, one a line: name  family  source  [option=value ...]; they win over shipped ones of that name.\n"
    "# `sidelight models add` and `remove` change this file, and so can you. A value with blanks stands in quotes.\n"
)


@dataclass(frozen=True)
class Candidate:
    """What could be a row, under a name that is still made unique."""

    name: str
    family: FamilyName
    kind: Kind
    source: Source
    options: Mapping[str, str]


def look_through(folder: Path) -> tuple[list[Candidate], dict[str, str]]:
    """All that could be a row in a folder and those below it, and what cannot with the reason; reads headers only."""
    found: list[Candidate] = []
    refused: dict[str, str] = {}
    for path in _walk(folder):
        try:
            if candidate := look_at(path):
                found.append(candidate)
        except CheckpointError as error:
            refused[str(path)] = str(error)
    return found, refused


def look_at(path: Path) -> Candidate | None:
    """What could be a row at a path; None if it holds none; raises CheckpointError."""
    seen = listing.look_at(path)
    if not seen:
        return None
    kind, family, source = seen
    return Candidate(readable(path), family, kind, source, {})


def add(candidates: Iterable[Candidate], *, files: Files = DISK) -> tuple[dict[str, Source], dict[str, Source]]:
    """Write rows for what is not listed yet, whole or not at all; the new rows, and what was listed, by name.

    Raises CheckpointError if the list has a wrong line, DiskError if it cannot be written.
    """
    path = listing.own_list()
    with held(path.with_name(f".{path.name}.held"), files):
        listed = listing.rows()
        sources = {_identity(row.source, row.options): name for name, row in listed.items()}
        new: dict[str, Source] = {}
        known: dict[str, Source] = {}
        lines: list[str] = []
        for candidate in candidates:
            identity = _identity(candidate.source, candidate.options)
            if identity in sources:
                known[sources[identity]] = candidate.source
                continue
            name = _unique(candidate.name, {*listed, *new})
            sources[identity], new[name] = name, candidate.source
            lines.append(_line(name, candidate))
        if lines:
            before = path.read_text(encoding="utf-8") if path.is_file() else HEADER
            _write(path, before + ("" if before.endswith("\n") else "\n") + "".join(lines), files)
    return new, known


def remove(name: str, *, files: Files = DISK) -> Row:
    """Take a row out of the user's own list and return it; raises InputError for one that is not in it."""
    path = listing.own_list()
    with held(path.with_name(f".{path.name}.held"), files):
        own = listing.read_list(path) if path.is_file() else {}
        if name not in own:
            raise InputError(_not_in_own(name, path))
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        del lines[own[name].line - 1]
        _write(path, "".join(lines), files)
    return own[name]


def readable(path: Path) -> str:
    """A name for what lies at a path, that a row can have."""
    stem = path.stem if path.suffix.lower() in WEIGHTS else path.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "model"


def _not_in_own(name: str, path: Path) -> str:
    if name in listing.rows():
        return f"{name} is a shipped row, which stays; a row of yours in {path} with this name would win over it"
    return f"{name} is not in your list {path}; `sidelight models list` shows the names"


def _write(path: Path, text: str, files: Files) -> None:
    put({path: text.encode()}, files)


def _line(name: str, candidate: Candidate) -> str:
    options = dict(candidate.options) | ({"kind": candidate.kind} if candidate.kind != "checkpoint" else {})
    words = [name, candidate.family, str(candidate.source), *(f"{key}={value}" for key, value in options.items())]
    return "  ".join(map(shlex.quote, words)) + "\n"


def _identity(source: Source, options: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The same file with another quantisation or autoencoder is another row; a default setting makes no other."""
    telling = ("base", "quantisation", "vae", "variant")
    return str(source), tuple((name, options[name]) for name in telling if name in options)


def _unique(name: str, taken: set[str]) -> str:
    return name if name not in taken else next(n for k in range(2, len(taken) + 3) if (n := f"{name}-{k}") not in taken)


def _walk(folder: Path) -> Iterator[Path]:
    """Diffusers folders, weights files and pickles; links are followed, but no folder is entered twice."""
    entered: set[Path] = set()
    for here, below, names in os.walk(folder, followlinks=True):
        place = Path(here)
        if place.resolve() in entered:
            below.clear()
            continue
        entered.add(place.resolve())
        if (place / "model_index.json").is_file():
            below.clear()
            yield place
            continue
        below[:] = sorted(name for name in below if not name.startswith("."))
        wanted = (*WEIGHTS, *PICKLES)
        yield from (place / n for n in sorted(names) if Path(n).suffix.lower() in wanted and not n.startswith("."))
