"""Checks of the arrays of a noise specification."""

from __future__ import annotations

import numpy as np

from fastrestore._arrays.types import FloatArray

EXACT = 1e-3  # relative error that spectra may have, such as those of rounded tables


def check_shapes(
    sigma: FloatArray, brightness: FloatArray, levels: FloatArray, spectrum: FloatArray
) -> None:
    """Raise unless there is one level, curve and spectrum for each channel."""
    if sigma.ndim != 1:
        raise ValueError(f"sigma must have the shape (C,), got {sigma.shape}")
    count = len(sigma)
    if levels.ndim != 2 or len(levels) != count:
        raise ValueError(f"levels must have the shape ({count}, K), got {levels.shape}")
    if brightness.shape != levels.shape:
        raise ValueError(
            f"brightness must have the shape of levels, {levels.shape}, got {brightness.shape}"
        )
    if spectrum.ndim not in (4, 5) or spectrum.shape[:2] != (count, count):
        raise ValueError(
            f"spectrum must have the shape ({count}, {count}, P, Q), or one axis more for volumes, "
            f"got {spectrum.shape}"
        )


def check_order(brightness: FloatArray) -> None:
    """Raise unless the brightness of each channel ascends."""
    wrong = np.argwhere(np.diff(brightness, axis=1) < 0)
    if len(wrong):
        channel, k = wrong[0]
        first, second = brightness[channel, k : k + 2]
        raise ValueError(
            f"brightness must ascend, got {first:g} before {second:g} in channel {channel}"
        )


def check_spectrum(spectrum: FloatArray) -> None:
    """Raise unless it can be that of real channels, with powers of mean 1."""
    axes = tuple(range(2, spectrum.ndim))
    tolerance = EXACT * float(np.abs(spectrum).max())
    powers = np.array([spectrum[c, c] for c in range(len(spectrum))])
    if powers.min() < -tolerance:
        raise ValueError(f"spectrum[c, c] must not be negative, got {powers.min():g}")
    means = powers.mean(tuple(range(1, powers.ndim)))
    if (np.abs(means - 1) > EXACT).any():
        worst = means[np.abs(means - 1).argmax()]
        raise ValueError(f"spectrum[c, c] must have the mean 1, got {worst:g}; divide by its mean")
    mirrored = np.roll(np.flip(spectrum, axes), 1, axes)
    for name, other in (
        ("spectrum[..., -k, -l] must equal spectrum[..., k, l]", mirrored),
        ("spectrum[d, c] must equal spectrum[c, d]", spectrum.swapaxes(0, 1)),
    ):
        error = float(np.abs(spectrum - other).max())
        if error > tolerance:
            raise ValueError(f"{name}, as for real noise; they differ by up to {error:g}")
