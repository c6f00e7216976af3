"""What the list of runs answers beside the rows: a strip of pictures, the choices of an export, what lies in the trash.

Knows nothing about HTTP; no picture is opened for any of it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from pipelines.frozen import Frozen
from pipelines.store import Store
from sweeps import marks, shelf
from sweeps.marks import MOST_STARS, Mark
from workbench.web.inside import read_inside
from workbench.web.layout import planned_keys
from workbench.web.watched import VERSION

STRIP = 6
"""Pictures in a row of the list."""
_NOTHING = Mark(key="0" * 16)


class Strip(Frozen):
    """Addresses of small pictures that stand for a run: the best rated, else some from all over it."""

    thumbs: tuple[str, ...]


class Choice(Frozen):
    """Pictures that an export could hold, and the bytes of their files."""

    pictures: int
    bytes: int


class Choices(Frozen):
    """What can be exported: everything, the picks, and by stars: at least 1, 2, up to 5."""

    all: Choice
    picked: Choice
    stars: tuple[Choice, ...]


class Lying(Frozen):
    """A run in the trash: `id` names it there, `name` is the folder name it had, `when` it went (UTC, ISO 8601)."""

    id: str
    name: str
    when: str
    bytes: int


class Trash(Frozen):
    """All runs in the trash, the last one first."""

    runs: tuple[Lying, ...]
    bytes: int


class PutAway(Frozen):
    """A run that went into the trash: its id there, and its folder name."""

    trashed: str
    name: str


class Restored(Frozen):
    """The folder name of a run that is back."""

    run: str


class Emptied(Frozen):
    """What was deleted for good."""

    runs: int
    bytes: int


def strip(folder: Path) -> Strip:
    """Up to STRIP pictures; a sidecar that cannot be read has none."""
    made = set(Store(folder).keys())
    keys = [key for key in planned_keys(folder) if key in made]
    said = marks.read(folder)
    rated = best(keys, said, STRIP)
    rest = [key for key in spread(keys, said, STRIP) if key not in rated]
    addresses = (thumb(folder, key) for key in [*rated, *rest][:STRIP])
    return Strip(thumbs=tuple(address for address in addresses if address))


def best(keys: Sequence[str], said: Mapping[str, Mark], count: int) -> list[str]:
    """Those with stars and the picks, the best first, equals in order; none that is rejected."""
    rank = {
        key: mark.stars * 2 + (mark.pick == "pick") for key, mark in said.items() if mark.pick != "reject"
    }  # a pick goes before its equals
    return sorted((key for key in keys if rank.get(key)), key=lambda key: rank[key], reverse=True)[:count]


def spread(keys: Sequence[str], said: Mapping[str, Mark], count: int) -> list[str]:
    """Some from all over the run, none that is rejected."""
    kept = [key for key in keys if said.get(key, _NOTHING).pick != "reject"]
    shown = min(count, len(kept))
    return [kept[at * len(kept) // shown] for at in range(shown)]


def thumb(folder: Path, key: str) -> str:
    """The address of a small version, with what names its bytes; empty if the sidecar does not tell."""
    sidecar = read_inside(folder, "pictures", f"{key}.json")
    try:
        version = json.loads(sidecar or b"")["png_sha256"][:VERSION]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return f"/pictures/{quote(folder.name, safe='')}/{key}.webp?v={quote(str(version))}"


def choices(folder: Path) -> Choices:
    """What an export of this run could hold."""
    every = shelf.chosen(folder)
    sizes = {key: _bytes(folder, key) for key in every}

    def choice(keys: Sequence[str]) -> Choice:
        return Choice(pictures=len(keys), bytes=sum(sizes.get(key, 0) for key in keys))

    return Choices(
        all=choice(every),
        picked=choice(shelf.chosen(folder, picked=True)),
        stars=tuple(choice(shelf.chosen(folder, stars=stars)) for stars in range(1, MOST_STARS + 1)),
    )


def trash(runs: Path) -> Trash:
    """What lies in the trash of this folder of runs."""
    lying = tuple(
        Lying(id=each.folder.name, name=each.name, when=_iso(each.when), bytes=each.bytes)
        for each in shelf.trashed(runs)
    )
    return Trash(runs=lying, bytes=sum(each.bytes for each in lying))


def _bytes(folder: Path, key: str) -> int:
    paths = (folder / "pictures" / f"{key}{suffix}" for suffix in (".png", ".json", ".txt"))
    return sum(path.lstat().st_size for path in paths if path.is_file())


def _iso(when: str) -> str:
    """20261121T101010Z with the signs that a browser needs to read it."""
    day, time = when.removesuffix("Z").split("T")
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}Z"
