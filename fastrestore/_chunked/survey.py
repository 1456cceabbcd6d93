"""A look at all pixels, chunk by chunk: range, equal channels, invalid values."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import dask
import dask.array as da
import numpy as np
from numpy.typing import NDArray

from fastrestore._noise import vst


class Survey(NamedTuple):
    """What is known of all pixels of planes (C, *spatial)."""

    low: Any  # (C,), of their type
    high: Any
    ends: tuple[float, float]  # before noise that depends on the signal was stabilized
    gray: bool  # whether all channels are equal

    @classmethod
    def of(cls, planes: Any, model: Any) -> Self:
        """Look at the pixels of a chunk on the host, whose noise has a model, or None."""
        ends = float(planes.min()), float(planes.max())
        if model is not None:
            planes = vst.forward(model, planes)
        spatial = tuple(range(1, planes.ndim))
        gray = bool((planes[1:] == planes[:1]).all())
        return cls(planes.min(spatial), planes.max(spatial), ends, gray)

    def joined(self, other: Survey) -> Survey:
        """Return what is known of the pixels of both."""
        ends = min(self.ends[0], other.ends[0]), max(self.ends[1], other.ends[1])
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Survey(low, high, ends, self.gray and other.gray)

    def extent(self) -> float:
        """Return the range of the values."""
        return float(self.high.max()) - float(self.low.min())


def surveyed(name: str, planes: Any, model: Any = None) -> Any:
    """Return the `Survey` of a Dask array (C, *spatial), delayed."""
    ones = tuple((1,) * count for count in planes.numblocks)
    starts = tuple(tuple(np.cumsum((0, *sizes[:-1])).tolist()) for sizes in planes.chunks)
    parts = da.map_blocks(
        _of_chunk, planes, name, starts, model,
        dtype=object, chunks=ones, meta=np.empty((0,) * planes.ndim, object),
    )  # fmt: skip
    one = da.reduction(
        parts, _joined, _joined, combine=_joined, dtype=object, split_every=4,
        meta=np.empty((), object),
    )  # fmt: skip
    return dask.delayed(np.ndarray.item)(one.to_delayed(optimize_graph=False).item())


def _of_chunk(
    planes: Any,
    name: str,
    starts: tuple[tuple[int, ...], ...],
    model: Any,
    block_id: tuple[int, ...] = (),
) -> NDArray[Any]:
    """Return an array of one element, the survey of a chunk."""
    _check_finite(name, planes, [each[k] for each, k in zip(starts, block_id, strict=True)])
    out = np.empty((1,) * planes.ndim, object)
    out.flat[0] = Survey.of(planes, model)
    return out


def _check_finite(name: str, planes: NDArray[Any], corner: list[int]) -> None:
    """Raise if there are NaN or infinite values in the chunk with this first pixel."""
    if planes.dtype.kind != "f" or np.isfinite(planes).all():
        return
    bad = np.argwhere(~np.isfinite(planes))
    first = tuple(int(k) for k in bad[0])
    place = tuple(k + start for k, start in zip(first[1:], corner[1:], strict=True))
    channel = f" of channel {first[0]}" if len(planes) > 1 else ""
    raise ValueError(
        f"{name} has values that are NaN or infinite, {len(bad)} in a chunk of shape "
        f"{planes.shape[1:]} that begins at {tuple(corner[1:])}, the first is {planes[first]} at "
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
