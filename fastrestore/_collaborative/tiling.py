"""Exact tiles: parts of an image, each with so much around it that its result is that of the whole.

A tile begins on a common multiple of the steps between reference blocks, so that its grid of
references is that of the image; beyond what it gives away lies a halo, twice the search radius and
a block less one for every stage, in which the cut changes the result and from which none of that
comes further. What is measured of the whole image, its range, has to be told to every tile.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from fastrestore._collaborative.profile import Profile

Slices = tuple[slice, slice]


class Tile(NamedTuple):
    """A part of an image."""

    read: Slices  # of the image: what the tile sees
    write: Slices  # of the image: where its result is exact
    inner: Slices  # the same, in the tile


class Layout(NamedTuple):
    """What tiles have to keep to."""

    halo: int  # pixels around
    multiple: int  # where they begin

    @classmethod
    def of(cls, profile: Profile, stages: tuple[str, ...]) -> Layout:
        """Return the layout for these stages, one after the other."""
        reaches = [
            2 * getattr(profile, f"radius_{which}") + getattr(profile, f"block_{which}") - 1
            for which in stages
        ]
        steps = [getattr(profile, f"step_{which}") for which in stages]
        return cls(sum(reaches), math.lcm(*steps))

    def least(self) -> int:
        """Side of the smallest tile."""
        return 2 * self.halo + 2 * self.multiple

    def tiles(self, shape: tuple[int, int], side: int) -> Iterator[Tile]:
        """Cut an image into tiles of at most `side` pixels each way."""
        spans = [self._spans(size, side) for size in shape]
        for pair in itertools.product(*spans):
            down, across = pair
            yield Tile(*((down[k], across[k]) for k in range(3)))

    def _spans(self, size: int, side: int) -> list[tuple[slice, slice, slice]]:
        """Cut an axis: what is read, what is written, and that seen from the tile."""
        if size <= side:
            return [(slice(0, size), slice(0, size), slice(0, size))]
        pace = (side - 2 * self.halo) // self.multiple * self.multiple - self.multiple
        spans = []
        for first in range(0, size, pace):
            last = min(size, first + pace)
            start = max(0, (first - self.halo) // self.multiple * self.multiple)
            stop = min(size, last + self.halo)
            spans.append(
                (slice(start, stop), slice(first, last), slice(first - start, last - start))
            )
        return spans

    def side(self, shape: tuple[int, int], limit: float, cost: Callable[[int, int], int]) -> int:
        """Return the side of the largest tiles that cost no more than `limit`.

        Returns 0 if the smallest cost more.
        """
        low, high = self.least() - 1, max(shape)

        def fits(side: int) -> bool:
            return cost(min(side, shape[0]), min(side, shape[1])) <= limit

        if fits(high):
            return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low if low >= self.least() else 0
