"""Sweeps staged with photographs: what a guidance or step axis does to skin, played with a known truth.

Each photograph stands for a seed. Mud is a lens out of focus, plastic a bilateral filter, engraving a sharpened and
clipped picture; between them lies the photograph itself, and every cell is turned, exposed and saved a little
differently. Knows nothing about diffusion, so what the finder does here it may not do there.
"""

import hashlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageFilter

from pipelines.recipe import Recipe, SchedulerChoice, Weights
from sweeps.compare import found
from sweeps.compare_cells import Seen
from sweeps.degraded import Pixels, bilateral, darker, denoised, jpeg, out_of_focus, sharpened, smaller
from sweeps.findings import Finding, Kind
from sweeps.validated import SHIPPED
from sweeps.validation import Looked, looked_at

GUIDANCE = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
STEPS = (6, 10, 14, 18, 22, 28, 36, 44)
LOW, HIGH, PLATEAU = 4.0, 6.0, 22
"""The truth: the window from..to, and the step count from which nothing changes any more."""
BLUR_A_STEP = 0.012
"""Eye distances of the disc's radius for each step below the window: one takes about a third of the texture."""
SMOOTHING_A_STEP = 22
"""Levels of 255 of the bilateral filter for each step above it."""
SHARPENING_A_STEP = 0.25
DENOISING_A_STEP, UNSHARP_A_STEP = 3, 60
"""Strength of non-local means and per cent of the unsharp mask, of the plays that were added when the rules stood."""
TURN_DEGREES, EXPOSURE_EV, QUALITY = 1.0, 0.1, (90, 96)
"""How far cells differ that should not: turned, exposed and saved within these."""


@dataclass(frozen=True)
class Play:
    """A story with its truth: the ends that the finder should name, None for one that is not there; () for nothing."""

    name: str
    kind: Kind
    steps: tuple[float, ...]
    change: Callable[[Pixels, float, float], Pixels]
    """(pixels, place on the axis, eye distance in px) -> pixels"""
    truth: tuple[float | None, ...]


@dataclass(frozen=True)
class Judged:
    """What the finder said of a play, and whether it named each end within one step (or nothing, where that is so)."""

    play: Play
    said: str
    is_right: bool


def _mud(pixels: Pixels, at: float, eyes: float) -> Pixels:
    return out_of_focus(pixels, BLUR_A_STEP * (LOW - at), eyes) if at < LOW else pixels


def mud_and_plastic(pixels: Pixels, at: float, eyes: float) -> Pixels:
    """Out of focus below the window, smoothed above it."""
    return bilateral(pixels, SMOOTHING_A_STEP * (at - HIGH), eyes) if at > HIGH else _mud(pixels, at, eyes)


def mud_and_engraved(pixels: Pixels, at: float, eyes: float) -> Pixels:
    """Out of focus below the window, sharpened and overexposed above it."""
    if at <= HIGH:
        return _mud(pixels, at, eyes)
    return sharpened(darker(pixels, 0.1 * (at - HIGH), eyes), SHARPENING_A_STEP * (at - HIGH), eyes)


def enlarged_and_denoised(pixels: Pixels, at: float, eyes: float) -> Pixels:
    """Enlarged from fewer pixels below the window, denoised by non-local means above it."""
    return denoised(pixels, DENOISING_A_STEP * (at - HIGH), eyes) if at > HIGH else _enlarged(pixels, at)


def enlarged_and_unsharp(pixels: Pixels, at: float, eyes: float) -> Pixels:
    """Enlarged from fewer pixels below the window, under an unsharp mask of .02 eye distances above it."""
    if at <= HIGH:
        return _enlarged(pixels, at)
    mask = ImageFilter.UnsharpMask(radius=0.02 * eyes, percent=int(UNSHARP_A_STEP * (at - HIGH)), threshold=0)
    return np.asarray(Image.fromarray(pixels).filter(mask))


def only_worse(pixels: Pixels, at: float, eyes: float) -> Pixels:
    """The photograph up to the window's end, smoothed above it."""
    return bilateral(pixels, SMOOTHING_A_STEP * (at - HIGH), eyes) if at > HIGH else pixels


def _enlarged(pixels: Pixels, at: float) -> Pixels:
    if at >= LOW:
        return pixels
    less = smaller(pixels, 0.7 ** (LOW - at), 0)
    return np.asarray(Image.fromarray(less).resize(pixels.shape[1::-1], Image.Resampling.BICUBIC))


def only_better(pixels: Pixels, at: float, eyes: float) -> Pixels:
    """Out of focus below the window, and nothing above it."""
    return _mud(pixels, at, eyes)


def level(pixels: Pixels, at: float, eyes: float) -> Pixels:
    """The photograph at every place."""
    return pixels


def sharpening_up(pixels: Pixels, at: float, eyes: float) -> Pixels:
    """Out of focus until the plateau, each step count half as far from it."""
    return pixels if at >= PLATEAU else out_of_focus(pixels, 0.05 * (PLATEAU - at) / PLATEAU, eyes)


PLAYS: tuple[Play, ...] = (
    Play("mud, skin, plastic", "guidance-window", GUIDANCE, mud_and_plastic, (LOW, HIGH)),
    Play("mud, skin, engraved", "guidance-window", GUIDANCE, mud_and_engraved, (LOW, HIGH)),
    Play("enlarged, skin, denoised", "guidance-window", GUIDANCE, enlarged_and_denoised, (LOW, HIGH)),
    Play("enlarged, skin, unsharp mask", "guidance-window", GUIDANCE, enlarged_and_unsharp, (LOW, HIGH)),
    Play("skin, then plastic", "guidance-window", GUIDANCE, only_worse, (None, HIGH)),
    Play("mud, then skin for good", "guidance-window", GUIDANCE, only_better, (LOW, None)),
    Play("the same everywhere", "guidance-window", GUIDANCE, level, ()),
    Play("sharper up to 22 steps", "step-plateau", STEPS, sharpening_up, (PLATEAU, None)),
)


def played(play: Play, photographs: Sequence[Pixels]) -> Generator[Looked, None, tuple[Seen, ...]]:
    """The cells of a play over photographs (sRGB (H, W, 3) uint8), measured; one photograph a seed."""
    seen: list[Seen] = []
    for seed, pixels in enumerate(photographs, 1):
        _, eyes = looked_at(pixels)
        for at in play.steps:
            recipe = _recipe(play, seed, at)
            changed = _otherwise(play.change(pixels, at, eyes), recipe.key)
            measured, _ = looked_at(changed)
            values = {each.name: each.value for each in measured.readings}
            seen.append(Seen(recipe.key, recipe, None, None, values, verdicts=measured.verdicts))
            yield Looked(len(seen), len(photographs) * len(play.steps))
    return tuple(seen)


def judged(play: Play, seen: Sequence[Seen]) -> Judged:
    """Let the finder read the cells of a play, and compare with its truth."""
    findings = found(seen, title=play.name, pictures=len(seen), validated=SHIPPED).findings
    about = [each for each in findings if each.kind == play.kind]
    said = " ".join(each.sentence for each in about) or "nothing"
    if not play.truth:
        return Judged(play, said, all(each.state == "none" for each in about))
    wanted = "open" if play.kind == "guidance-window" and None in play.truth else "found"
    is_right = any(each.state == wanted and _is_near(play, each) for each in about)
    return Judged(play, said, is_right)


def _is_near(play: Play, finding: Finding) -> bool:
    """Whether each end is named within one step, and none that is not there."""
    for end, true in zip((finding.low, finding.high), play.truth, strict=True):
        if (end is None) != (true is None):
            return False
        if end is not None and true is not None and _steps_apart(play, end, true) > 1:
            return False
    return True


def _steps_apart(play: Play, end: float, truth: float) -> int:
    away = [abs(step - end) for step in play.steps]
    return abs(away.index(min(away)) - play.steps.index(truth))


def _recipe(play: Play, seed: int, at: float) -> Recipe:
    is_steps = play.kind == "step-plateau"
    return Recipe(
        checkpoint=Weights(digest="0" * 64, family="sdxl", name="photographs"),
        prompt=play.name,
        seed=seed,
        width=512,
        height=512,
        steps=int(at) if is_steps else 20,
        guidance=4.0 if is_steps else at,
        scheduler=SchedulerChoice(name="euler"),
    )


def _otherwise(pixels: Pixels, key: str) -> Pixels:
    """The picture turned, exposed and saved a little differently, as its key decides."""
    chance = np.random.default_rng(int(hashlib.sha256(key.encode()).hexdigest()[:16], 16))
    degrees, ev, quality = chance.uniform(-1, 1), chance.uniform(-1, 1), chance.integers(*QUALITY)
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), TURN_DEGREES * degrees, 1)
    turned = cv2.warpAffine(pixels, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return jpeg(darker(np.asarray(turned, np.uint8), EXPOSURE_EV * ev, 0), float(quality), 0)
