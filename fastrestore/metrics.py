"""Measures of the similarity between a restored image and its reference."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from fastrestore._arrays import interop, validate


def psnr(reference: ArrayLike, image: ArrayLike, *, data_range: float) -> float:
    """Compute the peak signal-to-noise ratio (PSNR) in decibels.

    Parameters
    ----------
    reference, image : array_like
        Two arrays of the same shape, in the same units. They are compared in float64, without
        clipping; for published tables the restored image is usually clipped first. CuPy arrays are
        copied to the host.
    data_range : float
        Range of the reference: 255 for 8-bit images, 1 for the range [0, 1].

    Returns
    -------
    float
        ``10 log10(data_range**2 / mean((reference - image)**2))``; infinite for equal arrays.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or `data_range` is not a number above 0.

    Examples
    --------
    >>> from fastrestore.metrics import psnr
    >>> psnr([0.0, 1.0], [0.1, 0.9], data_range=1.0)
    20.0
    """
    a, b = (np.asarray(interop.to_host(each), np.float64) for each in (reference, image))
    validate.same_shape("image", b, a.shape, "reference")
    peak = validate.positive("data_range", data_range)
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)
