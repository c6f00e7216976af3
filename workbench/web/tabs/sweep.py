"""The Sweep tab: what stands in its builder becomes a Sweep, a Sweep becomes a job. Knows nothing about how pictures
are made, or about how the builder looks (`page/sweep.js`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gradio as gr
from pydantic import JsonValue

import sweeps
from pipelines.draft import LIGHT
from pipelines.errors import SidelightError
from pipelines.prompts import FIELDS
from sweeps.axes import KINDS, REPLACE_FORM, grammar
from sweeps.sweep import REPLACE, parse_toml
from workbench.jobs import OVERNIGHT
from workbench.web.answers import one_line
from workbench.web.asking import begin
from workbench.web.component import component
from workbench.web.outlook import Built, built_of, outlook, sweep_of
from workbench.web.pace import WHERE
from workbench.web.site import Site

DEMO = Path(sweeps.__file__).parent / "demo.toml"
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Often": ("guidance", "steps", "scheduler", "seed", "prompt", REPLACE),
    "Light": ("light", "subject", *(LIGHT + name for name in FIELDS)),
    "Model": ("checkpoint", "loras", "clip_skip", "text_tokens"),
    "Picture": ("width", "height", "strength", "negative", "variation"),
    "Guidance and steps, further": ("true_guidance", "guidance_interval", "spacing"),
}
EXAMPLES: Mapping[str, str] = {
    "guidance": "2..9:1",
    "steps": "10..40:5",
    "scheduler": "euler, DPM++ 2M Karras",
    "seed": "1..4:1",
    "prompt": "one prompt a line",
    REPLACE: REPLACE_FORM.strip("'"),
    "light": "window, raking",
    "subject": "one subject a line",
    "checkpoint": "demo-sdxl, demo-flux",
    "loras": "none, film:0.4..1:0.2",
    "clip_skip": "0, 1",
    "text_tokens": "256, 512",
    "width": "512, 640",
    "height": "640, 512",
    "strength": "0.4..0.6:0.05",
    "negative": "one a line",
    "variation": "0..3:1",
    "true_guidance": "1, 2, 3",
    "guidance_interval": "0..1, 0.2..0.8",
    "spacing": "leading, trailing",
    "light.direction": "left-75, left-45, front, right-45",
    "light.hardness": "hard, medium, soft",
    "light.pattern": "loop, rembrandt, split",
    "light.fill_stops": "1, 2, 3",
    "light.lens_mm": "50, 85, 135",
    "light.age_years": "25, 45, 70",
}
TITLES = {REPLACE: "words replaced"}
"""Of fields that are not called by their own name."""
QUICK: Mapping[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}


class Base(Protocol):
    """What stands in another tab: its fields on the page, and the flags that their values mean."""

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The fields, in a fixed order."""

    def given(self, *values: Any) -> dict[str, list[str]]:
        """The texts of flags by field; raises InputError."""

    def noted(self, *values: Any) -> JsonValue:
        """{"line", "examples"}: what a note gave the fields, and values of axes that it makes worth trying."""


@dataclass(frozen=True)
class SweepTab:
    """The tab on the page: `part` is its one component, which hears and tells all."""

    part: Any


def build(site: Site, create: Base) -> SweepTab:
    """The tab's parts; what stands in Create is the base of every sweep that does not come with its own."""
    desk = _Desk(site, create)
    value: JsonValue = {"groups": groups(), "demo": demo_words(site)}
    part = component("page/sweep.js", events=("asked", "start", "read", "demo"), value=value, name="sweep")
    part.asked(desk.asked, inputs=[*create.inputs], outputs=part, trigger_mode="always_last", **QUICK)
    part.start(desk.start, inputs=[*create.inputs], outputs=part, **QUICK)
    part.read(desk.read, outputs=part, **QUICK)
    part.demo(desk.demo, outputs=part, **QUICK)
    return SweepTab(part)


def groups() -> list[JsonValue]:
    """What can vary, in groups, each with an example of values."""
    return [[title, [_field(name) for name in names]] for title, names in GROUPS.items()]


def demo_words(site: Site) -> str:
    """How large the demo sweep is: "24 pictures, about 55 s"."""
    told = outlook(_demo(), {}, site.lookup)
    return f"{told.places} pictures, {told.time}" + (f" {WHERE}" if told.time_by == WHERE else "")


def _field(name: str) -> JsonValue:
    kind = "text" if name == REPLACE else KINDS[name]
    meaning = FIELDS.get(name.removeprefix(LIGHT), "")
    return {
        "name": name,
        "title": TITLES.get(name, name.replace("_", " ").replace(".", ": ")),
        "example": EXAMPLES.get(name) or ("one a line" if kind == "text" else meaning),
        "is_text": kind == "text" and name != REPLACE,
        "help": meaning or grammar(),
    }


def _demo() -> Built:
    return built_of(parse_toml(DEMO.read_text(), name=DEMO.name), base_name="the demo sweep")


class _Desk:
    """Answers what the tab's component sends; every answer is data for `page/sweep.js`."""

    def __init__(self, site: Site, create: Base) -> None:
        self._site, self._create = site, create

    def asked(self, event: gr.EventData, *values: Any) -> JsonValue:
        """What the sweep in the builder would be."""
        turn = int(event._data["turn"])
        try:
            built = Built.read(event._data["built"])
            given = self._create.given(*values) if built.base is None else {}
        except SidelightError as error:
            return {"turn": turn, "refused": one_line(str(error))}
        told = outlook(built, given, self._site.lookup).model_dump(mode="json")
        return {"turn": turn, "outlook": told, "note": self._create.noted(*values) if built.base is None else {}}

    def start(self, event: gr.EventData, *values: Any) -> JsonValue:
        """Queue it behind what waits."""
        turn = int(event._data["turn"])
        try:
            built = Built.read(event._data["built"])
            given = self._create.given(*values) if built.base is None else {}
            job = begin(self._site, sweep_of(built, given), priority=OVERNIGHT, numerics=built.numerics)
        except SidelightError as error:
            return {"turn": turn, "refused": one_line(str(error))}
        before = len(self._site.queue.jobs("waiting", "running")) - 1
        said = f"{job.cells} pictures are queued" + (f" behind {before} other jobs" if before > 0 else "")
        return {"turn": turn, "started": job.folder.name, "said": said}

    def read(self, event: gr.EventData) -> JsonValue:
        """Fill the builder from a file that was dropped or chosen."""
        name = str(event._data["name"])[:80]
        try:
            built = built_of(parse_toml(str(event._data["text"]), name=name), base_name=name)
        except SidelightError as error:
            return {"refused": one_line(str(error)), "turn": event._data["turn"]}
        return {"built": built.model_dump(mode="json"), "turn": event._data["turn"]}

    def demo(self, event: gr.EventData) -> JsonValue:
        """Fill the builder with the demo sweep; the component starts it if that is what was asked."""
        asked = event._data
        built = _demo().model_dump(mode="json")
        return {"built": built, "turn": asked["turn"], "is_started": bool(asked["is_started"])}
