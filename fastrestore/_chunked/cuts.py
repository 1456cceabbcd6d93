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
from typing import NamedTuple, Self

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


class Span(NamedTuple):
    """Where a chunk lies along an axis of the image."""

    first: int
    last: int  # exclusive
    size: int  # of the image
    depth: int  # pixels of the neighbors that can be read

    @property
    def has_before(self) -> bool:
        """Whether pixels before the chunk are read."""
        return self.depth > 0 and self.first > 0

    @property
    def has_after(self) -> bool:
        """Whether pixels after the chunk are read."""
        return self.depth > 0 and self.last < self.size

    def read(self, reach: Reach) -> slice:
        """Return the pixels that a stage reads."""
        start = max(0, (self.first - reach.halo) // reach.step * reach.step)
        stop = -(-(self.last + reach.halo) // reach.square) * reach.square
        return slice(start, min(self.size, stop))


Spans = tuple[Span, ...]


class Place(NamedTuple):
    """The part of an image that a stage reads for a chunk."""

    read: Slices  # of the image
    inner: Slices  # of what is read: the chunk

    @classmethod
    def of(cls, spans: Spans, reach: tuple[Reach, ...]) -> Self:
        """Return the part for a chunk."""
        read = tuple(span.read(each) for span, each in zip(spans, reach, strict=True))
        inner = tuple(
            slice(span.first - each.start, span.last - each.start)
            for span, each in zip(spans, read, strict=True)
        )
        return cls(read, inner)


@dataclass(frozen=True)
class Cuts:
    """The chunks of an image along its spatial axes, and their overlap."""

    ends: tuple[tuple[int, ...], ...]  # 0, the end of the first chunk, .., the size
    depths: Depths

    @classmethod
    def of(cls, chunks: tuple[tuple[int, ...], ...], depths: Depths) -> Self:
        """Return the cuts of an array with these chunks; an axis of one chunk has no overlap."""
        ends = tuple(tuple(itertools.accumulate(sizes, initial=0)) for sizes in chunks)
        used = zip(chunks, depths, strict=True)
        return cls(ends, tuple(depth if len(sizes) > 1 else 0 for sizes, depth in used))

    def spans(self, number: tuple[int, ...]) -> Spans:
        """Return where the chunk with these numbers lies."""
        return tuple(
            Span(ends[k], ends[k + 1], ends[-1], depth)
            for ends, depth, k in zip(self.ends, self.depths, number, strict=True)
        )
