"""Filtering stage for blocks of any sides on the CPU: parts of the references, on threads."""

from __future__ import annotations

import functools
import math
import threading

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, FloatArray
from fastrestore.backends.numba import _sides_filter, _variance
from fastrestore.backends.numba._pool import cut, reach, run_bands, span, useful
from fastrestore.backends.numba._sides_filter import Groups, Images, Reach, Rows, Tables
from fastrestore.backends.numba._sides_match import corners_of, match, samples_of, strides_of
from fastrestore.backends.numba._simd import aligned, aligned_copy
from fastrestore.backends.numba._tables import Same, size_shares, strength_table
from fastrestore.backends.protocol import Execution, Matches, Stage

__all__ = ["filter_groups", "match"]

# Done in a millisecond on one thread, to decide whether more threads help
COEFFICIENTS = 2.5e5

FAR = 2**31  # beyond any displacement
ROUNDING = 1e-12  # relative to the largest value of a row


def filter_groups(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """Filter blocks of any sides; see `fastrestore.backends.protocol.Backend.bm4d_filter`."""
    shape, axes = images[0].shape[1:], len(stage.shape)
    channels, samples = len(images[0]), math.prod(stage.shape)
    tables = _tables(stage)
    strides, counts = strides_of(shape), matches.sizes.shape
    corners = corners_of(matches.corners)
    offsets = matches.offsets.reshape(len(corners), -1, axes)
    numbers = np.arange(len(corners)).reshape(counts)
    total = np.zeros((2, *images[0].shape))
    lock = threading.Lock()
    along = int(np.argmax(counts))  # the axis that is divided

    def work(item: tuple[int, range]) -> None:
        c, part = item
        grid = matches.corners[along][span(part)]
        ends = reach(grid, shape[along], stage.shape[along], stage.radii[along])
        start = np.zeros(axes, np.int64)
        start[along] = ends.start
        size = list(shape)
        size[along] = len(ends) + stage.shape[along] - 1
        sums, own = np.zeros((2, *size)), strides_of(tuple(size))
        noisy, pilot = images[0][c].reshape(-1), images[-1][c].reshape(-1)
        places = Images(
            noisy, pilot, sums[0].reshape(-1), sums[1].reshape(-1), strides,
            samples_of(stage.shape, shape), own, samples_of(stage.shape, tuple(size)), start,
        )  # fmt: skip
        which = np.take(numbers, part, axis=along).reshape(-1)
        groups = Groups(corners, offsets, matches.sizes.reshape(-1), which)
        scratch = _sides_filter.scratch(samples, stage.group, axes)
        _sides_filter.filter_groups(
            places, groups, tables[c], _scale(stage, c), scratch, len(images) > 1
        )
        with lock:  # sums are exact: the order of parts does not matter
            where = [slice(None)] * axes
            where[along] = slice(ends.start, ends.start + size[along])
            total[:, c][(slice(None), *where)] += sums

    workers = useful(
        execution.workers, channels * matches.sizes.size * stage.group * samples / COEFFICIENTS
    )
    bands = cut(counts[along], 1 if workers == 1 else 2 * workers, 4, 2**31)
    parts = [(c, band) for c in range(channels) for band in bands]
    for _ in run_bands(work, parts, workers):
        execution.report_progress(1 / len(parts))
    return (total[0] / _windows(total[1], stage)).astype(np.float32)


def _windows(weights: FloatArray, stage: Stage) -> FloatArray:
    """Return the sums of the windows from the weight of every block (C, ...), at its corner."""
    for axis, window in enumerate(stage.windows, 1):
        if len(window) == 1:
            weights = weights * window[0]
            continue
        result = np.zeros_like(weights)
        rows, inner = math.prod(weights.shape[:axis]), math.prod(weights.shape[axis + 1 :])
        flat = weights.reshape(rows, -1), result.reshape(rows, -1)
        _sides_filter.spread_weights(*flat, window.copy(), inner)
        weights = result
    return weights


def _scale(stage: Stage, channel: int) -> tuple[NDArray[np.float32], NDArray[np.int64]] | None:
    """Return the noise of each block by its corner, and the strides."""
    if stage.scale is None:
        return None
    own = np.ascontiguousarray(stage.scale[min(channel, len(stage.scale) - 1)], np.float32)
    return own.reshape(-1), strides_of(own.shape)


def _tables(stage: Stage) -> list[Tables]:
    """Convert matrices to the layout of the kernels, for each channel."""
    sides = np.array(stage.shape, np.int64)
    forward, back = _rows(*(tuple(map(Same, each)) for each in (
        stage.transforms, stage.inverses, stage.windows
    )))  # fmt: skip
    length = _sides_filter.stride(math.prod(stage.shape))
    is_shared = not stage.covariance.flags.writeable
    convert = _shared_covariance if is_shared else _covariance
    covariance, layout = convert(Same(stage.covariance), len(sides), length)
    strength, shares = strength_table(stage, length), size_shares(stage)
    return [
        Tables(sides, forward, back, covariance[min(c, len(covariance) - 1)], layout, own, shares)
        for c, own in enumerate(strength)
    ]


@functools.lru_cache(16)
def _rows(
    transforms: tuple[Same, ...], inverses: tuple[Same, ...], windows: tuple[Same, ...]
) -> tuple[Rows, Rows]:
    """Return the rows of the transforms, and of their inverses times the window."""
    forward = [each.array for each in transforms]
    back = [m.array * w.array[:, None] for m, w in zip(inverses, windows, strict=True)]
    return _sparse(forward), _sparse(back)


def _sparse(matrices: list[FloatArray]) -> Rows:
    """Return the rows of matrices without zeros and the rounding errors of their inversion."""
    lines = [line for matrix in matrices for line in matrix]
    used = [np.flatnonzero(np.abs(line) > ROUNDING * np.abs(line).max()) for line in lines]
    starts = np.cumsum([0, *map(len, used)])
    values = np.concatenate([line[k] for line, k in zip(lines, used, strict=True)])
    return Rows(starts, np.concatenate(used), aligned_copy(values))


def _covariance(covariance: Same, axes: int, length: int) -> tuple[NDArray[np.float32], Reach]:
    """Return twice the covariances (C, values), and their layout."""
    tables = covariance.array
    shape = tables.shape[1 : 1 + axes]
    count = math.prod(shape)
    flat = aligned(len(tables) * count * length, np.float32).reshape(len(tables), count, length)
    flat[..., : math.prod(tables.shape[1 + axes :])] = 2 * tables.reshape(len(tables), count, -1)
    most = np.array([shape[0] - 1, *(n // 2 for n in shape[1:])], np.int64)
    steps = length * strides_of(shape)
    near = _variance.nearest(tables, tuple(most.tolist()))
    bounds = np.array([FAR if far == math.inf else int(far) for far in near], np.int64)
    origin = int((most * steps)[1:].sum())
    return flat.reshape(len(tables), -1), Reach(most, steps, bounds, origin)


_shared_covariance = functools.lru_cache(8)(_covariance)
