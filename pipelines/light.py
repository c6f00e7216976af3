"""Light: a filled side-light template, every field a photographic axis, and which of them exclude each other.

Knows nothing about words: how a Light is said to a model family stands in `wording.toml` and `prompts.py`.
Left and right are those of the picture. Angles are counted from the camera's axis, 0 = from the camera, 90 = straight
from the side, 180 = from behind; heights from the eyes.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipelines.frozen import LABEL, Frozen

Shot = Literal[
    "extreme close-up", "close-up", "head and shoulders", "half-length", "three-quarter length", "full length"
]
Hardness = Literal["hard", "hard with soft roll-off", "medium", "soft", "very soft"]
Pattern = Literal["butterfly", "loop", "rembrandt", "split", "rim"]
FilmFormat = Literal["super 35", "full frame", "medium format", "large format"]
Side = Literal["left", "right"]

FRAMED_CM: Mapping[Shot, float] = {
    "extreme close-up": 20,
    "close-up": 32,
    "head and shoulders": 55,
    "half-length": 90,
    "three-quarter length": 140,
    "full length": 195,
}
"""What the height of the picture holds of a standing person: brow to chin, head, to the chest, waist, knees, feet."""

CROP: Mapping[FilmFormat, float] = {
    "super 35": 43.27 / 31.14,
    "full frame": 1,
    "medium format": 43.27 / 69.7,
    "large format": 43.27 / 152.7,
}
"""Full-frame diagonal (36 x 24 mm) by that of 24.9 x 18.7, 36 x 24, 56 x 41.5 and 120 x 94.5 mm."""

PATTERN_DEGREES: Mapping[Pattern, tuple[int, int]] = {
    "butterfly": (0, 15),
    "loop": (20, 50),
    "rembrandt": (30, 65),
    "split": (75, 105),
    "rim": (110, 170),
}
"""Where the key has to stand for the shadow to have that shape."""

# Seen from the face, in degrees. The sun is 0.5, a bare bulb at 2 m 2, a 60 cm softbox at 1.2 m 28, a window beside
# the face 60 and more. Between the limits it is a matter of taste, which nobody refuses.
WIDEST_HARD = 40
NARROWEST_SOFT = 6
LENS_SLACK = 1.7  # framing is loose language: only what is further off than this is a slip
LONG_SIDE_MM, SHORT_SIDE_MM = 36, 24


def _plain(text: str) -> str:
    if text != text.strip() or len(text.splitlines()) != 1 or any(ord(sign) < 32 for sign in text):
        raise ValueError("must be words on one line, without blanks around them")
    if text[-1] in ".,;:":
        raise ValueError(f"ends with {text[-1]!r}; leave it out, the sentence is built around these words")
    return text


def _direction(text: str) -> str:
    found = re.fullmatch(r"(left|right)-([0-9]{1,3})", text)
    if text in ("front", "back") or (found and 1 <= int(found[2]) <= 179):
        return f"{found[1]}-{int(found[2])}" if found else text
    raise ValueError(
        "must be front, back, left-DEGREES or right-DEGREES with 1 to 179 from the camera's axis, as left-45 (left of "
        "the picture; 90 = straight from the side)"
    )


def _items(value: Any) -> Any:
    """On the command line the forbidden things are one text, parted by semicolons."""
    return tuple(item.strip() for item in value.split(";") if item.strip()) if isinstance(value, str) else value


Plain = Annotated[str, AfterValidator(_plain)]
Direction = Annotated[str, AfterValidator(_direction)]


def _number(low: float, high: float, unit: str, meaning: str) -> Any:
    return Field(default=None, ge=low, le=high, description=f"{meaning} ({unit}, {low:g} to {high:g})")


def _choice(choices: Any, meaning: str) -> Any:
    return Field(default=None, description=f"{meaning}: {', '.join(get_args(choices))}")


def _text(meaning: str) -> Any:
    return Field(default=None, description=meaning)


class Light(Frozen):
    """A filled side-light template. None = not said; every other value is said to the model, so each is an axis.

    Raises pydantic's ValidationError for what contradicts itself; use `Light.read` for data from outside.
    """

    name: str = Field("", json_schema_extra=LABEL)
    title: str = Field("", json_schema_extra=LABEL)
    about: str = Field("", json_schema_extra=LABEL)
    subject: Plain = Field("a person", description="Who: 'a woman with short grey hair'")
    age_years: float | None = _number(1, 110, "years", "Age, said as 'about 72 years of age'")
    skin: Plain | None = _text("Tone and kind of the skin, after 'with': 'dark skin', 'light skin, freckles'")
    makeup: Plain | None = _text("Make-up, after 'the make-up is'")
    hair: Plain | None = _text("Hair, after 'the hair is'")
    texture: Plain | None = _text("Texture language: what the skin shows, 'visible pores, fine lines'")

    shot: Shot | None = _choice(Shot, "How much of the person the picture holds")
    margin_percent: float | None = _number(1, 80, "%", "Framed so much wider than the shot, to crop later")
    camera_height_cm: float | None = _number(-120, 120, "cm", "Camera above (+) or below (-) the eyes")
    camera_distance_m: float | None = _number(0.2, 30, "m", "Camera to face")
    lens_mm: float | None = _number(8, 1200, "mm", "Focal length as engraved on the lens")
    film_format: FilmFormat | None = _choice(FilmFormat, "Film or sensor behind the lens; full frame if not said")
    anamorphic: float | None = _number(
        1.25, 2, "x", "Squeeze of an anamorphic lens; never part of the texture language"
    )

    direction: Direction | None = _text("Where the key stands: left-45, right-75, front, back (left of the picture)")
    key_height_deg: float | None = _number(-45, 80, "degrees", "Key above (+) or below (-) the eyes")
    tilt_deg: float | None = _number(0, 80, "degrees", "Source tipped down from upright")
    pattern: Pattern | None = _choice(Pattern, "Shape the shadow draws on the face")
    hardness: Hardness | None = _choice(Hardness, "Edge of the shadows")
    source: Plain | None = _text("What the light comes from: 'a tall window with a thin white curtain'")
    source_cm: float | None = _number(0.5, 2000, "cm", "Width of the source")
    source_distance_m: float | None = _number(0.1, 100, "m", "Source to face")
    fill_stops: float | None = _number(0, 8, "stops", "How far the shadow side lies under the lit side")
    fill: Plain | None = _text("What lifts the shadows, after 'filled by': 'the pale walls of the room'")
    colour_k: float | None = _number(1200, 20000, "K", "Colour temperature of the key")
    colour: Plain | None = _text("Colour of the key where kelvin cannot say it: 'magenta from the tube'")
    skin_stops: float | None = _number(-4, 4, "stops", "Where the lit skin is exposed, against middle grey")

    background: Plain | None = _text("What is behind: 'dark background'")
    background_distance_m: float | None = _number(0, 1000, "m", "Person to background")
    place: Plain | None = _text("Where, with its preposition: 'in a narrow kitchen'")
    hour: Plain | None = _text("When, with its preposition: 'late on a November afternoon'")
    feel: Plain | None = _text("What the viewer must feel, after 'the viewer feels': 'quiet trust'")
    forbidden: Annotated[tuple[Plain, ...], BeforeValidator(_items)] = Field(
        (), description="What must not happen; own words as 'this => what is there instead'; parted by ;"
    )

    @model_validator(mode="after")
    def _holds_together(self) -> "Light":
        for reason in (_edge(self), _shape(self), _lens(self), _mixed(self)):
            if reason:
                raise ValueError(reason)
        return self

    @property
    def side(self) -> Side | None:
        """Side of the picture the key comes from; None from front or back, or if it is not said."""
        word = (self.direction or "").partition("-")[0]
        return "left" if word == "left" else "right" if word == "right" else None

    @property
    def degrees(self) -> int | None:
        """Angle of the key from the camera's axis, 0 to 180; None if it is not said."""
        if self.direction is None:
            return None
        if self.side is None:
            return 0 if self.direction == "front" else 180
        return int(self.direction.partition("-")[2])

    @property
    def source_degrees(self) -> float | None:
        """How wide the source looks from the face: what really makes light hard or soft."""
        if self.source_cm is None or self.source_distance_m is None:
            return None
        return 2 * math.degrees(math.atan(self.source_cm / 200 / self.source_distance_m))


LABELS = ("name", "title", "about", "subject")
FIELDS: Mapping[str, str] = {
    name: field.description or "" for name, field in Light.model_fields.items() if name not in LABELS
}
"""What can be set and swept, `--light.NAME`, with its meaning on one line."""

KINDS: Mapping[str, Literal["name", "number", "text"]] = {
    name: "number"
    if Light.model_fields[name].annotation == float | None
    else "name"
    if name in ("direction", "shot", "hardness", "pattern", "film_format")
    else "text"
    for name in FIELDS
}
"""What a field takes on an axis: numbers and ranges, a comma list of names, or one free text."""


def implied_focal_mm(light: Light) -> float | None:
    """Full-frame focal length: of the lens on its format, else of the shot from that distance (36 mm upright).

    An anamorphic lens keeps this height and sees `anamorphic` times as wide. None if neither is said.
    """
    if light.lens_mm is not None:
        return light.lens_mm * CROP[light.film_format or "full frame"]
    if light.shot is None or light.camera_distance_m is None:
        return None
    return LONG_SIDE_MM * light.camera_distance_m * 100 / framed_cm(light.shot, light.margin_percent)


def framed_cm(shot: Shot, margin_percent: float | None = None) -> float:
    """How many centimetres the height of the picture holds."""
    return FRAMED_CM[shot] * (1 + (margin_percent or 0) / 100)


def _edge(light: Light) -> str:
    wide, away = light.source_degrees, light.source_distance_m
    if wide is None or away is None or light.hardness is None:
        return ""
    what = f"a source of {light.source_cm:g} cm at {away:g} m"
    if light.hardness.startswith("hard") and wide > WIDEST_HARD:
        return (
            f"{what} wraps around the face ({wide:.0f} degrees wide) and cannot be hard; give source_cm up to "
            f"{math.floor(_width_cm(WIDEST_HARD, away))}, a larger source_distance_m, or hardness=soft"
        )
    if light.hardness.endswith("soft") and wide < NARROWEST_SOFT:
        return (
            f"{what} is nearly a point ({wide:.1f} degrees wide) and cannot be {light.hardness}; give source_cm from "
            f"{math.ceil(_width_cm(NARROWEST_SOFT, away))}, a smaller source_distance_m, or hardness=hard"
        )
    return ""


def _width_cm(degrees: float, distance_m: float) -> float:
    """Width of a source that looks `degrees` wide from there."""
    return 200 * distance_m * math.tan(math.radians(degrees / 2))


def _shape(light: Light) -> str:
    if light.pattern is None or light.degrees is None:
        return ""
    low, high = PATTERN_DEGREES[light.pattern]
    if low <= light.degrees <= high:
        return ""
    return (
        f"a {light.pattern} pattern needs the key {low} to {high} degrees from the camera's axis, direction is "
        f"{light.direction}; change it, or give pattern=none"
    )


def _lens(light: Light) -> str:
    real = implied_focal_mm(light)
    if light.lens_mm is None or real is None or light.shot is None or light.camera_distance_m is None:
        return ""
    framed = framed_cm(light.shot, light.margin_percent)
    seen = LONG_SIDE_MM * light.camera_distance_m * 100 / real
    if framed / LENS_SLACK <= seen <= framed * LENS_SLACK * LONG_SIDE_MM / SHORT_SIDE_MM:
        return ""
    on = f" on {light.film_format}" if light.film_format else ""
    return (
        f"a {light.lens_mm:g} mm lens{on} at {light.camera_distance_m:g} m frames {seen:.0f} cm, the shot "
        f"{light.shot} is {framed:.0f} cm; change camera_distance_m or shot, or give lens_mm=none"
    )


def _mixed(light: Light) -> str:
    if light.colour is not None and light.colour_k is not None:
        return "colour and colour_k both say the colour of the key; give colour=none or colour_k=none"
    if light.texture and re.search(r"anamorphic|\blens|bokeh|\d ?mm\b", light.texture, re.IGNORECASE):
        return (
            f"texture {light.texture!r} speaks of the lens; say that in lens_mm or anamorphic, texture is of the skin"
        )
    if light.direction is None and light.pattern is not None:
        return f"a {light.pattern} pattern needs a direction; give one, or pattern=none"
    if light.margin_percent is not None and light.shot is None:
        return "margin_percent widens a shot; give shot too"
    return ""
