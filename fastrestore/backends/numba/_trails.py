"""Candidates of one reference in the predictive search of V-BM3D, and the trail it follows.

A candidate is a key: the bits of its distance above a code of its frame, row and column.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._candidates import KEYS, LANES
from fastrestore.backends.numba._simd import (
    aligned,
    count_ones,
    load,
    mask_le,
    minimum,
    splat,
    trailing_zeros,
)

TILE = 8  # rows summed at a time
BITS = 12  # for a row or a column in a code, relative to MIDDLE
MIDDLE = 1 << (BITS - 1)
NO_KEY = np.iinfo(np.int64).max


class Scratch(NamedTuple):
    """Working memory of a thread, for one reference at a time."""

    near: NDArray[np.int64]  # candidates, unordered
    filled: NDArray[np.int32]  # (1,): their number
    limit: NDArray[np.float32]  # (2,): largest distance of a candidate, and in the trail
    limit_bits: NDArray[np.int32]
    trail: NDArray[np.int64]  # (trails,): the best of this frame, sorted
    start: NDArray[np.int64]  # (trails,): those of the frame of the reference
    found: NDArray[np.float32]  # (TILE, LANES)
    found_bits: NDArray[np.int32]
    pixels: NDArray[np.float32]  # of the reference
    windows: NDArray[np.int64]  # (trails, 2): centers of the windows of this frame
    parent: NDArray[np.int64]  # (trails,): the window of each key of the trail
    origin: NDArray[np.int64]  # (2, trails, 2): previous position of each trail, two frames
    order: NDArray[np.int64]


def scratch(block: int, group: int, trails: int) -> Scratch:
    """Allocate the working memory of a thread."""
    room = -(-(48 + 2 * group) // KEYS) * KEYS
    found, limit = aligned(TILE * LANES, np.float32), np.zeros(2, np.float32)
    return Scratch(
        near=aligned(room, np.int64),
        filled=np.zeros(1, np.int32),
        limit=limit,
        limit_bits=limit.view(np.int32),
        trail=np.zeros(trails, np.int64),
        start=np.zeros(trails, np.int64),
        found=found,
        found_bits=found.view(np.int32),
        pixels=aligned(block * block, np.float32),
        windows=np.zeros((trails, 2), np.int64),
        parent=np.zeros(trails, np.int64),
        origin=np.zeros((2, trails, 2), np.int64),
        order=aligned(room, np.int64),
    )


@_jit.kernel
def sift(near, filled, which, room, want):
    """Select the nearest candidates of a reference by bisection; return their bound.

    Their number is `want` or slightly more.
    """
    count = np.int64(filled[which])
    begin = np.int64(which) * room
    end = begin + -(-count // KEYS) * KEYS
    for k in range(begin + count, end):
        near[k] = NO_KEY
    low = high = near[np.uint64(begin)]
    for k in range(begin + 1, begin + count):
        low = min(low, near[np.uint64(k)])
        high = max(high, near[np.uint64(k)])
    while low < high:
        middle = low + ((high - low) >> 1)
        here = splat(middle, KEYS)
        under = 0
        for k in range(begin, end, KEYS):
            under += count_ones(mask_le(load(near, k, KEYS), here))
        if under < want:
            low = middle + 1
        else:
            high = middle
            if under <= want + (want >> 3):
                break
    kept = np.uint64(begin)  # unsigned: no check for negative indices
    for k in range(begin, begin + count):
        key = near[np.uint64(k)]
        near[kept] = key
        kept += np.uint64(key <= high)
    filled[which] = kept - np.uint64(begin)
    return high


@_jit.kernel
def insert(trail, key, parent, window):
    """Insert a key and its window into the sorted trail, and remove the last one."""
    place = len(trail)
    while place > 0 and trail[place - 1] > key:
        place -= 1
    for k in range(len(trail) - 1, place, -1):
        trail[k] = trail[k - 1]
        parent[k] = parent[k - 1]
    if place < len(trail):
        trail[place] = key
        parent[place] = window


@_jit.kernel
def copy(source, target):
    """Copy a trail."""
    for k in range(len(source)):
        target[k] = source[k]


@_jit.kernel
def consider(scratch, bits, position, reference, row, bonus, window, radius, want):
    """Add the lanes in `bits` of a row of distances to the candidates and the trail.

    position: (frame, row, column) of the first lane; reference: (row, column).
    """
    near, filled, trail = scratch.near, scratch.filled, scratch.trail
    limit, limit_bits = scratch.limit, scratch.limit_bits
    found, found_bits = scratch.found, scratch.found_bits
    windows, parent = scratch.windows, scratch.parent
    (frame, v, u), (y, x) = position, reference
    while bits:
        lane = np.int64(trailing_zeros(bits))
        bits &= bits - np.uint64(1)
        column = u + lane
        seen = False  # whether it is in the window of another block of the trail
        for k in range(window):
            seen |= abs(v - windows[k, 0]) <= radius and abs(column - windows[k, 1]) <= radius
        if seen:
            continue
        at = row * LANES + lane
        if bonus > 0 and v == y and column == x:
            found[at] = max(np.float32(0), found[at] - bonus)
        code = (frame << 2 * BITS) | ((v - y + MIDDLE) << BITS) | (column - x + MIDDLE)
        key = (np.int64(found_bits[at]) << 32) | code
        if key < trail[-1]:
            insert(trail, key, parent, window)
            if trail[-1] != NO_KEY:
                limit_bits[1] = trail[-1] >> 32
        if found[at] <= limit[0]:
            near[filled[0]] = key
            filled[0] += 1
            if filled[0] == len(near):
                limit_bits[0] = sift(near, filled, 0, len(near), want) >> 32


@_jit.part
def consider_row(scratch, bits, row, code, want):
    """`consider` for a trail of one block, whose window is the only one of a frame.

    code: that of the first lane.
    """
    near, filled, trail, found = scratch.near, scratch.filled, scratch.trail, scratch.found
    if filled[0] + LANES > len(near):
        scratch.limit_bits[0] = sift(near, filled, 0, len(near), want) >> 32
    worst, best, count = scratch.limit[0], trail[0], np.uint64(filled[0])
    while bits:
        lane = trailing_zeros(bits)
        bits &= bits - np.uint64(1)
        at = np.uint64(row * LANES + lane)
        key = (np.int64(scratch.found_bits[at]) << 32) + code + lane
        best = minimum(best, key)
        near[count] = key  # no jump, which could not be predicted
        count += np.uint64(found[at] <= worst)
    filled[0] = count
    if best < trail[0]:
        trail[0] = best
        scratch.limit_bits[1] = best >> 32
