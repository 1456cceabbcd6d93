"""Validation of the images that the public functions estimate noise from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, outliers, validate


def checked_image(
    image: Any, channel_axis: int | None, mask: Any
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return an image (C, M, N) on the host and where it is valid (1 or C, M, N), None: all.

    Raise if valid pixels are NaN, or fill values beside which float32 cannot represent the others.
    """
    values = interop.to_host(interop.recognize("image", image)[0])
    validate.check_axes("image", values.shape, channel_axis)
    valid = validate.mask("mask", mask, values.shape, channel_axis)
    planes: NDArray[Any] = validate.channels("image", values, channel_axis, valid, outliers.MASK)
    whole = None
    if valid is not None:
        whole = np.broadcast_to(valid, planes.shape)
        whole = whole[0] if channel_axis is None else np.moveaxis(whole, 0, channel_axis)
    outliers.check("image", values, 0.0, outliers.MASK, whole)
    return planes, valid
