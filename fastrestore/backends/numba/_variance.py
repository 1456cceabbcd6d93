"""Noise that the blocks of a group share: sums of the covariances of pairs of its blocks.

The variance of a Haar coefficient is computed from two halves of a part of the group. If A and B
are the sums of their blocks, ``var(A +- B) = var A + var B +- 2 cov(A, B)``, where the covariance
is a sum over pairs of blocks. Pairs are stored by octets of blocks: the pair of block a of octet q
and block b of octet r is at ``places[((q * octets + r) * 8 + a) * 8 + b]``. Most pairs of distant
octets do not overlap, and only the others are summed: bit ``8 * a + b`` of `near` is set for them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import (
    absolute,
    add,
    aligned,
    fma,
    keep_ge,
    load,
    mask_le,
    minimum,
    splat,
    store_integers,
    sub,
    trailing_zeros,
)

WIDE = 16  # lanes of vectors over whole blocks
WIDEST = 4 * WIDE  # those of a sum whose parts hide the latency of additions
OCTET = 8


class Reach(NamedTuple):
    """Layout of the covariances of coefficients by the displacement (dy, dx) of two blocks.

    There are `length` floats for each displacement, with dy from 0 to `down`. For symmetric
    covariances dx is the magnitude, up to `across`, and `origin` is 0. Otherwise dx is from -across
    to across. Covariances beyond `near` (dy, dx) are zero.
    """

    down: int
    across: int
    line: int  # floats from one dy to the next
    origin: int  # position of displacement (0, 0)
    near: tuple[float, ...]


class Pairs(NamedTuple):
    """Pairs of blocks of a group; see above."""

    places: NDArray[np.int32]
    near: NDArray[np.uint64]
    scales: NDArray[np.float32]  # of the noise in each block


def pairs_of(most: int) -> Pairs:
    """Allocate memory for groups of up to `most` blocks."""
    octets = -(-most // OCTET)
    return Pairs(
        places=aligned(octets**2 * OCTET**2, np.int32),
        near=aligned(octets**2, np.uint64),
        scales=aligned(most, np.float32),
    )


def nearest(tables: NDArray[Any], farthest: tuple[int, ...]) -> tuple[float, ...]:
    """Largest displacement along each axis where covariances (C, ..) are not zero."""
    near = []
    for axis, far in enumerate(farthest, 1):
        ends = [0, -1] if tables.shape[axis] == 2 * far + 1 else [-1]
        near.append(math.inf if np.take(tables, ends, axis).any() else far - 1.0)
    return tuple(near)


@_jit.part
def find_pairs(rows, columns, size, length, reach, pairs):
    """Compute the positions of the covariances of pairs of blocks; see `Reach`."""
    octets = (size + OCTET - 1) // OCTET
    zero = splat(np.float32(0), OCTET)
    far = splat(np.float32(reach.across), OCTET)
    farthest = splat(np.float32(reach.down), OCTET)
    down = splat(np.float32(reach.line), OCTET)
    across = splat(np.float32(length), OCTET)
    origin = splat(np.float32(reach.origin), OCTET)
    near_y = splat(np.float32(reach.near[0]), OCTET)
    near_x = splat(np.float32(reach.near[1]), OCTET)
    for first in range(octets):
        for second in range(first, octets):
            y = load(rows, second * OCTET, OCTET)
            x = load(columns, second * OCTET, OCTET)
            word = first * octets + second
            near = np.uint64(0)
            for a in range(minimum(OCTET, size)):
                at = first * OCTET + a
                dy = sub(y, splat(rows[at], OCTET))
                dx = sub(x, splat(columns[at], OCTET))
                if reach.origin:  # negate both, so that dy is not negative
                    upward = keep_ge(dx, dy, zero)
                    dx = sub(upward, sub(dx, upward))
                    near_row = mask_le(absolute(dx), near_x)
                    dx = sub(zero, minimum(sub(zero, minimum(dx, far)), far))
                else:
                    dx = absolute(dx)
                    near_row = mask_le(dx, near_x)
                    dx = minimum(dx, far)
                dy = absolute(dy)
                near |= (near_row & mask_le(dy, near_y)) << np.uint64(OCTET * a)
                place = fma(minimum(dy, farthest), down, fma(dx, across, origin))
                store_integers(pairs.places, (word * OCTET + a) * OCTET, place)
            pairs.near[word] = near


@_jit.part
def pair_place(pairs, size, first):
    """Position of the covariance of blocks `first`, which is even, and ``first + 1``."""
    octets = (size + OCTET - 1) >> 3
    word = (first >> 3) * (octets + 1)
    return np.int64(pairs.places[np.uint64((word * OCTET + (first & 7)) * OCTET + (first & 7) + 1)])


@_jit.part
def bits_between(first, half):
    """Bits of pairs of two halves of a part of an octet, which begins at `first`; or all bits."""
    if half >= OCTET:
        return ~np.uint64(0)
    columns = ((np.uint64(1) << np.uint64(half)) - np.uint64(1)) << np.uint64(first + half)
    rows = ((np.uint64(1) << np.uint64(OCTET * half)) - np.uint64(1)) << np.uint64(OCTET * first)
    return (columns * np.uint64(0x0101010101010101)) & rows


@_jit.part
def shared_noise(covariance, pairs, scales, size, first, half, i):
    """Sums of the covariances of all pairs of two halves, for WIDEST coefficients from i.

    The halves of `half` blocks begin at block `first` of a group. `scales` (size,) of the noise in
    each block, or None.
    """
    total = splat(np.float32(0), WIDEST)
    octets = (size + OCTET - 1) >> 3
    left, right, count = first >> 3, (first + half) >> 3, (half + OCTET - 1) >> 3
    wanted = bits_between(first & 7, half)
    for q in range(left, left + count):
        for r in range(right, right + count):
            word = q * octets + r
            near = pairs.near[np.uint64(word)] & wanted
            while near:
                pair = trailing_zeros(near)
                near &= near - np.uint64(1)
                at = np.int64(pairs.places[np.uint64(word * (OCTET * OCTET) + pair)]) + i
                shared = load(covariance, at, WIDEST)
                if scales is None:
                    total = add(total, shared)
                else:
                    a, b = q * OCTET + (pair >> 3), r * OCTET + (pair & 7)
                    total = fma(splat(scales[a] * scales[b], WIDEST), shared, total)
    return total
