"""Measures of how close a restored image is to its reference."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fastrestore._arrays import interop


def psnr(reference: ArrayLike, image: ArrayLike, *, data_range: float) -> float:
    """Peak signal-to-noise ratio in decibels.

    Parameters
    ----------
    reference, image : array_like
        Two arrays of one shape, in the same units. They are compared in float64 and are
        not clipped; the published tables clip the restored image to its range first. Arrays of
        CuPy are copied to the host.
    data_range : float
        The largest possible difference: 255 for 8-bit images, 1 for images on [0, 1].

    Returns
    -------
    float
        ``10 log10(data_range**2 / mean((reference - image)**2))``; infinite for equal arrays.

    Raises
    ------
    ValueError
        If the shapes differ or `data_range` is not a positive number.

    Examples
    --------
    >>> psnr([0.0, 1.0], [0.1, 0.9], data_range=1.0)
    20.0
    """
    a, b = (np.asarray(interop.to_host(each), np.float64) for each in (reference, image))
    if a.shape != b.shape:
        raise ValueError(f"reference has shape {a.shape} and image {b.shape}; they must be equal")
    if not (math.isfinite(data_range) and data_range > 0):
        raise ValueError(f"data_range must be a positive number, got {data_range!r}")
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(data_range**2 / error)
