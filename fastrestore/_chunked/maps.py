"""Noise for Dask arrays: of the whole image, and the map of a chunk relative to it."""

from __future__ import annotations

from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np

from fastrestore._arrays import interop, validate
from fastrestore._arrays.types import FloatArray
from fastrestore._chunked import arrays
from fastrestore._chunked.survey import Survey, surveyed
from fastrestore._collaborative.request import Geometry
from fastrestore._noise.applied import as_divisor, levels_of
from fastrestore._noise.choice import Choice
from fastrestore._noise.planes import (
    PlaneNoise,
    alike,
    expected_sigma,
    is_by_channel,
    relative,
    sampled,
    typical,
)
from fastrestore._noise.spec import NoiseSpec


class Noise(NamedTuple):
    """Noise of the whole image, without its map."""

    planes: PlaneNoise
    means: FloatArray | None = None  # (C,): a map is relative to them; None if there is none
    shared: bool = False  # whether the map of one channel is that of all
    spec: NoiseSpec | None = None  # whose level depends on the brightness
    choice: Choice | None = None  # if the noise was estimated

    def has_one_map(self) -> bool:
        """Whether there is no map, or the same for all channels if they are equal."""
        if self.spec is not None:
            tables = (self.spec.levels, self.spec.brightness)
            return all(bool((table == table[:1]).all()) for table in tables)
        return self.means is None or self.shared

    def level(self, planes: Any, levels: Any) -> FloatArray | None:
        """Return the map of a part of the image (C, *spatial), which a given map may have."""
        if self.means is None:
            return None
        if self.spec is not None:
            values = levels_of(self.spec, interop.to_host(planes))
            level: FloatArray = values / as_divisor(self.means, values.ndim)
            return level
        noisy = relative(levels, self.means)
        return noisy[self.means > 0][:1] if self.shared else noisy


def is_map(sigma: Any, geometry: Geometry) -> bool:
    """Whether sigma is a map, and not None, a number, or one for each channel."""
    if sigma is None:
        return False
    shape = tuple(sigma.shape) if hasattr(sigma, "shape") else np.shape(sigma)
    return not is_by_channel(shape, geometry.shape, geometry.channel_axis)


def map_of(sigma: Any, geometry: Geometry, planes: Any) -> Any:
    """Return a map of sigma as a Dask array with the shape and the chunks of `planes`."""
    shape, axis = geometry.shape, geometry.channel_axis
    if isinstance(sigma, da.Array):
        arrays.check("sigma", sigma)
        values = sigma.map_blocks(interop.to_host, dtype=sigma.dtype).astype(np.float64)
    else:
        values = da.from_array(validate.numbers("sigma", sigma, expected_sigma(shape, axis)))
    given = values.shape
    if axis is not None and values.ndim == len(shape) - 1:  # one map for all channels
        values = da.expand_dims(values, axis)
    try:
        whole = da.broadcast_to(values, shape)
    except ValueError:
        expected = expected_sigma(shape, axis)
        raise ValueError(f"sigma must be {expected}, got an array of shape {given}") from None
    return arrays.as_planes(whole, axis, geometry.slice_axis).rechunk(planes.chunks)


def noise_of_levels(levels: Any, spectrum: FloatArray | None) -> Any:
    """Return the `Noise` of a map (C, *spatial), delayed."""
    seen = arrays.again(levels)
    survey = surveyed("sigma", seen)
    sample = arrays.whole(seen[sampled(levels.shape)])
    means = dask.delayed(_means)(survey, sample)
    same = [True]
    if len(levels) > 1:
        parts = seen.to_delayed(optimize_graph=False).ravel()
        same = [dask.delayed(_are_alike)(part, means) for part in parts]
    return dask.delayed(_noise)(survey, means, same, spectrum)


def _means(survey: Survey, sample: FloatArray) -> FloatArray:
    """Return the typical level of each channel."""
    least = float(survey.low.min())
    if least < 0:
        raise ValueError(f"sigma must be 0 or more everywhere, got a map with the value {least:g}")
    return typical(sample, survey.high)


def _are_alike(levels: FloatArray, means: FloatArray) -> bool:
    """Whether the channels of a chunk have the same relative levels."""
    return alike(relative(levels, means)[means > 0])


def _noise(
    survey: Survey, means: FloatArray, same: list[bool], spectrum: FloatArray | None
) -> Noise:
    """Return the noise of a map, which may be constant."""
    if (survey.low == survey.high).all():
        return Noise(PlaneNoise(survey.low, None, spectrum))
    return Noise(PlaneNoise(means, None, spectrum), means, all(same))
