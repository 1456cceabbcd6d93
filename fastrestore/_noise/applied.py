"""The noise of a source, applied to one image."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._arrays.masks import Mask
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.planes import PlaneNoise
from fastrestore._noise.spec import NoiseSpec

SMOOTH = 2.0  # pixels: standard deviation of the Gaussian that gives the local brightness
LEAST = 128  # frequencies along an axis: no lag in the search window wraps around


def plane_noise(spec: NoiseSpec, planes: Any, mask: Mask | None = None) -> PlaneNoise:
    """Return the noise of an image or volume (C, *spatial) on the host.

    Invalid pixels must have been filled.
    """
    if spec.distribution is not None:
        return PlaneNoise(np.full(len(planes), spec.strength), model=spec.distribution)
    spectrum = None
    if spec.spectrum.size > len(planes) ** 2:
        own = np.array([spec.spectrum[c, c] for c in range(len(planes))])
        spectrum = np.array([_embedded(power) for power in own])
    if spec.levels.shape[1] == 1:
        return PlaneNoise(spec.levels[:, 0], None, spectrum)
    relative = np.array([_levels(spec, c, plane) / spec.sigma[c] for c, plane in enumerate(planes)])
    return PlaneNoise(spec.sigma, relative, spectrum)


def _levels(spec: NoiseSpec, channel: int, plane: Any) -> FloatArray:
    """Noise level at each pixel of one channel."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(np.asarray(plane, np.float64), SMOOTH)
    level: FloatArray = np.interp(smooth, spec.brightness[channel], spec.levels[channel])
    return level


def _embedded(power: FloatArray) -> FloatArray:
    """Power of the same noise at more frequencies, with mean 1; it stays positive."""
    shape = tuple(max(LEAST, size) for size in power.shape)
    kernel = np.fft.ifftn(np.sqrt(power)).real
    larger = np.zeros(shape)
    spans = []
    for size in power.shape:
        half = (size - 1) // 2
        spans.append(np.arange(-half, half + 1))
    larger[np.ix_(*spans)] = kernel[np.ix_(*spans)]
    wide = np.abs(np.fft.fftn(larger)) ** 2
    result: FloatArray = wide / wide.mean()
    return result
