"""V-BM3D as a stream: frames go in, and come out when nothing more can be laid down in them.

A window of 2 radius + 1 frames moves along the film. A frame's own groups are filtered when the
frames after it are there; it is done when those of the frames after it have been.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from fastrestore._arrays import interop
from fastrestore._arrays.scenes import SceneCuts
from fastrestore._arrays.validate import Levels
from fastrestore._collaborative.context import Common, Job, common, measured
from fastrestore._collaborative.request import Call
from fastrestore._collaborative.stage import Channels, make_stage
from fastrestore._noise import estimate
from fastrestore.backends.protocol import VideoBackend, VideoStage

FARTHEST = 64  # pixels: noise is taken for uncorrelated beyond, in groups of films


class Frame(NamedTuple):
    """A frame on its way through the stages, its channels transformed."""

    noisy: Channels
    pilot: Channels | None


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """What all frames share."""

    shared: Common
    job: Job
    radius: int
    shape: tuple[int, ...]  # of a frame, (C, M, N)

    def far(self, which: str) -> int:
        """How far apart blocks of a group may be that are in one frame."""
        profile = self.job.profile
        beside, follow = getattr(profile, f"predict_{which}"), getattr(profile, f"follow_{which}")
        strayed: int = max(getattr(profile, f"radius_{which}"), beside + follow * (self.radius - 1))
        return min(2 * strayed, FARTHEST)

    def loaded(self, planes: Any, number: int) -> Channels:
        """Bring a frame to the units and colours of the stages."""
        shared, run = self.shared, self.job.run
        # The final stage has a copy by the time that a name comes again
        name = f"frame {number % (2 * self.radius + 2)}"
        return self.job.engine.load(
            name, planes, -shared.exponent, shared.space.matrix, shared.least, run
        )

    def back(self, channels: Channels, planes: Any) -> Any:
        """Undo it; what has no noise stays as it was."""
        shared, dtype = self.shared, np.promote_types(interop.result_dtype(planes.dtype), "f4")
        out = self.job.engine.empty(self.shape, dtype, planes)
        matrix = np.linalg.inv(shared.space.matrix).astype(np.float64)
        self.job.engine.store(
            channels, shared.exponent, matrix, shared.exact, planes, out, self.job.run
        )
        return out


def restored(frames: Iterator[Any], call: Call, radius: int, cuts: bool) -> Iterator[Any]:
    """Restore a film of frames (C, M, N), scene by scene; there is at least one."""
    first = next(frames)
    levels = call.levels
    if levels is None:
        levels = Levels(estimate.sigmas(interop.to_host(first)))
    if not levels.sigmas.any():
        for frame in itertools.chain([first], frames):
            yield frame.astype(interop.result_dtype(frame.dtype))
        return
    shared = measured(common(first, levels, call.job), first, call.job)
    if not isinstance(shared.data_range, float):  # on a GPU: asked once, for the whole film
        shared = replace(shared, data_range=float(interop.to_host(shared.data_range)[0]))
    film = Film(shared, call.job, radius, first.shape)
    scenes = _Scenes(first, frames, cuts)
    while scenes.more():
        yield from _scene(scenes.scene(), film)


def _scene(frames: Iterator[Any], film: Film) -> Iterator[Any]:
    """Restore the frames of one scene."""
    raw: list[Any] = []  # on their way, for pixels that stay

    def loaded() -> Iterator[Frame]:
        for number, planes in enumerate(frames):
            raw.append(planes)
            yield Frame(film.loaded(planes, number), None)

    stream = _stage(loaded(), film, "basic")
    if film.job.stage == "final":
        stream = _stage(stream, film, "final")
    for frame in stream:
        assert frame.pilot is not None
        yield film.back(frame.pilot, raw.pop(0))


def _stage(
    frames: Iterator[Frame], film: Film, which: Literal["basic", "final"]
) -> Iterator[Frame]:
    """Run a stage along a scene: frames come out with their estimates as pilots."""
    radius, slots = film.radius, 2 * film.radius + 1
    shared, run = film.shared, film.job.run
    engine = cast(VideoBackend, film.job.engine)  # the call has asked for one
    numbers = make_stage(film.job.profile, which, shared.noise, shared.data_range, film.far(which))
    window: VideoStage | None = None
    held: dict[int, Channels] = {}

    def step(centre: int, newest: int) -> Iterator[Frame]:
        first = max(0, centre - radius)
        times = range(first, min(newest, centre + radius) + 1)
        assert window is not None
        window.filter([time % slots for time in times], centre - first)
        if centre >= radius:
            yield done(centre - radius)

    def done(time: int) -> Frame:
        assert window is not None
        return Frame(held.pop(time), window.take(time % slots))

    newest = -1
    for newest, frame in enumerate(frames):
        if window is None:
            window = engine.video_stage((slots, *frame.noisy.shape), numbers, run)
        seen = frame.noisy if frame.pilot is None else frame.pilot
        matched = engine.luminance(seen, shared.space.weights, run)
        window.put(newest % slots, matched, frame.noisy, frame.pilot)
        held[newest] = frame.noisy
        if newest >= radius:
            yield from step(newest - radius, newest)
    for centre in range(max(0, newest - radius + 1), newest + 1):
        yield from step(centre, newest)
    for time in sorted(held):
        yield done(time)


class _Scenes:
    """A film cut into scenes, one after the other, frame by frame."""

    def __init__(self, first: Any, others: Iterator[Any], cuts: bool) -> None:
        self._next = first
        self._others, self._cuts = others, cuts

    def more(self) -> bool:
        """Whether there is another scene."""
        return self._next is not None

    def scene(self) -> Iterator[Any]:
        """Frames up to the next cut; all of them have to be taken."""
        cuts = SceneCuts()
        while self._next is not None:
            frame = self._next
            if self._cuts and cuts.begins(frame):
                return
            self._next = next(self._others, None)
            yield frame
