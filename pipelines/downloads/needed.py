"""Which files of a repository a model needs. Knows nothing about networks, disks or what the files hold.

Of a diffusers folder: every component's json, vocabulary and weights, in the wanted variant; not the same weights again
as one file at the root, not pickles, onnx or flax, and never code.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipelines.downloads.lockfile import LockedFile
from pipelines.errors import CheckpointError
from pipelines.listing import PICKLES, WEIGHTS, Kind, Source, pickle_refusal

INDEX = "model_index.json"
TEXTS = (".json", ".txt", ".model", ".jinja")
"""Endings of what stands beside weights: settings, vocabularies, a chat template."""
WEIGHT = re.compile(
    r"(?P<stem>diffusion_pytorch_model|model)(\.(?P<variant>\w+))?(-(?P<part>\d+)-of-(?P<of>\d+))?"
    r"(\.(?P<late_variant>\w+))?\.safetensors"
)
"""Weights by diffusers' and transformers' names; both places of the variant have been written by some version."""
SHARDS = re.compile(r"\w+\.safetensors\.index(\.(?P<variant>\w+))?\.json")


@dataclass(frozen=True)
class _Weight:
    """A weights file of a component, with what its name says."""

    file: LockedFile
    variant: str
    part: int
    of: int


def needs_index(source: Source, files: Iterable[LockedFile]) -> bool:
    """Whether model_index.json must be read to know the components."""
    return not source.is_file and _under(source.path, INDEX) in {file.path for file in files}


def needed(
    source: Source,
    files: Sequence[LockedFile],
    *,
    kind: Kind,
    index: bytes | None,
    variant: str,
    without: Collection[str],
) -> tuple[LockedFile, ...]:
    """The files that a source needs, in the repository's order.

    `index` is model_index.json where there is one; `without` names components whose weights are not wanted. Raises
    CheckpointError if something is missing, is only there as a pickle, or has no such variant.
    """
    if source.is_file:
        return _one(source, files)
    if kind == "checkpoint" and index is None:
        raise CheckpointError(f"{source} has no {INDEX}, so it is no diffusers folder; {_name_a_file(source, files)}")
    components = _components(index, source) if index is not None else [""]
    wanted = [_under(source.path, INDEX)] if index is not None else []
    weights: dict[str, list[_Weight]] = {}
    for component in components:
        folder = _under(source.path, component)
        inside = {PurePosixPath(file.path).name: file for file in files if _folder(file.path) == folder}
        if not inside:
            raise CheckpointError(f"{source} has no files in {folder or 'its root'}; is it a diffusers folder?")
        wanted += [file.path for name, file in inside.items() if _is_text(name)]
        if component not in without:
            weights[folder] = _weights(inside.values())
            if not weights[folder]:
                _refuse_weightless(source, folder, inside)
    if not any(weights.values()):
        raise CheckpointError(f"{source} holds no weights by diffusers' names; {_name_a_file(source, files)}")
    chosen = [file.path for found in _in_variant(source, weights, variant).values() for file in found]
    wanted += chosen + _shard_lists(files, chosen)
    return tuple(file for file in files if file.path in set(wanted))


def _one(source: Source, files: Sequence[LockedFile]) -> tuple[LockedFile, ...]:
    found = tuple(file for file in files if file.path == source.path)
    if not found:
        ending = PurePosixPath(source.path).suffix
        others = [file.path for file in files if file.path.endswith(ending)]
        has = f"; it has {', '.join(others[:8])}" if others else f"; it has no {ending} file"
        raise CheckpointError(f"{source.place} has no file {source.path}{has}")
    return found


def _name_a_file(source: Source, files: Sequence[LockedFile]) -> str:
    if found := [file.path for file in files if file.path.endswith(WEIGHTS)]:
        return f"if one file is meant, name it: hf:{source.place}@{source.revision}/{' or /'.join(found[:5])}"
    if pickles := [file.path for file in files if PurePosixPath(file.path).suffix in PICKLES]:
        return pickle_refusal(pickles[0])
    return "it has no .safetensors and no .gguf file"


def _components(index: bytes, source: Source) -> list[str]:
    try:
        entries = json.loads(index)
        return sorted(
            name for name, kind in entries.items() if isinstance(kind, list) and kind[0] and _folder(name) == ""
        )
    except (ValueError, AttributeError, IndexError):
        raise CheckpointError(f"{source} has a {INDEX} that cannot be read; it is no diffusers folder") from None


def _weights(files: Iterable[LockedFile]) -> list[_Weight]:
    found = [(file, WEIGHT.fullmatch(PurePosixPath(file.path).name)) for file in files]
    return [
        _Weight(file, name["variant"] or name["late_variant"] or "", int(name["part"] or 1), int(name["of"] or 1))
        for file, name in found
        if name
    ]


def _in_variant(
    source: Source, weights: Mapping[str, list[_Weight]], variant: str
) -> dict[str, tuple[LockedFile, ...]]:
    """Of each folder's weights those of the variant; where it has none, those without one, as diffusers does."""
    there = {weight.variant for found in weights.values() for weight in found}
    if variant and variant not in there:
        allowed = ", ".join(sorted(there - {""})) or "none"
        raise CheckpointError(f"{source} has no variant {variant}; allowed: {allowed}, or leave variant out")
    chosen: dict[str, tuple[LockedFile, ...]] = {}
    for folder, found in weights.items():
        fitting = [weight for weight in found if weight.variant == variant] or [w for w in found if not w.variant]
        if found and not fitting:
            has = ", ".join(sorted({weight.variant for weight in found}))
            raise CheckpointError(f"{source} has {folder} only as variant {has}; add variant={min(has.split(', '))}")
        fewest = min((weight.of for weight in fitting), default=1)
        parts = [weight for weight in fitting if weight.of == fewest]
        if fitting and {weight.part for weight in parts} != set(range(1, fewest + 1)):
            raise CheckpointError(f"{source} lacks part of the weights in {folder or 'its root'}; tell its owner")
        chosen[folder] = tuple(weight.file for weight in parts)
    return chosen


def _shard_lists(files: Iterable[LockedFile], chosen: Collection[str]) -> list[str]:
    """The lists that say which tensor lies in which of the chosen parts."""
    split = {(_folder(path), _variant(path)) for path in chosen if "-of-" in path}
    lists = [(file.path, SHARDS.fullmatch(PurePosixPath(file.path).name)) for file in files]
    return [path for path, name in lists if name and (_folder(path), name["variant"] or "") in split]


def _variant(path: str) -> str:
    name = WEIGHT.fullmatch(PurePosixPath(path).name)
    return (name["variant"] or name["late_variant"] or "") if name else ""


def _refuse_weightless(source: Source, folder: str, names: Collection[str]) -> None:
    """A network (it has config.json) without weights by diffusers' names, or with a pickle in their place."""
    if pickles := [name for name in names if PurePosixPath(name).suffix in PICKLES]:
        raise CheckpointError(f"{source}: {pickle_refusal(_under(folder, min(pickles)))}")
    if "config.json" in names:
        raise CheckpointError(
            f"{source} has no weights in {folder or 'its root'} by diffusers' names; name its file as /PATH"
        )


def _is_text(name: str) -> bool:
    return name.endswith(TEXTS) and ".index." not in name


def _under(folder: str, name: str) -> str:
    return "/".join(part for part in (folder, name) if part)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
