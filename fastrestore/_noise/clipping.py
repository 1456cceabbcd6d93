"""Noise that is clipped at the ends of a range, as in dark and in saturated areas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray

SHARE = 1e-3  # of the pixels that have exactly the least or greatest value, if they are clipped


@dataclass(frozen=True, slots=True)
class Clipping:
    """Values at which an image is clipped, or None."""

    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: NDArray[Any]) -> Clipping:
        """Recognize clipping by the number of pixels that have exactly an extreme value."""
        low, high = float(values.min()), float(values.max())
        least = SHARE * values.size
        return cls(
            low if np.count_nonzero(values == low) >= least else None,
            high if np.count_nonzero(values == high) >= least else None,
        )

    def most(self) -> float:
        """Largest variance of noise that can be measured between the ends of a range."""
        if self.low is None or self.high is None:
            return math.inf
        return (self.high - self.low) ** 2

    def left(self, means: FloatArray, variance: float) -> FloatArray:
        """Share of the variance that clipping leaves, from local means (K, P, Q)."""
        if variance == 0 or (self.low is None and self.high is None):
            return np.ones(means.shape[1:])
        sigma = math.sqrt(variance)
        kept = np.ones(means.shape)
        if self.low is not None:
            kept *= _left((means - self.low) / sigma)
        if self.high is not None:
            kept *= _left((self.high - means) / sigma)
        share: FloatArray = kept.mean(0)
        return share


def _left(distances: FloatArray) -> FloatArray:
    """Share of the variance that is left at distances from an end, in standard deviations."""
    mean, left = clipped()
    share = np.full(distances.shape, left[-1])
    near = distances < mean[-1]  # few are, and interpolation takes longer than comparison
    share[near] = np.interp(distances[near], mean, left)
    return share


@cache
def clipped() -> tuple[FloatArray, FloatArray]:
    """Mean and variance of ``max(0, Normal(t, 1))``, for many t."""
    from scipy.special import ndtr

    t = np.linspace(-4, 5, 901)
    density, positive = np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi), ndtr(t)
    mean = t * positive + density
    return mean, (t**2 + 1) * positive + t * density - mean**2
