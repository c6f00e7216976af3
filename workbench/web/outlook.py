"""What a sweep would be while it is put together: cells, time, disk, the command and the file that mean the same.

Knows nothing about forms, and writes nothing. Texts of axes are in the grammar of the command line (`sweeps.axes`).
"""

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence

from pipelines import schedulers
from pipelines.draft import LIGHT
from pipelines.errors import InputError, SweepError
from pipelines.frozen import Frozen
from sweeps.axes import KINDS, Axis, Replace, read_replace, read_values, write_values
from sweeps.overview import values_of
from sweeps.plan import Cells, duration
from sweeps.prepare import ask
from sweeps.ranges import Value, label
from sweeps.speed import roughly
from sweeps.sweep import REPLACE, UNSAID, Sweep, from_flags, to_toml
from workbench.asking import size_text
from workbench.web.answers import one_line
from workbench.web.layout import Lookup
from workbench.web.pace import WHERE, demo_seconds

Given = Mapping[str, Sequence[str]]
"""For each field the texts of its flags."""
COUNTED = 4000
"""Places that are settled at every change: about 0.7 s on one slow core. Of more, only their number is told."""
SHOWN_VALUES, SHOWN_WARNINGS = 12, 3
LINE = ("checkpoint", "light", "subject", "guidance", "steps", "scheduler", "seed", "size", "prompt", "negative")
"""In this order what does not vary is told; other names stand beside the size, before the long texts."""
SCHEDULES = ("-karras", "-exponential", "-beta")


class Row(Frozen):
    """An axis as a person writes it: a field, or `replace`, and the text of its values."""

    field: str
    text: str = ""


class Built(Frozen):
    """A sweep as it stands in the builder. `base` holds the flags of a file or demo; None: what stands in Create."""

    name: str = ""
    rows: tuple[Row, ...] = ()
    zip: str = ""
    """Groups of fields that walk together, parted by semicolons."""
    where: str = ""
    skip: str = ""
    is_exact: bool = False
    lanes: str = ""
    base: dict[str, tuple[str, ...]] | None = None
    base_name: str = ""

    @property
    def numerics(self) -> dict[str, int]:
        """What is asked of the numerics; raises InputError for lanes that are no number."""
        if self.is_exact:
            return {"lanes": 1}
        if not self.lanes.strip():
            return {}
        if not self.lanes.strip().isdecimal() or int(self.lanes) < 1:
            raise InputError(f"lanes {self.lanes!r}: is no number of pictures side by side; write 1, 2, 4, or nothing")
        return {"lanes": int(self.lanes)}


class RowTold(Frozen):
    """What a row's text was read as: some of its values, how many there are, or what is wrong with it."""

    values: tuple[str, ...] = ()
    count: int = 0
    error: str = ""


class Outlook(Frozen):
    """What there is to say. `error` refuses the whole; else `cells` is how many pictures, None where `places` are too
    many to be counted at every change.

    `base` is what no cell has otherwise, as (name, text); `schedulers` are those that its checkpoint can use; `time_by`
    is where the time is taken from.
    """

    rows: tuple[RowTold, ...] = ()
    base: tuple[tuple[str, str], ...] = ()
    base_name: str = ""
    schedulers: tuple[str, ...] = ()
    name: str = ""
    error: str = ""
    places: int = 0
    cells: int | None = None
    merged: int = 0
    dropped: int = 0
    time: str = ""
    time_by: str = ""
    disk: str = ""
    warnings: tuple[str, ...] = ()
    command: str = ""
    toml: str = ""


def flags(built: Built, given: Given) -> dict[str, list[str]]:
    """The flags by field: the rows in their order, then what the base says of others. Raises SweepError."""
    rows = [row for row in built.rows if row.text.strip() and row.field != REPLACE]
    fields = [row.field for row in rows]
    _refuse_files(built)
    if twice := [field for field, count in Counter(fields).items() if count > 1]:
        raise SweepError(f"{twice[0]} stands in two rows; put its values into one")
    base = given if built.base is None else built.base
    rest = {field: list(texts) for field, texts in base.items() if texts and not _is_replaced(field, fields)}
    return {row.field: texts_of(row) for row in rows} | rest


def texts_of(row: Row) -> list[str]:
    """The text of every flag that a row stands for: prompts are written one a line."""
    lines = row.text.splitlines() if KINDS.get(row.field) == "text" else [row.text]
    return [line.strip() for line in lines if line.strip()]


def sweep_of(built: Built, given: Given) -> Sweep:
    """The sweep that stands in the builder, over this base; raises InputError."""
    return from_flags(
        name_of(built),
        flags(built, given),
        replace=_replaced(built),
        zips=_zips(built),
        where=[built.where] if built.where.strip() else [],
        skip=[built.skip] if built.skip.strip() else [],
    )


def name_of(built: Built) -> str:
    """The name that was given, or one made of what varies."""
    varied = [row.field.removeprefix(LIGHT).replace("_", " ") for row in built.rows if row.text.strip()]
    return built.name.strip() or " and ".join([", ".join(varied[:-1]), varied[-1]] if varied[1:] else varied) or "sweep"


def command(built: Built, given: Given) -> str:
    """The command line that means the same."""
    words = ["sidelight", "sweep", "run"]
    for field, texts in flags(built, given).items():
        flag = field if field.startswith(LIGHT) else field.replace("_", "-")
        words += [f"--{flag}={text}" for text in texts]
    words += [f"--replace={text}" for text in _replaced(built)]
    words += [f"--zip={text}" for text in _zips(built)]
    words += [f"--{name}={text}" for name, text in (("where", built.where), ("skip", built.skip)) if text.strip()]
    words.append(f"--name={name_of(built)}")
    lanes = [f"--lanes={built.lanes.strip()}"] if built.lanes.strip() else []
    return shlex.join([*words, *(["--exact"] if built.is_exact else lanes)])


def built_of(sweep: Sweep, *, base_name: str = "") -> Built:
    """The builder's texts for a sweep that was read from a file."""
    rows: list[Row] = []
    for axis in sweep.axes:
        if isinstance(axis, Replace):
            rows.append(Row(field=REPLACE, text=f"{axis.old} => {' | '.join(axis.new)}"))
            continue
        for field, values in zip(axis.fields, zip(*axis.values, strict=True), strict=True):
            joint = "\n" if KINDS[field] == "text" else ", "
            rows.append(Row(field=field, text=joint.join(write_values(field, values))))
    varied = {row.field for row in rows}
    said = {field: sweep.base.value(field) for field in KINDS if field not in varied}
    base = {
        field: tuple(write_values(field, [value]))
        for field, value in said.items()
        if value not in (None, UNSAID.value(field))
    }
    together = [", ".join(axis.fields) for axis in sweep.axes if isinstance(axis, Axis) and len(axis.fields) > 1]
    return Built(
        name=sweep.name,
        rows=tuple(rows),
        zip="; ".join(together),
        where=sweep.where,
        skip=sweep.skip,
        base=base,
        base_name=base_name,
    )


def outlook(built: Built, given: Given, lookup: Lookup) -> Outlook:
    """What the sweep would be; what is wrong is said in it and never raised."""
    told = Outlook(
        rows=tuple(map(_read, built.rows)),
        base=_base(built, given),
        base_name=built.base_name if built.base is not None else "",
        schedulers=_schedulers(built, given, lookup),
        name=name_of(built),
    )
    if any(row.error for row in told.rows):
        return told
    try:
        sweep = sweep_of(built, given)
        told = told.but(places=math.prod(len(axis.values) for axis in sweep.axes))
        built.numerics  # noqa: B018  # refused here already
        told = told.but(command=command(built, given), toml=to_toml(sweep))
        return _counted(told, ask(sweep, lookup).cells) if told.places <= COUNTED else told
    except InputError as error:
        return told.but(error=one_line(str(error)))


def _counted(told: Outlook, wanted: Cells) -> Outlook:
    cost = roughly(wanted)
    seconds = demo_seconds([cell.recipe for cell in wanted.cells]) if cost.seconds is None else cost.seconds
    found = [values_of(cell.recipe, cell.light) for cell in wanted.cells]
    shared = set(found[0]).intersection(*found)
    warned = Counter(warning for cell in wanted.cells for warning in cell.warnings)
    warnings = [f"{count} of {len(wanted.cells)}: {text}" for text, count in warned.most_common(SHOWN_WARNINGS)]
    if empty := sum(not cell.recipe.prompt for cell in wanted.cells):
        warnings.insert(0, f"{empty} of {len(wanted.cells)}: the prompt is empty")
    return told.but(
        base=tuple(sorted((value for value in found[0] if value in shared), key=_place_in_line)),
        cells=len(wanted.cells),
        merged=wanted.merged,
        dropped=wanted.dropped,
        time="" if seconds is None else f"about {duration(seconds)}",
        time_by=WHERE if cost.seconds is None else "by earlier runs here",
        disk=f"about {size_text(cost.bytes)}",
        warnings=tuple(map(one_line, warnings)),
    )


def _read(row: Row) -> RowTold:
    if not row.text.strip():
        return RowTold()
    try:
        _refuse_files(Built(rows=(row,)))
        axis = read_replace(row.text) if row.field == REPLACE else _axis(row)
    except InputError as error:
        return RowTold(error=one_line(str(error)))
    labels = axis.labels if isinstance(axis, Replace | Axis) else (label(axis),)
    some = labels if len(labels) <= SHOWN_VALUES else (*labels[: SHOWN_VALUES - 1], "...", labels[-1])
    return RowTold(values=some, count=len(labels))


def _axis(row: Row) -> Axis | Value:
    """The row's values as an axis, which checks them; one value is none."""
    values = read_values(row.field, texts_of(row))
    return values[0] if len(values) == 1 else Axis(fields=(row.field,), values=tuple((value,) for value in values))


def _refuse_files(built: Built) -> None:
    """A browser names no file of this machine: images come by Create, texts are written here. Raises SweepError."""
    said = [(row.field, text) for row in built.rows for text in texts_of(row)]
    said += [(field, text) for field, texts in (built.base or {}).items() for text in texts]
    for field, text in said:
        if KINDS.get(field) == "path":
            raise SweepError(f"{field} {text!r}: the page opens no file by its name; choose the image in Create")
        if KINDS.get(field) == "text" and text.startswith("@") and not text.startswith("@@"):
            raise SweepError(f"{field} {text!r}: the page reads no file by its name; write its lines here (@@ is @)")


def _is_replaced(field: str, fields: Sequence[str]) -> bool:
    """Whether rows say another thing: a light writes the prompt, and a prompt leaves nothing for a light to write."""
    if field in ("prompt", "negative"):
        return field in fields or "light" in fields
    is_light = field in ("light", "subject") or field.startswith(LIGHT)
    return field in fields or (is_light and "prompt" in fields)


def _base(built: Built, given: Given) -> tuple[tuple[str, str], ...]:
    """What was said of the fields that do not vary: all that is known while the sweep cannot be counted."""
    fields = [row.field for row in built.rows if row.text.strip()]
    base = given if built.base is None else built.base
    said = ((field, ", ".join(texts)) for field, texts in base.items() if not _is_replaced(field, fields))
    return tuple(sorted(said, key=_place_in_line))


def _place_in_line(value: tuple[str, str]) -> int:
    return LINE.index(value[0] if value[0] in LINE else "size")


def _schedulers(built: Built, given: Given, lookup: Lookup) -> tuple[str, ...]:
    """Those the (first) checkpoint can use, each in its plain schedule; none while there is no such checkpoint."""
    try:
        names = read_values("checkpoint", flags(built, given).get("checkpoint", []))
        family = lookup(str(names[0])).family
    except InputError:
        return ()
    fit = (row.name for row in schedulers.rows() if "text-to-image" in dict(row.modes).get(family, ()))
    return tuple(name for name in fit if not name.endswith(SCHEDULES))


def _replaced(built: Built) -> list[str]:
    return [row.text.strip() for row in built.rows if row.field == REPLACE and row.text.strip()]


def _zips(built: Built) -> list[str]:
    return [group.strip() for group in built.zip.split(";") if group.strip()]
