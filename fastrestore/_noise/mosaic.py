"""Squares of a large image, which its noise is estimated from.

They lie on a regular grid, so that an image in chunks has the same squares as the whole one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop

MOST = 2**24  # pixels of an image that is looked at as a whole
# Pixels of a square, and how many there are along an axis. Windows of 128 pixels, from which
# spectra are estimated, fit in them.
SIDE, COUNT = 512, 8
# They begin at multiples of the side of the blocks of JPEG, and stay on this grid in the mosaic
BLOCK = 8
ENOUGH = 0.25  # share of the pixels of these squares that are valid; else all pixels are used

Square = tuple[slice, slice]


def squares_of(shape: Sequence[int]) -> list[list[Square]]:
    """Return the squares of an image of shape (M, N) in rows; one of all pixels if it is small."""
    if shape[0] * shape[1] <= MOST:
        return [[(slice(0, shape[0]), slice(0, shape[1]))]]
    down, across = (_spans(size, shape[0] * shape[1] // size) for size in shape)
    return [[(y, x) for x in across] for y in down]


def _spans(size: int, other: int) -> list[slice]:
    """Return the squares along an axis; more of them if the image is narrow along the other."""
    side = min(size, SIDE)
    count = min(COUNT * COUNT * SIDE // min(other, COUNT * SIDE), size // side)
    starts = np.linspace(0, size - side, count).astype(int) // BLOCK * BLOCK
    return [slice(int(start), int(start) + side) for start in starts]


def joined(rows: list[list[NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return squares (C, M, N) beside each other, and where they are: not in the lines between."""
    if len(rows) == 1 and len(rows[0]) == 1:
        return rows[0][0], None
    first = rows[0][0]
    height, width = (-(-size // BLOCK) * BLOCK + BLOCK for size in first.shape[1:])
    shape = (len(rows) * height - BLOCK, len(rows[0]) * width - BLOCK)
    planes = interop.namespace(first).empty((len(first), *shape), first.dtype)
    planes[...] = first[:, :1, :1]  # between squares; on a GPU only white noise is estimated
    if interop.on_host(first):
        planes[...] = np.median(first, (1, 2), keepdims=True).astype(first.dtype)
    valid = np.zeros((1, *shape), bool)
    for j, row in enumerate(rows):
        for k, square in enumerate(row):
            place = tuple(
                slice(start, start + size)
                for start, size in zip((j * height, k * width), square.shape[1:], strict=True)
            )
            planes[:, *place] = square
            valid[:, *place] = True
    return planes, valid


def stacked(rows: list[list[NDArray[Any]]]) -> NDArray[Any]:
    """Return squares (C, M, N) below each other, without lines between them."""
    every = [square for row in rows for square in row]
    return every[0] if len(every) == 1 else np.concatenate(every, 1)


def mosaic(
    planes: NDArray[Any], valid: NDArray[np.bool_] | None
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the squares of an image (C, M, N), and where they are valid."""
    rows = squares_of(planes.shape[1:])
    if len(rows) == 1 and len(rows[0]) == 1:
        return planes, valid
    some, inside = joined([[planes[:, *place] for place in row] for row in rows])
    if valid is None:
        return some, inside
    known, _ = joined([[valid[:, *place] for place in row] for row in rows])
    return (some, known) if known.mean() > ENOUGH else (planes, valid)
