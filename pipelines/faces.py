"""Finds the faces of a picture and their 468 mesh points with MediaPipe's two small models, run by OpenCV.

Knows nothing about skin, masks or who anybody is.
"""

import functools
import hashlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.errors import InputError

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]
MODELS = Path(__file__).parent / "face_models"
DETECTOR = ("face_detection_short_range.tflite", "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8")
MESH = ("face_landmark.tflite", "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814")
"""File and SHA-256 of the two models; Apache-2.0, see the NOTICE beside them."""
DETECTOR_SIDE, MESH_SIDE = 128, 192
SEARCH_SIDE = 8 * DETECTOR_SIDE
"""Long side of the picture that is searched: a quarter tile of it is still twice the detector's input."""
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""MediaPipe's FACEMESH_FACE_OVAL, from the top of the forehead by the picture's right round to it."""
EYE_CORNERS = (33, 133), (263, 362)
"""Outer and inner corner of the eye on the picture's left, then of the one on its right."""
NOSE_TIP, LEFT_EDGE, RIGHT_EDGE = 1, 234, 454
HALF_SURE, QUITE_SURE, UPSIDE_DOWN = 0.5, 0.995, 0.9999
"""What must be: the detector, and it times the mesh, to be believed; a mesh, not to be tried upside down; that one.

On 74 variants of two photographs the product was 0.51 or more for faces, and 0.42 for folds of cloth.
"""
SAME_FACE, INSIDE = 0.3, 0.7
"""Two boxes are one face above this intersection over union, or when so much of the smaller lies in the larger."""
MOST_MESHES, LEVEL, CENTRED, LOSING = 4, math.cos(math.radians(6)), 0.04, 0.02
"""A mesh is found again while it was turned by more than 6 degrees in its crop, or off its middle by such a share,
and as long as it is not surer of the face before: a bad drawing leads it astray."""
TURNS = (45, -45, 90, -90)
UNTURNED = np.eye(2, 3)


@dataclass(frozen=True, eq=False)
class Face:
    """One face: its number from the left (from 1), mesh points (468, 2) x, y in pixels, the mesh's certainty 0..1.

    `size` is the (width, height) of the picture; points may lie outside it where the face is cut off. Left and right
    are the picture's.
    """

    number: int
    points: Points
    score: float
    size: tuple[int, int]

    @functools.cached_property
    def eye_distance(self) -> float:
        """Pixels between the midpoints of the eye corners: the unit of all that is measured on a face."""
        return float(np.hypot(*self._eye_line))

    @property
    def tilt_degrees(self) -> float:
        """Degrees by which the line of the eyes is turned, clockwise as seen; -180..180."""
        dx, dy = self._eye_line
        return math.degrees(math.atan2(dy, dx))

    @property
    def turn(self) -> float:
        """How far the head is turned: 0 frontal, -1 towards the picture's left, 1 towards its right.

        (a - b) / (a + b) of the distances, along the line of the eyes, from the tip of the nose to the edge of the face
        on the left (a) and on the right (b).
        """
        along = self.points @ (self._eye_line / max(self.eye_distance, 1e-6))
        left, right = along[NOSE_TIP] - along[LEFT_EDGE], along[RIGHT_EDGE] - along[NOSE_TIP]
        return float(np.clip((left - right) / max(left + right, 1e-6), -1, 1))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the oval in pixels, right and bottom beyond the last, inside the picture."""
        oval = self.points[list(OVAL)]
        low = np.clip(np.floor(oval.min(0)), 0, self.size)
        high = np.clip(np.ceil(oval.max(0)), 0, self.size)
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    @property
    def _eye_line(self) -> Points:
        left, right = (self.points[list(corners)].mean(0) for corners in EYE_CORNERS)
        line: Points = right - left
        return line


@dataclass(frozen=True, eq=False)
class _Candidate:
    """What a search found: certainty 0..1 and points (n, 2); of the detector: box corners, then six points."""

    score: float
    points: Points

    @property
    def box(self) -> Points:
        return np.stack([self.points.min(0), self.points.max(0)])


def find_faces(pixels: Pixels, *, everywhere: bool = False) -> tuple[Face, ...]:
    """Every face in a picture (H, W, 3) sRGB, numbered from 1 from left to right; none if there is none.

    The whole picture and half-size tiles are searched; quarter-size tiles, then the picture turned by 45 and 90
    degrees, only when nothing was found, or all of them if `everywhere` (slower; finds small faces of a group).
    The same bytes give the same points. Raises InputError if a model file is damaged.
    """
    height, width = pixels.shape[:2]
    searches = _searches(pixels)
    found: list[_Candidate] = []
    for search in searches:
        found = _distinct([*found, *search])
        if found and not everywhere:
            break
    found.sort(key=lambda face: (float(face.points[:, 0].mean()), float(face.points[:, 1].mean())))
    return tuple(
        Face(number, face.points.astype(np.float32), face.score, (width, height))
        for number, face in enumerate(found, start=1)
    )


def _searches(pixels: Pixels) -> Iterator[list[_Candidate]]:
    """Faces found by one way of looking after another, the cheap and sure ways first; in points of the picture."""
    scale = min(1.0, SEARCH_SIDE / max(pixels.shape[:2]))
    small = pixels if scale == 1 else cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small = np.ascontiguousarray(small)
    shrunk = np.array(small.shape[1::-1], np.float64) / pixels.shape[1::-1]
    yield _meshes(pixels, [_moved(one, shrunk) for one in _looked_at(small, shares=(1.0, 0.5))])
    yield _meshes(pixels, [_moved(one, shrunk) for one in _looked_at(small, shares=(0.25,))])
    for degrees in TURNS:
        turned, back = _turned(small, degrees)
        seen = _looked_at(turned, shares=(1.0, 0.5))
        yield _meshes(pixels, [_moved(one, shrunk, back) for one in seen])


def _moved(candidate: _Candidate, shrunk: NDArray[np.float64], back: NDArray[np.float64] = UNTURNED) -> _Candidate:
    """In pixels of the picture what was found in the smaller one, turned by the affine (2, 3) `back`."""
    points = (candidate.points @ back[:, :2].T + back[:, 2]) / shrunk
    return _Candidate(candidate.score, points.astype(np.float32))


def _turned(pixels: Pixels, degrees: float) -> tuple[Pixels, NDArray[np.float64]]:
    """The picture turned about its middle with nothing cut off, and the affine (2, 3) that turns points back."""
    height, width = pixels.shape[:2]
    affine = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    cosine, sine = abs(affine[0, 0]), abs(affine[0, 1])
    size = int(height * sine + width * cosine), int(height * cosine + width * sine)
    affine[:, 2] += np.array(size) / 2 - (width / 2, height / 2)
    return cv2.warpAffine(pixels, affine, size), cv2.invertAffineTransform(affine)


# --- the detector


def _looked_at(pixels: Pixels, *, shares: tuple[float, ...]) -> list[_Candidate]:
    """What the detector sees in square tiles of these shares of the long side, each face once."""
    height, width = pixels.shape[:2]
    seen: list[_Candidate] = []
    for share in shares:
        side = max(1, int(max(height, width) * share))
        for top in _starts(height, side):
            for left in _starts(width, side):
                tile = _detected(np.ascontiguousarray(pixels[top : top + side, left : left + side]))
                seen += [_Candidate(one.score, one.points + np.array((left, top), np.float32)) for one in tile]
    return _merged(seen)


def _starts(length: int, side: int) -> list[int]:
    """Where tiles of a side begin that cover a length and overlap by at least half."""
    if length <= side:
        return [0]
    count = math.ceil((length - side) / (side / 2)) + 1
    return sorted({int(start) for start in np.linspace(0, length - side, count)})


def _detected(tile: Pixels) -> list[_Candidate]:
    """Boxes and eye points of one tile, letterboxed into the detector's input."""
    height, width = tile.shape[:2]
    scale = DETECTOR_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resized = cv2.resize(tile, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = ((DETECTOR_SIDE - length) // 2 for length in size)
    framed = np.zeros((DETECTOR_SIDE, DETECTOR_SIDE, 3), np.uint8)
    framed[top : top + size[1], left : left + size[0]] = resized
    models = _models()
    logits, boxes = models.detect(framed.astype(np.float32) / 127.5 - 1)
    scores = 1 / (1 + np.exp(-np.clip(logits, -50, 50)))
    sure = np.flatnonzero(scores >= HALF_SURE)
    anchors, values = models.anchors[sure] * DETECTOR_SIDE, boxes[sure]
    centres, sides = values[:, :2] + anchors, values[:, 2:4] / 2
    marks = values[:, 4:].reshape(-1, 6, 2) + anchors[:, None]
    points = np.concatenate([(centres - sides)[:, None], (centres + sides)[:, None], marks], 1)
    points = (points - (left, top)) / (size[0] / width, size[1] / height)
    return [_Candidate(float(scores[i]), one.astype(np.float32)) for i, one in zip(sure, points, strict=True)]


def _merged(seen: list[_Candidate]) -> list[_Candidate]:
    """Weighted non-maximum suppression: sightings of one face become their mean, weighted by score."""
    rest, merged = sorted(seen, key=lambda one: -one.score), []
    while rest:
        best = rest[0]
        same = [one for one in rest if _overlap(_corners(one), _corners(best))[0] > SAME_FACE]
        rest = [one for one in rest if not _is_same(_corners(one), _corners(best))]
        weights = np.array([one.score for one in same], np.float32)
        points = np.einsum("n,nij->ij", weights / weights.sum(), np.stack([one.points for one in same]))
        merged.append(_Candidate(best.score, points))
    return merged


def _corners(detected: _Candidate) -> Points:
    """The detector's own box: the first two of its points."""
    return detected.points[:2]


# --- the mesh


def _meshes(pixels: Pixels, detected: list[_Candidate]) -> list[_Candidate]:
    """The mesh of every detected face that the mesh, too, takes for one."""
    meshes = [(_upright_mesh(pixels, one), one) for one in detected]
    return [mesh for mesh, one in meshes if mesh.score * one.score > HALF_SURE]


def _upright_mesh(pixels: Pixels, detected: _Candidate) -> _Candidate:
    """The mesh; where it is not quite sure, that of the face upside down if that one is."""
    mesh = _mesh(pixels, detected)
    if mesh.score >= QUITE_SURE:
        return mesh
    low, high, left_eye, right_eye = detected.points[:4]
    reversed_eyes = _Candidate(detected.score, np.stack([low, high, right_eye, left_eye]))
    upside_down = _mesh(pixels, reversed_eyes)
    return upside_down if upside_down.score > UPSIDE_DOWN else mesh


def _mesh(pixels: Pixels, detected: _Candidate) -> _Candidate:
    """Mesh points found at least twice: in a crop around the detector's box, then around the mesh's own.

    As long as the crop was not level and about the face, as in a picture upside down, the next is better.
    """
    low, high = _corners(detected)
    centre, line = (low + high) / 2, detected.points[3] - detected.points[2]
    mesh = _mesh_in(pixels, centre, side=float(max(high - low)) * 1.5, line=line)
    for _ in range(MOST_MESHES - 1):
        before, turn, middle = _rotation(line), _rotation(mesh.points[263] - mesh.points[33]), centre
        line, level = mesh.points[263] - mesh.points[33], mesh.points @ turn.T
        low, high = level.min(0), level.max(0)
        centre, side = (low + high) / 2 @ turn, float(max(high - low)) * 1.5
        mesh, last = _mesh_in(pixels, centre, side=side, line=line), mesh
        if mesh.score < last.score - LOSING:
            return last
        if (before * turn).sum() / 2 > LEVEL and np.hypot(*(centre - middle)) < CENTRED * side:
            break
    return mesh


def _mesh_in(pixels: Pixels, centre: Points, *, side: float, line: Points) -> _Candidate:
    """The mesh in a square around a point, turned so that `line` (dx, dy) becomes level."""
    side = max(side, 1.0)
    crop, origin, shrunk = _around(pixels, centre, side)
    scale = MESH_SIDE / (side * shrunk)
    turn = _rotation(line) * scale
    affine = np.hstack([turn, (MESH_SIDE / 2 - turn @ ((centre - origin) * shrunk))[:, None]])
    square = cv2.warpAffine(crop, affine, (MESH_SIDE, MESH_SIDE), flags=cv2.INTER_LINEAR)
    points, logit = _models().mark(square.astype(np.float32) / 255)
    placed = (points - affine[:, 2]) @ np.linalg.inv(turn).T / shrunk + origin
    return _Candidate(1 / (1 + math.exp(-logit)), placed.astype(np.float32))


def _rotation(line: Points) -> NDArray[np.float64]:
    """The rotation (2, 2) that makes a line (dx, dy) level."""
    dx, dy = (float(value) for value in np.ravel(line))
    angle = math.atan2(dy, dx)
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def _around(pixels: Pixels, centre: Points, side: float) -> tuple[Pixels, NDArray[np.float64], float]:
    """The part of the picture that a turned square can touch, averaged down to twice the mesh's input.

    Returns it with its origin in the picture and by how much it was shrunk: a mesh in a crop that was shrunk without
    averaging jitters.
    """
    half = side * math.sqrt(0.5) + 2
    height, width = pixels.shape[:2]
    left, top = (int(np.clip(value - half, 0, limit - 1)) for value, limit in zip(centre, (width, height), strict=True))
    right, bottom = (
        int(np.clip(value + half, start + 1, limit))
        for value, start, limit in zip(centre, (left, top), (width, height), strict=True)
    )
    crop = np.ascontiguousarray(pixels[top:bottom, left:right])
    shrunk = min(1.0, 2 * MESH_SIDE / side)
    if shrunk < 1:
        size = max(1, round(crop.shape[1] * shrunk)), max(1, round(crop.shape[0] * shrunk))
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    return crop, np.array((left, top), np.float64), shrunk


def _distinct(found: list[_Candidate]) -> list[_Candidate]:
    """Each face once, judged by the boxes of the meshes; of two the surer and larger is kept."""
    kept: list[_Candidate] = []
    for face in sorted(found, key=lambda one: -one.score * float(np.prod(one.box[1] - one.box[0])) ** 0.5):
        if not any(_is_same(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def _is_same(box: Points, other: Points) -> bool:
    union, smaller = _overlap(box, other)
    return union > SAME_FACE or smaller > INSIDE


def _overlap(box: Points, other: Points) -> tuple[float, float]:
    """Intersection over union of two boxes (2, 2), and over the smaller of them."""
    sides = np.clip(np.minimum(box[1], other[1]) - np.maximum(box[0], other[0]), 0, None)
    shared, areas = float(np.prod(sides)), [float(np.prod(one[1] - one[0])) for one in (box, other)]
    return shared / max(sum(areas) - shared, 1e-9), shared / max(min(areas), 1e-9)


# --- the two networks


class _Models:
    """Both networks; one thread at a time is let in, because an OpenCV network holds its input."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._detector, self._mesh = (_opened(folder, *model) for model in (DETECTOR, MESH))
        self.anchors = _anchors()

    def detect(self, tile: NDArray[np.float32]) -> tuple[Points, Points]:
        """Logits (896,) and boxes (896, 16) in pixels of the input, relative to the anchors; input -1..1."""
        outputs = self._run(self._detector, tile)
        logits = next(one for one in outputs if one.size == len(self.anchors)).ravel()
        return logits, next(one for one in outputs if one.size == len(self.anchors) * 16).reshape(-1, 16)

    def mark(self, square: NDArray[np.float32]) -> tuple[Points, float]:
        """Mesh points (468, 2) in pixels of the input and the logit that it is a face; input 0..1."""
        outputs = self._run(self._mesh, square)
        points = next(one for one in outputs if one.size == 1404).reshape(468, 3)[:, :2]
        return points.astype(np.float64), float(next(one for one in outputs if one.size == 1).item())

    def _run(self, network: Any, picture: NDArray[np.float32]) -> list[Any]:
        with self._lock:
            network.setInput(np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32))
            return [np.array(one) for one in network.forward(network.getUnconnectedOutLayersNames())]


@functools.cache
def _models() -> _Models:
    return _Models(MODELS)


def _opened(folder: Path, name: str, digest: str) -> Any:
    """A network whose file is the one that was shipped; raises InputError otherwise."""
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError:
        raise InputError(f"{path} is not there; it comes with sidelight: install sidelight again") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{path} is damaged (its SHA-256 is not the one shipped); install sidelight again")
    # The newer engine of OpenCV 5 gives only one of a model's two outputs; opened from memory, it is always that one.
    return cv2.dnn.readNetFromTFLite(str(path), cv2.dnn.ENGINE_CLASSIC)


def _anchors() -> Points:
    """Centres (896, 2) of the detector's anchors as shares of its input: strides 8 with 2, 16 with 6 per cell."""
    centres: list[tuple[float, float]] = []
    for stride, count in ((8, 2), (16, 6)):
        cells = DETECTOR_SIDE // stride
        centres += [
            ((x + 0.5) / cells, (y + 0.5) / cells) for y in range(cells) for x in range(cells) for _ in range(count)
        ]
    return np.array(centres, np.float32)
