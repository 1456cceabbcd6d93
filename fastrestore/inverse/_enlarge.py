"""Larger images by a known blur and a denoiser, without a network for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore import _arguments, _arrays
from fastrestore._progress import Progress, reporting
from fastrestore.inverse._forward import Decimation
from fastrestore.inverse._pnp import each_by_itself, named


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
    there, restore = _arrays.recognise("image", image)
    planes = _arguments.channels("image", there, channel_axis)
    forward, level = Decimation(psf, int(scale), "reflect"), _arguments.not_negative("sigma", sigma)
    with reporting(progress, "super_resolve") as tick, _arrays.on_device_of(there):
        seen = planes.astype(np.float64)
        extent = _arguments.range_of(data_range, seen)
        chosen = "bm3d" if denoiser is None else denoiser
        inner, turned = named(chosen, extent), chosen != "bm3d"
        first = [forward.start(plane, level) for plane in seen]
        result = each_by_itself(seen, first, forward, level, extent, inner, turned, tick)
        return restore(_arrays.handed_back(result, there, channel_axis))
