"""Masks of valid pixels: validation, and replacement of invalid pixels by means of valid ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop

# Pixels: an invalid pixel as near as this to a valid one is interpolated for block matching. With
# 0, half of all blocks are lost if 1 % of the pixels are dead, and with 3 more at ragged borders.
NEAR = 2
FEW = 64  # valid pixels; of fewer, no noise level is known anyway
SAMPLES = 2**16  # valid pixels that suffice to measure the range


@dataclass(frozen=True, eq=False)
class Mask:
    """Where the pixels of an image or a volume are valid, on the host."""

    valid: NDArray[np.bool_]  # (1 or C, *spatial)

    @cached_property
    def _copies(self) -> interop.DeviceCopies:
        return interop.DeviceCopies(self.valid)

    @cached_property
    def invalid(self) -> NDArray[np.bool_]:
        """The inverse of `valid`."""
        return ~self.valid

    @cached_property
    def _places(self) -> interop.DeviceCopies:
        """Indices, in a flat channel, of pixels that are valid in all channels, or in some."""
        places = np.flatnonzero(self.common().valid)
        return interop.DeviceCopies(places[:: max(1, len(places) // SAMPLES)])

    @cached_property
    def far(self) -> NDArray[np.bool_] | None:
        """Pixels (*spatial) farther than `NEAR` from the valid pixels of a channel, or None."""
        from scipy.ndimage import minimum_filter

        size = (1, *[2 * NEAR + 1] * (self.valid.ndim - 1))
        far: NDArray[np.bool_] = minimum_filter(self.invalid, size, mode="nearest").any(0)
        return far if far.any() else None

    def check_neighbors(self) -> None:
        """Raise if all valid pixels are isolated: a noise level cannot be estimated from them."""
        for valid in self.valid:
            pairs = (valid[..., 1:] & valid[..., :-1], valid[..., 1:, :] & valid[..., :-1, :])
            if valid.sum() >= FEW and not any(each.any() for each in pairs):
                raise ValueError(
                    "sigma cannot be estimated where mask has no two valid pixels side by side; "
                    "write sigma="
                )

    def common(self) -> Self:
        """Return the mask of one channel: where all channels are valid, or some if none are."""
        every = self.valid.min(0, keepdims=True)
        return type(self)(every if every.any() else self.valid.max(0, keepdims=True))

    def part(self, read: tuple[slice, ...]) -> Self:
        """Return the mask of some channels and a tile, (channels, *spatial)."""
        return type(self)(self.valid[read])

    def like(self, shape: tuple[int, ...], planes: Any) -> NDArray[np.bool_]:
        """Return the mask in the shape of an image; `planes` views an image as (C, *spatial)."""
        out = np.empty(shape, bool)
        planes(out)[...] = self.valid
        return out

    def sample(self, planes: Any) -> Any:
        """Return valid pixels of (C, *spatial) as (C, 1, .., pixels)."""
        flat = planes.reshape(len(planes), -1)[:, self._places.like(planes)]
        return flat.reshape(len(planes), *[1] * (planes.ndim - 2), -1)

    def fill(self, planes: Any) -> Any:
        """Replace the invalid pixels of (C, *spatial) by means of valid pixels nearby."""
        dtype = planes.dtype
        exact = np.float64 if dtype.kind != "f" and dtype.itemsize > 2 else np.float32
        wide = np.promote_types(interop.result_dtype(dtype), exact)
        out = interop.namespace(planes).empty(planes.shape, wide)
        valid = self._copies.like(planes)
        for c in range(len(planes)):
            known = min(c, len(valid) - 1)
            first = np.unravel_index(self.valid[known].argmax(), self.valid.shape[1:])
            place = tuple(slice(int(k), int(k) + 1) for k in first)
            out[c] = _filled(planes[c].astype(wide), valid[known], place)
        return out

    def put_back(self, out: Any, planes: Any) -> None:
        """Copy the invalid pixels of (C, *spatial) to `out`."""
        if interop.on_host(out):
            np.copyto(out, planes, where=self.invalid, casting="unsafe")
            return
        valid = self._copies.like(out)
        out[...] = interop.namespace(out).where(valid, out, planes.astype(out.dtype))


def mask(
    name: str, mask: Any, shape: tuple[int, ...], channel_axis: int | None
) -> NDArray[np.bool_] | None:
    """Return where the pixels of an image are valid, on the host, or None if all are.

    The result is (1, ..) if it is the same for all channels, else (C, ..).
    """
    if mask is None:
        return None
    values = bools(name, mask, shape)
    if channel_axis is not None and values.ndim == len(shape) - 1:  # one for all channels
        values = np.expand_dims(values, channel_axis)
    try:
        valid = interop.channels_first(np.broadcast_to(values, shape), channel_axis)
    except ValueError:
        spatial = tuple(n for k, n in enumerate(shape) if k != (channel_axis or 0) % len(shape))
        each = "" if channel_axis is None else f", or to {spatial} for all channels"
        raise ValueError(
            f"{name} must be an array of bool that broadcasts to {shape}{each}, got shape "
            f"{values.shape}"
        ) from None
    empty = [c for c, each in enumerate(valid) if not each.any()]
    if empty:
        where = "" if len(empty) == len(valid) else f" in channel {empty[0]}"
        raise ValueError(
            f"{name} is False everywhere{where}; it must be True where a pixel is valid"
        )
    if valid.all():
        return None
    same = channel_axis is None or (valid == valid[:1]).all()
    return np.array(valid[:1] if same else valid, order="C")  # callers may change theirs later


def bools(name: str, mask: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return an array of bool of any library on the host."""
    wanted = f"{name} must be an array of bool that broadcasts to {shape}, True where valid"
    plain = mask if isinstance(mask, (bool, list, tuple)) else interop.share(name, mask)[0]
    values = np.asarray(interop.to_host(plain))
    if values.dtype != np.bool_:
        cure = f"; write {name} != 0" if values.dtype.kind in "iuf" else ""
        raise TypeError(f"{wanted}, got {values.dtype}{cure}")
    return values


def _filled(plane: Any, valid: Any, place: tuple[slice, ...]) -> Any:
    """Fill one channel; the pixel at `place` is valid, and the mean of equal values is exact."""
    where, base = interop.namespace(plane).where, plane[place]
    means = _means(where(valid, plane, base) - base, valid.astype(plane.dtype))
    return where(valid, plane, means + base)


def _means(values: Any, known: Any) -> Any:
    """Means of known pixels, of the nearest neighbors if one is known, else on a coarser grid.

    Unknown values are 0. The weights of neighbors are binomial.
    """
    total, weight = smoothed(values), smoothed(known)
    beyond = weight == 0
    means = total / (weight + beyond)
    if max(values.shape) <= 2:
        return means
    inside = 1 - beyond.astype(values.dtype)
    total, weight = _halved(means * inside), _halved(inside)
    unknown = weight == 0
    coarse = _means(total / (weight + unknown), 1 - unknown.astype(values.dtype))
    smooth = smoothed(_doubled(coarse, values.shape))
    return interop.namespace(values).where(beyond, smooth, means)


def smoothed(values: Any) -> Any:
    """Convolve with (1, 2, 1) / 4 along each axis; pixels at the border are repeated."""
    for axis in range(values.ndim):
        each = interop.move_axis(values, axis, 0)
        out = each * 0.5
        out[1:] += each[:-1] * 0.25
        out[:-1] += each[1:] * 0.25
        out[:1] += each[:1] * 0.25
        out[-1:] += each[-1:] * 0.25
        values = interop.move_axis(out, 0, axis)
    return values


def _halved(values: Any) -> Any:
    """Sums of two neighbors along each axis longer than two."""
    for axis, size in enumerate(values.shape):
        if size > 2:
            each = interop.move_axis(values, axis, 0)
            out = each[::2] * 1
            out[: size // 2] += each[1::2]
            values = interop.move_axis(out, 0, axis)
    return values


def _doubled(values: Any, shape: tuple[int, ...]) -> Any:
    """Repeat each pixel along the axes that `_halved` makes shorter, up to a shape."""
    for axis, size in enumerate(shape):
        if size > 2:
            each = interop.move_axis(values, axis, 0)
            out = interop.namespace(values).empty((size, *each.shape[1:]), values.dtype)
            out[::2] = each
            out[1::2] = each[: size // 2]
            values = interop.move_axis(out, 0, axis)
    return values
