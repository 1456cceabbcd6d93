"""Noise of photographs: level by brightness, spectrum, and correlation of the channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.spec import NoiseSpec


def camera_noise(
    planes: NDArray[Any], valid: NDArray[np.bool_] | None, *, correlated: bool, varying: bool
) -> NoiseSpec:
    """Estimate the noise of an image (C, M, N)."""
    from scipy.ndimage import uniform_filter

    images = np.asarray(planes, np.float64)
    details = np.array([image - uniform_filter(image, 5) for image in images])
    levels = np.array([1.05 * np.median(np.abs(d)) / 0.6745 for d in details])
    spectrum = np.eye(len(images))[..., None, None]
    brightness, curve = np.zeros((len(images), 1)), levels[:, None]
    if varying:
        brightness, curve = _curves(images, details)
    if correlated:
        spectrum = np.ones((1, 1, 8, 8)) * spectrum
    return NoiseSpec(levels, brightness, curve, spectrum)


def _curves(images: FloatArray, details: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Level by brightness of each channel."""
    from scipy.ndimage import uniform_filter

    brightness, curve = [], []
    for image, detail in zip(images, details, strict=True):
        smooth = uniform_filter(image, 5).ravel()
        parts = np.array_split(np.argsort(smooth), 8)
        brightness.append([smooth[part].mean() for part in parts])
        curve.append([np.median(np.abs(detail.ravel()[part])) / 0.6745 for part in parts])
    return np.array(brightness), np.array(curve)
