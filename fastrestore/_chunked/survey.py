"""A look at all pixels, chunk by chunk: range, equal channels, invalid values."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple, Self

import dask
import dask.array as da
import numpy as np
from numpy.typing import NDArray

from fastrestore._noise import vst


class Layers(NamedTuple):
    """The slices of a volume along an axis, each array of its length."""

    hashes: NDArray[np.uint64]  # sums of those of the chunks, which do not depend on their order
    low: NDArray[Any]
    high: NDArray[Any]

    @classmethod
    def of(cls, planes: NDArray[Any], axis: int, corner: tuple[int, ...], size: int) -> Self:
        """Look at the slices of a chunk (C, *spatial) with this first voxel, along an axis."""
        start = corner[axis]
        place = str(corner[:axis] + corner[axis + 1 :]).encode()
        slices = np.moveaxis(planes, axis, 0)
        layers = cls(np.zeros(size, np.uint64), np.full(size, np.inf), np.full(size, -np.inf))
        for k, each in enumerate(slices, start):
            digest = hashlib.blake2b(np.ascontiguousarray(each).tobytes() + place, digest_size=8)
            layers.hashes[k] = int.from_bytes(digest.digest(), "little")
            layers.low[k], layers.high[k] = each.min(), each.max()
        return layers

    def joined(self, other: Layers) -> Layers:
        """Return the slices of both parts of a volume."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Layers(self.hashes + other.hashes, low, high)

    def alike(self) -> NDArray[np.bool_]:
        """Whether each slice but the first equals the one before; constant ones have no noise."""
        same: NDArray[np.bool_] = self.hashes[1:] == self.hashes[:-1]
        return same & (self.low[1:] < self.high[1:])


# Every so many pixels of chunks (C, *spatial), by where they are in that of the whole image
Sample = dict[tuple[int, ...], Any]


def sample_of(planes: Any, corner: tuple[int, ...], apart: int) -> Sample:
    """Return the part of a regular sample that is in a chunk with this first pixel."""
    starts = [-first % apart for first in corner]
    part = planes[(slice(None), *(slice(start, None, apart) for start in starts))]
    place = tuple((first + start) // apart for first, start in zip(corner, starts, strict=True))
    return {place: part.copy()} if part.size else {}


def assembled(sample: Sample) -> Any:
    """Return the sample of the whole image."""
    spatial = range(len(next(iter(sample))))
    sizes = [max(place[k] + part.shape[k + 1] for place, part in sample.items()) for k in spatial]
    first = next(iter(sample.values()))
    out = np.empty((len(first), *sizes), first.dtype)
    for place, part in sample.items():
        ends = zip(place, part.shape[1:], strict=True)
        out[(slice(None), *(slice(start, start + size) for start, size in ends))] = part
    return out


class Survey(NamedTuple):
    """What is known of all pixels of planes (C, *spatial)."""

    low: Any  # (C,), of their type
    high: Any
    ends: tuple[float, float]  # before noise that depends on the signal was stabilized
    gray: bool  # whether all channels are equal
    total: float  # sum of the values
    layers: tuple[Layers, ...] = ()  # along the searched axes of a volume
    samples: tuple[Sample, ...] = ()  # regular ones, of the values as they were given

    @classmethod
    def of(cls, planes: Any, model: Any) -> Self:
        """Look at the pixels of a chunk on the host, whose noise has a model, or None."""
        ends = float(planes.min()), float(planes.max())
        if model is not None:
            planes = vst.forward(model, planes)
        spatial = tuple(range(1, planes.ndim))
        gray = bool((planes[1:] == planes[:1]).all())
        total = float(planes.sum(dtype=np.float64))
        return cls(planes.min(spatial), planes.max(spatial), ends, gray, total)

    def joined(self, other: Survey) -> Survey:
        """Return what is known of the pixels of both."""
        both = zip(self.layers, other.layers, strict=True)
        layers = tuple(one.joined(two) for one, two in both)
        ends = min(self.ends[0], other.ends[0]), max(self.ends[1], other.ends[1])
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        gray, total = self.gray and other.gray, self.total + other.total
        pairs = zip(self.samples, other.samples, strict=True)
        samples = tuple({**one, **two} for one, two in pairs)
        return Survey(low, high, ends, gray, total, layers, samples)

    def extent(self) -> float:
        """Return the range of the values."""
        return float(self.high.max()) - float(self.low.min())


class Look(NamedTuple):
    """What is looked at in each chunk."""

    name: str  # of the image, in messages
    dtype: np.dtype[Any]  # of the chunks, as the array says
    chunks: tuple[tuple[int, ...], ...]
    starts: tuple[tuple[int, ...], ...]  # first pixels of the chunks
    searched: dict[int, int]  # axes along which slices may be repeated, and their sizes
    strides: tuple[int, ...]  # of samples


def surveyed(
    name: str, planes: Any, model: Any = None, searched: tuple[int, ...] = (),
    strides: tuple[int, ...] = (),
) -> Any:  # fmt: skip
    """Return the `Survey` of a Dask array (C, *spatial), delayed.

    `searched` are the axes of a volume along which slices may be repeated, and `strides` the pixels
    between those of samples.
    """
    ones = tuple((1,) * count for count in planes.numblocks)
    starts = tuple(tuple(np.cumsum((0, *sizes[:-1])).tolist()) for sizes in planes.chunks)
    look = Look(
        name,
        planes.dtype,
        planes.chunks,
        starts,
        {axis: planes.shape[axis] for axis in searched},
        strides,
    )
    parts = da.map_blocks(
        _of_chunk, planes, look, model,
        dtype=object, chunks=ones, meta=np.empty((0,) * planes.ndim, object),
    )  # fmt: skip
    one = da.reduction(
        parts, _joined, _joined, combine=_joined, dtype=object, split_every=4,
        meta=np.empty((), object),
    )  # fmt: skip
    return dask.delayed(np.ndarray.item)(one.to_delayed(optimize_graph=False).item())


def _of_chunk(planes: Any, look: Look, model: Any, block_id: tuple[int, ...] = ()) -> NDArray[Any]:
    """Return an array of one element, the survey of a chunk."""
    corner = tuple(each[k] for each, k in zip(look.starts, block_id, strict=True))
    _check_chunk(look, planes, block_id)
    check_finite(look.name, planes, corner)
    layers = tuple(Layers.of(planes, axis, corner, size) for axis, size in look.searched.items())
    samples = tuple(sample_of(planes, corner[1:], apart) for apart in look.strides)
    out = np.empty((1,) * planes.ndim, object)
    out.flat[0] = Survey.of(planes, model)._replace(layers=layers, samples=samples)
    return out


def _check_chunk(look: Look, planes: Any, number: tuple[int, ...]) -> None:
    """Raise if a chunk is not what the array says, because a function that made it says so."""
    shape = tuple(sizes[k] for sizes, k in zip(look.chunks, number, strict=True))
    kind = "a masked array" if isinstance(planes, np.ma.MaskedArray) else "an array"
    same = planes.dtype.newbyteorder("=") == look.dtype.newbyteorder("=")
    if same and planes.shape == shape and kind == "an array":
        return
    raise TypeError(
        f"chunk {number[1:]} of {look.name} is {kind} of shape {planes.shape[1:]} and type "
        f"{planes.dtype}, but {look.name} is a Dask array with a chunk of shape {shape[1:]} and "
        f"type {look.dtype} there; correct dtype=, chunks= or meta= where it is made, such as in "
        "map_blocks"
    )


def check_finite(name: str, planes: NDArray[Any], corner: tuple[int, ...]) -> None:
    """Raise if there are NaN or infinite values in the chunk with this first pixel."""
    if planes.dtype.kind != "f" or np.isfinite(planes).all():
        return
    bad = np.argwhere(~np.isfinite(planes))
    first = tuple(int(k) for k in bad[0])
    place = tuple(k + start for k, start in zip(first[1:], corner[1:], strict=True))
    channel = f" of channel {first[0]}" if len(planes) > 1 else ""
    raise ValueError(
        f"{name} has values that are NaN or infinite, {len(bad)} in a chunk of shape "
        f"{planes.shape[1:]} that begins at {corner[1:]}, the first is {planes[first]} at "
        f"{place}{channel}; replace them first, such as by {name}.map_blocks(numpy.nan_to_num)"
    )


def _joined(parts: NDArray[Any], axis: Any, keepdims: bool) -> NDArray[Any]:
    """Return an array of one element, the union of some surveys."""
    del axis
    first, *others = parts.ravel().tolist()
    for other in others:
        first = first.joined(other)
    out = np.empty((1,) * parts.ndim if keepdims else (), object)
    out[...] = None
    out.flat[0] = first
    return out
