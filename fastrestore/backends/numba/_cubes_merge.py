"""End of a stage of BM4D: from sums of weighted blocks to a volume."""

from __future__ import annotations

from fastrestore.backends.numba import _jit

WIDE = 16  # float32 numbers of a cache line


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
def divide(sums, window, z, layer, results, out):
    """Divide slice z by the sum of the windows.

    Sums are (columns, slices, rows), with the weight of every block at its corner. The sum of the
    windows is then a separable convolution, whose order of additions is fixed relative to the
    voxel. window: along slices, rows and columns. layer (2, columns, rows): working memory of
    zeros; results (WIDE, rows): working memory.
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
    for first in range(0, width, WIDE):  # columns that are written row by row
        columns = min(WIDE, width - first)
        for k in range(columns):
            x, sums_of = first + k, results[k]
            sums_of[:] = 0.0
            for m in range(min(x + 1, len(across_columns))):
                factor, source = across_columns[m], rows[x - m]
                for y in range(height):
                    sums_of[y] += factor * source[y]
            source = numerator[x, z]
            for y in range(height):
                sums_of[y] = source[y] / sums_of[y]
        for y in range(height):
            for k in range(columns):
                out[y, first + k] = results[k, y]
