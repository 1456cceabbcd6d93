"""Places of a picture that are worth a closer look."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastrestore._arrays.types import FloatArray

LARGEST = 96  # pixels: side of a crop, which the page enlarges
PARTS = 4  # crops have at most this part of the smaller side of a picture


class Crop(NamedTuple):
    """A square part of a picture."""

    title: str
    row: int
    column: int
    side: int

    def of(self, picture: FloatArray) -> FloatArray:
        """Return this part of a picture (M, N, C)."""
        return picture[self.row : self.row + self.side, self.column : self.column + self.side]


def choose(restored: FloatArray, difference: FloatArray, title: str) -> list[Crop]:
    """Return the places with most detail, with least detail, and with the largest difference.

    Pictures are (M, N, C). `title` is that of the last place. Equal places are listed once.
    """
    side = min(LARGEST, max(1, min(restored.shape[:2]) // PARTS), *restored.shape[:2])
    gray = restored.mean(2, dtype=np.float32)
    detail = _means(np.abs(np.diff(gray, axis=0, append=gray[-1:])), side)
    detail += _means(np.abs(np.diff(gray, axis=1, append=gray[:, -1:])), side)
    power = _means(np.square(difference).mean(2), side)
    found = [
        ("Most detail", int(detail.argmax())),
        (title, int(power.argmax())),
        ("Least detail", _flat(detail)),
    ]
    places: dict[tuple[int, int], Crop] = {}
    for name, position in found:
        row, column = (int(k) for k in np.unravel_index(position, detail.shape))
        places.setdefault((row, column), Crop(name, row * side, column * side, side))
    return list(places.values())


def _flat(detail: FloatArray) -> int:
    """Return the place with the least detail, but not a constant one such as a border."""
    positive = np.where(detail > 0, detail, np.inf)
    return int(positive.argmin())


def _means(values: FloatArray, side: int) -> FloatArray:
    """Return the means of squares that do not overlap, from the top left."""
    rows, columns = (size // side for size in values.shape)
    squares = values[: rows * side, : columns * side].reshape(rows, side, columns, side)
    means: FloatArray = squares.mean((1, 3))
    return means
