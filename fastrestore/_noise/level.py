"""Level of white noise, from the patches of one image that are noise and little else.

Patches are on the host or on a GPU, see `Patches`: both have the same measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol, Self

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.clipping import Clipping
from fastrestore._noise.patches import LEVELS, SIDE, SIZE

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
COARSEST = 1.25  # step of rounding, relative to sigma, of noise that differs from a drawing
UNCONFIRMED = 0.25  # least share of an estimate from all patches that flat patches confirm


class Flat(Protocol):
    """Patches that are noise and little else."""

    @property
    def count(self) -> int:
        """Number of patches."""
        ...

    @property
    def left(self) -> float:
        """Mean share of the variance that clipping leaves."""
        ...

    @property
    def detail(self) -> float:
        """Mean square of their second differences, 1 for white noise of variance 1."""
        ...

    def eigenvalues(self) -> FloatArray:
        """Return the eigenvalues of their covariance, ascending."""
        ...


class Lines(Protocol):
    """Equal and straight pixels in patches that are not beside areas without noise."""

    @property
    def count(self) -> int:
        """Number of patches."""
        ...

    @property
    def share(self) -> float:
        """Share of the middle rows and columns all of whose pixels are equal."""
        ...

    @property
    def unlike(self) -> float:
        """The same of patches that are not mostly one area, relative to all patches."""
        ...

    @property
    def chance(self) -> float:
        """What it would be if the pixels were independent."""
        ...

    @property
    def straight(self) -> float:
        """Share of the centers on a straight line with their neighbors, 1 if there are none."""
        ...


class Areas(Protocol):
    """Areas without noise, and patches away from them."""

    @property
    def noiseless(self) -> int:
        """Number of patches without noise."""
        ...

    @property
    def varying(self) -> int:
        """Number of the others."""
        ...

    @property
    def noisy(self) -> int:
        """Number of those that are away from areas without noise."""
        ...

    def flat(self, most: float = math.inf) -> Flat:
        """Return those of them that have less than this energy of gradients, if not clipped."""
        ...

    def lines(self, most: float = math.inf) -> Lines:
        """Return lines in patches of less than this energy that are not beside such areas."""
        ...


class Patches(Protocol):
    """Patches of one image."""

    @property
    def count(self) -> int:
        """Number of patches, valid or not."""
        ...

    @property
    def clipping(self) -> Clipping:
        """Values at which the image is clipped."""
        ...

    def thinned(self) -> Self:
        """Keep every second patch in both directions."""
        ...

    def areas(self, level: float, noiseless: float) -> Areas:
        """Find areas with less detail than a share of noise of a variance; 0: constant areas."""
        ...

    def spacing(self) -> float:
        """Return the median difference of values that follow each other, in whole numbers."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Estimate of one round."""

    patches: Patches
    variance: float
    eigenvalues: FloatArray  # of the covariance of the patches it is from
    areas: Areas


def variance(patches: Patches) -> float:
    """Estimate the variance of the noise; 0 for drawings and other images without noise."""
    few = patches.thinned() if patches.count > MANY else patches
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
    level, areas = fit.variance, patches.areas(0.0, 0.0)
    while True:
        flat = areas.flat(_flattest() * level)
        if flat.count < LEAST:  # edges between constant areas, or texture
            return replace(fit, variance=0.0) if areas.noiseless >= LEAST else fit
        if flat.detail > (1 - SETTLED) * level:
            break
        level = flat.detail
    if level > UNCONFIRMED * fit.variance:
        return fit
    return _converged(patches, Fit(patches, level, flat.eigenvalues(), areas), NOISELESS)


def _fit(patches: Patches, level: float = 0.0, noiseless: float = 0.0) -> Fit | None:
    """Estimate the variance from patches that are flat for noise of a variance, or from all.

    Areas with less detail than a share of that noise are left out. None if there are few patches.
    """
    areas = patches.areas(level, noiseless)
    flat = areas.flat(_flattest() * level) if level else areas.flat()
    if flat.count < (FEWEST if level else LEAST):
        return None
    eigenvalues = flat.eigenvalues()
    chance = (1 - CHANCE * math.sqrt(SIZE / flat.count)) ** 2
    found = max(0.0, float(eigenvalues[0])) / chance / flat.left
    return Fit(patches, min(found, patches.clipping.most()), eigenvalues, areas)


@cache
def _flattest() -> float:
    """Quantile of the gradient energy of noise of variance 1 (equation 20)."""
    from scipy.special import gammaincinv

    mean = SIDE * (SIDE - 2)
    return float(mean * gammaincinv(SIZE / 2, CONFIDENCE) / (SIZE / 2))


def _is_drawing(fit: Fit) -> bool:
    """Whether what varies is lines, text and edges next to areas without noise."""
    white = bool(fit.eigenvalues[SIZE // 2] <= WHITE * fit.eigenvalues[0])
    # Where eigenvalues are those of white noise, only the patches that they are from are examined;
    # the others may be a drawing beside noise
    lines = fit.areas.lines(_flattest() * fit.variance) if white else fit.areas.lines()
    if _has_lines(lines):
        return True
    if white:
        return False
    if fit.areas.noisy < CROWDED * fit.areas.varying:
        return True
    expected = _straight_by_chance(fit.patches.spacing(), math.sqrt(fit.variance) * LEVELS)
    return lines.straight > STRAIGHT * expected + MARGIN


def _has_lines(lines: Lines) -> bool:
    """Whether pixels of equal values form lines, as in text on paper, and not by chance.

    If pixels are independent and two of them are equal with probability p, then all pixels of a
    line are equal with a probability of at most p**(SIDE / 2), whatever their distribution is:
    rounded, clipped or of few values.
    """
    if lines.count < LEAST or lines.share <= LINES:
        return False
    limit = lines.chance + LINES + SURE * math.sqrt(lines.chance / lines.count)
    return lines.unlike > limit


def _straight_by_chance(spacing: float, sigma: float) -> float:
    """Probability that noise rounded to values this far apart has a second difference of 0."""
    step = spacing / sigma
    return math.erf(min(step, COARSEST) / 2 / math.sqrt(2 * 6))  # 6: variance of the difference
