"""A note as TOML, which is the truth, and as Markdown, which is drawn from it. Knows nothing about where they lie.

What is wrong in a file that was changed by hand is told in one line: file, line, what is allowed.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit

from pipelines.errors import InputError
from pipelines.frozen import Frozen
from sweeps.findings import Shown
from sweeps.ranges import many
from workbench.notes_data import Note, NoteEvidence, Pair, Window

HEAD = (
    "What is worth keeping for this checkpoint. Change it here, or with `sidelight notes set`; the .md beside it is\n"
    "drawn from it. Comments of your own stay in history/ at the next change; `remarks` is where words are kept."
)
LONG = 100  # characters; longer lists are written one item a line
TABLES = {"pairs": "pair", "evidence": "evidence"}
"""Fields that are written as tables of their own, and their name there."""
THUMBS = "thumbs"


def to_toml(note: Note) -> str:
    """The note as text for people to read, compare and change; `from_toml` reads it as exactly this note."""
    document = tomlkit.document()
    for line in HEAD.splitlines():
        document.add(tomlkit.comment(line))
    for name, value in _said(note).items():
        if name not in TABLES:
            document.add(name, _item(name, value))
    for field, name in TABLES.items():
        if parts := getattr(note, field):
            tables = tomlkit.aot()
            for part in parts:
                table = tomlkit.table()
                for key, value in _said(part).items():
                    table.add(key, _item(key, value))
                tables.append(table)
            document.add(name, tables)
    return tomlkit.dumps(document)


def from_toml(text: str, *, name: str) -> Note:
    """The note that a TOML text means; `name` is the file's. Raises InputError: file, line, what is allowed."""
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason = str(error)[0].lower() + str(error)[1:]
        raise InputError(f"{name}: {reason}; texts are written in quotes, lists in brackets") from None
    allowed = [TABLES.get(field, field) for field in Note.model_fields]
    where = ""
    try:
        if strange := [key for key in values if key not in allowed]:
            raise InputError(f"{strange[0]} is not known here; allowed: {', '.join(allowed)}")
        for field, model in (("pairs", Pair), ("evidence", NoteEvidence)):
            read: list[Frozen] = []
            for number, table in enumerate(_tables(TABLES[field], values.pop(TABLES[field], []))):
                where = f"{TABLES[field]}.{number}."
                read.append(model.read(table))
            values[field] = tuple(read)
        if "window" in values:
            where = "window."
            values["window"] = Window.read(_table("window", values["window"]))
        where = ""
        return Note.read(values)
    except InputError as error:
        said = re.match(r"[\w.]+", str(error))
        line = _line_of(text, f"{where}{said[0] if said else ''}")
        raise InputError(f"{name}{line}: {error}") from None


def to_markdown(note: Note) -> str:
    """The note for reading and sending; thumbnails are those beside it. Says where to change it."""
    title = f"# {_plain(note.checkpoint)}\n"
    rows = [f"| {name} | {_plain(text)} |" for name, text in summary(note)]
    table = ["| | |", "|---|---|", *rows] if rows else ["Nothing is settled yet."]
    remarks = ["", "## Remarks", note.remarks] if note.remarks else []
    evidence = ["", "## Evidence", *(line for each in note.evidence for line in _evidence(each))]
    none = ["", "No run stands behind this note: it was set by hand."]
    by = f" by {_plain(note.by)}" if note.by else ""
    foot = f"\n*Kept {note.day}{by}; drawn from the .toml beside it: change that.*"
    return "\n".join([title, *table, *remarks, *(evidence if note.evidence else none), foot, ""])


def summary(note: Note) -> tuple[tuple[str, str], ...]:
    """What the note says, as (name, text) rows; what it does not say has no row."""
    first, *others = [pair.text for pair in note.pairs] or [""]
    rows = [
        ("start from", first),
        *(("or", text) for text in others),
        ("guidance window", note.window.text if note.window else ""),
        ("step plateau", f"stop at {note.plateau}" if note.plateau else ""),
        ("light templates", ", ".join(note.lights)),
        ("forbid", "; ".join(note.forbid)),
        ("weights", f"{note.family} {note.digest[:12]} {note.quantisation}".strip()),
    ]
    return tuple((name, text) for name, text in rows if text)


def circumstances(each: NoteEvidence) -> str:
    """On what, with what and when a piece of evidence was seen, on one line."""
    count = f"n = {each.n}" if each.n else ""
    votes = many(each.votes, "blind vote") if each.votes else "no votes"
    versions = ", ".join(f"{name} {number}" for name, number in each.versions)
    parts = [f"run {each.run}", count, votes, ", ".join(each.devices), versions, each.date[:10], each.imported]
    return "; ".join(filter(None, parts))


def _evidence(each: NoteEvidence) -> list[str]:
    held = ", ".join(f"{name} {text}" for name, text in each.held)
    lines = [f"- {_plain(each.sentence)}", f"  ({_plain(circumstances(each))})"]
    lines += [f"  Held: {_plain(held)}."] if held else []
    lines += [f"  {_plain(each.validated)}"] if each.validated else []
    return [*lines, *(f"  ![{_plain(one.words or one.role)}]({THUMBS}/{one.key}.webp)" for one in each.pictures)]


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: no tables, links or tags out of other people's words."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _said(part: Frozen) -> dict[str, Any]:
    """Fields that say something, in the order of the model."""
    values = {name: getattr(part, name) for name in type(part).model_fields}
    return {name: value for name, value in values.items() if value != type(part).model_fields[name].default}


def _item(name: str, value: Any) -> Any:
    if name == "remarks" and "\n" in value:
        return tomlkit.string(value, multiline=True)
    if isinstance(value, Window):
        return _inline({key: number for key, number in value.model_dump().items() if number is not None})
    if isinstance(value, tuple):
        array = tomlkit.array()
        array.extend([_entry(each) for each in value])
        return array.multiline(len(array.as_string()) > LONG)
    return tomlkit.item(value)


def _entry(value: Any) -> Any:
    if isinstance(value, Shown):
        return _inline(value.model_dump())
    return list(value) if isinstance(value, tuple) else value


def _inline(values: Mapping[str, Any]) -> Any:
    table = tomlkit.inline_table()
    table.update(values)
    return table


def _tables(name: str, value: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise InputError(f"{name} is no list of tables; write [[{name}]] above the lines of each")
    return value


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{name} {value!r}: is no table; write {name} = {{ low = 3, high = 6 }}")
    return value


def _line_of(text: str, where: str) -> str:
    """Where a field such as `evidence.2.n` stands, or what is around it: " line 7"; empty if nothing of it does."""
    at = -1
    for name, number in re.findall(r"([A-Za-z_]+)(?:\.(\d+))?", where):
        header = rf"^[ \t]*\[\[?[ \t]*{name}[ \t]*\]|^[ \t]*[\"']?{name}[\"']?[ \t]*="
        found = list(re.finditer(header, text[max(at, 0) :], re.MULTILINE))
        if int(number or 0) >= len(found):
            break
        at = max(at, 0) + found[int(number or 0)].start()
    return f" line {text.count(chr(10), 0, at) + 1}" if at >= 0 else ""
