"""Exact tiles: parts of an image with a halo, which give the same result as the whole image.

The corner of a tile is a multiple of the steps between reference blocks, so that all tiles use the
grid of the image. The halo around the part that a tile writes is, for every stage, twice the search
radius plus the side of a block minus one: the distance up to which a border changes the result. The
range is measured on the whole image.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from fastrestore._collaborative import sides
from fastrestore._collaborative.profile import Profile
from fastrestore._collaborative.request import Request

Slices = tuple[slice, ...]
ANY = 2**62  # bytes: no limit


class Tile(NamedTuple):
    """A part of an image."""

    read: Slices  # of the image, with the halo
    write: Slices  # of the image, without the halo: the result is exact there
    inner: Slices  # `write`, relative to the tile


class Grid(NamedTuple):
    """Halo of tiles, and grid of their corners."""

    halo: int  # pixels on each side
    multiple: int  # of the corners of tiles

    @classmethod
    def of(cls, profile: Profile, stages: tuple[str, ...]) -> Grid:
        """Return the grid for successive stages."""
        reaches = [
            2 * sides.longest(profile, "radius", which) + sides.longest(profile, "block", which) - 1
            for which in stages
        ]
        steps = [step for which in stages for step in sides.of(profile, "step", which, 2)]
        return cls(sum(reaches), math.lcm(*steps))

    def least(self) -> int:
        """Side of the smallest tile."""
        return 2 * self.halo + 2 * self.multiple

    def tiles(self, shape: tuple[int, int], side: int) -> Iterator[Tile]:
        """Divide an image into tiles with sides of at most `side` pixels."""
        spans = [self._spans(size, side) for size in shape]
        for down, across in itertools.product(*spans):
            yield Tile(*((down[k], across[k]) for k in range(3)))

    def _spans(self, size: int, side: int) -> list[tuple[slice, slice, slice]]:
        """Divide an axis into the entries of `Tile`."""
        if size <= side:
            return [(slice(0, size), slice(0, size), slice(0, size))]
        pitch = (side - 2 * self.halo) // self.multiple * self.multiple - self.multiple
        spans = []
        for first in range(0, size, pitch):
            last = min(size, first + pitch)
            start = max(0, (first - self.halo) // self.multiple * self.multiple)
            stop = min(size, last + self.halo)
            spans.append(
                (slice(start, stop), slice(first, last), slice(first - start, last - start))
            )
        return spans

    def side(self, shape: tuple[int, int], limit: float, cost: Callable[[int, int], int]) -> int:
        """Return the side of the largest tiles whose cost is at most `limit`, or 0."""
        low, high = self.least() - 1, max(shape)

        def fits(side: int) -> bool:
            return cost(min(side, shape[0]), min(side, shape[1])) <= limit

        if fits(high):
            return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low if low >= self.least() else 0


@dataclass(frozen=True, slots=True)
class Tiling:
    """Division of an image (C, M, N) into tiles within a memory limit."""

    shape: tuple[int, ...]
    maps: int  # values per pixel of the noise map
    request: Request
    grid: Grid
    limit: float
    side: int = 0

    @classmethod
    def of(cls, shape: tuple[int, ...], maps: int, request: Request, piloted: bool) -> Tiling:
        """Return the largest tiles that the request allows.

        Raises
        ------
        MemoryError
            If the smallest tile needs more than the limit.
        """
        grid = Grid.of(request.profile, request.stages(piloted))
        limit = ANY if request.max_memory is None else request.max_memory
        return cls(shape, maps, request, grid, limit)._fitted()

    def tiles(self) -> Iterator[Tile]:
        """Return the tiles."""
        return self.grid.tiles((self.shape[1], self.shape[2]), self.side)

    def smaller(self) -> Self:
        """Free the memory of the backend and return tiles that need half as much."""
        if self.request.execution.memory is not None:
            self.request.execution.memory.clear()
        return replace(self, limit=self.cost() / 2)._fitted()

    def cost(self, side: int | None = None) -> int:
        """Return the memory for a tile of a side, by default the largest."""
        side = self.side if side is None else side
        return self._cost(*(min(side, size) for size in self.shape[1:]))

    def _cost(self, height: int, width: int) -> int:
        request, shape = self.request, (self.shape[0], height, width)
        return request.backend.bm3d_memory(shape, self.maps, request.profile, request.execution)

    def _fitted(self) -> Self:
        """Return a copy with the largest side that fits; raise if none fits."""
        rows, columns = self.shape[1:]
        side = self.grid.side((rows, columns), self.limit, self._cost)
        whole, indivisible = max(rows, columns), bool(self.request.profile.whole())
        if side and not (indivisible and side < whole):
            return replace(self, side=side)
        least = whole if indivisible else min(self.grid.least(), whole)
        limit = "the free memory"
        if self.limit == self.request.max_memory:
            limit = f"max_memory={self.limit:g} bytes"
        part = "the image" if least == whole else f"a tile of {least}x{least}, the smallest,"
        reason = ""
        if indivisible:
            profile = self.request.profile
            reason = f" (profile {profile.name!r} {profile.whole()}, without tiles)"
        raise MemoryError(
            f"{limit} is too little: restoring {part} takes {self.cost(least)} bytes{reason}"
        )
