"""Kernels of the package bm4d."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore.compat.bm3d.helpers import gaussian_kernel, product

__all__ = ["gaussian_kernel", "gaussian_kernel_3d"]


def gaussian_kernel_3d(
    size: Any, std: float, std2: float = -1, std3: float = -1
) -> NDArray[np.float64]:
    """Return a Gaussian kernel with three axes, whose values sum to 1.

    It is separable: the product of a Gaussian along each axis.

    Parameters
    ----------
    size : tuple of three ints
        Shape of the kernel.
    std, std2, std3 : float
        Standard deviations along the axes, in voxels; -1 for the same as `std`.

    Returns
    -------
    numpy array of shape `size`, float64
        The kernel.

    Raises
    ------
    TypeError, ValueError
        If `size` is not three whole numbers of 1 or more, or a deviation is not above 0.

    See Also
    --------
    fastrestore.compat.bm4d.gaussian_kernel : The same with two axes.
    fastrestore.psd_from_kernel : Compute the power spectrum of noise with a kernel.

    Examples
    --------
    >>> from fastrestore.compat import bm4d
    >>> float(bm4d.gaussian_kernel_3d((3, 3, 3), 1.0).sum().round(6))
    1.0
    """
    return product(size, (std, std2, std3))
