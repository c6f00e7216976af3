"""Draws the parts of one face from its mesh points: oval, eyes, brows, mouth, cheeks and so on, with soft edges.

All is geometry; knows nothing about colour.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.faces import OVAL, Points

Soft = NDArray[np.uint8]
"""A mask (h, w): 0 outside, 255 inside, between them at the anti-aliased edge."""

# MediaPipe's FACEMESH_LEFT_EYE and so on, each in the order of its outline; left and right are the picture's.
LEFT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
RIGHT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
LEFT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
RIGHT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
# The rest are our own outlines over the mesh.
LEFT_CHEEK = (116, 117, 118, 119, 100, 142, 203, 206, 207, 187, 147, 123)
RIGHT_CHEEK = (345, 346, 347, 348, 329, 371, 423, 426, 427, 411, 376, 352)
FOREHEAD = (54, 103, 67, 109, 10, 338, 297, 332, 284, 301, 293, 334, 296, 336, 9, 107, 66, 105, 63, 71)
FOREHEAD_SEED = (103, 67, 109, 10, 338, 297, 332, 333, 299, 337, 151, 108, 69, 104)
NOSE = (6, 122, 174, 198, 209, 49, 64, 98, 97, 2, 326, 327, 294, 279, 429, 420, 399, 351)
CHIN = (204, 106, 182, 83, 18, 313, 406, 335, 424, 430, 394, 379, 378, 400, 377, 152, 148, 176, 149, 150, 169, 210)
NOSTRILS = ((98, 97), (327, 326))
BETWEEN_EYES, TOP, BOTTOM, LEFT_JAW, RIGHT_JAW = 168, 10, 152, 172, 397

EYE_GROWTH, BROW_GROWTH, LIP_GROWTH = 0.07, 0.05, 0.035
"""By how much the parts that are no skin are grown, in eye distances: lids and lashes, brow hair, the lips' edge."""
LIFT = 1.35
"""The mesh ends below the hairline: so much higher may the forehead reach, seen from between the eyes."""
WIDER = 1.38
"""So much wider than the oval may the ears reach."""
NECK_LENGTH = 0.55
"""Of the neck under the jaw, in heights of the face."""
SUBDIVISIONS = 6
FRACTION_BITS = 4


@dataclass(frozen=True, eq=False)
class Shapes:
    """Draws one face into masks of a height and width; `points` (468, 2) and `unit` (eye distance) in its pixels."""

    points: Points
    unit: float
    height: int
    width: int

    def oval(self) -> Soft:
        return self._filled(OVAL)

    def eyes(self) -> Soft:
        return np.maximum(self._filled(LEFT_EYE, grow=EYE_GROWTH), self._filled(RIGHT_EYE, grow=EYE_GROWTH))

    def brows(self) -> Soft:
        return np.maximum(self._filled(LEFT_BROW, grow=BROW_GROWTH), self._filled(RIGHT_BROW, grow=BROW_GROWTH))

    def mouth(self) -> Soft:
        return self._filled(LIPS, grow=LIP_GROWTH)

    def nose(self) -> Soft:
        return self._filled(NOSE, grow=0.02)

    def left_cheek(self) -> Soft:
        return self._filled(LEFT_CHEEK)

    def right_cheek(self) -> Soft:
        return self._filled(RIGHT_CHEEK)

    def chin(self) -> Soft:
        return self._filled(CHIN)

    def forehead(self) -> Soft:
        """From the brows up to where the hair may begin."""
        return self._closed(self._lifted(self.points[list(FOREHEAD)]))

    def forehead_seed(self) -> Soft:
        """The middle of the forehead, where skin is surest."""
        return self._filled(FOREHEAD_SEED)

    def nostrils(self) -> Soft:
        """Two ellipses over the shadows of the nose's openings."""
        down = self.axes[1]
        mask = self._empty()
        for outer, inner in NOSTRILS:
            centre = 0.45 * self.points[outer] + 0.55 * self.points[inner] - 0.03 * self.unit * down
            self._ellipse(mask, centre, (0.085 * self.unit, 0.055 * self.unit))
        return mask

    def lifted_oval(self) -> Soft:
        """The oval, its forehead lifted to where the hair may begin."""
        return self._closed(self._lifted(self.points[list(OVAL)]))

    def triangle(self) -> Soft:
        """The lifted oval, wider by the ears, and the neck: the extended triangle, in which skin is looked for."""
        return np.maximum(self._closed(self._lifted(self.points[list(OVAL)], wider=WIDER)), self.neck())

    def ears(self) -> Soft:
        """Beside the oval, from the brows down to the mouth."""
        wide = self._closed(self._lifted(self.points[list(OVAL)], wider=WIDER))
        return np.minimum(np.minimum(wide, np.maximum(*self.besides())), 255 - self.oval())

    def besides(self) -> tuple[Soft, Soft]:
        """The halves of the picture left and right of the face's middle, between the brows and the mouth."""
        across, down = self.axes
        halves = []
        for side in (-4, 4):
            corners = np.array([(0, -0.35), (side, -0.35), (side, 1.25), (0, 1.25)]) * self.unit
            halves.append(self._polygon(self.points[BETWEEN_EYES] + corners @ np.stack([across, down])))
        return halves[0], halves[1]

    def neck(self) -> Soft:
        """Under the jaw, as far as the neck of a held-up head reaches."""
        return self._polygon(self._neck_corners())

    def _neck_corners(self) -> Points:
        across, down = self.axes
        left, right, chin = self.points[LEFT_JAW], self.points[RIGHT_JAW], self.points[BOTTOM]
        length = NECK_LENGTH * float(np.linalg.norm(self.points[TOP] - chin))
        inset = 0.05 * self.unit * across
        return np.stack([left, right, right + down * length - inset, left + down * length + inset])

    def hair(self) -> Soft:
        """An ellipse above the forehead, which is hair, a hat or the background."""
        mask = self._empty()
        self._ellipse(mask, self.points[TOP] - 0.5 * self.unit * self.axes[1], (0.5 * self.unit, 0.18 * self.unit))
        return mask

    def extent(self) -> tuple[Points, Points]:
        """The least and the greatest x, y that the extended triangle reaches."""
        points = np.concatenate([self._lifted(self.points[list(OVAL)], wider=WIDER), self._neck_corners()])
        return points.min(0), points.max(0)

    @property
    def axes(self) -> tuple[Points, Points]:
        """Unit vectors along the eyes (to the right) and down the face."""
        line = self.points[263] - self.points[33]
        across = line / max(float(np.hypot(*line)), 1e-6)
        return across, np.array([-across[1], across[0]], across.dtype)

    def _lifted(self, points: Points, *, wider: float = 1.0) -> Points:
        """Points moved away from between the eyes: up by LIFT above it, sideways by `wider`."""
        axes = np.stack(self.axes)
        centre = self.points[BETWEEN_EYES]
        local = (points - centre) @ axes.T
        local[:, 0] *= wider
        local[:, 1] *= np.where(local[:, 1] < 0, LIFT, 1)
        moved: Points = centre + local @ axes
        return moved

    def _filled(self, outline: tuple[int, ...], *, grow: float = 0.0) -> Soft:
        return self._closed(self.points[list(outline)], grow_px=grow * self.unit)

    def _closed(self, corners: Points, *, grow_px: float = 0.0) -> Soft:
        """The inside of a smooth closed curve through the corners, grown by so many pixels."""
        curve = _smooth(corners)
        mask = self._polygon(curve)
        if grow_px >= 0.5:
            thickness = max(1, round(2 * grow_px))
            cv2.polylines(mask, [_fixed(curve)], True, 255, thickness, cv2.LINE_AA, FRACTION_BITS)
        return mask

    def _polygon(self, corners: Any) -> Soft:
        mask = self._empty()
        cv2.fillPoly(mask, [_fixed(corners)], 255, cv2.LINE_AA, FRACTION_BITS)
        return mask

    def _ellipse(self, mask: Soft, centre: Points, radii: tuple[float, float]) -> None:
        across = self.axes[0]
        angle = float(np.degrees(np.arctan2(across[1], across[0])))
        middle, axes = (tuple(int(value) for value in _fixed(np.array(pair))) for pair in (centre, radii))
        cv2.ellipse(mask, middle, axes, angle, 0, 360, 255, -1, cv2.LINE_AA, FRACTION_BITS)

    def _empty(self) -> Soft:
        return np.zeros((self.height, self.width), np.uint8)


def _fixed(points: Any) -> NDArray[np.int32]:
    """Points in OpenCV's fixed point."""
    return np.round(np.asarray(points, np.float64) * (1 << FRACTION_BITS)).astype(np.int32)


def _smooth(corners: Points) -> NDArray[np.float64]:
    """A closed Catmull-Rom curve through the corners: the mesh is coarse, and its corners would show at full size."""
    points = corners.astype(np.float64)
    before, after, next_but_one = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    steps = (np.arange(SUBDIVISIONS) / SUBDIVISIONS)[:, None, None]
    cubic = 3 * (points - after) + next_but_one - before
    square = 2 * before - 5 * points + 4 * after - next_but_one
    curve = points + 0.5 * steps * (after - before + steps * (square + steps * cubic))
    return curve.swapaxes(0, 1).reshape(-1, 2)
