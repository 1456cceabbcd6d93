"""NumPy backend: the executable specification, slow, plain and in float64."""

from typing import TYPE_CHECKING

from fastrestore.backends.host import (
    bm3d_memory,
    bring,
    empty,
    fetch,
    load,
    luminance,
    memory,
    put,
    replaced,
    robust_range,
    store,
    warm,
)
from fastrestore.backends.numpy import NAME, capabilities, why_unavailable
from fastrestore.backends.numpy.bm3d import filter_groups as bm3d_filter
from fastrestore.backends.numpy.bm3d import filter_groups as bm4d_filter
from fastrestore.backends.numpy.bm3d import match as bm3d_match
from fastrestore.backends.numpy.bm3d import match as bm4d_match
from fastrestore.backends.numpy.vbm3d import VideoStage as video_stage  # noqa: N813

if TYPE_CHECKING:
    from fastrestore.backends.numpy import engine
    from fastrestore.backends.protocol import Backend

    _: Backend = engine
