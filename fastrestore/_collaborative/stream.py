"""V-BM3D as a stream: frames are returned when no more groups can contribute to them.

A window of 2 radius + 1 frames moves along the video. The groups of a frame are filtered when the
next `radius` frames have arrived. The frame is complete when the groups of those frames are
filtered, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop
from fastrestore._arrays.scenes import SceneCuts
from fastrestore._arrays.types import Channels
from fastrestore._collaborative.request import Request
from fastrestore._collaborative.stage import Context, as_number, make_context, make_stage, measured
from fastrestore._noise.estimate import sigmas
from fastrestore._noise.spec import NoiseSpec
from fastrestore.backends.protocol import Stage, Unchanged, VideoStage, Which

FARTHEST = 64  # pixels: in videos, noise is assumed to be uncorrelated beyond


class Frame(NamedTuple):
    """Transformed channels of a frame in the stages."""

    noisy: Channels
    pilot: Channels | None


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """Data shared by all frames."""

    context: Context
    request: Request
    radius: int
    shape: tuple[int, ...]  # of a frame, (C, M, N)

    def stage(self, which: Which) -> Stage:
        """Return a stage for groups with blocks from several frames."""
        profile = self.request.profile
        beside, follow = getattr(profile, f"predict_{which}"), getattr(profile, f"follow_{which}")
        moved = beside + follow * (self.radius - 1)
        reach = min(2 * max(getattr(profile, f"radius_{which}"), moved), FARTHEST)
        return make_stage(profile, which, self.context.statistics._replace(reach=reach))

    def load(self, planes: Any, number: int) -> Channels:
        """Convert a frame to the units and colors of the stages."""
        # The final stage has a copy by the time that a name is reused
        name = f"frame {number % (2 * self.radius + 2)}"
        request = self.request
        return request.backend.load(name, planes, self.context.units, request.execution)

    def store(self, channels: Channels, planes: Any) -> Any:
        """Convert a frame back, and copy pixels without noise."""
        request, exact = self.request, self.context.exact
        dtype = np.promote_types(interop.result_dtype(planes.dtype), np.float32)
        out = request.backend.empty(self.shape, dtype, planes)
        unchanged = None if exact is None else Unchanged(exact, planes)
        request.backend.store(channels, self.context.units, unchanged, out, request.execution)
        return out


def restored(frames: Iterator[Any], request: Request, radius: int, cuts: bool) -> Iterator[Any]:
    """Restore at least one frame (C, M, N), scene by scene."""
    first = next(frames)
    noise = request.noise
    if noise is None:
        noise = NoiseSpec(sigmas(interop.to_host(first)))
    if not noise.sigmas.any():
        for frame in itertools.chain([first], frames):
            yield frame.astype(interop.result_dtype(frame.dtype))
        return
    context = measured(make_context(first, noise, request), first, request)
    # A range on a GPU is read once for the whole video
    context = context.with_range(as_number(context.statistics.data_range))
    video = Video(context, request, radius, first.shape)
    for _, scene in itertools.groupby(itertools.chain([first], frames), _scene_numbers(cuts)):
        yield from _scene(scene, video)


def _scene_numbers(cuts: bool) -> Callable[[Any], int]:
    """Return a function that gives the scene number of each successive frame."""
    detector, number = SceneCuts(), 0

    def number_of(planes: Any) -> int:
        nonlocal number
        number += cuts and detector.begins(planes)
        return number

    return number_of


def _scene(frames: Iterator[Any], video: Video) -> Iterator[Any]:
    """Restore the frames of one scene."""
    raw: list[Any] = []  # pending frames, to copy pixels without noise

    def loaded() -> Iterator[Frame]:
        for number, planes in enumerate(frames):
            raw.append(planes)
            yield Frame(video.load(planes, number), None)

    stream = _stage(loaded(), video, "basic")
    if video.request.stage == "final":
        stream = _stage(stream, video, "final")
    for frame in stream:
        assert frame.pilot is not None
        yield video.store(frame.pilot, raw.pop(0))


def _stage(frames: Iterator[Frame], video: Video, which: Which) -> Iterator[Frame]:
    """Run a stage along a scene; yield the frames with their estimates as pilots."""
    radius, slots = video.radius, 2 * video.radius + 1
    backend, execution = video.request.backend, video.request.execution
    stage, weights = video.stage(which), video.context.weights
    window: VideoStage | None = None
    held: dict[int, Channels] = {}

    def step(center: int, newest: int) -> Iterator[Frame]:
        first = max(0, center - radius)
        times = range(first, min(newest, center + radius) + 1)
        assert window is not None
        window.filter([time % slots for time in times], center - first)
        if center >= radius:
            yield done(center - radius)

    def done(time: int) -> Frame:
        assert window is not None
        return Frame(held.pop(time), window.take(time % slots))

    newest = -1
    for newest, frame in enumerate(frames):
        if window is None:
            window = backend.video_stage((slots, *frame.noisy.shape), stage, execution)
        seen = frame.noisy if frame.pilot is None else frame.pilot
        matched = backend.luminance(seen, weights, execution)
        window.put(newest % slots, matched, frame.noisy, frame.pilot)
        held[newest] = frame.noisy
        if newest >= radius:
            yield from step(newest - radius, newest)
    for center in range(max(0, newest - radius + 1), newest + 1):
        yield from step(center, newest)
    for time in sorted(held):
        yield done(time)
