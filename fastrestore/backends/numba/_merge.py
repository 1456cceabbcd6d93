"""The end of a stage: from sums of weighted blocks to an image."""

from __future__ import annotations

import numpy as np

from fastrestore.backends.numba import _jit


@_jit.kernel
def merge(total, part, left, top, rows):
    """Add the sums of a part to those of the image, both transposed (columns, rows)."""
    for x in range(len(part)):
        target = total[left + x, top : top + rows]
        source = part[x, :rows]
        for y in range(rows):
            target[y] += source[y]


@_jit.kernel
def divide(numerator, weights, window, first, last, out):
    """Divide by the sum of the windows, equation 12, in rows `first` to `last`.

    numerator, weights (columns, rows): the weight of every block is at its corner, so that the
    sum of the windows is a separable convolution. Its order of additions is fixed relative to
    the pixel.
    """
    block = len(window)
    height, width = out.shape
    column = np.empty(width, np.float64)
    for y in range(first, last):
        top = max(0, y - block + 1)
        bottom = min(y, height - block)
        for x in range(width):
            total = 0.0
            for n in range(top, bottom + 1):
                total += window[y - n] * weights[x, n]
            column[x] = total
        for x in range(width):
            total = 0.0
            for n in range(max(0, x - block + 1), x + 1):
                total += window[x - n] * column[n]
            out[y, x] = numerator[x, y] / total
