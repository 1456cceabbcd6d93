"""Where chunks lie in an image, and which part of it a stage reads for a chunk.

The part that a stage reads begins at a multiple of the step between reference blocks, so that all
chunks use the grid of the image, and extends beyond the chunk by the distance up to which a border
changes the result: see `fastrestore._collaborative.tiling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from fastrestore._collaborative.profile import Profile

Slices = tuple[slice, ...]


class Reach(NamedTuple):
    """How far a stage reads beyond a chunk along an axis."""

    halo: int  # pixels on each side
    step: int  # the part that is read begins at a multiple of it

    @property
    def depth(self) -> int:
        """Pixels that may be needed of the neighbors of a chunk."""
        return self.halo + self.step - 1


def reaches(profile: Profile, which: str, ndim: int) -> tuple[Reach, ...]:
    """Return the reach of a stage along each spatial axis."""

    def field(name: str) -> int:
        value: int = getattr(profile, f"{name}_{which}")
        return value

    plane = Reach(2 * field("radius") + field("block") - 1, field("step"))
    if ndim == 2:
        return (plane, plane)
    halo = 2 * field("radius_slices") + field("slices") - 1
    return (Reach(halo, field("step_slices")), plane, plane)


class Place(NamedTuple):
    """The part of an image that belongs to a chunk."""

    crop: Slices  # of the chunk with its overlap: what is read
    inner: Slices  # of what is read: the chunk
    read: Slices  # of the image


@dataclass(frozen=True)
class Cuts:
    """The chunks of an image along its spatial axes, and how far a stage reads beyond them."""

    ends: tuple[tuple[int, ...], ...]  # 0, the end of the first chunk, .., the size
    reach: tuple[Reach, ...]

    @classmethod
    def of(cls, chunks: tuple[tuple[int, ...], ...], reach: tuple[Reach, ...]) -> Cuts:
        """Return the cuts of an array with these chunks."""
        ends = []
        for sizes in chunks:
            sums = [0]
            for size in sizes:
                sums.append(sums[-1] + size)
            ends.append(tuple(sums))
        return cls(tuple(ends), reach)

    def depths(self) -> tuple[int, ...]:
        """Return the overlap of chunks along each axis; none if there is one chunk."""
        return tuple(
            reach.depth if len(ends) > 2 else 0
            for ends, reach in zip(self.ends, self.reach, strict=True)
        )

    def place(self, number: tuple[int, ...]) -> Place:
        """Return the part of the image that belongs to the chunk with these numbers."""
        spans = [
            _span(ends[k], ends[k + 1], ends[-1], reach)
            for ends, k, reach in zip(self.ends, number, self.reach, strict=True)
        ]
        return Place(*(tuple(span[k] for span in spans) for k in range(3)))


def _span(first: int, last: int, size: int, reach: Reach) -> tuple[slice, slice, slice]:
    """Return the entries of `Place` for one axis."""
    begin = max(0, first - reach.depth)
    start = max(0, (first - reach.halo) // reach.step * reach.step)
    stop = min(size, last + reach.halo)
    return (
        slice(start - begin, stop - begin),
        slice(first - start, last - start),
        slice(start, stop),
    )


def numbers(block_id: Any) -> tuple[int, ...]:
    """Return the numbers of a chunk along the spatial axes, after that of the channels."""
    return tuple(int(k) for k in block_id[1:])
