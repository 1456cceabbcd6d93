"""Stages of BM4D on a GPU: launches of kernels/bm4d_*.cu."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastrestore._arrays.types import Channels, Image
from fastrestore._cuda.launches import launch
from fastrestore.backends.cupy._covariance import covariance_table
from fastrestore.backends.cupy._layout import MOST_BLOCKS, WARP, Blocks, filter_layout, match_layout
from fastrestore.backends.cupy._pixels import DIVIDE, size_weight
from fastrestore.backends.cupy.bm3d import MOST_PIXELS
from fastrestore.backends.host import reference_grids
from fastrestore.backends.protocol import Execution, Matches, Stage

__all__ = ["bm4d_filter", "bm4d_match"]


def bm4d_match(image: Image, stage: Stage, execution: Execution) -> Matches:
    """See `fastrestore.backends.protocol.Backend`."""
    grids = reference_grids(stage, image.shape)
    if math.prod(image.shape) > MOST_PIXELS or max(map(len, grids[:2])) > MOST_BLOCKS:
        raise MemoryError(
            f"a volume of shape {image.shape} is too large for the kernels, which support "
            f"{MOST_PIXELS} voxels and {MOST_BLOCKS} reference blocks along an axis; restore it in "
            "parts"
        )
    memory, group = execution.memory, stage.group
    slices, rows, columns = (memory.table(grid, np.int32) for grid in grids)
    shape = tuple(len(grid) for grid in grids)
    offsets = memory.take("offsets", (*shape, group, 3), np.int16)
    sizes = memory.take("sizes", shape, np.int16)
    layout = match_layout(Blocks.of(stage))
    launch(
        "bm4d_match",
        (("SLICES", stage.shape[0]), ("BLOCK", stage.shape[1]), *layout.constants()),
        (-(-shape[2] // layout.warps), shape[1], shape[0]),
        (WARP, layout.warps),
        (
            image, *(np.int32(size) for size in image.shape), slices, rows, columns,
            np.int32(shape[2]), np.int32(stage.radii[0]), np.int32(stage.radii[1]),
            np.int32(layout.band), np.int32(layout.pitch), np.int32(group), np.float32(stage.match),
            memory.table(stage.match_map), memory.table(stage.match_bias), offsets, sizes,
        ),
        layout.shared,
    )  # fmt: skip
    execution.report_progress(1)
    return Matches((slices, rows, columns), offsets, sizes)


def bm4d_filter(
    images: tuple[Channels, ...], matches: Matches, stage: Stage, execution: Execution
) -> Channels:
    """See `fastrestore.backends.protocol.Backend`."""
    name = "bm4d_final" if len(images) > 1 else "bm4d_basic"
    layout = filter_layout(Blocks.of(stage))
    memory, (slices, block, _) = execution.memory, stage.shape
    channels, *size = images[0].shape
    if channels * size[0] > MOST_BLOCKS:
        raise MemoryError(
            f"{channels} channels of {size[0]} slices are too many for the kernels, which support "
            f"{MOST_BLOCKS} slices; restore the volume in parts"
        )
    count = channels * math.prod(size)
    sums = memory.take("sums", (2 * count,), np.uint64 if execution.deterministic else np.float32)
    sums.data.memset_async(0, sums.nbytes)
    numerator, weights = sums[:count], sums[count:]
    table = covariance_table(stage)
    window = memory.table(np.concatenate([stage.windows[1], stage.windows[0]]))
    constants = (
        ("SLICES", slices), ("BLOCK", block), ("GROUP", stage.group),
        ("FIXED", int(execution.deterministic)),
        *size_weight(stage.size_weight),
    )  # fmt: skip
    dimensions = tuple(np.int32(n) for n in size)
    layers = len(matches.corners[0])
    launch(
        name,
        (*constants, *layout.constants()),
        (len(matches.columns), len(matches.rows), channels * layers),
        (layout.threads,),
        (
            *images, *dimensions, matches.corners[0], np.int32(layers), matches.rows,
            matches.columns, matches.offsets, matches.sizes,
            memory.table(_matrices(stage.transforms)),
            memory.table(_matrices(stage.inverses)), window, memory.table(table.values),
            *table.numbers(),
            memory.table(stage.strength * stage.variances), memory.table(stage.scale),
            np.int32(0 if stage.scale is None or len(stage.scale) == 1 else stage.scale[0].size),
            numerator, weights,
        ),
        layout.shared,
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
    execution.report_progress(1)
    return out  # type: ignore[no-any-return]


def _matrices(matrices: tuple[NDArray[np.float64], ...]) -> NDArray[np.float64]:
    """Concatenate the matrix for rows and columns, and the matrix for slices."""
    return np.concatenate([matrices[1].ravel(), matrices[0].ravel()])
