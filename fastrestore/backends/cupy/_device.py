"""Memory of a GPU. Only copying a small table waits for the GPU."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastrestore._arrays import interop
from fastrestore._cuda.launches import current

SMALL = 1 << 16  # bytes; tables up to this size are cached by content


class Memory:
    """Named buffers, reused by later stages and calls on one stream at a time."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[int, str], Any] = {}
        self._tables: dict[tuple[int, int, str], tuple[NDArray[Any], Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        """Return an uninitialized array in the buffer of this name, which is overwritten."""
        cupy, key, kind = interop.load_cupy(), (current(), name), np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if key not in self._buffers or self._buffers[key].nbytes < size:
            self._buffers.pop(key, None)  # free it before a larger one is allocated
            self._buffers[key] = cupy.empty(size, np.uint8)
        return cupy.ndarray(shape, kind, self._buffers[key].data)

    def table(self, values: NDArray[Any] | None, dtype: DTypeLike = np.float32) -> Any:
        """Return a copy of a table on the GPU, from the cache if possible; None for None."""
        if values is None:
            return None
        kind = np.dtype(dtype)
        if values.size * kind.itemsize <= SMALL:
            plain = np.ascontiguousarray(values, kind)
            return _small(current(), plain.shape, kind.str, plain.tobytes())
        key = (current(), id(values), kind.str)
        if key not in self._tables:  # a reference to the array keeps its id valid
            plain = np.ascontiguousarray(values, kind)
            self._tables[key] = values, interop.load_cupy().asarray(plain)
        return self._tables[key][1]

    def forget(self) -> None:
        """Return the tables to the memory pool."""
        self._tables.clear()

    def clear(self) -> None:
        """Return all memory to the memory pool."""
        self._buffers.clear()
        self._tables.clear()


@functools.lru_cache(512)
def _small(device: int, shape: tuple[int, ...], dtype: str, data: bytes) -> Any:
    """Copy a table, which later calls on any stream may use."""
    del device  # it is the current one
    cupy = interop.load_cupy()
    table = cupy.asarray(np.frombuffer(data, dtype).reshape(shape))
    cupy.cuda.get_current_stream().synchronize()
    return table
