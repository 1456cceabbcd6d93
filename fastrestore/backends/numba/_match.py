"""Block matching: all distances of a band of reference blocks, and the nearest of each.

The image is de-interleaved: pixel (y, x) goes to plane (y mod step, x mod step), so that a
reference block is one element further along each plane and sixteen neighbouring references
are one vector. For one displacement the squared differences of a row of blocks are summed over
`step` image rows, these sums over the rows of a block, likewise columns, and each partial sum
serves all the blocks that share it.

A block of N = q step + r pixels is q whole steps and r pixels more. The order of additions is
that of the nested sums, relative to the block: it does not depend on where a band begins.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import (
    add,
    count_ones,
    fma,
    load,
    lowest,
    mask_le,
    minimum,
    shift,
    splat,
    stack_floats,
    store,
    sub,
    trailing_zeros,
)

LANES = 16  # the bit arithmetic below counts on it


@functools.cache
def displacements(radius: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows (dy, dx, rank, next rank): pairs of displacements dx and dx + 1, centre first.

    The rank orders equal distances: raster order. Displacement zero, the reference itself, and
    those out of reach have rank -1. Near displacements come first, because they match best
    and so tighten the threshold early.
    """

    def rank(dy: int, dx: int) -> int:
        outside = dx > radius or (dy == 0 and dx == 0)
        return -1 if outside else (dy + radius) * (2 * radius + 1) + dx + radius

    rows = []
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1, 2):
            rows.append((dy, dx, rank(dy, dx), rank(dy, dx + 1)))
    rows.sort(key=lambda row: max(abs(row[0]), abs(row[1] + 0.5)))
    return np.array(rows, np.int64)


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


class Candidates(NamedTuple):
    """The nearest blocks so far of each reference of a tile, in no order, and scratch memory.

    Reference r has ``filled[r]`` candidates from ``r * room`` on; none that is farther than
    ``limit[r]`` is taken. Positive floats and their bits have the same order.
    """

    distance: NDArray[np.float32]
    bits: NDArray[np.uint32]  # `distance` again
    rank: NDArray[np.int32]
    filled: NDArray[np.int64]
    limit: NDArray[np.float32]
    cut: NDArray[np.float32]
    cut_bits: NDArray[np.uint32]  # `cut` again
    keys: NDArray[np.int64]
    ordered: NDArray[np.int64]


@_jit.kernel
def candidates(references, room):
    """Make room for `room` candidates of each reference."""
    distance = np.empty(references * room, np.float32)
    cut = np.empty(1, np.float32)
    return Candidates(
        distance,
        distance.view(np.uint32),
        np.empty(references * room, np.int32),
        np.empty(references, np.int64),
        np.empty(references, np.float32),
        cut,
        cut.view(np.uint32),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )


@_jit.inlined
def collect(near, hits, distance, table, d, want, room):
    """Add the candidates that `hits` tells of: bits of two rows of two displacements each.

    Called once for a displacement: its branches cannot be foreseen and would, between the sums,
    make those wait.
    """
    for pair in range(len(hits)):
        bits = hits[pair]
        while bits:
            bit = trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            rank = table[d, 2 + ((bit >> 4) & 1)]
            if rank < 0:
                continue
            which = (2 * pair + (bit >> 5)) * LANES + (bit & 15)
            n = near.filled[which]
            near.bits[which * room + n] = distance[pair * 4 * LANES + bit]
            near.rank[which * room + n] = rank
            near.filled[which] = n + 1
            if n + 1 == room:
                sift(near, which, want, room)


@_jit.kernel
def sift(near, which, want, room):
    """Make room among the candidates of a reference and lower its limit."""
    tighten(near, which, want, room)
    near.limit[which] = near.cut[0]
    if near.filled[which] > room // 2:  # equal distances: only the rank tells them apart
        order(near, which, room)
        near.filled[which] = want
        for k in range(want):
            source = which * room + near.ordered[k]
            near.keys[k] = (np.int64(near.bits[source]) << 32) | np.int64(near.rank[source])
        for k in range(want):
            near.bits[which * room + k] = np.uint32(near.keys[k] >> 32)
            near.rank[which * room + k] = np.int32(near.keys[k] & 0xFFFFFFFF)


@_jit.kernel
def tighten(near, which, want, room):
    """Keep the nearest candidates: all up to `cut`, which is lowered, `want` or a few more.

    The cut is bisected, in bits, so that it always ends. Ties may leave many more.
    """
    at = which * room
    count = near.filled[which]
    for k in range(count, -(-count // LANES) * LANES):
        near.distance[at + k] = np.inf
    least = load(near.distance, at, LANES)
    for k in range(at + LANES, at + count, LANES):
        least = minimum(least, load(near.distance, k, LANES))
    near.cut[0] = lowest(least)
    low = near.cut_bits[0]
    near.cut[0] = near.limit[which]
    high = near.cut_bits[0]
    while low < high:
        middle = low + ((high - low) >> np.uint32(1))
        near.cut_bits[0] = middle
        here = splat(near.cut[0], LANES)
        under = 0
        for k in range(at, at + count, LANES):
            under += count_ones(mask_le(load(near.distance, k, LANES), here))
        if under < want:
            low = np.uint32(middle + np.uint32(1))
        else:
            high = middle
            if under <= want + (want >> 3):
                break
    near.cut_bits[0] = high
    here = splat(near.cut[0], LANES)
    kept = at
    for k in range(at, at + count, LANES):
        bits = mask_le(load(near.distance, k, LANES), here)
        while bits:
            source = k + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            near.bits[kept] = near.bits[source]
            near.rank[kept] = near.rank[source]
            kept += 1
    near.filled[which] = kept - at


@_jit.kernel
def order(near, which, room):
    """Write to `ordered` which candidate is nearest, second, ...; equal ones by their rank."""
    at = which * room
    count = near.filled[which]
    padded = -(-count // LANES) * LANES
    for k in range(count, padded):
        near.distance[at + k] = np.inf
    for k in range(count):
        here = splat(near.distance[at + k], LANES)
        less = padded
        equal = -padded
        for other in range(at, at + padded, LANES):
            there = load(near.distance, other, LANES)
            not_less = count_ones(mask_le(here, there))
            less -= not_less
            equal += count_ones(mask_le(there, here)) + not_less
        if equal > 1:
            for other in range(count):
                same = near.bits[at + other] == near.bits[at + k]
                less += same & (near.rank[at + other] < near.rank[at + k])
        near.ordered[less] = k


@_jit.kernel
def write_out(near, which, want, room, radius, offsets):
    """Write the offsets of the matches (group, 2), the reference leading; return their number."""
    if near.filled[which] > want + want // 2:
        tighten(near, which, want, room)
    order(near, which, room)
    size = 1  # the reference itself; then as many as Haar takes
    while size * 2 <= min(near.filled[which], want) + 1:
        size *= 2
    for k in range(1, size):
        rank = near.rank[which * room + near.ordered[k - 1]]
        offsets[k, 0] = rank // (2 * radius + 1) - radius
        offsets[k, 1] = rank % (2 * radius + 1) - radius
    return size


@_jit.inlined
def places(table, d, margin, step, plane, across, start):
    """Where in the planes the first block displaced by row d of the table begins."""
    dy = table[d, 0] + margin * step
    dx = table[d, 1] + margin * step
    for c in range(step + 1):
        for r in range(step):
            at = ((r + dy) % step * step + (c + dx) % step) * plane
            start[c * step + r] = at + (r + dy) // step * across + (c + dx) // step


@_jit.once
def match_kernel(block: int, step: int) -> Callable[..., None]:
    """Compile the matching of blocks of one size on a grid of one step."""
    whole, rest = divmod(block, step)
    history = whole if rest else whole - 1  # earlier row sums that a block still needs
    useful = LANES - history  # the last lanes lack their right neighbours
    state = step * max(history, 1) * 2 * LANES

    @_jit.kernel
    def match_band(planes, rows, columns, table, radius, bound, above, before, offsets, count):
        """Find the matches of a band of rows x columns references.

        planes (step, step, ...) from `deinterleave`, whose first reference lies
        ceil(radius / step) elements in; offsets and count as in `Matches`, zero and one, of
        which the band fills those from (above, before) on. A match is at most `bound` away.
        """
        margin = -(-radius // step)
        across = planes.shape[3]
        plane = planes.shape[2] * across
        flat = planes.reshape(-1)
        want = offsets.shape[2] - 1
        room = max(64, 4 * offsets.shape[2])  # candidates of a reference before they are sifted
        high = rows + history
        near = candidates(rows * LANES, room)
        # Reference pixels of a tile, each vector on a cache line of its own
        local = np.empty(high * step * step * LANES + LANES, np.float32)
        base = -(local.ctypes.data // 4) % LANES
        start = np.empty(step * (step + 1), np.int64)
        sums = stack_floats(state)
        distance = np.empty((rows + 1) * 2 * LANES, np.float32)
        distance_bits = distance.view(np.uint32)
        hits = np.zeros(rows + 1, np.uint32)
        hit_pairs = hits[: (rows + 1) // 2 * 2].view(np.uint64)
        zero = splat(np.float32(0), LANES)

        for first in range(0, columns, useful):
            live = np.uint64((1 << min(useful, columns - first)) - 1)
            near.filled[:] = 0
            near.limit[:] = bound
            for i in range(high):
                for c in range(step):
                    for r in range(step):
                        at = (r * step + c) * plane + (margin + i) * across + margin + first
                        here = base + ((i * step + c) * step + r) * LANES
                        store(local, here, load(flat, at, LANES))

            for d in range(len(table)):
                places(table, d, margin, step, plane, across, start)
                for i in range(high):
                    sum0 = sum1 = rest0 = rest1 = zero
                    for c in range(step):
                        rows0 = rows1 = part0 = part1 = zero
                        for r in range(step):
                            pixel = load(local, base + ((i * step + c) * step + r) * LANES, LANES)
                            at0 = start[c * step + r] + i * across + first
                            at1 = start[(c + 1) * step + r] + i * across + first
                            delta0 = sub(pixel, load(flat, at0, LANES))
                            delta1 = sub(pixel, load(flat, at1, LANES))
                            rows0 = fma(delta0, delta0, rows0)
                            rows1 = fma(delta1, delta1, rows1)
                            if r == (rest - 1) % step:
                                part0 = rows0
                                part1 = rows1
                        at = c * history * 2 * LANES
                        for k in range(history):  # the latest first
                            part0 = add(load(sums, at + 2 * k * LANES, LANES), part0)
                            part1 = add(load(sums, at + (2 * k + 1) * LANES, LANES), part1)
                        for k in range(history - 1, 0, -1):
                            for s in range(2):
                                older = at + (2 * k + s) * LANES
                                store(sums, older, load(sums, older - 2 * LANES, LANES))
                        if history:
                            store(sums, at, rows0)
                            store(sums, at + LANES, rows1)
                        sum0 = add(sum0, part0)
                        sum1 = add(sum1, part1)
                        if c == (rest - 1) % step:
                            rest0 = sum0
                            rest1 = sum1
                    for _ in range(history):
                        rest0 = add(sum0, shift(rest0))
                        rest1 = add(sum1, shift(rest1))
                    row = i - history
                    if row < 0:
                        continue
                    worst = load(near.limit, row * LANES, LANES)
                    store(distance, row * 2 * LANES, rest0)
                    store(distance, (row * 2 + 1) * LANES, rest1)
                    found = mask_le(rest0, worst) & live
                    hits[row] = found | ((mask_le(rest1, worst) & live) << np.uint64(LANES))
                collect(near, hit_pairs, distance_bits, table, d, want, room)

            for i in range(rows):
                for j in range(min(useful, columns - first)):
                    out = offsets[above + i, before + first + j]
                    size = write_out(near, i * LANES + j, want, room, radius, out)
                    count[above + i, before + first + j] = size

    return match_band
