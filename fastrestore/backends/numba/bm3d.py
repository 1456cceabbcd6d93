"""The stages of BM3D on the CPU: bands of reference blocks on threads, compiled kernels inside."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._collaborative.stage import Channels, Image, Matches, Run, Stage, reference_grid
from fastrestore.backends.numba import _candidates, _filter, _match, _merge, _variance
from fastrestore.backends.numba._pool import cut, run_bands
from fastrestore.backends.numba._simd import aligned

# Weighted pixels are summed in multiples of this. A float64 sum of multiples of q is exact, hence
# independent of its order, while it stays under 2**53 q; a pixel is a sum of some hundred to ten
# thousand numbers of the size of the data, which is about 1. And 2**-34 is far below what
# float32 can tell apart, also in a block of weight 1/1024.
QUANTUM = 2.0**-34

__all__ = ["bm3d_basic", "bm3d_final", "bm3d_match"]


def bm3d_match(image: Image, stage: Stage, run: Run) -> Matches:
    """See `fastrestore.backends.protocol.Backend`."""
    rows = reference_grid(image.shape[0], stage.block, stage.step)
    columns = reference_grid(image.shape[1], stage.block, stage.step)
    shape = (len(rows), len(columns))
    offsets = np.zeros((*shape, stage.group, 2), np.int16)
    count = np.ones(shape, np.int16)
    kernel = _match.match_kernel(stage.block, stage.step)
    table = _match.displacements(stage.radius)
    bias = _match.biases(stage.match_bias, table, -(-stage.block // stage.step))
    # The kernel keeps what is at most the bound, a match is strictly less. It reads bounds by
    # whole vectors, also those of references that do not exist.
    thresholds = stage.thresholds(rows, columns)
    bounds = np.full((len(rows), len(columns) + _candidates.LANES), -1, np.float32)
    bounds[:, : len(columns)] = np.nextafter(thresholds, np.float32(-1))
    bounds[bounds < 0] = -1

    def work(part: tuple[range, range]) -> None:
        y, x = part
        planes = _planes(image, rows[_slice(y)], columns[_slice(x)], stage)
        scratch = _match.scratch(stage.block, stage.step, len(y), stage.group)
        kernel(
            planes, len(y), len(x), table, bias, stage.radius, bounds, y.start, x.start, offsets,
            count, scratch,
        )  # fmt: skip

    if stage.group > 1:
        bands = cut(len(rows), 2 * run.workers, 8, 48)
        parts = [
            (y, x)
            for x in regular(columns, stage.step)
            for band in bands
            for y in regular(rows[band.start : band.stop], stage.step, band.start)
        ]
        for _ in run_bands(work, parts, run.workers):
            run.tick(1 / len(parts))
    return Matches(rows, columns, offsets, count)


def regular(grid: NDArray[np.int64], step: int, start: int = 0) -> list[range]:
    """Cut off the last reference if it is nearer to its neighbour than a step."""
    size = len(grid)
    if size > 1 and grid[-1] - grid[-2] != step:
        return [range(start, start + size - 1), range(start + size - 1, start + size)]
    return [range(start, start + size)]


def _planes(
    image: Image, rows: NDArray[np.int64], columns: NDArray[np.int64], stage: Stage
) -> NDArray[np.float32]:
    """De-interleave what a band of references reads, see `_match`."""
    step = stage.step
    margin = -(-stage.radius // step)
    history = (stage.block - 1) // step
    useful = _candidates.LANES - history
    down = len(rows) + history + 2 * margin + 1
    across = (len(columns) - 1) // useful * useful + _candidates.LANES + 2 * margin + 2
    planes = np.empty((step, step, down, across), np.float32)
    corner = rows[0] - margin * step, columns[0] - margin * step
    _match.deinterleave(image, *corner, step, planes)
    return planes


def bm3d_basic(noisy: Channels, matches: Matches, stage: Stage, run: Run) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    return _filtered(noisy, None, matches, stage, run)


def bm3d_final(
    noisy: Channels, pilot: Channels, matches: Matches, stage: Stage, run: Run
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    return _filtered(noisy, pilot, matches, stage, run)


class _Tables(NamedTuple):
    """The numbers of a stage in the layout of the kernels."""

    lift: NDArray[np.float32]  # (N, lanes): sample, coefficient
    forward: NDArray[np.float32]  # (N * N,): coefficient, sample
    horizontal: NDArray[np.float32]  # (N * N,): pixel, coefficient; times the window
    vertical: NDArray[np.float32]  # (N, lanes): coefficient, pixel; times the window
    covariance: NDArray[np.float32]  # (1 or channels, places * length): see group_variance
    reach: _variance.Reach
    strength: NDArray[np.float32]  # (channels, 2 * length)


def filter_tables(stage: Stage) -> _Tables:
    """Bring matrices to the layout of the kernels; lanes beyond the block stay zero."""
    size, lanes, length = stage.block, _filter.lanes(stage.block), _filter.stride(stage.block)
    lift = np.zeros((size, lanes), np.float32)
    lift[:, :size] = stage.forward.T
    back = stage.inverse * stage.window[:, None]
    vertical = np.zeros((size, lanes), np.float32)
    vertical[:, :size] = back.T
    covariance, reach = _covariance(stage)
    strength = np.empty((len(stage.variances), 2 * length), np.float32)
    strength[:] = (stage.strength * stage.variances)[:, None]
    strength[:, 0] = 0  # the mean of a group passes
    horizontal = np.ascontiguousarray(back, np.float32)
    forward = np.ascontiguousarray(stage.forward, np.float32)
    lift, forward, horizontal, vertical = (
        _aligned(table.reshape(-1)) for table in (lift, forward, horizontal, vertical)
    )
    return _Tables(lift, forward, horizontal, vertical, covariance, reach, strength)


def _covariance(stage: Stage) -> tuple[NDArray[np.float32], _variance.Reach]:
    """Covariances as the kernel reads them: one quadrant, where left and right are alike."""
    size, lanes, length = stage.block, _filter.lanes(stage.block), _filter.stride(stage.block)
    tables = stage.covariance.transpose(0, 1, 2, 4, 3)
    mirrored = np.allclose(tables, tables[:, :, ::-1], rtol=0, atol=1e-7 * tables.max())
    across = tables.shape[2] // 2
    if mirrored:
        tables = tables[:, :, across:]
    down = tables.shape[1] - 1
    out = np.zeros((*tables.shape[:3], size, lanes), np.float32)
    out[..., :size] = tables
    flat = aligned(out[..., 0, 0].size * length, np.float32)
    flat[:] = 0
    flat.reshape(-1, length)[:, : size * lanes] = out.reshape(-1, size * lanes)
    reach = _variance.Reach(
        down, across, tables.shape[2] * length, 0 if mirrored else across * length
    )
    return flat.reshape(len(tables), -1), reach


def _aligned(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Copy to memory that begins on a cache line."""
    out = aligned(len(values), np.float32)
    out[:] = values
    return out


def even_odd(stage: Stage) -> bool:
    """Whether the rows of the transform are even and odd in turn, as those of the DCT."""
    signs = (-1.0) ** np.arange(stage.block)[:, None]
    return np.allclose(stage.forward, signs * stage.forward[:, ::-1], atol=1e-12)


def _filtered(
    noisy: Channels, pilot: Channels | None, matches: Matches, stage: Stage, run: Run
) -> Channels:
    """Filter all groups and lay them down."""
    tables = filter_tables(stage)
    lift = _filter.lift_kernel(stage.block)
    kernel = _filter.filter_kernel(stage.block, pilot is not None, even_odd(stage))
    rounder = np.float32(1.5 * 2**23 * QUANTUM)
    channels, height, width = noisy.shape
    # Transposed, because the kernel finishes blocks column by column.
    numerator = np.zeros((channels, width, height), np.float64)
    weights = np.zeros((channels, width + 2, height), np.float64)  # see `divide`
    lock = threading.Lock()
    covariance = tables.covariance
    lanes = _filter.lanes(stage.block)

    def lifted(image: Image, y: range, x: range) -> NDArray[np.float32]:
        out = np.empty((len(y), len(x) + stage.block - 1, lanes), np.float32)
        lift(image, y.start, x.start, tables.lift, out)
        return out

    def work(part: tuple[int, range, range]) -> None:
        c = part[0]
        rows, columns = matches.rows[_slice(part[1])], matches.columns[_slice(part[2])]
        y, x = _reach(rows, height, stage), _reach(columns, width, stage)
        blocks = lifted(noisy[c], y, x)
        guide = blocks if pilot is None else lifted(pilot[c], y, x)
        shape = (len(x) + stage.block - 1, len(y) - 1 + lanes)
        sums, sum_weights = np.zeros(shape), np.zeros(shape)
        scale = None
        if stage.scale is not None:
            scale = np.ascontiguousarray(
                stage.scale[min(c, len(stage.scale) - 1)][y.start : y.stop, x.start : x.stop]
            )
        kernel(
            blocks, guide, rows - y.start, columns - x.start, matches.offsets, matches.sizes,
            part[1].start, part[2].start, tables.forward, tables.horizontal, tables.vertical,
            covariance[min(c, len(covariance) - 1)], tables.reach, tables.strength[c],
            np.float32(1 if c else stage.root), scale, rounder, sums, sum_weights,
            _filter.scratch(stage.block, stage.group),
        )  # fmt: skip
        with lock:  # sums are exact: the order of parts does not matter
            bottom = len(y) + stage.block - 1
            _merge.merge(numerator[c], sums, x.start, y.start, bottom)
            _merge.merge(weights[c], sum_weights, 1 + x.start, y.start, bottom)

    # Of a wide image parts of a band, so that what they read and write stays in the cache
    across = cut(len(matches.columns), 1, 1, 192)
    down = cut(len(matches.rows), 4 * run.workers, 4, 24)
    parts = [(c, y, x) for c in range(channels) for y in down for x in across]
    for _ in run_bands(work, parts, run.workers):
        run.tick(1 / len(parts))
    return _divided(numerator, weights, stage, run)


def _slice(part: range) -> slice:
    return slice(part.start, part.stop)


def _reach(corners: NDArray[np.int64], size: int, stage: Stage) -> range:
    """Corners of all blocks that groups with these references may have, along one axis."""
    first = max(0, int(corners[0]) - stage.radius)
    last = min(size - stage.block, int(corners[-1]) + stage.radius)
    return range(first, last + 1)


def _divided(
    numerator: NDArray[np.float64], weights: NDArray[np.float64], stage: Stage, run: Run
) -> Channels:
    """Normalise the sums, on threads."""
    channels, width, height = numerator.shape
    out = np.empty((channels, height, width), np.float32)
    window = np.ascontiguousarray(stage.window)

    def work(part: tuple[int, range]) -> None:
        c, band = part
        lines = np.empty((stage.block + 1, -(-len(band) // _merge.LANES) * _merge.LANES))
        _merge.divide(numerator[c], weights[c], window, band.start, band.stop, lines, out[c])

    bands = cut(height, 4 * run.workers, 16, 64)
    for _ in run_bands(work, [(c, band) for c in range(channels) for band in bands], run.workers):
        pass
    return out
