"""Axes: what a person writes to vary a field -> exact values. Knows nothing about sweeps, checkpoints or pictures.

One grammar for command line, file and page; `grammar()` is its only description. Numbers and ranges are read in
`sweeps.ranges`.
"""

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from pipelines import prompts
from pipelines.draft import LIGHT, Draft
from pipelines.errors import InputError, SweepError
from pipelines.frozen import Frozen
from pipelines.mask_words import canonical, is_expression
from sweeps.ranges import SPAN, Value, decimal, exact, items, label, numbers

Kind = Literal["whole", "number", "name", "path", "text", "span", "loras", "mask"]

KINDS: Mapping[str, Kind] = {
    "checkpoint": "name",
    "prompt": "text",
    "negative": "text",
    "seed": "whole",
    "width": "whole",
    "height": "whole",
    "steps": "whole",
    "guidance": "number",
    "true_guidance": "number",
    "guidance_interval": "span",
    "scheduler": "name",
    "spacing": "name",
    "clip_skip": "whole",
    "text_tokens": "whole",
    "variation": "whole",
    "start": "path",
    "strength": "number",
    "mask": "mask",
    "context": "number",
    "reference": "path",
    "reference_weight": "number",
    "reference_role": "name",
    "reference_by": "name",
    "loras": "loras",
    "light": "name",
    "subject": "text",
    **{LIGHT + name: kind for name, kind in prompts.KINDS.items()},
}
"""What every field of a Draft takes."""

FORMS: tuple[tuple[str, str], ...] = (
    ("2,3.5,5", "these values; numbers and names"),
    ('euler,"a name, with comma"', "quotes keep a comma; a quote inside is doubled"),
    ("2..9:1", "from 2 to 9 in steps of 1; stops before 9 where the step does not land on it"),
    ("9..2:1", "downwards"),
    ("2..9", "steps of 1"),
    ("2..9/8", "8 values from 2 to 9"),
    ("1-5", "A1111: steps of 1"),
    ("1-5 (+2)", "A1111: steps of 2"),
    ("1-10 [4]", "A1111: 4 values"),
    ("1,2,..,10", "SwarmUI: goes on as it began"),
    ("2..4:1,7", "mixtures"),
    ("2,SKIP:3,4", "left out for now"),
)
"""How values are written, and what each form means."""


class Axis(Frozen):
    """A field that varies, or several that walk together: one tuple of values a step, one value a field."""

    fields: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]

    @model_validator(mode="after")
    def _makes_sense(self) -> "Axis":
        for field in self.fields:
            kind_of(field)
        if len(set(self.fields)) < max(1, len(self.fields)):
            raise SweepError(f"axis {self.name or 'without field'}: an axis needs fields, each of them once")
        if any(len(step) != len(self.fields) for step in self.values):
            raise SweepError(f"axis {self.name}: every step needs {len(self.fields)} values, one for each field")
        if len(self.values) < 2:
            raise SweepError(f"axis {self.name} has {len(self.values)} values; an axis needs two, one value is no axis")
        if len(set(self.values)) < len(self.values):
            twice = next(at for at, step in enumerate(self.values) if step in self.values[:at])
            raise SweepError(f"{self.name} {self.labels[twice]} stands there twice; leave one out")
        return self

    @property
    def name(self) -> str:
        """The field, or the fields joined by commas."""
        return ", ".join(self.fields)

    @property
    def labels(self) -> tuple[str, ...]:
        """Every step as a person writes it."""
        return tuple(", ".join(map(label, step)) for step in self.values)


class Replace(Frozen):
    """Words of prompt and negative that vary: `old` as it stands first, then each of `new` in its place."""

    old: str
    new: tuple[str, ...]

    @model_validator(mode="after")
    def _makes_sense(self) -> "Replace":
        if not self.old or not self.new:
            raise SweepError(f"replace {self.old!r}: needs words to find and words to put there, as in {REPLACE_FORM}")
        words = (self.old, *self.new)
        for at, word in enumerate(words):
            if word in words[:at]:
                raise SweepError(
                    f"replace {self.old!r}: {word!r} stands there twice (the old words always run); leave one out"
                )
        return self

    @property
    def name(self) -> str:
        """The words that are replaced, in quotes."""
        return f"replace {self.old!r}"

    @property
    def values(self) -> tuple[tuple[str], ...]:
        """What stands in place of the old words, step by step."""
        return tuple((word,) for word in (self.old, *self.new))

    @property
    def labels(self) -> tuple[str, ...]:
        """The words of every step."""
        return tuple(label(word) for (word,) in self.values)


REPLACE_FORM = "'freckles => scar | moles'"


def grammar() -> str:
    """The grammar of values as a person reads it in --help, README and the page."""
    width = max(len(form) for form, _ in FORMS) + 2
    lines = [f"  {form:<{width}}{meaning}" for form, meaning in FORMS]
    return "\n".join(
        [
            "Values of an axis:",
            *lines,
            "A flag with one value sets it for all pictures, with more it becomes an axis; given again it adds values.",
            "prompt, negative: a text a flag, or @FILE with one a line (blank lines and # lines are skipped; @@ is @).",
            "guidance_interval: begin..end, as in 0..1,0.2..0.8.",
            "loras: names or files with weights, + joins, none is without: none,film:0.4..1:0.2,film:0.8+skin:0.5.",
            "mask: an image file, or regions of the faces of start: face1.skin - face1.eyes; feather 0.06.",
            f"--replace {REPLACE_FORM}: these words of prompt and negative vary; the old ones run first.",
            '--zip "width, height": these axes walk together.',
        ]
    )


def kind_of(field: str) -> Kind:
    """What a field takes; raises SweepError for an unknown one."""
    if field not in KINDS:
        raise SweepError(f"{field} is no field of a recipe; allowed: {', '.join(KINDS)}")
    return KINDS[field]


def read_values(field: str, texts: Sequence[str], *, beside: Path = Path()) -> tuple[Value, ...]:
    """The values that `texts` (one for each time a flag is given) mean for this field, in order.

    `@FILE` and relative paths are looked for in `beside`. Raises SweepError: what was given, where, and what to write.
    """
    kind, values = kind_of(field), list[Value]()
    for text in texts:
        if kind == "text":
            values += _texts(field, text, beside)
        elif kind in ("whole", "number"):
            values += [exact(field, kind, value, text) for value in numbers(field, kind, text)]
        elif kind in ("path", "mask"):
            values += [_image(kind, item, beside) for item in items(field, text)]
        elif kind == "loras":
            values += [each for item in items(field, text) for each in _loras(field, item, beside)]
        else:
            values += [_span(field, item) if kind == "span" else item for item in items(field, text)]
    if not values:
        raise SweepError(f"{field} {', '.join(texts)!r} leaves no value; give at least one")
    for value in values:
        _check(field, value)
    return tuple(values)


def write_values(field: str, values: Sequence[Value]) -> list[str]:
    """Texts that `read_values` reads as exactly these values: a range where five or more of them make one."""
    kind = kind_of(field)
    if kind == "text":
        return [f"@{value}" if str(value).startswith("@") else str(value) for value in values]
    written = [_quoted(str(value)) if kind in ("name", "path", "mask") else label(value) for value in values]
    if kind in ("whole", "number") and len(values) >= 5:
        first, second, last = (Fraction(written[at]) for at in (0, 1, -1))
        as_range = f"{written[0]}..{written[-1]}:{decimal(abs(second - first))}"
        steps = [first + at * (second - first) for at in range(len(values))]
        if steps == list(map(Fraction, written)) and second != first and steps[-1] == last:
            return [as_range]
    return written


def read_replace(text: str) -> Replace:
    """`old => new1 | new2`; raises SweepError."""
    old, arrow, new = text.partition("=>")
    if not arrow:
        raise SweepError(f"replace {text!r}: => is missing; write {REPLACE_FORM}")
    return Replace(old=old.strip(), new=tuple(word.strip() for word in new.split("|")))


def zipped(values: Mapping[str, Sequence[Value]], fields: Sequence[str]) -> Axis:
    """One axis of several fields that walk together; `values` holds what was read for each; raises SweepError."""
    given = ", ".join(fields)
    several = [field for field in values if len(values[field]) > 1]
    if len(fields) < 2 or len(set(fields)) < len(fields) or not set(fields) <= set(several):
        there = ", ".join(several) or "none"
        raise SweepError(f"zip '{given}': needs two or more fields with several values, each once; there are: {there}")
    if len({len(values[field]) for field in fields}) > 1:
        lengths = ", ".join(f"{field} {len(values[field])}" for field in fields)
        raise SweepError(f"zip '{given}': the fields must have equally many values, but have: {lengths}")
    return Axis(fields=tuple(fields), values=tuple(zip(*(values[field] for field in fields), strict=True)))


def _texts(field: str, text: str, beside: Path) -> list[str]:
    if text.startswith("@@") or not text.startswith("@"):
        return [text.removeprefix("@")]
    path = beside / Path(text[1:]).expanduser()
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise SweepError(
            f"{field} {text}: cannot be read ({error.strerror}); give a file with one {field} a line"
        ) from None
    except UnicodeDecodeError:
        raise SweepError(f"{field} {text}: is no UTF-8 text; save it as UTF-8, one {field} a line") from None
    stripped = [line.strip() for line in lines]
    if found := [line for line in stripped if line and not line.startswith("#")]:
        return found
    raise SweepError(f"{field} {text}: holds no line with text; write one {field} a line")


def _quoted(name: str) -> str:
    plain = name == name.strip() and not name.startswith("SKIP:") and not set(name) & set(',"')
    return name if plain else '"' + name.replace('"', '""') + '"'


def _loras(field: str, item: str, beside: Path) -> list[str]:
    """Every set of LoRAs that `film:0.4..1:0.2+skin:0.5` means: all weights of each with all of the others."""
    choices: list[list[str]] = []
    for part in item.split("+"):
        name, colon, weights = (word.strip() for word in part.partition(":"))
        if name.endswith(".safetensors"):
            name = str(beside / Path(name).expanduser())
        if colon and not weights:
            raise SweepError(f"{field} {item!r}: a weight is missing after the colon; write {name}:0.8")
        found = numbers(field, "number", weights) if colon else []
        choices.append([f"{name}:{label(exact(field, 'number', weight, item))}" for weight in found] or [name])
    return ["+".join(chosen) for chosen in itertools.product(*choices)]


def _image(kind: Kind, item: str, beside: Path) -> str:
    """A mask expression as it is always written, or the path of a file."""
    return (
        canonical(item, beside=beside)
        if kind == "mask" and is_expression(item)
        else str(beside / Path(item).expanduser())
    )


def _span(field: str, item: str) -> tuple[float, float]:
    match = SPAN.fullmatch(item)
    if match is None:
        raise SweepError(f"{field} {item!r}: is no span; write begin..end, as in 0..0.6")
    low, high = (exact(field, "number", Fraction(end), item) for end in match.groups())
    return float(low), float(high)


def _check(field: str, value: Value) -> None:
    """Refuse what no Draft holds, before thousands of them are made."""
    if field == "seed" and isinstance(value, int) and value < 0:
        raise SweepError(f"seed {value}: random seeds cannot be made again; give numbers from 0 to {2**64 - 1}")
    try:
        Draft.said({"checkpoint": "any", field: value})
    except InputError as error:
        raise SweepError(str(error)) from None
