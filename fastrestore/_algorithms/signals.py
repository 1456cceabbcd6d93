"""Signals of one axis: images of one row, and batches of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fastrestore._algorithms.batches import restore_batch
from fastrestore._arrays import interop, masks, validate
from fastrestore._arrays.types import FloatArray
from fastrestore._collaborative import sides
from fastrestore._collaborative.profile import PROFILES, Profile, named_profile
from fastrestore._noise import psd
from fastrestore._noise.spec import NoiseSpec

# Arguments of `bm3d` that are for images only
_IMAGES = ("batch_axis", "guide", "match_channel", "max_memory", "matches", "uncertainty")
_PER_SAMPLE = ("pilot", "mask")  # arrays of the shape of the signals, or that broadcast to it

# Fourth differences: polynomials of degree 3 and steps that are far apart leave nothing
DIFFERENCES = np.array([1.0, -4.0, 6.0, -4.0, 1.0]) / math.sqrt(70)
NORMAL = 0.6745  # median of the magnitude of a normal variable of variance 1
FEWEST = 16  # differences
REASON = "white noise is assumed; its level is estimated from differences of adjacent samples"


def restore_signals(restore: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Restore signals by a function for images, from all its arguments."""
    options = dict(arguments)
    image = options.pop("image")
    values, convert_back = interop.recognize("image", image)
    signals = Signals.of(values.shape, options.pop("axis"), options.pop("channel_axis"))
    for name in _IMAGES:
        if not (options[name] is None or options[name] is False):
            raise ValueError(f"{name} is for images; with axis= it must be left out")
    options.update(_of_signals(options, signals.samples))
    valid = masks.mask("mask", options["mask"], signals.shape, signals.channel_axis)
    whole = None if valid is None else signals.whole(valid)
    validate.check_finite("image", values, whole, "make mask= False there, and True elsewhere")
    options.update(signals.arguments(options))
    estimated = all(options[name] is None for name in ("sigma", "psd", "noise_kernel", "noise"))
    if estimated:
        planes = signals.rows(interop.to_host(values))
        options["sigma"] = _levels(planes, None if whole is None else signals.rows(whole))
    restored = _restored(restore, signals.rows(values), signals, options)
    rows, infos = restored if options["return_info"] is True else (restored, ())
    back = convert_back(signals.back(rows))
    if not infos:
        return back
    if estimated:
        infos = tuple(replace(each, estimated=True, reason=REASON) for each in infos)
    return back, infos if signals.count > 1 else infos[0]


def _restored(
    restore: Callable[..., Any], rows: Any, signals: Signals, options: dict[str, Any]
) -> Any:
    """Restore signals (B, 1, N), or (B, C, 1, N)."""
    channel_axis = None if signals.channel_axis is None else 1
    options = {**options, "channel_axis": channel_axis, "axis": None}
    if signals.count > 1:
        return restore_batch(restore, {**options, "image": rows, "batch_axis": 0})
    for name in ("sigma", *_PER_SAMPLE):
        if np.ndim(options[name]) == rows.ndim:
            options[name] = options[name][0]
    if channel_axis is not None:
        options["channel_axis"] = 0
    if isinstance(options["sigma"], np.ndarray) and options["sigma"].shape[-1] == 1:
        level = options["sigma"].reshape(-1)
        options["sigma"] = level if channel_axis is not None else float(level[0])
    result = restore(rows[0], **options)
    return (result[0][None], (result[1],)) if options["return_info"] is True else result[None]


def _of_signals(options: Mapping[str, Any], samples: int) -> dict[str, Any]:
    """Return options for images instead of those for signals: profile, colors and noise."""
    profile, noise = options["profile"], options["noise"]
    if isinstance(profile, str) and profile == "np":
        profile = PROFILES["signal"]
    numbers = named_profile(profile)
    if numbers.whole():
        raise ValueError(f"profile {numbers.name!r} is for images: write profile='signal'")
    if isinstance(noise, NoiseSpec) or (isinstance(noise, str) and noise not in ("auto", "white")):
        raise ValueError(
            f"noise={validate.quoted(noise)} is for images; for a signal write sigma=, psd=, "
            "noise_kernel=, noise='white', or a PoissonGaussian or Rician"
        )
    space = options["colorspace"]
    return {
        "profile": _along_one_axis(numbers, samples),
        "noise": None if isinstance(noise, str) else noise,
        "colorspace": None if isinstance(space, str) and space == "auto" else space,
    }


@functools.lru_cache(32)  # a call for a short signal takes little longer than the validation
def _along_one_axis(profile: Profile, samples: int) -> Profile:
    """Return a profile with segments that fit in a signal."""
    segments = profile.replace(**sides.along_one_axis(profile))
    return segments.replace(**sides.fitted(segments, (samples,)), name=profile.name)


@dataclass(frozen=True, slots=True)
class Signals:
    """Shape of an array of signals; all axes but those of samples and channels are a batch."""

    shape: tuple[int, ...]
    axis: int
    channel_axis: int | None

    @classmethod
    def of(cls, shape: tuple[int, ...], axis: Any, channel_axis: Any) -> Self:
        """Validate the axes."""
        shape = tuple(shape)
        if not shape:
            raise ValueError("image must have at least one axis for axis=, got shape ()")
        along = validate.axis("axis", axis, shape)
        channels = None
        if channel_axis is not None:
            channels = validate.axis("channel_axis", channel_axis, shape)
            if channels == along:
                raise ValueError(
                    f"axis={axis} and channel_axis={channel_axis} are the same axis of {shape}"
                )
        if 0 in shape:
            raise ValueError(f"image is empty, its shape is {shape}")
        if shape[along] < 2:
            raise ValueError(
                f"a signal must have 2 samples or more, but axis={axis} of shape {shape} has "
                f"{shape[along]}"
            )
        return cls(shape, along, channels)

    @property
    def others(self) -> tuple[int, ...]:
        """The axes of the batch."""
        return tuple(k for k in range(len(self.shape)) if k not in (self.axis, self.channel_axis))

    @property
    def count(self) -> int:
        """The number of signals."""
        return math.prod(self.shape[k] for k in self.others)

    @property
    def samples(self) -> int:
        """The number of samples of a signal."""
        return self.shape[self.axis]

    @property
    def channels(self) -> int:
        """The number of channels."""
        return 1 if self.channel_axis is None else self.shape[self.channel_axis]

    def _order(self) -> tuple[int, ...]:
        channel = () if self.channel_axis is None else (self.channel_axis,)
        return (*self.others, *channel, self.axis)

    def rows(self, values: Any) -> Any:
        """Return an array of this shape as (B, 1, N), or (B, C, 1, N)."""
        channels = () if self.channel_axis is None else (self.channels,)
        return values.transpose(self._order()).reshape(self.count, *channels, 1, self.samples)

    def back(self, rows: Any) -> Any:
        """Return (B, 1, N) or (B, C, 1, N) in the order of the axes of this shape."""
        order = self._order()
        moved = rows.reshape([self.shape[k] for k in order]).transpose(np.argsort(order).tolist())
        return interop.namespace(rows).ascontiguousarray(moved)

    def whole(self, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask with channels first in this shape."""
        if self.channel_axis is None:
            gray: NDArray[np.bool_] = valid[0]
        return gray
        first = tuple(np.delete(self.shape, self.channel_axis))
        planes = np.broadcast_to(valid, (self.channels, *first))
        whole: NDArray[np.bool_] = np.moveaxis(planes, 0, self.channel_axis)
        return whole

    def arguments(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the noise, the pilot and the mask for rows."""
        valid = masks.mask("mask", options["mask"], self.shape, self.channel_axis)
        whole = None if valid is None else self.whole(valid)
        changed = {"sigma": self._sigma(options["sigma"], whole)}
        for name in ("psd", "noise_kernel"):
            if options[name] is not None:
                changed[name] = self._table(name, options[name])
        if options["pilot"] is not None:
            pilot, _ = interop.recognize("pilot", options["pilot"])
            validate.same_shape("pilot", pilot, self.shape)
            changed["pilot"] = self.rows(pilot)
        if options["mask"] is not None:
            changed["mask"] = None if whole is None else self.rows(whole)
        return changed

    def _sigma(self, sigma: Any, valid: NDArray[np.bool_] | None) -> Any:
        """Return a level as a number, and several ones as an array with the axes of the rows."""
        if sigma is None:
            return None
        several = self.channel_axis is not None
        each = f", {self.channels} of them, one for each channel," if several else ""
        wanted = f"a number of 0 or more{each} or an array that broadcasts to {self.shape}"
        levels = validate.numbers("sigma", self._known(interop.to_host(sigma), valid), wanted)
        if levels.ndim == 0:
            return float(levels)
        if several and levels.shape == (self.channels,):
            return levels.reshape(1, -1, 1, 1)
        try:
            whole = np.broadcast_to(levels, self.shape)
        except ValueError:
            raise ValueError(
                f"sigma must be {wanted}, got an array of shape {levels.shape}"
            ) from None
        rows: FloatArray = self.rows(whole)
        return rows[..., :1] if (rows == rows[..., :1]).all() else rows

    def _known(self, levels: Any, valid: NDArray[np.bool_] | None) -> Any:
        """Replace the levels of invalid samples, which may have any value."""
        if valid is None or not isinstance(levels, np.ndarray) or levels.dtype.kind not in "fi":
            return levels
        if (levels >= 0).all() and np.isfinite(levels).all():
            return levels
        try:
            whole = np.broadcast_to(levels, self.shape)
        except ValueError:
            return levels
        return np.where(valid, whole, whole[valid].max())

    def _table(self, name: str, given: Any) -> NDArray[Any]:
        """Return a spectrum or a kernel of signals as one of images of a row."""
        values = np.asarray(interop.to_host(given))
        several = (self.channels,) if self.channel_axis is not None else ()
        if not values.size:
            raise ValueError(f"{name} is empty, its shape is {values.shape}")
        if values.ndim == 1:
            table = values[None]
        elif several and values.ndim == 2 and values.shape[:1] == several:
            table = values[:, None]
        else:
            each = f", or ({self.channels}, samples) for the channels" if several else ""
            raise ValueError(f"{name} of a signal must have one axis{each}, got {values.shape}")
        if name == "psd" and values.shape[-1] != self.samples:
            raise ValueError(
                f"psd of a signal must have {self.samples} values, E|FFT(noise)|**2 along axis "
                f"{self.axis}, got {values.shape}"
            )
        if name == "psd":  # here, for messages with places in a signal
            psd.of_psd(values, values.shape, 0 if values.ndim == 2 else None)
        return table


def _levels(rows: Any, valid: NDArray[np.bool_] | None) -> FloatArray:
    """Return the level of white noise of each of (..., 1, N), as (..., 1, 1)."""
    samples = rows.shape[-1]
    flat = rows.reshape(-1, samples)
    known = np.ones(flat.shape, bool) if valid is None else valid.reshape(-1, samples)
    found = [_level(each, good) for each, good in zip(flat, known, strict=True)]
    return np.reshape(found, (*rows.shape[:-1], 1))


def _level(signal: NDArray[Any], valid: NDArray[np.bool_]) -> float:
    """Robust standard deviation of fourth differences (Donoho and Johnstone, 1994)."""
    width = len(DIFFERENCES)
    good = np.flatnonzero(sliding_window_view(np.pad(valid, (0, width)), width).all(-1))
    if len(good) < FEWEST:
        raise ValueError(
            f"sigma cannot be estimated from a signal of {len(signal)} samples, of which "
            f"{int(valid.sum())} are valid; write sigma="
        )
    values = np.where(valid, signal, 0).astype(np.float64)
    scale = float(np.abs(values).max()) or 1.0
    windows = sliding_window_view(values / scale, width)[good]
    return scale * float(np.median(np.abs(windows @ DIFFERENCES))) / NORMAL
