"""Haar transform across a group, shrinkage, and the transform back.

The Haar transform adds and subtracts without scaling. A coefficient of 2**l blocks is then 2**(l/2)
times too large; variances include this factor, and the inverse divides by 2**l. Two halves of a
part of the group are combined at a time, with the variances of their sum and difference. The
difference is a coefficient and is shrunk at once. Coefficient k is the difference of two sums of
lowbit(k) blocks. The first step of the transform was done before, see `transform_pair`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.limits import HEAVIEST, LEAST, LIGHTEST
from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._coefficients import shrink_halves, shrink_pair, shrink_whole
from fastrestore.backends.numba._products import lane_sum
from fastrestore.backends.numba._simd import (
    add,
    fma,
    fnma,
    load,
    maximum,
    minimum,
    splat,
    store,
)
from fastrestore.backends.numba._variance import WIDE, WIDEST, Pairs, pair_place, shared_noise


class Group(NamedTuple):
    """Half-transformed blocks, (size * length,), and the variances of their sums."""

    noisy: NDArray[np.float32]
    pilot: NDArray[np.float32]
    variance: NDArray[np.float32]


class Noise(NamedTuple):
    """Covariances of coefficients for noise of variance 1, see `_variance.Reach`, and the pairs."""

    covariance: NDArray[np.float32]
    origin: int
    pairs: Pairs


@_jit.part
def shrink(group, tables, pairs, scales, count, size, length, wiener):
    """Transform and shrink in place; return the weight of the group of `count` blocks.

    There are `size` blocks in memory: a single block is filtered as a pair of equal blocks. The
    noise has variance 1, or standard deviation `scales` in each of the blocks. `wiener`: filter by
    the pilot, or False to threshold.
    """
    noise = Noise(tables.covariance, tables.reach.origin, pairs)
    strength = tables.strength
    total = splat(np.float32(0), WIDE)
    for i in range(0, length, WIDEST):
        part = first_step(group, noise, strength, scales, size, length, i, wiener)
        total = fma(splat(np.float32(0.5), WIDE), part, total)
        half = np.int64(2)  # not a constant, for which `step` would be compiled, too
        at = 2 * length + i
        while half < size:
            part = step(group, noise, strength, at, scales, size, length, i, half, wiener)
            total = fma(splat(np.float32(0.5 / half), WIDE), part, total)
            half, at = 2 * half, at + length
        part = shrink_sums(group, noise, strength, scales, size, i, wiener)
        total = fma(splat(np.float32(1 / size), WIDE), part, total)
    if not wiener:
        for at in range(0, size * length, WIDE):
            total = add(total, load(group.variance, at, WIDE))
    return weight_of(lane_sum(total) * tables.shares[count])


@_jit.part
def first_step(group, noise, strength, scales, size, length, i, wiener):
    """Shrink the differences of pairs of blocks and compute the variances of their sums."""
    total = splat(np.float32(0), WIDE)
    factors = np.float32(1), np.float32(1)
    for first in range(0, size, 2):
        if scales is not None:
            a, b = scales[first], scales[first + 1]
            factors = np.float32(0.5) * (a * a + b * b), a * b
        shared = pair_place(noise.pairs, size, first) + i
        total = shrink_pair(
            group, noise.covariance, strength, first * length + i, length, noise.origin + i, shared,
            length + i, factors, scales, wiener, total,
        )  # fmt: skip
    return total


@_jit.part
def step(group, noise, strength, at, scales, size, length, i, half, wiener):
    """Combine all pairs of halves of `half` blocks, whose strength begins at `at`."""
    covariance = noise.covariance
    total = splat(np.float32(0), WIDE)
    least = np.float32(0) if scales is not None else np.float32(half * LEAST)
    for first in range(0, size, 2 * half):
        shared = shared_noise(covariance, noise.pairs, scales, size, first, half, i)
        a = first * length + i
        total = shrink_halves(
            group, covariance, strength, a, a + half * length, noise.origin + i, shared, at, least,
            np.float32(0.5 / half), wiener, total,
        )  # fmt: skip
    return total


@_jit.part
def shrink_sums(group, noise, strength, scales, size, i, wiener):
    """Shrink the coefficients of the sum of all blocks."""
    least = np.float32(0.5 * size * LEAST if scales is None else 0)
    return shrink_whole(
        group, noise.covariance, strength, i, noise.origin + i, least, np.float32(1 / size), wiener,
        splat(np.float32(0), WIDE),
    )  # fmt: skip


@_jit.part
def haar_back(group, size, length):
    """Invert the Haar transform, except for its last step; two steps at once if there are two."""
    half = size >> 1
    while half > 2:
        outer, inner = splat(np.float32(0.5 / half), WIDE), splat(np.float32(1 / half), WIDE)
        apart = (half >> 1) * length
        for first in range(0, size, 2 * half):
            for i in range(first * length, (first + 1) * length, WIDE):
                a, b = load(group, i, WIDE), load(group, i + 2 * apart, WIDE)
                c, d = load(group, i + apart, WIDE), load(group, i + 3 * apart, WIDE)
                left, right = fma(outer, b, a), fnma(outer, b, a)
                store(group, i, fma(inner, c, left))
                store(group, i + apart, fnma(inner, c, left))
                store(group, i + 2 * apart, fma(inner, d, right))
                store(group, i + 3 * apart, fnma(inner, d, right))
        half >>= 2
    if half == 2:
        scale = splat(np.float32(0.25), WIDE)
        for first in range(0, size, 4):
            for i in range(first * length, (first + 1) * length, WIDE):
                a, b = load(group, i, WIDE), load(group, i + 2 * length, WIDE)
                store(group, i, fma(scale, b, a))
                store(group, i + 2 * length, fnma(scale, b, a))


@_jit.part
def sharpen(group, size, length, root):
    """Take roots of coefficients relative to the mean of the group, to amplify small details."""
    mean = abs(group[0]) * math.sqrt(size)
    if mean == 0:
        return
    for k in range(size):
        blocks = size if k == 0 else 2 * (k & -k)
        unit = math.sqrt(blocks) / mean
        if k > 0 and k % 2 == 0:
            unit /= blocks  # the inverse transform will divide
        for i in range(1 if k == 0 else 0, length):
            c = group[k * length + i]
            if c != 0:
                group[k * length + i] = c * (abs(c) * unit) ** (root - 1)


@_jit.part
def weight_of(noise):
    """Weight of a group with this remaining noise variance."""
    return np.float32(1) / minimum(
        maximum(noise, np.float32(1 / HEAVIEST)), np.float32(1 / LIGHTEST)
    )
