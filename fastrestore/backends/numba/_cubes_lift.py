"""Transform of 3-D blocks along slices and rows, once for every position; see `_cubes_filter`.

In the basic stage both are one matrix product. Another rounding there would change matches of the
final stage. In the final stage the sums along slices are shared by the blocks of a column.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._cube_products import repeated
from fastrestore.backends.numba._simd import fma, load, mul, splat, spread, store


def line(block: int) -> int:
    """Lanes of a vector that holds the rows of one slice of a block."""
    return 1 << max(2, (block - 1).bit_length())


def lanes(thick: int, block: int) -> int:
    """Lanes of a vector that holds slices and rows of a block."""
    return 1 << max(2, (thick * block - 1).bit_length())


def recent_rows(thick: int, block: int, columns: int) -> NDArray[np.float32]:
    """Allocate the working memory of a lift."""
    return np.empty((block, columns, line(thick)), np.float32)


@_jit.once
def lift_kernel(thick: int, block: int) -> Callable[..., None]:
    """Compile the transform along slices and rows at every position."""
    width = lanes(thick, block)

    @_jit.kernel
    def lift(volume, front, top, left, matrix, out, _):
        """Out (slices, rows, columns, lanes): of ``volume[z : z + thick, y : y + block, x]``.

        matrix (thick * block, lanes): sample, coefficient.
        """
        across = volume.shape[2]
        layer = volume.shape[1] * across
        voxels = volume.reshape(-1)
        flat = out.reshape(-1)
        to = 0
        for z in range(out.shape[0]):
            for y in range(out.shape[1]):
                for x in range(out.shape[2]):
                    at = (front + z) * layer + (top + y) * across + left + x
                    total = splat(np.float32(0), width)
                    for s in range(thick):
                        for r in range(block):
                            voxel = spread(voxels, at + s * layer + r * across, width)
                            row = (s * block + r) * width
                            total = fma(voxel, load(matrix, row, width), total)
                    store(flat, to, total)
                    to += width

    return lift


@_jit.once
def lift_in_steps_kernel(thick: int, block: int) -> Callable[..., None]:
    """Compile the same transform along slices and then along rows; rounding differs."""
    width, deep = lanes(thick, block), line(thick)

    @_jit.kernel
    def lift(volume, front, top, left, matrix, out, recent):
        """As in `lift_kernel`, with working memory `recent` for the last rows of a slice.

        matrix: along slices (thick, lanes of `line`), then along rows (block, lanes): sample,
        coefficient; that along rows once for every slice.
        """
        across = volume.shape[2]
        layer = volume.shape[1] * across
        voxels, flat, lines = volume.reshape(-1), out.reshape(-1), recent.reshape(-1)
        columns = out.shape[2]
        to = 0
        for z in range(out.shape[0]):
            for y in range(out.shape[1] + block - 1):
                at = (front + z) * layer + (top + y) * across + left
                begin = y % block * columns * deep
                for x in range(columns):
                    total = mul(spread(voxels, at + x, deep), load(matrix, 0, deep))
                    for s in range(1, thick):
                        voxel = spread(voxels, at + s * layer + x, deep)
                        total = fma(voxel, load(matrix, s * deep, deep), total)
                    store(lines, begin + x * deep, total)
                if y < block - 1:
                    continue
                for x in range(columns):
                    total = splat(np.float32(0), width)
                    for r in range(block):
                        begin = (y + 1 + r) % block * columns * deep
                        sums = repeated(load(lines, begin + x * deep, deep), block, width)
                        row = load(matrix, thick * deep + r * width, width)
                        total = fma(sums, row, total)
                    store(flat, to, total)
                    to += width

    return lift
