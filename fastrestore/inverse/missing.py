"""Missing pixels: their operator, the check of a mask, and a first estimate."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore.inverse.operators import Forward, check_two_axes


class Mask(Forward):
    """Missing pixels.

    Data at missing pixels may be any number or NaN.

    Parameters
    ----------
    mask : array of bool, shape (M, N)
        True where a pixel is missing.

    Raises
    ------
    TypeError, ValueError
        If `mask` is not an array of bool with two axes, or no pixel is known.

    See Also
    --------
    pnp : Restore an image from data of the operator.
    fastrestore.inpaint : Fill in missing pixels in one call.

    Examples
    --------
    >>> import numpy as np
    >>> from fastrestore import inverse
    >>> inverse.Mask(np.eye(2, dtype=bool)).apply(np.full((2, 2), 7.0))
    array([[0., 7.],
           [7., 0.]])
    """

    def __init__(self, mask: Any) -> None:
        self._mask = check_mask(mask)
        self._known = interop.DeviceCopies((~self._mask).astype(np.float64))

    def prepare(self, data: Any) -> Any:
        """Set missing pixels, which may be NaN, to 0."""
        self.check(data)
        namespace = interop.namespace(data)
        return namespace.where(namespace.asarray(self._mask), 0, data)

    def check(self, data: Any) -> None:
        """Raise if the mask and the data differ in shape."""
        check_two_axes(data)
        validate.same_shape("mask", self._mask, data.shape)

    def apply(self, image: Any) -> Any:
        """Set missing pixels to 0."""
        return self._known.like(image) * image

    def adjoint(self, data: Any) -> Any:
        """Set missing pixels to 0: the operator is its own adjoint."""
        return self.apply(data)

    def proximal(self, image: Any, data: Any, weight: float) -> Any:
        """Fit the data and stay close to an image, pixel by pixel."""
        return image + self._known.like(image) * (data - image) / (1 + weight)

    def initial_estimate(self, data: Any) -> Any:
        """Fill each missing pixel with the nearest known one."""
        return fill_nearest(data, self._mask)


def check_mask(mask: Any) -> Any:
    """Return a mask on the host; True marks missing pixels."""
    values = np.asarray(interop.to_host(mask))
    if values.dtype != np.bool_:
        if values.dtype.kind not in "iu" or not np.isin(values, (0, 1, 255)).all():
            raise TypeError(
                "mask must be an array of bool, True where a pixel is missing, got "
                f"{values.dtype}; convert it, for example mask > 0"
            )
        values = values > 0
    if values.ndim != 2:
        raise ValueError(f"mask must have two axes (rows, columns), got shape {values.shape}")
    if values.all():
        raise ValueError("mask marks all pixels as missing")
    return values


def fill_nearest(data: Any, mask: Any) -> Any:
    """Fill each missing pixel with the nearest known one."""
    if not mask.any():
        return data.copy()
    from scipy import ndimage

    places = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    return data[places[0], places[1]]
