"""BM3D: block matching and collaborative filtering of an image, in two stages.

This module checks, pads, scales, runs the two stages of a backend, and undoes what it did.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastrestore import _arguments, _arrays, _colour, _noise
from fastrestore._arguments import Levels
from fastrestore._profile import Profile
from fastrestore._progress import Progress, reporting
from fastrestore._stabilise import NoiseModel, PoissonGaussian, Rician
from fastrestore._stage import Channels, Image, Run, Stage, make_stage
from fastrestore.backends import Backend, select

T = TypeVar("T", bound=np.generic)

_STAGES = ("basic", "final")


def bm3d(
    image: Any,
    sigma: Any = None,
    *,
    noise: NoiseModel | None = None,
    profile: str | Profile = "np",
    stage: str = "final",
    pilot: Any = None,
    guide: Any = None,
    data_range: float | None = None,
    channel_axis: int | None = None,
    colorspace: str | None = "auto",
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
    return_info: bool = False,
) -> Any:
    """Remove white Gaussian noise from an image by BM3D.

    Parameters
    ----------
    image : array, shape (M, N), or three axes with `channel_axis`
        Noisy image of any integer or float type and any range; it is left as it is. NumPy
        arrays of any byte order and memory layout, torch tensors on the CPU and other arrays
        of the array API standard on the host are taken. Images smaller than a block work.
    sigma : float, or one for each channel, or array, optional
        Standard deviation of the noise, in the units of `image`: for noise of 10 % on an
        image on [0, 1] write 0.1, on the same image in 8 bits 25.5. 0 returns a copy. Without
        it the level is estimated for each channel, see `estimate_sigma`. An array of the shape
        of `image`, or that broadcasts to it, says the level at every pixel; a pixel where it is
        0 stays as it is.
    noise : PoissonGaussian or Rician, optional
        In place of `sigma`, noise that follows the signal: the image is transformed so that its
        noise becomes that of sigma 1, denoised, and transformed back without bias.
    profile : str or Profile, default "np"
        The algorithm's parameters: "np", "fast", "lc", "high", "vn", or your own `Profile`.
    stage : {"final", "basic"}
        "basic" stops after hard thresholding: quicker, and usually not as good.
    pilot : array, shape of `image`, optional
        An estimate of the clean image, in the units of `image`. It takes the place of the
        basic estimate and guides the Wiener stage.
    guide : array, shape (M, N) or that of `image`, optional
        Another picture of the same scene, pixel on pixel, that shows its structure better: another
        band, a flash photograph, a modality with less noise. Blocks are matched on it in both
        stages, in its own units; of channels their mean. Its values do not enter the result.
    data_range : float, optional
        Difference between the largest and smallest value that the clean image can have. The
        thresholds of block matching are in proportion to it. Without it the range between the
        1st and 99th percentile of `image` is taken. Give it if results of several images, or of
        parts of one, are to agree.
    channel_axis : int, optional
        The axis of colours or other channels, -1 for an RGB image of shape (M, N, 3). Blocks are
        matched once, on the luminance, and all channels are filtered by the same groups. A
        channel whose sigma is 0 stays as it is.
    colorspace : {"auto", "opp", "ycbcr", "pca", None}
        Transform of the channels before filtering: opponent colours or YCbCr for 3 channels,
        principal components for any number, None for no transform, blocks then being matched on
        the mean of the channels. "auto" is "opp" for 3 channels and None otherwise.
    workers : int, optional
        Number of threads; all the processors this process may use by default, or with -1. The
        result does not depend on it.
    backend : {"auto", "numba", "numpy", "cupy"}, optional
        Who computes, see `use_backend` and `show_backends`.
    progress : bool or callable, default False
        True shows a bar; a callable gets ``(done, total)`` now and then, from this thread.
    return_info : bool, default False
        Return also an `Info` of what was estimated and used.

    Returns
    -------
    array, shape of `image`
        The estimate of the clean image: same kind of array, on the same device, not clipped. Float
        types are kept, integers give float32 in the same units.
    Info
        Only with `return_info`.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind: not an array, masked, boolean, complex.
    ValueError
        If it has a wrong value: other axes, empty, NaN or infinite, a negative sigma, an
        unknown name, a pilot of another shape.
    BackendUnavailableError
        If the backend asked for cannot run here.

    Warns
    -----
    UserWarning
        If sigma exceeds the whole range of the image, and so must be in other units.

    Notes
    -----
    Both stages are those of [1]_, colour is that of its section VI. The variance of every group
    coefficient is exact [2]_: blocks that overlap share noise. Numbers that differ from the
    papers, and why, are in `Profile`. Computation is in float32. The result follows a change of
    units, ``bm3d(a * x + b, a * s) = a * bm3d(x, s) + b``, up to rounding; for b = 0 and a power
    of two exactly.

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image denoising by sparse 3-D
       transform-domain collaborative filtering", IEEE Trans. Image Process. 16(8), 2007.
    .. [2] Y. Mäkinen, L. Azzari, A. Foi, "Collaborative filtering of correlated noise", IEEE
       Trans. Image Process. 29, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> clean = np.add.outer(np.arange(64.0), np.arange(64.0))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    >>> restored = fastrestore.bm3d(noisy, sigma=10)
    >>> fastrestore.metrics.psnr(clean, restored, data_range=127) > 35
    True
    """
    values, restore = _arrays.recognise("image", image)
    planes = _arguments.channels("image", values, channel_axis)
    levels = None if sigma is None else _arguments.levels(sigma, values.shape, channel_axis)
    space = _colour.check(colorspace, len(planes))
    numbers = Profile.named(profile) if isinstance(profile, str) else profile
    if not isinstance(numbers, Profile):
        raise TypeError(f"profile must be a name or a Profile, got {profile!r}")
    if stage not in _STAGES:
        raise ValueError(f"stage must be 'basic' or 'final', got {stage!r}")
    first = _arguments.pilot(pilot, values, channel_axis, stage)
    matched = _arguments.guide(guide, values.shape, planes.shape, channel_axis)
    extent = _arguments.extent(data_range)
    threads = _arguments.workers(workers)
    engine = select(backend)
    if noise is not None:
        if sigma is not None:
            raise ValueError(f"sigma={sigma!r} and noise={noise!r} are both given; leave one out")
        if not isinstance(noise, (PoissonGaussian, Rician)):
            raise TypeError(f"noise must be a PoissonGaussian or a Rician, got {noise!r}")
        levels = Levels(np.ones(len(planes)))
        planes = noise.forward(planes)
        first = None if first is None else noise.forward(first)
        extent = None if extent is None else noise.extent(extent)
    estimated = levels is None
    if levels is None:
        levels = Levels(_noise.sigmas(planes))
    with reporting(progress, "bm3d") as tick:
        job = _Job(numbers, stage, space, extent, _Guide.of(matched), engine, Run(threads, tick))
        result = _restored(planes, first, levels, job)
    if noise is not None:
        result = noise.inverse(result)
    dtype = _arrays.result_dtype(values.dtype)
    result = result[0] if channel_axis is None else np.moveaxis(result, 0, channel_axis)
    restored = restore(np.ascontiguousarray(result, dtype))
    if not return_info:
        return restored
    used = float(levels.sigmas[0]) if channel_axis is None else levels.sigmas
    if levels.map is not None:
        used = np.asarray(sigma)
    return restored, Info(used, estimated, noise, numbers, engine.NAME)


@dataclass(frozen=True, slots=True)
class Info:
    """What `bm3d` estimated and used."""

    sigma: float | NDArray[Any]  # a number, one for each channel, a map; 1 with a noise model
    estimated: bool  # whether sigma was
    noise: NoiseModel | None
    profile: Profile
    backend: str


@dataclass(frozen=True, slots=True, eq=False)
class _Guide:
    """A picture to match blocks on, with its own noise and range; scaled to about 1."""

    image: Image
    sigma: float
    data_range: float

    @classmethod
    def of(cls, image: NDArray[Any] | None) -> _Guide | None:
        """Scale and measure the picture a caller gave."""
        if image is None:
            return None
        scaled = _scaled(image[None], -math.frexp(float(np.abs(image).max()))[1])
        return cls(scaled[0], float(_noise.sigmas(scaled)[0]), robust_range(scaled))


@dataclass(frozen=True, slots=True)
class _Job:
    """What a call asked for, checked."""

    profile: Profile
    stage: str
    colorspace: str | None
    data_range: float | None
    guide: _Guide | None
    engine: Backend
    run: Run


def _restored(
    planes: NDArray[Any], pilot: NDArray[Any] | None, levels: Levels, job: _Job
) -> NDArray[Any]:
    """Restore channels (C, M, N): see to what needs no filter, scale, filter, scale back."""
    planes = np.ascontiguousarray(planes)
    sigmas = levels.sigmas
    untouched = (sigmas == 0) | (planes.min((1, 2)) == planes.max((1, 2)))
    if untouched.all():
        return planes.copy()  # nothing to remove, or nothing but noise-free
    if _is_gray(
        planes, pilot, levels
    ):  # a gray picture stored in colour: its noise is the same in all channels
        first = None if pilot is None else pilot[:1]
        level = Levels(sigmas[:1], None if levels.map is None else levels.map[:1])
        one = _restored(planes[:1], first, level, replace(job, colorspace=None))
        return np.broadcast_to(one, planes.shape)
    _arguments.warn_of_units(float(sigmas.max()), planes)

    # A power of two brings the data to about 1 without rounding: no overflow in squares,
    # whatever the units, and equal results in units a power of two apart.
    extent = job.data_range
    largest = max(float(sigmas.max()), robust_range(planes) if extent is None else extent)
    exponent = math.frexp(largest)[1]
    noisy = _scaled(planes, -exponent)
    guide = None if pilot is None else _scaled(pilot, -exponent)
    extent = None if extent is None else math.ldexp(extent, -exponent)
    scaled = Levels(np.ldexp(sigmas, -exponent), levels.map)
    if levels.map is not None:
        scaled = Levels(scaled.sigmas, np.ldexp(levels.map, -exponent))
    result = _denoise(noisy, guide, scaled, extent, job)
    dtype = np.promote_types(_arrays.result_dtype(planes.dtype), np.float32)
    restored: NDArray[Any] = np.ldexp(result, exponent, dtype=dtype)
    exact = levels.map == 0 if levels.map is not None else sigmas == 0
    restored[exact] = planes[exact]
    return restored


def _is_gray(planes: NDArray[Any], pilot: NDArray[Any] | None, levels: Levels) -> bool:
    """Whether there are several channels and all are the same picture with the same noise."""
    if len(planes) == 1 or np.ptp(levels.sigmas) > 0:
        return False
    images = [image for image in (planes, pilot, levels.map) if image is not None]
    if any((image[1:, 0] != image[:1, 0]).any() for image in images):
        return False  # the first row tells most colour images
    return all((image[1:] == image[:1]).all() for image in images)


def _denoise(
    noisy: Channels,
    pilot: Channels | None,
    levels: Levels,
    data_range: float | None,
    job: _Job,
) -> Channels:
    """Change colours, run the stages, change colours back."""
    profile, engine = job.profile, job.engine
    space = _colour.colour_space(job.colorspace, noisy, levels.sigmas)
    channels = space.forward(noisy)
    stage = _stages(channels, space, levels, data_range, job)
    channels = _padded(channels, profile)
    guide = None if job.guide is None else _padded(job.guide.image[None], profile)[0]
    steps = 4 if job.stage == "final" and pilot is None else 2
    part = Run(job.run.workers, lambda share: job.run.tick(share / steps))

    if pilot is None:
        numbers = stage("basic")
        matched = space.luminance(channels) if guide is None else guide
        matches = engine.bm3d_match(matched, numbers, part)
        estimate = engine.bm3d_basic(channels, matches, numbers, part)
        del matches
    else:
        estimate = _padded(space.forward(pilot), profile)
    if job.stage == "final":
        numbers = stage("final")
        matched = space.luminance(estimate) if guide is None else guide
        matches = engine.bm3d_match(matched, numbers, part)
        estimate = engine.bm3d_final(channels, estimate, matches, numbers, part)
    return space.back(estimate[:, : noisy.shape[1], : noisy.shape[2]])


def _stages(
    channels: Channels,
    space: _colour.ColourSpace,
    levels: Levels,
    data_range: float | None,
    job: _Job,
) -> Callable[[Literal["basic", "final"]], Stage]:
    """Return what makes the numbers of a stage for transformed channels."""
    noise_map = None
    if levels.map is not None:
        noise_map = space.noise_map(_padded(levels.map, job.profile), levels.sigmas)
    if job.guide is not None:  # matching sees the guide's noise and range
        sigma, extent = job.guide.sigma, job.guide.data_range
        if noise_map is not None:
            noise_map = noise_map._replace(luminance=np.ones_like(noise_map.luminance))
    else:
        sigma = space.luminance_sigma(levels.sigmas)
        if data_range is None:
            extent = robust_range(space.luminance(channels))
        else:
            extent = space.luminance_range(data_range)
    noise = space.sigmas(levels.sigmas)
    return lambda which: make_stage(job.profile, which, sigma, extent, noise, noise_map)


def _scaled(planes: NDArray[Any], exponent: int) -> Channels:
    """Float32 in C order, times a power of two."""
    wide = planes if planes.dtype.kind == "f" else planes.astype(np.float64)
    return np.ascontiguousarray(np.ldexp(wide, exponent), np.float32)


def _padded(channels: NDArray[T], profile: Profile) -> NDArray[T]:
    """Mirror an image that is smaller than a block beyond its lower right."""
    least = max(profile.block_basic, profile.block_final)
    beyond = [(0, max(0, least - size)) for size in channels.shape[1:]]
    if not any(after for _, after in beyond):
        return channels
    return np.pad(channels, [(0, 0), *beyond], mode="symmetric")


def robust_range(values: NDArray[Any]) -> float:
    """Range of images without their outliers: from the 1st to the 99th percentile.

    Large images are sampled on a regular grid of some hundred thousand pixels.
    """
    stride = max(1, math.isqrt(values.size // 2**16))
    low, high = np.percentile(values[..., ::stride, ::stride].astype(np.float64), [1, 99])
    return float(high - low)
