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
from fastrestore.backends.numba._cube_distances import cube_distances
from fastrestore.backends.numba._match import OFFSET, biases, displacements, inclusive_bounds
from fastrestore.backends.numba._pool import cut, regular, run_bands, span
from fastrestore.backends.numba._simd import load, mask_le, stack_floats, store
from fastrestore.backends.numba._simd_sort import NORMAL
from fastrestore.backends.protocol import Execution, Matches, Stage

COUNT = 8  # neighboring displacements, whose sums are in registers
CODE = 8  # bits per axis in the code of a displacement
ROWS = 24  # of a band: shorter ones repeat more sums, and were slower


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
    offsets = np.zeros((*shape, stage.group, 3), OFFSET)
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
        table = displacements(stage.radii, z, volume.shape[0] - stage.shape[0] - z, CODE, COUNT)
        search = Search(table, biases(stage.match_bias, table, COUNT), stage.radii, bounds[h])
        band = Band(z, int(rows[y.start]) + radius, len(y), len(x), y.start, x.start)
        memory = free.pop()
        kernel(planes[x], search, band, offsets[h], sizes[h], memory)
        free.append(memory)

    if stage.group > 1:
        list(
            run_bands(copy, [(x, z) for x in groups for z in range(len(volume))], execution.workers)
        )
        bands = [
            y
            for band in cut(len(rows), 1, 4, ROWS)
            for y in regular(rows[span(band)], stage.steps[1], band.start)
        ]
        parts = [(h, y, x) for h in range(shape[0]) for y in bands for x in groups]
        high = max(map(len, bands))
        free = [scratch(stage, high) for _ in range(min(execution.workers, len(parts)))]
        for _ in run_bands(work, parts, execution.workers):
            execution.report_progress(1 / len(parts))
    return Matches((slices, rows, columns), offsets, sizes)


def _planes(shape: tuple[int, ...], columns: int, stage: Stage) -> NDArray[np.float32]:
    """Allocate the de-interleaved voxels that references at these columns read."""
    step, radius = stage.steps[2], stage.radii[1]
    margin = -(-radius // step)
    useful = LANES - (stage.shape[2] - 1) // step
    across = (columns - 1) // useful * useful + LANES + 2 * margin + COUNT
    down = shape[1] + 2 * radius + step  # a block may need less than its last whole step
    return np.empty((step, shape[0], down, across), np.float32)


def scratch(stage: Stage, rows: int) -> Scratch:
    """Allocate the working memory for bands of up to `rows` rows."""
    (thick, block, _), step = stage.shape, stage.steps[2]
    high = rows + (block - 1) // step
    voxels, starts = high * thick * step**2 * LANES, thick * step * (step + COUNT - 1)
    return memory(rows, stage.group, voxels, starts, COUNT)


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
    state = max(history, 1) * 2 * COUNT * LANES

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
        lines = len(hits) // COUNT
        words = -(-rows // 4)
        hits[:] = 0
        opening = min(OPENING // COUNT, len(table))
        farthest = bounds.reshape(-1)
        sums = stack_floats(state)
        flat_bias = bias.reshape(-1)

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
                place = COUNT * d * slot(lines) if d < opening else 0
                corner = (z + table[d, 0]) * layer + (top + table[d, 1]) * across
                for c in range(step + COUNT - 1):
                    x = c + table[d, 2] + margin * step
                    at = corner + x % step * plane + x // step
                    for r in range(step):
                        for s in range(thick):
                            start[(c * step + r) * thick + s] = at + s * layer + r * across
                for i in range(high):
                    row = max(0, i - history)  # the first rows are incomplete, and overwritten
                    at = place + row * LANES
                    cube_distances(
                        distance, at, slot(lines), sums, local, i * step**2 * thick * LANES, flat,
                        i * step * across + first, start, flat_bias, COUNT * d, size=block,
                        thick=thick, step=step, count=COUNT, lanes=LANES,
                    )  # fmt: skip
                    worst = load(limit, row * LANES, LANES)
                    for s in range(COUNT):
                        near = mask_le(load(distance, at + s * slot(lines), LANES), worst)
                        hits[s * lines + row] = near & live
                for s in range(COUNT):
                    code = table[d, 3 + s]
                    at = place + s * slot(lines)
                    if d < opening:
                        codes[COUNT * d + s] = max(code, 0) + (NORMAL << 32)
                        if code < 0:
                            distance[at : at + slot(lines)] = np.inf
                    elif code >= 0:
                        collect(scratch, want, s * lines // 4, words, at, code)
                if d == opening - 1:
                    for row in range(rows):
                        merge_first(
                            scratch.lists, row, want, scratch.distance_bits, slot(lines),
                            codes[: COUNT * opening],
                        )  # fmt: skip

            for i in range(rows):
                merge_new(scratch.lists, i, want)
                for j in range(min(useful, columns - first)):
                    out = offsets[above + i, before + first + j]
                    which = i * LANES + j
                    size = write_out(scratch, which, want, radius, out)
                    sizes[above + i, before + first + j] = size

    return match_band
