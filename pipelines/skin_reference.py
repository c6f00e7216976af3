"""A reference photograph's skin: what its weight means to each mechanism, its texture put in, and how far it pulled.

Knows nothing about files, recipes or diffusion. NumPy and OpenCV are loaded by the two functions that touch pixels, so
that a picture's record can be read without them.
"""

from typing import TYPE_CHECKING, Literal, NamedTuple

from pipelines.frozen import Frozen

if TYPE_CHECKING:
    from pipelines.skin_transfer import Array, Pixels

NORMAL = (0.4, 0.6)
"""Weights between which a reference gives texture and leaves the face alone."""
FOUND_WITHIN = 0.06
"""Drift of geometry that comes of finding a face twice, noise or JPEG 60 between: at most .053 over seven pairs."""
CONSENT = "reference textures freely, no likeness of a person without their consent"


class Mapping(NamedTuple):
    """What a reference's weight (0..1) is to one mechanism: the value that it sets, and what that does."""

    mechanism: str
    role: Literal["skin", "start"]
    sets: str
    meaning: str


MAPPINGS = (
    Mapping(
        "img2img", "start", "strength = 1 - weight", "the picture begins from the reference itself: it is reworked"
    ),
    Mapping(
        "bands", "skin", "share = weight", "of the texture that the skin lacks, this share is put in before img2img"
    ),
    Mapping(
        "ip-adapter", "skin", "scale = weight", "image attention on cheek and forehead crops is added at this scale"
    ),
    Mapping("redux", "skin", "token strength = weight", "the image tokens beside the prompt count this much"),
    Mapping("kontext", "skin", "no dial", "the network sees the reference or not; say in the prompt how much"),
    Mapping("images", "skin", "no dial", "FLUX.2 sees the reference or not; say in the prompt how much"),
)
"""How a weight maps to each mechanism.

| mechanism  | role  | the weight sets         |
|------------|-------|-------------------------|
| img2img    | start | strength = 1 - weight   |
| bands      | skin  | share = weight          |
| ip-adapter | skin  | scale = weight          |
| redux      | skin  | token strength = weight |
| kontext    | skin  | nothing: seen or not    |
| images     | skin  | nothing: seen or not    |

0.4 to 0.6 is normal for all that have a dial; outside it `weight_warning` says what happens.
"""


class Share(Frozen):
    """A share of a way, 1 = all of it, or why it could not be measured ("" if it was)."""

    value: float | None = None
    why: str = ""


class Pull(Frozen):
    """How far a picture moved toward its reference: in texture, as was wanted, and in the face, which was not.

    All are shares of the way from the picture before to the reference: 0 = did not move, 1 = arrived; negative = moved
    away. Levels are robust sigmas (1.4826 x median distance from the median) of log light over cheeks, forehead, nose
    and chin; I is the eye distance; n(s) a Gaussian of sigma s I.

    - `texture`: (T after - T before) / (T reference - T before), T = level of n(.006) - n(.018). Range -1..2; not
      measurable where the reference has less than 15 % more of it than the picture had.
    - `mottle`: the same for n(.018) - n(.05).
    - `slope`: the same for log2(T / mottle), the balance of the two; needs 0.3 octaves between them.
    - `geometry`: the 468 points of the three faces, laid on the face before by the best turn, size and place
      (Procrustes); the way of the points along the line from before to reference, over its length. Range -1..1; finding
      one face again after noise or JPEG gives up to 0.06. A head turned towards the reference's pose counts too.
    - `shading`: the same for the face's low frequencies: log light of n(.15) inside the oval on a grid of 48 x 48 laid
      on the points, without its mean.
    - `distance_before`: root mean square distance between the points of the two faces before, in eye distances.

    Sources: the bands of `pipelines.skin`; Procrustes alignment, Gower 1975. Faces below 50 px between the eyes, and
    pictures without one, are not measured and say so.
    """

    weight: float
    texture: Share
    mottle: Share
    slope: Share
    geometry: Share
    shading: Share
    distance_before: float | None = None

    @property
    def verdict(self) -> str:
        """One line: "texture +62 % of the way to the reference, face 0.4 % nearer to it"."""
        texture = f"{self.texture.value:+.0%} of the way to the reference" if self.texture.value is not None else ""
        face = f"{abs(self.geometry.value):.1%} {_way(self.geometry.value)}" if self.geometry.value is not None else ""
        if self.geometry.value is not None and abs(self.geometry.value) < FOUND_WITHIN:
            face += f" (below {FOUND_WITHIN:.0%} is how well a face is found)"
        line = f"texture {texture or self.texture.why}, face {face or self.geometry.why}"
        return line.replace("%", " %").replace("-0 %", "+0 %")


def weight_warning(weight: float, role: str, *, mechanism: str = "bands") -> str:
    """What a weight outside 0.4 to 0.6 does, in one line; "" within. `role`: skin or start."""
    low, high = NORMAL
    if low <= weight <= high:
        return ""
    if role == "start":
        kept = f"(strength {1 - weight:.2g}) is"
        if weight < low:
            return f"weight {weight:g} {kept} below {low:g}: little of the reference is kept, its texture and face go"
        return f"weight {weight:g} {kept} above {high:g}: the reference comes back almost as it is, its face with it"
    if weight < low:
        return f"reference weight {weight:g} is below {low:g}: little of its texture will show"
    shows = "its own marks show, as if copied" + ("" if mechanism == "bands" else ", and the prompt gives way")
    return f"reference weight {weight:g} is above {high:g}: {shows}"


def textured(start: "Array", mask: "Array", reference: "Pixels", *, weight: float) -> "Array":
    """The picture with the reference's skin texture under the mask; nothing else moves.

    `start` (h, w, 3) sRGB 0..1, `mask` (h, w) 0..1, `reference` (H, W, 3) sRGB; the result is like `start`. Of what
    each band of log light lacks to the reference's level, the share `weight` (0..1) is put in, in power: a skin that
    has the texture keeps its own. Linear light is multiplied, so hue stays and nothing burns; structures wider than
    0.05 eye distances move by less than 0.01 EV. Eyes, brows and mouth are left alone; what else the mask covers is
    taken for skin. Weight 0 gives the same bits, the same input the same output.

    The texture is laid anew out of small patches of the same place of the other face, the plainest third of them,
    soft-clipped at 3.5 sigma, to leave moles, scars and wrinkles behind. By eye on four pairs of pictures the patches
    keep the grain's direction and pits; the band warped as it is brought spectacle rims, hairlines and moles, and its
    spectrum with random phases was softer. As `pull` measures it, weight 0.5 moves the texture .33 to .45 of the
    way (.24 on an old face with spectacles): highlights and deep shadow take less.

    Raises InputError where either face is missing.
    """
    if weight == 0 or not mask.any():
        return start.copy()
    from pipelines import skin_laying

    return skin_laying.laid(start, mask, reference, weight=weight)


def pull(before: "Pixels", after: "Pixels", reference: "Pixels", *, weight: float) -> Pull | None:
    """How far `after` moved from `before` toward `reference`, all (H, W, 3) sRGB; None where nothing was changed.

    `before` and `after` are of one size. The face that changed most is measured, against the reference's largest.
    """
    from pipelines import skin_pull

    return skin_pull.measured(before, after, reference, weight=weight)


def _way(value: float) -> str:
    return "nearer to it" if value >= 0 else "further from it"
