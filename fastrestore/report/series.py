"""Pictures to compare: images, or the slices or frames of a stack, as (M, N, C) each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate

COLORS = (1, 3)  # channels that are shown as one picture; others are shown one by one
FEWEST = 5  # columns of a stack; an array with fewer is more likely an image in color


@dataclass(frozen=True, eq=False)
class Series:
    """A named image or stack, shown as one picture or as one picture for each frame."""

    name: str
    values: NDArray[Any]  # (D, M, N, C), D = 1 for an image; C is 1 or 3
    labels: tuple[str, ...] = ()  # of the frames

    @classmethod
    def of(cls, argument: str, name: str, array: Any, channel_axis: int | None) -> Series:
        """Validate an array (M, N) or (D, M, N), with channels at `channel_axis` if there are."""
        values = interop.to_host(interop.recognize(argument, array)[0])
        _check_axes(argument, values.shape, channel_axis)
        if channel_axis is None:
            values = values[..., None]
        else:
            validate.axis("channel_axis", channel_axis, values.shape)
            values = np.moveaxis(values, channel_axis, -1)
        values = values if values.ndim == 4 else values[None]
        depth, rows, columns, count = values.shape
        labels = tuple(f"{k + 1} of {depth}" for k in range(depth))
        if count not in COLORS:  # a picture for each channel
            values = np.moveaxis(values, -1, 1).reshape(depth * count, rows, columns, 1)
            before = [f"{label}, " for label in labels] if depth > 1 else [""]
            labels = tuple(f"{text}channel {k + 1}" for text in before for k in range(count))
        return cls(name, values, labels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of frames, rows, columns and channels."""
        return self.values.shape

    def frame(self, index: int) -> NDArray[Any]:
        """Return a picture (M, N, C); NaN and infinite values are replaced by finite ones."""
        picture: NDArray[Any] = self.values[index]
        if picture.dtype.kind != "f" or np.isfinite(picture).all():
            return picture
        finite = picture[np.isfinite(picture)]
        low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
        replaced: NDArray[Any] = np.nan_to_num(picture, nan=low, posinf=high, neginf=low)
        return replaced


@dataclass(frozen=True, eq=False)
class Removed:
    """What a restoration removed: the noisy picture minus the restored one."""

    noisy: Series
    restored: Series

    @property
    def name(self) -> str:
        """Name on the page."""
        return f"Removed: {self.noisy.name} \N{MINUS SIGN} {self.restored.name}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of frames, rows, columns and channels."""
        return self.noisy.shape

    def frame(self, index: int) -> NDArray[Any]:
        """Return the difference of a frame, (M, N, C), in float32 if that is precise."""
        noisy, restored = self.noisy.frame(index), self.restored.frame(index)
        kind = np.result_type(noisy.dtype, restored.dtype, np.float32)
        removed: NDArray[Any] = np.subtract(noisy, restored, dtype=kind)
        return removed


def same_shape(every: Sequence[Series]) -> None:
    """Raise unless all series have the shape of the first one."""
    first = every[0]
    for other in every[1:]:
        if other.shape != first.shape:
            raise ValueError(
                f"{other.name} has {_size(other)}, and {first.name} has {_size(first)}; pictures "
                "of equal size can be compared"
            )


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` numbers below `count`, evenly spread, with the middle of each part."""
    if count <= most:
        return list(range(count))
    return [(2 * k + 1) * count // (2 * most) for k in range(most)]


def sampled(every: Sequence[Series | Removed], frames: int, step: Callable[[int], int]) -> Any:
    """Return values of some frames of series, flat, from every `step(size)`-th row and column."""
    taken = []
    for series in every:
        for index in spread(series.shape[0], frames):
            picture = series.frame(index)
            rows, columns = (slice(None, None, step(size)) for size in picture.shape[:2])
            taken.append(picture[rows, columns].ravel())
    return np.concatenate(taken)


def _check_axes(argument: str, shape: tuple[int, ...], channel_axis: int | None) -> None:
    """Raise unless the shape is that of an image or stack."""
    axes = (2, 3) if channel_axis is None else (3, 4)
    if len(shape) not in axes:
        raise ValueError(
            f"{argument} must have {axes[0]} or {axes[1]} axes for channel_axis={channel_axis}: "
            f"rows and columns, before them slices or frames if any; got shape {shape}"
        )
    if 0 in shape:
        raise ValueError(f"{argument} is empty, its shape is {shape}")
    if channel_axis is None and len(shape) == 3 and shape[-1] < FEWEST:
        raise ValueError(
            f"{argument} has shape {shape}, which is a stack of pictures with {shape[-1]} columns; "
            "if the last axis holds colors, write channel_axis=-1"
        )


def _size(series: Series) -> str:
    """Describe the size of pictures in words."""
    depth, rows, columns, count = series.shape
    frames = f"{depth} pictures of " if depth > 1 else ""
    return f"{frames}{columns} x {rows} pixels with {count} channel{'s' if count > 1 else ''}"
