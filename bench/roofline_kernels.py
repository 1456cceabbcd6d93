"""Parts of the filter as kernels of their own, which run over all groups of an image."""

from types import SimpleNamespace

import numba
import numpy as np

from fastrestore.backends.numba import _filter
from fastrestore.backends.numba._products import combine, transform_pair
from fastrestore.backends.numba._shrink import Group, haar_back, shrink
from fastrestore.backends.numba._simd import add, load, splat, store, sub, widen
from fastrestore.backends.numba._variance import WIDE, find_pairs, shared_noise

compiled = numba.njit(nogil=True, error_model="numpy")


def kernels(block, wiener, even_odd):
    """Compile the parts for blocks of one size."""
    return SimpleNamespace(
        transforms=transforms(block, wiener, even_odd),
        variance=variance(block),
        shrinkage=shrinkage(block, wiener),
        aggregation=aggregation(block),
    )


@compiled
def corners(groups, n, scratch):
    """Write the corners of the blocks of group n; return their number."""
    i, j = _filter.in_strips(n, len(groups.rows), len(groups.columns))
    shifts = groups.offsets[groups.above + i, groups.before + j]
    size = max(2, groups.sizes[groups.above + i, groups.before + j])
    for k in range(size):
        dy, dx = shifts[k, 0], shifts[k, 1]
        scratch.y[k] = groups.rows[i] + dy
        scratch.x[k] = groups.columns[j] + dx
        scratch.y_float[k] = dy
        scratch.x_float[k] = dx
    return size


def transforms(block, wiener, even_odd):
    """Compile the transforms there and back, without what lies between."""
    width, length = _filter.lanes(block), _filter.stride(block)
    there = "even-odd rows" if even_odd else "any"
    back = "even-odd columns" if even_odd else "any"

    @compiled
    def kernel(blocks, groups, tables, scratch):
        noisy, guide = blocks.noisy.reshape(-1), blocks.pilot.reshape(-1)
        across = blocks.noisy.shape[1] * width
        y, x = scratch.y, scratch.x
        for n in range(len(groups.rows) * len(groups.columns)):
            size = corners(groups, n, scratch)
            for k in range(0, size, 2):
                a = y[k] * across + x[k] * width
                b = y[k + 1] * across + x[k + 1] * width
                transform_pair(
                    scratch.group, k * length, tables.forward, noisy, a, b, apart=length,
                    pitch_out=width, pitch=width, size=block, lanes=width, kind=there,
                )  # fmt: skip
                if wiener:
                    transform_pair(
                        scratch.pilot, k * length, tables.forward, guide, a, b, apart=length,
                        pitch_out=width, pitch=width, size=block, lanes=width, kind=there,
                    )  # fmt: skip
            for k in range(0, size, 2):
                at = k * length
                transform_pair(
                    scratch.vectors, 0, tables.horizontal, scratch.group, at, at + length,
                    apart=length, pitch_out=width, pitch=width, size=block, lanes=width,
                    kind=back,
                )  # fmt: skip
                for m in range(2):
                    combine(
                        scratch.columns, scratch.vectors, m * length, tables.vertical,
                        columns=block, terms=block, lanes=width,
                    )  # fmt: skip

    return kernel


def variance(block):
    """Compile the sums of covariances of the blocks of groups."""
    length = _filter.stride(block)

    @compiled
    def kernel(groups, tables, scratch):
        for n in range(len(groups.rows) * len(groups.columns)):
            size = corners(groups, n, scratch)
            y, x = scratch.y_float, scratch.x_float
            find_pairs(y, x, size, length, tables.reach, scratch.pairs)
            half = 2
            while half < size:
                for first in range(0, size, 2 * half):
                    for i in range(0, length, 4 * WIDE):
                        shared = shared_noise(
                            tables.covariance, scratch.pairs, None, size, first, half, i
                        )
                        store(scratch.variance, i, shared)
                half *= 2

    return kernel


def shrinkage(block, wiener):
    """Compile the Haar transform, variances, shrinkage, and the Haar transform back."""
    length = _filter.stride(block)

    @compiled
    def kernel(groups, tables, scratch):
        group = Group(scratch.group, scratch.pilot, scratch.variance)
        for n in range(len(groups.rows) * len(groups.columns)):
            size = corners(groups, n, scratch)
            find_pairs(scratch.y_float, scratch.x_float, size, length, tables.reach, scratch.pairs)
            shrink(group, tables, scratch.pairs, None, size, length, wiener)
            haar_back(scratch.group, size, length)

    return kernel


def aggregation(block):
    """Compile the addition of weighted blocks to the sums."""
    width = _filter.lanes(block)
    rounder = np.float32(_filter.ROUNDER)

    @compiled
    def kernel(groups, sums, scratch):
        flat, down = sums.numerator.reshape(-1), sums.numerator.shape[1]
        big = splat(rounder, width)
        for n in range(len(groups.rows) * len(groups.columns)):
            for k in range(corners(groups, n, scratch)):
                y, x = scratch.y[k], scratch.x[k]
                for c in range(block):
                    column = sub(add(load(scratch.columns, c * width, width), big), big)
                    at = (x + c) * down + y
                    store(flat, at, add(load(flat, at, width), widen(column)))
                sums.weights[x, y] += np.float32(1)

    return kernel
