"""Addresses of the Create tab: the lights with their drawings, and the pictures made last.

    GET  /api/lights                        every template with its drawing, and the fields that can be said otherwise
    GET  /api/lights/NAME?direction=left-75 one of them with fields changed, drawn anew
    GET  /api/pictures?last=24              the pictures that were made one at a time, newest first, and their jobs

Knows nothing about forms, or about how pictures are made.
"""

from functools import lru_cache
from typing import get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pipelines import prompts
from pipelines.frozen import Frozen
from pipelines.light import FilmFormat, Hardness, Light, Pattern, Shot
from workbench.web import light_drawing
from workbench.web.last import MOST, Last
from workbench.web.site import Site

SIZE_PX = 96
LONGEST = 500  # characters of a field; the wording puts it into one sentence
CHOICES = {"shot": get_args(Shot), "hardness": get_args(Hardness), "pattern": get_args(Pattern),
           "film_format": get_args(FilmFormat)}  # fmt: skip
DIRECTIONS = ("front", *(f"{side}-{at}" for side in ("left", "right") for at in range(15, 180, 15)), "back")


class LightAnswer(Frozen):
    """A light with its drawing as SVG text; `values` are the fields that are said, as a person writes them."""

    name: str
    title: str
    about: str
    subject: str
    told: str
    svg: str
    values: dict[str, str]


class FieldAnswer(Frozen):
    """A field of a light: its meaning on one line, what it takes, and what can be chosen or is near at hand."""

    name: str
    kind: str
    meaning: str
    choices: tuple[str, ...] = ()
    is_free: bool = True


class LightsAnswer(Frozen):
    """All templates in the order of their names, and all fields in the order in which they are said."""

    lights: tuple[LightAnswer, ...]
    fields: tuple[FieldAnswer, ...]


def routes(site: Site) -> list[BaseRoute]:
    """The three addresses; those without `async` run on threads."""
    last = Last(site)

    def pictures(request: Request) -> Response:
        asked = request.query_params.get("last", str(MOST))
        if not (asked.isascii() and asked.isdigit() and 1 <= int(asked) <= MOST):
            raise HTTPException(422, f"last {asked[:20]!r} is no number from 1 to {MOST}; give one")
        return _model(last.answer(int(asked)))

    return [Route("/api/lights", _lights), Route("/api/lights/{name}", _light), Route("/api/pictures", pictures)]


def _lights(_: Request) -> Response:
    lights = tuple(_answer(light) for light in prompts.templates().values())
    return _model(LightsAnswer(lights=lights, fields=_fields()))


def _light(request: Request) -> Response:
    fields = {name: text[:LONGEST] for name, text in request.query_params.items()}
    return _model(_answer(prompts.resolve(request.path_params["name"], "", fields)))


def _fields() -> tuple[FieldAnswer, ...]:
    return tuple(
        FieldAnswer(
            name=name,
            kind=prompts.KINDS[name],
            meaning=meaning,
            choices=DIRECTIONS if name == "direction" else CHOICES.get(name, ()),
            is_free=name not in CHOICES,
        )
        for name, meaning in prompts.FIELDS.items()
    )


@lru_cache(maxsize=256)
def _answer(light: Light) -> LightAnswer:
    """Drawn once for every light: a drawing takes some 40 ms."""
    said = {name: getattr(light, name) for name in prompts.FIELDS}
    return LightAnswer(
        name=light.name,
        title=light.title,
        about=light.about,
        subject=light.subject,
        told=prompts.described(light).partition(": ")[2],
        svg=light_drawing.svg(light, size_px=SIZE_PX),
        values={name: _text(value) for name, value in said.items() if value not in (None, ())},
    )


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _model(model: Frozen) -> Response:
    return Response(model.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})
