"""Limits of a GPU, and arrangements of threads and shared memory within them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._cuda import module
from fastrestore._cuda.launches import FREE_SHARED
from fastrestore.backends.protocol import Stage
from fastrestore.errors import BackendUnavailableError

MOST_BLOCKS = 65535  # thread blocks of a grid along y and along z

WARP = 32
MATCH_WARPS = 4  # references per thread block, as in the kernels of block matching
FEWER_WARPS = (2, 1)  # if their shared memory is too large
TILE = 4  # vertical displacements per thread
SPARE = 16

_OPT_IN = 97  # cudaDevAttrMaxSharedMemoryPerBlockOptin


class MatchLayout(NamedTuple):
    """Thread blocks of a kernel for block matching."""

    warps: int  # references per thread block
    band: int  # vertical displacements per pass
    pitch: int  # width of the window in memory
    shared: int  # bytes of shared memory

    def constants(self) -> module.Constants:
        """Return the constants of the kernel."""
        return () if self.warps == MATCH_WARPS else (("MATCH_WARPS", self.warps),)


class ImageMatchLayout(NamedTuple):
    """Thread blocks of the kernel for block matching in images."""

    block: int
    step: int
    radius: int
    down: int  # references per thread block
    along: int
    pitch: int  # width of the window in memory
    warps: int
    band: int  # vertical displacements per pass
    room: int  # candidates of a warp
    size: int  # distances of a reference in memory
    shared: int  # bytes of shared memory

    def constants(self) -> module.Constants:
        """Return the constants of the kernel."""
        numbers = (*self[:6], self.size, self.warps)
        return tuple(zip(_MATCH_CONSTANTS, numbers, strict=True))

    def numbers(self, group: int) -> tuple[np.int32, ...]:
        """Return the arguments of the kernel from `band` to `room`."""
        return tuple(map(np.int32, (self.band, group, self.room)))

    def grid(self, *corners: NDArray[np.int64]) -> tuple[int, ...]:
        """Return the numbers of thread blocks for references at these columns and rows."""
        return tuple(
            -(-_regular(each, self.step) // count) + (_regular(each, self.step) < len(each))
            for each, count in zip(corners, (self.along, self.down), strict=True)
        )


_MATCH_CONSTANTS = ("BLOCK", "STEP", "RADIUS", "DOWN", "ALONG", "PITCH", "SIZE", "MATCH_WARPS")


def _regular(corners: NDArray[np.int64], step: int) -> int:
    """Return how many corners are `step` apart: all, or all but the last."""
    count = len(corners)
    return count - (count > 1 and corners[-1] - corners[-2] != step)


class FilterLayout(NamedTuple):
    """Thread blocks of a kernel that filters groups."""

    threads: int
    part: int  # blocks that are transformed together
    shared: int  # bytes of shared memory
    group: int

    def constants(self) -> module.Constants:
        """Return the constants of the kernel."""
        return () if self.part == self.group else (("PART", self.part),)


class Blocks(NamedTuple):
    """What a stage searches and filters."""

    shape: tuple[int, ...]  # of a block
    group: int  # most blocks of a group
    step: int  # between references along rows
    radius: int  # of the search

    @classmethod
    def of(cls, stage: Stage) -> Self:
        """Return those of a stage."""
        return cls(stage.shape, stage.group, stage.step, stage.radius)

    @property
    def area(self) -> int:
        """Number of values in a block."""
        return math.prod(self.shape)


def match_layout(blocks: Blocks) -> MatchLayout:
    """Arrange block matching in an image or a volume."""
    return _match_layout(blocks, _shared_window)


@functools.lru_cache(64)
def _arranged(blocks: Blocks, most: int, bands: int | None) -> ImageMatchLayout:
    tall = 2 * blocks.radius + 1
    layouts = [
        _overlapping(blocks, along, -(-tall // count))
        for along in range(MOST_ALONG, 0, -1)
        for count in ((bands,) if bands else range(1, -(-tall // TILE) + 1))
    ]
    return min(
        (each for each in layouts if each.shared <= most or each is layouts[-1]),
        key=lambda each: _cost(each, blocks),
    )


def image_match_layout(
    blocks: Blocks, limit: int | None = None, bands: int | None = None
) -> ImageMatchLayout:
    """Arrange block matching in an image; `limit` is that of shared memory, of this GPU if None."""
    return _arranged(blocks, most_shared() if limit is None else limit, bands)


MOST_ALONG = 8  # references along the rows of a thread block
MOST_SUMS = 16  # for each displacement of a thread: about 4 times as many registers
MOST_HEIGHT = 24  # rows of the references of a thread block, for short machine code
FEW = 4  # least warps of a thread block
MOST_WARPS = 16
SELECTION = 0.25  # time of selecting the nearest over that of distances of separate columns


def _cost(layout: ImageMatchLayout, blocks: Blocks) -> float:
    """Return the relative time of a reference: columns of distances, and a selection by band."""
    columns = (layout.step * (layout.along - 1) + layout.block) / (layout.step * layout.along)
    bands = -(-(2 * blocks.radius + 1) // layout.band)
    return columns + SELECTION * bands


def _overlapping(blocks: Blocks, along: int, tall: int) -> ImageMatchLayout:
    """Return the layout of references that share sums, `tall` displacements per pass."""
    side, step, across = blocks.shape[-1], blocks.step, 2 * blocks.radius + 1
    down = MOST_SUMS // ((side - 1) // step + 2)
    down = max(1, min(4, down, 1 + (MOST_HEIGHT - side) // step))
    height, width = step * (down - 1) + side, step * (along - 1) + side
    full, packed = _lanes(across)
    # Packed lanes of rows that are TILE apart use different banks
    pitch = width + across - 1
    pitch += (packed // TILE - pitch) % (WARP // TILE)
    band = -(-tall // TILE) * TILE
    needed = -(-band // TILE * (full + packed) // WARP)
    warps = min(MOST_WARPS, max(FEW, 1 << (needed - 1).bit_length()))
    room, size = 2 * blocks.group + WARP, min(band, across) * across
    floats = (band + height - 1) * pitch + height * width
    floats += down * along * (size + 2 * blocks.group + 1)
    shared = 8 * warps * room + 4 * floats
    return ImageMatchLayout(
        side, step, blocks.radius, down, along, pitch, warps, band, room, size, shared
    )


def _lanes(across: int) -> tuple[int, int]:
    """Return how many displacements of a row whole warps have, and lanes for the rest."""
    rest = across % WARP
    packed = next(each for each in (0, 4, 8, 16, WARP) if each >= rest)
    return across - rest, packed


def video_match_layout(blocks: Blocks) -> MatchLayout:
    """Arrange block matching in frames; `blocks.radius` is the largest search radius."""
    return _match_layout(blocks, _own_windows)


def _match_layout(blocks: Blocks, layout: Callable[[Blocks, int], MatchLayout]) -> MatchLayout:
    """Return the layout with the most warps that the GPU can run."""
    layouts = [layout(blocks, warps) for warps in (MATCH_WARPS, *FEWER_WARPS)]
    fitting = _fitting([each.shared for each in layouts])
    if fitting is None:
        raise BackendUnavailableError(
            f"a search radius of {blocks.radius} for blocks of {_size(blocks)} takes "
            f"{layouts[-1].shared} bytes of shared memory, and this GPU has {most_shared()}; "
            "use a smaller radius, or backend='numba'"
        )
    return layouts[fitting]


def _shared_window(blocks: Blocks, warps: int) -> MatchLayout:
    """Return the layout with a window that the warps of a thread block share."""
    slices, side = math.prod(blocks.shape[:-2]), blocks.shape[-1]
    across = 2 * blocks.radius + 1
    pitch = across + side - 1 + (warps - 1) * blocks.step
    fixed = warps * (blocks.area + 2 * (blocks.group + SPARE) + 2 * blocks.group)
    fixed += slices * (side - 1) * pitch
    one = slices * pitch + warps * across  # for each vertical displacement
    band = _band(across, FREE_SHARED // 4 - fixed, one)
    return MatchLayout(warps, band, pitch, 4 * (fixed + band * one))


def _own_windows(blocks: Blocks, warps: int) -> MatchLayout:
    """Return the layout with a window for each warp."""
    wide, side = 2 * blocks.radius + 1, blocks.shape[-1]
    pitch = wide + side - 1
    keys = 8 * (2 * blocks.group + 2 * WARP)
    fixed = keys + 4 * (blocks.area + (side - 1) * pitch)
    one = 4 * (pitch + wide)  # for each vertical displacement
    band = _band(wide, FREE_SHARED // warps - fixed, one)
    return MatchLayout(warps, band, pitch, warps * (fixed + band * one))


def _band(tall: int, room: int, one: int) -> int:
    """Return how many of `tall` displacements fit in a room, a multiple of TILE."""
    return min(-(-tall // TILE), max(1, room // one // TILE)) * TILE


def filter_layout(blocks: Blocks) -> FilterLayout:
    """Arrange the filter of the groups of an image or a volume."""
    return _groups_layout(blocks, 0)


def backward_layout(blocks: Blocks) -> FilterLayout:
    """Arrange the gradients of the groups of an image; see backward.cuh."""
    warps = -(-blocks.area // WARP)
    return _groups_layout(blocks, warps * (SUMS + blocks.group))


SUMS = 3  # of a group, as in backward.cuh


def _groups_layout(blocks: Blocks, more: int) -> FilterLayout:
    """Arrange groups of blocks, with some more floats in shared memory."""
    area, group = blocks.area, blocks.group
    threads = -(-area // WARP) * WARP
    fixed = group**2 + 3 * group + threads // WARP + more
    parts = [group >> k for k in range(group.bit_length())]
    sizes = [4 * (part * area + fixed) for part in parts]
    which = _fitting(sizes)
    assert which is not None  # blocks have at most 512 values
    return FilterLayout(threads, parts[which], sizes[which], group)


def _fitting(sizes: list[int]) -> int | None:
    """Return the index of the first number of bytes that a thread block can have."""
    limit = FREE_SHARED if sizes[0] <= FREE_SHARED else most_shared()
    return next((k for k, size in enumerate(sizes) if size <= limit), None)


def _size(blocks: Blocks) -> str:
    return "x".join(map(str, blocks.shape))


def most_shared() -> int:
    """Return the bytes of shared memory that a thread block of the current GPU can have."""
    runtime = interop.load_cupy().cuda.runtime
    limit: int = runtime.deviceGetAttribute(_OPT_IN, runtime.getDevice())
    return max(FREE_SHARED, limit)
