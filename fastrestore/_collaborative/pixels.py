"""What the units and colors of an image depend on: measures of a sample of its pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.masks import Mask
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative import tape
from fastrestore._collaborative.request import Request
from fastrestore.backends import host
from fastrestore.backends.protocol import Units


class Pixels(NamedTuple):
    """What a context needs of the pixels of an image."""

    channels: int
    on_host: bool
    exact: bool  # whether they, times a power of two, are the image that blocks are matched on
    extent: float | None  # robust range of a sample; None if it is not needed, or unknown
    covariance: FloatArray | None = None  # of the channels, for the color space "pca"
    kept: bool = False  # in float64, see `Units`

    @classmethod
    def of(cls, planes: Any, request: Request) -> Pixels:
        """Measure the pixels of an image (C, *spatial)."""
        on_host, covariance, extent = interop.on_host(planes), None, None
        if request.data_range is None and on_host:
            extent = host_range(planes, request.mask)
        if request.colorspace == "pca":  # its axes are those of these pixels
            valid = planes if request.mask is None else request.mask.sample(planes)
            covariance = request.backend.covariance(valid)
        recorded = tape.RECORD.get() is not None and "float64" in request.backend.capabilities
        kept = recorded and planes.dtype == np.float64
        return cls(len(planes), on_host, is_exact(planes), extent, covariance, kept)


def is_exact(planes: Any) -> bool:
    """Whether these planes, times a power of two, are the image that blocks are matched on."""
    return interop.on_host(planes) and len(planes) == 1 and planes.dtype == np.float32


def host_range(planes: NDArray[Any], mask: Mask | None) -> float:
    """Robust range of a sample of the channels of an image."""
    if mask is not None:
        return host.robust_range(mask.sample(planes))
    apart = host.stride((len(planes) * planes.shape[1], *planes.shape[2:]))
    return host.robust_range(planes[(slice(None), *[slice(None, None, apart)] * (planes.ndim - 1))])


def sample_of(planes: Any, request: Request) -> Any:
    """Return some of the valid pixels of an image."""
    if request.mask is not None:
        return request.mask.sample(planes)
    apart = host.stride(planes.shape[1:])
    return planes[(slice(None), *[slice(None, None, apart)] * request.ndim)]


def range_of(sample: Any, units: Units, weights: FloatArray, request: Request) -> Any:
    """Return the range of the image that blocks are matched on, in a sample of its planes."""
    backend, execution = request.backend, request.execution
    channels = backend.load("noisy", sample, units, execution)
    return backend.robust_range(backend.luminance(channels, weights, execution), execution)
