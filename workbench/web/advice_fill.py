"""The Create tab's fields for a sweep of one picture, as advice prepares it. Knows nothing about advice or Gradio."""

from typing import Any

from pipelines import listing, prompts
from pipelines.draft import Draft
from pipelines.errors import InputError
from pipelines.light import Light
from pipelines.recipe import FamilyName
from sweeps.sweep import parse_toml
from workbench.web import brief as meaning
from workbench.web.brief import NAMES, Brief


def changes(toml: str) -> dict[str, Any]:
    """The fields, by name, of the one picture that a sweep.toml asks for; raises InputError."""
    sweep = parse_toml(toml, name="advice")
    if sweep.axes:
        raise InputError(f"{sweep.name} makes several pictures; open it in the Sweep tab")
    family = listing.row_of(sweep.base.checkpoint).family
    draft, light = _worded(sweep.base, family)
    filled = meaning.of_draft(draft, light, Brief(), family=family)
    fields = dict(zip(NAMES, filled.values, strict=True))
    if filled.light:  # what was written by hand comes back where the light is taken off again
        del fields["prompt"]
    return fields


def _worded(draft: Draft, family: FamilyName) -> tuple[Draft, Light | None]:
    """The draft with the words that its light writes, and that light."""
    if draft.light is None:
        return draft, None
    light = prompts.resolve(draft.light, draft.subject or "", dict(draft.light_fields))
    words = prompts.words(light, family)
    negative = words.negative if draft.negative is None else draft.negative
    said = {"light": None, "subject": None, "light_fields": (), "prompt": words.prompt, "negative": negative}
    return draft.but(**said), light
