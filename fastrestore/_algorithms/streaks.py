"""Streaks of sinograms, which become rings in tomography."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import with_spectrum

FloatArray = NDArray[np.float64]
ROWS = 64  # angles are averaged to about so many
NARROWEST = 40  # detector pixels of the coarsest scale, at least
LEAST = 20  # that who asks for more scales may have
LONG = 12  # share of the angles that the level of streaks is measured over, inverse
NEAR = 9  # detector pixels that a strong streak is compared with
TIMES = 3  # strong streaks are looked for so often, as they hide each other
SLOW = 4  # share of the angles over which a strong streak may change, inverse
WHITE = 0.02  # of the streaks' deviation: noise that is none of them
FLOOR = 1e-3  # of the power of the streaks: what coarser scales left
MAD = 1.4826


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
    """Remove streaks along the angles of a sinogram, which would become rings.

    Parameters
    ----------
    sinogram : array, shape (angles, detector), or three axes for a stack of them
        Logarithm of the attenuation, of any integer or float type.
    strength : float, default 1
        Streaks are taken for so many times as strong as they are measured to be.
    levels : int, optional
        How often the detector is reduced by two, for streaks that are many pixels wide. Without it
        as often as leaves 40 pixels; no more than leaves 20.
    strong : float or None, default 4
        Streaks of more than so many deviations, those of bad pixels, are subtracted first.
    angle_axis, detector_axis : int
        Where angles and detector pixels are; the third axis of a stack is the other one.
    profile, workers, backend, progress
        As for `bm3d`.

    Returns
    -------
    array, shape of `sinogram`
        The same kind of array; floats keep their type, integers give float32. Noise stays.

    Raises
    ------
    TypeError, ValueError
        As `bm3d` does; if the axes are not as said.
    BackendUnavailableError
        If the backend asked for cannot run here.

    Notes
    -----
    After [1]_: means over angles are restored by `bm3d` for noise that is the same along the
    angles, at several scales from coarse to fine. What it removes is streaks, which are
    interpolated to all angles and subtracted. It works on the host.

    References
    ----------
    .. [1] Y. Mäkinen, S. Marchesini, A. Foi, "Ring artifact reduction via multiscale nonlocal
       collaborative filtering of spatially correlated noise", J. Synchrotron Rad. 28, 2021.

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
    there, restore = interop.recognize("sinogram", sinogram)
    stack, order = _stacked(there, angle_axis, detector_axis)
    validate.check_finite("sinogram", there)
    times = validate.positive("strength", strength)
    bound = math.inf if strong is None else validate.positive("strong", strong)
    depth = _levels(levels, stack.shape[2])
    options = {"profile": profile, "workers": workers, "backend": backend}
    out = np.empty(stack.shape, interop.result_dtype(there.dtype))
    with reporting(progress, "remove_streaks") as tick:
        for each, result in zip(stack, out, strict=True):
            plain = np.asarray(each, np.float64)
            result[...] = plain - _streaks(plain, depth, times, bound, options)
            tick(1 / len(stack))
    placed = np.ascontiguousarray(out.transpose(np.argsort(order)))
    namespace = interop.namespace(there)
    with interop.use_device_of(there):
        return restore(interop.place_like(namespace.asarray(placed.reshape(there.shape)), there))


def _stacked(there: Any, angle_axis: Any, detector_axis: Any) -> tuple[Any, tuple[int, ...]]:
    """View as (stack, angles, detector), on the host; and which axis went where."""
    if there.ndim not in (2, 3) or 0 in there.shape:
        raise ValueError(f"sinogram must have 2 axes, or 3 of a stack, got shape {there.shape}")
    axes = []
    for name, axis in (("angle_axis", angle_axis), ("detector_axis", detector_axis)):
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise TypeError(f"{name} must be a whole number, got {axis!r}")
        if not -there.ndim <= axis < there.ndim:
            raise ValueError(f"{name}={axis} is not an axis of shape {there.shape}")
        axes.append(int(axis) % there.ndim)
    if axes[0] == axes[1]:
        raise ValueError(
            f"angle_axis={angle_axis} and detector_axis={detector_axis} are the same axis"
        )
    host = interop.to_host(there)
    if host.ndim == 2:
        host, axes = host[None], [k + 1 for k in axes]
    order = (3 - sum(axes), *axes)
    return host.transpose(order), order


def _levels(levels: Any, width: int) -> int:
    """How often the detector is reduced by two."""
    most = max(0, int(math.log2(max(1, width / NARROWEST))))
    if levels is None:
        return most
    if isinstance(levels, bool) or not isinstance(levels, (int, np.integer)) or levels < 0:
        raise ValueError(f"levels must be a whole number of 0 or more, got {levels!r}")
    if levels > 0 and width < LEAST * 2**levels:
        highest = max(0, int(math.log2(width / LEAST)))
        raise ValueError(
            f"levels={levels} leaves less than {LEAST} of {width} detector pixels; write {highest} "
            "or less"
        )
    return int(levels)


def _streaks(
    sinogram: FloatArray, levels: int, strength: float, strong: float, options: dict[str, Any]
) -> FloatArray:
    """What is added to a sinogram along its angles."""
    means, places = _fewer_angles(sinogram)
    first = _strong(means, strong)
    scales = [means - first]
    for _ in range(levels):
        scales.append(_reduced(scales[-1]))
    found = np.zeros_like(scales[-1])
    for k in range(levels, -1, -1):
        if k < levels:
            found = _enlarged(found, scales[k].shape[1])
        rest = scales[k] - found
        level = strength * _level(rest)
        if level > 0:
            found = found + rest - _without(rest, level, k < levels, options)
    angles = np.arange(len(sinogram))
    columns = [np.interp(angles, places, column) for column in (found + first).T]
    return np.stack(columns, 1)


def _fewer_angles(sinogram: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means over neighbouring angles, and where they are."""
    count = len(sinogram)
    ends = np.linspace(0, count, min(count, ROWS) + 1).round().astype(int)
    means = np.add.reduceat(sinogram, ends[:-1], 0) / np.diff(ends)[:, None]
    return means, (ends[:-1] + ends[1:] - 1) / 2


def _level(means: FloatArray) -> float:
    """Standard deviation of streaks: of second differences of long means, robustly."""
    from scipy import ndimage

    if means.shape[1] < 3:
        return 0.0
    long = ndimage.gaussian_filter1d(means, max(1.0, len(means) / LONG), axis=0)
    bends = (2 * long[:, 1:-1] - long[:, :-2] - long[:, 2:]) / math.sqrt(6)
    return float(MAD * np.median(np.abs(bends)))


def _strong(means: FloatArray, bound: float) -> FloatArray:
    """Streaks of pixels that differ from those beside them at most angles."""
    from scipy import ndimage

    found = np.zeros_like(means)
    columns = np.arange(means.shape[1])
    for _ in range(TIMES if math.isfinite(bound) else 0):
        rest = means - found
        apart = rest - ndimage.median_filter(rest, (1, NEAR), mode="nearest")
        bad = np.abs(np.median(apart, 0)) > bound * _level(rest)
        if not bad.any() or bad.mean() > 0.5:
            break
        base = np.stack([np.interp(columns, columns[~bad], row[~bad]) for row in rest])
        window = max(3, len(means) // SLOW) | 1
        found[:, bad] += ndimage.median_filter((rest - base)[:, bad], (window, 1), mode="nearest")
    return found


def _without(means: FloatArray, level: float, fine: bool, options: dict[str, Any]) -> FloatArray:
    """Restore means whose noise is the same along the angles; `fine`: coarse streaks are gone."""
    rows, columns = means.shape
    power = np.zeros((rows, columns))
    across = np.fft.fftfreq(columns)
    left = np.ones(columns)
    if fine:  # means of two and linear interpolation have taken low frequencies away
        passed = np.cos(np.pi * across) ** 2 * np.maximum(0, 1 - 2 * np.abs(across))
        left = (1 - passed) ** 2 + FLOOR
    power[0] = level**2 * rows * rows * columns * left
    power += (WHITE * level) ** 2 * rows * columns
    extent = float(np.ptp(means)) or 1.0
    result = with_spectrum(means, power, {"data_range": extent, **options})
    return np.asarray(interop.to_host(result), np.float64)


def _reduced(means: FloatArray) -> FloatArray:
    """Means of two detector pixels."""
    even = np.pad(means, ((0, 0), (0, means.shape[1] % 2)), "edge")
    return (even[:, ::2] + even[:, 1::2]) / 2


def _enlarged(means: FloatArray, width: int) -> FloatArray:
    """Undo `_reduced`, linearly."""
    places = 2 * np.arange(means.shape[1]) + 0.5
    return np.stack([np.interp(np.arange(width), places, row) for row in means])
