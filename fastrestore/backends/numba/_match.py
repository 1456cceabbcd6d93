"""Block matching: all distances of a band of references, and the nearest blocks.

The image is de-interleaved: pixel (y, x) is stored in plane (y mod step, x mod step), so that
neighboring references are neighboring elements, and 16 of them are one vector. For one displacement
the squared differences of a row of blocks are summed over `step` image rows, over the columns of a
block, and then over its rows. Each partial sum is used by all blocks that share it. A few
neighboring displacements are computed together, because they read the same pixels.

A block of N = q step + r pixels consists of q whole steps and r remaining pixels. The order of
additions is relative to the block and does not depend on the bands.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._candidates import (
    LANES,
    OPENING,
    Scratch,
    collect,
    first_key,
    matched,
    memory,
    merge_first,
    merge_new,
    slot,
)
from fastrestore.backends.numba._row_distances import row_distances
from fastrestore.backends.numba._simd import (
    flattened,
    load,
    mask_le,
    maximum,
    minimum,
    stack_floats,
    store,
)
from fastrestore.backends.numba._simd_sort import NORMAL
from fastrestore.backends.protocol import Matches, Stage

COUNT = 4  # neighboring displacements, which read the same pixels
# Of matches, the largest array of a call for a large image; a radius is 127 at most
OFFSET = np.int8
CODE = 16  # bits for a column in the code of a displacement


class Band(NamedTuple):
    """References of a band: their number, the first indices in the grid, and the image's rows."""

    rows: int
    columns: int
    above: int
    before: int
    top: int  # row of the corner of the first reference
    bottom: int  # largest row of a corner


def narrow(matches: Matches) -> Matches:
    """Convert the offsets of given matches to the type that kernels are compiled for."""
    return matches._replace(offsets=matches.offsets.astype(OFFSET, copy=False))


def inclusive_bounds(thresholds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest distance of a match for each reference, -1 if no block can match.

    Distances of matches are below the threshold, and kernels compare with <=. LANES columns are
    appended, because kernels read whole vectors.
    """
    columns = thresholds.shape[-1]
    bounds = np.full((*thresholds.shape[:-1], columns + LANES), -1, np.float32)
    bounds[..., :columns] = np.nextafter(thresholds, np.float32(-1))
    bounds[bounds < 0] = -1
    return bounds


@functools.cache
def displacements(
    radius: tuple[int, ...], back: int, forth: int, bits: int, count: int = 2
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows (dz, dy, dx, codes): `count` displacements from dx on, and their codes; center first.

    dz is from -back to forth. Codes have `bits` bits for each axis and sort equal distances in
    raster order. Displacement zero, the reference itself, and those outside the search window have
    code -1. Short displacements come first, because they match best and so lower the limit early.
    """
    slices, reach, _ = radius

    def code(dz: int, dy: int, dx: int) -> int:
        if dx > reach or dz == dy == dx == 0:
            return -1
        return ((dz + slices) << 2 * bits) | ((dy + reach) << bits) | (dx + reach)

    rows = [
        (dz, dy, dx, *(code(dz, dy, dx + k) for k in range(count)))
        for dz in range(-min(slices, back), min(slices, forth) + 1)
        for dy in range(-reach, reach + 1)
        for dx in range(-reach, reach + 1, count)
    ]
    middle = (count - 1) / 2
    rows.sort(key=lambda row: max(abs(row[0]), abs(row[1]), abs(row[2] + middle)))
    return np.array(rows, np.int64)


def biases(
    bias: NDArray[np.float32] | None, table: NDArray[np.int64], count: int = 2
) -> NDArray[np.float32]:
    """Bias of the displacements of a table, (rows, count)."""
    out = np.zeros((len(table), count), np.float32)
    if bias is not None:
        beyond = np.pad(bias, [(0, 0)] * (bias.ndim - 1) + [(0, count - 1)])
        *others, dx = (table[:, : bias.ndim] + np.array(bias.shape) // 2).T
        for k in range(count):
            out[:, k] = beyond[(*others, dx + k)]
    return out


def planes_shape(stage: Stage, rows: int, columns: int) -> tuple[int, int, int, int]:
    """Shape of the de-interleaved pixels that a band of references reads."""
    step = stage.step
    margin = -(-stage.radius // step)
    history = (stage.block - 1) // step
    useful = LANES - history
    down = rows + history + 2 * margin + 1
    across = (columns - 1) // useful * useful + LANES + 2 * margin + COUNT
    return step, step, down, across


def scratch(stage: Stage, rows: int) -> Scratch:
    """Allocate the working memory for bands of up to `rows` rows."""
    step = stage.step
    pixels = (rows + (stage.block - 1) // step) * step**2 * LANES
    return memory(rows, stage.group, pixels, step * (step + COUNT - 1), COUNT)


@_jit.kernel
def deinterleave(image, top, left, step, planes):
    """Copy ``image[top + y, left + x]`` to planes (step, step, rows, columns); outside is inf."""
    height, width = image.shape
    for i in range(planes.shape[2]):
        for r in range(step):
            y = top + i * step + r
            for c in range(step):
                row = planes[r, c, i]
                if y < 0 or y >= height:
                    row[:] = np.inf
                    continue
                source = image[y]
                for j in range(planes.shape[3]):
                    x = left + j * step + c
                    row[j] = source[x] if 0 <= x < width else np.inf


@_jit.inlined
def write_out(scratch, which, want, radius, offsets):
    """Write the offsets of the matches (group, 2), the reference first; return their number."""
    lists = scratch.lists
    near, at = lists.near, first_key(lists, which)
    size = matched(lists, which, want)
    for k in range(1, size):
        code = near[np.uint64(at + (k - 1) * LANES)] & ((1 << 2 * CODE) - 1)
        offsets[np.uint64(k), 0] = (code >> CODE) - radius
        offsets[np.uint64(k), 1] = (code & ((1 << CODE) - 1)) - radius
    return size


@_jit.inlined
def locate(start, dy, dx, step, plane, across):
    """Write the position of the first block displaced by (dy, dx) in each plane to `start`."""
    for c in range(step + COUNT - 1):
        for r in range(step):
            at = ((r + dy) % step * step + (c + dx) % step) * plane
            start[c * step + r] = at + (r + dy) // step * across + (c + dx) // step


@_jit.part
def rows_inside(band, dy, step):
    """First and last (exclusive) row of references whose blocks, displaced, are in the image."""
    first = maximum(0, -((band.top + dy) // step))
    return first, minimum(band.rows, (band.bottom - band.top - dy) // step + 1)


@_jit.once
def match_kernel(block: int, step: int) -> Callable[..., None]:
    """Compile the matching of blocks of one size on a grid of one step."""
    whole, rest = divmod(block, step)
    history = whole if rest else whole - 1  # earlier row sums that a block still needs
    useful = LANES - history  # the last lanes lack their right neighbors
    state = max(history, 1) * COUNT * LANES

    @_jit.kernel
    def match_band(planes, search, band, offsets, sizes, scratch):
        """Find the matches of a band of references.

        planes (step, step, rows, columns) from `deinterleave`, the first reference at element
        ceil(radius / step) of both axes; offsets and sizes of the whole grid as in `Matches`,
        initially zero and one.
        """
        rows, columns, above, before = band.rows, band.columns, band.above, band.before
        table, bias, radius, bounds = search
        margin = -(-radius // step)
        across = planes.shape[3]
        plane = planes.shape[2] * across
        flat = flattened(planes)
        want = offsets.shape[2] - 1
        high = rows + history
        limit, distance, codes = scratch.limit, scratch.distance, scratch.codes
        bound = scratch.bound
        hits, local, start = scratch.hits, scratch.local, scratch.start
        lines = len(hits) // COUNT
        apart = slot(lines)
        words = -(-rows // 4)
        hits[:] = 0
        opening = minimum(OPENING // COUNT, len(table))
        flat_bias = flattened(bias)
        sums = stack_floats(state)
        farthest = flattened(bounds)

        for first in range(0, columns, useful):
            live = np.uint64((1 << minimum(useful, columns - first)) - 1)
            for i in range(rows):
                at = (above + i) * bounds.shape[1] + before + first
                most = load(farthest, at, LANES)
                store(limit, i * LANES, most)
                store(bound, i * LANES, most)
            for i in range(high):
                for c in range(step):
                    for r in range(step):
                        at = (r * step + c) * plane + (margin + i) * across + margin + first
                        here = ((i * step + c) * step + r) * LANES
                        store(local, here, load(flat, at, LANES))

            for d in range(len(table)):
                place = COUNT * d * apart if d < opening else 0
                begin, end = 0, rows
                if d >= opening:  # the first displacements are short
                    begin, end = rows_inside(band, table[d, 0], step)
                    if begin >= end:
                        continue
                    for s in range(COUNT):
                        for row in range(begin):
                            hits[s * lines + row] = 0
                        for row in range(end, rows):
                            hits[s * lines + row] = 0
                dy = table[d, 0] + margin * step
                dx = table[d, 1] + margin * step
                locate(start, dy, dx, step, plane, across)
                for i in range(begin, end + history):
                    row = maximum(begin, i - history)  # the first are incomplete, and overwritten
                    at = place + row * LANES
                    row_distances(
                        distance, at, apart, sums, local, i * step * step * LANES, flat,
                        i * across + first, start, flat_bias, COUNT * d, size=block, step=step,
                        count=COUNT, lanes=LANES,
                    )  # fmt: skip
                    worst = load(limit, row * LANES, LANES)
                    for s in range(COUNT):
                        near = mask_le(load(distance, at + s * apart, LANES), worst)
                        hits[s * lines + row] = near & live
                for s in range(COUNT):
                    code = table[d, 2 + s]
                    at = place + s * apart
                    if d < opening:
                        codes[COUNT * d + s] = maximum(code, 0) + (NORMAL << 32)
                        if code < 0:
                            distance[at : at + apart] = np.inf
                    elif code >= 0:
                        collect(scratch, want, s * lines // 4, words, at, code)
                if d == opening - 1:
                    for row in range(rows):
                        merge_first(
                            scratch.lists, row, want, scratch.distance_bits, apart,
                            codes[: COUNT * opening],
                        )  # fmt: skip

            for i in range(rows):
                merge_new(scratch.lists, i, want)
                for j in range(minimum(useful, columns - first)):
                    out = offsets[above + i, before + first + j]
                    which = i * LANES + j
                    size = write_out(scratch, which, want, radius, out)
                    sizes[above + i, before + first + j] = size

    return match_band
