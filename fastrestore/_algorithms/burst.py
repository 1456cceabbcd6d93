"""A burst: several noisy photographs of one scene to one clean picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._arrays.register import motion_between, refined, resampled
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.stage import FloatArray
from fastrestore._noise import estimate

LEAST = 32  # pixels of the smaller side: smaller ones are not registered
WINDOW = 9  # pixels: differences are judged by their mean over a window
TOLERANCE = 0.5  # noise variances: a frame that differs by more beyond noise hardly counts
DOUBT = 3.0  # standard deviations of that mean that are taken for chance
STRANGER = 2.0  # times its variance: a frame that differs more on average shows something else


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
    """Make one clean picture of several noisy photographs of a scene, taken by hand.

    Parameters
    ----------
    frames : array, shape (T, M, N), or with `channel_axis` (T, M, N, C), or iterable of arrays
        The photographs, of equal shape and type, as `bm3d` takes them.
    sigma : float, or one for each channel, optional
        Standard deviation of the noise, in the units of the frames. Without it that of the
        reference is estimated.
    channel_axis : int, optional
        The axis of colours of a frame. Frames are registered on the mean of the channels.
    reference : int, default 0
        The frame that the result lies on, pixel on pixel.
    profile, data_range, workers, backend
        As for `bm3d`.
    progress : bool or callable, default False
        As for `bm3d`.

    Returns
    -------
    array, shape of a frame
        The clean picture: same kind of array, not clipped. Floats keep their type, integers give
        float32 in the same units.

    Raises
    ------
    TypeError, ValueError
        As `bm3d`; if there is no frame, if frames differ in shape or type, or hold NaN: the frame
        is named by its number.

    Notes
    -----
    Each frame is denoised and registered on the reference: a global shift by phase correlation
    [1]_, then an affine motion by Gauss-Newton steps from coarse to fine [2]_, and once more
    against the picture that came out. The noisy frames are resampled by quintic splines, and their
    mean is weighted by the inverse of their variance, and less where they differ by more than
    noise: what moves, or is seen by the reference alone, comes from the reference. `bm3d` then
    removes the noise that is left, whose variance is known at every pixel.

    Frames under 32 pixels are taken to lie on each other. Exposures must be equal.

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
    images, restore, there = _images(frames, channel_axis)
    number = _reference(reference, len(images))
    order = [images[number], *(image for k, image in enumerate(images) if k != number)]
    levels = _levels(sigma, order[0], channel_axis)
    numbers = Profile.named(profile) if isinstance(profile, str) else profile
    settings: dict[str, Any] = {
        "profile": numbers, "data_range": data_range, "workers": workers, "backend": backend
    }  # fmt: skip

    def denoised(planes: FloatArray, level: Any, **changes: Any) -> FloatArray:
        axis = None if len(planes) == 1 else 0
        image = planes[0] if axis is None else planes
        result: FloatArray = bm3d(image, level, channel_axis=axis, **{**settings, **changes})
        return result[None] if axis is None else result

    with reporting(progress, "burst") as tick:
        mean, variance = _fused(order, levels, denoised, tick)
        noise = np.sqrt(variance) * levels[:, None, None]
        estimate = denoised(mean, noise[0] if len(noise) == 1 else noise)
        tick(1 / (len(order) + 1))
    dtype = interop.result_dtype(images[0].dtype)
    result = estimate[0] if channel_axis is None else np.moveaxis(estimate, 0, channel_axis)
    with interop.use_device_of(there):
        return restore(interop.place_like(np.ascontiguousarray(result, dtype), there))


class _Registered(NamedTuple):
    """A frame on its way onto the reference."""

    planes: FloatArray  # (C, M, N)
    picture: FloatArray  # (M, N), the mean of its denoised channels
    motion: FloatArray


def _fused(
    frames: list[NDArray[Any]], levels: FloatArray, denoised: Any, tick: Any
) -> tuple[FloatArray, FloatArray]:
    """Return the mean of registered frames, and its variance (M, N) for noise of variance 1."""
    found: list[_Registered] = []
    for frame in frames:
        planes = frame.astype(np.float64)
        alone = len(frames) == 1 or min(planes.shape[1:]) < LEAST
        picture = planes.mean(0) if alone else denoised(planes, levels, profile="fast").mean(0)
        motion = np.eye(2, 3)
        if found and not alone:
            motion = motion_between(found[0].picture, picture)
        found.append(_Registered(planes, picture, motion))
        tick(1 / (len(frames) + 1))
    mean, variance = _weighted(found, levels)
    if len(frames) == 1 or min(mean.shape[1:]) < LEAST or not levels.any():
        return mean, variance
    noise = np.sqrt(variance) * levels[:, None, None]
    better = denoised(mean, noise[0] if len(noise) == 1 else noise, profile="fast").mean(0)
    again = [each._replace(motion=refined(better, each.picture, each.motion)) for each in found[1:]]
    return _weighted([found[0], *again], levels)


def _weighted(found: list[_Registered], levels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of frames, each by the inverse of its variance and of what noise does not explain."""
    first = found[0].planes
    total, weights, variance = first.copy(), np.ones(first.shape[1:]), np.ones(first.shape[1:])
    for frame in found[1:]:
        planes, gain = resampled(frame.planes, frame.motion)
        doubt = _mismatch(planes - first, gain, levels)
        weight = 1 / gain / (1 + (doubt / TOLERANCE) ** 2) ** 2
        total += weight * planes
        weights += weight
        variance += weight**2 * np.where(np.isfinite(gain), gain, 0)
    return total / weights, variance / weights**2


def _mismatch(difference: FloatArray, gain: FloatArray, levels: FloatArray) -> FloatArray:
    """What a frame differs by from the reference beyond noise, squared, in units of its variance.

    Infinite everywhere of a frame that shows something else.
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
    chance = DOUBT * np.sqrt(2 / (WINDOW**2 * noisy.sum()))
    beyond = np.maximum(0, local - (1 + chance) * expected)
    if np.median(beyond[seen] / expected[seen]) > STRANGER:
        return np.full(gain.shape, np.inf)
    around: FloatArray = maximum_filter(beyond, WINDOW, mode="mirror")  # windows blur edges
    return around


def _images(frames: Any, channel_axis: Any) -> tuple[list[NDArray[Any]], Any, Any]:
    """Check the frames; return them as (C, M, N), and how to give one back, and where it was."""
    several = isinstance(frames, Iterable) or hasattr(frames, "shape")
    if isinstance(frames, (str, bytes)) or not several:
        raise TypeError(f"frames must be an array or an iterable of arrays, got {frames!r:.60}")
    found: list[NDArray[Any]] = []
    restore = there = None
    axis = channel_axis
    for number, frame in enumerate(frames):
        name = f"frame {number}"
        there, restore = interop.recognize(name, frame)
        values = interop.to_host(there)
        planes = validate.channels(name, values, axis)
        if found and (planes.shape != found[0].shape or planes.dtype != found[0].dtype):
            raise ValueError(
                f"{name} has shape {planes.shape[1:]} and type {planes.dtype}, the first has "
                f"{found[0].shape[1:]} and {found[0].dtype}"
            )
        found.append(planes)
    if not found:
        raise ValueError("frames is empty; there must be one frame at least")
    return found, restore, there


def _reference(number: Any, count: int) -> int:
    """Check the number of the reference."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        raise TypeError(f"reference must be a whole number, got {number!r}")
    if not -count <= number < count:
        raise ValueError(f"reference={number}: there are {count} frames")
    return int(number) % count


def _levels(sigma: Any, planes: NDArray[Any], channel_axis: int | None) -> FloatArray:
    """Noise of each channel."""
    if sigma is None:
        return estimate.sigmas(planes)
    shape = planes.shape[1:] if channel_axis is None else (*planes.shape[1:], len(planes))
    levels = validate.levels(sigma, shape, None if channel_axis is None else -1)
    if levels.map is not None:
        raise ValueError("sigma must be a number, or one for each channel; bursts take no map")
    return levels.sigmas
