"""Validation of videos: arrays with a time axis, or iterables of frames."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, masks, streams, validate
from fastrestore._arrays.masks import Mask


class VideoAxes(NamedTuple):
    """Axes of an array of frames, counted from the front."""

    time: int
    channel: int | None

    @property
    def in_frame(self) -> int | None:
        """Axis of the channels in one frame."""
        return None if self.channel is None else self.channel - (self.channel > self.time)


def check_frames(frames: Any) -> None:
    """Raise if frames are neither an array nor an iterable."""
    if isinstance(frames, (str, bytes)) or not (
        hasattr(frames, "shape") or isinstance(frames, Iterable)
    ):
        raise TypeError(
            f"frames must be an array or an iterable of arrays, got {validate.quoted(frames)}"
        )


def same_stream(
    frames: Iterable[Any],
) -> tuple[Callable[[], AbstractContextManager[None]], Iterator[Any]]:
    """Return a function that makes the stream of the first frame the current one, and all frames.

    Each call of the function returns a context.
    """
    rest = iter(frames)
    first = list(itertools.islice(rest, 1))
    chained = itertools.chain(first, rest)
    if first and interop.is_gpu_tensor(first[0]):
        return functools.partial(streams.of_torch, first[0].device), chained
    return nullcontext, chained


def recognized_frames(frames: Iterable[Any]) -> Iterator[tuple[Any, interop.Restore]]:
    """Yield frames as NumPy or CuPy arrays, with functions that convert results back.

    All frames must have the shape, type and device of the first.
    """
    first = None
    for number, frame in enumerate(frames):
        name = f"frame {number}"
        values, restore = interop.recognize(name, frame)
        first = values if first is None else first
        if values.shape != first.shape or values.dtype != first.dtype:
            raise ValueError(
                f"{name} has shape {values.shape} and type {values.dtype}, the first has "
                f"{first.shape} and {first.dtype}"
            )
        interop.check_same_device(name, values, first, "the first")
        yield values, restore


def video_axes(shape: tuple[int, ...], time_axis: Any, channel_axis: Any) -> VideoAxes:
    """Validate the axes of an array of frames."""
    wanted = 3 if channel_axis is None else 4
    if len(shape) != wanted:
        colors, advice = "", "; for colors also write channel_axis="
        if channel_axis is not None:
            position = validate.integer("channel_axis", channel_axis)
            colors = f" for channel_axis={validate.quoted(position)}"
            advice = "; if it is one frame, write frames[None]" if len(shape) == 3 else ""
        raise ValueError(f"frames must have {wanted} axes{colors}, got shape {shape}{advice}")
    time = validate.axis("time_axis", time_axis, shape)
    channel = None if channel_axis is None else validate.axis("channel_axis", channel_axis, shape)
    if 0 in shape:
        raise ValueError(f"frames is empty, its shape is {shape}")
    if time == channel:
        raise ValueError(f"time_axis={time_axis} and channel_axis={channel_axis} are the same axis")
    return VideoAxes(time, channel)


def frame_masks(mask: Any, shape: tuple[int, ...], axes: VideoAxes) -> Iterator[Mask | None]:
    """Return the masks of the frames of an array of this shape.

    A mask may lack the axis of time, that of the channels, or both. All pixels of a frame may be
    invalid.
    """
    values = masks.bools("mask", mask, shape)
    known = [axes.time] if axes.channel is None else [axes.channel, axes.time]
    whole = _broadcast(values, shape, known)
    if not whole.any():
        raise ValueError("mask is False everywhere; it must be True where a pixel is valid")
    frames = np.moveaxis(whole, axes.time, 0)
    if whole.strides[axes.time] == 0 or len(frames) == 1:
        return itertools.repeat(frame_mask("mask", frames[0], frames.shape[1:], axes.in_frame))
    return (
        frame_mask(f"mask of frame {number}", frame, frame.shape, axes.in_frame)
        for number, frame in enumerate(frames)
    )


def frame_mask(
    name: str, mask: Any, shape: tuple[int, ...], channel_axis: int | None
) -> Mask | None:
    """Return the mask of a frame of this shape, or None if all pixels are valid."""
    if isinstance(mask, np.ndarray) and not mask.any():
        return Mask(np.zeros((1, *np.delete(shape, channel_axis or ()).tolist()[-2:]), bool))
    valid = masks.mask(name, mask, shape, channel_axis)
    return None if valid is None else Mask(valid)


def _broadcast(
    values: NDArray[np.bool_], shape: tuple[int, ...], axes: list[int]
) -> NDArray[np.bool_]:
    """Broadcast a mask, which may lack some of the axes, to the shape of a video."""
    lacking = [axes[:k] for k in range(len(axes) + 1)] + [axes[-1:]]
    for missing in lacking:
        if values.ndim + len(missing) == len(shape):
            try:
                return np.broadcast_to(np.expand_dims(values, tuple(missing)), shape)
            except ValueError:
                continue
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise ValueError(
            f"mask must be an array of bool that broadcasts to {shape}, the shape of frames, to "
            f"that of one frame or to rows and columns, got shape {values.shape}"
        ) from None
