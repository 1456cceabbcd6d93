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
    maximum,
    minimum,
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
PART = 4  # lists sorted at a time
OPENING = 64  # displacements that determine the first limit
NONE = np.inf  # a key beyond all others
BITS = 4  # hits read from a word without asking whether there are so many


class Search(NamedTuple):
    """Displacements to examine, and the largest distance of a match."""

    table: NDArray[np.int64]  # rows (first displacement, codes of it and of its neighbors)
    bias: NDArray[np.float32]  # (rows of the table, codes), added to the distances
    radius: int | tuple[int, ...]
    bounds: NDArray[np.float32]  # see `inclusive_bounds`


class Lists(NamedTuple):
    """Candidates of a band of references.

    A candidate is a key: the bits of its distance, plus NORMAL, above its code. All keys differ.
    Key k of reference ``row * LANES + lane`` has number ``(row * room + k) * LANES + lane``. In
    memory it is ``row * LANES`` farther, because otherwise rows would compete for the same lines of
    the cache.
    """

    room: int  # keys per reference, a power of two
    blocks: int  # of SIZE keys each, which hold the nearest, sorted
    near: NDArray[np.int64]
    keys: NDArray[np.float64]  # the same memory
    batch: NDArray[np.float64]  # keys to be merged with the nearest
    next: NDArray[np.int64]  # number of the next key of each reference
    limit_bits: NDArray[np.int32]  # those of `Scratch`
    bound_bits: NDArray[np.int32]


class Scratch(NamedTuple):
    """Working memory for a band of references."""

    lists: Lists
    limit: NDArray[np.float32]  # largest distance of a candidate
    bound: NDArray[np.float32]  # largest distance of a match
    distance: NDArray[np.float32]  # (displacement, row, lane)
    distance_bits: NDArray[np.int32]
    hits: NDArray[np.uint16]  # (displacement, row), one bit per lane: within the limit
    hit_words: NDArray[np.uint64]
    found: NDArray[np.int32]  # references with hits of one displacement
    codes: NDArray[np.int64]  # of the first displacements
    local: NDArray[np.float32]  # pixels of the reference blocks
    start: NDArray[np.int64]  # offsets of the displaced pixels


@_jit.part
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
    lists = Lists(
        room=room,
        blocks=blocks,
        near=near,
        keys=near.view(np.float64),
        batch=aligned_empty(SIZE * PART, np.float64),
        next=aligned(lines * LANES, np.int64),
        limit_bits=limit.view(np.int32),
        bound_bits=bound.view(np.int32),
    )
    return Scratch(
        lists=lists,
        limit=limit,
        bound=bound,
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
    lists, found = scratch.lists, scratch.found
    near, after = lists.near, lists.next
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
    in_list = np.uint64((lists.room - 1) * LANES)  # bits of a number that count keys of one list
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
            merge_new(lists, np.int64(row), want)


@_jit.inlined
def insert(keys, at, blocks, batch):
    """Merge a batch with the nearest candidates of half a row, whose first is at `at`."""
    sort_keys(batch, 0, PART, lanes=PART)
    for block in range(blocks - 1):
        merge_keys(keys, at + block * SIZE * LANES, LANES, batch, 0, rest=True, lanes=PART)
    last = at + (blocks - 1) * SIZE * LANES
    merge_keys(keys, last, LANES, batch, 0, rest=False, lanes=PART)


@_jit.routine
def lower_limit(lists, row, want):
    """Lower the limits to the distances of the last of the nearest candidates, and make room."""
    near, limit, after = lists.near, lists.limit_bits, lists.next
    last = (row * (lists.room + 1) + want - 1) * LANES
    end = (row * lists.room + lists.blocks * SIZE) * LANES
    for lane in range(LANES):
        which = np.uint64(row * LANES + lane)
        bits = (near[np.uint64(last + lane)] >> 32) - NORMAL
        limit[which] = minimum(bits, limit[which])
        after[which] = end + lane


@_jit.routine
def merge_new(lists, row, want):
    """Merge the new candidates of a row of references with the nearest ones."""
    room, blocks, keys, batch, after = lists.room, lists.blocks, lists.keys, lists.batch, lists.next
    most = after[row * LANES]
    for lane in range(1, LANES):
        most = maximum(most, after[np.uint64(row * LANES + lane)])
    none = splat(NONE, PART)
    begin = row * (room + 1) * LANES
    for first in range((row * room + blocks * SIZE) * LANES, most, SIZE * LANES):
        for part in range(0, LANES, PART):
            ends = load(after, row * LANES + part, PART)
            for k in range(SIZE):
                at = first + k * LANES
                key = load(keys, at + row * LANES + part, PART)
                store(batch, k * PART, keep_lt(splat(at + LANES - 1, PART), ends, key, none))
            insert(keys, begin + part, blocks, batch)
    lower_limit(lists, row, want)


@_jit.routine
def merge_first(lists, row, want, bits, apart, codes):
    """Make the first displacements the candidates of a row of references.

    The bits of their distances are `apart` from one displacement to the next.
    """
    room, blocks, keys, batch = lists.room, lists.blocks, lists.keys, lists.batch
    none = splat(NONE, PART)
    begin = row * (room + 1) * LANES
    for k in range(LANES // PART * blocks * SIZE):
        store(keys, begin + k * PART, none)
    count = len(codes)
    if not mask_le(splat(np.int32(0), LANES), load(lists.bound_bits, row * LANES, LANES)):
        count = 0  # no block can match
    for first in range(0, count, SIZE):
        for part in range(0, LANES, PART):
            for k in range(first, minimum(first + SIZE, count)):
                at = k * apart + row * LANES + part
                store(batch, (k - first) * PART, keys_of(bits, at, codes[np.uint64(k)], lanes=PART))
            for k in range(count, first + SIZE):
                store(batch, (k - first) * PART, none)
            insert(keys, begin + part, blocks, batch)
    lower_limit(lists, row, want)


@_jit.inlined
def first_key(lists, which):
    """Index of the nearest candidate of a reference; the others follow LANES apart."""
    return which // LANES * (lists.room + 1) * LANES + which % LANES


@_jit.inlined
def matched(lists, which, want):
    """Return the size of the group of a reference and its nearest candidates."""
    near, at = lists.near, first_key(lists, which)
    bound = ((np.int64(lists.bound_bits[which]) + NORMAL + 1) << 32) - 1
    count = np.int64(0)
    for k in range(want):
        count += near[np.uint64(at + k * LANES)] <= bound
    return group_size(count, want)


@_jit.part
def group_size(count, want):
    """Largest power of two for a group of the reference and at most `count` others."""
    size = 1
    while size * 2 <= minimum(count, want) + 1:
        size *= 2
    return size
