"""Filtering stages of BM3D on the CPU: compiled kernels for bands of references, on threads."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np

from fastrestore._arrays.types import Channels
from fastrestore.backends.numba import _filter, _merge
from fastrestore.backends.numba._filter import Blocks, Groups, Kind, Sums
from fastrestore.backends.numba._match import narrow
from fastrestore.backends.numba._parts import array_sizes, memories, most_corners
from fastrestore.backends.numba._pool import (
    cut,
    reach,
    run_bands,
    span,
    useful,
    view,
    working_memory,
)
from fastrestore.backends.numba._tables import filter_tables, folds
from fastrestore.backends.protocol import Execution, Matches, Stage

__all__ = ["bm3d_filter"]

# Done in a millisecond on one thread, to decide whether more threads help
COEFFICIENTS, PIXELS = 4.5e5, 2e5


def bm3d_filter(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    matches, tables, block = narrow(matches), filter_tables(stage), stage.block
    lift = _filter.lift_kernel(block)
    kernel = _filter.filter_kernel(block)
    kind = Kind(len(images) > 1, folds(stage))
    channels, height, width = images[0].shape
    lock = threading.Lock()

    def work(part: tuple[int, range, range]) -> None:
        memory = free.pop()
        c, down, across = part
        rows, columns = matches.rows[span(down)], matches.columns[span(across)]
        y = reach(rows, height, block, stage.radius)
        x = reach(columns, width, block, stage.radius)
        places, lines = _shapes(stage, (len(y), len(x)))
        blocks = [view(each, places) for each in memory.lifted]
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
        sums = Sums(*(view(each, lines) for each in memory.sums))
        for each in sums:
            each.fill(0)
        kernel(Blocks(blocks[0], blocks[-1]), groups, tables[c], kind, scale, sums, memory.scratch)
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
    most = most_corners(matches.corners, (bands, pieces), stage, (height, width))
    parts = [(c, y, x) for c in range(channels) for y in bands for x in pieces]
    count = min(workers, len(parts))
    # Transposed, because the kernel finishes blocks column by column; margins for `divide`
    whole = (channels, width, height), (channels, width + 2, height)
    sizes = array_sizes(len(images), *_shapes(stage, most)) * count
    sizes += [math.prod(shape) + _merge.LANES for shape in whole]
    with working_memory(sizes) as (*arrays, numerator, weights):
        numerator[:] = weights[:] = 0  # sooner than `zeros`, whose pages are new
        total = Sums(view(numerator, whole[0]), view(weights, whole[1]))
        free = memories(arrays, lambda: _filter.scratch(block, stage.group), count)
        for _ in run_bands(work, parts, workers):
            execution.report_progress(1 / len(parts))
        return _divided(total, stage, execution)


def _shapes(stage: Stage, corners: Sequence[int]) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """Shapes of half-transformed blocks and of sums, for (rows, columns) of corners."""
    lanes, (rows, columns) = _filter.lanes(stage.block), corners
    wide = columns + stage.block - 1
    return (rows, wide, lanes), (wide, rows - 1 + lanes)


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
