"""BM3D: block matching and collaborative filtering of an image, in two stages.

This module checks, pads, scales, runs the two stages of a backend, and undoes what it did.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore import _arrays
from fastrestore._profile import Profile
from fastrestore._stage import Image, Run, make_stage
from fastrestore.backends import Backend, select

Progress = bool | Callable[[int, int], object]

_STAGES = ("basic", "final")
_TICKS = 100  # a whole call, as progress counts it


def bm3d(
    image: Any,
    sigma: float | None = None,
    *,
    profile: str | Profile = "np",
    stage: str = "final",
    pilot: Any = None,
    data_range: float | None = None,
    channel_axis: int | None = None,
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Remove white Gaussian noise from a gray image by BM3D.

    Parameters
    ----------
    image : array, shape (M, N)
        Noisy image of any integer or float type and any range; it is left as it is. NumPy
        arrays of any byte order and memory layout, torch tensors on the CPU and other arrays
        of the array API standard on the host are taken. Images smaller than a block work.
    sigma : float
        Standard deviation of the noise, in the units of `image`: for noise of 10 % on an
        image on [0, 1] write 0.1, on the same image in 8 bits 25.5. 0 returns a copy.
    profile : str or Profile, default "np"
        The algorithm's parameters: "np", "fast", "lc", "high", "vn", or your own `Profile`.
    stage : {"final", "basic"}
        "basic" stops after hard thresholding: quicker, and usually not as good.
    pilot : array, shape (M, N), optional
        An estimate of the clean image, in the units of `image`. It takes the place of the
        basic estimate and guides the Wiener stage.
    data_range : float, optional
        Difference between the largest and smallest value that the clean image can have. The
        thresholds of block matching are in proportion to it. Without it the range between the
        1st and 99th percentile of `image` is taken. Give it if results of several images, or of
        parts of one, are to agree.
    channel_axis : None
        For colour images, which are not supported yet.
    workers : int, optional
        Number of threads; all the processors this process may use by default, or with -1. The
        result does not depend on it.
    backend : {"auto", "numba", "numpy", "cupy"}, optional
        Who computes, see `use_backend` and `show_backends`.
    progress : bool or callable, default False
        True shows a bar; a callable gets ``(done, total)`` now and then, from this thread.

    Returns
    -------
    array, shape (M, N)
        The estimate of the clean image: same kind of array, on the same device, not clipped. Float
        types are kept, integers give float32 in the same units.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind: not an array, masked, boolean, complex.
    ValueError
        If it has a wrong value: other than two axes, empty, NaN or infinite, a negative sigma, an
        unknown name, a pilot of another shape.
    BackendUnavailableError
        If the backend asked for cannot run here.

    Warns
    -----
    UserWarning
        If sigma exceeds the whole range of the image, and so must be in other units.

    Notes
    -----
    Both stages are those of [1]_. The variance of every group coefficient is exact [2]_: blocks
    that overlap share noise. Numbers that differ from the papers, and why, are in `Profile`.
    Computation is in float32. The result follows a change of units, ``bm3d(a * x + b, a * s) =
    a * bm3d(x, s) + b``, up to rounding; for b = 0 and a power of two exactly.

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
    _check_image("image", values, channel_axis)
    noise = _sigma(sigma)
    numbers = Profile.named(profile) if isinstance(profile, str) else profile
    if not isinstance(numbers, Profile):
        raise TypeError(f"profile must be a name or a Profile, got {profile!r}")
    if stage not in _STAGES:
        raise ValueError(f"stage must be 'basic' or 'final', got {stage!r}")
    guide = _pilot(pilot, values, stage)
    extent = _data_range(data_range)
    threads = _workers(workers)
    engine = select(backend)

    dtype = _arrays.result_dtype(values.dtype)
    if noise == 0 or values.min() == values.max():
        return restore(values.astype(dtype))  # nothing to remove, or nothing but noise-free
    _warn_of_units(noise, values)
    if extent is None:
        extent = robust_range(values)
    with _reporting(progress) as tick:
        run = Run(threads, tick)
        result = _denoise(values, guide, noise, extent, numbers, stage, engine, run)
    return restore(result.astype(dtype, copy=False))


def _denoise(
    values: NDArray[Any],
    guide: NDArray[Any] | None,
    sigma: float,
    data_range: float,
    profile: Profile,
    stage: str,
    engine: Backend,
    run: Run,
) -> NDArray[Any]:
    """Scale, pad, run the stages, crop, scale back."""
    # A power of two brings the data to about 1 without rounding: no overflow in squares,
    # whatever the units, and equal results in units a power of two apart.
    exponent = math.frexp(max(sigma, data_range))[1]
    sides = [max(side, profile.block_basic, profile.block_final) for side in values.shape]
    noisy = _scaled(values, -exponent, sides)
    sigma, data_range = math.ldexp(sigma, -exponent), math.ldexp(data_range, -exponent)
    half = Run(run.workers, lambda share: run.tick(share / (4 if stage == "final" else 2)))

    if guide is not None:
        half = Run(run.workers, lambda share: run.tick(share / 2))
        estimate = _scaled(guide, -exponent, sides)
    else:
        numbers = make_stage(profile, "basic", sigma, data_range)
        matches = engine.bm3d_match(noisy, numbers, half)
        estimate = engine.bm3d_basic(noisy, matches, numbers, half)
        del matches
    if stage == "final":
        numbers = make_stage(profile, "final", sigma, data_range)
        matches = engine.bm3d_match(estimate, numbers, half)
        estimate = engine.bm3d_final(noisy, estimate, matches, numbers, half)
    cropped = estimate[: values.shape[0], : values.shape[1]]
    dtype = _arrays.result_dtype(values.dtype)
    return np.ldexp(cropped, exponent, dtype=np.promote_types(dtype, np.float32))


def _scaled(values: NDArray[Any], exponent: int, sides: list[int]) -> Image:
    """Float32 times a power of two, mirrored beyond the lower right up to the given sides."""
    wide = values if values.dtype.kind == "f" else values.astype(np.float64)
    scaled = np.ldexp(wide, exponent).astype(np.float32, order="C", copy=False)
    if scaled.shape == tuple(sides):
        return np.ascontiguousarray(scaled)
    beyond = [(0, side - size) for side, size in zip(sides, scaled.shape, strict=True)]
    return np.pad(scaled, beyond, mode="symmetric")


def robust_range(values: NDArray[Any]) -> float:
    """Range of an image without its outliers: from the 1st to the 99th percentile.

    A large image is sampled on a regular grid of some hundred thousand pixels.
    """
    stride = max(1, math.isqrt(values.size // 2**16))
    low, high = np.percentile(values[::stride, ::stride].astype(np.float64), [1, 99])
    return float(high - low)


def _check_image(name: str, values: NDArray[Any], channel_axis: int | None) -> None:
    """Refuse what is not a gray image of finite numbers."""
    if channel_axis is not None:
        raise ValueError(
            f"channel_axis={channel_axis!r}: colour is not supported yet; restore each channel"
        )
    if values.ndim != 2:
        raise ValueError(
            f"{name} must have 2 axes (rows, columns), got shape {values.shape}; "
            "restore channels, frames or slices one by one"
        )
    if values.size == 0:
        raise ValueError(f"{name} is empty, its shape is {values.shape}")
    _check_finite(name, values)


def _check_finite(name: str, values: NDArray[Any]) -> None:
    """Refuse NaN and infinity, saying how many there are and where the first is."""
    # The sum is finite only if every value is, or it overflows: a cheap first test.
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    bad = np.argwhere(~np.isfinite(values))
    first = tuple(int(k) for k in bad[0])
    raise ValueError(
        f"{name} has values that are NaN or infinite, {len(bad)} in all, the first is "
        f"{values[first]} at {first}; replace them first"
    )


def _warn_of_units(sigma: float, values: NDArray[Any]) -> None:
    """Warn of a sigma in other units than the image: noise spans several times its sigma."""
    extent = float(values.max()) - float(values.min())
    if values.size >= 64 and sigma > extent:
        warnings.warn(
            f"sigma={sigma:g} is more than the whole range of the image, {extent:g}; sigma is "
            "in the units of the image: for one on [0, 1], 25 grey levels are 25 / 255",
            stacklevel=3,
        )


def _number(name: str, value: Any, expected: str) -> float:
    """Return a real scalar of any library as a float."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or isinstance(value, (list, tuple)):
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    if array.ndim != 0:
        raise ValueError(f"{name} must be {expected}, got an array of shape {array.shape}")
    return float(array)


def _sigma(sigma: Any) -> float:
    """Check the noise level."""
    expected = "one number of 0 or more, in the units of the image"
    if sigma is None:
        raise ValueError(
            "sigma is missing (None): the noise level is not estimated yet; give its standard "
            "deviation, in the units of the image"
        )
    value = _number("sigma", sigma, expected)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"sigma must be {expected}, got {sigma!r}")
    return value


def _data_range(data_range: Any) -> float | None:
    """Check the range of the clean image."""
    if data_range is None:
        return None
    value = _number("data_range", data_range, "one number above 0")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"data_range must be one number above 0, got {data_range!r}")
    return value


def _pilot(pilot: Any, image: NDArray[Any], stage: str) -> NDArray[Any] | None:
    """Check the pilot estimate."""
    if pilot is None:
        return None
    if stage == "basic":
        raise ValueError("pilot guides the final stage, but stage='basic' stops before it")
    values, _ = _arrays.recognise("pilot", pilot)
    if values.shape != image.shape:
        raise ValueError(
            f"pilot has shape {values.shape}, the image {image.shape}; they must be equal"
        )
    _check_finite("pilot", values)
    return values


def _workers(workers: Any) -> int:
    """Return the number of threads to use."""
    if workers is None:
        return usable_processors()
    if isinstance(workers, bool) or not isinstance(workers, (int, np.integer)):
        raise TypeError(f"workers must be a whole number, -1 for all, or None, got {workers!r}")
    if workers < -1 or workers == 0:
        raise ValueError(f"workers must be 1 or more, or -1 for all processors, got {workers}")
    return usable_processors() if workers == -1 else int(workers)


def usable_processors() -> int:
    """Count the processors this process may use: its affinity and its container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return count or 1
    return max(1, min(count or 1, limit))


@contextmanager
def _reporting(progress: Progress) -> Iterator[Callable[[float], None]]:
    """Turn `progress` into a function that is told shares of the whole."""
    if not (isinstance(progress, (bool, np.bool_)) or callable(progress)):
        raise TypeError(f"progress must be True, False or a callable, got {progress!r}")
    if callable(progress):
        yield _counter(progress)
    elif progress:
        import tqdm

        with tqdm.tqdm(total=_TICKS, desc="bm3d", unit="%", leave=False) as bar:
            yield _counter(lambda done, _total: bar.update(done - bar.n))
    else:
        yield lambda share: None


def _counter(report: Callable[[int, int], object]) -> Callable[[float], None]:
    """Add up shares and report whole ticks, each once; the last share completes the count."""
    done, told = 0.0, 0

    def tick(share: float) -> None:
        nonlocal done, told
        done += share
        ticks = min(_TICKS, math.floor(done * _TICKS + 1e-6))
        if ticks > told:
            told = ticks
            report(told, _TICKS)

    return tick
