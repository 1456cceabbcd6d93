"""Covariances of block coefficients by displacement, for exact variances of group coefficients.

Mäkinen, Azzari, Foi, "Collaborative filtering of correlated noise: exact transform-domain variance
for improved shrinkage and patch matching", IEEE Trans. Image Process. 29, 2020, section III.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastrestore._arrays import threads
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.arrays import Matrix

# Smaller correlations are rounding errors of the transforms.
NEGLIGIBLE = 1e-10
MOST = 2**24  # entries of a table of covariances; kernels compute indices in float32


class Lags:
    """Autocovariances of spectra, computed once for the stages of a call that need them."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[FloatArray, tuple[int, ...], list[FloatArray]], ...] = ()

    def __call__(self, powers: FloatArray, reach: tuple[int, ...]) -> list[FloatArray]:
        """`autocovariance` of each channel of a spectrum (C, *frequencies)."""
        for own, kept, lags in self._kept:
            if own is powers and all(map(operator.le, reach, kept)):
                pairs = zip(reach, kept, strict=True)
                inside = tuple(slice(far - near, far + near + 1) for near, far in pairs)
                return [lag[inside] for lag in lags]
        lags = [autocovariance(power, reach) for power in powers]
        self._kept = ((powers, reach, lags), *self._kept[:1])  # refiltering has many spectra
        return lags


def coefficient_covariance(
    transforms: tuple[FloatArray, ...],
    powers: FloatArray,
    most: tuple[int, ...],
    lags_of: Lags | None = None,
) -> FloatArray:
    """Covariance of each coefficient of two blocks, by displacement, for a spectrum of the noise.

    Entry (channel, dy, E + dx, u, v) of (C, D + 1, 2 E + 1, N, N) is the covariance of coefficient
    (u, v) of two blocks with displacement (dy, dx), which equals that of (-dy, -dx). Volumes have
    one axis more. D and E are `most`, or less if the noise of blocks farther apart is independent:
    then the last entries are zero.
    """
    sizes = [len(matrix) for matrix in transforms]
    margins = tuple(far + size - 1 for far, size in zip(most, sizes, strict=True))
    lags = (lags_of or Lags())(powers, margins)
    reach = [min(far, support(lags, axis) + sizes[axis]) for axis, far in enumerate(most)]
    count = math.prod(sizes) * (1 + reach[0]) * math.prod(1 + 2 * far for far in reach[1:])
    if count > MOST:
        raise ValueError(
            f"correlations of the noise over {reach} voxels need too much memory for blocks of "
            f"{sizes}: use a profile with smaller radius_basic and radius_final"
        )

    def table_of(lag: FloatArray) -> FloatArray:
        table = _transformed(_near(lag, reach, sizes), transforms)
        _clear_ends(table, reach, most)
        same = (0, *reach[1:])
        table[same] = np.maximum(table[same], 0)
        return table

    return np.array(threads.in_order(table_of, lags))


def _near(lag: FloatArray, reach: list[int], sizes: list[int]) -> FloatArray:
    """Return the covariances for blocks up to `reach` apart; dy is 0 or more."""
    place = []
    for axis, (far, size) in enumerate(zip(reach, sizes, strict=True)):
        middle = lag.shape[axis] // 2
        first = 0 if axis == 0 else -far
        place.append(slice(middle + first - size + 1, middle + far + size))
    return lag[tuple(place)]


def _transformed(table: FloatArray, transforms: tuple[FloatArray, ...]) -> FloatArray:
    """Replace lags by displacements of blocks, and append an axis of coefficients for each axis."""
    ndim = table.ndim
    for axis in range(ndim - 1, -1, -1):
        rho = overlaps(transforms[axis])
        windows = sliding_window_view(table, rho.shape[1], axis=axis)
        table = np.einsum("ul,...l->...u", rho, windows)
    order = (*range(ndim), *range(2 * ndim - 1, ndim - 1, -1))
    return np.ascontiguousarray(table.transpose(order))


def _clear_ends(table: FloatArray, reach: list[int], most: tuple[int, ...]) -> None:
    """Clear the last displacements of axes with `reach` below `most`."""
    for axis, (far, limit) in enumerate(zip(reach, most, strict=True)):
        if far < limit:
            ends = [far] if axis == 0 else [0, 2 * far]
            table[(slice(None),) * axis + (ends,)] = 0


@functools.lru_cache(64)  # profiles that are learned have many
def white_covariance(transform: str | Matrix, shape: tuple[int, ...]) -> FloatArray:
    """`coefficient_covariance` for white noise, up to displacements of the size of a block."""
    table = np.ones(())
    for axis, size in enumerate(shape):
        rho = overlaps(transform_matrix(transform, size))
        half = np.pad(rho[:, size - 1 :], [(0, 0), (0, 1)])
        line = half if axis == 0 else np.concatenate([half[:, :0:-1], half], axis=1)
        table = np.multiply.outer(table, line.T)
    ndim = len(shape)
    order = (*range(0, 2 * ndim, 2), *range(1, 2 * ndim, 2))
    return _kept(np.ascontiguousarray(table.transpose(order))[None])


@functools.lru_cache(64)
def transform_matrix(name: str | Matrix, size: int) -> FloatArray:
    """Return the matrix of a 1-D transform of `size` samples; its rows have unit norm.

    It may be given in place of its name.

    Raises
    ------
    ValueError
        If `name` is unknown, or the transform does not exist for this size.
    """
    if not isinstance(name, str):
        matrix = np.array(name)
    elif name == "dct":
        n, k = np.arange(size), np.arange(size)[:, None]
        matrix = np.cos(np.pi * (2 * n + 1) * k / (2 * size))
    elif size & (size - 1):
        raise ValueError(
            f"transform {name!r} needs a block of 2, 4, 8, 16, 32 or 64 pixels, not {size}; "
            "write 'dct' for other blocks"
        )
    elif name == "hadamard":
        matrix = np.ones((1, 1))
        while len(matrix) < size:
            matrix = np.kron(np.array([[1, 1], [1, -1]]), matrix)
    else:
        matrix = _wavelet_matrix(name, size)
    return _kept(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


@functools.lru_cache(64)
def inverse_matrix(name: str | Matrix, size: int, given: Matrix | None = None) -> FloatArray:
    """Return the exact inverse of `transform_matrix`, unless another matrix is given."""
    if given is not None:
        return _kept(np.array(given))
    return _kept(np.linalg.inv(transform_matrix(name, size)).astype(np.float64))


@functools.lru_cache(64)
def kaiser_window(size: int, beta: float) -> FloatArray:
    """Return a Kaiser window, whose outer product with itself is the aggregation window."""
    return _kept(np.kaiser(size, beta) if size > 1 else np.ones(1))


def _kept(table: FloatArray) -> FloatArray:
    """Make a table read-only, because it is shared by later calls."""
    table.flags.writeable = False
    return table


def _wavelet_matrix(name: str, size: int) -> FloatArray:
    """Full decomposition of the unit vectors by PyWavelets, periodic at the borders."""
    import pywt

    if name not in pywt.wavelist(kind="discrete"):
        raise ValueError(
            f"transform {name!r} is unknown; write 'dct', 'hadamard' or a discrete wavelet "
            "of PyWavelets such as 'bior1.5' or 'haar'"
        )
    low = np.eye(size)
    details: list[FloatArray] = []
    while len(low) > 1:
        low, high = pywt.dwt(low, name, mode="periodization", axis=0)
        details.insert(0, high)
    return np.concatenate([low, *details])


def autocovariance(power: FloatArray, reach: tuple[int, ...]) -> FloatArray:
    """Covariance of noise with this power at displacements up to `reach`.

    The shape is 2 reach + 1 along each axis, with displacement 0 in the center. Displacements
    beyond the size of the spectrum wrap around.
    """
    part: Any = power
    for axis in reversed(range(power.ndim)):  # as `ifftn`, but without the others in later axes
        far, size = reach[axis], power.shape[axis]
        part = np.fft.ifft(part, axis=axis).take(np.arange(-far, far + 1) % size, axis)
    covariance: FloatArray = np.ascontiguousarray(part.real)
    return covariance


def overlaps(forward: FloatArray) -> FloatArray:
    """Autocorrelation of each row of a transform: rho[u, size - 1 + l] for samples l apart."""
    return _overlaps(forward.tobytes(), len(forward))


@functools.lru_cache(64)
def _overlaps(samples: bytes, size: int) -> FloatArray:
    forward = np.frombuffer(samples).reshape(size, size)
    padded = np.pad(forward, [(0, 0), (size - 1, size - 1)])
    rho = np.einsum("us,uls->ul", forward, sliding_window_view(padded, size, axis=1))
    return _kept(rho)


def support(lags: list[FloatArray], axis: int) -> int:
    """Largest displacement along an axis at which the noise is correlated."""
    middle = lags[0].shape[axis] // 2
    others = tuple(k for k in range(lags[0].ndim) if k != axis)
    peaks = np.max([np.abs(lag).max(others) for lag in lags], axis=0)
    far = np.flatnonzero(peaks > NEGLIGIBLE * peaks.max())
    return int(np.abs(far - middle).max())


def block_means(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Mean of every block, by its corner; computed independently, so tiles give the same means."""
    for axis, size in enumerate(shape):
        values = sliding_window_view(values, size, axis=axis).mean(-1)
    return values
