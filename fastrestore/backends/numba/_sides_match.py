"""Block matching for blocks, steps and search windows of any sides, along any number of axes.

One reference block is compared with its window at a time, row by row: 16 neighboring positions
along the last axis are a vector. Squared differences are added sample by sample, in an order that
is relative to the block. This takes longer than the shared sums of `_match` and `_cubes_match`.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Image
from fastrestore.backends.host import reference_grids, thresholds
from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._match import inclusive_bounds
from fastrestore.backends.numba._pool import cut, run_bands, useful
from fastrestore.backends.numba._simd import (
    add,
    aligned,
    fma,
    load,
    mask_le,
    splat,
    spread,
    store,
    sub,
    trailing_zeros,
)
from fastrestore.backends.protocol import Execution, Matches, Stage

LANES = 16
SUMS = 4  # added side by side, because an addition waits for the one before
DIFFERENCES = 4e6  # vectors of them in a millisecond on one thread


class Window(NamedTuple):
    """Rows of the search window, and the samples of a block."""

    rows: NDArray[np.int64]  # displacements (rows, axes - 1) along all axes but the last
    starts: NDArray[np.int64]  # (rows,): their distance in the flat image
    codes: NDArray[np.int64]  # (rows,): raster index of the first displacement in the row
    radius: int  # along the last axis
    samples: NDArray[np.int64]  # positions in the flat image, relative to the corner
    bias: NDArray[np.float32]  # by raster index of the displacement, or empty


class Search(NamedTuple):
    """References, each of which has its own place in all arrays."""

    corners: NDArray[np.int64]  # (references, axes)
    starts: NDArray[np.int64]  # (references,): of the corner in the flat image
    bounds: NDArray[np.float32]  # (references,): largest distance of a match
    last: NDArray[np.int64]  # (axes,): last corner of a block that fits
    offsets: NDArray[np.int16]  # (references, group, axes)
    sizes: NDArray[np.int16]


class Scratch(NamedTuple):
    """Working memory of a thread."""

    block: NDArray[np.float32]  # the samples of a reference block
    found: NDArray[np.float32]  # distances of a vector
    found_bits: NDArray[np.int32]
    near: NDArray[np.int64]  # keys of the nearest blocks, sorted: bits of distance, and code
    limit: NDArray[np.float32]  # (1,): largest distance of a candidate
    limit_bits: NDArray[np.int32]


def match(image: Image, stage: Stage, execution: Execution) -> Matches:
    """Match blocks of any sides; see `fastrestore.backends.protocol.Backend.bm4d_match`."""
    grids = reference_grids(stage, image.shape)
    counts = tuple(map(len, grids))
    offsets = np.zeros((*counts, stage.group, image.ndim), np.int16)
    matches = Matches(grids, offsets, np.ones(counts, np.int16))
    if stage.group == 1:
        return matches
    strides = strides_of(image.shape)
    corners = corners_of(grids)
    bounds = inclusive_bounds(thresholds(stage, grids).reshape(1, -1))
    search = Search(
        corners, corners @ strides, bounds[0], np.subtract(image.shape, stage.shape),
        offsets.reshape(len(corners), stage.group, image.ndim), matches.sizes.reshape(-1),
    )  # fmt: skip
    window = _window(stage, image.shape)
    flat = aligned(image.size + LANES, np.float32)  # kernels read whole vectors
    flat[: image.size] = image.reshape(-1)
    vectors = len(window.rows) * (2 * window.radius // LANES + 1) * len(window.samples)
    workers = useful(execution.workers, len(corners) * vectors / DIFFERENCES)
    parts = cut(len(corners), 1 if workers == 1 else 8 * workers, 1, 512)

    def work(part: range) -> None:
        scratch = _scratch(len(window.samples), stage.group)
        match_blocks(flat, window, search, part.start, part.stop, scratch)

    for _ in run_bands(work, parts, workers):
        execution.report_progress(1 / len(parts))
    return matches


def strides_of(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the distance of neighbors along each axis, in samples."""
    return np.array([math.prod(shape[k + 1 :]) for k in range(len(shape))], np.int64)


def corners_of(grids: tuple[NDArray[np.int64], ...]) -> NDArray[np.int64]:
    """Return the corners of all reference blocks (references, axes)."""
    counts, axes = tuple(map(len, grids)), len(grids)
    corners = np.empty((*counts, axes), np.int64)
    for axis, grid in enumerate(grids):
        corners[..., axis] = grid.reshape([-1 if k == axis else 1 for k in range(axes)])
    return corners.reshape(-1, axes)


@functools.lru_cache(32)
def samples_of(shape: tuple[int, ...], whole: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the positions of the samples of a block in a flat image, relative to its corner."""
    corners = np.indices(shape).reshape(len(shape), -1)
    places: NDArray[np.int64] = strides_of(whole) @ corners
    return places


def _window(stage: Stage, shape: tuple[int, ...]) -> Window:
    """Return the search window in an image of this shape."""
    window = _plain_window(stage.radii, stage.shape, shape)
    if stage.match_bias is None:
        return window
    bias = np.append(stage.match_bias.reshape(-1), np.zeros(LANES, np.float32))
    return window._replace(bias=bias)


@functools.lru_cache(16)
def _plain_window(radii: tuple[int, ...], block: tuple[int, ...], shape: tuple[int, ...]) -> Window:
    """Return the rows of the search window, the nearest first: they lower the limit most."""
    *others, radius = radii
    strides = strides_of(shape)
    rows = list(itertools.product(*(range(-reach, reach + 1) for reach in others)))
    rows.sort(key=lambda row: max(map(abs, row), default=0))
    table = np.array(rows, np.int64).reshape(len(rows), len(others))
    sides = tuple(2 * reach + 1 for reach in radii)
    return Window(
        table, table @ strides[:-1], (table + others) @ strides_of(sides)[:-1], radius,
        samples_of(block, shape), np.zeros(0, np.float32),
    )  # fmt: skip


def _scratch(samples: int, group: int) -> Scratch:
    """Allocate the working memory of a thread."""
    found, limit = aligned(LANES, np.float32), np.zeros(1, np.float32)
    return Scratch(
        block=np.empty(samples, np.float32),
        found=found,
        found_bits=found.view(np.int32),
        near=np.empty(group, np.int64),
        limit=limit,
        limit_bits=limit.view(np.int32),
    )


@_jit.part
def squares(image, at, window, block, first, last, total):
    """Add squared differences of samples `first` to `last` to a vector of distances."""
    samples = window.samples
    one = two = three = splat(np.float32(0), LANES)
    rest = first + (last - first) // SUMS * SUMS
    for k in range(first, rest, SUMS):
        a = sub(load(image, at + samples[k], LANES), spread(block, k, LANES))
        b = sub(load(image, at + samples[k + 1], LANES), spread(block, k + 1, LANES))
        c = sub(load(image, at + samples[k + 2], LANES), spread(block, k + 2, LANES))
        d = sub(load(image, at + samples[k + 3], LANES), spread(block, k + 3, LANES))
        total, one = fma(a, a, total), fma(b, b, one)
        two, three = fma(c, c, two), fma(d, d, three)
    for k in range(rest, last):
        a = sub(load(image, at + samples[k], LANES), spread(block, k, LANES))
        total = fma(a, a, total)
    return add(add(total, one), add(two, three))


@_jit.part
def insert(scratch, filled, want, key):
    """Insert a key into the sorted ones, of which the last may be lost; return their number."""
    near = scratch.near
    if filled == want:
        if key > near[want - 1]:
            return filled
        place = want - 1
    else:
        place = filled
        filled += 1
    while place > 0 and near[place - 1] > key:
        near[place] = near[place - 1]
        place -= 1
    near[place] = key
    if filled == want:
        scratch.limit_bits[0] = near[want - 1] >> 32
    return filled


@_jit.part
def write_out(scratch, filled, window, search, reference):
    """Write the displacements of the matches, the reference first, and their number."""
    size = 1
    while size * 2 <= filled + 1:
        size *= 2
    out, rows = search.offsets[reference], window.rows
    wide = 2 * window.radius + 1
    axes = rows.shape[1]
    for k in range(1, size):
        code = scratch.near[k - 1] & ((np.int64(1) << 32) - 1)
        row = code // wide
        out[k, axes] = code % wide - window.radius
        for axis in range(axes - 1, -1, -1):
            side = 1 - 2 * rows[-1, axis] if rows[-1, axis] < 0 else 1 + 2 * rows[-1, axis]
            out[k, axis] = row % side - side // 2
            row //= side
    search.sizes[reference] = size


@_jit.kernel
def match_blocks(image, window, search, first, last, scratch):
    """Find the matches of references `first` to `last`, in order of distance and of raster."""
    rows, starts, codes, radius, samples, bias = window
    block, found, limit = scratch.block, scratch.found, scratch.limit
    count, axes = len(samples), rows.shape[1]
    want = search.offsets.shape[1] - 1
    for reference in range(first, last):
        corner, start = search.corners[reference], search.starts[reference]
        for k in range(count):
            block[k] = image[start + samples[k]]
        filled = 0
        limit[0] = search.bounds[reference]
        left = max(0, corner[axes] - radius) - corner[axes]
        right = min(search.last[axes], corner[axes] + radius) - corner[axes]
        for n in range(len(rows) if limit[0] >= 0 else 0):
            inside = True
            for axis in range(axes):
                place = corner[axis] + rows[n, axis]
                inside &= 0 <= place <= search.last[axis]
            if not inside:
                continue
            for x in range(left, right + 1, LANES):
                at, code = start + starts[n] + x, codes[n] + radius + x
                total = splat(np.float32(0), LANES)
                if len(bias):
                    total = load(bias, code, LANES)
                total = squares(image, at, window, block, 0, count // 2, total)
                if not mask_le(total, splat(limit[0], LANES)):
                    continue
                total = squares(image, at, window, block, count // 2, count, total)
                hits = mask_le(total, splat(limit[0], LANES))
                hits &= (np.uint64(1) << np.uint64(min(LANES, right + 1 - x))) - np.uint64(1)
                store(found, 0, total)
                while hits:
                    lane = np.int64(trailing_zeros(hits))
                    hits &= hits - np.uint64(1)
                    if n > 0 or x + lane != 0:  # not the reference itself, in the first row
                        bits = np.int64(scratch.found_bits[lane])
                        filled = insert(scratch, filled, want, (bits << 32) + code + lane)
        write_out(scratch, filled, window, search, reference)
