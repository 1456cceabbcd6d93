"""Validation of videos: arrays with a time axis, or iterables of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fastrestore._arrays import interop, validate


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
        raise TypeError(f"frames must be an array or an iterable of arrays, got {frames!r:.60}")


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
        advice = "; for colors also write channel_axis="
        if channel_axis is not None:
            advice = "; if it is one frame, write frames[None]" if len(shape) == 3 else ""
        raise ValueError(f"frames must have {wanted} axes, got shape {shape}{advice}")
    time = validate.axis("time_axis", time_axis, shape)
    channel = None if channel_axis is None else validate.axis("channel_axis", channel_axis, shape)
    if 0 in shape:
        raise ValueError(f"frames is empty, its shape is {shape}")
    if time == channel:
        raise ValueError(f"time_axis={time_axis} and channel_axis={channel_axis} are the same axis")
    return VideoAxes(time, channel)
