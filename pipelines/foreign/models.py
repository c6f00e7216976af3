"""Which row of models.txt another tool's model is, and which family. Knows nothing about pictures.

Hashes are compared only where they are known: no file is read for it.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from pipelines.downloads import lockfile
from pipelines.foreign.said import Model
from pipelines.hashes import FileHashes
from pipelines.listing import SHIPPED, Kind, Row, models_folder
from pipelines.recipe import FamilyName

ENDINGS = (".safetensors", ".ckpt", ".sft", ".gguf", ".pt", ".pth", ".bin")
SHORT_HASH = 10  # hex digits of A1111's model hash since 2023, the first of the file's SHA-256
_FAMILIES: tuple[tuple[FamilyName, str], ...] = (
    ("flux2", r"flux[\W_]?2(?![0-9])|klein"),
    ("flux", r"flux|distilled cfg|t5xxl"),
    ("sdxl", r"sd[_-]?xl|(?<!x)xl(?![a-z])|stablediffusionxl|illustrious|noobai|\bpony|fooocus"),
)
"""Words that tell a family, the surest first."""


class Match(NamedTuple):
    """The row that a model is, and why it is that one, or why none was taken."""

    row: Row | None
    why: str


def match(model: Model, rows: Mapping[str, Row], kind: Kind = "checkpoint") -> Match:
    """By hash where one is known, else by name; a name whose known hash is another is not taken."""
    candidates = sorted((row for row in rows.values() if row.kind == kind), key=_far)
    wanted = model.hash.casefold().removeprefix("0x")
    is_sha = re.fullmatch(r"[0-9a-f]{10,64}", wanted) is not None
    known = {row.name: hashes for row in candidates if (hashes := _hashes(row))} if is_sha else {}
    for row in candidates:
        if any(each.startswith(wanted) for each in known.get(row.name, ())):
            return Match(row, f"its SHA-256 begins with {wanted[:SHORT_HASH]}")
    name = normal(model.name)
    for row in candidates:
        if name and name in _names(row):
            if is_sha and len(wanted) == SHORT_HASH and row.name in known and row.source.is_file:
                have = known[row.name][0][:SHORT_HASH]
                return Match(None, f"{row.name} has the name, but its hash is {have}: another version of the file")
            unchecked = f", hash {wanted} not checked" if wanted else ""
            return Match(row, f"by its name{unchecked}")
    return Match(None, "no row of models.txt has its name or a known hash like it")


def guess(hints: tuple[str, ...]) -> tuple[FamilyName | None, str]:
    """The family that the first telling name (of a model, a node) points to, and which; None if none does."""
    for hint in hints:
        for family, words in _FAMILIES:
            if re.search(words, hint, re.IGNORECASE):
                return family, f"by {hint}"
    return None, "neither a name nor a node tells it"


def stem(name: str) -> str:
    """A model's name without folders (of either system) and ending."""
    last = PurePosixPath(name.replace("\\", "/")).name
    ending = next((each for each in ENDINGS if last.casefold().endswith(each)), "")
    return last[: len(last) - len(ending)]


def normal(name: str) -> str:
    """One spelling of a name, as it differs between tools: letters and digits, "stable-diffusion" as "sd"."""
    return re.sub(r"[\W_]+", "", stem(name).casefold()).replace("stablediffusion", "sd")


def _far(row: Row) -> tuple[bool, bool]:
    """What is on this disk first, then the user's own rows before the shipped ones."""
    return row.place() is None, row.listed_in == SHIPPED


def _names(row: Row) -> set[str]:
    """The row's name, its file or folder, and the repository it is from where that is one model."""
    names = {row.name, row.source.path or row.source.place}
    if row.source.kind == "hf" and not row.source.path:
        names.add(row.source.place.rpartition("/")[2])
    return {normal(each) for each in names}


def _hashes(row: Row) -> tuple[str, ...]:
    """SHA-256 of its one file, or of a pulled folder's files, where they are known already."""
    if row.source.kind == "hf":
        entry = lockfile.read(models_folder()).find(str(row.source), variant=row.variant)
        return tuple(file.sha256 for file in entry.files if file.sha256) if entry else ()
    if row.source.kind == "file" and (place := row.place()):
        known = FileHashes().known(place)
        return (known,) if known else ()
    return ()
