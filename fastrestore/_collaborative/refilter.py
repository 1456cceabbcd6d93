"""The part of a residual that noise does not explain, to be filtered again.

After Mäkinen, Azzari, Foi, "Collaborative filtering of correlated noise: exact transform-domain
variance for improved shrinkage and patch matching", IEEE TIP 29, 2020, section VII. There a
frequency comes back if its residual is more than three deviations, and its neighbours with it.
Here the decision is on the mean of the neighbours, and on the noise of the extended residual,
whose borders spread narrow spectra: on photographs of BSDS500 that are in no test set this
restores more, and never less than no second filtering.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.profile import Profile
from fastrestore._noise.spec import NoiseSpec

# Neighbouring frequencies: deviation of a Gaussian in samples of the transform, and as a share of
# its size; the greater counts. Of few samples the mean is high by chance.
NEIGHBOURS, SHARE = 6.0, 1 / 85
PEAK = 30.0  # a single frequency counts no more than so many times the noise


def remaining(
    residual: NDArray[np.float32], noise: NoiseSpec, profile: Profile, workers: int
) -> tuple[NDArray[np.float32], FloatArray]:
    """Return what noise does not explain of a residual (C, M, N), and the power of its noise."""
    rest, powers = np.empty_like(residual), []
    for c, sigma in enumerate(noise.sigmas):
        power = np.ones((1, 1)) * sigma**2
        if noise.spectrum is not None:
            power = noise.spectrum[min(c, len(noise.spectrum) - 1)] * sigma**2
        rest[c], left = remaining_of_channel(residual[c], power, profile.residual, workers)
        powers.append(left)
    return rest, np.array(powers)


def remaining_of_channel(
    residual: NDArray[np.float32], power: FloatArray, threshold: float, workers: int
) -> tuple[NDArray[np.float32], FloatArray]:
    """Part of a residual (M, N) that exceeds its noise, and the power of the noise in this part.

    `power` (P, Q) is that of the noise by frequency, with the variance as its mean. The residual
    is extended by half its size on each side, and frequencies are kept, everywhere in the image,
    around which its power is more than `threshold` times that of the noise.
    """
    from scipy.fft import fft2, ifft2
    from scipy.ndimage import gaussian_filter

    height, width = residual.shape
    shape = (2 * height, 2 * width)
    transform = fft2(residual, shape, workers=workers)
    noise = _extended(resampled(power, shape), workers)
    ratio = np.minimum(np.abs(transform) ** 2 / (noise * residual.size), PEAK)
    deviations = [max(NEIGHBOURS, size * SHARE) for size in shape]
    mask = gaussian_filter(ratio, deviations, mode="wrap", truncate=3) > threshold
    kept = ifft2(transform * mask, workers=workers).real[:height, :width]
    return kept.astype(np.float32), noise * mask


def _extended(power: FloatArray, workers: int) -> FloatArray:
    """Power of noise of which only a quarter, half as high and as wide, is not zero."""
    from scipy.fft import fft2, ifft2

    overlap = []  # of the quarter with itself, by displacement: a triangle
    for size in power.shape:
        place = np.arange(size)
        overlap.append(np.maximum(1 - 2 * np.minimum(place, size - place) / size, 0))
    covariance = ifft2(power, workers=workers).real * overlap[0][:, None] * overlap[1]
    extended = fft2(covariance, workers=workers).real
    positive: FloatArray = np.maximum(extended, 1e-12 * power.max())
    return positive


def resampled(power: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Power of the same noise at the frequencies of another size.

    Through the kernel of zero phase that makes this noise of white one, cut or padded to the shape;
    so power stays positive.
    """
    if power.shape == shape or power.size == 1:
        return np.broadcast_to(power, shape)
    kernel = np.fft.ifft2(np.sqrt(power)).real
    out = np.zeros(shape)
    spans = []
    for size, wanted in zip(power.shape, shape, strict=True):
        half = (min(size, wanted) - 1) // 2
        spans.append(np.arange(-half, half + 1))
    out[np.ix_(*spans)] = kernel[np.ix_(*spans)]
    result: FloatArray = np.abs(np.fft.fft2(out)) ** 2
    return result
