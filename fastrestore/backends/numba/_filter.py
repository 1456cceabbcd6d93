"""Collaborative filtering of the groups of a band, and their aggregation.

The vertical half of the 2-D transform is done once for every pixel position beforehand
(`lift`), so that a block is N consecutive vectors, one for each of its columns, and only the
horizontal half is left for each block of a group. Back, the two halves carry the aggregation
window in their matrices, and blocks come out as columns: accumulators are transposed images.

Haar across the group adds and subtracts without scaling. A coefficient of 2**l blocks is then
2**(l/2) times too large; variances count that in, and the way back divides by 2**l.

Weighted pixels are rounded to multiples of a fixed quantum before they are added in float64.
Such sums are exact, so the result does not depend on the order of the groups, nor on how an
image was cut into bands or tiles.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._simd import (
    absolute,
    add,
    combine,
    div,
    fma,
    keep_ge,
    load,
    minimum,
    mul,
    splat,
    spread,
    store,
    store_integers,
    sub,
    transform,
    widen,
)

WIDE = 16  # lanes of what runs over whole blocks
STRIP = 16  # reference columns done together, so that their pixels stay in the cache


def lanes(block: int) -> int:
    """Lanes of a vector that holds one side of a block."""
    return 8 if block <= 8 else 16


def stride(block: int) -> int:
    """Floats from one block of a group to the next: whole fours of wide vectors, the rest zero."""
    return -(-block * lanes(block) // (4 * WIDE)) * 4 * WIDE


@_jit.kernel
def aligned(size):
    """Zeros that begin on a cache line: a wide vector across two lines costs double."""
    memory = np.zeros(size + WIDE, np.float32)
    first = -(memory.ctypes.data // 4) % WIDE
    return memory[first : first + size]


@_jit.kernel
def haar(group, size, length):
    """Haar without scaling, in place: coefficient k covers lowbit(k) blocks on either side."""
    half = 1
    while half < size:
        for first in range(0, size, 2 * half):
            for i in range(first * length, (first + 1) * length, WIDE):
                a = load(group, i, WIDE)
                b = load(group, i + half * length, WIDE)
                store(group, i, add(a, b))
                store(group, i + half * length, sub(a, b))
        half *= 2


@_jit.kernel
def haar_back(group, size, length):
    """Undo `haar`, for coefficients that were divided by the number of their blocks."""
    half = size // 2
    while half > 0:
        for first in range(0, size, 2 * half):
            for i in range(first * length, (first + 1) * length, WIDE):
                a = load(group, i, WIDE)
                b = load(group, i + half * length, WIDE)
                store(group, i, add(a, b))
                store(group, i + half * length, sub(a, b))
        half //= 2


@_jit.kernel
def blocks_of(k, size):
    """Count the blocks that Haar coefficient k of a group is made of."""
    return size if k == 0 else 2 * (k & -k)


@_jit.kernel
def group_variance(variance, rows, columns, size, length, overlap, reach, places, scratch):
    """Variance of every coefficient of `haar` for white noise of variance 1, exactly.

    With A and B the sums of two halves of a part of the group, ``var(A +- B) = var A + var B
    +- 2 cov(A, B)``, and the covariance is a sum over pairs of blocks. rows and columns of the
    blocks are float32, with room for whole vectors, as is places, int32; overlap (reach + 1,
    reach + 1, length) has it for two blocks dy, dx apart, zero from `reach` on.
    """
    line = -(-size // WIDE) * WIDE
    far = splat(np.float32(reach), WIDE)
    down = splat(np.float32((reach + 1) * length), WIDE)
    across = splat(np.float32(length), WIDE)
    for a in range(size):
        y = splat(rows[a], WIDE)
        x = splat(columns[a], WIDE)
        for b in range(a // WIDE * WIDE, size, WIDE):
            dy = minimum(absolute(sub(load(rows, b, WIDE), y)), far)
            dx = minimum(absolute(sub(load(columns, b, WIDE), x)), far)
            store_integers(places, a * line + b, fma(dy, down, mul(dx, across)))
    one = splat(np.float32(1), WIDE)
    for i in range(0, size * length, WIDE):
        store(variance, i, one)
    half = 1
    while half < size:
        for first in range(0, size, 2 * half):
            for i in range(0, length, 4 * WIDE):
                c0 = c1 = c2 = c3 = splat(np.float32(0), WIDE)  # four sums hide an addition's delay
                for a in range(first, first + half):
                    for b in range(first + half, first + 2 * half):
                        at = places[a * line + b] + i
                        c0 = add(c0, load(overlap, at, WIDE))
                        c1 = add(c1, load(overlap, at + WIDE, WIDE))
                        c2 = add(c2, load(overlap, at + 2 * WIDE, WIDE))
                        c3 = add(c3, load(overlap, at + 3 * WIDE, WIDE))
                store(scratch, 0, c0)
                store(scratch, WIDE, c1)
                store(scratch, 2 * WIDE, c2)
                store(scratch, 3 * WIDE, c3)
                for k in range(0, 4 * WIDE, WIDE):
                    a = first * length + i + k
                    b = a + half * length
                    both = add(load(variance, a, WIDE), load(variance, b, WIDE))
                    twice = load(scratch, k, WIDE)
                    twice = add(twice, twice)
                    store(variance, a, add(both, twice))
                    store(variance, b, sub(both, twice))
        half *= 2


@_jit.kernel
def shrink_hard(group, variance, size, length, threshold):
    """Hard thresholding in place; return the weight of the group, 1 / sum of kept variances.

    threshold (2, length): lambda**2 sigma**2, for coefficient 0 and for the others.
    """
    total = splat(np.float32(0), WIDE)
    for k in range(size):
        scale = splat(np.float32(1 / blocks_of(k, size)), WIDE)
        for i in range(0, length, WIDE):
            c = load(group, k * length + i, WIDE)
            v = load(variance, k * length + i, WIDE)
            limit = mul(load(threshold, min(k, 1) * length + i, WIDE), v)
            energy = mul(c, c)
            total = add(total, keep_ge(mul(v, scale), energy, limit))
            store(group, k * length + i, keep_ge(mul(c, scale), energy, limit))
    return np.float32(1) / lane_sum(total, variance)


@_jit.kernel
def shrink_wiener(group, guide, variance, size, length, noise):
    """Wiener filtering of `group` by `guide` in place; return the weight, 1 / sum of v gain**2.

    noise (2, length): mu**2 sigma**2, for coefficient 0 and for the others.
    """
    total = splat(np.float32(0), WIDE)
    least = splat(np.finfo(np.float32).tiny, WIDE)
    for k in range(size):
        scale = splat(np.float32(1 / blocks_of(k, size)), WIDE)
        for i in range(0, length, WIDE):
            p = load(guide, k * length + i, WIDE)
            v = load(variance, k * length + i, WIDE)
            energy = fma(p, p, least)
            mean = mul(load(noise, min(k, 1) * length + i, WIDE), v)
            gain = div(energy, add(energy, mean))
            gain_scaled = mul(gain, scale)
            total = fma(mul(v, gain), gain_scaled, total)
            store(group, k * length + i, mul(load(group, k * length + i, WIDE), gain_scaled))
    return np.float32(1) / lane_sum(total, variance)


@_jit.kernel
def lane_sum(vector, scratch):
    """Sum of the lanes, in their order; overwrites the start of `scratch`."""
    store(scratch, 0, vector)
    total = np.float32(0)
    for i in range(WIDE):
        total += scratch[i]
    return total


@_jit.kernel
def in_strips(n, rows, columns):
    """Row and column of the n-th reference, all rows of a strip of columns before the next."""
    first = n // (rows * STRIP) * STRIP
    width = min(STRIP, columns - first)
    rest = n - rows * first
    return rest // width, first + rest % width


@_jit.once
def lift_kernel(block: int) -> Callable[..., None]:
    """Compile the vertical half of the transform at every position."""
    width = lanes(block)

    @_jit.kernel
    def lift(image, top, left, matrix, out):
        """Out (rows, columns, lanes): transform of ``image[y : y + block, x]``.

        matrix (block, lanes): sample, coefficient.
        """
        across = image.shape[1]
        pixels = image.reshape(-1)
        flat = out.reshape(-1)
        for y in range(out.shape[0]):
            for x in range(out.shape[1]):
                at = (top + y) * across + left + x
                total = mul(spread(pixels, at, width), load(matrix, 0, width))
                for n in range(1, block):
                    pixel = spread(pixels, at + n * across, width)
                    total = fma(pixel, load(matrix, n * width, width), total)
                store(flat, (y * out.shape[1] + x) * width, total)

    return lift


@_jit.once
def filter_kernel(block: int, wiener: bool, even_odd: bool) -> Callable[..., None]:
    """Compile the filtering of groups of blocks of one size.

    `even_odd` says that the rows of the transform are even and odd in turn, as those of the DCT.
    One function, because Numba's cache does not recognise a kernel that closes over another.
    """
    width = lanes(block)
    length = stride(block)
    there = "even-odd rows" if even_odd else "any"
    back = "even-odd columns" if even_odd else "any"

    @_jit.kernel
    def filter_band(
        lifted, guide, rows, columns, offsets, sizes, above, before, forward, horizontal,
        vertical, overlap, strength, rounder, numerator, weights,
    ):  # fmt: skip
        """Filter the groups of a part of the references, at rows x columns of its own coordinates.

        lifted, guide (rows, columns, lanes); offsets, sizes as in `Matches`, of which the part
        has those from (above, before) on; forward
        (coefficient, pixel); back with the window in both: horizontal (pixel, coefficient),
        vertical (coefficient, lanes); overlap and strength as above; numerator, weights
        (columns, rows) float64. Adding and taking away `rounder` rounds to the quantum.
        """
        most = offsets.shape[2]
        across = lifted.shape[1] * width
        noisy_blocks = lifted.reshape(-1)
        guide_blocks = guide.reshape(-1)
        flat = numerator.reshape(-1)
        down = numerator.shape[1]
        big = splat(rounder, width)
        group = aligned(most * length)
        pilot = aligned(most * length if wiener else 1)
        variance = aligned(most * length)
        weighted = aligned(length)
        columns_out = aligned(length)
        scratch = aligned(length)  # at least four wide vectors
        y = np.empty(most, np.int64)
        x = np.empty(most, np.int64)
        covariances = aligned(len(overlap))
        covariances[:] = overlap
        y_float = np.zeros(most + WIDE, np.float32)
        x_float = np.zeros(most + WIDE, np.float32)
        places = np.empty((most + WIDE) * (most + WIDE), np.int32)
        for n in range(len(rows) * len(columns)):
            i, j = in_strips(n, len(rows), len(columns))
            size = sizes[above + i, before + j]
            shifts = offsets[above + i, before + j]
            for k in range(size):
                y[k] = rows[i] + shifts[k, 0]
                x[k] = columns[j] + shifts[k, 1]
                y_float[k] = shifts[k, 0]
                x_float[k] = shifts[k, 1]
            group_variance(
                variance, y_float, x_float, size, length, covariances, block, places, scratch
            )
            for k in range(size):
                at = y[k] * across + x[k] * width
                transform(group, k * length, forward, noisy_blocks, at, block, width, there)
                if wiener:
                    transform(pilot, k * length, forward, guide_blocks, at, block, width, there)
            haar(group, size, length)
            if wiener:
                haar(pilot, size, length)
                weight = shrink_wiener(group, pilot, variance, size, length, strength)
            else:
                weight = shrink_hard(group, variance, size, length, strength)
            haar_back(group, size, length)
            scale = splat(weight, width)
            for u in range(0, block * width, width):
                store(weighted, u, mul(load(vertical, u, width), scale))
            for k in range(size):
                transform(scratch, 0, horizontal, group, k * length, block, width, back)
                combine(columns_out, 0, scratch, weighted, block, width)
                for c in range(block):
                    column = sub(add(load(columns_out, c * width, width), big), big)
                    at = (x[k] + c) * down + y[k]
                    store(flat, at, add(load(flat, at, width), widen(column)))
                weights[x[k], y[k]] += (weight + rounder) - rounder

    return filter_band
