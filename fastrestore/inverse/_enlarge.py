"""Larger images by a known blur and a denoiser, without a network for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore import _arguments, _arrays
from fastrestore._progress import Progress, reporting
from fastrestore.inverse import _psf
from fastrestore.inverse._forward import Decimation
from fastrestore.inverse._pnp import each_by_itself, named

BEYOND = 8  # small pixels that the mirrored image goes on for, and half of psf


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
    there, restore = _arrays.recognise("image", image)
    planes = _arguments.channels("image", there, channel_axis)
    _arguments.check_finite("image", there)
    forward, level = Decimation(psf, scale), _arguments.not_negative("sigma", sigma)
    factor, shape = forward.factor, planes.shape[-2:]
    point = _psf.checked(psf, (factor * shape[0], factor * shape[1]))
    widths = [
        min(n - 1, BEYOND + k // (2 * factor)) for n, k in zip(shape, point.shape, strict=True)
    ]
    namespace = _arrays.namespace(there)
    with reporting(progress, "super_resolve") as tick, _arrays.on_device_of(there):
        seen = namespace.pad(
            planes.astype(np.float64), [(0, 0), *((k, k) for k in widths)], "reflect"
        )
        extent = _arguments.range_of(data_range, seen)
        chosen = "bm3d" if denoiser is None else denoiser
        inner, turned = named(chosen, extent), chosen != "bm3d"
        first = [forward.start(plane, level) for plane in seen]
        result = each_by_itself(seen, first, forward, level, extent, inner, turned, tick)
        top, left = (factor * k for k in widths)
        cut = result[:, top : top + factor * shape[0], left : left + factor * shape[1]]
        return restore(_arrays.handed_back(cut, there, channel_axis))
