"""Filtering stage for blocks of any sides on the CPU: parts of the references, on threads."""

from __future__ import annotations

import math
import threading

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, FloatArray
from fastrestore.backends.numba import _sides_filter, _variance
from fastrestore.backends.numba._pool import cut, reach, run_bands, span, useful
from fastrestore.backends.numba._sides_filter import Groups, Images, Reach, Tables
from fastrestore.backends.numba._sides_match import match, samples_of, strides_of
from fastrestore.backends.numba._simd import aligned, aligned_copy
from fastrestore.backends.numba._tables import strength_table
from fastrestore.backends.protocol import Execution, Matches, Stage

__all__ = ["filter_groups", "match"]

# Done in a millisecond on one thread, to decide whether more threads help
COEFFICIENTS = 1e5

FAR = 2**31  # beyond any displacement


def filter_groups(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """Filter blocks of any sides; see `fastrestore.backends.protocol.Backend.bm4d_filter`."""
    shape, axes = images[0].shape[1:], len(stage.shape)
    channels, samples = len(images[0]), math.prod(stage.shape)
    tables = _tables(stage)
    strides, counts = strides_of(shape), matches.sizes.shape
    corners = np.stack(np.meshgrid(*matches.corners, indexing="ij"), -1).reshape(-1, axes)
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
            samples_of(stage.shape, strides), own, samples_of(stage.shape, own), start,
        )  # fmt: skip
        which = np.take(numbers, part, axis=along).reshape(-1)
        groups = Groups(corners, offsets, matches.sizes.reshape(-1), which)
        scratch = _sides_filter.scratch(samples, stage.group, axes)
        _sides_filter.filter_groups(
            places, groups, tables[c], _scale(stage, c), scratch, len(images) > 1
        )
        with lock:  # sums are exact: the order of parts does not matter
            slabs = np.moveaxis(total[:, c], 1 + along, 0)
            slabs[ends.start : ends.start + size[along]] += np.moveaxis(sums, 1 + along, 0)

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
        source, result = np.moveaxis(weights, axis, 0), np.zeros_like(weights)
        out = np.moveaxis(result, axis, 0)
        for k, factor in enumerate(window):
            out[k:] += factor * source[: len(source) - k]
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
    back = [m * w[:, None] for m, w in zip(stage.inverses, stage.windows, strict=True)]
    forward, inverse = (
        aligned_copy(np.concatenate([m.ravel() for m in each])) for each in (stage.transforms, back)
    )
    length = _sides_filter.stride(math.prod(stage.shape))
    covariance, layout = _covariance(stage.covariance, len(sides), length)
    strength = strength_table(stage, length)
    return [
        Tables(sides, forward, inverse, covariance[min(c, len(covariance) - 1)], layout, own)
        for c, own in enumerate(strength)
    ]


def _covariance(tables: FloatArray, axes: int, length: int) -> tuple[NDArray[np.float32], Reach]:
    """Return twice the covariances (C, values), and their layout."""
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
