"""`sidelight picture read`: what pictures of any tool say of themselves. Knows nothing about their formats."""

import json
import shlex
import unicodedata
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines import foreign
from pipelines.errors import InputError
from pipelines.foreign import Foreign, ForeignPass

Files = Annotated[list[Path], typer.Argument(help="PNG, JPEG or WebP files of any tool.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: a list with one entry a file.")]
_LABEL = 20  # columns before a value


def read(files: Files, as_json: AsJson = False) -> None:
    """Print what pictures of A1111, Forge, SD.Next, ComfyUI, InvokeAI, SwarmUI, Fooocus or Sidelight say of themselves.

    What maps to which field, what could not be mapped and why, and the command that sweeps around it.
    """
    told: list[dict[str, Any]] = []
    broken = 0
    for file in files:
        try:
            found = foreign.read(file)
        except InputError as error:
            broken += 1
            told.append({"file": str(file), "error": str(error)})
            if not as_json:
                typer.echo(f"sidelight: {shown(str(error))}", err=True)
            continue
        told.append({"file": str(file), **found.model_dump(mode="json"), "command": command(file, found)})
        if not as_json:
            typer.echo(shown(text(file, found)))
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=True))
    if broken:
        raise typer.Exit(2)


def text(file: Path, found: Foreign) -> str:
    """All that was read, for a person; ends with an empty line."""
    version = f" {found.version}" if found.version else ""
    lines = [f"{file}: {found.tool}{version}, from its {found.kept_in} text"]
    if found.checkpoint:
        digest = f", hash {found.checkpoint.hash}" if found.checkpoint.hash else ""
        lines.append(_line("checkpoint", f"{found.checkpoint.name or 'unnamed'}{digest}"))
        lines.append(_line("in models.txt", f"{found.row or 'not matched'}: {found.row_why}"))
    if found.base or found.recipe:
        lines.append(_line("family", f"{found.family or 'not known'}: {found.family_why}"))
    values = found.values.model_dump(exclude_none=True)
    lines += [_line(f"--{name.replace('_', '-')}", _value(value)) for name, value in values.items()]
    if len(found.passes) > 1:
        lines += ["", "passes:", *(f"  {_pass(number, each)}" for number, each in enumerate(found.passes, 1))]
    if found.unmapped:
        lines += ["", "not mapped:"]
        for why in dict.fromkeys(each.why for each in found.unmapped):
            lines.append(f"  {why}:")
            lines += [f"    {each.name}: {each.value}" for each in found.unmapped if each.why == why]
    lines += [f"\nnote: {warning}" for warning in found.warnings]
    return (
        "\n".join([*lines, "", f"sweep around it: {command(file, found)}", ""]) if values else "\n".join([*lines, ""])
    )


def command(file: Path, found: Foreign) -> str:
    """The command line that varies guidance around this picture; "" if nothing could be mapped."""
    if not found.values.model_dump(exclude_none=True):
        return ""
    checkpoint = "" if found.row else " --checkpoint NAME"
    name = "true-guidance" if found.family == "flux" and (found.values.true_guidance or 1) > 1 else "guidance"
    return f"sidelight sweep run --like {shlex.quote(str(file))}{checkpoint} --{name} 2..6"


def shown(line: str) -> str:
    """Without signs that steer a terminal: a prompt is text, whoever wrote it."""
    return "".join(
        sign if sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cf", "Zl", "Zp") else f"\\u{ord(sign):04x}"
        for sign in line
    )


def _line(name: str, value: str) -> str:
    return f"  {name:<{_LABEL}}" + value.replace("\n", "\n" + " " * (_LABEL + 2))


def _value(value: object) -> str:
    return "..".join(map(str, value)) if isinstance(value, tuple) else '""' if value == "" else str(value)


def _pass(number: int, read: ForeignPass) -> str:
    said = read.model_dump(exclude_defaults=True, exclude={"role", "spelling", "loras", "model"})
    model = [read.model.name] if read.model else []
    return f"{number} {read.role}: " + ", ".join([*model, *(f"{name} {value}" for name, value in said.items())])
