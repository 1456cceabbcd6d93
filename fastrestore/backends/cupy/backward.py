"""Gradients of the stages of BM3D on a GPU: launches of kernels/bm3d_*_backward.cu.

Gradients come from the host and go back there, because the chain rule between the stages is applied
there; images, estimates and matches stay on the GPU.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays import interop
from fastrestore._arrays.types import Channels, FloatArray
from fastrestore._cuda.launches import launch
from fastrestore.backends.cupy import _pixels
from fastrestore.backends.cupy._covariance import covariance_table
from fastrestore.backends.cupy._layout import Blocks, backward_layout
from fastrestore.backends.cupy.bm3d import sums_of
from fastrestore.backends.protocol import Execution, Gradients, Matches, Stage

__all__ = ["bm3d_backward"]

QUANTA = 2.0**34  # as in sums.cuh


class Call(NamedTuple):
    """Arguments of a call."""

    images: tuple[Channels, ...]
    matches: Matches
    stage: Stage
    execution: Execution


class Sums(NamedTuple):
    """Sums of a call on the GPU, and numbers of each group."""

    images: tuple[Any, ...]  # (C, M, N)
    levels: Any  # (C, corners), or None
    powers: Any  # (C, rows, columns) of references, or None


def bm3d_backward(
    gradient: Channels,
    estimate: Channels,
    images: tuple[Channels, ...],
    matches: Matches,
    stage: Stage,
    execution: Execution,
) -> Gradients:
    """See `fastrestore.backends.protocol.Backend`; the gradients are on the host."""
    device: Any = images[0].device
    with device:
        device.synchronize()  # the call that is differentiated may have run on another stream
        largest = float(np.abs(gradient).max())
        is_finite = math.isfinite(largest)
        # Gradients of about 1, because sums that are exact have a fixed resolution and range
        exponent = math.frexp(largest)[1] if is_finite else 0
        fixed = execution.deterministic and is_finite
        own = Execution(execution.workers, deterministic=fixed, memory=execution.memory)
        call = Call(images, matches, stage, own)
        passed = _divided(np.ldexp(gradient, -exponent).astype(np.float32), call)
        sums = _summed(passed, estimate, call)
        return _gradients(sums, stage, math.ldexp(1.0, exponent))


def _divided(gradient: Channels, call: Call) -> Any:
    """Divide a gradient by the sums of the windows, for the gradient of the numerator."""
    images, matches, stage, execution = call
    sums = sums_of(images[0].shape, stage, execution, execution.memory.take)
    for number, image in enumerate(images):
        sums.put(number, image)
    sums.add(matches)
    fixed = execution.deterministic
    values = np.rint(gradient * QUANTA).astype(np.int64).view(np.uint64) if fixed else gradient
    out = execution.memory.take("passed", gradient.shape, np.float32)
    numerator = interop.load_cupy().asarray(np.ascontiguousarray(values))
    _pixels.divide(numerator, sums.weights(), out, stage, execution)
    return out


def _summed(passed: Any, estimate: Channels, call: Call) -> Sums:
    """Add the gradients of all groups."""
    images, matches, stage, execution = call
    layout, table = backward_layout(Blocks.of(stage)), covariance_table(stage)
    sums, memory, fixed = _zeros(call), execution.memory, execution.deterministic
    own = (sums.levels,) if sums.powers is None else (sums.levels, sums.images[1], sums.powers)
    launch(
        "bm3d_basic_backward" if len(images) == 1 else "bm3d_final_backward",
        (
            *_pixels.constants(stage.block, stage.group, fixed),
            ("MAP", int(stage.scale is not None)), *_pixels.size_weight(stage.size_weight),
            *layout.constants(),
        ),
        (len(matches.columns), len(matches.rows), len(images[0])),
        (layout.threads,),
        (
            *images, estimate, passed, *map(np.int32, images[0].shape[1:]),
            matches.rows, matches.columns, matches.offsets, matches.sizes,
            memory.table(stage.forward), memory.table(np.ascontiguousarray(stage.forward.T)),
            memory.table(np.ascontiguousarray(stage.inverse.T)), memory.table(stage.window),
            memory.table(table.values), *table.numbers(),
            memory.table(stage.strength * stage.variances), memory.table(stage.factors),
            memory.table(stage.scale), _pixels.apart(stage.scale), sums.images[0], *own,
        ),
        layout.shared,
    )  # fmt: skip
    return sums


def _zeros(call: Call) -> Sums:
    """Allocate sums, and numbers of each group."""
    images, matches, stage, execution = call
    zeros = interop.load_cupy().zeros
    channels, height, width = images[0].shape
    side = stage.block - 1
    kind = np.uint64 if execution.deterministic else np.float32
    references = (channels, len(matches.rows), len(matches.columns))
    return Sums(
        tuple(zeros((channels, height, width), kind) for _ in images),
        None if stage.scale is None else zeros((channels, height - side, width - side), kind),
        None if len(images) == 1 else zeros(references, np.float32),
    )


def _gradients(sums: Sums, stage: Stage, factor: float) -> Gradients:
    """Copy the sums to the host, as gradients in the units of the one that was given."""
    power = np.zeros(len(stage.variances))
    if sums.powers is not None:
        power = factor * sums.powers.get().sum((1, 2), dtype=np.float64)
    used = stage.variances > 0
    return Gradients(
        tuple(factor * _as_floats(each) for each in sums.images),
        np.divide(power, stage.variances, where=used, out=np.zeros(len(power))),
        None if sums.levels is None else factor * _as_floats(sums.levels),
    )


def _as_floats(sums: Any) -> FloatArray:
    """Copy sums to the host; exact ones are two's complement, see sums.cuh."""
    values: NDArray[Any] = sums.get()
    if values.dtype == np.uint64:
        return values.view(np.int64) / QUANTA
    return values.astype(np.float64)
