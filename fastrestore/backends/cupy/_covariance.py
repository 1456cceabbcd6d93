"""Covariances of the coefficients of blocks as tables of the kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.protocol import Stage


class Table(NamedTuple):
    """`Stage.covariance` in the layout of the kernels: only one half if it is symmetric."""

    values: NDArray[np.float64]
    reach: tuple[int, ...]  # by axis: displacement from which the noise is independent
    strides: tuple[int, ...]  # values from one displacement to the next, without the last axis
    origin: int  # position of displacement 0; 0 if only magnitudes matter
    channel: int  # values from one channel to the next, 0 if there is one for all

    def numbers(self) -> tuple[np.int32, ...]:
        """Return the arguments of the kernels after `values`."""
        return tuple(map(np.int32, (*self.reach, *self.strides, self.origin, self.channel)))


def covariance_table(stage: Stage) -> Table:
    """Return the table of a stage, from the cache if possible."""
    return table_of(stage.covariance, _unchanged)


def table_of(covariance: NDArray[np.float64], arranged: Callable[[Table], Table]) -> Table:
    """Return a table as `arranged` by one of the filters, from the cache if possible."""
    key = id(covariance), arranged
    entry = _TABLES.get(key)
    if entry is None:
        entry = covariance, arranged(_covariance_table(covariance))
        if len(_TABLES) >= MOST_TABLES:
            _TABLES.clear()
        _TABLES[key] = entry  # which another thread may clear at once
    return entry[1]


def _unchanged(table: Table) -> Table:
    return table


# A reference to the covariance keeps its id valid
_TABLES: dict[tuple[int, Callable[[Table], Table]], tuple[NDArray[np.float64], Table]] = {}
MOST_TABLES = 16


def _covariance_table(covariance: NDArray[np.float64]) -> Table:
    """Convert covariances to the layout of the kernels."""
    ndim = (covariance.ndim - 1) // 2
    signed, area = range(2, 1 + ndim), math.prod(covariance.shape[1 + ndim :])
    middle = [covariance.shape[axis] // 2 for axis in signed]
    limit = 1e-7 * covariance.max()
    mirrored = all(
        np.allclose(covariance, np.flip(covariance, axis), rtol=0, atol=limit) for axis in signed
    )
    half = (slice(None), slice(None), *(slice(m if mirrored else 0, None) for m in middle))
    values = np.ascontiguousarray(covariance[half])
    strides = [area * math.prod(values.shape[1 + axis : 1 + ndim]) for axis in range(1, ndim + 1)]
    # The last ones are 0 unless the noise is correlated over the largest distance in a group
    reach = [values.shape[1] - (not values[:, -1].any())]
    reach += [
        m + 1 - (not values.take(-1, axis).any()) for m, axis in zip(middle, signed, strict=True)
    ]
    origin = sum(m * stride for m, stride in zip(middle, strides[1:], strict=True))
    return Table(
        values,
        tuple(reach),
        tuple(strides[:-1]),
        0 if mirrored else origin,
        values[0].size if len(values) > 1 else 0,
    )
