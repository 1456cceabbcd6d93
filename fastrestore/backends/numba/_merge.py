"""End of a stage: from sums of weighted blocks to an image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import (
    div,
    flattened,
    fma,
    load,
    minimum,
    prefetch,
    splat,
    spread,
    store,
)

LANES = 8


def zeros(*shape: int) -> NDArray[np.float64]:
    """Zeros followed by a vector that `divide` reads with the last rows."""
    size = math.prod(shape)
    return np.zeros(size + LANES)[:size].reshape(shape)


@_jit.kernel
def merge(total, part, left, top, rows):
    """Add the sums of a part to those of the image, both transposed (columns, rows)."""
    for x in range(len(part)):
        target = total[left + x, top : top + rows]
        source = part[x, :rows]
        for y in range(rows):
            target[y] += source[y]


@_jit.kernel
def drain(sources, top, target, first, last):
    """Move the sums of all threads, in rows from `top` on, to `target`, and clear them.

    Columns `first` to `last` of `sources` (threads, columns, rows) and `target` (columns, rows).
    """
    rows = target.shape[1]
    flat = flattened(sources)
    for x in range(first, last):
        new = target[x]
        for thread in range(len(sources)):  # a column remains in the first cache
            old = sources[thread, x, top : top + rows]
            ahead = (thread * sources.shape[1] + minimum(x + 2, last)) * sources.shape[2] + top
            for y in range(0, rows, LANES):
                prefetch(flat, ahead + y)
            if thread:
                for y in range(rows):
                    new[y] += old[y]
            else:
                for y in range(rows):
                    new[y] = old[y]
            for y in range(rows):
                old[y] = 0.0


@_jit.kernel
def divide(sums, window, first, last, lines, out):
    """Divide by the sum of the windows, equation 12, in rows `first` to `last`.

    Sums are (columns, rows), with the weight of every block at its corner, and weights have an
    empty column before and after. The sum of the windows is then a separable convolution, whose
    order of additions is fixed relative to the pixel. lines (block + LANES, ...): working memory
    for the sums along the last columns, and for the results of a few columns, which are written row
    by row; padded to whole vectors.
    """
    numerator, weights = sums
    block = len(window)
    height = weights.shape[1]
    flat = flattened(weights)
    recent = flattened(lines)
    length = lines.shape[1]
    zero = splat(0.0, LANES)
    flat_sums = flattened(numerator)
    for x in range(out.shape[1]):
        current = x % block
        for y in range(0, last - first, LANES):
            # Above the first row lie the last rows of the column before, where no block begins.
            at = (x + 1) * height + first + y
            total = zero
            for n in range(block):
                total = fma(load(flat, at - n, LANES), spread(window, n, LANES), total)
            store(recent, current * length + y, total)
            total = zero
            line = current  # not by a remainder, which takes longer than the sum
            for n in range(minimum(block, x + 1)):
                total = fma(load(recent, line * length + y, LANES), spread(window, n, LANES), total)
                line = line - 1 if line else block - 1
            result = div(load(flat_sums, x * height + first + y, LANES), total)
            store(recent, (block + x % LANES) * length + y, result)
        if x % LANES == LANES - 1 or x == out.shape[1] - 1:
            start = x - x % LANES
            for y in range(last - first):
                for k in range(x % LANES + 1):
                    out[first + y, start + k] = lines[block + k, y]
