"""The Runs tab: every run on the disk with its report at the left, the queue at the right. Knows nothing about either.

Both are drawn by components that ask the page's routes, so there is nothing here to call back.
"""

import gradio as gr

from workbench.web.component import component
from workbench.web.site import Site


def build(_: Site) -> None:
    """Lay the tab out, inside its `gr.Tab`."""
    with gr.Row(elem_classes="sl-beside"):
        component("page/runs.js", name="runs")
        component("page/queue.js", name="queue")
