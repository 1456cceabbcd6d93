"""V-BM3D: a film restored by groups of blocks from several frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fastrestore._arrays import interop, validate
from fastrestore._arrays.frames import check_frames, recognized_frames, video_axes
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Geometry, Request
from fastrestore._collaborative.stream import restored
from fastrestore._noise.spec import NoiseArguments


def vbm3d(
    frames: Any,
    sigma: Any = None,
    *,
    psd: Any = None,
    time_axis: int = 0,
    channel_axis: int | None = None,
    radius: int = 4,
    profile: str | Profile = "video",
    stage: str = "final",
    data_range: float | None = None,
    colorspace: str | None = "auto",
    chroma_strength: float = 1.0,
    scene_cuts: bool = True,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Remove noise from a film by V-BM3D.

    Parameters
    ----------
    frames : array, shape (T, M, N) or (T, M, N, C) in any order, or iterable of arrays
        Noisy frames of any integer or float type, that of `bm3d`. Of an iterable, a generator for
        instance, no more frames are held than are needed.
    sigma : float, or one for each channel, optional
        Standard deviation of the noise, in the units of the frames. Without it that of the first
        frame is estimated.
    psd : array, shape (M, N) or that of a frame, optional
        In place of `sigma`, the power spectrum of correlated noise in each frame, as for `bm3d`;
        noise of different frames is independent.
    time_axis : int, default 0
        The axis of time of an array.
    channel_axis : int, optional
        The axis of colours: of the array, or of the frames of an iterable.
    radius : int, default 4
        Frames before and after each that its blocks are looked for in, 0 to 16.
    profile : str or Profile, default "video"
        The algorithm's parameters. Fields that begin with ``predict``, ``trails`` and ``static``
        are about the way from frame to frame.
    stage : {"final", "basic"}
        "basic" stops after hard thresholding.
    data_range : float, optional
        As for `bm3d`; without it that of the first frame is taken.
    colorspace, chroma_strength
        As for `bm3d`.
    scene_cuts : bool, default True
        Whether to look for cuts, and to start afresh there.
    workers, backend
        As for `bm3d`. Frames on a GPU stay there; where one cut after the other is looked for, the
        host waits for a thumbnail of each.
    progress : bool or callable, default False
        As for `bm3d`, of an array. Of an iterable the frames that come out may be counted.

    Returns
    -------
    array, shape of `frames`
        Of an array: the same kind of array, floats keep their type, integers give float32.
    iterator of arrays
        Of an iterable: a generator of restored frames. It runs 4 `radius` frames behind.

    Raises
    ------
    TypeError, ValueError
        As `bm3d`; if frames change their shape or type, or hold NaN: the frame is named by its
        number, when its turn comes.
    BackendUnavailableError
        If the backend asked for cannot run here.

    Notes
    -----
    After [1]_: blocks are looked for in the frame itself and from frame to frame around the best
    blocks of the one before, groups from all frames are filtered together, and each block is laid
    down in its own frame. Variances of group coefficients are exact, as in `bm3d`. Search widths
    and group sizes are larger than the paper's, which lose against single frames where motion is
    fast.

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
    options = {
        "profile": profile, "stage": stage, "data_range": data_range, "colorspace": colorspace,
        "chroma_strength": chroma_strength, "workers": workers, "backend": backend,
    }  # fmt: skip
    stream = _Stream(
        NoiseArguments(sigma, psd),
        options,
        validate.integer("radius", radius, least=0, most=16),
        validate.flag("scene_cuts", scene_cuts),
    )
    check_frames(frames)
    if not hasattr(frames, "shape"):
        if progress is not False:
            raise ValueError("progress is for arrays; count the frames that come out of a stream")
        return stream.restored(frames, channel_axis)
    there, restore = interop.recognize("frames", frames)
    axes = video_axes(there.shape, time_axis, channel_axis)
    film = interop.move_axis(there, axes.time, 0)
    with reporting(progress, "vbm3d") as report, interop.use_device_of(there):
        out = interop.namespace(there).empty(film.shape, interop.result_dtype(there.dtype))
        for number, frame in enumerate(stream.restored(film, axes.in_frame)):
            out[number] = frame
            report(1 / len(out))
        back = interop.move_axis(out, 0, axes.time)
        return restore(interop.namespace(back).ascontiguousarray(back))


class _Stream(NamedTuple):
    """The arguments of `vbm3d` that hold for all frames."""

    noise: NoiseArguments
    options: dict[str, Any]
    radius: int
    scene_cuts: bool

    def restored(self, frames: Iterable[Any], channel_axis: int | None) -> Iterator[Any]:
        """Restore frame by frame."""
        given = recognized_frames(frames)
        first = next(given, None)
        if first is None:
            return
        there = first[0]
        request = self._request(there, channel_axis)
        made: list[Any] = []  # frames on their way, and how to give one back as its kind

        def planes() -> Iterator[Any]:
            for number, (frame, restore) in enumerate(itertools.chain([first], given)):
                made.append((frame, restore))
                values = request.backend.bring(frame)
                yield validate.channels(f"frame {number}", values, channel_axis)

        results = restored(planes(), request, self.radius, self.scene_cuts)
        while True:
            with interop.use_device_of(there):  # not while the consumer has its turn
                result = next(results, None)
                if result is None:
                    return
                frame, restore = made.pop(0)
                finished = restore(interop.planes_to_image(result, frame, channel_axis))
            yield finished

    def _request(self, frame: Any, channel_axis: int | None) -> Request:
        """Validate the arguments for frames like this one."""
        validate.check_axes("frame 0", frame.shape, channel_axis)
        geometry = Geometry(
            frame.shape, None if channel_axis is None else channel_axis % frame.ndim
        )
        on_host = interop.on_host(frame)
        with interop.use_device_of(frame):
            request = Request.validated(
                geometry, on_host, self.noise, capability="video", **self.options
            )
        if request.profile.residual:
            raise ValueError(f"profile {request.profile.name!r} filters again, which videos cannot")
        if request.noise is not None and request.noise.map is not None:
            raise ValueError("sigma must be a number, or one for each channel; videos take no map")
        return request
