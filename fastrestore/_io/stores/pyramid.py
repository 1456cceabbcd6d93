"""Reduced images of a result: means of blocks of pixels."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from fastrestore._io.errors import FileError
from fastrestore._io.images import to_type
from fastrestore._io.picture import Image
from fastrestore._io.stores.regions import Shape, regions

_SIDE = 1024  # rows and columns of the part of a reduced image that is computed at a time


def factors(path: Path, large: Shape, small: Shape) -> Shape:
    """Return how many pixels become one along each axis; raise if that is no whole number."""
    found = []
    for size, reduced in zip(large, small, strict=True):
        factor = max(1, round(size / reduced)) if reduced else 1
        if reduced not in (size // factor, -(-size // factor)):
            raise FileError(f"{path} has resolutions of the shapes {large} and {small}, which "
                            "are no whole fractions of each other; write one array")  # fmt: skip
        found.append(factor)
    return tuple(found)


def check(path: Path, shapes: tuple[Shape, ...]) -> None:
    """Raise if reduced images cannot be made of each other."""
    for large, small in itertools.pairwise(shapes):
        factors(path, large, small)


def reduce(path: Path, large: Any, small: Any, storage: Shape) -> None:
    """Fill an array with means of blocks of a larger one, part by part."""
    step = factors(path, large.shape, small.shape)
    unit = tuple(
        min(size, max(part, part * (_SIDE // part)))
        for size, part in zip(small.shape, storage, strict=True)
    )
    for part in regions(small.shape, unit):
        small[part] = block_means(large, part, step)


def block_means(large: Any, part: tuple[slice, ...], step: Shape) -> Image:
    """Return a part of a reduced image; blocks at the border may be smaller."""
    read = tuple(slice(each.start * f, each.stop * f) for each, f in zip(part, step, strict=True))
    values = np.asarray(large[read])
    sizes = [(each.stop - each.start) * f for each, f in zip(part, step, strict=True)]
    values = np.pad(
        values, [(0, size - has) for size, has in zip(sizes, values.shape, strict=True)], "edge"
    )
    blocks = values.reshape([n for each, f in zip(part, step, strict=True)
                             for n in (each.stop - each.start, f)])  # fmt: skip
    means = blocks.mean(axis=tuple(range(1, blocks.ndim, 2)), dtype=np.float64)
    return to_type(means, values.dtype)
