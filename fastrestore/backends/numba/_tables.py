"""Matrices and covariances in the layout of the kernels.

Those that belong to a profile are converted once, because a call for a small image takes little
longer than the conversion.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba import _filter, _variance
from fastrestore.backends.numba._filter import Tables
from fastrestore.backends.numba._simd import aligned, aligned_copy
from fastrestore.backends.protocol import Stage

if TYPE_CHECKING:
    from fastrestore.backends.numba import _cubes_filter


class Same:
    """An array as a key: equal to itself only."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __hash__(self) -> int:
        return id(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.array is other.array


def filter_tables(stage: Stage) -> list[Tables]:
    """Convert matrices to the layout of the kernels, for each channel; unused lanes are zero."""
    matrices = _matrices(Same(stage.forward), Same(stage.inverse), Same(stage.window))
    covariance = Same(stage.covariance)
    is_shared = not stage.covariance.flags.writeable
    table, layout = _shared_layout(covariance) if is_shared else _layout(covariance)
    length = _filter.stride(stage.block)
    first, *others = channel_tables(stage, matrices, table, layout, length)
    return [first._replace(root=np.float32(stage.root)), *others]


@functools.lru_cache(16)
def _matrices(forward: Same, inverse: Same, window: Same) -> tuple[NDArray[np.float32], ...]:
    size = len(window.array)
    lift, vertical = np.zeros((2, size, _filter.lanes(size)), np.float32)
    lift[:, :size] = forward.array.T
    back = inverse.array * window.array[:, None]
    vertical[:, :size] = back.T
    return tuple(map(aligned_copy, (lift, forward.array, back, vertical)))


def channel_tables(
    stage: Stage,
    matrices: tuple[NDArray[Any], ...],
    covariance: NDArray[np.float32],
    layout: _variance.Reach | _cubes_filter.Reach,
    length: int,
) -> list[Tables]:
    """Combine the matrices that all channels share with the numbers of each channel."""
    lift, forward, horizontal, vertical = matrices
    strength, shares = strength_table(stage, length), size_shares(stage)
    return [
        Tables(
            lift,
            forward,
            horizontal,
            vertical,
            covariance=covariance[min(c, len(covariance) - 1)],
            reach=layout,
            strength=strength[c],
            root=np.float32(1),
            shares=shares,
        )
        for c in range(len(strength))
    ]


def strength_table(stage: Stage, length: int) -> NDArray[np.float32]:
    """Return lambda**2 sigma**2, or mu**2 sigma**2, of the coefficients of each channel.

    There are `length` values for the sums of all blocks of a group, and for the differences of 2,
    4, 8, .. blocks each.
    """
    rows = max(2, stage.group.bit_length())  # a single block is filtered as a pair
    factors = np.ones((rows, length), np.float32)
    if stage.factors is not None:
        lanes, kept = _filter.lanes(stage.block), stage.factors[:rows]
        own = np.ones((len(kept), stage.block, lanes))
        own[..., : stage.block] = kept.transpose(0, 2, 1)
        factors[: len(kept), : own[0].size] = own.reshape(len(kept), -1)
    factors[0, 0] = 0  # the mean of a group is not changed
    table = np.multiply.outer(stage.strength * stage.variances, factors)
    return table.reshape(len(table), -1).astype(np.float32)


def size_shares(stage: Stage) -> NDArray[np.float32]:
    """Return factors for the remaining noise in the weight of a group, by its number of blocks."""
    counts = np.maximum(1, np.arange(stage.group + 1))
    return ((stage.group / counts) ** stage.size_weight).astype(np.float32)


def _layout(covariance: Same) -> tuple[NDArray[np.float32], _variance.Reach]:
    """Convert covariances to the layout of the kernels: one quadrant if they are symmetric."""
    tables = covariance.array.transpose(0, 1, 2, 4, 3)
    size = tables.shape[-1]
    lanes, length = _filter.lanes(size), _filter.stride(size)
    across = tables.shape[2] // 2
    apart = np.abs(tables[:, :, :across] - tables[:, :, : -across - 1 : -1])
    mirrored = bool(apart.max(initial=0) <= 1e-7 * tables.max())
    if mirrored:
        tables = tables[:, :, across:]
    down = tables.shape[1] - 1
    near = _variance.nearest(tables, (down, across))
    out = np.zeros((*tables.shape[:3], size, lanes), np.float32)
    out[..., :size] = 2 * tables
    flat = aligned(out[..., 0, 0].size * length, np.float32)
    flat.reshape(-1, length)[:, : size * lanes] = out.reshape(-1, size * lanes)
    line, origin = tables.shape[2] * length, 0 if mirrored else across * length
    return flat.reshape(len(tables), -1), _variance.Reach(down, across, line, origin, near)


_shared_layout = functools.lru_cache(8)(_layout)


def even_odd(matrix: NDArray[Any]) -> bool:
    """Whether the rows of a transform are alternately even and odd, as those of the DCT."""
    return _even_odd(Same(matrix))


def folds(stage: Stage) -> bool:
    """Whether the transforms of a stage, with the window, need half the products."""
    return _folds(Same(stage.forward), Same(stage.inverse), Same(stage.window))


@functools.lru_cache(16)
def _folds(forward: Same, inverse: Same, window: Same) -> bool:
    back = inverse.array * window.array[:, None]
    return even_odd(forward.array) and _even_odd(Same(back.T))


@functools.lru_cache(16)
def _even_odd(transform: Same) -> bool:
    matrix = transform.array
    signs = (-1.0) ** np.arange(len(matrix))[:, None]
    return np.allclose(matrix, signs * matrix[:, ::-1], atol=1e-12)
