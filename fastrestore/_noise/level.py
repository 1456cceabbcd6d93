"""Level of white noise, from the patches of one image that are noise and little else."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.patches import CONSTANT, LEVELS, SIDE, SIZE, Patches

# Chance lowers the smallest eigenvalue of noise, at most by (1 - sqrt(unknowns / patches))**2
# (Marchenko and Pastur); texture raises it. This share of the root was best on training images.
CHANCE = 0.3
ROUNDS = 8  # of selecting flat patches by the estimate, and estimating from them
SETTLED = 1e-3  # relative change of the variance after which rounds end
CONFIDENCE = 1 - 1e-6  # probability that a patch of noise alone is selected
FEWEST = 1500  # patches; with fewer, the estimate is biased low, more in each round
LEAST = 4 * SIZE  # patches without which there is no estimate
MANY = 16 * FEWEST  # patches of which every fourth is enough for the first rounds
# Patches of noise have 0.2 of its mean detail or more, with CONFIDENCE; less than these shares is
# an area without noise. The estimate of the first rounds is high, so they use the smaller share.
NOISELESS, SURELY_NOISELESS = 0.05, 0.01
WHITE = 2.0  # largest ratio of the median eigenvalue to the smallest of white noise
CROWDED = 0.25  # least share of varying patches that are not next to areas without noise
STRAIGHT, MARGIN = 2.0, 0.005  # ratio of straight lines to those of noise, for drawings
# More lines of equal pixels than independent pixels have: in this share of the patches, and this
# multiple of what chance does to a share of the patches, which overlap
LINES, SURE = 1e-3, 5.0
SOLID = 0.4  # share of equal neighbors in a patch that is mostly one area, whatever is beside it
COARSEST = 1.25  # step of rounding, relative to sigma, of noise that differs from a drawing
UNCONFIRMED = 0.25  # least share of an estimate from all patches that flat patches confirm
UNCLIPPED = 0.05  # least share of the variance that clipping leaves in a patch that is used


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Estimate of one round."""

    patches: Patches
    variance: float
    eigenvalues: FloatArray  # of the covariance of the patches it is from
    noisy: NDArray[np.bool_]  # patches away from areas without noise
    noiseless: NDArray[np.bool_]


def variance(patches: Patches) -> float:
    """Estimate the variance of the noise; 0 for drawings and other images without noise."""
    few = patches.thinned() if patches.corners.size > MANY else patches
    first = fit = _fit(few)
    if fit is not None:
        fit = _converged(few, fit, SURELY_NOISELESS)
        fit = _converged(patches, fit, NOISELESS)
        if fit is first:
            fit = _of_flattest(patches, fit)
    if fit is None or fit.variance < LEVELS**-2 or _is_drawing(fit):
        return 0.0
    return fit.variance


def _converged(patches: Patches, fit: Fit, noiseless: float) -> Fit:
    """Repeat rounds until the estimate settles, or too few patches are flat."""
    for _ in range(ROUNDS):
        level = fit.variance
        better = _fit(patches, level, noiseless) if level else None
        if better is None:
            break
        fit = better
        if abs(fit.variance - level) <= SETTLED * level:
            break
    return fit


def _of_flattest(patches: Patches, fit: Fit) -> Fit:
    """Estimate again where an estimate from all patches is so high that no round confirms it.

    Stars, impulses or many edges cause it. The patches that are flat for its noise have less
    detail, those that are flat for their detail have still less, and so on.
    """
    measures, level = patches.energies, fit.variance
    constant = measures.whole & (measures.detail <= CONSTANT)
    noisy = measures.whole & ~patches.near(constant, SIDE - 1)
    while True:
        flat = noisy & (measures.gradient < _flattest() * level)
        if np.count_nonzero(flat) < LEAST:  # edges between constant areas, or texture
            return replace(fit, variance=0.0) if np.count_nonzero(constant) >= LEAST else fit
        found = float(measures.detail[flat].mean())
        if found > (1 - SETTLED) * level:
            break
        level = found
    if level > UNCONFIRMED * fit.variance:
        return fit
    lower = Fit(patches, level, patches.eigenvalues(flat), noisy, constant)
    return _converged(patches, lower, NOISELESS)


def _fit(patches: Patches, level: float = 0.0, noiseless: float = 0.0) -> Fit | None:
    """Estimate the variance from patches that are flat for noise of a variance, or from all.

    Areas with less detail than a share of that noise are left out. None if there are few patches.
    """
    measures = patches.energies
    left = patches.clipping.left(measures.means, level)
    empty = measures.whole & (measures.detail <= np.maximum(CONSTANT, noiseless * level * left))
    noisy = measures.whole & ~patches.near(empty, SIDE - 1)
    flat = noisy & (left > UNCLIPPED)
    if level:
        flat &= measures.gradient < _flattest() * level
    count = np.count_nonzero(flat)
    if count < (FEWEST if level else LEAST):
        return None
    eigenvalues = patches.eigenvalues(flat)
    chance = (1 - CHANCE * math.sqrt(SIZE / count)) ** 2
    found = max(0.0, float(eigenvalues[0])) / chance / float(left[flat].mean())
    found = min(found, patches.clipping.most())
    return Fit(patches, found, eigenvalues, noisy, empty)


@cache
def _flattest() -> float:
    """Quantile of the gradient energy of noise of variance 1 (equation 20)."""
    from scipy.special import gammaincinv

    mean = SIDE * (SIDE - 2)
    return float(mean * gammaincinv(SIZE / 2, CONFIDENCE) / (SIZE / 2))


def _is_drawing(fit: Fit) -> bool:
    """Whether what varies is lines, text and edges next to areas without noise."""
    white = bool(fit.eigenvalues[SIZE // 2] <= WHITE * fit.eigenvalues[0])
    if _has_lines(fit, white):
        return True
    if white:
        return False
    patches = fit.patches
    varying = np.count_nonzero(patches.energies.whole & ~fit.noiseless)
    if np.count_nonzero(fit.noisy) < CROWDED * varying:
        return True
    outside = patches.energies.whole & ~patches.near(fit.noiseless, SIDE // 2)
    expected = _straight_by_chance(patches.image, math.sqrt(fit.variance) * LEVELS)
    return patches.straight(outside) > STRAIGHT * expected + MARGIN


def _has_lines(fit: Fit, white: bool) -> bool:
    """Whether pixels of equal values form lines, as in text on paper, and not by chance.

    If pixels are independent and two of them are equal with probability p, then all pixels of a
    line are equal with a probability of at most p**(SIDE / 2), whatever their distribution is:
    rounded, clipped or of few values. Where eigenvalues are those of white noise, only the patches
    that they are from are examined; the others may be a drawing beside noise.
    """
    patches = fit.patches
    chosen = patches.energies.whole & ~patches.near(fit.noiseless, SIDE // 2)
    if white:
        chosen &= patches.energies.gradient < _flattest() * fit.variance
    count = np.count_nonzero(chosen)
    if count < LEAST or float(patches.equal_lines[chosen].mean()) <= LINES:
        return False
    equal = patches.equal_neighbors
    chosen &= equal < SOLID
    expected = float((equal[chosen] ** (SIDE / 2)).sum()) / count
    limit = expected + LINES + SURE * math.sqrt(expected / count)
    return bool(patches.equal_lines[chosen].sum() / count > limit)


def _straight_by_chance(image: FloatArray, sigma: float) -> float:
    """Probability that rounded noise has a second difference of 0."""
    step = float(np.median(np.diff(np.unique(image)))) / sigma
    return math.erf(min(step, COARSEST) / 2 / math.sqrt(2 * 6))  # 6: variance of the difference
