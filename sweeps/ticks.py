"""What marks say along one axis: for every value of it how many pictures were picked, starred or ticked, as counts.

No score, no average of faults: a count says how many it is out of. Knows nothing about run folders or drawing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pipelines.frozen import Frozen
from sweeps.marks import FAULTS, Flaw, Mark


class Placed(Protocol):
    """A picture at a place of a grid; several places may show one picture."""

    @property
    def place(self) -> tuple[int, ...]:
        """An index per axis."""

    @property
    def key(self) -> str:
        """Of the picture."""


class FaultCount(Frozen):
    """In how many of the marked pictures a fault was ticked."""

    fault: Flaw
    pictures: int


class Ticked(Frozen):
    """One value of the axis. `mean_stars` is over the `starred` pictures, None if there is none.

    `marked` are the pictures of which anything is said; picks, rejects and faults are counted out of these.
    """

    label: str
    pictures: int
    marked: int
    picked: int
    rejected: int
    starred: int
    mean_stars: float | None
    faults: tuple[FaultCount, ...]


def ticks(
    axis: int, labels: Sequence[str], cells: Iterable[Placed], marks: Mapping[str, Mark], *, is_paired: bool = False
) -> tuple[Ticked, ...]:
    """The counts for every value of an axis, given its index, its labels and the cells that hold pictures.

    `is_paired`: only pictures whose counterparts at all other values are marked too, so that the same prompts and seeds
    are compared; `pictures` counts the same places.
    """
    said = {key: mark for key, mark in marks.items() if mark.text}
    along = [(cell.place[axis], cell.place[:axis] + cell.place[axis + 1 :], cell.key) for cell in cells]
    if is_paired:
        there: defaultdict[tuple[int, ...], set[int]] = defaultdict(set)
        for at, rest, key in along:
            if key in said:
                there[rest].add(at)
        along = [each for each in along if len(there[each[1]]) == len(labels)]
    return tuple(
        _ticked(label, dict.fromkeys(key for at, _, key in along if at == number), said)
        for number, label in enumerate(labels)
    )


def _ticked(label: str, keys: Iterable[str], said: Mapping[str, Mark]) -> Ticked:
    keys = tuple(keys)
    found = [said[key] for key in keys if key in said]
    stars = [mark.stars for mark in found if mark.stars]
    faults = Counter(fault for mark in found for fault in mark.faults)
    return Ticked(
        label=label,
        pictures=len(keys),
        marked=len(found),
        picked=sum(mark.pick == "pick" for mark in found),
        rejected=sum(mark.pick == "reject" for mark in found),
        starred=len(stars),
        mean_stars=sum(stars) / len(stars) if stars else None,
        faults=tuple(FaultCount(fault=fault, pictures=faults[fault]) for fault in FAULTS if faults[fault]),
    )
