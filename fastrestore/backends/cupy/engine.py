"""Functions of the CuPy backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastrestore._arrays import interop
from fastrestore.backends.cupy import NAME, capabilities, least_size, why_no_device, why_unavailable
from fastrestore.backends.cupy._device import Memory as memory  # noqa: N813
from fastrestore.backends.cupy._graphs import Replays as replays  # noqa: N813
from fastrestore.backends.cupy._image import (
    covariance,
    empty,
    load,
    luminance,
    on_gpu,
    replaced,
    robust_range,
    robust_ranges,
    store,
)
from fastrestore.backends.cupy.backward import bm3d_backward
from fastrestore.backends.cupy.bm3d import bm3d_filter, bm3d_match, bm3d_memory, warm
from fastrestore.backends.cupy.bm4d import bm4d_filter, bm4d_match
from fastrestore.backends.cupy.vbm3d import VideoStage as video_stage  # noqa: N813

if TYPE_CHECKING:
    from fastrestore._arrays.types import FloatArray
    from fastrestore.backends.cupy import engine
    from fastrestore.backends.protocol import Backend, Execution, Matches, Stage

    _: Backend = engine


def bring(array: Any) -> Any:
    """See `fastrestore.backends.protocol.Backend`."""
    return array


def fetch(channels: Any) -> Any:
    """See `fastrestore.backends.protocol.Backend`; without cuFFT they are copied to the host."""
    return channels if interop.has_gpu_transforms() else channels.get()


def bm3d_errors(pilot: Any, matches: Matches, stage: Stage, execution: Execution) -> FloatArray:
    """Raise an error, because this backend lacks the capability "uncertainty"."""
    raise NotImplementedError("the CuPy backend has no map of uncertainty")


def put(channels: Any) -> Any:
    """See `fastrestore.backends.protocol.Backend`."""
    return on_gpu(channels)
