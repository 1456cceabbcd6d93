"""Larger films: frame by frame, with what was made of the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from fastrestore._algorithms.vbm3d import film_axes, recognised
from fastrestore._arrays import interop, validate
from fastrestore._collaborative.stream import Cuts
from fastrestore.nets import call, enlarge
from fastrestore.nets.enlarge import Options
from fastrestore.nets.frnet import VSRGAN
from fastrestore.nets.network import Network
from fastrestore.nets.run import applied, half_of, in_tiles
from fastrestore.nets.units import Units


def enlarge_film(
    frames: Any, scale: Any, model: Any, time_axis: Any, cuts: bool, told: Options
) -> Iterator[Any]:
    """Check what can be checked at once; the rest is done when frames are asked for."""
    net, said = enlarge.chosen(model, scale)
    validate.extent(told.data_range)
    if isinstance(frames, (str, bytes)) or not (
        hasattr(frames, "shape") or isinstance(frames, Iterable)
    ):
        raise TypeError(f"frames must be an array or an iterable of arrays, got {frames!r:.60}")
    axis = told.channel_axis
    if hasattr(frames, "shape"):
        there, _ = interop.recognize("frames", frames)
        time, channels = film_axes(there.shape, time_axis, axis)
        axis = None if channels is None else channels - (channels > time)
        frames = _slices(frames, time)
    return _stream(frames, net, said, cuts, told._replace(channel_axis=axis))


def _slices(frames: Any, time: int) -> Iterator[Any]:
    """Frames of an array of any library."""
    for k in range(frames.shape[time]):
        yield frames[(*([slice(None)] * time), k)]


def _stream(
    frames: Iterable[Any], net: Network, said: str, cuts: bool, told: Options
) -> Iterator[Any]:
    """Enlarge frame by frame."""
    scene, film = Cuts(), None
    for number, (frame, restore) in enumerate(recognised(frames)):
        name = f"frame {number}"
        planes = validate.channels(name, frame, told.channel_axis)
        with interop.use_device_of(frame):
            if film is None:
                film = _Film(net, said, planes, told)
            fresh = number == 0 or (cuts and scene.begins(planes))
            if cuts and number == 0:
                scene.begins(planes)
            larger = film.next(planes, fresh)
            finished = restore(
                interop.place_like(enlarge.back(larger, frame, told.channel_axis), frame)
            )
        yield finished


class _Film:
    """What is kept from frame to frame."""

    def __init__(self, net: Network, said: str, planes: Any, told: Options) -> None:
        self.colours = enlarge.opaque(len(planes), net, said)
        extent = enlarge.extent_of(told, planes[: self.colours])
        way, device = call.prepared(planes, planes.shape[-2:], told, lambda share: None)
        self.task = call.Task(extent, device, way, said)
        self.frame: Units = enlarge.frame_of(planes[: self.colours], extent)
        self.net = call.on_device(net, device)
        self.before: Tensor | None = None
        self.made: Tensor | None = None

    def next(self, planes: Any, fresh: bool) -> Any:
        """Enlarge one frame (C, M, N); `fresh` if it has nothing to do with the one before."""
        seen = enlarge.shown(planes, self.colours, self.net, self.frame, self.task)
        if fresh:
            self.before = self.made = None
        made = self._made(seen)
        self.before, self.made = (seen, made) if isinstance(self.net, VSRGAN) else (None, None)
        return enlarge.finished(made, planes, self.colours, self.net, self.frame, self.task)

    def _made(self, seen: Tensor) -> Tensor:
        """Let the network run, in tiles if it has to be."""
        net, way = self.net, self.task.way
        if not isinstance(net, VSRGAN):
            return applied(net, seen, None, way)
        before, made = self.before, self.made

        def once(read: tuple[slice, slice], larger: tuple[slice, slice]) -> Tensor:
            cut = seen[(..., *read)]
            old = None if before is None else before[(..., *read)]
            last = None if made is None else made[(..., *larger)]
            return _run(net, cut, old, last, way.half)

        return in_tiles(net, seen, once, way)


def _run(
    net: VSRGAN, seen: Tensor, before: Tensor | None, made: Tensor | None, half: bool
) -> Tensor:
    """One frame; in half precision first, if that is allowed and nothing overflows."""

    def frame(one: Network, kind: torch.dtype) -> Tensor:
        assert isinstance(one, VSRGAN)
        if before is None or made is None:
            return one.first(seen.to(kind))
        return one.next(seen.to(kind), before.to(kind), made.to(kind))

    with torch.inference_mode():
        if half:
            result = frame(half_of(net), torch.float16).float()
            if torch.isfinite(result).all():
                return result
        return frame(net, torch.float32)
