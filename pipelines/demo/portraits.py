"""Draws lit portrait busts with numpy and says in words what it drew.

A head is a height field over the picture plane; light, cast shadow and skin relief come from that field, so side light
shows pores and frontal light hides them. Knows nothing about models or latents.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.demo import figures, heads, paint
from pipelines.demo.attributes import Attributes, caption, sample
from pipelines.demo.fields import Plane, mix, noise, step
from pipelines.demo.light import Gloss, Lamp, Layer, compose, lit

SIZE = 256


@dataclass(frozen=True)
class Portrait:
    """A picture (size, size, 3), uint8, sRGB; a caption for it; and all it shows."""

    picture: NDArray[np.uint8]
    caption: str
    attributes: Attributes


def draw(a: Attributes, rng: np.random.Generator, size: int = SIZE) -> NDArray[np.uint8]:
    """Picture of the attributes: (size, size, 3) uint8, sRGB. The person's shape comes from `rng`."""
    plane, man = Plane.of(size), a.sex == "man"
    person = heads.Face.sample(rng, man=man)
    head = heads.shape(plane, person, yaw=a.yaw, man=man, smile=a.smile)
    bust, ears = figures.bust(rng, plane, person, man=man), figures.ears(plane, person, yaw=a.yaw)
    hair = figures.hair(rng, plane, head, style=a.style)
    skin = paint.Skin.sample(rng, size, textured=a.skin == "textured")
    lamp = Lamp.at(azimuth=a.azimuth, elevation=a.elevation, is_hard=a.hard == "hard")
    palette = paint.Palette.sample(rng, a)
    wall = paint.wall(plane, palette.ground, lamp.direction)
    locks = paint.strands(rng, palette, hair.strands)
    bare = paint.flesh(rng, head, palette, skin, freckled=a.freckles)
    face = paint.face(rng, a, head, palette, bare=bare, running=hair.strands, light_x=lamp.direction[0])
    scene = compose(
        [
            Layer(hair.long.mask, hair.long.z, 0, locks, is_hair=True),
            Layer(bust.neck.mask, bust.neck.z, skin.relief, bare, is_skin=True),
            Layer(
                bust.body.mask * (1 - bust.collar * 0.999), bust.body.z, 0.006 * noise(rng, size, 40, 6), palette.cloth
            ),
            Layer(ears.mask * (1 - 0.98 * hair.long.mask), ears.z, 0, bare, is_skin=True),
            Layer(head.mask, head.z, skin.relief * step(head.r, 1.0, 0.88), face.colour, is_skin=True),
            Layer(hair.cap.mask, hair.cap.z, 0, locks, is_hair=True),
        ],
        wall,
        plane,
    )
    subject = np.maximum(np.clip(scene.skin + scene.hair, 0, 1), bust.body.mask)
    gloss = Gloss(
        is_smooth=a.skin == "smooth",
        grain=skin.grain,
        strands=hair.strands,
        hair_colour=palette.hair,
        catchlight=head.mask * face.wet,
    )
    out = mix(wall, lit(rng, scene, lamp, gloss, plane), subject)
    out = np.clip(out, 0, None) ** (1 / 2.2)
    out = out * (1 + 0.004 * rng.standard_normal((size, size, 1), dtype=np.float32))
    return (np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8)


def portrait(seed: int, size: int = SIZE) -> Portrait:
    """The portrait of one seed; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    a = sample(rng)
    text = caption(a, rng).text
    return Portrait(draw(a, rng, size), text, a)
