"""Several scales of an image, for noise with wavelengths beyond the blocks.

Each scale is half as high and wide as the one before it: the means of squares of 2x2 pixels. All
are restored with the noise that such means have, and low frequencies of each one are then replaced
by those of the next coarser one, whose blocks cover twice the distance. Based on the idea of
Lebrun, Colom, Morel, "The noise clinic: a blind image denoising algorithm", Image Processing On
Line 5, 2015. The scales are filtered independently of each other here, so that their noise is known
exactly; in the paper the noise of each scale is what the coarser ones have left.

Images are arrays of any library, (C, M, N).
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np

from fastrestore._arrays import interop
from fastrestore._arrays.masks import Mask, smoothed
from fastrestore._arrays.types import FloatArray
from fastrestore._noise import psd
from fastrestore._noise.planes import PlaneNoise

# Share of the variance of the noise that is left in means of 2x2 pixels, above which the coarser
# scale is restored too. White noise has 0.25. On photographs of BSDS500 with noise of Gaussian
# kernels, and on pairs of real photographs, coarser scales gain above this value.
COARSE = 0.5
# Binomial filters of three pixels, on the coarser scale, that select the low frequencies which it
# replaces. With fewer, photographs with many edges lose up to 0.2 dB, because blocks of the coarser
# scale match less well; with more, smooth ones gain less.
FILTERS = 4
SMALLEST = 64  # pixels: an image whose shorter side is smaller has no coarser scale


def coarser(work: Any) -> dict[str, Any]:
    """Return what differs on the next coarser scale from the work on a scale, by attribute."""
    planes, request = halved(work.planes), work.request
    return {
        "planes": planes,
        "noise": halved_noise(work.noise),
        "request": replace(request, mask=halved_mask(request.mask)),
        "out": request.backend.empty(planes.shape, planes.dtype, planes),
        "matching": None,
        "uncertainty": None,
    }


def has_coarser(noise: PlaneNoise, shape: tuple[int, ...]) -> bool:
    """Whether an image (C, M, N) with this noise is restored on a coarser scale, too."""
    if noise.spectrum is None or len(shape) != 3 or min(shape[1:]) < SMALLEST:
        return False
    return bool(np.mean([_kept(power) for power in noise.spectrum]) > COARSE)


def _kept(power: FloatArray) -> float:
    """Share of the variance of noise that means of 2x2 pixels have."""
    covariance = np.fft.ifftn(power).real
    sums = covariance[0, 0] + covariance[0, 1] + covariance[1, 0]
    return float(sums + (covariance[1, 1] + covariance[1, -1]) / 2) / (4 * float(covariance[0, 0]))


def halved(planes: Any) -> Any:
    """Return the means of 2x2 pixels; the last row or column of an odd size is repeated."""
    wide = np.promote_types(interop.result_dtype(planes.dtype), np.float32)
    for axis in (1, 2):
        each = interop.move_axis(planes, axis, 0)
        means = each[::2].astype(wide)
        means[: len(each) // 2] += each[1::2]
        if len(each) % 2:
            means[-1] += each[-1]
        means *= 0.5
        planes = interop.move_axis(means, 0, axis)
    return planes


def halved_mask(mask: Mask | None) -> Mask | None:
    """Return where all pixels of the squares of 2x2 pixels are valid."""
    return None if mask is None else Mask(halved(mask.valid.astype(np.float32)) == 1)


def halved_noise(noise: PlaneNoise) -> PlaneNoise:
    """Return the noise of the means of 2x2 pixels."""
    spectrum, cross, level = noise.spectrum, noise.cross, noise.map
    assert spectrum is not None
    spectrum = np.maximum([_folded(power) for power in spectrum], 0)
    kept, spectrum = psd.split(spectrum)
    if cross is not None:
        pairs = [[_folded(power) for power in row] for row in cross]
        cross = np.array(pairs) / np.outer(kept, kept)[..., None, None]
    if level is not None:
        level = np.sqrt(halved(np.square(level)))
    return replace(
        noise, sigmas=noise.sigmas * kept, map=level, spectrum=spectrum, cross=cross, together=None
    )


def _folded(power: FloatArray) -> FloatArray:
    """Power of the means of 2x2 pixels, at as many frequencies, with the variance as its mean."""
    covariance = np.fft.ifftn(power).real
    for axis in (0, 1):
        near = np.roll(covariance, 1, axis) + np.roll(covariance, -1, axis)
        covariance = (2 * covariance + near) / 4
    reaches = [(size // 2 - 1) // 2 for size in power.shape]
    lags = [np.arange(-far, far + 1) for far in reaches]
    out = np.zeros(power.shape)
    out[np.ix_(*lags)] = covariance[np.ix_(*(2 * each for each in lags))]
    folded: FloatArray = np.fft.fftn(out).real
    return folded


def merge(images: list[Any]) -> None:
    """Replace the low frequencies of each image, from the coarsest on, by those of the next one."""
    for fine, coarse in reversed(list(itertools.pairwise(images))):
        replace_low(fine, coarse)


def replace_low(fine: Any, coarse: Any) -> None:
    """Replace the low frequencies of an image by those of a coarser scale of it, in place."""
    change = coarse - halved(fine)
    for c in range(len(fine)):
        low = change[c]
        for _ in range(FILTERS):
            low = smoothed(low)
        fine[c] += _doubled(low)[: fine.shape[1], : fine.shape[2]]


def _doubled(plane: Any) -> Any:
    """Interpolate a plane linearly to twice its size; pixels at the border are repeated."""
    for axis in (0, 1):
        each = interop.move_axis(plane, axis, 0)
        near, far = 0.75 * each, 0.25 * each
        out = interop.namespace(plane).empty((2 * len(each), *each.shape[1:]), plane.dtype)
        out[::2], out[1::2] = near, near
        out[2::2] += far[:-1]
        out[1:-1:2] += far[1:]
        out[:1] += far[:1]
        out[-1:] += far[-1:]
        plane = interop.move_axis(out, 0, axis)
    return plane
