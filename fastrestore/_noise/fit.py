"""How well a noise specification describes the noise of an image."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.correlated import LONG, SHORT, THRESHOLD, cells_of, tapered
from fastrestore._noise.spec import NoiseSpec

QUANTILES = (0.05, 0.25, 0.5)  # of the power of windows
FEWEST = 8  # windows without which there is no fit
SMALLEST = 1e-30  # power relative to which a window without noise is measured
INNER = slice(SHORT // 4, -SHORT // 4)  # pixels of a window that its taper hardly changes


class Fit(NamedTuple):
    """Windows of an image relative to its noise.

    Noise has a power of about 1 in all windows. Where the least structure is stronger in some
    places than in others, as in photographs without noise, the quantiles are large, or far apart.
    """

    least: float  # power that one window in 20 does not exceed
    flat: float  # power that a quarter of the windows do not exceed
    middle: float  # power that half of the windows do not exceed
    share: float  # variance of the noise relative to that of the image
    skewness: float  # of the windows up to the middle; normal noise has 0
    kurtosis: float  # and 3


def fit(
    spec: NoiseSpec, planes: NDArray[Any], valid: NDArray[Any] | None, channel: int
) -> Fit | None:
    """Measure one channel, or return None if it has too few windows."""
    plane = np.asarray(planes[channel], np.float64)
    known = None if valid is None else np.broadcast_to(valid, planes.shape)[channel]
    taper = np.outer(*2 * [np.sin(np.pi * (np.arange(SHORT) + 0.5) / SHORT)])
    noise = tapered(_whole(spec.spectrum[channel, channel]), taper)
    blocks = [np.zeros((0, SHORT, SHORT))]
    for cell in cells_of(plane, known):
        if min(cell.image.shape) >= SHORT:
            windows, usable = cell.windows(SHORT, SHORT // 2)
            blocks.append(windows[usable])
    windows = np.concatenate(blocks)
    if len(windows) < FEWEST:
        return None
    means = windows.mean((1, 2))
    levels = np.interp(means, spec.brightness[channel], spec.levels[channel])
    scale = np.sqrt(np.maximum(levels**2, SMALLEST * np.square(windows).mean() + 1e-300))
    standard = (windows - means[:, None, None]) / scale[:, None, None]
    return _fit(np.fft.rfft2(standard * taper) / np.sqrt(noise), noise, _share(windows, levels))


def _share(windows: FloatArray, levels: FloatArray) -> float:
    """Variance of the noise of windows relative to their common variance."""
    return float((levels**2).mean() / max(float(windows.var()), 1e-300))


def _fit(whitened: NDArray[np.complex128], noise: FloatArray, share: float) -> Fit:
    """Measure whitened windows, with frequencies weighted by the power of the noise."""
    counts = np.full(noise.shape, 2.0)  # a coefficient stands for two, but in these columns
    counts[:, [0, -1]] = 1
    counts[0, 0] = 0
    weights = counts * noise / (counts * noise).sum()
    powers = (np.minimum(np.abs(whitened) ** 2, THRESHOLD) * weights).sum((1, 2))
    least, flat, middle = (float(each) for each in np.quantile(powers, QUANTILES))
    band = np.fft.irfft2(whitened * np.sqrt(noise), (SHORT, SHORT))[:, INNER, INNER]
    band = band[powers <= middle]
    squares = float(np.square(band).mean()) + 1e-300
    skewness = float((band**3).mean()) / squares**1.5
    kurtosis = float((band**4).mean()) / squares**2
    return Fit(least, flat, middle, share, skewness, kurtosis)


def _whole(spectrum: FloatArray) -> FloatArray:
    """Bring a spectrum to the frequencies that windows need."""
    lags = np.fft.ifft2(spectrum).real
    half = [min(n, LONG) // 2 for n in lags.shape]
    spans = np.ix_(*(np.arange(-h, h + 1) if h else np.zeros(1, int) for h in half))
    whole = np.zeros((LONG, LONG))
    whole[spans] = lags[spans]
    return np.maximum(np.fft.fft2(whole).real, 0)
