"""Errors of JPEG compression, from the steps of the coefficients of 8x8 blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import threads
from fastrestore._arrays.types import FloatArray

SIDE = 8
STEPS = np.arange(3, 100)  # of quantization; smaller ones look like rounded pixels
FEWEST = 16  # coefficients that are not 0, to find their step
AGREEMENT = 0.7  # mean of cos(2 pi c / step); rounding of pixels leaves 0.83 of 1 for step 3

# Variance of the whole error relative to that of the coefficients that are not 0; on photographs
# the estimates are then 0.6 to 1.5 times the error of compression
LOST = 5

# This error relative to the noise of photographs at quality 75, and the logarithms of the ratio
# at which it confirms another estimate of the noise, with the degree
OF_NOISE = 0.49
CONFIRMS = ((-0.6, -0.45, 0.15, 0.4), (0.0, 1.0, 1.0, 0.0))
ENOUGH = 1024  # pixels; a square of this size shows the ratio


def jpeg_sigma(planes: Any) -> float:
    """Estimate the error of JPEG compression of (C, M, N) in 8 bits, or of these divided by 255.

    It is 0 if the coefficients of the blocks are not multiples of a step for each frequency, as
    those of other images are. Blocks with values that are not finite are not used.
    """
    from scipy.fft import dctn

    gray = np.asarray(planes, np.float64)
    gray = np.where(np.isfinite(gray), gray, np.nan)
    gray = np.tensordot([0.299, 0.587, 0.114], gray, 1) if len(gray) == 3 else gray.mean(0)
    known = gray[~np.isnan(gray)]
    if known.size == 0:
        return 0.0
    low, high = known.min(), known.max()
    unit = 1.0 if high > 1 else 1 / 255
    rows, columns = (n // SIDE for n in gray.shape)
    if low < -0.5 * unit or high > 255.5 * unit or rows * columns < FEWEST:
        return 0.0
    blocks = gray[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    coefficients = dctn(blocks / unit - 128, axes=(1, 3), norm="ortho").transpose(1, 3, 0, 2)
    variances = threads.in_order(
        lambda row: [_variance(each) for each in row],
        list(coefficients.reshape(SIDE, SIDE, -1)),
    )
    return float(unit * np.sqrt(LOST * np.mean(variances)))


def middle(planes: NDArray[Any], side: int) -> NDArray[Any]:
    """Return the middle square of (C, M, N), which begins at a block of JPEG compression."""
    first = [max(0, (n - side) // 2) // SIDE * SIDE for n in planes.shape[1:]]
    return planes[:, first[0] : first[0] + side, first[1] : first[1] + side]


def agreement(planes: NDArray[Any], level: float) -> float:
    """How well an estimate of the noise of (C, M, N) agrees with JPEG compression, 0 to 1.

    Noise makes coefficients different from 0, and their number and steps tell its level. Texture
    that is taken for noise has few such coefficients for its power, which is in large ones.
    """
    error = jpeg_sigma(middle(planes, ENOUGH))
    if not (error > 0 and level > 0):
        return 0.0
    return float(np.interp(math.log(error / (OF_NOISE * level)), *CONFIRMS))


def _variance(coefficients: FloatArray) -> float:
    """Return the variance of the error of the coefficients of one frequency."""
    large = coefficients[np.abs(coefficients) > STEPS[0] / 2]
    if len(large) < FEWEST:
        return 0.0
    ratios = large[:4096] / STEPS[:, None]
    # No coefficient lies between 0 and the step
    waves = np.where(np.abs(ratios) < 0.5, -1, np.cos(2 * np.pi * ratios))
    agree = np.flatnonzero(waves.mean(1) > AGREEMENT)
    if not len(agree):
        return 0.0
    step = float(STEPS[agree[-1]])  # divisors of the step agree, too
    if np.ptp(np.round(large / step)) == 0:  # such as means of an image of low contrast
        return 0.0
    return float(len(large) / len(coefficients) * step**2 / 12)
