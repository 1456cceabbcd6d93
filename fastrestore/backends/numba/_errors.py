"""Expected error of the groups of Wiener filtering of a band.

The specification is `fastrestore.backends.numpy.uncertainty`; see `_backward` for coefficients of
the Haar transform without scaling.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastrestore.backends.numba import _jit
from fastrestore.backends.numba._backward import WIDE, blocks_of, haar, wiener_gains
from fastrestore.backends.numba._backward_groups import place_group, share_of, variances
from fastrestore.backends.numba._filter import ROUNDER, in_strips, lanes, stride
from fastrestore.backends.numba._products import lane_sum, transform_pair
from fastrestore.backends.numba._shrink import weight_of
from fastrestore.backends.numba._simd import fma, load, mul, splat, sub


@_jit.routine
def removed_energy(pilot, inverse, size, length):
    """Energy of the pilot that Wiener gains remove; `inverse` as by `wiener_gains`."""
    removed = splat(np.float32(0), WIDE)
    least, one = splat(np.finfo(np.float32).tiny, WIDE), splat(np.float32(1), WIDE)
    for k in range(size):
        share = splat(np.float32(1 / blocks_of(k, size)), WIDE)
        for i in range(0, length, WIDE):
            p = load(pilot, k * length + i, WIDE)
            energy = mul(p, p)
            gain = mul(fma(p, p, least), load(inverse, k * length + i, WIDE))
            rest = sub(one, gain)
            removed = fma(mul(mul(rest, rest), share), energy, removed)
    return lane_sum(removed)


@_jit.once
def errors_kernel(block: int, even_odd: bool) -> Callable[..., None]:
    """Compile the sums of weights and of measures of groups by the corners of their blocks.

    `even_odd`: the rows of the transform are alternately even and odd, as those of the DCT.
    """
    width, length = lanes(block), stride(block)
    there = "even-odd rows" if even_odd else "any"

    @_jit.kernel
    def errors_band(blocks, groups, tables, scale, power, sums, scratch):
        """Add the weighted measures of the groups of a part of the references to its sums.

        blocks (rows, columns, lanes) of the pilot; `power` is the inverse of the noise variance.
        sums (3, columns, rows): of weights and measures. They are exact, as in `_filter`.
        """
        values = blocks.reshape(-1)
        across = blocks.shape[1] * width
        pilot, variance, inverse = scratch.pilot, scratch.variance, scratch.inverse
        y, x = scratch.y, scratch.x
        for n in range(len(groups.rows) * len(groups.columns)):
            i, j = in_strips(n, len(groups.rows), len(groups.columns))
            size = place_group(groups, i, j, y, x)
            variances(size, length, tables, scale, scratch)
            for k in range(0, size, 2):
                a = y[k] * across + x[k] * width
                b = y[k + 1] * across + x[k + 1] * width
                transform_pair(
                    pilot, k * length, tables.forward, values, a, b, apart=length,
                    pitch_out=width, pitch=width, size=block, lanes=width, kind=there,
                )  # fmt: skip
            haar(pilot, size, length)
            left, _ = wiener_gains(
                pilot, pilot, pilot, variance, inverse, size, length, tables.strength
            )
            removed = power * removed_energy(pilot, inverse, size, length)
            weight = weight_of(share_of(groups, tables, i, j) * left)
            share = weight / np.float32(size * block * block)
            rounded = (weight + ROUNDER) - ROUNDER
            left = (share * left + ROUNDER) - ROUNDER
            removed = (share * removed + ROUNDER) - ROUNDER
            for k in range(size):
                sums[0, x[k], y[k]] += rounded
                sums[1, x[k], y[k]] += left
                sums[2, x[k], y[k]] += removed

    return errors_band
