"""Variance of every coefficient of a group, from the covariances of pairs of its blocks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import (
    absolute,
    add,
    fma,
    fnma,
    keep_ge,
    load,
    maximum,
    minimum,
    mul,
    splat,
    store,
    store_integers,
    sub,
)
from fastrestore.backends.protocol import LEAST

WIDE = 16  # lanes of vectors over whole blocks


class Reach(NamedTuple):
    """Layout of the covariances of coefficients by the displacement (dy, dx) of two blocks.

    There are `length` floats for each displacement, with dy from 0 to `down`. For symmetric
    covariances dx is the magnitude, up to `across`, and `origin` is 0. Otherwise dx is from -across
    to across.
    """

    down: int
    across: int
    line: int  # floats from one dy to the next
    origin: int  # position of displacement (0, 0)


@_jit.kernel
def pair_places(rows, columns, size, length, reach, places):
    """Compute the positions of the covariances of pairs of blocks; see `Reach`."""
    line = -(-size // WIDE) * WIDE
    zero = splat(np.float32(0), WIDE)
    far = splat(np.float32(reach.across), WIDE)
    farthest = splat(np.float32(reach.down), WIDE)
    down = splat(np.float32(reach.line), WIDE)
    across = splat(np.float32(length), WIDE)
    origin = splat(np.float32(reach.origin), WIDE)
    for a in range(size):
        y = splat(rows[a], WIDE)
        x = splat(columns[a], WIDE)
        for b in range(a // WIDE * WIDE, size, WIDE):
            dy = sub(load(rows, b, WIDE), y)
            dx = sub(load(columns, b, WIDE), x)
            if reach.origin:  # negate both, so that dy is not negative
                upward = keep_ge(dx, dy, zero)
                dx = sub(upward, sub(dx, upward))
                dx = sub(zero, minimum(sub(zero, minimum(dx, far)), far))
            else:
                dx = minimum(absolute(dx), far)
            at = fma(minimum(absolute(dy), farthest), down, fma(dx, across, origin))
            store_integers(places, a * line + b, at)


@_jit.kernel
def group_variance(variance, size, length, tables, places, scale):
    """Compute the exact variance of every coefficient of `haar`.

    The noise has variance 1, or standard deviation `scale` in each of the blocks. If A and B are
    the sums of two halves of a part of the group, ``var(A +- B) = var A + var B +- 2 cov(A, B)``,
    where the covariance is a sum over pairs of blocks. `places` are from `pair_places`; the
    covariance of a block with itself is at ``reach.origin``.
    """
    covariance, origin = tables.covariance, tables.reach.origin
    line = -(-size // WIDE) * WIDE
    least = splat(np.float32(0) if scale is not None else np.float32(LEAST), WIDE)
    for first in range(0, size, 2):
        at = np.int64(places[np.uint64(first * line + first + 1)])
        a = first * length
        both = twice = splat(np.float32(2), WIDE)
        if scale is not None:
            product = scale[first] * scale[first + 1]
            both = splat(scale[first] * scale[first] + scale[first + 1] * scale[first + 1], WIDE)
            twice = splat(product + product, WIDE)
        for i in range(0, length, WIDE):
            own = mul(both, load(covariance, origin + i, WIDE))
            c = load(covariance, at + i, WIDE)
            limit = mul(least, own)
            store(variance, a + i, maximum(fma(twice, c, own), limit))
            store(variance, a + length + i, maximum(fnma(twice, c, own), limit))
    half = 2
    while half < size:
        least = splat(np.float32(0) if scale is not None else np.float32(2 * half * LEAST), WIDE)
        for first in range(0, size, 2 * half):
            for i in range(0, length, 4 * WIDE):
                c0 = c1 = c2 = c3 = splat(np.float32(0), WIDE)  # four sums hide latency
                for a in range(first, first + half):
                    for b in range(first + half, first + 2 * half):
                        at = np.int64(places[np.uint64(a * line + b)]) + i
                        if scale is None:
                            c0 = add(c0, load(covariance, at, WIDE))
                            c1 = add(c1, load(covariance, at + WIDE, WIDE))
                            c2 = add(c2, load(covariance, at + 2 * WIDE, WIDE))
                            c3 = add(c3, load(covariance, at + 3 * WIDE, WIDE))
                        else:
                            product = splat(scale[a] * scale[b], WIDE)
                            c0 = fma(product, load(covariance, at, WIDE), c0)
                            c1 = fma(product, load(covariance, at + WIDE, WIDE), c1)
                            c2 = fma(product, load(covariance, at + 2 * WIDE, WIDE), c2)
                            c3 = fma(product, load(covariance, at + 3 * WIDE, WIDE), c3)
                a = first * length + i
                b = a + half * length
                own = origin + i
                limit0 = mul(least, load(covariance, own, WIDE))
                limit1 = mul(least, load(covariance, own + WIDE, WIDE))
                limit2 = mul(least, load(covariance, own + 2 * WIDE, WIDE))
                limit3 = mul(least, load(covariance, own + 3 * WIDE, WIDE))
                combine_variances(variance, a, b, c0, limit0)
                combine_variances(variance, a + WIDE, b + WIDE, c1, limit1)
                combine_variances(variance, a + 2 * WIDE, b + 2 * WIDE, c2, limit2)
                combine_variances(variance, a + 3 * WIDE, b + 3 * WIDE, c3, limit3)
        half *= 2


@_jit.kernel
def combine_variances(variance, a, b, sums, limit):
    """Convert the variances of two sums to those of their sum and difference, at least `limit`."""
    both = add(load(variance, a, WIDE), load(variance, b, WIDE))
    twice = add(sums, sums)
    store(variance, a, maximum(add(both, twice), limit))
    store(variance, b, maximum(sub(both, twice), limit))
