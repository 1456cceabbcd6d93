"""BM3D and the U-Net mixed, each where it is the better one."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastrestore._algorithms.bm3d import bm3d
from fastrestore._arrays import interop
from fastrestore.nets.call import Options, Task, chosen, each, estimated, in_units, passed, restored
from fastrestore.nets.files import load
from fastrestore.nets.run import Way
from fastrestore.nets.units import units

GATE = "hybrid-gate"


def hybrid(image: Any, sigma: Any = None, *, weights: Any = None, **options: Any) -> Any:
    """Restore by `bm3d` and by the U-Net, and mix them by a `Gate`; see `fastrestore.denoise`."""
    told = Options(**options)
    net, said = chosen("unet", weights, image, told)
    gate = load(GATE)

    def one(planes: Any, level: Any, task: Task) -> Any:
        if level is None:
            level = estimated(planes)
        if not np.any(level):
            return planes.astype(interop.result_dtype(planes.dtype))
        halves = task._replace(way=_halved(task.way))
        classical = _classical(planes, level, task.data_range)
        learned = restored(net, planes, level, halves)
        frame = units(planes, task.data_range, 0.0)
        stacked = interop.namespace(planes).concatenate(
            [planes.astype(classical.dtype), classical, learned]
        )
        result = passed(gate, stacked, level, frame, halves)
        return in_units(result, frame, planes)

    return each(net, image, sigma, told, f"hybrid of bm3d and {said}", one)


def _halved(way: Way) -> Way:
    """Two parts of the work, each told as half."""
    return way._replace(tick=lambda share: way.tick(share / 2))


def _classical(planes: Any, level: Any, data_range: float | None) -> Any:
    """BM3D of (C, M, N)."""
    if len(planes) == 1:
        return bm3d(planes[0], level, data_range=data_range)[None]
    return bm3d(planes, level, channel_axis=0, data_range=data_range)
