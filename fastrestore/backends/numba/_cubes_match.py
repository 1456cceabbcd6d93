"""Block matching in volumes: all distances of a band of references, and the nearest blocks.

As in `_match`, but only columns are de-interleaved: column x is stored in plane x mod step, so that
16 neighboring references are one vector. Neighboring blocks share sums of rows and columns; slices
are summed for each block. The order of additions is relative to the block and does not depend on
the bands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Image
from fastrestore.backends.host import reference_grids, thresholds
from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._candidates import (
    LANES,
    OPENING,
    Scratch,
    Search,
    collect,
    first_key,
    matched,
    memory,
    merge_first,
    merge_new,
    slot,
)
from fastrestore.backends.numba._match import biases, displacements, inclusive_bounds
from fastrestore.backends.numba._pool import cut, regular, run_bands, span
from fastrestore.backends.numba._simd import (
    add,
    fma,
    load,
    mask_le,
    shift,
    splat,
    stack_floats,
    store,
    sub,
)
from fastrestore.backends.numba._simd_sort import NORMAL
from fastrestore.backends.protocol import Execution, Matches, Stage

CODE = 8  # bits per axis in the code of a displacement


class Band(NamedTuple):
    """References of a band: position in the planes, number, first indices in the grid."""

    z: int
    top: int
    rows: int
    columns: int
    above: int
    before: int


def bm4d_match(volume: Image, stage: Stage, execution: Execution) -> Matches:
    """See `fastrestore.backends.protocol.Backend`."""
    slices, rows, columns = reference_grids(stage, volume.shape)
    shape = (len(slices), len(rows), len(columns))
    offsets = np.zeros((*shape, stage.group, 3), np.int16)
    sizes = np.ones(shape, np.int16)
    kernel = match_kernel(stage.shape[0], stage.shape[1], stage.steps[2])
    bounds = inclusive_bounds(thresholds(stage, (slices, rows, columns)))
    step, radius = stage.steps[2], stage.radii[1]
    groups = regular(columns, step)
    planes = {part: _planes(volume.shape, len(part), stage) for part in groups}

    def copy(item: tuple[range, int]) -> None:
        x, z = item
        left = columns[x.start] - -(-radius // step) * step
        deinterleave(volume, (z, -radius, left), step, planes[x])

    def work(part: tuple[int, range, range]) -> None:
        h, y, x = part
        z = int(slices[h])
        table = displacements(stage.radii, z, volume.shape[0] - stage.shape[0] - z, CODE)
        search = Search(table, biases(stage.match_bias, table), stage.radii, bounds[h])
        band = Band(z, int(rows[y.start]) + radius, len(y), len(x), y.start, x.start)
        kernel(planes[x], search, band, offsets[h], sizes[h], scratch(stage, len(y)))

    if stage.group > 1:
        list(
            run_bands(copy, [(x, z) for x in groups for z in range(len(volume))], execution.workers)
        )
        bands = [
            y
            for band in cut(len(rows), 1, 4, 12)
            for y in regular(rows[span(band)], stage.steps[1], band.start)
        ]
        parts = [(h, y, x) for h in range(shape[0]) for y in bands for x in groups]
        for _ in run_bands(work, parts, execution.workers):
            execution.report_progress(1 / len(parts))
    return Matches((slices, rows, columns), offsets, sizes)


def _planes(shape: tuple[int, ...], columns: int, stage: Stage) -> NDArray[np.float32]:
    """Allocate the de-interleaved voxels that references at these columns read."""
    step, radius = stage.steps[2], stage.radii[1]
    margin = -(-radius // step)
    useful = LANES - (stage.shape[2] - 1) // step
    across = (columns - 1) // useful * useful + LANES + 2 * margin + 2
    down = shape[1] + 2 * radius + step  # a block may need less than its last whole step
    return np.empty((step, shape[0], down, across), np.float32)


def scratch(stage: Stage, rows: int) -> Scratch:
    """Allocate the working memory for bands of up to `rows` rows."""
    (thick, block, _), step = stage.shape, stage.steps[2]
    high = rows + (block - 1) // step
    return memory(rows, stage.group, high * thick * step**2 * LANES, step + 1)


@_jit.kernel
def deinterleave(volume, corner, step, planes):
    """Copy ``volume[z, top + y, left + x]`` to planes[:, z] (step, rows, columns).

    `corner` is (z, top, left). Voxels outside the volume are inf.
    """
    z, top, left = corner
    height, width = volume.shape[1:]
    for c in range(step):
        for i in range(planes.shape[2]):
            row = planes[c, z, i]
            y = top + i
            if y < 0 or y >= height:
                row[:] = np.inf
                continue
            source = volume[z, y]
            for j in range(planes.shape[3]):
                x = left + j * step + c
                row[j] = source[x] if 0 <= x < width else np.inf


@_jit.inlined
def write_out(scratch, which, want, radius, offsets):
    """Write the offsets of the matches (group, 3), the reference first; return their number."""
    lists = scratch.lists
    near, at = lists.near, first_key(lists, which)
    size = matched(lists, which, want)
    mask = (1 << CODE) - 1
    for k in range(1, size):
        code = near[np.uint64(at + (k - 1) * LANES)] & ((1 << 3 * CODE) - 1)
        offsets[np.uint64(k), 0] = (code >> 2 * CODE) - radius[0]
        offsets[np.uint64(k), 1] = ((code >> CODE) & mask) - radius[1]
        offsets[np.uint64(k), 2] = (code & mask) - radius[1]
    return size


@_jit.once
def match_kernel(thick: int, block: int, step: int) -> Callable[..., None]:
    """Compile the matching of blocks (thick, block, block) on a grid of one step."""
    whole, rest = divmod(block, step)
    history = whole if rest else whole - 1  # earlier row sums that a block still needs
    useful = LANES - history  # the last lanes lack their right neighbors
    state = max(history, 1) * 4 * LANES

    @_jit.kernel
    def match_band(planes, search, band, offsets, sizes, scratch):
        """Find the matches of a band of references in one slice.

        planes (step, slices, rows, columns) from `deinterleave`, the first reference in row
        ``band.top`` and column ceil(radius / step); bounds, offsets and sizes of this slice, see
        `_match`.
        """
        z, top, rows, columns, above, before = band
        table, bias, radius, bounds = search
        margin = -(-radius[1] // step)
        across = planes.shape[3]
        layer = planes.shape[2] * across
        plane = planes.shape[1] * layer
        flat = planes.reshape(-1)
        want = offsets.shape[2] - 1
        high = rows + history
        limit, distance, codes = scratch.limit, scratch.distance, scratch.codes
        bound = scratch.bound
        hits, local, start = scratch.hits, scratch.local, scratch.start
        lines = len(hits) // 2
        words = -(-rows // 4)
        hits[:] = 0
        opening = min(OPENING // 2, len(table))
        farthest = bounds.reshape(-1)
        sums = stack_floats(state)
        zero = splat(np.float32(0), LANES)

        for first in range(0, columns, useful):
            live = np.uint64((1 << min(useful, columns - first)) - 1)
            here = 0
            for i in range(rows):
                at = (above + i) * bounds.shape[1] + before + first
                most = load(farthest, at, LANES)
                store(limit, i * LANES, most)
                store(bound, i * LANES, most)
            for i in range(high):
                for c in range(step):
                    for r in range(step):
                        for s in range(thick):
                            at = c * plane + (z + s) * layer + (top + i * step + r) * across
                            store(local, here, load(flat, at + margin + first, LANES))
                            here += LANES

            for d in range(len(table)):
                place = 2 * d * slot(lines) if d < opening else 0
                dx = table[d, 2] + margin * step
                for c in range(step + 1):
                    start[c] = (c + dx) % step * plane + (c + dx) // step + first
                    start[c] += (z + table[d, 0]) * layer + (top + table[d, 1]) * across
                for i in range(high):
                    # For whole and for remaining rows: sums of all columns and of remaining ones
                    all0 = all1 = left0 = left1 = zero
                    part0 = part1 = corner0 = corner1 = zero
                    for c in range(step):
                        rows0 = rows1 = some0 = some1 = zero
                        for r in range(step):
                            here = ((i * step + c) * step + r) * thick * LANES
                            at0 = start[c] + (i * step + r) * across
                            at1 = start[c + 1] + (i * step + r) * across
                            for s in range(thick):
                                pixel = load(local, here + s * LANES, LANES)
                                delta0 = sub(pixel, load(flat, at0 + s * layer, LANES))
                                delta1 = sub(pixel, load(flat, at1 + s * layer, LANES))
                                rows0 = fma(delta0, delta0, rows0)
                                rows1 = fma(delta1, delta1, rows1)
                            if r == (rest - 1) % step:
                                some0 = rows0
                                some1 = rows1
                        all0 = add(all0, rows0)
                        all1 = add(all1, rows1)
                        part0 = add(part0, some0)
                        part1 = add(part1, some1)
                        if c == (rest - 1) % step:
                            left0 = all0
                            left1 = all1
                            corner0 = part0
                            corner1 = part1
                    for k in range(history):  # latest first
                        at = 4 * k * LANES
                        part0 = add(load(sums, at, LANES), part0)
                        part1 = add(load(sums, at + LANES, LANES), part1)
                        corner0 = add(load(sums, at + 2 * LANES, LANES), corner0)
                        corner1 = add(load(sums, at + 3 * LANES, LANES), corner1)
                    for k in range(history - 1, 0, -1):
                        for s in range(4):
                            older = (4 * k + s) * LANES
                            store(sums, older, load(sums, older - 4 * LANES, LANES))
                    if history:
                        store(sums, 0, all0)
                        store(sums, LANES, all1)
                        store(sums, 2 * LANES, left0)
                        store(sums, 3 * LANES, left1)
                    for _ in range(history):
                        corner0 = add(part0, shift(corner0))
                        corner1 = add(part1, shift(corner1))
                    row = i - history
                    if row < 0:
                        continue
                    corner0 = add(corner0, splat(bias[d, 0], LANES))
                    corner1 = add(corner1, splat(bias[d, 1], LANES))
                    worst = load(limit, row * LANES, LANES)
                    store(distance, place + row * LANES, corner0)
                    store(distance, place + slot(lines) + row * LANES, corner1)
                    hits[row] = mask_le(corner0, worst) & live
                    hits[lines + row] = mask_le(corner1, worst) & live
                for s in range(2):
                    code = table[d, 3 + s]
                    at = place + s * slot(lines)
                    if d < opening:
                        codes[2 * d + s] = max(code, 0) + (NORMAL << 32)
                        if code < 0:
                            distance[at : at + slot(lines)] = np.inf
                    elif code >= 0:
                        collect(scratch, want, s * lines // 4, words, at, code)
                if d == opening - 1:
                    for row in range(rows):
                        merge_first(
                            scratch.lists, row, want, scratch.distance_bits, slot(lines),
                            codes[: 2 * opening],
                        )  # fmt: skip

            for i in range(rows):
                merge_new(scratch.lists, i, want)
                for j in range(min(useful, columns - first)):
                    out = offsets[above + i, before + first + j]
                    which = i * LANES + j
                    size = write_out(scratch, which, want, radius, out)
                    sizes[above + i, before + first + j] = size

    return match_band
