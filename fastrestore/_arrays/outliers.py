"""Values far outside the range of an image, such as fill values of invalid pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Times the range: beyond SEPARATE, blocks with such a value cannot be filtered in float32 to the
# accuracy of noise; beyond BESIDE, the value plus the range is the value, in float32.
SEPARATE, BESIDE = 2.0**12, 2.0**24
SAMPLES = 2**12
# What callers can do about invalid pixels, without and with an argument for them
REPLACE = "replace invalid pixels first"
MASK = "leave invalid pixels out by mask=, an array of bool that is True where a pixel is valid"
ROUNDS = 3  # fill values, of which an image may have several


def check(
    name: str, values: Any, sigma: float, cure: str, valid: NDArray[np.bool_] | None = None
) -> None:
    """Raise if float32 cannot represent values in the range of an image beside the others."""
    if isinstance(values, np.ndarray):
        plausible(name, values, sigma, cure, valid)


def plausible(
    name: str, values: NDArray[Any], sigma: float, cure: str, valid: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_] | None:
    """Return where the values of an image are near its range, or None if all are.

    `sigma` is the noise level, 0 if unknown. Raise `ValueError` if float32 cannot represent values
    in the range beside the others.
    """
    if values.dtype.itemsize == 1 or values.size == 0:
        return None
    known = values if valid is None else values[valid]
    ends = float(known.min()), float(known.max())
    if ends[1] - ends[0] <= SEPARATE * sigma:
        return None
    low, high = _ends(known, sigma)
    extent = max(high - low, sigma)
    beyond = max(low - ends[0], ends[1] - high)
    if extent == 0 or beyond <= SEPARATE * extent:
        return None
    if beyond > BESIDE * extent:
        inside = _near(values, low, high, BESIDE * extent)
        outside = ~inside if valid is None else ~inside & valid
        raise ValueError(_message(name, values, outside, (low, high)) + cure)
    return _near(values, low, high, SEPARATE * extent)


def _near(values: NDArray[Any], low: float, high: float, margin: float) -> NDArray[np.bool_]:
    """Where values are within a margin of a range."""
    ends = np.float64(low - margin), np.float64(high + margin)  # not of the type of the image
    inside: NDArray[np.bool_] = (values >= ends[0]) & (values <= ends[1])
    return inside


def _ends(values: NDArray[Any], sigma: float) -> tuple[float, float]:
    """Return the 1st and 99th percentiles, without fill values even if there are many.

    Fill values are equal to the minimum or maximum; without them, the range is much smaller.
    """
    sample = values.ravel()[:: max(1, values.size // SAMPLES)].astype(np.float64)
    low, high = map(float, np.percentile(sample, [1, 99]))
    for _ in range(ROUNDS):
        sample = sample[(sample > sample.min()) & (sample < sample.max())]
        if not sample.size:
            break
        ends = np.percentile(sample, [1, 99])
        extent = max(float(ends[1] - ends[0]), sigma)
        if 0 < SEPARATE * extent < high - low:
            low, high = map(float, ends)
    return low, high


def _message(
    name: str, values: NDArray[Any], outside: NDArray[np.bool_], ends: tuple[float, float]
) -> str:
    """Describe the values outside the range of the others."""
    first = tuple(int(k) for k in np.argwhere(outside)[0])
    count = int(outside.sum())
    others = "" if count == 1 else f", the first of {count} such values"
    return (
        f"{name} has the value {values[first]:g} at {first}{others}; most of the others are from "
        f"{ends[0]:g} to {ends[1]:g}, and float32 cannot represent both; "
    )
