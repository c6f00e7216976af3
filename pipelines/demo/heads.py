"""The shape of a head: an egg with features, as a height field over the picture plane.

Features sit in head angles, so that turning the head foreshortens them. Knows nothing about colour or light.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.demo.fields import Field, Plane, bump, step


@dataclass(frozen=True)
class Face:
    """One person's proportions, in scene units (x, y, width, height: of the head) and head angles (the rest)."""

    x: float
    y: float
    width: float
    height: float
    jaw: float
    eye_x: float
    eye_y: float
    mouth_y: float
    nose_width: float
    nose_tip: float
    lip_width: float
    lip_fullness: float

    @classmethod
    def sample(cls, rng: np.random.Generator, *, man: bool) -> "Face":
        u = rng.uniform
        x, y, width, height = u(-0.04, 0.04), 0.13 + u(-0.03, 0.03), u(0.35, 0.385) + 0.015 * man, u(0.475, 0.51)
        jaw = u(0.13, 0.2) if man else u(0.2, 0.29)
        eye_x, eye_y, mouth_y = u(0.42, 0.46), u(0.06, 0.10), u(-0.50, -0.46)
        nose_width, nose_tip = u(0.10, 0.135) + 0.015 * man, u(-0.25, -0.2)
        lip_width, fullness = u(0.27, 0.33), u(0.9, 1.25) * (1 if man else 1.25)
        return cls(x, y, width, height, jaw, eye_x, eye_y, mouth_y, nose_width, nose_tip, lip_width, fullness)


@dataclass(frozen=True)
class Head:
    """The head on the plane. r: 1 on its outline; across, along: head angles; nose: `across` as the nose sees it."""

    face: Face
    r: Field
    across: Field
    along: Field
    nose: Field
    lips: Field  # distance above the line between the lips
    z: Field
    mask: Field


def shape(plane: Plane, face: Face, *, yaw: float, man: bool, smile: bool) -> Head:
    """The height field of a head with all its features."""
    along = (plane.y - face.y) / face.height
    half = face.width * (1 - face.jaw * step(-along, 0, 1.1))
    r = np.sqrt(((plane.x - face.x) / half) ** 2 + along**2)
    z = face.width * 1.05 * np.sqrt(np.maximum(1 - r * r, 2e-3)) - 2.0 * np.maximum(r - 1, 0)
    turned = np.clip((plane.x - face.x) / half / np.sqrt(np.maximum(1 - 0.45 * along * along, 0.2)), -0.995, 0.995)
    across = np.arcsin(turned) - yaw
    nose = across - 0.22 * yaw  # the nose stands out, so it moves more
    z += _nose(face, nose, along)
    for side in (-1, 1):
        z += _half(face, across, along, side, man=man, smile=smile)
    lips = along - face.mouth_y - (0.10 if smile else 0.02) * across * across / face.lip_width * 1.6
    z += _mouth(face, across, along, lips)
    return Head(face, r, across, along, nose, lips, z, plane.inside((r - 1) * face.width))


def _nose(face: Face, nose: Field, along: Field) -> Field:
    width, tip = face.nose_width, face.nose_tip
    ridge = step(along, 0.26, tip) * step(along, tip - 0.11, tip - 0.015)
    wings = bump(nose, along, width * 1.25, tip - 0.03, 0.075, 0.055) + bump(
        nose, along, -width * 1.25, tip - 0.03, 0.075, 0.055
    )
    height: Field = face.width * (
        0.20 * ridge * np.exp(-((nose / (width * (1 + 0.5 * step(along, 0.1, tip)))) ** 2))
        + 0.12 * bump(nose, along, 0, tip, width * 1.15, 0.075)
        + 0.07 * wings
    )
    return height


def _half(face: Face, across: Field, along: Field, side: int, *, man: bool, smile: bool) -> Field:
    """Eye socket and ball, brow, cheek, corner of the mouth and fold, of one side."""
    height: Field = face.width * (
        -0.13 * bump(across, along, side * face.eye_x, face.eye_y + 0.015, 0.22, 0.115)
        + 0.07 * bump(across, along, side * face.eye_x, face.eye_y, 0.13, 0.07)
        + (0.055 + 0.035 * man) * bump(across, along, side * 0.36, 0.235, 0.30, 0.065)
        + 0.075 * bump(across, along, side * 0.58, -0.16, 0.26, 0.20)
        - 0.03 * bump(across, along, side * face.lip_width * 1.25, face.mouth_y + 0.02 * smile, 0.09, 0.07)
        - 0.022 * bump(across, along, side * (0.30 + 0.25 * (-along - 0.2)), -0.36, 0.05, 0.14) * (1 + 0.9 * smile)
    )
    return height


def _mouth(face: Face, across: Field, along: Field, lips: Field) -> Field:
    width, full = face.lip_width, face.lip_fullness
    height: Field = face.width * (
        0.05 * full * bump(across, lips, 0, 0.045, width * 0.85, 0.036)
        + 0.065 * full * bump(across, lips, 0, -0.055, width * 0.75, 0.045)
        - 0.05 * bump(across, lips, 0, -0.005, width, 0.014)
        - 0.045 * bump(across, along, 0, face.mouth_y - 0.16, 0.22, 0.05)
        + 0.085 * bump(across, along, 0, -0.83, 0.22, 0.13)
    )
    return height
