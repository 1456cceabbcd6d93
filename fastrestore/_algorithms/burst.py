"""Burst denoising: one clean image from several noisy photographs of a scene."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop, outliers, validate
from fastrestore._arrays.frames import check_frames, recognized_frames
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._arrays.register import estimate_motion, refine_motion, resample
from fastrestore._arrays.scenes import distinct
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative.profile import Profile, named_profile
from fastrestore._noise import estimate
from fastrestore._noise.planes import noise_of_sigma

SMALLEST_SIDE = 32  # pixels: smaller frames are not registered
WINDOW = 9  # pixels: mismatch is averaged over a window
TOLERANCE = 0.5  # mismatch, in units of the variance, at which the weight of a frame has dropped
CONFIDENCE = 3.0  # standard deviations of the averaged mismatch attributed to chance
OTHER_SCENE = 2.0  # median mismatch, in units of the variance, above which a frame is left out


def denoise_burst(
    frames: Any,
    sigma: Any = None,
    *,
    channel_axis: int | None = None,
    reference: int = 0,
    profile: str | Profile = "np",
    data_range: float | None = None,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Merge several noisy handheld photographs of one scene into one clean image.

    The frames are aligned first. Objects that move are taken from one frame.

    Parameters
    ----------
    frames : array, shape (T, M, N), or with `channel_axis` (T, M, N, C), or iterable of arrays
        Noisy photographs of equal exposure, shape and type (any integer or float type).
    sigma : float, or one for each channel, optional
        Standard deviation of the noise, in the units of the frames. By default it is estimated from
        the reference.
    channel_axis : int, optional
        Axis of the channels in one frame. Frames are registered on the mean of the channels.
    reference : int, default 0
        Index of the frame that defines the pixel grid of the result.
    profile, data_range, workers, backend, progress : optional
        As for `bm3d`.

    Returns
    -------
    array, shape of a frame
        Estimate of the clean image: the same kind of array, not clipped. Floats keep their type,
        integers give float32 in the same units.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`, and if there are no frames, or a frame has another shape, type or device or
        contains NaN; the message gives its index.
    BackendUnavailableError
        If the requested backend cannot run here.

    See Also
    --------
    vbm3d : Remove noise from the frames of a video.
    bm3d : Remove noise from one image.

    Notes
    -----
    Each frame is denoised, only to register it on the reference: a global shift by phase
    correlation [1]_, then an affine motion by Gauss-Newton steps from coarse to fine [2]_, which is
    refined once on the merged image. The noisy frames are resampled by quintic splines and
    averaged, with the inverse of their variance as weight. The weight is lower where a frame
    differs from the reference by more than noise. Moving objects, and regions outside the other
    frames, are therefore taken from the reference. Finally `bm3d` removes the remaining noise,
    whose variance is known at every pixel.

    Frames with a side of less than 32 pixels are not registered. A frame that is equal to an
    earlier one has the same noise, and is left out.

    References
    ----------
    .. [1] C. D. Kuglin, D. C. Hines, "The phase correlation image alignment method", Int. Conf.
       Cybernetics and Society, 1975.
    .. [2] S. Baker, I. Matthews, "Lucas-Kanade 20 years on: a unifying framework", Int. J. Computer
       Vision 56(3), 2004.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(40.0), np.arange(40.0))
    >>> frames = clean + np.random.default_rng(0).normal(0, 10, (4, 40, 40))
    >>> restored = fastrestore.denoise_burst(frames, sigma=10)
    >>> fastrestore.metrics.psnr(clean, restored, data_range=78) > 32
    True
    """
    images, restore, array = _check_frames(frames, channel_axis, sigma)
    first = images.pop(validate.index("reference", reference, len(images)))
    levels = _levels(sigma, first, channel_axis)
    denoise = partial(
        bm3d, channel_axis=0, profile=named_profile(profile), data_range=data_range,
        workers=workers, backend=backend,
    )  # fmt: skip
    with reporting(progress, "burst") as report_progress:
        different = distinct([first, *images])
        mean, variance = _merge(different, levels, denoise, report_progress)
        estimate = denoise(mean, np.sqrt(variance) * levels[:, None, None])
        report_progress(1 / (len(different) + 1))
    with interop.use_device_of(array):
        return restore(interop.planes_to_image(estimate, array, channel_axis))


class _View(NamedTuple):
    """A frame and its registration."""

    planes: FloatArray  # (C, M, N)
    gray: FloatArray  # (M, N), mean of the denoised channels
    motion: FloatArray  # from the reference


def _merge(
    frames: list[NDArray[Any]],
    levels: FloatArray,
    denoise: Callable[..., FloatArray],  # `bm3d` for (C, M, N)
    report_progress: Callable[[float], None],
) -> tuple[FloatArray, FloatArray]:
    """Register frames, and return their mean and its variance (M, N) for noise of variance 1."""
    registers = len(frames) > 1 and min(frames[0].shape[1:]) >= SMALLEST_SIDE
    views: list[_View] = []
    for frame in frames:
        planes, motion = frame.astype(np.float64), np.eye(2, 3)
        gray = planes[0]
        if registers:
            gray = denoise(planes, levels, profile="fast").mean(0)
            motion = estimate_motion(views[0].gray, gray) if views else motion
        views.append(_View(planes, gray, motion))
        report_progress(1 / (len(frames) + 1))
    mean, variance = _weighted_mean(views, levels)
    if not registers or not levels.any():
        return mean, variance
    noise = np.sqrt(variance) * levels[:, None, None]
    merged = denoise(mean, noise, profile="fast").mean(0)
    for k, view in enumerate(views[1:], 1):
        views[k] = view._replace(motion=refine_motion(merged, view.gray, view.motion))
    return _weighted_mean(views, levels)


def _weighted_mean(views: list[_View], levels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean of views, weighted by variance and mismatch, and its variance."""
    first = views[0].planes
    total, weights, variance = first.copy(), np.ones(first.shape[1:]), np.ones(first.shape[1:])
    for view in views[1:]:
        planes, gain = resample(view.planes, view.motion)
        mismatch = _mismatch(planes - first, gain, levels)
        weight = 1 / gain / (1 + (mismatch / TOLERANCE) ** 2) ** 2
        total += weight * planes
        weights += weight
        variance += weight**2 * np.where(np.isfinite(gain), gain, 0)
    return total / weights, variance / weights**2


def _mismatch(difference: FloatArray, gain: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the squared difference from the reference beyond noise, in units of its variance.

    It is infinite everywhere if the frame shows another scene.
    """
    from scipy.ndimage import maximum_filter, uniform_filter

    seen = np.isfinite(gain)
    noisy = levels > 0
    if not noisy.any() or not seen.any():
        return np.full(gain.shape, np.inf)
    units = (difference[noisy] / levels[noisy, None, None]) ** 2
    squares = np.where(seen, units.mean(0), 1 + np.where(seen, gain, 1))
    usual = np.where(seen, 1 + np.where(seen, gain, 1), 2)
    local = uniform_filter(squares, WINDOW, mode="mirror")
    expected = uniform_filter(usual, WINDOW, mode="mirror")
    chance = CONFIDENCE * np.sqrt(2 / (WINDOW**2 * noisy.sum()))
    beyond = np.maximum(0, local - (1 + chance) * expected)
    if np.median(beyond[seen] / expected[seen]) > OTHER_SCENE:
        return np.full(gain.shape, np.inf)
    around: FloatArray = maximum_filter(beyond, WINDOW, mode="mirror")  # windows blur edges
    return around


def _check_frames(
    frames: Any, channel_axis: Any, sigma: Any
) -> tuple[list[NDArray[Any]], Any, Any]:
    """Return the frames as (C, M, N), a function that restores the array type, and a frame."""
    check_frames(frames)
    if getattr(frames, "ndim", 3) < 3:
        raise ValueError(
            f"frames must be several images, got one array of shape {frames.shape}; for one image "
            "use bm3d"
        )
    images: list[NDArray[Any]] = []
    wanted = "a number of 0 or more, or one for each channel"
    level = 0.0 if sigma is None else float(validate.numbers("sigma", sigma, wanted).max())
    for number, recognized in enumerate(recognized_frames(frames)):
        image = validate.channels(f"frame {number}", interop.to_host(recognized[0]), channel_axis)
        outliers.check(f"frame {number}", recognized[0], level, outliers.REPLACE)
        # A generator may use the memory of a frame again
        images.append(image if hasattr(frames, "shape") else image.copy("K"))
    if not images:
        raise ValueError("frames is empty; give at least one frame")
    array, restore = recognized
    return images, restore, array


def _levels(sigma: Any, planes: NDArray[Any], channel_axis: int | None) -> FloatArray:
    """Return the noise level of each channel."""
    if sigma is None:
        return estimate.sigmas(planes)
    shape = planes.shape[1:] if channel_axis is None else (*planes.shape[1:], len(planes))
    levels = noise_of_sigma(sigma, shape, None if channel_axis is None else -1)
    if levels.map is not None:
        raise ValueError("sigma of a burst must be a number or one for each channel, not a map")
    return levels.sigmas
