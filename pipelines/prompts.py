"""Prompts: a template and a subject -> a Light, a Light -> the text for a model family. Knows nothing about tokens.

Templates are TOML files in `lights/`, the user's own in the config folder win by name. How a field is said stands in
`wording.toml`; this module only puts phrases together, so that the same Light and family always give the same text.
"""

import difflib
import re
import string
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_config_path

from pipelines.errors import InputError
from pipelines.light import FIELDS, KINDS, Light, implied_focal_mm
from pipelines.recipe import FamilyName

__all__ = [
    "FIELDS",
    "KINDS",
    "Light",
    "Words",
    "described",
    "implied_focal_mm",
    "names",
    "resolve",
    "templates",
    "words",
]

SHIPPED = Path(__file__).with_name("lights")
WORDING = Path(__file__).with_name("wording.toml")
NAME = re.compile(r"[\w-]+")
Style = Literal["tags", "sentences"]


@dataclass(frozen=True)
class Words:
    """The final text; negative None = the family has none, or nothing is forbidden."""

    prompt: str
    negative: str | None


def own_lights() -> Path:
    """Folder of the user's own templates; it need not be there."""
    return user_config_path("sidelight") / "lights"


def templates() -> Mapping[str, Light]:
    """Every template by name, the user's own over shipped ones; raises InputError with file and key."""
    return {name: _template(path) for name, path in sorted(_files().items())}


def names() -> tuple[str, ...]:
    """Names of all templates; reads none of them."""
    return tuple(sorted(_files()))


def resolve(name: str, subject: str, fields: Mapping[str, str]) -> Light:
    """The template `name`, filled: `subject` "" keeps the template's own, a field given as "none" is not said.

    Raises InputError for an unknown name or field (with near matches) and for fields that contradict each other.
    """
    files = _files()
    if name not in files:
        raise InputError(f"light {name!r} is not known{_near(name, files)}; `sidelight prompt list` shows all")
    for field in fields:
        if field not in FIELDS:
            raise InputError(f"light field {field!r} is not known{_near(field, FIELDS)}; allowed: {', '.join(FIELDS)}")
    changes: dict[str, Any] = {field: _value(field, text) for field, text in fields.items()}
    if subject:
        changes["subject"] = subject
    try:
        return _template(files[name]).but(**changes)
    except InputError as error:
        field = str(error).partition(" ")[0]
        meaning = f" ({field}: {FIELDS[field]})" if KINDS.get(field) == "number" else ""
        raise InputError(f"light {name}: {error}{meaning}") from None


def words(light: Light, family: FamilyName) -> Words:
    """The text of a Light for a family: tags and a negative prompt for SDXL, sentences in positive words for FLUX.

    Raises InputError for a family without wording and for a forbidden thing that cannot be said positively.
    """
    style = style_of(family)
    if style == "tags":
        return Words(", ".join(_tags(light)), ", ".join(thing for thing, _ in _forbidden(light)) or None)
    return Words(" ".join(_sentences(light)), None)


def described(light: Light) -> str:
    """One line for a caption: template, direction, hardness, fill, and the implied focal length in full-frame mm."""
    parts = [light.direction or "", light.hardness or ""]
    if light.fill_stops is not None:
        parts.append(f"fill {light.fill_stops:g} {'stop' if light.fill_stops == 1 else 'stops'} under the key")
    if light.colour_k is not None:
        parts.append(f"{light.colour_k:g} K")
    focal = implied_focal_mm(light)
    if focal is not None:
        squeeze = f", {light.anamorphic:g}x anamorphic" if light.anamorphic is not None else ""
        parts.append(f"implied focal length {focal:.0f} mm{squeeze}")
    told = ", ".join(part for part in parts if part)
    return f"light {light.name}: {told}" if told else f"light {light.name}"


def style_of(family: FamilyName) -> Style:
    """How a family is spoken to."""
    styles: Mapping[str, Style] = wording()["families"]
    if family not in styles:
        raise InputError(
            f"family {family} has no wording for lights; known: {', '.join(styles)}; write --prompt instead"
        )
    return styles[family]


@cache
def wording() -> Mapping[str, Any]:
    """`wording.toml`, read once."""
    return tomllib.loads(WORDING.read_text(encoding="utf-8"))


def _files() -> dict[str, Path]:
    return {path.stem: path for folder in (SHIPPED, own_lights()) for path in folder.glob("[!.]*.toml")}


def _template(path: Path) -> Light:
    stat = path.stat()
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _read(path: Path, _changed_ns: int, _bytes: int) -> Light:
    """A sweep resolves a template for every cell; the file is read again only if it changed."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no TOML ({error}); mend it or move it away") from None
    if not NAME.fullmatch(path.stem):
        raise InputError(f"{path}: the file's name is the light's name: letters, digits, - and _ only; rename it")
    if "name" in values:
        raise InputError(f"{path}: name is the file's own name; leave the key out")
    for key in values:
        if key not in Light.model_fields:
            raise InputError(
                f"{path}: {key} is not known{_near(key, Light.model_fields)}; `prompt list --fields` shows all"
            )
    try:
        return Light.read({**values, "name": path.stem})
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f", near: {', '.join(near)}" if near else ""


def _value(field: str, text: str) -> Any:
    if text == "none":
        return () if field == "forbidden" else None
    return text


def _forbidden(light: Light) -> list[tuple[str, str]]:
    """What is forbidden, and what is there instead ("" if nobody said)."""
    known: Mapping[str, str] = wording()["instead"]
    pairs = []
    for item in light.forbidden:
        thing, _, own = (part.strip() for part in item.partition("=>"))
        pairs.append((thing, own or known.get(thing.lower(), "")))
    return pairs


def _instead(light: Light) -> str | None:
    """The positive of all that is forbidden, as one enumeration."""
    for thing, instead in _forbidden(light):
        if not instead:
            raise InputError(
                f"forbidden {thing!r} has no positive wording{_near(thing, wording()['instead'])}; FLUX has no "
                f"negative prompt: write '{thing} => what is there instead'"
            )
    things = list(dict.fromkeys(instead for _, instead in _forbidden(light)))
    return " and ".join([", ".join(things[:-1]), things[-1]]) if len(things) > 1 else "".join(things) or None


def _tags(light: Light) -> list[str]:
    parts = (_part(pattern, light, "tags") for pattern in wording()["tags"]["order"])
    return [part for part in parts if part]


def _sentences(light: Light) -> list[str]:
    told = []
    for sentence in wording()["sentences"]["order"]:
        parts = [part for pattern in sentence["parts"] if (part := _part(pattern, light, "sentences"))]
        if parts:
            text = " ".join([*([sentence["head"]] if sentence["head"] else []), ", ".join(parts)])
            told.append(text[0].upper() + text[1:] + ".")
    return told


def _part(pattern: str, light: Light, style: Style) -> str:
    """The pattern with the phrases of its fields, "" if one of them is not said."""
    fields = [field for _, field, _, _ in string.Formatter().parse(pattern) if field]
    phrases = {field: _phrase(field, light, style) for field in fields}
    return "" if None in phrases.values() else pattern.format(**phrases)


def _phrase(field: str, light: Light, style: Style) -> str | None:
    said = wording()
    value = light.degrees if field == "direction" else getattr(light, field)
    if field == "forbidden":
        return _instead(light)
    if value is None:
        return said[style]["without_shot"] if field == "shot" else None
    if field in said["choices"]:
        return str(said["choices"][field][value][style])
    if field in said["numbers"]:
        band = next(band for band in said["numbers"][field] if _reaches(value, band))
        size = abs(value)
        number, plural = _exactly(value), "" if size == 1 else "s"
        article = "an" if number.startswith("8") or number in ("11", "18") else "a"
        return str(band[style]).format(n=number, size=_exactly(size), side=light.side, s=plural, a=article)
    return str(value)


def _reaches(value: float, band: Mapping[str, Any]) -> bool:
    return bool(value < band["below"] if "below" in band else value <= band["to"])


def _exactly(value: float) -> str:
    """Every digit: two values of an axis never read the same."""
    return repr(value).removesuffix(".0")
