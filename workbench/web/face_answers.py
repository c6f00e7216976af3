"""What the page is told of a picture's faces, as data, and what a Draft needs of it. Knows nothing about HTTP.

`start_path` and `mask_text` turn the page's numbers of pictures and masks into what a Draft's `start` and `mask` are.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines import skin
from pipelines.faces import Face
from pipelines.frozen import Frozen
from pipelines.recipe import Recipe
from pipelines.regions import REGIONS, FaceMap, Patch
from pipelines.skin import FAR_TURNED, TURNED
from sweeps.overview import values_of
from workbench.web.face_desk import ID, Seen, mask_path, own_recipe, picture_path, with_painted

ROUTE = "/api/face/pictures"
NO_FACE = "No face was found. Paint the mask by hand: whatever is masked may change."
TRACED_PX = 900
"""Longer side of a region, in pixels, at which its outline is followed; small ones are enlarged up to 4 times."""
MOST_ENLARGED = 4.0
SIMPLER_PX = 1.2  # how far a simplified outline may lie from the followed one, in followed pixels
SMALLEST = 0.002  # square eye distances; a smaller part of a region has no outline
SMALL_EYES_PX, TINY_EYES_PX = 90, 50
"""Eye distances below which figures of skin are rough, and below which there are none."""

Points = tuple[tuple[float, float], ...]


class FaceAnswer(Frozen):
    """A face: its number from the left, oval (left, top, right, bottom), eye distance in pixels, turn -1..1.

    `note` says what makes it hard to work on, "" where nothing does; `regions_url` answers its regions.
    """

    number: int
    box: tuple[int, int, int, int]
    eye_distance: float
    tilt_degrees: float
    turn: float
    note: str
    regions_url: str


class RecipeAnswer(Frozen):
    """What a picture of ours was made with; `values` is all of it as (name, text) for people."""

    checkpoint: str
    family: str
    prompt: str
    negative: str | None
    values: tuple[tuple[str, str], ...]


class PictureAnswer(Frozen):
    """A picture that is kept for a day under `id`. `no_face` is a line where there is no face, else ""."""

    id: str
    url: str
    width: int
    height: int
    mode: str
    faces: tuple[FaceAnswer, ...]
    no_face: str
    recipe: RecipeAnswer | None


class RegionAnswer(Frozen):
    """A region's outlines in pixels of the picture (holes too: even-odd), and the address of its mask."""

    polygons: tuple[Points, ...]
    url: str


class RegionsAnswer(Frozen):
    """The regions of one face that can be seen; those that cannot are left out."""

    face: int
    regions: dict[str, RegionAnswer]


class MaskAnswer(Frozen):
    """A painted mask that is kept: its number, the share (0..1) of the picture under it, its address."""

    mask: str
    share: float
    url: str


class ReadingAnswer(Frozen):
    """One number of a face, or why there is none; `low` to `high` is where photographs lay."""

    name: str
    value: float | None
    unit: str
    why: str
    meaning: str
    formula: str
    low: float
    high: float


class MeasuresAnswer(Frozen):
    """All numbers of one face (None: there is none), what the trusted rules say, and a line where the light is flat."""

    face: int | None
    readings: tuple[ReadingAnswer, ...]
    verdicts: tuple[str, ...]
    cautions: tuple[str, ...]
    flat: str


def start_path(picture: str) -> str:
    """The path of a kept picture, for `Draft.start`; raises InputError where there is none."""
    return str(picture_path(picture))


def mask_text(picture: str, mask: str) -> str:
    """For `Draft.mask`: the path of a painted mask by its number, or an expression with each `@NUMBER` as its path.

    Raises InputError for a number that is not kept.
    """
    if ID.fullmatch(mask):
        return str(mask_path(picture, mask))
    return with_painted(picture, mask, str)


def picture_answer(picture: str, seen: Seen) -> PictureAnswer:
    """All that is said of a picture at once; its regions are asked for one face at a time."""
    width, height = seen.size
    recipe = own_recipe(picture)
    return PictureAnswer(
        id=picture,
        url=f"{ROUTE}/{picture}",
        width=width,
        height=height,
        mode=seen.words,
        faces=tuple(_face(picture, face) for face in seen.found.faces),
        no_face="" if seen.found.faces else NO_FACE,
        recipe=recipe and _recipe(recipe),
    )


def regions_answer(picture: str, found: FaceMap, number: int) -> RegionsAnswer:
    """The outlines of one face's regions; raises InputError for a face that there is not."""
    unit = found.face(number).eye_distance
    traced = {name: outlines(found.patch(number, name), smallest=SMALLEST * unit**2) for name in REGIONS}
    regions = {
        name: RegionAnswer(polygons=polygons, url=mask_url(picture, f"face{number}.{name}"))
        for name, polygons in traced.items()
        if polygons
    }
    return RegionsAnswer(face=number, regions=regions)


def mask_url(picture: str, expression: str) -> str:
    """The address of an expression's mask."""
    return f"{ROUTE}/{picture}/mask?expression={quote(expression)}"


def measures_answer(seen: Seen, number: int) -> MeasuresAnswer:
    """The measures of one face; raises InputError for a face that there is not."""
    measured = skin.measure(seen.found.pixels, seen.found, number)
    known = {measure.name: measure for measure in skin.MEASURES}
    readings = tuple(
        ReadingAnswer(
            name=reading.name,
            value=reading.value,
            unit=reading.unit,
            why=reading.why,
            meaning=known[reading.name].meaning,
            formula=known[reading.name].formula,
            low=known[reading.name].low,
            high=known[reading.name].high,
        )
        for reading in measured.readings
    )
    return MeasuresAnswer(
        face=measured.face,
        readings=readings,
        verdicts=measured.verdicts,
        cautions=measured.cautions,
        flat=skin.is_flat(measured),
    )


def outlines(patch: Patch, *, smallest: float) -> tuple[Points, ...]:
    """The lines on which a mask is half, in pixels of the picture to a tenth, (0, 0) its upper left corner.

    Parts of less than `smallest` square pixels are left out. A region of many megapixels is followed at a smaller size.
    """
    if not patch.values.size:
        return ()
    values = cv2.copyMakeBorder(patch.values, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    factor = min(MOST_ENLARGED, TRACED_PX / max(values.shape))
    followed = _resized(values, factor) > 127
    lines, _ = cv2.findContours(followed.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return tuple(_places(lines, factor, (patch.left, patch.top), smallest * factor**2))


def _resized(values: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(values, None, fx=factor, fy=factor, interpolation=how), np.uint8)


def _places(
    lines: Sequence[NDArray[Any]],
    factor: float,
    corner: tuple[int, int],
    smallest: float,
) -> Iterator[Points]:
    for line in lines:
        if cv2.contourArea(line) < max(1.0, smallest):
            continue
        simple = cv2.approxPolyDP(line, SIMPLER_PX, True)[:, 0]
        places = (simple + 0.5) / factor - 1 + np.array(corner)  # -1: the border laid around
        yield tuple((round(float(x), 1), round(float(y), 1)) for x, y in places)


def _face(picture: str, face: Face) -> FaceAnswer:
    return FaceAnswer(
        number=face.number,
        box=face.box,
        eye_distance=round(face.eye_distance, 1),
        tilt_degrees=round(face.tilt_degrees, 1),
        turn=round(face.turn, 3),
        note=_note(face),
        regions_url=f"{ROUTE}/{picture}/faces/{face.number}",
    )


def _note(face: Face) -> str:
    notes = []
    if face.eye_distance < TINY_EYES_PX:
        notes.append(f"small: eyes {face.eye_distance:.0f} px apart, too few to measure its skin")
    elif face.eye_distance < SMALL_EYES_PX:
        notes.append(f"eyes {face.eye_distance:.0f} px apart: figures of its skin are rough")
    if abs(face.turn) >= TURNED:
        notes.append("turned far away" if abs(face.turn) >= FAR_TURNED else "turned to the side")
    return "; ".join(notes)


def _recipe(recipe: Recipe) -> RecipeAnswer:
    return RecipeAnswer(
        checkpoint=recipe.checkpoint.name or recipe.checkpoint.digest[:12],
        family=recipe.checkpoint.family,
        prompt=recipe.prompt,
        negative=recipe.negative,
        values=values_of(recipe),
    )
