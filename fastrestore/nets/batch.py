"""Images and batches, gray or color, as arrays (B, C, M, N), and their noise levels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop, validate


class Axes(NamedTuple):
    """Axes of the colors and of the images of a batch."""

    channel: int | None
    batch: int | None


def batched(values: Any, axes: Axes) -> Any:
    """View an image or a batch as (B, C, M, N)."""
    if axes.batch is None:
        return validate.channels("image", values, axes.channel)[None]
    wanted = 3 if axes.channel is None else 4
    if values.ndim != wanted:
        position = validate.quoted(validate.integer("batch_axis", axes.batch))
        raise ValueError(
            f"image must have {wanted} axes for batch_axis={position}, got shape {values.shape}"
        )
    first = validate.axis("batch_axis", axes.batch, values.shape)
    if 0 in values.shape:
        raise ValueError(f"image is empty, its shape is {values.shape}")
    validate.check_finite("image", values)
    if axes.channel is None:
        return interop.move_axis(values, first, 0)[:, None]
    second = validate.axis("channel_axis", axes.channel, values.shape)
    if first == second:
        raise ValueError(f"batch_axis and channel_axis are the same axis, {first}")
    rest = [k for k in range(wanted) if k not in (first, second)]
    return values.transpose(first, second, *rest)


def count_channels(shape: tuple[int, ...], axes: Axes) -> int:
    """Return the number of channels of an image or a batch of this shape."""
    if axes.batch is None:
        validate.check_axes("image", shape, axes.channel)
    return 1 if axes.channel is None else shape[validate.axis("channel_axis", axes.channel, shape)]


def unbatched(stacked: Any, values: Any, axes: Axes) -> Any:
    """Undo `batched`."""
    if axes.channel is None:
        stacked = stacked[:, 0]
    else:
        channel = axes.channel % values.ndim
        if axes.batch is not None:  # move the channels between the axes that are not the batch
            channel -= axes.batch % values.ndim < channel
        stacked = interop.move_axis(stacked, 1, 1 + channel)
    if axes.batch is None:
        return contiguous(stacked[0])
    return contiguous(interop.move_axis(stacked, 0, axes.batch % values.ndim))


def contiguous(values: Any) -> Any:
    """Return the array in C order, on its device."""
    return interop.namespace(values).ascontiguousarray(values)


def _broadcasts(shape: tuple[int, ...], size: tuple[int, ...]) -> bool:
    """Return whether an array of this shape is a map of an image, in rows, columns or pixels."""
    pairs = zip(reversed(shape), reversed(size), strict=False)
    return max(shape) > 1 and all(own in (1, whole) for own, whole in pairs)


def sigmas(sigma: Any, batch: Any, axes: Axes) -> list[Any]:
    """Return the noise level of each image: a number, a map, or None."""
    count, size = len(batch), batch.shape[-2:]
    if sigma is None:
        return [None] * count
    expected = f"a number of 0 or more, or a map of shape {size}"
    if axes.batch is not None:
        expected += f", or {count} numbers, one for each image"
    values = validate.numbers("sigma", sigma, expected)
    if values.ndim == 0:
        return [float(values)] * count
    if axes.batch is None and values.ndim <= 2 and _broadcasts(values.shape, size):
        return [np.broadcast_to(values, size)] * count
    if values.shape == tuple(size):
        return [values] * count
    if axes.batch is not None and values.shape == (count,):
        return [float(each) for each in values]
    raise ValueError(f"sigma must be {expected}, got an array of shape {values.shape}")
