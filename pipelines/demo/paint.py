"""Colours of everything in a portrait, before any light: skin with its relief, eyes, brows, lips, beard, hair, cloth.

Knows nothing about lamps or shadows; all colours are linear RGB reflectance.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.demo.attributes import CLOTH, GROUND, HAIR, TONES, Attributes
from pipelines.demo.fields import Field, Plane, bump, mix, noise, step
from pipelines.demo.heads import Head

IRISES = [(0.05, 0.02, 0.01), (0.10, 0.16, 0.24), (0.07, 0.10, 0.05), (0.11, 0.055, 0.02)]


@dataclass(frozen=True)
class Skin:
    """The relief of skin: light, not paint, makes it visible. `blotch` is the little of it that is paint."""

    rough: float
    grain: Field
    relief: Field
    blotch: Field

    @classmethod
    def sample(cls, rng: np.random.Generator, size: int, *, textured: bool) -> "Skin":
        """Octaves of noise: pores of about 3 px at 256, with pits, then coarser."""
        rough, smooth = rng.uniform(0.8, 1.25), rng.uniform(0, 0.06)
        rough = rough if textured else smooth
        pores = 0.75 * noise(rng, size, int(size / 3.3)) - 1.1 * np.maximum(noise(rng, size, int(size / 3.8)) - 0.9, 0)
        grain = 0.9 * pores + 0.28 * noise(rng, size, size // 6) + 0.09 * noise(rng, size, size // 12)
        relief = rough * 0.0010 * grain
        blotch = rough * (0.05 * noise(rng, size, 30) + 0.06 * noise(rng, size, 10) + 0.085 * pores)
        return cls(rough, grain, relief, blotch)


@dataclass(frozen=True)
class Palette:
    """The four colours of one portrait, each a little off its name."""

    skin: Field
    hair: Field
    ground: Field
    cloth: Field

    @classmethod
    def sample(cls, rng: np.random.Generator, a: Attributes) -> "Palette":
        return cls(
            _jitter(rng, TONES[a.tone], 0.10),
            _jitter(rng, HAIR[a.hair], 0.12),
            _jitter(rng, GROUND[a.ground], 0.08),
            _jitter(rng, CLOTH[a.cloth], 0.1),
        )


def _jitter(rng: np.random.Generator, colour: tuple[float, float, float], spread: float) -> Field:
    factor = np.exp(rng.normal(0, spread, 3) * 0.35 + rng.normal(0, spread)).astype(np.float32)
    near: Field = np.asarray(colour, np.float32) * factor
    return near


def strands(rng: np.random.Generator, palette: Palette, running: Field) -> Field:
    """Hair colour varied along the strands."""
    share = (1 + 0.30 * running + 0.16 * noise(rng, len(running), 30, 5)).clip(0.3, 2.2)
    colour: Field = palette.hair * share[..., None]
    return colour


def flesh(rng: np.random.Generator, head: Head, palette: Palette, skin: Skin, *, freckled: bool) -> Field:
    """Bare skin of face, ears and neck: blotches, flushed cheeks and nose, freckles, moles."""
    size, across, along = len(head.z), head.across, head.along
    out: Field = palette.skin * (1 + skin.blotch)[..., None].clip(0.5, 1.5) * np.ones((size, size, 1), np.float32)
    cheeks = bump(across, along, 0.6, -0.18, 0.3, 0.2) + bump(across, along, -0.6, -0.18, 0.3, 0.2)
    flush = 0.22 * (cheeks + 0.9 * bump(head.nose, along, 0, head.face.nose_tip, 0.16, 0.1)) * head.mask
    out = out * (1 + flush[..., None] * np.array([0.35, -0.35, -0.30], np.float32))
    if freckled:
        spots = step(noise(rng, size, 64), 1.15, 1.7) * (0.35 + 0.65 * step(along, -0.7, 0) * step(along, 0.55, 0.2))
        out = mix(out, out * np.array([0.62, 0.45, 0.38], np.float32), spots * 0.85)
    for _ in range(int(rng.integers(2, 6)) if skin.rough > 0.5 else 0):
        x, y, radius = rng.uniform(-0.9, 0.9), rng.uniform(-0.85, 0.45), rng.uniform(0.018, 0.034)
        mole = np.exp(-(((across - x) * 0.75) ** 2 + (along - y) ** 2) / radius**2)
        out = mix(out, palette.skin * np.array([0.30, 0.22, 0.20], np.float32), np.clip(mole * 1.3, 0, 0.9))
    return out


@dataclass(frozen=True)
class Features:
    """What is painted on a face, in head angles."""

    iris: Field
    gaze: float
    lid: float
    brow_y: float
    brow_width: float

    @classmethod
    def sample(cls, rng: np.random.Generator, a: Attributes) -> "Features":
        u, man = rng.uniform, a.sex == "man"
        iris = np.array(IRISES[int(rng.integers(4))], np.float32)
        gaze = a.yaw * 0.18 + u(-0.02, 0.02)
        lid, brow_y, brow_width = u(0.050, 0.064) - 0.010 * a.smile, u(0.205, 0.245), u(0.026, 0.036) + 0.012 * man
        return cls(iris, gaze, lid, brow_y, brow_width)


@dataclass(frozen=True)
class Painted:
    """The painted face, and where its eyes catch the light."""

    colour: Field
    wet: Field


def face(
    rng: np.random.Generator,
    a: Attributes,
    head: Head,
    palette: Palette,
    *,
    bare: Field,
    running: Field,
    light_x: float,
) -> Painted:
    """Eyes, brows, nostrils, lips and beard over bare skin. `light_x`: how far right the lamp stands, -1 to 1."""
    f, out, wet = Features.sample(rng, a), bare.copy(), np.zeros_like(head.z)
    tip, nose_width = head.face.nose_tip, head.face.nose_width
    for side in (-1, 1):
        out, shine = _eye(out, head, f, side, light_x)
        wet = np.maximum(wet, shine)
        out = _brow(out, head, f, side, palette.hair, running)
        out = mix(
            out, out * 0.18, bump(head.nose, head.along, side * nose_width * 0.72, tip - 0.082, 0.05, 0.020) * 0.85
        )
    out = _lips(out, head, palette.skin, man=a.sex == "man")
    if a.beard:
        out = _beard(rng, out, head, palette.hair, running)
    out = mix(out, out * 0.16, bump(head.across, head.lips, 0, -0.004, head.face.lip_width * 1.02, 0.012) * 0.9)
    return Painted(out, wet)


def _eye(out: Field, head: Head, f: Features, side: int, light_x: float) -> tuple[Field, Field]:
    """White, iris, pupil, lash line and fold of one eye; and its catchlight."""
    across, eye_x = head.across, head.face.eye_x
    ex, ey = (across - side * eye_x) / 0.185, head.along - head.face.eye_y
    lid = f.lid * np.sqrt(np.maximum(1 - ex * ex, 0)) ** 1.3
    open_ = step(lid - np.abs(ey + 0.006 * ex * side), -0.004, 0.012) * (np.abs(ex) < 1)
    r = np.hypot((across - side * eye_x - f.gaze) * 0.80, (ey - 0.004))
    ball = np.array([0.55, 0.52, 0.50], np.float32) * np.ones_like(out)
    ball = mix(ball, f.iris, step(r, 0.058, 0.048))
    ball = mix(ball, np.float32(0.004), step(r, 0.027, 0.019))
    out = mix(out, ball, open_)
    wet = open_ * step(np.hypot((across - side * eye_x - f.gaze) * 0.8 - light_x * 0.022, ey - 0.022), 0.020, 0.011)
    out = mix(out, out * 0.12, bump(ex, ey - lid - 0.006, 0, 0, 1.0, 0.014) * (np.abs(ex) < 1.12) * 0.9)
    return mix(out, out * 0.55, bump(ex, ey - lid - 0.045, 0, 0, 0.9, 0.016) * 0.55), wet


def _brow(out: Field, head: Head, f: Features, side: int, hair: Field, running: Field) -> Field:
    across = head.across
    arch = head.along - f.brow_y - 0.045 * (1 - ((across * side - 0.40) / 0.30) ** 2)
    brow = np.exp(-((arch / f.brow_width) ** 2)) * step(across * side, 0.10, 0.18) * step(across * side, 0.78, 0.60)
    return mix(out, hair * 0.55 + 0.006, np.clip(brow * (1.05 + 0.18 * running), 0, 0.92))


def _lips(out: Field, head: Head, skin: Field, *, man: bool) -> Field:
    rosy = skin * (np.array([0.80, 0.58, 0.56], np.float32) if man else np.array([0.80, 0.42, 0.42], np.float32))
    width, full = head.face.lip_width, head.face.lip_fullness
    upper = bump(head.across, head.lips, 0, 0.032, width * 0.95, 0.036 * full) ** 0.9
    lower = bump(head.across, head.lips, 0, -0.045, width * 0.85, 0.046 * full) ** 0.9
    return mix(out, rosy, np.clip(1.35 * np.maximum(upper, lower) - 0.3, 0, 0.92))


def _beard(rng: np.random.Generator, out: Field, head: Head, hair: Field, running: Field) -> Field:
    width, along = head.face.lip_width, head.along
    mouth = 1 - 0.9 * bump(head.across, head.lips, 0, -0.01, width * 0.9, 0.085)
    stubble = step(along, -0.20, -0.42) * mouth + bump(head.across, head.lips, 0, 0.115, width, 0.035)
    stubble = np.clip(stubble * step(along + 0.34 * np.abs(head.across) ** 2, 0.34, -0.1) + 0, 0, 1)
    colour = hair * 0.7 * (1 + 0.35 * noise(rng, len(along), 110))[..., None]
    return mix(out, colour, np.clip(stubble * (0.9 + 0.1 * running), 0, 0.93))


def wall(plane: Plane, ground: Field, light: Field) -> Field:
    """The background: the same lamp grazes it."""
    out = np.ones((plane.size, plane.size, 3), np.float32) * ground
    glow = 1 + 0.30 * (plane.x * light[0] * 1.2) - 0.22 * ((plane.x * 0.8) ** 2 + plane.y**2)
    out *= np.clip(glow, 0.25, 2)[..., None]
    return out
