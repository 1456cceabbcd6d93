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

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._collaborative.stage import HEAVIEST, LIGHTEST
from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._products import combine, transform_pair
from fastrestore.backends.numba._simd import (
    add,
    aligned,
    div,
    fma,
    keep_ge,
    load,
    mul,
    prefetch,
    splat,
    spread,
    store,
    sub,
    widen,
)
from fastrestore.backends.numba._variance import WIDE, group_variance, pair_places

STRIP = 16  # reference columns done together, so that their pixels stay in the cache


def lanes(block: int) -> int:
    """Lanes of a vector that holds one side of a block."""
    return 8 if block <= 8 else 16


def stride(block: int) -> int:
    """Floats from one block of a group to the next: whole fours of wide vectors, the rest zero."""
    return -(-block * lanes(block) // (4 * WIDE)) * 4 * WIDE


class Scratch(NamedTuple):
    """Working memory of a part."""

    group: NDArray[np.float32]
    pilot: NDArray[np.float32]
    variance: NDArray[np.float32]
    weighted: NDArray[np.float32]
    columns: NDArray[np.float32]
    vectors: NDArray[np.float32]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    y_float: NDArray[np.float32]
    x_float: NDArray[np.float32]
    places: NDArray[np.int32]
    scales: NDArray[np.float32]


def scratch(block: int, most: int) -> Scratch:
    """Make the working memory for groups of up to so many blocks."""
    length = stride(block)
    most = max(2, most)
    return Scratch(
        group=aligned(most * length, np.float32),
        pilot=aligned(most * length, np.float32),
        variance=aligned(most * length, np.float32),
        weighted=aligned(length, np.float32),
        columns=aligned(length, np.float32),
        vectors=aligned(2 * length, np.float32),
        y=np.empty(most, np.int64),
        x=np.empty(most, np.int64),
        y_float=aligned(most + WIDE, np.float32),
        x_float=aligned(most + WIDE, np.float32),
        places=aligned((most + WIDE) ** 2, np.int32),
        scales=aligned(most, np.float32),
    )


@_jit.kernel
def haar(group, size, length):
    """Haar without scaling, in place, but for its first step.

    Coefficient k covers lowbit(k) blocks on either side.
    """
    half = 2
    while half < size:
        for first in range(0, size, 2 * half):
            butterflies(group, first * length, half * length, length)
        half *= 2


@_jit.kernel
def haar_back(group, size, length):
    """Undo `haar`, for coefficients that were divided by the number of their blocks."""
    half = size // 2
    while half > 1:
        for first in range(0, size, 2 * half):
            butterflies(group, first * length, half * length, length)
        half //= 2


@_jit.kernel
def butterflies(group, at, apart, length):
    """Sum and difference of two blocks of `length` floats, in place."""
    for i in range(at, at + length, WIDE):
        a = load(group, i, WIDE)
        b = load(group, i + apart, WIDE)
        store(group, i, add(a, b))
        store(group, i + apart, sub(a, b))


@_jit.kernel
def blocks_of(k, size):
    """Count the blocks that Haar coefficient k of a group is made of."""
    return size if k == 0 else 2 * (k & -k)


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
    return weight_of(lane_sum(total, variance))


@_jit.kernel
def sharpen(group, size, length, root):
    """Take roots of what is kept of a group, over its mean, in place: small details gain most."""
    mean = abs(group[0]) * math.sqrt(size)
    if mean == 0:
        return
    for k in range(size):
        unit = math.sqrt(blocks_of(k, size)) / mean
        for i in range(1 if k == 0 else 0, length):
            c = group[k * length + i]
            if c != 0:
                group[k * length + i] = c * (abs(c) * unit) ** (root - 1)


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
    return weight_of(lane_sum(total, variance))


@_jit.kernel
def weight_of(noise):
    """Weight of a group that so much noise is left in."""
    return np.float32(1) / min(max(noise, np.float32(1 / HEAVIEST)), np.float32(1 / LIGHTEST))


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


@_jit.kernel
def call_up(blocks, guide, y, x, shifts, count, across, width, floats):
    """Ask for the blocks of a group, while another is filtered: they lie far apart."""
    for k in range(count):
        at = (y + shifts[k, 0]) * across + (x + shifts[k, 1]) * width
        for line in range(0, floats + WIDE, WIDE):
            prefetch(blocks, at + line)
            prefetch(guide, at + line)


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
        vertical, covariance, reach, strength, root, scale, rounder, numerator, weights, tmp,
    ):  # fmt: skip
        """Filter the groups of a part of the references, at rows x columns of its own coordinates.

        lifted, guide (rows, columns, lanes); offsets, sizes as in `Matches`, of which the part
        has those from (above, before) on; forward
        (coefficient, pixel); back with the window in both: horizontal (pixel, coefficient),
        vertical (coefficient, lanes); covariance laid out by `reach`; strength and root as above;
        scale (rows, columns) of the noise in each block, or None; numerator, weights
        (columns, rows) float64. Adding and taking away `rounder` rounds to the quantum.
        """
        across = lifted.shape[1] * width
        noisy_blocks = lifted.reshape(-1)
        guide_blocks = guide.reshape(-1)
        flat = numerator.reshape(-1)
        down = numerator.shape[1]
        big = splat(rounder, width)
        group, pilot, variance, weighted, columns_out, scratch = tmp[:6]
        y, x, y_float, x_float, places, scales = tmp[6:]
        for n in range(len(rows) * len(columns)):
            i, j = in_strips(n, len(rows), len(columns))
            count = sizes[above + i, before + j]
            size = max(2, count)  # a group of one is filtered as if it were there twice
            shifts = offsets[above + i, before + j]
            if n + 1 < len(rows) * len(columns):
                i1, j1 = in_strips(n + 1, len(rows), len(columns))
                call_up(
                    noisy_blocks, guide_blocks, rows[i1], columns[j1],
                    offsets[above + i1, before + j1], sizes[above + i1, before + j1],
                    across, width, block * width,
                )  # fmt: skip
            for k in range(size):
                dy = shifts[k, 0] if k < count else 0
                dx = shifts[k, 1] if k < count else 0
                y[k] = rows[i] + dy
                x[k] = columns[j] + dx
                y_float[k] = dy
                x_float[k] = dx
            pair_places(y_float, x_float, size, length, reach, places)
            if scale is None:
                group_variance(variance, size, length, covariance, reach.origin, places, None)
            else:
                for k in range(size):
                    scales[k] = scale[y[k], x[k]]
                group_variance(variance, size, length, covariance, reach.origin, places, scales)
            for k in range(0, size, 2):
                a = y[k] * across + x[k] * width
                b = y[k + 1] * across + x[k + 1] * width
                to = k * length
                transform_pair(
                    group,
                    to,
                    to + length,
                    width,
                    forward,
                    noisy_blocks,
                    a,
                    b,
                    width,
                    block,
                    width,
                    there,
                )
                if wiener:
                    transform_pair(
                        pilot,
                        to,
                        to + length,
                        width,
                        forward,
                        guide_blocks,
                        a,
                        b,
                        width,
                        block,
                        width,
                        there,
                    )
            haar(group, size, length)
            if wiener:
                haar(pilot, size, length)
                weight = shrink_wiener(group, pilot, variance, size, length, strength)
            else:
                weight = shrink_hard(group, variance, size, length, strength)
                if root != 1:
                    sharpen(group, size, length, root)
            haar_back(group, size, length)
            factor = splat(weight, width)
            for u in range(0, block * width, width):
                store(weighted, u, mul(load(vertical, u, width), factor))
            for k in range(0, size, 2):
                at = k * length
                transform_pair(
                    scratch,
                    0,
                    length,
                    width,
                    horizontal,
                    group,
                    at,
                    at + length,
                    width,
                    block,
                    width,
                    back,
                )
                for n in range(2):
                    combine(columns_out, 0, scratch, n * length, weighted, block, block, width)
                    y0 = y[k + n]
                    x0 = x[k + n]
                    for c in range(block):
                        column = sub(add(load(columns_out, c * width, width), big), big)
                        at = (x0 + c) * down + y0
                        store(flat, at, add(load(flat, at, width), widen(column)))
                    weights[x0, y0] += (weight + rounder) - rounder

    return filter_band
