"""Collaborative filtering of the groups of a band, and their aggregation.

The vertical half of the 2-D transform is computed once for every pixel position (`lift`). A block
is then N consecutive vectors, one for each of its columns, and only the horizontal half is computed
for each block of a group. The matrices of the inverse transform include the aggregation window.
Blocks are computed column by column, so accumulators are transposed images.

The Haar transform across the group adds and subtracts without scaling. A coefficient of 2**l blocks
is then 2**(l/2) times too large; variances include this factor, and the inverse divides by 2**l.

Weighted pixels are rounded to multiples of a fixed quantum before they are added in float64. Such
sums are exact, so the result depends neither on the order of the groups nor on the division of an
image into bands or tiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._products import combine, lift_block, transform_pair_if
from fastrestore.backends.numba._shrink import Group, haar_back, sharpen, shrink
from fastrestore.backends.numba._simd import (
    add,
    aligned,
    flattened,
    fma,
    load,
    maximum,
    minimum,
    mul,
    prefetch,
    splat,
    spread,
    store,
    sub,
    widen,
)
from fastrestore.backends.numba._variance import WIDE, Pairs, find_pairs, pairs_of

STRIP = 16  # reference columns filtered together, so that their pixels remain in the cache

# Weighted pixels are summed in multiples of this quantum q. A float64 sum of multiples of q is
# exact, hence independent of the order, below 2**53 q. A pixel is a sum of a hundred to ten
# thousand numbers of the size of the data, which is about 1. And 2**-34 is far below the resolution
# of float32, even in a block of weight 1/1024.
QUANTUM = 2.0**-34
ROUNDER = np.float32(1.5 * 2**23 * QUANTUM)  # adding and subtracting it rounds to the quantum


def lanes(block: int) -> int:
    """Lanes of a vector that holds one column of a block."""
    return 8 if block <= 8 else 16


def stride(block: int) -> int:
    """Floats from one block of a group to the next: a multiple of four wide vectors."""
    return -(-block * lanes(block) // (4 * WIDE)) * 4 * WIDE


class Blocks(NamedTuple):
    """Half-transformed blocks at every position, (rows, columns, lanes), see `lift_kernel`.

    Or images (rows, columns), see `filter_kernel`.
    """

    noisy: NDArray[np.float32]
    pilot: NDArray[np.float32]  # the same array in the basic stage


class Groups(NamedTuple):
    """Groups of a part of the references.

    Corners are relative to the blocks of the part. Offsets and sizes are those of all references,
    as in `Matches`; those of the part begin at (above, before).
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    offsets: NDArray[np.signedinteger[Any]]
    sizes: NDArray[np.int16]
    above: int
    before: int


class Tables(NamedTuple):
    """Matrices and variances of one channel in the layout of the kernels."""

    lift: NDArray[np.float32]  # (N, lanes): sample, coefficient
    forward: NDArray[np.float32]  # (N * N,): coefficient, sample
    horizontal: NDArray[np.float32]  # (N * N,): pixel, coefficient; times the window
    vertical: NDArray[np.float32]  # (N, lanes): coefficient, pixel; times the window
    covariance: NDArray[np.float32]  # (places * length,), laid out by `reach`
    reach: Any  # of this module's or `_cubes_filter`'s type `Reach`
    strength: NDArray[np.float32]  # ((levels + 1) * length,): see `strength_table`
    root: np.float32  # exponent of sharpening; 1 for none
    shares: NDArray[np.float32]  # see `size_shares`


class Kind(NamedTuple):
    """What a stage does, known when a kernel runs: one kernel, compiled once, serves all stages."""

    wiener: bool
    folded: bool  # rows of the transform are alternately even and odd, as those of the DCT


class Sums(NamedTuple):
    """Sums of weighted pixels, and of the weights by corner; transposed (columns, rows)."""

    numerator: NDArray[np.float64]
    weights: NDArray[np.float64]


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
    pairs: Pairs


def scratch(block: int, most: int) -> Scratch:
    """Allocate the working memory for groups of up to `most` blocks."""
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
        pairs=pairs_of(most),
    )


@_jit.part
def in_strips(n, rows, columns):
    """Row and column of the n-th reference, in strips of columns."""
    first = n // (rows * STRIP) * STRIP
    width = minimum(STRIP, columns - first)
    rest = n - rows * first
    return rest // width, first + rest % width


@_jit.part
def place_blocks(shifts, count, row, column, scratch):
    """Write the corners and offsets of the blocks of a group, of a pair of equal blocks at least.

    shifts (count, 2): their offsets from the reference at (row, column).
    """
    scratch.y[1], scratch.x[1] = row, column
    scratch.y_float[1] = scratch.x_float[1] = 0
    for k in range(count):
        scratch.y[k] = row + shifts[k, 0]
        scratch.y_float[k] = shifts[k, 0]
    for k in range(count):
        scratch.x[k] = column + shifts[k, 1]
        scratch.x_float[k] = shifts[k, 1]


@_jit.part
def prefetch_group(blocks, guide, start, shifts, count, across, width, parts, floats):
    """Prefetch the scattered blocks of the group of the reference at `start`.

    A block has `parts` of so many floats, one below the other.
    """
    for k in range(count):
        at = start + shifts[k, 0] * across + shifts[k, 1] * width
        for _ in range(parts):
            for line in range(0, floats + WIDE, WIDE):
                prefetch(blocks, at + line)
                prefetch(guide, at + line)
            at += across


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
        pixels = flattened(image)
        flat = flattened(out)
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
def filter_kernel(block: int, from_image: bool = False) -> Callable[..., None]:
    """Compile the filtering of groups of blocks of one size.

    It is one function, because Numba's cache does not support kernels that close over others.
    `from_image`: blocks are read from images and transformed completely. That takes less time if
    their half-transformed blocks, which need `lanes` times the memory, are not in the cache.
    """
    width = lanes(block)
    length = stride(block)
    # Of a block in memory: distance of adjacent positions, parts, and elements of a part
    apart = 1 if from_image else width
    parts, line = (block, block) if from_image else (1, block * width)

    @_jit.kernel
    def filter_band(blocks, groups, tables, kind, scale, sums, scratch):
        """Filter the groups of a part of the references and add them to its sums.

        scale (rows, columns) of the noise in each block, or None.
        """
        noisy_blocks, guide_blocks = flattened(blocks.noisy), flattened(blocks.pilot)
        across = blocks.noisy.shape[1] * apart
        rows, columns, offsets, sizes, above, before = groups
        weights = sums.weights
        flat, flat_weights = flattened(sums.numerator), flattened(sums.weights)
        down = sums.numerator.shape[1]
        big = splat(ROUNDER, width)
        group, pilot, variance = scratch.group, scratch.pilot, scratch.variance
        weighted, columns_out, vectors = scratch.weighted, scratch.columns, scratch.vectors
        y, x, y_float, x_float = scratch.y, scratch.x, scratch.y_float, scratch.x_float
        pairs, scales = scratch.pairs, scratch.pairs.scales
        coefficients = Group(group, pilot, variance)
        wiener, folded = kind
        i1, j1 = 0, 0
        for n in range(len(rows) * len(columns)):
            i, j = i1, j1
            count = sizes[above + i, before + j]
            size = maximum(2, count)  # a single block is filtered as a pair of equal blocks
            shifts = offsets[above + i, before + j]
            if n + 1 < len(rows) * len(columns):
                i1, j1 = in_strips(n + 1, len(rows), len(columns))
                prefetch_group(
                    noisy_blocks, guide_blocks, rows[i1] * across + columns[j1] * apart,
                    offsets[above + i1, before + j1], sizes[above + i1, before + j1],
                    across=across, width=apart, parts=parts, floats=line,
                )  # fmt: skip
            place_blocks(shifts, count, rows[i], columns[j], scratch)
            for k in range(size):
                prefetch(flat_weights, x[k] * sums.weights.shape[1] + y[k])
            find_pairs(y_float, x_float, size, length, tables.reach, pairs)
            if from_image:
                for k in range(size):
                    at = y[k] * across + x[k]
                    lift_block(
                        group, k * length, noisy_blocks, at, across, tables.lift, size=block,
                        lanes=width,
                    )  # fmt: skip
                    if wiener:
                        lift_block(
                            pilot, k * length, guide_blocks, at, across, tables.lift, size=block,
                            lanes=width,
                        )  # fmt: skip
            for k in range(0, size, 2):
                a = y[k] * across + x[k] * width
                b = y[k + 1] * across + x[k + 1] * width
                if from_image:
                    a, b = k * length, (k + 1) * length
                transform_pair_if(
                    group, k * length, tables.forward, group if from_image else noisy_blocks, a, b,
                    folded, apart=length,
                    pitch_out=width, pitch=width, size=block, lanes=width, kind="even-odd rows",
                )  # fmt: skip
                if wiener:
                    transform_pair_if(
                        pilot, k * length, tables.forward, pilot if from_image else guide_blocks,
                        a, b, folded,
                        apart=length, pitch_out=width, pitch=width, size=block, lanes=width,
                        kind="even-odd rows",
                    )  # fmt: skip
            own = None
            if scale is not None:
                for k in range(size):
                    scales[k] = scale[y[k], x[k]]
                own = scales
            weight = shrink(coefficients, tables, pairs, own, count, size, length, wiener)
            if not wiener and tables.root != 1:
                sharpen(group, size, length, tables.root)
            haar_back(group, size, length)
            factor = splat(weight, width)
            for u in range(0, block * width, width):
                store(weighted, u, mul(load(tables.vertical, u, width), factor))
            for k in range(0, size, 2):
                at = k * length
                transform_pair_if(
                    vectors, 0, tables.horizontal, group, at, at + length, folded, apart=length,
                    pitch_out=width, pitch=width, size=block, lanes=width, kind="even-odd columns",
                )  # fmt: skip
                for n in range(2):
                    combine(
                        columns_out, vectors, n * length, weighted, columns=block, terms=block,
                        lanes=width,
                    )  # fmt: skip
                    y0 = y[k + n]
                    x0 = x[k + n]
                    for c in range(block):
                        column = sub(add(load(columns_out, c * width, width), big), big)
                        at = (x0 + c) * down + y0
                        store(flat, at, add(load(flat, at, width), widen(column)))
                    weights[x0, y0] += (weight + ROUNDER) - ROUNDER

    return filter_band
