"""V-BM3D: denoising of videos by groups of blocks from several frames."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from fastrestore._algorithms.info import Info
from fastrestore._algorithms.restored import Restored, RestoredFrames
from fastrestore._arrays import interop, validate
from fastrestore._arrays.frames import (
    check_frames,
    frame_masks,
    recognized_frames,
    same_stream,
    video_axes,
)
from fastrestore._arrays.keywords import without
from fastrestore._arrays.masks import Mask
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._chunked import entry
from fastrestore._collaborative.film_noise import FilmNoise, Picture
from fastrestore._collaborative.pipeline import Result
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Geometry, Request, image_geometry
from fastrestore._collaborative.stream import restored
from fastrestore._noise.planes import NoiseArguments, Source

LEVEL = "a number of 0 or more, or one for each channel, in the units of the frames"
NO_MAP = "sigma of a video must be a number or one for each channel, not a map"


@without(
    "frames",
    noise_kernel="write psd=psd_from_kernel(noise_kernel, shape) with the shape of a frame",
    uncertainty="bm3d has it, for images",
)
def vbm3d(
    frames: Any,
    sigma: Any = None,
    *,
    psd: Any = None,
    noise: Source | None = None,
    strength: float = 1.0,
    time_axis: int = 0,
    channel_axis: int | None = None,
    radius: int = 4,
    profile: str | Profile = "video",
    stage: str = "final",
    mask: Any = None,
    data_range: float | None = None,
    colorspace: str | None = "auto",
    chroma_strength: float = 1.0,
    scene_cuts: bool = True,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
    return_info: bool = False,
) -> Any:
    """Remove noise from a video with V-BM3D.

    Similar blocks are found along the motion in several frames and filtered together.

    Parameters
    ----------
    frames : array, shape (T, M, N) or (T, M, N, C) in any order, or iterable of arrays
        Noisy frames of any integer or float type. An iterable, such as a generator, is consumed
        frame by frame, and only the frames that are still needed are held in memory. They are
        copied, so that a generator may yield the same array again with other pixels.
    sigma : float, or one for each channel, optional
        Standard deviation of the noise, in the units of the frames. By default the noise is
        estimated, see `noise`.
    psd : array, shape (M, N) or shape of a frame, optional
        Power spectrum of correlated noise in each frame, as for `bm3d`, instead of `sigma`. The
        noise of different frames is assumed to be independent.
    noise : NoiseSpec, PoissonGaussian, Rician, object with the methods of Rician, or str, optional
        The noise, as for `bm3d`. With "auto" (the default if no noise is given), "white",
        "correlated", "signal-dependent" or "camera" it is estimated from the first frames of each
        scene, as many as are read before the first result, and from the differences of consecutive
        frames where nothing moves. Frames at the start without noise, such as black ones, are
        returned as they are. If the level of the noise depends on the brightness, frames are
        transformed so that it is constant, and results are transformed back.
    strength : float, default 1
        Factor for the noise level, as for `bm3d`.
    time_axis : int, default 0
        Time axis of an array.
    channel_axis : int, optional
        Axis of the colors, in the array, or in each frame of an iterable.
    radius : int, default 4
        Number of frames before and after each frame that are searched for similar blocks, 0 to 16.
    profile : str or Profile, default "video"
        Parameters of the algorithm. Fields that begin with ``predict``, ``follow``, ``trails`` and
        ``static`` control the search in other frames.
    stage : {"final", "basic"}
        "basic" stops after hard thresholding.
    mask : array of bool, optional
        True where a pixel is valid, as for `bm3d`: an array that broadcasts to the shape of
        `frames` or of one frame, or of shape (M, N). For an iterable, it applies to all frames. A
        frame without valid pixels, such as a dropped one, is ignored; it cannot be the first.
    data_range : float, optional
        As for `bm3d`. By default that of the first frame is measured, and that of the first frame
        of each scene if the noise is estimated.
    colorspace, chroma_strength : optional
        As for `bm3d`.
    scene_cuts : bool, default True
        Whether to detect scene cuts. Scenes are restored independently.
    workers, backend : optional
        As for `bm3d`. By default frames on a GPU are restored there. To detect scene cuts, the host
        waits for a thumbnail of each frame.
    progress : bool or callable, default False
        As for `bm3d`; only for arrays.
    return_info : bool, default False
        If True, also return an `Info` with the parameters that were estimated and used, those of
        the first scene with noise; only for arrays.

    Returns
    -------
    array, shape of `frames`
        For an array: the same kind of array. Floats keep their type, integers give float32. For
        an array of Dask the result is one, too, and is computed later.
    iterator of arrays
        For an iterable: an iterator of restored frames, ``4 * radius`` frames behind the input, or
        half as many with stage "basic", without counting repeated frames. Its attribute ``info`` is
        the `Info` after the first frame, and its method ``close`` stops it.
    Info
        Only with `return_info`.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`. While iterating: if the shape or type of frames changes, or a frame contains
        NaN; the message gives the number of the frame.
    BackendUnavailableError
        If the requested backend cannot run here.

    See Also
    --------
    bm3d : Remove noise from an image.
    bm4d : Remove noise from a volume.
    denoise_burst : Merge several frames of a scene into one.

    Notes
    -----
    Based on [1]_. Blocks are searched for in the whole search window of their own frame, then from
    frame to frame around the best blocks of the previous frame. Groups with blocks from several
    frames are filtered together, and each block is aggregated in its own frame. Variances of group
    coefficients are exact, as in `bm3d`. Search windows and groups are larger than in [1]_, whose
    values give worse results than `bm3d` on single frames if motion is fast.

    A frame that is equal to the frame before in all pixels, as after a conversion from 8 to 24
    frames per second or a 3:2 pulldown, has the same noise. Such frames are filtered once: the
    result is that of the video without repetitions, with each restored frame repeated as often. A
    run of more than 16 equal frames ends a scene. Frames that repeat only one field, or that differ
    because the video was compressed afterwards, are not recognized. On a GPU, frames are compared
    only with `scene_cuts`.

    Videos of few photons, with a `PoissonGaussian`, are restored in several passes, see there. A
    generator is then as many times farther behind its input, at most 5.

    References
    ----------
    .. [1] K. Dabov, A. Foi, K. Egiazarian, "Video denoising by sparse 3D transform-domain
       collaborative filtering", EUSIPCO 2007.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(32.0), np.arange(32.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, (5, 32, 32))
    >>> restored = fastrestore.vbm3d(noisy, sigma=10)
    >>> fastrestore.metrics.psnr(np.stack([clean] * 5), restored, data_range=62) > 30
    True
    """
    arguments = locals()
    options = {
        "profile": profile, "stage": stage, "data_range": data_range, "colorspace": colorspace,
        "mask": None if hasattr(frames, "shape") else mask,
        "chroma_strength": chroma_strength, "workers": workers, "backend": backend,
        "strength": strength,
    }  # fmt: skip
    stream = _Stream(
        NoiseArguments(sigma, psd, None, noise),
        options,
        validate.integer("radius", radius, least=0, most=16),
        validate.flag("scene_cuts", scene_cuts),
    )
    if sigma is not None and validate.numbers("sigma", sigma, LEVEL).ndim > 1:
        raise ValueError(f"{NO_MAP}, got {validate.quoted(sigma)}")
    if entry.is_chunked(frames):
        return entry.restored(vbm3d, arguments, stream=stream)
    check_frames(frames)
    if not hasattr(frames, "shape"):
        if progress is not False:
            raise ValueError("progress is for arrays; count the frames of an iterator instead")
        if return_info:
            raise ValueError(
                "return_info is for arrays; the iterator that is returned for others has an "
                "attribute info after the first frame"
            )
        found: list[FilmNoise] = []
        restored_frames = stream.restored(frames, channel_axis, None, found)
        return RestoredFrames(restored_frames, lambda: _info(found[0]) if found else None)
    there, restore = interop.recognize("frames", frames)
    axes = video_axes(there.shape, time_axis, channel_axis)
    ordered = interop.move_axis(there, axes.time, 0)
    each = None if mask is None else frame_masks(mask, there.shape, axes)
    films: list[FilmNoise] = []
    with reporting(progress, "vbm3d") as report, interop.use_device_of(there):
        out = interop.namespace(there).empty(ordered.shape, interop.result_dtype(there.dtype))
        for number, frame in enumerate(stream.restored(ordered, axes.in_frame, each, films)):
            out[number] = frame
            report(1 / len(out))
        back = interop.move_axis(out, 0, axes.time)
        result = restore(interop.namespace(back).ascontiguousarray(back))
    if not return_info:
        return result
    info = _info(films[0])
    assert info is not None
    return Restored(result, info, frames, channel_axis, time_axis)


def _info(film: FilmNoise) -> Info | None:
    """Return what was estimated and used in the first scene with noise; None before a frame."""
    scene = film.scenes[0] if film.scenes else film.opening
    if scene is None:
        return None
    info = Info.of(film.request, Result(None, scene.planes, scene.choice, None), None)
    return replace(info, grid=film.grid, function="vbm3d")


class _Stream(NamedTuple):
    """Arguments of `vbm3d` that apply to all frames."""

    noise: NoiseArguments
    options: dict[str, Any]
    radius: int
    scene_cuts: bool

    def restored(
        self,
        frames: Iterable[Any],
        channel_axis: int | None,
        masks: Iterator[Mask | None] | None,
        films: list[FilmNoise],
    ) -> Generator[Any, None, None]:
        """Yield the restored frames; add a record of their noise to `films`."""
        on_stream, frames = same_stream(frames)
        given = recognized_frames(frames)
        with on_stream():
            first = next(given, None)
        if first is None:
            return
        there = first[0]
        request = self._request(there, channel_axis)
        if masks is None:
            masks = itertools.repeat(request.mask)
        pending: deque[_Pending] = deque()
        pictures = _pictures(itertools.chain([first], given), masks, request, pending)
        film = FilmNoise.of(request, self.radius)
        films.append(film)
        results = restored(pictures, film, self.radius, self.scene_cuts)
        while True:
            with (
                on_stream(),
                interop.use_device_of(there, request.device),
            ):  # not while the caller uses a frame
                result = next(results, None)
                if result is None:
                    return
                image = interop.planes_to_image(result, there, channel_axis)
                finished = pending.popleft().finished(image, request.geometry)
            yield finished

    def _request(self, frame: Any, channel_axis: int | None) -> Request:
        """Validate the arguments for frames like this one."""
        geometry = image_geometry(frame.shape, channel_axis, "frame 0")
        with interop.use_device_of(frame):
            return self.request_of(geometry, interop.on_host(frame))

    def request_of(self, geometry: Geometry, on_host: bool) -> Request:
        """Validate the arguments for frames of a geometry."""
        request = Request.validated(
            geometry, on_host, self.noise, capability="video", **self.options
        )
        if request.profile.residual or request.profile.iterations:
            raise ValueError(f"profile {request.profile.name!r} is not supported for videos")
        if request.noise is not None and request.noise.map is not None:
            raise ValueError(NO_MAP)
        return request


class _Pending(NamedTuple):
    """What is needed of a frame until its result is returned."""

    to_caller: interop.Restore
    mask: Mask | None
    original: Any  # (C, M, N), with a mask

    def finished(self, image: Any, geometry: Geometry) -> Any:
        """Put the invalid pixels back, and return the caller's kind of array."""
        if self.mask is not None:
            self.mask.put_back(geometry.planes(image), self.original)
        return self.to_caller(image)


def _pictures(
    frames: Iterator[tuple[Any, interop.Restore]],
    masks: Iterator[Mask | None],
    request: Request,
    pending: deque[_Pending],
) -> Iterator[Picture]:
    """Validate the values of frames, fill their holes, and note what their results need."""
    for number, ((frame, to_caller), mask) in enumerate(zip(frames, masks, strict=False)):
        values = request.backend.bring(frame)
        given = planes = request.geometry.planes(values)
        if mask is not None and not mask.valid.any():
            if number == 0:
                raise ValueError("mask is False everywhere in frame 0; leave this frame out")
            planes = None
        else:
            mask = replace(request, mask=mask).checked_mask(f"frame {number}", values)
            planes = given if mask is None else mask.fill(given)
        pending.append(_Pending(to_caller, mask, None if mask is None else given.copy()))
        yield Picture(planes, mask)
