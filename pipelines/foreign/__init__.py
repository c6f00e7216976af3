"""Pictures of other tools: what they say of how they were made, mapped to a Draft as far as it can be.

sd-parsers 0.6 was judged on tests/foreign_samples.py first and not taken: it drops values that hold a comma or colon,
reads ComfyUI only beside the editor's graph and then finds no FLUX sampler, takes zeros for the prompt they were made
from, and knows no SwarmUI. Knows nothing about sweeps; loads no torch.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipelines import listing, metadata
from pipelines.draft import Draft
from pipelines.errors import InputError
from pipelines.foreign import a1111, comfyui, fooocus, invokeai, models, ours, swarmui
from pipelines.foreign.containers import COMMENT, MAKER, texts
from pipelines.foreign.ledger import parse
from pipelines.foreign.mapping import mapped
from pipelines.foreign.said import Foreign, ForeignLora, ForeignPass, Model, Told, Unmapped, Values
from pipelines.recipe import FamilyName

__all__ = ["Foreign", "ForeignLora", "ForeignPass", "Model", "Unmapped", "Values", "draft", "read"]

_OF_ONE_FAMILY = ("true_guidance", "guidance_interval", "spacing", "clip_skip", "text_tokens", "loras")
_NOVELAI = "NovelAI makes pictures on its own servers with checkpoints that cannot be had: recognised, not mapped"


def read(path: Path) -> Foreign:
    """What a PNG, JPEG or WebP says of how it was made; raises InputError with one line.

    Also for pictures that say nothing, and for files that are damaged, too large or made to hurt.
    """
    found = texts(path)
    if metadata.CHUNK in found and (embedded := metadata.read(path)):
        own, values = ours.read(path, embedded)
        checkpoint = Model(name=embedded.recipe.checkpoint.name)
        family = embedded.recipe.checkpoint.family
        known = _found(own, checkpoint, kept_in=metadata.CHUNK)
        return known.but(values=values, recipe=embedded.recipe, family=family, family_why="by its recipe")
    try:
        told, kept_in = _told(found)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if told is None:
        raise InputError(
            f"{path} says nothing of how it was made (editors and websites strip it); give it as the tool saved it"
        )
    return _mapped(_found(told, told.base.model if told.base else None, kept_in=kept_in))


def draft(foreign: Foreign, checkpoint: str | None = None) -> Draft:
    """A Draft to sweep around, with the matched checkpoint or the one that is asked for (as models.txt names it).

    Where that is of another family, the fields that only the picture's family has are left to the checkpoint.
    Raises InputError where nothing could be mapped, and where no checkpoint is matched or asked for.
    """
    if not foreign.base and not foreign.recipe:
        why = foreign.unmapped[0].why if foreign.unmapped else "it holds no values"
        raise InputError(f"this picture ({foreign.tool}) cannot be swept around: {why}")
    name = checkpoint or foreign.row
    if not name:
        raise InputError(_unmatched(foreign))
    values = foreign.values
    family = listing.row_of(name).family
    if foreign.base and family != foreign.family:
        values, _ = mapped(foreign.base, family, lora_name=_lora_names(listing.rows()))
    elif family != foreign.family:
        values = values.but(**dict.fromkeys(_OF_ONE_FAMILY))
    return Draft.read({"checkpoint": name, **values.model_dump(exclude_none=True)})


def _told(found: Mapping[str, str]) -> tuple[Told | None, str]:
    """What the first text that says something says, and where it is kept. A graph is what ran, so it goes first."""
    comment, parameters = found.get(COMMENT, ""), found.get("parameters", "")
    if (graph := found.get("prompt", "")).lstrip().startswith("{"):
        told = comfyui.read(_object(graph), parameters)
        if told.base or not parameters:
            return told, "prompt"
    if parameters:
        return _parameters(parameters, found.get("fooocus_scheme", "")), "parameters"
    if "invokeai_metadata" in found:
        return invokeai.read(_object(found["invokeai_metadata"])), "invokeai_metadata"
    if comment:
        return _parameters(comment, found.get(MAKER, "")), COMMENT
    if "workflow" in found:
        return _recognised("ComfyUI", "workflow", comfyui.EDITOR_ONLY), "workflow"
    for name in ("sd-metadata", "Dream"):
        if name in found:
            return _recognised("InvokeAI", name, invokeai.BEFORE_3), name
    if found.get("Software") == "NovelAI":
        return _recognised("NovelAI", "Comment", _NOVELAI), "Comment"
    return None, ""


def _parameters(text: str, scheme: str) -> Told:
    """A text that is JSON of one of several tools, or A1111's."""
    if not text.lstrip().startswith("{"):
        return a1111.read(text, scheme=scheme)
    values = _object(text)
    if "sui_image_params" in values:
        return swarmui.read(values)
    if "base_model" in values or scheme == "fooocus":
        return fooocus.read(values)
    if "positive_prompt" in values:
        return invokeai.read(values)
    if any(isinstance(each, dict) and "class_type" in each for each in values.values()):
        return comfyui.read(values)
    raise InputError(
        f"its text is JSON of an unknown kind, with {', '.join(list(values)[:8])[:200] or 'nothing in it'}"
    )


def _object(text: str) -> dict[str, Any]:
    values = parse(text)
    if not isinstance(values, dict):
        raise InputError("its text is JSON, but no object with names")
    return values


def _recognised(tool: str, name: str, why: str) -> Told:
    return Told(tool, "", (), None, (), (Unmapped(name=name, value="", why=why),), ())


def _found(told: Told, model: Model | None, *, kept_in: str) -> Foreign:
    """All but the values: with the row of models.txt, and the family by it or by what was said."""
    match = models.match(model, listing.rows()) if model else models.Match(None, "no checkpoint is named")
    family, why = models.guess(told.hints)
    return Foreign(
        tool=told.tool,
        version=told.version,
        kept_in=kept_in,
        passes=told.passes,
        base=told.base,
        checkpoint=model,
        row=match.row.name if match.row else "",
        row_why=match.why,
        family=match.row.family if match.row else family,
        family_why=f"by the row {match.row.name}" if match.row else why,
        unmapped=told.unmapped,
        warnings=told.warnings,
    )


def _mapped(foreign: Foreign) -> Foreign:
    """With the values of the base pass, and what of it and of later passes found no place."""
    if foreign.base is None:
        return foreign
    values, unmapped = mapped(foreign.base, foreign.family, lora_name=_lora_names(listing.rows()))
    later = [
        Unmapped.of(f"pass {number}, {each.role}", _pass_text(each), "a Recipe makes one pass; this is not the first")
        for number, each in enumerate(foreign.passes, 1)
        if number > 1 and not each.role.startswith(comfyui.ONE_OF)
    ]
    return foreign.but(values=values, unmapped=(*unmapped, *later, *foreign.unmapped))


def _pass_text(read: ForeignPass) -> str:
    said = read.model_dump(exclude_defaults=True, exclude={"role", "prompt", "negative", "spelling", "loras", "model"})
    model = [f"model {read.model.name}"] if read.model else []
    return ", ".join([*model, *(f"{name} {value}" for name, value in said.items())])


def _lora_names(rows: Mapping[str, listing.Row]) -> Callable[[str], str]:
    """LoRA as another tool names it -> its name in models.txt, or the file's without folder and ending."""
    return lambda name: row.name if (row := models.match(Model(name=name), rows, "lora").row) else models.stem(name)


def _unmatched(foreign: Foreign) -> str:
    model = foreign.checkpoint or Model()
    family: FamilyName | str = foreign.family or "an unknown family"
    name = f"{models.stem(model.name) or 'an unnamed checkpoint'}" + (f" (hash {model.hash})" if model.hash else "")
    return (
        f"this picture ({foreign.tool}) was made with {name}, of {family}: {foreign.row_why}; add it with"
        " `sidelight models add`, or say --checkpoint NAME"
    )
