"""The smallest differences that matter to an eye, each with where the number comes from.

Knows nothing about what is compared. All are from photographs that were altered in known ways (eight, of ten people,
eyes 43 to 185 px apart), none from pictures of a diffusion model.
"""

import math
from collections.abc import Mapping

from sweeps.compare_cells import CLIPPED, FACE, NOISE

TEXTURE_SEEN = math.log2(1 / 0.89)
"""log2. The weakest blur that was tried, of .004 eye distances, leaves 89 % of the texture; the weakest bilateral
filter 85 %. What differs by less is called the same."""
TEXTURE_LOST = math.log2(1 / 0.75)
"""log2. A quarter: half-way (as ratios) from the weakest blur (89 %) to the next (62 %), and from the weakest bilateral
filter (85 %) to the next (65 %)."""
SLOPE_LOST = 0.4
"""Stops. Half the gap between the softest sharp photograph (-.7) and the least smoothed one (-1.5)."""
SLOPE_SEEN = SLOPE_LOST / 2
"""Stops. Half of that; redetecting the face on an altered picture moves texture by 1 % and slope by .03."""
HALO_SEEN = 0.06
"""The weakest unsharp mask that was tried."""
HALO_GAINED = 0.1
"""Between the two weakest unsharp masks, +.06 and +.14."""
CLIPPED_GAINED = 5.0
"""% of skin. The most that a photograph had (0 to 5); an EV more that burns so much out leaves 83 % of the texture."""
CLIPPED_SEEN = 1.0
"""% of skin, from which `pipelines.skin` calls figures rough."""
FACES_LOST = 0.5
"""Of the pictures: from there on most seeds have no face that can be measured."""
NO_TEXTURE = -1.2
"""Slope below which no texture is resolved, as in `pipelines.skin`: 5 of 5 smoothed, 0 of 7 sharp photographs."""

BENEFITS = ("texture", "slope", FACE)
HARMS = ("halo", CLIPPED, NOISE)
ENDS: Mapping[str, float] = {
    "texture": TEXTURE_LOST, "slope": SLOPE_LOST, "halo": HALO_GAINED,
    FACE: FACES_LOST, CLIPPED: CLIPPED_GAINED, NOISE: FACES_LOST,
}  # fmt: skip
"""What ends a window."""
SEEN: Mapping[str, float] = {
    "texture": TEXTURE_SEEN, "slope": SLOPE_SEEN, "halo": HALO_SEEN,
    FACE: FACES_LOST, CLIPPED: CLIPPED_SEEN, NOISE: FACES_LOST,
}  # fmt: skip
"""What tells two settings apart; less than that is the same."""
SKIN: Mapping[str, float] = {name: SEEN[name] for name in ("texture", "slope", "halo")}
"""By what the picture nearest to a median is chosen."""
