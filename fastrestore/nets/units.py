"""Units of images for networks, which know images from 0 to 1."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastrestore._arrays import interop

BLOCK = 4  # pixels along a side of the means that the range is measured on: noise fades in them
ENDS = (0.5, 99.5)  # percentiles
SPARE = 0.1  # of the range: so far beyond [0, data_range] an image may lie as it is


class Units(NamedTuple):
    """What a network sees is (image - low) / extent."""

    low: float
    extent: float


def units(planes: Any, data_range: float | None, least: float) -> Units:
    """Choose units for (..., C, M, N): so that the image lies between 0 and 1, about.

    The extent is `data_range`, or measured; measured, it is `least` or more: what noise would
    otherwise be too strong for the network.
    """
    low, high = _ends(planes)
    if data_range is None:
        extent = max(high - low, least)
        return Units(low, extent if extent > 0 else 1.0)
    near = low >= -SPARE * data_range and high <= (1 + SPARE) * data_range
    return Units(0.0 if near else low, data_range)


def _ends(planes: Any) -> tuple[float, float]:
    """Darkest and lightest parts, noise averaged."""
    values = interop.to_host(planes)
    values = values.reshape(-1, *values.shape[-2:])
    rows, columns = (max(1, n // BLOCK) for n in values.shape[1:])
    tall, wide = (min(BLOCK, n) for n in values.shape[1:])
    cut = values[:, : rows * tall, : columns * wide]
    means = cut.reshape(len(cut), rows, tall, columns, wide).mean((2, 4), dtype=np.float64)
    low, high = np.percentile(means, ENDS)
    return float(low), float(high)
