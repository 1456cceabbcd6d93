"""Average of BM3D and the U-Net, with weights that depend on the pixel."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop
from fastrestore._noise.estimate import mean_sigma
from fastrestore.nets.call import Context, Request, each_image, forward, restored
from fastrestore.nets.files import load
from fastrestore.nets.units import units

GATE = "hybrid-gate"


def hybrid(request: Request, image: Any, sigma: Any, options: dict[str, Any]) -> Any:
    """Average the results of `bm3d`, with `options`, and of the U-Net by a `Gate`."""
    gate = load(GATE)

    def restore(planes: Any, level: Any, context: Context) -> Any:
        if level is None:
            level = mean_sigma(planes)
        level = level * context.strength
        if not np.any(level):
            return planes.astype(interop.result_dtype(planes.dtype))
        report = context.execution.report  # half of the progress: the work has two parts
        halved = context.execution._replace(report=lambda share: report(share / 2))
        half = context._replace(execution=halved, strength=1.0)
        extent = context.data_range
        classical = bm3d(planes, level, channel_axis=0, data_range=extent, **options)
        learned = restored(request.net, planes, level, half)
        scale = units(planes, extent, 0.0)
        stacked = interop.namespace(planes).concatenate(
            [planes.astype(classical.dtype), classical, learned]
        )
        mixed = forward(gate, scale.normalized(stacked), scale.relative(level), half)
        return scale.denormalized(mixed, planes.dtype)

    return each_image(
        request._replace(name=f"hybrid of bm3d and {request.name}"), image, sigma, restore
    )
