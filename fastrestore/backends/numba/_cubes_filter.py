"""Collaborative filtering of groups of 3-D blocks, and their aggregation.

As in `_filter`, part of the transform is computed once for every position: the lanes of a vector
hold the transform along slices and rows, and only the transform along columns is computed for each
block. Accumulators have the columns first, because blocks are computed column by column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._cube_products import transform
from fastrestore.backends.numba._cubes_lift import lanes, line
from fastrestore.backends.numba._filter import ROUNDER, in_strips
from fastrestore.backends.numba._products import combine, transform_pair
from fastrestore.backends.numba._shrink import Group, haar_back, shrink
from fastrestore.backends.numba._simd import (
    absolute,
    add,
    aligned,
    fma,
    head,
    keep_ge,
    load,
    mask_le,
    minimum,
    mul,
    prefetch,
    splat,
    store,
    store_integers,
    sub,
    widen,
)
from fastrestore.backends.numba._variance import OCTET, WIDE, Pairs, pairs_of

AHEAD = 4  # blocks


def stride(thick: int, block: int) -> int:
    """Floats from one block of a group to the next: a multiple of four wide vectors.

    Columns are stored without gaps.
    """
    return -(-thick * block * block // (4 * WIDE)) * 4 * WIDE


class Reach(NamedTuple):
    """Layout of the covariances of coefficients by the displacement (dz, dy, dx) of two blocks.

    As in `_variance`, dz is from 0 to `down`. For symmetric covariances dy and dx are magnitudes,
    and `origin` is 0. Otherwise they are from -across to across and from -along to along.
    """

    down: int
    across: int
    along: int
    layer: int  # floats from one dz to the next
    line: int  # floats from one dy to the next
    origin: int  # position of displacement (0, 0, 0)
    near: tuple[float, ...]  # covariances beyond are zero


class Groups(NamedTuple):
    """Groups of a part of the references, see `fastrestore.backends.numba._filter.Groups`."""

    slices: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    offsets: NDArray[np.signedinteger[Any]]
    sizes: NDArray[np.int16]
    begin: tuple[int, int, int]  # index of the first reference of the part


class Tables(NamedTuple):
    """As in `_filter`, with the transforms along slices and rows in one step, or in two steps."""

    lift: NDArray[np.float32]  # see `_cubes_lift`
    forward: NDArray[np.float32]
    horizontal: NDArray[np.float32]
    through: NDArray[np.float32]  # (slices * slices,): voxel, coefficient; times the window
    # Coefficient, voxel; times the window: (slices * rows, lanes), or (rows, lanes of `line`)
    vertical: NDArray[np.float32]
    covariance: NDArray[np.float32]
    reach: Reach
    strength: NDArray[np.float32]
    shares: NDArray[np.float32]


class Scratch(NamedTuple):
    """Working memory of a part."""

    group: NDArray[np.float32]
    pilot: NDArray[np.float32]
    variance: NDArray[np.float32]
    weighted: NDArray[np.float32]
    columns: NDArray[np.float32]
    slices: NDArray[np.float32]
    vectors: NDArray[np.float32]
    corners: NDArray[np.int64]  # (3, most)
    floats: NDArray[np.float32]  # (3, ..), offsets
    pairs: Pairs


def scratch(thick: int, block: int, most: int) -> Scratch:
    """Allocate the working memory for groups of up to `most` blocks."""
    length, width, most = stride(thick, block), lanes(thick, block), max(2, most)
    whole = most * length + width  # the last column is accessed as a whole vector
    return Scratch(
        group=aligned(whole, np.float32),
        pilot=aligned(whole, np.float32),
        variance=aligned(most * length, np.float32),
        weighted=aligned(width**2, np.float32),
        columns=aligned(block * width + WIDE, np.float32),
        slices=aligned(thick * line(block), np.float32),
        vectors=aligned(2 * block * width + WIDE, np.float32),  # the last slice, too
        corners=np.empty((3, most), np.int64),
        floats=aligned(3 * (most + WIDE), np.float32).reshape(3, -1),
        pairs=pairs_of(most),
    )


@_jit.part
def find_pairs(floats, size, length, reach, pairs):
    """Compute the positions of the covariances of pairs of blocks with offsets `floats` (3, ..)."""
    octets = (size + OCTET - 1) // OCTET
    zero = splat(np.float32(0), OCTET)
    down = splat(np.float32(reach.down), OCTET)
    across = splat(np.float32(reach.across), OCTET)
    along = splat(np.float32(reach.along), OCTET)
    layer = splat(np.float32(reach.layer), OCTET)
    stretch = splat(np.float32(reach.line), OCTET)
    step = splat(np.float32(length), OCTET)
    origin = splat(np.float32(reach.origin), OCTET)
    near_z = splat(np.float32(reach.near[0]), OCTET)
    near_y = splat(np.float32(reach.near[1]), OCTET)
    near_x = splat(np.float32(reach.near[2]), OCTET)
    offsets = floats.reshape(-1)
    room = floats.shape[1]
    for first in range(octets):
        for second in range(first, octets):
            word = first * octets + second
            near = np.uint64(0)
            for a in range(min(OCTET, size)):
                at, to = first * OCTET + a, second * OCTET
                dz = sub(load(offsets, to, OCTET), splat(offsets[at], OCTET))
                dy = sub(load(offsets, room + to, OCTET), splat(offsets[room + at], OCTET))
                dx = sub(load(offsets, 2 * room + to, OCTET), splat(offsets[2 * room + at], OCTET))
                row = mask_le(absolute(dz), near_z) & mask_le(absolute(dy), near_y)
                row &= mask_le(absolute(dx), near_x)
                near |= row << np.uint64(OCTET * a)
                if reach.origin:  # negate all three, so that dz is not negative
                    dy = clipped(turned(dy, dz, zero), across, zero)
                    dx = clipped(turned(dx, dz, zero), along, zero)
                else:
                    dy = minimum(absolute(dy), across)
                    dx = minimum(absolute(dx), along)
                place = fma(dy, stretch, fma(dx, step, origin))
                place = fma(minimum(absolute(dz), down), layer, place)
                store_integers(pairs.places, (word * OCTET + a) * OCTET, place)
            pairs.near[word] = near


@_jit.part
def turned(value, sign, zero):
    """Negate `value` where `sign` is negative."""
    kept = keep_ge(value, sign, zero)
    return sub(kept, sub(value, kept))


@_jit.part
def clipped(value, limit, zero):
    """Clip `value` to the range from -limit to limit."""
    return sub(zero, minimum(sub(zero, minimum(value, limit)), limit))


@_jit.once
def filter_kernel(
    thick: int, block: int, wiener: bool, even_odd: tuple[bool, bool]
) -> Callable[..., None]:
    """Compile the filtering of groups of blocks of one shape; see `_filter.filter_kernel`.

    even_odd: of the transforms along slices and columns.
    """
    width, line_, face = lanes(thick, block), line(block), thick * block
    length, room = stride(thick, block), block * lanes(thick, block)
    there = "even-odd rows" if even_odd[1] else "any"
    through, back = ("even-odd columns" if each else "any" for each in even_odd)

    @_jit.kernel
    def filter_band(blocks, groups, tables, scale, sums, scratch):
        """Filter the groups of a part of the references and add them to its sums.

        scale (slices, rows, columns) of the noise in each block, or None.
        """
        noisy_blocks, guide_blocks = blocks.noisy.reshape(-1), blocks.pilot.reshape(-1)
        across = blocks.noisy.shape[2] * width
        layer = blocks.noisy.shape[1] * across
        slices, rows, columns, offsets, sizes, begin = groups
        weights = sums.weights
        flat, flat_weights = sums.numerator.reshape(-1), weights.reshape(-1)
        down = sums.numerator.shape[2]
        plane = sums.numerator.shape[1] * down
        big = splat(ROUNDER, line_)
        group, pilot, variance = scratch.group, scratch.pilot, scratch.variance
        weighted, columns_out, vectors = scratch.weighted, scratch.columns, scratch.vectors
        slices_out = scratch.slices
        corners, floats = scratch.corners, scratch.floats
        pairs, scales = scratch.pairs, scratch.pairs.scales
        coefficients = Group(group, pilot, variance)
        one = len(rows) * len(columns)
        for n in range(len(slices) * one):
            h = n // one
            i, j = in_strips(n % one, len(rows), len(columns))
            count = sizes[begin[0] + h, begin[1] + i, begin[2] + j]
            size = max(2, count)  # a single block is filtered as a pair of equal blocks
            shifts = offsets[begin[0] + h, begin[1] + i, begin[2] + j]
            for k in range(size):
                for axis in range(3):
                    floats[axis, k] = shifts[k, axis] if k < count else 0
                corners[0, k] = slices[h] + np.int64(floats[0, k])
                corners[1, k] = rows[i] + np.int64(floats[1, k])
                corners[2, k] = columns[j] + np.int64(floats[2, k])
            find_pairs(floats, size, length, tables.reach, pairs)
            for k in range(0, size, 2):
                for m in range(k + AHEAD, min(k + AHEAD + 2, size)):
                    at = corners[0, m] * layer + corners[1, m] * across + corners[2, m] * width
                    for q in range(0, block * width, WIDE):
                        prefetch(noisy_blocks, at + q)
                        if wiener:
                            prefetch(guide_blocks, at + q)
                a = corners[0, k] * layer + corners[1, k] * across + corners[2, k] * width
                b = corners[0, k + 1] * layer + corners[1, k + 1] * across
                b += corners[2, k + 1] * width
                transform_pair(
                    group, k * length, tables.forward, noisy_blocks, a, b, apart=length,
                    pitch_out=face, pitch=width, size=block, lanes=width, kind=there,
                )  # fmt: skip
                if wiener:
                    transform_pair(
                        pilot, k * length, tables.forward, guide_blocks, a, b, apart=length,
                        pitch_out=face, pitch=width, size=block, lanes=width, kind=there,
                    )  # fmt: skip
            if scale is None:
                weight = shrink(coefficients, tables, pairs, None, count, size, length, wiener)
            else:
                for k in range(size):
                    scales[k] = scale[corners[0, k], corners[1, k], corners[2, k]]
                weight = shrink(coefficients, tables, pairs, scales, count, size, length, wiener)
            haar_back(group, size, length)
            if wiener:
                for u in range(0, block * line_, line_):
                    row = mul(load(tables.vertical, u, line_), splat(weight, line_))
                    store(weighted, u, row)
            else:
                for u in range(0, face * width, width):
                    row = mul(load(tables.vertical, u, width), splat(weight, width))
                    store(weighted, u, row)
            for k in range(0, size, 2):
                at = k * length
                for m in range(k + 2, min(k + 4, size)):
                    b = corners[2, m] * plane + corners[0, m] * down + corners[1, m]
                    prefetch(flat_weights, b)
                    for q in range(block):
                        for s in range(thick):
                            prefetch(flat, b + q * plane + s * down)
                transform_pair(
                    vectors, 0, tables.horizontal, group, at, at + length, apart=room,
                    pitch_out=width, pitch=face, size=block, lanes=width, kind=back,
                )  # fmt: skip
                for m in range(2):
                    z0, y0, x0 = corners[0, k + m], corners[1, k + m], corners[2, k + m]
                    if not wiener:
                        combine(
                            columns_out, vectors, m * room, weighted, columns=block, terms=face,
                            lanes=width,
                        )  # fmt: skip
                    for c in range(block):
                        if wiener:
                            transform(
                                slices_out, 0, tables.through, vectors, m * room + c * width,
                                pitch_out=line_, pitch=block, size=thick, lanes=line_, kind=through,
                            )  # fmt: skip
                            combine(
                                columns_out, slices_out, 0, weighted, columns=thick, terms=block,
                                lanes=line_,
                            )  # fmt: skip
                        for s in range(thick):
                            if wiener:
                                column = load(columns_out, s * line_, line_)
                            else:
                                column = load(columns_out, c * width + s * block, line_)
                                column = head(column, block)
                            column = sub(add(column, big), big)
                            at = (x0 + c) * plane + (z0 + s) * down + y0
                            store(flat, at, add(load(flat, at, line_), widen(column)))
                    weights[x0, z0, y0] += (weight + ROUNDER) - ROUNDER

    return filter_band
