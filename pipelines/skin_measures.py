"""What each measure of skin is: formula, unit, source, the range it was seen in, and what it means to a photographer.

Knows nothing about pixels: `skin.py` computes these names.
"""

from dataclasses import dataclass
from typing import Literal

Comparison = Literal["ratio", "difference"]


@dataclass(frozen=True)
class Measure:
    """One named measure. low to high: where photographs of faces lay (eyes 43 to 185 px apart), not what is good.

    `compared` is how two pictures' numbers are set against each other: B / A, or B - A.
    """

    name: str
    unit: str
    formula: str
    source: str
    low: float
    high: float
    meaning: str
    compared: Comparison = "difference"


OWN = "own; checked on photographs altered in known ways"
WHERE = (
    "I: eye distance. Y: linear luminance, L = log2(Y + .02 median Y). n(s): Gaussian of s * I inside the skin. "
    "T = n(.006) - n(.018) of L, M = n(.018) - n(.05). mad: 1.4826 * median |x - median|. "
    "Skin: cheeks, forehead, nose and chin, .02 I away from hair, brows, eyes, lips and nostrils."
)
"""What the formulas are written in."""

MEASURES: tuple[Measure, ...] = (
    Measure(
        "texture",
        "% contrast",
        "100 ln 2 mad(T)",
        OWN,
        2.1,
        7.0,
        "How much the skin varies at the size of pores. Half of it is gone with a blur of .008 I. Compare A with B; "
        "grain and noise count as texture too, so read pixel_share beside it.",
        "ratio",
    ),
    Measure(
        "slope",
        "stops",
        "log2 mad(T) / mad(M)",
        OWN,
        -0.7,
        0.5,
        "Pores against mottling, three times their size. Retouching takes the pores first, so it falls. Below -1.2 no "
        "texture is resolved: plastic, or out of focus.",
    ),
    Measure(
        "skin_to_eyes",
        "stops",
        "log2 mad(T of the skin) / mad(T of eyes and brows)",
        OWN,
        -3.1,
        -1.0,
        "Tells plastic from out of focus: where half of the texture is gone, smoothing of skin has taken a stop off, "
        "a blurred picture a third of one. People differ; compare within one framing.",
    ),
    Measure(
        "pixel_share",
        "ratio",
        "mad(L - Gaussian of L by 1 px) / mad(T)",
        OWN,
        0.9,
        1.7,
        "Detail of single pixels against pores. Above 1.8, with the eyes 90 to 185 px apart, it is noise and not skin; "
        "far below 0.9 the picture was enlarged.",
        "ratio",
    ),
    Measure(
        "halo",
        "share",
        "median overshoot beside the strongest 3 % of edges in and around the face / their step, on the cube root of Y",
        OWN,
        0.1,
        0.56,
        "Bright and dark rims along edges. Sharpening and strong guidance raise it. Compare A with B at one exposure.",
    ),
    Measure(
        "nose_to_eyes",
        "stops",
        "R(nose) - R(eyes), R = log2 rms(T) / rms(M)",
        OWN,
        -0.7,
        0.1,
        "Sharpness of the nose against the eyes, whatever there is to see on either. About 0 when both are in focus; "
        "minus when the nose is softer, plus when the eyes are.",
    ),
    Measure(
        "mouth_to_eyes",
        "stops",
        "R(mouth) - R(eyes), R = log2 rms(T) / rms(M)",
        OWN,
        -0.7,
        0.2,
        "The same for the mouth. A blur of the mouth by .02 I takes 0.9 stops off, smoothed skin next to nothing.",
    ),
    Measure(
        "triangle",
        "stops",
        "largest - smallest of R(eyes), R(nose), R(mouth), R = log2 rms(T) / rms(M)",
        OWN,
        0.1,
        0.7,
        "How far eyes, nose and mouth lie apart in sharpness. Together they are one plane of focus, so a large figure "
        "means that one of them was drawn, repaired or focused otherwise.",
    ),
    Measure(
        "side_ev",
        "EV",
        "log2 median Y(right cheek) / median Y(left cheek)",
        OWN,
        -3.0,
        3.0,
        "Side light: + when the cheek on the picture's right is lighter, - when the left one is. About 0 is frontal, "
        "1 is a lighting ratio of 2:1, 2 of 4:1.",
    ),
    Measure(
        "shading",
        "EV",
        "log2 of the 90th / 10th percentile of Y, smoothed by .05 I, over the skin",
        OWN,
        0.5,
        2.0,
        "How deep the light models the face, from its darkest to its lightest tenth, whichever side it comes from.",
    ),
    Measure(
        "clipped_high",
        "% of skin",
        "100 * share of the skin whose highest channel is 254 or more",
        "exact",
        0.0,
        7.0,
        "Burnt-out skin. Nothing is left there to measure or to repair.",
    ),
    Measure(
        "clipped_low",
        "% of skin",
        "100 * share of the skin whose highest channel is 8 or less",
        "exact",
        0.0,
        7.0,
        "Skin sunk into black.",
    ),
    Measure(
        "blood",
        "% of lightness",
        "100 * standard deviation of Oklab (a, b) / L over the skin, smoothed by .03 I",
        "Oklab: Björn Ottosson 2020; measure: own",
        1.3,
        3.1,
        "How far the skin's colour varies over the face: red cheeks and nose against a paler forehead. One even tone "
        "looks like make-up or wax. Exposure drops out, coloured light does not.",
        "ratio",
    ),
)
