"""The stages of BM4D on the CPU: parts of the reference blocks on threads, compiled kernels."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._collaborative.stage import Run
from fastrestore._collaborative.volume_stage import CubeMatches, Volume, Volumes, VolumeStage
from fastrestore.backends.numba import _candidates, _cubes_filter, _cubes_match, _cubes_merge
from fastrestore.backends.numba._pool import cut, run_bands
from fastrestore.backends.numba._simd import aligned
from fastrestore.backends.numba.bm3d import QUANTUM, regular

__all__ = ["bm4d_basic", "bm4d_final", "bm4d_match"]

Part = tuple[range, range, range]  # of references: slices, rows, columns


def bm4d_match(volume: Volume, stage: VolumeStage, run: Run) -> CubeMatches:
    """See `fastrestore.backends.protocol.VolumeBackend`."""
    slices, rows, columns = stage.grids(volume.shape)
    shape = (len(slices), len(rows), len(columns))
    offsets = np.zeros((*shape, stage.group, 3), np.int16)
    count = np.ones(shape, np.int16)
    kernel = _cubes_match.match_kernel(stage.shape[0], stage.shape[1], stage.step[2])
    bounds = _bounds(stage, (slices, rows, columns))
    groups = regular(columns, stage.step[2])
    planes = {part: _planes(volume, columns[_slice(part)], stage, run) for part in groups}

    def work(part: tuple[int, range, range]) -> None:
        h, y, x = part
        z = int(slices[h])
        last = volume.shape[0] - stage.shape[0]
        table = _cubes_match.displacements(stage.radius, z, last - z)
        bias = _cubes_match.biases(stage.match_bias, table)
        kernel(
            planes[x], z, int(rows[y.start]) + stage.radius[1], len(y), len(x), table, bias,
            stage.radius, bounds[h], y.start, x.start, offsets[h], count[h],
            _cubes_match.scratch(stage.shape, stage.step[2], len(y), stage.group),
        )  # fmt: skip

    if stage.group > 1:
        bands = [
            y
            for band in cut(len(rows), 1, 4, 12)
            for y in regular(rows[_slice(band)], stage.step[1], band.start)
        ]
        parts = [(h, y, x) for h in range(shape[0]) for y in bands for x in groups]
        for _ in run_bands(work, parts, run.workers):
            run.tick(1 / len(parts))
    return CubeMatches(slices, rows, columns, offsets, count)


def _bounds(stage: VolumeStage, grids: tuple[NDArray[np.int64], ...]) -> NDArray[np.float32]:
    """Largest distance of each reference: see `fastrestore.backends.numba.bm3d.bm3d_match`."""
    shape = tuple(len(grid) for grid in grids)
    thresholds = np.full(shape, stage.match, np.float32)
    if stage.match_map is not None:
        thresholds = stage.match_map[np.ix_(*grids)]
    bounds = np.full((*shape[:2], shape[2] + _candidates.LANES), -1, np.float32)
    bounds[..., : shape[2]] = np.nextafter(thresholds, np.float32(-1))
    bounds[bounds < 0] = -1
    return bounds


def _planes(
    volume: Volume, columns: NDArray[np.int64], stage: VolumeStage, run: Run
) -> NDArray[np.float32]:
    """De-interleave what references at these columns read, see `_cubes_match`."""
    step, radius = stage.step[2], stage.radius[1]
    margin = -(-radius // step)
    useful = _candidates.LANES - (stage.shape[2] - 1) // step
    across = (len(columns) - 1) // useful * useful + _candidates.LANES + 2 * margin + 2
    down = volume.shape[1] + 2 * radius + step  # a block may need less than its last whole step
    planes = np.empty((step, len(volume), down, across), np.float32)

    def work(z: int) -> None:
        _cubes_match.deinterleave(volume, z, -radius, columns[0] - margin * step, step, planes)

    for _ in run_bands(work, list(range(len(volume))), run.workers):
        pass
    return planes


def bm4d_basic(noisy: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run) -> Volumes:
    """See `fastrestore.backends.protocol.VolumeBackend`."""
    return _filtered(noisy, None, matches, stage, run)


def bm4d_final(
    noisy: Volumes, pilot: Volumes, matches: CubeMatches, stage: VolumeStage, run: Run
) -> Volumes:
    """See `fastrestore.backends.protocol.VolumeBackend`."""
    return _filtered(noisy, pilot, matches, stage, run)


class _Tables(NamedTuple):
    """The numbers of a stage in the layout of the kernels; see `numba.bm3d`."""

    lift: NDArray[np.float32]  # (slices * rows, lanes): sample, coefficient
    forward: NDArray[np.float32]  # (N * N,)
    horizontal: NDArray[np.float32]  # (N * N,), times the window
    vertical: NDArray[np.float32]  # (slices * rows, lanes): coefficient, voxel; times the window
    covariance: NDArray[np.float32]  # (1 or channels, places * length)
    reach: _cubes_filter.Reach
    strength: NDArray[np.float32]  # (channels, 2 * length)


def _tables(stage: VolumeStage) -> _Tables:
    """Bring matrices to the layout of the kernels; lanes beyond the block stay zero."""
    thick, block = stage.shape[:2]
    lanes, length = _cubes_filter.lanes(thick, block), _cubes_filter.stride(thick, block)
    back = [m * w[:, None] for m, w in zip(stage.inverse, stage.window, strict=True)]
    own = thick * block
    lift, vertical = np.zeros((2, own, lanes), np.float32)
    lift[:, :own] = np.einsum("az,by->zyab", *stage.forward[:2]).reshape(own, own)
    vertical[:, :own] = np.einsum("za,yb->abzy", *back[:2]).reshape(own, own)
    covariance, reach = _covariance(stage)
    strength = np.empty((len(stage.variances), 2 * length), np.float32)
    strength[:] = (stage.strength * stage.variances)[:, None]
    strength[:, 0] = 0  # the mean of a group passes
    flat = (_aligned(table) for table in (lift, stage.forward[2], back[2], vertical))
    lift, forward, horizontal, vertical = flat
    return _Tables(lift, forward, horizontal, vertical, covariance, reach, strength)


def _covariance(stage: VolumeStage) -> tuple[NDArray[np.float32], _cubes_filter.Reach]:
    """Covariances as the kernel reads them: one octant, where all signs are alike."""
    thick, block = stage.shape[:2]
    length = _cubes_filter.stride(thick, block)
    tables = stage.covariance
    limit = 1e-7 * tables.max()
    mirrored = all(
        np.allclose(tables, np.flip(tables, axis), rtol=0, atol=limit) for axis in (2, 3)
    )
    down, across, along = tables.shape[1] - 1, tables.shape[2] // 2, tables.shape[3] // 2
    if mirrored:
        tables = tables[:, :, across:, along:]
    count, shape = len(tables), tables.shape[1:4]
    flat = aligned(count * int(np.prod(shape)) * length, np.float32)
    out = flat.reshape(count, *shape, length)
    out[:] = 0
    one = np.moveaxis(tables, 6, 4)  # a block is columns of (slices, rows)
    out[..., : thick * block**2] = one.reshape(count, *shape, -1)
    stretch = shape[2] * length
    layer = shape[1] * stretch
    origin = 0 if mirrored else across * stretch + along * length
    reach = _cubes_filter.Reach(down, across, along, layer, stretch, origin)
    return flat.reshape(count, -1), reach


def _aligned(values: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Copy to flat memory that begins on a cache line."""
    out = aligned(values.size, np.float32)
    out[:] = values.reshape(-1)
    return out


def _even_odd(stage: VolumeStage) -> bool:
    """Whether the rows of the transform are even and odd in turn, as those of the DCT."""
    matrix = stage.forward[2]
    signs = (-1.0) ** np.arange(len(matrix))[:, None]
    return np.allclose(matrix, signs * matrix[:, ::-1], atol=1e-12)


def _filtered(
    noisy: Volumes, pilot: Volumes | None, matches: CubeMatches, stage: VolumeStage, run: Run
) -> Volumes:
    """Filter all groups and lay them down."""
    thick, block = stage.shape[:2]
    tables, lanes = _tables(stage), _cubes_filter.lanes(thick, block)
    lift = _cubes_filter.lift_kernel(thick, block)
    kernel = _cubes_filter.filter_kernel(thick, block, pilot is not None, _even_odd(stage))
    rounder = np.float32(1.5 * 2**23 * QUANTUM)
    channels, depth, height, width = noisy.shape
    numerator = np.zeros((channels, width, depth, height))
    weights = np.zeros((channels, width, depth, height))
    lock = threading.Lock()

    def lifted(volume: Volume, z: range, y: range, x: range) -> NDArray[np.float32]:
        out = np.empty((len(z), len(y), len(x) + block - 1, lanes), np.float32)
        lift(volume, z.start, y.start, x.start, tables.lift, out)
        return out

    def work(item: tuple[int, Part]) -> None:
        c, part = item
        grids = matches[:3]
        corners = [grid[_slice(one)] for grid, one in zip(grids, part, strict=True)]
        z, y, x = reach = [
            _reach(*axis)
            for axis in zip(corners, noisy.shape[1:], stage.shape, stage.radius, strict=True)
        ]
        blocks = lifted(noisy[c], *reach)
        guide = blocks if pilot is None else lifted(pilot[c], *reach)
        rows = len(y) - 1 + _cubes_filter.line(block)
        sums, sum_weights = np.zeros((2, len(x) + block - 1, len(z) + thick - 1, rows))
        scale = None
        if stage.scale is not None:
            own = stage.scale[min(c, len(stage.scale) - 1)]
            scale = np.ascontiguousarray(own[tuple(map(_slice, reach))])
        z0, y0, x0 = (grid - one.start for grid, one in zip(corners, reach, strict=True))
        kernel(
            blocks, guide, z0, y0, x0, matches.offsets, matches.sizes,
            tuple(one.start for one in part), tables.forward, tables.horizontal, tables.vertical,
            tables.covariance[min(c, len(tables.covariance) - 1)], tables.reach,
            tables.strength[c], scale, rounder, sums, sum_weights,
            _cubes_filter.scratch(thick, block, stage.group),
        )  # fmt: skip
        place = np.s_[x.start : x.stop + block - 1, z.start : z.stop + thick - 1,
                      y.start : y.stop + block - 1]  # fmt: skip
        with lock:  # sums are exact: the order of parts does not matter
            _cubes_merge.merge(numerator[c][place], sums)
            _cubes_merge.merge(weights[c][place], sum_weights)

    parts = [(c, part) for c in range(channels) for part in _parts(matches.sizes.shape, run)]
    for _ in run_bands(work, parts, run.workers):
        run.tick(1 / len(parts))
    return _divided(numerator, weights, stage, run)


def _parts(shape: tuple[int, ...], run: Run) -> Iterator[Part]:
    """Cut the references so that what a part reads stays in the cache."""
    slices, rows, columns = shape
    for z in cut(slices, 1, 1, 8):
        for y in cut(rows, 2 * run.workers, 4, 24):
            for x in cut(columns, 1, 1, 64):
                yield z, y, x


def _slice(part: range) -> slice:
    return slice(part.start, part.stop)


def _reach(corners: NDArray[np.int64], size: int, block: int, radius: int) -> range:
    """Corners of all blocks that groups with these references may have, along one axis."""
    first = max(0, int(corners[0]) - radius)
    last = min(size - block, int(corners[-1]) + radius)
    return range(first, last + 1)


def _divided(
    numerator: NDArray[np.float64], weights: NDArray[np.float64], stage: VolumeStage, run: Run
) -> Volumes:
    """Normalise the sums, on threads."""
    channels, width, depth, height = numerator.shape
    out = np.empty((channels, depth, height, width), np.float32)
    slices, rows, columns = stage.window

    def work(part: tuple[int, int]) -> None:
        c, z = part
        layer = np.zeros((2, width, height))
        _cubes_merge.divide(numerator[c], weights[c], slices, rows, columns, z, layer, out[c, z])

    for _ in run_bands(work, [(c, z) for c in range(channels) for z in range(depth)], run.workers):
        pass
    return out
