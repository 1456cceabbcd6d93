"""Super-resolution of videos, frame by frame, each from the result for the frame before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from fastrestore._arrays import interop, validate
from fastrestore._arrays.frames import check_frames, recognized_frames, video_axes
from fastrestore._arrays.scenes import SceneCuts
from fastrestore.nets.call import Request
from fastrestore.nets.enlarge import Enlarger, check_channels
from fastrestore.nets.frnet import VSRGAN
from fastrestore.nets.network import Network
from fastrestore.nets.run import Slices, in_precision, in_tiles, run_network


def enlarge_video(frames: Any, time_axis: Any, request: Request, scene_cuts: bool) -> Iterator[Any]:
    """Validate the arguments now, and enlarge frames when they are requested."""
    options = request.options
    validate.extent(options.data_range)
    check_frames(frames)
    if hasattr(frames, "shape"):
        values, _ = interop.recognize("frames", frames)
        axes = video_axes(values.shape, time_axis, options.channel_axis)
        request = request._replace(options=options._replace(channel_axis=axes.in_frame))
        frames = _slices(frames, axes.time)
    return _stream(frames, request, scene_cuts)


def _slices(frames: Any, time: int) -> Iterator[Any]:
    """Return the frames of an array of any library one by one."""
    for k in range(frames.shape[time]):
        yield frames[(*([slice(None)] * time), k)]


def _stream(frames: Iterable[Any], request: Request, scene_cuts: bool) -> Iterator[Any]:
    """Enlarge frame by frame."""
    cuts, video, axis = SceneCuts(), None, request.options.channel_axis
    for number, (frame, to_caller) in enumerate(recognized_frames(frames)):
        planes = validate.channels(f"frame {number}", frame, axis)
        with interop.use_device_of(frame):
            if video is None:
                video = _Video(request, planes)
            if scene_cuts and cuts.begins(planes):
                video.reset()
            finished = to_caller(interop.planes_to_image(video.next(planes), frame, axis))
        yield finished


class _Video:
    """The state between frames: the last one and its result."""

    def __init__(self, request: Request, planes: Any) -> None:
        check_channels(len(planes), request.net, request.name)
        self._enlarger = Enlarger.prepared(request, planes, lambda share: None)
        self.reset()

    def reset(self) -> None:
        """Start a scene."""
        self._last: tuple[Tensor, Tensor] | None = None

    def next(self, planes: Any) -> Any:
        """Enlarge one frame (C, M, N)."""
        net, seen = self._enlarger.net, self._enlarger.seen(planes)
        if isinstance(net, VSRGAN):
            made = self._recurrent(net, seen)
            self._last = seen, made
        else:
            made = run_network(net, seen, None, self._enlarger.context.execution)
        return self._enlarger.larger(made, planes)

    def _recurrent(self, net: VSRGAN, seen: Tensor) -> Tensor:
        """Run the network on a frame, in tiles if needed."""
        execution, last = self._enlarger.context.execution, self._last

        def on_tile(read: Slices, larger: Slices) -> Tensor:
            parts = [seen[(..., *read)]]
            if last is not None:
                parts += [last[0][(..., *read)], last[1][(..., *larger)]]

            def forward(net: Network, dtype: torch.dtype) -> Tensor:
                assert isinstance(net, VSRGAN)
                inputs = [part.to(dtype) for part in parts]
                return net.next(*inputs) if len(inputs) == 3 else net.first(inputs[0])

            return in_precision(net, execution.half, forward)

        return in_tiles(net, seen, on_tile, execution)
