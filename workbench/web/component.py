"""Puts one of our own components, an ES module, into a Gradio page. Knows nothing about what the component shows.

Gradio reads its templates as code, so the template is a constant without placeholders and everything is drawn by the
module: `mount(element, {value, watch, send, upload})`.
"""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr
from pydantic import JsonValue

_MOUNT = """
const place = element.querySelector(".sl-at");
const heard = [];
watch("value", () => {{ for (const hear of heard) hear(props.value); }});
const gradio = {{
    value: props.value,
    watch: (hear) => heard.push(hear),
    send: {{ {sends} }},
    upload: (file) => upload(file),
}};
import("/assets/{module}").then(({{ mount }}) => mount(place, gradio)).catch((error) => {{
    place.textContent = `This part of the page could not be loaded (${{error.message}}); reload the page.`;
}});
"""


def component(
    module: str, *, events: Sequence[str] = (), value: JsonValue = None, height: str = "100%", name: str = ""
) -> Any:
    """A `gr.HTML` whose content is drawn by `/assets/MODULE`; `events` are names that the module may send.

    `value` reaches the module once and then whenever Python sets another; `name` is its id on the page.
    """
    sends = ", ".join(f"{event}: (data) => trigger({json.dumps(event)}, data)" for event in events)
    return gr.HTML(
        value=value,
        html_template=f'<div class="sl-at" style="height: {height}"></div>',
        js_on_load=_MOUNT.format(sends=sends, module=module),
        apply_default_css=False,
        padding=False,
        container=False,
        elem_id=name or None,
        elem_classes="sl-component",
    )
