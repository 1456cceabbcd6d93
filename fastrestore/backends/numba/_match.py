"""Block matching: all distances of a band of reference blocks, and the nearest of each.

The image is de-interleaved: pixel (y, x) goes to plane (y mod step, x mod step), so that a
reference block is one element further along each plane and sixteen neighbouring references
are one vector. For one displacement the squared differences of a row of blocks are summed over
`step` image rows, these sums over the rows of a block, likewise columns, and each partial sum
serves all the blocks that share it: 1.4 vector operations a pixel instead of 64 a block.

A block of N = q step + r pixels is q whole steps and r pixels more. The order of additions is
that of the nested sums, relative to the block: it does not depend on where a band begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import (
    add,
    count_ones,
    fma,
    load,
    mask_le,
    shift,
    splat,
    store,
    sub,
    trailing_zeros,
)

LANES = 16  # the bit arithmetic below counts on it


def displacements(radius: int, step: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows (dy, dx, rank, next rank): pairs of displacements dx and dx + step, centre first.

    The rank orders equal distances: raster order. Displacement zero, the reference itself, and
    those out of reach have rank -1. Near displacements come first, because they match best
    and so tighten the threshold early.
    """

    def rank(dy: int, dx: int) -> int:
        outside = dx > radius or (dy == 0 and dx == 0)
        return -1 if outside else (dy + radius) * (2 * radius + 1) + dx + radius

    rows = []
    for dy in range(-radius, radius + 1):
        for phase in range(step):
            for dx in range(-radius + phase, radius + 1, 2 * step):
                rows.append((dy, dx, rank(dy, dx), rank(dy, dx + step)))
    rows.sort(key=lambda row: max(abs(row[0]), abs(row[1] + step / 2)))
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


@_jit.kernel
def tighten(distance, bits, rank, at, count, want, cut, cut_bits):
    """Keep the nearest of `count` candidates: all up to the cut, `want` of them or a few more.

    `bits` and `cut_bits` are `distance` and `cut` seen as integers, which for positive floats
    have the same order: bisection needs no division and ends. Ties may leave many more.
    """
    for k in range(count, -(-count // LANES) * LANES):
        distance[at + k] = np.inf
    low = high = bits[at]
    for k in range(at, at + count):
        low = min(low, bits[k])
        high = max(high, bits[k])
    while low < high:
        middle = low + ((high - low) >> np.uint32(1))
        cut_bits[0] = middle
        here = splat(cut[0], LANES)
        under = 0
        for k in range(at, at + count, LANES):
            under += count_ones(mask_le(load(distance, k, LANES), here))
        if under < want:
            low = np.uint32(middle + np.uint32(1))
        else:
            high = middle
            if under <= want + (want >> 1):
                break
    cut_bits[0] = high
    kept = 0
    for k in range(at, at + count):
        bits[at + kept] = bits[k]
        rank[at + kept] = rank[k]
        kept += bits[k] <= high
    return kept


@_jit.kernel
def nearest(bits, rank, at, count, keys, ordered):
    """Sort candidates into `ordered`: keys of (distance, rank), which are all different."""
    for k in range(count):
        keys[k] = (np.int64(bits[at + k]) << 32) | np.int64(rank[at + k])
    for k in range(count):
        key = keys[k]
        place = 0
        for other in range(count):
            place += keys[other] < key
        ordered[place] = key


@_jit.once
def match_kernel(block: int, step: int) -> Callable[..., None]:
    """Compile the matching of blocks of one size on a grid of one step."""
    whole, rest = divmod(block, step)
    history = whole if rest else whole - 1  # earlier row sums that a block still needs
    useful = LANES - history  # the last lanes lack their right neighbours

    @_jit.kernel
    def match_band(planes, rows, columns, table, radius, bound, offsets, count):
        """Find the matches of a band of rows x columns references.

        planes (step, step, ...) from `deinterleave`, whose first reference lies
        ceil(radius / step) elements in; offsets (rows, columns, group, 2), zero; count (rows,
        columns). A match is at a distance of `bound` or less.
        """
        margin = -(-radius // step)
        across = planes.shape[3]
        plane = planes.shape[2] * across
        flat = planes.reshape(-1)
        group = offsets.shape[2]
        want = group - 1
        room = max(64, 4 * group)  # candidates of a reference before they are sifted
        high = rows + history

        # Reference pixels of a tile, each vector on a cache line of its own
        local = np.empty(high * step * step * LANES + LANES, np.float32)
        base = -(local.ctypes.data // 4) % LANES
        start = np.empty(step * step, np.int64)
        sums = np.empty(step * max(history, 1) * 2 * LANES, np.float32)
        distance = np.empty((rows + 1) * 2 * LANES, np.float32)
        distance_bits = distance.view(np.uint32)
        hits = np.zeros(rows + 1, np.uint32)
        hit_pairs = hits[: (rows + 1) // 2 * 2].view(np.uint64)
        near = np.empty(rows * LANES * room, np.float32)
        near_bits = near.view(np.uint32)
        near_rank = np.empty(rows * LANES * room, np.int32)
        filled = np.empty(rows * LANES, np.int64)
        limit = np.empty(rows * LANES, np.float32)
        cut = np.empty(1, np.float32)
        cut_bits = cut.view(np.uint32)
        keys = np.empty(room, np.int64)
        ordered = np.empty(room, np.int64)
        zero = splat(np.float32(0), LANES)

        for first in range(0, columns, useful):
            live = np.uint64((1 << min(useful, columns - first)) - 1)
            filled[:] = 0
            limit[:] = bound
            for i in range(high):
                for c in range(step):
                    for r in range(step):
                        place = (r * step + c) * plane + (margin + i) * across + margin + first
                        here = base + ((i * step + c) * step + r) * LANES
                        store(local, here, load(flat, place, LANES))

            for d in range(len(table)):
                dy = table[d, 0] + margin * step
                dx = table[d, 1] + margin * step
                for c in range(step):
                    for r in range(step):
                        at = ((r + dy) % step * step + (c + dx) % step) * plane
                        at += (r + dy) // step * across + (c + dx) // step + first
                        start[c * step + r] = at

                for i in range(high):
                    sum0 = zero
                    sum1 = zero
                    rest0 = zero
                    rest1 = zero
                    for c in range(step):
                        rows0 = zero
                        rows1 = zero
                        part0 = zero
                        part1 = zero
                        for r in range(step):
                            pixel = load(local, base + ((i * step + c) * step + r) * LANES, LANES)
                            at = start[c * step + r] + i * across
                            delta0 = sub(pixel, load(flat, at, LANES))
                            delta1 = sub(pixel, load(flat, at + 1, LANES))
                            rows0 = fma(delta0, delta0, rows0)
                            rows1 = fma(delta1, delta1, rows1)
                            if r == rest - 1:
                                part0 = rows0
                                part1 = rows1
                        if not rest:
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
                        if c == rest - 1:
                            rest0 = sum0
                            rest1 = sum1
                    if not rest:
                        rest0 = sum0
                        rest1 = sum1
                    for _ in range(history):
                        rest0 = add(sum0, shift(rest0))
                        rest1 = add(sum1, shift(rest1))
                    row = i - history
                    if row < 0:
                        continue
                    worst = load(limit, row * LANES, LANES)
                    store(distance, row * 2 * LANES, rest0)
                    store(distance, (row * 2 + 1) * LANES, rest1)
                    found = mask_le(rest0, worst) & live
                    hits[row] = found | ((mask_le(rest1, worst) & live) << np.uint64(LANES))

                # Bits of two rows at a time; a loop of its own, because its unforeseeable
                # branches would else wait for the arithmetic above.
                for pair in range(len(hit_pairs)):
                    bits = hit_pairs[pair]
                    while bits:
                        bit = trailing_zeros(bits)
                        bits &= bits - np.uint64(1)
                        rank = table[d, 2 + ((bit >> 4) & 1)]
                        if rank < 0:
                            continue
                        which = (pair * 2 + (bit >> 5)) * LANES + (bit & 15)
                        at = which * room
                        n = filled[which]
                        near_bits[at + n] = distance_bits[pair * 4 * LANES + bit]
                        near_rank[at + n] = rank
                        n += 1
                        if n == room:
                            n = tighten(near, near_bits, near_rank, at, n, want, cut, cut_bits)
                            limit[which] = cut[0]
                            if n > room // 2:  # equal distances: only the rank tells them apart
                                nearest(near_bits, near_rank, at, n, keys, ordered)
                                n = want
                                for k in range(n):
                                    near_bits[at + k] = np.uint32(ordered[k] >> 32)
                                    near_rank[at + k] = np.int32(ordered[k] & 0xFFFFFFFF)
                        filled[which] = n

            for i in range(rows):
                for j in range(min(useful, columns - first)):
                    at = (i * LANES + j) * room
                    n = filled[i * LANES + j]
                    if n > want + want // 2:
                        n = tighten(near, near_bits, near_rank, at, n, want, cut, cut_bits)
                    nearest(near_bits, near_rank, at, n, keys, ordered)
                    size = 1  # the reference itself; then as many as Haar takes
                    while size * 2 <= min(n, want) + 1:
                        size *= 2
                    count[i, first + j] = size
                    for k in range(1, size):
                        place = ordered[k - 1] & 0xFFFFFFFF
                        offsets[i, first + j, k, 0] = place // (2 * radius + 1) - radius
                        offsets[i, first + j, k, 1] = place % (2 * radius + 1) - radius

    return match_band
