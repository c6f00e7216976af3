"""How far a picture moved toward a reference: in the bands of its skin, and, unwanted, in its face.

Formulas are told by `pipelines.skin_reference.Pull`. Knows nothing about how the picture was made.
"""

import functools
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.colour import light_of, luminance
from pipelines.faces import OVAL, Face, find_faces
from pipelines.regions import FaceMap
from pipelines.skin_bands import bands, blur_inside, log_light, shrunk
from pipelines.skin_reference import Pull, Share
from pipelines.skin_transfer import (
    Array,
    Pixels,
    places,
    scaled_face,
)

FEWEST_PX = 50  # eye distance below which no measure of skin holds (the same as in `pipelines.skin`)
RESOLVED = 0.15  # the reference must have so much more of a band, as a share, for its way to be measured
OCTAVES = 0.3  # and differ so much in the balance of the two
UNLIKE = 0.02  # eye distances between two faces below which they are one: finding a face again moves it by .006 to .02
SHADED_EV = 0.05  # root mean square difference of two faces' shading below which there is no way between them
LARGEST_PX = 250.0  # eye distance at which larger faces are measured: the finest band is 1.5 px there
LOW, GRID = 0.15, 48  # sigma of low frequencies in eye distances; side of the grid on which they are compared


@dataclass(frozen=True)
class _Seen:
    """A face cut out of its picture, all at one eye distance."""

    pixels: Pixels
    face: Face

    @functools.cached_property
    def map(self) -> FaceMap:
        return FaceMap(self.pixels, (self.face,))


def measured(before: Pixels, after: Pixels, reference: Pixels, *, weight: float) -> Pull | None:
    """As `pipelines.skin_reference.pull`."""
    if np.array_equal(before, after):
        return None
    found, again, theirs = (find_faces(pixels) for pixels in (before, after, reference))
    fault = _missing(found, again, theirs)
    if not fault:
        face = max(found, key=lambda each: (_change(before, after, each), each.eye_distance))
        same = min(again, key=lambda each: _apart(each, face))
        other = max(theirs, key=lambda each: each.eye_distance)
        if _apart(same, face) > 0.5 * face.eye_distance:
            fault = "not measurable because the face was not found again in the picture after"
    if fault:
        lacking = Share(why=fault)
        return Pull(weight=weight, texture=lacking, mottle=lacking, slope=lacking, geometry=lacking, shading=lacking)
    geometry, distance = _geometry(face, same, other)
    eye = min(face.eye_distance, LARGEST_PX)
    seen, wanted = (_Seen(*scaled_face(*each, eye)) for each in ((before, face), (reference, other)))
    now = _Seen(scaled_face(after, face, eye)[0], _carried(same, face, seen.face))
    texture, mottle, slope = _textures(seen, now, wanted, smallest=min(face.eye_distance, other.eye_distance))
    shading = _shading(seen, now, wanted)
    return Pull(
        weight=weight,
        texture=texture,
        mottle=mottle,
        slope=slope,
        geometry=geometry,
        shading=shading,
        distance_before=round(distance, 4),
    )


def _missing(*faces: tuple[Face, ...]) -> str:
    names = ("the picture before", "the picture after", "the reference")
    lacking = [name for name, found in zip(names, faces, strict=True) if not found]
    return f"not measurable because no face was found in {lacking[0]}" if lacking else ""


def _change(before: Pixels, after: Pixels, face: Face) -> float:
    left, top, right, bottom = face.box
    inside = (slice(top, bottom), slice(left, right))
    return float(cv2.absdiff(before[inside], after[inside]).mean()) if right > left and bottom > top else 0.0


def _apart(one: Face, other: Face) -> float:
    return float(np.hypot(*(one.points.mean(0) - other.points.mean(0))))


def _carried(face: Face, old: Face, new: Face) -> Face:
    """A face with its points scaled and moved as another's were when it was cut out."""
    scale = new.eye_distance / old.eye_distance
    points = face.points * scale + (new.points - old.points * scale).mean(0)
    return replace(new, points=points.astype(np.float32))


def aligned(points: Array, onto: Array) -> Array:
    """Points (468, 2) turned, sized and moved to lie on others as well as they can (Procrustes)."""
    from_mean, to_mean = points - points.mean(0), onto - onto.mean(0)
    left, sizes, right = np.linalg.svd(from_mean.T @ to_mean)
    sign = np.array([1, np.sign(np.linalg.det(left @ right))])
    scale = (sizes * sign).sum() / (from_mean**2).sum()
    return np.asarray(scale * from_mean @ (left * sign) @ right + onto.mean(0), np.float32)


def _geometry(before: Face, after: Face, reference: Face) -> tuple[Share, float]:
    now, goal = (aligned(face.points, before.points) for face in (after, reference))
    eye = before.eye_distance
    distance = float(np.sqrt(((goal - before.points) ** 2).sum(1).mean())) / eye
    if distance < UNLIKE:
        return Share(why="not measurable because the reference's face has the same proportions"), distance
    return _along(before.points / eye, now / eye, goal / eye), distance


def _along(before: Array, after: Array, goal: Array) -> Share:
    """The way made along the line to the goal, over its length, -1..1."""
    line = goal - before
    return Share(value=round(float(np.clip(((after - before) * line).sum() / (line**2).sum(), -1, 1)), 4))


def _textures(before: _Seen, after: _Seen, reference: _Seen, *, smallest: float) -> tuple[Share, Share, Share]:
    if smallest < FEWEST_PX:
        few = Share(why=f"not measurable because a face has {smallest:.0f} px between the eyes, {FEWEST_PX} are needed")
        return few, few, few
    both = _skin(before) & _skin(after)
    levels = [_levels(before, both), _levels(after, both), _levels(reference, _skin(reference))]
    if any(min(each) <= 0 for each in levels):
        bare = Share(why="not measurable because too little skin is seen")
        return bare, bare, bare
    texture, mottle = (_share(*(each[band] for each in levels)) for band in (0, 1))
    slopes = [float(np.log2(fine / coarse)) for fine, coarse in levels]
    way = slopes[2] - slopes[0]
    if abs(way) < OCTAVES:
        return texture, mottle, Share(why="not measurable because the picture had the reference's balance already")
    return texture, mottle, Share(value=round(float(np.clip((slopes[1] - slopes[0]) / way, -1, 2)), 4))


def _share(before: float, after: float, reference: float) -> Share:
    if reference < before * (1 + RESOLVED):
        return Share(why="not measurable because the picture had as much as the reference already")
    return Share(value=round(float(np.clip((after - before) / (reference - before), -1, 2)), 4))


def _skin(seen: _Seen) -> NDArray[np.bool_]:
    return np.asarray(seen.map.region(1, "skin") > 0.6)


def _levels(seen: _Seen, skin: NDArray[np.bool_]) -> tuple[float, float]:
    """Robust sigma of texture and mottle over cheeks, forehead, nose and chin, EV; 0 where there is too little skin."""
    eye = seen.face.eye_distance
    core = shrunk(skin, 0.02 * eye) & np.any(list(places(seen.map, 1).values()), axis=0)
    if core.sum() < (0.2 * eye) ** 2:
        return 0.0, 0.0
    weight = shrunk(skin, 0.005 * eye).astype(np.float32)
    log = log_light(luminance(light_of(seen.pixels)), weight > 0)
    return bands(log, eye, weight=weight).levels(core)


def _shading(before: _Seen, after: _Seen, reference: _Seen) -> Share:
    """Low frequencies of the three faces on one grid laid on the points of each."""
    points = before.face.points[list(OVAL)]
    low, high = points.min(0), points.max(0)
    grid = ((before.face.points - low) * ((GRID - 1) / (high - low))).astype(np.float32)
    oval = np.zeros((GRID, GRID), np.uint8)
    cv2.fillPoly(oval, [grid[list(OVAL)].round().astype(np.int32)], 1)
    lows = [_low(seen, grid) for seen in (before, after, reference)]
    inside = (oval > 0) & np.all([np.isfinite(each) for each in lows], axis=0)
    if inside.sum() < GRID:
        return Share(why="not measurable because too little of a face is in the picture")
    flat = [each[inside] - each[inside].mean() for each in lows]
    if float(np.sqrt(((flat[2] - flat[0]) ** 2).mean())) < SHADED_EV:
        return Share(why="not measurable because the reference is shaded the same")
    return _along(*flat)


def _low(seen: _Seen, grid: Array) -> Array:
    """Wide log light (GRID, GRID) where the points of the face lie on `grid`; NaN beyond the picture."""
    bright = luminance(light_of(seen.pixels))
    oval = np.zeros(bright.shape, np.uint8)
    cv2.fillPoly(oval, [seen.face.points[list(OVAL)].round().astype(np.int32)], 1)
    log = np.log2(blur_inside(bright, oval.astype(np.float32), LOW * seen.face.eye_distance) + 0.002).astype(np.float32)
    ones = np.ones((len(grid), 1), np.float32)
    there = np.linalg.lstsq(np.hstack([seen.face.points, ones]), grid, rcond=None)[0].T
    shape = (GRID, GRID)
    return np.asarray(cv2.warpAffine(log, there, shape, borderMode=cv2.BORDER_CONSTANT, borderValue=np.nan), np.float32)
