"""Noise of the combination of an image of few photons with an estimate of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.types import FloatArray

BRIGHT, STEPS = 100.0, 200  # largest signal in the table, and its length
PHOTONS = 230  # enough for a mean of `BRIGHT`
NODES, FAR = 65, 6.0  # of the sum over the Gaussian part, and the last of them


@dataclass(frozen=True, slots=True)
class Combination:
    """Noise of ``share * z + (1 - share) * y``: z is Poisson(y) + Normal(0, spread**2).

    Its mean is y and its variance ``share**2 * (y + spread**2)``. Divided by ``share**2``, it has
    the variance of counts with this mean. Based on L. Azzari, A. Foi, "Variance stabilization for
    noisy+estimate combination in iterative Poisson denoising", IEEE Signal Process. Lett. 23(8),
    2016.
    """

    share: float
    spread: float

    def forward(self, values: NDArray[Any]) -> FloatArray:
        """Apply the generalized Anscombe transform."""
        counts = interop.to_float64(values) / self.share**2
        return _anscombe(counts, self.spread / self.share)

    def inverse(self, stabilized: NDArray[Any]) -> FloatArray:
        """Apply the exact unbiased inverse of `forward`; at least 0."""
        transformed, xp = interop.to_float64(stabilized), interop.namespace(stabilized)
        signal, means = _means(self.share, self.spread)
        last = float(means[-1])
        bright = np.maximum(transformed, last)
        rest = float(signal[-1] - self._closed(last))  # of the closed form: falls as 1 / bright
        far = self._closed(bright) + rest * last / bright
        near = xp.interp(transformed, xp.asarray(means), xp.asarray(signal))
        result: FloatArray = xp.where(transformed < last, near, far)
        return result

    def extent(self, data_range: float) -> float:
        """Range of the stabilized image, from that of the image."""
        return float(np.ptp(self.forward(np.array([0, data_range]))))

    def _closed(self, transformed: Any) -> Any:
        """Invert the mean of the transform, up to terms that vanish for large signals."""
        return self.share**2 * (transformed**2 / 4 - 1 / 8) - self.spread**2


def _anscombe(counts: FloatArray, spread: float) -> FloatArray:
    transformed: FloatArray = 2 * np.sqrt(np.maximum(0, counts + 3 / 8 + spread**2))
    return transformed


def _means(share: float, spread: float) -> tuple[FloatArray, FloatArray]:
    """Signals, and the means of the transforms of their combinations."""
    from scipy.stats import poisson

    signal = np.linspace(0, math.sqrt(BRIGHT), STEPS) ** 2
    photons = np.arange(PHOTONS)
    probabilities = poisson.pmf(photons, signal[:, None])
    estimated = (1 - share) * signal[:, None]
    nodes = np.linspace(-FAR, FAR, NODES) if spread else np.zeros(1)
    weights = np.exp(-(nodes**2) / 2)
    means = np.zeros(STEPS)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        values = share * (photons + spread * node) + estimated
        transformed = _anscombe(values / share**2, spread / share)
        means += weight * (probabilities * transformed).sum(1)
    return signal, means
