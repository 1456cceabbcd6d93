"""Validation of the images that the public functions estimate noise from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop, outliers, validate
from fastrestore._noise import on_gpu


def checked_image(
    image: Any, channel_axis: int | None, mask: Any, gpu: bool = False
) -> tuple[Any, NDArray[np.bool_] | None]:
    """Return an image (C, M, N) and where it is valid (1 or C, M, N), None: all.

    Both are on the host, but an image on a GPU stays there if `gpu` is true. Raise if valid pixels
    are NaN, or fill values beside which float32 cannot represent the others.
    """
    values = interop.recognize("image", image)[0]
    values = values if gpu else interop.to_host(values)
    validate.check_axes("image", values.shape, channel_axis)
    valid = validate.mask("mask", mask, values.shape, channel_axis)
    planes: NDArray[Any] = validate.channels("image", values, channel_axis, valid, outliers.MASK)
    if not interop.on_host(planes):
        with interop.use_device_of(planes):
            plausible = on_gpu.is_plausible(planes, valid)
        if plausible:
            return planes, valid
        values = interop.to_host(values)  # errors say where
        validate.channels("image", values, channel_axis, valid, outliers.MASK)
    whole = None
    if valid is not None:
        whole = np.broadcast_to(valid, planes.shape)
        whole = whole[0] if channel_axis is None else np.moveaxis(whole, 0, channel_axis)
    outliers.check("image", values, 0.0, outliers.MASK, whole)
    return planes, valid
