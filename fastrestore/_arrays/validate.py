"""Checks of arguments: each returns a plain value or raises with what was given and expected."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._collaborative.stage import FloatArray


def channels(name: str, values: Any, channel_axis: Any) -> Any:
    """Return the image as (C, M, N); refuse other axes than it must have, and NaN."""
    check_axes(name, values.shape, channel_axis)
    check_finite(name, values)
    return values[None] if channel_axis is None else interop.channels_first(values, channel_axis)


def check_axes(name: str, shape: tuple[int, ...], channel_axis: Any) -> None:
    """Refuse other axes than an image must have."""
    if channel_axis is not None and (
        isinstance(channel_axis, bool) or not isinstance(channel_axis, (int, np.integer))
    ):
        raise TypeError(f"channel_axis must be a whole number or None, got {channel_axis!r}")
    if channel_axis is None and len(shape) != 2:
        advice = "restore frames or slices one by one"
        if len(shape) == 3 and (shape[-1] in (3, 4) or shape[0] in (3, 4)):
            axis = -1 if shape[-1] in (3, 4) else 0
            advice = f"if axis {axis} holds colours, write channel_axis={axis}"
        raise ValueError(f"{name} must have 2 axes (rows, columns), got shape {shape}; {advice}")
    if channel_axis is not None and len(shape) != 3:
        raise ValueError(
            f"{name} must have 3 axes for channel_axis={channel_axis}, got shape {shape}"
        )
    if channel_axis is not None and not -3 <= channel_axis < 3:
        raise ValueError(f"channel_axis={channel_axis} is no axis of shape {shape}")
    if 0 in shape:
        raise ValueError(f"{name} is empty, its shape is {shape}")


def check_finite(name: str, values: Any) -> None:
    """Refuse NaN and infinity, saying how many there are and where the first is.

    Those on a GPU are not looked for: the host would have to wait.
    """
    if not interop.on_host(values):
        return
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    bad = np.argwhere(~np.isfinite(values))
    first = tuple(int(k) for k in bad[0])
    raise ValueError(
        f"{name} has values that are NaN or infinite, {len(bad)} in all, the first is "
        f"{values[first]} at {first}; replace them first"
    )


def warn_of_units(sigma: float, values: NDArray[Any], data_range: float | None) -> None:
    """Warn of a sigma in other units than the image: noise spans several times its sigma."""
    extent = max(data_range or 0.0, float(values.max()) - float(values.min()))
    if values.size >= 64 and sigma > extent:
        warnings.warn(
            f"sigma={sigma:g} is more than the whole range of the image, {extent:g}; sigma is "
            "in the units of the image: for one on [0, 1], 25 grey levels are 25 / 255",
            stacklevel=5,
        )


# Noise of less than this share of the range cannot be seen; who tells of it meant other units
UNSEEN = 1e-3


def warn_of_faint(sigma: float, values: NDArray[Any]) -> None:
    """Warn of a spectrum or a kernel in other units: they tell of next to no noise."""
    extent = float(values.max()) - float(values.min())
    if values.size >= 64 and 0 < sigma < UNSEEN * extent:
        warnings.warn(
            f"psd or noise_kernel tells of noise of sigma={sigma:g}, next to nothing on the range "
            f"of the image, {extent:g}; psd is E|FFT2(noise)|**2, not normalised: that of white "
            "noise is sigma**2 * rows * columns",
            stacklevel=4,
        )


def _number(name: str, value: Any, expected: str) -> float:
    """Return a real scalar of any library as a float."""
    array = np.asarray(interop.to_host(value))
    if array.dtype.kind not in "fiu" or isinstance(value, (list, tuple)):
        raise TypeError(f"{name} must be {expected}, got {value!r}")
    if array.ndim != 0:
        raise ValueError(f"{name} must be {expected}, got an array of shape {array.shape}")
    return float(array)


def at_most_one(given: dict[str, Any]) -> None:
    """Refuse to be told the noise in two ways."""
    if len(given) > 1:
        quoted = [
            f"{name}=array of shape {np.shape(value)}"
            if np.ndim(value) or hasattr(value, "shape")
            else f"{name}={value!r}"
            for name, value in given.items()
        ]
        raise ValueError(f"{' and '.join(quoted)} tell the noise in two ways; leave one out")


class Levels(NamedTuple):
    """Standard deviation of the noise: of each channel and, if it varies, of each pixel."""

    sigmas: FloatArray  # (C,), with a map their geometric mean without zeros
    map: FloatArray | None = None  # (C, M, N)
    # Of correlated noise: power by frequency, DC first, with mean 1; (1 or C, P, Q)
    power: FloatArray | None = None


def levels(sigma: Any, shape: tuple[int, ...], channel_axis: int | None) -> Levels:
    """Return the noise of an image of this shape."""
    count = 1 if channel_axis is None else shape[channel_axis]
    expected = "a number of 0 or more"
    if channel_axis is not None:
        expected += f", {count} of them, one for each channel,"
    expected += (
        f" or an array that broadcasts to {shape}, in the units of the image (None: estimated)"
    )
    sigma = interop.to_host(sigma)
    if isinstance(sigma, np.ma.MaskedArray):
        raise TypeError(f"sigma must be {expected}, got a masked array; fill it first")
    values = np.asarray(sigma)
    if values.dtype.kind not in "fiu" or (
        channel_axis is None and isinstance(sigma, (list, tuple))
    ):
        raise TypeError(f"sigma must be {expected}, got {sigma!r}")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise ValueError(f"sigma must be {expected}, got {_first_bad(values)}")
    values = values.astype(np.float64)
    if values.ndim == 0 or (channel_axis is not None and values.shape == (count,)):
        return Levels(np.broadcast_to(values, count))
    planes = _sigma_map(values, shape, channel_axis)
    if planes is None:
        raise ValueError(f"sigma must be {expected}, got an array of shape {values.shape}")
    flat = planes.reshape(len(planes), -1)
    if (np.ptp(flat, axis=1) == 0).all():
        return Levels(flat[:, 0])
    return Levels(np.array([_typical(plane) for plane in planes]), planes)


def _sigma_map(
    values: FloatArray, shape: tuple[int, ...], channel_axis: int | None
) -> FloatArray | None:
    """Return a map of sigma as (C, ...), or None if its shape does not suit the image's."""
    if channel_axis is not None and values.ndim == len(shape) - 1:  # one map for all channels
        values = np.expand_dims(values, channel_axis)
    try:
        whole = np.broadcast_to(values, shape)
    except ValueError:
        return None
    return whole[None] if channel_axis is None else np.moveaxis(whole, channel_axis, 0)


def _typical(plane: FloatArray) -> float:
    """Geometric mean of what is above zero."""
    positive = plane[plane > 0]
    return float(np.exp(np.log(positive).mean())) if positive.size else 0.0


def _first_bad(values: NDArray[Any]) -> str:
    """Quote a sigma that is negative or not finite."""
    if values.ndim == 0:
        return repr(values.item())
    bad = np.argwhere(~(np.isfinite(values) & (values >= 0)))
    first = tuple(int(k) for k in bad[0])
    return f"{values[first]} at {first}"


def extent(data_range: Any) -> float | None:
    """Check the range of the clean image."""
    return None if data_range is None else positive("data_range", data_range)


def range_of(data_range: Any, values: Any) -> float:
    """Check the range of the clean image; without it that of some values is measured."""
    told = extent(data_range)
    if told is not None:
        return told
    ends = interop.namespace(values).percentile(values, np.array([0.5, 99.5]))
    return float(ends[1] - ends[0]) or 1.0


def max_memory(limit: Any) -> float | None:
    """Check a number of bytes."""
    return None if limit is None or limit == math.inf else positive("max_memory", limit)


def flag(name: str, value: Any) -> bool:
    """Check a truth value."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def positive(name: str, number: Any) -> float:
    """Check a finite number above 0."""
    value = _number(name, number, "one number above 0")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be one number above 0, got {number!r}")
    return value


def not_negative(name: str, number: Any) -> float:
    """Check a number that is 0 or more."""
    value = _number(name, number, "a number of 0 or more")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a number of 0 or more, got {number!r}")
    return value


def pilot(pilot: Any, image: Any, channel_axis: int | None, stage: str) -> Any:
    """Check the pilot estimate and return it as (C, M, N)."""
    if pilot is None:
        return None
    if stage == "basic":
        raise ValueError("pilot guides the final stage, but stage='basic' stops before it")
    values, _ = interop.recognise("pilot", pilot)
    if values.shape != image.shape:
        raise ValueError(
            f"pilot has shape {values.shape}, the image {image.shape}; they must be equal"
        )
    interop.check_same_place("pilot", values, image)
    return channels("pilot", values, channel_axis)


def guide(
    guide: Any, shape: tuple[int, ...], planes: tuple[int, ...], channel_axis: int | None
) -> NDArray[Any] | None:
    """Check the picture to match on and return it as (M, N)."""
    if guide is None:
        return None
    values = interop.to_host(interop.recognise("guide", guide)[0])
    if values.shape == planes[1:]:
        picture: NDArray[Any] = channels("guide", values, None)[0]
        return picture
    if values.shape != shape:
        raise ValueError(
            f"guide has shape {values.shape}; it must be {planes[1:]} or that of the image, {shape}"
        )
    mean: NDArray[Any] = channels("guide", values, channel_axis).mean(0, dtype=np.float64)
    return mean


def workers(workers: Any) -> int:
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
