"""Finds the one face of a portrait and its 468 mesh points with MediaPipe's two small models, run by OpenCV.

Only the whole picture is searched, upright: a grid of demo portraits needs no more. Knows nothing about skin.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
DETECTOR_SIDE, MESH_SIDE = 128, 192
EYES = (33, 133), (263, 362)  # corners of the eyes on the picture's left and right


@dataclass(frozen=True)
class FoundFace:
    """Mesh points (468, 2) in pixels of the picture, and the mesh's own certainty."""

    points: Array
    score: float

    def eye_distance(self) -> float:
        """Pixels between the midpoints of the eye corners."""
        left, right = (self.points[list(corners)].mean(0) for corners in EYES)
        return float(np.hypot(*(left - right)))

    def hull(self, points: list[int], size: int) -> Array:
        """Mask (size, size) of the convex hull of some mesh points."""
        mask = np.zeros((size, size), np.uint8)
        cv2.fillPoly(mask, [cv2.convexHull(self.points[points].astype(np.float32)).astype(np.int32)], 1)
        return mask > 0


def _anchors() -> Array:
    """Centres of the detector's 896 anchors, as shares of its input."""
    centres = []
    for stride, count in ((8, 2), (16, 6)):
        cells = DETECTOR_SIDE // stride
        centres += [
            ((x + 0.5) / cells, (y + 0.5) / cells) for y in range(cells) for x in range(cells) for _ in range(count)
        ]
    return np.array(centres, np.float32)


class FaceFinder:
    """Holds the two networks; not for use from several threads at once."""

    def __init__(self, models: Path) -> None:
        self.detector, self.mesh = (
            cv2.dnn.readNetFromTFLite(str(models / f"{name}.tflite"), cv2.dnn.ENGINE_CLASSIC)
            for name in ("face_detection_short_range", "face_landmark")
        )
        self.anchors = _anchors()

    def find(self, picture: NDArray[np.uint8]) -> FoundFace | None:
        """The surest face in a square sRGB picture (h, h, 3), or None if detector or mesh is less than half sure."""
        place = self._detect(picture)
        if place is None:
            return None
        centre, side, angle = place
        points, _ = self._points(picture, centre, side, angle)
        dx, dy = points[263] - points[33]
        angle = math.atan2(dy, dx)
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        level = points @ turn.T  # the mesh's own box gives a better crop than the detector's
        low, high = level.min(0), level.max(0)
        points, score = self._points(picture, (low + high) / 2 @ turn, float(max(high - low)) * 1.5, angle)
        return FoundFace(points, score) if score > 0.5 else None

    def _detect(self, picture: NDArray[np.uint8]) -> tuple[Array, float, float] | None:
        """Centre, side and angle of the crop for the mesh."""
        small = cv2.resize(picture, (DETECTOR_SIDE, DETECTOR_SIDE), interpolation=cv2.INTER_AREA)
        self.detector.setInput(np.ascontiguousarray((small.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]))
        outs = self.detector.forward(self.detector.getUnconnectedOutLayersNames())
        scores = next(o for o in outs if o.size == len(self.anchors)).ravel()
        best = int(scores.argmax())
        if scores[best] <= 0:  # a logit: less than half sure
            return None
        box = next(o for o in outs if o.size == len(self.anchors) * 16).reshape(-1, 16)[best] / DETECTOR_SIDE
        scale = len(picture)
        centre, eyes = (box[:2] + self.anchors[best]) * scale, box[4:8].reshape(2, 2)
        return centre, float(max(box[2:4])) * scale * 1.5, math.atan2(*(eyes[1] - eyes[0])[::-1])

    def _points(self, picture: NDArray[np.uint8], centre: Array, side: float, angle: float) -> tuple[Array, float]:
        """Mesh points of one turned square crop, and their score."""
        scale = MESH_SIDE / side
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) * scale
        affine = np.hstack([turn, (MESH_SIDE / 2 - turn @ centre)[:, None]])
        crop = cv2.warpAffine(picture, affine, (MESH_SIDE, MESH_SIDE), flags=cv2.INTER_LINEAR)
        self.mesh.setInput(np.ascontiguousarray((crop.astype(np.float32) / 255).transpose(2, 0, 1)[None]))
        outs = self.mesh.forward(self.mesh.getUnconnectedOutLayersNames())
        points = next(o for o in outs if o.size == 1404).reshape(468, 3)[:, :2]
        logit = next(o for o in outs if o.size == 1).item()
        return (points - affine[:, 2]) @ np.linalg.inv(turn).T, 1 / (1 + math.exp(-logit))
