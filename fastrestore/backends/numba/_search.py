"""Predictive search of V-BM3D: the most similar blocks of several frames for each reference.

Similar blocks are searched for in the frame of the reference, then from frame to frame, forward and
backward, around the best blocks of the previous frame. Sixteen adjacent displacements are one
vector, and eight rows of them are summed at a time. Candidates are keys as in `_match`, so that
equal distances are in order of frame, row and column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._candidates import KEYS, LANES
from fastrestore.backends.numba._products import distances
from fastrestore.backends.numba._simd import (
    add,
    count_less,
    load,
    mask_le,
    minimum,
    splat,
    store,
)
from fastrestore.backends.numba._trails import (
    BITS,
    MIDDLE,
    NO_KEY,
    TILE,
    consider,
    consider_row,
    copy,
    sift,
)

MASK = (1 << BITS) - 1
FARTHEST = MIDDLE - 64  # longest trail that fits in BITS
ALL_BITS = np.uint64((1 << LANES) - 1)


class Frames(NamedTuple):
    """Frames to search in.

    pixels: frames (slots, height, across), infinite in the columns from `width` on, and with TILE
    additional rows at the end.
    """

    pixels: NDArray[np.float32]
    height: int
    width: int
    across: int
    pitch: int  # rows from one frame to the next in the tall image of the groups


class Search(NamedTuple):
    """Parameters of the search; `bias` is (1, 1) for white noise."""

    radius: int  # of windows in the frame of the reference
    predict: int  # in adjacent frames
    follow: int  # in all other frames
    bound: np.float32  # largest distance of a match
    bonus: np.float32  # subtracted from the distance of a block at the reference's position
    # Added to distances in the same frame, zero beyond the window; and in other frames
    bias: NDArray[np.float32]  # (2 radius + 1 + TILE, 2 radius + 1 + LANES)
    bias_apart: np.float32


class References(NamedTuple):
    """References at rows x columns of the frame ``slots[center]``; slots in order of time."""

    slots: NDArray[np.int64]
    center: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


@_jit.kernel
def write_out(scratch, want, pitch, slots, center, offsets):
    """Write the offsets (group, 2) in the tall image, the reference first; return their number."""
    near, filled, order = scratch.near, scratch.filled, scratch.order
    if filled[0] > want + want // 2:
        sift(near, filled, 0, len(near), want)
    count = np.int64(filled[0])
    for k in range(0, count, KEYS):
        mine = load(near, k, KEYS)
        less = splat(np.int64(0), KEYS)
        for other in range(count):
            less = count_less(less, splat(near[other], KEYS), mine)
        store(order, k, less)
    size = 1  # with the reference, a power of two
    while size * 2 <= min(count, want) + 1:
        size *= 2
    for k in range(count):
        place = order[k] + 1
        if place < size:
            code = near[k] & ((1 << 32) - 1)
            frame = code >> 2 * BITS
            between = (slots[frame] - slots[center]) * pitch
            offsets[place, 0] = between + ((code >> BITS) & MASK) - MIDDLE
            offsets[place, 1] = (code & MASK) - MIDDLE
    return size


@_jit.kernel
def follow_trail(scratch, y, x, bottom, right, first):
    """Set the windows of a frame around the predicted trail; return their number.

    In the `first` frame next to that of the reference there is no motion estimate yet. After that,
    constant velocity is assumed. Centers of windows are block corners, at most (bottom, right), and
    within FARTHEST pixels of the reference.
    """
    trail, windows = scratch.trail, scratch.windows
    parent, origin = scratch.parent, scratch.origin
    for k in range(len(trail)):
        if trail[k] == NO_KEY:
            return k
        code = trail[k] & ((1 << 32) - 1)
        v = y + ((code >> BITS) & MASK) - MIDDLE
        u = x + (code & MASK) - MIDDLE
        from_v = v if first else origin[0, parent[k], 0]
        from_u = u if first else origin[0, parent[k], 1]
        windows[k, 0] = min(max(0, y - FARTHEST, 2 * v - from_v), bottom, y + FARTHEST)
        windows[k, 1] = min(max(0, x - FARTHEST, 2 * u - from_u), right, x + FARTHEST)
        origin[1, k, 0] = v
        origin[1, k, 1] = u
    return len(trail)


@_jit.kernel
def add_bias(found, bias, across, at, same_frame, apart):
    """Add the bias of blocks that share noise to a tile of distances."""
    for t in range(TILE):
        more = splat(apart, LANES)
        if same_frame:
            more = load(bias, at + t * across, LANES)
        store(found, t * LANES, add(load(found, t * LANES, LANES), more))


@_jit.kernel
def none_within(found, limit):
    """Whether all distances of a tile, complete or partial, exceed a limit."""
    least = load(found, 0, LANES)
    for t in range(1, TILE):
        least = minimum(least, load(found, t * LANES, LANES))
    return mask_le(least, splat(limit, LANES)) == 0


@_jit.once
def search_kernel(block: int) -> Callable[..., None]:
    """Compile the search for blocks of one size."""
    half = block // 2

    @_jit.kernel
    def search_rows(frames, search, references, offsets, sizes, scratch):
        """Find the matches of references; offsets and sizes of these as in `Matches`."""
        flat, height, width, across, pitch = frames
        radius, predict, follow, bound, bonus, bias, apart = search
        slots, center, rows, columns = references
        filled, limit, found = scratch.filled, scratch.limit, scratch.found
        trail, start, origin = scratch.trail, scratch.start, scratch.origin
        pixels, windows = scratch.pixels, scratch.windows
        want = offsets.shape[2] - 1
        bias_of = bias.reshape(-1)
        single = len(trail) == 1
        for i in range(len(rows)):
            for j in range(len(columns)):
                y = rows[i]
                x = columns[j]
                at = (slots[center] * height + y) * across + x
                for k in range(block):
                    for n in range(block):
                        pixels[k * block + n] = flat[at + k * across + n]
                filled[0] = 0
                limit[0] = bound
                # The frame itself, then those after it, then those before it
                for turn in range(len(slots)):
                    frame = center + turn
                    if turn >= len(slots) - center:
                        frame = center - 1 - (turn - (len(slots) - center))
                    beside = abs(frame - center) == 1
                    reach = predict if beside else follow
                    count = 0
                    if turn == 0:
                        reach = radius
                        windows[0, 0] = y
                        windows[0, 1] = x
                        count = 1
                    else:
                        if frame == center - 1:
                            copy(start, trail)
                        count = follow_trail(scratch, y, x, height - block, width - block, beside)
                        for k in range(count):
                            origin[0, k, 0] = origin[1, k, 0]
                            origin[0, k, 1] = origin[1, k, 1]
                    trail[:] = NO_KEY
                    limit[1] = np.inf
                    if turn == 0:  # the reference is the first of its trail
                        code = (frame << 2 * BITS) | (MIDDLE << BITS) | MIDDLE
                        trail[0] = code - (np.int64(1) << 40)
                        if len(trail) == 1:
                            limit[1] = -1
                    extra = bonus if turn > 0 else np.float32(0)
                    base = slots[frame] * height
                    for window in range(count):
                        top = max(0, windows[window, 0] - reach)
                        bottom = min(height - block, windows[window, 0] + reach)
                        left = max(0, windows[window, 1] - reach)
                        right = min(width - block, windows[window, 1] + reach)
                        # Center first, because it lowers the limit most
                        tiles = (bottom - top) // TILE + 1
                        middle = max(0, min(tiles - 1, (windows[window, 0] - top) // TILE))
                        for tile in range(-1, tiles):
                            if tile == middle:
                                continue
                            v = top + (middle if tile < 0 else tile) * TILE
                            for u in range(left, right + 1, LANES):
                                begin = (base + v) * across + u
                                distances(
                                    found, flat, begin, across, pixels, size=block, first=0,
                                    last=half, tile=TILE, lanes=LANES,
                                )  # fmt: skip
                                still = extra > 0 and v <= y < v + TILE and u <= x < u + LANES
                                if none_within(found, max(limit[0], limit[1])) and not still:
                                    continue
                                distances(
                                    found, flat, begin, across, pixels, size=block, first=half,
                                    last=block, tile=TILE, lanes=LANES,
                                )  # fmt: skip
                                if len(bias) > 1:
                                    add_bias(
                                        found, bias_of, bias.shape[1],
                                        (v - y + radius) * bias.shape[1] + u - x + radius,
                                        turn == 0, apart,
                                    )  # fmt: skip
                                v0, u0 = windows[0, 0] - v, windows[0, 1] - u
                                if single and 0 <= v0 < TILE and 0 <= u0 < LANES:
                                    # The predicted block limits the distance of the best
                                    limit[1] = min(limit[1], found[v0 * LANES + u0])
                                live = ALL_BITS
                                if right - u < LANES - 1:
                                    live = np.uint64((1 << (right - u + 1)) - 1)
                                for t in range(min(TILE, bottom + 1 - v)):
                                    worst = max(limit[0], limit[1])
                                    bits = live & mask_le(
                                        load(found, t * LANES, LANES), splat(worst, LANES)
                                    )
                                    if turn == 0 and v + t == y and u <= x < u + LANES:
                                        bits &= ~(np.uint64(1) << np.uint64(x - u))  # itself
                                    if extra > 0 and v + t == y and u <= x < u + LANES:
                                        bits |= live & (np.uint64(1) << np.uint64(x - u))
                                        if single:
                                            at = t * LANES + x - u
                                            found[at] = max(np.float32(0), found[at] - extra)
                                    if bits and single:
                                        code = (frame << 2 * BITS) | ((v + t - y + MIDDLE) << BITS)
                                        code += u - x + MIDDLE
                                        consider_row(scratch, bits, t, code, want)
                                    elif bits:
                                        consider(
                                            scratch, bits, (frame, v + t, u), (y, x), row=t,
                                            bonus=extra, window=window, radius=reach, want=want,
                                        )  # fmt: skip
                    if turn == 0:
                        copy(trail, start)
                sizes[i, j] = write_out(scratch, want, pitch, slots, center, offsets[i, j])

    return search_rows
