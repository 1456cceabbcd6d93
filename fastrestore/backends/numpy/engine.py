"""NumPy backend: the executable specification, slow, plain and in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastrestore.backends.host import (
    bm3d_memory,
    bring,
    covariance,
    empty,
    fetch,
    luminance,
    memory,
    padded,
    product,
    put,
    replaced,
    replays,
    robust_range,
    robust_ranges,
    scaled,
    store,
    warm,
)
from fastrestore.backends.numpy import (
    NAME,
    capabilities,
    least_size,
    why_no_device,
    why_unavailable,
)
from fastrestore.backends.numpy.backward import filter_backward as bm3d_backward
from fastrestore.backends.numpy.bm3d import filter_groups as bm3d_filter
from fastrestore.backends.numpy.bm3d import filter_groups as bm4d_filter
from fastrestore.backends.numpy.bm3d import match as bm3d_match
from fastrestore.backends.numpy.bm3d import match as bm4d_match
from fastrestore.backends.numpy.uncertainty import group_errors as bm3d_errors
from fastrestore.backends.numpy.vbm3d import VideoStage as video_stage  # noqa: N813

if TYPE_CHECKING:
    from fastrestore._arrays.types import Channels
    from fastrestore.backends.numpy import engine
    from fastrestore.backends.protocol import Backend, Execution, Units

    _: Backend = engine


def load(name: str, planes: NDArray[Any], units: Units, execution: Execution) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    del name, execution
    values = scaled(planes, units.exponent, np.float64 if units.exact else np.float32)
    return padded(product(units.matrix, values), units.least)
