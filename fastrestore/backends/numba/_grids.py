"""Block matching of BM3D on the CPU: bands of the grid of references, on threads.

The last block of a row that fits is often nearer to its neighbor than a step. The column of these
blocks is a grid of its own. It is matched in the transposed image, where it is a row: the kernel
computes 16 neighbors in a row at once.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Image
from fastrestore.backends.host import reference_grids, thresholds
from fastrestore.backends.numba._candidates import Search
from fastrestore.backends.numba._match import (
    CODE,
    COUNT,
    OFFSET,
    Band,
    biases,
    deinterleave,
    displacements,
    inclusive_bounds,
    match_kernel,
    planes_shape,
    scratch,
)
from fastrestore.backends.numba._pool import (
    cut,
    regular,
    run_bands,
    span,
    useful,
    view,
    working_memory,
)
from fastrestore.backends.protocol import Execution, Matches, Stage

__all__ = ["bm3d_match"]

DISTANCES = 4e6  # computed in a millisecond on one thread


class Grid(NamedTuple):
    """References at rows x columns of an image, and their matches."""

    image: Image
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    search: Search
    offsets: NDArray[np.signedinteger[Any]]
    sizes: NDArray[np.int16]


Part = tuple[Grid, range, range]  # rows and columns of references


def bm3d_match(image: Image, stage: Stage, execution: Execution) -> Matches:
    """See `fastrestore.backends.protocol.Backend`."""
    whole = _grid(image, reference_grids(stage, image.shape), stage)
    matches = Matches((whole.rows, whole.columns), whole.offsets, whole.sizes)
    if stage.group == 1:
        return matches
    workers = useful(execution.workers, image.size * len(whole.search.table) / DISTANCES)
    parts = _parts(whole, stage, workers)
    kernel = match_kernel(stage.block, stage.step)
    margin = -(-stage.radius // stage.step) * stage.step

    def work(part: Part) -> None:
        grid, y, x = part
        pixels, memory = free.pop()
        planes = view(pixels, planes_shape(stage, len(y), len(x)))
        corner = grid.rows[y.start] - margin, grid.columns[x.start] - margin
        deinterleave(grid.image, *corner, stage.step, planes)
        bottom = len(grid.image) - stage.block
        band = Band(len(y), len(x), y.start, x.start, int(grid.rows[y.start]), bottom)
        kernel(planes, grid.search, band, grid.offsets, grid.sizes, memory)
        free.append((pixels, memory))

    high = max(len(y) for _, y, _ in parts)
    size = max(math.prod(planes_shape(stage, len(y), len(x))) for _, y, x in parts)
    with working_memory([-(-size // 2)] * min(workers, len(parts))) as arrays:
        free = [(each.view(np.float32), scratch(stage, high)) for each in arrays]
        for _ in run_bands(work, parts, workers):
            execution.report_progress(1 / len(parts))
    last = parts[-1][0]
    if last is not whole:
        whole.offsets[:, -1], whole.sizes[:, -1] = last.offsets[0], last.sizes[0]
    return matches


def _grid(
    image: Image, corners: tuple[NDArray[np.int64], ...], stage: Stage, is_turned: bool = False
) -> Grid:
    """Prepare the search; corners and displacements are transposed if the image is."""
    limits = thresholds(stage, corners[::-1] if is_turned else corners)
    table, bias = _displacements(stage.radius, is_turned)
    if is_turned:
        limits = limits.T
    if stage.match_bias is not None:
        given = stage.match_bias.T if is_turned else stage.match_bias
        bias = biases(given, table, COUNT)
    search = Search(table, bias, stage.radius, inclusive_bounds(limits))
    offsets = np.zeros((*limits.shape, stage.group, 2), OFFSET)
    rows, columns = corners
    return Grid(image, rows, columns, search, offsets, np.ones(limits.shape, np.int16))


@functools.cache
def _displacements(radius: int, is_turned: bool) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the table of displacements, transposed if the image is, and a bias of zero."""
    table = displacements((0, radius, radius), 0, 0, CODE, COUNT)[:, 1:].copy()
    if is_turned:
        codes = table[:, 2:]
        turned = ((codes & ((1 << CODE) - 1)) << CODE) | (codes >> CODE)
        table[:, 2:] = np.where(codes < 0, codes, turned)
    return table, biases(None, table, COUNT)


def _last_column(grid: Grid, stage: Stage) -> Grid:
    """Transpose the last column of references and the pixels of their search windows."""
    column = grid.columns[-1:]
    first = max(0, int(column[0]) - stage.radius)
    pixels = np.ascontiguousarray(grid.image[:, first:].T)
    strip = _grid(pixels, (column, grid.rows), stage, is_turned=True)
    return strip._replace(rows=column - first)


def _parts(grid: Grid, stage: Stage, workers: int) -> list[Part]:
    """Divide a grid into parts with a constant step, the last column at the end."""
    main, *last = regular(grid.columns, stage.step)
    parts = [
        (grid, rows, main)
        for band in cut(len(grid.rows), workers, 10, 48)
        for rows in regular(grid.rows[span(band)], stage.step, band.start)
    ]
    if last:
        column = _last_column(grid, stage)
        parts += [(column, range(1), x) for x in regular(column.columns, stage.step)]
    return parts
