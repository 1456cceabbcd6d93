"""Noise of an image as a few maps, the input of a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray

# Bands of frequencies in cycles per pixel: those of single pixels, and those that look like
# structure. A frequency belongs to the band of the larger of its two components.
FINE, COARSE = (0.25, 0.5), (0.0, 0.125)


def noise_maps(levels: FloatArray, spectrum: FloatArray) -> NDArray[np.float32]:
    """Return the level of the noise in two bands of frequencies at each pixel.

    Parameters
    ----------
    levels : array, shape (C, M, N), or (C, 1, 1) if they are constant
        Standard deviation of the noise of each channel; C is 1 or 3.
    spectrum : array, shape (C, C, P, Q)
        Cross-spectra relative to the levels, as in `NoiseSpec`.

    Returns
    -------
    array of float32, shape (2, M, N), or (4, M, N) for 3 channels
        Levels of the high and of the low frequencies, each scaled to equal the standard deviation
        for white noise: of the luminance, the normalized sum of the channels, and the root mean
        square of the other two components.
    """
    maps = []
    for band in (FINE, COARSE):
        power = _power(spectrum, band)
        scaled = np.einsum("cij,dij,cd->ij", levels, levels, power) / len(levels)
        maps.append(np.maximum(scaled, 0))
        if len(levels) > 1:
            total = np.einsum("cij,c->ij", np.square(levels), np.diag(power))
            maps.append(np.maximum(total - scaled, 0) / (len(levels) - 1))
    return np.sqrt(np.array(maps, np.float32))


def _power(spectrum: FloatArray, band: tuple[float, float]) -> FloatArray:
    """Return the mean cross-spectra (C, C) in a band of frequencies."""
    down, across = (np.abs(np.fft.fftfreq(n)) for n in spectrum.shape[2:])
    largest = np.maximum.outer(down, across)
    low, high = band
    inside = (largest >= low) & (largest <= high)
    if not inside.any():  # a spectrum of few frequencies
        inside[:] = True
    mean: FloatArray = spectrum[:, :, inside].mean(-1)
    return mean
