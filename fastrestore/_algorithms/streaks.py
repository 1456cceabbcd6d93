"""Removal of streaks in sinograms, the cause of ring artifacts in tomography."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from fastrestore._algorithms.strong_streaks import find_strong, replace_fluctuating, streak_level
from fastrestore._arrays import interop, outliers, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._arrays.streams import on_stream_of
from fastrestore._arrays.types import FloatArray
from fastrestore._chunked import entry
from fastrestore._collaborative.calls import with_spectrum
from fastrestore._collaborative.profile import Profile

MAX_ROWS = 64  # angles are averaged to about this number
COARSEST_WIDTH, LEAST_WIDTH = 40, 20  # detector pixels of the coarsest scale: default, least
WHITE = 0.02  # other, white noise, relative to the standard deviation of the streaks
FLOOR = 1e-3  # residual power of streaks that coarser scales have removed
LEAST_STRENGTH, MOST_STRENGTH = 1e-6, 1e6


@on_stream_of("sinogram")
def remove_streaks(
    sinogram: Any,
    *,
    strength: float = 1.0,
    levels: int | None = None,
    strong: float | None = 4.0,
    angle_axis: int = -2,
    detector_axis: int = -1,
    profile: str | Profile = "np",
    workers: int | None = None,
    backend: str | None = None,
    progress: Progress = False,
) -> Any:
    """Remove the streaks of a sinogram that cause ring artifacts in tomography.

    Streaks are lines along the angles: errors of detector pixels that are the same at many angles.

    Parameters
    ----------
    sinogram : array, shape (angles, detector), or three axes for a stack of sinograms
        Logarithm of the attenuation, of any integer or float type. Streaks are constant, or change
        slowly, along the angles.
    strength : float, default 1
        Factor for the estimated standard deviation of the streaks, 1e-6 to 1e6. Larger values
        remove more.
    levels : int, optional
        Number of coarser scales, each with half the detector pixels of the previous one, to remove
        streaks that are many pixels wide. The coarsest scale must have at least 20 pixels. By
        default it has at least 40.
    strong : float or None, default 4
        Streaks that exceed this number of standard deviations are subtracted first: those of up to
        24 pixels with sharp sides, at all angles, and those of up to 4 pixels at a sixth of the
        angles or more. Detector pixels whose values fluctuate much more than those of their
        neighbors are interpolated. With None this step is skipped.
    angle_axis, detector_axis : int
        Axes of the angles and of the detector pixels. The remaining axis of a stack numbers the
        sinograms.
    profile, workers, backend, progress : optional
        As for `bm3d`.

    Returns
    -------
    array, shape of `sinogram`
        The same kind of array. Floats keep their type, integers give float32. Other noise than
        streaks is not removed, except from interpolated detector pixels. For an array of Dask the
        result is one, too, and is computed later.

    Raises
    ------
    TypeError, ValueError
        As for `bm3d`, and if the axes are invalid.
    BackendUnavailableError
        If the requested backend cannot run here.

    See Also
    --------
    bm3d : Remove noise from an image.
    psd_from_kernel : Compute the spectrum of other stripes.

    Notes
    -----
    Based on [1]_. Means over neighboring angles are denoised by `bm3d`, for noise that is constant
    along the angles, at several scales from coarse to fine. The removed noise is the estimate of
    the streaks, which is interpolated to all angles and subtracted. The computation runs on the
    host.

    Strong streaks are of the kinds of [2]_, but detected differently. The sides of a streak are
    steps of opposite sign between detector pixels, which are present at all angles. An edge of an
    object that stays at the same detector pixels, such as that of a tube in the center of rotation,
    has no opposite step nearby; ridges of more than 4 pixels that exceed a fifth of the range of
    values are also regarded as parts of the object. A thin ring around the center of rotation
    is removed like a streak.

    References
    ----------
    .. [1] Y. Mäkinen, S. Marchesini, A. Foi, "Ring artifact reduction via multiscale nonlocal
       collaborative filtering of spatially correlated noise", J. Synchrotron Rad. 28, 2021.
    .. [2] N. T. Vo, R. C. Atwood, M. Drakopoulos, "Superior techniques for eliminating ring
       artifacts in X-ray micro-tomography", Optics Express 26, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> import fastrestore
    >>> rng = np.random.default_rng(0)
    >>> clean = 50 + 20 * np.cos(np.linspace(-2, 2, 128)) * np.ones((90, 1))
    >>> streaks = rng.normal(0, 1, 128)
    >>> restored = fastrestore.remove_streaks(clean + streaks)
    >>> left = restored - clean
    >>> bool(left.std() < 0.6 * streaks.std())
    True
    """
    if entry.is_chunked(sinogram):
        return entry.restored(remove_streaks, locals())
    array, restore = interop.recognize("sinogram", sinogram)
    order = _axis_order(array.shape, angle_axis, detector_axis)
    validate.check_finite("sinogram", array)
    outliers.check("sinogram", array, 0.0, outliers.REPLACE)
    factor = validate.number("strength", strength, least=LEAST_STRENGTH, most=MOST_STRENGTH)
    bound = None if strong is None else validate.positive("strong", strong)
    stack = (array[None] if array.ndim == 2 else array).transpose(order)
    scales = _scale_count(levels, stack.shape[2])
    options = {"profile": profile, "workers": workers, "backend": backend}
    module = interop.namespace(array)
    with reporting(progress, "remove_streaks") as report_progress, interop.use_device_of(array):
        out = module.empty(stack.shape, interop.result_dtype(array.dtype))
        for each, result in zip(stack, out, strict=True):
            plain = interop.to_float64(each)
            if bound is not None:
                plain = replace_fluctuating(plain)
            means, places = _angle_means(plain)
            streaks = np.zeros_like(means) if bound is None else find_strong(means, bound)
            streaks = _find_multiscale(means - streaks, scales, factor, options) + streaks
            streaks = _interpolate(interop.place_like(streaks, plain), places, len(plain))
            result[...] = plain - streaks
            report_progress(1 / len(stack))
        placed = out.transpose([int(k) for k in np.argsort(order)])
        return restore(module.ascontiguousarray(placed).reshape(array.shape))


def _axis_order(
    shape: tuple[int, ...], angle_axis: Any, detector_axis: Any
) -> tuple[int, int, int]:
    """Return the axes of sinograms, angles and detector in an array of three axes."""
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"sinogram must have 2 axes, or 3 for a stack, got shape {shape}")
    angle = validate.axis("angle_axis", angle_axis, shape)
    detector = validate.axis("detector_axis", detector_axis, shape)
    if angle == detector:
        raise ValueError(
            f"angle_axis={angle_axis} and detector_axis={detector_axis} are the same axis"
        )
    first = 3 - len(shape)  # 1 if the stack axis is added in front
    return 3 - angle - detector - 2 * first, angle + first, detector + first


def _scale_count(levels: Any, width: int) -> int:
    """Return the number of coarser scales."""
    if levels is None:
        return max(0, int(math.log2(max(1, width / COARSEST_WIDTH))))
    count = validate.integer("levels", levels, least=0)
    highest = max(0, int(math.log2(max(1, width / LEAST_WIDTH))))
    if count > highest:
        raise ValueError(
            f"levels={validate.quoted(count)} leaves less than {LEAST_WIDTH} of {width} detector "
            f"pixels; write {highest} or less"
        )
    return count


def _find_multiscale(
    means: FloatArray, levels: int, strength: float, options: dict[str, Any]
) -> FloatArray:
    """Estimate the streaks in means over angles, from coarse to fine scales."""
    scales = [means]
    for _ in range(levels):
        scales.append(_halve(scales[-1]))
    found = np.zeros_like(scales[-1])
    for k in range(levels, -1, -1):
        if k < levels:
            found = _enlarge(found, scales[k].shape[1])
        rest = scales[k] - found
        level = strength * streak_level(rest)
        if level > 0:
            found = found + rest - _denoise(rest, level, k < levels, options)
    return found


def _angle_means(sinogram: Any) -> tuple[FloatArray, FloatArray]:
    """Return means over neighboring angles, on the host, and their positions."""
    count = len(sinogram)
    ends = np.linspace(0, count, min(count, MAX_ROWS) + 1).round().astype(int)
    if interop.on_host(sinogram):
        sums = np.add.reduceat(sinogram, ends[:-1], 0)
    else:
        parts = [sinogram[first:last].sum(0) for first, last in itertools.pairwise(ends.tolist())]
        sums = interop.to_host(interop.namespace(sinogram).stack(parts))
    return sums / np.diff(ends)[:, None], (ends[:-1] + ends[1:] - 1) / 2


def _interpolate(streaks: Any, places: FloatArray, count: int) -> Any:
    """Interpolate streaks to all angles."""
    angles = np.arange(count)
    if interop.on_host(streaks):
        return np.stack([np.interp(angles, places, column) for column in streaks.T], 1)
    position = np.interp(angles, places, np.arange(len(places)))
    below = np.minimum(position.astype(int), max(0, len(places) - 2))
    above = np.minimum(below + 1, len(places) - 1)
    share = interop.place_like(position - below, streaks)[:, None]
    lower, upper = streaks[below], streaks[above]
    return lower + share * (upper - lower)


def _denoise(means: FloatArray, level: float, fine: bool, options: dict[str, Any]) -> FloatArray:
    """Remove noise that is constant along the angles; `fine` after a coarser scale."""
    rows, columns = means.shape
    power = np.zeros((rows, columns))
    across = np.fft.fftfreq(columns)
    left = np.ones(columns)
    if fine:  # coarser scales have removed low frequencies
        passed = np.cos(np.pi * across) ** 2 * np.maximum(0, 1 - 2 * np.abs(across))
        left = (1 - passed) ** 2 + FLOOR
    power[0] = level**2 * rows * rows * columns * left
    power += (WHITE * level) ** 2 * rows * columns
    extent = float(np.ptp(means)) or 1.0
    result = with_spectrum(means, power, {"data_range": extent, **options})
    return np.asarray(interop.to_host(result), np.float64)


def _halve(means: FloatArray) -> FloatArray:
    """Return means of two detector pixels."""
    even = np.pad(means, ((0, 0), (0, means.shape[1] % 2)), "edge")
    return (even[:, ::2] + even[:, 1::2]) / 2


def _enlarge(means: FloatArray, width: int) -> FloatArray:
    """Undo `_halve` by linear interpolation."""
    places = 2 * np.arange(means.shape[1]) + 0.5
    return np.stack([np.interp(np.arange(width), places, row) for row in means])
