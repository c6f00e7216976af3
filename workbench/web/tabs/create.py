"""The Create tab: a form at the left, what is made of it at the right. Knows nothing about how pictures are made.

A callback turns values into a Brief and a Brief into what the parts show; what a Brief means stands in
`workbench.web.brief`, what a checkpoint offers in `workbench.web.offer`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import JsonValue

from pipelines.errors import InputError
from workbench.web import advice_fill, notes_fill
from workbench.web import brief as meaning
from workbench.web import offer as offering
from workbench.web.brief import NAMES, Brief, Past
from workbench.web.component import component
from workbench.web.last import Last
from workbench.web.notes_fill import Given
from workbench.web.site import Site
from workbench.web.tabs import create_fill, create_form, create_words
from workbench.web.tabs.create_form import Form
from workbench.web.tabs.create_words import Desk
from workbench.web.tabs.sweep import demo_words

QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
HISTORY_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Create:
    """The form as other tabs use it. `inputs` are its fields in a fixed order."""

    inputs: tuple[Any, ...]
    site: Site = field(repr=False)
    from_notes: Any = field(repr=False)
    """What notes filled in, kept beside the fields."""

    def given(self, *values: Any) -> dict[str, list[str]]:
        """The texts of the flags that the form stands for, by field, as `sweeps.sweep.from_flags` reads them.

        One seed, however many pictures are asked for. Raises InputError for a start image from elsewhere.
        """
        brief = Brief.of(values)
        meaning.refuse_elsewhere(brief.start, create_fill.folders(self.site))
        return meaning.given(brief, offering.of(brief.checkpoint, self.site.lookup))

    def handed(self, target: str, site: Site, run: str, key: str) -> list[Any]:
        """The form's fields after a picture of a run was handed on; as they are where it cannot be."""
        try:
            return updates(create_fill.handed(target, site, run, key))
        except InputError:
            return updates({})

    def asked(self, toml: str) -> list[Any]:
        """The form's fields after one picture was prepared as a sweep.toml; as they are where it is none."""
        try:
            return updates(advice_fill.changes(toml))
        except InputError:
            return updates({})

    def noted(self, *values: Any) -> JsonValue:
        """What the note of the form's checkpoint gave it, and values of axes that it makes worth trying."""
        brief = Brief.of(values)
        line = notes_fill.line(brief, offering.of(brief.checkpoint.strip(), self.site.lookup), self.site.lookup)
        return {"line": line, "examples": dict(notes_fill.examples(brief.checkpoint))}

    def used(self, event: gr.EventData, *values: Any) -> list[Any]:
        """The form's fields, and what notes gave, after another tab chose the checkpoint {"name": ...}."""
        *form, given = values
        return create_words.started(form, str(event._data["name"]), given, self.site)

    def read(self, path: Path) -> list[Any]:
        """The form's fields after a picture of Sidelight or another tool; raises InputError if it says nothing."""
        return updates(create_fill.read(path).changes)


def updates(changes: dict[str, Any]) -> list[Any]:
    """What Gradio is told of each field: its new value, or nothing."""
    return [changes.get(name, gr.skip()) for name in NAMES]


def build(site: Site) -> Create:
    """The tab's parts, and what follows from what."""
    choices = offering.choices()
    with gr.Row(elem_classes="sl-split"):
        with gr.Column(scale=0, min_width=424, elem_classes="sl-form"):
            first = offering.of(choices[0][1] if choices else "", site.lookup)
            form = create_form.build(choices, first)
        with gr.Column(elem_classes="sl-stage-side"):
            stage = component("page/create.js", events=("made",), value={"demo": demo_words(site)}, name="create-stage")
    keeper = component("page/form.js", events=("ready", "seen", "dropped"), height="0", name="create-keeper")
    past = gr.State(Past(), time_to_live=HISTORY_SECONDS)
    given = gr.State(Given(), time_to_live=HISTORY_SECONDS)
    desk = Desk(site, Last(site), create_fill.folders(site))
    _follow(form, keeper, past, desk)
    _fill(form, keeper, past, given, desk)
    _note(form, keeper, given, desk)
    _make(form, stage, desk)
    return Create(form.inputs, site, given)


def _answers(form: Form, keeper: Any, past: Any) -> tuple[list[Any], list[Any]]:
    """What `desk.told` answers, and what `desk.shaped` does."""
    told = [form.readout, form.lights, form.start_zone, form.refusal, form.estimate, form.ratio]
    shaped = [form.fields[name] for name in create_words.SHAPED]
    return [*told, keeper, past, form.undo], [form.state, *shaped]


def _follow(form: Form, keeper: Any, past: Any, desk: Desk) -> None:
    """What every change of the form is answered with."""
    told, shaped = _answers(form, keeper, past)
    changes = [each.change for each in form.inputs]
    gr.on(changes, desk.told, [*form.inputs, past], told, trigger_mode="always_last", **QUICK)
    shaping = [form.fields[name] for name in ("checkpoint", "light", "true_guidance", "start", "mask")]
    changes = [each.change for each in shaping]
    gr.on(changes, desk.shaped, [*form.inputs], shaped, trigger_mode="always_last", **QUICK)


def _fill(form: Form, keeper: Any, past: Any, given: Any, desk: Desk) -> None:
    """What fills fields beside a person's typing."""
    fields = form.fields
    form.lights.choose(desk.lit, None, [fields["light"], fields["light_fields"]], **QUICK)
    form.readout.mend(desk.mended, [*form.inputs], [fields["prompt"], fields["negative"]], **QUICK)
    form.ratio.input(desk.sized, [form.ratio, fields["checkpoint"]], [fields["width"], fields["height"]], **QUICK)
    form.new_seed.click(meaning.new_seed, None, fields["seed"], **QUICK)
    start = [fields["start"], fields["mask"], form.start_zone]
    form.start_zone.dropped(desk.started, None, start, **QUICK)
    form.start_zone.cleared(desk.cleared, None, start, **QUICK)
    form.undo.click(desk.undone, past, [*form.inputs, past], **QUICK)
    keeper.dropped(desk.dropped, None, [form.was_read, *form.inputs], **QUICK)
    told, shaped = _answers(form, keeper, past)
    restored = keeper.ready(desk.restored, [*form.inputs], [*form.inputs, given, keeper], **QUICK)
    restored.then(desk.shaped, [*form.inputs], shaped, **QUICK).then(desk.told, [*form.inputs, past], told, **QUICK)
    seen = keeper.seen(desk.choices, None, fields["checkpoint"], **QUICK)
    seen.then(desk.shaped, [*form.inputs], shaped, **QUICK)


def _note(form: Form, keeper: Any, given: Any, desk: Desk) -> None:
    """What the checkpoint's note fills in once it is chosen, and the line that says so."""
    noted = [form.fields[name] for name in create_words.NOTED]
    changes = [each.change for each in noted]
    gr.on(changes, desk.noted, [*form.inputs], form.note, trigger_mode="always_last", **QUICK)
    chosen = form.fields["checkpoint"].input
    chosen(desk.chosen, [*form.inputs, given], [*form.inputs, given], **QUICK)
    keeper.dropped(desk.as_said, None, given, **QUICK)
    keeper.seen(desk.noted, [*form.inputs], form.note, **QUICK)


def _make(form: Form, stage: Any, desk: Desk) -> None:
    """Make: the seed that is taken, what is refused, and the job that the stage follows."""
    made = form.make.click(create_words.asking, None, form.refusal, **QUICK)
    made.then(desk.make, [*form.inputs], [form.fields["seed"], form.refusal, stage], **QUICK)
    stage.made(desk.estimated, [*form.inputs], form.estimate, **QUICK)
