"""Collaborative filtering of groups of blocks of any sides, along any number of axes.

The blocks of a group lie beside each other: sample k of 16 blocks is one vector, and a transform
along an axis combines vectors, whatever the sides are. The shrinkage is that of `_shrink`, for
which the samples of a block lie beside each other. Nothing is computed once for several blocks, so
blocks that are as high as wide are filtered faster by `_filter` and `_cubes_filter`.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._filter import ROUNDER
from fastrestore.backends.numba._shrink import Group, haar_back, shrink
from fastrestore.backends.numba._simd import (
    absolute,
    add,
    aligned,
    fma,
    keep_ge,
    load,
    mask_le,
    maximum,
    minimum,
    mul,
    splat,
    spread,
    store,
    store_integers,
    sub,
    widen,
)
from fastrestore.backends.numba._transpose import (
    pairs_then_transpose,
    transpose,
    transpose_then_pairs,
)
from fastrestore.backends.numba._variance import OCTET, WIDE, Pairs, pairs_of

LANES = 16  # blocks
TWICE = 2 * LANES  # two vectors share the loops, which take longer than the products


def stride(samples: int) -> int:
    """Floats from one block of a group to the next: a multiple of four wide vectors."""
    return -(-samples // (4 * WIDE)) * 4 * WIDE


class Reach(NamedTuple):
    """Layout of the covariances of coefficients by the displacement of two blocks.

    The displacement along the first axis is not negative.
    """

    most: NDArray[np.int64]  # largest displacement along each axis
    steps: NDArray[np.int64]  # floats from one displacement to the next
    near: NDArray[np.int64]  # covariances beyond are zero
    origin: int  # position of displacement 0


class Rows(NamedTuple):
    """Rows of the matrices of all axes, one after the other, without their zeros.

    Four fifths of the matrix of a wavelet are zero.
    """

    starts: NDArray[np.int64]  # (rows + 1,): of the values of each row
    columns: NDArray[np.int64]
    values: NDArray[np.float32]


class Tables(NamedTuple):
    """Matrices and variances of one channel."""

    sides: NDArray[np.int64]  # of a block, by axis
    forward: Rows
    back: Rows  # times the window
    covariance: NDArray[np.float32]
    reach: Reach
    strength: NDArray[np.float32]
    shares: NDArray[np.float32]


class Images(NamedTuple):
    """Images and sums of a part, flat, and the positions of the samples of a block in them."""

    noisy: NDArray[np.float32]
    pilot: NDArray[np.float32]  # the same array in the basic stage
    numerator: NDArray[np.float64]
    weights: NDArray[np.float64]
    strides: NDArray[np.int64]  # of the images, by axis
    samples: NDArray[np.int64]
    part_strides: NDArray[np.int64]  # of the sums
    part_samples: NDArray[np.int64]
    part_start: NDArray[np.int64]  # corner of the sums


class Groups(NamedTuple):
    """Groups of all references, and those of a part."""

    corners: NDArray[np.int64]  # (references, axes)
    offsets: NDArray[np.int16] | NDArray[np.int32]  # (references, group, axes)
    sizes: NDArray[np.int16]
    part: NDArray[np.int64]  # indices of references


class Scratch(NamedTuple):
    """Working memory of a part."""

    beside: NDArray[np.float32]  # (samples, blocks), as is `other`
    other: NDArray[np.float32]
    group: NDArray[np.float32]  # (blocks, samples), as are the others
    pilot: NDArray[np.float32]
    variance: NDArray[np.float32]
    corners: NDArray[np.int64]  # (most, axes)
    apart: NDArray[np.float32]  # displacements from the reference (axes, blocks), flat
    pairs: Pairs


def scratch(samples: int, most: int, axes: int) -> Scratch:
    """Allocate the working memory for groups of up to `most` blocks."""
    most = max(2, most)
    wide, length = -(-most // LANES) * LANES, stride(samples)
    sizes = [samples * wide] * 2 + [most * length] * 3 + [axes * wide]
    ends = [0, *itertools.accumulate(sizes)]
    whole = aligned(ends[-1], np.float32)  # one allocation; all sizes are multiples of a vector
    beside, other, group, pilot, variance, apart = (
        whole[start:end] for start, end in itertools.pairwise(ends)
    )
    return Scratch(
        beside=beside,
        other=other,
        group=group,
        pilot=pilot,
        variance=variance,
        corners=np.zeros((most, axes), np.int64),
        apart=apart,
        pairs=pairs_of(most),
    )


@_jit.part
def find_pairs(apart, axes, size, reach, pairs):
    """Compute the positions of the covariances of pairs of blocks; see `_variance`."""
    octets = (size + OCTET - 1) // OCTET
    pitch = len(apart) // axes
    zero = splat(np.float32(0), OCTET)
    for first in range(octets):
        for second in range(first, octets):
            word, near = first * octets + second, np.uint64(0)
            for a in range(minimum(OCTET, size)):
                one, other = first * OCTET + a, second * OCTET
                down = sub(load(apart, other, OCTET), splat(apart[one], OCTET))
                place = splat(np.float32(reach.origin), OCTET)
                row = ~np.uint64(0)
                for axis in range(axes):
                    at = axis * pitch
                    d = sub(load(apart, at + other, OCTET), splat(apart[at + one], OCTET))
                    kept = keep_ge(d, down, zero)  # the others are negated
                    d = sub(kept, sub(d, kept))
                    row &= mask_le(absolute(d), splat(np.float32(reach.near[axis]), OCTET))
                    most = splat(np.float32(reach.most[axis]), OCTET)
                    d = sub(zero, minimum(sub(zero, minimum(d, most)), most))
                    place = fma(d, splat(np.float32(reach.steps[axis]), OCTET), place)
                near |= row << np.uint64(OCTET * a)
                store_integers(pairs.places, (word * OCTET + a) * OCTET, place)
            pairs.near[word] = near


@_jit.part
def product(source, out, rows, first, side, inner, start, pitch, lanes):
    """Multiply rows from `first` by the vectors of samples `inner` apart, for `lanes` blocks."""
    apart = inner * pitch
    for u in range(side):
        total = splat(np.float32(0), lanes)
        for k in range(rows.starts[first + u], rows.starts[first + u + 1]):
            value = load(source, start + rows.columns[k] * apart, lanes)
            total = fma(spread(rows.values, k, lanes), value, total)
        store(out, start + u * apart, total)


@_jit.part
def products(source, out, rows, first, side, inner, start, pitch, size):
    """Multiply rows from `first` by the samples of all blocks, see `product`."""
    rest = size - size % TWICE
    for b in range(0, rest, TWICE):
        product(source, out, rows, first, side, inner, start + b, pitch, TWICE)
    for b in range(rest, size, LANES):
        product(source, out, rows, first, side, inner, start + b, pitch, LANES)


@_jit.part
def transform(source, other, rows, sides, size, pitch):
    """Transform the blocks along all axes with a side above 1; whether the result is in `other`."""
    samples = 1
    for side in sides:
        samples *= side
    at, outer, turns = 0, 1, 0
    for side in sides:
        inner = samples // (outer * side)
        if side > 1:
            for o in range(outer):
                for i in range(inner):
                    start = (o * side * inner + i) * pitch
                    products(source, other, rows, at, side, inner, start, pitch, size)
            source, other, turns = other, source, turns + 1
        at += side
        outer *= side
    return turns % 2 == 1


@_jit.part
def in_squares(samples, size):
    """Whether groups are transposed by squares: most blocks and groups have so many samples."""
    return len(samples) % LANES == 0 and size % LANES == 0


@_jit.part
def in_rows(samples):
    """Whether the samples of a block lie beside each other, in whole vectors."""
    count = len(samples)
    return count % LANES == 0 and samples[count - 1] == count - 1


@_jit.part
def gather(image, images, scratch, size, pitch, group):
    """Read the blocks of a group from an image to `scratch.beside`."""
    samples, beside = images.samples, scratch.beside
    count, axes = len(samples), scratch.corners.shape[1]
    length = len(group) // len(scratch.corners)
    squares = in_squares(samples, size)
    is_row = squares and in_rows(samples)
    for m in range(size):
        at = 0
        for axis in range(axes):
            at += scratch.corners[m, axis] * images.strides[axis]
        if is_row:
            for k in range(0, count, LANES):
                store(group, m * length + k, load(image, at + k, LANES))
        elif squares:
            for k in range(count):
                group[m * length + k] = image[at + samples[k]]
        else:
            for k in range(count):
                beside[k * pitch + m] = image[at + samples[k]]
    if squares:
        for m in range(0, size, LANES):
            for k in range(0, count, LANES):
                transpose(group, m * length + k, length, beside, k * pitch + m, pitch)


@_jit.part
def lift(image, images, scratch, tables, size, pitch, group):
    """Transform the blocks of a group and write sums and differences of pairs to `group`."""
    samples, beside = images.samples, scratch.beside
    length = len(group) // len(scratch.corners)
    gather(image, images, scratch, size, pitch, group)
    swapped = transform(beside, scratch.other, tables.forward, tables.sides, size, pitch)
    result = scratch.other if swapped else beside
    if in_squares(samples, size):
        for m in range(0, size, LANES):
            for k in range(0, len(samples), LANES):
                transpose_then_pairs(result, k * pitch + m, pitch, group, m * length + k, length)
        return
    for m in range(0, size, 2):
        for k in range(len(samples)):
            a, b = result[k * pitch + m], result[k * pitch + m + 1]
            group[m * length + k] = a + b
            group[(m + 1) * length + k] = a - b


@_jit.part
def lower(images, scratch, tables, size, pitch):
    """Transform the group back, block after block."""
    samples, beside, group = images.part_samples, scratch.beside, scratch.group
    length = len(group) // len(scratch.corners)
    squares = in_squares(samples, size)
    if squares:
        for m in range(0, size, LANES):
            for k in range(0, len(samples), LANES):
                pairs_then_transpose(group, m * length + k, length, beside, k * pitch + m, pitch)
    else:
        for m in range(0, size, 2):
            for k in range(len(samples)):
                a, b = group[m * length + k], group[(m + 1) * length + k]
                beside[k * pitch + m] = a + b
                beside[k * pitch + m + 1] = a - b
    swapped = transform(beside, scratch.other, tables.back, tables.sides, size, pitch)
    result = scratch.other if swapped else beside
    if squares:
        for m in range(0, size, LANES):
            for k in range(0, len(samples), LANES):
                transpose(result, k * pitch + m, pitch, group, m * length + k, length)
        return
    for m in range(size):
        for k in range(len(samples)):
            group[m * length + k] = result[k * pitch + m]


@_jit.part
def aggregate(images, scratch, tables, size, pitch, weight):
    """Transform the group back and add the blocks to the sums."""
    samples, group = images.part_samples, scratch.group
    axes = scratch.corners.shape[1]
    length = len(group) // len(scratch.corners)
    big = splat(ROUNDER, LANES)
    lower(images, scratch, tables, size, pitch)
    for m in range(size):
        at = 0
        for axis in range(axes):
            place = scratch.corners[m, axis] - images.part_start[axis]
            at += place * images.part_strides[axis]
        images.weights[at] += (weight + ROUNDER) - ROUNDER
        if in_rows(samples):
            for k in range(0, len(samples), LANES):
                value = mul(load(group, m * length + k, LANES), splat(weight, LANES))
                column = widen(sub(add(value, big), big))
                place = at + k
                store(images.numerator, place, add(load(images.numerator, place, LANES), column))
            continue
        for k in range(len(samples)):
            value = weight * group[m * length + k]
            images.numerator[at + samples[k]] += (value + ROUNDER) - ROUNDER


@_jit.kernel
def filter_groups(images, groups, tables, scale, scratch, wiener):
    """Filter the groups of a part of the references and add them to its sums.

    scale: flat, of the noise in each block by its corner, with its strides, or None. `wiener`:
    filter by the pilot, or threshold.
    """
    axes = scratch.corners.shape[1]
    length = len(scratch.group) // len(scratch.corners)
    pitch = len(scratch.beside) // len(images.samples)
    pairs, wide = scratch.pairs, len(scratch.apart) // axes
    coefficients = Group(scratch.group, scratch.pilot, scratch.variance)
    for reference in groups.part:
        count = np.int64(groups.sizes[reference])
        size = maximum(2, count)  # a single block is filtered as a pair of equal blocks
        for m in range(size):
            for axis in range(axes):
                shift = np.int64(groups.offsets[reference, m, axis]) if m < count else 0
                scratch.corners[m, axis] = groups.corners[reference, axis] + shift
                scratch.apart[axis * wide + m] = np.float32(shift)
        find_pairs(scratch.apart, axes, size, tables.reach, pairs)
        lift(images.noisy, images, scratch, tables, size, pitch, scratch.group)
        if wiener:
            lift(images.pilot, images, scratch, tables, size, pitch, scratch.pilot)
        if scale is None:
            weight = shrink(coefficients, tables, pairs, None, count, size, length, wiener)
        else:
            for m in range(size):
                at = 0
                for axis in range(axes):
                    at += scratch.corners[m, axis] * scale[1][axis]
                pairs.scales[m] = scale[0][at]
            weight = shrink(coefficients, tables, pairs, pairs.scales, count, size, length, wiener)
        haar_back(scratch.group, size, length)
        aggregate(images, scratch, tables, size, pitch, weight)


@_jit.kernel
def spread_weights(source, out, window, inner):
    """Convolve rows of weights by corner with a window along an axis; `out` is 0.

    Neighbors along the axis are `inner` apart.
    """
    rows, size = source.shape
    for row in range(rows):
        for k in range(len(window)):
            factor, shift = window[k], k * inner
            for i in range(size - shift):
                out[row, i + shift] += factor * source[row, i]
