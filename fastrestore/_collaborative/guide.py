"""Images that blocks are matched on in place of the noisy one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._collaborative.pixels import host_range, range_of, sample_of
from fastrestore._collaborative.request import Request
from fastrestore._noise import on_gpu
from fastrestore._noise.estimate import sigmas
from fastrestore.backends import host
from fastrestore.backends.protocol import Units


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """An image to match blocks on, with its own noise and range, both scaled to about 1."""

    image: Any  # (1, M, N), on the host or on the GPU of the image
    exponent: int  # of the power of two by which pixels are multiplied when they are loaded
    sigma: float
    data_range: Any  # as in `Statistics`

    @classmethod
    def of(cls, image: Any, request: Request) -> Guide:
        """Measure the noise and range of a guide image (M, N), and scale one on the host."""
        planes, mask = image[None], request.mask
        if mask is not None:
            mask = mask.common()
            planes = mask.fill(planes)
        valid = None if mask is None else mask.valid
        if not interop.on_host(planes):
            return cls._on_gpu(planes, valid, replace(request, mask=mask))
        scaled = host.scaled(planes, -math.frexp(float(np.abs(planes).max()))[1])
        return cls(scaled, 0, float(sigmas(scaled, valid)[0]), host_range(scaled, mask))

    @classmethod
    def _on_gpu(cls, planes: Any, valid: NDArray[np.bool_] | None, request: Request) -> Guide:
        ends = on_gpu.ends_of(planes[0], None, "guide")
        exponent = -math.frexp(max(ends.high, -ends.low))[1]
        units = Units(exponent, np.eye(1), (1, 1))
        extent = range_of(sample_of(planes, request), units, np.ones(1), request)
        return cls(planes, exponent, math.ldexp(float(sigmas(planes, valid)[0]), exponent), extent)
