"""Where chunks lie in an image, and which part of it a stage reads for a chunk.

The part that a stage reads begins at a multiple of the step between reference blocks, so that all
chunks use the grid of the image, and extends beyond the chunk by the distance up to which a border
changes the result: see `fastrestore._collaborative.tiling`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastrestore._collaborative.profile import Profile

Slices = tuple[slice, ...]
Depths = tuple[int, ...]


class Reach(NamedTuple):
    """How far a stage reads beyond a chunk along an axis."""

    halo: int  # pixels on each side
    step: int  # the part that is read begins at a multiple of it
    square: int = 1  # and ends at a multiple of this, or at the end of the image

    @property
    def depth(self) -> int:
        """Pixels that may be needed of the neighbors of a chunk."""
        return self.halo + self.step - 1


def reaches(profile: Profile, which: str, ndim: int, square: int = 1) -> tuple[Reach, ...]:
    """Return the reach of a stage along each spatial axis.

    Along rows and columns, the part that is read consists of whole squares of the image.
    """

    def field(name: str) -> int:
        value: int = getattr(profile, f"{name}_{which}")
        return value

    step = math.lcm(field("step"), square)
    plane = Reach(2 * field("radius") + field("block") - 1, step, square)
    if ndim == 2:
        return (plane, plane)
    halo = 2 * field("radius_slices") + field("slices") - 1
    return (Reach(halo, field("step_slices")), plane, plane)


def farthest(each: Iterable[tuple[Reach, ...]]) -> Depths:
    """Return the overlap of chunks, along each axis, for the largest of some reaches."""
    return tuple(max(reach.depth for reach in axis) for axis in zip(*each, strict=True))


class Place(NamedTuple):
    """The part of an image that belongs to a chunk."""

    crop: Slices  # of the chunk with its overlap: what is read
    inner: Slices  # of what is read: the chunk


@dataclass(frozen=True)
class Cuts:
    """The chunks of an image along its spatial axes, and their overlap."""

    ends: tuple[tuple[int, ...], ...]  # 0, the end of the first chunk, .., the size
    depths: Depths

    @classmethod
    def of(cls, chunks: tuple[tuple[int, ...], ...], depths: Depths) -> Cuts:
        """Return the cuts of an array with these chunks; an axis of one chunk has no overlap."""
        ends = tuple(tuple(itertools.accumulate(sizes, initial=0)) for sizes in chunks)
        used = zip(chunks, depths, strict=True)
        return cls(ends, tuple(depth if len(sizes) > 1 else 0 for sizes, depth in used))

    def place(self, number: tuple[int, ...], reach: tuple[Reach, ...]) -> Place:
        """Return the part of the image that belongs to the chunk with these numbers."""
        spans = [
            _span(ends[k : k + 2], ends[-1], max(0, ends[k] - depth), each)
            for ends, depth, k, each in zip(self.ends, self.depths, number, reach, strict=True)
        ]
        return Place(tuple(crop for crop, _ in spans), tuple(inner for _, inner in spans))


def _span(ends: tuple[int, ...], size: int, begin: int, reach: Reach) -> tuple[slice, slice]:
    """Return the entries of `Place` for one axis; `begin` is the first pixel with the overlap."""
    first, last = ends
    start = max(0, (first - reach.halo) // reach.step * reach.step)
    stop = min(size, -(-(last + reach.halo) // reach.square) * reach.square)
    return slice(start - begin, stop - begin), slice(first - start, last - start)


def numbers(block_id: Any) -> tuple[int, ...]:
    """Return the numbers of a chunk along the spatial axes, after that of the channels."""
    return tuple(int(k) for k in block_id[1:])
