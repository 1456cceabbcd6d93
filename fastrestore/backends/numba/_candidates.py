"""Selection of the nearest of many candidate blocks, for 16 references at once.

The candidates of a row of references are lists side by side, which are sorted together. The nearest
so far come first, sorted; behind them is room for new ones, which are merged when a list is full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import (
    aligned,
    aligned_empty,
    count_ones,
    load,
    mask_le,
    splat,
    store,
    trailing_zeros,
)
from fastrestore.backends.numba._simd_sort import (
    NORMAL,
    SIZE,
    keep_lt,
    keys_of,
    merge_keys,
    sort_keys,
)

LANES = 16  # references per vector, equal to the number of bits in `hits`
KEYS = 8  # keys per vector
OPENING = 128  # displacements that determine the first limit
NONE = np.inf  # a key beyond all others
BITS = 4  # hits read from a word without asking whether there are so many


class Search(NamedTuple):
    """Displacements to examine, and the largest distance of a match."""

    table: NDArray[np.int64]  # rows (first displacement, codes of it and of its neighbors)
    bias: NDArray[np.float32]  # (rows of the table, codes), added to the distances
    radius: int | tuple[int, ...]
    bounds: NDArray[np.float32]  # see `inclusive_bounds`


class Scratch(NamedTuple):
    """Working memory for a band of references.

    A candidate is a key: the bits of its distance, plus NORMAL, above its code. All keys differ.
    Key k of reference ``row * LANES + lane`` has number ``(row * room + k) * LANES + lane``. In
    memory it is ``row * LANES`` farther, because otherwise rows would compete for the same lines of
    the cache.
    """

    room: int  # keys per reference, a power of two
    blocks: int  # of SIZE keys each, which hold the nearest, sorted
    near: NDArray[np.int64]
    near_keys: NDArray[np.float64]  # the same memory
    batch: NDArray[np.float64]  # keys to be merged with the nearest
    next: NDArray[np.int64]  # number of the next key of each reference
    limit: NDArray[np.float32]  # largest distance of a candidate
    limit_bits: NDArray[np.int32]
    bound: NDArray[np.float32]  # largest distance of a match
    bound_bits: NDArray[np.int32]
    distance: NDArray[np.float32]  # (displacement, row, lane)
    distance_bits: NDArray[np.int32]
    hits: NDArray[np.uint16]  # (displacement, row), one bit per lane: within the limit
    hit_words: NDArray[np.uint64]
    found: NDArray[np.int32]  # references with hits of one displacement
    codes: NDArray[np.int64]  # of the first displacements
    local: NDArray[np.float32]  # pixels of the reference blocks
    start: NDArray[np.int64]  # offsets of the displaced pixels


@_jit.kernel
def slot(lines):
    """Stride between the distances of two displacements: an odd number of cache lines."""
    return (lines + 1) * LANES


def memory(rows: int, group: int, pixels: int, starts: int, count: int = 2) -> Scratch:
    """Allocate the working memory for bands of up to `rows` rows, and `count` displacements."""
    lines = -(-rows // 4) * 4  # one word of hits holds four rows
    blocks = -(-group // SIZE)
    room = 4 * SIZE * -(-blocks // 2)
    near = aligned_empty(lines * LANES * (room + 1), np.int64)
    limit, bound = (aligned(lines * LANES, np.float32) for _ in range(2))
    distance = aligned_empty(OPENING * (lines + 1) * LANES, np.float32)  # see `slot`
    hits = np.zeros(count * lines, np.uint16)
    return Scratch(
        room=room,
        blocks=blocks,
        near=near,
        near_keys=near.view(np.float64),
        batch=aligned_empty(SIZE * KEYS, np.float64),
        next=aligned(lines * LANES, np.int64),
        limit=limit,
        limit_bits=limit.view(np.int32),
        bound=bound,
        bound_bits=bound.view(np.int32),
        distance=distance,
        distance_bits=distance.view(np.int32),
        hits=hits,
        hit_words=hits.view(np.uint64),
        found=np.zeros(lines * LANES + 64, np.int32),
        codes=np.zeros(OPENING, np.int64),
        local=aligned_empty(pixels, np.float32),
        start=np.empty(starts, np.int64),
    )


@_jit.inlined
def collect(scratch, want, first, words, begin, code):
    """Add a displaced block to the candidates of the references marked in `hit_words`.

    Called once per displacement: its branches are unpredictable and would stall the sums if they
    ran between them. Its `words` of hits start at `first`, and its distances at `begin`.
    """
    near, after, room = scratch.near, scratch.next, scratch.room
    found = scratch.found
    count = np.uint64(0)
    for word in range(words):
        bits = scratch.hit_words[np.uint64(first + word)]
        many = np.uint64(count_ones(bits))
        lowest = 64 * word
        done = np.uint64(0)
        while True:
            for n in range(BITS):
                found[count + done + np.uint64(n)] = lowest + trailing_zeros(bits)
                bits &= bits - np.uint64(1)
            done += np.uint64(BITS)
            if done >= many:
                break
        count += many
    in_list = np.uint64((room - 1) * LANES)  # bits of a number that count keys of one list
    low = code + (NORMAL << 32)
    for k in range(count):
        which = np.uint64(found[np.uint64(k)])
        place = np.uint64(after[which])
        row = which // np.uint64(LANES)
        bits = np.int64(scratch.distance_bits[np.uint64(begin) + which])
        near[place + row * np.uint64(LANES)] = (bits << 32) + low
        place += np.uint64(LANES)
        after[which] = place
        if not place & in_list:
            merge_new(scratch, np.int64(row), want)


@_jit.inlined
def insert(keys, at, blocks, batch):
    """Merge a batch with the nearest candidates of half a row, whose first is at `at`."""
    sort_keys(batch, 0, KEYS, lanes=KEYS)
    for block in range(blocks - 1):
        merge_keys(keys, at + block * SIZE * LANES, LANES, batch, 0, rest=True, lanes=KEYS)
    last = at + (blocks - 1) * SIZE * LANES
    merge_keys(keys, last, LANES, batch, 0, rest=False, lanes=KEYS)


@_jit.kernel
def lower_limit(near, last, limit, row, after, end):
    """Lower limits to the distances of the keys from `last` on, and make room from `end` on."""
    for lane in range(LANES):
        which = np.uint64(row * LANES + lane)
        bits = (near[np.uint64(last + lane)] >> 32) - NORMAL
        limit[which] = min(bits, np.int64(limit[which]))
        after[which] = end + lane


@_jit.kernel
def merge_into(near, keys, room, blocks, batch, after, limit, row, want):
    """Merge the new candidates of a row of references with the nearest ones."""
    most = after[row * LANES]
    for lane in range(1, LANES):
        most = max(most, after[np.uint64(row * LANES + lane)])
    none = splat(NONE, KEYS)
    begin = row * (room + 1) * LANES
    end = (row * room + blocks * SIZE) * LANES
    for first in range(end, most, SIZE * LANES):
        for half in range(0, LANES, KEYS):
            ends = load(after, row * LANES + half, KEYS)
            for k in range(SIZE):
                at = first + k * LANES
                key = load(keys, at + row * LANES + half, KEYS)
                store(batch, k * KEYS, keep_lt(splat(at + LANES - 1, KEYS), ends, key, none))
            insert(keys, begin + half, blocks, batch)
    lower_limit(near, begin + (want - 1) * LANES, limit, row, after, end)


@_jit.inlined
def merge_new(scratch, row, want):
    """Merge the new candidates of a row of references with the nearest ones."""
    merge_into(
        scratch.near, scratch.near_keys, scratch.room, scratch.blocks, scratch.batch, scratch.next,
        scratch.limit_bits, row, want,
    )  # fmt: skip


@_jit.inlined
def merge_first(scratch, row, lines, count, want):
    """Make the first `count` displacements the candidates of a row of references."""
    keys, batch, room, blocks = scratch.near_keys, scratch.batch, scratch.room, scratch.blocks
    codes, bits = scratch.codes, scratch.distance_bits
    none = splat(NONE, KEYS)
    begin = row * (room + 1) * LANES
    for k in range(2 * blocks * SIZE):
        store(keys, begin + k * KEYS, none)
    bounds = load(scratch.bound_bits, row * LANES, LANES)
    if not mask_le(splat(np.int32(0), LANES), bounds):  # no block can match
        count = 0
    for first in range(0, count, SIZE):
        for half in range(0, LANES, KEYS):
            for k in range(SIZE):
                key = none
                if first + k < count:
                    at = (first + k) * slot(lines) + row * LANES + half
                    key = keys_of(bits, at, codes[np.uint64(first + k)], lanes=KEYS)
                store(batch, k * KEYS, key)
            insert(keys, begin + half, blocks, batch)
    lower_limit(
        scratch.near, begin + (want - 1) * LANES, scratch.limit_bits, row, scratch.next,
        (row * room + blocks * SIZE) * LANES,
    )  # fmt: skip


@_jit.inlined
def first_key(scratch, which):
    """Index of the nearest candidate of a reference; the others follow LANES apart."""
    return which // LANES * (scratch.room + 1) * LANES + which % LANES


@_jit.inlined
def matched(scratch, which, want):
    """Return the size of the group of a reference and its nearest candidates."""
    near, at = scratch.near, first_key(scratch, which)
    bound = ((np.int64(scratch.bound_bits[which]) + NORMAL + 1) << 32) - 1
    count = 0
    for k in range(want):
        count += near[np.uint64(at + k * LANES)] <= bound
    return group_size(count, want)


@_jit.kernel
def group_size(count, want):
    """Largest power of two for a group of the reference and at most `count` others."""
    size = 1
    while size * 2 <= min(count, want) + 1:
        size *= 2
    return size
