"""Larger images by a known blur and a denoiser, without a network for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore.inverse.operators import Decimation
from fastrestore.inverse.plug_and_play import each_by_itself, named


def enlarged(
    image: Any,
    scale: Any,
    psf: Any,
    sigma: Any,
    denoiser: Any,
    channel_axis: int | None,
    data_range: float | None,
    progress: Progress,
) -> Any:
    """`fastrestore.super_resolve` for ``model="pnp"``."""
    if psf is None:
        raise ValueError(
            "model='pnp' needs psf: the blur before pixels were left out, in pixels of the large "
            "image"
        )
    if isinstance(scale, bool) or not isinstance(scale, (int, np.integer)) or scale < 1:
        raise ValueError(f"scale must be a whole number of 1 or more, got {scale!r}")
    there, restore = interop.recognize("image", image)
    planes = validate.channels("image", there, channel_axis)
    forward, level = Decimation(psf, int(scale), "reflect"), validate.not_negative("sigma", sigma)
    with reporting(progress, "super_resolve") as tick, interop.use_device_of(there):
        seen = planes.astype(np.float64)
        extent = validate.range_of(data_range, seen)
        chosen = "bm3d" if denoiser is None else denoiser
        inner, turned = named(chosen, extent), chosen != "bm3d"
        first = [forward.start(plane, level) for plane in seen]
        result = each_by_itself(seen, first, forward, level, extent, inner, turned, tick)
        return restore(interop.planes_to_image(result, there, channel_axis))
