"""Gradients of the filtering stages of BM3D on the CPU: compiled kernels for bands, on threads."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, FloatArray, Image
from fastrestore.backends.numba import _backward_groups, _filter, _merge
from fastrestore.backends.numba._backward import Reach
from fastrestore.backends.numba._backward_groups import Blocks, Maps, Results, Tables
from fastrestore.backends.numba._filter import Groups, Sums
from fastrestore.backends.numba._match import narrow
from fastrestore.backends.numba._pool import cut, reach, run_bands, span
from fastrestore.backends.numba._simd import aligned, aligned_copy
from fastrestore.backends.numba._tables import even_odd, size_shares, strength_table
from fastrestore.backends.protocol import Execution, Gradients, Matches, Stage

__all__ = ["bm3d_backward"]

ALL = 2**15  # larger than any displacement of blocks

Part = tuple[int, range, range]  # channel, rows and columns of the references


class Call(NamedTuple):
    """Arguments of a call, and what its parts share."""

    images: tuple[Channels, ...]
    matches: Matches
    stage: Stage
    execution: Execution
    tables: list[Tables]

    @property
    def kinds(self) -> tuple[int, bool, bool]:
        """Return what a kernel is compiled for."""
        return self.stage.block, len(self.images) > 1, even_odd(self.stage.forward)

    def run(self, work: Callable[[Part], None]) -> None:
        """Call `work` for parts of the references, on threads."""
        bands = cut(len(self.matches.rows), 4 * self.execution.workers, 10, 24)
        pieces = cut(len(self.matches.columns), 1, 1, 192)
        channels = range(len(self.images[0]))
        parts = [(c, y, x) for c in channels for y in bands for x in pieces]
        list(run_bands(work, parts, self.execution.workers))

    def place(self, part: Part) -> tuple[range, range, Groups]:
        """Return rows and columns of all blocks of a part, and its groups."""
        _, down, across = part
        rows, columns = self.matches.rows[span(down)], self.matches.columns[span(across)]
        height, width = self.images[0].shape[1:]
        y = reach(rows, height, self.stage.block, self.stage.radius)
        x = reach(columns, width, self.stage.block, self.stage.radius)
        starts = down.start, across.start
        offsets, sizes = self.matches.offsets, self.matches.sizes
        return y, x, Groups(rows - y.start, columns - x.start, offsets, sizes, *starts)

    def lifted(self, image: Image, y: range, x: range, matrix: FloatArray) -> NDArray[np.float32]:
        """Transform columns of an image by a matrix (sample, coefficient), at every position."""
        block, lanes = self.stage.block, _filter.lanes(self.stage.block)
        out = np.empty((len(y), len(x) + block - 1, lanes), np.float32)
        lift = _lanes(matrix, lanes)
        _filter.lift_kernel(block)(image, y.start, x.start, lift, out)
        return out

    def factors(self, part: Part) -> NDArray[np.float32] | None:
        """Return zeros for the gradients of the factors of each row of references of a part."""
        if self.stage.factors is None:
            return None
        return aligned(len(part[1]) * len(self.tables[0].strength), np.float32)

    def scale(self, c: int, y: range, x: range) -> NDArray[np.float32] | None:
        """Return the scale of the noise in each block of a part."""
        if self.stage.scale is None:
            return None
        own = self.stage.scale[min(c, len(self.stage.scale) - 1)]
        return np.ascontiguousarray(own[span(y), span(x)], np.float32)


def bm3d_backward(
    gradient: Channels,
    estimate: Channels,
    images: tuple[Channels, ...],
    matches: Matches,
    stage: Stage,
    execution: Execution,
) -> Gradients:
    """See `fastrestore.backends.protocol.Backend`."""
    call = Call(images, narrow(matches), stage, execution, tables_of(stage))
    largest = float(np.abs(gradient).max())
    # Gradients of about 1, because sums of pixels have a fixed resolution and range
    exponent = math.frexp(largest)[1] if math.isfinite(largest) else 0
    passed = _divided(np.ldexp(gradient, -exponent), _weights(call), call)
    window = _windowed(estimate * passed, stage)
    sums, strength, levels, factors = _summed(call, passed, window)
    factor = math.ldexp(1.0, exponent)
    power = factor * strength.sum((1, 2), dtype=np.float64)
    used = stage.variances > 0
    return Gradients(
        tuple(factor * each.transpose(0, 2, 1) for each in sums),
        np.divide(power, stage.variances, where=used, out=np.zeros(len(power))),
        None if stage.scale is None else factor * _by_corner(levels, matches, window.shape),
        None if stage.factors is None else factor * _by_factor(factors, call),
    )


def tables_of(stage: Stage) -> list[Tables]:
    """Convert matrices and variances to the layout of the kernels, for each channel."""
    lanes, length = _filter.lanes(stage.block), _filter.stride(stage.block)
    windowed = stage.inverse * stage.window[:, None]
    strength, shares = strength_table(stage, length), size_shares(stage)
    covariance, layout = _covariance(stage, lanes, length)
    matrices = (stage.forward, windowed.T, stage.forward.T)
    forward, passed, horizontal = (aligned_copy(matrix) for matrix in matrices)
    vertical = aligned_copy(_lanes(stage.forward, lanes))
    return [
        Tables(
            forward, passed, horizontal, vertical, covariance[min(c, len(covariance) - 1)], layout,
            strength[c], shares,
        )
        for c in range(len(strength))
    ]  # fmt: skip


def _covariance(stage: Stage, lanes: int, length: int) -> tuple[NDArray[np.float32], Reach]:
    """Convert covariances of coefficients to the layout of the kernels, see `Reach`."""
    tables = stage.covariance.transpose(0, 1, 2, 4, 3)
    down, across = tables.shape[1] - 1, tables.shape[2] // 2
    ends = tables[:, -1], tables[:, :, [0, -1]]
    near = [
        far - 1 if not end.any() else ALL  # else blocks farther apart are correlated, too
        for far, end in zip((down, across), ends, strict=True)
    ]
    count = math.prod(tables.shape[:3])
    out = aligned(count * length, np.float32)
    padded = _lanes(tables, lanes).reshape(count, -1)
    out.reshape(count, length)[:, : padded.shape[1]] = padded
    last = (count // len(tables) - 1) * length if min(near) < ALL else -1
    layout = Reach(down, across, near[0], near[1], origin=across * length, far=last)
    return out.reshape(len(tables), -1), layout


def _lanes(matrix: NDArray[Any], lanes: int) -> NDArray[np.float32]:
    """Append zeros to the last axis."""
    out = np.zeros((*matrix.shape[:-1], lanes), np.float32)
    out[..., : matrix.shape[-1]] = matrix
    return out


def _weights(call: Call) -> NDArray[np.float64]:
    """Return the sums of the weights of groups by corner, transposed; with margins for `divide`."""
    channels, height, width = call.images[0].shape
    total, lock = _merge.zeros(channels, width + 2, height), threading.Lock()
    kernel = _backward_groups.weights_kernel(*call.kinds)

    def work(part: Part) -> None:
        c, (y, x, groups) = part[0], call.place(part)
        forward = call.stage.forward.T
        blocks = [call.lifted(image[c], y, x, forward) for image in call.images]
        maps = Maps(call.scale(c, y, x), np.zeros((1, 1), np.float32))
        sums = np.zeros((len(x), len(y)))
        scratch = _backward_groups.scratch(call.stage.block, call.stage.group)
        kernel(
            Blocks(blocks[0], blocks[-1], blocks[0]), groups, call.tables[c], maps, sums, scratch
        )
        with lock:  # sums are exact: the order of parts does not matter
            _merge.merge(total[c], sums, 1 + x.start, y.start, len(y))

    call.run(work)
    return total


def _divided(gradient: Channels, weights: NDArray[np.float64], call: Call) -> Channels:
    """Divide a gradient by the sums of the windows, for the gradient of the numerator."""
    channels, height, width = gradient.shape
    numerator = _merge.zeros(channels, width, height)
    numerator[:] = gradient.transpose(0, 2, 1)
    out, window = np.empty(gradient.shape, np.float32), np.ascontiguousarray(call.stage.window)

    def work(part: tuple[int, range]) -> None:
        c, band = part
        padded = -(-len(band) // _merge.LANES) * _merge.LANES
        lines = np.empty((call.stage.block + _merge.LANES, padded))
        sums = Sums(numerator[c], weights[c])
        _merge.divide(sums, window, band.start, band.stop, lines, out[c])

    workers = call.execution.workers
    bands = [(c, band) for c in range(channels) for band in cut(height, 4 * workers, 16, 64)]
    list(run_bands(work, bands, workers))
    return out


def _windowed(values: Channels, stage: Stage) -> NDArray[np.float32]:
    """Return the sums of pixels times the window, by the corner of a block."""
    sums = values.astype(np.float64)
    for axis in (1, 2):
        size = sums.shape[axis] - stage.block + 1
        moved = np.moveaxis(sums, axis, 0)
        parts = (factor * moved[n : n + size] for n, factor in enumerate(stage.window))
        sums = np.moveaxis(sum(parts), 0, axis)
    return np.ascontiguousarray(sums, np.float32)


class Summed(NamedTuple):
    """Gradients of the images, transposed, of the noise by group, and of the factors."""

    images: NDArray[np.float64]
    strength: NDArray[np.float32]
    levels: NDArray[np.float32]
    factors: dict[tuple[int, int, int], NDArray[np.float32]]  # by the place of a part


def _summed(call: Call, passed: Channels, window: NDArray[np.float32]) -> Summed:
    """Add the gradients of all groups."""
    channels, height, width = call.images[0].shape
    stage, count = call.stage, len(call.images)
    total, lock = np.zeros((count, channels, width, height)), threading.Lock()
    sizes = call.matches.sizes.shape
    strength = np.zeros((channels, *sizes), np.float32)
    most = 0 if stage.scale is None else max(2, stage.group)
    levels = np.zeros((channels, *sizes, most), np.float32)
    factors: dict[tuple[int, int, int], NDArray[np.float32]] = {}
    transposed = stage.inverse * stage.window[:, None]
    kernel = _backward_groups.backward_kernel(*call.kinds, even_odd(transposed.T))

    def work(part: Part) -> None:
        c, (y, x, groups) = part[0], call.place(part)
        blocks = [call.lifted(image[c], y, x, stage.forward.T) for image in call.images]
        given = call.lifted(passed[c], y, x, transposed)
        across, down = len(x) + stage.block - 1, len(y) - 1 + _filter.lanes(stage.block)
        sums = np.zeros((2, across, down))
        maps = Maps(call.scale(c, y, x), np.ascontiguousarray(window[c][span(y), span(x)]))
        own = call.factors(part)
        kernel(
            Blocks(blocks[0], blocks[-1], given), groups, call.tables[c], maps,
            Results(sums[0], sums[1], strength[c], levels[c], own),
            _backward_groups.scratch(stage.block, stage.group),
        )  # fmt: skip
        bottom = len(y) + stage.block - 1
        with lock:  # sums are exact: the order of parts does not matter
            if own is not None:
                factors[c, part[2].start, part[1].start] = own
            for k in range(count):
                _merge.merge(total[k, c], sums[k], x.start, y.start, bottom)

    call.run(work)
    return Summed(total, strength, levels, factors)


def _by_factor(
    factors: dict[tuple[int, int, int], NDArray[np.float32]], call: Call
) -> NDArray[np.float64]:
    """Add the gradients of the factors over channels and rows of references, in their order."""
    stage, block = call.stage, call.stage.block
    rows = np.concatenate([factors[place] for place in sorted(factors)])
    sums = rows.reshape(-1, len(call.tables[0].strength)).sum(0, dtype=np.float64)
    sums = sums.reshape(-1, _filter.stride(block))[:, : block * _filter.lanes(block)]
    sums = sums.reshape(len(sums), block, -1)[..., :block].transpose(0, 2, 1)
    assert stage.factors is not None
    out = np.zeros(stage.factors.shape)  # may have rows for larger groups
    count = min(len(out), len(sums))
    out[:count] = sums[:count] if len(call.images) == 1 else -0.5 * sums[:count]
    return out


def _by_corner(
    levels: NDArray[np.float32], matches: Matches, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Add numbers of the blocks of groups (C, rows, columns, blocks) by corner."""
    levels = levels.copy()
    single = matches.sizes == 1  # was filtered as a pair of equal blocks
    levels[:, single, 0] += levels[:, single, 1]
    used = np.arange(matches.offsets.shape[2]) < matches.sizes[..., None]
    y = matches.rows[:, None, None] + matches.offsets[..., 0]
    x = matches.columns[None, :, None] + matches.offsets[..., 1]
    places = (y * shape[2] + x)[used]
    size = shape[1] * shape[2]
    sums = [np.bincount(places, each[..., : used.shape[2]][used], size) for each in levels]
    return np.array(sums, np.float64).reshape(shape)
