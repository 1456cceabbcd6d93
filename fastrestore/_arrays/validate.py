"""Validation of arguments, with one function for each kind of value.

Functions return a plain Python value or array, or raise an error that names the argument, quotes
the value and states what is expected. NumPy scalars are valid numbers.
"""

from __future__ import annotations

import math
import operator
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, masks
from fastrestore._arrays.types import FloatArray


def integer(name: str, value: Any, *, least: int | None = None, most: int | None = None) -> int:
    """Return a whole number from `least` to `most`, of any type of integer."""
    wanted = f"a whole number{_bounds(least, most)}"
    result = index_or_none(value)
    if result is None:
        raise TypeError(f"{name} must be {wanted}, got {quoted(value)}")
    if (least is not None and result < least) or (most is not None and result > most):
        raise ValueError(f"{name} must be {wanted}, got {quoted(value)}")
    return result


def index_or_none(value: Any) -> int | None:
    """Return an integer of any library as an int, None for other values."""
    plain = interop.to_host(value)
    kind = getattr(getattr(plain, "dtype", None), "kind", "i")
    if isinstance(plain, bool) or kind not in "iu" or getattr(plain, "ndim", 0) != 0:
        return None
    try:
        return operator.index(plain)
    except TypeError:
        return None


def number(
    name: str, value: Any, *, least: float | None = None, most: float | None = None,
    above: float | None = None,
) -> float:  # fmt: skip
    """Return a finite real scalar of any array library as a float."""
    wanted = f"a number{_bounds(least, most)}"
    if above is not None:
        wanted = f"a number above {above:g}" + (f", at most {most:g}" if most is not None else "")
    array = _real(name, value, wanted)
    if isinstance(value, (list, tuple)):
        raise TypeError(f"{name} must be {wanted}, got {quoted(value)}")
    result = float(array) if array.ndim == 0 else math.nan
    if (
        not math.isfinite(result)
        or (least is not None and result < least)
        or (most is not None and result > most)
        or (above is not None and result <= above)
    ):
        raise ValueError(f"{name} must be {wanted}, got {quoted(value)}")
    if above == 0 and result < SMALLEST:
        raise ValueError(f"{name} must be a number of {SMALLEST:g} or more, got {quoted(value)}")
    return float(_in_range(name, array))


def numbers(name: str, values: Any, wanted: str) -> FloatArray:
    """Return finite numbers of 0 or more, a scalar or an array of any shape, as float64.

    `wanted` describes them in messages.
    """
    array = _real(name, values, wanted)
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        first = tuple(int(k) for k in np.argwhere(bad)[0])
        shown = f"{array[first]} at {first}" if first else quoted(values)
        raise ValueError(f"{name} must be {wanted}, got {shown}")
    return _in_range(name, array)


def reals(name: str, values: Any, wanted: str) -> FloatArray:
    """Return finite numbers of any sign, a scalar or an array of any shape, as float64."""
    array = _real(name, values, wanted)
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(k) for k in np.argwhere(bad)[0])
        shown = f"{array[first]} at {first}" if first else quoted(values)
        raise ValueError(f"{name} must be {wanted}, got {shown}")
    return _in_range(name, array)


def _real(name: str, values: Any, wanted: str) -> NDArray[Any]:
    """Return real numbers of any library as an array."""
    plain = interop.to_host(values)
    try:
        array = np.asarray(plain)
    except (TypeError, ValueError, RuntimeError):  # a ragged list, a tensor with a gradient
        array = np.asarray(None)
    if array.dtype.kind == "O" and array.ndim == 0 and index_or_none(plain) is not None:
        array = np.asarray(_as_float(int(plain)))  # beyond 64 bits
    masked = isinstance(plain, np.ma.MaskedArray)
    if array.dtype.kind not in "fiu" or masked:
        given = "a masked array; fill it first" if masked else quoted(values)
        raise TypeError(f"{name} must be {wanted}, got {given}")
    if not array.size:
        raise ValueError(f"{name} must be {wanted}, got {quoted(values)}")
    return array


def _as_float(value: int) -> float:
    """Convert an integer; infinite if it is too large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


# Magnitudes whose fourth powers are in the range of float64
SMALLEST, LARGEST = 1e-60, 1e60


def _in_range(name: str, values: NDArray[Any]) -> FloatArray:
    """Return finite numbers as float64, tiny ones as 0; raise if one is too large."""
    wide = values.astype(np.float64)
    magnitudes = np.abs(wide)
    if magnitudes.max() > LARGEST:
        worst = values.flat[magnitudes.argmax()]
        raise ValueError(f"{name} must be at most {LARGEST:g} in magnitude, got {quoted(worst)}")
    wide[magnitudes < SMALLEST] = 0
    return wide


def positive(name: str, value: Any) -> float:
    """Return a finite number above 0."""
    return number(name, value, above=0)


def not_negative(name: str, value: Any) -> float:
    """Return a finite number of 0 or more."""
    return number(name, value, least=0)


def flag(name: str, value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {quoted(value)}")
    return bool(value)


def choice(name: str, value: Any, options: Iterable[str | None]) -> Any:
    """Return one of the options, which are names or None."""
    known = tuple(options)
    if not (value is None or isinstance(value, str)) or value not in known:
        listed = ", ".join(map(repr, known))
        raise ValueError(f"{name} must be one of {listed}, got {quoted(value)}")
    return value


def axis(name: str, value: Any, shape: tuple[int, ...]) -> int:
    """Return an axis of an array of this shape, counted from the front."""
    position = integer(name, value)
    if not -len(shape) <= position < len(shape):
        raise ValueError(f"{name}={quoted(position)} is not an axis of shape {tuple(shape)}")
    return position % len(shape)


def index(name: str, value: Any, count: int) -> int:
    """Return the index of one of `count` items, counted from the front."""
    position = integer(name, value)
    if not -count <= position < count:
        raise ValueError(f"{name} must be from {-count} to {count - 1}, got {quoted(position)}")
    return position % count


def length(value: Any) -> int:
    """Return the number of items of a sequence or an array of one axis, 0 for other values."""
    try:
        return len(value) if getattr(value, "ndim", 1) == 1 else 0
    except TypeError:
        return 0


def shape(name: str, value: Any, axes: int) -> tuple[int, ...]:
    """Return a shape with this number of axes, none of them empty."""
    several = isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, (str, bytes))
    if not several or length(value) != axes:
        error = ValueError if several and getattr(value, "shape", None) != () else TypeError
        raise error(f"{name} must be {axes} whole numbers above 0, got {quoted(value)}")
    sizes = tuple(integer(f"each number of {name}", size, least=1) for size in value)
    if math.prod(sizes) > sys.maxsize:
        raise ValueError(f"{name} must be that of an array in memory, got {quoted(value)}")
    return sizes


def same_shape(name: str, values: Any, expected: tuple[int, ...], of: str = "the image") -> None:
    """Raise unless an array has the expected shape."""
    if tuple(values.shape) != tuple(expected):
        raise ValueError(
            f"{name} has shape {tuple(values.shape)}, but {of} has shape {tuple(expected)}"
        )


def quoted(value: Any) -> str:
    """Quote a value in a message: at most 60 characters, or the shape of an array."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, (tuple, list)) and len(shape):
        return f"an array of shape {tuple(shape)}"
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.item()
    try:
        text = repr(value)
        if not isinstance(value, (list, tuple, dict)):
            text = text.partition("\n")[0]  # of several lines, as of a NoiseSpec, the heading
        text = " ".join(text.split())
    except Exception:  # of an integer of thousands of digits, or of a class with a faulty repr
        text = f"a value of type {type(value).__name__}"
    return f"{text:.60}"


def _bounds(least: float | None, most: float | None) -> str:
    """Describe a range of numbers."""
    low, high = (f"{end:g}" if isinstance(end, float) else f"{end}" for end in (least, most))
    if least is None:
        return "" if most is None else f" of {high} or less"
    return f" of {low} or more" if most is None else f" from {low} to {high}"


def channels(
    name: str,
    values: Any,
    channel_axis: Any,
    valid: NDArray[np.bool_] | None = None,
    cure: str = "replace them first, for example by inpaint",
) -> Any:
    """Return an image as (C, M, N); raise if its axes are wrong or it contains NaN.

    `valid` (1 or C, M, N) excepts pixels; `cure` says what to do with NaN.
    """
    check_axes(name, values.shape, channel_axis)
    planes = interop.channels_first(values, channel_axis)
    if valid is not None and interop.on_host(planes):
        whole = np.broadcast_to(valid, planes.shape)
        valid = whole[0] if channel_axis is None else np.moveaxis(whole, 0, channel_axis)
    check_finite(name, values, valid, cure)
    return planes


def check_axes(name: str, shape: tuple[int, ...], channel_axis: Any) -> None:
    """Raise unless an image has 2 axes, or 3 with `channel_axis`."""
    if channel_axis is None and len(shape) != 2:
        advice = "to denoise a volume use bm4d, the frames of a video vbm3d"
        if len(shape) == 3 and (shape[-1] in (3, 4) or shape[0] in (3, 4)):
            place = -1 if shape[-1] in (3, 4) else 0
            advice = f"if axis {place} holds colors, write channel_axis={place}"
        elif len(shape) == 1:
            advice = "for a signal write bm3d(image, sigma, axis=0)"
        raise ValueError(f"{name} must have 2 axes (rows, columns), got shape {shape}; {advice}")
    if channel_axis is not None:
        if len(shape) != 3:
            position = integer("channel_axis", channel_axis)
            raise ValueError(
                f"{name} must have 3 axes for channel_axis={quoted(position)}, got shape {shape}"
            )
        axis("channel_axis", channel_axis, shape)
    if 0 in shape:
        raise ValueError(f"{name} is empty, its shape is {shape}")


def check_finite(
    name: str,
    values: Any,
    valid: NDArray[np.bool_] | None = None,
    cure: str = "replace them first",
    power: int = 1,
) -> None:
    """Raise if there are NaN or infinite values, with their number and first position.

    Also raise if values are too large or too small to compute with; `power` is that of the units
    of the image in those of the values. `valid`, of the shape of `values`, excepts pixels. Arrays
    on a GPU are not checked, because the host would have to wait.
    """
    if not interop.on_host(values) or values.dtype.kind != "f":
        return
    finite = np.isfinite(values)
    if valid is not None:
        finite |= ~valid
        name, cure = f"{name}, where mask is True,", "make mask False there, and True where valid"
    if finite.all():
        _check_magnitude(name, values if valid is None else values[valid], power)
        return
    bad = np.argwhere(~finite)
    first = tuple(int(k) for k in bad[0])
    raise ValueError(
        f"{name} has values that are NaN or infinite, {len(bad)} in all, the first is "
        f"{values[first]} at {first}; {cure}"
    )


def _check_magnitude(name: str, values: NDArray[Any], power: int) -> None:
    """Raise if the largest magnitude is beyond what float32 can hold, and extreme."""
    if values.dtype.itemsize <= 4 or not values.size:
        return
    high, low = values.max(), values.min()
    worst = high if high >= -low else low
    least, most = SMALLEST**power, LARGEST**power
    if abs(worst) > most or 0 < abs(worst) < least:
        raise ValueError(
            f"{name} has values up to {worst:g}; convert it to other units, in which the largest "
            f"magnitude is between {least:g} and {most:g}"
        )


mask = masks.mask


def warn(message: str) -> None:
    """Issue a warning for the line that called the library, also through PyTorch or a decorator."""
    frame, level = sys._getframe(), 0
    while frame.f_back is not None and _is_between(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level + 1)


def _is_between(module: str) -> bool:
    """Whether a module may be between the caller of the library and a warning."""
    return module.partition(".")[0] in ("fastrestore", "torch", "contextlib", "functools")


MOST_ITERATIONS = 100_000


def iterations(value: Any, least: int = 1) -> int:
    """Return a number of iterations."""
    return integer("iterations", value, least=least, most=MOST_ITERATIONS)


def pilot(
    pilot: Any, image: Any, channel_axis: int | None, stage: str,
    valid: NDArray[np.bool_] | None = None,
) -> Any:  # fmt: skip
    """Return the pilot estimate as (C, M, N), or None; see `channels`."""
    if pilot is None:
        return None
    check_pilot_stage(stage)
    values, _ = interop.recognize("pilot", pilot)
    same_shape("pilot", values, image.shape)
    interop.check_same_device("pilot", values, image)
    return channels("pilot", values, channel_axis, valid)


def check_pilot_stage(stage: str) -> None:
    """Raise if the stage that a pilot guides does not run."""
    if stage == "basic":
        raise ValueError("pilot guides the final stage, but stage='basic' stops before it")


MOST_WORKERS = 256  # or the number of processors: more threads only take memory


def workers(workers: Any) -> int:
    """Return the number of threads: all usable processors for None and -1."""
    if workers is None:
        return usable_processors()
    count = index_or_none(workers)
    if count is None:
        raise TypeError(
            f"workers must be a whole number, -1 for all processors, or None, got {quoted(workers)}"
        )
    if count < -1 or count == 0:
        raise ValueError(
            f"workers must be 1 or more, or -1 for all processors, got {quoted(workers)}"
        )
    if 0 < count <= MOST_WORKERS:
        return count
    usable = usable_processors()  # reads a file, which takes as long as a small stage
    return usable if count == -1 else min(count, max(usable, MOST_WORKERS))


def usable_processors() -> int:
    """Count the processors of this process, limited by its affinity and the cgroup quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return count or 1
    return max(1, min(count or 1, limit))


def max_memory(limit: Any) -> float | None:
    """Return a limit in bytes, or None for no limit."""
    return None if limit is None or limit == math.inf else positive("max_memory", limit)
