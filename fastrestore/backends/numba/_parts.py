"""Working memory of threads for the filtering of parts of the references."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.numba._pool import reach, span
from fastrestore.backends.protocol import Stage


class Memory(NamedTuple):
    """Memory of a thread for any part."""

    lifted: list[NDArray[np.float32]]  # half-transformed blocks of each image
    sums: list[NDArray[np.float64]]  # of pixels and of weights
    scratch: Any


def most_corners(
    grids: Sequence[NDArray[np.int64]],
    bands: Sequence[list[range]],
    stage: Stage,
    sizes: Sequence[int],
) -> list[int]:
    """Most corners of the blocks of a part, along each axis."""
    axes = zip(grids, bands, sizes, stage.shape, stage.radii, strict=True)
    return [
        max(len(reach(grid[span(band)], size, block, radius)) for band in own)
        for grid, own, size, block, radius in axes
    ]


def array_sizes(images: int, places: Sequence[int], sums: Sequence[int]) -> list[int]:
    """Sizes of the float64 arrays of a thread, from the shapes of `Memory.lifted` and `sums`."""
    return [*[-(-math.prod(places) // 2)] * images, *[math.prod(sums)] * 2]


def memories(
    arrays: list[NDArray[np.float64]], scratch: Callable[[], Any], count: int
) -> list[Memory]:
    """Divide the arrays of `count` threads among them."""
    each = len(arrays) // count
    return [
        Memory(
            [array.view(np.float32) for array in arrays[end - each : end - 2]],
            arrays[end - 2 : end],
            scratch(),
        )
        for end in range(each, len(arrays) + 1, each)
    ]
