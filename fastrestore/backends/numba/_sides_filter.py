"""Collaborative filtering of groups of blocks of any sides, along any number of axes.

The blocks of a group lie beside each other: sample k of 16 blocks is one vector, and a transform
along an axis combines vectors, whatever the sides are. The shrinkage is that of `_shrink`, for
which the samples of a block lie beside each other. Nothing is computed once for several blocks, so
blocks that are as high as wide are filtered faster by `_filter` and `_cubes_filter`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._filter import ROUNDER
from fastrestore.backends.numba._shrink import Group, haar_back, shrink
from fastrestore.backends.numba._simd import aligned, fma, load, maximum, splat, spread, store
from fastrestore.backends.numba._variance import OCTET, WIDE, Pairs, pairs_of

LANES = 16  # blocks


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


class Tables(NamedTuple):
    """Matrices and variances of one channel."""

    sides: NDArray[np.int64]  # of a block, by axis
    forward: NDArray[np.float32]  # matrices of all axes, one after the other
    back: NDArray[np.float32]  # times the window
    covariance: NDArray[np.float32]
    reach: Reach
    strength: NDArray[np.float32]


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
    pairs: Pairs


def scratch(samples: int, most: int, axes: int) -> Scratch:
    """Allocate the working memory for groups of up to `most` blocks."""
    most = max(2, most)
    wide, length = -(-most // LANES) * LANES, stride(samples)
    return Scratch(
        beside=aligned(samples * wide, np.float32),
        other=aligned(samples * wide, np.float32),
        group=aligned(most * length, np.float32),
        pilot=aligned(most * length, np.float32),
        variance=aligned(most * length, np.float32),
        corners=np.zeros((most, axes), np.int64),
        pairs=pairs_of(most),
    )


@_jit.part
def find_pairs(corners, size, reach, pairs):
    """Compute the positions of the covariances of pairs of blocks; see `_variance`."""
    octets = (size + OCTET - 1) // OCTET
    axes = corners.shape[1]
    pairs.near[: octets * octets] = 0
    for a in range(size):
        for b in range(a, size):
            sign = 1 if corners[b, 0] >= corners[a, 0] else -1
            place, is_near = reach.origin, True
            for axis in range(axes):
                apart = sign * (corners[b, axis] - corners[a, axis])
                most = reach.most[axis]
                is_near &= abs(apart) <= reach.near[axis]
                place += min(max(apart, -most), most) * reach.steps[axis]
            word = (a // OCTET) * octets + b // OCTET
            bit = OCTET * (a % OCTET) + b % OCTET
            pairs.places[word * OCTET * OCTET + bit] = place
            if is_near:
                pairs.near[word] |= np.uint64(1) << np.uint64(bit)


@_jit.part
def product(source, out, matrix, at, side, inner, start, pitch, lanes):
    """Multiply a matrix by the vectors of samples `inner` apart, for `lanes` blocks."""
    apart = inner * pitch
    for u in range(0, side - 1, 2):
        row, below = at + u * side, at + (u + 1) * side
        one = two = splat(np.float32(0), lanes)
        for k in range(side):
            value = load(source, start + k * apart, lanes)
            one = fma(spread(matrix, row + k, lanes), value, one)
            two = fma(spread(matrix, below + k, lanes), value, two)
        store(out, start + u * apart, one)
        store(out, start + (u + 1) * apart, two)
    if side % 2:
        row = at + (side - 1) * side
        one = splat(np.float32(0), lanes)
        for k in range(side):
            value = load(source, start + k * apart, lanes)
            one = fma(spread(matrix, row + k, lanes), value, one)
        store(out, start + (side - 1) * apart, one)


@_jit.part
def transform(source, other, matrices, sides, size, pitch):
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
                    for b in range(0, size, LANES):
                        if turns % 2:
                            product(
                                other, source, matrices, at, side, inner, start + b, pitch, LANES
                            )
                        else:
                            product(
                                source, other, matrices, at, side, inner, start + b, pitch, LANES
                            )
            turns += 1
        at += side * side
        outer *= side
    return turns % 2 == 1


@_jit.part
def lift(image, images, scratch, tables, size, pitch, group):
    """Transform the blocks of a group and write sums and differences of pairs to `group`."""
    samples, beside = images.samples, scratch.beside
    axes = scratch.corners.shape[1]
    length = len(group) // len(scratch.corners)
    for m in range(size):
        at = 0
        for axis in range(axes):
            at += scratch.corners[m, axis] * images.strides[axis]
        for k in range(len(samples)):
            beside[k * pitch + m] = image[at + samples[k]]
    swapped = transform(beside, scratch.other, tables.forward, tables.sides, size, pitch)
    result = scratch.other if swapped else beside
    for m in range(0, size, 2):
        for k in range(len(samples)):
            a, b = result[k * pitch + m], result[k * pitch + m + 1]
            group[m * length + k] = a + b
            group[(m + 1) * length + k] = a - b


@_jit.part
def aggregate(images, scratch, tables, size, pitch, weight):
    """Transform the group back and add the blocks to the sums."""
    samples, beside, group = images.part_samples, scratch.beside, scratch.group
    axes = scratch.corners.shape[1]
    length = len(group) // len(scratch.corners)
    for m in range(0, size, 2):
        for k in range(len(samples)):
            a, b = group[m * length + k], group[(m + 1) * length + k]
            beside[k * pitch + m] = a + b
            beside[k * pitch + m + 1] = a - b
    swapped = transform(beside, scratch.other, tables.back, tables.sides, size, pitch)
    result = scratch.other if swapped else beside
    for m in range(size):
        at = 0
        for axis in range(axes):
            place = scratch.corners[m, axis] - images.part_start[axis]
            at += place * images.part_strides[axis]
        images.weights[at] += (weight + ROUNDER) - ROUNDER
        for k in range(len(samples)):
            value = weight * result[k * pitch + m]
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
    pairs = scratch.pairs
    coefficients = Group(scratch.group, scratch.pilot, scratch.variance)
    for reference in groups.part:
        count = np.int64(groups.sizes[reference])
        size = maximum(2, count)  # a single block is filtered as a pair of equal blocks
        for m in range(size):
            for axis in range(axes):
                shift = np.int64(groups.offsets[reference, m, axis]) if m < count else 0
                scratch.corners[m, axis] = groups.corners[reference, axis] + shift
        find_pairs(scratch.corners, size, tables.reach, pairs)
        lift(images.noisy, images, scratch, tables, size, pitch, scratch.group)
        if wiener:
            lift(images.pilot, images, scratch, tables, size, pitch, scratch.pilot)
        if scale is None:
            weight = shrink(coefficients, tables, pairs, None, size, length, wiener)
        else:
            for m in range(size):
                at = 0
                for axis in range(axes):
                    at += scratch.corners[m, axis] * scale[1][axis]
                pairs.scales[m] = scale[0][at]
            weight = shrink(coefficients, tables, pairs, pairs.scales, size, length, wiener)
        haar_back(scratch.group, size, length)
        aggregate(images, scratch, tables, size, pitch, weight)
