"""End of a stage of BM4D: from sums of weighted blocks to a volume."""

from __future__ import annotations

from fastrestore.backends.numba import _jit


@_jit.kernel
def merge(total, part):
    """Add the sums of a part to those of the volume, both (columns, slices, rows).

    The part may have additional, empty rows.
    """
    for x in range(total.shape[0]):
        for z in range(total.shape[1]):
            target = total[x, z]
            source = part[x, z]
            for y in range(len(target)):
                target[y] += source[y]


@_jit.kernel
def divide(sums, window, z, layer, out):
    """Divide slice z by the sum of the windows.

    Sums are (columns, slices, rows), with the weight of every block at its corner. The sum of the
    windows is then a separable convolution, whose order of additions is fixed relative to the
    voxel. window: along slices, rows and columns. layer (2, columns, rows): working memory of
    zeros.
    """
    numerator, weights = sums
    across_slices, across_rows, across_columns = window
    width, _, height = weights.shape
    slices, rows = layer[0], layer[1]
    for x in range(width):
        for k in range(min(z + 1, len(across_slices))):
            source = weights[x, z - k]
            factor = across_slices[k]
            for y in range(height):
                slices[x, y] += factor * source[y]
    for x in range(width):
        for k in range(len(across_rows)):
            factor = across_rows[k]
            for y in range(k, height):
                rows[x, y] += factor * slices[x, y - k]
    for y in range(height):
        for x in range(width):
            total = 0.0
            for k in range(min(x + 1, len(across_columns))):
                total += across_columns[k] * rows[x - k, y]
            out[y, x] = numerator[x, z, y] / total
