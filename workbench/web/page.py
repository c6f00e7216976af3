"""The page: a header, eight tabs, and the bridge by which one tab hands a picture to another.

Knows nothing about what is in a tab, and loads no torch.
"""

import os
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before Gradio is read: it would ask the network for its version

import gradio as gr

from workbench.web.component import component
from workbench.web.notes_fill import Given
from workbench.web.site import Site
from workbench.web.tabs import compare, create, doctor, face, models, notes, runs, sweep

ASSETS = Path(__file__).parent
QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
FIRST, LAST = "components/tokens.css", "page/page.css"


def page(site: Site) -> gr.Blocks:
    """The page's blocks, to be mounted by `serve`."""
    blocks: gr.Blocks
    with gr.Blocks(title="Sidelight", fill_width=True, analytics_enabled=False, delete_cache=(3600, 86400)) as blocks:
        with gr.Row(elem_id="head"):
            component("page/pill.js", height="auto", name="pill")
        with gr.Tabs(selected="create", elem_id="tabs"):
            with gr.Tab("Create", id="create", elem_id="tab-create"):
                made = create.build(site)
            with gr.Tab("Face", id="face", elem_id="tab-face"):
                face.build(site)
            with gr.Tab("Sweep", id="sweep", elem_id="tab-sweep"):
                sweep.build(site, made)
            with gr.Tab("Compare", id="compare", elem_id="tab-compare"):
                compare.build(site)
            with gr.Tab("Runs", id="runs", elem_id="tab-runs"):
                runs.build(site)
            with gr.Tab("Notes", id="notes", elem_id="tab-notes"):
                noted = notes.build(site)
            with gr.Tab("Models", id="models", elem_id="tab-models"):
                listed = models.build(site)
            with gr.Tab("Doctor", id="doctor", elem_id="tab-doctor"):
                doctor.build(site)
        bridge: Any = component("page/page.js", events=("hand",), height="0", name="bridge")

        def handed(event: gr.EventData) -> list[Any]:
            asked = event._data
            target, run, key = str(asked["target"]), str(asked["run"]), str(asked["key"])
            if toml := str(asked.get("toml") or ""):
                return made.asked(toml)
            return made.handed(target, site, run, key)

        said = bridge.hand(handed, outputs=[*made.inputs], **QUICK)
        said.then(Given, outputs=made.from_notes, **QUICK)  # what a picture says is no note's
        for part in (listed, noted):
            form = [*made.inputs, made.from_notes]
            part.use(made.used, inputs=form, outputs=form, **QUICK)
    return blocks


def head() -> str:
    """What goes into the page's head: our styles, and the module that the parts share."""
    found = sorted(f"{each.parent.name}/{each.name}" for each in ASSETS.glob("*/*.css"))
    styles = [FIRST, *(each for each in found if each not in (FIRST, LAST)), LAST]
    links = [f'<link rel="stylesheet" href="/assets/{style}">' for style in styles]
    return "\n".join([*links, '<script type="module" src="/assets/page/page.js"></script>'])
