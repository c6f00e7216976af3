"""What a person reads and sees of faces and masks: lines of text and pictures with outlines. Knows no commands.

Pictures in and out are (height, width, 3) uint8 sRGB.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.faces import Face
from workbench.history import grouped

Pixels = NDArray[np.uint8]
EDGE, LABEL = (255, 255, 255), (20, 20, 20)
TINT = np.array((235, 60, 160), np.float32)  # magenta: the one hue that no skin, hair or wall has
TINTED = 0.5
"""How much of the tint lies over a mask of 1."""
FRONTAL, TURNED = 0.15, 0.45
"""Turns (share, 0 frontal to 1) under which a face is called frontal, and over which it is called turned away."""


def described(face: Face) -> str:
    """One line: number, eye distance, turn, tilt and box of a face."""
    left, top, right, bottom = face.box
    return (
        f"face {face.number}: {face.eye_distance:.0f} px between the eyes, {_turned(face)}, box {right - left} x "
        f"{bottom - top} at {left}, {top}"
    )


def as_dict(face: Face) -> dict[str, Any]:
    """The same for --json."""
    return {
        "number": face.number,
        "eye_distance_px": round(face.eye_distance, 1),
        "turn": round(face.turn, 3),
        "tilt_degrees": round(face.tilt_degrees, 1),
        "box": list(face.box),
        "score": round(face.score, 3),
    }


def none_found(file: Path, *, everywhere: bool) -> str:
    """What to do with a picture in which no face is found."""
    wider = "" if everywhere else "look harder with --everywhere, or "
    return (
        f"{file}: no face found; {wider}paint the mask by hand (white is repainted) and give it: "
        f"sidelight face repair {file} --mask MASK.png"
    )


def mask_line(mask: Pixels) -> str:
    """How much of the picture a mask (height, width) covers, and where."""
    share, (left, top, right, bottom) = share_of(mask), box_of(mask)
    high, wide = mask.shape
    soft = float(((mask > 0) & (mask < 255)).sum() / max((mask > 0).sum(), 1))
    return (
        f"{share:.2%} of {wide} x {high} px, box {right - left} x {bottom - top} at {left}, {top}, "
        f"{grouped(int((mask > 0).sum()))} pixels may change ({soft:.0%} of them soft edge)"
    )


def share_of(mask: Pixels) -> float:
    """Share of the picture, 0..1, that a mask covers, soft edges by their value."""
    return float(mask.mean() / 255)


def box_of(mask: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is not 0 in (height, width); all 0 where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return (0, 0, 0, 0)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def outlined(pixels: Pixels, faces: Sequence[Face], ovals: Sequence[NDArray[np.float32]]) -> Pixels:
    """The picture with every face's outline (from its oval, 0..1) and number."""
    from PIL import Image, ImageDraw

    from sweeps.lettering import Style, letter

    shown = pixels.copy()
    thick = max(1, round(max(pixels.shape[:2]) / 700))
    for oval in ovals:
        shown = _edged(shown, oval > 0.5, thick)
    image = Image.fromarray(shown, "RGB")
    pen = ImageDraw.Draw(image)
    for face in faces:
        size = max(12, round(face.eye_distance * 0.45))
        words = letter(str(face.number), Style(size, 255, "SemiBold"), width=10 * size)
        pad = size // 3
        left, top = face.box[0], max(0, face.box[1] - size - pad)  # above the face, so that it hides none of it
        box = (left, top, left + words.width + 2 * pad, top + size + pad)
        pen.rounded_rectangle(box, radius=pad, fill=LABEL, outline=EDGE, width=thick)
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        pen.text(centre, words.lines[0], font=words.font, fill=EDGE, anchor="mm")
    return np.asarray(image)


def tinted(pixels: Pixels, mask: Pixels) -> Pixels:
    """The picture with the mask (height, width) laid over it as a tint, its outline drawn where it is half."""
    over = (mask.astype(np.float32) / 255 * TINTED)[..., None]
    shown = (pixels * (1 - over) + TINT * over).round().astype(np.uint8)
    return _edged(shown, mask > 127, max(1, round(max(pixels.shape[:2]) / 900)))


def _edged(pixels: Pixels, inside: NDArray[np.bool_], thick: int) -> Pixels:
    """With a light line where `inside` ends, and a dark one outside it, so that it shows on any ground."""
    import cv2

    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thick + 1, 2 * thick + 1))
    full = inside.astype(np.uint8)
    shrunk, grown = cv2.erode(full, cross) > 0, cv2.dilate(full, cross) > 0
    shown = pixels.copy()
    shown[inside & ~shrunk] = EDGE
    shown[grown & ~inside] = LABEL
    return shown


def _turned(face: Face) -> str:
    share = abs(face.turn)
    tilt = f", tilted {face.tilt_degrees:+.0f} degrees" if abs(face.tilt_degrees) >= 8 else ""
    if share < FRONTAL:
        return f"frontal{tilt}"
    side = "right" if face.turn > 0 else "left"
    much = "turned" if share < TURNED else "turned far"
    return f"{much} to the {side} ({share:.2f}){tilt}"
