"""Kernels and color transforms of the package bm3d."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import color, validate
from fastrestore.compat.arguments import array
from fastrestore.compat.bm3d.denoising import COLORSPACES

Image = NDArray[np.float64]


def gaussian_kernel(size: Any, std: float, std2: float = -1) -> Image:
    """Return a Gaussian kernel whose values sum to 1.

    It is separable: the product of a Gaussian along each axis.

    Parameters
    ----------
    size : tuple of two ints
        Rows and columns.
    std, std2 : float
        Standard deviations along rows and columns, in pixels; -1 for the same as `std`.

    Returns
    -------
    numpy array of shape `size`, float64
        The kernel.

    Raises
    ------
    TypeError, ValueError
        If `size` is not two whole numbers of 1 or more, or a deviation is not above 0.

    See Also
    --------
    fastrestore.psd_from_kernel : Compute the power spectrum of noise with a kernel.

    Examples
    --------
    >>> from fastrestore.compat import bm3d
    >>> float(bm3d.gaussian_kernel((3, 3), 1.0).sum().round(6))
    1.0
    """
    return product(size, (std, std2))


def product(size: Any, deviations: tuple[float, ...]) -> Image:
    """Return the product of a Gaussian along each axis, with the sum 1."""
    given_sizes = size if isinstance(size, (tuple, list, np.ndarray)) else ()
    shape = [validate.integer("size", each, least=1, most=2**15) for each in given_sizes]
    if len(shape) != len(deviations):
        raise ValueError(f"size must be {len(deviations)} numbers, got {validate.quoted(size)}")
    kernel = np.ones(())
    for count, given in zip(shape, deviations, strict=True):
        deviation = deviations[0] if given == -1 else given
        std = validate.number("std", deviation, above=0)
        place = np.arange(count) - (count - 1) / 2
        kernel = np.multiply.outer(kernel, np.exp(-((place / std) ** 2) / 2))
    result: Image = kernel / kernel.sum()
    return result


def rgb_to(
    img: Any, colormode: str = "YCbCr", inverse: bool = False, o_max: Any = 0, o_min: Any = 0
) -> tuple[Image, Image, Image, Image | None, Image]:
    """Transform an RGB image to luminance and chroma with the range [0, 1], or back.

    Channels are scaled to their own range, so that white noise has a different variance in each.

    Parameters
    ----------
    img : array, shape (M, N, 3)
        Image.
    colormode : {"YCbCr", "opp"}
        Color transform.
    inverse : bool
        If True, transform back.
    o_max, o_min : array, shape (3,)
        For the inverse: the extremes that the forward transform returned.

    Returns
    -------
    image : numpy array, float64
        Transformed image. A constant channel is 0.
    o_max, o_min : numpy array of shape (3,)
        Extremes of the channels before they were scaled to [0, 1].
    scale : numpy array of shape (3,), or None
        Factor for the variance of white noise of the same level in all channels; None for the
        inverse.
    matrix : numpy array of shape (3, 3)
        Matrix of the color transform.

    Raises
    ------
    ValueError
        If the image does not have three channels along its last axis, or `colormode` is unknown.

    See Also
    --------
    fastrestore.compat.bm3d.bm3d_rgb : Remove noise from an RGB image.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore.compat import bm3d
    >>> image = np.random.default_rng(0).random((4, 4, 3))
    >>> there, most, least, scale, matrix = bm3d.rgb_to(image, "opp")
    >>> bool(np.allclose(bm3d.rgb_to(there, "opp", True, most, least)[0], image))
    True
    """
    image = array("img", img)
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"img must have the shape (M, N, 3), got {image.shape}")
    if not isinstance(colormode, str) or colormode not in COLORSPACES:
        names = ", ".join(map(repr, COLORSPACES))
        raise ValueError(f"colormode must be one of {names}, got {validate.quoted(colormode)}")
    matrix = color.transform(COLORSPACES[colormode], None, np.ones(3))[0]
    if inverse:
        most, least = (np.broadcast_to(array("o_max", each), 3) for each in (o_max, o_min))
        back = (image * _extent(most, least) + least) @ np.linalg.inv(matrix).T
        return back, most, least, None, matrix
    channels = image @ matrix.T
    most, least = channels.max((0, 1)), channels.min((0, 1))
    extent = _extent(most, least)
    return (channels - least) / extent, most, least, (matrix**2).sum(1) / extent**2, matrix


def _extent(most: Image, least: Image) -> Image:
    """Return the ranges of channels, 1 for a constant one."""
    extent: Image = np.where(most > least, most - least, 1.0)
    return extent
