"""One image or many, gray or in colour, as (B, C, M, N), and the noise of each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop, validate


class Axes(NamedTuple):
    """Where colours are, and images of a batch."""

    channel: int | None
    batch: int | None


def batched(there: Any, axes: Axes) -> Any:
    """View an image or a batch as (B, C, M, N)."""
    named = {"channel_axis": axes.channel, "batch_axis": axes.batch}
    wanted = 2 + sum(axis is not None for axis in named.values())
    for name, axis in named.items():
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, (int, np.integer))):
            raise TypeError(f"{name} must be a whole number or None, got {axis!r}")
    if axes.batch is None:
        return validate.channels("image", there, axes.channel)[None]
    if there.ndim != wanted:
        raise ValueError(f"a batch must have {wanted} axes here, got shape {there.shape}")
    for name, axis in named.items():
        if axis is not None and not -wanted <= axis < wanted:
            raise ValueError(f"{name}={axis} is not an axis of shape {there.shape}")
    if 0 in there.shape:
        raise ValueError(f"image is empty, its shape is {there.shape}")
    validate.check_finite("image", there)
    first = axes.batch % wanted
    if axes.channel is None:
        return interop.move_axis(there, first, 0)[:, None]
    second = axes.channel % wanted
    if first == second:
        raise ValueError("batch_axis and channel_axis are the same axis")
    rest = [k for k in range(wanted) if k not in (first, second)]
    return there.transpose(first, second, *rest)


def unbatched(stacked: Any, there: Any, axes: Axes) -> Any:
    """Undo `batched`."""
    wanted = there.ndim
    if axes.batch is None:
        image = stacked[0]
        if axes.channel is None:
            return contiguous(image[0])
        return contiguous(interop.move_axis(image, 0, axes.channel % wanted))
    if axes.channel is None:
        return contiguous(interop.move_axis(stacked[:, 0], 0, axes.batch % wanted))
    first, second = axes.batch % wanted, axes.channel % wanted
    rest = iter((2, 3))
    order = [0 if k == first else 1 if k == second else next(rest) for k in range(wanted)]
    return contiguous(stacked.transpose(*order))


def contiguous(values: Any) -> Any:
    """Return the array in C order, where it is."""
    return interop.namespace(values).ascontiguousarray(values)


def sigmas(sigma: Any, batch: Any, axes: Axes) -> list[Any]:
    """Noise of each image: a number, a map, or None."""
    count, size = len(batch), batch.shape[-2:]
    if sigma is None:
        return [None] * count
    values = np.asarray(interop.to_host(sigma))
    expected = f"a number of 0 or more, or a map of shape {size}"
    if axes.batch is not None:
        expected += f", or {count} numbers, one for each image"
    if values.dtype.kind not in "fiu":
        raise TypeError(f"sigma must be {expected}, got {sigma!r:.60}")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(f"sigma must be {expected}, got {sigma!r:.60}")
    values = values.astype(np.float64)
    if values.ndim == 0:
        return [float(values)] * count
    if values.shape == tuple(size):
        return [values] * count
    if axes.batch is not None and values.shape == (count,):
        return [float(each) for each in values]
    raise ValueError(f"sigma must be {expected}, got an array of shape {values.shape}")
