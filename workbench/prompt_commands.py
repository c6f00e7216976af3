"""`sidelight prompt list|show|lint`: the final text for each family, and what to say otherwise. Knows no pictures."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, get_args

import typer

from pipelines import attention, prompts
from pipelines import lint as linting
from pipelines.attention import Count
from pipelines.checkpoint import Checkpoint, find
from pipelines.errors import CheckpointError, InputError
from pipelines.lint import Finding, Linted
from pipelines.prompts import Light, Words, described, implied_focal_mm
from pipelines.recipe import FamilyName
from workbench.light_flags import light_fields, with_light_flags

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Family = Annotated[str | None, typer.Option(help=f"{', '.join(get_args(FamilyName))}; sdxl and flux if left out.")]
Negative = Annotated[str | None, typer.Option(help="Negative prompt beside --prompt.")]
SHOWN: tuple[FamilyName, ...] = ("sdxl", "flux")  # flux2 is spoken to like flux
HALF = 18  # characters from the camera's axis to either side


@dataclass(frozen=True)
class Said:
    """A family's text with its tokens; `fault` tells why there is no text for it, or no count."""

    words: Words | None
    counts: tuple[Count, ...]
    fault: str = ""


def prompt_list(
    fields: Annotated[bool, typer.Option("--fields", help="Print the fields of a light instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print every light template, yours over the shipped ones; or the fields that can be set and swept."""
    if fields:
        _print_fields(as_json)
        return
    known = prompts.templates()
    if as_json:
        rows = [
            light.model_dump(mode="json") | {"implied_focal_mm": implied_focal_mm(light)} for light in known.values()
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "light", "key", "hardness", "implied lens", box=None, pad_edge=False)
    for light in known.values():
        table.add_row(light.name, light.title, light.direction or "", light.hardness or "", _focal(light))
    Console().print(table)
    typer.echo(f"\nown templates: {prompts.own_lights()}/NAME.toml")


def prompt_show(
    light: Annotated[str | None, typer.Argument(help="Name of a light; `sidelight prompt list`.")] = None,
    subject: Annotated[str, typer.Option(help="Who: 'a woman with short grey hair'.")] = "",
    prompt: Annotated[str | None, typer.Option(help="Any text, instead of a light.")] = None,
    negative: Negative = None,
    family: Family = None,
    checkpoint: Annotated[str | None, typer.Option(help="Count with this checkpoint's own vocabulary.")] = None,
    as_json: AsJson = False,
    **fields: str | None,
) -> None:
    """Print the final text for each family, its tokens and what falls off, and where the light stands."""
    filled = _filled(light, subject, light_fields(fields), prompt, negative)
    opened = find(checkpoint) if checkpoint else None
    given = filled or Words(prompt or "", negative)
    said = {name: _said(given, name, opened) for name in _families(family, opened)}
    if faults := [each.fault for each in said.values() if each.words is None and len(said) == 1]:
        raise InputError(faults[0])
    if as_json:
        typer.echo(json.dumps(_shown(filled, said), ensure_ascii=False))
        return
    if filled:
        typer.echo("\n".join([f"{filled.name}: {filled.title}", *_stands(filled), described(filled), ""]))
    for name, each in said.items():
        typer.echo("\n".join([name, *_lines(each), ""]))


with_light_flags(prompt_show, str | None)


def prompt_lint(
    text: Annotated[str | None, typer.Argument(help="A prompt, or the name of a light.")] = None,
    negative: Negative = None,
    family: Family = None,
    examples: Annotated[bool, typer.Option("--examples", help="Show three worked examples.")] = False,
    as_json: AsJson = False,
) -> None:
    """Name vague words and say photographic ones: before and after. Advice only: the exit code is 0."""
    if examples == (text is not None):
        raise InputError("give a prompt, the name of a light, or --examples; one of them")
    if examples:
        _print_examples(as_json)
        return
    assert text is not None
    light = prompts.resolve(text, "", {}) if text in prompts.names() else None
    if light and negative is not None:
        raise InputError("--negative stands beside a prompt; a light says itself what is forbidden")
    before = {name: prompts.words(light, name) if light else Words(text, negative) for name in _families(family, None)}
    linted = {name: linting.lint(words.prompt, name, words.negative) for name, words in before.items()}
    if as_json:
        told = {name: _linted(before[name], each) for name, each in linted.items()}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        _print_linted(before, linted)


def _print_fields(as_json: bool) -> None:
    if as_json:
        rows = [{"field": name, "kind": prompts.KINDS[name], "meaning": text} for name, text in prompts.FIELDS.items()]
        typer.echo(json.dumps(rows))
        return
    width = max(map(len, prompts.FIELDS))
    for name, meaning in prompts.FIELDS.items():
        typer.echo(f"{name:{width}}  {meaning}")


def _filled(
    light: str | None, subject: str, fields: Mapping[str, str], prompt: str | None, negative: str | None
) -> Light | None:
    if (light is None) == (prompt is None):
        raise InputError("give the name of a light (`sidelight prompt list`) or --prompt; one of them")
    if light is None:
        if subject or fields:
            raise InputError("--subject and --light.NAME fill a light; give its name instead of --prompt")
        return None
    if negative is not None:
        raise InputError("--negative stands beside --prompt; a light says what is forbidden: --light.forbidden 'a; b'")
    return prompts.resolve(light, subject, fields)


def _families(family: str | None, checkpoint: Checkpoint | None) -> tuple[FamilyName, ...]:
    names: tuple[FamilyName, ...] = get_args(FamilyName)
    if family is not None and family not in names:
        raise InputError(f"family {family!r} is not known; allowed: {', '.join(names)}")
    if checkpoint:
        if family not in (None, checkpoint.family):
            raise InputError(f"checkpoint {checkpoint.name} is {checkpoint.family}, not {family}; leave --family out")
        return (checkpoint.family,)
    return tuple(name for name in names if name == family) or SHOWN


def _said(given: Light | Words, family: FamilyName, checkpoint: Checkpoint | None) -> Said:
    try:
        words = prompts.words(given, family) if isinstance(given, Light) else given
        attention.refuse(words.prompt, family)
    except InputError as error:
        return Said(None, (), str(error))
    try:
        return Said(words, attention.count(checkpoint, family, words.prompt))
    except CheckpointError as error:
        if checkpoint:
            raise
        return Said(words, (), str(error))


def _shown(light: Light | None, said: Mapping[FamilyName, Said]) -> dict[str, Any]:
    told: dict[str, Any] = {
        name: {
            "prompt": each.words and each.words.prompt,
            "negative": each.words and each.words.negative,
            "tokens": [asdict(count) for count in each.counts],
            "fault": each.fault,
        }
        for name, each in said.items()
    }
    if light is None:
        return {"light": None, "families": told}
    return {
        "light": light.model_dump(mode="json"),
        "described": described(light),
        "implied_focal_mm": implied_focal_mm(light),
        "families": told,
    }


def _lines(said: Said) -> list[str]:
    lines = [f"  {said.words.prompt}"] if said.words else []
    if said.words and said.words.negative is not None:
        lines.append(f"  without: {said.words.negative}")
    lines += [f"  {_tokens(count, is_last=count is said.counts[-1])}" for count in said.counts]
    return [*lines, *([f"  {said.fault}"] if said.fault else [])]


def _tokens(count: Count, *, is_last: bool) -> str:
    if count.dropped and is_last:
        return f"{count.encoder}: {count.used} tokens, {count.most} are read; falls off: {count.dropped.strip()}"
    if count.dropped:
        first = " ".join(count.dropped.split()[:5])
        return f"{count.encoder}: {count.used} tokens, {count.most} are read, for the gist; falls off from: {first} ..."
    if count.chunks > 1:
        return f"{count.encoder}: {count.used} tokens in {count.chunks} chunks of {count.most}; nothing falls off"
    return f"{count.encoder}: {count.used} of {count.most} tokens"


def _stands(light: Light) -> list[str]:
    """Seen from above, the face in the middle: * the key, o the key from behind, + the camera's axis."""
    if light.degrees is None:
        return []
    aside = round(HALF * min(light.degrees, 180 - light.degrees) / 90)
    marks = ["-"] * (2 * HALF + 1)
    marks[HALF] = "+"
    marks[HALF + {"left": -aside, "right": aside, None: 0}[light.side]] = "o" if light.degrees > 90 else "*"
    tall = light.key_height_deg
    height = "" if tall is None else f", {abs(tall):g} degrees {'below' if tall < 0 else 'above'} the eyes"
    wide = "" if light.source_degrees is None else f", {light.source_degrees:.0f} degrees wide from the face"
    behind = ", from behind" if light.degrees > 90 else ""
    return [f"left |{''.join(marks)}| right   {light.direction}{behind}{height}{wide}"]


def _focal(light: Light) -> str:
    focal = implied_focal_mm(light)
    return "" if focal is None else f"{focal:.0f} mm"


def _linted(before: Words, linted: Linted) -> dict[str, Any]:
    findings = [asdict(finding) for finding in linted.findings]
    return {"before": asdict(before), "findings": findings, "after": asdict(linted.after)}


def _print_linted(before: Mapping[FamilyName, Words], linted: Mapping[FamilyName, Linted]) -> None:
    for name, each in linted.items():
        typer.echo(f"{name}: {len(each.findings) or 'nothing'} to say otherwise")
        typer.echo("\n".join(_told(each.findings)) + "\n" if each.findings else "", nl=False)
        typer.echo(_before_after(before[name], each.after) if each.findings else f"  {before[name].prompt}")


def _told(findings: Iterable[Finding]) -> list[str]:
    lines = []
    for finding in findings:
        where = f"{finding.start}-{finding.end}" + (" of the negative" if finding.field == "negative" else "")
        say = f" Say: {', '.join(finding.offered)}" if finding.offered else ""
        lines.append(f"  {where} {finding.text!r}: {finding.why}.{say}")
    return lines


def _before_after(before: Words, after: Words) -> str:
    lines = [f"  before   {before.prompt}"]
    lines += [f"  without  {before.negative}"] if before.negative else []
    lines += [f"  after    {after.prompt}"]
    lines += [f"  without  {after.negative}"] if after.negative else []
    return "\n".join([*lines, ""])


def _print_examples(as_json: bool) -> None:
    shown = [
        (each, Words(each.prompt, each.negative), linting.lint(each.prompt, each.family, each.negative))
        for each in linting.load().example
    ]
    if as_json:
        told = [{"title": each.title, "family": each.family, **_linted(before, lint)} for each, before, lint in shown]
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    for each, before, lint in shown:
        typer.echo(f"{each.title} ({each.family})")
        typer.echo("\n".join([*_told(lint.findings), _before_after(before, lint.after)]))
