"""Common functions of the CPU backends: conversion of images for the stages and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.types import Channels, FloatArray, Image
from fastrestore.backends.protocol import Execution, Needs, Stage, Unchanged, Units

if TYPE_CHECKING:
    from fastrestore._collaborative.profile import Profile

T = TypeVar("T", bound=np.generic)

_PERCENTILES = (0.01, 0.99)


def memory() -> None:
    """See `fastrestore.backends.protocol.Backend`; CPU backends keep no buffers."""


def replays() -> None:
    """See `fastrestore.backends.protocol.Backend`; CPU backends record no calls."""


def warm(needs: Needs, execution: Execution) -> None:
    """Do nothing: CPU kernels compile on first use. See `fastrestore.backends.protocol.Backend`."""


def bm3d_memory(
    shape: tuple[int, int, int], maps: int, profile: Profile, execution: Execution
) -> int:
    """See `fastrestore.backends.protocol.Backend`."""
    del execution
    channels, height, width = shape
    matches = max(
        2 * profile.group_basic / _area(profile.step_basic),
        2 * profile.group_final / _area(profile.step_final),
    )
    # Noisy, estimates and weights of every channel, the sums in float64
    return int(height * width * (32 * channels + 8 + 12 * maps + matches))


def _area(step: int | tuple[int, ...]) -> int:
    """Return the pixels for each reference block."""
    return math.prod(step) if isinstance(step, tuple) else step**2


def bring(array: Any) -> NDArray[Any]:
    """See `fastrestore.backends.protocol.Backend`."""
    values: NDArray[Any] = interop.to_host(array)
    return values


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], like: NDArray[Any]) -> NDArray[Any]:
    """See `fastrestore.backends.protocol.Backend`."""
    del like
    return np.empty(shape, dtype)


def load(name: str, planes: NDArray[Any], units: Units, execution: Execution) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    del name, execution
    return padded(product(units.matrix, scaled(planes, units.exponent)), units.least)


def luminance(channels: Channels, weights: FloatArray, execution: Execution) -> Image:
    """See `fastrestore.backends.protocol.Backend`."""
    del execution
    one: Image = channels[weights.argmax()]
    return one if weights.max() == 1 else product(weights[None], channels)[0]


def covariance(planes: NDArray[Any]) -> FloatArray:
    """See `fastrestore.backends.protocol.Backend`."""
    pixels = planes.reshape(len(planes), -1).astype(np.float64)
    return np.atleast_2d(np.cov(pixels, ddof=0))


def replaced(
    images: Channels, where: NDArray[np.bool_], values: Channels | float, execution: Execution
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    del execution
    return np.where(where, np.asarray(values, images.dtype), images)


def robust_range(image: NDArray[Any], execution: Execution | None = None) -> float:
    """See `fastrestore.backends.protocol.Backend`."""
    del execution
    # As numpy.percentile, which takes five times as long for an image of 64 x 64 pixels
    values = image.astype(np.float64).ravel()
    last = len(values) - 1
    places = [last * part for part in _PERCENTILES]
    below = [int(place) for place in places]
    above = [min(k + 1, last) for k in below]
    values.partition(sorted({*below, *above}))
    low, high = (
        _between(float(values[one]), float(values[two]), place - one)
        for one, two, place in zip(below, above, places, strict=True)
    )
    return high - low


def _between(a: float, b: float, part: float) -> float:
    """Interpolate linearly, from the nearer end."""
    return a + (b - a) * part if part < 0.5 else b - (b - a) * (1 - part)


def robust_ranges(images: Channels, execution: Execution | None = None) -> FloatArray:
    """See `fastrestore.backends.protocol.Backend`."""
    return np.array([robust_range(image, execution) for image in images])


def store(
    channels: Channels, units: Units, unchanged: Unchanged | None, out: Any, execution: Execution
) -> None:
    """See `fastrestore.backends.protocol.Backend`."""
    del execution
    inside = channels[tuple(slice(0, size) for size in out.shape)]
    np.ldexp(product(units.back(), inside), -units.exponent, out=out, dtype=out.dtype)
    if unchanged is not None:
        np.copyto(out, unchanged.planes, where=unchanged.where, casting="unsafe")


def fetch(channels: Channels) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    return channels


put = fetch


def scaled(planes: NDArray[Any], exponent: int, dtype: type[Any] = np.float32) -> Channels:
    """Convert to a type in C order, times a power of two."""
    wide = planes if planes.dtype.kind == "f" else planes.astype(np.float64)
    return np.ascontiguousarray(np.ldexp(wide, exponent), dtype)


def padded(channels: NDArray[T], least: tuple[int, ...]) -> NDArray[T]:
    """Pad an image that is smaller than a block by mirroring."""
    beyond = [(0, max(0, n - size)) for n, size in zip(least, channels.shape[1:], strict=True)]
    if not any(after for _, after in beyond):
        return channels
    return np.pad(channels, [(0, 0), *beyond], mode="symmetric")


def product(matrix: FloatArray, channels: Channels) -> Channels:
    """Multiply in their type, without BLAS, whose threads would keep spinning beside ours."""
    if len(matrix) == len(channels) and matrix.tolist() == np.eye(len(matrix)).tolist():
        return channels
    out = np.zeros((len(matrix), *channels.shape[1:]), channels.dtype)
    for row, result in zip(matrix.astype(channels.dtype), out, strict=True):
        for weight, channel in zip(row, channels, strict=True):
            if weight:
                result += weight * channel
    return out


def stride(shape: tuple[int, ...]) -> int:
    """Return the step of a regular sample of an image or volume, to measure its range."""
    size = math.prod(shape)
    if len(shape) == 2:
        return max(1, math.isqrt(size // 2**16))
    return int(max(1, round((size / 2**17) ** (1 / len(shape)))))


def reference_grid(size: int, block: int, step: int) -> NDArray[np.int64]:
    """Corners of the reference blocks along one axis: each `step`, and the last that fits."""
    grid = list(range(0, size - block + 1, step))
    if grid[-1] != size - block:
        grid.append(size - block)
    return np.array(grid, np.int64)


def reference_grids(stage: Stage, shape: Sequence[int]) -> tuple[NDArray[np.int64], ...]:
    """Return the corners of the reference blocks along each axis of an image."""
    return tuple(map(reference_grid, shape, stage.shape, stage.steps))


def thresholds(stage: Stage, corners: tuple[NDArray[np.int64], ...]) -> NDArray[np.float32]:
    """Return the matching threshold of each reference block."""
    if stage.match_map is None:
        return np.full([len(grid) for grid in corners], stage.match, np.float32)
    return stage.match_map[np.ix_(*corners)]
