"""Gradients of the shrinkage of a group, and of the variances of its coefficients.

The specification is `fastrestore.backends.numpy.backward`. As in `_filter`, the Haar transform adds
and subtracts without scaling: coefficient k is the root of n = `blocks_of(k)` times too large, and
its variance n times. Gradients are transformed like blocks, so they are too large by the same root,
and a gradient that is transformed back is divided by n.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastrestore.backends.limits import HEAVIEST, LIGHTEST, WIDTH
from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._products import lane_sum
from fastrestore.backends.numba._simd import (
    add,
    div,
    fma,
    fnma,
    keep_ge,
    load,
    maximum,
    mul,
    splat,
    store,
    sub,
)

WIDE = 16  # lanes of vectors over whole blocks
CHUNK = 4 * WIDE  # floats that are processed together; blocks are padded to multiples of it


class Reach(NamedTuple):
    """Layout of the covariances of coefficients by the displacement (dy, dx) of two blocks.

    There are `length` floats for each displacement, with dy from 0 to `down` and dx from -across to
    across. Covariances beyond (near_y, near_x) are zero.
    """

    down: int
    across: int
    near_y: int
    near_x: int
    origin: int  # position of displacement (0, 0)
    far: int  # position of a covariance that is zero, if there is one


@_jit.routine
def haar(group, size, length):
    """Haar transform without scaling, in place, except for its first step."""
    half = 2
    while half < size:
        for first in range(0, size, 2 * half):
            butterflies(group, first * length, half * length, length)
        half *= 2


@_jit.routine
def haar_back(group, size, length):
    """Invert `haar`, for coefficients that were divided by the number of their blocks."""
    half = size // 2
    while half > 1:
        for first in range(0, size, 2 * half):
            butterflies(group, first * length, half * length, length)
        half //= 2


@_jit.routine
def butterflies(group, at, apart, length):
    """Sum and difference of two blocks of `length` floats, in place."""
    for i in range(at, at + length, WIDE):
        a = load(group, i, WIDE)
        b = load(group, i + apart, WIDE)
        store(group, i, add(a, b))
        store(group, i + apart, sub(a, b))


@_jit.routine
def blocks_of(k, size):
    """Number of blocks that contribute to Haar coefficient k of a group."""
    return size if k == 0 else 2 * (k & -k)


@_jit.routine
def level_of(k):
    """Level of Haar coefficient k, of the difference of 2**level blocks; 0 for their sum."""
    level, blocks = 0, 1
    while k & (blocks - 1) == 0 and k > 0:
        level, blocks = level + 1, 2 * blocks
    return level


@_jit.routine
def by_remaining(noise, share, weight, by_weight):
    """Gradient with respect to the remaining noise variance, from that with respect to its weight.

    `share` is the factor for the noise in the weight. The gradient is 0 if the weight is at one of
    its limits.
    """
    if share * noise > np.float32(1 / HEAVIEST) and share * noise < np.float32(1 / LIGHTEST):
        return share * (-weight * weight * by_weight)
    return np.float32(0)


@_jit.routine
def find_places(y, x, size, length, reach, places):
    """Compute the positions (size, size) of the covariances of pairs of blocks; see `Reach`."""
    line = 2 * reach.across + 1
    for a in range(size):
        for b in range(size):
            dy, dx = y[b] - y[a], x[b] - x[a]
            if dy < 0:
                dy, dx = -dy, -dx
            is_far = (dy > reach.near_y) | (abs(dx) > reach.near_x)
            dy = min(dy, reach.down)
            dx = min(max(dx, -reach.across), reach.across)
            place = np.int32((dy * line + dx + reach.across) * length)
            places[a * size + b] = np.int32(reach.far) if is_far else place


@_jit.routine
def group_variance(variance, size, length, covariance, origin, places, scales, least):
    """Compute the exact variance of every coefficient of `haar`.

    If A and B are the sums of two halves of a part of the group, ``var(A +- B) = var A + var B +-
    2 cov(A, B)``, where the covariance is a sum over pairs of blocks. It is at least `least` times
    that of independent blocks. `scales` (size,) of the noise in each block.
    """
    for k in range(size):
        square = splat(scales[k] * scales[k], WIDE)
        for i in range(0, length, WIDE):
            store(variance, k * length + i, mul(square, load(covariance, origin + i, WIDE)))
    half = 1
    while half < size:
        factor = splat(np.float32(2 * half * least), WIDE)
        for first in range(0, size, 2 * half):
            for i in range(0, length, CHUNK):
                c0 = c1 = c2 = c3 = splat(np.float32(0), WIDE)
                for a in range(first, first + half):
                    for b in range(first + half, first + 2 * half):
                        at = np.int64(places[a * size + b]) + i
                        product = splat(scales[a] * scales[b], WIDE)
                        c0 = fma(product, load(covariance, at, WIDE), c0)
                        c1 = fma(product, load(covariance, at + WIDE, WIDE), c1)
                        c2 = fma(product, load(covariance, at + 2 * WIDE, WIDE), c2)
                        c3 = fma(product, load(covariance, at + 3 * WIDE, WIDE), c3)
                a = first * length + i
                b = a + half * length
                own = origin + i
                combine_variances(variance, a, b, c0, mul(factor, load(covariance, own, WIDE)))
                own += WIDE
                a, b = a + WIDE, b + WIDE
                combine_variances(variance, a, b, c1, mul(factor, load(covariance, own, WIDE)))
                own += WIDE
                a, b = a + WIDE, b + WIDE
                combine_variances(variance, a, b, c2, mul(factor, load(covariance, own, WIDE)))
                own += WIDE
                a, b = a + WIDE, b + WIDE
                combine_variances(variance, a, b, c3, mul(factor, load(covariance, own, WIDE)))
        half *= 2


@_jit.routine
def combine_variances(variance, a, b, sums, limit):
    """Convert the variances of two sums to those of their sum and difference, at least `limit`."""
    both = add(load(variance, a, WIDE), load(variance, b, WIDE))
    twice = add(sums, sums)
    store(variance, a, maximum(add(both, twice), limit))
    store(variance, b, maximum(sub(both, twice), limit))


@_jit.routine
def variance_backward(given, size, length, covariance, reach, places, scales, sums, levels):
    """Propagate gradients of `group_variance` back to the scales; overwrites `given`.

    sums (size, WIDE): working memory, whose lanes are added in the end. levels (size,): result.
    """
    for k in range(size):
        store(sums, k * WIDE, splat(np.float32(0), WIDE))
    half = size // 2
    while half > 0:
        for first in range(0, size, 2 * half):
            pair = (first + half) * length
            for i in range(0, length, WIDE):
                left, right = load(given, first * length + i, WIDE), load(given, pair + i, WIDE)
                store(given, first * length + i, add(left, right))  # for both halves
                store(given, pair + i, sub(left, right))  # for twice the covariances of pairs
            for a in range(first, first + half):
                own = load(sums, a * WIDE, WIDE)
                for b in range(first + half, first + 2 * half):
                    at = np.int64(places[a * size + b])
                    if at != reach.far:
                        total = product_sum(given, pair, covariance, at, length)
                        own = fma(splat(scales[b] + scales[b], WIDE), total, own)
                        other = load(sums, b * WIDE, WIDE)
                        store(sums, b * WIDE, fma(splat(scales[a] + scales[a], WIDE), total, other))
                store(sums, a * WIDE, own)
            for i in range(0, length, WIDE):
                store(given, pair + i, load(given, first * length + i, WIDE))
        half //= 2
    for k in range(size):
        total = product_sum(given, k * length, covariance, reach.origin, length)
        total = fma(splat(scales[k] + scales[k], WIDE), total, load(sums, k * WIDE, WIDE))
        levels[k] = lane_sum(total)


@_jit.routine
def product_sum(first, a, second, b, length):
    """Sum of the products of two blocks, in the lanes of a vector."""
    total = splat(np.float32(0), WIDE)
    for i in range(0, length, WIDE):
        total = fma(load(first, a + i, WIDE), load(second, b + i, WIDE), total)
    return total


@_jit.routine
def hard_gains(group, passed, variance, size, length, threshold):
    """Noise variance that remains after hard thresholding, and product of result and `passed`.

    threshold (levels + 1, length): lambda**2 sigma**2, see `level_of`.
    """
    total = dot = splat(np.float32(0), WIDE)
    for k in range(size):
        share = splat(np.float32(1 / blocks_of(k, size)), WIDE)
        row = level_of(k) * length
        for i in range(0, length, WIDE):
            at = k * length + i
            c = load(group, at, WIDE)
            v = load(variance, at, WIDE)
            energy, limit = mul(c, c), mul(load(threshold, row + i, WIDE), v)
            total = add(total, keep_ge(mul(v, share), energy, limit))
            dot = fma(c, keep_ge(mul(load(passed, at, WIDE), share), energy, limit), dot)
    remaining = lane_sum(total)
    return remaining, lane_sum(dot)


@_jit.routine
def hard_backward(group, passed, variance, given, size, length, threshold):
    """Propagate gradients `passed` through the mask, in place.

    `given` becomes the gradient of the remaining noise with respect to `variance`.
    """
    least = splat(np.finfo(np.float32).tiny, WIDE)
    for k in range(size):
        share = splat(np.float32(1 / blocks_of(k, size)), WIDE)
        row = level_of(k) * length
        for i in range(0, length, WIDE):
            at = k * length + i
            c = load(group, at, WIDE)
            v = load(variance, at, WIDE)
            energy, limit = mul(c, c), mul(load(threshold, row + i, WIDE), v)
            store(passed, at, keep_ge(mul(load(passed, at, WIDE), share), energy, limit))
            store(given, at, keep_ge(keep_ge(share, energy, limit), v, least))


@_jit.routine
def step_backward(
    group, passed, variance, size, length, threshold, weight, remaining, totals, first
):
    """Add gradients with respect to the logarithms of the factors to `totals`, from `first` on.

    `passed` are the gradients before `hard_backward`. Without `totals` nothing is done.
    """
    if totals is not None:  # a branch on an argument is not compiled for None
        add_steps(
            group, passed, variance, size, length, threshold, weight, remaining, totals, first
        )


@_jit.routine
def add_steps(group, passed, variance, size, length, threshold, weight, remaining, totals, first):
    """Add the gradients of `step_backward`."""
    least, zero = splat(np.finfo(np.float32).tiny, WIDE), splat(np.float32(0), WIDE)
    steepness, one = splat(np.float32(1 / WIDTH), WIDE), splat(np.float32(1), WIDE)
    weights, rest = splat(weight, WIDE), splat(remaining + remaining, WIDE)
    for k in range(size):
        height = splat(np.float32(15 / 16 / WIDTH / blocks_of(k, size)), WIDE)
        row = level_of(k) * length
        for i in range(0, length, WIDE):
            at = k * length + i
            c, v = load(group, at, WIDE), load(variance, at, WIDE)
            energy, limit = mul(c, c), mul(load(threshold, row + i, WIDE), v)
            ratio = div(energy, maximum(limit, least))
            u = mul(sub(ratio, one), steepness)
            slope = maximum(fnma(u, u, one), zero)
            by_gain = mul(mul(weights, c), load(passed, at, WIDE))
            by_gain = add(by_gain, keep_ge(mul(rest, v), energy, limit))
            # Where there is no noise, the ratio can be infinite, and the slope is zero
            ratio = keep_ge(ratio, slope, least)
            change = mul(mul(mul(slope, slope), mul(ratio, height)), by_gain)
            place = first + row + i
            store(totals, place, sub(load(totals, place, WIDE), change))


@_jit.routine
def wiener_gains(group, pilot, passed, variance, inverse, size, length, noise):
    """Noise variance that remains after Wiener filtering, and product of result and `passed`.

    `inverse` becomes 1 / (energy + noise). noise (levels + 1, length): mu**2 sigma**2, see
    `level_of`.
    """
    total = dot = splat(np.float32(0), WIDE)
    least, one = splat(np.finfo(np.float32).tiny, WIDE), splat(np.float32(1), WIDE)
    for k in range(size):
        share = splat(np.float32(1 / blocks_of(k, size)), WIDE)
        row = level_of(k) * length
        for i in range(0, length, WIDE):
            at = k * length + i
            p = load(pilot, at, WIDE)
            v = load(variance, at, WIDE)
            energy = fma(p, p, least)
            mean = mul(load(noise, row + i, WIDE), v)
            inv = div(one, add(energy, mean))
            gain = mul(energy, inv)
            scaled = mul(gain, share)
            total = fma(mul(v, gain), scaled, total)
            dot = fma(mul(load(group, at, WIDE), load(passed, at, WIDE)), scaled, dot)
            store(inverse, at, inv)
    remaining = lane_sum(total)
    return remaining, lane_sum(dot)


@_jit.routine
def wiener_backward(
    group, pilot, passed, variance, inverse, size, length, noise, weight, remaining, totals, first
):
    """Propagate gradients `passed` through Wiener filtering.

    `weight` of the group, and the gradient with respect to the `remaining` noise. In place of
    `passed` come gradients with respect to `group`, except for the weight; of `pilot` those with
    respect to the pilot; of `inverse` those with respect to `variance`. Return the gradient with
    respect to the strength of the noise, times the strength. Unless `totals` is None, add those by
    coefficient to it, times -2, from `first` on.
    """
    strength = splat(np.float32(0), WIDE)
    least, two = splat(np.finfo(np.float32).tiny, WIDE), splat(np.float32(2), WIDE)
    weights, rest = splat(weight, WIDE), splat(remaining, WIDE)
    for k in range(size):
        share = splat(np.float32(1 / blocks_of(k, size)), WIDE)
        row = level_of(k) * length
        for i in range(0, length, WIDE):
            at = k * length + i
            p = load(pilot, at, WIDE)
            v = load(variance, at, WIDE)
            d = load(passed, at, WIDE)
            inv = load(inverse, at, WIDE)
            energy, factor = fma(p, p, least), load(noise, row + i, WIDE)
            gain = mul(energy, inv)
            by_gain = mul(mul(weights, load(group, at, WIDE)), d)
            by_gain = fma(mul(mul(two, rest), v), gain, by_gain)
            by_gain = mul(by_gain, share)
            # In this order: where there is no noise, the inverse of the energy can be huge
            guided = mul(mul(mul(two, mul(p, inv)), mul(mul(factor, v), inv)), by_gain)
            strength = fma(p, guided, strength)
            if totals is not None:
                place = first + row + i
                store(totals, place, fma(p, guided, load(totals, place, WIDE)))
            store(passed, at, mul(mul(d, gain), share))
            store(pilot, at, guided)
            by_noise = mul(mul(gain, mul(factor, inv)), by_gain)
            by_variance = sub(mul(mul(rest, share), mul(gain, gain)), by_noise)
            store(inverse, at, keep_ge(by_variance, v, least))
    return np.float32(-0.5) * lane_sum(strength)
