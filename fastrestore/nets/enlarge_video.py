"""Super-resolution of videos, frame by frame, each from the result for the frame before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from fastrestore._arrays import interop, outliers, ranges, validate
from fastrestore._arrays.frames import check_frames, recognized_frames, video_axes
from fastrestore._arrays.scenes import Change, Changes
from fastrestore.nets.call import Request
from fastrestore.nets.enlarge import Enlarger, check_channels
from fastrestore.nets.frnet import VSRGAN
from fastrestore.nets.network import Network
from fastrestore.nets.run import Slices, in_precision, in_tiles, run_network

Last = tuple[Tensor, Tensor]  # input for the frame before, and its result


def enlarge_video(frames: Any, time_axis: Any, request: Request, scene_cuts: bool) -> Iterator[Any]:
    """Validate the arguments now, and enlarge frames when they are requested."""
    options = request.options
    ranges.extent(options.data_range)
    check_frames(frames)
    if hasattr(frames, "shape"):
        values, _ = interop.recognize("frames", frames)
        axes = video_axes(values.shape, time_axis, options.channel_axis)
        request = request._replace(options=options._replace(channel_axis=axes.in_frame))
        video, before = frames, [slice(None)] * axes.time
        frames = (video[(*before, k)] for k in range(video.shape[axes.time]))
    return _stream(frames, request, scene_cuts)


def _stream(frames: Iterable[Any], request: Request, scene_cuts: bool) -> Iterator[Any]:
    """Enlarge frame by frame."""
    changes, axis = Changes(scene_cuts), request.options.channel_axis
    extent = ranges.extent(request.options.data_range) or 0.0
    enlarger: Enlarger | None = None
    last: Last | None = None
    larger: Any = None
    for number, (frame, to_caller) in enumerate(recognized_frames(frames)):
        planes = validate.channels(f"frame {number}", frame, axis)
        outliers.check(f"frame {number}", frame, extent, outliers.REPLACE)
        with interop.use_device_of(frame):
            if enlarger is None:
                check_channels(len(planes), request.net, request.name)
                enlarger = Enlarger.prepared(request, planes, lambda share: None)
            change = changes.to(planes)
            if change is not Change.NONE:
                seen = enlarger.seen(planes)
                made = _next(enlarger, seen, None if change is Change.CUT else last)
                last, larger = (seen, made), enlarger.larger(made, planes)
            finished = to_caller(interop.planes_to_image(larger, frame, axis))
        yield finished


def _next(enlarger: Enlarger, seen: Tensor, last: Last | None) -> Tensor:
    """Enlarge the input for one frame, given that of the frame before and its result."""
    execution = enlarger.context.execution
    if not isinstance(enlarger.net, VSRGAN):
        return run_network(enlarger.net, seen, None, execution)

    def on_tile(read: Slices, larger: Slices) -> Tensor:
        parts = [seen[(..., *read)]]
        if last is not None:
            parts += [last[0][(..., *read)], last[1][(..., *larger)]]

        def forward(net: Network, dtype: torch.dtype) -> Tensor:
            assert isinstance(net, VSRGAN)
            inputs = [part.to(dtype) for part in parts]
            return net.next(*inputs) if len(inputs) == 3 else net.first(inputs[0])

        return in_precision(enlarger.net, execution.half, forward)

    return in_tiles(enlarger.net, seen, on_tile, execution)
