"""The part of a layer that a preview restores: what is seen, and what is needed around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastrestore._napari.axes import Axes

HALO = 16  # pixels around what is seen, so that its borders have neighbors
CONTEXT = {"volume": 4, "film": 2}  # slices or frames before and after the one that is shown
MOST = 2**20  # values that a preview restores, for a response while a slider is moved


class NothingSeenError(Exception):
    """There is nothing that can be previewed; the text says why."""


class View(NamedTuple):
    """What a viewer shows of a layer, in pixels of its data.

    Attributes
    ----------
    displayed : tuple of int
        The axes of the layer on the screen.
    point : tuple of int
        The position along all axes.
    corners : sequence of two points
        The first and the last pixel that are seen; equal along axes that were never drawn.
    """

    displayed: tuple[int, ...]
    point: tuple[int, ...]
    corners: Sequence[Sequence[int]]


class Part(NamedTuple):
    """A part of an array.

    Attributes
    ----------
    region : tuple of slice
        The part to restore, one slice for each axis of the layer.
    shown : tuple of slice
        What of it is shown, relative to `region`.
    start : tuple of int
        First pixel that is shown.
    cut : bool
        Whether more is seen than is restored.
    """

    region: tuple[slice, ...]
    shown: tuple[slice, ...]
    start: tuple[int, ...]
    cut: bool


def visible_part(shape: Sequence[int], axes: Axes, view: View) -> Part:
    """Return the part of an array of `shape` to restore for a preview."""
    _check(axes, view)
    seen = [_seen(axis, size, axes, view) for axis, size in enumerate(shape)]
    around = [_around(axis, axes, view) for axis in range(len(shape))]
    spans = zip(seen, around, shape, strict=True)
    fixed = np.prod([min(size, high + rim) - max(0, low - rim)
                     for axis, ((low, high), rim, size) in enumerate(spans)
                     if axis not in view.displayed], dtype=float)  # fmt: skip
    channels = 3 if axes.rgb else 1
    side = int(np.sqrt(MOST / (fixed * channels)))
    shown = [
        _middle(pair, side) if axis in view.displayed and _area(seen, view) > side**2 else pair
        for axis, pair in enumerate(seen)
    ]
    read = [
        (max(0, low - rim), min(size, high + rim))
        for (low, high), rim, size in zip(shown, around, shape, strict=True)
    ]
    return Part(
        tuple(slice(*pair) for pair in read),
        tuple(slice(low - first, high - first)
              for (low, high), (first, _) in zip(shown, read, strict=True)),
        tuple(low for low, _ in shown),
        shown != seen,
    )  # fmt: skip


def _check(axes: Axes, view: View) -> None:
    """Raise if the view has no preview."""
    if len(view.displayed) != 2:
        raise NothingSeenError("The preview needs the 2-D view.")
    if axes.kind == "planes" and set(view.displayed) != set(axes.together[-2:]):
        rows, columns = (axes.labels[k] for k in axes.together[-2:])
        raise NothingSeenError(
            f"Planes have the axes {rows} and {columns}: show these for a preview, or restore a "
            "volume."
        )


def _seen(axis: int, size: int, axes: Axes, view: View) -> tuple[int, int]:
    """Return the first pixel that is seen, and the one after the last."""
    if axis == axes.channels:
        return 0, size
    if axis not in view.displayed:
        point = min(max(view.point[axis], 0), size - 1)
        return point, point + 1
    low, high = (int(corner[axis]) for corner in view.corners)
    if low == high == 0:  # never drawn
        return 0, size
    low, high = max(0, low), min(size, high + 1)
    if low >= high:
        raise NothingSeenError("The layer is not in view.")
    return low, high


def _around(axis: int, axes: Axes, view: View) -> int:
    """Return how many pixels are needed around what is seen."""
    if axis not in axes.together or axis == axes.channels:
        return 0
    return HALO if axis in view.displayed else CONTEXT[axes.kind]


def _area(seen: Sequence[tuple[int, int]], view: View) -> int:
    """Return the number of pixels on the screen."""
    return int(np.prod([seen[axis][1] - seen[axis][0] for axis in view.displayed]))


def _middle(pair: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the middle of a span, of at most `side` pixels."""
    low, high = pair
    first = low + max(0, high - low - side) // 2
    return first, min(high, first + side)
