"""Conversion of images for the stages on a GPU, with kernels/bm3d_mix.cu and bm3d_range.cu."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.types import Channels, FloatArray, Image
from fastrestore._cuda import module
from fastrestore._cuda.launches import launch
from fastrestore.backends import host
from fastrestore.backends.cupy._layout import MOST_BLOCKS
from fastrestore.backends.protocol import Execution, Unchanged, Units

__all__ = [
    "copy",
    "empty",
    "load",
    "luminance",
    "replaced",
    "robust_range",
    "robust_ranges",
    "store",
]

THREADS = (32, 8)  # pixels across and down
RANGE_THREADS, RANGE_SHARED = 1024, 4 * (4 * 256 + 8)  # see bm3d_range.cu

_TYPES = {
    "u1": "unsigned char", "i1": "signed char", "u2": "unsigned short", "i2": "short",
    "u4": "unsigned", "i4": "int", "u8": "unsigned long long", "i8": "long long",
    "f4": "float", "f8": "double",
}  # fmt: skip
_NARROW = ("u1", "i1", "u2", "i2", "f4")  # exact in float32


def constants(source: Any, result: Any, original: Any) -> module.Constants:
    """Return the constants of the kernel for arrays of these dtypes."""
    kinds = [np.dtype(each).str[1:] for each in (source, result, original)]
    wide = "float" if all(kind in _NARROW for kind in kinds[:2]) else "double"
    names = [_TYPES[kind] for kind in kinds]
    return (("FROM", names[0]), ("TO", names[1]), ("WIDE", wide), ("ORIGINAL", names[2]))


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], like: Any) -> Any:
    """See `fastrestore.backends.protocol.Backend`."""
    return (
        np.empty(shape, dtype) if interop.on_host(like) else interop.load_cupy().empty(shape, dtype)
    )


def load(name: str, planes: Any, units: Units, execution: Execution) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    if planes.ndim == 4:
        return _load_volume(name, planes, units, execution)
    planes = on_gpu(planes)
    sizes = (max(n, size) for n, size in zip(units.least, planes.shape[1:], strict=True))
    out = execution.memory.take(name, (len(units.matrix), *sizes), np.float32)
    _mix(planes, out, units.matrix, (units.exponent, 0), execution)
    return out  # type: ignore[no-any-return]


def _load_volume(name: str, planes: Any, units: Units, execution: Execution) -> Channels:
    """Load (C, P, M, N) as tall images; pad volumes smaller than a block on the host."""
    if any(size < n for n, size in zip(units.least, planes.shape[1:], strict=True)):
        padded = host.load(name, interop.to_host(planes), units, execution)
        return interop.load_cupy().asarray(padded)  # type: ignore[no-any-return]
    tall = interop.load_cupy().ascontiguousarray(on_gpu(planes)).reshape(_tall(planes.shape))
    flat = units._replace(least=(1, 1))
    return load(name, tall, flat, execution).reshape(planes.shape)


def _tall(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Shape of a volume (C, P, M, N) as a tall image, with one slice below the other."""
    return shape[0], shape[1] * shape[2], shape[3]


def luminance(channels: Channels, weights: FloatArray, execution: Execution) -> Image:
    """See `fastrestore.backends.protocol.Backend`."""
    if weights.max() == 1:
        one: Image = channels[int(weights.argmax())]
        return one
    *higher, height, width = channels.shape[1:]
    tall = (math.prod(higher) * height, width)  # of volumes, with one slice below the other
    out = execution.memory.take("luminance", (1, *tall), np.float32)
    _mix(channels.reshape(-1, *tall), out, weights[None], (0, 0), execution)
    return out.reshape(channels.shape[1:])  # type: ignore[no-any-return]


def copy(source: Channels, out: Channels, execution: Execution) -> None:
    """Copy channels to another array, such as a view."""
    _mix(source, out, np.eye(len(source)), (0, 0), execution)


def replaced(
    images: Channels, where: NDArray[np.bool_], values: Channels | float, execution: Execution
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    del execution
    cupy, plain = interop.load_cupy(), np.float32(values) if isinstance(values, float) else values
    out: Channels = cupy.where(cupy.asarray(where), plain, images)
    return out


def covariance(planes: Any) -> FloatArray:
    """See `fastrestore.backends.protocol.Backend`; waits for the GPU."""
    if interop.on_host(planes):
        return host.covariance(planes)
    means = planes.mean(tuple(range(1, planes.ndim)), dtype=np.float64)
    means = means.reshape(-1, *[1] * (planes.ndim - 1))
    pairs = planes[:, None], planes[None], means[:, None], means[None]
    axes = tuple(range(2, planes.ndim + 1))
    products: FloatArray = _products()(*pairs, axis=axes).get()
    products /= math.prod(planes.shape[1:])
    return products


@functools.cache
def _products() -> Any:
    """Return the kernel for sums of products of two channels without their means."""
    return interop.load_cupy().ReductionKernel(
        "T first, T second, float64 mean, float64 other", "float64 total",
        "((double)first - mean) * ((double)second - other)", "a + b", "total = a", "0",
        "fastrestore_covariance",
    )  # fmt: skip


def robust_range(image: Image, execution: Execution) -> Any:
    """See `fastrestore.backends.protocol.Backend`; the result stays on the GPU."""
    return robust_ranges(image[None], execution)


def robust_ranges(images: Channels, execution: Execution) -> Any:
    """See `fastrestore.backends.protocol.Backend`; the result stays on the GPU."""
    out = execution.memory.take("range", (len(images),), np.float32)
    arguments = (images, np.int32(math.prod(images.shape[1:])), out)
    launch("bm3d_range", (), (len(images),), (RANGE_THREADS,), arguments, RANGE_SHARED)
    return out


def store(
    channels: Channels, units: Units, unchanged: Unchanged | None, out: Any, execution: Execution
) -> None:
    """See `fastrestore.backends.protocol.Backend`."""
    exponents = (0, -units.exponent)
    known = out.dtype.str[1:] in _TYPES
    if out.ndim == 3 and known and not interop.on_host(out):
        _mix(channels, out, units.back(), exponents, execution, unchanged)
        return
    kind = out.dtype if known else np.float32  # of float16
    result = execution.memory.take("result", out.shape, kind)
    if out.ndim == 4:
        inside = channels[tuple(slice(0, size) for size in out.shape)]
        tall = _tall(out.shape)
        source = interop.load_cupy().ascontiguousarray(inside).reshape(tall)
        _mix(source, result.reshape(tall), units.back(), exponents, execution)
    else:
        _mix(channels, result, units.back(), exponents, execution)
    out[...] = result.get() if interop.on_host(out) else result
    if unchanged is not None:
        _copy_unchanged(unchanged, out, execution)


def _copy_unchanged(unchanged: Unchanged, out: Any, execution: Execution) -> None:
    """Copy pixels without noise from the image, on the host or on the GPU."""
    if interop.on_host(out):
        np.copyto(out, unchanged.planes, where=unchanged.where, casting="unsafe")
        return
    where = np.ascontiguousarray(np.broadcast_to(unchanged.where, out.shape))
    cupy = interop.load_cupy()
    out[...] = cupy.where(cupy.asarray(where), unchanged.planes.astype(out.dtype), out)


def on_gpu(planes: Any) -> Any:
    """Copy host arrays to the GPU, and convert types that the kernels do not support."""
    if interop.on_host(planes):
        native = planes.astype(planes.dtype.newbyteorder("="), copy=False)
        planes = interop.load_cupy().asarray(np.ascontiguousarray(native))
    known = planes.dtype.str[1:] in _TYPES
    return planes if known else planes.astype(np.float32)  # float16


def _mix(
    source: Any,
    out: Any,
    matrix: FloatArray,
    exponents: tuple[int, int],
    execution: Execution,
    unchanged: Unchanged | None = None,
) -> None:
    """Launch the kernel: out = matrix @ source, with powers of two before and after."""
    _, height, width = out.shape
    across, down = THREADS
    if height > MOST_BLOCKS * down:  # a volume; images of so many rows are restored in tiles
        for first in range(0, height, MOST_BLOCKS * down):
            rows = np.s_[:, first : first + MOST_BLOCKS * down]
            _mix(source[rows], out[rows], matrix, exponents, execution)
        return
    identity = len(matrix) == len(source) and np.array_equal(matrix, np.eye(len(matrix)))
    if unchanged is None:
        flags, channel, pixel, original = None, 0, 0, None
    else:
        original = on_gpu(unchanged.planes)
        flags = execution.memory.table(unchanged.where, np.uint8)
        channel, pixel = (1, 0) if unchanged.where.shape[1:] == (1, 1) else (height * width, 1)
    launch(
        "bm3d_mix",
        constants(source.dtype, out.dtype, source.dtype if original is None else original.dtype),
        (-(-width // across), -(-height // down), len(out)),
        THREADS,
        (
            source, np.int32(len(source)), *(np.int32(size) for size in source.shape[1:]),
            *_strides(source), out, np.int32(height), np.int32(width), *_strides(out),
            None if identity else execution.memory.table(matrix),
            *(np.int32(each) for each in exponents), flags, np.int32(channel), np.int32(pixel),
            original,
            *((np.int64(0),) * 3 if original is None else _strides(original)),
        ),
    )  # fmt: skip


def _strides(array: Any) -> tuple[np.int64, ...]:
    """Strides in pixels."""
    return tuple(np.int64(stride // array.dtype.itemsize) for stride in array.strides)
