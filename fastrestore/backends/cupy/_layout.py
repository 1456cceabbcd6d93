"""Limits of a GPU, and arrangements of threads and shared memory within them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Self

from fastrestore._arrays import interop
from fastrestore.backends.cupy import _module
from fastrestore.backends.protocol import Stage
from fastrestore.errors import BackendUnavailableError

FREE_SHARED = 48 * 1024  # bytes of shared memory per thread block without opting in
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

    def constants(self) -> _module.Constants:
        """Return the constants of the kernel."""
        return () if self.warps == MATCH_WARPS else (("MATCH_WARPS", self.warps),)


class FilterLayout(NamedTuple):
    """Thread blocks of a kernel that filters groups."""

    threads: int
    part: int  # blocks that are transformed together
    shared: int  # bytes of shared memory
    group: int

    def constants(self) -> _module.Constants:
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
    area, group = blocks.area, blocks.group
    threads = -(-area // WARP) * WARP
    fixed = group**2 + 3 * group + threads // WARP
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
