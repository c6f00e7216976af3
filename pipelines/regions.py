"""The map of a picture's faces: soft masks of skin, cheeks, eyes and so on for each, at the picture's full size.

Works on a part of the picture around each face, so a large picture costs no more than its faces. Knows nothing about
expressions that combine masks.
"""

import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.errors import InputError
from pipelines.face_shapes import Shapes, Soft
from pipelines.faces import Face, Pixels, find_faces
from pipelines.mask_words import REGIONS as REGIONS
from pipelines.skin_colour import Seeds, is_grey, likeness

OF_SKIN = {
    "skin": ("lifted_oval",),
    "cheeks": ("left_cheek", "right_cheek"),
    "left-cheek": ("left_cheek",),
    "right-cheek": ("right_cheek",),
    "forehead": ("forehead",),
    "chin": ("chin",),
    "neck": ("neck",),
    "ears": ("ears",),
}
"""The shapes within which a region is the skin that is seen; the other regions are drawn from the mesh alone."""
BY_COLOUR = ("neck", "ears")
"""Regions outside the mesh, of which the colour alone tells where they are."""
NO_SKIN = ("eyes", "brows", "mouth", "nostrils")
WORKING_UNIT = 52.0
"""Eye distance in pixels at which the skin colour is learned: larger costs time and finds no more (IoU 0.93)."""
AROUND = 1.6
"""Eye distances around the extended triangle whose colours are learned as not skin."""
FEWEST_SEEDS = 40
EDGE, BEYOND, LEAKS = 0.1, 0.25, 0.3
"""Eye distances around the extended triangle in which skin may show, and in which nothing should look like it: if more
than this share beside the ears does, it is the background, and no ears are told from it."""
BLUR = 0.012
"""Eye distances over which colours are averaged before they are learned: less than a strand of hair is noise."""
BORDER = 0.06
"""Eye distances over which a region fades where a nearer face begins."""
NO_FACE = "no face was found; paint a mask (white where it may change) and give it with --mask FILE"


@dataclass(frozen=True, eq=False)
class Patch:
    """A part of a mask: its left and top in the picture, and values (h, w) 0..255; outside it the mask is 0."""

    left: int
    top: int
    values: Soft


class FaceMap:
    """The faces of one picture (H, W, 3) sRGB and masks of their regions; what was computed once is kept."""

    def __init__(self, pixels: Pixels, faces: tuple[Face, ...]) -> None:
        self.pixels, self.faces = pixels, faces
        self._lock = threading.RLock()
        self._patches: dict[tuple[int, str], Patch] = {}
        self._skin: dict[int, Soft | None] = {}
        self._nearest: dict[int, Soft | None] = {}

    def region(self, number: int, name: str) -> NDArray[np.float32]:
        """Mask (H, W) 0..1 of a region of a face, in steps of 1/255; the same bytes give the same mask.

        Raises InputError for a face or a region that there is not.
        """
        patch = self.patch(number, name)
        mask = np.zeros(self.pixels.shape[:2], np.float32)
        height, width = patch.values.shape
        np.divide(
            patch.values,
            np.float32(255),
            out=mask[patch.top : patch.top + height, patch.left : patch.left + width],
            dtype=np.float32,
        )
        return mask

    def patch(self, number: int, name: str) -> Patch:
        """The same as bytes, and only the part of the picture in which the region lies; raises InputError."""
        face = self._face(number, given=f"face{number}.{name}")
        if name not in REGIONS:
            raise InputError(f"{name} is no region; allowed: {', '.join(REGIONS)}")
        with self._lock:
            if (number, name) not in self._patches:
                self._patches[number, name] = _tight(self._drawn(face, name))
            return self._patches[number, name]

    def face(self, number: int) -> Face:
        """A face by its number, from 1; raises InputError if there is none."""
        return self._face(number, given=f"face{number}")

    def _face(self, number: int, *, given: str) -> Face:
        if not self.faces:
            raise InputError(f"{given}: {NO_FACE}")
        if not 1 <= number <= len(self.faces):
            count = "is 1 face" if len(self.faces) == 1 else f"are {len(self.faces)} faces"
            allowed = ", ".join(f"face{face.number}" for face in self.faces)
            raise InputError(f"{given}: there {count}; allowed: {allowed}")
        return self.faces[number - 1]

    def is_grey(self, number: int) -> bool:
        """Whether a face has no colour: then its skin is known by the mesh alone, and its neck and ears are empty."""
        face = self.face(number)
        window = _window(self.pixels, face, around=0)
        return is_grey(window.pixels, window.shapes(face).oval() > 127)

    def _drawn(self, face: Face, name: str) -> Patch:
        """A region in the field of its face, without what belongs to another face."""
        left, top, right, bottom = _field(face, around=0)
        shapes = Shapes(face.points - np.array((left, top), np.float32), face.eye_distance, bottom - top, right - left)
        masks = [getattr(shapes, shape)() for shape in OF_SKIN.get(name, (name,))]
        mask = masks[0] if len(masks) == 1 else np.maximum(*masks)
        if name in OF_SKIN:
            seen = self._seen(face)
            mask = np.minimum(mask, shapes.oval() if seen is None else seen)
            for other in NO_SKIN:
                mask = np.minimum(mask, 255 - getattr(shapes, other)())
            if name in BY_COLOUR:
                mask = np.zeros_like(mask) if seen is None else np.minimum(mask, 255 - shapes.lifted_oval())
        own = self._own(face)
        return Patch(left, top, mask if own is None else np.minimum(mask, own))

    def _seen(self, face: Face) -> Soft | None:
        """Where skin like this face's is seen, in its field; None where colour cannot tell."""
        if face.number not in self._skin:
            window = _window(self.pixels, face, around=AROUND)
            small = _seen_skin(window, face, [other for other in self.faces if other is not face])
            self._skin[face.number] = None if small is None else window.enlarged(small, _field(face, around=0))
        return self._skin[face.number]

    def _own(self, face: Face) -> Soft | None:
        """What is nearer to a face than to any other, in its field; None where no other is near."""
        if face.number not in self._nearest:
            field = _field(face, around=0)
            rivals = [other for other in self.faces if other is not face and _touch(field, _field(other, around=0))]
            self._nearest[face.number] = (
                _nearest(_window(self.pixels, face, around=0), face, rivals) if rivals else None
            )
        return self._nearest[face.number]


def face_map(pixels: Pixels, *, everywhere: bool = False) -> FaceMap:
    """The map of all faces found in a picture (H, W, 3) sRGB; see `find_faces` for `everywhere`."""
    return FaceMap(pixels, find_faces(pixels, everywhere=everywhere))


@dataclass(frozen=True, eq=False)
class _Window:
    """A part of the picture around a face, shrunk to the working size: pixels, its corner in the picture, scale."""

    pixels: Pixels
    left: int
    top: int
    scale: NDArray[np.float64]

    def shapes(self, face: Face) -> Shapes:
        """Draws a face into this window."""
        points = (face.points - np.array((self.left, self.top), np.float32)) * self.scale.astype(np.float32)
        return Shapes(points, face.eye_distance * float(self.scale.mean()), *self.pixels.shape[:2])

    def enlarged(self, small: NDArray[np.float32], field: tuple[int, int, int, int]) -> Soft:
        """A mask (h, w) 0..1 of this window as bytes of the picture's own pixels in a part of it."""
        left, top, right, bottom = field
        across, down = self.scale
        # pixel centres: x of the window = (x of the picture + 0.5) * scale - 0.5
        affine = np.array(
            [
                [across, 0, (left - self.left + 0.5) * across - 0.5],
                [0, down, (top - self.top + 0.5) * down - 0.5],
            ]
        )
        size = right - left, bottom - top
        way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        large = cv2.warpAffine(small, affine, size, flags=way, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(np.round(np.clip(large, 0, 1) * 255), np.uint8)


def _field(face: Face, *, around: float) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the part of the picture in which a face's regions lie, and eye distances around."""
    low, high = Shapes(face.points, face.eye_distance, 0, 0).extent()
    margin = around * face.eye_distance + 2
    left, top = np.clip(np.floor(low - margin), 0, np.array(face.size) - 1).astype(int)
    right, bottom = np.clip(np.ceil(high + margin), (left + 1, top + 1), face.size).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _window(pixels: Pixels, face: Face, *, around: float) -> _Window:
    left, top, right, bottom = _field(face, around=around)
    part = np.ascontiguousarray(pixels[top:bottom, left:right])
    shrunk = min(1.0, WORKING_UNIT / max(face.eye_distance, 1e-6))
    size = max(1, round((right - left) * shrunk)), max(1, round((bottom - top) * shrunk))
    if shrunk < 1:
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return _Window(part, left, top, np.array(part.shape[1::-1]) / (right - left, bottom - top))


def _nearest(window: _Window, face: Face, rivals: list[Face]) -> Soft:
    """Where a face is nearer than any of the others, in its field, with a soft border."""
    nearer = np.min([_outside(window, other) for other in rivals], 0) - _outside(window, face)
    return window.enlarged(np.clip(0.5 + nearer / BORDER, 0, 1).astype(np.float32), _field(face, around=0))


def _seen_skin(window: _Window, face: Face, others: list[Face]) -> NDArray[np.float32] | None:
    """How surely each pixel of a window shows this face's skin, 0..1; None if it is grey or shows too little."""
    shapes = window.shapes(face)
    surely, forehead = _surely_skin(shapes), _forehead(shapes)
    if (surely | forehead).sum() < FEWEST_SEEDS or is_grey(window.pixels, shapes.oval() > 127):
        return None
    triangle, face_itself, neck = shapes.triangle() > 127, shapes.lifted_oval() > 127, shapes.neck() > 127
    around = ~_grown(triangle, 0.5 * shapes.unit)
    for other in others:
        around &= ~(window.shapes(other).lifted_oval() > 0)
    not_skin = around, (shapes.eyes() > 127) | (shapes.brows() > 127), shapes.hair() > 127
    within, inner = (_grown(triangle, share * shapes.unit) for share in (BEYOND, EDGE))
    seeds = Seeds(surely | forehead, not_skin, within, shade=neck & ~face_itself)
    found = likeness(window.pixels, seeds, blur_px=BLUR * shapes.unit)
    if surely.sum() >= FEWEST_SEEDS:  # what the cheeks say is no skin, above the brows, is a fringe of hair
        above = within & _grown(shapes.forehead() > 127, EDGE * shapes.unit)
        bare = likeness(window.pixels, Seeds(surely, not_skin, above, doubtful=forehead), blur_px=BLUR * shapes.unit)
        found[above] = np.minimum(found, bare)[above]
    beyond = within & ~triangle & ~_grown(neck, EDGE * shapes.unit)
    for side in shapes.besides():
        beside = side > 127
        if (found[beyond & beside] > 0.5).sum() > LEAKS * (beyond & beside).sum():
            found[beside & ~face_itself & ~neck] = 0
    found[~inner] = 0
    return _tidied(found, shapes, surely | forehead)


def _surely_skin(shapes: Shapes) -> NDArray[np.bool_]:
    """The inner parts of cheeks and nose, from which the colour is learned; shares as measured best."""
    unit = shapes.unit
    cheeks = _shrunk(shapes.left_cheek() > 127, 0.03 * unit) | _shrunk(shapes.right_cheek() > 127, 0.03 * unit)
    return (cheeks | _shrunk(shapes.nose() > 127, 0.05 * unit)) & _bare(shapes)


def _forehead(shapes: Shapes) -> NDArray[np.bool_]:
    """The middle of the forehead, which is skin unless a fringe hangs over it."""
    return _shrunk(shapes.forehead_seed() > 127, 0.06 * shapes.unit) & _bare(shapes)


def _bare(shapes: Shapes) -> NDArray[np.bool_]:
    """Where no eye, brow, mouth or nostril is."""
    no_skin: Soft = np.max([getattr(shapes, name)() for name in NO_SKIN], 0)
    return no_skin < 128


def _tidied(found: NDArray[np.float32], shapes: Shapes, seeds: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Without specks beside the face and small holes in it (moles, highlights), its edge softened."""
    unit = shapes.unit
    found = cv2.GaussianBlur(found, (0, 0), 0.02 * unit)
    count, labels, figures, _ = cv2.connectedComponentsWithStats((found > 0.4).astype(np.uint8), connectivity=4)
    kept = np.isin(np.arange(count), labels[seeds])
    neck = np.unique(labels[shapes.neck() > 127])
    kept[neck] |= figures[neck, cv2.CC_STAT_AREA] > 0.1 * unit**2  # a chin's shadow cuts the neck off
    kept[0] = False
    found = np.where(kept[labels] | (found <= 0.4) & _grown(kept[labels], 2), found, np.float32(0))
    count, labels, figures, _ = cv2.connectedComponentsWithStats((found <= 0.5).astype(np.uint8), connectivity=4)
    holes = figures[:, cv2.CC_STAT_AREA] < (0.3 * unit) ** 2
    holes[0] = False
    filled = cv2.GaussianBlur(np.where(holes[labels], np.float32(1), found), (0, 0), max(0.5, 0.015 * unit))
    surer: NDArray[np.float32] = np.clip(2 * filled - np.float32(0.5), 0, 1)
    return surer


def _outside(window: _Window, face: Face) -> NDArray[np.float64]:
    """Distance of each pixel from a face's oval in its own eye distances; negative inside."""
    shapes = window.shapes(face)
    oval = (shapes.oval() > 127).astype(np.uint8)
    if not oval.any():
        return np.full(oval.shape, np.inf)
    way, back = (cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for mask in (1 - oval, oval))
    apart: NDArray[np.float64] = (way - back) / shapes.unit
    return apart


def _touch(field: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return field[0] < other[2] and other[0] < field[2] and field[1] < other[3] and other[1] < field[3]


def _grown(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    return ~_shrunk(~mask, radius)


def _shrunk(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """What is further than so many pixels from all that is not in a mask; the picture's border is no edge."""
    away = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return mask if mask.all() else np.asarray(away > radius)


def _tight(patch: Patch) -> Patch:
    """The same without the empty rows and columns around it; one empty pixel if all is."""
    rows, columns = np.flatnonzero(patch.values.any(1)), np.flatnonzero(patch.values.any(0))
    if not len(rows):
        return Patch(patch.left, patch.top, np.zeros((1, 1), np.uint8))
    part = patch.values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Patch(patch.left + int(columns[0]), patch.top + int(rows[0]), part.copy())
