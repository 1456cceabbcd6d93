"""Filtering stages of BM4D on the CPU: compiled kernels for parts of the references, on threads."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, FloatArray
from fastrestore.backends.numba import _cubes_filter, _cubes_lift, _cubes_merge, _variance
from fastrestore.backends.numba._cubes_filter import Groups, Tables
from fastrestore.backends.numba._filter import Blocks, Sums
from fastrestore.backends.numba._match import narrow
from fastrestore.backends.numba._parts import array_sizes, memories, most_corners
from fastrestore.backends.numba._pool import cut, reach, run_bands, span, view, working_memory
from fastrestore.backends.numba._simd import aligned, aligned_copy
from fastrestore.backends.numba._tables import channel_tables, even_odd
from fastrestore.backends.protocol import Execution, Matches, Stage

__all__ = ["bm4d_filter"]


def _tables(stage: Stage, in_steps: bool) -> list[Tables]:
    """Convert matrices to the layout of the kernels, for each channel; unused lanes are zero."""
    back = [m * w[:, None] for m, w in zip(stage.inverses, stage.windows, strict=True)]
    lift, vertical = (_in_steps if in_steps else _in_one_step)(stage, back)
    matrices = tuple(map(aligned_copy, (lift, stage.transforms[2], back[2], vertical)))
    covariance, layout = _covariance(stage)
    length = _cubes_filter.stride(*stage.shape[:2])
    return [
        Tables(
            each.lift,
            each.forward,
            each.horizontal,
            through=aligned_copy(back[0]),
            vertical=each.vertical,
            covariance=each.covariance,
            reach=layout,
            strength=each.strength,
            shares=each.shares,
        )
        for each in channel_tables(stage, matrices, covariance, layout, length)
    ]


def _in_one_step(stage: Stage, back: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Matrices of `Tables.lift` and `Tables.vertical` for both axes together."""
    thick, block = stage.shape[:2]
    own = thick * block
    lift, vertical = np.zeros((2, own, _cubes_lift.lanes(thick, block)))
    lift[:, :own] = np.einsum("az,by->zyab", *stage.transforms[:2]).reshape(own, own)
    vertical[:, :own] = np.einsum("za,yb->abzy", *back[:2]).reshape(own, own)
    return lift, vertical


def _in_steps(stage: Stage, back: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Matrices of `Tables.lift` and `Tables.vertical` for the kernels that take two steps."""
    thick, block = stage.shape[:2]
    slices = np.zeros((thick, _cubes_lift.line(thick)))
    slices[:, :thick] = stage.transforms[0].T
    rows = np.zeros((block, _cubes_lift.lanes(thick, block)))
    rows[:, : thick * block] = np.tile(stage.transforms[1].T, thick)
    vertical = np.zeros((block, _cubes_lift.line(block)))
    vertical[:, :block] = back[1].T
    return np.concatenate([slices.ravel(), rows.ravel()]), vertical


def _covariance(stage: Stage) -> tuple[NDArray[np.float32], _cubes_filter.Reach]:
    """Convert covariances to the layout of the kernels: one octant if they are symmetric."""
    thick, block = stage.shape[:2]
    length = _cubes_filter.stride(thick, block)
    tables = stage.covariance
    limit = 1e-7 * tables.max()
    mirrored = all(
        np.allclose(tables, np.flip(tables, axis), rtol=0, atol=limit) for axis in (2, 3)
    )
    down, across, along = tables.shape[1] - 1, tables.shape[2] // 2, tables.shape[3] // 2
    if mirrored:
        tables = tables[:, :, across:, along:]
    count, shape = len(tables), tables.shape[1:4]
    flat = aligned(count * int(np.prod(shape)) * length, np.float32)
    out = flat.reshape(count, *shape, length)
    one = np.moveaxis(tables, 6, 4)  # a block consists of columns of (slices, rows)
    out[..., : thick * block**2] = 2 * one.reshape(count, *shape, -1)
    stretch = shape[2] * length
    layer = shape[1] * stretch
    origin = 0 if mirrored else across * stretch + along * length
    near = _variance.nearest(tables, (down, across, along))
    layout = _cubes_filter.Reach(down, across, along, layer, stretch, origin, near)
    return flat.reshape(count, -1), layout


def bm4d_filter(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    matches, (thick, block) = narrow(matches), stage.shape[:2]
    in_steps = len(images) > 1  # Wiener filtering
    tables = _tables(stage, in_steps)
    lift = (_cubes_lift.lift_in_steps_kernel if in_steps else _cubes_lift.lift_kernel)(thick, block)
    folded = in_steps and thick > 1 and even_odd(stage.transforms[0]), even_odd(stage.transforms[2])
    kernel = _cubes_filter.filter_kernel(thick, block, in_steps, folded)
    channels, depth, height, width = images[0].shape
    total = Sums(*np.zeros((2, channels, width, depth, height)))
    lock = threading.Lock()

    def work(item: tuple[int, tuple[range, ...]]) -> None:
        c, part = item
        memory = free.pop()
        corners = [grid[span(one)] for grid, one in zip(matches.corners, part, strict=True)]
        ranges = list(map(reach, corners, (depth, height, width), stage.shape, stage.radii))
        z, y, x = ranges
        places, lines = _shapes(stage, [len(one) for one in ranges])
        blocks = [view(each, places) for each in memory.lifted]
        recent = _cubes_lift.recent_rows(thick, block, places[2])
        for image, out in zip(images, blocks, strict=True):
            lift(image[c], z.start, y.start, x.start, tables[0].lift, out, recent)
        z0, y0, x0 = (grid - one.start for grid, one in zip(corners, ranges, strict=True))
        begin = part[0].start, part[1].start, part[2].start
        groups = Groups(z0, y0, x0, matches.offsets, matches.sizes, begin)
        scale = None
        if stage.scale is not None:
            sigma = stage.scale[min(c, len(stage.scale) - 1)]
            scale = np.ascontiguousarray(sigma[span(z), span(y), span(x)])
        sums = Sums(*(view(each, lines) for each in memory.sums))
        for each in sums:
            each.fill(0)
        kernel(Blocks(blocks[0], blocks[-1]), groups, tables[c], scale, sums, memory.scratch)
        place = np.s_[x.start : x.stop + block - 1, z.start : z.stop + thick - 1,
                      y.start : y.stop + block - 1]  # fmt: skip
        with lock:  # sums are exact: the order of parts does not matter
            _cubes_merge.merge(total.numerator[c][place], sums.numerator)
            _cubes_merge.merge(total.weights[c][place], sums.weights)
        free.append(memory)

    # What a part of the references reads stays in the cache
    slices, rows, columns = matches.sizes.shape
    bands = cut(slices, 1, 1, 12), cut(rows, 2 * execution.workers, 4, 24), cut(columns, 1, 1, 64)
    parts = [(c, part) for c in range(channels) for part in itertools.product(*bands)]
    most = most_corners(matches.corners, bands, stage, (depth, height, width))
    count = min(execution.workers, len(parts))
    with working_memory(array_sizes(len(images), *_shapes(stage, most)) * count) as arrays:
        free = memories(arrays, lambda: _cubes_filter.scratch(thick, block, stage.group), count)
        for _ in run_bands(work, parts, execution.workers):
            execution.report_progress(1 / len(parts))
    return _divided(total, stage, execution)


def _shapes(
    stage: Stage, corners: Sequence[int]
) -> tuple[tuple[int, int, int, int], tuple[int, int, int]]:
    """Shapes of half-transformed blocks and of sums, for (slices, rows, columns) of corners."""
    thick, block = stage.shape[:2]
    slices, rows, columns = corners
    wide = columns + block - 1
    sums = (wide, slices + thick - 1, rows - 1 + _cubes_lift.line(block))
    return (slices, rows, wide, _cubes_lift.lanes(thick, block)), sums


def _divided(total: Sums, stage: Stage, execution: Execution) -> Channels:
    """Normalize the sums, on threads."""
    channels, width, depth, height = total.numerator.shape
    out = np.empty((channels, depth, height, width), np.float32)

    def work(part: tuple[int, int]) -> None:
        c, z = part
        layer, results = np.zeros((2, width, height)), np.empty((_cubes_merge.WIDE, height))
        sums = Sums(total.numerator[c], total.weights[c])
        _cubes_merge.divide(sums, stage.windows, z, layer, results, out[c, z])

    list(
        run_bands(work, [(c, z) for c in range(channels) for z in range(depth)], execution.workers)
    )
    return out
