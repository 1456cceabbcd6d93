"""The executable specification: slow, plain, in float64; the judge of the other backends."""

from fastrestore.backends.host import (
    bm3d_memory,
    bring,
    empty,
    fetch,
    load,
    luminance,
    memory,
    put,
    robust_range,
    store,
    warm,
)
from fastrestore.backends.numpy.bm3d import bm3d_basic, bm3d_final, bm3d_match, bm3d_sharpened
from fastrestore.backends.numpy.bm4d import bm4d_basic, bm4d_final, bm4d_match
from fastrestore.backends.numpy.vbm3d import VideoStage as video_stage  # noqa: N813

__all__ = [
    "NAME",
    "bm3d_basic",
    "bm3d_final",
    "bm3d_match",
    "bm3d_memory",
    "bm3d_sharpened",
    "bm4d_basic",
    "bm4d_final",
    "bm4d_match",
    "bring",
    "empty",
    "fetch",
    "load",
    "luminance",
    "memory",
    "put",
    "robust_range",
    "store",
    "video_stage",
    "warm",
    "why_unavailable",
]

NAME = "numpy"


def why_unavailable() -> str | None:
    """NumPy is always there."""
    return None
