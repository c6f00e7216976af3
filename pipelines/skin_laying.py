"""Lays a reference's skin texture into a picture: how much of it goes where. Knows nothing about recipes or files."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.colour import encoded, light_of, linear, luminance
from pipelines.errors import InputError
from pipelines.faces import Face, find_faces
from pipelines.regions import FaceMap
from pipelines.skin_bands import COARSE, bands, blur_inside, log_light, shrunk, spread
from pipelines.skin_transfer import (
    Array,
    Pixels,
    Source,
    more_of,
    nearness,
    places,
    scaled_face,
    source,
)

LIMIT_EV = 0.35  # most that a pixel may move: four sigmas of the strongest texture
HEADROOM = 0.8  # share of the way to white that may be used: nothing burns
WINDOW = 0.08  # eye distances over which the target's own texture is read
MOTTLED = 0.4  # most mottle to the texture put in: with more, light skin looks dirty
SIDE_EV = 0.3  # light from one side: the cheeks differ by more
ROUNDS = 4  # of bringing the texture to its goal; the fourth changes it by about 1 %
MEAN_TO_SIGMA = 1.2533  # mean absolute value of a normal distribution to its sigma


def laid(start: Array, mask: Array, reference: Pixels, *, weight: float) -> Array:
    """As `pipelines.skin_reference.textured`, for a weight above 0 and a mask that is not empty."""
    pixels = to_bytes(start)
    face = _of_mask(find_faces(pixels), mask)
    target = FaceMap(pixels, (face,))
    skin = source(facing_the_light(reference, target))
    light = linear(start)
    steps = _steps(light, mask, target, skin, weight=weight)
    made = encoded(light * np.exp2(steps * mask)[..., None])
    return np.where(((mask > 0) & (steps != 0))[..., None], made, start)


def to_bytes(picture: Array) -> Pixels:
    """sRGB 0..1 as 0..255."""
    return np.asarray((picture.clip(0, 1) * 255).round(), np.uint8)


def largest(pixels: Pixels, *, whose: str) -> Face:
    """The face with the widest eyes, as number 1; raises InputError if there is none."""
    found = find_faces(pixels)
    if not found:
        raise InputError(f"no face was found in {whose}; give one in which a face is seen from the front")
    return replace(max(found, key=lambda face: face.eye_distance), number=1)


def facing_the_light(reference: Pixels, target: FaceMap) -> FaceMap:
    """The reference's face at the target's size, mirrored if its light comes from the other side than the target's."""
    face = largest(reference, whose="the skin reference")
    found = _cut(reference, face, target.faces[0].eye_distance)
    here, there = side_light(target), side_light(found)
    if here * there > 0 or min(abs(here), abs(there)) < SIDE_EV:
        return found
    mirrored = np.ascontiguousarray(found.pixels[:, ::-1])
    return FaceMap(mirrored, (largest(mirrored, whose="the mirrored skin reference"),))


def _cut(pixels: Pixels, face: Face, eye_distance: float) -> FaceMap:
    scaled, moved = scaled_face(pixels, face, eye_distance)
    return FaceMap(scaled, (moved,))


def side_light(found: FaceMap) -> float:
    """Steps of exposure by which the cheek on the picture's right is lighter than the one on its left; face 1."""
    left, right = (found.region(1, f"{side}-cheek") > 0.5 for side in ("left", "right"))
    if min(left.sum(), right.sum()) < 20:
        return 0.0
    lights = [float(np.median(luminance(light_of(found.pixels[cheek])))) for cheek in (left, right)]
    return float(np.log2((lights[1] + 1e-4) / (lights[0] + 1e-4)))


def _of_mask(faces: tuple[Face, ...], mask: Array) -> Face:
    """The face that the mask covers most, as number 1."""
    if not faces:
        raise InputError("no face was found in the part that is worked on; give it more context (1 or more)")

    def covered(face: Face) -> float:
        left, top, right, bottom = face.box
        return float(mask[top:bottom, left:right].sum())

    return replace(max(faces, key=covered), number=1)


def _steps(light: Array, mask: Array, target: FaceMap, skin: Source, *, weight: float) -> Array:
    """Steps of exposure (h, w) for each pixel, without low frequencies."""
    eye = target.faces[0].eye_distance
    bare = np.clip(1 - sum(target.region(1, name) for name in ("eyes", "brows", "mouth")), 0, 1)
    on = ((mask * bare) > 0.05).astype(np.float32)
    if not on.any():
        return np.zeros_like(mask)
    where = places(target, 1)
    near = nearness(where, eye)
    core = shrunk((mask * bare) > 0.6, 0.02 * eye)
    on_places = core & np.any(list(where.values()), axis=0)
    core = next(each for each in (on_places, core, on > 0) if each.any())
    bright = luminance(light)
    log = log_light(bright, core)
    read = bands(log, eye, weight=on)
    shown = weight * _shown(log, on, core, eye)
    texture = _aim(read.texture, _wanted(near, skin, 0), core, on, window_px=WINDOW * eye, share=shown)
    mottle = _aim(read.mottle, _wanted(near, skin, 1), core, on, window_px=WINDOW * eye, share=shown)
    aims = (texture, mottle.at_most(MOTTLED * texture.need))
    unit = more_of(skin, near, on > 0)
    room = np.minimum(LIMIT_EV, HEADROOM * np.log2(1 / np.clip(light.max(2), 1e-4, 1 - 1e-4))) + 1e-6
    scale = np.ones(len(aims))
    for number in range(ROUNDS):
        raw = sum(factor * unit[..., i] * aim.need for i, (factor, aim) in enumerate(zip(scale, aims, strict=True)))
        steps = _without_low(room * np.tanh(raw / room), bright, on, eye) * bare
        if number < ROUNDS - 1:
            made = bands(log + steps, eye, weight=on)
            scale *= [aim.correction(band, core) for aim, band in zip(aims, made, strict=True)]
    return np.asarray(np.minimum(steps, room / HEADROOM), np.float32)


def _without_low(steps: Array, bright: Array, on: Array, eye_distance: float) -> Array:
    """The steps less what they would do to the light at wider scales than the bands."""
    steps = (steps - blur_inside(steps, on, COARSE * eye_distance)) * on
    low, moved = (blur_inside(values, on, 0.1 * eye_distance) for values in (bright, bright * np.exp2(steps)))
    return np.asarray((steps - np.log2((moved + 1e-4) / (low + 1e-4))) * on, np.float32)


def _shown(log: Array, on: Array, core: NDArray[np.bool_], eye_distance: float) -> Array:
    """How much of a texture light lets be seen, 0..1: less in highlights and in deep shadow."""
    low = blur_inside(log, on, 0.12 * eye_distance)
    above = np.clip(low - np.median(low[core]), -3, 3)
    return np.asarray(np.exp2(-3 * np.maximum(0, above - 0.3) ** 2 - 0.25 * np.maximum(0, -above - 1)), np.float32)


def _wanted(near: dict[str, Array], skin: Source, band: int) -> Array:
    """Sigma of the reference's band at each pixel of the target, passing softly from place to place."""
    elsewhere = float(np.median([levels[band] for levels in skin.levels.values()]))
    parts = [share * (skin.levels[name][band] if name in skin.levels else elsewhere) for name, share in near.items()]
    return np.asarray(sum(parts), np.float32)


@dataclass(frozen=True)
class _Aim:
    """One band of the target: the band, and sigma by pixel as it is and as it shall be, EV."""

    band: Array
    current: Array
    goal: Array

    @property
    def need(self) -> Array:
        """Sigma of what must be added: powers of unlike textures add up."""
        return np.asarray(np.sqrt(self.goal**2 - self.current**2), np.float32)

    def at_most(self, need: Array) -> "_Aim":
        """The same with no more to add."""
        return replace(self, goal=np.sqrt(self.current**2 + np.minimum(self.need, need) ** 2))

    def correction(self, made: Array, core: NDArray[np.bool_]) -> float:
        """By how much too little was added, over the core; within a factor of 2."""
        now = spread(self.band[core])
        wanted = now + float(np.median(self.goal[core] - self.current[core]))
        added, lacking = spread(made[core]) ** 2 - now**2, wanted**2 - now**2
        return float(np.clip(np.sqrt(lacking / max(added, 1e-9)), 0.5, 2)) if lacking > 1e-9 else 1.0


def _aim(band: Array, wanted: Array, core: NDArray[np.bool_], on: Array, *, window_px: float, share: Array) -> _Aim:
    most = 3 * spread(band[core])  # a strand of hair or the rim of a nostril is no texture
    current = np.asarray(MEAN_TO_SIGMA * blur_inside(np.minimum(np.abs(band), most), on, window_px), np.float32)
    return _Aim(band, current, current + share * np.maximum(0, wanted - current))
