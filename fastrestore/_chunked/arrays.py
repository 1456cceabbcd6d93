"""Dask arrays: validation, chunks that are large enough for their overlap, planes of channels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import DataNode, convert_legacy_graph
from dask.base import clone_key, tokenize
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph

from fastrestore._arrays import interop, validate
from fastrestore._chunked.cuts import Depths

Chunks = tuple[tuple[int, ...], ...]

WANTED = 512  # least side of the chunks that unfit ones are replaced by
FIT = 4  # times the overlap: least side of these chunks, which then is about half of what is read


def refuse_others(arguments: Mapping[str, Any]) -> None:
    """Raise if an argument is of Dask, but no array; the first argument is the image."""
    image = next(iter(arguments))
    for name, value in arguments.items():
        if isinstance(value, Delayed):
            cure = f"pass {name}.compute()"
            if name == image:
                cure = f"dask.array.from_delayed({name}, shape, dtype) makes an array"
            raise TypeError(f"{name} is a delayed object of Dask; {cure}")
    if not isinstance(arguments[image], da.Array):
        kind = type(arguments[image]).__name__
        raise TypeError(
            f"{image} must be an array, got {kind} of Dask; {image}.to_dask_array(lengths=True) "
            "may convert it"
        )


def check(name: str, array: Any) -> None:
    """Raise unless a Dask array has known chunks of NumPy or CuPy arrays of real numbers."""
    if any(math.isnan(size) for size in array.shape):
        raise ValueError(
            f"{name} has chunks of unknown sizes, shape {array.shape}; call "
            f"{name}.compute_chunk_sizes() first"
        )
    meta = array._meta
    if not isinstance(meta, np.ndarray) and not interop.is_cupy(meta):
        kind = f"{type(meta).__module__}.{type(meta).__name__}"
        raise TypeError(
            f"{name} has chunks of type {kind}; they must be NumPy or CuPy arrays: "
            f"{name}.map_blocks(numpy.asarray) may convert them"
        )
    interop.recognize(name, meta)


def matching(name: str, array: Any, image: Any) -> Any:
    """Return an array of the shape of a Dask array as one, with chunks of the same kind."""
    if not isinstance(array, da.Array):
        array = interop.recognize(name, array)[0]
        validate.same_shape(name, array, image.shape)
        array = da.from_array(array, chunks=image.chunks)
    check(name, array)
    validate.same_shape(name, array, image.shape)
    if on_host(array) != on_host(image):
        raise ValueError(f"{name} and the image must both have chunks of NumPy, or both of CuPy")
    return array


def on_host(array: Any) -> bool:
    """Return whether the chunks of a Dask array are NumPy arrays."""
    return interop.on_host(array._meta)


def like(array: Any, dtype: Any, ndim: int) -> Any:
    """Return an empty array of the kind of the chunks of an array."""
    return interop.namespace(array._meta).empty((0,) * ndim, dtype)


def as_planes(array: Any, channel_axis: int | None, slice_axis: int = 1) -> Any:
    """View an image as (C, *spatial), with all channels in a chunk; see `Geometry.planes`."""
    if channel_axis is None:
        meta = like(array, array.dtype, array.ndim + 1)
        planes = da.map_blocks(_with_channel, array, new_axis=0, dtype=array.dtype, meta=meta)
    else:
        planes = da.moveaxis(array, channel_axis, 0).rechunk({0: -1})
    return planes if slice_axis == 1 else da.moveaxis(planes, slice_axis, 1)


def as_image(planes: Any, channel_axis: int | None, slice_axis: int = 1) -> Any:
    """Return planes (C, *spatial) with the axes of the image."""
    if slice_axis != 1:
        planes = da.moveaxis(planes, 1, slice_axis)
    if channel_axis is not None:
        return da.moveaxis(planes, 0, channel_axis)
    meta = like(planes, planes.dtype, planes.ndim - 1)
    return da.map_blocks(_without_channel, planes, drop_axis=0, dtype=planes.dtype, meta=meta)


# Dask joins functions of chunks with the tasks before and after them, and slices only sometimes


def _with_channel(chunk: Any) -> Any:
    """Return the only channel of a chunk as one of several."""
    return chunk[None]


def _without_channel(chunk: Any) -> Any:
    """Return the only channel of a chunk."""
    return chunk[0]


def fitted(name: str, planes: Any, depths: Depths) -> Any:
    """Return planes with chunks that are at least as large as the overlap of their neighbors.

    Warn if they differ from those of the caller, unless a short last chunk is joined to the one
    before.
    """
    given = planes.chunks[1:]
    chunks = [_fitted(sizes, depth) for sizes, depth in zip(given, depths, strict=True)]
    if all(sizes is not None for sizes in chunks):
        return planes.rechunk((planes.chunks[0], *chunks))
    sides = [
        sizes if sizes is not None else _regular(sum(own), max(FIT * depth, WANTED))
        for sizes, own, depth in zip(chunks, given, depths, strict=True)
    ]
    result = planes.rechunk((planes.chunks[0], *sides))
    least = tuple(min(sizes) for sizes in given)
    validate.warn(
        f"{name} has chunks as small as {least}, and a stage reads up to {max(depths)} pixels "
        f"beyond them; it is rechunked to {result.chunksize[1:]}, which moves up to "
        f"{planes.nbytes:.3g} bytes, and {_cost(result.chunks[1:], depths):.0%} of the pixels are "
        f"computed once more. {name}.rechunk(1024) avoids this"
    )
    return result


def _fitted(sizes: tuple[int, ...], depth: int) -> tuple[int, ...] | None:
    """Return the chunks of an axis, None if one is too small, and not only the last."""
    if len(sizes) == 1 or min(sizes) >= depth:
        return sizes
    if min(sizes[:-1]) >= depth:
        return (*sizes[:-2], sizes[-2] + sizes[-1])
    return None


def _regular(size: int, side: int) -> tuple[int, ...]:
    """Divide an axis into equal chunks of about `side` or more."""
    count = max(1, size // side)
    return tuple(size * (k + 1) // count - size * k // count for k in range(count))


def _cost(chunks: Chunks, depths: Depths) -> float:
    """Share of the pixels that are read more than once, because chunks overlap."""
    read = [
        sum(sizes) + 2 * depth * (len(sizes) - 1)
        for sizes, depth in zip(chunks, depths, strict=True)
    ]
    return math.prod(read) / math.prod(map(sum, chunks)) - 1


def again(array: Any) -> Any:
    """Return the same array with other keys: its chunks are not kept for a later use of `array`.

    Measures of the whole image need all chunks before the first one is restored. With the keys of
    `array`, all of them would be in memory by then.
    """
    # dask.graph_manipulation.clone leaves the references in most tasks as they are (2026.8)
    graph = convert_legacy_graph(dict(array.__dask_graph__()))
    seed = tokenize(array.name, "again")
    names = {
        key: key if isinstance(task, DataNode) and key[0] != array.name else clone_key(key, seed)
        for key, task in graph.items()
    }
    tasks = {names[key]: task.substitute(names, key=names[key]) for key, task in graph.items()}
    name = clone_key(array.name, seed)
    layers = HighLevelGraph.from_collections(name, tasks)
    return da.Array(layers, name, array.chunks, meta=array._meta)


def strided(planes: Any, apart: int) -> Any:
    """Return a regular sample of planes (C, *spatial) in one chunk, as a delayed array."""
    step = slice(None, None, apart)
    return whole(planes[(slice(None), *[step] * (planes.ndim - 1))])


def whole(array: Any) -> Any:
    """Return an array in one chunk, as a delayed array."""
    return array.rechunk(-1).to_delayed(optimize_graph=False).item()
