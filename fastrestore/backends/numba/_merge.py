"""The end of a stage: from sums of weighted blocks to an image."""

from __future__ import annotations

import numpy as np

from fastrestore.backends.numba import _jit


@_jit.kernel
def merge(total, part, top, left, columns, rows):
    """Add a transposed part (columns, rows) of the sums to the whole (rows, columns)."""
    for strip in range(0, columns, 8):  # eight columns share cache lines of `total`
        for y in range(rows):
            for x in range(strip, min(strip + 8, columns)):
                total[top + y, left + x] += part[x, y]


@_jit.kernel
def divide(numerator, weights, window, first, last, out):
    """Divide by the sum of the windows, equation 12, in rows `first` to `last`.

    weights has the weight of every block at its corner, so that the sum of the windows is a
    separable convolution; its order of additions is fixed relative to the pixel.
    """
    block = len(window)
    height, width = out.shape
    row = np.empty(width, np.float64)
    for y in range(first, last):
        row[:] = 0
        for n in range(block):
            if 0 <= y - n <= height - block:
                source = weights[y - n]
                for x in range(width):
                    row[x] += window[n] * source[x]
        for x in range(width):
            total = 0.0
            for n in range(min(block, x + 1)):
                total += window[n] * row[x - n]
            out[y, x] = numerator[y, x] / total
