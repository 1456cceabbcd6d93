"""The stages of BM4D on a GPU: what the kernels of kernels/bm4d_*.cu get, and how they are cut."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._collaborative.stage import Run
from fastrestore._collaborative.volume_stage import CubeMatches, Volume, Volumes, VolumeStage
from fastrestore.backends.cupy._device import FREE_SHARED, launch
from fastrestore.backends.cupy.bm3d import (
    DIVIDE,
    MATCH_WARPS,
    MOST_PIXELS,
    SPARE,
    TILE,
    WARP,
)

__all__ = ["bm4d_basic", "bm4d_final", "bm4d_match"]


def bm4d_match(volume: Volume, stage: VolumeStage, run: Run) -> CubeMatches:
    """See `fastrestore.backends.protocol.VolumeBackend`."""
    if math.prod(volume.shape) > MOST_PIXELS:
        raise MemoryError(
            f"a volume of shape {volume.shape} is too large for the kernels, which count "
            f"{MOST_PIXELS} voxels; restore it in parts"
        )
    memory, group = run.memory, stage.group
    grids = stage.grids(volume.shape)
    slices, rows, columns = (memory.table(grid, np.int32) for grid in grids)
    shape = tuple(len(grid) for grid in grids)
    offsets = memory.take("offsets", (*shape, group, 3), np.int16)
    sizes = memory.take("sizes", shape, np.int16)
    band, pitch, shared = match_shape(stage)
    bias = None if stage.match_bias is None else memory.table(stage.match_bias)
    varying = None if stage.match_map is None else memory.table(stage.match_map)
    launch(
        "bm4d_match",
        (("SLICES", stage.shape[0]), ("BLOCK", stage.shape[1])),
        (-(-shape[2] // MATCH_WARPS), shape[1], shape[0]),
        (WARP, MATCH_WARPS),
        (
            volume, *(np.int32(size) for size in volume.shape), slices, rows, columns,
            np.int32(shape[2]), np.int32(stage.radius[0]), np.int32(stage.radius[1]),
            np.int32(band), np.int32(pitch), np.int32(group), np.float32(stage.match), varying,
            bias, offsets, sizes,
        ),
        shared,
    )  # fmt: skip
    run.tick(1)
    return CubeMatches(slices, rows, columns, offsets, sizes)


def match_shape(stage: VolumeStage) -> tuple[int, int, int]:
    """Displacements down at a time, width of the window in memory, and bytes of shared memory."""
    (thick, block, _), across = stage.shape, 2 * stage.radius[1] + 1
    pitch = across + block - 1 + (MATCH_WARPS - 1) * stage.step[2]
    fixed = MATCH_WARPS * (thick * block**2 + 2 * (stage.group + SPARE) + 2 * stage.group)
    fixed += thick * (block - 1) * pitch
    one = thick * pitch + MATCH_WARPS * across  # for every displacement down
    band = min(-(-across // TILE), max(1, (FREE_SHARED // 4 - fixed) // one // TILE)) * TILE
    return band, pitch, 4 * (fixed + band * one)


def bm4d_basic(noisy: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run) -> Volumes:
    """See `fastrestore.backends.protocol.VolumeBackend`."""
    return _filtered("bm4d_basic", (noisy,), matches, stage, run)


def bm4d_final(
    noisy: Volumes, pilot: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run
) -> Volumes:
    """See `fastrestore.backends.protocol.VolumeBackend`."""
    return _filtered("bm4d_final", (noisy, pilot), matches, stage, run)


def _filtered(
    name: str, images: tuple[Volumes, ...], matches: CubeMatches, stage: VolumeStage, run: Run
) -> Volumes:
    """Filter all groups, lay them down, and divide the sums."""
    memory, (thick, block, _), area = run.memory, stage.shape, stage.size()
    channels, *size = images[0].shape
    count = channels * math.prod(size)
    sums = memory.take("sums", (2 * count,), np.uint64 if run.deterministic else np.float32)
    sums.data.memset_async(0, sums.nbytes)
    numerator, weights = sums[:count], sums[count:]
    table = _covariance_table(stage.covariance)
    scale = None if stage.scale is None else memory.table(stage.scale)
    window = memory.table(np.concatenate([stage.window[1], stage.window[0]]))
    threads = -(-area // WARP) * WARP
    constants = (
        ("SLICES", thick), ("BLOCK", block), ("GROUP", stage.group),
        ("FIXED", int(run.deterministic)),
    )  # fmt: skip
    dimensions = tuple(np.int32(n) for n in size)
    layers = len(matches.slices)
    launch(
        name,
        constants,
        (len(matches.columns), len(matches.rows), channels * layers),
        (threads,),
        (
            *images, *dimensions, matches.slices, np.int32(layers), matches.rows, matches.columns,
            matches.offsets, matches.sizes, memory.table(_matrices(stage.forward)),
            memory.table(_matrices(stage.inverse)), window, memory.table(table.values),
            *(np.int32(number) for number in table[1:]),
            memory.table(stage.strength * stage.variances), scale,
            np.int32(0 if stage.scale is None or len(stage.scale) == 1 else stage.scale[0].size),
            numerator, weights,
        ),
        4 * (stage.group * area + stage.group**2 + 3 * stage.group + threads // WARP),
    )  # fmt: skip
    out = memory.take(name, images[0].shape, np.float32)
    across, down = DIVIDE
    launch(
        "bm4d_divide",
        constants,
        (-(-size[2] // across), -(-size[1] // down), channels * size[0]),
        DIVIDE,
        (numerator, weights, window, *dimensions, out),
    )
    run.tick(1)
    return out  # type: ignore[no-any-return]


def _matrices(matrices: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
    """The matrix of rows and columns, then that of slices."""
    return np.concatenate([matrices[1].ravel(), matrices[0].ravel()])


class CubeTable(NamedTuple):
    """`VolumeStage.covariance` as the kernels read it: an octant, where all signs are alike."""

    values: NDArray[np.float64]
    down: int  # from here on blocks share no noise
    across: int
    along: int
    layer: int  # numbers from one dz to the next
    line: int  # numbers from one dy to the next
    origin: int  # where displacement (0, 0, 0) begins, 0 if only magnitudes count
    apart: int  # numbers from channel to channel, 0 if there is one for all


def _covariance_table(covariance: NDArray[np.float64]) -> CubeTable:
    """Bring covariances to the layout of the kernels."""
    area = math.prod(covariance.shape[4:])
    across, along = covariance.shape[2] // 2, covariance.shape[3] // 2
    limit = 1e-7 * covariance.max()
    mirrored = all(
        np.allclose(covariance, np.flip(covariance, axis), rtol=0, atol=limit) for axis in (2, 3)
    )
    values = covariance[:, :, across:, along:] if mirrored else covariance
    values = np.ascontiguousarray(values)
    line = values.shape[3] * area
    # The last ones are 0 unless noise reaches farther than blocks of a group lie apart
    return CubeTable(
        values,
        down=values.shape[1] - (not values[:, -1].any()),
        across=across + 1 - (not values[:, :, -1].any()),
        along=along + 1 - (not values[:, :, :, -1].any()),
        layer=values.shape[2] * line,
        line=line,
        origin=0 if mirrored else across * line + along * area,
        apart=values[0].size if len(values) > 1 else 0,
    )
