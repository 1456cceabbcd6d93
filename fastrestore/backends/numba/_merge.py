"""End of a stage: from sums of weighted blocks to an image."""

from __future__ import annotations

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import fma, load, splat, spread, store

LANES = 8


@_jit.kernel
def merge(total, part, left, top, rows):
    """Add the sums of a part to those of the image, both transposed (columns, rows)."""
    for x in range(len(part)):
        target = total[left + x, top : top + rows]
        source = part[x, :rows]
        for y in range(rows):
            target[y] += source[y]


@_jit.kernel
def drain(source, top, target, add):
    """Move rows from `top` on to `target`, both transposed (columns, rows), and clear them."""
    rows = target.shape[1]
    for x in range(len(target)):
        old = source[x, top : top + rows]
        new = target[x]
        if add:
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
    order of additions is fixed relative to the pixel. lines (block + 1, ...): working memory for
    the sums along the last columns, padded to whole vectors.
    """
    numerator, weights = sums
    block = len(window)
    height = weights.shape[1]
    flat = weights.reshape(-1)
    recent = lines.reshape(-1)
    length = lines.shape[1]
    zero = splat(0.0, LANES)
    for x in range(out.shape[1]):
        for y in range(0, last - first, LANES):
            # Above the first row lie the last rows of the column before, where no block begins.
            at = (x + 1) * height + first + y
            total = zero
            for n in range(block):
                total = fma(load(flat, at - n, LANES), spread(window, n, LANES), total)
            store(recent, x % block * length + y, total)
            total = zero
            for n in range(min(block, x + 1)):
                line = load(recent, (x - n) % block * length + y, LANES)
                total = fma(line, spread(window, n, LANES), total)
            store(recent, block * length + y, total)
        for y in range(last - first):
            out[first + y, x] = numerator[x, first + y] / lines[block, y]
