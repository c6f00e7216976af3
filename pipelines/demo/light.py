"""Lights a composed portrait: one lamp with cast shadow, a fill, gloss on skin and hair, and light under the skin.

Knows nothing about what a face is; it sees heights, normals and reflectances.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.demo.fields import Field, Plane, mix

REACHES = (2, 4, 6, 9, 12, 16, 21, 27, 34, 42, 51, 61, 72, 84, 95)  # px at which a ray towards the lamp is tested


@dataclass(frozen=True)
class Layer:
    """Something laid over what is behind it: where (0 to 1), how high, its fine relief and its colour."""

    mask: Field
    z: Field
    relief: Field | float
    colour: Field
    is_skin: bool = False
    is_hair: bool = False


@dataclass(frozen=True)
class Scene:
    """All layers as one surface."""

    z: Field
    normal: Field
    colour: Field
    skin: Field
    hair: Field


@dataclass(frozen=True)
class Lamp:
    """Direction to the lamp (unit vector: right, up, to the viewer), and whether it is small."""

    direction: Field
    is_hard: bool

    @classmethod
    def at(cls, *, azimuth: float, elevation: float, is_hard: bool) -> "Lamp":
        """Angles in degrees; azimuth 90 is straight from the right."""
        el, az = np.radians(elevation), np.radians(azimuth)
        return cls(np.array([np.sin(az) * np.cos(el), np.sin(el), np.cos(az) * np.cos(el)], np.float32), is_hard)


@dataclass(frozen=True)
class Gloss:
    """What reflects: smooth skin shines more and tighter; grain breaks it up; strands carry the hair's."""

    is_smooth: bool
    grain: Field
    strands: Field
    hair_colour: Field
    catchlight: Field


def compose(layers: list[Layer], wall: Field, plane: Plane) -> Scene:
    """Back to front."""
    size = plane.size
    zs, normal = np.full((size, size), -1.0, np.float32), np.zeros((size, size, 3), np.float32)
    normal[..., 2] = 1
    colour, skin, hair = wall, np.zeros_like(zs), np.zeros_like(zs)
    for layer in layers:
        gy, gx = np.gradient(layer.z + layer.relief, plane.px)
        n = np.stack([-gx, gy, np.ones_like(gx)], -1)
        n /= np.linalg.norm(n, axis=-1, keepdims=True)
        normal = mix(normal, n, layer.mask)
        zs = np.where(layer.mask > 0.5, layer.z, zs)
        colour = mix(colour, layer.colour, layer.mask)
        skin = skin * (1 - layer.mask) + layer.mask * layer.is_skin
        hair = hair * (1 - layer.mask) + layer.mask * layer.is_hair
    return Scene(zs, normal, colour, skin, hair)


def shadow(z: Field, direction: Field, px: float, spread: float) -> Field:
    """1 lit to 0 in cast shadow: march from each pixel towards the lamp and note how far the ray is covered."""
    flat = np.hypot(direction[0], direction[1]) + 1e-6
    dx, dy, rise = direction[0] / flat, -direction[1] / flat, direction[2] / flat  # rows run downwards
    pad, (h, w) = 96, z.shape
    padded = np.pad(z, pad, mode="edge")
    cover = np.zeros_like(z)
    for k in REACHES:
        ox, oy = round(dx * k), round(dy * k)
        over = padded[pad + oy : pad + oy + h, pad + ox : pad + ox + w] - z - k * px * rise
        np.maximum(cover, over / (spread * k * px + 0.012), out=cover)
    lit: Field = 1 - np.clip(cover, 0, 1)
    return lit


def lit(rng: np.random.Generator, scene: Scene, lamp: Lamp, gloss: Gloss, plane: Plane) -> Field:
    """Linear colour of the lit surface."""
    hard, light, normal = lamp.is_hard, lamp.direction, scene.normal
    cast = shadow(scene.z, light, plane.px, 0.10 if hard else 0.75)
    cast = cv2.GaussianBlur(cast, (0, 0), plane.size / (300 if hard else 64))
    facing = normal @ light
    wrap = 0.0 if hard else 0.28
    key = np.clip((facing + wrap) / (1 + wrap), 0, 1) * (cast * (1 if hard else 0.88) + (0 if hard else 0.12))
    fill = (
        (rng.uniform(0.04, 0.075) if hard else rng.uniform(0.10, 0.16))
        * (0.62 + 0.38 * normal[..., 1])
        * (0.55 + 0.45 * normal[..., 2])
    )
    warm = np.array([1.0, 0.97, 0.92], np.float32) * rng.uniform(0.95, 1.05)
    power = 1.32 if hard else 1.18
    out = scene.colour * (fill[..., None] * np.array([0.92, 0.97, 1.06], np.float32) + power * key[..., None] * warm)
    edge = np.exp(-(((facing - 0.06) / 0.16) ** 2)) * cast  # light under the skin reddens the edge of shade
    out += (scene.skin * edge * 0.16)[..., None] * scene.colour * np.array([1.0, 0.25, 0.12], np.float32)
    return _glossed(out, scene, gloss, light, cast=cast, facing=facing, warm=warm)


def _glossed(out: Field, scene: Scene, gloss: Gloss, light: Field, *, cast: Field, facing: Field, warm: Field) -> Field:
    half = light + np.array([0, 0, 1], np.float32)
    mirror = np.clip(scene.normal @ (half / np.linalg.norm(half)), 0, 1)
    if gloss.is_smooth:
        shine = 0.17 * mirror**26 + 0.10 * mirror**70
    else:
        shine = 0.10 * mirror**14 * (1 + 0.25 * np.clip(gloss.grain, -2, 2))
    out += (scene.skin * shine * cast * np.clip(facing * 4, 0, 1))[..., None] * warm
    sheen = 0.16 * mirror**18 * (1 + 0.8 * gloss.strands).clip(0, 3)
    out += (scene.hair * sheen * cast)[..., None] * (gloss.hair_colour * 1.6 + 0.06)
    out += (gloss.catchlight * scene.skin)[..., None] * (0.25 + 0.75 * cast[..., None]) * 0.9
    return out
