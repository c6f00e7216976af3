"""Learns the skin colour of one face from its own cheeks, nose and forehead, and says where a picture shows it.

Two mixtures of Gaussians in opponent log light, where a change of exposure or of the light's colour is a mere shift, so
dark skin and neon light are learned like any other. Knows nothing about meshes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.colour import LIGHT

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SKIN_GAUSSIANS, OTHER_GAUSSIANS = 3, 5
STEPS = 25
"""Of expectation maximisation."""
FLOOR = np.array([0.02, 0.002, 0.002])
"""Added to the variances: 0.14 EV of light, 0.045 EV between channels, about the noise of an 8-bit shadow."""
BLACK = 0.004
"""Added to linear light before its logarithm: one step of 8 bit."""
SAMPLES = 4000
WORST_SHARE = 0.1
"""Of the seeds that fit the first mixture worst, dropped before the second: strands of hair, spectacles."""
FEWEST_OTHERS = 200
LIT = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""EV by which a forehead may be lit otherwise than the cheeks: a fringe differs in its opponent channels, too."""
SHADE = (0.5, 1.0, 1.5, 2.0, 2.5)
"""EV by which skin in shade may be darker than what was learned; its opponent channels hardly change."""
GREY_STEPS = 6
"""A face whose channels differ by less than this (of 255) has no colour to learn."""


@dataclass(frozen=True, eq=False)
class Seeds:
    """Where a small picture surely shows skin, and where other things may be learned; masks (h, w).

    `within` is where skin is looked for, and `shade` where it may lie in shade, as a neck under a chin. `doubtful` is
    learned as skin only where it is like the sure one: over a forehead a fringe may hang.
    """

    skin: Mask
    others: tuple[Mask, ...]
    within: Mask
    shade: Mask | None = None
    doubtful: Mask | None = None


def is_grey(pixels: NDArray[np.uint8], skin: Mask) -> bool:
    """Whether the picture (h, w, 3) sRGB has hardly any colour where the skin is."""
    values = pixels[skin].astype(np.int16)
    if not len(values):
        return True
    return float(np.percentile(values.max(1) - values.min(1), 95)) < GREY_STEPS


def likeness(pixels: NDArray[np.uint8], seeds: Seeds, *, blur_px: float) -> NDArray[np.float32]:
    """How like this face's skin every pixel of a small picture (h, w, 3) sRGB is: (h, w), 0..1.

    A logistic of the log ratio of two densities (skin against others), times a logistic gate on the density of skin
    alone, which shuts out what is like neither. The same bytes give the same answer; nothing is drawn at random.
    """
    light = opponent_light(cv2.GaussianBlur(pixels, (0, 0), max(0.6, blur_px)))
    samples = _alike(light, seeds)
    skin = _fitted(samples, SKIN_GAUSSIANS)
    gate = float(np.quantile(skin.log_density(samples), 0.01)) - 4
    others = np.concatenate([_thinned(light[mask], SAMPLES // len(seeds.others)) for mask in seeds.others])
    others = others[skin.log_density(others) < gate + 4]  # a neck, an arm, a second face, a bald head
    density = skin.log_density(light[seeds.within])
    if seeds.shade is not None:
        in_shade = seeds.shade[seeds.within]
        darker = [skin.log_density(light[seeds.within & seeds.shade] + np.array((up, 0, 0))) for up in SHADE]
        density[in_shade] = np.max([density[in_shade], *darker], 0)
    against = np.full(len(density), gate)
    if len(others) > FEWEST_OTHERS:
        against = _fitted(others, OTHER_GAUSSIANS).log_density(light[seeds.within])
    answer = np.zeros(pixels.shape[:2], np.float32)
    answer[seeds.within] = _logistic(density - against + 1) * _logistic(density - gate)
    return answer


def _alike(light: Floats, seeds: Seeds) -> Floats:
    """Samples (n, 3) of the seeds' light, without those that fit the others least, and of the doubtful what fits."""
    samples = _thinned(light[seeds.skin], SAMPLES)
    first = _fitted(samples, SKIN_GAUSSIANS)
    density = first.log_density(samples)
    least = np.quantile(density, WORST_SHARE)
    alike = samples[density > least]
    if seeds.doubtful is None:
        return alike
    doubtful = _thinned(light[seeds.doubtful], SAMPLES)
    fit = np.max([first.log_density(doubtful + np.array((up, 0, 0))) for up in LIT], 0)
    return np.concatenate([alike, doubtful[fit > least]])


def opponent_light(pixels: NDArray[np.uint8]) -> Floats:
    """Opponent log2 light (h, w, 3) of sRGB bytes: mean, red - green, yellow - blue; in EV."""
    red, green, blue = np.moveaxis(np.log2(LIGHT + BLACK)[pixels], -1, 0)
    return np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], -1)


@dataclass(frozen=True, eq=False)
class _Mixture:
    """Gaussians in 3 dimensions: weights (k,), means (k, 3), inverse Cholesky factors (k, 3, 3) of the covariances.

    Sums are written out and not left to BLAS, whose threads would change the rounding.
    """

    weights: Floats
    means: Floats
    inverse: Floats

    def log_joint(self, values: Floats) -> Floats:
        """Log of weight times density of each Gaussian: (k, n) for values (n, 3)."""
        apart = _apart(values, self.means)
        squares = np.zeros((len(self.weights), len(values)))
        for row in range(3):
            squares += np.square(sum(self.inverse[:, row, i, None] * apart[i] for i in range(row + 1)))
        volumes = np.log(np.einsum("kii->ki", self.inverse)).sum(1) - 1.5 * np.log(2 * np.pi)
        joint: Floats = (np.log(self.weights + 1e-12) + volumes)[:, None] - 0.5 * squares
        return joint

    def log_density(self, values: Floats) -> Floats:
        """Log density (n,) of values (n, 3)."""
        return _log_sum(self.log_joint(values))


def _fitted(samples: Floats, count: int) -> _Mixture:
    """Expectation maximisation from means spread over the samples (n, 3) in order of light."""
    order = np.argsort(samples[:, 0], kind="stable")
    means = samples[order[((np.arange(count) + 0.5) * len(samples) / count).astype(int)]]
    mean, every = samples.mean(0)[None], np.ones((1, len(samples)))
    whole = _covariances(samples, mean, every, np.array([max(len(samples) - 1.0, 1.0)]))
    mixture = _Mixture(np.full(count, 1 / count), means, _factors(np.repeat(whole, count, 0)))
    for _ in range(STEPS):
        joint = mixture.log_joint(samples)
        shares = np.exp(joint - _log_sum(joint))
        totals = shares.sum(1) + 1e-6
        means = np.stack([(shares * samples[:, i]).sum(1) for i in range(3)], 1) / totals[:, None]
        mixture = _Mixture(totals / len(samples), means, _factors(_covariances(samples, means, shares, totals)))
    return mixture


def _factors(covariances: Floats) -> Floats:
    """Inverse Cholesky factors (k, 3, 3): lower triangles."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariances)), np.float64)


def _covariances(samples: Floats, means: Floats, shares: Floats, totals: Floats) -> Floats:
    """Covariances (k, 3, 3) about means (k, 3) of samples (n, 3) that belong to each by its shares (k, n)."""
    apart = _apart(samples, means)
    spread = np.empty((len(means), 3, 3))
    for row in range(3):
        for column in range(row + 1):
            spread[:, row, column] = spread[:, column, row] = (shares * apart[row] * apart[column]).sum(1) / totals
    return spread + np.diag(FLOOR)


def _apart(values: Floats, means: Floats) -> list[Floats]:
    """Differences (k, n) of values (n, 3) from means (k, 3), of each dimension."""
    return [values[:, i] - means[:, i, None] for i in range(3)]


def _log_sum(joint: Floats) -> Floats:
    """Log of the sum (n,) of exponentials of (k, n)."""
    most = joint.max(0)
    return np.asarray(most + np.log(np.exp(joint - most).sum(0)))


def _thinned(samples: Floats, most: int) -> Floats:
    """At most so many samples, evenly out of all."""
    return samples[:: max(1, -(-len(samples) // most))]


def _logistic(values: Floats) -> Floats:
    logistic: Floats = 1 / (1 + np.exp(-np.clip(values, -30, 30)))
    return logistic
