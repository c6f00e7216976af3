"""What surrounds a face: neck, shoulders, ears and hair, as further height fields with masks.

Knows nothing about colour or light.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.demo.fields import Field, Plane, bump, noise, step
from pipelines.demo.heads import Face, Head


@dataclass(frozen=True)
class Part:
    """Where something is (0 to 1) and how high."""

    mask: Field
    z: Field


@dataclass(frozen=True)
class Bust:
    """Neck and shoulders; the collar is what the cloth leaves free."""

    neck: Part
    body: Part
    collar: Field


@dataclass(frozen=True)
class Hair:
    """The cap over the skull and, behind the head, long hair; `strands` is the noise that runs down both."""

    cap: Part
    long: Part
    strands: Field


def bust(rng: np.random.Generator, plane: Plane, face: Face, *, man: bool) -> Bust:
    x, y, u = plane.x, plane.y, rng.uniform
    neck_width = (0.225 if man else 0.185) + u(-0.01, 0.01)
    nx = (x - face.x * 0.7) / neck_width
    z_neck = neck_width * 0.8 * np.sqrt(np.maximum(1 - nx * nx, 4e-3)) - 0.16 - 1.2 * np.maximum(np.abs(nx) - 1, 0)
    neck = plane.inside((np.abs(nx) - 1) * neck_width - 0.22 * step(y, -0.38, -0.62)) * (y < face.y)
    width = (0.86 if man else 0.74) + u(-0.04, 0.04)
    top = -0.435 + u(-0.02, 0.02)
    r = np.sqrt(
        ((np.abs(x - face.x * 0.5)) / width) ** 2.6
        + (np.minimum(y - (top - 0.52), 0 * y + 9) / 0.52).clip(-0.2) ** 2
        + 1e-9
    )
    z_body = 0.42 * np.sqrt(np.maximum(1 - r**2, 3e-3)) - 0.30 - 1.2 * np.maximum(r - 1, 0)
    across = ((x - face.x * 0.5) / (neck_width * u(1.25, 1.6))) ** 2
    collar = plane.inside((np.sqrt(across + ((y - top) / u(0.16, 0.26)) ** 2) - 1) * 0.2)
    return Bust(Part(neck, z_neck), Part(plane.inside((r - 1) * 0.5), z_body), collar)


def ears(plane: Plane, face: Face, *, yaw: float) -> Part:
    x, y = plane.x, plane.y
    z, mask = np.full_like(x, -9), np.zeros_like(x)
    for side in (-1, 1):
        at = face.x + side * face.width * (1.02 - 0.16 * max(0, side * yaw)) - 0.05 * yaw
        r = np.sqrt(((x - at) / (face.width * 0.13)) ** 2 + ((y - face.y - 0.01) / (face.height * 0.19)) ** 2)
        hollow = 0.03 * bump(x, y, at - side * 0.006, face.y + 0.01, 0.022, 0.05)
        z = np.maximum(z, 0.07 * np.sqrt(np.maximum(1 - r * r, 4e-3)) - 0.08 - hollow - np.maximum(r - 1, 0))
        mask = np.maximum(mask, plane.inside((r - 1) * face.width * 0.13))
    return Part(mask, z)


def hair(rng: np.random.Generator, plane: Plane, head: Head, *, style: str) -> Hair:
    """Hair of a style: "long", "short", or "bald", which draws the same random numbers and shows none."""
    x, y, u, face = plane.x, plane.y, rng.uniform, head.face
    r = np.sqrt(
        ((x - face.x) / (face.width * u(1.09, 1.15))) ** 2 + ((y - face.y - 0.025) / (face.height * u(1.08, 1.13))) ** 2
    )
    part = u(-0.5, 0.5)
    temples = (0.62 if style == "long" else 0.44) * step(np.abs(head.across), 0.60, 1.25)
    line = u(0.56, 0.68) - 0.10 * np.cos(2.2 * (head.across - part)) - temples
    strands = noise(rng, plane.size, 90, 9)
    lock = 0.022 * noise(rng, plane.size, 14, 3) + 0.010 * strands
    cap = (
        plane.inside((r - 1 - 0.3 * lock) * face.width)
        * step(head.along - line + lock, -0.025, 0.03)
        * (style != "bald")
    )
    z_cap = (
        face.width * 1.2 * np.sqrt(np.maximum(1 - r * r, 4e-3)) + 0.03 - 1.5 * np.maximum(r - 1, 0) + 0.012 * strands
    )
    ends = u(-0.75, -0.35)
    width = face.width * u(1.22, 1.38) * (1 + 0.10 * step(y, 0.1, -0.5))
    outline = np.sqrt(((x - face.x) / width) ** 2 + (np.maximum(y - face.y - 0.1, 0) / (face.height * 1.0)) ** 2)
    outline = np.maximum(outline, (ends - y + lock * 2) * 1.5 + 1)
    long = plane.inside((outline - 1 + lock) * face.width) * (style == "long")
    z_long = (
        0.22 * np.sqrt(np.maximum(1 - outline * outline, 4e-3)) - 0.22 - np.maximum(outline - 1, 0) + 0.012 * strands
    )
    return Hair(Part(cap, z_cap), Part(long, z_long), strands)
