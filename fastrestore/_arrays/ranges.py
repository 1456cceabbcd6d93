"""Arguments in the units of an image: validation, and warnings if they suggest other units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, validate


def extent(data_range: Any) -> float | None:
    """Return the range of the clean image, or None if it is not given."""
    return None if data_range is None else validate.positive("data_range", data_range)


def range_of(data_range: Any, values: Any) -> float:
    """Return the range of the clean image, measured from `values` if it is not given."""
    if data_range is not None:
        extent = validate.positive("data_range", data_range)
        if interop.on_host(values):
            check_data_range(extent, float(values.min()), float(values.max()))
        return extent
    ends = interop.namespace(values).percentile(values, np.array([0.5, 99.5]))
    return float(ends[1] - ends[0]) or 1.0


# Largest ratio of arguments to values of the image, beyond which float32 loses one of them
RATIO = 1e12


def check_data_range(data_range: float, low: float, high: float) -> None:
    """Raise if a range is in other units than an image with values from `low` to `high`."""
    largest = max(abs(low), abs(high))
    if high - low > RATIO * data_range or 0 < largest < data_range / RATIO:
        raise ValueError(
            f"data_range={validate.quoted(data_range)} does not fit an image with values from "
            f"{low:g} to {high:g}; give it in the units of the image"
        )


def sigma(value: Any, extent: float) -> float:
    """Return the noise level of an image with a range of `extent`."""
    level = validate.not_negative("sigma", value)
    check_sigma(level, extent)
    return level


def check_sigma(level: float, extent: float) -> None:
    """Raise if a noise level is in other units than an image with a range of `extent`."""
    if level > RATIO * extent:
        raise ValueError(
            f"sigma={validate.quoted(level)} does not fit an image with a range of {extent:g}; "
            "give it in the units of the image"
        )


_SPECTRUM = (
    "psd is E|FFT2(noise)|**2, not normalized: for white noise it is sigma**2 * rows * columns"
)
# By the argument that specifies the noise: the subject of a warning, and what to do
_UNITS = {
    "sigma": (
        "sigma={sigma:g}",
        "give sigma in the units of the image: for values on [0, 1], 25 gray levels are 25 / 255",
    ),
    "psd": ("the noise of psd or noise_kernel, of sigma={sigma:g},", _SPECTRUM),
    "noise": ("the noise of the model noise=", "give its parameters in the units of the image"),
}


def warn_of_units(
    sigma: float, values: NDArray[Any], data_range: float | None, given: str = "sigma"
) -> float:
    """Warn if sigma exceeds the range, which suggests other units; return the range.

    `given` is the argument that specifies the noise, a key of `_UNITS`.
    """
    extent = float(values.max()) - float(values.min())
    warn_of_extent(sigma, extent, values.size, data_range, given)
    return extent


def warn_of_extent(
    sigma: float, extent: float, size: int, data_range: float | None, given: str = "sigma"
) -> None:
    """Warn as `warn_of_units` does, for an image of `size` values with this range."""
    most = max(data_range or 0.0, extent)
    if size >= 64 and extent > 0 and sigma > most:  # a black frame has no range
        subject, cure = _UNITS[given]
        limit = "" if given == "noise" else f", {most:g}"  # that of the transformed image
        subject = subject.format(sigma=sigma)
        validate.warn(f"{subject} exceeds the whole range of the image{limit}; {cure}")


# Noise below this share of the range is invisible, which suggests a spectrum in other units
UNSEEN = 1e-3


def warn_of_spectrum(sigma: float, values: NDArray[Any]) -> None:
    """Warn if the noise of a spectrum or kernel is negligible, which suggests other units."""
    warn_of_weak_spectrum(sigma, float(values.max()) - float(values.min()), values.size)


def warn_of_weak_spectrum(sigma: float, extent: float, size: int) -> None:
    """Warn as `warn_of_spectrum` does, for an image of `size` values with this range."""
    if size >= 64 and 0 < sigma < UNSEEN * extent:
        validate.warn(
            f"psd or noise_kernel gives noise of sigma={sigma:g}, negligible relative to the range "
            f"of the image, {extent:g}; {_SPECTRUM}"
        )


def are_channels_equal(planes: NDArray[Any], pilot: NDArray[Any] | None) -> bool:
    """Whether all channels are equal, as in a gray image stored in color."""
    images = [image for image in (planes, pilot) if image is not None]
    if any((image[1:, 0] != image[:1, 0]).any() for image in images):
        return False  # for most color images, the first row is enough
    return all((image[1:] == image[:1]).all() for image in images)
