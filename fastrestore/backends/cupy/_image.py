"""Images into the stages on a GPU and out of them, by kernels/bm3d_mix.cu and bm3d_range.cu."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._collaborative.stage import Channels, FloatArray, Image, Run
from fastrestore.backends.cupy import _module
from fastrestore.backends.cupy._device import launch

__all__ = ["copy", "empty", "load", "luminance", "robust_range", "store"]

THREADS = (32, 8)  # pixels across and down
RANGE_THREADS, RANGE_SHARED = 1024, 4 * (4 * 256 + 8)  # see bm3d_range.cu

_TYPES = {
    "u1": "unsigned char", "i1": "signed char", "u2": "unsigned short", "i2": "short",
    "u4": "unsigned", "i4": "int", "u8": "unsigned long long", "i8": "long long",
    "f4": "float", "f8": "double",
}  # fmt: skip
_NARROW = ("u1", "i1", "u2", "i2", "f4")  # float32 holds them


def constants(source: Any, result: Any, original: Any) -> _module.Constants:
    """-D constants of the kernel for arrays of these dtypes."""
    kinds = [np.dtype(each).str[1:] for each in (source, result, original)]
    wide = "float" if all(kind in _NARROW for kind in kinds[:2]) else "double"
    names = [_TYPES[kind] for kind in kinds]
    return (("FROM", names[0]), ("TO", names[1]), ("WIDE", wide), ("ORIGINAL", names[2]))


def empty(shape: tuple[int, ...], dtype: np.dtype[Any], like: Any) -> Any:
    """See `fastrestore.backends.protocol.Backend`."""
    return (
        np.empty(shape, dtype) if interop.on_host(like) else interop.load_cupy().empty(shape, dtype)
    )


def load(
    name: str, planes: Any, exponent: int, matrix: FloatArray, least: int, run: Run
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    planes = _on_gpu(planes)
    shape = (len(matrix), *(max(least, size) for size in planes.shape[1:]))
    out = run.memory.take(name, shape, np.float32)
    _mix(planes, out, matrix, (exponent, 0), run)
    return out  # type: ignore[no-any-return]


def luminance(channels: Channels, weights: FloatArray, run: Run) -> Image:
    """See `fastrestore.backends.protocol.Backend`."""
    if weights[0] == 1:
        first: Image = channels[0]
        return first
    out = run.memory.take("luminance", (1, *channels.shape[1:]), np.float32)
    _mix(channels, out, weights[None], (0, 0), run)
    return out[0]  # type: ignore[no-any-return]


def copy(source: Channels, out: Channels, run: Run) -> None:
    """Copy channels to a part of a larger array."""
    _mix(source, out, np.eye(len(source)), (0, 0), run)


def robust_range(image: Image, run: Run) -> Any:
    """See `fastrestore.backends.protocol.Backend`; the result stays on the GPU."""
    out = run.memory.take("range", (1,), np.float32)
    arguments = (image, np.int32(image.size), out)
    launch("bm3d_range", (), (1,), (RANGE_THREADS,), arguments, RANGE_SHARED)
    return out


def store(
    channels: Channels,
    exponent: int,
    matrix: FloatArray,
    exact: NDArray[np.bool_] | None,
    planes: Any,
    out: Any,
    run: Run,
) -> None:
    """See `fastrestore.backends.protocol.Backend`."""
    if not interop.on_host(out):
        _mix(channels, out, matrix, (0, exponent), run, exact=exact, original=planes)
        return
    result = run.memory.take("result", out.shape, out.dtype)
    _mix(channels, result, matrix, (0, exponent), run)
    out[...] = result.get()
    if exact is not None:
        np.copyto(out, planes, where=exact, casting="unsafe")


def _on_gpu(planes: Any) -> Any:
    """Copy what is on the host, and convert what the kernels do not know."""
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
    run: Run,
    exact: NDArray[np.bool_] | None = None,
    original: Any = None,
) -> None:
    """Launch the kernel: out = matrix @ source, in other units before or after."""
    _, height, width = out.shape
    itself = len(matrix) == len(source) and np.array_equal(matrix, np.eye(len(matrix)))
    if exact is None:
        flags, channel, pixel, original = None, 0, 0, None
    else:
        original = _on_gpu(original)
        flags = run.memory.table(exact, np.uint8)
        channel, pixel = (1, 0) if exact.shape[1:] == (1, 1) else (height * width, 1)
    across, down = THREADS
    launch(
        "bm3d_mix",
        constants(source.dtype, out.dtype, source.dtype if original is None else original.dtype),
        (-(-width // across), -(-height // down), len(out)),
        THREADS,
        (
            source, np.int32(len(source)), *(np.int32(size) for size in source.shape[1:]),
            *_strides(source), out, np.int32(height), np.int32(width), *_strides(out),
            None if itself else run.memory.table(matrix), *(np.int32(each) for each in exponents),
            flags, np.int32(channel), np.int32(pixel), original,
            *((np.int64(0),) * 3 if original is None else _strides(original)),
        ),
    )  # fmt: skip


def _strides(array: Any) -> tuple[np.int64, ...]:
    """Strides in pixels."""
    return tuple(np.int64(stride // array.dtype.itemsize) for stride in array.strides)
