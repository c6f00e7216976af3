"""Two notes side by side: what differs, what contradicts, and one out of both. Knows nothing about files or findings.

Nothing is ever merged silently: where both say something and it is not the same, a person says which one holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pipelines.errors import InputError
from workbench.notes_data import Note, NoteEvidence, Pair
from workbench.notes_text import circumstances

Field = Literal["weights", "pairs", "window", "plateau", "lights", "forbid", "remarks", "evidence"]
FIELDS: tuple[Field, ...] = get_args(Field)
"""What two notes can differ in. weights: family, digest and quantisation together."""
ADDED: tuple[Field, ...] = ("lights", "forbid", "evidence")
"""Of these both are kept: one more template that works contradicts no other."""
SETTINGS = ("steps", "guidance", "scheduler")
OURS, THEIRS = "ours", "theirs"


@dataclass(frozen=True)
class Difference:
    """A field that is not the same; texts as a person reads them, "" where one says nothing; evidence one a line.

    `is_conflict`: both say something and both cannot hold, so a person has to choose.
    """

    field: Field
    ours: str
    theirs: str
    is_conflict: bool


def differences(ours: Note, theirs: Note) -> tuple[Difference, ...]:
    """What differs, in the order of FIELDS; when and by whom they were kept is no difference.

    Of the evidence only what one has and the other has not is told.
    """
    texts = [_difference(ours, theirs, name) for name in FIELDS if name != "evidence"]
    own, other = ([told_evidence(each) for each in note.evidence] for note in (ours, theirs))
    only = ["\n".join(text for text in these if text not in those) for these, those in ((own, other), (other, own))]
    found = [*texts, Difference("evidence", only[0], only[1], False)]
    return tuple(each for each in found if each.ours != each.theirs)


def merged(ours: Note, theirs: Note, take: Sequence[str] = (), *, names: tuple[str, str] = (OURS, THEIRS)) -> Note:
    """One note out of both: what only one says is kept; lights, forbidden things and evidence are those of both.

    So is what only one of the first pairs says: a scheduler that won goes with the steps and guidance there were.

    `take` decides where both say something else: "ours", "theirs", or the fields to take from theirs (the others stay
    ours). Raises InputError that lists the conflicts where it is empty, and for what is no field. `names` are how the
    two are called to a person, and in `take`.
    """
    one, other = names
    if strange := [name for name in take if name not in (*names, *FIELDS)]:
        raise InputError(f"--take {strange[0]!r} is not known; allowed: {one}, {other}, or of {', '.join(FIELDS)}")
    found = differences(ours, theirs)
    conflicts = [each for each in found if each.is_conflict]
    if conflicts and not take:
        said = "; ".join(f"{each.field}: {each.ours} ({one}), {each.theirs} ({other})" for each in conflicts)
        fields = ",".join(each.field for each in conflicts)
        raise InputError(f"{said}: say which holds with --take {one}, {other}, or what to take of {other}: {fields}")
    chosen = {each.field for each in found if not each.ours}
    chosen |= {each.field for each in conflicts if other in take or each.field in take}
    both: dict[str, object] = {
        "lights": (*ours.lights, *theirs.lights),
        "forbid": (*ours.forbid, *theirs.forbid),
        "evidence": _all_evidence(ours, theirs),
    }
    both["pairs"] = _pairs(theirs, ours) if "pairs" in chosen else _pairs(ours, theirs)
    plain = {name: getattr(theirs, name) for name in chosen if name not in ("weights", *both)}
    weights = theirs if "weights" in chosen else ours
    identity = {name: getattr(weights, name) for name in ("family", "digest", "quantisation")}
    return ours.but(**both, **plain, **identity)


def _difference(ours: Note, theirs: Note, field: Field) -> Difference:
    one, other = told(ours, field), told(theirs, field)
    if field == "pairs":
        return Difference(field, one, other, _pairs_contradict(ours, theirs))
    return Difference(field, one, other, bool(one and other) and field not in ADDED and one != other)


def _pairs_contradict(ours: Note, theirs: Note) -> bool:
    """Whether the first pairs say something else of one setting, or there are further ones."""
    if len(ours.pairs) != 1 or len(theirs.pairs) != 1:
        return bool(ours.pairs and theirs.pairs) and ours.pairs != theirs.pairs
    settings = zip(ours.pairs[0].settings, theirs.pairs[0].settings, strict=True)
    return any(one != other for one, other in settings if one not in (None, "") and other not in (None, ""))


def _pairs(first: Note, second: Note) -> tuple[Pair, ...]:
    """The pairs of the first note, the first of them filled up with what the second's says."""
    if not first.pairs or not second.pairs:
        return first.pairs or second.pairs
    winner, other = first.pairs[0], second.pairs[0]
    names = [name for name in SETTINGS if getattr(winner, name) in (None, "")]
    joined = winner.but(key="", **{name: getattr(other, name) for name in names})
    keys = [pair.key for pair in (winner, other) if pair.settings == joined.settings]
    return joined.but(key=next(filter(None, keys), "")), *first.pairs[1:]


def _all_evidence(ours: Note, theirs: Note) -> tuple[NoteEvidence, ...]:
    """That of both; of one finding looked at twice the later, and of equals what was seen here, then the new one."""
    kept: dict[tuple[str, str], NoteEvidence] = {}
    for each in (*ours.evidence, *theirs.evidence):
        there = kept.get(each.same)
        if there is None or (each.date, not each.imported) >= (there.date, not there.imported):
            kept[each.same] = each
    return tuple(kept.values())


def told(note: Note, field: Field) -> str:
    """One field of a note as a person reads it; empty if it says nothing."""
    match field:
        case "weights":
            return f"{note.family} {note.digest[:12]} {note.quantisation}".strip()
        case "pairs":
            return "; or ".join(pair.text for pair in note.pairs)
        case "window":
            return note.window.text if note.window else ""
        case "plateau":
            return str(note.plateau) if note.plateau else ""
        case "lights" | "forbid":
            return ", ".join(getattr(note, field))
        case "remarks":
            return note.remarks
        case "evidence":
            return "\n".join(map(told_evidence, note.evidence))


def told_evidence(each: NoteEvidence) -> str:
    """A piece of evidence on one line."""
    return f"{each.sentence} ({circumstances(each)})"


def listed(text: str) -> tuple[str, ...]:
    """Words parted by commas, as `--take window,pairs` writes them."""
    return tuple(filter(None, (each.strip() for each in text.split(","))))
