"""A picture on disk, whole or not at all: PNG, caption, sidecar. Knows nothing about how it was made or planned.

The sidecar is written last and holds the PNG's SHA-256: it is the commit point, and only that hash is ever trusted.
"""

import contextlib
import functools
import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from pipelines.device import Numerics
from pipelines.errors import InputError
from pipelines.files import DISK, PART, Files, disk_faults, put
from pipelines.frozen import Frozen
from pipelines.metadata import Embedded
from pipelines.prompts import Light
from pipelines.proof import Proof
from pipelines.raster import Raster, content, open_raster, to_png
from pipelines.recipe import SHA256, Recipe
from pipelines.skin_reference import Pull

DAMAGED = "damaged"
"""Folder of a run where damaged files are kept: nothing that was on the disk is thrown away."""
INPUTS_HELD = 3
"""Inputs that stay decoded: a repair's source, mask and reference. Each cell needs them twice, and reading and hashing
40 megapixels takes seconds."""


class Facts(Frozen):
    """What was found while making a picture; the same whenever it is made again with the same numerics and lane."""

    first_timestep: float | None
    first_sigma: float | None
    evaluations: int
    warnings: tuple[str, ...] = ()
    light: Light | None = None
    """The filled template that wrote the prompt."""
    content: str = ""
    """Content hash of the finished picture: what a repair of it names as its start image."""
    proof: Proof | None = None
    """Of a repair: what changed outside its mask."""
    pull: tuple[Pull, ...] = ()
    """For every skin reference: how far texture and face moved toward it."""


class Circumstances(Frozen):
    """What is different each time: seconds by phase, device in words, and the UTC date as a label."""

    seconds: dict[str, float]
    device: str
    date: str


class Sidecar(Frozen):
    """All that is known of a picture, beside it as `<key>.json`."""

    version: Literal[1] = 1
    key: str
    png_sha256: SHA256
    recipe: Recipe
    numerics: Numerics
    lane: int
    facts: Facts
    circumstances: Circumstances

    def recipe_part(self) -> str:
        """Everything but the circumstances, as JSON: byte-equal between an undisturbed and a resumed run."""
        return _json(self.model_dump(mode="json", exclude={"circumstances"}))


@dataclass(frozen=True)
class Saved:
    """A picture that is to be kept: the encoded PNG and what goes beside it."""

    png: bytes
    embedded: Embedded
    facts: Facts
    circumstances: Circumstances
    caption: str


class Store:
    """The pictures and inputs of one run folder. Reading is for everybody, the rest for who holds the run's lock."""

    def __init__(self, run: Path, files: Files = DISK) -> None:
        self._pictures = run / "pictures"
        self._inputs = run / "inputs"
        self._damaged = run / DAMAGED
        self._files = files
        self._held = functools.lru_cache(INPUTS_HELD)(self._read_input)

    def repair(self) -> tuple[str, ...]:
        """To do once before saving: delete half-written files, set damaged pictures aside; gives their keys."""
        for folder in (self._pictures, self._inputs):
            for name in self._files.names(folder):
                if name.endswith(PART):
                    with disk_faults(folder, needed=0, files=self._files):
                        self._files.unlink(folder / name)
        damaged = tuple(key for key in self.keys() if self.fault(key))
        for key in damaged:
            self.set_aside(key)
        return damaged

    def save(self, picture: Saved) -> Sidecar:
        """Keep a picture; on return it is whole and on the disk. Raises DiskFullError or DiskError, nothing torn."""
        recipe = picture.embedded.recipe
        sidecar = Sidecar(
            key=recipe.key,
            png_sha256=hashlib.sha256(picture.png).hexdigest(),
            recipe=recipe,
            numerics=picture.embedded.numerics,
            lane=picture.embedded.lane,
            facts=picture.facts,
            circumstances=picture.circumstances,
        )
        path = self.path(recipe.key)
        with disk_faults(self._pictures, needed=0, files=self._files):
            is_other = self._files.size(path) is not None and self._files.read(path) != picture.png
        if is_other:  # somebody's picture of this name is never overwritten
            self.set_aside(recipe.key)
        put({path: picture.png, path.with_suffix(".txt"): picture.caption.encode()}, self._files)
        put({path.with_suffix(".json"): _json(sidecar.model_dump(mode="json"), indent=1).encode()}, self._files)
        return sidecar

    def keys(self) -> tuple[str, ...]:
        """Keys of the pictures that have a sidecar, whole or not, in alphabetical order."""
        names = self._files.names(self._pictures)
        return tuple(name.removesuffix(".json") for name in names if name.endswith(".json"))

    def whole(self, key: str) -> bool:
        """Whether the picture is there and every byte is the one that was committed. Reads the whole file."""
        return self.fault(key) is None

    def fault(self, key: str) -> str | None:
        """Why a picture is not whole, in words; None if it is."""
        try:
            sidecar = self.sidecar(key)
            png = self._files.read(self.path(key))
        except InputError as error:
            return str(error)
        except OSError as error:
            return f"{key}.png cannot be read ({error.strerror})"
        if sidecar.key != key or sidecar.recipe.key != key:
            return f"{key}.json belongs to another picture"
        if hashlib.sha256(png).hexdigest() != sidecar.png_sha256:
            return f"{key}.png is not the file that was committed"
        return None

    def path(self, key: str) -> Path:
        """Where the picture lies or would lie."""
        return self._pictures / f"{key}.png"

    def sidecar(self, key: str) -> Sidecar:
        """What is known of a picture; raises InputError if there is no sidecar or it cannot be read."""
        path = self.path(key).with_suffix(".json")
        try:
            return Sidecar.read(json.loads(self._files.read(path)))
        except OSError as error:
            raise InputError(f"{path.name} cannot be read ({error.strerror}); run `sidelight check`") from None
        except (ValueError, TypeError, RecursionError):
            raise InputError(f"{path.name} is no JSON object; run the sweep again to make the picture anew") from None

    def set_aside(self, key: str) -> None:
        """Move a picture's files to `damaged/`, beside whatever lies there; raises DiskError."""
        path = self.path(key)
        self._move_to_damaged([path.with_suffix(suffix) for suffix in (".json", ".png", ".txt")])

    def add_input(self, raster: Raster) -> str:
        """Keep a copy of a mask, reference or start image under its content hash, which is returned.

        The copy is read back and compared. Raises DiskFullError or DiskError.
        """
        name = content(raster)
        path = self._inputs / f"{name}.png"
        if self._files.size(path) is not None:
            if self._holds(path, name):
                return name
            self._move_to_damaged([path])
        put({path: to_png(raster)}, self._files)
        self._read_input(name)
        return name

    def input(self, name: str) -> Raster:
        """The image with this content hash, read-only; the last few stay in memory.

        Raises InputError if the run has none or the copy is damaged.
        """
        path = self._inputs / f"{name}.png"
        with contextlib.suppress(OSError):  # a file that is not there is refused by who reads it
            seen = path.stat()
            return self._held(name, (seen.st_mtime_ns, seen.st_size))
        return self._read_input(name)

    def _read_input(self, name: str, _stamp: tuple[int, int] | None = None) -> Raster:
        """`_stamp` tells a file that was changed meanwhile from the one that is held."""
        path = self._inputs / f"{name}.png"
        raster = open_raster(path)
        if content(raster) != name:
            raise InputError(f"{path} is not the image it is named after; give the original again")
        raster.pixels.setflags(write=False)
        return raster

    def _holds(self, path: Path, name: str) -> bool:
        with contextlib.suppress(InputError):
            return content(open_raster(path)) == name
        return False

    def _move_to_damaged(self, paths: list[Path]) -> None:
        """Under their own names, or with the first free number where one is taken; the sidecar goes first."""
        files, folder = self._files, self._damaged
        with disk_faults(folder, needed=0, files=files):
            if files.mkdir(folder):
                files.fsync_folder(folder.parent)
            taken = files.names(folder)
            number = next(n for n in itertools.count() if not any(_numbered(path, n) in taken for path in paths))
            for path in paths:
                if files.size(path) is not None:
                    files.rename(path, folder / _numbered(path, number))
            files.fsync_folder(folder)
            files.fsync_folder(paths[0].parent)


def _numbered(path: Path, number: int) -> str:
    return f"{path.stem}-{number}{path.suffix}" if number else path.name


def _json(values: dict[str, JsonValue], *, indent: int | None = None) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=indent)
