"""Stabilization of noise whose level is a measured curve of the brightness."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.vst import NoiseModel

POINTS = 1024  # of the tables, along the brightness
TAILS = 4.0  # standard deviations of the noise that the tables reach beyond the brightness
# Lowest level, relative to the mean square: the slope of the transform is the inverse of the level,
# and a level near 0, as of clipped areas, would make it steep there
LEAST = 0.05
NODES = 24  # of the Gauss-Hermite rule for means over the noise
ROUNDS = 3  # of correcting the slope by the variance that it gives


@dataclass(frozen=True, slots=True, eq=False)
class Stabilizer:
    """Transform f of noise with a level s(b), f(b) = integral of 1 / s, and its inverse.

    The noise is assumed to be Gaussian. Where the level changes within the reach of the noise, the
    slope of f is corrected until the noise of f has the variance 1 [1]_. The inverse is unbiased:
    it maps the mean of f of the noisy values to the clean value.

    Attributes
    ----------
    brightness : array, shape (C, K)
        Increasing values of the image. Between them f is interpolated; it is straight beyond.
    stabilized : array, shape (C, K)
        Values of f.
    means : array, shape (C, K)
        Means of f over the noise, where the clean value is `brightness`.

    References
    ----------
    .. [1] A. Foi, "Optimization of variance-stabilizing transformations", preprint, 2009.
    """

    brightness: FloatArray
    stabilized: FloatArray
    means: FloatArray

    @classmethod
    def of(cls, brightness: FloatArray, levels: FloatArray) -> Stabilizer:
        """Compute the tables of the channels from levels (C, K), above 0 or all 0."""
        tables = [_tables(b, s) for b, s in zip(brightness, levels, strict=True)]
        return cls(*(np.array(each) for each in zip(*tables, strict=True)))

    def forward(self, values: NDArray[Any]) -> FloatArray:
        """Stabilize an image (C, ...)."""
        return _each(values, self.brightness, self.stabilized)

    def inverse(self, stabilized: NDArray[Any]) -> FloatArray:
        """Return the clean image whose noisy values have these stabilized means."""
        return _each(stabilized, self.means, self.brightness)

    def extent(self, data_range: float) -> float:
        """Range of the stabilized image, from that of the image."""
        low = self.brightness[:, :1]
        ends = self.forward(np.concatenate([low, low + data_range], axis=1))
        return float(np.ptp(ends, axis=1).max())


def stabilizing(spec: NoiseSpec) -> tuple[NoiseModel | None, NoiseSpec]:
    """Return a transform that makes the noise level constant, and the noise it has then.

    The transform is None if the level is constant.
    """
    if (spec.levels.shape[1] == 1 and spec.distribution is None) or spec.strength == 0:
        return None, spec.constant()
    count = len(spec.sigma)
    flat = np.full((count, 1), spec.strength)
    noise = replace(
        spec, sigma=flat[:, 0], brightness=np.zeros((count, 1)), levels=flat, distribution=None
    )
    if spec.distribution is not None:
        return spec.distribution, noise
    levels = spec.levels / spec.strength
    root = np.sqrt(np.square(levels).mean(1, keepdims=True))
    if not root.all():  # channels without noise stay as they are
        noise = replace(noise, sigma=noise.sigma * (root[:, 0] > 0), levels=flat * (root > 0))
    levels = np.maximum(levels, LEAST * root)
    return Stabilizer.of(spec.brightness, levels), noise


def _tables(brightness: FloatArray, levels: FloatArray) -> tuple[FloatArray, ...]:
    """Return brightness, values and means of the transform of one channel."""
    if not levels.any():
        line = np.linspace(0.0, 1.0, POINTS)
        return line, line, line
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    low = brightness[0] - TAILS * levels[0]
    high = brightness[-1] + TAILS * levels[-1]
    grid = np.unique([*np.linspace(low, high, POINTS - len(brightness)), *brightness])
    grid = np.interp(np.linspace(0, 1, POINTS), np.linspace(0, 1, len(grid)), grid)
    level = np.interp(grid, brightness, levels)
    noisy = grid[:, None] + level[:, None] * nodes
    slope = 1 / level
    for _ in range(ROUNDS):
        stabilized = _integral(grid, slope)
        samples = _interpolated(noisy, grid, stabilized)
        means = samples @ weights
        spread = np.sqrt(np.square(samples - means[:, None]) @ weights)
        slope = slope / np.clip(spread, 0.5, 2)
    stabilized = _integral(grid, slope)
    means = np.maximum.accumulate(_interpolated(noisy, grid, stabilized) @ weights)
    means += 1e-9 * np.arange(POINTS)  # strictly increasing
    return grid, stabilized, means


def _integral(grid: FloatArray, slope: FloatArray) -> FloatArray:
    """Integrate from the start of the grid by trapezoids."""
    parts = (slope[1:] + slope[:-1]) / 2 * np.diff(grid)
    return np.concatenate([[0.0], np.cumsum(parts)])


def _each(values: Any, x: FloatArray, y: FloatArray) -> FloatArray:
    """Interpolate the table of each channel, on the device of the values."""
    xp, numbers = interop.namespace(values), interop.to_float64(values)
    out: FloatArray = xp.empty(numbers.shape, np.float64)
    for channel, one, other in zip(range(len(x)), x, y, strict=True):
        same = np.array_equal(one, other)  # no noise
        out[channel] = numbers[channel] if same else _interpolated(numbers[channel], one, other)
    return out


def _interpolated(values: Any, x: FloatArray, y: FloatArray) -> FloatArray:
    """Interpolate a table, straight beyond its ends."""
    xp = interop.namespace(values)
    first, last = ((y[k + 1] - y[k]) / (x[k + 1] - x[k]) for k in (0, -2))
    out: FloatArray = xp.interp(values, xp.asarray(x), xp.asarray(y))
    out += first * np.minimum(values - x[0], 0) + last * np.maximum(values - x[-1], 0)
    return out
