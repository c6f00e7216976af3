"""The fields of the Create tab, as Gradio draws them. Knows nothing about what they mean or what follows from them.

One field for every value of a `Brief`, in its order; what is chosen by drawing or dropping has a hidden field.
"""

from dataclasses import dataclass
from typing import Any, get_args

import gradio as gr

from pipelines.recipe import Spacing
from workbench.web.brief import MOST_PICTURES, NAMES, REFERENCE
from workbench.web.component import component
from workbench.web.offer import Offer

AS_LIKED = "as the checkpoint likes it"
SPACINGS = [("as shipped", ""), *((name, name) for name in get_args(Spacing))]


@dataclass(frozen=True)
class Form:
    """The fields by name, and what stands between them: own parts, and buttons."""

    fields: dict[str, Any]
    state: Any
    note: Any
    lights: Any
    readout: Any
    ratio: Any
    start_zone: Any
    new_seed: Any
    estimate: Any
    make: Any
    undo: Any
    refusal: Any
    was_read: Any

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The fields in the order of a Brief."""
        return tuple(self.fields[name] for name in NAMES)


def build(choices: list[tuple[str, str]], first: Offer) -> Form:
    """The form, inside the column that is open; `choices` are checkpoints as (label, name)."""
    fields: dict[str, Any] = {}
    was_read = component("page/read.js", height="auto")
    fields["checkpoint"] = gr.Dropdown(
        choices, value=first.name, label="Checkpoint", allow_custom_value=True, elem_id="create-checkpoint"
    )
    state = component("page/line.js", height="auto")
    note = component("page/line.js", height="auto", name="create-note")
    lights = component("page/lights.js", events=("choose",), height="auto")
    fields |= {"light": _hidden("light"), "light_fields": _hidden("light_fields")}
    fields["subject"] = _text("Who", 2, "a woman with short grey hair", visible=False)
    fields["prompt"] = _text("Prompt", 4, "close-up photograph of a woman, window light from the left")
    fields["negative"] = _text("Negative", 1, 'what is not wanted; "" is the empty text')
    readout = component("page/readout.js", events=("mend",), height="auto")
    ratio, numbers = _numbers()
    fields |= numbers
    with gr.Row(elem_classes="sl-seed-row"):
        fields["seed"] = gr.Textbox(
            label="Seed", placeholder="another each time", max_lines=1, min_width=90, elem_id="create-seed"
        )
        new_seed = gr.Button("New", size="sm", scale=0, min_width=44, elem_classes="sl-low")
        fields["keep_seed"] = gr.Checkbox(label="Keep", container=False, elem_classes="sl-low", elem_id="create-keep")
    fields["scheduler"] = gr.Dropdown(
        [(AS_LIKED, "")], value="", label="Scheduler", allow_custom_value=True, elem_id="create-scheduler"
    )
    fields["loras"] = gr.Textbox(
        label="LoRAs", placeholder="none; or film:0.8+skin:0.5", max_lines=1, elem_id="create-loras"
    )
    with gr.Row(elem_classes="sl-start-row"):
        start_zone = component("page/start.js", events=("dropped", "cleared"), height="auto")
        fields["strength"] = gr.Textbox(
            REFERENCE, label="Strength", max_lines=1, min_width=72, scale=0, elem_id="create-strength"
        )
    fields |= {"start": _hidden("start"), "mask": _hidden("mask")}
    fields |= _advanced(first.fields)
    estimate, make, undo, refusal = _foot()
    return Form(
        fields, state, note, lights, readout, ratio, start_zone, new_seed, estimate, make, undo, refusal, was_read
    )


def _foot() -> tuple[Any, Any, Any, Any]:
    """What stays at the bottom of the form: Make, what it will take, Undo."""
    with gr.Column(elem_classes="sl-make-foot"):
        refusal = component("page/line.js", height="auto")
        with gr.Row(elem_classes="sl-make-row"):
            make = gr.Button("Make picture", variant="primary", scale=0, min_width=112, elem_id="create-make")
            estimate = component("page/line.js", height="auto")
            undo = gr.Button("Undo", size="sm", scale=0, min_width=56, interactive=False, elem_id="create-undo")
    return estimate, make, undo, refusal


def _numbers() -> tuple[Any, dict[str, Any]]:
    """The ratio, which only sets width and height, and the numbers that every picture has."""
    found: dict[str, Any] = {}
    with gr.Row():
        ratio = gr.Dropdown(label="Ratio", scale=2, min_width=150, filterable=False, elem_id="create-ratio")
        found["width"] = _number("Width")
        found["height"] = _number("Height")
    with gr.Row():
        found["steps"] = _number("Steps")
        found["guidance"] = _number("Guidance")
        found["pictures"] = gr.Dropdown(
            [(str(many), many) for many in range(1, MOST_PICTURES + 1)], value=1, label="Pictures", min_width=72,
            filterable=False, elem_id="create-pictures",
        )  # fmt: skip
    return ratio, found


def _advanced(offered: frozenset[str]) -> dict[str, Any]:
    """What is seldom set; only what the checkpoint has is seen."""
    found: dict[str, Any] = {}

    def number(name: str, placeholder: str) -> None:
        label = name.replace("_", " ").capitalize()
        found[name] = _number(label, placeholder, visible=name in offered)

    with gr.Accordion("Advanced", open=False):
        with gr.Row():
            number("true_guidance", "1 is off")
            number("guidance_interval", "0..1 of the steps")
        with gr.Row():
            number("clip_skip", "0 layers")
            found["spacing"] = gr.Dropdown(SPACINGS, value="", label="Spacing", filterable=False, min_width=100,
                                           visible="spacing" in offered or "hidden")  # fmt: skip
            number("text_tokens", "up to 512")
    return found


def _text(label: str, lines: int, placeholder: str, *, visible: bool = True) -> Any:
    return gr.Textbox(
        label=label, lines=lines, max_lines=8, placeholder=placeholder, visible=visible or "hidden",
        elem_id=f"create-{label.lower()}",
    )  # fmt: skip


def _number(label: str, placeholder: str = "", *, visible: bool = True) -> Any:
    return gr.Textbox(
        label=label, placeholder=placeholder, max_lines=1, min_width=72, visible=visible or "hidden",
        elem_id=f"create-{label.lower().replace(' ', '-')}",
    )  # fmt: skip


def _hidden(name: str) -> Any:
    return gr.Textbox(visible="hidden", elem_id=f"create-{name}", label=name)


def shaped(offer: Offer, *, has_light: bool, is_true_guided: bool, mode: Any) -> dict[str, Any]:
    """What changes in the fields with checkpoint, light and start image: what is shown, and its defaults."""
    likes = offer.defaults
    shown = {
        name: name in offer.fields for name in ("guidance", "true_guidance", "clip_skip", "spacing", "text_tokens")
    }
    is_guided = offer.family != "flux" or is_true_guided
    shown |= {name: name in offer.fields and is_guided for name in ("negative", "guidance_interval")}
    changes = {name: gr.update(visible=is_shown or "hidden") for name, is_shown in shown.items()}
    changes |= {
        "subject": gr.update(visible=has_light or "hidden"),
        "prompt": gr.update(visible="hidden" if has_light else True),
    }
    for name in ("width", "height", "steps", "guidance"):
        text = f"{getattr(likes, name):g}" if likes else "its own"
        changes[name] = gr.update(placeholder=text, visible=shown.get(name, True) or "hidden")
    if likes and likes.text_tokens:
        changes["text_tokens"] = gr.update(placeholder=str(likes.text_tokens), visible=shown["text_tokens"] or "hidden")
    liked = f"{AS_LIKED} ({likes.scheduler})" if likes else AS_LIKED
    names = [(name, name) for name in offer.schedulers(mode)]
    return changes | {"scheduler": gr.update(choices=[(liked, ""), *names])}
