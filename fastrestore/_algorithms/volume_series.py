"""Volumes over time: arrays of four spatial axes, (time, slices, rows, columns)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from fastrestore._algorithms.info import Info
from fastrestore._arrays import interop, masks, threads, validate
from fastrestore._arrays.progress import reporting
from fastrestore._chunked import entry
from fastrestore._collaborative import sides
from fastrestore._collaborative.block_matches import Matching
from fastrestore._collaborative.pipeline import restore
from fastrestore._collaborative.profile import PROFILES, Profile, named_profile
from fastrestore._collaborative.request import Geometry, Inputs, Request
from fastrestore._noise.planes import NoiseArguments

# Arguments of `bm4d` that are passed on
_OPTIONS = ("strength", "stage", "data_range", "workers", "backend")


def restore_series(arguments: Mapping[str, Any]) -> Any:
    """Restore a volume over time, from all arguments of `bm4d`."""
    options = dict(arguments)
    volume, matches, several = (options[n] for n in ("volume", "matches", "return_info"))
    if entry.is_chunked(volume):
        raise TypeError(
            f"time_axis={options['time_axis']} is not supported for an array of Dask: call it with "
            "the NumPy array, volume.compute()"
        )
    values, convert_back = interop.recognize("volume", volume)
    series = Series.of(values.shape, *(options[f"{n}_axis"] for n in ("time", "slice", "channel")))
    matching = None
    if matches is not None and matches is not False:
        matching = Matching.of(matches, several)
    matched = validate.index("match_channel", options["match_channel"], series.channels)
    request = Request.validated(
        series.geometry,
        interop.on_host(values),
        series.noise(options),
        profile=_profile(options["profile"], series),
        mask=series.mask(options["mask"]),
        capability="volume",
        matching=matching,
        **{name: options[name] for name in _OPTIONS},
    )
    request = replace(request, weights=np.eye(series.channels)[matched])
    out = interop.namespace(values).empty(values.shape, interop.result_dtype(values.dtype))
    pilot = series.pilot(options["pilot"], values, request)
    inputs = Inputs(series.arranged(values), pilot, out=series.arranged(out), matching=matching)
    pool = threads.limited_to(request.execution.workers) if request.noise is None else nullcontext()
    with reporting(options["progress"], "bm4d") as report, interop.use_device_of(values), pool:
        result = restore(request.reporting(report), inputs)
    restored = convert_back(out)
    return (restored, Info.of(request, result, options["sigma"], matching)) if several else restored


def _profile(profile: Any, series: Series) -> Profile:
    """Return the profile for a series, with blocks that fit in it."""
    if isinstance(profile, str) and profile == "volume":
        profile = PROFILES["time"]
    numbers = named_profile(profile)
    if numbers.whole():
        raise ValueError(f"profile {numbers.name!r} is not supported for volumes")
    sides.in_time(numbers)
    return numbers.replace(**sides.fitted(numbers, series.extents), name=numbers.name)


@dataclass(frozen=True, slots=True)
class Series:
    """Shape of a volume over time, and its axes in the order (channels, time, slices, ..)."""

    shape: tuple[int, ...]
    order: tuple[int, ...]
    channel_axis: int | None

    @classmethod
    def of(cls, shape: tuple[int, ...], time: Any, slices: Any, channel: Any) -> Self:
        """Validate the axes; by default the shortest other axis numbers the slices."""
        shape = tuple(shape)
        wanted = 4 if channel is None else 5
        if len(shape) != wanted:
            given = "" if channel is None else f" and channel_axis={channel}"
            raise ValueError(
                f"volume must have {wanted} axes for time_axis={time}{given}, got shape {shape}"
            )
        if 0 in shape:
            raise ValueError(f"volume is empty, its shape is {shape}")
        axes = {"time_axis": time, "slice_axis": slices, "channel_axis": channel}
        found: dict[int, str] = {}
        for name, axis in axes.items():
            if axis is None:
                continue
            place = validate.axis(name, axis, shape)
            if place in found:
                raise ValueError(
                    f"{name}={axis} is the same axis of shape {shape} as {found[place]}="
                    f"{axes[found[place]]}"
                )
            found[place] = name
        others = [k for k in range(wanted) if k not in found]
        if slices is None:
            shortest = min(others, key=lambda k: shape[k])
            others = [shortest, *(k for k in others if k != shortest)]
        places = {name: place for place, name in found.items()}
        first = [places[name] for name in axes if name in places and name != "channel_axis"]
        channels = [] if channel is None else [places["channel_axis"]]
        return cls(shape, (*channels, *first, *others), places.get("channel_axis"))

    @property
    def channels(self) -> int:
        """The number of channels."""
        return 1 if self.channel_axis is None else self.shape[self.channel_axis]

    @property
    def extents(self) -> tuple[int, ...]:
        """The number of times, slices, rows and columns."""
        return tuple(self.shape[k] for k in self.order[-4:])

    @property
    def geometry(self) -> Geometry:
        """Geometry of the arranged array."""
        axis = None if self.channel_axis is None else 0
        return Geometry(tuple(self.shape[k] for k in self.order), axis)

    def arranged(self, values: Any) -> Any:
        """View an array of this shape with the axes in order."""
        return values.transpose(self.order)

    def noise(self, options: Mapping[str, Any]) -> NoiseArguments:
        """Return the arguments that specify the noise, with arrays in the order of the axes."""
        sigma, psd = options["sigma"], options["psd"]
        by_channel = self.channel_axis is not None and np.shape(sigma) == (self.channels,)
        if np.ndim(sigma) > 0 and not by_channel and not isinstance(sigma, (list, tuple)):
            levels = np.asarray(interop.to_host(sigma))
            try:
                sigma = self.arranged(np.broadcast_to(levels, self.shape))
            except ValueError:
                raise ValueError(
                    f"sigma must be a number or an array that broadcasts to {self.shape}, got an "
                    f"array of shape {levels.shape}"
                ) from None
        if psd is not None:
            psd = self._spectrum(np.asarray(interop.to_host(psd)))
        return NoiseArguments(sigma, psd, None, options["noise"])

    def _spectrum(self, psd: Any) -> Any:
        """Return a spectrum in the order of the axes."""
        if psd.shape == self.shape:
            return self.arranged(psd)
        spatial = [k for k in range(len(self.shape)) if k != self.channel_axis]
        expected = tuple(self.shape[k] for k in spatial)
        if psd.shape != expected:
            raise ValueError(f"psd must have the shape {expected}, got {psd.shape}")
        return psd.transpose([spatial.index(k) for k in self.order[-4:]])

    def mask(self, mask: Any) -> Any:
        """Return a mask in the order of the axes."""
        if mask is None:
            return None
        valid = masks.bools("mask", mask, self.shape)
        if self.channel_axis is not None and valid.ndim == len(self.shape) - 1:
            valid = np.expand_dims(valid, self.channel_axis)
        try:
            return self.arranged(np.broadcast_to(valid, self.shape))
        except ValueError:
            raise ValueError(
                f"mask must be an array of bool that broadcasts to {self.shape}, got shape "
                f"{valid.shape}"
            ) from None

    def pilot(self, pilot: Any, volume: Any, request: Request) -> Any:
        """Return a valid pilot estimate as planes, or None."""
        if pilot is None:
            return None
        validate.check_pilot_stage(request.stage)
        values, _ = interop.recognize("pilot", pilot)
        validate.same_shape("pilot", values, self.shape, "the volume")
        interop.check_same_device("pilot", values, volume)
        if request.mask is None:
            validate.check_finite("pilot", values)
        return request.geometry.planes(self.arranged(values))
