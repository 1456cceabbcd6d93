"""Filtering stages of BM3D on the CPU: compiled kernels for bands of references, on threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, Image
from fastrestore.backends.numba import _filter, _merge, _variance
from fastrestore.backends.numba._filter import Blocks, Groups, Sums, Tables
from fastrestore.backends.numba._pool import cut, reach, run_bands, span, useful
from fastrestore.backends.numba._simd import aligned, aligned_copy
from fastrestore.backends.protocol import Execution, Matches, Stage

if TYPE_CHECKING:
    from fastrestore.backends.numba import _cubes_filter

__all__ = ["bm3d_filter"]

# Done in a millisecond on one thread, to decide whether more threads help
COEFFICIENTS, PIXELS = 4.5e5, 2e5


def filter_tables(stage: Stage) -> list[Tables]:
    """Convert matrices to the layout of the kernels, for each channel; unused lanes are zero."""
    size, lanes, length = stage.block, _filter.lanes(stage.block), _filter.stride(stage.block)
    lift, vertical = np.zeros((2, size, lanes), np.float32)
    lift[:, :size] = stage.forward.T
    back = stage.inverse * stage.window[:, None]
    vertical[:, :size] = back.T
    matrices = (lift, stage.forward, back, vertical)
    first, *others = channel_tables(stage, matrices, *_covariance(stage), length)
    return [first._replace(root=np.float32(stage.root)), *others]


def channel_tables(
    stage: Stage,
    matrices: tuple[NDArray[Any], ...],
    covariance: NDArray[np.float32],
    layout: _variance.Reach | _cubes_filter.Reach,
    length: int,
) -> list[Tables]:
    """Combine the matrices that all channels share with the numbers of each channel."""
    lift, forward, horizontal, vertical = map(aligned_copy, matrices)
    strength = np.empty((len(stage.variances), 2 * length), np.float32)
    strength[:] = (stage.strength * stage.variances)[:, None]
    strength[:, 0] = 0  # the mean of a group is not changed
    return [
        Tables(
            lift,
            forward,
            horizontal,
            vertical,
            covariance=covariance[min(c, len(covariance) - 1)],
            reach=layout,
            strength=strength[c],
            root=np.float32(1),
        )
        for c in range(len(strength))
    ]


def _covariance(stage: Stage) -> tuple[NDArray[np.float32], _variance.Reach]:
    """Convert covariances to the layout of the kernels: one quadrant if they are symmetric."""
    size, lanes, length = stage.block, _filter.lanes(stage.block), _filter.stride(stage.block)
    tables = stage.covariance.transpose(0, 1, 2, 4, 3)
    across = tables.shape[2] // 2
    apart = np.abs(tables[:, :, :across] - tables[:, :, : -across - 1 : -1])
    mirrored = bool(apart.max(initial=0) <= 1e-7 * tables.max())
    if mirrored:
        tables = tables[:, :, across:]
    down = tables.shape[1] - 1
    out = np.zeros((*tables.shape[:3], size, lanes), np.float32)
    out[..., :size] = tables
    flat = aligned(out[..., 0, 0].size * length, np.float32)
    flat.reshape(-1, length)[:, : size * lanes] = out.reshape(-1, size * lanes)
    line, origin = tables.shape[2] * length, 0 if mirrored else across * length
    return flat.reshape(len(tables), -1), _variance.Reach(down, across, line, origin)


def even_odd(matrix: NDArray[np.float64]) -> bool:
    """Whether the rows of a transform are alternately even and odd, as those of the DCT."""
    signs = (-1.0) ** np.arange(len(matrix))[:, None]
    return np.allclose(matrix, signs * matrix[:, ::-1], atol=1e-12)


def bm3d_filter(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    tables, block, lanes = filter_tables(stage), stage.block, _filter.lanes(stage.block)
    lift = _filter.lift_kernel(block)
    kernel = _filter.filter_kernel(block, len(images) > 1, even_odd(stage.forward))
    channels, height, width = images[0].shape
    # Transposed, because the kernel finishes blocks column by column; margins for `divide`
    total = Sums(_merge.zeros(channels, width, height), _merge.zeros(channels, width + 2, height))
    lock = threading.Lock()

    def lifted(image: Image, y: range, x: range) -> NDArray[np.float32]:
        out = np.empty((len(y), len(x) + block - 1, lanes), np.float32)
        lift(image, y.start, x.start, tables[0].lift, out)
        return out

    def work(part: tuple[int, range, range]) -> None:
        c, down, across = part
        rows, columns = matches.rows[span(down)], matches.columns[span(across)]
        y = reach(rows, height, block, stage.radius)
        x = reach(columns, width, block, stage.radius)
        blocks = [lifted(image[c], y, x) for image in images]
        groups = Groups(
            rows - y.start, columns - x.start, matches.offsets, matches.sizes, down.start,
            across.start,
        )  # fmt: skip
        scale = None
        if stage.scale is not None:
            own = stage.scale[min(c, len(stage.scale) - 1)]
            scale = np.ascontiguousarray(own[span(y), span(x)])
        sums = Sums(*np.zeros((2, len(x) + block - 1, len(y) - 1 + lanes)))
        scratch = _filter.scratch(block, stage.group)
        kernel(Blocks(blocks[0], blocks[-1]), groups, tables[c], scale, sums, scratch)
        bottom = len(y) + block - 1
        with lock:  # sums are exact: the order of parts does not matter
            _merge.merge(total.numerator[c], sums.numerator, x.start, y.start, bottom)
            _merge.merge(total.weights[c], sums.weights, 1 + x.start, y.start, bottom)

    # Bands of wide images are divided, so that what a part reads and writes stays in the cache
    pieces = cut(len(matches.columns), 1, 1, 192)
    coefficients = channels * matches.sizes.size * stage.group * block**2
    workers = useful(execution.workers, coefficients / COEFFICIENTS)
    bands = cut(len(matches.rows), 1 if workers == 1 else 4 * workers, 10, 24)
    parts = [(c, y, x) for c in range(channels) for y in bands for x in pieces]
    for _ in run_bands(work, parts, workers):
        execution.report_progress(1 / len(parts))
    return _divided(total, stage, execution)


def _divided(total: Sums, stage: Stage, execution: Execution) -> Channels:
    """Normalize the sums, on threads."""
    channels, width, height = total.numerator.shape
    out = np.empty((channels, height, width), np.float32)
    window = np.ascontiguousarray(stage.window)

    def work(part: tuple[int, range]) -> None:
        c, band = part
        lines = np.empty((stage.block + _merge.LANES, -(-len(band) // _merge.LANES) * _merge.LANES))
        sums = Sums(total.numerator[c], total.weights[c])
        _merge.divide(sums, window, band.start, band.stop, lines, out[c])

    workers = useful(execution.workers, total.numerator.size / PIXELS)
    bands = cut(height, 4 * workers, 16, 64)
    list(run_bands(work, [(c, band) for c in range(channels) for band in bands], workers))
    return out
