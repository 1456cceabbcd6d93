"""V-BM3D of a Dask array: chunks of whole frames, with frames before and after them.

A frame depends on those that are at most two radii away for each stage, in its scene. What all
frames share comes from the first one, as for a video that is not chunked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np
from dask.array.overlap import overlap
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.frames import video_axes
from fastrestore._arrays.scenes import scene_starts, thumbnail
from fastrestore._chunked import arrays, options, versions
from fastrestore._chunked.cuts import Cuts
from fastrestore._chunked.facts import FEW_PHOTONS, portable
from fastrestore._collaborative import low_counts
from fastrestore._collaborative.film_noise import FilmNoise, Picture, SceneNoise
from fastrestore._collaborative.request import Request, image_geometry
from fastrestore._collaborative.stream import Part, Video, restored_scene, video_of
from fastrestore._noise import vst
from fastrestore.backends.protocol import Execution
from fastrestore.backends.select import select

UNSUPPORTED = ("mask", "progress", "return_info")


class Settings(NamedTuple):
    """A validated call, without what cannot be sent to other processes."""

    request: Request
    backend: str | None
    workers: int
    radius: int
    scene_cuts: bool
    version: str = versions.own()

    def ready(self, on_host: bool, size: int, request: Request | None = None) -> Request:
        """Return a request that can run here, for frames of a number of values."""
        versions.check(self.version)
        engine = select(self.backend, on_host, "video", size)
        execution = Execution(self.workers, memory=engine.memory())
        return replace(request or self.request, backend=engine, execution=execution)

    @property
    def reach(self) -> int:
        """Frames before and after a frame that its result depends on."""
        return 2 * self.radius * len(self.request.stages(False))


@dataclass(frozen=True, eq=False)
class Film:
    """What all chunks of a video share."""

    settings: Settings
    video: Video | None  # None: there is no noise
    starts: list[int]  # first frames of the scenes


def vbm3d(function: Callable[..., Any], arguments: dict[str, Any], stream: Any) -> Any:
    """Restore a video lazily, from the arguments of the public function."""
    frames = arguments["frames"]
    arrays.check("frames", frames)
    options.refuse(function, arguments, *UNSUPPORTED)
    axes = video_axes(frames.shape, arguments["time_axis"], arguments["channel_axis"])
    ordered = da.moveaxis(frames, axes.time, 0)
    geometry = image_geometry(ordered.shape[1:], axes.in_frame, "frame 0")
    request = stream.request_of(geometry, arrays.on_host(frames))
    workers = 1 if arguments["workers"] is None else request.execution.workers
    settings = Settings(
        portable(request), arguments["backend"], workers, stream.radius, stream.scene_cuts
    )
    planes = ordered[:, None] if axes.in_frame is None else da.moveaxis(
        ordered, 1 + axes.in_frame, 1
    )  # fmt: skip
    planes = _whole_frames(planes, settings.reach)
    film = _film(planes, settings)
    cuts = Cuts.of(planes.chunks[:1], (settings.reach,))
    dtype = interop.result_dtype(frames.dtype)
    read = overlap(planes, {0: cuts.depths[0]}, boundary="none", allow_rechunk=False)
    result = da.map_blocks(
        _restored, read, film=film, cuts=cuts, dtype=dtype, chunks=planes.chunks,
        meta=arrays.like(frames, dtype, 4),
    )  # fmt: skip
    result = result[:, 0] if axes.in_frame is None else da.moveaxis(result, 1, 1 + axes.in_frame)
    return da.moveaxis(result, 0, axes.time)


def _whole_frames(planes: Any, reach: int) -> Any:
    """Return frames (T, C, M, N) with chunks of whole frames, enough for their overlap."""
    divided = any(count > 1 for count in planes.numblocks[1:])
    sizes = planes.chunks[0]
    if len(sizes) > 1 and min(sizes) < reach:
        count = max(1, len(planes) // max(2 * reach, 1))
        divided, ends = True, [len(planes) * k // count for k in range(count + 1)]
        sizes = tuple(np.diff(ends).tolist())
    if not divided:
        return planes
    result = planes.rechunk((sizes, *[-1] * 3))
    validate.warn(
        f"frames is rechunked to whole frames, {result.chunksize[0]} in a chunk, which moves up to "
        f"{planes.nbytes:.3g} bytes; {2 * reach} more frames are computed for each chunk. Chunks "
        f"of whole frames, {4 * reach} or more, avoid this"
    )
    return result


def _film(planes: Any, settings: Settings) -> Any:
    """Return the node of the graph with the `Film`."""
    seen = arrays.again(planes)
    cuts = Cuts.of(planes.chunks[:1], (1,))
    near = overlap(seen, {0: (cuts.depths[0], 0)}, boundary="none", allow_rechunk=False)
    looks = [
        dask.delayed(_looked_at)(part, start, settings)
        for part, start in zip(
            near.to_delayed(optimize_graph=False).ravel(), cuts.ends[0], strict=False
        )
    ]
    count = FilmNoise.of(settings.request, settings.radius).count
    return dask.delayed(_shared)(settings, arrays.whole(seen[:count]), looks)


def _looked_at(planes: Any, start: int, settings: Settings) -> list[NDArray[np.float64]]:
    """Validate the frames of a chunk; return their thumbnails if scenes are to be found.

    The first frame is the last of the chunk before, unless the chunk is the first.
    """
    ready = settings.ready(interop.on_host(planes), int(planes[0].size))
    thumbnails = []
    for k, frame in enumerate(planes):
        number = start + k - bool(start)
        if ready.checked_mask(f"frame {number}", frame) is not None:
            raise ValueError(
                f"frame {number} has values far outside the range of the others, which is not "
                "supported for a chunked array: replace them first"
            )
        if k and interop.on_host(planes) and (frame == planes[k - 1]).all():
            raise ValueError(
                f"frame {number} equals the frame before, whose noise it has, which is not "
                "supported for a chunked array: leave repeated frames out"
            )
        if settings.scene_cuts and (k or not start):
            thumbnails.append(thumbnail(frame))
    return thumbnails


def _shared(settings: Settings, first: Any, looks: list[list[NDArray[np.float64]]]) -> Film:
    """Derive what all frames share from the first ones and all thumbnails."""
    starts = scene_starts([each for look in looks for each in look]) if any(looks) else [0]
    request = settings.ready(interop.on_host(first), int(first[0].size))
    film = FilmNoise.of(request, settings.radius)
    noise = _scene_noise(film, first, starts)
    if not noise.planes.sigmas.any():
        return Film(settings, None, starts)
    video = video_of(Picture(first[0]), noise.planes, film.request, settings.radius)
    model = video.model
    if isinstance(model, vst.PoissonGaussian) and low_counts.passes(model, video.like):
        raise ValueError(
            "frames have few photons, for which smaller frames are restored first; this is not "
            f"supported for a chunked array: {FEW_PHOTONS}"
        )
    return Film(settings, replace(video, request=portable(video.request)), starts)


def _scene_noise(film: FilmNoise, first: Any, starts: list[int]) -> SceneNoise:
    """Return the noise of a video: given, or estimated from its first frames."""
    if not film.is_estimated:
        return film.given()
    pictures = [Picture(frame) for frame in first]
    silent = film.is_silent(pictures[0])
    if film.request.strength and (silent or len(starts) > 1):
        problem = "the first frame has no noise" if silent else f"there are {len(starts)} scenes"
        raise ValueError(
            f"the noise of the frames of a chunked array is estimated for one scene only, and "
            f"{problem}: write sigma=, or scene_cuts=False"
        )
    return film.applied(film.estimated(pictures))


def _restored(planes: Any, film: Film, cuts: Cuts, block_id: tuple[int, ...] = ()) -> Any:
    """Restore the frames of a chunk (T, C, M, N), which has frames before and after it."""
    ends, number, reach = cuts.ends[0], block_id[0], film.settings.reach
    first, last = ends[number], ends[number + 1]
    begin, stop = max(0, first - cuts.depths[0]), min(ends[-1], last + cuts.depths[0])
    dtype = interop.result_dtype(planes.dtype)
    if film.video is None:
        return planes[first - begin : last - begin].astype(dtype)
    out = interop.namespace(planes).empty((last - first, *planes.shape[1:]), dtype)
    size = int(planes[0].size)
    ready = film.settings.ready(interop.on_host(planes), size, film.video.request)
    video = replace(film.video, request=ready)
    for start, end in zip(film.starts, [*film.starts[1:], ends[-1]], strict=True):
        here, there = max(start, first), min(end, last)
        if here >= there:
            continue
        near = max(start, first - reach, begin), min(end, last + reach, stop)
        parts = (Part(Picture(planes[k - begin]), 0, False) for k in range(*near))
        for k, frame in zip(range(*near), restored_scene(parts, video), strict=True):
            if here <= k < there:
                out[k - first] = frame
    return out
