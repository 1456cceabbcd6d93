"""V-BM3D as a stream: frames are returned when no more groups can contribute to them.

A window of 2 radius + 1 frames moves along the video. The groups of a frame are filtered when the
next `radius` frames have arrived. The frame is complete when the groups of those frames are
filtered, too.

Equal consecutive frames have the same noise, and averaging it removes nothing. They are filtered
once, as if the video did not contain the repetitions.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop, ranges
from fastrestore._arrays.scenes import Change, Changes
from fastrestore._arrays.types import Channels
from fastrestore._collaborative import low_counts
from fastrestore._collaborative.film_noise import FilmNoise, Picture
from fastrestore._collaborative.low_counts import FewPhotons, Pass
from fastrestore._collaborative.masking import Holes
from fastrestore._collaborative.request import Request
from fastrestore._collaborative.stage import Context, as_number, make_context, make_stage, measured
from fastrestore._noise import vst
from fastrestore._noise.planes import PlaneNoise
from fastrestore.backends.protocol import Stage, Unchanged, VideoStage, Which
from fastrestore.errors import BackendUnavailableError

FARTHEST = 64  # pixels: in videos, noise is assumed to be uncorrelated beyond
# A run of more equal frames ends its scene, so that the number of frames to read ahead is limited.
# Conversions of the frame rate show a frame up to 8 times, those from 8 to 60 per second.
LONGEST = 16


class Frame(NamedTuple):
    """Transformed channels of a frame in the stages, and its invalid pixels."""

    noisy: Channels
    pilot: Channels | None
    holes: Holes | None


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """Data shared by all frames."""

    context: Context
    request: Request
    radius: int
    model: vst.NoiseModel | None  # frames are stabilized
    like: Any  # a stabilized frame (C, M, N), for its shape, type and device

    def stage(self, which: Which) -> Stage:
        """Return a stage for groups with blocks from several frames."""
        profile = self.request.profile
        beside, follow = getattr(profile, f"predict_{which}"), getattr(profile, f"follow_{which}")
        moved = beside + follow * (self.radius - 1)
        reach = min(2 * max(getattr(profile, f"radius_{which}"), moved), FARTHEST)
        return make_stage(profile, which, self.context.statistics._replace(reach=reach))

    def windows(self) -> list[VideoStage]:
        """Return the stages of a scene, with memory for their frames."""
        units, request = self.context.units, self.request
        sizes = map(max, units.least, self.like.shape[1:])
        shape = (2 * self.radius + 1, len(units.matrix), *sizes)
        windows = []
        for which in request.stages(piloted=False):
            stage = self.stage(which)
            windows.append(request.backend.video_stage(shape, stage, request.execution))
        return windows

    def stabilized(self, planes: Any) -> Any:
        """Stabilize a frame if the noise depends on the signal."""
        return planes if self.model is None else vst.forward(self.model, planes)

    def load(self, planes: Any, number: int) -> Channels:
        """Convert a stabilized frame to the units and colors of the stages."""
        # The final stage has a copy by the time that a name is reused
        name = f"frame {number % (2 * self.radius + 2)}"
        request = self.request
        return request.backend.load(name, planes, self.context.units, request.execution)

    def store(self, channels: Channels, original: Any) -> Any:
        """Convert a frame back, and copy pixels without noise from the stabilized one."""
        request, exact, like = self.request, self.context.exact, self.like
        dtype = np.promote_types(interop.result_dtype(like.dtype), np.float32)
        out = request.backend.empty(like.shape, dtype, like)
        unchanged = None if exact is None else Unchanged(exact, original)
        request.backend.store(channels, self.context.units, unchanged, out, request.execution)
        return out if self.model is None else vst.inverse(self.model, out)


def restored(frames: Iterator[Picture], film: FilmNoise, radius: int, cuts: bool) -> Iterator[Any]:
    """Restore at least one frame, scene by scene, as arrays (C, M, N)."""
    opening = next(frames)
    while film.is_silent(opening):  # a black opening, for example
        yield _unchanged(opening.planes)
        following = next(frames, None)
        if following is None:
            return
        if following.planes is not None:
            opening = following
    last: Any = None
    video: Video | None = None
    scenes = itertools.groupby(_parts(itertools.chain([opening], frames), cuts), Part.key)
    for (_, still), parts in scenes:
        if still:
            yield from (last for _ in parts)
            continue
        first = next(parts)
        noise, following_parts = film.of_scene(itertools.chain([first], parts), Part.frame)
        assert first.picture is not None
        if not noise.planes.sigmas.any():
            for part in following_parts:
                last = last if part.picture is None else _unchanged(part.picture.planes)
                yield last
            continue
        if video is None or film.is_estimated:
            video = video_of(first.picture, noise.planes, film.request, radius)
        for last in _scene_in_passes(following_parts, video, noise.planes):
            yield last


def _unchanged(planes: Any) -> Any:
    """Return a frame without noise in the type of results."""
    return planes.astype(interop.result_dtype(planes.dtype))


def video_of(picture: Picture, noise: PlaneNoise, request: Request, radius: int) -> Video:
    """Prepare what the frames of a scene share, from its first frame."""
    first, mask = picture
    given, model = request.noise_argument(), noise.model
    if model is not None:
        first = vst.forward(model, first)
        if request.noise is None:  # the request has the range of the frames
            given = "noise"
            if request.data_range is not None:
                request = replace(request, data_range=vst.extent(model, request.data_range))
    seen = replace(request, mask=mask)
    if interop.on_host(first):
        ranges.warn_of_units(noise.largest, first, request.data_range, given)
        if given == "psd":
            ranges.warn_of_spectrum(noise.largest, first)
    context = measured(make_context(first, noise, seen), first, seen)
    # A range on a GPU is read once for the whole video
    context = context.with_range(as_number(context.statistics.data_range))
    return Video(context, request, radius, model, first)


class Part(NamedTuple):
    """A frame, and its place in the video."""

    picture: Picture | None  # None for a repetition of the frame before
    scene: int
    still: bool  # after `LONGEST` equal frames

    def key(self) -> tuple[int, bool]:
        """Return what the frames of a scene have in common."""
        return self.scene, self.still

    def frame(self) -> Picture | None:
        """Return the frame, or None for a repetition."""
        return self.picture


def _parts(frames: Iterator[Picture], cuts: bool) -> Iterator[Part]:
    """Find repetitions and scenes; frames are copied."""
    changes, scene, run = Changes(cuts), 0, 0
    for planes, mask in frames:
        change = Change.NONE if planes is None else changes.to(planes)
        if change is Change.NONE:
            run += 1
            yield Part(None, scene, run > LONGEST)
            continue
        scene += change is Change.CUT or run > LONGEST
        run = 1
        yield Part(Picture(changes.frame, mask), scene, False)


@dataclass(slots=True)
class _Run:
    """Equal consecutive frames."""

    original: Any  # one of them, if pixels without noise are copied
    length: int = 1


def _scene_in_passes(parts: Iterator[Part], video: Video, noise: PlaneNoise) -> Iterator[Any]:
    """Restore the frames of one scene, in several passes if they have few photons."""
    steps = []
    if isinstance(video.model, vst.PoissonGaussian):
        steps = low_counts.passes(video.model, video.like)
    if not steps:
        return restored_scene(parts, video)
    few = FewPhotons(replace(video.request, mask=None), noise)
    estimates: Iterator[Any] | None = None
    for step in steps:
        parts, own = itertools.tee(parts)
        estimates = _pass(_combined(own, estimates, few, step), few, step, video.radius)
    assert estimates is not None
    return map(few.in_units, estimates)


def _combined(
    parts: Iterator[Part], estimates: Iterator[Any] | None, few: FewPhotons, step: Pass
) -> Iterator[Part]:
    """Combine frames with their estimates of half the size."""
    for part in parts:
        estimate = None if estimates is None else next(estimates)
        if part.picture is None:
            yield part
            continue
        planes, mask = part.picture
        mask = None if mask is None else low_counts.binned_mask(mask, step.halvings)
        yield part._replace(picture=Picture(few.combined(planes, estimate, step), mask))


def _pass(parts: Iterator[Part], few: FewPhotons, step: Pass, radius: int) -> Iterator[Any]:
    """Restore the combinations of one size, of which the first one is no repetition."""
    first = next(parts)
    assert first.picture is not None
    request = few.request_of(first.picture.planes.shape, step)
    own = replace(request.execution, memory=request.backend.memory())  # passes take turns
    request = replace(request, execution=own)
    assert request.noise is not None
    video = video_of(first.picture, request.noise, request, radius)
    yield from restored_scene(itertools.chain([first], parts), video)


def restored_scene(parts: Iterator[Part], video: Video) -> Iterator[Any]:
    """Restore the frames of one scene."""
    runs: deque[_Run] = deque()  # that are pending
    numbers, copies = itertools.count(), video.context.exact is not None

    def loaded() -> Iterator[Frame]:
        for part in parts:
            if part.picture is None:
                runs[-1].length += 1
                continue
            planes, mask = part.picture
            planes = video.stabilized(planes)
            runs.append(_Run(planes if copies else None))
            holes = None if mask is None else Holes.of(mask, video.context.units)
            yield Frame(video.load(planes, next(numbers)), None, holes)

    try:
        windows = video.windows()
    except (MemoryError, BackendUnavailableError) as error:
        if video.request.substitute is None:
            raise
        video = replace(video, request=video.request.substituted(error))
        windows = video.windows()
    stream: Iterator[Frame] = loaded()
    for window in windows:
        stream = _stage(stream, video, window)
    last: Any = None
    for frame in stream:
        assert frame.pilot is not None
        if last is not None:  # the length of its run is known by now
            yield from itertools.repeat(last, runs.popleft().length - 1)
        last = video.store(frame.pilot, runs[0].original)
        yield last
    yield from itertools.repeat(last, runs.popleft().length - 1)


def _stage(frames: Iterator[Frame], video: Video, window: VideoStage) -> Iterator[Frame]:
    """Run a stage along a scene; yield the frames with their estimates as pilots."""
    radius, slots = video.radius, 2 * video.radius + 1
    backend, execution = video.request.backend, video.request.execution
    weights = video.context.weights
    held: dict[int, Frame] = {}

    def step(center: int, newest: int) -> Iterator[Frame]:
        first = max(0, center - radius)
        times = range(first, min(newest, center + radius) + 1)
        window.filter([time % slots for time in times], center - first)
        if center >= radius:
            yield done(center - radius)

    def done(time: int) -> Frame:
        return held.pop(time)._replace(pilot=window.take(time % slots))

    newest = -1
    for newest, frame in enumerate(frames):
        seen = frame.noisy if frame.pilot is None else frame.pilot
        matched, noisy = backend.luminance(seen, weights, execution), frame.noisy
        if frame.holes is not None:
            matched = frame.holes.matched(matched, backend, execution)
            noisy = frame.holes.filtered(noisy, frame.pilot, backend, execution)
        window.put(newest % slots, matched, noisy, frame.pilot)
        held[newest] = frame._replace(pilot=None)
        if newest >= radius:
            yield from step(newest - radius, newest)
    for center in range(max(0, newest - radius + 1), newest + 1):
        yield from step(center, newest)
    for time in sorted(held):
        yield done(time)
