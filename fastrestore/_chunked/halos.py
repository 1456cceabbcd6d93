"""Chunks and the pixels of their neighbors that a stage reads, joined by the task that needs them.

`dask.array.overlap` cuts and joins them by a task for each of the eight neighbors of a chunk, and
one for the chunk. Here a chunk has one task that copies its borders, which all neighbors receive,
and the task of a stage joins what it reads.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
from dask._task_spec import List, Task, TaskRef
from dask.base import is_dask_collection, tokenize
from dask.highlevelgraph import HighLevelGraph

from fastrestore._arrays import interop
from fastrestore._chunked.cuts import Cuts, Place, Reach, Spans

Offset = tuple[int, ...]
Borders = Mapping[tuple[int, int], Any]  # by axis, and -1 for its first pixels or 1 for its last

LARGE = 1.0  # share of a chunk that its borders have, from which neighbors read the chunk itself


class Near(NamedTuple):
    """A chunk, and its neighbors or their borders."""

    spans: Spans
    parts: Sequence[Any]  # the chunk (C, *spatial) first, in the order of `offsets`

    @property
    def own(self) -> Any:
        """The chunk."""
        return self.parts[0]

    def place(self, reach: tuple[Reach, ...]) -> Place:
        """Return which part of the image is read."""
        return Place.of(self.spans, reach)

    def joined(self, reach: tuple[Reach, ...]) -> Any:
        """Return the part of the image that is read, in C order."""
        if len(self.parts) == 1:
            return interop.namespace(self.own).ascontiguousarray(self.own)
        read = self.place(reach).read
        shape = [each.stop - each.start for each in read]
        out = interop.namespace(self.own).empty((len(self.own), *shape), self.own.dtype)
        for offset, part in zip(offsets(self.spans), self.parts, strict=True):
            ends = [_ends(*each) for each in zip(self.spans, read, offset, strict=True)]
            target = (slice(first, last) for first, last in ends)
            lengths = tuple(last - first for first, last in ends)
            out[(slice(None), *target)] = _piece(part, offset, lengths)
        return out


def offsets(spans: Spans) -> list[Offset]:
    """Return by how many chunks those are away that are read: the chunk itself, then neighbors."""
    ways = (
        (0, *((-1,) if span.has_before else ()), *((1,) if span.has_after else ()))
        for span in spans
    )
    return list(itertools.product(*ways))


def _ends(span: Any, read: slice, way: int) -> tuple[int, int]:
    """Return the pixels of what is read along an axis that come from a neighbor."""
    first, last = span.first - read.start, span.last - read.start
    if way == 0:
        return first, last
    return (0, first) if way < 0 else (last, read.stop - read.start)


def _piece(part: Any, offset: Offset, lengths: tuple[int, ...]) -> Any:
    """Return the pixels of a neighbor, or of its borders, that are nearest to a chunk."""
    if isinstance(part, Mapping):
        axis = next(k for k, way in enumerate(offset) if way)
        part = part[axis, -offset[axis]]
    sides = (
        slice(size - length, size) if way < 0 else slice(0, length)
        for way, length, size in zip(offset, lengths, part.shape[1:], strict=True)
    )
    return part[(slice(None), *sides)]


def borders_of(planes: Any, spans: Spans) -> Borders:
    """Copy the borders of a chunk (C, *spatial) that have neighbors."""
    found = {}
    for axis, span in enumerate(spans):
        size, before = planes.shape[axis + 1], (slice(None),) * (axis + 1)
        if span.has_before:
            found[axis, -1] = planes[(*before, slice(0, span.depth))].copy()
        if span.has_after:
            found[axis, 1] = planes[(*before, slice(size - span.depth, size))].copy()
    return found


def mapped(
    name: str, function: Callable[..., Any], arrays: Sequence[Any], cuts: Cuts, *shared: Any,
    meta: Any,
) -> Any:  # fmt: skip
    """Return a Dask array whose chunks are `function(nears, *shared)`, with a `Near` of each array.

    The arrays have equal chunks; those of the result are as large. `shared` may be delayed.
    """
    key = f"{name}-{tokenize(function, [each.name for each in arrays], cuts, shared, meta.dtype)}"
    delayed = [each for each in shared if is_dask_collection(each)]
    others = [TaskRef(each.key) if is_dask_collection(each) else each for each in shared]
    near = [_borders(each, cuts) for each in arrays]
    tasks = {}
    for number in np.ndindex(*arrays[0].numblocks[1:]):
        spans = cuts.spans(number)
        parts = List(*(
            List(*_references(array.name, border.name, number, spans))
            for array, border in zip(arrays, near, strict=True)
        ))  # fmt: skip
        task = (key, 0, *number)
        tasks[task] = Task(task, _called, function, spans, parts, *others)
    graph = HighLevelGraph.from_collections(key, tasks, dependencies=[*arrays, *near, *delayed])
    return da.Array(graph, key, arrays[0].chunks, meta=meta)


def _called(function: Callable[..., Any], spans: Spans, parts: list[Any], *shared: Any) -> Any:
    """Call a function for a chunk."""
    return function([Near(spans, each) for each in parts], *shared)


def _references(array: str, borders: str, number: Offset, spans: Spans) -> list[TaskRef]:
    """Return references to a chunk and its neighbors, in the order of `offsets`."""
    return [
        TaskRef((borders if any(offset) else array, 0, *np.add(number, offset).tolist()))
        for offset in offsets(spans)
    ]


def _borders(array: Any, cuts: Cuts) -> Any:
    """Return an array whose chunks are `Borders`; the array itself if they would be as large."""
    sides = zip(cuts.depths, array.chunksize[1:], strict=True)
    if sum(2 * depth / size for depth, size in sides) >= LARGE or array.npartitions == 1:
        return array
    key = f"borders-{tokenize(array.name, cuts)}"
    tasks = {}
    for number in np.ndindex(*array.numblocks[1:]):
        task = (key, 0, *number)
        chunk = TaskRef((array.name, 0, *number))
        tasks[task] = Task(task, borders_of, chunk, cuts.spans(number))
    graph = HighLevelGraph.from_collections(key, tasks, dependencies=[array])
    return da.Array(graph, key, array.chunks, dtype=object)
