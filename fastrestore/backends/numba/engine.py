"""Functions of the Numba backend; those that few calls need are imported on use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastrestore.backends.host import (
    bm3d_memory,
    bring,
    covariance,
    empty,
    fetch,
    load,
    luminance,
    memory,
    put,
    replaced,
    replays,
    robust_range,
    robust_ranges,
    store,
    warm,
)
from fastrestore.backends.numba import (
    NAME,
    capabilities,
    least_size,
    why_no_device,
    why_unavailable,
)
from fastrestore.backends.numba._grids import bm3d_match
from fastrestore.backends.numba.bm3d import bm3d_filter

if TYPE_CHECKING:
    from fastrestore._arrays.types import Channels, FloatArray, Image
    from fastrestore.backends.numba import engine
    from fastrestore.backends.protocol import (
        Backend,
        Execution,
        Gradients,
        Matches,
        Stage,
        VideoStage,
    )

    _: Backend = engine


def video_stage(shape: tuple[int, int, int, int], stage: Stage, execution: Execution) -> VideoStage:
    """See `fastrestore.backends.protocol.Backend`."""
    from fastrestore.backends.numba import vbm3d

    return vbm3d.VideoStage(shape, stage, execution)


def bm3d_backward(
    gradient: Channels,
    estimate: Channels,
    images: tuple[Channels, ...],
    matches: Matches,
    stage: Stage,
    execution: Execution,
) -> Gradients:
    """See `fastrestore.backends.protocol.Backend`."""
    from fastrestore.backends.numba import backward

    return backward.bm3d_backward(gradient, estimate, images, matches, stage, execution)


def bm3d_errors(
    pilot: Channels, matches: Matches, stage: Stage, execution: Execution
) -> FloatArray:
    """See `fastrestore.backends.protocol.Backend`."""
    from fastrestore.backends.numba import errors

    return errors.bm3d_errors(pilot, matches, stage, execution)


def bm4d_match(image: Image, stage: Stage, execution: Execution) -> Matches:
    """See `fastrestore.backends.protocol.Backend`."""
    if stage.has_sides:
        from fastrestore.backends.numba import sides

        return sides.match(image, stage, execution)
    from fastrestore.backends.numba import _cubes_match

    return _cubes_match.bm4d_match(image, stage, execution)


def bm4d_filter(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    if stage.has_sides:
        from fastrestore.backends.numba import sides

        return sides.filter_groups(images, matches, stage, execution)
    from fastrestore.backends.numba import bm4d

    return bm4d.bm4d_filter(images, matches, stage, execution)
