"""Blocks of an image in a cosine transform: variance and third cumulant of noise by brightness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._arrays.types import FloatArray

SIDE = 8  # pixels
ORDER = np.add.outer(np.arange(SIDE), np.arange(SIDE))  # of each coefficient
HIGH = ORDER >= 9  # coefficients that measure the noise; lower ones raise it by up to 10 % more
SLOPE = ORDER <= 1  # coefficients that hold most of a smooth block but the noise
LOW = ~SLOPE & ~HIGH  # coefficients that show edges and texture
MOST = 2**14  # blocks are enough; a larger image is sampled on a regular grid
CONSTANT = 1e-20  # variance of a constant block, relative to the squares of the image


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Measures of blocks of pixels, each of shape (K,)."""

    mean: FloatArray
    low: FloatArray  # mean square of the coefficients LOW: variance of the noise, and structure
    high: FloatArray  # mean square of the coefficients HIGH: variance of the noise
    third: FloatArray  # third cumulant of the noise if the block is flat; NaN if it is not known
    least: FloatArray  # least value of the pixels
    share: FloatArray  # of a block that is not also part of others

    def __getitem__(self, which: Any) -> Blocks:
        """Return some of the blocks."""
        return Blocks(*(getattr(self, field.name)[which] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Blocks]) -> Blocks:
        """Return the blocks of several images."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @classmethod
    def of(
        cls, image: NDArray[Any], usable: NDArray[np.bool_] | None = None, most: int = MOST
    ) -> Blocks:
        """Measure up to about `most` blocks of (M, N) all of whose pixels are usable."""
        pixels, share = _sampled(image, usable, most)
        coefficients = _transformed(pixels)
        low, high = (np.square(coefficients[:, part]).mean(1) for part in (LOW, HIGH))
        noise = _transformed(coefficients * ~SLOPE, back=True)
        third = (noise * noise * noise).sum((1, 2)) / _cubes()
        means, least = pixels.mean((1, 2)), pixels.min((1, 2), initial=math.inf)
        blocks = cls(means, low, high, third, least, np.full(len(means), share))
        return blocks[high > CONSTANT * np.square(means).max(initial=0)]

    @classmethod
    def of_difference(
        cls,
        one: NDArray[Any],
        other: NDArray[Any],
        usable: NDArray[np.bool_] | None = None,
        most: int = MOST,
    ) -> Blocks:
        """Measure blocks of two images of one scene, which cancels where nothing moves."""
        pair = [each.astype(np.float64) for each in (one, other)]
        pixels, share = _sampled((pair[0] - pair[1]) / math.sqrt(2), usable, most)
        middle = _sampled((pair[0] + pair[1]) / 2, usable, most)[0]
        means, least = middle.mean((1, 2)), middle.min((1, 2), initial=math.inf)
        coefficients = _transformed(pixels)
        low, high = (np.square(coefficients[:, part]).mean(1) for part in (LOW, HIGH))
        unknown = np.full(len(means), math.nan)
        blocks = cls(means, low, high, unknown, least, np.full(len(means), share))
        return blocks[high > CONSTANT * np.square(means).max(initial=0)]


def _sampled(
    image: NDArray[Any], usable: NDArray[np.bool_] | None, most: int
) -> tuple[FloatArray, float]:
    """Return blocks (K, 8, 8) on a regular grid, and the share of each without overlap."""
    if min(image.shape) < SIDE:
        return np.zeros((0, SIDE, SIDE)), 1.0
    step = max(SIDE // 2, math.ceil(math.sqrt(image.size / most)))
    windows = sliding_window_view(image, (SIDE, SIDE))[::step, ::step]
    pixels = windows.reshape(-1, SIDE, SIDE)
    if usable is not None:
        whole = sliding_window_view(usable, (SIDE, SIDE))[::step, ::step].all((2, 3))
        pixels = windows[whole]
    return pixels.astype(np.float64), min(1.0, (step / SIDE) ** 2)


def _transformed(blocks: FloatArray, back: bool = False) -> FloatArray:
    """Return the orthonormal cosine transform of blocks (K, 8, 8), or its inverse."""
    from scipy.fft import dctn, idctn

    transform = idctn if back else dctn
    coefficients: FloatArray = transform(blocks, axes=(1, 2), norm="ortho")
    return coefficients


@cache
def _cubes() -> float:
    """Sum of the cubes of the weights of pixels in a block without the coefficients SLOPE."""
    units = np.eye(SIDE**2).reshape(-1, SIDE, SIDE)
    weights = _transformed(_transformed(units) * ~SLOPE, back=True)
    return float((weights**3).sum())
