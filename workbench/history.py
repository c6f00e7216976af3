"""Where a picture comes from: the chain of pictures that each began from the one before. Knows nothing about repairs.

A recipe names what it began from by the hash of its pixels, so a parent is found among the run folders whatever it is
called; where it lies nowhere any more, the copy in the run's inputs stands for it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import metadata
from pipelines.errors import InputError
from pipelines.proof import Proof
from pipelines.raster import content, open_raster
from pipelines.recipe import Recipe
from pipelines.store import Sidecar, Store
from sweeps.inputs import INPUTS, masks_beside

CONTENT = re.compile(r'"content": ?"([0-9a-f]{64})"')


@dataclass(frozen=True)
class Link:
    """One picture of a chain. `content` is the hash of its pixels; `path` where it or a copy lies, None if nowhere.

    `recipe` None: not made here, or only a copy of its pixels is left. `mask` is the expression that was asked for,
    empty where the mask was painted by hand or there is none. `note` says what could not be found, and why.
    """

    content: str
    path: Path | None
    recipe: Recipe | None = None
    mask: str = ""
    proof: Proof | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """The picture's key, empty without a recipe."""
        return self.recipe.key if self.recipe else ""

    @property
    def parent(self) -> str | None:
        """Content hash of what it began from; None for a picture that began from noise, or of which nothing is said."""
        return self.recipe.start.image if self.recipe and self.recipe.start else None

    @property
    def changed(self) -> tuple[str, ...]:
        """What made it out of its parent, in words: mask, strength, checkpoint, references."""
        recipe = self.recipe
        if recipe is None:
            return ()
        if recipe.start is None:
            return ("made from noise", recipe.checkpoint.name or recipe.checkpoint.digest[:12])
        mask = [self.mask or f"painted mask {recipe.mask.image[:12]}"] if recipe.mask else ["whole picture"]
        references = [f"{each.role} reference {each.image[:12]} at {each.weight:g}" for each in recipe.references]
        checkpoint = recipe.checkpoint.name or recipe.checkpoint.digest[:12]
        return (*mask, f"strength {recipe.start.strength:g}", checkpoint, *references)


def chain(picture: Path | str, runs: Path) -> tuple[Link, ...]:
    """The pictures from the first ancestor to this one, which is a file or the content hash of one; oldest first.

    Parents are looked for in the run folders of `runs`, and in those beside the picture's own. Raises InputError if the
    picture itself is not there; what else is missing is said in `Link.note`.
    """
    file = picture if isinstance(picture, Path) else None
    shelf = _Shelf(_indexed(_run_folders(runs, file)))
    link = _of_file(file, shelf) if file else shelf.link(str(picture), None, frozenset())
    if link.path is None:
        raise InputError(f"no picture with the content {picture} is in {runs}; give the file itself")
    links, seen = [link], {link.key}
    while (parent := links[-1].parent) is not None:
        link = shelf.link(parent, links[-1].path, frozenset(seen))
        links.append(link)
        seen.add(link.key)
    return tuple(reversed(links))


def as_dict(link: Link) -> dict[str, Any]:
    """For --json and the page: what is known of a picture, without its recipe's values."""
    return {
        "content": link.content,
        "key": link.key,
        "path": str(link.path) if link.path else None,
        "parent": link.parent,
        "changed": list(link.changed),
        "mask": link.mask,
        "proof": link.proof.model_dump() if link.proof else None,
        "note": link.note,
    }


def drawn(links: tuple[Link, ...]) -> str:
    """The chain as a small tree, oldest first, one line a picture."""
    return "\n".join(("   " * (at - 1) + "└─ " if at else "") + _line(link) for at, link in enumerate(links))


def counted(proof: Proof) -> str:
    """What a proof says, in words: `0 of 812 345 samples outside the mask changed`."""
    return f"{grouped(proof.changed_outside)} of {grouped(proof.outside)} samples outside the mask changed"


def grouped(number: int) -> str:
    """A whole number with blanks between thousands."""
    return f"{number:,}".replace(",", " ")


@dataclass(frozen=True)
class _Shelf:
    """Sidecar files by the content of their pictures."""

    sidecars: Mapping[str, tuple[Path, ...]]

    def link(self, wanted: str, child: Path | None, seen: frozenset[str]) -> Link:
        """The picture with this content; of several the first that is not in `seen`, else the copy beside `child`."""
        known = self.sidecars.get(wanted, ())
        for path in known:
            if path.stem not in seen and (link := _made(path, wanted)):
                return link
        copy = child.resolve().parent.parent / INPUTS / f"{wanted}.png" if child else None
        where = copy if copy and copy.is_file() else None
        if any(path.stem in seen for path in known):
            return Link(wanted, where, note="a circle: it is made from a picture that was made from it; not followed")
        if where:
            return Link(wanted, where, note="the copy in the run's inputs; what made it is not among the runs")
        return Link(wanted, None, note="missing: neither among the runs nor in the inputs of the run")


def _run_folders(runs: Path, file: Path | None) -> Iterator[Path]:
    yield runs
    if file and file.resolve().parent.name == "pictures":
        yield file.resolve().parent.parent.parent


def _indexed(folders: Iterator[Path]) -> dict[str, tuple[Path, ...]]:
    """Read as text: a sidecar names one content, and thousands need not be validated to find one."""
    found: dict[str, tuple[Path, ...]] = {}
    for path in sorted({path.resolve() for folder in folders for path in folder.glob("*/pictures/*.json")}):
        with suppress(OSError, UnicodeDecodeError):
            if match := CONTENT.search(path.read_text(encoding="utf-8")):
                found[match[1]] = (*found.get(match[1], ()), path)
    return found


def _of_file(file: Path, shelf: _Shelf) -> Link:
    """A picture by its file: with the sidecar beside it, the one of equal content, or what is inside the file."""
    pixels = content(open_raster(file))
    beside = file.with_suffix(".json")
    if beside.is_file() and (link := _made(beside, pixels)):
        return link
    if (found := shelf.link(pixels, None, frozenset())).path:
        return found
    with suppress(InputError):  # no PNG, or none of ours: a photograph has no recipe
        if embedded := metadata.read(file):
            return Link(pixels, file, embedded.recipe, note="no sidecar: its run is not here, so no proof")
    return Link(pixels, file)


def _made(path: Path, pixels: str) -> Link | None:
    """The picture of a sidecar; None if either cannot be read."""
    run, store = path.parent.parent, Store(path.parent.parent)
    try:
        sidecar: Sidecar = store.sidecar(path.stem)
    except InputError:
        return None
    if not store.path(path.stem).is_file():
        return None
    return Link(pixels, store.path(path.stem), sidecar.recipe, _expression(run, sidecar.recipe), sidecar.facts.proof)


def _expression(run: Path, recipe: Recipe) -> str:
    """The expression that gave the recipe's mask; empty if it was painted by hand."""
    if not (recipe.start and recipe.mask):
        return ""
    with suppress(InputError):  # notes that cannot be read: the mask itself is there all the same
        noted = masks_beside(run / INPUTS / f"{recipe.start.image}.png")
        return next((text for text, image in noted.items() if image == recipe.mask.image), "")
    return ""


def _line(link: Link) -> str:
    name = link.key or f"{link.content[:12]} (no recipe)"
    proof = [counted(link.proof)] if link.proof else []
    where = [str(link.path)] if link.path and not link.key else []
    return " · ".join([name, *link.changed, *proof, *where, *([link.note] if link.note else [])])
