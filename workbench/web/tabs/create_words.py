"""What the Create tab answers to what is typed, chosen, dropped and asked for. Knows nothing about how it is drawn.

Every method is a callback: values of the form in, values of parts out.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import Any

import gradio as gr

from pipelines.draft import Taken
from pipelines.errors import InputError, SidelightError
from pipelines.images import open_image
from pipelines.lint import lint
from pipelines.recipe import Recipe
from workbench.jobs import INTERACTIVE
from workbench.web import asking as queueing
from workbench.web import brief as meaning
from workbench.web import notes_fill
from workbench.web import offer as offering
from workbench.web import readout as reading
from workbench.web.answers import one_line
from workbench.web.brief import NAMES, Brief, Past
from workbench.web.last import Last
from workbench.web.notes_fill import Given
from workbench.web.offer import Offer
from workbench.web.pace import WHERE, demo_seconds
from workbench.web.site import Site
from workbench.web.tabs import create_fill
from workbench.web.tabs.create_form import shaped

SHAPED = ("subject", "prompt", "negative", "width", "height", "steps", "guidance", "scheduler", "true_guidance",
          "guidance_interval", "clip_skip", "spacing", "text_tokens")  # fmt: skip
NOTED = ("checkpoint", "light", "light_fields", "prompt", "negative", "steps", "guidance", "scheduler")
"""Fields on which it depends what is said of the checkpoint's note."""


class Desk:
    """The callbacks over one site."""

    def __init__(self, site: Site, last: Last, folders: Sequence[Path]) -> None:
        self._site, self._last, self._folders = site, last, folders

    # ---- following the form

    def told(self, *values: Any) -> list[Any]:
        """Readout, lights, start image, refusal, estimate, ratio, what the browser keeps, the past, and Undo."""
        *form, past = values
        brief, began = Brief.of(form), monotonic()
        offer = self._offer(brief)
        readout = reading.read(brief, offer, SIZES)
        now = past.with_now(tuple(form), began)
        light = {"light": brief.light, "fields": brief.said_of_light, "fault": "" if readout.prompt else readout.fault}
        return [
            readout.as_json(),
            light,
            self._start(brief),
            *self._estimate(brief, offer, readout.fault),
            gr.update(choices=_ratios(offer), value=_ratio_of(brief, offer)),
            {"form": dict(zip(NAMES, brief.values, strict=True)), "fault_at": _field_of(readout.fault)},
            replace(now, at=monotonic()),
            gr.update(interactive=len(now.forms) > 1),
        ]

    def estimated(self, *values: Any) -> dict[str, Any]:
        """The estimate anew: a picture was made just now, and how long it took is known."""
        brief = Brief.of(values)
        offer = self._offer(brief)
        return self._estimate(brief, offer, reading.read(brief, offer, SIZES).fault)[1]

    def shaped(self, *values: Any) -> list[Any]:
        """The line under the checkpoint, and the fields of `SHAPED`."""
        brief = Brief.of(values)
        offer = self._offer(brief)
        mode: Any = "inpaint" if brief.mask else "img2img" if brief.start else "text-to-image"
        is_true_guided = meaning.is_heard("negative", brief, offer)
        changes = shaped(offer, has_light=bool(brief.light), is_true_guided=is_true_guided, mode=mode)
        line = {
            "text": offer.state if offer.can_pull or not offer.fault else offer.fault,
            "is_fault": bool(offer.fault),
        }
        line |= {"label": "Download", "tab": "models"} if offer.can_pull else {}
        return [line, *(changes[name] for name in SHAPED)]

    def choices(self) -> Any:
        """The checkpoints anew: something may have been downloaded."""
        return gr.update(choices=offering.choices())

    def noted(self, *values: Any) -> dict[str, Any]:
        """The line that says what comes from the checkpoint's note."""
        brief = Brief.of(values)
        return notes_fill.line(brief, self._offer(brief), self._site.lookup)

    # ---- filling it

    def chosen(self, *values: Any) -> list[Any]:
        """The fields that the note of the checkpoint changes that was just chosen, and what notes gave."""
        *form, given = values
        return started(form, Brief.of(form).checkpoint, given, self._site)

    def as_said(self) -> Given:
        """What a picture says is said: no note's value gives way for it."""
        return Given()

    def lit(self, event: gr.EventData) -> tuple[str, str]:
        """Light and changed fields, as the drawings sent them."""
        return create_fill.lit(event._data)

    def mended(self, *values: Any) -> tuple[str, str]:
        """Prompt and negative with the remarks heeded."""
        brief = Brief.of(values)
        offer = self._offer(brief)
        if offer.family is None:
            return brief.prompt, brief.negative
        said = meaning.words_of(brief, offer, offer.family)
        again = reading.mended(brief, lint(said.prompt, offer.family, said.negative).after)
        return again.prompt, again.negative

    def sized(self, ratio: str, checkpoint: str) -> tuple[str, str]:
        """Width and height of a ratio."""
        size = self._offer(Brief(checkpoint=checkpoint)).sizes().get(ratio)
        return (str(size[0]), str(size[1])) if size else ("", "")

    def started(self, event: gr.EventData) -> list[Any]:
        """Start image, mask, and the zone, after a picture was dropped there."""
        path = str(event._data.get("path", ""))
        try:
            meaning.refuse_elsewhere(path, self._folders)
            taken(Path(path))
        except InputError as error:
            said = str(error).replace(path, str(event._data.get("name", "it"))) if path else "it could not be sent"
            return [gr.skip(), gr.skip(), {"fault": one_line(said)}]
        return [path, "", gr.skip()]

    def cleared(self) -> list[Any]:
        """No start image."""
        return ["", "", {}]

    def undone(self, past: Past) -> list[Any]:
        """The form as it was before the last change, and the past that is left."""
        forms = past.forms
        return [*forms[-2], Past(forms[:-1])] if len(forms) > 1 else [gr.skip()] * (len(NAMES) + 1)

    def dropped(self, event: gr.EventData) -> list[Any]:
        """What a dropped picture says, and the form filled with it."""
        try:
            path = Path(str(event._data.get("path", "")))
            meaning.refuse_elsewhere(str(path), self._folders)
            found = create_fill.read(path)
        except InputError as error:
            said = str(error).replace(str(event._data.get("path", "")), str(event._data.get("name", "this picture")))
            return [{"fault": one_line(said)}, *([gr.skip()] * len(NAMES))]
        return [found.told, *(found.changes.get(name, gr.skip()) for name in NAMES)]

    def restored(self, event: gr.EventData, *values: Any) -> list[Any]:
        """The form as this browser kept it, unless somebody was faster and has begun to fill it."""
        now = Brief.of(values)
        kept = event._data.get("form")
        is_new = now == Brief(checkpoint=now.checkpoint)
        brief = Brief.kept(kept) if isinstance(kept, dict) else replace(meaning.FIRST, checkpoint=now.checkpoint)
        if not is_new or isinstance(kept, dict):
            fields = list(brief.values) if is_new else [gr.skip()] * len(NAMES)
            return [*fields, Given(), {"is_ready": True}]
        first, given = notes_fill.filled(brief, Given(), self._offer(brief))
        return [*first.values, given, {"is_ready": True}]

    # ---- making

    def make(self, *values: Any) -> list[Any]:
        """The seed that was taken, what was refused, and the job."""
        brief = Brief.of(values)
        if not brief.keep_seed:
            brief = replace(brief, seed=meaning.new_seed())
        try:
            meaning.refuse_elsewhere(brief.start, self._folders)
            job = queueing.begin(self._site, meaning.sweep(brief, self._offer(brief)), priority=INTERACTIVE)
        except SidelightError as error:
            return [gr.skip(), {"text": one_line(str(error)), "is_fault": True}, gr.skip()]
        return [brief.seed, {}, {"job": job.id, "run": job.folder.name}]

    # ---- parts

    def _offer(self, brief: Brief) -> Offer:
        return offering.of(brief.checkpoint.strip(), self._site.lookup)

    def _estimate(self, brief: Brief, offer: Offer, fault: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What keeps the picture from being made, and how long it will take."""
        if fault:
            said = f"{offer.name} is not whole here: press Download under it" if offer.can_pull else fault
            return {"text": said, "is_fault": True}, {}
        recipe: Recipe = reading.settled_draft(brief, offer, SIZES).recipe
        seconds = self._last.seconds(recipe)
        if seconds is not None:
            return {}, {"text": f"about {_span(seconds * brief.pictures)}, by the last one like it"}
        guess = demo_seconds([recipe])
        told = "" if guess is None else f"about {_span(guess * brief.pictures)} {WHERE}; "
        return {}, {"text": f"{told}Ctrl Enter makes it too"}

    def _start(self, brief: Brief) -> dict[str, Any]:
        if not brief.start:
            return {}
        try:
            size = taken(Path(brief.start))
        except InputError as error:
            return {"fault": one_line(str(error))}
        masked = ", with its mask" if brief.mask else ""
        told = f"{size.width} × {size.height}{masked}; 0.4 to 0.6 keeps the face"
        return {"url": create_fill.address(brief.start, self._site), "told": told}


def started(form: Sequence[Any], checkpoint: str, given: Given, site: Site) -> list[Any]:
    """The fields of a form whose checkpoint was just chosen, as its note changes them, and what notes gave."""
    brief = replace(Brief.of(form), checkpoint=checkpoint)
    filled, now = notes_fill.filled(brief, given, offering.of(checkpoint.strip(), site.lookup))
    fields = zip(form, filled.values, strict=True)
    return [*(gr.skip() if before == after else after for before, after in fields), now]


def asking() -> dict[str, Any]:
    """Told at once, because a checkpoint that is new here is read whole before the picture is queued."""
    return {"text": "is being queued; a checkpoint that is used for the first time is checked before"}


def _field_of(fault: str) -> str:
    """The field that a fault begins with, if it does; it is marked beside the line that says what is wrong."""
    first = fault.partition(" ")[0]
    return first if first in NAMES else ""


class Sizes:
    """The images of the form: only how large they are is asked for while somebody types."""

    def take(self, path: Path) -> Taken:
        """An image's size, without its content hash; raises InputError."""
        return taken(path)

    def paint(self, start: Path, expression: str) -> Taken:
        """Refused: faces are not looked for while somebody types. Raises InputError."""
        raise InputError(f"mask {expression!r} names parts of a face; choose them in the Face tab")


SIZES = Sizes()


def taken(path: Path) -> Taken:
    """An image's size; its hash is not asked for. Raises InputError."""
    try:
        stamp = path.stat().st_mtime_ns
    except OSError:
        raise InputError(f"{path} is gone; drop the picture again") from None
    return _taken(path, stamp)


@lru_cache(maxsize=64)
def _taken(path: Path, _changed_ns: int) -> Taken:
    image = open_image(path)
    return Taken("0" * 64, image.width, image.height)


def _ratios(offer: Offer) -> list[tuple[str, str]]:
    return [(f"{name}   {wide} × {high}", name) for name, (wide, high) in offer.sizes().items()]


def _ratio_of(brief: Brief, offer: Offer) -> str | None:
    likes = offer.defaults
    own = (likes.width, likes.height) if likes else offer.sizes()["1:1"]
    size = (brief.width or str(own[0]), brief.height or str(own[1]))
    return next((name for name, (w, h) in offer.sizes().items() if (str(w), str(h)) == size), None)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
