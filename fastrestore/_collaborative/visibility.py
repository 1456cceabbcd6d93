"""Visibility of noise in images."""

from __future__ import annotations

import numpy as np

from fastrestore._arrays.types import FloatArray

COARSEST = 0.02  # cycles per pixel; the spectrum of images is flat below


def masking(power: FloatArray, exponent: float) -> float:
    """Noise visibility relative to white noise, weighted by the spectrum of natural images.

    Power mean of this exponent, weighted by the energy of photographs, which falls with the square
    of frequency.
    """
    frequencies = np.meshgrid(*map(np.fft.fftfreq, power.shape), indexing="ij", sparse=True)
    weight = sum(f**2 for f in frequencies) + COARSEST**2
    np.divide(1, weight, out=weight)
    visible = power**exponent
    visible *= weight
    mean = visible.sum() / weight.sum()
    return float(mean ** (1 / exponent))
