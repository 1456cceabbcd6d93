"""The noise of a source, applied to one image: level at every pixel, spectra, cross-spectra."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.masks import Mask
from fastrestore._arrays.types import FloatArray
from fastrestore._noise.mosaic import squares_of
from fastrestore._noise.planes import PlaneNoise, mean_products
from fastrestore._noise.spec import NoiseSpec

# Side of the squares whose mean is the brightness of their pixels. Stages need the level of blocks
# of 8 pixels, and means of fewer pixels follow the noise.
SQUARE = 4
LEAST = 128  # frequencies along an axis: no lag in the search window wraps around


def plane_noise(spec: NoiseSpec, planes: Any, mask: Mask | None = None) -> PlaneNoise:
    """Return the noise of an image or volume (C, *spatial) on the host.

    Invalid pixels must have been filled.
    """
    if spec.distribution is not None:
        return PlaneNoise(np.full(len(planes), spec.strength), model=spec.distribution)
    spectrum, cross = _spectra(spec.spectrum)
    if spec.levels.shape[1] == 1:
        return PlaneNoise(spec.levels[:, 0], None, spectrum, cross=cross)
    level = levels_of(spec, planes)
    noise = typical_noise(spec, squares_in(level))
    level /= as_divisor(noise.sigmas, level.ndim)
    return replace(noise, map=level)


def typical_noise(spec: NoiseSpec, parts: list[NDArray[Any]]) -> PlaneNoise:
    """Return noise that depends on the brightness without its map, from parts of its levels."""
    spatial = tuple(range(1, parts[0].ndim))
    squares = [np.mean(np.square(part), axis=spatial, dtype=np.float64) for part in parts]
    sigmas = np.sqrt(np.mean(squares, axis=0))
    spectrum, cross = _spectra(spec.spectrum)
    together = None
    if cross is not None:
        divisor = as_divisor(sigmas, parts[0].ndim)
        together = mean_products([part / divisor for part in parts])
    return PlaneNoise(sigmas, None, spectrum, cross=cross, together=together)


def squares_in(level: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the parts of levels (C, *spatial) from which typical ones are computed."""
    if level.ndim != 3:
        return [level]
    return [level[:, *place] for row in squares_of(level.shape[1:]) for place in row]


def levels_of(spec: NoiseSpec, planes: Any) -> NDArray[Any]:
    """Return the noise level at every pixel of planes (C, *spatial), from their brightness."""
    return np.array([_level(spec, c, plane) for c, plane in enumerate(planes)])


def as_divisor(sigmas: FloatArray, ndim: int) -> NDArray[Any]:
    """Return what levels (C, *spatial) are divided by, for levels relative to those of channels."""
    return np.float32(np.where(sigmas > 0, sigmas, 1)).reshape(-1, *[1] * (ndim - 1))


def _spectra(cross: FloatArray) -> tuple[FloatArray | None, FloatArray | None]:
    """Return the spectra (C, ...) and cross-spectra (C, C, ...), None if they are not needed."""
    count = len(cross)
    white = cross.size == count**2
    if white and np.array_equal(cross.reshape(count, count), np.eye(count)):
        return None, None
    wide = cross if white else _embedded(cross)
    own = np.array([wide[c, c] for c in range(count)])
    return None if white else own, wide if count > 1 else None


def _level(spec: NoiseSpec, channel: int, plane: Any) -> NDArray[np.float32]:
    """Return the noise level at every pixel of a channel, the same within small squares."""
    means = _means_of_squares(np.asarray(plane))
    level = np.interp(means, spec.brightness[channel], spec.levels[channel]).astype(np.float32)
    level = level.repeat(SQUARE, -2)[..., : plane.shape[-2], :]
    whole: NDArray[np.float32] = level.repeat(SQUARE, -1)[..., : plane.shape[-1]]
    return whole


def _means_of_squares(plane: NDArray[Any]) -> FloatArray:
    """Return the means of squares of rows and columns; the last ones may be smaller."""
    means = plane
    for axis in (-2, -1):
        size = plane.shape[axis]
        starts = np.arange(0, size, SQUARE)
        counts = np.minimum(SQUARE, size - starts)
        sums = np.add.reduceat(means, starts, axis=axis, dtype=np.float64)
        means = sums / (counts[:, None] if axis == -2 else counts)
    return means


def _embedded(cross: FloatArray) -> FloatArray:
    """Cross-spectra of the same noise at more frequencies; those of single channels have mean 1."""
    axes = tuple(range(2, cross.ndim))
    covariance = np.fft.ifftn(cross, axes=axes).real
    larger = np.zeros((*cross.shape[:2], *(max(LEAST, size) for size in cross.shape[2:])))
    spans = [np.arange(-((n - 1) // 2), (n - 1) // 2 + 1) for n in cross.shape[2:]]
    for pair in np.ndindex(cross.shape[:2]):
        larger[(*pair, *np.ix_(*spans))] = covariance[(*pair, *np.ix_(*spans))]
    wide: FloatArray = np.fft.fftn(larger, axes=axes).real
    for c in range(len(wide)):
        wide[c, c] = np.maximum(wide[c, c], 0)
    own = np.sqrt([wide[c, c].mean() for c in range(len(wide))])
    wide /= np.outer(own, own).reshape(*cross.shape[:2], *[1] * len(axes))
    return wide
