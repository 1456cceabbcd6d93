"""Selection of the nearest of many candidate blocks, for 16 or more references at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import (
    aligned,
    aligned_empty,
    count_less,
    count_ones,
    keep_ge,
    load,
    mask_le,
    splat,
    store,
    sub,
    trailing_zeros,
)

LANES = 16  # references per vector, equal to the number of bits in `hits`
KEYS = 8  # keys per vector
OPENING = 128  # displacements that determine the first limit
FARTHEST = np.iinfo(np.int64).max


class Search(NamedTuple):
    """Displacements to examine, and the largest distance of a match."""

    table: NDArray[np.int64]  # rows (first displacement, codes of it and of its neighbors)
    bias: NDArray[np.float32]  # (rows of the table, codes), added to the distances
    radius: int | tuple[int, ...]
    bounds: NDArray[np.float32]  # see `inclusive_bounds`


class Scratch(NamedTuple):
    """Working memory for a band of references.

    A candidate is a key: the bits of its distance, which sort like the distance, above its code.
    All keys differ. Reference r has ``filled[r]`` keys, unordered, from ``r * room`` on.
    """

    room: int  # keys per reference

    near: NDArray[np.int64]
    filled: NDArray[np.int32]
    limit: NDArray[np.float32]  # largest distance of a candidate
    limit_bits: NDArray[np.int32]
    distance: NDArray[np.float32]  # (displacement, row, lane)
    distance_bits: NDArray[np.int32]
    hits: NDArray[np.uint16]  # (displacement, row), one bit per lane: within the limit
    hit_words: NDArray[np.uint64]
    local: NDArray[np.float32]  # pixels of the reference blocks
    start: NDArray[np.int64]  # offsets of the displaced pixels
    order: NDArray[np.int64]


@_jit.kernel
def slot(lines):
    """Stride between the distances of two displacements: an odd number of cache lines."""
    return (lines + 1) * LANES


def memory(rows: int, group: int, pixels: int, starts: int, count: int = 2) -> Scratch:
    """Allocate the working memory for bands of up to `rows` rows, and `count` displacements."""
    lines = -(-rows // 4) * 4  # one word of hits holds four rows
    room = -(-(40 + group) // KEYS) * KEYS  # keys of a reference before selection
    limit = aligned(lines * LANES, np.float32)
    distance = aligned_empty(OPENING * (lines + 1) * LANES, np.float32)  # see `slot`
    hits = np.zeros(count * lines, np.uint16)
    return Scratch(
        room=room,
        near=aligned_empty(lines * LANES * room, np.int64),
        filled=np.zeros(lines * LANES, np.int32),
        limit=limit,
        limit_bits=limit.view(np.int32),
        distance=distance,
        distance_bits=distance.view(np.int32),
        hits=hits,
        hit_words=hits.view(np.uint64),
        local=aligned_empty(pixels, np.float32),
        start=np.empty(starts, np.int64),
        order=aligned(room, np.int64),
    )


@_jit.inlined
def collect(scratch, want, first, last, begin, code):
    """Add a displaced block to the candidates of the references marked in `hit_words`.

    Called once per displacement: its branches are unpredictable and would stall the sums if they
    ran between them. `first` to `last` are the words of its hits; its distances start at `begin`.
    """
    near, filled, room = scratch.near, scratch.filled, scratch.room
    for word in range(first, last):
        bits = scratch.hit_words[word]
        while bits:
            bit = trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            which = np.uint64(64 * (word - first) + bit)
            n = filled[which]
            near[which * np.uint64(room) + np.uint64(n)] = (
                np.int64(scratch.distance_bits[np.uint64(begin) + which]) << 32
            ) | code
            filled[which] = n + 1
            if n + 1 == room:
                high = sift(near, filled, which, room, want)
                scratch.limit_bits[which] = high >> 32


@_jit.kernel
def sift(near, filled, which, room, want):
    """Select the nearest candidates of a reference by bisection; return their bound.

    Their number is `want` or slightly more.
    """
    count = np.int64(filled[which])
    begin = np.int64(which) * room
    end = begin + -(-count // KEYS) * KEYS
    for k in range(begin + count, end):
        near[k] = FARTHEST
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
def learn_limit(scratch, row, lines, count, want):
    """Lower the limits of a row of references so that `want` of their first distances remain.

    Bisect the bits of the distances, for all references at once, to a sixteenth of an octave.
    """
    limit_bits, distance_bits = scratch.limit_bits, scratch.distance_bits
    high = load(limit_bits, row * LANES, LANES)
    most = splat(np.int32(count - want), LANES)
    for k in range(26, 18, -1):
        step = splat(np.int32(1 << k), LANES)
        middle = sub(high, step)
        over = splat(np.int32(0), LANES)
        for d in range(count):
            at = d * slot(lines) + row * LANES
            over = count_less(over, middle, load(distance_bits, at, LANES))
        high = sub(high, keep_ge(step, most, over))
    store(limit_bits, row * LANES, high)


@_jit.inlined
def rank(scratch, which, want):
    """Write the ranks of the candidates of a reference to `order`; return their number."""
    near, filled, room = scratch.near, scratch.filled, scratch.room
    if filled[which] > want + want // 2:
        sift(near, filled, which, room, want)
    count = np.int64(filled[which])
    begin = which * room
    for k in range(0, count, KEYS):
        mine = load(near, begin + k, KEYS)
        less = splat(np.int64(0), KEYS)
        for other in range(begin, begin + count):
            less = count_less(less, splat(near[np.uint64(other)], KEYS), mine)
        store(scratch.order, k, less)
    return count


@_jit.kernel
def group_size(count, want):
    """Largest power of two for a group of the reference and at most `count` others."""
    size = 1
    while size * 2 <= min(count, want) + 1:
        size *= 2
    return size
