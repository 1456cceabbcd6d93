"""Gradients of the collaborative filtering of the groups of a band.

Groups are transformed as in `_filter`, and so are the same blocks of the gradient: its lifted
columns and its horizontal matrix are those of the inverse transform, transposed, which include the
aggregation window. The gradients of the coefficients are transformed back by the transposed forward
transform. Sums of pixels and weights are exact, as in `_filter`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.limits import LEAST
from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._backward import (
    WIDE,
    Reach,
    by_remaining,
    find_places,
    group_variance,
    haar,
    haar_back,
    hard_backward,
    hard_gains,
    step_backward,
    variance_backward,
    wiener_backward,
    wiener_gains,
)
from fastrestore.backends.numba._filter import ROUNDER, in_strips, lanes, stride
from fastrestore.backends.numba._products import combine, transform_pair
from fastrestore.backends.numba._shrink import weight_of
from fastrestore.backends.numba._simd import add, aligned, load, mul, splat, store, sub, widen


class Blocks(NamedTuple):
    """Half-transformed blocks at every position, (rows, columns, lanes)."""

    noisy: NDArray[np.float32]
    pilot: NDArray[np.float32]  # the same array in the basic stage
    passed: NDArray[np.float32]  # of the gradient of the numerator


class Tables(NamedTuple):
    """Matrices and variances of one channel in the layout of the kernels."""

    forward: NDArray[np.float32]  # (N * N,): coefficient, sample
    passed: NDArray[np.float32]  # (N * N,): coefficient, pixel; times the window
    horizontal: NDArray[np.float32]  # (N * N,): sample, coefficient
    vertical: NDArray[np.float32]  # (N * lanes,): coefficient, sample
    covariance: NDArray[np.float32]  # (places * length,), laid out by `reach`
    reach: Reach
    strength: NDArray[np.float32]  # ((levels + 1) * length,): see `hard_gains`
    shares: NDArray[np.float32]  # see `size_shares`


class Maps(NamedTuple):
    """Numbers by the corner of a block, (rows, columns)."""

    scale: Any  # of the noise in each block, or None
    window: NDArray[np.float32]  # gradient through the denominator, without the weight


class Results(NamedTuple):
    """Sums by pixel, transposed (columns, rows), and numbers of each group of a channel."""

    noisy: NDArray[np.float64]
    pilot: NDArray[np.float64]
    strength: NDArray[np.float32]  # (rows, columns) of references
    levels: NDArray[np.float32]  # (rows, columns, blocks)
    factors: Any  # of each row of references of the part (rows * (levels + 1) * length,), or None


class Scratch(NamedTuple):
    """Working memory of a part."""

    group: NDArray[np.float32]
    pilot: NDArray[np.float32]
    passed: NDArray[np.float32]
    variance: NDArray[np.float32]
    inverse: NDArray[np.float32]
    weighted: NDArray[np.float32]
    columns: NDArray[np.float32]
    vectors: NDArray[np.float32]
    sums: NDArray[np.float32]
    scales: NDArray[np.float32]
    levels: NDArray[np.float32]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    places: NDArray[np.int32]


def scratch(block: int, most: int) -> Scratch:
    """Allocate the working memory for groups of up to `most` blocks."""
    length, most = stride(block), max(2, most)
    group, pilot, passed, variance, inverse = aligned(5 * most * length, np.float32).reshape(5, -1)
    return Scratch(
        group=group,
        pilot=pilot,
        passed=passed,
        variance=variance,
        inverse=inverse,
        weighted=aligned(length, np.float32),
        columns=aligned(length, np.float32),
        vectors=aligned(2 * length, np.float32),
        sums=aligned(most * WIDE, np.float32),
        scales=np.ones(most, np.float32),
        levels=np.zeros(most, np.float32),
        y=np.empty(most, np.int64),
        x=np.empty(most, np.int64),
        places=aligned(most**2, np.int32),
    )


@_jit.once
def weights_kernel(block: int, wiener: bool, even_odd: bool) -> Callable[..., None]:
    """Compile the sums of the weights of groups by the corners of their blocks.

    `even_odd`: the rows of the transform are alternately even and odd, as those of the DCT.
    """
    width, length = lanes(block), stride(block)
    there = "even-odd rows" if even_odd else "any"

    @_jit.kernel
    def weights_band(blocks, groups, tables, maps, weights, scratch):
        """Add the weights of the groups of a part of the references, transposed."""
        noisy_blocks, pilot_blocks = blocks.noisy.reshape(-1), blocks.pilot.reshape(-1)
        across = blocks.noisy.shape[1] * width
        group, pilot, variance, y, x = (
            scratch.group, scratch.pilot, scratch.variance, scratch.y, scratch.x,
        )  # fmt: skip
        for n in range(len(groups.rows) * len(groups.columns)):
            i, j = in_strips(n, len(groups.rows), len(groups.columns))
            size = place_group(groups, i, j, y, x)
            variances(size, length, tables, maps.scale, scratch)
            for k in range(0, size, 2):
                a = y[k] * across + x[k] * width
                b = y[k + 1] * across + x[k + 1] * width
                transform_pair(
                    group, k * length, tables.forward, noisy_blocks, a, b, apart=length,
                    pitch_out=width, pitch=width, size=block, lanes=width, kind=there,
                )  # fmt: skip
                if wiener:
                    transform_pair(
                        pilot, k * length, tables.forward, pilot_blocks, a, b, apart=length,
                        pitch_out=width, pitch=width, size=block, lanes=width, kind=there,
                    )  # fmt: skip
            if wiener:
                haar(pilot, size, length)
                noise, _ = wiener_gains(
                    group, pilot, group, variance, scratch.inverse, size, length,
                    tables.strength,
                )  # fmt: skip
            else:
                haar(group, size, length)
                noise, _ = hard_gains(group, group, variance, size, length, tables.strength)
            share = share_of(groups, tables, i, j)
            weight = (weight_of(share * noise) + ROUNDER) - ROUNDER
            for k in range(size):
                weights[x[k], y[k]] += weight

    return weights_band


@_jit.routine
def place_group(groups, i, j, y, x):
    """Compute the corners of the blocks of a group; return their number, at least 2."""
    count = groups.sizes[groups.above + i, groups.before + j]
    shifts = groups.offsets[groups.above + i, groups.before + j]
    size = max(2, count)  # a single block is filtered as a pair of equal blocks
    for k in range(size):
        y[k] = groups.rows[i] + (shifts[k, 0] if k < count else 0)
        x[k] = groups.columns[j] + (shifts[k, 1] if k < count else 0)
    return size


@_jit.routine
def share_of(groups, tables, i, j):
    """Return the factor for the remaining noise in the weight of a group."""
    return tables.shares[groups.sizes[groups.above + i, groups.before + j]]


@_jit.routine
def variances(size, length, tables, scale, scratch):
    """Compute the variances of the coefficients of a group."""
    reach, y, x = tables.reach, scratch.y, scratch.x
    least = np.float32(LEAST)
    if scale is not None:
        least = np.float32(0)
        for k in range(size):
            scratch.scales[k] = scale[y[k], x[k]]
    find_places(y, x, size, length, reach, scratch.places)
    group_variance(
        scratch.variance, size, length, tables.covariance, reach.origin, scratch.places,
        scratch.scales, least,
    )  # fmt: skip


@_jit.once
def backward_kernel(
    block: int, wiener: bool, even_odd: bool, even_odd_passed: bool
) -> Callable[..., None]:
    """Compile the gradients of groups of blocks of one size.

    `even_odd`: the rows of the forward transform are alternately even and odd; `even_odd_passed`:
    so are those of the transposed inverse transform.
    """
    width, length = lanes(block), stride(block)
    there = "even-odd rows" if even_odd else "any"
    back = "even-odd columns" if even_odd else "any"
    given = "even-odd rows" if even_odd_passed else "any"

    @_jit.kernel
    def backward_band(blocks, groups, tables, maps, results, scratch):
        """Add the gradients of the groups of a part of the references to its sums."""
        noisy_blocks, pilot_blocks = blocks.noisy.reshape(-1), blocks.pilot.reshape(-1)
        passed_blocks = blocks.passed.reshape(-1)
        across = blocks.noisy.shape[1] * width
        group, pilot, passed = scratch.group, scratch.pilot, scratch.passed
        variance, inverse, y, x = scratch.variance, scratch.inverse, scratch.y, scratch.x
        weighted, vectors, columns = scratch.weighted, scratch.vectors, scratch.columns
        big = splat(ROUNDER, width)
        for n in range(len(groups.rows) * len(groups.columns)):
            i, j = in_strips(n, len(groups.rows), len(groups.columns))
            size = place_group(groups, i, j, y, x)
            variances(size, length, tables, maps.scale, scratch)
            for k in range(0, size, 2):
                a = y[k] * across + x[k] * width
                b = y[k + 1] * across + x[k + 1] * width
                transform_pair(
                    group, k * length, tables.forward, noisy_blocks, a, b, apart=length,
                    pitch_out=width, pitch=width, size=block, lanes=width, kind=there,
                )  # fmt: skip
                transform_pair(
                    passed, k * length, tables.passed, passed_blocks, a, b, apart=length,
                    pitch_out=width, pitch=width, size=block, lanes=width, kind=given,
                )  # fmt: skip
                if wiener:
                    transform_pair(
                        pilot, k * length, tables.forward, pilot_blocks, a, b, apart=length,
                        pitch_out=width, pitch=width, size=block, lanes=width, kind=there,
                    )  # fmt: skip
            share = share_of(groups, tables, i, j)
            haar(group, size, length)
            haar(passed, size, length)
            window = np.float32(0)
            for k in range(size):
                window += maps.window[y[k], x[k]]
            if wiener:
                haar(pilot, size, length)
                noise, dot = wiener_gains(
                    group, pilot, passed, variance, inverse, size, length, tables.strength,
                )  # fmt: skip
                weight = weight_of(share * noise)
                remaining = by_remaining(noise, share, weight, dot - window)
                strength = wiener_backward(
                    group, pilot, passed, variance, inverse, size, length, tables.strength,
                    weight, remaining, results.factors, i * len(tables.strength),
                )  # fmt: skip
                results.strength[groups.above + i, groups.before + j] = strength
                factor = np.float32(1)
            else:
                noise, dot = hard_gains(
                    group, passed, variance, size, length, tables.strength,
                )  # fmt: skip
                weight = weight_of(share * noise)
                factor = by_remaining(noise, share, weight, dot - window)
                step_backward(
                    group, passed, variance, size, length, tables.strength, weight, factor,
                    results.factors, i * len(tables.strength),
                )  # fmt: skip
                hard_backward(group, passed, variance, inverse, size, length, tables.strength)
            if maps.scale is not None:
                levels = results.levels[groups.above + i, groups.before + j]
                variance_backward(
                    inverse, size, length, tables.covariance, tables.reach,
                    scratch.places, scratch.scales, scratch.sums, scratch.levels,
                )  # fmt: skip
                for k in range(size):
                    levels[k] = factor * scratch.levels[k]
            weights = splat(weight, width)
            for u in range(0, block * width, width):
                store(weighted, u, mul(load(tables.vertical, u, width), weights))
            for image in range(2 if wiener else 1):
                coefficients = pilot if image else passed
                vertical = tables.vertical if image else weighted
                sums = results.pilot if image else results.noisy
                flat, down = sums.reshape(-1), sums.shape[1]
                haar_back(coefficients, size, length)
                for k in range(0, size, 2):
                    at = k * length
                    transform_pair(
                        vectors, 0, tables.horizontal, coefficients, at, at + length,
                        apart=length, pitch_out=width, pitch=width, size=block, lanes=width,
                        kind=back,
                    )  # fmt: skip
                    for m in range(2):
                        combine(
                            columns, vectors, m * length, vertical, columns=block, terms=block,
                            lanes=width,
                        )  # fmt: skip
                        for c in range(block):
                            column = sub(add(load(columns, c * width, width), big), big)
                            place = (x[k + m] + c) * down + y[k + m]
                            store(flat, place, add(load(flat, place, width), widen(column)))

    return backward_band
