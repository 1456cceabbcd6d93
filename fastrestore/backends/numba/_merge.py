"""The end of a stage: from sums of weighted blocks to an image."""

from __future__ import annotations

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
def divide(numerator, weights, window, first, last, lines, out):
    """Divide by the sum of the windows, equation 12, in rows `first` to `last`.

    numerator, weights (columns, rows): the weight of every block is at its corner, so that the
    sum of the windows is a separable convolution. Its order of additions is fixed relative to
    the pixel. lines (block + 1, last - first): working memory, sums along the last columns.
    """
    block = len(window)
    rows = last - first
    total = lines[block]
    for x in range(out.shape[1]):
        line = lines[x % block]
        line[:] = 0
        for n in range(block):
            factor = window[n]
            for y in range(max(0, n - first), rows):
                line[y] += factor * weights[x, first + y - n]
        total[:] = 0
        for n in range(min(block, x + 1)):
            factor = window[n]
            line = lines[(x - n) % block]
            for y in range(rows):
                total[y] += factor * line[y]
        for y in range(rows):
            out[first + y, x] = numerator[x, first + y] / total[y]
