"""What the backends on the CPU do alike: images in and out of the stages."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.stage import Channels, FloatArray, Image, Run

T = TypeVar("T", bound=np.generic)


def memory() -> None:
    """See `fastrestore.backends.protocol.Backend`; nothing is kept here."""


def warm(profile: Profile, stages: tuple[str, ...], dtype: np.dtype[Any], run: Run) -> None:
    """Do nothing: CPU kernels compile on first use. See `fastrestore.backends.protocol.Backend`."""


def bm3d_memory(shape: tuple[int, int, int], maps: int, profile: Profile, run: Run) -> int:
    """See `fastrestore.backends.protocol.Backend`."""
    del run
    channels, height, width = shape
    matches = max(
        4 * profile.group_basic / profile.step_basic**2,
        4 * profile.group_final / profile.step_final**2,
    )
    # Noisy, estimates and weights of every channel, the sums in float64
    return int(height * width * (32 * channels + 8 + 12 * maps + matches))


def bring(array: Any) -> NDArray[Any]:
    """See `fastrestore.backends.protocol.Backend`."""
    values: NDArray[Any] = interop.to_host(array)
    return values


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], like: NDArray[Any]) -> NDArray[Any]:
    """See `fastrestore.backends.protocol.Backend`."""
    del like
    return np.empty(shape, dtype)


def load(
    name: str, planes: NDArray[Any], exponent: int, matrix: FloatArray, least: int, run: Run
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    del name, run
    return padded(product(matrix, scaled(planes, exponent)), least)


def luminance(channels: Channels, weights: FloatArray, run: Run) -> Image:
    """See `fastrestore.backends.protocol.Backend`."""
    del run
    one = channels if weights[0] == 1 else product(weights[None], channels)
    image: Image = one[0]
    return image


def robust_range(image: NDArray[Any], run: Run | None = None) -> float:
    """See `fastrestore.backends.protocol.Backend`."""
    del run
    low, high = np.percentile(image.astype(np.float64), [1, 99])
    return float(high - low)


def store(
    channels: Channels,
    exponent: int,
    matrix: FloatArray,
    exact: NDArray[np.bool_] | None,
    planes: NDArray[Any],
    out: NDArray[Any],
    run: Run,
) -> None:
    """See `fastrestore.backends.protocol.Backend`."""
    del run
    inside = channels[:, : out.shape[1], : out.shape[2]]
    np.ldexp(product(matrix, inside), exponent, out=out, dtype=out.dtype)
    if exact is not None:
        np.copyto(out, planes, where=exact, casting="unsafe")


def fetch(channels: Channels) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    return channels


put = fetch


def scaled(planes: NDArray[Any], exponent: int) -> Channels:
    """Float32 in C order, times a power of two."""
    wide = planes if planes.dtype.kind == "f" else planes.astype(np.float64)
    return np.ascontiguousarray(np.ldexp(wide, exponent), np.float32)


def padded(channels: NDArray[T], least: int) -> NDArray[T]:
    """Mirror an image that is smaller than a block beyond its lower right."""
    beyond = [(0, max(0, least - size)) for size in channels.shape[1:]]
    if not any(after for _, after in beyond):
        return channels
    return np.pad(channels, [(0, 0), *beyond], mode="symmetric")


def product(matrix: FloatArray, channels: Channels) -> Channels:
    """Multiply in float32, without BLAS, whose threads would go on spinning beside ours."""
    if len(matrix) == len(channels) and np.array_equal(matrix, np.eye(len(matrix))):
        return channels
    out = np.zeros((len(matrix), *channels.shape[1:]), np.float32)
    for row, result in zip(matrix.astype(np.float32), out, strict=True):
        for weight, channel in zip(row, channels, strict=True):
            if weight:
                result += weight * channel
    return out


def stride(size: int) -> int:
    """How far apart pixels are taken of an image of so many to measure its range."""
    return max(1, math.isqrt(size // 2**16))
