"""Filtering stages of BM3D on the CPU: compiled kernels for bands of references, on threads."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels
from fastrestore.backends.numba import _filter, _merge
from fastrestore.backends.numba._filter import Blocks, Groups, Sums
from fastrestore.backends.numba._pool import (
    cut,
    reach,
    run_bands,
    span,
    useful,
    view,
    working_memory,
)
from fastrestore.backends.numba._tables import even_odd, filter_tables
from fastrestore.backends.protocol import Execution, Matches, Stage

__all__ = ["bm3d_filter"]

# Done in a millisecond on one thread, to decide whether more threads help
COEFFICIENTS, PIXELS = 4.5e5, 2e5


def bm3d_filter(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    tables, block, lanes = filter_tables(stage), stage.block, _filter.lanes(stage.block)
    lift = _filter.lift_kernel(block)
    kernel = _filter.filter_kernel(block, len(images) > 1, even_odd(stage.forward))
    channels, height, width = images[0].shape
    # Transposed, because the kernel finishes blocks column by column; margins for `divide`
    total = Sums(_merge.zeros(channels, width, height), _merge.zeros(channels, width + 2, height))
    lock = threading.Lock()

    def work(part: tuple[int, range, range]) -> None:
        memory = free.pop()
        c, down, across = part
        rows, columns = matches.rows[span(down)], matches.columns[span(across)]
        y = reach(rows, height, block, stage.radius)
        x = reach(columns, width, block, stage.radius)
        shape = (len(y), len(x) + block - 1, lanes)
        blocks = [view(each, shape) for each in memory.lifted]
        for image, out in zip(images, blocks, strict=True):
            lift(image[c], y.start, x.start, tables[0].lift, out)
        groups = Groups(
            rows - y.start, columns - x.start, matches.offsets, matches.sizes, down.start,
            across.start,
        )  # fmt: skip
        scale = None
        if stage.scale is not None:
            own = stage.scale[min(c, len(stage.scale) - 1)]
            scale = np.ascontiguousarray(own[span(y), span(x)])
        sums = Sums(*(view(each, (shape[1], len(y) - 1 + lanes)) for each in memory.sums))
        for each in sums:
            each.fill(0)
        kernel(Blocks(blocks[0], blocks[-1]), groups, tables[c], scale, sums, memory.scratch)
        bottom = len(y) + block - 1
        with lock:  # sums are exact: the order of parts does not matter
            _merge.merge(total.numerator[c], sums.numerator, x.start, y.start, bottom)
            _merge.merge(total.weights[c], sums.weights, 1 + x.start, y.start, bottom)
        free.append(memory)

    # Bands of wide images are divided, so that what a part reads and writes stays in the cache
    pieces = cut(len(matches.columns), 1, 1, 192)
    coefficients = channels * matches.sizes.size * stage.group * block**2
    workers = useful(execution.workers, coefficients / COEFFICIENTS)
    bands = cut(len(matches.rows), 1 if workers == 1 else 4 * workers, 10, 24)
    most = [
        max(len(reach(grid[span(part)], size, block, stage.radius)) for part in parts)
        for grid, size, parts in zip(matches.corners, (height, width), (bands, pieces), strict=True)
    ]
    parts = [(c, y, x) for c in range(channels) for y in bands for x in pieces]
    count = min(workers, len(parts))
    with working_memory(_sizes(stage, len(images), most) * count) as arrays:
        free = _memories(arrays, stage, count)
        for _ in run_bands(work, parts, workers):
            execution.report_progress(1 / len(parts))
    return _divided(total, stage, execution)


class _Memory(NamedTuple):
    """Working memory of a thread."""

    lifted: list[NDArray[np.float32]]  # of each image
    sums: list[NDArray[np.float64]]  # of pixels and weights
    scratch: _filter.Scratch


def _sizes(stage: Stage, images: int, most: list[int]) -> list[int]:
    """Sizes of float64 arrays for parts whose blocks begin in up to (rows, columns) `most`."""
    lanes, (rows, columns) = _filter.lanes(stage.block), most
    columns += stage.block - 1
    sums = (rows - 1 + lanes) * columns
    return [*[-(-rows * columns * lanes // 2)] * images, sums, sums]


def _memories(arrays: list[NDArray[np.float64]], stage: Stage, count: int) -> list[_Memory]:
    """Divide arrays of `_sizes` among threads."""
    each = len(arrays) // count
    return [
        _Memory(
            [array.view(np.float32) for array in arrays[end - each : end - 2]],
            arrays[end - 2 : end],
            _filter.scratch(stage.block, stage.group),
        )
        for end in range(each, len(arrays) + 1, each)
    ]


def _divided(total: Sums, stage: Stage, execution: Execution) -> Channels:
    """Normalize the sums, on threads."""
    channels, width, height = total.numerator.shape
    out = np.empty((channels, height, width), np.float32)
    window = np.ascontiguousarray(stage.window)

    def work(part: tuple[int, range]) -> None:
        c, band = part
        lines = np.empty((stage.block + _merge.LANES, -(-len(band) // _merge.LANES) * _merge.LANES))
        sums = Sums(total.numerator[c], total.weights[c])
        _merge.divide(sums, window, band.start, band.stop, lines, out[c])

    workers = useful(execution.workers, total.numerator.size / PIXELS)
    bands = cut(height, 4 * workers, 16, 64)
    list(run_bands(work, [(c, band) for c in range(channels) for band in bands], workers))
    return out
