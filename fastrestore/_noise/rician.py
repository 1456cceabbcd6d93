"""Rician noise of magnitude images, from their background."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._noise.blocks import MOST, SIDE, Blocks
from fastrestore._noise.counts import STEPS, channels
from fastrestore._noise.spec import NoiseSpec
from fastrestore._noise.vst import Rician

# The background of a magnitude image has a Rayleigh distribution: mean, variance and skewness for
# sigma = 1
MEAN, VARIANCE = math.sqrt(math.pi / 2), 2 - math.pi / 2
SKEWNESS = 2 * math.sqrt(math.pi) * (math.pi - 3) / (4 - math.pi) ** 1.5
SLICES = 9  # of a volume, from which the noise is estimated
STARTS = 2, 5, 10, 20, 40  # percentiles of the brightness at which the background is looked for
WITHIN = 4.0  # standard errors of the mean of a block of background
ROUNDS = 8
LEAST = 0.02  # share of the blocks that are background
FEWEST = 32  # blocks of background
VARIES, SKEWED, CORRELATED = 0.1, 0.12, 1.2  # differences from a Rayleigh distribution, at most
BRIGHT = 4.0  # times sigma: signal with noise of nearly the level sigma
FEW, CALM = 8, 20  # bright flat blocks; percentile of the variance of others if these are missing
FLAT = 1.5  # energy of flat blocks, relative to the variance of their noise
STRONG = 0.8, 1.25  # variance of bright flat blocks, relative to the square of sigma


def rician_noise(planes: NDArray[Any], valid: NDArray[Any] | None) -> NoiseSpec | None:
    """Find the Rician noise of a volume (C, P, M, N); None if its noise is of another kind."""
    if valid is not None:
        valid = np.broadcast_to(valid, planes.shape)
    some = np.unique(np.linspace(0, planes.shape[1] - 1, SLICES).round().astype(int))
    few, known = planes[:, some], None if valid is None else valid[:, some]
    if few.min(where=True if known is None else known, initial=0) < 0:
        return None
    blocks = Blocks.joined([_blocks(*each) for each in channels(few, known)])
    sigma = _sigma(blocks)
    return None if sigma is None else specification(Rician(sigma), few, known)


def _blocks(stack: NDArray[Any], valid: NDArray[Any] | None) -> Blocks:
    """Measure blocks of slices (P, M, N)."""
    known = [None] * len(stack) if valid is None else list(valid)
    pairs = zip(stack, known, strict=True)
    return Blocks.joined([Blocks.of(plane, mask, MOST // len(stack)) for plane, mask in pairs])


def _sigma(blocks: Blocks) -> float | None:
    """Return sigma of the background, or None if nothing is background of a magnitude image."""
    if len(blocks.mean) < FEWEST:
        return None
    for start in np.percentile(blocks.mean, STARTS):
        sigma, chosen = float(start) / MEAN, blocks
        for _ in range(ROUNDS):
            spread = sigma * math.sqrt(VARIANCE) / SIDE
            near = np.abs(blocks.mean - MEAN * sigma) < WITHIN * spread
            chosen = blocks[near & (blocks.low < FLAT * VARIANCE * sigma**2)]
            if len(chosen.mean) < FEWEST:
                break
            sigma = float(chosen.mean.mean()) / MEAN
        if _is_background(chosen, sigma, len(blocks.mean)) and _is_strong(blocks, sigma):
            return sigma
    return None


def _is_background(chosen: Blocks, sigma: float, total: int) -> bool:
    """Whether blocks have the distribution of background."""
    if len(chosen.mean) < max(FEWEST, LEAST * total) or sigma <= 0:
        return False
    variance = float(chosen.high.mean())
    skewness = float(chosen.third.mean()) / variance**1.5
    return (
        abs(variance / (VARIANCE * sigma**2) - 1) < VARIES
        and abs(skewness - SKEWNESS) < SKEWED
        and 1 / CORRELATED < float(chosen.low.mean()) / variance < CORRELATED
    )


def _is_strong(blocks: Blocks, sigma: float) -> bool:
    """Whether the noise of bright areas has the level of Rician noise, unlike photon noise."""
    bright = blocks[blocks.mean > BRIGHT * sigma]
    flat = bright[bright.low < FLAT * sigma**2]
    low, high = STRONG
    if len(flat.mean) >= FEW:
        return low < float(flat.high.mean()) / sigma**2 < high
    return len(bright.mean) >= FEW and float(np.percentile(bright.high, CALM)) < high * sigma**2


def specification(model: Rician, planes: NDArray[Any], valid: NDArray[Any] | None) -> NoiseSpec:
    """Return Rician noise by the brightness of each channel (C, ...)."""
    rows = []
    for plane, known in channels(planes, valid):
        values = plane if known is None else plane[known]
        brightness = np.linspace(0.0, float(values.max()), STEPS)
        levels = np.sqrt(_variance(brightness / model.sigma)) * model.sigma
        power = np.mean(np.interp(values, brightness, levels) ** 2)
        rows.append((math.sqrt(power), brightness, levels))
    sigma, brightness, levels = (np.array(each) for each in zip(*rows, strict=True))
    spectrum = np.eye(len(rows)).reshape(len(rows), len(rows), *[1] * (planes.ndim - 1))
    return NoiseSpec(sigma, brightness, levels, spectrum, model)


def _variance(signal: FloatArray) -> FloatArray:
    """Variance of the magnitude of a signal with complex noise of sigma 1."""
    from scipy.special import i0e, i1e

    x = signal**2 / 4
    mean = MEAN * ((1 + 2 * x) * i0e(x) + 2 * x * i1e(x))
    variance: FloatArray = np.maximum(signal**2 + 2 - mean**2, VARIANCE)
    return variance
