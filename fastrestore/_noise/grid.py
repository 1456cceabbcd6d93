"""Grid of the blocks of a compressed video, from the steps between neighboring pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray

SIDE = 8  # pixels, of the smallest blocks; those of the other grid are twice as large
FEWEST = 8  # borders along an axis
# Standard errors by which the steps at borders exceed the others on both axes, so that the blocks
# are seen, and by which every second border exceeds them, so that blocks are no larger
SURE, LIKELY = 5.0, 3.0


def block_grid(frames: list[NDArray[Any]]) -> int:
    """Return the side of the blocks whose borders are seen in frames (C, M, N): 8, 16 or 0.

    At the border of two blocks, the step between two pixels often exceeds both steps beside it. The
    share of such pixels by column has a spectrum with peaks at multiples of 1 / side.
    """
    sides = [_side(np.mean([_shares(f, axis) for f in frames], axis=0)) for axis in (1, 2)]
    return min(sides)


def _shares(planes: NDArray[Any], axis: int) -> FloatArray:
    """Return by position along an axis the share of steps that exceed both steps beside them."""
    steps = np.moveaxis(np.abs(np.diff(planes.astype(np.float64), axis=axis)), axis, 0)
    if len(steps) < 3:
        return np.zeros(0)
    larger = steps[1:-1] > np.maximum(steps[:-2], steps[2:])
    shares: FloatArray = larger.reshape(len(larger), -1).mean(1)
    return shares


def _side(shares: FloatArray) -> int:
    """Return the side of the blocks along an axis."""
    if len(shares) < FEWEST * SIDE:
        return 0
    height = np.array([_height(shares, SIDE, k) for k in range(SIDE)])
    first = int(height.argmax())
    every = [_height(shares, 2 * SIDE, first + k) for k in (0, SIDE)]
    if max(every) < SURE:
        return 0
    return SIDE if min(every) > LIKELY or height[first] > max(every) else 2 * SIDE


def _height(shares: FloatArray, side: int, first: int) -> float:
    """Return by how many standard errors the borders from `first` exceed the positions between."""
    at = np.zeros(len(shares), bool)
    at[first::side] = True
    between = np.ones(len(shares), bool)
    between[first % SIDE :: SIDE] = False
    error = float(shares[between].std()) / math.sqrt(max(1, int(at.sum())))
    return (float(shares[at].mean()) - float(shares[between].mean())) / (error or 1.0)
