"""Level of the noise of a photograph by brightness: a smooth curve below its windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import threads
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.camera_windows import Windows

KNOTS = 9  # of the curve
ENDS = (0.005, 0.995)  # quantiles of the brightness between which it is fitted
QUANTILE = 0.15  # of the windows of a brightness that the curve is above
STIFF = 0.3  # weight of the second differences of the curve, relative to all windows
ROUNDS = 15  # of reweighting
CLOSE = 0.02  # residuals below this, in log variance, count alike
COARSE = 5 / 32  # cycles per pixel; structure is stronger than noise at lower frequencies
# Sum of the squared correlations of a frequency of a Hann window with its neighbors
DEPENDENT = (1 + 2 * (2 / 3) ** 2 + 2 * (1 / 6) ** 2) ** 2
PURE = 0.5  # share of the windows that is assumed to have no structure
LOWEST = (0.02, 0.05, 0.1, 0.2)  # quantiles of the windows that are noise
# Most windows have no structure if their lower half spreads by little, in standard deviations; the
# rank in the middle of the noise is then this quantile.
SPREADS = ((6.0, 9.0), (1.0, 0.0))
MIDDLE = 0.35
# Compression removes the noise of some windows. Their powers then differ by more than chance, and
# the noise is that of windows of a higher rank; but not more than a multiple of the difference of
# two low ranks above the second, nor, for luminance, more than a constant, in log variance. It is
# also lost in windows of these ranks, by less.
LUMINANCE, CHROMA = 0.4, 0.7
RATIO, CHROMA_RATIO = 1.5, 2.5
LOW, MOST = (0.02, 0.1), 0.8
LOST = 0.35
FAINT = 1e-12  # variance relative to that of the image


class Kind(NamedTuple):
    """What windows show: chroma instead of luminance, and whether JPEG compressed it."""

    chroma: bool
    compressed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Logarithm of the variance of the noise by brightness, linear between knots (C, K)."""

    knots: FloatArray
    logs: FloatArray

    @classmethod
    def of(cls, windows: Windows, shape: FloatArray, varying: bool) -> Curve:
        """Fit a curve to windows whose noise has the spectra `shape`, of mean 1, by channel."""

        def fitted(number: int) -> tuple[FloatArray, FloatArray]:
            logs, _ = log_powers(windows, windows.powers(number), shape[number])
            return _fitted(windows.means[number], logs, varying)

        knots, logs = zip(*threads.in_order(fitted, range(len(shape))), strict=True)
        return cls(np.array(knots), np.array(logs))

    def at(self, means: FloatArray) -> FloatArray:
        """Standard deviation where channels (C, ...) have these mean values."""
        each = zip(means, self.knots, self.logs, strict=True)
        return np.array([np.exp(np.interp(*curve) / 2) for curve in each])

    def times(self, factors: FloatArray) -> Curve:
        """Multiply the level of each channel by a factor."""
        return Curve(self.knots, self.logs + 2 * np.log(factors)[:, None])


def log_powers(
    windows: Windows, powers: NDArray[np.float32], spectrum: FloatArray
) -> tuple[FloatArray, float]:
    """Log power of windows (W, ...) relative to a spectrum, and its deviation in pure noise.

    Frequencies at which noise exceeds structure have the most weight.
    """
    high = windows.radius**2 / (windows.radius**2 + COARSE**2)
    weight = np.sqrt(spectrum) * high**2 * windows.multiplicity
    weight /= weight.sum()
    deviation = math.sqrt(DEPENDENT * float((weight**2).sum()))
    power = np.einsum("wyx,yx->w", powers, (weight / spectrum).astype(np.float32))
    least = FAINT * max(float(power.mean()), 1e-30)
    return np.log(np.maximum(power.astype(np.float64), least)), deviation


def typical(logs: FloatArray, deviation: float, kind: Kind) -> float:
    """Log power of noise from that of windows, which structure raises."""
    from scipy.special import ndtri

    if not kind.compressed:
        lowest = np.quantile(logs, LOWEST) - deviation * ndtri(np.divide(LOWEST, PURE))
        least, middle, half = np.quantile(logs, [LOWEST[0], MIDDLE, 0.5])
        flat = np.interp((half - least) / deviation, *SPREADS)
        return float(flat * middle + (1 - flat) * lowest.min())
    least, low, middle = np.quantile(logs, [*LOW, CHROMA if kind.chroma else LUMINANCE])
    most = (CHROMA_RATIO if kind.chroma else RATIO) * (low - least)
    return LOST + float(min(middle, low + (most if kind.chroma else min(most, MOST))))


def _fitted(means: FloatArray, logs: FloatArray, varying: bool) -> tuple[FloatArray, FloatArray]:
    """Fit the curve of one channel: knots (K,) and values."""
    low, high = np.quantile(means, ENDS)
    if not varying or not high > low:
        count = KNOTS if varying else 1
        center = np.median(means) + np.arange(count)
        return center, np.full(count, np.quantile(logs, QUANTILE))
    share = np.linspace(0, 1, KNOTS)
    spread = np.quantile(means, ENDS[0] + (ENDS[1] - ENDS[0]) * share)
    knots = (low + (high - low) * share + spread) / 2
    return knots, _lower_curve(_hats(means, knots), logs)


def _hats(means: FloatArray, knots: FloatArray) -> FloatArray:
    """Weights (W, K) of the knots in linear interpolation at each mean."""
    return np.stack([np.interp(means, knots, row) for row in np.eye(len(knots))], 1)


def _lower_curve(hats: FloatArray, logs: FloatArray) -> FloatArray:
    """Smooth quantile of log powers at the knots, by reweighted least squares."""
    bend = np.diff(np.eye(hats.shape[1]), 2, axis=0)
    stiff = STIFF * len(hats) * np.einsum("ij,ik->jk", bend, bend)
    curve = np.full(hats.shape[1], np.quantile(logs, QUANTILE))
    for _ in range(ROUNDS):
        rest = logs - np.einsum("wk,k->w", hats, curve)
        weight = np.where(rest > 0, QUANTILE, 1 - QUANTILE) / np.maximum(np.abs(rest), CLOSE)
        weighted = hats * weight[:, None]
        normal = np.einsum("wj,wk->jk", weighted, hats) + stiff
        normal += 1e-9 * np.trace(normal) * np.eye(len(normal))
        curve = np.linalg.solve(normal, np.einsum("wk,w->k", weighted, logs))
    return curve
