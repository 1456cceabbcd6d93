"""The nearest of many candidates, for sixteen references and more at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import (
    aligned,
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

LANES = 16  # references of a vector: the bits of `hits` count on it
KEYS = 8  # keys of a vector
OPENING = 64  # pairs of displacements that are looked at together, to learn a limit
FARTHEST = np.iinfo(np.int64).max


class Scratch(NamedTuple):
    """Working memory of a band of references.

    A candidate is a key: the bits of its distance, which order as the distance does, above its
    code; keys are all different. Reference r has ``filled[r]`` of them, in no order, from
    ``r * room`` on.
    """

    near: NDArray[np.int64]
    filled: NDArray[np.int32]
    limit: NDArray[np.float32]  # no candidate farther than this is taken
    limit_bits: NDArray[np.int32]
    distance: NDArray[np.float32]  # (displacement, row, lane)
    distance_bits: NDArray[np.int32]
    hits: NDArray[np.uint16]  # (2, row), a bit for each lane: within the limit
    hit_words: NDArray[np.uint64]
    local: NDArray[np.float32]  # the reference pixels of a tile
    start: NDArray[np.int64]  # where the displaced pixels begin
    order: NDArray[np.int64]


@_jit.kernel
def slot(lines):
    """Floats from the distances of one displacement to those of the next: odd cache lines."""
    return (lines + 1) * LANES


def memory(rows: int, group: int, pixels: int, starts: int) -> Scratch:
    """Make the working memory for bands of up to so many rows."""
    lines = -(-rows // 4) * 4  # four rows are one word of hits
    room = -(-(40 + group) // KEYS) * KEYS  # keys of a reference before they are sifted
    limit = aligned(lines * LANES, np.float32)
    distance = aligned(2 * OPENING * slot(lines), np.float32)
    hits = np.zeros(2 * lines, np.uint16)
    return Scratch(
        near=aligned(lines * LANES * room, np.int64),
        filled=np.zeros(lines * LANES, np.int32),
        limit=limit,
        limit_bits=limit.view(np.int32),
        distance=distance,
        distance_bits=distance.view(np.int32),
        hits=hits,
        hit_words=hits.view(np.uint64),
        local=aligned(pixels, np.float32),
        start=np.empty(starts, np.int64),
        order=aligned(room, np.int64),
    )


@_jit.inlined
def collect(near, filled, room, want, limit_bits, hits, first, last, distance, begin, code):
    """Add a displaced block to the candidates of the references that `hits` tells of.

    Called once for a displacement: its branches cannot be foreseen and would, between the sums,
    make those wait.
    """
    for word in range(first, last):
        bits = hits[word]
        while bits:
            bit = trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            which = np.uint64(64 * (word - first) + bit)
            n = filled[which]
            near[which * np.uint64(room) + np.uint64(n)] = (
                np.int64(distance[np.uint64(begin) + which]) << 32
            ) | code
            filled[which] = n + 1
            if n + 1 == room:
                high = sift(near, filled, which, room, want)
                limit_bits[which] = high >> 32


@_jit.kernel
def sift(near, filled, which, room, want):
    """Keep the nearest candidates of a reference, `want` or a few more; return their bound.

    Bisects between the keys.
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
    kept = np.uint64(begin)  # unsigned: no test for an index that counts from the end
    for k in range(begin, begin + count):
        key = near[np.uint64(k)]
        near[kept] = key
        kept += np.uint64(key <= high)
    filled[which] = kept - np.uint64(begin)
    return high


@_jit.kernel
def learn_limit(limit_bits, row, distance_bits, lines, count, want):
    """Lower the limits of a row of references to what `want` of their first distances keep.

    Bisects, in bits, for all references at once; no closer than to a sixteenth of an octave.
    """
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


@_jit.kernel
def ranked(near, filled, which, room, want, order):
    """Rank the candidates of a reference, from 0 in `order`; return how many there are."""
    if filled[which] > want + want // 2:
        sift(near, filled, which, room, want)
    count = np.int64(filled[which])
    begin = which * room
    for k in range(0, count, KEYS):
        mine = load(near, begin + k, KEYS)
        less = splat(np.int64(0), KEYS)
        for other in range(begin, begin + count):
            less = count_less(less, splat(near[np.uint64(other)], KEYS), mine)
        store(order, k, less)
    return count


@_jit.kernel
def group_size(count, want):
    """How many blocks make a group, the reference and `count` others: as many as Haar takes."""
    size = 1
    while size * 2 <= min(count, want) + 1:
        size *= 2
    return size
