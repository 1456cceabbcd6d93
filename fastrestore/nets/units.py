"""Units of images: networks take images from 0 to 1."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop, ranges
from fastrestore._noise.mosaic import squares_of, stacked

BLOCK = 4  # pixels: side of the blocks whose means give the range, to average the noise out
ENDS = (0.5, 99.5)  # percentiles
MARGIN = 0.1  # of the range: an image may exceed [0, data_range] by this and keep its black level


class Units(NamedTuple):
    """The input of a network is (image - low) / extent."""

    low: float
    extent: float

    def normalized(self, planes: Any) -> Any:
        """Convert an image to the range of a network, 0 to 1."""
        # In the type of the image: values far from 0 keep their digits
        low = self.low if planes.dtype.kind != "f" else planes.dtype.type(self.low)
        return (planes - low) / self.extent

    def relative(self, sigma: Any) -> Any:
        """Convert noise levels, a number or a map, to this range."""
        ranges.check_sigma(float(np.max(sigma)), self.extent)
        return sigma / self.extent

    def denormalized(self, result: Any, dtype: np.dtype[Any]) -> Any:
        """Convert the output of a network to the units of an image of this type."""
        dtype = interop.result_dtype(dtype)
        if dtype.itemsize < 4:  # intermediate values could overflow float16
            return (result * self.extent + self.low).astype(dtype)
        out = result.astype(dtype)
        out *= dtype.type(self.extent)
        out += dtype.type(self.low)
        return out


def units(planes: Any, data_range: float | None, least: float) -> Units:
    """Choose units in which the image (..., C, M, N) lies between about 0 and 1.

    The extent is `data_range`, or the measured range but at least `least`, which keeps the noise
    within the levels that the network supports.
    """
    low, high = _ends(planes)
    if data_range is None:
        extent = max(high - low, least)
        return Units(low, extent if extent > 0 else 1.0)
    ranges.check_data_range(data_range, low, high)
    near = low >= -MARGIN * data_range and high <= (1 + MARGIN) * data_range
    return Units(0.0 if near else low, data_range)


def _ends(planes: Any) -> tuple[float, float]:
    """Return the darkest and the lightest level, with the noise averaged out."""
    values = interop.to_host(planes)
    values = values.reshape(-1, *values.shape[-2:])
    squares = squares_of(values.shape[1:])
    values = stacked([[values[:, *place] for place in row] for row in squares])
    rows, columns = (max(1, n // BLOCK) for n in values.shape[1:])
    tall, wide = (min(BLOCK, n) for n in values.shape[1:])
    cropped = values[:, : rows * tall, : columns * wide]
    means = cropped.reshape(len(cropped), rows, tall, columns, wide).mean((2, 4), dtype=np.float64)
    low, high = np.percentile(means, ENDS)
    return float(low), float(high)
