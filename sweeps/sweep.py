"""Sweep: a base Draft and what varies around it, as flags, as sweep.toml, and spread out into places.

Knows nothing about what a checkpoint can do or in which order pictures are made. A sweep.toml says what the flags say,
by the same names and in the same grammar (`axes.grammar()`); a list is a flag given several times:

    name = "guidance-window"
    checkpoint = "demo-sdxl"
    seed = [7, 8]
    guidance = "2..9:1"                       # the first axis runs across, the second down
    steps = [10, 20, 30]
    width = [512, 640]
    height = [640, 512]
    zip = "width, height"                     # these walk together
    light = "window"                          # or prompt = "..."; `sidelight prompt list`
    subject = "a woman with freckles"
    "light.direction" = ["left-45", "front"]
    replace = "freckles => scar | moles"      # or: replace = [{ old = "freckles", new = ["scar", "moles"] }]
    where = "guidance <= 4 or steps >= 20"    # keeps
    skip = "seed == 8 and steps == 30"        # drops
"""

import difflib
import itertools
import math
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit
from pydantic import Field, model_validator

from pipelines.draft import LIGHT, Draft
from pipelines.errors import InputError, SweepError
from pipelines.frozen import Frozen
from sweeps import axes as grammar
from sweeps.axes import KINDS, Axis, Replace
from sweeps.ranges import Value
from sweeps.where import condition

MOST_PLACES = 200_000  # more than two days at a picture a second
OTHER_KEYS = ("name", "zip", "where", "skip")
REPLACE = "replace"
UNSAID = Draft(checkpoint="")
WORDED = ("prompt", "negative", "subject")  # fields whose words `replace` varies
Asked = tuple[Value, ...] | tuple[Replace, ...]
"""The values of one field as read, or the words to replace."""
TOML_INT = 2**63  # TOML promises whole numbers below this; larger seeds are written as text
PLAIN_LINE = 100  # characters; a longer list is written one value a line, so that differences read well


class Sweep(Frozen):
    """A base Draft, which holds the first value of every axis, and the axes; `where` keeps cells, `skip` drops them."""

    name: str = Field(min_length=1)
    base: Draft
    axes: tuple[Axis | Replace, ...] = ()
    where: str = ""
    skip: str = ""

    @model_validator(mode="after")
    def _makes_sense(self) -> "Sweep":
        varied = [axis.name for axis in self.axes if isinstance(axis, Replace)]
        varied += [field for axis in self.axes if isinstance(axis, Axis) for field in axis.fields]
        if twice := sorted({name for name in varied if varied.count(name) > 1}):
            raise SweepError(f"{twice[0]} varies on two axes; put its values into one")
        kinds = [isinstance(axis, Replace) for axis in self.axes]
        if [kind for kind, _ in itertools.groupby(kinds)].count(True) > 1:
            raise SweepError("axes that replace words must follow each other; move them together")
        if _with_first(self.base, self.axes) != self.base:
            raise SweepError("the base of a sweep holds the first value of every axis; make it with Sweep.over")
        for text in filter(None, (self.where, self.skip)):
            condition(text)
        return self

    @classmethod
    def over(
        cls, name: str, base: Draft, *, axes: Sequence[Axis | Replace], where: str = "", skip: str = ""
    ) -> "Sweep":
        """A sweep of these axes over `base`, whatever it says of the fields that vary; raises SweepError."""
        first = _with_first(base, axes)
        return cls.read({"name": name, "base": first, "axes": tuple(axes), "where": where, "skip": skip})

    @classmethod
    def of(cls, name: str, /, *, where: str = "", skip: str = "", **fields: Value | list[Value]) -> "Sweep":
        """A sweep by field names, for scripts: a field with several values is an axis.

        A text is read as the command line reads it (`guidance="2..9:1"`, `prompt="@prompts.txt"`), a number or a list
        is taken as it stands. Light fields are given as `**{"light.direction": "left-45"}`. Raises SweepError.
        """
        given = {field: _flag_texts(field, value) for field, value in fields.items()}
        return from_flags(name, given, where=[where] if where else (), skip=[skip] if skip else ())


class Place(NamedTuple):
    """One place of the grid: an index into every axis, and what is asked for there."""

    indices: tuple[int, ...]
    draft: Draft


def expand(sweep: Sweep) -> tuple[Place, ...]:
    """Every place in reading order (the first axis fastest); raises SweepError for too many, or words not found."""
    lengths = [len(axis.values) for axis in sweep.axes]
    count = math.prod(lengths)
    if count > MOST_PLACES:
        product = " x ".join(map(str, lengths))
        raise SweepError(f"{product} = {count} places are more than {MOST_PLACES}; take fewer values")
    turned = itertools.product(*(range(length) for length in reversed(lengths)))
    return tuple(_place(sweep, indices[::-1]) for indices in turned)


def from_flags(
    name: str,
    given: Mapping[str, Sequence[str]],
    *,
    replace: Sequence[str] = (),
    zips: Sequence[str] = (),
    where: Sequence[str] = (),
    skip: Sequence[str] = (),
    like: Draft | None = None,
    beside: Path = Path(),
) -> Sweep:
    """The sweep that flags mean: `given` holds, for each field, the text of every time its flag was given.

    A field with more than one value becomes an axis, in the order of `given`; those of `replace` come last. What is not
    given is taken from `like`. All of several `where` must hold; each of several `skip` drops. Raises SweepError.
    """
    read: dict[str, Asked] = {
        field: grammar.read_values(field, texts, beside=beside) for field, texts in given.items() if texts
    }
    read |= {REPLACE: tuple(map(grammar.read_replace, replace))} if replace else {}
    return _assembled(name, read, zips=zips, where=where, skip=skip, like=like)


def read_toml(path: Path) -> Sweep:
    """The sweep in a file; raises SweepError with file, line and key. `@FILE` is looked for beside it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SweepError(f"{path}: cannot be read ({error.strerror}); give the path of a sweep.toml") from None
    except UnicodeDecodeError:
        raise SweepError(f"{path}: is no UTF-8 text; save it as UTF-8") from None
    return parse_toml(text, name=path.name, beside=path.parent)


def parse_toml(text: str, *, name: str = "sweep.toml", beside: Path = Path()) -> Sweep:
    """The sweep that a TOML text means; `name` is the file's, for errors and for a sweep that gives no name."""
    try:
        entries = _flat(tomllib.loads(text, parse_float=Decimal))
    except tomllib.TOMLDecodeError as error:
        reason = str(error)[0].lower() + str(error)[1:]
        raise SweepError(f"{name}: {reason}; texts are written in quotes, lists in brackets") from None
    read: dict[str, Asked] = {}
    others: dict[str, list[str]] = {key: [] for key in OTHER_KEYS}
    key = ""
    try:
        for key, entry in entries.items():
            if key == REPLACE:
                read[key] = tuple(_replace(each) for each in _as_list(entry))
            elif key in KINDS:
                read[key] = grammar.read_values(key, [_as_text(key, each) for each in _as_list(entry)], beside=beside)
            elif key in OTHER_KEYS:
                others[key] = [_as_text(key, each) for each in _as_list(entry)]
            else:
                raise _unknown(key)
            if key in ("where", "skip"):
                _joined(others[key], "and")
        key = ""
        title = ", ".join(others["name"]) or Path(name).stem
        return _assembled(title, read, zips=others["zip"], where=others["where"], skip=others["skip"])
    except InputError as error:
        named = key or str(error).split()[0].rstrip(":,")  # what is found when all keys are read begins with its field
        raise SweepError(f"{name}{_line_of(named, text)}: {error}") from None


def to_toml(sweep: Sweep) -> str:
    """The sweep as text that a person can read and compare, and that `parse_toml` reads as exactly this sweep."""
    document = tomlkit.document()
    document.add("name", tomlkit.item(sweep.name))
    varied = {field for axis in sweep.axes if isinstance(axis, Axis) for field in axis.fields}
    for field in KINDS:
        value = sweep.base.value(field)
        if field not in varied and value not in (None, UNSAID.value(field)):
            document.add(field, _entry(field, (value,)))
    zips = [", ".join(axis.fields) for axis in sweep.axes if isinstance(axis, Axis) and len(axis.fields) > 1]
    for axis in sweep.axes:
        if isinstance(axis, Axis):
            for field, values in zip(axis.fields, zip(*axis.values, strict=True), strict=True):
                document.add(field, _entry(field, values))
        elif REPLACE not in document:
            document.add(REPLACE, _list([_inline(each) for each in sweep.axes if isinstance(each, Replace)]))
    if zips:
        document.add("zip", _list(zips))
    for key in ("where", "skip"):
        if text := getattr(sweep, key):
            document.add(key, tomlkit.item(text))
    return tomlkit.dumps(document)


def _flag_texts(field: str, value: Value | list[Value]) -> list[str]:
    if isinstance(value, str):
        return [value]
    return grammar.write_values(field, value if isinstance(value, list) else [value])


def _first_values(axes: Sequence[Axis | Replace]) -> dict[str, Value]:
    return {f: v for axis in axes if isinstance(axis, Axis) for f, v in zip(axis.fields, axis.values[0], strict=True)}


def _with_first(base: Draft, axes: Sequence[Axis | Replace]) -> Draft:
    return base.with_values(_first_values(axes))


def _place(sweep: Sweep, indices: tuple[int, ...]) -> Place:
    changes: dict[str, Value] = {}
    words: dict[str, str] = {}
    for axis, at in zip(sweep.axes, indices, strict=True):
        if isinstance(axis, Replace):
            words[axis.old] = axis.values[at][0]
        else:
            changes |= zip(axis.fields, axis.values[at], strict=True)
    draft = sweep.base.with_values(changes)
    return Place(indices, _with_words(draft, words) if words else draft)


def _with_words(draft: Draft, words: Mapping[str, str]) -> Draft:
    """Every occurrence replaced, all words at once: what one axis puts in is never found by another."""
    longest_first = re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))
    texts = {field: text for field in WORDED if (text := draft.value(field)) is not None}
    found = {match for text in texts.values() for match in longest_first.findall(text)}
    if missing := [old for old in words if old not in found]:
        where = " and ".join(f"{field} {text!r}" for field, text in texts.items())
        raise SweepError(f"replace {missing[0]!r}: not found in {where}; spell it as it stands there")
    return draft.but(**{field: longest_first.sub(lambda match: words[match[0]], text) for field, text in texts.items()})


def _assembled(
    name: str,
    read: Mapping[str, Asked],
    *,
    zips: Sequence[str],
    where: Sequence[str],
    skip: Sequence[str],
    like: Draft | None = None,
) -> Sweep:
    said: dict[str, Any] = {}
    values = {field: [each for each in found if not isinstance(each, Replace)] for field, found in read.items()}
    groups = [[field.strip() for field in together.split(",")] for together in zips]
    if twice := [field for field, count in Counter(itertools.chain(*groups)).items() if count > 1]:
        raise SweepError(f"zip: {twice[0]} is named twice; a field walks along one axis")
    walking = {field: grammar.zipped(values, group) for group in groups for field in group}
    axes: list[Axis | Replace] = []
    for field, found in values.items():
        if field in walking:
            axes += [walking[field]] if walking[field] not in axes else []
        elif field == REPLACE:
            axes += [each for each in read[REPLACE] if isinstance(each, Replace)]
        elif len(found) == 1:
            said[field] = found[0]
        else:
            axes.append(Axis(fields=(field,), values=tuple((value,) for value in found)))
    said |= _first_values(axes)
    if like is None and "checkpoint" not in said:
        raise SweepError("checkpoint is missing; give the name of one in models.txt, or a diffusers folder")
    try:
        base = like.with_values(said) if like else Draft.said(said)
    except InputError as error:
        raise SweepError(str(error)) from None
    return Sweep.over(name, base, axes=axes, where=_joined(where, "and"), skip=_joined(skip, "or"))


def _joined(conditions: Sequence[str], word: str) -> str:
    """Several conditions as one; each is read alone first, so that none can reach into its neighbour."""
    for text in conditions:
        condition(text)
    return conditions[0] if len(conditions) == 1 else f" {word} ".join(f"({text})" for text in conditions)


def _flat(entries: Mapping[str, Any]) -> dict[str, Any]:
    """With the table `light` as `light.NAME` keys, and its `template` as `light`: TOML reads light.direction so."""
    flat: dict[str, Any] = {}
    for key, entry in entries.items():
        if key == "light" and isinstance(entry, dict):
            flat |= {"light" if name == "template" else LIGHT + name: each for name, each in entry.items()}
        else:
            flat[key] = entry
    return flat


def _as_list(entry: Any) -> list[Any]:
    return entry if isinstance(entry, list) else [entry]


def _as_text(key: str, entry: Any) -> str:
    if isinstance(entry, str | int | Decimal) and not isinstance(entry, bool):
        return str(entry)
    raise SweepError(f"{key} {entry!r}: is no value here; write a number, a text in quotes, or a list of these")


def _replace(entry: Any) -> Replace:
    if isinstance(entry, dict):
        try:
            return Replace.read({key: tuple(_as_list(each)) if key == "new" else each for key, each in entry.items()})
        except SweepError:
            raise
        except InputError as error:
            raise SweepError(f"replace {entry}: {error}") from None
    return grammar.read_replace(_as_text(REPLACE, entry))


def _unknown(key: str) -> SweepError:
    allowed = [*OTHER_KEYS, REPLACE, *KINDS]
    near = difflib.get_close_matches(key, allowed, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    return SweepError(f"{key} is not known; {meant}allowed: {', '.join(allowed)}")


def _line_of(key: str, text: str) -> str:
    found = re.search(rf"""^[ \t]*\[*["']?{re.escape(key)}["']?[ \t]*[=.\]]""", text, re.MULTILINE) if key else None
    return f" line {text.count(chr(10), 0, found.start()) + 1}" if found else ""


def _entry(field: str, values: Sequence[Value]) -> Any:
    """Values as TOML: numbers where TOML can hold them, else the text that a flag would have."""
    is_number = KINDS[field] in ("whole", "number")
    items = [
        tomlkit.value(text) if is_number and ".." not in text and abs(Decimal(text)) < TOML_INT else tomlkit.item(text)
        for text in grammar.write_values(field, values)
    ]
    return _list(items)


def _inline(replace: Replace) -> Any:
    table = tomlkit.inline_table()
    table.update({"old": replace.old, "new": list(replace.new)})
    return table


def _list(items: Sequence[Any]) -> Any:
    """One item as it is, several as a list."""
    if len(items) == 1:
        return items[0]
    array = tomlkit.array()
    array.extend(items)
    return array.multiline(len(array.as_string()) > PLAIN_LINE)
