"""Parts into which an array is divided."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

Shape = tuple[int, ...]
Region = tuple[slice, ...]


def regions(shape: Shape, unit: Shape) -> Iterator[Region]:
    """Yield the parts of an array, each of the shape `unit` or smaller, in C order."""
    starts = (range(0, size, step) for size, step in zip(shape, unit, strict=True))
    for corner in itertools.product(*starts):
        yield region(corner, shape, unit)


def region(corner: Shape, shape: Shape, unit: Shape) -> Region:
    """Return the part that begins at a corner."""
    sizes = zip(corner, unit, shape, strict=True)
    return tuple(slice(first, min(first + step, size)) for first, step, size in sizes)


def count(shape: Shape, unit: Shape) -> int:
    """Return the number of parts."""
    return math.prod(-(-size // step) for size, step in zip(shape, unit, strict=True))


def parts_of(axes: str, shape: Shape, storage: Shape, sizes: dict[str, int]) -> tuple[Shape, Shape]:
    """Return the shapes of what is computed, and of what is written, at a time.

    What is computed has about these sizes along axes of these names, in parts that are stored
    together, if those are smaller. What is written consists of whole parts.
    """
    computed, written = [], []
    for name, size, stored in zip(axes, shape, storage, strict=True):
        wanted = sizes.get(name, 1)
        unit = size if wanted >= size else min(size, max(1, round(wanted / stored)) * stored)
        pieces = max(1, round(unit / wanted))
        computed.append(size if name == "S" else -(-unit // pieces))
        written.append(size if name == "S" else unit)
    return tuple(computed), tuple(written)
