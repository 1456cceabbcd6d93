"""Super-resolution with a known blur and a denoiser."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore._arrays.progress import Progress, reporting
from fastrestore.inverse.operators import Decimation
from fastrestore.inverse.plug_and_play import default_settings, restore_planes


def enlarge(
    image: Any,
    scale: Any,
    psf: Any,
    *,
    sigma: Any,
    denoiser: Any,
    channel_axis: int | None,
    data_range: float | None,
    progress: Progress,
) -> Any:
    """`fastrestore.super_resolve` with ``model="pnp"``."""
    if psf is None:
        raise ValueError(
            "model='pnp' needs psf, the blur before subsampling, in pixels of the large image"
        )
    forward = Decimation(psf, validate.integer("scale", scale, least=1), "reflect")
    array, restore = interop.recognize("image", image)
    planes = validate.channels("image", array, channel_axis).astype(np.float64)
    noise = validate.not_negative("sigma", sigma)
    with reporting(progress, "super_resolve") as report_progress, interop.use_device_of(array):
        settings = default_settings(noise, validate.range_of(data_range, planes), denoiser)
        result = restore_planes(planes, forward, settings, report_progress)
        return restore(interop.planes_to_image(result, array, channel_axis))
