"""Data that never changes: to change it, make another, validated again. Knows nothing about what the data means."""

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from pipelines.errors import InputError

LABEL: dict[str, JsonValue] = {"label": True}
"""Field extra: the value is for people (a name, a note) and takes no part in identity."""


class Frozen(BaseModel):
    """Base of all that is written to disk: immutable, no unknown fields, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Validate outside data; raises InputError: one line with the field, the value and what is allowed."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise InputError(_one_line(error, cls)) from None

    def but(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated again; raises InputError."""
        return self.read({name: getattr(self, name) for name in type(self).model_fields} | changes)

    def canonical(self) -> str:
        """JSON with sorted keys and no blanks; labels and fields at their neutral default are left out.

        Two values that mean the same give the same text, and a field added later with a neutral default changes no
        text ever written.
        """
        return json.dumps(_identity(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _identity(value: Any) -> Any:
    if isinstance(value, Frozen):
        return {
            name: _identity(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if field.json_schema_extra != LABEL and getattr(value, name) != field.default
        }
    return [_identity(item) for item in value] if isinstance(value, tuple) else value


def _one_line(error: ValidationError, model: type[BaseModel]) -> str:
    fault: Any = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{where} is not known here; allowed: {', '.join(sorted(model.model_fields))}"
    if fault["type"] == "missing":
        return f"{where} is missing; give it a value"
    reason = fault["msg"].removeprefix("Value error, ")
    return f"{where} {fault['input']!r}: {reason[0].lower()}{reason[1:]}" if where else reason
