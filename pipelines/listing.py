"""models.txt: which models there are, by name, and where they lie on this disk. Knows nothing about their weights.

One line a model: name, family, source, then options as key=value; a value with blanks stands in quotes. The shipped
list is package data; the user's own list in the config folder wins by name.
"""

import difflib
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from platformdirs import user_config_path, user_data_path
from pydantic import field_validator

from pipelines.downloads import lockfile
from pipelines.errors import CheckpointError, InputError
from pipelines.frozen import Frozen
from pipelines.recipe import FamilyName

Kind = Literal["checkpoint", "lora", "vae", "adapter"]
"""adapter: an image adapter (IP-Adapter, Redux) or the encoder it needs."""
SourceKind = Literal["hf", "file", "dir", "demo"]
Quantisation = Literal["gguf", "nf4", "int8"]

SHIPPED = Path(__file__).with_name("models.txt")
DEMO = Path(__file__).with_name("demo")
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
WEIGHTS = (".safetensors", ".gguf")
SOURCES = "hf:OWNER/REPO@REVISION[/PATH], file:PATH, dir:PATH, demo:NAME"
OTHER_OPTIONS = ("base", "gated", "kind", "licence", "quantisation", "vae", "variant")
FIXED = ("gated", "kind", "licence")
"""Options that a name cannot override with +option=value."""
PIPELINES: Mapping[str, FamilyName] = {
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusionXLImg2ImgPipeline": "sdxl",
    "StableDiffusionXLInpaintPipeline": "sdxl",
    "FluxPipeline": "flux",
    "FluxImg2ImgPipeline": "flux",
    "FluxInpaintPipeline": "flux",
    "FluxFillPipeline": "flux",
    "FluxKontextPipeline": "flux",
    "Flux2KleinPipeline": "flux2",
}
"""Class in a diffusers folder's model_index.json -> family."""
DENOISERS: Mapping[FamilyName, str] = {"sdxl": "unet", "flux": "transformer", "flux2": "transformer"}
"""The component that a single file or a GGUF file gives, where `base` gives the others."""


class Defaults(Frozen):
    """What is used where a draft says nothing.

    text_tokens 0 = the family's normal; trained_guidance is the lowest and highest, as text 1..7.
    """

    width: int
    height: int
    steps: int
    guidance: float
    scheduler: str = "euler"
    text_tokens: int = 0
    trained_guidance: tuple[float, float] | None = None

    @field_validator("trained_guidance", mode="before")
    @classmethod
    def _span(cls, value: Any) -> Any:
        return tuple(value.split("..")) if isinstance(value, str) else value


OPTIONS = tuple(sorted([*Defaults.model_fields, *OTHER_OPTIONS]))


@dataclass(frozen=True)
class Source:
    """Where a model comes from. `place`: owner/repo, absolute path or a demo's name; `path`: file or folder in it."""

    kind: SourceKind
    place: str
    revision: str = ""
    path: str = ""

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{self.kind}:{self.place}{at}" + (f"/{self.path}" if self.path else "")

    @property
    def is_file(self) -> bool:
        """Whether it is one weights file, not a folder."""
        return (self.path or self.place).endswith(WEIGHTS)


@dataclass(frozen=True)
class Row:
    """One line of models.txt; options as they are written there, `vae` and `base` paths made absolute."""

    name: str
    family: FamilyName
    kind: Kind
    source: Source
    options: Mapping[str, str]
    listed_in: Path
    line: int

    def place(self) -> Path | None:
        """Its folder or file on this disk; None if it must be pulled first (or pulled to the end)."""
        match self.source.kind:
            case "demo":
                return DEMO / self.source.place
            case "hf":
                return self._pulled(())
            case _:
                return Path(self.source.place)

    def place_beside(self) -> Path | None:
        """Its folder where the denoiser's weights may be missing, as a single file gives them; None as in `place`."""
        return self.place() or self._pulled((DENOISERS[self.family],))

    @property
    def asked(self) -> Mapping[str, str]:
        """The default settings among its options, as text for `Defaults.but`."""
        return {name: value for name, value in self.options.items() if name in Defaults.model_fields}

    @property
    def licence(self) -> str:
        """As the list says; empty if it does not."""
        return self.options.get("licence", "")

    @property
    def is_gated(self) -> bool:
        """Whether its licence must be accepted on the hub before it can be fetched."""
        return self.options.get("gated") == "yes"

    @property
    def variant(self) -> str:
        """Which of the weight files of each component (fp16); empty = those without a variant in their name."""
        return self.options.get("variant", "")

    def _pulled(self, without: tuple[str, ...]) -> Path | None:
        models = models_folder()
        entry = lockfile.read(models).find(str(self.source), variant=self.variant, without=without)
        return entry.folder(models) / self.source.path if entry and entry.complete else None


def own_list() -> Path:
    """The user's own models.txt; it may not exist yet."""
    return user_config_path("sidelight") / "models.txt"


def models_folder() -> Path:
    """Where pulled models lie: SIDELIGHT_MODELS, or a folder among this user's data."""
    asked = os.environ.get("SIDELIGHT_MODELS")
    return Path(os.path.abspath(os.path.expanduser(asked))) if asked else user_data_path("sidelight") / "models"


def rows() -> dict[str, Row]:
    """All models by name: the shipped list, then the user's own, which wins; raises CheckpointError."""
    own = own_list()
    return read_list(SHIPPED) | (read_list(own) if own.is_file() else {})


def read_list(path: Path) -> dict[str, Row]:
    """The rows of a models.txt by name; raises CheckpointError with file name and line number."""
    found: dict[str, Row] = {}
    for number, line in enumerate(_lines(path), 1):
        try:
            row = parse_row(line, listed_in=path, number=number)
            if row and row.name in found:
                raise InputError(f"name {row.name} stands here twice; rename one")
        except InputError as error:
            raise CheckpointError(f"{path.name} line {number}: {error}") from None
        if row:
            found[row.name] = row
    return found


def parse_row(line: str, *, listed_in: Path, number: int) -> Row | None:
    """The row that a line holds, None for a blank line or a remark; raises InputError."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        raise InputError(
            "a quotation mark has no partner; close it, or quote the whole value: file:'/a b.safetensors'"
        ) from None
    if not words:
        return None
    if len(words) < 3 or ":" not in words[2]:
        raise InputError(f"expected: name family source [option=value ...], with source as {SOURCES}")
    name, family = words[:2]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(
            f"name {name!r} may hold letters, digits, dot, dash and underscore, and begins with a letter or digit"
        )
    if family not in get_args(FamilyName):
        raise InputError(f"family {family} is not known; allowed: {_choice(family, get_args(FamilyName))}")
    options = _options(words[3:], beside=listed_in.parent)
    source = parse_source(words[2], beside=listed_in.parent)
    _fits(options, source)
    kind: Any = options.get("kind", "checkpoint")
    return Row(name, family, kind, source, options, listed_in, number)  # type: ignore[arg-type]  # checked above


def parse_source(text: str, *, beside: Path) -> Source:
    """A source from its text; paths are relative to `beside`. Raises InputError."""
    kind, _, place = text.partition(":")
    match kind:
        case "hf":
            return _hub(place)
        case "demo" if (DEMO / place / "model_index.json").is_file() and "/" not in place:
            return Source("demo", place)
        case "demo":
            names = sorted(path.parent.name for path in DEMO.glob("*/model_index.json"))
            raise InputError(f"demo:{place} is not shipped; allowed: {_choice(place, names)}")
        case "dir" | "file" if not place:
            raise InputError(f"source {kind}: names no path; write {kind}:PATH")
        case "dir":
            return Source("dir", str(_beside(place, beside)))
        case "file":
            _weights_file(place)
            return Source("file", str(_beside(place, beside)))
    raise InputError(f"source {kind}: is not known; allowed: {SOURCES}")


def row_of(wanted: str) -> Row:
    """The row of a name, a diffusers folder or a weights file, each with +option=value behind it if wanted.

    Raises CheckpointError for what is none of these, and for options that are wrong.
    """
    here = Path.cwd()
    try:
        if "\n" in wanted:
            raise InputError("it holds a line break; give one name or path")
        if row := _plain_row(wanted):
            return row
        name, *changes = re.split(r"\+(?=[a-z_]+=)", wanted)
        if (row := _plain_row(name)) is None:
            raise InputError(_unknown(name))
        options = _options(changes, beside=here)
        if fixed := sorted(options.keys() & set(FIXED)):
            raise InputError(
                f"{fixed[0]} cannot be changed with +{fixed[0]}=; write a row of its own into {own_list()}"
            )
        _fits({**row.options, **options}, row.source)
    except CheckpointError:
        raise
    except InputError as error:
        raise CheckpointError(f"model {wanted!r}: {error}") from None
    return replace(row, name="+".join([row.name, *changes]), options={**row.options, **options})


def family_of_folder(folder: Path) -> FamilyName:
    """The family of a diffusers folder, by its model_index.json; raises CheckpointError for one that is not opened."""
    try:
        kind = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        kind = ""
    if not isinstance(kind, str) or kind not in PIPELINES:
        raise CheckpointError(
            f"checkpoint {folder} is a {kind or 'folder of an unknown kind'}; opened: {', '.join(PIPELINES)}"
        )
    return PIPELINES[kind]


def look_at(path: Path) -> tuple[Kind, FamilyName, Source] | None:
    """What a path holds that could be a row; None if it is neither a diffusers folder nor a weights file.

    Raises CheckpointError for a pickle, a damaged file and one of an unknown kind.
    """
    if path.is_file() and path.suffix.lower() in (*WEIGHTS, *PICKLES):
        from pipelines import weight_files  # it names kinds of this module

        look = weight_files.look(path)
        return look.kind, look.family, Source("file", os.path.abspath(path))
    if (path / "model_index.json").is_file():
        return "checkpoint", family_of_folder(path), Source("dir", os.path.abspath(path))
    return None


def pickle_refusal(name: str) -> str:
    """One line that says why such a file is not opened and what to do."""
    return (
        f"{name} is a pickle, which can run code and is not opened; convert it to safetensors "
        "(on a machine that you can lose: diffusers' save_pretrained, or your web UI's checkpoint conversion)"
    )


def _plain_row(wanted: str) -> Row | None:
    if row := rows().get(wanted):
        return row
    if found := look_at(Path(os.path.expanduser(wanted))):
        kind, family, source = found
        place = Path(source.place)
        return Row(place.stem if source.is_file else place.name, family, kind, source, {}, place, 0)
    return None


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, rows(), n=3)
    closest = f" (closest: {', '.join(near)})" if near else ""
    return (
        f"it is neither a name in models.txt{closest} nor a diffusers folder nor a .safetensors or .gguf file; "
        "`sidelight models list` shows the names"
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); it must be a UTF-8 text file") from None


def _options(words: Iterable[str], *, beside: Path) -> dict[str, str]:
    options: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in OPTIONS:
            raise InputError(f"option {name} is not known; allowed: {_choice(name, OPTIONS)}")
        if not equals:
            raise InputError(f"option {name} has no value; write {name}=VALUE")
        if name in options:
            raise InputError(f"option {name} stands here twice; take one out")
        options[name] = _checked(name, value, beside)
    return options


def _checked(name: str, value: str, beside: Path) -> str:
    allowed = {"kind": get_args(Kind), "gated": ("yes", "no"), "quantisation": get_args(Quantisation)}.get(name)
    if allowed and value not in allowed:
        raise InputError(f"{name} {value!r} is not known; allowed: {_choice(value, allowed)}")
    if name == "variant" and not re.fullmatch(r"\w+", value):
        raise InputError(f"variant {value!r} must be one word, such as fp16")
    if name in ("base", "vae"):
        if not value:
            raise InputError(f"option {name} has no value; write {name}=NAME or {name}=PATH")
        return str(_beside(value, beside)) if "/" in value else value
    if name in Defaults.model_fields:  # a wrong value is told here, with its line
        Defaults(width=1, height=1, steps=1, guidance=0).but(**{name: value})
    return value


def _fits(options: Mapping[str, str], source: Source) -> None:
    """Raise InputError for options that make no sense for this source."""
    is_gguf = source.is_file and str(source).endswith(".gguf")
    wanted = options.get("quantisation", "gguf" if is_gguf else "")
    if (wanted == "gguf") != is_gguf:
        raise InputError(
            f"quantisation {wanted} does not fit {source}: gguf is for .gguf files and the only one for them"
        )
    if options.get("variant") and source.is_file:
        raise InputError(f"variant {options['variant']} is for folders; {source} is one file: leave variant out")
    if options.get("base") and not source.is_file:
        raise InputError(f"base is for one file that lacks parts; {source} is a folder: leave base out")
    if options.get("kind") == "lora" and not source.is_file:
        raise InputError(
            f"a lora is one file; write {source.kind if source.kind == 'hf' else 'file'}:... up to .safetensors"
        )


def _hub(place: str) -> Source:
    parts = re.fullmatch(r"([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w-][\w.-]*))?(?:/(.+))?", place, re.ASCII)
    if not parts:
        raise InputError(
            f"source hf:{place} is not understood; write hf:OWNER/REPO@REVISION or hf:OWNER/REPO@REVISION/PATH"
        )
    repo, revision, path = parts[1], parts[2], parts[3] or ""
    if not revision:
        raise InputError(f"source hf:{place} names no revision; write hf:{repo}@main, or a commit in the place of main")
    if path and any(part in ("", ".", "..") for part in path.split("/")):
        raise InputError(
            f"source hf:{place} has a path with an empty, . or .. part; write the plain path in the repository"
        )
    if Path(path).suffix.lower() in PICKLES:
        raise InputError(pickle_refusal(path))
    return Source("hf", repo, revision, path)


def _weights_file(place: str) -> None:
    if Path(place).suffix.lower() in PICKLES:
        raise InputError(pickle_refusal(place))
    if not place.endswith(WEIGHTS):
        raise InputError(f"source file:{place} is no .safetensors or .gguf file; for a diffusers folder write dir:PATH")


def _beside(place: str, beside: Path) -> Path:
    """Absolute, links kept: in huggingface_hub's cache what a link points at has lost its ending."""
    return Path(os.path.abspath(beside / os.path.expanduser(place)))


def _choice(given: str, allowed: Iterable[str]) -> str:
    names = list(allowed)
    near = difflib.get_close_matches(given, names, n=1)
    return ", ".join(names) + (f"; did you mean {near[0]}?" if near else "")
