"""One flag `--light.NAME` for every field of a light, on any command. Knows nothing about what a command does."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from pipelines import prompts
from pipelines.draft import LIGHT


def with_light_flags(command: Callable[..., None], kind: Any, **shown: Any) -> None:
    """Give a command that takes **fields these flags, each of this kind: typer reads flags from the signature.

    `shown` goes to every typer.Option.
    """
    signature = inspect.signature(command)
    plain = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    made = [
        inspect.Parameter(
            _argument(field),
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kind, typer.Option(f"--{LIGHT}{field}", help=text, **shown)],
        )
        for field, text in prompts.FIELDS.items()
    ]
    parameters = [*plain, *made]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # functions have it
    command.__annotations__ = {each.name: each.annotation for each in parameters}


def light_fields(said: Mapping[str, Any]) -> dict[str, Any]:
    """What such a command's **fields hold, by field; those not given are left out."""
    return {field: said[_argument(field)] for field in prompts.FIELDS if said.get(_argument(field))}


def _argument(field: str) -> str:
    return f"light_{field}"
