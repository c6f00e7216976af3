"""A series: what a pilot picture froze, and the pictures made in it, as one text file. Knows nothing about making them.

`series.toml` is for reading and comparing too: its table `frozen` says what a sweep.toml would say of the pilot.
"""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

import tomlkit
from pydantic import Field

from pipelines.draft import Draft
from pipelines.errors import InputError
from pipelines.files import DISK, Files, put
from pipelines.frozen import Frozen
from pipelines.recipe import SHA256, Mechanism, Share
from sweeps.inputs import INPUTS
from sweeps.lock import Lock
from sweeps.sweep import Sweep, parse_toml, to_toml

SERIES = Path("~/Sidelight/series")
FILE, PILOT, CONTROL = "series.toml", "pilot.png", "control.png"
NAME = re.compile(r"[\w-]+")
HEAD = (
    "What the pilot froze, and every picture made in this series. `sidelight series show` tells it in words;\n"
    "the table `frozen` is written as in a sweep.toml."
)

Changed = Literal["seed", "subject", "pose", "framing", "action", "age"]
MEMBER = ("changed", "said", "seed", "key", "run", "reference", "note")
"""Fields of a Member in the order in which a person reads them."""
CHANGED: tuple[Changed, ...] = get_args(Changed)
"""What may differ from the pilot, one at a time. A seed is chance, no setting: it may be said beside another."""


class Pilot(Frozen):
    """The picture a series begins from: key, content hash, the run folder it came from, and how its words are kept."""

    key: str
    content: SHA256
    run: str


class SeriesReference(Frozen):
    """A photograph whose skin pulls every picture, by content hash, and what carries it.

    `by` bands means a second pass: the picture is made by words, then its face is repaired with the reference's bands.
    """

    image: SHA256
    weight: Share
    by: Mechanism
    photo: str
    """Its file's name, for people."""


class Member(Frozen):
    """A picture of a series: what was changed against the pilot, and where it lies.

    `reference` is the content hash of the photograph that pulled it; `note` says what is not as it was asked for.
    """

    changed: Changed
    seed: int
    key: str
    run: str
    said: str = ""
    reference: str = ""
    note: str = ""

    @property
    def asked(self) -> tuple[str, str, int, str]:
        """What was asked for: the same again is the same member, however often it was tried."""
        return self.changed, self.said, self.seed, self.reference

    @property
    def path(self) -> Path:
        """Where the picture lies once it is made."""
        return Path(self.run) / "pictures" / f"{self.key}.png"

    @property
    def title(self) -> str:
        """In a few words, as "pose: looking up"."""
        return f"seed {self.seed}" if self.changed == "seed" else f"{self.changed}: {self.said}"


class Series(Frozen):
    """What is frozen (`base`, the pilot as a Draft) and what was made so far."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    made: str
    base: Draft
    pilot: Pilot
    reference: SeriesReference | None = None
    members: tuple[Member, ...] = ()

    @classmethod
    def open(cls, folder: Path, files: Files = DISK) -> Self:
        """The series in a folder; raises InputError if there is none, or with what is wrong in its file."""
        path = folder / FILE
        if files.size(path) is None:
            raise InputError(_no_series(folder))
        try:
            values: dict[str, Any] = tomllib.loads(files.read(path).decode())
            frozen = values.pop("frozen")
            members = tuple(Member.read(each) for each in values.pop("member", []))
            base = parse_toml(tomlkit.dumps(frozen), name="frozen").base
            return cls.read({**values, "base": base, "members": members})
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except (KeyError, OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{path} cannot be read ({error}); put it back as it was, or begin another") from None

    def text(self) -> str:
        """The series as TOML, which `open` reads as exactly this one."""
        document = tomlkit.document()
        for line in HEAD.splitlines():
            document.add(tomlkit.comment(line))
        document.add("name", tomlkit.item(self.name))
        document.add("made", tomlkit.item(self.made))
        document.add("pilot", tomlkit.item(self.pilot.model_dump()))
        if self.reference:
            document.add("reference", tomlkit.item(self.reference.model_dump()))
        frozen = tomlkit.parse(to_toml(Sweep.over(self.name, self.base, axes=())))
        del frozen["name"]
        table = tomlkit.table()
        table.update(frozen)
        document.add("frozen", table)
        if self.members:
            entries = tomlkit.aot()
            for member in self.members:
                values = {name: getattr(member, name) for name in MEMBER}
                entries.append(tomlkit.item({name: each for name, each in values.items() if each != ""}))
            document.add("member", entries)
        return tomlkit.dumps(document)

    def keep(self, folder: Path, files: Files = DISK) -> None:
        """Write it whole; for who holds `held`. Raises DiskFullError or DiskError."""
        put({folder / FILE: self.text().encode()}, files)

    def reference_file(self, folder: Path) -> Path | None:
        """The copy of the reference in the series' folder; None without one."""
        return folder / INPUTS / f"{self.reference.image}.png" if self.reference else None


def folder_of(name: str, series: Path) -> Path:
    """Where a series of this name lies or would lie; raises InputError for what is no name."""
    if not NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a series: letters, digits, - and _ only; give --name")
    return series.expanduser() / name


def held(folder: Path) -> Lock:
    """For who changes a series; raises BusyError while another does."""
    return Lock(folder / ".lock", f"the series {folder.name}")


def add_members(folder: Path, members: Sequence[Member], files: Files = DISK) -> Series:
    """Write members behind those there are; what was asked for before is written anew in its place."""
    with held(folder):
        series = Series.open(folder, files)
        new = {member.asked: member for member in members}
        stayed = tuple(new.pop(member.asked, member) for member in series.members)
        series = series.but(members=(*stayed, *new.values()))
        series.keep(folder, files)
    return series


def names(series: Path) -> tuple[str, ...]:
    """Names of all series in a folder, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in series.expanduser().glob(f"*/{FILE}")))


def _no_series(folder: Path) -> str:
    there = names(folder.parent)
    known = f"there are {', '.join(there)}" if there else "there is none yet: `sidelight series new PILOT.png`"
    return f"{folder.name} is no series in {folder.parent}; {known}"
